using System;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;

namespace ObsAbort
{
    // Calls of this kind arrive from C: no exception may leave them.
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal delegate void LogCallback(int level, IntPtr message, IntPtr userdata);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal delegate int ProgressCallback(IntPtr outcome, ulong done, ulong total, IntPtr userdata);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal delegate int FilterCallback(IntPtr candidate, IntPtr userdata);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal delegate int BucketCallback(IntPtr name, IntPtr location, IntPtr userdata);

    // include/obsabort.h, as far as it is used. Strings go in as bytes that end with a NUL: see Utf8.
    internal static class Native
    {
        private const string Library = "obsabort";
        private const CallingConvention C = CallingConvention.Cdecl;

        static Native()
        {
            Resolver.Register();
        }

        [DllImport(Library, CallingConvention = C)] internal static extern IntPtr obs_abort_version();
        [DllImport(Library, CallingConvention = C)] internal static extern IntPtr obs_abort_strerror(int code);
        [DllImport(Library, CallingConvention = C)] internal static extern IntPtr obs_abort_code_name(int code);
        [DllImport(Library, CallingConvention = C)] internal static extern void obs_abort_string_free(IntPtr text);

        [DllImport(Library, CallingConvention = C)] internal static extern IntPtr obs_abort_config_new();
        [DllImport(Library, CallingConvention = C)] internal static extern void obs_abort_config_free(IntPtr config);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_config_set_endpoint(ConfigHandle config, byte[] endpoint);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_config_set_credentials(ConfigHandle config, byte[] accessKey, byte[] secretKey, byte[] securityToken);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_config_set_credential_source(ConfigHandle config, int source);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_config_set_addressing(ConfigHandle config, int addressing);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_config_set_signature(ConfigHandle config, int signature);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_config_set_connect_timeout_ms(ConfigHandle config, uint ms);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_config_set_response_timeout_ms(ConfigHandle config, uint ms);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_config_set_timeout_ms(ConfigHandle config, uint ms);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_config_set_max_attempts(ConfigHandle config, uint attempts);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_config_set_max_connections(ConfigHandle config, uint n);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_config_set_ca_file(ConfigHandle config, byte[] path);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_config_set_client_certificate(ConfigHandle config, byte[] certPath, byte[] keyPath);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_config_set_proxy(ConfigHandle config, byte[] url);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_config_set_confirm(ConfigHandle config, int on);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_config_set_request_payer(ConfigHandle config, int on);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_config_set_user_agent(ConfigHandle config, byte[] product);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_config_set_log(ConfigHandle config, LogCallback log, IntPtr userdata, int level);

        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_client_new(ConfigHandle config, out IntPtr client, out IntPtr error);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_client_set_credentials(ClientHandle client, byte[] accessKey, byte[] secretKey, byte[] securityToken, out IntPtr error);
        [DllImport(Library, CallingConvention = C)] internal static extern void obs_abort_client_shutdown(ClientHandle client);
        [DllImport(Library, CallingConvention = C)] internal static extern void obs_abort_client_free(IntPtr client);

        [DllImport(Library, CallingConvention = C)] internal static extern IntPtr obs_abort_call_new();
        [DllImport(Library, CallingConvention = C)] internal static extern void obs_abort_call_cancel(CallHandle call);
        [DllImport(Library, CallingConvention = C)] internal static extern void obs_abort_call_free(IntPtr call);

        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_multipart_outcome(ClientHandle client, CallHandle call, byte[] bucket, byte[] key, byte[] uploadId, out IntPtr outcome);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_many(ClientHandle client, CallHandle call, byte[] bucket, IntPtr uploads, UIntPtr count, ProgressCallback progress, IntPtr userdata, out IntPtr report, out IntPtr error);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_stale(ClientHandle client, CallHandle call, byte[] bucket, byte[] prefix, ulong olderThanSeconds, uint flags, ProgressCallback progress, IntPtr userdata, out IntPtr report, out IntPtr error);

        [DllImport(Library, CallingConvention = C)] internal static extern IntPtr obs_abort_selection_new();
        [DllImport(Library, CallingConvention = C)] internal static extern void obs_abort_selection_free(IntPtr selection);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_selection_set_prefix(SelectionHandle selection, byte[] prefix);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_selection_set_older_than_seconds(SelectionHandle selection, ulong seconds);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_selection_set_initiated_before(SelectionHandle selection, long unixSeconds);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_selection_set_idle_seconds(SelectionHandle selection, ulong seconds);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_selection_set_measure(SelectionHandle selection, int on);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_selection_set_filter(SelectionHandle selection, FilterCallback filter, IntPtr userdata);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_sweep(ClientHandle client, CallHandle call, byte[] bucket, SelectionHandle selection, uint flags, ProgressCallback progress, IntPtr userdata, out IntPtr report, out IntPtr error);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_buckets(ClientHandle client, CallHandle call, BucketCallback bucket, IntPtr userdata, out IntPtr error);

        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_outcome_code(IntPtr outcome);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_outcome_http_status(IntPtr outcome);
        [DllImport(Library, CallingConvention = C)] internal static extern IntPtr obs_abort_outcome_message(IntPtr outcome);
        [DllImport(Library, CallingConvention = C)] internal static extern IntPtr obs_abort_outcome_service_code(IntPtr outcome);
        [DllImport(Library, CallingConvention = C)] internal static extern IntPtr obs_abort_outcome_request_id(IntPtr outcome);
        [DllImport(Library, CallingConvention = C)] internal static extern IntPtr obs_abort_outcome_host_id(IntPtr outcome);
        [DllImport(Library, CallingConvention = C)] internal static extern uint obs_abort_outcome_attempts(IntPtr outcome);
        [DllImport(Library, CallingConvention = C)] internal static extern IntPtr obs_abort_outcome_key(IntPtr outcome);
        [DllImport(Library, CallingConvention = C)] internal static extern IntPtr obs_abort_outcome_upload_id(IntPtr outcome);
        [DllImport(Library, CallingConvention = C)] internal static extern long obs_abort_outcome_initiated(IntPtr outcome);
        [DllImport(Library, CallingConvention = C)] internal static extern long obs_abort_outcome_index(IntPtr outcome);
        [DllImport(Library, CallingConvention = C)] internal static extern ulong obs_abort_outcome_parts(IntPtr outcome);
        [DllImport(Library, CallingConvention = C)] internal static extern ulong obs_abort_outcome_bytes(IntPtr outcome);
        [DllImport(Library, CallingConvention = C)] internal static extern long obs_abort_outcome_last_part(IntPtr outcome);
        [DllImport(Library, CallingConvention = C)] internal static extern void obs_abort_outcome_free(IntPtr outcome);

        [DllImport(Library, CallingConvention = C)] internal static extern ulong obs_abort_report_total(IntPtr report);
        [DllImport(Library, CallingConvention = C)] internal static extern ulong obs_abort_report_aborted(IntPtr report);
        [DllImport(Library, CallingConvention = C)] internal static extern ulong obs_abort_report_missing(IntPtr report);
        [DllImport(Library, CallingConvention = C)] internal static extern ulong obs_abort_report_failed(IntPtr report);
        [DllImport(Library, CallingConvention = C)] internal static extern ulong obs_abort_report_kept(IntPtr report);
        [DllImport(Library, CallingConvention = C)] internal static extern ulong obs_abort_report_throttled(IntPtr report);
        [DllImport(Library, CallingConvention = C)] internal static extern ulong obs_abort_report_unknown_age(IntPtr report);
        [DllImport(Library, CallingConvention = C)] internal static extern ulong obs_abort_report_bytes(IntPtr report);
        [DllImport(Library, CallingConvention = C)] internal static extern ulong obs_abort_report_younger(IntPtr report);
        [DllImport(Library, CallingConvention = C)] internal static extern ulong obs_abort_report_active(IntPtr report);
        [DllImport(Library, CallingConvention = C)] internal static extern int obs_abort_report_complete(IntPtr report);
        [DllImport(Library, CallingConvention = C)] internal static extern UIntPtr obs_abort_report_failure_count(IntPtr report);
        [DllImport(Library, CallingConvention = C)] internal static extern IntPtr obs_abort_report_failure(IntPtr report, UIntPtr i);
        [DllImport(Library, CallingConvention = C)] internal static extern void obs_abort_report_free(IntPtr report);
    }

    // .NET looks for libobsabort.so, which only development packages install. This adds the name that programs need. Mono,
    // which has no resolvers, reads ObsAbort.dll.config instead, and .NET Framework finds obsabort.dll.
    internal static class Resolver
    {
        private delegate bool TryLoad(string name, Assembly assembly, DllImportSearchPath? path, out IntPtr handle);

        private static TryLoad tryLoad;

        internal static void Register()
        {
            // Not in .NET Standard 2.0.
            const string Namespace = "System.Runtime.InteropServices.";
            const string From = ", System.Runtime.InteropServices";
            Type library = Type.GetType(Namespace + "NativeLibrary" + From);
            Type resolver = Type.GetType(Namespace + "DllImportResolver" + From);
            if (library == null || resolver == null)
                return;
            Type[] arguments = { typeof(string), typeof(Assembly), typeof(DllImportSearchPath?), typeof(IntPtr).MakeByRefType() };
            tryLoad = (TryLoad)Delegate.CreateDelegate(typeof(TryLoad), library.GetMethod("TryLoad", arguments));
            MethodInfo resolve = typeof(Resolver).GetMethod("Resolve", BindingFlags.Static | BindingFlags.NonPublic);
            library.GetMethod("SetDllImportResolver").Invoke(null, new object[] { typeof(Resolver).Assembly, Delegate.CreateDelegate(resolver, resolve) });
        }

        private static IntPtr Resolve(string name, Assembly assembly, DllImportSearchPath? path)
        {
            if (name == "obsabort")
            {
                IntPtr handle;
                foreach (string file in new[] { "libobsabort.so.0", "libobsabort.0.dylib", "obsabort.dll" })
                    if (tryLoad(file, assembly, path, out handle))
                        return handle;
            }
            return IntPtr.Zero; // the runtime goes on with its own names
        }
    }

    internal abstract class Handle : SafeHandle
    {
        protected Handle(IntPtr handle) : base(IntPtr.Zero, true)
        {
            SetHandle(handle);
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }
    }

    internal sealed class ConfigHandle : Handle
    {
        internal ConfigHandle() : base(Native.obs_abort_config_new()) { }

        protected override bool ReleaseHandle()
        {
            Native.obs_abort_config_free(handle);
            return true;
        }
    }

    internal sealed class ClientHandle : Handle
    {
        internal ClientHandle(IntPtr client) : base(client) { }

        protected override bool ReleaseHandle()
        {
            Native.obs_abort_client_free(handle);
            return true;
        }
    }

    internal sealed class CallHandle : Handle
    {
        internal CallHandle() : base(Native.obs_abort_call_new()) { }

        protected override bool ReleaseHandle()
        {
            Native.obs_abort_call_free(handle);
            return true;
        }
    }

    internal sealed class SelectionHandle : Handle
    {
        internal SelectionHandle() : base(Native.obs_abort_selection_new()) { }

        protected override bool ReleaseHandle()
        {
            Native.obs_abort_selection_free(handle);
            return true;
        }
    }

    internal static class Utf8
    {
        private static readonly UTF8Encoding Strict = new UTF8Encoding(false, true);

        // Why C can't be given a text: cut at a NUL, it would name something else. Null if it can.
        internal static string Refusal(string text)
        {
            if (text.IndexOf('\0') >= 0)
                return "contains U+0000";
            try
            {
                Strict.GetByteCount(text);
                return null;
            }
            catch (EncoderFallbackException)
            {
                return "contains half a surrogate pair";
            }
        }

        internal static byte[] Bytes(string text)
        {
            byte[] bytes = new byte[Strict.GetByteCount(text) + 1];
            Strict.GetBytes(text, 0, text.Length, bytes, 0);
            return bytes;
        }

        internal static string Read(IntPtr text)
        {
            if (text == IntPtr.Zero)
                return null;
            int length = 0;
            while (Marshal.ReadByte(text, length) != 0)
                length++;
            byte[] bytes = new byte[length];
            Marshal.Copy(text, bytes, 0, length);
            return Encoding.UTF8.GetString(bytes);
        }

        internal static string Take(IntPtr text)
        {
            string copy = Read(text);
            Native.obs_abort_string_free(text);
            return copy;
        }
    }
}

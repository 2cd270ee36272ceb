// A host on a managed runtime: its callbacks catch null dereferences, which the runtime makes of SIGSEGV, and collect
// garbage, for which the runtime stops threads by signals.
//
//     mono callbacks_host.exe ENDPOINT BUCKET ACCESS_KEY SECRET_KEY
using System;
using System.Runtime.InteropServices;
using System.Threading;

static class CallbacksHost
{
    const int Debug = 4, Path = 2, NoSuchUpload = 31;

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    delegate void Log(int level, IntPtr message, IntPtr userdata);
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    delegate int Progress(IntPtr outcome, ulong done, ulong total, IntPtr userdata);

    [DllImport("obsabort")] static extern IntPtr obs_abort_config_new();
    [DllImport("obsabort")] static extern void obs_abort_config_free(IntPtr config);
    [DllImport("obsabort")] static extern int obs_abort_config_set_endpoint(IntPtr config, string endpoint);
    [DllImport("obsabort")] static extern int obs_abort_config_set_addressing(IntPtr config, int addressing);
    [DllImport("obsabort")] static extern int obs_abort_config_set_proxy(IntPtr config, string url);
    [DllImport("obsabort")] static extern int obs_abort_config_set_credentials(IntPtr config, string access, string secret, string token);
    [DllImport("obsabort")] static extern int obs_abort_config_set_log(IntPtr config, Log log, IntPtr userdata, int level);
    [DllImport("obsabort")] static extern int obs_abort_client_new(IntPtr config, out IntPtr client, IntPtr error);
    [DllImport("obsabort")] static extern void obs_abort_client_free(IntPtr client);
    [DllImport("obsabort")] static extern int obs_abort_multipart(IntPtr client, string bucket, string key, string id, IntPtr status, IntPtr error);
    [DllImport("obsabort")] static extern int obs_abort_stale(IntPtr client, IntPtr call, string bucket, string prefix, ulong age, uint flags,
        Progress progress, IntPtr userdata, IntPtr report, IntPtr error);

    class Box { public int Value = 1; }
    static volatile Box nothing = null;
    static int lines, outcomes, caught, foreign;
    static Thread caller;

    static void CatchANullDereference()
    {
        try { Interlocked.Add(ref outcomes, nothing.Value); }
        catch (NullReferenceException) { Interlocked.Increment(ref caught); }
        if (Thread.CurrentThread != caller)
            Interlocked.Increment(ref foreign);
    }

    static void OnLine(int level, IntPtr message, IntPtr userdata)
    {
        CatchANullDereference();
        if (Interlocked.Increment(ref lines) % 16 == 0)
            GC.Collect();
    }

    static int OnProgress(IntPtr outcome, ulong done, ulong total, IntPtr userdata)
    {
        CatchANullDereference();
        if (outcome != IntPtr.Zero)
            Interlocked.Increment(ref outcomes);
        return 0;
    }

    static void Expect(int expected, int actual, string what)
    {
        if (expected == actual)
            return;
        Console.WriteLine("{0}: {1} instead of {2}", what, actual, expected);
        Environment.Exit(1);
    }

    static int Main(string[] arguments)
    {
        Log log = OnLine;
        Progress progress = OnProgress;
        IntPtr config = obs_abort_config_new(), client;

        caller = Thread.CurrentThread;
        Expect(0, obs_abort_config_set_endpoint(config, arguments[0]), "endpoint");
        Expect(0, obs_abort_config_set_addressing(config, Path), "addressing");
        Expect(0, obs_abort_config_set_proxy(config, ""), "proxy");
        Expect(0, obs_abort_config_set_credentials(config, arguments[2], arguments[3], null), "credentials");
        Expect(0, obs_abort_config_set_log(config, log, IntPtr.Zero, Debug), "log");
        Expect(0, obs_abort_client_new(config, out client, IntPtr.Zero), "client");
        obs_abort_config_free(config);
        Expect(NoSuchUpload, obs_abort_multipart(client, arguments[1], "key", "id", IntPtr.Zero, IntPtr.Zero), "multipart");
        Expect(0, obs_abort_stale(client, IntPtr.Zero, arguments[1], null, 60, 0, progress, IntPtr.Zero, IntPtr.Zero, IntPtr.Zero), "stale");
        GC.Collect();
        obs_abort_client_free(client);
        GC.KeepAlive(log);
        GC.KeepAlive(progress);
        Console.WriteLine("{0} lines, {1} outcomes, {2} exceptions caught", lines, outcomes, caught);
        Expect(0, foreign, "callbacks on other threads");
        return outcomes > 100 && caught > lines && lines > 2 * outcomes ? 0 : 1;
    }
}

using System;

namespace ObsAbort
{
    /// <summary>An access key, its secret key and, if they are temporary, a security token.</summary>
    public sealed class ObsAbortCredentials
    {
        /// <summary>The access key.</summary>
        public string AccessKey { get; }
        /// <summary>The secret key.</summary>
        public string SecretKey { get; }
        /// <summary>The security token of temporary credentials, or null.</summary>
        public string SecurityToken { get; }

        /// <summary>Credentials.</summary>
        public ObsAbortCredentials(string accessKey, string secretKey, string securityToken = null)
        {
            AccessKey = accessKey ?? throw new ArgumentNullException(nameof(accessKey));
            SecretKey = secretKey ?? throw new ArgumentNullException(nameof(secretKey));
            SecurityToken = securityToken;
        }

        /// <summary>The access key, and nothing secret.</summary>
        public override string ToString()
        {
            return AccessKey;
        }

        internal delegate int Use(byte[] accessKey, byte[] secretKey, byte[] securityToken);

        // Overwrites the copies that `use` gets.
        internal int Lend(ObsAbortCode refusal, Use use)
        {
            string[] texts = { AccessKey, SecretKey, SecurityToken ?? "" };
            string[] names = { "access key", "secret key", "security token" };
            byte[][] copies = new byte[texts.Length][];
            for (int i = 0; i < texts.Length; i++)
            {
                string why = Utf8.Refusal(texts[i]);
                if (why != null)
                    throw ObsAbortException.Refused(refusal, "the " + names[i] + " " + why);
            }
            try
            {
                for (int i = 0; i < texts.Length; i++)
                    copies[i] = Utf8.Bytes(texts[i]);
                return use(copies[0], copies[1], copies[2]);
            }
            finally
            {
                foreach (byte[] copy in copies)
                    if (copy != null)
                        Array.Clear(copy, 0, copy.Length);
            }
        }
    }

    /// <summary>Where the credentials of a client come from.</summary>
    public enum CredentialSource
    {
        /// <summary>ObsAbortConfig.Credentials. Without any, calls fail with NoCredentials.</summary>
        Static = 0,
        /// <summary>OBS_ACCESS_KEY_ID, OBS_SECRET_ACCESS_KEY and OBS_SECURITY_TOKEN, when the client is created.</summary>
        Environment = 1,
        /// <summary>The agency of the Elastic Cloud Server (ECS) on which the program runs.</summary>
        Ecs = 2,
        /// <summary>The environment if any of its variables is set, otherwise the agency of the ECS.</summary>
        Chain = 3,
    }

    /// <summary>How the bucket appears in the URL of a request.</summary>
    public enum Addressing
    {
        /// <summary>Path if the endpoint is an IP address, or if it is https and the bucket's name contains a dot. Otherwise VirtualHost.</summary>
        Auto = 0,
        /// <summary>https://bucket.endpoint/key</summary>
        VirtualHost = 1,
        /// <summary>https://endpoint/bucket/key</summary>
        Path = 2,
        /// <summary>https://endpoint/key: the endpoint is a domain that is bound to the bucket.</summary>
        CustomDomain = 3,
    }

    /// <summary>The scheme by which requests are signed.</summary>
    public enum Signature
    {
        /// <summary>AwsV2 with Path, as in the official SDKs. Otherwise Obs.</summary>
        Auto = 0,
        /// <summary>"Authorization: OBS ..."</summary>
        Obs = 1,
        /// <summary>"Authorization: AWS ...", for S3-compatible servers.</summary>
        AwsV2 = 2,
    }

    /// <summary>The level of a log line. Each includes those before it.</summary>
    public enum ObsAbortLogLevel
    {
        /// <summary>Uploads that could not be aborted, and listings that failed.</summary>
        Error = 1,
        /// <summary>Attempts that failed and are retried, redirects and clock corrections.</summary>
        Warn = 2,
        /// <summary>Uploads that were aborted.</summary>
        Info = 3,
        /// <summary>Every request with its response.</summary>
        Debug = 4,
    }

    /// <summary>The settings of a new client. Only Endpoint is required. What is null has the library's default.</summary>
    public sealed class ObsAbortConfig
    {
        /// <summary>"[http[s]://]host[:port]", for example "https://obs.eu-101.myhuaweicloud.com". Without a scheme it is https.</summary>
        public string Endpoint { get; set; }
        /// <summary>Static credentials. They and a CredentialSource other than Static exclude each other.</summary>
        public ObsAbortCredentials Credentials { get; set; }
        /// <summary>Where credentials come from.</summary>
        public CredentialSource CredentialSource { get; set; }
        /// <summary>How the bucket appears in the URL.</summary>
        public Addressing Addressing { get; set; }
        /// <summary>How requests are signed.</summary>
        public Signature Signature { get; set; }
        /// <summary>The limit of one attempt to connect. The default is 10 s.</summary>
        public TimeSpan? ConnectTimeout { get; set; }
        /// <summary>How long an attempt waits for the server to respond. The default is 20 s.</summary>
        public TimeSpan? ResponseTimeout { get; set; }
        /// <summary>The budget of one abort, retries included. The default is 60 s.</summary>
        public TimeSpan? Timeout { get; set; }
        /// <summary>The largest number of attempts of one abort. The default is 4. 1 means no retry.</summary>
        public int? MaxAttempts { get; set; }
        /// <summary>The connections that are kept, and that AbortMany, AbortStale and Sweep use at once. The default is 32.</summary>
        public int? MaxConnections { get; set; }
        /// <summary>
        /// How many asynchronous calls run at once: of AbortAsync and TryAbortAsync together, and as many again of
        /// AbortManyAsync, AbortStaleAsync and SweepAsync. Each has a thread of the client; further ones wait. The default is 32.
        /// </summary>
        public int? MaxConcurrent { get; set; }
        /// <summary>A PEM file with the certificate authorities to trust instead of the system's.</summary>
        public string CaFile { get; set; }
        /// <summary>A PEM file with a certificate for mutual TLS. It goes together with ClientKey.</summary>
        public string ClientCertificate { get; set; }
        /// <summary>A PEM file with the private key of ClientCertificate.</summary>
        public string ClientKey { get; set; }
        /// <summary>"http://[user:password@]host[:port]", or "" for none. If it is null, the environment decides.</summary>
        public string Proxy { get; set; }
        /// <summary>After each abort, list the parts, and abort again until none is left.</summary>
        public bool Confirm { get; set; }
        /// <summary>Send "x-obs-request-payer: requester".</summary>
        public bool RequestPayer { get; set; }
        /// <summary>The name of the program for the User-Agent header, for example "backupd/2.1".</summary>
        public string UserAgent { get; set; }
        /// <summary>
        /// Receives log lines on the thread that makes the call, possibly on several threads at once. Lines contain keys
        /// and upload ids, but never a secret. An exception ends the call and comes out of it.
        /// </summary>
        public Action<ObsAbortLogLevel, string> Log { get; set; }
        /// <summary>The most detailed level that is logged.</summary>
        public ObsAbortLogLevel LogLevel { get; set; } = ObsAbortLogLevel.Warn;

        private delegate int SetText(ConfigHandle config, byte[] text);
        private delegate int SetNumber(ConfigHandle config, uint number);

        // The config remembers which of the library's own setters failed, and the creation of the client says so.
        internal void Fill(ConfigHandle config)
        {
            Text(config, nameof(Endpoint), Endpoint, Native.obs_abort_config_set_endpoint);
            FillCredentials(config);
            Native.obs_abort_config_set_addressing(config, (int)Addressing);
            Native.obs_abort_config_set_signature(config, (int)Signature);
            Time(config, nameof(ConnectTimeout), ConnectTimeout, Native.obs_abort_config_set_connect_timeout_ms);
            Time(config, nameof(ResponseTimeout), ResponseTimeout, Native.obs_abort_config_set_response_timeout_ms);
            Time(config, nameof(Timeout), Timeout, Native.obs_abort_config_set_timeout_ms);
            Number(config, nameof(MaxAttempts), MaxAttempts, Native.obs_abort_config_set_max_attempts);
            Number(config, nameof(MaxConnections), MaxConnections, Native.obs_abort_config_set_max_connections);
            Number(config, nameof(MaxConcurrent), MaxConcurrent, (_, number) => 0);
            Text(config, nameof(CaFile), CaFile, Native.obs_abort_config_set_ca_file);
            if (ClientCertificate != null || ClientKey != null)
            {
                byte[] key = Bytes(nameof(ClientKey), ClientKey ?? "");
                Text(config, nameof(ClientCertificate), ClientCertificate ?? "", (c, certificate) => Native.obs_abort_config_set_client_certificate(c, certificate, key));
            }
            Text(config, nameof(Proxy), Proxy, Native.obs_abort_config_set_proxy);
            Native.obs_abort_config_set_confirm(config, Confirm ? 1 : 0);
            Native.obs_abort_config_set_request_payer(config, RequestPayer ? 1 : 0);
            Text(config, nameof(UserAgent), UserAgent, Native.obs_abort_config_set_user_agent);
            Native.obs_abort_config_set_log(config, Log == null ? null : Call.OnLog, IntPtr.Zero, (int)LogLevel);
        }

        private void FillCredentials(ConfigHandle config)
        {
            if (CredentialSource != CredentialSource.Static)
            {
                if (Credentials != null)
                    throw Refused("Credentials and CredentialSource exclude each other");
                Native.obs_abort_config_set_credential_source(config, (int)CredentialSource);
            }
            else if (Credentials != null)
            {
                Credentials.Lend(ObsAbortCode.InvalidConfig, (accessKey, secretKey, securityToken) =>
                    Native.obs_abort_config_set_credentials(config, accessKey, secretKey, securityToken));
            }
        }

        private static ObsAbortException Refused(string reason)
        {
            return ObsAbortException.Refused(ObsAbortCode.InvalidConfig, reason);
        }

        private static byte[] Bytes(string name, string text)
        {
            string why = Utf8.Refusal(text);
            if (why != null)
                throw Refused(name + " " + why);
            return Utf8.Bytes(text);
        }

        private static void Text(ConfigHandle config, string name, string text, SetText set)
        {
            if (text != null)
                set(config, Bytes(name, text));
        }

        private static void Time(ConfigHandle config, string name, TimeSpan? time, SetNumber set)
        {
            if (time == null)
                return;
            // Rounded up, so that no limit ends before its time.
            long ms = time.Value.Ticks / TimeSpan.TicksPerMillisecond + (time.Value.Ticks % TimeSpan.TicksPerMillisecond > 0 ? 1 : 0);
            if (ms <= 0 || ms > uint.MaxValue)
                throw Refused(name + " can't be " + time);
            set(config, (uint)ms);
        }

        private static void Number(ConfigHandle config, string name, int? number, SetNumber set)
        {
            if (number == null)
                return;
            if (number <= 0)
                throw Refused(name + " can't be " + number);
            set(config, (uint)number);
        }
    }
}

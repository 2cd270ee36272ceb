namespace ObsAbort
{
    /// <summary>What became of an abort. Later versions of the library may return codes that are not listed here.</summary>
    public enum ObsAbortCode
    {
        /// <summary>The upload is gone.</summary>
        Ok = 0,
        /// <summary>An argument is invalid. Nothing was sent.</summary>
        InvalidArgument = 10,
        /// <summary>A setting cannot be used.</summary>
        InvalidConfig = 11,
        /// <summary>There are no credentials, or their source failed.</summary>
        NoCredentials = 12,
        /// <summary>The host name of the service or of the proxy did not resolve.</summary>
        Resolve = 20,
        /// <summary>No TCP connection could be opened.</summary>
        Connect = 21,
        /// <summary>The TLS handshake or the verification of the certificate failed.</summary>
        Tls = 22,
        /// <summary>The time ran out. If a request was sent, the upload may be gone.</summary>
        Timeout = 23,
        /// <summary>The connection broke during the exchange. The upload may be gone.</summary>
        Io = 24,
        /// <summary>The response is not a valid response of OBS.</summary>
        Protocol = 25,
        /// <summary>The call was cancelled. If a request was sent, the upload may be gone.</summary>
        Cancelled = 26,
        /// <summary>403: the access key, the signature or the policy was refused.</summary>
        AccessDenied = 30,
        /// <summary>404: the upload was aborted or completed before, or the upload id is wrong.</summary>
        NoSuchUpload = 31,
        /// <summary>404: the bucket does not exist.</summary>
        NoSuchBucket = 32,
        /// <summary>403: the clock differs too much from that of the service.</summary>
        ClockSkew = 33,
        /// <summary>429 or 503 until the attempts were used up.</summary>
        Throttled = 34,
        /// <summary>Another 5xx until the attempts were used up.</summary>
        Server = 35,
        /// <summary>A redirect that is not safe to follow.</summary>
        Redirect = 36,
        /// <summary>Any other 4xx.</summary>
        Rejected = 37,
        /// <summary>Confirmation is on, and parts were still listed after the last attempt.</summary>
        PartsRemain = 38,
        /// <summary>Some of many uploads could not be aborted.</summary>
        Partial = 39,
        /// <summary>The service said that the upload is gone, and still lists it.</summary>
        StillListed = 40,
        /// <summary>A defect in the library. Please report it.</summary>
        Internal = 90,
    }

    /// <summary>What the library says of a code.</summary>
    public static class ObsAbortCodes
    {
        /// <summary>The name of a code for logs, for example "no_such_upload". "unknown" if the library does not know it.</summary>
        public static string Name(this ObsAbortCode code)
        {
            return Utf8.Read(Native.obs_abort_code_name((int)code));
        }

        /// <summary>A sentence that describes a code.</summary>
        public static string Description(this ObsAbortCode code)
        {
            return Utf8.Read(Native.obs_abort_strerror((int)code));
        }
    }
}

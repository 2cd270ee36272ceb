package obsabort

/*
#include <obsabort.h>
*/
import "C"

// A Code says how a call ended. Every [Error] wraps one, so that errors.Is(err, obsabort.NoSuchUpload) works.
//
// The number of a code never changes. Later versions of the library may add codes.
type Code int32

const (
	// The upload is gone. No error has this code.
	OK Code = 0
	// An argument is empty, too long, not UTF-8 or outside its limits. Nothing was sent.
	InvalidArgument Code = 10
	// The endpoint, the CA file, the proxy URL or another setting cannot be used. Nothing was sent.
	InvalidConfig Code = 11
	// No credentials were set, or their source failed.
	NoCredentials Code = 12
	// The host name of the service or of the proxy did not resolve.
	Resolve Code = 20
	// No TCP connection could be opened, or the proxy refused to open a tunnel.
	Connect Code = 21
	// The TLS handshake or the verification of the server's certificate failed.
	TLS Code = 22
	// The time budget or the deadline of the context passed, or the last attempt got no response in time. If a request
	// was sent, the upload may be gone.
	Timeout Code = 23
	// The connection broke during the exchange. The upload may be gone.
	IO Code = 24
	// The response is not a valid OBS response, or it is a listing that cannot be relied on.
	Protocol Code = 25
	// The context was cancelled, the client was closed, or a callback ended the call. If a request was sent, the upload
	// may be gone.
	Cancelled Code = 26
	// The access key, the signature or the policy was refused.
	AccessDenied Code = 30
	// The upload was aborted or completed before the call, or the upload id is wrong.
	NoSuchUpload Code = 31
	// The bucket does not exist.
	NoSuchBucket Code = 32
	// The clock is off, even after a correction by the Date header of the response.
	ClockSkew Code = 33
	// The service asked to slow down until the retries were used up, or for longer than the time budget.
	Throttled Code = 34
	// The service failed until the retries were used up.
	Server Code = 35
	// The service redirected to a place that is not safe to follow. The message names it.
	Redirect Code = 36
	// Any other 4xx status.
	Rejected Code = 37
	// Config.Confirm is on, and parts were still listed after the last attempt.
	PartsRemain Code = 38
	// Some of many uploads could not be aborted. The report has the outcomes of the first 1000.
	Partial Code = 39
	// Only in the report of AbortStale or Sweep: the service said that the upload is gone, and still lists it.
	StillListed Code = 40
	// A defect in the library. Please report it.
	Internal Code = 90
)

// Error returns the name of the code, for example "no_such_upload". It is "unknown" if the library does not know the code.
func (c Code) Error() string {
	return C.GoString(C.obs_abort_code_name(C.int32_t(c)))
}

// Description returns an English sentence that describes the code.
func (c Code) Description() string {
	return C.GoString(C.obs_abort_strerror(C.int32_t(c)))
}

// Version returns the version of the library that the program is linked with, for example "1.2.3".
func Version() string {
	return C.GoString(C.obs_abort_version())
}

// Package obsabort aborts multipart uploads on Huawei Cloud's Object Storage Service (OBS).
//
// OBS stores the parts of a multipart upload, and bills for them, until the upload is completed or aborted. A [Client]
// aborts one upload ([Client.Abort]), a list of uploads ([Client.AbortMany]), all uploads of a bucket that are older than a
// given age ([Client.AbortStale]), or those of a finer selection ([Client.Sweep]). It signs each request, retries it if that
// is safe, and reports success only if the service says that the upload is gone.
//
// Make one client and keep it: it keeps its connections, and any number of goroutines may use it at once.
//
// # Errors
//
// Every error is an [*Error]. It wraps its [Code] and, if a context ended the call, the context's error:
//
//	var failure *obsabort.Error
//	switch {
//	case err == nil || errors.Is(err, obsabort.NoSuchUpload):
//		// gone
//	case errors.Is(err, context.DeadlineExceeded):
//		// may be gone: the deadline passed
//	case errors.As(err, &failure):
//		log.Printf("%v (HTTP %d, request id %s)", failure, failure.HTTPStatus, failure.RequestID)
//	}
//
// # Cancellation
//
// A call returns within 250 ms after its context is done, plus the time that a callback takes. An upload whose abort was
// in progress may be gone or not.
//
// # Callbacks
//
// Config.Log, Selection.Keep and the progress functions run on the goroutine that made the call, between its start and its return, one at
// a time. They may panic or call [runtime.Goexit]: the call is then cancelled, and ended before the panic leaves it. They
// may use the client, and may close it.
//
// # Threads
//
// A call into C occupies an operating system thread, and Go never returns a thread to the system. Config.MaxConcurrent
// bounds their number: further calls wait for their turn, or until their context is done.
//
// # Linking
//
// The package is linked with the shared library by pkg-config (obsabort.pc). With the build tag obsabort_static it is
// linked with the static library (obsabort-static.pc). libobsabort can be a static library in a program only if no other
// static library in it was written in Rust.
package obsabort

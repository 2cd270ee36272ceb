package obsabort

/*
#include "bridge.h"
*/
import "C"

import (
	"context"
	"iter"
	"runtime"
	"time"
	"unsafe"
)

// An Upload names a multipart upload of a bucket.
type Upload struct {
	Key      string // not percent-encoded
	UploadID string
}

// Progress is what a progress function is told.
type Progress struct {
	// The outcome of an upload, or nil: the function is called with nil at least every 250 ms as long as it returns at once.
	// Outcomes arrive as uploads are finished. In AbortStale they are not final: an upload that is listed again is tried
	// again.
	Outcome *Outcome
	// The number of uploads that are settled so far, including those that are kept. It never decreases.
	Done int
	// The number of uploads that are known so far: the whole list, or the pages of the listing that have been read. It
	// never decreases.
	Total int
}

// StaleOptions are the options of [Client.AbortStale].
type StaleOptions struct {
	// List the uploads that would be aborted, and abort none. Their outcomes have HTTPStatus 0 and Attempts 0.
	DryRun bool
	// Allow an age of 0, which aborts uploads that are in progress, too.
	IncludeLive bool
	// Called on the goroutine that made the call. It returns whether to go on: false cancels the call, and is the
	// last call of the function. May be nil.
	Progress func(Progress) bool
}

// Abort aborts one upload. It returns nil if the upload is gone, and otherwise an [*Error]. With NoSuchUpload, it was gone
// before. After any other error, the upload may still exist.
func (c *Client) Abort(ctx context.Context, bucket, key, uploadID string) error {
	if err := checkTexts("bucket", bucket, "key", key, "upload id", uploadID); err != nil {
		return err
	}
	var outcome Outcome
	err := c.perform(ctx, c.aborts, c.timeout, &call{},
		func(client *C.obs_abort_client, call *C.obs_abort_call, callbacks C.uintptr_t) {
			var handle *C.obs_abort_outcome
			C.obsabort_go_multipart(callbacks, client, call, cString(bucket), cString(key), cString(uploadID), &handle)
			outcome = newOutcome(handle)
			C.obs_abort_outcome_free(handle)
		})
	if err != nil {
		return err
	}
	return failure(ctx, outcome)
}

// AbortMany aborts uploads of one bucket, Config.MaxConnections at once. The error is nil if all are gone, including those
// that did not exist. It is Partial if some uploads failed: the report has them.
//
// Progress is called on the goroutine that made the call, one call at a time. It returns whether to go on: false cancels
// the call, and Progress is not called again. It may be nil.
//
// There is a report whatever the error, except InvalidArgument: then it is nil, and nothing was sent. This includes a key or
// an upload id that contains U+0000 or is not valid UTF-8. Other invalid uploads fail alone.
func (c *Client) AbortMany(ctx context.Context, bucket string, uploads []Upload, progress func(Progress) bool) (*Report, error) {
	if err := checkTexts("bucket", bucket); err != nil {
		return nil, err
	}
	size := 0
	for i, upload := range uploads {
		for _, text := range []string{upload.Key, upload.UploadID} {
			if why := refusal(text); why != "" {
				return nil, refused(InvalidArgument, "upload %d: %q %s", i, text, why)
			}
			size += len(text) + 1
		}
	}

	// One block of memory for all strings, which must not move while C reads it.
	text := make([]byte, 0, size+1)
	var pinner runtime.Pinner
	pinner.Pin(unsafe.SliceData(text))
	defer pinner.Unpin()
	add := func(s string) *C.char {
		start := len(text)
		text = append(append(text, s...), 0)
		return (*C.char)(unsafe.Pointer(&text[start]))
	}
	entries := make([]C.obs_abort_upload, len(uploads))
	for i, upload := range uploads {
		entries[i] = C.obs_abort_upload{key: add(upload.Key), upload_id: add(upload.UploadID)}
	}
	return c.batch(ctx, len(uploads), &call{progress: progress}, func(client *C.obs_abort_client, call *C.obs_abort_call, callbacks C.uintptr_t,
		report **C.obs_abort_report, message **C.char) Code {
		return Code(C.obsabort_go_many(callbacks, flag(progress != nil), client, call, cString(bucket),
			unsafe.SliceData(entries), C.size_t(len(entries)), report, message))
	})
}

// AbortStale finds and aborts the uploads of a bucket that were initiated longer ago than age, by the clock of the service.
// Only uploads whose keys begin with prefix are listed. The error is nil if the last listing shows no upload that is old
// enough. It is Partial if some uploads failed: the report has them.
//
// The age must be a whole number of seconds, so that AbortStale(ctx, bucket, "", 24, ...) is refused: it would be 24 ns. An
// age of 0 is refused unless options allow it. Choose an age that no upload in progress can have.
//
// There is a report whatever the error, except InvalidArgument: then it is nil, and nothing was sent.
func (c *Client) AbortStale(ctx context.Context, bucket, prefix string, age time.Duration, options StaleOptions) (*Report, error) {
	if err := checkTexts("bucket", bucket, "prefix", prefix); err != nil {
		return nil, err
	}
	if age < 0 || age%time.Second != 0 {
		return nil, refused(InvalidArgument, "the age %v is not a whole number of seconds, such as 24 * time.Hour", age)
	}
	return c.batch(ctx, 0, &call{progress: options.Progress}, func(client *C.obs_abort_client, call *C.obs_abort_call, callbacks C.uintptr_t,
		report **C.obs_abort_report, message **C.char) Code {
		return Code(C.obsabort_go_stale(callbacks, flag(options.Progress != nil), client, call, cString(bucket),
			cString(prefix), C.uint64_t(age/time.Second), flags(options.DryRun, options.IncludeLive), report, message))
	})
}

// AbortStaleSeq is AbortStale as an iterator. It aborts uploads while it is iterated over, and yields the outcome of each as
// it is finished, with a nil error whatever the outcome is: see Outcome.Code. If AbortStale would return an error, the
// iterator yields it last, with a nil outcome. To leave the loop cancels the call.
//
// options.Progress is called as well, if it is not nil.
func (c *Client) AbortStaleSeq(ctx context.Context, bucket, prefix string, age time.Duration, options StaleOptions) iter.Seq2[*Outcome, error] {
	return outcomes(options.Progress, func(progress func(Progress) bool) error {
		options := options
		options.Progress = progress
		_, err := c.AbortStale(ctx, bucket, prefix, age, options)
		return err
	})
}

// outcomes makes an iterator of a call, which it passes a progress function that calls the caller's as well.
func outcomes(progress func(Progress) bool, run func(progress func(Progress) bool) error) iter.Seq2[*Outcome, error] {
	return func(yield func(*Outcome, error) bool) {
		left := false
		err := run(func(p Progress) bool {
			if progress != nil && !progress(p) {
				return false
			}
			if p.Outcome != nil && !yield(p.Outcome, nil) {
				left = true
			}
			return !left
		})
		if err != nil && !left {
			yield(nil, err)
		}
	}
}

// batch makes a call that has a report. If it cannot even begin, all uploads of the list are kept.
func (c *Client) batch(ctx context.Context, listed int, k *call, verb func(client *C.obs_abort_client,
	call *C.obs_abort_call, callbacks C.uintptr_t, report **C.obs_abort_report, message **C.char) Code) (*Report, error) {
	var report *Report
	result := Outcome{Index: -1}
	err := c.perform(ctx, c.batches, 0, k,
		func(client *C.obs_abort_client, call *C.obs_abort_call, callbacks C.uintptr_t) {
			var handle *C.obs_abort_report
			var message *C.char
			result.Code = verb(client, call, callbacks, &handle, &message)
			result.Message = takeString(message)
			report = newReport(handle)
			C.obs_abort_report_free(handle)
		})
	if err != nil {
		return &Report{Total: listed, Kept: listed}, err
	}
	return report, failure(ctx, result)
}

func checkTexts(namesAndValues ...string) error {
	for i := 0; i < len(namesAndValues); i += 2 {
		if why := refusal(namesAndValues[i+1]); why != "" {
			return refused(InvalidArgument, "the %s %q %s", namesAndValues[i], namesAndValues[i+1], why)
		}
	}
	return nil
}

func flags(dryRun, includeLive bool) (flags C.uint32_t) {
	if dryRun {
		flags |= C.OBS_ABORT_DRY_RUN
	}
	if includeLive {
		flags |= C.OBS_ABORT_INCLUDE_LIVE
	}
	return flags
}

func flag(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

package obsabort

/*
#include "bridge.h"
*/
import "C"

import (
	"context"
	"iter"
	"time"
)

// A Selection says which uploads [Client.Sweep] looks for. The bounds that are set hold together.
type Selection struct {
	// Only uploads whose keys begin with it are listed.
	Prefix string
	// Only uploads that were initiated longer ago, by the clock of the service: whole seconds. 0 if the age does not matter.
	OlderThan time.Duration
	// Only uploads that were initiated before it, in seconds, rounded down. The zero time if it does not matter.
	InitiatedBefore time.Time
	// Only uploads that were neither initiated nor got a part within this time. The parts are listed right before each abort;
	// if they cannot be, the upload is kept. Whole seconds; 0 if the parts do not matter.
	Idle time.Duration
	// Whether to fill Outcome.Parts, Bytes and LastPart, and Report.Bytes. Idle does, too.
	Measure bool
	// Keep returns whether an upload is to be kept although it is old enough. It is called on the goroutine that made the
	// call, before anything is sent for the upload, and again if the upload is listed again. Its parts are not known then.
	// May be nil.
	Keep func(*Outcome) bool
}

// SweepOptions are the options of [Client.Sweep].
type SweepOptions struct {
	// List the uploads that would be aborted, and abort none. Their outcomes have HTTPStatus 0 and Attempts 0.
	DryRun bool
	// Allow a selection without a bound, which aborts uploads that are in progress, too.
	IncludeLive bool
	// As in StaleOptions.
	Progress func(Progress) bool
}

// A Bucket is a bucket of the account.
type Bucket struct {
	Name     string
	Location string // the region, "" if the service does not tell
}

// Sweep finds and aborts the uploads of a bucket that a selection describes. The error is nil if the last listing shows none
// of them. It is Partial if some uploads failed: the report has them.
//
// A selection must have OlderThan, InitiatedBefore or Idle, unless options say otherwise.
//
// There is a report whatever the error, except InvalidArgument: then it is nil, and nothing was sent.
func (c *Client) Sweep(ctx context.Context, bucket string, selection Selection, options SweepOptions) (*Report, error) {
	if err := checkTexts("bucket", bucket, "prefix", selection.Prefix); err != nil {
		return nil, err
	}
	wanted := C.obs_abort_selection_new()
	if wanted == nil {
		return nil, refused(Internal, "no memory for a selection")
	}
	defer C.obs_abort_selection_free(wanted)
	if err := selection.fill(wanted); err != nil {
		return nil, err
	}
	k := &call{progress: options.Progress, keep: selection.Keep}
	return c.batch(ctx, 0, k, func(client *C.obs_abort_client, call *C.obs_abort_call, callbacks C.uintptr_t,
		report **C.obs_abort_report, message **C.char) Code {
		return Code(C.obsabort_go_sweep(callbacks, flag(k.progress != nil), flag(k.keep != nil), client, call,
			cString(bucket), wanted, flags(options.DryRun, options.IncludeLive), report, message))
	})
}

// SweepSeq is Sweep as an iterator. It aborts uploads while it is iterated over, and yields the outcome of each as it is
// finished, with a nil error whatever the outcome is: see Outcome.Code. If Sweep would return an error, the iterator yields it
// last, with a nil outcome. To leave the loop cancels the call.
//
// options.Progress is called as well, if it is not nil.
func (c *Client) SweepSeq(ctx context.Context, bucket string, selection Selection, options SweepOptions) iter.Seq2[*Outcome, error] {
	return outcomes(options.Progress, func(progress func(Progress) bool) error {
		options := options
		options.Progress = progress
		_, err := c.Sweep(ctx, bucket, selection, options)
		return err
	})
}

// Buckets returns the buckets of the account.
func (c *Client) Buckets(ctx context.Context) ([]Bucket, error) {
	k := &call{}
	result := Outcome{Index: -1}
	err := c.perform(ctx, c.aborts, 0, k,
		func(client *C.obs_abort_client, call *C.obs_abort_call, callbacks C.uintptr_t) {
			var message *C.char
			result.Code = Code(C.obsabort_go_buckets(callbacks, client, call, &message))
			result.Message = takeString(message)
		})
	if err == nil {
		err = failure(ctx, result)
	}
	if err != nil {
		return nil, err
	}
	return k.buckets, nil
}

func (s *Selection) fill(to *C.obs_abort_selection) error {
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"OlderThan", s.OlderThan}, {"Idle", s.Idle}} {
		if d.value < 0 || d.value%time.Second != 0 {
			return refused(InvalidArgument, "%s, %v, is not a whole number of seconds, such as 24 * time.Hour", d.name, d.value)
		}
	}
	// It remembers what it refuses, and obs_abort_sweep says what that was.
	C.obs_abort_selection_set_prefix(to, cString(s.Prefix))
	C.obs_abort_selection_set_older_than_seconds(to, C.uint64_t(s.OlderThan/time.Second))
	if !s.InitiatedBefore.IsZero() {
		C.obs_abort_selection_set_initiated_before(to, C.int64_t(s.InitiatedBefore.Unix()))
	}
	C.obs_abort_selection_set_idle_seconds(to, C.uint64_t(s.Idle/time.Second))
	C.obs_abort_selection_set_measure(to, C.int32_t(flag(s.Measure)))
	return nil
}

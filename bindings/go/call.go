package obsabort

/*
#include "bridge.h"
*/
import "C"

import (
	"context"
	"errors"
	"runtime/cgo"
	"time"
)

// A call is one call into the library. It runs on a goroutine of its own, and its callbacks run on the goroutine that made
// it: a panic in Go must not cross frames of C, and the caller is the one who can recover from it.
type call struct {
	handle    *C.obs_abort_call
	hasBudget bool // the library itself ends the call at the deadline of the context
	log       func(LogLevel, string)
	progress  func(Progress) bool
	keep      func(*Outcome) bool
	buckets   []Bucket // that the library has named
	stopped   bool     // progress returned false
	callbacks chan func() bool
	replies   chan bool
	finished  chan struct{}
	abandoned chan struct{} // closed if a callback does not return
}

// perform makes the call f, with the callbacks that k has. Config.Timeout is the limit of a single abort, which a deadline
// replaces only if it is shorter; 0 for the others, which have none.
func (c *Client) perform(ctx context.Context, places chan struct{}, limit time.Duration, k *call,
	f func(client *C.obs_abort_client, call *C.obs_abort_call, callbacks C.uintptr_t)) error {
	client, err := c.begin(ctx, places)
	if err != nil {
		return err
	}
	defer c.end(places)

	k.handle = C.obs_abort_call_new()
	k.log = c.log
	k.callbacks = make(chan func() bool)
	k.replies = make(chan bool)
	k.finished = make(chan struct{})
	k.abandoned = make(chan struct{})
	if k.handle == nil {
		return refused(Internal, "no memory for a call")
	}
	defer C.obs_abort_call_free(k.handle)
	if deadline, ok := ctx.Deadline(); ok {
		remaining := time.Until(deadline)
		if remaining <= 0 {
			return interrupted(ctx)
		}
		if ms, fits := milliseconds(remaining); fits && (limit == 0 || remaining < limit) {
			C.obs_abort_call_set_timeout_ms(k.handle, ms)
			k.hasBudget = true
		}
	}
	id := cgo.NewHandle(k)
	defer id.Delete()

	go func() {
		defer close(k.finished)
		f(client, k.handle, C.uintptr_t(id))
	}()
	k.wait(ctx)
	return nil
}

// wait runs the callbacks until the call has returned. It does not leave before that, whatever a callback does.
func (k *call) wait(ctx context.Context) {
	returned := false
	defer func() {
		if !returned {
			close(k.abandoned)
			C.obs_abort_call_cancel(k.handle)
			<-k.finished
		}
	}()
	done := ctx.Done()
	for {
		select {
		case <-k.finished:
			returned = true
			return
		case <-done:
			done = nil
			k.interrupt(ctx)
		case callback := <-k.callbacks:
			goOn := callback()
			if !goOn {
				C.obs_abort_call_cancel(k.handle)
			} else if ctx.Err() != nil {
				// Before the reply: nothing is sent for an upload that Keep was asked about meanwhile.
				k.interrupt(ctx)
			}
			k.replies <- goOn
		}
	}
}

// interrupt ends a call whose context is done.
func (k *call) interrupt(ctx context.Context) {
	// At the deadline, the library ends the call by itself, and says Timeout rather than Cancelled.
	if !k.hasBudget || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		C.obs_abort_call_cancel(k.handle)
	}
}

// run has the caller's goroutine run a callback, and waits for it.
func (k *call) run(callback func() bool) bool {
	select {
	case k.callbacks <- callback:
	case <-k.abandoned:
		return false
	}
	select {
	case goOn := <-k.replies:
		return goOn
	case <-k.abandoned:
		return false
	}
}

//export obsabortGoLog
func obsabortGoLog(id C.uintptr_t, level C.int32_t, message *C.char) {
	k := cgo.Handle(id).Value().(*call)
	text := C.GoString(message)
	k.run(func() bool {
		k.log(LogLevel(level), text)
		return true
	})
}

//export obsabortGoProgress
func obsabortGoProgress(id C.uintptr_t, outcome *C.obs_abort_outcome, done, total C.uint64_t) C.int32_t {
	k := cgo.Handle(id).Value().(*call)
	progress := Progress{Done: int(done), Total: int(total)}
	if outcome != nil {
		copied := newOutcome(outcome)
		progress.Outcome = &copied
	}
	goOn := k.run(func() bool {
		// The library goes on to tell of uploads that were in progress. A loop over an iterator that was left must not be
		// entered again.
		if !k.stopped {
			k.stopped = !k.progress(progress)
		}
		return !k.stopped
	})
	if goOn {
		return 0
	}
	return 1
}

//export obsabortGoKeep
func obsabortGoKeep(id C.uintptr_t, candidate *C.obs_abort_outcome) C.int32_t {
	k := cgo.Handle(id).Value().(*call)
	copied := newOutcome(candidate)
	// An upload that the function was not asked about, or did not return for, is kept.
	keep := true
	k.run(func() bool {
		if !k.stopped {
			keep = k.keep(&copied)
		}
		return !k.stopped
	})
	return C.int32_t(flag(keep))
}

//export obsabortGoBucket
func obsabortGoBucket(id C.uintptr_t, name, location *C.char) C.int32_t {
	k := cgo.Handle(id).Value().(*call)
	k.buckets = append(k.buckets, Bucket{Name: C.GoString(name), Location: C.GoString(location)})
	return 0
}

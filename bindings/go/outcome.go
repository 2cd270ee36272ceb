package obsabort

/*
#include "bridge.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// An Outcome is all that is known about the abort of one upload.
type Outcome struct {
	Key      string
	UploadID string
	Code     Code
	// One line that begins with the name of the code. "" on success.
	Message string
	// The status of the response that decided the code. 0 if no response did.
	HTTPStatus int
	// The error code of the service, such as "NoSuchUpload". "" if there is none.
	ServiceCode string
	// x-obs-request-id and x-obs-id-2 of the response that decided the code. Huawei's support asks for them.
	RequestID string
	HostID    string
	// The number of abort requests that were sent. If the code is Cancelled or Timeout and the number is not 0, the upload
	// may be gone.
	Attempts int
	// When the upload was initiated, by the clock of the service. The zero time if it is not known. Only AbortStale and
	// Sweep know.
	Initiated time.Time
	// The index of the upload in the list of AbortMany. Otherwise -1.
	Index int
	// The number of parts, their bytes, and when the youngest was written. Zero if they are not known: Sweep alone looks at
	// the parts, if its selection has Idle or Measure.
	Parts    int
	Bytes    int64
	LastPart time.Time
}

// A Report has the results of AbortMany, AbortStale or Sweep. Each upload is counted once, so that
// Total = Aborted + Missing + Failed + Kept.
type Report struct {
	// The uploads in the list, or those that were found.
	Total int
	// Those that are gone because of this call. In a dry run, those that would be aborted.
	Aborted int
	// Those that did not exist when their abort was sent.
	Missing int
	// Those whose abort failed.
	Failed int
	// Those that were left alone: too young, of unknown age, active, kept by Selection.Keep, or not begun when the call
	// ended.
	Kept int
	// Those of the kept ones whose age is unknown.
	UnknownAge int
	// Those of the kept ones that were initiated at the cutoff or later.
	Younger int
	// Those of the kept ones with a part younger than Selection.Idle, or whose parts could not be listed.
	Active int
	// The bytes of the aborted ones, if Selection.Measure or Idle is set. In a dry run, of those that would be aborted.
	Bytes int64
	// Whether a whole last listing showed nothing left to do, and all parts could be listed.
	Complete bool
	// How often the service asked to slow down.
	Throttled int
	// The outcomes of the first 1000 failed uploads.
	Failures []Outcome
}

// An Error says why a call failed. The fields of its Outcome are set as far as they are known: for Abort all of them, for
// the other calls Code and Message.
//
// It wraps its Code and, if the context ended the call, the context's error and its cause.
type Error struct {
	Outcome
	causes []error
}

// Error returns Outcome.Message: one line that begins with the name of the code.
func (e *Error) Error() string {
	return e.Message
}

// Unwrap is for package errors.
func (e *Error) Unwrap() []error {
	return append([]error{e.Code}, e.causes...)
}

// failure returns nil for OK, and a plain nil at that: a nil *Error in an error would not be nil.
func failure(ctx context.Context, outcome Outcome) error {
	if outcome.Code == OK {
		return nil
	}
	e := &Error{Outcome: outcome}
	if outcome.Code == Cancelled || outcome.Code == Timeout {
		e.causes = causes(ctx)
	}
	return e
}

// causes says why the context ended, and is empty if it did not. The library may notice a deadline just before the context.
func causes(ctx context.Context) []error {
	err := ctx.Err()
	if deadline, ok := ctx.Deadline(); err == nil && ok && !time.Now().Before(deadline) {
		return []error{context.DeadlineExceeded}
	}
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != err {
		return []error{err, cause}
	}
	return []error{err}
}

// interrupted is the error of a call whose context was done before it began.
func interrupted(ctx context.Context) error {
	e := refused(Cancelled, "the context was done before the call began")
	e.causes = causes(ctx)
	for _, cause := range e.causes {
		if errors.Is(cause, context.DeadlineExceeded) {
			e.Code = Timeout
			e.Message = "timeout: the deadline of the context passed before the call began"
		}
	}
	return e
}

func errClosed() error {
	return refused(Cancelled, "the client is closed")
}

func refused(code Code, format string, arguments ...any) *Error {
	message := code.Error() + ": " + fmt.Sprintf(format, arguments...)
	return &Error{Outcome: Outcome{Code: code, Message: message, Index: -1}}
}

func newOutcome(o *C.obs_abort_outcome) Outcome {
	outcome := Outcome{
		Key:         C.GoString(C.obs_abort_outcome_key(o)),
		UploadID:    C.GoString(C.obs_abort_outcome_upload_id(o)),
		Code:        Code(C.obs_abort_outcome_code(o)),
		Message:     C.GoString(C.obs_abort_outcome_message(o)),
		HTTPStatus:  int(C.obs_abort_outcome_http_status(o)),
		ServiceCode: C.GoString(C.obs_abort_outcome_service_code(o)),
		RequestID:   C.GoString(C.obs_abort_outcome_request_id(o)),
		HostID:      C.GoString(C.obs_abort_outcome_host_id(o)),
		Attempts:    int(C.obs_abort_outcome_attempts(o)),
		Index:       int(C.obs_abort_outcome_index(o)),
		Parts:       int(C.obs_abort_outcome_parts(o)),
		Bytes:       int64(C.obs_abort_outcome_bytes(o)),
	}
	if seconds := C.obs_abort_outcome_initiated(o); seconds >= 0 {
		outcome.Initiated = time.Unix(int64(seconds), 0).UTC()
	}
	if seconds := C.obs_abort_outcome_last_part(o); seconds >= 0 {
		outcome.LastPart = time.Unix(int64(seconds), 0).UTC()
	}
	return outcome
}

func newReport(r *C.obs_abort_report) *Report {
	if r == nil {
		return nil
	}
	report := &Report{
		Total:      int(C.obs_abort_report_total(r)),
		Aborted:    int(C.obs_abort_report_aborted(r)),
		Missing:    int(C.obs_abort_report_missing(r)),
		Failed:     int(C.obs_abort_report_failed(r)),
		Kept:       int(C.obs_abort_report_kept(r)),
		UnknownAge: int(C.obs_abort_report_unknown_age(r)),
		Younger:    int(C.obs_abort_report_younger(r)),
		Active:     int(C.obs_abort_report_active(r)),
		Bytes:      int64(C.obs_abort_report_bytes(r)),
		Complete:   C.obs_abort_report_complete(r) != 0,
		Throttled:  int(C.obs_abort_report_throttled(r)),
	}
	for i := range C.obs_abort_report_failure_count(r) {
		report.Failures = append(report.Failures, newOutcome(C.obs_abort_report_failure(r, i)))
	}
	return report
}

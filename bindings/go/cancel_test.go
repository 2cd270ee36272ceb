package obsabort_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"obsabort"
)

// The library promises 250 ms for a call that is cancelled.
const promised = 250 * time.Millisecond

func TestTwentyCancellations(t *testing.T) {
	server := startOBS(t)
	uploads := server.newUploads(20)
	server.hangs()
	client := server.client()
	reason := errors.New("the operator pressed Ctrl-C")
	for i, upload := range uploads {
		ctx, cancel := context.WithCancelCause(background)
		var began time.Time
		time.AfterFunc(time.Duration(20+7*i)*time.Millisecond, func() {
			began = time.Now()
			cancel(reason)
		})
		err := client.Abort(ctx, bucket, upload.Key, upload.UploadID)
		wantWithin(t, promised, began)
		failure := wantCode(t, err, obsabort.Cancelled)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, reason) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v wraps %v", err, failure.Unwrap())
		}
		if failure.Attempts > 1 {
			t.Errorf("%d attempts", failure.Attempts)
		}
	}
	if left := server.uploads(); len(left) != 20 {
		t.Errorf("%d uploads are left", len(left))
	}
}

func TestCancellationOfManyAndStale(t *testing.T) {
	server := startOBS(t)
	uploads := server.newUploads(100)
	server.hangs()
	client := server.client(func(c *obsabort.Config) { c.MaxConnections = 8 })
	for name, verb := range map[string]func(context.Context) (*obsabort.Report, error){
		"many": func(ctx context.Context) (*obsabort.Report, error) {
			return client.AbortMany(ctx, bucket, uploads, nil)
		},
		"many with progress": func(ctx context.Context) (*obsabort.Report, error) {
			return client.AbortMany(ctx, bucket, uploads, func(obsabort.Progress) bool { return true })
		},
		"stale": func(ctx context.Context) (*obsabort.Report, error) {
			return client.AbortStale(ctx, bucket, "", time.Hour, obsabort.StaleOptions{})
		},
	} {
		ctx, cancel := context.WithCancel(background)
		var began time.Time
		time.AfterFunc(500*time.Millisecond, func() {
			began = time.Now()
			cancel()
		})
		report, err := verb(ctx)
		wantWithin(t, promised, began)
		if wantCode(t, err, obsabort.Cancelled); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		if report == nil || report.Total != 100 || report.Failed < 1 || report.Failed > 8 || report.Failed+report.Kept != 100 || report.Failures[0].Code != obsabort.Cancelled {
			t.Errorf("%s: %+v", name, report)
		}
	}
}

func TestDeadline(t *testing.T) {
	server := startOBS(t)
	upload := server.newUploads(1)[0]
	server.hangs()
	client := server.client()
	for name, verb := range map[string]func(context.Context) error{
		"one": func(ctx context.Context) error { return client.Abort(ctx, bucket, upload.Key, upload.UploadID) },
		"many": func(ctx context.Context) error {
			_, err := client.AbortMany(ctx, bucket, []obsabort.Upload{upload}, nil)
			return err
		},
		"stale": func(ctx context.Context) error {
			_, err := client.AbortStale(ctx, bucket, "", time.Hour, obsabort.StaleOptions{})
			return err
		},
		"sweep": func(ctx context.Context) error {
			_, err := client.Sweep(ctx, bucket, obsabort.Selection{Idle: time.Hour}, obsabort.SweepOptions{})
			return err
		},
	} {
		const limit = 400 * time.Millisecond
		ctx, cancel := context.WithTimeout(background, limit)
		began := time.Now()
		err := verb(ctx)
		cancel()
		wantWithin(t, limit+promised, began)
		if took := time.Since(began); took < limit {
			t.Errorf("%s: ended after %v, before the deadline", name, took)
		}
		if wantCode(t, err, obsabort.Timeout); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A deadline never gives a call more time than the client's own limit, and that limit is no deadline of the context.
func TestDeadlineBeyondTheTimeout(t *testing.T) {
	server := startOBS(t)
	upload := server.newUploads(1)[0]
	server.hangs()
	client := server.client(func(c *obsabort.Config) { c.Timeout = 300 * time.Millisecond })
	ctx, cancel := context.WithTimeout(background, time.Hour)
	defer cancel()
	began := time.Now()
	err := client.Abort(ctx, bucket, upload.Key, upload.UploadID)
	wantWithin(t, 300*time.Millisecond+promised, began)
	if wantCode(t, err, obsabort.Timeout); errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v is taken for the deadline of the context", err)
	}
}

func TestContextThatIsDoneBefore(t *testing.T) {
	server := startOBS(t)
	client := server.client()
	before := server.count("counts", "requests")
	cancelled, cancel := context.WithCancel(background)
	cancel()
	past, cancel := context.WithDeadline(background, time.Now().Add(-time.Second))
	defer cancel()
	err := client.Abort(cancelled, bucket, "key", "id")
	if wantCode(t, err, obsabort.Cancelled); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	report, err := client.AbortStale(past, bucket, "", time.Hour, obsabort.StaleOptions{})
	if wantCode(t, err, obsabort.Timeout); !errors.Is(err, context.DeadlineExceeded) || report == nil {
		t.Errorf("%v, %v", report, err)
	}
	if after := server.count("counts", "requests"); after != before {
		t.Errorf("%d requests were sent", after-before)
	}
}

func TestStopFromProgressWhileTheServerHangs(t *testing.T) {
	server := startOBS(t)
	uploads := server.newUploads(500)
	server.must("fault silence;then=stall;method=DELETE;skip=3;always")
	client := server.client(func(c *obsabort.Config) { c.MaxConnections = 8 })
	var stopped time.Time
	// On the 3rd outcome, or on the first heartbeat after it.
	stop := func(p obsabort.Progress) bool {
		if p.Done < 3 || p.Outcome != nil {
			return true
		}
		if stopped.IsZero() {
			stopped = time.Now()
		}
		return false
	}
	report, err := client.AbortMany(background, bucket, uploads, stop)
	wantWithin(t, 300*time.Millisecond, stopped)
	if wantCode(t, err, obsabort.Cancelled); report.Aborted != 3 || report.Total != 500 || errors.Is(err, context.Canceled) {
		t.Errorf("%v; %+v", err, report)
	}

	server.must("clear-faults", "fault silence;then=stall;method=DELETE;skip=3;always")
	stopped = time.Time{}
	report, err = client.AbortStale(background, bucket, "", time.Hour, obsabort.StaleOptions{Progress: stop})
	wantWithin(t, 300*time.Millisecond, stopped)
	if wantCode(t, err, obsabort.Cancelled); report.Aborted != 3 {
		t.Errorf("%v; %+v", err, report)
	}

	server.must("clear-faults", "fault silence;then=stall;method=DELETE;skip=3;always")
	seen := 0
	for _, err := range client.AbortStaleSeq(background, bucket, "", time.Hour, obsabort.StaleOptions{}) {
		check(t, err)
		if seen++; seen == 3 {
			stopped = time.Now()
			break
		}
	}
	wantWithin(t, 300*time.Millisecond, stopped)
	if left := server.uploads(); len(left) != 491 {
		t.Errorf("%d uploads are left", len(left))
	}
}

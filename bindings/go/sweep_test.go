package obsabort_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"obsabort"
)

func TestIdleAndMeasure(t *testing.T) {
	server := startOBS(t, "--uploads", bucket+":5:172800:old/", "--uploads", bucket+":1:172800:live")
	server.must("parts " + bucket + ":live:3:10000:5")
	client := server.client()
	found := map[string]*obsabort.Outcome{}
	dry, err := client.Sweep(background, bucket, obsabort.Selection{Measure: true}, obsabort.SweepOptions{
		DryRun: true,
		Progress: func(p obsabort.Progress) bool {
			if p.Outcome != nil {
				found[p.Outcome.Key] = p.Outcome
			}
			return true
		},
	})
	check(t, err)
	if dry.Aborted != 6 || dry.Bytes != 30000 || len(found) != 6 {
		t.Errorf("the dry run says %+v of %d", dry, len(found))
	}
	for key, outcome := range found {
		if strings.HasPrefix(key, "live") {
			if outcome.Parts != 3 || outcome.Bytes != 30000 || time.Since(outcome.LastPart) > time.Minute {
				t.Errorf("%+v", outcome)
			}
		} else if outcome.Parts != 0 || outcome.Bytes != 0 || !outcome.LastPart.IsZero() {
			t.Errorf("%+v", outcome)
		}
	}

	report, err := client.Sweep(background, bucket, obsabort.Selection{Idle: time.Hour, Measure: true}, obsabort.SweepOptions{})
	check(t, err)
	if report.Aborted != 5 || report.Active != 1 || report.Kept != 1 || report.Younger != 0 || report.Bytes != 0 || !report.Complete {
		t.Errorf("%+v", report)
	}
	if left := server.uploads(); len(left) != 1 || !strings.HasPrefix(left[0].Key, "live") {
		t.Errorf("%v are left", left)
	}

	report, err = client.Sweep(background, bucket, obsabort.Selection{Idle: time.Second}, obsabort.SweepOptions{})
	if check(t, err); report.Aborted != 1 || report.Bytes != 30000 || len(server.uploads()) != 0 {
		t.Errorf("%+v", report)
	}
}

func TestBoundsHoldTogether(t *testing.T) {
	server := startOBS(t, "--uploads", bucket+":4:172800:a/", "--uploads", bucket+":3:90000:a/", "--uploads",
		bucket+":2:172800:b/", "--uploads", bucket+":1:60:a/")
	client := server.client()
	now := time.Now()
	for i, test := range []struct {
		selection        obsabort.Selection
		aborted, younger int
	}{
		{obsabort.Selection{OlderThan: 24 * time.Hour}, 9, 1},
		{obsabort.Selection{InitiatedBefore: now.Add(-30 * time.Hour)}, 6, 4},
		{obsabort.Selection{InitiatedBefore: now.Add(-30 * time.Hour), OlderThan: time.Hour}, 6, 4},
		{obsabort.Selection{InitiatedBefore: now.Add(-time.Hour), OlderThan: 30 * time.Hour}, 6, 4},
		{obsabort.Selection{Prefix: "a/", OlderThan: 30 * time.Hour}, 4, 4},
	} {
		report, err := client.Sweep(background, bucket, test.selection, obsabort.SweepOptions{DryRun: true})
		if check(t, err); report.Aborted != test.aborted || report.Younger != test.younger {
			t.Errorf("%d: %+v", i, report)
		}
	}
	if left := len(server.uploads()); left != 10 {
		t.Errorf("%d uploads are left after dry runs", left)
	}
}

func TestSelectionsThatAreMistakes(t *testing.T) {
	server := startOBS(t, "--uploads", bucket+":3:90000")
	client := server.client()
	before := server.count("counts", "requests")
	for _, selection := range []obsabort.Selection{
		{},
		{Measure: true},
		{OlderThan: 24},
		{OlderThan: -time.Hour},
		{Idle: 1500 * time.Millisecond},
		{Idle: -1},
		{InitiatedBefore: time.Now().Add(time.Hour)},
		{Idle: time.Hour, Prefix: "a\x00b"},
		{Idle: time.Hour, Prefix: "a\xff"},
		{Idle: time.Hour, Prefix: strings.Repeat("p", 1025)},
	} {
		report, err := client.Sweep(background, bucket, selection, obsabort.SweepOptions{})
		if wantCode(t, err, obsabort.InvalidArgument); report != nil {
			t.Errorf("a report for %+v: %+v", selection, report)
		}
	}
	if after := server.count("counts", "requests"); after != before {
		t.Errorf("%d requests were sent", after-before)
	}
	report, err := client.Sweep(background, bucket, obsabort.Selection{}, obsabort.SweepOptions{IncludeLive: true})
	if check(t, err); report.Aborted != 3 {
		t.Errorf("%+v", report)
	}
}

func TestKeep(t *testing.T) {
	server := startOBS(t, "--uploads", bucket+":1500:172800:old/", "--uploads", bucket+":5:60:young/")
	client := server.client()
	asked, kept := map[string]bool{}, map[string]bool{}
	selection := obsabort.Selection{OlderThan: 24 * time.Hour, Measure: true, Keep: func(candidate *obsabort.Outcome) bool {
		if candidate.Initiated.IsZero() || candidate.Attempts != 0 || candidate.Parts != 0 {
			t.Errorf("%+v", candidate)
		}
		asked[candidate.Key] = true
		kept[candidate.Key] = strings.HasSuffix(candidate.Key, "7")
		return kept[candidate.Key]
	}}
	for outcome, err := range client.SweepSeq(background, bucket, selection, obsabort.SweepOptions{}) {
		check(t, err)
		if !asked[outcome.Key] || kept[outcome.Key] {
			t.Errorf("%+v", outcome)
		}
	}
	if left := server.uploads(); len(left) != 155 || len(asked) != 1500 {
		t.Errorf("%d uploads are left of %d", len(left), len(asked))
	}
	clear(asked)
	report, err := client.Sweep(background, bucket, selection, obsabort.SweepOptions{})
	if check(t, err); report.Kept != 155 || report.Younger != 5 || report.Aborted != 0 || !report.Complete {
		t.Errorf("%+v", report)
	}
}

// What is cancelled, or panics, in Keep sends nothing for the upload that it was asked about.
func TestKeepThatEndsTheCall(t *testing.T) {
	server := startOBS(t)
	server.newUploads(100)
	client := server.client()
	asked := 0
	ctx, cancel := context.WithCancel(background)
	report, err := client.Sweep(ctx, bucket, obsabort.Selection{Idle: time.Hour, Keep: func(*obsabort.Outcome) bool {
		asked++
		cancel()
		return false
	}}, obsabort.SweepOptions{})
	if wantCode(t, err, obsabort.Cancelled); !errors.Is(err, context.Canceled) || report.Aborted != 0 || asked != 1 {
		t.Errorf("%v; %+v; asked %d times", err, report, asked)
	}
	asked = 0
	func() {
		defer func() {
			if recovered := recover(); recovered != "on purpose" {
				t.Errorf("recovered: %v", recovered)
			}
		}()
		client.Sweep(background, bucket, obsabort.Selection{Idle: time.Hour, Keep: func(*obsabort.Outcome) bool {
			asked++
			panic("on purpose")
		}}, obsabort.SweepOptions{})
	}()
	if left := len(server.uploads()); left != 100 || asked != 1 {
		t.Errorf("%d uploads are left; asked %d times", left, asked)
	}
}

// A lateContext is over some time before its channel says so.
type lateContext struct {
	context.Context
	done chan struct{}
	over atomic.Bool
}

func (c *lateContext) Done() <-chan struct{} { return c.done }

func (c *lateContext) Err() error {
	if c.over.Load() {
		return context.Canceled
	}
	return nil
}

// Whichever is seen first, the end of the context or what Keep returns: nothing is sent.
func TestContextThatEndsInKeep(t *testing.T) {
	server := startOBS(t)
	server.newUploads(100)
	ctx := &lateContext{Context: background, done: make(chan struct{})}
	time.AfterFunc(time.Second, func() { close(ctx.done) })
	report, err := server.client().Sweep(ctx, bucket, obsabort.Selection{Idle: time.Hour, Keep: func(*obsabort.Outcome) bool {
		ctx.over.Store(true)
		return false
	}}, obsabort.SweepOptions{})
	if wantCode(t, err, obsabort.Cancelled); !errors.Is(err, context.Canceled) || report.Aborted != 0 {
		t.Errorf("%v; %+v", err, report)
	}
	if left := len(server.uploads()); left != 100 {
		t.Errorf("%d uploads are left", left)
	}
}

func TestBuckets(t *testing.T) {
	server := startOBS(t, "--bucket", "more-bindings")
	client := server.client(func(c *obsabort.Config) { c.MaxConcurrent = 1 })
	buckets, err := client.Buckets(background)
	check(t, err)
	if len(buckets) != 2 || buckets[0].Name != bucket || buckets[1].Name != "more-bindings" {
		t.Errorf("%+v", buckets)
	}
	cancelled, cancel := context.WithCancel(background)
	cancel()
	_, err = client.Buckets(cancelled)
	if wantCode(t, err, obsabort.Cancelled); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	server.must("fault answer=403;error=AccessDenied;method=GET;always")
	buckets, err = client.Buckets(background)
	if wantCode(t, err, obsabort.AccessDenied); buckets != nil {
		t.Errorf("%+v", buckets)
	}
}

package obsabort_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"obsabort"
)

// goroutine returns the number of the goroutine that runs, which only its stack trace tells.
func goroutine() string {
	stack := make([]byte, 64)
	return strings.Fields(string(stack[:runtime.Stack(stack, false)]))[1]
}

// What a callback may do to leave other than by returning.
var misdeeds = map[string]func(){
	"panic": func() { panic("on purpose") },
	"fault": func() {
		var nothing *obsabort.Outcome
		nothing.Key = ""
	},
	"Goexit": runtime.Goexit,
}

type calls struct {
	client  *obsabort.Client
	uploads []obsabort.Upload
}

// The places that a callback runs in: each calls back at least once.
var places = map[string]func(c calls, callback func()){
	"progress of many": func(c calls, callback func()) {
		c.client.AbortMany(background, bucket, c.uploads, func(obsabort.Progress) bool { callback(); return true })
	},
	"progress of stale": func(c calls, callback func()) {
		progress := func(obsabort.Progress) bool { callback(); return true }
		c.client.AbortStale(background, bucket, "", time.Hour, obsabort.StaleOptions{Progress: progress})
	},
	"keep of sweep": func(c calls, callback func()) {
		keep := func(*obsabort.Outcome) bool { callback(); return false }
		c.client.Sweep(background, bucket, obsabort.Selection{OlderThan: time.Hour, Keep: keep}, obsabort.SweepOptions{})
	},
	"loop over a sweep": func(c calls, callback func()) {
		for range c.client.SweepSeq(background, bucket, obsabort.Selection{Idle: time.Hour}, obsabort.SweepOptions{}) {
			callback()
		}
	},
	"loop over an iterator": func(c calls, callback func()) {
		for range c.client.AbortStaleSeq(background, bucket, "", time.Hour, obsabort.StaleOptions{}) {
			callback()
		}
	},
	"log of one": func(c calls, _ func()) {
		c.client.Abort(background, bucket, c.uploads[0].Key, c.uploads[0].UploadID)
	},
	"log of many": func(c calls, _ func()) { c.client.AbortMany(background, bucket, c.uploads, nil) },
	"log of stale": func(c calls, _ func()) {
		c.client.AbortStale(background, bucket, "", time.Hour, obsabort.StaleOptions{})
	},
}

// loggingClient has a log that calls *callback, if it is set.
func loggingClient(server *obsLocal, callback *func()) *obsabort.Client {
	return server.client(func(c *obsabort.Config) {
		c.LogLevel = obsabort.LogDebug
		c.Log = func(obsabort.LogLevel, string) {
			if *callback != nil {
				(*callback)()
			}
		}
	})
}

func TestCallbacksThatDoNotReturn(t *testing.T) {
	for place, run := range places {
		for misdeed, commit := range misdeeds {
			t.Run(place+"/"+misdeed, func(t *testing.T) {
				server := startOBS(t)
				var logged func()
				client := loggingClient(server, &logged)
				uploads := server.newUploads(20)
				server.must("fault silence;then=stall;method=DELETE;skip=2;always")
				before := runtime.NumGoroutine()
				returned, recovered := false, any(nil)
				left := make(chan struct{})
				var began time.Time
				go func() {
					defer close(left)
					defer func() { recovered = recover() }()
					misbehave := func() {
						began = time.Now()
						commit()
					}
					if strings.HasPrefix(place, "log") {
						logged = misbehave
					}
					run(calls{client, uploads}, misbehave)
					returned = true
				}()
				<-left
				wantWithin(t, promised, began)
				if returned || (recovered == nil) != (misdeed == "Goexit") {
					t.Errorf("returned: %v; recovered: %v", returned, recovered)
				}
				if _, isError := recovered.(runtime.Error); isError != (misdeed == "fault") {
					t.Errorf("recovered: %v", recovered)
				}
				// Everything has ended, and the client is as good as before.
				eventually(t, "goroutines of the call end", func() bool { return runtime.NumGoroutine() <= before })
				logged = nil
				server.must("clear-faults")
				for _, upload := range uploads {
					err := client.Abort(background, bucket, upload.Key, upload.UploadID)
					if err != nil && !errors.Is(err, obsabort.NoSuchUpload) {
						t.Error(err)
					}
				}
				if left := server.uploads(); len(left) != 0 {
					t.Errorf("%d uploads are left", len(left))
				}
				client.Close()
				eventually(t, "the client's connections are closed", func() bool { return server.count("connections", "open") == 0 })
			})
		}
	}
}

func TestCallbacksRunOnTheCallersGoroutineAndSurviveCollection(t *testing.T) {
	for place, run := range places {
		t.Run(place, func(t *testing.T) {
			server := startOBS(t)
			var logged func()
			client := loggingClient(server, &logged)
			uploads := server.newUploads(20)
			caller, count, wrong := goroutine(), 0, 0
			callback := func() {
				count++
				if goroutine() != caller {
					wrong++
				}
				runtime.GC()
			}
			if strings.HasPrefix(place, "log") {
				logged = callback
			}
			run(calls{client, uploads}, callback)
			if count == 0 || wrong != 0 {
				t.Errorf("%d callbacks, %d on another goroutine", count, wrong)
			}
			if left := len(server.uploads()); left != 0 && place != "log of one" {
				t.Errorf("%d uploads are left", left)
			}
		})
	}
}

func TestLog(t *testing.T) {
	server := startOBS(t)
	type line struct {
		level obsabort.LogLevel
		text  string
	}
	var lines []line
	client := server.client(func(c *obsabort.Config) {
		c.Log = func(level obsabort.LogLevel, text string) { lines = append(lines, line{level, text}) }
	})
	upload := server.newUploads(1)[0]
	server.must("fault answer=500;method=DELETE;times=1")
	check(t, client.Abort(background, bucket, upload.Key, upload.UploadID))
	if len(lines) != 1 || lines[0].level != obsabort.LogWarn || !strings.HasPrefix(lines[0].text, "500 (request id ") {
		t.Errorf("the lines are %q", lines)
	}
}

// Lines go to the goroutine that they are about, however many there are.
func TestLogOfManyGoroutines(t *testing.T) {
	server := startOBS(t)
	uploads := server.newUploads(64)
	var wrong atomic.Int32
	var lines atomic.Int32
	owner := make([]atomic.Value, len(uploads))
	client := server.client(func(c *obsabort.Config) {
		c.LogLevel = obsabort.LogInfo
		c.Log = func(_ obsabort.LogLevel, text string) {
			for i, upload := range uploads {
				if strings.Contains(text, upload.UploadID) {
					lines.Add(1)
					if owner[i].Load() != goroutine() {
						wrong.Add(1)
					}
				}
			}
		}
	})
	together(len(uploads), func(i int) {
		owner[i].Store(goroutine())
		if err := client.Abort(background, bucket, uploads[i].Key, uploads[i].UploadID); err != nil {
			t.Error(err)
		}
	})
	if lines.Load() != 64 || wrong.Load() != 0 {
		t.Errorf("%d lines, %d of them on a wrong goroutine", lines.Load(), wrong.Load())
	}
}

func TestCallbacksMayUseTheClient(t *testing.T) {
	server := startOBS(t)
	uploads := server.newUploads(10)
	client := server.client(func(c *obsabort.Config) { c.MaxConcurrent = 1 })
	ctx, cancel := context.WithTimeout(background, 10*time.Second)
	defer cancel()
	report, err := client.AbortMany(ctx, bucket, uploads[:5], func(p obsabort.Progress) bool {
		if p.Outcome != nil && p.Outcome.Code == obsabort.OK {
			upload := uploads[5+p.Outcome.Index]
			if err := client.Abort(ctx, bucket, upload.Key, upload.UploadID); err != nil {
				t.Error(err)
			}
			if err := client.SetCredentials(credentials); err != nil {
				t.Error(err)
			}
		}
		return true
	})
	check(t, err)
	if left := server.uploads(); report.Aborted != 5 || len(left) != 0 {
		t.Errorf("%+v, %d uploads are left", report, len(left))
	}
}

// The call uses the client until it returns, long after it was closed: it still has lines to log.
func TestCallbackMayCloseTheClient(t *testing.T) {
	server := startOBS(t)
	uploads := server.newUploads(100)
	server.must("fault silence;then=stall;method=DELETE;skip=3;always")
	closed, lines := false, 0
	client := server.client(func(c *obsabort.Config) {
		c.MaxConnections = 4
		c.Log = func(obsabort.LogLevel, string) {
			if closed {
				lines++
			}
		}
	})
	report, err := client.AbortMany(background, bucket, uploads, func(p obsabort.Progress) bool {
		// All workers hang by the time of a heartbeat.
		if p.Done == 3 && p.Outcome == nil && !closed {
			client.Close()
			closed = true
			// The workers notice it meanwhile.
			time.Sleep(300 * time.Millisecond)
		}
		return true
	})
	wantCode(t, err, obsabort.Cancelled)
	if report == nil || report.Aborted != 3 || report.Failed != 4 || report.Kept != 93 || lines != 4 {
		t.Errorf("%+v; %d lines", report, lines)
	}
	eventually(t, "the client is freed", func() bool { return server.count("connections", "open") == 0 })
}

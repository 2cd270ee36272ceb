package obsabort_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"obsabort"
)

func threads(t *testing.T) int {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Skip("the number of threads is known on Linux only")
	}
	return len(tasks)
}

func TestThousandHangingCallsOnBoundedThreads(t *testing.T) {
	server := startSilent(t)
	client := newClient(t, server.URL, func(c *obsabort.Config) { c.MaxConcurrent = 16 })
	before := threads(t)
	ctx, cancel := context.WithCancel(background)
	var failed atomic.Int32
	var began time.Time
	go func() {
		for range 16 {
			<-server.arrived
		}
		// The others have had their chance.
		time.Sleep(300 * time.Millisecond)
		if now := threads(t); now > before+16+8 {
			t.Errorf("%d threads, %d before", now, before)
		}
		began = time.Now()
		cancel()
	}()
	together(1000, func(i int) {
		err := client.Abort(ctx, bucket, fmt.Sprint("key", i), "id")
		if errors.Is(err, obsabort.Cancelled) && errors.Is(err, context.Canceled) {
			failed.Add(1)
		}
	})
	wantWithin(t, promised, began)
	if failed.Load() != 1000 {
		t.Errorf("%d calls were cancelled", failed.Load())
	}
	if requests := 16 + len(server.arrived); requests != 16 {
		t.Errorf("%d requests at once", requests)
	}
}

func TestCloseUnderHundredCallers(t *testing.T) {
	server := startSilent(t)
	client := newClient(t, server.URL, func(c *obsabort.Config) { c.MaxConnections = 2 })
	closed := make(chan struct{})
	var began time.Time
	go func() {
		defer close(closed)
		for range 32 {
			<-server.arrived
		}
		began = time.Now()
		together(3, func(int) { client.Close() })
	}()
	var cancelled atomic.Int32
	together(100, func(i int) {
		var err error
		switch i % 3 {
		case 0:
			_, err = client.AbortStale(background, bucket, "", time.Hour, obsabort.StaleOptions{})
		default:
			err = client.Abort(background, bucket, "key", "id")
		}
		if errors.Is(err, obsabort.Cancelled) && !errors.Is(err, context.Canceled) {
			cancelled.Add(1)
		} else {
			t.Error(err)
		}
	})
	<-closed
	wantWithin(t, promised, began)
	if cancelled.Load() != 100 {
		t.Errorf("%d calls were cancelled", cancelled.Load())
	}

	wantCode(t, client.Abort(background, bucket, "key", "id"), obsabort.Cancelled)
	wantCode(t, client.SetCredentials(credentials), obsabort.Cancelled)
	report, err := client.AbortMany(background, bucket, make([]obsabort.Upload, 3), nil)
	if wantCode(t, err, obsabort.Cancelled); report.Total != 3 || report.Kept != 3 {
		t.Errorf("%+v", report)
	}
	check(t, client.Close())
}

func TestClientThatNewDidNotMake(t *testing.T) {
	var client obsabort.Client
	wantCode(t, client.Abort(background, bucket, "key", "id"), obsabort.Cancelled)
	wantCode(t, client.SetCredentials(credentials), obsabort.Cancelled)
	check(t, client.Close())
}

func TestForgottenClientIsFreed(t *testing.T) {
	var open atomic.Int32
	server := startHTTP(t, nil)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
	}
	server.Start()
	const clients = 20
	func() {
		for range clients {
			client, err := obsabort.New(obsabort.Config{Endpoint: server.URL, Credentials: credentials, NoProxy: true})
			check(t, err)
			check(t, client.Abort(background, bucket, "key", "id"))
		}
	}()
	if open.Load() == 0 {
		t.Fatal("no connection was kept: this shows nothing")
	}
	eventually(t, "the connections of all clients are closed", func() bool {
		runtime.GC()
		return open.Load() == 0
	})
}

// The library overwrites what it frees. So a call whose client were freed would not try again, if it went on at all.
func TestClientIsNotFreedDuringItsLastCall(t *testing.T) {
	var requests atomic.Int32
	server := startHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(700 * time.Millisecond)
		if requests.Add(1) == 1 {
			w.WriteHeader(http.StatusInternalServerError)
		} else {
			w.WriteHeader(http.StatusNoContent)
		}
	})
	server.Start()
	stop := make(chan struct{})
	collecting := make(chan struct{})
	go func() {
		defer close(collecting)
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				runtime.GC()
			}
		}
	}()
	client, err := obsabort.New(obsabort.Config{Endpoint: server.URL, Credentials: credentials, NoProxy: true})
	check(t, err)
	check(t, client.Abort(background, bucket, "key", "id"))
	close(stop)
	<-collecting
}

func TestRotationUnderLoad(t *testing.T) {
	first := obsabort.Credentials{AccessKey: "FIRST", SecretKey: "first-secret"}
	second := obsabort.Credentials{AccessKey: "SECOND", SecretKey: "second-secret", SecurityToken: "a-token"}
	server := startOBS(t)
	server.must("add-key FIRST first-secret", "add-key SECOND second-secret a-token")
	uploads := server.newUploads(2000)
	rotated := server.client(func(c *obsabort.Config) { c.Credentials = first })
	steady := server.client()

	stop, rotations := make(chan struct{}), make(chan int)
	go func() {
		for count := 0; ; count++ {
			select {
			case <-stop:
				rotations <- count
				return
			default:
				if err := rotated.SetCredentials([]obsabort.Credentials{second, first}[count%2]); err != nil {
					t.Error(err)
				}
				time.Sleep(100 * time.Microsecond)
			}
		}
	}()
	together(8, func(i int) {
		client := []*obsabort.Client{rotated, steady}[i%2]
		for _, upload := range uploads[i*250 : (i+1)*250] {
			if err := client.Abort(background, bucket, upload.Key, upload.UploadID); err != nil {
				t.Error(err)
				return
			}
		}
	})
	close(stop)
	if count := <-rotations; count < 10 {
		t.Errorf("only %d rotations", count)
	}
	if left := server.uploads(); len(left) != 0 {
		t.Errorf("%d uploads are left", len(left))
	}

	// The last credentials are those that are used, and only by this client.
	check(t, rotated.SetCredentials(second))
	if reply := server.control("remove-key FIRST"); reply != "true" {
		t.Fatal(reply)
	}
	wantCode(t, rotated.Abort(background, bucket, "key", "id"), obsabort.NoSuchUpload)
	wantCode(t, steady.Abort(background, bucket, "key", "id"), obsabort.NoSuchUpload)
	wantCode(t, rotated.SetCredentials(obsabort.Credentials{AccessKey: "white space", SecretKey: "x"}), obsabort.InvalidArgument)
	wantCode(t, rotated.Abort(background, bucket, "key", "id"), obsabort.NoSuchUpload)
	check(t, rotated.SetCredentials(first))
	wantCode(t, rotated.Abort(background, bucket, "key", "id"), obsabort.AccessDenied)
	wantCode(t, steady.Abort(background, bucket, "key", "id"), obsabort.NoSuchUpload)
}

const exitEnv = "OBSABORT_TEST_EXIT_WITH_CALLS_AT"

// TestMain is also the program that exits with calls in flight.
func TestMain(m *testing.M) {
	if endpoint := os.Getenv(exitEnv); endpoint != "" {
		exitWithCallsInFlight(endpoint)
	}
	os.Exit(m.Run())
}

func exitWithCallsInFlight(endpoint string) {
	client, err := obsabort.New(obsabort.Config{Endpoint: endpoint, Credentials: credentials, NoProxy: true, MaxConcurrent: 64,
		LogLevel: obsabort.LogDebug, Log: func(obsabort.LogLevel, string) {}})
	if err != nil {
		os.Exit(2)
	}
	for range 64 {
		go client.Abort(background, bucket, "key", "id")
	}
	os.Stdin.Read(make([]byte, 1))
	os.Exit(7)
}

func TestExitWithCallsInFlight(t *testing.T) {
	server := startSilent(t)
	program := exec.Command(os.Args[0])
	program.Env = append(os.Environ(), exitEnv+"="+server.URL)
	program.Stderr = os.Stderr
	stdin, err := program.StdinPipe()
	check(t, err)
	check(t, program.Start())
	for range 64 {
		<-server.arrived
	}
	began := time.Now()
	stdin.Close()
	program.Wait()
	wantWithin(t, 2*time.Second, began)
	if code := program.ProcessState.ExitCode(); code != 7 {
		t.Errorf("ended with %v instead of 7", program.ProcessState)
	}
}

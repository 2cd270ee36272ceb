package obsabort_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"obsabort"
)

const bucket = "bindings"

var credentials = obsabort.Credentials{AccessKey: "GOACCESSKEY", SecretKey: "a-secret-of-the-go-tests"}

// An obsLocal is the project's small OBS, the program that OBS_LOCAL names, and takes commands.
type obsLocal struct {
	t        *testing.T
	program  string
	endpoint string
	commands io.Writer
	replies  *bufio.Reader
}

func startOBS(t *testing.T, options ...string) *obsLocal {
	t.Helper()
	program := os.Getenv("OBS_LOCAL")
	if program == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("OBS_LOCAL does not name the program obs-local")
		}
		t.Skip("OBS_LOCAL does not name the program obs-local: cargo build --release -p obs-local")
	}
	server := exec.Command(program, append([]string{"--control", "--access-key", credentials.AccessKey,
		"--secret-key", credentials.SecretKey, "--bucket", bucket}, options...)...)
	commands, err := server.StdinPipe()
	check(t, err)
	output, err := server.StdoutPipe()
	check(t, err)
	server.Stderr = os.Stderr
	check(t, server.Start())
	t.Cleanup(func() {
		// It ends when its standard input does.
		commands.Close()
		server.Wait()
	})
	s := &obsLocal{t: t, program: program, commands: commands, replies: bufio.NewReader(output)}
	address, found := strings.CutPrefix(s.reply(), "listening on ")
	if !found {
		t.Fatalf("obs-local does not listen: %q", address)
	}
	s.endpoint = "http://" + address
	return s
}

func (s *obsLocal) reply() string {
	s.t.Helper()
	line, err := s.replies.ReadString('\n')
	check(s.t, err)
	return strings.TrimSuffix(line, "\n")
}

func (s *obsLocal) control(command string) string {
	s.t.Helper()
	_, err := io.WriteString(s.commands, command+"\n")
	check(s.t, err)
	return s.reply()
}

func (s *obsLocal) must(commands ...string) {
	s.t.Helper()
	for _, command := range commands {
		if reply := s.control(command); reply != "ok" {
			s.t.Fatalf("obs-local says to %q: %s", command, reply)
		}
	}
}

// count returns a number of the reply to "counts" or "connections".
func (s *obsLocal) count(command, name string) (count int) {
	s.t.Helper()
	for _, field := range strings.Fields(s.control(command)) {
		if value, found := strings.CutPrefix(field, name+"="); found {
			_, err := fmt.Sscan(value, &count)
			check(s.t, err)
			return count
		}
	}
	s.t.Fatalf("obs-local's %s have no %s", command, name)
	return 0
}

// uploads returns what the server lists, by its own client.
func (s *obsLocal) uploads() (uploads []obsabort.Upload) {
	s.t.Helper()
	list := exec.Command(s.program, "list-uploads", "--endpoint", s.endpoint, "--access-key", credentials.AccessKey,
		"--secret-key", credentials.SecretKey, "--bucket", bucket)
	list.Stderr = os.Stderr
	output, err := list.Output()
	check(s.t, err)
	for line := range strings.Lines(string(output)) {
		fields := strings.Split(line, "\t")
		uploads = append(uploads, obsabort.Upload{Key: fields[0], UploadID: fields[1]})
	}
	return uploads
}

func (s *obsLocal) newUploads(count int) []obsabort.Upload {
	s.t.Helper()
	s.must(fmt.Sprintf("uploads %s:%d:90000", bucket, count))
	uploads := s.uploads()
	if len(uploads) != count {
		s.t.Fatalf("%d uploads instead of %d", len(uploads), count)
	}
	return uploads
}

func (s *obsLocal) client(settings ...func(*obsabort.Config)) *obsabort.Client {
	s.t.Helper()
	return newClient(s.t, s.endpoint, settings...)
}

func newClient(t *testing.T, endpoint string, settings ...func(*obsabort.Config)) *obsabort.Client {
	t.Helper()
	config := obsabort.Config{Endpoint: endpoint, Credentials: credentials, NoProxy: true}
	for _, set := range settings {
		set(&config)
	}
	client, err := obsabort.New(config)
	check(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

// hangs makes every DELETE hang from now on.
func (s *obsLocal) hangs() {
	s.t.Helper()
	s.must("fault silence;then=stall;method=DELETE;always")
}

// startHTTP starts a server that says yes to everything, or what `respond` says.
func startHTTP(t *testing.T, respond http.HandlerFunc) *httptest.Server {
	t.Helper()
	if respond == nil {
		respond = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
	}
	server := httptest.NewUnstartedServer(respond)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server
}

// startSilent starts a server that reads requests and never responds.
func startSilent(t *testing.T) *silentServer {
	t.Helper()
	s := &silentServer{release: make(chan struct{}), arrived: make(chan struct{}, 10000)}
	s.Server = startHTTP(t, func(http.ResponseWriter, *http.Request) {
		s.arrived <- struct{}{}
		<-s.release
	})
	s.Start()
	t.Cleanup(func() { close(s.release) })
	return s
}

type silentServer struct {
	*httptest.Server
	arrived chan struct{}
	release chan struct{}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, code obsabort.Code) *obsabort.Error {
	t.Helper()
	var failure *obsabort.Error
	if !errors.Is(err, code) || !errors.As(err, &failure) || failure.Code != code {
		t.Fatalf("%v instead of %v", err, code)
	}
	return failure
}

func wantWithin(t testing.TB, limit time.Duration, began time.Time) {
	t.Helper()
	if took := time.Since(began); took > limit {
		t.Errorf("took %v, more than %v", took, limit)
	}
}

// eventually waits for something that another thread or the server brings about.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// together runs f on `count` goroutines, and waits for all.
func together(count int, f func(i int)) {
	var all sync.WaitGroup
	for i := range count {
		all.Add(1)
		go func() {
			defer all.Done()
			f(i)
		}()
	}
	all.Wait()
}

var background = context.Background()

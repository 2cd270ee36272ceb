package obsabort

/*
#include "bridge.h"
*/
import "C"

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// The library's own defaults, which also apply here.
const (
	defaultTimeout       = 60 * time.Second
	defaultMaxConcurrent = 32
)

// A Client aborts uploads. Any number of goroutines may use one client at once, and they share its connections. It must
// not be copied.
type Client struct {
	timeout time.Duration
	log     func(LogLevel, string)
	closing chan struct{}
	aborts  chan struct{} // holds one value for each call of Abort in progress
	// The same for AbortMany, AbortStale and Sweep: a callback of these, which may call Abort, must not wait for its own place.
	batches chan struct{}

	mu     sync.Mutex
	closed bool
	calls  int                 // calls in progress, which use the handle
	handle *C.obs_abort_client // freed by Close, or by the last call after Close

	cleanup runtime.Cleanup
}

// New creates a client. It reads the environment and the trusted certificate authorities, and sends nothing.
//
// It fails with InvalidConfig if a setting cannot be used. It does not check whether credentials exist: without them,
// calls fail with NoCredentials.
func New(config Config) (*Client, error) {
	b := builder{config: C.obs_abort_config_new()}
	if b.config == nil {
		return nil, refused(Internal, "no memory for a config")
	}
	defer C.obs_abort_config_free(b.config)
	if b.fill(&config); b.err != nil {
		return nil, b.err
	}

	client := &Client{timeout: config.Timeout, log: config.Log, closing: make(chan struct{})}
	var message *C.char
	code := Code(C.obs_abort_client_new(b.config, &client.handle, &message))
	if text := takeString(message); code != OK {
		return nil, &Error{Outcome: Outcome{Code: code, Message: text, Index: -1}}
	}
	if client.timeout == 0 {
		client.timeout = defaultTimeout
	}
	concurrent := config.MaxConcurrent
	if concurrent == 0 {
		concurrent = defaultMaxConcurrent
	}
	client.aborts = make(chan struct{}, concurrent)
	client.batches = make(chan struct{}, concurrent)
	client.cleanup = runtime.AddCleanup(client, func(handle *C.obs_abort_client) { C.obs_abort_client_free(handle) }, client.handle)
	return client, nil
}

// SetCredentials replaces the credentials, whatever their source was. Attempts that are signed from now on use the new
// ones, also in calls in progress. If it fails, the client keeps its old credentials.
func (c *Client) SetCredentials(credentials Credentials) error {
	if err := credentials.check(); err != nil {
		return refused(InvalidArgument, "%v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.handle == nil || c.closed {
		return errClosed()
	}
	var message *C.char
	var code Code
	credentials.lend(func(accessKey, secretKey, securityToken *C.char) {
		code = Code(C.obs_abort_client_set_credentials(c.handle, accessKey, secretKey, securityToken, &message))
	})
	if text := takeString(message); code != OK {
		return &Error{Outcome: Outcome{Code: code, Message: text, Index: -1}}
	}
	return nil
}

// Close cancels all calls of the client. Those in progress return within 250 ms, plus the time that a callback takes; later
// ones return at once. Close does not wait for them, so that a callback may call it. It may be called more than once.
// The error is always nil.
//
// A client that is never closed is closed after it has become unreachable.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.handle == nil || c.closed {
		return nil
	}
	c.closed = true
	close(c.closing)
	C.obs_abort_client_shutdown(c.handle)
	c.freeIfUnused()
	return nil
}

func (c *Client) freeIfUnused() {
	if c.closed && c.calls == 0 {
		c.cleanup.Stop()
		C.obs_abort_client_free(c.handle)
		c.handle = nil
	}
}

// begin waits for a place among the calls in progress.
func (c *Client) begin(ctx context.Context, places chan struct{}) (*C.obs_abort_client, error) {
	if ctx.Err() != nil {
		return nil, interrupted(ctx)
	}
	if places == nil { // a Client that New did not make
		return nil, errClosed()
	}
	select {
	case places <- struct{}{}:
	case <-ctx.Done():
		return nil, interrupted(ctx)
	case <-c.closing:
		return nil, errClosed()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// The place may have been taken although the context was done, or the client closed, at the same time.
	if ctx.Err() != nil {
		<-places
		return nil, interrupted(ctx)
	}
	if c.closed {
		<-places
		return nil, errClosed()
	}
	c.calls++
	return c.handle, nil
}

func (c *Client) end(places chan struct{}) {
	c.mu.Lock()
	c.calls--
	c.freeIfUnused()
	c.mu.Unlock()
	<-places
}

func takeString(s *C.char) string {
	defer C.obs_abort_string_free(s)
	return C.GoString(s)
}

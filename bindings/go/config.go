package obsabort

/*
#include "bridge.h"
*/
import "C"

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"
)

// Credentials are an access key, its secret key and, if they are temporary, a security token. Package fmt prints only the
// access key of them.
type Credentials struct {
	AccessKey     string
	SecretKey     string
	SecurityToken string // "" for permanent credentials
}

// String returns the access key, and nothing secret.
func (c Credentials) String() string {
	return "obsabort.Credentials{" + c.AccessKey + "}"
}

// GoString returns the access key, and nothing secret.
func (c Credentials) GoString() string {
	return c.String()
}

// A CredentialSource says where the credentials of a client come from.
type CredentialSource int32

const (
	// Config.Credentials. Without any, calls fail with NoCredentials.
	StaticCredentials CredentialSource = 0
	// OBS_ACCESS_KEY_ID, OBS_SECRET_ACCESS_KEY and OBS_SECURITY_TOKEN, which New reads.
	CredentialsFromEnvironment CredentialSource = 1
	// The agency of the Elastic Cloud Server (ECS) on which the program runs. They are renewed before they expire.
	CredentialsFromECS CredentialSource = 2
	// The environment if any of its variables is set, otherwise the agency of the ECS.
	CredentialsFromChain CredentialSource = 3
)

// Addressing says how the bucket appears in the URL of a request.
type Addressing int32

const (
	// AddressPath if the endpoint is an IP address, or if it is https and the bucket's name contains a dot.
	// AddressVirtualHost otherwise.
	AddressAuto Addressing = 0
	// https://bucket.endpoint/key
	AddressVirtualHost Addressing = 1
	// https://endpoint/bucket/key
	AddressPath Addressing = 2
	// https://endpoint/key: the endpoint is a domain that is bound to the bucket.
	AddressCustomDomain Addressing = 3
)

// A Signature is a scheme by which requests are signed.
type Signature int32

const (
	// SignatureAWSV2 with AddressPath, as in the official SDKs. SignatureOBS otherwise.
	SignatureAuto Signature = 0
	// "Authorization: OBS ..."
	SignatureOBS Signature = 1
	// "Authorization: AWS ...", for S3-compatible servers.
	SignatureAWSV2 Signature = 2
)

// A LogLevel is the level of a log line. Each level includes those before it.
type LogLevel int32

const (
	// Uploads that could not be aborted, and listings that failed.
	LogError LogLevel = 1
	// Attempts that failed and are retried, redirects and clock corrections.
	LogWarn LogLevel = 2
	// Uploads that were aborted.
	LogInfo LogLevel = 3
	// Every request with its response.
	LogDebug LogLevel = 4
)

// A Config has the settings of a new client. Only Endpoint is required.
type Config struct {
	// "[http[s]://]host[:port]", for example "https://obs.eu-101.myhuaweicloud.com". Without a scheme it is https.
	Endpoint string

	// Where credentials come from. Credentials must be empty unless the source is StaticCredentials, the default.
	CredentialSource CredentialSource
	Credentials      Credentials

	Addressing Addressing
	Signature  Signature

	// The limit of one attempt to connect, TLS handshake included. 0 is 10 s.
	ConnectTimeout time.Duration
	// How long an attempt waits for the server to respond. 0 is 20 s.
	ResponseTimeout time.Duration
	// The budget of one abort, retries included. 0 is 60 s. The deadline of a context can only shorten it.
	Timeout time.Duration
	// The largest number of attempts of one abort. 0 is 4. 1 means no retry.
	MaxAttempts int
	// The connections that are kept, and the connections and threads that AbortMany, AbortStale and Sweep use
	// at once. 0 is 32.
	MaxConnections int
	// The number of calls of Abort, and also of AbortMany, AbortStale and Sweep together, that run at once. Further calls wait.
	// 0 is 32. Each occupies an operating system thread.
	//
	// A callback of AbortMany, AbortStale or Sweep that calls one of them itself needs a second place.
	MaxConcurrent int

	// A PEM file with the certificate authorities to trust instead of the system's.
	CAFile string
	// PEM files for mutual TLS. They go together.
	ClientCertificate string
	ClientKey         string
	// "http://[user:password@]host[:port]". If it is "", the environment decides (https_proxy, no_proxy and so on).
	Proxy string
	// No proxy, whatever the environment says.
	NoProxy bool

	// After each abort, list the parts, and abort again until none is left.
	Confirm bool
	// Send "x-obs-request-payer: requester".
	RequestPayer bool
	// The name of the program for the User-Agent header, for example "backupd/2.1".
	UserAgent string

	// Receives log lines, on the goroutine whose call they are about: at the same time on several goroutines if several
	// make calls. Lines contain keys and upload ids, but never a secret.
	Log func(level LogLevel, message string)
	// The most detailed level that is logged. 0 is LogWarn.
	LogLevel LogLevel
}

// cString returns a NUL-terminated copy, in memory that C may read during a call.
func cString(s string) *C.char {
	return (*C.char)(unsafe.Pointer(unsafe.SliceData(cBytes(s))))
}

func cBytes(s string) []byte {
	bytes := make([]byte, len(s)+1)
	copy(bytes, s)
	return bytes
}

// refusal says why C can't be given a string: cut at a NUL, it would name something else.
func refusal(s string) string {
	if strings.IndexByte(s, 0) >= 0 {
		return "contains U+0000"
	}
	if !utf8.ValidString(s) {
		return "is not valid UTF-8"
	}
	return ""
}

// milliseconds rounds up, so that no limit becomes 0, and none ends before its time.
func milliseconds(d time.Duration) (ms C.uint32_t, fits bool) {
	rounded := d / time.Millisecond
	if d%time.Millisecond > 0 {
		rounded++
	}
	return C.uint32_t(rounded), rounded > 0 && rounded <= math.MaxUint32
}

// A builder fills a C config. It keeps the first refusal of its own. Those of the library's setters are remembered by the
// C config: obs_abort_client_new names them.
type builder struct {
	config *C.obs_abort_config
	err    error
}

func (b *builder) refuse(format string, arguments ...any) {
	if b.err == nil {
		b.err = refused(InvalidConfig, format, arguments...)
	}
}

func (b *builder) text(name, value string, set func(*C.char)) {
	if why := refusal(value); why != "" {
		b.refuse("%s %s", name, why)
	} else if value != "" {
		set(cString(value))
	}
}

func (b *builder) duration(name string, value time.Duration, set func(C.uint32_t)) {
	if value == 0 {
		return
	}
	if ms, fits := milliseconds(value); fits {
		set(ms)
	} else {
		b.refuse("%s can't be %v", name, value)
	}
}

func (b *builder) number(name string, value int, set func(C.uint32_t)) {
	if value < 0 || uint64(value) > math.MaxUint32 {
		b.refuse("%s can't be %d", name, value)
	} else if value != 0 {
		set(C.uint32_t(value))
	}
}

func (b *builder) credentials(c *Config) {
	if c.CredentialSource != StaticCredentials {
		if c.Credentials != (Credentials{}) {
			b.refuse("Credentials and CredentialSource exclude each other")
		}
		C.obs_abort_config_set_credential_source(b.config, C.int32_t(c.CredentialSource))
		return
	}
	if c.Credentials == (Credentials{}) {
		return
	}
	if err := c.Credentials.check(); err != nil {
		b.refuse("%v", err)
		return
	}
	c.Credentials.lend(func(accessKey, secretKey, securityToken *C.char) {
		C.obs_abort_config_set_credentials(b.config, accessKey, secretKey, securityToken)
	})
}

func (b *builder) proxy(c *Config) {
	if !c.NoProxy {
		b.text("Proxy", c.Proxy, func(url *C.char) { C.obs_abort_config_set_proxy(b.config, url) })
	} else if c.Proxy != "" {
		b.refuse("Proxy and NoProxy exclude each other")
	} else {
		C.obs_abort_config_set_proxy(b.config, cString(""))
	}
}

func (b *builder) clientCertificate(c *Config) {
	for _, path := range []string{c.ClientCertificate, c.ClientKey} {
		if why := refusal(path); why != "" {
			b.refuse("the path %q %s", path, why)
			return
		}
	}
	if c.ClientCertificate != "" || c.ClientKey != "" {
		C.obs_abort_config_set_client_certificate(b.config, cString(c.ClientCertificate), cString(c.ClientKey))
	}
}

func (b *builder) log(c *Config) {
	if c.Log == nil {
		return
	}
	level := c.LogLevel
	if level == 0 {
		level = LogWarn
	}
	C.obsabort_go_set_log(b.config, C.int32_t(level))
}

func (b *builder) fill(c *Config) {
	config := b.config
	b.text("Endpoint", c.Endpoint, func(s *C.char) { C.obs_abort_config_set_endpoint(config, s) })
	b.credentials(c)
	C.obs_abort_config_set_addressing(config, C.int32_t(c.Addressing))
	C.obs_abort_config_set_signature(config, C.int32_t(c.Signature))
	b.duration("ConnectTimeout", c.ConnectTimeout, func(ms C.uint32_t) { C.obs_abort_config_set_connect_timeout_ms(config, ms) })
	b.duration("ResponseTimeout", c.ResponseTimeout, func(ms C.uint32_t) { C.obs_abort_config_set_response_timeout_ms(config, ms) })
	b.duration("Timeout", c.Timeout, func(ms C.uint32_t) { C.obs_abort_config_set_timeout_ms(config, ms) })
	b.number("MaxAttempts", c.MaxAttempts, func(n C.uint32_t) { C.obs_abort_config_set_max_attempts(config, n) })
	b.number("MaxConnections", c.MaxConnections, func(n C.uint32_t) { C.obs_abort_config_set_max_connections(config, n) })
	b.number("MaxConcurrent", c.MaxConcurrent, func(C.uint32_t) {})
	b.text("CAFile", c.CAFile, func(s *C.char) { C.obs_abort_config_set_ca_file(config, s) })
	b.clientCertificate(c)
	b.proxy(c)
	if c.Confirm {
		C.obs_abort_config_set_confirm(config, 1)
	}
	if c.RequestPayer {
		C.obs_abort_config_set_request_payer(config, 1)
	}
	b.text("UserAgent", c.UserAgent, func(s *C.char) { C.obs_abort_config_set_user_agent(config, s) })
	b.log(c)
}

func (c Credentials) check() error {
	for _, field := range []struct{ name, value string }{
		{"access key", c.AccessKey}, {"secret key", c.SecretKey}, {"security token", c.SecurityToken},
	} {
		if why := refusal(field.value); why != "" {
			return fmt.Errorf("the %s %s", field.name, why)
		}
	}
	return nil
}

// lend gives C copies of the credentials for as long as f runs, and overwrites them.
func (c Credentials) lend(f func(accessKey, secretKey, securityToken *C.char)) {
	var copies [3][]byte
	var pointers [3]*C.char
	for i, s := range []string{c.AccessKey, c.SecretKey, c.SecurityToken} {
		copies[i] = cBytes(s)
		pointers[i] = (*C.char)(unsafe.Pointer(unsafe.SliceData(copies[i])))
	}
	f(pointers[0], pointers[1], pointers[2])
	for _, bytes := range copies {
		clear(bytes)
	}
}

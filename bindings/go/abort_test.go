package obsabort_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"obsabort"
)

func TestAbortThenAgain(t *testing.T) {
	server := startOBS(t)
	client := server.client()
	upload := server.newUploads(1)[0]
	check(t, client.Abort(background, bucket, upload.Key, upload.UploadID))
	if left := server.uploads(); len(left) != 0 {
		t.Fatalf("still there: %v", left)
	}

	err := client.Abort(background, bucket, upload.Key, upload.UploadID)
	failure := wantCode(t, err, obsabort.NoSuchUpload)
	if errors.Is(err, obsabort.NoSuchBucket) || errors.Is(err, obsabort.OK) {
		t.Errorf("%v is another code, too", err)
	}
	if failure.HTTPStatus != 404 || failure.ServiceCode != "NoSuchUpload" || failure.RequestID == "" || failure.HostID == "" ||
		failure.Attempts != 1 || failure.Key != upload.Key || failure.UploadID != upload.UploadID || failure.Index != -1 {
		t.Errorf("the error says: %+v", failure.Outcome)
	}
	if !strings.HasPrefix(err.Error(), "no_such_upload: 404 NoSuchUpload ") {
		t.Errorf("the message is %q", err)
	}
	wantCode(t, client.Abort(background, "no-such-bucket", "key", "id"), obsabort.NoSuchBucket)
}

var badTexts = []string{"a\x00b", "\x00", "a\xff", "\xed\xa0\x80", "\xc0\x80"}

func TestBadTextsAreRefused(t *testing.T) {
	server := startOBS(t)
	client := server.client()
	before := server.count("counts", "requests")
	for _, bad := range badTexts {
		wantCode(t, client.Abort(background, bad, "key", "id"), obsabort.InvalidArgument)
		wantCode(t, client.Abort(background, bucket, bad, "id"), obsabort.InvalidArgument)
		wantCode(t, client.Abort(background, bucket, "key", bad), obsabort.InvalidArgument)
		for _, upload := range []obsabort.Upload{{Key: bad, UploadID: "id"}, {Key: "key", UploadID: bad}} {
			report, err := client.AbortMany(background, bucket, []obsabort.Upload{{Key: "a", UploadID: "b"}, upload}, nil)
			wantCode(t, err, obsabort.InvalidArgument)
			if report != nil || !strings.Contains(err.Error(), "upload 1") {
				t.Errorf("%v, and a report: %v", err, report)
			}
		}
		_, err := client.AbortMany(background, bad, nil, nil)
		wantCode(t, err, obsabort.InvalidArgument)
		_, err = client.AbortStale(background, bad, "", time.Hour, obsabort.StaleOptions{})
		wantCode(t, err, obsabort.InvalidArgument)
		_, err = client.AbortStale(background, bucket, bad, time.Hour, obsabort.StaleOptions{})
		wantCode(t, err, obsabort.InvalidArgument)
		wantCode(t, client.SetCredentials(obsabort.Credentials{AccessKey: "A", SecretKey: bad}), obsabort.InvalidArgument)
	}
	if after := server.count("counts", "requests"); after != before {
		t.Errorf("%d requests were sent", after-before)
	}
}

func TestBadSettingsAreRefused(t *testing.T) {
	good := func() obsabort.Config { return obsabort.Config{Endpoint: "http://127.0.0.1:1"} }
	names := []string{"Endpoint", "CAFile", "ClientCertificate", "ClientKey", "Proxy", "UserAgent"}
	for _, name := range names {
		for _, bad := range badTexts {
			config := good()
			reflect.ValueOf(&config).Elem().FieldByName(name).SetString(bad)
			_, err := obsabort.New(config)
			wantCode(t, err, obsabort.InvalidConfig)
			if strings.Contains(bad, "\x00") && !strings.Contains(err.Error(), "U+0000") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for name, set := range map[string]func(*obsabort.Config){
		"no endpoint":           func(c *obsabort.Config) { c.Endpoint = "" },
		"endpoint with a path":  func(c *obsabort.Config) { c.Endpoint = "http://127.0.0.1:1/a" },
		"NUL in a secret":       func(c *obsabort.Config) { c.Credentials = obsabort.Credentials{AccessKey: "A", SecretKey: "\x00"} },
		"half a pair of keys":   func(c *obsabort.Config) { c.Credentials.AccessKey = "A" },
		"two sources":           func(c *obsabort.Config) { c.Credentials, c.CredentialSource = credentials, obsabort.CredentialsFromECS },
		"unknown source":        func(c *obsabort.Config) { c.CredentialSource = 9 },
		"unknown addressing":    func(c *obsabort.Config) { c.Addressing = 9 },
		"unknown signature":     func(c *obsabort.Config) { c.Signature = -1 },
		"negative timeout":      func(c *obsabort.Config) { c.Timeout = -1 },
		"endless timeout":       func(c *obsabort.Config) { c.ConnectTimeout = 1 << 62 },
		"negative attempts":     func(c *obsabort.Config) { c.MaxAttempts = -1 },
		"too many connections":  func(c *obsabort.Config) { c.MaxConnections = 1025 },
		"negative concurrency":  func(c *obsabort.Config) { c.MaxConcurrent = -1 },
		"proxy and no proxy":    func(c *obsabort.Config) { c.Proxy, c.NoProxy = "http://127.0.0.1:1", true },
		"certificate, no key":   func(c *obsabort.Config) { c.ClientCertificate = "/dev/null" },
		"CA file without any":   func(c *obsabort.Config) { c.CAFile = "/dev/null" },
		"line in a user agent":  func(c *obsabort.Config) { c.UserAgent = "a\nb" },
		"unknown level":         func(c *obsabort.Config) { c.Log, c.LogLevel = func(obsabort.LogLevel, string) {}, 5 },
		"virtual host of an IP": func(c *obsabort.Config) { c.Addressing = obsabort.AddressVirtualHost },
	} {
		config := good()
		set(&config)
		if client, err := obsabort.New(config); client != nil || !errors.Is(err, obsabort.InvalidConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := obsabort.New(good()); err != nil {
		t.Error(err)
	}
}

func TestSettingsReachTheLibrary(t *testing.T) {
	server := startOBS(t)
	upload := server.newUploads(1)[0]
	server.must("fault answer=500;method=DELETE;always")
	client := server.client(func(c *obsabort.Config) {
		c.MaxAttempts, c.Addressing, c.Signature = 2, obsabort.AddressPath, obsabort.SignatureOBS
		c.ConnectTimeout, c.ResponseTimeout, c.Timeout = time.Second, time.Second, 10*time.Second
		c.MaxConnections, c.MaxConcurrent, c.Confirm, c.RequestPayer, c.UserAgent = 3, 5, true, true, "go-tests/1"
	})
	if attempts := wantCode(t, client.Abort(background, bucket, upload.Key, upload.UploadID), obsabort.Server).Attempts; attempts != 2 {
		t.Errorf("%d attempts instead of 2", attempts)
	}

	server.must("clear-faults", "fault silence;then=stall;method=DELETE;always")
	began := time.Now()
	short := server.client(func(c *obsabort.Config) { c.Timeout = 300 * time.Millisecond })
	wantCode(t, short.Abort(background, bucket, upload.Key, upload.UploadID), obsabort.Timeout)
	wantWithin(t, 2*time.Second, began)
	server.must("clear-faults")
	check(t, client.Abort(background, bucket, upload.Key, upload.UploadID))
}

func TestSecretsAreNotPrinted(t *testing.T) {
	config := obsabort.Config{Credentials: obsabort.Credentials{AccessKey: "AK", SecretKey: "hidden", SecurityToken: "hidden"}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, value := range []any{config, &config, config.Credentials, &config.Credentials} {
			if text := fmt.Sprintf(verb, value); strings.Contains(text, "hidden") {
				t.Errorf("%s: %s", verb, text)
			}
		}
	}
}

func TestManyUploads(t *testing.T) {
	server := startOBS(t)
	uploads := server.newUploads(200)
	uploads[7].UploadID = " white space "
	uploads[11] = uploads[10]
	client := server.client()
	outcomes := map[int]obsabort.Code{}
	last := obsabort.Progress{}
	report, err := client.AbortMany(background, bucket, uploads, func(p obsabort.Progress) bool {
		if p.Done < last.Done || p.Total != len(uploads) {
			t.Errorf("%+v after %+v", p, last)
		}
		if last = p; p.Outcome != nil {
			outcomes[p.Outcome.Index] = p.Outcome.Code
			if upload := uploads[p.Outcome.Index]; upload.Key != p.Outcome.Key {
				t.Errorf("outcome %d is for %q", p.Outcome.Index, p.Outcome.Key)
			}
		}
		return true
	})
	wantCode(t, err, obsabort.Partial)
	want := obsabort.Report{Total: 200, Aborted: 198, Missing: 1, Failed: 1, Failures: report.Failures}
	if !reflect.DeepEqual(*report, want) || len(outcomes) != 200 || last.Done != 200 {
		t.Errorf("the report is %+v; %d outcomes, %d done", report, len(outcomes), last.Done)
	}
	if len(report.Failures) != 1 || report.Failures[0].Index != 7 || outcomes[7] != obsabort.InvalidArgument {
		t.Errorf("failures: %+v", report.Failures)
	}
	if left := server.uploads(); len(left) != 2 {
		t.Errorf("%d uploads are left, not the two whose names were overwritten", len(left))
	}

	report, err = client.AbortMany(background, bucket, nil, nil)
	check(t, err)
	if !reflect.DeepEqual(*report, obsabort.Report{}) {
		t.Errorf("of an empty list, the report is %+v", report)
	}
}

func TestStaleUploads(t *testing.T) {
	server := startOBS(t, "--uploads", bucket+":3000:90000", "--uploads", bucket+":5:60:young/")
	client := server.client()
	dry, err := client.AbortStale(background, bucket, "", 24*time.Hour, obsabort.StaleOptions{DryRun: true})
	check(t, err)
	if dry.Aborted != 3000 || dry.Kept != 5 || len(server.uploads()) != 3005 {
		t.Errorf("the dry run says %+v, and leaves %d uploads", dry, len(server.uploads()))
	}

	outcomes, last := 0, obsabort.Progress{}
	report, err := client.AbortStale(background, bucket, "", 24*time.Hour, obsabort.StaleOptions{Progress: func(p obsabort.Progress) bool {
		if p.Done < last.Done || p.Total < last.Total || p.Done > p.Total {
			t.Errorf("%+v after %+v", p, last)
		}
		if last = p; p.Outcome != nil {
			outcomes++
			if p.Outcome.Code != obsabort.OK || time.Since(p.Outcome.Initiated).Round(time.Hour) != 25*time.Hour {
				t.Errorf("%+v", p.Outcome)
			}
		}
		return true
	}})
	check(t, err)
	if outcomes != 3000 || report.Total != 3005 || report.Aborted != 3000 || report.Kept != 5 || report.Failed != 0 {
		t.Errorf("%d outcomes, %+v", outcomes, report)
	}
	if left := server.uploads(); len(left) != 5 {
		t.Errorf("%d uploads are left", len(left))
	}
}

func TestStaleIterator(t *testing.T) {
	server := startOBS(t, "--uploads", bucket+":300:90000")
	client := server.client()
	seen := 0
	for outcome, err := range client.AbortStaleSeq(background, bucket, "", time.Hour, obsabort.StaleOptions{}) {
		check(t, err)
		if seen++; outcome.Code != obsabort.OK {
			t.Errorf("%+v", outcome)
		}
	}
	if seen != 300 || len(server.uploads()) != 0 {
		t.Errorf("%d outcomes, %d uploads are left", seen, len(server.uploads()))
	}

	server.must("fault answer=403;error=AccessDenied;method=DELETE;always")
	server.newUploads(3)
	seen = 0
	for outcome, err := range client.AbortStaleSeq(background, bucket, "", time.Hour, obsabort.StaleOptions{}) {
		if seen++; seen <= 3 {
			check(t, err)
			if outcome.Code != obsabort.AccessDenied {
				t.Errorf("%+v", outcome)
			}
		} else if wantCode(t, err, obsabort.Partial); outcome != nil {
			t.Errorf("an outcome and an error: %+v", outcome)
		}
	}
	if seen != 4 {
		t.Errorf("%d values instead of three outcomes and an error", seen)
	}
}

func TestAgesThatAreMistakes(t *testing.T) {
	server := startOBS(t, "--uploads", bucket+":3:90000")
	client := server.client()
	before := server.count("counts", "requests")
	for _, age := range []time.Duration{0, 24, 86400, -time.Hour, time.Second + 1, 1500 * time.Millisecond} {
		report, err := client.AbortStale(background, bucket, "", age, obsabort.StaleOptions{})
		if wantCode(t, err, obsabort.InvalidArgument); report != nil {
			t.Errorf("a report for the age %v: %+v", age, report)
		}
	}
	if after := server.count("counts", "requests"); after != before {
		t.Errorf("%d requests were sent", after-before)
	}
	report, err := client.AbortStale(background, bucket, "", 0, obsabort.StaleOptions{IncludeLive: true})
	if check(t, err); report.Aborted != 3 {
		t.Errorf("%+v", report)
	}
}

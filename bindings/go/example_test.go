package obsabort_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"time"

	"obsabort"
)

// One upload is aborted. That it was gone before is no failure to most programs.
func Example() {
	client, err := obsabort.New(obsabort.Config{
		Endpoint:         "https://obs.eu-101.myhuaweicloud.com",
		CredentialSource: obsabort.CredentialsFromEnvironment,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err = client.Abort(ctx, "bucket", "dir/key", "0000018D3FB50A2A9019D8F1BE98D1BC")
	if err != nil && !errors.Is(err, obsabort.NoSuchUpload) {
		fmt.Println(err)
	}
}

// What an error tells. The server of this example knows no upload.
func ExampleError() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Obs-Request-Id", "8DF400000163D463E02A07EC2295674C")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, "<Error><Code>NoSuchUpload</Code><Message>The upload does not exist.</Message></Error>")
	}))
	defer server.Close()
	client, err := obsabort.New(obsabort.Config{
		Endpoint:    server.URL,
		Credentials: obsabort.Credentials{AccessKey: "access-key", SecretKey: "secret-key"},
		NoProxy:     true,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	err = client.Abort(context.Background(), "bucket", "key", "id")
	fmt.Println("gone before:", errors.Is(err, obsabort.NoSuchUpload))
	var failure *obsabort.Error
	if errors.As(err, &failure) {
		fmt.Println(failure.Code, failure.HTTPStatus, failure.ServiceCode, failure.RequestID, failure.Attempts)
	}
	// Output:
	// gone before: true
	// no_such_upload 404 NoSuchUpload 8DF400000163D463E02A07EC2295674C 1
}

// All uploads of a list are aborted, until the operator presses Ctrl-C.
func ExampleClient_AbortMany() {
	client, err := obsabort.New(obsabort.Config{Endpoint: "https://obs.eu-101.myhuaweicloud.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	uploads := []obsabort.Upload{{Key: "a", UploadID: "1"}, {Key: "b", UploadID: "2"}}
	report, err := client.AbortMany(ctx, "bucket", uploads, nil)
	if report != nil {
		fmt.Printf("%d aborted, %d gone before, %d failed, %d not begun\n", report.Aborted, report.Missing, report.Failed, report.Kept)
		for _, failure := range report.Failures {
			fmt.Printf("upload %d (%s): %s\n", failure.Index, failure.Key, failure.Message)
		}
	}
	if err != nil {
		fmt.Println(err)
	}
}

// What crashed programs left in a bucket is aborted, with progress.
func ExampleClient_AbortStale() {
	client, err := obsabort.New(obsabort.Config{Endpoint: "https://obs.eu-101.myhuaweicloud.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	report, err := client.AbortStale(context.Background(), "bucket", "backup/", 7*24*time.Hour, obsabort.StaleOptions{
		Progress: func(p obsabort.Progress) bool {
			fmt.Printf("\r%d of %d found so far", p.Done, p.Total)
			return true
		},
	})
	fmt.Println(report, err)
}

// The same as a loop. The error comes last.
func ExampleClient_AbortStaleSeq() {
	client, err := obsabort.New(obsabort.Config{Endpoint: "https://obs.eu-101.myhuaweicloud.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	for outcome, err := range client.AbortStaleSeq(context.Background(), "bucket", "", 24*time.Hour, obsabort.StaleOptions{}) {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(outcome.Key, outcome.Initiated, outcome.Code)
	}
}

// Uploads without a new part for a day are aborted, unless a catalogue knows them. The loop sees what they took.
func ExampleClient_SweepSeq() {
	client, err := obsabort.New(obsabort.Config{Endpoint: "https://obs.eu-101.myhuaweicloud.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	catalogue := map[string]bool{"id of an upload that will be resumed": true}
	selection := obsabort.Selection{
		OlderThan: 7 * 24 * time.Hour,
		Idle:      24 * time.Hour,
		Measure:   true,
		Keep:      func(candidate *obsabort.Outcome) bool { return catalogue[candidate.UploadID] },
	}
	for outcome, err := range client.SweepSeq(context.Background(), "bucket", selection, obsabort.SweepOptions{}) {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(outcome.Key, outcome.Parts, "parts,", outcome.Bytes, "bytes, the last of", outcome.LastPart)
	}
}

// Log lines go to package slog.
func ExampleConfig() {
	levels := map[obsabort.LogLevel]slog.Level{
		obsabort.LogError: slog.LevelError,
		obsabort.LogWarn:  slog.LevelWarn,
		obsabort.LogInfo:  slog.LevelInfo,
		obsabort.LogDebug: slog.LevelDebug,
	}
	client, err := obsabort.New(obsabort.Config{
		Endpoint: "https://obs.eu-101.myhuaweicloud.com",
		LogLevel: obsabort.LogInfo,
		Log: func(level obsabort.LogLevel, message string) {
			slog.Log(context.Background(), levels[level], message)
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
}

/* This library through its C ABI, loaded as a program without its headers' macros would: dlopen, then the functions by name. */
#include "bench.h"

#include <dlfcn.h>
#include <obsabort.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static __typeof__(obs_abort_version) *version;
static __typeof__(obs_abort_config_new) *config_new;
static __typeof__(obs_abort_config_free) *config_free;
static __typeof__(obs_abort_config_set_endpoint) *set_endpoint;
static __typeof__(obs_abort_config_set_credentials) *set_credentials;
static __typeof__(obs_abort_config_set_addressing) *set_addressing;
static __typeof__(obs_abort_config_set_signature) *set_signature;
static __typeof__(obs_abort_config_set_connect_timeout_ms) *set_connect_timeout;
static __typeof__(obs_abort_config_set_timeout_ms) *set_timeout;
static __typeof__(obs_abort_config_set_max_attempts) *set_max_attempts;
static __typeof__(obs_abort_config_set_max_connections) *set_max_connections;
static __typeof__(obs_abort_config_set_ca_file) *set_ca_file;
static __typeof__(obs_abort_client_new) *client_new;
static __typeof__(obs_abort_multipart) *multipart;
static __typeof__(obs_abort_stale) *stale;
static __typeof__(obs_abort_many) *many;
static __typeof__(obs_abort_report_aborted) *report_aborted;
static __typeof__(obs_abort_report_failed) *report_failed;
static __typeof__(obs_abort_report_throttled) *report_throttled;
static __typeof__(obs_abort_report_free) *report_free;
static __typeof__(obs_abort_string_free) *string_free;

static obs_abort_client *client;

static void *library;

static void load_symbol(const char *name, void *function) {
    void *symbol = dlsym(library, name);
    if (symbol == NULL) bench_fail(name, dlerror());
    memcpy(function, &symbol, sizeof symbol);
}

static void must(int32_t code, const char *what) {
    char text[32];
    snprintf(text, sizeof text, "code %d", (int)code);
    if (code != OBS_ABORT_OK) bench_fail(what, text);
}

void bench_load(struct bench *bench) {
    const char *path = getenv("OBSABORT_LIB");
    library = dlopen(path != NULL ? path : "libobsabort.so.0", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) bench_fail("OBSABORT_LIB", dlerror());
    load_symbol("obs_abort_version", &version);
    load_symbol("obs_abort_config_new", &config_new);
    load_symbol("obs_abort_config_free", &config_free);
    load_symbol("obs_abort_config_set_endpoint", &set_endpoint);
    load_symbol("obs_abort_config_set_credentials", &set_credentials);
    load_symbol("obs_abort_config_set_addressing", &set_addressing);
    load_symbol("obs_abort_config_set_signature", &set_signature);
    load_symbol("obs_abort_config_set_connect_timeout_ms", &set_connect_timeout);
    load_symbol("obs_abort_config_set_timeout_ms", &set_timeout);
    load_symbol("obs_abort_config_set_max_attempts", &set_max_attempts);
    load_symbol("obs_abort_config_set_max_connections", &set_max_connections);
    load_symbol("obs_abort_config_set_ca_file", &set_ca_file);
    load_symbol("obs_abort_client_new", &client_new);
    load_symbol("obs_abort_multipart", &multipart);
    load_symbol("obs_abort_stale", &stale);
    load_symbol("obs_abort_many", &many);
    load_symbol("obs_abort_report_aborted", &report_aborted);
    load_symbol("obs_abort_report_failed", &report_failed);
    load_symbol("obs_abort_report_throttled", &report_throttled);
    load_symbol("obs_abort_report_free", &report_free);
    load_symbol("obs_abort_string_free", &string_free);
    if (bench->endpoint == NULL) return; /* asked for the version only */

    obs_abort_config *config = config_new();
    char *error = NULL;
    must(set_endpoint(config, bench->endpoint), "endpoint");
    must(set_credentials(config, BENCH_ACCESS_KEY, BENCH_SECRET_KEY, NULL), "credentials");
    must(set_addressing(config, OBS_ABORT_ADDRESSING_PATH), "addressing");
    must(set_signature(config, OBS_ABORT_SIGNATURE_OBS), "signature");
    must(set_connect_timeout(config, 10000), "connect timeout");
    must(set_timeout(config, 60000), "timeout");
    must(set_max_connections(config, (uint32_t)bench->at_once), "max connections");
    if (bench->status != 204) must(set_max_attempts(config, 1), "max attempts");
    if (bench->attempts > 0) must(set_max_attempts(config, (uint32_t)bench->attempts), "max attempts");
    if (bench->ca_file != NULL) must(set_ca_file(config, bench->ca_file), "CA file");
    if (client_new(config, &client, &error) != OBS_ABORT_OK) bench_fail("obs_abort_client_new", error);
    config_free(config);
}

const char *bench_version(void) { return version(); }

void *bench_worker(struct bench *bench) { return bench; }

void bench_abort(void *worker, const char *key, const char *upload_id) {
    const struct bench *bench = worker;
    int32_t status;
    char *error;
    int32_t code = multipart(client, BENCH_BUCKET, key, upload_id, &status, &error);
    if (status != bench->status || (code == OBS_ABORT_OK) != (status == 204)) bench_fail("obs_abort_multipart", error);
    string_free(error);
}

void bench_many(struct bench *bench, long count) {
    obs_abort_upload *uploads = calloc((size_t)count, sizeof *uploads);
    obs_abort_report *report = NULL;
    char *error = NULL;
    for (long i = 0; i < count; i++) {
        uploads[i].key = bench->uploads[i % BENCH_UPLOADS].key;
        uploads[i].upload_id = bench->uploads[i % BENCH_UPLOADS].upload_id;
    }
    if (many(client, NULL, BENCH_BUCKET, uploads, (size_t)count, NULL, NULL, &report, &error) != OBS_ABORT_OK)
        bench_fail("obs_abort_many", error);
    report_free(report);
    free(uploads);
}

struct bench_sweep bench_stale(struct bench *bench) {
    struct bench_sweep sweep;
    obs_abort_report *report = NULL;
    char *error = NULL;
    (void)bench;
    int32_t code = stale(client, NULL, BENCH_BUCKET, NULL, 3600, 0, NULL, NULL, &report, &error);
    if (code != OBS_ABORT_OK && code != OBS_ABORT_PARTIAL) bench_fail("obs_abort_stale", error);
    sweep.aborted = report_aborted(report);
    sweep.failed = report_failed(report);
    sweep.throttled = report_throttled(report);
    return sweep;
}

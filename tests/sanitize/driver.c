/*
 * Every exported function, as a careless C program uses them, for the sanitizers and memcheck to watch.
 *
 *     driver [--stack BYTES] ENDPOINT BUCKET [CA_FILE]
 *
 * With --stack, all that calls the library runs on threads with a stack of that size.
 * Credentials come from OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY. The server must hold old uploads under
 * single/, threads/, many/, rest/ and stale/ (see programs.sh), and never answer requests for the key "stall".
 * Exit status: 0 as expected, 1 something was not, 2 wrong usage.
 */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <netinet/in.h>
#include <obsabort.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../e2e/host.h"

#define THREADS 8

static const char *endpoint, *bucket, *ca_file, *access_key, *secret_key;
static pthread_attr_t small;

/* ---- Config and client ---- */

struct log {
    pthread_mutex_t lock;
    size_t lines, bytes;
};

static void count_line(int32_t level, const char *message, void *userdata)
{
    struct log *log = userdata;

    CHECK(level >= OBS_ABORT_LOG_ERROR && level <= OBS_ABORT_LOG_DEBUG);
    CHECK(strstr(message, secret_key) == NULL);
    pthread_mutex_lock(&log->lock);
    log->lines++;
    log->bytes += strlen(message);
    pthread_mutex_unlock(&log->lock);
}

static obs_abort_config *new_config(void)
{
    obs_abort_config *config = obs_abort_config_new();

    CHECK(config != NULL);
    CODE(obs_abort_config_set_endpoint(config, endpoint), OBS_ABORT_OK, endpoint);
    CODE(obs_abort_config_set_credential_source(config, OBS_ABORT_CREDENTIALS_ENV), OBS_ABORT_OK, NULL);
    CODE(obs_abort_config_set_proxy(config, ""), OBS_ABORT_OK, NULL);
    if (ca_file != NULL)
        CODE(obs_abort_config_set_ca_file(config, ca_file), OBS_ABORT_OK, ca_file);
    return config;
}

static obs_abort_client *new_client(obs_abort_config *config)
{
    obs_abort_client *client = NULL;
    char *error = NULL;

    CODE(obs_abort_client_new(config, &client, &error), OBS_ABORT_OK, error);
    CHECK(client != NULL && error == NULL);
    obs_abort_config_free(config);
    return client;
}

static void constants(void)
{
    int32_t code;

    CHECK(strcmp(obs_abort_version(), OBS_ABORT_VERSION) == 0);
    CHECK(obs_abort_version_number() == OBS_ABORT_VERSION_NUMBER);
    for (code = -2; code < 100; code++)
        CHECK(strlen(obs_abort_strerror(code)) > 0 && strlen(obs_abort_code_name(code)) > 0);
    CHECK(strcmp(obs_abort_code_name(OBS_ABORT_NO_SUCH_BUCKET), "no_such_bucket") == 0);
}

static void null_everywhere(void)
{
    obs_abort_config *config = obs_abort_config_new();
    obs_abort_client *client = NULL;
    const int32_t invalid = OBS_ABORT_INVALID_ARGUMENT;

    CODE(obs_abort_config_set_endpoint(NULL, "a"), invalid, NULL);
    CODE(obs_abort_config_set_endpoint(config, NULL), invalid, NULL);
    CODE(obs_abort_config_set_credentials(config, NULL, "a", NULL), invalid, NULL);
    CODE(obs_abort_config_set_credentials(config, "a", NULL, NULL), invalid, NULL);
    CODE(obs_abort_config_set_credential_source(NULL, 1), invalid, NULL);
    CODE(obs_abort_config_set_addressing(NULL, 0), invalid, NULL);
    CODE(obs_abort_config_set_signature(NULL, 0), invalid, NULL);
    CODE(obs_abort_config_set_connect_timeout_ms(NULL, 1), invalid, NULL);
    CODE(obs_abort_config_set_response_timeout_ms(NULL, 1), invalid, NULL);
    CODE(obs_abort_config_set_timeout_ms(NULL, 1), invalid, NULL);
    CODE(obs_abort_config_set_max_attempts(NULL, 1), invalid, NULL);
    CODE(obs_abort_config_set_max_connections(NULL, 1), invalid, NULL);
    CODE(obs_abort_config_set_ca_file(config, NULL), invalid, NULL);
    CODE(obs_abort_config_set_client_certificate(config, NULL, NULL), invalid, NULL);
    CODE(obs_abort_config_set_proxy(config, NULL), invalid, NULL);
    CODE(obs_abort_config_set_confirm(NULL, 0), invalid, NULL);
    CODE(obs_abort_config_set_request_payer(NULL, 0), invalid, NULL);
    CODE(obs_abort_config_set_user_agent(config, NULL), invalid, NULL);
    CODE(obs_abort_config_set_log(NULL, NULL, NULL, OBS_ABORT_LOG_WARN), invalid, NULL);
    CODE(obs_abort_client_new(NULL, &client, NULL), invalid, NULL);
    CODE(obs_abort_client_new(config, NULL, NULL), invalid, NULL);
    CODE(obs_abort_client_set_credentials(NULL, "a", "b", NULL, NULL), invalid, NULL);
    CODE(obs_abort_multipart(NULL, "a", "b", "c", NULL, NULL), invalid, NULL);
    CODE(obs_abort_multipart_outcome(NULL, NULL, "a", "b", "c", NULL), invalid, NULL);
    CODE(obs_abort_many(NULL, NULL, "a", NULL, 0, NULL, NULL, NULL, NULL), invalid, NULL);
    CODE(obs_abort_stale(NULL, NULL, "a", NULL, 1, 0, NULL, NULL, NULL, NULL), invalid, NULL);
    CODE(obs_abort_sweep(NULL, NULL, "a", NULL, 0, NULL, NULL, NULL, NULL), invalid, NULL);
    CODE(obs_abort_buckets(NULL, NULL, NULL, NULL, NULL), invalid, NULL);
    CODE(obs_abort_selection_set_prefix(NULL, "a"), invalid, NULL);
    CODE(obs_abort_selection_set_older_than_seconds(NULL, 1), invalid, NULL);
    CODE(obs_abort_selection_set_initiated_before(NULL, 1), invalid, NULL);
    CODE(obs_abort_selection_set_idle_seconds(NULL, 1), invalid, NULL);
    CODE(obs_abort_selection_set_measure(NULL, 1), invalid, NULL);
    CODE(obs_abort_selection_set_filter(NULL, NULL, NULL), invalid, NULL);
    CODE(obs_abort_call_set_timeout_ms(NULL, 1), invalid, NULL);
    obs_abort_client_shutdown(NULL);
    obs_abort_call_cancel(NULL);
    CODE(obs_abort_outcome_code(NULL), invalid, NULL);
    CHECK(obs_abort_outcome_http_status(NULL) == 0);
    CHECK(obs_abort_outcome_message(NULL) == NULL && obs_abort_outcome_service_code(NULL) == NULL);
    CHECK(obs_abort_outcome_request_id(NULL) == NULL && obs_abort_outcome_host_id(NULL) == NULL);
    CHECK(obs_abort_outcome_key(NULL) == NULL && obs_abort_outcome_upload_id(NULL) == NULL);
    CHECK(obs_abort_outcome_attempts(NULL) == 0);
    CHECK(obs_abort_outcome_initiated(NULL) == -1 && obs_abort_outcome_index(NULL) == -1);
    CHECK(obs_abort_report_total(NULL) + obs_abort_report_aborted(NULL) + obs_abort_report_missing(NULL) == 0);
    CHECK(obs_abort_report_failed(NULL) + obs_abort_report_kept(NULL) == 0);
    CHECK(obs_abort_report_throttled(NULL) + obs_abort_report_unknown_age(NULL) == 0);
    CHECK(obs_abort_report_younger(NULL) + obs_abort_report_active(NULL) + obs_abort_report_bytes(NULL) == 0);
    CHECK(obs_abort_report_complete(NULL) == 0);
    CHECK(obs_abort_outcome_parts(NULL) + obs_abort_outcome_bytes(NULL) == 0);
    CHECK(obs_abort_outcome_last_part(NULL) == -1);
    CHECK(obs_abort_report_failure_count(NULL) == 0 && obs_abort_report_failure(NULL, 0) == NULL);
    obs_abort_outcome_free(NULL);
    obs_abort_report_free(NULL);
    obs_abort_selection_free(NULL);
    obs_abort_call_free(NULL);
    obs_abort_client_free(NULL);
    obs_abort_config_free(NULL);
    obs_abort_string_free(NULL);
    obs_abort_config_free(config);
}

/* A setter that failed is remembered, and no client comes of it. */
static void bad_settings(void)
{
    obs_abort_config *config = obs_abort_config_new();
    obs_abort_client *client = NULL;
    char *error = NULL;

    CHECK(obs_abort_config_set_endpoint(config, "ftp://host") != OBS_ABORT_OK);
    CHECK(obs_abort_config_set_credentials(config, "a\n", "b", "c d") != OBS_ABORT_OK);
    CHECK(obs_abort_config_set_credential_source(config, 77) != OBS_ABORT_OK);
    CHECK(obs_abort_config_set_addressing(config, -1) != OBS_ABORT_OK);
    CHECK(obs_abort_config_set_signature(config, 9) != OBS_ABORT_OK);
    CHECK(obs_abort_config_set_timeout_ms(config, 0) != OBS_ABORT_OK);
    CHECK(obs_abort_config_set_ca_file(config, "/nonexistent.pem") != OBS_ABORT_OK);
    CHECK(obs_abort_config_set_client_certificate(config, "/dev/null", "/nonexistent") != OBS_ABORT_OK);
    CHECK(obs_abort_config_set_proxy(config, "socks5://u:p@h") != OBS_ABORT_OK);
    CHECK(obs_abort_config_set_user_agent(config, "\x80\xff") != OBS_ABORT_OK);
    CODE(obs_abort_client_new(config, &client, &error), OBS_ABORT_INVALID_CONFIG, error);
    CHECK(client == NULL && error != NULL && strchr(error, '\n') == NULL);
    obs_abort_string_free(error);
    CODE(obs_abort_client_new(config, &client, NULL), OBS_ABORT_INVALID_CONFIG, NULL);
    obs_abort_config_free(config);
}

/* ---- One upload ---- */

static void single(const obs_abort_client *client)
{
    struct uploads uploads;
    size_t i;

    find(client, bucket, "single/", &uploads);
    for (i = 0; i < uploads.count; i++) {
        const char *key = uploads.list[i].key, *id = uploads.list[i].upload_id;
        obs_abort_outcome *outcome = NULL;
        int32_t status = -1;
        char *error = NULL;
        int32_t code = obs_abort_multipart(client, bucket, key, id, &status, &error);

        CODE(code, OBS_ABORT_OK, error);
        CHECK(status == 204 && error == NULL);
        code = obs_abort_multipart(client, bucket, key, id, &status, &error);
        CODE(code, OBS_ABORT_NO_SUCH_UPLOAD, error);
        CHECK(status == 404 && strstr(error, "NoSuchUpload") != NULL);
        obs_abort_string_free(error);
        CODE(obs_abort_multipart(client, bucket, key, id, NULL, NULL), OBS_ABORT_NO_SUCH_UPLOAD, NULL);

        code = obs_abort_multipart_outcome(client, NULL, bucket, key, id, &outcome);
        CODE(code, OBS_ABORT_NO_SUCH_UPLOAD, obs_abort_outcome_message(outcome));
        CHECK(obs_abort_outcome_code(outcome) == code && obs_abort_outcome_http_status(outcome) == 404);
        CHECK(strcmp(obs_abort_outcome_service_code(outcome), "NoSuchUpload") == 0);
        CHECK(obs_abort_outcome_request_id(outcome) != NULL && obs_abort_outcome_host_id(outcome) != NULL);
        CHECK(strcmp(obs_abort_outcome_key(outcome), key) == 0);
        CHECK(strcmp(obs_abort_outcome_upload_id(outcome), id) == 0);
        CHECK(obs_abort_outcome_attempts(outcome) == 1 && obs_abort_outcome_initiated(outcome) == -1);
        CHECK(obs_abort_outcome_index(outcome) == -1);
        obs_abort_outcome_free(outcome);
    }
    forget(&uploads);
}

static void bad_arguments(const obs_abort_client *client)
{
    static const char *const bad[][3] = {{NULL, "k", "i"}, {"abc", NULL, "i"}, {"abc", "k", NULL},
                                         {"", "k", "i"},   {"abc", "", "i"},   {"abc", "k", " \t"},
                                         {"abc", "\xff", "i"}, {"a..b", "k", "i\n"}};
    size_t i;

    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        obs_abort_outcome *outcome = NULL;
        char *error = NULL;
        int32_t code = obs_abort_multipart(client, bad[i][0], bad[i][1], bad[i][2], NULL, &error);

        CODE(code, OBS_ABORT_INVALID_ARGUMENT, error);
        CHECK(error != NULL);
        obs_abort_string_free(error);
        code = obs_abort_multipart_outcome(client, NULL, bad[i][0], bad[i][1], bad[i][2], &outcome);
        CODE(code, OBS_ABORT_INVALID_ARGUMENT, obs_abort_outcome_message(outcome));
        CHECK(outcome != NULL && obs_abort_outcome_attempts(outcome) == 0);
        obs_abort_outcome_free(outcome);
    }
}

/* ---- Many uploads ---- */

static int32_t stop_after_ten(const obs_abort_outcome *outcome, uint64_t done, uint64_t total, void *userdata)
{
    (void)outcome;
    (void)total;
    (void)userdata;
    return done >= 10;
}

static void check_sum(const obs_abort_report *report)
{
    uint64_t sum = obs_abort_report_aborted(report) + obs_abort_report_missing(report) +
                   obs_abort_report_failed(report) + obs_abort_report_kept(report);

    CHECK(report != NULL && sum == obs_abort_report_total(report));
}

static void many(const obs_abort_client *client)
{
    struct uploads uploads;
    obs_abort_upload list[MOST_UPLOADS];
    obs_abort_report *report = NULL;
    const obs_abort_outcome *failure;
    char *error = NULL;
    size_t i, count;
    int32_t code;

    find(client, bucket, "many/", &uploads);
    for (count = 0; count < uploads.count; count++)
        list[count] = uploads.list[count];
    list[count++] = list[0]; /* a duplicate is missing the second time */
    list[count].key = "key";
    list[count++].upload_id = ""; /* a bad entry fails alone */
    list[count].key = NULL;
    list[count++].upload_id = "\xff";

    code = obs_abort_many(client, NULL, bucket, list, count, NULL, NULL, &report, &error);
    CODE(code, OBS_ABORT_PARTIAL, error);
    check_sum(report);
    CHECK(obs_abort_report_total(report) == count && obs_abort_report_failed(report) == 2);
    CHECK(obs_abort_report_aborted(report) == uploads.count && obs_abort_report_missing(report) == 1);
    CHECK(obs_abort_report_failure_count(report) == 2);
    for (i = 0; i < 2; i++) {
        failure = obs_abort_report_failure(report, i);
        CODE(obs_abort_outcome_code(failure), OBS_ABORT_INVALID_ARGUMENT, obs_abort_outcome_message(failure));
        CHECK(obs_abort_outcome_key(failure) != NULL && obs_abort_outcome_upload_id(failure) != NULL);
        CHECK(obs_abort_outcome_index(failure) >= (int64_t)count - 2 && obs_abort_outcome_index(failure) < (int64_t)count);
    }
    CHECK(obs_abort_report_failure(report, 2) == NULL);
    obs_abort_report_free(report);
    obs_abort_string_free(error);
    CODE(obs_abort_many(client, NULL, bucket, NULL, 0, NULL, NULL, NULL, NULL), OBS_ABORT_OK, NULL);
    CODE(obs_abort_many(client, NULL, bucket, NULL, 5, NULL, NULL, NULL, NULL), OBS_ABORT_INVALID_ARGUMENT, NULL);
    forget(&uploads);

    find(client, bucket, "rest/", &uploads);
    error = NULL;
    code = obs_abort_many(client, NULL, bucket, uploads.list, uploads.count, stop_after_ten, NULL, &report, &error);
    CODE(code, OBS_ABORT_CANCELLED, error);
    check_sum(report);
    CHECK(obs_abort_report_aborted(report) >= 10 && obs_abort_report_failed(report) == 0);
    obs_abort_report_free(report);
    obs_abort_string_free(error);
    forget(&uploads);
}

static void stale(const obs_abort_client *client)
{
    obs_abort_report *report = NULL;
    struct uploads uploads;
    char *error = NULL;
    size_t count;
    int32_t code;

    find(client, bucket, "stale/", &uploads);
    count = uploads.count;
    forget(&uploads);
    code = obs_abort_stale(client, NULL, bucket, NULL, 0, 0, NULL, NULL, &report, &error);
    CODE(code, OBS_ABORT_INVALID_ARGUMENT, error);
    obs_abort_report_free(report);
    obs_abort_string_free(error);
    error = NULL;
    code = obs_abort_stale(client, NULL, bucket, "stale/", 3600, 0, remember, &uploads, &report, &error);
    CODE(code, OBS_ABORT_OK, error);
    check_sum(report);
    CHECK(obs_abort_report_aborted(report) == count && uploads.count == count);
    obs_abort_report_free(report);
    forget(&uploads);
    code = obs_abort_stale(client, NULL, "no-such-bucket", NULL, 3600, 0, NULL, NULL, &report, &error);
    CODE(code, OBS_ABORT_NO_SUCH_BUCKET, error);
    obs_abort_report_free(report);
    obs_abort_string_free(error);
}

/* Keeps every other upload. The first time, it frees the selection that the sweep has copied. */
struct catalogue {
    obs_abort_selection *selection;
    size_t shown;
};

static int32_t keep_half(const obs_abort_outcome *candidate, void *userdata)
{
    struct catalogue *catalogue = userdata;

    CHECK(strncmp(obs_abort_outcome_key(candidate), "stale/", 6) == 0);
    CHECK(strlen(obs_abort_outcome_upload_id(candidate)) > 0 && obs_abort_outcome_initiated(candidate) > 0);
    CHECK(obs_abort_outcome_attempts(candidate) == 0 && obs_abort_outcome_message(candidate) == NULL);
    obs_abort_selection_free(catalogue->selection);
    catalogue->selection = NULL;
    return (int32_t)(catalogue->shown++ % 2);
}

static int32_t measured(const obs_abort_outcome *outcome, uint64_t done, uint64_t total, void *userdata)
{
    (void)userdata;
    CHECK(done <= total);
    if (outcome != NULL) {
        CHECK(obs_abort_outcome_parts(outcome) == 0 && obs_abort_outcome_bytes(outcome) == 0);
        CHECK(obs_abort_outcome_last_part(outcome) == -1);
    }
    return 0;
}

static void selected(const obs_abort_client *client)
{
    struct catalogue catalogue = {obs_abort_selection_new(), 0};
    obs_abort_report *report = NULL;
    char *error = NULL;
    int32_t code;

    CHECK(catalogue.selection != NULL);
    code = obs_abort_sweep(client, NULL, bucket, catalogue.selection, 0, NULL, NULL, &report, &error);
    CODE(code, OBS_ABORT_INVALID_ARGUMENT, error);
    CHECK(report == NULL && error != NULL);
    obs_abort_string_free(error);
    CODE(obs_abort_selection_set_prefix(catalogue.selection, "\xff"), OBS_ABORT_INVALID_ARGUMENT, NULL);
    CODE(obs_abort_selection_set_prefix(catalogue.selection, "stale/"), OBS_ABORT_OK, NULL);
    CODE(obs_abort_selection_set_older_than_seconds(catalogue.selection, 3600), OBS_ABORT_OK, NULL);
    CODE(obs_abort_selection_set_initiated_before(catalogue.selection, (int64_t)time(NULL) - 60), OBS_ABORT_OK, NULL);
    CODE(obs_abort_selection_set_idle_seconds(catalogue.selection, 1800), OBS_ABORT_OK, NULL);
    CODE(obs_abort_selection_set_measure(catalogue.selection, 1), OBS_ABORT_OK, NULL);
    CODE(obs_abort_selection_set_filter(catalogue.selection, keep_half, &catalogue), OBS_ABORT_OK, NULL);
    code = obs_abort_sweep(client, NULL, bucket, catalogue.selection, OBS_ABORT_DRY_RUN, measured, NULL, &report, &error);
    CODE(code, OBS_ABORT_OK, error);
    check_sum(report);
    CHECK(catalogue.shown > 1 && obs_abort_report_kept(report) == catalogue.shown / 2);
    CHECK(obs_abort_report_total(report) == catalogue.shown && obs_abort_report_complete(report) == 0);
    CHECK(obs_abort_report_younger(report) + obs_abort_report_active(report) + obs_abort_report_bytes(report) == 0);
    obs_abort_report_free(report);
}

static int32_t count_bucket(const char *name, const char *location, void *userdata)
{
    CHECK(strlen(name) >= 3 && (location == NULL || strlen(location) > 0));
    *(size_t *)userdata += strcmp(name, bucket) == 0;
    return 0;
}

static int32_t stop_at_once(const char *name, const char *location, void *userdata)
{
    (void)location;
    (void)userdata;
    return name != NULL;
}

static void buckets(const obs_abort_client *client)
{
    size_t found = 0;
    char *error = NULL;
    int32_t code = obs_abort_buckets(client, NULL, count_bucket, &found, &error);

    CODE(code, OBS_ABORT_OK, error);
    CHECK(found == 1);
    code = obs_abort_buckets(client, NULL, stop_at_once, NULL, &error);
    CODE(code, OBS_ABORT_CANCELLED, error);
    obs_abort_string_free(error);
}

/* ---- Threads ---- */

struct work {
    const obs_abort_client *client;
    const struct uploads *uploads;
    size_t first;
};

static void *abort_share(void *argument)
{
    const struct work *work = argument;
    size_t i;

    for (i = work->first; i < work->uploads->count; i += THREADS) {
        obs_abort_outcome *outcome = NULL;
        char *error = NULL;
        const obs_abort_upload *upload = &work->uploads->list[i];
        int32_t code;

        code = obs_abort_multipart_outcome(work->client, NULL, bucket, upload->key, upload->upload_id, &outcome);
        CODE(code, OBS_ABORT_OK, obs_abort_outcome_message(outcome));
        obs_abort_outcome_free(outcome);
        code = obs_abort_client_set_credentials(work->client, access_key, secret_key, NULL, &error);
        CODE(code, OBS_ABORT_OK, error);
        CHECK(error == NULL);
        code = obs_abort_client_set_credentials(work->client, access_key, "line\n", NULL, &error);
        CODE(code, OBS_ABORT_INVALID_ARGUMENT, error);
        CHECK(error != NULL && strstr(error, "secret key") != NULL && strstr(error, "line\n") == NULL);
        obs_abort_string_free(error);
    }
    return NULL;
}

static void threads(const obs_abort_client *client)
{
    pthread_t started[THREADS];
    struct work work[THREADS];
    struct uploads uploads;
    size_t i;

    find(client, bucket, "threads/", &uploads);
    for (i = 0; i < THREADS; i++) {
        struct work share = {client, &uploads, i};

        work[i] = share;
        CHECK(pthread_create(&started[i], &small, abort_share, &work[i]) == 0);
    }
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_join(started[i], NULL) == 0);
    forget(&uploads);
}

struct waiting {
    const obs_abort_client *client;
    const obs_abort_call *call;
    int32_t code;
};

static void *abort_stalled(void *argument)
{
    struct waiting *waiting = argument;
    obs_abort_outcome *outcome = NULL;

    waiting->code = obs_abort_multipart_outcome(waiting->client, waiting->call, bucket, "stall", "id", &outcome);
    CHECK(outcome != NULL);
    obs_abort_outcome_free(outcome);
    return NULL;
}

static void cancelled(void)
{
    obs_abort_client *client = new_client(new_config());
    obs_abort_call *call = obs_abort_call_new();
    struct waiting waiting[THREADS];
    pthread_t started[THREADS];
    size_t i;

    CODE(obs_abort_call_set_timeout_ms(call, 100), OBS_ABORT_OK, NULL);
    waiting[0].client = client;
    waiting[0].call = call;
    abort_stalled(&waiting[0]);
    CODE(waiting[0].code, OBS_ABORT_TIMEOUT, NULL);
    obs_abort_call_free(call);

    /* Half by their call, half by a shutdown. */
    call = obs_abort_call_new();
    for (i = 0; i < THREADS; i++) {
        struct waiting one = {client, i % 2 == 0 ? call : NULL, -1};

        waiting[i] = one;
        CHECK(pthread_create(&started[i], &small, abort_stalled, &waiting[i]) == 0);
    }
    sleep_ms(200);
    obs_abort_call_cancel(call);
    obs_abort_call_cancel(call);
    for (i = 0; i < THREADS; i += 2)
        CHECK(pthread_join(started[i], NULL) == 0);
    obs_abort_client_shutdown(client);
    obs_abort_client_shutdown(client);
    for (i = 1; i < THREADS; i += 2)
        CHECK(pthread_join(started[i], NULL) == 0);
    for (i = 0; i < THREADS; i++)
        CODE(waiting[i].code, OBS_ABORT_CANCELLED, NULL);
    obs_abort_call_free(call);
    obs_abort_client_free(client);
}

/* A server that accepts connections and never answers. */
static int new_listener(char silent_endpoint[], size_t size)
{
    const struct timeval patience = {20, 0};
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(listener, THREADS) == 0 && getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    CHECK(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    snprintf(silent_endpoint, size, "http://127.0.0.1:%d", ntohs(address.sin_port));
    return listener;
}

static int32_t no_outcome(const obs_abort_outcome *outcome, uint64_t done, uint64_t total, void *userdata)
{
    (void)done;
    (void)total;
    (void)userdata;
    CHECK(outcome == NULL || obs_abort_outcome_code(outcome) != OBS_ABORT_OK);
    return 0;
}

static void *many_of_one(void *argument)
{
    static const obs_abort_upload upload = {"key", "id"};
    struct waiting *waiting = argument;

    waiting->code = obs_abort_many(waiting->client, waiting->call, bucket, &upload, 1, no_outcome, NULL, NULL, NULL);
    return NULL;
}

static void *stale_from_silence(void *argument)
{
    struct waiting *waiting = argument;

    waiting->code = obs_abort_stale(waiting->client, waiting->call, bucket, "p", 60, 0, no_outcome, NULL, NULL, NULL);
    return NULL;
}

/* The handle is freed while calls that use it wait for an answer: what was set before stays in force. */
static void freed_in_flight(int cancel)
{
    static void *(*const verbs[])(void *) = {abort_stalled, many_of_one, stale_from_silence};
    char silent_endpoint[64];
    int accepted[THREADS], listener = new_listener(silent_endpoint, sizeof silent_endpoint);
    obs_abort_config *config = new_config();
    obs_abort_call *call = obs_abort_call_new();
    obs_abort_client *client;
    struct waiting waiting[THREADS];
    pthread_t started[THREADS];
    size_t i;

    CODE(obs_abort_config_set_endpoint(config, silent_endpoint), OBS_ABORT_OK, silent_endpoint);
    client = new_client(config);
    CODE(obs_abort_call_set_timeout_ms(call, cancel ? 60000 : 3000), OBS_ABORT_OK, NULL);
    for (i = 0; i < THREADS; i++) {
        struct waiting one = {client, call, -1};

        waiting[i] = one;
        CHECK(pthread_create(&started[i], &small, verbs[i % 3], &waiting[i]) == 0);
    }
    /* One connection each: then all have begun. */
    for (i = 0; i < THREADS; i++) {
        accepted[i] = accept(listener, NULL, NULL);
        CHECK(accepted[i] >= 0);
    }
    if (cancel)
        obs_abort_call_cancel(call);
    obs_abort_call_free(call);
    for (i = 0; i < THREADS; i++) {
        CHECK(pthread_join(started[i], NULL) == 0);
        CODE(waiting[i].code, cancel ? OBS_ABORT_CANCELLED : OBS_ABORT_TIMEOUT, NULL);
    }
    for (i = 0; i < THREADS; i++)
        close(accepted[i]);
    obs_abort_client_free(client);
    close(listener);
}

/* A child goes on with its parent's client, and the parent with its connections. */
static void forked(const obs_abort_client *client)
{
    int32_t status;
    int ended = -1;
    pid_t child;

    CODE(obs_abort_multipart(client, bucket, "k", "unknown", &status, NULL), OBS_ABORT_NO_SUCH_UPLOAD, NULL);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        char *error = NULL;
        int32_t code = obs_abort_multipart(client, bucket, "k", "unknown", NULL, &error);

        CODE(code, OBS_ABORT_NO_SUCH_UPLOAD, error);
        obs_abort_string_free(error);
        /* Replaced, so that nobody takes what it inherited for a leak. */
        execlp("true", "true", (char *)NULL);
        _exit(1);
    }
    CODE(obs_abort_multipart(client, bucket, "k", "unknown", &status, NULL), OBS_ABORT_NO_SUCH_UPLOAD, NULL);
    CHECK(waitpid(child, &ended, 0) == child && WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
    CODE(obs_abort_multipart(client, bucket, "k", "unknown", &status, NULL), OBS_ABORT_NO_SUCH_UPLOAD, NULL);
}

static void *everything(void *unused)
{
    struct log log = {.lock = PTHREAD_MUTEX_INITIALIZER};
    obs_abort_config *config;
    obs_abort_client *client;

    constants();
    null_everywhere();
    bad_settings();

    config = new_config();
    CODE(obs_abort_config_set_log(config, count_line, &log, OBS_ABORT_LOG_DEBUG), OBS_ABORT_OK, NULL);
    CODE(obs_abort_config_set_max_connections(config, THREADS), OBS_ABORT_OK, NULL);
    CODE(obs_abort_config_set_user_agent(config, "driver/1"), OBS_ABORT_OK, NULL);
    CODE(obs_abort_config_set_request_payer(config, 1), OBS_ABORT_OK, NULL);
    CODE(obs_abort_config_set_max_attempts(config, 6), OBS_ABORT_OK, NULL);
    CODE(obs_abort_config_set_connect_timeout_ms(config, 20000), OBS_ABORT_OK, NULL);
    CODE(obs_abort_config_set_response_timeout_ms(config, 20000), OBS_ABORT_OK, NULL);
    CODE(obs_abort_config_set_timeout_ms(config, 60000), OBS_ABORT_OK, NULL);
    client = new_client(config);
    single(client);
    bad_arguments(client);
    threads(client);
    forked(client);
    many(client);
    selected(client);
    stale(client);
    buckets(client);
    obs_abort_client_free(client);
    cancelled();
    freed_in_flight(1);
    freed_in_flight(0);

    /* Signed the older way, and looked after. */
    config = new_config();
    CODE(obs_abort_config_set_credentials(config, access_key, secret_key, ""), OBS_ABORT_OK, NULL);
    CODE(obs_abort_config_set_signature(config, OBS_ABORT_SIGNATURE_AWS_V2), OBS_ABORT_OK, NULL);
    CODE(obs_abort_config_set_addressing(config, OBS_ABORT_ADDRESSING_PATH), OBS_ABORT_OK, NULL);
    CODE(obs_abort_config_set_confirm(config, 1), OBS_ABORT_OK, NULL);
    client = new_client(config);
    CODE(obs_abort_multipart(client, bucket, "k", "unknown", NULL, NULL), OBS_ABORT_NO_SUCH_UPLOAD, NULL);
    obs_abort_client_free(client);

    CHECK(log.lines > 0 && log.bytes > 0);
    printf("driver: as expected, %zu lines logged\n", log.lines);
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    size_t stack = 0;

    if (argc > 2 && strcmp(argv[1], "--stack") == 0) {
        stack = strtoul(argv[2], NULL, 10);
        argc -= 2;
        argv += 2;
    }
    endpoint = argc > 1 ? argv[1] : NULL;
    bucket = argc > 2 ? argv[2] : NULL;
    ca_file = argc > 3 ? argv[3] : NULL;
    access_key = getenv("OBS_ACCESS_KEY_ID");
    secret_key = getenv("OBS_SECRET_ACCESS_KEY");
    if (argc < 3 || argc > 4 || access_key == NULL || secret_key == NULL) {
        fprintf(stderr, "usage: OBS_ACCESS_KEY_ID=.. OBS_SECRET_ACCESS_KEY=.. "
                        "driver [--stack BYTES] ENDPOINT BUCKET [CA_FILE]\n");
        return 2;
    }
    CHECK(pthread_attr_init(&small) == 0 && (stack == 0 || pthread_attr_setstacksize(&small, stack) == 0));
    if (stack == 0)
        return everything(NULL) != NULL;
    CHECK(pthread_create(&thread, &small, everything, NULL) == 0 && pthread_join(thread, NULL) == 0);
    return 0;
}

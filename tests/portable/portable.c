/*
 * What the library promises on every system, by a C program that needs nothing but obsabort.h, C99 and POSIX threads
 * (mingw-w64 has them). tests/e2e/test_portable.py runs it against servers and looks at what they have seen.
 *
 *     portable CHECK ENDPOINT CA_FILE [ARGUMENT...]
 *
 * Credentials come from the environment, the bucket is "leftovers". CA_FILE may be empty. %XX in an argument is a byte,
 * since main has no UTF-8 arguments on Windows. Exit status: 0 if all is as promised; else standard error says what is
 * not.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <obsabort.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREADS 64
#define BUCKET "leftovers"

static int failures;

#define EXPECT(what) expect((what) != 0, #what, __LINE__)

static void expect(int is_so, const char *what, int line)
{
    if (is_so)
        return;
    fprintf(stderr, "portable.c:%d: not so: %s\n", line, what);
    failures++;
}

static void expect_code(int32_t code, int32_t expected, const char *message, int line)
{
    if (code == expected)
        return;
    fprintf(stderr, "portable.c:%d: %s, not %s: %s\n", line, obs_abort_code_name(code), obs_abort_code_name(expected),
            message != NULL ? message : "no message");
    failures++;
}

#define EXPECT_CODE(code, expected, message) expect_code(code, expected, message, __LINE__)

static double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1000 + (double)now.tv_nsec / 1e6;
}

static void sleep_ms(long ms)
{
    struct timespec time;

    time.tv_sec = ms / 1000;
    time.tv_nsec = ms % 1000 * 1000000;
    nanosleep(&time, NULL);
}

/* ---- clients ---- */

struct arguments {
    const char *endpoint, *ca_file;
    char **more;
    int count;
};

/* NAME=VALUE among the further arguments, or 0. */
static uint32_t setting(const struct arguments *arguments, const char *name)
{
    size_t length = strlen(name);
    int i;

    for (i = 0; i < arguments->count; i++)
        if (strncmp(arguments->more[i], name, length) == 0 && arguments->more[i][length] == '=')
            return (uint32_t)strtoul(arguments->more[i] + length + 1, NULL, 10);
    return 0;
}

static obs_abort_config *make_config(const struct arguments *arguments)
{
    obs_abort_config *config = obs_abort_config_new();

    obs_abort_config_set_endpoint(config, arguments->endpoint);
    obs_abort_config_set_addressing(config, OBS_ABORT_ADDRESSING_PATH);
    obs_abort_config_set_credential_source(config, OBS_ABORT_CREDENTIALS_ENV);
    if (*arguments->ca_file != '\0')
        obs_abort_config_set_ca_file(config, arguments->ca_file);
    if (setting(arguments, "timeout") > 0)
        obs_abort_config_set_timeout_ms(config, setting(arguments, "timeout"));
    if (setting(arguments, "connect-timeout") > 0)
        obs_abort_config_set_connect_timeout_ms(config, setting(arguments, "connect-timeout"));
    if (setting(arguments, "response-timeout") > 0)
        obs_abort_config_set_response_timeout_ms(config, setting(arguments, "response-timeout"));
    if (setting(arguments, "attempts") > 0)
        obs_abort_config_set_max_attempts(config, setting(arguments, "attempts"));
    if (setting(arguments, "connections") > 0)
        obs_abort_config_set_max_connections(config, setting(arguments, "connections"));
    return config;
}

static obs_abort_client *make_client(const struct arguments *arguments)
{
    obs_abort_config *config = make_config(arguments);
    obs_abort_client *client = NULL;
    char *error = NULL;

    EXPECT_CODE(obs_abort_client_new(config, &client, &error), OBS_ABORT_OK, error);
    obs_abort_string_free(error);
    obs_abort_config_free(config);
    if (client == NULL)
        exit(1);
    return client;
}

/* ---- lists of uploads ---- */

struct uploads {
    obs_abort_upload *list;
    size_t count, room;
};

static char *copy_of(const char *text)
{
    char *copy = malloc(strlen(text) + 1);

    if (copy == NULL)
        exit(1);
    return strcpy(copy, text);
}

static int32_t collect(const obs_abort_outcome *outcome, uint64_t done, uint64_t total_so_far, void *userdata)
{
    struct uploads *uploads = userdata;

    (void)done;
    (void)total_so_far;
    if (outcome == NULL)
        return 0;
    if (uploads->count == uploads->room) {
        uploads->room = uploads->room > 0 ? 2 * uploads->room : 256;
        uploads->list = realloc(uploads->list, uploads->room * sizeof *uploads->list);
        if (uploads->list == NULL)
            exit(1);
    }
    uploads->list[uploads->count].key = copy_of(obs_abort_outcome_key(outcome));
    uploads->list[uploads->count].upload_id = copy_of(obs_abort_outcome_upload_id(outcome));
    uploads->count++;
    return 0;
}

/* What a dry run finds, with a client of its own. */
static struct uploads find_uploads(const struct arguments *arguments)
{
    struct uploads uploads = {NULL, 0, 0};
    obs_abort_client *client = make_client(arguments);
    obs_abort_report *report = NULL;
    char *error = NULL;
    int32_t code = obs_abort_stale(client, NULL, BUCKET, NULL, 0, OBS_ABORT_DRY_RUN | OBS_ABORT_INCLUDE_LIVE, collect,
                                   &uploads, &report, &error);

    EXPECT_CODE(code, OBS_ABORT_OK, error);
    EXPECT(obs_abort_report_aborted(report) == uploads.count);
    obs_abort_string_free(error);
    obs_abort_report_free(report);
    obs_abort_client_free(client);
    return uploads;
}

static void free_uploads(struct uploads *uploads)
{
    while (uploads->count > 0) {
        uploads->count--;
        free((char *)uploads->list[uploads->count].key);
        free((char *)uploads->list[uploads->count].upload_id);
    }
    free(uploads->list);
}

/* ---- checks without a server ---- */

static void check_codes(const struct arguments *unused)
{
    static const struct {
        int32_t code;
        const char *name;
    } codes[] = {
        {OBS_ABORT_OK, "ok"},
        {OBS_ABORT_INVALID_ARGUMENT, "invalid_argument"},
        {OBS_ABORT_INVALID_CONFIG, "invalid_config"},
        {OBS_ABORT_NO_CREDENTIALS, "no_credentials"},
        {OBS_ABORT_RESOLVE, "resolve"},
        {OBS_ABORT_CONNECT, "connect"},
        {OBS_ABORT_TLS, "tls"},
        {OBS_ABORT_TIMEOUT, "timeout"},
        {OBS_ABORT_IO, "io"},
        {OBS_ABORT_PROTOCOL, "protocol"},
        {OBS_ABORT_CANCELLED, "cancelled"},
        {OBS_ABORT_ACCESS_DENIED, "access_denied"},
        {OBS_ABORT_NO_SUCH_UPLOAD, "no_such_upload"},
        {OBS_ABORT_NO_SUCH_BUCKET, "no_such_bucket"},
        {OBS_ABORT_CLOCK_SKEW, "clock_skew"},
        {OBS_ABORT_THROTTLED, "throttled"},
        {OBS_ABORT_SERVER, "server"},
        {OBS_ABORT_REDIRECT, "redirect"},
        {OBS_ABORT_REJECTED, "rejected"},
        {OBS_ABORT_PARTS_REMAIN, "parts_remain"},
        {OBS_ABORT_PARTIAL, "partial"},
        {OBS_ABORT_STILL_LISTED, "still_listed"},
        {OBS_ABORT_INTERNAL, "internal"},
        {12345, "unknown"},
    };
    size_t i;

    (void)unused;
    for (i = 0; i < sizeof codes / sizeof *codes; i++) {
        EXPECT(strcmp(obs_abort_code_name(codes[i].code), codes[i].name) == 0);
        EXPECT(*obs_abort_strerror(codes[i].code) != '\0');
    }
    EXPECT(strcmp(obs_abort_version(), OBS_ABORT_VERSION) == 0);
    EXPECT(obs_abort_version_number() == OBS_ABORT_VERSION_NUMBER);
    EXPECT(sizeof(obs_abort_upload) == 2 * sizeof(char *));
}

static void refused(const obs_abort_client *client, const char *bucket, const char *key, const char *upload_id, int line)
{
    int32_t status = 7, code;
    char *error = NULL;

    errno = 4711;
    code = obs_abort_multipart(client, bucket, key, upload_id, &status, &error);
    expect(errno == 4711, "errno is left alone", line);
    expect_code(code, OBS_ABORT_INVALID_ARGUMENT, error, line);
    expect(status == 0, "no HTTP status", line);
    expect(error != NULL && strncmp(error, "invalid_argument: ", 18) == 0, "the message names its code", line);
    obs_abort_string_free(error);
}

#define REFUSED(client, bucket, key, upload_id) refused(client, bucket, key, upload_id, __LINE__)

static void check_arguments(const struct arguments *arguments)
{
    obs_abort_client *client = make_client(arguments), *none = NULL;
    obs_abort_config *config = obs_abort_config_new();
    char *error = NULL;

    REFUSED(NULL, BUCKET, "key", "id");
    REFUSED(client, NULL, "key", "id");
    REFUSED(client, BUCKET, NULL, "id");
    REFUSED(client, BUCKET, "key", NULL);
    REFUSED(client, "No_Bucket", "key", "id");
    REFUSED(client, BUCKET, "", "id");
    REFUSED(client, BUCKET, "key", "");
    REFUSED(client, BUCKET, "key", " id");
    REFUSED(client, BUCKET, "key", "id\n");
    REFUSED(client, BUCKET, "\xff", "id");
    EXPECT(obs_abort_config_set_endpoint(config, "ftp://host") == OBS_ABORT_INVALID_ARGUMENT);
    EXPECT(obs_abort_config_set_ca_file(config, NULL) == OBS_ABORT_INVALID_ARGUMENT);
    EXPECT(obs_abort_client_new(config, &none, &error) == OBS_ABORT_INVALID_CONFIG && none == NULL);
    EXPECT(error != NULL && strncmp(error, "invalid_config: ", 16) == 0);
    obs_abort_string_free(error);
    obs_abort_config_free(config);
    obs_abort_client_free(client);
    obs_abort_string_free(NULL);
    obs_abort_config_free(NULL);
    obs_abort_client_free(NULL);
    obs_abort_call_free(NULL);
    obs_abort_outcome_free(NULL);
    obs_abort_report_free(NULL);
}

/* ---- checks with a server ---- */

/* Whether outcomes and log lines come on the thread that called. */
struct witness {
    pthread_t caller;
    unsigned outcomes, others, lines;
    int elsewhere;
};

static int32_t on_progress(const obs_abort_outcome *outcome, uint64_t done, uint64_t total_so_far, void *userdata)
{
    struct witness *witness = userdata;

    (void)done;
    (void)total_so_far;
    witness->elsewhere |= !pthread_equal(pthread_self(), witness->caller);
    witness->outcomes += outcome != NULL;
    witness->others += outcome == NULL;
    return 0;
}

static void on_line(int32_t level, const char *message, void *userdata)
{
    struct witness *witness = userdata;
    const char *secret = getenv("OBS_SECRET_ACCESS_KEY");

    (void)level;
    witness->elsewhere |= !pthread_equal(pthread_self(), witness->caller);
    witness->lines++;
    EXPECT(secret == NULL || strstr(message, secret) == NULL);
}

/* An upload is gone, and the second time it was gone before. Its arguments: key, upload id. */
static void check_one(const struct arguments *arguments)
{
    obs_abort_client *client = make_client(arguments);
    obs_abort_outcome *outcome = NULL;
    int32_t status = 0, code;
    char *error = NULL;

    errno = 4711;
    code = obs_abort_multipart_outcome(client, NULL, BUCKET, arguments->more[0], arguments->more[1], &outcome);
    EXPECT(errno == 4711);
    EXPECT_CODE(code, OBS_ABORT_OK, obs_abort_outcome_message(outcome));
    EXPECT(obs_abort_outcome_code(outcome) == code);
    EXPECT(obs_abort_outcome_http_status(outcome) == 204);
    EXPECT(obs_abort_outcome_attempts(outcome) == 1);
    EXPECT(obs_abort_outcome_request_id(outcome) != NULL);
    EXPECT(obs_abort_outcome_message(outcome) == NULL);
    obs_abort_outcome_free(outcome);
    code = obs_abort_multipart(client, BUCKET, arguments->more[0], arguments->more[1], &status, &error);
    EXPECT_CODE(code, OBS_ABORT_NO_SUCH_UPLOAD, error);
    EXPECT(status == 404);
    EXPECT(error != NULL && strncmp(error, "no_such_upload: ", 16) == 0);
    obs_abort_string_free(error);
    obs_abort_client_free(client);
}

/* All uploads, one after the other, each with one request. pause=MS between them. */
static void check_kept(const struct arguments *arguments)
{
    struct uploads uploads = find_uploads(arguments);
    obs_abort_client *client = make_client(arguments);
    size_t i;

    for (i = 0; i < uploads.count; i++) {
        obs_abort_outcome *outcome = NULL;
        int32_t code = obs_abort_multipart_outcome(client, NULL, BUCKET, uploads.list[i].key,
                                                   uploads.list[i].upload_id, &outcome);

        EXPECT_CODE(code, OBS_ABORT_OK, obs_abort_outcome_message(outcome));
        EXPECT(obs_abort_outcome_attempts(outcome) == 1);
        obs_abort_outcome_free(outcome);
        sleep_ms((long)setting(arguments, "pause"));
    }
    obs_abort_client_free(client);
    free_uploads(&uploads);
}

static void check_many(const struct arguments *arguments)
{
    struct uploads uploads = find_uploads(arguments);
    struct witness witness = {pthread_self(), 0, 0, 0, 0};
    obs_abort_client *client = make_client(arguments);
    obs_abort_report *report = NULL;
    size_t count = uploads.count;
    char *error = NULL;
    int32_t code;

    code = obs_abort_many(client, NULL, BUCKET, uploads.list, count, on_progress, &witness, &report, &error);
    EXPECT_CODE(code, OBS_ABORT_OK, error);
    EXPECT(obs_abort_report_total(report) == count && obs_abort_report_aborted(report) == count);
    EXPECT(witness.outcomes == count && !witness.elsewhere);
    obs_abort_report_free(report);
    code = obs_abort_many(client, NULL, BUCKET, uploads.list, count, NULL, NULL, &report, &error);
    EXPECT_CODE(code, OBS_ABORT_OK, error);
    EXPECT(obs_abort_report_missing(report) == count);
    obs_abort_report_free(report);
    obs_abort_string_free(error);
    obs_abort_client_free(client);
    free_uploads(&uploads);
}

/* A sweep of what is older than an hour: aborted=N kept=N. */
static void check_sweep(const struct arguments *arguments)
{
    struct witness witness = {pthread_self(), 0, 0, 0, 0};
    obs_abort_config *config = make_config(arguments);
    obs_abort_client *client = NULL;
    obs_abort_report *report = NULL;
    char *error = NULL;
    int32_t code;

    obs_abort_config_set_log(config, on_line, &witness, OBS_ABORT_LOG_DEBUG);
    EXPECT_CODE(obs_abort_client_new(config, &client, &error), OBS_ABORT_OK, error);
    obs_abort_config_free(config);
    code = obs_abort_stale(client, NULL, BUCKET, NULL, 3600, 0, on_progress, &witness, &report, &error);
    EXPECT_CODE(code, OBS_ABORT_OK, error);
    EXPECT(obs_abort_report_aborted(report) == setting(arguments, "aborted"));
    EXPECT(obs_abort_report_kept(report) == setting(arguments, "kept"));
    EXPECT(obs_abort_report_failed(report) == 0 && obs_abort_report_missing(report) == 0);
    EXPECT(witness.outcomes == setting(arguments, "aborted") && witness.lines > witness.outcomes);
    EXPECT(!witness.elsewhere);
    obs_abort_report_free(report);
    obs_abort_string_free(error);
    obs_abort_client_free(client);
}

struct share {
    const obs_abort_client *client;
    const obs_abort_upload *uploads;
    size_t count;
    size_t aborted;
    pthread_t thread;
};

static void *abort_share(void *argument)
{
    struct share *share = argument;
    size_t i;

    for (i = 0; i < share->count; i++) {
        char *error = NULL;
        int32_t code = obs_abort_multipart(share->client, BUCKET, share->uploads[i].key, share->uploads[i].upload_id,
                                           NULL, &error);

        share->aborted += code == OBS_ABORT_OK;
        if (error != NULL)
            fprintf(stderr, "%s\n", error);
        obs_abort_string_free(error);
    }
    return NULL;
}

/* 64 threads, one client. */
static void check_threads(const struct arguments *arguments)
{
    struct uploads uploads = find_uploads(arguments);
    obs_abort_client *client = make_client(arguments);
    struct share shares[THREADS];
    size_t i, aborted = 0;

    for (i = 0; i < THREADS; i++) {
        shares[i].client = client;
        shares[i].uploads = uploads.list + uploads.count / THREADS * i;
        shares[i].count = uploads.count / THREADS;
        shares[i].aborted = 0;
        EXPECT(pthread_create(&shares[i].thread, NULL, abort_share, &shares[i]) == 0);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(shares[i].thread, NULL);
        aborted += shares[i].aborted;
    }
    EXPECT(aborted == uploads.count);
    obs_abort_client_free(client);
    free_uploads(&uploads);
}

/* Credentials are refused, and replaced. Its arguments: key, upload id. */
static void check_credentials(const struct arguments *arguments)
{
    obs_abort_client *client = make_client(arguments);
    const char *access_key = getenv("OBS_ACCESS_KEY_ID"), *secret_key = getenv("OBS_SECRET_ACCESS_KEY");
    char *error = NULL;
    int32_t code;

    obs_abort_client_set_credentials(client, access_key, "wrong", NULL, NULL);
    code = obs_abort_multipart(client, BUCKET, arguments->more[0], arguments->more[1], NULL, &error);
    EXPECT_CODE(code, OBS_ABORT_ACCESS_DENIED, error);
    obs_abort_string_free(error);
    obs_abort_client_set_credentials(client, access_key, secret_key, NULL, NULL);
    code = obs_abort_multipart(client, BUCKET, arguments->more[0], arguments->more[1], NULL, &error);
    EXPECT_CODE(code, OBS_ABORT_OK, error);
    obs_abort_string_free(error);
    obs_abort_client_free(client);
}

/* One abort ends so: code=N min=MS max=MS, tries=N; budget=MS is that of the call. */
static void check_ends(const struct arguments *arguments)
{
    obs_abort_client *client = make_client(arguments);
    obs_abort_call *call = obs_abort_call_new();
    obs_abort_outcome *outcome = NULL;
    double began, took;
    int32_t code;

    if (setting(arguments, "budget") > 0)
        obs_abort_call_set_timeout_ms(call, setting(arguments, "budget"));
    began = now_ms();
    code = obs_abort_multipart_outcome(client, call, BUCKET, "key", "id", &outcome);
    took = now_ms() - began;
    printf("%s after %.0f ms\n", obs_abort_code_name(code), took);
    EXPECT_CODE(code, (int32_t)setting(arguments, "code"), obs_abort_outcome_message(outcome));
    if (setting(arguments, "max") > 0)
        EXPECT(took >= setting(arguments, "min") && took <= setting(arguments, "max"));
    if (setting(arguments, "tries") > 0)
        EXPECT(obs_abort_outcome_attempts(outcome) == setting(arguments, "tries"));
    obs_abort_outcome_free(outcome);
    obs_abort_call_free(call);
    obs_abort_client_free(client);
}

struct calling {
    const obs_abort_client *client;
    const obs_abort_call *call;
    char verb;
    int32_t code;
    volatile int is_over;
    double ended;
};

static void *call_verb(void *argument)
{
    struct calling *calling = argument;
    obs_abort_upload uploads[50];
    size_t i;

    for (i = 0; i < 50; i++) {
        uploads[i].key = "key";
        uploads[i].upload_id = "id";
    }
    if (calling->verb == 'o')
        calling->code = obs_abort_multipart_outcome(calling->client, calling->call, BUCKET, "key", "id", NULL);
    else if (calling->verb == 'm')
        calling->code =
            obs_abort_many(calling->client, calling->call, BUCKET, uploads, 50, NULL, NULL, NULL, NULL);
    else
        calling->code =
            obs_abort_stale(calling->client, calling->call, BUCKET, NULL, 3600, 0, NULL, NULL, NULL, NULL);
    calling->ended = now_ms();
    calling->is_over = 1;
    return NULL;
}

/* A call that waits is cancelled, or its client is shut down: it returns within max=MS. Its first argument: one, many
   or stale. */
static void check_cancel(const struct arguments *arguments)
{
    int by_shutdown;

    for (by_shutdown = 0; by_shutdown < 2; by_shutdown++) {
        obs_abort_client *client = make_client(arguments);
        obs_abort_call *call = obs_abort_call_new();
        struct calling calling = {client, call, arguments->more[0][0], -1, 0, 0};
        double cancelled;
        pthread_t thread;

        EXPECT(pthread_create(&thread, NULL, call_verb, &calling) == 0);
        sleep_ms(setting(arguments, "wait") > 0 ? (long)setting(arguments, "wait") : 300);
        EXPECT(!calling.is_over);
        cancelled = now_ms();
        if (by_shutdown)
            obs_abort_client_shutdown(client);
        else
            obs_abort_call_cancel(call);
        pthread_join(thread, NULL);
        printf("cancelled after %.0f ms\n", calling.ended - cancelled);
        EXPECT_CODE(calling.code, OBS_ABORT_CANCELLED, NULL);
        EXPECT(calling.ended - cancelled <= setting(arguments, "max"));
        obs_abort_call_free(call);
        obs_abort_client_free(client);
    }
}

/* No client, for the reason that code=N gives. */
static void check_no_client(const struct arguments *arguments)
{
    obs_abort_config *config = make_config(arguments);
    obs_abort_client *client = NULL;
    char *error = NULL;
    int32_t code = obs_abort_client_new(config, &client, &error);

    EXPECT_CODE(code, (int32_t)setting(arguments, "code"), error);
    EXPECT(client == NULL && error != NULL);
    if (error != NULL)
        printf("%s\n", error);
    obs_abort_string_free(error);
    obs_abort_config_free(config);
}

static const struct {
    const char *name;
    void (*run)(const struct arguments *arguments);
    int arguments;
} checks[] = {
    {"codes", check_codes, 0},     {"arguments", check_arguments, 0}, {"one", check_one, 2},
    {"kept", check_kept, 0},       {"many", check_many, 0},           {"sweep", check_sweep, 2},
    {"threads", check_threads, 0}, {"credentials", check_credentials, 2},
    {"ends", check_ends, 1},       {"cancel", check_cancel, 2},       {"no-client", check_no_client, 1},
};

/* Decodes %XX in place. */
static void decode(char *text)
{
    char *in, *out = text;

    for (in = text; *in != '\0'; in++) {
        unsigned byte;

        if (*in == '%' && sscanf(in + 1, "%2x", &byte) == 1) {
            *out++ = (char)byte;
            in += 2;
        } else {
            *out++ = *in;
        }
    }
    *out = '\0';
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    size_t i;

    for (i = 1; i < (size_t)argc; i++)
        decode(argv[i]);
    for (i = 0; argc > 3 && i < sizeof checks / sizeof *checks; i++) {
        if (strcmp(checks[i].name, argv[1]) == 0 && argc - 4 >= checks[i].arguments) {
            arguments.endpoint = argv[2];
            arguments.ca_file = argv[3];
            arguments.more = argv + 4;
            arguments.count = argc - 4;
            checks[i].run(&arguments);
            return failures > 0;
        }
    }
    fprintf(stderr, "usage: portable CHECK ENDPOINT CA_FILE [ARGUMENT...]\n");
    return 2;
}

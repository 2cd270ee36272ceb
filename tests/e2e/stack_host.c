/*
 * A host whose threads have 64 KB of stack, the least that the header asks for.
 *
 *     stack_host ENDPOINT BUCKET [NAME=VALUE...]
 *
 * Makes a client, calls each verb, and frees it, all on one thread whose stack ends at a page that can't be touched.
 * The settings are ca, certificate, key, proxy, attempts, timeout_ms, confirm and credentials (a source); "key_id=KEY ID"
 * adds an upload to the list. Prints the name of each verb's code, and how much of the stack was used. With -DNO_THREADS
 * the library can start no thread, so that the caller's does all the work.
 * Exit status: 0 all was called, 1 no client, 2 wrong usage.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <obsabort.h>

#define STACK ((size_t)64 * 1024)
#define UNTOUCHED 0xa5

static const char *endpoint, *bucket;
static char **settings;
static obs_abort_upload uploads[16] = {{"key", "id"}, {"key", ""}, {"another key", "id"}};
static size_t count = 3;
static uint32_t timeout_ms = 60000;
static int status;

#ifdef NO_THREADS
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
    (void)thread, (void)attributes, (void)run, (void)argument;
    return EAGAIN;
}
#endif

static void log_line(int32_t level, const char *message, void *userdata)
{
    (void)level;
    *(size_t *)userdata += strlen(message);
}

static int32_t go_on(const obs_abort_outcome *outcome, uint64_t done, uint64_t total, void *userdata)
{
    (void)userdata;
    return done > total || (outcome != NULL && obs_abort_outcome_key(outcome) == NULL);
}

static int32_t keep(const obs_abort_outcome *candidate, void *userdata)
{
    (void)userdata;
    return obs_abort_outcome_upload_id(candidate) == NULL;
}

static int32_t next_bucket(const char *name, const char *location, void *userdata)
{
    (void)location;
    *(size_t *)userdata += strlen(name);
    return 0;
}

static int32_t set(obs_abort_config *config, const char *name, const char *value)
{
    static const char *certificate;
    char *id;

    if (strcmp(name, "ca") == 0)
        return obs_abort_config_set_ca_file(config, value);
    if (strcmp(name, "certificate") == 0)
        return certificate = value, OBS_ABORT_OK;
    if (strcmp(name, "key") == 0)
        return obs_abort_config_set_client_certificate(config, certificate, value);
    if (strcmp(name, "proxy") == 0)
        return obs_abort_config_set_proxy(config, value);
    if (strcmp(name, "attempts") == 0)
        return obs_abort_config_set_max_attempts(config, (uint32_t)atoi(value));
    if (strcmp(name, "timeout_ms") == 0)
        return obs_abort_config_set_timeout_ms(config, timeout_ms = (uint32_t)atoi(value));
    if (strcmp(name, "confirm") == 0)
        return obs_abort_config_set_confirm(config, atoi(value));
    if (strcmp(name, "credentials") == 0)
        return obs_abort_config_set_credential_source(config, atoi(value));
    if (strcmp(name, "key_id") == 0 && (id = strchr(value, ' ')) != NULL && count < sizeof uploads / sizeof *uploads) {
        *id = '\0';
        uploads[count].key = value;
        uploads[count++].upload_id = id + 1;
        return OBS_ABORT_OK;
    }
    return OBS_ABORT_INVALID_ARGUMENT;
}

static void say(const char *verb, int32_t code, char *error)
{
    printf("%s %s\n", verb, obs_abort_code_name(code));
    if (error != NULL)
        fprintf(stderr, "%s: %s\n", obs_abort_strerror(code), error);
    obs_abort_string_free(error);
}

/* By a selection, with the lists of parts. */
static void call_sweep(const obs_abort_client *client, const obs_abort_call *call)
{
    obs_abort_selection *selection = obs_abort_selection_new();
    obs_abort_report *report = NULL;
    size_t letters = 0;
    char *error = NULL;
    int32_t code;

    obs_abort_selection_set_prefix(selection, "");
    obs_abort_selection_set_older_than_seconds(selection, 60);
    obs_abort_selection_set_initiated_before(selection, 4102444800);
    obs_abort_selection_set_idle_seconds(selection, 60);
    obs_abort_selection_set_measure(selection, 1);
    obs_abort_selection_set_filter(selection, keep, NULL);
    code = obs_abort_sweep(client, call, bucket, selection, OBS_ABORT_INCLUDE_LIVE, go_on, NULL, &report, &error);
    say("sweep", code, error);
    obs_abort_selection_free(selection);
    obs_abort_report_free(report);
    code = obs_abort_buckets(client, call, next_bucket, &letters, &error);
    say("buckets", code, error);
}

static void call_verbs(const obs_abort_client *client)
{
    const char *key = uploads[0].key, *id = uploads[0].upload_id;
    obs_abort_call *call = obs_abort_call_new();
    obs_abort_outcome *outcome = NULL;
    obs_abort_report *report = NULL;
    char *error = NULL;
    int32_t code;

    obs_abort_call_set_timeout_ms(call, timeout_ms);
    code = obs_abort_multipart(client, bucket, key, id, NULL, &error);
    say("multipart", code, error);
    code = obs_abort_multipart_outcome(client, call, bucket, key, id, &outcome);
    say("outcome", code, NULL);
    obs_abort_outcome_free(outcome);
    code = obs_abort_many(client, call, bucket, uploads, count, go_on, NULL, &report, &error);
    say("many", code, error);
    obs_abort_report_free(report);
    code = obs_abort_stale(client, call, bucket, NULL, 60, 0, go_on, NULL, &report, &error);
    say("stale", code, error);
    obs_abort_report_free(report);
    call_sweep(client, call);
    obs_abort_call_cancel(call);
    obs_abort_call_free(call);
}

static void *run(void *logged)
{
    obs_abort_config *config = obs_abort_config_new();
    obs_abort_client *client = NULL;
    char *error = NULL;
    int i;

    obs_abort_config_set_endpoint(config, endpoint);
    obs_abort_config_set_credentials(config, "OBSLOCALACCESSKEY", "obs-local-secret-key", NULL);
    obs_abort_config_set_proxy(config, "");
    obs_abort_config_set_log(config, log_line, logged, OBS_ABORT_LOG_DEBUG);
    for (i = 0; settings[i] != NULL; i++) {
        char *value = strchr(settings[i], '=');

        if (value == NULL || (*value = '\0', set(config, settings[i], value + 1) != OBS_ABORT_OK)) {
            fprintf(stderr, "stack_host: setting %s\n", settings[i]);
            status = 2;
            return NULL;
        }
    }
    if (obs_abort_client_new(config, &client, &error) != OBS_ABORT_OK) {
        fprintf(stderr, "%s\n", error);
        status = 1;
    }
    obs_abort_string_free(error);
    obs_abort_config_free(config);
    if (client != NULL)
        call_verbs(client);
    obs_abort_client_shutdown(client);
    obs_abort_client_free(client);
    return NULL;
}

int main(int argc, char **argv)
{
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    size_t page = (size_t)sysconf(_SC_PAGESIZE), unused = 0, logged = 0;
    unsigned char *memory, *stack;
    pthread_attr_t attributes;
    pthread_t thread;

    if (argc < 3) {
        fprintf(stderr, "usage: stack_host ENDPOINT BUCKET [NAME=VALUE...]\n");
        return 2;
    }
    endpoint = argv[1];
    bucket = argv[2];
    settings = argv + 3;
    *(void **)&create = dlsym(RTLD_NEXT, "pthread_create");
    memory = mmap(NULL, page + STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, page, PROT_NONE) != 0)
        return 2;
    stack = memory + page;
    memset(stack, UNTOUCHED, STACK);
    if (pthread_attr_init(&attributes) != 0 || pthread_attr_setstack(&attributes, stack, STACK) != 0
        || create(&thread, &attributes, run, &logged) != 0 || pthread_join(thread, NULL) != 0)
        return 2;
    while (unused < STACK && stack[unused] == UNTOUCHED)
        unused++;
    printf("logged %zu\nused %zu\n", logged, STACK - unused);
    return status;
}

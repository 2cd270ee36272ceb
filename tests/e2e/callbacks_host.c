/*
 * A host with default signal dispositions and no runtime, which looks at what its callbacks and the library's threads
 * may do with signals.
 *
 *     callbacks_host faults ENDPOINT BUCKET          its callbacks dereference NULL, and recover in its SIGSEGV handler
 *     callbacks_host masks ENDPOINT BUCKET STARTER   the masks of the library's threads: workers and lookups
 *     callbacks_host ecs ENDPOINT BUCKET STARTER     the same of the thread that fetches an agency's credentials
 *     callbacks_host free ENDPOINT BUCKET            no callback after obs_abort_client_free(), though a lookup goes on
 *
 * STARTER is what the thread that calls the library blocks: "little" or "all". The server holds uploads under many/ and
 * stale/ that are a day old. With -DNO_THREADS no thread can be started.
 * Exit status: 0 as expected, 1 something was not, 2 wrong usage.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

#define WORKERS 4

static const char *endpoint, *bucket;
static pthread_t caller;
static atomic_int lines, outcomes, lookups, lookups_over, lookup_takes_ms = 20, metadata_connections;

static obs_abort_client *new_client(int32_t source, obs_abort_log_fn log)
{
    obs_abort_config *config = obs_abort_config_new();
    obs_abort_client *client = NULL;

    CODE(obs_abort_config_set_endpoint(config, endpoint), OBS_ABORT_OK, NULL);
    CODE(obs_abort_config_set_addressing(config, OBS_ABORT_ADDRESSING_PATH), OBS_ABORT_OK, NULL);
    CODE(obs_abort_config_set_credential_source(config, source), OBS_ABORT_OK, NULL);
    CODE(obs_abort_config_set_proxy(config, ""), OBS_ABORT_OK, NULL);
    CODE(obs_abort_config_set_max_connections(config, WORKERS), OBS_ABORT_OK, NULL);
    CODE(obs_abort_config_set_log(config, log, NULL, OBS_ABORT_LOG_DEBUG), OBS_ABORT_OK, NULL);
    CODE(obs_abort_client_new(config, &client, NULL), OBS_ABORT_OK, NULL);
    obs_abort_config_free(config);
    return client;
}

/* The three verbs, and what is to be heard of them. */
static void all_verbs(int32_t source, obs_abort_log_fn log, obs_abort_progress_fn progress)
{
    obs_abort_client *client = new_client(source, log), *quiet = new_client(OBS_ABORT_CREDENTIALS_ENV, NULL);
    struct uploads uploads;
    int before;

    find(quiet, bucket, "many/", &uploads);
    CHECK(uploads.count > 20);
    obs_abort_client_free(quiet);
    before = lines;
    CODE(obs_abort_multipart(client, bucket, "single", "unknown", NULL, NULL), OBS_ABORT_NO_SUCH_UPLOAD, NULL);
    CHECK(lines >= before + 2);
    before = lines, outcomes = 0;
    CODE(obs_abort_many(client, NULL, bucket, uploads.list, uploads.count, progress, NULL, NULL, NULL), OBS_ABORT_OK,
         NULL);
    CHECK(outcomes == (int)uploads.count && lines >= before + 2 * outcomes);
    forget(&uploads);
    before = lines, outcomes = 0;
    CODE(obs_abort_stale(client, NULL, bucket, "stale/", 60, 0, progress, NULL, NULL, NULL), OBS_ABORT_OK, NULL);
    CHECK(outcomes > 20 && lines >= before + 2 * outcomes);
    obs_abort_client_free(client);
}

/* ---- faults ---- */

static pthread_key_t recovery;
static atomic_int recovered;

static void on_fault(int number)
{
    sigjmp_buf *back = pthread_getspecific(recovery);

    (void)number;
    if (back == NULL)
        _exit(1);
    siglongjmp(*back, 1);
}

/* As a managed runtime does when a caught null dereference happens: it never leaves the callback. */
static void fault_and_recover(void)
{
    static int *volatile nothing = NULL;
    sigjmp_buf back;

    CHECK(pthread_setspecific(recovery, &back) == 0);
    if (sigsetjmp(back, 1) == 0)
        *nothing = 1;
    else
        recovered++;
    CHECK(pthread_setspecific(recovery, NULL) == 0);
}

static void faulty_log(int32_t level, const char *message, void *userdata)
{
    (void)level, (void)message, (void)userdata;
    lines++;
    fault_and_recover();
}

static int32_t faulty_progress(const obs_abort_outcome *outcome, uint64_t done, uint64_t total, void *userdata)
{
    (void)done, (void)total, (void)userdata;
    outcomes += outcome != NULL;
    fault_and_recover();
    return 0;
}

static void faults(void)
{
    struct sigaction action;

    CHECK(pthread_key_create(&recovery, NULL) == 0);
    memset(&action, 0, sizeof action);
    action.sa_handler = on_fault;
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    all_verbs(OBS_ABORT_CREDENTIALS_ENV, faulty_log, faulty_progress);
    CHECK(recovered > lines);
}

/* ---- masks ---- */

static const int faults_raise[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};

static int is_raised_by_a_fault(int number)
{
    size_t i;

    for (i = 0; i < sizeof faults_raise / sizeof *faults_raise; i++)
        if (faults_raise[i] == number)
            return 1;
    return 0;
}

/* Whether a thread of the library has this mask. The kernel lets nobody block SIGKILL and SIGSTOP, and the C library
 * nobody its own: 32 and 33, with musl 34. */
static int is_as_promised(unsigned long long mask)
{
    int number;

    for (number = 1; number <= 64; number++) {
        int blocked = mask >> (number - 1) & 1;

        if (number == SIGKILL || number == SIGSTOP || (number >= 32 && number <= 34))
            continue;
        if (blocked == is_raised_by_a_fault(number))
            return 0;
    }
    return 1;
}

/* The mask of a thread of this process; 0 if it is gone. */
static int mask_of(const char *task, unsigned long long *mask, char *name)
{
    char path[64], line[256];
    FILE *status;
    int found = 0;

    snprintf(path, sizeof path, "/proc/self/task/%.20s/status", task);
    status = fopen(path, "r");
    if (status == NULL)
        return 0;
    while (fgets(line, sizeof line, status) != NULL) {
        found += sscanf(line, "Name: %31s", name) == 1;
        found += sscanf(line, "SigBlk: %llx", mask) == 1;
    }
    fclose(status);
    return found == 2;
}

/* The thread that runs this belongs to the library. */
static void look_at_own_mask(void)
{
    unsigned long long mask = 0;
    char task[24], name[32];

    snprintf(task, sizeof task, "%ld", (long)syscall(SYS_gettid));
    CHECK(mask_of(task, &mask, name));
    if (!is_as_promised(mask)) {
        fprintf(stderr, "callbacks_host: %s blocks %016llx\n", name, mask);
        exit(1);
    }
}

static atomic_int looked_at_workers;

/* Every other thread belongs to the library. One that is just being started may still have another mask. */
static void look_at_all_masks(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;

    CHECK(tasks != NULL);
    while ((task = readdir(tasks)) != NULL) {
        unsigned long long mask = 0;
        char name[32] = "";
        int tries = 0;

        if (task->d_name[0] == '.' || atol(task->d_name) == (long)getpid())
            continue;
        while (mask_of(task->d_name, &mask, name) && !is_as_promised(mask)) {
            if (++tries > 100) {
                fprintf(stderr, "callbacks_host: %s blocks %016llx\n", name, mask);
                exit(1);
            }
            sleep_ms(10);
        }
        looked_at_workers += strcmp(name, "obsabort-worker") == 0;
    }
    closedir(tasks);
}

static void looking_log(int32_t level, const char *message, void *userdata)
{
    (void)level, (void)message, (void)userdata;
    CHECK(pthread_equal(pthread_self(), caller));
    if (lines++ % 8 == 0)
        look_at_all_masks();
}

static int32_t looking_progress(const obs_abort_outcome *outcome, uint64_t done, uint64_t total, void *userdata)
{
    (void)done, (void)total, (void)userdata;
    CHECK(pthread_equal(pthread_self(), caller));
    outcomes += outcome != NULL;
    if (outcomes % 8 == 0)
        look_at_all_masks();
    return 0;
}

static int same(const sigset_t *one, const sigset_t *other)
{
    int number;

    for (number = 1; number < 65; number++)
        if (sigismember(one, number) != sigismember(other, number))
            return 0;
    return 1;
}

/* The caller's own mask is as it was, and a signal that is pending there and would end the process still is. */
static void masks(int32_t source, int starter_blocks_all)
{
    sigset_t before, now;

    sigemptyset(&before);
    sigaddset(&before, SIGUSR1);
    if (starter_blocks_all) {
        sigfillset(&before);
        CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
        CHECK(pthread_kill(caller, SIGTRAP) == 0 && pthread_kill(caller, SIGABRT) == 0);
    }
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0 && pthread_sigmask(SIG_BLOCK, NULL, &before) == 0);
    if (source == OBS_ABORT_CREDENTIALS_ECS) {
        obs_abort_client *client = new_client(source, looking_log);

        CODE(obs_abort_multipart(client, bucket, "key", "id", NULL, NULL), OBS_ABORT_NO_CREDENTIALS, NULL);
        CHECK(metadata_connections > 0);
        obs_abort_client_free(client);
    } else {
        all_verbs(source, looking_log, looking_progress);
        CHECK(lookups > 0);
        CHECK(looked_at_workers > 0);
    }
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &now) == 0 && same(&now, &before));
    CHECK(sigpending(&now) == 0 && sigismember(&now, SIGTRAP) == starter_blocks_all);
}

/* ---- What the library calls on its own threads: the C library's functions, which these stand before ---- */

/* Every name is this host. It takes a while, so that a lookup can outlast its call. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    struct addrinfo *info = calloc(1, sizeof *info);
    struct sockaddr_in *address = calloc(1, sizeof *address);

    (void)node, (void)service, (void)hints;
    CHECK(info != NULL && address != NULL);
    look_at_own_mask();
    lookups++;
    sleep_ms(lookup_takes_ms);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    info->ai_family = AF_INET;
    info->ai_socktype = SOCK_STREAM;
    info->ai_addr = (struct sockaddr *)address;
    info->ai_addrlen = sizeof *address;
    *found = info;
    lookups_over++;
    return 0;
}

void freeaddrinfo(struct addrinfo *info)
{
    free(info->ai_addr);
    free(info);
}

/* The HTTP client that asks the metadata service connects by this function. Nobody is at its address, whatever the
 * network says. */
int connect(int fd, const struct sockaddr *address, socklen_t length)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;

    if (address->sa_family == AF_INET && in->sin_addr.s_addr == inet_addr("169.254.169.254")) {
        look_at_own_mask();
        metadata_connections++;
        errno = ECONNREFUSED;
        return -1;
    }
    return (int)syscall(SYS_connect, fd, address, length);
}

#ifdef NO_THREADS
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
    (void)thread, (void)attributes, (void)run, (void)argument;
    return EAGAIN;
}
#endif

/* ---- free ---- */

static atomic_int freed, lines_after;

static void late_log(int32_t level, const char *message, void *userdata)
{
    (void)level, (void)message, (void)userdata;
    lines++;
    lines_after += freed;
}

static void callbacks_end_with_the_client(void)
{
    obs_abort_client *client = new_client(OBS_ABORT_CREDENTIALS_ENV, late_log);
    obs_abort_call *call = obs_abort_call_new();
    obs_abort_upload upload = {"key", "id"};

    lookup_takes_ms = 500;
    CODE(obs_abort_call_set_timeout_ms(call, 100), OBS_ABORT_OK, NULL);
    CODE(obs_abort_many(client, call, bucket, &upload, 1, NULL, NULL, NULL, NULL), OBS_ABORT_TIMEOUT, NULL);
    obs_abort_call_free(call);
    obs_abort_client_free(client);
    CHECK(lines > 0 && lookups == 1 && lookups_over == 0);
    freed = 1;
    while (lookups_over == 0)
        sleep_ms(10);
    sleep_ms(200);
    CHECK(lines_after == 0);
}

int main(int argc, char **argv)
{
    const char *what = argc > 3 ? argv[1] : "";
    int all = argc > 4 && strcmp(argv[4], "all") == 0;
    sigset_t none;

    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &none) == 0 && !sigismember(&none, SIGSEGV));
    caller = pthread_self();
    endpoint = argc > 2 ? argv[2] : "";
    bucket = argc > 3 ? argv[3] : "";
    if (strcmp(what, "faults") == 0)
        faults();
    else if (strcmp(what, "masks") == 0)
        masks(OBS_ABORT_CREDENTIALS_ENV, all);
    else if (strcmp(what, "ecs") == 0)
        masks(OBS_ABORT_CREDENTIALS_ECS, all);
    else if (strcmp(what, "free") == 0)
        callbacks_end_with_the_client();
    else {
        fprintf(stderr, "usage: callbacks_host faults|masks|ecs|free ENDPOINT BUCKET [little|all]\n");
        return 2;
    }
    printf("%d lines, %d faults, %d lookups, %d workers seen\n", lines, recovered, lookups, looked_at_workers);
    return 0;
}

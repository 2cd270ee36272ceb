/* Runs a client (bench.h) and counts. Results are one line of JSON.
 *
 *   bench_X --endpoint URL [--ca FILE] [-n ABORTS] [-w WARM-UP] [-t THREADS] [--core N] [--fresh] [--pipeline N]
 *   --cold        time from before dlopen to the end of the first abort, in this process
 *   --status N    the status that every response has, default 204; another one: libobsabort only
 *   --many        -n aborts in one go, --at-once N of them in flight, after -w of them in another go
 *   --attempts N  at most so many for each abort
 *   --stale       finds and aborts what is an hour old, and tells the most memory that this took
 *   --serve       aborts on demand: reads a number from standard input, prints the nanoseconds that many took; a kept client
 *                 per process lets rounds of several clients be interleaved */
#define _GNU_SOURCE
#include "bench.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct bench bench;
static long aborts = 1000, warm_up = 10;
static pthread_barrier_t begin, end;
static long share; /* aborts of each thread in the next round; negative: go home */

void bench_fail(const char *what, const char *why) {
    fprintf(stderr, "bench: %s: %s\n", what, why != NULL ? why : "?");
    exit(1);
}

static int64_t clock_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

static int64_t processor_ns(void) { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }

static void run_aborts(void *worker, long count) {
    for (long i = 0; i < count; i += bench.pipeline) {
        long upload = i % BENCH_UPLOADS;
        bench_abort(worker, bench.uploads[upload].key, bench.uploads[upload].upload_id);
    }
}

static void *thread_main(void *unused) {
    (void)unused;
    void *worker = bench_worker(&bench);
    for (;;) {
        pthread_barrier_wait(&begin);
        if (share < 0) return NULL;
        run_aborts(worker, share);
        pthread_barrier_wait(&end);
    }
}

/* strace shows it, nothing else is touched by it. */
static void mark(const char *text) {
    if (write(-1, text, strlen(text)) >= 0 || errno != EBADF) bench_fail("mark", strerror(errno));
}

static void *single; /* the worker when there is one thread: main itself */

static void prepare_workers(void) {
    if (bench.threads == 1) {
        single = bench_worker(&bench);
        return;
    }
    pthread_barrier_init(&begin, NULL, (unsigned)bench.threads + 1);
    pthread_barrier_init(&end, NULL, (unsigned)bench.threads + 1);
    for (int i = 0; i < bench.threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, thread_main, NULL) != 0) bench_fail("pthread_create", strerror(errno));
        pthread_detach(thread);
    }
}

static int64_t timed_round(long count) {
    int64_t start = now_ns();
    if (bench.threads == 1) {
        run_aborts(single, count);
    } else {
        share = (count + bench.threads - 1) / bench.threads;
        pthread_barrier_wait(&begin);
        pthread_barrier_wait(&end);
    }
    return now_ns() - start;
}

/* Not getrusage, whose ru_maxrss begins with what the program that started this one had. */
static long peak_kb(void) {
    char line[256];
    long peak = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL && sscanf(line, "VmHWM: %ld", &peak) != 1) continue;
    if (file != NULL) fclose(file);
    if (peak == 0) bench_fail("VmHWM", "/proc/self/status does not tell it");
    return peak;
}

struct memory { long rss, pss, private_dirty; };

static struct memory memory_kb(void) {
    struct memory m = {0, 0, 0};
    char line[256];
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    if (file == NULL) return m;
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "Rss: %ld", &m.rss) == 1 || sscanf(line, "Pss: %ld", &m.pss) == 1) continue;
        sscanf(line, "Private_Dirty: %ld", &m.private_dirty);
    }
    fclose(file);
    return m;
}

/* From alloc_count.so, when that is preloaded. */
static unsigned long allocations(void) {
    unsigned long (*count)(void);
    *(void **)&count = dlsym(RTLD_DEFAULT, "alloc_count");
    return count != NULL ? count() : 0;
}

static void pin(int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) bench_fail("sched_setaffinity", strerror(errno));
}

static void read_endpoint(void) {
    const char *rest = strstr(bench.endpoint, "://"), *colon;
    if (rest == NULL || (colon = strrchr(rest, ':')) == NULL || colon == rest) bench_fail("endpoint", bench.endpoint);
    rest += 3;
    bench.tls = strncmp(bench.endpoint, "https:", 6) == 0;
    bench.port = atoi(colon + 1);
    snprintf(bench.host_header, sizeof bench.host_header, "%s", rest);
    snprintf(bench.host, sizeof bench.host, "%.*s", (int)(colon - rest), rest);
}

static void serve(void) {
    char line[64];
    prepare_workers();
    timed_round(warm_up * bench.threads);
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        long count = atol(line);
        timed_round(bench.threads); /* wakes what slept while the others had their turn */
        printf("%lld\n", (long long)timed_round(count));
        fflush(stdout);
    }
    _exit(0);
}

int main(int argc, char **argv) {
    enum { RUN, COLD, MANY, STALE, SERVE, VERSION } mode = RUN;
    bench.threads = bench.pipeline = 1;
    bench.at_once = 32;
    bench.status = 204;
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i];
        if (strcmp(option, "--fresh") == 0) bench.fresh = 1;
        else if (strcmp(option, "--cold") == 0) mode = COLD;
        else if (strcmp(option, "--many") == 0) mode = MANY;
        else if (strcmp(option, "--stale") == 0) mode = STALE;
        else if (strcmp(option, "--serve") == 0) mode = SERVE;
        else if (strcmp(option, "--version") == 0) mode = VERSION;
        else if (++i == argc) bench_fail(option, "needs a value");
        else if (strcmp(option, "--endpoint") == 0) bench.endpoint = argv[i];
        else if (strcmp(option, "--ca") == 0) bench.ca_file = argv[i];
        else if (strcmp(option, "-n") == 0) aborts = atol(argv[i]);
        else if (strcmp(option, "-w") == 0) warm_up = atol(argv[i]);
        else if (strcmp(option, "-t") == 0) bench.threads = atoi(argv[i]);
        else if (strcmp(option, "--at-once") == 0) bench.at_once = atoi(argv[i]);
        else if (strcmp(option, "--pipeline") == 0) bench.pipeline = atoi(argv[i]);
        else if (strcmp(option, "--attempts") == 0) bench.attempts = atoi(argv[i]);
        else if (strcmp(option, "--status") == 0) bench.status = atoi(argv[i]);
        else if (strcmp(option, "--core") == 0) pin(atoi(argv[i]));
        else bench_fail(option, "unknown option");
    }
    if (mode == VERSION) {
        bench_load(&bench);
        puts(bench_version());
        return 0;
    }
    if (bench.endpoint == NULL || bench.threads < 1 || bench.pipeline < 1) bench_fail("usage", "see driver.c");
    read_endpoint();
    for (int i = 0; i < BENCH_UPLOADS; i++) {
        snprintf(bench.uploads[i].key, sizeof bench.uploads[i].key, "nightly/2026-11-22/volume-%06d.tar", i);
        snprintf(bench.uploads[i].upload_id, sizeof bench.uploads[i].upload_id, "00000163D40171ED8DF4050919%06X", (unsigned)i);
    }
    struct memory before = memory_kb();

    if (mode == COLD) {
        int64_t start = now_ns();
        bench_load(&bench);
        run_aborts(bench_worker(&bench), 1);
        printf("{\"ns\": %lld}\n", (long long)(now_ns() - start));
        fflush(stdout);
        _exit(0);
    }
    bench_load(&bench);
    if (mode == MANY) {
        if (bench_many == NULL) bench_fail("--many", "this client has no such thing");
        if (warm_up > 0) bench_many(&bench, warm_up);
        int64_t start = now_ns(), processor = processor_ns();
        bench_many(&bench, aborts);
        printf("{\"ns\": %lld, \"processor_ns\": %lld}\n", (long long)(now_ns() - start), (long long)(processor_ns() - processor));
        return 0;
    }
    if (mode == STALE) {
        if (bench_stale == NULL) bench_fail("--stale", "this client has no such thing");
        int64_t start = now_ns();
        struct bench_sweep sweep = bench_stale(&bench);
        printf("{\"ns\": %lld, \"aborted\": %llu, \"failed\": %llu, \"throttled\": %llu, \"peak_kb\": %ld}\n",
               (long long)(now_ns() - start), sweep.aborted, sweep.failed, sweep.throttled, peak_kb());
        return 0;
    }
    if (mode == SERVE) serve();

    prepare_workers();
    timed_round(warm_up * bench.threads);
    unsigned long allocated = allocations();
    int64_t processor = processor_ns();
    mark("bench-begin");
    int64_t ns = timed_round(aborts);
    mark("bench-end");
    processor = processor_ns() - processor;
    allocated = allocations() - allocated;
    struct memory after = memory_kb();
    printf("{\"ns\": %lld, \"processor_ns\": %lld, \"aborts\": %ld, \"allocations\": %lu, \"rss_kb\": %ld, \"pss_kb\": %ld, "
           "\"private_dirty_kb\": %ld}\n",
           (long long)ns, (long long)processor, aborts, allocated, after.rss - before.rss, after.pss - before.pss,
           after.private_dirty - before.private_dirty);
    fflush(stdout);
    _exit(0); /* threads still wait at the barrier */
}

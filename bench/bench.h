/* What every measured client has in common. A client is one C file that fills in the functions below; driver.c holds main, the
 * threads, the clock and the counting, so that all are measured by the same code. */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>

#define BENCH_BUCKET "backups"
#define BENCH_ACCESS_KEY "HWAK0EXAMPLE1234567X"
#define BENCH_SECRET_KEY "hwSk/Example+Secret=Key0123456789abcdefghij"
enum { BENCH_UPLOADS = 1024 };

struct bench {
    const char *endpoint;   /* http://host:port or https://host:port */
    const char *ca_file;    /* NULL: the client's own default */
    int tls, port;
    char host[256];         /* without port */
    char host_header[300];  /* host:port */
    int threads, at_once;   /* at_once: in flight in bench_many */
    int fresh;              /* libcurl: a new handle for every abort */
    int pipeline;           /* raw socket: so many requests in one write, 1 = none */
    int attempts;           /* of each abort; 0: the client's own default */
    int status;             /* what every response has; unless it is 204, an abort is one attempt */
    struct { char key[64], upload_id[40]; } uploads[BENCH_UPLOADS];
};

void bench_fail(const char *what, const char *why) __attribute__((noreturn));

void bench_load(struct bench *bench);                   /* dlopen and all that is done once a process */
const char *bench_version(void);
void *bench_worker(struct bench *bench);                /* what one thread keeps from abort to abort */
void bench_abort(void *worker, const char *key, const char *upload_id); /* ends the process unless it was bench->status */
/* What not every client has. */
__attribute__((weak)) void bench_many(struct bench *bench, long count);
struct bench_sweep { unsigned long long aborted, failed, throttled; };
__attribute__((weak)) struct bench_sweep bench_stale(struct bench *bench); /* finds and aborts the uploads of BENCH_BUCKET an hour old */

#endif

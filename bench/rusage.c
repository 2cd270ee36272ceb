/* rusage FILE COMMAND...: runs the command, and writes to FILE as JSON how long it took, the processor time of it and of the
 * processes it waited for, and the most memory that one of them had. A small program of its own, since the peak that the kernel
 * reports of a child begins with that of the process which forked it: measured from Python, no child is smaller than Python. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t us_of(struct timeval time) { return (int64_t)time.tv_sec * 1000000 + time.tv_usec; }

static void die(const char *what) {
    perror(what);
    exit(127);
}

int main(int argc, char **argv) {
    int status;
    struct rusage used;
    if (argc < 3) {
        fputs("usage: rusage FILE COMMAND...\n", stderr);
        return 127;
    }
    int64_t began = now_ns();
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child == 0) {
        execvp(argv[2], argv + 2);
        die(argv[2]);
    }
    if (wait4(child, &status, 0, &used) < 0) die("wait4");
    int64_t ns = now_ns() - began;
    FILE *file = fopen(argv[1], "w");
    if (file == NULL) die(argv[1]);
    fprintf(file, "{\"ns\": %lld, \"processor_us\": %lld, \"peak_kb\": %ld}\n", (long long)ns,
            (long long)(us_of(used.ru_utime) + us_of(used.ru_stime)), used.ru_maxrss);
    if (fclose(file) != 0) die(argv[1]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

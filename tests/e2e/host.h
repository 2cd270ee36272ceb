/* What the C programs of the suites share: checks that end them, and the uploads that a dry run found. */
#ifndef HOST_H
#define HOST_H

#include <obsabort.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST_UPLOADS 256

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s: line %d: %s\n", __FILE__, __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

/* A code that is not the expected one is shown with its message, which may be NULL. */
#define CODE(code, expected, message) check_code(__FILE__, __LINE__, code, expected, message)

static void check_code(const char *file, int line, int32_t code, int32_t expected, const char *message)
{
    if (code != expected) {
        fprintf(stderr, "%s: line %d: %s instead of %s: %s\n", file, line, obs_abort_code_name(code),
                obs_abort_code_name(expected), message != NULL ? message : "no message");
        exit(1);
    }
}

static void sleep_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

struct uploads {
    obs_abort_upload list[MOST_UPLOADS];
    size_t count;
};

static char *copied(const char *text)
{
    char *copy = malloc(strlen(text) + 1);

    CHECK(copy != NULL);
    return strcpy(copy, text);
}

static int32_t remember(const obs_abort_outcome *outcome, uint64_t done, uint64_t total, void *userdata)
{
    struct uploads *uploads = userdata;

    CHECK(done <= total);
    if (outcome != NULL) {
        CHECK(uploads->count < MOST_UPLOADS && obs_abort_outcome_initiated(outcome) > 0);
        uploads->list[uploads->count].key = copied(obs_abort_outcome_key(outcome));
        uploads->list[uploads->count++].upload_id = copied(obs_abort_outcome_upload_id(outcome));
    }
    return 0;
}

/* The uploads under the prefix that are an hour old, by a dry run. */
static void find(const obs_abort_client *client, const char *bucket, const char *prefix, struct uploads *uploads)
{
    char *error = NULL;
    int32_t code;

    uploads->count = 0;
    code = obs_abort_stale(client, NULL, bucket, prefix, 3600, OBS_ABORT_DRY_RUN, remember, uploads, NULL, &error);
    CODE(code, OBS_ABORT_OK, error);
    CHECK(uploads->count > 0);
}

static void forget(struct uploads *uploads)
{
    while (uploads->count > 0) {
        uploads->count--;
        free((void *)uploads->list[uploads->count].key);
        free((void *)uploads->list[uploads->count].upload_id);
    }
}

#endif

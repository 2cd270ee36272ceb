/*
 * Aborts many uploads of one bucket from several threads that share one client.
 *
 *     abort_threads https://obs.eu-101.myhuaweicloud.com my-bucket 8 < leftovers
 *
 * Each line of standard input is a key, a tab and an upload id. Credentials come from
 * OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY. A program with threads of its own calls the
 * library like this; one without them is better served by obs_abort_many.
 *
 * Exit status: 0 every upload is gone, 1 some are not, 2 wrong usage or input.
 */
#include <obsabort.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_THREADS 256
#define LONGEST 4095 /* keys and upload ids have at most 1024 bytes each */

struct upload {
    char *key; /* start of a copy of its line */
    char *upload_id;
};

struct work {
    const obs_abort_client *client; /* safe to use from any number of threads */
    const char *bucket;
    struct upload *uploads;
    size_t count, room;
    pthread_mutex_t lock; /* guards what follows, not the client */
    size_t next;
    size_t aborted, missing, failed;
};

static void *abort_uploads(void *argument)
{
    struct work *work = argument;

    pthread_mutex_lock(&work->lock);
    while (work->next < work->count) {
        const struct upload *upload = &work->uploads[work->next++];
        char *error = NULL;
        int32_t code;

        pthread_mutex_unlock(&work->lock);
        code = obs_abort_multipart(work->client, work->bucket, upload->key, upload->upload_id, NULL, &error);
        if (code != OBS_ABORT_OK)
            fprintf(stderr, "%s: %s\n", upload->key, error != NULL ? error : obs_abort_strerror(code));
        obs_abort_string_free(error);
        pthread_mutex_lock(&work->lock);

        if (code == OBS_ABORT_OK)
            work->aborted++;
        else if (code == OBS_ABORT_NO_SUCH_UPLOAD)
            work->missing++; /* aborted or completed earlier: nothing is left to pay for */
        else
            work->failed++;
    }
    pthread_mutex_unlock(&work->lock);
    return NULL;
}

/* Reads a line without its end. Returns 1; 0 at the end of the input; -1 if the line is too long or holds a NUL: cut
   there, a key would name another upload. */
static int read_line(char *line)
{
    size_t length = 0;
    int byte;

    while ((byte = getchar()) != EOF && byte != '\n') {
        if (byte == '\0' || length == LONGEST)
            return -1;
        line[length++] = (char)byte;
    }
    line[length] = '\0';
    return byte != EOF || length > 0;
}

/* Splits a copy of the line. Returns NULL if it is not a key, a tab and an upload id, or if there is no memory. */
static char *split(const char *line, char **upload_id)
{
    const char *tab = strchr(line, '\t');
    char *copy = tab != NULL ? malloc(strlen(line) + 1) : NULL;

    if (copy == NULL)
        return NULL;
    strcpy(copy, line);
    copy[tab - line] = '\0';
    *upload_id = copy + (tab - line) + 1;
    return copy;
}

/* Returns 0 if there is no memory. */
static int make_room(struct work *work)
{
    size_t room = work->room > 0 ? 2 * work->room : 1024;
    struct upload *larger;

    if (work->count < work->room)
        return 1;
    larger = realloc(work->uploads, room * sizeof *larger);
    if (larger == NULL)
        return 0;
    work->uploads = larger;
    work->room = room;
    return 1;
}

/* Returns 0 after it has said what is wrong with the input. */
static int read_uploads(struct work *work)
{
    char line[LONGEST + 1];
    int got;

    while ((got = read_line(line)) != 0) {
        char *upload_id, *key = got > 0 ? split(line, &upload_id) : NULL;

        if (key == NULL || !make_room(work)) {
            fprintf(stderr, "abort_threads: line %zu: not a key, a tab and an upload id, or no memory\n", work->count + 1);
            free(key);
            return 0;
        }
        work->uploads[work->count].key = key;
        work->uploads[work->count].upload_id = upload_id;
        work->count++;
    }
    if (ferror(stdin))
        perror("abort_threads: standard input");
    return !ferror(stdin);
}

static void run_threads(struct work *work, size_t wanted)
{
    pthread_t threads[MAX_THREADS];
    size_t started = 0;

    while (started < wanted && pthread_create(&threads[started], NULL, abort_uploads, work) == 0)
        started++;
    if (started == 0)
        abort_uploads(work); /* no thread to be had: do it here */
    while (started > 0)
        pthread_join(threads[--started], NULL);
}

static obs_abort_client *new_client(const char *endpoint, size_t threads)
{
    obs_abort_config *config = obs_abort_config_new();
    obs_abort_client *client = NULL;
    char *error = NULL;

    obs_abort_config_set_endpoint(config, endpoint);
    obs_abort_config_set_credential_source(config, OBS_ABORT_CREDENTIALS_ENV);
    obs_abort_config_set_max_connections(config, (uint32_t)threads); /* as many as are kept open */
    if (obs_abort_client_new(config, &client, &error) != OBS_ABORT_OK)
        fprintf(stderr, "abort_threads: %s\n", error != NULL ? error : "no client");
    obs_abort_string_free(error);
    obs_abort_config_free(config);
    return client;
}

int main(int argc, char **argv)
{
    struct work work = {.lock = PTHREAD_MUTEX_INITIALIZER};
    long threads = argc > 3 ? strtol(argv[3], NULL, 10) : 8;
    obs_abort_client *client = NULL;
    int status = 2;

    if (argc < 3 || argc > 4 || threads < 1 || threads > MAX_THREADS) {
        fprintf(stderr, "usage: abort_threads ENDPOINT BUCKET [THREADS (1 to %d)] < LIST\n", MAX_THREADS);
        return 2;
    }
    if (read_uploads(&work)) {
        client = new_client(argv[1], (size_t)threads);
        status = 1;
    }
    if (client != NULL) {
        work.client = client;
        work.bucket = argv[2];
        run_threads(&work, (size_t)threads);
        printf("%zu aborted, %zu gone already, %zu failed\n", work.aborted, work.missing, work.failed);
        status = work.failed > 0 ? 1 : 0;
    }
    obs_abort_client_free(client);
    while (work.count > 0)
        free(work.uploads[--work.count].key);
    free(work.uploads);
    return status;
}

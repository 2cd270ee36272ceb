/*
 * Aborts the uploads of a list with one call.
 *
 *     abort_many https://obs.eu-101.myhuaweicloud.com my-bucket < list
 *
 * Each line of standard input is a key, a tab and an upload id. Credentials come from
 * OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY. The library does the work on threads of its own.
 *
 * Exit status: 0 every upload is gone, 1 some are not, 2 wrong usage or input.
 */
#include <obsabort.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST 4095 /* keys and upload ids have at most 1024 bytes each */

struct list {
    obs_abort_upload *uploads; /* each key points to a copy of its line, which the upload id ends */
    size_t count, room;
};

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
static int make_room(struct list *list)
{
    size_t room = list->room > 0 ? 2 * list->room : 1024;
    obs_abort_upload *larger;

    if (list->count < list->room)
        return 1;
    larger = realloc(list->uploads, room * sizeof *larger);
    if (larger == NULL)
        return 0;
    list->uploads = larger;
    list->room = room;
    return 1;
}

/* Returns 0 after it has said what is wrong with the input. */
static int read_list(struct list *list)
{
    char line[LONGEST + 1];
    int got;

    while ((got = read_line(line)) != 0) {
        char *upload_id, *key = got > 0 ? split(line, &upload_id) : NULL;

        if (key == NULL || !make_room(list)) {
            fprintf(stderr, "abort_many: line %zu: not a key, a tab and an upload id, or no memory\n", list->count + 1);
            free(key);
            return 0;
        }
        list->uploads[list->count].key = key;
        list->uploads[list->count].upload_id = upload_id;
        list->count++;
    }
    if (ferror(stdin))
        perror("abort_many: standard input");
    return !ferror(stdin);
}

static obs_abort_client *new_client(const char *endpoint)
{
    obs_abort_config *config = obs_abort_config_new();
    obs_abort_client *client = NULL;
    char *error = NULL;

    obs_abort_config_set_endpoint(config, endpoint);
    obs_abort_config_set_credential_source(config, OBS_ABORT_CREDENTIALS_ENV);
    if (obs_abort_client_new(config, &client, &error) != OBS_ABORT_OK)
        fprintf(stderr, "abort_many: %s\n", error != NULL ? error : "no client");
    obs_abort_string_free(error);
    obs_abort_config_free(config);
    return client;
}

/* The report keeps the first 1000 failures; all of them are counted. */
static void print_report(const obs_abort_report *report)
{
    size_t i, kept = obs_abort_report_failure_count(report);

    for (i = 0; i < kept; i++) {
        const obs_abort_outcome *failure = obs_abort_report_failure(report, i);

        /* The number, not the key: keys may hold characters that a terminal obeys. */
        fprintf(stderr, "line %lld: %s\n", (long long)obs_abort_outcome_index(failure) + 1,
                obs_abort_outcome_message(failure));
    }
    if (obs_abort_report_failed(report) > kept)
        fprintf(stderr, "and %llu more\n", (unsigned long long)(obs_abort_report_failed(report) - kept));
    printf("%llu aborted, %llu gone already, %llu failed\n", (unsigned long long)obs_abort_report_aborted(report),
           (unsigned long long)obs_abort_report_missing(report), (unsigned long long)obs_abort_report_failed(report));
}

static int abort_list(const char *endpoint, const char *bucket, const struct list *list)
{
    obs_abort_client *client = new_client(endpoint);
    obs_abort_report *report = NULL;
    char *error = NULL;
    int32_t code;

    if (client == NULL)
        return 1;
    code = obs_abort_many(client, NULL, bucket, list->uploads, list->count, NULL, NULL, &report, &error);
    if (report != NULL) /* there is none if an argument was refused */
        print_report(report);
    if (code != OBS_ABORT_OK && code != OBS_ABORT_PARTIAL)
        fprintf(stderr, "abort_many: %s\n", error != NULL ? error : obs_abort_strerror(code));
    obs_abort_string_free(error);
    obs_abort_report_free(report);
    obs_abort_client_free(client);
    return code == OBS_ABORT_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct list list = {NULL, 0, 0};
    int status = 2;

    if (argc != 3) {
        fprintf(stderr, "usage: abort_many ENDPOINT BUCKET < LIST\n");
        return 2;
    }
    if (read_list(&list))
        status = abort_list(argv[1], argv[2], &list);
    while (list.count > 0)
        free((char *)list.uploads[--list.count].key);
    free(list.uploads);
    return status;
}

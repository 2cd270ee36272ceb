/*
 * Aborts what got no part for a while, except uploads that a catalogue knows, and says what they took.
 *
 *     sweep https://obs.eu-101.myhuaweicloud.com my-bucket 48 CATALOGUE [PREFIX]
 *     sweep -n ...                                                      aborts nothing
 *
 * aborts every upload that was initiated, and got its last part, at least 48 hours ago. CATALOGUE is a
 * file with upload ids, one a line: those that a backup program will resume. Credentials come from
 * OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY.
 *
 * Exit status: 0 all that are meant are gone, 1 some are not, 2 wrong usage or no catalogue.
 */
#include <errno.h>
#include <obsabort.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    char **ids; /* sorted */
    size_t count;
} catalogue;

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add(catalogue *known, const char *id)
{
    char **ids = realloc(known->ids, (known->count + 1) * sizeof *ids);
    char *copy = malloc(strlen(id) + 1);

    if (ids != NULL)
        known->ids = ids;
    if (ids == NULL || copy == NULL) {
        free(copy);
        return 0;
    }
    known->ids[known->count++] = strcpy(copy, id);
    return 1;
}

/* Returns 0 if a part of it can't be read: what is missing from it would be aborted. */
static int read_catalogue(const char *path, catalogue *known)
{
    FILE *file = fopen(path, "r");
    char line[1024 + 3];
    int good = file != NULL;

    while (good && fgets(line, sizeof line, file) != NULL) {
        size_t length = strcspn(line, "\r\n");

        /* Neither the middle of a line that is too long, nor a last line that was cut off. */
        good = length > 0 && strchr(line, '\n') != NULL;
        line[length] = '\0';
        good = good && add(known, line);
    }
    if (file != NULL) {
        good = good && !ferror(file);
        fclose(file);
    }
    if (!good)
        fprintf(stderr, "sweep: %s: can't be read, or has a line that is empty, too long or cut off\n", path);
    else if (known->count > 0)
        qsort(known->ids, known->count, sizeof *known->ids, compare);
    return good;
}

static void free_catalogue(catalogue *known)
{
    while (known->count > 0)
        free(known->ids[--known->count]);
    free(known->ids);
}

/* Called on the thread that called obs_abort_sweep, before anything is sent for the upload. */
static int32_t keep(const obs_abort_outcome *candidate, void *userdata)
{
    const catalogue *known = userdata;
    const char *id = obs_abort_outcome_upload_id(candidate);

    return known->count > 0 && bsearch(&id, known->ids, known->count, sizeof *known->ids, compare) != NULL;
}

/* Keys may hold characters that a terminal obeys. tools/obs-abort/text.c has a way to show them in full. */
static void put_key(FILE *to, const char *key)
{
    for (; *key != '\0'; key++)
        fputc((unsigned char)*key < ' ' || *key == 0x7f ? '?' : *key, to);
}

/* A line for each upload that is gone, or would be. Those that are kept have no outcome. */
static int32_t on_progress(const obs_abort_outcome *outcome, uint64_t done, uint64_t total_so_far, void *userdata)
{
    (void)done;
    (void)total_so_far;
    (void)userdata;
    if (outcome != NULL && obs_abort_outcome_code(outcome) == OBS_ABORT_OK) {
        printf("%llu parts\t%llu bytes\t", (unsigned long long)obs_abort_outcome_parts(outcome),
               (unsigned long long)obs_abort_outcome_bytes(outcome));
        put_key(stdout, obs_abort_outcome_key(outcome));
        putchar('\n');
    }
    return 0;
}

static void print_report(const obs_abort_report *report, uint32_t flags)
{
    size_t i;

    for (i = 0; i < obs_abort_report_failure_count(report); i++) {
        const obs_abort_outcome *failure = obs_abort_report_failure(report, i);

        put_key(stderr, obs_abort_outcome_key(failure));
        fprintf(stderr, ": %s\n", obs_abort_outcome_message(failure));
    }
    printf("%llu %s, %llu bytes, %llu failed, %llu kept: %llu younger, %llu active\n",
           (unsigned long long)obs_abort_report_aborted(report),
           flags & OBS_ABORT_DRY_RUN ? "would be aborted" : "aborted", (unsigned long long)obs_abort_report_bytes(report),
           (unsigned long long)obs_abort_report_failed(report), (unsigned long long)obs_abort_report_kept(report),
           (unsigned long long)obs_abort_report_younger(report), (unsigned long long)obs_abort_report_active(report));
}

static int sweep(const obs_abort_client *client, const char *bucket, const char *prefix, uint64_t seconds,
                 catalogue *known, uint32_t flags)
{
    obs_abort_selection *selection = obs_abort_selection_new();
    obs_abort_report *report = NULL;
    char *error = NULL;
    int32_t code;

    /* The selection remembers what a setter refuses, and obs_abort_sweep says what that was. */
    obs_abort_selection_set_prefix(selection, prefix);
    /* By the initiation and by the parts, which are listed right before each abort; they are measured, too. */
    obs_abort_selection_set_idle_seconds(selection, seconds);
    obs_abort_selection_set_filter(selection, keep, known);
    code = obs_abort_sweep(client, NULL, bucket, selection, flags, on_progress, NULL, &report, &error);
    obs_abort_selection_free(selection);
    if (code == OBS_ABORT_OK || obs_abort_report_total(report) > 0)
        print_report(report, flags);
    if (code != OBS_ABORT_OK && code != OBS_ABORT_PARTIAL)
        fprintf(stderr, "sweep: %s\n", error != NULL ? error : obs_abort_strerror(code));
    obs_abort_string_free(error);
    obs_abort_report_free(report);
    return code == OBS_ABORT_OK ? 0 : 1;
}

static obs_abort_client *new_client(const char *endpoint)
{
    obs_abort_config *config = obs_abort_config_new();
    obs_abort_client *client = NULL;
    char *error = NULL;

    obs_abort_config_set_endpoint(config, endpoint);
    obs_abort_config_set_credential_source(config, OBS_ABORT_CREDENTIALS_ENV);
    if (obs_abort_client_new(config, &client, &error) != OBS_ABORT_OK)
        fprintf(stderr, "sweep: %s\n", error != NULL ? error : "no client");
    obs_abort_string_free(error);
    obs_abort_config_free(config);
    return client;
}

/* Returns 0 if the text is no number of hours, or 0: no such slip may abort uploads in progress. */
static uint64_t parse_hours(const char *text)
{
    unsigned long hours;
    char *end;

    errno = 0;
    hours = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || hours > 1000000)
        return 0;
    return hours;
}

int main(int argc, char **argv)
{
    uint32_t flags = 0;
    uint64_t hours = 0;
    catalogue known = {NULL, 0};
    obs_abort_client *client = NULL;
    int status = 1;

    if (argc > 1 && strcmp(argv[1], "-n") == 0) {
        flags = OBS_ABORT_DRY_RUN;
        argc--;
        argv++;
    }
    if (argc == 5 || argc == 6)
        hours = parse_hours(argv[3]);
    /* An empty prefix is most likely a variable that is not set, and would mean the whole bucket. */
    if (hours == 0 || (argc == 6 && *argv[5] == '\0')) {
        fprintf(stderr, "usage: sweep [-n] ENDPOINT BUCKET HOURS CATALOGUE [PREFIX]\n");
        return 2;
    }
    if (!read_catalogue(argv[4], &known))
        status = 2;
    else if ((client = new_client(argv[1])) != NULL)
        status = sweep(client, argv[2], argc == 6 ? argv[5] : NULL, hours * 3600, &known, flags);
    obs_abort_client_free(client);
    free_catalogue(&known);
    return status;
}

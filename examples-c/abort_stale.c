/*
 * Aborts what crashed programs left in a bucket, with progress on the terminal.
 *
 *     abort_stale https://obs.eu-101.myhuaweicloud.com my-bucket 48 [PREFIX]
 *     abort_stale -n ...                                             shows only how many there are
 *
 * aborts every upload that was initiated at least 48 hours ago. Choose an age that no upload in
 * progress can have. Credentials come from OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY.
 *
 * Exit status: 0 all that are old enough are gone, 1 some are not, 2 wrong usage.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <obsabort.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Keys may hold characters that a terminal obeys. tools/obs-abort/text.c has a way to show them in full. */
static void put_key(const char *key)
{
    for (; *key != '\0'; key++)
        fputc((unsigned char)*key < ' ' || *key == 0x7f ? '?' : *key, stderr);
}

/* Called on the thread that called obs_abort_stale, with NULL at least four times a second. Outcomes are not final here:
   what failed, or is listed again, is tried again as long as that helps. */
static int32_t on_progress(const obs_abort_outcome *outcome, uint64_t done, uint64_t total_so_far, void *userdata)
{
    const int *on_terminal = userdata;

    if (outcome == NULL && *on_terminal)
        fprintf(stderr, "\r%llu of %llu found so far ", (unsigned long long)done, (unsigned long long)total_so_far);
    return 0; /* anything else ends the sweep */
}

static obs_abort_client *new_client(const char *endpoint)
{
    obs_abort_config *config = obs_abort_config_new();
    obs_abort_client *client = NULL;
    char *error = NULL;

    obs_abort_config_set_endpoint(config, endpoint);
    obs_abort_config_set_credential_source(config, OBS_ABORT_CREDENTIALS_ENV);
    if (obs_abort_client_new(config, &client, &error) != OBS_ABORT_OK)
        fprintf(stderr, "abort_stale: %s\n", error != NULL ? error : "no client");
    obs_abort_string_free(error);
    obs_abort_config_free(config);
    return client;
}

/* The report keeps the first 1000 failures; all of them are counted. */
static void print_report(const obs_abort_report *report, uint32_t flags)
{
    size_t i, kept = obs_abort_report_failure_count(report);

    for (i = 0; i < kept; i++) {
        const obs_abort_outcome *failure = obs_abort_report_failure(report, i);

        put_key(obs_abort_outcome_key(failure));
        fprintf(stderr, ": %s\n", obs_abort_outcome_message(failure));
    }
    if (obs_abort_report_failed(report) > kept)
        fprintf(stderr, "and %llu more\n", (unsigned long long)(obs_abort_report_failed(report) - kept));
    printf("%llu %s, %llu gone already, %llu failed, %llu kept", (unsigned long long)obs_abort_report_aborted(report),
           flags & OBS_ABORT_DRY_RUN ? "would be aborted" : "aborted",
           (unsigned long long)obs_abort_report_missing(report), (unsigned long long)obs_abort_report_failed(report),
           (unsigned long long)obs_abort_report_kept(report));
    if (obs_abort_report_unknown_age(report) > 0)
        printf(", %llu of them of unknown age", (unsigned long long)obs_abort_report_unknown_age(report));
    putchar('\n');
}

static int sweep(const obs_abort_client *client, const char *bucket, const char *prefix, uint64_t seconds,
                 uint32_t flags)
{
    int on_terminal = isatty(STDERR_FILENO);
    obs_abort_report *report = NULL;
    char *error = NULL;
    int32_t code =
        obs_abort_stale(client, NULL, bucket, prefix, seconds, flags, on_progress, &on_terminal, &report, &error);

    if (on_terminal)
        fputc('\n', stderr);
    /* Zeros would make a bucket look clean that could not be listed. */
    if (code == OBS_ABORT_OK || obs_abort_report_total(report) > 0)
        print_report(report, flags);
    if (code != OBS_ABORT_OK && code != OBS_ABORT_PARTIAL)
        fprintf(stderr, "abort_stale: %s\n", error != NULL ? error : obs_abort_strerror(code));
    obs_abort_string_free(error);
    obs_abort_report_free(report);
    return code == OBS_ABORT_OK ? 0 : 1;
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
    obs_abort_client *client;
    int status = 1;

    if (argc > 1 && strcmp(argv[1], "-n") == 0) {
        flags = OBS_ABORT_DRY_RUN;
        argc--;
        argv++;
    }
    if (argc == 4 || argc == 5)
        hours = parse_hours(argv[3]);
    /* An empty prefix is most likely a variable that is not set, and would mean the whole bucket. */
    if (hours == 0 || (argc == 5 && *argv[4] == '\0')) {
        fprintf(stderr, "usage: abort_stale [-n] ENDPOINT BUCKET HOURS [PREFIX]\n");
        return 2;
    }
    client = new_client(argv[1]);
    if (client != NULL)
        status = sweep(client, argv[2], argc == 5 ? argv[4] : NULL, hours * 3600, flags);
    obs_abort_client_free(client);
    return status;
}

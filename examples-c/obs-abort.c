/*
 * obs-abort: aborts multipart uploads that were left unfinished in an OBS bucket.
 * The manual is obs-abort.1. Nothing but libobsabort and libc is needed.
 */
#define _POSIX_C_SOURCE 200809L
#include "obs-abort.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct run {
    const struct options *options;
    const obs_abort_client *client;
    obs_abort_call *call;
    struct view view;
    bool told;    /* that it is stopping */
    bool reached; /* some upload's outcome is more than "the endpoint can't be used" */
    bool invalid; /* some upload was refused for its key or id */
};

/* What the dry run before the question finds out. */
struct preview {
    struct run *run;
    uint64_t count;
    int64_t oldest, newest;
};

static bool is_start_failure(int32_t code)
{
    return code == OBS_ABORT_INVALID_CONFIG || code == OBS_ABORT_NO_CREDENTIALS || code == OBS_ABORT_RESOLVE ||
           code == OBS_ABORT_CONNECT || code == OBS_ABORT_TLS;
}

/* Called at least four times a second while a verb runs. Non-zero: begin nothing more. */
static int32_t stop_wanted(struct run *run)
{
    if (signals_seen > 0 && !run->told && !run->view.finding) {
        complain("stopping: what is in flight finishes; again to stop at once");
        run->told = true;
    }
    if (signals_seen > 1)
        obs_abort_call_cancel(run->call);
    return signals_seen > 0 || run->view.output_failed;
}

static int32_t on_progress(const obs_abort_outcome *outcome, uint64_t done, uint64_t total_so_far, void *userdata)
{
    struct run *run = userdata;

    if (outcome != NULL) {
        int32_t code = obs_abort_outcome_code(outcome);

        run->reached |= !is_start_failure(code);
        run->invalid |= code == OBS_ABORT_INVALID_ARGUMENT;
        view_outcome(&run->view, outcome);
    }
    progress_update(done, total_so_far, run->view.failed);
    return stop_wanted(run);
}

static int32_t on_preview(const obs_abort_outcome *outcome, uint64_t done, uint64_t total_so_far, void *userdata)
{
    struct preview *preview = userdata;

    if (outcome != NULL) {
        int64_t initiated = obs_abort_outcome_initiated(outcome);

        preview->count++;
        if (initiated >= 0 && (preview->oldest < 0 || initiated < preview->oldest))
            preview->oldest = initiated;
        if (initiated > preview->newest)
            preview->newest = initiated;
    }
    progress_update(done, total_so_far, 0);
    return stop_wanted(preview->run);
}

static int exit_status(const struct run *run, int32_t code, const obs_abort_report *report)
{
    const struct options *options = run->options;

    if (run->view.output_failed)
        return STATUS_SOME_LEFT;
    if (code == OBS_ABORT_OK)
        return STATUS_GONE;
    if (code == OBS_ABORT_CANCELLED && signals_seen > 0)
        return STATUS_SIGNALLED + last_signal;
    if (code == OBS_ABORT_INVALID_ARGUMENT || (options->mode == MODE_ONE && run->invalid))
        return STATUS_USAGE;
    /* PARTIAL: the uploads' own outcomes tell whether the endpoint was of any use. Anything else is
       the verb's own failure: of a listing, before which nothing was looked at. */
    if (code == OBS_ABORT_PARTIAL ? !run->reached : obs_abort_report_total(report) == 0)
        return STATUS_COULD_NOT_START;
    return STATUS_SOME_LEFT;
}

/* Shows how a verb ended, and frees what it gave. */
static int finish(struct run *run, int32_t code, obs_abort_report *report, char *error)
{
    int status = exit_status(run, code, report);

    view_summary(&run->view, code, error, report, status);
    if (run->view.output_failed)
        status = STATUS_SOME_LEFT;
    obs_abort_report_free(report);
    obs_abort_string_free(error);
    return status;
}

static int run_many(struct run *run, const obs_abort_upload *uploads, size_t count)
{
    obs_abort_report *report = NULL;
    char *error = NULL;
    int32_t code;

    view_open(&run->view, run->options, false, count);
    code = obs_abort_many(run->client, run->call, run->options->bucket, uploads, count, on_progress, run, &report, &error);
    return finish(run, code, report, error);
}

static int run_sweep(struct run *run, uint32_t flags, uint64_t expected)
{
    const struct options *options = run->options;
    obs_abort_report *report = NULL;
    char *error = NULL;
    int32_t code;

    view_open(&run->view, options, (flags & OBS_ABORT_DRY_RUN) != 0, expected);
    code = obs_abort_stale(run->client, run->call, options->bucket, options->prefix, options->age, flags, on_progress,
                           run, &report, &error);
    return finish(run, code, report, error);
}

static bool said_yes(void)
{
    char answer[64];

    if (fgets(answer, sizeof answer, stdin) == NULL) {
        putc('\n', stderr); /* Ctrl-C or Ctrl-D: the question's line is still open */
        return false;
    }
    answer[strcspn(answer, "\r\n")] = '\0';
    return strcmp(answer, "y") == 0 || strcmp(answer, "Y") == 0 || strcmp(answer, "yes") == 0;
}

static bool ask(const struct options *options, const struct preview *preview)
{
    char when[32], age[32];
    int64_t now = (int64_t)time(NULL);

    fprintf(stderr, "%llu unfinished upload%s in obs://%s", (unsigned long long)preview->count,
            preview->count == 1 ? "" : "s", options->bucket);
    if (options->prefix != NULL && *options->prefix != '\0') {
        fputs(" under ", stderr);
        put_text(stderr, options->prefix);
    }
    fprintf(stderr, ", %s old or older\n", options->stale);
    if (preview->oldest >= 0) {
        format_time(when, sizeof when, preview->oldest);
        format_age(age, sizeof age, now - preview->oldest);
        fprintf(stderr, "  oldest: %s (%s ago)\n", when, age);
        format_time(when, sizeof when, preview->newest);
        format_age(age, sizeof age, now - preview->newest);
        fprintf(stderr, "  newest: %s (%s ago)\n", when, age);
    }
    fputs("Abort them? Their parts are deleted. [y/N] ", stderr);
    fflush(stderr);
    return said_yes();
}

/* Without --yes: a dry run first, then the question. */
static int run_asking(struct run *run, uint32_t flags)
{
    const struct options *options = run->options;
    struct preview preview = {run, 0, -1, -1};
    obs_abort_report *report = NULL;
    uint64_t looked_at;
    char *error = NULL;
    int32_t code;
    int status;

    view_open(&run->view, options, false, 0);
    progress_start("finding", true, 0);
    code = obs_abort_stale(run->client, run->call, options->bucket, options->prefix, options->age,
                           flags | OBS_ABORT_DRY_RUN, on_preview, &preview, &report, &error);
    progress_stop();
    if (code != OBS_ABORT_OK || preview.count == 0)
        return finish(run, code, report, error);
    looked_at = obs_abort_report_total(report); /* as the sweep's progress counts: the younger ones, too */
    obs_abort_report_free(report);
    if (ask(options, &preview))
        return run_sweep(run, flags, looked_at);
    status = signals_seen > 0 ? STATUS_SIGNALLED + last_signal : STATUS_SOME_LEFT;
    complain("nothing was aborted");
    view_summary(&run->view, OBS_ABORT_CANCELLED, "nothing was aborted", NULL, status);
    return status;
}

static int run_mode(struct run *run, const struct upload_list *list)
{
    const struct options *options = run->options;
    uint32_t live = options->include_live ? OBS_ABORT_INCLUDE_LIVE : 0;
    obs_abort_upload one = {NULL, NULL};

    switch (options->mode) {
    case MODE_ONE:
        one.key = options->key;
        one.upload_id = options->upload_id;
        return run_many(run, &one, 1);
    case MODE_FROM:
        return run_many(run, list->count > 0 ? list->uploads : &one, list->count);
    case MODE_LIST:
        return run_sweep(run, OBS_ABORT_DRY_RUN, 0);
    case MODE_STALE:
        if (options->dry_run)
            return run_sweep(run, live | OBS_ABORT_DRY_RUN, 0);
        if (options->yes)
            return run_sweep(run, live, 0);
        return run_asking(run, live);
    }
    return STATUS_USAGE;
}

/* Nothing was begun: the reason on standard error, and for a script a summary all the same. */
static int give_up(struct run *run, const struct failure *failure)
{
    if (signals_seen > 0)
        return STATUS_SIGNALLED + last_signal;
    complain("%s", failure->message);
    if (run->options->json && failure->status == STATUS_COULD_NOT_START) {
        view_open(&run->view, run->options, false, 0);
        view_summary(&run->view, failure->code, failure->message, NULL, failure->status);
    }
    return failure->status;
}

static int run_options(const struct options *options)
{
    struct run run = {.options = options};
    struct upload_list list = {NULL, 0, 0};
    struct failure failure = {0, 0, ""};
    obs_abort_client *client = NULL;
    int status;

    if (options->mode == MODE_STALE && !options->yes && !options->dry_run &&
        !(isatty(STDIN_FILENO) && isatty(STDERR_FILENO))) {
        complain("--stale asks before it aborts, and here is no terminal to ask on: --yes or --dry-run");
        return STATUS_USAGE;
    }
    if (options->mode != MODE_FROM || upload_list_read(&list, options->from, &failure))
        client = client_open(options, &failure);
    if (client == NULL) {
        status = give_up(&run, &failure);
    } else {
        run.client = client;
        run.call = obs_abort_call_new();
        status = run_mode(&run, &list);
        obs_abort_call_free(run.call);
    }
    obs_abort_client_free(client);
    upload_list_free(&list);
    return status;
}

/* A descriptor that the parent closed would go to the first connection, and results into it. The
   other direction than the usual makes writing to a closed standard output fail, as it should. */
static void keep_standard_descriptors(void)
{
    int descriptor;

    for (descriptor = 0; descriptor < 3; descriptor++)
        if (fcntl(descriptor, F_GETFD) == -1 && open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY) != descriptor)
            _exit(STATUS_COULD_NOT_START);
}

int main(int argc, char **argv)
{
    struct options options;
    int status;

    memset(&options, 0, sizeof options);
    keep_standard_descriptors();
    setvbuf(stderr, NULL, _IOLBF, BUFSIZ); /* a message is one write, not one for each character */
    signals_install();
    status = options_parse(&options, argc, argv);
    if (status < 0)
        status = run_options(&options);
    free(options.bucket);
    if (fflush(stdout) != 0 || ferror(stdout))
        status = status == STATUS_GONE ? STATUS_SOME_LEFT : status;
    return status;
}

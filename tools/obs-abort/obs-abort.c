/*
 * obs-abort: aborts multipart uploads that were left unfinished in an OBS bucket.
 * The manual is obs-abort.1. Nothing but libobsabort and libc is needed.
 */
#define _POSIX_C_SOURCE 200809L
#include "obs-abort.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct run {
    const struct options *options;
    const obs_abort_client *client;
    obs_abort_call *call;
    struct view view;
    struct preview preview; /* filled by the dry run before the question */
    uint64_t younger;       /* uploads that this dry run kept */
    uint64_t unfit;         /* uploads that this dry run showed as failed: they can't be named in C */
    bool no_memory;         /* for what it finds */
    bool told;              /* that it is stopping */
    bool reached;           /* some upload's outcome is more than "the endpoint can't be used" */
    bool invalid;           /* some upload was refused for its key or id */
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
    struct run *run = userdata;
    struct preview *preview = &run->preview;

    if (outcome != NULL && obs_abort_outcome_code(outcome) != OBS_ABORT_OK) {
        run->reached = true;
        view_outcome(&run->view, outcome);
    } else if (outcome != NULL) {
        int64_t initiated = obs_abort_outcome_initiated(outcome);

        run->no_memory |= !upload_list_add(&preview->list, obs_abort_outcome_key(outcome),
                                           obs_abort_outcome_upload_id(outcome), initiated);
        if (initiated >= 0 && (preview->oldest < 0 || initiated < preview->oldest))
            preview->oldest = initiated;
        if (initiated > preview->newest)
            preview->newest = initiated;
    }
    progress_update(done, total_so_far, 0);
    return stop_wanted(run) || run->no_memory;
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
    struct counts counts = {obs_abort_report_aborted(report), obs_abort_report_missing(report),
                            obs_abort_report_failed(report) + run->unfit,
                            obs_abort_report_kept(report) + run->younger};
    int status;

    if (code == OBS_ABORT_OK && run->unfit > 0)
        code = OBS_ABORT_PARTIAL;
    status = exit_status(run, code, report);
    view_summary(&run->view, code, error, &counts, status);
    if (run->view.output_failed)
        status = STATUS_SOME_LEFT;
    obs_abort_report_free(report);
    obs_abort_string_free(error);
    return status;
}

static int run_many(struct run *run, const struct upload_list *list)
{
    obs_abort_report *report = NULL;
    char *error = NULL;
    int32_t code;

    view_open(&run->view, run->options, false, list);
    code = obs_abort_many(run->client, run->call, run->options->bucket, list->uploads, list->count, on_progress, run,
                          &report, &error);
    return finish(run, code, report, error);
}

static int run_sweep(struct run *run, uint32_t flags)
{
    const struct options *options = run->options;
    obs_abort_report *report = NULL;
    char *error = NULL;
    int32_t code;

    view_open(&run->view, options, (flags & OBS_ABORT_DRY_RUN) != 0, NULL);
    code = obs_abort_stale(run->client, run->call, options->bucket, options->prefix, options->age, flags, on_progress,
                           run, &report, &error);
    return finish(run, code, report, error);
}

/* Nothing was begun: the reason on standard error, and for a script a summary all the same. */
static int give_up(struct run *run, const struct failure *failure)
{
    complain("%s", failure->message);
    if (run->options->json && failure->status == STATUS_COULD_NOT_START) {
        view_open(&run->view, run->options, false, NULL);
        view_summary(&run->view, failure->code, failure->message, NULL, failure->status);
    }
    return failure->status;
}

/* The dry run before the question. Returns -1 if there is something to ask about, or the exit status. */
static int run_preview(struct run *run, uint32_t flags)
{
    const struct options *options = run->options;
    struct failure failure = {0, 0, ""};
    obs_abort_report *report = NULL;
    char *error = NULL;
    int32_t code;
    bool usable;
    int status = -1;

    view_open(&run->view, options, true, NULL);
    progress_start("finding", true, 0);
    code = obs_abort_stale(run->client, run->call, options->bucket, options->prefix, options->age,
                           flags | OBS_ABORT_DRY_RUN, on_preview, run, &report, &error);
    progress_stop();
    usable = code == OBS_ABORT_OK || code == OBS_ABORT_PARTIAL;
    run->view.finding = !usable; /* the summary of a dry run, if it comes to nothing more */
    if (run->no_memory) {
        fail(&failure, STATUS_COULD_NOT_START, code,
             "no memory for all that was found, nothing was aborted: take it in portions, with --prefix");
        status = give_up(run, &failure);
    } else if (!usable || run->preview.list.count == 0) {
        if (!usable)
            complain("nothing was aborted");
        return finish(run, code, report, error);
    }
    run->younger = obs_abort_report_kept(report);
    run->unfit = obs_abort_report_failed(report);
    obs_abort_report_free(report);
    obs_abort_string_free(error);
    return status;
}

/*
 * Without --yes: a dry run, the question, and then exactly the uploads that it counted, each by its key
 * and upload id. A second obs_abort_stale could reach others, whatever age it is given: uploads that turn
 * old enough while the question waits, and old ones that the first listing did not show (a replica that
 * lags, a clock that is set). The price is memory for what was found, some hundred bytes an upload.
 */
static int run_asking(struct run *run, uint32_t flags)
{
    int status = run_preview(run, flags);

    if (status >= 0)
        return status;
    if (signals_seen == 0 && confirmed(run->options, &run->preview))
        return run_many(run, &run->preview.list);
    status = signals_seen > 0 ? STATUS_SIGNALLED + last_signal : STATUS_SOME_LEFT;
    complain("nothing was aborted");
    view_summary(&run->view, OBS_ABORT_CANCELLED, "nothing was aborted", NULL, status);
    return status;
}

static int run_mode(struct run *run, const struct upload_list *list)
{
    const struct options *options = run->options;
    uint32_t live = options->include_live ? OBS_ABORT_INCLUDE_LIVE : 0;

    switch (options->mode) {
    case MODE_ONE:
    case MODE_FROM:
        return run_many(run, list);
    case MODE_LIST:
        return run_sweep(run, OBS_ABORT_DRY_RUN);
    case MODE_STALE:
        if (options->dry_run)
            return run_sweep(run, live | OBS_ABORT_DRY_RUN);
        if (options->yes)
            return run_sweep(run, live);
        return run_asking(run, live);
    }
    return STATUS_USAGE;
}

/* What the command line or the file of --from names; nothing if that is still to be found. */
static bool make_list(struct upload_list *list, const struct options *options, struct failure *failure)
{
    if (options->mode == MODE_FROM)
        return upload_list_read(list, options, failure);
    if (options->mode != MODE_ONE || upload_list_add(list, options->key, options->upload_id, -1))
        return true;
    fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_INTERNAL, "out of memory");
    return false;
}

static int run_options(const struct options *options)
{
    struct run run = {.options = options, .preview = {.oldest = -1, .newest = -1}};
    struct upload_list list = {NULL, NULL, 0, 0};
    struct failure failure = {0, 0, ""};
    obs_abort_client *client = NULL;
    int status;

    if (options->mode == MODE_STALE && !options->yes && !options->dry_run &&
        !(isatty(STDIN_FILENO) && isatty(STDERR_FILENO))) {
        complain("--stale asks before it aborts, and here is no terminal to ask on: --yes or --dry-run");
        return STATUS_USAGE;
    }
    if (make_list(&list, options, &failure))
        client = client_open(options, &failure);
    if (client == NULL) {
        status = give_up(&run, &failure);
    } else {
        run.client = client;
        run.call = obs_abort_call_new();
        signals_note();
        status = run_mode(&run, &list);
        obs_abort_call_free(run.call);
    }
    obs_abort_client_free(client);
    upload_list_free(&list);
    upload_list_free(&run.preview.list);
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

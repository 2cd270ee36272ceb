/*
 * obs-abort: aborts multipart uploads that were left unfinished in an OBS bucket.
 * The manual is obs-abort.1. Nothing but libobsabort and libc is needed.
 */
#include "obs-abort.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of standard output and standard error: musl takes no size without a buffer. */
static char out_buffer[16384], error_buffer[16384];

struct run {
    const struct options *options;
    const obs_abort_client *client;
    obs_abort_call *call;
    struct view view;
    struct summary summary; /* how it ended; its error is not kept */
    struct upload_list *listed; /* what --from names, if --stale looks for it; or NULL */
    uint64_t before;            /* uploads of the list's batches before this one */
    struct preview preview; /* filled by the dry run before the question */
    bool counted;           /* only what it found is aborted */
    struct upload_set uncounted; /* what else could be, what was active then included */
    uint64_t kept;          /* by this dry run */
    uint64_t left_out;      /* of these, by --match and --not */
    uint64_t smaller, unsized; /* that were found, and are kept by --larger */
    uint64_t small_bytes;      /* of these */
    uint64_t unreadable;       /* of these: those whose parts could not be read */
    char unreadable_why[256];  /* the first of them */
    struct upload_set marked;  /* by a dry run that measured */
    enum { ALL, ONLY_MARKED, NOT_MARKED } taken; /* by later sweeps */
    bool marks_larger;         /* rather than those that are not */
    bool no_memory;         /* for what it finds */
    uint64_t done, failed;  /* uploads, for the progress bar */
    bool told;              /* that it is stopping */
    bool reached;           /* some upload's outcome is more than "the endpoint can't be used" */
    bool invalid;           /* some upload was refused for its key or id */
};

bool is_start_failure(int32_t code)
{
    return code == OBS_ABORT_INVALID_CONFIG || code == OBS_ABORT_NO_CREDENTIALS || code == OBS_ABORT_RESOLVE ||
           code == OBS_ABORT_CONNECT || code == OBS_ABORT_TLS;
}

/* Called at least four times a second while a verb runs. Non-zero: begin nothing more. */
static int32_t stop_wanted(struct run *run)
{
    if (signals_seen > 0 && !run->told && !run->view.finding) {
        remark("stopping: what is in flight finishes; again to stop at once");
        run->told = true;
    }
    if (signals_seen > 1)
        obs_abort_call_cancel(run->call);
    return signals_seen > 0 || run->view.output_failed || records_failed();
}

/* Whether --larger keeps what was found; counts it. */
static bool is_too_small(struct run *run, const obs_abort_outcome *outcome)
{
    uint64_t bytes = obs_abort_outcome_bytes(outcome);

    if (run->options->larger == NULL || bytes > run->options->larger_bytes)
        return false;
    run->smaller += bytes > 0;
    run->unsized += bytes == 0;
    run->small_bytes += bytes;
    if (bytes == 0 && notices_unsized(outcome) && run->unreadable++ == 0)
        notices_kept(run->unreadable_why, sizeof run->unreadable_why);
    return true;
}

static int32_t on_progress(const obs_abort_outcome *outcome, uint64_t done, uint64_t total_so_far, void *userdata)
{
    struct run *run = userdata;

    done += run->before;
    total_so_far += run->before;
    if (outcome != NULL) {
        int32_t code = obs_abort_outcome_code(outcome);

        run->reached |= !is_start_failure(code);
        run->invalid |= code == OBS_ABORT_INVALID_ARGUMENT;
        /* What is tried again is not counted again. */
        run->failed += code != OBS_ABORT_OK && code != OBS_ABORT_NO_SUCH_UPLOAD && done > run->done;
        run->done = done;
        if (run->view.list != NULL && obs_abort_outcome_index(outcome) >= 0)
            run->view.list->facts[obs_abort_outcome_index(outcome)].code = code;
        if (!run->view.finding || code != OBS_ABORT_OK || !is_too_small(run, outcome))
            view_outcome(&run->view, outcome);
    } else {
        view_idle(&run->view);
    }
    progress_update(done, total_so_far, run->failed);
    return stop_wanted(run);
}

static void add_to_preview(struct run *run, const obs_abort_outcome *outcome)
{
    struct preview *preview = &run->preview;
    int64_t initiated = obs_abort_outcome_initiated(outcome);

    run->no_memory |= !upload_list_add(&preview->list, obs_abort_outcome_key(outcome),
                                       obs_abort_outcome_upload_id(outcome), initiated);
    if (run->no_memory)
        return;
    preview->list.facts[preview->list.count - 1].measure = measure_of(outcome, run->view.measures);
    totals_add(&preview->totals, obs_abort_outcome_key(outcome), &preview->list.facts[preview->list.count - 1].measure);
    preview->unknown_age += initiated < 0;
    if (initiated >= 0 && (preview->oldest < 0 || initiated < preview->oldest)) {
        preview->oldest = initiated;
        preview->oldest_at = preview->list.count - 1;
    }
    if (initiated > preview->newest) {
        preview->newest = initiated;
        preview->newest_at = preview->list.count - 1;
    }
}

static int32_t on_preview(const obs_abort_outcome *outcome, uint64_t done, uint64_t total_so_far, void *userdata)
{
    struct run *run = userdata;

    if (outcome != NULL && obs_abort_outcome_code(outcome) != OBS_ABORT_OK) {
        run->reached = true;
        view_outcome(&run->view, outcome);
    } else if (outcome != NULL) {
        bool too_small = is_too_small(run, outcome);

        if (too_small != run->marks_larger)
            run->no_memory |= !upload_set_add(&run->marked, obs_abort_outcome_key(outcome),
                                              obs_abort_outcome_upload_id(outcome));
        if (!too_small && !run->marks_larger)
            add_to_preview(run, outcome);
    }
    progress_update(done, total_so_far, 0);
    return stop_wanted(run) || run->no_memory;
}

/* Of what the question counted. What is tried again is settled already. */
static int32_t on_counted(const obs_abort_outcome *outcome, uint64_t done, uint64_t total_so_far, void *userdata)
{
    struct run *run = userdata;
    struct upload_list *list = &run->preview.list;

    (void)done;
    (void)total_so_far;
    if (outcome != NULL) {
        struct upload_facts *facts =
            upload_list_find(list, obs_abort_outcome_key(outcome), obs_abort_outcome_upload_id(outcome));

        run->reached |= !is_start_failure(obs_abort_outcome_code(outcome));
        if (facts != NULL) {
            bool failed = obs_abort_outcome_code(outcome) != OBS_ABORT_OK &&
                          obs_abort_outcome_code(outcome) != OBS_ABORT_NO_SUCH_UPLOAD;

            run->failed += failed && facts->code == OBS_ABORT_CANCELLED;
            run->done += facts->code == OBS_ABORT_CANCELLED;
            facts->code = obs_abort_outcome_code(outcome);
        }
        view_outcome(&run->view, outcome);
    }
    progress_update(run->done, list->count, run->failed);
    return stop_wanted(run);
}

/* The same whichever verb met it: 3 only if the service was not reached. */
static int exit_status(const struct run *run, const struct summary *summary)
{
    int32_t code = summary->code;
    bool anything = summary->aborted + summary->missing + summary->failed + summary->kept > 0;

    if (run->view.output_failed || records_failed())
        return STATUS_SOME_LEFT;
    if (code == OBS_ABORT_OK)
        return STATUS_GONE;
    if (code == OBS_ABORT_CANCELLED && signals_seen > 0)
        return STATUS_SIGNALLED + last_signal;
    if (code == OBS_ABORT_INVALID_ARGUMENT || (run->options->mode == MODE_ONE && run->invalid))
        return STATUS_USAGE;
    if (code == OBS_ABORT_PARTIAL ? !run->reached : is_start_failure(code) && !anything)
        return STATUS_COULD_NOT_START;
    return STATUS_SOME_LEFT;
}

static struct summary summary_of(int32_t code, const char *error, const obs_abort_report *report)
{
    uint64_t told = obs_abort_report_younger(report) + obs_abort_report_unknown_age(report) +
                    obs_abort_report_active(report);
    struct summary summary = {
        .code = code,
        .error = error,
        .begun = true,
        .aborted = obs_abort_report_aborted(report),
        .missing = obs_abort_report_missing(report),
        .failed = obs_abort_report_failed(report),
        .kept = obs_abort_report_kept(report),
        .younger = obs_abort_report_younger(report),
        .active = obs_abort_report_active(report),
        .unknown_age = obs_abort_report_unknown_age(report),
        .bytes = obs_abort_report_bytes(report),
        .throttled = obs_abort_report_throttled(report),
    };

    if (code == OBS_ABORT_OK || code == OBS_ABORT_PARTIAL) /* otherwise it is those that were not begun, too */
        summary.left_out = summary.kept - told;
    return summary;
}

static void note_still_listed(struct summary *summary, uint64_t count)
{
    if (count > 0)
        add_note(summary, true,
                 "the service said of %llu uploads that they are gone, and still lists them: run this again later; if "
                 "they stay, tell its operator",
                 (unsigned long long)count);
}

static uint64_t take(uint64_t *left, uint64_t wanted)
{
    uint64_t taken = wanted < *left ? wanted : *left;

    *left -= taken;
    return taken;
}


/* What --larger keeps, a dry run has found, and a sweep by its marks has left out. */
static void set_small_apart(const struct run *run, struct summary *summary)
{
    uint64_t small = run->smaller + run->unsized;

    if (run->taken == ALL) {
        summary->aborted -= small;
        summary->kept += small;
        summary->bytes -= run->small_bytes;
    } else if (summary->left_out >= small) {
        summary->left_out -= small;
        summary->active += take(&summary->left_out, run->preview.active); /* they are not marked */
    } else {
        return; /* the sweep did not come so far */
    }
    summary->smaller = run->smaller;
    summary->unsized = run->unsized;
}

/* The failures of a sweep that were not told yet. */
static void tell_failures(struct run *run, struct summary *summary, const obs_abort_report *report)
{
    size_t i, count = obs_abort_report_failure_count(report);
    uint64_t still_listed = 0;

    for (i = 0; i < count; i++) {
        const obs_abort_outcome *outcome = obs_abort_report_failure(report, i);

        still_listed += obs_abort_outcome_code(outcome) == OBS_ABORT_STILL_LISTED;
        view_failure(&run->view, outcome);
    }
    if (!run->view.finding && count < summary->failed)
        add_note(summary, true, "only the first %zu failures are named", count);
    note_still_listed(summary, still_listed);
}

/* An id that does not exist counts as gone: if none of a list does, the list is likely not of this bucket. */
static void note_strange_list(const struct run *run, struct summary *summary)
{
    const struct options *options = run->options;

    if (summary->code != OBS_ABORT_OK || (options->mode != MODE_FROM && options->mode != MODE_ONE))
        return;
    if (run->view.list->total == 0 && run->view.list->left_out > 0)
        return;
    if (run->view.list->total == 0)
        add_note(summary, false, "the list is empty: there was nothing to abort");
    else if (summary->missing == run->view.list->total && options->mode == MODE_ONE)
        add_note(summary, true, "no such upload in obs://%s: aborted or completed earlier, or not this key's upload id",
                 options->bucket);
    else if (summary->missing == run->view.list->total)
        add_note(summary, true,
                 "none of the %zu uploads existed: is obs://%s the right bucket, and are keys and ids whole?",
                 run->view.list->total, options->bucket);
}

/* What a sweep keeps of a bucket is no matter of the list's. Of that, those are kept that are neither old enough nor gone;
   which of both, no listing tells. */
static void count_list_alone(const struct run *run, struct summary *summary)
{
    uint64_t tried = summary->aborted + summary->missing + summary->failed, total = run->listed->total;
    uint64_t told = summary->active + summary->smaller + summary->unsized;

    summary->kept = (total > tried + told ? total - tried : told) + run->listed->left_out;
    summary->left_out = run->listed->left_out;
    summary->younger = summary->unknown_age = 0;
}

static int show_end(struct run *run, struct summary *summary)
{
    view_summary(&run->view, summary);
    run->summary = *summary;
    run->summary.error = NULL;
    return summary->status;
}

/* Such uploads are kept run after run, as if they were active or small. Returns whether there are any. */
static bool note_unreadable(const struct run *run, struct summary *summary)
{
    static const char format[] = "%llu kept since their parts could not be read, without which %s can't be told: %s";
    char why[256];
    uint64_t kept = notices_kept(why, sizeof why);

    if (kept > 0)
        add_note(summary, true, format, (unsigned long long)kept, "--idle", why);
    if (run->unreadable > 0)
        add_note(summary, true, format, (unsigned long long)run->unreadable, "--larger", run->unreadable_why);
    return kept + run->unreadable > 0;
}

/* Shows how it ended. */
static int conclude(struct run *run, struct summary *summary)
{
    if (run->listed != NULL)
        count_list_alone(run, summary);
    summary->unreadable = note_unreadable(run, summary);
    summary->status = exit_status(run, summary);
    if (summary->unreadable && summary->status == STATUS_GONE)
        summary->status = STATUS_SOME_LEFT;
    if (!run->options->several && (summary->code == OBS_ABORT_OK || summary->code == OBS_ABORT_PARTIAL))
        note_unmatched(run->options, summary);
    return show_end(run, summary);
}

/* The same for one verb, and frees what it gave. */
static int finish(struct run *run, int32_t code, obs_abort_report *report, char *error)
{
    struct summary summary = summary_of(code, error, report);
    int status;

    set_small_apart(run, &summary);
    tell_failures(run, &summary, report);
    status = conclude(run, &summary);
    obs_abort_report_free(report);
    obs_abort_string_free(error);
    return status;
}

/* One batch, added to the summary. Returns whether the next one may be begun. */
static bool abort_batch(struct run *run, struct upload_list *list, struct summary *summary, char **error)
{
    obs_abort_report *report = NULL;
    char *batch_error = NULL;
    int32_t code = obs_abort_many(run->client, run->call, run->options->bucket, list->uploads, list->count, on_progress, run,
                                  &report, &batch_error);
    struct summary batch = summary_of(code, NULL, report);

    summary->aborted += batch.aborted;
    summary->missing += batch.missing;
    summary->failed += batch.failed;
    summary->throttled += batch.throttled;
    run->before += list->count;
    obs_abort_report_free(report);
    if (code != OBS_ABORT_OK) { /* PARTIAL is followed by something worse, or by more of it */
        obs_abort_string_free(*error);
        *error = batch_error;
        summary->code = code;
        summary->error = batch_error;
    }
    return code == OBS_ABORT_OK || code == OBS_ABORT_PARTIAL;
}

static int run_many(struct run *run, struct upload_list *list)
{
    struct summary summary = {.code = OBS_ABORT_OK, .begun = true};
    bool unreadable = false;
    char *error = NULL;
    int status;

    view_open(&run->view, run->options, false, list);
    while (abort_batch(run, list, &summary, &error) && upload_list_next(list, &unreadable))
        continue;
    if (unreadable) {
        summary.code = OBS_ABORT_INTERNAL;
        summary.error = "the rest of the list can't be read back from its temporary file";
    }
    summary.kept = list->total - summary.aborted - summary.missing - summary.failed + list->left_out;
    summary.left_out = list->left_out;
    note_strange_list(run, &summary);
    status = conclude(run, &summary);
    obs_abort_string_free(error);
    return status;
}

/* Whether the question counted it. */
static bool is_counted(struct run *run, const obs_abort_outcome *candidate)
{
    const char *key = obs_abort_outcome_key(candidate), *upload_id = obs_abort_outcome_upload_id(candidate);
    struct upload_facts *facts = upload_list_find(&run->preview.list, key, upload_id);

    if (facts != NULL)
        facts->listed = true;
    else if (!upload_set_has(&run->marked, key, upload_id)) /* as too small */
        run->no_memory |= !upload_set_has(&run->uncounted, key, upload_id) &&
                          !upload_set_add(&run->uncounted, key, upload_id);
    return facts != NULL;
}

/* The filter of every sweep. Sizes are not known when it is asked: what a dry run has measured, it has marked. */
static int32_t is_left_out(const obs_abort_outcome *candidate, void *userdata)
{
    struct run *run = userdata;
    const char *key = obs_abort_outcome_key(candidate);

    if (!key_is_chosen(run->options, key))
        return true;
    if (run->listed != NULL && !upload_set_has(&run->listed->listed, key, obs_abort_outcome_upload_id(candidate)))
        return true;
    if (run->counted)
        return !is_counted(run, candidate);
    return run->taken != ALL && upload_set_has(&run->marked, key, obs_abort_outcome_upload_id(candidate)) !=
                                    (run->taken == ONLY_MARKED);
}

/* All listings of a run, and what it aborts by them, go by the same choice of uploads. A setter that fails is remembered
   by the selection, and the sweep is refused. */
static int32_t sweep(struct run *run, uint32_t flags, obs_abort_progress_fn progress, obs_abort_report **report,
                     char **error)
{
    const struct options *options = run->options;
    obs_abort_selection *selection = obs_abort_selection_new();
    bool measures;
    int32_t code;

    obs_abort_selection_set_prefix(selection, run->listed != NULL ? run->listed->prefix : options->prefix);
    obs_abort_selection_set_older_than_seconds(selection, options->age);
    obs_abort_selection_set_idle_seconds(selection, options->idle_seconds);
    if (run->preview.cutoff >= 0)
        obs_abort_selection_set_initiated_before(selection, run->preview.cutoff);
    /* What --larger needs is known after the dry run. */
    measures = options_measure(options) && (options->sizes || options->larger == NULL || run->taken == ALL);
    obs_abort_selection_set_measure(selection, measures);
    run->view.measures = measures || options->idle_seconds > 0;
    obs_abort_selection_set_filter(selection, is_left_out, run);
    notices_forget();
    code = obs_abort_sweep(run->client, run->call, options->bucket, selection, flags, progress, run, report, error);
    obs_abort_selection_free(selection);
    return code;
}

static int run_sweep(struct run *run, uint32_t flags)
{
    obs_abort_report *report = NULL;
    char *error = NULL;
    int32_t code;

    view_open(&run->view, run->options, (flags & OBS_ABORT_DRY_RUN) != 0, NULL);
    code = sweep(run, flags, on_progress, &report, &error);
    return finish(run, code, report, error);
}

/* Nothing was begun: the reason on standard error, and for a script a summary all the same. */
static int give_up(struct run *run, const struct failure *failure)
{
    struct summary summary = {.code = failure->code, .error = failure->message, .status = failure->status,
                              .sum = run->options->several && run->options->bucket == NULL, .incomplete = 1};

    complain("%s", failure->message);
    view_open(&run->view, run->options, false, NULL);
    if (run->options->json && failure->status == STATUS_COULD_NOT_START)
        view_summary(&run->view, &summary);
    else
        view_record(&run->view, &summary);
    progress_stop();
    run->summary = summary;
    run->summary.error = NULL;
    return failure->status;
}

/* What the question names, so that it is a whole minute if the age is not a matter of minutes. */
static int64_t cutoff_of(uint64_t age)
{
    int64_t now = (int64_t)time(NULL), cutoff;

    if (age == 0 || now < 0 || age > (uint64_t)now)
        return age == 0 ? -1 : 0;
    cutoff = now - (int64_t)age;
    return age < 3600 ? cutoff : cutoff - cutoff % 60;
}

int run_preview(struct run *run, uint32_t flags)
{
    const struct options *options = run->options;
    struct failure failure = {0, 0, ""};
    obs_abort_report *report = NULL;
    char *error = NULL;
    struct summary summary;
    int32_t code;
    bool usable;
    int status = -1;

    run->preview.cutoff = cutoff_of(options->age);
    view_open(&run->view, options, true, NULL);
    if (bar_possible(options)) /* also if uploads would be shown: it shows none */
        progress_start(options->larger != NULL ? "measuring" : "finding", true, 0);
    code = sweep(run, flags | OBS_ABORT_DRY_RUN, on_preview, &report, &error);
    progress_stop();
    usable = code == OBS_ABORT_OK || code == OBS_ABORT_PARTIAL;
    run->view.finding = !usable; /* the summary of a dry run, if it comes to nothing more */
    summary = summary_of(code, error, report);
    set_small_apart(run, &summary);
    if (run->no_memory) {
        fail(&failure, STATUS_COULD_NOT_START, code,
             "no memory for all that was found, nothing was aborted: take it in portions, with --prefix");
        status = give_up(run, &failure);
    } else if (!usable || summary.aborted == 0) {
        if (!usable && !options->several)
            complain("nothing was aborted");
        status = conclude(run, &summary);
    }
    run->kept = summary.kept;
    run->left_out = summary.left_out;
    run->taken = options->larger == NULL ? ALL : run->marks_larger ? ONLY_MARKED : NOT_MARKED;
    run->preview.active = summary.active;
    if (options->age > 0)
        run->preview.unknown_age = summary.unknown_age;
    obs_abort_report_free(report);
    obs_abort_string_free(error);
    return status;
}

/* What a whole listing does not show any more is gone: it was completed or aborted while the question waited. */
static void settle_unlisted(struct run *run, struct summary *summary)
{
    const struct upload_list *list = &run->preview.list;
    uint64_t others = summary->kept - summary->younger - summary->active - summary->unknown_age;
    uint64_t uncounted = run->uncounted.count, active = take(&uncounted, run->preview.active);
    size_t i;

    for (i = 0; i < list->count; i++) {
        if (list->facts[i].listed)
            continue;
        summary->missing++;
        view_unlisted(&run->view, list->uploads[i].key, list->uploads[i].upload_id, list->facts[i].initiated);
    }
    /* These were not counted, for a reason that still holds. */
    summary->active += take(&others, active);
    summary->smaller = take(&others, run->smaller);
    summary->unsized = take(&others, run->unsized);
    uncounted = take(&others, uncounted);
    summary->left_out = others;
    summary->kept -= uncounted;
    if (uncounted > 0)
        add_note(summary, true, "%llu more, which the question did not count, are left", (unsigned long long)uncounted);
}

int run_counted(struct run *run, uint32_t flags)
{
    const struct upload_list *list = &run->preview.list;
    obs_abort_report *report = NULL;
    char *error = NULL;
    struct summary summary;
    int32_t code = OBS_ABORT_INTERNAL;
    uint64_t settled;
    int status;

    view_open(&run->view, run->options, false, NULL);
    progress_expect(list->count);
    run->counted = true;
    if (upload_list_sort(&run->preview.list))
        code = sweep(run, flags, on_counted, &report, &error);
    summary = summary_of(code, error, report);
    settled = summary.aborted + summary.missing + summary.failed;
    if (code == OBS_ABORT_OK || code == OBS_ABORT_PARTIAL)
        settle_unlisted(run, &summary);
    else if (summary.kept + settled < run->kept + list->count) /* not all pages were read again */
        summary.kept = run->kept + list->count - settled;
    if (code != OBS_ABORT_OK && code != OBS_ABORT_PARTIAL && code != OBS_ABORT_CANCELLED && summary.aborted > 0)
        add_note(&summary, true, "no listing has confirmed that what was aborted is gone");
    tell_failures(run, &summary, report);
    status = conclude(run, &summary);
    obs_abort_report_free(report);
    obs_abort_string_free(error);
    return status;
}

/*
 * Without --yes: a dry run, the question, and then a sweep that keeps what the question did not count, even if it is
 * as old: what the first listing did not show (a replica that lags), what was begun before the cutoff by a clock that
 * was set. The price is memory for what was found, some hundred bytes an upload.
 */
static int run_asking(struct run *run, uint32_t flags)
{
    struct summary summary = {.code = OBS_ABORT_CANCELLED, .error = "nothing was aborted"};
    int status = run_preview(run, flags);

    if (status >= 0)
        return status;
    if (signals_seen == 0 && confirmed(run->options, &run->preview))
        return run_counted(run, flags);
    summary.status = signals_seen > 0 ? STATUS_SIGNALLED + last_signal : STATUS_SOME_LEFT;
    complain("nothing was aborted");
    return show_end(run, &summary);
}

/* --larger with --yes: a sweep of those that a dry run has marked. Their hashes are kept, not their keys. */
static int run_larger(struct run *run, uint32_t flags)
{
    int status;

    run->marks_larger = true;
    status = run_preview(run, flags);
    return status >= 0 ? status : run_sweep(run, flags);
}

/* A list without entries: there is nothing to look for. */
static int run_nothing(struct run *run)
{
    struct summary summary = {.code = OBS_ABORT_OK, .begun = true};

    view_open(&run->view, run->options, run->options->dry_run, NULL);
    add_note(&summary, false, "the list is empty: there was nothing to abort");
    return conclude(run, &summary);
}

int run_mode(struct run *run, struct upload_list *list)
{
    const struct options *options = run->options;
    uint32_t live = options->age == 0 ? OBS_ABORT_INCLUDE_LIVE : 0;

    switch (options->mode) {
    case MODE_ONE:
    case MODE_FROM:
        return run_many(run, list);
    case MODE_LIST:
        return run_sweep(run, OBS_ABORT_DRY_RUN);
    case MODE_STALE:
        run->listed = options->from != NULL ? list : NULL;
        if (run->listed != NULL && run->listed->total == 0)
            return run_nothing(run);
        if (options->dry_run)
            return run_sweep(run, live | OBS_ABORT_DRY_RUN);
        if (options->yes)
            return options->larger != NULL ? run_larger(run, live) : run_sweep(run, live);
        return run_asking(run, live);
    }
    return STATUS_USAGE;
}

struct run *run_new(const struct options *options, const obs_abort_client *client, obs_abort_call *call)
{
    struct run *run = calloc(1, sizeof *run);

    if (run == NULL)
        return NULL;
    run->options = options;
    run->client = client;
    run->call = call;
    totals_open(&run->preview.totals, 1);
    run->preview.oldest = run->preview.newest = run->preview.cutoff = -1;
    view_open(&run->view, options, options->mode == MODE_LIST || options->dry_run, NULL);
    progress_stop();
    return run;
}

void run_set_client(struct run *run, const obs_abort_client *client)
{
    run->client = client;
}

void run_free(struct run *run)
{
    if (run == NULL)
        return;
    upload_list_free(&run->preview.list);
    totals_free(&run->preview.totals);
    upload_set_free(&run->marked);
    upload_set_free(&run->uncounted);
    free(run);
}

void run_end(struct run *run, const struct summary *summary)
{
    struct summary copy = *summary;

    show_end(run, &copy);
}

const struct preview *run_found(const struct run *run)
{
    return &run->preview;
}

const struct summary *run_summary(const struct run *run)
{
    return &run->summary;
}

bool run_output_failed(const struct run *run)
{
    return run->view.output_failed;
}

/* What the command line or the file of --from names; nothing if that is still to be found. */
static bool make_list(struct upload_list *list, const struct options *options, struct failure *failure)
{
    if (options->from != NULL)
        return upload_list_read(list, options, failure);
    list->total = 1;
    if (options->mode != MODE_ONE || upload_list_add(list, options->key, options->upload_id, -1))
        return true;
    fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_INTERNAL, "out of memory");
    return false;
}

static int run_client(const struct options *options, const obs_abort_client *client, const char *endpoint,
                      struct upload_list *list)
{
    obs_abort_call *call = obs_abort_call_new();
    struct account account = {.options = options, .client = client, .endpoint = endpoint, .call = call};
    struct run *run = NULL;
    int status = STATUS_COULD_NOT_START;

    if (options->several) {
        status = run_buckets(&account);
    } else {
        signals_note();
        run = run_new(options, client, call);
        if (run != NULL)
            status = run_mode(run, list);
        else
            complain("out of memory");
    }
    run_free(run);
    account_close(&account);
    obs_abort_call_free(call);
    return status;
}

static int run_options(const struct options *options)
{
    struct upload_list list;
    struct failure failure = {0, 0, ""};
    obs_abort_client *client = NULL;
    char *endpoint = NULL;
    int status;

    memset(&list, 0, sizeof list);
    if (options->mode == MODE_STALE && !options->yes && !options->dry_run &&
        !(is_terminal(stdin) && is_terminal(stderr))) {
        complain("--stale asks before it aborts, and here is no terminal to ask on: --yes or --dry-run");
        return STATUS_USAGE;
    }
    if (records_open(options, &failure) && make_list(&list, options, &failure))
        client = client_open(options, &endpoint, &failure);
    if (client == NULL) {
        struct run run = {.options = options};

        status = give_up(&run, &failure);
    } else {
        status = run_client(options, client, endpoint, &list);
    }
    obs_abort_client_free(client);
    free(endpoint);
    upload_list_free(&list);
    return status;
}

int main(int argc, char **argv)
{
    struct options options;
    int status;

    memset(&options, 0, sizeof options);
    argv = system_start(argc, argv);
    /* A line is one write, and flushed when it is complete: a console of Windows is written to a byte at a time otherwise,
       so that it takes no UTF-8. */
    setvbuf(stdout, out_buffer, _IOFBF, sizeof out_buffer);
    setvbuf(stderr, error_buffer, _IOFBF, sizeof error_buffer);
    status = options_parse(&options, argc, argv);
    if (status < 0)
        status = run_options(&options);
    if (fflush(stdout) != 0 || ferror(stdout))
        status = status == STATUS_GONE ? STATUS_SOME_LEFT : status;
    if (!options.help && !options.version)
        status = records_close(&options, status);
    options_free(&options);
    return status;
}

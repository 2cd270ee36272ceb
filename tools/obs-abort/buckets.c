/* Several buckets, one after the other, with one question and one table. */
#define _POSIX_C_SOURCE 200809L
#include "obs-abort.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct bucket_run {
    struct options options; /* those of the command line, for this bucket */
    struct run *run;
    bool ended;
};

struct bucket_runs {
    const struct options *options;
    const obs_abort_client *client;
    obs_abort_call *call;
    struct bucket_run *all;
    size_t count;
    int64_t started_ms;
};

static bool make_runs(struct bucket_runs *runs)
{
    size_t i;

    runs->all = calloc(runs->options->target_count + 1, sizeof *runs->all);
    if (runs->all == NULL)
        return false;
    for (i = 0; i < runs->options->target_count; i++) {
        struct bucket_run *one = &runs->all[i];

        one->options = *runs->options;
        one->options.bucket = runs->options->targets[i].bucket;
        if (runs->options->targets[i].rest != NULL)
            one->options.prefix = runs->options->targets[i].rest;
        one->run = run_new(&one->options, runs->client, runs->call);
        if (one->run == NULL)
            return false;
        runs->count++;
    }
    return true;
}

static void free_runs(struct bucket_runs *runs)
{
    size_t i;

    for (i = 0; i < runs->count; i++)
        run_free(runs->all[i].run);
    free(runs->all);
}

/* No further bucket is begun. */
static bool stopped(const struct bucket_runs *runs)
{
    size_t i;

    for (i = 0; i < runs->count; i++)
        if (run_output_failed(runs->all[i].run))
            return true;
    return signals_seen > 0 || records_failed();
}

/* The buckets that are still to come to an end, without a further request. */
static void end_rest(struct bucket_runs *runs, const char *why)
{
    struct summary summary = {.code = OBS_ABORT_CANCELLED, .error = why};
    size_t i;

    summary.status = signals_seen > 0 ? STATUS_SIGNALLED + last_signal : STATUS_SOME_LEFT;
    for (i = 0; i < runs->count; i++) {
        if (!runs->all[i].ended)
            run_end(runs->all[i].run, &summary);
        runs->all[i].ended = true;
    }
}

static void put_found(const struct bucket_run *one)
{
    const struct preview *found = run_found(one->run);
    char when[32], age[32], size[64];

    fprintf(stderr, "  obs://%s", one->options.bucket);
    if (one->options.prefix != NULL) {
        fputs(" under ", stderr);
        put_text(stderr, one->options.prefix);
    }
    format_amount(size, sizeof size, &found->totals.all);
    fprintf(stderr, ": %zu, %s", found->list.count, size);
    if (found->oldest >= 0) {
        format_time(when, sizeof when, found->oldest);
        format_age(age, sizeof age, (int64_t)time(NULL) - found->oldest);
        fprintf(stderr, ", the oldest of %s (%s ago)", when, age);
    }
    if (found->unknown_age > 0)
        fprintf(stderr, ", %llu of unknown age kept", (unsigned long long)found->unknown_age);
    putc('\n', stderr);
}

/* One question about all, with a line for each. */
static bool confirmed_all(const struct bucket_runs *runs)
{
    struct amount sum = {0, 0, 0, 0, -1};
    int64_t cutoff = -1;
    size_t i, buckets = 0;
    enum answer answer;
    char text[256];

    for (i = 0; i < runs->count; i++) {
        const struct preview *found = run_found(runs->all[i].run);

        if (runs->all[i].ended)
            continue;
        sum.uploads += found->totals.all.uploads;
        sum.sized += found->totals.all.sized;
        sum.bytes += found->totals.all.bytes;
        /* Of one that comes later it may be a minute later. */
        cutoff = found->cutoff > cutoff ? found->cutoff : cutoff;
        buckets++;
    }
    describe_found(text, sizeof text, runs->options, cutoff, &sum);
    fprintf(stderr, "%s, in %zu bucket%s\n", text, buckets, buckets == 1 ? "" : "s");
    for (i = 0; i < runs->count; i++)
        if (!runs->all[i].ended)
            put_found(&runs->all[i]);
    while ((answer = ask_to_abort()) == ANSWER_LIST)
        for (i = 0; i < runs->count; i++)
            if (!runs->all[i].ended)
                view_list(&runs->all[i].options, &run_found(runs->all[i].run)->list);
    return answer == ANSWER_YES;
}

/* Returns false if nothing was aborted, as the question was answered with no, or did not come to be asked. */
static bool run_asking_once(struct bucket_runs *runs)
{
    size_t i, left = 0;

    for (i = 0; i < runs->count && !stopped(runs); i++) {
        runs->all[i].ended = run_preview(runs->all[i].run, 0) >= 0;
        left += !runs->all[i].ended;
    }
    if (left == 0 && !stopped(runs))
        return true;
    if (stopped(runs) || !confirmed_all(runs)) {
        complain("nothing was aborted");
        end_rest(runs, "nothing was aborted");
        return false;
    }
    for (i = 0; i < runs->count && !stopped(runs); i++) {
        if (!runs->all[i].ended)
            run_counted(runs->all[i].run, 0);
        runs->all[i].ended = true;
    }
    return true;
}

static void run_each(struct bucket_runs *runs)
{
    size_t i;

    for (i = 0; i < runs->count && !stopped(runs); i++) {
        run_mode(runs->all[i].run, NULL);
        runs->all[i].ended = true;
    }
}

/* An exit status that all have, or what stands for several of them. */
static int worst_status(const struct bucket_runs *runs)
{
    int worst = runs->count > 0 ? run_summary(runs->all[0].run)->status : STATUS_GONE;
    size_t i;

    for (i = 0; i < runs->count; i++) {
        int status = run_summary(runs->all[i].run)->status;

        if (status > STATUS_SIGNALLED)
            return status;
        if (status != worst)
            worst = STATUS_SOME_LEFT;
    }
    return worst;
}

static struct summary sum_of(const struct bucket_runs *runs)
{
    struct summary sum = {.begun = true, .buckets = runs->count};
    size_t i;

    sum.status = worst_status(runs);
    for (i = 0; i < runs->count; i++) {
        const struct summary *one = run_summary(runs->all[i].run);

        sum.aborted += one->aborted;
        sum.missing += one->missing;
        sum.failed += one->failed;
        sum.kept += one->kept;
        sum.younger += one->younger;
        sum.active += one->active;
        sum.unknown_age += one->unknown_age;
        sum.measured |= one->measured;
        sum.bytes += one->bytes;
        sum.unmeasured += one->unmeasured;
        sum.left_out += one->left_out;
        sum.smaller += one->smaller;
        sum.unsized += one->unsized;
        sum.throttled += one->throttled;
        sum.incomplete += !one->complete;
        if (one->code != OBS_ABORT_OK)
            sum.code = sum.code == OBS_ABORT_OK || sum.code == one->code ? one->code : OBS_ABORT_PARTIAL;
    }
    return sum;
}

static void put_row(const struct bucket_runs *runs, const struct summary *row)
{
    fprintf(stderr, "%7llu ", (unsigned long long)(row->aborted + row->missing + row->failed + row->kept));
    if (runs->options->mode != MODE_LIST)
        fprintf(stderr, "%8llu %8llu ", (unsigned long long)row->aborted, (unsigned long long)row->kept);
    fprintf(stderr, "%7llu  ", (unsigned long long)row->failed);
}

static void put_table(const struct bucket_runs *runs, const struct summary *sum)
{
    bool list = runs->options->mode == MODE_LIST;
    size_t i;

    fprintf(stderr, list ? "  found  failed  bucket\n" : "  found %s     kept  failed  bucket\n",
            runs->options->dry_run ? "would go" : " aborted");
    for (i = 0; i < runs->count; i++) {
        const struct options *options = &runs->all[i].options;
        const struct summary *row = run_summary(runs->all[i].run);

        if (runs->options->quiet && row->status == STATUS_GONE)
            continue;
        put_row(runs, row);
        fprintf(stderr, "obs://%s", options->bucket);
        if (options->prefix != NULL) {
            putc('/', stderr);
            put_text(stderr, options->prefix);
        }
        if (!row->begun || !row->complete)
            fprintf(stderr, ": %s", row->code == OBS_ABORT_CANCELLED ? (row->begun ? "interrupted" : "not looked at")
                                    : row->unreadable ? "parts could not be read" : obs_abort_code_name(row->code));
        putc('\n', stderr);
    }
    put_row(runs, sum);
    fprintf(stderr, "%zu buckets", runs->count);
    if (sum->incomplete > 0)
        fprintf(stderr, ", %llu of them not to the end", (unsigned long long)sum->incomplete);
    fprintf(stderr, " (%.1f s)\n", (double)(monotonic_ms() - runs->started_ms) / 1000);
    fflush(stderr);
}

static int conclude_all(const struct bucket_runs *runs, bool table)
{
    struct summary sum = sum_of(runs);
    struct options options = *runs->options;
    struct view view;

    options.bucket = NULL;
    options.quiet = true; /* no bar */
    view_open(&view, &options, options.mode == MODE_LIST || options.dry_run, NULL);
    view.started_ms = runs->started_ms;
    if (options.json) {
        view_summary(&view, &sum);
        return view.output_failed ? STATUS_SOME_LEFT : sum.status;
    }
    sum.complete = sum.incomplete == 0;
    view_record(&view, &sum);
    if (table && (!runs->options->quiet || sum.status != STATUS_GONE || sum.unknown_age > 0))
        put_table(runs, &sum);
    return sum.status;
}

int run_buckets(const struct options *options, const obs_abort_client *client, obs_abort_call *call)
{
    struct bucket_runs runs = {options, client, call, NULL, 0, monotonic_ms()};
    bool asks = options->mode == MODE_STALE && !options->yes && !options->dry_run, table = true;
    int status = STATUS_COULD_NOT_START;

    if (!make_runs(&runs)) {
        complain("out of memory");
    } else {
        if (asks)
            table = run_asking_once(&runs);
        else
            run_each(&runs);
        end_rest(&runs, "not looked at");
        status = conclude_all(&runs, table);
    }
    free_runs(&runs);
    return status;
}

/* Several buckets, one after the other, with one question and one table. */
#define _POSIX_C_SOURCE 200809L
#include "obs-abort.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct bucket_run {
    struct options options; /* those of the command line, for this bucket */
    const struct target *target;
    struct run *run;
    bool ended;
};

struct bucket_runs {
    struct account *account;
    const struct options *options;
    struct bucket_run *all;
    size_t count;
    int64_t started_ms;
};

static bool make_runs(struct bucket_runs *runs, const struct target *targets, size_t count)
{
    runs->all = calloc(count + 1, sizeof *runs->all);
    if (runs->all == NULL)
        return false;
    for (; runs->count < count; runs->count++) {
        struct bucket_run *one = &runs->all[runs->count];

        one->target = &targets[runs->count];
        one->options = *runs->options;
        one->options.bucket = one->target->bucket;
        if (one->target->rest != NULL)
            one->options.prefix = one->target->rest;
        one->run = run_new(&one->options, NULL, runs->account->call);
        if (one->run == NULL)
            return false;
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

/* Returns false if it is in a region that can't be reached; then it has ended. */
static bool reach(const struct bucket_runs *runs, struct bucket_run *one)
{
    struct failure failure = {0, 0, ""};
    const obs_abort_client *client = account_client(runs->account, one->target, &failure);
    struct summary summary = {.code = failure.code, .error = failure.message, .status = STATUS_SOME_LEFT};

    run_set_client(one->run, client);
    if (client == NULL)
        run_end(one->run, &summary);
    one->ended = client == NULL;
    return client != NULL;
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
        if (reach(runs, &runs->all[i]))
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
        if (reach(runs, &runs->all[i]))
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
    struct summary sum = {.begun = true, .sum = true, .buckets = runs->count};
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

/* "-" if nothing was looked at: 0 would look clean. */
static void put_cell(int width, uint64_t count, bool known)
{
    char text[24] = "-";

    if (known)
        snprintf(text, sizeof text, "%llu", (unsigned long long)count);
    fprintf(stderr, "%*s ", width, text);
}

/* With a + if that of some uploads is not known. */
static void put_size(const struct summary *row, bool known)
{
    char size[32] = "-";

    if (known && row->measured) {
        format_bytes(size, sizeof size, row->bytes);
        if (row->unmeasured > 0)
            strcat(size, "+");
    }
    fprintf(stderr, "%11s ", size);
}

static void put_row(const struct bucket_runs *runs, const struct summary *row, bool sizes)
{
    uint64_t found = row->aborted + row->missing + row->failed + row->kept;
    bool known = row->complete || found > 0;

    put_cell(7, found, known);
    if (runs->options->mode != MODE_LIST) {
        put_cell(8, row->aborted, known);
        put_cell(8, row->kept, known);
    }
    put_cell(7, row->failed, known);
    if (sizes)
        put_size(row, known);
    putc(' ', stderr);
}

static void put_table(const struct bucket_runs *runs, const struct summary *sum)
{
    bool list = runs->options->mode == MODE_LIST;
    size_t i;

    fprintf(stderr, list ? "  found" : "  found %s     kept", runs->options->dry_run ? "would go" : " aborted");
    fprintf(stderr, "  failed%s  bucket\n", sum->measured ? "        size" : "");
    for (i = 0; i < runs->count; i++) {
        const struct options *options = &runs->all[i].options;
        const struct summary *row = run_summary(runs->all[i].run);

        if (runs->options->quiet && row->status == STATUS_GONE)
            continue;
        put_row(runs, row, sum->measured);
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
    put_row(runs, sum, sum->measured);
    fprintf(stderr, "%zu bucket%s", runs->count, runs->count == 1 ? "" : "s");
    if (sum->incomplete > 0)
        fprintf(stderr, ", %llu of them not to the end", (unsigned long long)sum->incomplete);
    fprintf(stderr, " (%.1f s)\n", (double)(monotonic_ms() - runs->started_ms) / 1000);
    fflush(stderr);
}

/* Shows how all of it ended. */
static int show_sum(const struct bucket_runs *runs, struct summary *sum, bool table)
{
    struct options options = *runs->options;
    struct view view;

    options.bucket = NULL;
    options.quiet = true; /* no bar */
    view_open(&view, &options, options.mode == MODE_LIST || options.dry_run, NULL);
    view.started_ms = runs->started_ms;
    if (options.json) {
        view_summary(&view, sum);
        return sum->status;
    }
    sum->complete = sum->incomplete == 0;
    view_record(&view, sum);
    if (table && (!runs->options->quiet || sum->status != STATUS_GONE || sum->unknown_age > 0))
        put_table(runs, sum);
    if (*sum->note != '\0' && (!runs->options->quiet || sum->note_matters))
        complain("%s", sum->note);
    return sum->status;
}

static int conclude_all(const struct bucket_runs *runs, bool table)
{
    struct summary sum = sum_of(runs);

    if (sum.incomplete == 0)
        note_unmatched(runs->options, &sum);
    note_unmatched_buckets(runs->options, &sum);
    return show_sum(runs, &sum, table);
}

/* Nothing was looked at. */
static int conclude_none(const struct bucket_runs *runs, int status, int32_t code, const char *why)
{
    struct summary sum = {.sum = true, .code = code, .error = why, .status = status, .incomplete = 1};

    complain("%s", why);
    return show_sum(runs, &sum, false);
}

/* Returns -1 if there are buckets to look at, or the exit status. */
static int find_buckets(const struct bucket_runs *runs)
{
    struct failure failure = {0, 0, ""};

    if (!account_list(runs->account, &failure))
        return conclude_none(runs, failure.status, failure.code, failure.message);
    if (runs->account->count > 0)
        return -1;
    if (runs->account->seen > 0) /* a typing error, or the keys of another account */
        return conclude_none(runs, STATUS_SOME_LEFT, OBS_ABORT_NO_SUCH_BUCKET,
                             "no bucket of the account matches --bucket-match");
    return conclude_none(runs, STATUS_SOME_LEFT, OBS_ABORT_NO_SUCH_BUCKET,
                         "the account has no bucket: are these the keys that are meant?");
}

int run_buckets(struct account *account)
{
    const struct options *options = account->options;
    bool named = options->target_count > 0, table = true;
    struct bucket_runs runs = {.account = account, .options = options, .started_ms = monotonic_ms()};
    int status = named ? -1 : find_buckets(&runs);

    signals_note();
    if (status < 0 && !make_runs(&runs, named ? options->targets : account->targets,
                                 named ? options->target_count : account->count)) {
        complain("out of memory");
        status = STATUS_COULD_NOT_START;
    } else if (status < 0) {
        if (options->mode == MODE_STALE && !options->yes && !options->dry_run)
            table = run_asking_once(&runs);
        else
            run_each(&runs);
        end_rest(&runs, "not looked at");
        status = conclude_all(&runs, table);
    }
    free_runs(&runs);
    return status;
}

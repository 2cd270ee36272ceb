/* How it ended: a line on standard error, or an object. */
#include "obs-abort.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

/* Whether the verb lists what is there, and did not get to the end. */
static bool is_cut_short(const struct view *view, const struct summary *summary)
{
    return view->output_failed || (summary->code != OBS_ABORT_OK && summary->code != OBS_ABORT_PARTIAL);
}

static bool is_listing(const struct view *view)
{
    return view->list == NULL && (view->options->mode == MODE_LIST || view->options->mode == MODE_STALE);
}

static uint64_t looked_at(const struct summary *summary)
{
    return summary->aborted + summary->missing + summary->failed + summary->kept;
}

static void put_json_summary(FILE *out, const struct view *view, const struct summary *summary)
{
    bool of_several = view->options->several && !summary->sum;
    bool sized = summary->measured && summary->unmeasured < summary->aborted + !summary->aborted;

    fputs(of_several ? "{\"type\":\"bucket\"" : "{\"type\":\"summary\"", out);
    put_json_field(out, "bucket", view->options->bucket);
    if (of_several)
        put_json_field(out, "prefix", view->options->prefix);
    if (summary->sum)
        put_json_count(out, "buckets", summary->buckets);
    put_json_bool(out, "dry_run", view->finding);
    put_json_bool(out, "interrupted", summary->status > STATUS_SIGNALLED);
    put_json_bool(out, "complete", summary->complete);
    put_json_count(out, "total", looked_at(summary));
    put_json_count(out, "aborted", view->finding ? 0 : summary->aborted);
    put_json_count(out, "found", view->finding ? summary->aborted : 0);
    put_json_count(out, "missing", summary->missing);
    put_json_count(out, "failed", summary->failed);
    put_json_count(out, "kept", summary->kept);
    put_json_count(out, "younger", summary->younger);
    put_json_count(out, "active", summary->active);
    put_json_count(out, "unknown_age", summary->unknown_age);
    put_json_count(out, "left_out", summary->left_out);
    put_json_count(out, "smaller", summary->smaller);
    put_json_count(out, "unknown_size", summary->unsized);
    put_json_size(out, "bytes", sized, summary->bytes);
    put_json_count(out, "unmeasured", summary->measured ? summary->unmeasured : summary->aborted);
    put_json_cost(out, sized, summary->bytes, view->options->price);
    put_json_count(out, "throttled", summary->throttled);
    fprintf(out, ",\"seconds\":%.3f", (double)(monotonic_ms() - view->started_ms) / 1000);
    put_json_code(out, summary->code);
    put_json_field(out, "message", summary->error);
    put_json_field(out, "note", *summary->note != '\0' ? summary->note : NULL);
    fprintf(out, ",\"exit_status\":%d", summary->status);
    put_json_time(out, "time", (int64_t)time(NULL));
    fputs("}\n", out);
}

/* The line that is being made. */
static struct {
    char text[1024];
    size_t used;
} said;

static void say(const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(said.text + said.used, sizeof said.text - said.used, format, arguments);
    va_end(arguments);
    if (length > 0)
        said.used += (size_t)length < sizeof said.text - said.used ? (size_t)length : sizeof said.text - said.used - 1;
}

static void say_coloured(bool colour, const char *code, const char *text)
{
    if (colour)
        say("\033[%sm%s\033[0m", code, text);
    else
        say("%s", text);
}

static void put_count(uint64_t count, const char *what, bool colour, const char *code)
{
    char text[64];

    snprintf(text, sizeof text, "%llu %s", (unsigned long long)count, what);
    say_coloured(colour && count > 0, code, text);
}

static void put_taken(const struct view *view, const struct summary *summary)
{
    bool listing = view->options->mode == MODE_LIST;

    put_count(summary->aborted, listing ? "unfinished" : view->finding ? "would be aborted" : "aborted", view->colour,
              GREEN);
    if (view->unknown_age > 0)
        say(", %llu of them of unknown age", (unsigned long long)view->unknown_age);
    if (summary->missing > 0)
        say(", %llu gone already", (unsigned long long)summary->missing);
    if (!view->finding || summary->failed > 0) {
        say("%s", ", ");
        put_count(summary->failed, "failed", view->colour, RED);
    }
}

static void put_kept(const struct view *view, const struct summary *summary, const char *separator)
{
    uint64_t others = summary->kept - summary->younger - summary->active - summary->unknown_age -
                      summary->left_out - summary->smaller - summary->unsized;

    if (summary->younger > 0) {
        say("%s%llu younger", separator, (unsigned long long)summary->younger);
        separator = ", ";
    }
    if (summary->active > 0) {
        say("%s", separator);
        put_count(summary->active, "kept as active", view->colour, YELLOW);
        separator = ", ";
    }
    if (others > 0) {
        say("%s%llu %s", separator, (unsigned long long)others,
            view->options->mode == MODE_LIST ? "not shown" : is_cut_short(view, summary) ? "not begun"
            : is_listing(view) && view->options->from != NULL ? "younger or gone already" : "kept");
        separator = ", ";
    }
    if (summary->left_out > 0) {
        say("%s%llu left out", separator, (unsigned long long)summary->left_out);
        separator = ", ";
    }
    if (summary->smaller > 0) {
        say("%s%llu not larger than %s", separator, (unsigned long long)summary->smaller, view->options->larger);
        separator = ", ";
    }
    if (summary->unsized > 0) {
        say("%s", separator);
        put_count(summary->unsized, "without parts or of unknown size kept", view->colour, YELLOW);
        separator = ", ";
    }
    if (summary->unknown_age > 0) {
        say("%s", separator);
        put_count(summary->unknown_age, "of unknown age kept", view->colour, YELLOW);
    }
}

/* What was freed, or is there to be freed. */
static void put_size(const struct view *view, const struct summary *summary)
{
    struct amount amount = {summary->aborted, summary->aborted - summary->unmeasured, 0, summary->bytes, -1};
    char size[96], cost[64];

    if (!summary->measured || (summary->bytes == 0 && summary->unmeasured == 0))
        return;
    format_amount(size, sizeof size, &amount);
    say("; %s%s", size, view->finding ? "" : " freed");
    if (view->options->price > 0 && amount_is_known(&amount)) {
        format_cost(cost, sizeof cost, &amount, view->options->price);
        say(", %s a month", cost);
    }
}

static void put_text_summary(const struct view *view, const struct summary *summary)
{
    bool cut_short = is_cut_short(view, summary);
    bool nothing = summary->aborted + summary->missing + summary->failed == 0;

    if (view->shown > SHOWN_FIRST)
        fprintf(stderr, "         and %llu more\n", (unsigned long long)(view->shown - SHOWN_FIRST));
    put_priority(summary->status == STATUS_GONE ? PRIORITY_INFO : PRIORITY_WARNING);
    said.used = 0;
    say("obs-abort: ");
    if (summary->status > STATUS_SIGNALLED) {
        say_coloured(view->colour, YELLOW, "interrupted:");
        say(" ");
    }
    if (nothing && is_listing(view) && !cut_short) {
        say("%s", summary->left_out + summary->smaller + summary->unsized > 0 ? "nothing chosen is " : "nothing ");
        if (view->options->age > 0)
            say("%s%s old%s", summary->unknown_age > 0 ? "known to be " : "", view->options->stale,
                summary->active > 0 ? " and idle" : "");
        else
            say("unfinished");
        put_kept(view, summary, "; ");
    } else {
        put_taken(view, summary);
        put_kept(view, summary, ", ");
    }
    put_size(view, summary);
    if (cut_short && is_listing(view))
        say("; the rest of obs://%s, if any, was not looked at", view->options->bucket);
    if (summary->throttled > 0)
        say("; throttled %llu times", (unsigned long long)summary->throttled);
    say(" (%.1f s)", (double)(monotonic_ms() - view->started_ms) / 1000);
    put_wrapped(said.text);
    putc('\n', stderr);
    fflush(stderr);
}

static void tell_of(void (*tell)(const char *format, ...), const struct view *view, const char *text)
{
    if (view->options->several)
        tell("obs://%s: %s", view->options->bucket, text);
    else
        tell("%s", text);
}

/* Why it ended. PARTIAL says no more than the lines above it and the counts below, and CANCELLED no more than the user
   knows. Returns false if nothing was looked at, so that a count of it would look clean. */
static bool put_reason(const struct view *view, const struct summary *summary)
{
    const char *bucket = view->options->bucket;

    if (summary->begun && is_listing(view) && looked_at(summary) == 0 && is_cut_short(view, summary)) {
        if (summary->status > STATUS_SIGNALLED)
            complain("interrupted: obs://%s was not looked at", bucket);
        else
            complain("obs://%s was not looked at: %s", bucket, summary->error);
        return false;
    }
    if (summary->error != NULL && summary->code != OBS_ABORT_PARTIAL && summary->code != OBS_ABORT_CANCELLED)
        tell_of(complain, view, summary->error);
    return summary->begun;
}

void view_record(const struct view *view, const struct summary *summary)
{
    FILE *log = records_line();

    if (log != NULL) {
        put_json_summary(log, view, summary);
        records_line_end();
    }
    records_summary(view, summary);
}

/* One upload's own line says all, and of several buckets there is a table at the end. */
static bool has_own_summary(const struct view *view, const struct summary *summary)
{
    return !view->options->several && (view->options->mode != MODE_ONE || summary->status > STATUS_SIGNALLED);
}

/* A sweep may have tried an upload again, which the report counts once. */
static void set_sizes(struct view *view, struct summary *summary)
{
    const struct amount *amount = &view->totals.all;

    summary->measured = view->measures;
    summary->unmeasured = amount->uploads - amount->sized;
    if (summary->unmeasured > summary->aborted)
        summary->unmeasured = summary->aborted;
    if (view->finding)
        summary->bytes = amount->bytes;
}

void view_summary(struct view *view, struct summary *summary)
{
    bool quiet = view->options->quiet && summary->code == OBS_ABORT_OK;

    progress_stop();
    view_flush_table(view);
    if (!summary->sum)
        set_sizes(view, summary);
    if (view->options->totals > 0 && summary->begun)
        view_totals(view);
    summary->complete = summary->sum ? summary->incomplete == 0
                                             : summary->begun && !is_cut_short(view, summary) && !summary->unreadable;
    if (view->options->json) {
        put_json_summary(stdout, view, summary);
        view_check_output(view);
    }
    if (view->output_failed) /* before the records say how it ended */
        summary->status = STATUS_SOME_LEFT;
    view_record(view, summary);
    if (view->options->json || !put_reason(view, summary))
        return;
    if ((!quiet || summary->unknown_age > 0) && has_own_summary(view, summary))
        put_text_summary(view, summary);
    if (*summary->note != '\0' && (!quiet || summary->note_matters) &&
        (view->options->mode != MODE_ONE || view->options->quiet))
        tell_of(remark, view, summary->note);
}

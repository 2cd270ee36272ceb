/* What the user sees. Standard output has a line for each upload; standard error has failures,
   the summary, the progress bar, questions and the log. With --json all results are on standard
   output. */
#define _POSIX_C_SOURCE 200809L
#include "obs-abort.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RED "31"
#define GREEN "32"
#define YELLOW "33"

void complain(const char *format, ...)
{
    va_list arguments;

    flockfile(stderr);
    progress_clear();
    fputs("obs-abort: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    putc('\n', stderr);
    funlockfile(stderr);
}

void fail(struct failure *failure, int status, int32_t code, const char *format, ...)
{
    va_list arguments;

    failure->status = status;
    failure->code = code;
    va_start(arguments, format);
    vsnprintf(failure->message, sizeof failure->message, format, arguments);
    va_end(arguments);
}

void log_line(int32_t level, const char *message, void *userdata)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};

    (void)userdata;
    flockfile(stderr);
    progress_clear();
    fprintf(stderr, "%s: ", level >= 1 && level <= 4 ? names[level - 1] : "log");
    put_text(stderr, message);
    putc('\n', stderr);
    funlockfile(stderr);
}

static void put_coloured(FILE *out, bool colour, const char *code, const char *text)
{
    if (colour)
        fprintf(out, "\033[%sm%s\033[0m", code, text);
    else
        fputs(text, out);
}

/* Not beside a pipe: the program at its other end most likely writes to the same terminal. */
static bool bar_wanted(const struct options *options, bool finding)
{
    struct stat out;

    if (options->quiet || !terminal_is_capable(STDERR_FILENO))
        return false;
    if (isatty(STDOUT_FILENO))
        return !options->json && !finding;
    return fstat(STDOUT_FILENO, &out) != 0 || !(S_ISFIFO(out.st_mode) || S_ISSOCK(out.st_mode));
}

void view_open(struct view *view, const struct options *options, bool finding, const struct upload_list *list)
{
    bool bar = bar_wanted(options, finding);

    memset(view, 0, sizeof *view);
    view->options = options;
    view->list = list;
    view->finding = finding;
    /* Where the bar tells how far it is, thousands of lines on the same screen tell no more. */
    view->each = finding || options->json || (!options->quiet && !(bar && isatty(STDOUT_FILENO)));
    view->colour = colours_wanted(STDERR_FILENO);
    view->started_ms = monotonic_ms();
    if (bar)
        progress_start(finding ? "finding" : "aborting", finding, list != NULL ? list->count : 0);
}

/* After each line: a full disk or a closed pipe must stop the sweep, not surface after it. */
static void check_output(struct view *view)
{
    if (!view->output_failed && fflush(stdout) != 0) {
        view->output_failed = true;
        if (errno != EPIPE || !view->finding)
            complain("standard output: %s", strerror(errno));
    }
}

static const char *result_name(const struct view *view, int32_t code)
{
    if (code == OBS_ABORT_OK)
        return view->finding ? (view->options->mode == MODE_LIST ? "found" : "would_abort") : "aborted";
    return code == OBS_ABORT_NO_SUCH_UPLOAD ? "missing" : "failed";
}

static void put_json_field(const char *name, const char *value)
{
    printf(",\"%s\":", name);
    put_json_string(stdout, value);
}

static void put_json_code(int32_t code)
{
    printf(",\"code\":%d", (int)code);
    put_json_field("code_name", obs_abort_code_name(code));
}

/* Of an entry of a list only the list knows it. */
static int64_t initiated_of(const struct view *view, const obs_abort_outcome *outcome)
{
    int64_t index = obs_abort_outcome_index(outcome);

    return view->list != NULL && index >= 0 ? view->list->initiated[index] : obs_abort_outcome_initiated(outcome);
}

static void put_json_outcome(const struct view *view, const obs_abort_outcome *outcome)
{
    int64_t initiated = initiated_of(view, outcome);
    char when[32];

    fputs("{\"type\":\"upload\"", stdout);
    put_json_field("result", result_name(view, obs_abort_outcome_code(outcome)));
    put_json_field("bucket", view->options->bucket);
    put_json_field("key", obs_abort_outcome_key(outcome));
    put_json_field("upload_id", obs_abort_outcome_upload_id(outcome));
    format_time(when, sizeof when, initiated);
    put_json_field("initiated", initiated < 0 ? NULL : when);
    if (initiated < 0)
        fputs(",\"age_seconds\":null", stdout);
    else
        printf(",\"age_seconds\":%lld", (long long)(time(NULL) > initiated ? time(NULL) - initiated : 0));
    if (!view->finding || obs_abort_outcome_code(outcome) != OBS_ABORT_OK) {
        put_json_code(obs_abort_outcome_code(outcome));
        printf(",\"http_status\":%d", (int)obs_abort_outcome_http_status(outcome));
        printf(",\"attempts\":%u", (unsigned)obs_abort_outcome_attempts(outcome));
        put_json_field("service_code", obs_abort_outcome_service_code(outcome));
        put_json_field("request_id", obs_abort_outcome_request_id(outcome));
        put_json_field("host_id", obs_abort_outcome_host_id(outcome));
        put_json_field("message", obs_abort_outcome_message(outcome));
    }
    fputs("}\n", stdout);
}

/* KEY, UPLOAD_ID, time and age: what --from reads, and cut, sort and awk. */
static void put_found(const obs_abort_outcome *outcome)
{
    int64_t initiated = obs_abort_outcome_initiated(outcome);
    char when[32], age[32] = "-";

    format_time(when, sizeof when, initiated);
    if (initiated >= 0)
        format_age(age, sizeof age, (int64_t)time(NULL) - initiated);
    put_text(stdout, obs_abort_outcome_key(outcome));
    putchar('\t');
    put_text(stdout, obs_abort_outcome_upload_id(outcome));
    printf("\t%s\t%s\n", when, age);
}

static void put_aborted(const obs_abort_outcome *outcome)
{
    fputs(obs_abort_outcome_code(outcome) == OBS_ABORT_OK ? "aborted\t" : "gone already\t", stdout);
    put_text(stdout, obs_abort_outcome_key(outcome));
    putchar('\t');
    put_text(stdout, obs_abort_outcome_upload_id(outcome));
    putchar('\n');
}

static void put_one(const struct options *options, const obs_abort_outcome *outcome)
{
    const char *request_id = obs_abort_outcome_request_id(outcome);

    fputs(obs_abort_outcome_code(outcome) == OBS_ABORT_OK ? "aborted: " : "gone already: ", stdout);
    put_text(stdout, options->key);
    putchar(' ');
    put_text(stdout, options->upload_id);
    if (obs_abort_outcome_code(outcome) != OBS_ABORT_OK)
        fputs(": aborted or completed earlier, or not this key's upload id", stdout);
    printf(" (HTTP %d, request id ", (int)obs_abort_outcome_http_status(outcome));
    put_text(stdout, request_id != NULL ? request_id : "unknown");
    fputs(")\n", stdout);
}

/* Always shown, the bar or --quiet notwithstanding. */
static void put_failure(const struct view *view, const obs_abort_outcome *outcome)
{
    const char *message = obs_abort_outcome_message(outcome);

    flockfile(stderr);
    progress_clear();
    fputs("obs-abort: ", stderr);
    put_coloured(stderr, view->colour, RED, "failed: ");
    put_text(stderr, obs_abort_outcome_key(outcome));
    putc(' ', stderr);
    put_text(stderr, obs_abort_outcome_upload_id(outcome));
    fprintf(stderr, ": %s\n", message != NULL ? message : obs_abort_strerror(obs_abort_outcome_code(outcome)));
    funlockfile(stderr);
}

void view_outcome(struct view *view, const obs_abort_outcome *outcome)
{
    int32_t code = obs_abort_outcome_code(outcome);
    bool gone = code == OBS_ABORT_OK || code == OBS_ABORT_NO_SUCH_UPLOAD;

    view->failed += !gone;
    if (view->options->json) {
        put_json_outcome(view, outcome);
    } else if (!gone) {
        put_failure(view, outcome);
        return;
    } else if (view->options->mode == MODE_ONE && !view->options->quiet) {
        put_one(view->options, outcome);
    } else if (!view->each) {
        return;
    } else if (view->finding) {
        put_found(outcome);
    } else {
        put_aborted(outcome);
    }
    check_output(view);
}

static void put_json_summary(const struct view *view, int32_t code, const char *error, struct counts counts,
                             int status)
{
    uint64_t total = counts.aborted + counts.missing + counts.failed + counts.kept;

    fputs("{\"type\":\"summary\"", stdout);
    put_json_field("bucket", view->options->bucket);
    printf(",\"dry_run\":%s", view->finding ? "true" : "false");
    printf(",\"interrupted\":%s", status > STATUS_SIGNALLED ? "true" : "false");
    printf(",\"total\":%llu", (unsigned long long)total);
    printf(",\"aborted\":%llu", (unsigned long long)(view->finding ? 0 : counts.aborted));
    printf(",\"found\":%llu", (unsigned long long)(view->finding ? counts.aborted : 0));
    printf(",\"missing\":%llu", (unsigned long long)counts.missing);
    printf(",\"failed\":%llu", (unsigned long long)counts.failed);
    printf(",\"kept\":%llu", (unsigned long long)counts.kept);
    printf(",\"seconds\":%.3f", (double)(monotonic_ms() - view->started_ms) / 1000);
    put_json_code(code);
    put_json_field("message", error);
    printf(",\"exit_status\":%d}\n", status);
}

static void put_count(uint64_t count, const char *what, bool colour, const char *code)
{
    char text[64];

    snprintf(text, sizeof text, "%llu %s", (unsigned long long)count, what);
    put_coloured(stderr, colour && count > 0, code, text);
}

static void put_text_summary(const struct view *view, const struct counts *counts, int status)
{
    bool listing = view->options->mode == MODE_LIST, cut_short = status > STATUS_SIGNALLED || view->output_failed;

    fputs("obs-abort: ", stderr);
    if (status > STATUS_SIGNALLED)
        put_coloured(stderr, view->colour, YELLOW, "interrupted: ");
    put_count(counts->aborted,
              listing ? "unfinished" : view->finding ? "would be aborted" : "aborted", view->colour, GREEN);
    if (counts->missing > 0)
        fprintf(stderr, ", %llu gone already", (unsigned long long)counts->missing);
    if (!view->finding || counts->failed > 0) {
        fputs(", ", stderr);
        put_count(counts->failed, "failed", view->colour, RED);
    }
    if (counts->kept > 0)
        fprintf(stderr, ", %llu %s", (unsigned long long)counts->kept,
                listing ? "not shown" : view->options->mode != MODE_STALE ? "not begun"
                : cut_short ? "younger or not begun" : "younger");
    fprintf(stderr, " (%.1f s)\n", (double)(monotonic_ms() - view->started_ms) / 1000);
}

void view_summary(struct view *view, int32_t code, const char *error, const struct counts *counts, int status)
{
    static const struct counts none = {0, 0, 0, 0};

    progress_stop();
    if (view->options->json) {
        put_json_summary(view, code, error, counts != NULL ? *counts : none, status);
        check_output(view);
        return;
    }
    /* PARTIAL says no more than the lines above it and the counts below. */
    if (error != NULL && code != OBS_ABORT_PARTIAL && code != OBS_ABORT_CANCELLED)
        complain("%s", error);
    if (counts == NULL || (view->options->quiet && code == OBS_ABORT_OK))
        return;
    if (view->options->mode != MODE_ONE || status > STATUS_SIGNALLED) /* one upload's own line says all */
        put_text_summary(view, counts, status);
}

/* What the user sees. Standard output has a line for each upload; standard error has failures,
   the summary, the progress bar, questions and the log. With --json all results are on standard
   output. */
#include "obs-abort.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#define HELD_FOR_MS 1000 /* rows, at most */

static const char *bucket_of_run; /* for what the library logs */

/* The journal takes a line's priority from its start. */
void put_priority(int priority)
{
    if (is_journal(stderr))
        fprintf(stderr, "<%d>", priority);
}

static void put_line(int priority, const char *format, va_list arguments)
{
    char text[8192]; /* longer than any message of the library */

    vsnprintf(text, sizeof text, format, arguments);
    progress_clear();
    put_priority(priority);
    fputs("obs-abort: ", stderr);
    put_message(stderr, text);
    putc('\n', stderr);
    fflush(stderr);
}

void complain(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    put_line(PRIORITY_ERROR, format, arguments);
    va_end(arguments);
}

void remark(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    put_line(PRIORITY_WARNING, format, arguments);
    va_end(arguments);
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

void add_note(struct summary *summary, bool matters, const char *format, ...)
{
    size_t used = strlen(summary->note);
    va_list arguments;

    if (used > 0)
        used += (size_t)snprintf(summary->note + used, sizeof summary->note - used, "; ");
    if (used < sizeof summary->note) {
        va_start(arguments, format);
        vsnprintf(summary->note + used, sizeof summary->note - used, format, arguments);
        va_end(arguments);
    }
    summary->note_matters |= matters;
}

int32_t log_level(const struct options *options)
{
    static const int32_t levels[] = {OBS_ABORT_LOG_WARN, OBS_ABORT_LOG_WARN, OBS_ABORT_LOG_INFO, OBS_ABORT_LOG_DEBUG};

    return levels[options->verbose < 3 ? options->verbose : 3];
}

void show_log_line(const struct options *options, int32_t level, const char *message)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};

    records_kept(bucket_of_run, message);
    if (options->verbose == 0 || level > log_level(options))
        return;
    progress_clear();
    put_priority(level <= OBS_ABORT_LOG_ERROR ? PRIORITY_ERROR : level == OBS_ABORT_LOG_WARN ? PRIORITY_WARNING
                 : level == OBS_ABORT_LOG_INFO ? PRIORITY_INFO : PRIORITY_DEBUG);
    fprintf(stderr, "%s: ", level >= 1 && level <= 4 ? names[level - 1] : "log");
    put_text(stderr, message);
    putc('\n', stderr);
    fflush(stderr);
}

static void put_coloured(FILE *out, bool colour, const char *code, const char *text)
{
    if (colour)
        fprintf(out, "\033[%sm%s\033[0m", code, text);
    else
        fputs(text, out);
}

/* Not beside a pipe: the program at its other end most likely writes to the same terminal. */
bool bar_possible(const struct options *options)
{
    return !options->quiet && terminal_is_capable(stderr) && (is_terminal(stdout) || !is_pipe(stdout));
}

/* Nor among lines on the same screen. */
static bool bar_wanted(const struct options *options, bool finding)
{
    return bar_possible(options) && (!is_terminal(stdout) || (!options->json && !finding));
}

void view_open(struct view *view, const struct options *options, bool finding, struct upload_list *list)
{
    bool bar = bar_wanted(options, finding);

    memset(view, 0, sizeof *view);
    bucket_of_run = options->bucket;
    view->options = options;
    view->list = list;
    view->finding = finding;
    view->json = options->json && !options->quiet;
    /* Where the bar tells how far it is, thousands of lines on the same screen tell no more. */
    view->each = (finding && !options->json) || view->json || (!options->quiet && !(bar && is_terminal(stdout)));
    view->colour = colours_wanted(stderr);
    view->started_ms = monotonic_ms();
    totals_open(&view->totals, options->totals > 0 ? options->totals - 1 : 0);
    if (bar)
        progress_start(options->several ? options->bucket : finding ? "finding" : "aborting", finding, list != NULL ? list->total : 0);
}

/* After each line: a full disk or a closed pipe must stop the sweep, not surface after it. */
void view_check_output(struct view *view)
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

/* What is known of an upload after it was looked at or tried. */
struct result {
    const char *key, *upload_id, *message, *service_code, *request_id, *host_id;
    int64_t initiated;
    struct measure measure;
    int32_t code, http_status;
    uint32_t attempts;
};

struct measure measure_of(const obs_abort_outcome *outcome, bool measures)
{
    struct measure measure = {
        .initiated = obs_abort_outcome_initiated(outcome),
        .parts = obs_abort_outcome_parts(outcome),
        .bytes = obs_abort_outcome_bytes(outcome),
        .last_part = obs_abort_outcome_last_part(outcome),
    };

    /* Without parts, only the log tells whether that is so, or is not known. */
    measure.sized = measures && obs_abort_outcome_code(outcome) == OBS_ABORT_OK &&
                    (measure.parts > 0 || !notices_unsized(outcome));
    return measure;
}

static struct result result_of(const struct view *view, const obs_abort_outcome *outcome)
{
    int64_t index = obs_abort_outcome_index(outcome);
    struct result result = {
        .key = obs_abort_outcome_key(outcome),
        .upload_id = obs_abort_outcome_upload_id(outcome),
        .message = obs_abort_outcome_message(outcome),
        .service_code = obs_abort_outcome_service_code(outcome),
        .request_id = obs_abort_outcome_request_id(outcome),
        .host_id = obs_abort_outcome_host_id(outcome),
        .initiated = obs_abort_outcome_initiated(outcome),
        .measure = measure_of(outcome, view->measures),
        .code = obs_abort_outcome_code(outcome),
        .http_status = obs_abort_outcome_http_status(outcome),
        .attempts = obs_abort_outcome_attempts(outcome),
    };

    if (view->list != NULL && index >= 0) /* of an entry of a list only the list knows it */
        result.initiated = view->list->facts[index].initiated;
    return result;
}

static void put_json_measure(FILE *out, const struct measure *measure)
{
    put_json_size(out, "parts", measure->sized, measure->parts);
    put_json_size(out, "bytes", measure->sized, measure->bytes);
    put_json_time(out, "last_part", measure->sized ? measure->last_part : -1);
}

static void put_json_result(FILE *out, const struct view *view, const struct result *result)
{
    int64_t now = (int64_t)time(NULL);

    fputs("{\"type\":\"upload\"", out);
    put_json_field(out, "result", result_name(view, result->code));
    put_json_field(out, "bucket", view->options->bucket);
    put_json_field(out, "key", result->key);
    put_json_field(out, "upload_id", result->upload_id);
    put_json_time(out, "initiated", result->initiated);
    if (result->initiated < 0)
        fputs(",\"age_seconds\":null", out);
    else
        put_json_count(out, "age_seconds", now > result->initiated ? (uint64_t)(now - result->initiated) : 0);
    put_json_measure(out, &result->measure);
    if (!view->finding || result->code != OBS_ABORT_OK) {
        put_json_code(out, result->code);
        fprintf(out, ",\"http_status\":%d", (int)result->http_status);
        put_json_count(out, "attempts", result->attempts);
        put_json_field(out, "service_code", result->service_code);
        put_json_field(out, "request_id", result->request_id);
        put_json_field(out, "host_id", result->host_id);
        put_json_field(out, "message", result->message);
    }
    put_json_time(out, "time", now);
    fputs("}\n", out);
}

/* Of several buckets each line names its own, so that no line is taken for one of another bucket. */
void view_put_bucket(const struct view *view, FILE *out, char after)
{
    if (view->options->several)
        fprintf(out, "obs://%s%c", view->options->bucket, after);
}

/* KEY, UPLOAD_ID, time and age: what --from reads, and cut, sort and awk. */
static void put_found(const struct view *view, const struct result *result)
{
    char when[32], age[32] = "-";

    format_time(when, sizeof when, result->initiated);
    if (result->initiated >= 0)
        format_age(age, sizeof age, (int64_t)time(NULL) - result->initiated);
    view_put_bucket(view, stdout, '\t');
    put_text(stdout, result->key);
    putchar('\t');
    put_text(stdout, result->upload_id);
    printf("\t%s\t%s", when, age);
    if (view->options->sizes && result->measure.sized) {
        format_time(when, sizeof when, result->measure.last_part);
        printf("\t%llu\t%llu\t%s", (unsigned long long)result->measure.parts,
               (unsigned long long)result->measure.bytes, when);
    } else if (view->options->sizes) {
        fputs("\t-\t-\t-", stdout);
    }
    putchar('\n');
}

/* The first ones, on a terminal: the bar says how far it is, and not what it is. */
static void put_briefly(struct view *view, const struct result *result)
{
    char size[32] = "-";

    if (view->options->quiet || view->options->json || view->shown++ >= SHOWN_FIRST)
        return;
    progress_clear();
    fflush(stderr);
    if (result->measure.sized)
        format_bytes(size, sizeof size, result->measure.bytes);
    fputs(result->code == OBS_ABORT_OK ? "aborted  " : "gone     ", stdout);
    if (view->measures)
        printf("%10s  ", size);
    view_put_bucket(view, stdout, ' ');
    put_text(stdout, result->key);
    putchar('\n');
}

static void put_aborted(const struct view *view, const struct result *result)
{
    fputs(result->code == OBS_ABORT_OK ? "aborted\t" : "gone already\t", stdout);
    view_put_bucket(view, stdout, '\t');
    put_text(stdout, result->key);
    putchar('\t');
    put_text(stdout, result->upload_id);
    putchar('\n');
}

static void put_one(const struct options *options, const struct result *result)
{
    fputs(result->code == OBS_ABORT_OK ? "aborted: " : "gone already: ", stdout);
    put_text(stdout, options->key);
    putchar(' ');
    put_text(stdout, options->upload_id);
    if (result->code != OBS_ABORT_OK)
        fputs(": aborted or completed earlier, or not this key's upload id", stdout);
    printf(" (HTTP %d, request id ", (int)result->http_status);
    put_text(stdout, result->request_id != NULL ? result->request_id : "unknown");
    fputs(")\n", stdout);
}

static void put_table_row(struct view *view, const struct result *result)
{
    if (view->table.out == NULL)
        uploads_table_open(&view->table, stdout, view->options);
    uploads_table_row(&view->table, view->options, result->key, result->upload_id, &result->measure);
}

void view_flush_table(struct view *view)
{
    table_flush(&view->table);
    if (view->table.out != NULL)
        view_check_output(view);
}

void view_idle(struct view *view)
{
    if (view->table.held > 0 && monotonic_ms() - view->table.held_since_ms > HELD_FOR_MS)
        view_flush_table(view);
}

/* Always shown, the bar or --quiet notwithstanding. */
static void put_failure(const struct view *view, const struct result *result)
{
    progress_clear();
    put_priority(PRIORITY_ERROR);
    fputs("obs-abort: ", stderr);
    put_coloured(stderr, view->colour, RED, "failed: ");
    view_put_bucket(view, stderr, ' ');
    put_text(stderr, result->key);
    putc(' ', stderr);
    put_text(stderr, result->upload_id);
    fputs(": ", stderr);
    put_message(stderr, result->message != NULL ? result->message : obs_abort_strerror(result->code));
    putc('\n', stderr);
    fflush(stderr);
}

static void show_failure(struct view *view, const struct result *result)
{
    if (view->json) {
        put_json_result(stdout, view, result);
        view_check_output(view);
    } else {
        put_failure(view, result);
    }
}

static void record(const struct view *view, const struct result *result)
{
    FILE *log = records_line();

    if (log == NULL)
        return;
    put_json_result(log, view, result);
    records_line_end();
}

/* A sweep tries again what failed as long as that helps: its failures are told at the end, by the report. With --json
   each attempt is told, and the last line of an upload is final. */
static bool is_final(const struct view *view)
{
    return view->finding || view->list != NULL;
}

static void show_gone(struct view *view, const struct result *result)
{
    if (result->code == OBS_ABORT_OK && view->options->totals > 0)
        totals_add(&view->totals, result->key, &result->measure);
    else if (result->code == OBS_ABORT_OK)
        amount_add(&view->totals.all, &result->measure);
    if (view->options->totals > 0)
        return;
    if (view->json)
        put_json_result(stdout, view, result);
    else if (view->options->mode == MODE_ONE && !view->options->quiet)
        put_one(view->options, result);
    else if (!view->each)
        put_briefly(view, result);
    else if (view->finding && is_terminal(stdout))
        put_table_row(view, result);
    else if (view->finding)
        put_found(view, result);
    else
        put_aborted(view, result);
    view_check_output(view);
}

void view_outcome(struct view *view, const obs_abort_outcome *outcome)
{
    struct result result = result_of(view, outcome);
    bool gone = result.code == OBS_ABORT_OK || result.code == OBS_ABORT_NO_SUCH_UPLOAD;

    record(view, &result);
    view->unknown_age += gone && view->finding && result.initiated < 0;
    if (!gone) {
        if (view->json || is_final(view))
            show_failure(view, &result);
        return;
    }
    show_gone(view, &result);
}

void view_failure(struct view *view, const obs_abort_outcome *outcome)
{
    struct result result = result_of(view, outcome);

    if (is_final(view))
        return;
    /* --json and --log have told of the others, attempt by attempt. */
    if (result.code == OBS_ABORT_STILL_LISTED)
        record(view, &result);
    if (!view->json || result.code == OBS_ABORT_STILL_LISTED)
        show_failure(view, &result);
}

void view_unlisted(struct view *view, const char *key, const char *upload_id, int64_t initiated)
{
    struct result result = {
        .key = key,
        .upload_id = upload_id,
        .message = "no_such_upload: no longer listed",
        .initiated = initiated,
        .code = OBS_ABORT_NO_SUCH_UPLOAD,
    };

    record(view, &result);
    show_gone(view, &result);
}

/* What the user sees. Standard output has a line for each upload; standard error has failures,
   the summary, the progress bar, questions and the log. With --json all results are on standard
   output. */
#include "obs-abort.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

/* Of syslog, as the journal takes them. */
enum { PRIORITY_ERROR = 3, PRIORITY_WARNING = 4, PRIORITY_INFO = 6, PRIORITY_DEBUG = 7 };

#define RED "31"
#define GREEN "32"
#define YELLOW "33"
#define WIDE 120 /* columns of a terminal on which there is room for everything */
#define HELD_FOR_MS 1000 /* rows, at most */
#define SHOWN_FIRST 5 /* of what is aborted, on a terminal */

static const char *bucket_of_run; /* for what the library logs */

/* The journal takes a line's priority from its start. */
static void put_priority(int priority)
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
static bool bar_wanted(const struct options *options, bool finding)
{
    if (options->quiet || !terminal_is_capable(stderr))
        return false;
    if (is_terminal(stdout))
        return !options->json && !finding;
    return !is_pipe(stdout);
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
                    (measure.parts > 0 || !notices_unsized(obs_abort_outcome_upload_id(outcome)));
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

static void put_json_size(FILE *out, const char *name, bool known, uint64_t size)
{
    if (known)
        put_json_count(out, name, size);
    else
        fprintf(out, ",\"%s\":null", name);
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
static void put_bucket(const struct view *view, FILE *out, char after)
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
    put_bucket(view, stdout, '\t');
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
    put_bucket(view, stdout, ' ');
    put_text(stdout, result->key);
    putchar('\n');
}

static void put_aborted(const struct view *view, const struct result *result)
{
    fputs(result->code == OBS_ABORT_OK ? "aborted\t" : "gone already\t", stdout);
    put_bucket(view, stdout, '\t');
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

/* Returns the number of columns. */
static size_t choose_columns(struct table_column *columns, const struct options *options)
{
    static const struct table_column bucket = {"BUCKET", false, false}, begun = {"BEGUN", false, true},
                                     age = {"AGE", false, true}, parts = {"PARTS", true, true},
                                     size = {"SIZE", true, true}, last = {"LAST PART", false, true},
                                     key = {"KEY", false, false}, id = {"UPLOAD ID", false, false};
    size_t count = 0;

    if (options->several)
        columns[count++] = bucket;
    if (terminal_width() >= WIDE)
        columns[count++] = begun;
    columns[count++] = age;
    if (options_measure(options)) {
        columns[count++] = parts;
        columns[count++] = size;
        if (terminal_width() >= WIDE)
            columns[count++] = last;
    }
    columns[count++] = key;
    columns[count++] = id;
    return count;
}

static void put_columns(struct table *table, const struct options *options, const char *upload_key, const char *upload_id,
                        const struct measure *measure)
{
    char begun[32], age[32] = "-", parts[32] = "-", size[32] = "-", last[32] = "-";
    const char *cells[TABLE_COLUMNS];
    size_t count = 0;

    format_time(begun, sizeof begun, measure->initiated);
    if (measure->initiated >= 0)
        format_age(age, sizeof age, (int64_t)time(NULL) - measure->initiated);
    if (measure->sized) {
        snprintf(parts, sizeof parts, "%llu", (unsigned long long)measure->parts);
        format_bytes(size, sizeof size, measure->bytes);
    }
    if (measure->sized && measure->last_part >= 0) {
        format_age(last, sizeof last, (int64_t)time(NULL) - measure->last_part);
        strcat(last, " ago");
    }
    if (options->several)
        cells[count++] = options->bucket;
    if (table->terminal >= WIDE)
        cells[count++] = begun;
    cells[count++] = age;
    if (options_measure(options)) {
        cells[count++] = parts;
        cells[count++] = size;
        if (table->terminal >= WIDE)
            cells[count++] = last;
    }
    cells[count++] = upload_key;
    cells[count++] = upload_id;
    table_row(table, cells);
}

static void open_uploads_table(struct table *table, FILE *out, const struct options *options)
{
    struct table_column columns[TABLE_COLUMNS];
    size_t count = choose_columns(columns, options);

    table_open(table, out, columns, count);
    table->fold = 2; /* the upload id, then the key */
}

static void put_table_row(struct view *view, const struct result *result)
{
    if (view->table.out == NULL)
        open_uploads_table(&view->table, stdout, view->options);
    put_columns(&view->table, view->options, result->key, result->upload_id, &result->measure);
}

static void flush_table(struct view *view)
{
    table_flush(&view->table);
    if (view->table.out != NULL)
        check_output(view);
}

void view_idle(struct view *view)
{
    if (view->table.held > 0 && monotonic_ms() - view->table.held_since_ms > HELD_FOR_MS)
        flush_table(view);
}

void view_list(const struct options *options, const struct upload_list *list)
{
    struct table table;
    size_t i;

    open_uploads_table(&table, stderr, options);
    for (i = 0; i < list->count && signals_seen == 0; i++)
        put_columns(&table, options, list->uploads[i].key, list->uploads[i].upload_id, &list->facts[i].measure);
    table_flush(&table);
    fflush(stderr);
}

static void put_total_json(const struct view *view, const char *prefix, const struct amount *amount)
{
    fputs("{\"type\":\"total\"", stdout);
    put_json_field(stdout, "bucket", view->options->bucket);
    put_json_field(stdout, "prefix", prefix);
    put_json_bool(stdout, "other", prefix == NULL);
    put_json_count(stdout, "uploads", amount->uploads);
    put_json_size(stdout, "bytes", amount->sized > 0, amount->bytes);
    put_json_count(stdout, "unmeasured", amount->uploads - amount->sized);
    put_json_time(stdout, "oldest", amount->oldest);
    if (view->options->price > 0)
        fprintf(stdout, ",\"cost_per_month\":%.6f",
                (double)amount->bytes / (1024.0 * 1024 * 1024) * view->options->price);
    put_json_time(stdout, "time", (int64_t)time(NULL));
    fputs("}\n", stdout);
}

/* PREFIX, uploads, bytes of those that were measured, how many were not, the oldest, and the cost. */
static void put_total_line(const struct view *view, const char *prefix, const struct amount *amount)
{
    char when[32], cost[64];

    put_bucket(view, stdout, '\t');
    if (prefix != NULL)
        put_text(stdout, prefix);
    else
        fputs("(other)", stdout);
    printf("\t%llu", (unsigned long long)amount->uploads);
    if (amount->sized > 0)
        printf("\t%llu", (unsigned long long)amount->bytes);
    else
        fputs("\t-", stdout);
    format_time(when, sizeof when, amount->oldest);
    printf("\t%llu\t%s", (unsigned long long)(amount->uploads - amount->sized), when);
    if (view->options->price > 0) {
        format_cost(cost, sizeof cost, amount->bytes, view->options->price);
        printf("\t%s", cost);
    }
    putchar('\n');
}

static void put_total_row(struct view *view, struct table *table, const char *prefix, const struct amount *amount)
{
    char uploads[32], size[96], age[32] = "-", cost[64] = "";
    const char *cells[TABLE_COLUMNS];
    size_t count = 0;

    snprintf(uploads, sizeof uploads, "%llu", (unsigned long long)amount->uploads);
    if (amount->sized == 0)
        snprintf(size, sizeof size, "unknown");
    else
        format_bytes(size, sizeof size, amount->bytes);
    if (amount->sized > 0 && amount->sized < amount->uploads)
        strcat(size, "+"); /* and what is not known */
    if (amount->oldest >= 0)
        format_age(age, sizeof age, (int64_t)time(NULL) - amount->oldest);
    format_cost(cost, sizeof cost, amount->bytes, view->options->price);
    cells[count++] = uploads;
    cells[count++] = size;
    if (view->options->price > 0)
        cells[count++] = cost;
    cells[count++] = age;
    cells[count++] = prefix != NULL ? prefix : "(other)";
    table_row(table, cells);
}

static void put_total(struct view *view, struct table *table, const char *prefix, const struct amount *amount)
{
    if (view->json)
        put_total_json(view, prefix, amount);
    else if (table->out != NULL)
        put_total_row(view, table, prefix == NULL || *prefix != '\0' ? prefix : "(no slash)", amount);
    else
        put_total_line(view, prefix, amount);
}

static void put_totals(struct view *view)
{
    static const struct table_column columns[] = {
        {"UPLOADS", true, true}, {"SIZE", true, true}, {"OLDEST", false, true}, {"PREFIX", false, false}};
    static const struct table_column with_cost[] = {
        {"UPLOADS", true, true}, {"SIZE", true, true}, {"A MONTH", true, true}, {"OLDEST", false, true},
        {"PREFIX", false, false}};
    struct table table = {.out = NULL};
    size_t i;

    if (view->options->json && !view->json)
        return;
    if (!view->json && is_terminal(stdout) && view->totals.all.uploads > 0)
        table_open(&table, stdout, view->options->price > 0 ? with_cost : columns, view->options->price > 0 ? 5 : 4);
    table.fold = 1;
    for (i = 0; i < view->totals.count; i++)
        put_total(view, &table, view->totals.rows[i]->prefix, &view->totals.rows[i]->amount);
    if (view->totals.other.uploads > 0)
        put_total(view, &table, NULL, &view->totals.other);
    table_flush(&table);
    totals_free(&view->totals);
    check_output(view);
}

/* Always shown, the bar or --quiet notwithstanding. */
static void put_failure(const struct view *view, const struct result *result)
{
    progress_clear();
    put_priority(PRIORITY_ERROR);
    fputs("obs-abort: ", stderr);
    put_coloured(stderr, view->colour, RED, "failed: ");
    put_bucket(view, stderr, ' ');
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
        check_output(view);
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
    check_output(view);
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
    put_json_size(out, "bytes", summary->measured && summary->unmeasured < summary->aborted + !summary->aborted,
                  summary->bytes);
    put_json_count(out, "unmeasured", summary->measured ? summary->unmeasured : summary->aborted);
    if (view->options->price > 0)
        fprintf(out, ",\"cost_per_month\":%.6f", (double)summary->bytes / (1024.0 * 1024 * 1024) * view->options->price);
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
    if (view->options->price > 0) {
        format_cost(cost, sizeof cost, summary->bytes, view->options->price);
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
    flush_table(view);
    if (!summary->sum)
        set_sizes(view, summary);
    if (view->options->totals > 0 && summary->begun)
        put_totals(view);
    summary->complete = summary->sum ? summary->incomplete == 0
                                             : summary->begun && !is_cut_short(view, summary) && !summary->unreadable;
    view_record(view, summary);
    if (view->options->json) {
        put_json_summary(stdout, view, summary);
        check_output(view);
        return;
    }
    if (!put_reason(view, summary))
        return;
    if ((!quiet || summary->unknown_age > 0) && has_own_summary(view, summary))
        put_text_summary(view, summary);
    if (*summary->note != '\0' && (!quiet || summary->note_matters) &&
        (view->options->mode != MODE_ONE || view->options->quiet))
        tell_of(remark, view, summary->note);
}

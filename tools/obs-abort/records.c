/* Records beside what the user sees: the lines of --log, and the figures of --metrics. */
#define _POSIX_C_SOURCE 200809L
#include "obs-abort.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One log and one file of metrics, as there is one command. */
static struct {
    FILE *log;
    const char *log_path;
    bool log_failed, metrics_refused;
    struct sample *samples;
    size_t count;
    int64_t started_ms;
} records;

/* A line is one write, so that the lines of two runs do not mix. */
static char log_buffer[65536];

/* ---- --log ---- */

static void fail_log(int error)
{
    if (!records.log_failed)
        complain("--log %s: %s; nothing more is begun", records.log_path, strerror(error));
    records.log_failed = true;
}

FILE *records_line(void)
{
    return records.log_failed ? NULL : records.log;
}

void records_line_end(void)
{
    if (fflush(records.log) != 0 || ferror(records.log))
        fail_log(errno);
}

bool records_failed(void)
{
    return records.log_failed;
}

/* A run that was killed may have left half a line. */
static void end_open_line(FILE *log)
{
    if (fseek(log, -1, SEEK_END) == 0) {
        int last = getc(log);

        fseek(log, 0, SEEK_END);
        if (last != EOF && last != '\n')
            putc('\n', log);
    }
    clearerr(log);
}

static void put_begin(FILE *out, const struct options *options)
{
    static const char *const modes[] = {"one", "list", "stale", "from"};

    fputs("{\"type\":\"begin\"", out);
    put_json_field(out, "program", "obs-abort");
    put_json_field(out, "version", obs_abort_version());
    put_json_field(out, "mode", modes[options->mode]);
    put_json_field(out, "bucket", options->several ? NULL : options->bucket);
    put_json_field(out, "prefix", options->several ? NULL : options->prefix);
    put_json_field(out, "stale", options->stale);
    put_json_field(out, "idle", options->idle);
    put_json_field(out, "from", options->from);
    put_json_bool(out, "dry_run", options->dry_run || options->list);
    put_json_time(out, "time", (int64_t)time(NULL));
    fputs("}\n", out);
}

static bool open_log(const struct options *options, struct failure *failure)
{
    records.log_path = options->log;
    records.log = open_to_append(options->log);
    if (records.log == NULL) {
        fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_INVALID_CONFIG, "--log %s: %s", options->log, strerror(errno));
        return false;
    }
    setvbuf(records.log, log_buffer, _IOFBF, sizeof log_buffer);
    end_open_line(records.log);
    put_begin(records.log, options);
    if (fflush(records.log) == 0)
        return true;
    fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_INVALID_CONFIG, "--log %s: %s", options->log, strerror(errno));
    records.log_failed = true; /* told */
    return false;
}

/* The library has no outcome for an upload that it keeps since it may still be written to, and says so in its log. */
void records_kept(const char *bucket, const char *message)
{
    static const char reason[] = "kept as active: ";
    struct upload_line line;

    if (records_line() == NULL || !read_upload_line(message, &line))
        return;
    if (strncmp(line.text, reason, sizeof reason - 1) == 0) {
        fputs("{\"type\":\"upload\"", records.log);
        put_json_field(records.log, "result", "kept");
        put_json_field(records.log, "bucket", bucket);
        put_json_field(records.log, "key", line.key);
        put_json_field(records.log, "upload_id", line.upload_id);
        put_json_field(records.log, "message", line.text);
        put_json_time(records.log, "time", (int64_t)time(NULL));
        fputs("}\n", records.log);
        records_line_end();
    }
    free(line.upload_id);
}

/* ---- --metrics ---- */

/* What is told of one bucket, or of one prefix. */
struct sample {
    char *labels;
    double aborted, found, missing, failed, kept, active, younger, unknown_age, other;
    double freed_bytes, found_bytes, throttled, complete, exit_status, seconds;
    double last_run, last_success;
};

#define LAST_SUCCESS "obs_abort_last_success_timestamp_seconds"

static const struct metric {
    const char *name, *help; /* without a help, it belongs to the metric above */
    const char *label;       /* of its own; or NULL */
    size_t offset;           /* in struct sample */
} metrics[] = {
    {"obs_abort_uploads", "Uploads of the last run by what became of them.", "result=\"aborted\"",
     offsetof(struct sample, aborted)},
    {"obs_abort_uploads", NULL, "result=\"found\"", offsetof(struct sample, found)},
    {"obs_abort_uploads", NULL, "result=\"missing\"", offsetof(struct sample, missing)},
    {"obs_abort_uploads", NULL, "result=\"failed\"", offsetof(struct sample, failed)},
    {"obs_abort_uploads", NULL, "result=\"kept\"", offsetof(struct sample, kept)},
    {"obs_abort_kept_uploads", "Uploads that the last run kept by why.", "reason=\"active\"",
     offsetof(struct sample, active)},
    {"obs_abort_kept_uploads", NULL, "reason=\"younger\"", offsetof(struct sample, younger)},
    {"obs_abort_kept_uploads", NULL, "reason=\"unknown_age\"", offsetof(struct sample, unknown_age)},
    {"obs_abort_kept_uploads", NULL, "reason=\"other\"", offsetof(struct sample, other)},
    {"obs_abort_freed_bytes", "Size of the uploads that the last run aborted, as far as it was measured.", NULL,
     offsetof(struct sample, freed_bytes)},
    {"obs_abort_found_bytes", "Size of the uploads that the last list or dry run found, as far as it was measured.", NULL,
     offsetof(struct sample, found_bytes)},
    {"obs_abort_throttled_responses", "Responses of the last run that asked to slow down.", NULL,
     offsetof(struct sample, throttled)},
    {"obs_abort_complete", "Whether the last run came to its end.", NULL, offsetof(struct sample, complete)},
    {"obs_abort_exit_status", "Exit status of the last run.", NULL, offsetof(struct sample, exit_status)},
    {"obs_abort_duration_seconds", "How long the last run took.", NULL, offsetof(struct sample, seconds)},
    {"obs_abort_last_run_timestamp_seconds", "When the last run ended.", NULL, offsetof(struct sample, last_run)},
    {LAST_SUCCESS, "When the last run ended whose exit status was 0, or 0.", NULL, offsetof(struct sample, last_success)},
};

/* Appends NAME="VALUE", escaped as the text format wants it. */
static char *add_label(char *out, const char *name, const char *value)
{
    const unsigned char *text = (const unsigned char *)(value != NULL ? value : "");
    uint32_t code_point;

    out += sprintf(out, "%s=\"", name);
    while (*text != '\0') {
        size_t length = decode_utf8(text, &code_point);

        if (*text == '\n' || *text == '"' || *text == '\\')
            *out++ = '\\';
        if (length == 0)
            *out++ = '?';
        else if (*text == '\n')
            *out++ = 'n';
        else
            memcpy(out, text, length), out += length;
        text += length > 0 ? length : 1;
    }
    *out++ = '"';
    *out = '\0';
    return out;
}

static char *labels_of(const struct options *options)
{
    size_t bucket = options->bucket != NULL ? strlen(options->bucket) : 0;
    size_t prefix = options->prefix != NULL ? strlen(options->prefix) : 0;
    char *labels = malloc(2 * (bucket + prefix) + sizeof "bucket=\"\",prefix=\"\""), *end;

    if (labels != NULL) {
        end = add_label(labels, "bucket", options->bucket);
        *end++ = ',';
        add_label(end, "prefix", options->prefix);
    }
    return labels;
}

/* The sample of these labels, which is added if there is none. Takes the labels over. NULL: no memory. */
static struct sample *sample_of(char *labels)
{
    struct sample *larger;
    size_t i;

    for (i = 0; labels != NULL && i < records.count; i++) {
        if (strcmp(records.samples[i].labels, labels) == 0) {
            free(labels);
            return &records.samples[i];
        }
    }
    larger = labels != NULL ? realloc(records.samples, (records.count + 1) * sizeof *larger) : NULL;
    if (larger == NULL) {
        free(labels);
        return NULL;
    }
    records.samples = larger;
    memset(&larger[records.count], 0, sizeof *larger);
    larger[records.count].labels = labels;
    return &larger[records.count++];
}

void records_summary(const struct view *view, const struct summary *summary)
{
    struct sample *sample;

    if (view->options->metrics == NULL || view->options->bucket == NULL) /* a sum of several has no labels */
        return;
    sample = sample_of(labels_of(view->options));
    if (sample == NULL)
        return;
    sample->aborted = view->finding ? 0 : (double)summary->aborted;
    sample->found = view->finding ? (double)summary->aborted : 0;
    sample->missing = (double)summary->missing;
    sample->failed = (double)summary->failed;
    sample->kept = (double)summary->kept;
    sample->unknown_age = (double)summary->unknown_age;
    sample->active = (double)summary->active;
    sample->younger = (double)summary->younger;
    sample->other = sample->kept - sample->active - sample->younger - sample->unknown_age;
    sample->freed_bytes = view->finding ? 0 : (double)summary->bytes;
    sample->found_bytes = view->finding ? (double)summary->bytes : 0;
    sample->throttled = (double)summary->throttled;
    sample->complete = summary->complete;
    sample->exit_status = summary->status;
    sample->seconds = (double)(monotonic_ms() - view->started_ms) / 1000;
}

/* A run that failed before it came to its buckets has failed for all that the file knows of, which keep their last
   success. */
static void add_earlier_samples(const char *path, int status)
{
    size_t name = sizeof LAST_SUCCESS - 1;
    struct lines lines;
    char *line;

    lines_open(&lines, path);
    while (lines.file != NULL && (line = lines_next(&lines)) != NULL) {
        char *end = strncmp(line, LAST_SUCCESS "{", name + 1) == 0 ? strrchr(line, '}') : NULL;
        struct sample *sample;

        if (end == NULL)
            continue;
        *end = '\0';
        sample = sample_of(strdup(line + name + 1));
        if (sample != NULL)
            sample->exit_status = status;
    }
    lines_close(&lines);
}

/* What the file says that is about to be replaced. 0: nothing. */
static double earlier_success(const char *path, const char *labels)
{
    size_t name = sizeof LAST_SUCCESS - 1, length = strlen(labels);
    struct lines lines;
    char *line;
    double when = 0;

    lines_open(&lines, path);
    while (lines.file != NULL && (line = lines_next(&lines)) != NULL)
        if (strncmp(line, LAST_SUCCESS "{", name + 1) == 0 && strncmp(line + name + 1, labels, length) == 0 &&
            strncmp(line + name + 1 + length, "} ", 2) == 0)
            when = strtod(line + name + length + 3, NULL);
    lines_close(&lines);
    return when;
}

static void put_metrics(FILE *out)
{
    size_t i, j;

    for (i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        const struct metric *metric = &metrics[i];

        if (metric->help != NULL)
            fprintf(out, "# HELP %s %s\n# TYPE %s gauge\n", metric->name, metric->help, metric->name);
        for (j = 0; j < records.count; j++) {
            double value = *(const double *)(const void *)((const char *)&records.samples[j] + metric->offset);

            fprintf(out, "%s{%s%s%s} %.*f\n", metric->name, records.samples[j].labels, metric->label != NULL ? "," : "",
                    metric->label != NULL ? metric->label : "", metric->offset == offsetof(struct sample, seconds) ? 3 : 0,
                    value);
        }
    }
}

/* A name beside the file, as a rename must not leave its folder. */
static char *temporary_name(const char *path)
{
    size_t size = strlen(path) + 32;
    char *name = malloc(size);

    if (name != NULL)
        snprintf(name, size, "%s.%lu.tmp", path, process_id());
    return name;
}

/* Why the file may not be replaced, or NULL. A rename takes the place of anything: of a device, too, if root asks. */
static const char *irreplaceable(const struct options *options)
{
    if (!is_replaceable(options->metrics))
        return "not a regular file, in whose place figures could be put";
    if (options->log != NULL && is_same_file(options->log, options->metrics))
        return "it is the file of --log";
    return NULL;
}

/* A reader sees the file of before or the whole new one. */
static bool replace_metrics(const char *path)
{
    char *temporary = temporary_name(path);
    FILE *file = temporary != NULL ? create_public_file(temporary) : NULL;
    bool good = file != NULL;

    if (good) {
        put_metrics(file);
        good = write_through(file);
        good = fclose(file) == 0 && good && rename_over(temporary, path);
    }
    if (!good) {
        complain("--metrics %s: %s", path, strerror(errno));
        if (file != NULL)
            remove_file(temporary);
    }
    free(temporary);
    return good;
}

static bool write_metrics(const struct options *options, int status)
{
    double now = (double)time(NULL);
    const char *wrong = irreplaceable(options);
    bool begun = records.count > 0;
    size_t i;

    if (wrong != NULL) {
        complain("--metrics %s: %s", options->metrics, wrong);
        return false;
    }

    if (!begun) {
        struct sample *sample = sample_of(labels_of(options));

        if (sample != NULL)
            sample->seconds = (double)(monotonic_ms() - records.started_ms) / 1000;
    }
    if (records.count == 1 && (!begun || !options->several))
        records.samples[0].exit_status = status;
    if (!begun && options->bucket == NULL)
        add_earlier_samples(options->metrics, status);
    for (i = 0; i < records.count; i++) {
        struct sample *sample = &records.samples[i];

        sample->last_run = now;
        sample->last_success = sample->exit_status == 0 ? now : earlier_success(options->metrics, sample->labels);
    }
    return replace_metrics(options->metrics);
}

/* ---- both ---- */

/* A folder that is not there is found before anything is aborted, not after it. */
static bool try_metrics(const struct options *options, struct failure *failure)
{
    const char *wrong = irreplaceable(options);
    char *temporary = wrong == NULL ? temporary_name(options->metrics) : NULL;
    FILE *file = temporary != NULL ? create_public_file(temporary) : NULL;

    if (file != NULL) {
        fclose(file);
        remove_file(temporary);
    } else {
        fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_INVALID_CONFIG, "--metrics %s: %s", options->metrics,
             wrong != NULL ? wrong : strerror(errno));
        records.metrics_refused = true; /* told */
    }
    free(temporary);
    return file != NULL;
}

bool records_open(const struct options *options, struct failure *failure)
{
    records.started_ms = monotonic_ms();
    /* The log first: then it is there to be told from the file of the metrics. */
    return (options->log == NULL || open_log(options, failure)) &&
           (options->metrics == NULL || try_metrics(options, failure));
}

int records_close(const struct options *options, int status)
{
    bool good = true;

    if (records.log != NULL)
        good = fclose(records.log) == 0 && !records.log_failed;
    if (!good && status == STATUS_GONE)
        status = STATUS_SOME_LEFT;
    if (options->metrics != NULL && strcmp(options->metrics, "-") != 0 && !records.metrics_refused &&
        !write_metrics(options, status) && status == STATUS_GONE)
        status = STATUS_SOME_LEFT;
    while (records.count > 0)
        free(records.samples[--records.count].labels);
    free(records.samples);
    return status;
}

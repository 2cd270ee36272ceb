/* What the files of obs-abort share. */
#ifndef OBS_ABORT_TOOL_H
#define OBS_ABORT_TOOL_H

#include <obsabort.h>

#include "system.h"

enum exit_status {
    STATUS_GONE = 0,            /* everything asked for is gone */
    STATUS_SOME_LEFT = 1,       /* something is not, or could not be shown */
    STATUS_USAGE = 2,
    STATUS_COULD_NOT_START = 3, /* configuration, credentials, endpoint: nothing was aborted */
    STATUS_SIGNALLED = 128      /* plus the signal's number */
};

/* Why nothing was begun: an exit status, the library's code nearest to it, and words. */
struct failure {
    int status;
    int32_t code;
    char message[1024];
};

/* ---- patterns.c: globs of an option that may be repeated ---- */

struct pattern {
    const char *text;
    struct glob *glob;
    bool matched; /* it matched something that was looked at */
};

struct patterns {
    struct pattern *items;
    size_t count;
};

/* Returns what is wrong with the glob, or NULL. */
const char *patterns_add(struct patterns *patterns, const char *text);
/* Whether any of them matches; notes which do. */
bool patterns_match(const struct patterns *patterns, const char *text);
void patterns_free(struct patterns *patterns);

/* ---- options.c: the command line ---- */

enum mode { MODE_ONE, MODE_LIST, MODE_STALE, MODE_FROM };

/* obs://BUCKET, with what comes after the next slash, or NULL. */
struct target {
    char *bucket;
    const char *rest;
    char *location; /* its region, if the account's list says; or NULL */
};

struct options {
    enum mode mode;
    struct target *targets;
    size_t target_count;
    bool several;       /* a run for each target */
    const char *bucket; /* of this run */
    const char *key, *upload_id;
    const char *from, *prefix, *stale;
    uint64_t age; /* what stale says, in seconds */
    struct patterns match, not, bucket_match;
    const char *larger;
    uint64_t larger_bytes; /* what it says */
    bool all_buckets;
    const char *idle;
    uint64_t idle_seconds; /* what idle says, or as long as the age; 0: what parts there are does not matter */
    bool list, dry_run, yes, include_live;
    bool sizes;
    uint32_t totals; /* slashes, plus one; 0: no sums */
    double price;    /* of a GiB for a month; 0: not known */
    bool again; /* another client of the same run: nothing is told anew */

    const char *endpoint, *region, *credentials, *profile;
    const char *ca_file, *client_cert, *client_key, *proxy;
    int32_t addressing, signature;
    uint32_t timeout_ms, connect_timeout_ms, max_attempts, connections; /* 0: the library's default */
    bool confirm, request_payer;

    bool json, quiet, help, version;
    const char *log, *metrics; /* paths */
    int32_t only_failed;
    uint32_t verbose;
};

/* -1 to go on, or the exit status: --help and --version were printed, or the usage is wrong. */
int options_parse(struct options *options, int argc, char **argv);
void options_free(struct options *options);

/* Whether the question is asked. */
bool options_ask(const struct options *options);
/* Whether the parts of what is found are listed. */
bool options_measure(const struct options *options);
/* Whether --match and --not leave it in. */
bool key_is_chosen(const struct options *options, const char *key);

/* ---- help.c ---- */

/* A screen that names every option, or a line for each. */
void help_print(bool line_for_each);

/* ---- client.c: options to a client ---- */

/* NULL on failure. *endpoint becomes a copy of the endpoint, to be freed; or NULL. */
obs_abort_client *client_open(const struct options *options, char **endpoint, struct failure *failure);

/* ---- lines.c: text files ---- */

struct lines {
    FILE *file;
    const char *name; /* for messages */
    char *line;
    size_t size, number;
    int error;         /* errno: it can't be opened or read */
    const char *wrong; /* with the line of this number; set by the reader of its content, too */
    bool crlf;         /* some line ended so */
    bool unended;      /* the last line has no line end */
};

/* Returns false if it can't be opened. */
bool lines_open(struct lines *lines, const char *path);
void lines_open_stdin(struct lines *lines);
/* The next line without its end, overwritten by the next call; NULL at the end, or if that can't be had. */
char *lines_next(struct lines *lines);
/* Returns whether all was read and nothing was wrong; fills in the failure otherwise. `status`: if a line is wrong. */
bool lines_complete(const struct lines *lines, int status, int32_t code, struct failure *failure);
/* Wipes what was read. */
void lines_close(struct lines *lines);

/* ---- totals.c: sums ---- */

/* What a listing, and the list of an upload's parts, say about it. */
struct measure {
    int64_t initiated; /* Unix seconds; -1: not known */
    bool sized;        /* false: what follows is not known */
    uint64_t parts, bytes;
    int64_t last_part; /* Unix seconds; -1: there is none, or it is not known */
};

struct amount {
    uint64_t uploads, sized /* of them */, parts, bytes /* of these */;
    int64_t oldest; /* -1: not known */
};

struct total {
    struct amount amount;
    char prefix[]; /* ends in a slash, or is empty */
};

#define TOTALS_MOST 1000

struct totals {
    uint32_t depth;
    struct amount all, other; /* other: of the prefixes that came when there were as many as allowed */
    struct total *rows[TOTALS_MOST]; /* in the order of their prefixes */
    size_t count;
};

void amount_add(struct amount *amount, const struct measure *measure);
/* A prefix ends at the slash of this number, or at a key's last one. */
void totals_open(struct totals *totals, uint32_t depth);
void totals_add(struct totals *totals, const char *key, const struct measure *measure);
void totals_free(struct totals *totals);
/* 38.8 GiB */
void format_bytes(char *buffer, size_t size, uint64_t bytes);
/* Whether a size says something about it: there is none, or of some the size is known. */
bool amount_is_known(const struct amount *amount);
double cost_of(uint64_t bytes, double price);
/* 0.93, or: less than 0.01, or - if it is not known. */
void format_cost(char *buffer, size_t size, const struct amount *amount, double price);
/* The size, and of how many it is not known. */
void format_amount(char *buffer, size_t size, const struct amount *amount);

/* ---- upload_set.c ---- */

/* Zeroed, it is empty. */
struct upload_set {
    uint64_t *hashes; /* room of them, a power of two; 0: free */
    size_t count, room;
    uint64_t seed[2];
};

/* Returns false if there is no memory. */
bool upload_set_add(struct upload_set *set, const char *key, const char *upload_id);
/* Returns whether it was there. */
bool upload_set_remove(struct upload_set *set, const char *key, const char *upload_id);
bool upload_set_has(const struct upload_set *set, const char *key, const char *upload_id);
void upload_set_free(struct upload_set *set);

/* ---- input.c: a list of uploads ---- */

struct upload_facts {
    int64_t initiated; /* Unix seconds; -1: not known */
    int32_t code;      /* of its abort; CANCELLED until there is one */
    bool listed;       /* by the sweep after the question */
    struct measure measure;
};

struct upload_list {
    obs_abort_upload *uploads;
    struct upload_facts *facts;      /* of each */
    const obs_abort_upload **sorted; /* after upload_list_sort */
    size_t count, room;
    size_t left_out; /* of what was read, by --match and --not */
    /* Of --from, as list_file.c reads it: */
    size_t total;             /* uploads, those after this batch included */
    struct upload_set listed; /* those of --stale, all; with --only, those that are still to come */
    struct upload_set kept;   /* those of which the last line says that they were kept; they count, and are not meant */
    char *prefix;             /* what all keys begin with; of --stale */
    FILE *rest;               /* those after this batch; NULL: there are none */
    bool checked;             /* only those of `rest` that are in `listed` are meant */
};

/* Copies the strings. Returns false if there is no memory. */
bool upload_list_add(struct upload_list *list, const char *key, const char *upload_id, int64_t initiated);
/* Makes upload_list_find possible. Returns false if there is no memory. */
bool upload_list_sort(struct upload_list *list);
/* Returns its facts, or NULL. */
struct upload_facts *upload_list_find(const struct upload_list *list, const char *key, const char *upload_id);
void upload_list_free(struct upload_list *list);

/* ---- list_file.c: the file of --from ---- */

/* Reads all of it, and keeps the first batch; of --stale, the set alone. Returns false on failure. */
bool upload_list_read(struct upload_list *list, const struct options *options, struct failure *failure);
/* Puts the next batch in the place of this one. Returns false if there is none; `failed`: it could not be read. */
bool upload_list_next(struct upload_list *list, bool *failed);

/* ---- json_line.c ---- */

/* Members of an object, or NULL; they point into its text. */
struct json_line {
    char *type, *result, *bucket, *key, *upload_id, *initiated, *code_name, *attempts;
};

/* Takes the text apart in place. Returns false if it is no object. */
bool json_line_parse(struct json_line *line, char *text);

/* ---- glob.c: patterns ---- */

struct glob;

/* NULL on failure, and *wrong is why. A glob is for the whole of a text. */
struct glob *glob_new(const char *pattern, const char **wrong);
bool glob_matches(const struct glob *glob, const char *text);
void glob_free(struct glob *glob);

/* ---- text.c: strings and times ---- */

/* Length of the UTF-8 sequence that text starts with, or 0 if there is none. */
size_t decode_utf8(const unsigned char *text, uint32_t *code_point);
/* Writes at most four bytes, and returns how many. */
size_t encode_utf8(char *out, uint32_t code_point);
/* Bare if that is safe on a terminal and unambiguous in a line of columns, in double quotes
   with backslash escapes otherwise. Returns how many columns of a terminal it takes; with NULL for `out`, nothing else. */
size_t put_text(FILE *out, const char *text);
/* As it stands, but for what a terminal would obey and what turns the direction of writing. */
void put_message(FILE *out, const char *text);
/* Whether white space or something that nobody sees comes first or last. */
bool has_blank_edge(const char *text);
/* Undoes put_text in place; false if the text is not well formed. */
bool unquote(char *text);
void put_json_string(FILE *out, const char *text /* NULL: null */);
/* What format_time writes. -1: it is NULL, or something else. */
int64_t parse_time(const char *text);
void format_time(char *buffer, size_t size, int64_t unix_seconds);
void format_age(char *buffer, size_t size, int64_t seconds);
/* In whole units and in words: 3 minutes. */
void format_span(char *buffer, size_t size, uint64_t seconds);
bool parse_age(const char *text, uint64_t *seconds);
/* What to write instead of an age that parse_age refuses. */
const char *age_hint(const char *text);
/* A number and a unit, which is a power of 1024: 1G is 1GiB. */
bool parse_size(const char *text, uint64_t *bytes);
bool parse_depth(const char *text, uint32_t *slashes);
bool parse_price(const char *text, double *price);
bool parse_milliseconds(const char *text, uint32_t *ms);
bool parse_count(const char *text, uint32_t *count);

/* ---- table.c: aligned columns on a terminal ---- */

#define TABLE_COLUMNS 8
#define TABLE_HELD 64

struct table_column {
    const char *title;
    bool right;    /* aligned to the right */
    bool verbatim; /* ASCII that needs no quotes */
};

struct table {
    FILE *out;
    struct table_column columns[TABLE_COLUMNS];
    size_t count;
    size_t fold;   /* so many of the last columns may stand on lines of their own, on a narrow terminal */
    size_t folded; /* and so many do */
    bool bold, settled;
    size_t widths[TABLE_COLUMNS];
    size_t terminal; /* its width */
    char **rows[TABLE_HELD];
    size_t held;
    int64_t held_since_ms;
};

void table_open(struct table *table, FILE *out, const struct table_column *columns, size_t count);
/* Copies the cells, if it holds them back. */
void table_row(struct table *table, const char *const *cells);
/* Writes what is held back; to be called at the end. */
void table_flush(struct table *table);
/* On standard error, on a terminal broken between words. Colours take no columns. Returns the column that it ends in. */
size_t put_wrapped(const char *text);

/* ---- view.c: what the user sees ---- */

#define SHOWN_FIRST 5 /* of what is aborted, on a terminal */

struct view {
    const struct options *options;
    struct upload_list *list; /* what is aborted, if it is known from the start; NULL: a listing finds it */
    bool finding;       /* a list or a dry run: uploads are shown, not aborted */
    bool each;          /* a line on standard output for each upload */
    bool json;          /* an object on standard output for each upload */
    bool colour;        /* on standard error */
    bool output_failed; /* standard output can't be written: stop */
    uint64_t unknown_age; /* found */
    int64_t started_ms;
    bool measures;
    struct totals totals; /* of what was shown, or aborted */
    struct table table;   /* on a terminal */
    uint64_t shown;       /* aborted, and named on a terminal */
};

/* How it ended. */
struct summary {
    int32_t code;
    const char *error;
    int status;
    bool begun; /* false: the verb was not called, and there is nothing to count */
    uint64_t aborted, missing, failed, kept; /* in a dry run, aborted: would be aborted */
    uint64_t younger, active, unknown_age;   /* of the kept; what remains was not begun, or not counted by the question */
    uint64_t left_out;                       /* of the kept: by --match and --not, if that is known */
    uint64_t smaller, unsized;               /* of the kept, by --larger: unsized if no size is known */
    bool measured;
    uint64_t bytes, unmeasured;              /* of the aborted: their size, and how many of them are of unknown size */
    uint64_t throttled;                      /* responses that ask to slow down */
    bool sum;                                /* of several buckets */
    uint64_t buckets, incomplete;            /* of a sum: how many, and of how many complete is false */
    bool unreadable;                         /* some are kept whose parts could not be read */
    bool complete;                           /* it was looked at to the end; set by view_summary */
    char note[512];                          /* what the counts alone would not tell; or empty */
    bool note_matters;                       /* with --quiet, too */
};

/* Whether there may be a progress bar. */
bool bar_possible(const struct options *options);
void view_open(struct view *view, const struct options *options, bool finding, struct upload_list *list);
void view_outcome(struct view *view, const obs_abort_outcome *outcome);
/* Shows what has been held back for long; while nothing else happens. */
void view_idle(struct view *view);
/* For those who write to standard output: stops the run if that fails. */
void view_check_output(struct view *view);
/* The bucket of the line, if there are several. */
void view_put_bucket(const struct view *view, FILE *out, char after);
void view_flush_table(struct view *view);
struct measure measure_of(const obs_abort_outcome *outcome, bool measures);
/* A failure that the report tells at the end. */
void view_failure(struct view *view, const obs_abort_outcome *outcome);
/* An upload that was found before, and that no listing shows any more. */
void view_unlisted(struct view *view, const char *key, const char *upload_id, int64_t initiated);
/* In the records alone. */
void view_record(const struct view *view, const struct summary *summary);

/* Of syslog, as the journal takes them. */
enum { PRIORITY_ERROR = 3, PRIORITY_WARNING = 4, PRIORITY_INFO = 6, PRIORITY_DEBUG = 7 };

#define RED "31"
#define GREEN "32"
#define YELLOW "33"

/* The journal takes a line's priority from its start. */
void put_priority(int priority);
/* Adds a sentence. */
void add_note(struct summary *summary, bool matters, const char *format, ...);
/* The globs that nothing matched. */
void note_unmatched(const struct options *options, struct summary *summary);
void note_unmatched_buckets(const struct options *options, struct summary *summary);
void fail(struct failure *failure, int status, int32_t code, const char *format, ...);
/* A line on standard error that does not collide with the progress bar. */
void complain(const char *format, ...);
/* The same, of what is no failure. */
void remark(const char *format, ...);
/* What --verbose shows. */
int32_t log_level(const struct options *options);
/* Writes a line of the library's log, if it is wanted. */
void show_log_line(const struct options *options, int32_t level, const char *message);

/* ---- summary.c ---- */

void view_summary(struct view *view, struct summary *summary);

/* ---- view_totals.c ---- */

/* Shows the sums, and frees them. */
void view_totals(struct view *view);

/* ---- uploads_table.c ---- */

void uploads_table_open(struct table *table, FILE *out, const struct options *options);
void uploads_table_row(struct table *table, const struct options *options, const char *upload_key,
                       const char *upload_id, const struct measure *measure);
/* The uploads that the question is about, on standard error. */
void view_list(const struct options *options, const struct upload_list *list);

/* ---- notices.c: what only the library's log tells ---- */

/* A line of the library's log about an upload: upload "ID" of "KEY": TEXT. */
struct upload_line {
    char *upload_id; /* to be freed, with the key */
    char *key;
    const char *text; /* of the line */
};

/* Keys and ids are quoted there with escapes, so that a key may have any words in it. False: it is another line, or there
   is no memory. */
bool read_upload_line(const char *message, struct upload_line *line);

/* A callback for the library's log; `userdata` are the options. Takes note of what matters, and shows the line. */
void log_line(int32_t level, const char *message, void *userdata);
/* Whether its parts could not be read. To be asked once, when its outcome comes. */
bool notices_unsized(const obs_abort_outcome *outcome);
/* How many uploads were kept as active because their parts could not be read, and why the first that could not be. */
uint64_t notices_kept(char *why, size_t size);
void notices_forget(void);

/* ---- json.c: members of an object after its first ---- */

void put_json_field(FILE *out, const char *name, const char *value);
void put_json_count(FILE *out, const char *name, uint64_t count);
void put_json_bool(FILE *out, const char *name, bool value);
void put_json_code(FILE *out, int32_t code);
void put_json_time(FILE *out, const char *name, int64_t unix_seconds);
/* Null if it is not known. */
void put_json_size(FILE *out, const char *name, bool known, uint64_t size);
/* The same for the cost of this size, if there is a price. */
void put_json_cost(FILE *out, bool known, uint64_t size, double price);

/* ---- records.c: --log and --metrics ---- */

/* Before anything is sent. Returns false on failure. */
bool records_open(const struct options *options, struct failure *failure);
/* Where an object of the log is to be written, and that it was; NULL: there is none. */
FILE *records_line(void);
void records_line_end(void);
/* Whether the log could not be written: stop. */
bool records_failed(void);
/* Takes an upload that was kept as active from a line of the library's log. */
void records_kept(const char *bucket, const char *message);
/* Keeps the figures of a bucket for the metrics. */
void records_summary(const struct view *view, const struct summary *summary);
/* Writes the metrics. Returns the exit status, which may be worse now. */
int records_close(const struct options *options, int status);

/* ---- progress.c: the bar ---- */

bool colours_wanted(FILE *stream);
void progress_start(const char *what, bool finding, uint64_t expected /* 0: not known */);
/* How many there are became known. */
void progress_expect(uint64_t expected);
void progress_update(uint64_t done, uint64_t total_so_far, uint64_t failed);
/* The service asks to slow down: the bar says so for a while. */
void progress_throttled(void);
/* Takes the bar off the screen until the next update. */
void progress_clear(void);
void progress_stop(void);

/* ---- question.c: the question of --stale ---- */

/* What the dry run before the question found. */
struct preview {
    struct upload_list list;
    int64_t cutoff;         /* all were begun before it, in Unix seconds; -1: age does not matter */
    int64_t oldest, newest; /* Unix seconds; -1: not known */
    size_t oldest_at, newest_at; /* in the list */
    struct totals totals;   /* by the first slash */
    uint64_t unknown_age;   /* in the list, if age does not matter; kept otherwise */
    uint64_t active;        /* kept */
};

enum answer { ANSWER_NO, ANSWER_YES, ANSWER_LIST };

/* Shows what was found, and returns whether the answer is yes. */
bool confirmed(const struct options *options, const struct preview *preview);
/* The question alone. */
enum answer ask_to_abort(void);
/* 52 uploads begun before 2026-11-24T04:00Z (24 hours ago), 38.8 GiB */
void describe_found(char *buffer, size_t size, const struct options *options, int64_t cutoff, const struct amount *amount);

/* ---- obs-abort.c: the run on one bucket ---- */

struct run;

/* NULL: no memory. */
struct run *run_new(const struct options *options, const obs_abort_client *client, obs_abort_call *call);
/* All of it. `list`: of --from, or of one upload. Returns the exit status. */
int run_mode(struct run *run, struct upload_list *list);
/* The dry run before the question. Returns -1 if there is something to ask about, or the exit status. */
int run_preview(struct run *run, uint32_t flags);
/* Exactly the uploads that the question counted. */
int run_counted(struct run *run, uint32_t flags);
/* Shows that it ends so, without a further request. */
void run_end(struct run *run, const struct summary *summary);
const struct preview *run_found(const struct run *run);
const struct summary *run_summary(const struct run *run);
bool run_output_failed(const struct run *run);
void run_free(struct run *run);

/* Before it is run. */
void run_set_client(struct run *run, const obs_abort_client *client);
bool is_start_failure(int32_t code);

/* ---- account.c ---- */

struct account {
    const struct options *options;
    const obs_abort_client *client; /* for `endpoint` */
    const char *endpoint;
    obs_abort_call *call;
    struct target *targets; /* the buckets that are chosen */
    size_t count;
    uint64_t seen; /* buckets */
    struct elsewhere {
        char *endpoint;
        obs_abort_client *client;
    } *others;
    size_t other_count;
};

/* Returns false on failure. account_close is called in either case. */
bool account_list(struct account *account, struct failure *failure);
/* The client for the bucket's region; NULL on failure. */
const obs_abort_client *account_client(struct account *account, const struct target *target, struct failure *failure);
void account_close(struct account *account);

/* ---- buckets.c ---- */

/* A run for each bucket that is named or chosen. Returns the exit status. */
int run_buckets(struct account *account);

#endif

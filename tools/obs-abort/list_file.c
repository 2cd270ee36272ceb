/* The file of --from: lines KEY<tab>UPLOAD_ID, or the JSON that this program writes. However long it is, no more of it is
   in memory than a batch; the rest waits in a temporary file, as nothing may be aborted before all of it has been read. */
#define _POSIX_C_SOURCE 200809L
#include "obs-abort.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 2048 /* uploads in memory */

static const char malformed[] = "not a key, one tab and an upload id (a key with a tab, a line break or a leading quote "
                                "stands in quotes, as \"a\\tb\")";

/* What is being read. */
struct reader {
    struct upload_list *list;
    const struct options *options;
    size_t columns;                      /* of the last line of text; 0: it was JSON */
    uint64_t elsewhere, unnamed, broken; /* lines passed over: of other buckets, of keys that C can't hold, no JSON */
};

/* ---- entries ---- */

/* In the temporary file: both lengths and the time, then the two strings. */
static bool put_aside(struct upload_list *list, const char *key, const char *upload_id, int64_t initiated)
{
    size_t sizes[2] = {strlen(key) + 1, strlen(upload_id) + 1};

    if (list->rest == NULL)
        list->rest = temporary_file();
    return list->rest != NULL && fwrite(sizes, sizeof sizes, 1, list->rest) == 1 &&
           fwrite(&initiated, sizeof initiated, 1, list->rest) == 1 && fwrite(key, sizes[0], 1, list->rest) == 1 &&
           fwrite(upload_id, sizes[1], 1, list->rest) == 1;
}

/* Reads an entry back into *text, the id behind the key. Returns false at the end; `failed`: not at the end. */
static bool take_back(struct upload_list *list, char **text, size_t *room, const char **upload_id, int64_t *initiated,
                      bool *failed)
{
    size_t sizes[2];

    *failed = false;
    if (fread(sizes, sizeof sizes, 1, list->rest) != 1) {
        *failed = ferror(list->rest);
        return false;
    }
    if (sizes[0] + sizes[1] > *room) {
        char *larger = realloc(*text, sizes[0] + sizes[1]);

        *failed = larger == NULL;
        if (*failed)
            return false;
        *text = larger;
        *room = sizes[0] + sizes[1];
    }
    *failed = fread(initiated, sizeof *initiated, 1, list->rest) != 1 ||
              fread(*text, sizes[0] + sizes[1], 1, list->rest) != 1;
    *upload_id = *text + sizes[0];
    return !*failed;
}

/* A prefix of a key must not end within a character. */
static void cut_prefix(char *prefix, size_t length)
{
    while (length > 0 && ((unsigned char)prefix[length] & 0xc0) == 0x80)
        length--;
    prefix[length] = '\0';
}

#define LONGEST_PREFIX 1024 /* that the library takes */

/* What all keys begin with: no more needs to be listed. */
static bool narrow_prefix(struct upload_list *list, const char *key)
{
    size_t length = 0;

    if (list->prefix == NULL) {
        list->prefix = strdup(key);
        if (list->prefix != NULL && strlen(key) > LONGEST_PREFIX)
            cut_prefix(list->prefix, LONGEST_PREFIX);
        return list->prefix != NULL;
    }
    while (key[length] != '\0' && key[length] == list->prefix[length])
        length++;
    cut_prefix(list->prefix, length);
    return true;
}

/* Returns what went wrong, or NULL. */
static const char *take_upload(struct reader *reader, const char *key, const char *upload_id, int64_t initiated)
{
    static const char no_memory[] = "out of memory", no_disk[] = "no room in a temporary file for the rest of the list";
    struct upload_list *list = reader->list;
    bool only = reader->options->only_failed, looked_up = reader->options->stale != NULL;

    if (!key_is_chosen(reader->options, key)) {
        list->left_out++;
        return NULL;
    }
    if (only && upload_set_has(&list->listed, key, upload_id))
        return NULL;
    if ((only || looked_up) && !upload_set_add(&list->listed, key, upload_id))
        return no_memory;
    if (looked_up)
        return narrow_prefix(list, key) ? NULL : no_memory;
    list->total++;
    if (list->count < BATCH && list->rest == NULL)
        return upload_list_add(list, key, upload_id, initiated) ? NULL : no_memory;
    return put_aside(list, key, upload_id, initiated) ? NULL : no_disk;
}

/* ---- lines of text ---- */

/* The time column of --list: a digit or a dash is enough to tell it from the end of a key. */
static bool looks_like_time(const char *text)
{
    return strcmp(text, "-") == 0 || (strlen(text) == 20 && text[4] == '-' && text[10] == 'T' && text[19] == 'Z');
}

/* Undoes the quotes of a key or an upload id, in place. Returns what is wrong with it, or NULL. */
static const char *take_column(char *column)
{
    if (*column != '"' && has_blank_edge(column))
        return "white space or an invisible character before or after the key or the upload id (copied along?); "
               "if it is part of the key, the key stands in quotes";
    return unquote(column) ? NULL : malformed;
}

/* Splits a line in place. What --list prints is accepted with its further columns, two or five, so that
   it may be filtered and fed back; any other number of tabs might be a key with a tab in it. */
static const char *split(char *line, size_t *count, char **upload_id)
{
    char *columns[7];
    const char *wrong;
    char *rest = line;

    for (*count = 0; rest != NULL; ++*count) {
        if (*count == 7)
            return malformed;
        columns[*count] = rest;
        rest = strchr(rest, '\t');
        if (rest != NULL)
            *rest++ = '\0';
    }
    if (*count != 2 && !((*count == 4 || *count == 7) && looks_like_time(columns[2])))
        return malformed;
    *upload_id = columns[1];
    wrong = take_column(columns[0]);
    return wrong != NULL ? wrong : take_column(columns[1]);
}

/* Returns what is wrong with the line, or NULL. */
static const char *take_text(struct reader *reader, char *line, bool unended)
{
    char *upload_id;
    size_t before = reader->columns;
    const char *wrong;

    if (reader->options->only_failed)
        return "it does not say what became of an upload: --only failed is for what --json and --log write";
    wrong = split(line, &reader->columns, &upload_id);
    /* An upload id that was cut would be one that does not exist, and count as gone. */
    if (unended && before > 2 && reader->columns < before)
        return "cut off: neither the columns of the line before nor a line end";
    return wrong != NULL ? wrong : take_upload(reader, line, upload_id, -1);
}

/* ---- lines of JSON ---- */

/* Whether the library never tried it: it is shown under another name than its own, since no C string holds that. */
static bool is_unnamed(const struct json_line *json)
{
    return json->attempts != NULL && strcmp(json->attempts, "0") == 0 && json->code_name != NULL &&
           (strcmp(json->code_name, "invalid_argument") == 0 || strcmp(json->code_name, "protocol") == 0);
}

/* --log has what a list or a dry run kept, too, since it may still be written to. Returns what went wrong, or NULL. */
static const char *take_kept(struct reader *reader, const struct json_line *json)
{
    struct upload_list *list = reader->list;

    if (reader->options->stale != NULL)
        upload_set_remove(&list->listed, json->key, json->upload_id);
    else if (!upload_set_add(&list->kept, json->key, json->upload_id))
        return "out of memory";
    return NULL;
}

/* Returns what is wrong with the line, or NULL. */
static const char *take_json(struct reader *reader, char *line)
{
    bool only = reader->options->only_failed, failed, found;
    struct json_line json;

    reader->columns = 0;
    if (!json_line_parse(&json, line) || json.type == NULL) {
        reader->broken++;
        /* A program that was killed leaves half a line in its record, and what follows it there is whole. */
        return only ? NULL : "neither a key and an upload id nor an object that --json writes";
    }
    if (strcmp(json.type, "upload") != 0)
        return NULL;
    if (json.result == NULL || json.bucket == NULL || json.key == NULL || json.upload_id == NULL)
        return "an upload without result, bucket, key or upload id";
    if (strcmp(json.bucket, reader->options->bucket) != 0) {
        reader->elsewhere++;
        return NULL;
    }
    failed = strcmp(json.result, "failed") == 0;
    found = strcmp(json.result, "found") == 0 || strcmp(json.result, "would_abort") == 0;
    if (failed && is_unnamed(&json)) {
        reader->unnamed++;
        return NULL;
    }
    /* The last line of an upload counts. */
    if (only && !failed)
        upload_set_remove(&reader->list->listed, json.key, json.upload_id);
    if (only && !failed)
        return NULL;
    if (!only && strcmp(json.result, "kept") == 0)
        return take_kept(reader, &json);
    if (!only && !found)
        return "a record of what was done: --only failed takes what has failed";
    upload_set_remove(&reader->list->kept, json.key, json.upload_id);
    return take_upload(reader, json.key, json.upload_id, parse_time(json.initiated));
}

/* A key may begin with a brace, too. In JSON there is no tab. */
static bool is_json(const char *line)
{
    return *line == '{' && strchr(line, '\t') == NULL;
}

/* ---- the file ---- */

static void tell_oddities(const struct reader *reader, const struct lines *lines)
{
    if (reader->unnamed > 0)
        remark("%s: left out, as their keys can't be named: %llu", lines->name,
               (unsigned long long)reader->unnamed);
    if (reader->options->quiet)
        return;
    if (lines->crlf)
        remark("%s: lines end in CR LF, as on Windows; the CR is no part of an upload id", lines->name);
    if (lines->unended && reader->columns == 2)
        remark("%s: the last line has no end; if the list was cut off, so was its last upload id", lines->name);
    if (reader->elsewhere > 0)
        remark("%s: passed over, as of other buckets than obs://%s: %llu", lines->name, reader->options->bucket,
               (unsigned long long)reader->elsewhere);
    if (reader->broken > 0)
        remark("%s: lines passed over, as cut off: %llu", lines->name, (unsigned long long)reader->broken);
}

/* Whether no later line has superseded it. Takes it off the list, so that it is meant once. */
static bool take_meant(struct upload_list *list, const char *key, const char *upload_id)
{
    return !upload_set_has(&list->kept, key, upload_id) &&
           (!list->checked || upload_set_remove(&list->listed, key, upload_id));
}

/* What is in memory already, and was superseded by a later line. */
static void drop_superseded(struct upload_list *list)
{
    size_t i, kept = 0;

    for (i = 0; i < list->count; i++) {
        if (!take_meant(list, list->uploads[i].key, list->uploads[i].upload_id)) {
            free((char *)list->uploads[i].key);
            continue;
        }
        list->uploads[kept] = list->uploads[i];
        list->facts[kept++] = list->facts[i];
    }
    list->count = kept;
}

bool upload_list_read(struct upload_list *list, const struct options *options, struct failure *failure)
{
    struct reader reader = {.list = list, .options = options};
    struct lines lines;
    char *line;
    bool complete;

    if (strcmp(options->from, "-") == 0)
        lines_open_stdin(&lines);
    else
        lines_open(&lines, options->from);
    while (lines.file != NULL && lines.wrong == NULL && (line = lines_next(&lines)) != NULL)
        if (*line != '\0')
            lines.wrong = is_json(line) ? take_json(&reader, line) : take_text(&reader, line, lines.unended);
    complete = lines_complete(&lines, STATUS_USAGE, OBS_ABORT_INVALID_ARGUMENT, failure);
    if (complete)
        tell_oddities(&reader, &lines);
    lines_close(&lines);
    if (!complete)
        return false;
    if (options->stale != NULL || options->only_failed)
        list->total = list->listed.count;
    list->checked = options->only_failed;
    if (options->stale == NULL)
        drop_superseded(list);
    if (list->rest != NULL && (fflush(list->rest) != 0 || fseek(list->rest, 0, SEEK_SET) != 0)) {
        fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_INTERNAL, "a temporary file: %s", strerror(errno));
        return false;
    }
    return true;
}

bool upload_list_next(struct upload_list *list, bool *failed)
{
    char *text = NULL;
    size_t room = 0;
    const char *upload_id;
    int64_t initiated;

    *failed = false;
    while (list->count > 0)
        free((char *)list->uploads[--list->count].key);
    while (list->rest != NULL && list->count < BATCH && take_back(list, &text, &room, &upload_id, &initiated, failed)) {
        if (!take_meant(list, text, upload_id))
            continue;
        *failed = !upload_list_add(list, text, upload_id, initiated);
        if (*failed)
            break;
    }
    free(text);
    return list->count > 0 && !*failed;
}

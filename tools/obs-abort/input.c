/* A list of uploads: what --from names, a line KEY<tab>UPLOAD_ID for each; or what a dry run found. */
#define _POSIX_C_SOURCE 200809L
#include "obs-abort.h"

#include <stdlib.h>
#include <string.h>

static const char malformed[] = "not a key, one tab and an upload id (a key with a tab, a line break or a leading quote "
                                "stands in quotes, as \"a\\tb\")";

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

static bool make_room(struct upload_list *list)
{
    size_t room = list->room > 0 ? 2 * list->room : 1024;
    obs_abort_upload *uploads;
    struct upload_facts *facts;

    if (list->count < list->room)
        return true;
    uploads = realloc(list->uploads, room * sizeof *uploads);
    if (uploads == NULL)
        return false;
    list->uploads = uploads;
    facts = realloc(list->facts, room * sizeof *facts);
    if (facts == NULL)
        return false;
    list->facts = facts;
    list->room = room;
    return true;
}

bool upload_list_add(struct upload_list *list, const char *key, const char *upload_id, int64_t initiated)
{
    const struct measure unknown = {initiated, false, 0, 0, -1};
    size_t key_size = strlen(key) + 1, id_size = strlen(upload_id) + 1;
    char *copy = malloc(key_size + id_size);

    if (copy == NULL || !make_room(list)) {
        free(copy);
        return false;
    }
    memcpy(copy, key, key_size);
    memcpy(copy + key_size, upload_id, id_size);
    list->uploads[list->count].key = copy;
    list->uploads[list->count].upload_id = copy + key_size;
    list->facts[list->count].initiated = initiated;
    list->facts[list->count].code = OBS_ABORT_CANCELLED;
    list->facts[list->count].listed = false;
    list->facts[list->count].measure = unknown;
    list->count++;
    return true;
}

/* Returns what is wrong with the line, or NULL. `columns`: of the line before, or 0. */
static const char *add_line(struct upload_list *list, const struct options *options, char *line, size_t *columns,
                            bool unended)
{
    char *upload_id;
    size_t before = *columns;
    const char *wrong = split(line, columns, &upload_id);

    /* An upload id that was cut would be one that does not exist, and count as gone. */
    if (unended && before > 2 && *columns < before)
        return "cut off: neither the columns of the line before nor a line end";
    if (wrong == NULL && !key_is_chosen(options, line))
        list->left_out++;
    else if (wrong == NULL && !upload_list_add(list, line, upload_id, -1))
        return "out of memory";
    return wrong;
}

bool upload_list_read(struct upload_list *list, const struct options *options, struct failure *failure)
{
    struct lines lines;
    size_t columns = 0;
    char *line;
    bool complete;

    if (strcmp(options->from, "-") == 0)
        lines_open_stdin(&lines);
    else
        lines_open(&lines, options->from);
    while (lines.file != NULL && lines.wrong == NULL && (line = lines_next(&lines)) != NULL)
        if (*line != '\0')
            lines.wrong = add_line(list, options, line, &columns, lines.unended);
    complete = lines_complete(&lines, STATUS_USAGE, OBS_ABORT_INVALID_ARGUMENT, failure);
    if (complete && lines.crlf && !options->quiet)
        remark("%s: lines end in CR LF, as on Windows; the CR is no part of an upload id", lines.name);
    if (complete && lines.unended && columns == 2 && !options->quiet)
        remark("%s: the last line has no end; if the list was cut off, so was its last upload id", lines.name);
    lines_close(&lines);
    return complete;
}

static int compare(const void *a, const void *b)
{
    const obs_abort_upload *one = *(const obs_abort_upload *const *)a, *other = *(const obs_abort_upload *const *)b;
    int order = strcmp(one->key, other->key);

    return order != 0 ? order : strcmp(one->upload_id, other->upload_id);
}

bool upload_list_sort(struct upload_list *list)
{
    size_t i;

    list->sorted = malloc((list->count > 0 ? list->count : 1) * sizeof *list->sorted);
    if (list->sorted == NULL)
        return false;
    for (i = 0; i < list->count; i++)
        list->sorted[i] = &list->uploads[i];
    qsort(list->sorted, list->count, sizeof *list->sorted, compare);
    return true;
}

struct upload_facts *upload_list_find(const struct upload_list *list, const char *key, const char *upload_id)
{
    obs_abort_upload wanted;
    const obs_abort_upload *pointer = &wanted, **found;

    wanted.key = key;
    wanted.upload_id = upload_id;
    found = bsearch(&pointer, list->sorted, list->count, sizeof *list->sorted, compare);
    return found != NULL ? &list->facts[*found - list->uploads] : NULL;
}

void upload_list_free(struct upload_list *list)
{
    while (list->count > 0)
        free((char *)list->uploads[--list->count].key);
    free(list->uploads);
    free(list->facts);
    free(list->sorted);
}

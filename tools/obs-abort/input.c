/* A list of uploads: what --from names, a line KEY<tab>UPLOAD_ID for each; or what a dry run found. */
#define _POSIX_C_SOURCE 200809L
#include "obs-abort.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The time column of --list: a digit or a dash is enough to tell it from the end of a key. */
static bool looks_like_time(const char *text)
{
    return strcmp(text, "-") == 0 || (strlen(text) == 20 && text[4] == '-' && text[10] == 'T' && text[19] == 'Z');
}

/* Splits a line in place. What --list prints is accepted with its two further columns, so that
   it may be filtered and fed back; any other number of tabs might be a key with a tab in it. */
static bool split(char *line, char **upload_id)
{
    char *columns[4];
    size_t count = 0;
    char *rest = line;

    while (rest != NULL) {
        if (count == 4)
            return false;
        columns[count++] = rest;
        rest = strchr(rest, '\t');
        if (rest != NULL)
            *rest++ = '\0';
    }
    if (count != 2 && !(count == 4 && looks_like_time(columns[2])))
        return false;
    *upload_id = columns[1];
    return unquote(columns[0]) && unquote(columns[1]);
}

static bool make_room(struct upload_list *list)
{
    size_t room = list->room > 0 ? 2 * list->room : 1024;
    obs_abort_upload *uploads;
    int64_t *initiated;

    if (list->count < list->room)
        return true;
    uploads = realloc(list->uploads, room * sizeof *uploads);
    if (uploads == NULL)
        return false;
    list->uploads = uploads;
    initiated = realloc(list->initiated, room * sizeof *initiated);
    if (initiated == NULL)
        return false;
    list->initiated = initiated;
    list->room = room;
    return true;
}

/* Takes over the memory at key, in which upload_id stands, too. */
static bool append(struct upload_list *list, char *key, const char *upload_id, int64_t initiated)
{
    if (!make_room(list))
        return false;
    list->uploads[list->count].key = key;
    list->uploads[list->count].upload_id = upload_id;
    list->initiated[list->count] = initiated;
    list->count++;
    return true;
}

bool upload_list_add(struct upload_list *list, const char *key, const char *upload_id, int64_t initiated)
{
    size_t key_size = strlen(key) + 1, id_size = strlen(upload_id) + 1;
    char *copy = malloc(key_size + id_size);

    if (copy == NULL)
        return false;
    memcpy(copy, key, key_size);
    memcpy(copy + key_size, upload_id, id_size);
    if (append(list, copy, copy + key_size, initiated))
        return true;
    free(copy);
    return false;
}

/* Takes the line over: the list's keys point to what getline allocated. */
static bool add_line(struct upload_list *list, char *line, size_t length, const char **wrong)
{
    char *upload_id;

    if (length > 0 && line[length - 1] == '\n')
        line[--length] = '\0';
    if (length > 0 && line[length - 1] == '\r')
        line[--length] = '\0'; /* a list made on Windows: no upload id ends so */
    if (length == 0) {
        free(line);
        return true;
    }
    if (strlen(line) != length || !split(line, &upload_id)) {
        *wrong = "not a key, one tab and an upload id (a key with a tab, a line break or a leading quote "
                 "stands in quotes, as \"a\\tb\")";
        free(line);
        return false;
    }
    if (!append(list, line, upload_id, -1)) {
        *wrong = "out of memory";
        free(line);
        return false;
    }
    return true;
}

bool upload_list_read(struct upload_list *list, const char *path, struct failure *failure)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "r");
    const char *wrong = NULL;
    size_t number = 0;

    if (file == NULL) {
        fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_INVALID_ARGUMENT, "%s: %s", path, strerror(errno));
        return false;
    }
    while (wrong == NULL) {
        char *line = NULL;
        size_t size = 0;
        ssize_t length = getline(&line, &size, file);

        if (length < 0) {
            free(line);
            break;
        }
        number++;
        if (!add_line(list, line, (size_t)length, &wrong))
            fail(failure, STATUS_USAGE, OBS_ABORT_INVALID_ARGUMENT, "%s, line %zu: %s",
                 is_stdin ? "standard input" : path, number, wrong);
    }
    if (wrong == NULL && ferror(file)) {
        wrong = strerror(errno);
        fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_INVALID_ARGUMENT, "%s: %s", path, wrong);
    }
    if (!is_stdin)
        fclose(file);
    return wrong == NULL;
}

void upload_list_free(struct upload_list *list)
{
    while (list->count > 0)
        free((char *)list->uploads[--list->count].key);
    free(list->uploads);
    free(list->initiated);
}

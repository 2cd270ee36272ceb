/* What no outcome and no report tells, but a line of the library's log: that the service asks to slow down, and whose parts it
   did not list. */
#define _POSIX_C_SOURCE 200809L
#include "obs-abort.h"

#include <stdlib.h>
#include <string.h>

static struct {
    struct upload_set unsized; /* by their ids alone: a key may be shown without what it repeats of a secret */
    uint64_t kept;
    char why[256]; /* of the first; or empty */
} notices;

/* Undoes the quotes and escapes in which the library's log shows a string. Returns what comes after it, or NULL. */
static const char *take_shown(const char *text, char *out)
{
    if (*text++ != '"')
        return NULL;
    for (; *text != '"'; text++) {
        if (*text == '\0')
            return NULL;
        if (*text != '\\') {
            *out++ = *text;
            continue;
        }
        text++;
        if (strncmp(text, "u{", 2) == 0) {
            char *end;
            unsigned long code_point = strtoul(text + 2, &end, 16);

            if (*end != '}')
                return NULL;
            out += encode_utf8(out, (uint32_t)code_point);
            text = end;
        } else {
            *out++ = *text == 'n' ? '\n' : *text == 't' ? '\t' : *text == 'r' ? '\r' : *text;
        }
    }
    *out = '\0';
    return text + 1;
}

bool read_upload_line(const char *message, struct upload_line *line)
{
    static const char start[] = "upload ", of[] = " of ", colon[] = ": ";
    size_t size = strlen(message) + 1;
    const char *rest;

    line->upload_id = strncmp(message, start, sizeof start - 1) == 0 ? malloc(2 * size) : NULL;
    if (line->upload_id == NULL)
        return false;
    line->key = line->upload_id + size;
    rest = take_shown(message + sizeof start - 1, line->upload_id);
    if (rest != NULL)
        rest = strncmp(rest, of, sizeof of - 1) == 0 ? take_shown(rest + sizeof of - 1, line->key) : NULL;
    if (rest != NULL && strncmp(rest, colon, sizeof colon - 1) == 0) {
        line->text = rest + sizeof colon - 1;
        return true;
    }
    free(line->upload_id);
    return false;
}

/* As a warning, the parts of an upload could not be read. */
static void note_upload(const char *message)
{
    static const char unsized[] = "not measured: ", kept[] = "kept as active: ";
    struct upload_line line;
    const char *why = NULL;

    if (!read_upload_line(message, &line))
        return;
    if (strncmp(line.text, unsized, sizeof unsized - 1) == 0) {
        why = line.text + sizeof unsized - 1;
        upload_set_add(&notices.unsized, "", line.upload_id);
    } else if (strncmp(line.text, kept, sizeof kept - 1) == 0) {
        why = line.text + sizeof kept - 1;
        notices.kept++;
    }
    if (why != NULL && *notices.why == '\0')
        snprintf(notices.why, sizeof notices.why, "%s", why);
    free(line.upload_id);
}

void log_line(int32_t level, const char *message, void *userdata)
{
    const struct options *options = userdata;

    if (strncmp(message, "throttled: ", 11) == 0)
        progress_throttled();
    else if (level == OBS_ABORT_LOG_WARN)
        note_upload(message);
    show_log_line(options, level, message);
}

bool notices_unsized(const obs_abort_outcome *outcome)
{
    return upload_set_remove(&notices.unsized, "", obs_abort_outcome_upload_id(outcome));
}

uint64_t notices_kept(char *why, size_t size)
{
    snprintf(why, size, "%s", notices.why);
    return notices.kept;
}

void notices_forget(void)
{
    upload_set_free(&notices.unsized);
    memset(&notices, 0, sizeof notices);
}

/* What no outcome and no report tells, but a line of the library's log: that the service asks to slow down, and whose parts it
   did not list. */
#define _POSIX_C_SOURCE 200809L
#include "obs-abort.h"

#include <string.h>

/* An upload without a size has its line before its outcome. Between the two there are no more uploads than may be under
   way at once. */
#define UNDER_WAY 1024

static struct {
    uint64_t ids[UNDER_WAY]; /* hashes */
    size_t count;
    uint64_t kept;
    char why[256]; /* of the first that was kept; or empty */
} notices;

static uint64_t hash(const char *text, size_t length)
{
    uint64_t value = 0xcbf29ce484222325u; /* FNV-1a */

    while (length-- > 0)
        value = (value ^ (unsigned char)*text++) * 0x100000001b3u;
    return value;
}

/* upload "ID" of "KEY": not measured: WHY, or: kept as active: WHY. As a warning, its parts could not be read. */
static void note_upload(const char *message)
{
    static const char unsized[] = "\": not measured: ", kept[] = "\": kept as active: ";
    const char *id = message + strlen("upload \""), *end = strstr(id, "\" of \""), *why = strstr(id, kept);

    if (end != NULL && strstr(id, unsized) != NULL && notices.count < UNDER_WAY)
        notices.ids[notices.count++] = hash(id, (size_t)(end - id));
    if (why == NULL)
        return;
    notices.kept++;
    if (*notices.why == '\0')
        snprintf(notices.why, sizeof notices.why, "%s", why + strlen(kept));
}

void log_line(int32_t level, const char *message, void *userdata)
{
    const struct options *options = userdata;

    if (strncmp(message, "throttled: ", 11) == 0)
        progress_throttled();
    else if (level == OBS_ABORT_LOG_WARN && strncmp(message, "upload \"", 8) == 0)
        note_upload(message);
    show_log_line(options, level, message);
}

bool notices_unsized(const char *upload_id)
{
    uint64_t wanted = hash(upload_id, strlen(upload_id));
    size_t i;

    for (i = 0; i < notices.count; i++) {
        if (notices.ids[i] == wanted) {
            notices.ids[i] = notices.ids[--notices.count];
            return true;
        }
    }
    return false;
}

uint64_t notices_kept(char *why, size_t size)
{
    snprintf(why, size, "%s", notices.why);
    return notices.kept;
}

void notices_forget(void)
{
    memset(&notices, 0, sizeof notices);
}

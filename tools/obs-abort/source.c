/* One place that may have keys. */
#define _POSIX_C_SOURCE 200809L
#include "credentials.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

bool is_set(const char *text)
{
    return text != NULL && *text != '\0';
}

void source_name(struct source *source, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(source->words, sizeof source->words, format, arguments);
    va_end(arguments);
}

void source_close(struct source *source)
{
    wipe_string(source->access_key);
    wipe_string(source->secret_key);
    wipe_string(source->security_token);
    wipe_string(source->endpoint); /* somebody may have put a password into it */
    free(source->region);
    memset(source, 0, sizeof *source);
}

bool keep(char **field, char *value)
{
    wipe_string(*field);
    *field = value;
    return value != NULL;
}

bool keep_copy(char **field, const char *value)
{
    return !is_set(value) || keep(field, strdup(value));
}

enum found source_wrong(const struct source *source, struct failure *failure, const char *format, ...)
{
    char why[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_NO_CREDENTIALS, "no_credentials: %s: %s", source->words, why);
    return WRONG;
}

enum found no_memory(struct failure *failure)
{
    fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_INTERNAL, "out of memory");
    return WRONG;
}

/* The library would refuse it, too, but could not say where it is from. */
static bool is_visible(const char *text)
{
    for (; text != NULL && *text != '\0'; text++)
        if (*text <= ' ' || *text >= 0x7f)
            return false;
    return true;
}

enum found source_judge(const struct source *source, const char *const *names, struct failure *failure)
{
    const char *const values[] = {source->access_key, source->secret_key, source->security_token};
    bool has_access_key = is_set(values[0]), has_secret_key = is_set(values[1]);
    size_t i;

    if (!has_access_key && !has_secret_key && !is_set(values[2]))
        return NOTHING;
    if (!has_access_key && !has_secret_key)
        return source_wrong(source, failure, "%s is there, and neither %s nor %s", names[2], names[0], names[1]);
    if (!has_access_key || !has_secret_key)
        return source_wrong(source, failure, "%s is missing, and %s is there", names[has_access_key],
                            names[!has_access_key]);
    for (i = 0; i < 3; i++)
        if (!is_visible(values[i]))
            return source_wrong(source, failure, "%s has white space or another character that no key has", names[i]);
    return FOUND;
}

char *home_path(const char *name)
{
    const char *home = home_directory();
    size_t size = home != NULL ? strlen(home) + strlen(name) + 2 : 0;
    char *path = size > 0 ? malloc(size) : NULL;

    if (path != NULL)
        snprintf(path, size, "%s/%s", home, name);
    return path;
}

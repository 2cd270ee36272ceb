/* The choice among the places that may have keys: obs-abort.1, KEYS AND ENDPOINT. The first that has any part of a pair is
   the one: a missing half is an error, since an access key of one place and a secret of another are nobody's. */
#define _POSIX_C_SOURCE 200809L
#include "credentials.h"

#include <stdlib.h>
#include <string.h>

/* Variables of one family. */
struct family {
    const char *names[3]; /* access key, secret key, security token */
    bool aws; /* the other variables and the files of the AWS tools go with it */
};

static const struct family families[] = {
    {{"OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY", "OBS_SECURITY_TOKEN"}, false},
    {{"HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK", "HUAWEICLOUD_SDK_SECURITY_TOKEN"}, false},
    {{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}, true},
};

/* ---- the environment ---- */

static enum found read_environment(struct source *source, struct failure *failure)
{
    size_t i;

    for (i = 0; i < sizeof families / sizeof *families; i++) {
        const char *const *names = families[i].names;
        enum found found;

        source->aws = families[i].aws;
        source_name(source, "the environment");
        if (!keep_copy(&source->access_key, getenv(names[0])) || !keep_copy(&source->secret_key, getenv(names[1])) ||
            !keep_copy(&source->security_token, getenv(names[2])))
            return no_memory(failure);
        found = source_judge(source, names, failure);
        source_name(source, "%s and %s in the environment", names[0], names[1]);
        if (found != NOTHING)
            return found;
    }
    source->aws = false;
    return NOTHING;
}

/* ---- a file of environment variables ---- */

/* The value, as a shell or a reader of .env files takes it: without its quotes, and without the comment after it.
   NULL: it is not well formed. */
static const char *unwrap(char *value)
{
    char *end, *rest;

    value += strspn(value, " \t");
    if (*value == '"' || *value == '\'') {
        end = strchr(value + 1, *value);
        if (end == NULL)
            return NULL;
        value++;
        rest = end + 1;
    } else {
        end = rest = value + strcspn(value, " \t\"'");
    }
    if (*rest != '\0' && *rest != ' ' && *rest != '\t')
        return NULL;
    rest += strspn(rest, " \t");
    *end = '\0';
    return *rest == '\0' || *rest == '#' ? value : NULL;
}

/* What comes after NAME and "=", if the line is that; NULL otherwise. */
static char *assigned(char *line, const char *name)
{
    size_t length = strlen(name);

    line += strspn(line, " \t");
    if (strncmp(line, "export", 6) == 0 && (line[6] == ' ' || line[6] == '\t'))
        line += 6 + strspn(line + 6, " \t");
    if (strncmp(line, name, length) != 0)
        return NULL;
    line += length + strspn(line + length, " \t");
    return *line == '=' ? line + 1 : NULL;
}

/* Returns what is wrong with the line, or NULL. The last of several lines with a name counts, as in a shell. */
static const char *take_variable(struct source *source, char *line)
{
    const char *const names[] = {"OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY", "OBS_SECURITY_TOKEN", "OBS_ENDPOINT"};
    char **fields[] = {&source->access_key, &source->secret_key, &source->security_token, &source->endpoint};
    size_t i;

    for (i = 0; i < 4; i++) {
        char *text = assigned(line, names[i]);
        const char *value = text != NULL ? unwrap(text) : NULL;

        if (text != NULL && value == NULL)
            return "the value is not well formed: a quote without its pair, or something after the value";
        if (text != NULL)
            return keep(fields[i], strdup(value)) ? NULL : "out of memory";
    }
    return NULL; /* the file may be shared with programs that want other things, too */
}

static enum found read_variables(struct source *source, const char *path, struct failure *failure)
{
    const char *const *names = families[0].names;
    struct text text;
    struct slice slice;
    const char *why = NULL;
    size_t position = 0, number = 0;

    source_name(source, "%s", path);
    if (!text_read(&text, path, false, failure)) {
        text_close(&text);
        return WRONG;
    }
    while (why == NULL && text_line(&text, &position, &slice)) {
        char *line = slice_copy(slice);

        number++;
        why = line != NULL ? take_variable(source, line) : "out of memory";
        if (line != NULL)
            wipe(line, slice.length);
        free(line);
    }
    source->open_to_others = text.open_to_others;
    text_close(&text);
    if (why != NULL) {
        fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_NO_CREDENTIALS, "%s, line %zu: %s", path, number, why);
        return WRONG;
    }
    if (!is_set(source->access_key) || !is_set(source->secret_key)) {
        fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_NO_CREDENTIALS, "%s: no line %s=...", path,
             is_set(source->access_key) ? names[1] : names[0]);
        return WRONG;
    }
    return source_judge(source, names, failure);
}

/* ---- the file of obsutil ---- */

/* obsutil writes the base64 of AES-128-CBC with a key of its own, and takes what can't be that for plain. So it is done
   here: a real access key has 20 characters, and a secret 40, which are 15 and 30 bytes. */
static bool is_encrypted(struct slice value)
{
    size_t padding = 0, i;

    if (value.length == 0 || value.length % 4 != 0)
        return false;
    while (padding < 2 && value.start[value.length - 1 - padding] == '=')
        padding++;
    for (i = 0; i < value.length - padding; i++) {
        char c = value.start[i];

        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '+' || c == '/'))
            return false;
    }
    return (value.length / 4 * 3 - padding) % 16 == 0;
}

/* What a file that was never filled in has. */
static bool is_placeholder(struct slice value)
{
    return (value.length > 3 && memcmp(value.start, "***", 3) == 0) ||
           (value.length == 20 && memcmp(value.start, "http://your-endpoint", 20) == 0);
}

enum found read_obsutil(struct source *source, struct failure *failure)
{
    const char *const names[] = {"ak", "sk", "token", "endpoint"};
    char **fields[] = {&source->access_key, &source->secret_key, &source->security_token, &source->endpoint};
    const struct where anywhere = {NULL, NULL, NULL};
    enum found found = NOTHING;
    char *path = home_path(".obsutilconfig");
    struct text text;
    size_t i;

    source_name(source, "%s", path != NULL ? path : "~/.obsutilconfig");
    if (path == NULL)
        return NOTHING;
    if (!text_read(&text, path, true, failure) || !ini_check(&text, FORM_OBSUTIL, failure))
        found = WRONG;
    for (i = 0; i < 4 && found != WRONG; i++) {
        struct slice value = ini_find(&text, FORM_OBSUTIL, anywhere, names[i]).value;

        if (i < 2 && is_encrypted(value))
            source->encrypted = true;
        else if (value.length > 0 && !is_placeholder(value) && !keep(fields[i], slice_copy(value)))
            found = no_memory(failure);
    }
    source->open_to_others = text.open_to_others;
    text_close(&text);
    free(path);
    if (source->encrypted)
        return found; /* the other half, if it is plain, is of no use */
    return found == WRONG ? WRONG : source_judge(source, names, failure);
}

/* ---- the choice ---- */

/* None of all that is looked for. */
static enum found none_anywhere(bool encrypted, struct failure *failure)
{
    fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_NO_CREDENTIALS,
         "no_credentials: none of OBS_ACCESS_KEY_ID, HUAWEICLOUD_SDK_AK, AWS_ACCESS_KEY_ID and AWS_PROFILE is set, and "
         "there are no %skeys in ~/.obsutilconfig or in the profile default of ~/.aws/credentials",
         encrypted ? "plain " : "");
    return WRONG;
}

/* What nothing on the command line names. */
static enum found search(struct source *source, const struct options *options, struct failure *failure)
{
    enum found found = read_environment(source, failure);
    bool encrypted = false;

    if (found == NOTHING && variable("AWS_PROFILE") != NULL)
        return read_profile(source, usual_profile(), true, failure);
    if (found == NOTHING) {
        found = read_obsutil(source, failure);
        encrypted = source->encrypted;
        if (encrypted && !options->quiet)
            complain("the keys in %s are encrypted by obsutil and can't be used, only its endpoint can", source->words);
    }
    if (found == NOTHING) {
        source_close(source);
        found = read_profile(source, "default", false, failure);
    }
    return found == NOTHING ? none_anywhere(encrypted, failure) : found;
}

static enum found agency(struct source *source)
{
    source->agency = true;
    source_name(source, "the agency of this cloud server");
    return FOUND;
}

static enum found none_in_environment(struct failure *failure)
{
    fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_NO_CREDENTIALS,
         "no_credentials: none of OBS_ACCESS_KEY_ID, HUAWEICLOUD_SDK_AK and AWS_ACCESS_KEY_ID is set in the environment");
    return WRONG;
}

static enum found none_in_obsutil(const struct source *source, struct failure *failure)
{
    return source_wrong(source, failure, source->encrypted ? "its keys are encrypted by obsutil and can't be used"
                                                           : "there are no keys in it");
}

enum found credentials_find(struct source *source, const struct options *options, struct failure *failure)
{
    const char *from = options->credentials;
    enum found found;

    if (options->profile != NULL)
        return read_profile(source, options->profile, true, failure);
    if (from == NULL)
        return search(source, options, failure);
    if (strncmp(from, "file:", 5) == 0)
        return read_variables(source, from + 5, failure);
    if (strcmp(from, "ecs") == 0)
        return agency(source);
    if (strcmp(from, "obsutil") == 0) {
        found = read_obsutil(source, failure);
        return found == NOTHING ? none_in_obsutil(source, failure) : found;
    }
    if (strcmp(from, "env") != 0 && strcmp(from, "chain") != 0) {
        fail(failure, STATUS_USAGE, OBS_ABORT_INVALID_ARGUMENT,
             "--credentials: env, obsutil, ecs, chain or file:PATH");
        return WRONG;
    }
    found = read_environment(source, failure);
    if (found != NOTHING)
        return found;
    return strcmp(from, "chain") == 0 ? agency(source) : none_in_environment(failure);
}

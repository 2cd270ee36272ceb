/* Where the access key, and the endpoint that goes with it, come from. The first place that has any part of a pair of keys
   is the one: a missing half is an error, since an access key of one place and a secret of another are nobody's. The
   order is in obs-abort.1, CREDENTIALS. */
#define _POSIX_C_SOURCE 200809L
#include "obs-abort.h"

#include <stdlib.h>
#include <string.h>

enum found { FOUND, NOTHING, WRONG };

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

static enum found wrong(struct failure *failure, const char *source, const char *why)
{
    fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_NO_CREDENTIALS, "no_credentials: %s: %s", source, why);
    return WRONG;
}

static bool is_set(const char *text)
{
    return text != NULL && *text != '\0';
}

/* Whether a place with these has keys at all; `names` are what it calls them. */
static enum found judge(const struct source *source, const char *const *names, struct failure *failure)
{
    const char *const values[] = {source->access_key, source->secret_key, source->security_token};
    bool has_access_key = is_set(values[0]), has_secret_key = is_set(values[1]);
    char why[256];
    size_t i;

    if (!has_access_key && !has_secret_key && !is_set(values[2]))
        return NOTHING;
    if (!has_access_key && !has_secret_key)
        snprintf(why, sizeof why, "%s is there, and neither %s nor %s", names[2], names[0], names[1]);
    else
        snprintf(why, sizeof why, "%s is missing, and %s is there", names[has_access_key], names[!has_access_key]);
    if (!has_access_key || !has_secret_key)
        return wrong(failure, source->words, why);
    for (i = 0; i < 3; i++) {
        const char *byte;

        for (byte = values[i]; byte != NULL && *byte != '\0'; byte++) {
            if (*byte > ' ' && *byte < 0x7f)
                continue;
            snprintf(why, sizeof why, "%s has white space or another character that no key has", names[i]);
            return wrong(failure, source->words, why);
        }
    }
    return FOUND;
}

/* False: no memory. The old value is wiped. */
static bool keep(char **field, char *value)
{
    wipe_string(*field);
    *field = value;
    return value != NULL;
}

static bool keep_copy(char **field, const char *value)
{
    return !is_set(value) || keep(field, strdup(value));
}

static enum found no_memory(struct failure *failure)
{
    fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_INTERNAL, "out of memory");
    return WRONG;
}

static void name_source(struct source *source, const char *format, const char *first, const char *second)
{
    snprintf(source->words, sizeof source->words, format, first, second);
}

static void source_close(struct source *source)
{
    wipe_string(source->access_key);
    wipe_string(source->secret_key);
    wipe_string(source->security_token);
    free(source->endpoint);
    free(source->region);
    memset(source, 0, sizeof *source);
}

/* NULL if there is no home directory, or no memory. */
static char *home_path(const char *name)
{
    const char *home = home_directory();
    size_t size = home != NULL ? strlen(home) + strlen(name) + 2 : 0;
    char *path = size > 0 ? malloc(size) : NULL;

    if (path != NULL)
        snprintf(path, size, "%s/%s", home, name);
    return path;
}

/* ---- the environment ---- */

static enum found read_environment(struct source *source, struct failure *failure)
{
    size_t i;

    for (i = 0; i < sizeof families / sizeof *families; i++) {
        const char *const *names = families[i].names;
        enum found found;

        source->aws = families[i].aws;
        snprintf(source->words, sizeof source->words, "the environment");
        if (!keep_copy(&source->access_key, getenv(names[0])) || !keep_copy(&source->secret_key, getenv(names[1])) ||
            !keep_copy(&source->security_token, getenv(names[2])))
            return no_memory(failure);
        found = judge(source, names, failure);
        name_source(source, "%s and %s in the environment", names[0], names[1]);
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

    name_source(source, "%s%s", path, "");
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
    return judge(source, names, failure);
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

static enum found read_obsutil(struct source *source, struct failure *failure)
{
    const char *const names[] = {"ak", "sk", "token", "endpoint"};
    char **fields[] = {&source->access_key, &source->secret_key, &source->security_token, &source->endpoint};
    const struct where anywhere = {NULL, NULL, NULL};
    enum found found = NOTHING;
    char *path = home_path(".obsutilconfig");
    struct text text;
    size_t i;

    if (path == NULL)
        return NOTHING;
    name_source(source, "%s%s", path, "");
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
    return found == WRONG ? WRONG : judge(source, names, failure);
}

/* ---- the files of the AWS tools ---- */

struct profile {
    const char *name;
    char *credentials_path, *config_path; /* NULL: there is no home directory */
    struct text credentials, config;
};

/* What the variable says, or the file in the home directory. */
static char *path_of(const char *name, const char *usual)
{
    const char *path = variable(name);

    if (path == NULL)
        return home_path(usual);
    if (path[0] == '~' && path[1] == '/')
        return home_path(path + 2);
    return strdup(path);
}

static bool read_aws(struct text *text, const char *path, struct failure *failure)
{
    return path == NULL || (text_read(text, path, true, failure) && ini_check(text, FORM_AWS, failure));
}

static bool profile_open(struct profile *profile, const char *name, struct failure *failure)
{
    memset(profile, 0, sizeof *profile);
    profile->name = name;
    profile->credentials_path = path_of("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
    profile->config_path = path_of("AWS_CONFIG_FILE", ".aws/config");
    return read_aws(&profile->credentials, profile->credentials_path, failure) &&
           read_aws(&profile->config, profile->config_path, failure);
}

static void profile_close(struct profile *profile)
{
    text_close(&profile->credentials);
    text_close(&profile->config);
    free(profile->credentials_path);
    free(profile->config_path);
}

/* The keys that the section has. A second section of the name, or a second line, would make it a matter of luck which
   secret belongs to which access key. */
static enum found section_keys(struct source *source, const struct text *text, const char *kind, const char *name,
                               struct failure *failure)
{
    const char *const names[] = {"aws_access_key_id", "aws_secret_access_key", "aws_session_token"};
    char **fields[] = {&source->access_key, &source->secret_key, &source->security_token};
    const struct where where = {kind, name, NULL};
    size_t i, section = 0;

    snprintf(source->words, sizeof source->words, "the profile %s of %s", name, text->name != NULL ? text->name : "");
    source->open_to_others = text->open_to_others;
    for (i = 0; i < 3; i++) {
        struct setting setting = ini_find(text, FORM_AWS, where, names[i]);
        char why[128] = "";

        if (setting.again > 0)
            snprintf(why, sizeof why, "%s is there twice, in the lines %zu and %zu", names[i], setting.line,
                     setting.again);
        else if (setting.line > 0 && section > 0 && section != setting.section)
            snprintf(why, sizeof why, "its keys are in two sections, those of the lines %zu and %zu", section,
                     setting.section);
        if (*why != '\0')
            return wrong(failure, source->words, why);
        if (setting.line > 0)
            section = setting.section;
        if (setting.value.length > 0 && !keep(fields[i], slice_copy(setting.value)))
            return no_memory(failure);
    }
    return judge(source, names, failure);
}

/* The file of credentials comes first, as with the AWS tools. Returns false if there is no memory. */
static bool profile_setting(const struct profile *profile, const char *name, char **field)
{
    const struct where plain = {NULL, profile->name, NULL}, prefixed = {"profile", profile->name, NULL};
    struct setting setting = ini_find(&profile->credentials, FORM_AWS, plain, name);

    if (setting.value.length == 0)
        setting = ini_find(&profile->config, FORM_AWS, prefixed, name);
    return setting.value.length == 0 || keep(field, slice_copy(setting.value));
}

/* Of S3 first, which is in a section of its own. */
static bool profile_endpoint(const struct profile *profile, struct source *source)
{
    char *services = NULL;
    bool kept = profile_setting(profile, "services", &services);

    if (services != NULL) {
        const struct where where = {"services", services, "s3"};
        struct setting setting = ini_find(&profile->config, FORM_AWS, where, "endpoint_url");

        if (setting.value.length > 0)
            kept = keep(&source->endpoint, slice_copy(setting.value));
        free(services);
    }
    if (kept && source->endpoint == NULL)
        kept = profile_setting(profile, "endpoint_url", &source->endpoint);
    return kept && profile_setting(profile, "region", &source->region);
}

/* Why a profile that is there has no keys, or NULL. */
static const char *other_means(const struct profile *profile)
{
    static const char *const means[] = {"credential_process", "sso_session", "sso_start_url", "role_arn",
                                        "web_identity_token_file"};
    size_t i;

    for (i = 0; i < sizeof means / sizeof *means; i++) {
        char *value = NULL;
        bool there = profile_setting(profile, means[i], &value) && value != NULL;

        free(value);
        if (there)
            return means[i];
    }
    return NULL;
}

/* A profile that was named has no keys. */
static enum found no_profile(const struct profile *profile, struct failure *failure)
{
    const char *credentials = profile->credentials_path, *config = profile->config_path, *means = other_means(profile);
    bool there = ini_has_section(&profile->credentials, NULL, profile->name) ||
                 ini_has_section(&profile->config, "profile", profile->name);

    if (credentials == NULL)
        credentials = "(no home directory)";
    if (config == NULL)
        config = credentials;
    if (!there)
        fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_NO_CREDENTIALS,
             "no_credentials: no profile %s: neither [%s] in %s nor [profile %s] in %s", profile->name, profile->name,
             credentials, profile->name, config);
    else
        fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_NO_CREDENTIALS,
             "no_credentials: the profile %s has no aws_access_key_id, neither in %s nor in %s%s%s%s", profile->name,
             credentials, config, means != NULL ? "; it has " : "", means != NULL ? means : "",
             means != NULL ? ", which obs-abort can't use" : "");
    return WRONG;
}

static enum found read_profile(struct source *source, const char *name, bool named, struct failure *failure)
{
    struct profile profile;
    enum found found = WRONG;

    source->aws = source->profile = true;
    if (profile_open(&profile, name, failure))
        found = section_keys(source, &profile.credentials, NULL, name, failure);
    if (found == NOTHING)
        found = section_keys(source, &profile.config, "profile", name, failure);
    if (found == NOTHING && named)
        found = no_profile(&profile, failure);
    if (found == FOUND && !profile_endpoint(&profile, source))
        found = no_memory(failure);
    profile_close(&profile);
    return found;
}

/* ---- the choice ---- */

static const char *usual_profile(void)
{
    const char *name = variable("AWS_PROFILE");

    return name != NULL ? name : "default";
}

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
    name_source(source, "%s%s", "the agency of this cloud server", "");
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
    return wrong(failure, *source->words != '\0' ? source->words : "~/.obsutilconfig",
                 source->encrypted ? "its keys are encrypted by obsutil and can't be used" : "there are no keys in it");
}

static enum found find_keys(struct source *source, const struct options *options, struct failure *failure)
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

/* ---- the endpoint ---- */

/* Whether there is one; takes a copy, and notes where it is from. */
static bool take(struct access *access, const char *endpoint, const char *from)
{
    if (!is_set(endpoint))
        return false;
    access->endpoint = strdup(endpoint);
    snprintf(access->endpoint_from, sizeof access->endpoint_from, "%s", from);
    return true;
}

static bool take_region(struct access *access, const char *region, const char *from)
{
    char endpoint[256], words[sizeof access->endpoint_from];

    if (!is_set(region) || !region_endpoint(region, endpoint, sizeof endpoint))
        return false;
    snprintf(words, sizeof words, "made of the region %s: %s", region, from);
    return take(access, endpoint, words);
}

/* With keys from variables or a profile of the AWS tools, in their order; but a profile that was named comes first. */
static enum found find_aws_endpoint(struct access *access, const struct source *keys, bool named,
                                    struct failure *failure)
{
    const char *region = variable("AWS_REGION") != NULL ? variable("AWS_REGION") : variable("AWS_DEFAULT_REGION");
    struct source source = {.words = ""};
    struct profile profile;
    enum found found = NOTHING;

    if (take(access, variable("AWS_ENDPOINT_URL_S3"), "AWS_ENDPOINT_URL_S3") ||
        take(access, variable("AWS_ENDPOINT_URL"), "AWS_ENDPOINT_URL") || take(access, keys->endpoint, keys->words))
        return FOUND;
    if (!keys->profile) { /* variables: the profile may have what goes with them */
        if (!profile_open(&profile, usual_profile(), failure))
            found = WRONG;
        else if (!profile_endpoint(&profile, &source))
            found = no_memory(failure);
        name_source(&source, "the profile %s%s", usual_profile(), "");
        profile_close(&profile);
    }
    if (found == NOTHING &&
        (take(access, source.endpoint, source.words) || (named && take_region(access, keys->region, keys->words)) ||
         take_region(access, region, "the environment") ||
         take_region(access, keys->region, keys->words) || take_region(access, source.region, source.words)))
        found = FOUND;
    source_close(&source);
    return found;
}

static enum found find_endpoint(struct access *access, const struct source *keys, const struct options *options,
                                struct failure *failure)
{
    bool named = options->profile != NULL || options->credentials != NULL;
    struct source obsutil = {.words = ""};
    enum found found = NOTHING;

    if (take(access, options->endpoint, "--endpoint") || take_region(access, options->region, "--region") ||
        (named && take(access, keys->endpoint, keys->words)) ||
        take(access, variable("OBS_ENDPOINT"), "OBS_ENDPOINT"))
        return FOUND;
    if (keys->aws)
        found = find_aws_endpoint(access, keys, named, failure);
    else if (take(access, keys->endpoint, keys->words))
        return FOUND;
    if (found != NOTHING)
        return found;
    found = read_obsutil(&obsutil, failure);
    if (found != WRONG || obsutil.endpoint != NULL) /* what is wrong with its keys does not matter */
        found = take(access, obsutil.endpoint, obsutil.words) ? FOUND : NOTHING;
    source_close(&obsutil);
    if (found == NOTHING) {
        fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_INVALID_CONFIG,
             "no endpoint: give --endpoint URL or --region NAME, or set OBS_ENDPOINT");
        return WRONG;
    }
    return found;
}

static void tell(const struct access *access, const struct options *options)
{
    if (access->keys.open_to_others && !options->quiet)
        complain("warning: other users of this machine can read the keys in %s; chmod 600 prevents it",
                 access->keys.words);
    if (options->verbose == 0)
        return;
    complain("keys: %s", access->keys.words);
    /* The library refuses one with a password, and does not repeat it. */
    complain("endpoint: %s (%s)", strchr(access->endpoint, '@') == NULL ? access->endpoint : "(not shown)",
             access->endpoint_from);
}

bool access_find(struct access *access, const struct options *options, struct failure *failure)
{
    memset(access, 0, sizeof *access);
    if (find_keys(&access->keys, options, failure) != FOUND ||
        find_endpoint(access, &access->keys, options, failure) != FOUND)
        return false;
    if (access->endpoint == NULL) {
        no_memory(failure);
        return false;
    }
    tell(access, options);
    return true;
}

void access_close(struct access *access)
{
    source_close(&access->keys);
    free(access->endpoint);
    access->endpoint = NULL;
}

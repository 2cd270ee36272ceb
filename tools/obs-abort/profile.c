/* Keys and endpoints in the files of the AWS tools. */
#define _POSIX_C_SOURCE 200809L
#include "credentials.h"

#include <stdlib.h>
#include <string.h>

const char *usual_profile(void)
{
    const char *name = variable("AWS_PROFILE");

    return name != NULL ? name : "default";
}

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

    if (text->content == NULL)
        return NOTHING;
    source_name(source, "the profile %s of %s", name, text->name);
    source->open_to_others = text->open_to_others;
    for (i = 0; i < 3; i++) {
        struct setting setting = ini_find(text, FORM_AWS, where, names[i]);

        if (setting.again > 0)
            return source_wrong(source, failure, "%s is there twice, in the lines %zu and %zu", names[i], setting.line,
                                setting.again);
        if (setting.line > 0 && section > 0 && section != setting.section)
            return source_wrong(source, failure, "its keys are in two sections, those of the lines %zu and %zu", section,
                                setting.section);
        if (setting.line > 0)
            section = setting.section;
        if (setting.value.length > 0 && !keep(fields[i], slice_copy(setting.value)))
            return no_memory(failure);
    }
    return source_judge(source, names, failure);
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

enum found read_profile(struct source *source, const char *name, bool named, struct failure *failure)
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

bool read_profile_endpoint(struct source *source, const char *name, struct failure *failure)
{
    struct profile profile;
    bool read = profile_open(&profile, name, failure);

    source_name(source, "the profile %s", name);
    if (read && !profile_endpoint(&profile, source)) {
        no_memory(failure);
        read = false;
    }
    profile_close(&profile);
    return read;
}

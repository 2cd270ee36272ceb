/* From options and environment to a client. */
#define _POSIX_C_SOURCE 200809L
#include "obs-abort.h"

#include <stdlib.h>
#include <string.h>

/* The variables of an environment file, by the names that the environment has them under. */
struct secrets {
    char *access_key, *secret_key, *security_token;
};

static void wipe(char *text)
{
    volatile char *byte = text;

    while (byte != NULL && *byte != '\0')
        *byte++ = '\0';
    free(text);
}

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

/* Returns what is wrong with the line, or NULL. */
static const char *keep_secret(struct secrets *secrets, char *line)
{
    static const char *const names[] = {"OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY", "OBS_SECURITY_TOKEN"};
    char **values[] = {&secrets->access_key, &secrets->secret_key, &secrets->security_token};
    size_t i;

    for (i = 0; i < 3; i++) {
        char *text = assigned(line, names[i]);
        const char *value = text != NULL ? unwrap(text) : NULL;

        if (text != NULL && value == NULL)
            return "the value is not well formed: a quote without its pair, or something after the value";
        if (text != NULL) {
            wipe(*values[i]);
            *values[i] = strdup(value);
            return *values[i] != NULL ? NULL : "out of memory";
        }
    }
    return NULL; /* the file may be shared with programs that want other things, too */
}

static bool set_credentials_file(obs_abort_config *config, const char *path, struct failure *failure)
{
    struct secrets secrets = {NULL, NULL, NULL};
    struct lines lines;
    char *line;
    bool complete;

    lines_open(&lines, path);
    while (lines.file != NULL && lines.wrong == NULL && (line = lines_next(&lines)) != NULL)
        lines.wrong = keep_secret(&secrets, line);
    complete = lines_complete(&lines, STATUS_COULD_NOT_START, OBS_ABORT_NO_CREDENTIALS, failure);
    lines_close(&lines);
    if (complete && (secrets.access_key == NULL || secrets.secret_key == NULL)) {
        fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_NO_CREDENTIALS, "%s: no line %s=...", path,
             secrets.access_key == NULL ? "OBS_ACCESS_KEY_ID" : "OBS_SECRET_ACCESS_KEY");
        complete = false;
    }
    if (complete)
        obs_abort_config_set_credentials(config, secrets.access_key, secrets.secret_key, secrets.security_token);
    wipe(secrets.access_key);
    wipe(secrets.secret_key);
    wipe(secrets.security_token);
    return complete;
}

static bool set_credentials(obs_abort_config *config, const char *from, struct failure *failure)
{
    int32_t source;

    if (from == NULL || strcmp(from, "env") == 0) {
        source = OBS_ABORT_CREDENTIALS_ENV;
    } else if (strcmp(from, "ecs") == 0) {
        source = OBS_ABORT_CREDENTIALS_ECS;
    } else if (strcmp(from, "chain") == 0) {
        source = OBS_ABORT_CREDENTIALS_CHAIN;
    } else if (strncmp(from, "file:", 5) == 0) {
        return set_credentials_file(config, from + 5, failure);
    } else {
        fail(failure, STATUS_USAGE, OBS_ABORT_INVALID_ARGUMENT, "--credentials: env, ecs, chain or file:PATH");
        return false;
    }
    obs_abort_config_set_credential_source(config, source);
    return true;
}

/* No return value is looked at: obs_abort_client_new refuses a config of which a setter failed,
   and its message names the setting. */
static void set_options(obs_abort_config *config, const struct options *options, const char *endpoint)
{
    static const int32_t levels[] = {OBS_ABORT_LOG_WARN, OBS_ABORT_LOG_WARN, OBS_ABORT_LOG_INFO, OBS_ABORT_LOG_DEBUG};
    obs_abort_log_fn log = options->verbose > 0 ? log_line : note_throttling;
    char agent[64];

    obs_abort_config_set_endpoint(config, endpoint);
    obs_abort_config_set_addressing(config, options->addressing);
    obs_abort_config_set_signature(config, options->signature);
    obs_abort_config_set_confirm(config, options->confirm);
    obs_abort_config_set_request_payer(config, options->request_payer);
    if (options->timeout_ms > 0)
        obs_abort_config_set_timeout_ms(config, options->timeout_ms);
    if (options->connect_timeout_ms > 0)
        obs_abort_config_set_connect_timeout_ms(config, options->connect_timeout_ms);
    if (options->max_attempts > 0)
        obs_abort_config_set_max_attempts(config, options->max_attempts);
    if (options->connections > 0)
        obs_abort_config_set_max_connections(config, options->connections);
    if (options->ca_file != NULL)
        obs_abort_config_set_ca_file(config, options->ca_file);
    if (options->client_cert != NULL)
        obs_abort_config_set_client_certificate(config, options->client_cert, options->client_key);
    if (options->proxy != NULL)
        obs_abort_config_set_proxy(config, options->proxy);
    obs_abort_config_set_log(config, log, NULL, levels[options->verbose < 3 ? options->verbose : 3]);
    snprintf(agent, sizeof agent, "obs-abort/%s", obs_abort_version());
    obs_abort_config_set_user_agent(config, agent);
}

obs_abort_client *client_open(const struct options *options, struct failure *failure)
{
    const char *endpoint = options->endpoint != NULL ? options->endpoint : getenv("OBS_ENDPOINT");
    obs_abort_config *config;
    obs_abort_client *client = NULL;
    char *error = NULL;
    int32_t code;

    if (endpoint == NULL || *endpoint == '\0') {
        fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_INVALID_CONFIG,
             "no endpoint: give --endpoint URL or set OBS_ENDPOINT");
        return NULL;
    }
    config = obs_abort_config_new();
    set_options(config, options, endpoint);
    if (set_credentials(config, options->credentials, failure)) {
        code = obs_abort_client_new(config, &client, &error);
        if (code != OBS_ABORT_OK)
            fail(failure, STATUS_COULD_NOT_START, code, "%s", error != NULL ? error : obs_abort_strerror(code));
    }
    obs_abort_string_free(error);
    obs_abort_config_free(config);
    return client;
}

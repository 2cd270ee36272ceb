/* From options to a client. */
#include "credentials.h"

#include <string.h>

/* No return value is looked at: obs_abort_client_new refuses a config of which a setter failed,
   and its message names the setting. */
static void set_options(obs_abort_config *config, const struct options *options, const char *endpoint)
{
    int32_t level = log_level(options);
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
    /* --log has what is kept, too, of which only this log tells. */
    if (options->log != NULL && level < OBS_ABORT_LOG_INFO)
        level = OBS_ABORT_LOG_INFO;
    obs_abort_config_set_log(config, log_line, (void *)options, level);
    snprintf(agent, sizeof agent, "obs-abort/%s", obs_abort_version());
    obs_abort_config_set_user_agent(config, agent);
}

static void set_credentials(obs_abort_config *config, const struct source *keys)
{
    if (keys->agency)
        obs_abort_config_set_credential_source(config, OBS_ABORT_CREDENTIALS_ECS);
    else
        obs_abort_config_set_credentials(config, keys->access_key, keys->secret_key, keys->security_token);
}

static void tell_choice(const struct source *keys, const struct endpoint *endpoint, const struct options *options)
{
    if (keys->open_to_others && !options->quiet)
        complain("warning: other users of this machine can read the keys in %s; chmod 600 prevents it", keys->words);
    if (options->verbose == 0)
        return;
    complain("keys: %s", keys->words);
    /* The library refuses one with a password, and does not repeat it. */
    complain("endpoint: %s (%s)", strchr(endpoint->url, '@') == NULL ? endpoint->url : "not shown", endpoint->from);
}

static obs_abort_client *client_new(const struct options *options, const struct source *keys, const char *endpoint,
                                    struct failure *failure)
{
    obs_abort_config *config = obs_abort_config_new();
    obs_abort_client *client = NULL;
    char *error = NULL;
    int32_t code;

    set_options(config, options, endpoint);
    set_credentials(config, keys);
    code = obs_abort_client_new(config, &client, &error);
    if (code != OBS_ABORT_OK)
        fail(failure, STATUS_COULD_NOT_START, code, "%s", error != NULL ? error : obs_abort_strerror(code));
    obs_abort_string_free(error);
    obs_abort_config_free(config);
    return client;
}

obs_abort_client *client_open(const struct options *options, char **endpoint, struct failure *failure)
{
    struct endpoint found = {.url = NULL};
    struct source keys = {.words = ""};
    obs_abort_client *client = NULL;

    if (credentials_find(&keys, options, failure) == FOUND &&
        endpoint_find(&found, &keys, options, failure) == FOUND) {
        if (!options->again)
            tell_choice(&keys, &found, options);
        client = client_new(options, &keys, found.url, failure);
    }
    source_close(&keys);
    if (client != NULL && endpoint != NULL)
        *endpoint = found.url;
    else
        wipe_string(found.url);
    return client;
}

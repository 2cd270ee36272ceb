/* The buckets of an account, and a client for the endpoint of each region that they are in. */
#define _POSIX_C_SOURCE 200809L
#include "credentials.h"

#include <stdlib.h>
#include <string.h>

static int32_t on_bucket(const char *name, const char *location, void *userdata)
{
    struct account *account = userdata;
    struct target *targets;

    account->seen++;
    if (account->options->bucket_match.count > 0 && !patterns_match(&account->options->bucket_match, name))
        return 0;
    targets = realloc(account->targets, (account->count + 1) * sizeof *targets);
    if (targets == NULL)
        return 1;
    account->targets = targets;
    targets += account->count++;
    targets->rest = NULL;
    targets->bucket = strdup(name);
    targets->location = location != NULL && *location != '\0' ? strdup(location) : NULL;
    return targets->bucket == NULL || (location != NULL && *location != '\0' && targets->location == NULL);
}

bool account_list(struct account *account, struct failure *failure)
{
    char *error = NULL;
    int32_t code = obs_abort_buckets(account->client, account->call, on_bucket, account, &error);

    if (code == OBS_ABORT_CANCELLED) /* by on_bucket */
        fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_INTERNAL, "out of memory");
    else if (code != OBS_ABORT_OK)
        fail(failure, is_start_failure(code) ? STATUS_COULD_NOT_START : STATUS_SOME_LEFT, code,
             "the buckets of the account could not be listed: %s", error != NULL ? error : obs_abort_strerror(code));
    obs_abort_string_free(error);
    return code == OBS_ABORT_OK;
}

static const obs_abort_client *open_elsewhere(struct account *account, const char *endpoint, struct failure *failure)
{
    struct options options = *account->options;
    struct elsewhere *others = realloc(account->others, (account->other_count + 1) * sizeof *others);

    if (others == NULL) {
        fail(failure, STATUS_SOME_LEFT, OBS_ABORT_INTERNAL, "out of memory");
        return NULL;
    }
    account->others = others;
    others += account->other_count;
    others->endpoint = strdup(endpoint);
    options.endpoint = endpoint;
    options.region = NULL;
    options.again = true;
    others->client = client_open(&options, NULL, failure);
    account->other_count++;
    return others->client;
}

const obs_abort_client *account_client(struct account *account, const struct target *target, struct failure *failure)
{
    char endpoint[512];
    size_t i;

    if (target->location == NULL)
        return account->client;
    if (!endpoint_in_region(account->endpoint, target->location, endpoint, sizeof endpoint)) {
        fail(failure, STATUS_SOME_LEFT, OBS_ABORT_INVALID_CONFIG,
             "skipped, as no endpoint is known for its region, %.64s: name it with --endpoint", target->location);
        return NULL;
    }
    if (strcmp(endpoint, account->endpoint) == 0)
        return account->client;
    for (i = 0; i < account->other_count; i++)
        if (account->others[i].client != NULL && account->others[i].endpoint != NULL &&
            strcmp(account->others[i].endpoint, endpoint) == 0)
            return account->others[i].client;
    return open_elsewhere(account, endpoint, failure);
}

void account_close(struct account *account)
{
    while (account->count > 0) {
        account->count--;
        free(account->targets[account->count].bucket);
        free(account->targets[account->count].location);
    }
    free(account->targets);
    while (account->other_count > 0) {
        account->other_count--;
        obs_abort_client_free(account->others[account->other_count].client);
        free(account->others[account->other_count].endpoint);
    }
    free(account->others);
}

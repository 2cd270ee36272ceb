/*
 * racy_host ENDPOINT BUCKET: two threads sweep with one client (a dry run), and their callbacks count in a variable that
 * nothing guards: a race of the program's own, with the library's frames below it.
 */
#include <obsabort.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>

static obs_abort_client *client;
static const char *bucket;
static unsigned long seen;

static int32_t count(const obs_abort_outcome *outcome, uint64_t done, uint64_t total_so_far, void *userdata)
{
    (void)outcome, (void)done, (void)total_so_far, (void)userdata;
    seen++;
    return 0;
}

static void *sweep(void *unused)
{
    obs_abort_stale(client, NULL, bucket, NULL, 3600, OBS_ABORT_DRY_RUN, count, NULL, NULL, NULL);
    return unused;
}

int main(int argc, char **argv)
{
    obs_abort_config *config = obs_abort_config_new();
    pthread_t other;
    int32_t code;

    if (argc != 3)
        return 2;
    bucket = argv[2];
    obs_abort_config_set_endpoint(config, argv[1]);
    obs_abort_config_set_credential_source(config, OBS_ABORT_CREDENTIALS_ENV);
    code = obs_abort_client_new(config, &client, NULL);
    obs_abort_config_free(config);
    if (code != OBS_ABORT_OK || pthread_create(&other, NULL, sweep, NULL) != 0)
        return 2;
    sweep(NULL);
    pthread_join(other, NULL);
    obs_abort_client_free(client);
    printf("%lu callbacks\n", seen);
    return seen == 0;
}

/*
 * A host as users have them: SIGPIPE at its default, not blocked, and no runtime that ignores it.
 *
 *     sigpipe_host ENDPOINT CA_FILE|- PROXY|- ABORTS
 *
 * Prints the code's name of each abort. A signal that kills it shows in its wait status.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <obsabort.h>

static int sigpipe_is_at_its_default(void)
{
    struct sigaction action;
    sigset_t blocked;
    return sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL
        && pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0 && !sigismember(&blocked, SIGPIPE);
}

int main(int argc, char **argv)
{
    obs_abort_config *config = obs_abort_config_new();
    obs_abort_client *client = NULL;
    char *error = NULL;
    int i;

    if (argc != 5 || !sigpipe_is_at_its_default()) {
        fprintf(stderr, "usage: ENDPOINT CA_FILE PROXY ABORTS, with SIGPIPE at its default\n");
        return 2;
    }
    obs_abort_config_set_endpoint(config, argv[1]);
    if (strcmp(argv[2], "-") != 0)
        obs_abort_config_set_ca_file(config, argv[2]);
    obs_abort_config_set_proxy(config, strcmp(argv[3], "-") == 0 ? "" : argv[3]);
    obs_abort_config_set_credentials(config, "ACCESSKEY", "secret-key", NULL);
    obs_abort_config_set_max_attempts(config, 2);
    obs_abort_config_set_timeout_ms(config, 10000);
    if (obs_abort_client_new(config, &client, &error) != OBS_ABORT_OK) {
        fprintf(stderr, "%s\n", error);
        return 2;
    }
    obs_abort_config_free(config);
    for (i = 0; i < atoi(argv[4]); i++) {
        int32_t code = obs_abort_multipart(client, "bucket", "key", "upload", NULL, &error);
        printf("%s\n", obs_abort_code_name(code));
        if (error != NULL)
            fprintf(stderr, "%s\n", error);
        obs_abort_string_free(error);
    }
    obs_abort_client_free(client);
    /* Its own signal still works: nothing has ignored or blocked it meanwhile. */
    if (!sigpipe_is_at_its_default()) {
        fprintf(stderr, "SIGPIPE is no longer at its default\n");
        return 3;
    }
    return 0;
}

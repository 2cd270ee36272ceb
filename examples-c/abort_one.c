/*
 * Aborts one multipart upload.
 *
 *     export OBS_ACCESS_KEY_ID=... OBS_SECRET_ACCESS_KEY=...
 *     abort_one https://obs.eu-101.myhuaweicloud.com my-bucket path/to/key UPLOAD_ID
 *
 * Exit status: 0 the upload is gone, 1 it could not be aborted, 2 wrong usage.
 */
#include <obsabort.h>
#include <stdio.h>

static const char *or_none(const char *text)
{
    return text != NULL ? text : "none";
}

static int abort_upload(const obs_abort_client *client, char **argv)
{
    obs_abort_outcome *outcome = NULL;
    int32_t code = obs_abort_multipart_outcome(client, NULL, argv[2], argv[3], argv[4], &outcome);

    printf("result:      %s (%s)\n", obs_abort_code_name(code), obs_abort_strerror(code));
    printf("HTTP status: %d\n", (int)obs_abort_outcome_http_status(outcome));
    printf("request id:  %s\n", or_none(obs_abort_outcome_request_id(outcome)));
    printf("attempts:    %u\n", (unsigned)obs_abort_outcome_attempts(outcome));
    if (code != OBS_ABORT_OK)
        fprintf(stderr, "abort_one: %s\n", or_none(obs_abort_outcome_message(outcome)));

    obs_abort_outcome_free(outcome);
    return code == OBS_ABORT_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: abort_one ENDPOINT BUCKET KEY UPLOAD_ID\n");
        return 2;
    }

    /* No return value is looked at here: a config remembers a setter that failed, and
       obs_abort_client_new then refuses it and names the setting. */
    obs_abort_config *config = obs_abort_config_new();
    obs_abort_config_set_endpoint(config, argv[1]);
    obs_abort_config_set_credential_source(config, OBS_ABORT_CREDENTIALS_ENV);

    obs_abort_client *client = NULL;
    char *error = NULL;
    int32_t code = obs_abort_client_new(config, &client, &error);
    obs_abort_config_free(config);
    if (code != OBS_ABORT_OK) {
        fprintf(stderr, "abort_one: %s\n", or_none(error));
        obs_abort_string_free(error);
        return 1;
    }

    /* A client keeps its connections: make one, and use it for every upload. */
    int status = abort_upload(client, argv);
    obs_abort_client_free(client);
    return status;
}

/* A stranger's program: consumer ENDPOINT BUCKET KEY UPLOAD_ID aborts an upload, and prints the name of the code. */
#include <obsabort.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    obs_abort_config *config = obs_abort_config_new();
    obs_abort_client *client = NULL;
    char *error = NULL;
    int32_t code;

    if (argc != 5 || strcmp(obs_abort_version(), OBS_ABORT_VERSION) != 0 ||
        obs_abort_version_number() != OBS_ABORT_VERSION_NUMBER)
        return 2;
    obs_abort_config_set_endpoint(config, argv[1]);
    obs_abort_config_set_credential_source(config, OBS_ABORT_CREDENTIALS_ENV);
    code = obs_abort_client_new(config, &client, &error);
    obs_abort_config_free(config);
    if (code == OBS_ABORT_OK)
        code = obs_abort_multipart(client, argv[2], argv[3], argv[4], NULL, &error);
    printf("%s\n", obs_abort_code_name(code));
    if (error != NULL)
        fprintf(stderr, "%s\n", error);
    obs_abort_string_free(error);
    obs_abort_client_free(client);
    return code == OBS_ABORT_OK ? 0 : 1;
}

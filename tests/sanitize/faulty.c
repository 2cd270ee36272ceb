/*
 * What a sanitizer must see: an error string that is never freed, and a config that is used after it was freed. Both lie in
 * memory that the library allocates, so that its own code is shown to be watched, not the program's alone.
 */
#include <obsabort.h>
#include <stddef.h>

int main(void)
{
    obs_abort_config *config = obs_abort_config_new();
#ifdef FAULT_leak
    obs_abort_client *client = NULL;
    char *error = NULL;

    obs_abort_client_new(config, &client, &error);
    error = NULL;
    obs_abort_config_free(config);
#endif
#ifdef FAULT_use_after_free
    obs_abort_config_free(config);
    obs_abort_config_set_confirm(config, 1);
#endif
    return 0;
}

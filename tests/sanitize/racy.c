/* What thread sanitizer must see: a config, which is for one thread alone, filled by two; the race is in the library's code. */
#include <obsabort.h>
#include <pthread.h>
#include <stddef.h>

static void *fill(void *config)
{
    uint32_t i;

    for (i = 1; i < 1000; i++)
        obs_abort_config_set_timeout_ms(config, i);
    return NULL;
}

int main(void)
{
    obs_abort_config *config = obs_abort_config_new();
    pthread_t other;

    pthread_create(&other, NULL, fill, config);
    fill(config);
    pthread_join(other, NULL);
    obs_abort_config_free(config);
    return 0;
}

#include "bridge.h"
#include "_cgo_export.h"

/*
 * The log callback belongs to the client, but a line belongs to one call, and goes to the goroutine that made it. The
 * library logs only on the thread that is inside the call.
 */
static __thread uintptr_t current;

static void on_log(int32_t level, const char *message, void *userdata)
{
    (void)userdata;
    if (current != 0)
        obsabortGoLog(current, level, (char *)message);
}

static int32_t on_progress(const obs_abort_outcome *outcome, uint64_t done, uint64_t total_so_far, void *userdata)
{
    (void)userdata;
    return obsabortGoProgress(current, (obs_abort_outcome *)outcome, done, total_so_far);
}

static int32_t on_candidate(const obs_abort_outcome *candidate, void *userdata)
{
    (void)userdata;
    return obsabortGoKeep(current, (obs_abort_outcome *)candidate);
}

static int32_t on_bucket(const char *name, const char *location, void *userdata)
{
    (void)userdata;
    return obsabortGoBucket(current, (char *)name, (char *)location);
}

int32_t obsabort_go_set_log(obs_abort_config *config, int32_t level)
{
    return obs_abort_config_set_log(config, on_log, NULL, level);
}

int32_t obsabort_go_multipart(uintptr_t callbacks, const obs_abort_client *client, const obs_abort_call *call,
                              const char *bucket, const char *key, const char *upload_id, obs_abort_outcome **outcome)
{
    int32_t code;

    current = callbacks;
    code = obs_abort_multipart_outcome(client, call, bucket, key, upload_id, outcome);
    current = 0;
    return code;
}

int32_t obsabort_go_many(uintptr_t callbacks, int wants_progress, const obs_abort_client *client, const obs_abort_call *call,
                         const char *bucket, const obs_abort_upload *uploads, size_t count, obs_abort_report **report,
                         char **error)
{
    int32_t code;

    current = callbacks;
    code = obs_abort_many(client, call, bucket, uploads, count, wants_progress ? on_progress : NULL, NULL, report, error);
    current = 0;
    return code;
}

int32_t obsabort_go_stale(uintptr_t callbacks, int wants_progress, const obs_abort_client *client,
                          const obs_abort_call *call, const char *bucket, const char *prefix, uint64_t older_than_seconds,
                          uint32_t flags, obs_abort_report **report, char **error)
{
    int32_t code;

    current = callbacks;
    code = obs_abort_stale(client, call, bucket, prefix, older_than_seconds, flags, wants_progress ? on_progress : NULL,
                           NULL, report, error);
    current = 0;
    return code;
}

int32_t obsabort_go_sweep(uintptr_t callbacks, int wants_progress, int wants_keep, const obs_abort_client *client,
                          const obs_abort_call *call, const char *bucket, obs_abort_selection *selection, uint32_t flags,
                          obs_abort_report **report, char **error)
{
    int32_t code;

    if (wants_keep)
        obs_abort_selection_set_filter(selection, on_candidate, NULL);
    current = callbacks;
    code = obs_abort_sweep(client, call, bucket, selection, flags, wants_progress ? on_progress : NULL, NULL, report, error);
    current = 0;
    return code;
}

int32_t obsabort_go_buckets(uintptr_t callbacks, const obs_abort_client *client, const obs_abort_call *call, char **error)
{
    int32_t code;

    current = callbacks;
    code = obs_abort_buckets(client, call, on_bucket, NULL, error);
    current = 0;
    return code;
}

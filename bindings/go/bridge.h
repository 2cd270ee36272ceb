/*
 * The verbs of obsabort.h with callbacks in Go. `callbacks` is a runtime/cgo.Handle, a number, which C passes as it is.
 */
#ifndef OBSABORT_GO_BRIDGE_H
#define OBSABORT_GO_BRIDGE_H

#include <obsabort.h>

int32_t obsabort_go_set_log(obs_abort_config *config, int32_t level);

int32_t obsabort_go_multipart(uintptr_t callbacks, const obs_abort_client *client, const obs_abort_call *call,
                              const char *bucket, const char *key, const char *upload_id, obs_abort_outcome **outcome);

int32_t obsabort_go_many(uintptr_t callbacks, int wants_progress, const obs_abort_client *client, const obs_abort_call *call,
                         const char *bucket, const obs_abort_upload *uploads, size_t count, obs_abort_report **report,
                         char **error);

int32_t obsabort_go_stale(uintptr_t callbacks, int wants_progress, const obs_abort_client *client,
                          const obs_abort_call *call, const char *bucket, const char *prefix, uint64_t older_than_seconds,
                          uint32_t flags, obs_abort_report **report, char **error);

/* With wants_keep, the selection gets the filter in Go. */
int32_t obsabort_go_sweep(uintptr_t callbacks, int wants_progress, int wants_keep, const obs_abort_client *client,
                          const obs_abort_call *call, const char *bucket, obs_abort_selection *selection, uint32_t flags,
                          obs_abort_report **report, char **error);

int32_t obsabort_go_buckets(uintptr_t callbacks, const obs_abort_client *client, const obs_abort_call *call, char **error);

#endif

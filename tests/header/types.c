/* Tags and typedefs name the same types, tags may be declared before the header, and functions have C linkage. */
struct obs_abort_upload;
struct obs_abort_config;
struct obs_abort_client;
struct obs_abort_call;
struct obs_abort_outcome;
struct obs_abort_report;

struct application {
    struct obs_abort_config *config;
    struct obs_abort_client *client;
    struct obs_abort_call *call;
    const struct obs_abort_upload *uploads;
};
int use(const struct application *application);

#include <obsabort.h>
#include <obsabort.h>

#ifdef __cplusplus
/* An error if the header had declared it with C++ linkage. */
extern "C" const char *obs_abort_version(void);
#endif

int use(const struct application *application)
{
    obs_abort_config *config = application->config;
    obs_abort_client *client = application->client;
    struct obs_abort_client **out = &client;
    obs_abort_call *call = application->call;
    struct obs_abort_upload upload;
    const obs_abort_upload *list = &upload;
    obs_abort_outcome *outcome = NULL;
    struct obs_abort_outcome **outcome_out = &outcome;
    struct obs_abort_report *report = NULL;
    obs_abort_report **report_out = &report;

    upload.key = "key";
    upload.upload_id = "id";
    if (application->uploads != NULL)
        upload = application->uploads[0];
    return (int)obs_abort_client_new(config, out, NULL) +
           (int)obs_abort_multipart_outcome(*out, call, "bucket", upload.key, upload.upload_id, outcome_out) +
           (int)obs_abort_many(*out, call, "bucket", list, 1, NULL, NULL, report_out, NULL) +
           (int)(sizeof(obs_abort_upload) == sizeof(struct obs_abort_upload));
}

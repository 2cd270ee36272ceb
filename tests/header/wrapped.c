/* The header inside a wrapper, which is included twice, and once more outside of it. */
#include "wrapper.h"
#include "wrapper.h"
#include <obsabort.h>

int32_t wrapped(const obs_abort_client *client)
{
    return obs_abort_multipart(client, "bucket", "key", "id", NULL, NULL);
}

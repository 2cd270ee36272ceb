/* A header of an application's own, which includes ours inside its guard and its extern "C". */
#ifndef WRAPPER_H
#define WRAPPER_H

#ifdef __cplusplus
extern "C" {
#endif

#include <obsabort.h>
int32_t wrapped(const obs_abort_client *client);

#ifdef __cplusplus
}
#endif

#endif

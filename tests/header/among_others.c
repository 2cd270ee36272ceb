/* The header after others, between them and before them. */
#include <stdint.h>
#include <string.h>
#ifdef __cplusplus
#include <cstdio>
#else
#include <stdio.h>
#endif
#include <obsabort.h>
#include <stdlib.h>
#include <stddef.h>
#include <obsabort.h>
#include <time.h>
#ifdef __cplusplus
#include <string>
#include <vector>
#endif

size_t use(void);
size_t use(void)
{
    return strlen(obs_abort_version()) + sizeof(uint64_t);
}

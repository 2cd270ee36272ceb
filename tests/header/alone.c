/* The header first, and a second time: it needs nothing before it, and may come again. */
#include <obsabort.h>
#include <obsabort.h>

const char *use(void);
const char *use(void)
{
    return obs_abort_version();
}

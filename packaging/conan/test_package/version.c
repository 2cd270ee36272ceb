#include <obsabort.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    puts(obs_abort_version());
    return strcmp(obs_abort_version(), OBS_ABORT_VERSION) != 0;
}

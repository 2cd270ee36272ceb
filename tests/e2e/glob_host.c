/* The globs of obs-abort, a line each: a glob, a space and a text, both in hexadecimal. Says 1 if they match, 0 if not, or
   what is wrong with the glob. */
#include "obs-abort.h"

#include <stdlib.h>
#include <string.h>

/* Decodes up to a space or a line's end, and returns what comes after it. */
static char *take(char *hex, char *text)
{
    while (*hex != ' ' && *hex != '\n') {
        char digits[3] = {hex[0], hex[1], '\0'};

        *text++ = (char)strtoul(digits, NULL, 16);
        hex += 2;
    }
    *text = '\0';
    return hex + 1;
}

int main(void)
{
    static char line[32768], pattern[16384], text[16384];
    const char *wrong;

    while (fgets(line, sizeof line, stdin) != NULL) {
        struct glob *glob;

        take(take(line, pattern), text);
        glob = glob_new(pattern, &wrong);
        puts(glob == NULL ? wrong : glob_matches(glob, text) ? "1" : "0");
        glob_free(glob);
    }
    return 0;
}

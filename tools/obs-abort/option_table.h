/* The table of all options: from it come parsing, --help, the manual's items and the completions. After a change to it:
   make -C tools/obs-abort texts */
#ifndef OBS_ABORT_OPTION_TABLE_H
#define OBS_ABORT_OPTION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind { FLAG, REPEATED, TEXT, TEXT_OR_EMPTY, AGE, AGE_OR_0, TIME, COUNT, CHOICE, SIZE, GLOB, DEPTH, PRICE };

enum option_group { WHAT_TO_ABORT, CONNECTION, OUTPUT, GROUPS };

struct option_choice {
    const char *name; /* NULL ends the list */
    int32_t value;
};

struct option_spec {
    const char *name;
    char letter; /* or 0 */
    enum option_kind kind;
    size_t offset; /* of the field in struct options */
    const struct option_choice *choices;
    enum option_group group;
    bool line;           /* --help, which fits a screen, spends a line on it; the others share lines */
    const char *value;   /* what its value is called; FILE is completed to names of files. NULL: it takes none */
    const char *words;   /* values that a completion offers, beside the choices, separated by spaces; or NULL */
    const char *summary; /* at most 51 characters */
};

extern const struct option_spec option_table[]; /* a NULL name ends it */

#endif

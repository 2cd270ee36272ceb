/* --help, from the table of options. */
#include "obs-abort.h"
#include "option_table.h"

#include <string.h>

#define WIDTH 79
#define SUMMARY_AT 28 /* the column in which summaries begin */

static const char head[] =
    "Usage: obs-abort [OPTION]... obs://BUCKET/KEY UPLOAD_ID  abort one upload\n"
    "       obs-abort [OPTION]... --stale AGE obs://BUCKET    abort what is as old\n"
    "       obs-abort [OPTION]... --from FILE obs://BUCKET    abort what FILE lists\n"
    "       obs-abort [OPTION]... --list obs://BUCKET         show the unfinished\n"
    "AGE is 90s, 90m, 24h or 7d. FILE has a line KEY<tab>UPLOAD_ID each; - is stdin.\n";

static const char tail[] =
    "Keys, if no option names them: OBS_*, HUAWEICLOUD_SDK_* and AWS_* variables,\n"
    "AWS_PROFILE, ~/.obsutilconfig, ~/.aws: the first is used, whole. -hv: more\n"
    "Exit: 0 all gone, 1 some are not, 2 usage, 3 could not start, 130 interrupted.\n";

static const char *const titles[] = {"What to abort:", "Connection:", "Output:"};

/* "-n, --dry-run" or "--prefix P". */
static size_t name_option(char *text, size_t size, const struct option_spec *spec)
{
    char letter[8] = "";

    if (spec->letter != '\0')
        snprintf(letter, sizeof letter, "-%c, ", spec->letter);
    return (size_t)snprintf(text, size, "%s--%s%s%s", letter, spec->name, spec->value != NULL ? " " : "",
                            spec->value != NULL ? spec->value : "");
}

static void put_line(const struct option_spec *spec)
{
    char text[80];
    size_t indent = spec->letter != '\0' ? 2 : 6, used = indent + name_option(text, sizeof text, spec);

    printf("%*s%s%*s%s\n", (int)indent, "", text, (int)(used + 2 <= SUMMARY_AT ? SUMMARY_AT - used : 2), "",
           spec->summary);
}

static bool is_in_head(const struct option_spec *spec)
{
    char text[80];

    snprintf(text, sizeof text, "[OPTION]... --%s ", spec->name);
    return strstr(head, text) != NULL;
}

/* Options that share lines. */
static void put_shared(void)
{
    const struct option_spec *spec;
    size_t column = 0;

    for (spec = option_table; spec->name != NULL; spec++) {
        char text[80];
        size_t length = name_option(text, sizeof text, spec);

        if (spec->line || is_in_head(spec))
            continue;
        if (column > 0 && column + 2 + length > WIDTH) {
            putchar('\n');
            column = 0;
        }
        column += (size_t)printf("  %s", text);
    }
    if (column > 0)
        putchar('\n');
}

void help_print(bool line_for_each)
{
    const struct option_spec *spec;
    int group;

    fputs(head, stdout);
    for (group = 0; group < GROUPS; group++) {
        if (line_for_each)
            printf("\n%s\n", titles[group]);
        for (spec = option_table; spec->name != NULL; spec++)
            if ((int)spec->group == group && (line_for_each || spec->line))
                put_line(spec);
    }
    if (line_for_each)
        putchar('\n');
    else
        put_shared();
    fputs(tail, stdout);
}

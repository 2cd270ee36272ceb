/* The question of --stale without --yes. */
#define _POSIX_C_SOURCE 200809L
#include "obs-abort.h"

#include <string.h>
#include <strings.h>
#include <time.h>

/* Reads a line from the terminal, or less at its end. Returns false if there is none, or a signal came. */
static bool read_answer(char *line, size_t size)
{
    size_t length = 0, count;

    while (length < size - 1 && (count = terminal_read(line + length, size - 1 - length)) > 0) {
        length += count;
        line[length] = '\0';
        if (line[length - 1] == '\n')
            return signals_seen == 0;
    }
    return false;
}

static bool said_yes(void)
{
    char answer[4097]; /* no terminal gives a longer line, so that nothing of it is left for the shell */
    size_t length;

    if (!read_answer(answer, sizeof answer)) {
        putc('\n', stderr); /* the question's line is still open */
        return false;
    }
    length = strlen(answer);
    while (length > 0 && strchr(" \t\r\n", answer[length - 1]) != NULL)
        answer[--length] = '\0';
    return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
}

static void put_age(const char *what, int64_t initiated)
{
    char when[32], age[32];

    format_time(when, sizeof when, initiated);
    format_age(age, sizeof age, (int64_t)time(NULL) - initiated);
    fprintf(stderr, "  %s: %s (%s ago)\n", what, when, age);
}

bool ask_to_abort(void)
{
    fflush(stderr);
    terminal_forget_input(); /* what was typed before can't be the answer */
    fputs("Abort them? Their parts are deleted. [y/N] ", stderr);
    fflush(stderr);
    return said_yes();
}

bool confirmed(const struct options *options, const struct preview *preview)
{
    fprintf(stderr, "%zu unfinished upload%s in obs://%s", preview->list.count, preview->list.count == 1 ? "" : "s",
            options->bucket);
    if (options->prefix != NULL) {
        fputs(" under ", stderr);
        put_text(stderr, options->prefix);
    }
    fprintf(stderr, ", %s old or older\n", options->stale);
    if (preview->oldest >= 0) {
        put_age("oldest", preview->oldest);
        put_age("newest", preview->newest);
    }
    if (preview->unknown_age > 0)
        fprintf(stderr, "  of unknown age%s: %llu\n", options->age > 0 ? ", and kept" : "",
                (unsigned long long)preview->unknown_age);
    if (preview->active > 0)
        fprintf(stderr, "  kept as active: %llu\n", (unsigned long long)preview->active);
    return ask_to_abort();
}

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

static enum answer take_answer(void)
{
    char answer[4097]; /* no terminal gives a longer line, so that nothing of it is left for the shell */
    size_t length;

    if (!read_answer(answer, sizeof answer)) {
        putc('\n', stderr); /* the question's line is still open */
        return ANSWER_NO;
    }
    length = strlen(answer);
    while (length > 0 && strchr(" \t\r\n", answer[length - 1]) != NULL)
        answer[--length] = '\0';
    if (strcasecmp(answer, "l") == 0 || strcasecmp(answer, "list") == 0)
        return ANSWER_LIST;
    return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0 ? ANSWER_YES : ANSWER_NO;
}

static size_t width(void)
{
    size_t columns = terminal_width();

    return columns > 0 ? columns : 80;
}

static void put_key(size_t column, const char *key)
{
    if (column + 2 + put_text(NULL, key) < width())
        fputs("  ", stderr);
    else
        fputs("\n    ", stderr);
    put_text(stderr, key);
    putc('\n', stderr);
}

static void put_age(const char *what, int64_t initiated, const char *key)
{
    char when[32], age[32], text[128];

    format_time(when, sizeof when, initiated);
    format_age(age, sizeof age, (int64_t)time(NULL) - initiated);
    snprintf(text, sizeof text, "  %s: %s (%s ago)", what, when, age);
    if (strlen(text) >= width())
        snprintf(text, sizeof text, "  %s: %s ago", what, age);
    fputs(text, stderr);
    put_key(strlen(text), key);
}

void describe_found(char *buffer, size_t size, const struct options *options, int64_t cutoff, const struct amount *amount)
{
    char begun[128] = ", those in progress included", when[32], span[64], bytes[64], cost[64] = "";

    if (cutoff >= 0) {
        format_time(when, sizeof when, cutoff);
        if (cutoff % 60 == 0)
            strcpy(when + strlen("2026-11-24T04:00"), "Z");
        format_span(span, sizeof span, options->age);
        snprintf(begun, sizeof begun, " begun before %s (%s ago)", when, span);
    }
    format_amount(bytes, sizeof bytes, amount);
    if (options->price > 0 && amount_is_known(amount)) {
        strcpy(cost, ", ");
        format_cost(cost + 2, sizeof cost - 2, amount, options->price);
        strcat(cost, " a month");
    }
    snprintf(buffer, size, "%llu upload%s%s, %s%s", (unsigned long long)amount->uploads, amount->uploads == 1 ? "" : "s",
             begun, bytes, cost);
}

enum answer ask_to_abort(void)
{
    fflush(stderr);
    terminal_forget_input(); /* what was typed before can't be the answer */
    put_wrapped("Abort them? Their parts are deleted. [y/N/l]");
    putc(' ', stderr);
    fflush(stderr);
    return take_answer();
}

static void put_question(const struct options *options, const struct preview *preview)
{
    const struct totals *totals = &preview->totals;
    char text[256], line[512];

    describe_found(text, sizeof text, options, preview->cutoff, &totals->all);
    snprintf(line, sizeof line, "%s, in %s%zu prefix%s of obs://%s", text, totals->other.uploads > 0 ? "more than " : "",
             totals->count, totals->count == 1 ? "" : "es", options->bucket);
    put_wrapped(line);
    if (options->prefix != NULL) {
        fputs(" under ", stderr);
        put_text(stderr, options->prefix);
    }
    putc('\n', stderr);
    if (preview->oldest >= 0) {
        put_age("oldest", preview->oldest, preview->list.uploads[preview->oldest_at].key);
        put_age("newest", preview->newest, preview->list.uploads[preview->newest_at].key);
    }
    if (preview->unknown_age > 0)
        fprintf(stderr, "  of unknown age%s: %llu\n", options->age > 0 ? ", and kept" : "",
                (unsigned long long)preview->unknown_age);
    if (preview->active > 0)
        fprintf(stderr, "  kept as active: %llu\n", (unsigned long long)preview->active);
}

bool confirmed(const struct options *options, const struct preview *preview)
{
    enum answer answer;

    put_question(options, preview);
    while ((answer = ask_to_abort()) == ANSWER_LIST)
        view_list(options, &preview->list);
    return answer == ANSWER_YES;
}

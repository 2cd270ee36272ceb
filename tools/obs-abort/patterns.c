/* Which keys and buckets the options choose. */
#include "obs-abort.h"

#include <stdlib.h>
#include <string.h>

#define MOST_NAMED 3 /* of the globs that nothing matched */

const char *patterns_add(struct patterns *patterns, const char *text)
{
    const char *wrong;
    struct pattern *items = realloc(patterns->items, (patterns->count + 1) * sizeof *items);

    if (items == NULL)
        return "out of memory";
    patterns->items = items;
    items[patterns->count].text = text;
    items[patterns->count].matched = false;
    items[patterns->count].glob = glob_new(text, &wrong);
    patterns->count += wrong == NULL;
    return wrong;
}

bool patterns_match(const struct patterns *patterns, const char *text)
{
    bool any = false;
    size_t i;

    /* Those after the first, too: each is to be known as one that something matched. */
    for (i = 0; i < patterns->count; i++) {
        if (glob_matches(patterns->items[i].glob, text))
            patterns->items[i].matched = any = true;
    }
    return any;
}

void patterns_free(struct patterns *patterns)
{
    while (patterns->count > 0)
        glob_free(patterns->items[--patterns->count].glob);
    free(patterns->items);
}

bool key_is_chosen(const struct options *options, const char *key)
{
    bool taken = patterns_match(&options->match, key), left_out = patterns_match(&options->not, key);

    return (taken || options->match.count == 0) && !left_out;
}

static void note_each(const struct patterns *patterns, const char *name, const char *what, size_t *unmatched,
                      struct summary *summary)
{
    size_t i;

    for (i = 0; i < patterns->count; i++) {
        const char *text = patterns->items[i].text;
        bool one_level = strncmp(what, "uploads", 7) == 0 && strchr(text, '*') != NULL && strstr(text, "**") == NULL;

        if (!patterns->items[i].matched && ++*unmatched <= MOST_NAMED)
            add_note(summary, false, "--%s %.100s matches none of the %s%s", name, text, what,
                     one_level ? " (* does not match a /, ** does)" : "");
    }
}
void note_unmatched(const struct options *options, struct summary *summary)
{
    /* Younger ones were not held against them. */
    const char *what = options->age > 0 ? "uploads that are old enough" : "uploads";
    size_t unmatched = 0;

    if (summary->aborted + summary->missing + summary->failed + summary->kept == 0)
        return;
    note_each(&options->match, "match", what, &unmatched, summary);
    note_each(&options->not, "not", what, &unmatched, summary);
    if (unmatched > MOST_NAMED)
        add_note(summary, false, "nor do %zu others", unmatched - MOST_NAMED);
}

void note_unmatched_buckets(const struct options *options, struct summary *summary)
{
    size_t unmatched = 0;

    note_each(&options->bucket_match, "bucket-match", "buckets", &unmatched, summary);
    if (unmatched > MOST_NAMED)
        add_note(summary, false, "nor do %zu others", unmatched - MOST_NAMED);
}

/* Globs on keys and on names of buckets. fnmatch(3) would not do: Windows has none, what a character is depends on the
   locale, it takes an open bracket or a last backslash as they stand, and some of its implementations need exponential
   time. */
#include "obs-abort.h"

#include <stdlib.h>
#include <string.h>

#define MOST_TOKENS 1024 /* as many as the longest key has bytes */

enum token_kind { CHARACTER, ANY_CHARACTER, SET, STAR, TWO_STARS };

struct range {
    uint32_t first, last;
};

struct token {
    enum token_kind kind;
    uint32_t character;
    bool negated;      /* a set of the characters that its ranges don't have */
    size_t from, till; /* its ranges */
};

struct glob {
    size_t token_count, range_count;
    struct token *tokens;
    struct range *ranges;
};

/* The next character. A byte that is no UTF-8 stands for itself, apart from all characters. */
static uint32_t next_character(const char **text)
{
    const unsigned char *bytes = (const unsigned char *)*text;
    uint32_t character;
    size_t length = decode_utf8(bytes, &character);

    *text += length > 0 ? length : 1;
    return length > 0 ? character : 0x110000u + *bytes;
}

/* The same in a glob, in which a backslash takes away the meaning of what follows. */
static uint32_t next_literal(const char **pattern)
{
    if (**pattern == '\\')
        ++*pattern;
    return next_character(pattern);
}

/* What stands in brackets, from after the bracket that opens it. Returns what is wrong with it, or NULL. */
static const char *add_set(struct glob *glob, const char **pattern)
{
    struct token *token = &glob->tokens[glob->token_count++];
    bool first = true;

    token->kind = SET;
    token->from = glob->range_count;
    token->negated = **pattern == '!' || **pattern == '^';
    *pattern += token->negated;
    for (; **pattern != ']' || first; first = false) {
        struct range *range = &glob->ranges[glob->range_count++];

        if (**pattern == '[' && strchr(":.=", (*pattern)[1]) != NULL && (*pattern)[1] != '\0')
            return "classes as [:alpha:] are not known";
        if (**pattern == '\0' || (**pattern == '\\' && (*pattern)[1] == '\0'))
            return "a bracket is not closed; a bracket itself is written \\[";
        range->first = range->last = next_literal(pattern);
        if (**pattern == '-' && (*pattern)[1] != ']' && (*pattern)[1] != '\0') {
            ++*pattern;
            range->last = next_literal(pattern);
        }
        if (range->first == '/' || range->last == '/')
            return "a / can't stand in brackets, which match none";
        if (range->last < range->first)
            return "a range in brackets runs backwards";
    }
    token->till = glob->range_count;
    ++*pattern;
    return NULL;
}

/* Returns what is wrong with the glob, or NULL. */
static const char *add_token(struct glob *glob, const char **pattern)
{
    const char *text = *pattern;

    if (*text == '[') {
        ++*pattern;
        return add_set(glob, pattern);
    }
    if (*text == '*') {
        size_t stars = strspn(text, "*");

        glob->tokens[glob->token_count++].kind = stars == 1 ? STAR : TWO_STARS;
        *pattern += stars;
        return stars > 2 ? "more than two stars in a row" : NULL;
    }
    if (*text == '?') {
        glob->tokens[glob->token_count++].kind = ANY_CHARACTER;
        ++*pattern;
        return NULL;
    }
    /* To the user of a shell or of rclone these are alternatives; a glob that excludes nothing would abort too much. */
    if (*text == '{')
        return "{a,b} is not known: give the option once for each; a brace itself is written \\{";
    if (*text == '\\' && text[1] == '\0')
        return "nothing follows the last backslash";
    glob->tokens[glob->token_count++].character = next_literal(pattern);
    return NULL;
}

static const char *compile(struct glob *glob, const char *pattern)
{
    const char *wrong = NULL, *text = pattern;

    if (*pattern == '\0')
        return "it is empty";
    while (*text != '\0')
        if (next_character(&text) >= 0x110000u)
            return "it is not UTF-8";
    for (text = pattern; *text != '\0' && wrong == NULL;)
        wrong = add_token(glob, &text);
    return wrong == NULL && glob->token_count > MOST_TOKENS ? "it is longer than any key" : wrong;
}

struct glob *glob_new(const char *pattern, const char **wrong)
{
    size_t most = strlen(pattern) + 1; /* tokens, and ranges, too: each takes a byte or more */
    struct glob *glob = calloc(1, sizeof *glob);

    *wrong = "out of memory";
    if (glob == NULL)
        return NULL;
    glob->tokens = calloc(most, sizeof *glob->tokens);
    glob->ranges = calloc(most, sizeof *glob->ranges);
    if (glob->tokens != NULL && glob->ranges != NULL)
        *wrong = compile(glob, pattern);
    if (*wrong == NULL)
        return glob;
    glob_free(glob);
    return NULL;
}

void glob_free(struct glob *glob)
{
    if (glob == NULL)
        return;
    free(glob->tokens);
    free(glob->ranges);
    free(glob);
}

static bool is_star(const struct token *token)
{
    return token->kind == STAR || token->kind == TWO_STARS;
}

/* Whether the token takes the character: as one, or as one of those that a star stands for. */
static bool takes(const struct glob *glob, const struct token *token, uint32_t character)
{
    size_t i;

    switch (token->kind) {
    case CHARACTER:
        return character == token->character;
    case ANY_CHARACTER:
    case STAR:
        return character != '/';
    case TWO_STARS:
        return true;
    case SET:
        for (i = token->from; i < token->till; i++)
            if (character >= glob->ranges[i].first && character <= glob->ranges[i].last)
                return character != '/' && !token->negated;
        return character != '/' && token->negated;
    }
    return false;
}

/* All ways through the glob at once: reached[i] says whether the text so far may have used up its first i tokens. So the
   time is at most that of tokens times characters, whatever the stars. */
bool glob_matches(const struct glob *glob, const char *text)
{
    bool reached[MOST_TOKENS + 1] = {true}, any = true;
    size_t i, count = glob->token_count;

    for (i = 0; i < count && is_star(&glob->tokens[i]); i++)
        reached[i + 1] = true;
    while (*text != '\0' && any) {
        uint32_t character = next_character(&text);

        /* Downwards, as each is made of itself and of the one below, both as they were before this character. */
        for (i = count + 1; i-- > 0;) {
            bool stays = i < count && reached[i] && is_star(&glob->tokens[i]) && takes(glob, &glob->tokens[i], character);

            reached[i] = stays || (i > 0 && reached[i - 1] && takes(glob, &glob->tokens[i - 1], character));
        }
        for (any = reached[0], i = 0; i < count; i++) {
            reached[i + 1] |= reached[i] && is_star(&glob->tokens[i]);
            any |= reached[i + 1];
        }
    }
    return reached[count];
}

/* Files of settings, which may hold secrets: those of the AWS tools, of obsutil, and of environment variables. Each is read
   whole into one buffer, which is wiped: the buffers of stdio and getline leave copies behind. */
#include "ini.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* In bytes. The largest that are kept by hand have some ten thousand. */
#define MOST (1024 * 1024)

void wipe(void *memory, size_t size)
{
    volatile char *byte = memory;

    while (size > 0)
        byte[--size] = '\0';
}

void wipe_string(char *text)
{
    if (text != NULL)
        wipe(text, strlen(text));
    free(text);
}

static bool refuse(struct failure *failure, const struct text *text, size_t line, const char *why)
{
    fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_NO_CREDENTIALS, "%s, line %zu: %s", text->name, line, why);
    return false;
}

/* What editors and shells of other systems leave in a file is neither taken as content nor passed over. */
static bool is_fit(struct text *text, struct failure *failure)
{
    const char *content = text->content, *nul = memchr(content, '\0', text->size), *at;
    size_t line = 1;

    if (text->size > MOST) {
        fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_NO_CREDENTIALS, "%s: larger than 1 MiB, so no file of settings",
             text->name);
        return false;
    }
    if (text->size >= 2 && (memcmp(content, "\xff\xfe", 2) == 0 || memcmp(content, "\xfe\xff", 2) == 0))
        return refuse(failure, text, 1, "UTF-16 text; save it as UTF-8");
    if (nul != NULL) {
        for (at = content; at < nul; at++)
            line += *at == '\n';
        return refuse(failure, text, line, "a NUL byte (UTF-16 text? save it as UTF-8)");
    }
    text->first = text->size >= 3 && memcmp(content, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    return true;
}

bool text_read(struct text *text, const char *path, bool optional, struct failure *failure)
{
    FILE *file = open_file(path);
    int error = errno;

    memset(text, 0, sizeof *text);
    text->name = path;
    if (file == NULL && optional && (error == ENOENT || error == ENOTDIR))
        return true;
    if (file != NULL) {
        setvbuf(file, NULL, _IONBF, 0);
        text->open_to_others = others_can_read(file);
        text->content = calloc(MOST + 1, 1);
        if (text->content != NULL)
            text->size = fread(text->content, 1, MOST + 1, file);
        error = text->content == NULL ? ENOMEM : !ferror(file) ? 0 : errno != 0 ? errno : EIO;
        fclose(file);
    }
    if (error == 0)
        return is_fit(text, failure);
    fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_NO_CREDENTIALS, "%s: %s", path, strerror(error));
    return false;
}

void text_close(struct text *text)
{
    if (text->content != NULL)
        wipe(text->content, text->size);
    free(text->content);
    text->content = NULL;
    text->size = text->first = 0;
}

bool text_line(const struct text *text, size_t *position, struct slice *line)
{
    const char *end;

    if (*position < text->first)
        *position = text->first;
    if (*position >= text->size)
        return false;
    line->start = text->content + *position;
    line->length = text->size - *position;
    end = memchr(line->start, '\n', line->length);
    if (end != NULL)
        line->length = (size_t)(end - line->start);
    *position += line->length + (end != NULL);
    line->length -= line->length > 0 && line->start[line->length - 1] == '\r';
    return true;
}

char *slice_copy(struct slice slice)
{
    char *copy = malloc(slice.length + 1);

    if (copy != NULL) {
        memcpy(copy, slice.start, slice.length);
        copy[slice.length] = '\0';
    }
    return copy;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct slice trimmed(const char *start, const char *end)
{
    struct slice slice;

    while (start < end && is_space(*start))
        start++;
    while (start < end && is_space(end[-1]))
        end--;
    slice.start = start;
    slice.length = (size_t)(end - start);
    return slice;
}

/* ASCII letters of either case are the same: so the AWS tools take names of settings, obsutil does not. */
static bool equals(struct slice slice, const char *text, bool any_case)
{
    size_t i;

    for (i = 0; i < slice.length; i++) {
        char c = slice.start[i];

        if (any_case && c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (text[i] == '\0' || c != text[i])
            return false;
    }
    return text[i] == '\0';
}

/* A walk through the lines. */
struct walk {
    const struct text *text;
    enum form form;
    size_t position, line, section_line;
    struct slice section, option; /* the last ones */
    size_t indent;                /* of the option */
    bool in_section, in_option;
};

struct item {
    struct slice section, parent, name, value; /* parent: the option that it is a part of, by its indentation */
    bool is_section;
};

enum step { STEP_ITEM, STEP_END, STEP_WRONG };

/* "[NAME]", and maybe a comment. */
static bool take_section(struct walk *walk, struct slice line)
{
    const char *end = line.start + line.length, *close = memchr(line.start, ']', line.length);
    struct slice rest;

    if (close == NULL)
        return false;
    rest = trimmed(close + 1, end);
    walk->section = trimmed(line.start + 1, close);
    walk->section_line = walk->line;
    walk->in_section = true;
    walk->in_option = false;
    return rest.length == 0 || *rest.start == '#' || *rest.start == ';';
}

/* As the AWS tools take it, without the comment after it. */
static struct slice without_comment(struct slice value)
{
    size_t i;

    for (i = 0; i < value.length; i++)
        if ((value.start[i] == '#' || value.start[i] == ';') && (i == 0 || is_space(value.start[i - 1])))
            return trimmed(value.start, value.start + i);
    return value;
}

static enum step step(struct walk *walk, struct item *item)
{
    bool aws = walk->form == FORM_AWS;
    struct slice line, whole;

    while (text_line(walk->text, &walk->position, &whole)) {
        const char *end = whole.start + whole.length, *sign;
        size_t indent;
        bool inner;

        walk->line++;
        line = trimmed(whole.start, end);
        indent = (size_t)(line.start - whole.start);
        if (line.length == 0 || *line.start == '#' || (aws && *line.start == ';'))
            continue;
        memset(item, 0, sizeof *item);
        if (aws && *line.start == '[') {
            item->is_section = true;
            if (!take_section(walk, line))
                return STEP_WRONG;
            item->section = walk->section;
            return STEP_ITEM;
        }
        inner = aws && walk->in_option && indent > walk->indent;
        sign = memchr(line.start, '=', line.length);
        if (sign == NULL && inner)
            continue; /* the value goes on, and none of those wanted here is so long */
        if (sign == NULL || sign == line.start || (aws && !walk->in_section))
            return STEP_WRONG;
        item->section = walk->section;
        item->name = trimmed(line.start, sign);
        item->value = trimmed(sign + 1, end);
        if (aws)
            item->value = without_comment(item->value);
        if (inner) {
            item->parent = walk->option;
        } else {
            walk->option = item->name;
            walk->indent = indent;
            walk->in_option = true;
        }
        return STEP_ITEM;
    }
    return STEP_END;
}

bool ini_check(const struct text *text, enum form form, struct failure *failure)
{
    struct walk walk = {.text = text, .form = form};
    struct item item;
    enum step last;

    do
        last = step(&walk, &item);
    while (last == STEP_ITEM);
    return last == STEP_END ||
           refuse(failure, text, walk.line,
                  form == FORM_AWS ? "neither [SECTION] nor, in a section, NAME = VALUE" : "not NAME=VALUE");
}

/* Whether it is "KIND NAME", or NAME without a kind. The AWS tools allow quotes around the name. */
static bool is_section(struct slice section, const char *kind, const char *name)
{
    size_t length = kind != NULL ? strlen(kind) : 0;
    struct slice rest;

    if (name == NULL || kind == NULL)
        return equals(section, name != NULL ? name : "", false);
    if (strcmp(kind, "profile") == 0 && strcmp(name, "default") == 0 && equals(section, name, false))
        return true;
    if (section.length <= length || memcmp(section.start, kind, length) != 0 || !is_space(section.start[length]))
        return false;
    rest = trimmed(section.start + length, section.start + section.length);
    if (rest.length >= 2 && (*rest.start == '"' || *rest.start == '\'') && rest.start[rest.length - 1] == *rest.start)
        rest = trimmed(rest.start + 1, rest.start + rest.length - 1);
    return equals(rest, name, false);
}

bool ini_has_section(const struct text *text, const char *kind, const char *name)
{
    struct walk walk = {.text = text, .form = FORM_AWS};
    struct item item;

    while (step(&walk, &item) == STEP_ITEM)
        if (item.is_section && is_section(item.section, kind, name))
            return true;
    return false;
}

struct setting ini_find(const struct text *text, enum form form, struct where where, const char *name)
{
    struct walk walk = {.text = text, .form = form};
    struct setting found = {{NULL, 0}, 0, 0, 0};
    struct item item;

    while (step(&walk, &item) == STEP_ITEM) {
        if (item.is_section || !is_section(item.section, where.kind, where.section) ||
            !equals(item.parent, where.parent != NULL ? where.parent : "", true) ||
            !equals(item.name, name, form == FORM_AWS))
            continue;
        if (found.line == 0)
            found.line = walk.line;
        else
            found.again = walk.line;
        found.section = walk.section_line;
        found.value = item.value;
    }
    return found;
}

/* Text files, line by line: lists of uploads. What editors and shells of other systems leave in them
   is neither taken as content nor passed over: a byte order mark, UTF-16, CR LF, NUL bytes. */
#include "obs-abort.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool lines_open(struct lines *lines, const char *path)
{
    memset(lines, 0, sizeof *lines);
    lines->name = path;
    lines->file = open_file(path);
    lines->error = lines->file == NULL ? errno : 0;
    return lines->file != NULL;
}

void lines_open_stdin(struct lines *lines)
{
    memset(lines, 0, sizeof *lines);
    lines->name = "standard input";
    lines->file = stdin;
}

/* Why the line can't be taken, or NULL. */
static const char *unfit(const char *line, size_t length, size_t number)
{
    if (number == 1 && length >= 2 && (memcmp(line, "\xff\xfe", 2) == 0 || memcmp(line, "\xfe\xff", 2) == 0))
        return "UTF-16 text; save it as UTF-8";
    if (strlen(line) != length)
        return "a NUL byte (UTF-16 text? save it as UTF-8)";
    return NULL;
}

char *lines_next(struct lines *lines)
{
    size_t length = read_line(&lines->line, &lines->size, lines->file);
    char *line = lines->line;

    if (length == 0) {
        lines->error = feof(lines->file) ? 0 : errno;
        return NULL;
    }
    lines->number++;
    lines->wrong = unfit(line, length, lines->number);
    if (lines->wrong != NULL)
        return NULL;
    lines->unended = line[length - 1] != '\n';
    if (!lines->unended)
        line[--length] = '\0';
    if (length > 0 && line[length - 1] == '\r') {
        line[--length] = '\0';
        lines->crlf = true;
    }
    return lines->number == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0 ? line + 3 : line;
}

bool lines_complete(const struct lines *lines, int status, int32_t code, struct failure *failure)
{
    if (lines->error != 0)
        fail(failure, STATUS_COULD_NOT_START, code, "%s: %s", lines->name, strerror(lines->error));
    else if (lines->wrong != NULL)
        fail(failure, status, code, "%s, line %zu: %s", lines->name, lines->number, lines->wrong);
    return lines->error == 0 && lines->wrong == NULL;
}

void lines_close(struct lines *lines)
{
    volatile char *byte = lines->line; /* there may be secrets in it */
    size_t i;

    for (i = 0; i < lines->size; i++)
        byte[i] = '\0';
    free(lines->line);
    if (lines->file != NULL && lines->file != stdin)
        fclose(lines->file);
}

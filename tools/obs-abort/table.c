/* Aligned columns, for a terminal. The first rows are held back to learn how wide the columns are; the rest is written as it
   comes, so that a long list needs no more memory than a short one. */
#define _POSIX_C_SOURCE 200809L
#include "obs-abort.h"

#include <stdlib.h>
#include <string.h>

#define GAP 2 /* between columns, and before a last column that is on a line of its own */

static void put_spaces(FILE *out, size_t count)
{
    fprintf(out, "%*s", (int)count, "");
}

static size_t cell_width(const struct table *table, size_t column, const char *cell)
{
    return table->columns[column].verbatim ? strlen(cell) : put_text(NULL, cell);
}

static void put_cell(const struct table *table, size_t column, const char *cell)
{
    if (table->columns[column].verbatim)
        fputs(cell, table->out);
    else
        put_text(table->out, cell);
}

/* The cell of a column that others follow, or not. */
static void put_padded(const struct table *table, size_t column, const char *cell, bool last)
{
    size_t width = cell_width(table, column, cell), room = table->widths[column];
    size_t padding = room > width ? room - width : 0;

    if (table->columns[column].right)
        put_spaces(table->out, padding);
    put_cell(table, column, cell);
    if (!last)
        put_spaces(table->out, GAP + (table->columns[column].right ? 0 : padding));
}

static void put_row(const struct table *table, const char *const *cells)
{
    size_t i, in_line = table->count - table->folded;

    for (i = 0; i < in_line; i++)
        put_padded(table, i, cells[i], i + 1 == in_line);
    for (i = in_line; i < table->count; i++) {
        putc('\n', table->out);
        put_spaces(table->out, GAP);
        put_cell(table, i, cells[i]);
    }
    putc('\n', table->out);
}

static void put_header(const struct table *table)
{
    struct table header = *table;
    const char *titles[TABLE_COLUMNS];
    size_t i;

    for (i = 0; i < table->count; i++) {
        header.columns[i].verbatim = true;
        titles[i] = table->columns[i].title;
    }
    if (table->bold)
        fputs("\033[1m", table->out);
    put_row(&header, titles);
    if (table->bold)
        fputs("\033[0m", table->out);
}

/* Writes what was held back. */
static void settle(struct table *table)
{
    size_t i, line = 0;

    for (i = 0; i < table->count; i++)
        line += table->widths[i] + (i > 0 ? GAP : 0);
    while (line > table->terminal && table->folded < table->fold)
        line -= table->widths[table->count - ++table->folded] + GAP;
    table->settled = true;
    put_header(table);
    for (i = 0; i < table->held; i++) {
        put_row(table, (const char *const *)table->rows[i]);
        free(table->rows[i]);
    }
    table->held = 0;
}

void table_open(struct table *table, FILE *out, const struct table_column *columns, size_t count)
{
    size_t i;

    memset(table, 0, sizeof *table);
    table->out = out;
    memcpy(table->columns, columns, count * sizeof *columns);
    table->count = count;
    table->bold = colours_wanted(out);
    table->terminal = terminal_width();
    if (table->terminal == 0)
        table->terminal = 80;
    for (i = 0; i < count; i++)
        table->widths[i] = strlen(columns[i].title);
}

/* The pointers and the texts in one piece of memory. NULL: there is none. */
static char **copy_row(const char *const *cells, size_t count)
{
    size_t i, size = count * sizeof *cells;
    char **copy, *text;

    for (i = 0; i < count; i++)
        size += strlen(cells[i]) + 1;
    copy = malloc(size);
    if (copy == NULL)
        return NULL;
    text = (char *)(copy + count);
    for (i = 0; i < count; i++) {
        copy[i] = strcpy(text, cells[i]);
        text += strlen(text) + 1;
    }
    return copy;
}

void table_row(struct table *table, const char *const *cells)
{
    char **copy = NULL;
    size_t i;

    if (!table->settled) {
        for (i = 0; i < table->count; i++) {
            size_t width = cell_width(table, i, cells[i]);

            if (width > table->widths[i])
                table->widths[i] = width;
        }
        copy = copy_row(cells, table->count);
    }
    if (copy == NULL) {
        if (!table->settled)
            settle(table);
        put_row(table, cells);
        return;
    }
    if (table->held == 0)
        table->held_since_ms = monotonic_ms();
    table->rows[table->held++] = copy;
    if (table->held == TABLE_HELD)
        settle(table);
}

void table_flush(struct table *table)
{
    if (table->held > 0)
        settle(table);
}

static size_t word_length(const char *text, size_t *columns)
{
    size_t length = 0;

    for (*columns = 0; text[length] != '\0' && text[length] != ' '; ++*columns) {
        if (text[length] == '\033') {
            length += strcspn(text + length, "m");
            --*columns;
        }
        length += text[length] != '\0';
    }
    return length;
}

size_t put_wrapped(const char *text)
{
    size_t width = is_terminal(stderr) ? terminal_width() : 0, column = 0, columns, length;

    for (; *text != '\0'; text += length + (text[length] == ' ')) {
        length = word_length(text, &columns);
        if (column > 0 && width > 0 && column + 1 + columns >= width) {
            fputs("\n  ", stderr);
            column = 2;
        } else if (column > 0) {
            putc(' ', stderr);
            column++;
        }
        fwrite(text, 1, length, stderr);
        column += columns;
    }
    return column;
}

/* Uploads in columns, on a terminal. */
#define _POSIX_C_SOURCE 200809L
#include "obs-abort.h"

#include <string.h>
#include <time.h>

#define WIDE 120 /* columns of a terminal on which there is room for everything */

/* Returns the number of columns. */
static size_t choose_columns(struct table_column *columns, const struct options *options)
{
    static const struct table_column bucket = {"BUCKET", false, false}, begun = {"BEGUN", false, true},
                                     age = {"AGE", false, true}, parts = {"PARTS", true, true},
                                     size = {"SIZE", true, true}, last = {"LAST PART", false, true},
                                     key = {"KEY", false, false}, id = {"UPLOAD ID", false, false};
    size_t count = 0;

    if (options->several)
        columns[count++] = bucket;
    if (terminal_width() >= WIDE)
        columns[count++] = begun;
    columns[count++] = age;
    if (options_measure(options)) {
        columns[count++] = parts;
        columns[count++] = size;
        if (terminal_width() >= WIDE)
            columns[count++] = last;
    }
    columns[count++] = key;
    columns[count++] = id;
    return count;
}

void uploads_table_row(struct table *table, const struct options *options, const char *upload_key,
                       const char *upload_id, const struct measure *measure)
{
    char begun[32], age[32] = "-", parts[32] = "-", size[32] = "-", last[32] = "-";
    const char *cells[TABLE_COLUMNS];
    size_t count = 0;

    format_time(begun, sizeof begun, measure->initiated);
    if (measure->initiated >= 0)
        format_age(age, sizeof age, (int64_t)time(NULL) - measure->initiated);
    if (measure->sized) {
        snprintf(parts, sizeof parts, "%llu", (unsigned long long)measure->parts);
        format_bytes(size, sizeof size, measure->bytes);
    }
    if (measure->sized && measure->last_part >= 0) {
        format_age(last, sizeof last, (int64_t)time(NULL) - measure->last_part);
        strcat(last, " ago");
    }
    if (options->several)
        cells[count++] = options->bucket;
    if (table->terminal >= WIDE)
        cells[count++] = begun;
    cells[count++] = age;
    if (options_measure(options)) {
        cells[count++] = parts;
        cells[count++] = size;
        if (table->terminal >= WIDE)
            cells[count++] = last;
    }
    cells[count++] = upload_key;
    cells[count++] = upload_id;
    table_row(table, cells);
}

void uploads_table_open(struct table *table, FILE *out, const struct options *options)
{
    struct table_column columns[TABLE_COLUMNS];
    size_t count = choose_columns(columns, options);

    table_open(table, out, columns, count);
    table->fold = 2; /* the upload id, then the key */
}

void view_list(const struct options *options, const struct upload_list *list)
{
    struct table table;
    size_t i;

    uploads_table_open(&table, stderr, options);
    for (i = 0; i < list->count && signals_seen == 0; i++)
        uploads_table_row(&table, options, list->uploads[i].key, list->uploads[i].upload_id, &list->facts[i].measure);
    table_flush(&table);
    fflush(stderr);
}

/* The sums of --totals. */
#include "obs-abort.h"

#include <string.h>
#include <time.h>

static void put_total_json(const struct view *view, const char *prefix, const struct amount *amount)
{
    fputs("{\"type\":\"total\"", stdout);
    put_json_field(stdout, "bucket", view->options->bucket);
    put_json_field(stdout, "prefix", prefix);
    put_json_bool(stdout, "other", prefix == NULL);
    put_json_count(stdout, "uploads", amount->uploads);
    put_json_size(stdout, "bytes", amount_is_known(amount), amount->bytes);
    put_json_count(stdout, "unmeasured", amount->uploads - amount->sized);
    put_json_time(stdout, "oldest", amount->oldest);
    put_json_cost(stdout, amount_is_known(amount), amount->bytes, view->options->price);
    put_json_time(stdout, "time", (int64_t)time(NULL));
    fputs("}\n", stdout);
}

/* PREFIX, uploads, bytes of those that were measured, how many were not, the oldest, and the cost. */
static void put_total_line(const struct view *view, const char *prefix, const struct amount *amount)
{
    char when[32], cost[64];

    view_put_bucket(view, stdout, '\t');
    if (prefix != NULL)
        put_text(stdout, prefix);
    else
        fputs("(other)", stdout);
    printf("\t%llu", (unsigned long long)amount->uploads);
    if (amount_is_known(amount))
        printf("\t%llu", (unsigned long long)amount->bytes);
    else
        fputs("\t-", stdout);
    format_time(when, sizeof when, amount->oldest);
    printf("\t%llu\t%s", (unsigned long long)(amount->uploads - amount->sized), when);
    if (view->options->price > 0) {
        format_cost(cost, sizeof cost, amount, view->options->price);
        printf("\t%s", cost);
    }
    putchar('\n');
}

static void put_total_row(struct view *view, struct table *table, const char *prefix, const struct amount *amount)
{
    char uploads[32], size[96], age[32] = "-", cost[64] = "", place[1200];
    const char *cells[TABLE_COLUMNS];
    size_t count = 0;

    snprintf(uploads, sizeof uploads, "%llu", (unsigned long long)amount->uploads);
    if (!amount_is_known(amount))
        snprintf(size, sizeof size, "unknown");
    else
        format_bytes(size, sizeof size, amount->bytes);
    if (amount->sized > 0 && amount->sized < amount->uploads)
        strcat(size, "+"); /* and what is not known */
    if (amount->oldest >= 0)
        format_age(age, sizeof age, (int64_t)time(NULL) - amount->oldest);
    format_cost(cost, sizeof cost, amount, view->options->price);
    cells[count++] = uploads;
    cells[count++] = size;
    if (view->options->price > 0)
        cells[count++] = cost;
    cells[count++] = age;
    if (prefix == NULL)
        prefix = "(other)";
    if (view->options->several) {
        snprintf(place, sizeof place, "obs://%s/%s", view->options->bucket, prefix);
        prefix = place;
    }
    cells[count++] = prefix;
    table_row(table, cells);
}

static void put_total(struct view *view, struct table *table, const char *prefix, const struct amount *amount)
{
    if (view->json)
        put_total_json(view, prefix, amount);
    else if (table->out != NULL)
        put_total_row(view, table, prefix == NULL || *prefix != '\0' ? prefix : "(no slash)", amount);
    else
        put_total_line(view, prefix, amount);
}

void view_totals(struct view *view)
{
    static const struct table_column columns[] = {
        {"UPLOADS", true, true}, {"SIZE", true, true}, {"OLDEST", false, true}, {"PREFIX", false, false}};
    static const struct table_column with_cost[] = {
        {"UPLOADS", true, true}, {"SIZE", true, true}, {"A MONTH", true, true}, {"OLDEST", false, true},
        {"PREFIX", false, false}};
    struct table table = {.out = NULL};
    size_t i;

    if (view->options->json && !view->json)
        return;
    if (!view->json && is_terminal(stdout) && view->totals.all.uploads > 0)
        table_open(&table, stdout, view->options->price > 0 ? with_cost : columns, view->options->price > 0 ? 5 : 4);
    table.fold = 1;
    for (i = 0; i < view->totals.count; i++)
        put_total(view, &table, view->totals.rows[i]->prefix, &view->totals.rows[i]->amount);
    if (view->totals.other.uploads > 0)
        put_total(view, &table, NULL, &view->totals.other);
    table_flush(&table);
    totals_free(&view->totals);
    view_check_output(view);
}

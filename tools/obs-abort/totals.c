/* Sums over uploads, all together and by what their keys begin with. However many uploads there are, they need no more than
   TOTALS_MOST beginnings of keys. */
#define _POSIX_C_SOURCE 200809L
#include "obs-abort.h"

#include <stdlib.h>
#include <string.h>

void amount_add(struct amount *amount, const struct measure *measure)
{
    if (amount->uploads == 0)
        amount->oldest = -1;
    if (measure->initiated >= 0 && (amount->oldest < 0 || measure->initiated < amount->oldest))
        amount->oldest = measure->initiated;
    amount->uploads++;
    if (measure->sized) {
        amount->sized++;
        amount->parts += measure->parts;
        amount->bytes += measure->bytes;
    }
}

void totals_open(struct totals *totals, uint32_t depth)
{
    memset(totals, 0, sizeof *totals);
    totals->depth = depth;
}

/* The length of what a key has up to its slash of this number; all its slashes, if there are fewer. */
static size_t prefix_length(const char *key, uint32_t depth)
{
    size_t length = 0;
    const char *slash = key;

    while (depth-- > 0 && (slash = strchr(slash, '/')) != NULL)
        length = (size_t)(++slash - key);
    return length;
}

static int compare(const struct total *total, const char *key, size_t length)
{
    int order = strncmp(total->prefix, key, length);

    return order != 0 ? order : total->prefix[length] != '\0';
}

/* Where it is, or should be. */
static size_t position(const struct totals *totals, const char *key, size_t length, bool *found)
{
    size_t low = 0, high = totals->count;

    *found = false;
    while (low < high && !*found) {
        size_t middle = low + (high - low) / 2;
        int order = compare(totals->rows[middle], key, length);

        *found = order == 0;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return high;
}

/* NULL: there are too many already, or there is no memory. */
static struct total *total_of(struct totals *totals, const char *key)
{
    size_t length = prefix_length(key, totals->depth), at;
    struct total *total;
    bool found;

    at = position(totals, key, length, &found);
    if (found)
        return totals->rows[at];
    if (totals->count == TOTALS_MOST)
        return NULL;
    total = calloc(1, sizeof *total + length + 1);
    if (total == NULL)
        return NULL;
    memcpy(total->prefix, key, length);
    memmove(&totals->rows[at + 1], &totals->rows[at], (totals->count - at) * sizeof *totals->rows);
    totals->rows[at] = total;
    totals->count++;
    return total;
}

void totals_add(struct totals *totals, const char *key, const struct measure *measure)
{
    struct total *total = total_of(totals, key);

    amount_add(&totals->all, measure);
    amount_add(total != NULL ? &total->amount : &totals->other, measure);
}

void totals_free(struct totals *totals)
{
    while (totals->count > 0)
        free(totals->rows[--totals->count]);
}

void format_bytes(char *buffer, size_t size, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;

    /* What would be shown as 1024.0 is 1.0 of the next unit. */
    while (value >= 1023.95 && unit < 6) {
        value /= 1024;
        unit++;
    }
    snprintf(buffer, size, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

bool amount_is_known(const struct amount *amount)
{
    return amount->sized > 0 || amount->uploads == 0;
}

double cost_of(uint64_t bytes, double price)
{
    return (double)bytes / (1024.0 * 1024 * 1024) * price;
}

void format_cost(char *buffer, size_t size, const struct amount *amount, double price)
{
    double cost = cost_of(amount->bytes, price);

    if (!amount_is_known(amount))
        snprintf(buffer, size, "-");
    else
        snprintf(buffer, size, cost > 0 && cost < 0.01 ? "less than 0.01" : "%.2f", cost);
}

void format_amount(char *buffer, size_t size, const struct amount *amount)
{
    uint64_t unknown = amount->uploads - amount->sized;
    size_t used = 0;

    if (!amount_is_known(amount)) {
        snprintf(buffer, size, "of unknown size");
        return;
    }
    format_bytes(buffer, size, amount->bytes);
    used = strlen(buffer);
    if (unknown > 0 && used < size)
        snprintf(buffer + used, size - used, " and %llu of unknown size", (unsigned long long)unknown);
}

/* Members of a JSON object that is being written. */
#include "obs-abort.h"

void put_json_field(FILE *out, const char *name, const char *value)
{
    fprintf(out, ",\"%s\":", name);
    put_json_string(out, value);
}

void put_json_count(FILE *out, const char *name, uint64_t count)
{
    fprintf(out, ",\"%s\":%llu", name, (unsigned long long)count);
}

void put_json_bool(FILE *out, const char *name, bool value)
{
    fprintf(out, ",\"%s\":%s", name, value ? "true" : "false");
}

void put_json_code(FILE *out, int32_t code)
{
    fprintf(out, ",\"code\":%d", (int)code);
    put_json_field(out, "code_name", obs_abort_code_name(code));
}

void put_json_time(FILE *out, const char *name, int64_t unix_seconds)
{
    char when[32];

    format_time(when, sizeof when, unix_seconds);
    put_json_field(out, name, unix_seconds < 0 ? NULL : when);
}

void put_json_size(FILE *out, const char *name, bool known, uint64_t size)
{
    if (known)
        put_json_count(out, name, size);
    else
        fprintf(out, ",\"%s\":null", name);
}

void put_json_cost(FILE *out, bool known, uint64_t size, double price)
{
    if (price > 0 && known)
        fprintf(out, ",\"cost_per_month\":%.6f", cost_of(size, price));
    else if (price > 0)
        fputs(",\"cost_per_month\":null", out);
}

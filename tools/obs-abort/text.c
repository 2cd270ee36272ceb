/* Strings and times, in and out. */
#define _POSIX_C_SOURCE 200809L
#include "obs-abort.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

size_t decode_utf8(const unsigned char *text, uint32_t *code_point)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length, i;

    if (text[0] < 0x80) {
        *code_point = text[0];
        return 1;
    }
    length = text[0] >= 0xf0 && text[0] < 0xf8 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    if (text[0] < 0xc2 || text[0] >= 0xf8)
        return 0;
    *code_point = text[0] & (0x7fu >> length);
    for (i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        *code_point = *code_point << 6 | (text[i] & 0x3fu);
    }
    if (*code_point < smallest[length] || *code_point > 0x10ffff || (*code_point >= 0xd800 && *code_point < 0xe000))
        return 0;
    return length;
}

size_t encode_utf8(char *out, uint32_t code_point)
{
    static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t length = code_point < 0x80 ? 1 : code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4, i;

    for (i = length; i-- > 1; code_point >>= 6)
        out[i] = (char)(0x80 | (code_point & 0x3f));
    out[0] = (char)(leads[length > 1 ? length : 0] | code_point);
    return length;
}

/* A terminal obeys control characters, those above 0x80 included. The marks that reverse the direction of
   writing, and characters that nobody sees, make one key look like another. */
static bool is_unsafe(uint32_t code_point)
{
    return code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0) || code_point == 0x061c ||
           code_point == 0x200b || code_point == 0x200e || code_point == 0x200f ||
           (code_point >= 0x2028 && code_point <= 0x202e) || code_point == 0x2060 ||
           (code_point >= 0x2066 && code_point <= 0x2069) || code_point == 0xfeff;
}

/* White space that is not unsafe by itself, and the joiners, which at an end join nothing. */
static bool is_blank(uint32_t code_point)
{
    return code_point == ' ' || code_point == 0xa0 || code_point == 0x1680 ||
           (code_point >= 0x2000 && code_point <= 0x200d) || code_point == 0x202f || code_point == 0x205f ||
           code_point == 0x3000;
}

bool has_blank_edge(const char *string)
{
    const unsigned char *text = (const unsigned char *)string;
    bool blank = false, first = true;
    uint32_t code_point;
    size_t length;

    for (; *text != '\0'; text += length) {
        length = decode_utf8(text, &code_point);
        blank = length > 0 && (is_blank(code_point) || is_unsafe(code_point));
        if (first && blank)
            return true;
        first = false;
        length += length == 0;
    }
    return blank;
}

static bool needs_quotes(const unsigned char *text)
{
    uint32_t code_point;
    size_t length;

    if (*text == '"' || *text == '\0' || has_blank_edge((const char *)text))
        return true;
    for (; *text != '\0'; text += length) {
        length = decode_utf8(text, &code_point);
        if (length == 0 || is_unsafe(code_point))
            return true;
    }
    return false;
}

/* How many columns of a terminal it takes: marks that stand on the character before take none, and what is written in
   squares takes two. */
static size_t columns_of(uint32_t code_point)
{
    static const struct {
        uint32_t first, last;
        size_t columns;
    } ranges[] = {
        {0x300, 0x36f, 0},     {0x483, 0x489, 0},     {0x591, 0x5bd, 0},     {0x610, 0x61a, 0},     {0x64b, 0x65f, 0},
        {0x1100, 0x115f, 2},   {0x1ab0, 0x1aff, 0},   {0x1dc0, 0x1dff, 0},   {0x200c, 0x200d, 0},   {0x20d0, 0x20ff, 0},
        {0x2e80, 0x303e, 2},   {0x3041, 0xa4cf, 2},   {0xac00, 0xd7a3, 2},   {0xf900, 0xfaff, 2},   {0xfe00, 0xfe0f, 0},
        {0xfe20, 0xfe2f, 0},   {0xfe30, 0xfe6f, 2},   {0xff00, 0xff60, 2},   {0xffe0, 0xffe6, 2},   {0x1f300, 0x1f64f, 2},
        {0x1f680, 0x1f6ff, 2}, {0x1f900, 0x1f9ff, 2}, {0x20000, 0x3fffd, 2},
    };
    size_t i;

    for (i = 0; i < sizeof ranges / sizeof *ranges && code_point >= ranges[i].first; i++)
        if (code_point <= ranges[i].last)
            return ranges[i].columns;
    return 1;
}

/* Returns how many columns it takes. */
static size_t put_escaped(FILE *out, const unsigned char *text, size_t length)
{
    char escaped[24];
    size_t i, used = 0;

    if (*text == '\t' || *text == '\n')
        used = (size_t)snprintf(escaped, sizeof escaped, "\\%c", *text == '\t' ? 't' : 'n');
    else
        for (i = 0; i < length; i++)
            used += (size_t)snprintf(escaped + used, sizeof escaped - used, "\\x%02x", text[i]);
    if (out != NULL)
        fputs(escaped, out);
    return used;
}

size_t put_text(FILE *out, const char *string)
{
    const unsigned char *text = (const unsigned char *)string;
    bool quotes = needs_quotes(text);
    size_t length, columns = quotes ? 2 : 0;
    uint32_t code_point;

    if (quotes && out != NULL)
        putc('"', out);
    for (; *text != '\0'; text += length) {
        length = decode_utf8(text, &code_point);
        if (quotes && (length == 0 || is_unsafe(code_point) || (code_point != ' ' && is_blank(code_point)))) {
            length += length == 0;
            columns += put_escaped(out, text, length);
            continue;
        }
        if (quotes && (*text == '"' || *text == '\\')) {
            columns++;
            if (out != NULL)
                putc('\\', out);
        }
        if (out != NULL)
            fwrite(text, 1, length, out);
        columns += columns_of(code_point);
    }
    if (quotes && out != NULL)
        putc('"', out);
    return columns;
}

void put_message(FILE *out, const char *string)
{
    const unsigned char *text = (const unsigned char *)string;
    uint32_t code_point;
    size_t length, i;

    for (; *text != '\0'; text += length) {
        length = decode_utf8(text, &code_point);
        if (length > 0 && !is_unsafe(code_point)) {
            fwrite(text, 1, length, out);
            continue;
        }
        length += length == 0;
        for (i = 0; i < length; i++)
            fprintf(out, "\\x%02x", text[i]);
    }
}

static int hex_digit(char digit)
{
    const char *digits = "0123456789abcdef", *found = strchr(digits, digit);

    return digit != '\0' && found != NULL ? (int)(found - digits) : -1;
}

bool unquote(char *text)
{
    const char *in = text + 1;
    char *out = text;

    if (*text != '"')
        return true;
    for (; *in != '"'; in++) {
        if (*in == '\0')
            return false;
        if (*in != '\\') {
            *out++ = *in;
            continue;
        }
        in++;
        if (*in == 't') {
            *out++ = '\t';
        } else if (*in == 'n') {
            *out++ = '\n';
        } else if (*in == '"' || *in == '\\') {
            *out++ = *in;
        } else if (*in == 'x' && hex_digit(in[1]) >= 0 && hex_digit(in[2]) >= 0) {
            int byte = hex_digit(in[1]) * 16 + hex_digit(in[2]);

            if (byte == 0)
                return false; /* would cut the key short: another key */
            *out++ = (char)byte;
            in += 2;
        } else {
            return false;
        }
    }
    *out = '\0';
    return in[1] == '\0';
}

void put_json_string(FILE *out, const char *string)
{
    const unsigned char *text = (const unsigned char *)string;
    uint32_t code_point;
    size_t length;

    if (string == NULL) {
        fputs("null", out);
        return;
    }
    putc('"', out);
    for (; *text != '\0'; text += length) {
        length = decode_utf8(text, &code_point);
        if (length == 0) {
            fputs("\\ufffd", out);
            length = 1;
        } else if (is_unsafe(code_point)) {
            fprintf(out, "\\u%04x", (unsigned)code_point);
        } else {
            if (*text == '"' || *text == '\\')
                putc('\\', out);
            fwrite(text, 1, length, out);
        }
    }
    putc('"', out);
}

int64_t parse_time(const char *text)
{
    int year, month, day, hour, minute, second;
    int64_t days;
    char end;

    if (text == NULL || strlen(text) != 20 ||
        sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%c", &year, &month, &day, &hour, &minute, &second, &end) != 7 || end != 'Z' ||
        year < 1970 || month < 1 || month > 12)
        return -1;
    /* Years that begin in March have the leap day at their end. */
    year -= month <= 2;
    days = (int64_t)year * 365 + year / 4 - year / 100 + year / 400 + (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day -
           719469;
    return days * 86400 + hour * 3600 + minute * 60 + second;
}

void format_time(char *buffer, size_t size, int64_t unix_seconds)
{
    time_t when = (time_t)unix_seconds;
    struct tm parts;

    if (unix_seconds < 0 || gmtime_r(&when, &parts) == NULL || strftime(buffer, size, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        snprintf(buffer, size, "-");
}

void format_age(char *buffer, size_t size, int64_t seconds)
{
    if (seconds < 0)
        seconds = 0; /* the server's clock is ahead of ours */
    if (seconds < 60)
        snprintf(buffer, size, "%ds", (int)seconds);
    else if (seconds < 3600)
        snprintf(buffer, size, "%dm", (int)(seconds / 60));
    else if (seconds < 86400)
        snprintf(buffer, size, "%dh %dm", (int)(seconds / 3600), (int)(seconds / 60 % 60));
    else
        snprintf(buffer, size, "%lldd %dh", (long long)(seconds / 86400), (int)(seconds / 3600 % 24));
}

/* The digits that text starts with; NULL if there are none, or too many. */
static const char *parse_number(const char *text, uint64_t *number)
{
    const char *first = text;

    for (*number = 0; *text >= '0' && *text <= '9'; text++) {
        uint64_t digit = (uint64_t)(*text - '0');

        if (*number > (UINT64_MAX - digit) / 10)
            return NULL;
        *number = *number * 10 + digit;
    }
    return text > first ? text : NULL;
}

/* A number and a unit: a bare 24 could mean hours or days, and what it decides can't be undone. */
bool parse_age(const char *text, uint64_t *seconds)
{
    static const struct {
        const char *name;
        uint64_t seconds;
    } units[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    const char *unit = parse_number(text, seconds);
    size_t i;

    for (i = 0; unit != NULL && i < sizeof units / sizeof *units; i++) {
        if (strcmp(unit, units[i].name) == 0) {
            if (*seconds > INT64_MAX / units[i].seconds)
                return false;
            *seconds *= units[i].seconds;
            return true;
        }
    }
    return false;
}

const char *age_hint(const char *text)
{
    uint64_t number;
    const char *unit = parse_number(text, &number);

    if (unit != NULL && (*unit == 'M' || strncmp(unit, "mo", 2) == 0))
        return "months are of different lengths, say days: 30d; m is minutes";
    if (unit != NULL && (*unit == 'w' || *unit == 'W'))
        return "say days: 7d";
    if (unit != NULL && (*unit == 'y' || *unit == 'Y'))
        return "say days: 365d";
    return "an age is a whole number and a unit: 90s, 90m, 24h, 7d";
}

void format_span(char *buffer, size_t size, uint64_t seconds)
{
    static const struct {
        const char *name;
        uint64_t seconds;
    } units[] = {{"day", 86400}, {"hour", 3600}, {"minute", 60}, {"second", 1}};
    size_t i = 0;

    /* "24 hours" rather than "1 day", as the option is mostly written. */
    while (i < 3 && (seconds % units[i].seconds != 0 || seconds < (i == 0 ? 2 : 1) * units[i].seconds))
        i++;
    seconds /= units[i].seconds;
    snprintf(buffer, size, "%llu %s%s", (unsigned long long)seconds, units[i].name, seconds == 1 ? "" : "s");
}

/* GB would be a thousand millions to some programs, and 1024 times 1024 times 1024 bytes to others. */
bool parse_size(const char *text, uint64_t *bytes)
{
    static const char letters[] = "BKMGT";
    const char *unit = parse_number(text, bytes), *letter;
    unsigned shift;

    if (unit == NULL || *unit == '\0')
        return false;
    letter = strchr(letters, *unit >= 'a' && *unit <= 'z' ? *unit - 'a' + 'A' : *unit);
    if (letter == NULL || (unit[1] != '\0' && (letter == letters || strcmp(unit + 1, "iB") != 0)))
        return false;
    shift = 10 * (unsigned)(letter - letters);
    if (*bytes > UINT64_MAX >> shift)
        return false;
    *bytes <<= shift;
    return true;
}

/* Seconds, unless a unit says otherwise, as with other tools' timeouts. */
bool parse_milliseconds(const char *text, uint32_t *ms)
{
    uint64_t number;
    const char *unit = parse_number(text, &number);
    uint64_t each;

    if (unit == NULL)
        return false;
    if (strcmp(unit, "ms") == 0)
        each = 1;
    else if (*unit == '\0' || strcmp(unit, "s") == 0)
        each = 1000;
    else if (strcmp(unit, "m") == 0)
        each = 60000;
    else
        return false;
    if (number == 0 || number > UINT32_MAX / each)
        return false;
    *ms = (uint32_t)(number * each);
    return true;
}

/* Plus one, which is also what NULL stands for: a prefix up to the first slash. */
bool parse_depth(const char *text, uint32_t *slashes)
{
    uint64_t number = 1;
    const char *end = text != NULL ? parse_number(text, &number) : "";

    if (end == NULL || *end != '\0' || number > 1000)
        return false;
    *slashes = (uint32_t)number + 1;
    return true;
}

bool parse_price(const char *text, double *price)
{
    size_t length = strspn(text, "0123456789");

    if (text[length] == '.' && length > 0)
        length += 1 + strspn(text + length + 1, "0123456789");
    if (length == 0 || length > 15 || text[length] != '\0' || text[length - 1] == '.')
        return false;
    *price = strtod(text, NULL);
    return *price > 0;
}

bool parse_count(const char *text, uint32_t *count)
{
    uint64_t number;
    const char *end = parse_number(text, &number);

    if (end == NULL || *end != '\0' || number == 0 || number > UINT32_MAX)
        return false;
    *count = (uint32_t)number;
    return true;
}

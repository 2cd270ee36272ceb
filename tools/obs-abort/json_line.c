/* Reads the lines of --json and --log: an object each, of which only members with a plain value are wanted. */
#include "obs-abort.h"

#include <string.h>

static char *skip_blank(char *text)
{
    return text + strspn(text, " \t\r\n");
}

static bool take_hex(const char *text, uint32_t *value)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    int i;

    for (i = 0, *value = 0; i < 4; i++) {
        const char *digit = text[i] != '\0' ? strchr(digits, text[i]) : NULL;

        if (digit == NULL)
            return false;
        *value = *value * 16 + (uint32_t)(digit - digits) % 16;
    }
    return true;
}

/* The code point of \uXXXX, or of two of them. Returns what comes after it, or NULL: also for U+0000, which would cut the
   string short. */
static char *take_code_point(char *text, uint32_t *code_point)
{
    uint32_t low;

    if (!take_hex(text, code_point) || *code_point == 0)
        return NULL;
    text += 4;
    if (*code_point < 0xd800 || *code_point >= 0xe000)
        return text;
    if (*code_point >= 0xdc00 || text[0] != '\\' || text[1] != 'u' || !take_hex(text + 2, &low) || low < 0xdc00 ||
        low >= 0xe000)
        return NULL;
    *code_point = 0x10000 + ((*code_point - 0xd800) << 10) + (low - 0xdc00);
    return text + 6;
}

/* Undoes the escapes of a string in place: none is shorter than what it stands for. Returns what comes after it, or NULL. */
static char *take_string(char *text, char **string)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    char *out = ++text;

    for (*string = text; *text != '"'; ) {
        const char *letter;
        uint32_t code_point;

        if ((unsigned char)*text < 0x20)
            return NULL;
        if (*text != '\\') {
            *out++ = *text++;
            continue;
        }
        text++;
        letter = *text != '\0' ? strchr(letters, *text) : NULL;
        if (letter != NULL) {
            *out++ = meanings[letter - letters];
            text++;
        } else if (*text == 'u' && (text = take_code_point(text + 1, &code_point)) != NULL) {
            out += encode_utf8(out, code_point);
        } else {
            return NULL;
        }
    }
    *out = '\0';
    return text + 1;
}

/* An array or an object, of which nothing is wanted. Returns what comes after it, or NULL. */
static char *skip_nested(char *text)
{
    size_t depth = 0;
    char *string;

    do {
        if (*text == '\0')
            return NULL;
        depth += *text == '{' || *text == '[';
        depth -= *text == '}' || *text == ']';
        text = *text == '"' ? take_string(text, &string) : text + 1;
    } while (text != NULL && depth > 0);
    return text;
}

/* A value. *string: what it is if it is a string, or the text of a number, of true and of false; NULL otherwise. `end` gets
   the character that comes after a bare one, which is overwritten by its NUL. */
static char *take_value(char *text, char **string, char *end)
{
    size_t length;

    *string = NULL;
    *end = '\0';
    if (*text == '"')
        return take_string(text, string);
    if (*text == '{' || *text == '[')
        return skip_nested(text);
    length = strspn(text, "+-.0123456789abcdefghijklmnopqrstuvwxyzE");
    if (length == 0)
        return NULL;
    *end = text[length];
    text[length] = '\0';
    if (strcmp(text, "null") != 0)
        *string = text;
    return text + length;
}

static void keep_member(struct json_line *line, const char *name, char *value)
{
    const struct {
        const char *name;
        char **value;
    } members[] = {
        {"type", &line->type}, {"result", &line->result}, {"bucket", &line->bucket}, {"key", &line->key},
        {"upload_id", &line->upload_id}, {"initiated", &line->initiated}, {"code_name", &line->code_name},
        {"attempts", &line->attempts},
    };
    size_t i;

    for (i = 0; i < sizeof members / sizeof *members; i++)
        if (strcmp(members[i].name, name) == 0)
            *members[i].value = value;
}

bool json_line_parse(struct json_line *line, char *text)
{
    char *name, *value, end;

    memset(line, 0, sizeof *line);
    text = skip_blank(text);
    if (*text != '{')
        return false;
    do {
        text = skip_blank(text + 1);
        if (*text != '"' || (text = take_string(text, &name)) == NULL)
            return false;
        text = skip_blank(text);
        if (*text != ':' || (text = take_value(skip_blank(text + 1), &value, &end)) == NULL)
            return false;
        keep_member(line, name, value);
        if (end == '\0')
            end = *(text = skip_blank(text));
        else if (strchr(" \t\r\n", end) != NULL)
            end = *(text = skip_blank(text + 1));
    } while (end == ',');
    return end == '}' && *skip_blank(text + 1) == '\0';
}

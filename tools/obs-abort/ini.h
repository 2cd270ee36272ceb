/* Files of settings, and the memory that holds their secrets. */
#ifndef OBS_ABORT_INI_H
#define OBS_ABORT_INI_H

#include "obs-abort.h"

/* A part of a text, without a NUL at its end. */
struct slice {
    const char *start;
    size_t length;
};

struct text {
    const char *name; /* for messages */
    char *content;    /* NULL: there is no such file */
    size_t size, first;
    bool open_to_others; /* as others_can_read */
};

enum form {
    FORM_AWS,    /* sections of settings, which may have settings of their own, indented */
    FORM_OBSUTIL /* lines NAME=VALUE */
};

/* Which settings: those of [SECTION] or [KIND SECTION], or within the setting `parent` of it. NULL: without. */
struct where {
    const char *kind, *section, *parent;
};

struct setting {
    struct slice value; /* of the last line that has it */
    size_t line, again; /* the first and the last of several; 0: none */
    size_t section;     /* the line that begins the section */
};

/* Returns false on failure; a missing file is none if it is optional. text_close is called in either case. */
bool text_read(struct text *text, const char *path, bool optional, struct failure *failure);
/* Wipes it. */
void text_close(struct text *text);
/* The next line, without its end. Returns false at the end. */
bool text_line(const struct text *text, size_t *position, struct slice *line);
/* Returns whether all lines are of the form. */
bool ini_check(const struct text *text, enum form form, struct failure *failure);
bool ini_has_section(const struct text *text, const char *kind, const char *name);
struct setting ini_find(const struct text *text, enum form form, struct where where, const char *name);
/* Allocated; NULL if there is no memory. */
char *slice_copy(struct slice slice);
void wipe(void *memory, size_t size);
/* Wipes and frees a string. */
void wipe_string(char *text);

#endif

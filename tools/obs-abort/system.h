/* What differs by system: system_posix.c and system_windows.c. */
#ifndef OBS_ABORT_SYSTEM_H
#define OBS_ABORT_SYSTEM_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Called first. Returns the arguments in UTF-8. */
char **system_start(int argc, char **argv);

/* ---- Ctrl-C and the like ---- */

extern volatile sig_atomic_t signals_seen; /* 1: begin nothing more; 2: stop at once */
extern volatile sig_atomic_t last_signal;
/* From here on a signal is noted in signals_seen; before, it ends the program on the spot. */
void signals_note(void);

/* ---- terminals ---- */

bool is_terminal(FILE *stream);
/* Whether it obeys escape sequences. */
bool terminal_is_capable(FILE *stream);
/* Of standard error, or of standard output if that alone is one, in columns; 0: not known. */
size_t terminal_width(void);
/* Drops what was typed and not read. */
void terminal_forget_input(void);
/* Reads from the terminal what there is, at most a line. Returns 0 at its end, or if a signal was noted. */
size_t terminal_read(char *buffer, size_t size);

/* ---- the user ---- */

/* A variable of the environment, in UTF-8. It lives as long as the program. NULL if it is not set, or empty. */
const char *variable(const char *name);
/* NULL: not known. */
const char *home_directory(void);
/* Whether the group or others can read the file, if it is a regular one and the system tells that by its mode. */
bool others_can_read(FILE *file);

/* ---- files and time ---- */

bool is_pipe(FILE *stream);
/* Whether systemd's journal reads it. */
bool is_journal(FILE *stream);
/* For reading; NULL with errno on failure. The path is UTF-8, the content is not changed. */
FILE *open_file(const char *path);
/* Reads a line with its end into *line, which is reallocated as needed. Returns its length, 0 at the end or on failure. */
size_t read_line(char **line, size_t *size, FILE *file);
/* For writing at the end, and reading; made if it is not there. */
FILE *open_to_append(const char *path);
/* For writing, new, and readable by everybody whatever the umask. */
FILE *create_public_file(const char *path);
/* For writing and reading, gone when it is closed; NULL with errno on failure. */
FILE *temporary_file(void);
/* Whether all is on the disk. */
bool write_through(FILE *file);
/* Whether nothing is there, or a regular file: no folder, no device, no link. */
bool is_replaceable(const char *path);
bool is_same_file(const char *path, const char *other);
/* In the place of what is there. Returns false with errno on failure. */
bool rename_over(const char *from, const char *to);
void remove_file(const char *path);
unsigned long process_id(void);
int64_t monotonic_ms(void);

#endif

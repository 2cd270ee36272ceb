/* Windows 7 and later. Strings are UTF-8 here, UTF-16 there. */
#include "obs-abort.h"

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include <shellapi.h>

#ifndef ENABLE_VIRTUAL_TERMINAL_PROCESSING
#define ENABLE_VIRTUAL_TERMINAL_PROCESSING 4
#endif

volatile sig_atomic_t signals_seen;
volatile sig_atomic_t last_signal;

static volatile sig_atomic_t noting;
static HANDLE signalled; /* an event */

/* What is to be restored, as the console is the shell's, too. */
static struct {
    HANDLE output; /* NULL: nothing was changed */
    DWORD mode;
    UINT code_page;
} console;

static HANDLE handle_of(FILE *stream)
{
    return (HANDLE)_get_osfhandle(_fileno(stream));
}

static void restore_console(void)
{
    if (console.output == NULL)
        return;
    SetConsoleMode(console.output, console.mode);
    SetConsoleOutputCP(console.code_page);
}

/* Called on a thread of the system's own. */
static BOOL WINAPI on_event(DWORD event)
{
    bool from_keyboard = event == CTRL_C_EVENT || event == CTRL_BREAK_EVENT;

    last_signal = from_keyboard ? SIGINT : SIGTERM;
    signals_seen = from_keyboard ? signals_seen + 1 : 2;
    if (!noting || signals_seen > 2) {
        restore_console();
        _exit(STATUS_SIGNALLED + last_signal);
    }
    SetEvent(signalled);
    /* The window is closed, or the session ends: the system ends the process when this returns, or after 5 seconds. */
    if (!from_keyboard)
        Sleep(INFINITE);
    return TRUE;
}

/* Escape sequences and UTF-8 go together: a console that does not know the former (before Windows 10) miscounts what is
   written in the latter, so that writing seems to fail. */
static void prepare_console(FILE *stream)
{
    HANDLE output = handle_of(stream);
    DWORD mode;

    if (console.output != NULL || !GetConsoleMode(output, &mode) ||
        !SetConsoleMode(output, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING))
        return;
    console.output = output;
    console.mode = mode;
    console.code_page = GetConsoleOutputCP();
    SetConsoleOutputCP(CP_UTF8);
    atexit(restore_console);
}

/* Allocated. NULL: not well formed, or no memory. */
static char *to_utf8(const wchar_t *text)
{
    int size = WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, text, -1, NULL, 0, NULL, NULL);
    char *utf8 = size > 0 ? malloc((size_t)size) : NULL;

    if (utf8 != NULL)
        WideCharToMultiByte(CP_UTF8, 0, text, -1, utf8, size, NULL, NULL);
    return utf8;
}

static wchar_t *from_utf8(const char *text)
{
    int size = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    wchar_t *wide = size > 0 ? malloc((size_t)size * sizeof *wide) : NULL;

    if (wide != NULL)
        MultiByteToWideChar(CP_UTF8, 0, text, -1, wide, size);
    return wide;
}

/* The C library's own arguments are in the code page of the system, which most keys do not fit into. They live as long
   as the program. */
static char **arguments(int expected)
{
    int count, i;
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), &count);
    char **argv = wide != NULL && count == expected ? calloc((size_t)count + 1, sizeof *argv) : NULL;

    for (i = 0; argv != NULL && i < count; i++) {
        argv[i] = to_utf8(wide[i]);
        if (argv[i] == NULL)
            return NULL;
    }
    LocalFree(wide);
    return argv;
}

char **system_start(int argc, char **argv)
{
    /* Lines end in LF, so that what --list writes is what --from reads. A console shows them as well. */
    _setmode(0, _O_BINARY);
    _setmode(1, _O_BINARY);
    _setmode(2, _O_BINARY);
    prepare_console(stderr);
    prepare_console(stdout);
    signalled = CreateEventW(NULL, TRUE, FALSE, NULL);
    SetConsoleCtrlHandler(on_event, TRUE);
    argv = arguments(argc);
    if (argv == NULL) {
        fputs("obs-abort: the arguments can't be read: not well-formed Unicode, or no memory\n", stderr);
        exit(STATUS_USAGE);
    }
    return argv;
}

void signals_note(void)
{
    noting = 1;
}

static char typed[4096];
static int typed_count;

static DWORD WINAPI read_typed(void *size)
{
    typed_count = _read(0, typed, *(const unsigned *)size);
    return 0;
}

/* The read is on a thread of its own, which is left behind if a signal comes: not every console ends a read then. */
size_t terminal_read(char *buffer, size_t size)
{
    static unsigned most;
    HANDLE handles[2];

    most = size < sizeof typed ? (unsigned)size : (unsigned)sizeof typed;
    handles[0] = signalled;
    handles[1] = CreateThread(NULL, 0, read_typed, &most, 0, NULL);
    if (handles[1] == NULL || WaitForMultipleObjects(2, handles, FALSE, INFINITE) != WAIT_OBJECT_0 + 1)
        return 0;
    CloseHandle(handles[1]);
    if (typed_count <= 0)
        WaitForSingleObject(signalled, 500); /* a read that Ctrl-C ended, maybe before its handler has run */
    if (typed_count <= 0 || signals_seen > 0)
        return 0;
    memcpy(buffer, typed, (size_t)typed_count);
    return (size_t)typed_count;
}

void terminal_forget_input(void)
{
    FlushConsoleInputBuffer(handle_of(stdin));
}

/* isatty says yes to NUL. */
bool is_terminal(FILE *stream)
{
    DWORD mode;

    return GetConsoleMode(handle_of(stream), &mode) != 0;
}

bool terminal_is_capable(FILE *stream)
{
    const char *terminal = getenv("TERM"); /* set by shells that come from Unix */
    DWORD mode;

    return GetConsoleMode(handle_of(stream), &mode) != 0 && (mode & ENABLE_VIRTUAL_TERMINAL_PROCESSING) != 0 &&
           (terminal == NULL || strcmp(terminal, "dumb") != 0);
}

size_t terminal_width(void)
{
    CONSOLE_SCREEN_BUFFER_INFO info;

    if (!GetConsoleScreenBufferInfo(handle_of(stderr), &info) && !GetConsoleScreenBufferInfo(handle_of(stdout), &info))
        return 0;
    return (size_t)(info.srWindow.Right - info.srWindow.Left + 1);
}

const char *variable(const char *name)
{
    wchar_t *wide = from_utf8(name);
    const wchar_t *value = wide != NULL ? _wgetenv(wide) : NULL;

    free(wide);
    return value != NULL && *value != L'\0' ? to_utf8(value) : NULL;
}

const char *home_directory(void)
{
    return variable("USERPROFILE");
}

/* Access is a matter of lists there, which the folder of a user has from the start. */
bool others_can_read(FILE *file)
{
    (void)file;
    return false;
}

bool is_pipe(FILE *stream)
{
    return GetFileType(handle_of(stream)) == FILE_TYPE_PIPE;
}

bool is_journal(FILE *stream)
{
    (void)stream;
    return false;
}

static FILE *open_as(const char *path, const wchar_t *mode)
{
    wchar_t *wide = from_utf8(path);
    FILE *file = wide != NULL ? _wfopen(wide, mode) : NULL;

    free(wide);
    return file;
}

FILE *open_to_append(const char *path)
{
    return open_as(path, L"a+b");
}

FILE *create_public_file(const char *path)
{
    return open_as(path, L"wb");
}

/* tmpfile makes it in the root folder, where not everybody may. D: removed when it is closed. */
FILE *temporary_file(void)
{
    wchar_t folder[MAX_PATH + 1], path[MAX_PATH + 1];

    if (GetTempPathW(MAX_PATH + 1, folder) == 0 || GetTempFileNameW(folder, L"obs", 0, path) == 0) {
        errno = EACCES;
        return NULL;
    }
    return _wfopen(path, L"w+bTD");
}

bool write_through(FILE *file)
{
    return fflush(file) == 0 && !ferror(file) && _commit(_fileno(file)) == 0;
}

bool is_replaceable(const char *path)
{
    const DWORD others = FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_DEVICE | FILE_ATTRIBUTE_REPARSE_POINT;
    wchar_t *wide = from_utf8(path);
    DWORD attributes = wide != NULL ? GetFileAttributesW(wide) : INVALID_FILE_ATTRIBUTES;

    free(wide);
    return attributes == INVALID_FILE_ATTRIBUTES || (attributes & others) == 0;
}

static bool identify(const char *path, BY_HANDLE_FILE_INFORMATION *information)
{
    FILE *file = open_as(path, L"rb");
    bool good = file != NULL && GetFileInformationByHandle(handle_of(file), information);

    if (file != NULL)
        fclose(file);
    return good;
}

bool is_same_file(const char *path, const char *other)
{
    BY_HANDLE_FILE_INFORMATION one, two;

    return identify(path, &one) && identify(other, &two) && one.dwVolumeSerialNumber == two.dwVolumeSerialNumber &&
           one.nFileIndexHigh == two.nFileIndexHigh && one.nFileIndexLow == two.nFileIndexLow;
}

bool rename_over(const char *from, const char *to)
{
    wchar_t *wide_from = from_utf8(from), *wide_to = from_utf8(to);
    bool good = wide_from != NULL && wide_to != NULL && MoveFileExW(wide_from, wide_to, MOVEFILE_REPLACE_EXISTING);

    if (!good)
        errno = EACCES;
    free(wide_from);
    free(wide_to);
    return good;
}

void remove_file(const char *path)
{
    wchar_t *wide = from_utf8(path);

    if (wide != NULL)
        _wremove(wide);
    free(wide);
}

unsigned long process_id(void)
{
    return GetCurrentProcessId();
}

FILE *open_file(const char *path)
{
    return open_as(path, L"rb");
}

size_t read_line(char **line, size_t *size, FILE *file)
{
    size_t length = 0;
    int byte;

    do {
        byte = getc(file);
        if (length + 2 > *size) {
            size_t larger = *size > 0 ? 2 * *size : 256;
            char *moved = realloc(*line, larger);

            if (moved == NULL)
                return 0;
            *line = moved;
            *size = larger;
        }
        if (byte != EOF)
            (*line)[length++] = (char)byte;
    } while (byte != EOF && byte != '\n');
    (*line)[length] = '\0';
    return ferror(file) ? 0 : length;
}

int64_t monotonic_ms(void)
{
    return (int64_t)GetTickCount64();
}

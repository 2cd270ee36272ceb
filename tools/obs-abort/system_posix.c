#define _POSIX_C_SOURCE 200809L
#include "obs-abort.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

volatile sig_atomic_t signals_seen;
volatile sig_atomic_t last_signal;

static volatile sig_atomic_t noting;
static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};

#define COUNT (sizeof numbers / sizeof *numbers)

/* The library may not be called from a signal handler. Once there is something to finish, only a note
   is made here: the progress callback, which comes by four times a second, acts on it. Before that a
   note could be overlooked: it may come right before a read that waits for ever. */
static void on_signal(int number)
{
    last_signal = number;
    signals_seen = signals_seen + 1;
    if (!noting || signals_seen > 2)
        _exit(STATUS_SIGNALLED + number);
}

static void install_handlers(void)
{
    struct sigaction action = {.sa_handler = on_signal}, before;
    size_t i;

    sigemptyset(&action.sa_mask);
    for (i = 0; i < COUNT; i++) {
        /* Ignored by the parent (nohup, a background job of a script) means ignored here. */
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL); /* no SA_RESTART: a read must not go on */
    }
    /* A reader that goes away shows as a failed write, which stops the sweep in good order. */
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    /* And so does a log that reaches a limit. */
    sigaction(SIGXFSZ, &action, NULL);
}

/* A descriptor that the parent closed would go to the first connection, and results into it. The
   other direction than the usual makes writing to a closed standard output fail, as it should. */
static void keep_standard_descriptors(void)
{
    int descriptor;

    for (descriptor = 0; descriptor < 3; descriptor++)
        if (fcntl(descriptor, F_GETFD) == -1 && open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY) != descriptor)
            _exit(STATUS_COULD_NOT_START);
}

char **system_start(int argc, char **argv)
{
    (void)argc;
    keep_standard_descriptors();
    install_handlers();
    return argv;
}

void signals_note(void)
{
    noting = 1;
}

/* Waits until there is something to read. Returns false if a signal was noted, before or meanwhile. The signals are let
   in only while pselect waits: one that came between a look at signals_seen and a plain read would leave the read
   waiting. */
static bool wait_for_input(void)
{
    sigset_t handled, before;
    fd_set wanted;
    size_t i;
    int ready;

    sigemptyset(&handled);
    for (i = 0; i < COUNT; i++)
        sigaddset(&handled, numbers[i]);
    sigprocmask(SIG_BLOCK, &handled, &before);
    do {
        FD_ZERO(&wanted);
        FD_SET(STDIN_FILENO, &wanted);
        ready = signals_seen > 0 ? 0 : pselect(STDIN_FILENO + 1, &wanted, NULL, NULL, NULL, &before);
    } while (ready < 0 && errno == EINTR);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return signals_seen == 0;
}

size_t terminal_read(char *buffer, size_t size)
{
    ssize_t count = wait_for_input() ? read(STDIN_FILENO, buffer, size) : 0;

    return count > 0 ? (size_t)count : 0;
}

void terminal_forget_input(void)
{
    tcflush(STDIN_FILENO, TCIFLUSH);
}

bool is_terminal(FILE *stream)
{
    return isatty(fileno(stream));
}

bool terminal_is_capable(FILE *stream)
{
    const char *terminal = getenv("TERM");

    return is_terminal(stream) && terminal != NULL && *terminal != '\0' && strcmp(terminal, "dumb") != 0;
}

size_t terminal_width(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && *value != '\0' ? value : NULL;
}

/* systemd starts the services of root without HOME. */
const char *home_directory(void)
{
    const char *home = variable("HOME");
    const struct passwd *user = home == NULL ? getpwuid(getuid()) : NULL;

    return user != NULL ? user->pw_dir : home;
}

bool others_can_read(FILE *file)
{
    struct stat status;

    return fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & (S_IRGRP | S_IROTH)) != 0;
}

bool is_pipe(FILE *stream)
{
    struct stat status;

    return fstat(fileno(stream), &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode));
}

/* The device and the inode of the stream that it names, as sd-daemon(3) has it: a program that redirects the output of
   another must not have priorities in it. */
bool is_journal(FILE *stream)
{
    const char *named = getenv("JOURNAL_STREAM");
    struct stat status;
    char actual[64];

    if (named == NULL || fstat(fileno(stream), &status) != 0)
        return false;
    snprintf(actual, sizeof actual, "%llu:%llu", (unsigned long long)status.st_dev, (unsigned long long)status.st_ino);
    return strcmp(named, actual) == 0;
}

FILE *open_to_append(const char *path)
{
    return fopen(path, "a+");
}

FILE *create_public_file(const char *path)
{
    int descriptor;
    FILE *file;

    unlink(path);
    descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (descriptor < 0)
        return NULL;
    fchmod(descriptor, 0644);
    file = fdopen(descriptor, "w");
    if (file == NULL)
        close(descriptor);
    return file;
}

FILE *temporary_file(void)
{
    const char *folder = getenv("TMPDIR");
    char path[4096];
    int length, descriptor;
    FILE *file;

    length = snprintf(path, sizeof path, "%s/obs-abort-XXXXXX", folder != NULL && *folder == '/' ? folder : "/tmp");
    if (length < 0 || (size_t)length >= sizeof path) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    descriptor = mkstemp(path);
    if (descriptor < 0)
        return NULL;
    unlink(path);
    fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    file = fdopen(descriptor, "w+");
    if (file == NULL)
        close(descriptor);
    return file;
}

bool write_through(FILE *file)
{
    return fflush(file) == 0 && !ferror(file) && fsync(fileno(file)) == 0;
}

bool is_replaceable(const char *path)
{
    struct stat status;

    return lstat(path, &status) != 0 || S_ISREG(status.st_mode);
}

bool is_same_file(const char *path, const char *other)
{
    struct stat one, two;

    return stat(path, &one) == 0 && stat(other, &two) == 0 && one.st_dev == two.st_dev && one.st_ino == two.st_ino;
}

bool rename_over(const char *from, const char *to)
{
    return rename(from, to) == 0;
}

void remove_file(const char *path)
{
    unlink(path);
}

unsigned long process_id(void)
{
    return (unsigned long)getpid();
}

FILE *open_file(const char *path)
{
    return fopen(path, "r");
}

size_t read_line(char **line, size_t *size, FILE *file)
{
    ssize_t length = getline(line, size, file);

    return length > 0 ? (size_t)length : 0;
}

int64_t monotonic_ms(void)
{
    struct timespec now = {0, 0};

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

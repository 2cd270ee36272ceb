/* Ctrl-C. Before anything is looked at, the first ends the program. After that, the first lets what
   is in flight finish, the second cancels it, the third ends the program. */
#define _POSIX_C_SOURCE 200809L
#include "obs-abort.h"

#include <errno.h>
#include <sys/select.h>
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

void signals_install(void)
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
}

void signals_note(void)
{
    noting = 1;
}

/* The signals are let in only while pselect waits: one that came between a look at signals_seen and a
   plain read would leave the read waiting. */
bool signals_wait_for_input(int descriptor)
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
        FD_SET(descriptor, &wanted);
        ready = signals_seen > 0 ? 0 : pselect(descriptor + 1, &wanted, NULL, NULL, NULL, &before);
    } while (ready < 0 && errno == EINTR);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return signals_seen == 0;
}

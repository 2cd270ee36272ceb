/* Ctrl-C: the first lets what is in flight finish, the second cancels it, the third just ends. */
#define _POSIX_C_SOURCE 200809L
#include "obs-abort.h"

#include <unistd.h>

volatile sig_atomic_t signals_seen;
volatile sig_atomic_t last_signal;

/* Only a note is made here: the library may not be called from a signal handler. The progress
   callback, which comes by four times a second, acts on it. */
static void on_signal(int number)
{
    last_signal = number;
    signals_seen = signals_seen + 1;
    if (signals_seen > 2)
        _exit(STATUS_SIGNALLED + number);
}

void signals_install(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal}, before;
    size_t i;

    sigemptyset(&action.sa_mask);
    for (i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        /* Ignored by the parent (nohup, a background job of a script) means ignored here. */
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL); /* no SA_RESTART: a question or a list being read must end */
    }
    /* A reader that goes away shows as a failed write, which stops the sweep in good order. */
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

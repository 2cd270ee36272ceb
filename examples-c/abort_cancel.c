/*
 * Aborts one upload; Ctrl-C or SIGTERM cancels the call from another thread.
 *
 *     abort_cancel https://obs.eu-101.myhuaweicloud.com my-bucket path/to/key UPLOAD_ID
 *
 * A signal handler may not call the library. So all threads block the signals, and one thread waits
 * for them with sigwait and cancels. On Windows the system runs a handler of Ctrl-C on a thread of its
 * own, which may cancel. Credentials come from OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY.
 *
 * Exit status: 0 the upload is gone, 1 it could not be aborted, 2 wrong usage, 3 cancelled.
 */
#define _POSIX_C_SOURCE 200809L
#include <obsabort.h>
#include <stdio.h>

#ifdef _WIN32
#include <windows.h>

struct canceller {
    SRWLOCK lock;
    const obs_abort_call *call; /* NULL: there is nothing to cancel */
};

static struct canceller canceller = {SRWLOCK_INIT, NULL}; /* a handler has no argument of its own */

static BOOL WINAPI cancel_on_event(DWORD event)
{
    (void)event;
    AcquireSRWLockExclusive(&canceller.lock);
    if (canceller.call != NULL)
        obs_abort_call_cancel(canceller.call); /* the call returns within 250 ms */
    ReleaseSRWLockExclusive(&canceller.lock);
    return TRUE;
}

static int start_canceller(const obs_abort_call *call)
{
    canceller.call = call;
    return SetConsoleCtrlHandler(cancel_on_event, TRUE);
}

static void stop_canceller(void)
{
    AcquireSRWLockExclusive(&canceller.lock);
    canceller.call = NULL;
    ReleaseSRWLockExclusive(&canceller.lock);
}

#else
#include <pthread.h>
#include <signal.h>

struct canceller {
    pthread_t thread;
    sigset_t signals;
    const obs_abort_call *call; /* may be cancelled from any thread */
};

static struct canceller canceller;

static void *cancel_on_signal(void *unused)
{
    int number;

    (void)unused;
    if (sigwait(&canceller.signals, &number) == 0)
        obs_abort_call_cancel(canceller.call); /* the call returns within 250 ms */
    return NULL;
}

/* Before any other thread is started: each inherits the mask. */
static int start_canceller(const obs_abort_call *call)
{
    canceller.call = call;
    sigemptyset(&canceller.signals);
    sigaddset(&canceller.signals, SIGINT);
    sigaddset(&canceller.signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &canceller.signals, NULL);
    return pthread_create(&canceller.thread, NULL, cancel_on_signal, NULL) == 0;
}

static void stop_canceller(void)
{
    pthread_kill(canceller.thread, SIGTERM); /* ends sigwait; by now there is nothing left to cancel */
    pthread_join(canceller.thread, NULL);
}
#endif

static int abort_upload(const obs_abort_client *client, const obs_abort_call *call, char **argv)
{
    obs_abort_outcome *outcome = NULL;
    int32_t code = obs_abort_multipart_outcome(client, call, argv[2], argv[3], argv[4], &outcome);
    const char *message = obs_abort_outcome_message(outcome);

    if (code == OBS_ABORT_OK)
        puts("the upload is gone");
    else
        fprintf(stderr, "abort_cancel: %s\n", message != NULL ? message : obs_abort_strerror(code));
    if (code == OBS_ABORT_CANCELLED && obs_abort_outcome_attempts(outcome) > 0)
        fprintf(stderr, "abort_cancel: a request was sent, so the upload may be gone; abort it again to be sure\n");
    obs_abort_outcome_free(outcome);
    return code == OBS_ABORT_OK ? 0 : code == OBS_ABORT_CANCELLED ? 3 : 1;
}

static obs_abort_client *new_client(const char *endpoint)
{
    obs_abort_config *config = obs_abort_config_new();
    obs_abort_client *client = NULL;
    char *error = NULL;

    obs_abort_config_set_endpoint(config, endpoint);
    obs_abort_config_set_credential_source(config, OBS_ABORT_CREDENTIALS_ENV);
    if (obs_abort_client_new(config, &client, &error) != OBS_ABORT_OK)
        fprintf(stderr, "abort_cancel: %s\n", error != NULL ? error : "no client");
    obs_abort_string_free(error);
    obs_abort_config_free(config);
    return client;
}

int main(int argc, char **argv)
{
    obs_abort_client *client;
    obs_abort_call *call;
    int status = 1;

    if (argc != 5) {
        fprintf(stderr, "usage: abort_cancel ENDPOINT BUCKET KEY UPLOAD_ID\n");
        return 2;
    }
    call = obs_abort_call_new();
    if (start_canceller(call)) {
        client = new_client(argv[1]);
        /* A cancellation that comes before the call begins is not lost: the call returns at once. */
        if (client != NULL)
            status = abort_upload(client, call, argv);
        stop_canceller();
        obs_abort_client_free(client);
    }
    obs_abort_call_free(call);
    return status;
}

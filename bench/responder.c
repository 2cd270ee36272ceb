/* What the clients are measured against: answers every DELETE on loopback with the 204 of OBS, over HTTP, over TLS and, on a
 * third port, over HTTP after a delay. One thread, because it shares one core with the client: a second one would only add
 * switches. It ends when its standard input does, so that nothing is left running when the harness dies.
 *
 *   responder CORE CERT.pem KEY.pem DELAY_MS
 *   prints: "http PORT tls PORT slow PORT"; then "GET /stats" on the http port tells what it saw. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { HTTP, TLS, SLOW, KINDS };
enum { MAX_FD = 4096, BUFFER = 65536, LATE_MAX = 8192 };

struct connection {
    int open, kind;
    uint32_t generation; /* a delayed answer must not go to the next connection that has the same descriptor */
    SSL *ssl;
    size_t filled;
    char *in;
};
struct late {
    int64_t due;
    int fd, answers;
    uint32_t generation;
};

static struct connection connections[MAX_FD];
static struct late late[LATE_MAX]; /* one delay for all, so the order of arrival is the order of the deadlines */
static unsigned late_head, late_tail;
static uint64_t accepted[KINDS], requests[KINDS];
static int epoll_fd, timer_fd;
static int64_t delay_ns;
static SSL_CTX *tls_context;
static char answer[512];
static size_t answer_length;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int64_t now_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void date_answer(void) {
    static time_t dated;
    time_t now = time(NULL);
    if (now == dated) return;
    dated = now;
    struct tm tm;
    char date[64];
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
    answer_length = (size_t)snprintf(answer, sizeof answer,
                                     "HTTP/1.1 204 No Content\r\nServer: OBS\r\nDate: %s\r\n"
                                     "x-obs-request-id: 8DF400000163D463E02A07EC2295674C\r\n"
                                     "x-obs-id-2: 32AAAQAAEAABAAAQAAEAABAAAQAAEAABCTjCqTmsA1XRpIrmrJdvcEWvZyjbztdd\r\n\r\n",
                                     date);
}

static void watch(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
}

static int listen_on_loopback(int *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        fail("listen");
    *port = ntohs(address.sin_port);
    watch(fd);
    return fd;
}

static void accept_one(int listener, int kind) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
    if (fd < 0) return;
    if (fd >= MAX_FD) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct connection *c = &connections[fd];
    c->open = 1;
    c->kind = kind;
    c->generation++;
    c->filled = 0;
    if (c->in == NULL && (c->in = malloc(BUFFER)) == NULL) fail("malloc");
    c->ssl = NULL;
    if (kind == TLS) {
        c->ssl = SSL_new(tls_context);
        SSL_set_fd(c->ssl, fd);
        SSL_set_accept_state(c->ssl);
    }
    accepted[kind]++;
    watch(fd);
}

static void close_connection(int fd) {
    struct connection *c = &connections[fd];
    if (c->ssl != NULL) SSL_free(c->ssl);
    c->ssl = NULL;
    c->open = 0;
    close(fd);
}

static int wait_writable(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, 1000) == 1;
}

static void send_all(int fd, const char *data, size_t length) {
    struct connection *c = &connections[fd];
    while (length > 0) {
        ssize_t n = c->ssl != NULL ? SSL_write(c->ssl, data, (int)length) : send(fd, data, length, MSG_NOSIGNAL);
        if (n > 0) {
            data += n;
            length -= (size_t)n;
        } else if (!wait_writable(fd)) {
            return; /* the client went away; its end shows at the next read */
        }
    }
}

static void send_answers(int fd, int count) {
    static char batch[64 * sizeof answer];
    date_answer();
    while (count > 0) {
        int now = count < 64 ? count : 64;
        for (int i = 0; i < now; i++) memcpy(batch + (size_t)i * answer_length, answer, answer_length);
        send_all(fd, batch, (size_t)now * answer_length);
        count -= now;
    }
}

static void send_stats(int fd) {
    char body[512], whole[700];
    int n = snprintf(body, sizeof body,
                     "{\"cpu_ns\": %lld, \"http\": {\"connections\": %llu, \"requests\": %llu}, \"tls\": {\"connections\": %llu, "
                     "\"requests\": %llu}, \"slow\": {\"connections\": %llu, \"requests\": %llu}}",
                     (long long)now_ns(CLOCK_PROCESS_CPUTIME_ID), (unsigned long long)accepted[HTTP],
                     (unsigned long long)requests[HTTP], (unsigned long long)accepted[TLS], (unsigned long long)requests[TLS],
                     (unsigned long long)accepted[SLOW], (unsigned long long)requests[SLOW]);
    n = snprintf(whole, sizeof whole, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", n, body);
    send_all(fd, whole, (size_t)n);
}

static void arm_timer(int64_t due) {
    struct itimerspec spec = {.it_value = {due / 1000000000, due % 1000000000}};
    timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void answer_later(int fd, int count) {
    if (late_head - late_tail == LATE_MAX) fail("too many delayed answers");
    struct late *l = &late[late_head % LATE_MAX];
    *l = (struct late){now_ns(CLOCK_MONOTONIC) + delay_ns, fd, count, connections[fd].generation};
    if (late_head++ == late_tail) arm_timer(l->due);
}

static void answer_due(void) {
    uint64_t ticks;
    if (read(timer_fd, &ticks, sizeof ticks) < 0 && errno != EAGAIN) fail("timerfd");
    int64_t now = now_ns(CLOCK_MONOTONIC);
    while (late_tail != late_head && late[late_tail % LATE_MAX].due <= now) {
        struct late *l = &late[late_tail++ % LATE_MAX];
        if (connections[l->fd].open && connections[l->fd].generation == l->generation) send_answers(l->fd, l->answers);
    }
    if (late_tail != late_head) arm_timer(late[late_tail % LATE_MAX].due);
}

/* 0: nothing more for now, -1: the connection is over. */
static ssize_t receive(struct connection *c, int fd) {
    if (c->ssl == NULL) {
        ssize_t n = recv(fd, c->in + c->filled, BUFFER - c->filled, 0);
        if (n > 0) return n;
        return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
    }
    int n = SSL_read(c->ssl, c->in + c->filled, (int)(BUFFER - c->filled));
    if (n > 0) return n;
    int error = SSL_get_error(c->ssl, n);
    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static void serve(int fd) {
    static const char end[] = {'\r', '\n', '\r', '\n'};
    struct connection *c = &connections[fd];
    int answers = 0;
    do {
        ssize_t n = receive(c, fd);
        if (n < 0) {
            close_connection(fd);
            return;
        }
        if (n == 0) return;
        c->filled += (size_t)n;
        char *start = c->in, *stop = c->in + c->filled, *found;
        while ((found = memmem(start, (size_t)(stop - start), end, sizeof end)) != NULL) {
            char *line_end = memchr(start, '\r', (size_t)(found + 1 - start));
            if (memcmp(start, "DELETE ", 7) == 0 && memmem(start, (size_t)(line_end - start), "?uploadId=", 10) != NULL) {
                requests[c->kind]++;
                answers++;
            } else if (memcmp(start, "GET /stats ", 11) == 0) {
                send_stats(fd);
            } else {
                static const char bad[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                send_all(fd, bad, sizeof bad - 1);
                close_connection(fd);
                return;
            }
            start = found + sizeof end;
        }
        c->filled = (size_t)(stop - start);
        memmove(c->in, start, c->filled);
        if (c->filled == BUFFER) {
            close_connection(fd);
            return;
        }
    } while (c->ssl != NULL && SSL_has_pending(c->ssl)); /* decrypted already: epoll would not tell of it */
    if (answers > 0 && c->kind == SLOW) answer_later(fd, answers);
    else if (answers > 0) send_answers(fd, answers);
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: responder CORE CERT.pem KEY.pem DELAY_MS\n");
        return 2;
    }
    if (atoi(argv[1]) >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(atoi(argv[1]), &set);
        if (sched_setaffinity(0, sizeof set, &set) != 0) fail("sched_setaffinity");
    }
    signal(SIGPIPE, SIG_IGN);
    delay_ns = (int64_t)atoi(argv[4]) * 1000000;
    tls_context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_read_ahead(tls_context, 1);
    if (SSL_CTX_use_certificate_chain_file(tls_context, argv[2]) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls_context, argv[3], SSL_FILETYPE_PEM) != 1) {
        ERR_print_errors_fp(stderr);
        return 1;
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (epoll_fd < 0 || timer_fd < 0) fail("epoll");
    int listener[KINDS], port[KINDS];
    for (int kind = 0; kind < KINDS; kind++) listener[kind] = listen_on_loopback(&port[kind]);
    watch(timer_fd);
    watch(0);
    printf("http %d tls %d slow %d\n", port[HTTP], port[TLS], port[SLOW]);
    fflush(stdout);
    for (;;) {
        struct epoll_event events[64];
        int n = epoll_wait(epoll_fd, events, 64, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == 0) return 0;
            if (fd == timer_fd) answer_due();
            else if (fd == listener[HTTP]) accept_one(fd, HTTP);
            else if (fd == listener[TLS]) accept_one(fd, TLS);
            else if (fd == listener[SLOW]) accept_one(fd, SLOW);
            else if (connections[fd].open) serve(fd);
        }
    }
}

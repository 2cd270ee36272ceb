/* The server that the clients are measured against. It listens on loopback, on one port for each way to respond, and responds
 * to every DELETE as OBS does: with a 204, or with a refusal and its XML body; over HTTP or TLS; at once or after a delay. It has
 * one thread, because it shares one core with the client: a second one would only add switches. It ends when its standard input
 * does, so that nothing is left running when the harness dies.
 *
 *   responder CORE CERT.pem KEY.pem PORT...     PORT: http:STATUS:DELAY_MS or tls:STATUS:DELAY_MS, STATUS: 204, 404 or 503
 *   prints the port numbers in that order; then "GET /stats" on the first, which must be http, tells what it saw. */
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

enum { MAX_FD = 4096, MAX_PORTS = 16, BUFFER = 65536, MAX_DELAYED = 8192 };

struct delayed {
    int64_t due;
    int fd, count;
    uint32_t generation;
};
struct port {
    int tls, number, listener, timer;
    const char *status, *body;
    int64_t delay_ns;
    uint64_t accepted, requests;
    time_t dated; /* when the response was written: its Date changes once a second */
    size_t response_length;
    char response[1024];
    struct delayed delayed[MAX_DELAYED]; /* the delay is the same for all, so the order of arrival is that of the deadlines */
    unsigned delayed_head, delayed_tail;
};
struct connection {
    struct port *port;   /* NULL: not open */
    uint32_t generation; /* a delayed response must not go to the next connection that has the same descriptor */
    SSL *ssl;
    size_t filled;
    char *in;
};

#define REQUEST_ID "8DF400000163D463E02A07EC2295674C"
#define HOST_ID "32AAAQAAEAABAAAQAAEAABAAAQAAEAABCTjCqTmsA1XRpIrmrJdvcEWvZyjbztdd"
#define ERROR_BODY(code, message)                                                                                          \
    "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<Error><Code>" code "</Code><Message>" message              \
    "</Message><RequestId>" REQUEST_ID "</RequestId><HostId>" HOST_ID "</HostId></Error>"

static const struct { const char *number, *status, *body; } statuses[] = {
    {"204", "204 No Content", NULL},
    {"404", "404 Not Found",
     ERROR_BODY("NoSuchUpload", "The specified multipart upload does not exist. The upload ID might be invalid, or the multipart "
                                "upload might have been aborted or completed.")},
    {"503", "503 Service Unavailable", ERROR_BODY("SlowDown", "Please reduce your request rate.")},
};

static struct connection connections[MAX_FD];
static struct port ports[MAX_PORTS];
static int port_count;
static int epoll_fd;
static SSL_CTX *tls_context;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int64_t now_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void write_response(struct port *port) {
    time_t now = time(NULL);
    if (now == port->dated) return;
    port->dated = now;
    struct tm tm;
    char date[64], framing[128] = "";
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
    if (port->body != NULL)
        snprintf(framing, sizeof framing, "Content-Type: application/xml\r\nContent-Length: %zu\r\n", strlen(port->body));
    int n = snprintf(port->response, sizeof port->response,
                     "HTTP/1.1 %s\r\nServer: OBS\r\nDate: %s\r\n%sx-obs-request-id: " REQUEST_ID "\r\nx-obs-id-2: " HOST_ID
                     "\r\n\r\n%s",
                     port->status, date, framing, port->body != NULL ? port->body : "");
    if (n < 0 || (size_t)n >= sizeof port->response) fail("response too long");
    port->response_length = (size_t)n;
}

static void watch(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
}

static int listen_on_loopback(int *number) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        fail("listen");
    *number = ntohs(address.sin_port);
    watch(fd);
    return fd;
}

static void accept_one(struct port *port) {
    int fd = accept4(port->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
    if (fd < 0) return;
    if (fd >= MAX_FD) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct connection *c = &connections[fd];
    c->port = port;
    c->generation++;
    c->filled = 0;
    if (c->in == NULL && (c->in = malloc(BUFFER)) == NULL) fail("malloc");
    c->ssl = NULL;
    if (port->tls) {
        c->ssl = SSL_new(tls_context);
        SSL_set_fd(c->ssl, fd);
        SSL_set_accept_state(c->ssl);
    }
    port->accepted++;
    watch(fd);
}

static void close_connection(int fd) {
    struct connection *c = &connections[fd];
    if (c->ssl != NULL) SSL_free(c->ssl);
    c->ssl = NULL;
    c->port = NULL;
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

static void send_responses(int fd, int count) {
    static char batch[64 * sizeof ports[0].response];
    struct port *port = connections[fd].port;
    write_response(port);
    while (count > 0) {
        int now = count < 64 ? count : 64;
        for (int i = 0; i < now; i++) memcpy(batch + (size_t)i * port->response_length, port->response, port->response_length);
        send_all(fd, batch, (size_t)now * port->response_length);
        count -= now;
    }
}

static void send_stats(int fd) {
    char body[2048], whole[2200];
    int n = snprintf(body, sizeof body, "{\"cpu_ns\": %lld, \"ports\": [", (long long)now_ns(CLOCK_PROCESS_CPUTIME_ID));
    for (struct port *port = ports; port < ports + port_count; port++)
        n += snprintf(body + n, sizeof body - (size_t)n, "%s{\"connections\": %llu, \"requests\": %llu}", port > ports ? ", " : "",
                      (unsigned long long)port->accepted, (unsigned long long)port->requests);
    n += snprintf(body + n, sizeof body - (size_t)n, "]}");
    n = snprintf(whole, sizeof whole, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", n, body);
    send_all(fd, whole, (size_t)n);
}

static void arm_timer(struct port *port) {
    int64_t due = port->delayed[port->delayed_tail % MAX_DELAYED].due;
    struct itimerspec spec = {.it_value = {due / 1000000000, due % 1000000000}};
    timerfd_settime(port->timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void respond_later(int fd, int count) {
    struct port *port = connections[fd].port;
    if (port->delayed_head - port->delayed_tail == MAX_DELAYED) fail("too many delayed responses");
    port->delayed[port->delayed_head % MAX_DELAYED] =
        (struct delayed){now_ns(CLOCK_MONOTONIC) + port->delay_ns, fd, count, connections[fd].generation};
    if (port->delayed_head++ == port->delayed_tail) arm_timer(port);
}

static void send_due(struct port *port) {
    uint64_t ticks;
    if (read(port->timer, &ticks, sizeof ticks) < 0 && errno != EAGAIN) fail("timerfd");
    int64_t now = now_ns(CLOCK_MONOTONIC);
    while (port->delayed_tail != port->delayed_head && port->delayed[port->delayed_tail % MAX_DELAYED].due <= now) {
        struct delayed *d = &port->delayed[port->delayed_tail++ % MAX_DELAYED];
        if (connections[d->fd].port == port && connections[d->fd].generation == d->generation) send_responses(d->fd, d->count);
    }
    if (port->delayed_tail != port->delayed_head) arm_timer(port);
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
    int responses = 0;
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
                c->port->requests++;
                responses++;
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
    if (responses > 0 && c->port->delay_ns > 0) respond_later(fd, responses);
    else if (responses > 0) send_responses(fd, responses);
}

/* kind:STATUS:DELAY_MS */
static void open_port(struct port *port, const char *text) {
    char kind[8], number[8];
    int delay_ms;
    if (sscanf(text, "%7[a-z]:%7[0-9]:%d", kind, number, &delay_ms) != 3) fail(text);
    port->tls = strcmp(kind, "tls") == 0;
    port->delay_ns = (int64_t)delay_ms * 1000000;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (strcmp(statuses[i].number, number) != 0) continue;
        port->status = statuses[i].status;
        port->body = statuses[i].body;
    }
    if (port->status == NULL) fail(text);
    port->listener = listen_on_loopback(&port->number);
    port->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (port->timer < 0) fail("timerfd_create");
    watch(port->timer);
}

static void dispatch(int fd) {
    if (connections[fd].port != NULL) {
        serve(fd);
        return;
    }
    for (struct port *port = ports; port < ports + port_count; port++) {
        if (fd == port->timer) send_due(port);
        else if (fd == port->listener) accept_one(port);
    }
}

int main(int argc, char **argv) {
    if (argc < 5 || argc > 4 + MAX_PORTS) {
        fprintf(stderr, "usage: responder CORE CERT.pem KEY.pem http|tls:STATUS:DELAY_MS...\n");
        return 2;
    }
    if (atoi(argv[1]) >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(atoi(argv[1]), &set);
        if (sched_setaffinity(0, sizeof set, &set) != 0) fail("sched_setaffinity");
    }
    signal(SIGPIPE, SIG_IGN);
    tls_context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_read_ahead(tls_context, 1);
    if (SSL_CTX_use_certificate_chain_file(tls_context, argv[2]) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls_context, argv[3], SSL_FILETYPE_PEM) != 1) {
        ERR_print_errors_fp(stderr);
        return 1;
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) fail("epoll");
    for (; port_count < argc - 4; port_count++) {
        open_port(&ports[port_count], argv[4 + port_count]);
        printf("%d ", ports[port_count].number);
    }
    puts("");
    fflush(stdout);
    watch(0);
    for (;;) {
        struct epoll_event events[64];
        int n = epoll_wait(epoll_fd, events, 64, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == 0) return 0;
            dispatch(events[i].data.fd);
        }
    }
}

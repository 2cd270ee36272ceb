/* What a C program does by hand: a socket, or OpenSSL on it, a request written with snprintf, and a response of which only the
 * status is looked at.
 * With --pipeline N the requests are signed once and sent N at a time: what the responder can do by itself. */
#define _GNU_SOURCE
#include "bench.h"
#include "sign.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

struct worker {
    struct bench *bench;
    int fd;
    SSL *ssl;
    char *batch;
    size_t batch_length;
};

static SSL_CTX *tls_context;

void bench_load(struct bench *bench) {
    sign_load();
    if (!bench->tls) return;
    tls_context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(tls_context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_read_ahead(tls_context, 1);
    if (bench->ca_file != NULL ? SSL_CTX_load_verify_locations(tls_context, bench->ca_file, NULL) != 1
                               : SSL_CTX_set_default_verify_paths(tls_context) != 1)
        bench_fail("CA file", bench->ca_file);
}

const char *bench_version(void) { return OPENSSL_VERSION_TEXT; }

static size_t write_request(char *out, size_t size, struct bench *bench, const char *key, const char *upload_id) {
    struct signed_headers headers;
    sign(&headers, key, upload_id);
    return (size_t)snprintf(out, size, "DELETE /" BENCH_BUCKET "/%s?uploadId=%s HTTP/1.1\r\nHost: %s\r\n%s\r\n%s\r\n\r\n", key,
                            upload_id, bench->host_header, headers.date, headers.authorization);
}

static void connect_worker(struct worker *worker) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    struct timeval patience = {.tv_sec = 10};
    char port[16];
    int on = 1;
    snprintf(port, sizeof port, "%d", worker->bench->port);
    if (getaddrinfo(worker->bench->host, port, &hints, &found) != 0) bench_fail("getaddrinfo", worker->bench->host);
    worker->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(worker->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(worker->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(worker->fd, found->ai_addr, found->ai_addrlen) != 0) bench_fail("connect", worker->bench->endpoint);
    freeaddrinfo(found);
    if (!worker->bench->tls) return;
    worker->ssl = SSL_new(tls_context);
    SSL_set1_host(worker->ssl, worker->bench->host);
    SSL_set_fd(worker->ssl, worker->fd);
    if (SSL_connect(worker->ssl) != 1) bench_fail("SSL_connect", worker->bench->endpoint);
}

void *bench_worker(struct bench *bench) {
    struct worker *worker = calloc(1, sizeof *worker);
    worker->bench = bench;
    connect_worker(worker);
    if (bench->pipeline > 1) {
        worker->batch = malloc((size_t)bench->pipeline * 1024);
        for (int i = 0; i < bench->pipeline; i++)
            worker->batch_length += write_request(worker->batch + worker->batch_length, 1024, bench, bench->uploads[i].key,
                                                  bench->uploads[i].upload_id);
    }
    return worker;
}

static void send_all(struct worker *worker, const char *data, size_t length) {
    while (length > 0) {
        ssize_t n = worker->ssl != NULL ? SSL_write(worker->ssl, data, (int)length) : send(worker->fd, data, length, MSG_NOSIGNAL);
        if (n <= 0) bench_fail("raw", "could not send");
        data += n;
        length -= (size_t)n;
    }
}

static void receive_responses(struct worker *worker, int count) {
    char in[65536];
    size_t filled = 0;
    while (count > 0) {
        char *start = in, *found;
        ssize_t n = worker->ssl != NULL ? SSL_read(worker->ssl, in + filled, (int)(sizeof in - filled))
                                        : recv(worker->fd, in + filled, sizeof in - filled, 0);
        if (n <= 0) bench_fail("raw", "could not receive");
        filled += (size_t)n;
        while ((found = memmem(start, filled, "\r\n\r\n", 4)) != NULL) {
            if (memcmp(start, "HTTP/1.1 204 ", 13) != 0) bench_fail("raw", "the response was not a 204");
            filled -= (size_t)(found + 4 - start);
            start = found + 4;
            count--;
        }
        memmove(in, start, filled);
    }
}

void bench_abort(void *opaque, const char *key, const char *upload_id) {
    struct worker *worker = opaque;
    if (worker->batch != NULL) {
        send_all(worker, worker->batch, worker->batch_length);
    } else {
        char request[1024];
        send_all(worker, request, write_request(request, sizeof request, worker->bench, key, upload_id));
    }
    receive_responses(worker, worker->bench->pipeline);
}

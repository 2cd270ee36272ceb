/* The OBS signature as a C program without a library computes it: one HMAC-SHA1 by OpenSSL for every request. libcrypto is
 * loaded at run time, so that the cold start of the client that uses it counts it too. */
#ifndef SIGN_H
#define SIGN_H

#include "bench.h"

#include <dlfcn.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/opensslv.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#if OPENSSL_VERSION_NUMBER >= 0x30000000L
#define LIBCRYPTO "libcrypto.so.3"
#else
#define LIBCRYPTO "libcrypto.so.1.1"
#endif

static __typeof__(HMAC) *hmac;
static __typeof__(EVP_sha1) *evp_sha1;
static __typeof__(EVP_EncodeBlock) *evp_encode_block;

static void load_symbol(void *library, const char *name, void *function) {
    void *symbol = dlsym(library, name);
    if (symbol == NULL) bench_fail(name, dlerror());
    memcpy(function, &symbol, sizeof symbol);
}

static void sign_load(void) {
    void *crypto = dlopen(LIBCRYPTO, RTLD_NOW);
    if (crypto == NULL) bench_fail(LIBCRYPTO, dlerror());
    load_symbol(crypto, "HMAC", &hmac);
    load_symbol(crypto, "EVP_sha1", &evp_sha1);
    load_symbol(crypto, "EVP_EncodeBlock", &evp_encode_block);
}

struct signed_headers { char date[64], authorization[128]; };

static void sign(struct signed_headers *out, const char *key, const char *upload_id) {
    char date[40], text[512];
    unsigned char digest[EVP_MAX_MD_SIZE], base64[64];
    unsigned int digest_length = 0;
    struct tm tm;
    time_t now = time(NULL);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
    int length = snprintf(text, sizeof text, "DELETE\n\n\n%s\n/" BENCH_BUCKET "/%s?uploadId=%s", date, key, upload_id);
    hmac(evp_sha1(), BENCH_SECRET_KEY, sizeof BENCH_SECRET_KEY - 1, (unsigned char *)text, (size_t)length, digest, &digest_length);
    evp_encode_block(base64, digest, (int)digest_length);
    snprintf(out->date, sizeof out->date, "Date: %s", date);
    snprintf(out->authorization, sizeof out->authorization, "Authorization: OBS " BENCH_ACCESS_KEY ":%s", (char *)base64);
}

#endif

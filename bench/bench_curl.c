/* libcurl, as a careful C program uses it for this: handle kept, both timeouts on, no signals, signed for every request. */
#define CURL_DISABLE_TYPECHECK
#include "bench.h"
#include "sign.h"

#include <curl/curl.h>
#include <stdlib.h>

static __typeof__(curl_easy_init) *easy_init;
static __typeof__(curl_easy_setopt) *easy_setopt;
static __typeof__(curl_easy_perform) *easy_perform;
static __typeof__(curl_easy_getinfo) *easy_getinfo;
static __typeof__(curl_easy_strerror) *easy_strerror;
static __typeof__(curl_easy_cleanup) *easy_cleanup;
static __typeof__(curl_slist_append) *slist_append;
static __typeof__(curl_slist_free_all) *slist_free_all;
static __typeof__(curl_version) *version;
static __typeof__(curl_multi_init) *multi_init;
static __typeof__(curl_multi_add_handle) *multi_add_handle;
static __typeof__(curl_multi_remove_handle) *multi_remove_handle;
static __typeof__(curl_multi_perform) *multi_perform;
static __typeof__(curl_multi_poll) *multi_poll;
static __typeof__(curl_multi_info_read) *multi_info_read;
static __typeof__(curl_multi_setopt) *multi_setopt;
static __typeof__(curl_global_init) *global_init;

struct worker {
    struct bench *bench;
    CURL *curl;
    struct curl_slist *headers;
};

void bench_load(struct bench *bench) {
    (void)bench;
    void *curl = dlopen("libcurl.so.4", RTLD_NOW);
    if (curl == NULL) bench_fail("libcurl.so.4", dlerror());
    load_symbol(curl, "curl_global_init", &global_init);
    load_symbol(curl, "curl_easy_init", &easy_init);
    load_symbol(curl, "curl_easy_setopt", &easy_setopt);
    load_symbol(curl, "curl_easy_perform", &easy_perform);
    load_symbol(curl, "curl_easy_getinfo", &easy_getinfo);
    load_symbol(curl, "curl_easy_strerror", &easy_strerror);
    load_symbol(curl, "curl_easy_cleanup", &easy_cleanup);
    load_symbol(curl, "curl_slist_append", &slist_append);
    load_symbol(curl, "curl_slist_free_all", &slist_free_all);
    load_symbol(curl, "curl_version", &version);
    load_symbol(curl, "curl_multi_init", &multi_init);
    load_symbol(curl, "curl_multi_add_handle", &multi_add_handle);
    load_symbol(curl, "curl_multi_remove_handle", &multi_remove_handle);
    load_symbol(curl, "curl_multi_perform", &multi_perform);
    load_symbol(curl, "curl_multi_poll", &multi_poll);
    load_symbol(curl, "curl_multi_info_read", &multi_info_read);
    load_symbol(curl, "curl_multi_setopt", &multi_setopt);
    sign_load();
    if (global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) bench_fail("curl_global_init", "failed");
}

const char *bench_version(void) { return version(); }

static size_t swallow(char *data, size_t size, size_t count, void *unused) {
    (void)data;
    (void)unused;
    return size * count;
}

static CURL *new_handle(struct bench *bench) {
    CURL *curl = easy_init();
    if (curl == NULL) bench_fail("curl_easy_init", "failed");
    easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "DELETE");
    easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
    easy_setopt(curl, CURLOPT_TIMEOUT_MS, 60000L);
    easy_setopt(curl, CURLOPT_WRITEFUNCTION, swallow);
    if (bench->ca_file != NULL) easy_setopt(curl, CURLOPT_CAINFO, bench->ca_file);
    return curl;
}

static void prepare(struct worker *worker, const char *key, const char *upload_id) {
    struct signed_headers headers;
    char url[512];
    snprintf(url, sizeof url, "%s/" BENCH_BUCKET "/%s?uploadId=%s", worker->bench->endpoint, key, upload_id);
    sign(&headers, key, upload_id);
    worker->headers = slist_append(NULL, headers.date);
    worker->headers = slist_append(worker->headers, headers.authorization);
    easy_setopt(worker->curl, CURLOPT_URL, url);
    easy_setopt(worker->curl, CURLOPT_HTTPHEADER, worker->headers);
}

static void finish(struct worker *worker, CURLcode code) {
    long status = 0;
    easy_getinfo(worker->curl, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK) bench_fail("curl", easy_strerror(code));
    if (status != 204) bench_fail("curl", "the response was not a 204");
    slist_free_all(worker->headers);
    worker->headers = NULL;
}

void *bench_worker(struct bench *bench) {
    struct worker *worker = calloc(1, sizeof *worker);
    worker->bench = bench;
    if (!bench->fresh) worker->curl = new_handle(bench);
    return worker;
}

void bench_abort(void *opaque, const char *key, const char *upload_id) {
    struct worker *worker = opaque;
    if (worker->bench->fresh) worker->curl = new_handle(worker->bench);
    prepare(worker, key, upload_id);
    finish(worker, easy_perform(worker->curl));
    if (worker->bench->fresh) easy_cleanup(worker->curl);
}

void bench_many(struct bench *bench, long count) {
    CURLM *multi = multi_init();
    long begun = 0, ended = 0;
    int running = 0;
    multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)bench->at_once);
    for (; begun < bench->at_once && begun < count; begun++) {
        struct worker *worker = bench_worker(bench);
        easy_setopt(worker->curl, CURLOPT_PRIVATE, worker);
        prepare(worker, bench->uploads[begun % BENCH_UPLOADS].key, bench->uploads[begun % BENCH_UPLOADS].upload_id);
        multi_add_handle(multi, worker->curl);
    }
    while (ended < count) {
        int left;
        CURLMsg *message;
        multi_perform(multi, &running);
        while ((message = multi_info_read(multi, &left)) != NULL) {
            struct worker *worker;
            CURLcode code = message->data.result;
            CURL *curl = message->easy_handle;
            easy_getinfo(curl, CURLINFO_PRIVATE, &worker);
            finish(worker, code);
            multi_remove_handle(multi, curl);
            ended++;
            if (begun < count) {
                prepare(worker, bench->uploads[begun % BENCH_UPLOADS].key, bench->uploads[begun % BENCH_UPLOADS].upload_id);
                begun++;
                multi_add_handle(multi, curl);
                running = 1;
            }
        }
        if (ended < count) {
            multi_perform(multi, &running);
            multi_poll(multi, NULL, 0, 1000, NULL);
        }
    }
}

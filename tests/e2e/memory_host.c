/*
 * A host that searches its own memory for secrets.
 *
 *     memory_host ENDPOINT BUCKET SECRETS NEEDLES [NAME=VALUE...]
 *
 * SECRETS is a file of strings, each ended by a NUL: secret key, security token, proxy URL ("-": by the environment), and
 * the secret key and the token that replace the first ones after all verbs were called. They are read into pages of
 * their own, given to the library, and wiped before the search. NEEDLES is a file of strings likewise, in which the high
 * bit of each byte is set, so that this program never holds them. The settings are ca, certificate and key (of a client),
 * credentials (a source) and expect (the name of the first verb's code). Variables of the environment that hold secrets
 * are wiped as well.
 *
 * Makes a client, calls each verb twice, frees everything, and searches all writable memory for each run of 16 bytes of
 * each needle. Prints "held N RUNS" for needle N while the client lives, and "left N RUNS WHERE" when all is freed.
 * Exit status: 0 all was called, 1 a verb's code is another one, 2 wrong usage.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <obsabort.h>

#define ROOM ((size_t)64 * 1024)
#define RUN 16
#define NEEDLES 16

static const char *expected = "ok";
static char *secrets;
static unsigned char *needles;
static size_t secrets_size, needles_size;
/* Where a run begins, by its first two bytes, and the next one with the same. */
static uint32_t first[65536], next[ROOM];

static char *read_whole(const char *path, size_t *size)
{
    char *into = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int file = open(path, O_RDONLY);
    ssize_t got;

    *size = 0;
    if (into == MAP_FAILED || file < 0)
        exit(2);
    while ((got = read(file, into + *size, ROOM - 1 - *size)) > 0)
        *size += (size_t)got;
    close(file);
    return into;
}

static const char *secret(int number)
{
    const char *at = secrets;

    while (number-- > 0)
        at += strlen(at) + 1;
    return at;
}

static void index_runs(void)
{
    size_t at;

    for (at = 0; at + RUN <= needles_size; at++) {
        size_t key = (size_t)needles[at] << 8 | needles[at + 1];

        if (memchr(needles + at, 0, RUN) != NULL)
            continue;
        next[at] = first[key];
        first[key] = (uint32_t)at + 1;
    }
}

static int is_run(const unsigned char *memory, const unsigned char *run)
{
    int i;

    for (i = 0; i < RUN; i++)
        if ((memory[i] | 0x80) != run[i] || memory[i] >= 0x80)
            return 0;
    return 1;
}

/* Counts the runs of each needle. */
static void search(const unsigned char *memory, size_t size, size_t *found)
{
    size_t i, at, n;

    for (i = 0; i + RUN <= size; i++) {
        size_t key = (size_t)(memory[i] | 0x80) << 8 | (memory[i + 1] | 0x80);

        for (at = first[key]; at != 0; at = next[at - 1]) {
            if (!is_run(memory + i, needles + at - 1))
                continue;
            for (n = 0; at > 1; at--)
                n += needles[at - 2] == 0;
            found[n]++;
            break;
        }
    }
}

static void search_all(const char *label, int with_places)
{
    static char maps[ROOM * 4];
    size_t size = 0, sum[NEEDLES] = {0}, n;
    int file = open("/proc/self/maps", O_RDONLY);
    char *line;
    ssize_t got;

    while ((got = read(file, maps + size, sizeof maps - 1 - size)) > 0)
        size += (size_t)got;
    close(file);
    maps[size] = '\0';
    for (line = strtok(maps, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        size_t found[NEEDLES] = {0};
        uintptr_t begin = strtoul(line, &line, 16), end = strtoul(line + 1, &line, 16);
        char *place = strchr(line, '[') != NULL ? strchr(line, '[') : strchr(line, '/');

        if (line[1] != 'r' || line[2] != 'w')
            continue;
        search((const unsigned char *)begin, end - begin, found);
        for (n = 0; n < NEEDLES; n++) {
            sum[n] += found[n];
            if (with_places && found[n] > 0)
                printf("%s %zu %zu %s\n", label, n, found[n], place != NULL ? place : "anonymous");
        }
    }
    for (n = 0; n < NEEDLES; n++)
        if (!with_places && sum[n] > 0)
            printf("%s %zu %zu\n", label, n, sum[n]);
}

static int32_t go_on(const obs_abort_outcome *outcome, uint64_t done, uint64_t total, void *userdata)
{
    (void)outcome, (void)done, (void)total, (void)userdata;
    return 0;
}

static void log_line(int32_t level, const char *message, void *userdata)
{
    (void)level, (void)message, (void)userdata;
}

/* Returns whether the code is another one than expected. */
static int differs(const char *verb, int32_t code, char *error)
{
    int differs = strcmp(obs_abort_code_name(code), expected) != 0;

    if (differs)
        fprintf(stderr, "%s: %s\n", verb, error != NULL ? error : obs_abort_code_name(code));
    obs_abort_string_free(error);
    return differs;
}

static int call_verbs(const obs_abort_client *client, const char *bucket)
{
    static const obs_abort_upload uploads[] = {{"key", "id"}, {"another key", "id"}};
    obs_abort_outcome *outcome = NULL;
    obs_abort_report *report = NULL;
    char *error = NULL;
    int wrong = 0;
    int32_t code;

    code = obs_abort_stale(client, NULL, bucket, NULL, 60, 0, go_on, NULL, &report, &error);
    wrong |= differs("stale", code, error);
    obs_abort_report_free(report);
    obs_abort_multipart(client, bucket, "key", "id", NULL, &error);
    obs_abort_string_free(error);
    obs_abort_multipart_outcome(client, NULL, bucket, "key", "id", &outcome);
    obs_abort_outcome_free(outcome);
    obs_abort_many(client, NULL, bucket, uploads, 2, go_on, NULL, &report, &error);
    obs_abort_string_free(error);
    obs_abort_report_free(report);
    return wrong;
}

static void wipe_environment(void)
{
    static const char *const names[] = {"OBS_SECRET_ACCESS_KEY", "OBS_SECURITY_TOKEN", "https_proxy", "http_proxy"};
    size_t i;

    for (i = 0; i < sizeof names / sizeof *names; i++) {
        char *value = getenv(names[i]);

        if (value != NULL)
            memset(value, 0, strlen(value));
    }
}

/* Returns whether the library took the setting. */
static int set(obs_abort_config *config, char *setting)
{
    static const char *certificate;
    char *value = strchr(setting, '=');

    if (value == NULL)
        return 0;
    *value++ = '\0';
    if (strcmp(setting, "ca") == 0)
        return obs_abort_config_set_ca_file(config, value) == OBS_ABORT_OK;
    if (strcmp(setting, "key") == 0)
        return obs_abort_config_set_client_certificate(config, certificate, value) == OBS_ABORT_OK;
    if (strcmp(setting, "credentials") == 0)
        return obs_abort_config_set_credential_source(config, atoi(value)) == OBS_ABORT_OK;
    if (strcmp(setting, "certificate") == 0)
        certificate = value;
    else if (strcmp(setting, "expect") == 0)
        expected = value;
    else
        return 0;
    return 1;
}

int main(int argc, char **argv)
{
    obs_abort_config *config = obs_abort_config_new();
    obs_abort_client *client = NULL;
    char *error = NULL;
    int i, wrong = 0;

    if (argc < 5)
        return 2;
    secrets = read_whole(argv[3], &secrets_size);
    needles = (unsigned char *)read_whole(argv[4], &needles_size);
    index_runs();
    wrong |= obs_abort_config_set_endpoint(config, argv[1]) != OBS_ABORT_OK;
    wrong |= obs_abort_config_set_credentials(config, "ACCESSKEY", secret(0), secret(1)) != OBS_ABORT_OK;
    if (strcmp(secret(2), "-") != 0)
        wrong |= obs_abort_config_set_proxy(config, secret(2)) != OBS_ABORT_OK;
    obs_abort_config_set_max_attempts(config, 2);
    obs_abort_config_set_log(config, log_line, NULL, OBS_ABORT_LOG_DEBUG);
    for (i = 5; i < argc; i++)
        wrong |= !set(config, argv[i]);
    wrong |= obs_abort_client_new(config, &client, &error) != OBS_ABORT_OK;
    if (error != NULL)
        fprintf(stderr, "client: %s\n", error);
    obs_abort_string_free(error);
    wrong |= call_verbs(client, argv[2]);
    if (*secret(3) != '\0')
        wrong |= obs_abort_client_set_credentials(client, "ACCESSKEY", secret(3), secret(4), NULL) != OBS_ABORT_OK;
    call_verbs(client, argv[2]);
    wipe_environment();
    memset(secrets, 0, secrets_size);
    munmap(secrets, ROOM);
    search_all("held", 0);
    obs_abort_config_free(config);
    obs_abort_client_free(client);
    search_all("left", 1);
    return wrong;
}

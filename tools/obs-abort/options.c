/* The command line, by a table of its own instead of getopt_long. That function accepts any unambiguous
   abbreviation: `--in` would be `--include-live`, which a program that deletes must not guess. It is
   not in POSIX either. */
#include "obs-abort.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* No more than a screen of 80 columns and 24 lines, the prompt's included. */
static const char help[] =
    "Usage: obs-abort [OPTION]... obs://BUCKET/KEY UPLOAD_ID  abort one upload\n"
    "       obs-abort [OPTION]... --stale AGE obs://BUCKET    abort what is as old\n"
    "       obs-abort [OPTION]... --from FILE obs://BUCKET    abort what FILE lists\n"
    "       obs-abort [OPTION]... --list obs://BUCKET         show the unfinished\n"
    "AGE is 90s, 90m, 24h or 7d. FILE has a line KEY<tab>UPLOAD_ID each; - is stdin.\n"
    "      --prefix P           only keys that start with P (--stale, --list)\n"
    "  -n, --dry-run            with --stale: show what would go, abort nothing\n"
    "  -y, --yes                with --stale: do not ask (needed off a terminal)\n"
    "      --include-live       with --stale 0s: uploads in progress, too\n"
    "      --endpoint URL       or OBS_ENDPOINT; https://obs.REGION.example.com\n"
    "      --credentials FROM   env (the default), ecs, chain (both), file:PATH\n"
    "      --addressing HOW     auto, virtual-host, path, custom-domain\n"
    "      --signature SCHEME   auto, obs, aws-v2\n"
    "      --ca-file PEM   --client-cert PEM   --client-key PEM   --proxy URL\n"
    "      --timeout T   --connect-timeout T   --max-attempts N   of each upload\n"
    "      --connections N      aborts at once, 32    --request-payer\n"
    "      --confirm            list the parts after it, abort again if any are left\n"
    "      --json               an object a line      -q, --quiet  failures only\n"
    "  -v, --verbose            log to stderr (-vv: more)   -h, --help   --version\n"
    "Keys, in the environment: OBS_ACCESS_KEY_ID, OBS_SECRET_ACCESS_KEY,\n"
    "OBS_SECURITY_TOKEN.\n"
    "Exit: 0 all gone, 1 some are not, 2 usage, 3 could not start, 130 interrupted.\n";

struct choice {
    const char *name;
    int32_t value;
};

static const struct choice addressings[] = {
    {"auto", OBS_ABORT_ADDRESSING_AUTO},
    {"virtual-host", OBS_ABORT_ADDRESSING_VIRTUAL_HOST},
    {"path", OBS_ABORT_ADDRESSING_PATH},
    {"custom-domain", OBS_ABORT_ADDRESSING_CUSTOM_DOMAIN},
    {NULL, 0},
};
static const struct choice signatures[] = {
    {"auto", OBS_ABORT_SIGNATURE_AUTO},
    {"obs", OBS_ABORT_SIGNATURE_OBS},
    {"aws-v2", OBS_ABORT_SIGNATURE_AWS_V2},
    {NULL, 0},
};

enum kind { FLAG, REPEATED, TEXT, TEXT_OR_EMPTY, AGE, TIME, COUNT, CHOICE };

struct spec {
    const char *name;
    char letter;
    enum kind kind;
    size_t offset; /* of the field in struct options */
    const struct choice *choices;
};

#define FIELD(name) offsetof(struct options, name)
static const struct spec specs[] = {
    {"stale", 0, AGE, FIELD(stale), NULL},
    {"from", 0, TEXT, FIELD(from), NULL},
    {"list", 0, FLAG, FIELD(list), NULL},
    {"prefix", 0, TEXT, FIELD(prefix), NULL},
    {"dry-run", 'n', FLAG, FIELD(dry_run), NULL},
    {"yes", 'y', FLAG, FIELD(yes), NULL},
    {"include-live", 0, FLAG, FIELD(include_live), NULL},
    {"endpoint", 0, TEXT, FIELD(endpoint), NULL},
    {"credentials", 0, TEXT, FIELD(credentials), NULL},
    {"ca-file", 0, TEXT, FIELD(ca_file), NULL},
    {"client-cert", 0, TEXT, FIELD(client_cert), NULL},
    {"client-key", 0, TEXT, FIELD(client_key), NULL},
    {"proxy", 0, TEXT_OR_EMPTY, FIELD(proxy), NULL},
    {"addressing", 0, CHOICE, FIELD(addressing), addressings},
    {"signature", 0, CHOICE, FIELD(signature), signatures},
    {"timeout", 0, TIME, FIELD(timeout_ms), NULL},
    {"connect-timeout", 0, TIME, FIELD(connect_timeout_ms), NULL},
    {"max-attempts", 0, COUNT, FIELD(max_attempts), NULL},
    {"connections", 0, COUNT, FIELD(connections), NULL},
    {"confirm", 0, FLAG, FIELD(confirm), NULL},
    {"request-payer", 0, FLAG, FIELD(request_payer), NULL},
    {"json", 0, FLAG, FIELD(json), NULL},
    {"quiet", 'q', FLAG, FIELD(quiet), NULL},
    {"verbose", 'v', REPEATED, FIELD(verbose), NULL},
    {"help", 'h', FLAG, FIELD(help), NULL},
    {"version", 0, FLAG, FIELD(version), NULL},
};

static const struct spec *spec_named(const char *name, size_t length)
{
    size_t i;

    for (i = 0; i < sizeof specs / sizeof *specs; i++)
        if (strlen(specs[i].name) == length && memcmp(specs[i].name, name, length) == 0)
            return &specs[i];
    return NULL;
}

static const struct spec *spec_lettered(char letter)
{
    size_t i;

    for (i = 0; i < sizeof specs / sizeof *specs; i++)
        if (specs[i].letter == letter && letter != '\0')
            return &specs[i];
    return NULL;
}

static bool takes_value(const struct spec *spec)
{
    return spec->kind != FLAG && spec->kind != REPEATED;
}

static bool choose(const struct spec *spec, const char *value, int32_t *chosen)
{
    const struct choice *choice;

    for (choice = spec->choices; choice->name != NULL; choice++) {
        if (strcmp(choice->name, value) == 0) {
            *chosen = choice->value;
            return true;
        }
    }
    complain("--%s: no such choice; see obs-abort --help", spec->name);
    return false;
}

static bool set(struct options *options, const struct spec *spec, const char *value)
{
    void *field = (char *)options + spec->offset;

    switch (spec->kind) {
    case FLAG:
        *(bool *)field = true;
        return true;
    case REPEATED:
        ++*(uint32_t *)field;
        return true;
    case AGE:
        if (!parse_age(value, &options->age)) {
            complain("--%s: an age is a whole number and a unit: 90s, 90m, 24h, 7d", spec->name);
            return false;
        }
        *(const char **)field = value;
        return true;
    case TEXT:
        /* --prefix "$UNSET" would sweep the whole bucket, --endpoint "$UNSET" another service. */
        if (*value == '\0') {
            complain("--%s: the value is empty (an unset variable?); leave the option out if that is meant", spec->name);
            return false;
        }
        *(const char **)field = value;
        return true;
    case TEXT_OR_EMPTY:
        *(const char **)field = value;
        return true;
    case TIME:
        if (parse_milliseconds(value, field))
            return true;
        complain("--%s: a time is a whole number above 0, in seconds or with a unit: 30, 30s, 500ms, 2m", spec->name);
        return false;
    case COUNT:
        if (parse_count(value, field))
            return true;
        complain("--%s: not a whole number above 0", spec->name);
        return false;
    case CHOICE:
        return choose(spec, value, field);
    }
    return false;
}

/* --name, --name=value or --name value; *next is the first argument not used up. */
static bool parse_long(struct options *options, const char *argument, char **argv, int argc, int *next)
{
    const char *name = argument + 2, *equals = strchr(name, '=');
    size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const struct spec *spec = spec_named(name, length);

    if (spec == NULL) {
        complain("no such option: --%.*s", (int)(length < 40 ? length : 40), name);
        return false;
    }
    if (!takes_value(spec)) {
        if (equals != NULL)
            complain("--%s takes no value", spec->name);
        return equals == NULL && set(options, spec, NULL);
    }
    if (equals != NULL)
        return set(options, spec, equals + 1);
    if (*next == argc) {
        complain("--%s wants a value", spec->name);
        return false;
    }
    return set(options, spec, argv[(*next)++]);
}

static bool parse_letters(struct options *options, const char *letters)
{
    for (; *letters != '\0'; letters++) {
        const struct spec *spec = spec_lettered(*letters);

        if (spec == NULL || takes_value(spec)) {
            complain("no such option: -%c", *letters > ' ' && *letters < 0x7f ? *letters : '?');
            return false;
        }
        set(options, spec, NULL);
    }
    return true;
}

/* Options may stand anywhere; "--" ends them, for upload ids that start with a dash. */
static bool parse_arguments(struct options *options, int argc, char **argv, const char **operands, size_t *count)
{
    bool only_operands = false;
    int next = 1;

    while (next < argc) {
        char *argument = argv[next++];
        bool ok = true;

        if (!only_operands && strcmp(argument, "--") == 0) {
            only_operands = true;
        } else if (!only_operands && argument[0] == '-' && argument[1] == '-') {
            ok = parse_long(options, argument, argv, argc, &next);
        } else if (!only_operands && argument[0] == '-' && argument[1] != '\0') {
            ok = parse_letters(options, argument + 1);
        } else if (*count == 2) {
            complain("too many arguments");
            ok = false;
        } else {
            operands[(*count)++] = argument;
        }
        if (!ok)
            return false;
    }
    return true;
}

/* obs://BUCKET or obs://BUCKET/KEY, the key taken as it stands. */
static bool split_url(struct options *options, const char *url)
{
    const char *bucket = url + 6, *slash;
    size_t length;

    if (strncmp(url, "obs://", 6) != 0 || *bucket == '\0' || *bucket == '/') {
        complain("the bucket is written obs://BUCKET");
        return false;
    }
    slash = strchr(bucket, '/');
    if (slash != NULL && slash[1] == '\0') { /* obs://bucket/$UNSET is not meant to be the whole bucket */
        complain("no key after the slash (an unset variable?); a bucket is written obs://BUCKET");
        return false;
    }
    options->key = slash != NULL ? slash + 1 : NULL;
    length = slash != NULL ? (size_t)(slash - bucket) : strlen(bucket);
    options->bucket = calloc(length + 1, 1);
    if (options->bucket == NULL)
        complain("out of memory");
    else
        memcpy(options->bucket, bucket, length);
    return options->bucket != NULL;
}

/* What is wrong with the combination, or NULL. An option that would have no effect is refused:
   its user expects one, and aborts can't be undone. */
static const char *misfit(const struct options *options, size_t operands)
{
    bool one = options->mode == MODE_ONE, stale = options->mode == MODE_STALE;

    if ((options->stale != NULL) + options->list + (options->from != NULL) > 1)
        return "--stale, --list and --from exclude one another";
    if (one && (options->key == NULL || operands != 2))
        return "one upload is obs://BUCKET/KEY and UPLOAD_ID; for more: --stale, --from or --list";
    /* The service would know no such upload, and it would count as gone. */
    if (one && has_blank_edge(options->upload_id))
        return "the upload id begins or ends with white space or an invisible character (copied along?)";
    if (!one && operands != 1)
        return "--stale, --from and --list take one argument: obs://BUCKET";
    if (!one && options->key != NULL)
        return options->mode == MODE_FROM ? "--from takes obs://BUCKET, the keys are in its file"
                                          : "for a part of a bucket: obs://BUCKET --prefix PREFIX";
    if (options->prefix != NULL && !stale && options->mode != MODE_LIST)
        return "--prefix goes with --stale and --list";
    if ((options->dry_run || options->yes || options->include_live) && !stale)
        return "--dry-run, --yes and --include-live go with --stale";
    if (stale && options->age == 0 && !options->include_live)
        return "--stale 0s would abort uploads in progress: say --include-live if that is meant";
    if (stale && options->age > 0 && options->include_live)
        return "--include-live goes with --stale 0s";
    if ((options->client_cert != NULL) != (options->client_key != NULL))
        return "--client-cert and --client-key go together";
    if (options->connections > 1024)
        return "--connections: more than 1024 are not allowed";
    return NULL;
}

int options_parse(struct options *options, int argc, char **argv)
{
    const char *operands[2] = {NULL, NULL}, *wrong;
    size_t count = 0;

    if (!parse_arguments(options, argc, argv, operands, &count))
        return STATUS_USAGE;
    if (options->help || options->version) {
        if (options->help)
            fputs(help, stdout);
        else
            printf("obs-abort %s\n", obs_abort_version());
        return STATUS_GONE;
    }
    if (count == 0) {
        complain("no bucket named; see obs-abort --help");
        return STATUS_USAGE;
    }
    if (!split_url(options, operands[0]))
        return STATUS_USAGE;
    options->upload_id = operands[1];
    options->mode = options->stale != NULL ? MODE_STALE : options->list ? MODE_LIST
                    : options->from != NULL ? MODE_FROM : MODE_ONE;
    wrong = misfit(options, count);
    if (wrong != NULL) {
        complain("%s", wrong);
        return STATUS_USAGE;
    }
    return -1;
}

/* The command line, by a table of its own instead of getopt_long. That function accepts any unambiguous
   abbreviation: `--in` would be `--include-live`, which a program that deletes must not guess. It is
   not in POSIX either. */
#include "credentials.h"
#include "option_table.h"

#include <stdlib.h>
#include <string.h>

#define SHORTEST_AGE 3600 /* without --include-live */

static const struct option_spec *spec_named(const char *name, size_t length)
{
    const struct option_spec *spec;

    for (spec = option_table; spec->name != NULL; spec++)
        if (strlen(spec->name) == length && memcmp(spec->name, name, length) == 0)
            return spec;
    return NULL;
}

static const struct option_spec *spec_lettered(char letter)
{
    const struct option_spec *spec;

    for (spec = option_table; spec->name != NULL; spec++)
        if (spec->letter == letter && letter != '\0')
            return spec;
    return NULL;
}

static bool choose(const struct option_spec *spec, const char *value, int32_t *chosen)
{
    const struct option_choice *choice;

    for (choice = spec->choices; choice->name != NULL; choice++) {
        if (strcmp(choice->name, value) == 0) {
            *chosen = choice->value;
            return true;
        }
    }
    complain("--%s: no such choice; see obs-abort --help", spec->name);
    return false;
}

static bool add_glob(const struct option_spec *spec, const char *value, struct patterns *patterns)
{
    const char *wrong = patterns_add(patterns, value);

    if (wrong != NULL)
        complain("--%s %s: %s", spec->name, value, wrong);
    return wrong == NULL;
}

static bool set_age(struct options *options, const struct option_spec *spec, const char *value)
{
    uint64_t *seconds = spec->kind == AGE ? &options->age : &options->idle_seconds;

    *(const char **)((char *)options + spec->offset) = value;
    if (spec->kind == AGE_OR_0 && strcmp(value, "0") == 0) {
        *seconds = 0;
        return true;
    }
    if (!parse_age(value, seconds)) {
        complain("--%s: %s", spec->name, age_hint(value));
        return false;
    }
    return true;
}

/* The first of two would have no effect, and more would be aborted than it says, or less. */
static bool is_second(const struct option_spec *spec, const void *field)
{
    bool is_text = spec->kind == AGE || spec->kind == AGE_OR_0 || spec->kind == SIZE || spec->kind == TEXT;

    return spec->group == WHAT_TO_ABORT && is_text && *(const char *const *)field != NULL;
}

static bool set(struct options *options, const struct option_spec *spec, const char *value)
{
    void *field = (char *)options + spec->offset;

    if (is_second(spec, field)) {
        complain("--%s is given twice", spec->name);
        return false;
    }
    /* --prefix "$UNSET" would sweep the whole bucket, --endpoint "$UNSET" another service. */
    if ((spec->kind == TEXT || spec->kind == GLOB) && *value == '\0') {
        complain("--%s: the value is empty (an unset variable?); leave the option out if that is meant", spec->name);
        return false;
    }
    switch (spec->kind) {
    case FLAG:
        *(bool *)field = true;
        return true;
    case REPEATED:
        ++*(uint32_t *)field;
        return true;
    case AGE:
    case AGE_OR_0:
        return set_age(options, spec, value);
    case SIZE:
        if (!parse_size(value, &options->larger_bytes)) {
            complain("--%s: a size is a whole number and a unit of 1024: 500K, 100M, 1G, 2T, or 1GiB; GB is refused, as it "
                     "may be a thousand million", spec->name);
            return false;
        }
        *(const char **)field = value;
        return true;
    case GLOB:
        return add_glob(spec, value, field);
    case TEXT:
    case TEXT_OR_EMPTY:
        *(const char **)field = value;
        return true;
    case TIME:
        if (parse_milliseconds(value, field))
            return true;
        complain("--%s: a time is a whole number above 0, in seconds or with a unit: 30, 30s, 500ms, 2m", spec->name);
        return false;
    case DEPTH:
        if (parse_depth(value, field))
            return true;
        complain("--%s=: the number of slashes that a prefix has, from 0 to 1000", spec->name);
        return false;
    case PRICE:
        if (parse_price(value, field))
            return true;
        complain("--%s: a number above 0, as 0.024", spec->name);
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

/* Whether it would be an option, or a bucket, if no option before it took it for a value. */
static bool is_argument(const char *text)
{
    if (strncmp(text, "obs://", 6) == 0 || strcmp(text, "--") == 0)
        return true;
    if (text[0] == '-' && text[1] == '-')
        return spec_named(text + 2, strcspn(text + 2, "=")) != NULL;
    if (text[0] != '-' || text[1] == '\0')
        return false;
    while (*++text != '\0' && spec_lettered(*text) != NULL)
        continue;
    return *text == '\0';
}

/* --name, --name=value or --name value; *next is the first argument not used up. */
static bool parse_long(struct options *options, const char *argument, char **argv, int argc, int *next)
{
    const char *name = argument + 2, *equals = strchr(name, '=');
    size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const struct option_spec *spec = spec_named(name, length);

    if (spec == NULL) {
        complain("no such option: --%.*s", (int)(length < 40 ? length : 40), name);
        return false;
    }
    if (spec->value == NULL) {
        if (equals != NULL && spec->kind == DEPTH)
            return set(options, spec, equals + 1);
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
    /* `--not $UNSET --json` would exclude nothing. */
    if (is_argument(argv[*next])) {
        complain("--%s wants a value, and %.100s comes after it (an unset variable?); if that is the value: --%s=%.100s",
                 spec->name, argv[*next], spec->name, argv[*next]);
        return false;
    }
    return set(options, spec, argv[(*next)++]);
}

static bool parse_letters(struct options *options, const char *letters)
{
    for (; *letters != '\0'; letters++) {
        const struct option_spec *spec = spec_lettered(*letters);

        if (spec == NULL || spec->value != NULL) {
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

        if (!only_operands && strcmp(argument, "--") == 0)
            only_operands = true;
        else if (!only_operands && argument[0] == '-' && argument[1] == '-')
            ok = parse_long(options, argument, argv, argc, &next);
        else if (!only_operands && argument[0] == '-' && argument[1] != '\0')
            ok = parse_letters(options, argument + 1);
        else
            operands[(*count)++] = argument;
        if (!ok)
            return false;
    }
    return true;
}

/* obs://BUCKET, obs://BUCKET/KEY or obs://BUCKET/PREFIX, which are taken as they stand. */
static bool split_url(struct target *target, const char *url)
{
    const char *bucket = url + 6, *slash;
    size_t length;

    if (strncmp(url, "obs://", 6) != 0 || *bucket == '\0' || *bucket == '/') {
        complain("the bucket is written obs://BUCKET");
        return false;
    }
    slash = strchr(bucket, '/');
    if (slash != NULL && slash[1] == '\0') { /* obs://bucket/$UNSET is not meant to be the whole bucket */
        complain("nothing after the slash (an unset variable?); a bucket is written obs://BUCKET");
        return false;
    }
    length = slash != NULL ? (size_t)(slash - bucket) : strlen(bucket);
    target->rest = slash != NULL ? slash + 1 : NULL;
    target->bucket = calloc(length + 1, 1);
    if (target->bucket == NULL)
        complain("out of memory");
    else
        memcpy(target->bucket, bucket, length);
    return target->bucket != NULL;
}

/* Whether an upload may be in both. */
static bool overlap(const struct target *one, const struct target *other)
{
    size_t length;

    if (strcmp(one->bucket, other->bucket) != 0)
        return false;
    if (one->rest == NULL || other->rest == NULL)
        return true;
    length = strlen(one->rest) < strlen(other->rest) ? strlen(one->rest) : strlen(other->rest);
    return strncmp(one->rest, other->rest, length) == 0;
}

/* What is wrong with the targets of --stale and --list, or NULL. */
static const char *misplaced(const struct options *options)
{
    size_t i, j;

    for (i = 0; i < options->target_count; i++) {
        if (options->targets[i].rest != NULL && options->prefix != NULL)
            return "--prefix and obs://BUCKET/PREFIX exclude one another";
        for (j = 0; j < i; j++)
            if (overlap(&options->targets[i], &options->targets[j]))
                return "one of the targets named is part of another, or named twice";
    }
    return NULL;
}

static bool chooses_buckets(const struct options *options)
{
    return options->all_buckets || options->bucket_match.count > 0;
}

/* What is wrong with --all-buckets and --bucket-match, or NULL. */
static const char *misfound(const struct options *options)
{
    if ((options->mode != MODE_STALE && options->mode != MODE_LIST) || options->from != NULL)
        return "--all-buckets and --bucket-match go with --stale and --list";
    if (options->all_buckets && options->bucket_match.count > 0)
        return "--all-buckets and --bucket-match exclude one another";
    if (options->target_count > 0)
        return "--all-buckets and --bucket-match find the buckets: no other is named";
    if (options->addressing == OBS_ABORT_ADDRESSING_CUSTOM_DOMAIN)
        return "--addressing custom-domain is for one bucket";
    return NULL;
}

/* The buckets, or one upload's bucket, key and id. */
static bool take_operands(struct options *options, const char **operands, size_t count)
{
    size_t targets = options->mode == MODE_ONE && count > 1 ? 1 : count;

    options->targets = calloc(targets + 1, sizeof *options->targets);
    if (options->targets == NULL) {
        complain("out of memory");
        return false;
    }
    for (; options->target_count < targets; options->target_count++)
        if (!split_url(&options->targets[options->target_count], operands[options->target_count]))
            return false;
    options->several = targets > 1 || chooses_buckets(options);
    options->bucket = options->several ? NULL : options->targets[0].bucket;
    options->key = options->targets[0].rest;
    options->upload_id = options->mode == MODE_ONE ? operands[1] : NULL;
    return true;
}

/* What is wrong with how the service and the keys are named, or NULL. */
static const char *misnamed(const struct options *options)
{
    char endpoint[256];

    if (options->profile != NULL && options->credentials != NULL)
        return "--profile and --credentials exclude one another";
    if (options->region == NULL)
        return NULL;
    if (!region_endpoint(options->region, endpoint, sizeof endpoint))
        return "--region: a name like eu-101 or cn-north-4; a host or a URL is --endpoint";
    if (options->endpoint != NULL && !same_endpoint(options->endpoint, endpoint))
        return "--endpoint and --region name different services: give one of them";
    return NULL;
}

bool options_ask(const struct options *options)
{
    return options->mode == MODE_STALE && !options->yes && !options->dry_run;
}

bool options_measure(const struct options *options)
{
    return options->sizes || options->totals > 0 || options->price > 0 || options->larger != NULL || options_ask(options);
}

/* 0 is none. */
static bool is_short(uint64_t seconds)
{
    return seconds > 0 && seconds < SHORTEST_AGE;
}

/* What is wrong with the combination, or NULL. An option that would have no effect is refused:
   its user expects one, and aborts can't be undone. */
static const char *misfit(const struct options *options, size_t operands)
{
    bool one = options->mode == MODE_ONE, stale = options->mode == MODE_STALE;
    const char *wrong = NULL;

    if (options->list && (options->stale != NULL || options->from != NULL))
        return "--list goes neither with --stale nor with --from";
    if (options->only_failed && options->from == NULL)
        return "--only goes with --from";
    if (chooses_buckets(options))
        wrong = misfound(options);
    if (wrong != NULL)
        return wrong;
    if (one && (options->key == NULL || operands != 2))
        return "one upload is obs://BUCKET/KEY and UPLOAD_ID; for more: --stale, --from or --list";
    /* The service would know no such upload, and it would count as gone. */
    if (one && has_blank_edge(options->upload_id))
        return "the upload id begins or ends with white space or an invisible character (copied along?)";
    if (one && strncmp(options->upload_id, "obs://", 6) == 0)
        return "an upload id does not start with obs://; for several buckets: --stale or --list";
    if (options->from != NULL && (options->key != NULL || operands != 1))
        return "--from takes one bucket, obs://BUCKET; the keys are in its file";
    if (options->prefix != NULL && (options->from != NULL || (!stale && options->mode != MODE_LIST)))
        return "--prefix goes with --stale and --list, without --from";
    if (one && options->match.count + options->not.count > 0)
        return "--match and --not go with --stale, --list and --from";
    if (options->larger != NULL && !stale && options->mode != MODE_LIST)
        return "--larger goes with --stale and --list";
    if (options->several && options->include_live)
        return "--include-live goes with a single bucket";
    if (stale || options->mode == MODE_LIST)
        wrong = misplaced(options);
    if (wrong != NULL)
        return wrong;
    if ((options->dry_run || options->yes || options->include_live) && !stale)
        return "--dry-run, --yes and --include-live go with --stale";
    if (options->idle != NULL && !stale && options->mode != MODE_LIST)
        return "--idle goes with --stale and --list";
    if ((options->sizes || options->price > 0) && !stale && options->mode != MODE_LIST)
        return "--sizes and --price go with --stale and --list";
    if (options->totals > 0 && !options->dry_run && options->mode != MODE_LIST)
        return "--totals goes with --list and --dry-run";
    if (options->include_live && options->age >= SHORTEST_AGE && !is_short(options->idle_seconds))
        return "--include-live goes with a --stale or --idle of less than 1h";
    if ((options->client_cert != NULL) != (options->client_key != NULL))
        return "--client-cert and --client-key go together";
    if ((options->log != NULL && strcmp(options->log, "-") == 0) ||
        (options->metrics != NULL && strcmp(options->metrics, "-") == 0))
        return "--log and --metrics take a file; for standard output there is --json";
    if (options->connections > 1024)
        return "--connections: more than 1024 are not allowed";
    return misnamed(options);
}

/* Refuses what would reach uploads that are in progress: few take an hour, but many take some minutes, and 3m may have been
   meant as three months. */
static bool is_too_short(const struct options *options, const char *name, const char *text, uint64_t seconds)
{
    bool minutes = text != NULL && *text != '\0' && text[strlen(text) - 1] == 'm';
    char span[64];

    if (text == NULL || options->include_live || seconds >= SHORTEST_AGE)
        return false;
    format_span(span, sizeof span, seconds);
    complain("%s %s is %s%s: uploads that young may be in progress; say --include-live if that is meant", name, text, span,
             minutes ? ", and a month is 30d" : "");
    return true;
}

/* What the operands say, and whether all fits together. What is wrong is told. */
static bool settle(struct options *options, const char **operands, size_t count)
{
    const char *wrong;

    options->mode = options->stale != NULL ? MODE_STALE : options->list ? MODE_LIST
                    : options->from != NULL ? MODE_FROM : MODE_ONE;
    if (count == 0 && !chooses_buckets(options)) {
        complain("no bucket named; see obs-abort --help");
        return false;
    }
    if (!take_operands(options, operands, count))
        return false;
    wrong = misfit(options, count);
    if (wrong != NULL)
        complain("%s", wrong);
    if (options->mode != MODE_ONE && !options->several && options->key != NULL)
        options->prefix = options->key;
    if (wrong != NULL || is_too_short(options, "--stale", options->stale, options->age))
        return false;
    if (is_short(options->idle_seconds) && options->mode == MODE_STALE &&
        is_too_short(options, "--idle", options->idle, options->idle_seconds))
        return false;
    /* What is that old by its beginning may still be written to. */
    if (options->mode == MODE_STALE && options->idle == NULL)
        options->idle_seconds = options->age;
    return true;
}

int options_parse(struct options *options, int argc, char **argv)
{
    const char **operands = calloc((size_t)argc + 2, sizeof *operands); /* two are looked at in any case */
    size_t count = 0;
    int status = STATUS_USAGE;

    if (operands == NULL) {
        complain("out of memory");
    } else if (parse_arguments(options, argc, argv, operands, &count)) {
        if (options->help)
            help_print(options->verbose > 0);
        else if (options->version)
            printf("obs-abort %s\n", obs_abort_version());
        if (options->help || options->version)
            status = STATUS_GONE;
        else if (settle(options, operands, count))
            status = -1;
    }
    free(operands);
    return status;
}

void options_free(struct options *options)
{
    while (options->target_count > 0)
        free(options->targets[--options->target_count].bucket);
    free(options->targets);
    patterns_free(&options->match);
    patterns_free(&options->not);
    patterns_free(&options->bucket_match);
}

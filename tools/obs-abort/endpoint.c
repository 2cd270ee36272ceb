/* The choice among the endpoints that are configured, and from the name of a region to one: obs-abort.1, KEYS AND
   ENDPOINT. */
#include "credentials.h"

#include <string.h>

/* Regions whose domain is not myhuaweicloud.com, by how their names begin: those of the European site, which Huawei's own
   Terraform provider tells by the same prefix, and those that partners operate under domains of theirs. */
static const struct {
    const char *prefix, *domain;
} elsewhere[] = {
    {"eu-west-10", "myhuaweicloud.eu"},
    {"eu-de", "otc.t-systems.com"},
    {"eu-nl", "otc.t-systems.com"},
    {"ru-moscow-", "hc.sbercloud.ru"},
    {"tr-central-201", "hc.vodafone.com.tr"},
};

/* What a name may consist of, so that no other host comes of it. */
static bool is_region(const char *region)
{
    size_t length = strlen(region);

    return length >= 3 && length < 64 && strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == length &&
           strchr(region, '-') != NULL && region[0] != '-' && region[length - 1] != '-';
}

bool region_endpoint(const char *region, char *url, size_t size)
{
    const char *domain = "myhuaweicloud.com";
    size_t i;

    if (!is_region(region))
        return false;
    for (i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
        if (strncmp(region, elsewhere[i].prefix, strlen(elsewhere[i].prefix)) == 0)
            domain = elsewhere[i].domain;
    return snprintf(url, size, "https://obs.%s.%s", region, domain) < (int)size;
}

static const char *after(const char *text, const char *start)
{
    size_t length = strlen(start);

    return strncmp(text, start, length) == 0 ? text + length : text;
}

bool same_endpoint(const char *url, const char *other)
{
    const char *host = after(other, "https://"), *rest = after(url, "https://");

    if (strncmp(rest, host, strlen(host)) != 0)
        return false;
    rest = after(rest + strlen(host), ":443");
    return strcmp(after(rest, "/"), "") == 0;
}

bool endpoint_in_region(const char *endpoint, const char *region, char *url, size_t size)
{
    const char *scheme_end = strstr(endpoint, "://"), *host = scheme_end != NULL ? scheme_end + 3 : endpoint;
    const char *label = host + 4, *rest = label;
    char name[64], public[256];

    snprintf(url, size, "%s", endpoint);
    if (strncmp(host, "obs.", 4) != 0)
        return strlen(endpoint) < size;
    rest += strcspn(label, ".:/");
    snprintf(name, sizeof name, "%.*s", (int)(rest - label), label);
    if (*rest != '.' || !is_region(name)) {
        /* obs.myhuaweicloud.com is that of all its regions. */
        if (region_endpoint(region, public, sizeof public) && same_endpoint(label, strchr(public, '.') + strlen(region) + 2))
            snprintf(url, size, "%s", public);
        return strlen(endpoint) < size;
    }
    if (!is_region(region))
        return false;
    return snprintf(url, size, "%.*s%s%s", (int)(label - endpoint), endpoint, region, rest) < (int)size;
}

/* Whether there is one; takes a copy, and notes where it is from. */
static bool take(struct endpoint *endpoint, const char *url, const char *from)
{
    if (!keep_copy(&endpoint->url, url) || !is_set(url))
        return is_set(url); /* without memory, the caller finds none in it */
    snprintf(endpoint->from, sizeof endpoint->from, "%s", from);
    return true;
}

static bool take_region(struct endpoint *endpoint, const char *region, const char *from)
{
    char url[256], words[sizeof endpoint->from];

    if (!is_set(region) || !region_endpoint(region, url, sizeof url))
        return false;
    snprintf(words, sizeof words, "made of the region %s: %s", region, from);
    return take(endpoint, url, words);
}

static const char *aws_region(void)
{
    const char *region = variable("AWS_REGION");

    return region != NULL ? region : variable("AWS_DEFAULT_REGION");
}

/* With keys of the AWS tools, in their order; but a profile that an option names comes before the environment. */
static enum found find_aws(struct endpoint *endpoint, const struct source *keys, bool named, struct failure *failure)
{
    struct source usual = {.words = ""};
    enum found found = NOTHING;

    if (take(endpoint, variable("AWS_ENDPOINT_URL_S3"), "AWS_ENDPOINT_URL_S3") ||
        take(endpoint, variable("AWS_ENDPOINT_URL"), "AWS_ENDPOINT_URL") || take(endpoint, keys->endpoint, keys->words))
        return FOUND;
    /* Keys in variables: a profile may have what goes with them. */
    if (!keys->profile && !read_profile_endpoint(&usual, usual_profile(), failure))
        found = WRONG;
    else if (take(endpoint, usual.endpoint, usual.words) ||
             (named && take_region(endpoint, keys->region, keys->words)) ||
             take_region(endpoint, aws_region(), "the environment") ||
             take_region(endpoint, keys->region, keys->words) || take_region(endpoint, usual.region, usual.words))
        found = FOUND;
    source_close(&usual);
    return found;
}

/* What is wrong with its keys does not matter here. */
static enum found find_in_obsutil(struct endpoint *endpoint, struct failure *failure)
{
    struct source obsutil = {.words = ""};
    enum found found = read_obsutil(&obsutil, failure);

    if (take(endpoint, obsutil.endpoint, obsutil.words))
        found = FOUND;
    else if (found == FOUND)
        found = NOTHING;
    source_close(&obsutil);
    return found;
}

enum found endpoint_find(struct endpoint *endpoint, const struct source *keys, const struct options *options,
                         struct failure *failure)
{
    bool named = options->profile != NULL || options->credentials != NULL;
    enum found found = NOTHING;

    if (take(endpoint, options->endpoint, "--endpoint") || take_region(endpoint, options->region, "--region") ||
        (named && take(endpoint, keys->endpoint, keys->words)) ||
        take(endpoint, variable("OBS_ENDPOINT"), "OBS_ENDPOINT"))
        found = FOUND;
    else if (keys->aws)
        found = find_aws(endpoint, keys, named, failure);
    else if (take(endpoint, keys->endpoint, keys->words))
        found = FOUND;
    if (found == NOTHING)
        found = find_in_obsutil(endpoint, failure);
    if (found == NOTHING) {
        fail(failure, STATUS_COULD_NOT_START, OBS_ABORT_INVALID_CONFIG,
             "no endpoint: give --endpoint URL or --region NAME, or set OBS_ENDPOINT");
        return WRONG;
    }
    return found == FOUND && endpoint->url == NULL ? no_memory(failure) : found;
}

/* From the name of a region to its endpoint. */
#include "obs-abort.h"

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

bool region_endpoint(const char *region, char *endpoint, size_t size)
{
    const char *domain = "myhuaweicloud.com";
    size_t i;

    if (!is_region(region))
        return false;
    for (i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
        if (strncmp(region, elsewhere[i].prefix, strlen(elsewhere[i].prefix)) == 0)
            domain = elsewhere[i].domain;
    return snprintf(endpoint, size, "https://obs.%s.%s", region, domain) < (int)size;
}

bool same_endpoint(const char *endpoint, const char *other)
{
    const char *const scheme = "https://";
    size_t length;

    if (strncmp(endpoint, scheme, 8) == 0)
        endpoint += 8;
    if (strncmp(other, scheme, 8) == 0)
        other += 8;
    length = strlen(other);
    if (strncmp(endpoint, other, length) != 0)
        return false;
    endpoint += length;
    if (strncmp(endpoint, ":443", 4) == 0)
        endpoint += 4;
    return strcmp(endpoint, "") == 0 || strcmp(endpoint, "/") == 0;
}

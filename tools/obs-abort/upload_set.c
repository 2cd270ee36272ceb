/* A set of uploads of which only hashes are kept: some 20 bytes for each, whatever their keys. */
#include "obs-abort.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static void mix(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

/* SipHash-2-4, a byte after the other: who chooses keys can't choose them to be taken for another's upload. */
static void absorb(uint64_t v[4], uint64_t *word, size_t *length, const char *bytes, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        *word |= (uint64_t)(unsigned char)bytes[i] << 8 * (*length % 8);
        if (++*length % 8 == 0) {
            v[3] ^= *word;
            mix(v);
            mix(v);
            v[0] ^= *word;
            *word = 0;
        }
    }
}

/* Never 0, which marks a free place. */
static uint64_t hash(const struct upload_set *set, const char *key, const char *upload_id)
{
    uint64_t v[4] = {0x736f6d6570736575u ^ set->seed[0], 0x646f72616e646f6du ^ set->seed[1],
                     0x6c7967656e657261u ^ set->seed[0], 0x7465646279746573u ^ set->seed[1]};
    uint64_t word = 0, result;
    size_t length = 0;
    int i;

    absorb(v, &word, &length, key, strlen(key) + 1); /* with its NUL, which is in no key */
    absorb(v, &word, &length, upload_id, strlen(upload_id));
    word |= (uint64_t)length << 56;
    v[3] ^= word;
    mix(v);
    mix(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (i = 0; i < 4; i++)
        mix(v);
    result = v[0] ^ v[1] ^ v[2] ^ v[3];
    return result != 0 ? result : 1;
}

/* Where the hash is, or the free place where it belongs. */
static uint64_t *place_of(const struct upload_set *set, uint64_t wanted)
{
    size_t i = (size_t)wanted & (set->room - 1);

    while (set->hashes[i] != 0 && set->hashes[i] != wanted)
        i = (i + 1) & (set->room - 1);
    return &set->hashes[i];
}

/* So that at most three quarters are taken. */
static bool make_room(struct upload_set *set)
{
    struct upload_set larger = *set;
    size_t i;

    if (set->count < set->room / 4 * 3)
        return true;
    if (set->room == 0) {
        larger.seed[0] = (uint64_t)time(NULL) << 32 ^ (uint64_t)monotonic_ms();
        larger.seed[1] = (uint64_t)(uintptr_t)set << 20 ^ (uint64_t)(uintptr_t)&larger;
    }
    larger.room = set->room > 0 ? 2 * set->room : 1024;
    larger.hashes = calloc(larger.room, sizeof *larger.hashes);
    if (larger.hashes == NULL)
        return false;
    for (i = 0; i < set->room; i++)
        if (set->hashes[i] != 0)
            *place_of(&larger, set->hashes[i]) = set->hashes[i];
    free(set->hashes);
    *set = larger;
    return true;
}

bool upload_set_add(struct upload_set *set, const char *key, const char *upload_id)
{
    uint64_t *place, wanted;

    if (!make_room(set))
        return false;
    wanted = hash(set, key, upload_id);
    place = place_of(set, wanted);
    set->count += *place == 0;
    *place = wanted;
    return true;
}

bool upload_set_has(const struct upload_set *set, const char *key, const char *upload_id)
{
    return set->count > 0 && *place_of(set, hash(set, key, upload_id)) != 0;
}

bool upload_set_remove(struct upload_set *set, const char *key, const char *upload_id)
{
    uint64_t *place = set->count > 0 ? place_of(set, hash(set, key, upload_id)) : NULL;
    size_t i, free_place, mask = set->room - 1;

    if (place == NULL || *place == 0)
        return false;
    free_place = (size_t)(place - set->hashes);
    /* Those behind it that would not be found past a free place move up. */
    for (i = (free_place + 1) & mask; set->hashes[i] != 0; i = (i + 1) & mask) {
        size_t wanted = (size_t)set->hashes[i] & mask;

        if (((i - wanted) & mask) >= ((i - free_place) & mask)) {
            set->hashes[free_place] = set->hashes[i];
            free_place = i;
        }
    }
    set->hashes[free_place] = 0;
    set->count--;
    return true;
}

void upload_set_free(struct upload_set *set)
{
    free(set->hashes);
    memset(set, 0, sizeof *set);
}

/* A list of uploads: a batch of what --from names, or what a dry run found. */
#define _POSIX_C_SOURCE 200809L
#include "obs-abort.h"

#include <stdlib.h>
#include <string.h>

static bool make_room(struct upload_list *list)
{
    size_t room = list->room > 0 ? 2 * list->room : 1024;
    obs_abort_upload *uploads;
    struct upload_facts *facts;

    if (list->count < list->room)
        return true;
    uploads = realloc(list->uploads, room * sizeof *uploads);
    if (uploads == NULL)
        return false;
    list->uploads = uploads;
    facts = realloc(list->facts, room * sizeof *facts);
    if (facts == NULL)
        return false;
    list->facts = facts;
    list->room = room;
    return true;
}

bool upload_list_add(struct upload_list *list, const char *key, const char *upload_id, int64_t initiated)
{
    const struct measure unknown = {initiated, false, 0, 0, -1};
    size_t key_size = strlen(key) + 1, id_size = strlen(upload_id) + 1;
    char *copy = malloc(key_size + id_size);

    if (copy == NULL || !make_room(list)) {
        free(copy);
        return false;
    }
    memcpy(copy, key, key_size);
    memcpy(copy + key_size, upload_id, id_size);
    list->uploads[list->count].key = copy;
    list->uploads[list->count].upload_id = copy + key_size;
    list->facts[list->count].initiated = initiated;
    list->facts[list->count].code = OBS_ABORT_CANCELLED;
    list->facts[list->count].listed = false;
    list->facts[list->count].measure = unknown;
    list->count++;
    return true;
}

static int compare(const void *a, const void *b)
{
    const obs_abort_upload *one = *(const obs_abort_upload *const *)a, *other = *(const obs_abort_upload *const *)b;
    int order = strcmp(one->key, other->key);

    return order != 0 ? order : strcmp(one->upload_id, other->upload_id);
}

bool upload_list_sort(struct upload_list *list)
{
    size_t i;

    list->sorted = malloc((list->count > 0 ? list->count : 1) * sizeof *list->sorted);
    if (list->sorted == NULL)
        return false;
    for (i = 0; i < list->count; i++)
        list->sorted[i] = &list->uploads[i];
    qsort(list->sorted, list->count, sizeof *list->sorted, compare);
    return true;
}

struct upload_facts *upload_list_find(const struct upload_list *list, const char *key, const char *upload_id)
{
    obs_abort_upload wanted;
    const obs_abort_upload *pointer = &wanted, **found;

    wanted.key = key;
    wanted.upload_id = upload_id;
    found = bsearch(&pointer, list->sorted, list->count, sizeof *list->sorted, compare);
    return found != NULL ? &list->facts[*found - list->uploads] : NULL;
}

void upload_list_free(struct upload_list *list)
{
    while (list->count > 0)
        free((char *)list->uploads[--list->count].key);
    free(list->uploads);
    free(list->facts);
    free(list->sorted);
    free(list->prefix);
    upload_set_free(&list->listed);
    upload_set_free(&list->kept);
    if (list->rest != NULL)
        fclose(list->rest);
}

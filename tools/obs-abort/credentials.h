/* Where the keys and the endpoint come from. */
#ifndef OBS_ABORT_CREDENTIALS_H
#define OBS_ABORT_CREDENTIALS_H

#include "ini.h"

/* What one place says. */
struct source {
    char words[1024]; /* what it is called in messages */
    char *access_key, *secret_key, *security_token, *endpoint, *region; /* NULL, each, if it does not say */
    bool agency;         /* the keys are to be asked for */
    bool aws, profile;   /* of the AWS tools; and one of their profiles */
    bool encrypted;      /* there are keys that only obsutil can read */
    bool open_to_others; /* a file, as others_can_read */
};

enum found { FOUND, NOTHING, WRONG };

/* ---- source.c: what they have in common ---- */

bool is_set(const char *text);
void source_name(struct source *source, const char *format, ...);
/* Wipes its strings. */
void source_close(struct source *source);
/* Puts an allocated string into a field, and wipes what was there. Returns false if it is NULL: there is no memory. */
bool keep(char **field, char *value);
/* The same for a copy, unless there is nothing to copy. */
bool keep_copy(char **field, const char *value);
/* Whether there are keys, and a whole pair of them; `names` are what the place calls access key, secret and token. */
enum found source_judge(const struct source *source, const char *const *names, struct failure *failure);
/* Fills in the failure; WRONG. */
enum found source_wrong(const struct source *source, struct failure *failure, const char *format, ...);
enum found no_memory(struct failure *failure);
/* Allocated. NULL if there is no home directory, or no memory. */
char *home_path(const char *name);

/* ---- credentials.c ---- */

enum found credentials_find(struct source *source, const struct options *options, struct failure *failure);
/* ~/.obsutilconfig, its endpoint also if it has no keys to use. */
enum found read_obsutil(struct source *source, struct failure *failure);

/* ---- profile.c: the files of the AWS tools ---- */

/* What AWS_PROFILE says, or "default". */
const char *usual_profile(void);
/* named: it is a failure if it has no keys. */
enum found read_profile(struct source *source, const char *name, bool named, struct failure *failure);
/* Its endpoint and region alone. Returns false on failure. */
bool read_profile_endpoint(struct source *source, const char *name, struct failure *failure);

/* ---- endpoint.c ---- */

struct endpoint {
    char *url;
    char from[1200]; /* where it comes from, in words */
};

enum found endpoint_find(struct endpoint *endpoint, const struct source *keys, const struct options *options,
                         struct failure *failure);
/* The endpoint of a region. Returns false if it is no name of one. */
bool region_endpoint(const char *region, char *url, size_t size);
/* The endpoint of another region of the same service: that of obs.REGION.DOMAIN with another region. An endpoint that names
   no region stays as it is. Returns false if it can't be told. */
bool endpoint_in_region(const char *endpoint, const char *region, char *url, size_t size);
/* Whether they are the same but for what does not matter: a missing "https://", the port 443 or a slash at the end of the
   first. */
bool same_endpoint(const char *url, const char *other);

#endif

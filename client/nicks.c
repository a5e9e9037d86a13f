/*
 * An array that is looked through by a hash, and put in order when it is asked
 * for.
 */
#include "client/nicks.h"

#include "common/base/limits.h"
#include "common/wire/name.h"

#include <stdbool.h>
#include <stdlib.h>

#define NICKS_FIRST 16

struct known {
    uint32_t hash; /* of the nick in lower case */
    uint8_t length;
    bool doubted;
    char nick[NICK_BYTES_MAX];
    uint64_t spoke_us;
};

struct nicks {
    size_t count, size;
    struct known *all;
};

struct nicks *nicks_create(void)
{
    return calloc(1, sizeof(struct nicks));
}

void nicks_destroy(struct nicks *nicks)
{
    if (nicks)
        free(nicks->all);
    free(nicks);
}

static struct slice nick_of(const struct known *known)
{
    return (struct slice){known->nick, known->length};
}

static uint32_t hash_of(struct slice nick)
{
    char folded[NICK_BYTES_MAX];
    uint32_t hash = 0;

    name_fold(nick, folded);
    for (size_t i = 0; i < nick.length; i++)
        hash = hash * 31 + (unsigned char)folded[i];
    return hash;
}

static struct known *find(struct nicks *nicks, struct slice nick)
{
    uint32_t hash = hash_of(nick);

    for (size_t i = 0; i < nicks->count; i++) {
        if (nicks->all[i].hash == hash &&
            name_equals(nick_of(&nicks->all[i]), nick))
            return &nicks->all[i];
    }
    return NULL;
}

static struct known *most_silent(struct nicks *nicks)
{
    struct known *found = nicks->all;

    for (size_t i = 1; i < nicks->count; i++) {
        if (nicks->all[i].spoke_us < found->spoke_us)
            found = &nicks->all[i];
    }
    return found;
}

/* A place for one more; NULL: no memory. */
static struct known *place(struct nicks *nicks)
{
    if (nicks->count == NICKS_MAX)
        return most_silent(nicks);
    if (nicks->count == nicks->size) {
        size_t size = nicks->size > 0 ? 2 * nicks->size : NICKS_FIRST;
        struct known *all = realloc(nicks->all, size * sizeof(*all));

        if (!all)
            return NULL;
        nicks->all = all;
        nicks->size = size;
    }
    return &nicks->all[nicks->count++];
}

void nicks_add(struct nicks *nicks, struct slice nick, uint64_t spoke_us)
{
    struct known *known;

    if (!nick_is_valid(nick))
        return;
    known = find(nicks, nick);
    if (!known) {
        known = place(nicks);
        if (!known)
            return;
        known->hash = hash_of(nick);
        known->length = (uint8_t)nick.length;
        known->spoke_us = 0;
    }
    memcpy(known->nick, nick.bytes, nick.length);
    known->doubted = false;
    if (spoke_us > known->spoke_us)
        known->spoke_us = spoke_us;
}

void nicks_remove(struct nicks *nicks, struct slice nick)
{
    struct known *known = nick_is_valid(nick) ? find(nicks, nick) : NULL;

    if (known)
        *known = nicks->all[--nicks->count];
}

void nicks_doubt(struct nicks *nicks)
{
    for (size_t i = 0; i < nicks->count; i++)
        nicks->all[i].doubted = true;
}

void nicks_settle(struct nicks *nicks)
{
    size_t kept = 0;

    for (size_t i = 0; i < nicks->count; i++) {
        if (!nicks->all[i].doubted)
            nicks->all[kept++] = nicks->all[i];
    }
    nicks->count = kept;
}

/* By nick where both spoke at once, or never. */
static int compare(const void *a, const void *b)
{
    const struct known *first = a, *second = b;
    size_t shorter =
        first->length < second->length ? first->length : second->length;
    int by_name;

    if (first->spoke_us != second->spoke_us)
        return first->spoke_us > second->spoke_us ? -1 : 1;
    by_name = memcmp(first->nick, second->nick, shorter);
    return by_name != 0 ? by_name : first->length - second->length;
}

size_t nicks_list(struct nicks *nicks, struct slice *out, size_t max)
{
    size_t count = nicks->count < max ? nicks->count : max;

    if (nicks->count > 0)
        qsort(nicks->all, nicks->count, sizeof(*nicks->all), compare);
    for (size_t i = 0; i < count; i++)
        out[i] = nick_of(&nicks->all[i]);
    return count;
}

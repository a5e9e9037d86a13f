/*
 * The table. A hash's bucket is its low bits, as many as the last bucket in use
 * has, or without the highest of them where that bucket is not in use yet:
 *
 *     in use  0 1 2 3 4 5        ...110: bucket 6 is not in use, so 2
 *
 * So when the next bucket (6) comes into use, all it is due is in one other
 * (2), which is split. One is split for every other session that comes; or, if
 * there was no memory for a while, for each, until there are no more than
 * SESSIONS_PER_BUCKET on average again.
 *
 * Strangers choose the nicks: name_hash is keyed.
 */
#include "common/chat/nicks.h"

#include "common/chat/internal.h"
#include "common/chat/shared.h"
#include "common/wire/name.h"

#include <assert.h>

#define SESSIONS_PER_BUCKET 2
#define BUCKETS_USED_MIN 2 /* so that the last one's number has a bit */
#define BUCKETS_MIN (MAPPED_BYTES_MIN / (uint32_t)sizeof(struct session *))

bool nicks_init(struct nicks *nicks, struct budget *budget)
{
    *nicks = (struct nicks){
        .buckets = budget_alloc(budget, MAPPED_BYTES_MIN),
        .used = BUCKETS_USED_MIN,
        .capacity = BUCKETS_MIN,
    };
    if (!nicks->buckets)
        return false;
    for (uint32_t i = 0; i < nicks->used; i++)
        nicks->buckets[i] = NULL;
    return true;
}

void nicks_release(struct nicks *nicks, struct budget *budget)
{
    assert(nicks->count == 0);
    budget_free(budget, nicks->buckets,
                nicks->capacity * sizeof(struct session *));
    *nicks = (struct nicks){0};
}

/* The number without its highest bit, which is set. */
static uint32_t without_high_bit(uint32_t number)
{
    return number ^ (UINT32_C(1) << (31 - __builtin_clz(number)));
}

/* Where the chain of a nick begins. */
static struct session **bucket_of(const struct chat *chat, struct slice nick)
{
    const struct nicks *nicks = &chat->shards->nicks;
    uint32_t last = nicks->used - 1;
    uint32_t mask = UINT32_MAX >> __builtin_clz(last);
    uint32_t bucket = name_hash(chat, nick) & mask;

    if (bucket > last)
        bucket = without_high_bit(bucket);
    return &nicks->buckets[bucket];
}

static void chain_push(struct session **bucket, struct session *session)
{
    session->nick_next = *bucket;
    *bucket = session;
}

/* Room for one more bucket; false without memory. */
static bool buckets_reserve(struct nicks *nicks, struct budget *budget)
{
    size_t length = nicks->capacity * sizeof(struct session *);
    struct session **buckets;

    if (nicks->used < nicks->capacity)
        return true;
    buckets = budget_resize(budget, nicks->buckets, length, 2 * length);
    if (!buckets)
        return false;
    nicks->buckets = buckets;
    nicks->capacity *= 2;
    return true;
}

/* The next bucket comes into use, with those of the one that had them. */
static void split_bucket(struct chat *chat)
{
    struct nicks *nicks = &chat->shards->nicks;
    uint32_t split = without_high_bit(nicks->used);
    struct session *session = nicks->buckets[split];

    assert(split < nicks->used && nicks->used < nicks->capacity);
    nicks->buckets[split] = nicks->buckets[nicks->used] = NULL;
    nicks->used++;
    while (session) {
        struct session *next = session->nick_next;

        chain_push(bucket_of(chat, session_nick(session)), session);
        session = next;
    }
}

struct session *nick_find(const struct chat *chat, struct slice nick)
{
    struct session *session;

    if (nick.length > NICK_BYTES_MAX)
        return NULL;
    session = *bucket_of(chat, nick);
    while (session && !name_equals(session_nick(session), nick))
        session = session->nick_next;
    return session;
}

void nick_add(struct session *session)
{
    struct chat *chat = session->chat;
    struct nicks *nicks = &chat->shards->nicks;

    assert(!session->named);
    session->named = true;
    nicks->count++;
    chain_push(bucket_of(chat, session_nick(session)), session);
    if (nicks->count > SESSIONS_PER_BUCKET * nicks->used &&
        buckets_reserve(nicks, chat->budget))
        split_bucket(chat);
}

void nick_remove(struct session *session)
{
    struct chat *chat = session->chat;
    struct session **place = bucket_of(chat, session_nick(session));

    assert(session->named);
    while (*place != session)
        place = &(*place)->nick_next;
    *place = session->nick_next;
    session->named = false;
    chat->shards->nicks.count--;
}

/*
 * Finding by name: rooms and source addresses; nicks.c does so for nicks, with
 * the hash that is here.
 *
 * The tables are uthash's. An element whose `tbl` is NULL is in none: uthash
 * leaves it so when it finds no memory, and we set it so when we take it out.
 * Strangers choose what is in them, so the hash is keyed with a secret of this
 * process (SipHash-2-4: Aumasson and Bernstein, "a fast short-input PRF", 2012;
 * libsodium's crypto_shorthash), or they could choose names that all fall into
 * one bucket.
 */
#include "common/chat/internal.h"
#include "common/chat/shared.h"
#include "common/wire/name.h"

#include <assert.h>
#include <sodium/crypto_shorthash.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(crypto_shorthash_KEYBYTES ==
                   sizeof(((struct chat *)0)->hash_key),
               "the key fits SipHash");

/* Names are the same whatever the case of their letters. */
#undef HASH_KEYCMP
#define HASH_KEYCMP(a, b, length) (!keys_equal((a), (b), (length)))

static bool keys_equal(const void *a, const void *b, size_t length)
{
    return name_equals((struct slice){a, length}, (struct slice){b, length});
}

static unsigned hash_bytes(const struct chat *chat, const void *bytes,
                           size_t length)
{
    unsigned char out[crypto_shorthash_BYTES];
    unsigned hash;

    crypto_shorthash(out, bytes, length, chat->hash_key);
    memcpy(&hash, out, sizeof(hash));
    return hash;
}

unsigned name_hash(const struct chat *chat, struct slice name)
{
    char folded[ROOM_NAME_BYTES_MAX];

    assert(name.length <= sizeof(folded));
    name_fold(name, folded);
    return hash_bytes(chat, folded, name.length);
}

/* The high bits: the low ones choose a bucket of the owner's table. */
uint32_t room_owner(const struct chat *chat, struct slice name)
{
    uint64_t hash = name_hash(chat, name);

    return (uint32_t)(hash * chat->shards->count >> 32);
}

struct room *room_find(struct chat *chat, struct slice name)
{
    struct room *found = NULL;

    if (name.length <= ROOM_NAME_BYTES_MAX)
        HASH_FIND_BYHASHVALUE(by_name, chat->rooms, name.bytes, name.length,
                              name_hash(chat, name), found);
    return found;
}

bool room_add(struct chat *chat, struct room *room)
{
    HASH_ADD_KEYPTR_BYHASHVALUE(by_name, chat->rooms, room->name,
                                room->name_length,
                                name_hash(chat, room_name(room)), room);
    return room->by_name.tbl;
}

void room_remove(struct chat *chat, struct room *room)
{
    HASH_DELETE(by_name, chat->rooms, room);
    room->by_name.tbl = NULL;
}

/* Addresses are bytes, not names: compared as they are. */
#undef HASH_KEYCMP
#define HASH_KEYCMP(a, b, length) memcmp((a), (b), (length))

static struct address *address_create(struct chat *chat,
                                      const uint8_t key[ADDRESS_BYTES],
                                      unsigned hash)
{
    struct address *address = budget_alloc(chat->budget, sizeof(*address));

    if (!address)
        return NULL;
    *address = (struct address){.sessions = 0};
    memcpy(address->key, key, sizeof(address->key));
    HASH_ADD_KEYPTR_BYHASHVALUE(by_key, chat->shards->addresses, address->key,
                                sizeof(address->key), hash, address);
    if (address->by_key.tbl)
        return address;
    budget_free(chat->budget, address, sizeof(*address));
    return NULL;
}

struct address *address_enter(struct chat *chat,
                              const uint8_t key[ADDRESS_BYTES])
{
    unsigned hash = hash_bytes(chat, key, ADDRESS_BYTES);
    struct address *address;

    HASH_FIND_BYHASHVALUE(by_key, chat->shards->addresses, key, ADDRESS_BYTES,
                          hash, address);
    if (address && address->sessions >= chat->config.sessions_per_address_max)
        return NULL;
    if (!address)
        address = address_create(chat, key, hash);
    if (address)
        address->sessions++;
    return address;
}

void address_leave(struct chat *chat, struct address *address)
{
    if (--address->sessions > 0)
        return;
    HASH_DELETE(by_key, chat->shards->addresses, address);
    budget_free(chat->budget, address, sizeof(*address));
}

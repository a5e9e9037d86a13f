/*
 * What several dialects are made of: items, lines, names and numbers, and bytes
 * to write. No I/O.
 */
#ifndef RINGCHAT_LOAD_PARTS_H
#define RINGCHAT_LOAD_PARTS_H

#include "tests/load/dialect.h"

#include <string.h>
#include <strings.h>

/* docs/protocol.md, names. */
#define ROOM_BYTES_MAX 32
#define NICK_BYTES_MAX 24

/* Of what ends in LF: the longest message (--max-message of docs/operation.md),
 * the names before it, and what stands around them. */
#define LINE_EXTENT_MAX                                                        \
    (((size_t)1 << 20) + ROOM_BYTES_MAX + NICK_BYTES_MAX + 64)

/* -- items -- */

static inline void item_set(struct item *item, enum item_kind kind,
                            const void *text, size_t length)
{
    item->kind = kind;
    item->text = text;
    item->length = length;
    item->number = 0;
}

static inline void item_kind(struct item *item, enum item_kind kind)
{
    item_set(item, kind, "", 0);
}

static inline void item_corrupt(struct item *item, const char *why)
{
    item_set(item, ITEM_CORRUPT, why, strlen(why));
}

/* -- lines -- */

/* The `extent` of what ends in LF. */
static inline size_t line_extent(const unsigned char *bytes, size_t length,
                                 size_t looked, size_t *wanted)
{
    size_t looking = length < LINE_EXTENT_MAX ? length : LINE_EXTENT_MAX;
    const unsigned char *end = NULL;

    if (looked < looking)
        end = memchr(bytes + looked, '\n', looking - looked);
    if (end)
        return (size_t)(end - bytes) + 1;
    *wanted = length + 1;
    return length < LINE_EXTENT_MAX ? 0 : EXTENT_INVALID;
}

/* -- names and numbers -- */

/* A room's name without the # that may stand before it. */
static inline const char *room_name(const char *room)
{
    return room + (room[0] == '#');
}

/* Whether these bytes name the room, in whatever case. */
static inline bool room_is(const char *room, const void *bytes, size_t length)
{
    const char *name = room_name(room);

    return strlen(name) == length && (memcmp(name, bytes, length) == 0 ||
                                      strncasecmp(name, bytes, length) == 0);
}

/* The decimal number that is all of the text, without a zero before it. */
static inline bool count_read(const unsigned char *text, size_t length,
                              uint64_t *count)
{
    *count = 0;
    if (length == 0 || length > 19 || (text[0] == '0' && length > 1))
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *count = *count * 10 + (text[i] - (unsigned)'0');
    }
    return true;
}

/* -- writing: these return where the next byte goes -- */

static inline unsigned char *put_u8(unsigned char *to, uint8_t value)
{
    *to = value;
    return to + 1;
}

static inline unsigned char *put_bytes(unsigned char *to, const void *bytes,
                                       size_t length)
{
    if (length > 0)
        memcpy(to, bytes, length);
    return to + length;
}

#endif

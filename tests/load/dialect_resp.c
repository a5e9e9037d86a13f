/*
 * Redis and Valkey as a chat: a room is a channel, and to say something is to
 * publish it there. Written from the specification of RESP3,
 * https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md:
 * in RESP2 a connection that subscribes may not publish. What the server cannot
 * have to say to such a client (attributes, streamed values, RESP2's nulls) is
 * taken for damage. No I/O, no memory.
 */
#include "tests/load/dialect.h"
#include "tests/load/parts.h"

#include <string.h>

/* The longest text, either way: less than the 512 MiB that a server takes by
 * itself (proto-max-bulk-len), so that no server has us reserve those. */
#define BLOB_BYTES_MAX ((size_t)16 << 20)
/* One item: a push with such a text, or the answer to HELLO, which lists the
 * server's modules. */
#define ITEM_BYTES_MAX (BLOB_BYTES_MAX + ((size_t)64 << 10))
#define ITEM_VALUES_MAX 4096
/* A value that is one line: numbers, errors. */
#define LINE_BYTES_MAX 4096

/* How the two pushes begin that matter; the channel follows. */
#define MESSAGE ">3\r\n$7\r\nmessage\r\n"
#define SUBSCRIBED ">3\r\n$9\r\nsubscribe\r\n"

/* ---- How long an item is ---- */

/* On its way through an item, value by value. However deep they are nested, a
 * count of those that must still come tells where the item ends. */
struct walk {
    const unsigned char *bytes;
    size_t length;
    size_t at;
    size_t missing;
};

/* All of these return 0 when they are past what they are named for, else how
 * many bytes it takes at least, or EXTENT_INVALID. */

/* The length, from `*at` to the end of its line. */
static inline size_t walk_number(const struct walk *walk, size_t *at,
                                 size_t *number)
{
    const unsigned char *bytes = walk->bytes;
    size_t i = *at, value = 0;

    for (; i < walk->length && bytes[i] >= '0' && bytes[i] <= '9'; i++) {
        value = value * 10 + (size_t)(bytes[i] - '0');
        if (value > BLOB_BYTES_MAX)
            return EXTENT_INVALID;
    }
    if (i < walk->length && (i == *at || bytes[i] != '\r'))
        return EXTENT_INVALID;
    if (walk->length - i < 2)
        return walk->length + 1;
    if (bytes[i + 1] != '\n')
        return EXTENT_INVALID;
    *at = i + 2;
    *number = value;
    return 0;
}

static inline size_t walk_blob(struct walk *walk)
{
    size_t at = walk->at + 1, number = 0, wanted;

    wanted = walk_number(walk, &at, &number);
    if (wanted != 0)
        return wanted;
    if (walk->length - at < number + 2)
        return at + number + 2;
    if (walk->bytes[at + number] != '\r' ||
        walk->bytes[at + number + 1] != '\n')
        return EXTENT_INVALID;
    walk->at = at + number + 2;
    walk->missing--;
    return 0;
}

static inline size_t walk_aggregate(struct walk *walk, size_t values_each)
{
    size_t at = walk->at + 1, number = 0, wanted;

    wanted = walk_number(walk, &at, &number);
    if (wanted != 0)
        return wanted;
    if (number > ITEM_VALUES_MAX ||
        walk->missing + number * values_each > ITEM_VALUES_MAX)
        return EXTENT_INVALID;
    walk->at = at;
    walk->missing += number * values_each - 1;
    return 0;
}

static inline size_t walk_line(struct walk *walk)
{
    const unsigned char *begin = walk->bytes + walk->at, *end;
    size_t length = walk->length - walk->at;

    if (length > LINE_BYTES_MAX)
        length = LINE_BYTES_MAX;
    end = memchr(begin, '\n', length);
    if (end == NULL)
        return length < LINE_BYTES_MAX ? walk->length + 1 : EXTENT_INVALID;
    if (end[-1] != '\r')
        return EXTENT_INVALID;
    walk->at += (size_t)(end - begin) + 1;
    walk->missing--;
    return 0;
}

static inline size_t walk_value(struct walk *walk)
{
    if (walk->at == walk->length)
        return walk->length + 1;
    switch (walk->bytes[walk->at]) {
    case '$': /* string */
    case '!': /* error that may have many lines */
    case '=': /* string with its format */
        return walk_blob(walk);
    case '*': /* array */
    case '~': /* set */
    case '>': /* push */
        return walk_aggregate(walk, 1);
    case '%': /* map */
        return walk_aggregate(walk, 2);
    case '+': /* string */
    case '-': /* error */
    case ':': /* integer */
    case ',': /* floating point */
    case '(': /* integer of any size */
    case '#': /* boolean */
    case '_': /* null */
        return walk_line(walk);
    default:
        return EXTENT_INVALID;
    }
}

/* It always begins at the beginning: lines are short, and a text is passed in
 * one step. */
static size_t resp_extent(const unsigned char *bytes, size_t length,
                          size_t looked, size_t *wanted)
{
    struct walk walk = {.bytes = bytes, .length = length, .missing = 1};

    (void)looked;
    /* No other result, but sooner. */
    if (length >= sizeof(MESSAGE) - 1 &&
        memcmp(bytes, MESSAGE, sizeof(MESSAGE) - 1) == 0) {
        walk.at = sizeof(MESSAGE) - 1;
        walk.missing = 2;
    }
    while (walk.missing > 0) {
        *wanted = walk_value(&walk);
        if (*wanted > ITEM_BYTES_MAX)
            return EXTENT_INVALID;
        if (*wanted != 0)
            return 0;
    }
    return walk.at <= ITEM_BYTES_MAX ? walk.at : EXTENT_INVALID;
}

/* ---- What an item means ---- */

/* The string at `*at`; false: something else stands there. What `resp_extent`
 * has walked over needs no second look at its bounds. */
static inline bool blob_read(const unsigned char *bytes, size_t length,
                             size_t *at, const unsigned char **blob,
                             size_t *blob_length)
{
    size_t i = *at, value = 0;

    if (i == length || bytes[i] != '$')
        return false;
    for (i++; bytes[i] != '\r'; i++)
        value = value * 10 + (size_t)(bytes[i] - '0');
    *blob = bytes + i + 2;
    *blob_length = value;
    *at = i + 2 + value + 2;
    return true;
}

/* Whether the channel at `*at` is the room. */
static inline bool room_read(const char *room, const unsigned char *bytes,
                             size_t length, size_t *at)
{
    const unsigned char *channel;
    size_t channel_length;

    return blob_read(bytes, length, at, &channel, &channel_length) &&
           strlen(room) == channel_length &&
           memcmp(room, channel, channel_length) == 0;
}

static void message_read(const struct speaker *speaker,
                         const unsigned char *bytes, size_t length,
                         struct item *item)
{
    size_t at = sizeof(MESSAGE) - 1, text_length;
    const unsigned char *text;

    if (!room_read(speaker->room, bytes, length, &at))
        item_corrupt(item, "a message of a channel not subscribed to");
    else if (!blob_read(bytes, length, &at, &text, &text_length))
        item_corrupt(item, "a message that is not a string");
    else
        item_set(item, ITEM_MESSAGE, text, text_length);
}

/* "-ERR ...", or "!" with a length and that many bytes. */
static void error_read(const unsigned char *bytes, size_t length,
                       struct item *item)
{
    const unsigned char *text = bytes + 1;

    if (bytes[0] == '!')
        text = (const unsigned char *)memchr(bytes, '\n', length) + 1;
    item_set(item, ITEM_ERROR, text, length - (size_t)(text - bytes) - 2);
}

static void resp_read(struct speaker *speaker, const unsigned char *bytes,
                      size_t length, struct item *item)
{
    size_t at = sizeof(SUBSCRIBED) - 1;

    if (length >= sizeof(MESSAGE) - 1 &&
        memcmp(bytes, MESSAGE, sizeof(MESSAGE) - 1) == 0) {
        message_read(speaker, bytes, length, item);
        return;
    }
    if (bytes[0] == '-' || bytes[0] == '!')
        error_read(bytes, length, item);
    else if (length < at || memcmp(bytes, SUBSCRIBED, at) != 0)
        item_kind(item, ITEM_OTHER);
    else if (room_read(speaker->room, bytes, length, &at))
        item_kind(item, ITEM_ENTERED);
    else
        item_corrupt(item, "subscribed to another channel");
}

/* ---- What is said ---- */

/* In one go: a server that does not know HELLO 3 answers it with an error, and
 * what becomes of the rest is of no concern then. */
static void resp_enter(struct speaker *speaker, struct out *out)
{
    out_format(out,
               "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"
               "*2\r\n$9\r\nSUBSCRIBE\r\n$%zu\r\n%s\r\n",
               strlen(speaker->room), speaker->room);
}

/* "$", the length, the bytes. By hand: printf would take longer than all the
 * rest of saying something. */
static unsigned char *put_blob(unsigned char *to, const void *bytes,
                               size_t length)
{
    char digits[24];
    size_t begin = sizeof(digits), rest = length;

    digits[--begin] = '\n';
    digits[--begin] = '\r';
    do
        digits[--begin] = (char)('0' + rest % 10);
    while ((rest /= 10) != 0);
    digits[--begin] = '$';
    to = mempcpy(to, digits + begin, sizeof(digits) - begin);
    to = mempcpy(to, bytes, length);
    return mempcpy(to, "\r\n", 2);
}

static void resp_say(struct speaker *speaker, const void *text, size_t length,
                     struct out *out)
{
    static const char publish[] = "*3\r\n$7\r\nPUBLISH\r\n";
    size_t room_length = strlen(speaker->room);
    unsigned char *begin, *end;

    /* 24: the length of a blob, as in put_blob, and 2 for the end. */
    begin = out_reserve(out, sizeof(publish) + room_length + length +
                                 (size_t)2 * (24 + 2));
    end = mempcpy(begin, publish, sizeof(publish) - 1);
    end = put_blob(end, speaker->room, room_length);
    end = put_blob(end, text, length);
    out_added(out, (size_t)(end - begin));
}

static void resp_leave(struct speaker *speaker, struct out *out)
{
    static const char quit[] = "*1\r\n$4\r\nQUIT\r\n";

    (void)speaker;
    out_append(out, quit, sizeof(quit) - 1);
}

const struct dialect dialect_resp = {
    .scheme = "redis",
    .port = "6379",
    .hears_itself = true,
    .orders_all = true,
    .text_max = BLOB_BYTES_MAX,
    .extent = resp_extent,
    .read = resp_read,
    .enter = resp_enter,
    .say = resp_say,
    .leave = resp_leave,
};

/*
 * NATS as a chat: a room is a subject. Written from its client protocol,
 * https://docs.nats.io/reference/reference-protocols/nats-protocol: lines, of
 * which MSG alone is followed by bytes that it counts. Headers are refused in
 * CONNECT, so that no HMSG can come. No I/O, no memory.
 */
#include "tests/load/dialect.h"
#include "tests/load/parts.h"

#include <string.h>

/* What a server takes unless it is told otherwise (max_payload). */
#define TEXT_BYTES_MAX ((size_t)1 << 20)
/* INFO may list the servers of a cluster; a MSG's line has a subject or two. */
#define LINE_BYTES_MAX ((size_t)16 << 10)
#define HEAD_BYTES_MAX 4096

#define MESSAGE "MSG "
/* What stands between the subject and the count of bytes: the number that
 * nats_enter gives to its subscription. */
#define SUBSCRIPTION " 1 "

static inline bool begins(const unsigned char *bytes, size_t length,
                          const char *with, size_t with_length)
{
    return length >= with_length && memcmp(bytes, with, with_length) == 0;
}

/* ---- How long an item is ---- */

/* The number that ends at `end`, after a space, no longer than six digits and
 * one; SIZE_MAX if none stands there. */
static inline size_t number_before(const unsigned char *begin,
                                   const unsigned char *end)
{
    size_t value = 0, unit = 1;
    const unsigned char *at = end;

    while (at > begin && at[-1] >= '0' && at[-1] <= '9' && unit <= 1000000) {
        value += unit * (size_t)(*--at - '0');
        unit *= 10;
    }
    return at < end && at > begin && at[-1] == ' ' ? value : SIZE_MAX;
}

/* "MSG subject subscription [reply-to] count", and so many bytes. */
static inline size_t extent_message(const unsigned char *bytes, size_t length,
                                    size_t *wanted)
{
    size_t looking = length < HEAD_BYTES_MAX ? length : HEAD_BYTES_MAX;
    const unsigned char *end = memchr(bytes, '\n', looking);
    size_t count, extent;

    *wanted = length + 1;
    if (end == NULL)
        return length < HEAD_BYTES_MAX ? 0 : EXTENT_INVALID;
    count = end[-1] == '\r' ? number_before(bytes, end - 1) : SIZE_MAX;
    if (count > TEXT_BYTES_MAX)
        return EXTENT_INVALID;
    extent = (size_t)(end - bytes) + 1 + count + 2;
    *wanted = extent;
    if (extent > length)
        return 0;
    return memcmp(bytes + extent - 2, "\r\n", 2) == 0 ? extent : EXTENT_INVALID;
}

static size_t nats_extent(const unsigned char *bytes, size_t length,
                          size_t looked, size_t *wanted)
{
    size_t looking = length < LINE_BYTES_MAX ? length : LINE_BYTES_MAX;
    const unsigned char *end = NULL;

    if (begins(bytes, length, MESSAGE, sizeof(MESSAGE) - 1))
        return extent_message(bytes, length, wanted);
    if (looked < looking)
        end = memchr(bytes + looked, '\n', looking - looked);
    if (end != NULL)
        return (size_t)(end - bytes) + 1;
    *wanted = length + 1;
    return length < LINE_BYTES_MAX ? 0 : EXTENT_INVALID;
}

/* ---- What an item means ---- */

/* nats_extent knows that a line ends, a count comes before it, and as many
 * bytes after it as there are. */
static void message_read(const struct speaker *speaker,
                         const unsigned char *bytes, size_t length,
                         struct item *item)
{
    size_t room_length = strlen(speaker->room), at = sizeof(MESSAGE) - 1;

    if (!begins(bytes + at, length - at, speaker->room, room_length) ||
        !begins(bytes + at + room_length, length - at - room_length,
                SUBSCRIPTION, sizeof(SUBSCRIPTION) - 1)) {
        item_corrupt(item, "a message of a subject not subscribed to");
        return;
    }
    at += room_length + sizeof(SUBSCRIPTION) - 1;
    while (bytes[at++] != '\n')
        ;
    item_set(item, ITEM_MESSAGE, bytes + at, length - at - 2);
}

static void line_read(const struct speaker *speaker, const unsigned char *line,
                      size_t length, struct item *item)
{
    if (begins(line, length, "PING\r\n", 6))
        item_kind(item, ITEM_PING);
    else if (begins(line, length, "PONG\r\n", 6))
        item_kind(item, ITEM_ENTERED);
    else if (begins(line, length, "INFO ", 5))
        /* It comes again when the cluster changes. */
        item_kind(item, speaker->step == 0 ? ITEM_READY : ITEM_OTHER);
    else if (begins(line, length, "-ERR ", 5))
        item_set(item, ITEM_ERROR, line + 5, length - 5 - 2);
    else if (begins(line, length, "+OK\r\n", 5))
        item_kind(item, ITEM_OTHER);
    else
        item_corrupt(item, "an unknown operation");
}

static void nats_read(struct speaker *speaker, const unsigned char *bytes,
                      size_t length, struct item *item)
{
    if (begins(bytes, length, MESSAGE, sizeof(MESSAGE) - 1))
        message_read(speaker, bytes, length, item);
    else if (length >= 2 && bytes[length - 2] == '\r')
        line_read(speaker, bytes, length, item);
    else
        item_corrupt(item, "a line that does not end in CR LF");
}

/* ---- What is said ---- */

/* The server speaks first (INFO). It does as it is told in the order it is
 * told, so that its PONG says that the subscription stands. */
static void nats_enter(struct speaker *speaker, struct out *out)
{
    if (speaker->step == 0)
        return;
    out_format(out,
               "CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":true,"
               "\"headers\":false,\"tls_required\":false,\"protocol\":1,"
               "\"lang\":\"c\",\"version\":\"1\","
               "\"name\":\"ringchat-load\"}\r\n"
               "SUB %s 1\r\n"
               "PING\r\n",
               speaker->room);
}

static void nats_say(struct speaker *speaker, const void *text, size_t length,
                     struct out *out)
{
    size_t room_length = strlen(speaker->room), rest = length;
    unsigned char *begin, *end;
    char head[24]; /* " count\r\n" */
    size_t at = sizeof(head);

    head[--at] = '\n';
    head[--at] = '\r';
    do
        head[--at] = (char)('0' + rest % 10);
    while ((rest /= 10) != 0);
    head[--at] = ' ';
    begin = out_reserve(out, 4 + room_length + sizeof(head) + length + 2);
    end = mempcpy(begin, "PUB ", 4);
    end = mempcpy(end, speaker->room, room_length);
    end = mempcpy(end, head + at, sizeof(head) - at);
    end = mempcpy(end, text, length);
    end = mempcpy(end, "\r\n", 2);
    out_added(out, (size_t)(end - begin));
}

static void nats_answer(struct speaker *speaker, const struct item *ping,
                        struct out *out)
{
    (void)speaker;
    (void)ping;
    out_append(out, "PONG\r\n", 6);
}

const struct dialect dialect_nats = {
    .scheme = "nats",
    .port = "4222",
    .hears_itself = true,
    /* Only what one connection publishes arrives in its order:
     * https://docs.nats.io/nats-concepts/core-nats says no more than "at most
     * once", and each connection has a thread of its own in the server. */
    .orders_all = false,
    .text_max = TEXT_BYTES_MAX,
    .extent = nats_extent,
    .read = nats_read,
    .enter = nats_enter,
    .say = nats_say,
    .answer = nats_answer,
};

/*
 * The `text` dialect of docs/protocol.md as its client: lines to read, and
 * lines to say. A message of the own room is found by what its line begins
 * with, and costs little more than finding where the line ends. No I/O.
 *
 *   step 0  nothing       * welcome ...
 *   step 1  /join ROOM    * joined ROOM (N members)
 *   step 2  /leave lobby  * left lobby
 */
#include "tests/load/dialect.h"
#include "tests/load/memory.h"
#include "tests/load/parts.h"

#include <assert.h>
#include <stdlib.h>

/* A line's limit is --max-line, 4096; what begins with a slash takes one more
 * to say. */
#define TEXT_BYTES_MAX 4095

static const char lobby[] = "lobby";

enum text_step { STEP_WELCOME, STEP_JOINED, STEP_LEFT };

/* `speaker->own`: what the room's lines begin with. */
struct prefix {
    size_t length;
    unsigned char bytes[ROOM_BYTES_MAX + 3]; /* "[room] " */
};

/* A range of an array's indices is GNU C, as is gnu17. */
static const bool in_nick[256] = {
    ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['0' ... '9'] = true,
    ['_'] = true,         ['-'] = true,
};

static const bool in_room[256] = {
    ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['0' ... '9'] = true,
    ['_'] = true,         ['-'] = true,         ['.'] = true,
};

/* Whether the line begins with the word; if so, it goes on after it. */
static bool skip(const unsigned char **line, size_t *length, const char *word)
{
    size_t taken = strlen(word);

    if (*length < taken || memcmp(*line, word, taken) != 0)
        return false;
    *line += taken;
    *length -= taken;
    return true;
}

/* -- reading: a line's length is without its LF, which is there to end a
 * search -- */

/* After "* lagged: ". */
static void read_lagged(const unsigned char *line, size_t length,
                        struct item *item)
{
    static const char end[] = " messages missed";
    const size_t tail = sizeof(end) - 1;
    uint64_t missed;

    if (length > tail && memcmp(line + length - tail, end, tail) == 0 &&
        count_read(line, length - tail, &missed)) {
        item_kind(item, ITEM_LAGGED);
        item->number = missed;
    } else {
        item_corrupt(item, "not how many messages were missed");
    }
}

/* After "[room] ". */
static void read_said(const unsigned char *line, size_t length,
                      struct item *item)
{
    size_t nick = 0;

    while (in_nick[line[nick]])
        nick++;
    /* Then the colon is not the LF, and something is after it. */
    if (nick - 1 < NICK_BYTES_MAX && line[nick] == ':' &&
        line[nick + 1] == ' ' && line[0] > '9')
        item_set(item, ITEM_MESSAGE, line + nick + 2, length - nick - 2);
    else if (skip(&line, &length, "* lagged: "))
        read_lagged(line, length, item);
    else if (skip(&line, &length, "* ") && length > 0)
        item_set(item, ITEM_OTHER, line, length);
    else
        item_corrupt(item, "neither said by anyone nor an event");
}

static void prefix_set(struct prefix *prefix, const void *room, size_t length)
{
    assert(length <= ROOM_BYTES_MAX);
    prefix->bytes[0] = '[';
    memcpy(prefix->bytes + 1, room, length);
    memcpy(prefix->bytes + 1 + length, "] ", 2);
    prefix->length = length + 3;
}

/* After "[", what does not begin as it was thought to: of another room, or the
 * server writes ours otherwise, as did who was first in it. */
static void read_room(struct speaker *speaker, const unsigned char *line,
                      size_t length, struct item *item)
{
    size_t room = 0;

    while (in_room[line[room]])
        room++;
    if (room - 1 >= ROOM_BYTES_MAX || line[room] != ']' ||
        line[room + 1] != ' ') {
        item_corrupt(item, "not the name of a room");
        return;
    }
    read_said(line + room + 2, length - room - 2, item);
    if (room_is(speaker->room, line, room))
        prefix_set(speaker->own, line, room);
    else if (item->kind == ITEM_MESSAGE || item->kind == ITEM_LAGGED)
        item_set(item, ITEM_ELSEWHERE, line, length);
    else if (item->kind != ITEM_CORRUPT)
        item_set(item, ITEM_OTHER, line, length);
}

static bool is_joined(const struct speaker *speaker, const unsigned char *line,
                      size_t length)
{
    const unsigned char *end;

    if (!skip(&line, &length, "joined "))
        return false;
    end = memchr(line, ' ', length);
    return end && end[1] == '(' &&
           room_is(speaker->room, line, (size_t)(end - line));
}

static bool is_left(const unsigned char *line, size_t length)
{
    return skip(&line, &length, "left ") && room_is(lobby, line, length);
}

/* After "* ". */
static void read_reply(struct speaker *speaker, const unsigned char *line,
                       size_t length, struct item *item)
{
    const char *room = room_name(speaker->room);
    const unsigned char *rest = line;
    size_t left = length;

    item_set(item, ITEM_OTHER, line, length);
    if (speaker->step == STEP_WELCOME && skip(&rest, &left, "welcome"))
        item->kind =
            room_is(lobby, room, strlen(room)) ? ITEM_ENTERED : ITEM_READY;
    else if (speaker->step == STEP_JOINED && is_joined(speaker, line, length))
        item->kind = ITEM_READY;
    else if (speaker->step == STEP_LEFT && is_left(line, length))
        item->kind = ITEM_ENTERED;
}

static void read_line(struct speaker *speaker, const unsigned char *line,
                      size_t length, struct item *item)
{
    if (skip(&line, &length, "["))
        read_room(speaker, line, length, item);
    else if (skip(&line, &length, "* "))
        read_reply(speaker, line, length, item);
    else if (skip(&line, &length, "! ") && length > 0)
        item_set(item, ITEM_ERROR, line, length);
    else if (skip(&line, &length, "(private) "))
        item_set(item, ITEM_OTHER, line, length);
    else
        item_corrupt(item, "a line of no known kind");
}

static void text_read(struct speaker *speaker, const unsigned char *bytes,
                      size_t length, struct item *item)
{
    const struct prefix *prefix = speaker->own;
    const size_t skipped = prefix->length;

    if (length > skipped && memcmp(bytes, prefix->bytes, skipped) == 0)
        read_said(bytes + skipped, length - skipped - 1, item);
    else
        read_line(speaker, bytes, length - 1, item);
}

/* -- saying -- */

static void text_enter(struct speaker *speaker, struct out *out)
{
    const char *room = room_name(speaker->room);

    if (speaker->step == STEP_WELCOME) {
        if (!speaker->own)
            speaker->own = allocate(1, sizeof(struct prefix));
        prefix_set(speaker->own, room, strlen(room));
    } else if (speaker->step == STEP_JOINED) {
        out_format(out, "/join %s\n", room);
    } else {
        out_format(out, "/leave %s\n", lobby);
    }
}

static void text_say(struct speaker *speaker, const void *text, size_t length,
                     struct out *out)
{
    const unsigned char *first = text;
    unsigned char *to = out_reserve(out, length + 2);
    unsigned char *end = to;

    (void)speaker;
    /* "A line that starts with // sends the rest, with one /." */
    if (length > 0 && first[0] == '/')
        end = put_u8(end, '/');
    end = put_u8(put_bytes(end, text, length), '\n');
    out_added(out, (size_t)(end - to));
}

static void text_leave(struct speaker *speaker, struct out *out)
{
    (void)speaker;
    out_append(out, "/quit\n", strlen("/quit\n"));
}

static void text_release(struct speaker *speaker)
{
    free(speaker->own);
    speaker->own = NULL;
}

const struct dialect dialect_text = {
    .scheme = "text",
    .port = "4000",
    .hears_itself = true,
    .orders_all = true,
    .text_max = TEXT_BYTES_MAX,
    .extent = line_extent,
    .read = text_read,
    .enter = text_enter,
    .say = text_say,
    .leave = text_leave,
    .release = text_release,
};

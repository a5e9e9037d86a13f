/*
 * IRC, from RFC 2812: a room is a channel of that name with "#" before it. A
 * line is no longer than 512 bytes, CR LF included, and the server puts the
 * sender's prefix before what it relays, so that not all of them can be text.
 * What is said must have no CR, LF or NUL in it. No I/O, no memory.
 */
#include "tests/load/dialect.h"
#include "tests/load/parts.h"

#include <string.h>

#define LINE_BYTES_MAX 512 /* RFC 2812, 2.3 */

/* What comes before the text of a relayed line, ":nick!user@host PRIVMSG #room
 * :", and CR LF after it: the nick (ours fit in the 9 of RFC 2812, 1.2.1), the
 * user ("load", with a "~" before it if the server likes), the host (63, 1.2.2;
 * an address is shorter), the channel (50, "#" included: 1.3). */
#define PREFIX_BYTES_MAX (1 + 9 + 1 + 5 + 1 + 63 + 9 + 50 + 2)
#define TEXT_BYTES_MAX (LINE_BYTES_MAX - PREFIX_BYTES_MAX - 2)

/* `step` once QUIT was said. */
#define STEP_QUIT UINT32_MAX

static size_t irc_extent(const unsigned char *bytes, size_t length,
                         size_t looked, size_t *wanted)
{
    size_t looking = length < LINE_BYTES_MAX ? length : LINE_BYTES_MAX;
    const unsigned char *end = NULL;

    if (looked < looking)
        end = memchr(bytes + looked, '\n', looking - looked);
    if (end != NULL)
        return (size_t)(end - bytes) + 1;
    *wanted = length + 1;
    return length < LINE_BYTES_MAX ? 0 : EXTENT_INVALID;
}

/* ---- What an item means ---- */

/* What of a line has not been read. */
struct rest {
    const unsigned char *at, *end;
};

static inline size_t rest_length(const struct rest *rest)
{
    return (size_t)(rest->end - rest->at);
}

static inline bool rest_begins(const struct rest *rest, const char *with,
                               size_t length)
{
    return rest_length(rest) >= length && memcmp(rest->at, with, length) == 0;
}

/* One word and the space after it; false, and nothing happens, if the next word
 * is another. */
static inline bool rest_take(struct rest *rest, const char *word, size_t length)
{
    if (!rest_begins(rest, word, length) || rest_length(rest) == length ||
        rest->at[length] != ' ')
        return false;
    rest->at += length + 1;
    return true;
}

/* The next word, whichever it is. */
static inline void rest_skip(struct rest *rest)
{
    const unsigned char *space = memchr(rest->at, ' ', rest_length(rest));

    rest->at = space == NULL ? rest->end : space + 1;
}

/* The channel of the room, as a word. */
static inline bool rest_take_room(struct rest *rest, const char *room)
{
    const char *name = room_name(room);
    struct rest copy = *rest;

    if (!rest_begins(&copy, "#", 1))
        return false;
    copy.at++;
    if (!rest_take(&copy, name, strlen(name)))
        return false;
    *rest = copy;
    return true;
}

/* The last parameter: a colon stands before it if it may have spaces. */
static inline void rest_read(const struct rest *rest, enum item_kind kind,
                             struct item *item)
{
    size_t colon = rest_begins(rest, ":", 1);

    item_set(item, kind, rest->at + colon, rest_length(rest) - colon);
}

/* Someone, or a service, may write to us alone; but no other channel can be
 * heard. */
static void message_read(struct rest *rest, const char *room, struct item *item)
{
    if (rest_take_room(rest, room))
        rest_read(rest, ITEM_MESSAGE, item);
    else if (rest_begins(rest, "#", 1))
        item_corrupt(item, "a message of a channel not joined");
    else
        item_kind(item, ITEM_OTHER);
}

/* The number of a numeric reply, 0 if it is none. */
static unsigned numeric(const struct rest *rest)
{
    unsigned value = 0;

    if (rest_length(rest) < 4 || rest->at[3] != ' ')
        return 0;
    for (size_t i = 0; i < 3; i++) {
        if (rest->at[i] < '0' || rest->at[i] > '9')
            return 0;
        value = value * 10 + (unsigned)(rest->at[i] - '0');
    }
    return value;
}

/* RPL_ENDOFNAMES, the last reply to a JOIN: "366 nick #room :...". */
static void joined_read(struct rest *rest, const char *room, struct item *item)
{
    rest_skip(rest);
    rest_skip(rest);
    item_kind(item, rest_take_room(rest, room) ? ITEM_ENTERED : ITEM_OTHER);
}

/* RFC 2812, 5: errors are 400 to 599. They are told with their number. But 422
 * says that there is no message of the day, which is as well. */
static void numeric_read(struct rest *rest, const char *room, struct item *item)
{
    unsigned number = numeric(rest);

    if (number == 1) /* RPL_WELCOME */
        item_kind(item, ITEM_READY);
    else if (number == 366)
        joined_read(rest, room, item);
    else if (number >= 400 && number < 600 && number != 422)
        rest_read(rest, ITEM_ERROR, item);
    else
        item_kind(item, ITEM_OTHER);
}

static void line_read(const struct speaker *speaker, struct rest *rest,
                      struct item *item)
{
    if (rest_take(rest, "PRIVMSG", 7))
        message_read(rest, speaker->room, item);
    else if (rest_take(rest, "PING", 4))
        /* All of it, the colon too, as the answer repeats it. */
        item_set(item, ITEM_PING, rest->at, rest_length(rest));
    else if (rest_take(rest, "ERROR", 5))
        /* RFC 2812, 3.1.7: so is QUIT answered. */
        rest_read(rest, speaker->step == STEP_QUIT ? ITEM_OTHER : ITEM_ERROR,
                  item);
    else
        numeric_read(rest, speaker->room, item);
}

static void irc_read(struct speaker *speaker, const unsigned char *bytes,
                     size_t length, struct item *item)
{
    struct rest rest = {.at = bytes};

    if (length < 2 || bytes[length - 2] != '\r') {
        item_corrupt(item, "a line that does not end in CR LF");
        return;
    }
    rest.end = bytes + length - 2;
    if (bytes[0] == ':')
        rest_skip(&rest);
    line_read(speaker, &rest, item);
}

/* ---- What is said ---- */

/* "u" and at most eight digits: a nick as short as RFC 2812 wants it. */
static void irc_enter(struct speaker *speaker, struct out *out)
{
    if (speaker->step == 0)
        out_format(out, "NICK u%x\r\nUSER load 0 * :ringchat-load\r\n",
                   speaker->number);
    else
        out_format(out, "JOIN #%s\r\n", room_name(speaker->room));
}

static void irc_say(struct speaker *speaker, const void *text, size_t length,
                    struct out *out)
{
    const char *name = room_name(speaker->room);
    size_t name_length = strlen(name);
    unsigned char *begin, *end;

    begin = out_reserve(out, 9 + name_length + 2 + length + 2);
    end = mempcpy(begin, "PRIVMSG #", 9);
    end = mempcpy(end, name, name_length);
    end = mempcpy(end, " :", 2);
    end = mempcpy(end, text, length);
    end = mempcpy(end, "\r\n", 2);
    out_added(out, (size_t)(end - begin));
}

static void irc_answer(struct speaker *speaker, const struct item *ping,
                       struct out *out)
{
    (void)speaker;
    out_append(out, "PONG ", 5);
    out_append(out, ping->text, ping->length);
    out_append(out, "\r\n", 2);
}

static void irc_leave(struct speaker *speaker, struct out *out)
{
    speaker->step = STEP_QUIT;
    out_append(out, "QUIT\r\n", 6);
}

const struct dialect dialect_irc = {
    .scheme = "irc",
    .port = "6667",
    .hears_itself = false,
    .orders_all = true,
    .text_max = TEXT_BYTES_MAX,
    .extent = irc_extent,
    .read = irc_read,
    .enter = irc_enter,
    .say = irc_say,
    .answer = irc_answer,
    .leave = irc_leave,
};

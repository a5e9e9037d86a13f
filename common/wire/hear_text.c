/*
 * Lines from a server (docs/protocol.md): each has one of the forms below, or
 * none, and is then a reply like those to `/echo`. Nicks and rooms have neither
 * space, colon nor bracket, so a line has no two of them; what somebody has
 * echoed may have any.
 *
 *     * welcome to ringchat, you are NICK, in ROOM; ...    the first line
 *     [ROOM] * lagged: NUMBER messages missed
 *     [ROOM] * NICK joined
 *     [ROOM] * NICK left
 *     [ROOM] * NICK is now NICK
 *     [ROOM] * NICK set the topic: TEXT
 *     [ROOM] NICK: TEXT
 *     (private) NICK: TEXT
 *     * TEXT
 *     ! ERROR
 *     ! ERROR TEXT
 */
#include "common/base/limits.h"
#include "common/wire/clean.h"
#include "common/wire/internal.h"
#include "common/wire/line.h"
#include "common/wire/name.h"
#include "common/wire/tail.h"
#include "common/wire/text.h"

/* What stands around a text: two names and a few words. */
#define LINE_FORM_BYTES_MAX (2 * ROOM_NAME_BYTES_MAX + 64)

/* ---- Parts of a line ---------------------------------------------------- */

/* Moves `line` past what it begins with. */
static bool take(struct slice *line, struct slice start)
{
    if (line->length < start.length ||
        memcmp(line->bytes, start.bytes, start.length) != 0)
        return false;
    line->bytes += start.length;
    line->length -= start.length;
    return true;
}

/* What stands before the first `stop`, past which the line is moved. */
static bool take_until(struct slice *line, struct slice stop,
                       struct slice *part)
{
    const char *at = memmem(line->bytes, line->length, stop.bytes, stop.length);

    if (!at)
        return false;
    *part = (struct slice){line->bytes, (size_t)(at - line->bytes)};
    return take(line, *part) && take(line, stop);
}

static bool take_nick(struct slice *line, struct slice stop, struct slice *nick)
{
    return take_until(line, stop, nick) && nick_is_valid(*nick);
}

static bool take_room(struct slice *line, struct slice stop, struct slice *room)
{
    return take_until(line, stop, room) && room_name_is_valid(*room);
}

/* ---- The forms ---------------------------------------------------------- */

/* Each reads the line, or what is left of it, and fills in its event; false,
 * and the event is not changed in its kind, if the form is another. */

static bool read_welcome(struct slice line, struct event *event)
{
    if (!take(&line, SLICE("* welcome to ringchat, you are ")) ||
        !take_nick(&line, SLICE(", in "), &event->nick) ||
        !take_room(&line, SLICE(";"), &event->room))
        return false;
    event->kind = EVENT_WELCOME;
    return true;
}

static bool read_lagged(struct slice rest, struct event *event)
{
    struct slice number;

    if (!take(&rest, SLICE("lagged: ")) ||
        !take_until(&rest, SLICE(" messages missed"), &number) ||
        !decimal_read(number, &event->number) || rest.length > 0)
        return false;
    event->kind = EVENT_LAGGED;
    return true;
}

/* "NICK joined" and the others. */
static bool read_notice(struct slice rest, struct event *event)
{
    if (!take_nick(&rest, SLICE(" "), &event->nick))
        return false;
    if (slice_equals(rest, SLICE("joined"))) {
        event->kind = EVENT_JOINED;
    } else if (slice_equals(rest, SLICE("left"))) {
        event->kind = EVENT_LEFT;
    } else if (take(&rest, SLICE("is now ")) && nick_is_valid(rest)) {
        event->kind = EVENT_NICK;
        event->text = rest;
    } else if (take(&rest, SLICE("set the topic: "))) {
        event->kind = EVENT_TOPIC;
        event->text = rest;
    }
    return event->kind != EVENT_OTHER;
}

static bool read_message(struct slice rest, enum event_kind kind,
                         struct event *event)
{
    if (!take_nick(&rest, SLICE(": "), &event->nick))
        return false;
    event->kind = kind;
    event->text = rest;
    return true;
}

static bool read_of_room(struct slice line, struct event *event)
{
    if (!take(&line, SLICE("[")) ||
        !take_room(&line, SLICE("] "), &event->room))
        return false;
    if (take(&line, SLICE("* ")))
        return read_lagged(line, event) || read_notice(line, event);
    return read_message(line, EVENT_MESSAGE, event);
}

static bool read_private(struct slice line, struct event *event)
{
    return take(&line, SLICE("(private) ")) &&
           read_message(line, EVENT_PRIVATE, event);
}

static bool read_error(struct slice line, struct event *event)
{
    struct slice name;

    if (!take(&line, SLICE("! ")))
        return false;
    if (!take_until(&line, SLICE(" "), &name)) {
        name = line;
        line.length = 0;
    }
    if (!error_code_named(name, &event->code))
        return false;
    event->kind = EVENT_ERROR;
    event->text = line;
    return true;
}

static bool read_reply(struct slice line, struct event *event)
{
    event->kind = take(&line, SLICE("* ")) ? EVENT_REPLY : EVENT_ECHO;
    event->text = line;
    return true;
}

/* ---- Lines -------------------------------------------------------------- */

typedef bool read_form(struct slice line, struct event *);

/* By the first of these forms, whose parts alone are then in the event. */
static bool read_line(struct slice line, read_form *const *forms,
                      struct event *event)
{
    for (; *forms; forms++) {
        *event = (struct event){.kind = EVENT_OTHER};
        if ((*forms)(line, event))
            return true;
    }
    return false;
}

/* A server of ours begins with a welcome, or says why there is none. */
static enum wire_outcome first_line(struct decoder *decoder, struct slice line,
                                    struct event *event, enum error_code *error)
{
    static read_form *const forms[] = {read_welcome, read_error, NULL};

    if (!read_line(line, forms, event))
        return wire_invalid(ERROR_WRONG_PROTOCOL, error);
    decoder->greeted = event->kind == EVENT_WELCOME;
    return WIRE_READY;
}

static enum wire_outcome line_hear(struct decoder *decoder, struct slice line,
                                   struct event *event, enum error_code *error)
{
    static read_form *const forms[] = {read_of_room, read_private, read_error,
                                       read_reply, NULL};

    if (!text_is_clean(line.bytes, line.length))
        return wire_invalid(ERROR_BAD_TEXT, error);
    if (!decoder->greeted)
        return first_line(decoder, line, event, error);
    read_line(line, forms, event);
    return WIRE_READY;
}

static size_t line_bytes_max(const struct wire *wire)
{
    return (size_t)wire->config.message_bytes_max + LINE_FORM_BYTES_MAX;
}

enum wire_outcome text_hear(struct wire *wire, struct decoder *decoder,
                            const unsigned char **bytes, size_t *length,
                            struct heard *heard, enum error_code *error)
{
    struct slice line;
    enum wire_outcome outcome = line_assemble(
        wire, decoder, line_bytes_max(wire), bytes, length, &line, error);

    if (outcome == WIRE_READY)
        return line_hear(decoder, line, &heard->event, error);
    if (outcome == WIRE_INVALID && *error == ERROR_LINE_TOO_LONG)
        tail_release(decoder, wire->budget);
    return outcome;
}

enum wire_outcome text_hear_end(struct wire *wire, struct decoder *decoder,
                                struct heard *heard, enum error_code *error)
{
    struct slice line;
    enum wire_outcome outcome =
        line_assemble_end(decoder, line_bytes_max(wire), &line, error);

    if (outcome != WIRE_READY)
        return outcome;
    return line_hear(decoder, line, &heard->event, error);
}

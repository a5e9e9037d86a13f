/*
 * Secure messages from a server, checked in the order of docs/protocol.md like
 * those from a client. What is for this session alone carries its name and a
 * seq above the last, whatever its type. What is for a room carries neither,
 * and has its place there: whether its room_seq is due is for those to say who
 * know which rooms they are in.
 */
#include "common/base/bytes.h"
#include "common/wire/internal.h"
#include "common/wire/message.h"
#include "common/wire/missive.h"
#include "common/wire/secure.h"

/* ---- Fields ------------------------------------------------------------- */

/* Each is false if there is none, or another type of value. */
static bool string_field(const struct missive *missive, const char *name,
                         struct slice *value)
{
    return headers_string(missive->fields, name, value) == FIELD_THERE;
}

static bool number_field(const struct missive *missive, const char *name,
                         uint64_t *value)
{
    return headers_number(missive->fields, name, value) == FIELD_THERE;
}

static bool u32_field(const struct missive *missive, const char *name,
                      uint32_t *value)
{
    uint64_t number;

    if (!number_field(missive, name, &number) || number > UINT32_MAX)
        return false;
    *value = (uint32_t)number;
    return true;
}

static bool uuid_field(const struct missive *missive, const char *name,
                       uint8_t uuid[UUID_BYTES])
{
    struct slice text;

    return string_field(missive, name, &text) && uuid_from_text(text, uuid);
}

static bool names_field(const struct missive *missive, struct event *event)
{
    return string_field(missive, "room", &event->room) &&
           string_field(missive, "nick", &event->nick);
}

static bool id_field(const struct missive *missive, struct event *event)
{
    return missive_id(missive, &event->id) != FIELD_WRONG;
}

/* ---- What each type's headers are --------------------------------------- */

static bool read_session_init(const struct missive *missive,
                              struct heard *heard)
{
    struct greeting *greeting = &heard->greeting;

    heard->event.kind = EVENT_SESSION_INIT;
    return uuid_field(missive, "session", greeting->session) &&
           uuid_field(missive, "boot", greeting->boot) &&
           u32_field(missive, "heartbeat", &greeting->heartbeat_s) &&
           u32_field(missive, "max_content", &greeting->bytes_max);
}

static bool read_heartbeat(const struct missive *missive, struct event *event)
{
    struct slice kind;

    if (!string_field(missive, "kind", &kind) ||
        !number_field(missive, "stamp", &event->number))
        return false;
    event->kind = slice_equals(kind, SLICE("ping")) ? EVENT_PING : EVENT_PONG;
    return event->kind == EVENT_PING || slice_equals(kind, SLICE("pong"));
}

/* Of a private message the room is `@`, which is no room's name. */
static bool read_message(const struct missive *missive, struct event *event)
{
    event->kind = EVENT_MESSAGE;
    if (!names_field(missive, event) ||
        !number_field(missive, "room_seq", &event->seq) ||
        !number_field(missive, "time", &event->time_us) ||
        missive_content_type(missive, &event->content_type) != FIELD_THERE)
        return false;
    if (slice_equals(event->room, SLICE("@"))) {
        event->kind = EVENT_PRIVATE;
        event->room.length = 0;
        event->seq = 0;
    }
    return true;
}

/* The code may be one that is in no table of ours. */
static bool read_error(const struct missive *missive, struct event *event)
{
    uint64_t code;
    struct slice name;

    event->kind = EVENT_ERROR;
    if (!number_field(missive, "code", &code) || code == ERROR_NONE ||
        code > UINT16_MAX || !string_field(missive, "name", &name))
        return false;
    event->code = (enum error_code)code;
    return id_field(missive, event);
}

static bool read_disconnect(const struct missive *missive, struct event *event)
{
    uint64_t code;

    event->kind = EVENT_DISCONNECT;
    return headers_number(missive->fields, "code", &code) != FIELD_WRONG;
}

static bool read_reply(const struct missive *missive, struct event *event)
{
    event->kind = EVENT_REPLY;
    return id_field(missive, event) &&
           headers_boolean(missive->fields, "more", &event->more) ==
               FIELD_THERE;
}

/* Its kind, of which a later protocol may have others. */
static enum event_kind notice_named(struct slice name)
{
    static const char *const kinds[] = {
        NULL, "joined", "left", "nick", "topic", "lagged",
    };

    for (unsigned i = 1; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (slice_equals(name, slice_of(kinds[i])))
            return event_of_notice(i);
    }
    return EVENT_OTHER;
}

static bool read_notice(const struct missive *missive, struct event *event)
{
    struct slice kind;

    if (!string_field(missive, "kind", &kind) || !names_field(missive, event))
        return false;
    event->kind = notice_named(kind);
    return event->kind == EVENT_LAGGED || event->kind == EVENT_OTHER ||
           number_field(missive, "room_seq", &event->seq);
}

static bool read_ack(const struct missive *missive, struct event *event)
{
    event->kind = EVENT_ACK;
    return missive_id(missive, &event->id) == FIELD_THERE &&
           number_field(missive, "room_seq", &event->seq);
}

static bool read_welcome(const struct missive *missive, struct event *event)
{
    event->kind = EVENT_WELCOME;
    return names_field(missive, event);
}

/* Of a type that is not known, or that only clients send, it is said later:
 * here its headers have no form. */
static bool read_type(const struct missive *missive, struct heard *heard)
{
    struct event *event = &heard->event;

    switch (missive_type(missive)) {
    case TYPE_SESSION_INIT:
        return read_session_init(missive, heard);
    case TYPE_WELCOME:
        return read_welcome(missive, event);
    case TYPE_HEARTBEAT:
        return read_heartbeat(missive, event);
    case TYPE_MESSAGE:
        return read_message(missive, event);
    case TYPE_ERROR:
        return read_error(missive, event);
    case TYPE_DISCONNECT:
        return read_disconnect(missive, event);
    case TYPE_REPLY:
        return read_reply(missive, event);
    case TYPE_NOTICE:
        return read_notice(missive, event);
    case TYPE_ACK:
        return read_ack(missive, event);
    default:
        event->kind = EVENT_OTHER;
        return true;
    }
}

static enum error_code read_fields(const struct missive *missive,
                                   struct heard *heard)
{
    return read_type(missive, heard) ? ERROR_NONE : ERROR_BAD_HEADER;
}

/* ---- Whose it is, and its seal ------------------------------------------ */

/* The session is not known yet: it is the one that SESSION_INIT says. Of an
 * ERROR in its place it has no meaning. */
static enum error_code check_first(const struct missive *missive,
                                   struct wire_peer *from,
                                   const struct event *event)
{
    struct slice session;
    uint64_t seq;

    if (!string_field(missive, "session", &session) ||
        !number_field(missive, "seq", &seq))
        return ERROR_BAD_HEADER;
    if (event->kind == EVENT_SESSION_INIT)
        from->seq_in_min = seq + 1;
    return ERROR_NONE;
}

static bool can_be_a_room_s(const struct event *event)
{
    switch (event->kind) {
    case EVENT_MESSAGE:
    case EVENT_JOINED:
    case EVENT_LEFT:
    case EVENT_NICK:
    case EVENT_TOPIC:
    case EVENT_OTHER:
        return true;
    default:
        return false;
    }
}

static bool is_nobody_s(const struct missive *missive)
{
    struct slice session;
    uint64_t seq;

    return headers_string(missive->fields, "session", &session) ==
               FIELD_ABSENT &&
           headers_number(missive->fields, "seq", &seq) == FIELD_ABSENT;
}

static enum error_code check_origin(const struct decoder *decoder,
                                    const struct missive *missive,
                                    struct wire_peer *from,
                                    const struct event *event)
{
    if (!decoder->greeted)
        return check_first(missive, from, event);
    if (event->kind == EVENT_SESSION_INIT)
        return ERROR_HANDSHAKE;
    if (can_be_a_room_s(event) && is_nobody_s(missive))
        return ERROR_NONE;
    return missive_check_origin(missive, from);
}

/* What may be in the clear although encryption was asked for: the greeting, and
 * an error that ends the session, perhaps before the server knew of it. */
static bool may_be_clear(const struct event *event)
{
    return event->kind == EVENT_SESSION_INIT ||
           (event->kind == EVENT_ERROR && error_closes(event->code));
}

/* Before the greeting there is no key to open anything with. */
static enum error_code unseal(struct wire *wire, struct decoder *decoder,
                              const struct wire_peer *from,
                              struct missive *missive,
                              const struct event *event)
{
    if (missive->sealed)
        return from->keyed ? missive_open(wire, decoder, from->key, missive)
                           : ERROR_BAD_HMAC;
    return from->sealed && !may_be_clear(event) ? ERROR_BAD_HMAC : ERROR_NONE;
}

/* ---- The content -------------------------------------------------------- */

static enum error_code read_content(const struct missive *missive,
                                    struct event *event)
{
    struct slice content = missive->content;

    switch (missive_type(missive)) {
    case TYPE_SESSION_INIT:
    case TYPE_WELCOME:
    case TYPE_HEARTBEAT:
    case TYPE_ACK:
        return content.length > 0 ? ERROR_BAD_FRAME : ERROR_NONE;
    case TYPE_MESSAGE:
    case TYPE_REPLY:
        event->text = content;
        return ERROR_NONE;
    case TYPE_ERROR:
        event->text = error_detail_in(content);
        return ERROR_NONE;
    case TYPE_NOTICE:
        return event_read_notice(event, content);
    case TYPE_SESSION_ACK:
    case TYPE_COMMAND:
        return ERROR_BAD_FRAME;
    default:
        return ERROR_NONE;
    }
}

/* ---- Messages ----------------------------------------------------------- */

static enum error_code read_missive(struct wire *wire, struct decoder *decoder,
                                    struct wire_peer *from,
                                    struct missive *missive,
                                    struct heard *heard)
{
    struct event *event = &heard->event;
    enum error_code error = missive_check(wire, missive);

    if (error == ERROR_NONE)
        error = read_fields(missive, heard);
    if (error == ERROR_NONE)
        error = check_origin(decoder, missive, from, event);
    if (error == ERROR_NONE)
        error = missive_read_seal(missive);
    if (error == ERROR_NONE)
        error = unseal(wire, decoder, from, missive, event);
    if (error == ERROR_NONE)
        error = read_content(missive, event);
    return error;
}

enum wire_outcome secure_hear(struct wire *wire, struct decoder *decoder,
                              struct wire_peer *from,
                              const unsigned char **bytes, size_t *length,
                              struct heard *heard, enum error_code *error)
{
    struct missive missive;
    struct slice message;
    enum wire_outcome outcome;

    outcome = message_assemble(wire, decoder, bytes, length, &message, error);
    if (outcome != WIRE_READY)
        return outcome;
    missive_init(&missive, message);
    *error = read_missive(wire, decoder, from, &missive, heard);
    if (*error != ERROR_NONE)
        return WIRE_INVALID;
    if (heard->event.kind == EVENT_SESSION_INIT)
        decoder->greeted = true;
    return WIRE_READY;
}

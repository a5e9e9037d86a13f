/*
 * Which dialect is heard, and what is asked of everything heard in any.
 */
#include "common/wire/hear.h"

#include "common/base/digits.h"
#include "common/wire/clean.h"
#include "common/wire/frame.h"
#include "common/wire/internal.h"
#include "common/wire/keys.h"
#include "common/wire/name.h"
#include "common/wire/secure.h"
#include "common/wire/tail.h"
#include "common/wire/text.h"

#include <stdlib.h>

void decoder_init_hearing(struct decoder *decoder, enum dialect dialect)
{
    decoder_init(decoder, dialect);
    decoder->heard = true;
}

/* ---- What the dialects agree on ----------------------------------------- */

bool decimal_read(struct slice digits, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < digits.length; i++) {
        unsigned digit = (unsigned)(digits.bytes[i] - '0');

        if (!is_digit(digits.bytes[i]) || *number > (UINT64_MAX - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    return digits.length > 0;
}

enum event_kind event_of_notice(unsigned kind)
{
    static const enum event_kind kinds[] = {
        EVENT_OTHER, EVENT_JOINED, EVENT_LEFT,
        EVENT_NICK,  EVENT_TOPIC,  EVENT_LAGGED,
    };

    return kind < sizeof(kinds) / sizeof(kinds[0]) ? kinds[kind] : EVENT_OTHER;
}

enum error_code event_read_notice(struct event *event, struct slice text)
{
    switch (event->kind) {
    case EVENT_NICK:
    case EVENT_TOPIC:
        event->text = text;
        return ERROR_NONE;
    case EVENT_LAGGED:
        event->nick.length = 0;
        return decimal_read(text, &event->number) ? ERROR_NONE
                                                  : ERROR_BAD_FRAME;
    default:
        return ERROR_NONE;
    }
}

struct slice error_detail_in(struct slice text)
{
    const char *end = text.bytes + text.length;
    const char *space = memchr(text.bytes, ' ', text.length);

    if (!space)
        return SLICE("");
    return (struct slice){space + 1, (size_t)(end - (space + 1))};
}

/* ---- What holds of every event ------------------------------------------ */

/* Which slices an event has, as wire.h says, and what they are. */
enum { HAS_ROOM = 1, HAS_NICK = 2, HAS_NEW_NICK = 4 };

static const unsigned char names_of[EVENT_OTHER + 1] = {
    [EVENT_MESSAGE] = HAS_ROOM | HAS_NICK,
    [EVENT_JOINED] = HAS_ROOM | HAS_NICK,
    [EVENT_LEFT] = HAS_ROOM | HAS_NICK,
    [EVENT_NICK] = HAS_ROOM | HAS_NICK | HAS_NEW_NICK,
    [EVENT_TOPIC] = HAS_ROOM | HAS_NICK,
    [EVENT_LAGGED] = HAS_ROOM,
    [EVENT_PRIVATE] = HAS_NICK,
    [EVENT_WELCOME] = HAS_ROOM | HAS_NICK,
};

static bool names_are_valid(const struct event *event)
{
    unsigned has = names_of[event->kind];

    return (!(has & HAS_ROOM) || room_name_is_valid(event->room)) &&
           (!(has & HAS_NICK) || nick_is_valid(event->nick)) &&
           (!(has & HAS_NEW_NICK) || nick_is_valid(event->text));
}

/* Whoever may have said it to whatever server: names that are none, and text
 * that would drive a terminal, go no further. */
static enum error_code check_event(const struct event *event)
{
    if (!names_are_valid(event))
        return ERROR_BAD_NAME;
    if (event->text.length > 0 && content_is_text(event->content_type) &&
        !text_is_clean(event->text.bytes, event->text.length))
        return ERROR_BAD_TEXT;
    return ERROR_NONE;
}

/* ---- Hearing ------------------------------------------------------------ */

static enum wire_outcome hear(struct wire *wire, struct decoder *decoder,
                              struct wire_peer *from,
                              const unsigned char **bytes, size_t *length,
                              struct heard *heard, enum error_code *error)
{
    switch (decoder->dialect) {
    case DIALECT_TEXT:
        return text_hear(wire, decoder, bytes, length, heard, error);
    case DIALECT_FRAME:
        return frame_hear(wire, decoder, bytes, length, heard, error);
    case DIALECT_SECURE:
        return secure_hear(wire, decoder, from, bytes, length, heard, error);
    }
    abort();
}

enum wire_outcome wire_hear(struct wire *wire, struct decoder *decoder,
                            struct wire_peer *from, const unsigned char **bytes,
                            size_t *length, struct heard *heard,
                            enum error_code *error)
{
    enum wire_outcome outcome;

    tail_drop_spent(decoder, wire->budget);
    *heard = (struct heard){.event = {.kind = EVENT_OTHER}};
    outcome = hear(wire, decoder, from, bytes, length, heard, error);
    if (outcome != WIRE_READY)
        return outcome;
    if (heard->event.kind == EVENT_OTHER) /* nothing of it has been looked at */
        heard->event = (struct event){.kind = EVENT_OTHER};
    *error = check_event(&heard->event);
    return *error == ERROR_NONE ? WIRE_READY : WIRE_INVALID;
}

/* Only a line may end with the stream. */
enum wire_outcome wire_hear_end(struct wire *wire, struct decoder *decoder,
                                struct heard *heard, enum error_code *error)
{
    *heard = (struct heard){.event = {.kind = EVENT_OTHER}};
    if (decoder->spent || decoder->dialect != DIALECT_TEXT)
        return WIRE_PARTIAL;
    return text_hear_end(wire, decoder, heard, error);
}

bool wire_greeted(struct wire *wire, struct wire_peer *peer,
                  const struct greeting *greeting)
{
    memcpy(peer->uuid, greeting->session, UUID_BYTES);
    if (!wire->keys)
        return true;
    peer->keyed = keys_seal_with(wire->keys, greeting->session) &&
                  keys_derive(wire->keys, greeting->boot, peer->key);
    return peer->keyed;
}

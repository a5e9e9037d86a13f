/*
 * What the files of common/wire share and nobody else sees.
 *
 *   wire.c      which dialect, which encoding; what all peers share
 *   hear.c      which dialect is heard; what holds of all that is
 *   say.c       which encoding is said in
 *   text.c, hear_text.c, say_text.c      lines
 *   frame.c, hear_frame.c, say_frame.c   `u16 type, u16 length, body`
 *   secure.c    secure messages from a peer: what request each is
 *   signed.c    secure messages to a peer: what the headers of each are
 *   hear_secure.c, say_secure.c   the same of what is heard, and what is said
 *   missive.c   secure messages that arrive: the checks that all must pass
 *   compose.c   secure messages to be sent: headers, CRCs, HMAC, seal
 *   headers.c   JSON headers: what their fields are
 *   json.c      JSON, whatever it looks like
 *   plain.c     JSON in the form in which programs write it
 *   keys.c      HMAC, key derivation, sealing and opening
 *   line.c      lines: put together
 *   message.c   messages whose head says how long they are: put together
 *   pieces.c    the text of an event, as the slices that make it up
 *   tail.c, clean.c, name.c, uuid.c, error.c   as they say
 */
#ifndef RINGCHAT_WIRE_INTERNAL_H
#define RINGCHAT_WIRE_INTERNAL_H

#include "common/buffer/budget.h"
#include "common/wire/wire.h"

struct keys;
struct headers;

struct wire {
    struct wire_config config; /* its key is in `keys` */
    struct budget *budget;
    /* Both NULL: no secure dialect. */
    struct keys *keys;
    struct headers *headers; /* those of the last secure message from a peer */
};

/* The types of messages, in `frame` and in `secure`. */
enum message_type {
    TYPE_SESSION_INIT = 1,
    TYPE_SESSION_ACK = 2,
    TYPE_HEARTBEAT = 3,
    TYPE_MESSAGE = 4,
    TYPE_ERROR = 5,
    TYPE_DISCONNECT = 6,
    TYPE_COMMAND = 7,
    TYPE_REPLY = 8,
    TYPE_NOTICE = 9,
    TYPE_ACK = 10,
    TYPE_WELCOME = 11,
    TYPE_FILE_OFFER = 16,
    TYPE_FILE_ACCEPT = 17,
    TYPE_FILE_DATA = 18,
    TYPE_FILE_END = 19,
};

#define PROTOCOL_VERSION 1

static inline enum wire_outcome wire_invalid(enum error_code code,
                                             enum error_code *error)
{
    *error = code;
    return WIRE_INVALID;
}

/* Which type an event has. */
enum message_type event_type(const struct event *);

/* Which of NOTICE's kinds an event is, from 1: joined, left, nick, topic,
 * lagged. */
unsigned event_notice_kind(const struct event *);

/* Which event such a kind is; EVENT_OTHER if it is of a later protocol. */
enum event_kind event_of_notice(unsigned kind);

/* Which type a request has; none of REQUEST_NOTHING and _TRANSFER. */
enum message_type request_type(const struct request *);

/* What a type that is no client's, or nobody's, means: BAD_FRAME or
 * UNKNOWN_TYPE. */
enum error_code type_refusal(unsigned type);

/* The text of a message or a command is as it must be: ERROR_NONE, USAGE (an
 * empty message) or BAD_TEXT. */
enum error_code request_check_text(const struct request *);

/* Digits and nothing else, as a number of 64 bits. */
bool decimal_read(struct slice digits, uint64_t *number);

/* What the text of such a notice says; BAD_FRAME if it cannot be. */
enum error_code event_read_notice(struct event *, struct slice text);

/* The detail of an error, from the text that names it first. */
struct slice error_detail_in(struct slice text);

/* Whether it can be a content type, or none: printable ASCII, of 127 bytes at
 * most. */
bool content_type_is_valid(struct slice);

/* Whether a content type is text, which people see. Empty: plain text. */
bool content_is_text(struct slice content_type);

/* The event's, plain text if it has none. */
struct slice event_content_type(const struct event *);

#endif

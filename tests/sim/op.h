/*
 * What the peers of a history ask for. An op is one request of one peer: what
 * it says, where it stands in the peer's stream, and what became of it. Its
 * number is the one of the step that made it, and stands in what it says, so
 * that whoever is sent those bytes says whose they are.
 */
#ifndef RINGCHAT_SIM_OP_H
#define RINGCHAT_SIM_OP_H

#include "common/wire/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEERS_MAX 64 /* a set of them is a uint64_t */
#define ROOMS_MAX 24 /* more than one session may be in */

/* A time of the history that orders what happens: one more with each call into
 * the chat. */
typedef uint64_t stamp_t;
#define NEVER UINT64_MAX

/* What a peer may say. Those from SAY_FATAL on end its session with the error
 * that say_error names. */
enum say {
    SAY_HELLO,   /* binary: SESSION_ACK, with a nick or without */
    SAY_MESSAGE, /* to the current room */
    SAY_TO_ROOM, /* to a room by its name; text peers say /join instead */
    SAY_PRIVATE, /* /msg, or in binary @nick where `as_message` */
    SAY_JOIN,
    SAY_LEAVE, /* the room by its name, or the current one */
    SAY_NICK,
    SAY_TOPIC, /* sets it, or asks for it */
    SAY_WHO,
    SAY_ROOMS,
    SAY_ECHO,
    SAY_TIME,
    SAY_PING, /* the command */
    SAY_HELP,
    SAY_METRICS,
    SAY_THROUGHPUT,
    SAY_BEAT,      /* binary: HEARTBEAT ping; text peers: an empty line */
    SAY_PONG,      /* binary, unasked */
    SAY_UNKNOWN,   /* unknown-command */
    SAY_USAGE,     /* usage: /join and nothing after it */
    SAY_BAD_NAME,  /* bad-name: /join of no valid name */
    SAY_BAD_TEXT,  /* bad-text: a message with an ESC in it */
    SAY_LONG_LINE, /* text: line-too-long; others: SAY_USAGE */
    SAY_TRANSFER,  /* binary: FILE_OFFER, unavailable; text: SAY_UNKNOWN */
    SAY_ODD_TYPE,  /* binary: unknown-type; text: SAY_UNKNOWN */
    SAY_QUIT,
    SAY_DISCONNECT,            /* binary; text: SAY_QUIT */
    SAY_FATAL,                 /* the rest is binary; text peers: SAY_QUIT */
    SAY_BAD_FRAME = SAY_FATAL, /* an ACK from a client */
    SAY_TOO_LARGE,   /* a head that declares one byte over the limit */
    SAY_HELLO_AGAIN, /* handshake (after WELCOME) */
    SAY_BAD_MAGIC,   /* secure; frame: SAY_BAD_FRAME, as the next ones */
    SAY_BAD_VERSION,
    SAY_BAD_CRC,
    SAY_BAD_HMAC,
    SAY_BAD_HEADER,
    SAY_REPLAY,
    SAYS,
};

/* Nicks: one that is the peer's alone, one that others want too, (hello) a
 * guest's, or one that nobody may have. */
enum naming { NAMING_OWN, NAMING_CONTESTED, NAMING_GUEST, NAMING_BAD };

struct op {
    uint32_t number;
    enum say say;
    uint8_t peer;
    uint8_t room;    /* index, where one is named or was meant */
    uint8_t whom;    /* SAY_PRIVATE: the peer it is for */
    bool named;      /* SAY_LEAVE, SAY_WHO: by its name, not the current room;
                        SAY_TOPIC: sets it */
    bool typed;      /* secure message: a content type of its own */
    bool as_message; /* SAY_PRIVATE by MESSAGE, not by COMMAND */
    uint32_t id;     /* binary: 0 asks for no ACK */
    uint32_t length; /* of the text, at least OP_TEXT_MIN */
    char nick[32];   /* SAY_HELLO, SAY_NICK: the wanted one; SAY_PRIVATE: the
                        one it is sent to */
    uint64_t end;    /* offset in the peer's stream just behind it */
};

/* Of the hello that a peer says in front of a step's: the step's number and
 * this. */
#define HELLO_NUMBER (UINT32_C(1) << 30)

/* "m4294967295", a space, and one byte of padding. */
#define OP_TEXT_MIN 13

/* The text that the op says, its `length` bytes: a letter for its kind, its
 * number, a space, and padding that depends on both. The letters are m for
 * messages to rooms, p for private ones, t for topics, e for echoes and x for
 * the rest. */
void op_text(const struct op *, char *text);

/* The number of the op that said a text of that letter, or made such a content
 * type ("text/x-m12", whatever the op's letter); false if it is none. */
bool op_number_of(char letter, const char *text, size_t length,
                  uint32_t *number);

/* Messages may be typed: "text/x-m12", or "image/x-m13" where the number is
 * odd. Returns the length. */
size_t op_content_type(const struct op *, char type[40]);

/* The rooms' names as first written, room 0 being the lobby; and as the op
 * writes them, in other letters and perhaps with a #. */
const char *room_name_of(unsigned room);
void op_room_name(const struct op *, char name[40]);
/* ROOMS_MAX if there is none of that name. */
unsigned room_named(const char *name, size_t length);

/* The error that closes which SAY_FATAL and above ask for in a dialect. */
enum error_code say_error(enum say);

const char *say_name(enum say);

#endif

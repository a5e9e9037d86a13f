/*
 * How peers speak and listen, in each dialect: written from docs/protocol.md,
 * sharing no code with common/wire (but its error table's names and numbers
 * are checked against a table of its own). No I/O; knows nothing of what is
 * promised.
 */
#ifndef RINGCHAT_SIM_SPEECH_H
#define RINGCHAT_SIM_SPEECH_H

#include "tests/sim/bytes.h"
#include "tests/sim/op.h"

#include "common/base/slice.h"
#include "common/chat/chat.h"

/* The secure listener's key, and the limits that say too much is too much. */
struct speech_limits {
    uint32_t line_bytes_max, frame_bytes_max, message_bytes_max;
};

extern const uint8_t speech_key[32];

/* One peer's side of the conversation. */
struct voice {
    enum dialect dialect;
    bool sealed;   /* secure: has asked for it in its hello */
    bool greeted;  /* binary: SESSION_INIT has been heard */
    bool welcomed; /* WELCOME has been heard */
    const struct speech_limits *limits;
    /* speech_secure.c's */
    char uuid[37], boot[37];
    uint8_t key_out[32], key_in[32];
    uint64_t seq_out;    /* the last one that it used */
    uint64_t seq_in_min; /* the least that the next one heard may have */
    bool sealing;        /* its hello asked for it: it seals from then on */
    bool opened;         /* a sealed message has been heard: so are the rest */
};

/* Makes what all voices share: the cryptography's contexts. Who forks does so
 * before, once, and spares each child the time; else the first voice does. */
void speech_prepare(void);

void voice_init(struct voice *, enum dialect, bool sealed,
                const struct speech_limits *);

/* Whether it can say anything yet: a secure one must know its session. */
bool voice_can_speak(const struct voice *);

/* Appends the op's bytes to the stream. The op's `say` is one that the dialect
 * has: say_in_dialect. */
void voice_say(struct voice *, const struct op *, struct bytes *out);

/* The answer to a ping. */
void voice_pong(struct voice *, uint64_t stamp, struct bytes *out);

/* What a peer of that dialect says instead, where it cannot say that. */
enum say say_in_dialect(enum say, enum dialect);

enum heard_kind {
    HEARD_INIT,
    HEARD_WELCOME, /* nick, room */
    HEARD_MESSAGE, /* room, nick, text, content_type */
    HEARD_PRIVATE, /* nick, text, content_type */
    HEARD_JOINED,  /* room, nick */
    HEARD_LEFT,    /* room, nick */
    HEARD_NICK,    /* room, nick, text */
    HEARD_TOPIC,   /* room, nick, text */
    HEARD_LAGGED,  /* room, number */
    HEARD_REPLY,   /* text; binary: id, more */
    HEARD_RAW,     /* text dialect: a line of no other form, an echo */
    HEARD_ERROR,   /* code, text: name and detail; binary: id */
    HEARD_ACK,     /* id, seq */
    HEARD_PING,    /* number */
    HEARD_PONG,    /* number */
    HEARD_DISCONNECT,
    HEARD_KINDS,
};

/* Slices are valid until the next voice_hear. */
struct heard {
    enum heard_kind kind;
    bool has_seq; /* a room's message in binary; a room's notice in secure; ACK
                   */
    bool more;
    enum error_code code;
    uint32_t id;
    uint64_t seq, time_us, number;
    struct slice room, nick, text;
    struct slice content_type; /* empty: text/plain; charset=utf-8, or none */
};

/*
 * The next event of the stream: how many bytes it took, 0 if it is not whole.
 * What is wrong with it breaks a promise and is said there (promise.h): a form
 * that no message has, a CRC, an HMAC, a seal or a seq of its own that is
 * wrong, a session that is another's, control characters in a text.
 */
size_t voice_hear(struct voice *, const unsigned char *bytes, size_t length,
                  struct heard *);

/* One line that says what was heard, for the printed history. */
void heard_print(const struct heard *, char *line, size_t space);

#endif

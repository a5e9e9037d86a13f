/*
 * Clients of the binary dialects, for the tests of the chat: what they send and
 * how they read what they are sent, written from docs/protocol.md and not from
 * common/wire.
 *
 * client_line says what a message is in words, the same for each dialect, so
 * that all that expects lines can expect messages:
 *
 *     SESSION_INIT version=1 heartbeat=5 largest=16384
 *     WELCOME ann lobby
 *     PING 1
 *     PONG 1
 *     MESSAGE 7 lobby ann: text       in private: MESSAGE 0 @ ann: text
 *     ERROR 6 id=3 nick-in-use ann
 *     DISCONNECT 0
 *     REPLY 3 and more: text
 *     REPLY 3: text
 *     NOTICE nick lobby ann: anna
 *     ACK 3 seq=7
 *
 * In `secure` a content type that is not plain text stands for the text, as
 * "(image/png, 5 bytes)", and so does "(sealed)" for what is, which is not
 * opened here.
 */
#ifndef RINGCHAT_UNIT_SUPPORT_CHAT_BINARY_H
#define RINGCHAT_UNIT_SUPPORT_CHAT_BINARY_H

#include "tests/unit/support_chat.h"

enum binary_type {
    SESSION_INIT = 1,
    SESSION_ACK,
    HEARTBEAT,
    MESSAGE,
    ERROR,
    DISCONNECT,
    COMMAND,
    REPLY,
    NOTICE,
    ACK,
    WELCOME,
    FILE_OFFER = 16,
    FILE_ACCEPT,
    FILE_DATA,
    FILE_END,
};

enum beat { PING, PONG };

/* A secure client that asks for all to be sealed; as it does not seal, it only
 * listens. */
#define SEALED_CLIENT (DIALECT_SECURE + 1)

/* Connects, and reads nothing. */
struct client *binary_connect(enum dialect);

/* Connects and says who it is (an empty nick: a guest), and nothing of that is
 * unread; or as SEALED_CLIENT. */
struct client *binary_open(unsigned dialect, const char *nick);

/* For client_line. */
const char *binary_line(struct client *);

/* What a text client would have been sent for that line, with each reply as
 * `* text`; empty for what only binary clients are sent. Valid until the next
 * call; as is the number of the room message that it was, else 0. */
const char *line_as_text(const char *said, uint64_t *seq);

/* ---- Frames, to be received in the next turn ---- */

void frame_send(struct client *, enum binary_type, const void *body,
                size_t length);
void frame_hello(struct client *, const char *nick);
void frame_message(struct client *, uint32_t id, const char *target,
                   const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void frame_command(struct client *, uint32_t id, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void frame_beat(struct client *, enum beat, uint64_t stamp);
void frame_disconnect(struct client *);

/* Answers the pings it has been sent since; whether there were any. */
bool frame_answer(struct client *);

/* ---- Secure messages ---- */

void secure_hello(struct client *, const char *nick, bool sealed);

/* `fields` are headers besides `session` and `seq`: `,"nick":"ann"`. */
void secure_send(struct client *, enum binary_type, const char *fields,
                 const void *content, size_t length);

#endif

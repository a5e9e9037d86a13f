/*
 * The error table of docs/protocol.md, one for all dialects.
 */
#ifndef RINGCHAT_WIRE_ERROR_H
#define RINGCHAT_WIRE_ERROR_H

#include "common/base/slice.h"

#include <stdbool.h>

/* Codes, names and whether the error closes the session. */
#define ERROR_TABLE(X)                                                         \
    X(LINE_TOO_LONG, 1, "line-too-long", false)                                \
    X(BAD_TEXT, 2, "bad-text", false)                                          \
    X(UNKNOWN_COMMAND, 3, "unknown-command", false)                            \
    X(USAGE, 4, "usage", false)                                                \
    X(BAD_NAME, 5, "bad-name", false)                                          \
    X(NICK_IN_USE, 6, "nick-in-use", false)                                    \
    X(NO_SUCH_NICK, 7, "no-such-nick", false)                                  \
    X(NO_SUCH_ROOM, 8, "no-such-room", false)                                  \
    X(NO_ROOM, 9, "no-room", false)                                            \
    X(TOO_MANY_ROOMS, 10, "too-many-rooms", false)                             \
    X(WRONG_PROTOCOL, 11, "wrong-protocol", true)                              \
    X(RECEIVER_BUSY, 12, "receiver-busy", false)                               \
    X(BAD_FRAME, 20, "bad-frame", true)                                        \
    X(TOO_LARGE, 21, "too-large", true)                                        \
    X(UNKNOWN_TYPE, 22, "unknown-type", false)                                 \
    X(HANDSHAKE, 23, "handshake", true)                                        \
    X(BAD_MAGIC, 24, "bad-magic", true)                                        \
    X(BAD_VERSION, 25, "bad-version", true)                                    \
    X(BAD_CRC, 26, "bad-crc", true)                                            \
    X(BAD_HMAC, 27, "bad-hmac", true)                                          \
    X(BAD_HEADER, 28, "bad-header", true)                                      \
    X(REPLAY, 29, "replay", true)                                              \
    X(TIMEOUT, 30, "timeout", true)                                            \
    X(LAGGED, 31, "lagged", true)                                              \
    X(SERVER_FULL, 32, "server-full", true)                                    \
    X(SHUTDOWN, 33, "shutdown", true)                                          \
    X(UNAVAILABLE, 50, "unavailable", false)                                   \
    X(INTERNAL, 99, "internal", true)

enum error_code {
    ERROR_NONE = 0,
#define X(name, code, text, closes) ERROR_##name = (code),
    ERROR_TABLE(X)
#undef X
};

/* "line-too-long"; the code must be in the table. */
const char *error_name(enum error_code);

/* Whether a number is in the table, and names an error. */
bool error_is_known(unsigned code);

/* The code of a name; false if it is in no table. */
bool error_code_named(struct slice name, enum error_code *);

/* What a closing error says besides its name; "" if that is nothing. */
const char *error_detail(enum error_code);

/* Whether the session ends with it. */
bool error_closes(enum error_code);

#endif

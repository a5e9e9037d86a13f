/*
 * The error table as functions.
 */
#include "common/wire/error.h"

#include <assert.h>

const char *error_name(enum error_code code)
{
    switch (code) {
#define X(name, number, text, closes)                                          \
    case ERROR_##name:                                                         \
        return text;
        ERROR_TABLE(X)
#undef X
    case ERROR_NONE:
        break;
    }
    assert(!"an error without a name");
    return "internal";
}

bool error_is_known(unsigned code)
{
    switch (code) {
#define X(name, number, text, closes)                                          \
    case ERROR_##name:                                                         \
        return true;
        ERROR_TABLE(X)
#undef X
    default:
        return false;
    }
}

bool error_code_named(struct slice name, enum error_code *code)
{
#define X(symbol, number, text, closes)                                        \
    if (slice_equals(name, SLICE(text))) {                                     \
        *code = ERROR_##symbol;                                                \
        return true;                                                           \
    }
    ERROR_TABLE(X)
#undef X
    return false;
}

const char *error_detail(enum error_code code)
{
    switch (code) {
    case ERROR_WRONG_PROTOCOL:
        return "this port speaks lines of UTF-8 text";
    case ERROR_BAD_FRAME:
        return "the body is not what its type says, or only servers send it";
    case ERROR_TOO_LARGE:
        return "a length over the limit";
    case ERROR_HANDSHAKE:
        return "SESSION_ACK is due first, once, with encryption as required";
    case ERROR_BAD_MAGIC:
        return "this port speaks secure messages";
    case ERROR_BAD_VERSION:
        return "this server speaks version 1";
    case ERROR_BAD_CRC:
        return "damaged on the way";
    case ERROR_BAD_HMAC:
        return "not signed or not sealed with the key";
    case ERROR_BAD_HEADER:
        return "the headers are not what the type asks for";
    case ERROR_REPLAY:
        return "another session's, or a seq that was used";
    case ERROR_TIMEOUT:
        return "nothing came or was taken for too long";
    case ERROR_LAGGED:
        return "you read too slowly";
    case ERROR_SERVER_FULL:
        return "try again later";
    case ERROR_SHUTDOWN:
        return "the server is stopping";
    default:
        return "";
    }
}

bool error_closes(enum error_code code)
{
    switch (code) {
#define X(name, number, text, closes)                                          \
    case ERROR_##name:                                                         \
        return closes;
        ERROR_TABLE(X)
#undef X
    case ERROR_NONE:
        break;
    }
    return false;
}

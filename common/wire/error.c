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

const char *error_detail(enum error_code code)
{
    switch (code) {
    case ERROR_WRONG_PROTOCOL:
        return "this port speaks lines of UTF-8 text";
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

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

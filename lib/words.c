/*
 * The words of the protocol: its errors, its rules of names and text, and which
 * version of them this is.
 */
#include "common/wire/clean.h"
#include "common/wire/error.h"
#include "common/wire/name.h"
#include "lib/codec.h"

/* What later servers say, and common/wire never does. */
#define LATER_ERROR_TABLE(X)                                                   \
    X(AUTH_REQUIRED, 40, "auth-required", false)                               \
    X(AUTH_FAILED, 41, "auth-failed", false)                                   \
    X(FORBIDDEN, 42, "forbidden", false)                                       \
    X(PLAINTEXT, 43, "plaintext", false)                                       \
    X(TOO_BIG_FILE, 51, "too-big-file", false)                                 \
    X(NO_SUCH_TRANSFER, 52, "no-such-transfer", false)

#define X(name, number, text, closes)                                          \
    _Static_assert(RINGCHAT_ERROR_##name == (number), "the table's number");
ERROR_TABLE(X)
LATER_ERROR_TABLE(X)
#undef X

const char *ringchat_error_name(enum ringchat_error error)
{
    switch (error) {
#define X(name, number, text, closes)                                          \
    case RINGCHAT_ERROR_##name:                                                \
        return text;
        ERROR_TABLE(X)
        LATER_ERROR_TABLE(X)
#undef X
    case RINGCHAT_ERROR_NONE:
        break;
    }
    return "unknown";
}

bool ringchat_error_closes(enum ringchat_error error)
{
    return error_closes((enum error_code)error);
}

/* Only what is somewhere, unless it is empty. */
static bool is_there(struct ringchat_text text)
{
    return text.bytes || text.length == 0;
}

bool ringchat_room_is_valid(struct ringchat_text room)
{
    return is_there(room) && room_name_is_valid(text_slice(room));
}

bool ringchat_nick_is_valid(struct ringchat_text nick)
{
    return is_there(nick) && nick_is_valid(text_slice(nick)) &&
           !nick_is_given(text_slice(nick));
}

bool ringchat_name_equals(struct ringchat_text a, struct ringchat_text b)
{
    return is_there(a) && is_there(b) &&
           name_equals(text_slice(a), text_slice(b));
}

bool ringchat_text_is_clean(struct ringchat_text text)
{
    return text.length == 0 ||
           (text.bytes && text_is_clean(text.bytes, text.length));
}

uint32_t ringchat_version(void)
{
    return (uint32_t)RINGCHAT_VERSION_MAJOR << 16 |
           RINGCHAT_VERSION_MINOR << 8 | RINGCHAT_VERSION_PATCH;
}

/*
 * The rules of names, from docs/protocol.md. ASCII alone, whatever the locale.
 */
#include "common/wire/name.h"

#include "common/base/digits.h"
#include "common/base/limits.h"

#include <string.h>

#define GUEST_PREFIX "guest-"
#define GUEST_DIGITS_MIN 4
#define GUEST_DIGITS_MAX 8

static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool is_letter(char c)
{
    return fold(c) >= 'a' && fold(c) <= 'z';
}

bool room_name_is_valid(struct slice name)
{
    if (name.length < 1 || name.length > ROOM_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < name.length; i++) {
        char c = name.bytes[i];

        if (!is_letter(c) && !is_digit(c) && c != '_' && c != '.' && c != '-')
            return false;
    }
    return true;
}

struct slice room_name_plain(struct slice name)
{
    if (name.length > 0 && name.bytes[0] == '#')
        return (struct slice){name.bytes + 1, name.length - 1};
    return name;
}

bool nick_is_valid(struct slice nick)
{
    if (nick.length < 1 || nick.length > NICK_BYTES_MAX)
        return false;
    if (!is_letter(nick.bytes[0]) && nick.bytes[0] != '_')
        return false;
    for (size_t i = 1; i < nick.length; i++) {
        char c = nick.bytes[i];

        if (!is_letter(c) && !is_digit(c) && c != '_' && c != '-')
            return false;
    }
    return true;
}

bool name_equals(struct slice a, struct slice b)
{
    if (a.length != b.length)
        return false;
    for (size_t i = 0; i < a.length; i++) {
        if (fold(a.bytes[i]) != fold(b.bytes[i]))
            return false;
    }
    return true;
}

bool nick_is_given(struct slice nick)
{
    size_t prefix = sizeof(GUEST_PREFIX) - 1;
    struct slice start = {nick.bytes, prefix};

    if (nick.length < prefix + GUEST_DIGITS_MIN ||
        nick.length > prefix + GUEST_DIGITS_MAX)
        return false;
    if (!name_equals(start, SLICE(GUEST_PREFIX)))
        return false;
    for (size_t i = prefix; i < nick.length; i++) {
        if (hex_value(nick.bytes[i]) == 16)
            return false;
    }
    return true;
}

void name_fold(struct slice name, char *out)
{
    for (size_t i = 0; i < name.length; i++)
        out[i] = fold(name.bytes[i]);
}

/*
 * UUIDs as bytes and as text.
 */
#include "common/wire/uuid.h"

#include "common/base/digits.h"

#include <string.h>

void uuid_from_random(uint8_t uuid[UUID_BYTES])
{
    uuid[6] = (uint8_t)((uuid[6] & 0x0F) | 0x40); /* version */
    uuid[8] = (uint8_t)((uuid[8] & 0x3F) | 0x80); /* variant */
}

/* A hyphen stands before these bytes: 8-4-4-4-12 digits. */
static bool hyphen_before(unsigned byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void uuid_text(const uint8_t uuid[UUID_BYTES], char text[UUID_TEXT_BYTES])
{
    static const char hex[] = "0123456789abcdef";

    for (unsigned i = 0; i < UUID_BYTES; i++) {
        if (hyphen_before(i))
            *text++ = '-';
        *text++ = hex[uuid[i] >> 4];
        *text++ = hex[uuid[i] & 15];
    }
}

bool uuid_from_text(struct slice text, uint8_t uuid[UUID_BYTES])
{
    const char *at = text.bytes;

    if (text.length != UUID_TEXT_BYTES)
        return false;
    for (unsigned i = 0; i < UUID_BYTES; i++, at += 2) {
        if (hyphen_before(i) && *at++ != '-')
            return false;
        if (hex_value(at[0]) > 15 || hex_value(at[1]) > 15)
            return false;
        uuid[i] = (uint8_t)(hex_value(at[0]) << 4 | hex_value(at[1]));
    }
    return true;
}

bool uuid_is(const uint8_t uuid[UUID_BYTES], struct slice text)
{
    uint8_t other[UUID_BYTES];

    return uuid_from_text(text, other) && memcmp(uuid, other, UUID_BYTES) == 0;
}

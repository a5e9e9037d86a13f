/*
 * The table of well-formed byte sequences (The Unicode Standard, table 3-7;
 * RFC 3629, section 4).
 */
#include "common/base/utf8.h"

static bool between(unsigned char byte, unsigned char low, unsigned char high)
{
    return byte >= low && byte <= high;
}

size_t utf8_length(const unsigned char *bytes, size_t left)
{
    unsigned char first = bytes[0];
    unsigned char low = 0x80, high = 0xBF;
    size_t length;

    if (first < 0x80)
        return 1;
    if (first < 0xC2 || first > 0xF4)
        return 0;
    length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (left < length)
        return 0;
    if (first == 0xE0)
        low = 0xA0; /* nothing that two bytes can say */
    else if (first == 0xED)
        high = 0x9F; /* no surrogate */
    else if (first == 0xF0)
        low = 0x90; /* nothing that three bytes can say */
    else if (first == 0xF4)
        high = 0x8F; /* nothing above U+10FFFF */
    if (!between(bytes[1], low, high))
        return 0;
    for (size_t i = 2; i < length; i++) {
        if (!between(bytes[i], 0x80, 0xBF))
            return 0;
    }
    return length;
}

bool utf8_is_control(const unsigned char *bytes, size_t length)
{
    if (length == 1)
        return bytes[0] < 0x20 || bytes[0] == 0x7F;
    return length == 2 && bytes[0] == 0xC2 && bytes[1] < 0xA0;
}

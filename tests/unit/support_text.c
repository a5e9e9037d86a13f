/*
 * The rules of support_text.h, character by character: each is decoded, and
 * then judged by its number. Nothing here is shared with common/base/utf8.c.
 */
#include "tests/unit/support_text.h"

#include <stdint.h>

/* RFC 3629, section 3: how many bytes a character has that begins so. */
static size_t character_length(unsigned char first)
{
    if ((first & 0x80) == 0x00)
        return 1;
    if ((first & 0xe0) == 0xc0)
        return 2;
    if ((first & 0xf0) == 0xe0)
        return 3;
    if ((first & 0xf8) == 0xf0)
        return 4;
    return 0;
}

static bool is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

/* The character that the first `length` bytes stand for; UINT32_MAX: none. */
static uint32_t code_point(const unsigned char *bytes, size_t length)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t code = length == 1 ? bytes[0] : bytes[0] & (0x7fu >> length);

    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return UINT32_MAX;
        code = code << 6 | (bytes[i] & 0x3f);
    }
    if (code < least[length] || code > 0x10ffff ||
        (code >= 0xd800 && code <= 0xdfff))
        return UINT32_MAX;
    return code;
}

bool is_clean_text(const unsigned char *bytes, size_t length)
{
    uint32_t code;

    for (size_t i = 0, step; i < length; i += step) {
        step = character_length(bytes[i]);
        if (step == 0 || i + step > length)
            return false;
        code = code_point(bytes + i, step);
        if (code == UINT32_MAX || (is_control(code) && code != '\t'))
            return false;
    }
    return true;
}

bool may_begin_stream(unsigned char byte)
{
    if (byte == '\t' || byte == '\r' || byte == '\n')
        return true;
    if (byte < 0x80)
        return !is_control(byte);
    /* C0, C1 and F5 to FF appear nowhere (RFC 3629, section 1), 80 to BF only
     * within a character. */
    return byte >= 0xc2 && byte <= 0xf4;
}

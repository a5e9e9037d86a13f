/*
 * Validation of text. ASCII goes by words, everything else by the table of
 * well-formed byte sequences (The Unicode Standard, table 3-7; RFC 3629,
 * section 4).
 */
#include "common/wire/utf8.h"

#include <stdint.h>
#include <string.h>

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))
#define BLOCK 32

/*
 * The top bit of each byte that is not printable ASCII (0x20 to 0x7E); a byte
 * after such a one may be flagged as well, for the subtraction borrows, so the
 * answer is exact only where it is zero. After "Determine if a word has a byte
 * less than n" in Anderson's Bit Twiddling Hacks.
 */
static uint64_t not_printable(uint64_t word)
{
    uint64_t below_space = word - EACH_BYTE(0x20);
    uint64_t above_tilde = word + EACH_BYTE(0x01);

    return (below_space | above_tilde | word) & EACH_BYTE(0x80);
}

static bool block_is_printable(const unsigned char *bytes)
{
    uint64_t words[BLOCK / sizeof(uint64_t)];

    memcpy(words, bytes, sizeof(words));
    return (not_printable(words[0]) | not_printable(words[1]) |
            not_printable(words[2]) | not_printable(words[3])) == 0;
}

static bool continues(unsigned char byte, unsigned char low, unsigned char high)
{
    return byte >= low && byte <= high;
}

/* The length of the character that `bytes` begin with, 0 if it is none that
 * may stand in text. `left` is at least 1. */
static size_t character(const unsigned char *bytes, size_t left)
{
    unsigned char first = bytes[0];
    unsigned char low = 0x80, high = 0xBF;
    size_t length;

    if (first < 0x80)
        return first == '\t' || (first >= 0x20 && first != 0x7F);
    if (first < 0xC2 || first > 0xF4)
        return 0;
    length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (left < length)
        return 0;
    if (first == 0xC2 || first == 0xE0)
        low = 0xA0; /* no C1 control; nothing that two bytes can say */
    else if (first == 0xED)
        high = 0x9F; /* no surrogate */
    else if (first == 0xF0)
        low = 0x90; /* nothing that three bytes can say */
    else if (first == 0xF4)
        high = 0x8F; /* nothing above U+10FFFF */
    if (!continues(bytes[1], low, high))
        return 0;
    for (size_t i = 2; i < length; i++) {
        if (!continues(bytes[i], 0x80, 0xBF))
            return 0;
    }
    return length;
}

bool text_is_clean(const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    const unsigned char *end = at + length;

    while (at < end) {
        size_t step;

        while ((size_t)(end - at) >= BLOCK && block_is_printable(at))
            at += BLOCK;
        if (at == end)
            break;
        step = character(at, (size_t)(end - at));
        if (step == 0)
            return false;
        at += step;
    }
    return true;
}

bool text_can_begin(unsigned char byte)
{
    if (byte < 0x80)
        return (byte >= 0x20 && byte != 0x7F) || byte == '\t' || byte == '\r' ||
               byte == '\n';
    return byte >= 0xC2 && byte <= 0xF4;
}

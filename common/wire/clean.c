/*
 * Validation of text: printable ASCII by words, everything else a character at
 * a time.
 */
#include "common/wire/clean.h"

#include "common/base/utf8.h"

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

/* The length of the character that `bytes` begin with, 0 if it is none that
 * may stand in text. */
static size_t clean_length(const unsigned char *bytes, size_t left)
{
    size_t length = utf8_length(bytes, left);

    if (length > 0 && bytes[0] != '\t' && utf8_is_control(bytes, length))
        return 0;
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
        step = clean_length(at, (size_t)(end - at));
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

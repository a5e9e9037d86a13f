/*
 * What is said: see message.h.
 */
#include "tests/load/message.h"

#include <string.h>

#define SPEAKER_DIGITS 6
#define NUMBER_DIGITS 8

static const char digits[] = "0123456789abcdef";
static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuv"
                              "wxyz0123456789+-";

/* ---- Matter ------------------------------------------------------------- */

/* splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
 * Generators, 2014). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

void matter_init(struct matter *matter, size_t size, uint64_t seed)
{
    matter->size = size;
    matter->lines = NULL;
    matter->lines_count = 0;
    for (size_t i = 0; i < MATTER_BYTES; i++)
        matter->bytes[i] = letters[next_random(&seed) % 64];
}

/* Where in the matter's bytes, which go round, a message's begin. */
static size_t matter_begin(uint32_t speaker, uint32_t number)
{
    return ((size_t)speaker * 40503 + (number % MATTER_PERIOD) * 61) %
           MATTER_BYTES;
}

static size_t run_length(size_t begin, size_t length)
{
    size_t run = MATTER_BYTES - begin;

    return run < length ? run : length;
}

static const struct line *line_of(const struct matter *matter, uint32_t number)
{
    return &matter->lines[number % matter->lines_count];
}

static void matter_write(const struct matter *matter, struct message_name name,
                         char *to, size_t length)
{
    size_t begin = matter_begin(name.speaker, name.number);

    while (length > 0) {
        size_t run = run_length(begin, length);

        memcpy(to, &matter->bytes[begin], run);
        to += run;
        length -= run;
        begin = 0;
    }
}

static bool matter_is_right(const struct matter *matter,
                            struct message_name name, const char *bytes,
                            size_t length)
{
    size_t begin = matter_begin(name.speaker, name.number);

    while (length > 0) {
        size_t run = run_length(begin, length);

        if (memcmp(bytes, &matter->bytes[begin], run) != 0)
            return false;
        bytes += run;
        length -= run;
        begin = 0;
    }
    return true;
}

/* ---- Names -------------------------------------------------------------- */

static void hex_write(uint32_t value, unsigned count, char *to)
{
    for (unsigned i = count; i > 0; i--) {
        to[i - 1] = digits[value % 16];
        value /= 16;
    }
}

/* 16 for what is no digit as hex_write has them. */
static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    return 16;
}

static bool hex_read(const char *from, unsigned count, uint32_t *value)
{
    uint32_t sum = 0;
    unsigned bad = 0;

    for (unsigned i = 0; i < count; i++) {
        unsigned digit = digit_value(from[i]);

        bad |= digit & 16;
        sum = sum << 4 | (digit & 15);
    }
    *value = sum;
    return !bad;
}

bool message_name(const void *text, size_t length, struct message_name *name)
{
    const char *at = text;

    return length >= MESSAGE_NAME_BYTES && at[SPEAKER_DIGITS] == ' ' &&
           at[MESSAGE_NAME_BYTES - 1] == ':' &&
           hex_read(at, SPEAKER_DIGITS, &name->speaker) &&
           hex_read(at + SPEAKER_DIGITS + 1, NUMBER_DIGITS, &name->number);
}

/* ---- Messages ----------------------------------------------------------- */

size_t message_size(const struct matter *matter, uint32_t number)
{
    if (matter->lines)
        return MESSAGE_NAME_BYTES + line_of(matter, number)->length;
    return matter->size;
}

void message_write(const struct matter *matter, uint32_t speaker,
                   uint32_t number, char *text)
{
    char *rest = text + MESSAGE_NAME_BYTES;
    size_t length = message_size(matter, number) - MESSAGE_NAME_BYTES;

    hex_write(speaker, SPEAKER_DIGITS, text);
    text[SPEAKER_DIGITS] = ' ';
    hex_write(number, NUMBER_DIGITS, text + SPEAKER_DIGITS + 1);
    text[MESSAGE_NAME_BYTES - 1] = ':';
    if (matter->lines && length > 0)
        memcpy(rest, line_of(matter, number)->bytes, length);
    else
        matter_write(matter, (struct message_name){speaker, number}, rest,
                     length);
}

bool message_is_right(const struct matter *matter, struct message_name name,
                      const void *text, size_t length)
{
    const char *rest = (const char *)text + MESSAGE_NAME_BYTES;

    if (length != message_size(matter, name.number))
        return false;
    length -= MESSAGE_NAME_BYTES;
    if (matter->lines)
        return memcmp(rest, line_of(matter, name.number)->bytes, length) == 0;
    return matter_is_right(matter, name, rest, length);
}

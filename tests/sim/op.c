/*
 * What ops say, and by what in it they are known again. Pure: an op's number
 * and kind decide every byte.
 */
#include "tests/sim/op.h"

#include "tests/unit/support_random.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- Texts --------------------------------------------------------------- */

static char letter_of(enum say say)
{
    switch (say) {
    case SAY_MESSAGE:
    case SAY_TO_ROOM:
        return 'm';
    case SAY_PRIVATE:
        return 'p';
    case SAY_TOPIC:
        return 't';
    case SAY_ECHO:
        return 'e';
    default:
        return 'x';
    }
}

/* Puts a character of the padding there: mostly letters, words of 7 or so, and
 * here and there one of two to four bytes, if it fits. Returns its length. */
static size_t pad_one(uint8_t draw, char *text, size_t left)
{
    static const char wide[][5] = {
        "\u00e9", "\u00df", "\u0416",     "\u20ac",
        "\u6f22", "\u2713", "\U0001f600", "\U00010348",
    };
    size_t length;

    if (draw >= 8 || left < 4) {
        *text = draw < 40 && left > 1 ? ' ' : (char)('a' + draw % 23);
        return 1;
    }
    length = strlen(wide[draw]);
    memcpy(text, wide[draw], length);
    return length;
}

/* Fills `length` bytes, which do not end with a space. */
static void pad(struct rng rng, char *text, size_t length)
{
    uint64_t draws = 0;

    for (size_t at = 0, drawn = 0; at < length; drawn++) {
        draws = drawn % 8 == 0 ? rng_next(&rng) : draws >> 8;
        at += pad_one((uint8_t)draws, text + at, length - at);
    }
}

void op_text(const struct op *op, char *text)
{
    char head[OP_TEXT_MIN];
    char letter = letter_of(op->say);
    size_t length =
        (size_t)snprintf(head, sizeof(head), "%c%u ", letter, op->number);

    assert(op->length > length);
    memcpy(text, head, length);
    pad((struct rng){(uint64_t)op->number << 8 | (uint8_t)letter},
        text + length, op->length - length);
}

/* Past what a content type begins with. */
static void skip_type(const char **text, size_t *length)
{
    static const char *const prefixes[] = {"text/x-", "image/x-"};

    for (size_t i = 0; i < 2; i++) {
        size_t prefix = strlen(prefixes[i]);

        if (*length < prefix || memcmp(*text, prefixes[i], prefix) != 0)
            continue;
        *text += prefix;
        *length -= prefix;
        return;
    }
}

bool op_number_of(char letter, const char *text, size_t length,
                  uint32_t *number)
{
    uint64_t value = 0;
    size_t at = 1;

    skip_type(&text, &length);
    if (length < 2 || text[0] != letter)
        return false;
    for (; at < length && isdigit((unsigned char)text[at]); at++) {
        value = value * 10 + (uint64_t)(text[at] - '0');
        if (value > UINT32_MAX)
            return false;
    }
    *number = (uint32_t)value;
    return at > 1 && (at == length || text[at] == ' ');
}

size_t op_content_type(const struct op *op, char type[40])
{
    return (size_t)snprintf(type, 40, "%s/x-m%u",
                            op->number % 2 ? "image" : "text", op->number);
}

/* ---- Rooms --------------------------------------------------------------- */

static const char *const room_names[ROOMS_MAX] = {
    "lobby",
    "red",
    "Green.7",
    "x",
    "abcdefghijklmnopqrstuvwxyz.01234",
    "-",
    "Blue_",
    "42",
    "..",
    "UPPER",
    "a-b",
    "a_b",
    "a.b",
    "Z",
    "ab",
    "abc",
    "Mixed",
    "_",
    "room1",
    "room10",
    "room2",
    "Lobby2",
    "0",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ_98765",
};

const char *room_name_of(unsigned room)
{
    assert(room < ROOMS_MAX);
    return room_names[room];
}

static char varied(char letter, uint32_t variant, size_t at)
{
    bool upper = variant == 1 || (variant == 3 && at % 2 == 0);

    if (variant == 0)
        return letter;
    return (char)(upper ? toupper((unsigned char)letter)
                        : tolower((unsigned char)letter));
}

void op_room_name(const struct op *op, char name[40])
{
    const char *from = room_name_of(op->room);
    char *to = name;

    if (op->number / 4 % 4 == 0)
        *to++ = '#';
    for (size_t i = 0; from[i] != '\0'; i++)
        *to++ = varied(from[i], op->number % 4, i);
    *to = '\0';
}

unsigned room_named(const char *name, size_t length)
{
    unsigned room = 0;

    while (room < ROOMS_MAX &&
           (strlen(room_names[room]) != length ||
            strncasecmp(room_names[room], name, length) != 0))
        room++;
    return room;
}

/* ---- Kinds --------------------------------------------------------------- */

enum error_code say_error(enum say say)
{
    static const enum error_code errors[SAYS] = {
        [SAY_BAD_FRAME] = ERROR_BAD_FRAME,
        [SAY_TOO_LARGE] = ERROR_TOO_LARGE,
        [SAY_HELLO_AGAIN] = ERROR_HANDSHAKE,
        [SAY_BAD_MAGIC] = ERROR_BAD_MAGIC,
        [SAY_BAD_VERSION] = ERROR_BAD_VERSION,
        [SAY_BAD_CRC] = ERROR_BAD_CRC,
        [SAY_BAD_HMAC] = ERROR_BAD_HMAC,
        [SAY_BAD_HEADER] = ERROR_BAD_HEADER,
        [SAY_REPLAY] = ERROR_REPLAY,
    };

    return errors[say];
}

const char *say_name(enum say say)
{
    static const char *const names[SAYS] = {
        [SAY_HELLO] = "hello",
        [SAY_MESSAGE] = "message",
        [SAY_TO_ROOM] = "to-room",
        [SAY_PRIVATE] = "private",
        [SAY_JOIN] = "join",
        [SAY_LEAVE] = "leave",
        [SAY_NICK] = "nick",
        [SAY_TOPIC] = "topic",
        [SAY_WHO] = "who",
        [SAY_ROOMS] = "rooms",
        [SAY_ECHO] = "echo",
        [SAY_TIME] = "time",
        [SAY_PING] = "ping",
        [SAY_HELP] = "help",
        [SAY_METRICS] = "metrics",
        [SAY_THROUGHPUT] = "throughput",
        [SAY_BEAT] = "beat",
        [SAY_PONG] = "pong",
        [SAY_UNKNOWN] = "unknown",
        [SAY_USAGE] = "usage",
        [SAY_BAD_NAME] = "bad-name",
        [SAY_BAD_TEXT] = "bad-text",
        [SAY_LONG_LINE] = "long-line",
        [SAY_TRANSFER] = "transfer",
        [SAY_ODD_TYPE] = "odd-type",
        [SAY_QUIT] = "quit",
        [SAY_DISCONNECT] = "disconnect",
        [SAY_BAD_FRAME] = "bad-frame",
        [SAY_TOO_LARGE] = "too-large",
        [SAY_HELLO_AGAIN] = "hello-again",
        [SAY_BAD_MAGIC] = "bad-magic",
        [SAY_BAD_VERSION] = "bad-version",
        [SAY_BAD_CRC] = "bad-crc",
        [SAY_BAD_HMAC] = "bad-hmac",
        [SAY_BAD_HEADER] = "bad-header",
        [SAY_REPLAY] = "replay",
    };

    return names[say];
}

/*
 * What terminals send for keys (xterm's ctlseqs, "PC-Style Function Keys" and
 * "VT220-Style"; ECMA-48 5.4 for the form of a sequence).
 */
#include "client/keys.h"

#include "common/base/digits.h"
#include "common/base/utf8.h"

#include <assert.h>
#include <string.h>

#define ESCAPE 0x1B

/* Behind an Escape: one byte, or a sequence. 1;5 is Ctrl, 1;3 Alt. */
static const struct {
    const char *sequence;
    enum chord chord;
} sequences[] = {
    {"[A", CHORD_OLDER},         {"OA", CHORD_OLDER},
    {"[B", CHORD_NEWER},         {"OB", CHORD_NEWER},
    {"[C", CHORD_RIGHT},         {"OC", CHORD_RIGHT},
    {"[D", CHORD_LEFT},          {"OD", CHORD_LEFT},
    {"[H", CHORD_START},         {"OH", CHORD_START},
    {"[1~", CHORD_START},        {"[7~", CHORD_START},
    {"[F", CHORD_END},           {"OF", CHORD_END},
    {"[4~", CHORD_END},          {"[8~", CHORD_END},
    {"[3~", CHORD_DELETE},       {"[5~", CHORD_PAGE_UP},
    {"[6~", CHORD_PAGE_DOWN},    {"[Z", CHORD_COMPLETE_BACK},
    {"[1;5C", CHORD_WORD_RIGHT}, {"Oc", CHORD_WORD_RIGHT},
    {"f", CHORD_WORD_RIGHT},     {"[1;5D", CHORD_WORD_LEFT},
    {"Od", CHORD_WORD_LEFT},     {"b", CHORD_WORD_LEFT},
    {"[1;3C", CHORD_ROOM_NEXT},  {"[1;3D", CHORD_ROOM_BEFORE},
    {"[1;3F", CHORD_BOTTOM},     {"[1;5F", CHORD_BOTTOM},
    {"a", CHORD_ROOM_UNREAD},    {"\x7F", CHORD_KILL_WORD},
};

static const struct {
    unsigned char byte;
    enum chord chord;
} controls[] = {
    {'\r', CHORD_SEND},
    {'\n', CHORD_SEND},
    {'\t', CHORD_COMPLETE},
    {0x7F, CHORD_BACKSPACE},
    {'\b', CHORD_BACKSPACE},
    {'A' - '@', CHORD_START},
    {'B' - '@', CHORD_LEFT},
    {'D' - '@', CHORD_LEAVE_OR_DELETE},
    {'E' - '@', CHORD_END},
    {'F' - '@', CHORD_RIGHT},
    {'K' - '@', CHORD_KILL_END},
    {'L' - '@', CHORD_REDRAW},
    {'N' - '@', CHORD_ROOM_NEXT},
    {'P' - '@', CHORD_ROOM_BEFORE},
    {'U' - '@', CHORD_KILL_START},
    {'W' - '@', CHORD_KILL_WORD},
    {'Y' - '@', CHORD_YANK},
};

static const struct key nothing = {.kind = KEY_NOTHING};

void keys_init(struct keys *keys)
{
    *keys = (struct keys){.pending_length = 0};
}

static struct key chord_key(enum chord chord)
{
    return (struct key){.kind = KEY_CHORD, .chord = chord};
}

/* ---- Characters --------------------------------------------------------- */

static struct key control_key(unsigned char byte)
{
    for (size_t i = 0; i < sizeof(controls) / sizeof(*controls); i++) {
        if (controls[i].byte == byte)
            return chord_key(controls[i].chord);
    }
    return nothing;
}

/* What is pasted: lines end in CR, as Enter does; a tab is a space. */
static struct key pasted_control(unsigned char byte)
{
    struct key key = {.kind = KEY_PASTED, .length = 1};

    if (byte == '\r' || byte == '\n')
        key.bytes[0] = '\n';
    else if (byte == '\t')
        key.bytes[0] = ' ';
    else
        return nothing;
    return key;
}

/* How long the character is that begins so; 0: none does. */
static size_t announced_length(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first >= 0xC2 && first < 0xE0)
        return 2;
    if (first >= 0xE0 && first < 0xF0)
        return 3;
    return first >= 0xF0 && first < 0xF5 ? 4 : 0;
}

/* A character that is whole, if it is one. */
static struct key character(struct keys *keys)
{
    struct key key = {.kind = keys->pasting ? KEY_PASTED : KEY_TEXT,
                      .length = keys->pending_length};

    keys->pending_length = 0;
    if (utf8_length(keys->pending, key.length) != key.length ||
        utf8_is_control(keys->pending, key.length))
        return nothing;
    memcpy(key.bytes, keys->pending, key.length);
    return key;
}

static struct key feed_text(struct keys *keys, unsigned char byte)
{
    bool goes_on = (byte & 0xC0) == 0x80;

    if (!goes_on || announced_length(keys->pending[0]) < 2)
        keys->pending_length = 0; /* what was begun never was one */
    if (byte < 0x20 || byte == 0x7F)
        return keys->pasting ? pasted_control(byte) : control_key(byte);
    if (keys->pending_length == 0 && announced_length(byte) == 0)
        return nothing;
    keys->pending[keys->pending_length++] = byte;
    if (keys->pending_length < announced_length(keys->pending[0]))
        return nothing;
    return character(keys);
}

/* ---- Sequences ---------------------------------------------------------- */

/* `first` is what stands behind the Escape. */
static bool sequence_is_whole(const struct keys *keys)
{
    char first = keys->sequence[0];
    char last = keys->sequence[keys->sequence_length - 1];

    /* Parameters, and a final byte; the Linux console has one more for F1. */
    if (first == '[')
        return keys->sequence_length > 1 && last >= 0x40 && last <= 0x7E &&
               !(last == '[' && keys->sequence_length == 2);
    return first != 'O' || keys->sequence_length == 2;
}

static struct key bracket(struct keys *keys, bool pasting)
{
    if (keys->pasting == pasting)
        return nothing;
    keys->pasting = pasting;
    return (struct key){.kind = pasting ? KEY_PASTE_BEGIN : KEY_PASTE_END};
}

static struct key sequence_key(struct keys *keys)
{
    const char *sequence = keys->sequence;

    if (strcmp(sequence, "[200~") == 0)
        return bracket(keys, true);
    if (strcmp(sequence, "[201~") == 0)
        return bracket(keys, false);
    if (keys->pasting)
        return nothing;
    if (is_digit(sequence[0]) && sequence[1] == '\0')
        return (struct key){.kind = KEY_CHORD,
                            .chord = CHORD_ROOM,
                            .number = (unsigned)(sequence[0] - '0' + 9) % 10};
    for (size_t i = 0; i < sizeof(sequences) / sizeof(*sequences); i++) {
        if (strcmp(sequences[i].sequence, sequence) == 0)
            return chord_key(sequences[i].chord);
    }
    return nothing;
}

/* A byte behind an Escape. */
static struct key feed_sequence(struct keys *keys, unsigned char byte)
{
    if (keys->sequence_length == 0 && byte >= 0x80) { /* Alt-é */
        keys->escaped = false;
        return feed_text(keys, byte);
    }
    if (keys->sequence_length < SEQUENCE_BYTES_MAX)
        keys->sequence[keys->sequence_length++] = (char)byte;
    else
        keys->sequence[SEQUENCE_BYTES_MAX - 1] = (char)byte;
    keys->sequence[keys->sequence_length] = '\0';
    if (!sequence_is_whole(keys))
        return nothing;
    keys->escaped = false;
    return sequence_key(keys);
}

struct key keys_feed(struct keys *keys, unsigned char byte)
{
    bool again = keys->escaped && keys->sequence_length == 0;

    if (byte == ESCAPE) {
        keys->escaped = true;
        keys->pending_length = keys->sequence_length = 0;
        return again && !keys->pasting ? chord_key(CHORD_CANCEL) : nothing;
    }
    return keys->escaped ? feed_sequence(keys, byte) : feed_text(keys, byte);
}

bool keys_waits(const struct keys *keys)
{
    return keys->escaped;
}

struct key keys_idle(struct keys *keys)
{
    bool alone = keys->escaped && keys->sequence_length == 0;

    keys->escaped = false;
    return alone && !keys->pasting ? chord_key(CHORD_CANCEL) : nothing;
}

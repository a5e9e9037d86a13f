/*
 * What peers say and hear, whatever the dialect: which words an op means, what
 * holds for any text and any error, and how what was heard is printed. The
 * dialects' forms are in speech_text.c, speech_frame.c, speech_secure.c and
 * speech_secure_say.c.
 */
#include "tests/sim/promise.h"
#include "tests/sim/speech_internal.h"

#include <stdarg.h>
#include <stdio.h>

const uint8_t speech_key[32] = {
    0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
    16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
};

/* Server pings count from 1 and never come here, so that no unasked pong
 * answers one. */
#define UNASKED_STAMP (UINT64_C(1) << 52)

/* ---- Errors ------------------------------------------------------------- */

static const struct error_line {
    unsigned code;
    const char *name;
} error_lines[] = {
    {1, "line-too-long"},   {2, "bad-text"},        {3, "unknown-command"},
    {4, "usage"},           {5, "bad-name"},        {6, "nick-in-use"},
    {7, "no-such-nick"},    {8, "no-such-room"},    {9, "no-room"},
    {10, "too-many-rooms"}, {11, "wrong-protocol"}, {12, "receiver-busy"},
    {20, "bad-frame"},      {21, "too-large"},      {22, "unknown-type"},
    {23, "handshake"},      {24, "bad-magic"},      {25, "bad-version"},
    {26, "bad-crc"},        {27, "bad-hmac"},       {28, "bad-header"},
    {29, "replay"},         {30, "timeout"},        {31, "lagged"},
    {32, "server-full"},    {33, "shutdown"},       {50, "unavailable"},
    {99, "internal"},
};

#define ERROR_LINES (sizeof(error_lines) / sizeof(*error_lines))

enum error_code error_named(struct slice name)
{
    for (size_t i = 0; i < ERROR_LINES; i++) {
        if (slice_equals(name, slice_of(error_lines[i].name)))
            return (enum error_code)error_lines[i].code;
    }
    return ERROR_NONE;
}

/* The name, or what comes before its detail. */
static struct slice first_word(struct slice text)
{
    const char *space = memchr(text.bytes, ' ', text.length);

    return (struct slice){text.bytes,
                          space ? (size_t)(space - text.bytes) : text.length};
}

void hear_error(struct heard *heard, uint64_t code, struct slice text)
{
    heard->kind = HEARD_ERROR;
    heard->code = text.length > 0 ? error_named(first_word(text)) : ERROR_NONE;
    heard->text = text;
    if (heard->code == ERROR_NONE || heard->code != code)
        promise_broken("error table", "code %llu with text \"%.*s\"",
                       (unsigned long long)code, (int)text.length, text.bytes);
}

/* ---- Texts -------------------------------------------------------------- */

/* Most characters are. */
static bool is_plain(unsigned char byte)
{
    return byte >= ' ' && byte <= '~';
}

/* RFC 3629, section 4: the length of any other character at `at`, 0 if that is
 * none, or a control but tab. */
static size_t character_length(const unsigned char *at, size_t length)
{
    static const struct {
        unsigned char first, last, second_min, second_max;
        size_t length;
    } rows[] = {
        {'\t', '\t', 0, 0, 1},       {0xc2, 0xc2, 0xa0, 0xbf, 2},
        {0xc3, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
        {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    size_t row = 0, bytes;

    while (at[0] < rows[row].first || at[0] > rows[row].last) {
        if (++row == sizeof(rows) / sizeof(*rows))
            return 0;
    }
    bytes = rows[row].length;
    if (bytes > length || (bytes > 1 && (at[1] < rows[row].second_min ||
                                         at[1] > rows[row].second_max)))
        return 0;
    for (size_t i = 2; i < bytes; i++) {
        if (at[i] < 0x80 || at[i] > 0xbf)
            return 0;
    }
    return bytes;
}

void check_clean(struct slice text)
{
    const unsigned char *bytes = (const unsigned char *)text.bytes;
    size_t length;

    for (size_t at = 0; at < text.length; at += length) {
        length = is_plain(bytes[at])
                     ? 1
                     : character_length(bytes + at, text.length - at);

        if (length == 0)
            promise_broken("clean text", "byte %02x at %zu of %zu", bytes[at],
                           at, text.length);
    }
}

bool decimal_read(struct slice digits, uint64_t *number)
{
    *number = 0;
    if (digits.length == 0 || digits.length > 19 ||
        (digits.bytes[0] == '0' && digits.length > 1))
        return false;
    for (size_t i = 0; i < digits.length; i++) {
        if (digits.bytes[i] < '0' || digits.bytes[i] > '9')
            return false;
        *number = *number * 10 + (uint64_t)(digits.bytes[i] - '0');
    }
    return true;
}

/* ---- What an op means --------------------------------------------------- */

/* How a command is written: its word, and what follows it. */
struct command_form {
    const char *word;
    bool nick, room, text;
    bool optional; /* what follows does so only if the op is `named` */
};

static const struct command_form command_forms[SAYS] = {
    [SAY_PRIVATE] = {.word = "msg", .nick = true, .text = true},
    [SAY_JOIN] = {.word = "join", .room = true},
    [SAY_LEAVE] = {.word = "leave", .room = true, .optional = true},
    [SAY_NICK] = {.word = "nick", .nick = true},
    [SAY_TOPIC] = {.word = "topic", .text = true, .optional = true},
    [SAY_WHO] = {.word = "who", .room = true, .optional = true},
    [SAY_ROOMS] = {.word = "rooms"},
    [SAY_ECHO] = {.word = "echo", .text = true},
    [SAY_TIME] = {.word = "time"},
    [SAY_PING] = {.word = "ping"},
    [SAY_HELP] = {.word = "help"},
    [SAY_METRICS] = {.word = "metrics"},
    [SAY_THROUGHPUT] = {.word = "throughput"},
    [SAY_UNKNOWN] = {.word = "nosuch"},
    [SAY_USAGE] = {.word = "join"},
    [SAY_BAD_NAME] = {.word = "join b@d"},
    [SAY_QUIT] = {.word = "quit"},
    /* Whole but for the one damage that a dialect does to it. */
    [SAY_BAD_MAGIC] = {.word = "echo damaged"},
    [SAY_BAD_VERSION] = {.word = "echo damaged"},
    [SAY_BAD_CRC] = {.word = "echo damaged"},
    [SAY_BAD_HMAC] = {.word = "echo damaged"},
    [SAY_BAD_HEADER] = {.word = "echo damaged"},
    [SAY_REPLAY] = {.word = "echo damaged"},
    [SAY_TOO_LARGE] = {.word = "echo damaged"},
};

/* Too few arguments, or too many. */
#define MISUSES 8
static const char *const misuses[MISUSES] = {
    "join", "join a b", "nick",    "nick a b",
    "echo", "msg x",    "who x y", "time x",
};

size_t command_line(const struct op *op, char line[SPEECH_BYTES_MAX])
{
    const struct command_form *form = &command_forms[op->say];
    bool follows = !form->optional || op->named;
    char *at;

    assert(form->word && op->length < SPEECH_BYTES_MAX / 2);
    at = stpcpy(line, op->say == SAY_USAGE ? misuses[op->number % MISUSES]
                                           : form->word);
    if (form->nick && follows)
        at = stpcpy(stpcpy(at, " "), op->nick);
    if (form->room && follows) {
        char name[40];

        op_room_name(op, name);
        at = stpcpy(stpcpy(at, " "), name);
    }
    if (form->text && follows) {
        *at++ = ' ';
        op_text(op, at);
        at += op->length;
    }
    return (size_t)(at - line);
}

/* The text and the names of an utterance. */
static char spoken_text[SPEECH_BYTES_MAX];
static char spoken_room[40], spoken_type[40];

static void mean_message(const struct op *op, struct utterance *utterance)
{
    utterance->type = TYPE_MESSAGE;
    op_text(op, spoken_text);
    utterance->text = (struct slice){spoken_text, op->length};
    if (op->typed) {
        size_t length = op_content_type(op, spoken_type);

        utterance->content_type = (struct slice){spoken_type, length};
    }
    if (op->say == SAY_PRIVATE)
        utterance->nick = slice_of(op->nick);
    if (op->say == SAY_TO_ROOM) {
        op_room_name(op, spoken_room);
        utterance->room = slice_of(spoken_room);
    }
}

static void mean_command(const struct op *op, struct utterance *utterance)
{
    utterance->type = TYPE_COMMAND;
    utterance->text =
        (struct slice){spoken_text, command_line(op, spoken_text)};
}

static void mean_beat(const struct op *op, struct utterance *utterance)
{
    utterance->type = TYPE_HEARTBEAT;
    utterance->pong = op->say == SAY_PONG;
    utterance->stamp =
        utterance->pong ? UNASKED_STAMP | op->number : (uint64_t)op->number;
}

/* What a binary peer says for an op. */
static void op_mean(const struct op *op, struct utterance *utterance)
{
    *utterance = (struct utterance){
        .say = op->say,
        .id = op->id,
        .salt = op->number,
    };
    switch (op->say) {
    case SAY_HELLO:
    case SAY_HELLO_AGAIN:
        utterance->type = TYPE_SESSION_ACK;
        utterance->nick = slice_of(op->nick);
        break;
    case SAY_MESSAGE:
    case SAY_TO_ROOM:
        mean_message(op, utterance);
        break;
    case SAY_PRIVATE:
        if (op->as_message)
            mean_message(op, utterance);
        else
            mean_command(op, utterance);
        break;
    case SAY_BEAT:
    case SAY_PONG:
        mean_beat(op, utterance);
        break;
    case SAY_BAD_TEXT:
        utterance->type = TYPE_MESSAGE;
        utterance->text = SLICE("x\x1bx");
        break;
    case SAY_TRANSFER:
        utterance->type = TYPE_FILE_OFFER;
        break;
    case SAY_ODD_TYPE:
        utterance->type = TYPE_ODD;
        utterance->text = SLICE("what is this?");
        break;
    case SAY_DISCONNECT:
        utterance->type = TYPE_DISCONNECT;
        utterance->text = SLICE("bye");
        break;
    case SAY_BAD_FRAME:
        utterance->type = TYPE_ACK;
        break;
    default:
        mean_command(op, utterance);
    }
}

static enum say say_in_text(enum say say)
{
    switch (say) {
    case SAY_HELLO:
    case SAY_PONG:
        return SAY_BEAT;
    case SAY_TO_ROOM:
        return SAY_JOIN;
    case SAY_TRANSFER:
    case SAY_ODD_TYPE:
        return SAY_UNKNOWN;
    case SAY_DISCONNECT:
        return SAY_QUIT;
    default:
        return say >= SAY_FATAL ? SAY_QUIT : say;
    }
}

enum say say_in_dialect(enum say say, enum dialect dialect)
{
    if (dialect == DIALECT_TEXT)
        return say_in_text(say);
    if (say == SAY_LONG_LINE)
        return SAY_USAGE;
    if (dialect == DIALECT_FRAME && say >= SAY_BAD_MAGIC)
        return SAY_BAD_FRAME;
    return say;
}

/* ---- Speaking ----------------------------------------------------------- */

struct draft *draft_begin(void)
{
    static struct draft draft;

    draft.length = 0;
    return &draft;
}

void voice_init(struct voice *voice, enum dialect dialect, bool sealed,
                const struct speech_limits *limits)
{
    *voice = (struct voice){
        .dialect = dialect,
        .sealed = sealed && dialect == DIALECT_SECURE,
        .limits = limits,
    };
    speech_prepare();
}

bool voice_can_speak(const struct voice *voice)
{
    return voice->dialect != DIALECT_SECURE || voice->greeted;
}

static void utter(struct voice *voice, const struct utterance *utterance,
                  struct bytes *out)
{
    struct draft *draft = draft_begin();

    assert(voice->dialect != DIALECT_TEXT && voice_can_speak(voice));
    if (voice->dialect == DIALECT_FRAME)
        frame_say(voice, utterance, draft);
    else
        secure_say(voice, utterance, draft);
    bytes_append(out, draft->bytes, draft->length);
}

void voice_say(struct voice *voice, const struct op *op, struct bytes *out)
{
    struct utterance utterance;
    struct draft *draft;

    assert(say_in_dialect(op->say, voice->dialect) == op->say);
    if (voice->dialect == DIALECT_TEXT) {
        draft = draft_begin();
        text_say(voice, op, draft);
        bytes_append(out, draft->bytes, draft->length);
        return;
    }
    op_mean(op, &utterance);
    utter(voice, &utterance, out);
}

void voice_pong(struct voice *voice, uint64_t stamp, struct bytes *out)
{
    const struct utterance pong = {
        .type = TYPE_HEARTBEAT,
        .pong = true,
        .stamp = stamp,
        .salt = stamp,
    };

    utter(voice, &pong, out);
}

/* ---- Listening ---------------------------------------------------------- */

static size_t hear(struct voice *voice, struct slice bytes, struct heard *heard)
{
    switch (voice->dialect) {
    case DIALECT_TEXT:
        return text_hear(voice, bytes, heard);
    case DIALECT_FRAME:
        return frame_hear(voice, bytes, heard);
    case DIALECT_SECURE:
        break;
    }
    return secure_hear(voice, bytes, heard);
}

/* SESSION_INIT comes first, or an ERROR in its place, and neither it nor the
 * welcome comes again. */
static void check_order(const struct voice *voice, const struct heard *heard)
{
    bool binary = voice->dialect != DIALECT_TEXT;
    bool init = heard->kind == HEARD_INIT;

    if (binary && init == voice->greeted && heard->kind != HEARD_ERROR)
        promise_broken("greeting", init ? "a second SESSION_INIT"
                                        : "no SESSION_INIT first");
    if (heard->kind == HEARD_WELCOME && voice->welcomed)
        promise_broken("greeting", "a second WELCOME");
}

size_t voice_hear(struct voice *voice, const unsigned char *bytes,
                  size_t length, struct heard *heard)
{
    size_t taken;

    *heard = (struct heard){.kind = HEARD_RAW};
    if (length == 0)
        return 0;
    taken = hear(voice, (struct slice){(const char *)bytes, length}, heard);
    if (taken == 0)
        return 0;
    check_order(voice, heard);
    voice->greeted |= heard->kind == HEARD_INIT;
    voice->welcomed |= heard->kind == HEARD_WELCOME;
    return taken;
}

void hear_notice(struct heard *heard, enum heard_kind kind, struct slice text)
{
    bool bare = kind == HEARD_JOINED || kind == HEARD_LEFT;
    bool lagged = kind == HEARD_LAGGED;

    heard->kind = kind;
    heard->text = text;
    if ((bare && text.length > 0) || lagged != (heard->nick.length == 0))
        promise_broken("notice form", "kind %d of \"%.*s\" with a text of %zu",
                       (int)kind, (int)heard->nick.length, heard->nick.bytes,
                       text.length);
    if (lagged && !decimal_read(text, &heard->number))
        promise_broken("notice form", "\"%.*s\" missed", (int)text.length,
                       text.bytes);
}

/* ---- Printing ----------------------------------------------------------- */

/* As much of a text as a line has room for. */
#define SHOWN_BYTES 24

struct printer {
    char *at;
    size_t left;
};

__attribute__((format(printf, 2, 3))) static void print(struct printer *printer,
                                                        const char *format, ...)
{
    va_list arguments;
    size_t length;

    va_start(arguments, format);
    length = (size_t)vsnprintf(printer->at, printer->left, format, arguments);
    va_end(arguments);
    if (length >= printer->left)
        length = printer->left > 0 ? printer->left - 1 : 0;
    printer->at += length;
    printer->left -= length;
}

/* Characters are not cut in two. */
static size_t shown_length(struct slice text)
{
    size_t shown = SHOWN_BYTES;

    if (text.length <= SHOWN_BYTES)
        return text.length;
    while (shown > 0 && ((unsigned char)text.bytes[shown] & 0xc0) == 0x80)
        shown--;
    return shown;
}

static void print_text(struct printer *printer, struct slice text)
{
    size_t shown = shown_length(text);

    if (text.length == 0)
        return;
    print(printer, " %.*s", (int)shown, text.bytes);
    if (shown < text.length)
        print(printer, "... (%zu bytes)", text.length);
}

static void print_names(struct printer *printer, const struct heard *heard)
{
    if (heard->room.length > 0)
        print(printer, " [%.*s]", (int)heard->room.length, heard->room.bytes);
    if (heard->nick.length > 0)
        print(printer, " %.*s:", (int)heard->nick.length, heard->nick.bytes);
}

static void print_numbers(struct printer *printer, const struct heard *heard)
{
    if (heard->content_type.length > 0)
        print(printer, " type=%.*s", (int)heard->content_type.length,
              heard->content_type.bytes);
    if (heard->has_seq)
        print(printer, " seq=%llu", (unsigned long long)heard->seq);
    if (heard->number > 0)
        print(printer, " number=%llu", (unsigned long long)heard->number);
    if (heard->id > 0)
        print(printer, " id=%u", heard->id);
    if (heard->more)
        print(printer, " more");
}

void heard_print(const struct heard *heard, char *line, size_t space)
{
    static const char *const kinds[HEARD_KINDS] = {
        "INIT", "WELCOME", "MESSAGE", "PRIVATE",    "JOINED", "LEFT",
        "NICK", "TOPIC",   "LAGGED",  "REPLY",      "RAW",    "ERROR",
        "ACK",  "PING",    "PONG",    "DISCONNECT",
    };
    struct printer printer;

    printer.at = line;
    printer.left = space;
    print(&printer, "%s", kinds[heard->kind]);
    print_names(&printer, heard);
    print_text(&printer, heard->text);
    print_numbers(&printer, heard);
}

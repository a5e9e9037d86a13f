/*
 * The text dialect, as docs/protocol.md has it: lines. Who listens takes each
 * for the first form that it has from its beginning on; what follows a nick is
 * whatever that peer said.
 */
#include "tests/sim/promise.h"
#include "tests/sim/speech_internal.h"

/* ---- Saying ------------------------------------------------------------- */

static void put_command(const struct op *op, struct draft *draft)
{
    static char line[SPEECH_BYTES_MAX];

    put_literal(draft, "/");
    put_bytes(draft, line, command_line(op, line));
}

static void put_message(const struct op *op, struct draft *draft)
{
    assert(op->length <= sizeof(draft->bytes) - draft->length);
    op_text(op, (char *)draft->bytes + draft->length);
    draft->length += op->length;
}

static void put_long_line(const struct voice *voice, struct draft *draft)
{
    size_t length = voice->limits->line_bytes_max + (size_t)1;

    assert(length < sizeof(draft->bytes));
    memset(draft->bytes, 'x', length);
    draft->length = length;
}

void text_say(const struct voice *voice, const struct op *op,
              struct draft *draft)
{
    switch (op->say) {
    case SAY_BEAT:
        break;
    case SAY_MESSAGE:
        put_message(op, draft);
        break;
    case SAY_BAD_TEXT:
        put_literal(draft, "x\x1bx");
        break;
    case SAY_LONG_LINE:
        put_long_line(voice, draft);
        break;
    default:
        put_command(op, draft);
    }
    put_literal(draft, op->number % 4 == 0 ? "\r\n" : "\n");
}

/* ---- Parts of lines ----------------------------------------------------- */

static bool take(struct slice *rest, const char *literal)
{
    size_t length = strlen(literal);

    if (rest->length < length || memcmp(rest->bytes, literal, length) != 0)
        return false;
    rest->bytes += length;
    rest->length -= length;
    return true;
}

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9');
}

/* Letters, digits and what else `others` says; at least one. */
static bool take_name(struct slice *rest, const char *others,
                      struct slice *name)
{
    size_t length = 0;

    while (length < rest->length &&
           (is_alphanumeric(rest->bytes[length]) ||
            (rest->bytes[length] && strchr(others, rest->bytes[length]))))
        length++;
    *name = (struct slice){rest->bytes, length};
    rest->bytes += length;
    rest->length -= length;
    return length > 0;
}

static bool take_room(struct slice *rest, struct slice *room)
{
    return take_name(rest, "_.-", room) && room->length <= 32;
}

static bool take_nick(struct slice *rest, struct slice *nick)
{
    return take_name(rest, "_-", nick) && nick->length <= 24 &&
           nick->bytes[0] != '-' &&
           !(nick->bytes[0] >= '0' && nick->bytes[0] <= '9');
}

static bool take_digits(struct slice *rest, uint64_t *number)
{
    struct slice digits = {rest->bytes, 0};

    while (digits.length < rest->length && rest->bytes[digits.length] >= '0' &&
           rest->bytes[digits.length] <= '9')
        digits.length++;
    rest->bytes += digits.length;
    rest->length -= digits.length;
    return decimal_read(digits, number);
}

/* ---- Hearing ------------------------------------------------------------ */

static bool read_welcome(struct slice rest, struct heard *heard)
{
    heard->kind = HEARD_WELCOME;
    return take(&rest, "* welcome to ringchat, you are ") &&
           take_nick(&rest, &heard->nick) && take(&rest, ", in ") &&
           take_room(&rest, &heard->room) &&
           take(&rest, "; /help lists commands") && rest.length == 0;
}

static bool read_said(struct slice rest, enum heard_kind kind,
                      struct heard *heard)
{
    heard->kind = kind;
    if (!take_nick(&rest, &heard->nick) || !take(&rest, ": "))
        return false;
    heard->text = rest;
    return true;
}

static bool read_lagged(struct slice rest, struct heard *heard)
{
    heard->kind = HEARD_LAGGED;
    return take_digits(&rest, &heard->number) &&
           take(&rest, " messages missed") && rest.length == 0;
}

static bool read_event(struct slice rest, struct heard *heard)
{
    if (take(&rest, "lagged: "))
        return read_lagged(rest, heard);
    if (!take_nick(&rest, &heard->nick))
        return false;
    if (slice_equals(rest, SLICE(" joined"))) {
        heard->kind = HEARD_JOINED;
        return true;
    }
    if (slice_equals(rest, SLICE(" left"))) {
        heard->kind = HEARD_LEFT;
        return true;
    }
    if (take(&rest, " is now ")) {
        heard->kind = HEARD_NICK;
        return take_nick(&rest, &heard->text) && rest.length == 0;
    }
    heard->kind = HEARD_TOPIC;
    if (!take(&rest, " set the topic: "))
        return false;
    heard->text = rest;
    return true;
}

static bool read_room(struct slice rest, struct heard *heard)
{
    if (!take_room(&rest, &heard->room) || !take(&rest, "] "))
        return false;
    return take(&rest, "* ") ? read_event(rest, heard)
                             : read_said(rest, HEARD_MESSAGE, heard);
}

static bool read_error(struct slice rest, struct heard *heard)
{
    const char *space = memchr(rest.bytes, ' ', rest.length);
    struct slice name = {rest.bytes, rest.length};

    if (space)
        name.length = (size_t)(space - rest.bytes);
    heard->kind = HEARD_ERROR;
    heard->code = error_named(name);
    heard->text = rest;
    return heard->code != ERROR_NONE;
}

static bool read_reply(struct slice rest, struct heard *heard)
{
    heard->kind = HEARD_REPLY;
    heard->text = rest;
    return true;
}

static bool read_line(const struct voice *voice, struct slice line,
                      struct heard *heard)
{
    struct slice rest = line;

    if (!voice->welcomed && read_welcome(line, heard))
        return true;
    if (take(&rest, "["))
        return read_room(rest, heard);
    if (take(&rest, "(private) "))
        return read_said(rest, HEARD_PRIVATE, heard);
    if (take(&rest, "* "))
        return read_reply(rest, heard);
    return take(&rest, "! ") && read_error(rest, heard);
}

size_t text_hear(struct voice *voice, struct slice bytes, struct heard *heard)
{
    const char *end = memchr(bytes.bytes, '\n', bytes.length);
    struct slice line;

    if (!end) {
        if (bytes.length > SPEECH_BYTES_MAX)
            promise_broken("text form", "a line of over %zu bytes",
                           bytes.length);
        return 0;
    }
    line = (struct slice){bytes.bytes, (size_t)(end - bytes.bytes)};
    check_clean(line);
    if (!read_line(voice, line, heard))
        *heard = (struct heard){.kind = HEARD_RAW, .text = line};
    return line.length + 1;
}

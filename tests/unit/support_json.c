/*
 * A tokenizer, and what may follow each token. Nothing here is shared with
 * common/wire/json.c or with jansson.
 */
#include "tests/unit/support_json.h"

#include "common/wire/json.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define KEYS_MAX 64

enum due {
    DUE_OBJECT,
    DUE_VALUE,
    DUE_VALUE_OR_END,
    DUE_KEY,
    DUE_KEY_OR_END,
    DUE_COLON,
    DUE_COMMA_OR_END,
    DUE_NOTHING,
};

/* Levels are open objects and arrays; each has a number of its own. */
struct reader {
    const char *at, *end;
    enum due due;
    unsigned depth, opened;
    struct {
        char kind;
        unsigned number;
    } level[JSON_DEPTH_MAX + 1];
    struct {
        unsigned level;
        struct slice name;
    } keys[KEYS_MAX];
    unsigned key_count;
    struct slice n; /* the value of "n" at the top */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digits_length(struct slice text)
{
    size_t length = 0;

    while (length < text.length && is_digit(text.bytes[length]))
        length++;
    return length;
}

static struct slice slice_from(struct slice slice, size_t at)
{
    return (struct slice){slice.bytes + at, slice.length - at};
}

/* Of which NUL is none. */
static bool is_one_of(char c, const char *bytes)
{
    return c && strchr(bytes, c);
}

static bool begins_with(struct slice text, const char *bytes)
{
    return text.length > 0 && is_one_of(text.bytes[0], bytes);
}

/* RFC 8259, section 6: [ minus ] int [ frac ] [ exp ], and nothing else. */
static bool is_number(struct slice text)
{
    size_t digits;

    if (begins_with(text, "-"))
        text = slice_from(text, 1);
    digits = digits_length(text);
    if (digits == 0 || (digits > 1 && text.bytes[0] == '0'))
        return false;
    text = slice_from(text, digits);
    if (begins_with(text, ".")) {
        digits = digits_length(slice_from(text, 1));
        if (digits == 0)
            return false;
        text = slice_from(text, 1 + digits);
    }
    if (begins_with(text, "eE")) {
        text = slice_from(text, 1);
        if (begins_with(text, "+-"))
            text = slice_from(text, 1);
        digits = digits_length(text);
        return digits > 0 && digits == text.length;
    }
    return text.length == 0;
}

/* A string, a punctuation mark, or a run of anything else. */
static struct slice next_token(struct reader *reader)
{
    const char *start;

    while (reader->at < reader->end && is_one_of(*reader->at, " \t\r\n"))
        reader->at++;
    start = reader->at;
    if (start == reader->end)
        return (struct slice){start, 0};
    reader->at++;
    if (*start == '"') {
        while (reader->at < reader->end && *reader->at != '"')
            reader->at++;
        reader->at += reader->at < reader->end;
    } else if (!is_one_of(*start, "{}[]:,")) {
        while (reader->at < reader->end &&
               !is_one_of(*reader->at, "{}[]:,\" \t\r\n"))
            reader->at++;
    }
    return (struct slice){start, (size_t)(reader->at - start)};
}

static bool is_string(struct slice token)
{
    if (token.length < 2 || token.bytes[0] != '"' ||
        token.bytes[token.length - 1] != '"')
        return false;
    for (size_t i = 0; i < token.length; i++) {
        if ((unsigned char)token.bytes[i] < 0x20)
            return false;
    }
    return true;
}

static bool read_open(struct reader *reader, char kind)
{
    if (reader->depth == JSON_DEPTH_MAX)
        return false;
    reader->depth++;
    reader->level[reader->depth].kind = kind;
    reader->level[reader->depth].number = ++reader->opened;
    reader->due = kind == '{' ? DUE_KEY_OR_END : DUE_VALUE_OR_END;
    return true;
}

static bool read_close(struct reader *reader, char kind)
{
    if (reader->level[reader->depth].kind != kind)
        return false;
    reader->depth--;
    reader->due = reader->depth ? DUE_COMMA_OR_END : DUE_NOTHING;
    return true;
}

static bool read_key(struct reader *reader, struct slice token)
{
    unsigned level = reader->level[reader->depth].number;

    if (!is_string(token))
        return false;
    for (unsigned i = 0; i < reader->key_count; i++) {
        if (reader->keys[i].level == level &&
            slice_equals(reader->keys[i].name, token))
            return false;
    }
    assert(reader->key_count < KEYS_MAX);
    reader->keys[reader->key_count].level = level;
    reader->keys[reader->key_count++].name = token;
    reader->due = DUE_COLON;
    return true;
}

static bool read_value(struct reader *reader, struct slice token)
{
    if (reader->key_count > 0 && reader->depth == 1 &&
        slice_equals(reader->keys[reader->key_count - 1].name, SLICE("\"n\"")))
        reader->n = token;
    if (begins_with(token, "[{"))
        return read_open(reader, token.bytes[0]);
    reader->due = DUE_COMMA_OR_END;
    return is_string(token) || is_number(token) ||
           slice_equals(token, SLICE("true")) ||
           slice_equals(token, SLICE("false")) ||
           slice_equals(token, SLICE("null"));
}

static bool read_token(struct reader *reader, struct slice token)
{
    bool in_object = reader->level[reader->depth].kind == '{';

    switch (reader->due) {
    case DUE_OBJECT:
        return begins_with(token, "{") && read_open(reader, '{');
    case DUE_VALUE_OR_END:
        if (begins_with(token, "]"))
            return read_close(reader, '[');
        return read_value(reader, token);
    case DUE_VALUE:
        return read_value(reader, token);
    case DUE_KEY_OR_END:
        if (begins_with(token, "}"))
            return read_close(reader, '{');
        return read_key(reader, token);
    case DUE_KEY:
        return read_key(reader, token);
    case DUE_COLON:
        reader->due = DUE_VALUE;
        return begins_with(token, ":");
    case DUE_COMMA_OR_END:
        if (begins_with(token, "}]"))
            return read_close(reader, token.bytes[0] == '}' ? '{' : '[');
        reader->due = in_object ? DUE_KEY : DUE_VALUE;
        return begins_with(token, ",");
    case DUE_NOTHING:
        break;
    }
    return false;
}

bool read_headers(struct slice json, struct slice *n)
{
    struct reader reader = {.at = json.bytes, .end = json.bytes + json.length};
    struct slice token;

    do {
        token = next_token(&reader);
        *n = reader.n;
        if (token.length == 0)
            return reader.due == DUE_NOTHING;
    } while (read_token(&reader, token));
    return false;
}

enum field read_integer(struct slice json, uint64_t *value)
{
    size_t sign = begins_with(json, "-");
    uint64_t number = 0;

    if (json.length == 0)
        return FIELD_ABSENT;
    if (!is_number(json) || json.length > 18 + sign)
        return FIELD_WRONG;
    for (size_t i = sign; i < json.length; i++) {
        if (!is_digit(json.bytes[i]))
            return FIELD_WRONG;
        number = 10 * number + (uint64_t)(json.bytes[i] - '0');
    }
    if (number > HEADER_NUMBER_MAX || (sign && number > 0))
        return FIELD_WRONG;
    *value = number;
    return FIELD_THERE;
}

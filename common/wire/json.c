/*
 * Entry by entry: what is open is kept as levels. The members of the objects
 * that are open stand one after the other in one table; when an object ends,
 * its own are sorted, so that equal names are neighbours, and, but for the
 * outermost object's, are dropped.
 */
#include "common/wire/json.h"

#include "common/base/digits.h"
#include "common/base/utf8.h"

#include <assert.h>

struct level {
    char end;       /* the bracket that closes it */
    unsigned first; /* of its members */
};

struct reader {
    struct json *json;
    char *at, *end;
    unsigned members; /* of all objects that are open */
    bool entry_due;   /* and not what comes behind one */
    unsigned depth;
    struct level levels[JSON_DEPTH_MAX];
};

/* The next byte; 0 at the end, which is in no JSON anywhere. */
static char peek(const struct reader *reader)
{
    return reader->at < reader->end ? *reader->at : '\0';
}

static bool take(struct reader *reader, char expected)
{
    if (reader->at == reader->end || *reader->at != expected)
        return false;
    reader->at++;
    return true;
}

static bool take_word(struct reader *reader, struct slice word)
{
    if ((size_t)(reader->end - reader->at) < word.length ||
        memcmp(reader->at, word.bytes, word.length) != 0)
        return false;
    reader->at += word.length;
    return true;
}

static void skip_space(struct reader *reader)
{
    while (peek(reader) == ' ' || peek(reader) == '\t' ||
           peek(reader) == '\n' || peek(reader) == '\r')
        reader->at++;
}

/* ---- Strings ------------------------------------------------------------ */

static bool take_hex(struct reader *reader, uint32_t *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        unsigned digit = hex_value(peek(reader));

        if (digit > 15)
            return false;
        *unit = *unit << 4 | digit;
        reader->at++;
    }
    return true;
}

static bool is_high_surrogate(uint32_t unit)
{
    return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low_surrogate(uint32_t unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}

/* What follows `\u`; of a character beyond U+FFFF, both halves. */
static bool take_unicode(struct reader *reader, uint32_t *character)
{
    uint32_t low;

    if (!take_hex(reader, character) || is_low_surrogate(*character))
        return false;
    if (!is_high_surrogate(*character))
        return true;
    if (!take_word(reader, SLICE("\\u")) || !take_hex(reader, &low) ||
        !is_low_surrogate(low))
        return false;
    *character = 0x10000 + ((*character - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

/* In UTF-8, which is shorter than the escape. */
static void put_character(char **out, uint32_t character)
{
    unsigned shift = 0; /* of the bits that follow the first byte */
    uint32_t mark = 0;

    if (character >= 0x10000) {
        shift = 18;
        mark = 0xf0;
    } else if (character >= 0x800) {
        shift = 12;
        mark = 0xe0;
    } else if (character >= 0x80) {
        shift = 6;
        mark = 0xc0;
    }
    *(*out)++ = (char)(mark | character >> shift);
    while (shift > 0) {
        shift -= 6;
        *(*out)++ = (char)(0x80 | (character >> shift & 0x3f));
    }
}

static bool take_escape(struct reader *reader, char **out)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meant[] = "\"\\/\b\f\n\r\t";
    char letter = peek(reader);
    const char *found = letter ? strchr(letters, letter) : NULL;
    uint32_t character;

    if (found) {
        *(*out)++ = meant[found - letters];
        reader->at++;
        return true;
    }
    if (!take(reader, 'u') || !take_unicode(reader, &character))
        return false;
    put_character(out, character);
    return true;
}

static bool take_character(struct reader *reader, char **out)
{
    size_t length;

    if (take(reader, '\\'))
        return take_escape(reader, out);
    if ((unsigned char)*reader->at < ' ')
        return false;
    length = utf8_length((unsigned char *)reader->at,
                         (size_t)(reader->end - reader->at));
    for (size_t i = 0; i < length; i++)
        *(*out)++ = *reader->at++;
    return length > 0;
}

static bool read_string(struct reader *reader, struct slice *string)
{
    char *out;

    if (!take(reader, '"'))
        return false;
    string->bytes = out = reader->at;
    while (reader->at < reader->end && *reader->at != '"') {
        if (!take_character(reader, &out))
            return false;
    }
    string->length = (size_t)(out - string->bytes);
    return take(reader, '"');
}

/* ---- Numbers ------------------------------------------------------------ */

static bool take_digits(struct reader *reader)
{
    const char *start = reader->at;

    while (is_digit(peek(reader)))
        reader->at++;
    return reader->at > start;
}

static bool take_fraction(struct reader *reader)
{
    return !take(reader, '.') || take_digits(reader);
}

static bool take_exponent(struct reader *reader)
{
    if (!take(reader, 'e') && !take(reader, 'E'))
        return true;
    if (!take(reader, '+'))
        take(reader, '-');
    return take_digits(reader);
}

/* By the grammar of RFC 8259, section 6. */
static bool read_number(struct reader *reader, struct member *value)
{
    const char *start = reader->at, *digits, *whole;

    take(reader, '-');
    digits = reader->at;
    if (!take(reader, '0') && !take_digits(reader))
        return false;
    whole = reader->at;
    if (!take_fraction(reader) || !take_exponent(reader))
        return false;
    if (reader->at > whole || whole - start > JSON_INTEGER_BYTES_MAX)
        return true;
    value->number = 0;
    for (const char *at = digits; at < whole; at++)
        value->number = value->number * 10 + (uint64_t)(*at - '0');
    if (digits == start || value->number == 0)
        value->kind = MEMBER_INTEGER;
    return true;
}

/* ---- Names -------------------------------------------------------------- */

static int compare_names(const struct member *a, const struct member *b)
{
    if (a->name.length != b->name.length)
        return a->name.length < b->name.length ? -1 : 1;
    return memcmp(a->name.bytes, b->name.bytes, a->name.length);
}

/* Shell's sort, with the gaps that Ciura found. */
static void sort_names(struct member *members, unsigned count)
{
    static const unsigned gaps[] = {301, 132, 57, 23, 10, 4, 1};

    for (size_t g = 0; g < sizeof(gaps) / sizeof(gaps[0]); g++) {
        for (unsigned i = gaps[g]; i < count; i++) {
            struct member member = members[i];
            unsigned at = i;

            while (at >= gaps[g] &&
                   compare_names(&member, &members[at - gaps[g]]) < 0) {
                members[at] = members[at - gaps[g]];
                at -= gaps[g];
            }
            members[at] = member;
        }
    }
}

static bool names_differ(struct member *members, unsigned count)
{
    sort_names(members, count);
    for (unsigned i = 1; i < count; i++) {
        if (compare_names(&members[i - 1], &members[i]) == 0)
            return false;
    }
    return true;
}

/* ---- Objects and arrays ------------------------------------------------- */

/* At its bracket. */
static bool open_level(struct reader *reader, char end)
{
    if (reader->depth == JSON_DEPTH_MAX)
        return false;
    reader->levels[reader->depth++] =
        (struct level){.end = end, .first = reader->members};
    reader->at++;
    skip_space(reader);
    reader->entry_due = peek(reader) != end;
    return true;
}

static bool close_level(struct reader *reader)
{
    const struct level *level = &reader->levels[reader->depth - 1];
    unsigned first = level->first;

    if (!take(reader, level->end) ||
        !names_differ(&reader->json->members[first], reader->members - first))
        return false;
    reader->depth--;
    if (reader->depth > 0)
        reader->members = first;
    return true;
}

/* Of an object or an array, that it begins. */
static bool read_value(struct reader *reader, struct member *value)
{
    value->kind = MEMBER_OTHER;
    switch (peek(reader)) {
    case '{':
        return open_level(reader, '}');
    case '[':
        return open_level(reader, ']');
    case '"':
        value->kind = MEMBER_STRING;
        return read_string(reader, &value->string);
    case 't':
        value->kind = MEMBER_BOOLEAN;
        value->number = 1;
        return take_word(reader, SLICE("true"));
    case 'f':
        value->kind = MEMBER_BOOLEAN;
        value->number = 0;
        return take_word(reader, SLICE("false"));
    case 'n':
        return take_word(reader, SLICE("null"));
    default:
        return read_number(reader, value);
    }
}

/* A member's value comes after its place is taken: what is in the value stands
 * behind it. */
static bool read_member(struct reader *reader)
{
    struct member *member = &reader->json->members[reader->members];

    if (reader->members == JSON_MEMBERS_MAX ||
        !read_string(reader, &member->name) ||
        memchr(member->name.bytes, '\0', member->name.length))
        return false;
    reader->members++;
    skip_space(reader);
    if (!take(reader, ':'))
        return false;
    skip_space(reader);
    return read_value(reader, member);
}

static bool read_entry(struct reader *reader)
{
    struct member value;

    reader->entry_due = false;
    return reader->levels[reader->depth - 1].end == '}'
               ? read_member(reader)
               : read_value(reader, &value);
}

/* Behind an entry, or where a level has none. */
static bool read_end(struct reader *reader)
{
    skip_space(reader);
    if (!take(reader, ','))
        return close_level(reader);
    skip_space(reader);
    reader->entry_due = true;
    return true;
}

static bool read_levels(struct reader *reader)
{
    bool good = true;

    while (good && reader->depth > 0)
        good = reader->entry_due ? read_entry(reader) : read_end(reader);
    return good;
}

bool json_read(struct json *json, char *text, size_t length)
{
    struct reader reader = {.json = json};

    assert(length <= HEADERS_BYTES_MAX);
    json->count = 0;
    reader.at = text;
    reader.end = text + length;
    skip_space(&reader);
    if (peek(&reader) != '{' || !open_level(&reader, '}') ||
        !read_levels(&reader))
        return false;
    skip_space(&reader);
    if (reader.at < reader.end)
        return false;
    json->count = reader.members;
    return true;
}

const struct member *json_find(const struct json *json, struct slice name)
{
    for (unsigned i = 0; i < json->count; i++) {
        if (slice_equals(json->members[i].name, name))
            return &json->members[i];
    }
    return NULL;
}

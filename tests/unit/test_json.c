/*
 * JSON of any form: what jansson makes of it, held to the levels of
 * docs/protocol.md. What headers are, text by text, is in test_headers.c.
 */
#include "common/wire/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/support_random.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static struct json json;

/* A copy, which the bytes that may be read and written end with; the members
 * refer to it. */
static char *copy_of(struct slice text)
{
    char *copy;

    assert(text.length <= HEADERS_BYTES_MAX);
    copy = malloc(1 + text.length);
    assert_non_null(copy);
    memcpy(copy + 1, text.bytes, text.length);
    return copy;
}

static bool reads(struct slice text)
{
    char *copy = copy_of(text);
    bool read = json_read(&json, copy + 1, text.length);

    free(copy);
    return read;
}

/* ---- What jansson says -------------------------------------------------- */

/* How deep a text goes that jansson takes. */
static unsigned levels_of(struct slice text)
{
    unsigned depth = 0, most = 0;
    bool quoted = false;

    for (size_t i = 0; i < text.length; i++) {
        char c = text.bytes[i];

        if (c == '"')
            quoted = !quoted;
        else if (quoted)
            i += c == '\\';
        else if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']')
            depth--;
        if (depth > most)
            most = depth;
    }
    return most;
}

/* One of as many digits as a header may have. */
static bool is_integer(const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) >= 0 &&
           json_integer_value(value) < 1000000000000000000;
}

static void check_member(const struct member *member, const json_t *value)
{
    if (json_is_string(value)) {
        struct slice string = {json_string_value(value),
                               json_string_length(value)};

        assert_int_equal(member->kind, MEMBER_STRING);
        assert_true(slice_equals(member->string, string));
    } else if (json_is_boolean(value)) {
        assert_int_equal(member->kind, MEMBER_BOOLEAN);
        assert_int_equal(member->number, json_is_true(value));
    } else if (is_integer(value)) {
        assert_int_equal(member->kind, MEMBER_INTEGER);
        assert_true(member->number == (uint64_t)json_integer_value(value));
    } else {
        assert_int_equal(member->kind, MEMBER_OTHER);
    }
}

static void check_members(json_t *object)
{
    const char *name;
    json_t *value;

    assert_int_equal(json.count, json_object_size(object));
    json_object_foreach(object, name, value)
    {
        const struct member *member = json_find(&json, slice_of(name));

        assert_non_null(member);
        check_member(member, value);
    }
}

/* Whether it is an object to both. jansson gives up at a number that is too
 * large for it: then it has not seen the rest. It overlooks a NUL. */
static bool check_against_jansson(struct slice text)
{
    char *copy = copy_of(text);
    bool read = json_read(&json, copy + 1, text.length);
    json_error_t error;
    json_t *root = json_loadb(text.bytes, text.length,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    bool expected = json_is_object(root) && levels_of(text) <= JSON_DEPTH_MAX &&
                    !memchr(text.bytes, '\0', text.length);
    bool unknown =
        !root && json_error_code(&error) == json_error_numeric_overflow;

    if (read != expected && !unknown)
        fail_msg("%s: %.*s", expected ? "not read" : "read", (int)text.length,
                 text.bytes);
    if (read && expected)
        check_members(root);
    if (!read)
        assert_int_equal(json.count, 0);
    json_decref(root);
    free(copy);
    return read;
}

/* ---- At random ---------------------------------------------------------- */

struct text {
    size_t length;
    char bytes[HEADERS_BYTES_MAX];
};

static struct slice text_slice(const struct text *text)
{
    return (struct slice){text->bytes, text->length};
}

static void add(struct text *text, const char *string)
{
    size_t length = strlen(string);

    assert_true(length <= sizeof(text->bytes) - text->length);
    memcpy(text->bytes + text->length, string, length);
    text->length += length;
}

/* Good ones, with the one or other that is none. */
static void add_scalar(struct text *text, struct rng *rng)
{
    static const char *const scalars[] = {
        "0",
        "-0",
        "-1",
        "1.5",
        "0.0",
        "1e5",
        "1E+2",
        "123456789012345678",
        "1234567890123456789",
        "-123456789012345678",
        "123456789012345678901234567890",
        "1e999",
        "-1e-999",
        "true",
        "false",
        "null",
        "\"\"",
        "\"nick\"",
        "\"x\\u0041\"",
        "\"\\u00e9\"",
        "\"\\u20ac\"",
        "\"\\ud83d\\ude00\"",
        "\"\\u0000\"",
        "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f\"",
        "\"\\n\\t\\/\\b\\f\\r\\\"\\\\\"",
    };
    static const char *const malformed[] = {
        "01",
        "-",
        "1.",
        ".5",
        "+1",
        "1e",
        "nul",
        "True",
        "\"\\ud83d\"",
        "\"\\udc00\"",
        "\"\\x\"",
        "\"\\ud83d\\u0041\"",
        "\"\xc3\"",
        "\"\xed\xa0\x80\"",
        "\"\x01\"",
        "\"\\u00",
        "\"\xf4\x90\x80\x80\"",
        "\"\xc0\xaf\"",
        "\"\\u12g4\"",
        "",
    };

    if (rng_below(rng, 60) == 0)
        add(text, malformed[rng_below(rng, ARRAY_LENGTH(malformed))]);
    else
        add(text, scalars[rng_below(rng, ARRAY_LENGTH(scalars))]);
}

static void add_name(struct text *text, struct rng *rng)
{
    static const char *const names[] = {"a",        "\\u0061",  "b",
                                        "a\\u0062", "\xc3\xa9", "\\u00e9"};
    const char digits[] = {(char)('0' + rng_below(rng, 10)),
                           (char)('0' + rng_below(rng, 10)), '\0'};

    add(text, "\"");
    add(text, names[rng_below(rng, ARRAY_LENGTH(names))]);
    add(text, digits);
    add(text, "\":");
}

/* A text in the making: the brackets that are due, and whether the innermost
 * level has an entry. */
struct maker {
    struct rng *rng;
    struct text *text;
    size_t depth;
    char due[JSON_DEPTH_MAX + 2];
    bool has_entry;
};

static void open_level(struct maker *maker)
{
    bool object = maker->depth == 0 || rng_below(maker->rng, 2) > 0;

    add(maker->text, object ? "{" : "[");
    maker->due[maker->depth++] = object ? '}' : ']';
    maker->has_entry = false;
}

static void close_level(struct maker *maker)
{
    const char bracket[] = {maker->due[--maker->depth], '\0'};

    add(maker->text, bracket);
    maker->has_entry = true;
}

static void make_entry(struct maker *maker)
{
    if (maker->has_entry)
        add(maker->text, rng_below(maker->rng, 5) > 0 ? "," : " ,\r\n\t");
    if (maker->due[maker->depth - 1] == '}')
        add_name(maker->text, maker->rng);
    if (maker->depth < sizeof(maker->due) && rng_below(maker->rng, 6) == 0) {
        open_level(maker);
    } else {
        add_scalar(maker->text, maker->rng);
        maker->has_entry = true;
    }
}

static void make_text(struct rng *rng, struct text *text)
{
    struct maker maker = {.rng = rng, .text = text};
    size_t steps = rng_magnitude(rng, 60);

    text->length = 0;
    open_level(&maker);
    while (steps-- > 0) {
        if (maker.depth > 1 && rng_below(rng, 4) == 0)
            close_level(&maker);
        else
            make_entry(&maker);
    }
    while (maker.depth > 0)
        close_level(&maker);
}

/* One byte becomes another one, goes, or comes. */
static void change(struct rng *rng, struct text *text)
{
    static const char bytes[] = "{}[],:\"\\0e-.u \n\x01\x80x1";
    size_t at = rng_below(rng, text->length);
    char *byte = text->bytes + at;

    switch (rng_below(rng, 3)) {
    case 0:
        *byte = bytes[rng_below(rng, sizeof(bytes))]; /* NUL, too */
        break;
    case 1:
        memmove(byte, byte + 1, --text->length - at);
        break;
    default:
        memmove(byte + 1, byte, text->length++ - at);
        *byte = bytes[rng_below(rng, sizeof(bytes))];
        break;
    }
}

static void test_random_texts(void **state)
{
    static struct text text;
    struct rng rng = {1};
    size_t read = 0;

    (void)state;
    for (int i = 0; i < 300000; i++) {
        make_text(&rng, &text);
        if (rng_below(&rng, 3) == 0)
            change(&rng, &text);
        read += check_against_jansson(text_slice(&text));
    }
    /* Both happened, often. */
    assert_in_range(read, 60000, 240000);
}

/* ---- The longest -------------------------------------------------------- */

/* As many of `piece` as fit between the two, `%` being another name each time.
 * Returns how many. */
static unsigned fill(struct text *text, const char *before, const char *piece,
                     const char *after)
{
    unsigned count = 0;
    char entry[32];
    int length;

    text->length = 0;
    add(text, before);
    for (;;) {
        length = *piece == '%' ? snprintf(entry, sizeof(entry), ",\"%X\":%s",
                                          count, piece + 1)
                               : snprintf(entry, sizeof(entry), ",%s", piece);
        if (text->length + (size_t)length + strlen(after) > sizeof(text->bytes))
            break;
        add(text, entry + (count == 0));
        count++;
    }
    add(text, after);
    return count;
}

static void test_longest_texts(void **state)
{
    static const struct {
        const char *before, *piece, *after;
    } kinds[] = {
        {"{\"\":[", "{}", "]}"},
        {"{\"\":[", "[]", "]}"},
        {"{\"\":[", "0", "]}"},
        {"{\"\":[", "\"\"", "]}"},
        {"{\"\":[", "[{}]", "]}"},
        {"{\"\":[", "{\"\":{}}", "]}"},
        {"{\"\":[[[", "0", "]]]}"},
        {"{", "%0", "}"},
        {"{", "%{}", "}"},
        {"{", "%[[[]]]", "}"},
        {"{\"\":{\"\":{\"\":{", "%0", "}}}}"},
        {"{", "%{\"\":{\"\":{}}}", "}"},
    };
    static struct text text;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        fill(&text, kinds[i].before, kinds[i].piece, kinds[i].after);
        assert_true(check_against_jansson(text_slice(&text)));
        text.length -= strlen(kinds[i].after);
        assert_false(check_against_jansson(text_slice(&text)));
    }
}

/* ---- Names -------------------------------------------------------------- */

/* Wherever the two stand among many. */
static void test_a_name_twice_among_many(void **state)
{
    static struct text text;
    unsigned count = fill(&text, "{", "%0", "}");
    struct rng rng = {1};

    (void)state;
    assert_in_range(count, 400, JSON_MEMBERS_MAX);
    for (int i = 0; i < 3000; i++) {
        size_t from = 0x100 + rng_below(&rng, count - 0x100), to = from;
        char name[8], *at;

        while (to == from)
            to = 0x100 + rng_below(&rng, count - 0x100);
        fill(&text, "{", "%0", "}");
        snprintf(name, sizeof(name), "\"%zX\"", to);
        at = memmem(text.bytes, text.length, name, strlen(name));
        assert_non_null(at);
        snprintf(name, sizeof(name), "\"%zX\"", from);
        memcpy(at, name, strlen(name));
        assert_false(reads(text_slice(&text)));
    }
}

/* `{"":{"":{"":{`: levels that are open take less than a member that ends. */
static void test_more_names_than_there_may_be(void **state)
{
    static struct text text;

    (void)state;
    add(&text, "{\"\":{\"\":{\"\":{");
    while (text.length + 5 <= sizeof(text.bytes))
        add(&text, "\"\":0,");
    while (text.length < sizeof(text.bytes))
        add(&text, "\"");
    assert_false(reads(text_slice(&text)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_texts),
        cmocka_unit_test(test_longest_texts),
        cmocka_unit_test(test_a_name_twice_among_many),
        cmocka_unit_test(test_more_names_than_there_may_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

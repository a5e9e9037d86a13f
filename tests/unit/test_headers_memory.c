/*
 * The memory of JSON headers: a parse allocates none, and takes no more of its
 * own than common/wire/headers.c says that any text can, which is far less than
 * there is. The texts are those that cost the most: of every kind, and then
 * mixed at random.
 */
#include "common/wire/headers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/limits.h"
#include "tests/unit/support_alloc.h"
#include "tests/unit/support_headers.h"
#include "tests/unit/support_random.h"

#include <stdio.h>
#include <string.h>

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* jansson takes at most so many bytes for each of the text; and for what a
 * malformed one leaves open, and to begin with, no more than that. */
#define COST_MAX 80
#define COST_OPEN_MAX 1024

_Static_assert(HEADERS_MEMORY_BYTES / 4 * 3 >=
                   COST_MAX * HEADERS_BYTES_MAX + COST_OPEN_MAX,
               "a quarter is left");

/* What it takes, which is not over the bound. */
static size_t cost(struct slice json, bool parsed)
{
    unsigned long before = alloc_count();

    if (headers_parse_by_jansson(headers, json) != parsed)
        fail_msg("%s: %.*s", parsed ? "not parsed" : "parsed", (int)json.length,
                 json.bytes);
    assert_int_equal(alloc_count(), before);
    assert_in_range(headers_bytes(headers), 1,
                    COST_MAX * json.length + COST_OPEN_MAX);
    return headers_bytes(headers);
}

/* ---- Texts -------------------------------------------------------------- */

/* A text, as long as it may be, with room for what closes it. */
struct text {
    size_t length;
    char bytes[HEADERS_BYTES_MAX];
};

static bool fits(const struct text *text, size_t length, size_t closing)
{
    return length + closing <= sizeof(text->bytes) - text->length;
}

static void add(struct text *text, const char *string)
{
    size_t length = strlen(string);

    assert_true(fits(text, length, 0));
    memcpy(text->bytes + text->length, string, length);
    text->length += length;
}

static struct slice text_slice(const struct text *text)
{
    return (struct slice){text->bytes, text->length};
}

/* The nth of the shortest keys that differ, with its colon: "", "!", ... */
static void add_key(struct text *text, unsigned n)
{
    static const char digits[] = "!#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMN"
                                 "OPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz";
    char key[8];
    size_t at = sizeof(key);

    at -= sizeof("\":");
    memcpy(key + at, "\":", sizeof("\":"));
    for (; n > 0; n = (n - 1) / (sizeof(digits) - 1))
        key[--at] = digits[(n - 1) % (sizeof(digits) - 1)];
    key[--at] = '"';
    add(text, key + at);
}

#define KEY_BYTES 6

/* Of what kind it is: as many as fit of `piece`, `%` being another key each
 * time. */
static void fill(struct text *text, const char *before, const char *piece,
                 const char *after)
{
    size_t length = strlen(piece) + KEY_BYTES;
    unsigned keys = 0;

    text->length = 0;
    add(text, before);
    while (fits(text, length, strlen(after))) {
        if (*piece == '%')
            add_key(text, keys++);
        add(text, piece + (*piece == '%'));
        add(text, ",");
    }
    text->length--;
    add(text, after);
}

/* ---- Tests -------------------------------------------------------------- */

static void test_no_allocation(void **state)
{
    /* A string of 14 bytes: of jansson's first block for it, one is missing
     * for the quote. Once that block could not grow, and jansson wrote on. */
    static const char *const texts[] = {
        "{\"a\":\"bbbbbbbbbbbbbb\",\"c\":1}",
        "{\"a\":\"b\",\"c\":[1,2.5,{\"d\":true}]}",
    };

    (void)state;
    alloc_fail_at(1);
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        cost(slice_of(texts[i]), true);
    assert_false(
        headers_parse_by_jansson(headers, SLICE("{\"a\":\"bbbbbbbbbbbbbb")));
    assert_true(headers_parse(headers, slice_of(texts[0])));
    assert_null(headers_create());
    alloc_fail_at(0);
}

/* A parse begins with all of it. */
static void test_memory_is_not_used_up(void **state)
{
    struct slice json = SLICE("{\"a\":\"b\",\"c\":[1,2.5,{\"d\":true}]}");
    struct slice value;
    size_t once;

    (void)state;
    once = cost(json, true);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(cost(json, true), once);
    assert_int_equal(headers_string(headers, "a", &value), FIELD_THERE);
    assert_true(slice_equals(value, SLICE("b")));
}

static const struct kind {
    const char *before, *piece, *after;
} kinds[] = {
    {"{\"\":[", "{}", "]}"},
    {"{\"\":[", "[]", "]}"},
    {"{\"\":[", "0", "]}"},
    {"{\"\":[", "0.0", "]}"},
    {"{\"\":[", "true", "]}"},
    {"{\"\":[", "\"\"", "]}"},
    {"{\"\":[", "\"123456789012\"", "]}"},
    {"{\"\":[", "\"1234567890123\"", "]}"},
    {"{\"\":[", "\"\\u0000\"", "]}"},
    {"{\"\":[", "[{}]", "]}"},
    {"{\"\":[", "[[]]", "]}"},
    {"{\"\":[", "[{},{},{},{},{},{},{},{},{}]", "]}"},
    {"{\"\":[", "{\"\":{}}", "]}"},
    {"{\"\":[", "{\"\":0}", "]}"},
    {"{\"\":[[", "{}", "]]}"},
    {"{\"\":[[[", "0", "]]]}"},
    {"{", "%0", "}"},
    {"{", "%{}", "}"},
    {"{", "%[]", "}"},
    {"{", "%\"\"", "}"},
    {"{", "%[{}]", "}"},
    {"{", "%{\"\":{\"\":{}}}", "}"},
    {"{", "%[[[]]]", "}"},
};

/* And cut short: malformed, its levels all open. */
static void test_every_kind(void **state)
{
    struct text text;
    size_t most = 0, bytes;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        fill(&text, kinds[i].before, kinds[i].piece, kinds[i].after);
        bytes = cost(text_slice(&text), true);
        if (bytes > most)
            most = bytes;
        text.length -= strlen(kinds[i].after);
        cost(text_slice(&text), false);
    }
    /* They are worth trying. */
    assert_in_range(most, HEADERS_MEMORY_BYTES / 2, HEADERS_MEMORY_BYTES);
}

/* Whatever has just doubled. */
static void test_every_number_of_objects(void **state)
{
    struct text text = {0};

    (void)state;
    add(&text, "{\"\":[{}");
    while (fits(&text, 3, 2)) {
        add(&text, ",{}");
        cost(text_slice(&text), false);
        add(&text, "]}");
        cost(text_slice(&text), true);
        text.length -= 2;
    }
}

static void test_long_strings(void **state)
{
    static const char *const pieces[] = {
        "x", "\\n", "\\u0800", "\\u0000", "\\ud83d\\ude00", "\xe2\x82\xac"};
    static struct text text;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(pieces); i++) {
        text.length = 0;
        add(&text, "{\"a\":\"");
        while (fits(&text, strlen(pieces[i]), 2))
            add(&text, pieces[i]);
        add(&text, "\"}");
        cost(text_slice(&text), true);
        text.length -= 2;
        cost(text_slice(&text), false);
    }
}

static void test_long_keys(void **state)
{
    static struct text text;

    (void)state;
    for (size_t length = 0; length < HEADERS_BYTES_MAX - 6; length++) {
        text.length = 0;
        add(&text, "{\"");
        memset(text.bytes + text.length, 'k', length);
        text.length += length;
        add(&text, "\":0}");
        cost(text_slice(&text), true);
    }
}

/* ---- At random ---------------------------------------------------------- */

enum piece { OBJECT, ARRAY, STRING, NUMBER, WORD, PIECES };

/* What is on a level: how often each piece comes, and of how many entries. */
struct level {
    size_t weights[PIECES], weight, entries_max;
    /* While one is open: */
    enum piece container;
    size_t left;
    unsigned entries;
};

static void level_weigh(struct level *level, struct rng *rng)
{
    level->weight = 0;
    for (enum piece piece = OBJECT; piece < PIECES; piece++) {
        level->weights[piece] = rng_below(rng, 2) * rng_magnitude(rng, 1000);
        level->weight += level->weights[piece];
    }
    level->weights[OBJECT]++;
    level->weight++;
    level->entries_max = rng_magnitude(rng, HEADERS_BYTES_MAX);
}

static void level_open(struct level *level, struct rng *rng, struct text *text,
                       enum piece container)
{
    level->container = container;
    level->left = rng_below(rng, level->entries_max);
    level->entries = 0;
    add(text, container == OBJECT ? "{" : "[");
}

/* The next entry of what is open: all that is before its value. */
static void level_enter(struct level *level, struct text *text)
{
    level->left--;
    if (level->entries > 0)
        add(text, ",");
    if (level->container == OBJECT)
        add_key(text, level->entries);
    level->entries++;
}

static enum piece random_piece(struct rng *rng, const struct level *level)
{
    size_t at = rng_below(rng, level->weight);
    enum piece piece = OBJECT;

    while (at >= level->weights[piece])
        at -= level->weights[piece++];
    return piece;
}

static void add_string(struct rng *rng, struct text *text)
{
    static const char *const pieces[] = {"x", "\\n", "\\u0800", "\xe2\x82\xac"};
    size_t count = rng_below(rng, 3) > 0 ? 0 : rng_magnitude(rng, 40);

    add(text, "\"");
    for (size_t i = 0; i < count; i++)
        add(text, pieces[rng_below(rng, ARRAY_LENGTH(pieces))]);
    add(text, "\"");
}

static void add_scalar(struct rng *rng, struct text *text, enum piece piece)
{
    size_t one = rng_below(rng, 2);

    if (piece == STRING)
        add_string(rng, text);
    else if (piece == WORD)
        add(text, one ? "true" : "null");
    else
        add(text, one ? "0" : "-1.5");
}

/* The longest entry, with what closes all that is open. */
#define ENTRY_BYTES_MAX (40 * 6 + 20)

static void random_text(struct rng *rng, struct text *text)
{
    struct level levels[HEADERS_DEPTH_MAX];
    unsigned depth = 0; /* of the level in use */
    enum piece piece;

    for (unsigned i = 0; i < HEADERS_DEPTH_MAX; i++)
        level_weigh(&levels[i], rng);
    text->length = 0;
    level_open(&levels[0], rng, text, OBJECT);
    for (;;) {
        struct level *level = &levels[depth];

        if (level->left == 0 || !fits(text, ENTRY_BYTES_MAX, 0)) {
            add(text, level->container == OBJECT ? "}" : "]");
            if (depth-- == 0)
                return;
            continue;
        }
        level_enter(level, text);
        piece = random_piece(rng, level);
        if (piece > ARRAY || depth + 1 == HEADERS_DEPTH_MAX)
            add_scalar(rng, text, piece);
        else
            level_open(&levels[++depth], rng, text, piece);
    }
}

/* Whole, and cut short. */
static void test_random_texts(void **state)
{
    struct rng rng = {1};
    struct text text;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        random_text(&rng, &text);
        cost(text_slice(&text), true);
        text.length = 1 + rng_below(&rng, text.length - 1);
        cost(text_slice(&text), false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_allocation),
        cmocka_unit_test(test_memory_is_not_used_up),
        cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_every_number_of_objects),
        cmocka_unit_test(test_long_strings),
        cmocka_unit_test(test_long_keys),
        cmocka_unit_test(test_random_texts),
    };

    return cmocka_run_group_tests(tests, open_headers, close_headers);
}

/*
 * JSON headers: what is one object by RFC 8259 and docs/protocol.md, and what
 * its fields are, whatever stands beside them. A plain
 * reader of both (support_json.h) says what is expected of random ones.
 */
#include "common/wire/headers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/builder.h"
#include "common/base/limits.h"
#include "tests/unit/support_alloc.h"
#include "tests/unit/support_headers.h"
#include "tests/unit/support_json.h"
#include "tests/unit/support_random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Parses a copy, which the bytes that may be read end with. */
static bool parse(struct slice json)
{
    char *copy = malloc(1 + json.length);
    bool parsed;

    assert_non_null(copy);
    memcpy(copy + 1, json.bytes, json.length);
    parsed = headers_parse(headers, (struct slice){copy + 1, json.length});
    free(copy);
    return parsed;
}

#define assert_parsed(json) assert_true(parse(json))
#define assert_malformed(json) assert_false(parse(json))

/* -- what is one object -- */

static void test_objects(void **state)
{
    static const char *const objects[] = {
        "{}",
        " \t\r\n{ \t\r\n} \t\r\n",
        "{\"a\":1}",
        "{ \"a\" : 1 , \"b\" : [ 1 , { } ] }",
        "{\"a\":true,\"b\":false,\"c\":null,\"d\":\"\",\"e\":[],\"f\":{}}",
        "{\"\":\"an empty name\"}",
        "{\"\\u0061\":1,\"b\":2}",
        "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uD83D\\uDE00\"}",
        "{\"a\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f\"}",
        "{\"a\":\"}\"}",
        "{\"a\":\"\\\"}\"}",
        "{\"A\":1,\"a\":2}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(objects); i++)
        assert_parsed(slice_of(objects[i]));
}

static void test_what_is_no_object(void **state)
{
    static const char *const others[] = {
        "",
        " ",
        "null",
        "1",
        "\"a\"",
        "[]",
        "[{}]",
        "{",
        "}",
        "{]",
        "{}}",
        "{}{}",
        "{},",
        "{}x",
        "{} 1",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "{\"a\" 1}",
        "{\"a\":1;}",
        "{a:1}",
        "{'a':1}",
        "{1:1}",
        "{\"a\":[1,]}",
        "{\"a\":[1}",
        "{\"a\":[1}]",
        "{\"a\":tru}",
        "{\"a\":True}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":-Infinity}",
        "{\"a\":nul",
        "{\"a\":\"",
        "{\"a\":\"\\",
        "{\"a\":\"\\\"}",
        "{\"a\":\"\\u00",
        "{\"a\":\"\\x41\"}",
        "{\"a\":\"\\u12G4\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\x1f\"}",
        "{\"a\":1}//",
        "{/**/}",
        "\xef\xbb\xbf{}",
        /* What no Unicode text is. */
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xc3\"}",
        "{\"\xc3\":1}",
        "{\"a\":\"\xed\xa0\x80\"}",
        "{\"a\":\"\xc0\xaf\"}",
        "{\"a\":\"\\uD800\"}",
        "{\"a\":\"\\uDC00\"}",
        "{\"a\":\"\\uD800\\u0041\"}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        assert_malformed(slice_of(others[i]));
}

static void test_bytes_after_the_object(void **state)
{
    char json[] = "{}?";

    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        bool space =
            byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';

        json[2] = (char)byte;
        assert_int_equal(parse((struct slice){json, 3}), space);
    }
}

static void test_every_cut_of_an_object(void **state)
{
    static const char json[] =
        "{\"a\":\"\\u20ac\\\"\",\"b\":[1,{\"c\":-1.5e3}],\"d\":true}";

    (void)state;
    for (size_t length = 0; length < sizeof(json) - 1; length++)
        assert_malformed(((struct slice){json, length}));
    assert_parsed(SLICE(json));
}

/* NUL in the middle is no end, and nowhere allowed. */
static void test_nul_at_every_byte(void **state)
{
    static const char json[] = " { \"a\" : [ 1 , \"b\" , true ] } ";
    char with_nul[sizeof(json)];

    (void)state;
    for (size_t at = 0; at < sizeof(json); at++) {
        memcpy(with_nul, json, at);
        with_nul[at] = '\0';
        memcpy(with_nul + at + 1, json + at, sizeof(json) - 1 - at);
        assert_malformed(((struct slice){with_nul, sizeof(with_nul)}));
    }
}

static void test_names_twice(void **state)
{
    static const char *const twice[] = {
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,\"b\":2,\"a\":\"x\"}",
        "{\"a\":1,\"\\u0061\":1}",
        "{\"\":1,\"\":1}",
        "{\"x\":{\"a\":1,\"a\":1}}",
        "{\"x\":[{\"a\":1,\"a\":1}]}",
        "{\"x\":{\"y\":{\"a\":1,\"a\":1}}}",
        "{\"x\":{\"y\":{\"z\":{\"a\":1,\"a\":1}}}}",
        "{\"x\":[[{\"a\":null,\"a\":null}]]}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(twice); i++)
        assert_malformed(slice_of(twice[i]));
    assert_parsed(SLICE("{\"a\":{\"a\":[{\"a\":1},{\"a\":2}]}}"));
}

static void test_levels(void **state)
{
    static const char *const four[] = {
        "{\"a\":{\"a\":{\"a\":{}}}}",
        "{\"a\":[[[]]]}",
        "{\"a\":[{\"a\":[1,2,3]}],\"b\":[[[]]]}",
        "{\"a\":{\"a\":{\"a\":{\"a\":\"[[[[{{{{\"}}}}",
        "{\"a\":[[[1e999]]]}",
        "{\"[\":\"[\",\"{\":\"{\"}",
    };
    static const char *const five[] = {
        "{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}",
        "{\"a\":[[[[]]]]}",
        "{\"b\":1,\"a\":[[],[[[[]]]]]}",
        "{\"a\":[[{\"a\":[]}]]}",
        "{\"a\":{\"b\":[[{}]]}}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(four); i++)
        assert_parsed(slice_of(four[i]));
    for (size_t i = 0; i < ARRAY_LENGTH(five); i++)
        assert_malformed(slice_of(five[i]));
}

/* -- the longest -- */

static char longest[HEADERS_BYTES_MAX];

/* As many bytes as there may be, with this before and that after them. */
static struct slice fill(char byte, struct slice before, struct slice after)
{
    char *end = longest + sizeof(longest);

    memset(longest, byte, sizeof(longest));
    memcpy(longest, before.bytes, before.length);
    memcpy(end - after.length, after.bytes, after.length);
    return (struct slice){longest, sizeof(longest)};
}

static void test_longest_headers(void **state)
{
    static const char *const ends[] = {"-",   "1",  "1.",   "1e",
                                       "1e+", "\"", "\"\\", "tru"};
    struct slice start = SLICE("{\"a\":"), value;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(ends); i++)
        assert_malformed(fill(' ', start, slice_of(ends[i])));
    assert_parsed(fill(' ', SLICE("{}"), SLICE("")));
    assert_parsed(fill('x', SLICE("{\"a\":\""), SLICE("\"}")));
    assert_int_equal(headers_string(headers, "a", &value), FIELD_THERE);
    assert_int_equal(value.length, sizeof(longest) - 8);
    assert_parsed(fill('9', start, SLICE("}")));
    for (const char *byte = "[{\"9-e.\\ "; *byte; byte++) {
        assert_malformed(fill(*byte, SLICE(""), SLICE("")));
        assert_malformed(fill(*byte, start, SLICE("")));
    }
}

/* -- strings -- */

static void test_strings(void **state)
{
    struct slice value = SLICE("untouched");

    (void)state;
    assert_parsed(SLICE("{\"s\":\"caf\\u00e9\",\"e\":\"\",\"z\":\"a\\u0000b\","
                        "\"n\":1,\"t\":true,\"l\":[\"s\"],\"o\":{\"s\":\"in\"},"
                        "\"0\":null}"));
    for (const char *name = "ntlo0"; *name; name++) {
        const char wrong[] = {*name, '\0'};

        assert_int_equal(headers_string(headers, wrong, &value), FIELD_WRONG);
    }
    assert_int_equal(headers_string(headers, "S", &value), FIELD_ABSENT);
    assert_int_equal(headers_string(headers, "", &value), FIELD_ABSENT);
    assert_true(slice_equals(value, SLICE("untouched")));
    assert_int_equal(headers_string(headers, "s", &value), FIELD_THERE);
    assert_true(slice_equals(value, SLICE("caf\xc3\xa9")));
    assert_int_equal(headers_string(headers, "e", &value), FIELD_THERE);
    assert_int_equal(value.length, 0);
    assert_int_equal(headers_string(headers, "z", &value), FIELD_THERE);
    assert_true(slice_equals(value, SLICE("a\0b")));
}

/* A client has no use for one. */
static void test_names_with_nul(void **state)
{
    (void)state;
    assert_malformed(SLICE("{\"s\\u0000x\":\"y\"}"));
    assert_malformed(SLICE("{\"x\":{\"\\u0000\":1}}"));
}

/* -- numbers -- */

static enum field parse_number(const char *number, uint64_t *value)
{
    char json[128];

    snprintf(json, sizeof(json), "{\"before\":[true],\"n\":%s,\"after\":0}",
             number);
    assert_parsed(slice_of(json));
    return headers_number(headers, "n", value);
}

static void test_integers(void **state)
{
    static const struct {
        const char *json;
        uint64_t value;
    } integers[] = {
        {"0", 0},
        {"1", 1},
        {"10", 10},
        {"4294967295", UINT32_MAX},
        {"4294967296", UINT64_C(4294967296)},
        {"9007199254740991", (UINT64_C(1) << 53) - 1},
        {" \t1\n ", 1},
    };
    uint64_t value;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(integers); i++) {
        assert_int_equal(parse_number(integers[i].json, &value), FIELD_THERE);
        assert_true(value == integers[i].value);
    }
}

/* Numbers and others that no header takes, but any may have that nobody
 * reads. */
static void test_what_is_no_integer(void **state)
{
    static const char *const others[] = {
        "9007199254740992",
        "9007199254740993",
        "99999999999999999",
        "999999999999999999",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "1000000000000000000000000000000",
        "-1",
        "-9007199254740991",
        "-9223372036854775808",
        "-9223372036854775809",
        "-1000000000000000000000000000000",
        "0.0",
        "1.0",
        "-0.5",
        "1.00000000000000000000000000001",
        "1e0",
        "1E0",
        "1e+0",
        "1e-0",
        "0e0",
        "1e2",
        "1.5e1",
        "1e308",
        "1e309",
        "1e999",
        "-1e999",
        "1e-999",
        "1E+99999999999999999999999",
        "\"1\"",
        "\"\"",
        "true",
        "false",
        "null",
        "[]",
        "[1]",
        "{}",
        "{\"n\":1}",
    };
    uint64_t value = 7;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        assert_int_equal(parse_number(others[i], &value), FIELD_WRONG);
    assert_int_equal(headers_number(headers, "m", &value), FIELD_ABSENT);
    assert_true(value == 7);
}

static const char *const malformed[] = {"-",
                                        "+",
                                        "+1",
                                        "--1",
                                        "-+1",
                                        "01",
                                        "00",
                                        "-01",
                                        "01e5",
                                        "00e5",
                                        "1.",
                                        "-1.",
                                        ".5",
                                        "-.5",
                                        "1.e5",
                                        "1e",
                                        "1E",
                                        "1e+",
                                        "1e-",
                                        "1e+-1",
                                        "1e5.5",
                                        "1e5.",
                                        "1e5e5",
                                        "1E5E5",
                                        "-1e5e5",
                                        "1e55e5",
                                        "1e+1e5",
                                        "1e1e1e1",
                                        "1-1",
                                        "1-1e5",
                                        "1.5-1e5",
                                        "1e5-1e5",
                                        "1+1",
                                        "1.5.5",
                                        "1.5.5e5",
                                        "1..5",
                                        "0x1",
                                        "1f",
                                        "1e5f",
                                        "1 1",
                                        "1 1e5",
                                        "1e5 1e5",
                                        "1e5 e5",
                                        "1_000",
                                        "1,",
                                        "9.9e9e9",
                                        "1000000000000000000000.",
                                        "1000000000000000000000e",
                                        "1000000000000000000000-1",
                                        "01000000000000000000000",
                                        "1e999e1",
                                        "1e999.",
                                        "0-1e5",
                                        "1e5\"\""};

/* Where it stands, between this and that. */
static void check_malformed_number(const char *before, const char *number,
                                   const char *after)
{
    char json[128];

    snprintf(json, sizeof(json), "%s%s%s", before, number, after);
    if (parse(slice_of(json)))
        fail_msg("parsed: %s", json);
}

static void test_malformed_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(malformed); i++) {
        check_malformed_number("{\"n\":", malformed[i], "}");
        check_malformed_number("{\"x\":[", malformed[i], "]}");
        check_malformed_number("{\"x\":[[1,", malformed[i], "],1]}");
        check_malformed_number("{\"x\":1,\"n\":", malformed[i], ",\"y\":2}");
    }
}

/* What stands in a string stays as it is. */
static void test_numbers_within_strings(void **state)
{
    struct slice value;

    (void)state;
    assert_parsed(SLICE("{\"1e999\":\"1e999 \\\" 1e999 "
                        "99999999999999999999\\\\\",\"n\":1e9,\"s\":\"1e9\"}"));
    assert_int_equal(headers_string(headers, "1e999", &value), FIELD_THERE);
    assert_true(
        slice_equals(value, SLICE("1e999 \" 1e999 99999999999999999999\\")));
    assert_int_equal(headers_string(headers, "s", &value), FIELD_THERE);
    assert_true(slice_equals(value, SLICE("1e9")));
}

/* -- booleans -- */

static void test_booleans(void **state)
{
    bool value = true;

    (void)state;
    assert_parsed(SLICE("{\"t\":true,\"f\":false,\"n\":null,\"s\":\"true\","
                        "\"0\":0,\"1\":1}"));
    assert_int_equal(headers_boolean(headers, "f", &value), FIELD_THERE);
    assert_false(value);
    assert_int_equal(headers_boolean(headers, "t", &value), FIELD_THERE);
    assert_true(value);
    for (const char *name = "ns01"; *name; name++) {
        const char wrong[] = {*name, '\0'};

        assert_int_equal(headers_boolean(headers, wrong, &value), FIELD_WRONG);
    }
    assert_int_equal(headers_boolean(headers, "T", &value), FIELD_ABSENT);
    assert_true(value);
}

/* -- memory -- */

static void test_memory(void **state)
{
    unsigned long before = alloc_count();

    (void)state;
    assert_parsed(SLICE("{\"a\":\"b\",\"c\":[1,2.5,{\"d\":true}]}"));
    assert_int_equal(alloc_count(), before + 1); /* the copy's */
    alloc_fail_at(1);
    assert_null(headers_create());
}

/* -- at random -- */

static void random_append(struct rng *rng, struct builder *json,
                          const char *const *words, size_t count)
{
    build_string(json, words[rng_below(rng, count)]);
}

static void random_number(struct rng *rng, struct builder *json)
{
    static const char *const words[] = {"0",
                                        "1",
                                        "5",
                                        "12",
                                        "-",
                                        ".",
                                        "e",
                                        "E",
                                        "+",
                                        "900719925474099",
                                        "12345678901234567890"};
    size_t count = rng_magnitude(rng, 6);

    for (size_t i = 0; i < count; i++)
        random_append(rng, json, words, ARRAY_LENGTH(words));
}

static void random_value(struct rng *rng, struct builder *json)
{
    static const char *const words[] = {
        "true", "null",    "\"x\"", "\"1e9\"", "[]", "{}", "[[[",
        "]]]",  "{\"a\":", "}",     "[1,",     "]",  "7",  "nul"};

    if (rng_below(rng, 3) > 0)
        random_number(rng, json);
    else
        random_append(rng, json, words, ARRAY_LENGTH(words));
}

/* An object more often than not, but for its numbers. */
static void random_json(struct rng *rng, struct builder *json)
{
    static const char *const names[] = {"\"n\"", "\"a\"", "\"b\"",
                                        "\"c\"", "\"\"",  " \"n\" "};
    static const char *const colons[] = {":", ":",   ":",  ":",        ":",
                                         ":", " : ", ":[", ":{\"n\":", ""};
    static const char *const commas[] = {",", ",",   ",",  ",",  ",",
                                         ",", " , ", "],", "},", ""};
    static const char *const ends[] = {"}",  "}", "}",  "}",   "]}",
                                       "}}", "]", "} ", "}}}", "]]}"};
    size_t count = rng_below(rng, 4);

    json->length = 0;
    build_string(json, "{");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            random_append(rng, json, commas, ARRAY_LENGTH(commas));
        random_append(rng, json, names, ARRAY_LENGTH(names));
        random_append(rng, json, colons, ARRAY_LENGTH(colons));
        random_value(rng, json);
    }
    random_append(rng, json, ends, ARRAY_LENGTH(ends));
}

/* One byte of it may become another one. */
static void random_change(struct rng *rng, struct builder *json)
{
    static const char bytes[] = "{}[]:,\"0123456789+-.eE \n\x01xab";

    if (rng_below(rng, 4) == 0)
        json->bytes[rng_below(rng, json->length)] =
            bytes[rng_below(rng, sizeof(bytes))]; /* NUL, too */
}

static void check_against_reader(struct slice json, size_t *parsed)
{
    struct slice n;
    bool expected = read_headers(json, &n);
    uint64_t value = 0, expected_value = 0;

    if (parse(json) != expected)
        fail_msg("%s: %.*s", expected ? "not parsed" : "parsed",
                 (int)json.length, json.bytes);
    if (!expected)
        return;
    ++*parsed;
    if (headers_number(headers, "n", &value) !=
            read_integer(n, &expected_value) ||
        value != expected_value)
        fail_msg("n is wrong: %.*s", (int)json.length, json.bytes);
}

static void test_random_headers(void **state)
{
    struct rng rng = {1};
    size_t parsed = 0;
    struct builder json;

    (void)state;
    for (int i = 0; i < 1000000; i++) {
        random_json(&rng, &json);
        random_change(&rng, &json);
        check_against_reader(builder_slice(&json), &parsed);
    }
    /* Both happened, often. */
    assert_in_range(parsed, 100000, 900000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_what_is_no_object),
        cmocka_unit_test(test_bytes_after_the_object),
        cmocka_unit_test(test_every_cut_of_an_object),
        cmocka_unit_test(test_nul_at_every_byte),
        cmocka_unit_test(test_names_twice),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_longest_headers),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_names_with_nul),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_what_is_no_integer),
        cmocka_unit_test(test_malformed_numbers),
        cmocka_unit_test(test_numbers_within_strings),
        cmocka_unit_test(test_booleans),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_random_headers),
    };

    return cmocka_run_group_tests(tests, open_headers, close_headers);
}

/*
 * Headers in the form in which programs write them: which are of it, and that
 * for json_read, too, they are what plain_read says: so nobody can tell which
 * of the two has read a message.
 */
#include "common/wire/plain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/builder.h"
#include "tests/unit/support_headers.h"
#include "tests/unit/support_random.h"

#include <stdlib.h>
#include <string.h>

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* As many fields as a plain text may have. */
#define TWELVE                                                                 \
    "\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,"                         \
    "\"g\":7,\"h\":8,\"i\":9,\"j\":10,\"k\":11,\"l\":12"

/* ---- Both ways ---------------------------------------------------------- */

/* The text that the fields were read from: there is only one. */
static void write_back(const struct json *plain, struct builder *text)
{
    text->length = 0;
    for (unsigned i = 0; i < plain->count; i++) {
        const struct member *member = &plain->members[i];

        build_string(text, i == 0 ? "{\"" : ",\"");
        build_slice(text, member->name);
        build_string(text, "\":");
        if (member->kind == MEMBER_STRING) {
            build_string(text, "\"");
            build_slice(text, member->string);
            build_string(text, "\"");
        } else {
            assert_int_equal(member->kind, MEMBER_INTEGER);
            build_number(text, member->number);
        }
    }
    build_string(text, "}");
}

static void check_member(const struct member *member, const struct member *same)
{
    assert_non_null(same);
    assert_int_equal(member->kind, same->kind);
    if (member->kind == MEMBER_STRING)
        assert_true(slice_equals(member->string, same->string));
    else
        assert_true(member->number == same->number);
}

/* Whether it is plain. If so it is what it is said to be, for json_read, too.
 */
static bool check_both_ways(char *text, size_t length)
{
    static struct json plain, json;
    struct slice slice = {text, length};
    struct builder again;

    if (!plain_read(&plain, slice))
        return false;
    write_back(&plain, &again);
    assert_true(slice_equals(builder_slice(&again), slice));
    assert_true(json_read(&json, text, length)); /* nothing changes in it */
    assert_int_equal(json.count, plain.count);
    for (unsigned i = 0; i < plain.count; i++)
        check_member(&plain.members[i],
                     json_find(&json, plain.members[i].name));
    return true;
}

/* A copy, which the bytes that may be read end with. */
static bool check_copy(struct slice json)
{
    char *copy = malloc(1 + json.length);
    bool is_plain;

    assert_non_null(copy);
    memcpy(copy + 1, json.bytes, json.length);
    is_plain = check_both_ways(copy + 1, json.length);
    free(copy);
    return is_plain;
}

/* ---- Tests -------------------------------------------------------------- */

static void test_plain(void **state)
{
    static const char *const texts[] = {
        "{\"session\":\"919108f7-52d1-4320-9bac-f847db4148a8\",\"seq\":17}",
        "{\"id\":4294967295,\"room\":\"Den_1.x-y\",\"to\":\"bob\"}",
        "{\"content_type\":\"text/plain; charset=utf-8\"}",
        "{\"a\":0}",
        "{\"a\":\"\"}",
        "{\"\":1}",
        "{\"a\":9007199254740991}",
        "{\"a\":9007199254740992}",
        "{\"a\":999999999999999999}",
        "{\"a\":\" !#[]{}:,~\"}",
        "{\" \":\"0\",\"a\":0,\"A\":10}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        assert_true(check_copy(slice_of(texts[i])));
    assert_true(check_copy(SLICE("{" TWELVE "}")));
}

/* Some are headers, and some are none. */
static void test_what_is_not_plain(void **state)
{
    static const char *const texts[] = {
        "",
        "}",
        "{",
        "{}",
        " {\"a\":1}",
        "{\"a\":1} ",
        "{ \"a\":1}",
        "{\"a\": 1}",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{\"a\":1}}",
        "{\"a\":1",
        "{\"a\":}",
        "{\"a\"}",
        "{\"a\":\"}",
        "{\"a:1}",
        "{\"a\":\"\\\"\"}",
        "{\"\\u0061\":1}",
        "{\"a\":\"\x7f\"}",
        "{\"a\":\"\x1f\"}",
        "{\"a\":\"\xc3\xa9\"}",
        "{\"\xc3\xa9\":1}",
        "{\"a\":\"b\0011}",
        "{\"a\":01}",
        "{\"a\":00}",
        "{\"a\":-1}",
        "{\"a\":-0}",
        "{\"a\":1.0}",
        "{\"a\":1e1}",
        "{\"a\":1000000000000000000}",
        "{\"a\":true}",
        "{\"a\":null}",
        "{\"a\":[]}",
        "{\"a\":{}}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"b\":2,\"a\":\"\"}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        if (check_copy(slice_of(texts[i])))
            fail_msg("plain: %s", texts[i]);
    }
    assert_false(check_copy(SLICE("{" TWELVE ",\"m\":13}")));
}

/* A message after one that is not plain, and the other way round. */
static void test_one_after_the_other(void **state)
{
    uint64_t value;

    (void)state;
    for (uint64_t i = 0; i < 4; i++) {
        assert_true(headers_parse(headers, i % 2 ? SLICE("{\"b\":1}")
                                                 : SLICE("{ \"a\":0}")));
        assert_int_equal(headers_number(headers, i % 2 ? "b" : "a", &value),
                         FIELD_THERE);
        assert_int_equal(value, i % 2);
        assert_int_equal(headers_number(headers, i % 2 ? "a" : "b", &value),
                         FIELD_ABSENT);
    }
    assert_true(headers_parse(headers, SLICE("{\"b\":1}")));
    assert_false(headers_parse(headers, SLICE("{\"b\":1")));
    assert_int_equal(headers_number(headers, "b", &value), FIELD_ABSENT);
}

static void random_json(struct rng *rng, struct builder *json)
{
    static const char *const names[] = {"a", "b", "seq", "session", "", "a b"};
    static const char *const values[] = {"0",
                                         "7",
                                         "12345678901234567",
                                         "123456789012345678",
                                         "1234567890123456789",
                                         "9007199254740992",
                                         "\"\"",
                                         "\"x\"",
                                         "\"9191\"",
                                         "\"text/plain\""};
    size_t count = rng_magnitude(rng, 14);

    json->length = 0;
    for (size_t i = 0; i < count; i++) {
        build_string(json, i == 0 ? "{\"" : ",\"");
        build_string(json, names[rng_below(rng, ARRAY_LENGTH(names))]);
        if (rng_below(rng, 4) > 0)
            build_number(json, i); /* or it may be there twice */
        build_string(json, "\":");
        build_string(json, values[rng_below(rng, ARRAY_LENGTH(values))]);
    }
    build_string(json, "}");
}

/* One byte becomes another one, goes, or is the last. */
static void random_change(struct rng *rng, struct builder *json)
{
    static const char bytes[] = "{}[]:,\"0123456789+-.eE\\ \n\x01\x7f\x80xab";
    size_t at = rng_below(rng, json->length);

    switch (rng_below(rng, 6)) {
    case 0:
        json->bytes[at] = bytes[rng_below(rng, sizeof(bytes))];
        break;
    case 1:
        memmove(json->bytes + at, json->bytes + at + 1, --json->length - at);
        break;
    case 2:
        json->length = at;
        break;
    default:
        break;
    }
}

static void test_at_random(void **state)
{
    struct rng rng = {1};
    struct builder json;
    size_t plain = 0;

    (void)state;
    for (int i = 0; i < 300000; i++) {
        random_json(&rng, &json);
        random_change(&rng, &json);
        plain += check_copy(builder_slice(&json));
    }
    /* Both happened, often. */
    assert_in_range(plain, 30000, 270000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_what_is_not_plain),
        cmocka_unit_test(test_one_after_the_other),
        cmocka_unit_test(test_at_random),
    };

    return cmocka_run_group_tests(tests, open_headers, close_headers);
}

/*
 * What the headers of a secure message from a peer say, each right and wrong in
 * each way, in messages that are otherwise whole and signed. Its seal is in
 * test_secure_seals.c.
 */
#include "common/wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/bytes.h"
#include "common/wire/internal.h"
#include "tests/unit/support_wire.h"

#include <stdio.h>
#include <string.h>

static struct station station;
static struct message message;
static struct request request;

static int open_station(void **state)
{
    (void)state;
    station_open(&station, DIALECT_SECURE, NULL);
    return 0;
}

static int close_station(void **state)
{
    (void)state;
    station_close(&station);
    return 0;
}

/* The message as a new peer's first one, which is welcomed before unless that
 * is its hello. */
static enum error_code tell(void)
{
    station_meet(&station, load_u16(message.bytes + 10) != TYPE_SESSION_ACK);
    return station_tell(&station, message.bytes, message.length, &request);
}

/* With these headers after `session` and `seq`. */
static enum error_code tell_fields(unsigned type, const char *fields,
                                   const char *content)
{
    message_tell(&message, type, 1, fields, slice_of(content));
    return tell();
}

/* With these headers alone. */
static enum error_code tell_headers(unsigned type, const char *headers)
{
    message_write(&message, type, slice_of(headers), SLICE(""));
    return tell();
}

static void fail_said(const char *what, enum error_code error)
{
    fail_msg("%s: %s", what, error == ERROR_NONE ? "taken" : error_name(error));
}

#define OK ERROR_NONE
#define WRONG ERROR_BAD_HEADER

/* -- each type's -- */

#define PING ",\"kind\":\"ping\",\"stamp\":1"

static const struct {
    unsigned type;
    const char *fields, *content;
    enum error_code error;
} cases[] = {
    {TYPE_SESSION_ACK, "", "", OK},
    {TYPE_SESSION_ACK, ",\"nick\":\"ann\"", "", OK},
    {TYPE_SESSION_ACK, ",\"nick\":\"\"", "", OK},
    {TYPE_SESSION_ACK, ",\"nick\":null", "", WRONG},
    {TYPE_SESSION_ACK, ",\"nick\":1", "", WRONG},
    {TYPE_SESSION_ACK, ",\"nick\":[\"ann\"]", "", WRONG},
    {TYPE_SESSION_ACK, ",\"nick\":{}", "", WRONG},
    {TYPE_SESSION_ACK, ",\"nick\":\"ann\",\"nick\":\"bob\"", "", WRONG},
    {TYPE_SESSION_ACK, ",\"id\":\"none of its headers\"", "", OK},
    {TYPE_HEARTBEAT, PING, "", OK},
    {TYPE_HEARTBEAT, ",\"kind\":\"pong\",\"stamp\":1", "", OK},
    {TYPE_HEARTBEAT, PING, "x", ERROR_BAD_FRAME},
    {TYPE_HEARTBEAT, "", "", WRONG},
    {TYPE_HEARTBEAT, ",\"kind\":\"ping\"", "", WRONG},
    {TYPE_HEARTBEAT, ",\"stamp\":1", "", WRONG},
    {TYPE_HEARTBEAT, ",\"stamp\":1,\"kind\":0", "", WRONG},
    {TYPE_HEARTBEAT, ",\"stamp\":1,\"kind\":\"\"", "", WRONG},
    {TYPE_HEARTBEAT, ",\"stamp\":1,\"kind\":\"PING\"", "", WRONG},
    {TYPE_HEARTBEAT, ",\"stamp\":1,\"kind\":\"pin\"", "", WRONG},
    {TYPE_HEARTBEAT, ",\"stamp\":1,\"kind\":\"ping \"", "", WRONG},
    {TYPE_HEARTBEAT, ",\"stamp\":1,\"kind\":\"ping\\u0000\"", "", WRONG},
    {TYPE_HEARTBEAT, ",\"stamp\":1,\"kind\":\"\\u0070ing\"", "", OK},
    {TYPE_MESSAGE, "", "x", OK},
    {TYPE_MESSAGE, "", "", ERROR_USAGE},
    {TYPE_MESSAGE, "", "\n", ERROR_BAD_TEXT},
    {TYPE_MESSAGE, "", "\xff", ERROR_BAD_TEXT},
    {TYPE_MESSAGE, ",\"room\":\"den\"", "x", OK},
    {TYPE_MESSAGE, ",\"room\":\"\"", "x", OK},
    {TYPE_MESSAGE, ",\"room\":null", "x", WRONG},
    {TYPE_MESSAGE, ",\"room\":1", "x", WRONG},
    {TYPE_MESSAGE, ",\"to\":\"bob\"", "x", OK},
    {TYPE_MESSAGE, ",\"to\":true", "x", WRONG},
    {TYPE_MESSAGE, ",\"to\":[]", "x", WRONG},
    {TYPE_MESSAGE, ",\"room\":\"den\",\"to\":\"bob\"", "x", WRONG},
    {TYPE_MESSAGE, ",\"room\":\"\",\"to\":\"\"", "x", WRONG},
    {TYPE_MESSAGE, ",\"room\":\"den\",\"to\":1", "x", WRONG},
    {TYPE_MESSAGE, ",\"room\":1,\"to\":\"bob\"", "x", WRONG},
    {TYPE_MESSAGE, ",\"content_type\":1", "x", WRONG},
    {TYPE_MESSAGE, ",\"content_type\":null", "x", WRONG},
    {TYPE_MESSAGE, ",\"content_type\":\"text/html\"", "\n", ERROR_BAD_TEXT},
    {TYPE_MESSAGE, ",\"content_type\":\"TEXT/plain\"", "\n", ERROR_BAD_TEXT},
    {TYPE_MESSAGE, ",\"content_type\":\"text\"", "\n", OK},
    {TYPE_MESSAGE, ",\"content_type\":\"image/png\"", "\xff\n", OK},
    {TYPE_MESSAGE, ",\"content_type\":\"image/png\"", "", ERROR_USAGE},
    {TYPE_COMMAND, "", "who", OK},
    {TYPE_COMMAND, "", "", OK},
    {TYPE_COMMAND, "", "a\nb", ERROR_BAD_TEXT},
    {TYPE_COMMAND, ",\"content_type\":1,\"room\":2,\"to\":3", "who", OK},
    {TYPE_DISCONNECT, "", "", OK},
    {TYPE_DISCONNECT, ",\"code\":0", "I go", OK},
    {TYPE_DISCONNECT, ",\"code\":\"0\"", "", WRONG},
    {TYPE_DISCONNECT, ",\"code\":null", "", WRONG},
    {TYPE_FILE_OFFER, "", "", OK},
    {TYPE_FILE_ACCEPT, ",\"transfer\":\"x\"", "x", OK},
    {TYPE_FILE_DATA, ",\"id\":-1", "\xff", OK},
    {TYPE_FILE_END, "", "", OK},
    /* Only servers send these, or nobody does. */
    {TYPE_SESSION_INIT, "", "", ERROR_BAD_FRAME},
    {TYPE_ERROR, ",\"id\":0", "", ERROR_BAD_FRAME},
    {TYPE_REPLY, "", "", ERROR_BAD_FRAME},
    {TYPE_NOTICE, "", "", ERROR_BAD_FRAME},
    {TYPE_ACK, "", "", ERROR_BAD_FRAME},
    {TYPE_WELCOME, "", "\xff", ERROR_BAD_FRAME},
    {0, "", "", ERROR_UNKNOWN_TYPE},
    {12, ",\"id\":0", "\xff", ERROR_UNKNOWN_TYPE},
    {15, "", "", ERROR_UNKNOWN_TYPE},
    {20, "", "", ERROR_UNKNOWN_TYPE},
    {0x0102, "", "", ERROR_UNKNOWN_TYPE},
    {0xffff, "", "", ERROR_UNKNOWN_TYPE},
};

static void test_each_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        enum error_code error =
            tell_fields(cases[i].type, cases[i].fields, cases[i].content);

        if (error != cases[i].error)
            fail_said(cases[i].fields, error);
    }
}

static void test_what_is_read(void **state)
{
    (void)state;
    tell_fields(TYPE_SESSION_ACK, ",\"nick\":\"a\\u0000b\"", "");
    assert_int_equal(request.kind, REQUEST_HELLO);
    assert_true(slice_equals(request.name, SLICE("a\0b")));
    tell_fields(TYPE_MESSAGE, ",\"room\":\"\"", "x");
    assert_int_equal(request.target, TARGET_ROOM);
    assert_int_equal(request.name.length, 0);
    tell_fields(TYPE_MESSAGE, ",\"to\":\"@bob\"", "x");
    assert_int_equal(request.target, TARGET_NICK);
    assert_true(slice_equals(request.name, SLICE("@bob")));
    tell_fields(TYPE_MESSAGE, "", "x");
    assert_int_equal(request.target, TARGET_CURRENT);
    assert_int_equal(request.id, 0);
    assert_int_equal(request.content_type.length, 0);
    /* The id stands where the text is refused, too. */
    tell_fields(TYPE_MESSAGE, ",\"id\":5", "\n");
    assert_int_equal(request.id, 5);
    tell_fields(TYPE_MESSAGE, ",\"id\":6", "");
    assert_int_equal(request.id, 6);
    tell_fields(TYPE_COMMAND, ",\"id\":7", "\n");
    assert_int_equal(request.id, 7);
}

/* -- numbers -- */

static const struct {
    unsigned type;
    const char *name, *others, *content;
    uint64_t least, most;
} numbers[] = {
    {TYPE_MESSAGE, "id", "", "x", 1, UINT32_MAX},
    {TYPE_COMMAND, "id", "", "who", 1, UINT32_MAX},
    {TYPE_HEARTBEAT, "stamp", ",\"kind\":\"pong\"", "", 0, UINT64_MAX},
    {TYPE_DISCONNECT, "code", "", "", 0, UINT64_MAX},
    {TYPE_COMMAND, "nobody_s", "", "who", 0, 0}, /* any value */
};

static enum error_code tell_number(size_t i, const char *value)
{
    char fields[256];

    snprintf(fields, sizeof(fields), "%s,\"%s\":%s", numbers[i].others,
             numbers[i].name, value);
    return tell_fields(numbers[i].type, fields, numbers[i].content);
}

/* 2^53 - 1 is the largest. */
static void test_integers(void **state)
{
    static const struct {
        const char *json;
        uint64_t value;
    } integers[] = {
        {"0", 0},
        {"1", 1},
        {"4294967295", UINT32_MAX},
        {"4294967296", UINT64_C(1) << 32},
        {"9007199254740991", (UINT64_C(1) << 53) - 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        for (size_t j = 0; j < ARRAY_LENGTH(integers); j++) {
            bool good = numbers[i].most == 0 ||
                        (integers[j].value >= numbers[i].least &&
                         integers[j].value <= numbers[i].most);
            enum error_code error = tell_number(i, integers[j].json);

            if (error != (good ? OK : WRONG))
                fail_said(integers[j].json, error);
            if (good && strcmp(numbers[i].name, "stamp") == 0)
                assert_true(request.stamp == integers[j].value);
            if (good && strcmp(numbers[i].name, "id") == 0)
                assert_true(request.id == integers[j].value);
        }
    }
}

static void test_what_is_no_integer(void **state)
{
    static const char *const others[] = {
        "9007199254740992",
        "1000000000000000000000000000000",
        "-1",
        "1.0",
        "0.5",
        "1e0",
        "1E0",
        "1e999",
        "-1e999",
        "\"1\"",
        "true",
        "null",
        "[1]",
        "{}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        for (size_t j = 0; j < ARRAY_LENGTH(others); j++) {
            enum error_code error = tell_number(i, others[j]);

            if (error != (numbers[i].most == 0 ? OK : WRONG))
                fail_said(others[j], error);
        }
    }
}

static void test_malformed_numbers(void **state)
{
    static const char *const malformed[] = {
        "1-1e5", "01e5", "1.",  ".5",  "-",        "1e", "+1",
        "1e5e5", "01",   "0x1", "NaN", "Infinity", "",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        for (size_t j = 0; j < ARRAY_LENGTH(malformed); j++) {
            enum error_code error = tell_number(i, malformed[j]);

            if (error != WRONG)
                fail_said(malformed[j], error);
        }
    }
}

/* -- session and seq -- */

#define SESSION "\"session\":\"" VECTOR_SESSION_TEXT "\""

static void test_session_and_seq(void **state)
{
    static const struct {
        const char *headers;
        enum error_code error;
    } origins[] = {
        {"{" SESSION ",\"seq\":1}", OK},
        {"{\"seq\":1," SESSION "}", OK},
        {"{\"session\":\"10111213-1415-1617-1819-1A1B1C1D1E1F\",\"seq\":0}",
         OK},
        {"{\"session\":\"10111213-1415-1617-1819-1a1b1c1d1e1e\",\"seq\":1}",
         ERROR_REPLAY},
        {"{\"session\":\"101112131415161718191a1b1c1d1e1f\",\"seq\":1}",
         ERROR_REPLAY},
        {"{\"session\":\"" VECTOR_SESSION_TEXT "\\u0000\",\"seq\":1}",
         ERROR_REPLAY},
        {"{\"session\":\"\",\"seq\":1}", ERROR_REPLAY},
        {"{\"session\":1,\"seq\":1}", WRONG},
        {"{\"session\":null,\"seq\":1}", WRONG},
        {"{\"session\":[\"" VECTOR_SESSION_TEXT "\"],\"seq\":1}", WRONG},
        {"{\"seq\":1}", WRONG},
        {"{" SESSION "}", WRONG},
        {"{" SESSION ",\"seq\":\"1\"}", WRONG},
        {"{" SESSION ",\"seq\":-1}", WRONG},
        {"{" SESSION ",\"seq\":1.0}", WRONG},
        {"{" SESSION ",\"seq\":1e0}", WRONG},
        {"{" SESSION ",\"seq\":1e999}", WRONG},
        {"{" SESSION ",\"seq\":9007199254740991}", OK},
        {"{" SESSION ",\"seq\":9007199254740992}", WRONG},
        {"{" SESSION ",\"seq\":1000000000000000000000000000000}", WRONG},
        {"{" SESSION ",\"seq\":null}", WRONG},
        {"{" SESSION ",\"seq\":1,\"seq\":2}", WRONG},
        {"{" SESSION "," SESSION ",\"seq\":1}", WRONG},
        {"{\"Session\":\"" VECTOR_SESSION_TEXT "\",\"seq\":1}", WRONG},
        {"{" SESSION ",\"seq\":1}x", WRONG},
        {"{" SESSION ",\"seq\":1}{}", WRONG},
        {"{" SESSION ",\"seq\":1,\"x\":{\"x\":{\"x\":[]}}}", OK},
        {"{" SESSION ",\"seq\":1,\"x\":{\"x\":{\"x\":[[]]}}}", WRONG},
        {"{" SESSION ",\"seq\":1,\"x\":[{\"y\":1,\"y\":2}]}", WRONG},
        {"[" SESSION "]", WRONG},
        {"", WRONG},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(origins); i++) {
        enum error_code error = tell_headers(TYPE_COMMAND, origins[i].headers);

        if (error != origins[i].error)
            fail_said(origins[i].headers, error);
        assert_int_equal(station.peer.seq_in_min > 0, error == OK);
    }
}

/* -- content types -- */

static enum error_code tell_content_type(const char *type, size_t length)
{
    char fields[512];

    snprintf(fields, sizeof(fields), ",\"content_type\":\"%.*s\"", (int)length,
             type);
    return tell_fields(TYPE_MESSAGE, fields, "x");
}

static void test_lengths_of_content_types(void **state)
{
    char type[129];

    (void)state;
    memset(type, 'a', sizeof(type));
    for (size_t length = 0; length <= sizeof(type); length++) {
        enum error_code error = tell_content_type(type, length);

        assert_int_equal(error, length >= 1 && length <= 127 ? OK : WRONG);
        if (error == OK)
            assert_int_equal(request.content_type.length, length);
    }
}

static void test_bytes_of_content_types(void **state)
{
    char type[16];

    (void)state;
    for (unsigned code = 0; code <= 0x120; code++) {
        bool good = code >= 0x20 && code <= 0x7e;

        snprintf(type, sizeof(type), "a/\\u%04x", code);
        assert_int_equal(tell_content_type(type, strlen(type)),
                         good ? OK : WRONG);
        if (good)
            assert_int_equal(request.content_type.bytes[2], code);
    }
    assert_int_equal(tell_content_type("\x7f", 1), WRONG);
    assert_int_equal(tell_content_type("\xc3\xa9", 2), WRONG);
    assert_int_equal(tell_content_type("\\\"\\\\", 4), OK);
    assert_true(slice_equals(request.content_type, SLICE("\"\\")));
}

/* -- several things wrong -- */

static void test_order_of_meanings(void **state)
{
    static const struct {
        const char *headers;
        enum error_code error;
    } faults[] = {
        {"{" SESSION ",\"seq\":4,\"id\":0}", WRONG},
        {"{" SESSION ",\"seq\":4}", ERROR_REPLAY},
        {"{" SESSION ",\"seq\":5,\"enc\":\"none\"}", ERROR_HANDSHAKE},
        {"{" SESSION
         ",\"seq\":5,\"enc\":\"A256GCM\",\"iv\":\"AAAAAAAAAAAAAAAB\"}",
         ERROR_BAD_HMAC},
        {"{" SESSION ",\"seq\":5}", ERROR_BAD_TEXT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(faults); i++) {
        message_write(&message, TYPE_COMMAND, slice_of(faults[i].headers),
                      SLICE("this is no text\n"));
        station_meet(&station, true);
        station.peer.seq_in_min = 5;
        assert_int_equal(
            station_tell(&station, message.bytes, message.length, &request),
            faults[i].error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_type),
        cmocka_unit_test(test_what_is_read),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_what_is_no_integer),
        cmocka_unit_test(test_malformed_numbers),
        cmocka_unit_test(test_session_and_seq),
        cmocka_unit_test(test_lengths_of_content_types),
        cmocka_unit_test(test_bytes_of_content_types),
        cmocka_unit_test(test_order_of_meanings),
    };

    return cmocka_run_group_tests(tests, open_station, close_station);
}

/*
 * Secure messages from a server: the golden vectors, the headers of each type,
 * what is for this session and what for a room, what may come first, seals, and
 * damage. How JSON and seals can be wrong in themselves is in test_headers.c
 * and test_secure_seals.c: both directions share what reads them.
 */
#include "common/wire/hear.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/builder.h"
#include "common/base/bytes.h"
#include "common/base/limits.h"
#include "common/wire/internal.h"
#include "tests/unit/support_alloc.h"
#include "tests/unit/support_hear.h"
#include "vectors.h"

#include <stdlib.h>
#include <string.h>

#define HEAD 60

static struct ear ear;
static struct message message;
static struct heard heard;
static struct keys *server; /* what the server seals with */

static int open_ear(void **state)
{
    (void)state;
    ear_open(&ear, DIALECT_SECURE, NULL);
    server = keys_create(vector_key, sizeof(vector_key), vector_boot, 0);
    assert_non_null(server);
    return 0;
}

static int close_ear(void **state)
{
    (void)state;
    ear_close(&ear);
    keys_destroy(server);
    return 0;
}

#define OK ERROR_NONE
#define WRONG ERROR_BAD_HEADER

static enum error_code tell(void)
{
    return ear_tell(&ear, message.bytes, message.length, &heard);
}

/* A message for the session, of a server that has said nothing since its
 * greeting. */
static enum error_code tell_fields(unsigned type, const char *fields,
                                   const char *content)
{
    ear_meet(&ear, true);
    message_tell(&message, type, 1, fields, slice_of(content));
    return tell();
}

/* A message with these headers alone, as a room's are. */
static enum error_code tell_headers(unsigned type, const char *headers,
                                    const char *content)
{
    message_write(&message, type, slice_of(headers), slice_of(content));
    return tell();
}

static void expect(const char *what, enum error_code error,
                   enum error_code expected)
{
    if (error != expected)
        fail_msg("%s: %s", what, error == OK ? "taken" : error_name(error));
}

/* -- what is whole -- */

/* What the vectors have in common and this one has not. */
static void drop_what_is_not_said(struct event *event)
{
    bool timed = event->kind == EVENT_MESSAGE || event->kind == EVENT_PRIVATE;
    bool in_room = event->kind <= EVENT_TOPIC;
    bool named = in_room || event->kind == EVENT_WELCOME;

    if (!named && event->kind != EVENT_LAGGED)
        event->room = SLICE("");
    if (!named && event->kind != EVENT_PRIVATE)
        event->nick = SLICE("");
    if (!in_room && event->kind != EVENT_ACK)
        event->seq = 0;
    if (!timed)
        event->time_us = 0;
}

static size_t check_golden(const char *group, enum encoding encoding)
{
    static struct becoming becoming;
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
        const char *name = vector_of(group, vectors[i].name);
        struct event said, expected;

        if (!name)
            continue;
        said = vector_event(name);
        expected = event_as_heard(encoding, &said, &becoming);
        drop_what_is_not_said(&expected);
        ear_meet(&ear, said.kind != EVENT_SESSION_INIT);
        ear.peer.sealed = encoding == ENCODING_SEALED;
        expect(name,
               ear_tell(&ear, vectors[i].bytes, vectors[i].length, &heard), OK);
        assert_events_equal(&heard.event, &expected);
        count++;
    }
    return count;
}

static void test_golden_vectors(void **state)
{
    (void)state;
    assert_int_equal(check_golden("secure_out", ENCODING_SECURE), 18);
    assert_int_equal(check_golden("sealed_out", ENCODING_SEALED), 17);
}

/* -- the greeting -- */

#define GREETING_FIELDS ",\"heartbeat\":5,\"max_content\":1048576"
#define BOOT ",\"boot\":\"A0A1A2A3-a4a5-a6a7-a8a9-aaabacadaeaf\""

static enum error_code greet(const char *fields, const char *content)
{
    ear_meet(&ear, false);
    message_tell(&message, TYPE_SESSION_INIT, 1, fields, slice_of(content));
    return tell();
}

static void test_greeting(void **state)
{
    (void)state;
    assert_int_equal(greet(BOOT GREETING_FIELDS, ""), OK);
    assert_int_equal(heard.event.kind, EVENT_SESSION_INIT);
    assert_memory_equal(heard.greeting.session, vector_session, UUID_BYTES);
    assert_memory_equal(heard.greeting.boot, vector_boot, UUID_BYTES);
    assert_int_equal(heard.greeting.heartbeat_s, 5);
    assert_int_equal(heard.greeting.bytes_max, 1048576);
    assert_true(wire_greeted(ear.wire, &ear.peer, &heard.greeting));
    assert_memory_equal(ear.peer.uuid, vector_session, UUID_BYTES);
    assert_memory_equal(ear.peer.key, vector_server_key, SEAL_KEY_BYTES);
    /* Its seq is used, and there is one greeting. */
    assert_int_equal(tell(), ERROR_HANDSHAKE);
    message_tell(&message, TYPE_ACK, 1, ",\"id\":1,\"room_seq\":1", SLICE(""));
    assert_int_equal(tell(), ERROR_REPLAY);
    message_tell(&message, TYPE_ACK, 2, ",\"id\":1,\"room_seq\":1", SLICE(""));
    assert_int_equal(tell(), OK);
}

static void test_greetings_that_are_none(void **state)
{
    static const char *const fields[] = {
        GREETING_FIELDS,
        ",\"boot\":1" GREETING_FIELDS,
        ",\"boot\":\"\"" GREETING_FIELDS,
        ",\"boot\":\"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\"" GREETING_FIELDS,
        ",\"boot\":\"a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeag\"" GREETING_FIELDS,
        ",\"boot\":\"g0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf\"" GREETING_FIELDS,
        ",\"boot\":\"a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf0\"" GREETING_FIELDS,
        ",\"boot\":\"a0a1a2a3-a4a5-a6a7-a8a9_aaabacadaeaf\"" GREETING_FIELDS,
        BOOT,
        BOOT ",\"heartbeat\":5",
        BOOT ",\"max_content\":5",
        BOOT ",\"heartbeat\":\"5\",\"max_content\":5",
        BOOT ",\"heartbeat\":4294967296,\"max_content\":5",
        BOOT ",\"heartbeat\":5,\"max_content\":4294967296",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) {
        expect(fields[i], greet(fields[i], ""), WRONG);
        assert_false(ear.decoder.greeted);
    }
    assert_int_equal(greet(BOOT GREETING_FIELDS, "x"), ERROR_BAD_FRAME);
    ear_meet(&ear, false);
    assert_int_equal(tell_headers(TYPE_SESSION_INIT,
                                  "{\"session\":\"" VECTOR_SESSION_TEXT
                                  "\"" BOOT GREETING_FIELDS "}",
                                  ""),
                     WRONG);
}

/* Where the greeting would be nothing else may be but why there is none, whose
 * session has no meaning. */
static void test_what_comes_first(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        enum error_code expected = ERROR_HANDSHAKE;

        ear_meet(&ear, false);
        message_tell(&message, type, 9, ",\"code\":32,\"name\":\"server-full\"",
                     SLICE("server-full try again later"));
        if (type == TYPE_SESSION_INIT)
            expected = WRONG;
        if (type == TYPE_ERROR)
            expected = OK;
        assert_int_equal(tell(), expected);
    }
    ear_meet(&ear, false);
    assert_int_equal(
        tell_headers(TYPE_ERROR,
                     "{\"session\":\"?\",\"seq\":1,\"code\":32,\"name\":\"\"}",
                     "server-full try again later"),
        OK);
    assert_int_equal(heard.event.code, ERROR_SERVER_FULL);
    assert_true(slice_equals(heard.event.text, SLICE("try again later")));
    ear_meet(&ear, false);
    assert_int_equal(
        tell_headers(TYPE_ERROR, "{\"seq\":1,\"code\":32,\"name\":\"\"}", ""),
        WRONG);
}

static void test_greeted_without_memory(void **state)
{
    struct greeting greeting = {.heartbeat_s = 5};
    unsigned n = 0;
    bool reached, good;

    (void)state;
    do {
        unsigned long before = alloc_count();

        ear_meet(&ear, false);
        alloc_fail_at(++n);
        good = wire_greeted(ear.wire, &ear.peer, &greeting);
        reached = alloc_count() - before >= n;
        alloc_fail_at(0);
        assert_true(good || reached);
        assert_int_equal(good, ear.peer.keyed);
    } while (reached);
    assert_true(n > 1);
    ear_meet(&ear, true);
}

/* -- the headers of each type -- */

#define FIELDS_MAX 6

/* A type's fields, each also with a value that it cannot have. */
static const struct form {
    unsigned type;
    const char *content;
    struct {
        const char *field, *wrong;
        bool may_lack;
    } fields[FIELDS_MAX];
} forms[] = {
    {TYPE_WELCOME,
     "",
     {{",\"nick\":\"ann\"", ",\"nick\":1", false},
      {",\"room\":\"den\"", ",\"room\":null", false}}},
    {TYPE_HEARTBEAT,
     "",
     {{",\"kind\":\"pong\"", ",\"kind\":\"pang\"", false},
      {",\"stamp\":7", ",\"stamp\":-7", false}}},
    {TYPE_MESSAGE,
     "x",
     {{",\"room\":\"@\"", ",\"room\":[]", false},
      {",\"room_seq\":0", ",\"room_seq\":0.0", false},
      {",\"nick\":\"ann\"", ",\"nick\":true", false},
      {",\"time\":9", ",\"time\":\"9\"", false},
      {",\"content_type\":\"image/png\"", ",\"content_type\":\"\"", false}}},
    {TYPE_MESSAGE,
     "x",
     {{",\"room\":\"den\"", ",\"room\":1", false},
      {",\"room_seq\":4", ",\"room_seq\":9007199254740992", false},
      {",\"nick\":\"ann\"", ",\"nick\":1", false},
      {",\"time\":9", ",\"time\":1e3", false},
      {",\"content_type\":\"image/png\"", ",\"content_type\":\"a\\u00e9\"",
       false}}},
    {TYPE_ERROR,
     "usage",
     {{",\"code\":4", ",\"code\":0", false},
      {",\"name\":\"usage\"", ",\"name\":4", false},
      {",\"id\":4294967295", ",\"id\":4294967296", true}}},
    {TYPE_ERROR,
     "later",
     {{",\"code\":65535", ",\"code\":65536", false},
      {",\"name\":\"later\"", ",\"name\":null", false},
      {",\"id\":1", ",\"id\":0", true}}},
    {TYPE_DISCONNECT, "", {{",\"code\":33", ",\"code\":\"33\"", true}}},
    {TYPE_REPLY,
     "x",
     {{",\"id\":1", ",\"id\":\"1\"", true},
      {",\"more\":false", ",\"more\":0", false}}},
    {TYPE_NOTICE,
     "",
     {{",\"kind\":\"joined\"", ",\"kind\":1", false},
      {",\"room\":\"den\"", ",\"room\":1", false},
      {",\"nick\":\"ann\"", ",\"nick\":1", false},
      {",\"room_seq\":4", ",\"room_seq\":\"4\"", false}}},
    {TYPE_NOTICE,
     "4",
     {{",\"kind\":\"lagged\"", ",\"kind\":{}", false},
      {",\"room\":\"den\"", ",\"room\":1", false},
      {",\"nick\":\"\"", ",\"nick\":1", false}}},
    {TYPE_ACK,
     "",
     {{",\"id\":1", ",\"id\":0", false},
      {",\"room_seq\":4", ",\"room_seq\":true", false}}},
};

/* All of its fields, but that the one at `at` is replaced. */
static enum error_code tell_form(const struct form *form, size_t at,
                                 const char *replaced)
{
    struct builder fields = {.length = 0};

    for (size_t i = 0; i < FIELDS_MAX && form->fields[i].field; i++)
        build_string(&fields, i == at ? replaced : form->fields[i].field);
    build_string(&fields, ",\"later\":{\"x\":[1e9]}");
    build_slice(&fields, SLICE("\0"));
    return tell_fields(form->type, fields.bytes, form->content);
}

static void test_every_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(forms); i++) {
        const struct form *form = &forms[i];

        expect("all", tell_form(form, FIELDS_MAX, ""), OK);
        for (size_t at = 0; at < FIELDS_MAX && form->fields[at].field; at++) {
            expect(form->fields[at].field, tell_form(form, at, ""),
                   form->fields[at].may_lack ? OK : WRONG);
            expect(form->fields[at].wrong,
                   tell_form(form, at, form->fields[at].wrong), WRONG);
        }
    }
}

#define PRIVATE                                                                \
    ",\"room\":\"@\",\"room_seq\":0,\"nick\":\"ann\",\"time\":9,"              \
    "\"content_type\":"

/* What is heard of an application that says it to one session alone. */
static void test_message_with_a_session_and_a_room(void **state)
{
    (void)state;
    assert_int_equal(
        tell_fields(TYPE_MESSAGE,
                    ",\"room\":\"den\",\"room_seq\":8,\"nick\":\"ann\","
                    "\"time\":9,\"content_type\":\"image/png\"",
                    "\x1b"),
        OK);
    assert_int_equal(heard.event.kind, EVENT_MESSAGE);
    assert_int_equal(heard.event.seq, 8);
    assert_int_equal(tell(), ERROR_REPLAY);
}

/* A private message has no place in a room, whatever it says. */
static void test_private_message(void **state)
{
    (void)state;
    assert_int_equal(
        tell_fields(TYPE_MESSAGE,
                    ",\"room\":\"@\",\"room_seq\":8,\"nick\":\"ann\","
                    "\"time\":9,\"content_type\":\"text/plain\"",
                    "x"),
        OK);
    assert_int_equal(heard.event.kind, EVENT_PRIVATE);
    assert_int_equal(heard.event.seq, 0);
    assert_int_equal(heard.event.room.length, 0);
    assert_int_equal(heard.event.time_us, 9);
}

/* Nothing that a terminal would obey, no name that is none. */
static void test_what_is_not_clean(void **state)
{
    (void)state;
    assert_int_equal(
        tell_fields(TYPE_MESSAGE, PRIVATE "\"text/plain\"", "\x1b[2J"),
        ERROR_BAD_TEXT);
    assert_int_equal(tell_fields(TYPE_REPLY, ",\"more\":true", "\xff"),
                     ERROR_BAD_TEXT);
    assert_int_equal(tell_fields(TYPE_WELCOME,
                                 ",\"nick\":\"a\\u001bb\",\"room\":\"den\"",
                                 ""),
                     ERROR_BAD_NAME);
    assert_int_equal(
        tell_fields(TYPE_WELCOME, ",\"nick\":\"ann\",\"room\":\"d n\"", ""),
        ERROR_BAD_NAME);
    assert_int_equal(
        tell_fields(TYPE_MESSAGE, PRIVATE "\"image/png\"", "\x1b[2J"), OK);
}

/* -- content -- */

static void test_contents(void **state)
{
    static const char *const lagged =
        ",\"kind\":\"lagged\",\"room\":\"den\",\"nick\":\"\"";

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(forms); i++) {
        unsigned type = forms[i].type;
        bool bare =
            type == TYPE_WELCOME || type == TYPE_HEARTBEAT || type == TYPE_ACK;
        struct form form = forms[i];

        form.content = "17";
        assert_int_equal(tell_form(&form, FIELDS_MAX, ""),
                         bare ? ERROR_BAD_FRAME : OK);
    }
    assert_int_equal(tell_fields(TYPE_NOTICE, lagged, "18446744073709551615"),
                     OK);
    assert_true(heard.event.number == UINT64_MAX);
    assert_int_equal(tell_fields(TYPE_NOTICE, lagged, ""), ERROR_BAD_FRAME);
    assert_int_equal(tell_fields(TYPE_NOTICE, lagged, "-1"), ERROR_BAD_FRAME);
    assert_int_equal(tell_fields(TYPE_NOTICE, lagged, "18446744073709551616"),
                     ERROR_BAD_FRAME);
}

/* -- types -- */

static void test_types_of_others(void **state)
{
    (void)state;
    for (unsigned type = 0; type <= 20; type++) {
        enum error_code error;

        if (type >= TYPE_SESSION_INIT && type <= TYPE_WELCOME &&
            type != TYPE_SESSION_ACK && type != TYPE_COMMAND)
            continue;
        error = tell_fields(type, "", "\x1b");
        if (type == TYPE_SESSION_ACK || type == TYPE_COMMAND) {
            assert_int_equal(error, ERROR_BAD_FRAME);
            continue;
        }
        assert_int_equal(error, OK);
        assert_int_equal(heard.event.kind, EVENT_OTHER);
        /* Perhaps it is a room's, and perhaps not. */
        assert_int_equal(tell(), ERROR_REPLAY);
        assert_int_equal(tell_headers(type, "{}", ""), OK);
    }
    assert_int_equal(
        tell_fields(TYPE_NOTICE,
                    ",\"kind\":\"moved\",\"room\":\"den\",\"nick\":\"\"", ""),
        OK);
    assert_int_equal(heard.event.kind, EVENT_OTHER);
}

/* -- whose it is -- */

#define SESSION "\"session\":\"" VECTOR_SESSION_TEXT "\""
#define OTHER_SESSION "\"session\":\"10111213-1415-1617-1819-1a1b1c1d1e1e\""
#define ROOM_MESSAGE                                                           \
    "\"room\":\"den\",\"room_seq\":4,\"nick\":\"ann\",\"time\":9,"             \
    "\"content_type\":\"text/plain\""
#define JOINED                                                                 \
    "\"kind\":\"joined\",\"room\":\"den\",\"nick\":\"ann\",\"room_seq\":4"

static void test_whose_it_is(void **state)
{
    static const struct {
        unsigned type;
        const char *headers;
        enum error_code error;
    } cases[] = {
        {TYPE_ACK, "{" SESSION ",\"seq\":7,\"id\":1,\"room_seq\":1}", OK},
        {TYPE_ACK, "{" SESSION ",\"seq\":6,\"id\":1,\"room_seq\":1}",
         ERROR_REPLAY},
        {TYPE_ACK, "{" OTHER_SESSION ",\"seq\":7,\"id\":1,\"room_seq\":1}",
         ERROR_REPLAY},
        {TYPE_ACK, "{\"seq\":7,\"id\":1,\"room_seq\":1}", WRONG},
        {TYPE_ACK, "{" SESSION ",\"id\":1,\"room_seq\":1}", WRONG},
        {TYPE_ACK, "{\"id\":1,\"room_seq\":1}", WRONG},
        {TYPE_HEARTBEAT, "{\"kind\":\"ping\",\"stamp\":1}", WRONG},
        {TYPE_WELCOME, "{\"nick\":\"ann\",\"room\":\"den\"}", WRONG},
        {TYPE_REPLY, "{\"more\":false}", WRONG},
        {TYPE_ERROR, "{\"code\":4,\"name\":\"usage\"}", WRONG},
        {TYPE_DISCONNECT, "{}", WRONG},
        {TYPE_NOTICE, "{\"kind\":\"lagged\",\"room\":\"den\",\"nick\":\"\"}",
         WRONG},
        {TYPE_MESSAGE,
         "{\"room\":\"@\",\"room_seq\":0,\"nick\":\"ann\",\"time\":9,"
         "\"content_type\":\"text/plain\"}",
         WRONG},
        {TYPE_MESSAGE, "{" ROOM_MESSAGE "}", OK},
        {TYPE_MESSAGE, "{" SESSION "," ROOM_MESSAGE "}", WRONG},
        {TYPE_MESSAGE, "{\"seq\":7," ROOM_MESSAGE "}", WRONG},
        {TYPE_MESSAGE, "{" SESSION ",\"seq\":7," ROOM_MESSAGE "}", OK},
        {TYPE_MESSAGE, "{" SESSION ",\"seq\":6," ROOM_MESSAGE "}",
         ERROR_REPLAY},
        {TYPE_MESSAGE, "{" OTHER_SESSION ",\"seq\":7," ROOM_MESSAGE "}",
         ERROR_REPLAY},
        {TYPE_NOTICE, "{" JOINED "}", OK},
        {TYPE_NOTICE, "{" SESSION ",\"seq\":6," JOINED "}", ERROR_REPLAY},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        ear_meet(&ear, true);
        ear.peer.seq_in_min = 7;
        expect(cases[i].headers,
               tell_headers(cases[i].type, cases[i].headers,
                            cases[i].type == TYPE_NOTICE ? "1" : ""),
               cases[i].error);
    }
}

/* What was heard once is not heard again, and nothing before it. */
static void test_replays(void **state)
{
    (void)state;
    ear_meet(&ear, true);
    for (uint64_t seq = 3; seq < 30; seq += 3) {
        message_tell(&message, TYPE_REPLY, seq, ",\"more\":false", SLICE("x"));
        assert_int_equal(tell(), OK);
        for (uint64_t old = 0; old <= seq; old++) {
            message_tell(&message, TYPE_REPLY, old, ",\"more\":false",
                         SLICE("x"));
            assert_int_equal(tell(), ERROR_REPLAY);
        }
    }
}

/* -- seals -- */

/* Of a session that has asked for encryption. */
static enum error_code tell_sealed_session(void)
{
    ear_meet(&ear, true);
    ear.peer.sealed = true;
    return tell();
}

static void check_in_the_clear(unsigned type, const char *fields,
                               const char *content, enum error_code expected)
{
    message_tell(&message, type, 1, fields, slice_of(content));
    assert_int_equal(tell_sealed_session(), expected);
    message_seal(&message, server, type, 1, fields, slice_of(content));
    assert_int_equal(tell_sealed_session(), OK);
}

static void test_what_may_be_in_the_clear(void **state)
{
    struct builder fields;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(forms); i++) {
        fields.length = 0;
        for (size_t j = 0; j < FIELDS_MAX && forms[i].fields[j].field; j++)
            build_string(&fields, forms[i].fields[j].field);
        build_slice(&fields, SLICE("\0"));
        check_in_the_clear(forms[i].type, fields.bytes, forms[i].content,
                           ERROR_BAD_HMAC);
    }
    check_in_the_clear(TYPE_ERROR, ",\"code\":33,\"name\":\"shutdown\"",
                       "shutdown", OK);
    check_in_the_clear(TYPE_ERROR, ",\"code\":6,\"name\":\"nick-in-use\"",
                       "nick-in-use", ERROR_BAD_HMAC);
    check_in_the_clear(99, "", "", ERROR_BAD_HMAC);
    message_write(&message, TYPE_MESSAGE, SLICE("{" ROOM_MESSAGE "}"),
                  SLICE("x"));
    assert_int_equal(tell_sealed_session(), ERROR_BAD_HMAC);
    /* Who has not asked for it hears it all the same. */
    message_seal(&message, server, TYPE_REPLY, 1, ",\"more\":false",
                 SLICE("x"));
    ear_meet(&ear, true);
    assert_int_equal(tell(), OK);
}

static void test_every_bit_of_a_seal(void **state)
{
    struct message sealed;
    size_t headers;

    (void)state;
    message_seal(&sealed, server, TYPE_REPLY, 1, ",\"more\":false",
                 SLICE("hello"));
    headers = load_u32(sealed.bytes + 12);
    for (size_t at = HEAD + headers; at < sealed.length; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            message = sealed;
            message.bytes[at] ^= (unsigned char)(1 << bit);
            message_mend(&message);
            assert_int_equal(tell_sealed_session(), ERROR_BAD_HMAC);
        }
    }
    message = sealed;
    assert_int_equal(tell_sealed_session(), OK);
    assert_true(slice_equals(heard.event.text, SLICE("hello")));
}

/* What a client has sealed is no server's, though it comes back with the same
 * key signed: a ping, for instance. */
static void test_own_messages_come_back(void **state)
{
    static const char ping[] = ",\"kind\":\"ping\",\"stamp\":1";
    struct keys *client = client_keys();

    (void)state;
    message_seal(&message, client, TYPE_HEARTBEAT, 1, ping, SLICE(""));
    assert_int_equal(tell_sealed_session(), ERROR_BAD_HMAC);
    message_seal(&message, server, TYPE_HEARTBEAT, 1, ping, SLICE(""));
    assert_int_equal(tell_sealed_session(), OK);
    keys_destroy(client);
}

/* Nobody can have sealed for a session that is not known yet: whatever the
 * peer's key is, it is none. */
static void test_seals_before_the_greeting(void **state)
{
    (void)state;
    ear_meet(&ear, false);
    memcpy(ear.peer.key, vector_server_key, SEAL_KEY_BYTES);
    message_seal(&message, server, TYPE_SESSION_INIT, 1, BOOT GREETING_FIELDS,
                 SLICE(""));
    assert_int_equal(tell(), ERROR_BAD_HMAC);
    assert_false(ear.decoder.greeted);
    ear_meet(&ear, false);
    message_seal(&message, server, TYPE_ERROR, 1,
                 ",\"code\":32,\"name\":\"server-full\"", SLICE("server-full"));
    assert_int_equal(tell(), ERROR_BAD_HMAC);
}

/* -- how long it may be -- */

static void test_lengths(void **state)
{
    static unsigned char head[HEAD] = {0x89, 'R',  'I', 'N', 'G', '\r',
                                       '\n', 0x1a, 0,   1,   0,   TYPE_REPLY};

    (void)state;
    for (unsigned over = 0; over < 2; over++) {
        store_u32(head + 12, HEADERS_BYTES_MAX + over);
        store_u32(head + 20, 0);
        ear_meet(&ear, true);
        ear_feed(&ear, head, sizeof(head));
        assert_int_equal(ear.over, over);
        store_u32(head + 12, HEADERS_BYTES_MAX);
        store_u32(head + 20, VECTOR_MESSAGE_BYTES_MAX + SEAL_TAG_BYTES + over);
        ear_meet(&ear, true);
        ear_feed(&ear, head, sizeof(head));
        assert_int_equal(ear.over, over);
    }
    ear_meet(&ear, true);
}

/* Sealed, as long as any may be, in pieces. */
static void test_longest(void **state)
{
    struct wire_config config = vector_config();
    static char text[4000];

    (void)state;
    ear_close(&ear);
    config.message_bytes_max = sizeof(text);
    ear_open(&ear, DIALECT_SECURE, &config);
    memset(text, 'x', sizeof(text));
    message_seal(&message, server, TYPE_REPLY, 1, ",\"more\":false",
                 (struct slice){text, sizeof(text)});
    for (size_t piece = 1; piece < message.length; piece += 97) {
        ear_meet(&ear, true);
        for (size_t at = 0; at < message.length; at += piece)
            ear_feed(&ear, message.bytes + at,
                     at + piece > message.length ? message.length - at : piece);
        assert_false(ear.over);
        assert_int_equal(ear.peer.seq_in_min, 2);
    }
    ear_close(&ear);
    ear_open(&ear, DIALECT_SECURE, NULL);
}

/* -- damage -- */

/* What it lacks then, by the lengths that it says, is zeros. */
static void feed_damaged(void)
{
    static const unsigned char zeros[VECTOR_MESSAGE_BYTES_MAX + 8192];

    ear_feed(&ear, message.bytes, message.length);
    if (!ear.over)
        ear_feed(&ear, zeros, wire_need(&ear.decoder));
}

/* Each bit of each message. Nothing is made of any. */
static void test_every_bit(void **state)
{
    static struct transcript transcript;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
        const char *name = vector_of("secure_out", vectors[i].name);
        bool greeting;

        if (!name)
            name = vector_of("sealed_out", vectors[i].name);
        if (!name)
            continue;
        greeting = strcmp(name, "session_init") == 0;
        for (size_t bit = 0; bit < 8 * vectors[i].length; bit++) {
            message.length = vectors[i].length;
            memcpy(message.bytes, vectors[i].bytes, message.length);
            message.bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
            ear_meet(&ear, !greeting);
            ear.transcript = &transcript;
            transcript.length = 0;
            feed_damaged();
            assert_true(ear.over);
            /* The error, and no more. */
            assert_int_equal(transcript.length, 3 * sizeof(uint64_t));
            assert_int_equal(ear.peer.seq_in_min, 0);
            assert_int_equal(ear.decoder.greeted, !greeting);
        }
    }
    ear.transcript = NULL;
}

/* -- streams -- */

static void add_event(struct transcript *stream, struct wire *wire,
                      enum encoding encoding, struct wire_peer *to,
                      const struct event *event)
{
    static unsigned char bytes[4096];
    struct outgoing outgoing;
    size_t size = wire_prepare(wire, encoding, to, event, &outgoing);

    assert_true(size <= sizeof(bytes));
    assert_non_null(wire_write(wire, &outgoing, bytes));
    transcript_add(stream, bytes, size);
}

/* A whole session, in the clear or sealed, as a server says it. */
static void check_session(enum encoding encoding)
{
    static struct transcript stream, expected;
    static struct becoming becoming;
    struct station station;
    struct event greeting = {.kind = EVENT_SESSION_INIT};

    station_open(&station, DIALECT_SECURE, NULL);
    stream.length = expected.length = 0;
    add_event(&stream, station.wire, ENCODING_SECURE, &station.peer, &greeting);
    transcript_add_event(&expected, &greeting);
    for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
        const char *name = vector_of("sealed_out", vectors[i].name);
        struct event said, event;

        if (!name)
            continue;
        said = vector_event(name);
        add_event(&stream, station.wire, encoding,
                  said.kind <= EVENT_TOPIC ? NULL : &station.peer, &said);
        event = event_as_heard(encoding, &said, &becoming);
        drop_what_is_not_said(&event);
        transcript_add_event(&expected, &event);
    }
    assert_true(transcript_equals(
        hear_every_cut(&ear, false, stream.bytes, stream.length), &expected));
    station_close(&station);
}

static void test_sessions_cut_everywhere(void **state)
{
    (void)state;
    check_session(ENCODING_SECURE);
    check_session(ENCODING_SEALED);
}

/* -- memory -- */

/* It fails, or what is heard is right; and the next message is heard. */
static void test_without_memory(void **state)
{
    unsigned n = 0;
    bool reached;

    (void)state;
    message_seal(&message, server, TYPE_REPLY, 1, ",\"more\":false",
                 SLICE("hello"));
    do {
        unsigned long before = alloc_count();
        enum error_code error;

        ear_meet(&ear, true);
        alloc_fail_at(++n);
        error = tell();
        reached = alloc_count() - before >= n;
        alloc_fail_at(0);
        if (error == OK)
            assert_true(slice_equals(heard.event.text, SLICE("hello")));
        else
            assert_true(reached && error == ERROR_INTERNAL);
        ear_meet(&ear, true);
        assert_int_equal(tell(), OK);
    } while (reached);
    assert_true(n > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_vectors),
        cmocka_unit_test(test_greeting),
        cmocka_unit_test(test_greetings_that_are_none),
        cmocka_unit_test(test_what_comes_first),
        cmocka_unit_test(test_greeted_without_memory),
        cmocka_unit_test(test_every_field),
        cmocka_unit_test(test_message_with_a_session_and_a_room),
        cmocka_unit_test(test_private_message),
        cmocka_unit_test(test_what_is_not_clean),
        cmocka_unit_test(test_contents),
        cmocka_unit_test(test_types_of_others),
        cmocka_unit_test(test_whose_it_is),
        cmocka_unit_test(test_replays),
        cmocka_unit_test(test_what_may_be_in_the_clear),
        cmocka_unit_test(test_every_bit_of_a_seal),
        cmocka_unit_test(test_own_messages_come_back),
        cmocka_unit_test(test_seals_before_the_greeting),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_every_bit),
        cmocka_unit_test(test_sessions_cut_everywhere),
        cmocka_unit_test(test_without_memory),
    };

    crypto_memory_can_fail();
    return cmocka_run_group_tests(tests, open_ear, close_ear);
}

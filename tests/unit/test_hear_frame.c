/*
 * Frames from a server: the golden vectors, each type with each length of its
 * body, what may come first, what is not clean, how long a frame may be and
 * where it may be cut.
 */
#include "common/wire/hear.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/bytes.h"
#include "common/wire/internal.h"
#include "tests/unit/support_alloc.h"
#include "tests/unit/support_hear.h"
#include "tests/unit/support_text.h"
#include "vectors.h"

#include <string.h>

#define HEAD 4

struct frame {
    size_t length;
    unsigned char bytes[HEAD + 65535];
};

static struct frame frame;
static struct ear ear;

static int open_ear(void **state)
{
    struct wire_config config = vector_config();

    (void)state;
    config.frame_bytes_max = 65535;
    ear_open(&ear, DIALECT_FRAME, &config);
    return 0;
}

static int close_ear(void **state)
{
    (void)state;
    ear_close(&ear);
    return 0;
}

static void frame_begin(unsigned type)
{
    store_u16(frame.bytes, type);
    store_u16(frame.bytes + 2, 0);
    frame.length = HEAD;
}

static void frame_add(const void *bytes, size_t length)
{
    assert_true(length <= sizeof(frame.bytes) - frame.length);
    if (length > 0)
        memcpy(frame.bytes + frame.length, bytes, length);
    frame.length += length;
    store_u16(frame.bytes + 2, (unsigned)(frame.length - HEAD));
}

static void frame_add_str8(struct slice string)
{
    unsigned char length = (unsigned char)string.length;

    frame_add(&length, 1);
    frame_add(string.bytes, string.length);
}

static void write_message(struct slice room, struct slice nick,
                          struct slice text)
{
    frame_begin(TYPE_MESSAGE);
    frame_add("\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0\t", 16);
    frame_add_str8(room);
    frame_add_str8(nick);
    frame_add(text.bytes, text.length);
}

static void write_notice(unsigned char kind, struct slice room,
                         struct slice nick, struct slice text)
{
    frame_begin(TYPE_NOTICE);
    frame_add(&kind, 1);
    frame_add_str8(room);
    frame_add_str8(nick);
    frame_add(text.bytes, text.length);
}

static enum error_code tell(bool greeted, struct heard *heard)
{
    ear_meet(&ear, greeted);
    return ear_tell(&ear, frame.bytes, frame.length, heard);
}

/* -- what is whole -- */

/* What the vectors have in common and this one has not. */
static void drop_what_is_not_said(struct event *event)
{
    bool named = event->kind == EVENT_WELCOME || event->kind <= EVENT_TOPIC;
    bool timed = event->kind == EVENT_MESSAGE || event->kind == EVENT_PRIVATE;

    if (!named && event->kind != EVENT_LAGGED)
        event->room = SLICE("");
    if (!named && event->kind != EVENT_PRIVATE)
        event->nick = SLICE("");
    if (!timed)
        event->time_us = 0;
}

static void test_golden_vectors(void **state)
{
    static struct becoming becoming;
    size_t count = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
        const char *name = vector_of("frame_out", vectors[i].name);
        struct event said, expected;
        struct heard heard;

        if (!name)
            continue;
        said = vector_event(name);
        expected = event_as_heard(ENCODING_FRAME, &said, &becoming);
        drop_what_is_not_said(&expected);
        ear_meet(&ear, said.kind != EVENT_SESSION_INIT);
        assert_int_equal(
            ear_tell(&ear, vectors[i].bytes, vectors[i].length, &heard),
            ERROR_NONE);
        assert_events_equal(&heard.event, &expected);
        count++;
    }
    assert_int_equal(count, 18);
}

static void test_greeting(void **state)
{
    struct heard heard;

    (void)state;
    ear_meet(&ear, false);
    assert_int_equal(ear_tell(&ear, vector_frame_out_session_init,
                              sizeof(vector_frame_out_session_init), &heard),
                     ERROR_NONE);
    assert_memory_equal(heard.greeting.session, vector_session, UUID_BYTES);
    assert_int_equal(heard.greeting.heartbeat_s, VECTOR_HEARTBEAT_S);
    assert_int_equal(heard.greeting.bytes_max, VECTOR_FRAME_BYTES_MAX);
    /* There is one. */
    assert_int_equal(ear_tell(&ear, vector_frame_out_session_init,
                              sizeof(vector_frame_out_session_init), NULL),
                     ERROR_HANDSHAKE);
}

static void test_versions(void **state)
{
    (void)state;
    for (unsigned version = 0; version < 256; version++) {
        frame.length = sizeof(vector_frame_out_session_init);
        memcpy(frame.bytes, vector_frame_out_session_init, frame.length);
        frame.bytes[HEAD] = (unsigned char)version;
        assert_int_equal(tell(false, NULL),
                         version == 1 ? ERROR_NONE : ERROR_BAD_VERSION);
        /* What follows another version may have another form. */
        frame_add("?", 1);
        assert_int_equal(tell(false, NULL),
                         version == 1 ? ERROR_BAD_FRAME : ERROR_BAD_VERSION);
    }
}

/* -- streams -- */

static void test_streams_cut_everywhere(void **state)
{
    static struct transcript stream, expected;
    struct heard heard;

    (void)state;
    stream.length = expected.length = 0;
    ear_meet(&ear, false);
    for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
        if (!vector_of("frame_out", vectors[i].name))
            continue;
        transcript_add(&stream, vectors[i].bytes, vectors[i].length);
        assert_int_equal(
            ear_tell(&ear, vectors[i].bytes, vectors[i].length, &heard),
            ERROR_NONE);
        transcript_add_event(&expected, &heard.event);
    }
    write_message(SLICE("den"), SLICE("bob"), SLICE("\x1b[2J"));
    transcript_add(&stream, frame.bytes, frame.length);
    transcript_add_error(&expected, ERROR_BAD_TEXT, 0);
    frame_begin(99);
    frame_add("of a later protocol", 19);
    transcript_add(&stream, frame.bytes, frame.length);
    transcript_add_event(&expected, &(struct event){.kind = EVENT_OTHER});
    assert_true(transcript_equals(
        hear_every_cut(&ear, false, stream.bytes, stream.length), &expected));
    /* What closes, and what is not read after that. */
    frame_begin(TYPE_COMMAND);
    frame_add("\0\0\0\1who", 7);
    transcript_add(&stream, frame.bytes, frame.length);
    transcript_add(&stream, frame.bytes, frame.length);
    transcript_add_error(&expected, ERROR_BAD_FRAME, 0);
    assert_true(transcript_equals(
        hear_every_cut(&ear, false, stream.bytes, stream.length), &expected));
}

/* -- bodies -- */

/* Of the body `01 00 x 14, 03 'd' 'e' 'n' 03 'b' 'o' 'b' 'x'`, `length` bytes
 * long. */
static enum error_code body_refusal(unsigned type, size_t length)
{
    size_t least = 0, most = SIZE_MAX;

    switch (type) {
    case 1:
        return ERROR_HANDSHAKE; /* there has been one */
    case 2:
    case 7:
        return ERROR_BAD_FRAME;
    case 3:
        least = most = 9;
        break;
    case 4:
        least = 24;
        break;
    case 5:
        least = 6;
        break;
    case 6:
        least = 2;
        break;
    case 8:
        least = 5;
        break;
    case 9:
        least = 3; /* two empty names, which are none: see below */
        break;
    case 10:
        least = most = 12;
        break;
    case 11:
        least = SIZE_MAX; /* it would begin with a name of one byte */
        break;
    default:
        return ERROR_NONE;
    }
    if (length < least || length > most)
        return ERROR_BAD_FRAME;
    if (type == 8 && length > 5)
        return ERROR_BAD_TEXT; /* of an error, the name is not looked at */
    return type == 9 ? ERROR_BAD_NAME : ERROR_NONE;
}

static void test_every_type_and_length(void **state)
{
    static const char body[] = "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\3den\3bobx";

    (void)state;
    for (unsigned type = 0; type <= 0xffff; type++) {
        size_t step = type < 300 ? 1 : sizeof(body) / 2;

        for (size_t length = 0; length < sizeof(body); length += step) {
            bool welcome = type == 11 && length == 3; /* 01 00 00 */

            frame_begin(type);
            frame_add(body, length);
            assert_int_equal(tell(true, NULL),
                             welcome ? ERROR_BAD_NAME
                                     : body_refusal(type, length));
        }
    }
}

/* One byte less or more than what the type says. */
static void test_vectors_cut_short(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
        const char *name = vector_of("frame_out", vectors[i].name);
        bool first;

        if (!name)
            continue;
        first = strcmp(name, "session_init") == 0;
        for (size_t length = HEAD; length < vectors[i].length; length++) {
            enum error_code error;

            memcpy(frame.bytes, vectors[i].bytes, vectors[i].length);
            store_u16(frame.bytes + 2, (unsigned)(length - HEAD));
            frame.length = length;
            error = tell(!first, NULL);
            /* What is left may be a shorter text, or none, which is no
             * name. */
            assert_true(error == ERROR_BAD_FRAME || error == ERROR_BAD_NAME ||
                        (error == ERROR_NONE && !first));
        }
    }
}

static void test_kinds_of_heartbeats_and_replies(void **state)
{
    unsigned char body[9] = {0};
    struct heard heard;

    (void)state;
    for (unsigned kind = 0; kind < 256; kind++) {
        body[0] = (unsigned char)kind;
        body[8] = 7;
        frame_begin(TYPE_HEARTBEAT);
        frame_add(body, sizeof(body));
        assert_int_equal(tell(true, &heard),
                         kind > 1 ? ERROR_BAD_FRAME : ERROR_NONE);
        if (kind <= 1) {
            assert_int_equal(heard.event.kind, kind ? EVENT_PONG : EVENT_PING);
            assert_true(heard.event.number == 7);
        }
        frame_begin(TYPE_REPLY);
        frame_add("\0\0\0\5", 4);
        frame_add(body, 1);
        frame_add("text", 4);
        assert_int_equal(tell(true, &heard),
                         kind > 1 ? ERROR_BAD_FRAME : ERROR_NONE);
        if (kind <= 1) {
            assert_int_equal(heard.event.more, kind);
            assert_int_equal(heard.event.id, 5);
        }
    }
}

static void test_kinds_of_notices(void **state)
{
    static const enum event_kind kinds[] = {
        EVENT_OTHER, EVENT_JOINED, EVENT_LEFT,
        EVENT_NICK,  EVENT_TOPIC,  EVENT_LAGGED,
    };
    struct heard heard;

    (void)state;
    for (unsigned kind = 0; kind < 256; kind++) {
        write_notice((unsigned char)kind, SLICE("den"), SLICE("bob"),
                     SLICE("18"));
        if (kind == 3)
            write_notice(3, SLICE("den"), SLICE("bob"), SLICE("carl"));
        assert_int_equal(tell(true, &heard), ERROR_NONE);
        assert_int_equal(heard.event.kind,
                         kind < 6 ? kinds[kind] : EVENT_OTHER);
        if (heard.event.kind == EVENT_OTHER)
            assert_int_equal(heard.event.room.length, 0);
        if (heard.event.kind == EVENT_LAGGED)
            assert_true(heard.event.number == 18);
    }
}

static void test_numbers_of_missed_messages(void **state)
{
    static const struct {
        const char *text;
        enum error_code error;
        uint64_t number;
    } texts[] = {
        {"0", ERROR_NONE, 0},
        {"007", ERROR_NONE, 7},
        {"18446744073709551615", ERROR_NONE, UINT64_MAX},
        {"18446744073709551616", ERROR_BAD_FRAME, 0},
        {"99999999999999999999", ERROR_BAD_FRAME, 0},
        {"", ERROR_BAD_FRAME, 0},
        {"-1", ERROR_BAD_FRAME, 0},
        {"1 ", ERROR_BAD_FRAME, 0},
    };
    struct heard heard;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        write_notice(5, SLICE("den"), SLICE(""), slice_of(texts[i].text));
        assert_int_equal(tell(true, &heard), texts[i].error);
        if (texts[i].error == ERROR_NONE)
            assert_true(heard.event.number == texts[i].number);
    }
}

/* The detail is what follows the name, whatever that is; a code is any. */
static void test_errors(void **state)
{
    static const struct {
        const char *text, *detail;
    } texts[] = {
        {"bad-name", ""},       {"bad-name ", ""}, {"bad-name no: 9", "no: 9"},
        {"later-error x", "x"}, {"", ""},
    };
    struct heard heard;

    (void)state;
    for (unsigned code = 0; code <= 0xffff; code++) {
        size_t i = code % ARRAY_LENGTH(texts);
        unsigned char bytes[2];

        store_u16(bytes, code);
        frame_begin(TYPE_ERROR);
        frame_add(bytes, sizeof(bytes));
        frame_add("\0\0\0\3", 4);
        frame_add(texts[i].text, strlen(texts[i].text));
        assert_int_equal(tell(true, &heard),
                         code == 0 ? ERROR_BAD_FRAME : ERROR_NONE);
        if (code == 0)
            continue;
        assert_int_equal(heard.event.code, code);
        assert_int_equal(heard.event.id, 3);
        assert_true(slice_equals(heard.event.text, slice_of(texts[i].detail)));
    }
}

/* -- names and texts -- */

static void test_names(void **state)
{
    static const char *const none[] = {
        "",
        "9",
        "a b",
        "a:b",
        "\x1b[2J",
        "#den",
        "abcdefghijklmnopqrstuvwxyz-abcdefg",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(none); i++) {
        struct slice name = slice_of(none[i]);
        bool room = strcmp(none[i], "9") == 0;

        write_message(SLICE("den"), name, SLICE("x"));
        assert_int_equal(tell(true, NULL), ERROR_BAD_NAME);
        write_message(SLICE("@"), name, SLICE("x"));
        assert_int_equal(tell(true, NULL), ERROR_BAD_NAME);
        write_message(name, SLICE("bob"), SLICE("x"));
        assert_int_equal(tell(true, NULL), room ? ERROR_NONE : ERROR_BAD_NAME);
        write_notice(1, name, SLICE("bob"), SLICE(""));
        assert_int_equal(tell(true, NULL), room ? ERROR_NONE : ERROR_BAD_NAME);
        write_notice(5, name, SLICE(""), SLICE("1"));
        assert_int_equal(tell(true, NULL), room ? ERROR_NONE : ERROR_BAD_NAME);
        write_notice(3, SLICE("den"), SLICE("bob"), name);
        assert_int_equal(tell(true, NULL), ERROR_BAD_NAME);
        frame_begin(TYPE_WELCOME);
        frame_add_str8(name);
        frame_add_str8(SLICE("lobby"));
        assert_int_equal(tell(true, NULL), ERROR_BAD_NAME);
    }
}

/* Of one and two bytes, wherever a text is. */
static void test_texts(void **state)
{
    (void)state;
    for (unsigned pair = 0; pair <= 0xffff; pair++) {
        unsigned char bytes[2];
        struct slice text = {(const char *)bytes, 2};
        enum error_code refusal;

        store_u16(bytes, pair);
        refusal = is_clean_text(bytes, 2) ? ERROR_NONE : ERROR_BAD_TEXT;
        write_message(SLICE("den"), SLICE("bob"), text);
        assert_int_equal(tell(true, NULL), refusal);
        write_notice(4, SLICE("den"), SLICE("bob"), text);
        assert_int_equal(tell(true, NULL), refusal);
        frame_begin(TYPE_REPLY);
        frame_add("\0\0\0\1\0", 5);
        frame_add(bytes, 2);
        assert_int_equal(tell(true, NULL), refusal);
        frame_begin(TYPE_ERROR);
        frame_add("\0\4\0\0\0\1usage ", 12);
        frame_add(bytes, 2);
        assert_int_equal(tell(true, NULL), refusal);
    }
}

/* -- before the greeting, and limits -- */

/* Its type is refused when it is there, before any length or body. */
static void test_strangers_of_every_type(void **state)
{
    (void)state;
    for (unsigned type = 0; type <= 0xffff; type++) {
        unsigned char head[2];

        if (type == TYPE_SESSION_INIT || type == TYPE_ERROR)
            continue;
        store_u16(head, type);
        ear_meet(&ear, false);
        ear_feed(&ear, head, 1);
        assert_false(ear.over);
        ear_feed(&ear, head + 1, 1);
        assert_true(ear.over);
    }
    frame_begin(TYPE_ERROR);
    frame_add("\0\40\0\0\0\0server-full", 17);
    assert_int_equal(tell(false, NULL), ERROR_NONE);
}

static void test_longest_frames(void **state)
{
    static const uint32_t limits[] = {23, 100, 4096, 65534, 65535};
    static char text[65535];
    struct wire_config config = vector_config();

    (void)state;
    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < ARRAY_LENGTH(limits); i++) {
        ear_close(&ear);
        config.frame_bytes_max = limits[i];
        ear_open(&ear, DIALECT_FRAME, &config);
        frame_begin(TYPE_REPLY);
        frame_add("\0\0\0\1\0", 5);
        frame_add(text, limits[i] - 5);
        assert_int_equal(tell(true, NULL), ERROR_NONE);
        if (limits[i] == 65535)
            continue;
        frame_add("a", 1);
        /* Said of the head, before any of the body. */
        ear_meet(&ear, true);
        ear_feed(&ear, frame.bytes, HEAD);
        assert_true(ear.over);
    }
}

/* -- memory -- */

static void test_memory(void **state)
{
    struct heard heard;
    unsigned long before;
    enum error_code error = ERROR_NONE;
    const unsigned char *at = frame.bytes;
    size_t length;

    (void)state;
    write_message(SLICE("den"), SLICE("bob"), SLICE("hello"));
    ear_meet(&ear, true);
    before = alloc_count();
    assert_int_equal(ear_tell(&ear, frame.bytes, frame.length, &heard),
                     ERROR_NONE);
    assert_ptr_equal(heard.event.text.bytes, frame.bytes + frame.length - 5);
    assert_int_equal(alloc_count(), before);
    length = frame.length - 1;
    alloc_fail_at(1);
    assert_int_equal(wire_hear(ear.wire, &ear.decoder, &ear.peer, &at, &length,
                               &heard, &error),
                     WIRE_INVALID);
    alloc_fail_at(0);
    assert_int_equal(error, ERROR_INTERNAL);
}

/* A frame never ends with the stream. */
static void test_end(void **state)
{
    struct heard heard;
    enum error_code error = ERROR_NONE;

    (void)state;
    write_message(SLICE("den"), SLICE("bob"), SLICE("hello"));
    ear_meet(&ear, true);
    ear_feed(&ear, frame.bytes, frame.length - 1);
    assert_int_equal(wire_hear_end(ear.wire, &ear.decoder, &heard, &error),
                     WIRE_PARTIAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_vectors),
        cmocka_unit_test(test_greeting),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_streams_cut_everywhere),
        cmocka_unit_test(test_every_type_and_length),
        cmocka_unit_test(test_vectors_cut_short),
        cmocka_unit_test(test_kinds_of_heartbeats_and_replies),
        cmocka_unit_test(test_kinds_of_notices),
        cmocka_unit_test(test_numbers_of_missed_messages),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_strangers_of_every_type),
        cmocka_unit_test(test_longest_frames),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_end),
    };

    return cmocka_run_group_tests(tests, open_ear, close_ear);
}

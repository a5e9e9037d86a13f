/*
 * What goes to a peer: the golden vectors of all encodings, and events of every
 * kind with names, texts and numbers from the least to the longest. Exactly
 * the bytes are written that wire_prepare has said; those of `frame` are what
 * docs/protocol.md says. What `secure` messages say is in test_signed.c, lines
 * are in test_text.c.
 */
#include "common/wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/bytes.h"
#include "common/base/limits.h"
#include "tests/unit/support_wire.h"
#include "vectors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct station station;

static int open_station(void **state)
{
    (void)state;
    station_open(&station, DIALECT_FRAME, NULL);
    return 0;
}

static int close_station(void **state)
{
    (void)state;
    station_close(&station);
    return 0;
}

static bool is_to_room(enum event_kind kind)
{
    return kind <= EVENT_TOPIC;
}

static bool has_text_form(enum event_kind kind)
{
    return kind <= EVENT_WELCOME;
}

/* What is encoded, in memory of exactly its size. */
struct encoded {
    unsigned char *bytes;
    size_t size;
};

static struct encoded encode(enum encoding encoding, const struct event *event)
{
    struct wire_peer *to = is_to_room(event->kind) ? NULL : &station.peer;
    struct wire_peer before = station.peer;
    struct outgoing outgoing;
    struct encoded encoded;

    encoded.size = wire_prepare(station.wire, encoding, to, event, &outgoing);
    assert_in_range(encoded.size, 1, RECORD_BYTES_MAX);
    assert_memory_equal(&station.peer, &before, sizeof(before));
    encoded.bytes = malloc(encoded.size);
    assert_non_null(encoded.bytes);
    assert_ptr_equal(wire_write(station.wire, &outgoing, encoded.bytes),
                     encoded.bytes + encoded.size);
    return encoded;
}

/* -- golden vectors -- */

static size_t check_golden(const char *group, enum encoding encoding)
{
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
        const char *name = vector_of(group, vectors[i].name);
        struct encoded encoded;
        struct event event;

        if (!name)
            continue;
        /* A new wire: the first iv. */
        open_station(NULL);
        event = vector_event(name);
        encoded = encode(encoding, &event);
        if (encoded.size != vectors[i].length ||
            memcmp(encoded.bytes, vectors[i].bytes, encoded.size) != 0)
            fail_msg("%s is another", vectors[i].name);
        free(encoded.bytes);
        close_station(NULL);
        count++;
    }
    return count;
}

static void test_golden_vectors(void **state)
{
    (void)state;
    close_station(NULL);
    assert_int_equal(check_golden("text_out", ENCODING_TEXT), 13);
    assert_int_equal(check_golden("frame_out", ENCODING_FRAME), 18);
    assert_int_equal(check_golden("secure_out", ENCODING_SECURE), 18);
    assert_int_equal(check_golden("sealed_out", ENCODING_SEALED), 17);
    open_station(NULL);
}

/* -- frames, as plainly as they are said to be -- */

struct frame {
    size_t length;
    unsigned char bytes[4 + 65535];
};

static void add(struct frame *frame, const void *bytes, size_t length)
{
    assert_true(frame->length + length <= sizeof(frame->bytes));
    if (length > 0)
        memcpy(frame->bytes + frame->length, bytes, length);
    frame->length += length;
}

/* In `bytes` bytes. */
static void add_number(struct frame *frame, uint64_t number, size_t bytes)
{
    for (size_t i = bytes; i > 0; i--) {
        unsigned char byte = (unsigned char)(number >> 8 * (i - 1));

        add(frame, &byte, 1);
    }
}

static void add_str8(struct frame *frame, struct slice string)
{
    add_number(frame, string.length, 1);
    add(frame, string.bytes, string.length);
}

/* The text, or what takes its place if it is none or there is no room. */
static void add_content(struct frame *frame, const struct event *event)
{
    struct slice type = event->content_type;
    char instead[256];
    int length;

    if (type.length == 0)
        type = SLICE("text/plain; charset=utf-8");
    if (strncasecmp(type.bytes, "text/", 5) == 0 &&
        frame->length + event->text.length <= sizeof(frame->bytes)) {
        add(frame, event->text.bytes, event->text.length);
        return;
    }
    length = snprintf(instead, sizeof(instead), "sent %.*s (%zu bytes)",
                      (int)type.length, type.bytes, event->text.length);
    add(frame, instead, (size_t)length);
}

static void add_message(struct frame *frame, const struct event *event,
                        uint64_t seq, struct slice room)
{
    add_number(frame, seq, 8);
    add_number(frame, event->time_us, 8);
    add_str8(frame, room);
    add_str8(frame, event->nick);
    add_content(frame, event);
}

static void add_notice(struct frame *frame, const struct event *event,
                       unsigned kind)
{
    char missed[32];
    int length;

    add_number(frame, kind, 1);
    add_str8(frame, event->room);
    add_str8(frame, event->nick);
    if (kind == 3 || kind == 4)
        add_content(frame, event);
    if (kind == 5) {
        length = snprintf(missed, sizeof(missed), "%" PRIu64, event->number);
        add(frame, missed, (size_t)length);
    }
}

static void add_reply(struct frame *frame, const struct event *event)
{
    add_number(frame, event->id, 4);
    add_number(frame, event->more, 1);
    if (event->kind == EVENT_TOPIC_REPLY) {
        add(frame, "topic ", 6);
        add(frame, event->room.bytes, event->room.length);
        add(frame, ": ", 2);
    }
    add_content(frame, event);
}

static void add_error(struct frame *frame, const struct event *event)
{
    const char *name = error_name(event->code);

    add_number(frame, event->code, 2);
    add_number(frame, event->id, 4);
    add(frame, name, strlen(name));
    add(frame, " ", event->text.length > 0);
    add(frame, event->text.bytes, event->text.length);
}

static void add_session_init(struct frame *frame)
{
    add_number(frame, 1, 1);
    add(frame, station.peer.uuid, UUID_BYTES);
    add_number(frame, VECTOR_HEARTBEAT_S, 2);
    add_number(frame, VECTOR_FRAME_BYTES_MAX, 4);
}

static void add_body(struct frame *frame, const struct event *event)
{
    switch (event->kind) {
    case EVENT_MESSAGE:
        add_message(frame, event, event->seq, event->room);
        break;
    case EVENT_PRIVATE:
        add_message(frame, event, 0, SLICE("@"));
        break;
    case EVENT_JOINED:
    case EVENT_LEFT:
    case EVENT_NICK:
    case EVENT_TOPIC:
    case EVENT_LAGGED:
        add_notice(frame, event, event->kind - EVENT_JOINED + 1);
        break;
    case EVENT_REPLY:
    case EVENT_ECHO:
    case EVENT_TOPIC_REPLY:
        add_reply(frame, event);
        break;
    case EVENT_ERROR:
        add_error(frame, event);
        break;
    case EVENT_WELCOME:
        add_str8(frame, event->nick);
        add_str8(frame, event->room);
        break;
    case EVENT_SESSION_INIT:
        add_session_init(frame);
        break;
    case EVENT_PING:
    case EVENT_PONG:
        add_number(frame, event->kind == EVENT_PONG, 1);
        add_number(frame, event->number, 8);
        break;
    case EVENT_ACK:
        add_number(frame, event->id, 4);
        add_number(frame, event->seq, 8);
        break;
    case EVENT_DISCONNECT:
        add_number(frame, 0, 2);
        break;
    case EVENT_OTHER:
        fail_msg("nobody says that");
    }
}

static void check_frame(const struct event *event)
{
    static const unsigned char types[] = {
        [EVENT_MESSAGE] = 4,      [EVENT_JOINED] = 9,      [EVENT_LEFT] = 9,
        [EVENT_NICK] = 9,         [EVENT_TOPIC] = 9,       [EVENT_LAGGED] = 9,
        [EVENT_PRIVATE] = 4,      [EVENT_REPLY] = 8,       [EVENT_ECHO] = 8,
        [EVENT_ERROR] = 5,        [EVENT_TOPIC_REPLY] = 8, [EVENT_WELCOME] = 11,
        [EVENT_SESSION_INIT] = 1, [EVENT_PING] = 3,        [EVENT_PONG] = 3,
        [EVENT_ACK] = 10,         [EVENT_DISCONNECT] = 6,
    };
    static struct frame frame;
    struct encoded encoded = encode(ENCODING_FRAME, event);

    frame.length = 4;
    add_body(&frame, event);
    store_u16(frame.bytes, types[event->kind]);
    store_u16(frame.bytes + 2, (unsigned)(frame.length - 4));
    assert_int_equal(encoded.size, frame.length);
    assert_memory_equal(encoded.bytes, frame.bytes, frame.length);
    free(encoded.bytes);
}

/* -- events from the least to the longest -- */

static void check_event(const struct event *event)
{
    check_frame(event);
    for (enum encoding e = ENCODING_TEXT; e < ENCODINGS; e++) {
        if (e != ENCODING_TEXT || has_text_form(event->kind))
            free(encode(e, event).bytes);
    }
}

/* Of every kind; a content type is a message's alone. */
static void check_events(struct event event)
{
    struct slice type = event.content_type;

    for (enum event_kind kind = 0; kind <= EVENT_DISCONNECT; kind++) {
        event.kind = kind;
        event.content_type = (struct slice){NULL, 0};
        if (kind == EVENT_MESSAGE || kind == EVENT_PRIVATE)
            event.content_type = type;
        event.more = false;
        check_event(&event);
        event.more = true;
        check_event(&event);
    }
}

static void test_names(void **state)
{
    static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEF";
    static const size_t rooms[] = {0, 1, ROOM_NAME_BYTES_MAX};
    static const size_t nicks[] = {0, 1, NICK_BYTES_MAX};
    struct event event = {.text = SLICE("x"), .code = ERROR_NO_ROOM, .id = 1};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rooms); i++) {
        for (size_t j = 0; j < ARRAY_LENGTH(nicks); j++) {
            event.room = (struct slice){name, rooms[i]};
            event.nick = (struct slice){name, nicks[j]};
            check_events(event);
        }
    }
}

static void test_numbers(void **state)
{
    static const uint64_t numbers[] = {
        0, 1, 9, 10, UINT32_MAX, (UINT64_C(1) << 53) - 1, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        struct event event = {
            .room = SLICE("r"),
            .nick = SLICE("n"),
            .text = SLICE(""),
            .seq = numbers[i],
            .time_us = numbers[i],
            .number = numbers[i],
            .id = (uint32_t)numbers[i],
            .code = ERROR_INTERNAL,
        };

        check_events(event);
    }
}

/* All that can be long is. */
static void test_longest_headers(void **state)
{
    char type[CONTENT_TYPE_BYTES_MAX];
    struct event event = {
        .room = SLICE("abcdefghijklmnopqrstuvwxyzabcdef"),
        .nick = SLICE("abcdefghijklmnopqrstuvwx"),
        .content_type = {type, sizeof(type)},
        .seq = UINT64_MAX,
        .time_us = UINT64_MAX,
        .number = UINT64_MAX,
        .id = UINT32_MAX,
        .code = ERROR_UNKNOWN_COMMAND,
    };

    (void)state;
    memset(type, '"', sizeof(type));
    station.peer.seq_out = UINT64_MAX - 1000;
    check_events(event);
    memset(type, '\\', sizeof(type));
    check_events(event);
    station.peer.seq_out = 0;
}

static void test_errors(void **state)
{
    struct event event = {.kind = EVENT_ERROR};

    (void)state;
#define X(name, number, text_, closes)                                         \
    event.code = ERROR_##name;                                                 \
    check_event(&event);
    ERROR_TABLE(X)
    event.text = SLICE("what is wrong with it");
    ERROR_TABLE(X)
#undef X
}

static void test_contents(void **state)
{
    static const char *const types[] = {
        "",           "text/plain",  "text/plain; charset=utf-8",
        "TEXT/html",  "image/png",   "text/",
        "text",       "Text /plain", "x",
        "\"quoted\"", "a\\b",
    };
    struct event event = {.room = SLICE("r"),
                          .nick = SLICE("n"),
                          .text = SLICE("\x89PNG\n\0\xff"),
                          .code = ERROR_USAGE};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        event.content_type = slice_of(types[i]);
        check_events(event);
    }
}

/* The longest text that a frame has room for, and one byte more. */
static void test_texts_that_fill_a_frame(void **state)
{
    static const struct {
        enum event_kind kind;
        size_t others; /* bytes of the body before the text */
    } kinds[] = {
        {EVENT_MESSAGE, 8 + 8 + 1 + 3 + 1 + 5},
        {EVENT_PRIVATE, 8 + 8 + 1 + 1 + 1 + 5},
        {EVENT_TOPIC, 1 + 1 + 3 + 1 + 5},
        {EVENT_REPLY, 4 + 1},
        {EVENT_ECHO, 4 + 1},
    };
    char *text = malloc(70000);
    struct event event = {.room = SLICE("den"), .nick = SLICE("alice")};

    (void)state;
    assert_non_null(text);
    memset(text, 'a', 70000);
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        size_t most = 65535 - kinds[i].others;
        struct encoded encoded;

        event.kind = kinds[i].kind;
        for (size_t length = most - 1; length <= most + 2; length++) {
            event.text = (struct slice){text, length};
            check_event(&event);
        }
        event.text.length = most;
        encoded = encode(ENCODING_FRAME, &event);
        assert_int_equal(encoded.size, 4 + 65535);
        free(encoded.bytes);
    }
    free(text);
}

/* The text stands after what the reply to /topic begins with. */
static void test_topic_that_fills_a_frame(void **state)
{
    static const char instead[] =
        "\0\0\0\1\0sent text/plain; charset=utf-8 (65520 bytes)";
    static char text[65520];
    struct event event = {.kind = EVENT_TOPIC_REPLY,
                          .room = SLICE("den"),
                          .id = 1,
                          .text = {text, 65535 - 5 - 11}};
    struct encoded encoded;

    (void)state;
    memset(text, 'a', sizeof(text));
    check_frame(&event);
    event.text.length++;
    encoded = encode(ENCODING_FRAME, &event);
    assert_int_equal(encoded.size, 4 + sizeof(instead) - 1);
    assert_memory_equal(encoded.bytes + 4, instead, sizeof(instead) - 1);
    free(encoded.bytes);
}

/* A text line has no end but LF: it is sent whole, however long. */
static void test_long_texts_are_whole(void **state)
{
    static const enum encoding encodings[] = {ENCODING_TEXT, ENCODING_SECURE,
                                              ENCODING_SEALED};
    size_t length = MIB;
    char *text = malloc(length);
    struct event event = {.kind = EVENT_MESSAGE,
                          .room = SLICE("r"),
                          .nick = SLICE("n"),
                          .text = {text, length}};

    (void)state;
    assert_non_null(text);
    memset(text, 'a', length);
    for (size_t i = 0; i < ARRAY_LENGTH(encodings); i++) {
        struct encoded encoded = encode(encodings[i], &event);

        assert_in_range(encoded.size, length, length + 300);
        free(encoded.bytes);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_vectors),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_longest_headers),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_contents),
        cmocka_unit_test(test_texts_that_fill_a_frame),
        cmocka_unit_test(test_topic_that_fills_a_frame),
        cmocka_unit_test(test_long_texts_are_whole),
    };

    return cmocka_run_group_tests(tests, open_station, close_station);
}

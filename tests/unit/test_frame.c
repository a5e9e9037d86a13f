/*
 * The `frame` dialect, from a peer: what docs/protocol.md says of each type and
 * each length of its body, however the stream is cut. What goes to a peer is
 * in test_encode.c.
 */
#include "common/wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/bytes.h"
#include "common/base/limits.h"
#include "common/wire/internal.h"
#include "tests/unit/support_alloc.h"
#include "tests/unit/support_text.h"
#include "tests/unit/support_wire.h"
#include "vectors.h"

#include <string.h>

#define HEAD 4
#define HELLO_MAX 26

struct frame {
    size_t length;
    unsigned char bytes[HEAD + 65535];
};

static struct frame frame;
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

static void frame_begin(unsigned type)
{
    store_u16(frame.bytes, type);
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

static void frame_add_u32(uint32_t number)
{
    unsigned char bytes[4];

    store_u32(bytes, number);
    frame_add(bytes, sizeof(bytes));
}

static void frame_add_str8(struct slice string)
{
    unsigned char length = (unsigned char)string.length;

    frame_add(&length, 1);
    frame_add(string.bytes, string.length);
}

static void write_message(uint32_t id, struct slice target, struct slice text)
{
    frame_begin(TYPE_MESSAGE);
    frame_add_u32(id);
    frame_add_str8(target);
    frame_add(text.bytes, text.length);
}

static void write_command(uint32_t id, struct slice text)
{
    frame_begin(TYPE_COMMAND);
    frame_add_u32(id);
    frame_add(text.bytes, text.length);
}

static void write_hello(unsigned char version, struct slice nick)
{
    frame_begin(TYPE_SESSION_ACK);
    frame_add(&version, 1);
    frame_add_str8(nick);
}

/* What a new peer's first frame, or a welcomed one's next, is refused for. */
static enum error_code tell(bool welcomed, struct request *request)
{
    station_meet(&station, welcomed);
    return station_tell(&station, frame.bytes, frame.length, request);
}

/* -- what is whole -- */

static void test_golden_vectors(void **state)
{
    size_t count = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
        const char *name = vector_of("frame_in", vectors[i].name);
        struct request request, expected;

        if (!name)
            continue;
        station_meet(&station, strncmp(name, "ack", 3) != 0);
        assert_int_equal(station_tell(&station, vectors[i].bytes,
                                      vectors[i].length, &request),
                         ERROR_NONE);
        expected = vector_request(name);
        assert_requests_equal(&request, &expected);
        count++;
    }
    assert_int_equal(count, 13);
}

/* Requests and errors that do not close, one after the other. */
static struct transcript expected;

static void expect_tell(struct transcript *stream_bytes, enum error_code error)
{
    struct request request;

    memcpy(stream_bytes->bytes + stream_bytes->length, frame.bytes,
           frame.length);
    stream_bytes->length += frame.length;
    assert_int_equal(
        station_tell(&station, frame.bytes, frame.length, &request), error);
    if (error == ERROR_NONE)
        transcript_add_request(&expected, &request);
    else
        transcript_add_error(&expected, error, request.id);
}

static void add_vectors(struct transcript *stream)
{
    for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
        const char *name = vector_of("frame_in", vectors[i].name);

        if (!name || (strncmp(name, "ack", 3) == 0 && strcmp(name, "ack") != 0))
            continue;
        frame.length = vectors[i].length;
        memcpy(frame.bytes, vectors[i].bytes, frame.length);
        expect_tell(stream, ERROR_NONE);
        decoder_welcome(&station.decoder);
    }
}

static void add_refused(struct transcript *stream)
{
    frame_begin(15);
    frame_add("to be skipped", 13);
    expect_tell(stream, ERROR_UNKNOWN_TYPE);
    frame_begin(0xffff);
    frame_add("", 0);
    expect_tell(stream, ERROR_UNKNOWN_TYPE);
    write_message(1, SLICE("den"), SLICE(""));
    expect_tell(stream, ERROR_USAGE);
    write_message(2, SLICE(""), SLICE("a\nb"));
    expect_tell(stream, ERROR_BAD_TEXT);
    write_command(3, SLICE("\xff"));
    expect_tell(stream, ERROR_BAD_TEXT);
    frame_begin(TYPE_FILE_DATA);
    frame_add("", 0);
    expect_tell(stream, ERROR_NONE);
    write_command(4, SLICE(""));
    expect_tell(stream, ERROR_NONE);
}

static void test_streams_cut_everywhere(void **state)
{
    static struct transcript stream;

    (void)state;
    stream.length = expected.length = 0;
    station_meet(&station, false);
    add_vectors(&stream);
    add_refused(&stream);
    assert_true(transcript_equals(
        check_every_cut(&station, false, stream.bytes, stream.length),
        &expected));
    /* What closes, and what is not read after that. */
    frame_begin(TYPE_WELCOME);
    frame_add("\0\0", 2);
    expect_tell(&stream, ERROR_BAD_FRAME);
    memcpy(stream.bytes + stream.length, "\0\7\0\4\0\0\0\1", 8);
    assert_true(transcript_equals(
        check_every_cut(&station, false, stream.bytes, stream.length + 8),
        &expected));
}

/* -- bodies -- */

/* Of the body `00 00 00 07 03 'd' 'e' 'n' ...`, `length` bytes long. */
static enum error_code body_refusal(unsigned type, size_t length)
{
    switch (type) {
    case 1:
    case 5:
    case 8:
    case 9:
    case 10:
    case 11:
        return ERROR_BAD_FRAME;
    case 2:
        return ERROR_HANDSHAKE;
    case 3:
        return length == 9 ? ERROR_NONE : ERROR_BAD_FRAME;
    case 4:
        if (length < 8)
            return ERROR_BAD_FRAME;
        return length == 8 ? ERROR_USAGE : ERROR_NONE;
    case 6:
        return length < 2 ? ERROR_BAD_FRAME : ERROR_NONE;
    case 7:
        if (length < 4)
            return ERROR_BAD_FRAME;
        return length == 4 ? ERROR_NONE : ERROR_BAD_TEXT; /* that is a 03 */
    case 16:
    case 17:
    case 18:
    case 19:
        return ERROR_NONE;
    default:
        return ERROR_UNKNOWN_TYPE;
    }
}

static void test_every_type_and_length(void **state)
{
    static const char body[] = "\0\0\0\7\3den and then what people say";

    (void)state;
    for (unsigned type = 0; type <= 0xffff; type++) {
        size_t step = type < 300 ? 1 : sizeof(body) / 2;

        for (size_t length = 0; length < sizeof(body); length += step) {
            frame_begin(type);
            frame_add(body, length);
            assert_int_equal(tell(true, NULL), body_refusal(type, length));
        }
    }
}

static void test_hello_of_every_length(void **state)
{
    static const char body[64] = "\1\5alice and more";

    (void)state;
    for (size_t length = 0; length <= 60; length++) {
        enum error_code refusal = ERROR_BAD_FRAME;

        if (length > HELLO_MAX)
            refusal = ERROR_TOO_LARGE;
        if (length == 7)
            refusal = ERROR_NONE;
        frame_begin(TYPE_SESSION_ACK);
        frame_add(body, length);
        assert_int_equal(tell(false, NULL), refusal);
    }
}

/* The least body, and one that ends with its nick for each length of that. */
static void test_hello_with_every_nick(void **state)
{
    static const char nick[] = "abcdefghijklmnopqrstuvwx";
    struct request request;

    (void)state;
    for (size_t length = 0; length <= NICK_BYTES_MAX; length++) {
        write_hello(1, (struct slice){nick, length});
        assert_int_equal(tell(false, &request), ERROR_NONE);
        assert_int_equal(request.kind, REQUEST_HELLO);
        assert_int_equal(request.name.length, length);
        /* The last byte of the nick is missing. */
        if (length == 0)
            continue;
        frame.bytes[HEAD + 1]++;
        assert_int_equal(tell(false, NULL), ERROR_BAD_FRAME);
    }
    /* Whether it is a nick is for the chat to say. */
    write_hello(1, SLICE("\0\n\xff"));
    assert_int_equal(tell(false, &request), ERROR_NONE);
    assert_int_equal(request.name.length, 3);
}

static void test_versions(void **state)
{
    (void)state;
    for (unsigned version = 0; version < 256; version++) {
        enum error_code refusal = version == 1 ? ERROR_NONE : ERROR_BAD_VERSION;

        write_hello((unsigned char)version, SLICE("ann"));
        assert_int_equal(tell(false, NULL), refusal);
        /* What follows another version may have another form. */
        frame_add("?", 1);
        assert_int_equal(tell(false, NULL),
                         version == 1 ? ERROR_BAD_FRAME : ERROR_BAD_VERSION);
    }
}

static void test_targets(void **state)
{
    static const struct {
        const char *written;
        enum target target;
        const char *name;
    } targets[] = {
        {"", TARGET_CURRENT, ""},      {"den", TARGET_ROOM, "den"},
        {"#den", TARGET_ROOM, "#den"}, {"@bob", TARGET_NICK, "bob"},
        {"@", TARGET_NICK, ""},        {"@@bob", TARGET_NICK, "@bob"},
        {"a@b", TARGET_ROOM, "a@b"},   {" ", TARGET_ROOM, " "},
    };
    struct request request;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(targets); i++) {
        write_message(1, slice_of(targets[i].written), SLICE("x"));
        assert_int_equal(tell(true, &request), ERROR_NONE);
        assert_int_equal(request.target, targets[i].target);
        assert_true(slice_equals(request.name, slice_of(targets[i].name)));
        assert_true(slice_equals(request.text, SLICE("x")));
    }
}

/* A target as long as a str8 can be, and one that ends after the body. */
static void test_longest_target(void **state)
{
    static char target[255];
    struct request request;

    (void)state;
    memset(target, 'r', sizeof(target));
    write_message(1, (struct slice){target, 255}, SLICE("x"));
    assert_int_equal(tell(true, &request), ERROR_NONE);
    assert_int_equal(request.name.length, 255);
    for (size_t length = 0; length < 255; length++) {
        frame_begin(TYPE_MESSAGE);
        frame_add("\0\0\0\1\xff", 5);
        frame_add(target, length);
        assert_int_equal(tell(true, NULL), ERROR_BAD_FRAME);
    }
}

static void test_ids(void **state)
{
    static const uint32_t ids[] = {0,          1,          0x01020304,
                                   0x7fffffff, 0x80000000, UINT32_MAX};
    struct request request;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
        write_message(ids[i], SLICE(""), SLICE("x"));
        assert_int_equal(tell(true, &request), ERROR_NONE);
        assert_int_equal(request.id, ids[i]);
        write_command(ids[i], SLICE("who"));
        assert_int_equal(tell(true, &request), ERROR_NONE);
        assert_int_equal(request.id, ids[i]);
        /* The answer to what is refused names it, too. */
        write_message(ids[i], SLICE(""), SLICE(""));
        assert_int_equal(tell(true, &request), ERROR_USAGE);
        assert_int_equal(request.id, ids[i]);
        write_message(ids[i], SLICE(""), SLICE("\x7f"));
        assert_int_equal(tell(true, &request), ERROR_BAD_TEXT);
        assert_int_equal(request.id, ids[i]);
        write_command(ids[i], SLICE("\x7f"));
        assert_int_equal(tell(true, &request), ERROR_BAD_TEXT);
        assert_int_equal(request.id, ids[i]);
    }
}

static void test_heartbeats(void **state)
{
    struct request request;
    unsigned char body[9];

    (void)state;
    for (unsigned kind = 0; kind < 256; kind++) {
        store_u64(store_u8(body, kind), UINT64_MAX - kind);
        frame_begin(TYPE_HEARTBEAT);
        frame_add(body, sizeof(body));
        assert_int_equal(tell(true, &request),
                         kind < 2 ? ERROR_NONE : ERROR_BAD_FRAME);
        if (kind > 1)
            continue;
        assert_int_equal(request.kind, kind ? REQUEST_PONG : REQUEST_PING);
        assert_true(request.stamp == UINT64_MAX - kind);
    }
}

/* Of one and two bytes; that longer ones are looked at is for test_text.c. */
static void test_texts(void **state)
{
    (void)state;
    for (unsigned pair = 0; pair <= 0xffff; pair++) {
        unsigned char text[2];
        enum error_code refusal;

        store_u16(text, pair);
        refusal = is_clean_text(text, 2) ? ERROR_NONE : ERROR_BAD_TEXT;
        write_message(1, SLICE(""), (struct slice){(const char *)text, 2});
        assert_int_equal(tell(true, NULL), refusal);
        write_command(1, (struct slice){(const char *)text, 2});
        assert_int_equal(tell(true, NULL), refusal);
    }
}

/* -- before the welcome -- */

/* Its type is refused when it is there, before any length or body. */
static void test_strangers_of_every_type(void **state)
{
    static struct transcript transcript;

    (void)state;
    station.transcript = &transcript;
    for (unsigned type = 0; type <= 0xffff; type++) {
        if (type == TYPE_SESSION_ACK)
            continue;
        station_meet(&station, false);
        frame_begin(type);
        station_feed(&station, frame.bytes, 1);
        assert_false(station.over);
        station_feed(&station, frame.bytes + 1, 1);
        assert_true(station.over);
        expected.length = 0;
        transcript_add_error(&expected, ERROR_HANDSHAKE, 0);
        assert_true(transcript_equals(&transcript, &expected));
        frame_add("", 0);
        assert_int_equal(tell(false, NULL), ERROR_HANDSHAKE);
    }
    station.transcript = NULL;
}

/* A nick in use does not close: the peer tries another one. */
static void test_hello_until_welcomed(void **state)
{
    (void)state;
    station_meet(&station, false);
    write_hello(1, SLICE("ann"));
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            station_tell(&station, frame.bytes, frame.length, NULL),
            ERROR_NONE);
    decoder_welcome(&station.decoder);
    assert_int_equal(station_tell(&station, frame.bytes, frame.length, NULL),
                     ERROR_HANDSHAKE);
    station_meet(&station, false);
    assert_int_equal(station_tell(&station, frame.bytes, frame.length, NULL),
                     ERROR_NONE);
    write_command(1, SLICE("who"));
    assert_int_equal(station_tell(&station, frame.bytes, frame.length, NULL),
                     ERROR_HANDSHAKE);
}

/* -- limits -- */

/* Said of the head, before any of the body. */
static void check_limit(bool welcomed, unsigned type, size_t most)
{
    static struct transcript transcript;

    station.transcript = &transcript;
    for (size_t length = most; length <= most + 1 && length <= 65535;
         length++) {
        station_meet(&station, welcomed);
        frame_begin(type);
        store_u16(frame.bytes + 2, (unsigned)length);
        station_feed(&station, frame.bytes, HEAD);
        assert_int_equal(station.over, length > most);
        expected.length = 0;
        if (length > most)
            transcript_add_error(&expected, ERROR_TOO_LARGE, 0);
        assert_true(transcript_equals(&transcript, &expected));
    }
    station.transcript = NULL;
}

static void test_longest_frames(void **state)
{
    static const uint32_t limits[] = {HELLO_MAX, 127,   128,   129,
                                      4096,      16384, 65534, 65535};
    static char text[65535];
    struct wire_config config = vector_config();
    struct request request;

    (void)state;
    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < ARRAY_LENGTH(limits); i++) {
        station_close(&station);
        config.frame_bytes_max = limits[i];
        station_open(&station, DIALECT_FRAME, &config);
        check_limit(true, TYPE_MESSAGE, limits[i]);
        check_limit(true, 12, limits[i]);
        check_limit(false, TYPE_SESSION_ACK, HELLO_MAX);
        write_command(1, (struct slice){text, limits[i] - 4});
        assert_int_equal(tell(true, &request), ERROR_NONE);
        assert_int_equal(request.text.length, limits[i] - 4);
        /* In the tail, byte by byte. */
        station_meet(&station, true);
        for (size_t at = 0; at < frame.length; at++)
            station_feed(&station, frame.bytes + at, 1);
        assert_false(station.over);
        write_hello(1, (struct slice){text, NICK_BYTES_MAX});
        check_every_cut(&station, false, frame.bytes, frame.length);
    }
}

/* -- memory -- */

/* What arrives whole is decoded where it lies. */
static void test_whole_frames_cost_nothing(void **state)
{
    struct request request;
    unsigned long before;

    (void)state;
    write_message(1, SLICE("den"), SLICE("hello"));
    station_meet(&station, true);
    before = alloc_count();
    assert_int_equal(
        station_tell(&station, frame.bytes, frame.length, &request),
        ERROR_NONE);
    assert_ptr_equal(request.text.bytes, frame.bytes + HEAD + 8);
    assert_ptr_equal(request.name.bytes, frame.bytes + HEAD + 5);
    assert_int_equal(alloc_count(), before);
    assert_int_equal(station_memory(&station), 0);
}

/* A stranger's hello is all that is kept of it. */
static void test_memory_of_strangers(void **state)
{
    (void)state;
    write_hello(1, SLICE("abcdefghijklmnopqrstuvwx"));
    station_meet(&station, false);
    station_feed(&station, frame.bytes, frame.length - 1);
    assert_true(decoder_is_within(&station.decoder));
    assert_in_range(station_memory(&station), 1, 128);
}

/* Byte by byte, with the nth allocation failing; whether there was an nth. */
static bool fail_nth_growth(unsigned n)
{
    unsigned long before;
    enum error_code error = ERROR_NONE;
    enum wire_outcome outcome = WIRE_PARTIAL;
    struct request request;

    station_meet(&station, true);
    before = alloc_count();
    alloc_fail_at(n);
    for (size_t i = 0; i < frame.length && outcome == WIRE_PARTIAL; i++) {
        const unsigned char *at = frame.bytes + i;
        size_t left = 1;

        outcome = wire_decode(station.wire, &station.decoder, &station.peer,
                              &at, &left, &request, &error);
    }
    alloc_fail_at(0);
    if (outcome == WIRE_READY)
        return false;
    assert_int_equal(outcome, WIRE_INVALID);
    assert_int_equal(error, ERROR_INTERNAL);
    assert_int_equal(alloc_count() - before, n);
    return true;
}

static void test_without_memory(void **state)
{
    static char text[10000];
    unsigned n = 1;

    (void)state;
    memset(text, 'a', sizeof(text));
    write_command(1, (struct slice){text, sizeof(text)});
    while (fail_nth_growth(n))
        n++;
    /* The tail doubles: a body is not copied often. */
    assert_in_range(n, 3, 10);
}

/* -- what is missing -- */

static void test_end_and_need_at_every_byte(void **state)
{
    struct request request;
    enum error_code error;
    size_t whole, need;

    (void)state;
    write_command(1, SLICE("who"));
    for (size_t length = 0; length <= frame.length; length++) {
        station_meet(&station, true);
        if (length > 0)
            station_feed(&station, frame.bytes, length);
        whole = length < HEAD ? HEAD : frame.length;
        need = length < whole ? whole - length : HEAD;
        assert_int_equal(wire_need(&station.decoder), need);
        assert_int_equal(decoder_is_within(&station.decoder),
                         length > 0 && length < frame.length);
        assert_int_equal(
            wire_decode_end(station.wire, &station.decoder, &request, &error),
            WIRE_PARTIAL);
    }
}

static void test_dialect(void **state)
{
    enum dialect dialect;

    (void)state;
    assert_true(dialect_named("frame", &dialect));
    assert_int_equal(dialect, DIALECT_FRAME);
    assert_int_equal(dialect_encoding(dialect), ENCODING_FRAME);
    assert_false(dialect_named("frames", &dialect));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_vectors),
        cmocka_unit_test(test_streams_cut_everywhere),
        cmocka_unit_test(test_every_type_and_length),
        cmocka_unit_test(test_hello_of_every_length),
        cmocka_unit_test(test_hello_with_every_nick),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_longest_target),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_heartbeats),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_strangers_of_every_type),
        cmocka_unit_test(test_hello_until_welcomed),
        cmocka_unit_test(test_longest_frames),
        cmocka_unit_test(test_whole_frames_cost_nothing),
        cmocka_unit_test(test_memory_of_strangers),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_end_and_need_at_every_byte),
        cmocka_unit_test(test_dialect),
    };

    return cmocka_run_group_tests(tests, open_station, close_station);
}

/*
 * A million random streams for each binary decoder: of any bytes, and of
 * messages that mean something until they are changed, signed anew so that
 * what is behind the HMAC sees them. However a stream is cut it comes to the
 * same, and what comes out keeps to docs/protocol.md. Lines are in test_text.c,
 * headers in test_headers.c.
 */
#include "common/wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/builder.h"
#include "common/base/bytes.h"
#include "common/wire/internal.h"
#include "tests/unit/support_text.h"
#include "tests/unit/support_wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define STREAMS 1000000

static struct station station;
static struct rng rng = {1};

/* How often each came out. */
static unsigned requests_seen[REQUEST_TRANSFER + 1], errors_seen[100];

static bool chance(size_t of)
{
    return rng_below(&rng, of) == 0;
}

/* -- what comes out -- */

static bool is_text(struct slice content_type)
{
    return content_type.length == 0 ||
           (content_type.length >= 5 &&
            strncasecmp(content_type.bytes, "text/", 5) == 0);
}

static void check_text(const struct request *request)
{
    if (is_text(request->content_type))
        assert_true(is_clean_text((const unsigned char *)request->text.bytes,
                                  request->text.length));
    if (request->kind == REQUEST_MESSAGE)
        assert_true(request->text.length > 0);
    else
        assert_int_equal(request->content_type.length, 0);
    assert_in_range(request->content_type.length, 0, 127);
    for (size_t i = 0; i < request->content_type.length; i++)
        assert_in_range(request->content_type.bytes[i], ' ', '~');
}

static void check_request(const struct request *request, bool welcomed)
{
    assert_in_range(request->kind, REQUEST_HELLO, REQUEST_TRANSFER);
    requests_seen[request->kind]++;
    assert_int_equal(request->kind == REQUEST_HELLO, !welcomed);
    if (request->kind == REQUEST_MESSAGE || request->kind == REQUEST_COMMAND)
        check_text(request);
    if (request->target == TARGET_CURRENT && request->kind != REQUEST_HELLO)
        assert_int_equal(request->name.length, 0);
}

/* Reads the stream whole. */
static void check_requests(bool welcomed, const unsigned char *stream,
                           size_t length)
{
    unsigned char *copy;
    const unsigned char *at;
    enum wire_outcome outcome;
    enum error_code error = ERROR_NONE;
    struct request request;

    assert(length > 0);
    at = copy = malloc(length);
    assert_non_null(copy);
    memcpy(copy, stream, length);
    station_meet(&station, welcomed);
    while ((outcome = wire_decode(station.wire, &station.decoder, &station.peer,
                                  &at, &length, &request, &error)) !=
           WIRE_PARTIAL) {
        if (outcome == WIRE_READY) {
            check_request(&request, station.decoder.greeted);
            decoder_welcome(&station.decoder);
            continue;
        }
        errors_seen[error]++;
        if (error_closes(error))
            break;
    }
    free(copy);
}

static void check_stream(const unsigned char *stream, size_t length)
{
    bool welcomed = !chance(8);

    check_requests(welcomed, stream, length);
    if (chance(4))
        check_random_cuts(&station, welcomed, stream, length, &rng);
}

/* That something comes out at all, and often. */
static void assert_seen(const enum error_code *errors, size_t count)
{
    for (size_t i = REQUEST_HELLO; i <= REQUEST_TRANSFER; i++) {
        if (requests_seen[i] < 100)
            fail_msg("only %u requests of kind %zu", requests_seen[i], i);
    }
    for (size_t i = 0; i < count; i++) {
        if (errors_seen[errors[i]] < 100)
            fail_msg("only %u %s", errors_seen[errors[i]],
                     error_name(errors[i]));
    }
}

static int close_station(void **state)
{
    (void)state;
    station_close(&station);
    memset(requests_seen, 0, sizeof(requests_seen));
    memset(errors_seen, 0, sizeof(errors_seen));
    return 0;
}

/* -- frames -- */

static int open_frames(void **state)
{
    (void)state;
    station_open(&station, DIALECT_FRAME, NULL);
    return 0;
}

static unsigned char random_byte(void)
{
    switch (rng_below(&rng, 4)) {
    case 0:
        return (unsigned char)rng_next(&rng);
    case 1:
        return (unsigned char)rng_below(&rng, 6);
    default:
        return (unsigned char)('a' + rng_below(&rng, 26));
    }
}

/* Mostly of a type and a length that mean something. */
static void random_frame(unsigned char *frame, size_t body)
{
    for (size_t i = 0; i < 4 + body; i++)
        frame[i] = random_byte();
    if (chance(8))
        return;
    store_u16(frame, (unsigned)rng_below(&rng, 20));
    store_u16(frame + 2, (unsigned)body);
    if (chance(16) && body >= 2) {
        /* A hello. */
        store_u16(frame, 2);
        store_u16(frame + 4, (unsigned)(0x100 + body - 2));
    }
}

static size_t random_frames(unsigned char *stream, size_t most)
{
    size_t length = 0, frames = rng_magnitude(&rng, 5);

    for (size_t i = 0; i < frames && length + 44 <= most; i++) {
        size_t body = chance(4) ? 9 : rng_magnitude(&rng, 40) - 1;

        random_frame(stream + length, body);
        length += 4 + body;
    }
    return length;
}

static void test_random_frames(void **state)
{
    static const enum error_code errors[] = {
        ERROR_BAD_TEXT,  ERROR_USAGE,        ERROR_BAD_FRAME,   ERROR_TOO_LARGE,
        ERROR_HANDSHAKE, ERROR_UNKNOWN_TYPE, ERROR_BAD_VERSION,
    };
    static unsigned char stream[256];

    (void)state;
    for (int i = 0; i < STREAMS; i++) {
        size_t length = random_frames(stream, sizeof(stream));

        check_stream(stream, length);
    }
    assert_seen(errors, ARRAY_LENGTH(errors));
}

/* -- secure messages -- */

static struct keys *client;
static struct message message;

static int open_secure(void **state)
{
    (void)state;
    station_open(&station, DIALECT_SECURE, NULL);
    client = client_keys();
    return 0;
}

static int close_secure(void **state)
{
    keys_destroy(client);
    return close_station(state);
}

/* Headers of which a type wants some. */
static void random_fields(unsigned type, struct builder *fields)
{
    static const char *const any[] = {
        ",\"id\":7",
        ",\"room\":\"den\"",
        ",\"to\":\"bob\"",
        ",\"content_type\":\"image/png\"",
        ",\"content_type\":\"text/plain\"",
        ",\"kind\":\"pong\"",
        ",\"stamp\":5",
        ",\"enc\":\"A256GCM\"",
        ",\"iv\":\"AAAAAAAAAAAAAAAB\"",
        ",\"nick\":\"ann\"",
        ",\"code\":0",
        ",\"x\":{\"y\":[1e999,{}]}",
        ",\"x\":\"\\u20ac\"",
        ",\"id\":4294967296",
        ",\"seq\":1",
        ", ",
    };
    size_t count = rng_magnitude(&rng, 4) - 1;

    fields->length = 0;
    if (type == TYPE_HEARTBEAT && !chance(4))
        build_string(fields, chance(2) ? ",\"kind\":\"ping\",\"stamp\":1"
                                       : ",\"kind\":\"pong\",\"stamp\":2");
    for (size_t i = 0; i < count; i++)
        build_string(fields, any[rng_below(&rng, ARRAY_LENGTH(any))]);
    build_slice(fields, SLICE("\0"));
}

static unsigned random_type(void)
{
    static const unsigned usual[] = {TYPE_SESSION_ACK, TYPE_HEARTBEAT,
                                     TYPE_MESSAGE, TYPE_COMMAND};

    return (unsigned)(chance(3) ? rng_below(&rng, 21)
                                : usual[rng_below(&rng, ARRAY_LENGTH(usual))]);
}

/* One that would do, perhaps. */
static void random_message(uint64_t seq)
{
    unsigned type = random_type();
    unsigned char content[8];
    struct slice slice = {(const char *)content, 0};
    struct builder fields;

    if (type != TYPE_SESSION_ACK && type != TYPE_HEARTBEAT)
        slice.length = rng_below(&rng, sizeof(content) + 1);
    for (size_t i = 0; i < slice.length; i++)
        content[i] = chance(40) ? random_byte() : 'x';
    random_fields(type, &fields);
    if (chance(4))
        message_seal(&message, client, type, seq, fields.bytes, slice);
    else
        message_tell(&message, type, seq, fields.bytes, slice);
}

/* A byte becomes another one, a few come in or go; from `from` on. */
static void random_change(size_t from)
{
    static const char words[] = "{}[]:,\"\\u00e50123456789.-+eE \xff\x01\n";
    size_t at = from + rng_below(&rng, message.length - from);
    size_t count = rng_magnitude(&rng, 3);

    if (count > message.length - at)
        count = message.length - at;
    switch (rng_below(&rng, 4)) {
    case 0:
        message.bytes[at] ^= (unsigned char)(1 << rng_below(&rng, 8));
        break;
    case 1:
        message.bytes[at] =
            (unsigned char)words[rng_below(&rng, sizeof(words) - 1)];
        break;
    case 2:
        memmove(message.bytes + at, message.bytes + at + count,
                message.length - at - count);
        message.length -= count;
        break;
    default:
        memmove(message.bytes + at + count, message.bytes + at,
                message.length - at);
        message.length += count;
        break;
    }
}

/* Changes it behind the head, whose lengths say then what there is, and signs
 * it; or changes it anywhere. */
static void damage(void)
{
    size_t headers = load_u32(message.bytes + 12);
    bool hidden = !chance(4);
    size_t count = rng_magnitude(&rng, 3);

    for (size_t i = 0; i < count && message.length > 80; i++)
        random_change(hidden ? 60 : 0);
    if (hidden) {
        if (headers > message.length - 60)
            headers = message.length - 60;
        store_u32(message.bytes + 12, (uint32_t)headers);
        store_u32(message.bytes + 20,
                  (uint32_t)(message.length - 60 - headers));
    }
    if (hidden || chance(2))
        message_mend(&message);
}

static size_t random_messages(unsigned char *stream, size_t most)
{
    size_t length = 0, count = rng_magnitude(&rng, 3);

    for (size_t i = 0; i < count; i++) {
        random_message(i + 1);
        if (chance(2))
            damage();
        assert_true(length + message.length <= most);
        memcpy(stream + length, message.bytes, message.length);
        length += message.length;
    }
    return length;
}

/* Of any bytes, perhaps behind the magic. */
static size_t random_bytes(unsigned char *stream)
{
    static const unsigned char head[] = {0x89, 'R',  'I', 'N', 'G', '\r',
                                         '\n', 0x1a, 0,   1,   0,   2};
    size_t length = rng_magnitude(&rng, 200);

    for (size_t i = 0; i < length; i++)
        stream[i] = random_byte();
    if (chance(2) && length > sizeof(head))
        memcpy(stream, head, sizeof(head));
    return length;
}

static void test_random_messages(void **state)
{
    static const enum error_code errors[] = {
        ERROR_BAD_TEXT,  ERROR_USAGE,        ERROR_BAD_FRAME,
        ERROR_TOO_LARGE, ERROR_UNKNOWN_TYPE, ERROR_HANDSHAKE,
        ERROR_BAD_MAGIC, ERROR_BAD_VERSION,  ERROR_BAD_CRC,
        ERROR_BAD_HMAC,  ERROR_BAD_HEADER,   ERROR_REPLAY,
    };
    static unsigned char stream[4096];

    (void)state;
    for (int i = 0; i < STREAMS; i++) {
        size_t length = chance(4) ? random_bytes(stream)
                                  : random_messages(stream, sizeof(stream));

        check_stream(stream, length);
    }
    assert_seen(errors, ARRAY_LENGTH(errors));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_random_frames, open_frames,
                                        close_station),
        cmocka_unit_test_setup_teardown(test_random_messages, open_secure,
                                        close_secure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The `secure` dialect, from a peer: what a stream comes to, however it is cut;
 * limits, seqs and memory. What is damaged is in test_secure_damage.c, what
 * headers say in test_secure_headers.c, what goes to a peer in test_encode.c.
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
#include "tests/unit/support_wire.h"
#include "vectors.h"

#include <string.h>

#define HEAD 60
#define NUMBER_MAX ((UINT64_C(1) << 53) - 1)

static struct station station;
static struct message message;
static struct keys *client;

static int open_station(void **state)
{
    (void)state;
    station_open(&station, DIALECT_SECURE, NULL);
    client = client_keys();
    return 0;
}

static int close_station(void **state)
{
    (void)state;
    station_close(&station);
    keys_destroy(client);
    return 0;
}

static enum error_code tell(struct request *request)
{
    return station_tell(&station, message.bytes, message.length, request);
}

static enum error_code tell_command(uint64_t seq)
{
    message_tell(&message, TYPE_COMMAND, seq, "", SLICE("who"));
    return tell(NULL);
}

static void meet_sealed(void)
{
    station_meet(&station, true);
    station.peer.sealed = true;
}

/* -- what is whole -- */

static void check_golden(const struct vector *vector, const char *name)
{
    struct request request, expected = vector_request(name);

    assert_int_equal(
        station_tell(&station, vector->bytes, vector->length, &request),
        ERROR_NONE);
    assert_requests_equal(&request, &expected);
    assert_true(station.peer.seq_in_min == 2);
}

static void test_golden_vectors(void **state)
{
    size_t count = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
        const char *name = vector_of("secure_in", vectors[i].name);

        if (!name)
            continue;
        station_meet(&station, strncmp(name, "ack", 3) != 0);
        check_golden(&vectors[i], name);
        assert_int_equal(station.peer.sealed, !strcmp(name, "ack_sealed"));
        assert_false(station.peer.keyed);
        count++;
    }
    assert_int_equal(count, 15);
}

/* Also where it was not agreed upon. */
static void test_golden_vectors_sealed(void **state)
{
    size_t count = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
        const char *name = vector_of("sealed_in", vectors[i].name);

        if (!name)
            continue;
        meet_sealed();
        check_golden(&vectors[i], name);
        assert_true(station.peer.keyed);
        assert_memory_equal(station.peer.key, vector_client_key,
                            sizeof(vector_client_key));
        station_meet(&station, true);
        check_golden(&vectors[i], name);
        assert_false(station.peer.sealed);
        count++;
    }
    assert_int_equal(count, 12);
}

/* A stream, and what comes of it when each message arrives whole. */
static struct transcript stream, expected;

static void expect_tell(enum error_code error)
{
    struct request request;

    memcpy(stream.bytes + stream.length, message.bytes, message.length);
    stream.length += message.length;
    assert_int_equal(tell(&request), error);
    if (error == ERROR_NONE)
        transcript_add_request(&expected, &request);
    else
        transcript_add_error(&expected, error, request.id);
}

/* A conversation, in the clear or sealed, but for its hello. */
static void converse(bool sealed)
{
    static const struct {
        unsigned type;
        const char *fields;
        struct slice content;
        enum error_code error;
    } said[] = {
        {TYPE_MESSAGE, ",\"id\":1,\"room\":\"den\"", {"hello", 5}, ERROR_NONE},
        {TYPE_MESSAGE, "", {"hello\tall", 9}, ERROR_NONE},
        {TYPE_HEARTBEAT, ",\"kind\":\"ping\",\"stamp\":7", {"", 0}, ERROR_NONE},
        {TYPE_HEARTBEAT, ",\"kind\":\"pong\",\"stamp\":8", {"", 0}, ERROR_NONE},
        {TYPE_COMMAND, ",\"id\":2", {"", 0}, ERROR_NONE},
        {TYPE_COMMAND, ",\"id\":3", {"a\nb", 3}, ERROR_BAD_TEXT},
        {TYPE_MESSAGE, ",\"id\":4", {"", 0}, ERROR_USAGE},
        {TYPE_MESSAGE,
         ",\"id\":5,\"to\":\"bob\",\"content_type\":\"image/png\"",
         {"\x89PNG\n\0", 6},
         ERROR_NONE},
        {12, ",\"id\":6", {"to be skipped", 13}, ERROR_UNKNOWN_TYPE},
        {TYPE_FILE_DATA, "", {"\xff", 1}, ERROR_NONE},
        {TYPE_DISCONNECT, "", {"enough", 6}, ERROR_NONE},
        {TYPE_COMMAND, ",\"id\":7", {"quit", 4}, ERROR_NONE},
        {TYPE_ACK, "", {"", 0}, ERROR_BAD_FRAME},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(said); i++) {
        if (sealed)
            message_seal(&message, client, said[i].type, i + 2, said[i].fields,
                         said[i].content);
        else
            message_tell(&message, said[i].type, i + 2, said[i].fields,
                         said[i].content);
        expect_tell(said[i].error);
    }
}

static void test_streams_cut_everywhere(void **state)
{
    (void)state;
    for (int sealed = 0; sealed < 2; sealed++) {
        station_meet(&station, false);
        stream.length = expected.length = 0;
        message_tell(&message, TYPE_SESSION_ACK, 1,
                     sealed ? ",\"enc\":\"A256GCM\"" : ",\"nick\":\"ann\"",
                     SLICE(""));
        expect_tell(ERROR_NONE);
        decoder_welcome(&station.decoder);
        converse(sealed);
        /* The last one closed: what follows it is not read. */
        memcpy(stream.bytes + stream.length, "\x89RING", 5);
        assert_true(transcript_equals(
            check_every_cut(&station, false, stream.bytes, stream.length + 5),
            &expected));
    }
}

/* -- heads -- */

/* Feeds the head byte by byte: it is refused with the `at`th, or never. */
static void check_refused_at(bool welcomed, size_t at, enum error_code error)
{
    static struct transcript transcript;

    station.transcript = &transcript;
    station_meet(&station, welcomed);
    for (size_t i = 0; i < at; i++) {
        assert_false(station.over);
        station_feed(&station, message.bytes + i, 1);
    }
    station.transcript = NULL;
    assert_int_equal(station.over, error != ERROR_NONE);
    expected.length = 0;
    if (error != ERROR_NONE)
        transcript_add_error(&expected, error, 0);
    assert_true(transcript_equals(&transcript, &expected));
}

static void test_refused_as_soon_as_a_byte_differs(void **state)
{
    (void)state;
    message_tell(&message, TYPE_SESSION_ACK, 1, "", SLICE(""));
    check_refused_at(false, HEAD, ERROR_NONE);
    for (size_t at = 0; at < 10; at++) {
        message.bytes[at] ^= 1;
        check_refused_at(false, at < 8 ? at + 1 : 10,
                         at < 8 ? ERROR_BAD_MAGIC : ERROR_BAD_VERSION);
        message.bytes[at] ^= 1;
    }
    for (unsigned type = 0; type < 300; type++) {
        store_u16(message.bytes + 10, type);
        if (type != TYPE_SESSION_ACK)
            check_refused_at(false, 12, ERROR_HANDSHAKE);
        check_refused_at(true, HEAD, ERROR_NONE);
    }
}

static void check_lengths(bool welcomed, size_t at, uint32_t most,
                          size_t refused_at)
{
    const uint32_t over[] = {most + 1, most + 2, 0x7fffffff, 0x80000000,
                             UINT32_MAX};

    store_u32(message.bytes + at, most);
    check_refused_at(welcomed, HEAD, ERROR_NONE);
    for (size_t i = 0; i < ARRAY_LENGTH(over); i++) {
        store_u32(message.bytes + at, over[i]);
        check_refused_at(welcomed, refused_at, ERROR_TOO_LARGE);
    }
    store_u32(message.bytes + at, most);
}

/* Said of the head, before anything else has come. */
static void test_lengths_over_the_limit(void **state)
{
    (void)state;
    message_tell(&message, TYPE_SESSION_ACK, 1, "", SLICE(""));
    check_lengths(false, 12, HEADERS_BYTES_MAX, 16);
    check_lengths(false, 20, 0, 24);
    check_lengths(true, 12, HEADERS_BYTES_MAX, 16);
    check_lengths(true, 20, VECTOR_MESSAGE_BYTES_MAX, 24);
}

/* Headers of the longest, and one byte more of them. */
static void test_longest_headers(void **state)
{
    static char headers[HEADERS_BYTES_MAX + 1];
    static const char start[] =
        "{\"session\":\"" VECTOR_SESSION_TEXT "\",\"seq\":1}";

    (void)state;
    memset(headers, ' ', sizeof(headers));
    memcpy(headers, start, sizeof(start) - 1);
    for (size_t length = sizeof(headers) - 1; length <= sizeof(headers);
         length++) {
        message_write(&message, TYPE_COMMAND, (struct slice){headers, length},
                      SLICE("who"));
        station_meet(&station, true);
        assert_int_equal(tell(NULL), length > HEADERS_BYTES_MAX
                                         ? ERROR_TOO_LARGE
                                         : ERROR_NONE);
    }
    message_write(&message, TYPE_COMMAND, SLICE(""), SLICE("who"));
    station_meet(&station, true);
    assert_int_equal(tell(NULL), ERROR_BAD_HEADER);
}

/* Contents of each limit, and one byte more, at once and byte by byte. */
static void test_longest_contents(void **state)
{
    static const uint32_t limits[] = {16, 17, 100, 4096, 10000};
    static char text[10001];
    struct wire_config config = vector_config();
    struct station other;

    (void)state;
    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < ARRAY_LENGTH(limits); i++) {
        config.message_bytes_max = limits[i];
        station_open(&other, DIALECT_SECURE, &config);
        station_meet(&other, true);
        message_tell(&message, TYPE_COMMAND, 1, "",
                     (struct slice){text, limits[i] + 1});
        assert_int_equal(
            station_tell(&other, message.bytes, message.length, NULL),
            ERROR_TOO_LARGE);
        message_tell(&message, TYPE_COMMAND, 1, "",
                     (struct slice){text, limits[i]});
        assert_int_equal(
            station_tell(&other, message.bytes, message.length, NULL),
            ERROR_NONE);
        station_meet(&other, true);
        for (size_t at = 0; at < message.length; at++)
            station_feed(&other, message.bytes + at, 1);
        assert_false(other.over);
        /* A seal counts. */
        message_seal(&message, client, TYPE_COMMAND, 2, "",
                     (struct slice){text, limits[i] - 16});
        assert_int_equal(
            station_tell(&other, message.bytes, message.length, NULL),
            ERROR_NONE);
        station_close(&other);
    }
}

/* -- whose it is -- */

static void test_seqs(void **state)
{
    static const struct {
        uint64_t first, second;
        enum error_code error;
    } seqs[] = {
        {0, 0, ERROR_REPLAY},
        {0, 1, ERROR_NONE},
        {0, NUMBER_MAX, ERROR_NONE},
        {1, 0, ERROR_REPLAY},
        {1, 1, ERROR_REPLAY},
        {1, 2, ERROR_NONE},
        {1, 3, ERROR_NONE},
        {1000, 999, ERROR_REPLAY},
        {UINT32_MAX, UINT64_C(1) << 32, ERROR_NONE},
        {UINT64_C(1) << 32, 1, ERROR_REPLAY},
        {NUMBER_MAX - 1, NUMBER_MAX, ERROR_NONE},
        {NUMBER_MAX, NUMBER_MAX, ERROR_REPLAY},
        {NUMBER_MAX, NUMBER_MAX - 1, ERROR_REPLAY},
        {NUMBER_MAX, NUMBER_MAX + 1, ERROR_BAD_HEADER},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(seqs); i++) {
        station_meet(&station, true);
        assert_int_equal(tell_command(seqs[i].first), ERROR_NONE);
        assert_true(station.peer.seq_in_min == seqs[i].first + 1);
        assert_int_equal(tell_command(seqs[i].second), seqs[i].error);
    }
}

/* A seq is used up by what is not done, too. */
static void test_seqs_of_what_is_refused(void **state)
{
    (void)state;
    station_meet(&station, true);
    message_tell(&message, TYPE_COMMAND, 5, "", SLICE("\n"));
    assert_int_equal(tell(NULL), ERROR_BAD_TEXT);
    message_tell(&message, 99, 6, "", SLICE(""));
    assert_int_equal(tell(NULL), ERROR_UNKNOWN_TYPE);
    assert_true(station.peer.seq_in_min == 7);
    assert_int_equal(tell_command(6), ERROR_REPLAY);
}

static void test_seq_of_the_hello(void **state)
{
    (void)state;
    station_meet(&station, false);
    message_tell(&message, TYPE_SESSION_ACK, 3, "", SLICE(""));
    assert_int_equal(tell(NULL), ERROR_NONE);
    /* Its nick was in use. */
    assert_int_equal(tell(NULL), ERROR_REPLAY);
    message_tell(&message, TYPE_SESSION_ACK, 4, "", SLICE(""));
    assert_int_equal(tell(NULL), ERROR_NONE);
    decoder_welcome(&station.decoder);
    message_tell(&message, TYPE_SESSION_ACK, 5, "", SLICE(""));
    assert_int_equal(tell(NULL), ERROR_HANDSHAKE);
}

static void test_what_one_session_said_is_no_other_s(void **state)
{
    (void)state;
    message_tell(&message, TYPE_COMMAND, 1, "", SLICE("who"));
    for (size_t i = 0; i < UUID_BYTES; i++) {
        station_meet(&station, true);
        station.peer.uuid[i] ^= 0x10;
        assert_int_equal(tell(NULL), ERROR_REPLAY);
        assert_true(station.peer.seq_in_min == 0);
    }
}

/* -- memory -- */

/* In the clear, what arrives whole is decoded where it lies. */
static void test_whole_messages_are_not_copied(void **state)
{
    struct request request;

    (void)state;
    message_tell(&message, TYPE_COMMAND, 1, "", SLICE("who"));
    station_meet(&station, true);
    assert_int_equal(tell(&request), ERROR_NONE);
    assert_int_equal(station_memory(&station), 0);
    assert_ptr_equal(request.text.bytes + 3, message.bytes + message.length);
}

static void test_memory_of_strangers(void **state)
{
    static char fields[HEADERS_BYTES_MAX - 60];

    (void)state;
    memset(fields, ' ', sizeof(fields) - 1);
    message_tell(&message, TYPE_SESSION_ACK, 1, fields, SLICE(""));
    station_meet(&station, false);
    station_feed(&station, message.bytes, message.length - 1);
    assert_true(decoder_is_within(&station.decoder));
    assert_in_range(station_memory(&station), 1, 2 * HEADERS_BYTES_MAX);
}

/* In two pieces, with the nth allocation failing; whether there was one. */
static bool fail_nth(unsigned n, size_t cut)
{
    const unsigned char *at = message.bytes;
    size_t left = cut;
    unsigned long before;
    enum wire_outcome outcome = WIRE_PARTIAL;
    struct request request;
    enum error_code error;

    meet_sealed();
    before = alloc_count();
    alloc_fail_at(n);
    if (cut > 0)
        outcome = wire_decode(station.wire, &station.decoder, &station.peer,
                              &at, &left, &request, &error);
    left = message.length - cut;
    if (outcome == WIRE_PARTIAL)
        outcome = wire_decode(station.wire, &station.decoder, &station.peer,
                              &at, &left, &request, &error);
    alloc_fail_at(0);
    if (outcome == WIRE_READY)
        return alloc_count() - before >= n;
    assert_int_equal(outcome, WIRE_INVALID);
    assert_int_equal(error, ERROR_INTERNAL);
    return true;
}

static void test_without_memory(void **state)
{
    (void)state;
    message_seal(&message, client, TYPE_COMMAND, 1, "", SLICE("who"));
    for (size_t cut = 0; cut < message.length; cut += 20) {
        unsigned n = 1;

        while (fail_nth(n, cut))
            n++;
        assert_in_range(n, 3, 200);
    }
    /* None of it has spoilt the wire. */
    meet_sealed();
    assert_int_equal(tell(NULL), ERROR_NONE);
}

static void test_budget_for_a_seal(void **state)
{
    (void)state;
    message_seal(&message, client, TYPE_COMMAND, 1, "", SLICE("who"));
    meet_sealed();
    station.budget.limit_bytes = 18;
    assert_int_equal(tell(NULL), ERROR_INTERNAL);
    station.budget.limit_bytes = UINT64_MAX;
}

/* -- what is missing -- */

static void test_end_and_need_at_every_byte(void **state)
{
    struct request request;
    enum error_code error;
    size_t whole, need;

    (void)state;
    message_tell(&message, TYPE_COMMAND, 1, "", SLICE("who"));
    for (size_t length = 0; length <= message.length; length++) {
        station_meet(&station, true);
        if (length > 0)
            station_feed(&station, message.bytes, length);
        whole = length < HEAD ? HEAD : message.length;
        need = length < whole ? whole - length : HEAD;
        assert_int_equal(wire_need(&station.decoder), need);
        assert_int_equal(decoder_is_within(&station.decoder),
                         length > 0 && length < message.length);
        assert_int_equal(
            wire_decode_end(station.wire, &station.decoder, &request, &error),
            WIRE_PARTIAL);
    }
}

static void test_dialect(void **state)
{
    enum dialect dialect;

    (void)state;
    assert_true(dialect_named("secure", &dialect));
    assert_int_equal(dialect, DIALECT_SECURE);
    assert_int_equal(dialect_encoding(dialect), ENCODING_SECURE);
    assert_false(dialect_named("sealed", &dialect));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_vectors),
        cmocka_unit_test(test_golden_vectors_sealed),
        cmocka_unit_test(test_streams_cut_everywhere),
        cmocka_unit_test(test_refused_as_soon_as_a_byte_differs),
        cmocka_unit_test(test_lengths_over_the_limit),
        cmocka_unit_test(test_longest_headers),
        cmocka_unit_test(test_longest_contents),
        cmocka_unit_test(test_seqs),
        cmocka_unit_test(test_seqs_of_what_is_refused),
        cmocka_unit_test(test_seq_of_the_hello),
        cmocka_unit_test(test_what_one_session_said_is_no_other_s),
        cmocka_unit_test(test_whole_messages_are_not_copied),
        cmocka_unit_test(test_memory_of_strangers),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_budget_for_a_seal),
        cmocka_unit_test(test_end_and_need_at_every_byte),
        cmocka_unit_test(test_dialect),
    };

    crypto_memory_can_fail();
    return cmocka_run_group_tests(tests, open_station, close_station);
}

/*
 * Seals of secure messages from a peer: what opens, what does not, and when all
 * has to be sealed. Each message is otherwise whole and signed.
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
#include "vectors.h"

#include <string.h>

static struct station station;
static struct message message;
static struct request request;
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

static void fail_said(const char *what, enum error_code error)
{
    fail_msg("%s: %s", what, error == ERROR_NONE ? "taken" : error_name(error));
}

#define OK ERROR_NONE
#define WRONG ERROR_BAD_HEADER

#define PING ",\"kind\":\"ping\",\"stamp\":1"
#define IV ",\"iv\":\"AAAAAAAAAAAAAAAB\""
#define GCM ",\"enc\":\"A256GCM\""

static void test_enc_and_iv(void **state)
{
    static const struct {
        const char *fields;
        enum error_code error;
    } seals[] = {
        {IV, OK}, /* of nothing that is sealed */
        {",\"iv\":1", OK},
        {GCM IV, ERROR_BAD_HMAC}, /* of nothing that was sealed with it */
        {GCM, WRONG},
        {GCM ",\"iv\":1", WRONG},
        {GCM ",\"iv\":null", WRONG},
        {GCM ",\"iv\":\"\"", WRONG},
        {GCM ",\"iv\":\"AAAAAAAAAAAAAAA=\"", WRONG},
        {GCM ",\"iv\":\"AAAAAAAAAAAAAA==\"", WRONG},
        {GCM ",\"iv\":\"AAAAAAAAAAAAAAAAAA==\"", WRONG},
        {GCM ",\"iv\":\"AAAAAAAAAAAAAAAAAAAA\"", WRONG},
        {GCM ",\"iv\":\"AAAAAAAAAAAAAAA\"", WRONG},
        {GCM ",\"iv\":\"AAAAAAAAAAAAAA-_\"", WRONG},
        {GCM ",\"iv\":\"AAAAAAAA AAAAAAAB\"", WRONG},
        {GCM ",\"iv\":\"AAAAAAAAAAAAAAAB\\n\"", WRONG},
        {GCM ",\"iv\":\"AAAAAAAAAAAAAAAB\\u0000\"", WRONG},
        {",\"enc\":\"\"" IV, ERROR_HANDSHAKE},
        {",\"enc\":\"A128GCM\"" IV, ERROR_HANDSHAKE},
        {",\"enc\":\"a256gcm\"" IV, ERROR_HANDSHAKE},
        {",\"enc\":\"A256GCM\\u0000\"" IV, ERROR_HANDSHAKE},
        {",\"enc\":\"A128GCM\",\"iv\":1", ERROR_HANDSHAKE},
        {",\"enc\":1" IV, WRONG},
        {",\"enc\":null" IV, WRONG},
        {",\"enc\":true" IV, WRONG},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(seals); i++) {
        enum error_code error = tell_fields(TYPE_COMMAND, seals[i].fields,
                                            "who is there, and who is not?");

        if (error != seals[i].error)
            fail_said(seals[i].fields, error);
    }
}

/* Too short for a tag, and a tag of something else. */
static void test_short_seals(void **state)
{
    static const char zeros[40];

    (void)state;
    for (size_t length = 0; length <= sizeof(zeros); length++) {
        message_tell(&message, TYPE_COMMAND, 1, GCM IV,
                     (struct slice){zeros, length});
        assert_int_equal(tell(), ERROR_BAD_HMAC);
    }
}

#define SEALED_BYTES (3 + SEAL_TAG_BYTES)

static struct slice seal_of(const struct message *sealed)
{
    return (struct slice){(const char *)sealed->bytes + sealed->length -
                              SEALED_BYTES,
                          SEALED_BYTES};
}

/* Signed all the same. */
static void test_every_bit_of_a_seal(void **state)
{
    struct message sealed;

    (void)state;
    message_seal(&sealed, client, TYPE_COMMAND, 1, "", SLICE("who"));
    for (size_t bit = 0; bit < 8 * SEALED_BYTES; bit++) {
        message = sealed;
        message.bytes[message.length - 1 - bit / 8] ^=
            (unsigned char)(1 << bit % 8);
        message_mend(&message);
        assert_int_equal(tell(), ERROR_BAD_HMAC);
    }
    message = sealed;
    assert_int_equal(tell(), OK);
    assert_true(slice_equals(request.text, SLICE("who")));
}

/* Not even by a space. */
static void test_other_headers_than_the_sealed_ones(void **state)
{
    char headers[256] = " ";
    struct message sealed;
    size_t length;

    (void)state;
    message_seal(&sealed, client, TYPE_COMMAND, 1, "", SLICE("who"));
    length = load_u32(sealed.bytes + 12);
    memcpy(headers + 1, sealed.bytes + 60, length);
    message_write(&message, TYPE_COMMAND, (struct slice){headers, 1 + length},
                  seal_of(&sealed));
    assert_int_equal(tell(), ERROR_BAD_HMAC);
    message_write(&message, TYPE_COMMAND, (struct slice){headers + 1, length},
                  seal_of(&sealed));
    assert_int_equal(tell(), OK);
}

/* What the server seals, a client cannot have. */
static void test_seal_of_another_sender(void **state)
{
    struct keys *server =
        keys_create(vector_key, sizeof(vector_key), vector_boot, 0);

    (void)state;
    assert_non_null(server);
    message_seal(&message, server, TYPE_COMMAND, 1, "", SLICE("who"));
    assert_int_equal(tell(), ERROR_BAD_HMAC);
    keys_destroy(server);
}

/* What the peer sent stays as it is, in its tail or not. */
static void test_sealed_in_place_and_in_the_tail(void **state)
{
    struct message before;
    const unsigned char *rest;
    size_t length;
    enum error_code error;

    (void)state;
    message_seal(&message, client, TYPE_COMMAND, 1, "", SLICE("who"));
    before = message;
    for (size_t cut = 0; cut < message.length; cut++) {
        station_meet(&station, true);
        if (cut > 0)
            station_feed(&station, message.bytes, cut);
        rest = message.bytes + cut;
        length = message.length - cut;
        assert_int_equal(wire_decode(station.wire, &station.decoder,
                                     &station.peer, &rest, &length, &request,
                                     &error),
                         WIRE_READY);
        assert_true(slice_equals(request.text, SLICE("who")));
        assert_memory_equal(message.bytes, before.bytes, message.length);
        assert_false(decoder_is_within(&station.decoder));
        assert_int_equal(wire_need(&station.decoder), 60);
    }
}

/* -- sealed sessions -- */

static enum error_code say_hello(uint64_t seq, const char *fields)
{
    message_tell(&message, TYPE_SESSION_ACK, seq, fields, SLICE(""));
    return station_tell(&station, message.bytes, message.length, &request);
}

static const struct {
    unsigned type;
    const char *fields, *content;
    enum error_code error;
} cases[] = {
    {TYPE_HEARTBEAT, PING, "", OK},
    {TYPE_HEARTBEAT, PING, "x", ERROR_BAD_FRAME},
    {TYPE_MESSAGE, "", "x", OK},
    {TYPE_MESSAGE, "", "", ERROR_USAGE},
    {TYPE_MESSAGE, "", "\n", ERROR_BAD_TEXT},
    {TYPE_MESSAGE, ",\"content_type\":\"image/png\"", "\xff", OK},
    {TYPE_COMMAND, "", "", OK},
    {TYPE_COMMAND, "", "\x7f", ERROR_BAD_TEXT},
    {TYPE_DISCONNECT, "", "", OK},
    {TYPE_FILE_OFFER, "", "", OK},
    {TYPE_FILE_DATA, "", "\xff", OK},
    {TYPE_WELCOME, "", "", ERROR_BAD_FRAME},
    {12, "", "", ERROR_UNKNOWN_TYPE},
};

static void test_all_is_sealed_then(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        station_meet(&station, false);
        assert_int_equal(say_hello(1, GCM), OK);
        assert_true(station.peer.sealed);
        decoder_welcome(&station.decoder);
        message_tell(&message, cases[i].type, 2, cases[i].fields,
                     slice_of(cases[i].content));
        assert_int_equal(
            station_tell(&station, message.bytes, message.length, &request),
            ERROR_BAD_HMAC);
        message_seal(&message, client, cases[i].type, 3, cases[i].fields,
                     slice_of(cases[i].content));
        assert_int_equal(
            station_tell(&station, message.bytes, message.length, &request),
            cases[i].error);
    }
}

/* A hello that is refused changes nothing. */
static void test_hello_that_does_not_seal(void **state)
{
    static const struct {
        const char *fields;
        enum error_code error;
    } hellos[] = {
        {"", OK},
        {",\"enc\":\"A128GCM\"", ERROR_HANDSHAKE},
        {",\"enc\":null", WRONG},
        {GCM ",\"nick\":1", WRONG},
        {GCM ",", WRONG},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(hellos); i++) {
        station_meet(&station, false);
        assert_int_equal(say_hello(1, hellos[i].fields), hellos[i].error);
        assert_false(station.peer.sealed);
    }
    station_meet(&station, false);
    station.peer.seq_in_min = 2;
    assert_int_equal(say_hello(1, GCM), ERROR_REPLAY);
    assert_false(station.peer.sealed);
    station_meet(&station, true);
    assert_int_equal(say_hello(1, GCM), ERROR_HANDSHAKE);
    assert_false(station.peer.sealed);
}

/* As after a nick that was in use. */
static void test_second_hello_does_not_unseal(void **state)
{
    (void)state;
    station_meet(&station, false);
    assert_int_equal(say_hello(1, GCM IV), OK);
    assert_int_equal(say_hello(2, ""), OK);
    assert_true(station.peer.sealed);
}

static void test_encryption_required(void **state)
{
    struct wire_config config = vector_config();

    (void)state;
    station_close(&station);
    config.encryption_required = true;
    station_open(&station, DIALECT_SECURE, &config);
    assert_int_equal(say_hello(1, ""), ERROR_HANDSHAKE);
    station_meet(&station, false);
    assert_int_equal(say_hello(1, GCM), OK);
    assert_int_equal(say_hello(2, ""), OK);
    station_close(&station);
    station_open(&station, DIALECT_SECURE, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_enc_and_iv),
        cmocka_unit_test(test_short_seals),
        cmocka_unit_test(test_every_bit_of_a_seal),
        cmocka_unit_test(test_other_headers_than_the_sealed_ones),
        cmocka_unit_test(test_seal_of_another_sender),
        cmocka_unit_test(test_sealed_in_place_and_in_the_tail),
        cmocka_unit_test(test_all_is_sealed_then),
        cmocka_unit_test(test_hello_that_does_not_seal),
        cmocka_unit_test(test_second_hello_does_not_unseal),
        cmocka_unit_test(test_encryption_required),
    };

    return cmocka_run_group_tests(tests, open_station, close_station);
}

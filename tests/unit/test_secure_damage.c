/*
 * Secure messages that are damaged, on the way or by somebody without the key,
 * and those with several faults, of which docs/protocol.md says which comes
 * first. Nothing of a message matters before its HMAC holds.
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
#include "tests/unit/support_wire.h"
#include "vectors.h"

#include <string.h>

#define HEAD 60

static struct station station;
static struct message message;
static struct transcript expected;
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

/* -- damage -- */

/* The error for a message with a bit of that byte changed, for the lengths
 * that it then says. */
static enum error_code damage(size_t at, bool welcomed)
{
    size_t headers = load_u32(message.bytes + 12);
    size_t content = load_u32(message.bytes + 20);

    if (at < 8)
        return ERROR_BAD_MAGIC;
    if (at < 10)
        return ERROR_BAD_VERSION;
    if (at < 12)
        return welcomed ? ERROR_BAD_HMAC : ERROR_HANDSHAKE;
    if (headers > HEADERS_BYTES_MAX ||
        content > (welcomed ? VECTOR_MESSAGE_BYTES_MAX : 0))
        return ERROR_TOO_LARGE;
    return at >= 28 && at < HEAD ? ERROR_BAD_HMAC : ERROR_BAD_CRC;
}

/* The message arrives, and what it lacks then, which is nothing but zeros. */
static void feed_damaged(bool bytewise)
{
    static const unsigned char zeros[VECTOR_MESSAGE_BYTES_MAX];

    for (size_t at = 0; bytewise && at < message.length && !station.over; at++)
        station_feed(&station, message.bytes + at, 1);
    if (!bytewise)
        station_feed(&station, message.bytes, message.length);
    if (!station.over)
        station_feed(&station, zeros, wire_need(&station.decoder));
}

static void check_damaged(bool welcomed, enum error_code error, bool bytewise)
{
    static struct transcript transcript;
    struct wire_peer before;

    transcript.length = expected.length = 0;
    station.transcript = &transcript;
    station_meet(&station, welcomed);
    station.peer.seq_in_min = 1;
    before = station.peer;
    feed_damaged(bytewise);
    station.transcript = NULL;
    transcript_add_error(&expected, error, 0);
    assert_true(transcript_equals(&transcript, &expected));
    assert_memory_equal(&station.peer, &before, sizeof(before));
}

static void flip_bit(size_t bit)
{
    message.bytes[bit / 8] ^= (unsigned char)(0x80 >> bit % 8);
}

static void check_every_bit(bool welcomed)
{
    for (size_t bit = 0; bit < 8 * message.length; bit++) {
        enum error_code error;

        flip_bit(bit);
        error = damage(bit / 8, welcomed);
        check_damaged(welcomed, error, false);
        check_damaged(welcomed, error, true);
        flip_bit(bit);
    }
}

static void test_every_bit_changed(void **state)
{
    (void)state;
    message_tell(&message, TYPE_MESSAGE, 1, ",\"id\":1", SLICE("hello"));
    check_every_bit(true);
    message_seal(&message, client, TYPE_MESSAGE, 1, ",\"id\":1",
                 SLICE("hello"));
    check_every_bit(true);
    message_tell(&message, TYPE_DISCONNECT, 1, "", SLICE(""));
    check_every_bit(true);
    message_tell(&message, TYPE_SESSION_ACK, 1, ",\"enc\":\"A256GCM\"",
                 SLICE(""));
    check_every_bit(false);
}

/* With right CRCs: whose HMAC is not right is not believed in anything. */
static void test_every_bit_changed_by_somebody(void **state)
{
    unsigned char mac[32];

    (void)state;
    message_seal(&message, client, TYPE_MESSAGE, 1, ",\"id\":1",
                 SLICE("hello"));
    memcpy(mac, message.bytes + 28, sizeof(mac));
    for (size_t bit = 8 * 10; bit < 8 * message.length; bit++) {
        if (bit / 8 >= 12 && bit / 8 < HEAD)
            continue;
        flip_bit(bit);
        message_mend(&message);
        memcpy(message.bytes + 28, mac, sizeof(mac));
        check_damaged(true, ERROR_BAD_HMAC, false);
        flip_bit(bit);
    }
}

/* Signed with another key, and not signed at all. */
static void test_other_keys(void **state)
{
    static const size_t places[] = {0, 1, 31};
    struct wire_config config = vector_config();

    (void)state;
    message_tell(&message, TYPE_COMMAND, 1, "", SLICE("who"));
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
        unsigned char key[32];
        struct station other;

        memcpy(key, vector_key, sizeof(key));
        key[places[i]] ^= 1;
        config.key = key;
        station_open(&other, DIALECT_SECURE, &config);
        station_meet(&other, true);
        assert_int_equal(
            station_tell(&other, message.bytes, message.length, NULL),
            ERROR_BAD_HMAC);
        station_close(&other);
    }
    memset(message.bytes + 28, 0, 32);
    check_damaged(true, ERROR_BAD_HMAC, false);
}

/* -- the order of checks -- */

enum fault {
    FAULT_MAGIC,
    FAULT_VERSION,
    FAULT_TYPE, /* of a stranger */
    FAULT_HEADERS_LENGTH,
    FAULT_CONTENT_LENGTH,
    FAULT_CRC,
    FAULT_HMAC,
    FAULT_JSON,
    FAULT_FIELD,
    FAULTS,
};

static const enum error_code fault_errors[FAULTS + 1] = {
    [FAULT_MAGIC] = ERROR_BAD_MAGIC,
    [FAULT_VERSION] = ERROR_BAD_VERSION,
    [FAULT_TYPE] = ERROR_HANDSHAKE,
    [FAULT_HEADERS_LENGTH] = ERROR_TOO_LARGE,
    [FAULT_CONTENT_LENGTH] = ERROR_TOO_LARGE,
    [FAULT_CRC] = ERROR_BAD_CRC,
    [FAULT_HMAC] = ERROR_BAD_HMAC,
    [FAULT_JSON] = ERROR_BAD_HEADER,
    [FAULT_FIELD] = ERROR_REPLAY,
    [FAULTS] = ERROR_NONE,
};

/* A hello with each of the faults whose bit is set. */
static void write_faulty(unsigned faults)
{
    const char *fields = faults & 1 << FAULT_JSON ? ",}" : "";
    unsigned type = faults & 1 << FAULT_TYPE ? TYPE_MESSAGE : TYPE_SESSION_ACK;

    message_tell(&message, type, faults & 1 << FAULT_FIELD ? 4 : 5, fields,
                 SLICE(""));
    message.bytes[0] ^= !!(faults & 1 << FAULT_MAGIC);
    message.bytes[9] ^= !!(faults & 1 << FAULT_VERSION);
    message.bytes[16] ^= !!(faults & 1 << FAULT_CRC);
    message_sign(&message);
    if (faults & 1 << FAULT_HEADERS_LENGTH)
        store_u32(message.bytes + 12, HEADERS_BYTES_MAX + 1);
    if (faults & 1 << FAULT_CONTENT_LENGTH)
        store_u32(message.bytes + 20, 1);
    message.bytes[28] ^= !!(faults & 1 << FAULT_HMAC);
}

static void test_order_of_checks(void **state)
{
    (void)state;
    for (unsigned faults = 0; faults < 1 << FAULTS; faults++) {
        unsigned first = 0;

        while (first < FAULTS && !(faults & 1 << first))
            first++;
        write_faulty(faults);
        station_meet(&station, false);
        station.peer.seq_in_min = 5;
        assert_int_equal(
            station_tell(&station, message.bytes, message.length, NULL),
            fault_errors[first]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_bit_changed),
        cmocka_unit_test(test_every_bit_changed_by_somebody),
        cmocka_unit_test(test_other_keys),
        cmocka_unit_test(test_order_of_checks),
    };

    return cmocka_run_group_tests(tests, open_station, close_station);
}

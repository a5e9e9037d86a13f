/*
 * Secure messages for a server: the golden vectors byte for byte, seqs and ivs,
 * and requests of every kind, which a server decodes as what they were.
 */
#include "common/wire/say.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/bytes.h"
#include "common/base/limits.h"
#include "common/wire/headers.h"
#include "tests/unit/support_alloc.h"
#include "tests/unit/support_hear.h"
#include "vectors.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define HEAD 60

static struct ear ear;         /* the client's side */
static struct station station; /* the server's */

static int open_both(void **state)
{
    (void)state;
    ear_open(&ear, DIALECT_SECURE, NULL);
    station_open(&station, DIALECT_SECURE, NULL);
    return 0;
}

static int close_both(void **state)
{
    (void)state;
    ear_close(&ear);
    station_close(&station);
    return 0;
}

struct encoded {
    size_t size;
    unsigned char *bytes;
};

/* In memory of exactly its size. */
static struct encoded say(enum encoding encoding, const struct request *request)
{
    struct wire_peer before = ear.peer;
    struct said said;
    struct encoded encoded = {
        .size = said_prepare(ear.wire, encoding, &ear.peer, request, &said),
    };

    assert_memory_equal(&ear.peer, &before, sizeof(before));
    encoded.bytes = malloc(encoded.size);
    assert_non_null(encoded.bytes);
    assert_ptr_equal(said_write(ear.wire, &said, encoded.bytes),
                     encoded.bytes + encoded.size);
    assert_true(ear.peer.seq_out == before.seq_out + 1);
    return encoded;
}

/* -- golden vectors -- */

static size_t check_golden(const char *group, enum encoding encoding)
{
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
        const char *name = vector_of(group, vectors[i].name);
        struct request request;
        struct encoded encoded;

        if (!name || strncmp(name, "file", 4) == 0)
            continue;
        ear_meet(&ear, true);
        ear.peer.sealed = strcmp(name, "ack_sealed") == 0;
        request = vector_request(name);
        encoded = say(encoding, &request);
        if (encoded.size != vectors[i].length ||
            memcmp(encoded.bytes, vectors[i].bytes, encoded.size) != 0)
            fail_msg("%s is another", vectors[i].name);
        free(encoded.bytes);
        count++;
    }
    return count;
}

static void test_golden_vectors(void **state)
{
    (void)state;
    assert_int_equal(check_golden("secure_in", ENCODING_SECURE), 11);
    assert_int_equal(check_golden("sealed_in", ENCODING_SEALED), 8);
}

/* -- seqs and ivs -- */

static void check_seq_and_iv(const struct encoded *encoded, uint64_t seq,
                             bool sealed)
{
    struct headers *headers = headers_create();
    struct slice json = {(const char *)encoded->bytes + HEAD,
                         load_u32(encoded->bytes + 12)};
    unsigned char iv[IV_BYTES], expected[IV_BYTES] = {0};
    struct slice text;
    uint64_t number;

    assert_non_null(headers);
    assert_true(headers_parse(headers, json));
    assert_int_equal(headers_number(headers, "seq", &number), FIELD_THERE);
    assert_true(number == seq);
    assert_int_equal(headers_string(headers, "iv", &text),
                     sealed ? FIELD_THERE : FIELD_ABSENT);
    if (sealed) {
        assert_int_equal(sodium_base642bin(iv, sizeof(iv), text.bytes,
                                           text.length, NULL, NULL, NULL,
                                           sodium_base64_VARIANT_ORIGINAL),
                         0);
        store_u64(expected + 4, seq);
        assert_memory_equal(iv, expected, IV_BYTES);
    }
    headers_destroy(headers);
}

/* From wherever they begin; the iv is the seq, so none is used twice. */
static void test_seqs_and_ivs(void **state)
{
    static const uint64_t begins[] = {0, 1, 0xff, UINT32_MAX,
                                      UINT64_C(0xfffffffffff00)};
    struct request request = {.kind = REQUEST_PING, .stamp = 1};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(begins); i++) {
        ear_meet(&ear, true);
        ear.peer.seq_out = begins[i];
        for (uint64_t n = 1; n <= 20; n++) {
            bool sealed = n % 3 > 0;
            struct encoded encoded =
                say(sealed ? ENCODING_SEALED : ENCODING_SECURE, &request);

            check_seq_and_iv(&encoded, begins[i] + n, sealed);
            free(encoded.bytes);
        }
    }
}

/* Each session's is sealed with a key of its own. */
static void test_another_session(void **state)
{
    struct greeting greeting = {.heartbeat_s = 5};
    struct request request = {.kind = REQUEST_COMMAND, .text = SLICE("who")};
    struct encoded first, second;

    (void)state;
    ear_meet(&ear, true);
    first = say(ENCODING_SEALED, &request);
    ear.peer = (struct wire_peer){.sealed = true};
    memcpy(greeting.session, vector_boot, UUID_BYTES);
    memcpy(greeting.boot, vector_boot, UUID_BYTES);
    assert_true(wire_greeted(ear.wire, &ear.peer, &greeting));
    second = say(ENCODING_SEALED, &request);
    assert_int_equal(first.size, second.size);
    assert_memory_not_equal(first.bytes + first.size - 19,
                            second.bytes + second.size - 19, 3);
    station_meet(&station, true);
    assert_int_equal(station_tell(&station, first.bytes, first.size, NULL),
                     ERROR_NONE);
    memcpy(station.peer.uuid, greeting.session, UUID_BYTES);
    station.peer.keyed = false;
    station.peer.seq_in_min = 0;
    assert_int_equal(station_tell(&station, second.bytes, second.size, NULL),
                     ERROR_NONE);
    free(first.bytes);
    free(second.bytes);
}

/* -- what is said is decoded -- */

static void check_decoded(enum encoding encoding, const struct request *request)
{
    struct encoded encoded = say(encoding, request);
    struct request decoded;

    assert_int_equal(
        station_tell(&station, encoded.bytes, encoded.size, &decoded),
        ERROR_NONE);
    assert_requests_equal(&decoded, request);
    free(encoded.bytes);
}

static void check_in_both(const struct request *request)
{
    check_decoded(ENCODING_SECURE, request);
    station.peer.sealed = true;
    check_decoded(ENCODING_SEALED, request);
    station.peer.sealed = false;
}

static void meet(bool welcomed)
{
    ear_meet(&ear, true);
    station_meet(&station, welcomed);
}

static void test_hello(void **state)
{
    static const char *const nicks[] = {"", "a", "abcdefghijklmnopqrstuvwx"};

    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LENGTH(nicks); i++) {
        struct request hello = {.kind = REQUEST_HELLO,
                                .name = slice_of(nicks[i / 2])};

        meet(false);
        ear.peer.sealed = i % 2;
        check_decoded(ENCODING_SECURE, &hello);
        assert_int_equal(station.peer.sealed, i % 2);
        /* Another nick, as after one that was in use. */
        check_decoded(ENCODING_SECURE, &hello);
        assert_int_equal(station.peer.sealed, i % 2);
    }
}

static void test_every_kind(void **state)
{
    static const uint64_t numbers[] = {0, 1, UINT32_MAX, HEADER_NUMBER_MAX};

    (void)state;
    meet(true);
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        struct request request = {.kind = REQUEST_PING, .stamp = numbers[i]};

        check_in_both(&request);
        request.kind = REQUEST_PONG;
        check_in_both(&request);
        request = (struct request){.kind = REQUEST_COMMAND,
                                   .id = (uint32_t)numbers[i],
                                   .text = SLICE("topic \xe2\x82\xac\t\"\\")};
        check_in_both(&request);
        request.text.length = 0;
        check_in_both(&request);
    }
    check_in_both(&(struct request){.kind = REQUEST_DISCONNECT});
}

/* All targets, and each byte that a content type may have, as often as it
 * may. */
static void test_messages(void **state)
{
    char type[CONTENT_TYPE_BYTES_MAX];
    struct request request = {.kind = REQUEST_MESSAGE, .id = UINT32_MAX};

    (void)state;
    meet(true);
    ear.peer.seq_out = HEADER_NUMBER_MAX - 2000;
    for (enum target t = TARGET_CURRENT; t <= TARGET_NICK; t++) {
        request.target = t;
        request.name = t == TARGET_CURRENT
                           ? SLICE("")
                           : SLICE("abcdefghijklmnopqrstuvwxyz_-012.");
        request.text = SLICE("hello");
        request.content_type = SLICE("");
        check_in_both(&request);
        request.text =
            (struct slice){(const char *)vector_binary, sizeof(vector_binary)};
        for (int byte = ' '; byte <= '~'; byte++) {
            memset(type, byte, sizeof(type));
            request.content_type = (struct slice){type, sizeof(type)};
            check_in_both(&request);
            request.content_type.length = 1;
            check_in_both(&request);
        }
    }
}

static void test_long_contents(void **state)
{
    static char text[VECTOR_MESSAGE_BYTES_MAX];
    struct request request = {.kind = REQUEST_MESSAGE};

    (void)state;
    meet(true);
    memset(text, 'x', sizeof(text));
    for (size_t length = 1; length <= sizeof(text); length *= 4) {
        request.text = (struct slice){text, length};
        check_decoded(ENCODING_SECURE, &request);
        request.text.length -= length == sizeof(text) ? SEAL_TAG_BYTES : 0;
        check_decoded(ENCODING_SEALED, &request);
    }
}

/* -- memory -- */

/* It fails, or what is written is right; and so is the next one. */
static void test_without_memory(void **state)
{
    struct request request = {.kind = REQUEST_COMMAND, .text = SLICE("who")};
    unsigned char bytes[512];
    unsigned n = 0;
    bool reached;

    (void)state;
    meet(true);
    do {
        unsigned long before = alloc_count();
        struct said said;
        const unsigned char *end;

        assert_true(said_prepare(ear.wire, ENCODING_SEALED, &ear.peer, &request,
                                 &said) <= sizeof(bytes));
        alloc_fail_at(++n);
        end = said_write(ear.wire, &said, bytes);
        reached = alloc_count() - before >= n;
        alloc_fail_at(0);
        assert_true(end || reached);
        if (end)
            assert_int_equal(station_tell(&station, bytes, said.size, NULL),
                             ERROR_NONE);
        check_decoded(ENCODING_SEALED, &request);
    } while (reached);
    assert_true(n > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_vectors),
        cmocka_unit_test(test_seqs_and_ivs),
        cmocka_unit_test(test_another_session),
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_long_contents),
        cmocka_unit_test(test_without_memory),
    };

    crypto_memory_can_fail();
    return cmocka_run_group_tests(tests, open_both, close_both);
}

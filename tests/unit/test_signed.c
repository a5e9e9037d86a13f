/*
 * Secure messages to a peer or a room, read back by other means: the HMAC is
 * libsodium's, the headers are jansson's, and both are what docs/protocol.md
 * says of the event that they were made of. No iv is used twice.
 */
#include "common/wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/bytes.h"
#include "common/base/limits.h"
#include "tests/unit/support_alloc.h"
#include "tests/unit/support_wire.h"
#include "vectors.h"

#include <jansson.h>
#include <libdeflate.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD 60
#define NUMBER_MAX ((UINT64_C(1) << 53) - 1)

static struct station station;
static struct keys *client; /* has the key as a client has it */

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

/* -- reading a message -- */

/* What was written, of exactly its size, and what is in it. */
struct letter {
    unsigned char *bytes;
    size_t size;
    unsigned type;
    json_t *headers;
    struct slice header_bytes, content;
    uint8_t iv[IV_BYTES]; /* of a sealed one */
};

static void letter_release(struct letter *letter)
{
    json_decref(letter->headers);
    free(letter->bytes);
}

static void check_crc(const struct letter *letter, size_t at,
                      struct slice bytes)
{
    assert_true(libdeflate_crc32(0, bytes.bytes, bytes.length) ==
                load_u32(letter->bytes + at));
}

static void check_hmac(const struct letter *letter)
{
    crypto_auth_hmacsha256_state hmac;
    unsigned char mac[32];

    crypto_auth_hmacsha256_init(&hmac, vector_key, sizeof(vector_key));
    crypto_auth_hmacsha256_update(&hmac, letter->bytes, 28);
    crypto_auth_hmacsha256_update(&hmac, letter->bytes + HEAD,
                                  letter->size - HEAD);
    crypto_auth_hmacsha256_final(&hmac, mac);
    assert_memory_equal(mac, letter->bytes + 28, sizeof(mac));
}

static void read_letter(struct letter *letter)
{
    const unsigned char *bytes = letter->bytes;
    size_t headers = load_u32(bytes + 12), content = load_u32(bytes + 20);
    json_error_t error;

    assert_memory_equal(bytes, "\x89RING\r\n\x1a\0\1", 10);
    letter->type = load_u16(bytes + 10);
    assert_int_equal(letter->size, HEAD + headers + content);
    assert_in_range(headers, 2, HEADERS_BYTES_MAX);
    letter->header_bytes = (struct slice){(const char *)bytes + HEAD, headers};
    letter->content =
        (struct slice){(const char *)bytes + HEAD + headers, content};
    check_crc(letter, 16, letter->header_bytes);
    check_crc(letter, 24, letter->content);
    check_hmac(letter);
    letter->headers = json_loadb(letter->header_bytes.bytes, headers,
                                 JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(letter->headers))
        fail_msg("%s: %.*s", error.text, (int)headers, bytes + HEAD);
}

static const char *header_string(const struct letter *letter, const char *name)
{
    const char *value =
        json_string_value(json_object_get(letter->headers, name));

    if (!value)
        fail_msg("no %s", name);
    return value;
}

/* Takes the seal off: the content, and the headers that say so. */
static void unseal(struct letter *letter)
{
    struct sealing sealing = {
        .headers = letter->header_bytes.bytes,
        .headers_length = letter->header_bytes.length,
    };
    const char *iv = header_string(letter, "iv");
    size_t length;

    assert_string_equal(header_string(letter, "enc"), "A256GCM");
    assert_int_equal(strlen(iv), 16);
    assert_int_equal(sodium_base642bin(sealing.iv, IV_BYTES, iv, 16, NULL,
                                       &length, NULL,
                                       sodium_base64_VARIANT_ORIGINAL),
                     0);
    assert_int_equal(length, IV_BYTES);
    memcpy(letter->iv, sealing.iv, IV_BYTES);
    assert_true(letter->content.length >= SEAL_TAG_BYTES);
    letter->content.length -= SEAL_TAG_BYTES;
    sealing.length = letter->content.length;
    sealing.bytes = letter->bytes + HEAD + letter->header_bytes.length;
    assert_int_equal(keys_open(client, vector_server_key, &sealing,
                               sealing.bytes + sealing.length),
                     OPENING_DONE);
    json_object_del(letter->headers, "enc");
    json_object_del(letter->headers, "iv");
}

static struct letter encode(enum encoding encoding, struct wire_peer *to,
                            const struct event *event)
{
    struct outgoing outgoing;
    struct letter letter = {
        .size = wire_prepare(station.wire, encoding, to, event, &outgoing),
    };

    letter.bytes = malloc(letter.size);
    assert_non_null(letter.bytes);
    assert_ptr_equal(wire_write(station.wire, &outgoing, letter.bytes),
                     letter.bytes + letter.size);
    read_letter(&letter);
    if (encoding == ENCODING_SEALED)
        unseal(&letter);
    return letter;
}

/* -- what the headers have to be -- */

static bool is_to_room(enum event_kind kind)
{
    return kind <= EVENT_TOPIC;
}

static void set(json_t *headers, const char *name, json_t *value)
{
    assert_int_equal(json_object_set_new(headers, name, value), 0);
}

static void set_number(json_t *headers, const char *name, uint64_t number)
{
    set(headers, name, json_integer((json_int_t)number));
}

static void set_string(json_t *headers, const char *name, struct slice string)
{
    set(headers, name,
        json_stringn(string.length ? string.bytes : "", string.length));
}

static void set_message(json_t *headers, struct slice room, uint64_t seq,
                        const struct event *event)
{
    set_string(headers, "room", room);
    set_number(headers, "room_seq", seq);
    set_string(headers, "nick", event->nick);
    set_number(headers, "time", event->time_us);
    set_string(headers, "content_type",
               event->content_type.length ? event->content_type
                                          : SLICE("text/plain; charset=utf-8"));
}

static void set_notice(json_t *headers, const char *kind,
                       const struct event *event)
{
    set_string(headers, "kind", slice_of(kind));
    set_string(headers, "room", event->room);
    set_string(headers, "nick", event->nick);
    if (event->kind != EVENT_LAGGED)
        set_number(headers, "room_seq", event->seq);
}

static void set_id(json_t *headers, const struct event *event)
{
    if (event->id > 0)
        set_number(headers, "id", event->id);
}

static void set_fields(json_t *headers, const struct event *event)
{
    switch (event->kind) {
    case EVENT_MESSAGE:
        set_message(headers, event->room, event->seq, event);
        break;
    case EVENT_PRIVATE:
        set_message(headers, SLICE("@"), 0, event);
        break;
    case EVENT_JOINED:
        set_notice(headers, "joined", event);
        break;
    case EVENT_LEFT:
        set_notice(headers, "left", event);
        break;
    case EVENT_NICK:
        set_notice(headers, "nick", event);
        break;
    case EVENT_TOPIC:
        set_notice(headers, "topic", event);
        break;
    case EVENT_LAGGED:
        set_notice(headers, "lagged", event);
        break;
    case EVENT_REPLY:
    case EVENT_ECHO:
    case EVENT_TOPIC_REPLY:
        set_id(headers, event);
        set(headers, "more", json_boolean(event->more));
        break;
    case EVENT_ERROR:
        set_number(headers, "code", event->code);
        set_string(headers, "name", slice_of(error_name(event->code)));
        set_id(headers, event);
        break;
    case EVENT_WELCOME:
        set_string(headers, "nick", event->nick);
        set_string(headers, "room", event->room);
        break;
    case EVENT_SESSION_INIT:
        set_string(headers, "boot",
                   SLICE("a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf"));
        set_number(headers, "heartbeat", VECTOR_HEARTBEAT_S);
        set_number(headers, "max_content", VECTOR_MESSAGE_BYTES_MAX);
        break;
    case EVENT_PING:
    case EVENT_PONG:
        set_string(headers, "kind",
                   event->kind == EVENT_PING ? SLICE("ping") : SLICE("pong"));
        set_number(headers, "stamp", event->number);
        break;
    case EVENT_ACK:
        set_number(headers, "id", event->id);
        set_number(headers, "room_seq", event->seq);
        break;
    case EVENT_DISCONNECT:
        set_number(headers, "code", 0);
        break;
    case EVENT_OTHER:
        fail_msg("nobody says that");
    }
}

/* What the content has to be; written to `buffer` where it is put together. */
static struct slice expected_content(const struct event *event, char *buffer,
                                     size_t size)
{
    int length = 0;

    switch (event->kind) {
    case EVENT_MESSAGE:
    case EVENT_PRIVATE:
    case EVENT_NICK:
    case EVENT_TOPIC:
    case EVENT_REPLY:
    case EVENT_ECHO:
        return event->text;
    case EVENT_LAGGED:
        length = snprintf(buffer, size, "%ju", (uintmax_t)event->number);
        break;
    case EVENT_ERROR:
        length = snprintf(buffer, size, "%s%s%.*s", error_name(event->code),
                          event->text.length ? " " : "",
                          (int)event->text.length, event->text.bytes);
        break;
    case EVENT_TOPIC_REPLY:
        length = snprintf(buffer, size, "topic %.*s: %.*s",
                          (int)event->room.length, event->room.bytes,
                          (int)event->text.length, event->text.bytes);
        break;
    default:
        break;
    }
    return (struct slice){buffer, (size_t)length};
}

static const unsigned char types[] = {
    [EVENT_MESSAGE] = 4,      [EVENT_JOINED] = 9,      [EVENT_LEFT] = 9,
    [EVENT_NICK] = 9,         [EVENT_TOPIC] = 9,       [EVENT_LAGGED] = 9,
    [EVENT_PRIVATE] = 4,      [EVENT_REPLY] = 8,       [EVENT_ECHO] = 8,
    [EVENT_ERROR] = 5,        [EVENT_TOPIC_REPLY] = 8, [EVENT_WELCOME] = 11,
    [EVENT_SESSION_INIT] = 1, [EVENT_PING] = 3,        [EVENT_PONG] = 3,
    [EVENT_ACK] = 10,         [EVENT_DISCONNECT] = 6,
};

static void check_letter(const struct letter *letter, bool to_room,
                         const struct event *event)
{
    char buffer[1024];
    struct slice content = expected_content(event, buffer, sizeof(buffer));
    json_t *headers = json_object();

    if (!to_room) {
        set_string(headers, "session", SLICE(VECTOR_SESSION_TEXT));
        set_number(headers, "seq", station.peer.seq_out);
    }
    set_fields(headers, event);
    if (!json_equal(letter->headers, headers))
        fail_msg("headers: %.*s", (int)letter->header_bytes.length,
                 letter->header_bytes.bytes);
    json_decref(headers);
    assert_int_equal(letter->type, types[event->kind]);
    assert_true(slice_equals(letter->content, content));
}

/* Of every kind, in the clear and sealed. */
static void check_events(struct event event)
{
    for (enum event_kind kind = 0; kind <= EVENT_DISCONNECT; kind++) {
        bool to_room = is_to_room(kind);

        event.kind = kind;
        event.more = !event.more;
        for (enum encoding e = ENCODING_SECURE; e <= ENCODING_SEALED; e++) {
            uint64_t seq = station.peer.seq_out;
            struct letter letter =
                encode(e, to_room ? NULL : &station.peer, &event);

            assert_true(station.peer.seq_out == seq + !to_room);
            check_letter(&letter, to_room, &event);
            letter_release(&letter);
        }
    }
}

/* -- what is put in comes out -- */

static void test_names_and_texts(void **state)
{
    static const char name[] = "abcdefghijklmnopqrstuvwxyz-ABC_.";
    static const size_t rooms[] = {0, 1, ROOM_NAME_BYTES_MAX};
    static const size_t nicks[] = {0, 1, NICK_BYTES_MAX};
    static const char *const texts[] = {"", "x", "{\"a\":\"\\\"\t\xe2\x82\xac"};
    struct event event = {.code = ERROR_NO_ROOM, .id = 1};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rooms); i++) {
        for (size_t j = 0; j < ARRAY_LENGTH(nicks); j++) {
            event.room = (struct slice){name, rooms[i]};
            event.nick = (struct slice){name, nicks[j]};
            event.text = slice_of(texts[j]);
            check_events(event);
        }
    }
}

static void test_numbers(void **state)
{
    static const uint64_t numbers[] = {
        0, 1, 10, UINT32_MAX, NUMBER_MAX - 1, NUMBER_MAX};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        station.peer.seq_out = NUMBER_MAX - 100;
        check_events((struct event){
            .room = SLICE("r"),
            .nick = SLICE("n"),
            .seq = numbers[i],
            .time_us = numbers[i],
            .number = numbers[i],
            .id = (uint32_t)numbers[i],
            .code = ERROR_INTERNAL,
        });
    }
    station.peer.seq_out = 0;
}

/* Each byte that a content type may have, as many times as it may. */
static void test_content_types(void **state)
{
    char type[CONTENT_TYPE_BYTES_MAX];

    (void)state;
    for (int byte = ' '; byte <= '~'; byte++) {
        memset(type, byte, sizeof(type));
        check_events((struct event){
            .room = SLICE("abcdefghijklmnopqrstuvwxyzabcdef"),
            .nick = SLICE("abcdefghijklmnopqrstuvwx"),
            .content_type = {type, sizeof(type)},
            .text = SLICE("\x89PNG\n"),
            .seq = NUMBER_MAX,
            .time_us = NUMBER_MAX,
            .number = NUMBER_MAX,
            .id = UINT32_MAX,
            .code = ERROR_UNKNOWN_COMMAND,
        });
        type[0] = '\\';
        type[1] = '"';
        check_events(
            (struct event){.content_type = {type, 3}, .code = ERROR_USAGE});
    }
}

static void test_errors(void **state)
{
    struct event event = {.kind = EVENT_ERROR, .text = SLICE("detail")};
    struct letter letter;

    (void)state;
#define X(name, number, text_, closes)                                         \
    event.code = ERROR_##name;                                                 \
    letter = encode(ENCODING_SECURE, &station.peer, &event);                   \
    check_letter(&letter, false, &event);                                      \
    letter_release(&letter);
    ERROR_TABLE(X)
#undef X
}

/* -- seqs and ivs -- */

static void test_seqs_rise(void **state)
{
    struct event event = {.kind = EVENT_PING};

    (void)state;
    station_meet(&station, true);
    for (unsigned seq = 1; seq < 100; seq++) {
        struct letter letter = encode(
            seq % 2 ? ENCODING_SECURE : ENCODING_SEALED, &station.peer, &event);

        assert_int_equal(
            json_integer_value(json_object_get(letter.headers, "seq")), seq);
        letter_release(&letter);
    }
}

/* What a peer is told of its size costs no seq and no iv. */
static void test_sizes_change_nothing(void **state)
{
    struct event event = {.kind = EVENT_PING};
    struct letter first, second;

    (void)state;
    station_meet(&station, true);
    first = encode(ENCODING_SEALED, &station.peer, &event);
    for (int i = 0; i < 10; i++)
        wire_prepare(station.wire, ENCODING_SEALED, &station.peer, &event,
                     &(struct outgoing){0});
    assert_true(station.peer.seq_out == 1);
    second = encode(ENCODING_SEALED, &station.peer, &event);
    assert_int_equal(second.iv[IV_BYTES - 1], first.iv[IV_BYTES - 1] + 1);
    letter_release(&first);
    letter_release(&second);
}

/* Whoever it is for: rooms and peers share the server's key. */
static void test_no_iv_comes_twice(void **state)
{
    struct event message = {.kind = EVENT_MESSAGE, .text = SLICE("x")};
    struct event ping = {.kind = EVENT_PING};
    struct wire_peer other = {.uuid = {1}};
    uint8_t last[IV_BYTES] = {0};

    (void)state;
    for (int i = 0; i < 3000; i++) {
        struct wire_peer *const to[] = {NULL, &station.peer, &other};
        struct letter letter =
            encode(ENCODING_SEALED, to[i % 3], i % 3 ? &ping : &message);

        /* They rise, so none comes again. */
        assert_true(memcmp(letter.iv, last, IV_BYTES) > 0);
        memcpy(last, letter.iv, IV_BYTES);
        letter_release(&letter);
    }
}

/* What goes to a room is the same for all members. */
static void test_a_room_s_message_is_nobody_s(void **state)
{
    struct event event = {.kind = EVENT_MESSAGE,
                          .room = SLICE("den"),
                          .nick = SLICE("ann"),
                          .text = SLICE("x"),
                          .seq = 1};
    struct letter first, second;

    (void)state;
    first = encode(ENCODING_SECURE, NULL, &event);
    assert_null(json_object_get(first.headers, "session"));
    assert_null(json_object_get(first.headers, "seq"));
    second = encode(ENCODING_SECURE, NULL, &event);
    assert_int_equal(first.size, second.size);
    assert_memory_equal(first.bytes, second.bytes, first.size);
    letter_release(&first);
    letter_release(&second);
}

/* -- wires -- */

static void test_wire_without_a_key(void **state)
{
    struct event event = {.kind = EVENT_PING, .number = 1};
    struct wire_config config = vector_config();
    struct outgoing outgoing;
    unsigned char bytes[64];
    struct wire *wire;

    (void)state;
    config.key = NULL;
    config.key_length = 0;
    wire = wire_create(&config, &station.budget);
    assert_non_null(wire);
    wire_prepare(wire, ENCODING_FRAME, &station.peer, &event, &outgoing);
    assert_ptr_equal(wire_write(wire, &outgoing, bytes), bytes + 13);
    wire_destroy(wire);
    wire_destroy(NULL);
}

/* The key is the caller's to wipe, once the wire is made. */
static void test_key_is_copied(void **state)
{
    struct wire_config config = vector_config();
    struct event event = {.kind = EVENT_PING};
    unsigned char key[32];
    struct letter letter;
    struct wire *wire = station.wire;

    (void)state;
    memcpy(key, vector_key, sizeof(key));
    config.key = key;
    station.wire = wire_create(&config, &station.budget);
    memset(key, 0, sizeof(key));
    assert_non_null(station.wire);
    letter = encode(ENCODING_SEALED, &station.peer, &event);
    letter_release(&letter);
    wire_destroy(station.wire);
    station.wire = wire;
}

/* -- memory -- */

static void test_create_without_memory(void **state)
{
    struct wire_config config = vector_config();
    unsigned n = 0;
    bool reached;

    (void)state;
    do {
        unsigned long before = alloc_count();
        struct wire *wire;

        alloc_fail_at(++n);
        wire = wire_create(&config, &station.budget);
        reached = alloc_count() - before >= n;
        alloc_fail_at(0);
        assert_true(wire || reached);
        wire_destroy(wire);
    } while (reached);
    assert_in_range(n, 3, 1000);
}

/* It fails, or what is written is whole; the next one is. */
static void test_encode_without_memory(void **state)
{
    struct event event = {.kind = EVENT_REPLY, .text = SLICE("hello")};
    unsigned char bytes[512];
    unsigned n = 0;
    bool reached;

    (void)state;
    do {
        unsigned long before = alloc_count();
        const unsigned char *end;
        struct outgoing outgoing;
        struct letter letter;

        assert_true(wire_prepare(station.wire, ENCODING_SEALED, &station.peer,
                                 &event, &outgoing) <= sizeof(bytes));
        alloc_fail_at(++n);
        end = wire_write(station.wire, &outgoing, bytes);
        reached = alloc_count() - before >= n;
        alloc_fail_at(0);
        assert_true(end || reached);
        letter = encode(ENCODING_SEALED, &station.peer, &event);
        letter_release(&letter);
    } while (reached);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_texts),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_content_types),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_seqs_rise),
        cmocka_unit_test(test_sizes_change_nothing),
        cmocka_unit_test(test_no_iv_comes_twice),
        cmocka_unit_test(test_a_room_s_message_is_nobody_s),
        cmocka_unit_test(test_wire_without_a_key),
        cmocka_unit_test(test_key_is_copied),
        cmocka_unit_test(test_create_without_memory),
        cmocka_unit_test(test_encode_without_memory),
    };

    crypto_memory_can_fail();
    return cmocka_run_group_tests(tests, open_station, close_station);
}

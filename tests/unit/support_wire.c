/*
 * Stations and messages. HMACs are libsodium's, where the server has OpenSSL's.
 */
#include "tests/unit/support_wire.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "common/base/bytes.h"
#include "vectors.h"

#include <assert.h>
#include <inttypes.h>
#include <libdeflate.h>
#include <openssl/crypto.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The golden vectors ------------------------------------------------- */

struct wire_config vector_config(void)
{
    struct wire_config config = {
        .line_bytes_max = 4096,
        .frame_bytes_max = VECTOR_FRAME_BYTES_MAX,
        .message_bytes_max = VECTOR_MESSAGE_BYTES_MAX,
        .heartbeat_s = VECTOR_HEARTBEAT_S,
        .key = vector_key,
        .key_length = sizeof(vector_key),
    };

    memcpy(config.boot, vector_boot, sizeof(config.boot));
    return config;
}

const char *vector_of(const char *group, const char *name)
{
    size_t length = strlen(group);

    if (strncmp(name, group, length) != 0 || name[length] != '_')
        return NULL;
    return name + length + 1;
}

struct request vector_request(const char *name)
{
    const struct {
        const char *name;
        struct request request;
    } requests[] = {
        {"ack", {.kind = REQUEST_HELLO, .name = SLICE("alice")}},
        {"ack_guest", {.kind = REQUEST_HELLO}},
        {"ack_sealed", {.kind = REQUEST_HELLO, .name = SLICE("alice")}},
        {"ping", {.kind = REQUEST_PING, .stamp = VECTOR_STAMP}},
        {"pong", {.kind = REQUEST_PONG, .stamp = VECTOR_STAMP}},
        {"message",
         {.kind = REQUEST_MESSAGE,
          .target = TARGET_ROOM,
          .id = 7,
          .name = SLICE("den"),
          .text = SLICE("hello")}},
        {"message_current", {.kind = REQUEST_MESSAGE, .text = SLICE("hello")}},
        {"message_nick",
         {.kind = REQUEST_MESSAGE,
          .target = TARGET_NICK,
          .id = 9,
          .name = SLICE("bob"),
          .text = SLICE("hello")}},
        {"message_content",
         {.kind = REQUEST_MESSAGE,
          .target = TARGET_ROOM,
          .id = 7,
          .name = SLICE("den"),
          .text = {(const char *)vector_binary, sizeof(vector_binary)},
          .content_type = SLICE(VECTOR_BINARY_TYPE)}},
        {"command", {.kind = REQUEST_COMMAND, .id = 3, .text = SLICE("who")}},
        {"disconnect", {.kind = REQUEST_DISCONNECT}},
        {"file_offer", {.kind = REQUEST_TRANSFER}},
        {"file_accept", {.kind = REQUEST_TRANSFER}},
        {"file_data", {.kind = REQUEST_TRANSFER}},
        {"file_end", {.kind = REQUEST_TRANSFER}},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
        if (strcmp(requests[i].name, name) == 0)
            return requests[i].request;
    }
    fail_msg("no request is known as %s", name);
    return (struct request){.kind = REQUEST_NOTHING};
}

struct event vector_event(const char *name)
{
    const struct event message = {
        .kind = EVENT_MESSAGE,
        .room = SLICE("lobby"),
        .nick = SLICE("alice"),
        .text = SLICE("hello"),
        .seq = VECTOR_SEQ,
        .time_us = VECTOR_TIME_US,
    };
    const struct {
        const char *name;
        struct event event;
    } events[] = {
        {"session_init", {.kind = EVENT_SESSION_INIT}},
        {"welcome", {.kind = EVENT_WELCOME}},
        {"ping", {.kind = EVENT_PING, .number = VECTOR_STAMP}},
        {"pong", {.kind = EVENT_PONG, .number = VECTOR_STAMP}},
        {"message", {.kind = EVENT_MESSAGE, .text = SLICE("hello")}},
        {"message_private", {.kind = EVENT_PRIVATE, .text = SLICE("hello")}},
        {"message_content",
         {.kind = EVENT_MESSAGE,
          .text = {(const char *)vector_binary, sizeof(vector_binary)},
          .content_type = SLICE(VECTOR_BINARY_TYPE)}},
        {"error",
         {.kind = EVENT_ERROR,
          .code = ERROR_NICK_IN_USE,
          .id = 3,
          .text = SLICE("bob")}},
        {"error_plain", {.kind = EVENT_ERROR, .code = ERROR_INTERNAL}},
        {"disconnect", {.kind = EVENT_DISCONNECT}},
        {"reply", {.kind = EVENT_REPLY, .id = 3, .text = SLICE("end of who")}},
        {"reply_more",
         {.kind = EVENT_REPLY, .id = 3, .text = SLICE("bob"), .more = true}},
        {"notice_joined", {.kind = EVENT_JOINED}},
        {"notice_left", {.kind = EVENT_LEFT}},
        {"notice_nick", {.kind = EVENT_NICK, .text = SLICE("bob")}},
        {"notice_topic", {.kind = EVENT_TOPIC, .text = SLICE("tea")}},
        {"notice_lagged", {.kind = EVENT_LAGGED, .number = VECTOR_MISSED}},
        {"ack", {.kind = EVENT_ACK, .id = 7}},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(events); i++) {
        struct event event = events[i].event;

        if (strcmp(events[i].name, name) != 0)
            continue;
        event.room = message.room;
        event.seq = message.seq;
        event.time_us = message.time_us;
        if (event.kind != EVENT_LAGGED)
            event.nick = message.nick;
        return event;
    }
    fail_msg("no event is known as %s", name);
    return message;
}

/* ---- What came of a stream ---------------------------------------------- */

void transcript_add(struct transcript *transcript, const void *bytes,
                    size_t length)
{
    assert_true(length <= sizeof(transcript->bytes) - transcript->length);
    if (length > 0)
        memcpy(transcript->bytes + transcript->length, bytes, length);
    transcript->length += length;
}

void transcript_add_slice(struct transcript *transcript, struct slice slice)
{
    transcript_add(transcript, &slice.length, sizeof(slice.length));
    transcript_add(transcript, slice.bytes, slice.length);
}

void transcript_add_request(struct transcript *transcript,
                            const struct request *request)
{
    const uint64_t numbers[] = {'r', request->kind, request->target,
                                request->id, request->stamp};

    transcript_add(transcript, numbers, sizeof(numbers));
    transcript_add_slice(transcript, request->name);
    transcript_add_slice(transcript, request->text);
    transcript_add_slice(transcript, request->content_type);
}

void transcript_add_error(struct transcript *transcript, enum error_code code,
                          uint32_t id)
{
    const uint64_t numbers[] = {'e', code, id};

    transcript_add(transcript, numbers, sizeof(numbers));
}

bool transcript_equals(const struct transcript *a, const struct transcript *b)
{
    return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

static void assert_slices_equal(struct slice a, struct slice b)
{
    assert_int_equal(a.length, b.length);
    if (a.length > 0)
        assert_memory_equal(a.bytes, b.bytes, a.length);
}

void assert_requests_equal(const struct request *a, const struct request *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->target, b->target);
    assert_int_equal(a->id, b->id);
    assert_true(a->stamp == b->stamp);
    assert_slices_equal(a->name, b->name);
    assert_slices_equal(a->text, b->text);
    assert_slices_equal(a->content_type, b->content_type);
}

/* ---- Stations ----------------------------------------------------------- */

void station_open(struct station *station, enum dialect dialect,
                  const struct wire_config *config)
{
    struct wire_config usual = vector_config();

    *station = (struct station){.decoder = {.dialect = dialect}};
    budget_init(&station->budget, UINT64_MAX);
    station->wire = wire_create(config ? config : &usual, &station->budget);
    assert_non_null(station->wire);
    station_meet(station, false);
}

void station_meet(struct station *station, bool welcomed)
{
    enum dialect dialect = station->decoder.dialect;

    decoder_release(&station->decoder, &station->budget);
    assert_true(station_memory(station) == 0);
    station->peer = (struct wire_peer){.sealed = false};
    memcpy(station->peer.uuid, vector_session, UUID_BYTES);
    decoder_init(&station->decoder, dialect);
    if (welcomed)
        decoder_welcome(&station->decoder);
    station->over = false;
    if (station->transcript)
        station->transcript->length = 0;
}

void station_close(struct station *station)
{
    decoder_release(&station->decoder, &station->budget);
    assert_true(station_memory(station) == 0);
    wire_destroy(station->wire);
}

uint64_t station_memory(struct station *station)
{
    return atomic_load(&station->budget.used_bytes);
}

/* One outcome; whether there may be another. */
static bool note(struct station *station, enum wire_outcome outcome,
                 const struct request *request, enum error_code error)
{
    if (outcome == WIRE_PARTIAL)
        return false;
    if (outcome == WIRE_INVALID) {
        station->over = error_closes(error);
        if (station->transcript)
            transcript_add_error(station->transcript, error, request->id);
        return !station->over;
    }
    if (request->kind == REQUEST_HELLO)
        decoder_welcome(&station->decoder);
    if (station->transcript)
        transcript_add_request(station->transcript, request);
    return true;
}

static void decode_piece(struct station *station, const unsigned char *piece,
                         size_t length)
{
    const unsigned char *at = piece;
    size_t left = length;
    enum error_code error = ERROR_NONE;
    enum wire_outcome outcome;
    struct request request;

    do {
        outcome = wire_decode(station->wire, &station->decoder, &station->peer,
                              &at, &left, &request, &error);
        assert_ptr_equal(at, piece + length - left);
        assert_false(station->exact && outcome == WIRE_READY && left > 0);
    } while (note(station, outcome, &request, error));
    if (station->over)
        return;
    assert_int_equal(left, 0);
    assert_int_equal(station_memory(station) > 0,
                     decoder_is_within(&station->decoder));
}

void station_feed(struct station *station, const void *bytes, size_t length)
{
    unsigned char *piece;

    assert(length > 0);
    piece = malloc(length);
    assert_non_null(piece);
    memcpy(piece, bytes, length);
    decode_piece(station, piece, length);
    free(piece);
}

enum error_code station_tell(struct station *station, const void *bytes,
                             size_t length, struct request *request)
{
    const unsigned char *at = bytes;
    enum error_code error = ERROR_NONE;
    struct request ignored;
    enum wire_outcome outcome =
        wire_decode(station->wire, &station->decoder, &station->peer, &at,
                    &length, request ? request : &ignored, &error);

    if (outcome == WIRE_READY) {
        assert_int_equal(length, 0);
        return ERROR_NONE;
    }
    assert_int_equal(outcome, WIRE_INVALID);
    assert_int_not_equal(error, ERROR_NONE);
    return error;
}

/* ---- Streams and how they are cut --------------------------------------- */

static struct transcript whole, in_pieces;

static void read_whole(struct station *station, bool welcomed,
                       const unsigned char *bytes, size_t length)
{
    station->transcript = &whole;
    station_meet(station, welcomed);
    if (length > 0)
        station_feed(station, bytes, length);
    station->transcript = &in_pieces;
}

/* A first piece, then pieces of `most`, or of up to that if there is `rng`. */
static void read_pieces(struct station *station, bool welcomed,
                        const unsigned char *bytes, size_t length, size_t first,
                        size_t most, struct rng *rng)
{
    size_t piece = first;

    station_meet(station, welcomed);
    for (size_t at = 0; at < length && !station->over; at += piece) {
        if (at > 0)
            piece = rng ? rng_magnitude(rng, most) : most;
        if (piece > length - at)
            piece = length - at;
        station_feed(station, bytes + at, piece);
    }
    if (!transcript_equals(&whole, &in_pieces))
        fail_msg("%zu bytes, cut after %zu, then by %zu", length, first, most);
}

/* Asks for what is needed, and is given up to `most` of it. */
static void read_exactly(struct station *station, bool welcomed,
                         const unsigned char *bytes, size_t length, size_t most)
{
    size_t piece;

    station_meet(station, welcomed);
    station->exact = true;
    for (size_t at = 0; at < length && !station->over; at += piece) {
        piece = wire_need(&station->decoder);
        assert_true(piece > 0);
        if (piece > most)
            piece = most;
        if (piece > length - at)
            piece = length - at;
        station_feed(station, bytes + at, piece);
    }
    station->exact = false;
    if (!transcript_equals(&whole, &in_pieces))
        fail_msg("%zu bytes, read exactly", length);
}

const struct transcript *check_every_cut(struct station *station, bool welcomed,
                                         const void *bytes, size_t length)
{
    read_whole(station, welcomed, bytes, length);
    read_exactly(station, welcomed, bytes, length, SIZE_MAX);
    read_exactly(station, welcomed, bytes, length, 3);
    read_pieces(station, welcomed, bytes, length, 1, 1, NULL);
    for (size_t first = 1; first < length; first++)
        read_pieces(station, welcomed, bytes, length, first, length, NULL);
    station->transcript = NULL;
    return &whole;
}

const struct transcript *check_random_cuts(struct station *station,
                                           bool welcomed, const void *bytes,
                                           size_t length, struct rng *rng)
{
    read_whole(station, welcomed, bytes, length);
    if (length > 0)
        read_pieces(station, welcomed, bytes, length,
                    rng_magnitude(rng, length), length, rng);
    station->transcript = NULL;
    return &whole;
}

/* ---- Secure messages ---------------------------------------------------- */

#define HEAD_BYTES 60
#define MAC_AT 28

/* Where the headers end and where the content does; false if that is not what
 * the message has. */
static bool parts_of(const struct message *message, size_t *headers_end,
                     size_t *end)
{
    if (message->length < HEAD_BYTES)
        return false;
    *headers_end = HEAD_BYTES + (size_t)load_u32(message->bytes + 12);
    *end = *headers_end + load_u32(message->bytes + 20);
    return *end <= message->length;
}

void message_sign(struct message *message)
{
    crypto_auth_hmacsha256_state state;
    size_t headers_end, end;

    if (!parts_of(message, &headers_end, &end))
        return;
    crypto_auth_hmacsha256_init(&state, vector_key, sizeof(vector_key));
    crypto_auth_hmacsha256_update(&state, message->bytes, MAC_AT);
    crypto_auth_hmacsha256_update(&state, message->bytes + HEAD_BYTES,
                                  end - HEAD_BYTES);
    crypto_auth_hmacsha256_final(&state, message->bytes + MAC_AT);
}

void message_mend(struct message *message)
{
    size_t headers_end, end;

    if (!parts_of(message, &headers_end, &end))
        return;
    store_u32(message->bytes + 16,
              libdeflate_crc32(0, message->bytes + HEAD_BYTES,
                               headers_end - HEAD_BYTES));
    store_u32(
        message->bytes + 24,
        libdeflate_crc32(0, message->bytes + headers_end, end - headers_end));
    message_sign(message);
}

void message_write(struct message *message, unsigned type, struct slice headers,
                   struct slice content)
{
    unsigned char *at = mempcpy(message->bytes, "\x89RING\r\n\x1a\0\1", 10);

    message->length = HEAD_BYTES + headers.length + content.length;
    assert_true(message->length <= sizeof(message->bytes));
    at = store_u16(at, type);
    at = store_u32(at, (uint32_t)headers.length);
    at = store_u32(at + 4, (uint32_t)content.length);
    memset(at, 0, 4 + 32); /* CRC and HMAC, which follow */
    at = mempcpy(message->bytes + HEAD_BYTES, headers.bytes, headers.length);
    if (content.length > 0)
        memcpy(at, content.bytes, content.length);
    message_mend(message);
}

void message_tell(struct message *message, unsigned type, uint64_t seq,
                  const char *fields, struct slice content)
{
    char headers[4096 + 1];
    int length = snprintf(headers, sizeof(headers),
                          "{\"session\":\"%s\",\"seq\":%" PRIu64 "%s}",
                          VECTOR_SESSION_TEXT, seq, fields);

    assert_in_range(length, 1, sizeof(headers) - 1);
    message_write(message, type, (struct slice){headers, (size_t)length},
                  content);
}

void message_seal(struct message *message, struct keys *keys, unsigned type,
                  uint64_t seq, const char *fields, struct slice content)
{
    struct sealing sealing = {.length = content.length};
    char iv[17], with_iv[4096];
    int length;

    keys_next_iv(keys, sealing.iv);
    sodium_bin2base64(iv, sizeof(iv), sealing.iv, IV_BYTES,
                      sodium_base64_VARIANT_ORIGINAL);
    length = snprintf(with_iv, sizeof(with_iv),
                      "%s,\"enc\":\"A256GCM\",\"iv\":\"%s\"", fields, iv);
    assert_in_range(length, 1, sizeof(with_iv) - 1);
    /* In the clear, for the headers; then as long as with the tag. */
    message_tell(message, type, seq, with_iv, content);
    assert_true(message->length + SEAL_TAG_BYTES <= sizeof(message->bytes));
    message->length += SEAL_TAG_BYTES;
    store_u32(message->bytes + 20, (uint32_t)(content.length + SEAL_TAG_BYTES));
    sealing.headers = message->bytes + HEAD_BYTES;
    sealing.headers_length = load_u32(message->bytes + 12);
    sealing.bytes = message->bytes + HEAD_BYTES + sealing.headers_length;
    assert_true(keys_seal(keys, &sealing, sealing.bytes + sealing.length));
    message_mend(message);
}

struct keys *client_keys(void)
{
    struct keys *keys =
        keys_create(vector_key, sizeof(vector_key), vector_session, 0);

    assert_non_null(keys);
    return keys;
}

/* ---- OpenSSL's memory --------------------------------------------------- */

static void *crypto_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc(size);
}

static void *crypto_realloc(void *memory, size_t size, const char *file,
                            int line)
{
    (void)file;
    (void)line;
    return realloc(memory, size);
}

static void crypto_free(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    free(memory);
}

void crypto_memory_can_fail(void)
{
    if (!CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free))
        abort();
}

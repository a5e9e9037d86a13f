/*
 * What the server sends: an event of made-up fields in every encoding that has
 * a word for it. wire_prepare has to have said how long it becomes, and a
 * client has to be able to read it, with the key of the golden vectors.
 */
#include "tests/fuzz/support_wire.h"

#include "common/base/bytes.h"
#include "common/base/limits.h"
#include "common/wire/clean.h"
#include "common/wire/frame.h"
#include "common/wire/headers.h"
#include "common/wire/internal.h"
#include "common/wire/keys.h"
#include "common/wire/secure.h"
#include "vectors.h"

#include <assert.h>
#include <libdeflate.h>
#include <sodium.h>
#include <stdlib.h>

/* Longer than what fits a frame. */
#define TEXT_BYTES_MAX 70000

/* ---- An event, made of the input ---------------------------------------- */

struct input {
    const uint8_t *at, *end;
};

static uint8_t take_u8(struct input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

/* Of any magnitude alike. */
static uint64_t take_number(struct input *input)
{
    unsigned bytes = take_u8(input) % 9;
    uint64_t number = 0;

    while (bytes-- > 0)
        number = number << 8 | take_u8(input);
    return number;
}

/* `length` bytes, each of which is `letters`' at the place the input says. */
static struct slice take_letters(struct input *input, struct slice letters,
                                 char *out, size_t length)
{
    for (size_t i = 0; i < length; i++)
        out[i] = letters.bytes[take_u8(input) % letters.length];
    return (struct slice){out, length};
}

/* What is left of the input, again and again; spaces instead of what cannot
 * stand in a text. */
static struct slice take_content(struct input *input, bool clean)
{
    static char content[TEXT_BYTES_MAX];
    size_t length = take_number(input) % (TEXT_BYTES_MAX + 1);
    size_t left = (size_t)(input->end - input->at);

    for (size_t i = 0; i < length; i++)
        content[i] = (char)(left > 0 ? input->at[i % left] : ' ');
    for (size_t i = 0; clean && i < length; i++) {
        if (content[i] < ' ' || content[i] > '~')
            content[i] = ' ';
    }
    return (struct slice){content, length};
}

static enum error_code take_error(struct input *input)
{
    static const enum error_code codes[] = {
#define X(name, code, text, closes) ERROR_##name,
        ERROR_TABLE(X)
#undef X
    };

    return codes[take_u8(input) % (sizeof(codes) / sizeof(codes[0]))];
}

/* The slices that an event has, as wire.h says. */
enum {
    HAS_ROOM = 1,
    HAS_NICK = 2,
    HAS_NEW_NICK = 4,
    HAS_TEXT = 8,
    HAS_TYPE = 16
};

static const unsigned fields[EVENT_DISCONNECT + 1] = {
    [EVENT_MESSAGE] = HAS_ROOM | HAS_NICK | HAS_TEXT | HAS_TYPE,
    [EVENT_JOINED] = HAS_ROOM | HAS_NICK,
    [EVENT_LEFT] = HAS_ROOM | HAS_NICK,
    [EVENT_NICK] = HAS_ROOM | HAS_NICK | HAS_NEW_NICK,
    [EVENT_TOPIC] = HAS_ROOM | HAS_NICK | HAS_TEXT,
    [EVENT_LAGGED] = HAS_ROOM,
    [EVENT_PRIVATE] = HAS_NICK | HAS_TEXT | HAS_TYPE,
    [EVENT_REPLY] = HAS_TEXT,
    [EVENT_ECHO] = HAS_TEXT,
    [EVENT_ERROR] = HAS_TEXT,
    [EVENT_TOPIC_REPLY] = HAS_ROOM | HAS_TEXT,
    [EVENT_WELCOME] = HAS_ROOM | HAS_NICK,
};

static void take_slices(struct input *input, struct event *event)
{
    static const struct slice nick_letters = SLICE("a-Z_09");
    static const struct slice room_letters = SLICE(".a-Z_09");
    static const struct slice type_letters = SLICE("text/PNG;=\"\\ ~ \"\\\"");
    static char room[ROOM_NAME_BYTES_MAX], nick[NICK_BYTES_MAX];
    static char new_nick[NICK_BYTES_MAX], type[CONTENT_TYPE_BYTES_MAX];
    unsigned has = fields[event->kind];

    if (has & HAS_ROOM)
        event->room = take_letters(input, room_letters, room,
                                   1 + take_u8(input) % sizeof(room));
    if (has & HAS_NICK)
        event->nick = take_letters(input, nick_letters, nick,
                                   1 + take_u8(input) % sizeof(nick));
    if (has & HAS_NEW_NICK)
        event->text = take_letters(input, nick_letters, new_nick,
                                   1 + take_u8(input) % sizeof(new_nick));
    if (has & HAS_TYPE)
        event->content_type = take_letters(input, type_letters, type,
                                           take_u8(input) % (sizeof(type) + 1));
    if (has & HAS_TEXT)
        event->text = take_content(input, content_is_text(event->content_type));
}

static struct event take_event(struct input *input)
{
    struct event event = {
        .kind = take_u8(input) % (EVENT_DISCONNECT + 1),
        .seq = take_number(input) & HEADER_NUMBER_MAX,
        .time_us = take_number(input) & HEADER_NUMBER_MAX,
        .number = take_number(input) & HEADER_NUMBER_MAX,
        .id = (uint32_t)take_number(input),
        .code = take_error(input),
        .more = take_u8(input) & 1,
    };

    take_slices(input, &event);
    return event;
}

static bool is_to_room(const struct event *event)
{
    return event->kind <= EVENT_TOPIC;
}

/* ---- Reading it as a client does ---------------------------------------- */

static void check_text(const unsigned char *line, size_t length)
{
    assert(line[length - 1] == '\n');
    assert(text_is_clean(line, length - 1));
}

static void check_frame(const unsigned char *frame, size_t length)
{
    assert(length == FRAME_HEAD_BYTES + (size_t)load_u16(frame + 2));
    /* Those of the peers that send each type. */
    assert(load_u16(frame) >= TYPE_SESSION_INIT &&
           load_u16(frame) <= TYPE_WELCOME);
}

/* The client's view: its opening needs another derived key than the wire's. */
static struct keys *client_keys(void)
{
    static struct keys *keys;

    if (!keys)
        keys = keys_create(vector_key, sizeof(vector_key), vector_session, 0);
    if (!keys)
        abort();
    return keys;
}

/* The secure message's parts. */
struct parts {
    struct slice headers, content;
};

static struct parts check_integrity(const unsigned char *head, size_t length)
{
    size_t headers_length = load_u32(head + SECURE_HEADERS_LENGTH_AT);
    const char *headers = (const char *)head + SECURE_HEAD_BYTES;
    struct parts parts = {
        .headers = {headers, headers_length},
        .content = {headers + headers_length,
                    load_u32(head + SECURE_CONTENT_LENGTH_AT)},
    };
    uint8_t mac[MAC_BYTES];

    assert(memcmp(head, SECURE_MAGIC, SECURE_MAGIC_BYTES) == 0);
    assert(load_u16(head + SECURE_VERSION_AT) == 1);
    assert(headers_length <= HEADERS_BYTES_MAX);
    assert(secure_bytes(head) == length);
    assert(load_u32(head + SECURE_HEADERS_CRC_AT) ==
           libdeflate_crc32(0, parts.headers.bytes, headers_length));
    assert(load_u32(head + SECURE_CONTENT_CRC_AT) ==
           libdeflate_crc32(0, parts.content.bytes, parts.content.length));
    if (!keys_sign(client_keys(), head, SECURE_MAC_AT, headers,
                   headers_length + parts.content.length, mac))
        abort();
    assert(memcmp(mac, head + SECURE_MAC_AT, MAC_BYTES) == 0);
    return parts;
}

static void expect_string(const struct headers *headers, const char *name,
                          struct slice expected)
{
    struct slice found;

    assert(headers_string(headers, name, &found) == FIELD_THERE);
    assert(slice_equals(found, expected));
}

static void expect_number(const struct headers *headers, const char *name,
                          uint64_t expected)
{
    uint64_t found = 0;

    assert(headers_number(headers, name, &found) == FIELD_THERE);
    assert(found == expected);
}

static void check_fields(const struct headers *headers,
                         const struct wire_peer *to, const struct event *event)
{
    struct slice session;

    if (to) {
        assert(headers_string(headers, "session", &session) == FIELD_THERE);
        assert(uuid_is(to->uuid, session));
        expect_number(headers, "seq", to->seq_out);
    } else {
        expect_number(headers, "room_seq", event->seq);
        expect_string(headers, "room", event->room);
    }
    if (event_type(event) == TYPE_MESSAGE) {
        expect_string(headers, "nick", event->nick);
        expect_number(headers, "time", event->time_us);
        expect_string(headers, "content_type", event_content_type(event));
    }
}

/* Opens what was sealed, where it is. */
static void open_content(const struct headers *headers, struct parts *parts)
{
    struct sealing sealing = {
        .headers = parts->headers.bytes,
        .headers_length = parts->headers.length,
        .bytes = (unsigned char *)(uintptr_t)parts->content.bytes,
        .length = parts->content.length - SEAL_TAG_BYTES,
    };
    struct slice iv;
    size_t length;

    assert(parts->content.length >= SEAL_TAG_BYTES);
    expect_string(headers, "enc", SLICE("A256GCM"));
    assert(headers_string(headers, "iv", &iv) == FIELD_THERE);
    assert(sodium_base642bin(sealing.iv, IV_BYTES, iv.bytes, iv.length, NULL,
                             &length, NULL,
                             sodium_base64_VARIANT_ORIGINAL) == 0);
    assert(length == IV_BYTES);
    assert(keys_open(client_keys(), vector_server_key, &sealing,
                     sealing.bytes + sealing.length) == OPENING_DONE);
    parts->content.length = sealing.length;
}

static void check_secure(const unsigned char *message, size_t length,
                         bool sealed, const struct wire_peer *to,
                         const struct event *event)
{
    struct parts parts = check_integrity(message, length);
    struct headers *headers = fuzz_headers();

    assert(headers_parse(headers, parts.headers));
    check_fields(headers, to, event);
    if (sealed)
        open_content(headers, &parts);
    if (event_type(event) == TYPE_MESSAGE)
        assert(slice_equals(parts.content, event->text));
}

/* ---- Every encoding ----------------------------------------------------- */

static void check_encoding(enum encoding encoding, struct wire_peer *to,
                           const struct event *event)
{
    uint64_t seq = to ? to->seq_out : 0;
    struct outgoing outgoing;
    size_t size = wire_prepare(fuzz_wire(), encoding, to, event, &outgoing);
    unsigned char *message = malloc(size), *end;

    assert(size > 0 && size <= RECORD_BYTES_MAX);
    if (!message)
        abort();
    end = wire_write(fuzz_wire(), &outgoing, message);
    assert(end == message + size);
    if (encoding == ENCODING_TEXT)
        check_text(message, size);
    else if (encoding == ENCODING_FRAME)
        check_frame(message, size);
    else
        check_secure(message, size, encoding == ENCODING_SEALED, to, event);
    if (to && encoding >= ENCODING_SECURE)
        assert(to->seq_out == seq + 1);
    free(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + size};
    struct wire_peer peer = {.seq_out = take_number(&input) >> 12};
    struct event event = take_event(&input);
    struct wire_peer *to = is_to_room(&event) ? NULL : &peer;

    memcpy(peer.uuid, vector_session, sizeof(peer.uuid));
    if (event.kind < EVENT_SESSION_INIT)
        check_encoding(ENCODING_TEXT, to, &event);
    for (enum encoding e = ENCODING_FRAME; e < ENCODINGS; e++)
        check_encoding(e, to, &event);
    return 0;
}

/*
 * Secure messages as a client of support_chat_binary.h sends and reads them.
 * Headers are looked for, not parsed: the chat's have no spaces, and names only
 * where names stand.
 */
#include "tests/unit/support_chat_binary.h"
#include "tests/unit/support_chat_message.h"

#include <inttypes.h>
#include <sodium/crypto_auth_hmacsha256.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES 60
#define SIGNED_BYTES 28
#define HEADERS_MAX 4096

static const char magic[] = "\x89RING\r\n\x1a";

/* CRC-32 as in IEEE 802.3, bit by bit. */
static uint32_t crc32_of(const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < length; i++) {
        crc ^= at[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
    }
    return ~crc;
}

static void mac_of(const unsigned char *head, const void *rest, size_t length,
                   unsigned char mac[crypto_auth_hmacsha256_BYTES])
{
    crypto_auth_hmacsha256_state state;

    crypto_auth_hmacsha256_init(&state, engine_key, KEY_BYTES_MIN);
    crypto_auth_hmacsha256_update(&state, head, SIGNED_BYTES);
    crypto_auth_hmacsha256_update(&state, rest, length);
    crypto_auth_hmacsha256_final(&state, mac);
}

/* ---- Sending ------------------------------------------------------------- */

static void put(unsigned char *out, uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (unsigned char)(number >> 8 * (bytes - 1 - i));
}

void secure_send(struct client *client, enum binary_type type,
                 const char *fields, const void *content, size_t length)
{
    unsigned char head[HEAD_BYTES];
    char headers[HEADERS_MAX];
    struct bytes rest = {0};
    int written = snprintf(headers, sizeof(headers),
                           "{\"session\":\"%s\",\"seq\":%" PRIu64 "%s}",
                           client->uuid, ++client->seq_out, fields);

    assert_true(written > 0 && (size_t)written < sizeof(headers));
    memcpy(head, magic, 8); /* NOLINT(bugprone-not-null-terminated-result) */
    put(head + 8, 1, 2);
    put(head + 10, type, 2);
    put(head + 12, (uint64_t)written, 4);
    put(head + 16, crc32_of(headers, (size_t)written), 4);
    put(head + 20, length, 4);
    put(head + 24, crc32_of(content, length), 4);
    bytes_append(&rest, headers, (size_t)written);
    bytes_append(&rest, content, length);
    mac_of(head, rest.data, rest.length, head + SIGNED_BYTES);
    client_send_bytes(client, head, sizeof(head));
    client_send_bytes(client, rest.data, rest.length);
    bytes_release(&rest);
}

void secure_hello(struct client *client, const char *nick, bool sealed)
{
    char fields[100];

    (void)snprintf(fields, sizeof(fields), ",\"nick\":\"%s\"%s", nick,
                   sealed ? ",\"enc\":\"A256GCM\"" : "");
    secure_send(client, SESSION_ACK, fields, "", 0);
}

/* ---- Reading ------------------------------------------------------------- */

static uint64_t number_at(const char *bytes, size_t count)
{
    uint64_t number = 0;

    for (size_t i = 0; i < count; i++)
        number = number << 8 | (unsigned char)bytes[i];
    return number;
}

/* What follows `"name":`, empty if there is no such field. A string is without
 * its quotation marks. */
static struct slice field(const char *headers, const char *name)
{
    char key[40];
    const char *at;

    (void)snprintf(key, sizeof(key), "\"%s\":", name);
    at = strstr(headers, key);
    if (!at)
        return SLICE("");
    at += strlen(key);
    if (*at == '"')
        return (struct slice){at + 1, strcspn(at + 1, "\"")};
    return (struct slice){at, strcspn(at, ",}")};
}

static uint64_t field_number(const char *headers, const char *name)
{
    struct slice value = field(headers, name);

    return value.length > 0 ? strtoull(value.bytes, NULL, 10) : 0;
}

static unsigned notice_kind(struct slice kind)
{
    static const char *const kinds[] = {"joined", "left", "nick", "topic",
                                        "lagged"};

    for (unsigned i = 0; i < ARRAY_LENGTH(kinds); i++) {
        if (slice_equals(kind, slice_of(kinds[i])))
            return i + 1;
    }
    fail_msg("no such notice");
    return 0;
}

static void read_uuid(struct slice text, uint8_t uuid[16])
{
    size_t at = 0;

    assert_int_equal(text.length, 36);
    for (size_t i = 0; i < 16; i++) {
        char digits[3] = {0};

        if (text.bytes[at] == '-')
            at++;
        memcpy(digits, text.bytes + at, 2);
        at += 2;
        uuid[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
}

/* What the chat sends to one session is that one's, and none of it twice; what
 * it sends to a room has a place in that. */
static void check_origin(struct client *client, const char *headers)
{
    struct slice session = field(headers, "session");

    if (session.length == 0) {
        assert_true(field(headers, "room_seq").length > 0);
        client->room_seq = field_number(headers, "room_seq");
        return;
    }
    if (client->uuid[0] != '\0')
        assert_memory_equal(session.bytes, client->uuid, session.length);
    assert_true(field_number(headers, "seq") > client->seq_in);
    client->seq_in = field_number(headers, "seq");
}

static void read_fields(const char *headers, struct message *message)
{
    struct slice type = field(headers, "content_type");

    message->heartbeat = field_number(headers, "heartbeat");
    message->largest = field_number(headers, "max_content");
    message->stamp = field_number(headers, "stamp");
    message->seq = field_number(headers, "room_seq");
    message->time_us = field_number(headers, "time");
    message->id = field_number(headers, "id");
    message->code = (unsigned)field_number(headers, "code");
    message->more = slice_equals(field(headers, "more"), SLICE("true"));
    message->room = field(headers, "room");
    message->nick = field(headers, "nick");
    if (field(headers, "enc").length > 0)
        message->text = SLICE("(sealed)");
    if (!slice_equals(type, SLICE("text/plain; charset=utf-8")))
        message->content_type = type;
    if (message->type == SESSION_INIT)
        read_uuid(field(headers, "session"), message->uuid);
    if (message->type == HEARTBEAT)
        message->kind = slice_equals(field(headers, "kind"), SLICE("pong"));
    if (message->type == NOTICE)
        message->kind = notice_kind(field(headers, "kind"));
}

static void check_integrity(const char *head, struct slice headers,
                            struct slice content)
{
    unsigned char mac[crypto_auth_hmacsha256_BYTES];

    assert_memory_equal(head, magic, 8);
    assert_int_equal(number_at(head + 16, 4),
                     crc32_of(headers.bytes, headers.length));
    assert_int_equal(number_at(head + 24, 4),
                     crc32_of(content.bytes, content.length));
    mac_of((const unsigned char *)head, headers.bytes,
           headers.length + content.length, mac);
    assert_memory_equal(head + SIGNED_BYTES, mac, sizeof(mac));
}

bool next_secure(struct client *client, struct message *message)
{
    static char headers[HEADERS_MAX + 1]; /* the message refers to it */
    size_t left = client_unread(client);
    size_t headers_length, content_length;
    struct slice content;
    const char *head;

    if (left < HEAD_BYTES)
        return false;
    head = client->out.data + client->out_from;
    headers_length = number_at(head + 12, 4);
    content_length = number_at(head + 20, 4);
    assert_true(headers_length <= HEADERS_MAX);
    if (left < HEAD_BYTES + headers_length + content_length)
        return false;
    memcpy(headers, head + HEAD_BYTES, headers_length);
    headers[headers_length] = '\0';
    content =
        (struct slice){head + HEAD_BYTES + headers_length, content_length};
    check_integrity(head, (struct slice){head + HEAD_BYTES, headers_length},
                    content);
    *message = (struct message){
        .type = (unsigned)number_at(head + 10, 2),
        .version = (unsigned)number_at(head + 8, 2),
        .text = content,
    };
    read_fields(headers, message);
    check_origin(client, headers);
    client->out_from += HEAD_BYTES + headers_length + content_length;
    return true;
}

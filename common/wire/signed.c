/*
 * Secure messages to a peer or a room: headers by template, in an order that is
 * always the same; content in the clear or sealed; CRCs; HMAC.
 *
 * Names are of letters that JSON takes as they are, so only content types are
 * escaped. The size of a message is known from its headers, before anything is
 * sealed or signed.
 */
#include "common/wire/secure.h"

#include "common/base/builder.h"
#include "common/base/bytes.h"
#include "common/base/limits.h"
#include "common/wire/internal.h"
#include "common/wire/keys.h"
#include "common/wire/pieces.h"

#include <assert.h>
#include <libdeflate.h>
#include <sodium.h>
#include <string.h>

#define IV_TEXT_BYTES 16
_Static_assert(sodium_base64_ENCODED_LEN(IV_BYTES,
                                         sodium_base64_VARIANT_ORIGINAL) ==
                   IV_TEXT_BYTES + 1,
               "an iv's base64 has no padding");

/* ---- Headers ------------------------------------------------------------ */

/* A field's name. What stands before the first one becomes the brace. */
#define FIELD(name) SLICE(",\"" name "\":")

static void put_number(struct builder *headers, struct slice field,
                       uint64_t number)
{
    build_slice(headers, field);
    build_number(headers, number);
}

static void put_string(struct builder *headers, struct slice field,
                       struct slice value)
{
    build_slice(headers, field);
    build_slice(headers, SLICE("\""));
    build_slice(headers, value);
    build_slice(headers, SLICE("\""));
}

static bool is_escaped(char c)
{
    return c == '"' || c == '\\';
}

/* Printable ASCII, which may have a quotation mark or a backslash in it: from
 * one of these to the next it stands as it is. */
static void put_content_type(struct builder *headers, struct slice type)
{
    size_t from = 0;

    build_slice(headers, FIELD("content_type"));
    build_slice(headers, SLICE("\""));
    for (size_t i = 0; i < type.length; i++) {
        if (!is_escaped(type.bytes[i]))
            continue;
        build_slice(headers, (struct slice){type.bytes + from, i - from});
        build_slice(headers, SLICE("\\"));
        from = i;
    }
    build_slice(headers, (struct slice){type.bytes + from, type.length - from});
    build_slice(headers, SLICE("\""));
}

static void put_uuid(struct builder *headers, struct slice field,
                     const uint8_t uuid[UUID_BYTES])
{
    char text[UUID_TEXT_BYTES];

    uuid_text(uuid, text);
    put_string(headers, field, (struct slice){text, sizeof(text)});
}

static void put_message(struct builder *headers, struct slice room,
                        uint64_t seq, const struct event *event)
{
    put_string(headers, FIELD("room"), room);
    put_number(headers, FIELD("room_seq"), seq);
    put_string(headers, FIELD("nick"), event->nick);
    put_number(headers, FIELD("time"), event->time_us);
    put_content_type(headers, event_content_type(event));
}

static void put_notice(struct builder *headers, const struct event *event)
{
    static const char *const kinds[] = {
        NULL, "joined", "left", "nick", "topic", "lagged",
    };

    put_string(headers, FIELD("kind"),
               slice_of(kinds[event_notice_kind(event)]));
    put_string(headers, FIELD("room"), event->room);
    put_string(headers, FIELD("nick"), event->nick);
}

static void put_session_init(struct builder *headers, const struct wire *wire)
{
    put_uuid(headers, FIELD("boot"), wire->config.boot);
    put_number(headers, FIELD("heartbeat"), wire->config.heartbeat_s);
    put_number(headers, FIELD("max_content"), wire->config.message_bytes_max);
}

static void put_heartbeat(struct builder *headers, const char *kind,
                          uint64_t stamp)
{
    put_string(headers, FIELD("kind"), slice_of(kind));
    put_number(headers, FIELD("stamp"), stamp);
}

static void put_id(struct builder *headers, const struct event *event)
{
    if (event->id != 0)
        put_number(headers, FIELD("id"), event->id);
}

static void put_fields(struct builder *headers, const struct wire *wire,
                       const struct event *event)
{
    switch (event->kind) {
    case EVENT_MESSAGE:
        put_message(headers, event->room, event->seq, event);
        break;
    case EVENT_PRIVATE:
        put_message(headers, SLICE("@"), 0, event);
        break;
    case EVENT_JOINED:
    case EVENT_LEFT:
    case EVENT_NICK:
    case EVENT_TOPIC:
        put_number(headers, FIELD("room_seq"), event->seq);
        put_notice(headers, event);
        break;
    case EVENT_LAGGED:
        put_notice(headers, event);
        break;
    case EVENT_REPLY:
    case EVENT_ECHO:
    case EVENT_TOPIC_REPLY:
        put_id(headers, event);
        build_slice(headers, FIELD("more"));
        build_slice(headers, event->more ? SLICE("true") : SLICE("false"));
        break;
    case EVENT_ERROR:
        put_number(headers, FIELD("code"), event->code);
        put_string(headers, FIELD("name"), slice_of(error_name(event->code)));
        put_id(headers, event);
        break;
    case EVENT_WELCOME:
        put_string(headers, FIELD("nick"), event->nick);
        put_string(headers, FIELD("room"), event->room);
        break;
    case EVENT_SESSION_INIT:
        put_session_init(headers, wire);
        break;
    case EVENT_PING:
        put_heartbeat(headers, "ping", event->number);
        break;
    case EVENT_PONG:
        put_heartbeat(headers, "pong", event->number);
        break;
    case EVENT_ACK:
        put_number(headers, FIELD("id"), event->id);
        put_number(headers, FIELD("room_seq"), event->seq);
        break;
    case EVENT_DISCONNECT:
        put_number(headers, FIELD("code"), 0);
        break;
    }
}

/* All but the braces: what seals a message comes before the closing one. */
static void build_headers(struct builder *headers, const struct wire *wire,
                          const struct wire_peer *to, const struct event *event)
{
    if (to) {
        put_uuid(headers, FIELD("session"), to->uuid);
        put_number(headers, FIELD("seq"), to->seq_out + 1);
    }
    put_fields(headers, wire, event);
}

/* The iv is written last (sealed_write), in the place of these letters. */
static void put_seal(struct builder *headers)
{
    put_string(headers, FIELD("enc"), SLICE("A256GCM"));
    put_string(headers, FIELD("iv"), SLICE("AAAAAAAAAAAAAAAA"));
}

static void finish_headers(struct builder *headers)
{
    build_slice(headers, SLICE("}"));
    headers->bytes[0] = '{';
    assert(headers->length < sizeof(headers->bytes)); /* none was cut */
}

/* ---- Messages ----------------------------------------------------------- */

/* With headers that are complete. */
static void add_content(struct outgoing *message)
{
    pieces_of_content(&message->content, message->event);
    message->size = SECURE_HEAD_BYTES + message->headers.length +
                    pieces_size(&message->content);
}

void secure_prepare(const struct wire *wire, struct outgoing *message)
{
    build_headers(&message->headers, wire, message->to, message->event);
    finish_headers(&message->headers);
    add_content(message);
}

void sealed_prepare(const struct wire *wire, struct outgoing *message)
{
    build_headers(&message->headers, wire, message->to, message->event);
    put_seal(&message->headers);
    finish_headers(&message->headers);
    add_content(message);
    message->size += SEAL_TAG_BYTES;
}

/* The headers and the content stand where they go, from `out` + 60 to `end`:
 * what is before them is made of them. Returns the end. */
static unsigned char *sign(struct wire *wire, const struct outgoing *message,
                           unsigned char *out, unsigned char *end)
{
    unsigned char *headers = out + SECURE_HEAD_BYTES;
    size_t headers_length = message->headers.length;
    unsigned char *content = headers + headers_length;
    size_t content_length = (size_t)(end - content);
    unsigned char *at = mempcpy(out, SECURE_MAGIC, SECURE_MAGIC_BYTES);

    at = store_u16(at, PROTOCOL_VERSION);
    at = store_u16(at, event_type(message->event));
    at = store_u32(at, (uint32_t)headers_length);
    at = store_u32(at, libdeflate_crc32(0, headers, headers_length));
    at = store_u32(at, (uint32_t)content_length);
    at = store_u32(at, libdeflate_crc32(0, content, content_length));
    if (message->to)
        message->to->seq_out++;
    if (!keys_sign(wire->keys, out, SECURE_MAC_AT, headers,
                   headers_length + content_length, at))
        return NULL;
    return end;
}

/* Returns where the content goes. */
static unsigned char *write_headers(const struct outgoing *message,
                                    unsigned char *out)
{
    return mempcpy(out + SECURE_HEAD_BYTES, message->headers.bytes,
                   message->headers.length);
}

unsigned char *secure_write(struct wire *wire, const struct outgoing *message,
                            unsigned char *out)
{
    unsigned char *content = write_headers(message, out);

    return sign(wire, message, out, pieces_write(&message->content, content));
}

static void write_iv(const uint8_t iv[IV_BYTES], unsigned char *headers_end)
{
    char text[IV_TEXT_BYTES + 1];

    sodium_bin2base64(text, sizeof(text), iv, IV_BYTES,
                      sodium_base64_VARIANT_ORIGINAL);
    memcpy(headers_end - strlen("\"}") - IV_TEXT_BYTES, text, IV_TEXT_BYTES);
}

unsigned char *sealed_write(struct wire *wire, const struct outgoing *message,
                            unsigned char *out)
{
    unsigned char *content = write_headers(message, out);
    unsigned char *end = pieces_write(&message->content, content);
    struct sealing sealing = {
        .headers = out + SECURE_HEAD_BYTES,
        .headers_length = message->headers.length,
        .bytes = content,
        .length = (size_t)(end - content),
    };

    keys_next_iv(wire->keys, sealing.iv);
    write_iv(sealing.iv, content);
    if (!keys_seal(wire->keys, &sealing, end))
        return NULL;
    return sign(wire, message, out, end + SEAL_TAG_BYTES);
}

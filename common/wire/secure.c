/*
 * Secure messages from a peer, checked in the order of docs/protocol.md: magic,
 * version, lengths, CRCs, HMAC, JSON, meaning. The meaning begins with what
 * every message has (its session, a seq, perhaps a seal); nothing is acted on
 * and nothing remembered before the HMAC holds.
 */
#include "common/wire/secure.h"

#include "common/base/bytes.h"
#include "common/base/limits.h"
#include "common/wire/headers.h"
#include "common/wire/internal.h"
#include "common/wire/keys.h"
#include "common/wire/message.h"
#include "common/wire/tail.h"

#include <libdeflate.h>
#include <sodium.h>

_Static_assert(MAC_BYTES == crypto_verify_32_BYTES, "it compares an HMAC");

/* A whole message, and what is known of it so far. */
struct letter {
    const unsigned char *head;
    struct slice headers, content;
    const struct headers *fields; /* the wire's */
    bool sealed;                  /* its `enc` says so */
    uint8_t iv[IV_BYTES];
};

static unsigned letter_type(const struct letter *letter)
{
    return load_u16(letter->head + SECURE_TYPE_AT);
}

/* ---- Magic, version, lengths -------------------------------------------- */

/* Before WELCOME there is no content. */
static uint32_t content_bytes_max(const struct wire *wire,
                                  const struct decoder *decoder)
{
    return decoder->greeted ? wire->config.message_bytes_max : 0;
}

enum error_code secure_check_head(const struct wire *wire,
                                  const struct decoder *decoder,
                                  const unsigned char *head, size_t length)
{
    size_t magic = length < SECURE_MAGIC_BYTES ? length : SECURE_MAGIC_BYTES;

    if (memcmp(head, SECURE_MAGIC, magic) != 0)
        return ERROR_BAD_MAGIC;
    if (length < SECURE_TYPE_AT)
        return ERROR_NONE;
    if (load_u16(head + SECURE_VERSION_AT) != PROTOCOL_VERSION)
        return ERROR_BAD_VERSION;
    if (length < SECURE_HEADERS_LENGTH_AT)
        return ERROR_NONE;
    if (!decoder->greeted &&
        load_u16(head + SECURE_TYPE_AT) != TYPE_SESSION_ACK)
        return ERROR_HANDSHAKE;
    if (length >= SECURE_HEADERS_CRC_AT &&
        load_u32(head + SECURE_HEADERS_LENGTH_AT) > HEADERS_BYTES_MAX)
        return ERROR_TOO_LARGE;
    if (length >= SECURE_CONTENT_CRC_AT &&
        load_u32(head + SECURE_CONTENT_LENGTH_AT) >
            content_bytes_max(wire, decoder))
        return ERROR_TOO_LARGE;
    return ERROR_NONE;
}

size_t secure_bytes(const unsigned char *head)
{
    return (size_t)SECURE_HEAD_BYTES +
           load_u32(head + SECURE_HEADERS_LENGTH_AT) +
           load_u32(head + SECURE_CONTENT_LENGTH_AT);
}

size_t secure_bytes_max(const struct wire *wire)
{
    return (size_t)SECURE_HEAD_BYTES + HEADERS_BYTES_MAX +
           wire->config.message_bytes_max;
}

/* ---- CRCs, HMAC, JSON --------------------------------------------------- */

static bool crc_holds(const struct letter *letter, size_t crc_at,
                      struct slice bytes)
{
    return libdeflate_crc32(0, bytes.bytes, bytes.length) ==
           load_u32(letter->head + crc_at);
}

static enum error_code check_mac(struct wire *wire, const struct letter *letter)
{
    uint8_t mac[MAC_BYTES];

    if (!keys_sign(wire->keys, letter->head, SECURE_MAC_AT,
                   letter->headers.bytes,
                   letter->headers.length + letter->content.length, mac))
        return ERROR_INTERNAL;
    /* It takes the same time wherever they differ, and less of it than
     * sodium_memcmp, for it knows the length. */
    if (crypto_verify_32(mac, letter->head + SECURE_MAC_AT) != 0)
        return ERROR_BAD_HMAC;
    return ERROR_NONE;
}

static enum error_code check_integrity(struct wire *wire, struct letter *letter)
{
    enum error_code error;

    if (!crc_holds(letter, SECURE_HEADERS_CRC_AT, letter->headers) ||
        !crc_holds(letter, SECURE_CONTENT_CRC_AT, letter->content))
        return ERROR_BAD_CRC;
    error = check_mac(wire, letter);
    if (error != ERROR_NONE)
        return error;
    if (!headers_parse(wire->headers, letter->headers))
        return ERROR_BAD_HEADER;
    letter->fields = wire->headers;
    return ERROR_NONE;
}

/* ---- Meaning: what each type's headers are ------------------------------ */

static enum error_code read_hello(const struct letter *letter,
                                  struct request *request)
{
    request->kind = REQUEST_HELLO;
    if (headers_string(letter->fields, "nick", &request->name) == FIELD_WRONG)
        return ERROR_BAD_HEADER;
    return ERROR_NONE;
}

static enum error_code read_heartbeat(const struct letter *letter,
                                      struct request *request)
{
    struct slice kind;

    if (headers_string(letter->fields, "kind", &kind) != FIELD_THERE ||
        headers_number(letter->fields, "stamp", &request->stamp) != FIELD_THERE)
        return ERROR_BAD_HEADER;
    if (slice_equals(kind, SLICE("ping")))
        request->kind = REQUEST_PING;
    else if (slice_equals(kind, SLICE("pong")))
        request->kind = REQUEST_PONG;
    else
        return ERROR_BAD_HEADER;
    return ERROR_NONE;
}

/* 1 to 4294967295; absent, it stays 0. */
static enum error_code read_id(const struct letter *letter,
                               struct request *request)
{
    uint64_t id = 0;
    enum field field = headers_number(letter->fields, "id", &id);

    if (field == FIELD_WRONG || id > UINT32_MAX ||
        (field == FIELD_THERE && id == 0))
        return ERROR_BAD_HEADER;
    request->id = (uint32_t)id;
    return ERROR_NONE;
}

static bool content_type_is_valid(struct slice type)
{
    if (type.length < 1 || type.length > CONTENT_TYPE_BYTES_MAX)
        return false;
    for (size_t i = 0; i < type.length; i++) {
        if (type.bytes[i] < ' ' || type.bytes[i] > '~')
            return false;
    }
    return true;
}

static enum error_code read_content_type(const struct letter *letter,
                                         struct request *request)
{
    switch (headers_string(letter->fields, "content_type",
                           &request->content_type)) {
    case FIELD_ABSENT:
        return ERROR_NONE;
    case FIELD_THERE:
        if (content_type_is_valid(request->content_type))
            return ERROR_NONE;
        break;
    case FIELD_WRONG:
        break;
    }
    return ERROR_BAD_HEADER;
}

static enum error_code read_target(const struct letter *letter,
                                   struct request *request)
{
    enum field room = headers_string(letter->fields, "room", &request->name);
    enum field to = headers_string(letter->fields, "to", &request->name);

    if (room == FIELD_WRONG || to == FIELD_WRONG ||
        (room == FIELD_THERE && to == FIELD_THERE))
        return ERROR_BAD_HEADER;
    if (room == FIELD_THERE)
        request->target = TARGET_ROOM;
    if (to == FIELD_THERE)
        request->target = TARGET_NICK;
    return ERROR_NONE;
}

static enum error_code read_message(const struct letter *letter,
                                    struct request *request)
{
    enum error_code error = read_id(letter, request);

    request->kind = REQUEST_MESSAGE;
    if (error == ERROR_NONE)
        error = read_target(letter, request);
    if (error == ERROR_NONE)
        error = read_content_type(letter, request);
    return error;
}

static enum error_code read_command(const struct letter *letter,
                                    struct request *request)
{
    request->kind = REQUEST_COMMAND;
    return read_id(letter, request);
}

static enum error_code read_disconnect(const struct letter *letter,
                                       struct request *request)
{
    uint64_t code;

    request->kind = REQUEST_DISCONNECT;
    if (headers_number(letter->fields, "code", &code) == FIELD_WRONG)
        return ERROR_BAD_HEADER;
    return ERROR_NONE;
}

/* Of a type that is none of a client's it is said later: here its headers have
 * no form. */
static enum error_code read_fields(const struct letter *letter,
                                   struct request *request)
{
    switch (letter_type(letter)) {
    case TYPE_SESSION_ACK:
        return read_hello(letter, request);
    case TYPE_HEARTBEAT:
        return read_heartbeat(letter, request);
    case TYPE_MESSAGE:
        return read_message(letter, request);
    case TYPE_COMMAND:
        return read_command(letter, request);
    case TYPE_DISCONNECT:
        return read_disconnect(letter, request);
    default:
        request->kind = REQUEST_TRANSFER;
        return ERROR_NONE;
    }
}

/* ---- Meaning: whose it is, and its seal --------------------------------- */

/* Its session is this one, and its seq is above the last. */
static enum error_code check_origin(const struct letter *letter,
                                    struct wire_peer *peer)
{
    struct slice session;
    uint64_t seq;

    if (headers_string(letter->fields, "session", &session) != FIELD_THERE ||
        headers_number(letter->fields, "seq", &seq) != FIELD_THERE)
        return ERROR_BAD_HEADER;
    if (!uuid_is(peer->uuid, session) || seq < peer->seq_in_min)
        return ERROR_REPLAY;
    peer->seq_in_min = seq + 1;
    return ERROR_NONE;
}

static bool read_iv(struct letter *letter)
{
    struct slice iv;
    size_t length;

    return headers_string(letter->fields, "iv", &iv) == FIELD_THERE &&
           sodium_base642bin(letter->iv, sizeof(letter->iv), iv.bytes,
                             iv.length, NULL, &length, NULL,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           length == IV_BYTES;
}

static enum error_code read_seal(struct letter *letter)
{
    bool hello = letter_type(letter) == TYPE_SESSION_ACK;
    struct slice enc;

    switch (headers_string(letter->fields, "enc", &enc)) {
    case FIELD_ABSENT:
        return ERROR_NONE;
    case FIELD_THERE:
        break;
    case FIELD_WRONG:
        return ERROR_BAD_HEADER;
    }
    if (!slice_equals(enc, SLICE("A256GCM")))
        return ERROR_HANDSHAKE;
    letter->sealed = true;
    return hello || read_iv(letter) ? ERROR_NONE : ERROR_BAD_HEADER;
}

static bool peer_key(struct wire *wire, struct wire_peer *peer)
{
    if (!peer->keyed)
        peer->keyed = keys_derive(wire->keys, peer->uuid, peer->key);
    return peer->keyed;
}

/* The sealed content in memory that may be changed: if the message is not in
 * the tail, a copy is put there. NULL without memory. */
static unsigned char *content_to_open(struct wire *wire,
                                      struct decoder *decoder,
                                      struct slice content)
{
    if (decoder->spent)
        return decoder->tail->bytes + (decoder->tail->length - content.length);
    if (!tail_append(decoder, wire->budget, (const void *)content.bytes,
                     content.length, secure_bytes_max(wire)))
        return NULL;
    decoder->spent = true;
    return decoder->tail->bytes;
}

static enum error_code open_content(struct wire *wire, struct decoder *decoder,
                                    struct wire_peer *peer,
                                    struct letter *letter)
{
    struct sealing sealing = {
        .headers = letter->headers.bytes,
        .headers_length = letter->headers.length,
        .length = letter->content.length - SEAL_TAG_BYTES,
    };

    if (letter->content.length < SEAL_TAG_BYTES)
        return ERROR_BAD_HMAC;
    sealing.bytes = content_to_open(wire, decoder, letter->content);
    if (!sealing.bytes || !peer_key(wire, peer))
        return ERROR_INTERNAL;
    memcpy(sealing.iv, letter->iv, sizeof(sealing.iv));
    letter->content =
        (struct slice){(const char *)sealing.bytes, sealing.length};
    switch (keys_open(wire->keys, peer->key, &sealing,
                      sealing.bytes + sealing.length)) {
    case OPENING_DONE:
        return ERROR_NONE;
    case OPENING_FORGED:
        return ERROR_BAD_HMAC;
    case OPENING_FAILED:
        break;
    }
    return ERROR_INTERNAL;
}

/* SESSION_ACK, which has no content, only says that what follows is sealed. */
static enum error_code agree_on_seal(const struct wire *wire,
                                     const struct decoder *decoder,
                                     struct wire_peer *peer,
                                     const struct letter *letter)
{
    if (decoder->greeted)
        return ERROR_HANDSHAKE;
    if (letter->sealed)
        peer->sealed = true;
    if (wire->config.encryption_required && !peer->sealed)
        return ERROR_HANDSHAKE;
    return ERROR_NONE;
}

static enum error_code unseal(struct wire *wire, struct decoder *decoder,
                              struct wire_peer *peer, struct letter *letter)
{
    if (letter_type(letter) == TYPE_SESSION_ACK)
        return agree_on_seal(wire, decoder, peer, letter);
    if (letter->sealed)
        return open_content(wire, decoder, peer, letter);
    return peer->sealed ? ERROR_BAD_HMAC : ERROR_NONE;
}

/* ---- Meaning: the content ----------------------------------------------- */

static enum error_code read_content(const struct letter *letter,
                                    struct request *request)
{
    unsigned type = letter_type(letter);

    switch (type) {
    case TYPE_HEARTBEAT:
        return letter->content.length > 0 ? ERROR_BAD_FRAME : ERROR_NONE;
    case TYPE_MESSAGE:
    case TYPE_COMMAND:
        request->text = letter->content;
        return request_check_text(request);
    case TYPE_SESSION_ACK:
    case TYPE_DISCONNECT:
    case TYPE_FILE_OFFER:
    case TYPE_FILE_ACCEPT:
    case TYPE_FILE_DATA:
    case TYPE_FILE_END:
        return ERROR_NONE;
    default:
        return type_refusal(type);
    }
}

static enum error_code read_letter(struct wire *wire, struct decoder *decoder,
                                   struct wire_peer *from,
                                   struct letter *letter,
                                   struct request *request)
{
    enum error_code error = check_integrity(wire, letter);

    if (error == ERROR_NONE)
        error = read_fields(letter, request);
    if (error == ERROR_NONE)
        error = check_origin(letter, from);
    if (error == ERROR_NONE)
        error = read_seal(letter);
    if (error == ERROR_NONE)
        error = unseal(wire, decoder, from, letter);
    if (error == ERROR_NONE)
        error = read_content(letter, request);
    return error;
}

enum wire_outcome secure_decode(struct wire *wire, struct decoder *decoder,
                                struct wire_peer *from,
                                const unsigned char **bytes, size_t *length,
                                struct request *request, enum error_code *error)
{
    struct letter letter = {0};
    struct slice message;
    enum wire_outcome outcome;
    size_t headers;

    outcome = message_assemble(wire, decoder, bytes, length, &message, error);
    if (outcome != WIRE_READY)
        return outcome;
    letter.head = (const unsigned char *)message.bytes;
    headers = load_u32(letter.head + SECURE_HEADERS_LENGTH_AT);
    letter.headers = (struct slice){message.bytes + SECURE_HEAD_BYTES, headers};
    letter.content =
        (struct slice){letter.headers.bytes + headers,
                       message.length - SECURE_HEAD_BYTES - headers};
    *error = read_letter(wire, decoder, from, &letter, request);
    return *error == ERROR_NONE ? WIRE_READY : WIRE_INVALID;
}

/*
 * Secure messages from a peer, checked in the order of docs/protocol.md: magic,
 * version, lengths, CRCs, HMAC, JSON, meaning. The meaning begins with what
 * every message has: its session, a seq, perhaps a seal.
 */
#include "common/wire/secure.h"

#include "common/base/bytes.h"
#include "common/base/limits.h"
#include "common/wire/internal.h"
#include "common/wire/message.h"
#include "common/wire/missive.h"

/* ---- Magic, version, lengths -------------------------------------------- */

/* From a client before WELCOME there is no content. What a server has sealed
 * for us may have been as long as it may be in the clear. */
static size_t content_bytes_max(const struct wire *wire,
                                const struct decoder *decoder)
{
    if (decoder->heard)
        return (size_t)wire->config.message_bytes_max + SEAL_TAG_BYTES;
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
        !message_can_begin(decoder, load_u16(head + SECURE_TYPE_AT)))
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

size_t secure_bytes_max(const struct wire *wire, const struct decoder *decoder)
{
    return (size_t)SECURE_HEAD_BYTES + HEADERS_BYTES_MAX +
           content_bytes_max(wire, decoder);
}

/* ---- Meaning: what each type's headers are ------------------------------ */

static enum error_code read_hello(const struct missive *missive,
                                  struct request *request)
{
    request->kind = REQUEST_HELLO;
    if (headers_string(missive->fields, "nick", &request->name) == FIELD_WRONG)
        return ERROR_BAD_HEADER;
    return ERROR_NONE;
}

static enum error_code read_heartbeat(const struct missive *missive,
                                      struct request *request)
{
    struct slice kind;

    if (headers_string(missive->fields, "kind", &kind) != FIELD_THERE ||
        headers_number(missive->fields, "stamp", &request->stamp) !=
            FIELD_THERE)
        return ERROR_BAD_HEADER;
    if (slice_equals(kind, SLICE("ping")))
        request->kind = REQUEST_PING;
    else if (slice_equals(kind, SLICE("pong")))
        request->kind = REQUEST_PONG;
    else
        return ERROR_BAD_HEADER;
    return ERROR_NONE;
}

static enum error_code read_target(const struct missive *missive,
                                   struct request *request)
{
    enum field room = headers_string(missive->fields, "room", &request->name);
    enum field to = headers_string(missive->fields, "to", &request->name);

    if (room == FIELD_WRONG || to == FIELD_WRONG ||
        (room == FIELD_THERE && to == FIELD_THERE))
        return ERROR_BAD_HEADER;
    if (room == FIELD_THERE)
        request->target = TARGET_ROOM;
    if (to == FIELD_THERE)
        request->target = TARGET_NICK;
    return ERROR_NONE;
}

static enum error_code read_message(const struct missive *missive,
                                    struct request *request)
{
    request->kind = REQUEST_MESSAGE;
    if (missive_id(missive, &request->id) == FIELD_WRONG ||
        missive_content_type(missive, &request->content_type) == FIELD_WRONG)
        return ERROR_BAD_HEADER;
    return read_target(missive, request);
}

static enum error_code read_command(const struct missive *missive,
                                    struct request *request)
{
    request->kind = REQUEST_COMMAND;
    return missive_id(missive, &request->id) == FIELD_WRONG ? ERROR_BAD_HEADER
                                                            : ERROR_NONE;
}

static enum error_code read_disconnect(const struct missive *missive,
                                       struct request *request)
{
    uint64_t code;

    request->kind = REQUEST_DISCONNECT;
    if (headers_number(missive->fields, "code", &code) == FIELD_WRONG)
        return ERROR_BAD_HEADER;
    return ERROR_NONE;
}

/* Of a type that is none of a client's it is said later: here its headers have
 * no form. */
static enum error_code read_fields(const struct missive *missive,
                                   struct request *request)
{
    switch (missive_type(missive)) {
    case TYPE_SESSION_ACK:
        return read_hello(missive, request);
    case TYPE_HEARTBEAT:
        return read_heartbeat(missive, request);
    case TYPE_MESSAGE:
        return read_message(missive, request);
    case TYPE_COMMAND:
        return read_command(missive, request);
    case TYPE_DISCONNECT:
        return read_disconnect(missive, request);
    default:
        request->kind = REQUEST_TRANSFER;
        return ERROR_NONE;
    }
}

/* ---- Meaning: whose it is, and its seal --------------------------------- */

static bool peer_key(struct wire *wire, struct wire_peer *peer)
{
    if (!peer->keyed)
        peer->keyed = keys_derive(wire->keys, peer->uuid, peer->key);
    return peer->keyed;
}

/* SESSION_ACK, which has no content, only says that what follows is sealed. */
static enum error_code agree_on_seal(const struct wire *wire,
                                     const struct decoder *decoder,
                                     struct wire_peer *peer,
                                     const struct missive *missive)
{
    if (decoder->greeted)
        return ERROR_HANDSHAKE;
    if (missive->sealed)
        peer->sealed = true;
    if (wire->config.encryption_required && !peer->sealed)
        return ERROR_HANDSHAKE;
    return ERROR_NONE;
}

static enum error_code unseal(struct wire *wire, struct decoder *decoder,
                              struct wire_peer *peer, struct missive *missive)
{
    if (missive_type(missive) == TYPE_SESSION_ACK)
        return agree_on_seal(wire, decoder, peer, missive);
    if (!missive->sealed)
        return peer->sealed ? ERROR_BAD_HMAC : ERROR_NONE;
    if (!peer_key(wire, peer))
        return ERROR_INTERNAL;
    return missive_open(wire, decoder, peer->key, missive);
}

/* ---- Meaning: the content ----------------------------------------------- */

static enum error_code read_content(const struct missive *missive,
                                    struct request *request)
{
    unsigned type = missive_type(missive);

    switch (type) {
    case TYPE_HEARTBEAT:
        return missive->content.length > 0 ? ERROR_BAD_FRAME : ERROR_NONE;
    case TYPE_MESSAGE:
    case TYPE_COMMAND:
        request->text = missive->content;
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

static enum error_code read_missive(struct wire *wire, struct decoder *decoder,
                                    struct wire_peer *from,
                                    struct missive *missive,
                                    struct request *request)
{
    enum error_code error = missive_check(wire, missive);

    if (error == ERROR_NONE)
        error = read_fields(missive, request);
    if (error == ERROR_NONE)
        error = missive_check_origin(missive, from);
    if (error == ERROR_NONE)
        error = missive_read_seal(missive);
    if (error == ERROR_NONE)
        error = unseal(wire, decoder, from, missive);
    if (error == ERROR_NONE)
        error = read_content(missive, request);
    return error;
}

enum wire_outcome secure_decode(struct wire *wire, struct decoder *decoder,
                                struct wire_peer *from,
                                const unsigned char **bytes, size_t *length,
                                struct request *request, enum error_code *error)
{
    struct missive missive;
    struct slice message;
    enum wire_outcome outcome;

    outcome = message_assemble(wire, decoder, bytes, length, &message, error);
    if (outcome != WIRE_READY)
        return outcome;
    missive_init(&missive, message);
    *error = read_missive(wire, decoder, from, &missive, request);
    return *error == ERROR_NONE ? WIRE_READY : WIRE_INVALID;
}

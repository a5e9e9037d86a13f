/*
 * What holds of every secure message. Nothing is acted on and nothing
 * remembered before the HMAC holds.
 */
#include "common/wire/missive.h"

#include "common/base/bytes.h"
#include "common/base/limits.h"
#include "common/wire/internal.h"
#include "common/wire/secure.h"
#include "common/wire/tail.h"

#include <libdeflate.h>
#include <sodium.h>

_Static_assert(MAC_BYTES == crypto_verify_32_BYTES, "it compares an HMAC");

void missive_init(struct missive *missive, struct slice message)
{
    const unsigned char *head = (const unsigned char *)message.bytes;
    size_t headers = load_u32(head + SECURE_HEADERS_LENGTH_AT);

    *missive = (struct missive){
        .head = head,
        .headers = {message.bytes + SECURE_HEAD_BYTES, headers},
        .content = {message.bytes + SECURE_HEAD_BYTES + headers,
                    message.length - SECURE_HEAD_BYTES - headers},
    };
}

unsigned missive_type(const struct missive *missive)
{
    return load_u16(missive->head + SECURE_TYPE_AT);
}

/* ---- CRCs, HMAC, JSON --------------------------------------------------- */

static bool crc_holds(const struct missive *missive, size_t crc_at,
                      struct slice bytes)
{
    return libdeflate_crc32(0, bytes.bytes, bytes.length) ==
           load_u32(missive->head + crc_at);
}

static enum error_code check_mac(struct wire *wire,
                                 const struct missive *missive)
{
    uint8_t mac[MAC_BYTES];

    if (!keys_sign(wire->keys, missive->head, SECURE_MAC_AT,
                   missive->headers.bytes,
                   missive->headers.length + missive->content.length, mac))
        return ERROR_INTERNAL;
    /* It takes the same time wherever they differ, and less of it than
     * sodium_memcmp, for it knows the length. */
    if (crypto_verify_32(mac, missive->head + SECURE_MAC_AT) != 0)
        return ERROR_BAD_HMAC;
    return ERROR_NONE;
}

enum error_code missive_check(struct wire *wire, struct missive *missive)
{
    enum error_code error;

    if (!crc_holds(missive, SECURE_HEADERS_CRC_AT, missive->headers) ||
        !crc_holds(missive, SECURE_CONTENT_CRC_AT, missive->content))
        return ERROR_BAD_CRC;
    error = check_mac(wire, missive);
    if (error != ERROR_NONE)
        return error;
    if (!headers_parse(wire->headers, missive->headers))
        return ERROR_BAD_HEADER;
    missive->fields = wire->headers;
    return ERROR_NONE;
}

/* ---- Whose it is, and its seal ------------------------------------------ */

enum error_code missive_check_origin(const struct missive *missive,
                                     struct wire_peer *peer)
{
    struct slice session;
    uint64_t seq;

    if (headers_string(missive->fields, "session", &session) != FIELD_THERE ||
        headers_number(missive->fields, "seq", &seq) != FIELD_THERE)
        return ERROR_BAD_HEADER;
    if (!uuid_is(peer->uuid, session) || seq < peer->seq_in_min)
        return ERROR_REPLAY;
    peer->seq_in_min = seq + 1;
    return ERROR_NONE;
}

static bool read_iv(struct missive *missive)
{
    struct slice iv;
    size_t length;

    return headers_string(missive->fields, "iv", &iv) == FIELD_THERE &&
           sodium_base642bin(missive->iv, sizeof(missive->iv), iv.bytes,
                             iv.length, NULL, &length, NULL,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           length == IV_BYTES;
}

enum error_code missive_read_seal(struct missive *missive)
{
    bool hello = missive_type(missive) == TYPE_SESSION_ACK;
    struct slice enc;

    switch (headers_string(missive->fields, "enc", &enc)) {
    case FIELD_ABSENT:
        return ERROR_NONE;
    case FIELD_THERE:
        break;
    case FIELD_WRONG:
        return ERROR_BAD_HEADER;
    }
    if (!slice_equals(enc, SLICE("A256GCM")))
        return ERROR_HANDSHAKE;
    missive->sealed = true;
    return hello || read_iv(missive) ? ERROR_NONE : ERROR_BAD_HEADER;
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
                     content.length, secure_bytes_max(wire, decoder)))
        return NULL;
    decoder->spent = true;
    return decoder->tail->bytes;
}

enum error_code missive_open(struct wire *wire, struct decoder *decoder,
                             const uint8_t key[SEAL_KEY_BYTES],
                             struct missive *missive)
{
    struct sealing sealing = {
        .headers = missive->headers.bytes,
        .headers_length = missive->headers.length,
        .length = missive->content.length - SEAL_TAG_BYTES,
    };
    enum opening opening;

    if (missive->content.length < SEAL_TAG_BYTES)
        return ERROR_BAD_HMAC;
    sealing.bytes = content_to_open(wire, decoder, missive->content);
    if (!sealing.bytes)
        return ERROR_INTERNAL;
    memcpy(sealing.iv, missive->iv, sizeof(sealing.iv));
    missive->content =
        (struct slice){(const char *)sealing.bytes, sealing.length};
    opening =
        keys_open(wire->keys, key, &sealing, sealing.bytes + sealing.length);
    switch (opening) {
    case OPENING_DONE:
        return ERROR_NONE;
    case OPENING_FORGED:
        return ERROR_BAD_HMAC;
    case OPENING_FAILED:
        break;
    }
    return ERROR_INTERNAL;
}

/* ---- Fields of several types -------------------------------------------- */

enum field missive_id(const struct missive *missive, uint32_t *id)
{
    uint64_t number;
    enum field field = headers_number(missive->fields, "id", &number);

    if (field != FIELD_THERE)
        return field;
    if (number == 0 || number > UINT32_MAX)
        return FIELD_WRONG;
    *id = (uint32_t)number;
    return FIELD_THERE;
}

enum field missive_content_type(const struct missive *missive,
                                struct slice *type)
{
    enum field field = headers_string(missive->fields, "content_type", type);

    if (field == FIELD_THERE &&
        (type->length == 0 || !content_type_is_valid(*type)))
        return FIELD_WRONG;
    return field;
}

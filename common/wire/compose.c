/*
 * Composing secure messages. What a message is signed with is made of what
 * stands behind it, so the head is written last.
 */
#include "common/wire/compose.h"

#include "common/base/bytes.h"
#include "common/wire/internal.h"
#include "common/wire/secure.h"

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

static bool is_escaped(char c)
{
    return c == '"' || c == '\\';
}

/* Printable ASCII, which may have a quotation mark or a backslash in it: from
 * one of these to the next it stands as it is. */
void put_content_type(struct builder *headers, struct slice type)
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

void put_uuid(struct builder *headers, struct slice field,
              const uint8_t uuid[UUID_BYTES])
{
    char text[UUID_TEXT_BYTES];

    uuid_text(uuid, text);
    put_string(headers, field, (struct slice){text, sizeof(text)});
}

void put_id(struct builder *headers, uint32_t id)
{
    if (id != 0)
        put_number(headers, FIELD("id"), id);
}

void put_heartbeat(struct builder *headers, const char *kind, uint64_t stamp)
{
    put_string(headers, FIELD("kind"), slice_of(kind));
    put_number(headers, FIELD("stamp"), stamp);
}

void put_session(struct builder *headers, const struct wire_peer *peer)
{
    put_uuid(headers, FIELD("session"), peer->uuid);
    put_number(headers, FIELD("seq"), peer->seq_out + 1);
}

void put_enc(struct builder *headers)
{
    put_string(headers, FIELD("enc"), SLICE("A256GCM"));
}

/* The iv is written last (draft_write_sealed), in the place of these letters.
 */
void put_seal(struct builder *headers)
{
    put_enc(headers);
    put_string(headers, FIELD("iv"), SLICE("AAAAAAAAAAAAAAAA"));
}

void finish_headers(struct builder *headers)
{
    build_slice(headers, SLICE("}"));
    headers->bytes[0] = '{';
    assert(headers->length < sizeof(headers->bytes)); /* none was cut */
}

/* ---- Messages ----------------------------------------------------------- */

size_t draft_size(const struct draft *draft)
{
    return SECURE_HEAD_BYTES + draft->headers->length +
           pieces_size(draft->content);
}

/* The headers and the content stand where they go, from `out` + 60 to `end`:
 * what is before them is made of them. Returns the end. */
static unsigned char *sign(struct wire *wire, const struct draft *draft,
                           unsigned char *out, unsigned char *end)
{
    unsigned char *headers = out + SECURE_HEAD_BYTES;
    size_t headers_length = draft->headers->length;
    unsigned char *content = headers + headers_length;
    size_t content_length = (size_t)(end - content);
    unsigned char *at = mempcpy(out, SECURE_MAGIC, SECURE_MAGIC_BYTES);

    at = store_u16(at, PROTOCOL_VERSION);
    at = store_u16(at, draft->type);
    at = store_u32(at, (uint32_t)headers_length);
    at = store_u32(at, libdeflate_crc32(0, headers, headers_length));
    at = store_u32(at, (uint32_t)content_length);
    at = store_u32(at, libdeflate_crc32(0, content, content_length));
    if (!keys_sign(wire->keys, out, SECURE_MAC_AT, headers,
                   headers_length + content_length, at))
        return NULL;
    return end;
}

/* Returns where the content goes. */
static unsigned char *write_headers(const struct draft *draft,
                                    unsigned char *out)
{
    return mempcpy(out + SECURE_HEAD_BYTES, draft->headers->bytes,
                   draft->headers->length);
}

unsigned char *draft_write(struct wire *wire, const struct draft *draft,
                           unsigned char *out)
{
    unsigned char *content = write_headers(draft, out);

    return sign(wire, draft, out, pieces_write(draft->content, content));
}

static void write_iv(const uint8_t iv[IV_BYTES], unsigned char *headers_end)
{
    char text[IV_TEXT_BYTES + 1];

    sodium_bin2base64(text, sizeof(text), iv, IV_BYTES,
                      sodium_base64_VARIANT_ORIGINAL);
    memcpy(headers_end - strlen("\"}") - IV_TEXT_BYTES, text, IV_TEXT_BYTES);
}

unsigned char *draft_write_sealed(struct wire *wire, const struct draft *draft,
                                  const uint8_t iv[IV_BYTES],
                                  unsigned char *out)
{
    unsigned char *content = write_headers(draft, out);
    unsigned char *end = pieces_write(draft->content, content);
    struct sealing sealing = {
        .headers = out + SECURE_HEAD_BYTES,
        .headers_length = draft->headers->length,
        .bytes = content,
        .length = (size_t)(end - content),
    };

    memcpy(sealing.iv, iv, sizeof(sealing.iv));
    write_iv(iv, content);
    if (!keys_seal(wire->keys, &sealing, end))
        return NULL;
    return sign(wire, draft, out, end + SEAL_TAG_BYTES);
}

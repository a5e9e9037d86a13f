/*
 * Signing and sealing, whatever there is to be signed; and mutations of it.
 */
#include "tests/fuzz/support_sign.h"

#include "common/base/bytes.h"
#include "common/base/limits.h"
#include "common/wire/headers.h"
#include "common/wire/plain.h"
#include "common/wire/secure.h"
#include "tests/fuzz/support_wire.h"

#include <assert.h>
#include <libdeflate.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static bool read_iv(struct slice json, uint8_t iv[IV_BYTES])
{
    struct slice text;
    size_t length = 0;

    return json.length <= HEADERS_BYTES_MAX &&
           headers_parse(fuzz_headers(), json) &&
           headers_string(fuzz_headers(), "iv", &text) == FIELD_THERE &&
           sodium_base642bin(iv, IV_BYTES, text.bytes, text.length, NULL,
                             &length, NULL,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           length == IV_BYTES;
}

/* Headers that are plain are the same to who reads all of JSON. */
static void check_plain(struct slice headers)
{
    static struct json plain, json;
    static char copy[HEADERS_BYTES_MAX];

    if (headers.length > sizeof(copy) || !plain_read(&plain, headers))
        return;
    memcpy(copy, headers.bytes, headers.length);
    assert(json_read(&json, copy, headers.length));
    assert(json.count == plain.count);
    for (unsigned i = 0; i < plain.count; i++) {
        const struct member *member = &plain.members[i];
        const struct member *same = json_find(&json, member->name);

        assert(same && same->kind == member->kind);
        if (member->kind == MEMBER_STRING)
            assert(slice_equals(same->string, member->string));
        else
            assert(same->number == member->number);
    }
}

/* Where the headers have an iv, all but the last bytes of the content are
 * taken for the clear text, and encrypted. */
static void seal(struct keys *keys, struct slice headers,
                 unsigned char *content, size_t length)
{
    struct sealing sealing = {
        .headers = headers.bytes,
        .headers_length = headers.length,
        .bytes = content,
        .length = length - SEAL_TAG_BYTES,
    };

    if (length < SEAL_TAG_BYTES || !read_iv(headers, sealing.iv))
        return;
    if (!keys_seal(keys, &sealing, content + sealing.length))
        abort();
}

/* The field's number, or as much as there is. */
static size_t take_length(unsigned char *field, size_t left)
{
    size_t length = load_u32(field);

    if (length > left)
        length = left;
    store_u32(field, (uint32_t)length);
    return length;
}

/*
 * Puts right what keeps a message from being read: magic, version, lengths,
 * seal, CRCs, HMAC. Returns its length. So the version is free to say, with
 * its highest bit, that the seal is to be broken.
 */
static size_t sign(struct keys *keys, unsigned char *head, size_t left)
{
    unsigned char *headers = head + SECURE_HEAD_BYTES, *content;
    bool broken = head[SECURE_VERSION_AT] & 0x80;
    size_t headers_length, length;

    left -= SECURE_HEAD_BYTES;
    headers_length = take_length(head + SECURE_HEADERS_LENGTH_AT, left);
    left -= headers_length;
    length = take_length(head + SECURE_CONTENT_LENGTH_AT, left);
    content = headers + headers_length;
    store_u16(mempcpy(head, SECURE_MAGIC, SECURE_MAGIC_BYTES), 1);
    check_plain((struct slice){(const char *)headers, headers_length});
    seal(keys, (struct slice){(const char *)headers, headers_length}, content,
         length);
    if (broken && length > 0)
        content[length - 1] ^= 1;
    store_u32(head + SECURE_HEADERS_CRC_AT,
              libdeflate_crc32(0, headers, headers_length));
    store_u32(head + SECURE_CONTENT_CRC_AT,
              libdeflate_crc32(0, content, length));
    if (!keys_sign(keys, head, SECURE_MAC_AT, headers, headers_length + length,
                   head + SECURE_MAC_AT))
        abort();
    return SECURE_HEAD_BYTES + headers_length + length;
}

void stream_sign(struct keys *keys, uint8_t *stream, size_t size)
{
    for (size_t at = 0; size - at >= SECURE_HEAD_BYTES;)
        at += sign(keys, stream + at, size - at);
}

/* ---- Mutations ---------------------------------------------------------- */

/* Right ones, and such as are of a wrong type or a value that is not allowed.
 */
static const char *const fields[] = {
    "\"nick\":\"bob\",",
    "\"nick\":[],",
    "\"enc\":\"A256GCM\",",
    "\"enc\":\"none\",",
    "\"enc\":null,",
    "\"iv\":\"AAAAAAAAAAAAAAAB\",",
    "\"iv\":\"AAAA\",",
    "\"kind\":7,",
    "\"stamp\":9007199254740991,",
    "\"id\":4294967295,",
    "\"id\":4294967296,",
    "\"id\":0,",
    "\"room\":\"den\",",
    "\"room\":7,",
    "\"to\":\"bob\",",
    "\"to\":true,",
    "\"content_type\":\"image/png\",",
    "\"content_type\":\"\",",
    "\"content_type\":\"\\u0000\",",
    "\"content_type\":1,",
    "\"code\":-1,",
    "\"code\":33,",
    "\"name\":\"usage\",",
    "\"room\":\"@\",",
    "\"room_seq\":4,",
    "\"time\":9,",
    "\"more\":true,",
    "\"more\":0,",
    "\"kind\":\"lagged\",",
    "\"kind\":\"topic\",",
    "\"boot\":\"a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf\",",
    "\"x\":[[{}]],",
    "\"x\":[[{\"x\":{}}]],",
    "\"x\":{\"x\":[[{}]]},",
    "\"x\":1e400,",
    "\"x\":-12345678901234567890.5,",
    "\"x\":\"\\ud800\\u0000\\\"\",",
};

/* Puts `length` bytes where `old_length` are; there is room. Returns what
 * becomes of `size`. */
static size_t replace(uint8_t *data, size_t size, size_t at, size_t old_length,
                      const void *bytes, size_t length)
{
    memmove(data + at + length, data + at + old_length, size - at - old_length);
    memcpy(data + at, bytes, length);
    return size - old_length + length;
}

/* The message, by its number, that the input has at `*at`; false: none. */
static bool find_message(const uint8_t *data, size_t size, unsigned number,
                         size_t *at)
{
    *at = 0;
    while (size - *at >= SECURE_HEAD_BYTES &&
           secure_bytes(data + *at) <= size - *at) {
        if (number-- == 0)
            return true;
        *at += secure_bytes(data + *at);
    }
    return false;
}

/* libFuzzer changes the headers, or the content, and their length follows. */
static size_t mutate_part(uint8_t *data, size_t size, size_t size_max,
                          size_t message, unsigned field)
{
    size_t old_length = load_u32(data + message + field), length;
    size_t length_max = size_max - size + old_length;
    size_t at = message + SECURE_HEAD_BYTES;
    uint8_t *part = malloc(length_max);

    if (!part)
        abort();
    if (field == SECURE_CONTENT_LENGTH_AT)
        at += load_u32(data + message + SECURE_HEADERS_LENGTH_AT);
    memcpy(part, data + at, old_length);
    length = LLVMFuzzerMutate(part, old_length, length_max);
    store_u32(data + message + field, (uint32_t)length);
    size = replace(data, size, at, old_length, part, length);
    free(part);
    return size;
}

/* A field becomes the first of the headers. */
static size_t insert_field(uint8_t *data, size_t size, size_t size_max,
                           size_t message, const char *field)
{
    uint8_t *headers_length = data + message + SECURE_HEADERS_LENGTH_AT;
    size_t length = strlen(field);

    if (load_u32(headers_length) == 0 || size_max - size < length)
        return size;
    store_u32(headers_length, load_u32(headers_length) + (uint32_t)length);
    return replace(data, size, message + SECURE_HEAD_BYTES + 1, 0, field,
                   length);
}

size_t stream_mutate(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    size_t message;

    if (size == size_max || !find_message(data, size, seed % 4, &message))
        return LLVMFuzzerMutate(data, size, size_max);
    switch (seed / 4 % 8) {
    case 0:
    case 1:
        return insert_field(
            data, size, size_max, message,
            fields[seed / 32 % (sizeof(fields) / sizeof(fields[0]))]);
    case 2:
        return mutate_part(data, size, size_max, message,
                           SECURE_HEADERS_LENGTH_AT);
    case 3:
        return mutate_part(data, size, size_max, message,
                           SECURE_CONTENT_LENGTH_AT);
    case 4:
        data[message + SECURE_VERSION_AT] ^= 0x80;
        return size;
    default:
        return LLVMFuzzerMutate(data, size, size_max);
    }
}

/*
 * The listener's key and what is done with it: signing (HMAC-SHA256, RFC 2104),
 * deriving (HKDF-SHA256, RFC 5869), sealing and opening (AES-256-GCM, NIST SP
 * 800-38D). OpenSSL's contexts are made once and set anew for each message.
 */
#ifndef RINGCHAT_WIRE_KEYS_H
#define RINGCHAT_WIRE_KEYS_H

#include "common/wire/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAC_BYTES 32
#define SEAL_KEY_BYTES 32
#define SEAL_TAG_BYTES 16
#define IV_BYTES 12

struct keys;

/* `key` is copied; what we seal is sealed with a key derived from it with this
 * salt, and an iv that begins with `number`: no two with the same key may have
 * the same. NULL without memory. */
struct keys *keys_create(const void *key, size_t length,
                         const uint8_t salt[UUID_BYTES], uint32_t number);

/* Wipes them. Takes NULL. */
void keys_destroy(struct keys *);

/* The HMAC of two pieces, one after the other. False: out of memory. */
bool keys_sign(struct keys *, const void *head, size_t head_length,
               const void *rest, size_t rest_length, uint8_t mac[MAC_BYTES]);

/* The key of what is sealed with this salt. False: out of memory. */
bool keys_derive(struct keys *, const uint8_t salt[UUID_BYTES],
                 uint8_t key[SEAL_KEY_BYTES]);

/* From now on we seal with the key that is derived with this salt. False: out
 * of memory. */
bool keys_seal_with(struct keys *, const uint8_t salt[UUID_BYTES]);

/* What a seal is made with. The bytes are changed where they are; `tag` follows
 * them on the wire. */
struct sealing {
    uint8_t iv[IV_BYTES];
    const void *headers; /* additional data: not encrypted, but covered */
    size_t headers_length;
    unsigned char *bytes;
    size_t length;
};

/* An iv that has not been used with our key: our number, and a count (the
 * deterministic construction, SP 800-38D, 8.2.1). */
void keys_next_iv(struct keys *, uint8_t iv[IV_BYTES]);

/* Encrypts with our own key. False: out of memory. */
bool keys_seal(struct keys *, const struct sealing *,
               uint8_t tag[SEAL_TAG_BYTES]);

enum opening {
    OPENING_DONE,
    OPENING_FORGED, /* not what was sealed; the bytes are worthless */
    OPENING_FAILED, /* out of memory */
};

/* Decrypts with a peer's key. */
enum opening keys_open(struct keys *, const uint8_t key[SEAL_KEY_BYTES],
                       const struct sealing *,
                       const uint8_t tag[SEAL_TAG_BYTES]);

#endif

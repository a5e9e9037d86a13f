/*
 * What `secure` does with keys (docs/protocol.md, secure): HMAC-SHA256, and
 * AES-256-GCM with keys from HKDF-SHA256, all as OpenSSL has them. A context is
 * prepared once for all that its connection sends or hears. No I/O.
 */
#ifndef RINGCHAT_LOAD_CRYPTO_H
#define RINGCHAT_LOAD_CRYPTO_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>

#define MAC_BYTES 32
#define SALT_BYTES 16
#define IV_BYTES 12
#define TAG_BYTES 16

EVP_MAC_CTX *mac_create(const unsigned char *key, size_t length);

/* Of the two one after the other. */
void mac_make(EVP_MAC_CTX *context, const unsigned char *first,
              size_t first_length, const unsigned char *second,
              size_t second_length, unsigned char mac[MAC_BYTES]);

/* What one sender seals with, from the listener's key. */
EVP_CIPHER_CTX *gcm_create(const unsigned char *key, size_t length,
                           const unsigned char salt[SALT_BYTES], bool seals);

/* Bytes that are authenticated but not encrypted. */
struct aad {
    const unsigned char *bytes;
    size_t length;
};

/* Writes TAG_BYTES more than there are. */
void gcm_seal(EVP_CIPHER_CTX *, const unsigned char iv[IV_BYTES], struct aad,
              const void *bytes, size_t length, unsigned char *to);

/* Writes TAG_BYTES fewer than there are, which are enough; false if they are
 * not what was sealed. */
bool gcm_open(EVP_CIPHER_CTX *, const unsigned char iv[IV_BYTES], struct aad,
              const unsigned char *bytes, size_t length, unsigned char *to);

#endif

/*
 * OpenSSL behind few functions. Each of its calls can fail for want of memory;
 * lengths are within int, for RECORD_BYTES_MAX is.
 */
#include "common/wire/keys.h"

#include "common/base/bytes.h"
#include "common/base/limits.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(RECORD_BYTES_MAX <= INT_MAX, "OpenSSL counts in int");

struct keys {
    EVP_MAC_CTX *mac; /* has the key */
    EVP_KDF_CTX *kdf;
    EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *sealer; /* has our derived key */
    EVP_CIPHER_CTX *opener;
    uint32_t number;
    uint64_t ivs; /* used so far */
    size_t length;
    unsigned char key[]; /* what keys are derived from */
};

static EVP_MAC_CTX *mac_create(const unsigned char *key, size_t length)
{
    /* OpenSSL's parameters are not const, though it only reads this one. */
    char sha256[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    /* Neither of the two takes NULL. */
    EVP_MAC_CTX *mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;

    EVP_MAC_free(hmac); /* the context has a reference of its own */
    if (mac && EVP_MAC_init(mac, key, length, params))
        return mac;
    EVP_MAC_CTX_free(mac);
    return NULL;
}

static EVP_KDF_CTX *kdf_create(void)
{
    EVP_KDF *hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *kdf = EVP_KDF_CTX_new(hkdf);

    EVP_KDF_free(hkdf);
    return kdf;
}

bool keys_seal_with(struct keys *keys, const uint8_t salt[UUID_BYTES])
{
    uint8_t key[SEAL_KEY_BYTES];
    bool done =
        keys_derive(keys, salt, key) &&
        EVP_EncryptInit_ex2(keys->sealer, keys->cipher, key, NULL, NULL) == 1;

    explicit_bzero(key, sizeof(key));
    return done;
}

struct keys *keys_create(const void *key, size_t length,
                         const uint8_t salt[UUID_BYTES], uint32_t number)
{
    struct keys *keys = calloc(1, sizeof(*keys) + length);

    if (!keys)
        return NULL;
    memcpy(keys->key, key, length);
    keys->length = length;
    keys->number = number;
    keys->mac = mac_create(keys->key, length);
    keys->kdf = kdf_create();
    keys->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    keys->sealer = EVP_CIPHER_CTX_new();
    keys->opener = EVP_CIPHER_CTX_new();
    if (keys->mac && keys->kdf && keys->cipher && keys->sealer &&
        keys->opener && keys_seal_with(keys, salt))
        return keys;
    keys_destroy(keys);
    return NULL;
}

void keys_destroy(struct keys *keys)
{
    if (!keys)
        return;
    EVP_MAC_CTX_free(keys->mac);
    EVP_KDF_CTX_free(keys->kdf);
    EVP_CIPHER_CTX_free(keys->sealer);
    EVP_CIPHER_CTX_free(keys->opener);
    EVP_CIPHER_free(keys->cipher);
    explicit_bzero(keys->key, keys->length);
    free(keys);
}

/* EVP_MAC_init(3): without a key, the one that the context has. */
bool keys_sign(struct keys *keys, const void *head, size_t head_length,
               const void *rest, size_t rest_length, uint8_t mac[MAC_BYTES])
{
    return EVP_MAC_init(keys->mac, NULL, 0, NULL) &&
           EVP_MAC_update(keys->mac, head, head_length) &&
           EVP_MAC_update(keys->mac, rest, rest_length) &&
           EVP_MAC_final(keys->mac, mac, NULL, MAC_BYTES);
}

bool keys_derive(struct keys *keys, const uint8_t salt[UUID_BYTES],
                 uint8_t key[SEAL_KEY_BYTES])
{
    char sha256[] = "SHA256", info[] = "ringchat enc 1";
    uint8_t salt_copy[UUID_BYTES];
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, sha256, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, keys->key,
                                          keys->length),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt_copy,
                                          sizeof(salt_copy)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info,
                                          sizeof(info) - 1),
        OSSL_PARAM_construct_end(),
    };

    memcpy(salt_copy, salt, sizeof(salt_copy));
    EVP_KDF_CTX_reset(keys->kdf);
    return EVP_KDF_derive(keys->kdf, key, SEAL_KEY_BYTES, params) == 1;
}

void keys_next_iv(struct keys *keys, uint8_t iv[IV_BYTES])
{
    store_u64(store_u32(iv, keys->number), ++keys->ivs);
}

bool keys_seal(struct keys *keys, const struct sealing *sealing,
               uint8_t tag[SEAL_TAG_BYTES])
{
    EVP_CIPHER_CTX *sealer = keys->sealer;
    int written;

    return EVP_EncryptInit_ex2(sealer, NULL, NULL, sealing->iv, NULL) &&
           EVP_EncryptUpdate(sealer, NULL, &written, sealing->headers,
                             (int)sealing->headers_length) &&
           (sealing->length == 0 ||
            EVP_EncryptUpdate(sealer, sealing->bytes, &written, sealing->bytes,
                              (int)sealing->length)) &&
           EVP_EncryptFinal_ex(sealer, tag, &written) &&
           EVP_CIPHER_CTX_ctrl(sealer, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_BYTES,
                               tag) == 1;
}

enum opening keys_open(struct keys *keys, const uint8_t key[SEAL_KEY_BYTES],
                       const struct sealing *sealing,
                       const uint8_t tag[SEAL_TAG_BYTES])
{
    EVP_CIPHER_CTX *opener = keys->opener;
    uint8_t expected[SEAL_TAG_BYTES];
    int written;

    memcpy(expected, tag, sizeof(expected));
    if (!EVP_DecryptInit_ex2(opener, keys->cipher, key, sealing->iv, NULL) ||
        !EVP_DecryptUpdate(opener, NULL, &written, sealing->headers,
                           (int)sealing->headers_length) ||
        (sealing->length > 0 &&
         !EVP_DecryptUpdate(opener, sealing->bytes, &written, sealing->bytes,
                            (int)sealing->length)) ||
        EVP_CIPHER_CTX_ctrl(opener, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_BYTES,
                            expected) != 1)
        return OPENING_FAILED;
    if (EVP_DecryptFinal_ex(opener, expected, &written) != 1)
        return OPENING_FORGED;
    return OPENING_DONE;
}

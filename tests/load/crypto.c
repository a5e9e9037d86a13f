/*
 * See crypto.h. OpenSSL can refuse none of this but for want of memory, or
 * where it was built without it: then there is nothing to measure.
 */
#include "tests/load/crypto.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#define KEY_BYTES 32

static void must(bool succeeded)
{
    assert(succeeded);
}

/* OSSL_PARAM is for reading too, and so never const. */
static OSSL_PARAM parameter_bytes(const char *name, const void *bytes,
                                  size_t length)
{
    union {
        const void *in;
        void *out;
    } same = {.in = bytes};

    return OSSL_PARAM_construct_octet_string(name, same.out, length);
}

static OSSL_PARAM parameter_sha256(const char *name)
{
    static char sha256[] = "SHA256";

    return OSSL_PARAM_construct_utf8_string(name, sha256, 0);
}

EVP_MAC_CTX *mac_create(const unsigned char *key, size_t length)
{
    const OSSL_PARAM parameters[] = {parameter_sha256(OSSL_MAC_PARAM_DIGEST),
                                     OSSL_PARAM_construct_end()};
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;

    must(mac && EVP_MAC_init(mac, key, length, parameters));
    EVP_MAC_free(hmac);
    return mac;
}

void mac_make(EVP_MAC_CTX *context, const unsigned char *first,
              size_t first_length, const unsigned char *second,
              size_t second_length, unsigned char mac[MAC_BYTES])
{
    size_t length = 0;

    /* Without a key: begin again, with the one that is there. Half the time of
     * a copy of the context. */
    must(EVP_MAC_init(context, NULL, 0, NULL) &&
         EVP_MAC_update(context, first, first_length) &&
         EVP_MAC_update(context, second, second_length) &&
         EVP_MAC_final(context, mac, &length, MAC_BYTES) &&
         length == MAC_BYTES);
}

static void derive(const unsigned char *key, size_t length,
                   const unsigned char salt[SALT_BYTES],
                   unsigned char derived[KEY_BYTES])
{
    static const char info[] = "ringchat enc 1";
    const OSSL_PARAM parameters[] = {
        parameter_sha256(OSSL_KDF_PARAM_DIGEST),
        parameter_bytes(OSSL_KDF_PARAM_KEY, key, length),
        parameter_bytes(OSSL_KDF_PARAM_SALT, salt, SALT_BYTES),
        parameter_bytes(OSSL_KDF_PARAM_INFO, info, sizeof(info) - 1),
        OSSL_PARAM_construct_end()};
    EVP_KDF *hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = hkdf ? EVP_KDF_CTX_new(hkdf) : NULL;

    must(context && EVP_KDF_derive(context, derived, KEY_BYTES, parameters));
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(hkdf);
}

EVP_CIPHER_CTX *gcm_create(const unsigned char *key, size_t length,
                           const unsigned char salt[SALT_BYTES], bool seals)
{
    EVP_CIPHER_CTX *gcm = EVP_CIPHER_CTX_new();
    unsigned char derived[KEY_BYTES];

    derive(key, length, salt, derived);
    must(gcm &&
         EVP_CipherInit_ex(gcm, EVP_aes_256_gcm(), NULL, derived, NULL, seals));
    return gcm;
}

/* The iv, then what is authenticated, then what is sealed or opened; the tag
 * comes after that, or has been set. */
static void gcm_begin(EVP_CIPHER_CTX *gcm, const unsigned char *iv,
                      struct aad aad, const unsigned char *bytes, size_t length,
                      unsigned char *to)
{
    int written;

    must(EVP_CipherInit_ex(gcm, NULL, NULL, NULL, iv, -1));
    must(EVP_CipherUpdate(gcm, NULL, &written, aad.bytes, (int)aad.length));
    if (length > 0)
        must(EVP_CipherUpdate(gcm, to, &written, bytes, (int)length));
}

void gcm_seal(EVP_CIPHER_CTX *gcm, const unsigned char iv[IV_BYTES],
              struct aad aad, const void *bytes, size_t length,
              unsigned char *to)
{
    int written;

    gcm_begin(gcm, iv, aad, bytes, length, to);
    must(EVP_CipherFinal_ex(gcm, to + length, &written));
    must(EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES,
                             to + length));
}

bool gcm_open(EVP_CIPHER_CTX *gcm, const unsigned char iv[IV_BYTES],
              struct aad aad, const unsigned char *bytes, size_t length,
              unsigned char *to)
{
    size_t text = length - TAG_BYTES;
    unsigned char tag[TAG_BYTES];
    int written;

    for (size_t i = 0; i < TAG_BYTES; i++)
        tag[i] = bytes[text + i];
    gcm_begin(gcm, iv, aad, bytes, text, to);
    must(EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag));
    return EVP_CipherFinal_ex(gcm, to + text, &written) > 0;
}

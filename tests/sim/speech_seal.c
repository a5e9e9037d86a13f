/*
 * The cryptography of the secure dialect, as docs/protocol.md has it:
 * signatures, the keys of what is sealed, seals, and that no iv is used twice.
 * HMAC and HKDF are written out here; only SHA-256 and AES-GCM are OpenSSL's.
 */
/* SHA256_CTX can be copied, which is why: no context is made for a message.
 * OpenSSL 3 would rather have its functions called through EVP. */
#define OPENSSL_API_COMPAT 10100

#include "tests/sim/promise.h"
#include "tests/sim/speech_internal.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

/* ---- Signatures and keys ------------------------------------------------- */

#define BLOCK_BYTES 64

/* HMAC-SHA256 (RFC 2104): what has been hashed within, and what of the key
 * without. */
struct hmac {
    SHA256_CTX inner, outer;
};

static void hash_padded(SHA256_CTX *hash, struct slice key, unsigned char pad)
{
    unsigned char block[BLOCK_BYTES];

    assert(key.length <= sizeof(block));
    memset(block, pad, sizeof(block));
    for (size_t i = 0; i < key.length; i++)
        block[i] ^= (unsigned char)key.bytes[i];
    SHA256_Init(hash);
    SHA256_Update(hash, block, sizeof(block));
}

static void hmac_begin(struct hmac *hmac, struct slice key)
{
    hash_padded(&hmac->inner, key, 0x36);
    hash_padded(&hmac->outer, key, 0x5c);
}

static void hmac_add(struct hmac *hmac, struct slice bytes)
{
    SHA256_Update(&hmac->inner, bytes.bytes, bytes.length);
}

static void hmac_end(struct hmac *hmac, uint8_t mac[MAC_BYTES])
{
    uint8_t inner[MAC_BYTES];

    SHA256_Final(inner, &hmac->inner);
    SHA256_Update(&hmac->outer, inner, sizeof(inner));
    SHA256_Final(mac, &hmac->outer);
}

static struct slice slice_from(const void *bytes, size_t length)
{
    return (struct slice){bytes, length};
}

/* An HMAC that has had speech_key and nothing else; contexts that know their
 * cipher. */
static struct hmac keyed;
static EVP_CIPHER_CTX *sealing, *opening;

void speech_prepare(void)
{
    if (sealing)
        return;
    hmac_begin(&keyed, slice_from(speech_key, sizeof(speech_key)));
    sealing = EVP_CIPHER_CTX_new();
    opening = EVP_CIPHER_CTX_new();
    /* Both begin with ivs of 12 bytes. */
    if (!sealing || !opening ||
        EVP_EncryptInit_ex(sealing, EVP_aes_256_gcm(), NULL, NULL, NULL) != 1 ||
        EVP_DecryptInit_ex(opening, EVP_aes_256_gcm(), NULL, NULL, NULL) != 1)
        assert(!"OpenSSL has no AES-256-GCM");
}

void seal_sign(struct slice head, struct slice rest, uint8_t mac[MAC_BYTES])
{
    struct hmac hmac = keyed;

    hmac_add(&hmac, head);
    hmac_add(&hmac, rest);
    hmac_end(&hmac, mac);
}

/* RFC 5869: extract (2.2), then expand (2.3) to one block. */
void seal_derive(const uint8_t salt[SALT_BYTES], uint8_t key[32])
{
    struct hmac hmac;
    uint8_t pseudorandom[MAC_BYTES];

    hmac_begin(&hmac, slice_from(salt, SALT_BYTES));
    hmac_add(&hmac, slice_from(speech_key, sizeof(speech_key)));
    hmac_end(&hmac, pseudorandom);
    hmac_begin(&hmac, slice_from(pseudorandom, sizeof(pseudorandom)));
    hmac_add(&hmac, SLICE("ringchat enc 1\x01"));
    hmac_end(&hmac, key);
}

/* ---- Seals -------------------------------------------------------------- */

static const unsigned char *bytes_of(struct slice slice)
{
    return (const unsigned char *)slice.bytes;
}

/* NIST SP 800-38D. That OpenSSL does as it is told is not in question. */
void seal_close(const uint8_t key[32], const uint8_t iv[IV_BYTES],
                struct slice headers, struct slice content, struct draft *draft)
{
    unsigned char *out = draft->bytes + draft->length;
    int length, good;

    assert(content.length + TAG_BYTES <= sizeof(draft->bytes) - draft->length);
    good = EVP_EncryptInit_ex(sealing, NULL, NULL, key, iv) &&
           EVP_EncryptUpdate(sealing, NULL, &length, bytes_of(headers),
                             (int)headers.length) &&
           (content.length == 0 ||
            EVP_EncryptUpdate(sealing, out, &length, bytes_of(content),
                              (int)content.length)) &&
           EVP_EncryptFinal_ex(sealing, out + content.length, &length) &&
           EVP_CIPHER_CTX_ctrl(sealing, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES,
                               out + content.length);
    assert(good);
    draft->length += content.length + TAG_BYTES;
}

bool seal_open(const uint8_t key[32], const uint8_t iv[IV_BYTES],
               struct slice headers, struct slice sealed, struct slice *content)
{
    static unsigned char out[SPEECH_BYTES_MAX];
    unsigned char tag[TAG_BYTES];
    int length, good;

    if (sealed.length < TAG_BYTES || sealed.length > sizeof(out))
        return false;
    sealed.length -= TAG_BYTES;
    memcpy(tag, sealed.bytes + sealed.length, TAG_BYTES);
    good = EVP_DecryptInit_ex(opening, NULL, NULL, key, iv) &&
           EVP_DecryptUpdate(opening, NULL, &length, bytes_of(headers),
                             (int)headers.length) &&
           (sealed.length == 0 ||
            EVP_DecryptUpdate(opening, out, &length, bytes_of(sealed),
                              (int)sealed.length)) &&
           EVP_CIPHER_CTX_ctrl(opening, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag);
    assert(good);
    *content = (struct slice){(const char *)out, sealed.length};
    return EVP_DecryptFinal_ex(opening, out + sealed.length, &length) == 1;
}

/* ---- Initialization vectors --------------------------------------------- */

/* Of how many ivs the message is remembered; ivs are counted, so that these
 * are the last ones. */
#define NOTED_MAX 65536

struct noted {
    uint8_t iv[IV_BYTES];
    uint8_t mac[4]; /* the first bytes: enough to tell messages apart */
};

static struct noted noted[NOTED_MAX];
static char noted_boot[37];

/* Ivs of a server that started anew have a new key. */
static void forget_other_boots(const char boot[37])
{
    if (strcmp(noted_boot, boot) == 0)
        return;
    if (noted_boot[0])
        memset(noted, 0, sizeof(noted));
    memcpy(noted_boot, boot, sizeof(noted_boot));
}

void seal_note_iv(const char boot[37], const uint8_t iv[IV_BYTES],
                  const uint8_t mac[MAC_BYTES])
{
    static const struct noted nothing;
    struct noted now, *before = &noted[load(iv + 4, 8) % NOTED_MAX];

    forget_other_boots(boot);
    memcpy(now.iv, iv, sizeof(now.iv));
    memcpy(now.mac, mac, sizeof(now.mac));
    if (memcmp(before, &nothing, sizeof(now)) != 0 &&
        memcmp(before->iv, now.iv, sizeof(now.iv)) == 0 &&
        memcmp(before->mac, now.mac, sizeof(now.mac)) != 0)
        promise_broken("iv once", "iv ...%016llx in two messages",
                       (unsigned long long)load(iv + 4, 8));
    *before = now;
}

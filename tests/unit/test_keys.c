/*
 * The cryptography against the test vectors of its RFCs and against itself:
 * what is sealed opens again, and with any bit of it changed it does not.
 */
#include "common/wire/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/limits.h"
#include "common/base/slice.h"
#include "tests/unit/support_alloc.h"
#include "tests/unit/support_random.h"
#include "tests/unit/support_wire.h"
#include "vectors.h"

#include <sodium.h>
#include <string.h>

static const uint8_t boot[UUID_BYTES] = {1, 2, 3};

static struct keys *create(const void *key, size_t length)
{
    struct keys *keys = keys_create(key, length, boot, 0);

    assert_non_null(keys);
    return keys;
}

/* What hexadecimal digits stand for; returns how many bytes. */
static size_t from_hex(const char *hex, uint8_t *bytes, size_t most)
{
    size_t length;

    assert_int_equal(
        sodium_hex2bin(bytes, most, hex, strlen(hex), " ", &length, NULL), 0);
    return length;
}

/* -- HMAC-SHA256 -- */

/* RFC 4231, sections 4.2 to 4.8. */
static const struct {
    const char *key, *data, *mac;
} hmacs[] = {
    {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "dddddddddddddddddddddddddddddddddddddddddddddddddd"
     "dddddddddddddddddddddddddddddddddddddddddddddddddd",
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {"0102030405060708090a0b0c0d0e0f10111213141516171819",
     "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
     "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {"0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c",
     "546573742057697468205472756e636174696f6e",
     "a3b6167473100ee06e0c796c2955552b"}, /* the first half of it */
    {"131 aa",
     "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a"
     "65204b6579202d2048617368204b6579204669727374",
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {"131 aa",
     "5468697320697320612074657374207573696e672061206c6172676572207468"
     "616e20626c6f636b2d73697a65206b657920616e642061206c61726765722074"
     "68616e20626c6f636b2d73697a6520646174612e20546865206b6579206e6565"
     "647320746f20626520686173686564206265666f7265206265696e6720757365"
     "642062792074686520484d414320616c676f726974686d2e",
     "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
};

static struct keys *create_from_hex(const char *hex)
{
    uint8_t key[131];
    size_t length = sizeof(key);

    memset(key, 0xaa, sizeof(key));
    if (strcmp(hex, "131 aa") != 0)
        length = from_hex(hex, key, sizeof(key));
    return create(key, length);
}

/* In two pieces, cut at every place. */
static void test_rfc4231(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(hmacs); i++) {
        struct keys *keys = create_from_hex(hmacs[i].key);
        uint8_t data[256], expected[MAC_BYTES], mac[MAC_BYTES];
        size_t length = from_hex(hmacs[i].data, data, sizeof(data));
        size_t mac_length = from_hex(hmacs[i].mac, expected, sizeof(expected));

        for (size_t head = 0; head <= length; head++) {
            assert_true(
                keys_sign(keys, data, head, data + head, length - head, mac));
            assert_memory_equal(mac, expected, mac_length);
        }
        keys_destroy(keys);
    }
}

/* -- HKDF-SHA256 -- */

static void hmac(const void *key, size_t key_length, struct slice first,
                 struct slice second, uint8_t mac[MAC_BYTES])
{
    crypto_auth_hmacsha256_state state;

    crypto_auth_hmacsha256_init(&state, key, key_length);
    crypto_auth_hmacsha256_update(&state, (const void *)first.bytes,
                                  first.length);
    crypto_auth_hmacsha256_update(&state, (const void *)second.bytes,
                                  second.length);
    crypto_auth_hmacsha256_final(&state, mac);
}

/* RFC 5869, section 2: extract, then expand, of which one block is enough. */
static void hkdf(struct slice key, struct slice salt, struct slice info,
                 uint8_t derived[MAC_BYTES])
{
    uint8_t extracted[MAC_BYTES];

    hmac(salt.bytes, salt.length, key, SLICE(""), extracted);
    hmac(extracted, sizeof(extracted), info, SLICE("\x01"), derived);
}

static struct slice bytes_slice(const uint8_t *bytes, size_t length)
{
    return (struct slice){(const char *)bytes, length};
}

/* RFC 5869, appendices A.1 and A.3: what is compared with below is right. */
static void test_rfc5869(void **state)
{
    static const char *const derived[] = {
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d",
    };
    uint8_t key[22], salt[13], info[10], expected[32], made[32];

    (void)state;
    memset(key, 0x0b, sizeof(key));
    from_hex("000102030405060708090a0b0c", salt, sizeof(salt));
    from_hex("f0f1f2f3f4f5f6f7f8f9", info, sizeof(info));
    from_hex(derived[0], expected, sizeof(expected));
    hkdf(bytes_slice(key, sizeof(key)), bytes_slice(salt, sizeof(salt)),
         bytes_slice(info, sizeof(info)), made);
    assert_memory_equal(made, expected, sizeof(made));
    from_hex(derived[1], expected, sizeof(expected));
    hkdf(bytes_slice(key, sizeof(key)), SLICE(""), SLICE(""), made);
    assert_memory_equal(made, expected, sizeof(made));
}

static void test_derived_keys(void **state)
{
    static uint8_t key[KEY_BYTES_MAX];
    static const size_t lengths[] = {32, 33, 63, 64, 65, 131, KEY_BYTES_MAX};
    struct rng rng = {1};

    (void)state;
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)rng_next(&rng);
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        struct keys *keys = create(key, lengths[i]);
        uint8_t derived[SEAL_KEY_BYTES], expected[SEAL_KEY_BYTES];

        for (uint8_t salt = 0; salt < 4; salt++) {
            uint8_t uuid[UUID_BYTES] = {salt};

            hkdf(bytes_slice(key, lengths[i]), bytes_slice(uuid, sizeof(uuid)),
                 SLICE("ringchat enc 1"), expected);
            assert_true(keys_derive(keys, uuid, derived));
            assert_memory_equal(derived, expected, sizeof(derived));
        }
        keys_destroy(keys);
    }
}

/* As another implementation derives them. */
static void test_derived_keys_of_the_vectors(void **state)
{
    struct keys *keys = create(vector_key, sizeof(vector_key));
    uint8_t derived[SEAL_KEY_BYTES];

    (void)state;
    assert_true(keys_derive(keys, vector_session, derived));
    assert_memory_equal(derived, vector_client_key, sizeof(derived));
    assert_true(keys_derive(keys, vector_boot, derived));
    assert_memory_equal(derived, vector_server_key, sizeof(derived));
    keys_destroy(keys);
}

/* -- AES-256-GCM -- */

/* Something sealed, and what opens it. */
struct sealed {
    struct keys *keys;
    uint8_t key[SEAL_KEY_BYTES];
    struct sealing sealing;
    unsigned char headers[20], bytes[1000], tag[SEAL_TAG_BYTES];
};

static void seal(struct sealed *sealed, size_t length)
{
    sealed->keys = create(vector_key, sizeof(vector_key));
    assert_true(keys_derive(sealed->keys, boot, sealed->key));
    memset(sealed->headers, 'h', sizeof(sealed->headers));
    memset(sealed->bytes, 'b', sizeof(sealed->bytes));
    sealed->sealing = (struct sealing){
        .headers = sealed->headers,
        .headers_length = sizeof(sealed->headers),
        .bytes = sealed->bytes,
        .length = length,
    };
    keys_next_iv(sealed->keys, sealed->sealing.iv);
    assert_true(keys_seal(sealed->keys, &sealed->sealing, sealed->tag));
}

static enum opening open_sealed(struct sealed *sealed)
{
    return keys_open(sealed->keys, sealed->key, &sealed->sealing, sealed->tag);
}

/* Case 16 of McGrew and Viega, "The Galois/Counter Mode of Operation", and of
 * NIST's, appendix B. */
static void test_known_seal(void **state)
{
    struct sealed sealed = {.keys = create(vector_key, sizeof(vector_key))};
    uint8_t text[60];

    (void)state;
    from_hex("feffe9928665731c6d6a8f9467308308"
             "feffe9928665731c6d6a8f9467308308",
             sealed.key, sizeof(sealed.key));
    from_hex("cafebabefacedbaddecaf888", sealed.sealing.iv, IV_BYTES);
    from_hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
             "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
             text, sizeof(text));
    sealed.sealing.headers = sealed.headers;
    sealed.sealing.headers_length =
        from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2", sealed.headers,
                 sizeof(sealed.headers));
    sealed.sealing.bytes = sealed.bytes;
    sealed.sealing.length = from_hex(
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
        sealed.bytes, sizeof(sealed.bytes));
    from_hex("76fc6ece0f4e1768cddf8853bb2d551b", sealed.tag,
             sizeof(sealed.tag));
    assert_int_equal(open_sealed(&sealed), OPENING_DONE);
    assert_memory_equal(sealed.bytes, text, sizeof(text));
    keys_destroy(sealed.keys);
}

/* As a client does, when it learns of its session. */
static void test_another_salt(void **state)
{
    struct sealed sealed;

    (void)state;
    seal(&sealed, 40);
    assert_int_equal(open_sealed(&sealed), OPENING_DONE);
    assert_true(keys_seal_with(sealed.keys, vector_session));
    keys_next_iv(sealed.keys, sealed.sealing.iv);
    assert_true(keys_seal(sealed.keys, &sealed.sealing, sealed.tag));
    memcpy(sealed.key, vector_client_key, sizeof(sealed.key));
    assert_int_equal(open_sealed(&sealed), OPENING_DONE);
    for (size_t i = 0; i < 40; i++)
        assert_int_equal(sealed.bytes[i], 'b');
    keys_destroy(sealed.keys);
}

static void test_round_trips(void **state)
{
    static const size_t lengths[] = {0,  1,  15,  16,  17,  31,
                                     32, 33, 255, 256, 257, 1000};
    struct sealed sealed;
    unsigned char plain[1000];

    (void)state;
    memset(plain, 'b', sizeof(plain));
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        seal(&sealed, lengths[i]);
        if (lengths[i] > 15)
            assert_memory_not_equal(sealed.bytes, plain, lengths[i]);
        /* Not a byte further. */
        assert_memory_equal(sealed.bytes + lengths[i], plain,
                            sizeof(plain) - lengths[i]);
        assert_int_equal(open_sealed(&sealed), OPENING_DONE);
        assert_memory_equal(sealed.bytes, plain, sizeof(plain));
        keys_destroy(sealed.keys);
    }
}

/* Opens it with each bit of `bytes` changed. */
static void check_every_bit(const struct sealed *sealed, size_t at,
                            size_t length)
{
    for (size_t bit = 0; bit < 8 * length; bit++) {
        struct sealed changed = *sealed;

        changed.sealing.headers = changed.headers;
        changed.sealing.bytes = changed.bytes;
        ((unsigned char *)&changed)[at + bit / 8] ^=
            (unsigned char)(1 << bit % 8);
        assert_int_equal(open_sealed(&changed), OPENING_FORGED);
    }
}

static void test_every_bit_matters(void **state)
{
    struct sealed sealed;

    (void)state;
    for (size_t length = 0; length <= 40; length += 20) {
        seal(&sealed, length);
        check_every_bit(&sealed, offsetof(struct sealed, bytes), length);
        check_every_bit(&sealed, offsetof(struct sealed, headers),
                        sizeof(sealed.headers));
        check_every_bit(&sealed, offsetof(struct sealed, tag), SEAL_TAG_BYTES);
        check_every_bit(&sealed, offsetof(struct sealed, key), SEAL_KEY_BYTES);
        check_every_bit(&sealed, offsetof(struct sealed, sealing.iv), IV_BYTES);
        /* None of which has spoilt the keys. */
        assert_int_equal(open_sealed(&sealed), OPENING_DONE);
        keys_destroy(sealed.keys);
    }
}

static void test_other_lengths_are_forged(void **state)
{
    struct sealed sealed, changed;

    (void)state;
    seal(&sealed, 40);
    for (size_t length = 0; length <= 60; length++) {
        changed = sealed;
        changed.sealing.bytes = changed.bytes;
        changed.sealing.length = length;
        assert_int_equal(open_sealed(&changed),
                         length == 40 ? OPENING_DONE : OPENING_FORGED);
    }
    changed = sealed;
    changed.sealing.headers_length--;
    assert_int_equal(open_sealed(&changed), OPENING_FORGED);
    keys_destroy(sealed.keys);
}

/* Who seals has a key of its own. */
static void test_each_boot_has_its_key(void **state)
{
    static const uint8_t other_boot[UUID_BYTES] = {1, 2, 4};
    struct sealed sealed;

    (void)state;
    seal(&sealed, 10);
    assert_true(keys_derive(sealed.keys, other_boot, sealed.key));
    assert_int_equal(open_sealed(&sealed), OPENING_FORGED);
    keys_destroy(sealed.keys);
}

static void test_ivs_are_counted(void **state)
{
    struct keys *keys = create(vector_key, sizeof(vector_key));
    uint8_t iv[IV_BYTES], expected[IV_BYTES] = {0};

    (void)state;
    for (unsigned i = 1; i <= 70000; i++) {
        expected[IV_BYTES - 3] = (uint8_t)(i >> 16);
        expected[IV_BYTES - 2] = (uint8_t)(i >> 8);
        expected[IV_BYTES - 1] = (uint8_t)i;
        keys_next_iv(keys, iv);
        assert_memory_equal(iv, expected, IV_BYTES);
    }
    keys_destroy(keys);
}

/* Those of two that seal with the same key are never the same. */
static void test_ivs_of_a_number(void **state)
{
    static const uint8_t first[IV_BYTES] = {1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 1};
    const uint8_t salt[UUID_BYTES] = {0};
    struct keys *keys =
        keys_create(vector_key, sizeof(vector_key), salt, 0x01020304);
    uint8_t iv[IV_BYTES];

    (void)state;
    assert_non_null(keys);
    keys_next_iv(keys, iv);
    assert_memory_equal(iv, first, IV_BYTES);
    keys_destroy(keys);
}

/* -- memory -- */

/* OpenSSL goes on without some of what it asks for: that keys are there says
 * that they can be used. */
static void test_create_without_memory(void **state)
{
    unsigned n = 0;
    bool reached;

    (void)state;
    keys_destroy(NULL);
    do {
        unsigned long before = alloc_count();
        struct keys *keys;
        uint8_t mac[MAC_BYTES];

        alloc_fail_at(++n);
        keys = keys_create(vector_key, sizeof(vector_key), boot, 0);
        reached = alloc_count() - before >= n;
        alloc_fail_at(0);
        assert_true(keys || reached);
        if (keys)
            assert_true(keys_sign(keys, "a", 1, "b", 1, mac));
        keys_destroy(keys);
    } while (reached);
    assert_in_range(n, 10, 1000);
}

enum use { USE_SIGN, USE_DERIVE, USE_SEAL, USE_OPEN, USES };

/* Does it; whether that was done. */
static bool use_keys(enum use use, struct sealed *sealed)
{
    uint8_t mac[MAC_BYTES];
    enum opening opening;

    sealed->sealing.bytes = sealed->bytes;
    switch (use) {
    case USE_SIGN:
        return keys_sign(sealed->keys, "a", 1, "b", 1, mac);
    case USE_DERIVE:
        return keys_derive(sealed->keys, boot, sealed->key);
    case USE_SEAL:
        return keys_seal(sealed->keys, &sealed->sealing, sealed->tag);
    case USE_OPEN:
        opening = open_sealed(sealed);
        assert_int_not_equal(opening, OPENING_FORGED);
        return opening == OPENING_DONE;
    case USES:
        break;
    }
    return false;
}

/* What there was no memory for can be done when there is some again. */
static void test_use_without_memory(void **state)
{
    struct sealed sealed;
    bool reached;

    (void)state;
    seal(&sealed, 10);
    for (enum use use = USE_SIGN; use < USES; use++) {
        unsigned n = 0;

        do {
            unsigned long before = alloc_count();
            struct sealed copy = sealed;
            bool done;

            alloc_fail_at(++n);
            done = use_keys(use, &copy);
            reached = alloc_count() - before >= n;
            alloc_fail_at(0);
            assert_true(done || reached);
            copy = sealed;
            assert_true(use_keys(use, &copy));
            copy = sealed;
            assert_true(use_keys(USE_OPEN, &copy));
        } while (reached);
    }
    keys_destroy(sealed.keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc4231),
        cmocka_unit_test(test_rfc5869),
        cmocka_unit_test(test_derived_keys),
        cmocka_unit_test(test_ivs_of_a_number),
        cmocka_unit_test(test_derived_keys_of_the_vectors),
        cmocka_unit_test(test_known_seal),
        cmocka_unit_test(test_another_salt),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_every_bit_matters),
        cmocka_unit_test(test_other_lengths_are_forged),
        cmocka_unit_test(test_each_boot_has_its_key),
        cmocka_unit_test(test_ivs_are_counted),
        cmocka_unit_test(test_create_without_memory),
        cmocka_unit_test(test_use_without_memory),
    };

    crypto_memory_can_fail();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

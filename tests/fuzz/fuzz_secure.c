/*
 * What anybody can send to a `secure` listener, and what those can who have its
 * key: the input as it is, and then signed and sealed, since no fuzzer guesses
 * an HMAC. So JSON, meaning and seals are reached with whatever it makes up.
 */
#include "tests/fuzz/support_sign.h"
#include "tests/fuzz/support_stream.h"
#include "tests/fuzz/support_wire.h"

#include "common/wire/secure.h"
#include "vectors.h"

#include <stdlib.h>
#include <string.h>

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max,
                               unsigned seed);

/* The client's: what it seals is sealed with a key derived with its session. */
static struct keys *client_keys(void)
{
    static struct keys *keys;

    if (!keys)
        keys = keys_create(vector_key, sizeof(vector_key), vector_session, 0);
    if (!keys)
        abort();
    return keys;
}

/* ---- What libFuzzer calls ----------------------------------------------- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char *copy;

    stream_check(DIALECT_SECURE, data, size);
    if (size < SECURE_HEAD_BYTES)
        return 0;
    copy = malloc(size);
    if (!copy)
        abort();
    memcpy(copy, data, size);
    stream_sign(client_keys(), copy, size);
    stream_check(DIALECT_SECURE, copy, size);
    free(copy);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max,
                               unsigned seed)
{
    return stream_mutate(data, size, size_max, seed);
}

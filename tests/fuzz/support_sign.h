/*
 * What those can send who have the key: no fuzzer guesses an HMAC.
 */
#ifndef RINGCHAT_FUZZ_SUPPORT_SIGN_H
#define RINGCHAT_FUZZ_SUPPORT_SIGN_H

#include "common/wire/keys.h"

#include <stddef.h>
#include <stdint.h>

/* Puts right what keeps the secure messages of a stream from being read: magic,
 * version, lengths, seals (with these keys), CRCs, HMACs. */
void stream_sign(struct keys *, uint8_t *stream, size_t size);

/* A mutation for LLVMFuzzerCustomMutator. Most of them keep the form of a
 * message, which bytes that come and go anywhere would break. */
size_t stream_mutate(uint8_t *data, size_t size, size_t size_max,
                     unsigned seed);

/* libFuzzer's own. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);

#endif

/*
 * What must hold of every stream of bytes that a peer can send, whatever is in
 * it. Asserted, so that libFuzzer keeps the stream for which it does not hold:
 *
 * 1. How the stream is cut into pieces does not matter: the same requests and
 *    errors come out of it.
 * 2. PARTIAL has taken all bytes; what is not PARTIAL ends where the message
 *    ends, by its head. The bytes stay as they were.
 * 3. Who reads as wire_need says never reads past the end of a message.
 * 4. A request is within the limits, of a kind that is due, and its text, if
 *    people see it, is clean.
 * 5. Memory is bounded, counted, and given back. Without enough of it the
 *    stream ends in INTERNAL, and what came before is the same.
 */
#ifndef RINGCHAT_FUZZ_SUPPORT_STREAM_H
#define RINGCHAT_FUZZ_SUPPORT_STREAM_H

#include "common/wire/wire.h"

void stream_check(enum dialect, const uint8_t *bytes, size_t length);

#endif

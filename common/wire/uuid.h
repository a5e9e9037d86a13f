/*
 * UUIDs (RFC 9562): 16 bytes on the wire of `frame`, their text in the headers
 * of `secure`.
 */
#ifndef RINGCHAT_WIRE_UUID_H
#define RINGCHAT_WIRE_UUID_H

#include "common/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define UUID_BYTES 16
#define UUID_TEXT_BYTES 36

/* Makes 16 random bytes a UUID of version 4 (section 5.4). */
void uuid_from_random(uint8_t uuid[UUID_BYTES]);

/* Writes its text, in lower case and without a terminating NUL. */
void uuid_text(const uint8_t uuid[UUID_BYTES], char text[UUID_TEXT_BYTES]);

/* Reads its text, in any case of letters; false if it is none. */
bool uuid_from_text(struct slice text, uint8_t uuid[UUID_BYTES]);

/* Whether `text` is that UUID, in any case of letters. */
bool uuid_is(const uint8_t uuid[UUID_BYTES], struct slice text);

#endif

/*
 * The JSON headers of a `secure` message (docs/protocol.md), and what may be in
 * them. No I/O.
 */
#ifndef RINGCHAT_LOAD_HEADERS_H
#define RINGCHAT_LOAD_HEADERS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UUID_BYTES 16
#define UUID_CHARS 36

/* One object, to be released with json_decref; or why there is none, when there
 * may still be something to be released. */
const char *headers_parse(const unsigned char *bytes, size_t length,
                          json_t **headers);

/* An integer from 0 to 2^53 - 1; false if there is none of that name. */
bool header_number(const json_t *headers, const char *name, uint64_t *number);
bool header_is_number(const json_t *headers, const char *name);

/* These are NULL if there is none: a text of `min` to `max` bytes, and a UUID,
 * whose bytes are written too. */
const char *header_text(const json_t *headers, const char *name, size_t min,
                        size_t max);
const char *header_uuid(const json_t *headers, const char *name,
                        unsigned char uuid[UUID_BYTES]);

#endif

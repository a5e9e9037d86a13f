/*
 * The JSON headers of a secure message (RFC 8259): one object, no name twice,
 * at most JSON_DEPTH_MAX levels, nothing after it. Parsing takes no memory but
 * what headers_create took, and cannot run out of it.
 */
#ifndef RINGCHAT_WIRE_HEADERS_H
#define RINGCHAT_WIRE_HEADERS_H

#include "common/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest number that JSON and JavaScript agree on (RFC 7493, 2.2). */
#define HEADER_NUMBER_MAX ((UINT64_C(1) << 53) - 1)

/* What was parsed last, and the memory that it is in. One thread at a time. */
struct headers;

/* NULL without memory. */
struct headers *headers_create(void);

/* Takes NULL. */
void headers_destroy(struct headers *);

/* Parses at most HEADERS_BYTES_MAX bytes, which are copied; false: malformed.
 * What was parsed before is gone. */
bool headers_parse(struct headers *, struct slice json);

/* What a field is. */
enum field { FIELD_ABSENT, FIELD_THERE, FIELD_WRONG /* not of that type */ };

/* The value is valid until the next parse. */
enum field headers_string(const struct headers *, const char *name,
                          struct slice *value);

/* An integer from 0 to HEADER_NUMBER_MAX, without fraction or exponent. */
enum field headers_number(const struct headers *, const char *name,
                          uint64_t *value);

/* True or false. */
enum field headers_boolean(const struct headers *, const char *name,
                           bool *value);

#endif

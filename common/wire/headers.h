/*
 * The JSON headers of a secure message from a peer (RFC 8259): one object, no
 * key twice, at most HEADERS_DEPTH_MAX levels, nothing after it. Parsing takes
 * no memory but what headers_create took, and cannot run out of it.
 */
#ifndef RINGCHAT_WIRE_HEADERS_H
#define RINGCHAT_WIRE_HEADERS_H

#include "common/base/limits.h"
#include "common/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEADERS_DEPTH_MAX 4

/* What a parse may take; headers.c says why it is enough. */
#define HEADERS_MEMORY_BYTES (128 * HEADERS_BYTES_MAX)

/* The largest number that JSON and JavaScript agree on (RFC 7493, 2.2). */
#define HEADER_NUMBER_MAX ((UINT64_C(1) << 53) - 1)

/* What was parsed last, and the memory that it is in. One thread at a time. */
struct headers;

/* Gives jansson, for all of the process, its memory (ours) and the key of its
 * hash tables; once, before the first parse. Not 0: then jansson would go and
 * read a random device. */
void headers_seed(uint64_t seed);

/* NULL without memory. */
struct headers *headers_create(void);

/* Takes NULL. */
void headers_destroy(struct headers *);

/* Parses at most HEADERS_BYTES_MAX bytes, which are copied; false: malformed.
 * What was parsed before is gone. */
bool headers_parse(struct headers *, struct slice json);

/* The same, but all of it by jansson, whatever the form. For what is not plain,
 * and for tests: both ways must come to the same. */
bool headers_parse_by_jansson(struct headers *, struct slice json);

/* The memory that jansson took for the last parse, in bytes. */
size_t headers_bytes(const struct headers *);

/* What a field is. */
enum field { FIELD_ABSENT, FIELD_THERE, FIELD_WRONG /* not of that type */ };

/* The value is valid until the next parse. */
enum field headers_string(const struct headers *, const char *name,
                          struct slice *value);

/* An integer from 0 to HEADER_NUMBER_MAX, without fraction or exponent. */
enum field headers_number(const struct headers *, const char *name,
                          uint64_t *value);

#endif

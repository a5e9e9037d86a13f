/*
 * The JSON headers of a secure message from a peer (RFC 8259): one object, no
 * key twice, at most HEADERS_DEPTH_MAX levels, nothing after it.
 */
#ifndef RINGCHAT_WIRE_HEADERS_H
#define RINGCHAT_WIRE_HEADERS_H

#include "common/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define HEADERS_DEPTH_MAX 4

/* The largest number that JSON and JavaScript agree on (RFC 7493, 2.2). */
#define HEADER_NUMBER_MAX ((UINT64_C(1) << 53) - 1)

struct headers;

enum headers_outcome { HEADERS_PARSED, HEADERS_MALFORMED, HEADERS_NO_MEMORY };

/* jansson's hash tables are keyed with it; once, before the first parse. Not
 * 0: then jansson would go and read a random device. */
void headers_seed(uint64_t seed);

/* Parses at most HEADERS_BYTES_MAX bytes; `*headers` is then to be freed. */
enum headers_outcome headers_parse(struct slice json, struct headers **headers);

/* Takes NULL. */
void headers_free(struct headers *);

/* What a field is. */
enum field { FIELD_ABSENT, FIELD_THERE, FIELD_WRONG /* not of that type */ };

/* The value lives as long as the headers. */
enum field headers_string(const struct headers *, const char *name,
                          struct slice *value);

/* An integer from 0 to HEADER_NUMBER_MAX, without fraction or exponent. */
enum field headers_number(const struct headers *, const char *name,
                          uint64_t *value);

#endif

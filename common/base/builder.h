/*
 * Builds a short text in a buffer of fixed size: what stdio would do, were the
 * core to use it. What does not fit is cut off.
 */
#ifndef RINGCHAT_BASE_BUILDER_H
#define RINGCHAT_BASE_BUILDER_H

#include "common/base/slice.h"

#include <stdint.h>

/* The longest decimal of a uint64_t. */
#define DECIMAL_BYTES_MAX 20

struct builder {
    size_t length;
    char bytes[512];
};

void build_slice(struct builder *, struct slice);
void build_string(struct builder *, const char *);
void build_number(struct builder *, uint64_t);
/* Hundredths as a decimal: 150 is "1.50", 0 is "0". */
void build_hundredths(struct builder *, uint64_t);
/* Microseconds since the Unix epoch as RFC 3339 in UTC,
 * "2026-11-21T05:25:41.123456Z". */
void build_time(struct builder *, uint64_t wall_us);

struct slice builder_slice(const struct builder *);

/* Writes `number` in decimal to the end of `digits`; returns where. */
struct slice decimal(uint64_t number, char digits[DECIMAL_BYTES_MAX]);

#endif

/*
 * What the tests of segments, outboxes and lanes share: a store with a budget
 * of its own, and bytes whose place in a log can be told from what they are.
 */
#ifndef RINGCHAT_UNIT_SUPPORT_SEGMENTS_H
#define RINGCHAT_UNIT_SUPPORT_SEGMENTS_H

#include "common/buffer/segment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory {
    struct budget budget;
    struct segment_store store;
};

void memory_open(struct memory *, uint64_t window_bytes);

/* Asserts that nothing is left but what the store keeps for the next time, and
 * then that this goes too. */
void memory_close(struct memory *);

uint64_t memory_used(struct memory *);

/* The `length` bytes of the test's log from `position` on. */
void pattern_write(unsigned char *out, uint64_t position, size_t length);
bool pattern_matches(const unsigned char *bytes, uint64_t position,
                     size_t length);

/* Asserts that the span's next bytes, as vectors of one or two, are those of
 * the log from `position` on; returns how many. */
size_t assert_span(const struct span *, uint64_t position);

#endif

/*
 * The store and the log of support_segments.h. The log is one block of random
 * bytes, again and again.
 */
#include "tests/unit/support_segments.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "common/base/limits.h"
#include "tests/unit/support_random.h"

#include <string.h>

/* Prime: no distance that the code knows is a multiple of it. */
#define PATTERN_BYTES 65521

void memory_open(struct memory *memory, uint64_t window_bytes)
{
    budget_init(&memory->budget, UINT64_MAX);
    segment_store_init(&memory->store, &memory->budget, window_bytes);
}

uint64_t memory_used(struct memory *memory)
{
    return atomic_load(&memory->budget.used_bytes);
}

void memory_close(struct memory *memory)
{
    assert_int_equal(memory->store.detached_bytes, 0);
    assert_int_equal(memory->store.small.objects, 0);
    assert_int_equal(memory->store.medium.objects, 0);
    segment_store_release(&memory->store);
    assert_int_equal(memory_used(memory), 0);
}

static const unsigned char *pattern(void)
{
    static unsigned char bytes[PATTERN_BYTES];
    static bool filled;
    struct rng rng = {1};

    for (size_t i = 0; !filled && i < PATTERN_BYTES; i++)
        bytes[i] = (unsigned char)rng_next(&rng);
    filled = true;
    return bytes;
}

/* How much of `length` bytes from `position` on is in one piece. */
static size_t pattern_piece(uint64_t position, size_t length)
{
    size_t left = PATTERN_BYTES - (size_t)(position % PATTERN_BYTES);

    return length < left ? length : left;
}

void pattern_write(unsigned char *out, uint64_t position, size_t length)
{
    for (size_t piece; length > 0; length -= piece) {
        piece = pattern_piece(position, length);
        memcpy(out, pattern() + position % PATTERN_BYTES, piece);
        out += piece;
        position += piece;
    }
}

bool pattern_matches(const unsigned char *bytes, uint64_t position,
                     size_t length)
{
    for (size_t piece; length > 0; length -= piece) {
        piece = pattern_piece(position, length);
        if (memcmp(bytes, pattern() + position % PATTERN_BYTES, piece) != 0)
            return false;
        bytes += piece;
        position += piece;
    }
    return true;
}

size_t assert_span(const struct span *span, uint64_t position)
{
    struct iovec vectors[3], first;
    int count = span_vectors(span, vectors, 3);
    size_t length = 0;

    assert_true(count == 1 || count == 2);
    assert_int_equal(span_vectors(span, &first, 1), 1);
    assert_memory_equal(&first, &vectors[0], sizeof(first));
    assert_int_equal(span_vectors(span, &first, 0), 0);
    for (int i = 0; i < count; i++) {
        assert_true(vectors[i].iov_len > 0);
        assert_true(pattern_matches(vectors[i].iov_base, position + length,
                                    vectors[i].iov_len));
        length += vectors[i].iov_len;
    }
    assert_int_equal(length,
                     span->left < SPAN_BYTES_MAX ? span->left : SPAN_BYTES_MAX);
    return length;
}

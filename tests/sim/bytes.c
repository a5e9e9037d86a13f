/*
 * Streams in blocks of 2^n bytes by mmap(2). A block that is given back waits
 * in the list of its size, which begins in the block itself.
 */
#include "tests/sim/bytes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BLOCK_BITS_MIN 12
#define BLOCK_BITS_MAX 40

struct block {
    struct block *next;
};

static struct block *unused[BLOCK_BITS_MAX];

static unsigned bits_of(size_t capacity)
{
    unsigned bits = BLOCK_BITS_MIN;

    while ((size_t)1 << bits < capacity)
        bits++;
    assert(bits < BLOCK_BITS_MAX);
    return bits;
}

static void *map(size_t size)
{
    void *data = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      /* cppcheck-suppress invalidFunctionArg; see mmap(2) */
                      MAP_PRIVATE | MAP_ANONYMOUS, -1,
                      0); /* cppcheck-suppress invalidFunctionArg */

    if (data == MAP_FAILED)
        abort();
    return data;
}

static void *block_take(unsigned bits)
{
    struct block *block = unused[bits];

    if (!block)
        return map((size_t)1 << bits);
    unused[bits] = block->next;
    return block;
}

static void block_give(void *data, size_t capacity)
{
    struct block *block = data;
    unsigned bits = bits_of(capacity);

    block->next = unused[bits];
    unused[bits] = block;
}

static void grow(struct bytes *bytes, size_t needed)
{
    unsigned bits = bits_of(needed);
    unsigned char *data = block_take(bits);

    if (bytes->data) {
        memcpy(data, bytes->data, (size_t)(bytes->length - bytes->base));
        block_give(bytes->data, bytes->capacity);
    }
    bytes->data = data;
    bytes->capacity = (size_t)1 << bits;
}

void bytes_append(struct bytes *bytes, const void *from, size_t length)
{
    size_t used = (size_t)(bytes->length - bytes->base);

    if (length == 0)
        return;
    if (length > bytes->capacity - used)
        grow(bytes, used + length);
    memcpy(bytes->data + used, from, length);
    bytes->length += length;
}

const unsigned char *bytes_at(const struct bytes *bytes, uint64_t offset)
{
    assert(bytes->base <= offset && offset <= bytes->length);
    return bytes->data + (offset - bytes->base);
}

/* Moves what is left only when that is no more than what goes, so that each
 * byte is moved once. */
void bytes_forget(struct bytes *bytes, uint64_t offset)
{
    uint64_t gone = offset - bytes->base;
    uint64_t left = bytes->length - offset;

    assert(bytes->base <= offset && offset <= bytes->length);
    if (gone == 0 || gone < left)
        return;
    memcpy(bytes->data, bytes->data + gone, (size_t)left);
    bytes->base = offset;
}

void bytes_release(struct bytes *bytes)
{
    if (bytes->data)
        block_give(bytes->data, bytes->capacity);
    *bytes = (struct bytes){.base = 0};
}

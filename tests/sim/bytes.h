/*
 * Bytes that grow: the streams of a simulated network. Their memory is not
 * malloc's, which histories make fail, and is kept for the next history.
 */
#ifndef RINGCHAT_SIM_BYTES_H
#define RINGCHAT_SIM_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* A stream: `length` bytes have ever been appended, of which those before
 * `base` are forgotten. */
struct bytes {
    unsigned char *data;
    uint64_t base, length;
    size_t capacity;
};

void bytes_append(struct bytes *, const void *, size_t length);
/* The bytes from `offset` (not before base) on, valid until the next call that
 * changes the stream. */
const unsigned char *bytes_at(const struct bytes *, uint64_t offset);
/* Nobody asks for what is before `offset` any more. */
void bytes_forget(struct bytes *, uint64_t offset);
void bytes_release(struct bytes *);

#endif

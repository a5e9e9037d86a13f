/*
 * Bytes to be sent: a buffer that grows.
 */
#ifndef RINGCHAT_LOAD_OUT_H
#define RINGCHAT_LOAD_OUT_H

#include <stddef.h>

struct out {
    unsigned char *bytes; /* from `begin` to `end` not sent yet */
    size_t begin, end, allocated;
};

/* Room for `length` more bytes at the end, which out_added then adds; a program
 * that measures ends when there is no memory (exit status 71). */
unsigned char *out_reserve(struct out *, size_t length);
void out_added(struct out *, size_t length);

void out_append(struct out *, const void *bytes, size_t length);
/* Formatted as printf(3) does, without the terminating zero. */
__attribute__((format(printf, 2, 3))) void out_format(struct out *,
                                                      const char *format, ...);

static inline size_t out_length(const struct out *out)
{
    return out->end - out->begin;
}

/* `length` of them have been sent. */
void out_sent(struct out *, size_t length);
void out_release(struct out *);

#endif

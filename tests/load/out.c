/*
 * What is to be sent stands in one buffer: taken from the front, added at the
 * end. It is moved to the front only when it would have to grow, and only if
 * that makes room for as much again, so that each byte is moved at most once
 * on average.
 */
#include "tests/load/out.h"

#include "tests/load/memory.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUT_BYTES_MIN 256

unsigned char *out_reserve(struct out *out, size_t length)
{
    size_t waiting = out_length(out);

    if (out->bytes && out->allocated - out->end >= length)
        return out->bytes + out->end;
    if (out->bytes && out->begin > 0 && out->begin >= waiting) {
        memmove(out->bytes, out->bytes + out->begin, waiting);
        out->begin = 0;
        out->end = waiting;
    }
    if (!out->bytes || out->allocated - out->end < length)
        out->bytes =
            grow(out->bytes, &out->allocated, out->end + length, OUT_BYTES_MIN);
    return out->bytes + out->end;
}

void out_added(struct out *out, size_t length)
{
    assert(out->allocated - out->end >= length);
    out->end += length;
}

void out_append(struct out *out, const void *bytes, size_t length)
{
    if (length == 0)
        return;
    memcpy(out_reserve(out, length), bytes, length);
    out_added(out, length);
}

void out_format(struct out *out, const char *format, ...)
{
    va_list arguments;
    int length;

    assert(format); /* gcc with sanitizers takes it for NULL otherwise */

    va_start(arguments, format);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    assert(length >= 0);

    va_start(arguments, format);
    vsnprintf((char *)out_reserve(out, (size_t)length + 1), (size_t)length + 1,
              format, arguments);
    va_end(arguments);
    out_added(out, (size_t)length);
}

void out_sent(struct out *out, size_t length)
{
    assert(length <= out_length(out));
    out->begin += length;
    if (out->begin == out->end)
        out->begin = out->end = 0;
}

void out_release(struct out *out)
{
    free(out->bytes);
    *out = (struct out){0};
}

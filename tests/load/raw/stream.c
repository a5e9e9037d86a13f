/*
 * What is blasted: see stream.h.
 */
#include "tests/load/raw/stream.h"

#include "tests/load/raw/fail.h"

#include <stdlib.h>
#include <string.h>

#define RING_PLACES_MIN 16
#define NUMBER_OFFSET 7 /* of 8 digits: see message.h */

static void line_write(const struct stream *stream, size_t place,
                       uint32_t number)
{
    char *line = stream->lines + place * stream->size;

    message_write(&stream->matter, 0, number, line);
    line[stream->size - 1] = '\n';
}

/* Two digits at a time. */
static char pairs[256][2];

static void number_write(char *line, uint32_t number)
{
    char *to = line + NUMBER_OFFSET;

    memcpy(to, pairs[number >> 24], 2);
    memcpy(to + 2, pairs[number >> 16 & 0xff], 2);
    memcpy(to + 4, pairs[number >> 8 & 0xff], 2);
    memcpy(to + 6, pairs[number & 0xff], 2);
}

static void pairs_prepare(void)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < 256; i++) {
        pairs[i][0] = digits[i / 16];
        pairs[i][1] = digits[i % 16];
    }
}

void stream_prepare(struct stream *stream, size_t size, uint64_t seed,
                    size_t send_bytes)
{
    pairs_prepare();
    matter_init(&stream->matter, size - 1, seed);
    stream->size = size;
    stream->places = RING_BYTES / size;
    if (stream->places > MATTER_PERIOD)
        stream->places -= stream->places % MATTER_PERIOD;
    if (stream->places < RING_PLACES_MIN)
        stream->places = RING_PLACES_MIN;
    stream->send_bytes = send_bytes;
    stream->lines = reallocated(NULL, stream->places * size);
    for (size_t i = 0; i < stream->places; i++)
        line_write(stream, i, (uint32_t)i);
    stream->end = stream->places;
}

/* Lines behind those that are there, before the ring's own end; they take the
 * places of the first. */
static void stream_write(struct stream *stream, size_t count)
{
    size_t place = stream->end % stream->places;
    uint32_t number = (uint32_t)stream->end;

    stream->end += count;
    if (stream->end - stream->begin > stream->places)
        stream->begin = stream->end - stream->places;
    for (; count > 0; count--, place++, number++) {
        if (stream->places % MATTER_PERIOD == 0)
            number_write(stream->lines + place * stream->size, number);
        else
            line_write(stream, place, number);
    }
}

size_t stream_reach(struct stream *stream, uint64_t first, uint64_t count)
{
    size_t together = stream->places - first % stream->places;

    if (together > stream->send_bytes / stream->size + 2)
        together = stream->send_bytes / stream->size + 2;
    if (together > count)
        together = (size_t)count;
    if (first < stream->begin || first > stream->end)
        stream->begin = stream->end = first;
    if (stream->end < first + together)
        stream_write(stream, (size_t)(first + together - stream->end));
    return together;
}

void stream_release(struct stream *stream)
{
    free(stream->lines);
}

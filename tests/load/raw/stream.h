/*
 * What is blasted: lines that are messages (tests/load/message.h) of speaker 0,
 * numbered from 0 on without end. No I/O.
 */
#ifndef RINGCHAT_LOAD_RAW_STREAM_H
#define RINGCHAT_LOAD_RAW_STREAM_H

#include "tests/load/message.h"

#include <stddef.h>
#include <stdint.h>

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

/* Over loopback (MTU 65536) this goes in one segment. A send of 64 KiB does
 * not: it goes in two, and the second, of a few bytes, costs as much. */
#define SEGMENT_BYTES (63 * KIB)
/* See struct stream: as fits into a processor's cache, but so many lines that
 * clients who are sent different ones do not take turns in having one made. */
#define RING_BYTES (1 * MIB)

/*
 * The last lines that were written, in a ring from which each
 * client is sent what it has not had. Messages that are MATTER_PERIOD apart
 * differ in their numbers only, so if the ring holds a multiple of that, a line
 * that takes the place of another is that line with another number. Who is not
 * where the ring is, new or far behind, makes it begin anew.
 */
struct stream {
    struct matter matter;
    size_t size;         /* of a line */
    size_t places;       /* for lines in the ring */
    uint64_t begin, end; /* the lines that are in it */
    size_t send_bytes;   /* at once */
    char *lines;
};

/* Lines of `size` bytes, of which `send_bytes` are sent at once. */
void stream_prepare(struct stream *, size_t size, uint64_t seed,
                    size_t send_bytes);
void stream_release(struct stream *);

/* Sees to it that lines from `first` on are there, as many as are sent at once
 * and stand in one piece, but no more than `count`: returns how many. */
size_t stream_reach(struct stream *, uint64_t first, uint64_t count);

#endif

/*
 * The fields of a frame's body, read by a reader that remembers whether it was
 * too short, so that one look at the end tells whether the body was what its
 * type says; and written.
 */
#ifndef RINGCHAT_WIRE_READER_H
#define RINGCHAT_WIRE_READER_H

#include "common/base/bytes.h"
#include "common/base/slice.h"
#include "common/wire/error.h"

#include <assert.h>
#include <string.h>

enum heartbeat_kind { HEARTBEAT_PING, HEARTBEAT_PONG };

#define HEARTBEAT_BYTES (1 + 8)

struct reader {
    const unsigned char *at, *end;
    bool failed; /* something was not there */
};

/* The next `length` bytes; where they are not there, zeros, at most 16. */
static inline const unsigned char *read_bytes(struct reader *reader,
                                              size_t length)
{
    static const unsigned char zeros[16];
    const unsigned char *bytes = reader->at;

    if ((size_t)(reader->end - reader->at) < length) {
        reader->failed = true;
        return zeros;
    }
    reader->at += length;
    return bytes;
}

static inline uint8_t read_u8(struct reader *reader)
{
    return *read_bytes(reader, 1);
}

static inline uint16_t read_u16(struct reader *reader)
{
    return load_u16(read_bytes(reader, 2));
}

static inline uint32_t read_u32(struct reader *reader)
{
    return load_u32(read_bytes(reader, 4));
}

static inline uint64_t read_u64(struct reader *reader)
{
    return load_u64(read_bytes(reader, 8));
}

static inline struct slice read_str8(struct reader *reader)
{
    size_t length = read_u8(reader);
    const unsigned char *bytes = read_bytes(reader, length);

    return (struct slice){(const char *)bytes, reader->failed ? 0 : length};
}

static inline struct slice read_rest(struct reader *reader)
{
    size_t length = (size_t)(reader->end - reader->at);

    return (struct slice){(const char *)read_bytes(reader, length), length};
}

/* Nothing was missing and nothing is left. */
static inline enum error_code read_end(const struct reader *reader)
{
    return reader->failed || reader->at < reader->end ? ERROR_BAD_FRAME
                                                      : ERROR_NONE;
}

static inline unsigned char *put_str8(unsigned char *out, struct slice string)
{
    assert(string.length <= UINT8_MAX);
    out = store_u8(out, (unsigned)string.length);
    return string.length ? mempcpy(out, string.bytes, string.length) : out;
}

#endif

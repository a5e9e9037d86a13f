/*
 * Integers in network byte order, at any address.
 */
#ifndef RINGCHAT_BASE_BYTES_H
#define RINGCHAT_BASE_BYTES_H

#include <stdint.h>

static inline uint16_t load_u16(const unsigned char *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline uint32_t load_u32(const unsigned char *bytes)
{
    return (uint32_t)load_u16(bytes) << 16 | load_u16(bytes + 2);
}

static inline uint64_t load_u64(const unsigned char *bytes)
{
    return (uint64_t)load_u32(bytes) << 32 | load_u32(bytes + 4);
}

/* Each returns where the next byte goes. */
static inline unsigned char *store_u8(unsigned char *out, unsigned number)
{
    *out = (unsigned char)number;
    return out + 1;
}

static inline unsigned char *store_u16(unsigned char *out, unsigned number)
{
    return store_u8(store_u8(out, number >> 8), number);
}

static inline unsigned char *store_u32(unsigned char *out, uint32_t number)
{
    return store_u16(store_u16(out, number >> 16), number);
}

static inline unsigned char *store_u64(unsigned char *out, uint64_t number)
{
    return store_u32(store_u32(out, (uint32_t)(number >> 32)),
                     (uint32_t)number);
}

#endif

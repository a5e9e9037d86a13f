/*
 * What `frame` and `secure` have in common: big-endian integers, the types of
 * their messages, and the way in. No I/O.
 *
 *   step 0  nothing              SESSION_INIT
 *   step 1  SESSION_ACK          WELCOME: then we are in the lobby
 *   step 2  COMMAND join ROOM    REPLY "joined ROOM (N members)"
 *   step 3  COMMAND leave lobby  REPLY "left lobby"
 */
#ifndef RINGCHAT_LOAD_BINARY_H
#define RINGCHAT_LOAD_BINARY_H

#include "tests/load/parts.h"

enum binary_step { STEP_INIT, STEP_ACK, STEP_JOIN, STEP_LEAVE };

enum message_type {
    TYPE_SESSION_INIT = 1,
    TYPE_SESSION_ACK,
    TYPE_HEARTBEAT,
    TYPE_MESSAGE,
    TYPE_ERROR,
    TYPE_DISCONNECT,
    TYPE_COMMAND,
    TYPE_REPLY,
    TYPE_NOTICE,
    TYPE_ACK,
    TYPE_WELCOME,
    TYPE_FILE_OFFER = 16,
    TYPE_FILE_ACCEPT,
    TYPE_FILE_DATA,
    TYPE_FILE_END,
    TYPES
};

/* What WELCOME means, and what a REPLY to the command of this step. */
void item_welcome(struct item *, const struct speaker *);
void item_reply(struct item *, const struct speaker *,
                const unsigned char *text, size_t length);

/* The command of this step, at most BINARY_COMMAND_BYTES_MAX with its
 * terminating zero. */
#define BINARY_COMMAND_BYTES_MAX 64
size_t binary_command(const struct speaker *, char *command);

/* -- big-endian integers -- */

static inline uint16_t get_u16(const unsigned char *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline uint32_t get_u32(const unsigned char *bytes)
{
    return (uint32_t)get_u16(bytes) << 16 | get_u16(bytes + 2);
}

static inline uint64_t get_u64(const unsigned char *bytes)
{
    return (uint64_t)get_u32(bytes) << 32 | get_u32(bytes + 4);
}

static inline unsigned char *put_u16(unsigned char *to, uint16_t value)
{
    return put_u8(put_u8(to, (uint8_t)(value >> 8)), (uint8_t)value);
}

static inline unsigned char *put_u32(unsigned char *to, uint32_t value)
{
    return put_u16(put_u16(to, (uint16_t)(value >> 16)), (uint16_t)value);
}

static inline unsigned char *put_u64(unsigned char *to, uint64_t value)
{
    return put_u32(put_u32(to, (uint32_t)(value >> 32)), (uint32_t)value);
}

#endif

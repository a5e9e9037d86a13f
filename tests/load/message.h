/*
 * What is said: which client says it, which of its messages it is, and matter
 * that is different each time, so that a message which is lost, comes twice, in
 * another order or changed is known for what it is.
 *
 *     00001a 0000003f:kQ7c+e...
 *     ^      ^        ^
 *     |      |        from the seed, or a line of a file
 *     |      the number of the message, from 0
 *     the speaker
 *
 * No message ends with a space, unless a line of the file does: there are
 * servers that drop it.
 *
 * No I/O.
 */
#ifndef RINGCHAT_LOAD_MESSAGE_H
#define RINGCHAT_LOAD_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_NAME_BYTES 16 /* before the matter: the least size */
#define SPEAKERS_MAX (1U << 24)

/* Messages of one speaker whose numbers are as far apart, or a multiple of it,
 * have the same matter. */
#define MATTER_PERIOD 1024
#define MATTER_BYTES (64 * 1024)

struct line {
    const char *bytes;
    size_t length;
};

/* Where the matter comes from. */
struct matter {
    size_t size;              /* of each message, its name included; or */
    const struct line *lines; /* in turn, NULL without; the caller's */
    size_t lines_count;       /* 1 at least */
    char bytes[MATTER_BYTES]; /* printable ASCII without spaces */
};

/* All messages are of `size` bytes; the same seed gives the same matter. */
void matter_init(struct matter *, size_t size, uint64_t seed);

/* How long the message is. */
size_t message_size(const struct matter *, uint32_t number);

/* Writes message_size bytes. */
void message_write(const struct matter *, uint32_t speaker, uint32_t number,
                   char *text);

struct message_name {
    uint32_t speaker, number;
};

/* Whether it begins as a message does, and whether the rest is as it should
 * be. */
bool message_name(const void *text, size_t length, struct message_name *);
bool message_is_right(const struct matter *, struct message_name,
                      const void *text, size_t length);

#endif

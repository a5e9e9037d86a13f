/*
 * Bytes that somebody else owns: where they begin and how many they are.
 */
#ifndef RINGCHAT_BASE_SLICE_H
#define RINGCHAT_BASE_SLICE_H

#include <stddef.h>
#include <string.h>

struct slice {
    const char *bytes;
    size_t length;
};

#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})

static inline struct slice slice_of(const char *string)
{
    return (struct slice){string, strlen(string)};
}

#endif

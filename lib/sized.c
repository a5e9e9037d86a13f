/*
 * Copying as much as both sides know.
 */
#include "lib/sized.h"

#include <string.h>

static size_t size_of(const void *theirs)
{
    size_t size;

    memcpy(&size, theirs, sizeof(size));
    return size;
}

bool sized_take(void *ours, size_t ours_bytes, const void *theirs)
{
    const unsigned char *bytes = theirs;
    size_t size;

    if (!theirs || size_of(theirs) < sizeof(size))
        return false;
    size = size_of(theirs);
    for (size_t i = ours_bytes; i < size; i++) {
        if (bytes[i] != 0)
            return false;
    }
    memset(ours, 0, ours_bytes);
    memcpy(ours, theirs, size < ours_bytes ? size : ours_bytes);
    return true;
}

void sized_give(void *theirs, const void *ours, size_t ours_bytes)
{
    size_t size = size_of(theirs);
    size_t known = size < ours_bytes ? size : ours_bytes;

    if (size < sizeof(size))
        return;
    memset(theirs, 0, size);
    memcpy(theirs, ours, known);
    memcpy(theirs, &size, sizeof(size));
}

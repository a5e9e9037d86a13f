/*
 * The key of the `secure` listeners, from the file that --key-file names. The
 * file's bytes are the key as they are: nothing is decoded, and a line feed at
 * the end belongs to it. What the key is used for, others know; who has loaded
 * one wipes it when it is not needed any more.
 */
#ifndef RINGCHAT_BASE_KEY_H
#define RINGCHAT_BASE_KEY_H

#include "common/base/limits.h"

#include <stddef.h>
#include <stdint.h>

struct key {
    uint8_t bytes[KEY_BYTES_MAX];
    size_t length; /* 0: there is none */
};

/*
 * Reads a regular file of KEY_BYTES_MIN to KEY_BYTES_MAX bytes, of mode 0600 or
 * stricter. Returns 0, or the sysexits(3) status that operation.md gives the
 * failure, with `*why` set to a literal or the error's text; the key is wiped
 * then. It does not wait, whatever stands at the path.
 */
int key_load(struct key *, const char *path, const char **why);

/* Leaves nothing of the key, and a length of 0. */
void key_wipe(struct key *);

#endif

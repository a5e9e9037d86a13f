/*
 * What comes from the network, made fit to be seen. The only way from there to
 * a terminal, a pipe or a title: a server is a stranger too, and may send what
 * no server of ours passes on.
 *
 * The result is clean UTF-8 of one line. U+FFFD stands for each control
 * character (U+0000-001F but tab, U+007F, U+0080-009F), each byte that is no
 * UTF-8, and U+2028 and U+2029, which end lines. A tab becomes spaces, up to
 * the next column of eight from where the text begins. What is well-formed but
 * not drawn (joiners, marks of direction) stays: cell_next leaves it out where
 * a terminal is certain, and where it is not, TAME_PLAIN does so here. Pure.
 */
#ifndef RINGCHAT_CLIENT_TAME_H
#define RINGCHAT_CLIENT_TAME_H

#include "common/base/slice.h"

/* Of one message; what is longer is kept so far, and the rest counted. */
#define TAMED_BYTES_MAX 16384

enum tame_for {
    TAME_CELLS, /* drawn cell by cell, by the screen */
    TAME_PLAIN, /* written as bytes, to who knows what: also without what is
                   Default_Ignorable but ZWJ, ZWNJ, VS15 and VS16 */
};

struct tamed {
    size_t length;
    size_t left_out; /* bytes of the original, cut at a cluster's end */
};

/* Writes at most `size` bytes. The original may be anything. */
struct tamed tame(enum tame_for, struct slice original, char *out, size_t size);

#endif

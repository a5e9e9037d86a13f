/*
 * How far the sending of lines is, in words: for a line on a terminal that is
 * written over again and again, and for the last word. Pure.
 */
#ifndef RINGCHAT_CLIENT_PROGRESS_H
#define RINGCHAT_CLIENT_PROGRESS_H

#include "common/base/builder.h"

#include <stdint.h>

struct progress {
    struct slice name; /* of a file, to be tamed; empty: standard input */
    uint64_t confirmed, skipped;     /* lines */
    uint64_t bytes_read, bytes_size; /* of the file; size 0: not known */
    uint64_t elapsed_ms;
};

/* "messages.txt  4,711 confirmed  47 %  9,800/s", in at most `columns`
 * columns. */
void progress_say(const struct progress *, unsigned columns, struct builder *);

/* "10,000 lines confirmed in 1.2 s, 3 empty ones skipped" */
void progress_sum_up(const struct progress *, struct builder *);

/* "10,000" */
void build_thousands(struct builder *, uint64_t);

#endif

/*
 * One row of the screen: spans of text, each of one look, from left to right.
 */
#ifndef RINGCHAT_CLIENT_ROW_H
#define RINGCHAT_CLIENT_ROW_H

#include "client/colour.h"
#include "common/base/builder.h"
#include "common/base/slice.h"

/* A bar with CONVERSATIONS_MAX conversations has the most. */
#define SPANS_MAX 160
#define ROW_BYTES_MAX 4096

struct span {
    struct look look;
    struct slice text; /* clean; drawn cell by cell */
};

/* Not to be copied: spans may refer to `bytes`. What has no place any more is
 * left out. */
struct row {
    unsigned columns; /* of all spans */
    size_t count;
    struct span spans[SPANS_MAX];
    size_t length;
    char bytes[ROW_BYTES_MAX];
};

void row_clear(struct row *);

/* `text` has to live as long as the row. */
void row_add(struct row *, struct look, struct slice text);

/* The text is copied. */
void row_copy(struct row *, struct look, struct slice text);

/* Spaces up to the column, from where the row ends. */
void row_fill(struct row *, struct look, unsigned column);

#endif

/*
 * A text as the slices that make it up, so that its size and its bytes cannot
 * disagree.
 */
#ifndef RINGCHAT_WIRE_PIECES_H
#define RINGCHAT_WIRE_PIECES_H

#include "common/base/builder.h"

#include <stddef.h>
#include <stdint.h>

struct event;

/* Not to be copied: a piece may be the digits beside it. */
struct pieces {
    size_t count;
    struct slice piece[12];
    char digits[DECIMAL_BYTES_MAX];
};

void pieces_add(struct pieces *, struct slice);
/* In decimal; once in each text. */
void pieces_add_number(struct pieces *, uint64_t);

size_t pieces_size(const struct pieces *);
/* Returns where they end. */
unsigned char *pieces_write(const struct pieces *, unsigned char *out);

/* "sent CONTENT_TYPE (N bytes)": what somebody is told of content that cannot
 * be shown. */
void pieces_add_description(struct pieces *, const struct event *);

/* "NAME" or "NAME detail" */
void pieces_add_error(struct pieces *, const struct event *);

/* "topic ROOM: TEXT" */
void pieces_add_topic(struct pieces *, const struct event *);

/* The text or content of the event's message in a binary dialect. */
void pieces_of_content(struct pieces *, const struct event *);

#endif

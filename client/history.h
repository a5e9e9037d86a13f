/*
 * Lines that were sent, and the one that was being typed when the way back into
 * them began: the newest is always that draft, and comes back as it was. Only
 * in memory, for private messages are in it.
 */
#ifndef RINGCHAT_CLIENT_HISTORY_H
#define RINGCHAT_CLIENT_HISTORY_H

#include "common/base/slice.h"

#include <stdbool.h>

#define HISTORY_LINES_MAX 500
#define HISTORY_BYTES_MAX 65536 /* the oldest go first */

struct history;

struct history *history_create(void); /* NULL without memory */
void history_destroy(struct history *);

/* Not kept: an empty line, one as the last, and one for which there is no
 * memory. The way back begins anew. */
void history_add(struct history *, struct slice line);

/*
 * The line before, or after, of those that begin as `now` does up to `cursor`,
 * where the way back begins: into `line`, valid until the next call. False at
 * either end. `now` is what the input holds, at most EDIT_BYTES_MAX; only where
 * the way begins it becomes the draft.
 */
bool history_older(struct history *, struct slice now, size_t cursor,
                   struct slice *line);
bool history_newer(struct history *, struct slice *line);

/* What is in the input is the user's own again: the way back begins there. */
void history_settle(struct history *);

#endif

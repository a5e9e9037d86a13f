/*
 * A ring of lines, each a piece of memory of its own.
 */
#include "client/history.h"

#include "client/edit.h"

#include <assert.h>
#include <stdlib.h>

struct kept {
    char *bytes;
    size_t length;
};

struct history {
    size_t first, count, bytes; /* of `lines`, which is a ring */
    size_t back;                /* how far: 0 is the draft */
    size_t draft_length, prefix_length;
    char draft[EDIT_BYTES_MAX];
    struct kept lines[HISTORY_LINES_MAX];
};

struct history *history_create(void)
{
    return calloc(1, sizeof(struct history));
}

/* `back` from 1, which is the newest. */
static struct slice line_at(const struct history *history, size_t back)
{
    size_t at = history->first + history->count - back;
    const struct kept *kept = &history->lines[at % HISTORY_LINES_MAX];

    assert(back > 0 && back <= history->count);
    return (struct slice){kept->bytes, kept->length};
}

static void drop_oldest(struct history *history)
{
    struct kept *oldest = &history->lines[history->first];

    history->bytes -= oldest->length;
    free(oldest->bytes);
    history->first = (history->first + 1) % HISTORY_LINES_MAX;
    history->count--;
}

void history_destroy(struct history *history)
{
    if (!history)
        return;
    while (history->count > 0)
        drop_oldest(history);
    free(history);
}

void history_add(struct history *history, struct slice line)
{
    struct kept *kept;
    char *bytes;

    history->back = 0;
    if (line.length == 0 || line.length > HISTORY_BYTES_MAX ||
        (history->count > 0 && slice_equals(line_at(history, 1), line)))
        return;
    bytes = malloc(line.length);
    if (!bytes)
        return;
    memcpy(bytes, line.bytes, line.length);
    while (history->count == HISTORY_LINES_MAX ||
           history->bytes + line.length > HISTORY_BYTES_MAX)
        drop_oldest(history);
    kept =
        &history
             ->lines[(history->first + history->count++) % HISTORY_LINES_MAX];
    *kept = (struct kept){bytes, line.length};
    history->bytes += line.length;
}

static bool is_wanted(const struct history *history, struct slice line)
{
    return line.length >= history->prefix_length &&
           memcmp(line.bytes, history->draft, history->prefix_length) == 0;
}

bool history_older(struct history *history, struct slice now, size_t cursor,
                   struct slice *line)
{
    assert(cursor <= now.length && now.length <= sizeof(history->draft));
    if (history->back == 0) {
        history->draft_length = now.length;
        history->prefix_length = cursor;
        if (now.length > 0)
            memcpy(history->draft, now.bytes, now.length);
    }
    for (size_t back = history->back + 1; back <= history->count; back++) {
        *line = line_at(history, back);
        if (is_wanted(history, *line)) {
            history->back = back;
            return true;
        }
    }
    return false;
}

bool history_newer(struct history *history, struct slice *line)
{
    if (history->back == 0)
        return false;
    while (--history->back > 0) {
        *line = line_at(history, history->back);
        if (is_wanted(history, *line))
            return true;
    }
    *line = (struct slice){history->draft, history->draft_length};
    return true;
}

void history_settle(struct history *history)
{
    history->back = 0;
}

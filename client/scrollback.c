/*
 * A ring of lines, each a piece of memory of its own: header, nick, text.
 */
#include "client/scrollback.h"

#include <assert.h>
#include <stdlib.h>

struct kept {
    struct line line; /* its slices are of `bytes` */
    char bytes[];
};

struct scrollback {
    uint64_t first, end; /* numbers; `lines` by their remainder */
    size_t bytes;
    struct kept *lines[SCROLLBACK_LINES_MAX];
};

struct scrollback *scrollback_create(void)
{
    return calloc(1, sizeof(struct scrollback));
}

static struct kept **place_of(struct scrollback *scrollback, uint64_t number)
{
    return &scrollback->lines[number % SCROLLBACK_LINES_MAX];
}

static size_t size_of(const struct line *line)
{
    return sizeof(struct kept) + line->nick.length + line->text.length;
}

static struct kept *kept_create(const struct line *line)
{
    struct kept *kept = malloc(size_of(line));
    char *text;

    if (!kept)
        return NULL;
    text = kept->bytes + line->nick.length;
    kept->line = *line;
    kept->line.nick.bytes = kept->bytes;
    kept->line.text.bytes = text;
    if (line->nick.length > 0)
        memcpy(kept->bytes, line->nick.bytes, line->nick.length);
    if (line->text.length > 0)
        memcpy(text, line->text.bytes, line->text.length);
    return kept;
}

static void drop_oldest(struct scrollback *scrollback)
{
    struct kept *oldest = *place_of(scrollback, scrollback->first);

    scrollback->bytes -= size_of(&oldest->line);
    scrollback->first++;
    free(oldest);
}

void scrollback_clear(struct scrollback *scrollback)
{
    while (scrollback->first < scrollback->end)
        drop_oldest(scrollback);
}

void scrollback_destroy(struct scrollback *scrollback)
{
    if (scrollback)
        scrollback_clear(scrollback);
    free(scrollback);
}

/* The newest is never dropped for its own sake. */
static void make_room(struct scrollback *scrollback, size_t bytes)
{
    while (scrollback->first < scrollback->end &&
           (scrollback->end - scrollback->first == SCROLLBACK_LINES_MAX ||
            scrollback->bytes + bytes > SCROLLBACK_BYTES_MAX))
        drop_oldest(scrollback);
}

bool scrollback_add(struct scrollback *scrollback, const struct line *line)
{
    struct kept *kept = kept_create(line);

    if (!kept)
        return false;
    make_room(scrollback, size_of(line));
    *place_of(scrollback, scrollback->end) = kept;
    scrollback->bytes += size_of(line);
    scrollback->end++;
    return true;
}

bool scrollback_amend(struct scrollback *scrollback, struct slice text)
{
    struct kept **newest, *kept;
    struct line line;

    assert(scrollback->first < scrollback->end);
    newest = place_of(scrollback, scrollback->end - 1);
    line = (*newest)->line;
    line.text = text;
    kept = kept_create(&line);
    if (!kept)
        return false;
    scrollback->bytes += size_of(&line) - size_of(&(*newest)->line);
    free(*newest);
    *newest = kept;
    return true;
}

uint64_t scrollback_first(const struct scrollback *scrollback)
{
    return scrollback->first;
}

uint64_t scrollback_end(const struct scrollback *scrollback)
{
    return scrollback->end;
}

struct line scrollback_get(const struct scrollback *scrollback, uint64_t number)
{
    assert(number >= scrollback->first && number < scrollback->end);
    return scrollback->lines[number % SCROLLBACK_LINES_MAX]->line;
}

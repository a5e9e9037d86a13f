/*
 * Lines, and nothing else: what the least of all servers (tests/load/raw)
 * passes on. A line is a message; who has connected is in the room. No I/O.
 */
#include "tests/load/dialect.h"
#include "tests/load/parts.h"

static void raw_read(struct speaker *speaker, const unsigned char *bytes,
                     size_t length, struct item *item)
{
    (void)speaker;
    item_set(item, ITEM_MESSAGE, bytes, length - 1);
}

static void raw_say(struct speaker *speaker, const void *text, size_t length,
                    struct out *out)
{
    unsigned char *to = out_reserve(out, length + 1);

    (void)speaker;
    put_u8(put_bytes(to, text, length), '\n');
    out_added(out, length + 1);
}

const struct dialect dialect_raw = {
    .scheme = "raw",
    .hears_itself = true,
    .orders_all = true,
    .extent = line_extent,
    .read = raw_read,
    .say = raw_say,
};

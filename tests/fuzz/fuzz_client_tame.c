/*
 * What a server can send to the client's screen: it is tamed, and falls into
 * clusters and cells whose asserts hold.
 */
#include "client/cluster.h"
#include "client/tame.h"

#include "common/base/utf8.h"
#include "tests/fuzz/support_wire.h"

#include <locale.h>
#include <stdlib.h>

static void check(bool good)
{
    if (!good)
        abort();
}

/* One line of UTF-8, without anything that a terminal obeys. */
static void check_clean(struct slice text)
{
    while (text.length > 0) {
        const unsigned char *bytes = (const unsigned char *)text.bytes;
        size_t length = utf8_length(bytes, text.length);

        check(length > 0 && !utf8_is_control(bytes, length));
        text.bytes += length;
        text.length -= length;
    }
}

/* No cell goes on beyond its cluster, and all are taken. */
static void check_cells(struct slice text)
{
    while (text.length > 0) {
        struct slice cluster = {text.bytes, cluster_length(text)};

        check(cluster.length > 0 && cluster.length <= text.length);
        text.bytes += cluster.length;
        text.length -= cluster.length;
        while (cluster.length > 0) {
            struct cell cell = cell_next(cluster);

            check(cell.taken > 0 && cell.taken <= cluster.length);
            check(cell.columns <= 2 && cell.count <= CELL_CHARS_MAX);
            cluster.bytes += cell.taken;
            cluster.length -= cell.taken;
        }
    }
}

/* wcwidth(3) goes by it. */
static void choose_locale(void)
{
    static bool chosen;

    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
    check(chosen || setlocale(LC_CTYPE, "C.UTF-8") != NULL);
    chosen = true;
}

/* The first byte says how much room there is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char out[TAMED_BYTES_MAX];
    struct slice original;
    size_t room;

    if (size == 0)
        return 0;
    original = (struct slice){(const char *)data + 1, size - 1};
    choose_locale();
    room = data[0] == 0xff ? sizeof(out) : data[0];
    for (int use = TAME_CELLS; use <= TAME_PLAIN; use++) {
        struct tamed tamed = tame((enum tame_for)use, original, out, room);
        struct slice text = {out, tamed.length};

        check(tamed.length <= room && tamed.left_out <= original.length);
        check_clean(text);
        check_cells(text);
    }
    return 0;
}

/*
 * Progress (progress.h).
 */
#include "client/progress.h"

#include "client/cluster.h"
#include "client/tame.h"

/* Of the file's name. */
#define NAME_BYTES_MAX 128

void build_thousands(struct builder *builder, uint64_t number)
{
    char digits[DECIMAL_BYTES_MAX];
    struct slice all = decimal(number, digits);

    for (size_t i = 0; i < all.length; i++) {
        if (i > 0 && (all.length - i) % 3 == 0)
            build_slice(builder, SLICE(","));
        build_slice(builder, (struct slice){all.bytes + i, 1});
    }
}

static void build_percent(struct builder *builder,
                          const struct progress *progress)
{
    uint64_t read = progress->bytes_read, size = progress->bytes_size;

    if (size == 0)
        return;
    if (read > size) /* it has grown meanwhile */
        read = size;
    build_slice(builder, SLICE("  "));
    build_number(builder, (uint64_t)((double)read / (double)size * 100));
    build_slice(builder, SLICE(" %"));
}

static void build_rate(struct builder *builder, const struct progress *progress)
{
    if (progress->elapsed_ms == 0)
        return;
    build_slice(builder, SLICE("  "));
    build_thousands(builder, progress->confirmed * 1000 / progress->elapsed_ms);
    build_slice(builder, SLICE("/s"));
}

static void build_name(struct builder *builder, struct slice name)
{
    char out[NAME_BYTES_MAX];
    struct tamed tamed = tame(TAME_PLAIN, name, out, sizeof(out));

    build_slice(builder, (struct slice){out, tamed.length});
    build_slice(builder, SLICE("  "));
}

void progress_say(const struct progress *progress, unsigned columns,
                  struct builder *builder)
{
    struct builder counts = {.length = 0}, name = {.length = 0};

    build_thousands(&counts, progress->confirmed);
    build_slice(&counts, SLICE(" confirmed"));
    build_percent(&counts, progress);
    build_rate(&counts, progress);
    if (progress->name.length > 0)
        build_name(&name, progress->name);
    /* What takes a second row is not written over. */
    if (text_columns(builder_slice(&name)) + counts.length <= columns)
        build_slice(builder, builder_slice(&name));
    if (counts.length <= columns)
        build_slice(builder, builder_slice(&counts));
}

/* "1.2 s", "65 s" */
static void build_seconds(struct builder *builder, uint64_t ms)
{
    build_number(builder, ms / 1000);
    if (ms < 10000) {
        build_slice(builder, SLICE("."));
        build_number(builder, ms / 100 % 10);
    }
    build_slice(builder, SLICE(" s"));
}

static void build_lines(struct builder *builder, uint64_t count,
                        struct slice one, struct slice more)
{
    build_thousands(builder, count);
    build_slice(builder, count == 1 ? one : more);
}

void progress_sum_up(const struct progress *progress, struct builder *builder)
{
    build_lines(builder, progress->confirmed, SLICE(" line"), SLICE(" lines"));
    build_slice(builder, SLICE(" confirmed in "));
    build_seconds(builder, progress->elapsed_ms);
    if (progress->skipped == 0)
        return;
    build_slice(builder, SLICE(", "));
    build_lines(builder, progress->skipped, SLICE(" empty one skipped"),
                SLICE(" empty ones skipped"));
}

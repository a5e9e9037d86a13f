/*
 * What a room's log costs: appending messages, and taking them as spans, with
 * few and with many readers. Some messages are appended, then every reader
 * takes what there is, as a room's sweep over its members does.
 *
 * An append costs the same however many readers there are; a span costs the
 * same however many messages are in it. That is what there is to see. (The
 * clock is read twice a batch, which shows where one is small.)
 */
#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/buffer/lane.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_BYTES 64
#define WINDOW_BYTES MIB
#define MEASURED_NS (NS_PER_SECOND / 2)

struct bench {
    struct budget budget;
    struct segment_store store;
    struct lane lane;
    struct cursor *cursors;
    size_t readers;
    size_t batch; /* messages between two sweeps */
    /* What has been done, and how long it took. */
    uint64_t appends, append_ns;
    uint64_t spans, span_bytes, span_ns;
};

static void append_batch(struct bench *bench)
{
    static const char record[RECORD_BYTES] = "[lobby] ann: hello";

    for (size_t i = 0; i < bench->batch; i++) {
        unsigned char *out =
            lane_reserve(&bench->lane, &bench->store, RECORD_BYTES);

        if (!out)
            abort();
        memcpy(out, record, RECORD_BYTES);
        lane_commit(&bench->lane, &bench->store, RECORD_BYTES, RECORD_MESSAGE,
                    WINDOW_BYTES);
    }
    bench->appends += bench->batch;
}

/* One reader takes and sends all it is due. */
static void read_all(struct bench *bench, struct cursor *cursor)
{
    uint64_t end = lane_head(&bench->lane).position;

    while (cursor->position < end) {
        struct span span = {.segment = NULL};
        struct iovec vectors[2];
        int count;

        lane_take(&bench->lane, &bench->store, cursor, end, &span);
        count = span_vectors(&span, vectors, 2);
        for (int i = 0; i < count; i++)
            bench->span_bytes += vectors[i].iov_len;
        span_advance(&span, &bench->store, span.left);
        bench->spans++;
    }
}

static void measure(struct bench *bench)
{
    uint64_t start = clock_mono_ns(), before = start, now;

    do {
        append_batch(bench);
        now = clock_mono_ns();
        bench->append_ns += now - before;
        before = now;
        for (size_t i = 0; i < bench->readers; i++)
            read_all(bench, &bench->cursors[i]);
        now = clock_mono_ns();
        bench->span_ns += now - before;
        before = now;
    } while (now - start < MEASURED_NS);
}

static void print_row(const struct bench *bench)
{
    double append_ns = (double)bench->append_ns / (double)bench->appends;
    double span_ns = (double)bench->span_ns / (double)bench->spans;
    double span_bytes = (double)bench->span_bytes / (double)bench->spans;

    printf("%7zu %5zu  %12" PRIu64 " %9.1f %8.2f  %12" PRIu64
           " %9.1f %8.2f %10.0f\n",
           bench->readers, bench->batch, bench->appends, append_ns,
           1e3 / append_ns, bench->spans, span_ns, 1e3 / span_ns, span_bytes);
    fflush(stdout);
}

static void run(size_t readers, size_t batch)
{
    struct bench bench = {.readers = readers, .batch = batch};

    budget_init(&bench.budget, UINT64_MAX);
    segment_store_init(&bench.store, &bench.budget, WINDOW_BYTES);
    lane_init(&bench.lane, 0);
    bench.cursors = calloc(readers, sizeof(*bench.cursors));
    if (!bench.cursors)
        abort();
    for (size_t i = 0; i < readers; i++)
        bench.cursors[i] = lane_join(&bench.lane);
    measure(&bench);
    print_row(&bench);
    for (size_t i = 0; i < readers; i++)
        lane_leave(&bench.lane, &bench.store, bench.cursors[i]);
    lane_release(&bench.lane, &bench.store);
    segment_store_release(&bench.store);
    free(bench.cursors);
}

int main(void)
{
    static const size_t readers[] = {1, 100, 10000};
    static const size_t batches[] = {1, 16, 256};

    printf("messages of %d bytes; M/s: millions a second\n\n", RECORD_BYTES);
    printf("readers batch       appends ns/append      M/s"
           "         spans   ns/span      M/s bytes/span\n");
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 3; j++)
            run(readers[i], batches[j]);
    }
    return 0;
}

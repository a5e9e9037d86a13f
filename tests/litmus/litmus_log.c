/*
 * A room's log, read in place by several threads: whether what they read is
 * what was written, and whether all memory comes back.
 *
 * One owner appends records, in segments of 512 bytes and with a small window,
 * so that they leave the log again and again while they are being read, and
 * reads some of it itself. Followers join, read, send short and keep the rest,
 * lag, sleep and leave, all of it at random. Each byte of a record follows from
 * its position in the log, but for the first four, which say its length and
 * whether it is a message: so each byte that is read is known to be right, and
 * messages are counted by what was read.
 *
 *     litmus_log [--seconds 2] [--workers 4] [--seed 1]
 *
 * Status 0: all was right, and enough of it happened to mean something.
 */
#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/buffer/follower.h"
#include "common/buffer/lane.h"
#include "common/buffer/turns.h"
#include "tests/litmus/support.h"
#include "tests/unit/support_random.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WINDOW_BYTES 3000
#define RECORD_BYTES 700
#define HEADER_BYTES 4
#define MESSAGE_BIT (UINT32_C(1) << 31)
#define READERS 4 /* of each worker */
#define FOLLOWERS_MAX (LITMUS_WORKERS_MAX - 1)
#define OWNER 0 /* the owner's number; the followers' are 1 and up */
#define RETURN_NS (10 * NS_PER_SECOND)

/* ---- What all threads share --------------------------------------------- */

/* A worker's request to the owner, and its answer. One hands the rest to the
 * other by the state: release/acquire. */
enum mail { MAIL_NONE, MAIL_ASKED, MAIL_ANSWERED };

struct mailbox {
    alignas(CACHE_LINE_BYTES) _Atomic enum mail mail;
    struct reach *reach; /* of who asks */
    struct shared_lane *shared;
    struct cursor place;
};

static struct turns turns;
static struct mailbox mailboxes[FOLLOWERS_MAX + 1];
/* Written by the owner: where the log ends, then that it does. */
static struct cursor log_end;
static atomic_bool is_complete;
static uint32_t followers;
static uint64_t seed;

static bool one_in(struct rng *rng, size_t n)
{
    return rng_below(rng, n) == 0;
}

static void nap(struct rng *rng, size_t ns_max)
{
    struct timespec time = {.tv_nsec = (long)rng_magnitude(rng, ns_max)};

    nanosleep(&time, NULL);
}

/* ---- Records ------------------------------------------------------------ */

static unsigned char byte_at(uint64_t position)
{
    return (unsigned char)((position * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

static void record_write(unsigned char *out, uint64_t position, uint32_t length,
                         enum record_kind kind)
{
    uint32_t header = kind == RECORD_MESSAGE ? length | MESSAGE_BIT : length;

    /* cppcheck-suppress ctunullpointer; it does not know that broken() ends */
    memcpy(out, &header, HEADER_BYTES);
    for (uint32_t i = HEADER_BYTES; i < length; i++)
        out[i] = byte_at(position + i);
}

/* ---- Readers ------------------------------------------------------------ */

struct reader {
    bool reading;
    struct cursor joined, cursor;
    struct span span;
    uint64_t position; /* of the next byte to be sent */
    /* What those before it say. */
    unsigned char header[HEADER_BYTES];
    uint32_t within; /* bytes of the present record */
    uint64_t received, missed;
};

/* What has happened. Each thread has its own. */
struct tally {
    uint64_t joins, spans, kept, bytes, received, missed, caught_up, slept;
};

static void reader_begin(struct reader *reader, struct cursor place)
{
    *reader = (struct reader){
        .reading = true,
        .joined = place,
        .cursor = place,
        .position = place.position,
    };
}

static void check_byte(struct reader *reader, unsigned char byte)
{
    uint32_t header;

    if (reader->within < HEADER_BYTES)
        reader->header[reader->within] = byte;
    else if (byte != byte_at(reader->position))
        broken("at %" PRIu64 ": another byte than was written",
               reader->position);
    reader->within++;
    reader->position++;
    if (reader->within < HEADER_BYTES)
        return;
    memcpy(&header, reader->header, HEADER_BYTES);
    if ((header & ~MESSAGE_BIT) < HEADER_BYTES ||
        (header & ~MESSAGE_BIT) > RECORD_BYTES)
        broken("at %" PRIu64 ": no header was written here", reader->position);
    if (reader->within < (header & ~MESSAGE_BIT))
        return;
    reader->received += (header & MESSAGE_BIT) != 0;
    reader->within = 0;
}

/* Sends at most `most` bytes of the span. */
static void reader_send(struct reader *reader, struct segment_store *store,
                        size_t most, struct tally *tally)
{
    struct iovec vectors[2];
    int count = span_vectors(&reader->span, vectors, 2);
    size_t sent = 0;

    for (int i = 0; i < count; i++) {
        const unsigned char *bytes = vectors[i].iov_base;

        for (size_t j = 0; j < vectors[i].iov_len && sent < most; j++, sent++)
            check_byte(reader, bytes[j]);
    }
    span_advance(&reader->span, store, sent);
    tally->bytes += sent;
}

/* All that it was sent or told that it missed, and nothing besides. */
static void reader_check(const struct reader *reader)
{
    if (reader->position != reader->cursor.position || reader->within != 0)
        broken("at %" PRIu64 ": a span was no whole records", reader->position);
    if (reader->received + reader->missed !=
        reader->cursor.seq - reader->joined.seq)
        broken("at %" PRIu64 ": received and missed are not what was sent",
               reader->position);
}

static void reader_end(struct reader *reader, struct segment_store *store,
                       struct tally *tally)
{
    if (!reader->span.segment)
        reader_check(reader);
    span_drop(&reader->span, store);
    reader->reading = false;
    tally->received += reader->received;
    tally->missed += reader->missed;
}

/* What is sent of what has been taken, in a turn. */
static size_t any_part(struct rng *rng)
{
    return one_in(rng, 2) ? SIZE_MAX : rng_magnitude(rng, WINDOW_BYTES);
}

/* ---- Followers ---------------------------------------------------------- */

struct worker {
    pthread_t thread;
    uint32_t number;
    struct rng rng;
    struct follower follower;
    struct reader readers[READERS];
    struct reader *joining; /* has asked; NULL: none */
    struct tally tally;
};

static void ask_to_join(struct worker *worker, struct reader *reader)
{
    follower_await(&worker->follower);
    worker->joining = reader;
    mailboxes[worker->number].reach = &worker->follower.reach;
    atomic_store_explicit(&mailboxes[worker->number].mail, MAIL_ASKED,
                          memory_order_release);
}

static void read_answer(struct worker *worker)
{
    struct mailbox *box = &mailboxes[worker->number];

    if (atomic_load_explicit(&box->mail, memory_order_acquire) != MAIL_ANSWERED)
        return;
    atomic_store_explicit(&box->mail, MAIL_NONE, memory_order_relaxed);
    reader_begin(worker->joining, box->place);
    worker->joining = NULL;
    worker->tally.joins++;
    follower_join(&worker->follower, box->shared, box->place);
}

static void follow_skip(struct worker *worker, struct reader *reader)
{
    struct cursor oldest = follower_oldest(&worker->follower);

    if (reader->cursor.position >= oldest.position)
        return;
    reader->missed += oldest.seq - reader->cursor.seq;
    reader->position = oldest.position;
    follower_skip(&worker->follower, &reader->cursor, oldest);
}

static void follow_take(struct worker *worker, struct reader *reader)
{
    struct follower *follower = &worker->follower;

    follow_skip(worker, reader);
    if (reader->cursor.position == follower->view.head.position)
        return;
    worker->tally.spans++;
    if (follower_take(follower, &reader->cursor, follower->view.head.position,
                      &reader->span))
        worker->tally.caught_up++;
}

static void follow_leave(struct worker *worker, struct reader *reader)
{
    reader_end(reader, NULL, &worker->tally);
    follower_leave(&worker->follower, reader->cursor);
}

/* A reader's part of a turn. The time between taking and sending is when others
 * may take it away. */
static void follow(struct worker *worker, struct reader *reader)
{
    struct rng *rng = &worker->rng;

    if (one_in(rng, 4)) /* lags */
        return;
    if (one_in(rng, 50)) {
        follow_leave(worker, reader);
        return;
    }
    if (!reader->span.segment)
        follow_take(worker, reader);
    if (one_in(rng, 16))
        nap(rng, 30000);
    if (reader->span.segment)
        reader_send(reader, NULL, any_part(rng), &worker->tally);
}

static void keep_spans(struct worker *worker)
{
    for (size_t i = 0; i < READERS; i++) {
        struct span *span = &worker->readers[i].span;

        worker->tally.kept += span->segment && span->hold == SPAN_BORROWED;
        span_keep(span);
    }
}

static void follow_turn(struct worker *worker)
{
    follower_refresh(&worker->follower);
    read_answer(worker);
    for (size_t i = 0; i < READERS; i++) {
        struct reader *reader = &worker->readers[i];

        if (reader->reading)
            follow(worker, reader);
        else if (!worker->joining && one_in(&worker->rng, 10))
            ask_to_join(worker, reader);
    }
    keep_spans(worker);
}

/* No more will be appended: all of it is read. */
static void follow_to_the_end(struct worker *worker)
{
    while (worker->joining)
        read_answer(worker);
    follower_refresh(&worker->follower);
    for (size_t i = 0; i < READERS; i++) {
        struct reader *reader = &worker->readers[i];

        if (!reader->reading)
            continue;
        do {
            while (reader->span.segment)
                reader_send(reader, NULL, SIZE_MAX, &worker->tally);
            follow_take(worker, reader);
        } while (reader->span.segment);
        if (reader->cursor.position != log_end.position ||
            reader->cursor.seq != log_end.seq)
            broken("at %" PRIu64 ": this is not the end of the log",
                   reader->position);
        follow_leave(worker, reader);
    }
}

/* A turn begins as the worker wakes, or with the end of the one before. */
static void next_turn(struct worker *worker)
{
    if (!one_in(&worker->rng, 20)) {
        turns_announce(&turns, worker->number);
        return;
    }
    turns_offline(&turns, worker->number);
    nap(&worker->rng, 200000);
    turns_online(&turns, worker->number);
    worker->tally.slept++;
}

static void *worker_run(void *argument)
{
    struct worker *worker = argument;

    turns_online(&turns, worker->number);
    while (!atomic_load_explicit(&is_complete, memory_order_acquire)) {
        follow_turn(worker);
        next_turn(worker);
    }
    follow_to_the_end(worker);
    turns_offline(&turns, worker->number);
    return NULL;
}

/* ---- The owner ---------------------------------------------------------- */

struct owner {
    struct rng rng;
    struct budget budget;
    struct segment_store store;
    struct lane lane;
    struct reader readers[READERS];
    struct tally tally;
    bool is_quiet; /* appends nothing for a while: followers catch up */
    uint64_t appended, tails_dropped;
};

static void owner_open(struct owner *owner)
{
    owner->rng.state = seed;
    budget_init(&owner->budget, UINT64_MAX);
    segment_store_init(&owner->store, &owner->budget, WINDOW_BYTES);
    lane_init(&owner->lane, 0);
    if (!lane_share(&owner->lane, &owner->store, WINDOW_BYTES))
        broken("no memory");
}

static void append(struct owner *owner)
{
    struct lane *lane = &owner->lane;
    uint64_t position = lane_head(lane).position;
    uint32_t length =
        HEADER_BYTES +
        (uint32_t)rng_magnitude(&owner->rng, RECORD_BYTES - HEADER_BYTES);
    enum record_kind kind =
        one_in(&owner->rng, 4) ? RECORD_NOTICE : RECORD_MESSAGE;
    unsigned char *out;

    lane->grade = SEGMENT_SMALL; /* however much is kept */
    out = lane_reserve(lane, &owner->store, length);
    if (!out)
        broken("at %" PRIu64 ": no memory", position);
    record_write(out, position, length, kind);
    lane_commit(lane, &owner->store, length, kind, WINDOW_BYTES);
    owner->appended++;
}

/* What leaves the lane otherwise than by the window. */
static void disturb(struct owner *owner)
{
    if (one_in(&owner->rng, 50))
        lane_shrink(&owner->lane, &owner->store);
    if (one_in(&owner->rng, 20)) {
        if (!lane_reserve(&owner->lane, &owner->store, RECORD_BYTES))
            broken("no memory");
        lane_cancel(&owner->lane, &owner->store);
    }
}

static void answer(struct owner *owner, uint32_t number)
{
    struct mailbox *box = &mailboxes[number];

    if (atomic_load_explicit(&box->mail, memory_order_acquire) != MAIL_ASKED)
        return;
    if (!owner->is_quiet && one_in(&owner->rng, 2))
        append(owner); /* the notice */
    box->shared = owner->lane.shared;
    box->place = lane_admit(&owner->lane, box->reach);
    atomic_store_explicit(&box->mail, MAIL_ANSWERED, memory_order_release);
}

static void answer_all(struct owner *owner)
{
    for (uint32_t i = 1; i <= followers; i++)
        answer(owner, i);
}

static void own_take(struct owner *owner, struct reader *reader)
{
    struct lane *lane = &owner->lane;
    struct cursor oldest = lane_oldest(lane, WINDOW_BYTES);

    if (reader->cursor.position < oldest.position) {
        reader->missed += oldest.seq - reader->cursor.seq;
        reader->position = oldest.position;
        lane_skip(lane, &owner->store, &reader->cursor, oldest);
    }
    if (reader->cursor.position == lane_head(lane).position)
        return;
    owner->tally.spans++;
    lane_take(lane, &owner->store, &reader->cursor, lane_head(lane).position,
              &reader->span);
}

static void own_leave(struct owner *owner, struct reader *reader)
{
    reader_end(reader, &owner->store, &owner->tally);
    lane_leave(&owner->lane, &owner->store, reader->cursor);
}

static void own_read(struct owner *owner, struct reader *reader)
{
    if (!reader->reading) {
        if (one_in(&owner->rng, 20))
            reader_begin(reader, lane_join(&owner->lane));
        return;
    }
    if (one_in(&owner->rng, 30)) {
        own_leave(owner, reader);
        return;
    }
    if (!reader->span.segment)
        own_take(owner, reader);
    if (reader->span.segment)
        reader_send(reader, &owner->store, any_part(&owner->rng),
                    &owner->tally);
}

static void settle(struct owner *owner)
{
    bool kept = owner->lane.view.oldest != NULL;

    lane_settle(&owner->lane, &owner->store);
    owner->tails_dropped += kept && !owner->lane.view.oldest;
    segment_store_reclaim(&owner->store, &turns);
}

static void owner_turn(struct owner *owner)
{
    size_t records = rng_magnitude(&owner->rng, 20);

    turns_announce(&turns, OWNER);
    if (one_in(&owner->rng, 20))
        owner->is_quiet = !owner->is_quiet;
    answer_all(owner);
    for (size_t i = 0; i < records && !owner->is_quiet; i++)
        append(owner);
    disturb(owner);
    for (size_t i = 0; i < READERS; i++)
        own_read(owner, &owner->readers[i]);
    settle(owner);
    if (!one_in(&owner->rng, 4))
        return;
    turns_offline(&turns, OWNER);
    nap(&owner->rng, 1000000);
    turns_online(&turns, OWNER);
}

/* All that was retired is free once nobody reads any more. */
static void wait_for_memory(struct owner *owner)
{
    uint64_t until_ns = clock_mono_ns() + RETURN_NS;

    while (segment_store_reclaim(&owner->store, &turns)) {
        if (clock_mono_ns() > until_ns)
            broken("at %" PRIu64 ": memory is never returned",
                   owner->lane.view.head.position);
        turns_announce(&turns, OWNER);
    }
}

static void owner_close(struct owner *owner)
{
    for (size_t i = 0; i < READERS; i++) {
        if (owner->readers[i].reading)
            own_leave(owner, &owner->readers[i]);
    }
    while (owner->lane.shared->followers)
        lane_dismiss(&owner->lane, &owner->store,
                     owner->lane.shared->followers);
    if (lane_is_read(&owner->lane))
        broken("at %" PRIu64 ": all have left, and it is read",
               owner->lane.view.head.position);
    lane_release(&owner->lane, &owner->store);
    wait_for_memory(owner);
    turns_offline(&turns, OWNER);
    segment_store_release(&owner->store);
    if (atomic_load(&owner->budget.used_bytes) != 0)
        broken("at %" PRIu64 ": memory is missing",
               owner->lane.view.head.position);
}

/* ---- The whole ---------------------------------------------------------- */

static void workers_start(struct worker workers[])
{
    for (uint32_t i = 0; i < followers; i++) {
        struct worker *worker = &workers[i];

        worker->number = i + 1;
        worker->rng.state = seed + worker->number * UINT64_C(1000003);
        follower_init(&worker->follower, worker->number);
        if (pthread_create(&worker->thread, NULL, worker_run, worker) != 0)
            broken("no thread");
    }
}

/* Until they have all left, they may have to be answered. */
static void workers_join(struct owner *owner, struct worker workers[])
{
    for (uint32_t i = 0; i < followers; i++) {
        while (pthread_tryjoin_np(workers[i].thread, NULL) != 0) {
            turns_announce(&turns, OWNER);
            answer_all(owner);
            settle(owner);
            sched_yield();
        }
    }
}

static void tally_add(struct tally *sum, const struct tally *tally)
{
    sum->joins += tally->joins;
    sum->spans += tally->spans;
    sum->kept += tally->kept;
    sum->bytes += tally->bytes;
    sum->received += tally->received;
    sum->missed += tally->missed;
    sum->caught_up += tally->caught_up;
    sum->slept += tally->slept;
}

/* Nothing of what it is about was left out. */
static int report(const struct owner *owner, const struct worker workers[])
{
    struct tally sum = {0};

    for (uint32_t i = 0; i < followers; i++)
        tally_add(&sum, &workers[i].tally);
    printf("litmus_log: %" PRIu64 " records appended; followers: %" PRIu64
           " joins, %" PRIu64 " spans, %" PRIu64 " kept, %" PRIu64
           " MB, %" PRIu64 " received, %" PRIu64 " missed, %" PRIu64
           " times caught up, %" PRIu64 " slept; %" PRIu64 " tails dropped\n",
           owner->appended, sum.joins, sum.spans, sum.kept, sum.bytes / 1000000,
           sum.received, sum.missed, sum.caught_up, sum.slept,
           owner->tails_dropped);
    if (sum.joins && sum.kept && sum.received && sum.missed && sum.caught_up &&
        sum.slept && owner->tails_dropped)
        return EXIT_SUCCESS;
    fprintf(stderr, "litmus_log: too little happened to mean anything\n");
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    static struct owner owner;
    static struct worker workers[FOLLOWERS_MAX];
    struct settings settings = settings_parse(argc, argv);
    uint64_t until_ns;

    followers = settings.workers - 1;
    seed = settings.seed;
    until_ns = clock_mono_ns() + settings.seconds * NS_PER_SECOND;
    turns_init(&turns, followers + 1);
    turns_online(&turns, OWNER);
    owner_open(&owner);
    workers_start(workers);
    while (clock_mono_ns() < until_ns)
        owner_turn(&owner);
    owner.is_quiet = true;
    log_end = lane_head(&owner.lane);
    atomic_store_explicit(&is_complete, true, memory_order_release);
    workers_join(&owner, workers);
    owner_close(&owner);
    return report(&owner, workers);
}

/*
 * Queues and wake-ups between real threads: workers that send each other
 * records, every one to every other, and go to sleep when there is nothing to
 * do. It ends with 1 and one line when a promise of common/shard is broken:
 *
 *   order, content   each record comes once, in its turn, with its own bytes
 *   receipt          what is said to be consumed has been read
 *   wake-up          nobody sleeps while there is something for it
 *   end              all come to an end, and all that was sent was read
 *
 * A wake-up that is lost shows only if no later one makes up for it. So there
 * are rounds: in each a worker sends each other one some records, mostly few,
 * and is done when it has the receipts for all and has heard the last record of
 * every other. Who misses a round's last wake-up stops everybody, and is found
 * asleep with a record before it. Now and then a round is long, and the queues,
 * which are small, are full most of the time.
 *
 *     litmus_queue [--seconds 2] [--workers 4]
 */
#include "common/buffer/budget.h"
#include "common/shard/queue.h"
#include "common/shard/wake.h"
#include "tests/litmus/support.h"
#include "tests/unit/support_random.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define RING_BYTES 2048

/* Records of a round, from one worker to another. */
#define RECORDS_FEW 3
#define RECORDS_MANY 2000
#define ROUNDS_PER_LONG 64

/* Records that are published, or given back, at once. */
#define BATCH_MAX 8

/* How long somebody has to sleep before a record to be taken for lost: longer
 * than the other may have been kept from waking it after publishing. */
#define LOOK_MS 250
#define LOOKS_LOST 8
#define END_S 30

/* What a record's first byte says. */
enum kind { KIND_RECORD, KIND_LAST, KIND_LAST_OF_ALL };

/* From one worker to another. */
struct pair {
    struct queue queue;

    /* The sender's. */
    alignas(CACHE_LINE_BYTES) uint64_t sent;
    uint64_t due;              /* `sent`, at the end of the round */
    uint64_t receipt_position; /* when the queue is consumed up to here */
    uint64_t receipt_read;     /* so many must have been read */

    /* The receiver's. */
    alignas(CACHE_LINE_BYTES) uint64_t rounds;
    uint64_t rounds_in_all; /* once the sender has said so */

    /* Records read. The receiver's, published by the queue's receipt: relaxed,
     * so that nothing but the receipt can make it right. */
    alignas(CACHE_LINE_BYTES) _Atomic uint64_t read;
};

struct worker {
    struct sleeper sleeper;
    unsigned number;
    int wake_fd;
    pthread_t thread;
    struct rng rng;
    uint64_t round;
    bool last_round;
    uint64_t sleeps, wakes;
};

static struct budget budget;
static struct pair pairs[LITMUS_WORKERS_MAX]
                        [LITMUS_WORKERS_MAX]; /* [from][to] */
static struct worker workers[LITMUS_WORKERS_MAX];
static unsigned worker_count;

/* The main thread's, for worker 0, who tells the others: relaxed. */
static _Atomic bool time_is_up;

/* ---- Records ------------------------------------------------------------ */

/* All of a record but its first byte follows from who sends it to whom, and its
 * number. */
struct record {
    size_t length; /* at least 1 */
    uint64_t seed;
};

static struct record record_of(unsigned from, unsigned to, uint64_t number)
{
    struct rng rng = {number * LITMUS_WORKERS_MAX * LITMUS_WORKERS_MAX +
                      from * LITMUS_WORKERS_MAX + to};

    return (struct record){
        .length = rng_magnitude(&rng, RING_BYTES / 4),
        .seed = rng_next(&rng),
    };
}

static unsigned char byte_at(const struct record *record, size_t index)
{
    return (unsigned char)((record->seed >> index % 8 * 8) + index);
}

static void record_write(const struct record *record, enum kind kind,
                         unsigned char *bytes)
{
    bytes[0] = (unsigned char)kind;
    for (size_t i = 1; i < record->length; i++)
        bytes[i] = byte_at(record, i);
}

static bool record_matches(const struct record *record,
                           const unsigned char *bytes, size_t length)
{
    if (length != record->length || bytes[0] > KIND_LAST_OF_ALL)
        return false;
    for (size_t i = 1; i < length; i++) {
        if (bytes[i] != byte_at(record, i))
            return false;
    }
    return true;
}

/* ---- Waking and sleeping ------------------------------------------------ */

static void wake(struct worker *worker, struct worker *other)
{
    if (!wake_needed(&other->sleeper))
        return;
    worker->wakes++;
    if (eventfd_write(other->wake_fd, 1) < 0)
        broken("eventfd: %s", strerrordesc_np(errno));
}

/* So that the threads do not meet at the same step each time. */
static void dawdle(struct worker *worker)
{
    size_t steps = rng_below(&worker->rng, 2) * rng_below(&worker->rng, 300);

    for (volatile size_t i = 0; i < steps; i++)
        ;
}

/* Sleeps until somebody wakes it. `has_news` is what it looks for. */
static void sleep_until_woken(struct worker *worker,
                              bool has_news(struct worker *))
{
    struct pollfd woken = {.fd = worker->wake_fd, .events = POLLIN};
    unsigned looks = 0;
    eventfd_t count;

    while (poll(&woken, 1, LOOK_MS) == 0) {
        looks = has_news(worker) ? looks + 1 : 0;
        if (looks == LOOKS_LOST)
            broken("wake-up: worker %u sleeps, and there is something for it",
                   worker->number);
    }
    if (eventfd_read(worker->wake_fd, &count) < 0)
        broken("eventfd: %s", strerrordesc_np(errno));
    worker->sleeps++;
}

/* ---- Sending ------------------------------------------------------------ */

/* False if the queue is full. */
static bool send_record(struct worker *worker, unsigned to)
{
    struct pair *pair = &pairs[worker->number][to];
    struct record record = record_of(worker->number, to, pair->sent);
    enum kind kind = KIND_RECORD;
    unsigned char *bytes = queue_reserve(&pair->queue, record.length);

    if (!bytes)
        return false;
    if (pair->sent + 1 == pair->due)
        kind = worker->last_round ? KIND_LAST_OF_ALL : KIND_LAST;
    record_write(&record, kind, bytes);
    queue_commit(&pair->queue);
    pair->sent++;
    return true;
}

/* Returns whether something was sent. */
static bool send_batch(struct worker *worker, unsigned to)
{
    struct pair *pair = &pairs[worker->number][to];
    size_t most = 1 + rng_below(&worker->rng, BATCH_MAX), count = 0;

    while (count < most && pair->sent < pair->due && send_record(worker, to))
        count++;
    if (count == 0)
        return false;
    queue_publish(&pair->queue);
    wake(worker, &workers[to]);
    return true;
}

/* Asks for one receipt after the other, of what has been sent by now. */
static void check_receipt(struct pair *pair)
{
    uint64_t consumed = queue_consumed_position(&pair->queue);
    uint64_t read;

    if (consumed > queue_position(&pair->queue))
        broken("receipt: for %" PRIu64 " bytes, and %" PRIu64 " were sent",
               consumed, queue_position(&pair->queue));
    if (consumed < pair->receipt_position)
        return;
    read = atomic_load_explicit(&pair->read, memory_order_relaxed);
    if (read < pair->receipt_read)
        broken("receipt: for %" PRIu64 " records, and %" PRIu64 " were read",
               pair->receipt_read, read);
    pair->receipt_position = queue_position(&pair->queue);
    pair->receipt_read = pair->sent;
}

/* ---- Receiving ---------------------------------------------------------- */

/* False if there is none. */
static bool read_record(struct worker *worker, unsigned from)
{
    struct pair *pair = &pairs[from][worker->number];
    uint64_t number = atomic_load_explicit(&pair->read, memory_order_relaxed);
    struct record record = record_of(from, worker->number, number);
    size_t length;
    const unsigned char *bytes = queue_peek(&pair->queue, &length);

    if (!bytes)
        return false;
    if (!record_matches(&record, bytes, length))
        broken("content: record %" PRIu64 " from %u to %u is another one",
               number, from, worker->number);
    pair->rounds += bytes[0] != KIND_RECORD;
    if (bytes[0] == KIND_LAST_OF_ALL)
        pair->rounds_in_all = pair->rounds;
    queue_pop(&pair->queue);
    atomic_store_explicit(&pair->read, number + 1, memory_order_relaxed);
    return true;
}

/* Returns whether there was anything. The sender may be asleep for want of room
 * or of a receipt. */
static bool read_batch(struct worker *worker, unsigned from)
{
    struct pair *pair = &pairs[from][worker->number];
    size_t most = 1 + rng_below(&worker->rng, BATCH_MAX), count = 0;

    while (count < most && read_record(worker, from))
        count++;
    if (count == 0)
        return false;
    queue_consumed(&pair->queue);
    wake(worker, &workers[from]);
    return true;
}

/* ---- Rounds ------------------------------------------------------------- */

static bool has_receipt(struct pair *pair)
{
    return queue_consumed_position(&pair->queue) ==
           queue_position(&pair->queue);
}

/* With one other: all sent and consumed, and all heard. */
static bool is_done_with(struct worker *worker, unsigned other)
{
    struct pair *out = &pairs[worker->number][other];
    const struct pair *in = &pairs[other][worker->number];

    return out->sent == out->due && has_receipt(out) &&
           in->rounds > worker->round;
}

static bool is_round_over(struct worker *worker)
{
    for (unsigned i = 0; i < worker_count; i++) {
        if (i != worker->number && !is_done_with(worker, i))
            return false;
    }
    return true;
}

/* Whether a worker that had nothing to do has something now. */
static bool has_news(struct worker *worker)
{
    for (unsigned i = 0; i < worker_count; i++) {
        struct pair *out = &pairs[worker->number][i];
        struct pair *in = &pairs[i][worker->number];
        size_t length = record_of(worker->number, i, out->sent).length;

        if (i == worker->number)
            continue;
        if (queue_peek(&in->queue, &length))
            return true;
        if (out->sent < out->due && queue_reserve(&out->queue, length))
            return true;
    }
    return is_round_over(worker);
}

/* Returns whether there was something to do. */
static bool take_turn(struct worker *worker)
{
    bool done = false;

    for (unsigned i = 0; i < worker_count; i++) {
        if (i == worker->number)
            continue;
        done |= send_batch(worker, i);
        done |= read_batch(worker, i);
        check_receipt(&pairs[worker->number][i]);
    }
    return done;
}

static void rest(struct worker *worker)
{
    dawdle(worker);
    sleep_prepare(&worker->sleeper);
    if (!has_news(worker))
        sleep_until_woken(worker, has_news);
    sleep_over(&worker->sleeper);
}

static void begin_round(struct worker *worker)
{
    bool is_long = rng_below(&worker->rng, ROUNDS_PER_LONG) == 0;
    size_t most = is_long ? RECORDS_MANY : RECORDS_FEW;

    if (worker->number == 0)
        worker->last_round =
            atomic_load_explicit(&time_is_up, memory_order_relaxed);
    for (unsigned i = 0; i < worker_count; i++)
        pairs[worker->number][i].due += 1 + rng_below(&worker->rng, most);
    dawdle(worker);
}

/* Worker 0 says it with its last record, which others may have read in the
 * round before. */
static bool was_last_round(const struct worker *worker)
{
    if (worker->number == 0)
        return worker->last_round;
    return worker->round == pairs[0][worker->number].rounds_in_all;
}

static void *work(void *argument)
{
    struct worker *worker = argument;

    do {
        begin_round(worker);
        while (!is_round_over(worker)) {
            if (!take_turn(worker) && !is_round_over(worker))
                rest(worker);
        }
        worker->round++;
    } while (!was_last_round(worker));
    return NULL;
}

/* ---- All of it ---------------------------------------------------------- */

static void prepare(unsigned seed)
{
    budget_init(&budget, UINT64_MAX);
    for (unsigned i = 0; i < worker_count; i++) {
        sleeper_init(&workers[i].sleeper);
        workers[i].number = i;
        workers[i].rng.state = seed * UINT64_C(1000003) + i;
        workers[i].wake_fd = eventfd(0, EFD_CLOEXEC);
        if (workers[i].wake_fd < 0)
            broken("eventfd: %s", strerrordesc_np(errno));
        for (unsigned j = 0; j < worker_count; j++) {
            if (!queue_init(&pairs[i][j].queue, &budget, RING_BYTES))
                broken("no memory");
        }
    }
}

static void start(void)
{
    for (unsigned i = 0; i < worker_count; i++) {
        int error = pthread_create(&workers[i].thread, NULL, work, &workers[i]);

        if (error != 0)
            broken("pthread_create: %s", strerrordesc_np(error));
    }
}

static void finish(void)
{
    struct timespec end;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += END_S;
    for (unsigned i = 0; i < worker_count; i++) {
        if (pthread_timedjoin_np(workers[i].thread, NULL, &end) != 0)
            broken("end: worker %u is still in round %" PRIu64, i,
                   workers[i].round);
    }
}

/* How many records, if all that were sent were read. */
static uint64_t check_counts(void)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < worker_count; i++) {
        for (unsigned j = 0; j < worker_count; j++) {
            struct pair *pair = &pairs[i][j];
            uint64_t read = atomic_load(&pair->read);

            if (pair->sent != read)
                broken("end: of %" PRIu64 " records %" PRIu64 " were read",
                       pair->sent, read);
            total += read;
            queue_release(&pair->queue);
        }
    }
    return total;
}

static void summarize(void)
{
    uint64_t sleeps = 0, wakes = 0, records = check_counts();

    for (unsigned i = 0; i < worker_count; i++) {
        sleeps += workers[i].sleeps;
        wakes += workers[i].wakes;
        close(workers[i].wake_fd);
    }
    printf("litmus_queue: %u workers, %" PRIu64 " rounds, %" PRIu64
           " records, %" PRIu64 " sleeps, %" PRIu64
           " wake-ups; all promises kept\n",
           worker_count, workers[0].round, records, sleeps, wakes);
}

int main(int argc, char **argv)
{
    struct settings settings = settings_parse(argc, argv);

    worker_count = settings.workers;
    prepare(settings.seed);
    start();
    nanosleep(&(struct timespec){.tv_sec = settings.seconds}, NULL);
    atomic_store_explicit(&time_is_up, true, memory_order_relaxed);
    finish();
    summarize();
    return 0;
}

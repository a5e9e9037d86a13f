/*
 * Lanes. Invariants:
 *
 *   L1  positions are contiguous: each segment starts where the one before it
 *       ends, and the newest ends at the head.
 *   L2  `behind` is the number of readers whose cursor is before the head; at
 *       zero, in the views of all workers, nothing is kept.
 *   L3  the newest message is kept while anybody is behind it and no more than
 *       the window has followed it: without that bound, notices after a last
 *       message would fill the memory.
 *   L4  while a worker's readers have not reached the head, the segments from
 *       the published `oldest` on lead, by `next`, to the published `head`.
 *
 * An append makes every reader a reader behind; a reader reaches the head at
 * most once between two appends. So L2 costs an addition and no walk.
 */
#include "common/buffer/lane.h"

#include "common/base/limits.h"

#include <assert.h>

void lane_init(struct lane *lane, uint64_t seq)
{
    *lane = (struct lane){
        .view = {.head = {0, seq}},
        .newest_message = UINT64_MAX,
        .grade = SEGMENT_SMALL,
    };
}

/* ---- Publishing --------------------------------------------------------- */

/* The owner reads its own writes: no order needed. */
static void publish_oldest(const struct lane *lane)
{
    struct segment *oldest = lane->view.oldest;

    /* Release: the segment. Partner: follower_refresh. */
    if (atomic_load_explicit(&lane->shared->oldest, memory_order_relaxed) !=
        oldest)
        atomic_store_explicit(&lane->shared->oldest, oldest,
                              memory_order_release);
}

/* Publishes the record that has been appended: where the way to it begins
 * (L4), then its bytes, then what it makes of the window. */
static void publish_record(const struct lane *lane, uint64_t start)
{
    struct shared_lane *shared = lane->shared;

    publish_oldest(lane);
    /* Release: the bytes, their marks, and `next` up to them. Partner:
     * follower_refresh. */
    atomic_store_explicit(&shared->head, lane->view.head.position,
                          memory_order_release);
    /* Release, after the head: who sees it sees a head that is not before it.
     * Partner: follower_refresh. */
    atomic_store_explicit(&shared->start, start, memory_order_release);
}

/* ---- Segments that go --------------------------------------------------- */

/* Out of the list first: what is retired, nobody comes upon any more. */
static void drop_oldest(struct lane *lane, struct segment_store *store)
{
    struct segment *segment = lane->view.oldest;

    lane->view.oldest = segment->next;
    if (!lane->view.oldest)
        lane->view.newest = NULL;
    if (!lane->shared) {
        segment_detach(store, segment);
        return;
    }
    publish_oldest(lane);
    segment_retire(store, segment);
}

/*
 * All have read everything (L2). What had to be kept until now is what the
 * next burst will need: if a smaller grade would have held it, start there.
 */
static void drop_all(struct lane *lane, struct segment_store *store)
{
    const struct view *view = &lane->view;
    uint64_t kept =
        view->oldest ? view->head.position - view->oldest->start : 0;

    if (lane->grade == SEGMENT_LARGE && kept < 4 * KIB)
        lane->grade = SEGMENT_MEDIUM;
    else if (lane->grade == SEGMENT_MEDIUM && kept < 256)
        lane->grade = SEGMENT_SMALL;
    while (view->oldest)
        drop_oldest(lane, store);
}

/* ---- Making and ending -------------------------------------------------- */

static void shared_free(struct lane *lane, struct segment_store *store)
{
    if (!lane->shared)
        return;
    budget_free(store->budget, lane->shared, sizeof(*lane->shared));
    lane->shared = NULL;
}

bool lane_is_read(const struct lane *lane)
{
    return lane->view.readers > 0 || (lane->shared && lane->shared->followers);
}

void lane_release(struct lane *lane, struct segment_store *store)
{
    assert(!lane_is_read(lane));
    drop_all(lane, store);
    shared_free(lane, store);
}

/* ---- Appending ---------------------------------------------------------- */

/* A segment has filled up, so the next one is larger. A record that needs a
 * segment of its own size says nothing about the next ones. */
static void grow_grade(struct lane *lane, const struct segment *filled)
{
    if (filled->grade < SEGMENT_LARGE && filled->grade >= lane->grade)
        lane->grade = filled->grade + 1;
}

unsigned char *lane_reserve(struct lane *lane, struct segment_store *store,
                            uint32_t length)
{
    struct segment *newest = lane->view.newest;
    struct segment *segment;

    assert(length > 0);
    if (newest && segment_fits(newest, length))
        return newest->data + segment_used(newest);
    if (newest && segment_used(newest) > 0)
        grow_grade(lane, newest);
    segment = segment_create(store, lane->grade, length);
    if (!segment && lane->grade > SEGMENT_SMALL) /* a small one may do */
        segment = segment_create(store, SEGMENT_SMALL, length);
    if (!segment)
        return NULL;
    segment->start = lane->view.head.position;
    segment->seq = lane->view.head.seq;
    if (newest)
        newest->next = segment;
    else
        lane->view.oldest = segment;
    lane->view.newest = segment;
    return segment->data;
}

/* Where the window begins: nothing that starts before it is kept. */
static uint64_t window_start(const struct lane *lane, uint64_t window_bytes)
{
    uint64_t head = lane->view.head.position;
    uint64_t start = head > window_bytes ? head - window_bytes : 0;

    if (start > lane->newest_message &&
        start <= lane->newest_message + lane->newest_bytes)
        start = lane->newest_message; /* L3 */
    return start;
}

static void drop_outside(struct lane *lane, struct segment_store *store,
                         uint64_t start)
{
    const struct view *view = &lane->view;

    while (view->oldest != view->newest && segment_end(view->oldest) <= start)
        drop_oldest(lane, store);
}

/* What the record in the reservation makes of the lane. */
static void append(struct lane *lane, uint32_t length, enum record_kind kind)
{
    struct cursor head = lane->view.head;

    assert(segment_end(lane->view.newest) == head.position); /* L1 */
    segment_commit(lane->view.newest, length, kind);
    if (kind == RECORD_MESSAGE) {
        lane->newest_message = head.position;
        lane->newest_bytes = length;
        head.seq++;
    }
    head.position += length;
    view_advance(&lane->view, head);
}

void lane_commit(struct lane *lane, struct segment_store *store,
                 uint32_t length, enum record_kind kind, uint64_t window_bytes)
{
    uint64_t start;

    append(lane, length, kind);
    start = window_start(lane, window_bytes);
    if (lane->shared)
        publish_record(lane, start);
    if (lane_is_read(lane))
        drop_outside(lane, store, start);
    else
        drop_all(lane, store);
}

void lane_cancel(struct lane *lane, struct segment_store *store)
{
    struct segment *newest = lane->view.newest;
    struct segment *last = lane->view.oldest;

    if (!newest || segment_used(newest) > 0)
        return;
    if (last == newest) {
        drop_oldest(lane, store);
        return;
    }
    while (last->next != newest)
        last = last->next;
    last->next = NULL; /* which no follower has read: nothing was behind it */
    lane->view.newest = last;
    segment_detach(store, newest);
}

/* ---- The owner's own readers -------------------------------------------- */

struct cursor lane_head(const struct lane *lane)
{
    return lane->view.head;
}

struct cursor lane_oldest(const struct lane *lane, uint64_t window_bytes)
{
    return view_oldest(&lane->view, window_start(lane, window_bytes));
}

struct cursor lane_join(struct lane *lane)
{
    return view_join(&lane->view);
}

void lane_leave(struct lane *lane, struct segment_store *store,
                struct cursor cursor)
{
    if (view_leave(&lane->view, cursor))
        lane_settle(lane, store);
}

void lane_skip(struct lane *lane, struct segment_store *store,
               struct cursor *cursor, struct cursor to)
{
    if (view_skip(&lane->view, cursor, to))
        lane_settle(lane, store);
}

void lane_take(struct lane *lane, struct segment_store *store,
               struct cursor *cursor, uint64_t end, struct span *span)
{
    bool was_last = view_take(&lane->view, cursor, end, span);

    span_hold(span);
    if (was_last)
        lane_settle(lane, store);
}

bool lane_shrink(struct lane *lane, struct segment_store *store)
{
    const struct view *view = &lane->view;

    if (view->oldest == view->newest ||
        segment_end(view->oldest) > lane->newest_message)
        return false;
    drop_oldest(lane, store);
    return true;
}

/* ---- Sharing ------------------------------------------------------------ */

bool lane_share(struct lane *lane, struct segment_store *store,
                uint64_t window_bytes)
{
    struct shared_lane *shared = budget_alloc_aligned(
        store->budget, alignof(struct shared_lane), sizeof(*shared));

    assert(!lane->shared);
    if (!shared)
        return false;
    /* Nobody has it yet: the first is told of it after this. */
    atomic_init(&shared->oldest, lane->view.oldest);
    atomic_init(&shared->head, lane->view.head.position);
    shared->followers = NULL;
    lane->shared = shared;
    atomic_init(&shared->start, window_start(lane, window_bytes));
    return true;
}

void reach_init(struct reach *reach, uint32_t worker)
{
    reach->worker = worker;
    atomic_init(&reach->position, REACH_NONE);
    atomic_init(&reach->told, false);
    reach->next = NULL;
    reach->lane = NULL;
}

/* The exchanges of one object have one order, and each releases and acquires.
 * If ours finds that it has been told, its own comes after ours, and so does
 * its look at what we have published. */
bool reach_tell(struct reach *reach)
{
    return !atomic_exchange_explicit(&reach->told, true, memory_order_acq_rel);
}

void reach_heed(struct reach *reach)
{
    atomic_exchange_explicit(&reach->told, false, memory_order_acq_rel);
}

struct cursor lane_admit(struct lane *lane, struct reach *reach)
{
    struct shared_lane *shared = lane->shared;

    assert(!reach->lane || reach->lane == lane);
    if (!reach->lane) {
        reach->lane = lane;
        reach->next = shared->followers;
        shared->followers = reach;
    }
    /* A follower that says so has asked after it had said it, and writes here
     * no more before it has the answer. Acquire, as everywhere. */
    if (atomic_load_explicit(&reach->position, memory_order_acquire) ==
        REACH_NONE)
        atomic_store_explicit(&reach->position, lane->view.head.position,
                              memory_order_relaxed);
    return lane->view.head;
}

void lane_dismiss(struct lane *lane, struct segment_store *store,
                  struct reach *reach)
{
    struct reach **place;

    if (!reach->lane)
        return;
    /* Acquire: after it the follower does not look at `shared` any more, and
     * that may be freed. Partner: publish_reached in follower.c. */
    assert(atomic_load_explicit(&reach->position, memory_order_acquire) ==
           REACH_NONE);
    place = &lane->shared->followers;
    while (*place != reach)
        place = &(*place)->next;
    *place = reach->next;
    reach->lane = NULL;
    lane_settle(lane, store);
}

/* Whether all that were admitted have reached the head, or have nobody left. */
static bool followers_are_done(const struct lane *lane)
{
    for (const struct reach *reach = lane->shared->followers; reach;
         reach = reach->next) {
        /* Acquire: its readers are done with what is before. Partner:
         * publish_reached in follower.c. REACH_NONE is past every head. */
        if (atomic_load_explicit(&reach->position, memory_order_acquire) <
            lane->view.head.position)
            return false;
    }
    return true;
}

void lane_settle(struct lane *lane, struct segment_store *store)
{
    if (lane->shared && !followers_are_done(lane))
        return;
    if (lane->view.behind == 0)
        drop_all(lane, store);
}

/*
 * A worker's chat as a whole: made and unmade, told the time, asked whose turn
 * it is, told to stop. It owns the pools, its rooms and the ready lists; what
 * all workers share is in shards.c.
 *
 * Whose turn: first the sessions that have something of their own to send (a
 * reply, more of a room than fits a turn), then the rooms with news, each for
 * SWEEP_MEMBERS_MAX members before the next room comes.
 */
#include "common/chat/chat.h"

#include "common/base/clock.h"
#include "common/chat/internal.h"
#include "common/chat/shared.h"

#include <assert.h>
#include <stdlib.h>

static void pools_init(struct chat *chat)
{
    pool_init(&chat->sessions_pool, chat->budget, sizeof(struct session));
    pool_init(&chat->binaries_pool, chat->budget, sizeof(struct binary));
    pool_init(&chat->rooms_pool, chat->budget, sizeof(struct room));
    pool_init(&chat->lanes_pool, chat->budget, sizeof(struct lane));
    pool_init(&chat->memberships_pool, chat->budget, sizeof(struct membership));
    pool_init(&chat->meters_pool, chat->budget, sizeof(struct meter));
}

struct chat *chat_open(struct shards *shards, uint32_t worker,
                       const struct chat_config *config,
                       const uint8_t hash_key[ADDRESS_BYTES])
{
    struct chat *chat = calloc(1, sizeof(*chat));

    if (!chat)
        return NULL;
    chat->config = *config;
    chat->config.wire.key = NULL; /* it goes to the wire, and is not kept */
    chat->shards = shards;
    chat->worker = worker;
    chat->budget = &shards->budget;
    memcpy(chat->hash_key, hash_key, sizeof(chat->hash_key));
    chat->wire = wire_create(&config->wire, chat->budget);
    if (!chat->wire) {
        free(chat);
        return NULL;
    }
    segment_store_init(&chat->segments, chat->budget,
                       config->room_window_bytes);
    pools_init(chat);
    chat->reclaim_at_ns = UINT64_MAX;
    return chat;
}

/* Rooms that have ended go in their turn. */
static void drop_ended_rooms(struct chat *chat)
{
    while (chat->rooms_ready_first)
        chat_next_ready(chat);
    while (chat->news_first) {
        struct room *room = chat->news_first;

        rooms_news_shift(chat);
        room_settle(chat, room);
    }
    assert(!chat->rooms);
}

void chat_close(struct chat *chat)
{
    if (!chat)
        return;
    drop_ended_rooms(chat);
    while (segment_store_reclaim(&chat->segments, &chat->shards->turns))
        continue;
    timers_release(&chat->timers, chat->budget);
    pool_release(&chat->sessions_pool);
    pool_release(&chat->binaries_pool);
    pool_release(&chat->rooms_pool);
    pool_release(&chat->lanes_pool);
    pool_release(&chat->memberships_pool);
    pool_release(&chat->meters_pool);
    segment_store_release(&chat->segments);
    wire_destroy(chat->wire);
    free(chat);
}

static void expire_timers(struct chat *chat)
{
    while (timers_next(&chat->timers) <= chat->now_ns) {
        struct session *session = chat->timers.heap[0].session;

        if (session_deadline(session) <= chat->now_ns)
            session_expire(session);
        timers_set(&chat->timers, session, session_deadline(session));
    }
}

/* Whether it keeps bytes alive that are out of their log, and does not take
 * them: it took less than it was offered, or for a second nothing. */
static bool holds_old_bytes(const struct session *session)
{
    if (session->span_outbox || !span_is_detached(&session->span))
        return false;
    return session->blocked ||
           session->progress_ns + LINGER_NS <= session->chat->now_ns;
}

/* When memory runs short, those are the first to go, before anybody else
 * notices. */
static void close_holders(struct chat *chat)
{
    /* Another worker's, if there is one, we do not see. */
    if (chat->segments.detached_bytes == 0 && chat->shards->count == 1)
        return;
    for (uint32_t i = 0; i < chat->timers.count; i++) {
        struct session *session = chat->timers.heap[i].session;

        if (holds_old_bytes(session))
            session_abandon(session, ENDING_NO_MEMORY);
    }
}

static void relieve_memory(struct chat *chat)
{
    if (!memory_is_short(chat))
        return;
    close_holders(chat);
    rooms_shrink(chat);
}

bool all_are_served(const struct chat *chat)
{
    return chat->serving == 0 && !chat->ready_first && !chat->rooms_ready_first;
}

static void begin_if_over(struct chat *chat)
{
    if (!turn_is_over(chat))
        return;
    chat->appended_bytes = 0;
    chat->others_first = !chat->others_first;
}

/* Who waited here, and who asks from other workers: by turns they come first,
 * or one of the two could fill every turn. */
static void hear_all(struct chat *chat)
{
    if (chat->others_first)
        requests_take(chat);
    intake_turn(chat);
    if (!chat->others_first)
        requests_take(chat);
}

void chat_tick(struct chat *chat, uint64_t mono_ns, uint64_t wall_us)
{
    if (chat->started_ns == 0)
        chat->started_ns = mono_ns;
    chat->now_ns = mono_ns;
    chat->wall_us = wall_us;
    shards_tick(chat);
    begin_if_over(chat);
    answers_take(chat);
    relieve_memory(chat);
    hear_all(chat);
    stop_go_on(chat);
    expire_timers(chat);
    meters_expire(chat);
}

void chat_was_away(struct chat *chat, uint64_t away_ns)
{
    for (uint32_t i = 0; i < chat->timers.count; i++) {
        struct session *session = chat->timers.heap[i].session;

        if (!session->paused) /* else its clock stands still already */
            session->clock_ns += away_ns;
        session->progress_ns += away_ns;
        if (session->state == SESSION_GREETING && session->binary)
            session->binary->hello_by_ns += away_ns;
    }
}

uint64_t chat_deadline(struct chat *chat)
{
    uint64_t deadline =
        earlier(timers_next(&chat->timers), shards_deadline(chat));
    /* If all are served the next tick begins a turn, else it looks again. */
    bool is_next = turn_is_over(chat) && !chat->crowded;
    uint64_t look_ns = is_next ? 1 : TURN_LOOK_NS;

    if (!chat->waiting || chat->stopping) /* nobody goes on then */
        return deadline;
    return earlier(deadline, chat->now_ns + look_ns);
}

void ready_add(struct session *session)
{
    struct chat *chat = session->chat;

    if (session->ready)
        return;
    session->ready = true;
    session->ready_next = NULL;
    session->ready_previous = chat->ready_last;
    if (chat->ready_last)
        chat->ready_last->ready_next = session;
    else
        chat->ready_first = session;
    chat->ready_last = session;
}

void ready_remove(struct session *session)
{
    struct chat *chat = session->chat;

    if (!session->ready)
        return;
    session->ready = false;
    if (session->ready_previous)
        session->ready_previous->ready_next = session->ready_next;
    else
        chat->ready_first = session->ready_next;
    if (session->ready_next)
        session->ready_next->ready_previous = session->ready_previous;
    else
        chat->ready_last = session->ready_previous;
}

/* One that takes no more is returned for other reasons. */
static struct session *serve_begin(struct session *session)
{
    if (!session->served && !session->blocked) {
        session->served = true;
        session->chat->serving++;
    }
    return session;
}

void serve_end(struct session *session)
{
    if (session->served)
        session->chat->serving--;
    session->served = false;
}

static void rooms_ready_append(struct chat *chat, struct room *room)
{
    room->ready_next = NULL;
    if (chat->rooms_ready_last)
        chat->rooms_ready_last->ready_next = room;
    else
        chat->rooms_ready_first = room;
    chat->rooms_ready_last = room;
}

static struct room *rooms_ready_shift(struct chat *chat)
{
    struct room *room = chat->rooms_ready_first;

    chat->rooms_ready_first = room->ready_next;
    if (!chat->rooms_ready_first)
        chat->rooms_ready_last = NULL;
    chat->swept = 0;
    return room;
}

void rooms_ready_add(struct chat *chat, struct room *room)
{
    if (room->ready)
        return;
    room->ready = true;
    rooms_ready_append(chat, room);
}

void rooms_news_add(struct chat *chat, struct room *room)
{
    if (room->news || chat->shards->count == 1)
        return;
    room->news = true;
    room->news_next = NULL;
    if (chat->news_last)
        chat->news_last->news_next = room;
    else
        chat->news_first = room;
    chat->news_last = room;
}

void rooms_news_shift(struct chat *chat)
{
    struct room *room = chat->news_first;

    chat->news_first = room->news_next;
    if (!chat->news_first)
        chat->news_last = NULL;
    room->news = false;
}

/* The first ready room's turn is over: it stands at the end, or is done. */
static void rooms_ready_turn(struct chat *chat)
{
    struct room *room = rooms_ready_shift(chat);

    if (room->unvisited > 0) {
        rooms_ready_append(chat, room);
        return;
    }
    room->ready = false;
    room_settle(chat, room);
}

struct session *chat_next_ready(struct chat *chat)
{
    struct session *session = chat->ready_first;

    if (session) {
        ready_remove(session);
        return serve_begin(session);
    }
    while (chat->rooms_ready_first) {
        session = room_sweep(chat, chat->rooms_ready_first);
        if (session)
            return serve_begin(session);
        rooms_ready_turn(chat);
    }
    return NULL;
}

size_t chat_refusal(struct chat *chat, enum dialect dialect,
                    unsigned char bytes[REFUSAL_BYTES_MAX])
{
    enum encoding encoding = dialect_encoding(dialect);
    struct wire_peer nobody = {.sealed = false};
    struct event event = {
        .kind = EVENT_ERROR,
        .code = ERROR_SERVER_FULL,
        .text = slice_of(error_detail(ERROR_SERVER_FULL)),
    };
    struct outgoing outgoing;
    const unsigned char *end;
    size_t size;

    chat->config.random(nobody.uuid, sizeof(nobody.uuid));
    uuid_from_random(nobody.uuid);
    size = wire_prepare(chat->wire, encoding, &nobody, &event, &outgoing);
    assert(size <= REFUSAL_BYTES_MAX);
    end = wire_write(chat->wire, &outgoing, bytes);
    return end ? size : 0;
}

void chat_log_metrics(struct chat *chat)
{
    if (chat->config.log && !chat->stopping)
        listing_log(chat);
}

/*
 * The chat as a whole: made and unmade, told the time, asked whose turn it is,
 * told to stop. It owns the pools, the tables and the two ready lists.
 *
 * Whose turn: first the sessions that have something of their own to send (a
 * reply, more of a room than fits a turn), then the rooms with news, each for
 * SWEEP_MEMBERS_MAX members before the next room comes.
 */
#include "common/chat/chat.h"

#include "common/base/clock.h"
#include "common/chat/internal.h"

#include <assert.h>
#include <stdlib.h>

static void pools_init(struct chat *chat)
{
    pool_init(&chat->sessions_pool, &chat->budget, sizeof(struct session));
    pool_init(&chat->binaries_pool, &chat->budget, sizeof(struct binary));
    pool_init(&chat->rooms_pool, &chat->budget, sizeof(struct room));
    pool_init(&chat->lanes_pool, &chat->budget, sizeof(struct lane));
    pool_init(&chat->memberships_pool, &chat->budget,
              sizeof(struct membership));
    pool_init(&chat->meters_pool, &chat->budget, sizeof(struct meter));
}

/* The key goes to the wire and is not kept here. */
static struct wire *make_wire(struct chat *chat)
{
    struct wire_config *config = &chat->config.wire;
    struct wire *wire;

    chat->config.random(config->boot, sizeof(config->boot));
    uuid_from_random(config->boot);
    chat->config.random(&config->hash_seed, sizeof(config->hash_seed));
    config->hash_seed |= 1; /* not 0 */
    wire = wire_create(config, &chat->budget);
    config->key = NULL;
    return wire;
}

struct chat *chat_create(const struct chat_config *config)
{
    struct chat *chat = calloc(1, sizeof(*chat));

    if (!chat)
        return NULL;
    chat->config = *config;
    budget_init(&chat->budget, config->memory_bytes_max);
    chat->wire = make_wire(chat);
    if (!chat->wire)
        goto free_chat;
    if (!nicks_init(&chat->nicks, &chat->budget))
        goto destroy_wire;
    segment_store_init(&chat->segments, &chat->budget,
                       config->room_window_bytes);
    pools_init(chat);
    config->random(chat->hash_key, sizeof(chat->hash_key));
    return chat;
destroy_wire:
    wire_destroy(chat->wire);
free_chat:
    free(chat);
    return NULL;
}

void chat_destroy(struct chat *chat)
{
    if (!chat)
        return;
    assert(!chat->addresses);
    while (chat->rooms_ready_first) /* rooms that ended go in their turn */
        chat_next_ready(chat);
    assert(!chat->rooms);
    nicks_release(&chat->nicks, &chat->budget);
    timers_release(&chat->timers, &chat->budget);
    pool_release(&chat->sessions_pool);
    pool_release(&chat->binaries_pool);
    pool_release(&chat->rooms_pool);
    pool_release(&chat->lanes_pool);
    pool_release(&chat->memberships_pool);
    pool_release(&chat->meters_pool);
    segment_store_release(&chat->segments);
    wire_destroy(chat->wire);
    assert(chat->budget.used_bytes == 0);
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
    if (chat->segments.detached_bytes == 0)
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

/* Whether all who take bytes have been sent what they are due. */
static bool all_are_served(const struct chat *chat)
{
    return chat->serving == 0 && !chat->ready_first && !chat->rooms_ready_first;
}

void chat_tick(struct chat *chat, uint64_t mono_ns, uint64_t wall_us)
{
    if (chat->started_ns == 0)
        chat->started_ns = mono_ns;
    chat->now_ns = mono_ns;
    chat->wall_us = wall_us;
    if (all_are_served(chat))
        chat->appended_bytes = 0;
    relieve_memory(chat);
    intake_turn(chat);
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
        if (session->state == SESSION_GREETING)
            session->binary->hello_by_ns += away_ns;
    }
}

uint64_t chat_deadline(const struct chat *chat)
{
    uint64_t deadline = timers_next(&chat->timers);
    /* If all are served the next tick begins a turn, else it looks again. */
    uint64_t look_ns = all_are_served(chat) ? 1 : TURN_LOOK_NS;

    return chat->waiting ? earlier(deadline, chat->now_ns + look_ns) : deadline;
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

/* A session that ends anyway goes on, but no longer than the stop lasts. */
static void session_stop(struct session *session)
{
    struct chat *chat = session->chat;

    if (session_listens(session)) {
        session->error = ERROR_SHUTDOWN;
        session_end(session, ENDING_ERROR);
    }
    if (session->until_ns > chat->stop_by_ns)
        session->until_ns = chat->stop_by_ns;
    timers_advance(&chat->timers, session, session_deadline(session));
    ready_add(session);
}

void chat_shutdown(struct chat *chat, uint64_t within_ns)
{
    struct timers *timers = &chat->timers;

    chat->stopping = true;
    chat->stop_by_ns = chat->now_ns + at_least(within_ns, LAST_OFFER_NS);
    /* The heap is where every session is. Stopping one moves its deadline
     * earlier, which moves only its parents, and those have been stopped. */
    for (uint32_t i = 0; i < timers->count; i++)
        session_stop(timers->heap[i].session);
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
    struct metric metrics[SERVER_METRICS];
    struct log_field fields[SERVER_METRICS];

    if (!chat->config.log)
        return;
    metrics_of_server(chat, metrics);
    for (size_t i = 0; i < SERVER_METRICS; i++)
        fields[i] = log_number(metrics[i].name, metrics[i].value);
    chat->config.log(LOG_INFO, "metrics", fields, SERVER_METRICS);
}

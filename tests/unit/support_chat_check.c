/*
 * The checks of support_chat_check.h. Sessions are found by the timers' heap,
 * where each of them is; rooms by their members, since one that has ended is
 * in no table.
 */
#include "tests/unit/support_chat_check.h"

#include "common/chat/internal.h"
#include "common/chat/shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* ---- Rooms -------------------------------------------------------------- */

static void check_membership(const struct membership *membership)
{
    struct cursor head =
        room_end(membership->room, membership->session->encoding);
    struct cursor end = membership->leaving ? membership->end : head;

    assert_ptr_equal(membership->next->previous, membership);
    assert_ptr_equal(membership->previous->next, membership);
    assert_true(membership->cursor.position <= end.position);
    assert_true(membership->cursor.seq <= end.seq);
    assert_true(end.position <= head.position);
}

static void check_lane(const struct room *room, enum encoding encoding,
                       uint32_t readers, uint32_t behind)
{
    const struct lane *lane = room->lanes[encoding];

    if (!lane) {
        assert_int_equal(readers, 0);
        return;
    }
    assert_int_equal(lane->view.readers, readers);
    assert_true(readers > 0); /* R2 */
    assert_int_equal(lane->view.behind, behind);
    assert_int_equal(lane->view.head.seq, room->seq);
    if (behind == 0)
        assert_null(lane->view.oldest);
}

static void check_room(struct chat *chat, struct room *room)
{
    const struct membership *m = room->first;
    uint32_t members = 0, readers[ENCODINGS] = {0}, behind[ENCODINGS] = {0};
    uint32_t all = 0;
    bool found_sweep = false;

    do {
        enum encoding encoding = m->session->encoding;

        check_membership(m);
        assert_ptr_equal(m->room, room);
        members += !m->leaving;
        all++;
        readers[encoding]++;
        behind[encoding] += m->cursor.position <
                            room_end(m->room, m->session->encoding).position;
        found_sweep |= m == room->sweep;
        m = m->next;
    } while (m != room->first);
    assert_true(found_sweep);
    assert_int_equal(room->members, members);
    assert_int_equal(room->readers, all);
    assert_int_equal(room_find(chat, room_name(room)) == room, members > 0);
    assert_true(room->unvisited <= all);
    assert_true(room->unvisited == 0 || room->ready); /* R3 */
    for (enum encoding e = 0; e < ENCODINGS; e++)
        check_lane(room, e, readers[e], behind[e]);
}

/* Each room once, by its first member. */
static void check_rooms(struct chat *chat)
{
    const struct timers *timers = &chat->timers;
    size_t registered = 0, lanes = 0;

    for (uint32_t i = 0; i < timers->count; i++) {
        struct membership *m = timers->heap[i].session->memberships;

        for (; m; m = m->sibling) {
            if (m->room->first != m)
                continue;
            check_room(chat, m->room);
            registered += m->room->members > 0;
            for (enum encoding e = 0; e < ENCODINGS; e++)
                lanes += m->room->lanes[e] != NULL;
        }
    }
    assert_int_equal(chat->lanes_pool.objects, lanes);
    assert_int_equal(HASH_CNT(by_name, chat->rooms), registered);
}

/* ---- Sessions ----------------------------------------------------------- */

static void check_places(const struct session *session)
{
    uint32_t rooms = 0, leaving = 0;

    for (const struct membership *m = session->memberships; m; m = m->sibling) {
        assert_ptr_equal(m->session, session);
        rooms += !m->leaving;
        leaving += m->leaving;
    }
    assert_int_equal(session->room_count, rooms);
    assert_int_equal(session->leaving_count, leaving);
    assert_true(rooms <= ROOMS_PER_SESSION_MAX);
    assert_true(leaving <= MEMBERSHIPS_MAX);
    if (session->state != SESSION_OPEN && session->state != SESSION_ENDED)
        assert_int_equal(rooms, 0);
}

/* Before WELCOME a session is nobody. */
static void check_greeting(const struct session *session)
{
    const struct binary *binary = session->binary;

    assert_int_equal(session->nick_length, 0);
    assert_null(session->memberships);
    assert_false(session->decoder.greeted);
    assert_true(binary && binary->stamp == 0);
}

static void check_binary(const struct session *session)
{
    const struct binary *binary = session->binary;

    assert_true(binary->unanswered <= HEARTBEATS_UNANSWERED_MAX);
    assert_true(binary->unanswered <= binary->stamp);
    assert_true(binary->ping_ahead <= session_unread(session));
    assert_true(binary->ping_ahead == 0 || binary->unanswered > 0);
    if (session->encoding == ENCODING_SEALED)
        assert_true(binary->peer.sealed);
    else
        assert_int_equal(session->encoding,
                         dialect_encoding(session->decoder.dialect));
}

/* Time runs for a frame that has begun, and for no other reason. */
static void check_within(const struct session *session)
{
    bool begun = session->binary && decoder_is_within(&session->decoder);

    if (!session_listens(session))
        return;
    assert_true(begun || !session->within);
    assert_true(session->within || session->paused || !begun);
}

static void check_session(struct chat *chat, struct session *session)
{
    bool open = session->state == SESSION_OPEN;
    struct session *named = NULL;

    if (session->nick_length > 0)
        named = nick_find(chat, session_nick(session));
    assert_int_equal(named == session, open);
    assert_int_equal(session->named, open);
    assert_true(session_listens(session) || !session->paused);
    assert_true(!session->inbox || session->paused ||
                !session_listens(session));
    assert_int_equal(!session->binary,
                     session->decoder.dialect == DIALECT_TEXT);
    if (session->state == SESSION_GREETING)
        check_greeting(session);
    if (session->binary)
        check_binary(session);
    check_within(session);
    if (session_listens(session))
        assert_int_equal(session->request_id, 0);
    if (session->state == SESSION_ENDED)
        assert_true(session->ready);
    check_places(session);
}

static void check_timer(const struct timers *timers, uint32_t index)
{
    const struct timer *timer = &timers->heap[index];

    assert_int_equal(timer->session->timer_index, index);
    assert_true(timer->deadline_ns <= session_deadline(timer->session));
    if (index > 0)
        assert_true(timers->heap[(index - 1) / 2].deadline_ns <=
                    timer->deadline_ns);
}

static void check_ready_list(const struct chat *chat, uint32_t ready)
{
    const struct session *session = chat->ready_first;
    const struct session *previous = NULL;

    for (; session; previous = session, session = session->ready_next) {
        assert_true(session->ready && ready > 0);
        assert_ptr_equal(session->ready_previous, previous);
        ready--;
    }
    assert_ptr_equal(chat->ready_last, previous);
    assert_int_equal(ready, 0);
}

/* Those that are closed and not freed yet are in no list. */
static void check_pools(const struct chat *chat, size_t binaries)
{
    size_t closed = chat->sessions_pool.objects - chat->timers.count;

    assert_in_range(chat->binaries_pool.objects, binaries, binaries + closed);
}

static void check_sessions(struct chat *chat)
{
    const struct timers *timers = &chat->timers;
    uint32_t blocked = 0, refused = 0, uncounted = 0, ready = 0, open = 0;
    uint32_t served = 0, binaries = 0;

    for (uint32_t i = 0; i < timers->count; i++) {
        struct session *session = timers->heap[i].session;

        check_timer(timers, i);
        check_session(chat, session);
        blocked += session->blocked;
        refused += session->refused;
        uncounted += session->uncounted;
        ready += session->ready;
        open += session->state == SESSION_OPEN;
        served += session->served;
        binaries += session->binary != NULL;
    }
    assert_int_equal(chat->blocked, blocked);
    assert_int_equal(chat->shards->refused, refused);
    assert_int_equal(chat->shards->uncounted, uncounted);
    assert_int_equal(chat->serving, served);
    check_pools(chat, binaries);
    assert_int_equal(chat->shards->sessions + refused + uncounted,
                     timers->count);
    assert_int_equal(chat->shards->nicks.count, open);
    check_ready_list(chat, ready);
}

void check_chat(struct chat *chat)
{
    check_sessions(chat);
    check_rooms(chat);
}

/* ---- Idle --------------------------------------------------------------- */

static void check_nothing_due(const struct session *session)
{
    assert_false(session->ready);
    if (session->blocked || session->span.segment)
        return;
    assert_int_equal(session->outbox.bytes, 0);
    for (const struct membership *m = session->memberships; m; m = m->sibling)
        assert_false(membership_due(m));
    if (!session_listens(session))
        assert_int_equal(session->state, SESSION_LINGERING);
    if (session->paused) /* for its rate alone, or it would wait for ever */
        assert_true(session->until_ns < UINT64_MAX);
}

void check_chat_idle(struct chat *chat)
{
    const struct timers *timers = &chat->timers;

    assert_null(chat->ready_first);
    assert_null(chat->rooms_ready_first);
    for (uint32_t i = 0; i < timers->count; i++)
        check_nothing_due(timers->heap[i].session);
}

bool is_drained(const struct session *session)
{
    return !session->span.segment && session->outbox.bytes == 0 &&
           !session->memberships;
}

bool is_turn_awaited(const struct session *session)
{
    const struct chat *chat = session->chat;

    return session->paused &&
           (chat->waiting || session->until_ns == chat->now_ns + 1) &&
           chat->config.rate_per_second == 0;
}

bool is_turn_full(const struct chat *chat)
{
    return chat->appended_bytes > chat->config.room_window_bytes / 2;
}

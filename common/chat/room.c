/*
 * Rooms: who is in them, what is said in them, and who still has to be sent it.
 *
 *   R1  a room is registered under its name while it has a member that is not
 *       leaving; its memory lives until its last reader has been sent its end.
 *   R2  a lane exists while it has a reader.
 *   R3  every reader that has news, takes bytes and is not on the ready list
 *       itself is among the `unvisited` ones from `sweep` on; and while there
 *       are any of those the room is on the ready list.
 */
#include "common/chat/internal.h"
#include "common/wire/name.h"

#include <assert.h>
#include <string.h>

struct membership *session_current(const struct session *session)
{
    struct membership *latest = NULL;

    for (struct membership *m = session->memberships; m; m = m->sibling) {
        if (!m->leaving && (!latest || m->stamp > latest->stamp))
            latest = m;
    }
    return latest;
}

struct membership *session_membership(const struct session *session,
                                      struct slice name)
{
    for (struct membership *m = session->memberships; m; m = m->sibling) {
        if (!m->leaving && name_equals(room_name(m->room), name))
            return m;
    }
    return NULL;
}

struct lane *membership_lane(const struct membership *membership)
{
    return membership->room->lanes[membership->session->encoding];
}

uint64_t membership_end(const struct membership *membership)
{
    if (membership->leaving)
        return membership->end.position;
    return lane_head(membership_lane(membership)).position;
}

bool membership_due(const struct membership *membership)
{
    return membership->cursor.position < membership_end(membership);
}

/* ---- Posting ------------------------------------------------------------ */

/* Room for a record. When memory is short, what slow members have not taken yet
 * goes first: they are told that they lag. */
static unsigned char *lane_make_room(struct chat *chat, struct lane *lane,
                                     uint32_t length)
{
    unsigned char *out;

    while (!(out = lane_reserve(lane, &chat->segments, length))) {
        if (!lane_shrink(lane, &chat->segments))
            return NULL;
    }
    return out;
}

/* Writes the event where the lane's next record goes. Returns its length, 0
 * without memory. */
static uint32_t lane_write(struct chat *chat, struct lane *lane,
                           enum encoding encoding, const struct event *event)
{
    struct outgoing outgoing;
    uint32_t length =
        (uint32_t)wire_prepare(chat->wire, encoding, NULL, event, &outgoing);
    unsigned char *out = lane_make_room(chat, lane, length);
    const unsigned char *end;

    if (!out)
        return 0;
    end = wire_write(chat->wire, &outgoing, out);
    if (!end)
        return 0;
    assert(end == out + length);
    return length;
}

/* The lane of one who is about to join has no reader yet. */
static bool is_read(const struct room *room, enum encoding encoding)
{
    return room->lanes[encoding] && lane_is_read(room->lanes[encoding]);
}

static void lanes_cancel(struct chat *chat, struct room *room)
{
    for (enum encoding e = 0; e < ENCODINGS; e++) {
        if (is_read(room, e))
            lane_cancel(room->lanes[e], &chat->segments);
    }
}

/* Writes the event to each lane of the room; false without memory, with
 * nothing changed. `*largest` is the longest of the records. */
static bool lanes_write(struct chat *chat, struct room *room,
                        const struct event *event, uint32_t length[ENCODINGS],
                        uint32_t *largest)
{
    *largest = 0;
    for (enum encoding e = 0; e < ENCODINGS; e++) {
        if (!is_read(room, e))
            continue;
        length[e] = lane_write(chat, room->lanes[e], e, event);
        if (length[e] == 0) {
            lanes_cancel(chat, room);
            return false;
        }
        if (length[e] > *largest)
            *largest = length[e];
    }
    return true;
}

bool room_post(struct chat *chat, struct room *room, const struct event *event,
               enum record_kind kind)
{
    uint32_t length[ENCODINGS];
    uint32_t largest;

    if (!lanes_write(chat, room, event, length, &largest))
        return false;
    chat->appended_bytes += largest;
    for (enum encoding e = 0; e < ENCODINGS; e++) {
        if (is_read(room, e))
            lane_commit(room->lanes[e], &chat->segments, length[e], kind,
                        chat->config.room_window_bytes);
    }
    if (kind == RECORD_MESSAGE)
        room->seq++;
    room->unvisited = room->readers;
    rooms_ready_add(chat, room);
    return true;
}

/* Tells the room of somebody who comes or goes, if its `members`, the one
 * concerned counted, are few enough. False without memory. */
static bool tell_presence(struct room *room, enum event_kind kind,
                          const struct session *who, uint32_t members)
{
    struct event event = {
        .kind = kind,
        .room = room_name(room),
        .nick = session_nick(who),
        .seq = room->seq,
    };

    if (members < 2 || members > who->chat->config.presence_members_max)
        return true;
    return room_post(who->chat, room, &event, RECORD_NOTICE);
}

/* A notice that finds no memory is lost: see room_leave. */
void room_tell_nick(struct room *room, const struct session *who,
                    struct slice nick)
{
    struct event event = {
        .kind = EVENT_NICK,
        .room = room_name(room),
        .nick = session_nick(who),
        .text = nick,
        .seq = room->seq,
    };

    if (room->members <= who->chat->config.presence_members_max)
        room_post(who->chat, room, &event, RECORD_NOTICE);
}

bool room_change_topic(struct room *room, const struct session *who,
                       struct slice topic)
{
    struct chat *chat = who->chat;
    char *copy = budget_alloc(&chat->budget, topic.length);
    struct event event = {
        .kind = EVENT_TOPIC,
        .room = room_name(room),
        .nick = session_nick(who),
        .text = topic,
        .seq = room->seq,
    };

    if (!copy)
        return false;
    if (!room_post(chat, room, &event, RECORD_NOTICE)) {
        budget_free(&chat->budget, copy, topic.length);
        return false;
    }
    memcpy(copy, topic.bytes, topic.length);
    budget_free(&chat->budget, room->topic, room->topic_length);
    room->topic = copy;
    room->topic_length = (uint32_t)topic.length;
    return true;
}

/* ---- Making and ending -------------------------------------------------- */

static struct room *room_create(struct chat *chat, struct slice name)
{
    struct room *room = pool_alloc(&chat->rooms_pool);

    if (!room)
        return NULL;
    *room = (struct room){.name_length = (uint8_t)name.length};
    memcpy(room->name, name.bytes, name.length);
    if (room_add(chat, room))
        return room;
    pool_free(&chat->rooms_pool, room);
    return NULL;
}

static void room_free(struct chat *chat, struct room *room)
{
    assert(room->readers == 0);
    budget_free(&chat->budget, room->topic, room->topic_length);
    pool_free(&chat->rooms_pool, room);
}

void room_settle(struct chat *chat, struct room *room)
{
    if (room->readers == 0 && !room->ready)
        room_free(chat, room);
}

static struct lane *lane_get(struct chat *chat, struct room *room,
                             enum encoding encoding)
{
    struct lane *lane = room->lanes[encoding];

    if (lane)
        return lane;
    lane = pool_alloc(&chat->lanes_pool);
    if (!lane)
        return NULL;
    lane_init(lane, room->seq);
    room->lanes[encoding] = lane;
    return lane;
}

static void lane_put(struct chat *chat, struct room *room,
                     enum encoding encoding)
{
    struct lane *lane = room->lanes[encoding];

    if (lane_is_read(lane))
        return;
    lane_release(lane, &chat->segments);
    pool_free(&chat->lanes_pool, lane);
    room->lanes[encoding] = NULL; /* R2 */
}

static bool room_shrink(struct chat *chat, struct room *room)
{
    bool shrunk = false;

    for (enum encoding e = 0; e < ENCODINGS; e++) {
        if (room->lanes[e] && lane_shrink(room->lanes[e], &chat->segments))
            shrunk = true;
    }
    return shrunk;
}

void rooms_shrink(struct chat *chat)
{
    bool shrunk = true;

    while (shrunk && memory_is_short(chat)) {
        shrunk = false;
        for (struct room *room = chat->rooms; room; room = room->by_name.next)
            shrunk |= room_shrink(chat, room);
    }
}

/* ---- Memberships -------------------------------------------------------- */

static struct membership *membership_create(struct session *session)
{
    struct membership *membership = &session->home;

    if (membership->room)
        membership = pool_alloc(&session->chat->memberships_pool);
    if (membership)
        *membership = (struct membership){.session = session};
    return membership;
}

static void membership_free(struct membership *membership)
{
    struct session *session = membership->session;

    if (membership == &session->home)
        membership->room = NULL;
    else
        pool_free(&session->chat->memberships_pool, membership);
}

/* The new one stands last in the circle, and is the session's last. */
static void membership_link(struct membership *membership, struct room *room)
{
    struct membership **place = &membership->session->memberships;

    membership->room = room;
    if (!room->first) {
        membership->next = membership->previous = membership;
        room->first = room->sweep = membership;
    } else {
        membership->next = room->first;
        membership->previous = room->first->previous;
        membership->previous->next = membership;
        membership->next->previous = membership;
    }
    while (*place)
        place = &(*place)->sibling;
    *place = membership;
    /* It is told that it has joined before it is sent anything. */
    membership->session->rooms_next = false;
    membership->session->outbox_first = true;
}

static void membership_unlink(struct membership *membership)
{
    struct membership **place = &membership->session->memberships;
    struct membership *next = membership->next;
    struct room *room = membership->room;

    if (next == membership)
        next = NULL;
    if (room->first == membership)
        room->first = next;
    if (room->sweep == membership)
        room->sweep = next;
    membership->next->previous = membership->previous;
    membership->previous->next = membership->next;
    while (*place != membership)
        place = &(*place)->sibling;
    *place = membership->sibling;
}

void membership_select(struct membership *membership)
{
    uint32_t latest = 0;

    for (struct membership *m = membership->session->memberships; m;
         m = m->sibling) {
        if (m->stamp > latest)
            latest = m->stamp;
    }
    membership->stamp = latest + 1;
}

static void membership_enter(struct membership *membership, struct room *room,
                             struct lane *lane)
{
    struct session *session = membership->session;

    membership_link(membership, room);
    membership_select(membership);
    membership->cursor = lane_join(lane);
    session->room_count++;
    room->members++;
    room->readers++;
    if (room->unvisited > 0)
        room->unvisited++; /* R3: it may stand between others in the arc */
}

struct membership *room_join(struct session *session, struct slice name)
{
    struct chat *chat = session->chat;
    struct room *room = room_find(chat, name);
    struct membership *membership;
    struct lane *lane;

    if (!room)
        room = room_create(chat, name);
    if (!room)
        return NULL;
    membership = membership_create(session);
    if (!membership)
        goto end_room;
    lane = lane_get(chat, room, session->encoding);
    if (!lane)
        goto free_membership;
    if (!tell_presence(room, EVENT_JOINED, session, room->members + 1))
        goto put_lane;
    membership_enter(membership, room, lane);
    return membership;
put_lane:
    lane_put(chat, room, session->encoding);
free_membership:
    membership_free(membership);
end_room:
    if (room->members == 0) {
        room_remove(chat, room);
        room_settle(chat, room);
    }
    return NULL;
}

/* A notice that finds no memory is lost: somebody who leaves cannot be kept. */
void room_leave(struct membership *membership)
{
    struct session *session = membership->session;
    struct chat *chat = session->chat;
    struct room *room = membership->room;

    /* First where it ends, then the notice: the leaver does not see it. */
    membership->end = lane_head(membership_lane(membership));
    membership->leaving = true;
    session->room_count--;
    session->leaving_count++;
    if (!chat->stopping)
        tell_presence(room, EVENT_LEFT, session, room->members);
    room->members--;
    if (room->members == 0)
        room_remove(chat, room); /* R1 */
    if (!membership_due(membership))
        membership_finish(membership);
}

void membership_finish(struct membership *membership)
{
    struct session *session = membership->session;
    struct chat *chat = session->chat;
    struct room *room = membership->room;

    assert(membership->leaving);
    lane_leave(membership_lane(membership), &chat->segments,
               membership->cursor);
    membership_unlink(membership);
    membership_free(membership);
    session->leaving_count--;
    room->readers--;
    lane_put(chat, room, session->encoding);
    if (room->unvisited > room->readers)
        room->unvisited = room->readers;
    room_settle(chat, room);
}

/* ---- The sweep ---------------------------------------------------------- */

struct session *room_sweep(struct chat *chat, struct room *room)
{
    while (room->unvisited > 0) {
        struct membership *membership = room->sweep;
        struct session *session = membership->session;

        if (chat->swept == SWEEP_MEMBERS_MAX)
            return NULL;
        chat->swept++;
        room->unvisited--;
        room->sweep = membership->next;
        if (!session->blocked && membership_due(membership))
            return session;
    }
    return NULL;
}

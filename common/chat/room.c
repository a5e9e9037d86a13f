/*
 * Rooms: who is in them, what is said in them, and who still has to be sent it.
 * A room of another worker has its members here, and is asked for the rest
 * (handover.c).
 *
 *   R1  a room is registered under its name while it has a member that is not
 *       leaving, or (of another worker) that is expected; its memory lives
 *       until its last reader has been sent its end, and nobody follows it.
 *   R2  a lane exists while it has a reader, or another worker follows it.
 *   R3  every reader that has news, takes bytes and is not on the ready list
 *       itself is among the `unvisited` ones from `sweep` on; and while there
 *       are any of those the room is on the ready list.
 */
#include "common/chat/internal.h"
#include "common/chat/shared.h"
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

static struct lane *membership_lane(const struct membership *membership)
{
    return membership->room->lanes[membership->session->encoding];
}

struct following *membership_following(const struct membership *membership)
{
    return membership->room->followings[membership->session->encoding];
}

static struct cursor membership_head(const struct membership *membership)
{
    if (membership->room->remote)
        return membership_following(membership)->follower.view.head;
    return lane_head(membership_lane(membership));
}

struct cursor membership_end(const struct membership *membership)
{
    if (membership->awaited)
        return membership_following(membership)->news_head;
    if (membership->leaving)
        return membership->end;
    return membership_head(membership);
}

bool membership_due(const struct membership *membership)
{
    return membership->cursor.position < membership_end(membership).position;
}

/* ---- Posting ------------------------------------------------------------ */

/* Room for a record. When memory is short, what slow members have not taken yet
 * goes first: they are told that they lag. */
static unsigned char *lane_make_room(struct chat *chat, struct lane *lane,
                                     uint32_t length)
{
    unsigned char *out;

    while (!(out = lane_reserve(lane, &chat->segments, length))) {
        /* What others read comes back only a grace period later. */
        if (lane->shared || !lane_shrink(lane, &chat->segments))
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

static bool room_post(struct chat *chat, struct room *room,
                      const struct event *event, enum record_kind kind)
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
    if (room->readers > 0)
        rooms_ready_add(chat, room);
    rooms_news_add(chat, room);
    return true;
}

uint64_t room_say(struct chat *chat, struct room *room, struct slice nick,
                  struct slice text, struct slice content_type)
{
    struct event event = {
        .kind = EVENT_MESSAGE,
        .room = room_name(room),
        .nick = nick,
        .text = text,
        .content_type = content_type,
        .seq = room->seq + 1,
        .time_us = chat->wall_us,
    };

    return room_post(chat, room, &event, RECORD_MESSAGE) ? event.seq : 0;
}

/* Tells the room of somebody who comes or goes, if its `members`, the one
 * concerned counted, are few enough. False without memory. */
static bool tell_presence(struct chat *chat, struct room *room,
                          enum event_kind kind, struct slice nick,
                          uint32_t members)
{
    struct event event = {
        .kind = kind,
        .room = room_name(room),
        .nick = nick,
        .seq = room->seq,
    };

    if (members < 2 || members > chat->config.presence_members_max)
        return true;
    return room_post(chat, room, &event, RECORD_NOTICE);
}

/* A notice that finds no memory is lost: see room_leave. */
void room_tell_nick(struct chat *chat, struct room *room, struct slice from,
                    struct slice to)
{
    struct event event = {
        .kind = EVENT_NICK,
        .room = room_name(room),
        .nick = from,
        .text = to,
        .seq = room->seq,
    };

    if (room->members <= chat->config.presence_members_max)
        room_post(chat, room, &event, RECORD_NOTICE);
}

/* Replaces the topic and tells the room; false without memory, with nothing
 * changed. */
static bool change_topic(struct chat *chat, struct room *room,
                         struct slice nick, struct slice topic)
{
    char *copy = budget_alloc(chat->budget, topic.length);
    struct event event = {
        .kind = EVENT_TOPIC,
        .room = room_name(room),
        .nick = nick,
        .text = topic,
        .seq = room->seq,
    };

    if (!copy)
        return false;
    if (!room_post(chat, room, &event, RECORD_NOTICE)) {
        budget_free(chat->budget, copy, topic.length);
        return false;
    }
    memcpy(copy, topic.bytes, topic.length);
    budget_free(chat->budget, room->topic, room->topic_length);
    room->topic = copy;
    room->topic_length = (uint32_t)topic.length;
    return true;
}

struct slice room_topic(const struct room *room)
{
    return (struct slice){room->topic ? room->topic : "", room->topic_length};
}

bool room_set_topic(struct chat *chat, struct room *room, struct slice nick,
                    struct slice topic)
{
    return topic.length == 0 || slice_equals(topic, room_topic(room)) ||
           change_topic(chat, room, nick, topic);
}

/* ---- Making and ending -------------------------------------------------- */

static struct room *room_create(struct chat *chat, struct slice name,
                                bool remote)
{
    struct room *room = pool_alloc(&chat->rooms_pool);

    if (!room)
        return NULL;
    *room = (struct room){
        .remote = remote,
        .name_length = (uint8_t)name.length,
    };
    memcpy(room->name, name.bytes, name.length);
    if (room_add(chat, room))
        return room;
    pool_free(&chat->rooms_pool, room);
    return NULL;
}

/* The room of a name, made if there is none; NULL without memory. */
static struct room *room_get(struct chat *chat, struct slice name, bool remote)
{
    struct room *room = room_find(chat, name);

    return room ? room : room_create(chat, name, remote);
}

static void room_free(struct chat *chat, struct room *room)
{
    assert(room->readers == 0);
    if (!room->remote)
        budget_free(chat->budget, room->topic, room->topic_length);
    pool_free(&chat->rooms_pool, room);
}

/* Whether something is left that leads to it: of another worker's room its
 * followings, of ours the lanes that another worker knows. */
static bool is_led_to(const struct room *room)
{
    for (enum encoding e = 0; e < ENCODINGS; e++) {
        if (room->lanes[e])
            return true;
    }
    return room->readers > 0 || room->by_name.tbl;
}

void room_settle(struct chat *chat, struct room *room)
{
    if (!is_led_to(room) && !room->ready && !room->news)
        room_free(chat, room);
}

/* R1: nobody is in it any more. */
static void room_close(struct chat *chat, struct room *room)
{
    if (room->members == 0 && (!room->remote || room->expected == 0))
        room_remove(chat, room);
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

void lane_put(struct chat *chat, struct room *room, enum encoding encoding)
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

    if (room->remote)
        return false;
    for (enum encoding e = 0; e < ENCODINGS; e++) {
        if (room->lanes[e] && lane_shrink(room->lanes[e], &chat->segments))
            shrunk = true;
    }
    return shrunk;
}

/* What has been given up is on its way. */
static bool stays_short(const struct chat *chat)
{
    uint64_t limit = chat->config.memory_bytes_max;

    return chat->budget->used_bytes >=
           limit - limit / 8 + memory_on_its_way(chat);
}

void rooms_shrink(struct chat *chat)
{
    bool shrunk = true;

    while (shrunk && stays_short(chat)) {
        shrunk = false;
        for (struct room *room = chat->rooms; room; room = room->by_name.next)
            shrunk |= room_shrink(chat, room);
    }
}

/* ---- Memberships -------------------------------------------------------- */

static struct membership *membership_create(struct session *session,
                                            struct room *room)
{
    struct membership *membership = &session->home;

    if (membership->room)
        membership = pool_alloc(&session->chat->memberships_pool);
    if (membership)
        *membership = (struct membership){.session = session, .room = room};
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
static void membership_link(struct membership *membership)
{
    struct membership **place = &membership->session->memberships;
    struct room *room = membership->room;

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

/* It has its cursor. */
static void membership_enter(struct membership *membership)
{
    struct session *session = membership->session;
    struct room *room = membership->room;

    membership_link(membership);
    membership_select(membership);
    session->room_count++;
    room->members++;
    room->readers++;
    if (room->unvisited > 0)
        room->unvisited++; /* R3: it may stand between others in the arc */
}

/* The lane that somebody is about to join, who has been announced to the room;
 * NULL without memory, with nothing changed. */
static struct lane *lane_announced(struct chat *chat, struct room *room,
                                   enum encoding encoding, struct slice nick)
{
    struct lane *lane = lane_get(chat, room, encoding);

    if (!lane)
        return NULL;
    if (tell_presence(chat, room, EVENT_JOINED, nick, room->members + 1))
        return lane;
    lane_put(chat, room, encoding);
    return NULL;
}

/* Joins a room of this worker. */
static struct membership *join_here(struct session *session, struct room *room)
{
    struct membership *membership = membership_create(session, room);
    struct lane *lane;

    if (!membership)
        return NULL;
    lane = lane_announced(session->chat, room, session->encoding,
                          session_nick(session));
    if (!lane) {
        membership_free(membership);
        return NULL;
    }
    membership->cursor = lane_join(lane);
    membership_enter(membership);
    return membership;
}

/* Asks the owner of the room for a place. */
static struct membership *join_there(struct session *session, struct room *room)
{
    struct membership *membership = membership_create(session, room);

    if (!membership)
        return NULL;
    if (!following_get(session->chat, room, session->encoding)) {
        membership_free(membership);
        return NULL;
    }
    follower_await(&room->followings[session->encoding]->follower);
    room->expected++;
    membership->awaited = true;
    session_park(session);
    waiter_send(session->chat, room_owner(session->chat, room_name(room)),
                &membership->waiter, LETTER_JOIN);
    return membership;
}

bool room_join(struct session *session, struct slice name)
{
    struct chat *chat = session->chat;
    bool remote = room_owner(chat, name) != chat->worker;
    struct room *room = room_get(chat, name, remote);
    struct membership *membership;

    if (!room)
        return false;
    membership = remote ? join_there(session, room) : join_here(session, room);
    if (!membership) {
        room_close(chat, room);
        room_settle(chat, room);
        return false;
    }
    if (!membership->awaited)
        session_joined(session, membership, room->members);
    return true;
}

/* Its name is the owner's from now on, which may have it in other letters. */
void membership_joined(struct membership *membership, struct room *home,
                       const struct letter_name *name,
                       struct shared_lane *shared, struct cursor cursor)
{
    struct session *session = membership->session;
    struct room *room = membership->room;

    membership->awaited = false;
    membership->cursor = cursor;
    room->home = home;
    assert(name->length == room->name_length);
    memcpy(room->name, name->bytes, name->length);
    room->expected--;
    following_join(session->chat, membership_following(membership), shared,
                   cursor);
    membership_enter(membership);
}

void membership_refused(struct membership *membership)
{
    struct chat *chat = membership->session->chat;
    struct following *following = membership_following(membership);
    struct room *room = membership->room;

    room->expected--;
    membership_free(membership);
    room_close(chat, room);
    following_refuse(chat, following);
}

struct lane *room_admit(struct chat *chat, struct slice name,
                        enum encoding encoding, struct slice nick,
                        struct room **room)
{
    struct lane *lane;

    *room = room_get(chat, name, false);
    if (!*room)
        return NULL;
    lane = lane_announced(chat, *room, encoding, nick);
    if (lane && (lane->shared || lane_share(lane, &chat->segments,
                                            chat->config.room_window_bytes))) {
        (*room)->members++;
        return lane;
    }
    if (lane)
        lane_put(chat, *room, encoding);
    room_close(chat, *room);
    room_settle(chat, *room);
    return NULL;
}

struct cursor room_end(const struct room *room, enum encoding encoding)
{
    return lane_head(room->lanes[encoding]);
}

void room_depart(struct chat *chat, struct room *room, struct slice nick,
                 bool quiet)
{
    if (!quiet)
        tell_presence(chat, room, EVENT_LEFT, nick, room->members);
    room->members--;
    room_close(chat, room);
}

/* Where it ends, the room's owner knows. */
static void leave_there(struct membership *membership)
{
    struct session *session = membership->session;
    struct room *room = membership->room;

    membership->awaited = true;
    session->awaited++;
    waiter_send(session->chat, room_owner(session->chat, room_name(room)),
                &membership->waiter, LETTER_LEAVE);
    room->members--;
    room_close(session->chat, room);
}

/* First where it ends, then the notice: the leaver does not see it. */
static void leave_here(struct membership *membership)
{
    struct session *session = membership->session;
    struct chat *chat = session->chat;

    membership->end = room_end(membership->room, session->encoding);
    room_depart(chat, membership->room, session_nick(session), chat->stopping);
    if (!membership_due(membership))
        membership_finish(membership);
}

/* A notice that finds no memory is lost: somebody who leaves cannot be kept. */
void room_leave(struct membership *membership)
{
    struct session *session = membership->session;

    membership->leaving = true;
    session->room_count--;
    session->leaving_count++;
    if (membership->room->remote)
        leave_there(membership);
    else
        leave_here(membership);
}

bool membership_left(struct membership *membership, struct cursor end)
{
    membership->awaited = false;
    if (membership->gone) {
        membership_free(membership);
        return false;
    }
    membership->end = end;
    /* The end may be behind what we have seen of the room. */
    following_reach(membership->session->chat, membership_following(membership),
                    end.position);
    if (!membership_due(membership))
        membership_finish(membership);
    return true;
}

/* It reads no more. */
static void stop_reading(struct membership *membership)
{
    struct session *session = membership->session;
    struct chat *chat = session->chat;
    struct room *room = membership->room;

    if (room->remote) {
        following_leave(chat, membership_following(membership),
                        membership->cursor);
        return;
    }
    lane_leave(membership_lane(membership), &chat->segments,
               membership->cursor);
    lane_put(chat, room, session->encoding);
}

void membership_finish(struct membership *membership)
{
    struct session *session = membership->session;
    struct chat *chat = session->chat;
    struct room *room = membership->room;

    assert(membership->leaving);
    membership_unlink(membership);
    session->leaving_count--;
    room->readers--;
    stop_reading(membership);
    if (membership->awaited)
        membership->gone = true;
    else
        membership_free(membership);
    if (room->unvisited > room->readers)
        room->unvisited = room->readers;
    room_settle(chat, room);
}

/* ---- Taking ------------------------------------------------------------- */

struct cursor membership_oldest(const struct membership *membership)
{
    struct chat *chat = membership->session->chat;

    if (!membership->room->remote)
        return lane_oldest(membership_lane(membership),
                           chat->config.room_window_bytes);
    following_refresh(chat, membership_following(membership));
    return follower_oldest(&membership_following(membership)->follower);
}

void membership_skip(struct membership *membership, struct cursor to)
{
    struct chat *chat = membership->session->chat;

    if (membership->room->remote)
        following_skip(chat, membership_following(membership),
                       &membership->cursor, to);
    else
        lane_skip(membership_lane(membership), &chat->segments,
                  &membership->cursor, to);
}

void membership_take(struct membership *membership, struct span *span)
{
    struct chat *chat = membership->session->chat;
    uint64_t end = membership_end(membership).position;

    if (membership->room->remote)
        following_take(chat, membership_following(membership),
                       &membership->cursor, end, span);
    else
        lane_take(membership_lane(membership), &chat->segments,
                  &membership->cursor, end, span);
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

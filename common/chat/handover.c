/*
 * What workers ask of one another, and answer. On the left the worker of who
 * asks, on the right the owner of the room:
 *
 *     JOIN     membership, following   -->  admits the follower, tells the room
 *              the membership begins   <--  JOINED  its lane, and a place in it
 *     POST                             -->  appends it
 *              ACK, or an error        <--  POSTED  only with an id, or failed
 *     RENAME   waits                   -->  tells the room
 *                                      <--  RENAMED
 *     TOPIC    waits                   <->  TOPIC_IS
 *     COUNT    waits                   <->  COUNTED
 *     LEAVE    takes what there was    -->  tells the room
 *              news of by then
 *              takes all up to the end <--  LEFT    where that is
 *              looks, and sends it on  <--  NEWS    up to where; once until it
 *                                                   has looked
 *     SETTLE   all here have all       -->  drops the tail; or, if nobody is
 *                                           left there, dismisses the follower
 *                                      <--  SETTLED
 *     FENCE    waits                   -->  has done what was asked before
 *                                      <--  FENCED
 *
 * PRIVATE goes to the worker of who is to be told, and is answered with TOLD.
 *
 * Nothing here waits, and what needs memory has it before it asks, or says in
 * the answer that there was none.
 */
#include "common/chat/internal.h"
#include "common/chat/shared.h"

#include <assert.h>

/* ---- What waited for room ----------------------------------------------- */

static void join_write(struct membership *membership, struct letter *letter)
{
    struct room *room = membership->room;

    letter->join.membership = membership;
    letter->join.following = membership_following(membership);
    letter->join.encoding = membership->session->encoding;
    letter->join.nick = letter_nick_of(session_nick(membership->session));
    letter->join.room = letter_name_of(room_name(room));
}

static void leave_write(struct membership *membership, struct letter *letter)
{
    struct session *session = membership->session;

    letter->leave.membership = membership;
    letter->leave.room = membership->room->home;
    letter->leave.encoding = session->encoding;
    letter->leave.nick = letter_nick_of(session_nick(session));
    letter->leave.quiet = session->chat->stopping;
}

static void settle_write(struct following *following, struct letter *letter)
{
    letter->settle.following = following;
    letter->settle.room = following->room->home;
    letter->settle.encoding = following->encoding;
    letter->settle.release = following->release;
}

void waiter_write(struct waiter *waiter, struct letter *letter)
{
    switch (waiter->kind) {
    case LETTER_JOIN:
        join_write(CONTAINER(struct membership, waiter, waiter), letter);
        return;
    case LETTER_LEAVE:
        leave_write(CONTAINER(struct membership, waiter, waiter), letter);
        return;
    case LETTER_SETTLE:
        settle_write(CONTAINER(struct following, waiter, waiter), letter);
        return;
    case LETTER_LISTING:
        letter->listing = listing_of(waiter);
        return;
    default:
        assert(!"nothing else waits");
    }
}

/* ---- At the owner ------------------------------------------------------- */

/* Whether the follower still has the lane of a room that has ended: for want of
 * memory somebody was refused who would have been in it. Who asks for the room
 * that is there now is refused too. */
static bool is_behind(struct chat *chat, const struct letter *letter)
{
    const struct reach *reach = &letter->join.following->follower.reach;
    const struct room *room =
        room_find(chat, letter_name_slice(&letter->join.room));

    return reach->lane &&
           (!room || room->lanes[letter->join.encoding] != reach->lane);
}

static void take_join(struct chat *chat, uint32_t from,
                      const struct letter *letter)
{
    enum encoding encoding = letter->join.encoding;
    struct room *room;
    struct lane *lane =
        is_behind(chat, letter)
            ? NULL
            : room_admit(chat, letter_name_slice(&letter->join.room), encoding,
                         letter_nick_slice(&letter->join.nick), &room);
    struct letter *answer = answer_begin(chat, from, LETTER_JOINED);

    answer->joined.membership = letter->join.membership;
    if (lane) {
        answer->joined.room = room;
        answer->joined.name = letter_name_of(room_name(room));
        answer->joined.shared = lane->shared;
        answer->joined.members = room->members;
        answer->joined.cursor =
            lane_admit(lane, &letter->join.following->follower.reach);
    }
    answer_send(chat, from);
}

static void take_leave(struct chat *chat, uint32_t from,
                       const struct letter *letter)
{
    struct room *room = letter->leave.room;
    struct letter *answer = answer_begin(chat, from, LETTER_LEFT);

    answer->left.membership = letter->leave.membership;
    answer->left.end = room_end(room, letter->leave.encoding);
    answer_send(chat, from);
    room_depart(chat, room, letter_nick_slice(&letter->leave.nick),
                letter->leave.quiet);
}

static void take_post(struct chat *chat, uint32_t from,
                      const struct letter *letter)
{
    uint64_t seq =
        room_say(chat, letter->post.room, letter_nick_slice(&letter->post.nick),
                 letter_text(letter), letter_type(letter));
    struct letter *answer;

    if (letter->post.id == 0 && seq > 0)
        return;
    answer = answer_begin(chat, from, LETTER_POSTED);
    answer->posted.session = letter->post.session;
    answer->posted.session_id = letter->post.session_id;
    answer->posted.id = letter->post.id;
    answer->posted.seq = seq;
    answer_send(chat, from);
}

static void take_rename(struct chat *chat, uint32_t from,
                        const struct letter *letter)
{
    struct letter *answer = answer_begin(chat, from, LETTER_RENAMED);

    answer->errand = letter->rename.errand;
    answer_send(chat, from);
    room_tell_nick(chat, letter->rename.room,
                   letter_nick_slice(&letter->rename.from),
                   letter_nick_slice(&letter->rename.to));
}

static void take_fence(struct chat *chat, uint32_t from,
                       const struct letter *letter)
{
    struct letter *answer = answer_begin(chat, from, LETTER_FENCED);

    answer->errand = letter->errand;
    answer_send(chat, from);
}

static void take_topic(struct chat *chat, uint32_t from,
                       const struct letter *letter)
{
    struct room *room = letter->topic.room;
    bool done =
        room_set_topic(chat, room, letter_nick_slice(&letter->topic.nick),
                       letter_text(letter));
    struct letter *answer = NULL;

    if (done)
        answer =
            answer_begin_text(chat, from, LETTER_TOPIC_IS, room_topic(room));
    if (answer)
        answer->topic_is.done = true;
    else
        answer = answer_begin(chat, from, LETTER_TOPIC_IS);
    answer->topic_is.session = letter->topic.session;
    answer_send(chat, from);
}

static void take_count(struct chat *chat, uint32_t from,
                       const struct letter *letter)
{
    struct letter *answer = answer_begin(chat, from, LETTER_COUNTED);

    answer->counted.session = letter->count.session;
    answer->counted.members = letter->count.room->members;
    answer_send(chat, from);
}

static void take_settle(struct chat *chat, uint32_t from,
                        const struct letter *letter)
{
    struct following *following = letter->settle.following;
    enum encoding encoding = letter->settle.encoding;
    struct room *room = letter->settle.room;
    struct lane *lane = room->lanes[encoding];
    struct letter *answer = answer_begin(chat, from, LETTER_SETTLED);

    answer->settled.following = following;
    answer->settled.release = letter->settle.release;
    answer_send(chat, from);
    if (!letter->settle.release) {
        lane_settle(lane, &chat->segments);
        return;
    }
    lane_dismiss(lane, &chat->segments, &following->follower.reach);
    lane_put(chat, room, encoding);
    room_settle(chat, room);
}

/* ---- At the worker of who is told --------------------------------------- */

static enum error_code tell_private(struct session *receiver,
                                    const struct letter *letter)
{
    if (!receiver)
        return ERROR_NO_SUCH_NICK;
    return session_tell_private(receiver,
                                letter_nick_slice(&letter->private.from),
                                letter_text(letter), letter_type(letter));
}

static void take_private(struct chat *chat, uint32_t from,
                         const struct letter *letter)
{
    struct slice nick = letter_nick_slice(&letter->private.to);
    struct session *receiver = nick_session(chat, nick);
    struct letter *answer = answer_begin(chat, from, LETTER_TOLD);

    answer->told.session = letter->private.session;
    answer->told.nick =
        letter_nick_of(receiver ? session_nick(receiver) : nick);
    answer->told.outcome = tell_private(receiver, letter);
    answer->told.command = letter->private.command;
    answer_send(chat, from);
}

void request_take(struct chat *chat, uint32_t from, const struct letter *letter)
{
    switch (letter->kind) {
    case LETTER_JOIN:
        take_join(chat, from, letter);
        return;
    case LETTER_LEAVE:
        take_leave(chat, from, letter);
        return;
    case LETTER_POST:
        take_post(chat, from, letter);
        return;
    case LETTER_RENAME:
        take_rename(chat, from, letter);
        return;
    case LETTER_TOPIC:
        take_topic(chat, from, letter);
        return;
    case LETTER_COUNT:
        take_count(chat, from, letter);
        return;
    case LETTER_PRIVATE:
        take_private(chat, from, letter);
        return;
    case LETTER_SETTLE:
        take_settle(chat, from, letter);
        return;
    case LETTER_FENCE:
        take_fence(chat, from, letter);
        return;
    case LETTER_LISTING:
        listing_take(chat, letter->listing);
        return;
    default:
        assert(!"an answer among the requests");
    }
}

/* ---- At who asked ------------------------------------------------------- */

/* Its request, which is answered so, ends it. */
static void fault(struct session *session, const char *cause)
{
    session->parked = false;
    session_fault(session, cause);
}

/* What was asked for somebody who has gone meanwhile is given back. */
static void take_joined(const struct letter *letter)
{
    struct membership *membership = letter->joined.membership;
    struct session *session = membership->session;
    bool is_wanted = session_answered(session);

    if (!letter->joined.room) {
        membership_refused(membership);
        if (is_wanted)
            fault(session, "no memory for a membership");
        session_unpark(session);
        return;
    }
    membership_joined(membership, letter->joined.room, &letter->joined.name,
                      letter->joined.shared, letter->joined.cursor);
    if (is_wanted) {
        session_joined(session, membership, letter->joined.members);
    } else {
        room_leave(membership);
        membership_finish(membership);
    }
    session_unpark(session);
}

static void take_left(const struct letter *letter)
{
    struct membership *membership = letter->left.membership;
    struct session *session = membership->session;
    bool is_told = membership->told;

    if (is_told && session_answered(session))
        reply_left(session, room_name(membership->room));
    if (membership_left(membership, letter->left.end) && !session->blocked)
        ready_add(session);
    if (is_told)
        session_unpark(session);
    session_paid(session);
}

/* Whether the errand is done: then it is gone. */
static bool errand_over(struct chat *chat, struct errand *errand)
{
    if (--errand->awaited > 0)
        return false;
    budget_free(chat->budget, errand, sizeof(*errand));
    return true;
}

static void take_renamed(struct chat *chat, const struct letter *letter)
{
    struct session *session = letter->errand->session;

    if (!errand_over(chat, letter->errand))
        return;
    if (session_answered(session))
        reply_renamed(session);
    session_unpark(session);
}

static void take_fenced(struct chat *chat, const struct letter *letter)
{
    struct session *session = letter->errand->session;

    if (errand_over(chat, letter->errand))
        session_unpark(session);
}

/* The session, if it is still that one: none is owed the failure of what it
 * asked for without an id. */
static struct session *session_at(struct chat *chat, struct session *at,
                                  uint64_t id)
{
    for (uint32_t i = 0; i < chat->timers.count; i++) {
        struct session *session = chat->timers.heap[i].session;

        if (session == at && session->id == id)
            return session;
    }
    return NULL;
}

/* It ends the session, whose last word it is unless another error was first. */
static void post_failed(struct session *session, uint32_t id)
{
    if (session->binary)
        session->binary->post_failed = true;
    if (session_can_fail(session))
        session->request_id = id;
    fault(session, "no memory for a message");
}

static void take_posted(struct chat *chat, const struct letter *letter)
{
    uint32_t id = letter->posted.id;
    struct session *session = id > 0 ? letter->posted.session
                                     : session_at(chat, letter->posted.session,
                                                  letter->posted.session_id);
    bool is_relieved;

    if (!session)
        return;
    if (letter->posted.seq == 0)
        post_failed(session, id);
    else if (!session->binary->post_failed) /* or an answer would be left out */
        session_acknowledge(session, id, letter->posted.seq);
    if (id == 0)
        return;
    is_relieved = session->awaited == AWAITED_MAX + 1;
    session_paid(session);
    if (is_relieved) /* it is owed more, and so still there */
        intake_relieve(session);
}

static void take_topic_is(const struct letter *letter)
{
    struct session *session = letter->topic_is.session;

    if (session_answered(session)) {
        const struct membership *current = session_current(session);

        if (letter->topic_is.done)
            reply_topic(session, room_name(current->room), letter_text(letter));
        else
            fault(session, "no memory for a topic");
    }
    session_unpark(session);
}

static void take_counted(const struct letter *letter)
{
    struct session *session = letter->counted.session;

    if (session_answered(session))
        reply_joined(session, room_name(session_current(session)->room),
                     letter->counted.members);
    session_unpark(session);
}

static void take_told(const struct letter *letter)
{
    struct session *session = letter->told.session;

    if (session_answered(session))
        reply_told(session, letter_nick_slice(&letter->told.nick),
                   letter->told.outcome, letter->told.command);
    session_unpark(session);
}

void answer_take(struct chat *chat, const struct letter *letter)
{
    switch (letter->kind) {
    case LETTER_JOINED:
        take_joined(letter);
        return;
    case LETTER_LEFT:
        take_left(letter);
        return;
    case LETTER_POSTED:
        take_posted(chat, letter);
        return;
    case LETTER_RENAMED:
        take_renamed(chat, letter);
        return;
    case LETTER_FENCED:
        take_fenced(chat, letter);
        return;
    case LETTER_TOPIC_IS:
        take_topic_is(letter);
        return;
    case LETTER_COUNTED:
        take_counted(letter);
        return;
    case LETTER_TOLD:
        take_told(letter);
        return;
    case LETTER_SETTLED:
        following_settled(chat, letter->settled.following,
                          letter->settled.release);
        return;
    case LETTER_NEWS:
        following_news(chat, letter->news.reach, letter->news.head);
        return;
    default:
        assert(!"a request among the answers");
    }
}

/* ---- News --------------------------------------------------------------- */

/* False: there is no room for the letter. */
static bool tell_news(struct chat *chat, struct reach *reach)
{
    struct letter *letter;

    if (!answer_has_room(chat, reach->worker))
        return false;
    if (!reach_tell(reach))
        return true;
    letter = answer_begin(chat, reach->worker, LETTER_NEWS);
    letter->news.reach = reach;
    letter->news.head = lane_head(reach->lane);
    answer_send(chat, reach->worker);
    news_mark(chat, reach->worker);
    return true;
}

static bool lane_tell_news(struct chat *chat, const struct lane *lane)
{
    struct reach *reach = lane->shared ? lane->shared->followers : NULL;

    for (; reach; reach = reach->next) {
        if (!tell_news(chat, reach))
            return false;
    }
    return true;
}

static bool room_tell_news(struct chat *chat, const struct room *room)
{
    for (enum encoding e = 0; e < ENCODINGS; e++) {
        if (room->lanes[e] && !lane_tell_news(chat, room->lanes[e]))
            return false;
    }
    return true;
}

/* A room that finds no room for a letter is tried again next turn: those who
 * have been told are not told twice. */
void news_publish(struct chat *chat)
{
    while (chat->news_first) {
        struct room *room = chat->news_first;

        if (!room_tell_news(chat, room))
            return;
        rooms_news_shift(chat);
        room_settle(chat, room);
    }
}

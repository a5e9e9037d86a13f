/*
 * What the files of common/chat share and nobody else sees: the structures, and
 * the functions by which one file calls another.
 *
 *   chat.c      the whole: create, tick, whose turn it is, shutdown
 *   session.c   one peer's life: opened, ended, its deadlines
 *   intake.c    what comes from it: parsing, pausing
 *   output.c    what goes to it: replies, spans of its rooms, the last word
 *   room.c      members, posting, the sweep over who has news
 *   command.c   what `/nick` and the others do
 *   registry.c  finding nicks, rooms and addresses by name
 *   timers.c, metrics.c, histogram.c   as they say
 */
#ifndef RINGCHAT_CHAT_INTERNAL_H
#define RINGCHAT_CHAT_INTERNAL_H

#include "common/base/limits.h"
#include "common/buffer/budget.h"
#include "common/buffer/lane.h"
#include "common/buffer/outbox.h"
#include "common/buffer/pool.h"
#include "common/buffer/segment.h"
#include "common/chat/chat.h"
#include "common/chat/metrics.h"
#include "common/chat/timers.h"
#include "common/wire/wire.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/*
 * A session's place in a room: a cursor in the room's lane. One that has left
 * lives until it has been sent everything up to its end.
 */
struct membership {
    struct room *room; /* NULL: this one is free */
    struct session *session;
    struct membership *previous, *next; /* the room's circle of members */
    struct membership *sibling;         /* the session's next one */
    struct cursor cursor;
    struct cursor end; /* if leaving: no further than this */
    uint32_t stamp;    /* the session's latest is its current room */
    bool leaving;
};

/*
 * States of a session.
 *
 *     OPEN
 *      |  session_end: session_eof, /quit, an error that closes (a deadline
 *      |  passed, it is refused), chat_shutdown
 *      v
 *     ENDING      is still sent what it is due
 *      |     |
 *      |     +-- session_finish: it was the peer that ended ----------+
 *      |  last_word: it has been sent all that; `bye` or the error    |
 *      v                                                              |
 *     LAST_WORD                                                       |
 *      |     |                                                        |
 *      |     +-- session_finish: the peer will send no more ----------+
 *      |  session_finish: session_pending returns SESSION_SHUT        |
 *      v                                                              |
 *     LINGERING   what comes is dropped                               |
 *      |  session_eof, or a second has passed                         |
 *      v                                                              |
 *     ENDED <---------------------------------------------------------+
 *         session_pending returns SESSION_END. Want of memory leads here from
 *         every state, a deadline from all but OPEN: session_abandon.
 */
enum session_state {
    SESSION_OPEN,
    SESSION_ENDING,
    SESSION_LAST_WORD,
    SESSION_LINGERING,
    SESSION_ENDED,
};

/* Why a session ends, for the log and for its last word. */
enum ending {
    ENDING_NONE,
    ENDING_EOF,
    ENDING_QUIT,
    ENDING_ERROR, /* session->error says which */
    ENDING_NO_MEMORY,
};

struct session {
    struct chat *chat;
    void *user;
    UT_hash_handle by_nick;
    struct session *ready_next, *ready_previous;
    /* Out: what is being sent, then the outbox, then the memberships, whose
     * first has waited longest. */
    struct span span;
    struct outbox outbox;
    struct membership *memberships;
    struct membership home; /* the first one needs no allocation */
    /* In: a request that is not whole; bytes that may not be parsed yet. */
    struct decoder decoder;
    unsigned char *inbox;
    uint32_t inbox_from, inbox_length;
    /* Time. */
    uint32_t timer_index;
    uint64_t opened_ns;
    uint64_t heard_ns;    /* the last request; while paused, how long ago */
    uint64_t progress_ns; /* the peer took something, or sending began */
    uint64_t rate_ns;     /* when the rate will have caught up */
    uint64_t until_ns;    /* paused: when to try again; ending: at most */
    /* Figures. */
    uint64_t id;
    uint64_t messages, bytes_in, bytes_out;
    struct meter *meter;
    struct address *address;
    /* Who it is and how it stands. */
    enum error_code error : 8; /* if it ends with one */
    enum dialect dialect : 8;
    enum encoding encoding : 8;
    enum session_state state : 8;
    enum ending ending : 8;
    uint8_t room_count, leaving_count;
    uint8_t nick_length;
    uint32_t stamp;       /* of the last join */
    bool ready : 1;       /* on the ready list */
    bool blocked : 1;     /* the peer took less than was offered */
    bool span_outbox : 1; /* the span came from the outbox */
    bool paused : 1;
    bool eof : 1;
    bool refused : 1;
    bool uncounted : 1; /* its place is another's already */
    char nick[NICK_BYTES_MAX];
};

/* A room: a log in each encoding in use, and who reads it. */
struct room {
    UT_hash_handle by_name;
    struct lane *lanes[ENCODINGS];
    struct membership *first; /* the circle, in the order of joining */
    struct membership *sweep; /* whom to look at next */
    struct room *ready_next;
    char *topic;
    uint64_t seq;
    uint32_t members;   /* without those leaving */
    uint32_t readers;   /* with them */
    uint32_t unvisited; /* members to look at since the last append */
    uint32_t topic_length;
    bool ready;
    uint8_t name_length;
    char name[ROOM_NAME_BYTES_MAX];
};

_Static_assert(sizeof(struct room) + sizeof(struct lane) +
                       (3 * sizeof(struct lane *)) <=
                   256,
               "an idle room, with the lanes to come, costs 256 bytes");
_Static_assert(sizeof(struct session) <= 392, "an idle session is small");

/* A source address with its sessions. */
struct address {
    UT_hash_handle by_key;
    uint8_t key[ADDRESS_BYTES];
    uint32_t sessions;
};

struct chat {
    struct chat_config config;
    /* Time of this turn. */
    uint64_t now_ns, wall_us, started_ns;
    /* Memory. */
    struct budget budget;
    struct segment_store segments;
    struct pool sessions_pool, rooms_pool, lanes_pool, memberships_pool,
        meters_pool;
    /* Who is there. */
    struct session *nicks;
    struct room *rooms;
    struct address *addresses;
    uint8_t hash_key[ADDRESS_BYTES];
    uint32_t sessions, refused;
    uint64_t last_id;
    bool stopping;
    uint64_t stop_by_ns;
    /* Deadlines. */
    struct timers timers;
    /* Whose turn it is. */
    struct session *ready_first, *ready_last;
    struct room *rooms_ready_first, *rooms_ready_last;
    uint32_t swept; /* members of the first ready room looked at this turn */
    uint64_t appended_bytes; /* to rooms, in this turn */
    /* Figures. */
    struct metrics metrics;
    uint32_t blocked; /* sessions that take no more at the moment */
    struct meter *meters_first, *meters_last;
};

static inline struct slice session_nick(const struct session *session)
{
    return (struct slice){session->nick, session->nick_length};
}

static inline struct slice room_name(const struct room *room)
{
    return (struct slice){room->name, room->name_length};
}

/* ---- chat.c ---- */

/* Puts the session on the ready list; once is enough. */
void ready_add(struct session *);
void ready_remove(struct session *);

/* Puts the room on the list of those with news. */
void rooms_ready_add(struct chat *, struct room *);

/* ---- session.c ---- */

/* The room in which every session starts. */
#define LOBBY "lobby"

/* Logs an event of the session's, with up to 6 fields more. */
void session_log(struct session *, enum log_level, const char *event,
                 const struct log_field *more, size_t count);

/* Ends with an error that closes, as its last word. */
void session_fail(struct session *, enum error_code);

/* A fault of ours: the detail is a reference that is in the log too. */
void session_fault(struct session *, const char *cause);

/* Begins to end: leaves its rooms, and is sent what it is due before. */
void session_end(struct session *, enum ending);

/* Has fallen out of the window where that ends a session: what it is due goes
 * unsent. */
void session_lag_out(struct session *);

/* Ends now, whatever is due. */
void session_abandon(struct session *, enum ending);

/* Frees its place among those that are served: it has been told its last
 * word, or is gone. */
void session_uncount(struct session *);

/* A deadline has passed; when the next one comes. */
void session_expire(struct session *);
uint64_t session_deadline(const struct session *);

/* ---- intake.c: what comes from the peer ---- */

/* Parses on if it may now: called when what it waited for may have come. */
void session_resume(struct session *);

/* Frees what has been received and not acted on. */
void intake_drop(struct session *);

/* ---- output.c: what goes to the peer ---- */

/* Queues an event for the session alone. Without memory the session is
 * abandoned: it must not miss a reply and go on. */
void session_tell(struct session *, const struct event *);
void session_reply(struct session *, struct slice text);
void session_reply_more(struct session *, struct slice text);

/* Tells an error that does not close. */
void session_refuse(struct session *, enum error_code, struct slice detail);

/* Replies and private messages that the peer has not taken yet, in bytes. */
uint64_t session_unread(const struct session *);

/* Frees what has been queued and not been sent. */
void output_drop(struct session *);

/* ---- room.c ---- */

/* The session's current room; NULL if it is in none. */
struct membership *session_current(const struct session *);

/* Its membership in the room of that name; NULL if it is not in it. */
struct membership *session_membership(const struct session *, struct slice);

/* Joins the room of a valid name, which is made if there is none, and tells
 * the others. NULL without memory, with nothing changed. */
struct membership *room_join(struct session *, struct slice name);

/* Leaves, and tells the others unless the server is stopping. The membership
 * may be gone after it. */
void room_leave(struct membership *);

/* A membership that is leaving has been sent all it was due, or never will. */
void membership_finish(struct membership *);

struct lane *membership_lane(const struct membership *);

/* Up to which position of its lane it is to be sent. */
uint64_t membership_end(const struct membership *);

/* Whether its lane has something for it. */
bool membership_due(const struct membership *);

/* Appends the event to each lane of the room: all or none. False without
 * memory. */
bool room_post(struct chat *, struct room *, const struct event *,
               enum record_kind);

/* Tells the room that `who`, a member, changes its nick to `nick`, if the room
 * is small enough to be told. */
void room_tell_nick(struct room *, const struct session *who,
                    struct slice nick);

/* Replaces the topic and tells the room that `who` did; false without memory,
 * with nothing changed. */
bool room_change_topic(struct room *, const struct session *who,
                       struct slice topic);

/* The next member of the room that has news and takes them; NULL once all have
 * been looked at, or SWEEP_MEMBERS_MAX in this turn. */
struct session *room_sweep(struct chat *, struct room *);

/* Off the ready list: frees the room if nobody reads it any more. */
void room_settle(struct chat *, struct room *);

/* ---- registry.c ---- */

struct session *nick_find(struct chat *, struct slice nick);

/* The session is found by its nick from now on; false without memory. */
bool nick_add(struct session *);
void nick_remove(struct session *);

struct room *room_find(struct chat *, struct slice name);
bool room_add(struct chat *, struct room *);
void room_remove(struct chat *, struct room *);

/* Counts one more session of the address; NULL if it has as many as it may, or
 * without memory. */
struct address *address_enter(struct chat *, const uint8_t key[ADDRESS_BYTES]);
void address_leave(struct chat *, struct address *);

/* ---- command.c ---- */

/* A command line without its `/`. */
void command_run(struct session *, struct slice line);

/* A line for the current room. */
void message_post(struct session *, struct slice text);

#endif

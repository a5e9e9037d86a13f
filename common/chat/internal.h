/*
 * What the files of common/chat share and nobody else sees: the structures, and
 * the functions by which one file calls another.
 *
 *   chat.c      the whole: create, tick, whose turn it is, shutdown
 *   session.c   one peer's life: opened, ended, its deadlines
 *   intake.c    what comes from it: parsing, pausing
 *   heartbeat.c pings and pongs of the binary dialects
 *   output.c    what goes to it: replies, spans of its rooms, the last word
 *   room.c      members, posting, the sweep over who has news
 *   command.c   what `/nick` and the others do
 *   nicks.c     finding sessions by nick
 *   registry.c  finding rooms and addresses by name
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
#include "common/chat/nicks.h"
#include "common/chat/timers.h"
#include "common/wire/wire.h"

#include <assert.h>
#include <string.h>

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
 *     GREETING    a binary peer has been sent SESSION_INIT
 *      |  session_hello: it has said who it is, and is sent WELCOME; a text
 *      |  peer is welcomed as it comes: session_open
 *      v
 *     OPEN
 *      |  session_end (from GREETING too): session_eof, /quit, DISCONNECT, an
 *      |  error that closes (a deadline passed, it is refused), chat_shutdown
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
 *         every state, a deadline from ENDING on: session_abandon.
 */
enum session_state {
    SESSION_GREETING,
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
    ENDING_DISCONNECT, /* the peer's DISCONNECT */
    ENDING_ERROR,      /* session->error says which */
    ENDING_NO_MEMORY,
};

/* What a session of a binary dialect has besides. */
struct binary {
    struct wire_peer peer;
    uint64_t hello_by_ns; /* GREETING: when it must have said who it is */
    /* Heartbeats; times are of the session's clock. */
    uint64_t beat_ns;    /* when the last ping was sent, or it was welcomed */
    uint64_t stamp;      /* of the last ping: they are counted */
    uint64_t ping_ahead; /* bytes to send until that has been sent */
    uint64_t sent_ns[HEARTBEATS_UNANSWERED_MAX]; /* pings, by their stamp */
    uint64_t rtt_us;                             /* the last one, 0: none yet */
    uint8_t unanswered; /* pings in a row, the last one counted */
};

struct inbox; /* intake.c */

struct session {
    struct chat *chat;
    void *user;
    struct session *nick_next; /* another in its bucket of `nicks` */
    struct session *ready_next, *ready_previous;
    /* Out: what is being sent, then the outbox, then the memberships, whose
     * first has waited longest. */
    struct span span;
    struct outbox outbox;
    struct membership *memberships;
    struct membership home; /* the first one needs no allocation */
    /* In: a request that is not whole; bytes that may not be parsed yet. */
    struct decoder decoder;
    struct binary *binary; /* NULL for text */
    struct inbox *inbox;   /* NULL: empty */
    /* Figures. */
    uint64_t id;
    uint64_t messages, bytes_in, bytes_out;
    struct meter *meter;
    struct address *address;
    /* Time. */
    uint64_t opened_ns;
    uint64_t clock_ns; /* of session_clock: while paused what it says, else when
                          it would have been 0 */
    uint64_t since_ns; /* text: the last line; binary: when the frame began that
                          is not whole; of the session's clock */
    uint64_t progress_ns; /* the peer took something, or sending began */
    uint64_t rate_ns;     /* when the rate will have caught up */
    uint64_t until_ns;    /* paused: when to try again; ending: at most */
    uint32_t timer_index;
    /* Who it is and how it stands. */
    uint32_t request_id;       /* of what is being answered, 0: no number */
    enum error_code error : 8; /* if it ends with one */
    enum encoding encoding : 8;
    enum session_state state : 4;
    enum ending ending : 4;
    uint8_t room_count, leaving_count;
    bool named : 1;        /* found by its nick */
    bool ready : 1;        /* on the ready list */
    bool served : 1;       /* is being sent what it is due, see `serving` */
    bool blocked : 1;      /* the peer took less than was offered */
    bool span_outbox : 1;  /* the span came from the outbox */
    bool rooms_next : 1;   /* a room was due already when it was taken */
    bool outbox_first : 1; /* a room's messages follow something in it */
    bool paused : 1;
    bool within : 1; /* a frame has begun, see since_ns */
    bool eof : 1;
    bool refused : 1;
    bool uncounted : 1; /* its place is another's already */
    uint8_t nick_length;
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

_Static_assert(sizeof(struct room) + sizeof(struct lane) <= 256,
               "an idle room in one encoding costs 256 bytes");
_Static_assert(sizeof(struct session) <= 328, "an idle session is small");

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
    struct pool sessions_pool, binaries_pool, rooms_pool, lanes_pool,
        memberships_pool, meters_pool;
    struct wire *wire;
    /* Who is there. */
    struct nicks nicks;
    struct room *rooms;
    struct address *addresses;
    uint8_t hash_key[ADDRESS_BYTES];
    uint32_t sessions, refused, uncounted;
    uint64_t last_id;
    bool stopping;
    uint64_t stop_by_ns;
    /* Deadlines. */
    struct timers timers;
    /* Whose turn it is. */
    struct session *ready_first, *ready_last;
    struct room *rooms_ready_first, *rooms_ready_last;
    uint32_t swept;   /* members of the first ready room looked at this turn */
    uint32_t serving; /* sessions that chat_next_ready has returned and that
                         take bytes and are due some, as far as we know */
    uint64_t appended_bytes; /* to rooms, since all had been served */
    struct inbox *waiting;   /* until all are: who has waited longest first */
    /* Figures. */
    struct metrics metrics;
    uint32_t blocked; /* sessions that take no more at the moment */
    struct meter *meters_first, *meters_last;
};

static inline struct slice session_nick(const struct session *session)
{
    return (struct slice){session->nick, session->nick_length};
}

/* Whether what the peer sends still counts. */
static inline bool session_listens(const struct session *session)
{
    return session->state <= SESSION_OPEN;
}

/* The session's own clock, which stands still while nobody reads from the
 * peer: for deadlines on what that must send. */
static inline uint64_t session_clock(const struct session *session)
{
    return session->paused ? session->clock_ns
                           : session->chat->now_ns - session->clock_ns;
}

/* The nick must be valid, and the session not be found by the old one. */
static inline void session_set_nick(struct session *session, struct slice nick)
{
    assert(!session->named);
    memcpy(session->nick, nick.bytes, nick.length);
    session->nick_length = (uint8_t)nick.length;
}

static inline struct slice room_name(const struct room *room)
{
    return (struct slice){room->name, room->name_length};
}

/* Whether rooms have to keep less, so that others find memory for what they
 * need: what is being received, replies, whoever comes. */
static inline bool memory_is_short(const struct chat *chat)
{
    uint64_t limit = chat->config.memory_bytes_max;

    return chat->budget.used_bytes >= limit - limit / 8;
}

/* The larger one of a time and the least that it may be. */
static inline uint64_t at_least(uint64_t ns, uint64_t least_ns)
{
    return ns < least_ns ? least_ns : ns;
}

/* ---- chat.c ---- */

/* Puts the session on the ready list; once is enough. */
void ready_add(struct session *);
void ready_remove(struct session *);

/* The session has nothing more to send, or takes no more. */
void serve_end(struct session *);

/* Puts the room on the list of those with news. */
void rooms_ready_add(struct chat *, struct room *);

/* ---- session.c ---- */

/* The room in which every session starts. */
#define LOBBY "lobby"

/* A binary peer has said who it is: it is welcomed, or told what is wrong with
 * the nick. */
void session_hello(struct session *, struct slice nick);

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

/* Frees its place among those that are served, though it lingers: it has been
 * told its last word. Not if too many linger so. */
void session_uncount(struct session *);

/* A deadline has passed; when the next one comes. */
void session_expire(struct session *);
uint64_t session_deadline(const struct session *);

/* ---- intake.c: what comes from the peer ---- */

/* Of a paused session: parses on if it may now. A turn begins in which what it
 * waited for may have come. */
void session_resume(struct session *);

/* In the middle of a turn it may have come: parses on in the next one. */
void session_resume_next(struct session *);

/* A turn begins: those that waited for the last one to end go on. */
void intake_turn(struct chat *);

/* Frees what has been received and not acted on. */
void intake_drop(struct session *);

/* ---- heartbeat.c ---- */

/* From now on the peer is sent pings. */
void heartbeat_start(struct session *);

/* When the next ping is due, UINT64_MAX while none is. */
uint64_t heartbeat_deadline(const struct session *);

/* It is due: sent, or the end of a peer that has not answered. */
void heartbeat_expire(struct session *);

/* So many bytes of the outbox have been sent. */
void heartbeat_sent(struct session *, size_t length);

/* A pong with this stamp has come. */
void heartbeat_pong(struct session *, uint64_t stamp);

/* ---- output.c: what goes to the peer ---- */

/* The peer as the wire knows it; NULL for text. */
struct wire_peer *session_peer(struct session *);

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

/* Its room is the session's current one from now on. */
void membership_select(struct membership *);

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

/* Each room drops the oldest of what slow members have not taken yet, again and
 * again while memory is short and some room has any. */
void rooms_shrink(struct chat *);

/* Off the ready list: frees the room if nobody reads it any more. */
void room_settle(struct chat *, struct room *);

/* ---- registry.c ---- */

/* A keyed hash of the name in lower case. */
unsigned name_hash(const struct chat *, struct slice name);

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

/* A message for a room or a person. */
void message_post(struct session *, const struct request *);

/* Whether the session may take the nick; if not, it is told why. */
bool nick_or_refuse(struct session *, struct slice nick);

#endif

/*
 * What the files of the model share (model.h says which there are).
 *
 * The model places what happens between stamps. A request takes effect at some
 * stamp from `begun`, when the chat was handed it, to `done`, when it cannot
 * have been waiting any more; mostly the two are one. What it knows it knows as
 * such intervals: that one thing was surely before another, or possibly.
 */
#ifndef RINGCHAT_SIM_MODEL_INTERNAL_H
#define RINGCHAT_SIM_MODEL_INTERNAL_H

#include "tests/sim/model.h"
#include "tests/sim/promise.h"

#define OPS_MAX 8192
#define NAMES_MAX 8192
#define STAYS_MAX 16384
#define HOLDINGS_MAX 16384
#define SEEN_MAX (1 << 18)
#define LISTED_MAX (1 << 16)
#define ROOM_UNKNOWN ROOMS_MAX

/* What came of a request. */
enum fate {
    FATE_OPEN,    /* its session ended before that was known */
    FATE_DONE,    /* it took effect */
    FATE_REFUSED, /* with an error that does not close */
    FATE_VOID,    /* it came after its session's end */
};

struct fact {
    stamp_t first;       /* its first byte was handed over; 0: not yet */
    stamp_t begun, done; /* NEVER: not yet */
    uint64_t begun_us;   /* the time when it had come whole */
    enum fate fate;
    enum error_code error;
    uint8_t room;        /* messages and topics: the room; ROOM_UNKNOWN */
    uint16_t nick;       /* of its sender then, a name; 0: not known */
    uint16_t shown;      /* of its sender, as it was heard; 0: not yet */
    uint64_t heard_by;   /* a set of peers */
    uint64_t listed;     /* SAY_WHO: a set of peers; SAY_JOIN: a count;
                            SAY_ROOMS: a set of rooms */
    uint32_t others;     /* SAY_WHO: nicks of whom we do not know */
    uint64_t time_us;    /* as it was heard; 0: not yet */
    uint32_t heard_turn; /* when it was first heard */
    /* Topics: the messages of the room right before and after, if known. */
    struct op *after, *before;
    /* positions.c's */
    struct op *parent;
    int64_t offset, base;
    bool anchored;
};

/* Times between which something began and ended. */
struct interval {
    stamp_t in_begun, in_done;   /* in_done NEVER: perhaps it never did */
    stamp_t out_begun, out_done; /* NEVER: not yet */
};

/* A membership. */
struct stay {
    struct interval time;
    uint8_t peer, room;
};

/* A nick being somebody's. */
struct holding {
    struct interval time;
    stamp_t told; /* of one that perhaps never began: by then its rooms know */
    uint16_t name;
    uint8_t peer;
};

/* A nick, in any case of letters. */
#define NAME_UNKNOWN 0xff   /* a guest's who has not been heard of */
#define NAME_CONTESTED 0xfe /* whoever got it */
struct name {
    char text[32];
    uint8_t peer;
};

/* Something of a room that a member saw, besides messages. */
struct seen {
    enum heard_kind kind;
    uint16_t name;
    uint8_t peer, room;
    uint32_t next; /* of the same member and room, 0: none */
    struct op *op; /* messages and topics */
};

/* A line of /rooms. */
struct listed {
    const struct op *op;
    uint64_t members;
    uint8_t room;
};

/* What a peer has seen of a room. */
struct view {
    uint32_t first_seen, last_seen; /* 0: nothing */
    struct op *last;  /* message: whatever came since is known; NULL */
    uint64_t gap;     /* messages missed since `last` */
    uint64_t missed;  /* in all */
    struct op *topic; /* seen since `last`, with nothing missed */
    bool has_seq;     /* the number of the last message is known, though not */
    uint64_t seq;     /* which it is */
    uint32_t lags;    /* how often it was told that it lagged */
};

/* How a peer's session is over. */
enum over {
    OVER_NOT,
    OVER_ASKED,   /* it quit, and was told bye */
    OVER_ERROR,   /* it was told an error that closes */
    OVER_REFUSED, /* it was never let in */
};

#define PEER_OPS_MAX 4096
#define PINGS_MAX 64
#define SENDS_MAX 1024

/* When so much of the chat's stream had been sent, by the peer's clock. */
struct sent {
    uint64_t end, clock_ns;
};

struct life {
    const struct peer_state *state;
    /* Its requests in the order of asking: handed up to `handed`, acted on up
     * to `acted`, answered up to `answered`. */
    uint32_t asked, handed, acted, answered;
    bool greeted, welcomed, closed;
    bool leaves;    /* it has asked to leave a room */
    unsigned crowd; /* that were served when it came, at most, with it */
    bool complete;  /* it has been told everything up to its end */
    enum over over;
    enum error_code error;
    stamp_t connected, eof_begun, eof_done, ended;
    uint64_t over_ns;                   /* the world's, when it was over */
    stamp_t served;                     /* it surely had its place up to here */
    stamp_t sure;                       /* then it was still served */
    uint16_t nick;                      /* 0: none yet */
    struct stay *places[ROOMS_MAX + 1]; /* in the order of joining */
    unsigned place_count;
    struct holding *holding;
    uint64_t last_private[PEERS_MAX];
    /* Deadlines: times of a clock of its own, that stands still when the chat
     * does not read from it. */
    uint64_t clock_ns, clocked_ns; /* and the world's when it was last set */
    bool paused;
    uint64_t line_ns;          /* the last request was handed over whole */
    uint64_t known_ns;         /* likewise, at the earliest */
    uint64_t frame_ns;         /* the one that is not whole began */
    uint64_t whole;            /* of its stream: no request ends later */
    uint64_t pongs[PINGS_MAX]; /* where pongs end that are under way: a ring */
    uint32_t pongs_from, pongs_to;
    uint64_t began_ns;     /* the world's, when it connected */
    uint32_t served_count; /* of its requests that were served, for the rate */
    uint32_t pings;        /* that it has heard */
    uint32_t ponged;       /* of them, up to the last one that it answers */
    uint64_t ping_ns;      /* when the last one had been sent */
    uint64_t beaten_ns;    /* it heard one or was welcomed; 0: not yet */
    uint64_t blocked_ns;   /* when a turn saw first that it is; 0: it is not */
    uint64_t stuck_ns; /* when a turn saw that it takes nothing; 0: it does */
    uint32_t send_count;
    uint64_t opened_ns, taken_ns; /* the world's: it took bytes last */
    bool waits;                   /* it took less than it was offered */
    bool waited;                  /* it did once */
    bool dribbles;                /* its stream comes slowly, or did once */
    bool was_due;         /* a time-out was, before more of its stream came */
    uint32_t overdue;     /* turns that a deadline of its has passed */
    stamp_t prompt_since; /* since then it has read all at once */
    bool judged;          /* verdict_settled has looked at it */
    /* From here on nothing is cleared. */
    struct op *ops[PEER_OPS_MAX];
    struct sent sends[SENDS_MAX]; /* a ring */
};

struct model {
    const struct setup *setup;
    struct op ops[OPS_MAX];
    struct fact facts[OPS_MAX];
    uint32_t op_count;
    uint16_t by_number[2][OPS_MAX]; /* index + 1; by the step, and of hellos */
    struct name names[NAMES_MAX];   /* the first is none */
    uint32_t name_count;
    uint16_t name_buckets[1024];
    uint16_t name_next[NAMES_MAX];
    struct stay stays[STAYS_MAX];
    uint32_t stay_count;
    struct holding holdings[HOLDINGS_MAX];
    uint32_t holding_count;
    struct seen seen[SEEN_MAX];
    uint32_t seen_count;
    struct listed listed[LISTED_MAX];
    uint32_t listed_count;
    struct view views[PEERS_MAX][ROOMS_MAX];
    struct life lives[PEERS_MAX];
    stamp_t stopped, stopped_all; /* chat_shutdown was called: first, last */
    unsigned stopped_count;       /* how often */
    uint32_t turns;
    size_t bytes_before; /* of memory, without a chat */
    struct op
        *fresh[OPS_MAX]; /* heard by somebody, to be heard by all prompt */
    uint32_t fresh_from, fresh_to;
};

extern struct model model;

static inline struct fact *fact_of(const struct op *op)
{
    return &model.facts[op - model.ops];
}

static inline struct life *life_of(unsigned peer)
{
    return &model.lives[peer];
}

/* ---- Intervals ---- */

/* A thing between `begun` and `done` was surely, possibly, within. */
static inline bool surely_within(const struct interval *time, stamp_t begun,
                                 stamp_t done)
{
    return time->in_done < begun && done < time->out_begun;
}

static inline bool possibly_within(const struct interval *time, stamp_t begun,
                                   stamp_t done)
{
    return time->in_begun <= done && begun <= time->out_done;
}

/* ---- model.c ---- */

/* The op of that number; NULL if there is none. */
struct op *op_numbered(uint32_t number);

/* The peer's session is over; it ended between those. */
void life_over(struct life *, enum over, enum error_code, stamp_t begun,
               stamp_t done);

/* ---- effects.c ---- */

/* Whether one worker's part in something may come after another's. */
static inline bool is_shared(void)
{
    return model.setup->workers > 1;
}

/* All that the peer was handed has had its effects. */
void effects_done(struct life *);

/* When all know of what is so for one from `done` on: then, or not yet. */
stamp_t effects_seen(stamp_t done);

/* ---- deadlines.c ---- */

/* Whether a request of which not all has been handed over has begun. */
bool is_within(const struct life *);

/* Its clock goes on, or stands still. */
void deadlines_time(struct life *);
void deadlines_pause(struct life *, bool paused);

/* More of its stream is handed over. */
void deadlines_handed(struct life *);

/* It takes bytes: all that its stream has now. It hears a ping of those. */
void deadlines_sent(struct life *);
void deadlines_pinged(struct life *);

/* One of its messages or commands is answered. */
void deadlines_served(struct life *);

/* It is told `timeout`: that must be due. */
void deadlines_check_due(const struct life *);

/* A turn is over, or all are quiet: what is due must have come. */
void deadlines_check_kept(struct life *);

/* ---- matches.c ---- */

/* What an event, or none, is to the request that is next. */
enum match {
    MATCH_SILENT, /* nothing: this one needs no answer, look at the next */
    MATCH_MORE,   /* part of the answer */
    MATCH_WHOLE,  /* the answer, or the rest of it */
};

extern const struct heard nothing;

/* What can be no answer to the request breaks a promise. */
enum match match_op(struct life *, struct op *, const struct heard *);

/* The peer is in one room more, its current one. */
void place_add(struct life *, struct stay *);

/* ---- answers.c ---- */

/* What may be an answer: to whatever is due next. */
void answer_heard(struct life *, const struct heard *);

/* No further answer will come for what was done before that. */
void answers_settle(struct life *, stamp_t before);

/* Nor for anything: what is open stays so. The session is over by then. */
void answers_give_up(struct life *, stamp_t done);

/* ---- rooms.c ---- */

uint16_t name_of(const char *text, size_t length);
/* The nick is the peer's alone. */
void name_claim(uint16_t name, unsigned peer);

/* Whether it is a nick at all, and one that somebody may ask for. */
bool is_nick(const char *);
bool may_be_asked(const char *);

struct stay *stay_begin(unsigned peer, unsigned room, stamp_t begun,
                        stamp_t done);
struct holding *holding_begin(unsigned peer, uint16_t name, stamp_t begun,
                              stamp_t done);

void room_message_heard(struct life *, const struct heard *);
void room_notice_heard(struct life *, const struct heard *);
void private_heard(struct life *, const struct heard *);

/* All who read at once have heard what one had heard two turns before. */
void rooms_check_prompt(uint32_t turns);

/* ---- positions.c ---- */

/* The message stands at that place of its room's order. */
void position_know(struct op *, uint64_t seq);

/* `later` stands so many places behind. */
void position_relate(struct op *earlier, struct op *later, uint64_t places);

/* Where it stands, relative to others of the same root. */
struct op *position_root(struct op *, int64_t *place);

/* ---- presence.c ---- */

/* Where the stays of one peer in one room begin and end. */
struct stays {
    const struct interval *all[STEPS_MAX / 2]; /* a coming and a going each */
    unsigned count;
};

struct stays stays_of(unsigned peer, unsigned room);

/* Whether the peer was there, surely, possibly, between those stamps. */
bool were_surely(const struct stays *, stamp_t begun, stamp_t done);
bool were_possibly(const struct stays *, stamp_t begun, stamp_t done);

/* The answers to /join and /who. */
void check_joined(const struct op *);
void check_who(const struct op *);
void check_listed(const struct listed *);
void check_rooms(const struct op *);

/* What the peer saw of who came and went. */
void check_presence(unsigned peer, unsigned room);

/* ---- verdict.c ---- */

/* Whether it has always read all at once, and no message is so large that it
 * falls out of the window before anybody is sent it. */
bool keeps_up(unsigned peer);

/* Whether all that was ever said fits a room's window: nobody can lag. */
bool fits_window(void);

/* What peers that are still served have been told is all there is. */
void verdict_settled(void);

/* The whole history. */
void verdict(void);

#endif

/*
 * The client (client.h) from within: who calls whom.
 *
 *     client.c     the public functions: calls back, minds reentry
 *     asking.c     those that ask for something
 *       config.c   what it is told to be
 *       link.c     its socket, and the loop of its own
 *       url.c      from a URL to an address
 *       dialogue.c the state machine: when to connect, what to say first, when
 *                  to give up
 *         hearing.c   what becomes of what a server says
 *         answers.c   which request it answers
 *         saying.c    requests become bytes
 *         errands.c   requests: queued, sent, over
 *         belonging.c the nick and the rooms, as wanted and as they are
 *
 * From dialogue.c down all is pure: bytes and instants go in, bytes and events
 * come out, one at a time (dialogue_next), so that who is called back may do
 * what it likes in between.
 */
#ifndef RINGCHAT_LIB_INTERNAL_H
#define RINGCHAT_LIB_INTERNAL_H

#include <ringchat/client.h>

#include "common/base/builder.h"
#include "common/base/clock.h"
#include "common/base/limits.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* What waits to be taken by the socket: requests are written up to here, and
 * what a server makes us say a little beyond. What it makes us say and does
 * not take is dropped. */
#define OUTPUT_BYTES_MAX (64 * KIB)
#define RETORT_BYTES_MAX (4 * KIB)

/* What is kept of a server's words about the end of a connection. */
#define DETAIL_BYTES_MAX 256

/* A connection that has been OPEN so long was a good one. */
#define STEADY_NS (30 * NS_PER_SECOND)

#define NS_PER_MS UINT64_C(1000000)
#define NEVER UINT64_MAX

/* ---- Names and texts ---------------------------------------------------- */

/* A nick, or a room. Of length 0: none. */
struct name {
    size_t length;
    char bytes[ROOM_NAME_BYTES_MAX];
};

_Static_assert(NICK_BYTES_MAX <= ROOM_NAME_BYTES_MAX, "a name holds both");

#define TEXT(literal) ((struct ringchat_text){(literal), sizeof(literal) - 1})

static inline struct ringchat_text text_of(const char *string)
{
    return (struct ringchat_text){string, string ? strlen(string) : 0};
}

static inline struct ringchat_text name_text(const struct name *name)
{
    return (struct ringchat_text){name->bytes, name->length};
}

/* False: it is longer than any name. */
bool name_set(struct name *, struct ringchat_text);
bool name_is(const struct name *, struct ringchat_text);

/* ---- Errands: what was asked for ---------------------------------------- */

enum errand_kind {
    ERRAND_SAY,     /* `name` is the room, or none: the current one */
    ERRAND_TELL,    /* `name` is the nick */
    ERRAND_COMMAND, /* `text` is the line */
    ERRAND_JOIN,    /* `name` is the room */
    ERRAND_LEAVE,   /* likewise; none: the current one */
    ERRAND_RENAME,  /* `name` is the nick */
    ERRAND_TOKEN,   /* `text` alone: a line that comes back, see answers.c */
};

struct errand {
    struct errand *next;
    enum errand_kind kind;
    uint64_t number; /* the ticket; to the server its low 32 bits, never 0 */
    bool ticketed; /* the caller has the number, and is told what came of it */
    bool own;      /* the client's: to come in, to have its nick again */
    bool repeated; /* it had been sent on a connection that was lost */
    uint64_t sent_ns;

    /* `text` alone: the first reply is the one to a change of rooms that was
     * put before; and it has been refused, only its token has not come yet. */
    bool moved, refused;

    /* Once it is over: `error` as in struct ringchat_result. */
    int error;
    enum ringchat_error code;
    uint64_t seq;
    bool noticed; /* the notice of it has been given */

    struct name name;
    size_t text_length, type_length;
    char bytes[]; /* the text, then the content type */
};

struct errand_list {
    struct errand *first, *last;
    uint32_t count;
};

/*
 * An errand is in one list, from being asked for until it is freed.
 *
 *     own, queued -- errands_sent --> sent -- errands_finish --> over
 *          ^                           |
 *          +------ errands_lost -------+
 */
struct errands {
    struct errand_list own; /* comes first, and is not kept at a loss */
    struct errand_list queued;
    struct errand_list sent; /* in the order in which they are answered */
    struct errand_list over; /* to be told */
    uint64_t numbers;        /* given so far */
    size_t bytes, bytes_max; /* of the first three lists */
    unsigned moving;         /* of `sent`: changes of nick and rooms */
    size_t turned_away;      /* the largest, since `writable` was told last */
};

void errands_init(struct errands *, size_t bytes_max);
void errands_release(struct errands *);

/* What is asked for is copied; `*made` is its errand, in none of the lists.
 * -EMSGSIZE, -EAGAIN and -ENOMEM as in client.h. */
struct wanted {
    enum errand_kind kind;
    struct name name;
    struct ringchat_text text, content_type;
};
int errands_make(struct errands *, const struct wanted *, struct errand **made);
/* One of the client's own; NULL: no memory. */
struct errand *errands_make_own(struct errands *, enum errand_kind,
                                const struct name *);
void errands_queue(struct errands *, struct errand *);

/* The next to be sent; NULL: there is none. */
struct errand *errands_next(const struct errands *, bool open);
/* That one waits for its answer, or is over and gone without a word. */
void errands_sent(struct errands *, struct errand *, uint64_t now_ns);
/* So does one that was never queued. */
void errands_await(struct errands *, struct errand *, uint64_t now_ns);
void errands_drop(struct errands *, struct errand *);

/* What was sent with this id; NULL: nothing. */
struct errand *errands_find(const struct errands *, uint32_t id);
/* One that was sent, or is the next to be, has an end. */
void errands_finish(struct errands *, struct errand *, int error,
                    enum ringchat_error code);

/* The connection is lost: of what was sent, `again` all waits once more, else
 * what does no harm twice; the rest is over. */
void errands_lost(struct errands *, bool again);
/* There will be no other: all is over. */
void errands_cancel(struct errands *);

struct errand *errands_take_over(struct errands *);
bool errands_are_roomy(const struct errands *);
void errand_free(struct errand *);

static inline struct ringchat_text errand_text(const struct errand *errand)
{
    return (struct ringchat_text){errand->bytes, errand->text_length};
}

static inline struct ringchat_text errand_type(const struct errand *errand)
{
    return (struct ringchat_text){errand->bytes + errand->text_length,
                                  errand->type_length};
}

static inline bool errand_moves(const struct errand *errand)
{
    return errand->kind == ERRAND_JOIN || errand->kind == ERRAND_LEAVE ||
           errand->kind == ERRAND_RENAME;
}

/* Whether anybody wants to know how it goes: of a message, who has a ticket. */
static inline bool errand_is_awaited(const struct errand *errand)
{
    return errand->ticketed || errand->kind > ERRAND_TELL;
}

/* ---- Belonging: nick and rooms ------------------------------------------ */

struct place {
    struct name room;
    bool inside;
    bool counted;          /* there was something with a seq */
    bool heard;            /* on this connection, so nothing older may follow */
    bool may_restart;      /* but for one that shows that the room is another */
    uint64_t seq;          /* the last one */
    uint64_t acknowledged; /* the last one of its own; 0: none */
    uint64_t away_ms;      /* the connection was lost since; 0: it was not */
    uint64_t missed;       /* to be told; 0: nothing */
    uint64_t missed_ms;    /* of that: how long it was away */
};

struct belonging {
    struct name nick; /* as the server has it */
    struct name nick_wanted;
    /* Those that it wants to be in, in the order of joining. */
    struct place places[ROOMS_PER_SESSION_MAX];
    size_t count;
    bool anywhere; /* where each session begins will do */
    bool left;     /* a room, on this connection */
};

struct place *belonging_find(struct belonging *, struct ringchat_text room);
/* The current room; NULL: none. */
const struct place *belonging_current(const struct belonging *);
/* A session begins in this room. */
void belonging_begin(struct belonging *, const struct name *room);
void belonging_join(struct belonging *, const struct name *room);
void belonging_leave(struct belonging *, const struct name *room);
/* Something of its own has this place in a room, or in the current one. */
void belonging_acknowledged(struct belonging *, struct ringchat_text room,
                            uint64_t seq);
/* Nothing is certain of the rooms. */
void belonging_lost(struct belonging *);
/* There is a connection again; in `text` nobody knows what it has missed. */
void belonging_back(struct belonging *, uint64_t away_ms);
void belonging_guess(struct belonging *);
/* Something came with this seq: a message, or a notice after it. False: it, or
 * what follows it, has come before, and nothing is to become of it. */
bool belonging_heard(struct belonging *, struct ringchat_text room,
                     uint64_t seq, bool message);
void belonging_lagged(struct belonging *, struct ringchat_text room,
                      uint64_t count);

/* ---- The dialogue ------------------------------------------------------- */

/* How a client is to behave: its configuration, with no default left open. */
struct manner {
    enum ringchat_dialect dialect;
    bool seal, resend;
    const void *key;
    size_t key_bytes;
    uint64_t connect_timeout_ns, heartbeat_ns, close_timeout_ns;
    uint64_t backoff_first_ns, backoff_max_ns;
    uint32_t attempts_max, unconfirmed_max;
    uint32_t message_bytes_max, queue_bytes_max;
};

/*
 *              dialogue_start        dialogue_connected     SESSION_INIT
 *     IDLE ------------------> CONNECTING ---------> GREETING ---------+
 *                                ^   |                    |            v
 *            dialogue_elapse     |   |        text:       |         NAMING
 *     +------- WAITING ----------+   |        `* welcome` |            |
 *     |          ^                   |                    v            |
 *     |          +-- lose, from any -+                 JOINING <-------+
 *     v              to the right                         |         WELCOME
 *   ENDED <-- or lose, if there is no cure                | all answered
 *     ^                                                   v
 *     +---------- the stream has ended --- PARTING <--- TALKING
 *                                               dialogue_close
 *
 * 1. There is a codec from GREETING to PARTING, and in no other phase.
 * 2. Nothing is sent and unanswered in IDLE, CONNECTING, WAITING and ENDED.
 */
enum phase {
    PHASE_IDLE,
    PHASE_CONNECTING,
    PHASE_GREETING,
    PHASE_NAMING,
    PHASE_JOINING,
    PHASE_TALKING,
    PHASE_PARTING,
    PHASE_WAITING,
    PHASE_ENDED,
};

/* What the caller is to be told: as the callback of that name. */
enum told_kind {
    TOLD_CHANGED,
    TOLD_MESSAGE,
    TOLD_NOTICE,
    TOLD_MISSED,
    TOLD_REPLY,
    TOLD_DONE,
    TOLD_WRITABLE,
    TOLD_FAULT,
};

/* Valid until dialogue_next is called again. */
struct told {
    enum told_kind kind;
    struct ringchat_change change;
    struct ringchat_message message; /* MESSAGE, NOTICE, FAULT; REPLY: text */
    struct ringchat_missed missed;
    struct ringchat_result result;
    uint64_t ticket; /* REPLY */
};

/* Bytes for the server. */
struct output {
    unsigned char *bytes;
    size_t begin, end, capacity;
    size_t requests_max; /* OUTPUT_BYTES_MAX, or the one that is longer */
};

struct dialogue {
    struct manner manner;
    struct errands errands;
    struct belonging belonging;
    uint64_t random; /* see random_below */

    enum phase phase;
    bool closing;
    bool been_open;
    uint32_t failures; /* of connections, in a row */
    uint64_t phase_ns; /* until when, of CONNECTING to JOINING, and WAITING */
    uint64_t close_ns;
    uint64_t open_ns, lost_ns; /* since when; of the one before */
    uint64_t retry_ns;         /* WAITING: how long in all */

    /* One connection's. */
    struct ringchat_codec *codec;
    const unsigned char *input;
    size_t input_length;
    bool stream_ended;
    struct output output;
    uint32_t content_bytes_max; /* that the server takes; 0: it has not said */
    struct name spoken_room; /* `text`: current, once all written is obeyed */
    uint32_t loose;          /* `text`: written since the last token */
    bool blocked;            /* the output is full */
    bool as_guest;           /* its nick was in use */

    /* Heartbeats: nothing was heard for so many, and what was asked. */
    uint64_t beat_ns;
    unsigned silent;
    bool heard;
    unsigned pings;
    uint64_t pinged_ns[HEARTBEATS_UNANSWERED_MAX];

    /* What is to be told. */
    enum ringchat_state told_state;
    bool again;
    enum ringchat_error why_code;
    int why_error;
    size_t detail_length;
    char detail[DETAIL_BYTES_MAX];
    struct ringchat_message held; /* after what it has shown to be missed */
    bool holds;
    struct errand *told_errand; /* `told` refers to it */

    struct ringchat_client_figures figures;
};

void dialogue_init(struct dialogue *, const struct manner *, uint64_t seed);
void dialogue_release(struct dialogue *);

/* From the caller, and from the link. */
void dialogue_start(struct dialogue *, uint64_t now_ns);
void dialogue_connected(struct dialogue *, uint64_t now_ns);
void dialogue_receive(struct dialogue *, const unsigned char *, size_t length);
void dialogue_stream_ended(struct dialogue *);
void dialogue_failed(struct dialogue *, int error, uint64_t now_ns);
void dialogue_elapse(struct dialogue *, uint64_t now_ns);
void dialogue_close(struct dialogue *, uint64_t now_ns);

/* The next thing to tell; all that was received is gone through. False: there
 * is nothing, and whatever can be said stands in the output. */
bool dialogue_next(struct dialogue *, uint64_t now_ns, struct told *);

/* What the link is to do. */
struct ringchat_text dialogue_output(const struct dialogue *);
void dialogue_sent(struct dialogue *, size_t bytes);
static inline bool dialogue_wants_link(const struct dialogue *dialogue)
{
    return dialogue->phase >= PHASE_CONNECTING &&
           dialogue->phase <= PHASE_PARTING;
}
uint64_t dialogue_deadline(const struct dialogue *);
/* Whether dialogue_next would do anything. */
bool dialogue_has_news(const struct dialogue *);
enum ringchat_state dialogue_state(const struct dialogue *);

/* ---- Between the dialogue's files --------------------------------------- */

/* Asks for something of its own; without memory the connection is lost. */
void dialogue_ask(struct dialogue *, enum errand_kind, const struct name *,
                  uint64_t now_ns);
/* The connection is no good, or there is none. */
void dialogue_lose(struct dialogue *, enum ringchat_error, int error,
                   struct ringchat_text detail, uint64_t now_ns);
/* There is a session, and it is in this room. */
void dialogue_welcomed(struct dialogue *, const struct name *room,
                       uint64_t now_ns);
/* SESSION_INIT: says who it is. */
void dialogue_greeted(struct dialogue *, uint64_t now_ns);

enum heard {
    HEARD_NOTHING, /* all that has come has been gone through */
    HEARD,
    HEARD_TO_TELL, /* `*told` is to be told */
};
enum heard hearing_next(struct dialogue *, uint64_t now_ns, struct told *);
/* What has waited until what it has shown to be missed was told. */
bool hearing_held(struct dialogue *, struct told *);

/* REPLY, ACK and ERROR. True: `*told` is to be told. */
bool answers_hear(struct dialogue *, const struct ringchat_message *,
                  uint64_t now_ns, struct told *);
/* What a request brings about that is over. */
bool answers_over(struct dialogue *, struct told *);

/* Writes what may be written. */
void saying_go_on(struct dialogue *, uint64_t now_ns);
bool saying_can(const struct dialogue *);
/* What the protocol has besides requests; it is dropped where the server takes
 * nothing. */
void saying_retort(struct dialogue *, const struct ringchat_message *,
                   uint64_t now_ns);
void saying_ping(struct dialogue *, uint64_t now_ns);
void saying_bye(struct dialogue *, uint64_t now_ns);
/* "~NUMBER", by which an answer in `text` is known. */
void saying_build_token(struct builder *, const struct errand *);

void output_release(struct output *);
void output_drop_sent(struct output *, size_t bytes);

/* ---- The link ----------------------------------------------------------- */

struct address {
    struct sockaddr_storage bytes;
    socklen_t length;
};

struct link {
    int fd;           /* -1: there is none */
    int interrupt_fd; /* an eventfd */
    bool connecting;
    bool deaf; /* the peer takes nothing more: what it has said is still due */
    uint64_t fd_changes;
};

int link_init(struct link *);
void link_release(struct link *);
/* 0, or -errno. */
int link_open(struct link *, const struct address *);
/* 1: it is connected; 0: not yet; -errno. */
int link_check(struct link *);
void link_close(struct link *);
/* Bytes, 0 at the end of the stream, -EAGAIN, -errno. */
ssize_t link_receive(struct link *, void *bytes, size_t capacity);
/* Bytes, or -EAGAIN; what a peer does not take any more counts as sent. */
ssize_t link_send(struct link *, const void *bytes, size_t length);
/* As poll(2) for the link's descriptor and the interrupt: -EINTR. */
int link_wait(struct link *, bool read, bool write, uint64_t until_ns);

/* ---- URLs and configuration --------------------------------------------- */

/* What is wrong, or NULL. */
const char *url_parse(const char *url, enum ringchat_dialect *,
                      struct address *);

/* A configuration, copied. */
struct settings {
    struct manner manner;
    struct belonging belonging;
    struct address address;
    void *key; /* NULL: there is none */
};

/* 0; -EINVAL and -ENOMEM, with `*why`. */
int settings_take(struct settings *, const struct ringchat_client_config *,
                  const char **why);
void settings_release(struct settings *);
/* A room's name without the `#` that people put before it. */
struct ringchat_text room_plain(const char *room);

/* ---- The client --------------------------------------------------------- */

struct ringchat_client {
    struct dialogue dialogue;
    struct link link;
    struct settings settings;
    struct ringchat_client_callbacks callbacks;
    void *user;
    bool handling;  /* its functions are at work, and do not begin anew */
    bool destroyed; /* within a callback: the outermost function frees it */
};

#endif

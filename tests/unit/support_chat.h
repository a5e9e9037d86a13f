/*
 * An engine without sockets and without a clock, for the tests of the chat:
 * peers in memory, time that passes when the test says so, random numbers that
 * are the same in each run, and what would have been logged.
 *
 * It keeps to the seam of common/chat/chat.h as strictly as the chat has to:
 * after VERDICT_PAUSE a peer is read again only once chat_next_ready has
 * returned its session; a peer that took less than it was offered is offered
 * the rest when it can take some; and time stops at each chat_deadline. After
 * each turn the chat's own invariants are checked (support_chat_check.h).
 *
 * With RINGCHAT_WORKERS in the environment it has as many workers, which take
 * turns in this thread, and the clients are dealt to them in turn: what a test
 * expects of one chat holds for several that are one.
 *
 * There is one engine at a time, as what a chat_config names has no place for
 * a pointer to it. It allocates nothing with malloc, whose failure is tested.
 */
#ifndef RINGCHAT_UNIT_SUPPORT_CHAT_H
#define RINGCHAT_UNIT_SUPPORT_CHAT_H

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/chat/chat.h"
#include "common/chat/metrics.h"
#include "common/chat/shards.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define CLIENTS_MAX 2048
#define MS UINT64_C(1000000)
#define DRAIN_NS (5 * SECONDS)
#define SECONDS NS_PER_SECOND

/* Bytes that grow, by mmap(2). */
struct bytes {
    char *data;
    size_t length, capacity;
};

void bytes_append(struct bytes *, const void *, size_t);
void bytes_release(struct bytes *);

/* A peer and its connection. */
struct client {
    struct session *session; /* NULL once it is closed */
    /* For the test to set. */
    uint64_t takes;      /* bytes that its socket buffer takes yet */
    size_t send_max;     /* that one send takes at most */
    size_t receive_max;  /* that one receive brings at most */
    bool completes_late; /* a send is over one turn after it began: the peer
                            has had the bytes, and may have answered */
    bool exact;          /* a receive brings no more than session_need says */
    bool answers;        /* a frame client's pings, at once */
    struct link_sample link;
    /* For the test to read. */
    enum dialect dialect;
    char nick[NICK_BYTES_MAX + 1];
    char uuid[37];     /* binary: of SESSION_INIT, as text */
    uint64_t said_us;  /* binary: the time of the last MESSAGE */
    uint64_t room_seq; /* secure: of the last message or notice of a room */
    bool shut;         /* the chat has ended its side of the stream */
    bool closed;       /* the connection is no more */
    bool drained;      /* closed by the chat, after all that was due was sent */
    uint64_t served;   /* engine.serves when chat_next_ready last returned it */
    /* The engine's own. */
    bool reading, half_closed, eof_told, blocked;
    struct bytes in; /* sent by the peer, received by the chat up to in_from */
    size_t in_from;
    struct bytes out; /* sent by the chat, read by the test up to out_from */
    size_t out_from;
    struct bytes flight; /* a copy of what is being sent */
    struct iovec flying[2];
    int flying_count;
    size_t landed;            /* of the flight: what the peer has had */
    uint64_t seq_out, seq_in; /* secure: of its last message, and the chat's */
    size_t answered;          /* of `out`: what has been looked at for pings */
    struct session *dying;    /* closed, to be freed when its send is over */
    unsigned worker;          /* whose it is */
};

#define TAKES_ALL UINT64_MAX

struct room;

struct engine {
    struct chat *chat; /* the first worker's */
    struct shards *shards;
    unsigned workers;
    uint64_t now_ns, wall_us;
    struct client clients[CLIENTS_MAX];
    size_t count;
    uint64_t serves; /* sessions that chat_next_ready has returned */
    uint64_t turns;
    struct bytes log; /* "EVENT KEY=VALUE ...\n" */
};

extern struct engine engine;

/* Of the secure listeners. */
extern const uint8_t engine_key[KEY_BYTES_MIN];

/* ---- The engine ---- */

/* As the options' defaults, without a limit of memory. */
struct chat_config engine_config(void);

void engine_start(const struct chat_config *);
void engine_start_default(void);

/* A test of what one worker does, whatever RINGCHAT_WORKERS says: what takes
 * its order from one thread, or looks into one chat. */
#define TEST_ALONE(test)                                                       \
    cmocka_unit_test_setup_teardown(test, engine_alone, engine_together)

/* A test of what two workers have to do with each other, in any case. */
#define TEST_OF_TWO(test)                                                      \
    cmocka_unit_test_setup_teardown(test, engine_of_two, engine_together)

#define TEST_OF_THREE(test)                                                    \
    cmocka_unit_test_setup_teardown(test, engine_of_three, engine_together)

int engine_alone(void **state);
int engine_of_two(void **state);
int engine_of_three(void **state);
int engine_together(void **state);

/* Resets every connection, and ends the chat, which must have kept nothing. */
void engine_stop(void);

/* One turn; whether anything happened. */
bool engine_turn(void);

/* Turns until nothing happens any more. Time stands still meanwhile, but for a
 * moment (at most TURN_LOOK_NS) where the chat waits for its next turn. */
void engine_run(void);

/* Lets time pass, with a turn at each deadline in it. */
void engine_wait(uint64_t ns);

/* chat_was_away, of all workers. */
void engine_was_away(uint64_t ns);

/* A room, at its owner; NULL. */
struct room *engine_room(const char *name);

/* What all workers have counted. */
struct metrics engine_metrics(void);

/* Begins to stop, within the drain timeout of engine_config. */
void engine_shutdown(void);

/* Forgets what all clients have been sent. */
void engine_forget(void);

/* How often `text` stands in the log. */
size_t engine_logged(const char *text);

/* ---- Clients ---- */

/* Connects; NULL if the chat does not even refuse it. What a client of a binary
 * dialect says and is told: support_chat_binary.h. */
struct client *client_connect_as(enum dialect, const struct peer *);
struct client *client_connect_from(const struct peer *);
struct client *client_connect(void);

/* `count` guests, from which nothing is unread. */
void clients_connect(size_t count);

/* Connects, reads the welcome and takes a nick. */
struct client *client_open(const char *nick);

/* Sends a line, to be received in the next turn. */
void client_send(struct client *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void client_send_bytes(struct client *, const void *, size_t);

/* Sends a line and runs. */
void client_tell(struct client *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Sends the end of its stream. */
void client_half_close(struct client *);

/* The connection fails. */
void client_reset(struct client *);

/* Takes no more; takes all again, and runs. */
void client_stall(struct client *);
void client_unstall(struct client *);

/* The next line it was sent, without LF; NULL if there is no whole one. It is
 * valid until the next turn. For a binary client the line describes the next
 * message (support_chat_binary.h), and is valid until the next call. */
const char *client_line(struct client *);

/* Bytes it was sent and has not read. */
size_t client_unread(const struct client *);

void client_forget(struct client *);

/* Whether the line begins so: `#` in it stands for a number, which is the next
 * one of `numbers`, and `~` for what there is up to the next space. */
bool line_begins(const char *line, const char *form, uint64_t *numbers);

/* What it was sent is the line, or nothing. */
#define client_expect(client, ...)                                             \
    expect_line(__FILE__, __LINE__, client, __VA_ARGS__)
#define client_expect_nothing(client) expect_nothing(__FILE__, __LINE__, client)
#define clients_expect_nothing() expect_nothing_by_all(__FILE__, __LINE__)
/* The next line begins so. */
#define client_expect_start(client, start)                                     \
    expect_start(__FILE__, __LINE__, client, start)

void expect_line(const char *file, int line, struct client *,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));
void expect_nothing(const char *file, int line, struct client *);
void expect_nothing_by_all(const char *file, int line);
void expect_start(const char *file, int line, struct client *,
                  const char *start);

#endif

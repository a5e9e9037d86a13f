/*
 * A client's dialogue with no network around it: the test owns its clock, is
 * its server, and reads what the two tell one another as lines.
 *
 * What the client is told:
 *
 *     =open, =open again, =waiting ECONNRESET, =closed bad-hmac
 *     den ada: text       (ada): text
 *     den +ada    den -ada    den ada=eve    den ada#topic
 *     missed den 2    missed den ?
 *     reply 3 text
 *     done 3    done 3 no-room    done 3 ECONNRESET
 *     writable    fault bad-text
 *
 * What it says to the server, in `text` as it is; in `frame`:
 *
 *     HELLO ada    PING    PONG 7    BYE
 *     MESSAGE 1 den hi    PRIVATE 1 ada hi    COMMAND 2 join den
 */
#ifndef RINGCHAT_UNIT_SUPPORT_DIALOGUE_H
#define RINGCHAT_UNIT_SUPPORT_DIALOGUE_H

#include "lib/internal.h"

struct bench {
    struct ringchat_client client;
    uint64_t now_ns;
    struct ringchat_codec *server; /* of `frame`, while there is a connection */
    char told[1 << 16], said[1 << 18];
};

/* A client with everything at its default but what the caller has filled in:
 * dialect, resend, seconds, limits. It wants this nick, or NULL, and to be in
 * these rooms, separated by spaces. */
void bench_begin(struct bench *, const struct manner *, const char *nick,
                 const char *rooms, uint64_t seed);
void bench_end(struct bench *);

/* Things happen, and what comes of them is noted. */
void bench_connect(struct bench *);
void bench_serve(struct bench *, const struct ringchat_message *);
void bench_line(struct bench *, const char *line);
void bench_bytes(struct bench *, const void *, size_t length);
void bench_lose(struct bench *, int error);
void bench_pass(struct bench *, uint64_t ms);
void bench_close(struct bench *);
/* A server's answers in short: REPLY, ACK, ERROR. */
void bench_reply(struct bench *, uint32_t id, const char *text);
void bench_ack(struct bench *, uint32_t id, uint64_t seq);
void bench_refuse(struct bench *, uint32_t id, enum ringchat_error);

/* Connects, and answers all that it asks for until it is OPEN; what it says
 * then is left to be read. */
void bench_enter(struct bench *);
/* The same, and nothing is left. */
void bench_open(struct bench *);

/* Exactly this was told, or said, since the last time it was asked. */
void bench_told(struct bench *, const char *lines);
void bench_said(struct bench *, const char *lines);

/* Each returns its ticket. */
uint64_t bench_say(struct bench *, const char *room, const char *text);
uint64_t bench_command(struct bench *, const char *line);

#endif

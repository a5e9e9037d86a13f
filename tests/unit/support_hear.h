/*
 * What the tests of hearing share: an ear, where a server's bytes arrive and
 * what came of them is written down; and what each event is to whom it is said.
 *
 * Each piece of a stream is in memory of its own, of exactly its size, and gone
 * afterwards. After an error that closes nothing more is heard.
 */
#ifndef RINGCHAT_UNIT_SUPPORT_HEAR_H
#define RINGCHAT_UNIT_SUPPORT_HEAR_H

#include "common/wire/hear.h"
#include "tests/unit/support_wire.h"

struct ear {
    struct budget budget;
    struct wire *wire;
    struct wire_peer peer;
    struct decoder decoder;
    struct transcript *transcript; /* the test's, or NULL */
    bool over;                     /* an error that closes */
};

/* A configuration of NULL: that of the vectors. */
void ear_open(struct ear *, enum dialect, const struct wire_config *);
/* Asserts that nothing was kept. */
void ear_close(struct ear *);

/* A new connection; one that is greeted is the session of the vectors. */
void ear_meet(struct ear *, bool greeted);

/* Bytes that its decoder holds. */
uint64_t ear_memory(struct ear *);

/* A piece of the stream arrives. */
void ear_feed(struct ear *, const void *bytes, size_t length);

/* A whole message arrives, and is heard where it lies: `heard` (or NULL) is
 * valid until the next one. ERROR_NONE, or what is wrong with it. */
enum error_code ear_tell(struct ear *, const void *bytes, size_t length,
                         struct heard *);

/* Asserts that the stream comes to the same whether it arrives whole, byte by
 * byte, by reads of exactly wire_need or in two pieces, cut at every place.
 * Returns what it comes to, which is valid until the next call. */
const struct transcript *hear_every_cut(struct ear *, bool greeted,
                                        const void *bytes, size_t length);

/* Likewise, whole and in pieces as they fall. */
const struct transcript *hear_random_cuts(struct ear *, bool greeted,
                                          const void *bytes, size_t length,
                                          struct rng *);

void transcript_add_event(struct transcript *, const struct event *);

void assert_events_equal(const struct event *, const struct event *);

/* Room for what an event's text becomes. */
struct becoming {
    char text[128 * 1024];
};

/*
 * What is heard of an event that is said in an encoding: text knows no numbers,
 * frames no content that is not text or is too long, and a reply is a reply.
 */
struct event event_as_heard(enum encoding, const struct event *,
                            struct becoming *);

#endif

/*
 * What the tests of the wire share: what the golden vectors mean; a station,
 * where a peer's bytes arrive and what came of them is written down; and secure
 * messages, signed by other means than the server's.
 *
 * A station plays the chat as far as a decoder knows it: who says hello is
 * welcomed, and after an error that closes nothing more is read. Each piece of
 * a stream is in memory of its own, of exactly its size, and gone afterwards.
 */
#ifndef RINGCHAT_UNIT_SUPPORT_WIRE_H
#define RINGCHAT_UNIT_SUPPORT_WIRE_H

#include "common/buffer/budget.h"
#include "common/wire/keys.h"
#include "common/wire/wire.h"
#include "tests/unit/support_random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* ---- The golden vectors ------------------------------------------------- */

/* Limits and keys as tests/vectors/generate.py has them. */
struct wire_config vector_config(void);

/* The rest of a vector's name after "GROUP_"; NULL if it is of another one. */
const char *vector_of(const char *group, const char *name);

/* What the vector "DIALECT_in_NAME" is to be read as. */
struct request vector_request(const char *name);

/* What the vector "ENCODING_out_NAME" says. */
struct event vector_event(const char *name);

/* ---- What came of a stream ---------------------------------------------- */

struct transcript {
    size_t length;
    unsigned char bytes[256 * 1024];
};

void transcript_add(struct transcript *, const void *bytes, size_t length);
/* With its length. */
void transcript_add_slice(struct transcript *, struct slice);
void transcript_add_request(struct transcript *, const struct request *);
/* The id as request.id says it. */
void transcript_add_error(struct transcript *, enum error_code, uint32_t id);
bool transcript_equals(const struct transcript *, const struct transcript *);

void assert_requests_equal(const struct request *, const struct request *);

/* ---- Stations ----------------------------------------------------------- */

struct station {
    struct budget budget;
    struct wire *wire;
    struct wire_peer peer; /* its UUID is that of the vectors */
    struct decoder decoder;
    struct transcript *transcript; /* the test's, or NULL */
    bool exact; /* asserts that nothing follows a message in its piece */
    bool over;  /* an error that closes */
};

/* A configuration of NULL: that of the vectors. */
void station_open(struct station *, enum dialect, const struct wire_config *);
/* Asserts that nothing was kept. */
void station_close(struct station *);

/* A new peer comes; a welcomed one has said hello before. */
void station_meet(struct station *, bool welcomed);

/* Bytes that its decoder holds. */
uint64_t station_memory(struct station *);

/* A piece of the stream arrives. */
void station_feed(struct station *, const void *bytes, size_t length);

/* A whole message arrives, and is read where it lies: `request` (or NULL) is
 * valid until the next one. ERROR_NONE, or what it is refused for. */
enum error_code station_tell(struct station *, const void *bytes, size_t length,
                             struct request *);

/*
 * Asserts that the stream comes to the same whether it arrives whole, byte by
 * byte, by reads of exactly wire_need or in two pieces, cut at every place.
 * Returns what it comes to, which is valid until the next call.
 */
const struct transcript *check_every_cut(struct station *, bool welcomed,
                                         const void *bytes, size_t length);

/* Likewise, whole and in pieces as they fall. */
const struct transcript *check_random_cuts(struct station *, bool welcomed,
                                           const void *bytes, size_t length,
                                           struct rng *);

/* ---- Secure messages ---------------------------------------------------- */

struct message {
    size_t length;
    unsigned char bytes[16 * 1024]; /* longer headers than there may be */
};

/* The session's UUID of the vectors, as text. */
#define VECTOR_SESSION_TEXT "10111213-1415-1617-1819-1a1b1c1d1e1f"

/* Whole and signed with the key of the vectors. */
void message_write(struct message *, unsigned type, struct slice headers,
                   struct slice content);

/* With the headers `{"session":...,"seq":SEQ FIELDS}`: fields begin with a
 * comma. */
void message_tell(struct message *, unsigned type, uint64_t seq,
                  const char *fields, struct slice content);

/* Likewise with the content sealed; `keys` are client_keys(). */
void message_seal(struct message *, struct keys *, unsigned type, uint64_t seq,
                  const char *fields, struct slice content);

/* What the peer of the vectors seals with. */
struct keys *client_keys(void);

/* The HMAC anew, likewise. */
void message_sign(struct message *);

/* CRCs and HMAC anew for what it says its lengths are, if it has as much. */
void message_mend(struct message *);

/* ---- OpenSSL's memory --------------------------------------------------- */

/* alloc_fail_at counts OpenSSL's calls, too. To be said before it has allocated
 * anything: first of all in main. */
void crypto_memory_can_fail(void);

#endif

/*
 * The peers' side of a history. What a step says is filled in here: nicks,
 * lengths that fit the limits, hellos that have to come first.
 */
#include "tests/sim/peer.h"

#include "tests/sim/model.h"
#include "tests/sim/promise.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define SEAL_BYTES 16

struct rng rng_of(uint64_t salt, unsigned index)
{
    return (struct rng){salt + index * UINT64_C(0xd1342543de82ef95)};
}

/* ---- What an op is ------------------------------------------------------- */

static uint32_t room_length(const struct op *op)
{
    char name[40];

    op_room_name(op, name);
    return (uint32_t)strlen(name);
}

/* What stands before the op's text where its length is limited. */
static uint32_t overhead_of(const struct op *op, enum dialect dialect)
{
    uint32_t nick = (uint32_t)strlen(op->nick);
    uint32_t line = dialect == DIALECT_TEXT ? 1 : 0; /* the slash */

    switch (op->say) {
    case SAY_PRIVATE:
        return op->as_message ? nick + 1 : line + 5 + nick;
    case SAY_TO_ROOM:
        return room_length(op);
    case SAY_TOPIC:
        return line + 6;
    case SAY_ECHO:
        return line + 5;
    default:
        return 0;
    }
}

static uint32_t limit_of(const struct peer_state *peer)
{
    const struct wire_config *limits = &world.plan->setup.config.wire;

    switch (peer->voice.dialect) {
    case DIALECT_TEXT:
        return limits->line_bytes_max;
    case DIALECT_FRAME:
        return limits->frame_bytes_max - 5; /* id and target's length */
    case DIALECT_SECURE:
        return limits->message_bytes_max - (peer->sealed ? SEAL_BYTES : 0);
    }
    return 0;
}

static uint32_t clipped(const struct peer_state *peer, const struct op *op,
                        uint32_t length)
{
    uint32_t overhead = overhead_of(op, peer->voice.dialect);
    uint32_t limit = limit_of(peer);

    if (limit < overhead + OP_TEXT_MIN || length < OP_TEXT_MIN)
        return OP_TEXT_MIN;
    return length < limit - overhead ? length : limit - overhead;
}

/* Commands and messages have one. */
static bool has_id(const struct op *op, enum dialect dialect)
{
    switch (op->say) {
    case SAY_HELLO:
    case SAY_BEAT:
    case SAY_PONG:
    case SAY_TRANSFER:
    case SAY_ODD_TYPE:
    case SAY_DISCONNECT:
        return false;
    default:
        return dialect != DIALECT_TEXT && op->say < SAY_FATAL;
    }
}

static bool is_message(const struct op *op)
{
    return op->say == SAY_MESSAGE || op->say == SAY_TO_ROOM ||
           (op->say == SAY_PRIVATE && op->as_message);
}

static void nick_contested(char nick[32], struct rng rng)
{
    static const char *const nicks[] = {
        "ann",
        "b",
        "guest-12g4",
        "_xyz_xyz_xyz_xyz_xyz-234",
    };
    uint64_t letters = rng_next(&rng);
    const char *from = nicks[letters >> 32 & 3];
    size_t i = 0;

    for (; from[i] != '\0'; i++, letters >>= 1)
        nick[i] =
            (char)(letters & 1 ? toupper((unsigned char)from[i]) : from[i]);
    nick[i] = '\0';
}

/* The last one is too long, and no hello that has it is read. */
static void nick_bad(struct op *op, struct rng rng)
{
    static const char *const nicks[] = {
        "1x",
        "-x",
        "n.x",
        "guest-12ab",
        "Guest-12aB",
        "GUEST-12345678",
        "abcdefghijklmnopqrstuvwxy",
    };
    size_t count = op->say == SAY_HELLO ? 6 : 7;

    (void)snprintf(op->nick, sizeof(op->nick), "%s",
                   nicks[rng_below(&rng, count)]);
}

/* The nick that a hello or /nick asks for. */
static void nick_wanted(struct op *op, const struct step *step)
{
    switch (step->naming) {
    case NAMING_OWN:
        (void)snprintf(op->nick, sizeof(op->nick), "n%u_%u%s", op->peer,
                       op->number & ~HELLO_NUMBER,
                       op->number & HELLO_NUMBER ? "h" : "");
        break;
    case NAMING_CONTESTED:
        nick_contested(op->nick, rng_of(step->salt, op->peer));
        break;
    case NAMING_GUEST:
        op->nick[0] = '\0';
        break;
    case NAMING_BAD:
        nick_bad(op, rng_of(step->salt, op->peer));
        break;
    }
}

static void nick_fill(struct op *op, const struct step *step)
{
    if (op->say == SAY_HELLO || op->say == SAY_NICK ||
        (op->say == SAY_PRIVATE && step->naming == NAMING_BAD))
        nick_wanted(op, step);
    else if (op->say == SAY_PRIVATE)
        (void)snprintf(op->nick, sizeof(op->nick), "%s",
                       model_nick_of(op->whom));
}

static void op_fill(struct op *op, const struct peer_state *peer,
                    const struct step *step)
{
    enum dialect dialect = peer->voice.dialect;

    op->peer = peer->index;
    op->room = (uint8_t)(step->room % ROOMS_MAX);
    op->whom = (uint8_t)(step->whom % PEERS_MAX);
    op->named = step->named;
    op->as_message = step->as_message && dialect != DIALECT_TEXT;
    op->typed = step->typed && dialect == DIALECT_SECURE && is_message(op);
    op->id = has_id(op, dialect) ? step->id : 0;
    nick_fill(op, step);
    op->length = clipped(peer, op, step->length);
}

/* ---- Saying -------------------------------------------------------------- */

static void say(struct peer_state *peer, const struct step *step,
                uint32_t number, enum say say)
{
    struct op *op = model_op();

    if (!op)
        return;
    op->number = number;
    op->say = say;
    op_fill(op, peer, step);
    voice_say(&peer->voice, op, &peer->up);
    op->end = peer->up.length;
    if (say == SAY_HELLO)
        peer->helloed = true;
    model_said(peer, op);
}

/* Seldom a binary peer begins with something else, which is a `handshake`. */
static bool opens_strangely(const struct step *step)
{
    return step->salt % 16 == 0;
}

static void say_binary(struct peer_state *peer, const struct step *step,
                       enum say word)
{
    if (word == SAY_HELLO_AGAIN && !peer->voice.welcomed)
        return; /* it might be the first that is accepted */
    if (!peer->helloed && word != SAY_HELLO && !opens_strangely(step))
        say(peer, step, step->number | HELLO_NUMBER, SAY_HELLO);
    say(peer, step, step->number, word);
}

void peer_say(struct peer_state *peer, const struct step *step)
{
    enum say word;

    if (!peer->session || peer->half_closed || !voice_can_speak(&peer->voice))
        return;
    word = say_in_dialect(step->say, peer->voice.dialect);
    if (peer->voice.dialect == DIALECT_TEXT)
        say(peer, step, step->number, word);
    else
        say_binary(peer, step, word);
}

void peer_half_close(struct peer_state *peer, const struct step *step)
{
    struct bytes *up = &peer->up;
    uint64_t from = up->length > 1 ? up->length - 2 : 0;

    if (!peer->half_closed && peer->connected && step->salt % 2 &&
        peer->voice.dialect == DIALECT_TEXT && from >= peer->handed &&
        from + 2 == up->length && *bytes_at(up, from) != '\r')
        up->length--;
    peer->half_closed = true;
}

/* ---- Hearing ------------------------------------------------------------- */

static void note_heard(const struct peer_state *peer, const struct heard *heard)
{
    char line[512];

    if (!world_is_printed())
        return;
    heard_print(heard, line, sizeof(line));
    world_note("    peer %u hears %s", peer->index, line);
}

static void pong(struct peer_state *peer, uint64_t stamp)
{
    if (peer->mute || peer->half_closed || !peer->session)
        return;
    voice_pong(&peer->voice, stamp, &peer->up);
    model_ponged(peer, stamp, peer->up.length);
}

static void on_heard(struct peer_state *peer, const struct heard *heard)
{
    note_heard(peer, heard);
    model_heard(peer, heard);
    if (heard->kind == HEARD_PING)
        pong(peer, heard->number);
    else if (heard->kind == HEARD_ERROR && !peer->voice.welcomed)
        peer->helloed = false; /* it may try another nick */
}

/* Understands what is whole of what it has read. */
static void hear(struct peer_state *peer)
{
    struct heard heard;

    while (peer->heard < peer->taken) {
        size_t length =
            voice_hear(&peer->voice, bytes_at(&peer->down, peer->heard),
                       (size_t)(peer->taken - peer->heard), &heard);

        if (length == 0)
            break;
        peer->heard += length;
        on_heard(peer, &heard);
    }
    bytes_forget(&peer->down, peer->heard);
}

/* The chat has ended its side: some peers end theirs when they read that, the
 * others leave it to the chat. */
static bool answer_end(struct peer_state *peer, struct rng *rng)
{
    if (!peer->shut || peer->half_closed || peer->taken < peer->down.length ||
        rng_below(rng, 2) == 0)
        return false;
    world_note("    peer %u half-closes in answer", peer->index);
    peer->half_closed = true;
    return true;
}

bool peer_read(struct peer_state *peer, struct rng *rng)
{
    uint64_t length = peer->down.length - peer->taken;

    if (length > peer->appetite)
        length = peer->appetite;
    peer->taken += length;
    if (length > 0)
        hear(peer);
    return answer_end(peer, rng) || length > 0;
}

/* The last message is whole, unless the chat gave up while it was sent. */
static void check_whole(const struct peer_state *peer)
{
    uint64_t left = peer->down.length - peer->heard;

    if (left > 0 && (peer->shut || !peer->cut))
        promise_broken("whole messages",
                       "peer %u: the stream ends %llu bytes into a message",
                       peer->index, (unsigned long long)left);
}

void peer_over(struct peer_state *peer, enum end end)
{
    if (end == END_SERVER) {
        peer->taken = peer->down.length;
        hear(peer);
        check_whole(peer);
    }
    peer->end = end;
    world_note("    peer %u is %s", peer->index,
               end == END_SERVER ? "closed by the chat" : "reset");
    model_closed(peer);
}

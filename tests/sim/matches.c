/*
 * What answers a request. What that has to be follows from what the peer has
 * done before, which its own answers have told; and where others have a part in
 * it (who has a nick, who is in a room), it is written down for the verdict.
 */
#include "tests/sim/model_internal.h"

#include "common/base/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static _Noreturn void wrong(const struct life *life, const struct op *op,
                            const struct heard *heard)
{
    char line[256] = "nothing";

    if (heard != &nothing)
        heard_print(heard, line, sizeof(line));
    promise_broken("answers", "peer %u: #%u %s is answered by %s",
                   life->state->index, op->number, say_name(op->say), line);
}

/* What a request says, for a moment. */
static char said[1 << 18];

/* ---- What an event looks like ------------------------------------------- */

static bool is_text(const struct life *life)
{
    return life->state->voice.dialect == DIALECT_TEXT;
}

/* A MESSAGE or a COMMAND: what answers it carries its id. */
static bool has_id(const struct op *op)
{
    return op->say < SAY_BEAT ||
           (op->say >= SAY_UNKNOWN && op->say <= SAY_LONG_LINE) ||
           op->say == SAY_QUIT;
}

static uint32_t id_due(const struct life *life, const struct op *op)
{
    return is_text(life) || !has_id(op) || op->say == SAY_HELLO ? 0 : op->id;
}

static bool is_to(const struct life *life, const struct op *op,
                  const struct heard *heard, enum heard_kind kind)
{
    return heard->kind == kind && heard->id == id_due(life, op);
}

static bool is_error(const struct life *life, const struct op *op,
                     const struct heard *heard, enum error_code code)
{
    return is_to(life, op, heard, HEARD_ERROR) && heard->code == code;
}

/* Whether it is a reply that begins so; what follows is `rest`. */
static bool is_reply(const struct life *life, const struct op *op,
                     const struct heard *heard, const char *start,
                     struct slice *rest)
{
    size_t length = strlen(start);

    if (!is_to(life, op, heard, HEARD_REPLY) || heard->text.length < length ||
        memcmp(heard->text.bytes, start, length) != 0)
        return false;
    *rest =
        (struct slice){heard->text.bytes + length, heard->text.length - length};
    return true;
}

/* Likewise one that is exactly that. */
static bool is_reply_exactly(const struct life *life, const struct op *op,
                             const struct heard *heard, const char *text)
{
    struct slice rest;

    return is_reply(life, op, heard, text, &rest) && rest.length == 0;
}

/* ---- What became of it -------------------------------------------------- */

static void settle(struct life *life, struct op *op, enum fate fate,
                   enum error_code error)
{
    struct fact *fact = fact_of(op);

    if (has_id(op) && op->say != SAY_HELLO && op->say != SAY_QUIT)
        deadlines_served(life);
    fact->fate = fate;
    fact->error = error;
    fact->nick = life->nick;
    if (fact->begun > life->sure)
        life->sure = fact->begun;
}

static enum match done(struct life *life, struct op *op)
{
    settle(life, op, FATE_DONE, ERROR_NONE);
    return MATCH_WHOLE;
}

static enum match refused(struct life *life, struct op *op,
                          const struct heard *heard)
{
    settle(life, op, FATE_REFUSED, heard->code);
    return MATCH_WHOLE;
}

/* It has to be that error. */
static enum match refused_for(struct life *life, struct op *op,
                              const struct heard *heard, enum error_code code)
{
    if (!is_error(life, op, heard, code))
        wrong(life, op, heard);
    return refused(life, op, heard);
}

/* It has to be a reply that begins so. */
static enum match replied(struct life *life, struct op *op,
                          const struct heard *heard, const char *start)
{
    struct slice rest;

    if (!is_reply(life, op, heard, start, &rest))
        wrong(life, op, heard);
    return done(life, op);
}

/* ---- Rooms -------------------------------------------------------------- */

static struct stay **place_in(struct life *life, unsigned room)
{
    for (unsigned i = 0; i < life->place_count; i++) {
        if (life->places[i]->room == room)
            return &life->places[i];
    }
    return NULL;
}

static struct stay **place_current(struct life *life)
{
    return life->place_count > 0 ? &life->places[life->place_count - 1] : NULL;
}

static void place_remove(struct life *life, struct stay **place)
{
    life->place_count--;
    for (; place < life->places + life->place_count; place++)
        place[0] = place[1];
}

void place_add(struct life *life, struct stay *stay)
{
    life->places[life->place_count++] = stay;
}

/* The room that a request means which may name one. */
static struct stay **place_meant(struct life *life, const struct op *op)
{
    return op->named ? place_in(life, op->room) : place_current(life);
}

/* Without a room: the error that says so. */
static enum match no_place(struct life *life, struct op *op,
                           const struct heard *heard)
{
    return refused_for(life, op, heard,
                       op->named ? ERROR_NO_SUCH_ROOM : ERROR_NO_ROOM);
}

static enum match match_message(struct life *life, struct op *op,
                                const struct heard *heard)
{
    bool by_name = op->say == SAY_TO_ROOM;
    struct stay **place =
        by_name ? place_in(life, op->room) : place_current(life);
    struct fact *fact = fact_of(op);

    if (!place)
        return refused_for(life, op, heard,
                           by_name ? ERROR_NO_SUCH_ROOM : ERROR_NO_ROOM);
    if (fact->room != ROOM_UNKNOWN && fact->room != (*place)->room)
        promise_broken("rooms", "m%u, said to %s, was heard in %s", op->number,
                       room_name_of((*place)->room), room_name_of(fact->room));
    fact->room = (*place)->room;
    settle(life, op, FATE_DONE, ERROR_NONE);
    if (id_due(life, op) == 0)
        return MATCH_SILENT;
    if (!is_to(life, op, heard, HEARD_ACK))
        wrong(life, op, heard);
    position_know(op, heard->seq);
    return MATCH_WHOLE;
}

/* "ROOM (N members)" */
static bool read_joined(struct slice rest, const struct op *op, uint64_t *count)
{
    const char *space = memchr(rest.bytes, ' ', rest.length);
    char number[24];
    char *end;
    size_t length;

    if (!space)
        return false;
    length = rest.length - (size_t)(space - rest.bytes);
    if (room_named(rest.bytes, (size_t)(space - rest.bytes)) != op->room ||
        length >= sizeof(number) || length < 3)
        return false;
    memcpy(number, space, length);
    number[length] = '\0';
    if (number[1] != '(')
        return false;
    *count = strtoull(number + 2, &end, 10);
    return strcmp(end, " members)") == 0;
}

static enum match match_join(struct life *life, struct op *op,
                             const struct heard *heard)
{
    struct stay **place = place_in(life, op->room);
    struct fact *fact = fact_of(op);
    struct slice rest;
    struct stay *stay;

    if (!place && life->place_count == ROOMS_PER_SESSION_MAX)
        return refused_for(life, op, heard, ERROR_TOO_MANY_ROOMS);
    if (!is_reply(life, op, heard, "joined ", &rest) ||
        !read_joined(rest, op, &fact->listed))
        wrong(life, op, heard);
    if (place) {
        stay = *place;
        place_remove(life, place);
    } else {
        stay =
            stay_begin(life->state->index, op->room, fact->begun, fact->done);
    }
    place_add(life, stay);
    return done(life, op);
}

static enum match match_leave(struct life *life, struct op *op,
                              const struct heard *heard)
{
    struct stay **place = place_meant(life, op);
    const struct fact *fact = fact_of(op);
    struct slice rest;

    if (!place)
        return no_place(life, op, heard);
    if (!is_reply(life, op, heard, "left ", &rest) ||
        room_named(rest.bytes, rest.length) != (*place)->room)
        wrong(life, op, heard);
    (*place)->time.out_begun = fact->begun;
    (*place)->time.out_done = fact->done;
    place_remove(life, place);
    return done(life, op);
}

/* A reply that does not fit a frame is not sent as it is. */
static bool is_described(const struct life *life, const struct op *op,
                         const struct heard *heard)
{
    struct slice rest;

    return life->state->voice.dialect == DIALECT_FRAME &&
           is_reply(life, op, heard, "sent text/plain; charset=utf-8 (", &rest);
}

static enum match match_topic(struct life *life, struct op *op,
                              const struct heard *heard)
{
    struct stay **place = place_current(life);
    struct fact *fact = fact_of(op);
    struct slice rest;
    size_t name;

    if (!place)
        return refused_for(life, op, heard, ERROR_NO_ROOM);
    fact->room = (*place)->room;
    if (is_described(life, op, heard))
        return done(life, op);
    name = strlen(room_name_of(fact->room));
    if (!is_reply(life, op, heard, "topic ", &rest) || rest.length < name + 1 ||
        room_named(rest.bytes, name) != fact->room || rest.bytes[name] != ':')
        wrong(life, op, heard);
    if (op->named) {
        op_text(op, said);
        if (rest.length != name + 2 + op->length ||
            memcmp(rest.bytes + name + 2, said, op->length) != 0)
            wrong(life, op, heard);
    }
    return done(life, op);
}

/* ---- Lists -------------------------------------------------------------- */

static enum match match_who(struct life *life, struct op *op,
                            const struct heard *heard)
{
    struct stay **place = place_meant(life, op);
    struct fact *fact = fact_of(op);
    const struct name *name;

    if (!place)
        return no_place(life, op, heard);
    if (!is_to(life, op, heard, HEARD_REPLY))
        wrong(life, op, heard);
    fact->room = (*place)->room;
    if (is_reply_exactly(life, op, heard, "end of who"))
        return done(life, op);
    name = &model.names[name_of(heard->text.bytes, heard->text.length)];
    if (name->peer < PEERS_MAX)
        fact->listed |= UINT64_C(1) << name->peer;
    else
        fact->others++;
    return MATCH_MORE;
}

/* "NAME N members" */
static bool read_room(struct slice line, unsigned *room, uint64_t *count)
{
    const char *space = memchr(line.bytes, ' ', line.length);
    char rest[32];
    char *end;
    size_t length;

    if (!space)
        return false;
    *room = room_named(line.bytes, (size_t)(space - line.bytes));
    length = line.length - (size_t)(space - line.bytes);
    if (*room == ROOMS_MAX || length >= sizeof(rest))
        return false;
    memcpy(rest, space, length);
    rest[length] = '\0';
    *count = strtoull(rest, &end, 10);
    return strcmp(end, " members") == 0;
}

static enum match match_rooms(struct life *life, struct op *op,
                              const struct heard *heard)
{
    struct listed *listed = &model.listed[model.listed_count];
    struct fact *fact = fact_of(op);
    struct slice rest;
    unsigned room;
    uint64_t count;

    if (is_reply_exactly(life, op, heard, "end of rooms"))
        return done(life, op);
    if (!is_reply(life, op, heard, "room ", &rest) ||
        !read_room(rest, &room, &count) || fact->listed >> room & 1)
        wrong(life, op, heard);
    if (++model.listed_count == LISTED_MAX)
        promise_broken("simulator", "too much is listed");
    *listed = (struct listed){op, count, (uint8_t)room};
    fact->listed |= UINT64_C(1) << room;
    return MATCH_MORE;
}

/* Lines that begin so, up to the one that ends so. */
static enum match match_list(struct life *life, struct op *op,
                             const struct heard *heard, const char *start,
                             const char *end)
{
    struct slice rest;

    if (is_reply(life, op, heard, end, &rest))
        return done(life, op);
    if (!is_reply(life, op, heard, start, &rest))
        wrong(life, op, heard);
    return MATCH_MORE;
}

/* ---- Nicks -------------------------------------------------------------- */

static void take_nick(struct life *life, uint16_t name, const struct fact *fact)
{
    if (life->holding) {
        life->holding->time.out_begun = fact->begun;
        life->holding->time.out_done = fact->done;
    }
    life->nick = name;
    life->holding =
        holding_begin(life->state->index, name, fact->begun, fact->done);
}

static enum match match_nick(struct life *life, struct op *op,
                             const struct heard *heard)
{
    uint16_t name = name_of(op->nick, strlen(op->nick));
    struct slice rest;

    if (!may_be_asked(op->nick))
        return refused_for(life, op, heard, ERROR_BAD_NAME);
    if (is_error(life, op, heard, ERROR_NICK_IN_USE) && name != life->nick)
        return refused(life, op, heard);
    if (!is_reply(life, op, heard, "you are now ", &rest) ||
        name_of(rest.bytes, rest.length) != name)
        wrong(life, op, heard);
    done(life, op);
    if (name != life->nick)
        take_nick(life, name, fact_of(op));
    return MATCH_WHOLE;
}

static enum match welcomed(struct life *life, struct op *op,
                           const struct heard *heard)
{
    const struct fact *fact = fact_of(op);
    uint16_t name = name_of(heard->nick.bytes, heard->nick.length);

    if (op->nick[0] != '\0' && (name != name_of(op->nick, strlen(op->nick)) ||
                                !may_be_asked(op->nick)))
        wrong(life, op, heard);
    life->welcomed = true;
    life->beaten_ns = life->clock_ns;
    done(life, op);
    if (op->nick[0] == '\0')
        name_claim(name, life->state->index);
    take_nick(life, name, fact);
    place_add(life, stay_begin(life->state->index, 0, fact->begun, fact->done));
    return MATCH_WHOLE;
}

static enum match match_hello(struct life *life, struct op *op,
                              const struct heard *heard)
{
    if (heard->kind == HEARD_WELCOME)
        return welcomed(life, op, heard);
    if (op->nick[0] == '\0')
        wrong(life, op, heard);
    if (!may_be_asked(op->nick))
        return refused_for(life, op, heard, ERROR_BAD_NAME);
    return refused_for(life, op, heard, ERROR_NICK_IN_USE);
}

/* ---- People ------------------------------------------------------------- */

static enum match match_private(struct life *life, struct op *op,
                                const struct heard *heard)
{
    struct slice rest;

    if (!is_nick(op->nick))
        return refused_for(life, op, heard, ERROR_BAD_NAME);
    if (is_error(life, op, heard, ERROR_NO_SUCH_NICK) ||
        is_error(life, op, heard, ERROR_RECEIVER_BUSY))
        return refused(life, op, heard);
    if (op->as_message) {
        if (!is_to(life, op, heard, HEARD_ACK) || heard->seq != 0)
            wrong(life, op, heard);
        return done(life, op);
    }
    if (!is_reply(life, op, heard, "sent to ", &rest) ||
        name_of(rest.bytes, rest.length) != name_of(op->nick, strlen(op->nick)))
        wrong(life, op, heard);
    return done(life, op);
}

static enum match match_echo(struct life *life, struct op *op,
                             const struct heard *heard)
{
    op_text(op, said);
    if (!is_to(life, op, heard, is_text(life) ? HEARD_RAW : HEARD_REPLY) ||
        heard->text.length != op->length ||
        memcmp(heard->text.bytes, said, op->length) != 0)
        wrong(life, op, heard);
    return done(life, op);
}

static enum match match_beat(struct life *life, struct op *op,
                             const struct heard *heard)
{
    settle(life, op, FATE_DONE, ERROR_NONE);
    if (is_text(life))
        return MATCH_SILENT;
    if (heard->kind != HEARD_PONG || heard->number != op->number)
        wrong(life, op, heard);
    return MATCH_WHOLE;
}

/* ---- Going -------------------------------------------------------------- */

/* `bye`, and in binary a DISCONNECT behind it. */
static enum match match_quit(struct life *life, struct op *op,
                             const struct heard *heard)
{
    const struct fact *fact = fact_of(op);

    if (op->say == SAY_QUIT && fact->fate != FATE_DONE) {
        if (!is_reply_exactly(life, op, heard, "bye"))
            wrong(life, op, heard);
        settle(life, op, FATE_DONE, ERROR_NONE);
        if (!is_text(life))
            return MATCH_MORE;
    } else if (heard->kind != HEARD_DISCONNECT || heard->code != 0) {
        wrong(life, op, heard);
    }
    settle(life, op, FATE_DONE, ERROR_NONE);
    life_over(life, OVER_ASKED, ERROR_NONE, fact->begun, fact->done);
    return MATCH_WHOLE;
}

/* The error that closes for it; before WELCOME it may be another one. */
static enum error_code error_due(const struct life *life, const struct op *op)
{
    if (is_text(life) || (life->welcomed && op->say != SAY_HELLO))
        return op->say >= SAY_FATAL ? say_error(op->say) : ERROR_NONE;
    if (op->say == SAY_BAD_MAGIC || op->say == SAY_BAD_VERSION)
        return say_error(op->say);
    if (op->say == SAY_HELLO && !life->welcomed)
        return model.setup->config.wire.encryption_required &&
                       life->state->voice.dialect == DIALECT_SECURE &&
                       !life->state->sealed
                   ? ERROR_HANDSHAKE
                   : ERROR_NONE;
    return ERROR_HANDSHAKE;
}

static enum match match_fatal(struct life *life, struct op *op,
                              const struct heard *heard, enum error_code due)
{
    const struct fact *fact = fact_of(op);

    if (heard->kind != HEARD_ERROR || heard->code != due)
        wrong(life, op, heard);
    settle(life, op, FATE_REFUSED, due);
    life_over(life, OVER_ERROR, due, fact->first, fact->done);
    return MATCH_WHOLE;
}

/* ---- Which is which ----------------------------------------------------- */

static enum match match_command(struct life *life, struct op *op,
                                const struct heard *heard)
{
    switch (op->say) {
    case SAY_ROOMS:
        return match_rooms(life, op, heard);
    case SAY_TIME:
        return replied(life, op, heard, "time 20");
    case SAY_PING:
        return replied(life, op, heard, "pong rtt_us=");
    case SAY_HELP:
        return match_list(life, op, heard, "/", "/quit");
    case SAY_METRICS:
        return match_list(life, op, heard, "", "end of metrics");
    case SAY_THROUGHPUT:
        return replied(life, op, heard, "throughput in=");
    case SAY_UNKNOWN:
        return refused_for(life, op, heard, ERROR_UNKNOWN_COMMAND);
    case SAY_USAGE:
        return refused_for(life, op, heard, ERROR_USAGE);
    case SAY_BAD_NAME:
        return refused_for(life, op, heard, ERROR_BAD_NAME);
    case SAY_BAD_TEXT:
        return refused_for(life, op, heard, ERROR_BAD_TEXT);
    case SAY_LONG_LINE:
        return refused_for(life, op, heard, ERROR_LINE_TOO_LONG);
    case SAY_TRANSFER:
        return refused_for(life, op, heard, ERROR_UNAVAILABLE);
    case SAY_ODD_TYPE:
        return refused_for(life, op, heard, ERROR_UNKNOWN_TYPE);
    default:
        wrong(life, op, heard);
    }
}

enum match match_op(struct life *life, struct op *op, const struct heard *heard)
{
    enum error_code due = error_due(life, op);

    if (due != ERROR_NONE)
        return match_fatal(life, op, heard, due);
    switch (op->say) {
    case SAY_HELLO:
        return match_hello(life, op, heard);
    case SAY_MESSAGE:
    case SAY_TO_ROOM:
        return match_message(life, op, heard);
    case SAY_PRIVATE:
        return match_private(life, op, heard);
    case SAY_JOIN:
        return match_join(life, op, heard);
    case SAY_LEAVE:
        return match_leave(life, op, heard);
    case SAY_NICK:
        return match_nick(life, op, heard);
    case SAY_TOPIC:
        return match_topic(life, op, heard);
    case SAY_WHO:
        return match_who(life, op, heard);
    case SAY_ECHO:
        return match_echo(life, op, heard);
    case SAY_BEAT:
        return match_beat(life, op, heard);
    case SAY_PONG:
        settle(life, op, FATE_DONE, ERROR_NONE);
        return MATCH_SILENT;
    case SAY_QUIT:
    case SAY_DISCONNECT:
        return match_quit(life, op, heard);
    default:
        return match_command(life, op, heard);
    }
}

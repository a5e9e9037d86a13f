/*
 * Who was in which room, who had which nick, and what each peer saw there. What
 * can be judged at once is: that a message was said, in that room, by somebody
 * of that nick, in those words, and is heard once. What depends on the whole is
 * written down for the verdict.
 */
#include "tests/sim/model_internal.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_MAX (1 << 18)
#define PLAIN_TEXT "text/plain; charset=utf-8"

/* ---- Names -------------------------------------------------------------- */

static unsigned name_bucket(const char *text)
{
    unsigned hash = 5381;

    while (*text)
        hash = hash * 33 + (unsigned char)*text++;
    return hash % 1024;
}

/* "n12_345" is peer 12's alone; the few others are anybody's, but for guests'
 * that are claimed: one of zeros is given again and again. */
static uint8_t name_owner(const char *text)
{
    if (text[0] == 'n' && isdigit((unsigned char)text[1]))
        return (uint8_t)strtoul(text + 1, NULL, 10);
    if (strncmp(text, "guest-", 6) != 0 || text[6 + strspn(text + 6, "0")] == 0)
        return NAME_CONTESTED;
    return NAME_UNKNOWN;
}

static uint16_t name_add(const char *text, unsigned bucket)
{
    uint16_t name;

    if (model.name_count + 1 == NAMES_MAX)
        promise_broken("simulator", "too many names");
    name = (uint16_t)++model.name_count;
    (void)snprintf(model.names[name].text, sizeof(model.names[name].text), "%s",
                   text);
    model.names[name].peer = name_owner(text);
    model.name_next[name] = model.name_buckets[bucket];
    model.name_buckets[bucket] = name;
    return name;
}

/* False if it is too long for a nick. */
static bool lower_case(char lower[32], const char *text, size_t length)
{
    if (length >= 32)
        return false;
    for (size_t i = 0; i < length; i++)
        lower[i] = (char)tolower((unsigned char)text[i]);
    lower[length] = '\0';
    return true;
}

uint16_t name_of(const char *text, size_t length)
{
    char lower[32];
    unsigned bucket;

    if (!lower_case(lower, text, length))
        promise_broken("nicks", "a nick of %zu bytes", length);
    bucket = name_bucket(lower);
    for (uint16_t i = model.name_buckets[bucket]; i; i = model.name_next[i]) {
        if (strcmp(model.names[i].text, lower) == 0)
            return i;
    }
    return name_add(lower, bucket);
}

void name_claim(uint16_t name, unsigned peer)
{
    struct name *claimed = &model.names[name];

    if (claimed->peer == NAME_UNKNOWN)
        claimed->peer = (uint8_t)peer;
    else if (claimed->peer != peer)
        claimed->peer = NAME_CONTESTED; /* given again later */
}

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

bool is_nick(const char *nick)
{
    size_t length = strspn(nick, LETTERS DIGITS "_-");

    return length > 0 && length <= 24 && nick[length] == '\0' &&
           strchr(DIGITS "-", nick[0]) == NULL;
}

/* `guest-` and 4 to 8 hex digits: only given. */
static bool is_guest(const char *nick)
{
    size_t digits;

    if (strncasecmp(nick, "guest-", 6) != 0)
        return false;
    digits = strspn(nick + 6, "0123456789abcdefABCDEF");
    return digits >= 4 && digits <= 8 && nick[6 + digits] == '\0';
}

bool may_be_asked(const char *nick)
{
    return is_nick(nick) && !is_guest(nick);
}

struct holding *holding_begin(unsigned peer, uint16_t name, stamp_t begun,
                              stamp_t done)
{
    struct holding *holding = &model.holdings[model.holding_count++];

    if (model.holding_count == HOLDINGS_MAX)
        promise_broken("simulator", "too many nicks");
    *holding = (struct holding){
        .time = {begun, done, NEVER, NEVER},
        .told = NEVER,
        .name = name,
        .peer = (uint8_t)peer,
    };
    return holding;
}

/* ---- Stays -------------------------------------------------------------- */

struct stay *stay_begin(unsigned peer, unsigned room, stamp_t begun,
                        stamp_t done)
{
    struct stay *stay = &model.stays[model.stay_count++];

    if (model.stay_count == STAYS_MAX)
        promise_broken("simulator", "too many stays");
    *stay = (struct stay){
        .time = {begun, done, NEVER, NEVER},
        .peer = (uint8_t)peer,
        .room = (uint8_t)room,
    };
    return stay;
}

/* ---- What a message says ------------------------------------------------ */

/* Whether the sender gave it a content type of its own that others see. A
 * command has none. */
static bool keeps_type(const struct op *op)
{
    return op->typed && (op->say != SAY_PRIVATE || op->as_message) &&
           life_of(op->peer)->state->voice.dialect == DIALECT_SECURE;
}

/* Bytes of a MESSAGE's body in `frame` besides its text: u64 seq, u64 time,
 * and two strings with their lengths. */
static bool fits_frame(const struct op *op, const struct heard *heard)
{
    return 18 + heard->room.length + heard->nick.length + op->length <= 65535;
}

static size_t type_of(const struct op *op, char type[40])
{
    if (keeps_type(op))
        return op_content_type(op, type);
    return (size_t)sprintf(type, PLAIN_TEXT);
}

/* What a text or frame member is sent in the place of its content. */
static bool is_described(const struct op *op, const struct heard *heard,
                         const char *type)
{
    char line[96];
    int length = snprintf(line, sizeof(line), "sent %s (%" PRIu32 " bytes)",
                          type, op->length);

    return heard->text.length == (size_t)length &&
           memcmp(heard->text.bytes, line, (size_t)length) == 0;
}

static bool is_whole(const struct op *op, struct slice text)
{
    static char said[TEXT_BYTES_MAX];

    if (text.length != op->length)
        return false;
    op_text(op, said);
    return memcmp(text.bytes, said, op->length) == 0;
}

static bool is_content(const struct life *life, const struct op *op,
                       const struct heard *heard)
{
    enum dialect dialect = life->state->voice.dialect;
    char type[40];
    size_t length = type_of(op, type);
    bool is_plain = strncmp(type, "text/", 5) == 0;

    if (dialect == DIALECT_SECURE)
        return is_whole(op, heard->text) &&
               (heard->content_type.length == 0
                    ? !keeps_type(op)
                    : heard->content_type.length == length &&
                          memcmp(heard->content_type.bytes, type, length) == 0);
    if (!is_plain || (dialect == DIALECT_FRAME && !fits_frame(op, heard)))
        return is_described(op, heard, type);
    return is_whole(op, heard->text);
}

/* ---- Which op it is ----------------------------------------------------- */

/* "sent image/x-m12 (34 bytes)" */
static bool number_described(struct slice text, uint32_t *number)
{
    static const char sent[] = "sent ";
    const char *type = text.bytes + sizeof(sent) - 1;
    const char *end;

    if (text.length < sizeof(sent) || memcmp(text.bytes, sent, 5) != 0)
        return false;
    end = memchr(type, ' ', text.length - 5);
    return end && op_number_of('m', type, (size_t)(end - type), number);
}

/* What an op of that letter says. */
static bool is_of_letter(const struct op *op, char letter)
{
    switch (op->say) {
    case SAY_MESSAGE:
    case SAY_TO_ROOM:
        return letter == 'm';
    case SAY_PRIVATE:
        return letter == 'p';
    case SAY_TOPIC:
        return letter == 't' && op->named;
    default:
        return false;
    }
}

/* A long one without a type of its own is known by its length alone: the first
 * that the peer has not heard. */
static struct op *op_of_length(const struct life *life, struct slice text,
                               char letter)
{
    for (uint32_t i = 0; i < model.op_count; i++) {
        struct op *op = &model.ops[i];
        struct heard heard = {.text = text};

        if (is_of_letter(op, letter) && op->length > 60000 &&
            fact_of(op)->begun != NEVER &&
            !(fact_of(op)->heard_by >> life->state->index & 1) &&
            is_described(op, &heard, PLAIN_TEXT))
            return op;
    }
    return NULL;
}

static struct op *op_heard(const struct life *life, const struct heard *heard,
                           char letter)
{
    uint32_t number;
    struct op *op;

    if (op_number_of(letter, heard->text.bytes, heard->text.length, &number) ||
        number_described(heard->text, &number))
        op = op_numbered(number);
    else
        op = op_of_length(life, heard->text, letter);
    if (!op || fact_of(op)->begun == NEVER)
        promise_broken("no message of nobody's",
                       "peer %u hears \"%.*s\", which nobody has said",
                       life->state->index,
                       heard->text.length < 40 ? (int)heard->text.length : 40,
                       heard->text.bytes);
    return op;
}

static void check_time(const struct op *op, const struct heard *heard)
{
    struct fact *fact = fact_of(op);

    if (heard->time_us == 0)
        return;
    if (fact->time_us != 0 && fact->time_us != heard->time_us)
        promise_broken("one time", "m%u has two times", op->number);
    if (heard->time_us > world.wall_us)
        promise_broken("one time", "m%u is from the future", op->number);
    if (heard->time_us < fact->begun_us)
        promise_broken("one time", "m%u is from the past", op->number);
    fact->time_us = heard->time_us;
}

/* It is that message, from who says it is, whole, and for the first time. */
static void check_message(const struct life *life, const struct op *op,
                          const struct heard *heard)
{
    struct fact *fact = fact_of(op);
    uint64_t peer = UINT64_C(1) << life->state->index;
    uint16_t name = name_of(heard->nick.bytes, heard->nick.length);

    if (fact->heard_by & peer)
        promise_broken("nothing twice", "peer %u hears #%u twice",
                       life->state->index, op->number);
    fact->heard_by |= peer;
    if (fact->done == NEVER)
        fact->done = world.stamp;
    if (!is_content(life, op, heard))
        promise_broken("whole messages", "peer %u hears #%u changed",
                       life->state->index, op->number);
    if (fact->shown != 0 && fact->shown != name)
        promise_broken("nicks", "#%u is by %s and by %s", op->number,
                       model.names[fact->shown].text, model.names[name].text);
    if (model.names[name].peer < PEERS_MAX &&
        model.names[name].peer != op->peer)
        promise_broken("nicks", "#%u is not %s's", op->number,
                       model.names[name].text);
    fact->shown = name;
    check_time(op, heard);
}

/* ---- What a member sees ------------------------------------------------- */

static struct view *view_of(const struct life *life, unsigned room)
{
    return &model.views[life->state->index][room];
}

/* `next` and the heads are indices, from 1. */
static struct seen *see(const struct life *life, unsigned room,
                        enum heard_kind kind)
{
    struct view *view = view_of(life, room);
    uint32_t index = ++model.seen_count;
    struct seen *seen = &model.seen[index];

    if (index + 1 == SEEN_MAX)
        promise_broken("simulator", "too much is seen");
    *seen = (struct seen){
        .kind = kind,
        .peer = life->state->index,
        .room = (uint8_t)room,
    };
    if (view->last_seen)
        model.seen[view->last_seen].next = index;
    else
        view->first_seen = index;
    view->last_seen = index;
    return seen;
}

static unsigned room_heard(const struct life *life, const struct heard *heard)
{
    unsigned room = room_named(heard->room.bytes, heard->room.length);

    if (room == ROOMS_MAX)
        promise_broken("rooms", "peer %u hears of no room of ours: %.*s",
                       life->state->index, (int)heard->room.length,
                       heard->room.bytes);
    return room;
}

/* Whether the peer may have left the room between the message and now, and come
 * back: then what is missing between may be nobody's fault. */
static bool may_have_left(const struct life *life, unsigned room,
                          const struct op *since, const struct op *until)
{
    for (uint32_t i = life->handed; i-- > 0;) {
        const struct op *op = life->ops[i];
        const struct fact *fact = fact_of(op);

        if (fact->done < fact_of(since)->begun)
            return false; /* as was all before it */
        if (op->say == SAY_LEAVE && (!op->named || op->room == room) &&
            fact->begun <= fact_of(until)->done)
            return true;
    }
    return false;
}

/* What was before is not related to what comes. */
static void view_cut(struct view *view)
{
    view->last = NULL;
    view->topic = NULL;
    view->gap = 0;
    view->has_seq = false;
}

/* The message stands right behind what the member has seen and missed. */
static void view_message(struct life *life, unsigned room, struct op *op)
{
    struct view *view = view_of(life, room);

    if (view->last && may_have_left(life, room, view->last, op))
        view_cut(view);
    if (view->last)
        position_relate(view->last, op, 1 + view->gap);
    else if (view->has_seq && !life->leaves)
        position_know(op, view->seq + 1 + view->gap);
    if (view->topic && view->gap == 0)
        fact_of(view->topic)->before = op;
    view->last = op;
    view->topic = NULL;
    view->gap = 0;
    view->has_seq = false;
}

void room_message_heard(struct life *life, const struct heard *heard)
{
    struct op *op = op_heard(life, heard, 'm');
    unsigned room = room_heard(life, heard);
    struct fact *fact = fact_of(op);

    if (fact->room != ROOM_UNKNOWN && fact->room != room)
        promise_broken("rooms", "m%u is heard in %s and in %s", op->number,
                       room_name_of(fact->room), room_name_of(room));
    fact->room = (uint8_t)room;
    check_message(life, op, heard);
    see(life, room, HEARD_MESSAGE)->op = op;
    view_message(life, room, op);
    if (heard->has_seq)
        position_know(op, heard->seq);
    if (fact->heard_turn == 0) {
        fact->heard_turn = model.turns + 1;
        model.fresh[model.fresh_to++] = op;
    }
}

/* ---- Notices ------------------------------------------------------------ */

static void lagged_heard(struct life *life, unsigned room, uint64_t missed)
{
    struct view *view = view_of(life, room);

    if (missed == 0)
        promise_broken("lagged", "peer %u has missed 0 messages",
                       life->state->index);
    if (model.setup->config.slow_consumer == SLOW_CONSUMER_DISCONNECT)
        promise_broken("lagged", "peer %u lags and goes on",
                       life->state->index);
    see(life, room, HEARD_LAGGED);
    view->gap += missed;
    view->missed += missed;
    view->lags++;
    view->topic = NULL;
}

/* In secure, notices say after which message they stand. */
static void notice_seq(const struct life *life, struct view *view,
                       const struct heard *heard)
{
    if (!heard->has_seq || view->gap > 0 || life->leaves)
        return;
    if (!view->last) {
        if (view->has_seq && view->seq != heard->seq)
            promise_broken("one order",
                           "a notice after %" PRIu64
                           ", then one after %" PRIu64,
                           view->seq, heard->seq);
        view->has_seq = true;
        view->seq = heard->seq;
    }
}

/* A topic has its place among the messages, the same for all. */
static void topic_heard(struct life *life, unsigned room,
                        const struct heard *heard)
{
    struct view *view = view_of(life, room);
    struct op *op = op_heard(life, heard, 't');
    struct fact *fact = fact_of(op);

    if (!is_whole(op, heard->text) &&
        (fits_frame(op, heard) || !is_described(op, heard, PLAIN_TEXT)))
        promise_broken("whole messages", "peer %u hears t%u changed",
                       life->state->index, op->number);
    if (fact->room != ROOM_UNKNOWN && fact->room != room)
        promise_broken("rooms", "t%u is heard in two rooms", op->number);
    fact->room = (uint8_t)room;
    see(life, room, HEARD_TOPIC)->op = op;
    view->topic = view->gap == 0 ? op : NULL;
    if (!view->last || view->gap > 0 ||
        may_have_left(life, room, view->last, op))
        return;
    if (fact->after && fact->after != view->last)
        promise_broken("one order", "t%u stands after m%u and after m%u",
                       op->number, fact->after->number, view->last->number);
    fact->after = view->last;
}

void room_notice_heard(struct life *life, const struct heard *heard)
{
    unsigned room = room_heard(life, heard);

    if (heard->kind == HEARD_LAGGED) {
        lagged_heard(life, room, heard->number);
        return;
    }
    notice_seq(life, view_of(life, room), heard);
    if (heard->kind == HEARD_TOPIC)
        topic_heard(life, room, heard);
    else
        see(life, room, heard->kind)->name =
            name_of(heard->nick.bytes, heard->nick.length);
}

/* ---- Private messages --------------------------------------------------- */

void private_heard(struct life *life, const struct heard *heard)
{
    struct op *op = op_heard(life, heard, 'p');
    const struct name *name = &model.names[name_of(op->nick, strlen(op->nick))];

    if (fact_of(op)->heard_by != 0)
        promise_broken("private", "p%u is heard twice", op->number);
    if (name->peer < PEERS_MAX && name->peer != life->state->index)
        promise_broken("private", "peer %u hears p%u, which is for %s",
                       life->state->index, op->number, name->text);
    check_message(life, op, heard);
    if (op->number < life->last_private[op->peer])
        promise_broken("private", "p%u comes after p%" PRIu64, op->number,
                       life->last_private[op->peer]);
    life->last_private[op->peer] = op->number;
}

/* ---- At once ------------------------------------------------------------ */

static bool is_surely_in(const struct life *life, const struct op *op)
{
    const struct fact *fact = fact_of(op);

    for (unsigned i = 0; i < life->place_count; i++) {
        if (life->places[i]->room == fact->room)
            return surely_within(&life->places[i]->time, fact->begun,
                                 fact->done);
    }
    return false;
}

static void check_prompt(const struct life *life, const struct op *op)
{
    const struct fact *fact = fact_of(op);

    if (life->over != OVER_NOT || life->closed ||
        life->prompt_since >= fact->begun || !is_surely_in(life, op) ||
        fact->heard_by >> life->state->index & 1 ||
        model.views[life->state->index][fact->room].missed > 0)
        return;
    promise_broken("nobody waits for others",
                   "peer %u reads all at once, but does not hear m%u",
                   life->state->index, op->number);
}

void rooms_check_prompt(uint32_t turns)
{
    while (model.fresh_from < model.fresh_to) {
        const struct op *op = model.fresh[model.fresh_from];

        if (fact_of(op)->heard_turn + 2 > turns)
            return;
        for (unsigned i = 0; i < world.peer_count; i++) {
            if (life_of(i)->state)
                check_prompt(life_of(i), op);
        }
        model.fresh_from++;
    }
}

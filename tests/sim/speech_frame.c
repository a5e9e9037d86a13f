/*
 * The frame dialect, as docs/protocol.md has it: u16 type, u16 length, body.
 * A body is exactly its fields, or the promise "frame form" is broken.
 */
#include "tests/sim/promise.h"
#include "tests/sim/speech_internal.h"

#define HEAD_BYTES 4

/* ---- Saying ------------------------------------------------------------- */

static void put_str8(struct draft *draft, struct slice text)
{
    assert(text.length <= UINT8_MAX);
    put_number(draft, text.length, 1);
    put_slice(draft, text);
}

static void put_target(struct draft *draft, const struct utterance *utterance)
{
    size_t length = utterance->nick.length;

    if (length == 0) {
        put_str8(draft, utterance->room);
        return;
    }
    put_number(draft, length + 1, 1);
    put_literal(draft, "@");
    put_slice(draft, utterance->nick);
}

static void put_offer(struct draft *draft)
{
    static const unsigned char hash[OFFER_HASH_BYTES];

    put_number(draft, OFFER_TRANSFER, 4);
    put_str8(draft, SLICE(OFFER_TO));
    put_str8(draft, SLICE(OFFER_NAME));
    put_number(draft, OFFER_BYTES, 8);
    put_bytes(draft, hash, sizeof(hash));
}

static void put_body(struct draft *draft, const struct utterance *utterance)
{
    switch (utterance->type) {
    case TYPE_SESSION_ACK:
        put_number(draft, PROTOCOL_VERSION, 1);
        put_str8(draft, utterance->nick);
        break;
    case TYPE_HEARTBEAT:
        put_number(draft, utterance->pong, 1);
        put_number(draft, utterance->stamp, 8);
        break;
    case TYPE_MESSAGE:
        put_number(draft, utterance->id, 4);
        put_target(draft, utterance);
        put_slice(draft, utterance->text);
        break;
    case TYPE_COMMAND:
        put_number(draft, utterance->id, 4);
        put_slice(draft, utterance->text);
        break;
    case TYPE_DISCONNECT:
        put_number(draft, 0, 2);
        put_slice(draft, utterance->text);
        break;
    case TYPE_ACK:
        put_number(draft, utterance->id, 4);
        put_number(draft, 1, 8);
        break;
    case TYPE_FILE_OFFER:
        put_offer(draft);
        break;
    default:
        put_slice(draft, utterance->text);
    }
}

static void put_frame(struct draft *draft, const struct utterance *utterance)
{
    put_number(draft, utterance->type, 2);
    put_number(draft, 0, 2);
    put_body(draft, utterance);
    assert(draft->length - HEAD_BYTES <= UINT16_MAX);
    store(draft->bytes + 2, draft->length - HEAD_BYTES, 2);
}

/* Only the head. Where no length is over the limit there is nothing too large
 * to declare: an ACK is as wrong (bad-frame). */
static void put_too_large(const struct voice *voice, struct draft *draft)
{
    static const struct utterance ack = {.type = TYPE_ACK};
    uint32_t length = voice->limits->frame_bytes_max + 1;

    if (length > UINT16_MAX) {
        put_frame(draft, &ack);
        return;
    }
    put_number(draft, TYPE_MESSAGE, 2);
    put_number(draft, length, 2);
}

void frame_say(const struct voice *voice, const struct utterance *utterance,
               struct draft *draft)
{
    if (utterance->say == SAY_TOO_LARGE)
        put_too_large(voice, draft);
    else
        put_frame(draft, utterance);
}

/* ---- Fields ------------------------------------------------------------- */

/* What is left of a body. */
struct body {
    unsigned type;
    struct slice rest;
};

static _Noreturn void malformed(const struct body *body, const char *what)
{
    promise_broken("frame form", "type %u: %s, %zu bytes before its end",
                   body->type, what, body->rest.length);
}

static struct slice take_bytes(struct body *body, size_t length)
{
    struct slice taken = {body->rest.bytes, length};

    if (length > body->rest.length)
        malformed(body, "too short");
    body->rest.bytes += length;
    body->rest.length -= length;
    return taken;
}

static uint64_t take_number(struct body *body, size_t size)
{
    return load(take_bytes(body, size).bytes, size);
}

static struct slice take_str8(struct body *body)
{
    struct slice text = take_bytes(body, take_number(body, 1));

    check_clean(text);
    return text;
}

static struct slice take_text(struct body *body)
{
    struct slice text = take_bytes(body, body->rest.length);

    check_clean(text);
    return text;
}

/* A byte that is 0 or 1. */
static bool take_flag(struct body *body)
{
    uint64_t flag = take_number(body, 1);

    if (flag > 1)
        malformed(body, "neither 0 nor 1");
    return flag == 1;
}

/* ---- Hearing ------------------------------------------------------------ */

static void read_init(const struct voice *voice, struct body *body,
                      struct heard *heard)
{
    heard->kind = HEARD_INIT;
    if (take_number(body, 1) != PROTOCOL_VERSION)
        malformed(body, "another version");
    take_bytes(body, 16);
    take_number(body, 2);
    if (take_number(body, 4) != voice->limits->frame_bytes_max)
        malformed(body, "another largest body");
}

static void read_heartbeat(struct body *body, struct heard *heard)
{
    heard->kind = take_flag(body) ? HEARD_PONG : HEARD_PING;
    heard->number = take_number(body, 8);
}

static void read_message(struct body *body, struct heard *heard)
{
    heard->seq = take_number(body, 8);
    heard->time_us = take_number(body, 8);
    heard->room = take_str8(body);
    heard->nick = take_str8(body);
    heard->text = take_text(body);
    heard->has_seq = !slice_equals(heard->room, SLICE("@"));
    heard->kind = heard->has_seq ? HEARD_MESSAGE : HEARD_PRIVATE;
    if (heard->has_seq != (heard->seq > 0))
        malformed(body, "a seq where none is, or none where one is");
    if (!heard->has_seq)
        heard->room = (struct slice){NULL, 0};
}

static void read_error(struct body *body, struct heard *heard)
{
    uint64_t code = take_number(body, 2);

    heard->id = (uint32_t)take_number(body, 4);
    hear_error(heard, code, take_text(body));
}

static void read_disconnect(struct body *body, struct heard *heard)
{
    heard->kind = HEARD_DISCONNECT;
    heard->number = take_number(body, 2);
    heard->text = take_text(body);
}

static void read_reply(struct body *body, struct heard *heard)
{
    heard->kind = HEARD_REPLY;
    heard->id = (uint32_t)take_number(body, 4);
    heard->more = take_flag(body);
    heard->text = take_text(body);
}

static void read_notice(struct body *body, struct heard *heard)
{
    static const enum heard_kind kinds[6] = {
        [1] = HEARD_JOINED, [2] = HEARD_LEFT,   [3] = HEARD_NICK,
        [4] = HEARD_TOPIC,  [5] = HEARD_LAGGED,
    };
    uint64_t kind = take_number(body, 1);

    heard->room = take_str8(body);
    heard->nick = take_str8(body);
    if (kind >= 1 && kind <= 5)
        hear_notice(heard, kinds[kind], take_text(body));
    else
        malformed(body, "no such kind");
}

static void read_ack(struct body *body, struct heard *heard)
{
    heard->kind = HEARD_ACK;
    heard->id = (uint32_t)take_number(body, 4);
    heard->seq = take_number(body, 8);
    heard->has_seq = true;
}

static void read_welcome(struct body *body, struct heard *heard)
{
    heard->kind = HEARD_WELCOME;
    heard->nick = take_str8(body);
    heard->room = take_str8(body);
}

static void read_body(const struct voice *voice, struct body *body,
                      struct heard *heard)
{
    switch (body->type) {
    case TYPE_SESSION_INIT:
        read_init(voice, body, heard);
        break;
    case TYPE_HEARTBEAT:
        read_heartbeat(body, heard);
        break;
    case TYPE_MESSAGE:
        read_message(body, heard);
        break;
    case TYPE_ERROR:
        read_error(body, heard);
        break;
    case TYPE_DISCONNECT:
        read_disconnect(body, heard);
        break;
    case TYPE_REPLY:
        read_reply(body, heard);
        break;
    case TYPE_NOTICE:
        read_notice(body, heard);
        break;
    case TYPE_ACK:
        read_ack(body, heard);
        break;
    case TYPE_WELCOME:
        read_welcome(body, heard);
        break;
    default:
        malformed(body, "not a server's");
    }
}

size_t frame_hear(const struct voice *voice, struct slice bytes,
                  struct heard *heard)
{
    struct body body;
    size_t length;

    if (bytes.length < HEAD_BYTES)
        return 0;
    length = load(bytes.bytes + 2, 2);
    if (bytes.length - HEAD_BYTES < length)
        return 0;
    body = (struct body){
        .type = (unsigned)load(bytes.bytes, 2),
        .rest = {bytes.bytes + HEAD_BYTES, length},
    };
    read_body(voice, &body, heard);
    if (body.rest.length > 0)
        malformed(&body, "more than its fields");
    return HEAD_BYTES + length;
}

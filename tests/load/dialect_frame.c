/*
 * The `frame` dialect of docs/protocol.md as its client. A body has to be
 * exactly what its type says, from the first field to the last. binary.h shows
 * the way in. No I/O.
 */
#include "tests/load/binary.h"
#include "tests/load/dialect.h"

#define HEAD_BYTES 4
#define VERSION 1
#define UUID_BYTES 16

/* --max-frame of the body, less `u32 id, str8 target`. */
#define FRAME_BYTES_MAX 16384
#define FRAME_TEXT_BYTES_MAX (FRAME_BYTES_MAX - 4 - 1 - ROOM_BYTES_MAX)

enum heartbeat { PING, PONG };
enum notice { JOINED = 1, LEFT, NICK, TOPIC, LAGGED };

static size_t frame_extent(const unsigned char *bytes, size_t length,
                           size_t looked, size_t *wanted)
{
    (void)looked;
    *wanted = HEAD_BYTES;
    if (length < HEAD_BYTES)
        return 0;
    *wanted += get_u16(bytes + 2);
    return length < *wanted ? 0 : *wanted;
}

/* -- a body, field by field -- */

struct body {
    const unsigned char *at;
    size_t left;
    bool broken; /* a field was not there, or not as it must be */
};

struct span {
    const unsigned char *bytes;
    size_t length;
};

static struct span take(struct body *body, size_t length)
{
    struct span span = {body->at, length};

    if (length > body->left) {
        body->broken = true;
        return (struct span){body->at, 0};
    }
    body->at += length;
    body->left -= length;
    return span;
}

/* A field of a fixed size: zeros if it is not there. */
static const unsigned char *take_fixed(struct body *body, size_t length)
{
    static const unsigned char zeros[sizeof(uint64_t)];
    struct span span = take(body, length);

    return span.length == length ? span.bytes : zeros;
}

static uint8_t take_u8(struct body *body)
{
    return *take_fixed(body, 1);
}

static uint16_t take_u16(struct body *body)
{
    return get_u16(take_fixed(body, 2));
}

static uint32_t take_u32(struct body *body)
{
    return get_u32(take_fixed(body, 4));
}

static uint64_t take_u64(struct body *body)
{
    return get_u64(take_fixed(body, 8));
}

/* A str8 of `min` to `max` bytes. */
static struct span take_str8(struct body *body, size_t min, size_t max)
{
    struct span span = take(body, take_u8(body));

    if (span.length < min || span.length > max)
        body->broken = true;
    return span;
}

static struct span take_room(struct body *body)
{
    return take_str8(body, 1, ROOM_BYTES_MAX);
}

static struct span take_nick(struct body *body)
{
    return take_str8(body, 1, NICK_BYTES_MAX);
}

static struct span take_rest(struct body *body)
{
    return take(body, body->left);
}

static bool ends(const struct body *body)
{
    return !body->broken && body->left == 0;
}

/* -- what is said of each type. What they make of a broken body does not
 * matter: frame_read sees to that. -- */

typedef void reader(const struct speaker *, struct body *, struct item *);

static void read_init(const struct speaker *speaker, struct body *body,
                      struct item *item)
{
    uint8_t version = take_u8(body);

    take(body, UUID_BYTES);
    take_u16(body); /* heartbeat interval */
    take_u32(body); /* largest body */
    if (version != VERSION)
        item_corrupt(item, "a version other than 1");
    else if (speaker->step != STEP_INIT)
        item_corrupt(item, "a second SESSION_INIT");
    else
        item_kind(item, ITEM_READY);
}

static void read_heartbeat(const struct speaker *speaker, struct body *body,
                           struct item *item)
{
    uint8_t kind = take_u8(body);
    uint64_t stamp = take_u64(body);

    (void)speaker;
    if (kind != PING && kind != PONG)
        body->broken = true;
    item_kind(item, kind == PING ? ITEM_PING : ITEM_OTHER);
    item->number = stamp;
}

/* Of what is said, or missed, in a room. */
static enum item_kind kind_in(const struct speaker *speaker, struct span room,
                              enum item_kind ours)
{
    return room_is(speaker->room, room.bytes, room.length) ? ours
                                                           : ITEM_ELSEWHERE;
}

static void read_message(const struct speaker *speaker, struct body *body,
                         struct item *item)
{
    uint64_t seq = take_u64(body);
    struct span room, text;
    bool is_private;

    take_u64(body); /* time */
    room = take_room(body);
    take_nick(body);
    text = take_rest(body);
    is_private = room.length == 1 && room.bytes[0] == '@';
    if ((seq == 0) != is_private)
        body->broken = true;
    item_set(item,
             is_private ? ITEM_OTHER : kind_in(speaker, room, ITEM_MESSAGE),
             text.bytes, text.length);
}

static void read_error(const struct speaker *speaker, struct body *body,
                       struct item *item)
{
    struct span text;

    (void)speaker;
    if (take_u16(body) == 0)
        body->broken = true;
    take_u32(body); /* id */
    text = take_rest(body);
    item_set(item, ITEM_ERROR, text.bytes, text.length);
}

static void read_disconnect(const struct speaker *speaker, struct body *body,
                            struct item *item)
{
    uint16_t code = take_u16(body);
    struct span text = take_rest(body);

    (void)speaker;
    item_set(item, code == 0 ? ITEM_OTHER : ITEM_ERROR, text.bytes,
             text.length);
}

static void read_reply(const struct speaker *speaker, struct body *body,
                       struct item *item)
{
    uint32_t id = take_u32(body);
    uint8_t more = take_u8(body);
    struct span text = take_rest(body);

    /* Commands are numbered by their steps, and have one line of reply. */
    item_reply(item, speaker, text.bytes, text.length);
    if (id != speaker->step || more != 0)
        item_corrupt(item, "a reply to what was not asked");
}

static void read_lagged(const struct speaker *speaker, struct span room,
                        struct span text, struct item *item)
{
    uint64_t missed;

    if (!count_read(text.bytes, text.length, &missed)) {
        item_corrupt(item, "not how many messages were missed");
        return;
    }
    item_kind(item, kind_in(speaker, room, ITEM_LAGGED));
    item->number = missed;
}

static void read_notice(const struct speaker *speaker, struct body *body,
                        struct item *item)
{
    uint8_t kind = take_u8(body);
    struct span room = take_room(body);
    struct span nick = take_str8(body, 0, NICK_BYTES_MAX);
    struct span text = take_rest(body);

    if (kind < JOINED || kind > LAGGED || (kind == LAGGED) != !nick.length ||
        (kind <= LEFT && text.length > 0) ||
        (kind == NICK && text.length - 1 >= NICK_BYTES_MAX))
        body->broken = true;
    if (kind == LAGGED)
        read_lagged(speaker, room, text, item);
    else
        item_set(item, ITEM_OTHER, text.bytes, text.length);
}

static void read_ack(const struct speaker *speaker, struct body *body,
                     struct item *item)
{
    (void)speaker;
    take_u32(body); /* id */
    take_u64(body); /* seq */
    item_kind(item, ITEM_OTHER);
}

static void read_welcome(const struct speaker *speaker, struct body *body,
                         struct item *item)
{
    take_nick(body);
    take_room(body);
    item_welcome(item, speaker);
}

static void read_offer(const struct speaker *speaker, struct body *body,
                       struct item *item)
{
    (void)speaker;
    take_u32(body); /* transfer */
    take_nick(body);
    take_str8(body, 1, UINT8_MAX); /* name */
    take_u64(body);                /* size */
    take(body, 32);                /* SHA-256 */
    item_kind(item, ITEM_OTHER);
}

/* Of other messages about files: after the transfer's number. */
static void read_file(struct body *body, struct item *item, size_t bytes)
{
    take_u32(body);
    take(body, bytes);
    item_kind(item, ITEM_OTHER);
}

static void read_accept(const struct speaker *speaker, struct body *body,
                        struct item *item)
{
    (void)speaker;
    read_file(body, item, 8);
}

static void read_data(const struct speaker *speaker, struct body *body,
                      struct item *item)
{
    (void)speaker;
    read_file(body, item, 8);
    take_rest(body);
}

static void read_end(const struct speaker *speaker, struct body *body,
                     struct item *item)
{
    (void)speaker;
    read_file(body, item, 1);
}

/* Without SESSION_ACK and COMMAND, which clients send. */
static reader *const readers[TYPES] = {
    [TYPE_SESSION_INIT] = read_init,     [TYPE_HEARTBEAT] = read_heartbeat,
    [TYPE_MESSAGE] = read_message,       [TYPE_ERROR] = read_error,
    [TYPE_DISCONNECT] = read_disconnect, [TYPE_REPLY] = read_reply,
    [TYPE_NOTICE] = read_notice,         [TYPE_ACK] = read_ack,
    [TYPE_WELCOME] = read_welcome,       [TYPE_FILE_OFFER] = read_offer,
    [TYPE_FILE_ACCEPT] = read_accept,    [TYPE_FILE_DATA] = read_data,
    [TYPE_FILE_END] = read_end,
};

static void frame_read(struct speaker *speaker, const unsigned char *bytes,
                       size_t length, struct item *item)
{
    struct body body = {bytes + HEAD_BYTES, length - HEAD_BYTES, false};
    uint16_t type = get_u16(bytes);

    if (type >= TYPES || !readers[type]) {
        item_corrupt(item, "a frame of no known type");
        return;
    }
    readers[type](speaker, &body, item);
    if (!ends(&body))
        item_corrupt(item, "a body that is not what its type says");
}

/* -- saying -- */

/* A frame's head; its body, to be written where the result points, is already
 * counted as added. */
static unsigned char *frame_begin(struct out *out, enum message_type type,
                                  size_t body)
{
    unsigned char *to = out_reserve(out, HEAD_BYTES + body);

    out_added(out, HEAD_BYTES + body);
    to = put_u16(to, (uint16_t)type);
    return put_u16(to, (uint16_t)body);
}

static void frame_enter(struct speaker *speaker, struct out *out)
{
    char command[BINARY_COMMAND_BYTES_MAX];
    unsigned char *to;
    size_t length;

    if (speaker->step == STEP_INIT)
        return;
    if (speaker->step == STEP_ACK) {
        to = frame_begin(out, TYPE_SESSION_ACK, 2);
        put_u8(put_u8(to, VERSION), 0); /* a guest's nick */
        return;
    }
    length = binary_command(speaker, command);
    to = frame_begin(out, TYPE_COMMAND, 4 + length);
    put_bytes(put_u32(to, speaker->step), command, length);
}

static void frame_say(struct speaker *speaker, const void *text, size_t length,
                      struct out *out)
{
    const char *room = room_name(speaker->room);
    size_t room_length = strlen(room);
    unsigned char *to =
        frame_begin(out, TYPE_MESSAGE, 4 + 1 + room_length + length);

    to = put_u32(to, 0); /* no ACK: the message itself comes back */
    to = put_u8(to, (uint8_t)room_length);
    to = put_bytes(to, room, room_length);
    put_bytes(to, text, length);
}

static void frame_answer(struct speaker *speaker, const struct item *ping,
                         struct out *out)
{
    unsigned char *to = frame_begin(out, TYPE_HEARTBEAT, 9);

    (void)speaker;
    put_u64(put_u8(to, PONG), ping->number);
}

static void frame_leave(struct speaker *speaker, struct out *out)
{
    (void)speaker;
    put_u16(frame_begin(out, TYPE_DISCONNECT, 2), 0); /* asked for */
}

const struct dialect dialect_frame = {
    .scheme = "frame",
    .port = "4001",
    .hears_itself = true,
    .orders_all = true,
    .text_max = FRAME_TEXT_BYTES_MAX,
    .extent = frame_extent,
    .read = frame_read,
    .enter = frame_enter,
    .say = frame_say,
    .answer = frame_answer,
    .leave = frame_leave,
};

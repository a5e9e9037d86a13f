/*
 * The clients of support_chat_binary.h: frames, and what messages are in words.
 */
#include "tests/unit/support_chat_binary.h"

#include "tests/unit/support_chat_message.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HEAD_BYTES 4
#define BODY_BYTES_MAX 65535
#define LINE_BYTES (MIB + 1024)

/* ---- Sending ------------------------------------------------------------- */

static unsigned char *put(unsigned char *out, uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (unsigned char)(number >> 8 * (bytes - 1 - i));
    return out + bytes;
}

static unsigned char *put_string8(unsigned char *out, const char *string)
{
    size_t length = strlen(string);

    assert_true(length <= UINT8_MAX);
    return mempcpy(put(out, length, 1), string, length);
}

void frame_send(struct client *client, enum binary_type type, const void *body,
                size_t length)
{
    unsigned char head[HEAD_BYTES];

    assert_true(length <= BODY_BYTES_MAX);
    put(put(head, type, 2), length, 2);
    client_send_bytes(client, head, sizeof(head));
    client_send_bytes(client, body, length);
}

void frame_hello(struct client *client, const char *nick)
{
    unsigned char body[2 + UINT8_MAX];
    const unsigned char *end = put_string8(put(body, 1, 1), nick);

    frame_send(client, SESSION_ACK, body, (size_t)(end - body));
}

/* What stands before the text, then the text. */
__attribute__((format(printf, 5, 0))) static void
send_text(struct client *client, enum binary_type type, unsigned char *body,
          unsigned char *text, const char *format, va_list arguments)
{
    size_t fixed = (size_t)(text - body);
    size_t space = BODY_BYTES_MAX + 1 - fixed;
    int length = vsnprintf((char *)text, space, format, arguments);

    assert_true(length >= 0 && (size_t)length < space);
    frame_send(client, type, body, fixed + (size_t)length);
}

void frame_message(struct client *client, uint32_t id, const char *target,
                   const char *format, ...)
{
    unsigned char body[BODY_BYTES_MAX + 1];
    va_list arguments;

    va_start(arguments, format);
    send_text(client, MESSAGE, body, put_string8(put(body, id, 4), target),
              format, arguments);
    va_end(arguments);
}

void frame_command(struct client *client, uint32_t id, const char *format, ...)
{
    unsigned char body[BODY_BYTES_MAX + 1];
    va_list arguments;

    va_start(arguments, format);
    send_text(client, COMMAND, body, put(body, id, 4), format, arguments);
    va_end(arguments);
}

void frame_beat(struct client *client, enum beat kind, uint64_t stamp)
{
    unsigned char body[9];

    put(put(body, kind, 1), stamp, 8);
    frame_send(client, HEARTBEAT, body, sizeof(body));
}

void frame_disconnect(struct client *client)
{
    static const char body[] = "\0\0bye";

    frame_send(client, DISCONNECT, body, sizeof(body) - 1);
}

/* ---- Reading frames ------------------------------------------------------ */

struct body {
    const unsigned char *at, *end;
};

static uint64_t take(struct body *body, size_t bytes)
{
    uint64_t number = 0;

    assert_true((size_t)(body->end - body->at) >= bytes);
    while (bytes-- > 0)
        number = number << 8 | *body->at++;
    return number;
}

static struct slice take_rest(struct body *body)
{
    struct slice rest = {(const char *)body->at,
                         (size_t)(body->end - body->at)};

    body->at = body->end;
    return rest;
}

static struct slice take_string8(struct body *body)
{
    size_t length = (size_t)take(body, 1);
    struct body string = {body->at, body->at + length};

    assert_true((size_t)(body->end - body->at) >= length);
    body->at += length;
    return take_rest(&string);
}

static void take_init(struct body *body, struct message *message)
{
    message->version = (unsigned)take(body, 1);
    for (size_t i = 0; i < sizeof(message->uuid); i++)
        message->uuid[i] = (uint8_t)take(body, 1);
    message->heartbeat = take(body, 2);
    message->largest = take(body, 4);
}

static void take_names(struct body *body, struct message *message)
{
    message->room = take_string8(body);
    message->nick = take_string8(body);
}

static void take_body(struct body *body, struct message *message)
{
    switch (message->type) {
    case SESSION_INIT:
        take_init(body, message);
        break;
    case HEARTBEAT:
        message->kind = (unsigned)take(body, 1);
        message->stamp = take(body, 8);
        break;
    case MESSAGE:
        message->seq = take(body, 8);
        message->time_us = take(body, 8);
        take_names(body, message);
        message->text = take_rest(body);
        break;
    case ERROR:
        message->code = (unsigned)take(body, 2);
        message->id = take(body, 4);
        message->text = take_rest(body);
        break;
    case DISCONNECT:
        message->code = (unsigned)take(body, 2);
        message->text = take_rest(body);
        break;
    case REPLY:
        message->id = take(body, 4);
        message->more = (unsigned)take(body, 1);
        message->text = take_rest(body);
        break;
    case NOTICE:
        message->kind = (unsigned)take(body, 1);
        take_names(body, message);
        message->text = take_rest(body);
        break;
    case ACK:
        message->id = take(body, 4);
        message->seq = take(body, 8);
        break;
    case WELCOME:
        message->nick = take_string8(body);
        message->room = take_string8(body);
        break;
    default:
        fail_msg("a frame of type %u", message->type);
    }
    assert_ptr_equal(body->at, body->end);
}

/* The frame at `from` of what the client was sent, if it is whole. */
static bool frame_at(const struct client *client, size_t from,
                     struct body *head, struct body *body)
{
    size_t left = client->out.length - from;
    const unsigned char *bytes;
    struct body length;

    if (left < HEAD_BYTES)
        return false;
    bytes = (const unsigned char *)client->out.data + from;
    *head = (struct body){bytes, bytes + 2};
    length = (struct body){bytes + 2, bytes + HEAD_BYTES};
    body->at = bytes + HEAD_BYTES;
    body->end = body->at + take(&length, 2);
    return (size_t)(body->end - bytes) <= left;
}

static bool next_frame(struct client *client, struct message *message)
{
    struct body head, body;

    if (!frame_at(client, client->out_from, &head, &body))
        return false;
    client->out_from += HEAD_BYTES + (size_t)(body.end - body.at);
    *message = (struct message){.type = (unsigned)take(&head, 2)};
    take_body(&body, message);
    return true;
}

bool frame_answer(struct client *client)
{
    struct body head, body;
    bool answered = false;

    while (frame_at(client, client->answered, &head, &body)) {
        client->answered += HEAD_BYTES + (size_t)(body.end - body.at);
        if (take(&head, 2) != HEARTBEAT || take(&body, 1) != PING)
            continue;
        frame_beat(client, PONG, take(&body, 8));
        answered = true;
    }
    return answered;
}

/* ---- In words ------------------------------------------------------------ */

static const char *const notices[] = {
    "?", "joined", "left", "nick", "topic", "lagged",
};

static char line[LINE_BYTES];
static size_t line_length;

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    size_t space = sizeof(line) - line_length;
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(line + line_length, space, format, arguments);
    va_end(arguments);
    assert_true(length >= 0 && (size_t)length < space);
    line_length += (size_t)length;
}

/* After `before`, if it is not empty. What people see has no control
 * characters, of which U+0080 to U+009F are two bytes. */
static void say_slice(const char *before, struct slice slice)
{
    unsigned char last = 0;

    for (size_t i = 0; i < slice.length; i++) {
        unsigned char c = (unsigned char)slice.bytes[i];

        assert_true((c >= ' ' || c == '\t') && c != 0x7f);
        assert_false(last == 0xc2 && c < 0xa0);
        last = c;
    }
    if (slice.length > 0)
        say("%s%.*s", before, (int)slice.length, slice.bytes);
}

static void say_init(struct client *client, const struct message *message)
{
    say("SESSION_INIT version=%u heartbeat=%" PRIu64 " largest=%" PRIu64,
        message->version, message->heartbeat, message->largest);
    for (size_t i = 0, at = 0; i < sizeof(message->uuid); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            client->uuid[at++] = '-';
        at += (size_t)snprintf(client->uuid + at, sizeof(client->uuid) - at,
                               "%02x", message->uuid[i]);
    }
}

static void say_message(struct client *client, const struct message *message)
{
    say("MESSAGE %" PRIu64, message->seq);
    say_slice(" ", message->room);
    say_slice(" ", message->nick);
    say(":");
    if (message->content_type.length > 0) {
        say_slice(" (", message->content_type);
        say(", %zu bytes)", message->text.length);
    } else {
        say_slice(" ", message->text);
    }
    client->said_us = message->time_us;
}

static void say_notice(const struct message *message)
{
    assert_true(message->kind < ARRAY_LENGTH(notices));
    say("NOTICE %s", notices[message->kind]);
    say_slice(" ", message->room);
    say_slice(" ", message->nick);
    say_slice(": ", message->text);
}

static void say_all(struct client *client, const struct message *message)
{
    line_length = 0;
    switch (message->type) {
    case SESSION_INIT:
        say_init(client, message);
        break;
    case HEARTBEAT:
        assert_in_range(message->kind, PING, PONG);
        say("%s %" PRIu64, message->kind == PING ? "PING" : "PONG",
            message->stamp);
        break;
    case MESSAGE:
        say_message(client, message);
        break;
    case ERROR:
        say("ERROR %u id=%" PRIu64, message->code, message->id);
        say_slice(" ", message->text);
        break;
    case DISCONNECT:
        say("DISCONNECT %u", message->code);
        say_slice(" ", message->text);
        break;
    case REPLY:
        assert_in_range(message->more, 0, 1);
        say("REPLY %" PRIu64 "%s", message->id,
            message->more ? " and more" : "");
        say_slice(": ", message->text);
        break;
    case NOTICE:
        say_notice(message);
        break;
    case ACK:
        say("ACK %" PRIu64 " seq=%" PRIu64, message->id, message->seq);
        break;
    default: /* WELCOME */
        say("WELCOME");
        say_slice(" ", message->nick);
        say_slice(" ", message->room);
        break;
    }
}

const char *binary_line(struct client *client)
{
    struct message message;

    do {
        if (!(client->dialect == DIALECT_FRAME ? next_frame(client, &message)
                                               : next_secure(client, &message)))
            return NULL;
    } while (client->answers && message.type == HEARTBEAT &&
             message.kind == PING);
    say_all(client, &message);
    return line;
}

/* ---- In the words of text ------------------------------------------------ */

/* Whether it begins so: `rest` is what follows. */
static bool begins(const char *string, const char *start, const char **rest)
{
    *rest = string + strlen(start);
    return strncmp(string, start, strlen(start)) == 0;
}

/* "KIND ROOM NICK: TEXT", but for what the kind does without. */
static int notice_as_text(char *text, size_t space, const char *notice)
{
    const char *room = strchr(notice, ' ') + 1;
    int room_length = (int)strcspn(room, " :");
    const char *nick = room + room_length + 1;
    int nick_length = (int)strcspn(nick, ":");
    const char *end = nick + nick_length;
    const char *rest;

    if (begins(notice, "lagged ", &rest))
        return snprintf(text, space, "[%.*s] * lagged: %s messages missed",
                        room_length, room, nick + 1);
    if (begins(notice, "nick ", &rest))
        return snprintf(text, space, "[%.*s] * %.*s is now %s", room_length,
                        room, nick_length, nick, end + 2);
    if (begins(notice, "topic ", &rest))
        return snprintf(text, space, "[%.*s] * %.*s set the topic: %s",
                        room_length, room, nick_length, nick, end + 2);
    return snprintf(text, space, "[%.*s] * %s %.*s", room_length, room, nick,
                    (int)strcspn(notice, " "), notice);
}

const char *line_as_text(const char *said, uint64_t *seq)
{
    static char text[LINE_BYTES];
    uint64_t number;
    const char *rest;
    int length = 0;

    *seq = 0;
    if (begins(said, "MESSAGE 0 @ ", &rest))
        length = snprintf(text, sizeof(text), "(private) %s", rest);
    else if (line_begins(said, "MESSAGE # ", seq)) {
        rest = strchr(said + strlen("MESSAGE "), ' ') + 1;
        length = snprintf(text, sizeof(text), "[%.*s]%s",
                          (int)strcspn(rest, " "), rest, strchr(rest, ' '));
    } else if (begins(said, "NOTICE ", &rest))
        length = notice_as_text(text, sizeof(text), rest);
    else if (line_begins(said, "REPLY #", &number))
        length = snprintf(text, sizeof(text), "* %s", strchr(said, ':') + 2);
    else if (line_begins(said, "ERROR # id=# ", (uint64_t[2]){0}))
        length = snprintf(text, sizeof(text), "! %s",
                          strchr(strchr(said, '='), ' ') + 1);
    else if (begins(said, "WELCOME ", &rest))
        length = snprintf(text, sizeof(text), "* welcome");
    assert_in_range(length, 0, sizeof(text) - 1);
    text[length] = '\0';
    return text;
}

/* ---- Connecting ---------------------------------------------------------- */

struct client *binary_connect(enum dialect dialect)
{
    struct client *client =
        client_connect_as(dialect, &(struct peer){.name = "nowhere"});

    assert_non_null(client);
    return client;
}

struct client *binary_open(unsigned dialect, const char *nick)
{
    struct client *client = binary_connect(
        dialect == SEALED_CLIENT ? DIALECT_SECURE : (enum dialect)dialect);

    engine_run();
    client_expect_start(client, "SESSION_INIT version=1 ");
    if (dialect == DIALECT_FRAME)
        frame_hello(client, nick);
    else
        secure_hello(client, nick, dialect == SEALED_CLIENT);
    engine_run();
    client_expect_start(client, "WELCOME ");
    client_expect_nothing(client);
    (void)snprintf(client->nick, sizeof(client->nick), "%s", nick);
    return client;
}

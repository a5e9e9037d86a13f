/*
 * See support_dialogue.h.
 */
#include "tests/unit/support_dialogue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SECONDS(count) ((count)*NS_PER_SECOND)

/* ---- Notes -------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void note(char *notes, size_t size,
                                                       const char *format, ...)
{
    size_t length = strlen(notes);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(notes + length, size - length, format, arguments);
    va_end(arguments);
    assert_true(strlen(notes) + 1 < size);
}

#define NOTE_TOLD(bench, ...)                                                  \
    note((bench)->told, sizeof((bench)->told), __VA_ARGS__)
#define NOTE_SAID(bench, ...)                                                  \
    note((bench)->said, sizeof((bench)->said), __VA_ARGS__)
#define PRINTED(text) (int)(text).length, (text).bytes ? (text).bytes : ""

static const char *why(enum ringchat_error code, int error)
{
    if (code != RINGCHAT_ERROR_NONE)
        return ringchat_error_name(code);
    return error ? strerrorname_np(-error) : "";
}

static const char *space(const char *text)
{
    return text[0] ? " " : "";
}

static void note_change(struct bench *bench,
                        const struct ringchat_change *change)
{
    static const char *const names[] = {
        "idle",    "connecting", "entering", "open",
        "waiting", "closing",    "closed",
    };
    const char *reason =
        change->again ? "again" : why(change->code, change->error);

    NOTE_TOLD(bench, "=%s%s%s\n", names[change->to], space(reason), reason);
}

static void note_notice(struct bench *bench,
                        const struct ringchat_message *notice)
{
    NOTE_TOLD(bench, "%.*s ", PRINTED(notice->room));
    if (notice->kind == RINGCHAT_JOINED)
        NOTE_TOLD(bench, "+%.*s\n", PRINTED(notice->nick));
    else if (notice->kind == RINGCHAT_LEFT)
        NOTE_TOLD(bench, "-%.*s\n", PRINTED(notice->nick));
    else
        NOTE_TOLD(bench, "%.*s%c%.*s\n", PRINTED(notice->nick),
                  notice->kind == RINGCHAT_NICK ? '=' : '#',
                  PRINTED(notice->text));
}

static void note_message(struct bench *bench,
                         const struct ringchat_message *message)
{
    if (message->kind == RINGCHAT_PRIVATE)
        NOTE_TOLD(bench, "(%.*s): %.*s\n", PRINTED(message->nick),
                  PRINTED(message->text));
    else
        NOTE_TOLD(bench, "%.*s %.*s: %.*s\n", PRINTED(message->room),
                  PRINTED(message->nick), PRINTED(message->text));
}

static void note_missed(struct bench *bench,
                        const struct ringchat_missed *missed)
{
    if (missed->count == UINT64_MAX)
        NOTE_TOLD(bench, "missed %.*s ?\n", PRINTED(missed->room));
    else
        NOTE_TOLD(bench, "missed %.*s %lu\n", PRINTED(missed->room),
                  (unsigned long)missed->count);
}

static void note_told(struct bench *bench, const struct told *told)
{
    const char *reason;

    switch (told->kind) {
    case TOLD_CHANGED:
        note_change(bench, &told->change);
        break;
    case TOLD_MESSAGE:
        note_message(bench, &told->message);
        break;
    case TOLD_NOTICE:
        note_notice(bench, &told->message);
        break;
    case TOLD_MISSED:
        note_missed(bench, &told->missed);
        break;
    case TOLD_REPLY:
        NOTE_TOLD(bench, "reply %lu %.*s\n", (unsigned long)told->ticket,
                  PRINTED(told->message.text));
        break;
    case TOLD_DONE:
        reason = why(told->result.code, told->result.error);
        NOTE_TOLD(bench, "done %lu%s%s\n", (unsigned long)told->result.ticket,
                  space(reason), reason);
        break;
    case TOLD_WRITABLE:
        NOTE_TOLD(bench, "writable\n");
        break;
    case TOLD_FAULT:
        NOTE_TOLD(bench, "fault %s\n", ringchat_error_name(told->message.code));
        break;
    }
}

static void note_request(struct bench *bench,
                         const struct ringchat_message *message)
{
    switch (message->kind) {
    case RINGCHAT_HELLO:
        NOTE_SAID(bench, "HELLO %.*s\n", PRINTED(message->nick));
        break;
    case RINGCHAT_PING:
        NOTE_SAID(bench, "PING\n");
        break;
    case RINGCHAT_PONG:
        NOTE_SAID(bench, "PONG %lu\n", (unsigned long)message->stamp);
        break;
    case RINGCHAT_MESSAGE:
        NOTE_SAID(bench, "MESSAGE %u %.*s %.*s\n", message->id,
                  PRINTED(message->room), PRINTED(message->text));
        break;
    case RINGCHAT_PRIVATE:
        NOTE_SAID(bench, "PRIVATE %u %.*s %.*s\n", message->id,
                  PRINTED(message->nick), PRINTED(message->text));
        break;
    case RINGCHAT_COMMAND:
        NOTE_SAID(bench, "COMMAND %u %.*s\n", message->id,
                  PRINTED(message->text));
        break;
    case RINGCHAT_DISCONNECT:
        NOTE_SAID(bench, "BYE\n");
        break;
    default:
        fail_msg("a client does not say %d", (int)message->kind);
    }
}

/* ---- What happens ------------------------------------------------------- */

static void note_requests(struct bench *bench, const unsigned char *bytes,
                          size_t length)
{
    struct ringchat_message message = {RINGCHAT_SIZED(message)};
    enum ringchat_error error;
    enum ringchat_outcome outcome;

    while ((outcome = ringchat_decode(bench->server, &bytes, &length, &message,
                                      &error)) == RINGCHAT_READY)
        note_request(bench, &message);
    assert_int_equal(outcome, RINGCHAT_PARTIAL);
}

static void take_output(struct bench *bench)
{
    struct dialogue *dialogue = &bench->client.dialogue;
    struct ringchat_text output = dialogue_output(dialogue);

    if (output.length == 0)
        return;
    if (bench->server)
        note_requests(bench, (const unsigned char *)output.bytes,
                      output.length);
    else
        NOTE_SAID(bench, "%.*s", PRINTED(output));
    dialogue_sent(dialogue, output.length);
}

static void forget_server(struct bench *bench)
{
    if (bench->client.dialogue.codec)
        return;
    ringchat_codec_destroy(bench->server);
    bench->server = NULL;
}

/* All that is told is noted, and what is to be said is taken, until there is
 * nothing more. */
static void pull(struct bench *bench)
{
    struct dialogue *dialogue = &bench->client.dialogue;
    struct told told;

    do {
        take_output(bench);
        while (dialogue_next(dialogue, bench->now_ns, &told))
            note_told(bench, &told);
    } while (dialogue_output(dialogue).length > 0);
    assert_false(dialogue_has_news(dialogue));
    forget_server(bench);
}

static void set_up_rooms(struct belonging *belonging, const char *rooms)
{
    belonging->anywhere = rooms[0] == '\0';
    while (rooms[0]) {
        size_t length = strcspn(rooms, " ");
        struct name room;

        name_set(&room, (struct ringchat_text){rooms, length});
        belonging_join(belonging, &room);
        rooms += length + (rooms[length] == ' ');
    }
    belonging_lost(belonging);
}

static void set_default(uint64_t *number, uint64_t otherwise)
{
    if (*number == 0)
        *number = otherwise;
}

void bench_begin(struct bench *bench, const struct manner *wanted,
                 const char *nick, const char *rooms, uint64_t seed)
{
    struct manner manner = *wanted;
    struct dialogue *dialogue = &bench->client.dialogue;

    set_default(&manner.connect_timeout_ns, SECONDS(10));
    set_default(&manner.heartbeat_ns, SECONDS(5));
    set_default(&manner.close_timeout_ns, SECONDS(5));
    set_default(&manner.backoff_first_ns, SECONDS(1));
    set_default(&manner.backoff_max_ns, SECONDS(30));
    manner.unconfirmed_max =
        wanted->unconfirmed_max ? wanted->unconfirmed_max : 256;
    manner.message_bytes_max = MIB;
    manner.queue_bytes_max =
        wanted->queue_bytes_max ? wanted->queue_bytes_max : MIB;
    *bench = (struct bench){.now_ns = SECONDS(1000)};
    dialogue_init(dialogue, &manner, seed);
    if (nick)
        name_set(&dialogue->belonging.nick_wanted, text_of(nick));
    set_up_rooms(&dialogue->belonging, rooms);
}

void bench_end(struct bench *bench)
{
    dialogue_release(&bench->client.dialogue);
    ringchat_codec_destroy(bench->server);
}

void bench_connect(struct bench *bench)
{
    struct dialogue *dialogue = &bench->client.dialogue;
    struct ringchat_codec_config config = {
        RINGCHAT_SIZED(config),
        .role = RINGCHAT_SERVER,
        .dialect = RINGCHAT_FRAME,
        .interval_s = 5,
    };

    if (dialogue->phase == PHASE_IDLE)
        dialogue_start(dialogue, bench->now_ns);
    while (dialogue->phase == PHASE_WAITING)
        bench_pass(bench, 1000);
    pull(bench);
    assert_int_equal(dialogue->phase, PHASE_CONNECTING);
    if (dialogue->manner.dialect == RINGCHAT_FRAME)
        assert_int_equal(ringchat_codec_create(&bench->server, &config), 0);
    dialogue_connected(dialogue, bench->now_ns);
    pull(bench);
}

void bench_bytes(struct bench *bench, const void *bytes, size_t length)
{
    dialogue_receive(&bench->client.dialogue, bytes, length);
    pull(bench);
}

void bench_serve(struct bench *bench, const struct ringchat_message *message)
{
    unsigned char bytes[4096];
    ptrdiff_t length =
        ringchat_encode(bench->server, message, bytes, sizeof(bytes));

    assert_true(length > 0);
    bench_bytes(bench, bytes, (size_t)length);
}

void bench_line(struct bench *bench, const char *line)
{
    char bytes[4096];
    int length = snprintf(bytes, sizeof(bytes), "%s\n", line);

    bench_bytes(bench, bytes, (size_t)length);
}

void bench_lose(struct bench *bench, int error)
{
    if (error < 0)
        dialogue_failed(&bench->client.dialogue, error, bench->now_ns);
    else
        dialogue_stream_ended(&bench->client.dialogue);
    pull(bench);
}

void bench_pass(struct bench *bench, uint64_t ms)
{
    bench->now_ns += ms * NS_PER_MS;
    dialogue_elapse(&bench->client.dialogue, bench->now_ns);
    pull(bench);
}

void bench_close(struct bench *bench)
{
    dialogue_close(&bench->client.dialogue, bench->now_ns);
    pull(bench);
}

/* ---- In short ----------------------------------------------------------- */

void bench_reply(struct bench *bench, uint32_t id, const char *text)
{
    bench_serve(bench, &(struct ringchat_message){
                           .size = sizeof(struct ringchat_message),
                           .kind = RINGCHAT_REPLY,
                           .id = id,
                           .text = text_of(text),
                       });
}

void bench_ack(struct bench *bench, uint32_t id, uint64_t seq)
{
    bench_serve(bench, &(struct ringchat_message){
                           .size = sizeof(struct ringchat_message),
                           .kind = RINGCHAT_ACK,
                           .id = id,
                           .seq = seq,
                       });
}

void bench_refuse(struct bench *bench, uint32_t id, enum ringchat_error code)
{
    bench_serve(bench, &(struct ringchat_message){
                           .size = sizeof(struct ringchat_message),
                           .kind = RINGCHAT_ERROR,
                           .id = id,
                           .code = code,
                       });
}

static void welcome(struct bench *bench)
{
    const struct name *wanted = &bench->client.dialogue.belonging.nick_wanted;
    struct ringchat_message init = {RINGCHAT_SIZED(init),
                                    .kind = RINGCHAT_SESSION_INIT};
    struct ringchat_message welcome = {
        RINGCHAT_SIZED(welcome),
        .kind = RINGCHAT_WELCOME,
        .nick = wanted->length > 0 ? name_text(wanted) : TEXT("guest-0001"),
        .room = TEXT("lobby"),
    };

    if (!bench->server) {
        bench_line(bench, "* welcome to ringchat, you are guest-0001, in "
                          "lobby; /help lists commands");
        return;
    }
    bench_serve(bench, &init);
    bench_serve(bench, &welcome);
}

/* The first of what it has asked for by itself is done. */
static void answer_own(struct bench *bench)
{
    const struct errand *errand = bench->client.dialogue.errands.sent.first;
    struct builder token = {0};

    if (bench->server) {
        bench_reply(bench, (uint32_t)errand->number, "done");
        return;
    }
    saying_build_token(&token, errand);
    build_string(&token, "\n");
    bench_bytes(bench, token.bytes, token.length);
}

void bench_enter(struct bench *bench)
{
    bench_connect(bench);
    bench->said[0] = '\0';
    welcome(bench);
    while (bench->client.dialogue.phase == PHASE_JOINING) {
        bench->said[0] = '\0';
        answer_own(bench);
    }
    assert_int_equal(bench->client.dialogue.phase, PHASE_TALKING);
}

void bench_open(struct bench *bench)
{
    bench_enter(bench);
    bench->told[0] = bench->said[0] = '\0';
}

void bench_told(struct bench *bench, const char *lines)
{
    assert_string_equal(bench->told, lines);
    bench->told[0] = '\0';
}

void bench_said(struct bench *bench, const char *lines)
{
    assert_string_equal(bench->said, lines);
    bench->said[0] = '\0';
}

uint64_t bench_say(struct bench *bench, const char *room, const char *text)
{
    uint64_t ticket;

    assert_int_equal(
        ringchat_client_say(&bench->client, room, text, strlen(text), &ticket),
        0);
    pull(bench);
    return ticket;
}

uint64_t bench_command(struct bench *bench, const char *line)
{
    uint64_t ticket;

    assert_int_equal(
        ringchat_client_command(&bench->client, line, strlen(line), &ticket),
        0);
    pull(bench);
    return ticket;
}

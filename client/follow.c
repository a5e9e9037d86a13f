/*
 * Following rooms (follow.h).
 *
 * What standard output does not take yet is kept, up to a limit. Beyond that it
 * is first the server that has to keep it: it is not read from for a while.
 * Then, so that heartbeats are answered and the connection lives, it is read
 * from again, and what has no room is counted and told later as missed.
 */
#include "client/follow.h"

#include "client/complain.h"
#include "client/content.h"
#include "client/ending.h"
#include "client/open.h"
#include "client/record.h"
#include "client/signals.h"
#include "client/wait.h"
#include "common/base/limits.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* What is kept at most, but for one record more, however long; it has room
 * again when half of that has been written. */
#define KEPT_BYTES_MAX MIB

/* How long the server is not read from: shorter than it waits for a heartbeat's
 * answer. */
#define PATIENCE_NS UINT64_C(2000000000)

struct following {
    const struct options *options;
    struct ringchat_client *client;

    /* Records to be written, from `first` up to `end`. */
    char *bytes;
    size_t first, end, size;
    uint64_t full_since_ns;      /* 0: it is not full */
    uint64_t missed[JOINED_MAX]; /* since it is, in each room that was asked
                                    for */
    uint64_t count;              /* messages */

    bool opened;    /* it has been OPEN */
    bool connected; /* and this connection has been told of */
    bool done;      /* nothing more is to be written than what is kept */
    bool over;
    int status;
};

/* ---- Records ------------------------------------------------------------ */

static void stop(struct following *following, int status)
{
    following->over = true;
    following->status = status;
}

/* So much behind `end`. */
static bool reserve(struct following *following, size_t length)
{
    size_t kept = following->end - following->first, size;
    char *bytes;

    if (following->size - following->end >= length)
        return true;
    if (kept > 0 && following->first > 0)
        memmove(following->bytes, following->bytes + following->first, kept);
    following->first = 0;
    following->end = kept;
    if (following->size - kept >= length)
        return true;
    size = 2 * (kept + length);
    bytes = realloc(following->bytes, size);
    if (!bytes) {
        complain("%s", strerrordesc_np(ENOMEM));
        stop(following, EX_OSERR);
        return false;
    }
    following->bytes = bytes;
    following->size = size;
    return true;
}

/* Its length, when all of it has been written to where there was room. */
static size_t format(const struct following *following,
                     const struct record *record)
{
    char *out = following->bytes + following->end;
    size_t size = following->size - following->end;

    return following->options->json ? record_json(record, out, size)
                                    : record_text(record, out, size);
}

static void keep(struct following *following, struct record *record)
{
    size_t length;

    record->received_us = wall_us();
    if (!reserve(following, PIPE_BUF)) /* enough for nearly all */
        return;
    length = format(following, record);
    if (length >= following->size - following->end) {
        if (!reserve(following, length + 1))
            return;
        length = format(following, record);
    }
    following->bytes[following->end + length] = '\n';
    following->end += length + 1;
    if (following->full_since_ns == 0 &&
        following->end - following->first >= KEPT_BYTES_MAX)
        following->full_since_ns = now_ns();
}

/* Which of those that were asked for it is; JOINED_MAX: none, such as the lobby
 * that has just been left. */
static unsigned index_of(const struct following *following,
                         struct ringchat_text room)
{
    for (unsigned i = 0; i < following->options->room_count; i++) {
        const char *name = following->options->rooms[i];

        if (ringchat_name_equals(room,
                                 (struct ringchat_text){name, strlen(name)}))
            return i;
    }
    return JOINED_MAX;
}

static bool is_followed(const struct following *following,
                        struct ringchat_text room)
{
    return index_of(following, room) < JOINED_MAX;
}

/* It has no room: it is told when there is some. */
static void miss(struct following *following, struct ringchat_text room,
                 uint64_t count)
{
    uint64_t *missed = &following->missed[index_of(following, room)];

    *missed =
        count < MISSED_UNKNOWN - *missed ? *missed + count : MISSED_UNKNOWN;
}

/* There is room again. */
static void tell_missed(struct following *following)
{
    following->full_since_ns = 0;
    for (unsigned i = 0; i < following->options->room_count; i++) {
        struct record record = {.kind = RECORD_MISSED,
                                .room = slice_of(following->options->rooms[i]),
                                .missed = following->missed[i]};

        if (following->missed[i] > 0)
            keep(following, &record);
        following->missed[i] = 0;
    }
}

/* ---- What happens ------------------------------------------------------- */

/* Once for each connection, before all that it brings: some of that comes while
 * it is joining other rooms still. */
static void tell_connected(struct following *following)
{
    struct record record = {
        .kind = RECORD_CONNECTED,
        .nick = slice_from(ringchat_client_nick(following->client)),
        .text = slice_of(following->options->url),
    };

    if (following->connected || !following->options->json ||
        following->full_since_ns > 0)
        return;
    following->connected = true;
    keep(following, &record);
}

static void on_message(struct ringchat_client *client,
                       const struct ringchat_message *message, void *user)
{
    struct following *following = user;
    struct builder described;
    struct record record = {
        .kind =
            message->kind == RINGCHAT_PRIVATE ? RECORD_PRIVATE : RECORD_MESSAGE,
        .room = slice_from(message->room),
        .nick = slice_from(message->nick),
        .text = content_text(message, &described),
        .seq = message->seq,
        .time_us = message->time_us,
    };

    (void)client;
    if (following->done || (record.kind == RECORD_MESSAGE &&
                            !is_followed(following, message->room)))
        return;
    if (following->full_since_ns > 0) {
        if (record.kind == RECORD_MESSAGE)
            miss(following, message->room, 1);
        return;
    }
    tell_connected(following);
    keep(following, &record);
    following->count++;
    if (following->count == following->options->count)
        following->done = true;
}

/* Of one's own coming and going nobody asked. */
static void on_notice(struct ringchat_client *client,
                      const struct ringchat_message *message, void *user)
{
    static const enum record_kind kinds[] = {
        [RINGCHAT_JOINED] = RECORD_JOINED,
        [RINGCHAT_LEFT] = RECORD_LEFT,
        [RINGCHAT_NICK] = RECORD_NICK,
        [RINGCHAT_TOPIC] = RECORD_TOPIC,
    };
    struct following *following = user;
    struct record record = {
        .kind = kinds[message->kind],
        .room = slice_from(message->room),
        .nick = slice_from(message->nick),
        .text = slice_from(message->text),
        .time_us = message->time_us,
    };

    if (following->done || following->full_since_ns > 0 ||
        !is_followed(following, message->room) ||
        ringchat_name_equals(message->nick, ringchat_client_nick(client)))
        return;
    tell_connected(following);
    keep(following, &record);
}

static void on_missed(struct ringchat_client *client,
                      const struct ringchat_missed *missed, void *user)
{
    struct following *following = user;
    struct record record = {
        .kind = RECORD_MISSED,
        .room = slice_from(missed->room),
        .missed = missed->count,
        .away_ms = missed->away_ms,
    };

    (void)client;
    if (following->done || !is_followed(following, missed->room))
        return;
    if (following->full_since_ns > 0) {
        miss(following, missed->room, missed->count);
        return;
    }
    tell_connected(following);
    keep(following, &record);
}
_Static_assert(MISSED_UNKNOWN == UINT64_MAX, "as struct ringchat_missed");

static void on_open(struct following *following)
{
    int status = 0;

    if (!following->opened)
        status = client_check(following->options, following->client);
    if (status != 0) {
        stop(following, status);
        return;
    }
    tell_connected(following);
    if (following->opened && !following->options->json)
        complain("%s: connected again", following->options->url);
    following->opened = true;
}

/* Whoever has never been let in will not be later. What is kept is written all
 * the same. */
static void on_lost(struct following *following,
                    const struct ringchat_change *change)
{
    struct ending ending = {.code = change->code,
                            .error = change->error,
                            .detail = change->detail,
                            .opened = following->opened};
    struct builder why = {.length = 0};
    bool goes_on = following->opened && change->to == RINGCHAT_WAITING;
    struct record record = {.kind = RECORD_DISCONNECTED};

    if (following->done || (goes_on && change->from == RINGCHAT_CONNECTING))
        return; /* that it is tried again has been told */
    following->connected = false;
    ending_say(&ending, &why);
    record.text = builder_slice(&why);
    if (!following->options->json || !following->opened)
        complain("%s: %.*s%s", following->options->url, (int)why.length,
                 why.bytes, goes_on ? "; it is tried again" : "");
    else if (!goes_on || following->full_since_ns == 0)
        keep(following, &record);
    if (!goes_on) {
        following->status = ending_status(&ending);
        following->done = true;
    }
}

static void on_changed(struct ringchat_client *client,
                       const struct ringchat_change *change, void *user)
{
    struct following *following = user;

    (void)client;
    if (change->to == RINGCHAT_OPEN)
        on_open(following);
    else if (change->to == RINGCHAT_WAITING || change->to == RINGCHAT_CLOSED)
        on_lost(following, change);
}

static void on_fault(struct ringchat_client *client,
                     const struct ringchat_message *message, void *user)
{
    struct ending fault = {.code = message->code, .detail = message->text};
    struct builder said = {.length = 0};

    (void)client;
    (void)user;
    ending_say(&fault, &said);
    complain("%.*s", (int)said.length, said.bytes);
}

/* ---- Writing ------------------------------------------------------------ */

/* Whole lines, as many as a pipe takes at once; of a longer one a part. What
 * poll(2) says has room for so many, so that no write waits (pipe(7)). */
static size_t portion(const char *bytes, size_t length)
{
    const char *end;

    if (length <= PIPE_BUF)
        return length;
    end = memrchr(bytes, '\n', PIPE_BUF);
    return end ? (size_t)(end - bytes) + 1 : PIPE_BUF;
}

static void write_portion(struct following *following)
{
    const char *bytes = following->bytes + following->first;
    size_t kept = following->end - following->first;
    ssize_t written = write(STDOUT_FILENO, bytes, portion(bytes, kept));

    if (written < 0) {
        if (errno == EINTR || errno == EAGAIN)
            return;
        if (errno != EPIPE)
            complain("standard output: %s", strerrordesc_np(errno));
        stop(following, errno == EPIPE ? 0 : EX_IOERR);
        return;
    }
    following->first += (size_t)written;
    if (following->full_since_ns > 0 &&
        following->end - following->first < KEPT_BYTES_MAX / 2)
        tell_missed(following);
}

/* Something is up with standard output: it has room, or nobody reads it. */
static void mind_output(struct following *following)
{
    if (following->first < following->end)
        write_portion(following);
    else
        stop(following, 0);
}

/* ---- The loop ----------------------------------------------------------- */

/* Until when the server is not read from; 0: it is. */
static uint64_t patience(const struct following *following)
{
    uint64_t until = following->full_since_ns + PATIENCE_NS;

    return following->full_since_ns > 0 && now_ns() < until ? until : 0;
}

static void mind_signals(struct following *following)
{
    int number = signals_take();

    if (number != 0)
        stop(following, signal_status(number));
}

static void turn(struct following *following, int signals)
{
    bool kept = following->first < following->end;
    uint64_t until = patience(following);
    bool listens = until == 0 && !following->done;
    struct wait wait = {.client = listens ? following->client : NULL,
                        .signals = signals,
                        .fd = STDOUT_FILENO,
                        .events = kept ? POLLOUT : 0,
                        .deadline_ns = until > 0 ? until : UINT64_MAX};
    struct waited waited;
    int error = wait_for(&wait, &waited);

    if (error != 0) {
        complain("%s", strerrordesc_np(-error));
        stop(following, EX_OSERR);
        return;
    }
    if (waited.signalled)
        mind_signals(following);
    if (waited.events != 0 && !following->over)
        mind_output(following);
    if (waited.client && !following->over)
        ringchat_client_handle(following->client);
    if (following->done && following->first == following->end)
        following->over = true;
}

static int follow_all(struct following *following)
{
    int signals = signals_open(SIGNALS_SCRIPT, NULL);

    if (signals < 0) {
        complain("%s", strerrordesc_np(-signals));
        return EX_OSERR;
    }
    ringchat_client_start(following->client);
    while (!following->over)
        turn(following, signals);
    signals_close();
    return following->status;
}

int follow_run(const struct options *options)
{
    static const struct ringchat_client_callbacks callbacks = {
        RINGCHAT_SIZED(callbacks), .changed = on_changed, .message = on_message,
        .notice = on_notice,       .missed = on_missed,   .fault = on_fault,
    };
    struct following following = {.options = options};
    int status =
        client_open(options, &callbacks, &following, &following.client);

    if (status == 0)
        status = follow_all(&following);
    ringchat_client_destroy(following.client);
    free(following.bytes);
    return status;
}

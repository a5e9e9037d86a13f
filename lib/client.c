/*
 * A client, as its caller has it: the dialogue and the link, brought together
 * each time that it is handled. Callbacks run here and nowhere else, with
 * nothing half done behind them; a client that is destroyed in one of them goes
 * when the last function of its own has returned.
 */
#include "lib/internal.h"
#include "lib/sized.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Of what has come, as much is read at once, and in all. */
#define READ_BYTES (16 * KIB)
#define READ_BYTES_MAX (64 * KIB)

/* ---- Made and gone ------------------------------------------------------ */

static void client_free(struct ringchat_client *client)
{
    dialogue_release(&client->dialogue);
    link_release(&client->link);
    settings_release(&client->settings);
    free(client);
}

static int client_make(struct ringchat_client **made,
                       const struct settings *settings)
{
    struct ringchat_client *client = calloc(1, sizeof(*client));
    uint64_t seed;
    int error;

    if (!client)
        return -ENOMEM;
    error = link_init(&client->link);
    if (error < 0) {
        free(client);
        return error;
    }
    random_fill(&seed, sizeof(seed));
    client->settings = *settings;
    dialogue_init(&client->dialogue, &settings->manner, seed);
    client->dialogue.belonging = settings->belonging;
    *made = client;
    return 0;
}

int ringchat_client_create(struct ringchat_client **client,
                           const struct ringchat_client_config *config,
                           const struct ringchat_client_callbacks *callbacks,
                           void *user, const char **why)
{
    struct ringchat_client_callbacks taken = {RINGCHAT_SIZED(taken)};
    struct settings settings;
    const char *ignored = NULL;
    int error;

    why = why ? why : &ignored;
    *why = "there is nowhere to put it, or no configuration";
    if (!client || !config)
        return -EINVAL;
    *why = "the callbacks' size is not of this library";
    if (callbacks && !sized_take(&taken, sizeof(taken), callbacks))
        return -EINVAL;
    error = settings_take(&settings, config, why);
    if (error < 0)
        return error;
    error = client_make(client, &settings);
    if (error < 0) {
        *why = "there is no memory, or no descriptor";
        settings_release(&settings);
        return error;
    }
    (*client)->callbacks = taken;
    (*client)->user = user;
    *why = "";
    return 0;
}

void ringchat_client_destroy(struct ringchat_client *client)
{
    if (!client)
        return;
    client->destroyed = true;
    if (!client->handling)
        client_free(client);
}

/* ---- Calling back ------------------------------------------------------- */

static void call_back(struct ringchat_client *client, const struct told *told)
{
    const struct ringchat_client_callbacks *callbacks = &client->callbacks;
    void *user = client->user;

    switch (told->kind) {
    case TOLD_CHANGED:
        if (callbacks->changed)
            callbacks->changed(client, &told->change, user);
        break;
    case TOLD_MESSAGE:
        if (callbacks->message)
            callbacks->message(client, &told->message, user);
        break;
    case TOLD_NOTICE:
        if (callbacks->notice)
            callbacks->notice(client, &told->message, user);
        break;
    case TOLD_MISSED:
        if (callbacks->missed)
            callbacks->missed(client, &told->missed, user);
        break;
    case TOLD_REPLY:
        if (callbacks->reply)
            callbacks->reply(client, told->ticket, told->message.text, user);
        break;
    case TOLD_DONE:
        if (callbacks->done)
            callbacks->done(client, &told->result, user);
        break;
    case TOLD_WRITABLE:
        if (callbacks->writable)
            callbacks->writable(client, user);
        break;
    case TOLD_FAULT:
        if (callbacks->fault)
            callbacks->fault(client, &told->message, user);
        break;
    }
}

/* ---- Handling ----------------------------------------------------------- */

static uint64_t now(void)
{
    return clock_mono_ns();
}

/* Tells all that there is to tell. False: the client is to be freed, or its
 * connection is over. */
static bool tell_all(struct ringchat_client *client)
{
    struct told told;

    while (!client->destroyed && dialogue_next(&client->dialogue, now(), &told))
        call_back(client, &told);
    if (client->destroyed)
        return false;
    if (dialogue_wants_link(&client->dialogue))
        return true;
    link_close(&client->link);
    return false;
}

/* True: there is a connection. */
static bool connect_link(struct ringchat_client *client)
{
    struct link *link = &client->link;
    int result = 0;

    if (link->fd < 0)
        result = link_open(link, &client->settings.address);
    if (result == 0 && !link->connecting)
        return true;
    if (result == 0)
        result = link_check(link);
    if (result > 0)
        dialogue_connected(&client->dialogue, now());
    else if (result < 0)
        dialogue_failed(&client->dialogue, result, now());
    return tell_all(client) && !link->connecting;
}

/* One piece. False: there is no more, for now or at all. */
static bool read_link(struct ringchat_client *client, size_t *left)
{
    unsigned char bytes[READ_BYTES];
    size_t capacity = *left < sizeof(bytes) ? *left : sizeof(bytes);
    ssize_t length = link_receive(&client->link, bytes, capacity);

    if (length == -EAGAIN || length == -EWOULDBLOCK)
        return false;
    if (length < 0)
        dialogue_failed(&client->dialogue, (int)length, now());
    else if (length == 0)
        dialogue_stream_ended(&client->dialogue);
    else
        dialogue_receive(&client->dialogue, bytes, (size_t)length);
    *left -= length > 0 ? (size_t)length : 0;
    return tell_all(client) && *left > 0;
}

/* What is to be said. More may be, when there is room again. */
static void write_link(struct ringchat_client *client)
{
    struct ringchat_text output;
    ssize_t sent;

    while ((output = dialogue_output(&client->dialogue)).length > 0) {
        sent = link_send(&client->link, output.bytes, output.length);
        if (sent <= 0)
            return;
        dialogue_sent(&client->dialogue, (size_t)sent);
        if (!tell_all(client))
            return;
    }
}

/* What has come is read before anything is judged to have come too late. */
static void serve(struct ringchat_client *client)
{
    size_t left = READ_BYTES_MAX;

    if (client->dialogue.phase == PHASE_IDLE)
        dialogue_start(&client->dialogue, now());
    if (tell_all(client) && connect_link(client)) {
        while (read_link(client, &left))
            ;
    }
    if (client->destroyed)
        return;
    dialogue_elapse(&client->dialogue, now());
    if (tell_all(client) && connect_link(client))
        write_link(client);
}

/* It is CLOSED, and all has been told. */
static bool is_over(const struct ringchat_client *client)
{
    return client->dialogue.phase == PHASE_ENDED &&
           !dialogue_has_news(&client->dialogue);
}

/* False: it was destroyed, and there is no client any more. */
static bool handle(struct ringchat_client *client)
{
    client->handling = true;
    serve(client);
    client->handling = false;
    if (!client->destroyed)
        return true;
    client_free(client);
    return false;
}

int ringchat_client_handle(struct ringchat_client *client)
{
    if (!client)
        return -EINVAL;
    if (client->handling)
        return -EDEADLK;
    if (is_over(client) || !handle(client) || is_over(client))
        return -ESHUTDOWN;
    return 0;
}

/* Once more: what was read last has not been all, or may be said now. */
static bool is_due(const struct ringchat_client *client)
{
    const struct dialogue *dialogue = &client->dialogue;

    return dialogue->phase == PHASE_IDLE || dialogue_has_news(dialogue) ||
           (dialogue_wants_link(dialogue) && client->link.fd < 0);
}

static uint64_t client_deadline(const struct ringchat_client *client)
{
    return is_due(client) ? 0 : dialogue_deadline(&client->dialogue);
}

/* Rounded up: a wait that ends too soon is one for nothing. */
static int timeout_of(uint64_t deadline_ns)
{
    uint64_t now_ns = now(), left_ms;

    if (deadline_ns == NEVER)
        return -1;
    if (deadline_ns <= now_ns)
        return 0;
    left_ms = (deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
    return left_ms < INT32_MAX ? (int)left_ms : INT32_MAX;
}

void ringchat_client_wants(const struct ringchat_client *client,
                           struct ringchat_wants *wants)
{
    struct ringchat_wants wanted = {RINGCHAT_SIZED(wanted), .fd = -1};

    if (!client || !wants)
        return;
    wanted.fd = client->link.fd;
    wanted.fd_changes = client->link.fd_changes;
    wanted.read = wanted.fd >= 0 && !client->link.connecting;
    wanted.write = client->link.connecting ||
                   dialogue_output(&client->dialogue).length > 0;
    wanted.deadline_ns = client_deadline(client);
    wanted.timeout_ms = timeout_of(wanted.deadline_ns);
    sized_give(wants, &wanted, sizeof(wanted));
}

/* ---- A loop of its own -------------------------------------------------- */

int ringchat_client_step(struct ringchat_client *client, int timeout_ms)
{
    struct ringchat_wants wants = {RINGCHAT_SIZED(wants)};
    uint64_t until_ns = NEVER;
    int result;

    if (!client)
        return -EINVAL;
    if (client->handling)
        return -EDEADLK;
    if (is_over(client))
        return -ESHUTDOWN;
    if (timeout_ms >= 0)
        until_ns = now() + (uint64_t)timeout_ms * NS_PER_MS;
    ringchat_client_wants(client, &wants);
    result = link_wait(&client->link, wants.read, wants.write,
                       earlier(until_ns, wants.deadline_ns));
    if (result < 0)
        return result;
    if (result == 0 && now() < wants.deadline_ns)
        return 0;
    return handle(client) ? 1 : -ESHUTDOWN;
}

/* Why it is CLOSED. */
static int closed_why(const struct dialogue *dialogue)
{
    if (dialogue->why_code != RINGCHAT_ERROR_NONE)
        return -EPROTO;
    return dialogue->why_error;
}

int ringchat_client_run(struct ringchat_client *client)
{
    int result;

    if (!client)
        return -EINVAL;
    if (client->handling)
        return -EDEADLK;
    while (!is_over(client)) {
        result = ringchat_client_step(client, -1);
        if (result < 0)
            return result;
    }
    return closed_why(&client->dialogue);
}

void ringchat_client_interrupt(struct ringchat_client *client)
{
    const uint64_t one = 1;
    int kept = errno;

    /* A full counter is an interrupt already. */
    if (client && write(client->link.interrupt_fd, &one, sizeof(one)) < 0)
        errno = kept;
}

/* ---- How it stands ------------------------------------------------------ */

int ringchat_client_start(struct ringchat_client *client)
{
    if (!client)
        return -EINVAL;
    if (dialogue_state(&client->dialogue) != RINGCHAT_IDLE)
        return -EALREADY;
    dialogue_start(&client->dialogue, now());
    return 0;
}

void ringchat_client_close(struct ringchat_client *client)
{
    if (client)
        dialogue_close(&client->dialogue, now());
}

enum ringchat_state ringchat_client_state(const struct ringchat_client *client)
{
    return client ? dialogue_state(&client->dialogue) : RINGCHAT_CLOSED;
}

void *ringchat_client_user(const struct ringchat_client *client)
{
    return client ? client->user : NULL;
}

void ringchat_client_set_user(struct ringchat_client *client, void *user)
{
    if (client)
        client->user = user;
}

struct ringchat_text ringchat_client_nick(const struct ringchat_client *client)
{
    return client ? name_text(&client->dialogue.belonging.nick) : TEXT("");
}

struct ringchat_text ringchat_client_room(const struct ringchat_client *client,
                                          size_t index)
{
    if (!client || index >= client->dialogue.belonging.count)
        return TEXT("");
    return name_text(&client->dialogue.belonging.places[index].room);
}

void ringchat_client_figures(const struct ringchat_client *client,
                             struct ringchat_client_figures *figures)
{
    struct ringchat_client_figures counted;

    if (!client || !figures)
        return;
    counted = client->dialogue.figures;
    counted.queued = client->dialogue.errands.queued.count;
    counted.unconfirmed = client->dialogue.errands.sent.count;
    sized_give(figures, &counted, sizeof(counted));
}

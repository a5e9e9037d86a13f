/*
 * A server of somebody's own: made, run, stopped. It stands where stage 5 has
 * its main.c, and does none of what a program may do and a library may not: it
 * installs no signal handler and blocks no signal of its caller's, raises no
 * limit, prints nothing, ends nothing.
 *
 * What a main hears by signals, this one hears by an event descriptor: a count
 * of the calls of ringchat_server_stop.
 */
#include "lib/server.h"

#include "lib/codec.h"
#include "lib/sized.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- What peers do ------------------------------------------------------ */

static bool on_open(struct session *session, void *user)
{
    const struct ringchat_server *server = user;

    return !server->own.open ||
           server->own.open(session_peer_of(session), server->user);
}

static enum ringchat_kind kind_of(const struct request *request)
{
    if (request->kind == REQUEST_COMMAND)
        return RINGCHAT_COMMAND;
    return request->target == TARGET_NICK ? RINGCHAT_PRIVATE : RINGCHAT_MESSAGE;
}

static void on_message(struct session *session, const struct request *request,
                       void *user)
{
    const struct ringchat_server *server = user;
    struct ringchat_message message = {
        RINGCHAT_SIZED(message),
        .kind = kind_of(request),
        .id = request->id,
        .text = slice_text(request->text),
        .content_type = slice_text(request->content_type),
    };

    if (message.kind == RINGCHAT_PRIVATE)
        message.nick = slice_text(request->name);
    if (server->own.message)
        server->own.message(session_peer_of(session), &message, server->user);
}

#define SAME(departure, reason)                                                \
    _Static_assert((int)DEPARTURE_##departure ==                               \
                       (int)RINGCHAT_REASON_##reason,                          \
                   "one is cast to the other")
SAME(END, END);
SAME(QUIT, QUIT);
SAME(CLOSED, CLOSED);
SAME(RESET, RESET);
SAME(ERROR, ERROR);
SAME(MEMORY, MEMORY);

static void on_close(struct session *session, enum departure departure,
                     enum error_code code, void *user)
{
    const struct ringchat_server *server = user;

    if (server->own.close)
        server->own.close(session_peer_of(session),
                          (enum ringchat_reason)departure,
                          (enum ringchat_error)code, server->user);
}

/* ---- Making ------------------------------------------------------------- */

static void listeners_close(struct options *options)
{
    for (size_t i = 0; i < options->listener_count; i++)
        listener_close(&options->listeners[i]);
}

static int listeners_open(struct options *options, const char **why,
                          size_t *which)
{
    for (size_t i = 0; i < options->listener_count; i++) {
        int error = listener_open(&options->listeners[i], why);

        if (error == 0)
            continue;
        *which = i;
        listeners_close(options);
        return error;
    }
    return 0;
}

/* eventfd(2): fails for want of descriptors or memory. */
static int stop_open(struct ringchat_server *server, const char **why)
{
    server->server.signal_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (server->server.signal_fd >= 0)
        return 0;
    *why = strerrordesc_np(errno);
    return -errno;
}

static int open_all(struct ringchat_server *server, const char **why,
                    size_t *which)
{
    int error = stop_open(server, why);

    if (error != 0)
        return error;
    error = listeners_open(&server->server.options, why, which);
    if (error != 0)
        close(server->server.signal_fd);
    return error;
}

static int server_init(struct ringchat_server *server,
                       const struct ringchat_server_config *config,
                       const char **why, size_t *which)
{
    int error = server_config_take(config, &server->server.options, why, which);
    const char *name = server_config_name(config);

    if (error != 0)
        return error;
    memcpy(server->name, name, strlen(name) + 1);
    server->application = (struct application){
        .open = on_open,
        .message = on_message,
        .close = on_close,
        .user = server,
        .name = slice_of(server->name),
    };
    server->server.application = &server->application;
    return open_all(server, why, which);
}

/* Its parts stand in cache lines of their own; NULL without memory. */
static struct ringchat_server *server_alloc(void)
{
    void *memory;

    if (posix_memalign(&memory, alignof(struct ringchat_server),
                       sizeof(struct ringchat_server)) != 0)
        return NULL;
    return memset(memory, 0, sizeof(struct ringchat_server));
}

/* Wipes the key, if it has not run. */
static void server_free(struct ringchat_server *server)
{
    key_wipe(&server->server.options.key);
    free(server);
}

static int create(struct ringchat_server **out,
                  const struct ringchat_server_config *config,
                  const struct ringchat_application *application, void *user,
                  const char **why, size_t *which)
{
    struct ringchat_server *server = server_alloc();
    int error;

    *why = strerrordesc_np(ENOMEM);
    if (!server)
        return -ENOMEM;
    server->own = *application;
    server->user = user;
    error = server_init(server, config, why, which);
    if (error == 0)
        *out = server;
    else
        server_free(server);
    return error;
}

int ringchat_server_create(struct ringchat_server **out,
                           const struct ringchat_server_config *asked,
                           const struct ringchat_application *theirs,
                           void *user, const char **why, size_t *which)
{
    struct ringchat_server_config config;
    struct ringchat_application application;
    const char *unasked_why;
    size_t unasked_which;
    int before = errno, error;

    if (!why)
        why = &unasked_why;
    if (!which)
        which = &unasked_which;
    *which = 0;
    *why = "what is of no size, or asks for what this library does not know";
    if (!out || !sized_take(&config, sizeof(config), asked))
        return -EINVAL;
    *which = config.listen_count;
    if (!sized_take(&application, sizeof(application), theirs))
        return -EINVAL;
    error = create(out, &config, &application, user, why, which);
    errno = before;
    return error;
}

void ringchat_server_destroy(struct ringchat_server *server)
{
    int before = errno;

    if (!server)
        return;
    listeners_close(&server->server.options);
    close(server->server.signal_fd);
    server_free(server);
    errno = before;
}

const char *ringchat_server_url(const struct ringchat_server *server,
                                size_t index)
{
    const struct options *options;

    if (!server)
        return NULL;
    options = &server->server.options;
    return index < options->listener_count ? options->listeners[index].url
                                           : NULL;
}

/* ---- Running ------------------------------------------------------------ */

static int run(struct server *server)
{
    const char *no_ring;
    int error = server_open(server, &no_ring);

    if (error != 0)
        return no_ring && server->options.io == IO_URING ? -ENOSYS : error;
    error = server_start(server);
    if (error == 0)
        server_serve(server);
    return error;
}

int ringchat_server_run(struct ringchat_server *server)
{
    int before = errno, error;

    if (!server)
        return -EINVAL;
    if (server->has_run)
        return -EALREADY;
    server->has_run = true;
    error = run(&server->server);
    errno = before;
    return error;
}

/* write(2) to an eventfd(2): safe in a signal handler, see
 * signal-safety(7), and it cannot fail before 2^64 calls. */
void ringchat_server_stop(struct ringchat_server *server)
{
    static const uint64_t once = 1;
    int before = errno;

    if (server && write(server->server.signal_fd, &once, sizeof(once)) < 0)
        errno = before;
}

/* Worker 0 is told here that there was a call, or several. */
void on_signals(struct server *server)
{
    uint64_t calls = 0;

    if (read(server->signal_fd, &calls, sizeof(calls)) < 0)
        return;
    if (!server->workers[0].stopping) {
        server_stop(server);
        calls--;
    }
    if (calls > 0)
        server_cut(server);
}

/*
 * What is asked of a server, as the options of a program: checked, so that
 * nothing gets further that those would refuse, and with their defaults. It
 * opens nothing and changes no limit of the process.
 */
#include "lib/server.h"

#include "common/base/clock.h"
#include "common/wire/name.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#define NAME_DEFAULT "ringchat"

/* ---- Numbers ------------------------------------------------------------ */

static uint64_t or_default(uint64_t number, uint64_t otherwise)
{
    return number > 0 ? number : otherwise;
}

static bool is_within(uint64_t number, uint64_t least, uint64_t most)
{
    return number >= least && number <= most;
}

/* getrlimit(2): the soft limit is the process's own choice. */
static uint64_t connections_default(const struct options *options)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1;
    return connections_within(limit.rlim_cur, options->listener_count,
                              options->workers);
}

/* With the listeners and the workers that there are. */
static void take_limits(const struct ringchat_server_config *config,
                        struct options *options)
{
    options->max_connections =
        or_default(config->connections_max, connections_default(options));
    options->max_per_address = config->connections_per_address_max;
    options->max_memory_bytes =
        or_default(config->memory_bytes_max, UINT64_C(1024) * MIB);
    options->max_line_bytes = or_default(config->line_bytes_max, 4096);
    options->max_frame_bytes = or_default(config->frame_bytes_max, 16384);
    options->max_message_bytes = or_default(config->message_bytes_max, MIB);
    options->room_window_bytes = MIB;
    options->rate_per_second = config->rate_per_second;
}

/* A rate that is no number is not within anything. */
static const char *check_limits(const struct options *options)
{
    if (!is_within(options->max_connections, 1, COUNT_MAX) ||
        options->max_per_address > COUNT_MAX)
        return "more connections than there can be";
    if (!is_within(options->max_memory_bytes, MEMORY_BYTES_LEAST,
                   MEMORY_BYTES_MAX))
        return "memory_bytes_max is less than 1 MiB, or too much";
    if (!is_within(options->max_line_bytes, 1, LINE_BYTES_MAX))
        return "line_bytes_max is over 1 MiB";
    if (!is_within(options->max_frame_bytes, FRAME_BYTES_LEAST,
                   FRAME_BODY_BYTES_MAX))
        return "frame_bytes_max is not 26 to 65535";
    if (!is_within(options->max_message_bytes, 1, MESSAGE_BYTES_MAX))
        return "message_bytes_max is over 32 MiB";
    if (!(options->rate_per_second >= 0 && options->rate_per_second <= 1e9))
        return "rate_per_second is no rate";
    return NULL;
}
_Static_assert(FRAME_BYTES_LEAST == 26 && FRAME_BODY_BYTES_MAX == 65535,
               "as the text above says");

/* ---- Durations ---------------------------------------------------------- */

/* 0, in an option, is never. */
static uint64_t duration(uint32_t ms, uint64_t default_s)
{
    if (ms == UINT32_MAX)
        return 0;
    return ms > 0 ? ms * NS_PER_SECOND / 1000 : default_s * NS_PER_SECOND;
}

static void take_durations(const struct ringchat_server_config *config,
                           struct options *options)
{
    options->handshake_timeout_ns = duration(config->handshake_timeout_ms, 10);
    options->frame_timeout_ns = duration(config->frame_timeout_ms, 30);
    options->idle_timeout_ns = duration(config->idle_timeout_ms, 600);
    options->heartbeat_ns = duration(config->heartbeat_ms, 5);
    options->stall_timeout_ns = duration(config->stall_timeout_ms, 60);
    options->drain_timeout_ns = duration(config->drain_timeout_ms, 5);
}

static const char *check_durations(const struct options *options)
{
    return options->heartbeat_ns > HEARTBEAT_S_MAX * NS_PER_SECOND
               ? "heartbeat_ms is over 65535 s"
               : NULL;
}

/* ---- Who and where ------------------------------------------------------ */

static bool take_engine(const struct ringchat_server_config *config,
                        struct options *options)
{
    switch (config->engine) {
    case RINGCHAT_ENGINE_AUTO:
        options->io = IO_AUTO;
        return true;
    case RINGCHAT_ENGINE_URING:
        options->io = IO_URING;
        return true;
    case RINGCHAT_ENGINE_EPOLL:
        options->io = IO_EPOLL;
        return true;
    }
    return false;
}

static const char *take_workers(const struct ringchat_server_config *config,
                                struct options *options)
{
    options->workers = or_default(config->workers, 1);
    if (options->workers > WORKERS_MAX)
        return "more than 64 workers";
    return take_engine(config, options) ? NULL : "no such engine";
}
_Static_assert(WORKERS_MAX == 64, "as the text above says");

static const char *take_listener(const struct ringchat_server_config *config,
                                 size_t index, struct options *options)
{
    struct listener *listener = &options->listeners[index];
    enum dialect dialect;
    const char *wrong;

    if (!config->listen[index])
        return "NULL is no URL";
    wrong = listener_parse(listener, config->listen[index]);
    if (wrong)
        return wrong;
    if (!dialect_named(listener->scheme, &dialect))
        return "not a dialect: text, frame or secure";
    return dialect == DIALECT_SECURE && !config->key ? "needs a key" : NULL;
}

static const char *take_listeners(const struct ringchat_server_config *config,
                                  struct options *options, size_t *which)
{
    if (!config->listen || !is_within(config->listen_count, 1, LISTENERS_MAX))
        return "not 1 to 16 listeners";
    for (size_t i = 0; i < config->listen_count; i++) {
        const char *wrong = take_listener(config, i, options);

        if (!wrong)
            continue;
        *which = i;
        return wrong;
    }
    options->listener_count = config->listen_count;
    return NULL;
}
_Static_assert(LISTENERS_MAX == 16, "as the text above says");

static const char *take_key(const struct ringchat_server_config *config,
                            struct options *options)
{
    options->require_encryption = config->seal;
    if (!config->key)
        return config->key_bytes == 0 ? NULL : "a key without bytes";
    if (!is_within(config->key_bytes, KEY_BYTES_MIN, KEY_BYTES_MAX))
        return "a key has 32 to 4096 bytes";
    memcpy(options->key.bytes, config->key, config->key_bytes);
    options->key.length = config->key_bytes;
    return NULL;
}
_Static_assert(KEY_BYTES_MIN == 32 && KEY_BYTES_MAX == 4096,
               "as the text above says");

const char *server_config_name(const struct ringchat_server_config *config)
{
    const char *name = config->name ? config->name : NAME_DEFAULT;
    struct slice slice = slice_of(name);

    if (!room_name_is_valid(slice) || !nick_is_valid(slice) ||
        nick_is_given(slice))
        return NULL;
    return name;
}

/* ---- All of it ---------------------------------------------------------- */

static const char *take_all(const struct ringchat_server_config *config,
                            struct options *options, size_t *which)
{
    const char *wrong = take_listeners(config, options, which);

    if (!wrong)
        wrong = take_workers(config, options);
    if (wrong)
        return wrong;
    take_limits(config, options);
    wrong = check_limits(options);
    if (wrong)
        return wrong;
    take_durations(config, options);
    wrong = check_durations(options);
    if (wrong)
        return wrong;
    return take_key(config, options);
}

int server_config_take(const struct ringchat_server_config *config,
                       struct options *options, const char **why, size_t *which)
{
    *options = (struct options){0};
    *which = config->listen_count;
    *why = server_config_name(config)
               ? take_all(config, options, which)
               : "the name is not both a room's and a nick";
    return *why ? -EINVAL : 0;
}

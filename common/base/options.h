/*
 * The command line that all stages share: one table of options, of which each
 * stage takes its column (docs/operation.md). Parses and checks; starts
 * nothing. A main calls, in this order and before its first thread:
 *
 *     stdio_reserve()
 *     options_parse(&options, &program, argc, argv, &status)
 *     log_init(options.log_level, options.log_format)
 *     options_listen(&options, &program)
 */
#ifndef RINGCHAT_BASE_OPTIONS_H
#define RINGCHAT_BASE_OPTIONS_H

#include "common/base/key.h"
#include "common/base/listener.h"
#include "common/base/log.h"

#include <stdbool.h>
#include <stdint.h>

#define RINGCHAT_VERSION "0.1.0"

#define LISTENERS_MAX 16

/* What a program is: the same table serves every stage. */
struct program {
    const char *name; /* "stage1-blocking" */
    unsigned stage;   /* 1 to 5 */
};

/* By what a server that has both moves bytes. */
enum io_engine {
    IO_AUTO, /* io_uring where it is to be had, else epoll */
    IO_URING,
    IO_EPOLL,
};

/*
 * Sizes are in bytes, durations in nanoseconds. 0 turns a timeout, the
 * heartbeat, the rate and max_per_address off; of the drain it means not to
 * wait, of presence to tell nobody. The other limits are at least 1. What the
 * stage has no option for is 0.
 */
struct options {
    struct listener listeners[LISTENERS_MAX];
    size_t listener_count;
    const char *key_file; /* as typed, in argv; NULL: none was named */
    struct key key;       /* what is in it; the main wipes it after use */
    uint64_t max_line_bytes;
    uint64_t max_frame_bytes;   /* of a frame's body: fits into its u16 */
    uint64_t max_message_bytes; /* of a secure message's content */
    uint64_t max_connections;
    uint64_t max_per_address;
    uint64_t max_memory_bytes; /* what sessions and rooms may hold */
    uint64_t handshake_timeout_ns;
    uint64_t frame_timeout_ns;
    uint64_t idle_timeout_ns;
    uint64_t heartbeat_ns; /* in seconds, rounded up, it fits into a u16 */
    uint64_t stall_timeout_ns;
    uint64_t send_timeout_ns;
    uint64_t drain_timeout_ns;
    uint64_t presence_limit;
    uint64_t room_window_bytes;
    bool slow_consumer_disconnect; /* who lags is closed; otherwise told */
    bool require_encryption;       /* of sessions of `secure` listeners */
    double rate_per_second;        /* 0: no limit */
    uint64_t workers;              /* threads, 1 to WORKERS_MAX */
    bool pin;                      /* each is bound to a processor */
    enum io_engine io;
    enum log_level log_level;
    enum log_format log_format;
};

enum options_outcome {
    OPTIONS_RUN,  /* start the server */
    OPTIONS_EXIT, /* all is said: exit with `*status` */
};

/*
 * Reads argv into `options`, defaults first. --help and --version print to
 * standard output, and --check reads and checks everything the options name;
 * all three end with status 0. Once the arguments are read, so is the key
 * file, whoever needs it; without one a `secure` listener, asked for or by
 * default, is a fault. A fault is one line on standard error that names the
 * option and the cause, with status 64 (EX_USAGE) or what operation.md gives
 * it. Raises RLIMIT_NOFILE to its hard limit, from which --max-connections has
 * its default.
 */
enum options_outcome options_parse(struct options *, const struct program *,
                                   int argc, char **argv, int *status);

/*
 * Opens every listener, in order, and, when all are open, logs `listening` for
 * each. Returns 0, or the exit status after the one line on standard error;
 * then none is open.
 */
int options_listen(struct options *, const struct program *);

#endif

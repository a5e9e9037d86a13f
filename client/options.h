/*
 * The command line: what is to be done, and where. Touches nothing; --help and
 * --version are told, not printed.
 */
#ifndef RINGCHAT_CLIENT_OPTIONS_H
#define RINGCHAT_CLIENT_OPTIONS_H

#include "client/colour.h"

#include <stdbool.h>
#include <stdint.h>

#define JOINED_MAX 16 /* rooms of a session */
#define WINDOW_MAX 1024
#define WHY_BYTES 256

enum mode { MODE_TALK, MODE_SEND, MODE_FOLLOW, MODE_HELP, MODE_VERSION };

struct options {
    enum mode mode;
    const char *url;
    const char *file; /* MODE_SEND: NULL or "-": standard input */
    const char *key_file, *nick;
    const char *rooms[JOINED_MAX]; /* --join, or --follow */
    unsigned room_count;
    uint32_t window;     /* messages sent and not confirmed */
    uint32_t timeout_ms; /* to connect, and for a confirmation */
    uint64_t count;      /* --follow: stop after so many; 0: never */
    bool json, seal, quiet, no_reconnect;
    enum theme theme; /* THEME_ANY, too, if none was asked for */
};

extern const char options_help[];

/* `standard_input`, `standard_output`: whether each is a terminal. Returns 0,
 * or EX_USAGE with what is wrong in `why`. What is kept points into `argv`. */
int options_read(int argc, char **argv, bool standard_input,
                 bool standard_output, struct options *, char why[WHY_BYTES]);

#endif

/*
 * What a line that was typed asks for. Some commands are ours (/window, /close,
 * /clear), some are the server's but go by what is shown (/leave, /who, /topic,
 * /msg), all others are passed on as they are, so that a newer server's
 * commands work.
 */
#ifndef RINGCHAT_CLIENT_COMMAND_H
#define RINGCHAT_CLIENT_COMMAND_H

#include "common/base/slice.h"

#include <stdbool.h>
#include <stddef.h>

enum input_kind {
    INPUT_NOTHING, /* a line of spaces, or none */
    INPUT_MESSAGE, /* `text`, to what is shown; "//x" says "/x" */
    INPUT_PRIVATE, /* `text` to `name`: /msg */
    INPUT_QUERY,   /* a private conversation with `name`: /msg NICK alone */
    INPUT_JOIN,    /* `name` */
    INPUT_LEAVE,   /* `name`; empty: what is shown */
    INPUT_WHO,     /* likewise */
    INPUT_TOPIC,   /* of what is shown; `text` is the whole command */
    INPUT_WINDOW,  /* `name`, or its number */
    INPUT_CLOSE,
    INPUT_CLEAR,
    INPUT_HELP, /* ours; the server adds its own */
    INPUT_QUIT, /* also "exit" alone, from those who try it */
    INPUT_PASS, /* `text`: the command, without "/" */
};

struct input {
    enum input_kind kind;
    struct slice name, text;
};

/* Slices are of `line`. */
struct input input_parse(struct slice line);

/* All commands that are known, by their words, as completion offers them; and
 * a line of help for each that is ours. NULL behind the last. */
extern const char *const command_names[];
extern const char *const command_helps[];

#endif

/*
 * An application for the tests of the chat with one in the place of rooms. It
 * does what it is told to, by the text of what is said, and keeps an account of
 * each session, which outlives it.
 */
#ifndef RINGCHAT_UNIT_SUPPORT_CHAT_APPLICATION_H
#define RINGCHAT_UNIT_SUPPORT_CHAT_APPLICATION_H

#include "common/chat/application.h"
#include "common/chat/internal.h"

#include "tests/unit/support_chat.h"
#include "tests/unit/support_chat_binary.h"

#define VISITORS_MAX 64

/* What it knows of a session. */
struct visitor {
    struct session *session; /* NULL: it is gone */
    unsigned opened, heard, closed;
    enum departure departure;
    enum error_code code;
    int result; /* of the last call that it made here */
};

/* Those that it has let in, in their order. */
extern struct visitor visitors[VISITORS_MAX];
extern unsigned visitor_count;

/* Set: nobody is let in. */
extern bool doors_are_shut;

/* The last thing that was said, whose slices are not valid any more. */
extern struct request last;
extern char last_name[64], last_text[256];
void remember(const struct request *);
bool is_said(const char *text);

/* Its name is `desk`. */
extern const struct application desk;

/* Without heartbeats and idle time-outs. */
struct chat_config desk_config(void);

/* Forgets all visitors. */
void desk_begin(void);

void desk_start(const struct chat_config *);
void desk_start_default(void);

/* Ends the chat: each that was let in is told of as gone, once. */
void desk_stop(void);

struct visitor *visitor_of(const struct client *);

/* It came and went, for that. */
void expect_gone(const struct visitor *, enum departure, enum error_code);

/* As the application; 0 or -errno. */
int desk_say(struct session *, enum event_kind, const char *text);
int desk_reply(struct session *, const char *text, bool more);
int desk_refuse(struct session *, enum error_code);

#endif

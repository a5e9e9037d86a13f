/*
 * The bar above the input line: the time, one's nick, the conversations with
 * what is unread in each, the state of the connection.
 *
 *      13:36 alice  [1 lobby] 2 tea·3 3 @bob!1      text 127.0.0.1:4000 0.2 ms
 *
 * In fewer columns parts are left out, in this order: where to, the round-trip
 * time, the clock, the names of what is read, one's nick, what is read; never
 * that something is unread.
 */
#ifndef RINGCHAT_CLIENT_STATUS_H
#define RINGCHAT_CLIENT_STATUS_H

#include "client/conversation.h"
#include "client/row.h"

struct status {
    unsigned columns;
    const struct palette *palette;
    struct slice clock, nick, url;
    struct slice trouble;  /* the connection, if it is not well */
    struct slice rtt;      /* if it is */
    struct slice progress; /* "2 sent", "↓ 14 more"; or nothing */
    /* Instead of the conversations: what the user is asked or told now. */
    struct slice notice;
    const struct conversations *conversations;
};

/* Of exactly `columns`, but for what did not fit: a screen cuts that. */
void status_row(const struct status *, struct row *);

/* The bar above all: the name of what is shown, and its topic. */
void status_topic(const struct status *, struct row *);

#endif

/*
 * Talking, from within: what its files share.
 *
 *     talk.c           the loop: keys, signals, the network, frames
 *       talk_keys.c    what a key does
 *       talk_paste.c   what is pasted
 *       talk_say.c     what a line that was typed does
 *       talk_events.c  what the library tells
 *         talk_lines.c lines of conversations
 *       talk_draw.c    what is on the screen
 */
#ifndef RINGCHAT_CLIENT_TALK_INTERNAL_H
#define RINGCHAT_CLIENT_TALK_INTERNAL_H

#include "client/complete.h"
#include "client/content.h"
#include "client/conversation.h"
#include "client/edit.h"
#include "client/ending.h"
#include "client/history.h"
#include "client/keys.h"
#include "client/options.h"
#include "client/posts.h"
#include "client/screen.h"
#include "client/tame.h"
#include "client/wait.h"
#include "common/base/builder.h"

#include <ringchat/client.h>

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_MS UINT64_C(1000000)
#define US_PER_SECOND UINT64_C(1000000)

/* Commands of which the answer has not come: two for each room that one comes
 * back to, and what is typed. */
#define ASKED_MAX 64

#define PASTE_BYTES_MAX (64 * KIB)

/* A tamed nick, room or command, of whatever length it was. */
#define SHOWN_NAME_BYTES_MAX 64

/* What is done with the replies to a command, and when it is done. */
enum asked_kind {
    ASKED,       /* they are shown */
    ASKED_JOIN,  /* the room is shown when it is done */
    ASKED_LEAVE, /* the room is closed then */
    ASKED_SET,   /* they say what is seen anyway */
    ASKED_LIST,  /* nicks: shown in one line when it is done */
    ASKED_WHO,   /* likewise, and only learnt: nobody has typed it */
    ASKED_TOPIC, /* learnt, too */
};

struct asked {
    uint64_t ticket; /* 0: none */
    enum asked_kind kind;
    char name[CONVERSATION_NAME_BYTES_MAX + 1];
};

/* Lines that were pasted, until they have been sent. */
struct paste {
    enum {
        PASTE_NONE,
        PASTE_COMING,  /* between its brackets */
        PASTE_ASKING,  /* whether they are to be sent */
        PASTE_SENDING, /* as fast as they are confirmed */
    } state;
    bool too_long;
    char to[CONVERSATION_NAME_BYTES_MAX + 1]; /* what was shown at Enter */
    size_t length, sent;
    char bytes[PASTE_BYTES_MAX];
};

/* Between two Tabs. */
struct completing {
    bool is_on;
    struct complete_place place;
    struct completion completion; /* of `names` */
    size_t name_count;
    char names[CANDIDATES_MAX][CONVERSATION_NAME_BYTES_MAX + 1];
};

struct talk {
    const struct options *options;
    struct ringchat_client *client;
    struct screen *screen; /* NULL: it has not been opened, or is closed */
    const struct palette *palette;

    struct keys keys;
    struct edit edit;
    struct history *history;
    struct completing completing;
    struct paste paste;

    struct conversations *conversations;
    struct posts posts;
    struct asked asked[ASKED_MAX];
    size_t asked_next;

    /* What the user is told in the bar, until the next key. */
    struct builder notice;

    /* The connection. */
    bool opened;         /* it has been OPEN */
    uint64_t lost_ns;    /* when it was lost last */
    uint64_t retry_ns;   /* WAITING: when it is tried again */
    struct ending ended; /* why it was lost last; without its detail */
    struct builder why;  /* the same in words */

    /* The end. */
    bool over;
    int status;        /* the exit status */
    uint64_t leave_ns; /* until when it may say good-bye; 0: it stays */
    bool failed;       /* what was said last has not arrived */

    /* Frames. */
    bool dirty, beep;
    uint64_t frame_ns; /* of the last one */
    size_t message_rows;
    unsigned message_columns;

    char tamed[TAMED_BYTES_MAX];
};

/* ---- talk.c ------------------------------------------------------------- */

/* Says good-bye, for at most two seconds. */
void talk_leave(struct talk *, int status);
/* At once. */
void talk_end(struct talk *, int status);

/* ---- talk_keys.c -------------------------------------------------------- */

void talk_key(struct talk *, const struct key *);
void talk_show(struct talk *, struct conversation *);

/* ---- talk_paste.c ------------------------------------------------------- */

/* Whether the key was for a paste. */
bool paste_key(struct talk *, const struct key *);
/* Sends what may be sent now. */
void paste_go_on(struct talk *);

/* ---- talk_say.c --------------------------------------------------------- */

/* What a line asks for is done. False: it is to stay in the input. */
bool talk_line(struct talk *, struct slice line);
/* A message to a conversation. False: not now; the notice says why. */
bool talk_say(struct talk *, struct conversation *, struct slice text);
/* Who is in a room, and its topic, without a word to the user. */
void talk_learn(struct talk *, const struct conversation *);
/* What was asked with that ticket, which is no more asked. False: nothing. */
bool asked_take(struct talk *, uint64_t ticket, struct asked *);
const struct asked *asked_find(struct talk *, uint64_t ticket);

/* ---- talk_events.c ------------------------------------------------------ */

extern const struct ringchat_client_callbacks talk_callbacks;

/* ---- talk_lines.c ------------------------------------------------------- */

/* Tames into talk->tamed, valid until the next call. */
struct slice talk_tame(struct talk *, struct slice);
/* A name, into `out`. */
struct slice talk_tame_name(struct slice, char out[SHOWN_NAME_BYTES_MAX]);
/* One's own nick, to be shown. */
struct slice talk_nick(const struct talk *, char out[SHOWN_NAME_BYTES_MAX]);

/* A tamed line. */
void talk_add(struct talk *, struct conversation *, const struct line *);
/* In what is shown; without any conversation it is lost. */
void talk_tell(struct talk *, enum line_kind, struct slice text);
/* `nick` came or went: `what` is " joined". Goes on with the line of the one
 * before, if that did likewise. */
void talk_presence(struct talk *, struct conversation *, struct slice nick,
                   const char *what);
/* One that came under another nick, the server's, has come under its own. */
bool talk_presence_renamed(struct conversation *, struct slice old,
                           struct slice new);
/* A break in what is heard there. That we are back is said once: with what was
 * missed, if that becomes known before anything is said. */
void talk_gap(struct talk *, struct conversation *, struct slice text);

/* ---- talk_draw.c -------------------------------------------------------- */

void talk_draw(struct talk *, uint64_t now_ns);
/* What scrolling goes by. */
struct layout talk_layout(const struct talk *);

#endif

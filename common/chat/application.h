/*
 * An application in the place of rooms: three functions, and what they may do.
 *
 * To a peer it is a room that nobody else is in. All else of a session is what
 * it always is: dialects, handshake, nick, heartbeats, deadlines, limits, the
 * end. The functions are called from within the seam (chat.h), in the worker's
 * own thread, one at a time; between workers nothing is shared but the
 * application itself. They may call what is declared here, of any session of
 * the same worker that has been let in and not been told of as gone, and
 * nothing else of the chat.
 */
#ifndef RINGCHAT_CHAT_APPLICATION_H
#define RINGCHAT_CHAT_APPLICATION_H

#include "common/chat/chat.h"

/* Why a session is gone: what began its end. */
enum departure {
    DEPARTURE_END,    /* the peer's stream has ended */
    DEPARTURE_QUIT,   /* the peer said so */
    DEPARTURE_CLOSED, /* application_end */
    DEPARTURE_RESET,  /* the connection failed */
    DEPARTURE_ERROR,  /* an error that closes */
    DEPARTURE_MEMORY, /* there was none for what it was to be told */
};

struct application {
    /* It has been welcomed. False: it is not let in, and ends. */
    bool (*open)(struct session *, void *user);
    /* It has said something: a message, or a command that is none of those that
     * sessions have without rooms. */
    void (*message)(struct session *, const struct request *, void *user);
    /* It is gone: from session_close, once for each that was let in. Nothing
     * can be said to it any more. */
    void (*close)(struct session *, enum departure, enum error_code,
                  void *user);
    void *user;
    struct slice name; /* of the room and of who speaks there: valid as both */
};

/*
 * All that say something return 0, or -errno with nothing said:
 *   -EPIPE     it is ending
 *   -EAGAIN    more than PRIVATE_UNREAD_MAX is unread already
 *   -EMSGSIZE  longer than what peers may send (wire_config.message_bytes_max)
 *   -EINVAL    not clean, or what else is said below
 *   -ENOMEM    there was none, and it is ending
 */

/* A message in the room or (EVENT_PRIVATE) in private: of the event its kind,
 * nick (none: the application's name), text and content_type. -EINVAL: that is
 * no nick, no content type, or no text. */
int application_say(struct session *, const struct event *);

/* A line of the answer to the command that its `message` is about; `more`:
 * another follows. -EINVAL: there is no such command, or it has its answer. */
int application_reply(struct session *, struct slice text, bool more);

/* An error as the answer to what its `message` is about; never -EAGAIN. One
 * that closes ends it, without the detail. -EINVAL: there is no such thing, or
 * it has its answer. */
int application_refuse(struct session *, enum error_code, struct slice detail);

/* It ends, after it has been sent what it is due. */
void application_end(struct session *);

/* The application's own of it; NULL at first. */
void *application_data(const struct session *);
void application_set_data(struct session *, void *data);

/* Who it is and how it speaks. A nick is its own until it ends; the slice is
 * valid until the function returns. */
struct slice application_nick(const struct session *);
enum dialect application_dialect(const struct session *);
uint32_t application_worker(const struct session *);

#endif

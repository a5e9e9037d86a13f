/*
 * Letters: what the chats of several workers have to say to one another.
 *
 * For each ordered pair of workers there are two queues (common/shard/queue.h):
 *
 *   requests   what is asked of the owner of a room, or of a receiver's worker:
 *              taken as long as its turn is not full (intake.c), and as long as
 *              there is room for the answers. So who asks too much is not read
 *              from, as with a room of its own worker.
 *   answers    what was asked for, and news: always taken. So two workers never
 *              wait for each other.
 *
 * Each carries letters in the order of sending. What a session asks of one
 * owner takes effect in that order; the news that a worker was told of a lane
 * are before the answer that it may forget it.
 *
 * A session is parsed only while each of its worker's queues has room for the
 * largest request (`crowded`). What has to be asked whatever there is room for
 * (a place in the first room, to leave one, to settle a lane, a listing that
 * goes round) waits in a list, through a `waiter` in itself: it takes no memory
 * to wait. While anything does, nothing overtakes it.
 *
 * A letter's pointers are handles: whose they are, follows them; the others
 * give them back. What they point to lives until that: a session is owed what
 * it asked for (`awaited`), a room lives while its owner counts members or
 * followers of that worker.
 */
#ifndef RINGCHAT_CHAT_LETTERS_H
#define RINGCHAT_CHAT_LETTERS_H

#include "common/base/limits.h"
#include "common/base/slice.h"
#include "common/buffer/view.h"
#include "common/wire/error.h"
#include "common/wire/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chat;
struct following;
struct listing;
struct membership;
struct reach;
struct errand;
struct room;
struct session;
struct shared_lane;

enum letter_kind {
    /* Requests. */
    LETTER_JOIN,
    LETTER_LEAVE,
    LETTER_POST,
    LETTER_RENAME,
    LETTER_TOPIC,
    LETTER_COUNT,
    LETTER_PRIVATE,
    LETTER_SETTLE,
    LETTER_FENCE,
    LETTER_LISTING,
    /* Answers. */
    LETTER_JOINED,
    LETTER_LEFT,
    LETTER_POSTED,
    LETTER_RENAMED,
    LETTER_FENCED,
    LETTER_TOPIC_IS,
    LETTER_COUNTED,
    LETTER_TOLD,
    LETTER_SETTLED,
    LETTER_NEWS,
};

struct letter_nick {
    uint8_t length;
    char bytes[NICK_BYTES_MAX];
};

struct letter_name {
    uint8_t length;
    char bytes[ROOM_NAME_BYTES_MAX];
};

struct letter {
    enum letter_kind kind;
    /* A text and its content type: behind the letter, or where they found no
     * room in memory of their own, which goes with it. */
    uint32_t text_length, type_length;
    char *outside;
    union {
        struct {
            struct membership *membership;
            struct following *following;
            enum encoding encoding;
            struct letter_name room;
            struct letter_nick nick;
        } join;
        struct {
            struct membership *membership;
            struct room *room;
            enum encoding encoding;
            struct letter_nick nick;
            bool quiet; /* nobody is told */
        } leave;
        /* Answered if it has an id, or failed. */
        struct {
            struct session *session;
            uint64_t session_id;
            struct room *room;
            uint32_t id;
            struct letter_nick nick;
        } post;
        struct {
            struct errand *errand;
            struct room *room;
            struct letter_nick from, to;
        } rename;
        struct {
            struct session *session;
            struct room *room;
            struct letter_nick nick;
        } topic;
        struct {
            struct session *session;
            struct room *room;
        } count;
        struct {
            struct session *session;
            struct letter_nick from, to;
            bool command; /* asked by one, and so answered */
        } private;
        struct {
            struct following *following;
            struct room *room;
            enum encoding encoding;
            bool release; /* nobody reads any more */
        } settle;
        struct listing *listing;

        struct {
            struct membership *membership;
            struct room *room; /* NULL: no memory */
            struct shared_lane *shared;
            struct cursor cursor;
            struct letter_name name; /* as who made the room wrote it */
            uint32_t members;
        } joined;
        struct {
            struct membership *membership;
            struct cursor end;
        } left;
        struct {
            struct session *session;
            uint64_t session_id;
            uint64_t seq; /* 0: no memory */
            uint32_t id;
        } posted;
        struct errand *errand; /* FENCE, FENCED, RENAMED */
        struct {
            struct session *session;
            bool done; /* else there was no memory */
        } topic_is;
        struct {
            struct session *session;
            uint32_t members;
        } counted;
        struct {
            struct session *session;
            enum error_code outcome; /* ERROR_NONE: it has been told */
            bool command;
            struct letter_nick nick; /* as its holder writes it */
        } told;
        struct {
            struct following *following;
            bool release;
        } settled;
        struct {
            struct reach *reach;
            struct cursor head; /* who leaves later leaves behind it */
        } news;
    };
};

static inline struct letter_name letter_name_of(struct slice name)
{
    struct letter_name copy = {.length = (uint8_t)name.length};

    __builtin_memcpy(copy.bytes, name.bytes, name.length);
    return copy;
}

static inline struct slice letter_name_slice(const struct letter_name *name)
{
    return (struct slice){name->bytes, name->length};
}

static inline struct letter_nick letter_nick_of(struct slice nick)
{
    struct letter_nick copy = {.length = (uint8_t)nick.length};

    __builtin_memcpy(copy.bytes, nick.bytes, nick.length);
    return copy;
}

static inline struct slice letter_nick_slice(const struct letter_nick *nick)
{
    return (struct slice){nick->bytes, nick->length};
}

/* ---- Sending ------------------------------------------------------------ */

/* A letter to fill in, and then to send with request_send; the chat is not
 * crowded. What is not filled in is zero. */
struct letter *request_begin(struct chat *, uint32_t to, enum letter_kind);

/* One with a text; NULL without memory. */
struct letter *request_begin_text(struct chat *, uint32_t to, enum letter_kind,
                                  struct slice text, struct slice type);
void request_send(struct chat *, uint32_t to);

/* The same for the answer to what is being taken. */
struct letter *answer_begin(struct chat *, uint32_t to, enum letter_kind);
struct letter *answer_begin_text(struct chat *, uint32_t to, enum letter_kind,
                                 struct slice text);
void answer_send(struct chat *, uint32_t to);

/* Whether there is room for the answer to any request. */
bool answer_has_room(struct chat *, uint32_t to);

struct waiter;

/* Sends what the waiter is about as soon as there is room: now, or later. */
void waiter_send(struct chat *, uint32_t to, struct waiter *, enum letter_kind);

/* ---- Taking ------------------------------------------------------------- */

struct slice letter_text(const struct letter *);
struct slice letter_type(const struct letter *);

/* What others have sent is acted on: all answers; requests as this turn
 * allows. */
void answers_take(struct chat *);
void requests_take(struct chat *);

/* Whether something lies there that those would take now. */
bool letters_are_there(struct chat *);

/* Whether something waits for room to be sent. */
bool letters_are_unsent(const struct chat *);

/* Whether something lies there that has to wait, or waits to be sent: nobody
 * will wake us for it. */
bool letters_wait(struct chat *);

/* What has been sent in this turn is the others' to see. */
void letters_publish(struct chat *);

#endif

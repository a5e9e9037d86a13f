/*
 * What is asked of all workers: the rooms, who is in one, the metrics. One
 * paper goes round: each worker writes on it what it knows, and passes it to
 * the next; the one that asked reads it out. So nobody stops, and what is told
 * was true of each worker when it wrote.
 */
#include "common/base/builder.h"
#include "common/base/clock.h"
#include "common/chat/internal.h"
#include "common/chat/shared.h"

#include <assert.h>

enum listing_kind {
    LISTING_ROOMS,
    LISTING_MEMBERS,
    LISTING_METRICS,
    LISTING_LOG, /* the metrics, for the log */
};

struct line {
    struct letter_name name; /* of a room, or a nick */
    uint32_t members;
};

struct listing {
    struct waiter waiter;    /* for room in the next worker's queue */
    struct session *session; /* who asked; NULL: the log */
    uint32_t origin;
    enum listing_kind kind;
    struct letter_name room; /* whose members */
    size_t bytes;            /* of all of it */
    uint64_t found;          /* rooms or members, listed or not */
    uint32_t capacity, count;
    union {
        struct {
            struct totals totals;
            struct metric own[SESSION_METRICS]; /* the session's */
        };
        struct line lines[1]; /* `capacity` of them */
    };
};

struct listing *listing_of(struct waiter *waiter)
{
    return CONTAINER(struct listing, waiter, waiter);
}

/* ---- Writing ------------------------------------------------------------ */

static void add_line(struct listing *listing, struct slice name,
                     uint32_t members)
{
    listing->found++;
    if (listing->count == listing->capacity)
        return;
    listing->lines[listing->count++] = (struct line){
        .name = letter_name_of(name),
        .members = members,
    };
}

static void write_rooms(const struct chat *chat, struct listing *listing)
{
    for (const struct room *room = chat->rooms; room;
         room = room->by_name.next) {
        if (!room->remote)
            add_line(listing, room_name(room), room->members);
    }
}

/* Those of this worker, in the order of joining. */
static void write_members(struct chat *chat, struct listing *listing)
{
    const struct room *room =
        room_find(chat, letter_name_slice(&listing->room));
    const struct membership *member = room ? room->first : NULL;

    if (!member)
        return;
    do {
        if (!member->leaving)
            add_line(listing, session_nick(member->session), 0);
        member = member->next;
    } while (member != room->first);
}

static void write_on(struct chat *chat, struct listing *listing)
{
    switch (listing->kind) {
    case LISTING_ROOMS:
        write_rooms(chat, listing);
        return;
    case LISTING_MEMBERS:
        write_members(chat, listing);
        return;
    case LISTING_METRICS:
    case LISTING_LOG:
        totals_add(&listing->totals, chat);
        return;
    }
}

/* ---- Reading out -------------------------------------------------------- */

static void reply_line(struct session *session, const struct line *line)
{
    session_reply_more(session, letter_name_slice(&line->name));
}

static void reply_room(struct session *session, const struct line *line)
{
    struct builder text = {0};

    build_string(&text, "room ");
    build_slice(&text, letter_name_slice(&line->name));
    build_string(&text, " ");
    build_members(&text, line->members);
    session_reply_more(session, builder_slice(&text));
}

static void reply_lines(struct session *session, const struct listing *listing,
                        void (*reply)(struct session *, const struct line *))
{
    uint64_t rest = listing->found - listing->count;
    struct builder text = {0};

    for (uint32_t i = 0; i < listing->count; i++)
        reply(session, &listing->lines[i]);
    if (rest == 0)
        return;
    build_string(&text, "and ");
    build_number(&text, rest);
    build_string(&text, " more");
    session_reply_more(session, builder_slice(&text));
}

static void reply_metric(struct session *session, const struct metric *metric)
{
    struct builder line = {0};

    build_string(&line, metric->name);
    build_string(&line, " ");
    if (metric->hundredths)
        build_hundredths(&line, metric->value);
    else
        build_number(&line, metric->value);
    session_reply_more(session, builder_slice(&line));
}

static void reply_metrics(struct session *session,
                          const struct listing *listing)
{
    struct metric server[SERVER_METRICS];

    metrics_of_server(&listing->totals, server);
    for (size_t i = 0; i < SERVER_METRICS; i++)
        reply_metric(session, &server[i]);
    for (size_t i = 0; i < SESSION_METRICS; i++)
        reply_metric(session, &listing->own[i]);
    session_reply(session, SLICE("end of metrics"));
}

static void log_metrics(const struct chat *chat, const struct totals *totals)
{
    struct metric metrics[SERVER_METRICS];
    struct log_field fields[SERVER_METRICS];

    metrics_of_server(totals, metrics);
    for (size_t i = 0; i < SERVER_METRICS; i++)
        fields[i] = log_number(metrics[i].name, metrics[i].value);
    chat->config.log(LOG_INFO, "metrics", fields, SERVER_METRICS);
}

static void read_out(struct chat *chat, const struct listing *listing)
{
    struct session *session = listing->session;

    switch (listing->kind) {
    case LISTING_ROOMS:
        reply_lines(session, listing, reply_room);
        session_reply(session, SLICE("end of rooms"));
        return;
    case LISTING_MEMBERS:
        reply_lines(session, listing, reply_line);
        session_reply(session, SLICE("end of who"));
        return;
    case LISTING_METRICS:
        reply_metrics(session, listing);
        return;
    case LISTING_LOG:
        log_metrics(chat, &listing->totals);
        return;
    }
}

/* ---- Going round -------------------------------------------------------- */

static void listing_free(struct chat *chat, struct listing *listing)
{
    budget_free(chat->budget, listing, listing->bytes);
}

static void pass_on(struct chat *chat, struct listing *listing)
{
    uint32_t next = (chat->worker + 1) % chat->shards->count;

    waiter_send(chat, next, &listing->waiter, LETTER_LISTING);
}

/* Who asked may have gone. */
static void come_home(struct chat *chat, struct listing *listing)
{
    struct session *session = listing->session;

    chat->listings--;
    if (!session || session_answered(session))
        read_out(chat, listing);
    listing_free(chat, listing);
    if (session)
        session_unpark(session);
}

void listing_take(struct chat *chat, struct listing *listing)
{
    if (listing->origin == chat->worker) {
        come_home(chat, listing);
        return;
    }
    write_on(chat, listing);
    pass_on(chat, listing);
}

static bool send_round(struct chat *chat, struct listing *listing)
{
    write_on(chat, listing);
    if (chat->shards->count == 1) {
        read_out(chat, listing);
        listing_free(chat, listing);
        return true;
    }
    chat->listings++;
    if (listing->session)
        session_park(listing->session);
    pass_on(chat, listing);
    return true;
}

static struct listing *listing_create(struct chat *chat,
                                      struct session *session,
                                      enum listing_kind kind, uint64_t lines)
{
    uint32_t capacity =
        lines < LIST_LINES_MAX ? (uint32_t)lines : LIST_LINES_MAX;
    size_t bytes =
        offsetof(struct listing, lines) + capacity * sizeof(struct line);
    struct listing *listing;

    if (bytes < sizeof(*listing))
        bytes = sizeof(*listing);
    listing = budget_alloc(chat->budget, bytes);
    if (!listing)
        return NULL;
    *listing = (struct listing){
        .session = session,
        .origin = chat->worker,
        .kind = kind,
        .bytes = bytes,
        .capacity = capacity,
    };
    return listing;
}

/* As many as this worker has, if it is alone. */
static uint64_t lines_of(const struct chat *chat, uint64_t here)
{
    return chat->shards->count == 1 ? here : LIST_LINES_MAX;
}

bool listing_rooms(struct session *session)
{
    struct chat *chat = session->chat;
    struct listing *listing =
        listing_create(chat, session, LISTING_ROOMS,
                       lines_of(chat, HASH_CNT(by_name, chat->rooms)));

    return listing && send_round(chat, listing);
}

bool listing_members(struct session *session, const struct room *room)
{
    struct chat *chat = session->chat;
    struct listing *listing = listing_create(chat, session, LISTING_MEMBERS,
                                             lines_of(chat, room->members));

    if (!listing)
        return false;
    listing->room = letter_name_of(room_name(room));
    return send_round(chat, listing);
}

bool listing_metrics(struct session *session)
{
    struct chat *chat = session->chat;
    struct listing *listing = listing_create(chat, session, LISTING_METRICS, 0);

    if (!listing)
        return false;
    metrics_of_session(session, listing->own);
    return send_round(chat, listing);
}

bool listing_log(struct chat *chat)
{
    struct listing *listing = listing_create(chat, NULL, LISTING_LOG, 0);

    return listing && send_round(chat, listing);
}

/*
 * What a session says: messages to rooms and people, and the commands of
 * docs/protocol.md, one function and one line of the table each.
 */
#include "common/base/builder.h"
#include "common/base/clock.h"
#include "common/chat/internal.h"
#include "common/wire/name.h"

#include <string.h>

/* What may follow a command's word. */
enum form {
    FORM_NOTHING,
    FORM_NAME,          /* NAME */
    FORM_OPTIONAL_NAME, /* [NAME] */
    FORM_TEXT,          /* TEXT: all after one space, as it is */
    FORM_OPTIONAL_TEXT, /* [TEXT] */
    FORM_NAME_TEXT,     /* NAME TEXT */
};

struct arguments {
    struct slice name, text; /* of length 0 if not given */
};

struct command {
    const char *word;
    enum form form;
    const char *usage;   /* how it is written */
    const char *purpose; /* what /help says of it */
    void (*run)(struct session *, const struct arguments *);
};

static const struct command *commands(size_t *count);

/* ---- Replies ------------------------------------------------------------ */

static void reply_built(struct session *session, const struct builder *builder)
{
    session_reply(session, builder_slice(builder));
}

static void reply_built_more(struct session *session,
                             const struct builder *builder)
{
    session_reply_more(session, builder_slice(builder));
}

/* The current room; without one the session is told `no-room`. */
static struct membership *current_or_refuse(struct session *session)
{
    struct membership *current = session_current(session);

    if (!current)
        session_refuse(session, ERROR_NO_ROOM, SLICE("join a room first"));
    return current;
}

static bool room_name_or_refuse(struct session *session, struct slice name)
{
    bool valid = room_name_is_valid(name);

    if (!valid)
        session_refuse(session, ERROR_BAD_NAME,
                       SLICE("a room is 1 to 32 of A-Z a-z 0-9 _ . -"));
    return valid;
}

/* What was asked for is not repeated: it may be any bytes. */
static void refuse_nick(struct session *session)
{
    session_refuse(session, ERROR_BAD_NAME,
                   SLICE("a nick is a letter or _, then at most 23 of "
                         "A-Z a-z 0-9 _ -, and to take, no guest's"));
}

/* The membership in the room of that name. NULL after an error. */
static struct membership *member_or_refuse(struct session *session,
                                           struct slice argument)
{
    struct slice name = room_name_plain(argument);
    struct membership *membership;

    if (!room_name_or_refuse(session, name))
        return NULL;
    membership = session_membership(session, name);
    if (!membership)
        session_refuse(session, ERROR_NO_SUCH_ROOM, name);
    return membership;
}

/* The membership that an optional room argument means: the current room
 * without one. NULL after an error. */
static struct membership *named_or_refuse(struct session *session,
                                          struct slice argument)
{
    return argument.length == 0 ? current_or_refuse(session)
                                : member_or_refuse(session, argument);
}

/* ---- Messages ----------------------------------------------------------- */

static void count_message(struct session *session)
{
    meter_add(session, (struct traffic){.messages = 1});
}

/* The message has its place in the room; in private it has none, 0. */
static void acknowledge(struct session *session, uint64_t seq)
{
    if (session->request_id == 0)
        return;
    session_tell(session, &(struct event){
                              .kind = EVENT_ACK,
                              .id = session->request_id,
                              .seq = seq,
                          });
}

static void post_to_room(struct session *session, struct membership *membership,
                         const struct request *message)
{
    struct room *room = membership->room;
    struct chat *chat = session->chat;
    struct event event = {
        .kind = EVENT_MESSAGE,
        .room = room_name(room),
        .nick = session_nick(session),
        .text = message->text,
        .content_type = message->content_type,
        .seq = room->seq + 1,
        .time_us = chat->wall_us,
    };

    if (!room_post(chat, room, &event, RECORD_MESSAGE)) {
        session_fault(session, "no memory for a message");
        return;
    }
    count_message(session);
    acknowledge(session, event.seq);
}

/* Sends to one person, whom it returns; NULL after an error. */
static struct session *post_to_nick(struct session *session,
                                    const struct request *message)
{
    struct session *receiver = nick_find(session->chat, message->name);

    if (!nick_is_valid(message->name)) {
        refuse_nick(session);
        return NULL;
    }
    if (!receiver) {
        session_refuse(session, ERROR_NO_SUCH_NICK, message->name);
        return NULL;
    }
    if (session_unread(receiver) > PRIVATE_UNREAD_MAX) {
        session_refuse(session, ERROR_RECEIVER_BUSY, session_nick(receiver));
        return NULL;
    }
    session_tell(receiver, &(struct event){
                               .kind = EVENT_PRIVATE,
                               .nick = session_nick(session),
                               .text = message->text,
                               .content_type = message->content_type,
                               .time_us = session->chat->wall_us,
                           });
    count_message(session);
    session->chat->metrics.deliveries++;
    return receiver;
}

void message_post(struct session *session, const struct request *message)
{
    struct membership *membership;

    if (message->target == TARGET_NICK) {
        if (post_to_nick(session, message))
            acknowledge(session, 0);
        return;
    }
    membership = message->target == TARGET_CURRENT
                     ? current_or_refuse(session)
                     : member_or_refuse(session, message->name);
    if (membership)
        post_to_room(session, membership, message);
}

static void run_msg(struct session *session, const struct arguments *arguments)
{
    struct request message = {
        .target = TARGET_NICK,
        .name = arguments->name,
        .text = arguments->text,
    };
    const struct session *receiver = post_to_nick(session, &message);
    struct builder sent = {0};

    if (!receiver)
        return;
    build_string(&sent, "sent to ");
    build_slice(&sent, session_nick(receiver));
    reply_built(session, &sent);
}

/* ---- Asking the server -------------------------------------------------- */

static void run_help(struct session *session, const struct arguments *arguments)
{
    size_t count;
    const struct command *all = commands(&count);

    (void)arguments;
    for (size_t i = 0; i < count; i++) {
        struct builder line = {0};

        build_string(&line, "/");
        build_string(&line, all[i].word);
        build_string(&line, " — ");
        build_string(&line, all[i].purpose);
        if (all[i].form != FORM_NOTHING) {
            build_string(&line, ": ");
            build_string(&line, all[i].usage);
        }
        if (i + 1 < count)
            reply_built_more(session, &line);
        else
            reply_built(session, &line);
    }
}

static void run_time(struct session *session, const struct arguments *arguments)
{
    struct builder line = {0};

    (void)arguments;
    build_string(&line, "time ");
    build_time(&line, session->chat->wall_us);
    reply_built(session, &line);
}

static void run_ping(struct session *session, const struct arguments *arguments)
{
    uint64_t rtt_us = session->binary ? session->binary->rtt_us
                                      : session_link(session).rtt_us;
    struct builder line = {0};

    (void)arguments;
    build_string(&line, "pong rtt_us=");
    build_number(&line, rtt_us);
    reply_built(session, &line);
}

static void run_echo(struct session *session, const struct arguments *arguments)
{
    session_tell(session, &(struct event){
                              .kind = EVENT_ECHO,
                              .id = session->request_id,
                              .text = arguments->text,
                          });
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
    reply_built_more(session, &line);
}

static void run_metrics(struct session *session,
                        const struct arguments *arguments)
{
    struct metric server[SERVER_METRICS];
    struct metric own[SESSION_METRICS];

    (void)arguments;
    metrics_of_session(session, own);
    metrics_of_server(session->chat, server);
    for (size_t i = 0; i < SERVER_METRICS; i++)
        reply_metric(session, &server[i]);
    for (size_t i = 0; i < SESSION_METRICS; i++)
        reply_metric(session, &own[i]);
    session_reply(session, SLICE("end of metrics"));
}

/* "in=BYTES/s out=BYTES/s messages=N/s" */
static void build_rates(struct builder *line, struct traffic traffic,
                        uint64_t over_ns)
{
    double seconds = (double)over_ns / (double)NS_PER_SECOND;

    if (seconds < 1)
        seconds = 1;
    build_string(line, "in=");
    build_number(line, (uint64_t)((double)traffic.in / seconds));
    build_string(line, "/s out=");
    build_number(line, (uint64_t)((double)traffic.out / seconds));
    build_string(line, "/s messages=");
    build_number(line, (uint64_t)((double)traffic.messages / seconds));
    build_string(line, "/s");
}

static void run_throughput(struct session *session,
                           const struct arguments *arguments)
{
    uint64_t connected_ns = session->chat->now_ns - session->opened_ns;
    uint64_t lately_ns = METER_SECONDS * NS_PER_SECOND;
    struct traffic since = {session->bytes_in, session->bytes_out,
                            session->messages};
    struct builder line = {0};

    (void)arguments;
    if (lately_ns > connected_ns)
        lately_ns = connected_ns;
    build_string(&line, "throughput ");
    build_rates(&line, meter_sum(session), lately_ns);
    build_string(&line, " since connected ");
    build_rates(&line, since, connected_ns);
    reply_built(session, &line);
}

static void run_quit(struct session *session, const struct arguments *arguments)
{
    (void)arguments;
    session_end(session, ENDING_QUIT);
}

/* ---- Nicks and rooms ---------------------------------------------------- */

static void rename_session(struct session *session, struct slice nick)
{
    for (struct membership *m = session->memberships; m; m = m->sibling) {
        if (!m->leaving)
            room_tell_nick(m->room, session, nick);
    }
    nick_remove(session);
    session_set_nick(session, nick);
    nick_add(session);
}

bool nick_or_refuse(struct session *session, struct slice nick)
{
    const struct session *holder;

    if (!nick_is_valid(nick) || nick_is_given(nick)) {
        refuse_nick(session);
        return false;
    }
    holder = nick_find(session->chat, nick);
    if (holder && holder != session) {
        session_refuse(session, ERROR_NICK_IN_USE, nick);
        return false;
    }
    return true;
}

static void run_nick(struct session *session, const struct arguments *arguments)
{
    struct slice nick = arguments->name;
    struct builder line = {0};

    if (!nick_or_refuse(session, nick))
        return;
    if (!slice_equals(nick, session_nick(session)))
        rename_session(session, nick);
    build_string(&line, "you are now ");
    build_slice(&line, nick);
    reply_built(session, &line);
}

static void build_members(struct builder *line, const struct room *room)
{
    build_number(line, room->members);
    build_string(line, " members");
}

static void reply_joined(struct session *session, const struct room *room)
{
    struct builder line = {0};

    build_string(&line, "joined ");
    build_slice(&line, room_name(room));
    build_string(&line, " (");
    build_members(&line, room);
    build_string(&line, ")");
    reply_built(session, &line);
}

static void run_join(struct session *session, const struct arguments *arguments)
{
    struct slice name = room_name_plain(arguments->name);
    struct membership *membership;
    struct log_field joined;

    if (!room_name_or_refuse(session, name))
        return;
    membership = session_membership(session, name);
    if (membership) {
        membership_select(membership);
        reply_joined(session, membership->room);
        return;
    }
    if (session->room_count == ROOMS_PER_SESSION_MAX) {
        session_refuse(session, ERROR_TOO_MANY_ROOMS,
                       SLICE("at most 16: /leave one first"));
        return;
    }
    membership = room_join(session, name);
    if (!membership) {
        session_fault(session, "no memory for a membership");
        return;
    }
    joined =
        log_text("room", membership->room->name, membership->room->name_length);
    session_log(session, LOG_INFO, "joined", &joined, 1);
    reply_joined(session, membership->room);
}

static void run_leave(struct session *session,
                      const struct arguments *arguments)
{
    struct membership *membership = named_or_refuse(session, arguments->name);
    struct builder line = {0};

    if (!membership)
        return;
    build_string(&line, "left ");
    build_slice(&line, room_name(membership->room));
    room_leave(membership);
    reply_built(session, &line);
}

static void reply_more_not_listed(struct session *session, uint64_t count)
{
    struct builder line = {0};

    if (count == 0)
        return;
    build_string(&line, "and ");
    build_number(&line, count);
    build_string(&line, " more");
    reply_built_more(session, &line);
}

static void run_rooms(struct session *session,
                      const struct arguments *arguments)
{
    uint64_t left = HASH_CNT(by_name, session->chat->rooms);
    const struct room *room = session->chat->rooms;

    (void)arguments;
    for (unsigned i = 0; room && i < LIST_LINES_MAX; i++, left--) {
        struct builder line = {0};

        build_string(&line, "room ");
        build_slice(&line, room_name(room));
        build_string(&line, " ");
        build_members(&line, room);
        reply_built_more(session, &line);
        room = room->by_name.next;
    }
    reply_more_not_listed(session, left);
    session_reply(session, SLICE("end of rooms"));
}

static void run_who(struct session *session, const struct arguments *arguments)
{
    struct membership *own = named_or_refuse(session, arguments->name);
    const struct membership *member;
    uint64_t left;

    if (!own)
        return;
    left = own->room->members;
    member = own->room->first;
    for (unsigned i = 0; left > 0 && i < LIST_LINES_MAX;
         member = member->next) {
        if (member->leaving)
            continue;
        session_reply_more(session, session_nick(member->session));
        left--;
        i++;
    }
    reply_more_not_listed(session, left);
    session_reply(session, SLICE("end of who"));
}

static struct slice room_topic(const struct room *room)
{
    return (struct slice){room->topic ? room->topic : "", room->topic_length};
}

static void run_topic(struct session *session,
                      const struct arguments *arguments)
{
    struct membership *current = current_or_refuse(session);
    struct slice topic = arguments->text;
    struct room *room;

    if (!current)
        return;
    room = current->room;
    if (topic.length > 0 && !slice_equals(topic, room_topic(room)) &&
        !room_change_topic(room, session, topic)) {
        session_fault(session, "no memory for a topic");
        return;
    }
    session_tell(session, &(struct event){
                              .kind = EVENT_TOPIC_REPLY,
                              .id = session->request_id,
                              .room = room_name(room),
                              .text = room_topic(room),
                          });
}

/* ---- The table ---------------------------------------------------------- */

static const struct command table[] = {
    {"help", FORM_NOTHING, "/help", "list the commands", run_help},
    {"time", FORM_NOTHING, "/time", "the server's time", run_time},
    {"ping", FORM_NOTHING, "/ping", "the round-trip time to you", run_ping},
    {"echo", FORM_TEXT, "/echo TEXT", "get TEXT back", run_echo},
    {"nick", FORM_NAME, "/nick NAME", "take another nick", run_nick},
    {"join", FORM_NAME, "/join ROOM", "join a room and talk there", run_join},
    {"leave", FORM_OPTIONAL_NAME, "/leave [ROOM]", "leave this room or another",
     run_leave},
    {"rooms", FORM_NOTHING, "/rooms", "list the rooms", run_rooms},
    {"who", FORM_OPTIONAL_NAME, "/who [ROOM]",
     "list who is in this room or another", run_who},
    {"msg", FORM_NAME_TEXT, "/msg NICK TEXT", "say something to one person",
     run_msg},
    {"topic", FORM_OPTIONAL_TEXT, "/topic [TEXT]",
     "show the room's topic or set it", run_topic},
    {"metrics", FORM_NOTHING, "/metrics",
     "figures of the server and of your connection", run_metrics},
    {"throughput", FORM_NOTHING, "/throughput",
     "bytes and messages a second of your connection", run_throughput},
    {"quit", FORM_NOTHING, "/quit", "leave the chat", run_quit},
};

static const struct command *commands(size_t *count)
{
    *count = sizeof(table) / sizeof(table[0]);
    return table;
}

static const struct command *command_find(struct slice word)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (slice_equals(word, slice_of(table[i].word)))
            return &table[i];
    }
    return NULL;
}

/* ---- Arguments ---------------------------------------------------------- */

/* Everything up to the next space. */
static struct slice take_token(struct slice *rest)
{
    const char *space = memchr(rest->bytes, ' ', rest->length);
    size_t length = space ? (size_t)(space - rest->bytes) : rest->length;
    struct slice token = {rest->bytes, length};

    rest->bytes += length;
    rest->length -= length;
    return token;
}

static void skip_spaces(struct slice *rest, size_t most)
{
    while (most-- > 0 && rest->length > 0 && rest->bytes[0] == ' ') {
        rest->bytes++;
        rest->length--;
    }
}

/* `rest` is what follows the word, with the space between. False: wrong in
 * number. */
static bool take_arguments(enum form form, struct slice rest,
                           struct arguments *arguments)
{
    *arguments = (struct arguments){0};
    if (form == FORM_TEXT || form == FORM_OPTIONAL_TEXT) {
        skip_spaces(&rest, 1);
        arguments->text = rest;
        return form == FORM_OPTIONAL_TEXT || rest.length > 0;
    }
    skip_spaces(&rest, SIZE_MAX);
    if (form != FORM_NOTHING)
        arguments->name = take_token(&rest);
    if (form == FORM_NAME_TEXT) {
        skip_spaces(&rest, 1);
        arguments->text = rest;
        return rest.length > 0;
    }
    skip_spaces(&rest, SIZE_MAX);
    return rest.length == 0 &&
           (form != FORM_NAME || arguments->name.length > 0);
}

void command_run(struct session *session, struct slice line)
{
    struct slice word = take_token(&line);
    const struct command *command = command_find(word);
    struct arguments arguments;

    if (!command) {
        session_refuse(session, ERROR_UNKNOWN_COMMAND,
                       SLICE("/help lists the commands"));
        return;
    }
    if (!take_arguments(command->form, line, &arguments)) {
        session_refuse(session, ERROR_USAGE, slice_of(command->usage));
        return;
    }
    command->run(session, &arguments);
}

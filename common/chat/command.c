/*
 * What a session says: messages to rooms and people, and the commands of
 * docs/protocol.md, one function and one line of the table each.
 */
#include "common/base/builder.h"
#include "common/base/clock.h"
#include "common/chat/application.h"
#include "common/chat/internal.h"
#include "common/chat/shared.h"
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

/* Where there is one. */
enum scope {
    ALWAYS,
    WITH_ROOMS, /* and not with an application in their place */
};

struct command {
    const char *word;
    enum scope scope;
    enum form form;
    const char *usage;   /* how it is written */
    const char *purpose; /* what /help says of it */
    void (*run)(struct session *, const struct arguments *);
};

static const struct command *commands(size_t *count);
static bool is_offered(const struct session *, const struct command *);

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

/* To the owner of the room, who answers if there is an id, or if it failed.
 * False without memory. */
static bool post_there(struct session *session, const struct room *room,
                       const struct request *message)
{
    struct chat *chat = session->chat;
    uint32_t owner = room_owner(chat, room_name(room));
    struct letter *letter = request_begin_text(
        chat, owner, LETTER_POST, message->text, message->content_type);

    if (!letter)
        return false;
    letter->post.session = session;
    letter->post.session_id = session->id;
    letter->post.room = room->home;
    letter->post.id = session->request_id;
    letter->post.nick = letter_nick_of(session_nick(session));
    if (session->request_id > 0)
        session->awaited++;
    if (session->binary)
        session->binary->posted_to = (uint8_t)owner;
    session->posting = true;
    request_send(chat, owner);
    return true;
}

static bool post_here(struct session *session, struct room *room,
                      const struct request *message)
{
    uint64_t seq = room_say(session->chat, room, session_nick(session),
                            message->text, message->content_type);

    if (seq > 0)
        session_acknowledge(session, session->request_id, seq);
    return seq > 0;
}

static void post_to_room(struct session *session, struct room *room,
                         const struct request *message)
{
    bool posted = room->remote ? post_there(session, room, message)
                               : post_here(session, room, message);

    if (posted)
        count_message(session);
    else
        session_fault(session, "no memory for a message");
}

/* To the worker of the one who has the nick. False without memory. */
static bool tell_there(struct session *session, uint32_t worker,
                       const struct request *message)
{
    struct chat *chat = session->chat;
    struct letter *letter = request_begin_text(
        chat, worker, LETTER_PRIVATE, message->text, message->content_type);

    if (!letter)
        return false;
    letter->private.session = session;
    letter->private.from = letter_nick_of(session_nick(session));
    letter->private.to = letter_nick_of(message->name);
    letter->private.command = message->kind == REQUEST_COMMAND;
    session_park(session);
    request_send(chat, worker);
    return true;
}

static void tell_here(struct session *session, const struct request *message)
{
    struct session *receiver = nick_session(session->chat, message->name);
    enum error_code outcome = ERROR_NO_SUCH_NICK;

    if (receiver)
        outcome = session_tell_private(receiver, session_nick(session),
                                       message->text, message->content_type);
    reply_told(session, receiver ? session_nick(receiver) : message->name,
               outcome, message->kind == REQUEST_COMMAND);
}

void reply_told(struct session *session, struct slice nick,
                enum error_code outcome, bool command)
{
    struct builder sent = {0};

    if (outcome != ERROR_NONE) {
        session_refuse(session, outcome, nick);
        return;
    }
    count_message(session);
    if (!command) {
        session_acknowledge(session, session->request_id, 0);
        return;
    }
    build_string(&sent, "sent to ");
    build_slice(&sent, nick);
    reply_built(session, &sent);
}

static void post_to_nick(struct session *session, const struct request *message)
{
    uint32_t worker;

    if (!nick_is_valid(message->name)) {
        refuse_nick(session);
        return;
    }
    worker = nick_worker(session->chat, message->name);
    if (worker == UINT32_MAX || worker == session->chat->worker)
        tell_here(session, message);
    else if (!tell_there(session, worker, message))
        session_fault(session, "no memory for a message");
}

void message_post(struct session *session, const struct request *message)
{
    const struct membership *membership;

    if (message->target == TARGET_NICK) {
        post_to_nick(session, message);
        return;
    }
    membership = message->target == TARGET_CURRENT
                     ? current_or_refuse(session)
                     : member_or_refuse(session, message->name);
    if (membership)
        post_to_room(session, membership->room, message);
}

static void run_msg(struct session *session, const struct arguments *arguments)
{
    post_to_nick(session, &(struct request){
                              .kind = REQUEST_COMMAND,
                              .target = TARGET_NICK,
                              .name = arguments->name,
                              .text = arguments->text,
                          });
}

bool session_fence(struct session *session)
{
    struct chat *chat = session->chat;
    struct errand *errand = budget_alloc(chat->budget, sizeof(*errand));

    if (!errand)
        return false;
    *errand = (struct errand){.session = session};
    for (uint32_t to = 0; to < chat->shards->count; to++) {
        if (to == chat->worker)
            continue;
        request_begin(chat, to, LETTER_FENCE)->errand = errand;
        request_send(chat, to);
        errand->awaited++;
    }
    session->posting = false;
    session_park(session);
    return true;
}

/* ---- Asking the server -------------------------------------------------- */

/* The last one is offered in any case. */
static void run_help(struct session *session, const struct arguments *arguments)
{
    size_t count;
    const struct command *all = commands(&count);

    (void)arguments;
    for (size_t i = 0; i < count; i++) {
        struct builder line = {0};

        if (!is_offered(session, &all[i]))
            continue;
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

static void fault_of_listing(struct session *session)
{
    session_fault(session, "no memory for a list");
}

static void run_metrics(struct session *session,
                        const struct arguments *arguments)
{
    (void)arguments;
    if (!listing_metrics(session))
        fault_of_listing(session);
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

static void tell_nick_there(struct errand *errand, const struct room *room,
                            struct slice from)
{
    struct chat *chat = errand->session->chat;
    uint32_t owner = room_owner(chat, room_name(room));
    struct letter *letter = request_begin(chat, owner, LETTER_RENAME);

    letter->rename.errand = errand;
    letter->rename.room = room->home;
    letter->rename.from = letter_nick_of(from);
    letter->rename.to = letter_nick_of(session_nick(errand->session));
    errand->awaited++;
    request_send(chat, owner);
}

/* Its rooms are told that it was called otherwise; those of other workers
 * answer. */
static void tell_renamed(struct errand *errand, struct slice from)
{
    struct session *session = errand->session;

    for (struct membership *m = session->memberships; m; m = m->sibling) {
        if (m->leaving)
            continue;
        if (m->room->remote)
            tell_nick_there(errand, m->room, from);
        else
            room_tell_nick(session->chat, m->room, from, session_nick(session));
    }
}

/* An application's is nobody else's. */
static bool is_application(const struct session *session, struct slice nick)
{
    const struct application *application = session->chat->config.application;

    return application && name_equals(nick, application->name);
}

bool nick_or_refuse(struct session *session, struct slice nick)
{
    if (!nick_is_valid(nick) || nick_is_given(nick)) {
        refuse_nick(session);
        return false;
    }
    if (is_application(session, nick) || !nick_take(session, nick)) {
        session_refuse(session, ERROR_NICK_IN_USE, nick);
        return false;
    }
    return true;
}

void reply_renamed(struct session *session)
{
    struct builder line = {0};

    build_string(&line, "you are now ");
    build_slice(&line, session_nick(session));
    reply_built(session, &line);
}

/* Answers when all its rooms have been told. False without memory, with nothing
 * changed. */
static bool rename_session(struct session *session, struct slice nick)
{
    struct letter_nick before = letter_nick_of(session_nick(session));
    struct chat *chat = session->chat;
    struct errand *errand = budget_alloc(chat->budget, sizeof(*errand));

    if (!errand)
        return false;
    *errand = (struct errand){.session = session};
    if (nick_or_refuse(session, nick)) {
        tell_renamed(errand, letter_nick_slice(&before));
        if (errand->awaited > 0) {
            session_park(session);
            return true;
        }
        reply_renamed(session);
    }
    budget_free(chat->budget, errand, sizeof(*errand));
    return true;
}

static void run_nick(struct session *session, const struct arguments *arguments)
{
    if (slice_equals(arguments->name, session_nick(session)) &&
        !nick_is_given(arguments->name))
        reply_renamed(session);
    else if (!rename_session(session, arguments->name))
        session_fault(session, "no memory for a nick");
}

void build_members(struct builder *line, uint32_t members)
{
    build_number(line, members);
    build_string(line, " members");
}

void reply_joined(struct session *session, struct slice room, uint32_t members)
{
    struct builder line = {0};

    build_string(&line, "joined ");
    build_slice(&line, room);
    build_string(&line, " (");
    build_members(&line, members);
    build_string(&line, ")");
    reply_built(session, &line);
}

/* It is in the room already, which is its current one from now on. How many
 * there are, the owner knows. */
static void join_again(struct session *session, struct membership *membership)
{
    struct chat *chat = session->chat;
    struct room *room = membership->room;
    uint32_t owner = room_owner(chat, room_name(room));
    struct letter *letter;

    membership_select(membership);
    if (!room->remote) {
        reply_joined(session, room_name(room), room->members);
        return;
    }
    letter = request_begin(chat, owner, LETTER_COUNT);
    letter->count.session = session;
    letter->count.room = room->home;
    session_park(session);
    request_send(chat, owner);
}

static void run_join(struct session *session, const struct arguments *arguments)
{
    struct slice name = room_name_plain(arguments->name);
    struct membership *membership;

    if (!room_name_or_refuse(session, name))
        return;
    membership = session_membership(session, name);
    if (membership) {
        join_again(session, membership);
        return;
    }
    if (session->room_count == ROOMS_PER_SESSION_MAX) {
        session_refuse(session, ERROR_TOO_MANY_ROOMS,
                       SLICE("at most 16: /leave one first"));
        return;
    }
    if (!room_join(session, name))
        session_fault(session, "no memory for a membership");
}

void reply_left(struct session *session, struct slice room)
{
    struct builder line = {0};

    build_string(&line, "left ");
    build_slice(&line, room);
    reply_built(session, &line);
}

static void run_leave(struct session *session,
                      const struct arguments *arguments)
{
    struct membership *membership = named_or_refuse(session, arguments->name);
    struct letter_name name;

    if (!membership)
        return;
    if (membership->room->remote) {
        membership->told = true;
        session_park(session);
        room_leave(membership);
        return;
    }
    name = letter_name_of(room_name(membership->room));
    room_leave(membership);
    reply_left(session, letter_name_slice(&name));
}

static void run_rooms(struct session *session,
                      const struct arguments *arguments)
{
    (void)arguments;
    if (!listing_rooms(session))
        fault_of_listing(session);
}

static void run_who(struct session *session, const struct arguments *arguments)
{
    const struct membership *own = named_or_refuse(session, arguments->name);

    if (own && !listing_members(session, own->room))
        fault_of_listing(session);
}

void reply_topic(struct session *session, struct slice room, struct slice topic)
{
    session_tell(session, &(struct event){
                              .kind = EVENT_TOPIC_REPLY,
                              .id = session->request_id,
                              .room = room,
                              .text = topic,
                          });
}

/* Asks the owner of the room. False without memory. */
static bool topic_there(struct session *session, const struct room *room,
                        struct slice topic)
{
    struct chat *chat = session->chat;
    uint32_t owner = room_owner(chat, room_name(room));
    struct letter *letter =
        request_begin_text(chat, owner, LETTER_TOPIC, topic, SLICE(""));

    if (!letter)
        return false;
    letter->topic.session = session;
    letter->topic.room = room->home;
    letter->topic.nick = letter_nick_of(session_nick(session));
    session_park(session);
    request_send(chat, owner);
    return true;
}

static bool topic_here(struct session *session, struct room *room,
                       struct slice topic)
{
    if (!room_set_topic(session->chat, room, session_nick(session), topic))
        return false;
    reply_topic(session, room_name(room), room_topic(room));
    return true;
}

static void run_topic(struct session *session,
                      const struct arguments *arguments)
{
    const struct membership *current = current_or_refuse(session);
    struct slice topic = arguments->text;
    bool done;

    if (!current)
        return;
    done = current->room->remote ? topic_there(session, current->room, topic)
                                 : topic_here(session, current->room, topic);
    if (!done)
        session_fault(session, "no memory for a topic");
}

/* ---- The table ---------------------------------------------------------- */

static const struct command table[] = {
    {"help", ALWAYS, FORM_NOTHING, "/help", "list the commands", run_help},
    {"time", ALWAYS, FORM_NOTHING, "/time", "the server's time", run_time},
    {"ping", ALWAYS, FORM_NOTHING, "/ping", "the round-trip time to you",
     run_ping},
    {"echo", ALWAYS, FORM_TEXT, "/echo TEXT", "get TEXT back", run_echo},
    {"nick", ALWAYS, FORM_NAME, "/nick NAME", "take another nick", run_nick},
    {"join", WITH_ROOMS, FORM_NAME, "/join ROOM", "join a room and talk there",
     run_join},
    {"leave", WITH_ROOMS, FORM_OPTIONAL_NAME, "/leave [ROOM]",
     "leave this room or another", run_leave},
    {"rooms", WITH_ROOMS, FORM_NOTHING, "/rooms", "list the rooms", run_rooms},
    {"who", WITH_ROOMS, FORM_OPTIONAL_NAME, "/who [ROOM]",
     "list who is in this room or another", run_who},
    {"msg", WITH_ROOMS, FORM_NAME_TEXT, "/msg NICK TEXT",
     "say something to one person", run_msg},
    {"topic", WITH_ROOMS, FORM_OPTIONAL_TEXT, "/topic [TEXT]",
     "show the room's topic or set it", run_topic},
    {"metrics", ALWAYS, FORM_NOTHING, "/metrics",
     "figures of the server and of your connection", run_metrics},
    {"throughput", ALWAYS, FORM_NOTHING, "/throughput",
     "bytes and messages a second of your connection", run_throughput},
    {"quit", ALWAYS, FORM_NOTHING, "/quit", "leave the chat", run_quit},
};

static const struct command *commands(size_t *count)
{
    *count = sizeof(table) / sizeof(table[0]);
    return table;
}

static bool is_offered(const struct session *session,
                       const struct command *command)
{
    return command->scope == ALWAYS || !session->chat->config.application;
}

static const struct command *command_find(const struct session *session,
                                          struct slice word)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (slice_equals(word, slice_of(table[i].word)) &&
            is_offered(session, &table[i]))
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

/* An application knows commands of its own. */
static void unknown_command(struct session *session, struct slice line)
{
    struct request request = {.kind = REQUEST_COMMAND, .text = line};

    request.id = session->request_id;
    if (session->chat->config.application)
        application_message(session, &request);
    else
        session_refuse(session, ERROR_UNKNOWN_COMMAND,
                       SLICE("/help lists the commands"));
}

void command_run(struct session *session, struct slice line)
{
    struct slice rest = line;
    struct slice word = take_token(&rest);
    const struct command *command = command_find(session, word);
    struct arguments arguments;

    if (!command) {
        unknown_command(session, line);
        return;
    }
    if (!take_arguments(command->form, rest, &arguments)) {
        session_refuse(session, ERROR_USAGE, slice_of(command->usage));
        return;
    }
    command->run(session, &arguments);
}

/*
 * The application of support_chat_application.h.
 */
#include "tests/unit/support_chat_application.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct visitor visitors[VISITORS_MAX];
unsigned visitor_count;
bool doors_are_shut;

struct request last;
char last_name[64], last_text[256];

/* ---- The application ----------------------------------------------------- */

int desk_say(struct session *session, enum event_kind kind, const char *text)
{
    struct event event = {.kind = kind, .text = slice_of(text)};

    return application_say(session, &event);
}

static bool on_open(struct session *session, void *user)
{
    struct visitor *visitor = &visitors[visitor_count];

    assert_ptr_equal(user, visitors);
    assert_null(application_data(session));
    if (doors_are_shut) {
        desk_say(session, EVENT_MESSAGE, "closed today");
        return false;
    }
    assert_true(visitor_count++ < VISITORS_MAX);
    *visitor = (struct visitor){.session = session, .opened = 1};
    application_set_data(session, visitor);
    return true;
}

void remember(const struct request *request)
{
    last = *request;
    (void)snprintf(last_name, sizeof(last_name), "%.*s",
                   (int)request->name.length, request->name.bytes);
    (void)snprintf(last_text, sizeof(last_text), "%.*s",
                   (int)request->text.length, request->text.bytes);
}

/* To all whom the worker of `from` has. */
static void say_to_all(const struct session *from, const char *text)
{
    for (unsigned i = 0; i < visitor_count; i++) {
        struct session *to = visitors[i].session;

        if (to && application_worker(to) == application_worker(from))
            visitors[i].result = desk_say(to, EVENT_MESSAGE, text);
    }
}

static void end_others(const struct session *but)
{
    for (unsigned i = 0; i < visitor_count; i++) {
        struct session *other = visitors[i].session;

        if (other && other != but &&
            application_worker(other) == application_worker(but))
            application_end(other);
    }
}

int desk_reply(struct session *session, const char *text, bool more)
{
    return application_reply(session, slice_of(text), more);
}

int desk_refuse(struct session *session, enum error_code code)
{
    return application_refuse(session, code, SLICE("not today"));
}

bool is_said(const char *text)
{
    return strcmp(last_text, text) == 0;
}

static int act(struct session *session)
{
    if (is_said("tell"))
        return desk_say(session, EVENT_PRIVATE, "psst");
    if (is_said("one"))
        return desk_reply(session, "one", false);
    if (is_said("two"))
        return desk_reply(session, "one", true) +
               desk_reply(session, "two", false);
    if (is_said("part"))
        return desk_reply(session, "one", true);
    if (is_said("three"))
        return desk_reply(session, "one", false) +
               desk_reply(session, "two", false);
    if (is_said("no"))
        return desk_refuse(session, ERROR_UNAVAILABLE);
    if (is_said("part and no"))
        return desk_reply(session, "one", true) +
               desk_refuse(session, ERROR_USAGE);
    if (is_said("no, no"))
        return desk_refuse(session, ERROR_USAGE) +
               desk_refuse(session, ERROR_USAGE);
    if (is_said("lagged"))
        return desk_refuse(session, ERROR_LAGGED);
    if (is_said("end"))
        application_end(session);
    if (is_said("one and end")) {
        (void)desk_reply(session, "one", false);
        application_end(session);
        return desk_reply(session, "two", false);
    }
    if (is_said("end others"))
        end_others(session);
    if (strncmp(last_text, "say ", 4) == 0)
        say_to_all(session, last_text + 4);
    return 0;
}

static void on_message(struct session *session, const struct request *request,
                       void *user)
{
    struct visitor *visitor = application_data(session);

    assert_ptr_equal(user, visitors);
    assert_ptr_equal(visitor->session, session);
    visitor->heard++;
    remember(request);
    visitor->result = act(session);
}

static void on_close(struct session *session, enum departure departure,
                     enum error_code code, void *user)
{
    struct visitor *visitor = application_data(session);

    assert_ptr_equal(user, visitors);
    assert_ptr_equal(visitor->session, session);
    assert_int_equal(desk_say(session, EVENT_MESSAGE, "too late"), -EPIPE);
    assert_int_equal(desk_reply(session, "too late", false), -EPIPE);
    assert_int_equal(desk_refuse(session, ERROR_USAGE), -EPIPE);
    application_end(session);
    visitor->session = NULL;
    visitor->closed++;
    visitor->departure = departure;
    visitor->code = code;
    say_to_all(session, "one less");
}

const struct application desk = {
    .open = on_open,
    .message = on_message,
    .close = on_close,
    .user = visitors,
    .name = {"desk", 4},
};

/* ---- Starting and ending ------------------------------------------------- */

struct chat_config desk_config(void)
{
    struct chat_config config = engine_config();

    config.application = &desk;
    config.heartbeat_ns = config.idle_timeout_ns = 0;
    return config;
}

void desk_begin(void)
{
    memset(visitors, 0, sizeof(visitors));
    visitor_count = 0;
    doors_are_shut = false;
}

void desk_start(const struct chat_config *config)
{
    desk_begin();
    engine_start(config);
    assert_non_null(engine.chat);
}

void desk_start_default(void)
{
    struct chat_config config = desk_config();

    desk_start(&config);
}

/* Each that was let in is gone, once. */
void desk_stop(void)
{
    engine_stop();
    for (unsigned i = 0; i < visitor_count; i++)
        assert_int_equal(visitors[i].closed, 1);
}

struct visitor *visitor_of(const struct client *client)
{
    return application_data(client->session);
}

void expect_gone(const struct visitor *visitor, enum departure departure,
                 enum error_code code)
{
    assert_int_equal(visitor->opened, 1);
    assert_int_equal(visitor->closed, 1);
    assert_int_equal(visitor->departure, departure);
    assert_int_equal(visitor->code, code);
}

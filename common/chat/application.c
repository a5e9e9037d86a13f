/*
 * An application in the place of rooms (application.h): who is let in, what is
 * said either way, and that nobody waits for an answer in vain.
 *
 * What a request is owed, in `asked` of its session, from before the call of
 * the application's function to its return:
 *
 *     ASKED_NOTHING <-------------------------------------------+
 *      |             |                                          |
 *      |  a message  |  a command                               |
 *      v             v                                          |
 *     ASKED_MESSAGE  ASKED_COMMAND --> ASKED_MORE               |
 *      |                |  application_reply |  the last one    |
 *      +----------------+--------------------+------------------+
 *         application_refuse, or answer_rest when it returns
 */
#include "common/chat/application.h"

#include "common/chat/internal.h"
#include "common/wire/clean.h"
#include "common/wire/internal.h"
#include "common/wire/name.h"

#include <errno.h>

static const struct application *application_of(const struct session *session)
{
    return session->chat->config.application;
}

/* ---- In, and out --------------------------------------------------------- */

void application_enter(struct session *session)
{
    const struct application *application = application_of(session);

    if (!session_listens(session)) /* no memory for the welcome */
        return;
    session->visit.inside = true;
    if (application->open(session, application->user))
        return;
    session->visit.inside = false;
    application_end(session);
}

static enum departure departure_of(const struct session *session)
{
    switch (session->ending) {
    case ENDING_EOF:
        return DEPARTURE_END;
    case ENDING_QUIT:
    case ENDING_DISCONNECT:
        return session->visit.closed ? DEPARTURE_CLOSED : DEPARTURE_QUIT;
    case ENDING_ERROR:
        return DEPARTURE_ERROR;
    case ENDING_NO_MEMORY:
        return DEPARTURE_MEMORY;
    case ENDING_NONE:
        break;
    }
    return DEPARTURE_RESET;
}

void application_leave(struct session *session)
{
    const struct application *application = application_of(session);
    enum departure departure = departure_of(session);
    enum error_code code =
        departure == DEPARTURE_ERROR ? session->error : ERROR_NONE;

    if (!session->visit.inside)
        return;
    session->visit.inside = false;
    application->close(session, departure, code, application->user);
}

/* ---- What it says -------------------------------------------------------- */

/* There is no other room, and whether there is such a nick the application
 * knows. ERROR_NONE if it can be addressed so. */
static enum error_code check_address(const struct session *session,
                                     const struct request *request)
{
    struct slice room = room_name_plain(request->name);

    switch (request->target) {
    case TARGET_CURRENT:
        return ERROR_NONE;
    case TARGET_ROOM:
        if (!room_name_is_valid(room))
            return ERROR_BAD_NAME;
        return name_equals(room, application_of(session)->name)
                   ? ERROR_NONE
                   : ERROR_NO_SUCH_ROOM;
    case TARGET_NICK:
        break;
    }
    return nick_is_valid(request->name) ? ERROR_NONE : ERROR_BAD_NAME;
}

/* The application's function has returned. Who ends with `bye` has that as the
 * answer to a command, and who ends with an error has that. */
static void answer_rest(struct session *session)
{
    enum asked asked = session->visit.asked;

    session->visit.asked = ASKED_NOTHING;
    if (asked == ASKED_MESSAGE)
        session_acknowledge(session, session->request_id, session->visit.seq);
    if (!session_listens(session))
        return;
    if (asked == ASKED_COMMAND)
        session_refuse(session, ERROR_UNKNOWN_COMMAND, SLICE(""));
    if (asked == ASKED_MORE)
        session_reply(session, SLICE(""));
}

void application_message(struct session *session, const struct request *request)
{
    const struct application *application = application_of(session);
    bool is_message = request->kind == REQUEST_MESSAGE;
    enum error_code wrong = check_address(session, request);

    if (wrong != ERROR_NONE) {
        session_refuse(session, wrong, SLICE(""));
        return;
    }
    if (is_message)
        meter_add(session, (struct traffic){.messages = 1});
    session->visit.asked = is_message ? ASKED_MESSAGE : ASKED_COMMAND;
    application->message(session, request, application->user);
    answer_rest(session);
}

/* ---- What it is told ----------------------------------------------------- */

/* These return 0 or -errno. */
static int check_length(const struct session *session, struct slice text)
{
    return text.length > session->chat->config.wire.message_bytes_max
               ? -EMSGSIZE
               : 0;
}

static int check_text(const struct session *session, struct slice text)
{
    return text_is_clean(text.bytes, text.length) ? check_length(session, text)
                                                  : -EINVAL;
}

static int check_unread(const struct session *session)
{
    return session_unread(session) > PRIVATE_UNREAD_MAX ? -EAGAIN : 0;
}

static int check_content(const struct session *session,
                         const struct event *said)
{
    bool is_text = content_is_text(said->content_type);

    if (said->text.length == 0 || !content_type_is_valid(said->content_type))
        return -EINVAL;
    if (is_text && !text_is_clean(said->text.bytes, said->text.length))
        return -EINVAL;
    return check_length(session, said->text);
}

/* What was said has abandoned the session, if there was no memory for it. */
static int told(const struct session *session)
{
    return session->state == SESSION_ENDED ? -ENOMEM : 0;
}

int application_say(struct session *session, const struct event *said)
{
    struct event event = *said;
    int error = check_content(session, said);

    event.room = application_of(session)->name;
    if (event.nick.length == 0)
        event.nick = event.room;
    if (error == 0 && !nick_is_valid(event.nick))
        error = -EINVAL;
    if (error == 0)
        error = session_listens(session) ? check_unread(session) : -EPIPE;
    if (error != 0)
        return error;
    if (event.kind == EVENT_MESSAGE)
        event.seq = ++session->visit.seq;
    event.time_us = session->chat->wall_us;
    session->chat->metrics.deliveries++;
    session_tell(session, &event);
    return told(session);
}

int application_reply(struct session *session, struct slice text, bool more)
{
    struct visit *visit = &session->visit;
    int error = check_text(session, text);

    if (error != 0)
        return error;
    if (!session_listens(session))
        return -EPIPE;
    if (visit->asked != ASKED_COMMAND && visit->asked != ASKED_MORE)
        return -EINVAL;
    error = check_unread(session);
    if (error != 0)
        return error;
    visit->asked = more ? ASKED_MORE : ASKED_NOTHING;
    if (more)
        session_reply_more(session, text);
    else
        session_reply(session, text);
    return told(session);
}

int application_refuse(struct session *session, enum error_code code,
                       struct slice detail)
{
    int error = check_text(session, detail);

    if (error != 0)
        return error;
    if (!session_listens(session))
        return -EPIPE;
    if (session->visit.asked == ASKED_NOTHING)
        return -EINVAL;
    session->visit.asked = ASKED_NOTHING;
    if (error_closes(code))
        session_fail(session, code);
    else
        session_refuse(session, code, detail);
    return told(session);
}

/* A binary peer that is owed no reply has nothing that `bye` could answer. */
void application_end(struct session *session)
{
    enum asked asked = session->visit.asked;
    bool is_owed = asked == ASKED_COMMAND || asked == ASKED_MORE;

    if (!session_listens(session))
        return;
    session->visit.closed = true;
    session_end(session,
                session->binary && !is_owed ? ENDING_DISCONNECT : ENDING_QUIT);
}

/* ---- What it knows of a session ------------------------------------------ */

void *application_data(const struct session *session)
{
    return session->visit.data;
}

void application_set_data(struct session *session, void *data)
{
    session->visit.data = data;
}

struct slice application_nick(const struct session *session)
{
    return session_nick(session);
}

enum dialect application_dialect(const struct session *session)
{
    return session->decoder.dialect;
}

uint32_t application_worker(const struct session *session)
{
    return session->chat->worker;
}

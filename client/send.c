/*
 * Sending lines (send.h).
 *
 *     source --line--> said --done--> confirmed
 *                        |
 *                        +----------> refused, or nobody knows: it is over
 *
 * At most a window of lines are said and not confirmed; with a window of one,
 * what has failed is followed by nothing. When it is over, no more lines are
 * said, those on their way are waited for, and then it is left.
 */
#include "client/send.h"

#include "client/complain.h"
#include "client/ending.h"
#include "client/open.h"
#include "client/progress.h"
#include "client/signals.h"
#include "client/source.h"
#include "client/tame.h"
#include "client/wait.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sysexits.h>
#include <unistd.h>

#define NS_PER_MS UINT64_C(1000000)
#define PROGRESS_NS (100 * NS_PER_MS)
#define COLUMNS_DEFAULT 80

/* A line that was said, and of which nothing has been heard. */
struct flight {
    uint64_t ticket, number;
};

struct sending {
    const struct options *options;
    struct ringchat_client *client;
    struct source source;
    /* The line that comes next, if there is one. */
    bool taken;
    struct slice line;

    struct flight
        flights[WINDOW_MAX]; /* in the order in which they were said */
    size_t flight_count;
    uint64_t deadline_ns; /* for the next of them to be confirmed */
    uint64_t confirmed, skipped;
    uint64_t confirmed_last;          /* their greatest number */
    uint64_t missing;                 /* first line not confirmed; 0: none */
    uint64_t doubtful, doubtful_last; /* nobody knows of these; 0: none */

    bool opened;  /* it has been OPEN */
    bool leaving; /* nothing more is said */
    bool over;    /* nothing more is waited for */
    int status;   /* of what ended it; 0: nothing has */

    bool shows, shown; /* progress */
    uint64_t opened_ns, progress_ns;
};

/* ---- What people are told ----------------------------------------------- */

static const char *name_of(const struct sending *sending)
{
    return sending->source.name ? sending->source.name : "standard input";
}

static struct progress progress_of(const struct sending *sending)
{
    const struct source *source = &sending->source;
    struct progress progress = {
        .confirmed = sending->confirmed,
        .skipped = sending->skipped,
        .bytes_read = source->bytes_read - source->unread.length,
        .bytes_size = source->size,
    };

    if (source->name)
        progress.name = slice_of(source->name);
    if (sending->opened)
        progress.elapsed_ms = (now_ns() - sending->opened_ns) / NS_PER_MS;
    return progress;
}

static unsigned columns_of_terminal(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return COLUMNS_DEFAULT;
    return size.ws_col;
}

/* Over what was shown before; not into the last column, where some terminals
 * begin another row. */
static void show_progress(struct sending *sending)
{
    struct progress progress = progress_of(sending);
    struct builder said = {.length = 0};

    progress_say(&progress, columns_of_terminal() - 1, &said);
    fprintf(stderr, "\r%.*s\033[K", (int)said.length, said.bytes);
    sending->shown = true;
    sending->progress_ns = now_ns() + PROGRESS_NS;
}

static void erase_progress(struct sending *sending)
{
    if (sending->shown)
        fputs("\r\033[K", stderr);
    sending->shown = false;
}

static void sum_up(struct sending *sending)
{
    struct progress progress = progress_of(sending);
    struct builder said = {.length = 0};

    if (sending->options->quiet || !(sending->shows || sending->skipped > 0))
        return;
    progress_sum_up(&progress, &said);
    fprintf(stderr, "%.*s\n", (int)said.length, said.bytes);
}

/* ---- How it ends -------------------------------------------------------- */

/* The first reason is what counts. */
static void stop(struct sending *sending, int status)
{
    if (sending->status == 0)
        sending->status = status;
    sending->leaving = true;
}

/* Line `number` has not been confirmed. */
static void miss(struct sending *sending, uint64_t number)
{
    if (sending->missing == 0 || number < sending->missing)
        sending->missing = number;
}

static void refuse(struct sending *sending, uint64_t number, const char *why)
{
    erase_progress(sending);
    complain("%s:%" PRIu64 ": %s", name_of(sending), number, why);
    miss(sending, number);
    stop(sending, EX_DATAERR);
}

/* It was sent, and nobody knows more. */
static void doubt(struct sending *sending, uint64_t number)
{
    if (sending->doubtful == 0)
        sending->doubtful = number;
    sending->doubtful_last = number;
    miss(sending, number);
}

static void fail(struct sending *sending, int error)
{
    erase_progress(sending);
    complain("%s", strerrordesc_np(-error));
    stop(sending, EX_OSERR);
    sending->over = true;
}

/* Whoever goes on has to begin there, and has to know from where. */
static void tell_rest(const struct sending *sending)
{
    const char *name = name_of(sending);

    if (sending->doubtful > 0 && sending->doubtful == sending->doubtful_last)
        complain("%s:%" PRIu64 ": sent, not confirmed: it may have arrived",
                 name, sending->doubtful);
    else if (sending->doubtful > 0)
        complain("%s:%" PRIu64 ": sent, not confirmed, as are others up to "
                 "line %" PRIu64 ": they may have arrived",
                 name, sending->doubtful, sending->doubtful_last);
    if (sending->confirmed_last > sending->missing)
        complain("lines up to %" PRIu64 " behind it have arrived",
                 sending->confirmed_last);
    else if (sending->source.name)
        complain("all before has arrived; to go on: tail -n +%" PRIu64
                 " %s | ringchat ...",
                 sending->missing, name);
    else
        complain("%" PRIu64 " %s arrived", sending->confirmed,
                 sending->confirmed == 1 ? "line has" : "lines have");
}

static int finish(struct sending *sending)
{
    erase_progress(sending);
    for (size_t i = 0; i < sending->flight_count; i++)
        doubt(sending, sending->flights[i].number);
    if (sending->status == 0) {
        sum_up(sending);
        return 0;
    }
    miss(sending, sending->source.lines.number + !sending->taken);
    if (sending->confirmed > 0 || sending->doubtful > 0)
        tell_rest(sending);
    return sending->status;
}

/* ---- Saying ------------------------------------------------------------- */

/* False: there is none now. */
static bool take_line(struct sending *sending)
{
    enum line_fault fault;

    while (!sending->taken && !sending->leaving &&
           source_next(&sending->source, &sending->line, &fault)) {
        uint64_t number = sending->source.lines.number;

        if (fault == LINE_EMPTY)
            sending->skipped++;
        else if (fault == LINE_NOT_TEXT)
            refuse(sending, number, "no text: control characters, or no UTF-8");
        else if (fault == LINE_TOO_LONG)
            refuse(sending, number, "too long");
        else
            sending->taken = true;
    }
    return sending->taken && !sending->leaving;
}

/* Each confirmation gives the others as long again: it may be that the server
 * takes only so many at a time. */
static void wait_anew(struct sending *sending)
{
    sending->deadline_ns = now_ns() + sending->options->timeout_ms * NS_PER_MS;
}

static void depart(struct sending *sending, uint64_t ticket)
{
    struct flight *flight = &sending->flights[sending->flight_count++];

    flight->ticket = ticket;
    flight->number = sending->source.lines.number;
    sending->taken = false;
    if (sending->flight_count == 1)
        wait_anew(sending);
}

/* False: no more at the moment. */
static bool say_line(struct sending *sending)
{
    const struct options *options = sending->options;
    const char *room = options->room_count > 0 ? options->rooms[0] : NULL;
    uint64_t ticket = 0;
    int error = ringchat_client_say(sending->client, room, sending->line.bytes,
                                    sending->line.length, &ticket);

    switch (error) {
    case 0:
        depart(sending, ticket);
        return true;
    case -EAGAIN:    /* until there is room in the queue */
    case -ESHUTDOWN: /* `changed` will be told why */
        return false;
    case -EMSGSIZE:
        refuse(sending, sending->source.lines.number,
               "longer than the server takes");
        return false;
    default:
        fail(sending, error);
        return false;
    }
}

static void say_lines(struct sending *sending)
{
    while (sending->flight_count < sending->options->window &&
           take_line(sending) && say_line(sending))
        continue;
    if (sending->source.ended && !sending->taken &&
        sending->source.unread.length == 0)
        sending->leaving = true;
    if (sending->leaving && sending->flight_count == 0)
        ringchat_client_close(sending->client);
}

/* ---- What happens ------------------------------------------------------- */

/* Which line it was; it has landed. 0: none of ours. */
static uint64_t land(struct sending *sending, uint64_t ticket)
{
    for (size_t i = 0; i < sending->flight_count; i++) {
        struct flight *flight = &sending->flights[i];
        uint64_t number = flight->number;

        if (flight->ticket != ticket)
            continue;
        sending->flight_count--;
        memmove(flight, flight + 1,
                (sending->flight_count - i) * sizeof(*flight));
        return number;
    }
    return 0;
}

static void tell_refusal(struct sending *sending, uint64_t number,
                         const struct ringchat_result *result)
{
    struct ending refusal = {.code = result->code, .detail = result->detail};
    struct builder said = {.length = 0};
    char why[sizeof(said.bytes) + 1];

    ending_say(&refusal, &said);
    memcpy(why, said.bytes, said.length);
    why[said.length] = '\0';
    refuse(sending, number, why);
}

static void on_done(struct ringchat_client *client,
                    const struct ringchat_result *result, void *user)
{
    struct sending *sending = user;
    uint64_t number = land(sending, result->ticket);

    (void)client;
    assert(number > 0);
    wait_anew(sending);
    if (result->error == 0) {
        sending->confirmed++;
        if (number > sending->confirmed_last)
            sending->confirmed_last = number;
    } else if (result->error == -EPROTO) {
        tell_refusal(sending, number, result);
    } else if (result->error == -ECANCELED) {
        miss(sending, number);
    } else {
        doubt(sending, number);
    }
}

/* Who is not who or where it should be must not speak. */
static void on_open(struct sending *sending)
{
    int status = client_check(sending->options, sending->client);

    sending->opened = true;
    sending->opened_ns = now_ns();
    if (status != 0)
        stop(sending, status);
}

/* It is left, or lost. */
static void on_closed(struct sending *sending,
                      const struct ringchat_change *change)
{
    struct ending ending = {.code = change->code,
                            .error = change->error,
                            .detail = change->detail,
                            .opened = sending->opened};
    struct builder said = {.length = 0};

    sending->over = true;
    if (sending->leaving && sending->flight_count == 0 &&
        (sending->status != 0 || sending->missing == 0))
        return;
    erase_progress(sending);
    ending_say(&ending, &said);
    complain("%s: %.*s", sending->options->url, (int)said.length, said.bytes);
    stop(sending, ending_status(&ending));
    stop(sending, EX_TEMPFAIL); /* whatever the server says: not all arrived */
}

static void on_changed(struct ringchat_client *client,
                       const struct ringchat_change *change, void *user)
{
    struct sending *sending = user;

    (void)client;
    if (change->to == RINGCHAT_OPEN)
        on_open(sending);
    else if (change->to == RINGCHAT_CLOSED)
        on_closed(sending, change);
}

static void on_fault(struct ringchat_client *client,
                     const struct ringchat_message *message, void *user)
{
    struct sending *sending = user;
    struct ending fault = {.code = message->code, .detail = message->text};
    struct builder said = {.length = 0};

    (void)client;
    if (message->code == RINGCHAT_ERROR_NICK_IN_USE)
        return; /* on_open will say so */
    erase_progress(sending);
    ending_say(&fault, &said);
    complain("%.*s", (int)said.length, said.bytes);
}

/* ---- The loop ----------------------------------------------------------- */

static uint64_t deadline_of(const struct sending *sending)
{
    uint64_t deadline = UINT64_MAX;

    if (sending->flight_count > 0)
        deadline = sending->deadline_ns;
    if (sending->shows && sending->opened && sending->progress_ns < deadline)
        deadline = sending->progress_ns;
    return deadline;
}

/* Whether there is something to be done about the time. */
static void mind_time(struct sending *sending)
{
    uint64_t now = now_ns();

    if (sending->flight_count > 0 && sending->deadline_ns <= now) {
        erase_progress(sending);
        complain("%s: no confirmation in %" PRIu32 " ms", sending->options->url,
                 sending->options->timeout_ms);
        stop(sending, EX_TEMPFAIL);
        sending->over = true;
    } else if (sending->shows && sending->opened &&
               sending->progress_ns <= now) {
        show_progress(sending);
    }
}

static void mind_signals(struct sending *sending)
{
    int number = signals_take();

    if (number == 0)
        return;
    erase_progress(sending);
    complain("%s", sigdescr_np(number));
    stop(sending, signal_status(number));
    sending->over = true;
}

static void read_source(struct sending *sending)
{
    int error = source_read(&sending->source);

    if (error == 0)
        return;
    erase_progress(sending);
    complain("%s: %s", name_of(sending), strerrordesc_np(-error));
    stop(sending, EX_IOERR);
}

static void turn(struct sending *sending, int signals)
{
    bool reads = sending->opened && !sending->leaving && !sending->taken &&
                 source_is_dry(&sending->source);
    struct wait wait = {.client = sending->client,
                        .signals = signals,
                        .fd = reads ? sending->source.fd : -1,
                        .events = POLLIN,
                        .deadline_ns = deadline_of(sending)};
    struct waited waited;
    int error = wait_for(&wait, &waited);

    if (error != 0) {
        fail(sending, error);
        return;
    }
    if (waited.signalled)
        mind_signals(sending);
    if (waited.events != 0)
        read_source(sending);
    if (waited.client)
        ringchat_client_handle(sending->client);
    if (sending->opened && !sending->over)
        say_lines(sending);
    if (!sending->over)
        mind_time(sending);
}

static int send_all(struct sending *sending)
{
    int signals = signals_open(SIGNALS_SCRIPT, NULL);

    if (signals < 0) {
        complain("%s", strerrordesc_np(-signals));
        return EX_OSERR;
    }
    ringchat_client_start(sending->client);
    while (!sending->over)
        turn(sending, signals);
    signals_close();
    return finish(sending);
}

int send_run(const struct options *options)
{
    static const struct ringchat_client_callbacks callbacks = {
        RINGCHAT_SIZED(callbacks),
        .changed = on_changed,
        .done = on_done,
        .fault = on_fault,
    };
    struct sending *sending = calloc(1, sizeof(*sending));
    int status;

    if (!sending) {
        complain("%s", strerrordesc_np(ENOMEM));
        return EX_OSERR;
    }
    sending->options = options;
    sending->shows = !options->quiet && isatty(STDERR_FILENO);
    status = source_open(&sending->source, options->file);
    if (status == 0) {
        status = client_open(options, &callbacks, sending, &sending->client);
        if (status == 0)
            status = send_all(sending);
        ringchat_client_destroy(sending->client);
        source_close(&sending->source);
    }
    free(sending);
    return status;
}

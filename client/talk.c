/*
 * The loop of the program to talk with (talk.h): one thread, which waits in one
 * place for keys, signals, the network and the time of the next frame.
 *
 * A key is answered within one turn, for of the network at most 64 KiB are
 * taken in one; frames are FRAME_NS apart at least, but for keys.
 */
#include "client/talk.h"

#include "client/complain.h"
#include "client/open.h"
#include "client/signals.h"
#include "client/talk_internal.h"
#include "client/wait.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#define FRAME_NS (33 * NS_PER_MS)
/* How often the bar is looked at if nothing happens: while something counts
 * down, and else. */
#define TICK_NS (1000 * NS_PER_MS)
#define TICK_IDLE_NS (10 * TICK_NS)
#define LEAVE_NS (2000 * NS_PER_MS)

#define KEYS_BYTES 4096

void talk_end(struct talk *talk, int status)
{
    talk->over = true;
    talk->status = status;
}

void talk_leave(struct talk *talk, int status)
{
    if (talk->leave_ns != 0)
        return;
    talk->status = status;
    talk->leave_ns = now_ns() + LEAVE_NS;
    talk->dirty = true;
    ringchat_client_close(talk->client);
}

/* ---- What comes --------------------------------------------------------- */

static void take_signals(struct talk *talk)
{
    int number;

    while ((number = signals_take()) != 0) {
        switch (number) {
        case SIGINT:
        case SIGHUP:
            talk_end(talk, signal_status(number));
            break;
        case SIGTERM:
            talk_leave(talk, signal_status(number));
            break;
        case SIGTSTP:
            screen_suspend(talk->screen);
            break;
        case SIGWINCH:
            screen_resize(talk->screen);
            break;
        default:
            break;
        }
        talk->dirty = true;
    }
}

/* A terminal that is gone has nothing to read, again and again. */
static void take_keys(struct talk *talk, short events)
{
    unsigned char bytes[KEYS_BYTES];
    ssize_t count = screen_read(talk->screen, bytes, sizeof(bytes));

    if (count < 0 || (count == 0 && (events & (POLLHUP | POLLERR))))
        talk_end(talk, signal_status(SIGHUP));
    for (ssize_t i = 0; i < count && !talk->over; i++) {
        struct key key = keys_feed(&talk->keys, bytes[i]);

        talk_key(talk, &key);
    }
}

static void take_silence(struct talk *talk)
{
    struct key key = keys_idle(&talk->keys);

    talk_key(talk, &key);
}

/* ---- The loop ----------------------------------------------------------- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_deadline(const struct talk *talk, uint64_t keys_ns)
{
    bool counts = ringchat_client_state(talk->client) != RINGCHAT_OPEN ||
                  talk->posts.count > 0;
    uint64_t until = talk->frame_ns + (counts ? TICK_NS : TICK_IDLE_NS);

    if (talk->dirty)
        until = talk->frame_ns + FRAME_NS;
    if (keys_waits(&talk->keys))
        until = earlier(until, keys_ns + ESCAPE_MS * NS_PER_MS);
    if (talk->leave_ns != 0)
        until = earlier(until, talk->leave_ns);
    return until;
}

static void draw_if_due(struct talk *talk, bool typed)
{
    uint64_t now = now_ns();
    uint64_t due = talk->frame_ns + (talk->dirty ? FRAME_NS : TICK_NS);

    if ((typed && talk->dirty) || now >= due) {
        talk->frame_ns = now;
        talk_draw(talk, now);
    }
}

/* One turn: what has come since the last one. */
static void turn(struct talk *talk, const struct waited *waited,
                 uint64_t *keys_ns)
{
    if (waited->signalled)
        take_signals(talk);
    if (waited->events != 0 && !talk->over) {
        take_keys(talk, waited->events);
        *keys_ns = now_ns();
    } else if (keys_waits(&talk->keys) &&
               now_ns() >= *keys_ns + ESCAPE_MS * NS_PER_MS) {
        take_silence(talk);
    }
    if (waited->client && !talk->over) {
        (void)ringchat_client_handle(talk->client);
        talk->dirty = true;
    }
    paste_go_on(talk);
    if (talk->leave_ns != 0 && now_ns() >= talk->leave_ns)
        talk_end(talk, talk->status);
}

/* The system refuses: that is told when the screen is closed. */
static void fail(struct talk *talk, int error)
{
    talk->why.length = 0;
    build_string(&talk->why, strerrordesc_np(-error));
    talk_end(talk, EX_OSERR);
}

static void loop(struct talk *talk, int signals)
{
    struct wait wait = {.client = talk->client,
                        .signals = signals,
                        .fd = STDIN_FILENO,
                        .events = POLLIN};
    struct waited waited;
    uint64_t keys_ns = 0;
    int error;

    talk->dirty = true;
    while (!talk->over) {
        wait.deadline_ns = next_deadline(talk, keys_ns);
        error = wait_for(&wait, &waited);
        if (error != 0) {
            fail(talk, error);
            return;
        }
        turn(talk, &waited, &keys_ns);
        if (!talk->over)
            draw_if_due(talk, waited.events != 0);
    }
}

/* ---- The beginning and the end ------------------------------------------ */

static int with_terminal(struct talk *talk)
{
    const char *why;
    enum theme theme = talk->options->theme;
    int status = screen_open(&talk->screen, &why), colours = 0, signals;
    /* NOLINTBEGIN(concurrency-mt-unsafe): there is one thread */
    const char *no_colour = getenv("NO_COLOR");
    const char *background = getenv("COLORFGBG");
    /* NOLINTEND(concurrency-mt-unsafe) */
    bool plain = no_colour && no_colour[0] != '\0';

    if (status != 0) {
        complain("%s", why);
        return status;
    }
    signals = signals_open(SIGNALS_TALK, screen_saved(talk->screen));
    if (signals < 0) {
        fail(talk, signals);
    } else {
        if (!plain)
            colours = screen_use_colours(talk->screen);
        if (theme == THEME_ANY)
            theme = theme_of_environment(background);
        talk->palette = palette_for(theme, colours, plain);
        loop(talk, signals);
    }
    screen_close(talk->screen);
    signals_close();
    return talk->status;
}

/* What the screen took with it. */
static int tell_end(const struct talk *talk)
{
    if (talk->status != 0 && talk->status < 128)
        complain("%s: %.*s", talk->options->url, (int)talk->why.length,
                 talk->why.bytes);
    if (talk->status != 0 || !talk->failed)
        return talk->status;
    complain("not all that was said has arrived");
    return EX_TEMPFAIL;
}

static int run(struct talk *talk)
{
    int status =
        client_open(talk->options, &talk_callbacks, talk, &talk->client);

    if (status != 0)
        return status;
    status = with_terminal(talk);
    ringchat_client_destroy(talk->client);
    if (talk->over)
        status = tell_end(talk);
    return status;
}

int talk_run(const struct options *options)
{
    struct talk *talk = calloc(1, sizeof(*talk));
    int status = EX_OSERR;

    if (!talk) {
        complain("%s", strerrordesc_np(ENOMEM));
        return status;
    }
    talk->options = options;
    keys_init(&talk->keys);
    edit_init(&talk->edit);
    posts_init(&talk->posts);
    talk->history = history_create();
    talk->conversations = conversations_create();
    if (talk->history && talk->conversations)
        status = run(talk);
    else
        complain("%s", strerrordesc_np(ENOMEM));
    posts_release(&talk->posts);
    conversations_destroy(talk->conversations);
    history_destroy(talk->history);
    free(talk);
    return status;
}

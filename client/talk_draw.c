/*
 * What is on the screen: messages, the bar, the input line, and above all the
 * topic, as far as there are rows.
 *
 *      lobby — tea at four                                  from 6 rows on
 *     13:35 bob: hello
 *     13:36 alice: hello, bob
 *      13:36 alice  [1 lobby] 2 tea·3             0.2 ms    from 3 rows on
 *     lobby> what are you|
 */
#include "client/talk_internal.h"

#include "client/gap.h"
#include "client/layout.h"
#include "client/status.h"

#include <time.h>

#define ROWS_TOPIC 6
#define ROWS_BAR 3
#define COLUMNS_PROMPT 20

/* Of where to; the bar has no room for more. */
#define URL_BYTES_MAX 128

/* What is not confirmed for so long is told: a network that is far. */
#define LATE_US (US_PER_SECOND / 2)

static int64_t utc_offset_s(void)
{
    time_t now = time(NULL);
    struct tm local;

    return localtime_r(&now, &local) ? local.tm_gmtoff : 0;
}

struct layout talk_layout(const struct talk *talk)
{
    return (struct layout){.columns = talk->message_columns,
                           .palette = talk->palette,
                           .utc_offset_s = utc_offset_s()};
}

/* ---- Messages ----------------------------------------------------------- */

/* The rows of a window, from the place where it begins; the last one stands
 * above row `end`. */
static void draw_lines(struct talk *talk, const struct window *window,
                       struct place from, unsigned y, unsigned end)
{
    struct wrap wrap;
    struct row row;

    for (uint64_t at = from.line; y < end; at++) {
        struct line line = scrollback_get(window->lines, at);
        size_t passed = at == from.line ? from.row : 0;

        wrap_begin(&wrap, window->layout, &line);
        while (y < end && wrap_next(&wrap, &row)) {
            if (passed > 0)
                passed--;
            else
                screen_row(talk->screen, y++, &row);
        }
    }
}

static void draw_messages(struct talk *talk, unsigned top, unsigned end)
{
    struct conversation *shown = conversations_shown(talk->conversations);
    struct layout layout = talk_layout(talk);
    struct window window = {.layout = &layout, .rows = end - top};
    struct place first;
    size_t rows;

    if (!shown || end == top)
        return;
    window.lines = shown->lines;
    rows = view_begin(&shown->view, &window, &first);
    if (rows > 0)
        draw_lines(talk, &window, first, end - (unsigned)rows, end);
}

/* ---- The bars ----------------------------------------------------------- */

/* Where to, without what goes without saying: "text 127.0.0.1:4000". It is the
 * user's own, but whatever the user typed. */
static struct slice url_shown(const char *url, char out[URL_BYTES_MAX])
{
    struct builder builder = {.length = 0};
    const char *address = strstr(url, "://");
    struct tamed tamed;

    if (address) {
        build_slice(&builder, (struct slice){url, (size_t)(address - url)});
        build_string(&builder, " ");
        build_string(&builder, address + strlen("://"));
    }
    tamed = tame(TAME_CELLS, builder_slice(&builder), out, URL_BYTES_MAX);
    return (struct slice){out, tamed.length};
}

/* Why there is no connection, or nothing. */
static void build_trouble(struct builder *builder, const struct talk *talk,
                          uint64_t now)
{
    switch (ringchat_client_state(talk->client)) {
    case RINGCHAT_OPEN:
    case RINGCHAT_CLOSED:
        return;
    case RINGCHAT_IDLE:
    case RINGCHAT_CONNECTING:
    case RINGCHAT_ENTERING:
        build_string(builder, "connecting");
        return;
    case RINGCHAT_CLOSING:
        build_string(builder, "leaving");
        return;
    case RINGCHAT_WAITING:
        build_string(builder, "away: again in ");
        build_duration(builder, talk->retry_ns > now
                                    ? (talk->retry_ns - now) / NS_PER_MS
                                    : 0);
        return;
    }
}

/* "0.2 ms", "15 ms"; nothing before it is known. */
static void build_rtt(struct builder *builder, const struct talk *talk)
{
    struct ringchat_client_figures figures = {RINGCHAT_SIZED(figures)};
    uint64_t tenths;

    ringchat_client_figures(talk->client, &figures);
    tenths = (figures.rtt_us + 99) / 100;
    if (figures.rtt_us == 0 ||
        ringchat_client_state(talk->client) != RINGCHAT_OPEN)
        return;
    build_number(builder, tenths / 10);
    if (tenths < 100) {
        build_string(builder, ".");
        build_number(builder, tenths % 10);
    }
    build_string(builder, " ms");
}

static void build_progress(struct builder *builder, const struct talk *talk)
{
    struct conversation *shown = conversations_shown(talk->conversations);
    uint64_t below = shown ? view_below(&shown->view, shown->lines) : 0;
    size_t late = posts_late(&talk->posts, wall_us() - LATE_US);

    if (late > 0) {
        build_number(builder, late);
        build_string(builder, " sent ");
    }
    if (shown && shown->view.is_back) {
        build_string(builder, "↓ ");
        build_number(builder, below);
        build_string(builder, " more ");
    }
}

/* Of a builder a notice may have filled, what is whole characters. */
static struct slice whole(const struct builder *builder)
{
    struct slice text = builder_slice(builder);

    if (text.length == sizeof(builder->bytes)) {
        while (text.length > 0 &&
               ((unsigned char)text.bytes[--text.length] & 0x80))
            ;
    }
    return text;
}

static void draw_bars(struct talk *talk, unsigned rows, uint64_t now)
{
    struct builder trouble = {.length = 0}, rtt = {.length = 0},
                   progress = {.length = 0};
    struct layout layout = talk_layout(talk);
    char clock[5], nick[SHOWN_NAME_BYTES_MAX], url[URL_BYTES_MAX];
    struct status status = {
        .columns = screen_columns(talk->screen),
        .palette = talk->palette,
        .clock = {clock, sizeof(clock)},
        .nick = talk_nick(talk, nick),
        .url = url_shown(talk->options->url, url),
        .notice = whole(&talk->notice),
        .conversations = talk->conversations,
    };
    struct row row;

    layout_clock(&layout, wall_us(), clock);
    build_trouble(&trouble, talk, now);
    build_rtt(&rtt, talk);
    build_progress(&progress, talk);
    status.trouble = builder_slice(&trouble);
    status.rtt = builder_slice(&rtt);
    status.progress = builder_slice(&progress);
    if (rows >= ROWS_BAR) {
        status_row(&status, &row);
        screen_row(talk->screen, rows - 2, &row);
    }
    if (rows >= ROWS_TOPIC) {
        status_topic(&status, &row);
        screen_row(talk->screen, 0, &row);
    }
}

/* ---- The input line ----------------------------------------------------- */

/* Returns the cursor's column. */
static unsigned draw_input(struct talk *talk, unsigned y)
{
    struct conversation *shown = conversations_shown(talk->conversations);
    unsigned columns = screen_columns(talk->screen);
    struct look dim = palette_role(talk->palette, ROLE_TIME);
    struct look plain = palette_role(talk->palette, ROLE_TEXT);
    struct edit_view view;
    unsigned prompt;
    struct row row;

    row_clear(&row);
    if (shown && columns >= COLUMNS_PROMPT &&
        strlen(shown->name) + 2 <= columns / 2) {
        row_add(&row, dim, conversation_name(shown));
        row_add(&row, dim, SLICE("> "));
    }
    prompt = row.columns;
    view = edit_view(&talk->edit, columns - prompt);
    row_add(&row, dim, view.hidden_left ? SLICE("<") : SLICE(""));
    row_add(&row, plain, view.shown);
    row_add(&row, dim, view.hidden_right ? SLICE(">") : SLICE(""));
    screen_row(talk->screen, y, &row);
    return prompt + view.cursor;
}

void talk_draw(struct talk *talk, uint64_t now_ns)
{
    unsigned rows = screen_rows(talk->screen), x;
    unsigned top = rows >= ROWS_TOPIC;
    unsigned end = rows - (rows >= ROWS_BAR ? 2 : 1);

    talk->message_columns = screen_columns(talk->screen);
    talk->message_rows = end - top;
    screen_begin(talk->screen);
    draw_messages(talk, top, end);
    draw_bars(talk, rows, now_ns);
    x = draw_input(talk, rows - 1);
    if (talk->beep)
        screen_beep(talk->screen);
    talk->beep = talk->dirty = false;
    screen_end(talk->screen, rows - 1, x);
}

/*
 * Lines of conversations: the only way into a scrollback, and behind each text
 * from the network stands talk_tame.
 */
#include "client/talk_internal.h"

#include "client/gap.h"

#include <assert.h>
#include <time.h>

/* A line of those who came is not made longer than this. */
#define PRESENCE_BYTES_MAX 200

#define US_PER_MINUTE (60 * US_PER_SECOND)

/* What tame() left out is said in this much. */
#define LEFT_OUT_BYTES_MAX 40

struct slice talk_tame(struct talk *talk, struct slice text)
{
    struct tamed tamed = tame(TAME_CELLS, text, talk->tamed,
                              sizeof(talk->tamed) - LEFT_OUT_BYTES_MAX);
    struct builder more = {.length = 0};

    if (tamed.left_out > 0) {
        build_string(&more, "… ");
        build_number(&more, tamed.left_out);
        build_string(&more, " bytes more");
        assert(more.length <= LEFT_OUT_BYTES_MAX);
        memcpy(talk->tamed + tamed.length, more.bytes, more.length);
    }
    return (struct slice){talk->tamed, tamed.length + more.length};
}

struct slice talk_tame_name(struct slice name, char out[SHOWN_NAME_BYTES_MAX])
{
    struct tamed tamed = tame(TAME_CELLS, name, out, SHOWN_NAME_BYTES_MAX);

    return (struct slice){out, tamed.length};
}

struct slice talk_nick(const struct talk *talk, char out[SHOWN_NAME_BYTES_MAX])
{
    return talk_tame_name(slice_from(ringchat_client_nick(talk->client)), out);
}

void talk_add(struct talk *talk, struct conversation *conversation,
              const struct line *line)
{
    conversation->heard_us = line->time_us;
    if (!scrollback_add(conversation->lines, line)) {
        talk->notice.length = 0;
        build_string(&talk->notice, "no memory: a line was lost");
    }
    talk->dirty = true;
}

void talk_tell(struct talk *talk, enum line_kind kind, struct slice text)
{
    struct conversation *shown = conversations_shown(talk->conversations);
    struct line line = {.kind = kind, .time_us = wall_us(), .text = text};

    if (shown)
        talk_add(talk, shown, &line);
}

/* The newest line, if it is of that kind. */
static bool newest_is(const struct conversation *conversation,
                      enum line_kind kind, struct line *line)
{
    uint64_t end = scrollback_end(conversation->lines);

    if (end == scrollback_first(conversation->lines))
        return false;
    *line = scrollback_get(conversation->lines, end - 1);
    return line->kind == kind;
}

static bool ends_with(struct slice text, struct slice end)
{
    return text.length >= end.length &&
           slice_equals((struct slice){text.bytes + text.length - end.length,
                                       end.length},
                        end);
}

void talk_presence(struct talk *talk, struct conversation *conversation,
                   struct slice nick, const char *what)
{
    struct line before, line = {.kind = LINE_PRESENCE, .time_us = wall_us()};
    struct builder text = {.length = 0};
    bool goes_on =
        newest_is(conversation, LINE_PRESENCE, &before) &&
        before.time_us / US_PER_MINUTE == line.time_us / US_PER_MINUTE &&
        before.text.length < PRESENCE_BYTES_MAX &&
        ends_with(before.text, slice_of(what));

    if (goes_on) {
        before.text.length -= strlen(what);
        build_slice(&text, before.text);
        build_string(&text, ", ");
    }
    build_slice(&text, nick);
    build_string(&text, what);
    line.text = builder_slice(&text);
    if (goes_on)
        (void)scrollback_amend(conversation->lines, line.text);
    else
        talk_add(talk, conversation, &line);
    talk->dirty = true;
}

bool talk_presence_renamed(struct conversation *conversation, struct slice old,
                           struct slice new)
{
    struct line before;
    struct builder came = {.length = 0}, text = {.length = 0};

    build_slice(&came, old);
    build_string(&came, " joined");
    if (!newest_is(conversation, LINE_PRESENCE, &before) ||
        !ends_with(before.text, builder_slice(&came)))
        return false;
    before.text.length -= came.length;
    build_slice(&text, before.text);
    build_slice(&text, new);
    build_string(&text, " joined");
    return scrollback_amend(conversation->lines, builder_slice(&text));
}

static bool is_return(struct slice text)
{
    struct slice begin = SLICE(RETURN_WORDS);

    return text.length >= begin.length &&
           memcmp(text.bytes, begin.bytes, begin.length) == 0;
}

void talk_gap(struct talk *talk, struct conversation *conversation,
              struct slice text)
{
    struct line before, line = {.kind = LINE_GAP, .time_us = wall_us()};
    struct builder framed = {.length = 0};
    bool goes_on = newest_is(conversation, LINE_GAP, &before) &&
                   is_return(before.text) && is_return(text);

    build_slice(&framed, text);
    build_string(&framed, " ──");
    line.text = builder_slice(&framed);
    if (goes_on)
        (void)scrollback_amend(conversation->lines, line.text);
    else
        talk_add(talk, conversation, &line);
    talk->dirty = true;
}

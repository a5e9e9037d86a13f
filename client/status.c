/*
 * The bar is made anew with less and less, until it fits.
 */
#include "client/status.h"

#include "client/cluster.h"
#include "common/base/builder.h"

/* What is left out, cumulatively. */
enum {
    ALL,
    NO_URL,
    NO_RTT,
    NO_CLOCK,
    NO_NAMES,
    NO_NICK,
    NO_READ,
    NO_PROGRESS,
    NO_TROUBLE
};

static struct look role(const struct status *status, enum role of)
{
    return palette_role(status->palette, of);
}

static void add_with_space(struct row *row, struct look look, struct slice text)
{
    if (text.length == 0)
        return;
    row_add(row, look, text);
    row_add(row, look, SLICE(" "));
}

/* "2 tea·3": number, name, unread; "!" before what is addressed to us. */
static void add_conversation(const struct status *status, size_t index,
                             int level, struct row *row)
{
    const struct conversation *each =
        conversations_at(status->conversations, index);
    bool is_shown = each == conversations_shown(status->conversations);
    enum role of = ROLE_BAR;
    struct builder text = {.length = 0};

    if (level >= NO_READ && each->unread == 0 && !is_shown)
        return;
    build_string(&text, is_shown ? "[" : "");
    build_number(&text, index + 1);
    if (level < NO_NAMES || each->unread > 0 || is_shown) {
        build_string(&text, " ");
        build_slice(&text, conversation_name(each));
    }
    if (each->unread > 0) {
        of = each->addressed > 0 ? ROLE_BAR_ADDRESSED : ROLE_BAR_UNREAD;
        build_string(&text, each->addressed > 0 ? "!" : "·");
        build_number(&text, each->unread);
    }
    build_string(&text, is_shown ? "]" : "");
    row_copy(row, role(status, is_shown ? ROLE_BAR_SHOWN : of),
             builder_slice(&text));
    row_add(row, role(status, ROLE_BAR), SLICE(" "));
}

static void add_left(const struct status *status, int level, struct row *row)
{
    struct look bar = role(status, ROLE_BAR);

    row_add(row, bar, SLICE(" "));
    if (status->notice.length > 0) {
        add_with_space(row, role(status, ROLE_BAR_UNREAD), status->notice);
        return;
    }
    if (level < NO_CLOCK)
        add_with_space(row, bar, status->clock);
    if (level < NO_NICK && status->nick.length > 0) {
        add_with_space(row, bar, status->nick);
        row_add(row, bar, SLICE(" "));
    }
    for (size_t i = 0; i < conversations_count(status->conversations); i++)
        add_conversation(status, i, level, row);
}

static void add_right(const struct status *status, int level, struct row *row)
{
    struct look bar = role(status, ROLE_BAR);

    if (level < NO_PROGRESS)
        add_with_space(row, role(status, ROLE_BAR_UNREAD), status->progress);
    if (level < NO_URL)
        add_with_space(row, bar, status->url);
    if (level < NO_TROUBLE)
        add_with_space(row, role(status, ROLE_BAR_TROUBLE), status->trouble);
    if (level < NO_RTT)
        add_with_space(row, bar, status->rtt);
}

void status_row(const struct status *status, struct row *row)
{
    unsigned right = 0;

    for (int level = ALL; level <= NO_TROUBLE; level++) {
        row_clear(row);
        add_right(status, level, row);
        right = row->columns;
        row_clear(row);
        add_left(status, level, row);
        if (row->columns + right <= status->columns || level == NO_TROUBLE) {
            row_fill(row, role(status, ROLE_BAR), status->columns - right);
            add_right(status, level, row);
            return;
        }
    }
}

void status_topic(const struct status *status, struct row *row)
{
    const struct conversation *shown =
        conversations_shown(status->conversations);
    struct look bar = role(status, ROLE_BAR);

    row_clear(row);
    row_add(row, bar, SLICE(" "));
    if (shown) {
        row_add(row, role(status, ROLE_BAR_SHOWN), conversation_name(shown));
        if (shown->topic_length > 0)
            row_add(row, bar, SLICE(" — "));
        row_add(row, bar, (struct slice){shown->topic, shown->topic_length});
    }
    row_fill(row, bar, status->columns);
}

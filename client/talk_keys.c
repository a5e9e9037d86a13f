/*
 * Keys: what each does to the input line, the history, and what is shown.
 */
#include "client/talk_internal.h"

#include "client/command.h"

void talk_show(struct talk *talk, struct conversation *conversation)
{
    conversations_show(talk->conversations, conversation);
    talk->dirty = true;
}

/* ---- Completion --------------------------------------------------------- */

/* Copied: what it is chosen from may change before the next Tab. */
static void offer(struct completing *completing, struct slice name)
{
    char *copy = completing->names[completing->completion.count];
    size_t before = completing->completion.count;

    completion_offer(&completing->completion, name);
    if (completing->completion.count == before ||
        name.length > CONVERSATION_NAME_BYTES_MAX) {
        completing->completion.count = before;
        return;
    }
    memcpy(copy, name.bytes, name.length);
    completing->completion.candidates[before] =
        (struct slice){copy, name.length};
}

static void offer_nicks(struct talk *talk)
{
    struct conversation *shown = conversations_shown(talk->conversations);
    struct slice nicks[NICKS_MAX];
    size_t count;

    if (!shown)
        return;
    count = nicks_list(shown->nicks, nicks, NICKS_MAX);
    for (size_t i = 0; i < count; i++)
        offer(&talk->completing, nicks[i]);
    if (conversation_is_private(shown) && count == 0)
        offer(&talk->completing, slice_of(shown->name + 1));
}

static void offer_rooms(struct talk *talk)
{
    for (size_t i = 0; i < conversations_count(talk->conversations); i++)
        offer(&talk->completing,
              conversation_name(conversations_at(talk->conversations, i)));
}

static void offer_commands(struct talk *talk)
{
    for (size_t i = 0; command_names[i]; i++)
        offer(&talk->completing, slice_of(command_names[i]));
}

/* The candidates, for the bar. */
static void list_candidates(struct talk *talk)
{
    const struct completion *completion = &talk->completing.completion;

    talk->notice.length = 0;
    for (size_t i = 0; i < completion->count; i++) {
        build_slice(&talk->notice, completion->candidates[i]);
        build_string(&talk->notice, " ");
    }
}

static bool replace(struct talk *talk, struct slice word, const char *suffix)
{
    struct builder text = {.length = 0};

    build_slice(&text, word);
    build_string(&text, suffix);
    return edit_replace(&talk->edit, talk->completing.place.from,
                        builder_slice(&text));
}

static void complete_begin(struct talk *talk)
{
    struct completing *completing = &talk->completing;
    struct slice line = edit_text(&talk->edit);
    size_t cursor = talk->edit.cursor;

    completing->place = complete_place(line, cursor);
    completing->completion =
        (struct completion){.stem = {line.bytes + completing->place.from,
                                     cursor - completing->place.from}};
    switch (completing->place.what) {
    case COMPLETE_NICK:
        offer_nicks(talk);
        return;
    case COMPLETE_ROOM:
        offer_rooms(talk);
        return;
    case COMPLETE_COMMAND:
        offer_commands(talk);
        return;
    }
}

static void complete_first(struct talk *talk)
{
    struct completing *completing = &talk->completing;
    struct slice common;

    complete_begin(talk);
    if (completing->completion.count == 0) {
        talk->beep = true;
        return;
    }
    common = completion_common(&completing->completion);
    if (completing->completion.count == 1) {
        talk->beep = !replace(talk, common, completing->place.suffix);
        return;
    }
    list_candidates(talk);
    talk->beep = !replace(talk, common, "");
    completing->is_on = !talk->beep;
}

static void complete(struct talk *talk, enum candidate which)
{
    struct completing *completing = &talk->completing;

    if (!completing->is_on) {
        complete_first(talk);
        return;
    }
    list_candidates(talk);
    talk->beep = !replace(talk, completion_turn(&completing->completion, which),
                          completing->place.suffix);
}

/* ---- History, scrolling, conversations ---------------------------------- */

static void go_older(struct talk *talk)
{
    struct slice line;

    if (history_older(talk->history, edit_text(&talk->edit), talk->edit.cursor,
                      &line))
        (void)edit_set(&talk->edit, line);
    else
        talk->beep = true;
}

static void go_newer(struct talk *talk)
{
    struct slice line;

    if (history_newer(talk->history, &line))
        (void)edit_set(&talk->edit, line);
    else
        talk->beep = true;
}

static void scroll(struct talk *talk, enum chord chord)
{
    struct conversation *shown = conversations_shown(talk->conversations);
    struct layout layout = talk_layout(talk);
    struct window window = {.layout = &layout, .rows = talk->message_rows};
    size_t page = window.rows > 1 ? window.rows - 1 : 1;

    if (!shown)
        return;
    window.lines = shown->lines;
    if (chord == CHORD_PAGE_UP)
        talk->beep = !view_back(&shown->view, &window, page);
    else if (chord == CHORD_PAGE_DOWN)
        talk->beep = !view_forth(&shown->view, &window, page);
    else
        shown->view.is_back = false;
}

static void show_number(struct talk *talk, size_t number)
{
    if (number < conversations_count(talk->conversations))
        talk_show(talk, conversations_at(talk->conversations, number));
    else
        talk->beep = true;
}

/* The one so many further, round and round. */
static void show_further(struct talk *talk, size_t steps_from_count)
{
    size_t count = conversations_count(talk->conversations);
    struct conversation *shown = conversations_shown(talk->conversations);

    if (shown)
        show_number(talk, (conversation_index(talk->conversations, shown) +
                           count + steps_from_count) %
                              count);
}

static void show_unread(struct talk *talk)
{
    struct conversation *unread = conversations_unread(talk->conversations);

    if (unread)
        talk_show(talk, unread);
    else
        talk->beep = true;
}

/* ---- The input line ----------------------------------------------------- */

static void send_line(struct talk *talk)
{
    struct conversation *shown = conversations_shown(talk->conversations);
    struct slice line = edit_text(&talk->edit);

    if (!talk_line(talk, line))
        return;
    history_add(talk->history, line);
    (void)edit_set(&talk->edit, SLICE(""));
    if (shown && shown == conversations_shown(talk->conversations))
        shown->view.is_back = false;
}

static void delete_or_leave(struct talk *talk)
{
    if (talk->edit.length == 0)
        talk_leave(talk, 0);
    else
        talk->beep = !edit_delete(&talk->edit, EDIT_RIGHT);
}

/* What changes the line or the place in it. False: it was none of these. */
static bool edit_key(struct talk *talk, enum chord chord)
{
    static const struct {
        enum chord chord;
        bool (*change)(struct edit *, enum edit_move);
        enum edit_move move;
    } changes[] = {
        {CHORD_LEFT, edit_move, EDIT_LEFT},
        {CHORD_RIGHT, edit_move, EDIT_RIGHT},
        {CHORD_WORD_LEFT, edit_move, EDIT_WORD_LEFT},
        {CHORD_WORD_RIGHT, edit_move, EDIT_WORD_RIGHT},
        {CHORD_START, edit_move, EDIT_START},
        {CHORD_END, edit_move, EDIT_END},
        {CHORD_BACKSPACE, edit_delete, EDIT_LEFT},
        {CHORD_DELETE, edit_delete, EDIT_RIGHT},
        {CHORD_KILL_WORD, edit_kill, EDIT_WORD_LEFT},
        {CHORD_KILL_START, edit_kill, EDIT_START},
        {CHORD_KILL_END, edit_kill, EDIT_END},
    };

    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        if (changes[i].chord != chord)
            continue;
        talk->beep = !changes[i].change(&talk->edit, changes[i].move);
        return true;
    }
    return false;
}

static void chord_key(struct talk *talk, const struct key *key)
{
    switch (key->chord) {
    case CHORD_SEND:
        send_line(talk);
        return;
    case CHORD_COMPLETE:
        complete(talk, CANDIDATE_NEXT);
        return;
    case CHORD_COMPLETE_BACK:
        complete(talk, CANDIDATE_BEFORE);
        return;
    case CHORD_LEAVE_OR_DELETE:
        delete_or_leave(talk);
        return;
    case CHORD_YANK:
        talk->beep = !edit_yank(&talk->edit);
        return;
    case CHORD_OLDER:
        go_older(talk);
        return;
    case CHORD_NEWER:
        go_newer(talk);
        return;
    case CHORD_PAGE_UP:
    case CHORD_PAGE_DOWN:
    case CHORD_BOTTOM:
        scroll(talk, key->chord);
        return;
    case CHORD_ROOM:
        show_number(talk, key->number);
        return;
    case CHORD_ROOM_NEXT:
        show_further(talk, 1);
        return;
    case CHORD_ROOM_BEFORE:
        show_further(talk, SIZE_MAX);
        return;
    case CHORD_ROOM_UNREAD:
        show_unread(talk);
        return;
    case CHORD_REDRAW:
        screen_redraw(talk->screen);
        return;
    default: /* edit_key has had the others */
        return;
    }
}

static bool is_chord(const struct key *key, enum chord chord)
{
    return key->kind == KEY_CHORD && key->chord == chord;
}

void talk_key(struct talk *talk, const struct key *key)
{
    if (key->kind == KEY_NOTHING)
        return;
    talk->dirty = true;
    talk->notice.length = 0;
    if (!is_chord(key, CHORD_COMPLETE) && !is_chord(key, CHORD_COMPLETE_BACK))
        talk->completing.is_on = false;
    if (paste_key(talk, key))
        return;
    if (!is_chord(key, CHORD_OLDER) && !is_chord(key, CHORD_NEWER))
        history_settle(talk->history);
    if (key->kind == KEY_TEXT)
        talk->beep =
            !edit_insert(&talk->edit, (struct slice){key->bytes, key->length});
    else if (!edit_key(talk, key->chord))
        chord_key(talk, key);
}

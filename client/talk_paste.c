/*
 * What is pasted. One line goes into the input; several are sent only if that
 * is wanted, each as a message to what is shown then, as fast as the server
 * confirms them.
 */
#include "client/talk_internal.h"

/* So many are on their way at a time; what is typed has room beside them. */
#define PASTE_POSTS_MAX (POSTS_MAX / 2)

static void paste_drop(struct paste *paste)
{
    paste->state = PASTE_NONE;
    paste->length = paste->sent = 0;
    paste->too_long = false;
}

/* One at a time: while one is being sent, another does not begin. */
static void paste_begin(struct paste *paste)
{
    if (paste->state == PASTE_SENDING)
        return;
    paste_drop(paste);
    paste->state = PASTE_COMING;
}

static void paste_refuse(struct talk *talk)
{
    talk->notice.length = 0;
    build_string(&talk->notice,
                 "not taken: what was pasted before is being sent");
}

static void paste_add(struct paste *paste, const struct key *key)
{
    if (key->length > sizeof(paste->bytes) - paste->length) {
        paste->too_long = true;
        return;
    }
    memcpy(paste->bytes + paste->length, key->bytes, key->length);
    paste->length += key->length;
}

/* The next line that is not sent yet. False: there is none. */
static bool next_line(const struct paste *paste, struct slice *line,
                      size_t *next)
{
    for (size_t at = paste->sent; at < paste->length; at = *next) {
        const char *begin = paste->bytes + at;
        const char *end = memchr(begin, '\n', paste->length - at);

        line->bytes = begin;
        line->length = end ? (size_t)(end - begin) : paste->length - at;
        *next = at + line->length + (end != NULL);
        if (line->length > 0)
            return true;
    }
    return false;
}

/* And the length of the longest. */
static size_t count_lines(const struct paste *paste, size_t *longest)
{
    struct paste rest = *paste;
    struct slice line;
    size_t count = 0;

    *longest = 0;
    while (next_line(&rest, &line, &rest.sent)) {
        if (line.length > *longest)
            *longest = line.length;
        count++;
    }
    return count;
}

/* It is whole. */
static void paste_end(struct talk *talk)
{
    struct paste *paste = &talk->paste;
    size_t longest, count = count_lines(paste, &longest), next;
    struct slice line;

    talk->notice.length = 0;
    if (paste->too_long) {
        build_string(&talk->notice, "that is too much to paste: ringchat file");
        paste_drop(paste);
    } else if (longest > POST_BYTES_MAX) {
        build_string(&talk->notice, "a line of that is too long");
        paste_drop(paste);
    } else if (count > 1) {
        build_string(&talk->notice, "send ");
        build_number(&talk->notice, count);
        build_string(&talk->notice, " lines? Enter, or Escape to drop them");
        paste->state = PASTE_ASKING;
    } else {
        if (next_line(paste, &line, &next) && !edit_insert(&talk->edit, line))
            build_string(&talk->notice, "that is too long for a line");
        paste_drop(paste);
    }
}

/* Enter sends what was asked about; each other key drops it. */
static bool paste_answer(struct talk *talk, const struct key *key)
{
    struct conversation *shown = conversations_shown(talk->conversations);
    struct paste *paste = &talk->paste;
    bool send = key->kind == KEY_CHORD && key->chord == CHORD_SEND;

    paste->state = send ? PASTE_SENDING : PASTE_NONE;
    paste->to[0] = '\0';
    if (shown)
        memcpy(paste->to, shown->name, sizeof(paste->to));
    return send || (key->kind == KEY_CHORD && key->chord == CHORD_CANCEL);
}

bool paste_key(struct talk *talk, const struct key *key)
{
    struct paste *paste = &talk->paste;

    switch (key->kind) {
    case KEY_PASTE_BEGIN:
        paste_begin(paste);
        return true;
    case KEY_PASTED:
        if (paste->state == PASTE_COMING)
            paste_add(paste, key);
        return true;
    case KEY_PASTE_END:
        if (paste->state == PASTE_COMING)
            paste_end(talk);
        else
            paste_refuse(talk);
        return true;
    default:
        break;
    }
    if (paste->state == PASTE_ASKING)
        return paste_answer(talk, key);
    if (paste->state == PASTE_SENDING && key->kind == KEY_CHORD &&
        key->chord == CHORD_CANCEL) {
        paste_drop(paste);
        return true;
    }
    return false;
}

void paste_go_on(struct talk *talk)
{
    struct paste *paste = &talk->paste;
    struct conversation *to;
    struct slice line;
    size_t next;

    while (paste->state == PASTE_SENDING &&
           talk->posts.count < PASTE_POSTS_MAX &&
           ringchat_client_state(talk->client) == RINGCHAT_OPEN) {
        to = conversation_find(talk->conversations, slice_of(paste->to));
        if (!next_line(paste, &line, &next))
            paste_drop(paste);
        else if (talk_say(talk, to, line))
            paste->sent = next;
        else
            paste_drop(paste);
        talk->dirty = true;
    }
}

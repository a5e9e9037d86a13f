/*
 * Keys: from the bytes that a terminal sends to what was meant. Puts UTF-8
 * together, knows Alt by the Escape before, the sequences of arrows and the
 * like as xterm, rxvt, the Linux console, screen and tmux send them, and what
 * is pasted by its brackets: a newline in there sends nothing. What it does not
 * know, a terminal's answers among it, is dropped whole.
 *
 * Pure: the caller reads, and says when nothing more came for ESCAPE_MS.
 */
#ifndef RINGCHAT_CLIENT_KEYS_H
#define RINGCHAT_CLIENT_KEYS_H

#include <stdbool.h>
#include <stddef.h>

/* Longer than a sequence is on its way in one piece, shorter than a hand. */
#define ESCAPE_MS 50

/* Of a sequence; what is longer is none of ours. */
#define SEQUENCE_BYTES_MAX 15

enum key_kind {
    KEY_NOTHING, /* not whole, or none that we know */
    KEY_TEXT,    /* one character, to be inserted */
    KEY_PASTED,  /* likewise, or LF */
    KEY_PASTE_BEGIN,
    KEY_PASTE_END,
    KEY_CHORD, /* `chord` */
};

/* What is not text, by what it does: ringchat(1) has a table of them. */
enum chord {
    CHORD_SEND,
    CHORD_COMPLETE,
    CHORD_COMPLETE_BACK,
    CHORD_LEFT,
    CHORD_RIGHT,
    CHORD_WORD_LEFT,
    CHORD_WORD_RIGHT,
    CHORD_START,
    CHORD_END,
    CHORD_BACKSPACE,
    CHORD_DELETE,
    CHORD_LEAVE_OR_DELETE, /* Ctrl-D */
    CHORD_KILL_WORD,
    CHORD_KILL_START,
    CHORD_KILL_END,
    CHORD_YANK,
    CHORD_OLDER,
    CHORD_NEWER,
    CHORD_PAGE_UP,
    CHORD_PAGE_DOWN,
    CHORD_BOTTOM,
    CHORD_ROOM, /* `number`: Alt-1 is 0, Alt-0 the tenth */
    CHORD_ROOM_NEXT,
    CHORD_ROOM_BEFORE,
    CHORD_ROOM_UNREAD,
    CHORD_REDRAW,
    CHORD_CANCEL, /* Escape */
};

struct key {
    enum key_kind kind;
    enum chord chord;
    unsigned number;
    char bytes[4];
    size_t length;
};

struct keys {
    unsigned char pending[4]; /* of a character */
    size_t pending_length;
    char sequence[SEQUENCE_BYTES_MAX + 1]; /* behind its Escape */
    size_t sequence_length;
    bool escaped, pasting;
};

void keys_init(struct keys *);

struct key keys_feed(struct keys *, unsigned char byte);

/* Whether keys_idle is to be called if nothing comes for ESCAPE_MS. */
bool keys_waits(const struct keys *);

/* Nothing more came: an Escape alone was Escape. */
struct key keys_idle(struct keys *);

#endif

/*
 * Drawing with ncursesw, which knows what is on the screen and sends the
 * difference. Of its input nothing is used (keys.h).
 */
#include "client/screen.h"

#include "client/cluster.h"

#include <curses.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sysexits.h>
#include <term.h>
#include <unistd.h>

/* Of the names that term.h takes: struct cell has one. */
#undef columns

/* Looks of different colours: 12 nicks and the roles, with room to spare. */
#define PAIRS_MAX 64

/* xterm's ctlseqs, "Bracketed Paste Mode"; who does not know it ignores it. */
#define PASTE_ON "\033[?2004h"
#define PASTE_OFF "\033[?2004l"

/* Rows of which is remembered what they show: those of any real terminal. */
#define ROWS_KNOWN_MAX 256

/* FNV-1a, 32 bits. */
#define FNV_BASIS UINT32_C(2166136261)
#define FNV_PRIME UINT32_C(16777619)

struct pair {
    int16_t front, back;
};

/* What was drawn in a row last. */
struct known_row {
    uint32_t hash;
    bool is_ascii;
};

struct screen {
    SCREEN *curses;
    struct termios saved;
    bool coloured;
    short pair_count; /* of `pairs`; curses counts from 1 */
    struct pair pairs[PAIRS_MAX];
    struct known_row rows[ROWS_KNOWN_MAX];
};

/* Past curses, which has sent all it had. */
static void tell(const char *sequence, size_t length)
{
    while (length > 0) {
        ssize_t written = write(STDOUT_FILENO, sequence, length);

        if (written < 0 && errno != EINTR)
            return;
        if (written > 0) {
            sequence += written;
            length -= (size_t)written;
        }
    }
}

/* ---- Opening and closing ------------------------------------------------ */

/* Keys one by one, as they are: Ctrl-S, Ctrl-Q, Ctrl-\ and Ctrl-V too. Ctrl-C
 * and Ctrl-Z stay signals. A read never waits. */
static void set_modes(void)
{
    struct termios modes;

    cbreak();
    noecho();
    nonl();
    if (tcgetattr(STDIN_FILENO, &modes) == 0) {
        modes.c_iflag &= ~(tcflag_t)(IXON | ICRNL | INLCR | IGNCR | ISTRIP);
        modes.c_cc[VQUIT] = modes.c_cc[VLNEXT] = _POSIX_VDISABLE;
        modes.c_cc[VMIN] = modes.c_cc[VTIME] = 0;
        tcsetattr(STDIN_FILENO, TCSADRAIN, &modes);
    }
    def_prog_mode();
    leaveok(stdscr, FALSE);
    typeahead(-1); /* what is typed does not keep it from drawing */
}

/* NULL, or why nothing can be drawn there. Asked before newterm(3X), which
 * loses memory where it fails. */
static const char *terminal_fault(void)
{
    const char *why = NULL;
    int found;

    if (setupterm(NULL, STDOUT_FILENO, &found) != OK)
        return "this terminal (TERM) is not known";
    if (!tigetstr("cup")) /* to move the cursor */
        why = "nothing can be drawn on this terminal (TERM)";
    del_curterm(cur_term);
    return why;
}

int screen_open(struct screen **made, const char **why)
{
    struct screen *screen;

    *why = terminal_fault();
    if (*why)
        return EX_UNAVAILABLE;
    screen = calloc(1, sizeof(*screen));
    if (!screen) {
        *why = "no memory";
        return EX_OSERR;
    }
    *why = "there is no terminal";
    if (tcgetattr(STDIN_FILENO, &screen->saved) < 0)
        goto free_screen;
    screen->curses = newterm(NULL, stdout, stdin);
    if (!screen->curses)
        goto free_screen;
    set_modes();
    tell(PASTE_ON, sizeof(PASTE_ON) - 1);
    screen_resize(screen);
    *made = screen;
    return 0;
free_screen:
    free(screen);
    return EX_UNAVAILABLE;
}

void screen_close(struct screen *screen)
{
    if (!screen)
        return;
    tell(PASTE_OFF, sizeof(PASTE_OFF) - 1);
    endwin();
    delscreen(screen->curses);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &screen->saved);
    free(screen);
}

const struct termios *screen_saved(const struct screen *screen)
{
    return &screen->saved;
}

int screen_use_colours(struct screen *screen)
{
    if (!has_colors() || start_color() == ERR || use_default_colors() == ERR)
        return 0;
    screen->coloured = true;
    return COLORS;
}

/* ---- Drawing ------------------------------------------------------------ */

unsigned screen_columns(const struct screen *screen)
{
    (void)screen;
    return (unsigned)COLS;
}

unsigned screen_rows(const struct screen *screen)
{
    (void)screen;
    return (unsigned)LINES;
}

/* 0, which is the terminal's own, when there are no more. */
static short pair_for(struct screen *screen, struct look look)
{
    struct pair *next = &screen->pairs[screen->pair_count];

    if (!screen->coloured ||
        (look.front == COLOUR_NONE && look.back == COLOUR_NONE))
        return 0;
    for (short i = 0; i < screen->pair_count; i++) {
        if (screen->pairs[i].front == look.front &&
            screen->pairs[i].back == look.back)
            return (short)(i + 1);
    }
    if (screen->pair_count == PAIRS_MAX ||
        init_pair((short)(screen->pair_count + 1), look.front, look.back) ==
            ERR)
        return 0;
    *next = (struct pair){look.front, look.back};
    return ++screen->pair_count;
}

static void draw_cell(const struct cell *cell, attr_t attributes, short pair)
{
    wchar_t shown[CELL_CHARS_MAX + 1] = {0};
    cchar_t drawn;

    for (size_t i = 0; i < cell->count; i++)
        shown[i] = cell->shown[i];
    setcchar(&drawn, shown, attributes, pair, NULL);
    add_wch(&drawn);
}

/* Returns the column behind it. */
static unsigned draw_span(struct screen *screen, const struct span *span,
                          unsigned x)
{
    attr_t attributes = (span->look.bold ? A_BOLD : A_NORMAL) |
                        (span->look.reverse ? A_REVERSE : A_NORMAL);
    short pair = pair_for(screen, span->look);
    struct slice text = span->text;

    while (text.length > 0) {
        struct cell cell = cell_next(text);

        if (x + cell.columns > (unsigned)COLS)
            return (unsigned)COLS;
        if (cell.columns > 0)
            draw_cell(&cell, attributes, pair);
        x += cell.columns;
        text.bytes += cell.taken;
        text.length -= cell.taken;
    }
    return x;
}

void screen_begin(struct screen *screen)
{
    (void)screen;
    erase();
}

static struct known_row know(const struct row *row)
{
    struct known_row known = {FNV_BASIS, true};

    for (size_t i = 0; i < row->count; i++) {
        struct slice text = row->spans[i].text;

        for (size_t at = 0; at < text.length; at++) {
            unsigned char byte = (unsigned char)text.bytes[at];

            known.hash = (known.hash ^ byte) * FNV_PRIME;
            known.is_ascii = known.is_ascii && byte < 0x80;
        }
    }
    return known;
}

/* A terminal may take a character for wider than we do. That is wrong in its
 * row, and stays there: such a row, if it changes, is sent whole. */
static void contain(struct screen *screen, unsigned y, const struct row *row)
{
    struct known_row *before = &screen->rows[y % ROWS_KNOWN_MAX];
    struct known_row now = know(row);

    if (now.hash != before->hash && !(now.is_ascii && before->is_ascii))
        wredrawln(stdscr, (int)y, 1);
    *before = now;
}

void screen_row(struct screen *screen, unsigned y, const struct row *row)
{
    unsigned x = 0;

    if (y >= (unsigned)LINES)
        return;
    contain(screen, y, row);
    move((int)y, 0);
    for (size_t i = 0; i < row->count && x < (unsigned)COLS; i++)
        x = draw_span(screen, &row->spans[i], x);
}

void screen_end(struct screen *screen, unsigned y, unsigned x)
{
    (void)screen;
    move((int)y, (int)x);
    refresh();
}

void screen_redraw(struct screen *screen)
{
    (void)screen;
    clearok(curscr, TRUE);
}

void screen_beep(struct screen *screen)
{
    (void)screen;
    beep();
}

/* ---- The rest ----------------------------------------------------------- */

ssize_t screen_read(struct screen *screen, unsigned char *bytes, size_t size)
{
    ssize_t taken = read(STDIN_FILENO, bytes, size);

    (void)screen;
    if (taken < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    return taken;
}

void screen_resize(struct screen *screen)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 &&
        size.ws_col > 0)
        resizeterm(size.ws_row, size.ws_col);
    screen_redraw(screen);
}

void screen_suspend(struct screen *screen)
{
    tell(PASTE_OFF, sizeof(PASTE_OFF) - 1);
    endwin();
    (void)raise(SIGSTOP);
    tell(PASTE_ON, sizeof(PASTE_ON) - 1);
    screen_resize(screen);
}

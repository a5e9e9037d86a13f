/*
 * The terminal: the only file that knows curses. Draws rows cell by cell, gives
 * the bytes that are typed, and begins with screen_open; whatever happens, it
 * ends with screen_close, which leaves the terminal as it was found.
 *
 * curses is given cells, never strings, and what it is given has been tamed
 * (tame.h): nothing from the network moves a cursor or changes a colour.
 */
#ifndef RINGCHAT_CLIENT_SCREEN_H
#define RINGCHAT_CLIENT_SCREEN_H

#include "client/row.h"

#include <stddef.h>
#include <sys/types.h>
#include <termios.h>

struct screen;

/* 0, or an exit status with why: no TERM that a cursor can be moved in, no
 * terminal. */
int screen_open(struct screen **, const char **why);
void screen_close(struct screen *); /* takes NULL */

/* How many there are; 0: none. Without this call nothing has a colour. */
int screen_use_colours(struct screen *);

/* What the terminal was before. */
const struct termios *screen_saved(const struct screen *);

unsigned screen_columns(const struct screen *);
unsigned screen_rows(const struct screen *);

/* All rows from the top, each drawn anew, then what is shown: only what has
 * changed is sent. What is wider than the screen is cut. */
void screen_begin(struct screen *);
void screen_row(struct screen *, unsigned y, const struct row *);
void screen_end(struct screen *, unsigned y, unsigned x);

void screen_redraw(struct screen *); /* all of it is sent next time */
void screen_beep(struct screen *);

/* The bytes that have been typed; 0: none, -1: the terminal is gone. Never
 * waits. */
ssize_t screen_read(struct screen *, unsigned char *bytes, size_t size);

/* SIGWINCH and SIGTSTP, told by signals.h, outside of a handler. */
void screen_resize(struct screen *);
void screen_suspend(struct screen *); /* returns in the foreground */

#endif

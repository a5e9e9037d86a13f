/*
 * Signals as bytes in a pipe, so that the one loop hears of them. Handlers, not
 * signalfd(2), which a program that hangs does not read: a second SIGINT puts
 * the terminal back with what is safe in a handler, and ends it.
 *
 * SIGINT, SIGTERM and SIGHUP, and for talking SIGWINCH and SIGTSTP; but what
 * was ignored before stays so. SIGPIPE is ignored, to the very end, when
 * something may still be told on standard error: who writes is told EPIPE.
 */
#ifndef RINGCHAT_CLIENT_SIGNALS_H
#define RINGCHAT_CLIENT_SIGNALS_H

#include <termios.h>

enum signals_for { SIGNALS_TALK, SIGNALS_SCRIPT };

/* `saved`: what the terminal was, for the second SIGINT and for SIGABRT; NULL:
 * none. Returns the descriptor to wait for, or -errno. */
int signals_open(enum signals_for, const struct termios *saved);
void signals_close(void);

/* The exit status of who is ended by a signal, as a shell says it. */
static inline int signal_status(int number)
{
    return 128 + number;
}

/* The next signal that came; 0: none. */
int signals_take(void);

#endif

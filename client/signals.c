/*
 * Signals (signals.h). What handlers touch is here and of the process: they are
 * told nothing but a number.
 */
#include "client/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* Colours off, the cursor on, pasted lines as typed, the other screen left: for
 * terminals of the xterm kind; others do not mind. */
static const char restoring[] = "\033[0m\033[?25h\033[?2004l\033[?1049l\r\n";

static const int for_all[] = {SIGINT, SIGTERM, SIGHUP, 0};
static const int for_talk[] = {SIGWINCH, SIGTSTP, 0};

/* Handlers and the loop, in one thread. */
static int ends[2] = {-1, -1};
static struct termios terminal;
static bool terminal_saved;
static volatile sig_atomic_t interrupts;

/* Within a handler: tcsetattr(3) and write(2) are safe there. */
static void terminal_restore(void)
{
    if (!terminal_saved)
        return;
    tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
    if (write(STDOUT_FILENO, restoring, sizeof(restoring) - 1) < 0)
        return; /* there is nobody to tell */
}

static void on_signal(int number)
{
    int error = errno;
    unsigned char byte = (unsigned char)number;

    if (number == SIGINT && ++interrupts > 1) {
        terminal_restore();
        _exit(signal_status(SIGINT));
    }
    /* Full: then there is enough for the loop to do already. */
    if (write(ends[1], &byte, 1) < 0)
        errno = error;
    errno = error;
}

/* An assert that failed: its message is to be seen. What it was set to before
 * (SA_RESETHAND) comes next. */
static void on_abort(int number)
{
    (void)number;
    terminal_restore();
}

/* By nohup(1), or by a shell for what it starts in the background. */
static bool is_ignored(int number)
{
    struct sigaction present;

    return sigaction(number, NULL, &present) == 0 &&
           present.sa_handler == SIG_IGN;
}

static int handle(const int *numbers)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    sigfillset(&action.sa_mask);
    for (; *numbers != 0; numbers++) {
        if (!is_ignored(*numbers) && sigaction(*numbers, &action, NULL) < 0)
            return -errno;
    }
    return 0;
}

static int handle_rest(void)
{
    struct sigaction abort = {.sa_handler = on_abort,
                              .sa_flags = (int)SA_RESETHAND};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    sigfillset(&abort.sa_mask);
    sigemptyset(&ignore.sa_mask);
    if (sigaction(SIGABRT, &abort, NULL) < 0 ||
        sigaction(SIGPIPE, &ignore, NULL) < 0)
        return -errno;
    return 0;
}

int signals_open(enum signals_for use, const struct termios *saved)
{
    int error;

    terminal_saved = saved != NULL;
    if (saved)
        terminal = *saved;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    error = handle(for_all);
    if (error == 0 && use == SIGNALS_TALK)
        error = handle(for_talk);
    if (error == 0)
        error = handle_rest();
    if (error != 0)
        signals_close();
    return error != 0 ? error : ends[0];
}

static void restore_defaults(const int *numbers)
{
    struct sigaction action = {.sa_handler = SIG_DFL};

    sigemptyset(&action.sa_mask);
    for (; *numbers != 0; numbers++) {
        if (!is_ignored(*numbers))
            sigaction(*numbers, &action, NULL);
    }
}

void signals_close(void)
{
    static const int rest[] = {SIGABRT, 0};

    restore_defaults(for_all);
    restore_defaults(for_talk);
    restore_defaults(rest);
    terminal_saved = false;
    for (size_t i = 0; i < 2; i++) {
        if (ends[i] >= 0)
            close(ends[i]);
        ends[i] = -1;
    }
}

int signals_take(void)
{
    unsigned char number;

    return read(ends[0], &number, 1) == 1 ? number : 0;
}

/*
 * ringchat: the client for people and scripts. Here it is decided which of its
 * programs runs: to talk, to send lines, or to follow rooms.
 */
#include "client/complain.h"
#include "client/follow.h"
#include "client/options.h"
#include "client/send.h"
#include "client/talk.h"
#include "common/base/stdio.h"

#include <ringchat/protocol.h>

#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* Of characters alone: numbers stay as they are everywhere. Where the locale is
 * not one of UTF-8, as in containers, there is at least C.UTF-8. */
static bool choose_locale(void)
{
    /* NOLINTBEGIN(concurrency-mt-unsafe): there is one thread */
    if (setlocale(LC_CTYPE, "") && strcmp(nl_langinfo(CODESET), "UTF-8") == 0)
        return true;
    return setlocale(LC_CTYPE, "C.UTF-8") != NULL;
    /* NOLINTEND(concurrency-mt-unsafe) */
}

static int print_version(void)
{
    uint32_t version = ringchat_version();

    printf("ringchat %u.%u.%u\n", version >> 16, version >> 8 & 0xff,
           version & 0xff);
    return fflush(stdout) == 0 ? 0 : EX_IOERR;
}

static int print_help(void)
{
    fputs(options_help, stdout);
    return fflush(stdout) == 0 ? 0 : EX_IOERR;
}

static int run(const struct options *options)
{
    switch (options->mode) {
    case MODE_TALK:
        return talk_run(options);
    case MODE_SEND:
        return send_run(options);
    case MODE_FOLLOW:
        return follow_run(options);
    case MODE_HELP:
        return print_help();
    case MODE_VERSION:
        return print_version();
    }
    return EX_SOFTWARE;
}

int main(int argc, char **argv)
{
    struct options options;
    char why[WHY_BYTES];
    int status;

    if (stdio_reserve() != 0)
        return EX_OSERR;
    status = options_read(argc, argv, isatty(STDIN_FILENO),
                          isatty(STDOUT_FILENO), &options, why);
    if (status != 0) {
        complain("%s (--help)", why);
        return status;
    }
    if (!choose_locale()) {
        complain("no locale of UTF-8, not even C.UTF-8");
        return EX_OSERR;
    }
    return run(&options);
}

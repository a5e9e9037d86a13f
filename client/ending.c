/*
 * Endings (ending.h).
 */
#include "client/ending.h"

#include "client/tame.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

/* Of what a server says of it. */
#define DETAIL_BYTES_MAX 256

/* What is not the server's fault, and not the network's. */
static int status_of_call(int error, bool opened)
{
    switch (-error) {
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
        return EX_OSERR;
    case EACCES:
    case EPERM:
        return EX_NOPERM;
    default:
        return opened ? EX_TEMPFAIL : EX_UNAVAILABLE;
    }
}

int ending_status(const struct ending *ending)
{
    switch (ending->code) {
    case RINGCHAT_ERROR_NONE:
        return ending->error == 0
                   ? 0
                   : status_of_call(ending->error, ending->opened);
    case RINGCHAT_ERROR_WRONG_PROTOCOL:
    case RINGCHAT_ERROR_BAD_FRAME:
    case RINGCHAT_ERROR_TOO_LARGE:
    case RINGCHAT_ERROR_UNKNOWN_TYPE:
    case RINGCHAT_ERROR_HANDSHAKE:
    case RINGCHAT_ERROR_BAD_MAGIC:
    case RINGCHAT_ERROR_BAD_VERSION:
    case RINGCHAT_ERROR_BAD_CRC:
    case RINGCHAT_ERROR_BAD_HMAC:
    case RINGCHAT_ERROR_BAD_HEADER:
    case RINGCHAT_ERROR_REPLAY:
        return EX_PROTOCOL;
    case RINGCHAT_ERROR_AUTH_REQUIRED:
    case RINGCHAT_ERROR_AUTH_FAILED:
    case RINGCHAT_ERROR_FORBIDDEN:
    case RINGCHAT_ERROR_PLAINTEXT:
        return EX_NOPERM;
    case RINGCHAT_ERROR_BAD_NAME:
        return EX_USAGE;
    default:
        return ending->opened ? EX_TEMPFAIL : EX_UNAVAILABLE;
    }
}

/* What its name does not say to people. */
static const char *words_of(enum ringchat_error code)
{
    switch (code) {
    case RINGCHAT_ERROR_WRONG_PROTOCOL:
    case RINGCHAT_ERROR_BAD_FRAME:
    case RINGCHAT_ERROR_BAD_MAGIC:
    case RINGCHAT_ERROR_HANDSHAKE:
        return "the server speaks another dialect than the URL says, or wants "
               "--seal";
    case RINGCHAT_ERROR_BAD_HMAC:
        return "the key is not the server's, or the bytes were changed on the "
               "way";
    case RINGCHAT_ERROR_LINE_TOO_LONG:
    case RINGCHAT_ERROR_TOO_LARGE:
        return "longer than the server takes";
    case RINGCHAT_ERROR_SERVER_FULL:
        return "the server takes no more at the moment";
    case RINGCHAT_ERROR_SHUTDOWN:
        return "the server is being stopped";
    default:
        return NULL;
    }
}

static void say_detail(struct ringchat_text detail, struct builder *builder)
{
    char out[DETAIL_BYTES_MAX];
    struct slice all = {detail.bytes, detail.length};
    struct tamed tamed = tame(TAME_PLAIN, all, out, sizeof(out));

    if (tamed.length == 0)
        return;
    build_slice(builder, SLICE(" ("));
    build_slice(builder, (struct slice){out, tamed.length});
    build_slice(builder, SLICE(")"));
}

void ending_say(const struct ending *ending, struct builder *builder)
{
    const char *words;

    if (ending->code != RINGCHAT_ERROR_NONE) {
        words = words_of(ending->code);
        build_string(builder, ringchat_error_name(ending->code));
        if (words) {
            build_slice(builder, SLICE(": "));
            build_string(builder, words);
        }
    } else {
        words =
            ending->error == 0 ? "asked for" : strerrordesc_np(-ending->error);
        build_string(builder, words ? words : "an error without a name");
    }
    say_detail(ending->detail, builder);
}

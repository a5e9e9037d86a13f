/*
 * Sources of lines (source.h).
 */
#include "client/source.h"

#include "client/complain.h"
#include "common/base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

/* What a server takes at most, in the dialect that takes most, unless it has
 * been told otherwise. */
#define LINE_BYTES_MAX MIB

static int open_file(struct source *source)
{
    struct stat found;

    if (!source->name) {
        source->fd = STDIN_FILENO;
        return 0;
    }
    source->fd = open(source->name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (source->fd < 0 || fstat(source->fd, &found) < 0) {
        complain("%s: %s", source->name, strerrordesc_np(errno));
        return EX_NOINPUT;
    }
    if (S_ISDIR(found.st_mode)) {
        complain("%s: %s", source->name, strerrordesc_np(EISDIR));
        return EX_NOINPUT;
    }
    if (S_ISREG(found.st_mode))
        source->size = (uint64_t)found.st_size;
    return 0;
}

int source_open(struct source *source, const char *file)
{
    int status;

    *source = (struct source){.fd = -1};
    if (file && strcmp(file, "-") != 0)
        source->name = file;
    status = open_file(source);
    if (status == 0 && lines_init(&source->lines, LINE_BYTES_MAX) != 0) {
        complain("%s", strerrordesc_np(ENOMEM));
        status = EX_OSERR;
    }
    if (status != 0)
        source_close(source);
    return status;
}

void source_close(struct source *source)
{
    lines_release(&source->lines);
    if (source->fd > STDIN_FILENO)
        close(source->fd);
}

bool source_next(struct source *source, struct slice *line,
                 enum line_fault *fault)
{
    if (source->unread.length > 0 &&
        lines_next(&source->lines, &source->unread, line, fault))
        return true;
    return source->ended && lines_end(&source->lines, line, fault);
}

bool source_is_dry(const struct source *source)
{
    return source->unread.length == 0 && !source->ended;
}

int source_read(struct source *source)
{
    ssize_t length = read(source->fd, source->bytes, sizeof(source->bytes));

    if (length < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : -errno;
    source->ended = length == 0;
    source->unread = (struct slice){source->bytes, (size_t)length};
    source->bytes_read += (size_t)length;
    return 0;
}

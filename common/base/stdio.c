/*
 * The standard descriptors (stdio.h). POSIX lets execve(2) open what is closed
 * of them, but Linux does not, and glibc does it for set-user-ID programs only
 * (csu/check_fds.c).
 */
#include "common/base/stdio.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/*
 * fcntl(F_GETFD) asks of a number alone, whatever is open there, and fails only
 * with EBADF: it is closed. open(2) gives the lowest number that is free, which
 * is this one, for those below it are open by now. Without O_CLOEXEC, for a
 * program that we executed would need them too.
 */
int stdio_reserve(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        int opened;

        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        opened = open("/dev/null", O_RDWR);
        if (opened < 0)
            return -errno;
        assert(opened == fd);
    }
    return 0;
}

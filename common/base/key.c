/*
 * Key files (key.h). What is checked is what was opened, never the path again:
 * another file may stand there by then. The bytes go straight into the caller's
 * key, so that there is no other copy to wipe.
 */
#include "common/base/key.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

/* Of the bits that chmod(2) sets, those that a key file may not have. */
#define MODE_BITS_REFUSED (07777 & ~0600)

/* As read(2), but comes back with less than `size` only at the file's end, and
 * with -errno. */
static ssize_t read_full(int fd, uint8_t *bytes, size_t size)
{
    size_t length = 0;

    while (length < size) {
        ssize_t result = read(fd, bytes + length, size - length);

        if (result == 0)
            break;
        if (result > 0)
            length += (size_t)result;
        else if (errno != EINTR)
            return -errno;
    }
    return (ssize_t)length;
}

static int file_check(int fd, const char **why)
{
    struct stat found;

    if (fstat(fd, &found) < 0) {
        *why = strerrordesc_np(errno);
        return EX_NOINPUT;
    }
    if (!S_ISREG(found.st_mode)) {
        *why = "not a regular file";
        return EX_NOINPUT;
    }
    if (found.st_mode & MODE_BITS_REFUSED) {
        *why = "its mode is not 0600 or stricter";
        return EX_NOPERM;
    }
    return 0;
}

/* Whether the file ends with the key, only one more byte tells: its size may
 * have changed meanwhile. */
static int key_read(struct key *key, int fd, const char **why)
{
    ssize_t length = read_full(fd, key->bytes, sizeof(key->bytes));
    uint8_t more;
    ssize_t rest = length < 0 ? length : read_full(fd, &more, sizeof(more));

    if (rest < 0) {
        *why = strerrordesc_np((int)-rest);
        return EX_NOINPUT;
    }
    if (length < KEY_BYTES_MIN || rest > 0) {
        *why = "a key has 32 to 4096 bytes";
        return EX_CONFIG;
    }
    key->length = (size_t)length;
    return 0;
}
_Static_assert(KEY_BYTES_MIN == 32 && KEY_BYTES_MAX == 4096,
               "as the text above says");

int key_load(struct key *key, const char *path, const char **why)
{
    int fd, status;

    key_wipe(key);
    /* O_NONBLOCK: to open a FIFO would wait for a writer, see fifo(7). */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        *why = strerrordesc_np(errno);
        return errno == EACCES || errno == EPERM ? EX_NOPERM : EX_NOINPUT;
    }
    status = file_check(fd, why);
    if (status == 0)
        status = key_read(key, fd, why);
    close(fd);
    if (status != 0)
        key_wipe(key);
    return status;
}

void key_wipe(struct key *key)
{
    explicit_bzero(key, sizeof(*key));
}

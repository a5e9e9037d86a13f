/*
 * Key files: what is a key, byte for byte, and what is refused, with which
 * status and with nothing left in memory.
 */
#include "common/base/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define NOBODY 65534

static char folder[64];
static char path[100]; /* folder/key */

static struct key key;

static int folder_make(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/test_key.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/key", folder);
    return 0;
}

static int folder_remove(void **state)
{
    (void)state;
    remove(path);
    return rmdir(folder);
}

static int descriptors_open(void)
{
    int count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void file_make(const void *bytes, size_t length, mode_t mode)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), length);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

/* Bytes of every value, none like the ones beside it. */
static void file_make_long(size_t length, mode_t mode)
{
    static uint8_t bytes[100000];

    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(i * 7);
    file_make(bytes, length, mode);
}

/* Over a key that was there before, so that it is seen what stays of it. */
static int load(const char *from, const char **why)
{
    int before = descriptors_open(), status;

    memset(&key, 0xa5, sizeof(key));
    status = key_load(&key, from, why);
    assert_int_equal(descriptors_open(), before);
    return status;
}

/* What is behind the key's end is zero. */
static void assert_loads(const char *from, const void *bytes, size_t length)
{
    static const uint8_t zeros[KEY_BYTES_MAX];
    const char *why = "nothing";

    assert_int_equal(load(from, &why), 0);
    assert_string_equal(why, "nothing");
    assert_int_equal(key.length, length);
    assert_memory_equal(key.bytes, bytes, length);
    assert_memory_equal(key.bytes + length, zeros, KEY_BYTES_MAX - length);
}

static void assert_refused(const char *from, int status, const char *text)
{
    static const struct key wiped;
    const char *why = "";

    assert_int_equal(load(from, &why), status);
    assert_string_equal(why, text);
    assert_memory_equal(&key, &wiped, sizeof(key));
}

/* ---- What is in it ------------------------------------------------------ */

static void test_lengths(void **state)
{
    static const size_t good[] = {32, 33, 4095, 4096};
    static const size_t bad[] = {0, 1, 31, 4097, 8192, 100000};
    uint8_t bytes[KEY_BYTES_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        file_make_long(good[i], 0600);
        assert_loads(path, bytes, good[i]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        file_make_long(bad[i], 0600);
        assert_refused(path, 78, "a key has 32 to 4096 bytes");
    }
}

/* Nothing is dropped or ends a key: not a NUL, not a line feed, not even one
 * at the end, which makes these just long enough. */
static void test_bytes(void **state)
{
    static const char keys[][33] = {
        "0123456789abcdef0123456789abcde\n",
        "0123456789abcdef\n123456789abcd\r\n",
        "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
        " 123456789abcdef\0 123456789abc\n\0",
        "\0",
        "\xff\xfe\x80\x1a\x04",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        file_make(keys[i], 32, 0600);
        assert_loads(path, keys[i], 32);
    }
    file_make("0123456789abcdef0123456789abcd\n", 31, 0600);
    assert_refused(path, 78, "a key has 32 to 4096 bytes");
}

/* A file may say that it has no bytes, and have them: proc(5). */
static void test_size_is_not_believed(void **state)
{
    uint8_t bytes[KEY_BYTES_MAX];
    int fd = open("/proc/self/auxv", O_RDONLY);
    ssize_t length = read(fd, bytes, sizeof(bytes));

    (void)state;
    close(fd);
    assert_true(length >= KEY_BYTES_MIN);
    assert_loads("/proc/self/auxv", bytes, (size_t)length);
}

/* Twice is once. */
static void test_wipe(void **state)
{
    static const struct key wiped;

    (void)state;
    memset(&key, 0xa5, sizeof(key));
    key_wipe(&key);
    assert_memory_equal(&key, &wiped, sizeof(key));
    key_wipe(&key);
    assert_memory_equal(&key, &wiped, sizeof(key));
}

/* ---- What it is --------------------------------------------------------- */

static void test_modes(void **state)
{
    static const char bytes[32] = "a key";

    (void)state;
    file_make(bytes, sizeof(bytes), 0600);
    assert_loads(path, bytes, sizeof(bytes));
    assert_int_equal(chmod(path, 0400), 0);
    assert_loads(path, bytes, sizeof(bytes));
    for (mode_t bit = 1; bit <= 04000; bit <<= 1) {
        if (bit & 0600)
            continue;
        assert_int_equal(chmod(path, 0400 | bit), 0);
        assert_refused(path, 77, "its mode is not 0600 or stricter");
        assert_int_equal(chmod(path, 0600 | bit), 0);
        assert_refused(path, 77, "its mode is not 0600 or stricter");
    }
}

/* What others can read is no key, whatever its length. */
static void test_mode_before_length(void **state)
{
    (void)state;
    file_make_long(31, 0644);
    assert_refused(path, 77, "its mode is not 0600 or stricter");
    file_make_long(4097, 0640);
    assert_refused(path, 77, "its mode is not 0600 or stricter");
}

static void test_missing(void **state)
{
    static char long_name[5000];
    char below[128];

    (void)state;
    assert_refused(path, 66, strerrordesc_np(ENOENT));
    assert_refused("", 66, strerrordesc_np(ENOENT));
    file_make_long(32, 0600);
    snprintf(below, sizeof(below), "%s/key", path);
    assert_refused(below, 66, strerrordesc_np(ENOTDIR));
    memset(long_name, 'k', sizeof(long_name) - 1);
    assert_refused(long_name, 66, strerrordesc_np(ENAMETOOLONG));
}

/* As the owner of a file that may only be written, or as a stranger. */
static void test_not_readable(void **state)
{
    uid_t user = geteuid();
    const char *why = "";
    int status;

    (void)state;
    file_make_long(32, 0200);
    assert_int_equal(chmod(folder, 0755), 0);
    if (user == 0) /* root may read everything */
        assert_int_equal(seteuid(NOBODY), 0);
    status = load(path, &why);
    assert_int_equal(seteuid(user), 0);
    assert_int_equal(status, 77);
    assert_string_equal(why, strerrordesc_np(EACCES));
    assert_int_equal(key.length, 0);
}

static void test_folder(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path, 0600), 0);
    assert_refused(path, 66, "not a regular file");
}

/* Nobody writes into it, and nobody waits for that. */
static void test_fifo(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(path, 66, "not a regular file");
}

static void test_socket(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    memcpy(address.sun_path, path, strlen(path));
    assert_int_equal(bind(fd, (void *)&address, sizeof(address)), 0);
    assert_refused(path, 66, strerrordesc_np(ENXIO));
    close(fd);
}

static void test_device(void **state)
{
    (void)state;
    assert_refused("/dev/null", 66, "not a regular file");
    assert_refused("/dev/zero", 66, "not a regular file");
}

/* It counts what is at its end: the mode of a link says nothing. */
static void test_symlink(void **state)
{
    static const char bytes[32] = "a key";
    char target[128];

    (void)state;
    snprintf(target, sizeof(target), "%s/target", folder);
    file_make(bytes, sizeof(bytes), 0600);
    assert_int_equal(rename(path, target), 0);
    assert_int_equal(symlink(target, path), 0);
    assert_loads(path, bytes, sizeof(bytes));
    assert_int_equal(chmod(target, 0640), 0);
    assert_refused(path, 77, "its mode is not 0600 or stricter");
    assert_int_equal(unlink(target), 0);
    assert_refused(path, 66, strerrordesc_np(ENOENT));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("key", path), 0);
    assert_refused(path, 66, strerrordesc_np(ELOOP));
}

/* A regular file of mode 0600 that can be opened and, at its start, where no
 * memory is, not be read: proc(5). */
static void test_read_error(void **state)
{
    (void)state;
    assert_refused("/proc/self/mem", 66, strerrordesc_np(EIO));
}

#define WITH_FOLDER(test)                                                      \
    cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_lengths),
        WITH_FOLDER(test_bytes),
        cmocka_unit_test(test_size_is_not_believed),
        cmocka_unit_test(test_wipe),
        WITH_FOLDER(test_modes),
        WITH_FOLDER(test_mode_before_length),
        WITH_FOLDER(test_missing),
        WITH_FOLDER(test_not_readable),
        WITH_FOLDER(test_folder),
        WITH_FOLDER(test_fifo),
        WITH_FOLDER(test_socket),
        cmocka_unit_test(test_device),
        WITH_FOLDER(test_symlink),
        cmocka_unit_test(test_read_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

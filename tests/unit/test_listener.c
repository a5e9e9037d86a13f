/*
 * Listen addresses: what is one, what happens to what already stands at a Unix
 * path, and what remains after closing. Every TCP port is the kernel's choice
 * and every path is in a folder of the test's own.
 */
#include "common/base/listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define RACERS 16

static char folder[64];
static char path[100]; /* folder/socket */
static char url[128];  /* text+unix://path */

static int folder_make(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/test_listener.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/socket", folder);
    snprintf(url, sizeof(url), "text+unix://%s", path);
    return 0;
}

static int folder_remove(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static int open_url(struct listener *listener, const char *text)
{
    const char *why = "";
    int error;

    assert_null(listener_parse(listener, text));
    error = listener_open(listener, &why);
    if (error != 0) {
        assert_true(error < 0);
        assert_int_equal(listener->fd, -1);
        assert_true(why[0] != '\0');
    }
    return error;
}

static long url_port(const struct listener *listener)
{
    return strtol(strrchr(listener->url, ':') + 1, NULL, 10);
}

static struct sockaddr_un path_address(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memcpy(address.sun_path, path, strlen(path) + 1);
    return address;
}

/* A socket at `path` that is not one of listener.c's. */
static int foreign_socket(int type)
{
    struct sockaddr_un address = path_address();
    int fd = socket(AF_UNIX, type, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (void *)&address, sizeof(address)), 0);
    return fd;
}

/* Returns 0 or errno. */
static int connect_path(void)
{
    struct sockaddr_un address = path_address();
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int result = connect(fd, (void *)&address, sizeof(address)) < 0 ? errno : 0;

    close(fd);
    return result;
}

static bool path_exists(void)
{
    struct stat found;

    return lstat(path, &found) == 0;
}

static int descriptors_open(void)
{
    int count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* ---- Parsing ------------------------------------------------------------ */

static void test_parse(void **state)
{
    static const struct {
        const char *url, *scheme;
        int family;
    } cases[] = {
        {"text://127.0.0.1:4000", "text", AF_INET},
        {"frame://0.0.0.0:0", "frame", AF_INET},
        {"text://127.0.0.1:65535", "text", AF_INET},
        {"secure://[::1]:9999", "secure", AF_INET6},
        {"text://[::]:0", "text", AF_INET6},
        {"text://[fe80::1%lo]:1", "text", AF_INET6},
        {"text://[::ffff:1.2.3.4]:1", "text", AF_INET6},
        {"text+tls://127.0.0.1:1", "text+tls", AF_INET},
        {"text+unix:///tmp/s", "text", AF_UNIX},
        {"text+tls+unix:///tmp/s", "text+tls", AF_UNIX},
        {"text+unix:///tmp/a://b", "text", AF_UNIX},
        {"fifteen-letters://127.0.0.1:1", "fifteen-letters", AF_INET},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct listener listener;

        assert_null(listener_parse(&listener, cases[i].url));
        assert_string_equal(listener.scheme, cases[i].scheme);
        assert_string_equal(listener.url, cases[i].url);
        assert_int_equal(listener.address.ss_family, cases[i].family);
        assert_int_equal(listener.fd, -1);
        listener_close(&listener);
    }
}

static void test_parse_addresses(void **state)
{
    struct listener listener;
    const struct sockaddr_in *v4 = (const void *)&listener.address;
    const struct sockaddr_in6 *v6 = (const void *)&listener.address;
    const struct sockaddr_un *un = (const void *)&listener.address;

    (void)state;
    assert_null(listener_parse(&listener, "text://1.2.3.4:4000"));
    assert_int_equal(ntohl(v4->sin_addr.s_addr), 0x01020304);
    assert_int_equal(ntohs(v4->sin_port), 4000);
    assert_int_equal(listener.address_length, sizeof(*v4));
    assert_null(listener_parse(&listener, "text://[fe80::1%1]:4000"));
    assert_int_equal(v6->sin6_addr.s6_addr[0], 0xfe);
    assert_int_equal(v6->sin6_scope_id, 1);
    assert_int_equal(ntohs(v6->sin6_port), 4000);
    assert_int_equal(listener.address_length, sizeof(*v6));
    assert_null(listener_parse(&listener, "text+unix:///tmp/s"));
    assert_string_equal(un->sun_path, "/tmp/s");
}

static const char *const malformed[] = {
    "",
    "text",
    "text:",
    "text:/127.0.0.1:1",
    "127.0.0.1:4000",
    "://127.0.0.1:4000",
    "+unix:///tmp/s",
    "sixteen--letters://127.0.0.1:1",
    "text://",
    "text://127.0.0.1",
    "text://127.0.0.1:",
    "text://:4000",
    "text://*:4000",
    "text://localhost:4000",
    "text://127.1:4000",
    "text://0x7f.0.0.1:4000",
    "text://256.0.0.1:4000",
    "text://127.0.0.1:65536",
    "text://127.0.0.1:-1",
    "text://127.0.0.1:+1",
    "text://127.0.0.1:4000/",
    "text://127.0.0.1:4000 ",
    "text://127.0.0.1: 4000",
    "text://127.0.0.1:http",
    "text://127.0.0.1:000004000",
    "text://127.0.0.1:99999999999999999999",
    "text://::1:4000",
    "text://[::1]",
    "text://[::1]4000",
    "text://[::1:4000",
    "text://[]:4000",
    "text://[127.0.0.1]:4000",
    "text://[localhost]:4000",
    "text://[::1%nosuchzone]:4000",
    "text+unix://",
    "text+unix://tmp/s",
    "text+unix://localhost/tmp/s",
};

static void test_parse_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(malformed); i++) {
        struct listener listener;
        const char *wrong = listener_parse(&listener, malformed[i]);

        if (!wrong)
            print_message("taken: %s\n", malformed[i]);
        assert_non_null(wrong);
        assert_int_equal(listener.fd, -1);
    }
}

/* The longest path fits, and so does its URL; one byte more does not, nor does
 * any length of host. */
static void test_parse_lengths(void **state)
{
    static const char prefix[] = "fifteen-letters+unix://";
    char text[1024];
    struct listener listener;

    (void)state;
    for (size_t length = 1; length < 500; length++) {
        const char *wrong;

        memset(text, '/', sizeof(text));
        memcpy(text, prefix, strlen(prefix));
        text[strlen(prefix) + length] = '\0';
        wrong = listener_parse(&listener, text);
        assert_int_equal(!wrong, length <= 107);
        if (wrong)
            assert_non_null(strstr(wrong, "too long"));
        else
            assert_string_equal(listener.url, text);
        memset(text, '1', sizeof(text));
        memcpy(text, "text://[", 8);
        memcpy(text + 8 + length, "]:1", 4);
        assert_non_null(listener_parse(&listener, text));
        memcpy(text, "text://1", 8);
        memcpy(text + 8 + length, ":1", 3);
        assert_non_null(listener_parse(&listener, text));
    }
}

/* ---- TCP ---------------------------------------------------------------- */

static void test_tcp(void **state)
{
    static const char *const urls[] = {"text://127.0.0.1:0", "text://[::1]:0"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(urls); i++) {
        struct listener listener, second;
        int error = open_url(&listener, urls[i]);

        if (i == 1 && (error == -EADDRNOTAVAIL || error == -EAFNOSUPPORT))
            continue; /* a machine without IPv6 */
        assert_int_equal(error, 0);
        assert_true(fcntl(listener.fd, F_GETFD) & FD_CLOEXEC);
        assert_false(fcntl(listener.fd, F_GETFL) & O_NONBLOCK);
        assert_true(url_port(&listener) > 0);
        assert_int_equal(open_url(&second, listener.url), -EADDRINUSE);
        listener_close(&listener);
        listener_close(&listener);
        assert_int_equal(listener.fd, -1);
    }
}

/* The port of a URL and that of the address are the same, and somebody can
 * connect to it. */
static void test_tcp_real_port(void **state)
{
    struct listener listener;
    const struct sockaddr_in *address = (const void *)&listener.address;
    int fd;

    (void)state;
    assert_int_equal(open_url(&listener, "text://127.0.0.1:0"), 0);
    assert_int_equal(url_port(&listener), ntohs(address->sin_port));
    fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const void *)address, sizeof(*address)), 0);
    close(fd);
    listener_close(&listener);
}

/* 192.0.2.1 and 2001:db8::1 are nobody's: RFC 5737, RFC 3849. The others no
 * machine can have as they stand. */
static void test_tcp_foreign_address(void **state)
{
    static const char *const urls[] = {
        "text://192.0.2.1:0",
        "text://[2001:db8::1]:0",
        "text://[fe80::1]:0", /* of which link? */
        "text://[fe80::1%2147483647]:0",
        "text://[ff02::1]:0", /* a group's */
        "text://[::ffff:192.0.2.1]:0",
    };
    struct listener listener;
    int before = descriptors_open();

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(urls); i++)
        assert_int_equal(open_url(&listener, urls[i]), -EADDRNOTAVAIL);
    assert_int_equal(descriptors_open(), before);
}

/* ---- Unix sockets ------------------------------------------------------- */

static void test_unix(void **state)
{
    struct listener listener;
    int before = descriptors_open();

    (void)state;
    assert_int_equal(open_url(&listener, url), 0);
    assert_string_equal(listener.url, url);
    assert_int_equal(descriptors_open(), before + 1);
    assert_int_equal(connect_path(), 0);
    listener_close(&listener);
    listener_close(&listener);
    assert_false(path_exists());
    assert_int_equal(descriptors_open(), before);
}

/* Whatever the process takes away from the files that it makes. */
static void test_unix_mode(void **state)
{
    static const mode_t masks[] = {0, 022, 077, 0777};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(masks); i++) {
        mode_t before = umask(masks[i]);
        struct listener listener;
        struct stat made;

        assert_int_equal(open_url(&listener, url), 0);
        assert_int_equal(umask(before), masks[i]);
        assert_int_equal(lstat(path, &made), 0);
        assert_true(S_ISSOCK(made.st_mode));
        assert_int_equal(made.st_mode & 07777, 0660);
        listener_close(&listener);
    }
}

static void test_unix_live(void **state)
{
    struct listener first, second;

    (void)state;
    assert_int_equal(open_url(&first, url), 0);
    assert_int_equal(open_url(&second, url), -EADDRINUSE);
    assert_int_equal(connect_path(), 0);
    listener_close(&second);
    assert_true(path_exists());
    listener_close(&first);
}

static void test_unix_live_with_full_backlog(void **state)
{
    struct sockaddr_un address = path_address();
    struct listener listener;
    int server = foreign_socket(SOCK_STREAM);
    int client = -1, waiting[16], count = 0, result;

    (void)state;
    assert_int_equal(listen(server, 0), 0);
    do {
        client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        result = connect(client, (void *)&address, sizeof(address));
        waiting[count++] = client;
    } while (result == 0 && count < (int)ARRAY_LENGTH(waiting));
    assert_int_equal(connect_path(), EAGAIN);
    assert_int_equal(open_url(&listener, url), -EADDRINUSE);
    assert_true(path_exists());
    while (count > 0)
        close(waiting[--count]);
    close(server);
}

static void test_unix_live_datagram(void **state)
{
    struct listener listener;
    int server = foreign_socket(SOCK_DGRAM);

    (void)state;
    assert_int_equal(open_url(&listener, url), -EADDRINUSE);
    assert_true(path_exists());
    close(server);
}

static void test_unix_stale(void **state)
{
    struct listener listener;

    (void)state;
    close(foreign_socket(SOCK_STREAM));
    assert_int_equal(connect_path(), ECONNREFUSED);
    assert_int_equal(open_url(&listener, url), 0);
    assert_int_equal(connect_path(), 0);
    listener_close(&listener);
    assert_false(path_exists());
}

static void test_unix_file(void **state)
{
    struct listener listener;
    char text[5] = "";
    int fd = open(path, O_CREAT | O_RDWR, 0600);

    (void)state;
    assert_int_equal(write(fd, "text", 4), 4);
    assert_int_equal(open_url(&listener, url), -EEXIST);
    assert_int_equal(pread(fd, text, 4, 0), 4);
    assert_string_equal(text, "text");
    assert_true(path_exists());
    close(fd);
}

static void test_unix_folder_at_the_path(void **state)
{
    struct listener listener;

    (void)state;
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(open_url(&listener, url), -EEXIST);
    assert_int_equal(rmdir(path), 0);
}

/* To nothing, to a stale socket: none is followed or replaced. */
static void test_unix_symlink(void **state)
{
    struct listener listener;
    struct stat found;
    char target[100];

    (void)state;
    snprintf(target, sizeof(target), "%s/target", folder);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(open_url(&listener, url), -EEXIST);
    assert_int_equal(lstat(target, &found), -1);

    unlink(path);
    close(foreign_socket(SOCK_STREAM));
    assert_int_equal(rename(path, target), 0);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(open_url(&listener, url), -EEXIST);
    assert_int_equal(lstat(path, &found), 0);
    assert_true(S_ISLNK(found.st_mode));
    assert_int_equal(unlink(target), 0);
}

static void test_unix_folder_missing(void **state)
{
    struct listener listener;
    char text[128];
    int before = descriptors_open();

    (void)state;
    snprintf(text, sizeof(text), "text+unix://%s/none/socket", folder);
    assert_int_equal(open_url(&listener, text), -ENOENT);
    close(open(path, O_CREAT | O_RDWR, 0600));
    snprintf(text, sizeof(text), "text+unix://%s/socket", path);
    assert_int_equal(open_url(&listener, text), -ENOTDIR);
    assert_int_equal(open_url(&listener, "text+unix:///"), -EEXIST);
    assert_int_equal(descriptors_open(), before);
}

#define NOBODY 65534

static void test_unix_folder_not_writable(void **state)
{
    struct listener listener;
    uid_t user = geteuid();
    int error;

    (void)state;
    assert_int_equal(chmod(folder, 0555), 0);
    if (user == 0) /* root may write anywhere */
        assert_int_equal(seteuid(NOBODY), 0);
    error = open_url(&listener, url);
    assert_int_equal(seteuid(user), 0);
    assert_int_equal(chmod(folder, 0700), 0);
    assert_int_equal(error, -EACCES);
}

/* What another put in place of ours stays when we close. */
static void test_unix_replaced_by_another(void **state)
{
    struct listener listener;
    int other;

    (void)state;
    assert_int_equal(open_url(&listener, url), 0);
    assert_int_equal(unlink(path), 0);
    other = foreign_socket(SOCK_STREAM);
    assert_int_equal(listen(other, 1), 0);
    listener_close(&listener);
    assert_int_equal(connect_path(), 0);
    close(other);
}

/* In a child: waits until `start` ends, opens, and if it wins, holds on until
 * `stop` ends. */
static void race(int start, int stop)
{
    struct listener listener;
    const char *why;
    char byte;
    int error;

    listener_parse(&listener, url);
    if (read(start, &byte, 1) != 0)
        _exit(1);
    error = listener_open(&listener, &why);
    if (error == 0 && read(stop, &byte, 1) != 0)
        _exit(1);
    _exit(-error);
}

/* Many find the same stale socket at once: one replaces it, the others find
 * that one live. */
static void test_unix_race_for_a_stale_one(void **state)
{
    int start[2], stop[2], status;

    (void)state;
    close(foreign_socket(SOCK_STREAM));
    assert_int_equal(pipe(start), 0);
    assert_int_equal(pipe(stop), 0);
    for (int i = 0; i < RACERS; i++) {
        if (fork() != 0)
            continue;
        close(start[1]);
        close(stop[1]);
        race(start[0], stop[0]);
    }
    close(start[1]);
    for (int i = 0; i < RACERS - 1; i++) {
        assert_true(wait(&status) > 0);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), EADDRINUSE);
    }
    assert_int_equal(connect_path(), 0);
    close(stop[1]);
    assert_true(wait(&status) > 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    close(start[0]);
    close(stop[0]);
}

/* Another program that locks the folder does not hang us. */
static void test_unix_folder_locked(void **state)
{
    struct listener listener;
    int fd = open(folder, O_RDONLY | O_DIRECTORY);

    (void)state;
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(open_url(&listener, url), -EWOULDBLOCK);
    assert_false(path_exists());
    close(fd);
    assert_int_equal(open_url(&listener, url), 0);
    listener_close(&listener);
}

/* ---- What programs end with --------------------------------------------- */

static void test_status(void **state)
{
    static const struct {
        const char *url;
        int error, status;
    } cases[] = {
        {"text://127.0.0.1:1", -EADDRINUSE, 69},
        {"text://127.0.0.1:1", -EADDRNOTAVAIL, 69},
        {"text://[::1]:1", -EAFNOSUPPORT, 69},
        {"text://127.0.0.1:1", -EACCES, 77},
        {"text://127.0.0.1:1", -EMFILE, 71},
        {"text+unix:///tmp/s", -EADDRINUSE, 69},
        {"text+unix:///tmp/s", -EWOULDBLOCK, 69},
        {"text+unix:///tmp/s", -EEXIST, 73},
        {"text+unix:///tmp/s", -ENOENT, 73},
        {"text+unix:///tmp/s", -ENOTDIR, 73},
        {"text+unix:///tmp/s", -EROFS, 73},
        {"text+unix:///tmp/s", -EACCES, 73},
        {"text+unix:///tmp/s", -EPERM, 73},
        {"text+unix:///tmp/s", -ENOMEM, 71},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct listener listener;

        assert_null(listener_parse(&listener, cases[i].url));
        assert_int_equal(listener_status(&listener, cases[i].error),
                         cases[i].status);
    }
}

/* ---- Peers -------------------------------------------------------------- */

static struct sockaddr_storage peer(const char *text)
{
    struct listener listener;

    assert_null(listener_parse(&listener, text));
    return listener.address;
}

static void test_peer_text(void **state)
{
    static const char *const urls[] = {
        "127.0.0.1:5000",
        "255.255.255.255:65535",
        "[::1]:5000",
        "[fe80::1%lo]:5000",
        "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
    };
    struct sockaddr_storage address, local = {.ss_family = AF_UNIX};
    char text[PEER_TEXT_BYTES], listen_url[128];

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(urls); i++) {
        snprintf(listen_url, sizeof(listen_url), "text://%s", urls[i]);
        address = peer(listen_url);
        peer_text(&address, text);
        assert_string_equal(text, urls[i]);
    }
    peer_text(&local, text);
    assert_string_equal(text, "unix");
}

static void test_peer_key(void **state)
{
    static const struct {
        const char *url;
        uint8_t key[16];
    } cases[] = {
        {"text://1.2.3.4:5",
         {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4}},
        {"text://[2001:db8:1:2:3:4:5:6]:7",
         {0x20, 1, 0xd, 0xb8, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0}},
        {"text://[2001:db8:1:2::]:8",
         {0x20, 1, 0xd, 0xb8, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0}},
    };
    struct sockaddr_storage local = {.ss_family = AF_UNIX};
    uint8_t key[16];

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct sockaddr_storage address = peer(cases[i].url);

        memset(key, 0xaa, sizeof(key));
        assert_true(peer_key(&address, key));
        assert_memory_equal(key, cases[i].key, sizeof(key));
    }
    assert_false(peer_key(&local, key));
}

#define WITH_FOLDER(test)                                                      \
    cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_addresses),
        cmocka_unit_test(test_parse_faults),
        cmocka_unit_test(test_parse_lengths),
        cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_tcp_real_port),
        cmocka_unit_test(test_tcp_foreign_address),
        WITH_FOLDER(test_unix),
        WITH_FOLDER(test_unix_mode),
        WITH_FOLDER(test_unix_live),
        WITH_FOLDER(test_unix_live_with_full_backlog),
        WITH_FOLDER(test_unix_live_datagram),
        WITH_FOLDER(test_unix_stale),
        WITH_FOLDER(test_unix_file),
        WITH_FOLDER(test_unix_folder_at_the_path),
        WITH_FOLDER(test_unix_symlink),
        WITH_FOLDER(test_unix_folder_missing),
        WITH_FOLDER(test_unix_folder_not_writable),
        WITH_FOLDER(test_unix_replaced_by_another),
        WITH_FOLDER(test_unix_race_for_a_stale_one),
        WITH_FOLDER(test_unix_folder_locked),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_peer_text),
        cmocka_unit_test(test_peer_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

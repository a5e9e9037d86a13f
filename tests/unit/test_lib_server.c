/*
 * A server in a library: it leaves nothing behind, and runs and stops in
 * whatever thread.
 */
#include "common/base/log.h"
#include "lib/server.h"

#include "tests/unit/support_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define URL "text://127.0.0.1:0"

static const char *const one_url[] = {URL};

static struct ringchat_server_config plain_config(void)
{
    struct ringchat_server_config config = {
        RINGCHAT_SIZED(config),
        .listen = one_url,
        .listen_count = 1,
        .engine = RINGCHAT_ENGINE_EPOLL,
    };

    return config;
}

static int descriptors_open(void)
{
    int count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* ---- Peers --------------------------------------------------------------- */

/* With a time-out. */
static int connect_to(const char *url)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)strtoul(strrchr(url, ':') + 1, NULL, 10)),
    };
    struct timeval patience = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (const void *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -errno;
}

static void send_line(int fd, const char *line)
{
    char text[256];
    int length = snprintf(text, sizeof(text), "%s\n", line);

    assert_int_equal(send(fd, text, (size_t)length, MSG_NOSIGNAL), length);
}

/* The next line begins so; NULL: there is none. */
static void expect_line(int fd, const char *begin)
{
    char line[512];
    size_t length = 0;

    while (length < sizeof(line) - 1 && recv(fd, line + length, 1, 0) == 1 &&
           line[length] != '\n')
        length++;
    line[length] = '\0';
    if (begin)
        assert_memory_equal(line, begin, strlen(begin));
    else
        assert_string_equal(line, "");
}

static int enter(const struct ringchat_server *server)
{
    int fd = connect_to(ringchat_server_url(server, 0));

    assert_true(fd >= 0);
    expect_line(fd, "* welcome to ringchat, you are guest-");
    return fd;
}

/* ---- An application ------------------------------------------------------ */

struct counts {
    _Atomic unsigned opened, heard, closed;
    struct ringchat_server *server; /* to be stopped by `stop` */
};

static bool on_open(struct ringchat_peer *peer, void *user)
{
    struct counts *counts = user;

    assert_null(ringchat_peer_user(peer));
    assert_int_equal(ringchat_peer_dialect(peer), RINGCHAT_TEXT);
    assert_in_range(ringchat_peer_worker(peer), 0, 1);
    ringchat_peer_set_user(peer, &counts->opened);
    atomic_fetch_add(&counts->opened, 1);
    return true;
}

static bool is(const struct ringchat_message *message, const char *text)
{
    return message->text.length == strlen(text) &&
           memcmp(message->text.bytes, text, message->text.length) == 0;
}

/* What has no place in a message of a server's, and what has. */
static void misuse(struct ringchat_peer *peer)
{
    struct ringchat_message message = {
        RINGCHAT_SIZED(message),
        .kind = RINGCHAT_REPLY,
        .text = {"x", 1},
    };

    assert_int_equal(ringchat_peer_say(NULL, "x", 1), -EINVAL);
    assert_int_equal(ringchat_peer_say(peer, NULL, 1), -EINVAL);
    assert_int_equal(ringchat_peer_say(peer, "\n", 1), -EINVAL);
    assert_int_equal(ringchat_peer_post(peer, NULL), -EINVAL);
    assert_int_equal(ringchat_peer_post(peer, &message), -EINVAL);
    message.kind = RINGCHAT_MESSAGE;
    message.nick = (struct ringchat_text){NULL, 1};
    assert_int_equal(ringchat_peer_post(peer, &message), -EINVAL);
    message.nick = (struct ringchat_text){"a b", 3};
    assert_int_equal(ringchat_peer_post(peer, &message), -EINVAL);
    message.nick = (struct ringchat_text){"bob", 3};
    message.kind = RINGCHAT_PRIVATE;
    assert_int_equal(ringchat_peer_post(NULL, &message), -EINVAL);
    assert_int_equal(ringchat_peer_post(peer, &message), 0);
    assert_int_equal(ringchat_peer_reply(peer, NULL, 1, false), -EINVAL);
    assert_int_equal(ringchat_peer_refuse(peer, 0, NULL), -EINVAL);
    assert_int_equal(
        ringchat_peer_refuse(peer, RINGCHAT_ERROR_AUTH_FAILED, NULL), -EINVAL);
    assert_int_equal(ringchat_peer_refuse(peer, RINGCHAT_ERROR_USAGE, "\n"),
                     -EINVAL);
    assert_int_equal(ringchat_peer_refuse(peer, RINGCHAT_ERROR_USAGE, NULL), 0);
    assert_int_equal(ringchat_peer_refuse(peer, RINGCHAT_ERROR_USAGE, NULL),
                     -EINVAL);
}

static void on_message(struct ringchat_peer *peer,
                       const struct ringchat_message *message, void *user)
{
    struct counts *counts = user;

    atomic_fetch_add(&counts->heard, 1);
    assert_ptr_equal(ringchat_peer_user(peer), &counts->opened);
    assert_int_equal(message->size, sizeof(*message));
    if (message->kind == RINGCHAT_COMMAND && is(message, "two")) {
        assert_int_equal(ringchat_peer_reply(peer, "one", 3, true), 0);
        assert_int_equal(ringchat_peer_reply(peer, NULL, 0, false), 0);
    } else if (is(message, "misuse")) {
        misuse(peer);
    } else if (is(message, "close")) {
        ringchat_peer_close(peer);
    } else if (is(message, "stop")) {
        ringchat_server_stop(counts->server);
    } else {
        assert_int_equal(
            ringchat_peer_say(peer, message->text.bytes, message->text.length),
            0);
    }
}

static void on_close(struct ringchat_peer *peer, enum ringchat_reason reason,
                     enum ringchat_error code, void *user)
{
    struct counts *counts = user;

    assert_ptr_equal(ringchat_peer_user(peer), &counts->opened);
    assert_int_equal(code != 0, reason == RINGCHAT_REASON_ERROR);
    atomic_fetch_add(&counts->closed, 1);
}

static const struct ringchat_application counting = {sizeof(counting), on_open,
                                                     on_message, on_close};

static struct ringchat_server *
make(const struct ringchat_server_config *config,
     const struct ringchat_application *application, struct counts *counts)
{
    struct ringchat_server *server;
    const char *why;
    size_t which;

    assert_int_equal(ringchat_server_create(&server, config, application,
                                            counts, &why, &which),
                     0);
    if (counts)
        counts->server = server;
    return server;
}

/* ---- Making, and unmaking ------------------------------------------------ */

static void test_made_and_unmade(void **state)
{
    struct ringchat_server_config config = plain_config();
    int before = descriptors_open(), fd;
    struct ringchat_server *server;
    char url[LISTENER_URL_BYTES];

    (void)state;
    errno = EDOM;
    server = make(&config, &counting, NULL);
    assert_int_equal(errno, EDOM);
    assert_null(ringchat_server_url(server, 1));
    (void)snprintf(url, sizeof(url), "%s", ringchat_server_url(server, 0));
    assert_string_not_equal(url, URL);
    fd = connect_to(url); /* waits to be served */
    assert_true(fd >= 0);
    close(fd);
    ringchat_server_destroy(server);
    assert_int_equal(connect_to(url), -ECONNREFUSED);
    assert_int_equal(descriptors_open(), before);
}

static void test_listener_in_use(void **state)
{
    struct ringchat_server_config config = plain_config();
    struct ringchat_server *first = make(&config, &counting, NULL), *second;
    const char *urls[] = {URL, ringchat_server_url(first, 0)};
    int before = descriptors_open();
    const char *why = "";
    size_t which = 99;

    (void)state;
    config.listen = urls;
    config.listen_count = 2;
    assert_int_equal(
        ringchat_server_create(&second, &config, &counting, NULL, &why, &which),
        -EADDRINUSE);
    assert_int_equal(which, 1);
    assert_string_equal(why, "Address already in use");
    assert_int_equal(descriptors_open(), before);
    ringchat_server_destroy(first);
}

static void test_nobody(void **state)
{
    (void)state;
    ringchat_server_destroy(NULL);
    ringchat_server_stop(NULL);
    assert_int_equal(ringchat_server_run(NULL), -EINVAL);
    assert_null(ringchat_server_url(NULL, 0));
    ringchat_peer_close(NULL);
    ringchat_peer_set_user(NULL, NULL);
    assert_null(ringchat_peer_user(NULL));
    assert_int_equal(ringchat_peer_nick(NULL).length, 0);
    assert_int_equal(ringchat_peer_worker(NULL), 0);
    assert_int_equal(ringchat_peer_dialect(NULL), RINGCHAT_TEXT);
    assert_int_equal(ringchat_peer_reply(NULL, "", 0, false), -EINVAL);
    assert_int_equal(ringchat_peer_refuse(NULL, RINGCHAT_ERROR_USAGE, NULL),
                     -EINVAL);
}

/* ---- Running ------------------------------------------------------------- */

struct runner {
    struct ringchat_server *server;
    pthread_t thread;
    unsigned fail_at; /* the allocation, in its own thread */
    unsigned long allocations;
    int result;
};

static void *run_it(void *user)
{
    struct runner *runner = user;
    unsigned long before = alloc_count();

    alloc_fail_at(runner->fail_at);
    runner->result = ringchat_server_run(runner->server);
    alloc_fail_at(0);
    runner->allocations = alloc_count() - before;
    return NULL;
}

static void start(struct runner *runner)
{
    assert_int_equal(pthread_create(&runner->thread, NULL, run_it, runner), 0);
}

static void finish(struct runner *runner)
{
    pthread_join(runner->thread, NULL);
    ringchat_server_destroy(runner->server);
}

/* Where there is no io_uring, it is said when it is asked for. */
static void test_engine_asked_for(void **state)
{
    struct ringchat_server_config config = plain_config();
    struct runner runner = {.result = 1};

    (void)state;
    config.engine = RINGCHAT_ENGINE_URING;
    runner.server = make(&config, &counting, NULL);
    ringchat_server_stop(runner.server);
    start(&runner);
    finish(&runner);
    assert_true(runner.result == 0 || runner.result == -ENOSYS);
}

static void converse(const struct ringchat_server *server)
{
    int fd = enter(server);

    send_line(fd, "hello");
    expect_line(fd, "[ringchat] ringchat: hello");
    send_line(fd, "/two");
    expect_line(fd, "* one");
    expect_line(fd, "* ");
    send_line(fd, "misuse");
    expect_line(fd, "(private) bob: x");
    expect_line(fd, "! usage");
    send_line(fd, "close");
    expect_line(fd, "* bye");
    expect_line(fd, NULL);
    close(fd);
}

static void runs_and_stops(enum ringchat_engine engine, uint32_t workers)
{
    struct ringchat_server_config config = plain_config();
    int before = descriptors_open();
    struct counts counts = {.opened = 0};
    struct runner runner = {.result = 1};
    int left;

    config.engine = engine;
    config.workers = workers;
    runner.server = make(&config, &counting, &counts);
    start(&runner);
    for (int i = 0; i < 3; i++)
        converse(runner.server);
    left = enter(runner.server);
    ringchat_server_stop(runner.server);
    expect_line(left, "! shutdown");
    expect_line(left, NULL);
    close(left);
    finish(&runner);
    assert_int_equal(runner.result, 0);
    assert_int_equal(counts.opened, 4);
    assert_int_equal(counts.heard, 12);
    assert_int_equal(counts.closed, 4);
    assert_int_equal(descriptors_open(), before);
}

static void test_runs_and_stops(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= 2; workers++) {
        runs_and_stops(RINGCHAT_ENGINE_AUTO, workers);
        runs_and_stops(RINGCHAT_ENGINE_EPOLL, workers);
    }
}

static void test_runs_once(void **state)
{
    struct ringchat_server_config config = plain_config();
    struct ringchat_server *server = make(&config, &counting, NULL);
    char url[LISTENER_URL_BYTES];

    (void)state;
    (void)snprintf(url, sizeof(url), "%s", ringchat_server_url(server, 0));
    ringchat_server_stop(server); /* before it runs */
    errno = EDOM;
    assert_int_equal(ringchat_server_run(server), 0);
    assert_int_equal(errno, EDOM);
    assert_int_equal(connect_to(url), -ECONNREFUSED);
    assert_int_equal(ringchat_server_run(server), -EALREADY);
    ringchat_server_stop(server);
    ringchat_server_destroy(server);
}

static void test_stopped_by_a_message(void **state)
{
    struct ringchat_server_config config = plain_config();
    struct counts counts = {.opened = 0};
    struct runner runner = {.server = make(&config, &counting, &counts)};
    int fd;

    (void)state;
    start(&runner);
    fd = enter(runner.server);
    send_line(fd, "stop");
    expect_line(fd, "! shutdown");
    close(fd);
    finish(&runner);
    assert_int_equal(runner.result, 0);
    assert_int_equal(counts.closed, 1);
}

/* A peer that takes nothing more: by the first call it would be waited for, for
 * more than a month. */
static void stops_at_once(uint32_t workers)
{
    struct ringchat_server_config config = plain_config();
    struct counts counts = {.opened = 0};
    struct runner runner = {.result = 1};
    struct timespec pause = {.tv_nsec = 100000000};
    int slow, small = 4096;
    char many[8192];

    memset(many, 'x', sizeof(many));
    for (size_t at = 1000; at < sizeof(many); at += 1000)
        many[at] = '\n';
    config.engine = RINGCHAT_ENGINE_AUTO;
    config.workers = workers;
    config.drain_timeout_ms = UINT32_MAX - 1;
    config.stall_timeout_ms = UINT32_MAX;
    runner.server = make(&config, &counting, &counts);
    start(&runner);
    slow = enter(runner.server);
    setsockopt(slow, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    while (send(slow, many, sizeof(many), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        ;
    nanosleep(&pause, NULL);
    while (send(slow, many, sizeof(many), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        ;
    ringchat_server_stop(runner.server);
    nanosleep(&pause, NULL);
    assert_int_equal(counts.closed, 0);
    ringchat_server_stop(runner.server);
    finish(&runner);
    assert_int_equal(runner.result, 0);
    assert_int_equal(counts.closed, 1);
    close(slow);
}

static void test_stops_at_once(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= 3; workers++)
        stops_at_once(workers);
}

/* Each is alone in its threads, and knows nothing of the other. */
static void test_two_servers(void **state)
{
    struct ringchat_server_config config = plain_config();
    struct counts counts[2] = {{.opened = 0}};
    struct runner runners[2] = {{.result = 1}};

    (void)state;
    config.engine = RINGCHAT_ENGINE_AUTO;
    config.workers = 2;
    for (int i = 0; i < 2; i++) {
        runners[i].server = make(&config, &counting, &counts[i]);
        start(&runners[i]);
    }
    converse(runners[0].server);
    ringchat_server_stop(runners[0].server);
    finish(&runners[0]);
    converse(runners[1].server);
    ringchat_server_stop(runners[1].server);
    finish(&runners[1]);
    for (int i = 0; i < 2; i++)
        assert_int_equal(counts[i].closed, 1);
}

/* An application may leave out whatever it does not need. */
static void test_no_functions(void **state)
{
    static const struct ringchat_application nothing = {
        RINGCHAT_SIZED(nothing)};
    struct ringchat_server_config config = plain_config();
    struct runner runner = {.server = make(&config, &nothing, NULL)};
    int fd;

    (void)state;
    start(&runner);
    fd = enter(runner.server);
    send_line(fd, "hello");
    send_line(fd, "/x");
    expect_line(fd, "! unknown-command");
    close(fd);
    ringchat_server_stop(runner.server);
    finish(&runner);
    assert_int_equal(runner.result, 0);
}

/* ---- Want of memory ------------------------------------------------------ */

static void test_made_without_memory(void **state)
{
    struct ringchat_server_config config = plain_config();
    int before = descriptors_open();
    unsigned n = 1;
    int error;

    (void)state;
    do {
        struct ringchat_server *server = NULL;

        alloc_fail_at(n++);
        error = ringchat_server_create(&server, &config, &counting, NULL, NULL,
                                       NULL);
        alloc_fail_at(0);
        assert_true(error == 0 || error == -ENOMEM);
        ringchat_server_destroy(server);
    } while (error != 0);
    assert_true(n > 2);
    assert_int_equal(descriptors_open(), before);
}

/* Whichever allocation of its start fails: it runs, and stops, or it does not
 * and says so, and nothing is left behind. */
static void test_runs_without_memory(void **state)
{
    struct ringchat_server_config config = plain_config();
    int before = descriptors_open();
    unsigned n = 1, failed = 0;
    struct runner runner;

    (void)state;
    config.workers = 2;
    do {
        runner = (struct runner){.fail_at = n++};
        runner.server = make(&config, &counting, NULL);
        ringchat_server_stop(runner.server);
        start(&runner);
        finish(&runner);
        assert_true(runner.result == 0 || runner.result == -ENOMEM);
        failed += runner.result != 0;
    } while (runner.allocations >= runner.fail_at);
    assert_true(failed > 5);
    assert_int_equal(descriptors_open(), before);
}

static int be_quiet(void **state)
{
    (void)state;
    log_init(LOG_ERROR, LOG_LOGFMT);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_and_unmade),
        cmocka_unit_test(test_listener_in_use),
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_engine_asked_for),
        cmocka_unit_test(test_runs_and_stops),
        cmocka_unit_test(test_runs_once),
        cmocka_unit_test(test_stopped_by_a_message),
        cmocka_unit_test(test_stops_at_once),
        cmocka_unit_test(test_two_servers),
        cmocka_unit_test(test_no_functions),
        cmocka_unit_test(test_made_without_memory),
        cmocka_unit_test(test_runs_without_memory),
    };

    return cmocka_run_group_tests(tests, be_quiet, NULL);
}

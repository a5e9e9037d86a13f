/*
 * What may be asked of a server in a library: the defaults of ringchatd, and
 * what is refused, with a word on why.
 */
#include "common/base/clock.h"
#include "lib/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define URL "text://127.0.0.1:0"

static const char *const one_url[] = {URL};
static const char key[KEY_BYTES_MIN] = "x";

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

static struct options taken(const struct ringchat_server_config *config)
{
    struct options options;
    const char *why;
    size_t which;

    assert_int_equal(server_config_take(config, &options, &why, &which), 0);
    assert_null(why);
    assert_int_equal(which, config->listen_count);
    return options;
}

/* What the last stage has by default. */
static struct options options_of_ringchatd(void)
{
    static const struct program program = {"stage5-threads", 5};
    char name[] = "stage5-threads", listen[] = "--listen", url[] = URL;
    char *arguments[] = {name, listen, url, NULL};
    struct options options;
    int status;

    assert_int_equal(options_parse(&options, &program, 3, arguments, &status),
                     OPTIONS_RUN);
    return options;
}

static void test_defaults(void **state)
{
    struct options theirs = options_of_ringchatd();
    struct ringchat_server_config config = plain_config();
    struct options ours;

    (void)state;
    config.engine = RINGCHAT_ENGINE_AUTO;
    config.workers = (uint32_t)theirs.workers;
    ours = taken(&config);
    assert_int_equal(ours.listener_count, theirs.listener_count);
    assert_string_equal(ours.listeners[0].url, theirs.listeners[0].url);
    assert_int_equal(ours.max_line_bytes, theirs.max_line_bytes);
    assert_int_equal(ours.max_frame_bytes, theirs.max_frame_bytes);
    assert_int_equal(ours.max_message_bytes, theirs.max_message_bytes);
    assert_int_equal(ours.max_connections, theirs.max_connections);
    assert_int_equal(ours.max_per_address, theirs.max_per_address);
    assert_int_equal(ours.max_memory_bytes, theirs.max_memory_bytes);
    assert_int_equal(ours.handshake_timeout_ns, theirs.handshake_timeout_ns);
    assert_int_equal(ours.frame_timeout_ns, theirs.frame_timeout_ns);
    assert_int_equal(ours.idle_timeout_ns, theirs.idle_timeout_ns);
    assert_int_equal(ours.heartbeat_ns, theirs.heartbeat_ns);
    assert_int_equal(ours.stall_timeout_ns, theirs.stall_timeout_ns);
    assert_int_equal(ours.drain_timeout_ns, theirs.drain_timeout_ns);
    assert_int_equal(ours.room_window_bytes, theirs.room_window_bytes);
    assert_int_equal(ours.require_encryption, theirs.require_encryption);
    assert_true(ours.rate_per_second == theirs.rate_per_second);
    assert_int_equal(ours.io, theirs.io);
    config.workers = 0;
    assert_int_equal(taken(&config).workers, 1);
}

static void test_all_that_can_be_asked_for(void **state)
{
    static const char *const urls[] = {"frame://[::1]:7", "secure://0.0.0.0:9"};
    struct ringchat_server_config config = {
        RINGCHAT_SIZED(config),
        .listen = urls,
        .listen_count = 2,
        .key = key,
        .key_bytes = sizeof(key),
        .seal = true,
        .name = "desk",
        .engine = RINGCHAT_ENGINE_URING,
        .workers = 64,
        .connections_max = 10,
        .connections_per_address_max = 11,
        .memory_bytes_max = 12 * MIB,
        .line_bytes_max = 13,
        .frame_bytes_max = 65535,
        .message_bytes_max = 32 * MIB,
        .rate_per_second = 0.5,
        .handshake_timeout_ms = 1500,
        .frame_timeout_ms = UINT32_MAX,
        .idle_timeout_ms = 1,
        .heartbeat_ms = 65535000,
        .stall_timeout_ms = UINT32_MAX - 1,
        .drain_timeout_ms = UINT32_MAX,
    };
    struct options options = taken(&config);

    (void)state;
    assert_int_equal(options.listener_count, 2);
    assert_string_equal(options.listeners[1].scheme, "secure");
    assert_int_equal(options.listeners[1].fd, -1);
    assert_int_equal(options.key.length, sizeof(key));
    assert_memory_equal(options.key.bytes, key, sizeof(key));
    assert_true(options.require_encryption);
    assert_string_equal(server_config_name(&config), "desk");
    assert_int_equal(options.io, IO_URING);
    assert_int_equal(options.workers, 64);
    assert_int_equal(options.max_connections, 10);
    assert_int_equal(options.max_per_address, 11);
    assert_int_equal(options.max_memory_bytes, 12 * MIB);
    assert_int_equal(options.max_line_bytes, 13);
    assert_int_equal(options.max_frame_bytes, 65535);
    assert_int_equal(options.max_message_bytes, 32 * MIB);
    assert_true(options.rate_per_second == 0.5);
    assert_int_equal(options.handshake_timeout_ns, 1500000000);
    assert_int_equal(options.frame_timeout_ns, 0);
    assert_int_equal(options.idle_timeout_ns, 1000000);
    assert_int_equal(options.heartbeat_ns, 65535 * NS_PER_SECOND);
    assert_int_equal(options.stall_timeout_ns,
                     (UINT32_MAX - 1) * UINT64_C(1000000));
    assert_int_equal(options.drain_timeout_ns, 0);
}

static const char *const no_url[] = {"text://127.0.0.1:0", NULL};
static const char *const bad_url[] = {"text://127.0.0.1:0", "nonsense"};
static const char *const bad_dialect[] = {"text+tls://127.0.0.1:0"};
static const char *const secure_url[] = {"text://127.0.0.1:0",
                                         "secure://127.0.0.1:0"};

static const struct {
    struct ringchat_server_config config;
    size_t which;
    const char *why;
} faults[] = {
    {{.listen_count = 1}, 1, "not 1 to 16 listeners"},
    {{.listen = one_url}, 0, "not 1 to 16 listeners"},
    {{.listen = one_url, .listen_count = 17}, 17, "not 1 to 16 listeners"},
    {{.listen = no_url, .listen_count = 2}, 1, "NULL is no URL"},
    {{.listen = bad_url, .listen_count = 2}, 1, "not SCHEME://ADDRESS"},
    {{.listen = bad_dialect, .listen_count = 1}, 0, "not a dialect"},
    {{.listen = secure_url, .listen_count = 2}, 1, "needs a key"},
    {{.listen = one_url, .listen_count = 1, .key_bytes = 1}, 1, "a key "},
    {{.listen = one_url, .listen_count = 1, .key = key, .key_bytes = 31},
     1,
     "a key has 32 to 4096 bytes"},
    {{.listen = one_url, .listen_count = 1, .key = key, .key_bytes = 4097},
     1,
     "a key has 32 to 4096 bytes"},
    {{.listen = one_url, .listen_count = 1, .name = ""}, 1, "the name "},
    {{.listen = one_url, .listen_count = 1, .name = "a.b"}, 1, "the name "},
    {{.listen = one_url, .listen_count = 1, .name = "1"}, 1, "the name "},
    {{.listen = one_url, .listen_count = 1, .name = "guest-0000"},
     1,
     "the name "},
    {{.listen = one_url,
      .listen_count = 1,
      .name = "a234567890123456789012345"},
     1,
     "the name "},
    {{.listen = one_url, .listen_count = 1, .engine = 3}, 1, "no such engine"},
    {{.listen = one_url, .listen_count = 1, .workers = 65},
     1,
     "more than 64 workers"},
    {{.listen = one_url, .listen_count = 1, .connections_max = 1U << 31},
     1,
     "more connections "},
    {{.listen = one_url,
      .listen_count = 1,
      .connections_per_address_max = 1U << 31},
     1,
     "more connections "},
    {{.listen = one_url, .listen_count = 1, .memory_bytes_max = MIB - 1},
     1,
     "memory_bytes_max "},
    {{.listen = one_url, .listen_count = 1, .memory_bytes_max = UINT64_MAX},
     1,
     "memory_bytes_max "},
    {{.listen = one_url, .listen_count = 1, .line_bytes_max = MIB + 1},
     1,
     "line_bytes_max "},
    {{.listen = one_url, .listen_count = 1, .frame_bytes_max = 25},
     1,
     "frame_bytes_max "},
    {{.listen = one_url, .listen_count = 1, .frame_bytes_max = 65536},
     1,
     "frame_bytes_max "},
    {{.listen = one_url, .listen_count = 1, .message_bytes_max = 32 * MIB + 1},
     1,
     "message_bytes_max "},
    {{.listen = one_url, .listen_count = 1, .rate_per_second = -1},
     1,
     "rate_per_second "},
    {{.listen = one_url,
      .listen_count = 1,
      .rate_per_second = __builtin_nan("")},
     1,
     "rate_per_second "},
    {{.listen = one_url, .listen_count = 1, .heartbeat_ms = 65535001},
     1,
     "heartbeat_ms "},
};

static void test_what_cannot_be(void **state)
{
    static const struct ringchat_application nobody = {RINGCHAT_SIZED(nobody)};
    int before = descriptors_open();

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(faults); i++) {
        struct ringchat_server_config config = faults[i].config;
        struct ringchat_server *server = NULL;
        const char *why = NULL;
        size_t which = 99;

        config.size = sizeof(config);
        errno = EDOM;
        assert_int_equal(ringchat_server_create(&server, &config, &nobody, NULL,
                                                &why, &which),
                         -EINVAL);
        assert_int_equal(errno, EDOM);
        assert_null(server);
        assert_memory_equal(why, faults[i].why, strlen(faults[i].why));
        assert_int_equal(which, faults[i].which);
    }
    assert_int_equal(descriptors_open(), before);
}

/* A later program, which asks for what we do not know; and one that is wrong.
 */
static void test_sizes(void **state)
{
    static const struct ringchat_application nobody = {RINGCHAT_SIZED(nobody)};
    static const struct ringchat_application sizeless;
    struct {
        struct ringchat_server_config known;
        uint64_t later;
    } config = {.known = plain_config()};
    struct ringchat_server *server;
    size_t which = 99;

    (void)state;
    config.known.size = sizeof(config);
    assert_int_equal(ringchat_server_create(&server, &config.known, &nobody,
                                            NULL, NULL, NULL),
                     0);
    ringchat_server_destroy(server);
    assert_int_equal(ringchat_server_create(&server, &config.known, &sizeless,
                                            NULL, NULL, &which),
                     -EINVAL);
    assert_int_equal(which, 1); /* no listener's fault */
    config.later = 1;
    assert_int_equal(ringchat_server_create(&server, &config.known, &nobody,
                                            NULL, NULL, NULL),
                     -EINVAL);
    config.known.size = 0;
    assert_int_equal(ringchat_server_create(&server, &config.known, &nobody,
                                            NULL, NULL, NULL),
                     -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_all_that_can_be_asked_for),
        cmocka_unit_test(test_what_cannot_be),
        cmocka_unit_test(test_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

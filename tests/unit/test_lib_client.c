/*
 * The client's public functions, used rightly and wrongly: a mistake of the
 * caller's is told, and nothing happens. There is no server: nobody listens
 * where these clients go.
 */
#include <ringchat/client.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_alloc.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define NOWHERE "text://127.0.0.1:1"

static const unsigned char key[32];
static struct ringchat_client *client;

static struct ringchat_client_config config_of(const char *url)
{
    return (struct ringchat_client_config){
        .size = sizeof(struct ringchat_client_config),
        .url = url,
        .backoff_first_ms = 5,
        .backoff_max_ms = 20,
    };
}

static int create(const struct ringchat_client_config *config)
{
    return ringchat_client_create(&client, config, NULL, NULL, NULL);
}

static int create_at(const char *url)
{
    struct ringchat_client_config config = config_of(url);

    return create(&config);
}

static int begin(void **state)
{
    (void)state;
    return create_at(NOWHERE);
}

static int end(void **state)
{
    (void)state;
    ringchat_client_destroy(client);
    client = NULL;
    return 0;
}

/* ---- Configurations ----------------------------------------------------- */

static void test_urls(void **state)
{
    static const char *const good[] = {
        "text://127.0.0.1:4000", "text://127.0.0.1",    "text://localhost",
        "text://localhost:1",    "frame://[::1]",       "frame://[::1]:5",
        "text+unix:///tmp/x",    "frame+unix:///tmp/x",
    };
    static const char *const bad[] = {
        "",
        "text",
        "text://",
        "text://:1",
        "text://host",
        "text://host:1",
        "text://1.2.3.4:",
        "text://1.2.3.4:65536",
        "text://1.2.3.4:x",
        "text://[::1",
        "text://[::1]x",
        "text://::1",
        "http://1.2.3.4",
        "text+unix://tmp",
        "text+tls://1.2.3.4",
        "+unix:///tmp/x",
        "TEXT://1.2.3.4",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(create_at(good[i]), 0);
        ringchat_client_destroy(client);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(create_at(bad[i]), -EINVAL);
    assert_int_equal(create_at(NULL), -EINVAL);
}

static void refuse(const struct ringchat_client_config *config)
{
    const char *why = NULL;
    struct ringchat_client *made = NULL;

    assert_int_equal(ringchat_client_create(&made, config, NULL, NULL, &why),
                     -EINVAL);
    assert_null(made);
    assert_true(why && strlen(why) > 0);
}

static void test_keys(void **state)
{
    struct ringchat_client_config config = config_of("secure://127.0.0.1");

    (void)state;
    refuse(&config);
    config.key = key;
    config.key_bytes = 31;
    refuse(&config);
    config.key_bytes = 4097;
    refuse(&config);
    config.key_bytes = sizeof(key);
    config.seal = true;
    assert_int_equal(create(&config), 0);
    ringchat_client_destroy(client);
    config.url = "frame://127.0.0.1";
    refuse(&config);
}

static void test_names(void **state)
{
    static const char *const rooms[] = {"den", "#den", "a b"};
    const char *many[17];
    struct ringchat_client_config config = config_of(NOWHERE);

    (void)state;
    config.nick = "guest-1234";
    refuse(&config);
    config.nick = "a b";
    refuse(&config);
    config.nick = "ada";
    config.rooms = rooms;
    config.room_count = 3;
    refuse(&config);
    config.room_count = 2;
    assert_int_equal(create(&config), 0);
    assert_int_equal(ringchat_client_room(client, 0).length, 3);
    assert_int_equal(ringchat_client_room(client, 1).length, 0);
    ringchat_client_destroy(client);
    for (size_t i = 0; i < 17; i++)
        many[i] = "den";
    config.rooms = many;
    config.room_count = 17;
    refuse(&config);
    config.rooms = NULL;
    refuse(&config);
}

/* A program of an earlier version, and of a later one. */
static void test_sizes(void **state)
{
    struct {
        struct ringchat_client_config config;
        uint64_t later;
    } larger = {config_of(NOWHERE), 0};
    struct ringchat_client_callbacks callbacks = {.size = 1};
    struct ringchat_client_config config = config_of(NOWHERE);

    (void)state;
    larger.config.size = sizeof(larger);
    assert_int_equal(create(&larger.config), 0);
    ringchat_client_destroy(client);
    larger.later = 1;
    refuse(&larger.config);
    config.size = offsetof(struct ringchat_client_config, key);
    assert_int_equal(create(&config), 0);
    ringchat_client_destroy(client);
    config.size = 1;
    refuse(&config);
    config = config_of(NOWHERE);
    config.message_bytes_max = UINT32_MAX;
    refuse(&config);
    config = config_of(NOWHERE);
    assert_int_equal(
        ringchat_client_create(&client, &config, &callbacks, NULL, NULL),
        -EINVAL);
}

static void test_no_memory(void **state)
{
    struct ringchat_client_config config = config_of("secure://127.0.0.1");
    int result = -ENOMEM;

    (void)state;
    config.key = key;
    config.key_bytes = sizeof(key);
    for (unsigned n = 1; result == -ENOMEM; n++) {
        client = NULL;
        alloc_fail_at(n);
        result = create(&config);
        assert_true(result == 0 || (result == -ENOMEM && !client));
    }
    alloc_fail_at(0);
    assert_int_equal(result, 0);
    ringchat_client_destroy(client);
}

/* ---- Nobody ------------------------------------------------------------- */

static void test_null(void **state)
{
    struct ringchat_client_config config = config_of(NOWHERE);
    char url[10];

    (void)state;
    assert_int_equal(ringchat_client_create(NULL, &config, NULL, NULL, NULL),
                     -EINVAL);
    assert_int_equal(create(NULL), -EINVAL);
    ringchat_client_destroy(NULL);
    ringchat_client_close(NULL);
    ringchat_client_interrupt(NULL);
    ringchat_client_set_user(NULL, NULL);
    ringchat_client_wants(NULL, NULL);
    ringchat_client_figures(NULL, NULL);
    assert_null(ringchat_client_user(NULL));
    assert_int_equal(ringchat_client_start(NULL), -EINVAL);
    assert_int_equal(ringchat_client_handle(NULL), -EINVAL);
    assert_int_equal(ringchat_client_step(NULL, 0), -EINVAL);
    assert_int_equal(ringchat_client_run(NULL), -EINVAL);
    assert_int_equal(ringchat_client_say(NULL, NULL, "x", 1, NULL), -EINVAL);
    assert_int_equal(ringchat_client_tell(NULL, "bob", "x", 1, NULL), -EINVAL);
    assert_int_equal(ringchat_client_post(NULL, NULL, NULL), -EINVAL);
    assert_int_equal(ringchat_client_command(NULL, "x", 1, NULL), -EINVAL);
    assert_int_equal(ringchat_client_join(NULL, "den", NULL), -EINVAL);
    assert_int_equal(ringchat_client_leave(NULL, "den", NULL), -EINVAL);
    assert_int_equal(ringchat_client_rename(NULL, "ada", NULL), -EINVAL);
    assert_int_equal(ringchat_client_state(NULL), RINGCHAT_CLOSED);
    assert_int_equal(ringchat_client_nick(NULL).length, 0);
    assert_int_equal(ringchat_client_room(NULL, 0).length, 0);
    assert_int_equal(ringchat_url_resolve(NULL, url, sizeof(url)), -EINVAL);
    assert_int_equal(ringchat_url_resolve(NOWHERE, NULL, 0), -EINVAL);
}

static void test_what_may_not_be_said(void **state)
{
    struct ringchat_message message = {RINGCHAT_SIZED(message)};

    (void)state;
    assert_int_equal(ringchat_client_say(client, NULL, NULL, 3, NULL), -EINVAL);
    assert_int_equal(ringchat_client_say(client, NULL, "x", 0, NULL), -EINVAL);
    assert_int_equal(ringchat_client_say(client, NULL, "\n", 1, NULL), -EINVAL);
    assert_int_equal(ringchat_client_say(client, NULL, "\xff", 1, NULL),
                     -EINVAL);
    assert_int_equal(ringchat_client_say(client, "", "x", 1, NULL), -EINVAL);
    assert_int_equal(ringchat_client_say(client, "##a", "x", 1, NULL), -EINVAL);
    assert_int_equal(ringchat_client_tell(client, NULL, "x", 1, NULL), -EINVAL);
    assert_int_equal(ringchat_client_tell(client, "", "x", 1, NULL), -EINVAL);
    assert_int_equal(ringchat_client_tell(client, "guest-1234", "x", 1, NULL),
                     0);
    assert_int_equal(ringchat_client_join(client, NULL, NULL), -EINVAL);
    assert_int_equal(ringchat_client_leave(client, NULL, NULL), -EINVAL);
    assert_int_equal(ringchat_client_rename(client, NULL, NULL), -EINVAL);
    assert_int_equal(ringchat_client_post(client, NULL, NULL), -EINVAL);
    assert_int_equal(ringchat_client_post(client, &message, NULL), -EINVAL);
    message.kind = RINGCHAT_MESSAGE;
    message.text = (struct ringchat_text){"x", 1};
    message.content_type = (struct ringchat_text){"\n", 1};
    assert_int_equal(ringchat_client_post(client, &message, NULL), -EINVAL);
    message.content_type = (struct ringchat_text){"image/png", 9};
    assert_int_equal(ringchat_client_post(client, &message, NULL), -ENOTSUP);
    message.content_type = (struct ringchat_text){"TEXT/html", 9};
    assert_int_equal(ringchat_client_post(client, &message, NULL), 0);
    message.content_type = (struct ringchat_text){NULL, 9};
    assert_int_equal(ringchat_client_post(client, &message, NULL), -EINVAL);
    message.content_type.length = 0;
    message.kind = RINGCHAT_PRIVATE;
    message.nick = (struct ringchat_text){NULL, 3};
    assert_int_equal(ringchat_client_post(client, &message, NULL), -EINVAL);
}

/* ---- Its life ----------------------------------------------------------- */

static void test_user(void **state)
{
    int mine;

    (void)state;
    assert_null(ringchat_client_user(client));
    ringchat_client_set_user(client, &mine);
    assert_ptr_equal(ringchat_client_user(client), &mine);
}

static void test_start(void **state)
{
    (void)state;
    assert_int_equal(ringchat_client_state(client), RINGCHAT_IDLE);
    assert_int_equal(ringchat_client_start(client), 0);
    assert_int_equal(ringchat_client_start(client), -EALREADY);
    assert_int_equal(ringchat_client_state(client), RINGCHAT_CONNECTING);
}

/* One that has not begun wants to be handled; one that is over, nothing. */
static void test_wants(void **state)
{
    struct ringchat_wants wants = {RINGCHAT_SIZED(wants)};

    (void)state;
    ringchat_client_wants(client, &wants);
    assert_int_equal(wants.fd, -1);
    assert_int_equal(wants.timeout_ms, 0);
    ringchat_client_close(client);
    while (ringchat_client_handle(client) == 0)
        ;
    assert_int_equal(ringchat_client_handle(client), -ESHUTDOWN);
    assert_int_equal(ringchat_client_step(client, -1), -ESHUTDOWN);
    ringchat_client_wants(client, &wants);
    assert_int_equal(wants.fd, -1);
    assert_int_equal(wants.timeout_ms, -1);
    assert_true(wants.deadline_ns == UINT64_MAX);
}

static void test_closed(void **state)
{
    (void)state;
    ringchat_client_close(client);
    assert_int_equal(ringchat_client_run(client), 0);
    assert_int_equal(ringchat_client_state(client), RINGCHAT_CLOSED);
    assert_int_equal(ringchat_client_run(client), 0);
    assert_int_equal(ringchat_client_say(client, NULL, "x", 1, NULL),
                     -ESHUTDOWN);
    assert_int_equal(ringchat_client_start(client), -EALREADY);
    ringchat_client_close(client);
}

static void test_run_says_why(void **state)
{
    struct ringchat_client_config config = config_of(NOWHERE);

    (void)state;
    config.attempts_max = 2;
    assert_int_equal(create(&config), 0);
    assert_int_equal(ringchat_client_run(client), -ECONNREFUSED);
    ringchat_client_destroy(client);
}

static void test_interrupt(void **state)
{
    (void)state;
    ringchat_client_interrupt(client);
    ringchat_client_interrupt(client);
    assert_int_equal(ringchat_client_run(client), -EINTR);
    ringchat_client_interrupt(client);
    assert_int_equal(ringchat_client_step(client, -1), -EINTR);
    assert_in_range(ringchat_client_step(client, 0), 0, 1);
}

static void test_own_descriptors(void **state)
{
    struct ringchat_client *other;
    struct ringchat_client_config config = config_of(NOWHERE);
    int before = dup(0), after;

    (void)state;
    close(before);
    assert_int_equal(ringchat_client_create(&other, &config, NULL, NULL, NULL),
                     0);
    ringchat_client_step(other, 10);
    ringchat_client_destroy(other);
    after = dup(0);
    close(after);
    assert_int_equal(before, after);
}

/* ---- Callbacks ---------------------------------------------------------- */

struct witness {
    unsigned changes, done;
    int nested;
    bool destroys;
};

static void on_changed(struct ringchat_client *changed,
                       const struct ringchat_change *change, void *user)
{
    struct witness *witness = user;

    witness->changes++;
    witness->nested = ringchat_client_handle(changed);
    assert_int_equal(ringchat_client_step(changed, 0), -EDEADLK);
    assert_int_equal(ringchat_client_run(changed), -EDEADLK);
    if (change->to == RINGCHAT_WAITING && witness->destroys)
        ringchat_client_destroy(changed);
    else if (change->to == RINGCHAT_WAITING)
        ringchat_client_close(changed);
}

static void on_done(struct ringchat_client *of,
                    const struct ringchat_result *result, void *user)
{
    struct witness *witness = user;

    (void)of;
    witness->done++;
    assert_int_equal(result->error, -ECANCELED);
}

static void create_with(struct witness *witness)
{
    struct ringchat_client_config config = config_of(NOWHERE);
    struct ringchat_client_callbacks callbacks = {
        RINGCHAT_SIZED(callbacks), .changed = on_changed, .done = on_done};

    config.close_timeout_ms = 50;
    assert_int_equal(
        ringchat_client_create(&client, &config, &callbacks, witness, NULL), 0);
}

static void test_close_within_a_callback(void **state)
{
    struct witness witness = {0};
    uint64_t ticket;

    (void)state;
    create_with(&witness);
    assert_int_equal(ringchat_client_say(client, NULL, "x", 1, &ticket), 0);
    assert_int_equal(ringchat_client_run(client), -ETIMEDOUT);
    assert_int_equal(witness.nested, -EDEADLK);
    assert_int_equal(witness.done, 1);
    assert_true(witness.changes >= 4);
    ringchat_client_destroy(client);
}

static void test_destroy_within_a_callback(void **state)
{
    struct witness witness = {.destroys = true};

    (void)state;
    create_with(&witness);
    assert_int_equal(ringchat_client_run(client), -ESHUTDOWN);
    create_with(&witness);
    while (ringchat_client_handle(client) == 0)
        ;
    create_with(&witness);
    while (ringchat_client_step(client, 100) >= 0)
        ;
    assert_int_equal(witness.done, 0);
}

/* ---- Names -------------------------------------------------------------- */

static void resolve(const char *url, const char *expected)
{
    char out[64];

    assert_int_equal(ringchat_url_resolve(url, out, sizeof(out)), 0);
    assert_string_equal(out, expected);
}

/* No name is looked up here that would leave this machine. */
static void test_resolve(void **state)
{
    char out[64];

    (void)state;
    resolve(NOWHERE, NOWHERE);
    resolve("frame://[::1]", "frame://[::1]");
    resolve("secure+unix:///tmp/x", "secure+unix:///tmp/x");
    resolve("text://localhost", "text://localhost");
    assert_int_equal(ringchat_url_resolve("nonsense", out, sizeof(out)),
                     -EINVAL);
    assert_int_equal(ringchat_url_resolve("text+unix://x", out, sizeof(out)),
                     -EINVAL);
    assert_int_equal(ringchat_url_resolve("text://[::1]:x", out, sizeof(out)),
                     -EINVAL);
    assert_int_equal(ringchat_url_resolve(NOWHERE, out, sizeof(NOWHERE) - 1),
                     -ENOBUFS);
    assert_int_equal(ringchat_url_resolve("text://a..b:1", out, sizeof(out)),
                     -EHOSTUNREACH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_null),
#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)
        CASE(test_what_may_not_be_said),
        CASE(test_user),
        CASE(test_start),
        CASE(test_wants),
        CASE(test_closed),
        CASE(test_interrupt),
        CASE(test_own_descriptors),
#undef CASE
        cmocka_unit_test(test_run_says_why),
        cmocka_unit_test(test_close_within_a_callback),
        cmocka_unit_test(test_destroy_within_a_callback),
        cmocka_unit_test(test_resolve),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

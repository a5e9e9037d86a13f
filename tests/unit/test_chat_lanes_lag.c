/*
 * Members that fall behind, each in its own encoding: what is kept for one is
 * what fits the window there, and what it missed is counted truthfully.
 */
#include "tests/unit/support_chat_members.h"

#include <string.h>

/* One stalls, the others read; what is kept for it is what fits the window in
 * its own encoding. */
static void stalled(enum encoding reader, uint64_t window, int length)
{
    enum encoding speaker =
        reader == ENCODING_TEXT ? ENCODING_FRAME : ENCODING_TEXT;
    unsigned count = (unsigned)(2 * window / (uint64_t)length) + 20;
    struct chat_config config = quiet_config();
    struct account slow = {.next = 0};

    config.room_window_bytes = window;
    start_members_with(&config);
    client_stall(members[reader]);
    for (unsigned i = 0; i < count; i++) {
        say_number(speaker, i, length);
        engine_run();
    }
    client_unstall(members[reader]);
    account_all(&slow, reader);
    assert_int_equal(slow.next, count);
    assert_int_equal(slow.told, 1);
    assert_in_range(slow.missed, 1, count - 1);
    assert_int_equal(engine_metrics().lagged, slow.missed);
    if (window > slow.record)
        assert_in_range(slow.bytes, window - slow.record, window);
    else
        assert_in_range(slow.bytes, 1, slow.record);
    for (enum encoding e = 0; e < ENCODINGS; e++) {
        struct account prompt = {.next = 0};

        if (e == reader)
            continue;
        account_all(&prompt, e);
        assert_int_equal(prompt.next, count);
        assert_int_equal(prompt.missed, 0);
    }
    engine_stop();
}

static void test_lag(void **state)
{
    static const uint64_t windows[] = {2000, 4096, 20000};
    static const int lengths[] = {20, 300, 3000};

    (void)state;
    for (enum encoding e = 0; e < ENCODINGS; e++) {
        for (size_t i = 0; i < ARRAY_LENGTH(windows); i++) {
            for (size_t j = 0; j < ARRAY_LENGTH(lengths); j++)
                stalled(e, windows[i], lengths[j]);
        }
    }
}

/* The larger an encoding is, the less of it fits; all stall at once. */
static void test_each_lags_by_its_own(void **state)
{
    struct chat_config config = quiet_config();
    struct account of[ENCODINGS] = {0};
    uint64_t missed = 0;
    struct client *speaker;

    (void)state;
    config.room_window_bytes = 10000;
    start_members_with(&config);
    speaker = client_open("speaker");
    for (enum encoding e = 0; e < ENCODINGS; e++)
        client_stall(members[e]);
    for (unsigned i = 0; i < 1000; i++)
        client_tell(speaker, "%u some text", i);
    for (enum encoding e = 0; e < ENCODINGS; e++) {
        client_unstall(members[e]);
        account_all(&of[e], e);
        assert_int_equal(of[e].next, 1000);
        missed += of[e].missed;
    }
    assert_true(of[ENCODING_TEXT].missed < of[ENCODING_FRAME].missed);
    assert_true(of[ENCODING_FRAME].missed < of[ENCODING_SECURE].missed);
    assert_true(of[ENCODING_SECURE].missed < of[ENCODING_SEALED].missed);
    assert_int_equal(engine_metrics().lagged, missed);
    engine_stop();
}

/* Notices that fall out are not counted, and nobody is told of those alone. */
static void test_missed_notices(void **state)
{
    struct chat_config config = quiet_config();

    (void)state;
    config.room_window_bytes = 2000;
    start_members_with(&config);
    for (enum encoding e = 1; e < ENCODINGS; e++)
        client_stall(members[e]);
    for (unsigned i = 0; i < 200; i++)
        client_tell(members[ENCODING_TEXT], "/topic %u %0100u", i, i);
    say_number(ENCODING_TEXT, 0, 10);
    engine_run();
    for (enum encoding e = 1; e < ENCODINGS; e++) {
        struct account account = {.next = 0};

        client_unstall(members[e]);
        account_all(&account, e);
        assert_int_equal(account.told, 0);
        assert_int_equal(account.next, 1);
    }
    engine_stop();
}

static void disconnected(enum encoding slow)
{
    enum encoding speaker =
        slow == ENCODING_TEXT ? ENCODING_FRAME : ENCODING_TEXT;
    struct chat_config config = quiet_config();
    struct client *client;
    const char *line, *last = "";

    config.room_window_bytes = 2000;
    config.slow_consumer = SLOW_CONSUMER_DISCONNECT;
    start_members_with(&config);
    client = members[slow];
    client_stall(client);
    for (unsigned i = 0; i < 20; i++) {
        say_number(speaker, i, 500);
        engine_run();
    }
    assert_false(client->shut);
    client_unstall(client);
    while ((line = client_line(client)))
        last = line;
    assert_int_equal(
        strncmp(last, slow == ENCODING_TEXT ? "! lagged " : "ERROR 31 id=0 ",
                slow == ENCODING_TEXT ? 9 : 14),
        0);
    assert_true(client->shut);
    assert_int_equal(lobby()->lanes[slow] != NULL, false);
    assert_true(engine_metrics().lagged > 0);
    say_number(speaker, 20, 500);
    engine_run();
    expect_all_account();
    engine_stop();
}

static void test_disconnected(void **state)
{
    (void)state;
    for (enum encoding e = 0; e < ENCODINGS; e++)
        disconnected(e);
}

/* It has asked to leave before it is found to have lagged: what it is told last
 * answers nothing that it asked. */
static void test_disconnected_while_leaving(void **state)
{
    struct chat_config config = quiet_config();
    struct client *client;
    const char *line, *last = "";

    (void)state;
    config.room_window_bytes = 2000;
    config.slow_consumer = SLOW_CONSUMER_DISCONNECT;
    start_members_with(&config);
    client = members[ENCODING_FRAME];
    client_stall(client);
    for (unsigned i = 0; i < 20; i++) {
        say_number(ENCODING_TEXT, i, 500);
        engine_run();
    }
    frame_command(client, 7, "quit");
    engine_run();
    client_unstall(client);
    while ((line = client_line(client)))
        last = line;
    assert_memory_equal(last, "ERROR 31 id=0 ", 14);
    assert_true(client->shut);
    engine_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lag),
        cmocka_unit_test(test_each_lags_by_its_own),
        cmocka_unit_test(test_missed_notices),
        cmocka_unit_test(test_disconnected),
        cmocka_unit_test(test_disconnected_while_leaving),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

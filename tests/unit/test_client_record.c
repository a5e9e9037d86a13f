/*
 * Records: as `text` prints them, and as JSON that a program reads back.
 */
#include "client/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "client/tame.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

/* 2026-11-21T05:25:41.123456Z */
#define TIME_US UINT64_C(1795238741123456)
#define RECEIVED ",\"received\":\"2026-11-21T05:25:41.123456Z\"}"

static char out[8 * TAMED_BYTES_MAX];

static struct record record_of(enum record_kind kind, const char *room,
                               const char *nick, const char *text)
{
    return (struct record){.kind = kind,
                           .room = slice_of(room),
                           .nick = slice_of(nick),
                           .text = slice_of(text),
                           .received_us = TIME_US};
}

static void check_text(struct record record, const char *expected)
{
    size_t length = record_text(&record, out, sizeof(out));

    assert_true(length < sizeof(out));
    out[length] = '\0';
    assert_string_equal(out, expected);
}

static void check_json(struct record record, const char *expected)
{
    size_t length = record_json(&record, out, sizeof(out));

    assert_true(length < sizeof(out));
    out[length] = '\0';
    assert_string_equal(out, expected);
}

static struct record missed(uint64_t count, uint64_t away_ms)
{
    struct record record = record_of(RECORD_MISSED, "r", "", "");

    record.missed = count;
    record.away_ms = away_ms;
    return record;
}

static void as_the_dialect_prints_them(void **state)
{
    (void)state;
    check_text(record_of(RECORD_MESSAGE, "lobby", "alice", "hi, bob"),
               "[lobby] alice: hi, bob");
    check_text(record_of(RECORD_PRIVATE, "", "alice", "hi"),
               "(private) alice: hi");
    check_text(record_of(RECORD_JOINED, "r", "bob", ""), "[r] * bob joined");
    check_text(record_of(RECORD_LEFT, "r", "bob", ""), "[r] * bob left");
    check_text(record_of(RECORD_NICK, "r", "bob", "rob"),
               "[r] * bob is now rob");
    check_text(record_of(RECORD_TOPIC, "r", "bob", "tea"),
               "[r] * bob set the topic: tea");
    check_text(missed(3, 0), "[r] * lagged: 3 messages missed");
    check_text(missed(3, 1200),
               "[r] * lagged: 3 messages missed in 2 s without a connection");
    check_text(missed(MISSED_UNKNOWN, 1000),
               "[r] * lagged: messages may have been missed in 1 s without a "
               "connection");
    check_text(record_of(RECORD_CONNECTED, "", "bob", "text://h:1"),
               "* connected to text://h:1 as bob");
    check_text(record_of(RECORD_DISCONNECTED, "", "", "refused"),
               "* connection lost: refused");
}

static void as_objects(void **state)
{
    struct record full = record_of(RECORD_MESSAGE, "r", "a", "hi \"bob\"");

    (void)state;
    full.seq = 7;
    full.time_us = TIME_US;
    check_json(full, "{\"type\":\"message\",\"room\":\"r\",\"nick\":\"a\","
                     "\"text\":\"hi \\\"bob\\\"\",\"seq\":7,"
                     "\"time\":\"2026-11-21T05:25:41.123456Z\"" RECEIVED);
    check_json(record_of(RECORD_PRIVATE, "", "a", "hi"),
               "{\"type\":\"private\",\"nick\":\"a\",\"text\":\"hi\"" RECEIVED);
    check_json(record_of(RECORD_JOINED, "r", "a", ""),
               "{\"type\":\"joined\",\"room\":\"r\",\"nick\":\"a\"" RECEIVED);
    check_json(record_of(RECORD_LEFT, "r", "a", ""),
               "{\"type\":\"left\",\"room\":\"r\",\"nick\":\"a\"" RECEIVED);
    check_json(record_of(RECORD_NICK, "r", "a", "b"),
               "{\"type\":\"nick\",\"room\":\"r\",\"nick\":\"a\","
               "\"new_nick\":\"b\"" RECEIVED);
    check_json(record_of(RECORD_TOPIC, "r", "a", ""),
               "{\"type\":\"topic\",\"room\":\"r\",\"nick\":\"a\","
               "\"text\":\"\"" RECEIVED);
    check_json(missed(3, 0),
               "{\"type\":\"missed\",\"room\":\"r\",\"count\":3" RECEIVED);
    check_json(missed(MISSED_UNKNOWN, 1200),
               "{\"type\":\"missed\",\"room\":\"r\",\"count\":null,"
               "\"away_ms\":1200" RECEIVED);
    check_json(record_of(RECORD_CONNECTED, "", "a", "text://h"),
               "{\"type\":\"connected\",\"nick\":\"a\","
               "\"url\":\"text://h\"" RECEIVED);
    check_json(record_of(RECORD_DISCONNECTED, "", "", "why"),
               "{\"type\":\"disconnected\",\"reason\":\"why\"" RECEIVED);
}

/* What a program makes of one string of it. */
static void check_read_back(struct slice text, struct slice expected)
{
    struct record record = record_of(RECORD_MESSAGE, "r", "a", "");
    json_t *root, *string;
    size_t length;

    record.text = text;
    length = record_json(&record, out, sizeof(out));
    assert_true(length <= sizeof(out));
    assert_null(memchr(out, '\n', length));
    root = json_loadb(out, length, JSON_ALLOW_NUL, NULL);
    assert_non_null(root);
    string = json_object_get(root, "text");
    assert_int_equal(json_string_length(string), expected.length);
    if (expected.length > 0)
        assert_memory_equal(json_string_value(string), expected.bytes,
                            expected.length);
    json_decref(root);
}

static void programs_read_all_that_was_said(void **state)
{
    static char longest[2 * TAMED_BYTES_MAX];

    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        char text[] = {'a', (char)byte, 'b'};

        check_read_back((struct slice){text, 3}, byte < 0x80
                                                     ? (struct slice){text, 3}
                                                     : SLICE("a\uFFFD"
                                                             "b"));
    }
    check_read_back(SLICE("\xC2\x85 \u6F22 \U0001F469"),
                    SLICE("\xC2\x85 \u6F22 \U0001F469"));
    memset(longest, 'x', sizeof(longest));
    check_read_back((struct slice){longest, sizeof(longest)},
                    (struct slice){longest, sizeof(longest)});
}

static void terminals_are_not_driven(void **state)
{
    (void)state;
    check_text(record_of(RECORD_MESSAGE, "\033r", "a\n", "x\033[2Jy"),
               "[\uFFFDr] a\uFFFD: x\uFFFD[2Jy");
    check_text(record_of(RECORD_NICK, "r", "a\r", "b\x9b"),
               "[r] * a\uFFFD is now b\uFFFD");
}

static void long_text_is_cut_and_counted(void **state)
{
    static char longest[TAMED_BYTES_MAX + 101];
    struct record record = record_of(RECORD_MESSAGE, "r", "a", "");
    size_t length;

    (void)state;
    memset(longest, 'x', sizeof(longest));
    record.text = (struct slice){longest, sizeof(longest)};
    length = record_text(&record, out, sizeof(out));
    out[length] = '\0';
    assert_string_equal(out + length - strlen("x… 102 bytes more"),
                        "x… 102 bytes more");
}

static void what_does_not_fit_is_counted(void **state)
{
    struct record record = record_of(RECORD_MESSAGE, "r", "a", "hello");
    size_t whole = record_text(&record, out, sizeof(out));

    (void)state;
    for (size_t size = 0; size < whole; size++) {
        memset(out, '#', sizeof(out));
        assert_int_equal(record_text(&record, out, size), whole);
        assert_memory_equal(out, "[r] a: hello", size);
        assert_int_equal(out[size], '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_dialect_prints_them),
        cmocka_unit_test(as_objects),
        cmocka_unit_test(programs_read_all_that_was_said),
        cmocka_unit_test(terminals_are_not_driven),
        cmocka_unit_test(long_text_is_cut_and_counted),
        cmocka_unit_test(what_does_not_fit_is_counted),
    };

    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * What the load generator makes of the dialects `text` and `raw`, held to
 * docs/protocol.md by lines written by hand and by the golden vectors; and the
 * buffer that it says things into.
 */
#include "tests/load/parts.h"

#include "tests/unit/support_load.h"
#include "vectors.h"

/* -- what is to be sent -- */

static void test_out_keeps_order(void **state)
{
    struct out out = {0};
    unsigned char expected = 0, next = 0;

    (void)state;
    for (size_t i = 0; i < 2000; i++) {
        for (size_t j = 0; j < i % 7; j++)
            out_append(&out, &(unsigned char){next++}, 1);
        for (size_t j = 0; j < i % 5 && out_length(&out) > 0; j++) {
            assert_int_equal(out.bytes[out.begin], expected++);
            out_sent(&out, 1);
        }
    }
    assert_true(out_length(&out) > 0);
    while (out_length(&out) > 0) {
        assert_int_equal(out.bytes[out.begin], expected++);
        out_sent(&out, 1);
    }
    assert_int_equal(expected, next);
    out_release(&out);
    assert_null(out.bytes);
}

/* What is taken as fast as it is added needs no more memory. */
static void test_out_does_not_creep(void **state)
{
    struct out out = {0};

    (void)state;
    out_append(&out, "ab", 2);
    for (size_t i = 0; i < 10000; i++) {
        out_append(&out, "cd", 2);
        out_sent(&out, 2);
    }
    assert_int_equal(out_length(&out), 2);
    assert_true(out.allocated <= 1024);
    out_release(&out);
}

static void test_out_formats(void **state)
{
    struct out out = {0};

    (void)state;
    out_append(&out, "", 0);
    assert_non_null(out_reserve(&out, 0));
    for (int i = 0; i < 300; i++)
        out_format(&out, "%d%s", i % 10, "-");
    assert_int_equal(out_length(&out), 600);
    assert_memory_equal(out.bytes + 580, "0-1-2-3-4-5-6-7-8-9-", 20);
    out_release(&out);
}

/* -- text -- */

static void test_text_conversation(void **state)
{
    static const char from_server[] =
        "* welcome to ringchat, you are guest-1a2b, in lobby; /help lists "
        "commands\n"
        "[lobby] * alice joined\n"
        "* joined den (2 members)\n"
        "[den] bob: first\n"
        "* left lobby\n"
        "[den] bob: [den] bob: * : \n"
        "[den] guest-1a2b: \xc3\xa4\t:\n"
        "[den] * lagged: 17 messages missed\n"
        "[den] * bob is now al\n"
        "(private) al: psst\n"
        "[den] al: \n"
        "! nick-in-use al\n"
        "* bye\n";
    static const char heard[] =
        "r:0:welcome to ringchat, you are guest-1a2b, in lobby; /help lists "
        "commands\n"
        "o:0:lobby] * alice joined\n"
        "r:0:joined den (2 members)\n"
        "m:0:first\n"
        "e:0:left lobby\n"
        "m:0:[den] bob: * : \n"
        "m:0:\xc3\xa4\t:\n"
        "l:17:\n"
        "o:0:bob is now al\n"
        "o:0:al: psst\n"
        "m:0:\n"
        "!:0:nick-in-use al\n"
        "o:0:bye\n";
    const struct conversation conversation = {
        .dialect = &dialect_text,
        .room = "den",
        .from_server = from_server,
        .from_server_length = sizeof(from_server) - 1,
        .heard = heard,
        .said = "/join den\n/leave lobby\n",
        .said_length = strlen("/join den\n/leave lobby\n"),
    };

    (void)state;
    hold_cut_everywhere(&conversation);
}

/* The room is written as who was first in it did, and may be asked for with a
 * #. */
static void test_text_room_in_another_case(void **state)
{
    static const char from_server[] =
        "* welcome\n* joined DEN (1 members)\n* left Lobby\n"
        "[Den] alice: a\n[Den] alice: b\n[DEN] alice: c\n";
    const struct conversation conversation = {
        .dialect = &dialect_text,
        .room = "#dEn",
        .from_server = from_server,
        .from_server_length = sizeof(from_server) - 1,
        .heard = "r:0:welcome\nr:0:joined DEN (1 members)\ne:0:left Lobby\n"
                 "m:0:a\nm:0:b\nm:0:c\n",
        .said = "/join dEn\n/leave lobby\n",
        .said_length = strlen("/join dEn\n/leave lobby\n"),
    };

    (void)state;
    hold_cut_everywhere(&conversation);
}

/* What is said or missed in another room is told from what only happens there.
 */
static void test_text_elsewhere(void **state)
{
    static const struct {
        const char *line;
        enum item_kind kind;
    } given[] = {
        {"[den] al: a\n", ITEM_MESSAGE},
        {"[lobby] al: a\n", ITEM_ELSEWHERE},
        {"[denn] al: \n", ITEM_ELSEWHERE},
        {"[de] * lagged: 17 messages missed\n", ITEM_ELSEWHERE},
        {"[de] * lagged: x messages missed\n", ITEM_CORRUPT},
        {"[de] * al joined\n", ITEM_OTHER},
        {"(private) al: a\n", ITEM_OTHER},
        {"[Den] al: a\n", ITEM_MESSAGE},
    };
    struct hearer hearer;

    (void)state;
    hearer_init(&hearer, &dialect_text, NULL, "den");
    for (size_t i = 0; i < sizeof(given) / sizeof(*given); i++) {
        hearer_feed(&hearer, given[i].line, strlen(given[i].line));
        assert_int_equal(hearer.last.kind, given[i].kind);
    }
    hearer_release(&hearer);
}

/* Who is to be in the lobby is there with the welcome. */
static void test_text_vectors(void **state)
{
    static const struct {
        const unsigned char *bytes;
        size_t length;
        const char *heard;
    } given[] = {
#define GIVEN(name, heard)                                                     \
    {vector_text_out_##name, sizeof(vector_text_out_##name), heard}
        GIVEN(welcome, "e:0:welcome to ringchat, you are alice, in lobby; "
                       "/help lists commands\n"),
        GIVEN(message, "m:0:hello\n"),
        GIVEN(message_private, "o:0:alice: hello\n"),
        GIVEN(message_content, "m:0:sent image/png (5 bytes)\n"),
        GIVEN(notice_joined, "o:0:alice joined\n"),
        GIVEN(notice_left, "o:0:alice left\n"),
        GIVEN(notice_nick, "o:0:alice is now bob\n"),
        GIVEN(notice_topic, "o:0:alice set the topic: tea\n"),
        GIVEN(notice_lagged, "l:17:\n"),
        GIVEN(reply, "o:0:end of who\n"),
        GIVEN(reply_more, "o:0:bob\n"),
        GIVEN(error, "!:0:nick-in-use bob\n"),
        GIVEN(error_plain, "!:0:internal\n"),
#undef GIVEN
    };

    (void)state;
    for (size_t i = 0; i < sizeof(given) / sizeof(*given); i++)
        assert_reads_at(&dialect_text, "lobby", 0, given[i].bytes,
                        given[i].length, given[i].heard);
}

static void test_text_corrupt(void **state)
{
    static const char *const lines[] = {
        "\n",
        "a\n",
        "*\n",
        "*joined\n",
        "!\n",
        "! \n",
        "[\n",
        "[]\n",
        "[lobby]\n",
        "[lobby] \n",
        "[lobby] alice\n",
        "[lobby] alice:\n",
        "[lobby] alice:x\n",
        "[lobby] alice hello\n",
        "[lobby] : hello\n",
        "[lobby] 1alice: hello\n",
        "[lobby] -a: hello\n",
        "[lobby] al ice: hello\n",
        "[lobby] *\n",
        "[lobby] * \n",
        "[lobby] * lagged: \n",
        "[lobby] * lagged: x messages missed\n",
        "[lobby] * lagged: 01 messages missed\n",
        "[lobby] * lagged: 1 message missed\n",
        "[lobby] * lagged: 99999999999999999999 messages missed\n",
        "[lobby] * lagged: 1 messages missed \n",
        "[lob by] alice: hello\n",
        "[lobby]alice: hello\n",
        "[den] alice hello\n",
        "[] alice: hello\n",
        "[lobby] aaaaabbbbbcccccdddddeeeee: hello\n",
        "[aaaabbbbaaaabbbbaaaabbbbaaaabbbbc] al: hello\n",
        "(privat) a: b\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
        assert_corrupt(&dialect_text, 3, lines[i], strlen(lines[i]));
    assert_reads_at(&dialect_text, "lobby", 3,
                    BYTES("[lobby] aaaaabbbbbcccccdddddeeee: hello\n"),
                    "m:0:hello\n");
    assert_corrupt(&dialect_text, 3, BYTES("[lobby] al\0ce: hello\n"));
}

/* A word out of turn is of no concern. */
static void test_text_steps(void **state)
{
    static const char *const lines[] = {
        "* welcome, den\n", "* joined den (2 members)\n",
        "* left lobby\n",   "* joined denn (2 members)\n",
        "* joined den\n",   "* left den\n",
    };
    static const char kinds[] = "rooooo"
                                "orooo"
                                "o"
                                "ooeooo";

    (void)state;
    for (size_t i = 0; i < 18; i++) {
        char heard[64];

        snprintf(heard, sizeof(heard), "%c:0:%s", kinds[i], lines[i % 6] + 2);
        assert_reads_at(&dialect_text, "den", (unsigned)(i / 6), lines[i % 6],
                        strlen(lines[i % 6]), heard);
    }
}

static void test_text_says(void **state)
{
    (void)state;
    assert_says(&dialect_text, "den", "hello", BYTES("hello\n"));
    assert_says(&dialect_text, "den", "/who", BYTES("//who\n"));
    assert_says(&dialect_text, "den", "//who", BYTES("///who\n"));
    assert_says(&dialect_text, "den", "", BYTES("\n"));
    assert_leaves(&dialect_text, BYTES("/quit\n"));
}

/* Only what is new is looked at; and a line may be long. */
static void test_text_long_line(void **state)
{
    const size_t length = LINE_EXTENT_MAX;
    const char head[] = "[lobby] al: ";
    char *line = malloc(length);
    struct hearer hearer;
    size_t wanted = 0;

    (void)state;
    assert_non_null(line);
    memset(line, 'x', length);
    for (size_t i = 0; i < strlen(head); i++)
        line[i] = head[i];
    assert_int_equal(
        dialect_text.extent((unsigned char *)line, length - 1, 1, &wanted), 0);
    assert_int_equal(wanted, length);
    line[length - 1] = '\n';
    assert_int_equal(
        dialect_text.extent((unsigned char *)line, length, length - 1, &wanted),
        length);
    line[100] = '\n';
    assert_int_equal(
        dialect_text.extent((unsigned char *)line, length, length - 1, &wanted),
        length);
    line[100] = 'x';
    hearer_init(&hearer, &dialect_text, NULL, "lobby");
    hearer_feed(&hearer, line, length);
    assert_int_equal(hearer.last.kind, ITEM_MESSAGE);
    assert_int_equal(hearer.last.length, length - sizeof(head));
    hearer_release(&hearer);
    free(line);
}

/* A line that does not end is borne for so long. */
static void test_endless_line(void **state)
{
    static const struct dialect *const dialects[] = {&dialect_text,
                                                     &dialect_raw};
    const size_t length = LINE_EXTENT_MAX + 1;
    unsigned char *line = malloc(length);
    size_t wanted = 0;

    (void)state;
    assert_non_null(line);
    memset(line, 'x', length);
    line[length - 1] = '\n';
    for (size_t i = 0; i < 2; i++) {
        for (size_t end = length - 1; end <= length; end++) {
            for (size_t looked = length - 3; looked < end; looked++)
                assert_int_equal(
                    dialects[i]->extent(line, end, looked, &wanted),
                    EXTENT_INVALID);
            assert_int_equal(dialects[i]->extent(line, end, 0, &wanted),
                             EXTENT_INVALID);
        }
    }
    free(line);
}

/* -- raw -- */

static void test_raw_conversation(void **state)
{
    const struct conversation conversation = {
        .dialect = &dialect_raw,
        .room = "den",
        .from_server = "a\n\nbc: d\n",
        .from_server_length = 9,
        .heard = "m:0:a\nm:0:\nm:0:bc: d\n",
        .said = "",
        .said_length = 0,
    };

    (void)state;
    assert_null(dialect_raw.enter);
    assert_int_equal(dialect_raw.text_max, 0);
    hold_cut_everywhere(&conversation);
    assert_says(&dialect_raw, "den", "/who", BYTES("/who\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_out_keeps_order),
        cmocka_unit_test(test_out_does_not_creep),
        cmocka_unit_test(test_out_formats),
        cmocka_unit_test(test_text_conversation),
        cmocka_unit_test(test_text_room_in_another_case),
        cmocka_unit_test(test_text_elsewhere),
        cmocka_unit_test(test_text_vectors),
        cmocka_unit_test(test_text_corrupt),
        cmocka_unit_test(test_text_steps),
        cmocka_unit_test(test_text_says),
        cmocka_unit_test(test_text_long_line),
        cmocka_unit_test(test_endless_line),
        cmocka_unit_test(test_raw_conversation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

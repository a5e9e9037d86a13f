/*
 * Lines from a server: what each form of docs/protocol.md means, what is only
 * almost of a form, how long a line may be and where it may be cut.
 */
#include "common/wire/hear.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_alloc.h"
#include "tests/unit/support_hear.h"
#include "tests/unit/support_text.h"
#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WELCOME "* welcome to ringchat, you are ann, in lobby; /help lists\n"

static struct ear ear;

static int open_ear(void **state)
{
    (void)state;
    ear_open(&ear, DIALECT_TEXT, NULL);
    return 0;
}

static int close_ear(void **state)
{
    (void)state;
    ear_close(&ear);
    return 0;
}

/* What a line is heard as, by whom has been welcomed. */
static struct event hear(struct slice line)
{
    struct heard heard;

    ear_meet(&ear, true);
    assert_int_equal(ear_tell(&ear, line.bytes, line.length, &heard),
                     ERROR_NONE);
    return heard.event;
}

static void expect(struct slice line, struct event expected)
{
    struct event event = hear(line);

    assert_events_equal(&event, &expected);
}

/* -- forms -- */

static void test_golden_vectors(void **state)
{
    static struct becoming becoming;
    size_t count = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
        const char *name = vector_of("text_out", vectors[i].name);
        struct event said, expected;
        struct heard heard;

        if (!name)
            continue;
        said = vector_event(name);
        expected = event_as_heard(ENCODING_TEXT, &said, &becoming);
        if (said.kind == EVENT_PRIVATE)
            expected.room = SLICE("");
        if (said.kind == EVENT_REPLY || said.kind == EVENT_ERROR)
            expected.room = expected.nick = SLICE("");
        ear_meet(&ear, said.kind != EVENT_WELCOME);
        assert_int_equal(
            ear_tell(&ear, vectors[i].bytes, vectors[i].length, &heard),
            ERROR_NONE);
        assert_events_equal(&heard.event, &expected);
        count++;
    }
    assert_int_equal(count, 13);
}

/* What is of one form, and what has its words elsewhere. */
static void test_forms(void **state)
{
    const struct slice den = SLICE("den"), bob = SLICE("bob");
    const struct {
        struct slice line;
        struct event event;
    } lines[] = {
        {SLICE("[den] bob: hello\n"),
         {.kind = EVENT_MESSAGE,
          .room = den,
          .nick = bob,
          .text = SLICE("hello")}},
        {SLICE("[den] bob: * carl joined\r\n"),
         {.kind = EVENT_MESSAGE,
          .room = den,
          .nick = bob,
          .text = SLICE("* carl joined")}},
        {SLICE("[den] bob:  [den] bob: x\n"),
         {.kind = EVENT_MESSAGE,
          .room = den,
          .nick = bob,
          .text = SLICE(" [den] bob: x")}},
        {SLICE("[den] bob: \n"),
         {.kind = EVENT_MESSAGE, .room = den, .nick = bob}},
        {SLICE("(private) bob: [den] x: y\n"),
         {.kind = EVENT_PRIVATE, .nick = bob, .text = SLICE("[den] x: y")}},
        {SLICE("[den] * bob is now carl\n"),
         {.kind = EVENT_NICK, .room = den, .nick = bob, .text = SLICE("carl")}},
        {SLICE("[den] * bob set the topic: \n"),
         {.kind = EVENT_TOPIC, .room = den, .nick = bob}},
        {SLICE("[den] * bob set the topic: a: b] left\n"),
         {.kind = EVENT_TOPIC,
          .room = den,
          .nick = bob,
          .text = SLICE("a: b] left")}},
        {SLICE("[den] * left left\n"),
         {.kind = EVENT_LEFT, .room = den, .nick = SLICE("left")}},
        {SLICE("[den] * lagged joined\n"),
         {.kind = EVENT_JOINED, .room = den, .nick = SLICE("lagged")}},
        {SLICE("[den] * lagged: 18446744073709551615 messages missed\n"),
         {.kind = EVENT_LAGGED, .room = den, .number = UINT64_MAX}},
        {SLICE("! no-room\n"), {.kind = EVENT_ERROR, .code = ERROR_NO_ROOM}},
        {SLICE("! usage /msg NICK  TEXT\n"),
         {.kind = EVENT_ERROR,
          .code = ERROR_USAGE,
          .text = SLICE("/msg NICK  TEXT")}},
        {SLICE("! usage \n"), {.kind = EVENT_ERROR, .code = ERROR_USAGE}},
        {SLICE("* you are now bob\n"),
         {.kind = EVENT_REPLY, .text = SLICE("you are now bob")}},
        {SLICE("* \n"), {.kind = EVENT_REPLY}},
        {SLICE("~17\n"), {.kind = EVENT_ECHO, .text = SLICE("~17")}},
        {SLICE("\n"), {.kind = EVENT_ECHO}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++)
        expect(lines[i].line, lines[i].event);
}

/* Almost of a form: heard as it stands, or without its star. */
static void test_near_misses(void **state)
{
    static const char *const bare[] = {
        "[den] bob hello",
        "[den] bob:hello",
        "[den]bob: hello",
        "[den bob: hello",
        "[d n] bob: hello",
        "[] bob: hello",
        "[den] : hello",
        "[den] 9bob: hello",
        "[den] bob x: hello",
        "[#den] bob: hello",
        " [den] bob: hello",
        "(private) : hello",
        "(private)bob: hello",
        "(Private) bob: hello",
        "[den] * bob joined ",
        "[den] * bob joins",
        "[den] * bob Joined",
        "[den] *bob joined",
        "[den] * bob is now 9",
        "[den] * bob is now ",
        "[den] * bob is now a b",
        "[den] * bob set the topic:x",
        "[den] * lagged: 1 message missed",
        "[den] * lagged:  messages missed",
        "[den] * lagged: -1 messages missed",
        "[den] * lagged: 1x messages missed",
        "[den] * lagged: 1 messages missed.",
        "[den] * lagged: 18446744073709551616 messages missed",
        "! nobody-knows-this",
        "! No-Room",
        "!no-room",
        "! ",
        "*",
        "*x",
    };
    char line[100];

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(bare); i++) {
        int length = snprintf(line, sizeof(line), "%s\n", bare[i]);

        assert_in_range(length, 2, sizeof(line) - 1);
        expect((struct slice){line, (size_t)length},
               (struct event){.kind = EVENT_ECHO, .text = slice_of(bare[i])});
    }
    /* The welcome is the first line's alone. */
    expect(SLICE(WELCOME),
           (struct event){.kind = EVENT_REPLY,
                          .text = {&WELCOME[2], sizeof(WELCOME) - 4}});
}

/* The longest names, and longer ones. */
static void test_names(void **state)
{
    char line[200], room[40], nick[40];

    (void)state;
    memset(room, 'r', sizeof(room));
    memset(nick, 'n', sizeof(nick));
    for (int r = 31; r <= 33; r++) {
        for (int n = 23; n <= 25; n++) {
            int length = snprintf(line, sizeof(line), "[%.*s] %.*s: x\n", r,
                                  room, n, nick);
            struct event event = hear((struct slice){line, (size_t)length});

            assert_int_equal(event.kind,
                             r > 32 || n > 24 ? EVENT_ECHO : EVENT_MESSAGE);
            if (event.kind == EVENT_ECHO)
                continue;
            assert_int_equal(event.room.length, r);
            assert_int_equal(event.nick.length, n);
        }
    }
}

/* -- the first line -- */

static enum error_code hear_first(const char *line, struct heard *heard)
{
    ear_meet(&ear, false);
    return ear_tell(&ear, line, strlen(line), heard);
}

static void test_welcome(void **state)
{
    static const char *const others[] = {
        "* hello\n",
        "\n",
        "SSH-2.0-OpenSSH_9.2p1\r\n",
        "[lobby] ann: hello\n",
        "* welcome to ringchat, you are 9, in lobby;\n",
        "* welcome to ringchat, you are ann, in a room;\n",
        "* welcome to ringchat, you are ann, in lobby\n",
        "* welcome to ringchat, you are ann in lobby;\n",
        "! nobody-knows-this\n",
    };
    struct heard heard;

    (void)state;
    assert_int_equal(hear_first(WELCOME, &heard), ERROR_NONE);
    assert_int_equal(heard.event.kind, EVENT_WELCOME);
    assert_true(slice_equals(heard.event.nick, SLICE("ann")));
    assert_true(slice_equals(heard.event.room, SLICE("lobby")));
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        assert_int_equal(hear_first(others[i], NULL), ERROR_WRONG_PROTOCOL);
}

/* Errors may come before it, and instead. */
static void test_errors_before_the_welcome(void **state)
{
    struct heard heard;

    (void)state;
    assert_int_equal(hear_first("! server-full try again later\n", &heard),
                     ERROR_NONE);
    assert_int_equal(heard.event.kind, EVENT_ERROR);
    assert_int_equal(heard.event.code, ERROR_SERVER_FULL);
    assert_true(slice_equals(heard.event.text, SLICE("try again later")));
    assert_int_equal(ear_tell(&ear, WELCOME, strlen(WELCOME), &heard),
                     ERROR_NONE);
    assert_int_equal(heard.event.kind, EVENT_WELCOME);
}

static void test_first_bytes(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        unsigned char first = (unsigned char)byte;
        const unsigned char *at = &first;
        size_t length = 1;
        struct heard heard;
        enum error_code error = ERROR_NONE;
        bool good = may_begin_stream(first);

        ear_meet(&ear, false);
        if (first == '\n')
            continue; /* a whole line */
        assert_int_equal(wire_hear(ear.wire, &ear.decoder, &ear.peer, &at,
                                   &length, &heard, &error),
                         good ? WIRE_PARTIAL : WIRE_INVALID);
        assert_int_equal(error, good ? ERROR_NONE : ERROR_WRONG_PROTOCOL);
    }
}

/* -- what is not clean -- */

/* Two bytes in each place of a message; it is refused, and the next line is
 * heard. */
static void test_unclean_text(void **state)
{
    char line[] = "[den] bob: ??\n* next\n";
    char *text = strchr(line, '?');
    struct heard heard;

    (void)state;
    for (unsigned pair = 0; pair <= 0xffff; pair++) {
        const unsigned char *at = (const unsigned char *)line;
        size_t length = sizeof(line) - 1;
        enum error_code error = ERROR_NONE;
        bool cr = (pair & 0xff) == '\r';
        bool clean;

        text[0] = (char)(pair >> 8);
        text[1] = (char)pair;
        if (text[0] == '\n' || text[1] == '\n')
            continue; /* the line ends there */
        clean = is_clean_text((unsigned char *)text, cr ? 1 : 2);
        ear_meet(&ear, true);
        assert_int_equal(wire_hear(ear.wire, &ear.decoder, &ear.peer, &at,
                                   &length, &heard, &error),
                         clean ? WIRE_READY : WIRE_INVALID);
        assert_int_equal(error, clean ? ERROR_NONE : ERROR_BAD_TEXT);
        assert_int_equal(wire_hear(ear.wire, &ear.decoder, &ear.peer, &at,
                                   &length, &heard, &error),
                         WIRE_READY);
        assert_true(slice_equals(heard.event.text, SLICE("next")));
    }
}

/* -- streams -- */

static void test_streams_cut_everywhere(void **state)
{
    static struct transcript expected;
    static const char stream[] =
        WELCOME "[lobby] ann: hello\r\n[lobby] * bob joined\n"
                "[lobby] bob: \x1b[2J\n"
                "! usage /who\n\n(private) bob: psst\n* bye\n";
    static const struct slice lines[] = {
        SLICE("[lobby] ann: hello\n"),
        SLICE("[lobby] * bob joined\n"),
        SLICE(""),
        SLICE("! usage /who\n"),
        SLICE("\n"),
        SLICE("(private) bob: psst\n"),
        SLICE("* bye\n"),
    };
    struct heard heard;

    (void)state;
    expected.length = 0;
    assert_int_equal(hear_first(WELCOME, &heard), ERROR_NONE);
    transcript_add_event(&expected, &heard.event);
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        struct event event;

        if (lines[i].length == 0) {
            transcript_add_error(&expected, ERROR_BAD_TEXT, 0);
            continue;
        }
        event = hear(lines[i]);
        transcript_add_event(&expected, &event);
    }
    assert_true(transcript_equals(
        hear_every_cut(&ear, false, stream, sizeof(stream) - 1), &expected));
}

/* -- long lines -- */

#define TEXT_MAX 200

static void open_short(void)
{
    struct wire_config config = vector_config();

    ear_close(&ear);
    config.message_bytes_max = TEXT_MAX;
    config.line_bytes_max = 1; /* of what clients send */
    ear_open(&ear, DIALECT_TEXT, &config);
}

/* The longest text fits whatever stands around it. */
static void test_longest_text(void **state)
{
    static const char *const before[] = {
        "[rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr] nnnnnnnnnnnnnnnnnnnnnnnn: ",
        "[rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr] * nnnnnnnnnnnnnnnnnnnnnnnn set the "
        "topic: ",
    };
    char line[512];

    (void)state;
    open_short();
    for (size_t i = 0; i < ARRAY_LENGTH(before); i++) {
        size_t length = strlen(before[i]);
        struct event event;

        memcpy(line, before[i], length);
        memset(line + length, 'x', TEXT_MAX);
        length += TEXT_MAX;
        line[length++] = '\n';
        event = hear((struct slice){line, length});
        assert_int_equal(event.text.length, TEXT_MAX);
        hear_every_cut(&ear, true, line, length);
    }
}

/* Lines up to and over what there is room for, however they are cut: each that
 * is too long is told once, and the next is heard. */
static void test_lines_that_are_too_long(void **state)
{
    static const size_t most = TEXT_MAX + 128;
    static char stream[1024];
    static struct transcript expected;

    (void)state;
    open_short();
    for (size_t length = most - 2; length <= most + 3; length++) {
        struct event event = {.kind = EVENT_ECHO, .text = {stream, length}};

        for (int cr = 0; cr < 2; cr++) {
            size_t end = length;

            memset(stream, 'x', length);
            if (cr)
                stream[end++] = '\r';
            end += (size_t)snprintf(stream + end, 9, "\n* next\n");
            expected.length = 0;
            if (length > most)
                transcript_add_error(&expected, ERROR_LINE_TOO_LONG, 0);
            else
                transcript_add_event(&expected, &event);
            transcript_add_event(
                &expected,
                &(struct event){.kind = EVENT_REPLY, .text = SLICE("next")});
            assert_true(transcript_equals(
                hear_every_cut(&ear, true, stream, end), &expected));
        }
    }
}

/* Nothing is kept of what is skipped, however long it is. */
static void test_endless_line(void **state)
{
    char piece[100];
    struct heard heard;
    enum error_code error = ERROR_NONE;
    unsigned errors = 0;

    (void)state;
    open_short();
    ear_meet(&ear, true);
    memset(piece, 'x', sizeof(piece));
    for (int i = 0; i < 100; i++) {
        const unsigned char *at = (const unsigned char *)piece;
        size_t length = sizeof(piece);

        if (wire_hear(ear.wire, &ear.decoder, &ear.peer, &at, &length, &heard,
                      &error) == WIRE_INVALID)
            errors++;
        assert_in_range(ear_memory(&ear), 0, TEXT_MAX + 128 + 16);
        assert_true(decoder_is_within(&ear.decoder));
    }
    assert_int_equal(errors, 1);
    assert_int_equal(error, ERROR_LINE_TOO_LONG);
    assert_true(ear_memory(&ear) == 0);
}

/* -- the end -- */

static void expect_end(const char *stream, enum wire_outcome outcome,
                       enum error_code expected, const char *text)
{
    struct heard heard;
    enum error_code error = ERROR_NONE;

    ear_meet(&ear, true);
    if (*stream)
        ear_feed(&ear, stream, strlen(stream));
    assert_int_equal(wire_hear_end(ear.wire, &ear.decoder, &heard, &error),
                     outcome);
    assert_int_equal(error, expected);
    if (outcome == WIRE_READY)
        assert_true(slice_equals(heard.event.text, slice_of(text)));
    /* There is nothing more. */
    if (outcome != WIRE_PARTIAL)
        assert_int_equal(wire_hear_end(ear.wire, &ear.decoder, &heard, &error),
                         WIRE_PARTIAL);
}

static void test_last_line(void **state)
{
    (void)state;
    expect_end("", WIRE_PARTIAL, ERROR_NONE, NULL);
    expect_end("* bye\n", WIRE_PARTIAL, ERROR_NONE, NULL);
    expect_end("* bye", WIRE_READY, ERROR_NONE, "bye");
    expect_end("* bye\r", WIRE_READY, ERROR_NONE, "bye");
    expect_end("x\n[den] bob: hi", WIRE_READY, ERROR_NONE, "hi");
    expect_end("* \a", WIRE_INVALID, ERROR_BAD_TEXT, NULL);
}

/* -- memory -- */

static void test_whole_lines_cost_nothing(void **state)
{
    static const char line[] = "[den] bob: hello\n";
    unsigned long before = alloc_count();
    struct event event = hear((struct slice){line, sizeof(line) - 1});

    (void)state;
    assert_ptr_equal(event.text.bytes, line + 11);
    assert_int_equal(alloc_count(), before);
    assert_true(ear_memory(&ear) == 0);
}

static void test_without_memory(void **state)
{
    static const char line[] = "[den] bob: hello";
    const unsigned char *at = (const unsigned char *)line;
    size_t length = sizeof(line) - 1;
    struct heard heard;
    enum error_code error = ERROR_NONE;

    (void)state;
    ear_meet(&ear, true);
    alloc_fail_at(1);
    assert_int_equal(wire_hear(ear.wire, &ear.decoder, &ear.peer, &at, &length,
                               &heard, &error),
                     WIRE_INVALID);
    alloc_fail_at(0);
    assert_int_equal(error, ERROR_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_vectors),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_near_misses),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_welcome),
        cmocka_unit_test(test_errors_before_the_welcome),
        cmocka_unit_test(test_first_bytes),
        cmocka_unit_test(test_unclean_text),
        cmocka_unit_test(test_streams_cut_everywhere),
        cmocka_unit_test(test_longest_text),
        cmocka_unit_test(test_lines_that_are_too_long),
        cmocka_unit_test(test_endless_line),
        cmocka_unit_test(test_last_line),
        cmocka_unit_test(test_whole_lines_cost_nothing),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, open_ear, close_ear);
}

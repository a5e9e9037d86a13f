/*
 * What secure clients say to members of other dialects: content that is not
 * text, text that does not fit a frame, to rooms and in private.
 */
#include "tests/unit/support_chat_members.h"

#include <stdio.h>
#include <string.h>

/* What a frame's body holds besides the text of sue's: in the lobby, and in
 * private. */
#define BODY_BYTES_MAX 65535
#define ROOM_FIELDS (8 + 8 + 1 + 5 + 1 + 3)
#define PRIVATE_FIELDS (8 + 8 + 1 + 1 + 1 + 3)

static struct client *tess, *fred, *sue, *seal;

static void start(void)
{
    start_members();
    tess = members[ENCODING_TEXT];
    fred = members[ENCODING_FRAME];
    sue = members[ENCODING_SECURE];
    seal = members[ENCODING_SEALED];
}

/* sue says it. */
static void send_content(const char *fields, const void *content, size_t length)
{
    secure_send(sue, MESSAGE, fields, content, length);
    engine_run();
}

/* Text of so many bytes, of one letter; valid until the next call. */
static const char *text_of(size_t length)
{
    static struct bytes text;

    text.length = 0;
    while (text.length < length)
        bytes_append(&text, "a", 1);
    bytes_append(&text, "", 1);
    return text.data;
}

/* ---- Content types ------------------------------------------------------- */

static void test_content_that_is_no_text(void **state)
{
    static const char image[] = "\x89PNG\r\n\x1a\n\0\xff";

    (void)state;
    start();
    send_content(",\"id\":5,\"content_type\":\"image/png\"", image,
                 sizeof(image));
    client_expect(tess, "[lobby] sue: sent image/png (11 bytes)");
    client_expect(fred, "MESSAGE 1 lobby sue: sent image/png (11 bytes)");
    client_expect(sue, "ACK 5 seq=1");
    assert_non_null(
        memmem(sue->out.data, sue->out.length, image, sizeof(image)));
    client_expect(sue, "MESSAGE 1 lobby sue: (image/png, 11 bytes)");
    client_expect_start(seal, "MESSAGE 1 lobby sue: (image/png, ");
    clients_expect_nothing();
    engine_stop();
}

static void test_in_private(void **state)
{
    (void)state;
    start();
    send_content(",\"to\":\"tess\",\"content_type\":\"a\\\"b\"", "\1\2\3", 3);
    client_expect(tess, "(private) sue: sent a\"b (3 bytes)");
    send_content(",\"to\":\"fred\",\"content_type\":\"a/b\"", "\1\2\3", 3);
    client_expect(fred, "MESSAGE 0 @ sue: sent a/b (3 bytes)");
    send_content(",\"to\":\"sue\",\"id\":1,\"content_type\":\"a/b\"", "\1", 1);
    client_expect(sue, "MESSAGE 0 @ sue: (a/b, 1 bytes)");
    client_expect(sue, "ACK 1 seq=0");
    clients_expect_nothing();
    engine_stop();
}

/* Any text is shown, whatever kind, and must be clean; the type of other
 * content is all that is shown of it. */
static void test_kinds_of_text(void **state)
{
    static const char *const types[] = {"text/markdown", "TEXT/HTML", "text/"};

    (void)state;
    start();
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        char fields[64];

        (void)snprintf(fields, sizeof(fields), ",\"content_type\":\"%s\"",
                       types[i]);
        send_content(fields, "*hello*", 7);
        client_expect(tess, "[lobby] sue: *hello*");
        client_expect(fred, "MESSAGE %zu lobby sue: *hello*", i + 1);
        client_expect(sue, "MESSAGE %zu lobby sue: (%s, 7 bytes)", i + 1,
                      types[i]);
        send_content(fields, "two\nlines", 9);
        client_expect_start(sue, "ERROR 2 id=0 bad-text ");
        client_forget(seal);
        clients_expect_nothing();
    }
    engine_stop();
}

/* ---- Long text ----------------------------------------------------------- */

static void expect_long(struct client *client, const char *before,
                        const char *text)
{
    const char *line = client_line(client);
    size_t length = strlen(before);

    assert_non_null(line);
    assert_memory_equal(line, before, length);
    assert_string_equal(line + length, text);
}

/* To the byte that does not fit any more. */
static void test_text_and_a_frame(void **state)
{
    (void)state;
    for (size_t over = 0; over < 3; over++) {
        size_t length = BODY_BYTES_MAX - ROOM_FIELDS + over;
        const char *text = text_of(length);

        start();
        send_content("", text, length);
        expect_long(tess, "[lobby] sue: ", text);
        expect_long(sue, "MESSAGE 1 lobby sue: ", text);
        if (over == 0)
            expect_long(fred, "MESSAGE 1 lobby sue: ", text);
        else
            client_expect(fred,
                          "MESSAGE 1 lobby sue: sent text/plain; "
                          "charset=utf-8 (%zu bytes)",
                          length);
        client_forget(seal);
        clients_expect_nothing();
        engine_stop();
    }
}

static void test_private_text_and_a_frame(void **state)
{
    (void)state;
    for (size_t over = 0; over < 3; over++) {
        size_t length = BODY_BYTES_MAX - PRIVATE_FIELDS + over;
        const char *text = text_of(length);

        start();
        send_content(",\"to\":\"fred\"", text, length);
        if (over == 0)
            expect_long(fred, "MESSAGE 0 @ sue: ", text);
        else
            client_expect(fred,
                          "MESSAGE 0 @ sue: sent text/plain; "
                          "charset=utf-8 (%zu bytes)",
                          length);
        send_content(",\"to\":\"tess\"", text, length);
        expect_long(tess, "(private) sue: ", text);
        clients_expect_nothing();
        engine_stop();
    }
}

/* The largest there is, over a window that holds not even one. */
static void test_largest(void **state)
{
    struct chat_config config = quiet_config();
    const char *text = text_of(MIB);

    (void)state;
    config.room_window_bytes = 4096;
    start_members_with(&config);
    for (enum encoding e = 0; e < ENCODINGS; e++)
        members[e]->send_max = 10000;
    for (unsigned i = 1; i < 4; i++) {
        secure_send(members[ENCODING_SECURE], MESSAGE, "", text, MIB);
        engine_run();
        expect_long(members[ENCODING_TEXT], "[lobby] sue: ", text);
        client_expect(members[ENCODING_FRAME],
                      "MESSAGE %u lobby sue: sent text/plain; charset=utf-8 "
                      "(1048576 bytes)",
                      i);
        client_expect_start(members[ENCODING_SECURE], "MESSAGE ");
        client_expect_start(members[ENCODING_SEALED], "MESSAGE ");
        clients_expect_nothing();
    }
    assert_int_equal(engine_metrics().lagged, 0);
    engine_stop();
}

/* ---- Long replies -------------------------------------------------------- */

/* What a client asks for fits what it is sent: a frame's own limit is less
 * than what the server sends. */
static void test_long_echo(void **state)
{
    struct chat_config config = quiet_config();
    const char *text;

    (void)state;
    config.wire.frame_bytes_max = BODY_BYTES_MAX;
    start_members_with(&config);
    fred = members[ENCODING_FRAME];
    text = text_of(BODY_BYTES_MAX - 4 - strlen("echo "));
    frame_command(fred, 1, "echo %s", text);
    engine_run();
    expect_long(fred, "REPLY 1: ", text);
    frame_command(fred, 2, "topic %s", text_of(60000));
    engine_run();
    client_expect_start(fred, "REPLY 2: topic lobby: aaaa");
    client_expect_start(fred, "NOTICE topic lobby fred: aaaa");
    client_expect_start(members[ENCODING_TEXT],
                        "[lobby] * fred set the topic: aaaa");
    engine_stop();
}

/* A topic as long as a secure client may make it does not fit a frame either.
 */
static void test_long_topic(void **state)
{
    struct bytes line = {0};

    (void)state;
    start();
    bytes_append(&line, "topic ", 6);
    bytes_append(&line, text_of(100000), 100000);
    secure_send(sue, COMMAND, "", line.data, line.length);
    bytes_release(&line);
    engine_run();
    client_expect_start(sue, "REPLY 0: topic lobby: aaaa");
    client_expect_start(sue, "NOTICE topic lobby sue: aaaa");
    expect_long(tess, "[lobby] * sue set the topic: ", text_of(100000));
    client_expect(fred, "NOTICE topic lobby sue: sent text/plain; "
                        "charset=utf-8 (100000 bytes)");
    frame_command(fred, 1, "topic");
    engine_run();
    client_expect_start(fred, "REPLY 1: sent text/plain; charset=utf-8 ");
    engine_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content_that_is_no_text),
        cmocka_unit_test(test_in_private),
        cmocka_unit_test(test_kinds_of_text),
        cmocka_unit_test(test_text_and_a_frame),
        cmocka_unit_test(test_private_text_and_a_frame),
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_long_echo),
        cmocka_unit_test(test_long_topic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

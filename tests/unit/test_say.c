/*
 * What a client says: byte for byte the golden vectors, and requests of every
 * kind with names, texts and numbers from the least to the longest. Exactly the
 * bytes are written that said_prepare has said. That a server reads them as
 * what they were is in test_both_ways.c.
 */
#include "common/wire/say.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/bytes.h"
#include "tests/unit/support_hear.h"
#include "vectors.h"

#include <stdlib.h>
#include <string.h>

/* A client's side of the connection of the vectors. */
static struct ear ear;

static void open_as(enum encoding encoding)
{
    ear_open(&ear, encoding >= ENCODING_SECURE ? DIALECT_SECURE : DIALECT_FRAME,
             NULL);
    ear_meet(&ear, true);
}

struct encoded {
    unsigned char *bytes;
    size_t size;
};

/* In memory of exactly its size. */
static struct encoded encode(enum encoding encoding,
                             const struct request *request)
{
    struct wire_peer before = ear.peer;
    struct said said;
    struct encoded encoded;

    encoded.size = said_prepare(ear.wire, encoding, &ear.peer, request, &said);
    assert_int_equal(encoded.size, said.size);
    assert_memory_equal(&ear.peer, &before, sizeof(before));
    encoded.bytes = malloc(encoded.size);
    assert_non_null(encoded.bytes);
    assert_ptr_equal(said_write(ear.wire, &said, encoded.bytes),
                     encoded.bytes + encoded.size);
    return encoded;
}

/* -- golden vectors -- */

/* Those that libringchat can say: transfers it cannot. */
static bool is_said(const char *name)
{
    return strncmp(name, "file", 4) != 0;
}

static size_t check_golden(const char *group, enum encoding encoding)
{
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
        const char *name = vector_of(group, vectors[i].name);
        struct encoded encoded;
        struct request request;

        if (!name || !is_said(name))
            continue;
        /* A new connection: the first seq. */
        open_as(encoding);
        ear.peer.sealed =
            encoding == ENCODING_SEALED || strcmp(name, "ack_sealed") == 0;
        request = vector_request(name);
        encoded = encode(encoding, &request);
        if (encoded.size != vectors[i].length ||
            memcmp(encoded.bytes, vectors[i].bytes, encoded.size) != 0)
            fail_msg("%s is another", vectors[i].name);
        free(encoded.bytes);
        ear_close(&ear);
        count++;
    }
    return count;
}

static void test_golden_frames(void **state)
{
    (void)state;
    assert_int_equal(check_golden("frame_in", ENCODING_FRAME), 9);
}

/* -- lines -- */

static void expect_line(struct request request, const char *line)
{
    struct encoded encoded = encode(ENCODING_TEXT, &request);

    assert_int_equal(encoded.size, strlen(line));
    assert_memory_equal(encoded.bytes, line, encoded.size);
    free(encoded.bytes);
}

static void test_lines(void **state)
{
    (void)state;
    open_as(ENCODING_TEXT);
    expect_line((struct request){.kind = REQUEST_NOTHING}, "\n");
    expect_line((struct request){.kind = REQUEST_DISCONNECT}, "/quit\n");
    expect_line(
        (struct request){.kind = REQUEST_MESSAGE, .text = SLICE("hello")},
        "hello\n");
    expect_line(
        (struct request){.kind = REQUEST_MESSAGE, .text = SLICE("a /b")},
        "a /b\n");
    expect_line((struct request){.kind = REQUEST_MESSAGE, .text = SLICE("/")},
                "//\n");
    expect_line(
        (struct request){.kind = REQUEST_MESSAGE, .text = SLICE("//quit")},
        "///quit\n");
    expect_line((struct request){.kind = REQUEST_MESSAGE,
                                 .target = TARGET_NICK,
                                 .name = SLICE("bob"),
                                 .text = SLICE("/quit")},
                "/msg bob /quit\n");
    expect_line(
        (struct request){.kind = REQUEST_COMMAND, .text = SLICE("who den")},
        "/who den\n");
    /* The ids are the binary dialects'. */
    expect_line((struct request){.kind = REQUEST_COMMAND,
                                 .id = 7,
                                 .text = SLICE("who")},
                "/who\n");
    ear_close(&ear);
}

/* -- frames -- */

/* The body of a message to the longest name of each kind, as the page has
 * it. */
static void test_targets_of_frames(void **state)
{
    static const char name[] = "abcdefghijklmnopqrstuvwx";
    static const char *const marks[] = {
        [TARGET_CURRENT] = "", [TARGET_ROOM] = "", [TARGET_NICK] = "@"};

    (void)state;
    open_as(ENCODING_FRAME);
    for (enum target t = TARGET_CURRENT; t <= TARGET_NICK; t++) {
        size_t longest = t == TARGET_CURRENT ? 0 : sizeof(name) - 1;
        size_t shortest = t == TARGET_CURRENT ? 0 : 1;

        for (size_t length = shortest; length <= longest; length++) {
            size_t target = strlen(marks[t]) + length;
            struct request request = {.kind = REQUEST_MESSAGE,
                                      .target = t,
                                      .id = 0x01020304,
                                      .name = {name, length},
                                      .text = SLICE("x")};
            struct encoded encoded = encode(ENCODING_FRAME, &request);

            assert_int_equal(encoded.size, 4 + 4 + 1 + target + 1);
            assert_int_equal(load_u16(encoded.bytes), 4);
            assert_int_equal(load_u16(encoded.bytes + 2), encoded.size - 4);
            assert_int_equal(load_u32(encoded.bytes + 4), 0x01020304);
            assert_int_equal(encoded.bytes[8], target);
            assert_memory_equal(encoded.bytes + 9, marks[t], strlen(marks[t]));
            assert_memory_equal(encoded.bytes + 9 + strlen(marks[t]), name,
                                length);
            assert_int_equal(encoded.bytes[encoded.size - 1], 'x');
            free(encoded.bytes);
        }
    }
    ear_close(&ear);
}

/* What does not fit has a size, by which it can be told. */
static void test_longest_frame(void **state)
{
    static char text[70000];
    struct request request = {.kind = REQUEST_COMMAND,
                              .text = {text, 65535 - 4}};
    struct encoded encoded;
    struct said said;

    (void)state;
    open_as(ENCODING_FRAME);
    memset(text, 'a', sizeof(text));
    encoded = encode(ENCODING_FRAME, &request);
    assert_int_equal(load_u16(encoded.bytes + 2), 65535);
    free(encoded.bytes);
    request.text.length = sizeof(text);
    assert_int_equal(
        said_prepare(ear.wire, ENCODING_FRAME, &ear.peer, &request, &said),
        4 + 4 + sizeof(text));
    ear_close(&ear);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_frames),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_targets_of_frames),
        cmocka_unit_test(test_longest_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

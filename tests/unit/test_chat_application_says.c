/*
 * An application in the place of rooms: what it says, to whom and how much; how
 * all stop; and want of memory.
 */
#include "tests/unit/support_alloc.h"
#include "tests/unit/support_chat_application.h"

#include <errno.h>
#include <string.h>

/* ---- What it says ---------------------------------------------------------
 */

static void test_says_to_all_of_a_worker(void **state)
{
    struct client *text, *frame, *secure;

    (void)state;
    desk_start_default();
    text = client_open("tess");
    frame = binary_open(DIALECT_FRAME, "fred");
    secure = binary_open(DIALECT_SECURE, "sue");
    client_tell(text, "say hello");
    frame_message(frame, 0, "", "say hello");
    engine_run();
    if (engine.workers == 1) {
        client_expect(text, "[desk] desk: hello");
        client_expect(text, "[desk] desk: hello");
        client_expect(frame, "MESSAGE 1 desk desk: hello");
        client_expect(frame, "MESSAGE 2 desk desk: hello");
        client_expect(secure, "MESSAGE 1 desk desk: hello");
        client_expect(secure, "MESSAGE 2 desk desk: hello");
    } else if (engine.workers == 3) {
        client_expect(text, "[desk] desk: hello");
        client_expect(frame, "MESSAGE 1 desk desk: hello");
    }
    if (engine.workers != 2)
        clients_expect_nothing();
    desk_stop();
}

/* Under any nick, in any content; who cannot show it is told what it was. */
static void test_says_more_than_text(void **state)
{
    struct event image = {
        .kind = EVENT_MESSAGE,
        .nick = SLICE("artist"),
        .text = {"\0\1\2", 3},
        .content_type = SLICE("image/png"),
    };
    struct client *text, *secure;

    (void)state;
    desk_start_default();
    text = client_open("tess");
    secure = binary_open(DIALECT_SECURE, "sue");
    assert_int_equal(application_say(text->session, &image), 0);
    assert_int_equal(application_say(secure->session, &image), 0);
    image.kind = EVENT_PRIVATE;
    assert_int_equal(application_say(secure->session, &image), 0);
    engine_run();
    client_expect(text, "[desk] artist: sent image/png (3 bytes)");
    client_expect(secure, "MESSAGE 1 desk artist: (image/png, 3 bytes)");
    client_expect(secure, "MESSAGE 0 @ artist: (image/png, 3 bytes)");
    assert_int_equal(secure->said_us, engine.wall_us);
    clients_expect_nothing();
    desk_stop();
}

static char long_text[MIB + 1];

static void test_says_what_may_not_be(void **state)
{
    static char type[CONTENT_TYPE_BYTES_MAX + 1];
    const struct {
        struct slice nick, text, content_type;
        int result;
    } cases[] = {
        {SLICE(""), SLICE(""), SLICE(""), -EINVAL},
        {SLICE(""), SLICE("a\nb"), SLICE(""), -EINVAL},
        {SLICE(""), SLICE("\xff"), SLICE(""), -EINVAL},
        {SLICE(""), SLICE("\xff"), SLICE("text/html"), -EINVAL},
        {SLICE("a b"), SLICE("text"), SLICE(""), -EINVAL},
        {SLICE("a:"), SLICE("text"), SLICE(""), -EINVAL},
        {SLICE(""), SLICE("text"), SLICE("image/\n"), -EINVAL},
        {SLICE(""), SLICE("text"), {type, sizeof(type)}, -EINVAL},
        {SLICE(""), {long_text, sizeof(long_text)}, SLICE(""), -EMSGSIZE},
        {SLICE(""), {long_text, sizeof(long_text)}, SLICE("x/y"), -EMSGSIZE},
        {SLICE(""), {long_text, sizeof(long_text) - 1}, SLICE(""), 0},
        {SLICE("guest-1a2b"), SLICE("\xff"), {type, sizeof(type) - 1}, 0},
    };
    struct client *ann;

    (void)state;
    memset(type, 'x', sizeof(type));
    memset(long_text, 'x', sizeof(long_text));
    desk_start_default();
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct event event = {
            .kind = EVENT_MESSAGE,
            .nick = cases[i].nick,
            .text = cases[i].text,
            .content_type = cases[i].content_type,
        };

        ann = client_open("ann");
        assert_int_equal(application_say(ann->session, &event),
                         cases[i].result);
        engine_run();
        assert_int_equal(client_unread(ann) > 0, cases[i].result == 0);
        client_tell(ann, "/quit");
    }
    desk_stop();
}

/* A text that no frame holds is told of, as in rooms. */
static void test_says_more_than_a_frame(void **state)
{
    struct client *fred;

    (void)state;
    memset(long_text, 'x', sizeof(long_text));
    long_text[MIB - 1] = '\0';
    desk_start_default();
    fred = binary_open(DIALECT_FRAME, "fred");
    assert_int_equal(desk_say(fred->session, EVENT_MESSAGE, long_text), 0);
    engine_run();
    client_expect(fred, "MESSAGE 1 desk desk: sent text/plain; charset=utf-8 "
                        "(1048575 bytes)");
    desk_stop();
}

/* Over 256 KiB that it does not read, but answers are not lost. */
static void test_slow_reader(void **state)
{
    struct client *ann;
    unsigned taken = 0, read = 0;

    (void)state;
    memset(long_text, 'x', 4096);
    long_text[4096] = '\0';
    desk_start_default();
    ann = client_open("ann");
    client_stall(ann);
    while (desk_say(ann->session, EVENT_MESSAGE, long_text) == 0)
        taken++;
    assert_int_equal(taken, PRIVATE_UNREAD_MAX / (4096 + 14) + 1);
    assert_int_equal(desk_say(ann->session, EVENT_MESSAGE, "short"), -EAGAIN);
    assert_int_equal(desk_say(ann->session, EVENT_PRIVATE, "short"), -EAGAIN);
    client_tell(ann, "/one"); /* is not even heard */
    assert_int_equal(visitor_of(ann)->heard, 0);
    client_unstall(ann);
    for (; read < taken; read++)
        client_expect_start(ann, "[desk] desk: xxx");
    client_expect(ann, "* one");
    client_expect_nothing(ann);
    assert_int_equal(desk_say(ann->session, EVENT_MESSAGE, "short"), 0);
    desk_stop();
}

/* An answer of more than 256 KiB comes to an end, and so does a refusal behind
 * as much. */
static unsigned replied;

static void reply_without_end(struct session *session,
                              const struct request *request, void *user)
{
    (void)user;
    remember(request);
    while (application_reply(session, slice_of(long_text), true) == 0)
        replied++;
    if (is_said("flood and no"))
        assert_int_equal(desk_refuse(session, ERROR_USAGE), 0);
}

static void test_answer_without_end(void **state)
{
    struct application flood = desk;
    struct chat_config config = desk_config();
    struct client *fred;

    (void)state;
    flood.message = reply_without_end;
    config.application = &flood;
    memset(long_text, 'x', 4096);
    long_text[4096] = '\0';
    for (unsigned refused = 0; refused < 2; refused++) {
        desk_start(&config);
        fred = binary_open(DIALECT_FRAME, "fred");
        replied = 0;
        frame_command(fred, 3, refused ? "flood and no" : "flood");
        engine_run();
        assert_in_range(replied, 60, 70);
        while (replied-- > 0)
            client_expect_start(fred, "REPLY 3 and more: xxx");
        client_expect(fred,
                      refused ? "ERROR 4 id=3 usage not today" : "REPLY 3");
        client_expect_nothing(fred);
        desk_stop();
    }
}

/* ---- Of others ------------------------------------------------------------
 */

/* From within what one has said, the others end: one that reads nothing, and
 * one that is paused with more to say. */
static void test_ends_others(void **state)
{
    struct client *ann, *bob, *carl;

    (void)state;
    desk_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    carl = client_open("carl");
    client_stall(carl);
    for (unsigned i = 0; i < 3000; i++)
        client_send(carl, "/echo %050u", i);
    engine_run();
    assert_true(session_paused(carl->session));
    client_tell(ann, "end others");
    engine_wait(2 * SECONDS);
    client_expect(bob, "* bye");
    client_unstall(carl);
    engine_wait(10 * SECONDS);
    assert_true(bob->closed && carl->closed);
    client_expect(ann, "[desk] desk: one less");
    client_expect(ann, "[desk] desk: one less");
    client_expect_nothing(ann);
    assert_int_equal(visitors[1].departure, DEPARTURE_CLOSED);
    desk_stop();
}

/* Who waits for other workers to answer has nothing to be answered by it. */
static void test_parked(void **state)
{
    struct client *ann;

    (void)state;
    desk_start_default();
    client_open("other");
    ann = client_open("ann");
    client_send(ann, "/metrics");
    client_send(ann, "/one");
    engine_turn();
    assert_int_equal(desk_reply(ann->session, "not this", false), -EINVAL);
    assert_int_equal(desk_say(ann->session, EVENT_MESSAGE, "in between"), 0);
    engine_run();
    while (strcmp(client_line(ann), "* end of metrics") != 0)
        ;
    client_expect(ann, "* one");
    desk_stop();
}

/* ---- Stopping, and want of memory -----------------------------------------
 */

static void test_shutdown(void **state)
{
    struct client *text, *frame, *stranger;

    (void)state;
    desk_start_default();
    text = client_open("tess");
    frame = binary_open(DIALECT_FRAME, "fred");
    stranger = binary_connect(DIALECT_FRAME);
    engine_run();
    client_forget(stranger);
    client_stall(text);
    desk_say(text->session, EVENT_MESSAGE, "the last thing");
    engine_run();
    engine_shutdown();
    client_send(frame, "not heard");
    engine_run();
    assert_int_equal(desk_say(visitors[0].session, EVENT_MESSAGE, "late"),
                     -EPIPE);
    client_unstall(text);
    engine_wait(2 * SECONDS);
    client_expect(text, "[desk] desk: the last thing");
    client_expect_start(text, "! shutdown ");
    client_expect_start(frame, "ERROR 33 ");
    client_expect_start(stranger, "ERROR 33 ");
    clients_expect_nothing();
    for (unsigned i = 0; i < 2; i++)
        expect_gone(&visitors[i], DEPARTURE_ERROR, ERROR_SHUTDOWN);
    assert_int_equal(visitor_count, 2);
    desk_stop();
}

static void talk(struct client *client)
{
    if (!client || !client->session)
        return;
    client_tell(client, "/nick ann");
    client_tell(client, "say something");
    client_tell(client, "tell");
    client_tell(client, "/two");
    client_tell(client, "/part");
    client_tell(client, "/no");
    client_tell(client, "/metrics");
    client_tell(client, "end");
}

static void talk_by_frames(struct client *client)
{
    engine_run();
    if (!client || !client->session || !client_line(client))
        return;
    frame_hello(client, "fred");
    frame_message(client, 1, "", "say %04000d", 1);
    frame_command(client, 2, "two");
    frame_command(client, 3, "one and end");
    engine_run();
}

static void converse(void)
{
    struct peer peer = {.name = "nowhere"};

    talk(client_connect());
    talk_by_frames(client_connect_as(DIALECT_FRAME, &peer));
    for (unsigned i = 0; i < 20; i++)
        (void)client_connect();
    engine_run();
    talk(client_connect());
}

/* Whether there was an nth allocation to fail. */
static bool fails_at(unsigned n)
{
    struct chat_config config = desk_config();
    unsigned long before = alloc_count();

    desk_begin();
    alloc_fail_at(n);
    engine_start(&config);
    if (engine.chat) {
        converse();
        desk_stop();
    }
    alloc_fail_at(0);
    return alloc_count() - before >= n;
}

static void test_each_allocation_fails(void **state)
{
    unsigned n = 1;

    (void)state;
    while (fails_at(n))
        n++;
    assert_true(n > 10);
}

/* Without memory for what it says, it is told so, and later that the session is
 * gone; without memory for the welcome there is nobody to be told of. */
static void test_no_memory_to_be_told(void **state)
{
    struct client *ann;

    (void)state;
    desk_start_default();
    ann = client_open("ann");
    memset(long_text, 'x', MIB - 1);
    long_text[MIB - 1] = '\0';
    alloc_fail_at(1);
    assert_int_equal(desk_say(ann->session, EVENT_MESSAGE, long_text), -ENOMEM);
    alloc_fail_at(0);
    assert_int_equal(desk_say(ann->session, EVENT_MESSAGE, "more"), -EPIPE);
    engine_run();
    assert_true(ann->closed);
    expect_gone(&visitors[0], DEPARTURE_MEMORY, ERROR_NONE);
    desk_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_says_to_all_of_a_worker),
        cmocka_unit_test(test_says_more_than_text),
        cmocka_unit_test(test_says_what_may_not_be),
        cmocka_unit_test(test_says_more_than_a_frame),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_answer_without_end),
        TEST_ALONE(test_ends_others),
        cmocka_unit_test(test_parked),
        cmocka_unit_test(test_shutdown),
        cmocka_unit_test(test_each_allocation_fails),
        cmocka_unit_test(test_no_memory_to_be_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

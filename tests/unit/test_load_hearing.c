/*
 * What clients of the load generator's make of the bytes that come: an audience
 * that hears one room, each in pieces of its own and some further on than
 * others; to one of them messages are dropped, doubled, swapped and damaged.
 * What they count is what was done, exactly.
 */
#include "tests/unit/support_load_hearing.h"

#define BAD 1 /* whom things are done to */

/* ---- What should be counted --------------------------------------------- */

static void expect_unnamed(struct listener *listener)
{
    listener->ear.counts.corrupted++;
    listener->ear.unnamed++;
}

/* What it says of itself is believed if that is what is due. */
static void expect_damaged(struct listener *listener, uint32_t speaker,
                           uint32_t number)
{
    struct ear *ear = &listener->ear;

    if (ear->due[speaker] != number) {
        expect_unnamed(listener);
        return;
    }
    ear->counts.corrupted++;
    ear->has_come[speaker][number] = true;
    ear->due[speaker]++;
}

static void add_up(struct ear *ear)
{
    uint64_t missing = 0, accounted = ear->unnamed + ear->counts.lagged;

    for (size_t i = 0; i < world.count; i++)
        missing += !ear->has_come[world.said[i].speaker][world.said[i].number];
    if (missing > accounted)
        ear->counts.lost = missing - accounted;
    if (ear->counts.lagged > missing)
        ear->counts.overstated = ear->counts.lagged - missing;
}

/* What is no message, of all kinds that there are in the dialect. */
static void send_notice(struct listener *listener)
{
    static const char *const notices[] = {
        "[den] * alice joined\n",
        "[lobby] * alice left\n",
        "(private) alice: psst\n",
        "* pong\n",
        "[den] * alice set the topic: 000005 00000000:\n",
        "! unknown-command /x\n",
    };
    size_t which = draw(sizeof(notices) / sizeof(*notices));

    if (!is_text())
        return;
    put_line(listener, notices[which]);
    listener->ear.counts.errors += notices[which][0] == '!';
}

/* ---- What is done to the bad one ---------------------------------------- */

static void fault_drop(struct listener *listener, size_t index)
{
    (void)listener;
    (void)index;
}

static void fault_double(struct listener *listener, size_t index)
{
    send_message(listener, index);
    if (draw(2))
        send_notice(listener);
    send_message(listener, index);
}

/* One comes again, or is dropped and comes after all. */
static void fault_repeat(struct listener *listener, size_t index)
{
    size_t again = draw(index + 1);
    struct message_name name = world.said[again];

    send_message(listener, index);
    if (world.bad_is_behind ||
        listener->ear.has_come[name.speaker][name.number])
        send_message(listener, again);
}

/* It is sent after the next one, or some later one. */
static void fault_swap(struct listener *listener, size_t index)
{
    if (listener->held_count == HELD_MAX)
        send_message(listener, index);
    else
        listener->held[listener->held_count++] = index;
}

static void fault_damage_matter(struct listener *listener, size_t index)
{
    struct message_name name = world.said[index];
    char text[SIZE_MAX_SAID];
    size_t length = write_text(index, text);

    if (length == MESSAGE_NAME_BYTES)
        text[length++] = 'x';
    else
        text[MESSAGE_NAME_BYTES + draw(length - MESSAGE_NAME_BYTES)] = '!';
    put_said(listener, name.speaker, text, length);
    expect_damaged(listener, name.speaker, name.number);
}

static void fault_damage_name(struct listener *listener, size_t index)
{
    char text[SIZE_MAX_SAID];
    size_t length = write_text(index, text);

    text[draw(MESSAGE_NAME_BYTES)] = 'X';
    put_said(listener, world.said[index].speaker, text, length);
    expect_unnamed(listener);
}

/* It has the number of another that has been said. */
static void fault_misname(struct listener *listener, size_t index)
{
    struct message_name name = world.said[index];
    char text[SIZE_MAX_SAID], other[MESSAGE_NAME_BYTES + 1];
    size_t length = write_text(index, text);
    uint32_t number;

    if (name.number == 0 || length < MESSAGE_NAME_BYTES + 8) {
        send_message(listener, index);
        return;
    }
    number = (uint32_t)draw(name.number);
    snprintf(other, sizeof(other), "%06x %08x:", FIRST_SPEAKER + name.speaker,
             number);
    memcpy(text, other, MESSAGE_NAME_BYTES);
    put_said(listener, name.speaker, text, length);
    expect_damaged(listener, name.speaker, number);
}

/* It names who is not of this room, or is not at all; or what has not been
 * said. */
static void fault_of_nobody(struct listener *listener, size_t index)
{
    static const char *const names[] = {
        "000004 00000000:", "000008 00000000:", "ffffff 00000000:",
        "000005 ffffffff:", "000006 000000c8:", "000000 00000000:",
    };
    char text[SIZE_MAX_SAID];
    size_t length = write_text(index, text);

    memcpy(text, names[draw(sizeof(names) / sizeof(*names))],
           MESSAGE_NAME_BYTES);
    put_said(listener, world.said[index].speaker, text, length);
    expect_unnamed(listener);
}

static void fault_cut_short(struct listener *listener, size_t index)
{
    struct message_name name = world.said[index];
    char text[SIZE_MAX_SAID];
    size_t length = draw(write_text(index, text));

    put_said(listener, name.speaker, text, length);
    if (length < MESSAGE_NAME_BYTES)
        expect_unnamed(listener);
    else
        expect_damaged(listener, name.speaker, name.number);
}

/* An LF comes to be where there was none. */
static void fault_break(struct listener *listener, size_t index)
{
    struct message_name name = world.said[index];
    char text[SIZE_MAX_SAID];
    size_t length = write_text(index, text);

    if (length == MESSAGE_NAME_BYTES) {
        send_message(listener, index);
        return;
    }
    text[MESSAGE_NAME_BYTES + draw(length - MESSAGE_NAME_BYTES)] = '\n';
    put_said(listener, name.speaker, text, length);
    expect_damaged(listener, name.speaker, name.number);
    expect_unnamed(listener);
}

/* The LF between a message and its double is not one any more. */
static void fault_run_together(struct listener *listener, size_t index)
{
    struct message_name name = world.said[index];
    char text[2 * SIZE_MAX_SAID + 1];
    size_t length = write_text(index, text);

    text[length++] = '\t';
    length += write_text(index, text + length);
    put_said(listener, name.speaker, text, length);
    expect_damaged(listener, name.speaker, name.number);
}

static void fault_stranger(struct listener *listener, size_t index)
{
    static const char words[] = "who is it?";

    put_said(listener, 0, words, draw(sizeof(words)));
    expect_unnamed(listener);
    send_message(listener, index);
}

/* It is told how many were dropped, and now and then of too many. */
static void fault_lag(struct listener *listener, size_t index)
{
    unsigned missed = 1 + (draw(8) == 0);
    char line[64];

    (void)index;
    snprintf(line, sizeof(line), "[den] * lagged: %u messages missed\n",
             missed);
    if (!is_text())
        return;
    put_line(listener, line);
    listener->ear.counts.lagged += missed;
    listener->ear.counts.lags++;
}

/* Where the item begins like nothing that there is. */
static void fault_no_item(struct listener *listener, size_t index)
{
    if (is_text()) {
        put_line(listener, "]den[ alice: 000005 00000000:\n");
        expect_unnamed(listener);
    }
    send_message(listener, index);
}

static void (*const faults[])(struct listener *, size_t) = {
    fault_drop,      fault_double,        fault_repeat,       fault_swap,
    fault_swap,      fault_damage_matter, fault_misname,      fault_damage_name,
    fault_of_nobody, fault_break,         fault_run_together, fault_stranger,
    fault_cut_short, fault_lag,           fault_no_item,
};
#define FAULTS (sizeof(faults) / sizeof(*faults))

static void send_held(struct listener *listener, size_t at)
{
    size_t held = listener->held[at];

    listener->held[at] = listener->held[--listener->held_count];
    send_message(listener, held);
}

static void send_all_held(struct listener *listener)
{
    while (listener->held_count > 0)
        send_held(listener, draw(listener->held_count));
}

static void send_or_not(struct listener *listener, size_t index)
{
    if (draw(6) == 0)
        faults[draw(FAULTS)](listener, index);
    else
        send_message(listener, index);
}

/* If it cannot be told which order is the right one, only two messages are
 * swapped that follow each other and are of one speaker. */
static void send_with_faults(struct listener *listener, size_t index)
{
    size_t held = listener->held_count;

    if (!world.bad_is_behind && held > 0 &&
        world.said[listener->held[0]].speaker != world.said[index].speaker)
        send_all_held(listener);
    held = listener->held_count;
    send_or_not(listener, index);
    if (held > 0 && !world.bad_is_behind)
        send_all_held(listener);
    else if (held > 0 && draw(2) == 0)
        send_held(listener, draw(held));
}

/* ---- Who hears ---------------------------------------------------------- */

static bool is_bad(const struct listener *listener)
{
    return listener == &world.listeners[BAD];
}

/* How many messages a good one has heard at least. */
static size_t heard_by_others(void)
{
    size_t most = 0;

    for (size_t i = 0; i < CLIENTS; i++) {
        const struct listener *listener = &world.listeners[i];

        while (!is_bad(listener) && most < listener->next &&
               listener->ends[most] <= listener->fed)
            most++;
    }
    return most;
}

/* What was said is sent to it. */
static void forward(struct listener *listener)
{
    size_t until = world.count;

    if (is_bad(listener) && world.bad_is_behind)
        until = heard_by_others();
    while (listener->next < until) {
        size_t index = listener->next++;

        if (draw(10) == 0)
            send_notice(listener);
        if (is_bad(listener))
            send_with_faults(listener, index);
        else
            send_message(listener, index);
    }
}

static bool feed_all(void)
{
    uint64_t before = world.now_ns;

    for (size_t i = 0; i < CLIENTS; i++) {
        /* The others first, for the bad one may have to wait for them. */
        struct listener *listener = &world.listeners[(BAD + 1 + i) % CLIENTS];

        forward(listener);
        feed(listener, SIZE_MAX);
    }
    return world.now_ns > before;
}

static void feed_one(void)
{
    size_t which = draw(CLIENTS);
    struct listener *listener = &world.listeners[which];

    if (which == SLOW && world.is_slow_one_slow && draw(20) > 0)
        return;
    forward(listener);
    feed(listener, draw(3) == 0 ? 1 + draw(3) : rng_magnitude(&world.rng, 600));
}

/* ---- Who speaks --------------------------------------------------------- */

static void say_some(void)
{
    for (size_t i = 1 + draw(4); i > 0; i--)
        say((uint32_t)draw(SPEAKERS));
}

static void give_up(void)
{
    for (size_t i = 0; i < SPEAKERS; i++)
        voice_give_up(&world.voices[FIRST_SPEAKER + i], UINT64_MAX);
}

/* ---- A course ----------------------------------------------------------- */

static void check_counts(void)
{
    const struct counts *counts = &world.worker.counts;
    struct counts expected = {0};
    uint64_t timed = 0;

    for (size_t i = 0; i < CLIENTS; i++) {
        struct ear *ear = &world.listeners[i].ear;

        add_up(ear);
        counts_add(&expected, &ear->counts);
        timed += i == SLOW ? 0 : ear->timed;
    }
    assert_int_equal(counts->delivered, expected.delivered);
    assert_int_equal(counts->lost, expected.lost);
    assert_int_equal(counts->twice, expected.twice);
    assert_int_equal(counts->late, expected.late);
    assert_int_equal(counts->corrupted, expected.corrupted);
    assert_int_equal(counts->lagged, expected.lagged);
    assert_int_equal(counts->lags, expected.lags);
    assert_int_equal(counts->overstated, expected.overstated);
    assert_int_equal(counts->errors, expected.errors);
    assert_int_equal(counts->entered, CLIENTS);
    assert_int_equal(counts->cut, 0);
    assert_int_equal(world.worker.latency.count + counts->untimed, timed);
}

/* All is heard, and added up. */
static void end(void)
{
    while (feed_all())
        continue;
    send_all_held(&world.listeners[BAD]);
    feed_all();
    for (size_t i = 0; i < CLIENTS; i++)
        client_hears_no_more(&world.clients[i]);
    for (size_t i = 0; i < SPEAKERS; i++)
        assert_int_equal(world.voices[FIRST_SPEAKER + i].outstanding, 0);
    assert_int_equal(world.room.audiences, 0);
    for (size_t i = 0; i < CLIENTS; i++)
        client_end(&world.clients[i]);
    assert_int_equal(world.audience.followers, 0);
    assert_int_equal(world.audience.at_end, 0);
    check_counts();
    release();
}

static void run_course(const struct dialect *dialect, size_t size,
                       bool bad_is_behind, uint64_t seed)
{
    begin(dialect, size, seed);
    world.bad_is_behind = bad_is_behind;
    world.is_slow_one_slow = seed % 2;
    while (world.count < MESSAGES) {
        if (draw(4) == 0)
            say_some();
        feed_one();
        if (draw(100) == 0 && !feed_all())
            give_up();
    }
    end();
}

static void run_courses(const struct dialect *dialect, bool bad_is_behind)
{
    static const size_t sizes[] = {16, 17, 24, 40, 100, SIZE_MAX_SAID};

    for (uint64_t seed = 0; seed < 300; seed++) {
        size_t size = sizes[seed / 2 % (sizeof(sizes) / sizeof(*sizes))];

        run_course(dialect, size, bad_is_behind, seed);
    }
}

static void test_raw(void **state)
{
    (void)state;
    run_courses(&dialect_raw, false);
}

static void test_raw_when_others_know_the_order(void **state)
{
    (void)state;
    run_courses(&dialect_raw, true);
}

static void test_text(void **state)
{
    (void)state;
    run_courses(&dialect_text, false);
}

static void test_text_when_others_know_the_order(void **state)
{
    (void)state;
    run_courses(&dialect_text, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_raw),
        cmocka_unit_test(test_raw_when_others_know_the_order),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_text_when_others_know_the_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Those who follow the transcript of one of the load generator's audiences, as
 * hearing.c has them do it: each is sent messages and items of its own, in its
 * own pieces, and finds in them what it was sent, and nothing else.
 */
#include "tests/load/audience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support_random.h"

#include <stdlib.h>
#include <string.h>

#define SPEAKERS 3
#define PLACES 64
#define MIB ((size_t)1024 * 1024)
#define TRANSCRIPT_MIB 16 /* TRANSCRIPT_MAX of audience.c */
#define FOLLOWERS 4

static struct room room;
static struct voice voices[SPEAKERS];
static struct audience audience;

static void begin(void)
{
    memset(voices, 0, sizeof(voices));
    for (size_t i = 0; i < SPEAKERS; i++)
        voice_init(&voices[i], PLACES);
    audience_init(&audience, &room, voices, SPEAKERS, PLACES, true);
}

static void end(void)
{
    audience_release(&audience);
    for (size_t i = 0; i < SPEAKERS; i++)
        voice_release(&voices[i]);
}

/* ---- Who follows -------------------------------------------------------- */

/*
 * Items of a stream: how long it is, who says it (PRIVATE: it is for one alone)
 * and which it is, and bytes. Each listener is sent the messages of the room,
 * but for some that are dropped, with private items in between.
 */
#define HEADER 12
#define PRIVATE UINT32_MAX

struct listener {
    struct follower follower;
    bool is_here;
    unsigned char *stream; /* all that it is sent while it is here */
    size_t length, allocated, fed;
    size_t done; /* of the stream: items that it has found */
    size_t next; /* message of the room that it is sent */
};

struct message {
    uint32_t speaker, number;
    size_t length;
};

#define MESSAGES_MAX 4000

static struct course {
    struct rng rng;
    struct listener listeners[FOLLOWERS];
    struct message messages[MESSAGES_MAX];
    uint32_t said[SPEAKERS];
    size_t count, bytes;
    size_t length_max, bytes_max;
    size_t followed;   /* messages that were found in the transcript */
    unsigned laziness; /* how seldom the last of them reads */
    bool is_spoken_in; /* at times one goes, and comes again */
} course;

static size_t draw(size_t bound)
{
    return rng_below(&course.rng, bound);
}

static void put(struct listener *listener, uint32_t speaker, uint32_t number,
                size_t length)
{
    uint32_t header[HEADER / 4] = {(uint32_t)length, speaker, number};
    unsigned char *to;

    if (listener->length + length > listener->allocated) {
        listener->allocated = 2 * (listener->length + length);
        listener->stream = realloc(listener->stream, listener->allocated);
        assert_non_null(listener->stream);
    }
    to = listener->stream + listener->length;
    memcpy(to, header, HEADER);
    memset(to + HEADER, (int)(speaker * 31 + number * 7) & 0xff,
           length - HEADER);
    listener->length += length;
}

static uint32_t header_field(const unsigned char *item, size_t field)
{
    uint32_t value;

    memcpy(&value, item + 4 * field, 4);
    return value;
}

/* An item was found: it is the next of the stream. */
static void found(struct listener *listener, const unsigned char *bytes,
                  size_t length)
{
    assert_true(listener->done + length <= listener->fed);
    assert_memory_equal(bytes, listener->stream + listener->done, length);
    listener->done += length;
}

/* As hearing.c does it, and in the same places. */

static size_t follow(struct listener *listener, const unsigned char *bytes,
                     size_t length)
{
    struct follower *follower = &listener->follower;
    size_t match = audience_match(&audience, follower->position, bytes, length);
    uint64_t position = follower->position + match, entry = follower->entry;

    listener->fed += match;
    for (; entry < audience.entries_end; entry++) {
        uint64_t first = audience_entry_begin(&audience, entry);
        uint64_t last = audience_entry(&audience, entry)->end;

        if (last > position)
            break;
        found(listener, audience_at(&audience, first), last - first);
        course.followed++;
    }
    audience_move(&audience, follower, position, entry);
    if (match < length)
        audience_turn_back(&audience, follower);
    return match;
}

static void follow_carried(struct follower *follower)
{
    size_t length = follower->carry_length;

    if (audience.end - follower->position <= length ||
        audience_match(&audience, follower->position, follower->carry, length) <
            length)
        return;
    follower->carry_length = 0;
    audience_move(&audience, follower, follower->position + length,
                  follower->entry);
}

static bool is_next(const struct follower *follower, uint32_t speaker,
                    uint32_t number)
{
    return !follower->is_astray && follower->entry < audience.entries_end &&
           audience_entry(&audience, follower->entry)->speaker == speaker &&
           audience_entry(&audience, follower->entry)->number == number;
}

static void find_place(struct follower *follower, uint64_t entry)
{
    if (entry >=
        (follower->is_astray ? audience.entries_begin : follower->entry))
        audience_guide(&audience, follower,
                       audience_entry(&audience, entry)->end, entry + 1);
}

static void place(struct follower *follower, const unsigned char *item,
                  size_t length)
{
    uint32_t speaker = header_field(item, 1), number = header_field(item, 2);
    struct record *record = audience_record(&audience, speaker, number);
    bool is_at_end = follower->is_astray ? audience.guided == 0
                                         : follower->position == audience.end;

    if (is_next(follower, speaker, number)) {
        find_place(follower, follower->entry);
    } else if (record && record->entry != ENTRY_NONE) {
        find_place(follower, record->entry);
    } else if (record && is_at_end) {
        audience_guide(&audience, follower, audience.end, audience.entries_end);
        audience_append(&audience, follower, record, speaker, item, length);
    }
}

static void read_item(struct listener *listener, const unsigned char *item,
                      size_t length)
{
    found(listener, item, length);
    if (header_field(item, 1) != PRIVATE)
        place(&listener->follower, item, length);
}

/* How long the item is of which there is so much; 0: that is not known, or it
 * is not whole. */
static size_t extent(const unsigned char *bytes, size_t length)
{
    size_t whole = length < HEADER ? 0 : header_field(bytes, 0);

    return whole <= length ? whole : 0;
}

static size_t read_carried(struct listener *listener,
                           const unsigned char *bytes, size_t length)
{
    struct follower *follower = &listener->follower;
    size_t had = follower->carry_length, more = length, whole;

    if (more > 512)
        more = 512;
    if (had >= HEADER && header_field(follower->carry, 0) > had + more)
        more = header_field(follower->carry, 0) - had;
    if (more > length)
        more = length;
    follower_carry(follower, bytes, more);
    whole = extent(follower->carry, follower->carry_length);
    if (whole == 0) {
        listener->fed += more;
        return more;
    }
    listener->fed += whole - had;
    follower->carry_length = 0;
    read_item(listener, follower->carry, whole);
    return whole - had;
}

static size_t read_some(struct listener *listener, const unsigned char *bytes,
                        size_t length)
{
    size_t whole;

    if (listener->follower.carry_length > 0)
        return read_carried(listener, bytes, length);
    whole = extent(bytes, length);
    listener->fed += whole ? whole : length;
    if (whole > 0)
        read_item(listener, bytes, whole);
    else
        follower_carry(&listener->follower, bytes, length);
    return whole ? whole : length;
}

static void hear(struct listener *listener, const unsigned char *bytes,
                 size_t length)
{
    struct follower *follower = &listener->follower;

    if (!follower->is_astray && follower->carry_length > 0)
        follow_carried(follower);
    while (length > 0) {
        size_t count = 0;

        if (!follower->is_astray && follower->carry_length == 0)
            count = follow(listener, bytes, length);
        if (count == 0)
            count = read_some(listener, bytes, length);
        bytes += count;
        length -= count;
    }
}

/* -- what always holds -- */

/* What has come of the next item is carried, or is what it has read of the
 * entry. */
static void check_rest(const struct listener *listener)
{
    const struct follower *follower = &listener->follower;
    const unsigned char *rest = listener->stream + listener->done;
    size_t length = listener->fed - listener->done;
    uint64_t first = audience_entry_begin(&audience, follower->entry);

    if (length == 0) {
        assert_int_equal(follower->carry_length, 0);
        assert_int_equal(follower->position, first);
    } else if (follower->carry_length > 0) {
        assert_int_equal(follower->carry_length, length);
        assert_memory_equal(follower->carry, rest, length);
        assert_int_equal(follower->position, first);
    } else {
        assert_int_equal(follower->position - first, length);
        assert_memory_equal(audience_at(&audience, first), rest, length);
    }
}

static void check_audience(void)
{
    size_t followers = 0, guided = 0, at_end = 0;

    for (size_t i = 0; i < FOLLOWERS; i++) {
        const struct listener *listener = &course.listeners[i];
        const struct follower *follower = &listener->follower;

        if (!listener->is_here)
            continue;
        followers++;
        guided += !follower->is_astray;
        at_end += follower->position == audience.end;
        assert_in_range(follower->position, audience.begin, audience.end);
        assert_in_range(follower->entry, audience.entries_begin,
                        audience.entries_end);
        check_rest(listener);
    }
    assert_int_equal(audience.followers, followers);
    assert_int_equal(audience.guided, guided);
    assert_int_equal(audience.at_end, at_end);
    assert_true(audience.end - audience.begin <=
                TRANSCRIPT_MIB * MIB + course.length_max);
}

/* -- what is done -- */

static void say(void)
{
    uint32_t speaker = (uint32_t)draw(SPEAKERS);
    struct message *message = &course.messages[course.count++];

    message->speaker = speaker;
    message->number = course.said[speaker]++;
    message->length =
        HEADER + rng_magnitude(&course.rng, course.length_max) - 1;
    course.bytes += message->length;
}

/* What was said is sent to it, but for what is dropped. */
static void send_some(struct listener *listener)
{
    while (listener->next < course.count && draw(4) > 0) {
        const struct message *message = &course.messages[listener->next++];

        if (draw(8) == 0)
            put(listener, PRIVATE, (uint32_t)draw(1000), HEADER + draw(40));
        if (draw(20) > 0)
            put(listener, message->speaker, message->number, message->length);
    }
}

/* In memory of its exact size, for AddressSanitizer. */
static void feed(struct listener *listener, size_t length)
{
    size_t left = listener->length - listener->fed;
    unsigned char *piece;

    if (length > left)
        length = left;
    if (length == 0)
        return;
    piece = malloc(length);
    assert_non_null(piece);
    memcpy(piece, listener->stream + listener->fed, length);
    hear(listener, piece, length);
    free(piece);
}

/* Who comes is sent what is said from then on. */
static void come(struct listener *listener)
{
    listener->follower = (struct follower){0};
    listener->length = listener->fed = listener->done = 0;
    listener->next = course.count;
    listener->is_here = true;
    audience_join(&audience, &listener->follower, course.is_spoken_in);
}

static void go(struct listener *listener)
{
    listener->is_here = false;
    audience_leave(&audience, &listener->follower);
    follower_release(&listener->follower);
}

static void take_turn(void)
{
    size_t which = draw(FOLLOWERS);
    struct listener *listener = &course.listeners[which];
    size_t piece_max = draw(4) ? 2 * course.length_max : 8;

    if (which == FOLLOWERS - 1 && draw(course.laziness) > 0)
        return;
    if (!listener->is_here) {
        come(listener);
    } else if (course.is_spoken_in && draw(40) == 0) {
        go(listener);
    } else {
        send_some(listener);
        feed(listener, rng_magnitude(&course.rng, piece_max));
    }
}

static void finish(void)
{
    for (size_t i = 0; i < FOLLOWERS; i++) {
        struct listener *listener = &course.listeners[i];

        if (!listener->is_here)
            continue;
        while (listener->next < course.count)
            send_some(listener);
        feed(listener, SIZE_MAX);
        check_audience();
        assert_int_equal(listener->done, listener->length);
    }
}

static void run_course(uint64_t seed)
{
    begin();
    course.rng.state = seed;
    for (size_t i = 0; i < FOLLOWERS; i++)
        come(&course.listeners[i]);
    while (course.count < MESSAGES_MAX && course.bytes < course.bytes_max) {
        if (draw(6) == 0)
            say();
        take_turn();
        check_audience();
    }
    finish();
    for (size_t i = 0; i < FOLLOWERS; i++) {
        if (course.listeners[i].is_here)
            go(&course.listeners[i]);
        free(course.listeners[i].stream);
    }
    end();
}

/* Were they all read, this would be good for nothing. */
static void run_courses(uint64_t count, size_t length_max, unsigned laziness,
                        bool is_spoken_in)
{
    size_t followed = 0, said = 0;

    for (uint64_t seed = 0; seed < count; seed++) {
        memset(&course, 0, sizeof(course));
        course.length_max = length_max;
        course.bytes_max = length_max < MIB ? 40 * 1000 : 48 * MIB;
        course.laziness = laziness;
        course.is_spoken_in = is_spoken_in;
        run_course(seed);
        followed += course.followed;
        said += course.count;
    }
    assert_true(followed > said / 2);
}

static void test_random_courses(void **state)
{
    (void)state;
    run_courses(60, 40, 1, false);
    run_courses(60, 2000, 1, false);
}

static void test_random_courses_with_one_behind(void **state)
{
    (void)state;
    run_courses(60, 40, 20, false);
    run_courses(60, 2000, 20, false);
}

static void test_random_courses_of_visitors(void **state)
{
    (void)state;
    run_courses(60, 40, 1, true);
    run_courses(60, 2000, 1, true);
}

/* Far more than is kept, and one who is far behind. */
static void test_random_courses_of_large_messages(void **state)
{
    (void)state;
    run_courses(3, MIB, 50, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_courses),
        cmocka_unit_test(test_random_courses_with_one_behind),
        cmocka_unit_test(test_random_courses_of_visitors),
        cmocka_unit_test(test_random_courses_of_large_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

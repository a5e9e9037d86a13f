/*
 * Clients of the load generator's who hear one room, for its unit tests,
 * without sockets: what is sent to each, and what it should count of that. The
 * model keeps a set of all that a client has heard.
 */
#ifndef RINGCHAT_SUPPORT_LOAD_HEARING_H
#define RINGCHAT_SUPPORT_LOAD_HEARING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/load/client.h"
#include "tests/load/worker.h"
#include "tests/unit/support_random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPEAKERS 3
#define FIRST_SPEAKER 5 /* of the room, among all of the run */
#define MESSAGES 200
#define HELD_MAX 4
#define CLIENTS 4
#define SLOW 3 /* whom nobody waits for */
#define PLACES 16
#define SIZE_MAX_SAID 300

/* A client, as it should be. */
struct ear {
    bool has_come[SPEAKERS][MESSAGES];
    uint32_t due[SPEAKERS];
    struct counts counts;
    uint64_t unnamed, timed;
    size_t placed; /* how far on in the room it has been */
};

struct listener {
    struct client *client;
    struct ear ear;
    struct out wire;       /* what is on its way */
    size_t next;           /* message of the room that it is sent */
    size_t written, fed;   /* bytes, of all that was on its way */
    size_t ends[MESSAGES]; /* where each message ends, of those */
    size_t held[HELD_MAX]; /* messages that are sent later */
    size_t held_count;
};

static struct world {
    struct rng rng;
    struct plan plan;
    struct run run;
    struct room room;
    struct worker worker;
    struct target target;
    struct audience audience;
    struct voice voices[FIRST_SPEAKER + SPEAKERS];
    struct client clients[CLIENTS];
    struct listener listeners[CLIENTS];
    struct message_name said[MESSAGES]; /* speakers from 0 */
    size_t count;
    uint64_t now_ns;
    /* Others have heard what the bad one hears: so they say which order is the
     * right one. */
    bool bad_is_behind;
    bool is_slow_one_slow;
} world;

static inline bool is_text(void)
{
    return world.target.dialect == &dialect_text;
}

static inline size_t draw(size_t bound)
{
    return rng_below(&world.rng, bound);
}

/* ---- What should be counted --------------------------------------------- */

static inline enum hearing ear_hear(struct ear *ear, uint32_t speaker,
                                    uint32_t number)
{
    uint32_t *due = &ear->due[speaker];
    enum hearing hearing = number == *due ? HEARD_NEXT : HEARD_AHEAD;

    if (number < *due)
        hearing = HEARD_LATE;
    else
        *due = number + 1;
    if (ear->has_come[speaker][number])
        hearing = HEARD_TWICE;
    ear->has_come[speaker][number] = true;
    ear->counts.delivered += hearing != HEARD_TWICE;
    ear->counts.twice += hearing == HEARD_TWICE;
    ear->counts.late += hearing == HEARD_LATE;
    ear->timed += hearing != HEARD_TWICE;
    return hearing;
}

/* A message that is right: late as well if one was heard that all others hear
 * after it. */
static inline void expect_message(struct listener *listener, size_t index)
{
    struct ear *ear = &listener->ear;
    struct message_name name = world.said[index];
    enum hearing hearing = ear_hear(ear, name.speaker, name.number);

    if (hearing == HEARD_LATE || hearing == HEARD_TWICE)
        return;
    ear->counts.late += index < ear->placed;
    if (index >= ear->placed)
        ear->placed = index + 1;
}

/* ---- What is sent ------------------------------------------------------- */

static inline void put(struct listener *listener, const void *bytes,
                       size_t length)
{
    out_append(&listener->wire, bytes, length);
    listener->written += length;
}

static inline void put_line(struct listener *listener, const char *line)
{
    put(listener, line, strlen(line));
}

static inline void put_said(struct listener *listener, uint32_t speaker,
                            const char *text, size_t length)
{
    char prefix[32];

    snprintf(prefix, sizeof(prefix), "[den] nick-%u: ", speaker);
    if (is_text())
        put_line(listener, prefix);
    put(listener, text, length);
    put_line(listener, "\n");
}

/* The text of a message: its length. */
static inline size_t write_text(size_t index, char *text)
{
    struct message_name name = world.said[index];

    message_write(&world.plan.matter, FIRST_SPEAKER + name.speaker, name.number,
                  text);
    return message_size(&world.plan.matter, name.number);
}

static inline void send_message(struct listener *listener, size_t index)
{
    char text[SIZE_MAX_SAID];
    size_t length = write_text(index, text);

    put_said(listener, world.said[index].speaker, text, length);
    expect_message(listener, index);
    listener->ends[index] = listener->written;
}

/* ---- Who speaks, and who hears ------------------------------------------ */

static inline bool say(uint32_t speaker)
{
    struct voice *voice = &world.voices[FIRST_SPEAKER + speaker];

    if (!voice_has_place(voice) || world.count == MESSAGES)
        return false;
    world.said[world.count].speaker = speaker;
    world.said[world.count++].number = voice_say(voice, ++world.now_ns);
    return true;
}

/* In memory of its exact size, for AddressSanitizer. */
static inline void feed(struct listener *listener, size_t length)
{
    struct out *wire = &listener->wire;
    unsigned char *piece;

    if (length > out_length(wire))
        length = out_length(wire);
    if (length == 0)
        return;
    piece = malloc(length);
    assert_non_null(piece);
    memcpy(piece, wire->bytes + wire->begin, length);
    client_hear(listener->client, piece, length, ++world.now_ns);
    free(piece);
    out_sent(wire, length);
    listener->fed += length;
}

/* ---- A run -------------------------------------------------------------- */

static inline void set_run(const struct dialect *dialect, size_t size)
{
    world.target.dialect = dialect;
    matter_init(&world.plan.matter, size, rng_next(&world.rng));
    strcpy(world.room.name, "den");
    world.run.plan = &world.plan;
    world.run.rooms = &world.room;
    world.run.voices = world.voices;
    world.run.voices_count = FIRST_SPEAKER + SPEAKERS;
    world.run.workers = &world.worker;
    world.worker.run = &world.run;
    world.worker.complaints = 1000; /* enough that none is shown */
    histogram_init(&world.worker.latency);
    histogram_init(&world.worker.entering);
    audience_init(&world.audience, &world.room, &world.voices[FIRST_SPEAKER],
                  SPEAKERS, PLACES, dialect->hears_itself);
    for (size_t i = 0; i < SPEAKERS; i++) {
        struct voice *voice = &world.voices[FIRST_SPEAKER + i];

        voice_init(voice, PLACES);
        voice->room = &world.room;
        voice->client = &world.clients[i];
        voice->audience = &world.audience;
        voice->worker = &world.worker;
    }
}

/* It has connected. */
static inline void set_client(uint32_t number)
{
    struct client *client = &world.clients[number];
    struct listener *listener = &world.listeners[number];

    *client = (struct client){
        .worker = &world.worker,
        .audience = &world.audience,
        .target = &world.target,
        .speaker = {.dialect = world.target.dialect, .room = "den"},
        .fd = -1,
        .state = CLIENT_ENTERING,
        .number = number,
        .is_slow = number == SLOW,
    };
    assert_true(tally_init(&client->tally, SPEAKERS, 0));
    listener->client = client;
    world.worker.coming++;
    world.run.coming++;
}

static inline void enter(struct listener *listener)
{
    struct client *client = listener->client;

    if (!is_text()) {
        client_entered(client);
        return;
    }
    client->speaker.dialect->enter(&client->speaker, &client->out);
    put_line(listener, "* welcome\n* joined den (3 members)\n"
                       "[den] * alice joined\n* left lobby\n");
    while (out_length(&listener->wire) > 0)
        feed(listener, 1 + draw(40));
    assert_int_equal(client->state, CLIENT_IN_ROOM);
}

static inline void begin(const struct dialect *dialect, size_t size,
                         uint64_t seed)
{
    memset(&world, 0, sizeof(world));
    world.rng.state = seed;
    set_run(dialect, size);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        set_client(i);
        enter(&world.listeners[i]);
    }
    assert_int_equal(world.audience.waited_for, CLIENTS - 1);
    assert_int_equal(world.room.audiences, 1);
}

static inline void release(void)
{
    for (size_t i = 0; i < CLIENTS; i++)
        out_release(&world.listeners[i].wire);
    for (size_t i = 0; i < SPEAKERS; i++)
        voice_release(&world.voices[FIRST_SPEAKER + i]);
    audience_release(&world.audience);
}

#endif

/*
 * Ears, and events as docs/protocol.md has them arrive.
 */
#include "tests/unit/support_hear.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "vectors.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Ears --------------------------------------------------------------- */

void ear_open(struct ear *ear, enum dialect dialect,
              const struct wire_config *config)
{
    struct wire_config usual = vector_config();

    *ear = (struct ear){.decoder = {.dialect = dialect}};
    budget_init(&ear->budget, UINT64_MAX);
    ear->wire = wire_create(config ? config : &usual, &ear->budget);
    assert_non_null(ear->wire);
    ear_meet(ear, false);
}

void ear_meet(struct ear *ear, bool greeted)
{
    enum dialect dialect = ear->decoder.dialect;
    struct greeting greeting = {.heartbeat_s = VECTOR_HEARTBEAT_S};

    decoder_release(&ear->decoder, &ear->budget);
    assert_true(ear_memory(ear) == 0);
    ear->peer = (struct wire_peer){.sealed = false};
    decoder_init_hearing(&ear->decoder, dialect);
    ear->over = false;
    if (ear->transcript)
        ear->transcript->length = 0;
    if (!greeted)
        return;
    memcpy(greeting.session, vector_session, UUID_BYTES);
    memcpy(greeting.boot, vector_boot, UUID_BYTES);
    assert_true(wire_greeted(ear->wire, &ear->peer, &greeting));
    decoder_welcome(&ear->decoder);
}

void ear_close(struct ear *ear)
{
    decoder_release(&ear->decoder, &ear->budget);
    assert_true(ear_memory(ear) == 0);
    wire_destroy(ear->wire);
}

uint64_t ear_memory(struct ear *ear)
{
    return atomic_load(&ear->budget.used_bytes);
}

/* One outcome; whether there may be another. */
static bool note(struct ear *ear, enum wire_outcome outcome,
                 const struct heard *heard, enum error_code error)
{
    if (outcome == WIRE_PARTIAL)
        return false;
    if (outcome == WIRE_INVALID) {
        ear->over = error_closes(error);
        if (ear->transcript)
            transcript_add_error(ear->transcript, error, 0);
        return !ear->over;
    }
    if (heard->event.kind == EVENT_SESSION_INIT)
        assert_true(wire_greeted(ear->wire, &ear->peer, &heard->greeting));
    if (ear->transcript)
        transcript_add_event(ear->transcript, &heard->event);
    return true;
}

static void hear_piece(struct ear *ear, const unsigned char *piece,
                       size_t length)
{
    const unsigned char *at = piece;
    size_t left = length;
    enum error_code error = ERROR_NONE;
    enum wire_outcome outcome;
    struct heard heard;

    do {
        outcome = wire_hear(ear->wire, &ear->decoder, &ear->peer, &at, &left,
                            &heard, &error);
        assert_ptr_equal(at, piece + length - left);
    } while (note(ear, outcome, &heard, error));
    if (ear->over)
        return;
    assert_int_equal(left, 0);
    assert_int_equal(ear_memory(ear) > 0,
                     ear->decoder.tail && decoder_is_within(&ear->decoder));
}

void ear_feed(struct ear *ear, const void *bytes, size_t length)
{
    unsigned char *piece;

    assert(length > 0);
    piece = malloc(length);
    assert_non_null(piece);
    memcpy(piece, bytes, length);
    hear_piece(ear, piece, length);
    free(piece);
}

enum error_code ear_tell(struct ear *ear, const void *bytes, size_t length,
                         struct heard *heard)
{
    const unsigned char *at = bytes;
    enum error_code error = ERROR_NONE;
    struct heard ignored;
    enum wire_outcome outcome =
        wire_hear(ear->wire, &ear->decoder, &ear->peer, &at, &length,
                  heard ? heard : &ignored, &error);

    if (outcome == WIRE_READY) {
        assert_int_equal(length, 0);
        return ERROR_NONE;
    }
    assert_int_equal(outcome, WIRE_INVALID);
    assert_int_not_equal(error, ERROR_NONE);
    return error;
}

/* ---- Streams and how they are cut --------------------------------------- */

static struct transcript whole, in_pieces;

static void hear_whole(struct ear *ear, bool greeted,
                       const unsigned char *bytes, size_t length)
{
    ear->transcript = &whole;
    ear_meet(ear, greeted);
    if (length > 0)
        ear_feed(ear, bytes, length);
    ear->transcript = &in_pieces;
}

/* A first piece, then pieces of `most`, or of up to that if there is `rng`. */
static void hear_pieces(struct ear *ear, bool greeted,
                        const unsigned char *bytes, size_t length, size_t first,
                        size_t most, struct rng *rng)
{
    size_t piece = first;

    ear_meet(ear, greeted);
    for (size_t at = 0; at < length && !ear->over; at += piece) {
        if (at > 0)
            piece = rng ? rng_magnitude(rng, most) : most;
        if (piece > length - at)
            piece = length - at;
        ear_feed(ear, bytes + at, piece);
    }
    if (!transcript_equals(&whole, &in_pieces))
        fail_msg("%zu bytes, cut after %zu, then by %zu", length, first, most);
}

static void hear_exactly(struct ear *ear, bool greeted,
                         const unsigned char *bytes, size_t length)
{
    size_t piece;

    ear_meet(ear, greeted);
    for (size_t at = 0; at < length && !ear->over; at += piece) {
        piece = wire_need(&ear->decoder);
        assert_true(piece > 0);
        if (piece > length - at)
            piece = length - at;
        ear_feed(ear, bytes + at, piece);
    }
    if (!transcript_equals(&whole, &in_pieces))
        fail_msg("%zu bytes, read exactly", length);
}

const struct transcript *hear_every_cut(struct ear *ear, bool greeted,
                                        const void *bytes, size_t length)
{
    hear_whole(ear, greeted, bytes, length);
    hear_exactly(ear, greeted, bytes, length);
    hear_pieces(ear, greeted, bytes, length, 1, 1, NULL);
    for (size_t first = 1; first < length; first++)
        hear_pieces(ear, greeted, bytes, length, first, length, NULL);
    ear->transcript = NULL;
    return &whole;
}

const struct transcript *hear_random_cuts(struct ear *ear, bool greeted,
                                          const void *bytes, size_t length,
                                          struct rng *rng)
{
    hear_whole(ear, greeted, bytes, length);
    if (length > 0)
        hear_pieces(ear, greeted, bytes, length, rng_magnitude(rng, length),
                    length, rng);
    ear->transcript = NULL;
    return &whole;
}

/* ---- Events ------------------------------------------------------------- */

void transcript_add_event(struct transcript *transcript,
                          const struct event *event)
{
    const uint64_t numbers[] = {
        'v',         event->kind,   event->id,  event->code,
        event->more, event->number, event->seq, event->time_us,
    };
    const struct slice slices[] = {event->room, event->nick, event->text,
                                   event->content_type};

    transcript_add(transcript, numbers, sizeof(numbers));
    for (size_t i = 0; i < ARRAY_LENGTH(slices); i++)
        transcript_add_slice(transcript, slices[i]);
}

static void assert_slices_equal(struct slice a, struct slice b)
{
    assert_int_equal(a.length, b.length);
    if (a.length > 0)
        assert_memory_equal(a.bytes, b.bytes, a.length);
}

void assert_events_equal(const struct event *a, const struct event *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->id, b->id);
    assert_int_equal(a->code, b->code);
    assert_int_equal(a->more, b->more);
    assert_true(a->number == b->number);
    assert_true(a->seq == b->seq);
    assert_true(a->time_us == b->time_us);
    assert_slices_equal(a->room, b->room);
    assert_slices_equal(a->nick, b->nick);
    assert_slices_equal(a->text, b->text);
    assert_slices_equal(a->content_type, b->content_type);
}

static bool is_text(struct slice content_type)
{
    return content_type.length == 0 ||
           (content_type.length >= 5 &&
            strncasecmp(content_type.bytes, "text/", 5) == 0);
}

/* "sent CONTENT_TYPE (N bytes)" */
static void describe(struct event *event, struct becoming *becoming)
{
    struct slice type = event->content_type.length > 0
                            ? event->content_type
                            : SLICE("text/plain; charset=utf-8");
    int length = snprintf(becoming->text, sizeof(becoming->text),
                          "sent %.*s (%zu bytes)", (int)type.length, type.bytes,
                          event->text.length);

    event->text = (struct slice){becoming->text, (size_t)length};
}

/* How much of a frame is not text. */
static size_t frame_fields(const struct event *event)
{
    switch (event->kind) {
    case EVENT_MESSAGE:
        return 18 + event->room.length + event->nick.length;
    case EVENT_PRIVATE:
        return 19 + event->nick.length;
    case EVENT_TOPIC:
        return 3 + event->room.length + event->nick.length;
    case EVENT_ERROR:
        return 6 + strlen(error_name(event->code)) + 1;
    default:
        return 5;
    }
}

/* A reply is told as what it says. */
static void become_reply(struct event *event, struct becoming *becoming)
{
    int length;

    if (event->kind == EVENT_TOPIC_REPLY) {
        length =
            snprintf(becoming->text, sizeof(becoming->text), "topic %.*s: %.*s",
                     (int)event->room.length, event->room.bytes,
                     (int)event->text.length, event->text.bytes);
        assert_in_range(length, 1, sizeof(becoming->text) - 1);
        event->text = (struct slice){becoming->text, (size_t)length};
        event->room = SLICE("");
    }
    event->kind = EVENT_REPLY;
}

static void become_line(struct event *event, struct becoming *becoming)
{
    if (!is_text(event->content_type))
        describe(event, becoming);
    event->content_type = SLICE("");
    event->seq = event->time_us = 0;
    event->id = 0;
    event->more = false;
}

static void become_frame(struct event *event, struct becoming *becoming)
{
    if (!is_text(event->content_type) ||
        frame_fields(event) + event->text.length > 65535)
        describe(event, becoming);
    event->content_type = SLICE("");
    if (event->kind != EVENT_MESSAGE && event->kind != EVENT_ACK)
        event->seq = 0;
}

struct event event_as_heard(enum encoding encoding, const struct event *said,
                            struct becoming *becoming)
{
    struct event event = *said;

    if (event.kind == EVENT_TOPIC_REPLY ||
        (event.kind == EVENT_ECHO && encoding != ENCODING_TEXT))
        become_reply(&event, becoming);
    if (encoding == ENCODING_TEXT)
        become_line(&event, becoming);
    else if (encoding == ENCODING_FRAME)
        become_frame(&event, becoming);
    else if (event.kind == EVENT_MESSAGE || event.kind == EVENT_PRIVATE)
        event.content_type = event.content_type.length > 0
                                 ? event.content_type
                                 : SLICE("text/plain; charset=utf-8");
    return event;
}

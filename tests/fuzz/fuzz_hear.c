/*
 * What a server can send to a client, in each dialect: the first byte of an
 * input says which, and whether the connection has been greeted, and sealed.
 * Of every stream the same holds as of a client's (support_stream.h):
 *
 * 1. How the stream is cut into pieces does not matter.
 * 2. PARTIAL has taken all bytes, and the bytes stay as they were.
 * 3. An event is one that its dialect has: its names are names, its text is
 *    clean, and before the greeting there are but errors.
 * 4. Memory is bounded, counted, and given back. Without enough of it the
 *    stream ends in INTERNAL, and what came before is the same.
 */
#include "tests/fuzz/support_sign.h"
#include "tests/fuzz/support_wire.h"

#include "common/base/limits.h"
#include "common/wire/clean.h"
#include "common/wire/hear.h"
#include "common/wire/internal.h"
#include "common/wire/name.h"
#include "common/wire/secure.h"
#include "common/wire/tail.h"
#include "vectors.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max,
                               unsigned seed);

/* Each event has a byte at least, and libFuzzer's inputs have 8 KiB. */
#define NOTES_MAX 8192

/* What stands around the text of a line, and a CR. */
#define LINE_FORM_BYTES_MAX 129

struct pass {
    struct decoder decoder;
    struct wire_peer peer;
    const uint8_t *stream;
    size_t length, at;
    uint64_t random; /* of the cuts */
    bool greeted, sealed;
    bool over; /* a closing error */
    bool out_of_memory;
    /* What came out, each event and error as a hash of all that it is. */
    size_t count;
    uint64_t notes[NOTES_MAX];
};

/* ---- Notes -------------------------------------------------------------- */

#define HASH_BEGIN UINT64_C(14695981039346656037)

/* FNV-1a (Fowler, Noll and Vo). */
static uint64_t hash_number(uint64_t seed, uint64_t number)
{
    return (seed ^ number) * UINT64_C(1099511628211);
}

/* Reads every byte of what it is given, too. */
static uint64_t hash(uint64_t seed, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < length; i++)
        seed = hash_number(seed, at[i]);
    return seed;
}

static uint64_t hash_slice(uint64_t seed, struct slice slice)
{
    return hash(hash_number(seed, slice.length), slice.bytes, slice.length);
}

static void note(struct pass *pass, uint64_t what)
{
    assert(pass->count < NOTES_MAX);
    pass->notes[pass->count++] = what;
}

static void note_heard(struct pass *pass, const struct heard *heard)
{
    const struct event *event = &heard->event;
    const uint64_t numbers[] = {
        event->kind,
        event->id,
        event->code,
        event->more,
        event->number,
        event->seq,
        event->time_us,
        heard->greeting.heartbeat_s,
        heard->greeting.bytes_max,
    };
    uint64_t what = HASH_BEGIN;

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        what = hash_number(what, numbers[i]);
    what = hash(what, heard->greeting.session, UUID_BYTES);
    what = hash(what, heard->greeting.boot, UUID_BYTES);
    what = hash_slice(what, event->room);
    what = hash_slice(what, event->nick);
    what = hash_slice(what, event->text);
    note(pass, hash_slice(what, event->content_type));
}

/* ---- 3: what an event is ------------------------------------------------ */

static bool kind_is_due(const struct pass *pass, enum event_kind kind)
{
    if (!pass->greeted)
        return kind == EVENT_ERROR ||
               kind == (pass->decoder.dialect == DIALECT_TEXT
                            ? EVENT_WELCOME
                            : EVENT_SESSION_INIT);
    if (pass->decoder.dialect == DIALECT_TEXT)
        return kind < EVENT_WELCOME && kind != EVENT_TOPIC_REPLY;
    return kind <= EVENT_OTHER && kind != EVENT_SESSION_INIT &&
           kind != EVENT_ECHO && kind != EVENT_TOPIC_REPLY;
}

static bool is_clean(struct slice text)
{
    return text.length == 0 || text_is_clean(text.bytes, text.length);
}

static void check_event(const struct pass *pass, const struct event *event)
{
    assert(kind_is_due(pass, event->kind));
    assert(event->room.length == 0 || room_name_is_valid(event->room));
    assert(event->nick.length == 0 || nick_is_valid(event->nick));
    assert(event->text.length <= FUZZ_MESSAGE_BYTES_MAX + LINE_FORM_BYTES_MAX);
    assert(event->content_type.length <= CONTENT_TYPE_BYTES_MAX);
    assert(is_clean(event->content_type));
    assert(!content_is_text(event->content_type) || is_clean(event->text));
    assert(event->kind != EVENT_NICK || nick_is_valid(event->text));
    assert((event->kind == EVENT_ERROR) == (event->code != ERROR_NONE));
}

/* ---- 4: memory ---------------------------------------------------------- */

static size_t message_bytes_max(const struct pass *pass)
{
    switch (pass->decoder.dialect) {
    case DIALECT_TEXT:
        return FUZZ_MESSAGE_BYTES_MAX + LINE_FORM_BYTES_MAX;
    case DIALECT_FRAME:
        return 4 + FUZZ_FRAME_BYTES_MAX;
    case DIALECT_SECURE:
        return SECURE_HEAD_BYTES + HEADERS_BYTES_MAX + FUZZ_MESSAGE_BYTES_MAX +
               FRAME_BODY_BYTES_MAX;
    }
    abort();
}

static void check_memory(const struct pass *pass, enum wire_outcome outcome)
{
    const struct tail *tail = pass->decoder.tail;
    uint64_t used = fuzz_budget.used_bytes;

    assert(used == (tail ? tail->size : 0));
    assert(used <= sizeof(*tail) + message_bytes_max(pass));
    if (outcome == WIRE_PARTIAL && !decoder_is_within(&pass->decoder))
        assert(used == 0);
}

/* ---- Passes ------------------------------------------------------------- */

static void greet(struct pass *pass, const struct greeting *greeting)
{
    if (!wire_greeted(fuzz_wire(), &pass->peer, greeting))
        abort();
    pass->greeted = true;
}

static void take(struct pass *pass, enum wire_outcome outcome,
                 const struct heard *heard, enum error_code error)
{
    check_memory(pass, outcome);
    if (outcome == WIRE_READY) {
        check_event(pass, &heard->event);
        note_heard(pass, heard);
        if (heard->event.kind == EVENT_SESSION_INIT)
            greet(pass, &heard->greeting);
        pass->greeted = pass->greeted || heard->event.kind == EVENT_WELCOME;
    } else if (outcome == WIRE_INVALID) {
        assert(error != ERROR_NONE);
        pass->over = error_closes(error);
        pass->out_of_memory = error == ERROR_INTERNAL;
        if (!pass->out_of_memory)
            note(pass, error);
    }
}

/* Gives the decoder the next `length` bytes, in memory of exactly that size,
 * until it wants more. */
static void feed(struct pass *pass, size_t length)
{
    unsigned char *piece = malloc(length);
    const unsigned char *bytes = piece;
    size_t start = pass->at, end = start + length;
    enum wire_outcome outcome;

    if (!piece)
        abort();
    memcpy(piece, pass->stream + start, length);
    do {
        struct heard heard;
        enum error_code error = ERROR_NONE;

        outcome = wire_hear(fuzz_wire(), &pass->decoder, &pass->peer, &bytes,
                            &length, &heard, &error);
        pass->at = start + (size_t)(bytes - piece);
        assert(pass->at + length == end);
        take(pass, outcome, &heard, error);
    } while (outcome != WIRE_PARTIAL && !pass->over);
    assert(pass->over || length == 0);
    assert(memcmp(piece, pass->stream + start, end - start) == 0);
    free(piece);
}

/* How long the next piece is; `left` is what there is, at least 1. */
typedef size_t cut_piece(struct pass *, size_t left);

static size_t cut_nothing(struct pass *pass, size_t left)
{
    (void)pass;
    return left;
}

/* 1 to 128 bytes, short ones as likely as long ones. */
static size_t cut_anywhere(struct pass *pass, size_t left)
{
    size_t length;

    /* Knuth's linear congruential generator: its upper bits are good. */
    pass->random = pass->random * UINT64_C(6364136223846793005) +
                   UINT64_C(1442695040888963407);
    length = 1 + (pass->random >> 32) % (UINT64_C(1) << (pass->random >> 61));
    return length < left ? length : left;
}

/* What an exact reader asks for. */
static size_t cut_exactly(struct pass *pass, size_t left)
{
    size_t need = wire_need(&pass->decoder);

    assert(need > 0);
    return need < left ? need : left;
}

static void finish(struct pass *pass)
{
    struct heard heard;
    enum error_code error = ERROR_NONE;

    if (!pass->over)
        take(pass, wire_hear_end(fuzz_wire(), &pass->decoder, &heard, &error),
             &heard, error);
    decoder_release(&pass->decoder, &fuzz_budget);
    assert(fuzz_budget.used_bytes == 0);
}

static void begin(struct pass *pass)
{
    struct greeting greeting = {.bytes_max = FUZZ_MESSAGE_BYTES_MAX};

    pass->random = hash(HASH_BEGIN, pass->stream, pass->length);
    decoder_init_hearing(&pass->decoder, pass->decoder.dialect);
    if (!pass->greeted)
        return;
    memcpy(greeting.session, vector_session, UUID_BYTES);
    memcpy(greeting.boot, vector_boot, UUID_BYTES);
    greet(pass, &greeting);
    decoder_welcome(&pass->decoder);
    pass->peer.sealed = pass->sealed;
}

static void run(struct pass *pass, const struct pass *start, cut_piece *cut)
{
    memcpy(pass, start, offsetof(struct pass, count));
    pass->count = 0;
    begin(pass);
    while (!pass->over && pass->at < pass->length)
        feed(pass, cut(pass, pass->length - pass->at));
    finish(pass);
}

/* What came out of `pass` is what came out of the whole stream; where memory
 * was short, as far as it went. */
static void compare(const struct pass *pass, const struct pass *whole)
{
    assert(pass->count <= whole->count);
    assert(pass->out_of_memory || pass->count == whole->count);
    assert(memcmp(pass->notes, whole->notes,
                  pass->count * sizeof(pass->notes[0])) == 0);
}

/* ---- What libFuzzer calls ----------------------------------------------- */

static enum dialect dialect_of(uint8_t how)
{
    return (how & 0x0f) % 3;
}

static void check_stream(uint8_t how, const uint8_t *stream, size_t length)
{
    static struct pass start, whole, other;

    start = (struct pass){
        .decoder = {.dialect = dialect_of(how)},
        .greeted = how & 0x10,
        .sealed = how & 0x20,
        .stream = stream,
        .length = length,
    };
    run(&whole, &start, cut_nothing);
    run(&other, &start, cut_anywhere);
    assert(!whole.out_of_memory && !other.out_of_memory);
    compare(&other, &whole);
    run(&other, &start, cut_exactly);
    assert(!other.out_of_memory);
    compare(&other, &whole);
    fuzz_budget.limit_bytes =
        hash(HASH_BEGIN, stream, length) % message_bytes_max(&start);
    run(&other, &start, cut_anywhere);
    fuzz_budget.limit_bytes = UINT64_MAX;
    compare(&other, &whole);
}

/* The server's: what it seals is sealed with a key derived with its start. */
static struct keys *server_keys(void)
{
    static struct keys *keys;

    if (!keys)
        keys = keys_create(vector_key, sizeof(vector_key), vector_boot, 0);
    if (!keys)
        abort();
    return keys;
}

/* As it is; and if it is secure, as those can send it who have the key. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t copy[NOTES_MAX];

    if (size == 0 || size > NOTES_MAX)
        return 0;
    fuzz_wire();
    check_stream(data[0], data + 1, size - 1);
    if (dialect_of(data[0]) != DIALECT_SECURE)
        return 0;
    memcpy(copy, data + 1, size - 1);
    stream_sign(server_keys(), copy, size - 1);
    check_stream(data[0], copy, size - 1);
    return 0;
}

/* How it is heard stays what it is, most often. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max,
                               unsigned seed)
{
    if (size < 2 || dialect_of(data[0]) != DIALECT_SECURE || seed % 16 == 0)
        return LLVMFuzzerMutate(data, size, size_max);
    return 1 + stream_mutate(data + 1, size - 1, size_max - 1, seed / 16);
}

/*
 * A stream is read in passes, each of which writes down what came out: whole,
 * cut, with exact reads, and with too little memory. The chat is played as far
 * as a decoder knows it: a hello with a nick that is free is welcomed.
 */
#include "tests/fuzz/support_stream.h"

#include "common/base/bytes.h"
#include "common/base/limits.h"
#include "common/wire/clean.h"
#include "common/wire/frame.h"
#include "common/wire/internal.h"
#include "common/wire/name.h"
#include "common/wire/secure.h"
#include "common/wire/tail.h"
#include "tests/fuzz/support_wire.h"
#include "vectors.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The longest name there can be where no rule for names has been applied. */
#define NAME_BYTES_MAX HEADERS_BYTES_MAX

struct pass {
    struct decoder decoder;
    struct wire_peer peer;
    /* The whole stream, how much of it the decoder has taken, and where the
     * request begins that it is in. */
    const uint8_t *stream;
    size_t length, at, begin;
    uint64_t random; /* of the cuts */
    bool welcomed;
    bool over; /* a closing error */
    bool out_of_memory;
    /* What came out. */
    unsigned char *notes;
    size_t notes_length, notes_capacity;
};

/* ---- Notes -------------------------------------------------------------- */

/* Reads every byte of what it is given, too. */
static void note(struct pass *pass, const void *bytes, size_t length)
{
    size_t needed = pass->notes_length + length;

    if (needed > pass->notes_capacity) {
        pass->notes_capacity = 2 * needed;
        pass->notes = realloc(pass->notes, pass->notes_capacity);
        if (!pass->notes)
            abort();
    }
    if (length > 0)
        memcpy(pass->notes + pass->notes_length, bytes, length);
    pass->notes_length = needed;
}

static void note_number(struct pass *pass, uint64_t number)
{
    note(pass, &number, sizeof(number));
}

static void note_slice(struct pass *pass, struct slice slice)
{
    note_number(pass, slice.length);
    note(pass, slice.bytes, slice.length);
}

static void note_request(struct pass *pass, const struct request *request)
{
    note_number(pass, request->kind);
    note_number(pass, request->target);
    note_number(pass, request->id);
    note_number(pass, request->stamp);
    note_slice(pass, request->name);
    note_slice(pass, request->text);
    note_slice(pass, request->content_type);
}

/* Of an invalid request, what it is and its id are all there is. */
static void note_error(struct pass *pass, const struct request *request,
                       enum error_code error)
{
    note_number(pass, UINT64_MAX);
    note_number(pass, error);
    note_number(pass, request->id);
}

/* ---- 2, 3: where messages end ------------------------------------------- */

static size_t head_bytes(const struct pass *pass)
{
    return pass->decoder.dialect == DIALECT_FRAME ? FRAME_HEAD_BYTES
                                                  : SECURE_HEAD_BYTES;
}

/* Where the message ends that the decoder is in; its head, until all of that
 * has been taken. */
static size_t known_end(const struct pass *pass)
{
    const uint8_t *head = pass->stream + pass->begin;

    if (pass->at - pass->begin < head_bytes(pass))
        return pass->begin + head_bytes(pass);
    if (pass->decoder.dialect == DIALECT_FRAME)
        return pass->begin + head_bytes(pass) + load_u16(head + 2);
    return pass->begin + head_bytes(pass) +
           load_u32(head + SECURE_HEADERS_LENGTH_AT) +
           load_u32(head + SECURE_CONTENT_LENGTH_AT);
}

/* The longest that there can be, and that a tail may have to hold. */
static size_t message_bytes_max(const struct pass *pass)
{
    switch (pass->decoder.dialect) {
    case DIALECT_TEXT:
        return FUZZ_LINE_BYTES_MAX + 1; /* and a CR */
    case DIALECT_FRAME:
        return FRAME_HEAD_BYTES + FUZZ_FRAME_BYTES_MAX;
    case DIALECT_SECURE:
        return SECURE_HEAD_BYTES + HEADERS_BYTES_MAX + FUZZ_MESSAGE_BYTES_MAX;
    }
    abort();
}

/* A request has been taken, or refused and the session goes on. A line that is
 * too long is refused before it ends. */
static void check_end(struct pass *pass, enum wire_outcome outcome)
{
    if (pass->decoder.dialect != DIALECT_TEXT) {
        assert(pass->at == known_end(pass));
        assert(pass->at - pass->begin <= message_bytes_max(pass));
    } else if (outcome == WIRE_READY && pass->at < pass->length) {
        assert(pass->stream[pass->at - 1] == '\n');
    }
    pass->begin = pass->at;
}

/* ---- 4: what a request is ----------------------------------------------- */

static bool kind_is_due(const struct pass *pass, enum request_kind kind)
{
    if (pass->decoder.dialect == DIALECT_TEXT)
        return kind == REQUEST_NOTHING || kind == REQUEST_MESSAGE ||
               kind == REQUEST_COMMAND;
    return kind != REQUEST_NOTHING &&
           (kind == REQUEST_HELLO) == !pass->welcomed;
}

static size_t text_bytes_max(const struct pass *pass)
{
    switch (pass->decoder.dialect) {
    case DIALECT_TEXT:
        return FUZZ_LINE_BYTES_MAX;
    case DIALECT_FRAME:
        return FUZZ_FRAME_BYTES_MAX;
    case DIALECT_SECURE:
        return FUZZ_MESSAGE_BYTES_MAX;
    }
    abort();
}

/* An empty slice may be nowhere. */
static bool is_clean(struct slice text)
{
    return text.length == 0 || text_is_clean(text.bytes, text.length);
}

static void check_request(const struct pass *pass,
                          const struct request *request)
{
    bool said = request->kind == REQUEST_MESSAGE;
    bool asked = request->kind == REQUEST_COMMAND;

    assert(kind_is_due(pass, request->kind));
    assert(request->name.length <= NAME_BYTES_MAX);
    assert(request->text.length <= text_bytes_max(pass));
    assert(request->content_type.length <= CONTENT_TYPE_BYTES_MAX);
    assert(is_clean(request->content_type));
    if (content_is_text(request->content_type))
        assert(is_clean(request->text));
    assert(!said || request->text.length > 0);
    assert(said || asked || (request->text.length == 0 && request->id == 0));
    assert(said || request->target == TARGET_CURRENT);
    assert(!said || request->target != TARGET_CURRENT ||
           request->name.length == 0);
}

/* As the chat does; a nick in use may be followed by another hello. */
static void answer_hello(struct pass *pass, struct slice nick)
{
    if (nick.length > 0 && (!nick_is_valid(nick) || nick_is_given(nick)))
        return;
    decoder_welcome(&pass->decoder);
    pass->welcomed = true;
}

/* ---- 5: memory ---------------------------------------------------------- */

/* Between two requests a decoder holds nothing. */
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

static void take(struct pass *pass, enum wire_outcome outcome,
                 const struct request *request, enum error_code error)
{
    check_memory(pass, outcome);
    if (outcome == WIRE_PARTIAL)
        return;
    if (outcome == WIRE_READY) {
        check_request(pass, request);
        note_request(pass, request);
        if (request->kind == REQUEST_HELLO)
            answer_hello(pass, request->name);
    } else if (error == ERROR_INTERNAL) {
        pass->out_of_memory = true;
    } else {
        note_error(pass, request, error);
    }
    pass->over = outcome == WIRE_INVALID && error_closes(error);
    if (!pass->over)
        check_end(pass, outcome);
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
        struct request request;
        enum error_code error = ERROR_NONE;

        outcome = wire_decode(fuzz_wire(), &pass->decoder, &pass->peer, &bytes,
                              &length, &request, &error);
        pass->at = start + (size_t)(bytes - piece);
        assert(pass->at + length == end);
        take(pass, outcome, &request, error);
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

/* What an exact reader asked for, or less. */
static size_t cut_exactly(struct pass *pass, size_t left)
{
    size_t need = wire_need(&pass->decoder);
    size_t got = cut_anywhere(pass, left);

    if (pass->decoder.dialect == DIALECT_TEXT)
        assert(need == SIZE_MAX);
    else
        assert(need == known_end(pass) - pass->at);
    return got < need ? got : need;
}

/* The stream's end, and the decoder's. */
static void finish(struct pass *pass)
{
    struct request request;
    enum error_code error = ERROR_NONE;
    enum wire_outcome outcome;

    if (!pass->over) {
        outcome =
            wire_decode_end(fuzz_wire(), &pass->decoder, &request, &error);
        assert(outcome == WIRE_PARTIAL ||
               pass->decoder.dialect == DIALECT_TEXT);
        take(pass, outcome, &request, error);
    }
    decoder_release(&pass->decoder, &fuzz_budget);
    assert(fuzz_budget.used_bytes == 0);
}

/* FNV-1a (Fowler, Noll and Vo): the cuts come from the input alone. */
static uint64_t seed_of(const uint8_t *bytes, size_t length)
{
    uint64_t seed = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < length; i++)
        seed = (seed ^ bytes[i]) * UINT64_C(1099511628211);
    return seed;
}

/* `pass` says whose decoder and which stream; its notes are to be freed. */
static void run(struct pass *pass, cut_piece *cut)
{
    pass->random = seed_of(pass->stream, pass->length);
    memcpy(pass->peer.uuid, vector_session, sizeof(pass->peer.uuid));
    decoder_init(&pass->decoder, pass->decoder.dialect);
    while (!pass->over && pass->at < pass->length)
        feed(pass, cut(pass, pass->length - pass->at));
    finish(pass);
}

/* What came out of `pass` is what came out of the whole stream; where memory
 * was short, as far as it went. */
static void compare(struct pass *pass, const struct pass *whole)
{
    assert(pass->notes_length <= whole->notes_length);
    assert(pass->out_of_memory || pass->notes_length == whole->notes_length);
    if (pass->notes_length > 0)
        assert(memcmp(pass->notes, whole->notes, pass->notes_length) == 0);
    free(pass->notes);
}

void stream_check(enum dialect dialect, const uint8_t *bytes, size_t length)
{
    const struct pass start = {
        .decoder = {.dialect = dialect}, .stream = bytes, .length = length};
    struct pass whole = start, cut = start, exact = start, starved = start;

    fuzz_wire();
    run(&whole, cut_nothing);
    run(&cut, cut_anywhere);
    run(&exact, cut_exactly);
    fuzz_budget.limit_bytes =
        seed_of(bytes, length) % message_bytes_max(&start);
    run(&starved, cut_anywhere);
    fuzz_budget.limit_bytes = UINT64_MAX;
    assert(!whole.out_of_memory && !cut.out_of_memory && !exact.out_of_memory);
    compare(&cut, &whole);
    compare(&exact, &whole);
    compare(&starved, &whole);
    free(whole.notes);
}

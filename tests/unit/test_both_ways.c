/*
 * There and back: made-up events are written for a client and heard by it,
 * made-up requests are said to a server and decoded by it, in every encoding,
 * and come out as what they were. However the stream is cut it comes to the
 * same.
 */
#include "common/wire/hear.h"
#include "common/wire/say.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/limits.h"
#include "tests/unit/support_hear.h"
#include "vectors.h"

#include <stdlib.h>
#include <string.h>

#define ROUNDS 20000
#define STREAM_BYTES_MAX (512 * 1024)

/* What fits every dialect, as the numbers of JSON do. */
#define NUMBER_BITS 53

static struct rng rng = {1};

static bool chance(size_t of)
{
    return rng_below(&rng, of) == 0;
}

static uint64_t random_number(void)
{
    return rng_next(&rng) >> (64 - NUMBER_BITS + rng_below(&rng, NUMBER_BITS));
}

/* -- made-up names and texts, in memory that lasts for a round -- */

#define MEMORY_BYTES (256 * 1024)

static char memory[MEMORY_BYTES];
static size_t memory_used;

static struct slice random_letters(const char *letters, size_t length)
{
    char *text = memory + memory_used;

    assert_true(length <= sizeof(memory) - memory_used);
    for (size_t i = 0; i < length; i++)
        text[i] = letters[rng_below(&rng, strlen(letters))];
    memory_used += length;
    return (struct slice){text, length};
}

static struct slice random_room(void)
{
    return random_letters("abcXYZ019_.-",
                          rng_magnitude(&rng, ROOM_NAME_BYTES_MAX));
}

static struct slice random_nick(void)
{
    struct slice nick =
        random_letters("abcXYZ019_-", rng_magnitude(&rng, NICK_BYTES_MAX));

    memory[memory_used - nick.length] = (char)('a' + rng_below(&rng, 26));
    return nick;
}

/* Of characters that mean something somewhere, and of longer ones. */
static struct slice random_text(size_t most)
{
    static const char *const characters[] = {
        "a",
        "b",
        " ",
        "/",
        "@",
        "#",
        "*",
        "!",
        "[",
        "]",
        "(",
        ")",
        ":",
        "\t",
        "\"",
        "\\",
        "{",
        "~",
        "\xc3\xa9",
        "\xe2\x82\xac",
        "\xf0\x9f\x91\x8b",
    };
    size_t length = rng_magnitude(&rng, most), at = 0;
    char *text = memory + memory_used;

    assert_true(length + 4 <= sizeof(memory) - memory_used);
    while (at < length) {
        const char *c = characters[rng_below(&rng, ARRAY_LENGTH(characters))];

        while (*c)
            text[at++] = *c++;
    }
    memory_used += at;
    return (struct slice){text, at};
}

/* Likewise, after a letter. */
static struct slice random_text_after(char letter, size_t most)
{
    memory[memory_used] = letter;
    memory_used++;
    return (struct slice){memory + memory_used - 1,
                          1 + random_text(most).length};
}

static size_t text_bytes_max(void)
{
    return chance(100) ? 70000 : 300;
}

static struct slice random_bytes(void)
{
    size_t length = rng_magnitude(&rng, text_bytes_max());
    char *bytes = memory + memory_used;

    assert_true(length <= sizeof(memory) - memory_used);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)rng_next(&rng);
    memory_used += length;
    return (struct slice){bytes, length};
}

static struct slice random_type(void)
{
    static const char *const types[] = {
        "", "text/plain", "TEXT/x; a=\"b\\c\"", "image/png", "x",
    };

    return slice_of(types[rng_below(&rng, ARRAY_LENGTH(types))]);
}

static bool is_text(struct slice type)
{
    return type.length == 0 || strncasecmp(type.bytes, "text/", 5) == 0;
}

/* -- events -- */

static enum error_code random_code(void)
{
    static const enum error_code codes[] = {
#define X(name, code, text, closes) ERROR_##name,
        ERROR_TABLE(X)
#undef X
    };

    return codes[rng_below(&rng, ARRAY_LENGTH(codes))];
}

static void fill_content(struct event *event)
{
    event->time_us = random_number();
    event->nick = random_nick();
    event->content_type = random_type();
    event->text = is_text(event->content_type) ? random_text(text_bytes_max())
                                               : random_bytes();
}

static void fill_notice(struct event *event)
{
    event->room = random_room();
    event->nick = random_nick();
    event->seq = random_number();
}

static void fill(struct event *event)
{
    switch (event->kind) {
    case EVENT_MESSAGE:
        event->room = random_room();
        event->seq = random_number();
        fill_content(event);
        break;
    case EVENT_PRIVATE:
        fill_content(event);
        break;
    case EVENT_NICK:
        event->text = random_nick();
        fill_notice(event);
        break;
    case EVENT_TOPIC:
        event->text = random_text(100);
        fill_notice(event);
        break;
    case EVENT_JOINED:
    case EVENT_LEFT:
        fill_notice(event);
        break;
    case EVENT_LAGGED:
        event->room = random_room();
        event->number = random_number();
        break;
    case EVENT_REPLY:
        event->id = (uint32_t)random_number();
        event->more = chance(2);
        event->text = random_text(300);
        break;
    case EVENT_ECHO:
        event->id = (uint32_t)random_number();
        event->text = random_text_after('~', text_bytes_max()); /* of no form */
        break;
    case EVENT_ERROR:
        event->id = (uint32_t)random_number();
        event->code = random_code();
        if (chance(2))
            event->text = random_text(100);
        break;
    case EVENT_TOPIC_REPLY:
        event->id = (uint32_t)random_number();
        event->room = random_room();
        event->text = random_text(100);
        break;
    case EVENT_WELCOME:
        event->room = random_room();
        event->nick = random_nick();
        break;
    case EVENT_PING:
    case EVENT_PONG:
        event->number = random_number();
        break;
    case EVENT_ACK:
        event->id = 1 + (uint32_t)rng_below(&rng, UINT32_MAX);
        event->seq = random_number();
        break;
    case EVENT_SESSION_INIT:
    case EVENT_DISCONNECT:
    case EVENT_OTHER:
        break;
    }
}

/* The handshake apart, anything may be said. */
static struct event random_event(enum encoding encoding)
{
    size_t kinds = encoding == ENCODING_TEXT ? EVENT_WELCOME : EVENT_OTHER;
    struct event event;

    do
        event = (struct event){.kind = (enum event_kind)rng_below(&rng, kinds)};
    while (event.kind == EVENT_SESSION_INIT);
    fill(&event);
    return event;
}

/* -- requests -- */

static void fill_message(enum encoding encoding, struct request *request)
{
    bool text = encoding == ENCODING_TEXT;

    request->target = (enum target)rng_below(&rng, 3);
    if (text)
        request->target = TARGET_CURRENT;
    if (request->target == TARGET_ROOM)
        request->name = random_room();
    if (request->target == TARGET_NICK)
        request->name = random_nick();
    if (!text)
        request->id = (uint32_t)random_number();
    if (encoding >= ENCODING_SECURE)
        request->content_type = random_type();
    request->text = is_text(request->content_type)
                        ? random_text(text ? 300 : 16000)
                        : random_bytes();
    if (request->text.length == 0)
        request->text = SLICE("x");
}

static struct request random_request(enum encoding encoding)
{
    static const enum request_kind lines[] = {REQUEST_NOTHING, REQUEST_MESSAGE,
                                              REQUEST_COMMAND};
    static const enum request_kind others[] = {
        REQUEST_PING,    REQUEST_PONG,       REQUEST_MESSAGE,
        REQUEST_COMMAND, REQUEST_DISCONNECT,
    };
    struct request request = {
        .kind = encoding == ENCODING_TEXT
                    ? lines[rng_below(&rng, ARRAY_LENGTH(lines))]
                    : others[rng_below(&rng, ARRAY_LENGTH(others))],
    };

    if (request.kind == REQUEST_MESSAGE)
        fill_message(encoding, &request);
    else if (request.kind == REQUEST_COMMAND)
        request.text = random_text_after('x', 300);
    else if (request.kind != REQUEST_NOTHING &&
             request.kind != REQUEST_DISCONNECT)
        request.stamp = random_number();
    if (request.kind == REQUEST_COMMAND && encoding != ENCODING_TEXT)
        request.id = (uint32_t)random_number();
    return request;
}

/* -- streams -- */

static unsigned char stream[STREAM_BYTES_MAX];
static struct ear ear;         /* the client */
static struct station station; /* the server */

static enum dialect dialect_of(enum encoding encoding)
{
    switch (encoding) {
    case ENCODING_TEXT:
        return DIALECT_TEXT;
    case ENCODING_FRAME:
        return DIALECT_FRAME;
    default:
        return DIALECT_SECURE;
    }
}

static void open_both(enum encoding encoding)
{
    struct wire_config config = vector_config();

    config.frame_bytes_max = FRAME_BODY_BYTES_MAX;
    ear_open(&ear, dialect_of(encoding), &config);
    station_open(&station, dialect_of(encoding), &config);
}

static void close_both(void)
{
    ear_close(&ear);
    station_close(&station);
}

/* Another connection, past the handshake. */
static void meet(enum encoding encoding)
{
    station_meet(&station, true);
    ear_meet(&ear, true);
    station.peer.sealed = ear.peer.sealed = encoding == ENCODING_SEALED;
    memory_used = 0;
}

static size_t write_event(enum encoding encoding, const struct event *event,
                          unsigned char *out)
{
    bool to_room = event->kind <= EVENT_TOPIC;
    struct outgoing outgoing;
    size_t size =
        wire_prepare(station.wire, encoding, to_room ? NULL : &station.peer,
                     event, &outgoing);

    assert_true(size <= (size_t)(stream + sizeof(stream) - out));
    assert_ptr_equal(wire_write(station.wire, &outgoing, out), out + size);
    return size;
}

static void check_events(enum encoding encoding)
{
    static struct transcript expected;
    static struct becoming becoming;
    size_t length = 0, count = rng_magnitude(&rng, 4);

    meet(encoding);
    expected.length = 0;
    for (size_t i = 0; i < count; i++) {
        struct event event = random_event(encoding), becomes;

        length += write_event(encoding, &event, stream + length);
        becomes = event_as_heard(encoding, &event, &becoming);
        transcript_add_event(&expected, &becomes);
    }
    assert_true(transcript_equals(
        hear_random_cuts(&ear, true, stream, length, &rng), &expected));
}

static size_t write_request(enum encoding encoding,
                            const struct request *request, unsigned char *out)
{
    struct said said;
    size_t size = said_prepare(ear.wire, encoding, &ear.peer, request, &said);

    assert_true(size <= (size_t)(stream + sizeof(stream) - out));
    assert_ptr_equal(said_write(ear.wire, &said, out), out + size);
    return size;
}

static void check_requests(enum encoding encoding)
{
    static struct transcript expected;
    size_t length = 0, count = rng_magnitude(&rng, 4);

    meet(encoding);
    expected.length = 0;
    for (size_t i = 0; i < count; i++) {
        struct request request = random_request(encoding);

        length += write_request(encoding, &request, stream + length);
        transcript_add_request(&expected, &request);
    }
    assert_true(transcript_equals(
        check_random_cuts(&station, true, stream, length, &rng), &expected));
}

static void check_both(enum encoding encoding)
{
    open_both(encoding);
    for (int i = 0; i < ROUNDS; i++) {
        check_events(encoding);
        check_requests(encoding);
    }
    close_both();
}

static void test_text(void **state)
{
    (void)state;
    check_both(ENCODING_TEXT);
}

static void test_frame(void **state)
{
    (void)state;
    check_both(ENCODING_FRAME);
}

static void test_secure(void **state)
{
    (void)state;
    check_both(ENCODING_SECURE);
}

static void test_sealed(void **state)
{
    (void)state;
    check_both(ENCODING_SEALED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_frame),
        cmocka_unit_test(test_secure),
        cmocka_unit_test(test_sealed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The `text` dialect. What the incremental decoder makes of a stream, however
 * it is cut into pieces, is what a plain reader of docs/protocol.md makes of
 * the whole; and each event is encoded as that page says.
 */
#include "common/wire/tail.h"
#include "common/wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/buffer/budget.h"
#include "tests/unit/support_alloc.h"
#include "tests/unit/support_random.h"
#include "tests/unit/support_text.h"
#include "vectors.h"

#include <stdlib.h>
#include <string.h>

#define STREAM_BYTES_MAX 16384

/* -- what came of a stream -- */

/* Outcomes one after the other: a byte that says which, a byte for the kind of
 * request or the code of the error, the length of the text, and the text. */
struct outcomes {
    size_t length;
    unsigned char bytes[8 * STREAM_BYTES_MAX];
};

static void add(struct outcomes *outcomes, char which, int what,
                const void *text, size_t length)
{
    const unsigned char head[] = {(unsigned char)which, (unsigned char)what,
                                  (unsigned char)(length >> 8),
                                  (unsigned char)length};

    assert_true(outcomes->length + sizeof(head) + length <=
                sizeof(outcomes->bytes));
    memcpy(outcomes->bytes + outcomes->length, head, sizeof(head));
    outcomes->length += sizeof(head);
    if (length > 0)
        memcpy(outcomes->bytes + outcomes->length, text, length);
    outcomes->length += length;
}

static void add_request(struct outcomes *outcomes, enum request_kind kind,
                        const void *text, size_t length)
{
    add(outcomes, 'r', (int)kind, text, length);
}

static void add_error(struct outcomes *outcomes, enum error_code code)
{
    add(outcomes, 'e', (int)code, NULL, 0);
}

static void print_outcomes(const char *title, const struct outcomes *outcomes)
{
    print_error("%s:", title);
    for (size_t i = 0; i < outcomes->length && i < 500;) {
        const unsigned char *head = outcomes->bytes + i;
        size_t length = (size_t)head[2] << 8 | head[3];

        print_error(" %c%u(%zu)", head[0], head[1], length);
        i += 4 + length;
    }
    print_error("\n");
}

/* -- the plain reader -- */

static bool is_digit(unsigned char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Registered methods are capitals and hyphens. People may well write "look at
 * /this HTTP/1.1". */
static size_t method_length(const unsigned char *line, size_t length)
{
    size_t i = 0;

    while (i < length && ((line[i] >= 'A' && line[i] <= 'Z') || line[i] == '-'))
        i++;
    return i;
}

/* RFC 9112, section 3: method, target and version, one space between them. A
 * target has a path or a colon, or is `*`. */
static bool is_http_request(const unsigned char *line, size_t length)
{
    static const size_t version = sizeof("HTTP/1.1") - 1;
    size_t method = method_length(line, length), spaces = 0, colons = 0;
    const unsigned char *last;

    if (method == 0 || length <= method + 2 + version)
        return false;
    for (size_t i = 0; i < length; i++) {
        spaces += line[i] == ' ';
        colons += line[i] == ':';
    }
    last = line + length - version;
    if (line[method + 1] != '/' && line[method + 1] != '*' && colons == 0)
        return false;
    return spaces == 2 && line[method] == ' ' && last[-1] == ' ' &&
           memcmp(last, "HTTP/", 5) == 0 && is_digit(last[5]) &&
           last[6] == '.' && is_digit(last[7]);
}

/*
 * A line that is too long is taken for one by its method, of up to 32 bytes,
 * and the path that follows. By no more than the byte that makes it too long,
 * for what comes after that may not be there yet.
 */
static bool begins_http_request(const unsigned char *line,
                                size_t line_bytes_max)
{
    size_t method = method_length(line, line_bytes_max + 1);

    return method > 0 && method <= 32 && method < line_bytes_max &&
           line[method] == ' ' && line[method + 1] == '/';
}

static void read_request(const unsigned char *line, size_t length,
                         struct outcomes *outcomes)
{
    if (!is_clean_text(line, length))
        add_error(outcomes, ERROR_BAD_TEXT);
    else if (line[0] != '/')
        add_request(outcomes, REQUEST_MESSAGE, line, length);
    else if (length > 1 && line[1] == '/')
        add_request(outcomes, REQUEST_MESSAGE, line + 1, length - 1);
    else
        add_request(outcomes, REQUEST_COMMAND, line + 1, length - 1);
}

/* Reads the whole stream. A CR at its very end counts as half of a CR LF. */
static void read_stream(const unsigned char *stream, size_t length,
                        size_t line_bytes_max, struct outcomes *outcomes)
{
    const unsigned char *end = stream + length, *line, *next;
    bool first = true;

    outcomes->length = 0;
    if (length > 0 && !may_begin_stream(stream[0])) {
        add_error(outcomes, ERROR_WRONG_PROTOCOL);
        return;
    }
    for (line = stream; line < end; line = next) {
        const unsigned char *newline = memchr(line, '\n', (size_t)(end - line));
        const unsigned char *stop = newline ? newline : end;

        next = newline ? newline + 1 : end;
        length = (size_t)(stop - line);
        if (length > 0 && stop[-1] == '\r')
            length--;
        if (length == 0) {
            add_request(outcomes, REQUEST_NOTHING, NULL, 0);
            continue;
        }
        if (first &&
            (length > line_bytes_max ? begins_http_request(line, line_bytes_max)
                                     : is_http_request(line, length))) {
            add_error(outcomes, ERROR_WRONG_PROTOCOL);
            return;
        }
        if (length > line_bytes_max)
            add_error(outcomes, ERROR_LINE_TOO_LONG);
        else
            read_request(line, length, outcomes);
        first = false;
    }
}

/* -- the decoder, fed piece by piece -- */

struct feeder {
    struct decoder decoder;
    struct budget budget;
    struct wire *wire;
    size_t line_bytes_max;
    struct outcomes *outcomes;
    bool closed; /* by an error that says so */
};

static uint64_t memory_used(struct feeder *feeder)
{
    return atomic_load(&feeder->budget.used_bytes);
}

static void feeder_init(struct feeder *feeder, size_t line_bytes_max,
                        struct outcomes *outcomes)
{
    struct wire_config config = {.line_bytes_max = (uint32_t)line_bytes_max};

    budget_init(&feeder->budget, UINT64_MAX);
    feeder->wire = wire_create(&config, &feeder->budget);
    assert_non_null(feeder->wire);
    decoder_init(&feeder->decoder, DIALECT_TEXT);
    feeder->line_bytes_max = line_bytes_max;
    feeder->outcomes = outcomes;
    feeder->closed = false;
    outcomes->length = 0;
}

static void feeder_release(struct feeder *feeder)
{
    decoder_release(&feeder->decoder, &feeder->budget);
    wire_destroy(feeder->wire);
    assert_int_equal(memory_used(feeder), 0);
}

static void note(struct feeder *feeder, enum wire_outcome outcome,
                 const struct request *request, enum error_code error)
{
    /* A line of the longest, and the CR that may end it. */
    assert_true(memory_used(feeder) <=
                sizeof(struct tail) + feeder->line_bytes_max + 1);
    if (outcome == WIRE_READY) {
        add_request(feeder->outcomes, request->kind, request->text.bytes,
                    request->text.length);
    } else if (outcome == WIRE_INVALID) {
        add_error(feeder->outcomes, error);
        feeder->closed = error_closes(error);
    }
}

/* The piece is gone afterwards: the decoder must not look at it again. */
static void feed(struct feeder *feeder, const unsigned char *bytes,
                 size_t length)
{
    unsigned char *piece = malloc(length);
    const unsigned char *at = piece;
    size_t left = length;
    enum wire_outcome outcome;

    assert_non_null(piece);
    memcpy(piece, bytes, length);
    do {
        struct request request;
        enum error_code error = ERROR_NONE;

        assert_true(wire_need(&feeder->decoder) == SIZE_MAX);
        outcome = wire_decode(feeder->wire, &feeder->decoder, NULL, &at, &left,
                              &request, &error);
        assert_ptr_equal(at, piece + length - left);
        note(feeder, outcome, &request, error);
    } while (outcome != WIRE_PARTIAL && !feeder->closed);
    if (!feeder->closed) {
        assert_int_equal(left, 0);
        if (bytes[length - 1] == '\n')
            assert_int_equal(memory_used(feeder), 0);
    }
    free(piece);
}

static void feed_end(struct feeder *feeder)
{
    struct request request;
    enum error_code error = ERROR_NONE;
    enum wire_outcome outcome =
        wire_decode_end(feeder->wire, &feeder->decoder, &request, &error);

    note(feeder, outcome, &request, error);
    outcome = wire_decode_end(feeder->wire, &feeder->decoder, &request, &error);
    assert_int_equal(outcome, WIRE_PARTIAL);
}

/* How a stream is cut: into a first piece, then pieces of up to `most`, or
 * all of `most` if there is no `rng`. */
struct cuts {
    size_t first, most;
    struct rng *rng;
};

static void decode(const unsigned char *stream, size_t length,
                   size_t line_bytes_max, const struct cuts *cuts,
                   struct outcomes *outcomes)
{
    struct feeder feeder;
    size_t piece = cuts->first;

    feeder_init(&feeder, line_bytes_max, outcomes);
    for (size_t at = 0; at < length && !feeder.closed; at += piece) {
        if (at > 0)
            piece =
                cuts->rng ? rng_magnitude(cuts->rng, cuts->most) : cuts->most;
        if (piece > length - at)
            piece = length - at;
        feed(&feeder, stream + at, piece);
    }
    if (!feeder.closed)
        feed_end(&feeder);
    feeder_release(&feeder);
}

/* -- comparing them -- */

static void fail_stream(const unsigned char *stream, size_t length,
                        size_t line_bytes_max, const struct cuts *cuts,
                        const struct outcomes *expected,
                        const struct outcomes *outcomes)
{
    print_error("stream:");
    for (size_t i = 0; i < length && i < 500; i++)
        print_error(" %02x", stream[i]);
    print_error("\n");
    print_outcomes("expected", expected);
    print_outcomes("decoded", outcomes);
    fail_msg("%zu bytes, lines of %zu, cut after %zu, then by %zu", length,
             line_bytes_max, cuts->first, cuts->most);
}

static struct outcomes expected, outcomes;

static void assert_decoded(const unsigned char *stream, size_t length,
                           size_t line_bytes_max, struct cuts cuts)
{
    decode(stream, length, line_bytes_max, &cuts, &outcomes);
    if (outcomes.length != expected.length ||
        memcmp(outcomes.bytes, expected.bytes, expected.length) != 0)
        fail_stream(stream, length, line_bytes_max, &cuts, &expected,
                    &outcomes);
}

/* Whole, byte by byte, and at random. */
static void check_some_cuts(const unsigned char *stream, size_t length,
                            size_t line_bytes_max, struct rng *rng)
{
    read_stream(stream, length, line_bytes_max, &expected);
    assert_decoded(stream, length, line_bytes_max,
                   (struct cuts){length, length, NULL});
    assert_decoded(stream, length, line_bytes_max, (struct cuts){1, 1, NULL});
    assert_decoded(stream, length, line_bytes_max,
                   (struct cuts){rng_magnitude(rng, length), length, rng});
}

/* Also in two at every place. */
static void check_all_cuts(const unsigned char *stream, size_t length,
                           size_t line_bytes_max)
{
    struct rng rng = {1};

    check_some_cuts(stream, length, line_bytes_max, &rng);
    for (size_t first = 1; first < length; first++)
        assert_decoded(stream, length, line_bytes_max,
                       (struct cuts){first, length, NULL});
    for (int i = 0; i < 20; i++)
        assert_decoded(
            stream, length, line_bytes_max,
            (struct cuts){rng_magnitude(&rng, length), length, &rng});
}

/* -- streams -- */

struct stream {
    const char *bytes;
    size_t length;
};

#define STREAM(literal)                                                        \
    {                                                                          \
        (literal), sizeof(literal) - 1                                         \
    }

/* More than the larger ones of the limits below but one. */
#define LONG "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct stream streams[] = {
    /* Lines, and how they end. */
    STREAM("hello\n"),
    STREAM("hello\r\n"),
    STREAM("one\ntwo\r\nthree\n"),
    STREAM("last line"),
    STREAM("one\nlast line"),
    STREAM("last line\r"),
    STREAM("\r"),
    STREAM("\n"),
    STREAM("\r\n"),
    STREAM("\n\n\n"),
    STREAM("\r\n\r\n\n"),
    STREAM("one\n\n\r\ntwo\n"),
    STREAM("a\r\r\nb\n"),
    STREAM("\r\r\n"),
    STREAM("\r\r"),
    STREAM("a\rb\n"),
    STREAM("\rb\n"),
    STREAM("a\n\rb\n"),
    STREAM(" \n  a  \n\t\n"),
    /* Commands, and messages that begin with a slash. */
    STREAM("/\n"),
    STREAM("/\r\n"),
    STREAM("/"),
    STREAM("//\n"),
    STREAM("//"),
    STREAM("///\n"),
    STREAM("/help\n/join #room\r\n/quit"),
    STREAM("//path/to\n / no command\n"),
    STREAM("/ help\n/echo   spaces \n"),
    /* Text that is none. */
    STREAM("a\0b\nc\n"),
    STREAM("a\x1b[2Jb\nc\n"),
    STREAM("a\x7f\nb\n"),
    STREAM("gr\xc3\xbc\xc3\x9f gott\n\xf0\x9f\x98\x80\n\xe2\x82\xac"),
    STREAM("a\xc3\n\xbc\n"),
    STREAM("a\xff\n/a\xff\n//\xff\n"),
    STREAM("a\xc2\x85\nb\xc2\xa0\n"),
    STREAM("a\xed\xa0\x80\nb\n"),
    STREAM("/nick a\x01\nb\x02"),
    STREAM("\xc3\x28\nb\n"),
    /* Longer than the smaller limits, also twice, also at the end. */
    STREAM("0123456789abcdef0123456789abcdef\nok\n"),
    STREAM("ok\n0123456789abcdef0123456789abcdef\r\nok\r\n"),
    STREAM("0123456789abcdef\n0123456789abcdef\nok"),
    STREAM("ok\n0123456789abcdef0123456789abcdef"),
    STREAM("0123456789abcdef\r"),
    STREAM("0123456789abcdef\r\r\n"),
    STREAM("0123456789abcdef\rx\n"),
    STREAM("/0123456789abcdef\n//0123456789abcde\n"),
    STREAM("0123456789abcdef\xff\n\x01\n"),
    STREAM("GET /0123456789abcdef HTTP/1.1\nGET / HTTP/1.1\n"),
    /* Something else altogether. */
    STREAM("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    STREAM("\x89RING\r\n\x1a\n"),
    STREAM("\xc1hello\n"),
    STREAM("\x80\n"),
    STREAM("\x7f\n"),
    STREAM("\0\0\n"),
    STREAM("GET / HTTP/1.1\r\nHost: ringchat\r\n\r\n"),
    STREAM("GET / HTTP/1.1"),
    STREAM("\r\n\nGET / HTTP/1.1\r\n"),
    STREAM("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    STREAM("OPTIONS * HTTP/1.0\n"),
    STREAM("CONNECT example.org:443 HTTP/1.1\n"),
    STREAM("A b HTTP/0.9\n"),
    STREAM("GET /\xff HTTP/1.1\nx\n"),
    STREAM("hello\nGET / HTTP/1.1\n"),
    STREAM("\nGET /" LONG " HTTP/1.1\r\nHost: ringchat\r\n"),
    STREAM("GET /" LONG),
    STREAM("A /" LONG "\n"),
    STREAM("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF /" LONG "\n"),
    STREAM("/time\nGET / HTTP/1.1\n"),
    /* Nearly so. */
    STREAM("hello\nGET /" LONG " HTTP/1.1\n"),
    STREAM("GET " LONG " HTTP/1.1\n"),
    STREAM("GET  /" LONG " HTTP/1.1\n"),
    STREAM("Get /" LONG " HTTP/1.1\n"),
    STREAM(" /" LONG " HTTP/1.1\n"),
    STREAM("/" LONG " HTTP/1.1\n"),
    STREAM("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG /" LONG "\n"),
    STREAM("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ"),
    STREAM("GET /\nx\n"),
    STREAM("GET / HTTP/1\n"),
    STREAM("GET / HTTP/1.\n"),
    STREAM("GET / HTTP/11\n"),
    STREAM("GET / HTTP/1.12\n"),
    STREAM("GET / HTTP/a.1\n"),
    STREAM("GET / HTTP/1.b\n"),
    STREAM("GET / HTTP/1,1\n"),
    STREAM("GET / http/1.1\n"),
    STREAM("GET / HTTPS/1.1\n"),
    STREAM("GET / HTTP/1.1 \n"),
    STREAM("GET / HTTP/1.1\r\r\n"),
    STREAM("GET  / HTTP/1.1\n"),
    STREAM("GET /  HTTP/1.1\n"),
    STREAM("GET  HTTP/1.1\n"),
    STREAM("GET HTTP/1.1\n"),
    STREAM("GET   HTTP/1.1\n"),
    STREAM("GET / / HTTP/1.1\n"),
    STREAM(" GET / HTTP/1.1\n"),
    STREAM(" / HTTP/1.1\n"),
    STREAM("Get / HTTP/1.1\n"),
    STREAM("look at HTTP/1.1\n"),
    STREAM("GET/ HTTP/1.1\n"),
    STREAM("GET / XHTTP/1.1\n"),
    STREAM("GET /HTTP/1.1\n"),
    STREAM("/ / HTTP/1.1\n"),
    STREAM("HTTP/1.1\n"),
    STREAM(" HTTP/1.1\n"),
};
#define STREAMS (sizeof(streams) / sizeof(streams[0]))

static const size_t limits[] = {1,  2,  3,  4,  5,  12,  15,
                                16, 17, 33, 34, 64, 4096};
#define LIMITS (sizeof(limits) / sizeof(limits[0]))

static void test_streams(void **state)
{
    (void)state;
    for (size_t i = 0; i < STREAMS; i++) {
        for (size_t j = 0; j < LIMITS; j++)
            check_all_cuts((const unsigned char *)streams[i].bytes,
                           streams[i].length, limits[j]);
    }
}

/* What the plain reader says is no use if it is wrong: some it has to tell
 * apart. */
static void test_plain_reader(void **state)
{
    static const unsigned char stream[] = "a\r\n\n/b\n//c\nd\x01\n12345678\ne";

    (void)state;
    read_stream(stream, sizeof(stream) - 1, 7, &expected);
    outcomes.length = 0;
    add_request(&outcomes, REQUEST_MESSAGE, "a", 1);
    add_request(&outcomes, REQUEST_NOTHING, NULL, 0);
    add_request(&outcomes, REQUEST_COMMAND, "b", 1);
    add_request(&outcomes, REQUEST_MESSAGE, "/c", 2);
    add_error(&outcomes, ERROR_BAD_TEXT);
    add_error(&outcomes, ERROR_LINE_TOO_LONG);
    add_request(&outcomes, REQUEST_MESSAGE, "e", 1);
    assert_int_equal(outcomes.length, expected.length);
    assert_memory_equal(outcomes.bytes, expected.bytes, expected.length);
}

/* As tests/vectors/generate.py has them. */
static void test_golden_vectors(void **state)
{
    static const struct {
        const char *name;
        enum request_kind kind;
        const char *text;
    } requests[] = {
        {"text_in_message", REQUEST_MESSAGE, "hello"},
        {"text_in_command", REQUEST_COMMAND, "who"},
        {"text_in_private", REQUEST_COMMAND, "msg bob hello"},
    };
    size_t count = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        if (strncmp(vectors[i].name, "text_in_", 8) != 0)
            continue;
        assert_string_equal(vectors[i].name, requests[count].name);
        expected.length = 0;
        add_request(&expected, requests[count].kind, requests[count].text,
                    strlen(requests[count].text));
        assert_decoded(vectors[i].bytes, vectors[i].length, 4096,
                       (struct cuts){vectors[i].length, 1, NULL});
        assert_decoded(vectors[i].bytes, vectors[i].length, 4096,
                       (struct cuts){1, 1, NULL});
        count++;
    }
    assert_int_equal(count, sizeof(requests) / sizeof(requests[0]));
}

static void test_no_stream(void **state)
{
    const unsigned char *at = NULL;
    size_t left = 0;
    struct feeder feeder;
    struct request request;
    enum error_code error;

    (void)state;
    feeder_init(&feeder, 4096, &outcomes);
    assert_int_equal(wire_decode(feeder.wire, &feeder.decoder, NULL, &at, &left,
                                 &request, &error),
                     WIRE_PARTIAL);
    assert_null(at);
    feed_end(&feeder);
    assert_int_equal(outcomes.length, 0);
    feeder_release(&feeder);
}

static void test_every_first_byte(void **state)
{
    unsigned char stream[] = "?ello\nhello\n";

    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        stream[0] = (unsigned char)byte;
        check_all_cuts(stream, sizeof(stream) - 1, 4096);
        check_all_cuts(stream, 1, 4096);
    }
}

/* Each byte of each stream that is not too long becomes any other. */
static void test_every_change_of_a_byte(void **state)
{
    unsigned char stream[40];
    struct rng rng = {1};

    (void)state;
    for (size_t i = 0; i < STREAMS; i++) {
        size_t length = streams[i].length;

        if (length > sizeof(stream))
            continue;
        memcpy(stream, streams[i].bytes, length);
        for (size_t j = 0; j < length * 256; j++) {
            unsigned char before = stream[j / 256];

            stream[j / 256] = (unsigned char)j;
            check_some_cuts(stream, length, 16, &rng);
            stream[j / 256] = before;
        }
    }
}

/* Lines around a limit as people have it, with all that can end them. */
static void test_around_the_limit(void **state)
{
    static const char *const ends[] = {"",        "\n",    "\r\n",   "\r",
                                       "\r\r\n",  "\rx\n", "\nnext", "\r\nnext",
                                       "\r\r\nx", "\rx",   "\xff\n"};
    static unsigned char stream[4200];

    (void)state;
    for (size_t length = 4094; length <= 4098; length++) {
        for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
            memset(stream, 'a', length);
            memcpy(stream + length, ends[i], strlen(ends[i]));
            size_t whole = length + strlen(ends[i]);
            read_stream(stream, whole, 4096, &expected);
            for (size_t first = 1; first <= whole;
                 first += first > 40 && first < 4080 ? 127 : 1)
                assert_decoded(stream, whole, 4096,
                               (struct cuts){first, whole, NULL});
            assert_decoded(stream, whole, 4096, (struct cuts){1, 1, NULL});
        }
    }
}

/* The error is said at once, not when the line ends; and only once. */
static void test_too_long_is_said_at_once(void **state)
{
    struct feeder feeder;

    (void)state;
    feeder_init(&feeder, 4, &outcomes);
    feed(&feeder, (const unsigned char *)"abcde", 5);
    assert_int_equal(outcomes.length, 4);
    feed(&feeder, (const unsigned char *)"\n", 1);
    assert_int_equal(outcomes.length, 4);
    feeder_release(&feeder);
    feeder_init(&feeder, 4, &outcomes);
    feed(&feeder, (const unsigned char *)"abcd", 4);
    assert_int_equal(outcomes.length, 0);
    feed(&feeder, (const unsigned char *)"\r", 1);
    assert_int_equal(outcomes.length, 0);
    feed(&feeder, (const unsigned char *)"e", 1);
    assert_int_equal(outcomes.length, 4);
    assert_int_equal(memory_used(&feeder), 0);
    for (int i = 0; i < 100; i++)
        feed(&feeder, (const unsigned char *)"/quit\r", 6);
    assert_int_equal(outcomes.length, 4);
    assert_int_equal(memory_used(&feeder), 0);
    feed_end(&feeder);
    assert_int_equal(outcomes.length, 4);
    feeder_release(&feeder);
}

/* Made of what means something to the decoder, and of any bytes. */
static size_t random_stream(struct rng *rng, unsigned char *stream)
{
    static const struct stream words[] = {
        STREAM("\n"),       STREAM("\n"),       STREAM("\r\n"),
        STREAM("\r"),       STREAM("/"),        STREAM("//"),
        STREAM("a"),        STREAM("bcd"),      STREAM(" "),
        STREAM("\xc3\xa9"), STREAM("\xe2\x82"), STREAM("\t"),
        STREAM("GET "),     STREAM("/ HTTP/1"), STREAM(".1\r\n"),
        STREAM("12345678"),
    };
    size_t count = rng_magnitude(rng, 20), length = 0;

    for (size_t i = 0; i < count; i++) {
        size_t chosen = rng_below(rng, sizeof(words) / sizeof(words[0]) + 1);

        if (chosen == sizeof(words) / sizeof(words[0])) {
            stream[length++] = (unsigned char)rng_next(rng);
            continue;
        }
        memcpy(stream + length, words[chosen].bytes, words[chosen].length);
        length += words[chosen].length;
    }
    return length;
}

static void test_random_streams(void **state)
{
    static unsigned char stream[20 * 8];
    struct rng rng = {1};

    (void)state;
    for (int i = 0; i < 1000000; i++) {
        size_t length = random_stream(&rng, stream);
        size_t line_bytes_max = rng_magnitude(&rng, 40);
        struct cuts cuts = {rng_magnitude(&rng, length), length, &rng};

        read_stream(stream, length, line_bytes_max, &expected);
        assert_decoded(stream, length, line_bytes_max, cuts);
    }
}

/* -- memory -- */

/* Feeds a line byte by byte, with the nth allocation failing; returns whether
 * there was an nth. */
static bool fail_nth_growth(unsigned n)
{
    struct feeder feeder;
    unsigned long before;
    bool reached;

    feeder_init(&feeder, 4096, &outcomes);
    before = alloc_count();
    for (size_t i = 0; i < 3000 && !feeder.closed; i++) {
        const unsigned char byte = 'a', *at = &byte;
        size_t left = 1;
        struct request request;
        enum error_code error = ERROR_NONE;
        enum wire_outcome outcome;

        alloc_fail_at(n - (unsigned)(alloc_count() - before));
        outcome = wire_decode(feeder.wire, &feeder.decoder, NULL, &at, &left,
                              &request, &error);
        note(&feeder, outcome, &request, error);
    }
    alloc_fail_at(0);
    reached = alloc_count() - before == n;
    assert_int_equal(feeder.closed, reached);
    feeder_release(&feeder);
    if (!reached)
        return false;
    expected.length = 0;
    add_error(&expected, ERROR_INTERNAL);
    assert_int_equal(outcomes.length, expected.length);
    assert_memory_equal(outcomes.bytes, expected.bytes, expected.length);
    return true;
}

static void test_without_memory(void **state)
{
    unsigned n = 1;

    (void)state;
    while (fail_nth_growth(n))
        n++;
    /* The tail doubles: a line of 3,000 bytes is not copied often. */
    assert_in_range(n, 3, 10);
}

/* When the end of a line is what there is no memory for. */
static void test_end_without_memory(void **state)
{
    static unsigned char line[200];
    struct feeder feeder;
    const unsigned char *at = line;
    size_t left = sizeof(line);
    struct request request;
    enum error_code error = ERROR_NONE;

    (void)state;
    memset(line, 'a', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    feeder_init(&feeder, 4096, &outcomes);
    feed(&feeder, line, 10);
    feeder.budget.limit_bytes = memory_used(&feeder) + 100;
    assert_int_equal(wire_decode(feeder.wire, &feeder.decoder, NULL, &at, &left,
                                 &request, &error),
                     WIRE_INVALID);
    assert_int_equal(error, ERROR_INTERNAL);
    feeder_release(&feeder);
}

/* What arrives whole is decoded where it lies. */
static void test_whole_lines_cost_nothing(void **state)
{
    static const unsigned char stream[] = "one\n/two\r\n\n//three\n";
    const unsigned char *at = stream;
    size_t left = sizeof(stream) - 1;
    struct feeder feeder;
    struct request request;
    enum error_code error;
    unsigned long before;

    (void)state;
    feeder_init(&feeder, 4096, &outcomes);
    before = alloc_count();
    while (wire_decode(feeder.wire, &feeder.decoder, NULL, &at, &left, &request,
                       &error) == WIRE_READY)
        assert_true(request.text.length == 0 ||
                    ((const unsigned char *)request.text.bytes > stream &&
                     (const unsigned char *)request.text.bytes < at) ||
                    (const unsigned char *)request.text.bytes == stream);
    assert_int_equal(left, 0);
    assert_int_equal(alloc_count(), before);
    feeder_release(&feeder);
}

/* -- encoding -- */

static void assert_encoded(const struct event *event, const char *line)
{
    struct outgoing outgoing;
    size_t size = wire_prepare(NULL, ENCODING_TEXT, NULL, event, &outgoing);
    unsigned char *out = malloc(size);

    assert_non_null(out);
    assert_int_equal(size, strlen(line));
    assert_ptr_equal(wire_write(NULL, &outgoing, out), out + size);
    assert_memory_equal(out, line, size);
    free(out);
}

static void test_events(void **state)
{
    struct event event = {
        .room = SLICE("Lobby"),
        .nick = SLICE("ann"),
        .text = SLICE("text"),
        .number = 12,
        .code = ERROR_BAD_NAME,
        .seq = 7,
        .time_us = 8,
    };
    static const char *const lines[] = {
        [EVENT_MESSAGE] = "[Lobby] ann: text\n",
        [EVENT_JOINED] = "[Lobby] * ann joined\n",
        [EVENT_LEFT] = "[Lobby] * ann left\n",
        [EVENT_NICK] = "[Lobby] * ann is now text\n",
        [EVENT_TOPIC] = "[Lobby] * ann set the topic: text\n",
        [EVENT_LAGGED] = "[Lobby] * lagged: 12 messages missed\n",
        [EVENT_PRIVATE] = "(private) ann: text\n",
        [EVENT_REPLY] = "* text\n",
        [EVENT_ECHO] = "text\n",
        [EVENT_ERROR] = "! bad-name text\n",
        [EVENT_TOPIC_REPLY] = "* topic Lobby: text\n",
        [EVENT_WELCOME] = ("* welcome to ringchat, you are ann, in Lobby; "
                           "/help lists commands\n"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        event.kind = (enum event_kind)i;
        event.more = false;
        assert_encoded(&event, lines[i]);
        event.more = true;
        assert_encoded(&event, lines[i]);
    }
}

static void test_empty_texts(void **state)
{
    struct event event = {
        .room = SLICE("r"),
        .nick = SLICE("n"),
        .text = SLICE(""),
    };

    (void)state;
    event.kind = EVENT_TOPIC_REPLY;
    assert_encoded(&event, "* topic r: \n");
    event.kind = EVENT_TOPIC;
    assert_encoded(&event, "[r] * n set the topic: \n");
    event.kind = EVENT_ECHO;
    assert_encoded(&event, "\n");
    event.kind = EVENT_REPLY;
    assert_encoded(&event, "* \n");
}

/* What is no text is told of. */
static void test_contents(void **state)
{
    struct event event = {.kind = EVENT_MESSAGE,
                          .room = SLICE("r"),
                          .nick = SLICE("n"),
                          .text = SLICE("a\nb"),
                          .content_type = SLICE("image/png")};

    (void)state;
    assert_encoded(&event, "[r] n: sent image/png (3 bytes)\n");
    event.kind = EVENT_PRIVATE;
    assert_encoded(&event, "(private) n: sent image/png (3 bytes)\n");
    event.content_type = (struct slice){"text/plain", 4};
    assert_encoded(&event, "(private) n: sent text (3 bytes)\n");
    event.text = SLICE("");
    assert_encoded(&event, "(private) n: sent text (0 bytes)\n");
    event.text = SLICE("hello");
    event.content_type = SLICE("TEXT/html");
    assert_encoded(&event, "(private) n: hello\n");
    event.content_type = SLICE("text/");
    assert_encoded(&event, "(private) n: hello\n");
}

static void test_numbers_missed(void **state)
{
    struct event event = {.kind = EVENT_LAGGED, .room = SLICE("r")};

    (void)state;
    assert_encoded(&event, "[r] * lagged: 0 messages missed\n");
    event.number = UINT64_MAX;
    assert_encoded(&event,
                   "[r] * lagged: 18446744073709551615 messages missed\n");
}

/* docs/protocol.md, "Errors": those that this server can have. */
static void test_errors(void **state)
{
    static const struct {
        int code;
        bool closes;
        const char *line;
    } errors[] = {
        {1, false, "! line-too-long\n"},   {2, false, "! bad-text\n"},
        {3, false, "! unknown-command\n"}, {4, false, "! usage\n"},
        {5, false, "! bad-name\n"},        {6, false, "! nick-in-use\n"},
        {7, false, "! no-such-nick\n"},    {8, false, "! no-such-room\n"},
        {9, false, "! no-room\n"},         {10, false, "! too-many-rooms\n"},
        {11, true, "! wrong-protocol\n"},  {12, false, "! receiver-busy\n"},
        {30, true, "! timeout\n"},         {31, true, "! lagged\n"},
        {32, true, "! server-full\n"},     {33, true, "! shutdown\n"},
        {99, true, "! internal\n"},
    };
    struct event event = {.kind = EVENT_ERROR};

    (void)state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        event.code = (enum error_code)errors[i].code;
        assert_encoded(&event, errors[i].line);
        assert_int_equal(error_closes(event.code), errors[i].closes);
    }
    assert_false(error_closes(ERROR_NONE));
}

static void test_long_text(void **state)
{
    static const char start[] = "[r] n: ";
    size_t length = 1 << 20, before = sizeof(start) - 1;
    char *line = malloc(before + length + 2);
    struct event event = {
        .kind = EVENT_MESSAGE, .room = SLICE("r"), .nick = SLICE("n")};

    (void)state;
    assert_non_null(line);
    memcpy(line, start, sizeof(start));
    memset(line + before, 'x', length);
    memcpy(line + before + length, "\n", 2);
    event.text = (struct slice){line + before, length};
    assert_encoded(&event, line);
    free(line);
}

static void test_dialects(void **state)
{
    enum dialect dialect;

    (void)state;
    assert_true(dialect_named("text", &dialect));
    assert_int_equal(dialect, DIALECT_TEXT);
    assert_int_equal(dialect_encoding(dialect), ENCODING_TEXT);
    assert_false(dialect_named("", &dialect));
    assert_false(dialect_named("tex", &dialect));
    assert_false(dialect_named("texts", &dialect));
    assert_false(dialect_named("Text", &dialect));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_reader),
        cmocka_unit_test(test_golden_vectors),
        cmocka_unit_test(test_no_stream),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_every_first_byte),
        cmocka_unit_test(test_every_change_of_a_byte),
        cmocka_unit_test(test_around_the_limit),
        cmocka_unit_test(test_too_long_is_said_at_once),
        cmocka_unit_test(test_random_streams),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_end_without_memory),
        cmocka_unit_test(test_whole_lines_cost_nothing),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_empty_texts),
        cmocka_unit_test(test_contents),
        cmocka_unit_test(test_numbers_missed),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_long_text),
        cmocka_unit_test(test_dialects),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

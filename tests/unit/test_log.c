/*
 * Log lines: what is escaped and how, that each is one write, and that a line
 * which had to be cut is as well-formed as any other.
 *
 * Standard error is a pipe in packet mode (O_DIRECT, see pipe(2)): one read
 * returns what one write wrote.
 */
#include "common/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/escape.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int stderr_saved;
static int stderr_reader;

static int capture_begin(void **state)
{
    int ends[2];

    (void)state;
    if (pipe2(ends, O_CLOEXEC | O_DIRECT | O_NONBLOCK) < 0)
        return -1;
    stderr_saved = dup(STDERR_FILENO);
    stderr_reader = ends[0];
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    return 0;
}

static int capture_end(void **state)
{
    (void)state;
    dup2(stderr_saved, STDERR_FILENO);
    close(stderr_saved);
    close(stderr_reader);
    return 0;
}

/* One write's bytes, or "" if there was none. */
static size_t captured(char line[PIPE_BUF + 1])
{
    ssize_t length = read(stderr_reader, line, PIPE_BUF);

    if (length < 0)
        length = 0;
    line[length] = '\0';
    return (size_t)length;
}

/* -- readers of the two formats, as strict as their descriptions -- */

static size_t hex_value(const char *digits, int count)
{
    char text[5] = "";
    char *end;

    memcpy(text, digits, (size_t)count);
    size_t value = strtoul(text, &end, 16);
    assert_ptr_equal(end, text + count);
    return value;
}

/* Whether the bytes are UTF-8, by an independent decoder. */
static bool is_utf8(const unsigned char *text, size_t length)
{
    for (size_t i = 0, need; i < length; i += need) {
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        uint32_t code = text[i];

        need = code < 0x80 ? 1 : code < 0xe0 ? 2 : code < 0xf0 ? 3 : 4;
        if ((code & 0xc0) == 0x80 || code > 0xf7 || i + need > length)
            return false;
        if (need > 1)
            code &= 0x7fu >> need;
        for (size_t j = 1; j < need; j++) {
            if ((text[i + j] & 0xc0) != 0x80)
                return false;
            code = code << 6 | (text[i + j] & 0x3f);
        }
        if (code < least[need] || code > 0x10ffff ||
            (code >= 0xd800 && code < 0xe000))
            return false;
    }
    return true;
}

static void assert_clean(const char *line, size_t length)
{
    assert_true(length > 0 && length <= PIPE_BUF);
    assert_int_equal(line[length - 1], '\n');
    assert_true(is_utf8((const unsigned char *)line, length));
    for (size_t i = 0; i + 1 < length; i++) {
        unsigned char byte = (unsigned char)line[i];

        assert_true(byte >= 0x20 && byte != 0x7f);
        if (byte == 0xc2)
            assert_true((unsigned char)line[i + 1] >= 0xa0);
    }
}

/* Reads a string in quotes into `value` as its bytes (code points below 0x100
 * as one byte, U+FFFD as '?'); returns what follows the closing quote. */
static const char *json_string(const char *at, char *value, size_t *length)
{
    assert_int_equal(*at++, '"');
    for (*length = 0; *at != '"'; (*length)++) {
        if (*at != '\\') {
            assert_true((unsigned char)*at >= 0x20);
            value[*length] = *at++;
            continue;
        }
        at++;
        if (*at == 'u') {
            size_t code = hex_value(at + 1, 4);
            value[*length] = code == 0xfffd ? '?' : (char)code;
            at += 5;
        } else {
            assert_true(*at == '"' || *at == '\\');
            value[*length] = *at++;
        }
    }
    value[*length] = '\0';
    return at + 1;
}

/* Reads one line; the value of its last field is left in `value`. */
static void json_line(const char *at, char *value, size_t *length)
{
    char key[PIPE_BUF];
    size_t key_length;

    assert_int_equal(*at, '{');
    do {
        at = json_string(at + 1, key, &key_length);
        assert_int_equal(*at++, ':');
        if (*at == '"') {
            at = json_string(at, value, length);
        } else {
            *length = strspn(at, "0123456789.");
            assert_true(*length > 0);
            memcpy(value, at, *length);
            value[*length] = '\0';
            at += *length;
        }
    } while (*at == ',');
    assert_string_equal(at, "}\n");
}

static const char *logfmt_quoted(const char *at, char *value, size_t *length)
{
    for (at++, *length = 0; *at != '"'; (*length)++) {
        char byte = *at++;

        if (byte == '\\') {
            byte = *at++;
            if (byte == 'x') {
                byte = (char)hex_value(at, 2);
                at += 2;
            } else if (byte == 'n') {
                byte = '\n';
            } else if (byte == 't') {
                byte = '\t';
            } else {
                assert_true(byte == '"' || byte == '\\');
            }
        }
        value[*length] = byte;
    }
    value[*length] = '\0';
    return at + 1;
}

static void logfmt_line(const char *at, char *value, size_t *length)
{
    for (;; at++) {
        size_t key = strspn(at, "abcdefghijklmnopqrstuvwxyz_");

        assert_true(key > 0);
        at += key;
        assert_int_equal(*at++, '=');
        if (*at == '"') {
            at = logfmt_quoted(at, value, length);
        } else {
            *length = strcspn(at, " \n\"=");
            assert_true(*length > 0);
            memcpy(value, at, *length);
            value[*length] = '\0';
            at += *length;
        }
        if (*at != ' ')
            break;
    }
    assert_string_equal(at, "\n");
}

static void read_line(enum log_format format, char *value, size_t *length)
{
    char line[PIPE_BUF + 1];

    assert_clean(line, captured(line));
    if (format == LOG_JSON)
        json_line(line, value, length);
    else
        logfmt_line(line, value, length);
}

/* -- tests -- */

/* What stands after `before` and the time. */
static const char *after_time(const char *line, const char *before)
{
    static const char form[] = "0000-00-00T00:00:00.000000Z";

    assert_memory_equal(line, before, strlen(before));
    line += strlen(before);
    for (const char *f = form; *f != '\0'; f++, line++)
        assert_true(*f == '0' ? *line >= '0' && *line <= '9' : *line == *f);
    return line;
}

static void test_logfmt_line(void **state)
{
    char line[PIPE_BUF + 1];
    const struct log_field fields[] = {
        log_string("url", "text://127.0.0.1:4000"),
        log_string("empty", ""),
        log_string("text", "a \"b\"\n\tc\\d"),
        log_string("pair", "a=b"),
        log_string("umlaut", "ü"),
        log_number("bytes", UINT64_MAX),
        log_seconds("seconds", 12000345),
    };

    (void)state;
    log_init(LOG_INFO, LOG_LOGFMT);
    log_event(LOG_INFO, "listening", fields, 7);
    captured(line);
    assert_string_equal(after_time(line, "time="),
                        " level=info event=listening"
                        " url=text://127.0.0.1:4000 empty=\"\""
                        " text=\"a \\\"b\\\"\\n\\tc\\\\d\" pair=\"a=b\""
                        " umlaut=ü bytes=18446744073709551615"
                        " seconds=12.000345\n");
}

static void test_json_line(void **state)
{
    char line[PIPE_BUF + 1];
    const struct log_field fields[] = {
        log_string("url", "text://127.0.0.1:4000"),
        log_string("text", "a \"b\"\n\tc\\d/ü"),
        log_text("bad", "a\xff\xc2\x85\x7f\x00", 6),
        log_number("bytes", 0),
        log_seconds("seconds", 7),
    };

    (void)state;
    log_init(LOG_INFO, LOG_JSON);
    log_event(LOG_ERROR, "listening", fields, 5);
    captured(line);
    assert_string_equal(after_time(line, "{\"time\":\""),
                        "\",\"level\":\"error\",\"event\":\"listening\","
                        "\"url\":\"text://127.0.0.1:4000\","
                        "\"text\":\"a \\\"b\\\"\\u000a\\u0009c\\\\d/ü\","
                        "\"bad\":\"a\\ufffd\\u0085\\u007f\\u0000\",\"bytes\":0,"
                        "\"seconds\":0.000007}\n");
}

static void test_levels(void **state)
{
    char line[PIPE_BUF + 1];

    (void)state;
    for (int most = LOG_ERROR; most <= LOG_DEBUG; most++) {
        log_init((enum log_level)most, LOG_LOGFMT);
        for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
            log_event((enum log_level)level, "event", NULL, 0);
            assert_int_equal(captured(line) > 0, level <= most);
            assert_int_equal(captured(line), 0);
        }
    }
}

/* Every byte alone and in the midst of others comes back from logfmt as it
 * was, and from JSON as itself or as a replacement character. */
static void test_every_byte(void **state)
{
    char value[PIPE_BUF];
    size_t length;

    (void)state;
    for (int i = 0; i <= 0xff; i++) {
        const char text[] = {'a', (char)i, 'b'};
        char expected[] = {'a', i < 0x80 ? (char)i : '?', 'b'};
        struct log_field middle = log_text("t", text, 3);
        struct log_field alone = log_text("t", text + 1, 1);

        log_init(LOG_INFO, LOG_LOGFMT);
        log_event(LOG_INFO, "event", &middle, 1);
        read_line(LOG_LOGFMT, value, &length);
        assert_int_equal(length, 3);
        assert_memory_equal(value, text, 3);
        log_event(LOG_INFO, "event", &alone, 1);
        read_line(LOG_LOGFMT, value, &length);
        assert_int_equal(length, 1);
        assert_memory_equal(value, text + 1, 1);
        log_init(LOG_INFO, LOG_JSON);
        log_event(LOG_INFO, "event", &middle, 1);
        read_line(LOG_JSON, value, &length);
        assert_int_equal(length, 3);
        assert_memory_equal(value, expected, 3);
    }
}

/* Every pair of bytes is read as UTF-8 by us as by the test's own decoder. */
static void test_every_pair_is_text_or_escaped(void **state)
{
    (void)state;
    for (int i = 0; i <= 0xffff; i++) {
        const char text[] = {(char)(i >> 8), (char)i};
        const unsigned char *bytes = (const unsigned char *)text;
        struct escape next = escape_next(ESCAPE_JSON, text, 2);

        if (bytes[0] >= 0x80) {
            bool valid = is_utf8(bytes, 2);

            assert_int_equal(next.taken, valid ? 2 : 1);
            assert_int_equal(next.length, valid && i >= 0xc2a0 ? 2 : 6);
        }
        assert_true(is_utf8((const unsigned char *)next.bytes, next.length));
    }
}

static void test_utf8_limits(void **state)
{
    static const char *const valid[] = {
        "\xe0\xa0\x80", "\xed\x9f\xbf",     "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
    };
    static const char *const invalid[] = {
        "\xe0\x9f\xbf",     "\xed\xa0\x80",     "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82",
        "\xf0\x90\x80",     "\xe2\x82\x28",     "\xf0\x90\x80\x28",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
        size_t length = strlen(valid[i]);

        assert_int_equal(escape_next(ESCAPE_JSON, valid[i], length).length,
                         length);
    }
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        struct escape next =
            escape_next(ESCAPE_JSON, invalid[i], strlen(invalid[i]));

        assert_int_equal(next.taken, 1);
        assert_string_equal(next.bytes, "\\ufffd");
    }
}

/* Values made of `unit` of every length around the limit, with a field after
 * them: what is cut is a prefix, and nothing comes after a cut. */
static void cut_at_each_length(enum log_format format, const char *unit)
{
    static char text[2 * PIPE_BUF];
    char value[PIPE_BUF];
    size_t length;

    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = unit[i % strlen(unit)];
    log_init(LOG_INFO, format);
    /* From there on no more of it can matter: then one far over the limit. */
    for (size_t size = 400; size <= sizeof(text);
         size += size < PIPE_BUF + 128 ? 1 : PIPE_BUF - 128) {
        struct log_field fields[] = {log_text("t", text, size),
                                     log_number("n", 4711)};

        log_event(LOG_INFO, "event", fields, 2);
        read_line(format, value, &length);
        if (strcmp(value, "4711") != 0 && format == LOG_LOGFMT)
            assert_memory_equal(value, text, length);
        /* Nearly all of it is there unless each unit is escaped. */
        if (size > 4200 && unit[0] == 'a')
            assert_true(length > 4000);
    }
}

static void test_cut_logfmt(void **state)
{
    (void)state;
    cut_at_each_length(LOG_LOGFMT, "a");
    cut_at_each_length(LOG_LOGFMT, "a ");
    cut_at_each_length(LOG_LOGFMT, "\n");
    cut_at_each_length(LOG_LOGFMT, "ü");
    cut_at_each_length(LOG_LOGFMT, "\xc2\x85");
    cut_at_each_length(LOG_LOGFMT, "\xf0\x9f\x98\x80!");
}

static void test_cut_json(void **state)
{
    (void)state;
    cut_at_each_length(LOG_JSON, "a");
    cut_at_each_length(LOG_JSON, "\"");
    cut_at_each_length(LOG_JSON, "\n");
    cut_at_each_length(LOG_JSON, "\xff");
    cut_at_each_length(LOG_JSON, "\xf0\x9f\x98\x80!");
}

/* The line ends in each of its fields in turn: in keys, numbers, quotes. */
static void test_cut_in_each_field(void **state)
{
    static char text[PIPE_BUF];
    char value[PIPE_BUF];
    size_t length;

    (void)state;
    memset(text, 'x', sizeof(text));
    for (int format = LOG_LOGFMT; format <= LOG_JSON; format++) {
        log_init(LOG_INFO, (enum log_format)format);
        for (size_t size = 3800; size < sizeof(text); size++) {
            const struct log_field fields[] = {
                log_text("first", text, size),
                log_number("number", UINT64_MAX),
                log_string("empty", ""),
                log_string("word", "word"),
                log_string("words", "two words"),
                log_seconds("seconds", UINT64_MAX),
            };

            log_event(LOG_INFO, "event", fields, 6);
            read_line((enum log_format)format, value, &length);
        }
    }
}

static void test_random_bytes(void **state)
{
    static char text[2 * PIPE_BUF];
    char value[PIPE_BUF];
    size_t length;

    (void)state;
    for (int turn = 0; turn < 200; turn++) {
        struct log_field field = log_text("t", text, sizeof(text));

        random_fill(text, sizeof(text));
        log_init(LOG_INFO, turn % 2 ? LOG_JSON : LOG_LOGFMT);
        log_event(LOG_INFO, "event", &field, 1);
        read_line(turn % 2 ? LOG_JSON : LOG_LOGFMT, value, &length);
    }
}

/* To a closed descriptor, and to a pipe that is full and must not block. */
static void test_failed_write_is_ignored(void **state)
{
    int saved = dup(STDERR_FILENO);

    (void)state;
    log_init(LOG_INFO, LOG_LOGFMT);
    close(STDERR_FILENO);
    log_event(LOG_INFO, "event", NULL, 0);
    dup2(saved, STDERR_FILENO);
    close(saved);
    while (write(STDERR_FILENO, "", 1) == 1)
        ;
    assert_int_equal(errno, EAGAIN);
    log_event(LOG_INFO, "event", NULL, 0);
}

static void test_escape_string(void **state)
{
    char out[8];

    (void)state;
    escape_string("a\nb", out, sizeof(out));
    assert_string_equal(out, "a\\nb");
    escape_string("1234567", out, sizeof(out));
    assert_string_equal(out, "1234567");
    escape_string("123456\n", out, sizeof(out));
    assert_string_equal(out, "123456");
    escape_string("", out, 1);
    assert_string_equal(out, "");
}

/* When nobody reads, lines are dropped, not waited for; the next one that is
 * written says how many. */
static void test_stalled_reader(void **state)
{
    char line[PIPE_BUF + 1];
    unsigned long written = 0, dropped;
    const char *field;

    (void)state;
    log_init(LOG_INFO, LOG_LOGFMT);
    for (int i = 0; i < 1000; i++)
        log_event(LOG_INFO, "unread", NULL, 0);
    while (captured(line) > 0)
        written++;
    assert_in_range(written, 1, 999);
    log_event(LOG_INFO, "read", NULL, 0);
    captured(line);
    field = strstr(line, " event=read dropped=");
    assert_non_null(field);
    dropped = strtoul(strrchr(field, '=') + 1, NULL, 10);
    assert_int_equal(written + dropped, 1000);
    log_event(LOG_INFO, "read", NULL, 0);
    captured(line);
    assert_null(strstr(line, "dropped"));
}

static void test_clocks(void **state)
{
    uint64_t mono_ns = clock_mono_ns(), wall_us = clock_wall_us();
    struct timespec instant = clock_timespec(UINT64_C(3000000004));

    (void)state;
    assert_true(clock_mono_ns() >= mono_ns);
    assert_true(wall_us > UINT64_C(1600000000) * US_PER_SECOND);
    assert_int_equal(instant.tv_sec, 3);
    assert_int_equal(instant.tv_nsec, 4);
    instant = clock_timespec(UINT64_MAX);
    assert_true(instant.tv_sec > 500L * 365 * 24 * 3600);
    assert_true(instant.tv_nsec < 1000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_logfmt_line, capture_begin,
                                        capture_end),
        cmocka_unit_test_setup_teardown(test_json_line, capture_begin,
                                        capture_end),
        cmocka_unit_test_setup_teardown(test_levels, capture_begin,
                                        capture_end),
        cmocka_unit_test_setup_teardown(test_every_byte, capture_begin,
                                        capture_end),
        cmocka_unit_test(test_every_pair_is_text_or_escaped),
        cmocka_unit_test(test_utf8_limits),
        cmocka_unit_test_setup_teardown(test_cut_logfmt, capture_begin,
                                        capture_end),
        cmocka_unit_test_setup_teardown(test_cut_json, capture_begin,
                                        capture_end),
        cmocka_unit_test_setup_teardown(test_cut_in_each_field, capture_begin,
                                        capture_end),
        cmocka_unit_test_setup_teardown(test_random_bytes, capture_begin,
                                        capture_end),
        cmocka_unit_test_setup_teardown(test_failed_write_is_ignored,
                                        capture_begin, capture_end),
        cmocka_unit_test_setup_teardown(test_stalled_reader, capture_begin,
                                        capture_end),
        cmocka_unit_test(test_escape_string),
        cmocka_unit_test(test_clocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

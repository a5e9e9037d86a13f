/*
 * Log lines (log.h). A line is built in a buffer on the stack and written with
 * one write(2). The fixed parts of a field are put whole or not at all, a text
 * is put character by character, and the bytes that close the line are kept
 * free from the start: so a line is well-formed wherever it has to end. No
 * allocation, no buffering between lines; one lock, around poll and write.
 */
#include "common/base/log.h"

#include "common/base/builder.h"
#include "common/base/clock.h"
#include "common/base/escape.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The closing quote of the last text, the brace and the line feed. */
#define CLOSING_BYTES 3

struct line {
    enum log_format format;
    bool full; /* something did not fit: nothing is put after it */
    size_t used;
    char bytes[PIPE_BUF];
};

const char *const log_level_names[LOG_LEVELS] = {
    [LOG_ERROR] = "error",
    [LOG_WARN] = "warn",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};

const char *const log_format_names[LOG_FORMATS] = {
    [LOG_LOGFMT] = "logfmt",
    [LOG_JSON] = "json",
};

/* Written by log_init before the first thread starts, read by all. */
static enum log_level log_level_most = LOG_INFO;
static enum log_format log_line_format = LOG_LOGFMT;

/* A closing quote may have gone beyond what is there for the rest. */
static size_t line_room(const struct line *line)
{
    size_t end = sizeof(line->bytes) - CLOSING_BYTES;

    return line->full || line->used > end ? 0 : end - line->used;
}

/* Puts all of it and returns true, or nothing. */
__attribute__((format(printf, 2, 3))) static bool
line_print(struct line *line, const char *format, ...)
{
    size_t room = line_room(line);
    va_list arguments;
    int length;

    va_start(arguments, format);
    /* One byte more for the terminator: it falls on the closing bytes. */
    length = vsnprintf(line->bytes + line->used, room + 1, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length > room)
        line->full = true;
    else
        line->used += (size_t)length;
    return !line->full;
}

/* Puts as many whole characters as there is room for. */
static void line_put_escaped(struct line *line, const char *text, size_t length)
{
    enum escape_style style =
        line->format == LOG_JSON ? ESCAPE_JSON : ESCAPE_LOGFMT;

    while (length > 0) {
        struct escape next = escape_next(style, text, length);

        if (next.length > line_room(line)) {
            line->full = true;
            return;
        }
        memcpy(line->bytes + line->used, next.bytes, next.length);
        line->used += next.length;
        text += next.taken;
        length -= next.taken;
    }
}

/* Puts one of the bytes that were kept free. */
static void line_put_closing(struct line *line, char closing)
{
    line->bytes[line->used++] = closing;
}

/* logfmt leaves the quotes out where a reader splitting at spaces and at the
 * first '=' finds the same value without them. */
static bool needs_quotes(const char *text, size_t length)
{
    if (length == 0)
        return true;
    while (length > 0) {
        struct escape next = escape_next(ESCAPE_LOGFMT, text, length);

        if (next.length != next.taken || *text == ' ' || *text == '=')
            return true;
        text += next.taken;
        length -= next.taken;
    }
    return false;
}

static void put_text(struct line *line, const char *key, const char *text,
                     size_t length)
{
    bool json = line->format == LOG_JSON;
    /* A value that will be cut gets quotes: `key=` alone would be no value. */
    bool fits = strlen(" =") + strlen(key) + length <= line_room(line);
    bool quoted = json || !fits || needs_quotes(text, length);

    if (!line_print(line, json ? ",\"%s\":%s" : " %s=%s", key,
                    quoted ? "\"" : ""))
        return;
    line_put_escaped(line, text, length);
    if (quoted)
        line_put_closing(line, '"');
}

static void put_number(struct line *line, const char *key, uint64_t number)
{
    bool json = line->format == LOG_JSON;

    line_print(line, json ? ",\"%s\":%" PRIu64 : " %s=%" PRIu64, key, number);
}

static void put_seconds(struct line *line, const char *key, uint64_t us)
{
    bool json = line->format == LOG_JSON;

    line_print(line,
               json ? ",\"%s\":%" PRIu64 ".%06" PRIu64
                    : " %s=%" PRIu64 ".%06" PRIu64,
               key, us / US_PER_SECOND, us % US_PER_SECOND);
}

static void put_field(struct line *line, const struct log_field *field)
{
    switch (field->kind) {
    case LOG_TEXT:
        put_text(line, field->key, field->text, field->length);
        break;
    case LOG_NUMBER:
        put_number(line, field->key, field->number);
        break;
    case LOG_SECONDS:
        put_seconds(line, field->key, field->number);
        break;
    }
}

static void put_time(struct line *line)
{
    bool json = line->format == LOG_JSON;
    struct builder time = {0};

    build_time(&time, clock_wall_us());
    line_print(line, json ? "{\"time\":\"%.*s\"" : "time=%.*s",
               (int)time.length, time.bytes);
}

/*
 * Whether the line was written, or need not be: a reader that has stalled must
 * not stop the chat. poll(2) calls a pipe writable if a line fits; the lock
 * keeps that true until it is written. Nothing is written when a signal
 * interrupts: at most PIPE_BUF bytes go to a pipe whole or not at all, see
 * pipe(7).
 */
static bool line_write(const struct line *line)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct pollfd error = {.fd = STDERR_FILENO, .events = POLLOUT};
    bool writable;
    ssize_t written;

    pthread_mutex_lock(&lock);
    writable = poll(&error, 1, 0) == 1;
    do
        written = writable ? write(STDERR_FILENO, line->bytes, line->used) : 0;
    while (written < 0 && errno == EINTR);
    pthread_mutex_unlock(&lock);
    return writable;
}

void log_init(enum log_level most, enum log_format format)
{
    log_level_most = most;
    log_line_format = format;
}

void log_event(enum log_level level, const char *event,
               const struct log_field *fields, size_t count)
{
    static _Atomic uint64_t dropped; /* lines, since the last one written */
    struct line line;
    uint64_t lost;

    if (level > log_level_most)
        return;
    lost = atomic_exchange(&dropped, 0);
    line.format = log_line_format;
    line.full = false;
    line.used = 0;
    put_time(&line);
    put_text(&line, "level", log_level_names[level],
             strlen(log_level_names[level]));
    put_text(&line, "event", event, strlen(event));
    for (size_t i = 0; i < count; i++)
        put_field(&line, &fields[i]);
    if (lost > 0)
        put_number(&line, "dropped", lost);
    if (line.format == LOG_JSON)
        line_put_closing(&line, '}');
    line_put_closing(&line, '\n');
    if (!line_write(&line))
        atomic_fetch_add(&dropped, lost + 1);
}

/*
 * Log lines: one event a line, as logfmt or JSON, on standard error.
 *
 * An event is a name and a list of fields. What a peer sent may stand in a
 * field: it is escaped, so that no client can forge a line or drive the
 * terminal of who reads the log. The core (buffer, wire, chat) never calls
 * log_event; it is handed a `log_fn` and so does no I/O of its own.
 */
#ifndef RINGCHAT_BASE_LOG_H
#define RINGCHAT_BASE_LOG_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_LOGFMT, LOG_JSON };
#define LOG_LEVELS 4
#define LOG_FORMATS 2

/* The words for them, in log lines and in options. */
extern const char *const log_level_names[LOG_LEVELS];
extern const char *const log_format_names[LOG_FORMATS];

enum log_kind { LOG_TEXT, LOG_NUMBER, LOG_SECONDS };

/* One key and its value; `key` is a literal, `text` is borrowed. */
struct log_field {
    const char *key;
    enum log_kind kind;
    const char *text; /* LOG_TEXT: `length` bytes, any content */
    size_t length;
    uint64_t number; /* LOG_NUMBER: as it is; LOG_SECONDS: microseconds */
};

/* What the core is given to tell what happened. */
typedef void log_fn(enum log_level level, const char *event,
                    const struct log_field *fields, size_t count);

static inline struct log_field log_text(const char *key, const char *text,
                                        size_t length)
{
    return (struct log_field){
        .key = key, .kind = LOG_TEXT, .text = text, .length = length};
}

static inline struct log_field log_string(const char *key, const char *string)
{
    return log_text(key, string, strlen(string));
}

static inline struct log_field log_number(const char *key, uint64_t number)
{
    return (struct log_field){.key = key, .kind = LOG_NUMBER, .number = number};
}

/* A duration, printed in seconds with six decimals. */
static inline struct log_field log_seconds(const char *key,
                                           uint64_t microseconds)
{
    return (struct log_field){
        .key = key, .kind = LOG_SECONDS, .number = microseconds};
}

/* Sets what is written and how; before it, logfmt from LOG_INFO up. Call it
 * before the first thread starts. */
void log_init(enum log_level most, enum log_format format);

/*
 * Writes one line with one write(2), so that lines of several threads do not
 * mix (write to a pipe is atomic up to PIPE_BUF, see pipe(7); a longer line is
 * cut to fit). Levels above the one set are not written. A failed write is
 * ignored, and when the reader of a pipe has stalled the line is dropped: the
 * next one that is written says how many were, as `dropped`. Neither a full
 * disk nor a slow reader must stop the chat.
 */
log_fn log_event;

#endif

/*
 * Escaping: bytes that a stranger chose, made fit to stand between quotes in a
 * log line or to be shown on a terminal.
 *
 * Valid UTF-8 text passes as it is. Quotes, backslashes, control characters
 * (U+0000-001F, U+007F, and U+0080-009F, which terminals obey as well) and
 * bytes that are not UTF-8 are escaped. One character at a time, so that the
 * caller can stop between two and never cuts one. Pure functions of bytes: no
 * I/O, no allocation, no state.
 */
#ifndef RINGCHAT_BASE_ESCAPE_H
#define RINGCHAT_BASE_ESCAPE_H

#include <stddef.h>

enum escape_style {
    ESCAPE_LOGFMT, /* \" \\ \n \t, \xNN for each byte of anything else */
    ESCAPE_JSON,   /* RFC 8259: \" \\ \u00NN; not UTF-8: \ufffd a byte */
};

/* The longest escape of one character: a C1 control as \xc2\x85. */
#define ESCAPE_BYTES_MAX 8

/* One character, escaped. It had to be changed if `length` is not `taken`. */
struct escape {
    size_t taken;  /* bytes of the text that it stands for */
    size_t length; /* bytes that stand for them */
    char bytes[ESCAPE_BYTES_MAX + 1];
};

/* Takes the first character of `text`, which has at least one byte. */
struct escape escape_next(enum escape_style, const char *text, size_t length);

/* As much of `string` in the logfmt style as fits into `size` bytes, always
 * terminated. */
void escape_string(const char *string, char *out, size_t size);

#endif

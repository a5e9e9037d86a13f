/*
 * What is a character and what has to be escaped (escape.h). The only place
 * that decides which bytes of a stranger reach an operator's terminal.
 */
#include "common/base/escape.h"

#include "common/base/utf8.h"

#include <stdio.h>
#include <string.h>

static struct escape escape_verbatim(const unsigned char *text, size_t length)
{
    struct escape escape = {.taken = length, .length = length};

    memcpy(escape.bytes, text, length);
    return escape;
}

/* A backslash and one more character stand for one byte. */
static struct escape escape_short(char letter)
{
    return (struct escape){.taken = 1, .length = 2, .bytes = {'\\', letter}};
}

/* Each of the one or two bytes as \xNN. */
static struct escape escape_hex(const unsigned char *text, size_t length)
{
    struct escape escape = {.taken = length};

    for (size_t i = 0; i < length; i++)
        escape.length += (size_t)snprintf(escape.bytes + escape.length,
                                          sizeof(escape.bytes) - escape.length,
                                          "\\x%02x", text[i]);
    return escape;
}

static struct escape escape_unicode(unsigned code, size_t taken)
{
    struct escape escape = {.taken = taken};

    escape.length = (size_t)snprintf(escape.bytes, sizeof(escape.bytes),
                                     "\\u%04x", code & 0xffff);
    return escape;
}

static struct escape escape_control(enum escape_style style,
                                    const unsigned char *text, size_t length)
{
    /* U+0080-009F is c2 80-9f: the last byte is the code there too. */
    if (style == ESCAPE_JSON)
        return escape_unicode(text[length - 1], length);
    if (text[0] == '\n')
        return escape_short('n');
    if (text[0] == '\t')
        return escape_short('t');
    return escape_hex(text, length);
}

struct escape escape_next(enum escape_style style, const char *text,
                          size_t length)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t taken = utf8_length(bytes, length);

    /* One byte at a time, so that a valid character after it is found. */
    if (taken == 0)
        return style == ESCAPE_JSON ? escape_unicode(0xfffd, 1)
                                    : escape_hex(bytes, 1);
    if (utf8_is_control(bytes, taken))
        return escape_control(style, bytes, taken);
    if (bytes[0] == '"' || bytes[0] == '\\')
        return escape_short(text[0]);
    return escape_verbatim(bytes, taken);
}

void escape_string(const char *string, char *out, size_t size)
{
    size_t length = strlen(string), used = 0;

    while (length > 0) {
        struct escape next = escape_next(ESCAPE_LOGFMT, string, length);

        if (used + next.length >= size)
            break;
        memcpy(out + used, next.bytes, next.length);
        used += next.length;
        string += next.taken;
        length -= next.taken;
    }
    out[used] = '\0';
}

/*
 * Lines (lines.h). One that came whole is not copied.
 */
#include "client/lines.h"

#include "common/wire/clean.h"

#include <errno.h>
#include <stdlib.h>

int lines_init(struct lines *lines, size_t bytes_max)
{
    /* And a CR, of which it is not known yet whether it is the end's. */
    *lines =
        (struct lines){.begun = malloc(bytes_max + 1), .bytes_max = bytes_max};
    return lines->begun ? 0 : -ENOMEM;
}

void lines_release(struct lines *lines)
{
    free(lines->begun);
}

/* False: it would be too long. */
static bool keep(struct lines *lines, struct slice part)
{
    if (part.length > lines->bytes_max + 1 - lines->length)
        return false;
    if (part.length > 0)
        memcpy(lines->begun + lines->length, part.bytes, part.length);
    lines->length += part.length;
    return true;
}

static enum line_fault judge(const struct lines *lines, struct slice line)
{
    if (line.length > lines->bytes_max)
        return LINE_TOO_LONG;
    if (line.length == 0)
        return LINE_EMPTY;
    return text_is_clean(line.bytes, line.length) ? LINE_GOOD : LINE_NOT_TEXT;
}

/* It is whole, but for the CR that may be its end's. */
static bool finish(struct lines *lines, struct slice whole, struct slice *line,
                   enum line_fault *fault)
{
    if (whole.length > 0 && whole.bytes[whole.length - 1] == '\r')
        whole.length--;
    lines->number++;
    lines->length = 0;
    *line = whole;
    *fault = judge(lines, whole);
    return true;
}

static bool too_long(struct lines *lines, struct slice *line,
                     enum line_fault *fault)
{
    lines->number++;
    lines->length = 0;
    *line = (struct slice){lines->begun, 0};
    *fault = LINE_TOO_LONG;
    return true;
}

bool lines_next(struct lines *lines, struct slice *from, struct slice *line,
                enum line_fault *fault)
{
    const char *end = memchr(from->bytes, '\n', from->length);
    struct slice part = {from->bytes, from->length};

    if (end)
        part.length = (size_t)(end - from->bytes);
    from->bytes += part.length + (end ? 1 : 0);
    from->length -= part.length + (end ? 1 : 0);
    if (end && lines->length == 0)
        return finish(lines, part, line, fault);
    if (!keep(lines, part))
        return too_long(lines, line, fault);
    if (!end)
        return false;
    part = (struct slice){lines->begun, lines->length};
    return finish(lines, part, line, fault);
}

bool lines_end(struct lines *lines, struct slice *line, enum line_fault *fault)
{
    struct slice rest = {lines->begun, lines->length};

    return rest.length > 0 && finish(lines, rest, line, fault);
}

/*
 * Putting lines together. A line ends in LF, a CR before it is dropped. A line
 * that arrives whole stays where it is; of one that does not, the tail keeps
 * what has come. One that is too long is reported once and skipped to its end.
 */
#include "common/wire/line.h"

#include "common/wire/clean.h"
#include "common/wire/internal.h"
#include "common/wire/tail.h"

#include <string.h>

static struct slice without_cr(const unsigned char *bytes, size_t length)
{
    if (length > 0 && bytes[length - 1] == '\r')
        length--;
    return (struct slice){(const char *)bytes, length};
}

/* `bytes` are what there is of the line after the tail. */
static enum wire_outcome too_long(const unsigned char *bytes, size_t length,
                                  struct slice *line, enum error_code *error)
{
    *line = (struct slice){(const char *)bytes, length};
    return wire_invalid(ERROR_LINE_TOO_LONG, error);
}

/* The end of the line has not come: its beginning waits in the tail. `most` is
 * a whole line, and a CR that may belong to its end. */
static enum wire_outcome keep_tail(struct wire *wire, struct decoder *decoder,
                                   size_t most, const unsigned char *bytes,
                                   size_t length, struct slice *line,
                                   enum error_code *error)
{
    size_t whole = tail_length(decoder) + length;

    if (length == 0)
        return WIRE_PARTIAL;
    if (whole > most || (whole == most && bytes[length - 1] != '\r')) {
        decoder->skipping = true;
        return too_long(bytes, length, line, error);
    }
    if (!tail_append(decoder, wire->budget, bytes, length, most))
        return wire_invalid(ERROR_INTERNAL, error);
    return WIRE_PARTIAL;
}

/* `length` bytes and the tail before them are a line. */
static enum wire_outcome finish_line(struct wire *wire, struct decoder *decoder,
                                     size_t most, const unsigned char *bytes,
                                     size_t length, struct slice *line,
                                     enum error_code *error)
{
    if (tail_length(decoder) + length > most)
        return too_long(bytes, length, line, error);
    *line = without_cr(bytes, length);
    if (tail_length(decoder) > 0) {
        if (!tail_append(decoder, wire->budget, bytes, length, most))
            return wire_invalid(ERROR_INTERNAL, error);
        decoder->spent = true;
        *line = without_cr(decoder->tail->bytes, decoder->tail->length);
        length = 0;
    }
    if (line->length == most)
        return too_long(bytes, length, line, error);
    return WIRE_READY;
}

/* Drops the rest of a line that was too long; false if its end is not here. */
static bool skip_line(struct decoder *decoder, const unsigned char **bytes,
                      size_t *length)
{
    const unsigned char *newline = memchr(*bytes, '\n', *length);
    size_t gone = newline ? (size_t)(newline - *bytes) + 1 : *length;

    *bytes += gone;
    *length -= gone;
    decoder->skipping = !newline;
    return newline;
}

enum wire_outcome line_assemble(struct wire *wire, struct decoder *decoder,
                                size_t bytes_max, const unsigned char **bytes,
                                size_t *length, struct slice *line,
                                enum error_code *error)
{
    const unsigned char *start, *newline;
    size_t here, taken;

    if (*length == 0)
        return WIRE_PARTIAL;
    if (!decoder->begun && !text_can_begin(**bytes))
        return wire_invalid(ERROR_WRONG_PROTOCOL, error);
    decoder->begun = true;
    if (decoder->skipping && !skip_line(decoder, bytes, length))
        return WIRE_PARTIAL;
    if (*length == 0)
        return WIRE_PARTIAL;
    start = *bytes;
    newline = memchr(start, '\n', *length);
    here = newline ? (size_t)(newline - start) : *length;
    taken = newline ? here + 1 : here;
    *bytes += taken;
    *length -= taken;
    if (!newline)
        return keep_tail(wire, decoder, bytes_max + 1, start, here, line,
                         error);
    return finish_line(wire, decoder, bytes_max + 1, start, here, line, error);
}

enum wire_outcome line_assemble_end(struct decoder *decoder, size_t bytes_max,
                                    struct slice *line, enum error_code *error)
{
    if (!decoder->tail)
        return WIRE_PARTIAL;
    *line = without_cr(decoder->tail->bytes, decoder->tail->length);
    decoder->spent = true;
    if (line->length > bytes_max)
        return wire_invalid(ERROR_LINE_TOO_LONG, error);
    return WIRE_READY;
}

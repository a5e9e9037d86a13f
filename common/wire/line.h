/*
 * Lines: how those of the `text` dialect are put together from a stream, in
 * either direction.
 */
#ifndef RINGCHAT_WIRE_LINE_H
#define RINGCHAT_WIRE_LINE_H

#include "common/wire/wire.h"

/*
 * Takes the rest of the next line from `*bytes`. READY: `*line` is whole,
 * without its LF or CR LF, where it arrived or in the tail. INVALID:
 * WRONG_PROTOCOL if the stream's first byte cannot begin a text; INTERNAL
 * without memory; LINE_TOO_LONG once for a line of more than `bytes_max` bytes,
 * as soon as that is certain: then its beginning is in the tail, which is the
 * caller's to release, and `*line` what came after; the rest will be skipped.
 */
enum wire_outcome line_assemble(struct wire *, struct decoder *,
                                size_t bytes_max, const unsigned char **bytes,
                                size_t *length, struct slice *line,
                                enum error_code *);

/* The stream has ended: what is in the tail is a last line. */
enum wire_outcome line_assemble_end(struct decoder *, size_t bytes_max,
                                    struct slice *line, enum error_code *);

#endif

/*
 * The choice of dialect and encoding. Each dialect has a file of its own.
 */
#include "common/wire/wire.h"

#include "common/wire/tail.h"
#include "common/wire/text.h"

#include <assert.h>
#include <string.h>

struct slice slice_of(const char *string)
{
    return (struct slice){string, strlen(string)};
}

void decoder_init(struct decoder *decoder, enum dialect dialect)
{
    *decoder = (struct decoder){.dialect = dialect};
}

void decoder_release(struct decoder *decoder, struct budget *budget)
{
    tail_release(decoder, budget);
}

enum wire_outcome wire_decode(struct decoder *decoder, struct budget *budget,
                              const struct wire_limits *limits,
                              const unsigned char **bytes, size_t *length,
                              struct request *request, enum error_code *error)
{
    if (decoder->spent) {
        tail_release(decoder, budget);
        decoder->spent = false;
    }
    switch (decoder->dialect) {
    case DIALECT_TEXT:
        break;
    }
    return text_decode(decoder, budget, limits, bytes, length, request, error);
}

enum wire_outcome wire_decode_end(struct decoder *decoder,
                                  const struct wire_limits *limits,
                                  struct request *request,
                                  enum error_code *error)
{
    if (decoder->spent)
        return WIRE_PARTIAL;
    switch (decoder->dialect) {
    case DIALECT_TEXT:
        break;
    }
    return text_decode_end(decoder, limits, request, error);
}

size_t wire_need(const struct decoder *decoder)
{
    switch (decoder->dialect) {
    case DIALECT_TEXT:
        break;
    }
    return 1;
}

size_t wire_size(enum encoding encoding, const struct event *event)
{
    assert(encoding == ENCODING_TEXT);
    (void)encoding;
    return text_size(event);
}

unsigned char *wire_encode(enum encoding encoding, const struct event *event,
                           unsigned char *out)
{
    assert(encoding == ENCODING_TEXT);
    (void)encoding;
    return text_encode(event, out);
}

enum encoding dialect_encoding(enum dialect dialect)
{
    switch (dialect) {
    case DIALECT_TEXT:
        break;
    }
    return ENCODING_TEXT;
}

bool dialect_named(const char *scheme, enum dialect *dialect)
{
    if (strcmp(scheme, "text") != 0)
        return false;
    *dialect = DIALECT_TEXT;
    return true;
}

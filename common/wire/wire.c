/*
 * The choice of dialect and encoding. Each dialect has a file of its own.
 */
#include "common/wire/wire.h"

#include "common/wire/tail.h"
#include "common/wire/text.h"

#include <stdlib.h>
#include <string.h>

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
        return text_decode(decoder, budget, limits, bytes, length, request,
                           error);
    }
    abort();
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
        return text_decode_end(decoder, limits, request, error);
    }
    abort();
}

size_t wire_need(const struct decoder *decoder)
{
    switch (decoder->dialect) {
    case DIALECT_TEXT:
        return 1;
    }
    abort();
}

size_t wire_size(enum encoding encoding, const struct event *event)
{
    switch (encoding) {
    case ENCODING_TEXT:
        return text_size(event);
    case ENCODINGS:
        break;
    }
    abort();
}

unsigned char *wire_encode(enum encoding encoding, const struct event *event,
                           unsigned char *out)
{
    switch (encoding) {
    case ENCODING_TEXT:
        return text_encode(event, out);
    case ENCODINGS:
        break;
    }
    abort();
}

enum encoding dialect_encoding(enum dialect dialect)
{
    switch (dialect) {
    case DIALECT_TEXT:
        return ENCODING_TEXT;
    }
    abort();
}

bool dialect_named(const char *scheme, enum dialect *dialect)
{
    if (strcmp(scheme, "text") != 0)
        return false;
    *dialect = DIALECT_TEXT;
    return true;
}

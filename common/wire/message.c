/*
 * Putting messages together. What arrives whole stays where it is; of what does
 * not, the tail keeps as much as has come, and never a byte of the next one.
 */
#include "common/wire/message.h"

#include "common/wire/frame.h"
#include "common/wire/internal.h"
#include "common/wire/secure.h"
#include "common/wire/tail.h"

#include <assert.h>

static size_t head_bytes(const struct decoder *decoder)
{
    return decoder->dialect == DIALECT_FRAME ? FRAME_HEAD_BYTES
                                             : SECURE_HEAD_BYTES;
}

/* The length of the message that begins with this whole head. */
static size_t whole_bytes(const struct decoder *decoder,
                          const unsigned char *head)
{
    return decoder->dialect == DIALECT_FRAME ? frame_bytes(head)
                                             : secure_bytes(head);
}

/* What the first `length` bytes of a head can be refused for. */
static enum error_code check_head(const struct wire *wire,
                                  const struct decoder *decoder,
                                  const unsigned char *head, size_t length)
{
    if (length > head_bytes(decoder))
        length = head_bytes(decoder);
    return decoder->dialect == DIALECT_FRAME
               ? frame_check_head(wire, decoder, head, length)
               : secure_check_head(wire, decoder, head, length);
}

static size_t bytes_max(const struct wire *wire, const struct decoder *decoder)
{
    return decoder->dialect == DIALECT_FRAME ? frame_bytes_max(wire)
                                             : secure_bytes_max(wire, decoder);
}

/* Moves what the tail lacks of `whole` bytes there. */
static bool tail_fill(struct wire *wire, struct decoder *decoder, size_t whole,
                      const unsigned char **bytes, size_t *length)
{
    size_t taken = whole - tail_length(decoder);

    if (taken > *length)
        taken = *length;
    if (taken == 0)
        return true;
    if (!tail_append(decoder, wire->budget, *bytes, taken,
                     bytes_max(wire, decoder)))
        return false;
    *bytes += taken;
    *length -= taken;
    return true;
}

/* The message is in the tail, or will be. */
static enum wire_outcome assemble_in_tail(struct wire *wire,
                                          struct decoder *decoder,
                                          const unsigned char **bytes,
                                          size_t *length, struct slice *message,
                                          enum error_code *error)
{
    size_t head = head_bytes(decoder);
    size_t whole = head;
    enum error_code refusal;

    if (tail_length(decoder) < head) {
        if (!tail_fill(wire, decoder, head, bytes, length))
            return wire_invalid(ERROR_INTERNAL, error);
        refusal = check_head(wire, decoder, decoder->tail->bytes,
                             tail_length(decoder));
        if (refusal != ERROR_NONE)
            return wire_invalid(refusal, error);
    }
    if (tail_length(decoder) >= head) {
        whole = whole_bytes(decoder, decoder->tail->bytes);
        if (!tail_fill(wire, decoder, whole, bytes, length))
            return wire_invalid(ERROR_INTERNAL, error);
    }
    if (tail_length(decoder) < whole)
        return WIRE_PARTIAL;
    decoder->spent = true;
    *message = (struct slice){(const char *)decoder->tail->bytes, whole};
    return WIRE_READY;
}

enum wire_outcome message_assemble(struct wire *wire, struct decoder *decoder,
                                   const unsigned char **bytes, size_t *length,
                                   struct slice *message,
                                   enum error_code *error)
{
    const unsigned char *start = *bytes;
    enum error_code refusal;
    size_t whole;

    if (*length == 0)
        return WIRE_PARTIAL;
    if (tail_length(decoder) > 0)
        return assemble_in_tail(wire, decoder, bytes, length, message, error);
    refusal = check_head(wire, decoder, start, *length);
    if (refusal != ERROR_NONE)
        return wire_invalid(refusal, error);
    if (*length < head_bytes(decoder) || *length < whole_bytes(decoder, start))
        return assemble_in_tail(wire, decoder, bytes, length, message, error);
    whole = whole_bytes(decoder, start);
    *bytes += whole;
    *length -= whole;
    *message = (struct slice){(const char *)start, whole};
    return WIRE_READY;
}

bool message_can_begin(const struct decoder *decoder, unsigned type)
{
    if (decoder->heard)
        return type == TYPE_SESSION_INIT || type == TYPE_ERROR;
    return type == TYPE_SESSION_ACK;
}

size_t message_need(const struct decoder *decoder)
{
    size_t head = head_bytes(decoder);

    if (decoder->spent || tail_length(decoder) == 0)
        return head;
    if (tail_length(decoder) < head)
        return head - tail_length(decoder);
    return whole_bytes(decoder, decoder->tail->bytes) - tail_length(decoder);
}

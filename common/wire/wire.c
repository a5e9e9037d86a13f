/*
 * The choice of dialect and encoding, each of which has files of its own, and
 * what the dialects agree on.
 */
#include "common/wire/wire.h"

#include "common/base/limits.h"
#include "common/wire/clean.h"
#include "common/wire/frame.h"
#include "common/wire/headers.h"
#include "common/wire/internal.h"
#include "common/wire/keys.h"
#include "common/wire/message.h"
#include "common/wire/secure.h"
#include "common/wire/tail.h"
#include "common/wire/text.h"

#include <stdlib.h>
#include <string.h>

/* ---- What all peers share ----------------------------------------------- */

void wire_destroy(struct wire *wire)
{
    if (!wire)
        return;
    headers_destroy(wire->headers);
    keys_destroy(wire->keys);
    free(wire);
}

struct wire *wire_create(const struct wire_config *config,
                         struct budget *budget)
{
    struct wire *wire = calloc(1, sizeof(*wire));

    if (!wire)
        return NULL;
    wire->config = *config;
    wire->config.key = NULL;
    wire->budget = budget;
    if (config->key_length == 0)
        return wire;
    wire->headers = headers_create();
    wire->keys = keys_create(config->key, config->key_length, config->boot,
                             config->number);
    if (wire->headers && wire->keys)
        return wire;
    wire_destroy(wire);
    return NULL;
}

/* ---- What the dialects agree on ----------------------------------------- */

bool content_type_is_valid(struct slice type)
{
    if (type.length > CONTENT_TYPE_BYTES_MAX)
        return false;
    for (size_t i = 0; i < type.length; i++) {
        if (type.bytes[i] < ' ' || type.bytes[i] > '~')
            return false;
    }
    return true;
}

bool content_is_text(struct slice content_type)
{
    static const char text[] = "text/";

    return content_type.length == 0 ||
           (content_type.length >= sizeof(text) - 1 &&
            strncasecmp(content_type.bytes, text, sizeof(text) - 1) == 0);
}

struct slice event_content_type(const struct event *event)
{
    return event->content_type.length > 0 ? event->content_type
                                          : SLICE("text/plain; charset=utf-8");
}

enum error_code request_check_text(const struct request *request)
{
    if (request->kind == REQUEST_MESSAGE && request->text.length == 0)
        return ERROR_USAGE;
    if (content_is_text(request->content_type) &&
        !text_is_clean(request->text.bytes, request->text.length))
        return ERROR_BAD_TEXT;
    return ERROR_NONE;
}

enum error_code type_refusal(unsigned type)
{
    switch (type) {
    case TYPE_SESSION_INIT:
    case TYPE_ERROR:
    case TYPE_REPLY:
    case TYPE_NOTICE:
    case TYPE_ACK:
    case TYPE_WELCOME:
        return ERROR_BAD_FRAME;
    default:
        return ERROR_UNKNOWN_TYPE;
    }
}

enum message_type event_type(const struct event *event)
{
    switch (event->kind) {
    case EVENT_MESSAGE:
    case EVENT_PRIVATE:
        return TYPE_MESSAGE;
    case EVENT_JOINED:
    case EVENT_LEFT:
    case EVENT_NICK:
    case EVENT_TOPIC:
    case EVENT_LAGGED:
        return TYPE_NOTICE;
    case EVENT_REPLY:
    case EVENT_ECHO:
    case EVENT_TOPIC_REPLY:
        return TYPE_REPLY;
    case EVENT_ERROR:
        return TYPE_ERROR;
    case EVENT_WELCOME:
        return TYPE_WELCOME;
    case EVENT_SESSION_INIT:
        return TYPE_SESSION_INIT;
    case EVENT_PING:
    case EVENT_PONG:
        return TYPE_HEARTBEAT;
    case EVENT_ACK:
        return TYPE_ACK;
    case EVENT_DISCONNECT:
        return TYPE_DISCONNECT;
    case EVENT_OTHER:
        break;
    }
    abort();
}

unsigned event_notice_kind(const struct event *event)
{
    switch (event->kind) {
    case EVENT_JOINED:
        return 1;
    case EVENT_LEFT:
        return 2;
    case EVENT_NICK:
        return 3;
    case EVENT_TOPIC:
        return 4;
    case EVENT_LAGGED:
        return 5;
    default:
        abort();
    }
}

/* ---- From the peer ------------------------------------------------------ */

void decoder_init(struct decoder *decoder, enum dialect dialect)
{
    *decoder = (struct decoder){.dialect = dialect};
}

void decoder_release(struct decoder *decoder, struct budget *budget)
{
    tail_release(decoder, budget);
}

void decoder_welcome(struct decoder *decoder)
{
    decoder->greeted = true;
}

bool decoder_is_within(const struct decoder *decoder)
{
    return decoder->skipping || (decoder->tail && !decoder->spent);
}

enum wire_outcome wire_decode(struct wire *wire, struct decoder *decoder,
                              struct wire_peer *from,
                              const unsigned char **bytes, size_t *length,
                              struct request *request, enum error_code *error)
{
    tail_drop_spent(decoder, wire->budget);
    *request = (struct request){.kind = REQUEST_NOTHING};
    switch (decoder->dialect) {
    case DIALECT_TEXT:
        return text_decode(wire, decoder, bytes, length, request, error);
    case DIALECT_FRAME:
        return frame_decode(wire, decoder, bytes, length, request, error);
    case DIALECT_SECURE:
        return secure_decode(wire, decoder, from, bytes, length, request,
                             error);
    }
    abort();
}

/* Only a line may end with the stream. */
enum wire_outcome wire_decode_end(struct wire *wire, struct decoder *decoder,
                                  struct request *request,
                                  enum error_code *error)
{
    *request = (struct request){.kind = REQUEST_NOTHING};
    if (decoder->spent || decoder->dialect != DIALECT_TEXT)
        return WIRE_PARTIAL;
    return text_decode_end(wire, decoder, request, error);
}

size_t wire_need(const struct decoder *decoder)
{
    return decoder->dialect == DIALECT_TEXT ? SIZE_MAX : message_need(decoder);
}

/* ---- To the peer -------------------------------------------------------- */

size_t wire_prepare(const struct wire *wire, enum encoding encoding,
                    struct wire_peer *to, const struct event *event,
                    struct outgoing *outgoing)
{
    outgoing->encoding = encoding;
    outgoing->event = event;
    outgoing->to = to;
    outgoing->content.count = 0;
    outgoing->headers.length = 0;
    switch (encoding) {
    case ENCODING_TEXT:
        text_prepare(outgoing);
        break;
    case ENCODING_FRAME:
        frame_prepare(outgoing);
        break;
    case ENCODING_SECURE:
        secure_prepare(wire, outgoing);
        break;
    case ENCODING_SEALED:
        sealed_prepare(wire, outgoing);
        break;
    case ENCODINGS:
        abort();
    }
    return outgoing->size;
}

unsigned char *wire_write(struct wire *wire, const struct outgoing *outgoing,
                          unsigned char *out)
{
    switch (outgoing->encoding) {
    case ENCODING_TEXT:
        return text_write(outgoing, out);
    case ENCODING_FRAME:
        return frame_write(wire, outgoing, out);
    case ENCODING_SECURE:
        return secure_write(wire, outgoing, out);
    case ENCODING_SEALED:
        return sealed_write(wire, outgoing, out);
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
    case DIALECT_FRAME:
        return ENCODING_FRAME;
    case DIALECT_SECURE:
        return ENCODING_SECURE;
    }
    abort();
}

bool dialect_named(const char *scheme, enum dialect *dialect)
{
    static const char *const names[] = {
        [DIALECT_TEXT] = "text",
        [DIALECT_FRAME] = "frame",
        [DIALECT_SECURE] = "secure",
    };

    for (enum dialect d = DIALECT_TEXT; d <= DIALECT_SECURE; d++) {
        if (strcmp(scheme, names[d]) == 0) {
            *dialect = d;
            return true;
        }
    }
    return false;
}

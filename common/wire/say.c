/*
 * Which encoding it is said in.
 */
#include "common/wire/say.h"

#include "common/wire/frame.h"
#include "common/wire/internal.h"
#include "common/wire/secure.h"
#include "common/wire/text.h"

#include <stdlib.h>

enum message_type request_type(const struct request *request)
{
    switch (request->kind) {
    case REQUEST_HELLO:
        return TYPE_SESSION_ACK;
    case REQUEST_PING:
    case REQUEST_PONG:
        return TYPE_HEARTBEAT;
    case REQUEST_MESSAGE:
        return TYPE_MESSAGE;
    case REQUEST_COMMAND:
        return TYPE_COMMAND;
    case REQUEST_DISCONNECT:
        return TYPE_DISCONNECT;
    case REQUEST_NOTHING:
    case REQUEST_TRANSFER:
        break;
    }
    abort();
}

size_t said_prepare(const struct wire *wire, enum encoding encoding,
                    struct wire_peer *from, const struct request *request,
                    struct said *said)
{
    (void)wire;
    said->encoding = encoding;
    said->request = request;
    said->from = from;
    said->content.count = 0;
    said->headers.length = 0;
    switch (encoding) {
    case ENCODING_TEXT:
        text_said_prepare(said);
        break;
    case ENCODING_FRAME:
        frame_said_prepare(said);
        break;
    case ENCODING_SECURE:
        secure_said_prepare(said);
        break;
    case ENCODING_SEALED:
        sealed_said_prepare(said);
        break;
    case ENCODINGS:
        abort();
    }
    return said->size;
}

unsigned char *said_write(struct wire *wire, const struct said *said,
                          unsigned char *out)
{
    switch (said->encoding) {
    case ENCODING_TEXT:
        return text_said_write(said, out);
    case ENCODING_FRAME:
        return frame_said_write(said, out);
    case ENCODING_SECURE:
        return secure_said_write(wire, said, out);
    case ENCODING_SEALED:
        return sealed_said_write(wire, said, out);
    case ENCODINGS:
        break;
    }
    abort();
}

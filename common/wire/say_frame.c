/*
 * Requests as frames for a server.
 */
#include "common/base/limits.h"
#include "common/wire/frame.h"
#include "common/wire/internal.h"
#include "common/wire/pieces.h"
#include "common/wire/reader.h"

#include <assert.h>
#include <stdlib.h>

static struct slice target_mark(const struct request *request)
{
    return request->target == TARGET_NICK ? SLICE("@") : SLICE("");
}

/* The fields of a request's body before its text. */
static size_t fixed_bytes(const struct request *request)
{
    switch (request->kind) {
    case REQUEST_HELLO:
        return 1 + 1 + request->name.length;
    case REQUEST_PING:
    case REQUEST_PONG:
        return HEARTBEAT_BYTES;
    case REQUEST_MESSAGE:
        return 4 + 1 + target_mark(request).length + request->name.length;
    case REQUEST_COMMAND:
        return 4;
    case REQUEST_DISCONNECT:
        return 2;
    case REQUEST_NOTHING:
    case REQUEST_TRANSFER:
        assert(!"frame has no word for it");
    }
    abort();
}

void frame_said_prepare(struct said *frame)
{
    const struct request *request = frame->request;

    assert(content_is_text(request->content_type));
    pieces_add(&frame->content, request->text);
    frame->size =
        FRAME_HEAD_BYTES + fixed_bytes(request) + pieces_size(&frame->content);
}

static unsigned char *put_target(unsigned char *out,
                                 const struct request *request)
{
    struct slice mark = target_mark(request);
    struct slice name = request->name;

    out = store_u8(out, (unsigned)(mark.length + name.length));
    if (mark.length > 0)
        out = mempcpy(out, mark.bytes, mark.length);
    return name.length > 0 ? mempcpy(out, name.bytes, name.length) : out;
}

static unsigned char *put_fixed(unsigned char *out,
                                const struct request *request)
{
    switch (request->kind) {
    case REQUEST_HELLO:
        return put_str8(store_u8(out, PROTOCOL_VERSION), request->name);
    case REQUEST_PING:
        return store_u64(store_u8(out, HEARTBEAT_PING), request->stamp);
    case REQUEST_PONG:
        return store_u64(store_u8(out, HEARTBEAT_PONG), request->stamp);
    case REQUEST_MESSAGE:
        return put_target(store_u32(out, request->id), request);
    case REQUEST_COMMAND:
        return store_u32(out, request->id);
    case REQUEST_DISCONNECT:
        return store_u16(out, 0);
    case REQUEST_NOTHING:
    case REQUEST_TRANSFER:
        break;
    }
    abort();
}

unsigned char *frame_said_write(const struct said *frame, unsigned char *out)
{
    const struct request *request = frame->request;
    unsigned char *body;

    assert(frame->size <= FRAME_HEAD_BYTES + FRAME_BODY_BYTES_MAX);
    out = store_u16(out, request_type(request));
    out = body = store_u16(out, (unsigned)(frame->size - FRAME_HEAD_BYTES));
    out = put_fixed(out, request);
    assert(out == body + fixed_bytes(request));
    return pieces_write(&frame->content, out);
}

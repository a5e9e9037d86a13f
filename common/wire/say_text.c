/*
 * Requests as lines for a server.
 */
#include "common/wire/internal.h"
#include "common/wire/pieces.h"
#include "common/wire/text.h"

#include <assert.h>

static bool begins_with_slash(struct slice text)
{
    return text.length > 0 && text.bytes[0] == '/';
}

static void add_message(struct pieces *pieces, const struct request *request)
{
    assert(request->target != TARGET_ROOM && request->text.length > 0);
    assert(content_is_text(request->content_type));
    if (request->target == TARGET_NICK) {
        pieces_add(pieces, SLICE("/msg "));
        pieces_add(pieces, request->name);
        pieces_add(pieces, SLICE(" "));
    } else if (begins_with_slash(request->text)) {
        pieces_add(pieces, SLICE("/"));
    }
    pieces_add(pieces, request->text);
}

static void pieces_of(const struct request *request, struct pieces *pieces)
{
    switch (request->kind) {
    case REQUEST_NOTHING:
        break;
    case REQUEST_MESSAGE:
        add_message(pieces, request);
        break;
    case REQUEST_COMMAND:
        assert(!begins_with_slash(request->text)); /* that would be a message */
        pieces_add(pieces, SLICE("/"));
        pieces_add(pieces, request->text);
        break;
    case REQUEST_DISCONNECT:
        pieces_add(pieces, SLICE("/quit"));
        break;
    case REQUEST_HELLO:
    case REQUEST_PING:
    case REQUEST_PONG:
    case REQUEST_TRANSFER:
        assert(!"text has no word for it");
    }
    pieces_add(pieces, SLICE("\n"));
}

void text_said_prepare(struct said *line)
{
    pieces_of(line->request, &line->content);
    line->size = pieces_size(&line->content);
}

unsigned char *text_said_write(const struct said *line, unsigned char *out)
{
    return pieces_write(&line->content, out);
}

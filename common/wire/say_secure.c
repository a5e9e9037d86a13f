/*
 * Requests as secure messages for a server, in the clear and sealed.
 */
#include "common/base/bytes.h"
#include "common/wire/compose.h"
#include "common/wire/internal.h"
#include "common/wire/say.h"
#include "common/wire/secure.h"

#include <assert.h>
#include <stdlib.h>

/* ---- Headers ------------------------------------------------------------ */

/* None is a guest's. */
static void put_hello(struct builder *headers, const struct said *said)
{
    struct slice nick = said->request->name;

    if (nick.length > 0)
        put_string(headers, FIELD("nick"), nick);
    if (said->from->sealed)
        put_enc(headers);
}

static void put_message(struct builder *headers, const struct request *request)
{
    put_id(headers, request->id);
    if (request->target == TARGET_ROOM)
        put_string(headers, FIELD("room"), request->name);
    if (request->target == TARGET_NICK)
        put_string(headers, FIELD("to"), request->name);
    if (request->content_type.length > 0)
        put_content_type(headers, request->content_type);
}

static void put_fields(struct builder *headers, const struct said *said)
{
    const struct request *request = said->request;

    switch (request->kind) {
    case REQUEST_HELLO:
        put_hello(headers, said);
        return;
    case REQUEST_PING:
        put_heartbeat(headers, "ping", request->stamp);
        return;
    case REQUEST_PONG:
        put_heartbeat(headers, "pong", request->stamp);
        return;
    case REQUEST_MESSAGE:
        put_message(headers, request);
        return;
    case REQUEST_COMMAND:
        put_id(headers, request->id);
        return;
    case REQUEST_DISCONNECT:
        put_number(headers, FIELD("code"), 0);
        return;
    case REQUEST_NOTHING:
    case REQUEST_TRANSFER:
        assert(!"secure has no word for it");
    }
    abort();
}

/* ---- Messages ----------------------------------------------------------- */

static struct draft draft_of(const struct said *said)
{
    return (struct draft){
        .type = request_type(said->request),
        .headers = &said->headers,
        .content = &said->content,
    };
}

/* With headers that are finished. */
static void add_content(struct said *said)
{
    struct draft draft = draft_of(said);

    pieces_add(&said->content, said->request->text);
    said->size = draft_size(&draft);
}

void secure_said_prepare(struct said *said)
{
    put_session(&said->headers, said->from);
    put_fields(&said->headers, said);
    finish_headers(&said->headers);
    add_content(said);
}

void sealed_said_prepare(struct said *said)
{
    assert(said->request->kind != REQUEST_HELLO); /* it only asks for seals */
    put_session(&said->headers, said->from);
    put_fields(&said->headers, said);
    put_seal(&said->headers);
    finish_headers(&said->headers);
    add_content(said);
    said->size += SEAL_TAG_BYTES;
}

unsigned char *secure_said_write(struct wire *wire, const struct said *said,
                                 unsigned char *out)
{
    struct draft draft = draft_of(said);

    said->from->seq_out++;
    return draft_write(wire, &draft, out);
}

/* The iv is the seq: it is used up, whatever becomes of the message. */
unsigned char *sealed_said_write(struct wire *wire, const struct said *said,
                                 unsigned char *out)
{
    struct draft draft = draft_of(said);
    uint8_t iv[IV_BYTES];

    assert(said->from->keyed); /* who has been greeted seals with its own key */
    store_u64(store_u32(iv, 0), ++said->from->seq_out);
    return draft_write_sealed(wire, &draft, iv, out);
}

/*
 * What the files of the protocol part share:
 *
 *   codec.c    codecs: made, and unmade
 *   decode.c   bytes become messages
 *   encode.c   messages become bytes
 *   words.c    names, errors, the version
 *
 * The formats are common/wire's. What that asserts of its callers is checked
 * here, so that nothing a program asks for gets to an assert.
 */
#ifndef RINGCHAT_LIB_CODEC_H
#define RINGCHAT_LIB_CODEC_H

#include "common/buffer/budget.h"
#include "common/wire/wire.h"

#include <ringchat/protocol.h>

/*
 * How far a connection has come, as its codec has seen it.
 *
 *     STRANGER
 *      |  SESSION_INIT, encoded or heard
 *      v
 *     GREETED
 *      |  HELLO was decoded (a server's codec alone; it is not needed to know
 *      v                     of a client's own)
 *     NAMED
 *      |  WELCOME, encoded or heard
 *      v
 *     WELCOMED
 *
 * In text a server goes from STRANGER to WELCOMED, and a client, who may speak
 * at once, begins there.
 */
enum stage { STAGE_STRANGER, STAGE_GREETED, STAGE_NAMED, STAGE_WELCOMED };

struct ringchat_codec {
    struct wire *wire;
    struct budget budget; /* of the decoder's tail */
    struct decoder decoder;
    struct wire_peer peer;
    enum ringchat_role role;
    enum dialect dialect;
    enum stage stage;
    bool seal;               /* a client's: it will ask for encryption */
    uint32_t peer_bytes_max; /* what a server says that it takes */
    enum error_code over;    /* the error that closed what is decoded */
};

static inline struct slice text_slice(struct ringchat_text text)
{
    return (struct slice){text.bytes, text.length};
}

static inline struct ringchat_text slice_text(struct slice slice)
{
    return (struct ringchat_text){slice.bytes, slice.length};
}

#endif

/*
 * Codecs: what is asked for, and the wire that it comes to. Each has one of its
 * own, with limits, keys and memory that no other shares.
 */
#include "lib/codec.h"

#include "common/base/limits.h"
#include "common/wire/headers.h"
#include "common/wire/hear.h"
#include "lib/sized.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* What one message may be, where the config does not say. */
#define LINE_BYTES_DEFAULT (4 * KIB)
#define FRAME_BYTES_DEFAULT (16 * KIB)
#define MESSAGE_BYTES_DEFAULT MIB

/* Heads, headers, and what stands around the text of a line. */
#define AROUND_BYTES_MAX (2 * HEADERS_BYTES_MAX)

/* ---- What is asked for -------------------------------------------------- */

static bool key_is_valid(const struct ringchat_codec_config *config)
{
    if (config->dialect != RINGCHAT_SECURE)
        return !config->key && config->key_bytes == 0 && !config->seal;
    return config->key && config->key_bytes >= KEY_BYTES_MIN &&
           config->key_bytes <= KEY_BYTES_MAX;
}

/* Of what a frame's length and SESSION_INIT can say. */
static bool limits_are_valid(const struct ringchat_codec_config *config)
{
    uint32_t most = config->dialect == RINGCHAT_FRAME ? FRAME_BODY_BYTES_MAX
                                                      : RECORD_BYTES_MAX / 2;

    return config->bytes_max <= most && config->interval_s <= UINT16_MAX;
}

static bool config_is_valid(const struct ringchat_codec_config *config)
{
    return config->role <= RINGCHAT_SERVER &&
           config->dialect <= RINGCHAT_SECURE && key_is_valid(config) &&
           limits_are_valid(config);
}

static uint32_t or_default(uint32_t number, uint32_t otherwise)
{
    return number > 0 ? number : otherwise;
}

static struct wire_config
wire_config_from(const struct ringchat_codec_config *config)
{
    bool client = config->role == RINGCHAT_CLIENT;
    uint32_t most = config->bytes_max;

    return (struct wire_config){
        .line_bytes_max = or_default(most, LINE_BYTES_DEFAULT),
        .frame_bytes_max = or_default(most, client ? FRAME_BODY_BYTES_MAX
                                                   : FRAME_BYTES_DEFAULT),
        .message_bytes_max = or_default(most, MESSAGE_BYTES_DEFAULT),
        .heartbeat_s = config->interval_s,
        .encryption_required = !client && config->seal,
        .key = config->key,
        .key_length = config->key_bytes,
    };
}

/* ---- Making ------------------------------------------------------------- */

/* At most 256 bytes, which no signal cuts short: getrandom(2). */
static int fill_random(void *bytes, size_t length)
{
    return getrandom(bytes, length, 0) == (ssize_t)length ? 0 : -errno;
}

/*
 * The seq that a client's are above, which are what it seals with. Who stands
 * in between can greet it with an older session's SESSION_INIT, signed as it
 * is, and so have it seal with the same key again: not with the same numbers.
 */
static int make_seq(struct ringchat_codec *codec)
{
    int error = fill_random(&codec->peer.seq_out, sizeof(codec->peer.seq_out));

    codec->peer.seq_out %= HEADER_NUMBER_MAX / 2;
    return error;
}

/* A server's session, and its start: what its peers seal for and it does. */
static int make_ids(struct ringchat_codec *codec, struct wire_config *config)
{
    int error = fill_random(codec->peer.uuid, UUID_BYTES);

    if (error == 0)
        error = fill_random(config->boot, UUID_BYTES);
    uuid_from_random(codec->peer.uuid);
    uuid_from_random(config->boot);
    return error;
}

static int codec_init(struct ringchat_codec *codec,
                      const struct ringchat_codec_config *config)
{
    struct wire_config wire = wire_config_from(config);
    int error = 0;

    codec->role = config->role;
    codec->dialect = (enum dialect)config->dialect;
    codec->peer_bytes_max = RECORD_BYTES_MAX / 2;
    /* Memory that grows is there twice for a moment. */
    budget_init(&codec->budget, 2 * ((uint64_t)wire.message_bytes_max +
                                     wire.frame_bytes_max + AROUND_BYTES_MAX));
    if (config->role == RINGCHAT_SERVER) {
        decoder_init(&codec->decoder, codec->dialect);
        error = make_ids(codec, &wire);
    } else {
        decoder_init_hearing(&codec->decoder, codec->dialect);
        codec->seal = config->seal;
        if (codec->dialect == DIALECT_TEXT)
            codec->stage = STAGE_WELCOMED;
        error = make_seq(codec);
    }
    if (error < 0)
        return error;
    codec->wire = wire_create(&wire, &codec->budget);
    return codec->wire ? 0 : -ENOMEM;
}

int ringchat_codec_create(struct ringchat_codec **out,
                          const struct ringchat_codec_config *asked)
{
    struct ringchat_codec_config config;
    struct ringchat_codec *codec;
    int error;

    if (!out || !sized_take(&config, sizeof(config), asked) ||
        !config_is_valid(&config))
        return -EINVAL;
    codec = calloc(1, sizeof(*codec));
    if (!codec)
        return -ENOMEM;
    error = codec_init(codec, &config);
    if (error < 0) {
        ringchat_codec_destroy(codec);
        return error;
    }
    *out = codec;
    return 0;
}

void ringchat_codec_destroy(struct ringchat_codec *codec)
{
    if (!codec)
        return;
    decoder_release(&codec->decoder, &codec->budget);
    wire_destroy(codec->wire);
    explicit_bzero(codec, sizeof(*codec));
    free(codec);
}

/*
 * The `secure` dialect of docs/protocol.md as its client: each message is
 * checked in the order of that page, and means nothing before its HMAC holds.
 * With `seal`, content is encrypted both ways. binary.h shows the way in, and
 * crypto.h what is done with keys. No I/O.
 */
#include "tests/load/binary.h"
#include "tests/load/crypto.h"
#include "tests/load/dialect.h"
#include "tests/load/headers.h"
#include "tests/load/memory.h"

#include <assert.h>
#include <inttypes.h>
#include <libdeflate.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

/* Of a message. */
enum {
    AT_VERSION = 8,
    AT_TYPE = 10,
    AT_HEADERS_LENGTH = 12,
    AT_HEADERS_CRC = 16,
    AT_CONTENT_LENGTH = 20,
    AT_CONTENT_CRC = 24,
    AT_MAC = 28,
    HEAD_BYTES = AT_MAC + MAC_BYTES
};

#define VERSION 1
#define HEADERS_BYTES_MIN 2 /* {} */
#define HEADERS_BYTES_MAX 4096
#define CONTENT_BYTES_MAX 1048576 /* --max-message */
#define IV_CHARS 16               /* base64 */

/* What we write: session, seq, enc, iv, and what the type needs. */
#define HEADERS_WRITTEN_MAX 256
#define EXTRA_WRITTEN_MAX 96

static const unsigned char magic[AT_VERSION] = "\x89RING\r\n\x1a";
static const char enc[] = "A256GCM";

/* `speaker->own`. */
struct secure {
    EVP_MAC_CTX *mac;
    char session[UUID_CHARS + 1];
    unsigned char session_uuid[SALT_BYTES], boot_uuid[SALT_BYTES];
    uint64_t sent;                     /* the last `seq` of ours */
    int64_t heard;                     /* and of the server's; -1: none yet */
    EVP_CIPHER_CTX *sealing, *opening; /* NULL: in the clear */
    bool sealed;          /* the server seals, from now on all that it sends */
    unsigned char *clear; /* the content that was opened last */
    size_t clear_allocated;
};

struct message {
    unsigned type;
    const unsigned char *headers, *content;
    size_t headers_length, content_length;
    json_t *json; /* the headers */
};

/* Why a message is none; NULL: it is one. */
typedef const char *why;

static const char bad_headers[] = "headers that are not what their type says";

/* -- the bytes of a message -- */

static size_t secure_extent(const unsigned char *bytes, size_t length,
                            size_t looked, size_t *wanted)
{
    size_t headers, content;

    (void)looked;
    *wanted = HEAD_BYTES;
    if (memcmp(bytes, magic, length < AT_VERSION ? length : AT_VERSION) != 0 ||
        (length >= AT_TYPE && get_u16(bytes + AT_VERSION) != VERSION))
        return EXTENT_INVALID;
    if (length < HEAD_BYTES)
        return 0;
    headers = get_u32(bytes + AT_HEADERS_LENGTH);
    content = get_u32(bytes + AT_CONTENT_LENGTH);
    if (headers < HEADERS_BYTES_MIN || headers > HEADERS_BYTES_MAX ||
        content > CONTENT_BYTES_MAX + TAG_BYTES)
        return EXTENT_INVALID;
    *wanted += headers + content;
    return length < *wanted ? 0 : *wanted;
}

static struct message message_of(const unsigned char *bytes)
{
    struct message message = {
        .type = get_u16(bytes + AT_TYPE),
        .headers = bytes + HEAD_BYTES,
        .headers_length = get_u32(bytes + AT_HEADERS_LENGTH),
        .content_length = get_u32(bytes + AT_CONTENT_LENGTH),
    };

    message.content = message.headers + message.headers_length;
    return message;
}

static uint32_t crc(const void *bytes, size_t length)
{
    return libdeflate_crc32(0, bytes, length);
}

static why check_sums(const struct secure *own, const unsigned char *bytes,
                      const struct message *message)
{
    unsigned char mac[MAC_BYTES];

    if (crc(message->headers, message->headers_length) !=
        get_u32(bytes + AT_HEADERS_CRC))
        return "the headers' CRC-32 is another";
    if (crc(message->content, message->content_length) !=
        get_u32(bytes + AT_CONTENT_CRC))
        return "the content's CRC-32 is another";
    mac_make(own->mac, bytes, AT_MAC, message->headers,
             message->headers_length + message->content_length, mac);
    if (CRYPTO_memcmp(mac, bytes + AT_MAC, MAC_BYTES) != 0)
        return "the HMAC is another";
    return NULL;
}

/* -- headers -- */

static const char *get_room(const struct message *message)
{
    return header_text(message->json, "room", 1, ROOM_BYTES_MAX);
}

static bool has_nick(const struct message *message)
{
    return header_text(message->json, "nick", 1, NICK_BYTES_MAX);
}

/* For what is sent to one session alone. */
static why check_session(struct secure *own, const struct message *message)
{
    const char *session =
        header_text(message->json, "session", UUID_CHARS, UUID_CHARS);
    uint64_t seq;

    if (!session || strcasecmp(session, own->session) != 0)
        return "another session";
    if (!header_number(message->json, "seq", &seq) ||
        (int64_t)seq <= own->heard)
        return "a seq that does not rise";
    own->heard = (int64_t)seq;
    return NULL;
}

/* -- sealed content -- */

static bool iv_read(const struct message *message, unsigned char iv[IV_BYTES])
{
    const char *text = header_text(message->json, "iv", IV_CHARS, IV_CHARS);

    /* EVP_DecodeBlock takes what is padded for zeros. */
    return text && !strchr(text, '=') &&
           EVP_DecodeBlock(iv, (const unsigned char *)text, IV_CHARS) ==
               IV_BYTES;
}

static unsigned char *clear_reserve(struct secure *own, size_t length)
{
    if (own->clear_allocated < length) {
        free(own->clear);
        own->clear = allocate(1, length);
        own->clear_allocated = length;
    }
    return own->clear;
}

/* What the server sent before it has read our SESSION_ACK is in the clear; but
 * not its WELCOME. */
static why check_clear(const struct speaker *speaker,
                       const struct message *message)
{
    const struct secure *own = speaker->own;

    if (own->sealed || (own->opening && message->type == TYPE_WELCOME))
        return "in the clear in a sealed session";
    return NULL;
}

static why open_content(struct speaker *speaker, struct message *message)
{
    const json_t *sealed = json_object_get(message->json, "enc");
    struct aad aad = {message->headers, message->headers_length};
    struct secure *own = speaker->own;
    unsigned char iv[IV_BYTES];

    if (!sealed)
        return check_clear(speaker, message);
    if (!json_is_string(sealed) ||
        strcmp(json_string_value(sealed), enc) != 0 || !own->opening ||
        !iv_read(message, iv) || message->content_length < TAG_BYTES)
        return "sealed in another way than was asked for";
    clear_reserve(own, message->content_length);
    if (!gcm_open(own->opening, iv, aad, message->content,
                  message->content_length, own->clear))
        return "a seal that does not open";
    own->sealed = true;
    message->content = own->clear;
    message->content_length -= TAG_BYTES;
    return NULL;
}

/* -- what is said of each type -- */

typedef why reader(struct speaker *, const struct message *, struct item *);

static why read_init(struct speaker *speaker, const struct message *message,
                     struct item *item)
{
    struct secure *own = speaker->own;
    const char *session =
        header_uuid(message->json, "session", own->session_uuid);

    if (speaker->step != STEP_INIT)
        return "a second SESSION_INIT";
    if (!session || !header_uuid(message->json, "boot", own->boot_uuid) ||
        !header_is_number(message->json, "heartbeat") ||
        !header_is_number(message->json, "max_content"))
        return bad_headers;
    memcpy(own->session, session, sizeof(own->session));
    item_kind(item, ITEM_READY);
    return check_session(own, message);
}

static why read_welcome(struct speaker *speaker, const struct message *message,
                        struct item *item)
{
    if (!has_nick(message) || !get_room(message))
        return bad_headers;
    item_welcome(item, speaker);
    return check_session(speaker->own, message);
}

static why read_heartbeat(struct speaker *speaker,
                          const struct message *message, struct item *item)
{
    const char *kind = header_text(message->json, "kind", 4, 4);
    uint64_t stamp;

    if (!kind || !header_number(message->json, "stamp", &stamp) ||
        (strcmp(kind, "ping") != 0 && strcmp(kind, "pong") != 0))
        return bad_headers;
    item_kind(item, strcmp(kind, "ping") == 0 ? ITEM_PING : ITEM_OTHER);
    item->number = stamp;
    return check_session(speaker->own, message);
}

static bool has_content_type(const struct message *message)
{
    const char *type = header_text(message->json, "content_type", 1, 127);

    for (; type && *type; type++)
        if (*type < ' ' || *type > '~')
            return false;
    return type;
}

/* Of what is said, or missed, in a room. */
static enum item_kind kind_in(const struct speaker *speaker, const char *room,
                              enum item_kind ours)
{
    return room_is(speaker->room, room, strlen(room)) ? ours : ITEM_ELSEWHERE;
}

static why read_message(struct speaker *speaker, const struct message *message,
                        struct item *item)
{
    const char *room = get_room(message);
    bool is_private;

    if (!room || !has_nick(message) ||
        !header_is_number(message->json, "room_seq") ||
        !header_is_number(message->json, "time") || !has_content_type(message))
        return bad_headers;
    is_private = strcmp(room, "@") == 0;
    item_set(item,
             is_private ? ITEM_OTHER : kind_in(speaker, room, ITEM_MESSAGE),
             message->content, message->content_length);
    return is_private ? check_session(speaker->own, message) : NULL;
}

static why read_error(struct speaker *speaker, const struct message *message,
                      struct item *item)
{
    uint64_t code;

    if (!header_number(message->json, "code", &code) || code == 0 ||
        !header_text(message->json, "name", 1, HEADERS_BYTES_MAX))
        return bad_headers;
    item_set(item, ITEM_ERROR, message->content, message->content_length);
    return check_session(speaker->own, message);
}

static why read_disconnect(struct speaker *speaker,
                           const struct message *message, struct item *item)
{
    uint64_t code = 0;

    if (json_object_get(message->json, "code") &&
        !header_number(message->json, "code", &code))
        return bad_headers;
    item_set(item, code == 0 ? ITEM_OTHER : ITEM_ERROR, message->content,
             message->content_length);
    return check_session(speaker->own, message);
}

static why read_reply(struct speaker *speaker, const struct message *message,
                      struct item *item)
{
    uint64_t id;

    /* Commands are numbered by their steps, and have one line of reply. */
    if (!json_is_false(json_object_get(message->json, "more")) ||
        !header_number(message->json, "id", &id) || id != speaker->step)
        return "a reply to what was not asked";
    item_reply(item, speaker, message->content, message->content_length);
    return check_session(speaker->own, message);
}

static why read_lagged(struct speaker *speaker, const struct message *message,
                       const char *room, struct item *item)
{
    uint64_t missed;

    if (!count_read(message->content, message->content_length, &missed))
        return "not how many messages were missed";
    item_kind(item, kind_in(speaker, room, ITEM_LAGGED));
    item->number = missed;
    return check_session(speaker->own, message);
}

static bool is_notice(const char *kind)
{
    static const char *const kinds[] = {"joined", "left", "nick", "topic"};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (strcmp(kind, kinds[i]) == 0)
            return true;
    return false;
}

static why read_notice(struct speaker *speaker, const struct message *message,
                       struct item *item)
{
    const char *kind = header_text(message->json, "kind", 1, HEADERS_BYTES_MAX);
    const char *room = get_room(message);

    if (!kind || !room ||
        !header_text(message->json, "nick", 0, NICK_BYTES_MAX))
        return bad_headers;
    if (strcmp(kind, "lagged") == 0)
        return read_lagged(speaker, message, room, item);
    if (!is_notice(kind) || !has_nick(message) ||
        !header_is_number(message->json, "room_seq"))
        return bad_headers;
    item_set(item, ITEM_OTHER, message->content, message->content_length);
    return NULL;
}

static why read_ack(struct speaker *speaker, const struct message *message,
                    struct item *item)
{
    if (!header_is_number(message->json, "id") ||
        !header_is_number(message->json, "room_seq"))
        return bad_headers;
    item_kind(item, ITEM_OTHER);
    return check_session(speaker->own, message);
}

static why read_file(struct speaker *speaker, const struct message *message,
                     struct item *item)
{
    if (!header_is_number(message->json, "transfer"))
        return bad_headers;
    item_kind(item, ITEM_OTHER);
    return check_session(speaker->own, message);
}

/* Without SESSION_ACK and COMMAND, which clients send. */
static const struct {
    reader *read;
    bool has_content;
} types[TYPES] = {
    [TYPE_SESSION_INIT] = {read_init, false},
    [TYPE_HEARTBEAT] = {read_heartbeat, false},
    [TYPE_MESSAGE] = {read_message, true},
    [TYPE_ERROR] = {read_error, true},
    [TYPE_DISCONNECT] = {read_disconnect, true},
    [TYPE_REPLY] = {read_reply, true},
    [TYPE_NOTICE] = {read_notice, true},
    [TYPE_ACK] = {read_ack, false},
    [TYPE_WELCOME] = {read_welcome, false},
    [TYPE_FILE_OFFER] = {read_file, false},
    [TYPE_FILE_ACCEPT] = {read_file, false},
    [TYPE_FILE_DATA] = {read_file, true},
    [TYPE_FILE_END] = {read_file, false},
};

static why read_meaning(struct speaker *speaker, struct message *message,
                        struct item *item)
{
    why wrong = open_content(speaker, message);

    if (wrong)
        return wrong;
    if (message->type >= TYPES || !types[message->type].read)
        return "a message of no known type";
    if (message->content_length > 0 && !types[message->type].has_content)
        return "content where none is due";
    return types[message->type].read(speaker, message, item);
}

static void secure_read(struct speaker *speaker, const unsigned char *bytes,
                        size_t length, struct item *item)
{
    struct message message = message_of(bytes);
    why wrong = check_sums(speaker->own, bytes, &message);

    assert(length ==
           HEAD_BYTES + message.headers_length + message.content_length);
    if (!wrong)
        wrong = headers_parse(message.headers, message.headers_length,
                              &message.json);
    if (!wrong)
        wrong = read_meaning(speaker, &message, item);
    if (wrong)
        item_corrupt(item, wrong);
    json_decref(message.json);
}

/* -- saying -- */

/* Our ivs are our seqs. */
static void iv_write(uint64_t seq, unsigned char iv[IV_BYTES])
{
    put_u64(put_u32(iv, 0), seq);
}

/* The headers of the next message, with those that the type needs: each begins
 * with a comma. */
static size_t write_headers(const struct secure *own, const char *extra,
                            char *headers)
{
    unsigned char iv[IV_BYTES];
    char sealed[64] = "", iv_text[IV_CHARS + 1];
    int length;

    if (own->sealing) {
        iv_write(own->sent, iv);
        EVP_EncodeBlock((unsigned char *)iv_text, iv, IV_BYTES);
        snprintf(sealed, sizeof(sealed), ",\"enc\":\"%s\",\"iv\":\"%s\"", enc,
                 iv_text);
    }
    length = snprintf(headers, HEADERS_WRITTEN_MAX,
                      "{\"session\":\"%s\",\"seq\":%" PRIu64 "%s%s}",
                      own->session, own->sent, extra, sealed);
    assert(length > 0 && length < HEADERS_WRITTEN_MAX);
    return (size_t)length;
}

/* Behind the headers, which are there: returns how long it is. */
static size_t write_content(const struct secure *own, struct aad headers,
                            const void *text, size_t length, unsigned char *to)
{
    unsigned char iv[IV_BYTES];

    if (!own->sealing) {
        put_bytes(to, text, length);
        return length;
    }
    iv_write(own->sent, iv);
    gcm_seal(own->sealing, iv, headers, text, length, to);
    return length + TAG_BYTES;
}

static void write_head(const struct secure *own, enum message_type type,
                       struct aad headers, size_t content, unsigned char *to)
{
    unsigned char *start = to;

    to = put_bytes(to, magic, sizeof(magic));
    to = put_u16(to, VERSION);
    to = put_u16(to, (uint16_t)type);
    to = put_u32(to, (uint32_t)headers.length);
    to = put_u32(to, crc(headers.bytes, headers.length));
    to = put_u32(to, (uint32_t)content);
    to = put_u32(to, crc(headers.bytes + headers.length, content));
    mac_make(own->mac, start, AT_MAC, headers.bytes, headers.length + content,
             to);
}

static void secure_write(struct speaker *speaker, enum message_type type,
                         const char *extra, const void *text, size_t length,
                         struct out *out)
{
    struct secure *own = speaker->own;
    size_t most = HEAD_BYTES + HEADERS_WRITTEN_MAX + length + TAG_BYTES;
    unsigned char *to = out_reserve(out, most);
    struct aad headers = {to + HEAD_BYTES, 0};
    size_t content;

    own->sent++;
    headers.length = write_headers(own, extra, (char *)to + HEAD_BYTES);
    content = write_content(own, headers, text, length,
                            to + HEAD_BYTES + headers.length);
    write_head(own, type, headers, content, to);
    out_added(out, HEAD_BYTES + headers.length + content);
}

/* A connection begins; the memory may be that of one before it. */
static void begin(struct speaker *speaker)
{
    const struct terms *terms = speaker->terms;
    struct secure *own = speaker->own;

    if (!own) {
        own = speaker->own = allocate(1, sizeof(*own));
        own->mac = mac_create(terms->key, terms->key_length);
    }
    EVP_CIPHER_CTX_free(own->sealing);
    EVP_CIPHER_CTX_free(own->opening);
    own->sealing = own->opening = NULL;
    own->sealed = false;
    own->sent = 0;
    own->heard = -1;
}

/* SESSION_ACK asks for seals, and is the last that has none. */
static void acknowledge(struct speaker *speaker, struct out *out)
{
    const struct terms *terms = speaker->terms;
    struct secure *own = speaker->own;
    char extra[EXTRA_WRITTEN_MAX];

    if (!terms->seal) {
        secure_write(speaker, TYPE_SESSION_ACK, "", NULL, 0, out);
        return;
    }
    snprintf(extra, sizeof(extra), ",\"enc\":\"%s\"", enc);
    secure_write(speaker, TYPE_SESSION_ACK, extra, NULL, 0, out);
    own->sealing =
        gcm_create(terms->key, terms->key_length, own->session_uuid, true);
    own->opening =
        gcm_create(terms->key, terms->key_length, own->boot_uuid, false);
}

static void secure_enter(struct speaker *speaker, struct out *out)
{
    char command[BINARY_COMMAND_BYTES_MAX], extra[EXTRA_WRITTEN_MAX];
    size_t length;

    if (speaker->step == STEP_INIT) {
        begin(speaker);
    } else if (speaker->step == STEP_ACK) {
        acknowledge(speaker, out);
    } else {
        length = binary_command(speaker, command);
        snprintf(extra, sizeof(extra), ",\"id\":%u", speaker->step);
        secure_write(speaker, TYPE_COMMAND, extra, command, length, out);
    }
}

static void secure_say(struct speaker *speaker, const void *text, size_t length,
                       struct out *out)
{
    char extra[EXTRA_WRITTEN_MAX];

    snprintf(extra, sizeof(extra), ",\"room\":\"%s\"",
             room_name(speaker->room));
    secure_write(speaker, TYPE_MESSAGE, extra, text, length, out);
}

static void secure_answer(struct speaker *speaker, const struct item *ping,
                          struct out *out)
{
    char extra[EXTRA_WRITTEN_MAX];

    snprintf(extra, sizeof(extra), ",\"kind\":\"pong\",\"stamp\":%" PRIu64,
             ping->number);
    secure_write(speaker, TYPE_HEARTBEAT, extra, NULL, 0, out);
}

static void secure_leave(struct speaker *speaker, struct out *out)
{
    secure_write(speaker, TYPE_DISCONNECT, "", NULL, 0, out);
}

static void secure_release(struct speaker *speaker)
{
    struct secure *own = speaker->own;

    if (!own)
        return;
    EVP_MAC_CTX_free(own->mac);
    EVP_CIPHER_CTX_free(own->sealing);
    EVP_CIPHER_CTX_free(own->opening);
    free(own->clear);
    free(own);
    speaker->own = NULL;
}

const struct dialect dialect_secure = {
    .scheme = "secure",
    .port = "9999",
    .hears_itself = true,
    .orders_all = true,
    .text_max = CONTENT_BYTES_MAX,
    .seal_bytes = TAG_BYTES, /* which the server's limit counts */
    .extent = secure_extent,
    .read = secure_read,
    .enter = secure_enter,
    .say = secure_say,
    .answer = secure_answer,
    .leave = secure_leave,
    .release = secure_release,
};

/*
 * What peers hear in the secure dialect, as docs/protocol.md has it: a message
 * must be whole, theirs, sealed if they asked for that, and have exactly what
 * its type has; or the promise "secure form" is broken, or one of a name of its
 * own. What they say is in speech_secure_say.c, the cryptography in
 * speech_seal.c, the reading of JSON in speech_headers.c.
 */
#include "tests/sim/promise.h"
#include "tests/sim/speech_internal.h"

#include <libdeflate.h>
#include <sodium.h>
#include <strings.h>

#define PLAIN_TEXT SLICE("text/plain; charset=utf-8")

/* The 16 bytes of a UUID; false if that is none. */
static bool uuid_read(struct slice text, uint8_t bytes[SALT_BYTES])
{
    size_t length;

    return text.length == UUID_TEXT_BYTES && text.bytes[8] == '-' &&
           text.bytes[13] == '-' && text.bytes[18] == '-' &&
           text.bytes[23] == '-' &&
           sodium_hex2bin(bytes, SALT_BYTES, text.bytes, text.length, "-",
                          &length, NULL) == 0 &&
           length == SALT_BYTES;
}

/* ---- A message's bytes --------------------------------------------------- */

/* A whole message, and what is known of it so far. */
struct letter {
    unsigned type;
    struct slice whole, json, content;
    struct headers headers;
};

static bool has(const struct letter *letter, enum field field)
{
    return (letter->headers.present & 1u << field) != 0;
}

static _Noreturn void malformed(const struct letter *letter, const char *what)
{
    promise_broken("secure form", "type %u with headers %.*s: %s", letter->type,
                   (int)letter->json.length, letter->json.bytes, what);
}

/* A server's content is somebody's line or message, and no longer than they
 * may be. */
static void check_head(const char *head)
{
    if (memcmp(head, SECURE_MAGIC.bytes, SECURE_MAGIC.length) != 0 ||
        load(head + VERSION_AT, 2) != PROTOCOL_VERSION ||
        load(head + HEADERS_LENGTH_AT, 4) > HEADERS_BYTES_MAX ||
        load(head + CONTENT_LENGTH_AT, 4) > SPEECH_BYTES_MAX)
        promise_broken("secure form", "a head %016llx %016llx %016llx",
                       (unsigned long long)load(head, 8),
                       (unsigned long long)load(head + VERSION_AT, 8),
                       (unsigned long long)load(head + HEADERS_CRC_AT, 8));
}

static void check_crc(const struct letter *letter, size_t at,
                      struct slice bytes)
{
    if (libdeflate_crc32(0, bytes.bytes, bytes.length) !=
        load(letter->whole.bytes + at, 4))
        promise_broken("crc", "type %u: that at %zu", letter->type, at);
}

static void check_mac(const struct letter *letter)
{
    const char *head = letter->whole.bytes;
    uint8_t mac[MAC_BYTES];

    seal_sign((struct slice){head, MAC_AT},
              (struct slice){head + SECURE_HEAD_BYTES,
                             letter->whole.length - SECURE_HEAD_BYTES},
              mac);
    if (memcmp(mac, head + MAC_AT, MAC_BYTES) != 0)
        promise_broken("hmac", "type %u", letter->type);
}

/* False if it is not whole. */
static bool read_letter(struct slice bytes, struct letter *letter)
{
    const char *head = bytes.bytes;
    size_t headers_length, content_length;

    if (bytes.length < SECURE_HEAD_BYTES)
        return false;
    check_head(head);
    headers_length = load(head + HEADERS_LENGTH_AT, 4);
    content_length = load(head + CONTENT_LENGTH_AT, 4);
    if (bytes.length - SECURE_HEAD_BYTES < headers_length + content_length)
        return false;
    letter->type = (unsigned)load(head + TYPE_AT, 2);
    letter->json = (struct slice){head + SECURE_HEAD_BYTES, headers_length};
    letter->content = (struct slice){head + SECURE_HEAD_BYTES + headers_length,
                                     content_length};
    letter->whole = (struct slice){head, (size_t)SECURE_HEAD_BYTES +
                                             headers_length + content_length};
    check_crc(letter, HEADERS_CRC_AT, letter->json);
    check_crc(letter, CONTENT_CRC_AT, letter->content);
    check_mac(letter);
    headers_read(letter->json, &letter->headers);
    return true;
}

/* ---- Seals --------------------------------------------------------------- */

static void read_iv(const struct letter *letter, uint8_t iv[IV_BYTES])
{
    struct slice text = letter->headers.strings[FIELD_IV];
    size_t length;

    if (!slice_equals(letter->headers.strings[FIELD_ENC], SECURE_ENC) ||
        sodium_base642bin(iv, IV_BYTES, text.bytes, text.length, NULL, &length,
                          NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        length != IV_BYTES)
        malformed(letter, "no such enc or iv");
}

/* What is sent before the server has read the hello is in the clear: an ERROR
 * at most. */
static void check_clear(const struct voice *voice, const struct letter *letter)
{
    if (voice->opened || (voice->sealing && letter->type != TYPE_ERROR &&
                          letter->type != TYPE_SESSION_INIT))
        promise_broken("sealed", "type %u in the clear", letter->type);
}

static void unseal(struct voice *voice, struct letter *letter)
{
    uint8_t iv[IV_BYTES];

    if (has(letter, FIELD_ENC) != has(letter, FIELD_IV))
        malformed(letter, "one of enc and iv");
    if (!has(letter, FIELD_ENC)) {
        check_clear(voice, letter);
        return;
    }
    if (!voice->sealing)
        promise_broken("sealed", "type %u to who did not ask", letter->type);
    read_iv(letter, iv);
    seal_note_iv(voice->boot, iv,
                 (const uint8_t *)letter->whole.bytes + MAC_AT);
    if (!seal_open(voice->key_in, iv, letter->json, letter->content,
                   &letter->content))
        promise_broken("seal", "type %u does not open", letter->type);
    voice->opened = true;
}

/* ---- Headers ------------------------------------------------------------- */

#define BIT(field) (1u << FIELD_##field)
#define ORIGIN (BIT(SESSION) | BIT(SEQ))
#define SEAL (BIT(ENC) | BIT(IV))

/* What a type's headers are; those of origin and seal are not among them. */
static const struct letter_form {
    uint32_t must, may;
    bool bare; /* has no content */
} letter_forms[TYPES] = {
    [TYPE_SESSION_INIT] = {BIT(BOOT) | BIT(HEARTBEAT) | BIT(MAX_CONTENT), 0,
                           true},
    [TYPE_HEARTBEAT] = {BIT(KIND) | BIT(STAMP), 0, true},
    [TYPE_MESSAGE] = {BIT(ROOM) | BIT(ROOM_SEQ) | BIT(NICK) | BIT(TIME) |
                          BIT(CONTENT_TYPE),
                      0, false},
    [TYPE_ERROR] = {BIT(CODE) | BIT(NAME), BIT(ID), false},
    [TYPE_DISCONNECT] = {0, BIT(CODE), false},
    [TYPE_REPLY] = {BIT(MORE), BIT(ID), false},
    [TYPE_NOTICE] = {BIT(KIND) | BIT(ROOM) | BIT(NICK), BIT(ROOM_SEQ), false},
    [TYPE_ACK] = {BIT(ID) | BIT(ROOM_SEQ), 0, true},
    [TYPE_WELCOME] = {BIT(NICK) | BIT(ROOM), 0, true},
};

/* Whether it is for all of a room, and not for one session. */
static bool is_for_room(const struct letter *letter)
{
    const struct slice *strings = letter->headers.strings;

    if (letter->type == TYPE_MESSAGE)
        return !slice_equals(strings[FIELD_ROOM], SLICE("@"));
    return letter->type == TYPE_NOTICE &&
           !slice_equals(strings[FIELD_KIND], SLICE("lagged"));
}

static void check_id(const struct letter *letter)
{
    uint64_t id = letter->headers.numbers[FIELD_ID];

    if (has(letter, FIELD_ID) && (id < 1 || id > UINT32_MAX))
        malformed(letter, "no such id");
}

static void check_fields(const struct letter *letter)
{
    uint32_t fields = letter->headers.present & ~(ORIGIN | SEAL);
    uint32_t origin = letter->headers.present & ORIGIN;
    const struct letter_form *form;

    if (letter->type == 0 || letter->type >= TYPES ||
        letter->type == TYPE_SESSION_ACK || letter->type == TYPE_COMMAND)
        malformed(letter, "not a server's");
    form = &letter_forms[letter->type];
    if ((fields & form->must) != form->must ||
        (fields & ~(form->must | form->may)) != 0)
        malformed(letter, "not the headers of its type");
    if (origin != (is_for_room(letter) ? 0 : ORIGIN))
        malformed(letter, "to one and to all");
    if (letter->type == TYPE_NOTICE &&
        has(letter, FIELD_ROOM_SEQ) != is_for_room(letter))
        malformed(letter, "room_seq where none is, or none where one is");
    if (form->bare && letter->content.length > 0)
        malformed(letter, "content where there is none");
    check_id(letter);
}

/* An ERROR in the place of SESSION_INIT names a session of no meaning. */
static void check_origin(struct voice *voice, const struct letter *letter)
{
    struct slice session = letter->headers.strings[FIELD_SESSION];
    uint64_t seq = letter->headers.numbers[FIELD_SEQ];
    uint8_t uuid[SALT_BYTES];

    if (!has(letter, FIELD_SESSION))
        return;
    if (!uuid_read(session, uuid))
        malformed(letter, "no UUID");
    if (voice->greeted && !slice_equals(session, slice_of(voice->uuid)))
        promise_broken("own session", "%.*s, not %s", (int)session.length,
                       session.bytes, voice->uuid);
    if (seq < voice->seq_in_min)
        promise_broken("own seq", "%llu is not above the last one",
                       (unsigned long long)seq);
    voice->seq_in_min = seq + 1;
}

/* ---- Meaning ------------------------------------------------------------- */

static void hear_init(struct voice *voice, const struct letter *letter,
                      struct heard *heard)
{
    struct slice session = letter->headers.strings[FIELD_SESSION];
    struct slice boot = letter->headers.strings[FIELD_BOOT];
    uint8_t uuid_bytes[SALT_BYTES], boot_bytes[SALT_BYTES];

    heard->kind = HEARD_INIT;
    if (!uuid_read(session, uuid_bytes) || !uuid_read(boot, boot_bytes))
        malformed(letter, "no UUID");
    if (letter->headers.numbers[FIELD_MAX_CONTENT] !=
        voice->limits->message_bytes_max)
        malformed(letter, "another max_content");
    memcpy(voice->uuid, session.bytes, UUID_TEXT_BYTES);
    memcpy(voice->boot, boot.bytes, UUID_TEXT_BYTES);
    if (voice->sealed) {
        seal_derive(uuid_bytes, voice->key_out);
        seal_derive(boot_bytes, voice->key_in);
    }
}

static void hear_heartbeat(const struct letter *letter, struct heard *heard)
{
    struct slice kind = letter->headers.strings[FIELD_KIND];

    heard->kind = slice_equals(kind, SLICE("ping")) ? HEARD_PING : HEARD_PONG;
    if (heard->kind == HEARD_PONG && !slice_equals(kind, SLICE("pong")))
        malformed(letter, "no such kind");
    heard->number = letter->headers.numbers[FIELD_STAMP];
}

/* Upper and lower case are the same, RFC 2045, section 5.1. */
static bool is_text(struct slice type)
{
    return type.length >= 5 && strncasecmp(type.bytes, "text/", 5) == 0;
}

static void hear_message(const struct letter *letter, struct heard *heard)
{
    const struct headers *headers = &letter->headers;
    struct slice type = headers->strings[FIELD_CONTENT_TYPE];

    heard->has_seq = is_for_room(letter);
    heard->kind = heard->has_seq ? HEARD_MESSAGE : HEARD_PRIVATE;
    heard->seq = headers->numbers[FIELD_ROOM_SEQ];
    heard->time_us = headers->numbers[FIELD_TIME];
    heard->nick = headers->strings[FIELD_NICK];
    heard->text = letter->content;
    if (heard->has_seq)
        heard->room = headers->strings[FIELD_ROOM];
    if (!slice_equals(type, PLAIN_TEXT))
        heard->content_type = type;
    if (heard->has_seq != (heard->seq > 0))
        malformed(letter, "a seq where none is, or none where one is");
    if (is_text(type))
        check_clean(heard->text);
}

static void hear_text(const struct letter *letter, enum heard_kind kind,
                      struct heard *heard)
{
    check_clean(letter->content);
    heard->kind = kind;
    heard->id = (uint32_t)letter->headers.numbers[FIELD_ID];
    heard->more = letter->headers.numbers[FIELD_MORE] != 0;
    heard->text = letter->content;
}

static void hear_letter_error(const struct letter *letter, struct heard *heard)
{
    hear_text(letter, HEARD_ERROR, heard);
    hear_error(heard, letter->headers.numbers[FIELD_CODE], letter->content);
    if (error_named(letter->headers.strings[FIELD_NAME]) != heard->code)
        malformed(letter, "a name that is not its code's");
}

static enum heard_kind notice_kind(const struct letter *letter)
{
    static const struct {
        const char *name;
        enum heard_kind kind;
    } kinds[] = {
        {"joined", HEARD_JOINED}, {"left", HEARD_LEFT},
        {"nick", HEARD_NICK},     {"topic", HEARD_TOPIC},
        {"lagged", HEARD_LAGGED},
    };
    struct slice name = letter->headers.strings[FIELD_KIND];

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (slice_equals(name, slice_of(kinds[i].name)))
            return kinds[i].kind;
    }
    malformed(letter, "no such kind");
}

static void hear_letter_notice(const struct letter *letter, struct heard *heard)
{
    check_clean(letter->content);
    heard->room = letter->headers.strings[FIELD_ROOM];
    heard->nick = letter->headers.strings[FIELD_NICK];
    heard->seq = letter->headers.numbers[FIELD_ROOM_SEQ];
    heard->has_seq = has(letter, FIELD_ROOM_SEQ);
    hear_notice(heard, notice_kind(letter), letter->content);
}

static void hear_ack(const struct letter *letter, struct heard *heard)
{
    heard->kind = HEARD_ACK;
    heard->id = (uint32_t)letter->headers.numbers[FIELD_ID];
    heard->seq = letter->headers.numbers[FIELD_ROOM_SEQ];
    heard->has_seq = true;
}

static void hear_letter(struct voice *voice, const struct letter *letter,
                        struct heard *heard)
{
    switch (letter->type) {
    case TYPE_SESSION_INIT:
        hear_init(voice, letter, heard);
        break;
    case TYPE_HEARTBEAT:
        hear_heartbeat(letter, heard);
        break;
    case TYPE_MESSAGE:
        hear_message(letter, heard);
        break;
    case TYPE_ERROR:
        hear_letter_error(letter, heard);
        break;
    case TYPE_DISCONNECT:
        hear_text(letter, HEARD_DISCONNECT, heard);
        heard->number = letter->headers.numbers[FIELD_CODE];
        break;
    case TYPE_REPLY:
        hear_text(letter, HEARD_REPLY, heard);
        break;
    case TYPE_NOTICE:
        hear_letter_notice(letter, heard);
        break;
    case TYPE_ACK:
        hear_ack(letter, heard);
        break;
    default: /* see check_fields */
        heard->kind = HEARD_WELCOME;
        heard->nick = letter->headers.strings[FIELD_NICK];
        heard->room = letter->headers.strings[FIELD_ROOM];
    }
}

size_t secure_hear(struct voice *voice, struct slice bytes, struct heard *heard)
{
    struct letter letter = {.type = 0};

    if (!read_letter(bytes, &letter))
        return 0;
    unseal(voice, &letter);
    check_fields(&letter);
    check_origin(voice, &letter);
    hear_letter(voice, &letter, heard);
    return letter.whole.length;
}

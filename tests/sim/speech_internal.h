/*
 * What the files of speech.h share: what is said before a dialect gives it a
 * form, bytes on their way out, and what holds for texts and errors in all
 * dialects. Written from docs/protocol.md alone, as they are.
 */
#ifndef RINGCHAT_SIM_SPEECH_INTERNAL_H
#define RINGCHAT_SIM_SPEECH_INTERNAL_H

#include "tests/sim/speech.h"

#include <assert.h>
#include <string.h>

/* More than any line, frame or message of a history. */
#define SPEECH_BYTES_MAX (2 * 1024 * 1024)

/* ---- Messages of the binary dialects ------------------------------------ */

#define PROTOCOL_VERSION 1

enum message_type {
    TYPE_SESSION_INIT = 1,
    TYPE_SESSION_ACK = 2,
    TYPE_HEARTBEAT = 3,
    TYPE_MESSAGE = 4,
    TYPE_ERROR = 5,
    TYPE_DISCONNECT = 6,
    TYPE_COMMAND = 7,
    TYPE_REPLY = 8,
    TYPE_NOTICE = 9,
    TYPE_ACK = 10,
    TYPE_WELCOME = 11,
    TYPES,
    TYPE_FILE_OFFER = 16,
    TYPE_ODD = 99, /* there is none of that number */
};

/* What a binary peer says, before it has a form. Of a MESSAGE that names
 * neither a room nor a nick, both are empty. */
struct utterance {
    enum message_type type;
    enum say say; /* how it is to be wrong, from SAY_FATAL on */
    uint32_t id;
    uint64_t salt; /* in which of the forms that mean the same */
    bool pong;
    uint64_t stamp;
    struct slice nick, room, content_type, text;
};

/* A whole FILE_OFFER's. */
#define OFFER_TRANSFER 5
#define OFFER_TO "somebody"
#define OFFER_NAME "cat.png"
#define OFFER_BYTES 4711
#define OFFER_HASH_BYTES 32

/* ---- Bytes on their way out --------------------------------------------- */

struct draft {
    size_t length;
    unsigned char bytes[SPEECH_BYTES_MAX];
};

/* The one there is, emptied. */
struct draft *draft_begin(void);

static inline void put_bytes(struct draft *draft, const void *bytes,
                             size_t length)
{
    assert(length <= sizeof(draft->bytes) - draft->length);
    if (length > 0)
        memcpy(draft->bytes + draft->length, bytes, length);
    draft->length += length;
}

static inline void put_slice(struct draft *draft, struct slice slice)
{
    put_bytes(draft, slice.bytes, slice.length);
}

static inline void put_literal(struct draft *draft, const char *string)
{
    put_bytes(draft, string, strlen(string));
}

/* Big-endian integers of `size` bytes. */
static inline void store(unsigned char *at, uint64_t value, size_t size)
{
    for (size_t i = size; i-- > 0; value >>= 8)
        at[i] = (unsigned char)value;
}

static inline uint64_t load(const void *at, size_t size)
{
    const unsigned char *bytes = at;
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++)
        value = value << 8 | bytes[i];
    return value;
}

static inline void put_number(struct draft *draft, uint64_t value, size_t size)
{
    unsigned char bytes[8];

    store(bytes, value, size);
    put_bytes(draft, bytes, size);
}

/* ---- Texts and errors --------------------------------------------------- */

/* UTF-8 without control characters, or a promise is broken. */
void check_clean(struct slice text);

/* A decimal number without leading zeros, and nothing else. */
bool decimal_read(struct slice digits, uint64_t *number);

/* ERROR_NONE if there is none of that name. */
enum error_code error_named(struct slice name);

/* What a binary ERROR says: a code of the table, and a text that is its name or
 * begins with it and a space. */
void hear_error(struct heard *, uint64_t code, struct slice text);

/* "joined" (1) to "lagged" (5), and what of its text is a number or none. */
void hear_notice(struct heard *, enum heard_kind kind, struct slice text);

/* ---- The dialects ------------------------------------------------------- */

/* The line of a command without the `/`: its length. The op's say must be one
 * that is said by a command. */
size_t command_line(const struct op *, char line[SPEECH_BYTES_MAX]);

void text_say(const struct voice *, const struct op *, struct draft *);
size_t text_hear(struct voice *, struct slice bytes, struct heard *);

void frame_say(const struct voice *, const struct utterance *, struct draft *);
size_t frame_hear(const struct voice *, struct slice bytes, struct heard *);

void secure_say(struct voice *, const struct utterance *, struct draft *);
size_t secure_hear(struct voice *, struct slice bytes, struct heard *);

/* ---- Of the secure dialect ---------------------------------------------- */

#define HEADERS_BYTES_MAX 4096
#define MAC_BYTES 32
#define SALT_BYTES 16
#define IV_BYTES 12
#define TAG_BYTES 16

#define SECURE_MAGIC SLICE("\x89RING\r\n\x1a")
#define SECURE_ENC SLICE("A256GCM")

/* Where things stand in a message's head. */
enum {
    VERSION_AT = 8,
    TYPE_AT = 10,
    HEADERS_LENGTH_AT = 12,
    HEADERS_CRC_AT = 16,
    CONTENT_LENGTH_AT = 20,
    CONTENT_CRC_AT = 24,
    MAC_AT = 28,
    SECURE_HEAD_BYTES = 60,
};

#define UUID_TEXT_BYTES 36

/* The HMAC under speech_key of two pieces of bytes, one after the other. */
void seal_sign(struct slice head, struct slice rest, uint8_t mac[MAC_BYTES]);

/* The key of what one sender seals. */
void seal_derive(const uint8_t salt[SALT_BYTES], uint8_t key[32]);

/* AES-256-GCM of `content`, with its tag, behind what is in the draft. */
void seal_close(const uint8_t key[32], const uint8_t iv[IV_BYTES],
                struct slice headers, struct slice content, struct draft *);

/* What was sealed, valid until the next call; false if it does not open. */
bool seal_open(const uint8_t key[32], const uint8_t iv[IV_BYTES],
               struct slice headers, struct slice sealed,
               struct slice *content);

/* A message from the server of that boot, with that HMAC, has that iv: another
 * with the same iv breaks a promise. */
void seal_note_iv(const char boot[37], const uint8_t iv[IV_BYTES],
                  const uint8_t mac[MAC_BYTES]);

/* What the server's headers say. */
enum field {
    FIELD_SESSION,
    FIELD_SEQ,
    FIELD_BOOT,
    FIELD_HEARTBEAT,
    FIELD_MAX_CONTENT,
    FIELD_NICK,
    FIELD_ROOM,
    FIELD_ROOM_SEQ,
    FIELD_KIND,
    FIELD_STAMP,
    FIELD_TIME,
    FIELD_CONTENT_TYPE,
    FIELD_CODE,
    FIELD_NAME,
    FIELD_ID,
    FIELD_MORE,
    FIELD_ENC,
    FIELD_IV,
    FIELDS,
};

/* Strings are valid as long as the JSON text, and until the next one is read.
 * Booleans are numbers. */
struct headers {
    uint32_t present; /* a bit for each field */
    struct slice strings[FIELDS];
    uint64_t numbers[FIELDS];
};

/* One JSON object with fields of the right kinds, none twice and none unknown;
 * or a promise is broken. */
void headers_read(struct slice text, struct headers *);

#endif

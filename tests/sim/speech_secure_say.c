/*
 * What peers say in the secure dialect, as docs/protocol.md has it, each thing
 * in one of several forms that mean the same; and what is wrong on purpose.
 */
#include "tests/sim/speech_internal.h"

#include <libdeflate.h>
#include <sodium.h>

/* ---- JSON ---------------------------------------------------------------- */

/* What an utterance's salt chooses from. */
enum {
    FORM_ORIGIN_LAST = 1, /* `session` and `seq` after the rest */
    FORM_SPACED = 2,
    FORM_UNKNOWN = 4,  /* a header that nobody knows */
    FORM_CAPITALS = 8, /* of the UUID */
    FORM_ESCAPED = 16, /* the first letters of strings */
};

struct writer {
    struct draft *draft;
    unsigned form;
    bool begun;
};

static void put_space(const struct writer *writer)
{
    if (writer->form & FORM_SPACED)
        put_literal(writer->draft, " ");
}

static void put_name(struct writer *writer, const char *name)
{
    put_literal(writer->draft, writer->begun ? "," : "{");
    writer->begun = true;
    put_space(writer);
    put_literal(writer->draft, "\"");
    put_literal(writer->draft, name);
    put_literal(writer->draft, "\":");
    put_space(writer);
}

/* One that consists of plain ASCII, without quotes. */
static void put_string(struct writer *writer, const char *name,
                       struct slice string)
{
    static const char digits[] = "0123456789abcdef";

    put_name(writer, name);
    put_literal(writer->draft, "\"");
    if ((writer->form & FORM_ESCAPED) && string.length > 0) {
        put_literal(writer->draft, "\\u00");
        put_bytes(writer->draft, &digits[string.bytes[0] >> 4 & 15], 1);
        put_bytes(writer->draft, &digits[string.bytes[0] & 15], 1);
        string.bytes++;
        string.length--;
    }
    put_slice(writer->draft, string);
    put_literal(writer->draft, "\"");
}

static void put_integer(struct writer *writer, const char *name, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);

    put_name(writer, name);
    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    put_bytes(writer->draft, digits + at, sizeof(digits) - at);
}

/* ---- Headers ------------------------------------------------------------- */

static void put_origin(struct writer *writer, const struct voice *voice)
{
    char uuid[UUID_TEXT_BYTES];

    memcpy(uuid, voice->uuid, sizeof(uuid));
    for (size_t i = 0; (writer->form & FORM_CAPITALS) && i < sizeof(uuid);
         i++) {
        if (uuid[i] >= 'a' && uuid[i] <= 'f')
            uuid[i] = (char)(uuid[i] - 'a' + 'A');
    }
    put_string(writer, "session", (struct slice){uuid, sizeof(uuid)});
    put_integer(writer, "seq", voice->seq_out);
}

static void put_id(struct writer *writer, const struct utterance *utterance)
{
    if (utterance->id > 0)
        put_integer(writer, "id", utterance->id);
}

static void put_offer(struct writer *writer)
{
    char hash[2 * OFFER_HASH_BYTES];

    memset(hash, '0', sizeof(hash));
    put_integer(writer, "transfer", OFFER_TRANSFER);
    put_string(writer, "to", SLICE(OFFER_TO));
    put_string(writer, "name", SLICE(OFFER_NAME));
    put_integer(writer, "size", OFFER_BYTES);
    put_string(writer, "sha256", (struct slice){hash, sizeof(hash)});
}

static void put_message(struct writer *writer,
                        const struct utterance *utterance)
{
    put_id(writer, utterance);
    if (utterance->nick.length > 0)
        put_string(writer, "to", utterance->nick);
    if (utterance->room.length > 0)
        put_string(writer, "room", utterance->room);
    if (utterance->content_type.length > 0)
        put_string(writer, "content_type", utterance->content_type);
}

static void put_fields(struct writer *writer, const struct utterance *utterance)
{
    switch (utterance->type) {
    case TYPE_SESSION_ACK:
        if (utterance->nick.length > 0)
            put_string(writer, "nick", utterance->nick);
        break;
    case TYPE_HEARTBEAT:
        put_string(writer, "kind",
                   utterance->pong ? SLICE("pong") : SLICE("ping"));
        put_integer(writer, "stamp", utterance->stamp);
        break;
    case TYPE_MESSAGE:
        put_message(writer, utterance);
        break;
    case TYPE_COMMAND:
        put_id(writer, utterance);
        break;
    case TYPE_DISCONNECT:
        put_integer(writer, "code", 0);
        break;
    case TYPE_ACK:
        put_integer(writer, "id", 1);
        put_integer(writer, "room_seq", 1);
        break;
    case TYPE_FILE_OFFER:
        put_offer(writer);
        break;
    default:
        break;
    }
}

/* A client's ivs are its seqs. */
static void iv_of(uint64_t seq, uint8_t iv[IV_BYTES])
{
    store(iv, 0, IV_BYTES - 8);
    store(iv + IV_BYTES - 8, seq, 8);
}

/* SESSION_ACK asks for seals, and has none. */
static void put_seal(struct writer *writer, const struct voice *voice,
                     const struct utterance *utterance)
{
    char text[sodium_base64_ENCODED_LEN(IV_BYTES,
                                        sodium_base64_VARIANT_ORIGINAL)];
    uint8_t iv[IV_BYTES];

    if (!voice->sealing)
        return;
    put_string(writer, "enc", SECURE_ENC);
    if (utterance->type == TYPE_SESSION_ACK)
        return;
    iv_of(voice->seq_out, iv);
    sodium_bin2base64(text, sizeof(text), iv, sizeof(iv),
                      sodium_base64_VARIANT_ORIGINAL);
    put_string(writer, "iv", (struct slice){text, sizeof(text) - 1});
}

static void put_headers(struct draft *draft, const struct voice *voice,
                        const struct utterance *utterance)
{
    /* Each form with each of the others, in 32 consecutive messages. */
    struct writer writer = {.draft = draft, .form = utterance->salt % 32};

    if (!(writer.form & FORM_ORIGIN_LAST))
        put_origin(&writer, voice);
    put_fields(&writer, utterance);
    put_seal(&writer, voice, utterance);
    if (writer.form & FORM_UNKNOWN) {
        put_name(&writer, "mood");
        put_literal(draft, "[-1.5e3,{\"good\":[null]}]");
    }
    if (writer.form & FORM_ORIGIN_LAST)
        put_origin(&writer, voice);
    put_space(&writer);
    put_literal(draft, "}");
    put_space(&writer);
}

/* Headers that do not parse: cut off, with something after them, or with one of
 * them twice. */
static void put_bad_headers(struct draft *draft, const struct voice *voice,
                            const struct utterance *utterance)
{
    struct writer writer = {.draft = draft};

    put_origin(&writer, voice);
    if (utterance->salt % 3 == 2)
        put_integer(&writer, "seq", voice->seq_out);
    if (utterance->salt % 3 != 0)
        put_literal(draft, "}");
    if (utterance->salt % 3 == 1)
        put_literal(draft, "{}");
}

/* ---- Messages ------------------------------------------------------------ */

static struct slice draft_from(const struct draft *draft, size_t at)
{
    return (struct slice){(const char *)draft->bytes + at, draft->length - at};
}

static void put_content(struct draft *draft, const struct voice *voice,
                        const struct utterance *utterance)
{
    uint8_t iv[IV_BYTES];

    if (!voice->sealing || utterance->type == TYPE_SESSION_ACK) {
        put_slice(draft, utterance->text);
        return;
    }
    iv_of(voice->seq_out, iv);
    seal_close(voice->key_out, iv, draft_from(draft, SECURE_HEAD_BYTES),
               utterance->text, draft);
}

static void put_crc(struct draft *draft, size_t at, struct slice bytes)
{
    store(draft->bytes + at, libdeflate_crc32(0, bytes.bytes, bytes.length), 4);
}

/* The head before what is there, of which the first bytes are headers. */
static void finish(struct draft *draft, const struct utterance *utterance,
                   size_t headers_length)
{
    unsigned char *head = draft->bytes;
    struct slice rest = draft_from(draft, SECURE_HEAD_BYTES);
    struct slice content =
        draft_from(draft, SECURE_HEAD_BYTES + headers_length);

    memcpy(head, SECURE_MAGIC.bytes, SECURE_MAGIC.length);
    store(head + VERSION_AT, PROTOCOL_VERSION, 2);
    store(head + TYPE_AT, utterance->type, 2);
    store(head + HEADERS_LENGTH_AT, headers_length, 4);
    put_crc(draft, HEADERS_CRC_AT, (struct slice){rest.bytes, headers_length});
    store(head + CONTENT_LENGTH_AT, content.length, 4);
    put_crc(draft, CONTENT_CRC_AT, content);
    seal_sign((struct slice){(const char *)head, MAC_AT}, rest, head + MAC_AT);
}

/* Only the head, since that is as far as it is read. */
static void cut_too_large(const struct voice *voice, struct draft *draft)
{
    store(draft->bytes + CONTENT_LENGTH_AT,
          voice->limits->message_bytes_max + (uint64_t)1, 4);
    draft->length = SECURE_HEAD_BYTES;
}

/* What is checked before is left whole, so that nothing else is found. */
static void damage(const struct voice *voice, enum say say, struct draft *draft)
{
    switch (say) {
    case SAY_TOO_LARGE:
        cut_too_large(voice, draft);
        break;
    case SAY_BAD_MAGIC:
        draft->bytes[SECURE_MAGIC.length - 1] ^= 1;
        break;
    case SAY_BAD_VERSION:
        draft->bytes[VERSION_AT + 1] ^= 2;
        break;
    case SAY_BAD_CRC:
        draft->bytes[CONTENT_CRC_AT] ^= 1;
        break;
    case SAY_BAD_HMAC:
        draft->bytes[SECURE_HEAD_BYTES - 1] ^= 1;
        break;
    default:
        break;
    }
}

/* Seqs rise; that they need not be consecutive, some show. */
static void count_seq(struct voice *voice, const struct utterance *utterance)
{
    if (utterance->say == SAY_REPLAY && voice->seq_out > 0)
        return;
    voice->seq_out += utterance->salt % 8 == 7 ? 3 : 1;
}

void secure_say(struct voice *voice, const struct utterance *utterance,
                struct draft *draft)
{
    size_t headers_length;

    count_seq(voice, utterance);
    voice->sealing |= voice->sealed && utterance->type == TYPE_SESSION_ACK;
    draft->length = SECURE_HEAD_BYTES;
    if (utterance->say == SAY_BAD_HEADER)
        put_bad_headers(draft, voice, utterance);
    else
        put_headers(draft, voice, utterance);
    headers_length = draft->length - SECURE_HEAD_BYTES;
    put_content(draft, voice, utterance);
    finish(draft, utterance, headers_length);
    damage(voice, utterance->say, draft);
}

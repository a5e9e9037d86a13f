/*
 * What the load generator makes of the dialect `secure`, sealed and in the
 * clear, held to docs/protocol.md by the golden vectors and by messages built
 * here with another library: HMAC and AES-GCM are libsodium's, the CRC is
 * counted bit by bit.
 */
#include "tests/load/dialect.h"

#include "tests/unit/support_load.h"
#include "vectors.h"

#include <sodium.h>

enum {
    INIT = 1,
    SESSION_ACK,
    HEARTBEAT,
    MESSAGE,
    ERROR,
    DISCONNECT,
    COMMAND,
    REPLY,
    NOTICE,
    ACK,
    WELCOME,
    FILE_OFFER = 16,
    FILE_DATA = 18
};

#define SESSION "10111213-1415-1617-1819-1a1b1c1d1e1f"
#define BOOT "a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf"
/* The headers of what is sent to one session alone; of what a client sends. */
#define TO_ME(seq) "{\"session\":\"" SESSION "\",\"seq\":" #seq ","
#define FROM_ME(seq) "{\"session\":\"" SESSION "\",\"seq\":" #seq
#define INIT_HEADERS                                                           \
    TO_ME(1) "\"boot\":\"" BOOT "\",\"heartbeat\":5,\"max_content\":1048576}"
#define WELCOME_HEADERS TO_ME(2) "\"nick\":\"alice\",\"room\":\"lobby\"}"
#define SAID(room, seq)                                                        \
    "{\"room\":\"" room "\",\"room_seq\":" seq ",\"nick\":\"alice\","          \
    "\"time\":1700000000123456,\"content_type\":\"text/plain; "                \
    "charset=utf-8\"}"

static const struct terms clear = {vector_key, sizeof(vector_key), false};
static const struct terms sealed = {vector_key, sizeof(vector_key), true};

/* -- building -- */

static uint32_t crc(const unsigned char *bytes, size_t length)
{
    uint32_t rest = UINT32_MAX;

    for (size_t i = 0; i < 8 * length; i++) {
        rest ^= (uint32_t)bytes[i / 8] >> i % 8 & 1U;
        rest = rest >> 1 ^ (rest & 1 ? 0xedb88320 : 0);
    }
    return ~rest;
}

static void put(unsigned char *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(value >> (24 - 8 * i));
}

/* A message whose sums are right, whatever else is wrong. */
static void build(struct out *stream, unsigned type, const char *headers,
                  const void *content, size_t length)
{
    size_t headers_length = strlen(headers);
    size_t all = 60 + headers_length + length;
    unsigned char *message = out_reserve(stream, all);
    crypto_auth_hmacsha256_state mac;

    memcpy(message, "\x89RING\r\n\x1a\0\1", 10);
    memcpy(message + 60, headers, headers_length);
    if (length > 0)
        memcpy(message + 60 + headers_length, content, length);
    message[10] = 0;
    message[11] = (unsigned char)type;
    put(message + 12, (uint32_t)headers_length);
    put(message + 16, crc(message + 60, headers_length));
    put(message + 20, (uint32_t)length);
    put(message + 24, crc(message + 60 + headers_length, length));
    crypto_auth_hmacsha256_init(&mac, vector_key, sizeof(vector_key));
    crypto_auth_hmacsha256_update(&mac, message, 28);
    crypto_auth_hmacsha256_update(&mac, message + 60, all - 60);
    crypto_auth_hmacsha256_final(&mac, message + 28);
    out_added(stream, all);
}

/* As it would be in the clear, with its content sealed; the iv is the number.
 */
static void seal(struct out *stream, unsigned type, const char *headers,
                 const unsigned char *key, unsigned number, const char *content,
                 size_t length)
{
    unsigned char iv[12] = {[11] = (unsigned char)number};
    unsigned char hidden[256];
    char all[1024], iv_text[17];

    sodium_bin2base64(iv_text, sizeof(iv_text), iv, sizeof(iv),
                      sodium_base64_VARIANT_ORIGINAL);
    snprintf(all, sizeof(all), "%.*s,\"enc\":\"A256GCM\",\"iv\":\"%s\"}",
             (int)strlen(headers) - 1, headers, iv_text);
    crypto_aead_aes256gcm_encrypt(hidden, NULL, (const unsigned char *)content,
                                  length, (const unsigned char *)all,
                                  strlen(all), NULL, iv, key);
    build(stream, type, all, hidden, length + 16);
}

/* libsodium has AES only where the processor has it too. */
static void skip_without_aes(void)
{
    if (sodium_init() < 0 || !crypto_aead_aes256gcm_is_available())
        skip();
}

/* The builder makes what the other codec of docs/protocol.md makes. */
static void test_builder(void **state)
{
    struct out stream = {0};

    (void)state;
    build(&stream, INIT, INIT_HEADERS, "", 0);
    assert_bytes(&stream, vector_secure_out_session_init,
                 sizeof(vector_secure_out_session_init));
    out_release(&stream);
    build(&stream, MESSAGE, SAID("lobby", "42"), BYTES("hello"));
    assert_bytes(&stream, vector_secure_out_message,
                 sizeof(vector_secure_out_message));
    out_release(&stream);
}

static void test_builder_seals(void **state)
{
    struct out stream = {0};

    (void)state;
    skip_without_aes();
    seal(&stream, MESSAGE, SAID("lobby", "42"), vector_server_key, 1,
         BYTES("hello"));
    assert_bytes(&stream, vector_sealed_out_message,
                 sizeof(vector_sealed_out_message));
    out_release(&stream);
}

/* -- a client that has come as far as a step -- */

static void feed(struct hearer *hearer, unsigned type, const char *headers,
                 const char *content)
{
    struct out stream = {0};

    build(&stream, type, headers, content, strlen(content));
    hearer_feed(hearer, stream.bytes, stream.end);
    out_release(&stream);
}

/* Welcome, and so in the lobby. */
static void welcomed(struct hearer *hearer)
{
    hearer_init(hearer, &dialect_secure, &clear, "lobby");
    feed(hearer, INIT, INIT_HEADERS, "");
    feed(hearer, WELCOME, WELCOME_HEADERS, "");
    assert_int_equal(hearer->last.kind, ITEM_ENTERED);
}

/* Has asked for seals. */
static void acknowledged(struct hearer *hearer)
{
    hearer_init(hearer, &dialect_secure, &sealed, "lobby");
    feed(hearer, INIT, INIT_HEADERS, "");
    assert_int_equal(hearer->last.kind, ITEM_READY);
}

/* -- conversations -- */

static const char heard_all[] =
    "r:0:\nr:0:\nP:77:\nr:0:joined Den (2 members)\nm:0:first\n"
    "e:0:left lobby\no:0:\nl:17:\nm:0:\n!:0:shutdown\no:0:bye\n";

/* What the server says from its SESSION_INIT to the end. */
static const struct {
    unsigned type;
    const char *headers, *content;
} told[] = {
    {WELCOME, WELCOME_HEADERS, ""},
    {HEARTBEAT, TO_ME(3) "\"kind\":\"ping\",\"stamp\":77}", ""},
    {REPLY, TO_ME(5) "\"id\":2,\"more\":false}", "joined Den (2 members)"},
    {MESSAGE, SAID("Den", "1"), "first"},
    {REPLY, TO_ME(6) "\"id\":3,\"more\":false}", "left lobby"},
    {NOTICE,
     "{\"room_seq\":1,\"kind\":\"joined\",\"room\":\"Den\","
     "\"nick\":\"bob\"}",
     ""},
    {NOTICE, TO_ME(7) "\"kind\":\"lagged\",\"room\":\"Den\",\"nick\":\"\"}",
     "17"},
    {MESSAGE, SAID("DEN", "19"), ""},
    {ERROR, TO_ME(8) "\"code\":33,\"name\":\"shutdown\"}", "shutdown"},
    {DISCONNECT, TO_ME(9) "\"code\":0,\"unknown\":[[[1]]]}", "bye"},
};

/* What the server says, and what should be said to it. */
static void converse(const struct terms *terms, struct out *stream,
                     struct out *said)
{
    const struct conversation conversation = {
        .dialect = &dialect_secure,
        .terms = terms,
        .room = "den",
        .from_server = stream->bytes,
        .from_server_length = stream->end,
        .heard = heard_all,
        .said = said->bytes,
        .said_length = said->end,
    };

    hold_cut_everywhere(&conversation);
    out_release(stream);
    out_release(said);
}

static void test_conversation(void **state)
{
    struct out stream = {0}, said = {0};

    (void)state;
    build(&stream, INIT, INIT_HEADERS, "", 0);
    for (size_t i = 0; i < sizeof(told) / sizeof(*told); i++)
        build(&stream, told[i].type, told[i].headers, told[i].content,
              strlen(told[i].content));
    build(&said, SESSION_ACK, FROM_ME(1) "}", "", 0);
    build(&said, COMMAND, FROM_ME(2) ",\"id\":2}", BYTES("join den"));
    build(&said, HEARTBEAT, FROM_ME(3) ",\"kind\":\"pong\",\"stamp\":77}", "",
          0);
    build(&said, COMMAND, FROM_ME(4) ",\"id\":3}", BYTES("leave lobby"));
    converse(&clear, &stream, &said);
}

static void test_sealed_conversation(void **state)
{
    struct out stream = {0}, said = {0};

    (void)state;
    skip_without_aes();
    build(&stream, INIT, INIT_HEADERS, "", 0);
    for (unsigned i = 0; i < sizeof(told) / sizeof(*told); i++)
        seal(&stream, told[i].type, told[i].headers, vector_server_key, i + 1,
             told[i].content, strlen(told[i].content));
    build(&said, SESSION_ACK, FROM_ME(1) ",\"enc\":\"A256GCM\"}", "", 0);
    seal(&said, COMMAND, FROM_ME(2) ",\"id\":2}", vector_client_key, 2,
         BYTES("join den"));
    seal(&said, HEARTBEAT, FROM_ME(3) ",\"kind\":\"pong\",\"stamp\":77}",
         vector_client_key, 3, "", 0);
    seal(&said, COMMAND, FROM_ME(4) ",\"id\":3}", vector_client_key, 4,
         BYTES("leave lobby"));
    converse(&sealed, &stream, &said);
}

/* -- vectors -- */

/* Those to one session all have seq 1, as SESSION_INIT has: they are replays.
 */
static void test_vectors(void **state)
{
    static const struct {
        const unsigned char *bytes;
        size_t length;
        bool replay;
        const char *heard;
    } given[] = {
#define GIVEN(name, replay, heard)                                             \
    {vector_secure_out_##name, sizeof(vector_secure_out_##name), replay, heard}
        GIVEN(session_init, false, "r:0:\n"),
        GIVEN(welcome, true, ""),
        GIVEN(ping, true, ""),
        GIVEN(pong, true, ""),
        GIVEN(message, false, "m:0:hello\n"),
        GIVEN(message_private, true, ""),
        GIVEN(message_content, false, "m:0:\x89PNG\n\n"),
        GIVEN(error, true, ""),
        GIVEN(error_plain, true, ""),
        GIVEN(disconnect, true, ""),
        GIVEN(notice_joined, false, "o:0:\n"),
        GIVEN(notice_left, false, "o:0:\n"),
        GIVEN(notice_nick, false, "o:0:bob\n"),
        GIVEN(notice_topic, false, "o:0:tea\n"),
        GIVEN(notice_lagged, true, ""),
        GIVEN(ack, true, ""),
#undef GIVEN
    };
    struct hearer hearer;

    (void)state;
    hearer_init(&hearer, &dialect_secure, &clear, "lobby");
    for (size_t i = 0; i < sizeof(given) / sizeof(*given); i++) {
        out_sent(&hearer.heard, out_length(&hearer.heard));
        hearer_feed(&hearer, given[i].bytes, given[i].length);
        if (given[i].replay)
            assert_bytes(&hearer.heard,
                         BYTES("x:0:a seq that does not rise\n"));
        else
            assert_bytes(&hearer.heard, given[i].heard, strlen(given[i].heard));
    }
    assert_bytes(&hearer.out, vector_secure_in_ack_guest,
                 sizeof(vector_secure_in_ack_guest));
    hearer_release(&hearer);
}

static void test_sealed_vectors(void **state)
{
    struct hearer hearer;

    (void)state;
    acknowledged(&hearer);
    hearer_feed(&hearer, vector_sealed_out_message,
                sizeof(vector_sealed_out_message));
    hearer_feed(&hearer, vector_sealed_out_message_content,
                sizeof(vector_sealed_out_message_content));
    hearer_feed(&hearer, vector_sealed_out_notice_topic,
                sizeof(vector_sealed_out_notice_topic));
    hearer_feed(&hearer, vector_sealed_out_notice_joined,
                sizeof(vector_sealed_out_notice_joined));
    assert_bytes(&hearer.heard,
                 BYTES("r:0:\nm:0:hello\nm:0:\x89PNG\n\no:0:tea\no:0:\n"));
    hearer_release(&hearer);
}

/* A second connection of the same client begins again: otherwise SESSION_INIT
 * would be a replay, and its SESSION_ACK have seq 2. */
static void test_second_connection(void **state)
{
    struct hearer hearer;

    (void)state;
    acknowledged(&hearer);
    hearer_feed(&hearer, vector_sealed_out_message,
                sizeof(vector_sealed_out_message));
    out_sent(&hearer.out, out_length(&hearer.out));
    hearer.speaker.terms = &clear;
    hearer.speaker.step = 0;
    dialect_secure.enter(&hearer.speaker, &hearer.out);
    hearer_feed(&hearer, vector_secure_out_session_init,
                sizeof(vector_secure_out_session_init));
    assert_int_equal(hearer.last.kind, ITEM_READY);
    assert_bytes(&hearer.out, vector_secure_in_ack_guest,
                 sizeof(vector_secure_in_ack_guest));
    hearer_release(&hearer);
}

/* -- damage -- */

/* Nothing of a message with a wrong bit is believed. */
static void assert_each_bit_matters(struct hearer *hearer,
                                    const unsigned char *bytes, size_t length)
{
    unsigned char *damaged = exact(bytes, length);
    size_t shorter = 0, longer = 0, invalid = 0, corrupt = 0;

    for (size_t bit = 0; bit < 8 * length; bit++) {
        size_t wanted = 0, extent;
        struct item item = {.kind = ITEM_MESSAGE};

        damaged[bit / 8] ^= (unsigned char)(1U << bit % 8);
        extent = dialect_secure.extent(damaged, length, 0, &wanted);
        if (extent == EXTENT_INVALID) {
            invalid++;
        } else if (extent == 0) {
            assert_true(wanted > length);
            longer++;
        } else {
            unsigned char *whole = exact(damaged, extent);

            dialect_secure.read(&hearer->speaker, whole, extent, &item);
            assert_int_equal(item.kind, ITEM_CORRUPT);
            free(whole);
            shorter += extent < length;
            corrupt++;
        }
        damaged[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    free(damaged);
    assert_int_equal(invalid + longer + corrupt, 8 * length);
    assert_true(shorter > 0 && longer > 0);
    /* Magic and version, and lengths that cannot be. */
    assert_true(invalid >= 80);
}

static void test_damage(void **state)
{
    struct hearer hearer;

    (void)state;
    welcomed(&hearer);
    assert_each_bit_matters(&hearer, vector_secure_out_message,
                            sizeof(vector_secure_out_message));
    hearer_release(&hearer);

    acknowledged(&hearer);
    assert_each_bit_matters(&hearer, vector_sealed_out_message,
                            sizeof(vector_sealed_out_message));
    hearer_feed(&hearer, vector_sealed_out_message,
                sizeof(vector_sealed_out_message));
    assert_int_equal(hearer.last.kind, ITEM_MESSAGE);
    hearer_release(&hearer);

    hearer_init(&hearer, &dialect_secure, &clear, "lobby");
    assert_each_bit_matters(&hearer, vector_secure_out_session_init,
                            sizeof(vector_secure_out_session_init));
    hearer_feed(&hearer, vector_secure_out_session_init,
                sizeof(vector_secure_out_session_init));
    assert_int_equal(hearer.last.kind, ITEM_READY);
    hearer_release(&hearer);
}

/* Another key makes other messages. */
static void test_another_key(void **state)
{
    static const unsigned char key[32] = "another";
    const struct terms terms = {key, sizeof(key), false};
    struct hearer hearer;

    (void)state;
    hearer_init(&hearer, &dialect_secure, &terms, "lobby");
    hearer_feed(&hearer, vector_secure_out_session_init,
                sizeof(vector_secure_out_session_init));
    assert_bytes(&hearer.heard, BYTES("x:0:the HMAC is another\n"));
    hearer_release(&hearer);
}

/* What cannot be is said as soon as it is there. */
static void test_extent(void **state)
{
    unsigned char bytes[60];
    size_t wanted;

    (void)state;
    memcpy(bytes, vector_secure_out_message, sizeof(bytes));
    for (size_t i = 1; i < sizeof(bytes); i++) {
        wanted = 0;
        assert_int_equal(dialect_secure.extent(bytes, i, 0, &wanted), 0);
        assert_int_equal(wanted, 60);
    }
    for (size_t i = 0; i < 10; i++) {
        bytes[i] ^= 1;
        assert_int_equal(
            dialect_secure.extent(bytes, i < 8 ? i + 1 : 10, 0, &wanted),
            EXTENT_INVALID);
        bytes[i] ^= 1;
    }
}

static void assert_lengths(uint32_t headers, uint32_t content, bool valid)
{
    unsigned char bytes[60];
    size_t wanted = 0, extent;

    memcpy(bytes, vector_secure_out_message, sizeof(bytes));
    put(bytes + 12, headers);
    put(bytes + 20, content);
    extent = dialect_secure.extent(bytes, sizeof(bytes), 0, &wanted);
    assert_int_equal(extent, valid ? 0 : EXTENT_INVALID);
    if (valid)
        assert_int_equal(wanted, 60 + headers + content);
}

static void test_lengths(void **state)
{
    (void)state;
    assert_lengths(2, 0, true);
    assert_lengths(1, 0, false);
    assert_lengths(4096, 1048576 + 16, true);
    assert_lengths(4097, 0, false);
    assert_lengths(2, 1048576 + 17, false);
    assert_lengths(UINT32_MAX, 0, false);
    assert_lengths(2, UINT32_MAX, false);
}

/* -- meaning: all of these have the sums that they should have -- */

static const struct {
    unsigned type;
    const char *headers, *content;
} refused[] = {
    {MESSAGE, "[]", "a"},
    {MESSAGE, "{}", "a"},
    {MESSAGE, "{} ,", "a"},
    {MESSAGE,
     "{\"room\":\"lobby\",\"room\":\"lobby\",\"room_seq\":1,"
     "\"nick\":\"a\",\"time\":1,\"content_type\":\"a/b\"}",
     "a"},
    {MESSAGE,
     "{\"room\":\"lobby\",\"room_seq\":1.0,\"nick\":\"a\","
     "\"time\":1,\"content_type\":\"a/b\"}",
     "a"},
    {MESSAGE,
     "{\"room\":\"lobby\",\"room_seq\":-1,\"nick\":\"a\","
     "\"time\":1,\"content_type\":\"a/b\"}",
     "a"},
    {MESSAGE,
     "{\"room\":\"lobby\",\"room_seq\":9007199254740992,"
     "\"nick\":\"a\",\"time\":1,\"content_type\":\"a/b\"}",
     "a"},
    {MESSAGE,
     "{\"room\":\"lobby\",\"room_seq\":1,\"nick\":\"\","
     "\"time\":1,\"content_type\":\"a/b\"}",
     "a"},
    {MESSAGE,
     "{\"room\":\"lobby\",\"room_seq\":1,\"nick\":\"a\","
     "\"time\":1,\"content_type\":\"\"}",
     "a"},
    {MESSAGE,
     "{\"room\":\"lobby\",\"room_seq\":1,\"nick\":\"a\","
     "\"time\":1,\"content_type\":\"a\\u0007\"}",
     "a"},
    {MESSAGE,
     "{\"room\":\"lobby\",\"room_seq\":1,\"nick\":\"a\","
     "\"time\":1,\"content_type\":\"a/b\",\"x\":[[[[1]]]]}",
     "a"},
    {MESSAGE,
     "{\"room\":\"@\",\"room_seq\":0,\"nick\":\"a\","
     "\"time\":1,\"content_type\":\"a/b\"}",
     "a"},
    {INIT, INIT_HEADERS, ""},
    {WELCOME, TO_ME(3) "\"nick\":\"alice\"}", ""},
    {WELCOME, TO_ME(3) "\"nick\":\"alice\",\"room\":\"lobby\"}", "a"},
    {HEARTBEAT, TO_ME(3) "\"kind\":\"pang\",\"stamp\":1}", ""},
    {HEARTBEAT, TO_ME(3) "\"kind\":\"ping\",\"stamp\":\"1\"}", ""},
    {HEARTBEAT, TO_ME(3) "\"kind\":\"ping\",\"stamp\":1}", "a"},
    {HEARTBEAT, TO_ME(2) "\"kind\":\"ping\",\"stamp\":1}", ""},
    {HEARTBEAT,
     "{\"session\":\"" BOOT "\",\"seq\":3,\"kind\":\"ping\","
     "\"stamp\":1}",
     ""},
    {HEARTBEAT, "{\"seq\":3,\"kind\":\"ping\",\"stamp\":1}", ""},
    {HEARTBEAT,
     "{\"session\":\"" SESSION "\",\"kind\":\"ping\","
     "\"stamp\":1}",
     ""},
    {ERROR, TO_ME(3) "\"name\":\"usage\"}", "usage"},
    {ERROR, TO_ME(3) "\"code\":0,\"name\":\"usage\"}", "usage"},
    {ERROR, TO_ME(3) "\"code\":4}", "usage"},
    {DISCONNECT, TO_ME(3) "\"code\":\"0\"}", ""},
    {REPLY, TO_ME(3) "\"id\":2,\"more\":false}", "joined lobby (1 members)"},
    {NOTICE,
     TO_ME(3) "\"kind\":\"lagged\",\"room\":\"lobby\","
              "\"nick\":\"\"}",
     "x"},
    {NOTICE,
     "{\"room_seq\":1,\"kind\":\"jumped\",\"room\":\"lobby\","
     "\"nick\":\"a\"}",
     ""},
    {NOTICE, "{\"kind\":\"left\",\"room\":\"lobby\",\"nick\":\"a\"}", ""},
    {ACK, TO_ME(3) "\"id\":1}", ""},
    {FILE_OFFER, TO_ME(3) "\"name\":\"a\"}", ""},
    {SESSION_ACK, FROM_ME(3) "}", ""},
    {COMMAND, FROM_ME(3) "}", "who"},
    {0, TO_ME(3) "\"a\":1}", ""},
    {12, TO_ME(3) "\"a\":1}", ""},
    {20, TO_ME(3) "\"a\":1}", ""},
};

static void test_headers_refused(void **state)
{
    struct hearer hearer;

    (void)state;
    welcomed(&hearer);
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        feed(&hearer, refused[i].type, refused[i].headers, refused[i].content);
        if (hearer.last.kind != ITEM_CORRUPT)
            print_error("taken: %s\n", refused[i].headers);
        assert_int_equal(hearer.last.kind, ITEM_CORRUPT);
    }
    hearer_release(&hearer);
}

static void test_headers_taken(void **state)
{
    struct hearer hearer;

    (void)state;
    welcomed(&hearer);
    out_sent(&hearer.heard, out_length(&hearer.heard));
    feed(&hearer, MESSAGE,
         "{\"x\":[{\"y\":[\"]]]]}}\\\"{{{[[[\"]}],"
         "\"room\":\"LOBBY\",\"room_seq\":9007199254740991,\"nick\":\"a\","
         "\"time\":1,\"content_type\":\"a/b\"} ",
         "deep");
    feed(&hearer, HEARTBEAT, TO_ME(9) "\"kind\":\"pong\",\"stamp\":0}", "");
    feed(&hearer, MESSAGE,
         TO_ME(10) "\"room\":\"@\",\"room_seq\":0,"
                   "\"nick\":\"a\",\"time\":1,\"content_type\":\"a/b\"}",
         "psst");
    feed(&hearer, ACK, TO_ME(12) "\"id\":1,\"room_seq\":4}", "");
    feed(&hearer, FILE_OFFER, TO_ME(13) "\"transfer\":1}", "");
    feed(&hearer, DISCONNECT, TO_ME(14) "\"code\":30}", "timeout");
    feed(&hearer, DISCONNECT, TO_ME(15) "\"x\":1}", "");
    assert_bytes(&hearer.heard, BYTES("m:0:deep\no:0:\no:0:psst\no:0:\no:0:\n"
                                      "!:0:timeout\no:0:\n"));
    hearer_release(&hearer);
}

/* What is said or missed in another room is told from what only happens there.
 */
static void test_elsewhere(void **state)
{
    static const struct {
        unsigned type;
        const char *headers, *content;
        enum item_kind kind;
    } given[] = {
        {MESSAGE, SAID("Lobby", "8"), "ours", ITEM_MESSAGE},
        {MESSAGE, SAID("den", "8"), "not ours", ITEM_ELSEWHERE},
        {NOTICE, TO_ME(3) "\"kind\":\"lagged\",\"room\":\"den\",\"nick\":\"\"}",
         "3", ITEM_ELSEWHERE},
        {NOTICE, TO_ME(4) "\"kind\":\"lagged\",\"room\":\"den\",\"nick\":\"\"}",
         "x", ITEM_CORRUPT},
        {NOTICE,
         "{\"room_seq\":1,\"kind\":\"left\",\"room\":\"den\",\"nick\":\"a\"}",
         "", ITEM_OTHER},
    };
    struct hearer hearer;

    (void)state;
    welcomed(&hearer);
    for (size_t i = 0; i < sizeof(given) / sizeof(*given); i++) {
        feed(&hearer, given[i].type, given[i].headers, given[i].content);
        assert_int_equal(hearer.last.kind, given[i].kind);
    }
    hearer_release(&hearer);
}

static void test_init_refused(void **state)
{
    static const char *const given[] = {
        TO_ME(1) "\"heartbeat\":5,\"max_content\":1}",
        TO_ME(1) "\"boot\":\"" BOOT "0\",\"heartbeat\":5,\"max_content\":1}",
        TO_ME(1) "\"boot\":\"a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeag\","
                 "\"heartbeat\":5,\"max_content\":1}",
        TO_ME(1) "\"boot\":\"a0a1a2a3+a4a5-a6a7-a8a9-aaabacadaeaf\","
                 "\"heartbeat\":5,\"max_content\":1}",
        TO_ME(1) "\"boot\":\"" BOOT "\",\"max_content\":1}",
        TO_ME(1) "\"boot\":\"" BOOT "\",\"heartbeat\":5}",
        "{\"session\":\"\",\"seq\":1,\"boot\":\"" BOOT "\",\"heartbeat\":5,"
        "\"max_content\":1}",
        "{\"session\":\"" SESSION "\",\"boot\":\"" BOOT "\",\"heartbeat\":5,"
        "\"max_content\":1}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(given) / sizeof(*given); i++) {
        struct hearer hearer;

        hearer_init(&hearer, &dialect_secure, &clear, "lobby");
        feed(&hearer, INIT, given[i], "");
        assert_int_equal(hearer.last.kind, ITEM_CORRUPT);
        assert_int_equal(out_length(&hearer.out), 0);
        hearer_release(&hearer);
    }
}

/* -- seals -- */

/* What the server sent before it knew of seals may come first; then never
 * again anything in the clear. */
static void test_clear_in_sealed_session(void **state)
{
    struct hearer hearer;

    (void)state;
    acknowledged(&hearer);
    feed(&hearer, HEARTBEAT, TO_ME(2) "\"kind\":\"ping\",\"stamp\":1}", "");
    assert_int_equal(hearer.last.kind, ITEM_PING);
    feed(&hearer, WELCOME, TO_ME(3) "\"nick\":\"a\",\"room\":\"lobby\"}", "");
    assert_int_equal(hearer.last.kind, ITEM_CORRUPT);
    hearer_feed(&hearer, vector_sealed_out_message,
                sizeof(vector_sealed_out_message));
    assert_int_equal(hearer.last.kind, ITEM_MESSAGE);
    feed(&hearer, MESSAGE, SAID("lobby", "43"), "hello");
    assert_int_equal(hearer.last.kind, ITEM_CORRUPT);
    feed(&hearer, HEARTBEAT, TO_ME(4) "\"kind\":\"ping\",\"stamp\":1}", "");
    assert_int_equal(hearer.last.kind, ITEM_CORRUPT);
    hearer_release(&hearer);
}

static void test_seals_refused(void **state)
{
    static const char *const given[] = {
        "\"enc\":1,\"iv\":\"AAAAAAAAAAAAAAAB\"}",
        "\"enc\":\"A128GCM\",\"iv\":\"AAAAAAAAAAAAAAAB\"}",
        "\"enc\":\"A256GCM\"}",
        "\"enc\":\"A256GCM\",\"iv\":\"AAAAAAAAAAAAAAA=\"}",
        "\"enc\":\"A256GCM\",\"iv\":\"AAAAAAAAAAAAAAA\"}",
        "\"enc\":\"A256GCM\",\"iv\":\"AAAAAAAAAAAAAA-B\"}",
        "\"enc\":\"A256GCM\",\"iv\":\"AAAAAAAAAAAAAAAB\"}",
    };
    struct hearer hearer;

    (void)state;
    acknowledged(&hearer);
    for (size_t i = 0; i < sizeof(given) / sizeof(*given); i++) {
        char headers[1024], said[] = SAID("lobby", "1");

        said[sizeof(said) - 2] = ',';
        snprintf(headers, sizeof(headers), "%s%s", said, given[i]);
        feed(&hearer, MESSAGE, headers, "0123456789abcdefghi");
        assert_int_equal(hearer.last.kind, ITEM_CORRUPT);
        feed(&hearer, MESSAGE, headers, "0123456789abcde");
        assert_int_equal(hearer.last.kind, ITEM_CORRUPT);
    }
    hearer_release(&hearer);

    welcomed(&hearer); /* without seals */
    hearer_feed(&hearer, vector_sealed_out_message,
                sizeof(vector_sealed_out_message));
    assert_int_equal(hearer.last.kind, ITEM_CORRUPT);
    hearer_release(&hearer);
}

/* -- saying -- */

static void test_says(void **state)
{
    struct hearer hearer;
    struct out said = {0};

    (void)state;
    welcomed(&hearer);
    out_sent(&hearer.out, out_length(&hearer.out));
    dialect_secure.say(&hearer.speaker, "/hello", 6, &hearer.out);
    dialect_secure.leave(&hearer.speaker, &hearer.out);
    build(&said, MESSAGE, FROM_ME(2) ",\"room\":\"lobby\"}", BYTES("/hello"));
    build(&said, DISCONNECT, FROM_ME(3) "}", "", 0);
    assert_bytes(&hearer.out, said.bytes, said.end);
    hearer_release(&hearer);
    out_release(&said);
}

static void test_says_sealed(void **state)
{
    struct hearer hearer;
    struct out said = {0};

    (void)state;
    skip_without_aes();
    acknowledged(&hearer);
    out_sent(&hearer.out, out_length(&hearer.out));
    dialect_secure.say(&hearer.speaker, "hello", 5, &hearer.out);
    dialect_secure.leave(&hearer.speaker, &hearer.out);
    seal(&said, MESSAGE, FROM_ME(2) ",\"room\":\"lobby\"}", vector_client_key,
         2, BYTES("hello"));
    seal(&said, DISCONNECT, FROM_ME(3) "}", vector_client_key, 3, "", 0);
    assert_bytes(&hearer.out, said.bytes, said.end);
    hearer_release(&hearer);
    out_release(&said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builder),
        cmocka_unit_test(test_builder_seals),
        cmocka_unit_test(test_conversation),
        cmocka_unit_test(test_sealed_conversation),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_sealed_vectors),
        cmocka_unit_test(test_second_connection),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_another_key),
        cmocka_unit_test(test_extent),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_headers_refused),
        cmocka_unit_test(test_headers_taken),
        cmocka_unit_test(test_elsewhere),
        cmocka_unit_test(test_init_refused),
        cmocka_unit_test(test_clear_in_sealed_session),
        cmocka_unit_test(test_seals_refused),
        cmocka_unit_test(test_says),
        cmocka_unit_test(test_says_sealed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

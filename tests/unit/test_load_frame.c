/*
 * What the load generator makes of the dialect `frame`, held to
 * docs/protocol.md by frames written by hand and by the golden vectors.
 */
#include "tests/load/dialect.h"

#include "tests/unit/support_load.h"
#include "vectors.h"

/* Numbers of the types, and bodies, as in that page. */
enum {
    INIT = 1,
    HEARTBEAT = 3,
    MESSAGE,
    ERROR,
    DISCONNECT,
    COMMAND,
    REPLY,
    NOTICE,
    ACK,
    WELCOME,
    OFFER = 16,
    ACCEPT,
    DATA,
    END
};

#define INIT_BODY                                                              \
    "\1"                                                                       \
    "0123456789abcdef"                                                         \
    "\0\5"                                                                     \
    "\0\0\x40\0"
#define WELCOME_BODY                                                           \
    "\5guest"                                                                  \
    "\5lobby"
#define SEQ "\0\0\0\0\0\0\0\x2a"
#define TIME "\1\2\3\4\5\6\7\x8"
#define FROM_ALICE                                                             \
    SEQ TIME "\5lobby"                                                         \
             "\5alice"

/* What a client says to come in. */
#define SAYS_ACK                                                               \
    "\0\2\0\2"                                                                 \
    "\1\0"
#define SAYS_JOIN                                                              \
    "\0\7\0\xc"                                                                \
    "\0\0\0\2"                                                                 \
    "join den"
#define SAYS_LEAVE                                                             \
    "\0\7\0\xf"                                                                \
    "\0\0\0\3"                                                                 \
    "leave lobby"

static void frame(struct out *stream, unsigned type, const void *body,
                  size_t length)
{
    unsigned char head[] = {0, (unsigned char)type,
                            (unsigned char)(length >> 8),
                            (unsigned char)length};

    out_append(stream, head, sizeof(head));
    out_append(stream, body, length);
}

static void assert_frame(unsigned step, unsigned type, const void *body,
                         size_t length, const char *heard)
{
    struct out stream = {0};

    frame(&stream, type, body, length);
    assert_reads_at(&dialect_frame, "lobby", step, stream.bytes, stream.end,
                    heard);
    out_release(&stream);
}

static void assert_frame_corrupt(unsigned step, unsigned type, const void *body,
                                 size_t length)
{
    struct out stream = {0};

    frame(&stream, type, body, length);
    assert_corrupt(&dialect_frame, step, stream.bytes, stream.end);
    out_release(&stream);
}

static void test_conversation(void **state)
{
    struct conversation conversation = {
        .dialect = &dialect_frame,
        .room = "den",
        .heard = "r:0:\nr:0:\nP:72623859790382856:\n"
                 "r:0:joined Den (2 members)\nm:0:first\ne:0:left lobby\n"
                 "o:0:\nm:0:\nl:17:\n!:0:shutdown\no:0:bye\n",
        .said = SAYS_ACK SAYS_JOIN "\0\3\0\x9"
                                   "\1" TIME SAYS_LEAVE,
        .said_length = sizeof(SAYS_ACK SAYS_JOIN "1234"
                                                 "1" TIME SAYS_LEAVE) -
                       1,
    };
    struct out stream = {0};

    (void)state;
    frame(&stream, INIT, BYTES(INIT_BODY));
    frame(&stream, WELCOME, BYTES(WELCOME_BODY));
    frame(&stream, HEARTBEAT, BYTES("\0" TIME));
    frame(&stream, REPLY,
          BYTES("\0\0\0\2"
                "\0"
                "joined Den (2 members)"));
    frame(&stream, MESSAGE,
          BYTES(SEQ TIME "\3"
                         "Den"
                         "\3"
                         "bob"
                         "first"));
    frame(&stream, REPLY,
          BYTES("\0\0\0\3"
                "\0"
                "left lobby"));
    frame(&stream, NOTICE,
          BYTES("\1"
                "\3"
                "Den"
                "\3"
                "bob"));
    frame(&stream, MESSAGE,
          BYTES(SEQ TIME "\3"
                         "Den"
                         "\3"
                         "bob"));
    frame(&stream, NOTICE,
          BYTES("\5"
                "\3"
                "Den"
                "\0"
                "17"));
    frame(&stream, ERROR,
          BYTES("\0\x21"
                "\0\0\0\0"
                "shutdown"));
    frame(&stream, DISCONNECT,
          BYTES("\0\0"
                "bye"));
    conversation.from_server = stream.bytes;
    conversation.from_server_length = stream.end;
    hold_cut_everywhere(&conversation);
    out_release(&stream);
}

/* What is said or missed in another room is told from what only happens there.
 */
static void test_elsewhere(void **state)
{
    static const struct {
        unsigned type;
        const char *body;
        size_t length;
        enum item_kind kind;
    } given[] = {
        {MESSAGE, BYTES(SEQ TIME "\3den\5alice"), ITEM_MESSAGE},
        {MESSAGE, BYTES(FROM_ALICE "not ours"), ITEM_ELSEWHERE},
        {MESSAGE, BYTES("\0\0\0\0\0\0\0\0" TIME "\1@\5alice"), ITEM_OTHER},
        {NOTICE,
         BYTES("\5\3Den\0"
               "17"),
         ITEM_LAGGED},
        {NOTICE,
         BYTES("\5\5lobby\0"
               "17"),
         ITEM_ELSEWHERE},
        {NOTICE,
         BYTES("\5\5lobby\0"
               "x"),
         ITEM_CORRUPT},
        {NOTICE, BYTES("\1\5lobby\3bob"), ITEM_OTHER},
    };
    struct hearer hearer;

    (void)state;
    hearer_init(&hearer, &dialect_frame, NULL, "den");
    for (size_t i = 0; i < sizeof(given) / sizeof(*given); i++) {
        struct out stream = {0};

        frame(&stream, given[i].type, given[i].body, given[i].length);
        hearer_feed(&hearer, stream.bytes, stream.end);
        assert_int_equal(hearer.last.kind, given[i].kind);
        out_release(&stream);
    }
    hearer_release(&hearer);
}

/* Who is to be in the lobby is there with the welcome. */
static void test_vectors(void **state)
{
    static const struct {
        const unsigned char *bytes;
        size_t length;
        unsigned step;
        const char *heard;
    } given[] = {
#define GIVEN(name, step, heard)                                               \
    {vector_frame_out_##name, sizeof(vector_frame_out_##name), step, heard}
        GIVEN(session_init, 0, "r:0:\n"),
        GIVEN(welcome, 1, "e:0:\n"),
        GIVEN(ping, 1, "P:77:\n"),
        GIVEN(pong, 1, "o:77:\n"),
        GIVEN(message, 1, "m:0:hello\n"),
        GIVEN(message_private, 1, "o:0:hello\n"),
        GIVEN(message_content, 1, "m:0:sent image/png (5 bytes)\n"),
        GIVEN(notice_joined, 1, "o:0:\n"),
        GIVEN(notice_left, 1, "o:0:\n"),
        GIVEN(notice_nick, 1, "o:0:bob\n"),
        GIVEN(notice_topic, 1, "o:0:tea\n"),
        GIVEN(notice_lagged, 1, "l:17:\n"),
        GIVEN(error, 1, "!:0:nick-in-use bob\n"),
        GIVEN(error_plain, 1, "!:0:internal\n"),
        GIVEN(disconnect, 1, "o:0:\n"),
        GIVEN(ack, 1, "o:0:\n"),
#undef GIVEN
    };

    (void)state;
    for (size_t i = 0; i < sizeof(given) / sizeof(*given); i++)
        assert_reads_at(&dialect_frame, "lobby", given[i].step, given[i].bytes,
                        given[i].length, given[i].heard);
}

/* What of a body is too short in each of its fields, and one byte too long. */
static void test_whole_bodies(void **state)
{
    static const struct {
        unsigned step, type;
        const char *body;
        size_t length;
        bool open; /* text is its last field: `length` is what is before it */
        const char *heard;
    } given[] = {
        {0, INIT, BYTES(INIT_BODY), false, "r:0:\n"},
        {1, WELCOME, BYTES(WELCOME_BODY), false, "e:0:\n"},
        {1, HEARTBEAT, BYTES("\1" TIME), false, "o:72623859790382856:\n"},
        {1, MESSAGE, BYTES(FROM_ALICE), true, "m:0:\n"},
        {1, ERROR,
         BYTES("\0\6"
               "\0\0\0\0"),
         true, "!:0:\n"},
        {1, DISCONNECT, BYTES("\0\6"), true, "!:0:\n"},
        {1, NOTICE,
         BYTES("\1"
               "\1l"
               "\1n"),
         false, "o:0:\n"},
        {1, NOTICE,
         BYTES("\4"
               "\1l"
               "\1n"),
         true, "o:0:\n"},
        {1, ACK, BYTES("\0\0\0\1" SEQ), false, "o:0:\n"},
        {1, OFFER,
         BYTES("\0\0\0\1"
               "\1n"
               "\1f" TIME TIME TIME TIME TIME),
         false, "o:0:\n"},
        {1, ACCEPT, BYTES("\0\0\0\1" TIME), false, "o:0:\n"},
        {1, DATA, BYTES("\0\0\0\1" TIME), true, "o:0:\n"},
        {1, END,
         BYTES("\0\0\0\1"
               "\3"),
         false, "o:0:\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(given) / sizeof(*given); i++) {
        size_t length = given[i].length;
        char longer[128] = {0};

        memcpy(longer, given[i].body, length);
        longer[length] = '1';
        for (size_t cut = 0; cut < length; cut++)
            assert_frame_corrupt(given[i].step, given[i].type, longer, cut);
        assert_frame(given[i].step, given[i].type, longer, length,
                     given[i].heard);
        if (!given[i].open)
            assert_frame_corrupt(given[i].step, given[i].type, longer,
                                 length + 1);
    }
}

static const struct {
    unsigned step, type;
    const char *body;
    size_t length;
} corrupt[] = {
    {1, 0, BYTES("")},
    {1, 2, BYTES("\1\0")},
    {1, COMMAND, BYTES("\0\0\0\0who")},
    {1, 12, BYTES("")},
    {1, 15, BYTES("")},
    {1, 20, BYTES("")},
    {1, INIT, BYTES(INIT_BODY)},
    {0, INIT,
     BYTES("\2"
           "0123456789abcdef"
           "\0\5"
           "\0\0\x40\0")},
    {0, WELCOME, BYTES(WELCOME_BODY)},
    {2, WELCOME, BYTES(WELCOME_BODY)},
    {1, WELCOME,
     BYTES("\0"
           "\5lobby")},
    {1, WELCOME,
     BYTES("\5guest"
           "\0")},
    {1, HEARTBEAT, BYTES("\2" TIME)},
    {1, MESSAGE,
     BYTES(SEQ TIME "\1@"
                    "\5alice"
                    "hello")},
    {1, MESSAGE,
     BYTES("\0\0\0\0\0\0\0\0" TIME "\5lobby"
           "\5alice"
           "a")},
    {1, MESSAGE,
     BYTES(SEQ TIME "\0"
                    "\5alice"
                    "hello")},
    {1, MESSAGE,
     BYTES(SEQ TIME "\5lobby"
                    "\0"
                    "hello")},
    {1, MESSAGE,
     BYTES(SEQ TIME "\x21"
                    "aaaabbbbaaaabbbbaaaabbbbaaaabbbbc"
                    "\5alice"
                    "hello")},
    {1, MESSAGE,
     BYTES(SEQ TIME "\5lobby"
                    "\x19"
                    "aaaabbbbaaaabbbbaaaabbbbc"
                    "hello")},
    {1, ERROR,
     BYTES("\0\0"
           "\0\0\0\0"
           "what")},
    {1, REPLY,
     BYTES("\0\0\0\2"
           "\0"
           "joined lobby (2 members)")},
    {2, REPLY,
     BYTES("\0\0\0\2"
           "\1"
           "joined lobby (2 members)")},
    {2, REPLY,
     BYTES("\0\0\0\3"
           "\0"
           "joined lobby (2 members)")},
    {2, REPLY,
     BYTES("\0\0\0\2"
           "\0"
           "joined lobby")},
    {2, REPLY,
     BYTES("\0\0\0\2"
           "\0"
           "joined lobby ")},
    {2, REPLY,
     BYTES("\0\0\0\2"
           "\0"
           "joined den (2 members)")},
    {2, REPLY,
     BYTES("\0\0\0\2"
           "\0"
           "left lobby")},
    {2, REPLY,
     BYTES("\0\0\0\2"
           "\0")},
    {3, REPLY,
     BYTES("\0\0\0\3"
           "\0"
           "left den")},
    {3, REPLY,
     BYTES("\0\0\0\3"
           "\0"
           "left lobbyy")},
    {1, NOTICE,
     BYTES("\0"
           "\5lobby"
           "\1n")},
    {1, NOTICE,
     BYTES("\6"
           "\5lobby"
           "\1n")},
    {1, NOTICE,
     BYTES("\1"
           "\5lobby"
           "\0")},
    {1, NOTICE,
     BYTES("\3"
           "\5lobby"
           "\1n")},
    {1, NOTICE,
     BYTES("\5"
           "\5lobby"
           "\0")},
    {1, NOTICE,
     BYTES("\5"
           "\5lobby"
           "\0"
           "1x")},
    {1, NOTICE,
     BYTES("\5"
           "\5lobby"
           "\1n"
           "1")},
};

static void test_corrupt(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(corrupt) / sizeof(*corrupt); i++)
        assert_frame_corrupt(corrupt[i].step, corrupt[i].type, corrupt[i].body,
                             corrupt[i].length);
    assert_corrupt(&dialect_frame, 1,
                   BYTES("\1\3\0\x9"
                         "\0" TIME));
    assert_frame(2, REPLY, BYTES("\0\0\0\2\0joined LOBBY (9 members)"),
                 "r:0:joined LOBBY (9 members)\n");
}

static void test_lengths(void **state)
{
    unsigned char *longest = malloc(4 + UINT16_MAX);
    size_t wanted = 0;

    (void)state;
    assert_non_null(longest);
    memset(longest, 0xff, 4 + UINT16_MAX);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(dialect_frame.extent(longest, i, 0, &wanted), 0);
        assert_int_equal(wanted, 4);
    }
    for (size_t i = 4; i < 4 + UINT16_MAX; i++) {
        assert_int_equal(dialect_frame.extent(longest, i, i - 1, &wanted), 0);
        assert_int_equal(wanted, 4 + UINT16_MAX);
    }
    assert_int_equal(dialect_frame.extent(longest, wanted, 0, &wanted),
                     4 + UINT16_MAX);
    free(longest);
}

static void test_says(void **state)
{
    struct hearer hearer;
    char *text = calloc(1, dialect_frame.text_max);

    (void)state;
    assert_non_null(text);
    assert_says(&dialect_frame, "#den", "/who",
                BYTES("\0\4\0\xc"
                      "\0\0\0\0"
                      "\3"
                      "den"
                      "/who"));
    assert_leaves(&dialect_frame, BYTES("\0\6\0\2"
                                        "\0\0"));

    /* The longest fills a frame that is addressed to the longest room. */
    hearer_init(&hearer, &dialect_frame, NULL,
                "aaaabbbbaaaabbbbaaaabbbbaaaabbbb");
    dialect_frame.say(&hearer.speaker, text, dialect_frame.text_max,
                      &hearer.out);
    assert_int_equal(out_length(&hearer.out), 4 + VECTOR_FRAME_BYTES_MAX);
    assert_memory_equal(hearer.out.bytes,
                        "\0\4\x40\0\0\0\0\0\x20"
                        "aaaa",
                        13);
    hearer_release(&hearer);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversation),
        cmocka_unit_test(test_elsewhere),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_whole_bodies),
        cmocka_unit_test(test_corrupt),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

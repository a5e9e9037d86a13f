/*
 * Keys: every character and every sequence, in whatever pieces it comes.
 */
#include "client/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static struct keys keys;

static int set_up(void **state)
{
    (void)state;
    keys_init(&keys);
    return 0;
}

/* What a key came to, for people: text as it is, chords as [number]. */
static void describe(char *out, size_t size, struct key key)
{
    size_t length = strlen(out);

    switch (key.kind) {
    case KEY_NOTHING:
        return;
    case KEY_TEXT:
    case KEY_PASTED:
        (void)snprintf(out + length, size - length, "%s%.*s",
                       key.kind == KEY_PASTED ? "+" : "", (int)key.length,
                       key.bytes);
        return;
    case KEY_PASTE_BEGIN:
        (void)snprintf(out + length, size - length, "{");
        return;
    case KEY_PASTE_END:
        (void)snprintf(out + length, size - length, "}");
        return;
    case KEY_CHORD:
        (void)snprintf(out + length, size - length, "[%d]",
                       key.chord == CHORD_ROOM ? 100 + (int)key.number
                                               : (int)key.chord);
    }
}

static void feed(char *out, size_t size, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        describe(out, size, keys_feed(&keys, (unsigned char)bytes[i]));
}

static void check(const char *bytes, const char *expected)
{
    char came[512] = "";

    feed(came, sizeof(came), bytes, strlen(bytes));
    assert_string_equal(came, expected);
}

static void check_chord(const char *bytes, enum chord chord)
{
    char expected[16];

    (void)snprintf(expected, sizeof(expected), "[%d]", (int)chord);
    check(bytes, expected);
    assert_false(keys_waits(&keys));
}

static void characters_come_whole(void **state)
{
    (void)state;
    check("a~ ", "a~ ");
    check("\u00E9\u6F22\U0001F600", "\u00E9\u6F22\U0001F600");
    check("\x7F"
          "x",
          "[9]x");
    assert_int_equal(CHORD_BACKSPACE, 9);
}

static void what_is_no_character_is_dropped(void **state)
{
    (void)state;
    check("\xC3"
          "a",
          "a");
    check("\x80\xBF\xC0\xC1\xF5\xFF"
          "b",
          "b");
    check("\xE6\xBC\u00E9", "\u00E9");
    check("\xED\xA0\x80"
          "c",
          "c"); /* a surrogate */
    check("\xE0\x80\x80"
          "d",
          "d"); /* too long for what it says */
    check("\xF4\x90\x80\x80"
          "e",
          "e");
    check("\xC2\x85\xC2\x9B"
          "f",
          "f"); /* controls of two bytes */
    check("\x01\x02\x1C\x1D\x1E\x1F", "[7][3]");
    assert_int_equal(CHORD_START, 7);
    assert_int_equal(CHORD_LEFT, 3);
}

static void chords(void **state)
{
    static const struct {
        const char *bytes;
        enum chord chord;
    } cases[] = {
        {"\r", CHORD_SEND},
        {"\n", CHORD_SEND},
        {"\t", CHORD_COMPLETE},
        {"\x1B[Z", CHORD_COMPLETE_BACK},
        {"\x1B[D", CHORD_LEFT},
        {"\x1BOD", CHORD_LEFT},
        {"\x1B[C", CHORD_RIGHT},
        {"\x1B[1;5D", CHORD_WORD_LEFT},
        {"\x1BOd", CHORD_WORD_LEFT},
        {"\x1B"
         "b",
         CHORD_WORD_LEFT},
        {"\x1B[1;5C", CHORD_WORD_RIGHT},
        {"\x1B"
         "f",
         CHORD_WORD_RIGHT},
        {"\x1B[H", CHORD_START},
        {"\x1BOH", CHORD_START},
        {"\x1B[1~", CHORD_START},
        {"\x1B[7~", CHORD_START},
        {"\x1B[F", CHORD_END},
        {"\x1B[4~", CHORD_END},
        {"\x1B[3~", CHORD_DELETE},
        {"\x04", CHORD_LEAVE_OR_DELETE},
        {"\b", CHORD_BACKSPACE},
        {"\x17", CHORD_KILL_WORD},
        {"\x1B\x7F", CHORD_KILL_WORD},
        {"\x15", CHORD_KILL_START},
        {"\x0B", CHORD_KILL_END},
        {"\x19", CHORD_YANK},
        {"\x1B[A", CHORD_OLDER},
        {"\x1BOB", CHORD_NEWER},
        {"\x1B[5~", CHORD_PAGE_UP},
        {"\x1B[6~", CHORD_PAGE_DOWN},
        {"\x1B[1;3F", CHORD_BOTTOM},
        {"\x10", CHORD_ROOM_BEFORE},
        {"\x0E", CHORD_ROOM_NEXT},
        {"\x1B[1;3D", CHORD_ROOM_BEFORE},
        {"\x1B[1;3C", CHORD_ROOM_NEXT},
        {"\x1B"
         "a",
         CHORD_ROOM_UNREAD},
        {"\x0C", CHORD_REDRAW},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        check_chord(cases[i].bytes, cases[i].chord);
    check("\x1B"
          "1\x1B"
          "9\x1B"
          "0",
          "[100][108][109]");
}

static void an_escape_alone_is_known_by_the_silence(void **state)
{
    struct key key;

    (void)state;
    assert_false(keys_waits(&keys));
    check("\x1B", "");
    assert_true(keys_waits(&keys));
    key = keys_idle(&keys);
    assert_int_equal(key.kind, KEY_CHORD);
    assert_int_equal(key.chord, CHORD_CANCEL);
    assert_false(keys_waits(&keys));
    check("b", "b");
    check_chord("\x1B[A", CHORD_OLDER);
    check("\x1B[", ""); /* Alt-[, which is nothing */
    assert_true(keys_waits(&keys));
    assert_int_equal(keys_idle(&keys).kind, KEY_NOTHING);
    check("x", "x");
}

static void two_escapes_are_one_and_what_follows(void **state)
{
    char expected[32];

    (void)state;
    (void)snprintf(expected, sizeof(expected), "[%d][%d]", (int)CHORD_CANCEL,
                   (int)CHORD_OLDER);
    check("\x1B\x1B[A", expected);
}

static void what_is_not_known_is_dropped_whole(void **state)
{
    (void)state;
    check("\x1B[?1;2c|", "|");          /* a terminal says what it is */
    check("\x1B[24;80R|", "|");         /* where its cursor is */
    check("\x1B[<0;12;3M|", "|");       /* a mouse */
    check("\x1B[[A|", "|");             /* F1 of the Linux console */
    check("\x1BOP\x1B[15~\x1Bq|", "|"); /* F1, F5, Alt-q */
    check("\x1B[1;2;3;4;5;6;7;8;9;10;11A|", "|");
    check("\x1B\u00E9|", "\u00E9|"); /* Alt, and more than ASCII */
}

static void what_is_pasted_sends_nothing(void **state)
{
    (void)state;
    check("\x1B[200~a\rb\n\tc\u00E9\x01\x04\x1B[A\x1B[201~d",
          "{+a+\n+b+\n+ +c+\u00E9}d");
    check("\x1B[201~e", "e");
    check("\x1B[200~\x1B[200~f\x1B\x1B[201~g", "{+f}g");
    check("\x1B[200~\x1B", "{");
    assert_int_equal(keys_idle(&keys).kind, KEY_NOTHING);
    check("h\x1B[201~", "+h}");
}

/* In two reads, between which there was no silence, all is as in one. */
static void it_does_not_matter_where_a_read_ends(void **state)
{
    static const char input[] =
        "a\u6F22\x1B[1;5C\x1B"
        "b\x1B[200~x\u00E9\r\x1B[201~\U0001F600\x1BOA\x1B"
        "7";
    char whole[256] = "", pieces[256];

    (void)state;
    feed(whole, sizeof(whole), input, sizeof(input) - 1);
    for (size_t cut = 0; cut < sizeof(input); cut++) {
        pieces[0] = '\0';
        keys_init(&keys);
        feed(pieces, sizeof(pieces), input, cut);
        if (keys.pending_length > 0) /* a character may come late */
            assert_false(keys_waits(&keys));
        feed(pieces, sizeof(pieces), input + cut, sizeof(input) - 1 - cut);
        assert_string_equal(pieces, whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(characters_come_whole, set_up),
        cmocka_unit_test_setup(what_is_no_character_is_dropped, set_up),
        cmocka_unit_test_setup(chords, set_up),
        cmocka_unit_test_setup(an_escape_alone_is_known_by_the_silence, set_up),
        cmocka_unit_test_setup(two_escapes_are_one_and_what_follows, set_up),
        cmocka_unit_test_setup(what_is_not_known_is_dropped_whole, set_up),
        cmocka_unit_test_setup(what_is_pasted_sends_nothing, set_up),
        cmocka_unit_test_setup(it_does_not_matter_where_a_read_ends, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

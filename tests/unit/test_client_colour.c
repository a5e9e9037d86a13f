/*
 * Colours: that they can be read, and whose is which.
 */
#include "client/colour.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define BLACK 16
#define WHITE 231

/* The part of red (2), green (1) or blue (0) in xterm's colour, 0 to 255. */
static unsigned part_of(unsigned colour, unsigned which)
{
    static const unsigned steps[] = {0, 95, 135, 175, 215, 255};
    static const unsigned place[] = {1, 6, 36};

    assert_in_range(colour, 16, 255);
    if (colour >= 232)
        return 8 + 10 * (colour - 232);
    return steps[(colour - 16) / place[which] % 6];
}

/* x to the power of 2.4, for 0 to 1: y of y^5 = x^12, found by halving. */
static double power_2_4(double x)
{
    double low = 0, high = 1;

    for (int i = 0; i < 60; i++) {
        double y = (low + high) / 2;
        double x4 = x * x * x * x;

        if (y * y * y * y * y < x4 * x4 * x4)
            low = y;
        else
            high = y;
    }
    return low;
}

/* WCAG 2.1, "relative luminance" and "contrast ratio". */
static double luminance(unsigned colour)
{
    static const double weights[] = {0.0722, 0.7152, 0.2126};
    double sum = 0;

    for (unsigned i = 0; i < 3; i++) {
        double part = part_of(colour, i) / 255.0;

        sum +=
            weights[i] * (part <= 0.03928 ? part / 12.92
                                          : power_2_4((part + 0.055) / 1.055));
    }
    return sum;
}

static double contrast(unsigned a, unsigned b)
{
    double first = luminance(a) + 0.05, second = luminance(b) + 0.05;

    return first > second ? first / second : second / first;
}

static void check_contrast(struct look look, unsigned behind, double least)
{
    if (look.front == COLOUR_NONE)
        return;
    if (look.back != COLOUR_NONE)
        behind = (unsigned)look.back;
    if (contrast((unsigned)look.front, behind) < least)
        fail_msg("%d on %u", look.front, behind);
}

/* Nicks enough to meet each colour. */
static void check_palette(enum theme theme, unsigned behind, double least)
{
    const struct palette *palette = palette_for(theme, 256, false);
    char nick[16];

    for (int role = 0; role < ROLES; role++)
        check_contrast(palette_role(palette, (enum role)role), behind, least);
    for (int i = 0; i < 200; i++) {
        (void)snprintf(nick, sizeof(nick), "n%d", i);
        check_contrast(palette_nick(palette, slice_of(nick)), behind, least);
    }
}

static void all_can_be_read(void **state)
{
    (void)state;
    assert_true(contrast(BLACK, WHITE) > 20.9);
    assert_true(contrast(BLACK, WHITE) < 21.1);
    check_palette(THEME_DARK, BLACK, 4.5);
    check_palette(THEME_LIGHT, WHITE, 4.5);
    check_palette(THEME_ANY, BLACK, 3);
    check_palette(THEME_ANY, WHITE, 3);
}

static void a_nick_has_its_colour(void **state)
{
    const struct palette *palette = palette_for(THEME_DARK, 256, false);
    bool seen[256] = {false};
    size_t count = 0;
    char nick[16];

    (void)state;
    assert_int_equal(palette_nick(palette, SLICE("Alice")).front,
                     palette_nick(palette, SLICE("aLICE")).front);
    for (int i = 0; i < 200; i++) {
        (void)snprintf(nick, sizeof(nick), "n%d", i);
        seen[palette_nick(palette, slice_of(nick)).front] = true;
    }
    for (size_t i = 0; i < 256; i++)
        count += seen[i];
    assert_int_equal(count, 12);
}

static void without_colours_there_are_none(void **state)
{
    const struct palette *const none[4] = {
        palette_for(THEME_DARK, 256, true), palette_for(THEME_ANY, 0, false),
        palette_for(THEME_LIGHT, -1, false), palette_for(THEME_ANY, 7, false)};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_true(palette_nick(none[i], SLICE("bob")).bold);
        assert_int_equal(palette_nick(none[i], SLICE("bob")).front,
                         COLOUR_NONE);
        for (int role = 0; role < ROLES; role++) {
            struct look look = palette_role(none[i], (enum role)role);

            assert_int_equal(look.front, COLOUR_NONE);
            assert_int_equal(look.back, COLOUR_NONE);
        }
    }
    for (int i = 0; i < 50; i++) {
        char nick[16];

        (void)snprintf(nick, sizeof(nick), "n%d", i);
        assert_in_range(
            palette_nick(palette_for(THEME_ANY, 16, false), slice_of(nick))
                .front,
            1, 6);
    }
}

/* Who is addressed, and what is unread, stands out without colours too. */
static void nothing_is_told_by_colour_alone(void **state)
{
    static const enum role marked[] = {ROLE_ADDRESSED, ROLE_ERROR};
    const struct palette *const palettes[5] = {
        palette_for(THEME_DARK, 256, false),
        palette_for(THEME_LIGHT, 256, false),
        palette_for(THEME_ANY, 256, false), palette_for(THEME_ANY, 8, false),
        palette_for(THEME_ANY, 8, true)};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        for (size_t j = 0; j < sizeof(marked) / sizeof(*marked); j++)
            assert_true(palette_role(palettes[i], marked[j]).bold);
        assert_true(palette_role(palettes[i], ROLE_BAR_SHOWN).bold);
        assert_true(palette_role(palettes[i], ROLE_BAR_UNREAD).bold);
    }
}

static void what_the_environment_says(void **state)
{
    (void)state;
    assert_int_equal(theme_of_environment("15;0"), THEME_DARK);
    assert_int_equal(theme_of_environment("7;default;8"), THEME_DARK);
    assert_int_equal(theme_of_environment("0;15"), THEME_LIGHT);
    assert_int_equal(theme_of_environment("0;7"), THEME_LIGHT);
    assert_int_equal(theme_of_environment("0;default"), THEME_ANY);
    assert_int_equal(theme_of_environment("0;"), THEME_ANY);
    assert_int_equal(theme_of_environment("0;100"), THEME_ANY);
    assert_int_equal(theme_of_environment("15"), THEME_ANY);
    assert_int_equal(theme_of_environment(""), THEME_ANY);
    assert_int_equal(theme_of_environment(NULL), THEME_ANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_can_be_read),
        cmocka_unit_test(a_nick_has_its_colour),
        cmocka_unit_test(without_colours_there_are_none),
        cmocka_unit_test(nothing_is_told_by_colour_alone),
        cmocka_unit_test(what_the_environment_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

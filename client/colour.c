/*
 * The palettes. Numbers are xterm's: 16 to 231 a cube of 6 by 6 by 6, and greys
 * up to 255; of 8, those that each terminal has in its own way.
 */
#include "client/colour.h"

#include "common/wire/name.h"

#include <assert.h>
#include <stddef.h>

#define NICK_COLOURS_MAX 12

/* FNV-1a, 32 bits (draft-eastlake-fnv). */
#define FNV_BASIS UINT32_C(2166136261)
#define FNV_PRIME UINT32_C(16777619)

struct palette {
    struct look roles[ROLES];
    uint32_t nick_count; /* 0: nicks are bold, and that is all */
    int16_t nicks[NICK_COLOURS_MAX];
};

#define PLAIN                                                                  \
    {                                                                          \
        COLOUR_NONE, COLOUR_NONE, false, false                                 \
    }
#define BOLD                                                                   \
    {                                                                          \
        COLOUR_NONE, COLOUR_NONE, true, false                                  \
    }
#define REVERSE                                                                \
    {                                                                          \
        COLOUR_NONE, COLOUR_NONE, false, true                                  \
    }
#define LOUD                                                                   \
    {                                                                          \
        COLOUR_NONE, COLOUR_NONE, true, true                                   \
    }
#define FRONT(colour)                                                          \
    {                                                                          \
        (colour), COLOUR_NONE, false, false                                    \
    }
#define FRONT_BOLD(colour)                                                     \
    {                                                                          \
        (colour), COLOUR_NONE, true, false                                     \
    }
#define ON(front, back)                                                        \
    {                                                                          \
        (front), (back), false, false                                          \
    }
#define ON_BOLD(front, back)                                                   \
    {                                                                          \
        (front), (back), true, false                                           \
    }

/* Bars in reverse, in which bold is what differs. */
#define BARS_REVERSE                                                           \
    [ROLE_BAR] = REVERSE, [ROLE_BAR_SHOWN] = LOUD, [ROLE_BAR_UNREAD] = LOUD,   \
    [ROLE_BAR_ADDRESSED] = BOLD, [ROLE_BAR_TROUBLE] = LOUD

static const struct palette none = {
    .roles = {[ROLE_TEXT] = PLAIN,
              [ROLE_TIME] = PLAIN,
              [ROLE_QUIET] = PLAIN,
              [ROLE_ADDRESSED] = BOLD,
              [ROLE_ERROR] = BOLD,
              [ROLE_GAP] = BOLD,
              BARS_REVERSE},
};

static const struct palette eight = {
    .roles = {[ROLE_TEXT] = PLAIN,
              [ROLE_TIME] = PLAIN,
              [ROLE_QUIET] = PLAIN,
              [ROLE_ADDRESSED] = BOLD,
              [ROLE_ERROR] = FRONT_BOLD(1),
              [ROLE_GAP] = FRONT_BOLD(3),
              BARS_REVERSE},
    .nick_count = 6,
    .nicks = {1, 2, 3, 4, 5, 6},
};

static const struct palette any = {
    .roles = {[ROLE_TEXT] = PLAIN,
              [ROLE_TIME] = FRONT(244),
              [ROLE_QUIET] = FRONT(244),
              [ROLE_ADDRESSED] = FRONT_BOLD(202),
              [ROLE_ERROR] = FRONT_BOLD(196),
              [ROLE_GAP] = FRONT(166),
              BARS_REVERSE},
    .nick_count = 12,
    .nicks = {168, 136, 64, 29, 30, 31, 68, 69, 98, 135, 169, 137},
};

static const struct palette dark = {
    .roles = {[ROLE_TEXT] = PLAIN,
              [ROLE_TIME] = FRONT(245),
              [ROLE_QUIET] = FRONT(245),
              [ROLE_ADDRESSED] = FRONT_BOLD(221),
              [ROLE_ERROR] = FRONT_BOLD(203),
              [ROLE_GAP] = FRONT(179),
              [ROLE_BAR] = ON(250, 236),
              [ROLE_BAR_SHOWN] = ON_BOLD(255, 239),
              [ROLE_BAR_UNREAD] = ON_BOLD(117, 236),
              [ROLE_BAR_ADDRESSED] = ON_BOLD(16, 221),
              [ROLE_BAR_TROUBLE] = ON_BOLD(215, 236)},
    .nick_count = 12,
    .nicks = {75, 114, 180, 176, 80, 111, 150, 209, 141, 73, 217, 186},
};

static const struct palette light = {
    .roles = {[ROLE_TEXT] = PLAIN,
              [ROLE_TIME] = FRONT(243),
              [ROLE_QUIET] = FRONT(243),
              [ROLE_ADDRESSED] = FRONT_BOLD(162),
              [ROLE_ERROR] = FRONT_BOLD(160),
              [ROLE_GAP] = FRONT(130),
              [ROLE_BAR] = ON(238, 254),
              [ROLE_BAR_SHOWN] = ON_BOLD(16, 250),
              [ROLE_BAR_UNREAD] = ON_BOLD(25, 254),
              [ROLE_BAR_ADDRESSED] = ON_BOLD(231, 162),
              [ROLE_BAR_TROUBLE] = ON_BOLD(124, 254)},
    .nick_count = 12,
    .nicks = {124, 94, 28, 23, 24, 26, 61, 91, 127, 125, 58, 55},
};

const struct palette *palette_for(enum theme theme, int colours, bool no_colour)
{
    if (no_colour || colours < 8)
        return &none;
    if (colours < 256)
        return &eight;
    if (theme == THEME_DARK)
        return &dark;
    return theme == THEME_LIGHT ? &light : &any;
}

struct look palette_role(const struct palette *palette, enum role role)
{
    assert(role < ROLES);
    return palette->roles[role];
}

struct look palette_nick(const struct palette *palette, struct slice nick)
{
    struct look look = BOLD;
    uint32_t hash = FNV_BASIS;

    for (size_t i = 0; i < nick.length; i++) {
        char folded;

        name_fold((struct slice){nick.bytes + i, 1}, &folded);
        hash = (hash ^ (unsigned char)folded) * FNV_PRIME;
    }
    if (palette->nick_count > 0)
        look.front = palette->nicks[hash % palette->nick_count];
    return look;
}

/* "FRONT;BACK" or "FRONT;default;BACK", in the 16 colours of old: of the back,
 * 0 to 6 and 8 are dark. */
enum theme theme_of_environment(const char *colorfgbg)
{
    const char *back = colorfgbg ? strrchr(colorfgbg, ';') : NULL;

    if (!back || strspn(back + 1, "0123456789") != strlen(back + 1))
        return THEME_ANY;
    switch (strlen(back + 1)) {
    case 1:
        return back[1] == '7' || back[1] == '9' ? THEME_LIGHT : THEME_DARK;
    case 2:
        return THEME_LIGHT;
    default:
        return THEME_ANY;
    }
}

/*
 * Looks: which colours there are, and whose is which. A nick's colour follows
 * from the nick alone, so that it is the same for all and tomorrow.
 *
 * Palettes are for dark, for light, and for who knows what: of the latter each
 * colour has a contrast (WCAG 2.1) of 3 to both black and white, of the others
 * 4.5 to theirs. Without colours (NO_COLOR, or a terminal of fewer than 8) bold
 * and reverse remain: nothing is told by colour alone.
 */
#ifndef RINGCHAT_CLIENT_COLOUR_H
#define RINGCHAT_CLIENT_COLOUR_H

#include "common/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum theme { THEME_ANY, THEME_DARK, THEME_LIGHT };

#define COLOUR_NONE (-1)

struct look {
    int16_t front, back; /* COLOUR_NONE: the terminal's own */
    bool bold, reverse;
};

enum role {
    ROLE_TEXT,
    ROLE_TIME,
    ROLE_QUIET,     /* who came and went, what a command replied */
    ROLE_ADDRESSED, /* what names us */
    ROLE_ERROR,
    ROLE_GAP,
    ROLE_BAR,
    ROLE_BAR_SHOWN,
    ROLE_BAR_UNREAD,
    ROLE_BAR_ADDRESSED,
    ROLE_BAR_TROUBLE,
    ROLES,
};

struct palette;

/* `colours`: how many the terminal has. */
const struct palette *palette_for(enum theme, int colours, bool no_colour);

struct look palette_role(const struct palette *, enum role);
struct look palette_nick(const struct palette *, struct slice nick);

/* "15;0" of COLORFGBG says dark; NULL or anything else says nothing. */
enum theme theme_of_environment(const char *colorfgbg);

#endif

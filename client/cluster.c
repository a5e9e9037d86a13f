/*
 * Where clusters end (UAX #29 revision 41, of Unicode 15.0), and what is drawn.
 */
#include "client/cluster.h"

#include "common/base/utf8.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#define REPLACEMENT L'\xFFFD'
#define DOTTED_CIRCLE L'\x25CC'
#define SKIN_TONE_FIRST 0x1F3FB
#define SKIN_TONE_LAST 0x1F3FF

/* Hangul syllables, The Unicode Standard, 3.12. */
#define HANGUL_FIRST 0xAC00
#define HANGUL_LAST 0xD7A3
#define HANGUL_TRAILERS 28

enum break_class {
    CLASS_OTHER,
    CLASS_CONTROL,
    CLASS_EXTEND,
    CLASS_ZWJ,
    CLASS_REGIONAL_INDICATOR,
    CLASS_PREPEND,
    CLASS_SPACINGMARK,
    CLASS_L,
    CLASS_V,
    CLASS_T,
    CLASS_LV,
    CLASS_LVT,
    CLASS_EXTENDED_PICTOGRAPHIC,
};

struct range {
    uint32_t first, last;
};

struct class_range {
    uint32_t first, last;
    enum break_class of;
};

#include "client/cluster_table.h"

#define COUNT(table) (sizeof(table) / sizeof(*(table)))

/* ---- What a character is ------------------------------------------------ */

/* The first character of `text`, and its length. */
static uint32_t decode(struct slice text, size_t *length)
{
    const unsigned char *bytes = (const unsigned char *)text.bytes;
    uint32_t code;

    assert(text.length > 0);
    *length = utf8_length(bytes, text.length);
    assert(*length > 0 && !utf8_is_control(bytes, *length));
    if (*length == 1)
        return bytes[0];
    code = bytes[0] & (0x7FU >> *length);
    for (size_t i = 1; i < *length; i++)
        code = code << 6 | (bytes[i] & 0x3F);
    return code;
}

static enum break_class class_of(uint32_t code)
{
    size_t low = 0, high = COUNT(class_table);

    if (code >= HANGUL_FIRST && code <= HANGUL_LAST)
        return (code - HANGUL_FIRST) % HANGUL_TRAILERS == 0 ? CLASS_LV
                                                            : CLASS_LVT;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (code > class_table[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < COUNT(class_table) && code >= class_table[low].first)
        return class_table[low].of;
    return CLASS_OTHER;
}

static bool is_ignorable(uint32_t code)
{
    for (size_t i = 0; i < COUNT(ignorable_table); i++) {
        if (code <= ignorable_table[i].last)
            return code >= ignorable_table[i].first;
    }
    return false;
}

static bool is_skin_tone(uint32_t code)
{
    return code >= SKIN_TONE_FIRST && code <= SKIN_TONE_LAST;
}

/* ---- Where clusters end ------------------------------------------------- */

/* What has to be known of the cluster so far. */
struct run {
    enum break_class last;
    bool flag;     /* an odd number of regional indicators ends it */
    bool pictured; /* Extended_Pictographic Extend* ends it... */
    bool joined;   /* ...and then a ZWJ */
};

static void run_add(struct run *run, enum break_class of)
{
    run->joined = run->pictured && of == CLASS_ZWJ;
    run->pictured = of == CLASS_EXTENDED_PICTOGRAPHIC ||
                    (run->pictured && of == CLASS_EXTEND);
    run->flag = of == CLASS_REGIONAL_INDICATOR && !run->flag;
    run->last = of;
}

static bool hangul_goes_on(enum break_class last, enum break_class next)
{
    switch (last) {
    case CLASS_L: /* GB6 */
        return next == CLASS_L || next == CLASS_V || next == CLASS_LV ||
               next == CLASS_LVT;
    case CLASS_LV: /* GB7 */
    case CLASS_V:
        return next == CLASS_V || next == CLASS_T;
    case CLASS_LVT: /* GB8 */
    case CLASS_T:
        return next == CLASS_T;
    default:
        return false;
    }
}

/* Whether there is no boundary before `next`: rules GB4 to GB999. GB3 is about
 * line ends, of which there are none. */
static bool run_goes_on(const struct run *run, enum break_class next)
{
    if (run->last == CLASS_CONTROL || next == CLASS_CONTROL) /* GB4, GB5 */
        return false;
    if (next == CLASS_EXTEND || next == CLASS_ZWJ || /* GB9 */
        next == CLASS_SPACINGMARK ||                 /* GB9a */
        run->last == CLASS_PREPEND)                  /* GB9b */
        return true;
    if (next == CLASS_EXTENDED_PICTOGRAPHIC) /* GB11 */
        return run->joined;
    if (next == CLASS_REGIONAL_INDICATOR) /* GB12, GB13 */
        return run->flag;
    return hangul_goes_on(run->last, next);
}

size_t cluster_length(struct slice text)
{
    struct run run = {.last = CLASS_OTHER};
    size_t at, length;

    run_add(&run, class_of(decode(text, &at)));
    while (at < text.length) {
        struct slice rest = {text.bytes + at, text.length - at};
        enum break_class next = class_of(decode(rest, &length));

        if (!run_goes_on(&run, next))
            break;
        run_add(&run, next);
        at += length;
    }
    return at;
}

/* The boundaries on both sides of the byte before `at`. */
static void cluster_around(struct slice text, size_t at, size_t *before,
                           size_t *from)
{
    assert(at <= text.length);
    *before = *from = 0;
    while (*from < at) {
        struct slice rest = {text.bytes + *from, text.length - *from};

        *before = *from;
        *from += cluster_length(rest);
    }
}

size_t cluster_before(struct slice text, size_t at)
{
    size_t before, from;

    cluster_around(text, at, &before, &from);
    return before;
}

size_t cluster_from(struct slice text, size_t at)
{
    size_t before, from;

    cluster_around(text, at, &before, &from);
    return from;
}

/* ---- What is drawn ------------------------------------------------------ */

static void cell_add(struct cell *cell, wchar_t shown)
{
    if (cell->count < CELL_CHARS_MAX)
        cell->shown[cell->count++] = shown;
}

/* Begins a cell with a character that is drawn. */
static void cell_begin(struct cell *cell, uint32_t code)
{
    int columns = wcwidth((wchar_t)code);

    if (columns < 0)
        cell_add(cell, REPLACEMENT);
    else if (columns == 0)
        cell_add(cell, DOTTED_CIRCLE);
    if (columns >= 0)
        cell_add(cell, (wchar_t)code);
    cell->columns = columns < 1 ? 1 : (unsigned)columns;
}

/* Whether `code` changes how the cell looks, or nothing; else it begins one. */
static bool cell_takes(const struct cell *cell, uint32_t code)
{
    if (is_ignorable(code))
        return true;
    return cell->count > 0 &&
           (is_skin_tone(code) || wcwidth((wchar_t)code) == 0);
}

/*
 * It may begin within a cluster, which is looked at as if it began there. What
 * a cell takes goes on with a cluster whatever stood before: no such character
 * is a pictograph or half of a flag.
 */
struct cell cell_next(struct slice text)
{
    struct cell cell = {.columns = 0};
    struct run run = {.last = CLASS_OTHER};

    while (cell.taken < text.length) {
        struct slice rest = {text.bytes + cell.taken, text.length - cell.taken};
        size_t length;
        uint32_t code = decode(rest, &length);
        enum break_class of = class_of(code);

        if (cell.taken > 0 && !run_goes_on(&run, of))
            break;
        if (cell.count > 0 && !cell_takes(&cell, code))
            break;
        if (cell.count == 0 && !is_ignorable(code))
            cell_begin(&cell, code);
        else if (!is_ignorable(code) && !is_skin_tone(code))
            cell_add(&cell, (wchar_t)code);
        run_add(&run, of);
        cell.taken += length;
    }
    return cell;
}

unsigned text_columns(struct slice text)
{
    unsigned columns = 0;

    while (text.length > 0) {
        struct cell cell = cell_next(text);

        columns += cell.columns;
        text.bytes += cell.taken;
        text.length -= cell.taken;
    }
    return columns;
}

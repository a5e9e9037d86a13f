/*
 * Taming (tame.h), a character at a time. What becomes of one depends on
 * nothing behind it, so that a text can be tamed anew to a smaller size, and is
 * the same until there.
 */
#include "client/tame.h"

#include "client/cluster.h"
#include "common/base/utf8.h"

#define TAB_COLUMNS 8

#define REPLACEMENT SLICE("\uFFFD")
#define ZWNJ SLICE("\u200C")
#define ZWJ SLICE("\u200D")
#define VS15 SLICE("\uFE0E")
#define VS16 SLICE("\uFE0F")
#define LINE_SEPARATOR SLICE("\u2028")
#define PARAGRAPH_SEPARATOR SLICE("\u2029")

struct taming {
    enum tame_for use;
    char *out;
    size_t length, size;
    /* Columns of what has been written, up to `counted`. */
    unsigned columns;
    size_t counted;
};

/* False: it does not fit, and nothing has been written. */
static bool put(struct taming *taming, struct slice text)
{
    if (taming->size - taming->length < text.length)
        return false;
    memcpy(taming->out + taming->length, text.bytes, text.length);
    taming->length += text.length;
    return true;
}

static bool put_tab(struct taming *taming)
{
    static const char spaces[TAB_COLUMNS] = "        ";
    struct slice since = {taming->out + taming->counted,
                          taming->length - taming->counted};
    unsigned columns = taming->columns + text_columns(since);
    unsigned width = TAB_COLUMNS - columns % TAB_COLUMNS;

    if (!put(taming, (struct slice){spaces, width}))
        return false;
    taming->columns = columns + width;
    taming->counted = taming->length;
    return true;
}

/* Whether nothing is drawn for it, and it joins nothing that is. */
static bool is_left_out(struct slice character)
{
    return cell_next(character).count == 0 && !slice_equals(character, ZWNJ) &&
           !slice_equals(character, ZWJ) && !slice_equals(character, VS15) &&
           !slice_equals(character, VS16);
}

static bool put_character(struct taming *taming, struct slice character)
{
    const unsigned char *bytes = (const unsigned char *)character.bytes;

    if (utf8_is_control(bytes, character.length) ||
        slice_equals(character, LINE_SEPARATOR) ||
        slice_equals(character, PARAGRAPH_SEPARATOR))
        return put(taming, REPLACEMENT);
    if (taming->use == TAME_PLAIN && character.length > 1 &&
        is_left_out(character))
        return true;
    return put(taming, character);
}

/* Takes the first character of `rest`. False: there is no room for it. */
static bool tame_next(struct taming *taming, struct slice *rest)
{
    const unsigned char *bytes = (const unsigned char *)rest->bytes;
    size_t length = utf8_length(bytes, rest->length);
    bool fits;

    if (length == 0)
        fits = put(taming, REPLACEMENT);
    else if (bytes[0] == '\t')
        fits = put_tab(taming);
    else
        fits = put_character(taming, (struct slice){rest->bytes, length});
    if (!fits)
        return false;
    length = length > 0 ? length : 1;
    rest->bytes += length;
    rest->length -= length;
    return true;
}

/* As much as fits. */
static struct tamed tame_to(enum tame_for use, struct slice original, char *out,
                            size_t size)
{
    struct taming taming = {.use = use, .size = size};

    taming.out = out;
    while (original.length > 0 && tame_next(&taming, &original))
        continue;
    return (struct tamed){taming.length, original.length};
}

struct tamed tame(enum tame_for use, struct slice original, char *out,
                  size_t size)
{
    struct tamed tamed = tame_to(use, original, out, size);
    size_t whole;

    if (tamed.left_out == 0)
        return tamed;
    /* The last cluster may go on with what did not fit. One that is all there
     * is has to be cut. */
    whole = cluster_before((struct slice){out, tamed.length}, tamed.length);
    return whole > 0 ? tame_to(use, original, out, whole) : tamed;
}

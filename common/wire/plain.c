/*
 * The form, as a grammar (RFC 5234) whose every text RFC 8259 takes too:
 *
 *     headers = "{" field *11( "," field ) "}"
 *     field   = string ":" ( string / number )    ; no name twice
 *     string  = DQUOTE *( %x20-21 / %x23-5B / %x5D-7E ) DQUOTE
 *     number  = "0" / ( %x31-39 *17DIGIT )
 *
 * Each function takes its rule from `*at` and moves past it, or fails.
 */
#include "common/wire/plain.h"

#include "common/base/digits.h"

struct text {
    const char *at, *end;
};

static bool is_next(const struct text *text, char c)
{
    return text->at < text->end && *text->at == c;
}

static bool take(struct text *text, char c)
{
    if (!is_next(text, c))
        return false;
    text->at++;
    return true;
}

static bool stands_for_itself(char c)
{
    return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

static bool take_string(struct text *text, struct slice *string)
{
    const char *start;

    if (!take(text, '"'))
        return false;
    start = text->at;
    while (text->at < text->end && stands_for_itself(*text->at))
        text->at++;
    *string = (struct slice){start, (size_t)(text->at - start)};
    return take(text, '"');
}

static bool take_number(struct text *text, uint64_t *number)
{
    const char *start = text->at;

    *number = 0;
    if (take(text, '0'))
        return true; /* no digit may follow: no field ends with one */
    while (text->at < text->end && is_digit(*text->at) &&
           text->at - start < PLAIN_DIGITS_MAX)
        *number = *number * 10 + (uint64_t)(*text->at++ - '0');
    return text->at > start;
}

static bool take_field(struct text *text, struct plain_field *field)
{
    if (!take_string(text, &field->name) || !take(text, ':'))
        return false;
    if (is_next(text, '"'))
        return take_string(text, &field->string);
    field->string.bytes = NULL;
    return take_number(text, &field->number);
}

bool plain_read(struct plain *plain, struct slice json)
{
    struct text text = {json.bytes, json.bytes + json.length};

    plain->count = 0;
    if (!take(&text, '{'))
        return false;
    do {
        struct plain_field *field = &plain->fields[plain->count];

        if (plain->count == PLAIN_FIELDS_MAX || !take_field(&text, field) ||
            plain_find(plain, field->name))
            return false;
        plain->count++;
    } while (take(&text, ','));
    return take(&text, '}') && text.at == text.end;
}

const struct plain_field *plain_find(const struct plain *plain,
                                     struct slice name)
{
    for (unsigned i = 0; i < plain->count; i++) {
        if (slice_equals(plain->fields[i].name, name))
            return &plain->fields[i];
    }
    return NULL;
}

/*
 * The form, as a grammar (RFC 5234) whose every text RFC 8259 takes too:
 *
 *     headers = "{" member *11( "," member ) "}"
 *     member  = string ":" ( string / number )    ; no name twice
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

/* The bytes of a string. */
static const bool is_plain[256] = {
    [' ' ... '!'] = true,
    ['#' ... '['] = true,
    [']' ... '~'] = true,
};

static bool take_string(struct text *text, struct slice *string)
{
    const char *at; /* not in memory, as text->at is: most time is spent here */

    if (!take(text, '"'))
        return false;
    at = text->at;
    while (at < text->end && is_plain[(unsigned char)*at])
        at++;
    *string = (struct slice){text->at, (size_t)(at - text->at)};
    text->at = at;
    return take(text, '"');
}

static bool take_number(struct text *text, uint64_t *number)
{
    const char *start = text->at;

    *number = 0;
    if (take(text, '0'))
        return true; /* no digit may follow: no field ends with one */
    while (text->at < text->end && is_digit(*text->at) &&
           text->at - start < JSON_INTEGER_BYTES_MAX)
        *number = *number * 10 + (uint64_t)(*text->at++ - '0');
    return text->at > start;
}

static bool take_member(struct text *text, struct member *member)
{
    if (!take_string(text, &member->name) || !take(text, ':'))
        return false;
    if (is_next(text, '"')) {
        member->kind = MEMBER_STRING;
        return take_string(text, &member->string);
    }
    member->kind = MEMBER_INTEGER;
    return take_number(text, &member->number);
}

bool plain_read(struct json *json, struct slice plain)
{
    struct text text = {plain.bytes, plain.bytes + plain.length};

    json->count = 0;
    if (!take(&text, '{'))
        return false;
    do {
        struct member *member = &json->members[json->count];

        if (json->count == PLAIN_MEMBERS_MAX || !take_member(&text, member) ||
            json_find(json, member->name))
            return false;
        json->count++;
    } while (take(&text, ','));
    return take(&text, '}') && text.at == text.end;
}

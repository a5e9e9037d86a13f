/*
 * jansson, held to the contract: it neither limits depth to what we allow (and
 * takes stack for each level) nor takes numbers that do not fit a C type,
 * though in a header that nobody reads any value is allowed. So a copy of the
 * text is looked through before it.
 */
#include "common/wire/headers.h"

#include "common/base/limits.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>

/* Longer digits may overflow 64 bits, and no header has a use for them. */
#define INTEGER_BYTES_MAX 18

/* jansson takes some failures of malloc for errors of syntax. */
static _Thread_local bool out_of_memory;

static void *json_malloc(size_t size)
{
    void *memory = malloc(size);

    if (!memory)
        out_of_memory = true;
    return memory;
}

void headers_seed(uint64_t seed)
{
    assert(seed != 0);
    json_object_seed((size_t)seed);
    json_set_alloc_funcs(json_malloc, free);
}

/* ---- Numbers ------------------------------------------------------------ */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *skip_digits(const char *at, const char *end)
{
    while (at < end && is_digit(*at))
        at++;
    return at;
}

/*
 * The end of the number that begins at `at`, by the grammar of RFC 8259,
 * section 6; where it breaks off, NULL. `*exponent` is set if it has one.
 */
static const char *number_end(const char *at, const char *end, bool *exponent)
{
    const char *start;

    *exponent = false;
    if (at < end && *at == '-')
        at++;
    if (at == end || !is_digit(*at))
        return NULL;
    at = *at == '0' ? at + 1 : skip_digits(at, end);
    if (at < end && *at == '.') {
        start = at + 1;
        at = skip_digits(start, end);
        if (at == start)
            return NULL;
    }
    if (at == end || (*at != 'e' && *at != 'E'))
        return at;
    *exponent = true;
    at++;
    if (at < end && (*at == '+' || *at == '-'))
        at++;
    start = at;
    at = skip_digits(start, end);
    return at > start ? at : NULL;
}

static char *string_end(char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\' && at + 1 < end)
            at++;
    }
    return at < end ? at + 1 : at;
}

/* Overwrites a number with a small one that has an exponent, too, and the same
 * sign, or what stands around something wrong might come to be right. */
static void make_small(char *number, size_t length)
{
    static const char small[] = {'0', 'e', '0'};
    size_t sign = *number == '-';

    memset(number + sign, ' ', length - sign);
    memcpy(number + sign, small, sizeof(small));
}

/* Passes the number, or what begins like one, at `at`. */
static char *tame_number(char *at, const char *end)
{
    bool exponent;
    const char *after = number_end(at, end, &exponent);
    size_t length;

    if (!after)
        after = is_digit(*at) ? skip_digits(at, end) : at + 1;
    else if (exponent || after - at > INTEGER_BYTES_MAX)
        make_small(at, (size_t)(after - at));
    length = (size_t)(after - at);
    return at + length;
}

/*
 * Makes the text one that jansson reads as the contract says: numbers that may
 * be too large for it become small ones of the same kind. False if the text is
 * too deep, or has a NUL, which jansson would overlook.
 */
static bool tame(char *json, size_t length)
{
    char *at = json, *end = json + length;
    unsigned depth = 0;

    while (at < end) {
        switch (*at) {
        case '\0':
            return false;
        case '{':
        case '[':
            if (++depth > HEADERS_DEPTH_MAX)
                return false;
            at++;
            break;
        case '}':
        case ']':
            depth -= depth > 0;
            at++;
            break;
        case '"':
            at = string_end(at, end);
            break;
        default:
            at = tame_number(at, end);
            break;
        }
    }
    return true;
}

/* ---- Parsing ------------------------------------------------------------ */

enum headers_outcome headers_parse(struct slice json, struct headers **headers)
{
    char tamed[HEADERS_BYTES_MAX];
    json_t *root;

    assert(json.length <= sizeof(tamed));
    memcpy(tamed, json.bytes, json.length);
    if (!tame(tamed, json.length))
        return HEADERS_MALFORMED;
    out_of_memory = false;
    root = json_loadb(tamed, json.length,
                      JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    if (out_of_memory) {
        json_decref(root);
        return HEADERS_NO_MEMORY;
    }
    if (!json_is_object(root)) {
        json_decref(root);
        return HEADERS_MALFORMED;
    }
    *headers = (struct headers *)root;
    return HEADERS_PARSED;
}

/* ---- Reading ------------------------------------------------------------ */

static json_t *json_of(const struct headers *headers)
{
    return (json_t *)(uintptr_t)headers;
}

void headers_free(struct headers *headers)
{
    json_decref(json_of(headers));
}

enum field headers_string(const struct headers *headers, const char *name,
                          struct slice *value)
{
    const json_t *field = json_object_get(json_of(headers), name);

    if (!field)
        return FIELD_ABSENT;
    if (!json_is_string(field))
        return FIELD_WRONG;
    *value =
        (struct slice){json_string_value(field), json_string_length(field)};
    return FIELD_THERE;
}

enum field headers_number(const struct headers *headers, const char *name,
                          uint64_t *value)
{
    const json_t *field = json_object_get(json_of(headers), name);

    if (!field)
        return FIELD_ABSENT;
    if (!json_is_integer(field) || json_integer_value(field) < 0 ||
        json_integer_value(field) > (json_int_t)HEADER_NUMBER_MAX)
        return FIELD_WRONG;
    *value = (uint64_t)json_integer_value(field);
    return FIELD_THERE;
}

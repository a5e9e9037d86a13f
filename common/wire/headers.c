/*
 * Headers as programs write them are read by plain.c: for texts this short
 * jansson takes longer than all that is signed and checked. It reads all
 * others, held to the contract: it neither limits depth to what we allow (and
 * takes stack for each level) nor takes numbers that do not fit a C type,
 * though in a header that nobody reads any value is allowed. So the text is
 * looked through before it. And its memory is ours, and always enough: jansson
 * is not safe without.
 */
#include "common/wire/headers.h"

#include "common/base/digits.h"
#include "common/wire/plain.h"

#include <assert.h>
#include <jansson.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Longer digits may overflow 64 bits, and no header has a use for them. */
#define INTEGER_BYTES_MAX 18

/* ---- Memory ------------------------------------------------------------- */

/*
 * In jansson 2.14, lex_save (src/load.c) overlooks that strbuffer_append_byte
 * found no memory: the byte is lost. Where it is the quote that ends a string,
 * lex_scan_string reads and writes on, past its blocks. It is known since 2017
 * (https://github.com/akheron/jansson/issues/362; pull request 747 would cure
 * it). So what jansson gets is an arena that cannot run out: nothing is given
 * back to it, and each parse begins it anew.
 *
 * No text costs more than 80 bytes a byte, counted for 64 bits in steps of 16
 * (src/jansson_private.h and hashtable.h have the structs). What grows doubles,
 * and all its generations together are less than 4 times what is in it:
 *
 *     value   object 80 + 128 (8 buckets), array 48 + 64 (8 places),
 *             string 32 + its text, number 32, true 0
 *     entry   in an array 4 * 8, in an object 64 + its key twice + 4 * 16
 *     token   4 times the longest
 *
 * So `{},` costs most, (208 + 32) / 3; `[{}],` is 70, `"a":{},` 50, `[],` 48,
 * `0,` 32, `"",` 27 and a long key 6 bytes a byte. What a malformed text leaves
 * open has cost before it has all its bytes, but that is one value a level.
 */
#define COST_MAX 80

struct headers {
    bool is_plain;
    struct plain plain; /* of `text`, if it is */
    json_t *root;       /* in `memory`, if not; NULL: nothing parsed */
    size_t used;
    char text[HEADERS_BYTES_MAX]; /* what was parsed last: a copy */
    alignas(max_align_t) unsigned char memory[HEADERS_MEMORY_BYTES];
};

_Static_assert(HEADERS_MEMORY_BYTES / 4 * 3 >= COST_MAX * HEADERS_BYTES_MAX,
               "jansson cannot run out of memory, whatever the text");

/* What jansson asks for memory does not say for whom. NULL: no parse runs. */
static _Thread_local struct headers *parsing;

static void *take_memory(size_t size)
{
    void *memory;

    assert(parsing);
    assert(size <= sizeof(parsing->memory) - parsing->used);
    memory = parsing->memory + parsing->used;
    parsing->used += (size + alignof(max_align_t) - 1) / alignof(max_align_t) *
                     alignof(max_align_t);
    return memory;
}

static void keep_memory(void *memory)
{
    (void)memory;
}

void headers_seed(uint64_t seed)
{
    assert(seed != 0);
    json_object_seed((size_t)seed);
    json_set_alloc_funcs(take_memory, keep_memory);
}

/* Not cleared: pages that no parse ever reaches cost nothing. */
struct headers *headers_create(void)
{
    struct headers *headers = malloc(sizeof(*headers));

    if (!headers)
        return NULL;
    headers->is_plain = false;
    headers->root = NULL;
    headers->used = 0;
    return headers;
}

void headers_destroy(struct headers *headers)
{
    free(headers);
}

size_t headers_bytes(const struct headers *headers)
{
    return headers->used;
}

/* ---- Numbers ------------------------------------------------------------ */

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

/* What was parsed before is gone. */
static void keep_copy(struct headers *headers, struct slice json)
{
    assert(json.length <= sizeof(headers->text));
    memcpy(headers->text, json.bytes, json.length);
    headers->is_plain = false;
    headers->root = NULL;
    headers->used = 0;
}

static bool parse_copy(struct headers *headers, size_t length)
{
    if (!tame(headers->text, length))
        return false;
    parsing = headers;
    headers->root = json_loadb(headers->text, length,
                               JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    parsing = NULL;
    return json_is_object(headers->root);
}

bool headers_parse_by_jansson(struct headers *headers, struct slice json)
{
    keep_copy(headers, json);
    return parse_copy(headers, json.length);
}

bool headers_parse(struct headers *headers, struct slice json)
{
    struct slice copy = {headers->text, json.length};

    keep_copy(headers, json);
    headers->is_plain = plain_read(&headers->plain, copy);
    return headers->is_plain || parse_copy(headers, json.length);
}

/* ---- Reading ------------------------------------------------------------ */

static enum field plain_string(const struct plain *plain, const char *name,
                               struct slice *value)
{
    const struct plain_field *field = plain_find(plain, slice_of(name));

    if (!field)
        return FIELD_ABSENT;
    if (!field->string.bytes)
        return FIELD_WRONG;
    *value = field->string;
    return FIELD_THERE;
}

static enum field plain_number(const struct plain *plain, const char *name,
                               uint64_t *value)
{
    const struct plain_field *field = plain_find(plain, slice_of(name));

    if (!field)
        return FIELD_ABSENT;
    if (field->string.bytes || field->number > HEADER_NUMBER_MAX)
        return FIELD_WRONG;
    *value = field->number;
    return FIELD_THERE;
}

static enum field json_string_field(const json_t *root, const char *name,
                                    struct slice *value)
{
    const json_t *field = json_object_get(root, name);

    if (!field)
        return FIELD_ABSENT;
    if (!json_is_string(field))
        return FIELD_WRONG;
    *value =
        (struct slice){json_string_value(field), json_string_length(field)};
    return FIELD_THERE;
}

static enum field json_number_field(const json_t *root, const char *name,
                                    uint64_t *value)
{
    const json_t *field = json_object_get(root, name);

    if (!field)
        return FIELD_ABSENT;
    if (!json_is_integer(field) || json_integer_value(field) < 0 ||
        json_integer_value(field) > (json_int_t)HEADER_NUMBER_MAX)
        return FIELD_WRONG;
    *value = (uint64_t)json_integer_value(field);
    return FIELD_THERE;
}

enum field headers_string(const struct headers *headers, const char *name,
                          struct slice *value)
{
    return headers->is_plain ? plain_string(&headers->plain, name, value)
                             : json_string_field(headers->root, name, value);
}

enum field headers_number(const struct headers *headers, const char *name,
                          uint64_t *value)
{
    return headers->is_plain ? plain_number(&headers->plain, name, value)
                             : json_number_field(headers->root, name, value);
}

/*
 * Headers as programs write them are read by plain.c, in about half the time;
 * all others by json.c. Both fill the same table.
 */
#include "common/wire/headers.h"

#include "common/base/cache_line.h"
#include "common/base/limits.h"
#include "common/wire/plain.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>

struct headers {
    /* What was parsed last: a copy. Where it crosses cache lines as it happens,
     * reading a message takes a twelfth longer. */
    alignas(CACHE_LINE_BYTES) char text[HEADERS_BYTES_MAX];
    struct json json; /* of `text` */
};

/* Not cleared: pages that no parse ever reaches cost nothing. */
struct headers *headers_create(void)
{
    struct headers *headers;
    void *memory;

    if (posix_memalign(&memory, alignof(struct headers), sizeof(*headers)) != 0)
        return NULL;
    headers = memory;
    headers->json.count = 0;
    return headers;
}

void headers_destroy(struct headers *headers)
{
    free(headers);
}

bool headers_parse(struct headers *headers, struct slice json)
{
    struct slice copy = {headers->text, json.length};

    assert(json.length <= sizeof(headers->text));
    memcpy(headers->text, json.bytes, json.length);
    return plain_read(&headers->json, copy) ||
           json_read(&headers->json, headers->text, json.length);
}

/* The member of that name; NULL: `*field` says why there is none. */
static const struct member *find(const struct headers *headers,
                                 const char *name, enum member_kind kind,
                                 enum field *field)
{
    const struct member *member = json_find(&headers->json, slice_of(name));

    *field = FIELD_ABSENT;
    if (!member)
        return NULL;
    *field = member->kind == kind ? FIELD_THERE : FIELD_WRONG;
    return member->kind == kind ? member : NULL;
}

enum field headers_string(const struct headers *headers, const char *name,
                          struct slice *value)
{
    enum field field;
    const struct member *member = find(headers, name, MEMBER_STRING, &field);

    if (member)
        *value = member->string;
    return field;
}

enum field headers_number(const struct headers *headers, const char *name,
                          uint64_t *value)
{
    enum field field;
    const struct member *member = find(headers, name, MEMBER_INTEGER, &field);

    if (!member)
        return field;
    if (member->number > HEADER_NUMBER_MAX)
        return FIELD_WRONG;
    *value = member->number;
    return FIELD_THERE;
}

enum field headers_boolean(const struct headers *headers, const char *name,
                           bool *value)
{
    enum field field;
    const struct member *member = find(headers, name, MEMBER_BOOLEAN, &field);

    if (member)
        *value = member->number > 0;
    return field;
}

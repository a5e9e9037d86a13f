/*
 * All of JSON (RFC 8259) that headers may be: one object, no name twice in an
 * object, at most JSON_DEPTH_MAX levels, nothing after it. It is read where it
 * lies, escapes are resolved in place, and no memory is taken.
 *
 * A library would be asked for memory that may be none, and jansson 2.14 writes
 * beyond its own then (https://github.com/akheron/jansson/issues/362); what it
 * can be given instead, an allocator, is one for the whole process, which is
 * not ours where we are a library.
 */
#ifndef RINGCHAT_WIRE_JSON_H
#define RINGCHAT_WIRE_JSON_H

#include "common/base/limits.h"
#include "common/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 4

/* A member takes 5 bytes or more: `"":0,`. */
#define JSON_MEMBERS_MAX (HEADERS_BYTES_MAX / 5)

/* A longer number may not fit 64 bits, and no header has a use for one. */
#define JSON_INTEGER_BYTES_MAX 18

/* What a member is, as far as headers ask for it. */
enum member_kind {
    MEMBER_OTHER,   /* an object, an array, null, or a number like -1 or 1e3 */
    MEMBER_STRING,  /* string */
    MEMBER_INTEGER, /* number: not negative, without fraction or exponent */
    MEMBER_BOOLEAN, /* number: 1 is true */
};

struct member {
    struct slice name;
    enum member_kind kind;
    struct slice string;
    uint64_t number;
};

/* The members of an object, in no order. */
struct json {
    unsigned count;
    struct member members[JSON_MEMBERS_MAX];
};

/* At most HEADERS_BYTES_MAX bytes, which are changed, and which the members are
 * slices of. False: malformed, and there are none. */
bool json_read(struct json *, char *text, size_t length);

/* NULL if there is none. */
const struct member *json_find(const struct json *, struct slice name);

#endif

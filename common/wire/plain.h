/*
 * JSON headers in the form in which programs write them: one flat object,
 * strings of printable ASCII without escapes, whole numbers of a few digits, no
 * white space. What is of another form is left to a reader of all of JSON
 * (headers.c); what is of this one means the same to both.
 */
#ifndef RINGCHAT_WIRE_PLAIN_H
#define RINGCHAT_WIRE_PLAIN_H

#include "common/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* More than any message from a client has a use for. */
#define PLAIN_FIELDS_MAX 12

/* As many digits as are less than 64 bits whatever they are. */
#define PLAIN_DIGITS_MAX 18

struct plain_field {
    struct slice name;
    struct slice string; /* if it is one: else `bytes` is NULL */
    uint64_t number;
};

struct plain {
    unsigned count;
    struct plain_field fields[PLAIN_FIELDS_MAX];
};

/* False: it is of another form, or malformed. The slices are of `json`. */
bool plain_read(struct plain *, struct slice json);

/* NULL if there is none. */
const struct plain_field *plain_find(const struct plain *, struct slice name);

#endif

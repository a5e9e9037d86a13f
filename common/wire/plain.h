/*
 * JSON headers in the form in which programs write them: one flat object,
 * strings of printable ASCII without escapes, whole numbers of a few digits, no
 * white space. What is of another form is left to a reader of all of JSON
 * (json.c); what is of this one means the same to both.
 */
#ifndef RINGCHAT_WIRE_PLAIN_H
#define RINGCHAT_WIRE_PLAIN_H

#include "common/wire/json.h"

/* More than any message from a client has a use for. */
#define PLAIN_MEMBERS_MAX 12

/* False: it is of another form, or malformed. The slices are of `text`. */
bool plain_read(struct json *, struct slice text);

#endif

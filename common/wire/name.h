/*
 * Names of rooms and nicks: what may be one, and when two are the same.
 */
#ifndef RINGCHAT_WIRE_NAME_H
#define RINGCHAT_WIRE_NAME_H

#include "common/wire/wire.h"

/* [A-Za-z0-9_.-]{1,32} */
bool room_name_is_valid(struct slice);

/* A leading `#` is dropped; what is left need not be valid. */
struct slice room_name_plain(struct slice);

/* [A-Za-z_][A-Za-z0-9_-]{0,23} */
bool nick_is_valid(struct slice);

/* `guest-` and 4 to 8 hexadecimal digits, in any case of letters: a nick that
 * the server gives and nobody can ask for. */
bool nick_is_given(struct slice);

/* Whether two names are the same but for the case of ASCII letters. */
bool name_equals(struct slice, struct slice);

/* `out` becomes the name in lower case: what is hashed. `out` has the room. */
void name_fold(struct slice, char *out);

#endif

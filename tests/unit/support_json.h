/*
 * What RFC 8259 and docs/protocol.md say of headers, as plainly as they say it:
 * what the tests compare the code with. It knows no escapes in strings.
 */
#ifndef RINGCHAT_UNIT_SUPPORT_JSON_H
#define RINGCHAT_UNIT_SUPPORT_JSON_H

#include "common/base/slice.h"
#include "common/wire/headers.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether it is one object, of at most 4 levels, without a name twice. `*n`
 * becomes the value of its field "n", as it is written; empty: there is none.
 */
bool read_headers(struct slice json, struct slice *n);

/* What headers_number is to say of that value. */
enum field read_integer(struct slice json, uint64_t *value);

#endif

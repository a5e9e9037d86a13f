/*
 * What may stand in text that people see: UTF-8 (RFC 3629) without control
 * characters, so that no client's terminal can be driven by another client.
 */
#ifndef RINGCHAT_WIRE_CLEAN_H
#define RINGCHAT_WIRE_CLEAN_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether `bytes` are well-formed UTF-8 without U+0000-001F (but tab), U+007F
 * and U+0080-009F. Runs of printable ASCII are looked at 32 bytes at a time.
 */
bool text_is_clean(const void *bytes, size_t length);

/* Whether `byte` can begin a text: a character of UTF-8 that is no control, or
 * tab, CR or LF. */
bool text_can_begin(unsigned char byte);

#endif

/*
 * UTF-8 characters (RFC 3629). Pure: the core is linked with it.
 */
#ifndef RINGCHAT_BASE_UTF8_H
#define RINGCHAT_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* The length of the character that `bytes` begin with, 0 if they begin with
 * none. `left`, the number of bytes, is at least 1. */
size_t utf8_length(const unsigned char *bytes, size_t left);

/* Whether the character of `length` bytes is a control: U+0000-001F, U+007F or
 * U+0080-009F, which terminals obey as well. */
bool utf8_is_control(const unsigned char *bytes, size_t length);

#endif

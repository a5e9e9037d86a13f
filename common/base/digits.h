/*
 * Digits, whatever the locale: isdigit(3) and isxdigit(3) ask it.
 */
#ifndef RINGCHAT_BASE_DIGITS_H
#define RINGCHAT_BASE_DIGITS_H

#include <stdbool.h>

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* What a hexadecimal digit, large or small, is worth; 16 if it is none. */
static inline unsigned hex_value(char c)
{
    if (is_digit(c))
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A') + 10;
    return 16;
}

#endif

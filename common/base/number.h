/*
 * Numbers as people type them: counts, sizes, decimals. Stricter than strtol
 * and strtod, which take spaces, signs, hex, `inf` and trailing letters. Pure
 * functions: no I/O, no locale.
 *
 * Each returns 0, -EINVAL if the text is not of the form, or -ERANGE if it is
 * but the number is too large; the result is set only with 0.
 */
#ifndef RINGCHAT_BASE_NUMBER_H
#define RINGCHAT_BASE_NUMBER_H

#include <stdint.h>

/* One unit in what number_parse_decimal counts, and the most units it takes:
 * as seconds, 31 years. */
#define BILLIONTHS UINT64_C(1000000000)
#define DECIMAL_UNITS_MAX UINT64_C(1000000000)

/* Digits. */
int number_parse(const char *text, uint64_t *number);

/* Digits, then KiB, MiB or nothing. */
int number_parse_size(const char *text, uint64_t *bytes);

/*
 * Digits, and a fraction (a point and digits) or none. What is below a
 * billionth is rounded up: a duration over 0 must not become 0, which means
 * "off".
 */
int number_parse_decimal(const char *text, uint64_t *billionths);

#endif

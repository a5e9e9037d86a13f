/*
 * Counts, sizes and decimals from text (number.h), all of them from one
 * function that takes digits.
 */
#include "common/base/number.h"

#include "common/base/digits.h"
#include "common/base/limits.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Moves `*at` over the digits that it stands on, over all of them even if the
 * number is too large: what follows decides first whether the form is right. */
static int digits_take(const char **at, uint64_t *number)
{
    bool overflow = false;

    if (!is_digit(**at))
        return -EINVAL;
    *number = 0;
    for (; is_digit(**at); (*at)++) {
        uint64_t digit = (uint64_t)(**at - '0');

        if (__builtin_mul_overflow(*number, 10, number) ||
            __builtin_add_overflow(*number, digit, number))
            overflow = true;
    }
    return overflow ? -ERANGE : 0;
}

/* Likewise, for the digits after the point. */
static int fraction_take(const char **at, uint64_t *billionths)
{
    uint64_t worth = BILLIONTHS / 10;
    bool rest = false;

    if (!is_digit(**at))
        return -EINVAL;
    *billionths = 0;
    for (; is_digit(**at); (*at)++) {
        uint64_t digit = (uint64_t)(**at - '0');

        *billionths += digit * worth;
        if (worth == 0 && digit > 0)
            rest = true;
        worth /= 10;
    }
    *billionths += rest;
    return 0;
}

int number_parse(const char *text, uint64_t *number)
{
    uint64_t value;
    int result = digits_take(&text, &value);

    if (*text != '\0')
        return -EINVAL;
    if (result == 0)
        *number = value;
    return result;
}

int number_parse_size(const char *text, uint64_t *bytes)
{
    uint64_t value, unit = 1;
    int result = digits_take(&text, &value);

    if (result == -EINVAL)
        return -EINVAL;
    if (strcmp(text, "KiB") == 0)
        unit = KIB;
    else if (strcmp(text, "MiB") == 0)
        unit = MIB;
    else if (*text != '\0')
        return -EINVAL;
    if (result != 0 || __builtin_mul_overflow(value, unit, &value))
        return -ERANGE;
    *bytes = value;
    return 0;
}

int number_parse_decimal(const char *text, uint64_t *billionths)
{
    uint64_t whole, fraction = 0;
    int result = digits_take(&text, &whole);

    if (result == -EINVAL)
        return -EINVAL;
    if (*text == '.') {
        text++;
        if (fraction_take(&text, &fraction) != 0)
            return -EINVAL;
    }
    if (*text != '\0')
        return -EINVAL;
    if (result != 0 || whole > DECIMAL_UNITS_MAX ||
        (whole == DECIMAL_UNITS_MAX && fraction > 0))
        return -ERANGE;
    *billionths = whole * BILLIONTHS + fraction;
    return 0;
}

/*
 * Short texts, without stdio.
 */
#include "common/base/builder.h"

#include <string.h>

#define US_PER_DAY (UINT64_C(86400) * 1000000)

void build_slice(struct builder *builder, struct slice text)
{
    size_t room = sizeof(builder->bytes) - builder->length;
    size_t length = text.length < room ? text.length : room;

    if (length > 0) /* else there may be no bytes at all */
        memcpy(builder->bytes + builder->length, text.bytes, length);
    builder->length += length;
}

void build_string(struct builder *builder, const char *string)
{
    build_slice(builder, slice_of(string));
}

struct slice decimal(uint64_t number, char digits[DECIMAL_BYTES_MAX])
{
    char *end = digits + DECIMAL_BYTES_MAX;
    char *at = end;

    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return (struct slice){at, (size_t)(end - at)};
}

void build_number(struct builder *builder, uint64_t number)
{
    char digits[DECIMAL_BYTES_MAX];

    build_slice(builder, decimal(number, digits));
}

/* `number` in at least `width` digits. */
static void build_padded(struct builder *builder, uint64_t number, size_t width)
{
    char digits[DECIMAL_BYTES_MAX];
    struct slice text = decimal(number, digits);

    for (size_t i = text.length; i < width; i++)
        build_slice(builder, SLICE("0"));
    build_slice(builder, text);
}

void build_hundredths(struct builder *builder, uint64_t hundredths)
{
    build_number(builder, hundredths / 100);
    if (hundredths == 0)
        return;
    build_slice(builder, SLICE("."));
    build_padded(builder, hundredths % 100, 2);
}

/*
 * The Gregorian date of a day counted from 1970-01-01, by eras of 400 years
 * that begin on 1 March (Hinnant, "chrono-Compatible Low-Level Date
 * Algorithms", civil_from_days).
 */
static void build_date(struct builder *builder, uint64_t day)
{
    uint64_t shifted = day + 719468; /* days since 0000-03-01 */
    uint64_t era = shifted / 146097;
    uint64_t of_era = shifted % 146097;
    uint64_t year_of_era =
        (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year =
        of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t march_month = (5 * of_year + 2) / 153;
    uint64_t month = march_month < 10 ? march_month + 3 : march_month - 9;

    build_padded(builder, year_of_era + era * 400 + (month <= 2), 4);
    build_slice(builder, SLICE("-"));
    build_padded(builder, month, 2);
    build_slice(builder, SLICE("-"));
    build_padded(builder, of_year - (153 * march_month + 2) / 5 + 1, 2);
}

void build_time(struct builder *builder, uint64_t wall_us)
{
    uint64_t us = wall_us % US_PER_DAY;
    uint64_t seconds = us / 1000000;

    build_date(builder, wall_us / US_PER_DAY);
    build_slice(builder, SLICE("T"));
    build_padded(builder, seconds / 3600, 2);
    build_slice(builder, SLICE(":"));
    build_padded(builder, seconds / 60 % 60, 2);
    build_slice(builder, SLICE(":"));
    build_padded(builder, seconds % 60, 2);
    build_slice(builder, SLICE("."));
    build_padded(builder, us % 1000000, 6);
    build_slice(builder, SLICE("Z"));
}

struct slice builder_slice(const struct builder *builder)
{
    return (struct slice){builder->bytes, builder->length};
}

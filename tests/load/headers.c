/*
 * See headers.h. The parser is jansson.
 */
#include "tests/load/headers.h"

#include <string.h>

#define LEVELS_MAX 4
#define NUMBER_MAX ((UINT64_C(1) << 53) - 1)

/* How deep objects and arrays are nested in what is JSON. */
static unsigned json_levels(const unsigned char *json, size_t length)
{
    unsigned levels = 0, most = 0;
    bool in_string = false;

    for (size_t i = 0; i < length; i++) {
        if (in_string && json[i] == '\\')
            i++;
        else if (json[i] == '"')
            in_string = !in_string;
        else if (!in_string && (json[i] == '{' || json[i] == '['))
            most = ++levels > most ? levels : most;
        else if (!in_string && (json[i] == '}' || json[i] == ']'))
            levels--;
    }
    return most;
}

const char *headers_parse(const unsigned char *bytes, size_t length,
                          json_t **headers)
{
    *headers =
        json_loadb((const char *)bytes, length, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(*headers))
        return "headers that are no JSON object";
    /* Mostly there is nothing to look into. */
    if ((memchr(bytes + 1, '{', length - 1) ||
         memchr(bytes + 1, '[', length - 1)) &&
        json_levels(bytes, length) > LEVELS_MAX)
        return "headers nested too deep";
    return NULL;
}

bool header_number(const json_t *headers, const char *name, uint64_t *number)
{
    const json_t *value = json_object_get(headers, name);
    json_int_t integer = json_integer_value(value);

    *number = (uint64_t)integer;
    return json_is_integer(value) && integer >= 0 && *number <= NUMBER_MAX;
}

bool header_is_number(const json_t *headers, const char *name)
{
    uint64_t number;

    return header_number(headers, name, &number);
}

const char *header_text(const json_t *headers, const char *name, size_t min,
                        size_t max)
{
    const json_t *value = json_object_get(headers, name);
    size_t length = json_string_length(value);

    return json_is_string(value) && length >= min && length <= max
               ? json_string_value(value)
               : NULL;
}

static int hex_digit(char digit)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *at = digit ? strchr(digits, digit) : NULL;
    int value = at ? (int)(at - digits) : -1;

    return value < 16 ? value : value - 6;
}

/* 8-4-4-4-12 hexadecimal digits. */
static bool uuid_read(const char *text, unsigned char uuid[UUID_BYTES])
{
    size_t bytes = 0;

    for (size_t i = 0; i < UUID_CHARS; i += 2) {
        int high, low;

        if (i == 8 || i == 13 || i == 18 || i == 23)
            if (text[i++] != '-')
                return false;
        high = hex_digit(text[i]);
        low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        uuid[bytes++] = (unsigned char)(high << 4 | low);
    }
    return bytes == UUID_BYTES;
}

const char *header_uuid(const json_t *headers, const char *name,
                        unsigned char uuid[UUID_BYTES])
{
    const char *text = header_text(headers, name, UUID_CHARS, UUID_CHARS);

    return text && uuid_read(text, uuid) ? text : NULL;
}

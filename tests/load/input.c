/*
 * Files that a plan names: the key of `secure` listeners, and the lines that
 * are to be said.
 */
#include "tests/load/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define FILE_BYTES_MIN ((size_t)64 * 1024)

static int complain(const char *file, const char *what)
{
    fprintf(stderr, "ringchat-load: %s: %s\n", file, what);
    return EX_NOINPUT;
}

/* All of a file, and a zero behind it, in allocated memory. */
static int read_file(const char *file, unsigned char **bytes, size_t *length)
{
    FILE *stream = fopen(file, "re");
    size_t allocated = 0;
    int error;

    if (!stream)
        return complain(file, strerrordesc_np(errno));
    *bytes = NULL;
    *length = 0;
    do {
        *bytes = grow(*bytes, &allocated, *length + 2, FILE_BYTES_MIN);
        *length += fread(*bytes + *length, 1, allocated - *length - 1, stream);
    } while (!feof(stream) && !ferror(stream));
    error = ferror(stream) ? errno : 0;
    fclose(stream);
    (*bytes)[*length] = '\0';
    if (error == 0)
        return 0;
    free(*bytes);
    return complain(file, strerrordesc_np(error));
}

int key_read(struct plan *plan)
{
    unsigned char *key;
    int error = read_file(plan->key_file, &key, &plan->terms.key_length);

    if (error == 0)
        plan->terms.key = key;
    return error;
}

/* No control but tab, no surrogate (docs/protocol.md; RFC 3629). */
static bool is_text_code(uint32_t code)
{
    return code == '\t' || (code >= 0x20 && code < 0x7f) ||
           (code >= 0xa0 && code < 0xd800) ||
           (code >= 0xe000 && code <= 0x10ffff);
}

static size_t length_by_first(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first >= 0xc0 && first < 0xe0)
        return 2;
    if (first >= 0xe0 && first < 0xf0)
        return 3;
    return first >= 0xf0 && first < 0xf8 ? 4 : 0;
}

/* How long the character is that the bytes begin with; 0: it is none, or not
 * of a text. */
static size_t character(const unsigned char *bytes, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = length_by_first(bytes[0]);
    uint32_t code = bytes[0];

    if (length == 0 || length > left)
        return 0;
    if (length > 1)
        code &= 0x7fU >> length;
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (bytes[i] & 0x3fU);
    }
    return code >= least[length] && is_text_code(code) ? length : 0;
}

/* As the servers see it, who would refuse it otherwise. */
static bool is_text(const char *text, size_t length)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t taken;

    for (; length > 0; length -= taken, bytes += taken) {
        taken = character(bytes, length);
        if (taken == 0)
            return false;
    }
    return true;
}

static int read_line(struct matter *matter, struct line *lines, char *begin,
                     const char *end)
{
    size_t length = (size_t)(end - begin);

    if (length > 0 && begin[length - 1] == '\r')
        length--;
    if (!is_text(begin, length) ||
        length + MESSAGE_NAME_BYTES > MESSAGE_BYTES_MAX)
        return EX_DATAERR;
    lines[matter->lines_count++] = (struct line){begin, length};
    return 0;
}

static size_t longest(const struct matter *matter)
{
    size_t size = 0;

    for (size_t i = 0; i < matter->lines_count; i++) {
        if (matter->lines[i].length > size)
            size = matter->lines[i].length;
    }
    return size + MESSAGE_NAME_BYTES;
}

/* Its lines are the messages, in turn. */
int input_read(struct plan *plan)
{
    struct matter *matter = &plan->matter;
    unsigned char *bytes;
    struct line *lines;
    size_t length, count = 1;
    char *at, *end;
    int error = read_file(plan->input, &bytes, &length);

    if (error != 0)
        return error;
    for (size_t i = 0; i < length; i++)
        count += bytes[i] == '\n';
    plan->input_bytes = bytes;
    lines = allocate(count, sizeof(*lines));
    matter->lines = lines;
    at = (char *)bytes;
    while (at < (char *)bytes + length) {
        end = memchr(at, '\n', (size_t)((char *)bytes + length - at));
        if (!end)
            end = (char *)bytes + length;
        if (read_line(matter, lines, at, end) != 0) {
            complain(plan->input, "a line that is not text, or is too long");
            return EX_DATAERR;
        }
        at = end + 1;
    }
    plan->size = longest(matter);
    if (matter->lines_count == 0)
        return complain(plan->input, "there is nothing in it");
    return 0;
}

/*
 * Rows are made anew each time they are drawn.
 */
#include "client/row.h"

#include "client/cluster.h"

void row_clear(struct row *row)
{
    row->columns = 0;
    row->count = row->length = 0;
}

void row_add(struct row *row, struct look look, struct slice text)
{
    if (row->count == SPANS_MAX || text.length == 0)
        return;
    row->spans[row->count++] = (struct span){look, text};
    row->columns += text_columns(text);
}

void row_copy(struct row *row, struct look look, struct slice text)
{
    char *copy = row->bytes + row->length;

    if (text.length > ROW_BYTES_MAX - row->length || text.length == 0)
        return;
    memcpy(copy, text.bytes, text.length);
    row->length += text.length;
    row_add(row, look, (struct slice){copy, text.length});
}

void row_fill(struct row *row, struct look look, unsigned column)
{
    static const char spaces[] =
        "                                                                ";

    while (row->columns < column && row->count < SPANS_MAX) {
        size_t left = column - row->columns;

        if (left > sizeof(spaces) - 1)
            left = sizeof(spaces) - 1;
        row_add(row, look, (struct slice){spaces, left});
    }
}

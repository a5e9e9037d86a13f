/*
 * A client of the load generator's, for its unit tests, without sockets: it is
 * fed what a server sends, cut anywhere, and writes down what it makes of that.
 * Each piece and each item stands in memory of its exact size, so that
 * AddressSanitizer sees who looks further.
 */
#ifndef RINGCHAT_SUPPORT_LOAD_H
#define RINGCHAT_SUPPORT_LOAD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/load/dialect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hearer {
    struct speaker speaker;
    struct out out;     /* all that it has said */
    struct out heard;   /* "kind:number:text\n" for each item */
    struct out waiting; /* what has come of the next item */
    size_t looked;
    struct item last; /* its text is gone */
    bool invalid;     /* EXTENT_INVALID */
};

/* Bytes with their length: a literal may have zeros. */
#define BYTES(literal) (literal), sizeof(literal) - 1

static inline void hearer_init(struct hearer *hearer,
                               const struct dialect *dialect,
                               const struct terms *terms, const char *room)
{
    *hearer = (struct hearer){
        .speaker = {.dialect = dialect, .terms = terms, .room = room},
    };
    if (dialect->enter)
        dialect->enter(&hearer->speaker, &hearer->out);
}

static inline void hearer_release(struct hearer *hearer)
{
    if (hearer->speaker.dialect->release)
        hearer->speaker.dialect->release(&hearer->speaker);
    out_release(&hearer->out);
    out_release(&hearer->heard);
    out_release(&hearer->waiting);
}

static inline unsigned char *exact(const void *bytes, size_t length)
{
    unsigned char *copy = malloc(length);

    assert_non_null(copy);
    memcpy(copy, bytes, length);
    return copy;
}

static inline void hearer_read(struct hearer *hearer, size_t length)
{
    struct out *waiting = &hearer->waiting;
    unsigned char *bytes = exact(waiting->bytes + waiting->begin, length);
    struct speaker *speaker = &hearer->speaker;
    struct item *item = &hearer->last;

    memset(item, 0xee, sizeof(*item));
    speaker->dialect->read(speaker, bytes, length, item);
    out_format(&hearer->heard, "%c:%llu:", "mlreP!xoh"[item->kind],
               (unsigned long long)item -> number);
    out_append(&hearer->heard, item->text, item->length);
    out_append(&hearer->heard, "\n", 1);
    if (item->kind == ITEM_READY) {
        speaker->step++;
        speaker->dialect->enter(speaker, &hearer->out);
    }
    if (item->kind == ITEM_PING)
        speaker->dialect->answer(speaker, item, &hearer->out);
    free(bytes);
}

/* How long the first item of what is waiting is; 0: not whole yet. */
static inline size_t hearer_extent(struct hearer *hearer)
{
    size_t length = out_length(&hearer->waiting), wanted = 0, extent;
    unsigned char *bytes =
        exact(hearer->waiting.bytes + hearer->waiting.begin, length);

    extent =
        hearer->speaker.dialect->extent(bytes, length, hearer->looked, &wanted);
    free(bytes);
    if (extent == 0) {
        assert_true(wanted > length);
        hearer->looked = length;
    } else if (extent != EXTENT_INVALID) {
        assert_true(extent <= length);
    }
    return extent;
}

static inline void hearer_feed(struct hearer *hearer, const void *bytes,
                               size_t length)
{
    out_append(&hearer->waiting, bytes, length);
    while (out_length(&hearer->waiting) > 0 && !hearer->invalid) {
        size_t extent = hearer_extent(hearer);

        if (extent == 0)
            return;
        hearer->looked = 0;
        hearer->invalid = extent == EXTENT_INVALID;
        if (!hearer->invalid) {
            hearer_read(hearer, extent);
            out_sent(&hearer->waiting, extent);
        }
    }
}

static inline void assert_bytes(const struct out *out, const void *bytes,
                                size_t length)
{
    static const unsigned char nothing[1];
    const unsigned char *there = out->bytes ? out->bytes + out->begin : nothing;

    if (out_length(out) != length || memcmp(there, bytes, length) != 0)
        print_error("%.*s\ninstead of\n%.*s\n", (int)out_length(out),
                    (const char *)there, (int)length, (const char *)bytes);
    assert_int_equal(out_length(out), length);
    assert_memory_equal(there, bytes, length);
}

/* A whole conversation: what the server says, what the client makes of it, and
 * what it says itself; the same wherever the first is cut. */
struct conversation {
    const struct dialect *dialect;
    const struct terms *terms;
    const char *room;
    const void *from_server;
    size_t from_server_length;
    const char *heard;
    const void *said;
    size_t said_length;
};

/* In pieces of `piece` bytes after the first, which has `first`. */
static inline void hold(const struct conversation *conversation, size_t first,
                        size_t piece)
{
    const unsigned char *bytes = conversation->from_server;
    size_t left = conversation->from_server_length;
    struct hearer hearer;

    hearer_init(&hearer, conversation->dialect, conversation->terms,
                conversation->room);
    for (size_t length = first; left > 0; length = piece) {
        length = length < left ? length : left;
        if (length > 0)
            hearer_feed(&hearer, bytes, length);
        bytes += length;
        left -= length;
    }
    assert_false(hearer.invalid);
    assert_int_equal(out_length(&hearer.waiting), 0);
    assert_bytes(&hearer.heard, conversation->heard,
                 strlen(conversation->heard));
    assert_bytes(&hearer.out, conversation->said, conversation->said_length);
    hearer_release(&hearer);
}

static inline void hold_cut_everywhere(const struct conversation *conversation)
{
    for (size_t i = 0; i <= conversation->from_server_length; i++)
        hold(conversation, i, conversation->from_server_length);
    hold(conversation, 1, 1);
    hold(conversation, 2, 3);
}

/* -- one item -- */

static inline void assert_reads_at(const struct dialect *dialect,
                                   const char *room, unsigned step,
                                   const void *bytes, size_t length,
                                   const char *heard)
{
    struct hearer hearer;

    hearer_init(&hearer, dialect, NULL, room);
    hearer.speaker.step = step;
    hearer_feed(&hearer, bytes, length);
    assert_bytes(&hearer.heard, heard, strlen(heard));
    hearer_release(&hearer);
}

static inline void assert_corrupt(const struct dialect *dialect, unsigned step,
                                  const void *bytes, size_t length)
{
    struct hearer hearer;

    hearer_init(&hearer, dialect, NULL, "lobby");
    hearer.speaker.step = step;
    hearer_feed(&hearer, bytes, length);
    if (hearer.last.kind != ITEM_CORRUPT)
        print_error("not corrupt: %.*s\n", (int)length, (const char *)bytes);
    assert_int_equal(hearer.last.kind, ITEM_CORRUPT);
    assert_true(hearer.last.length > 0);
    assert_int_equal(out_length(&hearer.waiting), 0);
    hearer_release(&hearer);
}

static inline void assert_says(const struct dialect *dialect, const char *room,
                               const char *text, const void *said,
                               size_t length)
{
    struct hearer hearer;

    hearer_init(&hearer, dialect, NULL, room);
    dialect->say(&hearer.speaker, text, strlen(text), &hearer.out);
    assert_bytes(&hearer.out, said, length);
    hearer_release(&hearer);
}

static inline void assert_leaves(const struct dialect *dialect,
                                 const void *said, size_t length)
{
    struct hearer hearer;

    hearer_init(&hearer, dialect, NULL, "den");
    dialect->leave(&hearer.speaker, &hearer.out);
    assert_bytes(&hearer.out, said, length);
    hearer_release(&hearer);
}

#endif

/*
 * The way in that `frame` and `secure` have in common; see binary.h.
 */
#include "tests/load/binary.h"

#include <assert.h>
#include <stdio.h>

static const char lobby[] = "lobby";

void item_welcome(struct item *item, const struct speaker *speaker)
{
    const char *room = room_name(speaker->room);

    if (speaker->step != STEP_ACK)
        item_corrupt(item, "a welcome out of turn");
    else if (room_is(lobby, room, strlen(room)))
        item_kind(item, ITEM_ENTERED);
    else
        item_kind(item, ITEM_READY);
}

static bool begins(const unsigned char *text, size_t length, const char *word)
{
    return length >= strlen(word) && memcmp(text, word, strlen(word)) == 0;
}

/* "joined ROOM (N members)" */
static bool is_joined(const char *room, const unsigned char *text,
                      size_t length)
{
    const size_t start = strlen("joined ");
    const unsigned char *end;

    if (!begins(text, length, "joined "))
        return false;
    end = memchr(text + start, ' ', length - start);
    return end && begins(end, length - (size_t)(end - text), " (") &&
           room_is(room, text + start, (size_t)(end - text) - start);
}

/* "left lobby" */
static bool is_left(const unsigned char *text, size_t length)
{
    const size_t start = strlen("left ");

    return begins(text, length, "left ") &&
           room_is(lobby, text + start, length - start);
}

void item_reply(struct item *item, const struct speaker *speaker,
                const unsigned char *text, size_t length)
{
    if (speaker->step == STEP_JOIN && is_joined(speaker->room, text, length))
        item_set(item, ITEM_READY, text, length);
    else if (speaker->step == STEP_LEAVE && is_left(text, length))
        item_set(item, ITEM_ENTERED, text, length);
    else
        item_corrupt(item, "a reply to what was not asked");
}

size_t binary_command(const struct speaker *speaker, char *command)
{
    int length;

    if (speaker->step == STEP_JOIN)
        length = snprintf(command, BINARY_COMMAND_BYTES_MAX, "join %s",
                          room_name(speaker->room));
    else
        length = snprintf(command, BINARY_COMMAND_BYTES_MAX, "leave %s", lobby);
    assert(length > 0 && length < BINARY_COMMAND_BYTES_MAX);
    return (size_t)length;
}

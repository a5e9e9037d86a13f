/*
 * Completion of names, which are ASCII (docs/protocol.md, "Names"): bytes are
 * characters here.
 */
#include "client/complete.h"

#include "common/wire/name.h"

#include <assert.h>

static struct slice first_word(struct slice line)
{
    size_t length = 0;

    while (length < line.length && line.bytes[length] != ' ')
        length++;
    return (struct slice){line.bytes, length};
}

static bool takes_room(struct slice command)
{
    return slice_equals(command, SLICE("/join")) ||
           slice_equals(command, SLICE("/leave")) ||
           slice_equals(command, SLICE("/who")) ||
           slice_equals(command, SLICE("/window"));
}

struct complete_place complete_place(struct slice line, size_t cursor)
{
    struct complete_place place = {COMPLETE_NICK, cursor, " "};
    struct slice command = first_word(line);

    assert(cursor <= line.length);
    while (place.from > 0 && line.bytes[place.from - 1] != ' ')
        place.from--;
    if (place.from == 0 && cursor > 0 && line.bytes[0] == '/') {
        place.what = COMPLETE_COMMAND;
        place.from = 1;
    } else if (place.from == 0) {
        place.suffix = ": ";
    } else if (takes_room(command) && place.from > command.length) {
        place.what = COMPLETE_ROOM;
    }
    return place;
}

/* How many bytes two names begin with alike. */
static size_t common_length(struct slice a, struct slice b)
{
    size_t length = 0;

    while (length < a.length && length < b.length &&
           name_equals((struct slice){a.bytes + length, 1},
                       (struct slice){b.bytes + length, 1}))
        length++;
    return length;
}

void completion_offer(struct completion *completion, struct slice name)
{
    if (completion->count < CANDIDATES_MAX &&
        common_length(completion->stem, name) == completion->stem.length)
        completion->candidates[completion->count++] = name;
}

struct slice completion_common(const struct completion *completion)
{
    struct slice common = completion->candidates[0];

    assert(completion->count > 0);
    for (size_t i = 1; i < completion->count; i++)
        common.length = common_length(common, completion->candidates[i]);
    return common;
}

/* `next` is the one after that which was offered last. */
struct slice completion_turn(struct completion *completion,
                             enum candidate which)
{
    size_t count = completion->count, at;

    assert(count > 0);
    at = completion->next % count;
    if (which == CANDIDATE_BEFORE)
        at = (at + count - 2 + (completion->next == 0)) % count;
    completion->next = at + 1;
    return completion->candidates[at];
}

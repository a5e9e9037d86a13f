/*
 * To whom a client belongs: its nick, and the rooms it is in or will be in
 * again; and from the numbers of what comes, what it has missed there.
 */
#include "lib/internal.h"

#include <assert.h>

bool name_set(struct name *name, struct ringchat_text text)
{
    if (text.length > sizeof(name->bytes))
        return false;
    name->length = text.length;
    if (text.length > 0)
        memcpy(name->bytes, text.bytes, text.length);
    return true;
}

bool name_is(const struct name *name, struct ringchat_text text)
{
    return ringchat_name_equals(name_text(name), text);
}

struct place *belonging_find(struct belonging *belonging,
                             struct ringchat_text room)
{
    for (size_t i = 0; i < belonging->count; i++) {
        if (name_is(&belonging->places[i].room, room))
            return &belonging->places[i];
    }
    return NULL;
}

const struct place *belonging_current(const struct belonging *belonging)
{
    return belonging->count > 0 ? &belonging->places[belonging->count - 1]
                                : NULL;
}

/* Where it is already, nothing has to be asked for; and with no wish of its
 * own, it is there because it was put there. */
void belonging_begin(struct belonging *belonging, const struct name *room)
{
    struct place *place = belonging_find(belonging, name_text(room));

    if (belonging->anywhere && !place) {
        belonging->places[0] = (struct place){.room = *room};
        belonging->count = 1;
        place = &belonging->places[0];
    }
    if (place)
        place->inside = true;
}

static void place_remove(struct belonging *belonging, struct place *place)
{
    size_t index = (size_t)(place - belonging->places);

    belonging->count--;
    memmove(place, place + 1, (belonging->count - index) * sizeof(*place));
}

/* The last one joined is the current one. One that is over the number of rooms
 * that a session may have is a server's invention. */
void belonging_join(struct belonging *belonging, const struct name *room)
{
    struct place *found = belonging_find(belonging, name_text(room));
    struct place joined = {.room = *room, .may_restart = belonging->left};

    if (found) {
        joined = *found;
        place_remove(belonging, found);
    }
    if (belonging->count == ROOMS_PER_SESSION_MAX)
        return;
    joined.inside = true;
    belonging->places[belonging->count++] = joined;
}

void belonging_leave(struct belonging *belonging, const struct name *room)
{
    struct place *place = belonging_find(belonging, name_text(room));

    belonging->left = true;
    if (place)
        place_remove(belonging, place);
}

void belonging_acknowledged(struct belonging *belonging,
                            struct ringchat_text room, uint64_t seq)
{
    struct place *place = belonging_find(belonging, room);

    if (room.length == 0 && belonging->count > 0)
        place = &belonging->places[belonging->count - 1];
    if (place)
        place->acknowledged = seq;
}

/* Of a room in which it has not heard anything, not even itself, it knows at
 * least where its own words stand. */
void belonging_lost(struct belonging *belonging)
{
    belonging->left = false;
    for (size_t i = 0; i < belonging->count; i++) {
        struct place *place = &belonging->places[i];

        place->inside = place->heard = place->may_restart = false;
        if (place->counted || place->acknowledged == 0)
            continue;
        place->counted = true;
        place->seq = place->acknowledged;
    }
}

void belonging_back(struct belonging *belonging, uint64_t away_ms)
{
    for (size_t i = 0; i < belonging->count; i++)
        belonging->places[i].away_ms = away_ms;
}

void belonging_guess(struct belonging *belonging)
{
    for (size_t i = 0; i < belonging->count; i++) {
        struct place *place = &belonging->places[i];

        place->missed = UINT64_MAX;
        place->missed_ms = place->away_ms;
        place->away_ms = 0;
    }
}

/* What lies between the last one and `first`, the next; if the room has begun
 * anew meanwhile, nobody knows. */
static uint64_t between(uint64_t last, uint64_t first)
{
    return first > last ? first - last - 1 : UINT64_MAX;
}

/* A member is sent all in its order. But who has left a room may hear later
 * what was said there, and join it under the same name as another. */
static bool is_replay(struct place *place, uint64_t next)
{
    if (!place->heard || next > place->seq)
        return false;
    if (!place->may_restart)
        return true;
    place->may_restart = false;
    return false;
}

bool belonging_heard(struct belonging *belonging, struct ringchat_text room,
                     uint64_t seq, bool message)
{
    struct place *place = belonging_find(belonging, room);
    uint64_t next = message ? seq : seq + 1; /* a notice's: of the one before */

    if (!place || seq == 0)
        return true;
    if (is_replay(place, next))
        return false;
    if (place->counted && next != place->seq + 1) {
        place->missed = between(place->seq, next);
        place->missed_ms = place->away_ms;
    }
    place->counted = place->heard = true;
    place->away_ms = 0;
    place->seq = seq;
    return true;
}

void belonging_lagged(struct belonging *belonging, struct ringchat_text room,
                      uint64_t count)
{
    struct place *place = belonging_find(belonging, room);

    if (!place)
        return;
    place->missed = count;
    place->missed_ms = 0;
    if (place->counted)
        place->seq += count;
}

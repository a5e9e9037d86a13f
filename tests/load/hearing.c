/*
 * What a client hears: bytes are compared with the transcript of its audience,
 * or read; messages are counted, by tally.c, and timed. No I/O.
 */
#include "tests/load/client.h"
#include "tests/load/worker.h"

#include <assert.h>

/* How much more of an item is taken together with what there is, when it does
 * not say how long it is. */
#define CARRY_STEP 512

/* ---- Messages ----------------------------------------------------------- */

static struct counts *counts_of(const struct client *client)
{
    return &client->worker->counts;
}

static bool is_follower(const struct client *client)
{
    return client->state == CLIENT_IN_ROOM || client->state == CLIENT_LEAVING;
}

static bool is_guided(const struct client *client)
{
    return is_follower(client) && !client->follower.is_astray;
}

static bool is_waited_for(const struct client *client)
{
    return !client->is_slow && !plan_is_churn(client->worker->run->plan);
}

static bool is_own(const struct client *client, uint32_t speaker)
{
    return client->voice == &client->audience->voices[speaker];
}

/* Nobody needs to wait for it because of this client. */
static void done_with(struct client *client, struct record *record,
                      uint32_t speaker)
{
    struct voice *voice = &client->audience->voices[speaker];

    if (record_done(record) && voice_heard(voice, record->number))
        voice_call(voice, client->worker);
}

static void skipped(struct client *client, struct gap gap)
{
    struct audience *audience = client->audience;
    uint32_t places = audience->mask + 1;

    if (!is_waited_for(client))
        return;
    if (gap.to - gap.from > places)
        gap.from = gap.to - places;
    for (uint32_t number = gap.from; number < gap.to; number++) {
        struct record *record = audience_record(audience, gap.speaker, number);

        if (record)
            done_with(client, record, gap.speaker);
    }
}

/* Delivered, and how long that took. */
static void deliver(struct client *client, const struct record *record,
                    uint64_t now_ns)
{
    struct counts *counts = counts_of(client);

    counts->delivered++;
    if (client->is_slow)
        return;
    if (record && record->due_ns > 0)
        histogram_add(&client->worker->latency,
                      now_ns > record->due_ns ? now_ns - record->due_ns : 0);
    else
        counts->untimed++;
}

/* Its own is what a visitor waits for. */
static void leave_if_own(struct client *client, uint32_t speaker)
{
    if (plan_is_churn(client->worker->run->plan) && is_own(client, speaker) &&
        client->state == CLIENT_IN_ROOM)
        client_leave(client);
}

/* Whether the message is one that was not heard before. */
static bool hear_message(struct client *client, uint32_t speaker,
                         uint32_t number, uint64_t now_ns)
{
    struct record *record = audience_record(client->audience, speaker, number);
    enum hearing hearing = tally_hear(&client->tally, speaker, number);

    if (hearing == HEARD_AHEAD)
        skipped(client, client->tally.latest);
    counts_of(client)->late += hearing == HEARD_LATE;
    counts_of(client)->twice += hearing == HEARD_TWICE;
    if (hearing != HEARD_TWICE)
        deliver(client, record, now_ns);
    if (hearing == HEARD_LATE || hearing == HEARD_TWICE)
        return false; /* nobody waits for it any more */
    if (record && is_waited_for(client))
        done_with(client, record, speaker);
    leave_if_own(client, speaker);
    return true;
}

/* ---- Following ---------------------------------------------------------- */

/* Where the room's order is the same for all, they do not hear it so. */
static void hear_otherwise(struct client *client)
{
    counts_of(client)->late += client->target->dialect->orders_all;
}

/* It hears an entry behind messages that were not in the transcript: others
 * should not hear them behind it. */
static void hear_behind(struct client *client, uint64_t entry)
{
    const struct follower *follower = &client->follower;
    bool is_otherwise = false;

    for (size_t i = 0; i < follower->early_count; i++) {
        const struct early *early = &follower->early[i];
        struct record *record =
            audience_record(client->audience, early->speaker, early->number);

        if (!record)
            continue;
        if (record->entry == ENTRY_NONE && entry < record->before)
            record->before = entry;
        is_otherwise |= record->entry == ENTRY_NONE ? entry < record->after
                                                    : entry < record->entry;
    }
    if (is_otherwise)
        hear_otherwise(client);
}

/* It hears a message that is not in the transcript, and what is there goes on
 * otherwise: where it has its place depends on what is heard before and behind
 * it. */
static void hear_early(struct client *client, struct record *record,
                       uint32_t speaker)
{
    struct follower *follower = &client->follower;

    if (follower->is_astray)
        return;
    if (follower->entry > follower->since && follower->entry > record->after)
        record->after = follower->entry;
    if (record->before < record->after)
        hear_otherwise(client);
    if (follower->entry >= follower->early_end)
        follower->early_count = 0;
    if (follower->early_count < EARLY_MAX)
        follower->early[follower->early_count++] =
            (struct early){speaker, record->number};
    follower->early_end = client->audience->entries_end;
}

/* How many of the bytes are what the transcript goes on with. */
static size_t follow(struct client *client, const unsigned char *bytes,
                     size_t length, uint64_t now_ns)
{
    struct follower *follower = &client->follower;
    struct audience *audience = client->audience;
    size_t match = audience_match(audience, follower->position, bytes, length);
    uint64_t position = follower->position + match;
    uint64_t entry = follower->entry, early_end = follower->early_end;

    for (; entry < audience->entries_end; entry++) {
        const struct entry *at = audience_entry(audience, entry);

        if (at->end > position)
            break;
        if (hear_message(client, at->speaker, at->number, now_ns) &&
            entry < early_end)
            hear_behind(client, entry);
    }
    audience_move(audience, follower, position, entry);
    if (match < length)
        audience_turn_back(audience, follower);
    return match;
}

/* What is carried may have come to be in the transcript meanwhile: then it is
 * followed, not read. */
static void follow_carried(struct client *client)
{
    struct follower *follower = &client->follower;
    struct audience *audience = client->audience;
    size_t length = follower->carry_length;

    if (audience->end - follower->position <= length ||
        audience_match(audience, follower->position, follower->carry, length) <
            length)
        return;
    follower->carry_length = 0;
    audience_move(audience, follower, follower->position + length,
                  follower->entry);
}

/* Entries that it goes by, as many as the server has owned up to, are missing:
 * nobody has to wait until later ones say so. */
static void miss(struct client *client, uint64_t from, uint64_t to)
{
    struct tally *tally = &client->tally;

    for (; from < to && tally->lagged > tally->missing; from++) {
        const struct entry *entry = audience_entry(client->audience, from);

        if (tally_miss(tally, entry->speaker, entry->number))
            skipped(client, tally->latest);
    }
}

/* It is in the transcript already: what of it the client has gone by was not
 * said to it, or it hears the room in another order than others. */
static void find_place(struct client *client, uint64_t entry)
{
    struct follower *follower = &client->follower;
    struct audience *audience = client->audience;

    if (entry >=
        (follower->is_astray ? audience->entries_begin : follower->entry)) {
        if (entry < follower->early_end)
            hear_behind(client, entry);
        if (!follower->is_astray)
            miss(client, follower->entry, entry);
        audience_guide(audience, follower, audience_entry(audience, entry)->end,
                       entry + 1);
    } else if (!follower->is_astray && entry >= follower->since) {
        hear_otherwise(client);
    }
}

/* The transcript has it as what comes next, even if it is no longer known
 * where all messages are. */
static bool is_next(const struct client *client, uint32_t speaker,
                    uint32_t number)
{
    const struct audience *audience = client->audience;
    uint64_t entry = client->follower.entry;

    return !client->follower.is_astray && entry < audience->entries_end &&
           audience_entry(audience, entry)->speaker == speaker &&
           audience_entry(audience, entry)->number == number;
}

/* Whether it is for this client to write what comes next. */
static bool is_at_end(const struct client *client)
{
    const struct follower *follower = &client->follower;
    const struct audience *audience = client->audience;

    return follower->is_astray ? audience->guided == 0
                               : follower->position == audience->end;
}

static void place_message(struct client *client, uint32_t speaker,
                          uint32_t number, const unsigned char *bytes,
                          size_t length)
{
    struct follower *follower = &client->follower;
    struct audience *audience = client->audience;
    struct record *record = audience_record(audience, speaker, number);

    if (is_next(client, speaker, number)) {
        find_place(client, follower->entry);
    } else if (record && record->entry != ENTRY_NONE) {
        find_place(client, record->entry);
    } else if (record && is_at_end(client)) {
        if (record->before != ENTRY_NONE)
            hear_otherwise(client);
        audience_guide(audience, follower, audience->end,
                       audience->entries_end);
        audience_append(audience, follower, record, speaker, bytes, length);
    } else if (record) {
        hear_early(client, record, speaker);
    }
}

/* ---- Reading ------------------------------------------------------------ */

/* It cannot be said which message it should have been. */
static void hear_corrupt(struct client *client, const char *why)
{
    counts_of(client)->corrupted++;
    client->tally.unnamed++;
    worker_complain(client->worker, "client %u: corrupt: %s", client->number,
                    why);
}

static uint32_t first_voice(const struct client *client)
{
    return (uint32_t)(client->audience->voices - client->worker->run->voices);
}

/* Whether it is one that somebody in the room has said. */
static bool names_a_message(const struct client *client,
                            const struct item *item, struct message_name *name)
{
    const struct audience *audience = client->audience;
    uint32_t first = first_voice(client);

    return message_name(item->text, item->length, name) &&
           name->speaker - first < audience->speakers &&
           name->number <
               atomic_load(&audience->voices[name->speaker - first].said);
}

/* Its name may be right: if that is the one which is due, it is. */
static void on_wrong_message(struct client *client, uint32_t speaker,
                             uint32_t number)
{
    struct record *record;

    if (client->tally.due[speaker] != number) {
        hear_corrupt(client, "not what was said");
        return;
    }
    counts_of(client)->corrupted++;
    tally_hear(&client->tally, speaker, number);
    record = audience_record(client->audience, speaker, number);
    if (record && is_waited_for(client))
        done_with(client, record, speaker);
    leave_if_own(client, speaker);
}

static void judge_message(struct client *client, const struct item *item,
                          const unsigned char *bytes, size_t length,
                          uint64_t now_ns)
{
    const struct plan *plan = client->worker->run->plan;
    struct message_name name;
    uint32_t speaker;

    if (!names_a_message(client, item, &name)) {
        hear_corrupt(client, "no message of ours");
        return;
    }
    speaker = name.speaker - first_voice(client);
    if (!message_is_right(&plan->matter, name, item->text, item->length))
        on_wrong_message(client, speaker, name.number);
    else if (is_own(client, speaker) && !client->audience->hears_itself)
        hear_corrupt(client, "its own words");
    else if (hear_message(client, speaker, name.number, now_ns))
        place_message(client, speaker, name.number, bytes, length);
}

/* Nothing is said before all are in, but where clients come and go. */
static void on_message(struct client *client, const struct item *item,
                       const unsigned char *bytes, size_t length,
                       uint64_t now_ns)
{
    if (is_follower(client))
        judge_message(client, item, bytes, length, now_ns);
    else if (!plan_is_churn(client->worker->run->plan))
        hear_corrupt(client, "said before it was in the room");
}

/* Only who is about to enter enters. */
static void on_entering(struct client *client, enum item_kind kind)
{
    struct speaker *speaker = &client->speaker;

    if (client->state != CLIENT_ENTERING) {
        hear_corrupt(client, "it has been let in before");
    } else if (kind == ITEM_ENTERED) {
        client_entered(client);
    } else {
        speaker->step++;
        speaker->dialect->enter(speaker, &client->out);
    }
}

static void on_lagged(struct client *client, uint64_t count)
{
    client->tally.lagged += count;
    counts_of(client)->lagged += count;
    counts_of(client)->lags++;
}

static void on_item(struct client *client, const unsigned char *bytes,
                    size_t length, uint64_t now_ns)
{
    struct speaker *speaker = &client->speaker;
    const struct dialect *dialect = speaker->dialect;
    struct counts *counts = counts_of(client);
    struct item item = {.kind = ITEM_OTHER};

    dialect->read(speaker, bytes, length, &item);
    switch (item.kind) {
    case ITEM_MESSAGE:
        on_message(client, &item, bytes, length, now_ns);
        break;
    case ITEM_LAGGED:
        on_lagged(client, item.number);
        break;
    case ITEM_READY:
    case ITEM_ENTERED:
        on_entering(client, item.kind);
        break;
    case ITEM_ELSEWHERE:
        if (is_follower(client))
            hear_corrupt(client, "said in another room");
        break;
    case ITEM_PING:
        dialect->answer(speaker, &item, &client->out);
        break;
    case ITEM_ERROR:
        counts->errors++;
        worker_complain(client->worker, "client %u: the server says: %.*s",
                        client->number, (int)item.length, item.text);
        break;
    case ITEM_CORRUPT:
        hear_corrupt(client, (const char *)item.text);
        break;
    case ITEM_OTHER:
        break;
    }
}

/* What has come of an item so far is carried until it is whole. */
static size_t read_carried(struct client *client, const unsigned char *bytes,
                           size_t length, uint64_t now_ns)
{
    struct follower *follower = &client->follower;
    size_t had = follower->carry_length;
    size_t more = CARRY_STEP, extent;

    if (client->wanted > had + more)
        more = client->wanted - had;
    if (more > length)
        more = length;
    follower_carry(follower, bytes, more);
    client->wanted = 0;
    extent = client->speaker.dialect->extent(
        follower->carry, follower->carry_length, had, &client->wanted);
    if (extent == EXTENT_INVALID)
        return EXTENT_INVALID;
    if (extent == 0)
        return more;
    assert(extent > had && extent <= follower->carry_length);
    follower->carry_length = 0;
    on_item(client, follower->carry, extent, now_ns);
    return extent - had;
}

/* The first item, or the beginning of it: how many of the bytes. */
static size_t read_item(struct client *client, const unsigned char *bytes,
                        size_t length, uint64_t now_ns)
{
    size_t extent;

    if (client->follower.carry_length > 0)
        return read_carried(client, bytes, length, now_ns);
    client->wanted = 0;
    extent = client->speaker.dialect->extent(bytes, length, 0, &client->wanted);
    if (extent == EXTENT_INVALID)
        return EXTENT_INVALID;
    if (extent == 0) {
        follower_carry(&client->follower, bytes, length);
        return length;
    }
    on_item(client, bytes, extent, now_ns);
    return extent;
}

void client_hear(struct client *client, const unsigned char *bytes,
                 size_t length, uint64_t now_ns)
{
    if (is_guided(client) && client->follower.carry_length > 0)
        follow_carried(client);
    while (length > 0 && client->state != CLIENT_AWAY) {
        size_t count = 0;

        if (is_guided(client) && client->follower.carry_length == 0)
            count = follow(client, bytes, length, now_ns);
        if (count == 0)
            count = read_item(client, bytes, length, now_ns);
        if (count == EXTENT_INVALID) {
            hear_corrupt(client, "no item begins like that");
            client_gone(client, "what it hears makes no sense");
            return;
        }
        bytes += count;
        length -= count;
    }
}

/* ---- The end ------------------------------------------------------------ */

void client_hears_no_more(struct client *client)
{
    struct audience *audience = client->audience;

    if (!is_waited_for(client))
        return;
    for (uint32_t i = 0; i < audience->speakers; i++) {
        struct gap gap = {i, client->tally.due[i],
                          atomic_load(&audience->voices[i].said)};

        if (gap.from < gap.to)
            skipped(client, gap);
    }
    if (--audience->waited_for == 0)
        atomic_fetch_sub(&audience->room->audiences, 1);
}

void client_add_up(struct client *client)
{
    struct counts *counts = counts_of(client);

    counts->lost += tally_lost(&client->tally);
    counts->overstated += tally_overstated(&client->tally);
}

/*
 * How the chats of a process stop: together, so that what any session has said
 * is in its room before anybody leaves it. A worker that is alone is at the end
 * at once.
 *
 *     STOP_NOT
 *      |  chat_shutdown: nothing is parsed any more
 *     STOP_FREEZING
 *      |  all that was parsed is the others' to see
 *     STOP_HEARING
 *      |  all have come so far, and what they had asked of us is done, and
 *      |  answered
 *     STOP_HEARD
 *      |  all have come so far, and what they had answered us is taken
 *     STOP_ENDING    every session is told, and ends
 */
#include "common/chat/internal.h"
#include "common/chat/shared.h"

/* A session that ends anyway goes on, but no longer than the stop lasts. */
static void session_stop(struct session *session)
{
    struct chat *chat = session->chat;

    if (session_listens(session)) {
        session->error = ERROR_SHUTDOWN;
        session_end(session, ENDING_ERROR);
    }
    if (session->until_ns > chat->stop_by_ns)
        session->until_ns = chat->stop_by_ns;
    timers_advance(&chat->timers, session, session_deadline(session));
    ready_add(session);
}

static void sessions_stop(struct chat *chat)
{
    struct timers *timers = &chat->timers;

    /* The heap is where every session is. Stopping one moves its deadline
     * earlier, which moves only its parents, and those have been stopped. */
    for (uint32_t i = 0; i < timers->count; i++)
        session_stop(timers->heap[i].session);
}

void chat_shutdown(struct chat *chat, uint64_t within_ns)
{
    chat->stopping = true;
    chat->stop_by_ns = chat->now_ns + at_least(within_ns, LAST_OFFER_NS);
    if (chat->shards->count > 1) {
        chat->stop = STOP_FREEZING;
        return;
    }
    chat->stop = STOP_ENDING;
    sessions_stop(chat);
}

static void arrive(struct chat *chat, _Atomic uint32_t *count, enum stop next)
{
    atomic_fetch_add_explicit(count, 1, memory_order_release);
    chat->stop = next;
}

static bool all_arrived(const struct chat *chat, const _Atomic uint32_t *count)
{
    return atomic_load_explicit(count, memory_order_acquire) ==
           chat->shards->count;
}

/* After letters_publish: what has been parsed is out, unless it waits, and so
 * is what has been answered. A listing goes from worker to worker, so those who
 * have heard all may be asked still, as long as it is not back. */
void stop_arrive(struct chat *chat)
{
    struct shards *shards = chat->shards;

    if (chat->stop == STOP_FREEZING && !letters_are_unsent(chat))
        arrive(chat, &shards->frozen, STOP_HEARING);
    else if (chat->stop == STOP_HEARING && all_arrived(chat, &shards->frozen) &&
             !letters_wait(chat) && chat->listings == 0)
        arrive(chat, &shards->heard, STOP_HEARD);
}

/* Who cannot come so far in time waits for nobody, and is not waited for. */
static void stop_late(struct chat *chat)
{
    if (chat->stop == STOP_FREEZING)
        arrive(chat, &chat->shards->frozen, STOP_HEARING);
    if (chat->stop == STOP_HEARING)
        arrive(chat, &chat->shards->heard, STOP_HEARD);
}

void stop_go_on(struct chat *chat)
{
    bool is_late = chat->now_ns >= chat->stop_by_ns;

    if (!chat->stopping || chat->stop == STOP_ENDING)
        return;
    if (is_late)
        stop_late(chat);
    else if (chat->stop != STOP_HEARD ||
             !all_arrived(chat, &chat->shards->heard))
        return;
    answers_take(chat); /* who has asked before the stop is answered */
    chat->stop = STOP_ENDING;
    sessions_stop(chat);
}

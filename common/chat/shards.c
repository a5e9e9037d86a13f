/*
 * Several chats that are one: made and unmade, what they share under the lock,
 * and the ends of a worker's turn.
 */
#include "common/chat/shards.h"

#include "common/base/clock.h"
#include "common/chat/internal.h"
#include "common/chat/shared.h"

#include <assert.h>
#include <stdlib.h>

/* From one worker to another: posts and what else is asked; news, and answers.
 * A longer text than a quarter goes beside it. */
#define REQUESTS_BYTES (64 * KIB)
#define ANSWERS_BYTES (16 * KIB)

/* How soon it is looked whether a grace period is over; and how soon at most
 * whether what somebody holds, who takes nothing, has been let go. */
#define RECLAIM_LOOK_NS UINT64_C(1000000)
#define RECLAIM_LOOK_NS_MAX (10 * NS_PER_SECOND)

static bool is_alone(const struct chat *chat)
{
    return chat->shards->count == 1;
}

/* ---- Making and unmaking ------------------------------------------------ */

static void mail_close(struct mail *mail)
{
    if (mail->requests.ring)
        queue_release(&mail->requests);
    if (mail->answers.ring)
        queue_release(&mail->answers);
}

static bool mail_open(struct shards *shards, struct mail *mail)
{
    *mail = (struct mail){.served = 0};
    return queue_init(&mail->requests, &shards->fixed, REQUESTS_BYTES) &&
           queue_init(&mail->answers, &shards->fixed, ANSWERS_BYTES);
}

static size_t mail_count(const struct shards *shards)
{
    return (size_t)shards->count * shards->count;
}

static void mails_close(struct shards *shards)
{
    if (!shards->mail)
        return;
    for (size_t i = 0; i < mail_count(shards); i++)
        mail_close(&shards->mail[i]);
    budget_free(&shards->fixed, shards->mail,
                mail_count(shards) * sizeof(struct mail));
}

static bool mails_open(struct shards *shards)
{
    size_t bytes = mail_count(shards) * sizeof(struct mail);

    if (shards->count == 1)
        return true;
    shards->mail =
        budget_alloc_aligned(&shards->fixed, CACHE_LINE_BYTES, bytes);
    if (!shards->mail)
        return false;
    memset(shards->mail, 0, bytes);
    for (uint32_t from = 0; from < shards->count; from++) {
        for (uint32_t to = 0; to < shards->count; to++) {
            if (from != to &&
                !mail_open(shards, mail_between(shards, from, to)))
                return false;
        }
    }
    return true;
}

/* What must be the same for all: what sets this process apart from others. */
static void config_seed(struct chat_config *config)
{
    struct wire_config *wire = &config->wire;

    config->random(wire->boot, sizeof(wire->boot));
    uuid_from_random(wire->boot);
}

static bool chats_open(struct shards *shards, struct chat_config *config)
{
    uint8_t hash_key[ADDRESS_BYTES];

    config_seed(config);
    config->random(hash_key, sizeof(hash_key));
    for (uint32_t i = 0; i < shards->count; i++) {
        config->wire.number = i;
        shards->chats[i] = chat_open(shards, i, config, hash_key);
        if (!shards->chats[i])
            return false;
    }
    return true;
}

static void chats_close(struct shards *shards)
{
    /* No thread is left that could have anything. */
    for (uint32_t i = 0; i < shards->count; i++)
        turns_offline(&shards->turns, i);
    for (uint32_t i = 0; i < shards->count; i++)
        chat_close(shards->chats[i]);
}

static void shards_init(struct shards *shards, const struct chat_config *config,
                        uint32_t workers)
{
    shards->count = workers;
    budget_init(&shards->budget, config->memory_bytes_max);
    budget_init(&shards->fixed, UINT64_MAX);
    turns_init(&shards->turns, workers);
    for (uint32_t i = 0; i < workers; i++)
        sleeper_init(&shards->sleepers[i]);
    atomic_init(&shards->done, 0);
    atomic_init(&shards->last_id, 0);
    atomic_init(&shards->frozen, 0);
    atomic_init(&shards->heard, 0);
    pthread_mutex_init(&shards->lock,
                       NULL); /* cannot fail without attributes */
}

struct shards *shards_create(const struct chat_config *config, uint32_t workers)
{
    struct chat_config own = *config;
    struct shards *shards;
    void *memory;

    assert(workers >= 1 && workers <= WORKERS_MAX);
    if (posix_memalign(&memory, alignof(struct shards), sizeof(*shards)) != 0)
        return NULL;
    shards = memory;
    memset(shards, 0, sizeof(*shards));
    shards_init(shards, config, workers);
    if (nicks_init(&shards->nicks, &shards->budget) && mails_open(shards) &&
        chats_open(shards, &own))
        return shards;
    shards_destroy(shards);
    return NULL;
}

void shards_destroy(struct shards *shards)
{
    if (!shards)
        return;
    assert(!shards->addresses);
    chats_close(shards);
    nicks_release(&shards->nicks, &shards->budget);
    mails_close(shards);
    assert(shards->budget.used_bytes == 0 && shards->fixed.used_bytes == 0);
    pthread_mutex_destroy(&shards->lock);
    free(shards);
}

struct chat *shards_chat(struct shards *shards, uint32_t worker)
{
    assert(worker < shards->count);
    return shards->chats[worker];
}

struct chat *chat_create(const struct chat_config *config)
{
    struct shards *shards = shards_create(config, 1);

    return shards ? shards_chat(shards, 0) : NULL;
}

void chat_destroy(struct chat *chat)
{
    if (chat)
        shards_destroy(chat->shards);
}

/* ---- Nicks -------------------------------------------------------------- */

bool nick_take(struct session *session, struct slice nick)
{
    struct shards *shards = session->chat->shards;
    const struct session *holder;

    pthread_mutex_lock(&shards->lock);
    holder = nick_find(session->chat, nick);
    if (!holder || holder == session) {
        if (session->named)
            nick_remove(session);
        session_set_nick(session, nick);
        nick_add(session);
    }
    pthread_mutex_unlock(&shards->lock);
    return !holder || holder == session;
}

void nick_drop(struct session *session)
{
    struct shards *shards = session->chat->shards;

    pthread_mutex_lock(&shards->lock);
    if (session->named)
        nick_remove(session);
    pthread_mutex_unlock(&shards->lock);
}

uint32_t nick_worker(const struct chat *chat, struct slice nick)
{
    const struct session *holder;
    uint32_t worker;

    pthread_mutex_lock(&chat->shards->lock);
    holder = nick_find(chat, nick);
    worker = holder ? holder->chat->worker : UINT32_MAX;
    pthread_mutex_unlock(&chat->shards->lock);
    return worker;
}

struct session *nick_session(const struct chat *chat, struct slice nick)
{
    struct session *session;

    pthread_mutex_lock(&chat->shards->lock);
    session = nick_find(chat, nick);
    if (session && session->chat != chat)
        session = NULL;
    pthread_mutex_unlock(&chat->shards->lock);
    return session && session->state == SESSION_OPEN ? session : NULL;
}

/* ---- Turns -------------------------------------------------------------- */

void news_mark(struct chat *chat, uint32_t worker)
{
    chat->mail[worker].told =
        mail_between(chat->shards, chat->worker, worker)->answers.written;
}

/* Says that all the news that we have read have been passed on. */
static void tell_served(struct chat *chat)
{
    for (uint32_t from = 0; from < chat->shards->count; from++) {
        struct mail *mail;
        uint64_t read;

        if (from == chat->worker)
            continue;
        mail = mail_between(chat->shards, from, chat->worker);
        read = mail->answers.read;
        /* Relaxed: nobody else writes it. Release: what we have sent of it
         * comes before. Partner: others_are_served. */
        if (atomic_load_explicit(&mail->served, memory_order_relaxed) != read)
            atomic_store_explicit(&mail->served, read, memory_order_release);
    }
    chat->owing_turns = 0;
}

/* Whether somebody may wait for tell_served. */
static bool owes_served(const struct chat *chat)
{
    for (uint32_t from = 0; from < chat->shards->count; from++) {
        const struct mail *mail;

        if (from == chat->worker)
            continue;
        mail = mail_between(chat->shards, from, chat->worker);
        /* Relaxed: our own. */
        if (atomic_load_explicit(&mail->served, memory_order_relaxed) !=
            mail->answers.read)
            return true;
    }
    return false;
}

void shards_tick(struct chat *chat)
{
    if (all_are_served(chat))
        tell_served(chat);
    else if (owes_served(chat))
        chat->owing_turns++;
}

/* Whether the others have passed on all the news that we have told them. */
static bool others_are_served(const struct chat *chat)
{
    if (chat->news_first)
        return false;
    for (uint32_t to = 0; to < chat->shards->count; to++) {
        if (to == chat->worker)
            continue;
        /* Acquire; partner: tell_served. */
        if (atomic_load_explicit(
                &mail_between(chat->shards, chat->worker, to)->served,
                memory_order_acquire) < chat->mail[to].told)
            return false;
    }
    return true;
}

bool turn_is_over(const struct chat *chat)
{
    return all_are_served(chat) && others_are_served(chat);
}

void chat_announce(struct chat *chat)
{
    chat->turn++;
    if (chat->online)
        turns_announce(&chat->shards->turns, chat->worker);
    else
        turns_online(&chat->shards->turns, chat->worker);
    chat->online = true;
}

/* As long as nothing can be freed, it is looked less and less often. */
static void reclaim(struct chat *chat)
{
    uint64_t before = chat->segments.retired_bytes;
    uint64_t look_ns = chat->reclaim_look_ns;

    if (!segment_store_reclaim(&chat->segments, &chat->shards->turns))
        look_ns = 0;
    else if (look_ns == 0 || chat->segments.retired_bytes != before)
        look_ns = RECLAIM_LOOK_NS;
    else if (chat->now_ns >= chat->reclaim_at_ns)
        look_ns = earlier(2 * look_ns, RECLAIM_LOOK_NS_MAX);
    else
        return;
    chat->reclaim_look_ns = look_ns;
    chat->reclaim_at_ns = look_ns > 0 ? chat->now_ns + look_ns : UINT64_MAX;
}

/* Relaxed: see shards.retired. */
static void tell_retired(struct chat *chat)
{
    _Atomic uint64_t *bytes = &chat->shards->retired[chat->worker].bytes;
    uint64_t now = chat->segments.retired_bytes;

    if (atomic_load_explicit(bytes, memory_order_relaxed) != now)
        atomic_store_explicit(bytes, now, memory_order_relaxed);
}

uint64_t memory_on_its_way(const struct chat *chat)
{
    uint64_t sum = chat->segments.retired_bytes;

    for (uint32_t i = 0; i < chat->shards->count; i++) {
        if (i != chat->worker)
            sum += atomic_load_explicit(&chat->shards->retired[i].bytes,
                                        memory_order_relaxed);
    }
    return sum;
}

bool memory_is_awaited(const struct chat *chat)
{
    return memory_is_short(chat) && memory_on_its_way(chat) > 0;
}

static void wake_all(struct chat *chat)
{
    for (uint32_t to = 0; to < chat->shards->count; to++) {
        if (to != chat->worker && wake_needed(&chat->shards->sleepers[to]))
            chat->config.wake(chat->config.engine, chat->worker, to);
    }
}

void chat_publish(struct chat *chat)
{
    news_publish(chat);
    letters_publish(chat);
    stop_arrive(chat);
    if (all_are_served(chat))
        tell_served(chat);
    reclaim(chat);
    tell_retired(chat);
    if (memory_is_awaited(chat))
        wake_all(chat); /* who keeps it may sleep, and not know */
}

uint64_t shards_deadline(struct chat *chat)
{
    if (letters_wait(chat) || chat->news_first || memory_is_awaited(chat) ||
        (chat->stopping && chat->stop != STOP_ENDING))
        return chat->now_ns + TURN_LOOK_NS;
    return chat->reclaim_at_ns;
}

static uint64_t all_workers(const struct chat *chat)
{
    return UINT64_MAX >> (64 - chat->shards->count);
}

static bool all_are_done(const struct chat *chat)
{
    /* Acquire: see shards.done. */
    return atomic_load_explicit(&chat->shards->done, memory_order_acquire) ==
           all_workers(chat);
}

bool chat_sleep(struct chat *chat)
{
    struct sleeper *sleeper = &chat->shards->sleepers[chat->worker];

    if (is_alone(chat))
        return true;
    sleep_prepare(sleeper);
    if (letters_are_there(chat) || all_are_done(chat)) {
        sleep_over(sleeper);
        return false;
    }
    turns_offline(&chat->shards->turns, chat->worker);
    chat->online = false;
    return true;
}

void chat_awake(struct chat *chat)
{
    if (!is_alone(chat))
        sleep_over(&chat->shards->sleepers[chat->worker]);
}

/* ---- The end ------------------------------------------------------------ */

static bool is_done(const struct chat *chat)
{
    return !letters_are_unsent(chat) && chat->sessions_pool.objects == 0 &&
           chat->followings == 0 && chat->listings == 0;
}

bool chats_are_done(struct chat *chat)
{
    uint64_t own = UINT64_C(1) << chat->worker;
    uint64_t before;

    if (!is_done(chat))
        return false;
    before = atomic_fetch_or_explicit(&chat->shards->done, own,
                                      memory_order_acq_rel);
    if ((before | own) != all_workers(chat))
        return false;
    if (before != all_workers(chat))
        wake_all(chat);
    return true;
}

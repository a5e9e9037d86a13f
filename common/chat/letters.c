/*
 * Sending and taking letters. What is in them, handover.c knows.
 */
#include "common/chat/letters.h"

#include "common/chat/internal.h"
#include "common/chat/shared.h"

#include <assert.h>
#include <string.h>

_Static_assert(sizeof(struct letter) % 8 == 0, "a text stands behind it");

static struct mail *mail_to(const struct chat *chat, uint32_t to)
{
    return mail_between(chat->shards, chat->worker, to);
}

static struct mail *mail_from(const struct chat *chat, uint32_t from)
{
    return mail_between(chat->shards, from, chat->worker);
}

static uint64_t bit(uint32_t worker)
{
    return UINT64_C(1) << worker;
}

/* ---- Letters ------------------------------------------------------------ */

struct slice letter_text(const struct letter *letter)
{
    const char *text =
        letter->outside ? letter->outside : (const char *)(letter + 1);

    return (struct slice){text, letter->text_length};
}

struct slice letter_type(const struct letter *letter)
{
    struct slice text = letter_text(letter);

    return (struct slice){text.bytes + text.length, letter->type_length};
}

static struct letter *letter_begin(struct queue *queue, enum letter_kind kind,
                                   size_t more)
{
    struct letter *letter = queue_reserve(queue, sizeof(*letter) + more);

    if (letter)
        *letter = (struct letter){.kind = kind};
    return letter;
}

static void copy_text(struct letter *letter, char *place, struct slice text,
                      struct slice type)
{
    memcpy(place, text.bytes, text.length);
    if (type.length > 0)
        memcpy(place + text.length, type.bytes, type.length);
    letter->text_length = (uint32_t)text.length;
    letter->type_length = (uint32_t)type.length;
}

/* NULL without memory for a text that is longer than a letter may be. */
static struct letter *letter_begin_text(struct chat *chat, struct queue *queue,
                                        enum letter_kind kind,
                                        struct slice text, struct slice type)
{
    size_t length = text.length + type.length;
    bool is_inside = sizeof(struct letter) + length <= queue_record_max(queue);
    char *outside = is_inside ? NULL : budget_alloc(chat->budget, length);
    struct letter *letter;

    if (!is_inside && !outside)
        return NULL;
    /* What stands outside counts as much as may stand inside: only a few do. */
    letter = letter_begin(
        queue, kind,
        is_inside ? length : queue_record_max(queue) - sizeof(*letter));
    assert(letter);
    letter->outside = outside;
    copy_text(letter, outside ? outside : (char *)(letter + 1), text, type);
    return letter;
}

static void letter_drop(struct chat *chat, const struct letter *letter)
{
    budget_free(chat->budget, letter->outside,
                letter->text_length + letter->type_length);
}

/* ---- Requests ----------------------------------------------------------- */

static bool has_room(struct queue *queue)
{
    return queue_reserve(queue, queue_record_max(queue));
}

/* Whether the worker's queue can take whatever a session may ask. */
static void look_at_room(struct chat *chat, uint32_t to)
{
    chat->crowded &= ~bit(to);
    if (chat->mail[to].waiting || !has_room(&mail_to(chat, to)->requests))
        chat->crowded |= bit(to);
}

struct letter *request_begin(struct chat *chat, uint32_t to,
                             enum letter_kind kind)
{
    struct letter *letter = letter_begin(&mail_to(chat, to)->requests, kind, 0);

    assert(letter);
    return letter;
}

struct letter *request_begin_text(struct chat *chat, uint32_t to,
                                  enum letter_kind kind, struct slice text,
                                  struct slice type)
{
    return letter_begin_text(chat, &mail_to(chat, to)->requests, kind, text,
                             type);
}

void request_send(struct chat *chat, uint32_t to)
{
    queue_commit(&mail_to(chat, to)->requests);
    chat->mail[to].requests = true;
    look_at_room(chat, to);
}

/* The waiters that there is room for, in their order. */
static void waiters_send(struct chat *chat, uint32_t to)
{
    struct outgoing_mail *mail = &chat->mail[to];

    while (mail->waiting && has_room(&mail_to(chat, to)->requests)) {
        struct waiter *waiter = mail->waiting;

        mail->waiting = waiter->next;
        waiter_write(waiter, request_begin(chat, to, waiter->kind));
        request_send(chat, to);
    }
    look_at_room(chat, to);
}

void waiter_send(struct chat *chat, uint32_t to, struct waiter *waiter,
                 enum letter_kind kind)
{
    struct outgoing_mail *mail = &chat->mail[to];

    waiter->kind = kind;
    waiter->next = NULL;
    if (mail->waiting)
        mail->waiting_last->next = waiter;
    else
        mail->waiting = waiter;
    mail->waiting_last = waiter;
    waiters_send(chat, to);
}

/* ---- Answers ------------------------------------------------------------ */

bool answer_has_room(struct chat *chat, uint32_t to)
{
    return has_room(&mail_to(chat, to)->answers);
}

struct letter *answer_begin(struct chat *chat, uint32_t to,
                            enum letter_kind kind)
{
    struct letter *letter = letter_begin(&mail_to(chat, to)->answers, kind, 0);

    assert(letter);
    return letter;
}

struct letter *answer_begin_text(struct chat *chat, uint32_t to,
                                 enum letter_kind kind, struct slice text)
{
    return letter_begin_text(chat, &mail_to(chat, to)->answers, kind, text,
                             SLICE(""));
}

void answer_send(struct chat *chat, uint32_t to)
{
    queue_commit(&mail_to(chat, to)->answers);
    chat->mail[to].answers = true;
}

/* ---- Taking ------------------------------------------------------------- */

static void take_answers(struct chat *chat, uint32_t from)
{
    struct queue *queue = &mail_from(chat, from)->answers;
    const struct letter *letter;
    size_t length;

    while ((letter = queue_peek(queue, &length))) {
        answer_take(chat, letter);
        letter_drop(chat, letter);
        queue_pop(queue);
    }
    queue_consumed(queue);
}

/* Whether what it asks for may be done now. */
static bool is_heard(struct chat *chat, uint32_t from)
{
    return !turn_is_full(chat) && !memory_is_awaited(chat) &&
           answer_has_room(chat, from);
}

static void take_requests(struct chat *chat, uint32_t from)
{
    struct queue *queue = &mail_from(chat, from)->requests;
    const struct letter *letter;
    size_t length;

    while (is_heard(chat, from) && (letter = queue_peek(queue, &length))) {
        request_take(chat, from, letter);
        letter_drop(chat, letter);
        queue_pop(queue);
    }
    queue_consumed(queue);
}

void answers_take(struct chat *chat)
{
    for (uint32_t from = 0; from < chat->shards->count; from++) {
        if (from == chat->worker)
            continue;
        waiters_send(chat, from);
        take_answers(chat, from);
    }
}

/* Another one first each time, so that all have their part of a turn. */
void requests_take(struct chat *chat)
{
    uint32_t count = chat->shards->count;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t from = (uint32_t)((chat->turn + i) % count);

        if (from != chat->worker)
            take_requests(chat, from);
    }
}

bool letters_are_there(struct chat *chat)
{
    size_t length;

    for (uint32_t from = 0; from < chat->shards->count; from++) {
        struct mail *mail = mail_from(chat, from);

        if (from == chat->worker)
            continue;
        if (queue_peek(&mail->answers, &length) ||
            (is_heard(chat, from) && queue_peek(&mail->requests, &length)))
            return true;
    }
    return false;
}

bool letters_are_unsent(const struct chat *chat)
{
    for (uint32_t to = 0; to < chat->shards->count; to++) {
        if (chat->mail[to].waiting)
            return true;
    }
    return false;
}

bool letters_wait(struct chat *chat)
{
    size_t length;

    for (uint32_t from = 0; from < chat->shards->count; from++) {
        if (from != chat->worker &&
            queue_peek(&mail_from(chat, from)->requests, &length))
            return true;
    }
    return letters_are_unsent(chat);
}

void letters_publish(struct chat *chat)
{
    for (uint32_t to = 0; to < chat->shards->count; to++) {
        struct outgoing_mail *outgoing = &chat->mail[to];
        struct mail *mail;

        if (!outgoing->requests && !outgoing->answers)
            continue;
        mail = mail_to(chat, to);
        if (outgoing->requests)
            queue_publish(&mail->requests);
        if (outgoing->answers)
            queue_publish(&mail->answers);
        outgoing->requests = outgoing->answers = false;
        if (wake_needed(&chat->shards->sleepers[to]))
            chat->config.wake(chat->config.engine, chat->worker, to);
    }
}

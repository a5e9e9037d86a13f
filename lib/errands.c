/*
 * Errands: what was asked for, in plain form, until it is known what has
 * become of it. No protocol, no clock: dialogue.c and its kin say when what
 * happens.
 */
#include "lib/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* ---- Lists -------------------------------------------------------------- */

static void list_append(struct errand_list *list, struct errand *errand)
{
    errand->next = NULL;
    if (list->last)
        list->last->next = errand;
    else
        list->first = errand;
    list->last = errand;
    list->count++;
}

static struct errand *list_take(struct errand_list *list)
{
    struct errand *errand = list->first;

    if (!errand)
        return NULL;
    list->first = errand->next;
    if (!list->first)
        list->last = NULL;
    list->count--;
    return errand;
}

/* Answers come in the order of what they answer: it is nearly always the
 * first. False: it is not in there. */
static bool list_remove(struct errand_list *list, struct errand *errand)
{
    struct errand *before = NULL;
    struct errand *at = list->first;

    while (at && at != errand) {
        before = at;
        at = at->next;
    }
    if (!at)
        return false;
    if (before)
        before->next = errand->next;
    else
        list->first = errand->next;
    if (list->last == errand)
        list->last = before;
    list->count--;
    return true;
}

/* All of `front`, in its order, comes before what is in the list. */
static void list_prepend(struct errand_list *list, struct errand_list *front)
{
    if (!front->first)
        return;
    front->last->next = list->first;
    if (!list->last)
        list->last = front->last;
    list->first = front->first;
    list->count += front->count;
    *front = (struct errand_list){0};
}

static void list_release(struct errand_list *list)
{
    struct errand *errand;

    while ((errand = list_take(list)))
        errand_free(errand);
}

/* ---- One errand --------------------------------------------------------- */

static size_t errand_cost(const struct errand *errand)
{
    return sizeof(*errand) + errand->text_length + errand->type_length;
}

void errand_free(struct errand *errand)
{
    free(errand);
}

static void copy_text(char *out, struct ringchat_text text)
{
    if (text.length > 0)
        memcpy(out, text.bytes, text.length);
}

static struct errand *errand_create(struct errands *errands,
                                    const struct wanted *wanted)
{
    size_t length = wanted->text.length + wanted->content_type.length;
    struct errand *errand = malloc(sizeof(*errand) + length);

    if (!errand)
        return NULL;
    errands->numbers++;
    if ((uint32_t)errands->numbers == 0)
        errands->numbers++;
    *errand = (struct errand){
        .kind = wanted->kind,
        .number = errands->numbers,
        .name = wanted->name,
        .text_length = wanted->text.length,
        .type_length = wanted->content_type.length,
    };
    copy_text(errand->bytes, wanted->text);
    copy_text(errand->bytes + wanted->text.length, wanted->content_type);
    return errand;
}

/* ---- All of them -------------------------------------------------------- */

void errands_init(struct errands *errands, size_t bytes_max)
{
    *errands = (struct errands){.bytes_max = bytes_max};
}

void errands_release(struct errands *errands)
{
    list_release(&errands->own);
    list_release(&errands->queued);
    list_release(&errands->sent);
    list_release(&errands->over);
}

/* One that is as long as all may be together is taken if it is alone. */
static bool errands_take(const struct errands *errands, size_t bytes)
{
    return errands->bytes == 0 || errands->bytes + bytes <= errands->bytes_max;
}

int errands_make(struct errands *errands, const struct wanted *wanted,
                 struct errand **made)
{
    size_t length = wanted->text.length + wanted->content_type.length;

    if (wanted->text.length > errands->bytes_max)
        return -EMSGSIZE;
    if (!errands_take(errands, sizeof(struct errand) + length)) {
        if (errands->turned_away < sizeof(struct errand) + length)
            errands->turned_away = sizeof(struct errand) + length;
        return -EAGAIN;
    }
    *made = errand_create(errands, wanted);
    return *made ? 0 : -ENOMEM;
}

struct errand *errands_make_own(struct errands *errands, enum errand_kind kind,
                                const struct name *name)
{
    struct errand *errand =
        errand_create(errands, &(struct wanted){.kind = kind, .name = *name});

    if (errand)
        errand->own = true;
    return errand;
}

void errands_queue(struct errands *errands, struct errand *errand)
{
    errands->bytes += errand_cost(errand);
    list_append(errand->own ? &errands->own : &errands->queued, errand);
}

struct errand *errands_next(const struct errands *errands, bool open)
{
    if (errands->own.first)
        return errands->own.first;
    return open ? errands->queued.first : NULL;
}

/* Out of the list that it waits in. */
static void errands_unqueue(struct errands *errands, struct errand *errand)
{
    bool waited =
        list_remove(errand->own ? &errands->own : &errands->queued, errand);

    assert(waited);
    errands->bytes -= errand_cost(errand);
}

void errands_sent(struct errands *errands, struct errand *errand,
                  uint64_t now_ns)
{
    errands_unqueue(errands, errand);
    errands_await(errands, errand, now_ns);
}

void errands_await(struct errands *errands, struct errand *errand,
                   uint64_t now_ns)
{
    errand->sent_ns = now_ns;
    errands->bytes += errand_cost(errand);
    errands->moving += errand_moves(errand);
    list_append(&errands->sent, errand);
}

void errands_drop(struct errands *errands, struct errand *errand)
{
    errands_unqueue(errands, errand);
    errand_free(errand);
}

struct errand *errands_find(const struct errands *errands, uint32_t id)
{
    struct errand *errand = errands->sent.first;

    while (errand && (uint32_t)errand->number != id)
        errand = errand->next;
    return errand;
}

/* Out of those that wait for an answer. */
static bool errands_unsend(struct errands *errands, struct errand *errand)
{
    if (!list_remove(&errands->sent, errand))
        return false;
    errands->bytes -= errand_cost(errand);
    errands->moving -= errand_moves(errand);
    return true;
}

void errands_finish(struct errands *errands, struct errand *errand, int error,
                    enum ringchat_error code)
{
    if (!errands_unsend(errands, errand))
        errands_unqueue(errands, errand);
    errand->error = error;
    errand->code = code;
    list_append(&errands->over, errand);
}

static void drop_own(struct errands *errands)
{
    struct errand *errand;

    while ((errand = list_take(&errands->own))) {
        errands->bytes -= errand_cost(errand);
        errand_free(errand);
    }
}

/* What does no harm when it is done twice, and what was to be done anew. */
static bool may_repeat(const struct errand *errand, bool again)
{
    return !errand->own && !errand->refused && (again || errand_moves(errand));
}

void errands_lost(struct errands *errands, bool again)
{
    struct errand_list repeated = {0};
    struct errand *errand;

    drop_own(errands);
    while ((errand = errands->sent.first)) {
        if (!may_repeat(errand, again)) {
            errands_finish(errands, errand, -ECONNRESET, RINGCHAT_ERROR_NONE);
            continue;
        }
        errands_unsend(errands, errand);
        errands->bytes += errand_cost(errand);
        errand->moved = false;
        errand->repeated = true;
        list_append(&repeated, errand);
    }
    list_prepend(&errands->queued, &repeated);
}

void errands_cancel(struct errands *errands)
{
    struct errand *errand;

    while ((errand = errands->sent.first))
        errands_finish(errands, errand, -ECONNRESET, RINGCHAT_ERROR_NONE);
    drop_own(errands);
    while ((errand = errands->queued.first))
        errands_finish(errands, errand,
                       errand->repeated ? -ECONNRESET : -ECANCELED,
                       RINGCHAT_ERROR_NONE);
}

struct errand *errands_take_over(struct errands *errands)
{
    return list_take(&errands->over);
}

bool errands_are_roomy(const struct errands *errands)
{
    return errands->bytes <= errands->bytes_max / 2 &&
           errands_take(errands, errands->turned_away);
}

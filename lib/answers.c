/*
 * Which request an answer belongs to.
 *
 * `frame` and `secure` have ids. In `text` there are none; but replies and
 * errors come in the order of what they answer (docs/protocol.md). So behind
 * each request that somebody awaits, a token is sent: `/echo ~NUMBER`. What
 * comes before a token comes back, and after the one before, belongs to its
 * request: an error refuses it, and without one it was done. What nobody
 * awaits, has no token; where that has been said before, one more token keeps
 * its errors apart.
 */
#include "lib/internal.h"

#include "common/base/builder.h"

#include <errno.h>

static bool tell_reply(struct told *told, uint64_t ticket,
                       const struct ringchat_message *reply)
{
    *told =
        (struct told){.kind = TOLD_REPLY, .ticket = ticket, .message = *reply};
    return true;
}

static bool tell_fault(struct told *told,
                       const struct ringchat_message *message)
{
    *told = (struct told){.kind = TOLD_FAULT, .message = *message};
    return true;
}

static bool tell_done(struct told *told, const struct errand *errand,
                      struct ringchat_text detail)
{
    *told = (struct told){
        .kind = TOLD_DONE,
        .result =
            {
                RINGCHAT_SIZED(told->result),
                .ticket = errand->number,
                .code = errand->code,
                .error = errand->error,
                .seq = errand->seq,
                .detail = detail,
            },
    };
    return true;
}

/* ---- What has been done ------------------------------------------------- */

static void obey_leave(struct dialogue *dialogue, const struct name *room)
{
    belonging_leave(&dialogue->belonging, room);
    dialogue->belonging.anywhere = false;
    if (name_is(&dialogue->spoken_room, name_text(room)))
        dialogue->spoken_room = (struct name){0};
}

static void obey_join(struct dialogue *dialogue, const struct errand *join)
{
    belonging_join(&dialogue->belonging, &join->name);
    if (!join->own)
        dialogue->belonging.anywhere = false;
    dialogue->spoken_room = join->name;
}

static void obey_rename(struct dialogue *dialogue, const struct name *nick)
{
    dialogue->belonging.nick = *nick;
    dialogue->belonging.nick_wanted = *nick;
}

/* The server has done what was asked for. */
static void finish(struct dialogue *dialogue, struct errand *errand)
{
    if (errand->kind == ERRAND_JOIN)
        obey_join(dialogue, errand);
    else if (errand->kind == ERRAND_LEAVE)
        obey_leave(dialogue, &errand->name);
    else if (errand->kind == ERRAND_RENAME)
        obey_rename(dialogue, &errand->name);
    errands_finish(&dialogue->errands, errand, 0, RINGCHAT_ERROR_NONE);
}

/* The notice that the room's members get, and who came or went gets not. */
static bool tell_own_notice(struct dialogue *dialogue, struct errand *errand,
                            struct told *told)
{
    bool join = errand->kind == ERRAND_JOIN;

    if (errand->error != 0 || errand->noticed ||
        (!join && errand->kind != ERRAND_LEAVE))
        return false;
    errand->noticed = true;
    *told = (struct told){
        .kind = TOLD_NOTICE,
        .message =
            {
                RINGCHAT_SIZED(told->message),
                .kind = join ? RINGCHAT_JOINED : RINGCHAT_LEFT,
                .room = name_text(&errand->name),
                .nick = name_text(&dialogue->belonging.nick),
            },
    };
    return true;
}

/* What was refused before it was sent, and nobody awaits. */
static bool tell_own_fault(const struct errand *errand, struct told *told)
{
    if (errand->error != -EPROTO)
        return false;
    return tell_fault(told, &(struct ringchat_message){
                                .size = sizeof(struct ringchat_message),
                                .kind = RINGCHAT_ERROR,
                                .code = errand->code,
                            });
}

bool answers_over(struct dialogue *dialogue, struct told *told)
{
    struct errand *errand;

    while ((errand = dialogue->errands.over.first)) {
        if (!errand->own && tell_own_notice(dialogue, errand, told))
            return true;
        errand_free(dialogue->told_errand);
        dialogue->told_errand = errands_take_over(&dialogue->errands);
        if (errand->refused)
            continue;
        if (errand->ticketed)
            return tell_done(told, errand, TEXT(""));
        if (tell_own_fault(errand, told))
            return true;
    }
    return false;
}

/* ---- What has been refused ---------------------------------------------- */

/* Of what the client had asked for by itself. A nick that is in use is asked
 * for again at the next heartbeat, and tried for without a word at a return:
 * it may be the session that was lost that still has it. */
static bool refuse_own(struct dialogue *dialogue, const struct errand *errand,
                       const struct ringchat_message *error, uint64_t now_ns,
                       struct told *told)
{
    struct belonging *belonging = &dialogue->belonging;

    switch (errand->kind) {
    case ERRAND_JOIN:
        belonging_leave(belonging, &errand->name);
        return tell_fault(told, error);
    case ERRAND_RENAME:
        if (error->code == RINGCHAT_ERROR_NICK_IN_USE)
            return !dialogue->been_open && tell_fault(told, error);
        if (!dialogue->been_open) {
            dialogue_lose(dialogue, error->code, 0, error->text, now_ns);
            return false;
        }
        belonging->nick_wanted = (struct name){0};
        return tell_fault(told, error);
    default:
        return false;
    }
}

/* In `text` it is over when its token comes. */
static bool refuse(struct dialogue *dialogue, struct errand *errand,
                   const struct ringchat_message *error, uint64_t now_ns,
                   struct told *told)
{
    bool told_already = errand->refused;

    errand->refused = true;
    errand->error = -EPROTO;
    errand->code = error->code;
    if (dialogue->manner.dialect != RINGCHAT_TEXT)
        errands_finish(&dialogue->errands, errand, -EPROTO, error->code);
    if (told_already)
        return tell_fault(told, error);
    if (errand->own)
        return refuse_own(dialogue, errand, error, now_ns, told);
    return errand->ticketed ? tell_done(told, errand, error->text)
                            : tell_fault(told, error);
}

/* ---- Answers by their place: `text` ------------------------------------- */

static bool is_token_of(struct ringchat_text text, const struct errand *errand)
{
    struct builder token = {0};

    saying_build_token(&token, errand);
    return text.length == token.length &&
           memcmp(text.bytes, token.bytes, token.length) == 0;
}

static void token_came(struct dialogue *dialogue, struct errand *errand,
                       uint64_t now_ns)
{
    if (errand->kind == ERRAND_TOKEN)
        dialogue->figures.rtt_us = (now_ns - errand->sent_ns) / NS_PER_US;
    if (errand->refused)
        errands_finish(&dialogue->errands, errand, errand->error, errand->code);
    else
        finish(dialogue, errand);
}

/* A reply that somebody has asked for. */
static bool is_for_caller(const struct errand *errand)
{
    return !errand->own && errand->kind != ERRAND_SAY &&
           errand->kind != ERRAND_TELL;
}

static uint64_t ticket_of(const struct errand *errand)
{
    return errand && errand->ticketed ? errand->number : 0;
}

static bool take_line(struct dialogue *dialogue,
                      const struct ringchat_message *reply, uint64_t now_ns,
                      struct told *told)
{
    struct errand *errand = dialogue->errands.sent.first;

    if (!errand)
        return dialogue->phase != PHASE_PARTING && tell_reply(told, 0, reply);
    if (is_token_of(reply->text, errand)) {
        token_came(dialogue, errand, now_ns);
        return false;
    }
    if (errand->moved) {
        errand->moved = false;
        return false;
    }
    return is_for_caller(errand) && tell_reply(told, ticket_of(errand), reply);
}

static bool take_in_text(struct dialogue *dialogue,
                         const struct ringchat_message *message,
                         uint64_t now_ns, struct told *told)
{
    struct errand *errand = dialogue->errands.sent.first;

    if (message->kind == RINGCHAT_REPLY)
        return take_line(dialogue, message, now_ns, told);
    if (!errand || errand->kind == ERRAND_TOKEN)
        return tell_fault(told, message);
    return refuse(dialogue, errand, message, now_ns, told);
}

/* ---- Answers by their id: `frame` and `secure` -------------------------- */

static void take_ack(struct dialogue *dialogue, struct errand *errand,
                     uint64_t seq)
{
    if (errand->kind != ERRAND_SAY && errand->kind != ERRAND_TELL)
        return;
    errand->seq = seq;
    if (errand->kind == ERRAND_SAY)
        belonging_acknowledged(&dialogue->belonging, name_text(&errand->name),
                               seq);
    finish(dialogue, errand);
}

static bool take_reply(struct dialogue *dialogue, struct errand *errand,
                       const struct ringchat_message *reply, struct told *told)
{
    bool for_caller = is_for_caller(errand);
    uint64_t ticket = ticket_of(errand);

    if (!reply->more)
        finish(dialogue, errand);
    return for_caller && tell_reply(told, ticket, reply);
}

/* It answers nothing that was asked for. */
static bool take_stray(struct dialogue *dialogue,
                       const struct ringchat_message *message,
                       struct told *told)
{
    if (message->kind == RINGCHAT_ERROR)
        return tell_fault(told, message);
    return message->kind == RINGCHAT_REPLY &&
           dialogue->phase != PHASE_PARTING && tell_reply(told, 0, message);
}

bool answers_hear(struct dialogue *dialogue,
                  const struct ringchat_message *message, uint64_t now_ns,
                  struct told *told)
{
    struct errand *errand;

    if (dialogue->manner.dialect == RINGCHAT_TEXT)
        return take_in_text(dialogue, message, now_ns, told);
    errand = errands_find(&dialogue->errands, message->id);
    if (!errand)
        return take_stray(dialogue, message, told);
    if (message->kind == RINGCHAT_ERROR)
        return refuse(dialogue, errand, message, now_ns, told);
    if (message->kind == RINGCHAT_REPLY)
        return take_reply(dialogue, errand, message, told);
    take_ack(dialogue, errand, message->seq);
    return false;
}

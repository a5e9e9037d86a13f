/*
 * Counting, and reading what was counted.
 */
#include "common/chat/metrics.h"

#include "common/base/clock.h"
#include "common/chat/internal.h"

#include <string.h>

static uint64_t now_second(const struct chat *chat)
{
    return chat->now_ns / NS_PER_SECOND;
}

static void meters_append(struct chat *chat, struct meter *meter)
{
    meter->next = NULL;
    meter->previous = chat->meters_last;
    if (chat->meters_last)
        chat->meters_last->next = meter;
    else
        chat->meters_first = meter;
    chat->meters_last = meter;
}

static void meters_remove(struct chat *chat, struct meter *meter)
{
    if (meter->previous)
        meter->previous->next = meter->next;
    else
        chat->meters_first = meter->next;
    if (meter->next)
        meter->next->previous = meter->previous;
    else
        chat->meters_last = meter->previous;
}

/* What moved before there was a meter moved when the session was opened (the
 * welcome), or is older than a meter looks back. */
static void meter_seed(struct meter *meter, const struct session *session)
{
    uint64_t opened = session->opened_ns / NS_PER_SECOND;

    if (meter->second - opened < METER_SECONDS)
        meter->seconds[opened % METER_SECONDS] = (struct traffic){
            session->bytes_in, session->bytes_out, session->messages};
}

static struct meter *meter_create(struct session *session)
{
    struct chat *chat = session->chat;
    struct meter *meter = pool_alloc(&chat->meters_pool);

    if (!meter)
        return NULL;
    *meter = (struct meter){.session = session, .second = now_second(chat)};
    meter_seed(meter, session);
    meters_append(chat, meter);
    session->meter = meter;
    return meter;
}

/* Moves on to this second, emptying those that have passed without traffic. */
static void meter_turn(struct chat *chat, struct meter *meter)
{
    uint64_t now = now_second(chat);
    uint64_t passed = now - meter->second;

    if (passed == 0)
        return;
    if (passed > METER_SECONDS)
        passed = METER_SECONDS;
    for (uint64_t i = 0; i < passed; i++)
        meter->seconds[(now - i) % METER_SECONDS] = (struct traffic){0};
    meter->second = now;
    meters_remove(chat, meter);
    meters_append(chat, meter);
}

/* A session that has only been welcomed gets no meter yet; without memory for
 * one it goes on unmetered. */
static struct meter *meter_of(struct session *session)
{
    if (session->meter)
        return session->meter;
    if (session->bytes_in == 0 && session->bytes_out == 0)
        return NULL;
    return meter_create(session);
}

void meter_add(struct session *session, struct traffic traffic)
{
    struct chat *chat = session->chat;
    struct meter *meter = meter_of(session);

    if (meter) {
        struct traffic *second;

        meter_turn(chat, meter);
        second = &meter->seconds[meter->second % METER_SECONDS];
        second->in += traffic.in;
        second->out += traffic.out;
        second->messages += traffic.messages;
    }
    session->bytes_in += traffic.in;
    session->bytes_out += traffic.out;
    session->messages += traffic.messages;
    chat->metrics.bytes_in += traffic.in;
    chat->metrics.bytes_out += traffic.out;
    chat->metrics.messages += traffic.messages;
}

struct traffic meter_sum(const struct session *session)
{
    const struct meter *meter = session->meter;
    uint64_t now = now_second(session->chat);
    struct traffic sum = {0};

    if (!meter)
        return sum;
    for (uint64_t i = 0; i <= meter->second; i++) {
        uint64_t second = meter->second - i;
        const struct traffic *traffic = &meter->seconds[second % METER_SECONDS];

        if (now - second >= METER_SECONDS)
            break;
        sum.in += traffic->in;
        sum.out += traffic->out;
        sum.messages += traffic->messages;
    }
    return sum;
}

void meter_release(struct session *session)
{
    struct chat *chat = session->chat;

    if (!session->meter)
        return;
    meters_remove(chat, session->meter);
    pool_free(&chat->meters_pool, session->meter);
    session->meter = NULL;
}

void meters_expire(struct chat *chat)
{
    uint64_t now = now_second(chat);

    while (chat->meters_first &&
           now - chat->meters_first->second >= METER_SECONDS)
        meter_release(chat->meters_first->session);
}

struct link_sample session_link(struct session *session)
{
    struct chat *chat = session->chat;
    struct link_sample link = {0};

    if (chat->config.link)
        chat->config.link(session->user, &link);
    if (link.rtt_us > 0 && !session->binary)
        histogram_add(&chat->metrics.latency_us, link.rtt_us);
    return link;
}

static uint64_t rooms_of(const struct chat *chat)
{
    uint64_t count = 0;

    for (const struct room *room = chat->rooms; room; room = room->by_name.next)
        count += !room->remote;
    return count;
}

void totals_add(struct totals *totals, struct chat *chat)
{
    const struct metrics *from = &chat->metrics;
    struct metrics *to = &totals->metrics;

    to->messages += from->messages;
    to->deliveries += from->deliveries;
    to->bytes_in += from->bytes_in;
    to->bytes_out += from->bytes_out;
    to->lagged += from->lagged;
    to->errors += from->errors;
    histogram_merge(&to->latency_us, &from->latency_us);
    totals->sessions = sessions_served(chat);
    totals->rooms += rooms_of(chat);
    totals->blocked += chat->blocked;
    totals->uptime_ns = chat->now_ns - chat->started_ns;
}

void metrics_of_server(const struct totals *totals,
                       struct metric metrics[SERVER_METRICS])
{
    const struct metrics *m = &totals->metrics;
    const struct histogram *latency = &m->latency_us;
    const struct metric values[SERVER_METRICS] = {
        {.name = "clients_active", .value = totals->sessions},
        {.name = "rooms_active", .value = totals->rooms},
        {.name = "messages_total", .value = m->messages},
        {.name = "deliveries_total", .value = m->deliveries},
        {.name = "bytes_in_total", .value = m->bytes_in},
        {.name = "bytes_out_total", .value = m->bytes_out},
        {.name = "latency_p50_us", .value = histogram_percentile(latency, 50)},
        {.name = "latency_p99_us", .value = histogram_percentile(latency, 99)},
        {.name = "latency_max_us", .value = latency->max},
        {.name = "backpressured", .value = totals->blocked},
        {.name = "lagged_total", .value = m->lagged},
        {.name = "errors_total", .value = m->errors},
        {.name = "uptime_s", .value = totals->uptime_ns / NS_PER_SECOND},
    };

    memcpy(metrics, values, sizeof(values));
}

void metrics_of_session(struct session *session,
                        struct metric metrics[SESSION_METRICS])
{
    struct link_sample link = session_link(session);
    uint64_t connected_ns = session->chat->now_ns - session->opened_ns;
    uint64_t loss =
        link.segments_out ? link.retransmits * 10000 / link.segments_out : 0;
    const struct metric values[SESSION_METRICS] = {
        {.name = "my_messages", .value = session->messages},
        {.name = "my_connected_s", .value = connected_ns / NS_PER_SECOND},
        {.name = "my_bytes_in", .value = session->bytes_in},
        {.name = "my_bytes_out", .value = session->bytes_out},
        {.name = "my_rtt_us", .value = link.rtt_us},
        {.name = "my_retransmits", .value = link.retransmits},
        {.name = "my_loss_percent", .value = loss, .hundredths = true},
    };

    memcpy(metrics, values, sizeof(values));
}

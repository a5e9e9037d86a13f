/*
 * A thread's turns: see worker.h. What has come is heard, who may speak speaks,
 * and a few times a second it is looked after what takes too long.
 */
#include "tests/load/worker.h"

#include "tests/load/observe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <unistd.h>

#define EVENTS_MAX 256
#define TICK_NS (20 * MS_NS)
/* Bytes that a client has to send from which on it says nothing more. */
#define OUT_MAX (4 * 1024 * 1024)
/* No more is expected when nothing has come for so long. */
#define QUIET_NS (250 * MS_NS)
#define COMPLAINTS_MAX 5
#define COMPLAINT_BYTES 256

void worker_complain(struct worker *worker, const char *format, ...)
{
    char line[COMPLAINT_BYTES];
    va_list arguments;

    if (++worker->complaints > COMPLAINTS_MAX)
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    for (char *at = line; *at; at++) {
        if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f)
            *at = '?'; /* a server's words do not drive a terminal */
    }
    fprintf(stderr, "ringchat-load: %s%s\n", line,
            worker->complaints == COMPLAINTS_MAX ? " (of more nothing is said)"
                                                 : "");
}

/* ---- Waking ------------------------------------------------------------- */

/* write(2), to an eventfd: it cannot fail but by being full, and then it is
 * known already. */
void worker_wake(struct worker *worker)
{
    uint64_t one = 1;
    ssize_t written = write(worker->wake_fd, &one, sizeof(one));

    (void)written;
}

static void make_ready(struct worker *worker, struct voice *voice)
{
    if (voice->is_ready)
        return;
    voice->is_ready = true;
    voice->ready = worker->ready;
    worker->ready = voice;
}

void voice_call(struct voice *voice, struct worker *by)
{
    struct worker *worker = voice->worker;
    struct voice *first;

    if (worker == by) {
        make_ready(worker, voice);
        return;
    }
    if (atomic_exchange(&voice->is_called, true))
        return;
    first = atomic_load(&worker->inbox);
    do
        voice->called = first;
    while (!atomic_compare_exchange_weak(&worker->inbox, &first, voice));
    if (!first)
        worker_wake(worker);
}

static void take_inbox(struct worker *worker)
{
    struct voice *voice = atomic_exchange(&worker->inbox, NULL);

    while (voice) {
        struct voice *next = voice->called;

        atomic_store(&voice->is_called, false);
        make_ready(worker, voice);
        voice = next;
    }
}

/* ---- Speaking ----------------------------------------------------------- */

static bool may_speak(const struct worker *worker)
{
    return worker->phase == PHASE_WARMUP || worker->phase == PHASE_MEASURED;
}

static bool has_more_to_say(const struct plan *plan, struct voice *voice)
{
    return voice->client->state == CLIENT_IN_ROOM &&
           atomic_load_explicit(&voice->said, memory_order_relaxed) <
               plan->messages &&
           voice_has_place(voice) && out_length(&voice->client->out) < OUT_MAX;
}

static bool has_schedule(const struct worker *worker)
{
    return worker->run->plan->rate > 0;
}

/* As much as its window permits; with a schedule speak_due has seen to it. */
static void speak(struct worker *worker, struct voice *voice)
{
    const struct plan *plan = worker->run->plan;
    uint64_t now_ns = clock_ns();

    while (!has_schedule(worker) && has_more_to_say(plan, voice) &&
           atomic_load(&voice->outstanding) < plan->window)
        client_say(voice->client, now_ns);
    client_flush(voice->client);
}

static void speak_ready(struct worker *worker)
{
    while (worker->ready) {
        struct voice *voice = worker->ready;

        worker->ready = voice->ready;
        voice->is_ready = false;
        speak(worker, voice);
    }
}

/* Message number n of voice v is due when all voices have said n messages, and
 * v others their next: one every 1/rate seconds. */
static uint64_t due_ns(const struct worker *worker)
{
    const struct run *run = worker->run;
    const struct voice *voice = worker->voices[worker->due];
    uint64_t place = worker->due_number * run->voices_count +
                     (uint64_t)(voice - run->voices);

    return run->begin_ns + (uint64_t)((double)place * S_NS / run->plan->rate);
}

/* When there is something to say; UINT64_MAX: never. */
static uint64_t next_due_ns(const struct worker *worker)
{
    if (worker->voices_count == 0 ||
        worker->due_number >= worker->run->plan->messages)
        return UINT64_MAX;
    return due_ns(worker);
}

static void next_due(struct worker *worker)
{
    if (++worker->due < worker->voices_count)
        return;
    worker->due = 0;
    worker->due_number++;
}

/* What cannot be said when it is due is said as soon as it can be, and it has
 * been due since; so have those behind it. */
static void speak_due(struct worker *worker, uint64_t now_ns)
{
    const struct plan *plan = worker->run->plan;

    while (next_due_ns(worker) <= now_ns) {
        struct voice *voice = worker->voices[worker->due];

        if (voice->client->state == CLIENT_IN_ROOM) {
            worker->is_held |= !has_more_to_say(plan, voice);
            if (!has_more_to_say(plan, voice))
                return;
            worker->counts.held += worker->is_held;
            client_say(voice->client, due_ns(worker));
            make_ready(worker, voice); /* to be flushed, once for all */
        }
        next_due(worker);
    }
    worker->is_held = false;
}

/* They will not be said any more. */
static void count_held(struct worker *worker, uint64_t now_ns)
{
    while (worker->is_held && next_due_ns(worker) <= now_ns) {
        worker->counts.held++;
        next_due(worker);
    }
}

/* Who speaks without a schedule begins, and is called again when messages are
 * complete. */
static void speak_all(struct worker *worker)
{
    for (uint32_t i = 0; i < worker->voices_count; i++)
        make_ready(worker, worker->voices[i]);
}

/* ---- Coming ------------------------------------------------------------- */

static bool is_churn(const struct worker *worker)
{
    return plan_is_churn(worker->run->plan);
}

static uint32_t ramp(const struct worker *worker)
{
    const struct plan *plan = worker->run->plan;
    uint32_t share = plan->ramp / plan->threads;

    return share ? share : 1;
}

static bool are_coming(const struct worker *worker)
{
    return is_churn(worker) ? may_speak(worker) : worker->phase == PHASE_COMING;
}

static bool has_come_enough(const struct worker *worker,
                            const struct client *client)
{
    return is_churn(worker) &&
           atomic_load(&client->voice->said) >= worker->run->plan->messages;
}

static void come(struct worker *worker)
{
    while (are_coming(worker) && worker->away &&
           worker->coming < ramp(worker)) {
        struct client *client = worker->away;

        worker->away = client->away;
        if (has_come_enough(worker, client) || client_come(client))
            continue;
        client_is_away(client);
        return; /* not now: at the next turn, a tick away at most */
    }
}

/* ---- What takes too long ------------------------------------------------ */

static void refuse_late(struct worker *worker, uint64_t now_ns)
{
    for (uint32_t i = 0; i < worker->clients_count; i++) {
        struct client *client = &worker->clients[i];

        if ((client->state == CLIENT_CONNECTING ||
             client->state == CLIENT_ENTERING) &&
            client_is_late(client, now_ns))
            client_gone(client, "it took too long");
    }
}

static void give_up_late(struct worker *worker, uint64_t now_ns)
{
    uint64_t patience_ns = plan_patience_ns(worker->run->plan);

    if (now_ns < patience_ns)
        return;
    for (uint32_t i = 0; i < worker->voices_count; i++) {
        struct voice *voice = worker->voices[i];
        uint32_t count = voice_give_up(voice, now_ns - patience_ns);

        worker->counts.overdue += count;
        if (count > 0)
            make_ready(worker, voice);
    }
}

/* Those that are slow read for a while, and then do not. */
static void stall(struct worker *worker, uint64_t now_ns)
{
    const struct plan *plan = worker->run->plan;
    double since_s = (double)(now_ns - worker->begin_ns) / S_NS;
    bool is_stalled = worker->phase == PHASE_MEASURED &&
                      (uint64_t)(since_s / plan->stall_s) % 2 == 0;

    for (uint32_t i = 0; i < worker->clients_count; i++) {
        if (worker->clients[i].is_slow)
            client_stall(&worker->clients[i], is_stalled);
    }
}

static bool all_heard(const struct worker *worker)
{
    if (worker->run->plan->workload == WORKLOAD_LISTEN)
        return true;
    for (uint32_t i = 0; i < worker->voices_count; i++) {
        if (atomic_load(&worker->voices[i]->outstanding) > 0)
            return false;
    }
    for (uint32_t i = 0; is_churn(worker) && i < worker->clients_count; i++) {
        if (worker->clients[i].state != CLIENT_AWAY)
            return false;
    }
    return true;
}

static void drain(struct worker *worker, uint64_t now_ns)
{
    if (worker->has_drained || !all_heard(worker) ||
        now_ns < worker->heard_ns + QUIET_NS ||
        now_ns < worker->end_ns + QUIET_NS)
        return;
    worker->has_drained = true;
    atomic_fetch_sub(&worker->run->draining, 1);
}

static void show(struct worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->shown = worker->counts;
    worker->shown_latency = worker->latency;
    pthread_mutex_unlock(&worker->lock);
}

static void come_later(struct worker *worker)
{
    while (worker->later) {
        struct client *client = worker->later;

        worker->later = client->away;
        client_is_away(client);
    }
}

static void tick(struct worker *worker, uint64_t now_ns)
{
    if (now_ns < worker->tick_ns + TICK_NS)
        return;
    worker->tick_ns = now_ns;
    refuse_late(worker, now_ns);
    come_later(worker);
    if (may_speak(worker) || worker->phase == PHASE_DRAINING)
        give_up_late(worker, now_ns);
    if (worker->run->plan->slow_share > 0)
        stall(worker, now_ns);
    if (worker->phase == PHASE_DRAINING)
        drain(worker, now_ns);
    show(worker);
}

/* ---- Phases ------------------------------------------------------------- */

static void on_phase(struct worker *worker, enum phase phase)
{
    bool spoke = may_speak(worker);

    worker->phase = phase;
    if (!spoke && may_speak(worker) && !has_schedule(worker) &&
        !is_churn(worker))
        speak_all(worker);
    if (phase == PHASE_MEASURED) {
        histogram_init(&worker->latency);
        worker->before = worker->counts;
        worker->cpu_begin_s = thread_cpu_s();
        worker->begin_ns = clock_ns();
    }
    if (phase == PHASE_DRAINING) {
        count_held(worker, clock_ns());
        worker->after = worker->counts;
        worker->cpu_end_s = thread_cpu_s();
        worker->end_ns = clock_ns();
    }
}

/* ---- Turns -------------------------------------------------------------- */

/* Until the next is due; if it is held back, until something happens. */
static struct timespec wait_time(struct worker *worker, uint64_t now_ns)
{
    uint64_t until_ns = worker->tick_ns + TICK_NS;
    uint64_t ns;

    if (may_speak(worker) && has_schedule(worker) && !worker->is_held &&
        next_due_ns(worker) < until_ns)
        until_ns = next_due_ns(worker);
    ns = until_ns > now_ns ? until_ns - now_ns : 0;
    return (struct timespec){.tv_nsec = (long)ns};
}

/* read(2), of the eventfd: the count is zero from now on. */
static void on_woken(struct worker *worker)
{
    uint64_t count;
    ssize_t got = read(worker->wake_fd, &count, sizeof(count));

    (void)got;
}

__attribute__((noreturn)) static void no_kernel(void)
{
    perror("ringchat-load: epoll_pwait2");
    _exit(EX_OSERR);
}

/* epoll_pwait2(2). EINTR: a signal was handled; ENOSYS: before Linux 5.11. */
static void wait_and_hear(struct worker *worker)
{
    struct epoll_event events[EVENTS_MAX];
    struct timespec wait = wait_time(worker, clock_ns());
    int count = epoll_pwait2(worker->epoll_fd, events, EVENTS_MAX, &wait, NULL);

    if (count < 0 && errno != EINTR)
        no_kernel();
    for (int i = 0; i < count; i++) {
        struct client *client = events[i].data.ptr;

        if (!client)
            on_woken(worker);
        else if (client->state != CLIENT_AWAY)
            client_on_events(client, events[i].events);
    }
}

static void turn(struct worker *worker)
{
    enum phase phase = (enum phase)atomic_load(&worker->run->phase);
    uint64_t now_ns;

    if (phase != worker->phase)
        on_phase(worker, phase);
    wait_and_hear(worker);
    take_inbox(worker);
    now_ns = clock_ns();
    come(worker);
    if (may_speak(worker) && has_schedule(worker))
        speak_due(worker, now_ns);
    if (may_speak(worker) && !is_churn(worker))
        speak_ready(worker);
    tick(worker, now_ns);
}

void *worker_main(void *argument)
{
    struct worker *worker = argument;

    for (uint32_t i = worker->clients_count; i > 0; i--)
        client_is_away(&worker->clients[i - 1]);
    while (worker->phase != PHASE_OVER)
        turn(worker);
    for (uint32_t i = 0; i < worker->clients_count; i++)
        client_end(&worker->clients[i]);
    return NULL;
}

/* ---- Opening ------------------------------------------------------------ */

int worker_open(struct worker *worker)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (worker->epoll_fd < 0)
        return -errno;
    worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (worker->wake_fd < 0)
        return -errno;
    if (epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->wake_fd, &event) < 0)
        return -errno;
    worker->bytes = allocate(RECEIVE_BYTES, 1);
    histogram_init(&worker->latency);
    histogram_init(&worker->shown_latency);
    histogram_init(&worker->entering);
    pthread_mutex_init(&worker->lock, NULL);
    return 0;
}

void worker_close(struct worker *worker)
{
    close(worker->epoll_fd);
    close(worker->wake_fd);
    free(worker->bytes);
    free(worker->text);
    pthread_mutex_destroy(&worker->lock);
}

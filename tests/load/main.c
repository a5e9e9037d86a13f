/*
 * ringchat-load: real clients in great number, which verify all that they hear.
 * This is the conductor: it sets up the run, begins its phases, shows how it
 * goes, and adds up what the threads have counted.
 */
#include "tests/load/observe.h"
#include "tests/load/report.h"
#include "tests/load/run.h"
#include "tests/load/worker.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

/* How often it is looked whether a phase is over. */
#define LOOK_NS (10 * MS_NS)
/* A server's memory is measured when it has been left alone for so long. */
#define SETTLE_NS (200 * MS_NS)

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

/* ---- Setting up --------------------------------------------------------- */

static void make_rooms(struct run *run)
{
    const struct plan *plan = run->plan;
    uint32_t tag = (uint32_t)(clock_ns() / 1000) ^ (uint32_t)getpid() << 16;

    run->rooms = allocate(plan->rooms, sizeof(*run->rooms));
    for (uint32_t i = 0; i < plan->rooms; i++)
        snprintf(run->rooms[i].name, ROOM_NAME_BYTES, "load-%08x-%u", tag, i);
}

static void make_voices_of(struct run *run, struct room *room,
                           struct voice *voices)
{
    const struct plan *plan = run->plan;

    for (uint32_t i = 0; i < plan->speakers; i++) {
        voices[i].room = room;
        voice_init(&voices[i], plan_places(plan));
        if (plan->workload == WORKLOAD_LISTEN) /* without our hearing of it */
            atomic_store(&voices[i].said, UINT32_MAX);
    }
}

static void make_voices(struct run *run)
{
    const struct plan *plan = run->plan;

    run->voices_count = plan->rooms * plan->speakers;
    run->voices = allocate(run->voices_count, sizeof(*run->voices));
    for (uint32_t i = 0; i < plan->rooms; i++)
        make_voices_of(run, &run->rooms[i],
                       &run->voices[(size_t)i * plan->speakers]);
}

/* A client's room, its place in it, its target, its thread. */
struct seat {
    uint32_t room, index, target, worker;
};

/* Rooms stay together on a thread, unless there are fewer than threads. */
static struct seat seat_of(const struct plan *plan, uint32_t number)
{
    struct seat seat;

    assert(plan->rooms > 0 && plan->targets_count > 0 && plan->threads > 0);
    seat.room = number % plan->rooms;
    seat.index = number / plan->rooms;
    seat.target = (seat.index + seat.room) % plan->targets_count;
    seat.worker = plan->rooms >= plan->threads
                      ? seat.room
                      : seat.index / plan->targets_count;
    seat.worker %= plan->threads;
    return seat;
}

static struct audience *audience_of(struct run *run, const struct seat *seat)
{
    const struct plan *plan = run->plan;
    size_t place = (size_t)seat->room * plan->targets_count + seat->target;
    struct audience *audience = &run->workers[seat->worker].audiences[place];

    if (!audience->room)
        audience_init(audience, &run->rooms[seat->room],
                      &run->voices[(size_t)seat->room * plan->speakers],
                      plan->speakers, plan_places(plan),
                      plan->targets[seat->target].dialect->hears_itself);
    return audience;
}

static void make_voice(struct run *run, const struct seat *seat,
                       struct client *client)
{
    struct worker *worker = client->worker;
    struct voice *voice =
        &run->voices[(size_t)seat->room * run->plan->speakers + seat->index];

    client->voice = voice;
    voice->client = client;
    voice->audience = client->audience;
    voice->worker = worker;
    worker->voices[worker->voices_count++] = voice;
}

/* The last of a room's members. */
static uint32_t slow_members(const struct plan *plan, uint32_t members)
{
    return (uint32_t)(plan->slow_share * (double)members);
}

static void make_client(struct run *run, uint32_t number)
{
    const struct plan *plan = run->plan;
    struct seat seat = seat_of(plan, number);
    struct worker *worker = &run->workers[seat.worker];
    struct client *client = &worker->clients[worker->clients_count++];
    uint32_t members =
        plan->clients / plan->rooms + (seat.room < plan->clients % plan->rooms);

    client->worker = worker;
    client->target = &plan->targets[seat.target];
    client->number = number;
    client->audience = audience_of(run, &seat);
    client->speaker = (struct speaker){
        .dialect = client->target->dialect,
        .terms = &plan->terms,
        .room = run->rooms[seat.room].name,
        .number = number,
    };
    if (seat.index < plan->speakers && plan->workload != WORKLOAD_LISTEN)
        make_voice(run, &seat, client);
    else
        client->is_slow = seat.index >= members - slow_members(plan, members);
}

static void make_clients(struct run *run)
{
    const struct plan *plan = run->plan;
    uint32_t counts[THREADS_MAX] = {0};

    for (uint32_t i = 0; i < plan->clients; i++)
        counts[seat_of(plan, i).worker]++;
    for (uint32_t i = 0; i < plan->threads; i++) {
        struct worker *worker = &run->workers[i];

        worker->clients = allocate(counts[i], sizeof(*worker->clients));
        worker->voices = allocate(counts[i], sizeof(struct voice *));
        worker->audiences = allocate((size_t)plan->rooms * plan->targets_count,
                                     sizeof(*worker->audiences));
        worker->text = allocate(plan->size, 1);
    }
    for (uint32_t i = 0; i < plan->clients; i++)
        make_client(run, i);
}

static int make_workers(struct run *run)
{
    run->workers = allocate(run->plan->threads, sizeof(*run->workers));
    for (uint32_t i = 0; i < run->plan->threads; i++) {
        int error;

        run->workers[i].run = run;
        error = worker_open(&run->workers[i]);
        if (error != 0)
            return error;
    }
    return 0;
}

static void tear_down(struct run *run)
{
    const struct plan *plan = run->plan;
    size_t audiences = (size_t)plan->rooms * plan->targets_count;

    for (uint32_t i = 0; i < plan->threads; i++) {
        struct worker *worker = &run->workers[i];

        for (size_t j = 0; j < audiences; j++)
            audience_release(&worker->audiences[j]);
        free(worker->audiences);
        free(worker->clients);
        free(worker->voices);
        worker_close(worker);
    }
    for (uint32_t i = 0; i < run->voices_count; i++)
        voice_release(&run->voices[i]);
    free(run->workers);
    free(run->voices);
    free(run->rooms);
}

/* setrlimit(2): as many descriptors as may be. */
static void raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* ---- Phases ------------------------------------------------------------- */

static void begin_phase(struct run *run, enum phase phase)
{
    if (phase == PHASE_DRAINING)
        atomic_store(&run->draining, run->plan->threads);
    if (run->begin_ns == 0)
        run->begin_ns = clock_ns();
    atomic_store(&run->phase, phase);
    for (uint32_t i = 0; i < run->plan->threads; i++)
        worker_wake(&run->workers[i]);
}

static void sleep_ns(uint64_t ns)
{
    struct timespec time = {.tv_sec = (time_t)(ns / 1000000000),
                            .tv_nsec = (long)(ns % 1000000000)};

    nanosleep(&time, NULL);
}

static uint64_t after_s(double seconds)
{
    return clock_ns() + (uint64_t)(seconds * S_NS);
}

static void wait_until_entered(struct run *run)
{
    uint64_t told_ns = clock_ns();

    while (!interrupted && atomic_load(&run->coming) > 0) {
        sleep_ns(LOOK_NS);
        if (run->plan->quiet || clock_ns() - told_ns < (uint64_t)S_NS)
            continue;
        told_ns = clock_ns();
        fprintf(stderr, "%u of %u clients are still coming\n",
                atomic_load(&run->coming), run->plan->clients);
    }
}

/* With --messages: whether all of them have been said, and heard. */
static bool all_said(const struct run *run)
{
    for (uint32_t i = 0; i < run->voices_count; i++) {
        struct voice *voice = &run->voices[i];

        if (!atomic_load(&voice->is_mute) &&
            (atomic_load(&voice->said) < run->plan->messages ||
             atomic_load(&voice->outstanding) > 0))
            return false;
    }
    return run->voices_count > 0;
}

/* What the threads have shown. */
static void add_shown(struct run *run, struct counts *counts,
                      struct histogram *latency)
{
    *counts = (struct counts){0};
    histogram_init(latency);
    for (uint32_t i = 0; i < run->plan->threads; i++) {
        struct worker *worker = &run->workers[i];

        pthread_mutex_lock(&worker->lock);
        counts_add(counts, &worker->shown);
        histogram_merge(latency, &worker->shown_latency);
        pthread_mutex_unlock(&worker->lock);
    }
}

/* The state that the last line of progress has left. */
struct progress {
    uint64_t begin_ns, told_ns;
    struct counts counts;
    struct histogram latency, now, last;
};

/* Of the last second alone. */
static void subtract(struct histogram *histogram,
                     const struct histogram *before)
{
    if (histogram->count < before->count)
        return; /* it has begun anew meanwhile */
    histogram->count -= before->count;
    histogram->sum_ns -= before->sum_ns;
    histogram->max_ns = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        histogram->buckets[i] -= before->buckets[i];
        if (histogram->buckets[i] > 0)
            histogram->max_ns = histogram_highest(i);
    }
}

static void show_progress(struct run *run, struct progress *progress)
{
    uint64_t now_ns = clock_ns();
    double seconds = (double)(now_ns - progress->told_ns) / S_NS;
    struct counts counts, delta;

    if (run->plan->quiet || seconds < 1)
        return;
    add_shown(run, &counts, &progress->now);
    delta = (struct counts){
        .published = counts.published - progress->counts.published,
        .delivered = counts.delivered - progress->counts.delivered,
        .bytes_in = counts.bytes_in - progress->counts.bytes_in,
    };
    progress->last = progress->now;
    subtract(&progress->last, &progress->latency);
    report_progress(&delta, &progress->last, seconds,
                    (double)(now_ns - progress->begin_ns) / S_NS);
    progress->counts = counts;
    progress->latency = progress->now;
    progress->told_ns = now_ns;
}

static void wait_while_speaking(struct run *run, struct progress *progress,
                                double seconds)
{
    uint64_t until_ns = after_s(seconds);

    while (!interrupted && clock_ns() < until_ns) {
        sleep_ns(LOOK_NS);
        show_progress(run, progress);
        if (run->plan->messages < UINT32_MAX && all_said(run))
            return;
    }
}

/* Until all has been heard, or given up, and what may still come has come. */
static void wait_until_drained(struct run *run)
{
    uint64_t until_ns = after_s(2 * run->plan->patience_s + 1);

    while (atomic_load(&run->draining) > 0 && clock_ns() < until_ns)
        sleep_ns(LOOK_NS);
}

/* ---- The run ------------------------------------------------------------ */

static bool look_at_server(const struct plan *plan, struct usage *usage)
{
    return plan->server_pid > 0 && usage_read(plan->server_pid, usage) == 0;
}

/* What the time costs. */
static void measure(struct run *run, struct results *results,
                    struct progress *progress)
{
    const struct plan *plan = run->plan;
    struct usage begin = {0}, end = {0};

    results->has_server = look_at_server(plan, &begin);
    results->our_cpu_s = process_cpu_s();
    results->idle_s = machine_idle_s();
    begin_phase(run, PHASE_MEASURED);
    histogram_init(&progress->latency); /* as the threads do */
    wait_while_speaking(run, progress, plan->duration_s);
    results->our_cpu_s = process_cpu_s() - results->our_cpu_s;
    results->idle_s = machine_idle_s() - results->idle_s;
    results->has_server &= look_at_server(plan, &end);
    results->server = usage_between(&begin, &end);
}

static void conduct(struct run *run, struct results *results)
{
    const struct plan *plan = run->plan;
    struct progress *progress = allocate(1, sizeof(*progress));
    struct usage entered;
    bool is_idle; /* nobody got in */

    if (!plan_is_churn(plan))
        wait_until_entered(run);
    is_idle = !plan_is_churn(plan) && atomic_load(&run->present) == 0;
    sleep_ns(plan->server_pid > 0 ? SETTLE_NS : 0);
    if (look_at_server(plan, &entered))
        results->resident_entered = entered.resident_bytes;
    progress->begin_ns = progress->told_ns = clock_ns();
    if (plan->warmup_s > 0 && !interrupted && !is_idle) {
        begin_phase(run, PHASE_WARMUP);
        wait_while_speaking(run, progress, plan->warmup_s);
    }
    if (!interrupted && !is_idle)
        measure(run, results, progress);
    begin_phase(run, PHASE_DRAINING);
    wait_until_drained(run);
    begin_phase(run, PHASE_OVER);
    results->was_interrupted = interrupted;
    free(progress);
}

static void add_up(const struct run *run, struct results *results)
{
    histogram_init(&results->latency);
    histogram_init(&results->entering);
    for (uint32_t i = 0; i < run->plan->threads; i++) {
        const struct worker *worker = &run->workers[i];
        double seconds = (double)(worker->end_ns - worker->begin_ns) / S_NS;
        double share = (worker->cpu_end_s - worker->cpu_begin_s) / seconds;

        counts_add(&results->totals, &worker->counts);
        if (worker->begin_ns == 0)
            continue; /* it was interrupted before */
        counts_add_difference(&results->measured, &worker->after,
                              &worker->before);
        histogram_merge(&results->latency, &worker->latency);
        histogram_merge(&results->entering, &worker->entering);
        if (seconds > results->seconds)
            results->seconds = seconds;
        if (share > results->busiest_share)
            results->busiest_share = share;
    }
}

static void run_threads(struct run *run, struct results *results)
{
    const struct plan *plan = run->plan;

    atomic_store(&run->coming, plan->clients);
    for (uint32_t i = 0; i < plan->threads; i++) {
        int error = pthread_create(&run->workers[i].thread, NULL, worker_main,
                                   &run->workers[i]);

        if (error != 0) {
            fprintf(stderr, "ringchat-load: a thread: %s\n",
                    strerrordesc_np(error));
            _exit(EX_OSERR);
        }
    }
    conduct(run, results);
    for (uint32_t i = 0; i < plan->threads; i++)
        pthread_join(run->workers[i].thread, NULL);
    add_up(run, results);
}

static bool is_to_stdout(const char *file)
{
    return file && strcmp(file, "-") == 0;
}

static int finish(const struct results *results)
{
    const struct plan *plan = results->plan;
    int error = 0;

    report_summary(results, is_to_stdout(plan->json) ? stderr : stdout);
    if (plan->json)
        error = report_json(results, plan->json);
    if (error != 0) {
        fprintf(stderr, "ringchat-load: %s: %s\n", plan->json,
                strerrordesc_np(-error));
        return EX_CANTCREAT;
    }
    if (results->totals.entered == 0)
        return EX_UNAVAILABLE;
    return results_hold(results) ? 0 : 1;
}

static void handle_signals(void)
{
    /* A second one ends it at once. */
    struct sigaction action = {.sa_handler = on_signal,
                               .sa_flags = (int)SA_RESETHAND};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

int main(int argc, char **argv)
{
    static struct plan plan; /* with its matter it is large */
    static struct results results;
    struct run run = {.plan = &plan};
    struct usage usage = {0};
    int status = plan_read(&plan, argc, argv);

    if (status != 0)
        return status < 0 ? 0 : status;
    results.plan = &plan;
    if (plan.server_pid > 0 && !look_at_server(&plan, &usage))
        fprintf(stderr,
                "ringchat-load: --server-pid %d: nothing is known of "
                "it\n",
                (int)plan.server_pid);
    else
        results.resident_before = plan.server_pid ? usage.resident_bytes : 0;
    raise_descriptors();
    handle_signals();
    make_rooms(&run);
    make_voices(&run);
    status = make_workers(&run);
    if (status != 0) {
        fprintf(stderr, "ringchat-load: %s\n", strerrordesc_np(-status));
        return EX_OSERR;
    }
    make_clients(&run);
    run_threads(&run, &results);
    tear_down(&run);
    status = finish(&results);
    plan_release(&plan);
    return status;
}

/*
 * What came of a run: see report.h.
 */
#include "tests/load/report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

/* A thread that has so much of a processor has all of it. */
#define BUSY_SHARE 0.9

bool results_hold(const struct results *results)
{
    const struct counts *totals = &results->totals;

    return totals->lost == 0 && totals->twice == 0 && totals->late == 0 &&
           totals->corrupted == 0 && totals->overstated == 0 &&
           totals->errors == 0 && totals->refused == 0 && totals->cut == 0 &&
           totals->overdue == 0;
}

/* ---- Who had the most to do --------------------------------------------- */

static double cpu_s(const struct usage *usage)
{
    return usage->user_s + usage->system_s;
}

static double processors(void)
{
    return (double)sysconf(_SC_NPROCESSORS_ONLN);
}

/* Of what its threads can have, or its busiest thread of a processor. */
static double server_share(const struct results *results)
{
    double threads = results->server.threads;
    double share;

    if (threads > processors())
        threads = processors();
    share = cpu_s(&results->server) / threads;
    if (share < results->server.busiest_s)
        share = results->server.busiest_s;
    return share / results->seconds;
}

enum bottleneck results_bottleneck(const struct results *results)
{
    double idle_share = results->idle_s / results->seconds / processors();

    if (results->has_server && server_share(results) >= BUSY_SHARE)
        return BOTTLENECK_SERVER;
    if (results->busiest_share >= BUSY_SHARE)
        return BOTTLENECK_GENERATOR;
    if (idle_share < 1 - BUSY_SHARE)
        return BOTTLENECK_MACHINE;
    return results->has_server ? BOTTLENECK_NONE : BOTTLENECK_UNKNOWN;
}

static const char *const bottlenecks[] = {
    [BOTTLENECK_SERVER] = "server",   [BOTTLENECK_GENERATOR] = "generator",
    [BOTTLENECK_MACHINE] = "machine", [BOTTLENECK_NONE] = "none",
    [BOTTLENECK_UNKNOWN] = "unknown",
};

static const char *const explanations[] = {
    [BOTTLENECK_SERVER] = "the server: its processor time is used up",
    [BOTTLENECK_GENERATOR] = "ringchat-load: the figures are about it, and "
                             "not about the server (--threads)",
    [BOTTLENECK_MACHINE] = "the machine: all its processors are busy",
    [BOTTLENECK_NONE] = "none: schedule, window or latency limit it",
    [BOTTLENECK_UNKNOWN] = "not ringchat-load; of the server nothing is known "
                           "(--server-pid)",
};

/* ---- For people --------------------------------------------------------- */

static double us(uint64_t ns)
{
    return (double)ns / 1e3;
}

static double rate(uint64_t count, double seconds)
{
    return seconds > 0 ? (double)count / seconds : 0;
}

void report_progress(const struct counts *counts,
                     const struct histogram *latency, double seconds,
                     double since_s)
{
    fprintf(stderr,
            "%5.0f s  published %.0f/s  delivered %.0f/s  %.1f MB/s  "
            "p50 %.0f us  p99 %.0f us  max %.0f us\n",
            since_s, rate(counts->published, seconds),
            rate(counts->delivered, seconds),
            rate(counts->bytes_in, seconds) / 1e6,
            us(histogram_quantile(latency, 0.5)),
            us(histogram_quantile(latency, 0.99)),
            us(histogram_quantile(latency, 1)));
}

static void print_rates(const struct results *results)
{
    const struct counts *measured = &results->measured;
    double seconds = results->seconds;

    printf("measured    %.2f s\n", seconds);
    printf("published   %" PRIu64 " messages, %.0f/s\n", measured->published,
           rate(measured->published, seconds));
    printf("delivered   %" PRIu64 " messages, %.0f/s, %.1f MB/s\n",
           measured->delivered, rate(measured->delivered, seconds),
           rate(measured->bytes_in, seconds) / 1e6);
    if (results->plan->workload == WORKLOAD_CHURN)
        printf("visits      %" PRIu64 ", %.0f/s\n", measured->visits,
               rate(measured->visits, seconds));
}

static void print_times(const char *name, const struct histogram *histogram)
{
    if (histogram->count == 0)
        return;
    printf("%-11s min %.1f  mean %.1f  stddev %.1f  p50 %.1f  p90 %.1f  "
           "p99 %.1f  p99.9 %.1f  max %.1f us\n",
           name, us(histogram->min_ns), histogram_mean(histogram) / 1e3,
           histogram_stddev(histogram) / 1e3,
           us(histogram_quantile(histogram, 0.5)),
           us(histogram_quantile(histogram, 0.9)),
           us(histogram_quantile(histogram, 0.99)),
           us(histogram_quantile(histogram, 0.999)), us(histogram->max_ns));
}

static void print_checks(const struct results *results)
{
    const struct counts *totals = &results->totals;

    printf("checks      %s: lost %" PRIu64 ", twice %" PRIu64
           ", reordered %" PRIu64 ", corrupted %" PRIu64 "\n",
           results_hold(results) ? "held" : "FAILED", totals->lost,
           totals->twice, totals->late, totals->corrupted);
    printf("            lagged %" PRIu64 " messages (told %" PRIu64
           " times, overstated %" PRIu64 "), overdue %" PRIu64
           ", held back %" PRIu64 "\n",
           totals->lagged, totals->lags, totals->overstated, totals->overdue,
           totals->held);
    printf("            errors %" PRIu64 ", refused %" PRIu64
           ", cut off %" PRIu64 "\n",
           totals->errors, totals->refused, totals->cut);
}

static void print_server(const struct results *results)
{
    const struct usage *server = &results->server;
    double total_s = cpu_s(server);
    double grown =
        (double)results->resident_entered - (double)results->resident_before;

    if (!results->has_server)
        return;
    printf("server      %.2f s of processor time (user %.2f, system %.2f), "
           "its busiest thread of %u %.0f %%\n",
           total_s, server->user_s, server->system_s, server->threads,
           100 * server->busiest_s / results->seconds);
    if (total_s > 0)
        printf("            %.0f deliveries a second of it, context switches "
               "%" PRIu64 " + %" PRIu64 "\n",
               (double)results->measured.delivered / total_s,
               server->switches_voluntary, server->switches_involuntary);
    printf("            resident %.1f MB; %.0f bytes for each client that "
           "came\n",
           (double)server->resident_bytes / 1e6,
           results->totals.entered > 0 ? grown / (double)results->totals.entered
                                       : 0);
}

void report_summary(const struct results *results)
{
    const struct plan *plan = results->plan;

    printf("%s: %u clients in %u room%s, %u of each speak, %zu bytes\n",
           plan->name, plan->clients, plan->rooms, plan->rooms == 1 ? "" : "s",
           plan->speakers, plan->size);
    print_rates(results);
    print_times("latency", &results->latency);
    print_times("entering", &results->entering);
    print_checks(results);
    print_server(results);
    printf("generator   %.2f s of processor time, its busiest thread %.0f %%\n",
           results->our_cpu_s, 100 * results->busiest_share);
    printf("machine     %.0f %% of %.0f processors idle\n",
           100 * results->idle_s / results->seconds / processors(),
           processors());
    printf("bottleneck  %s\n", explanations[results_bottleneck(results)]);
}

/* ---- For programs ------------------------------------------------------- */

static json_t *json_targets(const struct plan *plan)
{
    json_t *array = json_array();

    for (unsigned i = 0; i < plan->targets_count; i++)
        json_array_append_new(array, json_string(plan->targets[i].url));
    return array;
}

static json_t *json_plan(const struct plan *plan)
{
    return json_pack(
        "{s:s, s:o, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:i, "
        "s:I}",
        "workload", plan->name, "urls", json_targets(plan), "clients",
        (int)plan->clients, "rooms", (int)plan->rooms, "senders",
        (int)plan->speakers, "size", (int)plan->size, "window",
        (int)plan->window, "rate", plan->rate, "duration_s", plan->duration_s,
        "warmup_s", plan->warmup_s, "slow_share", plan->slow_share, "stall_s",
        plan->stall_s, "threads", (int)plan->threads, "seed",
        (json_int_t)plan->seed);
}

static json_t *json_counts(const struct counts *counts)
{
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
        "s:I, s:I, s:I, s:I, s:I}",
        "published", (json_int_t)counts->published, "delivered",
        (json_int_t)counts->delivered, "bytes_in", (json_int_t)counts->bytes_in,
        "bytes_out", (json_int_t)counts->bytes_out, "entered",
        (json_int_t)counts->entered, "visits", (json_int_t)counts->visits,
        "lost", (json_int_t)counts->lost, "duplicated",
        (json_int_t)counts->twice, "reordered", (json_int_t)counts->late,
        "corrupted", (json_int_t)counts->corrupted, "lagged",
        (json_int_t)counts->lagged, "lag_notices", (json_int_t)counts->lags,
        "overstated", (json_int_t)counts->overstated, "errors",
        (json_int_t)counts->errors, "refused", (json_int_t)counts->refused,
        "cut", (json_int_t)counts->cut, "overdue", (json_int_t)counts->overdue,
        "held", (json_int_t)counts->held);
}

/* [from, up to, how many] in nanoseconds, of those that are not empty. */
static json_t *json_buckets(const struct histogram *histogram)
{
    json_t *array = json_array();

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (histogram->buckets[i] > 0)
            json_array_append_new(
                array, json_pack("[I, I, I]", (json_int_t)histogram_lowest(i),
                                 (json_int_t)histogram_highest(i),
                                 (json_int_t)histogram->buckets[i]));
    }
    return array;
}

static json_t *json_times(const struct histogram *histogram)
{
    return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:o}",
                     "count", (json_int_t)histogram->count, "min_us",
                     histogram->count > 0 ? us(histogram->min_ns) : 0,
                     "mean_us", histogram_mean(histogram) / 1e3, "stddev_us",
                     histogram_stddev(histogram) / 1e3, "p50_us",
                     us(histogram_quantile(histogram, 0.5)), "p90_us",
                     us(histogram_quantile(histogram, 0.9)), "p99_us",
                     us(histogram_quantile(histogram, 0.99)), "p999_us",
                     us(histogram_quantile(histogram, 0.999)), "max_us",
                     us(histogram->max_ns), "buckets_ns",
                     json_buckets(histogram));
}

static json_t *json_server(const struct results *results)
{
    const struct usage *server = &results->server;

    if (!results->has_server)
        return json_null();
    return json_pack(
        "{s:f, s:f, s:f, s:I, s:I, s:i, s:I, s:I, s:I, s:f}", "user_s",
        server->user_s, "system_s", server->system_s, "busiest_thread_s",
        server->busiest_s, "switches_voluntary",
        (json_int_t)server->switches_voluntary, "switches_involuntary",
        (json_int_t)server->switches_involuntary, "threads",
        (int)server->threads, "resident_bytes",
        (json_int_t)server->resident_bytes, "resident_before_bytes",
        (json_int_t)results->resident_before, "resident_entered_bytes",
        (json_int_t)results->resident_entered, "deliveries_per_cpu_s",
        cpu_s(server) > 0 ? (double)results->measured.delivered / cpu_s(server)
                          : 0);
}

static json_t *json_rates(const struct results *results)
{
    const struct counts *measured = &results->measured;
    double seconds = results->seconds;

    return json_pack("{s:f, s:f, s:f, s:f, s:f}", "seconds", seconds,
                     "published_per_s", rate(measured->published, seconds),
                     "delivered_per_s", rate(measured->delivered, seconds),
                     "megabytes_per_s", rate(measured->bytes_in, seconds) / 1e6,
                     "visits_per_s", rate(measured->visits, seconds));
}

int report_json(const struct results *results, const char *file)
{
    json_t *json = json_pack(
        "{s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:f, s:f, s:f}, s:s}",
        "plan", json_plan(results->plan), "held", (int)results_hold(results),
        "rates", json_rates(results), "measured",
        json_counts(&results->measured), "totals",
        json_counts(&results->totals), "latency", json_times(&results->latency),
        "entering", json_times(&results->entering), "server",
        json_server(results), "generator", "cpu_s", results->our_cpu_s,
        "busiest_share", results->busiest_share, "machine_idle_s",
        results->idle_s, "bottleneck",
        bottlenecks[results_bottleneck(results)]);
    int error = 0;

    if (!json)
        return -ENOMEM;
    errno = EIO;
    if (json_dump_file(json, file, JSON_INDENT(2) | JSON_REAL_PRECISION(10)) !=
        0)
        error = -errno;
    json_decref(json);
    return error;
}

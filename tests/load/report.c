/*
 * What came of a run, for people: see report.h.
 */
#include "tests/load/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* A thread that has so much of a processor has all of it. */
#define BUSY_SHARE 0.9

static bool is_churn(const struct results *results)
{
    return plan_is_churn(results->plan);
}

/* Where some speak, somebody hears. */
static bool is_anything_due(const struct plan *plan)
{
    return plan->speakers > 0;
}

bool results_hold(const struct results *results)
{
    const struct counts *totals = &results->totals;

    return (totals->delivered > 0 || !is_anything_due(results->plan)) &&
           totals->lost == 0 && totals->twice == 0 && totals->late == 0 &&
           totals->corrupted == 0 && totals->overstated == 0 &&
           totals->errors == 0 && totals->refused == 0 && totals->cut == 0 &&
           (totals->overdue == 0 || totals->lagged > 0);
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

/* What is not known is not idle. */
static bool is_machine_busy(const struct results *results)
{
    double idle_share = results->idle_s / results->seconds / processors();

    return results->idle_s > 0 && idle_share < 1 - BUSY_SHARE;
}

enum bottleneck results_bottleneck(const struct results *results)
{
    bool are_we = results->busiest_share >= BUSY_SHARE;

    if (results->seconds <= 0)
        return BOTTLENECK_UNKNOWN;
    if (results->has_server && server_share(results) >= BUSY_SHARE)
        return are_we ? BOTTLENECK_BOTH : BOTTLENECK_SERVER;
    if (are_we)
        return BOTTLENECK_GENERATOR;
    if (is_machine_busy(results))
        return BOTTLENECK_MACHINE;
    return results->has_server ? BOTTLENECK_NONE : BOTTLENECK_UNKNOWN;
}

static const char *const explanations[] = {
    [BOTTLENECK_SERVER] = "the server: its processor time is used up",
    [BOTTLENECK_BOTH] = "the server and ringchat-load: both have used up their "
                        "processor time",
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

void report_progress(const struct counts *counts,
                     const struct histogram *latency, double seconds,
                     double since_s)
{
    fprintf(stderr,
            "%5.0f s  published %.0f/s  delivered %.0f/s  %.1f MB/s  "
            "p50 %.0f us  p99 %.0f us  max %.0f us\n",
            since_s, per_second(counts->published, seconds),
            per_second(counts->delivered, seconds),
            per_second(counts->bytes_in, seconds) / 1e6,
            us(histogram_quantile(latency, 0.5)),
            us(histogram_quantile(latency, 0.99)),
            us(histogram_quantile(latency, 1)));
}

/* Who waits for whom. */
static void print_pace(FILE *file, const struct results *results)
{
    const struct plan *plan = results->plan;

    if (plan->rate > 0)
        fprintf(file,
                "open loop   %g messages a second, each due when its "
                "time comes\n",
                plan->rate);
    else if (is_anything_due(plan) && !is_churn(results) &&
             plan->workload != WORKLOAD_LISTEN)
        fprintf(file,
                "closed loop %u messages of a speaker that not all "
                "have yet\n",
                plan->window);
    if (results->was_interrupted)
        fprintf(file, "interrupted\n");
}

static void print_rates(FILE *file, const struct results *results)
{
    const struct counts *measured = &results->measured;
    double seconds = results->seconds;

    fprintf(file, "measured    %.2f s\n", seconds);
    fprintf(file, "published   %" PRIu64 " messages, %.0f/s\n",
            measured->published, per_second(measured->published, seconds));
    fprintf(file, "delivered   %" PRIu64 " messages, %.0f/s, %.1f MB/s\n",
            measured->delivered, per_second(measured->delivered, seconds),
            per_second(measured->bytes_in, seconds) / 1e6);
    if (is_churn(results))
        fprintf(file, "visits      %" PRIu64 ", %.0f/s\n", measured->visits,
                per_second(measured->visits, seconds));
}

static void print_times(FILE *file, const char *name,
                        const struct histogram *histogram)
{
    if (histogram->count == 0)
        return;
    fprintf(file,
            "%-11s min %.1f  mean %.1f  stddev %.1f  p50 %.1f  p90 %.1f  "
            "p99 %.1f  p99.9 %.1f  max %.1f us\n",
            name, us(histogram->min_ns), histogram_mean(histogram) / 1e3,
            histogram_stddev(histogram) / 1e3,
            us(histogram_quantile(histogram, 0.5)),
            us(histogram_quantile(histogram, 0.9)),
            us(histogram_quantile(histogram, 0.99)),
            us(histogram_quantile(histogram, 0.999)), us(histogram->max_ns));
}

/* What latency does not show. */
static void print_untimed(FILE *file, const struct results *results)
{
    const struct counts *totals = &results->totals;

    if (results->latency.count > 0 &&
        (totals->untimed > 0 || totals->overdue > 0))
        fprintf(file,
                "            without %" PRIu64 " deliveries after --patience, "
                "and %" PRIu64 " messages that not all had by then\n",
                totals->untimed, totals->overdue);
}

static void print_checks(FILE *file, const struct results *results)
{
    const struct counts *totals = &results->totals;

    fprintf(file,
            "checks      %s: lost %" PRIu64 ", duplicated %" PRIu64
            ", reordered %" PRIu64 ", corrupted %" PRIu64 "\n",
            results_hold(results) ? "held" : "FAILED", totals->lost,
            totals->twice, totals->late, totals->corrupted);
    fprintf(file,
            "            lagged %" PRIu64 " messages (told %" PRIu64
            " times, overstated %" PRIu64 "), overdue %" PRIu64
            ", held back %" PRIu64 "\n",
            totals->lagged, totals->lags, totals->overstated, totals->overdue,
            totals->held);
    fprintf(file,
            "            errors %" PRIu64 ", refused %" PRIu64
            ", cut off %" PRIu64 "\n",
            totals->errors, totals->refused, totals->cut);
}

static void print_server(FILE *file, const struct results *results)
{
    const struct usage *server = &results->server;
    double total_s = cpu_s(server);
    double grown =
        (double)results->resident_entered - (double)results->resident_before;

    if (!results->has_server)
        return;
    fprintf(file,
            "server      %.2f s of processor time (user %.2f, system %.2f), "
            "its busiest thread of %u %.0f %%\n",
            total_s, server->user_s, server->system_s, server->threads,
            100 * server->busiest_s / results->seconds);
    if (total_s > 0)
        fprintf(file,
                "            %.0f deliveries a second of it, context switches "
                "%" PRIu64 " + %" PRIu64 "\n",
                (double)results->measured.delivered / total_s,
                server->switches_voluntary, server->switches_involuntary);
    fprintf(file, "            resident %.1f MB",
            (double)server->resident_bytes / 1e6);
    if (!is_churn(results) && results->totals.entered > 0)
        fprintf(file, "; %.0f bytes for each client that came",
                grown / (double)results->totals.entered);
    fputc('\n', file);
}

void report_summary(const struct results *results, FILE *file)
{
    const struct plan *plan = results->plan;

    fprintf(file, "%s: %u clients in %u room%s, %u of each speak, %zu bytes\n",
            plan->name, plan->clients, plan->rooms, plan->rooms == 1 ? "" : "s",
            plan->speakers, plan->size);
    print_pace(file, results);
    print_rates(file, results);
    print_times(file, "latency", &results->latency);
    print_untimed(file, results);
    print_times(file, "entering", &results->entering);
    print_checks(file, results);
    print_server(file, results);
    fprintf(
        file,
        "generator   %.2f s of processor time, its busiest thread %.0f %%\n",
        results->our_cpu_s, 100 * results->busiest_share);
    if (results->seconds > 0)
        fprintf(file, "machine     %.0f %% of %.0f processors idle\n",
                100 * results->idle_s / results->seconds / processors(),
                processors());
    fprintf(file, "bottleneck  %s\n",
            explanations[results_bottleneck(results)]);
}

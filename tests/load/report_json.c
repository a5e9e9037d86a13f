/*
 * What came of a run, for programs: see report.h, and ringchat-load(1) for what
 * each field says.
 */
#include "tests/load/report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Without memory (NULL) jansson leaves out what it has no room for; the file
 * then is not written. */
static void set(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value) < 0)
        json_object_clear(object);
}

static void set_text(json_t *object, const char *name, const char *text)
{
    set(object, name, text ? json_string(text) : json_null());
}

static void set_count(json_t *object, const char *name, uint64_t count)
{
    set(object, name, json_integer((json_int_t)count));
}

static void set_real(json_t *object, const char *name, double value)
{
    set(object, name, json_real(value));
}

static void set_truth(json_t *object, const char *name, bool truth)
{
    set(object, name, json_boolean(truth));
}

/* jansson's integers end below 2^63. */
static json_t *json_seed(uint64_t seed)
{
    char digits[24];

    if (seed <= INT64_MAX)
        return json_integer((json_int_t)seed);
    snprintf(digits, sizeof(digits), "%" PRIu64, seed);
    return json_string(digits);
}

/* ---- Parts -------------------------------------------------------------- */

static json_t *json_targets(const struct plan *plan)
{
    json_t *array = json_array();

    for (unsigned i = 0; i < plan->targets_count; i++)
        json_array_append_new(array, json_string(plan->targets[i].url));
    return array;
}

/* All that it takes to run it again. */
static json_t *json_plan(const struct plan *plan)
{
    json_t *json = json_object();

    set_text(json, "workload", plan->name);
    set(json, "urls", json_targets(plan));
    set_count(json, "clients", plan->clients);
    set_count(json, "rooms", plan->rooms);
    set_count(json, "senders", plan->speakers);
    set_count(json, "size", plan->size);
    set_count(json, "window", plan->window);
    set_real(json, "rate", plan->rate);
    set(json, "messages",
        plan->messages < UINT32_MAX ? json_integer(plan->messages)
                                    : json_null());
    set_real(json, "duration_s", plan->duration_s);
    set_real(json, "warmup_s", plan->warmup_s);
    set_real(json, "patience_s", plan->patience_s);
    set_real(json, "slow_share", plan->slow_share);
    set_real(json, "stall_s", plan->stall_s);
    set_count(json, "ramp", plan->ramp);
    set_count(json, "sources", plan->sources);
    set_count(json, "threads", plan->threads);
    set(json, "seed", json_seed(plan->seed));
    set_text(json, "input", plan->input);
    set_truth(json, "seal", plan->terms.seal);
    return json;
}

static json_t *json_counts(const struct counts *counts)
{
    json_t *json = json_object();

    set_count(json, "published", counts->published);
    set_count(json, "delivered", counts->delivered);
    set_count(json, "bytes_in", counts->bytes_in);
    set_count(json, "bytes_out", counts->bytes_out);
    set_count(json, "entered", counts->entered);
    set_count(json, "visits", counts->visits);
    set_count(json, "lost", counts->lost);
    set_count(json, "duplicated", counts->twice);
    set_count(json, "reordered", counts->late);
    set_count(json, "corrupted", counts->corrupted);
    set_count(json, "lagged", counts->lagged);
    set_count(json, "lag_notices", counts->lags);
    set_count(json, "overstated", counts->overstated);
    set_count(json, "errors", counts->errors);
    set_count(json, "refused", counts->refused);
    set_count(json, "cut", counts->cut);
    set_count(json, "untimed", counts->untimed);
    set_count(json, "overdue", counts->overdue);
    set_count(json, "held_back", counts->held);
    return json;
}

/* [from, to, how many] in nanoseconds, of those that are not empty. */
static json_t *json_buckets(const struct histogram *histogram)
{
    json_t *array = json_array();

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        json_t *bucket;

        if (histogram->buckets[i] == 0)
            continue;
        bucket = json_array();
        json_array_append_new(bucket,
                              json_integer((json_int_t)histogram_lowest(i)));
        json_array_append_new(bucket,
                              json_integer((json_int_t)histogram_highest(i)));
        json_array_append_new(bucket,
                              json_integer((json_int_t)histogram->buckets[i]));
        json_array_append_new(array, bucket);
    }
    return array;
}

static void set_quantile(json_t *json, const char *name,
                         const struct histogram *histogram, double share)
{
    set_real(json, name, (double)histogram_quantile(histogram, share) / 1e3);
}

static json_t *json_times(const struct histogram *histogram)
{
    json_t *json = json_object();

    set_count(json, "count", histogram->count);
    set_real(json, "min_us",
             histogram->count > 0 ? (double)histogram->min_ns / 1e3 : 0);
    set_real(json, "mean_us", histogram_mean(histogram) / 1e3);
    set_real(json, "stddev_us", histogram_stddev(histogram) / 1e3);
    set_quantile(json, "p50_us", histogram, 0.5);
    set_quantile(json, "p90_us", histogram, 0.9);
    set_quantile(json, "p99_us", histogram, 0.99);
    set_quantile(json, "p999_us", histogram, 0.999);
    set_real(json, "max_us", (double)histogram->max_ns / 1e3);
    set(json, "buckets_ns", json_buckets(histogram));
    return json;
}

static json_t *json_server(const struct results *results)
{
    const struct usage *server = &results->server;
    double cpu_s = server->user_s + server->system_s;
    json_t *json = json_object();

    if (!results->has_server) {
        json_decref(json);
        return json_null();
    }
    set_real(json, "user_s", server->user_s);
    set_real(json, "system_s", server->system_s);
    set_real(json, "busiest_thread_s", server->busiest_s);
    set_count(json, "threads", server->threads);
    set_count(json, "switches_voluntary", server->switches_voluntary);
    set_count(json, "switches_involuntary", server->switches_involuntary);
    set_count(json, "resident_bytes", server->resident_bytes);
    set_count(json, "resident_before_bytes", results->resident_before);
    set_count(json, "resident_entered_bytes", results->resident_entered);
    set_real(json, "deliveries_per_cpu_s",
             per_second(results->measured.delivered, cpu_s));
    return json;
}

static json_t *json_rates(const struct results *results)
{
    const struct counts *measured = &results->measured;
    double seconds = results->seconds;
    json_t *json = json_object();

    set_real(json, "seconds", seconds);
    set_real(json, "published_per_s", per_second(measured->published, seconds));
    set_real(json, "delivered_per_s", per_second(measured->delivered, seconds));
    set_real(json, "megabytes_per_s",
             per_second(measured->bytes_in, seconds) / 1e6);
    set_real(json, "visits_per_s", per_second(measured->visits, seconds));
    return json;
}

static json_t *json_generator(const struct results *results)
{
    json_t *json = json_object();

    set_text(json, "version", LOAD_VERSION);
    set_real(json, "cpu_s", results->our_cpu_s);
    set_real(json, "busiest_share", results->busiest_share);
    return json;
}

/* ---- The whole ---------------------------------------------------------- */

static const char *const bottlenecks[] = {
    [BOTTLENECK_SERVER] = "server",       [BOTTLENECK_BOTH] = "both",
    [BOTTLENECK_GENERATOR] = "generator", [BOTTLENECK_MACHINE] = "machine",
    [BOTTLENECK_NONE] = "none",           [BOTTLENECK_UNKNOWN] = "unknown",
};

static json_t *json_results(const struct results *results)
{
    json_t *json = json_object();

    set(json, "plan", json_plan(results->plan));
    set_truth(json, "held", results_hold(results));
    set_truth(json, "interrupted", results->was_interrupted);
    set(json, "rates", json_rates(results));
    set(json, "measured", json_counts(&results->measured));
    set(json, "totals", json_counts(&results->totals));
    set(json, "latency", json_times(&results->latency));
    set(json, "entering", json_times(&results->entering));
    set(json, "server", json_server(results));
    set(json, "generator", json_generator(results));
    set_real(json, "machine_idle_s", results->idle_s);
    set_text(json, "bottleneck", bottlenecks[results_bottleneck(results)]);
    return json;
}

int report_json(const struct results *results, const char *file)
{
    const size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(10);
    json_t *json = json_results(results);
    int written;

    if (json_object_size(json) == 0)
        return -ENOMEM;
    errno = EIO;
    if (strcmp(file, "-") == 0) {
        written = json_dumpf(json, stdout, flags);
        putchar('\n');
        if (fflush(stdout) != 0 || ferror(stdout))
            written = -1;
    } else {
        written = json_dump_file(json, file, flags);
    }
    json_decref(json);
    return written < 0 ? -errno : 0;
}

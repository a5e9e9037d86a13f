/*
 * /metrics and /throughput: their values against what the test has counted
 * itself.
 */
#include "common/chat/internal.h"

#include "tests/unit/support_chat.h"

#include <inttypes.h>
#include <string.h>

/* Counts of the engine's own. */
static uint64_t all_in(void)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < engine.count; i++)
        sum += engine.clients[i].in_from;
    return sum;
}

static uint64_t all_out(void)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < engine.count; i++)
        sum += engine.clients[i].out.length;
    return sum;
}

#define expect_metric(client, name, value)                                     \
    client_expect(client, "* " name " %" PRIu64, (uint64_t)(value))

static void test_values(void **state)
{
    uint64_t in, out, my_out;
    struct client *ann, *bob;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    client_tell(bob, "/join den");
    client_tell(ann, "to two");
    client_tell(bob, "to one");
    client_tell(ann, "/msg bob in private");
    client_tell(ann, "/unknown");
    client_tell(ann, "a\x01");
    engine_wait(7 * SECONDS + 900 * MS);
    ann->link = (struct link_sample){183, 300, 20000};
    client_stall(bob);
    client_tell(ann, "to two and one does not take it");
    engine_forget();
    in = all_in() + strlen("/metrics\n");
    out = all_out();
    my_out = ann->out.length;
    client_tell(ann, "/metrics");
    expect_metric(ann, "clients_active", 2);
    expect_metric(ann, "rooms_active", 2);
    expect_metric(ann, "messages_total", 4);
    /* The last one counts for bob too, whom it has been offered. */
    expect_metric(ann, "deliveries_total", 2 + 1 + 1 + 2);
    expect_metric(ann, "bytes_in_total", in);
    expect_metric(ann, "bytes_out_total", out);
    expect_metric(ann, "latency_p50_us", 183);
    expect_metric(ann, "latency_p99_us", 183);
    expect_metric(ann, "latency_max_us", 183);
    expect_metric(ann, "backpressured", 1);
    expect_metric(ann, "lagged_total", 0);
    expect_metric(ann, "errors_total", 2);
    expect_metric(ann, "uptime_s", 7);
    expect_metric(ann, "my_messages", 3);
    expect_metric(ann, "my_connected_s", 7);
    expect_metric(ann, "my_bytes_in", ann->in_from);
    expect_metric(ann, "my_bytes_out", my_out);
    expect_metric(ann, "my_rtt_us", 183);
    expect_metric(ann, "my_retransmits", 300);
    client_expect(ann, "* my_loss_percent 1.50");
    client_expect(ann, "* end of metrics");
    client_expect_nothing(ann);
    engine_stop();
}

static void skip_lines(struct client *client, size_t count)
{
    while (count-- > 0)
        assert_non_null(client_line(client));
}

static void test_nothing_known_of_the_link(void **state)
{
    struct client *ann;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    client_tell(ann, "/metrics");
    skip_lines(ann, 6);
    expect_metric(ann, "latency_p50_us", 0);
    expect_metric(ann, "latency_p99_us", 0);
    expect_metric(ann, "latency_max_us", 0);
    skip_lines(ann, 8);
    expect_metric(ann, "my_rtt_us", 0);
    expect_metric(ann, "my_retransmits", 0);
    client_expect(ann, "* my_loss_percent 0");
    engine_stop();
}

/* Round trips go into the histogram as they are looked at. */
static void test_latencies(void **state)
{
    struct client *ann;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    for (uint64_t i = 1; i <= 100; i++) {
        ann->link.rtt_us = i <= 98 ? 10 : 10000 * i;
        client_tell(ann, "/ping");
    }
    ann->link.rtt_us = 0;
    client_forget(ann);
    client_tell(ann, "/metrics");
    skip_lines(ann, 6);
    expect_metric(ann, "latency_p50_us", 10);
    client_expect_start(ann, "* latency_p99_us ");
    expect_metric(ann, "latency_max_us", 1000000);
    assert_true(histogram_percentile(&engine.chat->metrics.latency_us, 99) >=
                990000);
    engine_stop();
}

/* A session that is gone leaves its totals behind, and no backpressure. */
static void test_after_the_end(void **state)
{
    struct client *ann, *bob;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    bob = client_open("bob");
    client_stall(bob);
    client_tell(bob, "hello");
    assert_int_equal(engine.chat->blocked, 1);
    client_reset(bob);
    assert_int_equal(engine.chat->blocked, 0);
    client_forget(ann);
    client_tell(ann, "/metrics");
    expect_metric(ann, "clients_active", 1);
    expect_metric(ann, "rooms_active", 1);
    expect_metric(ann, "messages_total", 1);
    engine_stop();
}

/* ---- The last ten seconds ----------------------------------------------- */

static void expect_throughput(struct client *client, struct traffic lately,
                              uint64_t lately_s, struct traffic all,
                              uint64_t all_s)
{
    client_tell(client, "/throughput");
    client_expect(client,
                  "* throughput in=%" PRIu64 "/s out=%" PRIu64
                  "/s messages=%" PRIu64 "/s since connected in=%" PRIu64
                  "/s out=%" PRIu64 "/s messages=%" PRIu64 "/s",
                  lately.in / lately_s, lately.out / lately_s,
                  lately.messages / lately_s, all.in / all_s, all.out / all_s,
                  all.messages / all_s);
}

/* What has come and gone, with the command that is about to be sent. */
static struct traffic traffic_of(const struct client *client, uint64_t messages)
{
    return (struct traffic){
        client->in_from + strlen("/throughput\n"),
        client->out.length,
        messages,
    };
}

static struct traffic minus(struct traffic a, struct traffic b)
{
    return (struct traffic){a.in - b.in, a.out - b.out,
                            a.messages - b.messages};
}

static void say(struct client *client, size_t times)
{
    while (times-- > 0)
        client_tell(client, "a line that is said");
}

static void test_throughput_at_first(void **state)
{
    struct traffic all;
    struct client *ann;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    say(ann, 100);
    client_forget(ann);
    all = traffic_of(ann, 100);
    expect_throughput(ann, all, 1, all, 1);
    engine_wait(4 * SECONDS);
    all = traffic_of(ann, 100);
    expect_throughput(ann, all, 4, all, 4);
    engine_stop();
}

static void test_throughput_lately(void **state)
{
    struct traffic all, before;
    struct client *ann;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    say(ann, 1000);
    engine_wait(100 * SECONDS);
    client_forget(ann);
    before = traffic_of(ann, 1000);
    before.in -= strlen("/throughput\n");
    say(ann, 50);
    client_forget(ann);
    all = traffic_of(ann, 1050);
    expect_throughput(ann, minus(all, before), 10, all, 100);
    engine_wait(9 * SECONDS);
    all = traffic_of(ann, 1050);
    expect_throughput(ann, minus(all, before), 10, all, 109);
    /* What was said ten seconds ago is over; the command of just now not. */
    before = all;
    before.in -= strlen("/throughput\n");
    engine_wait(SECONDS);
    all = traffic_of(ann, 1050);
    expect_throughput(ann, minus(all, before), 10, all, 110);
    engine_stop();
}

/* A message a second: ten are in it at any time. */
static void test_throughput_slides(void **state)
{
    struct client *ann;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    for (unsigned i = 0; i < 60; i++) {
        say(ann, 20);
        engine_wait(SECONDS);
        assert_int_equal(meter_sum(ann->session).messages,
                         i < 9 ? 20 * (i + 1) : 20 * 9);
    }
    engine_stop();
}

/* An idle session has no meter, and is at zero. */
static void test_meters_go(void **state)
{
    struct client *ann;

    (void)state;
    engine_start_default();
    ann = client_open("ann");
    client_open("bob");
    say(ann, 3);
    assert_non_null(engine.chat->meters_first);
    engine_wait(5 * SECONDS);
    say(ann, 1);
    engine_wait(5 * SECONDS);
    assert_non_null(ann->session->meter);
    engine_wait(5 * SECONDS);
    assert_null(engine.chat->meters_first);
    assert_null(ann->session->meter);
    assert_int_equal(meter_sum(ann->session).messages, 0);
    client_forget(ann);
    expect_throughput(ann, (struct traffic){12, 0, 0}, 10, traffic_of(ann, 4),
                      15);
    engine_stop();
}

static void test_logged(void **state)
{
    (void)state;
    engine_start_default();
    client_open("ann");
    engine_wait(3 * SECONDS);
    chat_log_metrics(engine.chat);
    assert_int_equal(engine_logged("metrics clients_active=1 rooms_active=1 "
                                   "messages_total=0 deliveries_total=0 "
                                   "bytes_in_total=10 bytes_out_total="),
                     1);
    assert_int_equal(engine_logged(" errors_total=0 uptime_s=3\n"), 1);
    engine_stop();
}

static void test_nowhere_to_log(void **state)
{
    struct chat_config config = engine_config();
    struct chat *chat;

    (void)state;
    config.log = NULL;
    chat = chat_create(&config);
    chat_log_metrics(chat);
    chat_destroy(chat);
    chat_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_nothing_known_of_the_link),
        cmocka_unit_test(test_latencies),
        TEST_ALONE(test_after_the_end),
        cmocka_unit_test(test_throughput_at_first),
        cmocka_unit_test(test_throughput_lately),
        cmocka_unit_test(test_throughput_slides),
        cmocka_unit_test(test_meters_go),
        TEST_ALONE(test_logged),
        cmocka_unit_test(test_nowhere_to_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Numbers as people type them, and the command line: each option's values and
 * faults, what each stage has, and what is printed where.
 */
#include "common/base/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/number.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAX 64
#define OUTPUT_BYTES 8192
#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const struct program stage1 = {.name = "stage1-blocking", .stage = 1};
static const struct program stage2 = {.name = "stage2-framing", .stage = 2};
static const struct program stage4 = {.name = "stage4-uring", .stage = 4};
static const struct program stage5 = {.name = "ringchatd", .stage = 5};

static const char key_text[] = "a line feed and a NUL are part of a key\n";
static char key_file[] = "/tmp/test_options.XXXXXX"; /* holds key_text */

/* What the last parse did. */
static struct options options;
static int status;
static char output[OUTPUT_BYTES]; /* of standard output */
static char errors[OUTPUT_BYTES]; /* of standard error */

/* ---- Capture ------------------------------------------------------------ */

static int redirect(int fd, int *saved)
{
    int file = memfd_create("captured", MFD_CLOEXEC);

    assert_true(file >= 0);
    *saved = dup(fd);
    dup2(file, fd);
    return file;
}

static void restore(int fd, int saved, int file, char text[OUTPUT_BYTES])
{
    ssize_t length;

    dup2(saved, fd);
    close(saved);
    length = pread(file, text, OUTPUT_BYTES - 1, 0);
    assert_true(length >= 0);
    text[length] = '\0';
    close(file);
}

/* `arguments` end with NULL. */
static enum options_outcome parse(const struct program *program,
                                  const char *const *arguments)
{
    char *argv[ARGUMENTS_MAX] = {(char *)(uintptr_t) "program"};
    int argc = 1, out, err, out_file, err_file;
    enum options_outcome outcome;

    for (; *arguments; arguments++)
        argv[argc++] = (char *)(uintptr_t)*arguments;
    fflush(stdout);
    out_file = redirect(STDOUT_FILENO, &out);
    err_file = redirect(STDERR_FILENO, &err);
    status = -1;
    outcome = options_parse(&options, program, argc, argv, &status);
    fflush(stdout);
    restore(STDOUT_FILENO, out, out_file, output);
    restore(STDERR_FILENO, err, err_file, errors);
    return outcome;
}

#define PARSE(...) parse(&stage1, (const char *const[]){__VA_ARGS__, NULL})
#define PARSE2(...) parse(&stage2, (const char *const[]){__VA_ARGS__, NULL})

/* One option, with a listener that every stage has and that needs no key. A
 * value of NULL: the option takes none. */
static enum options_outcome parse_one(const struct program *program,
                                      const char *name, const char *value)
{
    return parse(program, (const char *const[]){"--listen=text://127.0.0.1:0",
                                                name, value, NULL});
}

static void assert_runs(enum options_outcome outcome)
{
    assert_string_equal(errors, "");
    assert_string_equal(output, "");
    assert_int_equal(outcome, OPTIONS_RUN);
    assert_int_equal(status, 0);
}

/* One line on standard error, nothing on standard output. */
static void assert_fault_of(const struct program *program,
                            enum options_outcome outcome, int expected,
                            const char *text)
{
    char line[OUTPUT_BYTES];

    snprintf(line, sizeof(line), "%s: %s\n", program->name, text);
    assert_string_equal(errors, line);
    assert_string_equal(output, "");
    assert_int_equal(outcome, OPTIONS_EXIT);
    assert_int_equal(status, expected);
}

static void assert_fault(enum options_outcome outcome, const char *text)
{
    assert_fault_of(&stage1, outcome, 64, text);
}

/* ---- Numbers ------------------------------------------------------------ */

struct number_case {
    const char *text;
    int result;
    uint64_t value;
};

static void number_cases(int parse_number(const char *, uint64_t *),
                         const struct number_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 4711;
        int result = parse_number(cases[i].text, &value);

        if (result != cases[i].result)
            print_message("\"%s\"\n", cases[i].text);
        assert_int_equal(result, cases[i].result);
        assert_int_equal(value, result == 0 ? cases[i].value : 4711);
    }
}

/* What none of them takes. */
static const struct number_case malformed[] = {
    {"", -EINVAL, 0},         {" ", -EINVAL, 0},
    {" 1", -EINVAL, 0},       {"1 ", -EINVAL, 0},
    {"+1", -EINVAL, 0},       {"-1", -EINVAL, 0},
    {"-0", -EINVAL, 0},       {"0x10", -EINVAL, 0},
    {"1e3", -EINVAL, 0},      {"nan", -EINVAL, 0},
    {"inf", -EINVAL, 0},      {"1x", -EINVAL, 0},
    {"x1", -EINVAL, 0},       {"1,5", -EINVAL, 0},
    {"1_000", -EINVAL, 0},    {"1\n", -EINVAL, 0},
    {"MiB", -EINVAL, 0},      {"1kib", -EINVAL, 0},
    {"1KB", -EINVAL, 0},      {"1M", -EINVAL, 0},
    {"1GiB", -EINVAL, 0},     {"1 MiB", -EINVAL, 0},
    {"1MiBx", -EINVAL, 0},    {"1.5MiB", -EINVAL, 0},
    {".5", -EINVAL, 0},       {"5.", -EINVAL, 0},
    {".", -EINVAL, 0},        {"1..2", -EINVAL, 0},
    {"1.2.3", -EINVAL, 0},    {"1.-2", -EINVAL, 0},
    {"1.5s", -EINVAL, 0},     {"1.0e3", -EINVAL, 0},
    {"\xd9\xa1", -EINVAL, 0}, {"99999999999999999999x", -EINVAL, 0},
};

static void test_number(void **state)
{
    static const struct number_case cases[] = {
        {"0", 0, 0},
        {"007", 0, 7},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551616", -ERANGE, 0},
        {"18446744073709551620", -ERANGE, 0},
        {"99999999999999999999999999999999", -ERANGE, 0},
        {"1.5", -EINVAL, 0},
        {"1KiB", -EINVAL, 0},
    };

    (void)state;
    number_cases(number_parse, cases, ARRAY_LENGTH(cases));
    number_cases(number_parse, malformed, ARRAY_LENGTH(malformed));
}

static void test_size(void **state)
{
    static const struct number_case cases[] = {
        {"0", 0, 0},
        {"4096", 0, 4096},
        {"4KiB", 0, 4096},
        {"0MiB", 0, 0},
        {"1MiB", 0, 1048576},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551616", -ERANGE, 0},
        {"18014398509481983KiB", 0, UINT64_MAX - 1023},
        {"18014398509481984KiB", -ERANGE, 0},
        {"17592186044415MiB", 0, UINT64_MAX - 1048575},
        {"17592186044416MiB", -ERANGE, 0},
        {"99999999999999999999MiB", -ERANGE, 0},
        {"1.5", -EINVAL, 0},
    };

    (void)state;
    number_cases(number_parse_size, cases, ARRAY_LENGTH(cases));
    number_cases(number_parse_size, malformed, ARRAY_LENGTH(malformed));
}

static void test_decimal(void **state)
{
    static const struct number_case cases[] = {
        {"0", 0, 0},
        {"0.0", 0, 0},
        {"1", 0, BILLIONTHS},
        {"0.5", 0, BILLIONTHS / 2},
        {"1.050", 0, 1050000000},
        {"0.000000001", 0, 1},
        {"0.123456789", 0, 123456789},
        /* Above 0 it stays above 0. */
        {"0.0000000000000000000000000001", 0, 1},
        {"0.0000000010", 0, 1},
        {"0.00000000100000001", 0, 2},
        {"0.9999999999", 0, BILLIONTHS},
        {"1000000000", 0, BILLIONTHS * BILLIONTHS},
        {"1000000000.000", 0, BILLIONTHS * BILLIONTHS},
        {"999999999.999999999", 0, BILLIONTHS * BILLIONTHS - 1},
        {"1000000000.000000001", -ERANGE, 0},
        {"1000000001", -ERANGE, 0},
        {"18446744073709551616", -ERANGE, 0},
        {"18446744073709551616.5", -ERANGE, 0},
        {"1KiB", -EINVAL, 0},
    };

    (void)state;
    number_cases(number_parse_decimal, cases, ARRAY_LENGTH(cases));
    number_cases(number_parse_decimal, malformed, ARRAY_LENGTH(malformed));
}

/* ---- Options ------------------------------------------------------------ */

static void test_defaults(void **state)
{
    struct rlimit limit;

    (void)state;
    assert_runs(parse(&stage1, (const char *const[]){NULL}));
    assert_int_equal(options.listener_count, 1);
    assert_string_equal(options.listeners[0].url, "text://127.0.0.1:4000");
    assert_int_equal(options.listeners[0].fd, -1);
    assert_int_equal(options.max_line_bytes, 4096);
    assert_int_equal(options.max_per_address, 0);
    assert_int_equal(options.max_memory_bytes, UINT64_C(1) << 30);
    assert_int_equal(options.idle_timeout_ns, UINT64_C(600000000000));
    assert_int_equal(options.handshake_timeout_ns, UINT64_C(10000000000));
    assert_int_equal(options.send_timeout_ns, UINT64_C(10000000000));
    assert_int_equal(options.drain_timeout_ns, UINT64_C(5000000000));
    assert_int_equal(options.presence_limit, 64);
    assert_int_equal(options.room_window_bytes, 1 << 20);
    assert_true(options.rate_per_second == 0);
    assert_int_equal(options.log_level, LOG_INFO);
    assert_int_equal(options.log_format, LOG_LOGFMT);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(limit.rlim_cur, limit.rlim_max);
    assert_true(options.max_connections >= 1);
    assert_true(options.max_connections <= limit.rlim_cur);
}

static void test_defaults_of_stage2(void **state)
{
    (void)state;
    assert_runs(PARSE2("--key-file", key_file));
    assert_int_equal(options.listener_count, 3);
    assert_int_equal(options.max_frame_bytes, 16384);
    assert_int_equal(options.max_message_bytes, 1048576);
    assert_int_equal(options.frame_timeout_ns, UINT64_C(30000000000));
    assert_int_equal(options.heartbeat_ns, UINT64_C(5000000000));
    assert_int_equal(options.stall_timeout_ns, UINT64_C(60000000000));
    assert_false(options.slow_consumer_disconnect);
    assert_false(options.require_encryption);
}

/* What a process with that hard limit takes as its default; the parent keeps
 * its own, which it could not raise again. */
static uint64_t connections_with_limit(rlim_t hard)
{
    const struct rlimit limit = {.rlim_cur = 8, .rlim_max = hard};
    char name[] = "program", *argv[] = {name, NULL};
    int child_status;
    pid_t child = fork();

    if (child == 0) {
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            _exit(0);
        options_parse(&options, &stage1, 1, argv, &status);
        _exit((int)options.max_connections);
    }
    assert_int_equal(waitpid(child, &child_status, 0), child);
    assert_true(WIFEXITED(child_status));
    return (uint64_t)WEXITSTATUS(child_status);
}

static void test_connections_follow_the_limit(void **state)
{
    (void)state;
    assert_int_equal(connections_with_limit(133), 126);
    assert_int_equal(connections_with_limit(16), 9);
    assert_int_equal(connections_with_limit(9), 2);
    assert_int_equal(connections_with_limit(8), 1);
}

static void test_values(void **state)
{
    (void)state;
    assert_runs(
        PARSE("--max-line", "1MiB", "--max-connections=7", "--max-per-address",
              "3", "--max-memory=1MiB", "--handshake-timeout", "0.25",
              "--idle-timeout=0", "--send-timeout=1.5", "--drain-timeout", "2",
              "--presence-limit=0", "--room-window", "1024MiB", "--rate", "2.5",
              "--log-level=debug", "--log-format", "json"));
    assert_int_equal(options.max_line_bytes, 1 << 20);
    assert_int_equal(options.max_connections, 7);
    assert_int_equal(options.max_per_address, 3);
    assert_int_equal(options.max_memory_bytes, 1 << 20);
    assert_int_equal(options.handshake_timeout_ns, 250000000);
    assert_int_equal(options.idle_timeout_ns, 0);
    assert_int_equal(options.send_timeout_ns, 1500000000);
    assert_int_equal(options.drain_timeout_ns, 2000000000);
    assert_int_equal(options.presence_limit, 0);
    assert_int_equal(options.room_window_bytes, 1 << 30);
    assert_true(options.rate_per_second == 2.5);
    assert_int_equal(options.log_level, LOG_DEBUG);
    assert_int_equal(options.log_format, LOG_JSON);
}

static void test_values_of_stage2(void **state)
{
    (void)state;
    assert_runs(PARSE2(
        "--key-file", key_file, "--max-frame", "65535", "--max-message=32MiB",
        "--frame-timeout", "0.5", "--heartbeat=65535", "--stall-timeout",
        "1.25", "--slow-consumer", "disconnect", "--require-encryption"));
    assert_int_equal(options.max_frame_bytes, 65535);
    assert_int_equal(options.max_message_bytes, 32 << 20);
    assert_int_equal(options.frame_timeout_ns, 500000000);
    assert_int_equal(options.heartbeat_ns, UINT64_C(65535000000000));
    assert_int_equal(options.stall_timeout_ns, 1250000000);
    assert_true(options.slow_consumer_disconnect);
    assert_true(options.require_encryption);
    assert_runs(PARSE2("--key-file", key_file, "--max-frame=26",
                       "--max-message", "1", "--frame-timeout=0",
                       "--heartbeat=0", "--stall-timeout", "0",
                       "--slow-consumer=disconnect", "--slow-consumer=lag"));
    assert_int_equal(options.max_frame_bytes, 26);
    assert_int_equal(options.max_message_bytes, 1);
    assert_int_equal(options.frame_timeout_ns, 0);
    assert_int_equal(options.heartbeat_ns, 0);
    assert_int_equal(options.stall_timeout_ns, 0);
    assert_false(options.slow_consumer_disconnect);
}

static void test_last_one_wins(void **state)
{
    (void)state;
    assert_runs(PARSE("--max-line", "100", "--max-line=200"));
    assert_int_equal(options.max_line_bytes, 200);
}

static void test_every_level_and_format(void **state)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(levels); i++) {
        assert_runs(PARSE("--log-level", levels[i]));
        assert_int_equal(options.log_level, i);
    }
    assert_runs(PARSE("--log-format=logfmt"));
    assert_int_equal(options.log_format, LOG_LOGFMT);
}

/* Bounds: just inside, just outside. */
struct range_case {
    const char *name, *least, *below, *most, *above;
};

static void assert_out_of_range(const struct program *program, const char *name,
                                const char *value)
{
    assert_int_equal(parse_one(program, name, value), OPTIONS_EXIT);
    assert_int_equal(status, 64);
    assert_non_null(strstr(errors, "out of range ("));
}

static void range_cases(const struct program *program,
                        const struct range_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_runs(parse_one(program, cases[i].name, cases[i].least));
        assert_runs(parse_one(program, cases[i].name, cases[i].most));
        assert_out_of_range(program, cases[i].name, cases[i].above);
        if (cases[i].below)
            assert_out_of_range(program, cases[i].name, cases[i].below);
    }
}

static void test_ranges(void **state)
{
    static const struct range_case cases[] = {
        {"--max-line", "1", "0", "1048576", "1048577"},
        {"--max-connections", "1", "0", "2147483647", "2147483648"},
        {"--max-per-address", "0", NULL, "2147483647", "2147483648"},
        {"--max-memory", "1MiB", "1048575", "9223372036854775807",
         "9223372036854775808"},
        {"--presence-limit", "0", NULL, "2147483647", "2147483648"},
        {"--room-window", "1", "0", "1024MiB", "1073741825"},
        {"--handshake-timeout", "0", NULL, "1000000000", "1000000001"},
        {"--idle-timeout", "0", NULL, "1000000000", "1000000001"},
        {"--send-timeout", "0", NULL, "1000000000", "1000000001"},
        {"--drain-timeout", "0", NULL, "1000000000", "1000000001"},
        {"--rate", "0", NULL, "1000000000", "1000000001"},
    };
    static const struct range_case of_stage2[] = {
        {"--max-frame", "26", "25", "65535", "64KiB"},
        {"--max-message", "1", "0", "32MiB", "33554433"},
        {"--frame-timeout", "0", NULL, "1000000000", "1000000001"},
        {"--heartbeat", "0", NULL, "65535", "65535.000000001"},
        {"--stall-timeout", "0", NULL, "1000000000", "1000000001"},
    };

    (void)state;
    range_cases(&stage1, cases, ARRAY_LENGTH(cases));
    range_cases(&stage2, of_stage2, ARRAY_LENGTH(of_stage2));
}

/* One line each, whatever was typed. */
static void refuses_rubbish(const struct program *program, const char *name)
{
    static const char *const rubbish[] = {
        "",
        "-1",
        "+1",
        "nan",
        "inf",
        "12x",
        "1e3",
        "0x10",
        " 1",
        "1 ",
        "1GiB",
        "ten",
        "INFO",
        "JSON",
        "info ",
        "--help",
        "1\n",
        "\x1b[2J",
        "99999999999999999999",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rubbish); i++) {
        assert_int_equal(parse_one(program, name, rubbish[i]), OPTIONS_EXIT);
        assert_int_equal(status, 64);
        assert_string_equal(output, "");
        assert_non_null(strstr(errors, name));
        assert_ptr_equal(strchr(errors, '\n'), errors + strlen(errors) - 1);
        assert_null(strchr(errors, '\x1b'));
    }
}

/* Every option with a value that can be malformed, as no path is. */
static void test_every_option_refuses_rubbish(void **state)
{
    static const char *const names[] = {
        "--listen",       "--max-line",          "--max-connections",
        "--max-memory",   "--max-per-address",   "--presence-limit",
        "--room-window",  "--handshake-timeout", "--idle-timeout",
        "--send-timeout", "--drain-timeout",     "--rate",
        "--log-level",    "--log-format",
    };
    static const char *const of_stage2[] = {
        "--max-frame", "--max-message",   "--frame-timeout",
        "--heartbeat", "--stall-timeout", "--slow-consumer",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        refuses_rubbish(&stage1, names[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(of_stage2); i++)
        refuses_rubbish(&stage2, of_stage2[i]);
}

static void test_faults(void **state)
{
    (void)state;
    assert_fault(PARSE("--max-line", "12x"),
                 "--max-line 12x: not a size (digits, then KiB, MiB or "
                 "nothing)");
    assert_fault(PARSE("--max-line=12x"),
                 "--max-line 12x: not a size (digits, then KiB, MiB or "
                 "nothing)");
    assert_fault(PARSE("--max-line", "2MiB"),
                 "--max-line 2MiB: out of range (1 to 1048576)");
    assert_fault(PARSE("--max-connections", "x"),
                 "--max-connections x: not a number (digits only)");
    assert_fault(PARSE("--idle-timeout", "-1"),
                 "--idle-timeout -1: not seconds (digits, then a fraction or "
                 "nothing)");
    assert_fault(PARSE("--rate", "x"),
                 "--rate x: not a rate (digits, then a fraction or nothing)");
    assert_fault(PARSE("--log-level", "all"),
                 "--log-level all: not one of error, warn, info, debug");
    assert_fault(PARSE("--log-format", "xml"),
                 "--log-format xml: not one of logfmt, json");
    assert_fault(PARSE("--max-line"), "--max-line: needs a value");
    assert_fault(PARSE("--help=yes"), "--help yes: takes no value");
    assert_fault(PARSE("--check="), "--check : takes no value");
}

static void test_faults_of_stage2(void **state)
{
    (void)state;
    assert_fault_of(&stage2, PARSE2("--max-frame", "25"), 64,
                    "--max-frame 25: out of range (26 to 65535)");
    assert_fault_of(&stage2, PARSE2("--max-message", "33MiB"), 64,
                    "--max-message 33MiB: out of range (1 to 33554432)");
    assert_fault_of(&stage2, PARSE2("--heartbeat", "65536"), 64,
                    "--heartbeat 65536: out of range (0 to 65535)");
    assert_fault_of(&stage2, PARSE2("--stall-timeout", "1e9"), 64,
                    "--stall-timeout 1e9: not seconds (digits, then a "
                    "fraction or nothing)");
    assert_fault_of(&stage2, PARSE2("--slow-consumer", "drop"), 64,
                    "--slow-consumer drop: not one of lag, disconnect");
    assert_fault_of(&stage2, PARSE2("--require-encryption=yes"), 64,
                    "--require-encryption yes: takes no value");
    assert_fault_of(&stage2, PARSE2("--key-file"), 64,
                    "--key-file: needs a value");
}

static void test_unknown(void **state)
{
    (void)state;
    assert_fault(PARSE("--nonsense"), "--nonsense: unknown option; see --help");
    assert_fault(PARSE("--max-lin", "1"),
                 "--max-lin: unknown option; see --help");
    assert_fault(PARSE("--max-lines=1"),
                 "--max-lines=1: unknown option; see --help");
    assert_fault(PARSE("-h"), "-h: unknown option; see --help");
    assert_fault(PARSE("--"), "--: unknown option; see --help");
    assert_fault(PARSE("-"), "-: unknown option; see --help");
    assert_fault(PARSE("4000"), "4000: not an option; see --help");
    assert_fault(PARSE(""), ": not an option; see --help");
    assert_fault(PARSE("--\n\x1b[31m=\xff"),
                 "--\\n\\x1b[31m=\\xff: unknown option; see --help");
}

/* However long it is, what was typed does not make the line endless. */
static void test_long_argument(void **state)
{
    static char argument[100000];

    (void)state;
    memset(argument, '\n', sizeof(argument) - 1);
    PARSE("--max-line", argument);
    assert_int_equal(status, 64);
    assert_true(strlen(errors) < 1000);
    assert_ptr_equal(strchr(errors, '\n'), errors + strlen(errors) - 1);
}

static void test_listen(void **state)
{
    const char *arguments[2 * (LISTENERS_MAX + 1) + 1] = {NULL};

    (void)state;
    assert_runs(
        PARSE("--listen", "text://[::1]:0", "--listen=text+unix:///tmp/a=b"));
    assert_int_equal(options.listener_count, 2);
    assert_string_equal(options.listeners[0].url, "text://[::1]:0");
    assert_string_equal(options.listeners[1].url, "text+unix:///tmp/a=b");
    for (size_t i = 0; i < LISTENERS_MAX; i++) {
        arguments[2 * i] = "--listen";
        arguments[2 * i + 1] = "text://127.0.0.1:0";
    }
    assert_runs(parse(&stage1, arguments));
    assert_int_equal(options.listener_count, LISTENERS_MAX);
    arguments[2 * LISTENERS_MAX] = "--listen";
    arguments[2 * LISTENERS_MAX + 1] = "text://127.0.0.1:0";
    assert_fault(parse(&stage1, arguments),
                 "--listen text://127.0.0.1:0: more than 16 listeners");
}

static void test_listen_faults(void **state)
{
    static const char *const not_offered[] = {
        "frame://127.0.0.1:0", "secure+unix:///tmp/x", "text+tls://127.0.0.1:0",
        "TEXT://127.0.0.1:0",  "http://127.0.0.1:0",   "text+tls+unix:///tmp/x",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(not_offered); i++) {
        char line[256];

        snprintf(line, sizeof(line),
                 "--listen %s: this program does not have that dialect",
                 not_offered[i]);
        assert_fault(PARSE("--listen", not_offered[i]), line);
    }
    assert_fault(PARSE("--listen", "127.0.0.1:4000"),
                 "--listen 127.0.0.1:4000: not SCHEME://ADDRESS");
}

static void test_stages(void **state)
{
    const char *const key[] = {"--key-file", key_file, NULL};

    (void)state;
    assert_fault_of(&stage2, PARSE2("--send-timeout", "1"), 64,
                    "--send-timeout: unknown option; see --help");
    assert_runs(PARSE2("--listen", "frame://127.0.0.1:0",
                       "--listen=secure://127.0.0.1:0", "--key-file",
                       key_file));
    assert_int_equal(options.listener_count, 2);
    assert_int_equal(options.send_timeout_ns, 0);
    assert_runs(parse(&stage5, key));
    assert_int_equal(options.listener_count, 3);
    assert_string_equal(options.listeners[0].url, "text://127.0.0.1:4000");
    assert_string_equal(options.listeners[1].url, "frame://127.0.0.1:4001");
    assert_string_equal(options.listeners[2].url, "secure://127.0.0.1:9999");
}

/* What stage 1 has not, and all the others have. */
static void test_options_from_stage2_on(void **state)
{
    static const struct {
        const char *name, *value;
    } cases[] = {
        {"--key-file", key_file},       {"--max-frame", "16384"},
        {"--max-message", "1MiB"},      {"--frame-timeout", "30"},
        {"--heartbeat", "5"},           {"--stall-timeout", "60"},
        {"--slow-consumer", "lag"},     {"--slow-consumer", "disconnect"},
        {"--require-encryption", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char line[256];

        snprintf(line, sizeof(line), "%s: unknown option; see --help",
                 cases[i].name);
        assert_fault(parse_one(&stage1, cases[i].name, cases[i].value), line);
        for (unsigned stage = 2; stage <= 5; stage++) {
            const struct program program = {.name = "later", .stage = stage};

            assert_runs(parse_one(&program, cases[i].name, cases[i].value));
        }
    }
}

/* In stage 1 what it has no option for is 0. */
static void test_stage1_has_none_of_it(void **state)
{
    (void)state;
    assert_runs(parse_one(&stage1, "--max-line", "1"));
    assert_null(options.key_file);
    assert_int_equal(options.key.length, 0);
    assert_int_equal(options.max_frame_bytes, 0);
    assert_int_equal(options.max_message_bytes, 0);
    assert_int_equal(options.frame_timeout_ns, 0);
    assert_int_equal(options.heartbeat_ns, 0);
    assert_int_equal(options.stall_timeout_ns, 0);
    assert_false(options.slow_consumer_disconnect);
    assert_false(options.require_encryption);
}

/* What only stage 5 has; in the others it is 0. */
static void test_options_of_stage5(void **state)
{
    static const struct {
        const char *name, *value;
    } cases[] = {{"--workers", "2"}, {"--pin", NULL}, {"--io", "epoll"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char line[256];

        snprintf(line, sizeof(line), "%s: unknown option; see --help",
                 cases[i].name);
        assert_fault_of(&stage4,
                        parse_one(&stage4, cases[i].name, cases[i].value), 64,
                        line);
        assert_runs(parse_one(&stage5, cases[i].name, cases[i].value));
    }
    assert_runs(parse_one(&stage4, "--max-line", "1"));
    assert_int_equal(options.workers, 0);
    assert_false(options.pin);
    assert_int_equal(options.io, IO_AUTO);
}

static void test_values_of_stage5(void **state)
{
    (void)state;
    assert_runs(parse_one(&stage5, "--workers", "64"));
    assert_int_equal(options.workers, 64);
    assert_false(options.pin);
    assert_int_equal(options.io, IO_AUTO);
    assert_runs(parse_one(&stage5, "--pin", NULL));
    assert_true(options.pin);
    assert_runs(parse_one(&stage5, "--io", "uring"));
    assert_int_equal(options.io, IO_URING);
    assert_runs(parse_one(&stage5, "--io", "epoll"));
    assert_int_equal(options.io, IO_EPOLL);
    assert_fault_of(&stage5, parse_one(&stage5, "--workers", "0"), 64,
                    "--workers 0: out of range (1 to 64)");
    assert_fault_of(&stage5, parse_one(&stage5, "--workers", "65"), 64,
                    "--workers 65: out of range (1 to 64)");
    assert_fault_of(&stage5, parse_one(&stage5, "--io", "select"), 64,
                    "--io select: not one of auto, uring, epoll");
}

/* As many workers as there are processors, and each has descriptors that are
 * no connections. */
static void test_workers_by_default(void **state)
{
    cpu_set_t allowed;
    uint64_t one, two;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
    assert_runs(parse_one(&stage5, "--max-line", "1"));
    assert_int_equal(options.workers, CPU_COUNT(&allowed));
    assert_runs(parse_one(&stage5, "--workers", "1"));
    one = options.max_connections;
    assert_runs(parse_one(&stage5, "--workers", "2"));
    two = options.max_connections;
    assert_int_equal(one - two, 4);
    assert_runs(parse_one(&stage4, "--max-line", "1"));
    assert_int_equal(options.max_connections - one, 4);
}

static void test_help(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--help"), OPTIONS_EXIT);
    assert_int_equal(status, 0);
    assert_string_equal(errors, "");
    assert_ptr_equal(strstr(output, "usage: stage1-blocking [OPTION...]\n"),
                     output);
    assert_non_null(strstr(output, "\n  --max-line SIZE "));
    assert_non_null(strstr(output, "(default 4096)\n"));
    assert_non_null(strstr(output, "\n  --send-timeout SECONDS "));
    assert_non_null(strstr(output, "(default text://127.0.0.1:4000)\n"));
    assert_non_null(strstr(output, "\n  --version "));
    assert_null(strstr(output, "--key-file"));
    assert_int_equal(PARSE2("--help"), OPTIONS_EXIT);
    assert_int_equal(status, 0);
    assert_null(strstr(output, "--send-timeout"));
    assert_non_null(strstr(output, "secure://127.0.0.1:9999)\n"));
    assert_non_null(strstr(output, "\n  --key-file FILE "));
    assert_non_null(strstr(output, "(default 1MiB)\n"));
    assert_non_null(strstr(output, "\n  --slow-consumer WORD "));
    assert_non_null(strstr(output, "(default lag)\n"));
    assert_non_null(strstr(output, "\n  --require-encryption  "));
}

static void test_version(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--version"), OPTIONS_EXIT);
    assert_int_equal(status, 0);
    assert_string_equal(output, "stage1-blocking 0.1.0\n");
    assert_string_equal(errors, "");
}

static void test_check(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--check", "--listen=text://192.0.2.1:1", "--listen",
                           "text+unix:///tmp/no-such-socket"),
                     OPTIONS_EXIT);
    assert_int_equal(status, 0);
    assert_string_equal(output, "stage1-blocking: configuration is valid\n");
    assert_string_equal(errors, "");
    assert_int_equal(PARSE("--check", "--listen=text+unix:///no/such/folder"),
                     OPTIONS_EXIT);
    assert_int_equal(status, 73);
    assert_non_null(strstr(errors, "--listen text+unix:///no/such/folder: "));
    assert_int_equal(PARSE("--check", "--listen=text+unix:///etc/passwd"),
                     OPTIONS_EXIT);
    assert_int_equal(status, 73);
    assert_fault(PARSE("--check", "--max-line", "0"),
                 "--max-line 0: out of range (1 to 1048576)");
    assert_fault(PARSE("--max-line", "0", "--check"),
                 "--max-line 0: out of range (1 to 1048576)");
}

/* From left to right, and the first that ends it ends it. */
static void test_order(void **state)
{
    (void)state;
    PARSE("--check", "--version", "--nonsense");
    assert_int_equal(status, 0);
    assert_string_equal(output, "stage1-blocking 0.1.0\n");
    PARSE("--nonsense", "--version");
    assert_int_equal(status, 64);
    assert_string_equal(output, "");
    PARSE("--help", "--version");
    assert_non_null(strstr(output, "usage: "));
    assert_null(strstr(output, "0.1.0"));
}

/* ---- Keys --------------------------------------------------------------- */

static void assert_key_loaded(void)
{
    assert_string_equal(options.key_file, key_file);
    assert_int_equal(options.key.length, sizeof(key_text));
    assert_memory_equal(options.key.bytes, key_text, sizeof(key_text));
}

/* That one, and not what was named before: which is not even looked at. */
static void test_key(void **state)
{
    (void)state;
    assert_runs(PARSE2("--key-file", key_file));
    assert_key_loaded();
    assert_runs(PARSE2("--key-file=/no/such/key", "--key-file", key_file));
    assert_key_loaded();
}

/* Also before the listener that needs it, and without one. */
static void test_key_in_any_place(void **state)
{
    (void)state;
    assert_runs(
        PARSE2("--listen=secure://127.0.0.1:0", "--key-file", key_file));
    assert_key_loaded();
    assert_runs(
        PARSE2("--key-file", key_file, "--listen=secure+unix:///tmp/s"));
    assert_key_loaded();
    assert_runs(PARSE2("--key-file", key_file, "--listen=text://127.0.0.1:0"));
    assert_key_loaded();
    assert_runs(PARSE2("--listen=frame://127.0.0.1:0"));
    assert_null(options.key_file);
    assert_int_equal(options.key.length, 0);
}

static void test_key_not_given(void **state)
{
    static const char by_default[] =
        "--key-file: needed by the listener secure://127.0.0.1:9999";
    static const char asked_for[] =
        "--key-file: needed by the listener secure+unix:///no/such/\\x1b";

    (void)state;
    assert_fault_of(&stage2, parse(&stage2, (const char *const[]){NULL}), 78,
                    by_default);
    assert_fault_of(&stage5, parse(&stage5, (const char *const[]){NULL}), 78,
                    by_default);
    assert_fault_of(&stage2, PARSE2("--check"), 78, by_default);
    assert_fault_of(&stage2,
                    PARSE2("--listen=text://127.0.0.1:0",
                           "--listen=secure+unix:///no/such/\x1b"),
                    78, asked_for);
    assert_fault_of(&stage2,
                    PARSE2("--check", "--listen=text://127.0.0.1:0",
                           "--listen=secure+unix:///no/such/\x1b"),
                    78, asked_for);
}

/* Each way to start, and --check, find the same fault, whoever needs a key. */
static void key_fault(const char *path, int expected, const char *why)
{
    char line[256];

    snprintf(line, sizeof(line), "--key-file %s: %s", path, why);
    assert_fault_of(&stage2, PARSE2("--key-file", path), expected, line);
    assert_fault_of(&stage2, PARSE2("--key-file", path, "--check"), expected,
                    line);
    assert_fault_of(&stage2, parse_one(&stage2, "--key-file", path), expected,
                    line);
    assert_fault_of(&stage2,
                    PARSE2("--check", "--listen=frame+unix:///no/such/folder",
                           "--key-file", path),
                    expected, line);
    assert_int_equal(options.key.length, 0);
}

static void test_key_faults(void **state)
{
    (void)state;
    key_fault("/no/such/key", 66, "No such file or directory");
    key_fault("", 66, "No such file or directory");
    key_fault("/tmp", 66, "not a regular file");
    assert_int_equal(chmod(key_file, 0640), 0);
    key_fault(key_file, 77, "its mode is not 0600 or stricter");
    assert_int_equal(chmod(key_file, 0600), 0);
    assert_int_equal(truncate(key_file, 31), 0);
    key_fault(key_file, 78, "a key has 32 to 4096 bytes");
    assert_fault_of(&stage2, PARSE2("--key-file", "/\x1b\n"), 66,
                    "--key-file /\\x1b\\n: No such file or directory");
}

/* What is wrong with the arguments is said first, wherever it stands; and who
 * asks for help needs no key. */
static void test_usage_before_keys(void **state)
{
    static const char line[] = "--max-line 0: out of range (1 to 1048576)";

    (void)state;
    assert_fault_of(&stage2, PARSE2("--max-line=0"), 64, line);
    assert_fault_of(&stage2, PARSE2("--key-file=/no/such/key", "--max-line=0"),
                    64, line);
    assert_fault_of(&stage2, PARSE2("--max-line=0", "--key-file=/no/such/key"),
                    64, line);
    PARSE2("--key-file=/no/such/key", "--version");
    assert_int_equal(status, 0);
    assert_string_equal(errors, "");
}

static void test_check_with_a_key(void **state)
{
    (void)state;
    assert_int_equal(PARSE2("--check", "--key-file", key_file), OPTIONS_EXIT);
    assert_int_equal(status, 0);
    assert_string_equal(output, "stage2-framing: configuration is valid\n");
    assert_string_equal(errors, "");
    assert_int_equal(PARSE2("--check", "--key-file", key_file,
                            "--listen=secure+unix:///no/such/folder"),
                     OPTIONS_EXIT);
    assert_int_equal(status, 73);
}

static int key_make(void **state)
{
    int fd;

    (void)state;
    memset(key_file + strlen(key_file) - 6, 'X', 6);
    fd = mkstemp(key_file);
    if (fd < 0 || write(fd, key_text, sizeof(key_text)) < 0)
        return -1;
    return close(fd);
}

static int key_remove(void **state)
{
    (void)state;
    return unlink(key_file);
}

/* ---- Opening what was asked for ----------------------------------------- */

static int listen_captured(void)
{
    int err, err_file = redirect(STDERR_FILENO, &err);
    int result = options_listen(&options, &stage1);

    restore(STDERR_FILENO, err, err_file, errors);
    return result;
}

static void test_listen_logs_the_real_ports(void **state)
{
    const char *at = errors;

    (void)state;
    log_init(LOG_INFO, LOG_LOGFMT);
    assert_runs(PARSE("--listen", "text://127.0.0.1:0", "--listen",
                      "text://127.0.0.1:0"));
    assert_int_equal(listen_captured(), 0);
    for (size_t i = 0; i < 2; i++) {
        char line[256];

        assert_null(strstr(options.listeners[i].url, ":0"));
        snprintf(line, sizeof(line), " level=info event=listening url=%s\n",
                 options.listeners[i].url);
        at = strstr(at, line);
        assert_non_null(at);
        listener_close(&options.listeners[i]);
    }
}

/* When the second cannot be opened, the first is closed again, and the fault
 * is the only line. */
static void test_listen_fails_as_a_whole(void **state)
{
    (void)state;
    assert_runs(PARSE("--listen", "text://127.0.0.1:0", "--listen",
                      "text+unix:///no/such/folder/socket"));
    assert_int_equal(listen_captured(), 73);
    assert_string_equal(errors,
                        "stage1-blocking: --listen "
                        "text+unix:///no/such/folder/socket: No such file or "
                        "directory\n");
    assert_int_equal(options.listeners[0].fd, -1);
    assert_int_equal(options.listeners[1].fd, -1);
}

#define WITH_KEY(test)                                                         \
    cmocka_unit_test_setup_teardown(test, key_make, key_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_decimal),
        cmocka_unit_test(test_defaults),
        WITH_KEY(test_defaults_of_stage2),
        cmocka_unit_test(test_values),
        WITH_KEY(test_values_of_stage2),
        cmocka_unit_test(test_last_one_wins),
        cmocka_unit_test(test_every_level_and_format),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_every_option_refuses_rubbish),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_faults_of_stage2),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_long_argument),
        cmocka_unit_test(test_listen),
        cmocka_unit_test(test_listen_faults),
        WITH_KEY(test_stages),
        WITH_KEY(test_options_from_stage2_on),
        cmocka_unit_test(test_stage1_has_none_of_it),
        cmocka_unit_test(test_options_of_stage5),
        cmocka_unit_test(test_values_of_stage5),
        cmocka_unit_test(test_workers_by_default),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_order),
        WITH_KEY(test_key),
        WITH_KEY(test_key_in_any_place),
        cmocka_unit_test(test_key_not_given),
        WITH_KEY(test_key_faults),
        cmocka_unit_test(test_usage_before_keys),
        WITH_KEY(test_check_with_a_key),
        cmocka_unit_test(test_listen_logs_the_real_ports),
        cmocka_unit_test(test_listen_fails_as_a_whole),
        cmocka_unit_test(test_connections_follow_the_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

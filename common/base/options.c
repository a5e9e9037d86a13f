/*
 * The command line (options.h). One row of option_table is all that there is
 * to know of an option: its name, in which stages it is, what it takes, its
 * default, and what --help says. Faults are said where they are found, on one
 * line of standard error, in which what was typed is escaped.
 */
#include "common/base/options.h"

#include "common/base/cpus.h"
#include "common/base/escape.h"
#include "common/base/limits.h"
#include "common/base/number.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>

#define SHOWN_BYTES 256
/* Where --help begins to say what an option means. */
#define HELP_COLUMN 32

/* A command line being read. */
struct reading {
    const struct program *program;
    struct options *options;
    char **next; /* the argument to take next; NULL stands after the last */
    bool check;  /* --check was there */
    bool done;   /* --help or --version has answered */
};

struct option {
    const char *name;
    const char *argument; /* as --help shows it; NULL: takes none */
    unsigned stage_first, stage_last;
    /* Returns 0, or the exit status after having said what is wrong. */
    int (*set)(struct reading *, const struct option *, const char *value);
    size_t field;       /* for those that set a uint64_t of struct options */
    uint64_t min, max;  /* of durations: in seconds */
    const char *preset; /* the default, as one would type it; NULL: computed */
    const char *meaning;
};

/* The dialects that there are, and where each listens by default. */
static const struct {
    const char *scheme;
    const char *url;
    unsigned stage_first;
} dialects[] = {
    {"text", "text://127.0.0.1:4000", 1},
    {"frame", "frame://127.0.0.1:4001", 2},
    {"secure", "secure://127.0.0.1:9999", 2},
};
#define DIALECTS (sizeof(dialects) / sizeof(dialects[0]))

/* Says what is wrong with an option (and its value, if not NULL). */
__attribute__((format(printf, 4, 5))) static int
fault(const struct program *program, const char *option, const char *value,
      const char *format, ...)
{
    char shown_option[SHOWN_BYTES], shown_value[SHOWN_BYTES] = "";
    char cause[SHOWN_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(cause, sizeof(cause), format, arguments);
    va_end(arguments);
    escape_string(option, shown_option, sizeof(shown_option));
    if (value)
        escape_string(value, shown_value, sizeof(shown_value));
    fprintf(stderr, "%s: %s%s%s: %s\n", program->name, shown_option,
            value ? " " : "", shown_value, cause);
    return EX_USAGE;
}

/* ---- Values ------------------------------------------------------------- */

/* Says why a number was not taken: `result` is that of number.h. */
static int fault_number(const struct reading *reading,
                        const struct option *option, const char *typed,
                        int result, const char *form)
{
    if (result == -EINVAL)
        return fault(reading->program, option->name, typed, "%s", form);
    return fault(reading->program, option->name, typed,
                 "out of range (%" PRIu64 " to %" PRIu64 ")", option->min,
                 option->max);
}

static int range_check(const struct option *option, uint64_t value)
{
    return value < option->min || value > option->max ? -ERANGE : 0;
}

static void field_set(const struct reading *reading,
                      const struct option *option, uint64_t value)
{
    char *options = (char *)reading->options;

    *(uint64_t *)(void *)(options + option->field) = value;
}

static int set_count(struct reading *reading, const struct option *option,
                     const char *typed)
{
    uint64_t count;
    int result = number_parse(typed, &count);

    if (result == 0)
        result = range_check(option, count);
    if (result != 0)
        return fault_number(reading, option, typed, result,
                            "not a number (digits only)");
    field_set(reading, option, count);
    return 0;
}

static int set_size(struct reading *reading, const struct option *option,
                    const char *typed)
{
    uint64_t bytes;
    int result = number_parse_size(typed, &bytes);

    if (result == 0)
        result = range_check(option, bytes);
    if (result != 0)
        return fault_number(reading, option, typed, result,
                            "not a size (digits, then KiB, MiB or nothing)");
    field_set(reading, option, bytes);
    return 0;
}

static int set_seconds(struct reading *reading, const struct option *option,
                       const char *typed)
{
    uint64_t ns;
    int result = number_parse_decimal(typed, &ns);

    if (result == 0 && ns > option->max * BILLIONTHS)
        result = -ERANGE;
    if (result != 0)
        return fault_number(reading, option, typed, result,
                            "not seconds (digits, then a fraction or nothing)");
    field_set(reading, option, ns);
    return 0;
}

static int set_rate(struct reading *reading, const struct option *option,
                    const char *typed)
{
    uint64_t billionths;
    int result = number_parse_decimal(typed, &billionths);

    if (result != 0)
        return fault_number(reading, option, typed, result,
                            "not a rate (digits, then a fraction or nothing)");
    reading->options->rate_per_second = (double)billionths / (double)BILLIONTHS;
    return 0;
}

/* The place of `typed` among `names`, or -1. */
static int word_find(const char *const names[], int count, const char *typed)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], typed) == 0)
            return i;
    }
    return -1;
}

static int set_log_level(struct reading *reading, const struct option *option,
                         const char *typed)
{
    int level = word_find(log_level_names, LOG_LEVELS, typed);

    if (level < 0)
        return fault(reading->program, option->name, typed,
                     "not one of error, warn, info, debug");
    reading->options->log_level = (enum log_level)level;
    return 0;
}

static int set_log_format(struct reading *reading, const struct option *option,
                          const char *typed)
{
    int format = word_find(log_format_names, LOG_FORMATS, typed);

    if (format < 0)
        return fault(reading->program, option->name, typed,
                     "not one of logfmt, json");
    reading->options->log_format = (enum log_format)format;
    return 0;
}

static int set_slow_consumer(struct reading *reading,
                             const struct option *option, const char *typed)
{
    static const char *const names[] = {"lag", "disconnect"};
    int place = word_find(names, 2, typed);

    if (place < 0)
        return fault(reading->program, option->name, typed,
                     "not one of lag, disconnect");
    reading->options->slow_consumer_disconnect = place == 1;
    return 0;
}

static int set_io(struct reading *reading, const struct option *option,
                  const char *typed)
{
    static const char *const names[] = {
        [IO_AUTO] = "auto",
        [IO_URING] = "uring",
        [IO_EPOLL] = "epoll",
    };
    int place = word_find(names, 3, typed);

    if (place < 0)
        return fault(reading->program, option->name, typed,
                     "not one of auto, uring, epoll");
    reading->options->io = (enum io_engine)place;
    return 0;
}

static int set_pin(struct reading *reading, const struct option *option,
                   const char *value)
{
    (void)option;
    (void)value;
    reading->options->pin = true;
    return 0;
}

static int set_require_encryption(struct reading *reading,
                                  const struct option *option,
                                  const char *value)
{
    (void)option;
    (void)value;
    reading->options->require_encryption = true;
    return 0;
}

/* It is read when all arguments have been: the last one counts. */
static int set_key_file(struct reading *reading, const struct option *option,
                        const char *path)
{
    (void)option;
    reading->options->key_file = path;
    return 0;
}

static bool dialect_offered(unsigned stage, const char *scheme)
{
    for (size_t i = 0; i < DIALECTS; i++) {
        if (strcmp(dialects[i].scheme, scheme) == 0)
            return stage >= dialects[i].stage_first;
    }
    return false;
}

static int set_listen(struct reading *reading, const struct option *option,
                      const char *url)
{
    struct options *options = reading->options;
    const struct program *program = reading->program;
    struct listener *listener = &options->listeners[options->listener_count];
    const char *wrong;

    if (options->listener_count == LISTENERS_MAX)
        return fault(program, option->name, url, "more than %d listeners",
                     LISTENERS_MAX);
    wrong = listener_parse(listener, url);
    if (wrong)
        return fault(program, option->name, url, "%s", wrong);
    if (!dialect_offered(program->stage, listener->scheme))
        return fault(program, option->name, url,
                     "this program does not have that dialect");
    options->listener_count++;
    return 0;
}

/* ---- Answers ------------------------------------------------------------ */

static int set_check(struct reading *reading, const struct option *option,
                     const char *value)
{
    (void)option;
    (void)value;
    reading->check = true;
    return 0;
}

static int print_version(struct reading *reading, const struct option *option,
                         const char *value)
{
    (void)option;
    (void)value;
    printf("%s %s\n", reading->program->name, RINGCHAT_VERSION);
    reading->done = true;
    return 0;
}

static int print_help(struct reading *, const struct option *, const char *);

/* ---- The table ---------------------------------------------------------- */

/* clang-format off */
#define STAGES_ALL 1, 5
#define STAGES_FROM(stage) stage, 5
#define STAGE_ONLY(stage) stage, stage
#define FIELD(name) offsetof(struct options, name)
#define NO_FIELD 0, 0, 0

static const struct option option_table[] = {
    {"--listen", "URL", STAGES_ALL, set_listen, NO_FIELD, NULL,
     "listen there; repeatable"},
    {"--key-file", "FILE", STAGES_FROM(2), set_key_file, NO_FIELD, NULL,
     "the key of the secure listeners"},
    {"--max-line", "SIZE", STAGES_ALL, set_size,
     FIELD(max_line_bytes), 1, LINE_BYTES_MAX, "4096",
     "bytes of a text line, without its end"},
    {"--max-frame", "SIZE", STAGES_FROM(2), set_size,
     FIELD(max_frame_bytes), FRAME_BYTES_LEAST, FRAME_BODY_BYTES_MAX, "16384",
     "bytes of a frame's body from a client"},
    {"--max-message", "SIZE", STAGES_FROM(2), set_size,
     FIELD(max_message_bytes), 1, MESSAGE_BYTES_MAX, "1MiB",
     "bytes of a secure message's content from a client"},
    {"--max-connections", "N", STAGES_ALL, set_count,
     FIELD(max_connections), 1, COUNT_MAX, NULL,
     "connections (default: what RLIMIT_NOFILE allows)"},
    {"--max-per-address", "N", STAGES_ALL, set_count,
     FIELD(max_per_address), 0, COUNT_MAX, "0",
     "connections from one address; 0: no limit"},
    {"--max-memory", "SIZE", STAGES_ALL, set_size,
     FIELD(max_memory_bytes), MEMORY_BYTES_LEAST, MEMORY_BYTES_MAX, "1024MiB",
     "what sessions and rooms may hold"},
    {"--handshake-timeout", "SECONDS", STAGES_ALL, set_seconds,
     FIELD(handshake_timeout_ns), 0, DECIMAL_UNITS_MAX, "10",
     "for a binary client to say who it is"},
    {"--frame-timeout", "SECONDS", STAGES_FROM(2), set_seconds,
     FIELD(frame_timeout_ns), 0, DECIMAL_UNITS_MAX, "30",
     "for a binary client to finish a frame"},
    {"--idle-timeout", "SECONDS", STAGES_ALL, set_seconds,
     FIELD(idle_timeout_ns), 0, DECIMAL_UNITS_MAX, "600",
     "without a line from a text client"},
    {"--heartbeat", "SECONDS", STAGES_FROM(2), set_seconds,
     FIELD(heartbeat_ns), 0, HEARTBEAT_S_MAX, "5",
     "between two pings to a binary client"},
    {"--stall-timeout", "SECONDS", STAGES_FROM(2), set_seconds,
     FIELD(stall_timeout_ns), 0, DECIMAL_UNITS_MAX, "60",
     "for a client to take some of what is queued"},
    {"--send-timeout", "SECONDS", STAGE_ONLY(1), set_seconds,
     FIELD(send_timeout_ns), 0, DECIMAL_UNITS_MAX, "10",
     "for one send to a client that does not read"},
    {"--presence-limit", "N", STAGES_ALL, set_count,
     FIELD(presence_limit), 0, COUNT_MAX, "64",
     "members up to which a room is told who comes"},
    {"--room-window", "SIZE", STAGES_ALL, set_size,
     FIELD(room_window_bytes), 1, 1024 * MIB, "1MiB",
     "unsent messages a slow member may be behind"},
    {"--slow-consumer", "WORD", STAGES_FROM(2), set_slow_consumer, NO_FIELD,
     "lag", "who is further behind: lag or disconnect"},
    {"--rate", "N", STAGES_ALL, set_rate,
     0, 0, DECIMAL_UNITS_MAX, "0",
     "messages a second of a session; 0: no limit"},
    {"--require-encryption", NULL, STAGES_FROM(2), set_require_encryption,
     NO_FIELD, NULL, "secure sessions have to encrypt"},
    {"--drain-timeout", "SECONDS", STAGES_ALL, set_seconds,
     FIELD(drain_timeout_ns), 0, DECIMAL_UNITS_MAX, "5",
     "to send what is queued when told to stop"},
    {"--workers", "N", STAGES_FROM(5), set_count,
     FIELD(workers), 1, WORKERS_MAX, NULL,
     "threads (default: the processors it may use)"},
    {"--pin", NULL, STAGES_FROM(5), set_pin, NO_FIELD, NULL,
     "bind each to a processor"},
    {"--io", "WORD", STAGES_FROM(5), set_io, NO_FIELD, "auto",
     "auto, uring or epoll"},
    {"--log-level", "LEVEL", STAGES_ALL, set_log_level, NO_FIELD, "info",
     "error, warn, info or debug"},
    {"--log-format", "FORMAT", STAGES_ALL, set_log_format, NO_FIELD, "logfmt",
     "logfmt or json"},
    {"--check", NULL, STAGES_ALL, set_check, NO_FIELD, NULL,
     "check all the options, start nothing"},
    {"--help", NULL, STAGES_ALL, print_help, NO_FIELD, NULL,
     "print this"},
    {"--version", NULL, STAGES_ALL, print_version, NO_FIELD, NULL,
     "print the version"},
};
/* clang-format on */
#define OPTIONS_COUNT (sizeof(option_table) / sizeof(option_table[0]))

static bool option_offered(const struct option *option, unsigned stage)
{
    return stage >= option->stage_first && stage <= option->stage_last;
}

/* The stage's option of that name, or NULL. Only the whole name counts: what
 * was an abbreviation would change its meaning with the next new option. */
static const struct option *option_find(unsigned stage, const char *name,
                                        size_t length)
{
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        const struct option *option = &option_table[i];

        if (option_offered(option, stage) && strlen(option->name) == length &&
            memcmp(option->name, name, length) == 0)
            return option;
    }
    return NULL;
}

static void print_default(const struct option *option, unsigned stage)
{
    if (option->preset)
        printf(" (default %s)", option->preset);
    if (option->set != set_listen)
        return;
    printf(" (default");
    for (size_t i = 0; i < DIALECTS; i++) {
        if (stage >= dialects[i].stage_first)
            printf(" %s", dialects[i].url);
    }
    printf(")");
}

static int print_help(struct reading *reading, const struct option *help,
                      const char *value)
{
    unsigned stage = reading->program->stage;

    (void)help;
    (void)value;
    printf("usage: %s [OPTION...]\n", reading->program->name);
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        const struct option *option = &option_table[i];
        int width;

        if (!option_offered(option, stage))
            continue;
        width = printf("  %s %s", option->name,
                       option->argument ? option->argument : "");
        printf("%*s%s", HELP_COLUMN - width, "", option->meaning);
        print_default(option, stage);
        printf("\n");
    }
    reading->done = true;
    return 0;
}

/* ---- Reading ------------------------------------------------------------ */

/* Takes the next argument, and the one after it if that is its value. */
static int argument_read(struct reading *reading)
{
    const struct program *program = reading->program;
    const char *argument = *reading->next++;
    size_t length = strcspn(argument, "=");
    const char *value = argument[length] == '=' ? argument + length + 1 : NULL;
    const struct option *option = option_find(program->stage, argument, length);

    if (argument[0] != '-')
        return fault(program, argument, NULL, "not an option; see --help");
    if (!option)
        return fault(program, argument, NULL, "unknown option; see --help");
    if (!option->argument && value)
        return fault(program, option->name, value, "takes no value");
    if (option->argument && !value) {
        value = *reading->next;
        if (!value)
            return fault(program, option->name, NULL, "needs a value");
        reading->next++;
    }
    return option->set(reading, option, value);
}

/* Raises the limit of descriptors as far as we may without asking anybody, see
 * getrlimit(2), and returns how many connections it leaves room for. */
static uint64_t connections_allowed(size_t listeners, uint64_t workers)
{
    struct rlimit limit, raised;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1;
    raised = limit;
    raised.rlim_cur = raised.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
        limit = raised;
    return connections_within(limit.rlim_cur, listeners, workers);
}

/* As many as there are processors for. */
static uint64_t workers_default(const struct program *program)
{
    uint64_t allowed = cpus_allowed();

    if (!option_find(program->stage, "--workers", strlen("--workers")))
        return 0;
    return allowed < WORKERS_MAX ? allowed : WORKERS_MAX;
}

/* The defaults go the same way as what is typed; ours are right. */
static void set_defaults(struct reading *reading)
{
    *reading->options = (struct options){0};
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        const struct option *option = &option_table[i];
        int status = 0;

        if (option->preset && option_offered(option, reading->program->stage))
            status = option->set(reading, option, option->preset);
        assert(status == 0);
    }
}

static void set_default_listeners(struct reading *reading)
{
    struct options *options = reading->options;

    for (size_t i = 0; i < DIALECTS; i++) {
        size_t place = options->listener_count;
        const char *wrong;

        if (reading->program->stage < dialects[i].stage_first)
            continue;
        wrong = listener_parse(&options->listeners[place], dialects[i].url);
        assert(!wrong);
        options->listener_count++;
    }
}

/* A `secure` listener without a key is a fault, never a silent fallback. */
static int key_demand(const struct options *options,
                      const struct program *program)
{
    for (size_t i = 0; i < options->listener_count; i++) {
        const struct listener *listener = &options->listeners[i];
        char url[LISTENER_URL_BYTES];

        if (strcmp(listener->scheme, "secure") != 0)
            continue;
        escape_string(listener->url, url, sizeof(url));
        fault(program, "--key-file", NULL, "needed by the listener %s", url);
        return EX_CONFIG;
    }
    return 0;
}

static int key_obtain(struct options *options, const struct program *program)
{
    const char *why;
    int status;

    if (!options->key_file)
        return key_demand(options, program);
    status = key_load(&options->key, options->key_file, &why);
    if (status != 0)
        fault(program, "--key-file", options->key_file, "%s", why);
    return status;
}

/* As far as can be seen without touching anything. */
static int listeners_check(const struct options *options,
                           const struct program *program)
{
    for (size_t i = 0; i < options->listener_count; i++) {
        const struct listener *listener = &options->listeners[i];
        const char *why;
        int error = listener_check(listener, &why);

        if (error != 0) {
            fault(program, "--listen", listener->url, "%s", why);
            return listener_status(listener, error);
        }
    }
    return 0;
}

enum options_outcome options_parse(struct options *options,
                                   const struct program *program, int argc,
                                   char **argv, int *status)
{
    struct reading reading = {
        .program = program,
        .options = options,
        .next = argc > 0 ? argv + 1 : argv,
    };
    uint64_t allowed;

    set_defaults(&reading);
    *status = 0;
    while (*status == 0 && !reading.done && *reading.next)
        *status = argument_read(&reading);
    if (*status != 0 || reading.done)
        return OPTIONS_EXIT;
    if (options->listener_count == 0)
        set_default_listeners(&reading);
    if (options->workers == 0)
        options->workers = workers_default(program);
    allowed = connections_allowed(options->listener_count, options->workers);
    if (options->max_connections == 0)
        options->max_connections = allowed;
    *status = key_obtain(options, program);
    if (*status != 0)
        return OPTIONS_EXIT;
    if (!reading.check)
        return OPTIONS_RUN;
    *status = listeners_check(options, program);
    if (*status == 0)
        printf("%s: configuration is valid\n", program->name);
    return OPTIONS_EXIT;
}

/* ---- Listening ---------------------------------------------------------- */

int options_listen(struct options *options, const struct program *program)
{
    size_t opened;

    for (opened = 0; opened < options->listener_count; opened++) {
        struct listener *listener = &options->listeners[opened];
        const char *why;
        int error = listener_open(listener, &why);

        if (error != 0) {
            fault(program, "--listen", listener->url, "%s", why);
            while (opened > 0)
                listener_close(&options->listeners[--opened]);
            return listener_status(listener, error);
        }
    }
    for (size_t i = 0; i < opened; i++) {
        struct log_field url = log_string("url", options->listeners[i].url);

        log_event(LOG_INFO, "listening", &url, 1);
    }
    return 0;
}

/*
 * What is asked for: the command line, see run.h and ringchat-load(1).
 */
#include "tests/load/plan.h"

#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* Less than there are ports: see choose_source in client.c. */
#define CLIENTS_A_SOURCE 25000
/* Messages on their way, of all speakers: what remembers them is bounded. */
#define PLACES_MAX (1U << 20)

/* ---- Workloads ---------------------------------------------------------- */

#define ALL UINT32_MAX

/* What each is when nothing else is said. */
struct preset {
    const char *name, *what;
    uint32_t clients;
    uint32_t members;  /* of a room, or ALL */
    uint32_t speakers; /* of them, or ALL */
    size_t size;
    uint32_t window;
    double rate, slow_share;
};

static const struct preset presets[] = {
    [WORKLOAD_FANOUT] = {"fanout", "a few speak, all of a room hear", 100, ALL,
                         4, 64, 16, 0, 0},
    [WORKLOAD_PACED] = {"paced", "the same, by a schedule", 100, ALL, 4, 64,
                        65536, 1000, 0},
    [WORKLOAD_ECHO] = {"echo", "each alone in a room, one message on its way",
                       100, 1, 1, 64, 1, 0, 0},
    [WORKLOAD_ROOMS] = {"rooms", "small rooms, everybody speaks", 1000, 10, ALL,
                        64, 1, 0, 0},
    [WORKLOAD_IDLE] = {"idle", "nobody speaks: what a member costs", 1000, ALL,
                       0, 64, 1, 0, 0},
    [WORKLOAD_CHURN] = {"churn", "come, say something, hear it, leave", 100, 10,
                        ALL, 64, 1, 0, 0},
    [WORKLOAD_SLOW] = {"slow", "fanout, but some do not read for a while", 100,
                       ALL, 4, 1024, 64, 0, 0.1},
    [WORKLOAD_BULK] = {"bulk", "messages as long as they may be", 10, ALL, 1,
                       MESSAGE_BYTES_MAX, 2, 0, 0},
    [WORKLOAD_MIXED] = {"mixed", "fanout over several dialects", 99, ALL, 6, 64,
                        16, 0, 0},
    [WORKLOAD_LISTEN] = {"listen", "only the server speaks: raw blast", 10, ALL,
                         1, 63, 1024, 0, 0},
};

#define PRESETS (sizeof(presets) / sizeof(presets[0]))

int usage_error(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("ringchat-load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputs(" (--help)\n", stderr);
    va_end(arguments);
    return EX_USAGE;
}

/* ---- Values ------------------------------------------------------------- */

static int read_number(const char *option, const char *text, double least,
                       double most, double *value)
{
    char *end;

    *value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(*value) || *value < least ||
        *value > most)
        return usage_error("--%s %s: a number from %g to %g", option, text,
                           least, most);
    return 0;
}

static int read_count(const char *option, const char *text, double most,
                      uint32_t *value)
{
    double number;
    int error = read_number(option, text, 1, most, &number);

    if (error != 0)
        return error;
    if (number != floor(number))
        return usage_error("--%s %s: a whole number", option, text);
    *value = (uint32_t)number;
    return 0;
}

static int read_size(const char *text, size_t *size)
{
    char *end;
    double number = strtod(text, &end);

    if (strcmp(end, "KiB") == 0)
        number *= 1024;
    else if (strcmp(end, "MiB") == 0)
        number *= 1024 * 1024;
    else if (*end != '\0' || end == text)
        number = 0;
    if (!(number >= MESSAGE_NAME_BYTES && number <= MESSAGE_BYTES_MAX))
        return usage_error("--size %s: bytes from %d to 1MiB", text,
                           MESSAGE_NAME_BYTES);
    *size = (size_t)number;
    return 0;
}

/* ---- Options ------------------------------------------------------------ */

static const struct option options[] = {
    {"workload", required_argument, NULL, 'w'},
    {"clients", required_argument, NULL, 'c'},
    {"rooms", required_argument, NULL, 'r'},
    {"senders", required_argument, NULL, 's'},
    {"size", required_argument, NULL, 'b'},
    {"window", required_argument, NULL, 'W'},
    {"rate", required_argument, NULL, 'R'},
    {"messages", required_argument, NULL, 'n'},
    {"duration", required_argument, NULL, 'd'},
    {"warmup", required_argument, NULL, 'u'},
    {"patience", required_argument, NULL, 'p'},
    {"slow-share", required_argument, NULL, 'S'},
    {"stall", required_argument, NULL, 'T'},
    {"ramp", required_argument, NULL, 'm'},
    {"sources", required_argument, NULL, 'a'},
    {"threads", required_argument, NULL, 't'},
    {"seed", required_argument, NULL, 'e'},
    {"input", required_argument, NULL, 'i'},
    {"json", required_argument, NULL, 'j'},
    {"key-file", required_argument, NULL, 'k'},
    {"seal", no_argument, NULL, 'l'},
    {"server-pid", required_argument, NULL, 'P'},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'v'},
    {0},
};

static void print_help(void)
{
    puts("usage: ringchat-load [OPTION]... URL...\n"
         "Real clients in great number, which verify all that they hear.\n"
         "URL: text, frame, secure, raw, redis, nats or irc://HOST:PORT, or\n"
         "+unix:///PATH; several share the clients.\n\n"
         "  --workload NAME     (fanout)");
    for (size_t i = 0; i < PRESETS; i++)
        printf("      %-8s %s\n", presets[i].name, presets[i].what);
    puts("  --clients N         connections\n"
         "  --rooms N           that they are spread over\n"
         "  --senders N         of each room's clients, who speak\n"
         "  --size BYTES        of a message\n"
         "  --window N          messages of a sender that not all have yet\n"
         "  --rate N            messages a second of all senders, by schedule\n"
         "  --messages N        of each sender, then it is over\n"
         "  --duration S (10)   measured, after --warmup S (1)\n"
         "  --patience S (5)    until a message is overdue, a client late\n"
         "  --slow-share N      0 to 1, of the clients; --stall S (1): they\n"
         "                      read as long as they do not\n"
         "  --ramp N (256)      clients that are coming at a time\n"
         "  --sources N         addresses that they come from\n"
         "  --threads N (1)     --seed N\n"
         "  --input FILE        its lines are the messages\n"
         "  --json FILE         what came of it\n"
         "  --key-file FILE     of secure listeners; --seal: encrypted\n"
         "  --server-pid PID    to say what it costs the server\n"
         "  --quiet             no progress\n"
         "Exit status: 0 all checks held, 1 not; 64 usage, 65 bad input,\n"
         "66 none, 69 nobody could get in, 71 system, 73 no --json FILE.\n"
         "See ringchat-load(1).");
}

/* What has been asked for by name, as numbers: 0 is not given. */
struct asked {
    uint32_t clients, rooms, speakers, window, threads, ramp, sources;
    size_t size;
    double rate;
    double slow_share, warmup_s; /* below 0 is not given */
};

static int read_preset(struct plan *plan, const char *name)
{
    for (size_t i = 0; i < PRESETS; i++) {
        if (strcmp(presets[i].name, name) == 0) {
            plan->workload = (enum workload)i;
            return 0;
        }
    }
    return usage_error("--workload %s: no such workload", name);
}

static int read_pid(struct plan *plan, const char *text)
{
    uint32_t pid = 0;
    int error = read_count("server-pid", text, 1 << 22, &pid);

    if (error == 0)
        plan->server_pid = (pid_t)pid;
    return error;
}

static int read_seed(struct plan *plan, const char *text)
{
    char *end;

    plan->seed = strtoull(text, &end, 0);
    if (end == text || *end != '\0')
        return usage_error("--seed %s: a number", text);
    return 0;
}

static int read_option(struct plan *plan, struct asked *asked, int option)
{
    switch (option) {
    case 'w':
        return read_preset(plan, optarg);
    case 'c':
        return read_count("clients", optarg, 1e6, &asked->clients);
    case 'r':
        return read_count("rooms", optarg, 1e6, &asked->rooms);
    case 's':
        return read_count("senders", optarg, 1e6, &asked->speakers);
    case 'b':
        return read_size(optarg, &asked->size);
    case 'W':
        return read_count("window", optarg, 65536, &asked->window);
    case 'R':
        return read_number("rate", optarg, 1e-3, 1e9, &asked->rate);
    case 'n':
        return read_count("messages", optarg, 4e9, &plan->messages);
    case 'd':
        return read_number("duration", optarg, 0.1, 1e6, &plan->duration_s);
    case 'u':
        return read_number("warmup", optarg, 0, 1e6, &asked->warmup_s);
    case 'p':
        return read_number("patience", optarg, 0.1, 1e6, &plan->patience_s);
    case 'S':
        return read_number("slow-share", optarg, 0, 1, &asked->slow_share);
    case 'T':
        return read_number("stall", optarg, 0.01, 1e6, &plan->stall_s);
    case 'm':
        return read_count("ramp", optarg, 65536, &asked->ramp);
    case 'a':
        return read_count("sources", optarg, 250, &asked->sources);
    case 't':
        return read_count("threads", optarg, THREADS_MAX, &asked->threads);
    case 'e':
        return read_seed(plan, optarg);
    case 'i':
        plan->input = optarg;
        return 0;
    case 'j':
        plan->json = optarg;
        return 0;
    case 'k':
        plan->key_file = optarg;
        return 0;
    case 'l':
        plan->terms.seal = true;
        return 0;
    case 'P':
        return read_pid(plan, optarg);
    case 'q':
        plan->quiet = true;
        return 0;
    case 'h':
        print_help();
        return -1;
    case 'v':
        puts("ringchat-load " LOAD_VERSION);
        return -1;
    default:
        return EX_USAGE; /* getopt_long(3) has said why */
    }
}

/* ---- The plan ----------------------------------------------------------- */

static bool all_hear_themselves(const struct plan *plan)
{
    for (unsigned i = 0; i < plan->targets_count; i++) {
        if (!plan->targets[i].dialect->hears_itself)
            return false;
    }
    return true;
}

static uint32_t either(uint32_t asked, uint32_t otherwise)
{
    return asked ? asked : otherwise;
}

/* Where who speaks does not hear itself, nobody is alone. Visitors' rooms are
 * all of one size, for all of a room speak. */
static uint32_t rooms_for(const struct plan *plan, uint32_t members)
{
    uint32_t rooms;

    if (members == ALL)
        return 1;
    if (members == 1 && !all_hear_themselves(plan))
        members = 2;
    rooms = plan->clients > members ? plan->clients / members : 1;
    while (plan_is_churn(plan) && plan->clients % rooms != 0)
        rooms--;
    return rooms;
}

static void settle_rooms(struct plan *plan, const struct asked *asked)
{
    const struct preset *preset = &presets[plan->workload];
    uint32_t members;

    plan->rooms = either(asked->rooms, rooms_for(plan, preset->members));
    members = plan->clients / plan->rooms;
    plan->speakers = preset->speakers < members ? preset->speakers : members;
    if (asked->speakers > 0)
        plan->speakers = asked->speakers;
}

/* The longest that all can say. */
static size_t size_max(const struct plan *plan)
{
    size_t size = MESSAGE_BYTES_MAX;

    for (unsigned i = 0; i < plan->targets_count; i++) {
        const struct dialect *dialect = plan->targets[i].dialect;
        size_t max = dialect->text_max;

        if (plan->terms.seal)
            max -= dialect->seal_bytes;
        if (max > 0 && max < size)
            size = max;
    }
    return size;
}

static void settle(struct plan *plan, const struct asked *asked)
{
    const struct preset *preset = &presets[plan->workload];

    plan->name = preset->name;
    plan->clients = either(asked->clients, preset->clients);
    settle_rooms(plan, asked);
    plan->window = either(asked->window, preset->window);
    plan->threads = either(asked->threads, 1);
    plan->ramp = either(asked->ramp, 256);
    plan->sources =
        either(asked->sources, 1 + (plan->clients - 1) / CLIENTS_A_SOURCE);
    plan->rate = asked->rate > 0 ? asked->rate : preset->rate;
    if (plan->rate > 0)
        plan->window = presets[WORKLOAD_PACED].window;
    plan->slow_share =
        asked->slow_share >= 0 ? asked->slow_share : preset->slow_share;
    plan->warmup_s = plan->messages < UINT32_MAX ? 0 : 1;
    if (asked->warmup_s >= 0)
        plan->warmup_s = asked->warmup_s;
    plan->size = asked->size;
    if (plan->size == 0)
        plan->size =
            preset->size < size_max(plan) ? preset->size : size_max(plan);
}

static bool needs_key(const struct plan *plan)
{
    for (unsigned i = 0; i < plan->targets_count; i++) {
        if (plan->targets[i].dialect == &dialect_secure)
            return true;
    }
    return false;
}

/* Whether messages are said by a schedule, or may be. */
static bool may_have_schedule(const struct plan *plan)
{
    return plan->workload != WORKLOAD_CHURN &&
           plan->workload != WORKLOAD_IDLE && plan->workload != WORKLOAD_LISTEN;
}

static int check_schedule(const struct plan *plan, const struct asked *asked)
{
    if (plan->rate > 0 && !may_have_schedule(plan))
        return usage_error("--rate: %s has no schedule", plan->name);
    if (plan->workload == WORKLOAD_LISTEN && plan->messages < UINT32_MAX)
        return usage_error("--messages: it is the server that speaks");
    if (plan->rate > 0 && asked->window > 0)
        return usage_error("--window: by schedule nobody waits for anybody");
    return 0;
}

static int check(const struct plan *plan)
{
    if (plan->rooms > plan->clients)
        return usage_error("--rooms %u: more than clients", plan->rooms);
    if (plan->speakers > plan->clients / plan->rooms)
        return usage_error("--senders %u: a room has %u clients",
                           plan->speakers, plan->clients / plan->rooms);
    if (plan->rooms > plan->clients / 2 && !all_hear_themselves(plan))
        return usage_error("who speaks does not hear itself there: a room "
                           "takes two");
    if (plan_is_churn(plan) && !all_hear_themselves(plan))
        return usage_error("churn: a visitor waits for its own words");
    if (plan_is_churn(plan) && plan->speakers * plan->rooms != plan->clients)
        return usage_error("churn: all of a room speak, and all rooms have as "
                           "many clients");
    if (plan->size > size_max(plan))
        return usage_error("--size %zu: the most that can be said is %zu",
                           plan->size, size_max(plan));
    if (needs_key(plan) && !plan->key_file)
        return usage_error("secure takes --key-file");
    if (plan->workload == WORKLOAD_MIXED && plan->targets_count < 2)
        return usage_error("mixed takes two URLs or more");
    if ((uint64_t)plan->rooms * plan->speakers > SPEAKERS_MAX)
        return usage_error("--senders: too many");
    return 0;
}

/* A ring's places for each voice: its window, and as much again for what is
 * still being heard by those nobody waits for. */
uint32_t plan_places(const struct plan *plan)
{
    uint64_t voices = (uint64_t)plan->rooms * plan->speakers;
    uint32_t places = 2;

    while (places < 2 * plan->window && voices * places * 2 <= PLACES_MAX)
        places *= 2;
    return places;
}

static int read_files(struct plan *plan)
{
    int error = 0;

    matter_init(&plan->matter, plan->size, plan->seed);
    if (plan->key_file)
        error = key_read(plan);
    if (error == 0 && plan->input)
        error = input_read(plan);
    if (error == 0 && plan->size > size_max(plan))
        return usage_error("--input %s: a line is longer than can be said",
                           plan->input);
    return error;
}

int plan_read(struct plan *plan, int argc, char **argv)
{
    struct asked asked = {.slow_share = -1, .warmup_s = -1};
    int option, error = 0;

    *plan = (struct plan){
        .messages = UINT32_MAX,
        .duration_s = 10,
        .patience_s = 5,
        .stall_s = 1,
        .seed = 1,
    };
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread yet */
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        error = read_option(plan, &asked, option);
        if (error != 0)
            return error;
    }
    for (; optind < argc && error == 0; optind++) {
        if (plan->targets_count == TARGETS_MAX)
            return usage_error("more than %d URLs", TARGETS_MAX);
        error =
            target_read(&plan->targets[plan->targets_count++], argv[optind]);
    }
    if (error == 0 && plan->targets_count == 0)
        return usage_error("whom to speak to? A URL is missing");
    if (error != 0)
        return error;
    settle(plan, &asked);
    error = check(plan);
    if (error == 0)
        error = check_schedule(plan, &asked);
    return error ? error : read_files(plan);
}

void plan_release(struct plan *plan)
{
    free((void *)(uintptr_t)plan->terms.key);
    free((void *)(uintptr_t)plan->matter.lines);
    free(plan->input_bytes);
}

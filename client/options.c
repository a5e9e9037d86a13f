/*
 * The command line (options.h).
 */
#include "client/options.h"

#include "common/base/number.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define URL_DEFAULT "text://127.0.0.1:4000"
#define TIMEOUT_MS_DEFAULT 10000
#define TIMEOUT_MS_MAX (24 * 3600 * 1000)
#define BILLIONTHS_PER_MS (BILLIONTHS / 1000)

static const struct option table[] = {
    {"nick", required_argument, NULL, 'n'},
    {"join", required_argument, NULL, 'j'},
    {"key-file", required_argument, NULL, 'k'},
    {"seal", no_argument, NULL, 'e'},
    {"follow", required_argument, NULL, 'f'},
    {"json", no_argument, NULL, 'J'},
    {"count", required_argument, NULL, 'c'},
    {"window", required_argument, NULL, 'w'},
    {"timeout", required_argument, NULL, 't'},
    {"no-reconnect", no_argument, NULL, 'r'},
    {"theme", required_argument, NULL, 'T'},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'v'},
    {0},
};

const char options_help[] =
    "usage: ringchat [OPTION]... [URL]             to talk\n"
    "       ringchat file [OPTION]... FILE [URL]   to send lines (-: stdin)\n"
    "       COMMAND | ringchat [OPTION]... [URL]   likewise\n"
    "       ringchat --follow ROOM [OPTION]... [URL]   to hear, on stdout\n"
    "URL: text, frame or secure://HOST:PORT, or +unix:///PATH\n"
    "     (" URL_DEFAULT ")\n\n"
    "  --nick NAME          be called so\n"
    "  --join ROOM          instead of lobby; to talk in several: repeat it\n"
    "  --key-file FILE      of a secure server; --seal: encrypted\n"
    "  --follow ROOM        repeatable; --json: an object a line;\n"
    "                       --count N: end after so many messages\n"
    "  --window N (1)       lines sent and not confirmed\n"
    "  --timeout S (10)     for a connection, for the next confirmation\n"
    "  --no-reconnect       end when the connection breaks\n"
    "  --theme NAME (any)   any, dark or light\n"
    "  --quiet              no progress, no summary\n"
    "  --help, --version\n"
    "See ringchat(1).\n";

/* What has been read, and where it is said what is wrong with it. */
struct reading {
    struct options *options;
    char *why;
    bool window, quiet, theme; /* asked for */
    unsigned joined, followed;
};

__attribute__((format(printf, 2, 3))) static int
refuse(const struct reading *reading, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reading->why, WHY_BYTES, format, arguments);
    va_end(arguments);
    return EX_USAGE;
}

/* ---- Values ------------------------------------------------------------- */

static int read_room(struct reading *reading, unsigned *counted)
{
    struct options *options = reading->options;

    if (options->room_count == JOINED_MAX)
        return refuse(reading, "at most %d rooms", JOINED_MAX);
    options->rooms[options->room_count++] = optarg;
    ++*counted;
    return 0;
}

static int read_window(struct reading *reading)
{
    uint64_t window;

    if (number_parse(optarg, &window) != 0 || window < 1 || window > WINDOW_MAX)
        return refuse(reading, "--window %s: a number from 1 to %d", optarg,
                      WINDOW_MAX);
    reading->options->window = (uint32_t)window;
    reading->window = true;
    return 0;
}

static int read_count(struct reading *reading)
{
    uint64_t count;

    if (number_parse(optarg, &count) != 0 || count == 0)
        return refuse(reading, "--count %s: a number from 1", optarg);
    reading->options->count = count;
    return 0;
}

static int read_timeout(struct reading *reading)
{
    uint64_t billionths, ms;

    if (number_parse_decimal(optarg, &billionths) != 0)
        return refuse(reading, "--timeout %s: a number of seconds", optarg);
    ms = (billionths + BILLIONTHS_PER_MS - 1) / BILLIONTHS_PER_MS;
    if (ms == 0 || ms > TIMEOUT_MS_MAX)
        return refuse(reading, "--timeout %s: over 0, and at most a day",
                      optarg);
    reading->options->timeout_ms = (uint32_t)ms;
    return 0;
}

static int read_theme(struct reading *reading)
{
    static const char *const names[] = {
        [THEME_ANY] = "any", [THEME_DARK] = "dark", [THEME_LIGHT] = "light"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(optarg, names[i]) == 0) {
            reading->options->theme = (enum theme)i;
            reading->theme = true;
            return 0;
        }
    }
    return refuse(reading, "--theme %s: any, dark or light", optarg);
}

/* ---- Options ------------------------------------------------------------ */

static int read_flag(struct reading *reading, int option)
{
    struct options *options = reading->options;

    switch (option) {
    case 'e':
        options->seal = true;
        return 0;
    case 'J':
        options->json = true;
        return 0;
    case 'r':
        options->no_reconnect = true;
        return 0;
    case 'q':
        options->quiet = reading->quiet = true;
        return 0;
    case 'h':
        options->mode = MODE_HELP;
        return 0;
    default:
        options->mode = MODE_VERSION;
        return 0;
    }
}

static int read_option(struct reading *reading, int option)
{
    struct options *options = reading->options;

    switch (option) {
    case 'n':
        options->nick = optarg;
        return 0;
    case 'k':
        options->key_file = optarg;
        return 0;
    case 'j':
        return read_room(reading, &reading->joined);
    case 'f':
        return read_room(reading, &reading->followed);
    case 'c':
        return read_count(reading);
    case 'w':
        return read_window(reading);
    case 't':
        return read_timeout(reading);
    case 'T':
        return read_theme(reading);
    default:
        return read_flag(reading, option);
    }
}

/* What getopt_long does not know. Of several letters behind one `-`, of which
 * it knows none, it stops at the first, and still stands before them. */
static const char *unknown(char **argv)
{
    const char *next = argv[optind];

    return next && next[0] == '-' && next[1] == optopt && optopt != 0
               ? next
               : argv[optind - 1];
}

static bool is_asked(const struct options *options)
{
    return options->mode == MODE_HELP || options->mode == MODE_VERSION;
}

/* Until one asks for what needs no more. `argv` begins with a name. */
static int read_options(struct reading *reading, int argc, char **argv)
{
    int option, status = 0;

    optind = 0; /* anew, also for who has read others before */
    opterr = 0;
    while (status == 0 && !is_asked(reading->options)) {
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
        option = getopt_long(argc, argv, ":", table, NULL);
        if (option == -1)
            return 0;
        if (option == ':')
            status = refuse(reading, "%s needs a value", argv[optind - 1]);
        else if (option == '?')
            status = refuse(reading, "%s: no such option", unknown(argv));
        else
            status = read_option(reading, option);
    }
    return status;
}

/* ---- What they mean together -------------------------------------------- */

static int read_url(const struct reading *reading, int argc, char **argv)
{
    if (argc == 0)
        return 0;
    if (argc > 1)
        return refuse(reading, "%s: one URL, not two", argv[1]);
    if (!strstr(argv[0], "://"))
        return refuse(reading, "%s: not a URL, as %s is", argv[0], URL_DEFAULT);
    reading->options->url = argv[0];
    return 0;
}

/* What begins with `file`. */
static int read_file(const struct reading *reading, int argc, char **argv)
{
    if (argc == 0)
        return refuse(reading, "file: which one?");
    if (strstr(argv[0], "://"))
        return refuse(reading, "file: first the file, then the URL");
    reading->options->file = argv[0];
    return read_url(reading, argc - 1, argv + 1);
}

static int check_follow(const struct reading *reading)
{
    if (reading->options->mode == MODE_SEND)
        return refuse(reading, "either file or --follow");
    if (reading->joined > 0)
        return refuse(reading, "--follow joins its room: no --join");
    if (reading->window || reading->quiet)
        return refuse(reading, "--window and --quiet are for sending");
    reading->options->mode = MODE_FOLLOW;
    return 0;
}

static int check_send(const struct reading *reading)
{
    if (reading->joined > 1)
        return refuse(reading, "lines are sent to one room: one --join");
    if (reading->theme)
        return refuse(reading, "--theme is for a terminal");
    reading->options->mode = MODE_SEND;
    return 0;
}

static int choose_mode(const struct reading *reading, bool standard_input,
                       bool standard_output)
{
    const struct options *options = reading->options;

    if (reading->followed > 0)
        return check_follow(reading);
    if (options->json || options->count > 0)
        return refuse(reading, "--json and --count are for --follow");
    if (options->mode == MODE_SEND || !standard_input)
        return check_send(reading);
    if (!standard_output)
        return refuse(reading, "standard output is no terminal: to write what "
                               "is said there, --follow ROOM");
    if (reading->window || reading->quiet)
        return refuse(reading, "--window and --quiet are for sending");
    return 0;
}

int options_read(int argc, char **argv, bool standard_input,
                 bool standard_output, struct options *options,
                 char why[WHY_BYTES])
{
    struct reading reading = {.options = options};
    bool file = argc > 1 && strcmp(argv[1], "file") == 0;
    int status;

    *options = (struct options){.mode = file ? MODE_SEND : MODE_TALK,
                                .url = URL_DEFAULT,
                                .window = 1,
                                .timeout_ms = TIMEOUT_MS_DEFAULT};
    reading.why = why;
    argc -= file;
    argv += file;
    status = read_options(&reading, argc, argv);
    if (status != 0 || is_asked(options))
        return status;
    status = file ? read_file(&reading, argc - optind, argv + optind)
                  : read_url(&reading, argc - optind, argv + optind);
    if (status != 0)
        return status;
    return choose_mode(&reading, standard_input, standard_output);
}

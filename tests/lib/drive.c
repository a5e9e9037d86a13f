/*
 * A client that does as it is told, for the integration tests: a line of stdin
 * is a command, a line of stdout is what came of it, as JSON. It knows the
 * library by <ringchat/client.h> alone.
 *
 *     drive URL [--nick NICK] [--join ROOM]... [--key-file FILE] [--seal]
 *         [--resend] [--window N] [--queue BYTES] [--message BYTES]
 *         [--attempts N] [--own-loop] [--heartbeat MS] [--connect-timeout MS]
 *         [--close-timeout MS] [--backoff-first MS] [--backoff-max MS]
 *
 * Of its commands, `say ROOM TEXT`, `tell NICK TEXT`, `command LINE`, `join
 * ROOM`, `leave ROOM`, `nick NICK` and `post TYPE TEXT` print the ticket, or
 * the error; `-` as a room is the current one. `whisper ROOM TEXT` says
 * something without a ticket. `flood COUNT ROOM` says `flood 0`, `flood 1`,
 * ... and waits where it has to. `stand` prints how the client stands. `close`,
 * or the end of stdin, closes it.
 */
#include <ringchat/client.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOMS_MAX 32
#define KEY_MAX 4096
#define LINE_MAX_BYTES (2 * 1024 * 1024)

struct drive {
    struct ringchat_client *client;
    bool own_loop, input_ended;
    unsigned flood, flood_max;
    char flood_room[64];
    size_t length;
    char input[LINE_MAX_BYTES];
};

/* ---- What is printed ---------------------------------------------------- */

static void print_text(const char *name, struct ringchat_text text)
{
    printf(",\"%s\":\"", name);
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.bytes[i];

        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void print_number(const char *name, uint64_t number)
{
    printf(",\"%s\":%" PRIu64, name, number);
}

static void print_event(const char *event)
{
    printf("{\"event\":\"%s\"", event);
}

static void print_error(const char *name, int error)
{
    printf(",\"%s\":\"%s\"", name, error ? strerrorname_np(-error) : "");
}

static void print_code(enum ringchat_error code)
{
    printf(",\"code\":\"%s\"", code ? ringchat_error_name(code) : "");
}

static void print_end(void)
{
    puts("}");
}

static const char *state_name(enum ringchat_state state)
{
    static const char *const names[] = {
        "idle",    "connecting", "entering", "open",
        "waiting", "closing",    "closed",
    };

    return names[state];
}

static void on_changed(struct ringchat_client *client,
                       const struct ringchat_change *change, void *user)
{
    (void)client, (void)user;
    print_event("changed");
    printf(",\"from\":\"%s\",\"to\":\"%s\",\"again\":%s",
           state_name(change->from), state_name(change->to),
           change->again ? "true" : "false");
    print_code(change->code);
    print_error("error", change->error);
    print_text("detail", change->detail);
    print_number("attempt", change->attempt);
    print_number("retry_ms", change->retry_ms);
    print_end();
}

static void print_message(const char *event,
                          const struct ringchat_message *message)
{
    print_event(event);
    print_number("kind", message->kind);
    print_text("room", message->room);
    print_text("nick", message->nick);
    print_text("text", message->text);
    print_text("type", message->content_type);
    print_code(message->code);
    print_number("seq", message->seq);
    print_end();
}

static void on_message(struct ringchat_client *client,
                       const struct ringchat_message *message, void *user)
{
    (void)client, (void)user;
    print_message(message->kind == RINGCHAT_PRIVATE ? "private" : "message",
                  message);
}

static void on_notice(struct ringchat_client *client,
                      const struct ringchat_message *message, void *user)
{
    static const char *const names[] = {"joined", "left", "nick", "topic"};

    (void)client, (void)user;
    print_message(names[message->kind - RINGCHAT_JOINED], message);
}

static void on_fault(struct ringchat_client *client,
                     const struct ringchat_message *message, void *user)
{
    (void)client, (void)user;
    print_message("fault", message);
}

static void on_missed(struct ringchat_client *client,
                      const struct ringchat_missed *missed, void *user)
{
    (void)client, (void)user;
    print_event("missed");
    print_text("room", missed->room);
    print_number("count", missed->count);
    print_number("away_ms", missed->away_ms);
    print_end();
}

static void on_reply(struct ringchat_client *client, uint64_t ticket,
                     struct ringchat_text line, void *user)
{
    (void)client, (void)user;
    print_event("reply");
    print_number("ticket", ticket);
    print_text("text", line);
    print_end();
}

static void on_done(struct ringchat_client *client,
                    const struct ringchat_result *result, void *user)
{
    (void)client, (void)user;
    print_event("done");
    print_number("ticket", result->ticket);
    print_code(result->code);
    print_error("error", result->error);
    print_text("detail", result->detail);
    print_number("seq", result->seq);
    print_end();
}

static void flood(struct drive *drive)
{
    char text[32];
    uint64_t ticket;
    int length;

    while (drive->flood < drive->flood_max) {
        length = snprintf(text, sizeof(text), "flood %u", drive->flood);
        if (ringchat_client_say(drive->client, drive->flood_room, text,
                                (size_t)length, &ticket) < 0)
            return;
        drive->flood++;
    }
}

static void on_writable(struct ringchat_client *client, void *user)
{
    (void)client;
    print_event("writable");
    print_end();
    flood(user);
}

/* ---- What it is told ---------------------------------------------------- */

static void print_asked(int result, uint64_t ticket)
{
    print_event("asked");
    print_error("error", result);
    print_number("ticket", ticket);
    print_end();
}

static void print_standing(const struct drive *drive)
{
    struct ringchat_client_figures figures = {RINGCHAT_SIZED(figures)};
    struct ringchat_text room;

    ringchat_client_figures(drive->client, &figures);
    print_event("stand");
    print_text("nick", ringchat_client_nick(drive->client));
    printf(",\"rooms\":[");
    for (size_t i = 0;
         (room = ringchat_client_room(drive->client, i)).length > 0; i++)
        printf("%s\"%.*s\"", i > 0 ? "," : "", (int)room.length, room.bytes);
    printf("]");
    print_number("rtt_us", figures.rtt_us);
    print_number("queued", figures.queued);
    print_number("unconfirmed", figures.unconfirmed);
    print_number("connections", figures.connections);
    print_number("messages_in", figures.messages_in);
    print_number("messages_out", figures.messages_out);
    print_number("bytes_in", figures.bytes_in);
    print_number("bytes_out", figures.bytes_out);
    print_end();
}

static int post(struct ringchat_client *client, const char *type,
                const char *text, uint64_t *ticket)
{
    struct ringchat_message message = {
        RINGCHAT_SIZED(message),
        .kind = RINGCHAT_MESSAGE,
        .text = {text, strlen(text)},
        .content_type = {type, strlen(type)},
    };

    return ringchat_client_post(client, &message, ticket);
}

/* `word`, then `first`, then `rest`, each after one space. */
static int ask(struct ringchat_client *client, const char *word,
               const char *first, const char *rest, uint64_t *ticket)
{
    const char *room = strcmp(first, "-") == 0 ? NULL : first;

    if (strcmp(word, "say") == 0)
        return ringchat_client_say(client, room, rest, strlen(rest), ticket);
    if (strcmp(word, "whisper") == 0)
        return ringchat_client_say(client, room, rest, strlen(rest), NULL);
    if (strcmp(word, "tell") == 0)
        return ringchat_client_tell(client, first, rest, strlen(rest), ticket);
    if (strcmp(word, "join") == 0)
        return ringchat_client_join(client, first, ticket);
    if (strcmp(word, "leave") == 0)
        return ringchat_client_leave(client, first, ticket);
    if (strcmp(word, "nick") == 0)
        return ringchat_client_rename(client, first, ticket);
    if (strcmp(word, "post") == 0)
        return post(client, first, rest, ticket);
    return -ENOSYS;
}

/* `COUNT ROOM` */
static void begin_flood(struct drive *drive, const char *how_much)
{
    char *end;

    drive->flood = 0;
    drive->flood_max = (unsigned)strtoul(how_much, &end, 10);
    snprintf(drive->flood_room, sizeof(drive->flood_room), "%s", end + 1);
    flood(drive);
}

static void obey(struct drive *drive, char *line)
{
    char *first = strchr(line, ' '), *rest = first ? first + 1 : line;
    char empty[] = "";
    uint64_t ticket = 0;
    int result;

    if (strcmp(line, "close") == 0) {
        ringchat_client_close(drive->client);
        return;
    }
    if (strcmp(line, "stand") == 0) {
        print_standing(drive);
        return;
    }
    if (strncmp(line, "command ", strlen("command ")) == 0) {
        result =
            ringchat_client_command(drive->client, rest, strlen(rest), &ticket);

        print_asked(result, ticket);
        return;
    }
    if (strncmp(line, "flood ", strlen("flood ")) == 0) {
        begin_flood(drive, rest);
        return;
    }
    if (first)
        *first++ = '\0';
    first = first ? first : empty;
    rest = strchr(first, ' ');
    if (rest)
        *rest++ = '\0';
    result = ask(drive->client, line, first, rest ? rest : empty, &ticket);
    print_asked(result, ticket);
}

/* Reads what there is, and obeys the lines that are whole. */
static void take_input(struct drive *drive)
{
    ssize_t got = read(STDIN_FILENO, drive->input + drive->length,
                       sizeof(drive->input) - drive->length);
    char *begin = drive->input, *end;

    if (got <= 0) {
        drive->input_ended = true;
        ringchat_client_close(drive->client);
        return;
    }
    drive->length += (size_t)got;
    while ((end = memchr(begin, '\n',
                         drive->length - (size_t)(begin - drive->input)))) {
        *end = '\0';
        obey(drive, begin);
        begin = end + 1;
    }
    drive->length -= (size_t)(begin - drive->input);
    memmove(drive->input, begin, drive->length);
}

/* ---- The loop ----------------------------------------------------------- */

/* The client's own: input is looked for in between. */
static void turn_of_its_own(struct drive *drive)
{
    struct pollfd input = {.fd = drive->input_ended ? -1 : STDIN_FILENO,
                           .events = POLLIN};

    ringchat_client_step(drive->client, 5);
    if (poll(&input, 1, 0) > 0)
        take_input(drive);
}

static void turn(struct drive *drive)
{
    struct ringchat_wants wants = {RINGCHAT_SIZED(wants)};
    struct pollfd fds[2] = {{.events = POLLIN}};

    ringchat_client_wants(drive->client, &wants);
    fds[0].fd = drive->input_ended ? -1 : STDIN_FILENO;
    fds[1].fd = wants.fd;
    fds[1].events =
        (short)((wants.read ? POLLIN : 0) | (wants.write ? POLLOUT : 0));
    poll(fds, 2, wants.timeout_ms);
    if (fds[0].revents)
        take_input(drive);
    ringchat_client_handle(drive->client);
}

/* ---- Options ------------------------------------------------------------ */

static size_t read_key(const char *path, unsigned char *key)
{
    FILE *file = fopen(path, "rb");
    size_t length;

    if (!file)
        return 0;
    length = fread(key, 1, KEY_MAX, file);
    fclose(file);
    return length;
}

static bool take_flag(struct drive *drive,
                      struct ringchat_client_config *config, const char *name)
{
    if (strcmp(name, "--seal") == 0)
        config->seal = true;
    else if (strcmp(name, "--resend") == 0)
        config->resend = true;
    else if (strcmp(name, "--own-loop") == 0)
        drive->own_loop = true;
    else
        return false;
    return true;
}

static uint32_t *number_option(struct ringchat_client_config *config,
                               const char *name)
{
    const struct {
        const char *name;
        uint32_t *number;
    } numbers[] = {
        {"--window", &config->unconfirmed_max},
        {"--queue", &config->queue_bytes_max},
        {"--message", &config->message_bytes_max},
        {"--attempts", &config->attempts_max},
        {"--heartbeat", &config->heartbeat_ms},
        {"--connect-timeout", &config->connect_timeout_ms},
        {"--close-timeout", &config->close_timeout_ms},
        {"--backoff-first", &config->backoff_first_ms},
        {"--backoff-max", &config->backoff_max_ms},
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strcmp(name, numbers[i].name) == 0)
            return numbers[i].number;
    }
    return NULL;
}

static bool take_options(struct drive *drive,
                         struct ringchat_client_config *config, char **argv)
{
    static const char *rooms[ROOMS_MAX];
    static unsigned char key[KEY_MAX];
    uint32_t *number;

    config->url = *argv++;
    config->rooms = rooms;
    for (; config->url && *argv; argv++) {
        if (take_flag(drive, config, *argv))
            continue;
        if (!argv[1])
            return false;
        number = number_option(config, *argv);
        if (number)
            *number = (uint32_t)strtoul(*++argv, NULL, 10);
        else if (strcmp(*argv, "--nick") == 0)
            config->nick = *++argv;
        else if (strcmp(*argv, "--join") == 0 && config->room_count < ROOMS_MAX)
            rooms[config->room_count++] = *++argv;
        else if (strcmp(*argv, "--key-file") == 0)
            config->key_bytes = read_key(*++argv, key);
        else
            return false;
    }
    config->key = config->key_bytes > 0 ? key : NULL;
    return config->url;
}

int main(int argc, char **argv)
{
    static struct drive drive;
    struct ringchat_client_config config = {RINGCHAT_SIZED(config)};
    const struct ringchat_client_callbacks callbacks = {
        RINGCHAT_SIZED(callbacks),
        on_changed,
        on_message,
        on_notice,
        on_missed,
        on_reply,
        on_done,
        on_writable,
        on_fault,
    };
    const char *why = "drive URL [option]...";

    (void)argc;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!take_options(&drive, &config, argv + 1) ||
        ringchat_client_create(&drive.client, &config, &callbacks, &drive,
                               &why) < 0) {
        fprintf(stderr, "drive: %s\n", why);
        return 1;
    }
    while (ringchat_client_state(drive.client) != RINGCHAT_CLOSED) {
        if (drive.own_loop)
            turn_of_its_own(&drive);
        else
            turn(&drive);
    }
    while (ringchat_client_handle(drive.client) == 0)
        ;
    ringchat_client_destroy(drive.client);
    return 0;
}

/*
 * A table with dice: `2d6` rolls two of them for all who sit there, `/total`
 * says what one has rolled so far.        dice [URL], then: nc 127.0.0.1 4200
 */
#include <ringchat/server.h>

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct seat {
    struct ringchat_peer *peer;
    struct seat *next;
    unsigned total;
};

static struct ringchat_server *server; /* for the signal handler */

static bool on_open(struct ringchat_peer *peer, void *table)
{
    struct seat **first = table, *seat = calloc(1, sizeof(*seat));

    if (!seat)
        return false;
    *seat = (struct seat){.peer = peer, .next = *first};
    *first = seat;
    ringchat_peer_set_user(peer, seat);
    return true;
}

static void tell_all(const struct seat *table, const char *text)
{
    for (const struct seat *seat = table; seat; seat = seat->next)
        ringchat_peer_say(seat->peer, text, strlen(text));
}

static void on_message(struct ringchat_peer *peer,
                       const struct ringchat_message *message, void *table)
{
    struct seat *seat = ringchat_peer_user(peer);
    struct ringchat_text nick = ringchat_peer_nick(peer), said = message->text;
    unsigned dice, sides, sum = 0;
    char text[64], end;

    snprintf(text, sizeof(text), "%.*s", (int)said.length, said.bytes);
    if (message->kind == RINGCHAT_COMMAND && strcmp(text, "total") == 0) {
        snprintf(text, sizeof(text), "%u", seat->total);
        ringchat_peer_reply(peer, text, strlen(text), false);
    } else if (sscanf(text, "%2ud%3u%c", &dice, &sides, &end) == 2 &&
               dice < 100) {
        while (dice-- > 0)
            sum += 1 + arc4random_uniform(sides);
        seat->total += sum;
        snprintf(text, sizeof(text), "%.*s rolls %u", (int)nick.length,
                 nick.bytes, sum);
        tell_all(*(struct seat **)table, text);
    } else {
        ringchat_peer_refuse(peer, RINGCHAT_ERROR_USAGE, "try 2d6, or /total");
    }
}

static void on_close(struct ringchat_peer *peer, enum ringchat_reason reason,
                     enum ringchat_error code, void *table)
{
    struct seat *seat = ringchat_peer_user(peer), **at = table;

    (void)reason, (void)code;
    while (*at != seat)
        at = &(*at)->next;
    *at = seat->next;
    free(seat);
}

static void on_signal(int number)
{
    (void)number;
    ringchat_server_stop(server);
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "text://127.0.0.1:4200", *why;
    struct seat *table = NULL;
    struct ringchat_application dice = {RINGCHAT_SIZED(dice), on_open,
                                        on_message, on_close};
    struct ringchat_server_config config = {RINGCHAT_SIZED(config), &url, 1,
                                            .name = "dice"};

    if (ringchat_server_create(&server, &config, &dice, &table, &why, NULL) < 0)
        errx(EXIT_FAILURE, "%s: %s", url, why);
    signal(SIGTERM, on_signal);
    fprintf(stderr, "listening %s\n", ringchat_server_url(server, 0));
    if (ringchat_server_run(server) < 0)
        errx(EXIT_FAILURE, "cannot serve");
    signal(SIGTERM, SIG_DFL);
    ringchat_server_destroy(server);
}

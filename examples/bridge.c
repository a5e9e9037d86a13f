/*
 * A bridge: what is said in one room is said in the other, `nick: text`, be it
 * of another server or dialect. Two clients in one loop, the caller's: poll(2).
 *
 *     build/examples/bridge URL ROOM URL ROOM [KEYFILE]
 */
#include <ringchat/client.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static volatile sig_atomic_t told_to_stop;

static void on_signal(int number)
{
    told_to_stop = number;
}

/* `user` leads to the other side. Its own words have crossed over already. */
static void on_message(struct ringchat_client *side,
                       const struct ringchat_message *message, void *user)
{
    struct ringchat_client *const *other = user;
    char text[4096];
    int length;

    if (message->kind != RINGCHAT_MESSAGE ||
        ringchat_name_equals(message->nick, ringchat_client_nick(side)))
        return;
    length = snprintf(text, sizeof(text), "%.*s: %.*s",
                      (int)message->nick.length, message->nick.bytes,
                      (int)message->text.length, message->text.bytes);
    if (length >= (int)sizeof(text) ||
        ringchat_client_say(*other, NULL, text, (size_t)length, NULL) < 0)
        fprintf(stderr, "bridge: lost a message\n");
}

static void on_change(struct ringchat_client *side,
                      const struct ringchat_change *change, void *user)
{
    (void)side, (void)user;
    fprintf(stderr, change->to == RINGCHAT_OPEN ? "open\n" : "not open\n");
}

/* One turn of the loop. False: it is over. */
static bool turn(struct ringchat_client *const sides[2])
{
    struct pollfd fds[2];
    int timeout_ms = -1;
    bool alive = false;

    for (int i = 0; i < 2; i++) {
        struct ringchat_wants wants = {RINGCHAT_SIZED(wants)};

        ringchat_client_wants(sides[i], &wants);
        fds[i] = (struct pollfd){.fd = wants.fd};
        fds[i].events = (short)(wants.read * POLLIN | wants.write * POLLOUT);
        if ((unsigned)wants.timeout_ms < (unsigned)timeout_ms) /* -1: never */
            timeout_ms = wants.timeout_ms;
    }
    poll(fds, 2, timeout_ms);
    for (int i = 0; i < 2; i++) {
        if (told_to_stop)
            ringchat_client_close(sides[i]);
        alive |= ringchat_client_handle(sides[i]) == 0;
    }
    return alive;
}

int main(int argc, char **argv)
{
    struct ringchat_client_callbacks callbacks = {
        RINGCHAT_SIZED(callbacks), .changed = on_change, .message = on_message};
    struct ringchat_client *sides[2] = {NULL, NULL};
    FILE *file = argc > 5 ? fopen(argv[5], "rb") : NULL;
    char key[4096];
    size_t key_bytes = file ? fread(key, 1, sizeof(key), file) : 0;
    const char *why = "URL ROOM URL ROOM [KEYFILE]";

    for (int i = 0; i < 2; i++) {
        const char *url = argc > 4 ? argv[1 + 2 * i] : "";
        struct ringchat_client_config config = {
            RINGCHAT_SIZED(config), url, .nick = "bridge", .room_count = 1};

        config.rooms = (const char *const *)argv + 2 + 2 * i;
        if (strncmp(url, "secure", 6) == 0)
            config.key = key, config.key_bytes = key_bytes;
        if (argc < 5 || ringchat_client_create(&sides[i], &config, &callbacks,
                                               &sides[!i], &why) < 0)
            return fprintf(stderr, "bridge: %s %s\n", url, why), 1;
    }
    signal(SIGTERM, on_signal);
    while (turn(sides))
        ;
    ringchat_client_destroy(sides[0]);
    ringchat_client_destroy(sides[1]);
}

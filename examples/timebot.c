/*
 * A bot: who says `!time` in its room is told what time it is. It comes back by
 * itself when the server does.
 *
 *     build/examples/timebot [URL [ROOM]]
 */
#include <ringchat/client.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct ringchat_client *client; /* for the signal handler */
static volatile sig_atomic_t told_to_stop;

static void on_signal(int number)
{
    told_to_stop = number;
    ringchat_client_interrupt(client);
}

/* Its own words come back too, but are no `!time`. */
static void on_message(struct ringchat_client *bot,
                       const struct ringchat_message *message, void *user)
{
    static const char asked[] = "!time";
    time_t now = time(NULL);
    struct tm utc;
    char room[33], text[64];

    (void)user;
    if (message->kind != RINGCHAT_MESSAGE ||
        message->text.length != strlen(asked) ||
        memcmp(message->text.bytes, asked, strlen(asked)) != 0)
        return;
    snprintf(room, sizeof(room), "%.*s", (int)message->room.length,
             message->room.bytes);
    ringchat_client_say(bot, room, text,
                        strftime(text, sizeof(text),
                                 "it is %Y-%m-%d %H:%M:%S UTC",
                                 gmtime_r(&now, &utc)),
                        NULL);
}

static void on_change(struct ringchat_client *bot,
                      const struct ringchat_change *change, void *user)
{
    struct ringchat_text nick = ringchat_client_nick(bot);

    (void)user;
    if (change->to == RINGCHAT_OPEN)
        fprintf(stderr, "open as %.*s\n", (int)nick.length, nick.bytes);
    else if (change->to == RINGCHAT_WAITING)
        fprintf(stderr, "waiting %lu ms\n", (unsigned long)change->retry_ms);
}

int main(int argc, char **argv)
{
    const char *room = argc > 2 ? argv[2] : "lobby", *why;
    struct ringchat_client_callbacks callbacks = {
        RINGCHAT_SIZED(callbacks),
        .changed = on_change,
        .message = on_message,
    };
    struct ringchat_client_config config = {
        RINGCHAT_SIZED(config),
        .url = argc > 1 ? argv[1] : "text://127.0.0.1:4000",
        .nick = "timebot",
        .rooms = &room,
        .room_count = 1,
    };
    int result;

    if (ringchat_client_create(&client, &config, &callbacks, NULL, &why) < 0) {
        fprintf(stderr, "timebot: %s: %s\n", config.url, why);
        return 1;
    }
    signal(SIGTERM, on_signal);
    while ((result = ringchat_client_run(client)) == -EINTR) {
        if (told_to_stop)
            ringchat_client_close(client);
    }
    ringchat_client_destroy(client);
    return result != 0;
}

/*
 * Two clients in two threads, each with a loop of its own, and a third thread
 * that interrupts them all the time: for ThreadSanitizer to look at.
 *
 *     threads URL [KEYFILE]
 *
 * With each interrupt a client says something more; it ends when all of it is
 * confirmed.
 */
#include <ringchat/client.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CLIENTS 2
#define MESSAGES 200
#define PAUSE_US 500

struct side {
    struct ringchat_client *client;
    pthread_t thread;
    unsigned said, confirmed;
    int result;
    atomic_bool over; /* written by its thread, read by the one that interrupts:
                         release/acquire */
};

static void on_done(struct ringchat_client *client,
                    const struct ringchat_result *result, void *user)
{
    struct side *side = user;

    if (result->error == 0)
        side->confirmed++;
    if (side->confirmed == MESSAGES)
        ringchat_client_close(client);
}

static void *live(void *argument)
{
    struct side *side = argument;
    uint64_t ticket;

    while ((side->result = ringchat_client_run(side->client)) == -EINTR) {
        if (side->said < MESSAGES &&
            ringchat_client_say(side->client, NULL, "hi", 2, &ticket) == 0)
            side->said++;
    }
    atomic_store_explicit(&side->over, true, memory_order_release);
    return NULL;
}

static bool are_over(struct side *sides)
{
    for (int i = 0; i < CLIENTS; i++) {
        if (!atomic_load_explicit(&sides[i].over, memory_order_acquire))
            return false;
    }
    return true;
}

static size_t read_key(const char *path, unsigned char *key, size_t capacity)
{
    FILE *file = fopen(path, "rb");
    size_t length = file ? fread(key, 1, capacity, file) : 0;

    if (file)
        fclose(file);
    return length;
}

int main(int argc, char **argv)
{
    static struct side sides[CLIENTS];
    const struct ringchat_client_callbacks callbacks = {
        RINGCHAT_SIZED(callbacks), .done = on_done};
    struct ringchat_client_config config = {RINGCHAT_SIZED(config)};
    unsigned char key[4096];
    const char *why = "threads URL [KEYFILE]";
    int failed = 0;

    config.url = argc > 1 ? argv[1] : NULL;
    if (argc > 2) {
        config.key = key;
        config.key_bytes = read_key(argv[2], key, sizeof(key));
        config.seal = true;
    }
    for (int i = 0; i < CLIENTS; i++) {
        if (ringchat_client_create(&sides[i].client, &config, &callbacks,
                                   &sides[i], &why) < 0 ||
            pthread_create(&sides[i].thread, NULL, live, &sides[i]) != 0)
            return fprintf(stderr, "threads: %s\n", why), 1;
    }
    while (!are_over(sides)) {
        for (int i = 0; i < CLIENTS; i++)
            ringchat_client_interrupt(sides[i].client);
        usleep(PAUSE_US);
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(sides[i].thread, NULL);
        failed |= sides[i].result != 0 || sides[i].confirmed != MESSAGES;
        ringchat_client_destroy(sides[i].client);
    }
    return failed;
}

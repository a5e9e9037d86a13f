/*
 * The least server: what somebody says, it says back, in every dialect.
 *
 *     echo [-k KEY_FILE] [-w WORKERS] [URL...]     then: nc 127.0.0.1 4100
 */
#include <ringchat/server.h>

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct ringchat_server *server; /* for the signal handler */

static void on_signal(int number)
{
    (void)number;
    ringchat_server_stop(server);
}

/* What cannot be said, for the peer does not read, is refused in place of being
 * confirmed: whoever asks for confirmations loses nothing unawares. */
static void on_message(struct ringchat_peer *peer,
                       const struct ringchat_message *message, void *user)
{
    (void)user;
    if (message->kind == RINGCHAT_MESSAGE &&
        ringchat_peer_post(peer, message) < 0)
        ringchat_peer_refuse(peer, RINGCHAT_ERROR_RECEIVER_BUSY, NULL);
}

/* What `secure` listeners need: the file's bytes as they are. */
static size_t read_key(const char *path, char *key, size_t size)
{
    FILE *file = fopen(path, "rb");
    size_t length = file ? fread(key, 1, size, file) : 0;

    if (file)
        fclose(file);
    return length;
}

static void serve(const struct ringchat_server_config *config)
{
    struct ringchat_application application = {
        RINGCHAT_SIZED(application),
        .message = on_message,
    };
    const char *why, *url;
    size_t which;

    if (ringchat_server_create(&server, config, &application, NULL, &why,
                               &which) < 0)
        errx(EXIT_FAILURE, "%s: %s",
             which < config->listen_count ? config->listen[which] : "config",
             why);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    for (size_t i = 0; (url = ringchat_server_url(server, i)); i++)
        fprintf(stderr, "listening %s\n", url);
    if (ringchat_server_run(server) < 0)
        errx(EXIT_FAILURE, "cannot serve");
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    ringchat_server_destroy(server);
}

int main(int argc, char **argv)
{
    static const char *const urls[] = {"text://127.0.0.1:4100"};
    struct ringchat_server_config config = {RINGCHAT_SIZED(config),
                                            .name = "echo"};
    char key[4096];
    int option;

    while ((option = getopt(argc, argv, "k:w:")) != -1) {
        if (option == 'k') {
            config.key = key;
            config.key_bytes = read_key(optarg, key, sizeof(key));
        } else if (option == 'w') {
            config.workers = (uint32_t)strtoul(optarg, NULL, 10);
        } else {
            return EXIT_FAILURE;
        }
    }
    config.listen = optind < argc ? (const char *const *)argv + optind : urls;
    config.listen_count = optind < argc ? (size_t)(argc - optind) : 1;
    serve(&config);
}

/*
 * A program that has a server in it beside things of its own: a thread that
 * serves, a signal handler, a umask, and functions by the names that the
 * library has inside. It prints what it listens at, stops the server when its
 * standard input ends, and says what the library has left as it was.
 */
#include <ringchat/server.h>

#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whoever links with the library may have these. */
void log_event(const char *text);
int text_is_clean(int number);

void log_event(const char *text)
{
    printf("host: %s\n", text);
    fflush(stdout);
}

int text_is_clean(int number)
{
    return number + 1;
}

static _Atomic unsigned here, gone;

static bool on_open(struct ringchat_peer *peer, void *user)
{
    struct ringchat_text nick = ringchat_peer_nick(peer);

    (void)user;
    atomic_fetch_add(&here, 1);
    return nick.length > 0;
}

static void on_message(struct ringchat_peer *peer,
                       const struct ringchat_message *message, void *user)
{
    (void)user;
    ringchat_peer_say(peer, message->text.bytes, message->text.length);
}

static void on_close(struct ringchat_peer *peer, enum ringchat_reason reason,
                     enum ringchat_error code, void *user)
{
    (void)peer, (void)reason, (void)code, (void)user;
    atomic_fetch_add(&gone, 1);
}

static void *serve(void *server)
{
    int error = ringchat_server_run(server);

    return error == 0 ? NULL : server;
}

#define SIGNALS 32

/* What is the process's and not the library's. */
struct state {
    struct sigaction actions[SIGNALS];
    sigset_t blocked;
    struct rlimit descriptors;
    mode_t umask;
};

static struct state state_now(void)
{
    struct state state;

    for (int i = 1; i < SIGNALS; i++)
        sigaction(i, NULL, &state.actions[i]);
    pthread_sigmask(SIG_BLOCK, NULL, &state.blocked);
    getrlimit(RLIMIT_NOFILE, &state.descriptors);
    state.umask = umask(0);
    umask(state.umask);
    return state;
}

static bool state_is(const struct state *before)
{
    struct state now = state_now();

    for (int i = 1; i < SIGNALS; i++) {
        if (now.actions[i].sa_handler != before->actions[i].sa_handler ||
            sigismember(&now.blocked, i) != sigismember(&before->blocked, i))
            return false;
    }
    return now.descriptors.rlim_cur == before->descriptors.rlim_cur &&
           now.umask == before->umask;
}

static void until_end_of_input(void)
{
    char byte;

    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
}

static struct ringchat_server *make(const char *url, uint32_t workers)
{
    struct ringchat_application application = {RINGCHAT_SIZED(application),
                                               on_open, on_message, on_close};
    struct ringchat_server_config config = {RINGCHAT_SIZED(config), &url, 1,
                                            .name = "host", .workers = workers};
    struct ringchat_server *server;
    const char *why;

    if (ringchat_server_create(&server, &config, &application, NULL, &why,
                               NULL) < 0)
        errx(EXIT_FAILURE, "%s: %s", url, why);
    return server;
}

int main(int argc, char **argv)
{
    struct ringchat_server *server;
    struct state before;
    pthread_t thread;
    void *failed;
    bool same;

    if (argc != 3)
        errx(EXIT_FAILURE, "host URL WORKERS");
    umask(0007);
    before = state_now();
    errno = 0;
    server = make(argv[1], (uint32_t)strtoul(argv[2], NULL, 10));
    same = errno == 0;
    if (pthread_create(&thread, NULL, serve, server) != 0)
        errx(EXIT_FAILURE, "no thread");
    log_event(ringchat_server_url(server, 0));
    until_end_of_input();
    ringchat_server_stop(server);
    pthread_join(thread, &failed);
    same = same && state_is(&before);
    ringchat_server_destroy(server);
    printf("%u came, %u went, %s, %s\n", atomic_load(&here), atomic_load(&gone),
           failed ? "failed" : "served",
           same ? "nothing changed" : "something changed");
    return text_is_clean(-1);
}

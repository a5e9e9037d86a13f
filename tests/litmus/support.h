/*
 * What the programs of tests/litmus have in common: options, and how they end
 * when a promise is broken.
 */
#ifndef RINGCHAT_LITMUS_SUPPORT_H
#define RINGCHAT_LITMUS_SUPPORT_H

#define LITMUS_WORKERS_MAX 16

struct settings {
    unsigned seconds; /* --seconds, 2 */
    unsigned workers; /* --workers, 4: for those with more than two threads */
    unsigned seed;    /* --seed, 1: of what they do, where that is random */
};

/* Exits with 64 (EX_USAGE) if they are wrong. Before the first thread. */
struct settings settings_parse(int argc, char **argv);

/* Says which promise is broken, and ends all threads with 1: what they would
 * say next follows from this. */
_Noreturn void broken(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

#endif

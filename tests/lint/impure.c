/*
 * Everything that the core may not do, one call of each kind, and two that it
 * may: so that tests/lint/purity can show that it tells them apart. Compiled,
 * never linked or run.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

int impure(int fd, void *(*start)(void *));

int impure(int fd, void *(*start)(void *))
{
    char text[16];
    struct timespec now;
    pthread_t thread;
    char *copy = malloc(sizeof(text));

    if (!copy || clock_gettime(CLOCK_MONOTONIC, &now) < 0 ||
        snprintf(text, sizeof(text), "%ld", now.tv_sec) < 0 ||
        pthread_create(&thread, NULL, start, copy) != 0 ||
        send(fd, text, sizeof(text), 0) < 0) {
        free(copy);
        return -1;
    }
    return 0;
}

/*
 * Where the workers wait for each other, twice: before the first of them
 * serves, so that nobody is served if one of them cannot, and after the last,
 * so that nobody closes what another may still wake him by.
 */
#ifndef RINGCHAT_STAGE5_GATE_H
#define RINGCHAT_STAGE5_GATE_H

#include <pthread.h>
#include <stdint.h>

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under the lock. */
    uint32_t expected; /* threads that have to meet */
    uint32_t arrived;
    uint32_t passed; /* meetings that have been */
    int error;       /* the first that somebody brought */
};

/* Returns 0 or -errno. */
int gate_init(struct gate *, uint32_t expected);
void gate_destroy(struct gate *);

/* So many will come, and no more: by one of them, before it comes itself. */
void gate_expect(struct gate *, uint32_t expected);

/* Waits until all are here. Returns the first error that one of them brought,
 * then or before, or 0. What they did before happened before that. */
int gate_meet(struct gate *, int error);

#endif

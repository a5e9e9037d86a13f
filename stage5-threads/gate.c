/*
 * The gate: a mutex and a condition variable, as pthread_barrier_wait(3) has
 * inside; but that cannot be told that fewer will come, nor say what one of
 * them has met with.
 */
#include "stage5-threads/gate.h"

int gate_init(struct gate *gate, uint32_t expected)
{
    int error = pthread_mutex_init(&gate->lock, NULL);

    if (error != 0)
        return -error;
    error = pthread_cond_init(&gate->changed, NULL);
    if (error != 0)
        pthread_mutex_destroy(&gate->lock);
    gate->expected = expected;
    gate->arrived = gate->passed = 0;
    gate->error = 0;
    return -error;
}

void gate_destroy(struct gate *gate)
{
    pthread_cond_destroy(&gate->changed);
    pthread_mutex_destroy(&gate->lock);
}

void gate_expect(struct gate *gate, uint32_t expected)
{
    pthread_mutex_lock(&gate->lock);
    gate->expected = expected;
    pthread_mutex_unlock(&gate->lock);
}

/* The last to come lets all pass. */
int gate_meet(struct gate *gate, int error)
{
    uint32_t before;

    pthread_mutex_lock(&gate->lock);
    before = gate->passed;
    if (gate->error == 0)
        gate->error = error;
    gate->arrived++;
    if (gate->arrived == gate->expected) {
        gate->arrived = 0;
        gate->passed++;
        pthread_cond_broadcast(&gate->changed);
    }
    while (gate->passed == before)
        pthread_cond_wait(&gate->changed, &gate->lock);
    error = gate->error;
    pthread_mutex_unlock(&gate->lock);
    return error;
}

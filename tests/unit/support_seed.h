/*
 * The seed of a random history, said however the history ends: by an assertion
 * of the test, one of the code (SIGABRT), or well, and then not at all.
 */
#ifndef RINGCHAT_UNIT_SUPPORT_SEED_H
#define RINGCHAT_UNIT_SUPPORT_SEED_H

#include <stdint.h>

/* Before the tests: from now on SIGABRT says the seed. */
void seed_catch_abort(void);

/* A history begins, and has ended well. */
void seed_begin(uint64_t seed);
void seed_end(void);

/* The teardown of a test that has histories. */
int seed_say(void **state);

#endif

/*
 * The ring of the stage that the faults are built for: the Makefile compiles
 * them once for each, for a ring is laid out as its stage says.
 */
#ifndef RINGCHAT_FAULTS_RING_H
#define RINGCHAT_FAULTS_RING_H

#ifdef FAULTED_STAGE4
#include "stage4-uring/ring.h"
#else
#include "stage5-threads/ring.h"
#endif

#endif

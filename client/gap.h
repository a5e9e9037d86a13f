/*
 * What may have been missed, in words.
 */
#ifndef RINGCHAT_CLIENT_GAP_H
#define RINGCHAT_CLIENT_GAP_H

#include "common/base/builder.h"

#include <stdint.h>

/* How many messages are not known. */
#define GAP_UNCOUNTED UINT64_MAX

/* How it begins if there was no connection. */
#define RETURN_WORDS "back after "

/* "4 s", "3 min 20 s", "2 h 5 min" */
void build_duration(struct builder *, uint64_t ms);

/* "back after 12 s; 4 messages were missed". `away_ms` 0: the connection held,
 * the server dropped them. */
void build_gap(struct builder *, uint64_t missed, uint64_t away_ms);

#endif

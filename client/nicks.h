/*
 * Who is in a room, as far as was heard: for completion, which offers those who
 * spoke last first. Of what is no nick nothing is kept.
 */
#ifndef RINGCHAT_CLIENT_NICKS_H
#define RINGCHAT_CLIENT_NICKS_H

#include "common/base/slice.h"

#include <stdint.h>

/* Who was silent longest gives way. */
#define NICKS_MAX 1024

struct nicks;

struct nicks *nicks_create(void); /* NULL without memory */
void nicks_destroy(struct nicks *);

/* `spoke_us`: when it was heard; 0: it is there, no more. Without memory for it
 * it is not known. */
void nicks_add(struct nicks *, struct slice nick, uint64_t spoke_us);
void nicks_remove(struct nicks *, struct slice nick);

/* They are being listed: who is not added between these two is gone. */
void nicks_doubt(struct nicks *);
void nicks_settle(struct nicks *);

/* The first `max`, into `out`, who spoke last first; returns how many. Valid
 * until the next change. */
size_t nicks_list(struct nicks *, struct slice *out, size_t max);

#endif

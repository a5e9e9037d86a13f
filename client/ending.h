/*
 * Why a connection ended, or never was: in words, and as an exit status of
 * sysexits(3). Pure.
 */
#ifndef RINGCHAT_CLIENT_ENDING_H
#define RINGCHAT_CLIENT_ENDING_H

#include "common/base/builder.h"

#include <ringchat/protocol.h>

#include <stdbool.h>

/* As struct ringchat_change has them: what the server said, or what is wrong
 * with what it said; else -errno. `opened`: it had been a connection. */
struct ending {
    enum ringchat_error code;
    int error;
    struct ringchat_text detail;
    bool opened;
};

/* 0 if it was asked for. */
int ending_status(const struct ending *);

/* "connection refused"; "bad-hmac: the key is not the server's, ...". Tamed. */
void ending_say(const struct ending *, struct builder *);

#endif

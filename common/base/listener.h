/*
 * Listen addresses: from the URL that an option names to a listening socket.
 *
 * Parses `DIALECT[+unix]://ADDRESS`, binds, listens, replaces a stale Unix
 * socket, refuses to touch anything that is not one, and removes what it made.
 * It does not accept: that is the engine's, and each stage shows its own.
 */
#ifndef RINGCHAT_BASE_LISTENER_H
#define RINGCHAT_BASE_LISTENER_H

#include "common/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Over the longest URL that a listener can have: scheme, "+unix://" and a path
 * of 107 bytes, see unix(7). */
#define LISTENER_URL_BYTES 160

struct listener {
    int fd;                       /* -1 while it is not open */
    char scheme[16];              /* "text", "frame", "secure" */
    char url[LISTENER_URL_BYTES]; /* as asked; once open, with the real port */
    struct sockaddr_storage address;
    socklen_t address_length;
    bool made_socket; /* a Unix socket, known by the next two, is ours */
    dev_t made_device;
    ino_t made_inode;
};

/*
 * Parses `url`: SCHEME://HOST:PORT, SCHEME://[HOST]:PORT or
 * SCHEME+unix:///PATH. HOST is a numeric address: no name is looked up. The
 * scheme, without +unix, is not compared with anything: which dialects there
 * are, the caller knows. Returns NULL, or what is wrong as a literal that reads
 * well after
 * "--listen URL: ".
 */
const char *listener_parse(struct listener *, const char *url);

/* What listener_open would say of a Unix path's folder and of what stands
 * there, as far as looking tells: it binds and touches nothing. */
int listener_check(const struct listener *, const char **why);

/*
 * Binds and listens (SO_REUSEADDR; IPV6_V6ONLY; Unix sockets with mode 0660,
 * and never a wider one), and puts the real port into `url`. The descriptor is
 * close-on-exec and blocking. Returns 0 or -errno, with `*why` set to a
 * literal; nothing is left behind then. -EADDRINUSE: somebody listens there;
 * -EEXIST: what stands at the path is not a socket; -EWOULDBLOCK: another
 * program keeps its folder locked. It may sleep for a moment.
 */
int listener_open(struct listener *, const char **why);

/* The sysexits(3) status that operation.md gives an error of these two. */
int listener_status(const struct listener *, int error);

/* Removes the Unix socket that it had made, if it is that one that still
 * stands at the path, and closes the descriptor. Safe on one that is not open,
 * and twice. */
void listener_close(struct listener *);

/* "127.0.0.1:5000", "[::1]:5000" or "unix", into `text`, always terminated. */
#define PEER_TEXT_BYTES 64
void peer_text(const struct sockaddr_storage *, char text[PEER_TEXT_BYTES]);

/*
 * The address that --max-per-address counts: IPv4 as IPv4-mapped IPv6, IPv6 by
 * its /64, which is what one customer is given. Returns false for a Unix
 * socket, which is exempt.
 */
bool peer_key(const struct sockaddr_storage *, uint8_t key[ADDRESS_BYTES]);

#endif

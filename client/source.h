/*
 * Where the lines that are sent come from: a file or a pipe, read as far as it
 * is asked to. It never waits in a read that poll(2) has announced.
 */
#ifndef RINGCHAT_CLIENT_SOURCE_H
#define RINGCHAT_CLIENT_SOURCE_H

#include "client/lines.h"

#include <stdbool.h>
#include <stdint.h>

#define SOURCE_BYTES (64 * 1024)

struct source {
    int fd;
    const char *name; /* NULL: standard input */
    uint64_t size;    /* of a file; 0: not known */
    uint64_t bytes_read;
    bool ended;
    struct lines lines;
    struct slice unread; /* of `bytes` */
    char bytes[SOURCE_BYTES];
};

/* `file`: NULL or "-" is standard input. Returns 0, or an exit status with what
 * is wrong told on standard error. */
int source_open(struct source *, const char *file);
void source_close(struct source *);

/* The next line, which stands until the next call of any. False: there is none,
 * or it has not been read yet. */
bool source_next(struct source *, struct slice *line, enum line_fault *);

/* Whether it has to be read from for there to be more. */
bool source_is_dry(const struct source *);

/* Reads once. Returns 0, at the end too, or -errno. */
int source_read(struct source *);

#endif

/*
 * Where it listens: raw://HOST:PORT or raw+unix://PATH.
 */
#ifndef RINGCHAT_LOAD_RAW_LISTEN_H
#define RINGCHAT_LOAD_RAW_LISTEN_H

/* The path of a Unix socket's URL, else NULL. */
const char *unix_path(const char *url);

/* A socket that listens, non-blocking. A URL that is none ends the program:
 * exit status 64 (EX_USAGE). */
int listen_at(const char *url);

/* Says where, with the real port, on standard error. */
void listening_say(int fd, const char *url);

#endif

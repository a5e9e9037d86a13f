/*
 * Where it listens: see listen.h.
 */
#include "tests/load/raw/listen.h"

#include "tests/load/raw/fail.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

/* NULL: it is not such a URL. */
static const char *after(const char *url, const char *scheme)
{
    size_t length = strlen(scheme);

    return strncmp(url, scheme, length) == 0 ? url + length : NULL;
}

const char *unix_path(const char *url)
{
    return after(url, "raw+unix://");
}

/* bind(2): EADDRINUSE if another is there, or its socket file; EACCES if the
 * place is not ours. */
static int listen_on(int family, const struct sockaddr *address,
                     socklen_t length)
{
    int on = 1;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        fail("socket");
    /* What is left of the connections of a run before keeps nobody out. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, address, length) < 0)
        fail("bind");
    if (listen(fd, SOMAXCONN) < 0)
        fail("listen");
    return fd;
}

static int listen_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        fail(path);
    }
    memcpy(address.sun_path, path, strlen(path));
    return listen_on(AF_UNIX, (const struct sockaddr *)&address,
                     sizeof(address));
}

/* HOST:PORT or [HOST]:PORT, cut in two; returns the port, or NULL. */
static char *split(char *host_port, char **host)
{
    char *colon = strrchr(host_port, ':');
    size_t length;

    if (!colon || colon[1] == '\0')
        return NULL;
    *colon = '\0';
    length = strlen(host_port);
    *host = host_port;
    if (length > 1 && host_port[0] == '[' && host_port[length - 1] == ']') {
        host_port[length - 1] = '\0';
        (*host)++;
    }
    return colon + 1;
}

static _Noreturn void bad_url(const char *url, const char *why)
{
    fprintf(stderr, "raw: cannot listen on %s: %s\n", url, why);
    exit(EX_USAGE); /* NOLINT(concurrency-mt-unsafe): the only thread */
}

static int listen_tcp(const char *url)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    const char *rest = after(url, "raw://");
    char copy[NI_MAXHOST + NI_MAXSERV], *host, *port;
    int error, fd;

    if (!rest || strlen(rest) >= sizeof(copy))
        bad_url(url, "not raw://HOST:PORT or raw+unix://PATH");
    memcpy(copy, rest, strlen(rest) + 1);
    port = split(copy, &host);
    if (!port)
        bad_url(url, "no port");
    error = getaddrinfo(*host ? host : NULL, port, &hints, &found);
    if (error != 0)
        bad_url(url, gai_strerror(error));
    fd = listen_on(found->ai_family, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return fd;
}

int listen_at(const char *url)
{
    const char *path = unix_path(url);

    return path ? listen_unix(path) : listen_tcp(url);
}

/* getsockname(2): the port that the kernel has chosen; it cannot fail. */
void listening_say(int fd, const char *url)
{
    struct sockaddr_storage address = {0};
    struct sockaddr *any = (struct sockaddr *)&address;
    socklen_t length = sizeof(address);
    char host[NI_MAXHOST], port[NI_MAXSERV];

    if (unix_path(url)) {
        fprintf(stderr, "listening %s\n", url);
        return;
    }
    getsockname(fd, any, &length);
    if (getnameinfo(any, length, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        fail("getnameinfo");
    fprintf(stderr,
            any->sa_family == AF_INET6 ? "listening raw://[%s]:%s\n"
                                       : "listening raw://%s:%s\n",
            host, port);
}

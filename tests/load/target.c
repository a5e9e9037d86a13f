/*
 * Addresses of servers: SCHEME://HOST:PORT, SCHEME+unix:///PATH.
 */
#include "tests/load/plan.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static const struct dialect *const dialects[] = {
    &dialect_text, &dialect_frame, &dialect_secure, &dialect_raw,
    &dialect_resp, &dialect_nats,  &dialect_irc,
};

static const struct dialect *find_dialect(const char *scheme, size_t length)
{
    for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++) {
        if (strlen(dialects[i]->scheme) == length &&
            memcmp(dialects[i]->scheme, scheme, length) == 0)
            return dialects[i];
    }
    return NULL;
}

static int read_unix(struct target *target, const char *path)
{
    struct sockaddr_un *address = (struct sockaddr_un *)&target->address;

    if (strlen(path) >= sizeof(address->sun_path))
        return usage_error("%s: the path is too long", target->url);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, strlen(path) + 1);
    target->length = sizeof(*address);
    return 0;
}

/* HOST:PORT, [HOST]:PORT, HOST: getaddrinfo(3). */
static int read_internet(struct target *target, const char *rest)
{
    const char *port = strrchr(rest, ':');
    const char *end = strchr(rest, ']');
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    char host[256];
    int error;

    if (port && end && port < end)
        port = NULL;
    if (!end)
        end = port ? port : rest + strlen(rest);
    rest += *rest == '[';
    if (end <= rest || (size_t)(end - rest) >= sizeof(host))
        return usage_error("%s: HOST:PORT is missing", target->url);
    memcpy(host, rest, (size_t)(end - rest));
    host[end - rest] = '\0';
    port = port ? port + 1 : target->dialect->port;
    if (!port)
        return usage_error("%s: it names no port", target->url);
    error = getaddrinfo(host, port, &hints, &found);
    if (error != 0)
        return usage_error("%s: %s", target->url, gai_strerror(error));
    memcpy(&target->address, found->ai_addr, found->ai_addrlen);
    target->length = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

int target_read(struct target *target, const char *url)
{
    const char *rest = strstr(url, "://");
    const char *plus;
    size_t length;

    target->url = url;
    if (!rest)
        return usage_error("%s: not a URL", url);
    plus = memchr(url, '+', (size_t)(rest - url));
    length = (size_t)((plus ? plus : rest) - url);
    target->dialect = find_dialect(url, length);
    if (!target->dialect)
        return usage_error("%s: no such dialect", url);
    if (!plus)
        return read_internet(target, rest + 3);
    if (strncmp(plus, "+unix:", 6) != 0)
        return usage_error("%s: only +unix is known", url);
    return read_unix(target, rest + 3);
}

bool target_is_loopback(const struct target *target)
{
    const struct sockaddr_in *address =
        (const struct sockaddr_in *)&target->address;

    return target->address.ss_family == AF_INET &&
           ntohl(address->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

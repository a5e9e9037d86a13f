/*
 * URLs: from what a user types to an address, and from a name to its number.
 * ringchat_url_resolve is all of the client that looks anything up.
 */
#include "lib/internal.h"

#include "common/base/listener.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

static const struct scheme {
    const char *name;
    enum ringchat_dialect dialect;
    const char *port; /* of the default listener */
} schemes[] = {
    {"text", RINGCHAT_TEXT, "4000"},
    {"frame", RINGCHAT_FRAME, "4001"},
    {"secure", RINGCHAT_SECURE, "9999"},
};

/* A URL in its parts, which lie in it. */
struct parts {
    const struct scheme *scheme;
    bool is_unix;
    const char *rest; /* after `://` */
    struct slice host;
    const char *port; /* NULL: none is named */
};

/* ---- Parts -------------------------------------------------------------- */

static const struct scheme *scheme_find(struct slice name)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (slice_equals(name, slice_of(schemes[i].name)))
            return &schemes[i];
    }
    return NULL;
}

static bool take_suffix(struct slice *text, struct slice suffix)
{
    if (text->length < suffix.length ||
        memcmp(text->bytes + text->length - suffix.length, suffix.bytes,
               suffix.length) != 0)
        return false;
    text->length -= suffix.length;
    return true;
}

/* HOST, HOST:PORT, [HOST] or [HOST]:PORT. False: none of these. */
static bool split_host(struct parts *parts)
{
    const char *start = parts->rest, *end;
    bool bracket = start[0] == '[';

    end = start + bracket + strcspn(start + bracket, bracket ? "]" : ":");
    parts->host =
        (struct slice){start + bracket, (size_t)(end - start) - bracket};
    if (bracket && *end++ != ']')
        return false;
    if (*end == ':')
        parts->port = end + 1;
    return parts->host.length > 0 && (*end == ':' || *end == '\0');
}

/* What is wrong, or NULL. */
static const char *url_split(const char *url, struct parts *parts)
{
    const char *separator = strstr(url, "://");
    struct slice scheme;

    *parts = (struct parts){0};
    if (!separator)
        return "not DIALECT://ADDRESS";
    scheme = (struct slice){url, (size_t)(separator - url)};
    if (take_suffix(&scheme, SLICE("+tls")))
        return "there is no TLS in this library";
    parts->is_unix = take_suffix(&scheme, SLICE("+unix"));
    parts->scheme = scheme_find(scheme);
    parts->rest = separator + strlen("://");
    if (!parts->scheme)
        return "the dialect is not text, frame or secure";
    if (!parts->is_unix && !split_host(parts))
        return "not HOST:PORT (IPv6 in brackets)";
    return NULL;
}

/* The URL as a listener would have it: with a number for localhost, and with a
 * port. False: it is longer than any that is good. */
static bool url_complete(const struct parts *parts, struct slice host,
                         char *out, size_t capacity)
{
    const char *port = parts->port ? parts->port : parts->scheme->port;
    bool bracket = memchr(host.bytes, ':', host.length);
    int length =
        snprintf(out, capacity, "%s://%s%.*s%s:%s", parts->scheme->name,
                 bracket ? "[" : "", (int)host.length, host.bytes,
                 bracket ? "]" : "", port);

    return length > 0 && (size_t)length < capacity;
}

/* ---- For the client ----------------------------------------------------- */

const char *url_parse(const char *url, enum ringchat_dialect *dialect,
                      struct address *address)
{
    char complete[LISTENER_URL_BYTES];
    struct listener listener;
    struct parts parts;
    const char *wrong = url_split(url, &parts);

    if (wrong)
        return wrong;
    if (!parts.is_unix) {
        if (slice_equals(parts.host, SLICE("localhost")))
            parts.host = SLICE("127.0.0.1");
        if (!url_complete(&parts, parts.host, complete, sizeof(complete)))
            return "the address is too long";
        url = complete;
    }
    wrong = listener_parse(&listener, url);
    if (wrong)
        return wrong;
    *dialect = parts.scheme->dialect;
    *address = (struct address){listener.address, listener.address_length};
    return NULL;
}

/* ---- For who has a name ------------------------------------------------- */

static int look_up_error(int error)
{
    switch (error) {
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        return -errno;
    default:
        return -EHOSTUNREACH;
    }
}

/* The first address of a host, in digits. */
static int look_up(struct slice name, char *digits, size_t capacity)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char host[NI_MAXHOST];
    int error;

    if (name.length >= sizeof(host))
        return -EHOSTUNREACH;
    memcpy(host, name.bytes, name.length);
    host[name.length] = '\0';
    error = getaddrinfo(host, NULL, &hints, &found);
    if (error != 0)
        return look_up_error(error);
    error = getnameinfo(found->ai_addr, found->ai_addrlen, digits,
                        (socklen_t)capacity, NULL, 0, NI_NUMERICHOST);
    freeaddrinfo(found);
    return error == 0 ? 0 : -EHOSTUNREACH;
}

static int copy_url(const char *url, char *out, size_t capacity)
{
    size_t length = strlen(url);

    if (length >= capacity)
        return -ENOBUFS;
    memcpy(out, url, length + 1);
    return 0;
}

int ringchat_url_resolve(const char *url, char *out, size_t capacity)
{
    char digits[NI_MAXHOST];
    enum ringchat_dialect dialect;
    struct address address;
    struct parts parts;
    int error;

    if (!url || !out || url_split(url, &parts))
        return -EINVAL;
    if (!url_parse(url, &dialect, &address))
        return copy_url(url, out, capacity);
    if (parts.is_unix)
        return -EINVAL;
    error = look_up(parts.host, digits, sizeof(digits));
    if (error < 0)
        return error;
    if (!url_complete(&parts, slice_of(digits), out, capacity))
        return -ENOBUFS;
    return url_parse(out, &dialect, &address) ? -EINVAL : 0;
}

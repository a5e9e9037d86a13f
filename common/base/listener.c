/*
 * Listen addresses (listener.h): parse, bind and listen, remove.
 *
 * A Unix socket needs care, for its path outlives the process that made it and
 * may belong to somebody else:
 *
 *  - Only connect(2) tells a live socket from a stale one, so between the
 *    question and unlink(2) another server could put its live one there; and a
 *    socket between bind and listen looks stale. We hold a lock on the folder
 *    from the question until we listen, and so does every other of our
 *    servers. flock(2) on the folder leaves nothing behind, whoever dies.
 *  - What is at the path on closing is removed only if it is the inode that we
 *    made. A bound socket keeps its inode alive, so as long as ours is open no
 *    other can have that number.
 */
#include "common/base/listener.h"

#include "common/base/limits.h"
#include "common/base/number.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define UNIX_MODE 0660

#define PORT_MAX 65535
#define PORT_DIGITS_MAX 5
#define HOST_BYTES_MAX (INET6_ADDRSTRLEN + IF_NAMESIZE)

/* Our servers hold a folder for microseconds; who holds it longer is another
 * program, and it must not keep us from saying so. */
#define LOCK_TRIES 200
#define LOCK_PAUSE_NS 10000000

/* What a server that was killed had ordered of its ring keeps its sockets open
 * until the kernel has taken it back: 10 ms after its death, or on a machine
 * that is busy a quarter of a second. Each pause is longer than the one before;
 * all of them make nearly a second. */
#define IN_USE_TRIES 5
#define IN_USE_PAUSE_NS 1500000
#define IN_USE_PAUSE_GROWTH 8

static const char tcp_form[] =
    "not HOST:PORT with a numeric address (IPv6 in brackets)";

/* ---- Parsing ------------------------------------------------------------ */

static const char *parse_unix(struct listener *listener, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (path[0] != '/')
        return "not an absolute path (+unix:///PATH)";
    if (strlen(path) >= sizeof(address.sun_path))
        return "the path is too long for a Unix socket (107 bytes)";
    memcpy(address.sun_path, path, strlen(path));
    memcpy(&listener->address, &address, sizeof(address));
    listener->address_length = sizeof(address);
    return NULL;
}

static const char *parse_ipv4(struct listener *listener, const char *host,
                              in_port_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = port};

    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        return tcp_form;
    memcpy(&listener->address, &address, sizeof(address));
    listener->address_length = sizeof(address);
    return NULL;
}

/* inet_pton does not know zones (fe80::1%eth0, RFC 4007); getaddrinfo does. */
static const char *parse_ipv6(struct listener *listener, const char *host,
                              in_port_t port)
{
    const struct addrinfo hints = {.ai_family = AF_INET6,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found;
    struct sockaddr_in6 address;

    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return tcp_form;
    memcpy(&address, found->ai_addr, sizeof(address));
    freeaddrinfo(found);
    address.sin6_port = port;
    memcpy(&listener->address, &address, sizeof(address));
    listener->address_length = sizeof(address);
    return NULL;
}

/* Finds `host`, without its brackets, and the colon after it. NULL: neither. */
static const char *host_take(const char *text, char host[HOST_BYTES_MAX])
{
    bool bracket = text[0] == '[';
    const char *start = text + bracket;
    size_t length = strcspn(start, bracket ? "]" : ":");
    const char *end = start + length;

    if (bracket && *end == ']')
        end++;
    else if (bracket)
        return NULL;
    if (*end != ':' || length >= HOST_BYTES_MAX)
        return NULL;
    memcpy(host, start, length);
    host[length] = '\0';
    return end;
}

static const char *parse_tcp(struct listener *listener, const char *text)
{
    char host[HOST_BYTES_MAX];
    const char *colon = host_take(text, host);
    uint64_t port;

    if (!colon)
        return tcp_form;
    if (strlen(colon + 1) > PORT_DIGITS_MAX ||
        number_parse(colon + 1, &port) != 0 || port > PORT_MAX)
        return "the port is not a number from 0 to 65535";
    if (text[0] == '[')
        return parse_ipv6(listener, host, htons((in_port_t)port));
    return parse_ipv4(listener, host, htons((in_port_t)port));
}

/* Takes "+unix" off the end of the scheme, if it is there. */
static bool scheme_take_unix(const char *scheme, size_t *length)
{
    static const char suffix[] = "+unix";
    size_t suffix_length = strlen(suffix);

    if (*length < suffix_length ||
        memcmp(scheme + *length - suffix_length, suffix, suffix_length) != 0)
        return false;
    *length -= suffix_length;
    return true;
}

const char *listener_parse(struct listener *listener, const char *url)
{
    const char *separator = strstr(url, "://");
    const char *address, *wrong;
    size_t length;
    bool is_unix;

    *listener = (struct listener){.fd = -1};
    if (!separator)
        return "not SCHEME://ADDRESS";
    length = (size_t)(separator - url);
    address = separator + strlen("://");
    is_unix = scheme_take_unix(url, &length);
    if (length == 0 || length >= sizeof(listener->scheme))
        return "not a scheme that a listener can have";
    memcpy(listener->scheme, url, length);
    wrong =
        is_unix ? parse_unix(listener, address) : parse_tcp(listener, address);
    if (wrong)
        return wrong;
    /* Scheme, path, host and port were each checked: so is their sum. */
    assert(strlen(url) < sizeof(listener->url));
    memcpy(listener->url, url, strlen(url));
    return NULL;
}

/* ---- Unix sockets ------------------------------------------------------- */

static const char *unix_path(const struct listener *listener)
{
    return ((const struct sockaddr_un *)&listener->address)->sun_path;
}

/* Returns a descriptor of the folder that `path` is in, whose closing ends the
 * lock, or -errno; -EWOULDBLOCK if another program does not let go of it. */
static int folder_lock(const char *path)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
    char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)] = "";
    int tries = LOCK_TRIES, fd, result;

    memcpy(folder, path, (size_t)(strrchr(path, '/') + 1 - path));
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    while ((result = flock(fd, LOCK_EX | LOCK_NB)) < 0 &&
           errno == EWOULDBLOCK && --tries > 0)
        nanosleep(&pause, NULL);
    if (result == 0)
        return fd;
    result = -errno;
    close(fd);
    return result;
}

/* Returns 0 if somebody listens at the path, -ECONNREFUSED if nobody does, or
 * another -errno. A live server sees a connection that ends at once. */
static int unix_probe(const struct listener *listener)
{
    const struct sockaddr *address = (const void *)&listener->address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int result = 0;

    if (fd < 0)
        return -errno;
    if (connect(fd, address, listener->address_length) < 0)
        result = -errno;
    close(fd);
    /* Its backlog is full, or it is live and not a stream: unix(7). */
    if (result == -EAGAIN || result == -EPROTOTYPE)
        return 0;
    return result;
}

/* Makes way: returns 0 when nothing stands at the path, having removed a stale
 * socket, or -errno; -EEXIST if it is not a socket. */
static int unix_clear(const struct listener *listener)
{
    struct stat found;
    int result;

    /* Not stat: even a link to a socket is not for us to replace. */
    if (lstat(unix_path(listener), &found) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(found.st_mode))
        return -EEXIST;
    result = unix_probe(listener);
    if (result == 0)
        return -EADDRINUSE;
    if (result != -ECONNREFUSED)
        return result;
    return unlink(unix_path(listener)) < 0 ? -errno : 0;
}

/*
 * bind(2) gives the socket's file the mode of the descriptor, less what
 * umask(2) takes away (unix_bind in net/unix/af_unix.c), so nobody ever finds a
 * wider one; fchmodat(2) gives back what was taken before anybody can connect,
 * for we do not listen yet. umask(2) itself is the whole process's, where other
 * threads may be making files. AT_SYMLINK_NOFOLLOW: if somebody has put a link
 * in our place meanwhile, what it leads to is not for us to change.
 */
static int unix_bind(struct listener *listener)
{
    const struct sockaddr *address = (const void *)&listener->address;
    struct stat made;

    if (fchmod(listener->fd, UNIX_MODE) < 0)
        return -errno;
    if (bind(listener->fd, address, listener->address_length) < 0)
        return -errno;
    if (lstat(unix_path(listener), &made) < 0)
        return -errno;
    listener->made_socket = true;
    listener->made_device = made.st_dev;
    listener->made_inode = made.st_ino;
    if (fchmodat(AT_FDCWD, unix_path(listener), UNIX_MODE,
                 AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return 0;
}

static int unix_open(struct listener *listener)
{
    int folder = folder_lock(unix_path(listener));
    int result;

    if (folder < 0)
        return folder;
    result = unix_clear(listener);
    if (result == 0)
        result = unix_bind(listener);
    if (result == 0 && listen(listener->fd, SOMAXCONN) < 0)
        result = -errno;
    close(folder);
    return result;
}

/* Whether the path could be opened, as far as looking tells: 0 or -errno. */
static int unix_look(const struct listener *listener)
{
    char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)] = "";
    const char *path = unix_path(listener);
    struct stat found;

    memcpy(folder, path, (size_t)(strrchr(path, '/') + 1 - path));
    if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) < 0)
        return -errno;
    if (lstat(path, &found) < 0)
        return errno == ENOENT ? 0 : -errno;
    return S_ISSOCK(found.st_mode) ? 0 : -EEXIST;
}

/* While our socket is open nobody takes it for stale, so what we look at is
 * what we remove. */
static void unix_remove(struct listener *listener)
{
    struct stat found;

    if (lstat(unix_path(listener), &found) == 0 &&
        found.st_dev == listener->made_device &&
        found.st_ino == listener->made_inode)
        unlink(unix_path(listener));
    listener->made_socket = false;
}

/* ---- TCP ---------------------------------------------------------------- */

/* Puts the port that the kernel gave in place of the one in the URL. */
static void url_set_port(struct listener *listener)
{
    const struct sockaddr_in *v4 = (const void *)&listener->address;
    const struct sockaddr_in6 *v6 = (const void *)&listener->address;
    in_port_t port = v4->sin_family == AF_INET6 ? v6->sin6_port : v4->sin_port;
    char *text = strrchr(listener->url, ':') + 1;

    snprintf(text, (size_t)(listener->url + sizeof(listener->url) - text), "%u",
             (unsigned)ntohs(port));
}

/*
 * The socket is new and the length is right, so EINVAL is said of the address:
 * link-local without a zone, a group's, or IPv4-mapped, which IPV6_V6ONLY rules
 * out; and ENODEV of a zone that is not there, see ipv6(7), and __inet6_bind in
 * net/ipv6/af_inet6.c for the others. None of them is an address that this
 * machine could listen at.
 */
static int tcp_bind(const struct listener *listener)
{
    const struct sockaddr *address = (const void *)&listener->address;

    if (bind(listener->fd, address, listener->address_length) == 0)
        return 0;
    return errno == EINVAL || errno == ENODEV ? -EADDRNOTAVAIL : -errno;
}

/*
 * SO_REUSEADDR: connections of the server before us in TIME_WAIT do not keep
 * the port, see socket(7). IPV6_V6ONLY: [::] and 0.0.0.0 are two listeners,
 * whatever net.ipv6.bindv6only says, see ipv6(7). TCP_NOTSENT_LOWAT, which
 * connections inherit (ip-sysctl.rst, tcp_notsent_lowat): of what a peer is too
 * slow to take, most stays in the rooms, where all share it, and not in
 * megabytes of the kernel's for each; and a socket that can be written to again
 * says soon that its peer takes something, however slowly.
 */
static int tcp_open(struct listener *listener)
{
    struct sockaddr *address = (void *)&listener->address;
    const int on = 1, unsent = UNSENT_BYTES_MAX;
    int fd = listener->fd, result;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return -errno;
    if (address->sa_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
        return -errno;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent,
                   sizeof(unsent)) < 0)
        return -errno;
    result = tcp_bind(listener);
    if (result < 0)
        return result;
    if (listen(fd, SOMAXCONN) < 0)
        return -errno;
    if (getsockname(fd, address, &listener->address_length) < 0)
        return -errno;
    url_set_port(listener);
    return 0;
}

/* ---- Opening and closing ------------------------------------------------ */

static const char *explain(int error)
{
    switch (error) {
    case -EWOULDBLOCK:
        return "another program keeps the folder locked";
    case -EEXIST:
        return "what stands there is not a socket";
    default:
        return strerrordesc_np(-error);
    }
}

int listener_status(const struct listener *listener, int error)
{
    switch (-error) {
    case EWOULDBLOCK: /* the folder's lock */
    case EADDRINUSE:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT: /* a kernel without IPv6 has no such address either */
        return EX_UNAVAILABLE;
    case EEXIST:
    case ENOENT:
    case ENOTDIR:
    case EROFS:
        return EX_CANTCREAT;
    case EACCES:
    case EPERM: /* of a folder, and of a port below 1024 */
        return listener->address.ss_family == AF_UNIX ? EX_CANTCREAT
                                                      : EX_NOPERM;
    default:
        return EX_OSERR;
    }
}

int listener_check(const struct listener *listener, const char **why)
{
    bool is_unix = listener->address.ss_family == AF_UNIX;
    int error = is_unix ? unix_look(listener) : 0;

    if (error != 0)
        *why = explain(error);
    return error;
}

void listener_close(struct listener *listener)
{
    if (listener->made_socket)
        unix_remove(listener);
    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = -1;
}

/* Returns 0 or -errno, and then there is nothing to close. */
static int open_once(struct listener *listener)
{
    sa_family_t family = listener->address.ss_family;
    int result;

    listener->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener->fd < 0)
        result = -errno;
    else if (family == AF_UNIX)
        result = unix_open(listener);
    else
        result = tcp_open(listener);
    if (result < 0)
        listener_close(listener);
    return result;
}

int listener_open(struct listener *listener, const char **why)
{
    struct timespec pause = {.tv_nsec = IN_USE_PAUSE_NS};
    int error, tries = IN_USE_TRIES;

    while ((error = open_once(listener)) == -EADDRINUSE && --tries > 0) {
        nanosleep(&pause, NULL);
        pause.tv_nsec *= IN_USE_PAUSE_GROWTH;
    }
    if (error != 0)
        *why = explain(error);
    return error;
}

/* ---- Peers -------------------------------------------------------------- */

void peer_text(const struct sockaddr_storage *peer, char text[PEER_TEXT_BYTES])
{
    bool v6 = peer->ss_family == AF_INET6;
    socklen_t length =
        v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    char host[HOST_BYTES_MAX], port[PORT_DIGITS_MAX + 1];

    /* With these flags nothing is looked up, and a zone is kept. */
    if (peer->ss_family == AF_UNIX ||
        getnameinfo((const void *)peer, length, host, sizeof(host), port,
                    sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(text, PEER_TEXT_BYTES, "unix");
    else
        snprintf(text, PEER_TEXT_BYTES, v6 ? "[%s]:%s" : "%s:%s", host, port);
}

bool peer_key(const struct sockaddr_storage *peer, uint8_t key[ADDRESS_BYTES])
{
    const struct sockaddr_in *v4 = (const void *)peer;
    const struct sockaddr_in6 *v6 = (const void *)peer;

    memset(key, 0, 16);
    switch (peer->ss_family) {
    case AF_INET: /* ::ffff:a.b.c.d, RFC 4291 section 2.5.5.2 */
        memset(key + 10, 0xff, 2);
        memcpy(key + 12, &v4->sin_addr, 4);
        return true;
    case AF_INET6:
        memcpy(key, &v6->sin6_addr, 8);
        return true;
    default:
        return false;
    }
}

/*
 * Opening (open.h).
 */
#include "client/open.h"

#include "client/complain.h"
#include "common/base/key.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

/* A URL with a name in it, and with an address. */
#define URL_BYTES 512

/* Of what is sent and not confirmed, beyond one message as long as may be. */
#define QUEUE_BYTES (2 * MIB)

static int resolve(const struct options *options, char url[URL_BYTES])
{
    int error = ringchat_url_resolve(options->url, url, URL_BYTES);

    switch (error) {
    case 0:
        return 0;
    case -EHOSTUNREACH:
        complain("%s: there is no such host", options->url);
        return EX_NOHOST;
    case -EAGAIN:
        complain("%s: nobody knows now where that host is", options->url);
        return EX_NOHOST;
    case -ENOMEM:
        complain("%s: %s", options->url, strerrordesc_np(-error));
        return EX_OSERR;
    default:
        complain("%s: not a URL: text, frame or secure://HOST:PORT, or "
                 "+unix:///PATH",
                 options->url);
        return EX_USAGE;
    }
}

static int load_key(const struct options *options, struct key *key)
{
    const char *why = NULL;
    int status;

    if (!options->key_file) {
        if (strncmp(options->url, "secure", strlen("secure")) != 0)
            return 0;
        complain("%s: needs a --key-file", options->url);
        return EX_CONFIG;
    }
    status = key_load(key, options->key_file, &why);
    if (status != 0)
        complain("--key-file %s: %s", options->key_file, why);
    return status;
}

static int create(const struct options *options, const char *url,
                  const struct key *key,
                  const struct ringchat_client_callbacks *callbacks, void *user,
                  struct ringchat_client **client)
{
    bool once = options->no_reconnect || options->mode == MODE_SEND;
    struct ringchat_client_config config = {
        RINGCHAT_SIZED(config),
        .url = url,
        .key = key->length > 0 ? key->bytes : NULL,
        .key_bytes = key->length,
        .seal = options->seal,
        .nick = options->nick,
        .rooms = options->rooms,
        .room_count = options->room_count,
        .connect_timeout_ms = options->timeout_ms,
        .attempts_max = once ? 1 : 0,
        .queue_bytes_max = QUEUE_BYTES,
        .unconfirmed_max = options->mode == MODE_SEND ? options->window : 0,
    };
    const char *why = NULL;
    int error = ringchat_client_create(client, &config, callbacks, user, &why);

    if (error == 0)
        return 0;
    complain("%s: %s", options->url, why ? why : strerrordesc_np(-error));
    return error == -EINVAL ? EX_USAGE : EX_OSERR;
}

int client_open(const struct options *options,
                const struct ringchat_client_callbacks *callbacks, void *user,
                struct ringchat_client **client)
{
    char url[URL_BYTES];
    struct key key = {.length = 0};
    int status = load_key(options, &key);

    if (status == 0)
        status = resolve(options, url);
    if (status == 0)
        status = create(options, url, &key, callbacks, user, client);
    key_wipe(&key);
    return status;
}

static struct ringchat_text text_of(const char *string)
{
    return (struct ringchat_text){string, strlen(string)};
}

static bool is_in(const struct ringchat_client *client, const char *room)
{
    for (size_t i = 0;; i++) {
        struct ringchat_text joined = ringchat_client_room(client, i);

        if (joined.length == 0)
            return false;
        if (ringchat_name_equals(joined, text_of(room)))
            return true;
    }
}

int client_check(const struct options *options,
                 const struct ringchat_client *client)
{
    if (options->nick && !ringchat_name_equals(ringchat_client_nick(client),
                                               text_of(options->nick))) {
        complain("the nick %s is taken", options->nick);
        return EX_UNAVAILABLE;
    }
    for (unsigned i = 0; i < options->room_count; i++) {
        if (!is_in(client, options->rooms[i])) {
            complain("the server does not let us into %s", options->rooms[i]);
            return EX_UNAVAILABLE;
        }
    }
    return 0;
}

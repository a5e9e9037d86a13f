/*
 * A client's configuration: looked through, completed with the defaults, and
 * copied.
 */
#include "lib/internal.h"
#include "lib/sized.h"

#include <errno.h>
#include <stdlib.h>

/* What a codec takes. */
#define MESSAGE_BYTES_MAX (32 * MIB)

static uint64_t ns_or(uint32_t ms, uint32_t otherwise_ms)
{
    return (ms > 0 ? ms : otherwise_ms) * NS_PER_MS;
}

static uint32_t or (uint32_t number, uint32_t otherwise)
{
    return number > 0 ? number : otherwise;
}

/* The key is copied by who calls. */
static struct manner manner_of(const struct ringchat_client_config *config,
                               enum ringchat_dialect dialect)
{
    return (struct manner){
        .dialect = dialect,
        .seal = config->seal,
        .resend = config->resend,
        .connect_timeout_ns = ns_or(config->connect_timeout_ms, 10000),
        .heartbeat_ns = ns_or(config->heartbeat_ms, 5000),
        .close_timeout_ns = ns_or(config->close_timeout_ms, 5000),
        .backoff_first_ns = ns_or(config->backoff_first_ms, 500),
        .backoff_max_ns = ns_or(config->backoff_max_ms, 30000),
        .attempts_max = config->attempts_max,
        .unconfirmed_max = or (config->unconfirmed_max, 256),
        .message_bytes_max = or (config->message_bytes_max, MIB),
        .queue_bytes_max = or (config->queue_bytes_max, MIB),
    };
}

static const char *check_key(const struct ringchat_client_config *config,
                             enum ringchat_dialect dialect)
{
    if (dialect != RINGCHAT_SECURE)
        return config->key || config->key_bytes > 0 || config->seal
                   ? "a key is of use to the dialect secure alone"
                   : NULL;
    if (!config->key || config->key_bytes == 0)
        return "the dialect secure needs a key";
    if (config->key_bytes < KEY_BYTES_MIN)
        return "the key is shorter than 32 bytes";
    if (config->key_bytes > KEY_BYTES_MAX)
        return "the key is longer than 4096 bytes";
    return NULL;
}

struct ringchat_text room_plain(const char *room)
{
    return text_of(room && room[0] == '#' ? room + 1 : room);
}

static const char *take_rooms(const struct ringchat_client_config *config,
                              struct belonging *belonging)
{
    belonging->anywhere = config->room_count == 0;
    if (config->room_count > ROOMS_PER_SESSION_MAX)
        return "more than 16 rooms";
    if (config->room_count > 0 && !config->rooms)
        return "rooms are counted, but there are none";
    for (size_t i = 0; i < config->room_count; i++) {
        struct ringchat_text text = room_plain(config->rooms[i]);
        struct name room;

        if (!ringchat_room_is_valid(text) || !name_set(&room, text))
            return "a room's name is 1 to 32 of A-Z a-z 0-9 _ . -";
        belonging_join(belonging, &room);
    }
    belonging_lost(belonging);
    return NULL;
}

static const char *take_nick(const struct ringchat_client_config *config,
                             struct belonging *belonging)
{
    struct ringchat_text nick = text_of(config->nick);

    if (config->nick && (!ringchat_nick_is_valid(nick) ||
                         !name_set(&belonging->nick_wanted, nick)))
        return "a nick is a letter or _, then at most 23 of A-Z a-z 0-9 _ -, "
               "and no guest's";
    return NULL;
}

/* What is wrong, or NULL. */
static const char *config_check(const struct ringchat_client_config *config,
                                struct settings *settings)
{
    enum ringchat_dialect dialect;
    const char *wrong;

    if (!config->url)
        return "there is no URL";
    if (config->message_bytes_max > MESSAGE_BYTES_MAX)
        return "message_bytes_max is over 32 MiB";
    wrong = url_parse(config->url, &dialect, &settings->address);
    if (!wrong)
        wrong = check_key(config, dialect);
    if (!wrong)
        wrong = take_nick(config, &settings->belonging);
    if (!wrong)
        wrong = take_rooms(config, &settings->belonging);
    if (!wrong)
        settings->manner = manner_of(config, dialect);
    return wrong;
}

static int copy_key(const struct ringchat_client_config *config,
                    struct settings *settings)
{
    if (settings->manner.dialect != RINGCHAT_SECURE)
        return 0;
    settings->key = malloc(config->key_bytes);
    if (!settings->key)
        return -ENOMEM;
    memcpy(settings->key, config->key, config->key_bytes);
    settings->manner.key = settings->key;
    settings->manner.key_bytes = config->key_bytes;
    return 0;
}

int settings_take(struct settings *settings,
                  const struct ringchat_client_config *theirs, const char **why)
{
    struct ringchat_client_config config = {RINGCHAT_SIZED(config)};
    const char *wrong = "the configuration's size is not of this library";

    *settings = (struct settings){0};
    if (sized_take(&config, sizeof(config), theirs))
        wrong = config_check(&config, settings);
    if (wrong) {
        *why = wrong;
        return -EINVAL;
    }
    *why = "there is no memory";
    return copy_key(&config, settings);
}

void settings_release(struct settings *settings)
{
    if (settings->key)
        explicit_bzero(settings->key, settings->manner.key_bytes);
    free(settings->key);
    settings->key = NULL;
}

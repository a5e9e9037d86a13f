/*
 * From the options of a command line to the limits of a chat.
 */
#include "common/base/clock.h"
#include "common/base/options.h"
#include "common/chat/chat.h"

/* Rounded up, for a peer that waits as long may rely on it. */
static uint32_t whole_seconds(uint64_t ns)
{
    return (uint32_t)((ns + NS_PER_SECOND - 1) / NS_PER_SECOND);
}

static struct wire_config wire_config_from(const struct options *options)
{
    return (struct wire_config){
        .line_bytes_max = (uint32_t)options->max_line_bytes,
        .frame_bytes_max = (uint32_t)options->max_frame_bytes,
        .message_bytes_max = (uint32_t)options->max_message_bytes,
        .heartbeat_s = whole_seconds(options->heartbeat_ns),
        .encryption_required = options->require_encryption,
        .key = options->key.bytes,
        .key_length = options->key.length,
    };
}

struct chat_config chat_config_from(const struct options *options)
{
    return (struct chat_config){
        .sessions_max = options->max_connections,
        .sessions_per_address_max = options->max_per_address,
        .memory_bytes_max = options->max_memory_bytes,
        .room_window_bytes = options->room_window_bytes,
        .presence_members_max = options->presence_limit,
        .handshake_timeout_ns = options->handshake_timeout_ns,
        .frame_timeout_ns = options->frame_timeout_ns,
        .idle_timeout_ns = options->idle_timeout_ns,
        .heartbeat_ns = options->heartbeat_ns,
        .stall_timeout_ns = options->stall_timeout_ns,
        .drain_timeout_ns = options->drain_timeout_ns,
        .rate_per_second = options->rate_per_second,
        .wire = wire_config_from(options),
        .slow_consumer = options->slow_consumer_disconnect
                             ? SLOW_CONSUMER_DISCONNECT
                             : SLOW_CONSUMER_LAG,
    };
}

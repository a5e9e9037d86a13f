/*
 * From the options of a command line to the limits of a chat.
 */
#include "common/base/options.h"
#include "common/chat/chat.h"

struct chat_config chat_config_from(const struct options *options)
{
    return (struct chat_config){
        .sessions_max = options->max_connections,
        .sessions_per_address_max = options->max_per_address,
        .memory_bytes_max = options->max_memory_bytes,
        .room_window_bytes = options->room_window_bytes,
        .presence_members_max = options->presence_limit,
        .idle_timeout_ns = options->idle_timeout_ns,
        .drain_timeout_ns = options->drain_timeout_ns,
        .rate_per_second = options->rate_per_second,
        .limits = {.line_bytes_max = (uint32_t)options->max_line_bytes},
        .slow_consumer = SLOW_CONSUMER_LAG,
    };
}

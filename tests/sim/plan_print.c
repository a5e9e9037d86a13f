/*
 * Plans for people to read: a line a step, and one for what is so throughout.
 */
#include "tests/sim/plan.h"

#include <inttypes.h>
#include <stdio.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)

static const char *const act_names[ACTS] = {
    [ACT_CONNECT] = "connect",
    [ACT_SAY] = "say",
    [ACT_APPETITE] = "appetite",
    [ACT_MUTE] = "mute",
    [ACT_HALF_CLOSE] = "half-close",
    [ACT_DRIBBLE] = "dribble",
    [ACT_RESET] = "reset",
    [ACT_TURN] = "turn",
    [ACT_WAIT] = "wait",
    [ACT_OVERSLEEP] = "oversleep",
    [ACT_STARVE] = "starve",
    [ACT_SHUTDOWN] = "shutdown",
};

/* Bytes, of which UINT64_MAX are all there are. */
static const char *bytes_print(uint64_t bytes, char shown[32])
{
    if (bytes == UINT64_MAX)
        return "all";
    snprintf(shown, 32, "%" PRIu64, bytes);
    return shown;
}

static void say_print(const struct step *step, char *line, size_t space)
{
    static const char *const namings[] = {"own", "contested", "guest", "bad"};

    snprintf(line, space,
             "p%u says %s room=%u%s to=p%u nick=%s id=%" PRIu32
             " length=%" PRIu32 "%s%s",
             step->peer, say_name(step->say), step->room,
             step->named ? " (named)" : "", step->whom, namings[step->naming],
             step->id, step->length, step->typed ? " typed" : "",
             step->as_message ? " as-message" : "");
}

static void connect_print(const struct step *step, char *line, size_t space)
{
    static const char *const dialects[] = {"text", "frame", "secure"};

    snprintf(line, space, "p%u connects %s%s from address %u, takes %" PRIu64,
             step->peer, dialects[step->dialect], step->sealed ? " sealed" : "",
             step->address, step->value);
}

static void act_print(const struct step *step, char *line, size_t space)
{
    const char *name = act_names[step->act];
    char shown[32];

    switch (step->act) {
    case ACT_CONNECT:
        connect_print(step, line, space);
        break;
    case ACT_SAY:
        say_print(step, line, space);
        break;
    case ACT_APPETITE:
    case ACT_DRIBBLE:
        snprintf(line, space, "p%u %s %s", step->peer, name,
                 bytes_print(step->value, shown));
        break;
    case ACT_MUTE:
    case ACT_HALF_CLOSE:
    case ACT_RESET:
        snprintf(line, space, "p%u %s", step->peer, name);
        break;
    case ACT_WAIT:
    case ACT_OVERSLEEP:
        snprintf(line, space, "%s %" PRIu64 " us", name,
                 step->value / NS_PER_US);
        break;
    case ACT_STARVE:
        snprintf(line, space, "%s %" PRIu64, name, step->value);
        break;
    default:
        snprintf(line, space, "%s", name);
    }
}

void step_print(const struct step *step, char *line, size_t space)
{
    char act[160];

    act_print(step, act, sizeof(act));
    snprintf(line, space, "%4" PRIu32 " %s", step->number, act);
}

void setup_print(const struct setup *setup, char *line, size_t space)
{
    const struct chat_config *config = &setup->config;
    const struct wire_config *wire = &config->wire;

    snprintf(
        line, space,
        "workers=%u rooms=%u window=%" PRIu64 " presence=%" PRIu64
        " sessions=%" PRIu64 " per-address=%" PRIu64 " memory=%" PRIu64
        " rate=%.0f line=%" PRIu32 " frame=%" PRIu32 " message=%" PRIu32
        " ms: handshake=%" PRIu64 " frame=%" PRIu64 " idle=%" PRIu64
        " heartbeat=%" PRIu64 " stall=%" PRIu64 " drain=%" PRIu64
        "%s%s%s%s%s%s%s",
        setup->workers, setup->rooms, config->room_window_bytes,
        config->presence_members_max, config->sessions_max,
        config->sessions_per_address_max, config->memory_bytes_max,
        config->rate_per_second, wire->line_bytes_max, wire->frame_bytes_max,
        wire->message_bytes_max, config->handshake_timeout_ns / NS_PER_MS,
        config->frame_timeout_ns / NS_PER_MS,
        config->idle_timeout_ns / NS_PER_MS, config->heartbeat_ns / NS_PER_MS,
        config->stall_timeout_ns / NS_PER_MS,
        config->drain_timeout_ns / NS_PER_MS,
        config->slow_consumer == SLOW_CONSUMER_DISCONNECT ? " disconnect" : "",
        wire->encryption_required ? " encryption" : "",
        setup->late ? " late" : "", setup->ordered ? " ordered" : "",
        setup->exact ? " exact" : "", setup->away ? " away" : "",
        setup->starved ? " starved" : "");
}

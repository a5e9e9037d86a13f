/*
 * Words for gaps and durations.
 */
#include "client/gap.h"

#define SECONDS_PER_MINUTE 60
#define SECONDS_PER_HOUR 3600

static void build_part(struct builder *builder, uint64_t number,
                       const char *unit)
{
    build_number(builder, number);
    build_string(builder, unit);
}

void build_duration(struct builder *builder, uint64_t ms)
{
    uint64_t seconds = (ms + 500) / 1000;
    uint64_t minutes = seconds % SECONDS_PER_HOUR / SECONDS_PER_MINUTE;

    if (seconds < SECONDS_PER_MINUTE) {
        build_part(builder, seconds, " s");
    } else if (seconds < SECONDS_PER_HOUR) {
        build_part(builder, minutes, " min ");
        build_part(builder, seconds % SECONDS_PER_MINUTE, " s");
    } else {
        build_part(builder, seconds / SECONDS_PER_HOUR, " h ");
        build_part(builder, minutes, " min");
    }
}

static void build_missed(struct builder *builder, uint64_t missed)
{
    if (missed == 0)
        build_string(builder, "nothing was missed");
    else if (missed == GAP_UNCOUNTED)
        build_string(builder, "what was said meanwhile may have been missed");
    else if (missed == 1)
        build_string(builder, "1 message was missed");
    else
        build_part(builder, missed, " messages were missed");
}

void build_gap(struct builder *builder, uint64_t missed, uint64_t away_ms)
{
    if (away_ms > 0) {
        build_string(builder, RETURN_WORDS);
        build_duration(builder, away_ms);
        build_string(builder, "; ");
    }
    build_missed(builder, missed);
    if (away_ms == 0)
        build_string(builder, ": they came faster than they could be read");
}

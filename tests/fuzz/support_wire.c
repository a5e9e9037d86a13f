/*
 * One wire for all inputs: nothing that it keeps may matter to the next one.
 */
#include "tests/fuzz/support_wire.h"

#include "vectors.h"

#include <stdlib.h>
#include <string.h>

struct budget fuzz_budget;

static struct wire *make_wire(void)
{
    struct wire_config config = {
        .line_bytes_max = FUZZ_LINE_BYTES_MAX,
        .frame_bytes_max = FUZZ_FRAME_BYTES_MAX,
        .message_bytes_max = FUZZ_MESSAGE_BYTES_MAX,
        .heartbeat_s = VECTOR_HEARTBEAT_S,
        .key = vector_key,
        .key_length = sizeof(vector_key),
    };
    struct wire *wire;

    memcpy(config.boot, vector_boot, sizeof(config.boot));
    budget_init(&fuzz_budget, UINT64_MAX);
    wire = wire_create(&config, &fuzz_budget);
    if (!wire)
        abort();
    return wire;
}

struct wire *fuzz_wire(void)
{
    static struct wire *wire;

    if (!wire)
        wire = make_wire();
    return wire;
}

struct headers *fuzz_headers(void)
{
    static struct headers *headers;

    if (!headers)
        headers = headers_create();
    if (!headers)
        abort();
    return headers;
}

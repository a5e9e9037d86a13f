/*
 * What anybody can send to a `text` listener.
 */
#include "tests/fuzz/support_stream.h"
#include "tests/fuzz/support_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    stream_check(DIALECT_TEXT, data, size);
    return 0;
}

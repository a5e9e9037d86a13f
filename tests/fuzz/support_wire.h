/*
 * What all fuzz targets share: one wire with the key of the golden vectors, and
 * limits that are small enough for a fuzzer to run into.
 */
#ifndef RINGCHAT_FUZZ_SUPPORT_WIRE_H
#define RINGCHAT_FUZZ_SUPPORT_WIRE_H

#include "common/buffer/budget.h"
#include "common/wire/headers.h"
#include "common/wire/wire.h"

/* What libFuzzer calls with each input; 0: go on. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_LINE_BYTES_MAX 40
#define FUZZ_FRAME_BYTES_MAX 100
#define FUZZ_MESSAGE_BYTES_MAX 100

/* What the wire's decoders take their memory from. */
extern struct budget fuzz_budget;

/* Made by the first call, and there until the process ends. */
struct wire *fuzz_wire(void);

/* Likewise, for what a target reads itself. */
struct headers *fuzz_headers(void);

#endif

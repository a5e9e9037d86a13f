/*
 * Sums of what threads have counted.
 */
#include "tests/load/run.h"

#define FIELDS(f)                                                              \
    f(published) f(delivered) f(bytes_in) f(bytes_out) f(entered) f(visits)    \
        f(lost) f(twice) f(late) f(corrupted) f(lagged) f(lags) f(overstated)  \
            f(errors) f(refused) f(cut) f(untimed) f(overdue) f(held)

void counts_add(struct counts *into, const struct counts *from)
{
#define ADD(field) into->field += from->field;
    FIELDS(ADD)
#undef ADD
}

void counts_add_difference(struct counts *into, const struct counts *after,
                           const struct counts *before)
{
#define ADD(field) into->field += after->field - before->field;
    FIELDS(ADD)
#undef ADD
}

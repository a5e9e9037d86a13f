/*
 * Where in a room's order each message stands, as far as anybody has said.
 *
 * Who reads by frames is told each message's number. Who reads text is not, but
 * sees messages one after the other, and how many are missing between: that
 * relates one place to another. Both are kept in one structure, a weighted
 * union-find (Tarjan and van Leeuwen, JACM 1984): each message knows its
 * distance from another, and at the end of that chain stands one that may know
 * its number. Two that are told apart differently by two members break the
 * promise of one order, at once, whatever was lost between.
 */
#include "tests/sim/model_internal.h"

#include <inttypes.h>

/* All on the way there are led to the root at once from then on. */
static void lead_to(struct op *op, struct op *root, int64_t place)
{
    while (op != root) {
        struct fact *fact = fact_of(op);
        struct op *next = fact->parent;
        int64_t rest = place - fact->offset;

        fact->parent = root;
        fact->offset = place;
        place = rest;
        op = next;
    }
}

struct op *position_root(struct op *op, int64_t *place)
{
    struct op *root = op;

    *place = 0;
    while (fact_of(root)->parent) {
        *place += fact_of(root)->offset;
        root = fact_of(root)->parent;
    }
    lead_to(op, root, *place);
    return root;
}

void position_know(struct op *op, uint64_t seq)
{
    int64_t place;
    struct op *root = position_root(op, &place);
    struct fact *fact = fact_of(root);
    int64_t base = (int64_t)seq - place;

    if ((int64_t)seq <= 0)
        promise_broken("one order", "m%u has number %" PRId64, op->number,
                       (int64_t)seq);
    if (fact->anchored && fact->base != base)
        promise_broken("one order",
                       "m%u is message %" PRId64 " of its room for some, and "
                       "%" PRIu64 " for others",
                       op->number, fact->base + place, seq);
    fact->anchored = true;
    fact->base = base;
}

/* The root of `later`, which stands `distance` behind `earlier`'s, goes below
 * that. */
static void unite(struct op *earlier, struct op *later, int64_t distance)
{
    struct fact *fact = fact_of(later);

    fact->parent = earlier;
    fact->offset = distance;
    if (fact->anchored)
        position_know(earlier, (uint64_t)(fact->base - distance));
}

void position_relate(struct op *earlier, struct op *later, uint64_t places)
{
    int64_t earlier_place, later_place;
    struct op *earlier_root = position_root(earlier, &earlier_place);
    struct op *later_root = position_root(later, &later_place);
    int64_t distance = earlier_place + (int64_t)places - later_place;

    if (earlier_root != later_root) {
        unite(earlier_root, later_root, distance);
        return;
    }
    if (distance != 0)
        promise_broken("one order",
                       "m%u stands %" PRIu64 " behind m%u for one member, and "
                       "%" PRId64 " for others",
                       later->number, places, earlier->number,
                       later_place - earlier_place);
}

/* Known data in, known data out: every element of every check is compared.
 *
 * Element i of rank r is 1 + hash(i) % 64 + r % 1021. The values are small integers, so that
 * a float sum over up to 15,000 ranks is exact in any order of adding; the sum over all
 * ranks needs no loop over them; and a block from the wrong rank or place differs. */
#include "collbench.h"

#include <stdint.h>
#include <string.h>

static int64_t element_base(size_t index, unsigned rep)
{
    uint64_t x = (uint64_t)index * UINT64_C(0x9E3779B97F4A7C15) + rep;
    x ^= x >> 29;
    x *= UINT64_C(0xBF58476D1CE4E5B9);
    return (int64_t)(x >> 58);
}

static int64_t rank_base(int rank)
{
    return 1 + rank % 1021;
}

/* The sum over all ranks of element `index` is ranks * element_base + this. */
static int64_t all_rank_bases(int ranks)
{
    int64_t sum = 0;
    for (int rank = 0; rank < ranks; rank++)
        sum += rank_base(rank);
    return sum;
}

static void store(void *buffer, size_t at, enum element element, int64_t value)
{
    switch (element) {
    case ELEMENT_FLOAT: ((float *)buffer)[at] = (float)value; break;
    case ELEMENT_DOUBLE: ((double *)buffer)[at] = (double)value; break;
    case ELEMENT_INT32: ((int32_t *)buffer)[at] = (int32_t)value; break;
    }
}

static int equal(const void *buffer, size_t at, enum element element, int64_t value)
{
    switch (element) {
    case ELEMENT_FLOAT: return !(((const float *)buffer)[at] != (float)value);
    case ELEMENT_DOUBLE: return !(((const double *)buffer)[at] != (double)value);
    case ELEMENT_INT32: return ((const int32_t *)buffer)[at] == (int32_t)value;
    }
    return 0;
}

/* Where this rank's input stands. */
static void *input_of(const struct collective *c, const struct job *j, struct shape shape, int in_place)
{
    if (!in_place)
        return j->send;
    size_t start = c->split && shape.send == shape.param ? (size_t)j->rank * shape.param : 0;
    return (char *)j->recv + start * j->type->size;
}

void pattern_prepare(const struct collective *c, const struct job *j, struct shape shape, int in_place, unsigned rep)
{
    size_t largest = shape.send > shape.recv ? shape.send : shape.recv;
    memset(j->recv, 0xff, largest * j->type->size); /* NaN, or -1: nothing that a check accepts */
    if (c->rooted && !c->reduces && j->rank != j->root)
        return;
    void *input = input_of(c, j, shape, in_place);
    for (size_t i = 0; i < shape.send; i++)
        store(input, i, j->type->element, element_base(i, rep) + rank_base(j->rank));
}

void pattern_spoil(const struct collective *c, const struct job *j, struct shape shape, int in_place)
{
    if (shape.send)
        store(input_of(c, j, shape, in_place), 0, j->type->element, -7);
}

/* Count wrong elements among `count` that should be those of `source` from its element
 * `first` on; `source` -1 stands for the sum over all ranks. */
static long long wrong_in(const struct job *j, const void *data, size_t count, int source, size_t first, unsigned rep)
{
    int64_t scale = source < 0 ? j->ranks : 1;
    int64_t base = source < 0 ? all_rank_bases(j->ranks) : rank_base(source);
    long long wrong = 0;
    for (size_t i = 0; i < count; i++)
        wrong += !equal(data, i, j->type->element, scale * element_base(first + i, rep) + base);
    return wrong;
}

long long pattern_wrong(const struct collective *c, const struct job *j, struct shape shape, unsigned rep)
{
    if (c->rooted && c->reduces && j->rank != j->root)
        return 0;
    if (c->reduces)
        return wrong_in(j, j->recv, shape.recv, -1, c->split ? (size_t)j->rank * shape.param : 0, rep);
    if (c->rooted)
        return j->rank == j->root ? 0 : wrong_in(j, j->recv, shape.recv, j->root, 0, rep);
    if (!c->split)
        return wrong_in(j, j->recv, shape.recv, (j->rank + j->ranks - 1) % j->ranks, 0, rep);
    long long wrong = 0;
    for (int source = 0; source < j->ranks; source++) {
        size_t first = shape.send == shape.param ? 0 : (size_t)j->rank * shape.param;
        const char *block = (const char *)j->recv + (size_t)source * shape.param * j->type->size;
        wrong += wrong_in(j, block, shape.param, source, first, rep);
    }
    return wrong;
}

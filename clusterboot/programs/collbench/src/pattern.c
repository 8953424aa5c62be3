/* Known data in, known data out: every element of every check is compared.
 *
 * Element i of rank r is 1 + hash(i) % 64 + r % 1021. The values are small integers, so that
 * a float sum over up to 15,000 ranks is exact in any order of adding; the sum over all
 * ranks needs no loop over them; and a block from the wrong rank or place differs.
 * The types of 16 bits count no further than 256 without rounding: there r % 191 takes the
 * place of r % 1021, and of a sum at most 64 ranks a given element have a part, between 1
 * and 3, and the others 0. So no comparison needs a tolerance.
 */
#include "collbench.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_ELEMENTS 65536
#define LARGEST_ELEMENT 8
#define NARROW_PARTS 64

static unsigned char chunk[CHUNK_ELEMENTS * LARGEST_ELEMENT];

static uint64_t hash(size_t index, unsigned rep)
{
    uint64_t x = (uint64_t)index * UINT64_C(0x9E3779B97F4A7C15) + rep;
    x ^= x >> 29;
    return x * UINT64_C(0xBF58476D1CE4E5B9);
}

static int is_narrow(const struct job *j)
{
    return j->type->size < 4;
}

/* What ranks differ in, and its sum over all of them. */
static int64_t rank_base(const struct job *j, int rank)
{
    return 1 + rank % (is_narrow(j) ? 191 : 1021);
}

static int64_t all_rank_bases(const struct job *j)
{
    int64_t sum = 0;
    for (int rank = 0; rank < j->ranks; rank++)
        sum += rank_base(j, rank);
    return sum;
}

/* Every stride-th rank has a part in a narrow sum; which they are, the hash tells. */
static unsigned narrow_stride(const struct job *j)
{
    return (unsigned)((j->ranks + NARROW_PARTS - 1) / NARROW_PARTS);
}

static int64_t narrow_part(uint64_t h, int rank, unsigned stride)
{
    unsigned phase = (unsigned)(h >> 40) % stride;
    return ((unsigned)rank + phase) % stride == 0 ? (int64_t)(1 + ((h >> 58) + (unsigned)rank) % 3) : 0;
}

/* All sums that occur: by phase, then by the hash's remainder of 3. */
static const int64_t *narrow_sums(const struct job *j, unsigned stride)
{
    static int64_t *sums;
    static int ranks;
    if (sums && ranks == j->ranks)
        return sums;
    free(sums);
    sums = calloc((size_t)stride * 3, sizeof *sums);
    if (!sums)
        MPI_Abort(MPI_COMM_WORLD, EXIT_MEMORY);
    ranks = j->ranks;
    for (unsigned phase = 0; phase < stride; phase++)
        for (unsigned third = 0; third < 3; third++)
            for (int rank = 0; rank < j->ranks; rank++)
                if (((unsigned)rank + phase) % stride == 0)
                    sums[phase * 3 + third] += 1 + (third + (unsigned)rank) % 3;
    return sums;
}

/* A whole number as a type of 16 bits; exact up to 2048 in half and 256 in bfloat16. */
static uint16_t narrow(enum element element, int64_t value)
{
    float exact = (float)value;
    uint32_t bits;
    memcpy(&bits, &exact, sizeof bits);
    if (element == ELEMENT_BFLOAT16)
        return (uint16_t)(bits >> 16);
    uint32_t sign = bits >> 16 & 0x8000;
    uint32_t exponent = bits >> 23 & 0xff;
    uint32_t mantissa = bits >> 13 & 0x3ff;
    return (uint16_t)(value == 0 ? 0 : sign | (exponent - 127 + 15) << 10 | mantissa);
}

static void store(void *buffer, size_t at, enum element element, int64_t value)
{
    switch (element) {
    case ELEMENT_FLOAT: ((float *)buffer)[at] = (float)value; break;
    case ELEMENT_DOUBLE: ((double *)buffer)[at] = (double)value; break;
    case ELEMENT_INT32: ((int32_t *)buffer)[at] = (int32_t)value; break;
    case ELEMENT_HALF:
    case ELEMENT_BFLOAT16: ((uint16_t *)buffer)[at] = narrow(element, value); break;
    }
}

static int equal(const void *buffer, size_t at, enum element element, int64_t value)
{
    switch (element) {
    case ELEMENT_FLOAT: return !(((const float *)buffer)[at] != (float)value);
    case ELEMENT_DOUBLE: return !(((const double *)buffer)[at] != (double)value);
    case ELEMENT_INT32: return ((const int32_t *)buffer)[at] == (int32_t)value;
    case ELEMENT_HALF:
    case ELEMENT_BFLOAT16: return ((const uint16_t *)buffer)[at] == narrow(element, value);
    }
    return 0;
}

/* Where this rank's input stands. */
static char *input_of(const struct collective *c, const struct job *j, struct shape shape, int in_place)
{
    if (!in_place)
        return j->send;
    size_t start = c->kind == ALL_GATHER ? (size_t)j->rank * shape.param : 0;
    return (char *)j->recv + start * j->type->size;
}

static char *output_of(const struct collective *c, const struct job *j, struct shape shape, int in_place)
{
    int by_rank = in_place && c->kind == REDUCE_SCATTER && j->backend->on_gpu;
    return (char *)j->recv + (by_rank ? (size_t)j->rank * shape.param * j->type->size : 0);
}

static int64_t input_value(const struct collective *c, const struct job *j, size_t index, unsigned rep)
{
    uint64_t h = hash(index, rep);
    if (c->reduces && is_narrow(j))
        return narrow_part(h, j->rank, narrow_stride(j));
    return (int64_t)(h >> 58) + rank_base(j, j->rank);
}

void pattern_prepare(const struct collective *c, const struct job *j, struct shape shape, int in_place, unsigned rep)
{
    size_t largest = shape.send > shape.recv ? shape.send : shape.recv;
    size_t size = j->type->size;
    j->backend->fill(j->recv, 0xff, largest * size); /* NaN, or -1: nothing that a check accepts */
    if (c->rooted && !c->reduces && j->rank != j->root)
        return;
    char *input = input_of(c, j, shape, in_place);
    for (size_t at = 0; at < shape.send; at += CHUNK_ELEMENTS) {
        size_t n = shape.send - at < CHUNK_ELEMENTS ? shape.send - at : CHUNK_ELEMENTS;
        for (size_t i = 0; i < n; i++)
            store(chunk, i, j->type->element, input_value(c, j, at + i, rep));
        j->backend->put(input + at * size, chunk, n * size);
    }
}

void pattern_spoil(const struct collective *c, const struct job *j, struct shape shape, int in_place)
{
    if (shape.send == 0)
        return;
    store(chunk, 0, j->type->element, -7);
    j->backend->put(input_of(c, j, shape, in_place), chunk, j->type->size);
}

/* Count wrong elements among `count` that should be those of `source` from its element
 * `first` on; `source` -1 stands for the sum over all ranks. */
static long long wrong_in(const struct job *j, const char *data, size_t count, int source, size_t first, unsigned rep)
{
    int64_t scale = source < 0 ? j->ranks : 1;
    int64_t base = source < 0 ? all_rank_bases(j) : rank_base(j, source);
    unsigned stride = narrow_stride(j);
    const int64_t *sums = source < 0 && is_narrow(j) ? narrow_sums(j, stride) : NULL;
    long long wrong = 0;
    for (size_t at = 0; at < count; at += CHUNK_ELEMENTS) {
        size_t n = count - at < CHUNK_ELEMENTS ? count - at : CHUNK_ELEMENTS;
        j->backend->get(chunk, data + at * j->type->size, n * j->type->size);
        for (size_t i = 0; i < n; i++) {
            uint64_t h = hash(first + at + i, rep);
            int64_t value = sums ? sums[(unsigned)(h >> 40) % stride * 3 + (h >> 58) % 3]
                                 : scale * (int64_t)(h >> 58) + base;
            wrong += !equal(chunk, i, j->type->element, value);
        }
    }
    return wrong;
}

long long pattern_wrong(const struct collective *c, const struct job *j, struct shape shape, int in_place,
                        unsigned rep)
{
    const char *output = output_of(c, j, shape, in_place);
    if (c->rooted && c->reduces && j->rank != j->root)
        return 0;
    if (c->reduces)
        return wrong_in(j, output, shape.recv, -1, c->split ? (size_t)j->rank * shape.param : 0, rep);
    if (c->rooted)
        return j->rank == j->root ? 0 : wrong_in(j, output, shape.recv, j->root, 0, rep);
    if (!c->split)
        return wrong_in(j, output, shape.recv, (j->rank + j->ranks - 1) % j->ranks, 0, rep);
    long long wrong = 0;
    for (int source = 0; source < j->ranks; source++) {
        size_t first = c->kind == ALL_GATHER ? 0 : (size_t)j->rank * shape.param;
        const char *block = output + (size_t)source * shape.param * j->type->size;
        wrong += wrong_in(j, block, shape.param, source, first, rep);
    }
    return wrong;
}

/* The collectives and the types: what a size means, and the bus bandwidth factors. */
#include "collbench.h"

#include <string.h>

static double factor_one(int ranks)
{
    (void)ranks;
    return 1.0;
}

static double factor_others(int ranks)
{
    return (double)(ranks - 1) / (double)ranks;
}

static double factor_twice_others(int ranks)
{
    return 2.0 * (double)(ranks - 1) / (double)ranks;
}

static const struct collective collectives[MAX_COLLECTIVES] = {
    /* name, kind, split, reduces, rooted, checked_in_place, bus_factor */
    {"all_reduce", ALL_REDUCE, 0, 1, 0, 1, factor_twice_others},
    {"all_gather", ALL_GATHER, 1, 0, 0, 1, factor_others},
    {"reduce_scatter", REDUCE_SCATTER, 1, 1, 0, 1, factor_others},
    {"broadcast", BROADCAST, 0, 0, 1, 1, factor_one},
    {"reduce", REDUCE, 0, 1, 1, 1, factor_one},
    {"alltoall", ALLTOALL, 1, 0, 0, 0, factor_others},
    {"sendrecv", SENDRECV, 0, 0, 0, 0, factor_one},
};

const struct collective *collective_find(const char *name, size_t length)
{
    for (size_t i = 0; i < MAX_COLLECTIVES; i++)
        if (strlen(collectives[i].name) == length && strncmp(collectives[i].name, name, length) == 0)
            return &collectives[i];
    return NULL;
}

/* A table with MPI's handles cannot be static data: they are addresses known only at run time
 * in some implementations. */
const struct dtype *dtype_find(const char *name)
{
    static struct dtype types[5];
    types[0] = (struct dtype){"float", ELEMENT_FLOAT, sizeof(float), MPI_FLOAT, NCCL_FLOAT32};
    types[1] = (struct dtype){"double", ELEMENT_DOUBLE, sizeof(double), MPI_DOUBLE, NCCL_FLOAT64};
    types[2] = (struct dtype){"int32", ELEMENT_INT32, 4, MPI_INT32_T, NCCL_INT32};
    types[3] = (struct dtype){"half", ELEMENT_HALF, 2, MPI_DATATYPE_NULL, NCCL_FLOAT16};
    types[4] = (struct dtype){"bfloat16", ELEMENT_BFLOAT16, 2, MPI_DATATYPE_NULL, NCCL_BFLOAT16};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

/* Where a size is divided, each rank's share is rounded down to 16 bytes, as in nccl-tests:
 * small sizes become 0. */
struct shape collective_shape(const struct collective *c, size_t size_bytes, const struct dtype *type, int ranks)
{
    size_t n = (size_t)ranks;
    size_t count = size_bytes / type->size;
    struct shape shape = {count, count, count};
    if (c->split) {
        size_t share = count / n & ~(16 / type->size - 1);
        shape.param = share;
        shape.send = c->kind == ALL_GATHER ? share : share * n;
        shape.recv = c->kind == REDUCE_SCATTER ? share : share * n;
    }
    return shape;
}

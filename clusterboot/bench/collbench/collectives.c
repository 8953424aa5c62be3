/* The collectives: what a size means, how each is called, and its bus bandwidth factor. */
#include "collbench.h"

#include <string.h>


static void run_all_reduce(const struct job *j, int count, int in_place)
{
    MPI_Allreduce(in_place ? MPI_IN_PLACE : j->send, j->recv, count, j->type->mpi, MPI_SUM, MPI_COMM_WORLD);
}

static void run_all_gather(const struct job *j, int count, int in_place)
{
    MPI_Allgather(in_place ? MPI_IN_PLACE : j->send, count, j->type->mpi, j->recv, count, j->type->mpi,
                  MPI_COMM_WORLD);
}

static void run_reduce_scatter(const struct job *j, int count, int in_place)
{
    MPI_Reduce_scatter_block(in_place ? MPI_IN_PLACE : j->send, j->recv, count, j->type->mpi, MPI_SUM,
                             MPI_COMM_WORLD);
}

/* MPI's broadcast has one buffer: out of place, the root's is the one that nobody writes to. */
static void run_broadcast(const struct job *j, int count, int in_place)
{
    MPI_Bcast(in_place || j->rank != j->root ? j->recv : j->send, count, j->type->mpi, j->root, MPI_COMM_WORLD);
}

static void run_reduce(const struct job *j, int count, int in_place)
{
    const void *input = in_place ? (j->rank == j->root ? MPI_IN_PLACE : j->recv) : j->send;
    MPI_Reduce(input, j->rank == j->root ? j->recv : NULL, count, j->type->mpi, MPI_SUM, j->root, MPI_COMM_WORLD);
}

static void run_alltoall(const struct job *j, int count, int in_place)
{
    MPI_Alltoall(in_place ? MPI_IN_PLACE : j->send, count, j->type->mpi, j->recv, count, j->type->mpi,
                 MPI_COMM_WORLD);
}

static void run_sendrecv(const struct job *j, int count, int in_place)
{
    int next = (j->rank + 1) % j->ranks;
    int previous = (j->rank + j->ranks - 1) % j->ranks;
    if (in_place)
        MPI_Sendrecv_replace(j->recv, count, j->type->mpi, next, 0, previous, 0, MPI_COMM_WORLD,
                             MPI_STATUS_IGNORE);
    else
        MPI_Sendrecv(j->send, count, j->type->mpi, next, 0, j->recv, count, j->type->mpi, previous, 0,
                     MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

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
    /* name, split, reduces, rooted, checked_in_place, run, bus_factor */
    {"all_reduce", 0, 1, 0, 1, run_all_reduce, factor_twice_others},
    {"all_gather", 1, 0, 0, 1, run_all_gather, factor_others},
    {"reduce_scatter", 1, 1, 0, 1, run_reduce_scatter, factor_others},
    {"broadcast", 0, 0, 1, 1, run_broadcast, factor_one},
    {"reduce", 0, 1, 1, 1, run_reduce, factor_one},
    {"alltoall", 1, 0, 0, 0, run_alltoall, factor_others},
    {"sendrecv", 0, 0, 0, 0, run_sendrecv, factor_one},
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
    static struct dtype types[3];
    types[0] = (struct dtype){"float", ELEMENT_FLOAT, sizeof(float), MPI_FLOAT};
    types[1] = (struct dtype){"double", ELEMENT_DOUBLE, sizeof(double), MPI_DOUBLE};
    types[2] = (struct dtype){"int32", ELEMENT_INT32, 4, MPI_INT32_T};
    for (size_t i = 0; i < 3; i++)
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
        shape.send = c->run == run_all_gather ? share : share * n;
        shape.recv = c->run == run_reduce_scatter ? share : share * n;
    }
    return shape;
}

/* MPI's collectives over host memory. */
#define _POSIX_C_SOURCE 200809L
#include "collbench.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Buffers a rank may need at its largest size: two of ours, and as much again inside MPI. */
#define BUFFERS_PER_RANK 4
#define SHARE_OF_FREE_MEMORY 0.8

static size_t affordable(int local_ranks)
{
    char line[128];
    size_t kib = 0;
    FILE *file = fopen("/proc/meminfo", "r");
    while (file && fgets(line, sizeof line, file) && sscanf(line, "MemAvailable: %zu kB", &kib) != 1)
        kib = 0;
    if (file)
        fclose(file);
    if (!kib)
        return (size_t)-1 / 2;
    return (size_t)((double)kib * 1024 * SHARE_OF_FREE_MEMORY / (BUFFERS_PER_RANK * local_ranks));
}

/* Every page is touched before anything is timed. */
static void *allocate(size_t bytes)
{
    size_t page = 4096;
    size_t rounded = (bytes / page + 1) * page;
    void *memory = aligned_alloc(page, rounded);
    if (memory)
        memset(memory, 0, rounded);
    return memory;
}

static void copy(void *to, const void *from, size_t bytes)
{
    memcpy(to, from, bytes);
}

static void fill(void *to, int byte, size_t bytes)
{
    memset(to, byte, bytes);
}

static void sendrecv(const struct job *j, int count, int in_place)
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

static void run(const struct collective *c, const struct job *j, int count, int in_place)
{
    const void *input = in_place ? MPI_IN_PLACE : j->send;
    MPI_Datatype type = j->type->mpi;
    int is_root = j->rank == j->root;
    switch (c->kind) {
    case ALL_REDUCE: MPI_Allreduce(input, j->recv, count, type, MPI_SUM, MPI_COMM_WORLD); break;
    case ALL_GATHER: MPI_Allgather(input, count, type, j->recv, count, type, MPI_COMM_WORLD); break;
    case REDUCE_SCATTER: MPI_Reduce_scatter_block(input, j->recv, count, type, MPI_SUM, MPI_COMM_WORLD); break;
    case ALLTOALL: MPI_Alltoall(input, count, type, j->recv, count, type, MPI_COMM_WORLD); break;
    case SENDRECV: sendrecv(j, count, in_place); break;
    case BROADCAST: /* one buffer: out of place, the root's is the one that nobody writes to */
        MPI_Bcast(in_place || !is_root ? j->recv : j->send, count, type, j->root, MPI_COMM_WORLD);
        break;
    case REDUCE:
        if (in_place && !is_root)
            input = j->recv;
        MPI_Reduce(input, is_root ? j->recv : NULL, count, type, MPI_SUM, j->root, MPI_COMM_WORLD);
        break;
    }
}

static double repeat(const struct collective *c, const struct job *job, size_t count, int in_place, int times)
{
    MPI_Barrier(MPI_COMM_WORLD);
    double start_s = MPI_Wtime();
    for (int i = 0; i < times; i++)
        run(c, job, (int)count, in_place);
    MPI_Barrier(MPI_COMM_WORLD);
    return MPI_Wtime() - start_s;
}

const struct backend backend_mpi = {0, INT_MAX, affordable, allocate, free, copy, copy, fill, repeat};

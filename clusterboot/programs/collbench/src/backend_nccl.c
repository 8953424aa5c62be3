/* NCCL's collectives over GPU memory, on one communicator of all ranks, timed by events.
 *
 * In place and out of place, and alltoall and sendrecv as groups of sends and receives: as
 * nccl-tests' src/<collective>.cu runs them.
 */
#define _POSIX_C_SOURCE 200809L
#include "collbench.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* NCCL takes memory for each connection when it is first used. */
#define BUFFERS_PER_RANK 2
#define SHARE_OF_FREE_MEMORY 0.8

static nccl_comm comm;
static void *met; /* one element, with which the ranks meet on their streams */

/* Every rank of a node asks, and none has allocated yet: each has its part of its GPU. */
static size_t affordable(int local_ranks)
{
    int on_one = (local_ranks + gpu.devices - 1) / gpu.devices;
    return (size_t)((double)gpu_free_bytes() * SHARE_OF_FREE_MEMORY / (BUFFERS_PER_RANK * on_one));
}

static void *allocate(size_t bytes)
{
    void *memory = gpu_allocate(bytes > 0 ? bytes : 1);
    if (memory)
        gpu_fill(memory, 0, bytes);
    return memory;
}

static void send_to(const struct job *j, const char *from, size_t count, int peer)
{
    nccl_must(gpu.nccl.ncclSend(from, count, j->type->nccl, peer, comm, gpu.stream), comm, "ncclSend");
}

static void receive_from(const struct job *j, char *to, size_t count, int peer)
{
    nccl_must(gpu.nccl.ncclRecv(to, count, j->type->nccl, peer, comm, gpu.stream), comm, "ncclRecv");
}

static void run_group(const struct collective *c, const struct job *j, const char *send, char *recv, size_t count)
{
    size_t bytes = count * j->type->size;
    nccl_must(gpu.nccl.ncclGroupStart(), comm, "ncclGroupStart");
    if (c->kind == SENDRECV) {
        send_to(j, send, count, (j->rank + 1) % j->ranks);
        receive_from(j, recv, count, (j->rank + j->ranks - 1) % j->ranks);
    }
    for (int peer = 0; c->kind == ALLTOALL && peer < j->ranks; peer++) {
        send_to(j, send + (size_t)peer * bytes, count, peer);
        receive_from(j, recv + (size_t)peer * bytes, count, peer);
    }
    nccl_must(gpu.nccl.ncclGroupEnd(), comm, "ncclGroupEnd");
}

static void run(const struct collective *c, const struct job *j, size_t count, int in_place)
{
    char *recv = j->recv;
    char *send = in_place ? recv : j->send;
    size_t own = (size_t)j->rank * count * j->type->size;
    int type = j->type->nccl;
    switch (c->kind) {
    case ALL_REDUCE:
        nccl_must(gpu.nccl.ncclAllReduce(send, recv, count, type, NCCL_SUM, comm, gpu.stream), comm,
                  "ncclAllReduce");
        break;
    case ALL_GATHER:
        nccl_must(gpu.nccl.ncclAllGather(in_place ? recv + own : send, recv, count, type, comm, gpu.stream), comm,
                  "ncclAllGather");
        break;
    case REDUCE_SCATTER:
        nccl_must(gpu.nccl.ncclReduceScatter(send, in_place ? recv + own : recv, count, type, NCCL_SUM, comm,
                                             gpu.stream),
                  comm, "ncclReduceScatter");
        break;
    case BROADCAST:
        nccl_must(gpu.nccl.ncclBroadcast(send, recv, count, type, j->root, comm, gpu.stream), comm,
                  "ncclBroadcast");
        break;
    case REDUCE:
        nccl_must(gpu.nccl.ncclReduce(send, recv, count, type, NCCL_SUM, j->root, comm, gpu.stream), comm,
                  "ncclReduce");
        break;
    case ALLTOALL:
    case SENDRECV:
        if (count > 0)
            run_group(c, j, send, recv, count);
        break;
    }
}

/* The stream goes on where the streams of all ranks have come this far. */
static void meet(void)
{
    nccl_must(gpu.nccl.ncclAllReduce(met, met, 1, NCCL_FLOAT32, NCCL_SUM, comm, gpu.stream), comm, "ncclAllReduce");
}

/* What a rank that is not there makes others wait for ends with the launch's own time limit. */
static double repeat(const struct collective *c, const struct job *job, size_t count, int in_place, int times)
{
    char error[256];
    MPI_Barrier(MPI_COMM_WORLD);
    cuda_must(gpu.cuda.cudaEventRecord(gpu.start, gpu.stream), "cudaEventRecord");
    for (int i = 0; i < times; i++)
        run(c, job, count, in_place);
    meet();
    cuda_must(gpu.cuda.cudaEventRecord(gpu.stop, gpu.stream), "cudaEventRecord");
    if (!gpu_await(gpu.stop, comm, -1, error, sizeof error))
        gpu_give_up("NCCL", error, c->name, "");
    return gpu_elapsed_s(gpu.start, gpu.stop);
}

void backend_nccl_start(const struct job *job)
{
    nccl_id id = {{0}};
    if (job->rank == 0)
        nccl_must(gpu.nccl.ncclGetUniqueId(&id), NULL, "ncclGetUniqueId");
    MPI_Bcast(&id, (int)sizeof id, MPI_BYTE, 0, MPI_COMM_WORLD);
    nccl_must(gpu.nccl.ncclCommInitRank(&comm, job->ranks, id, job->rank), NULL, "ncclCommInitRank");
    met = allocate(sizeof(float));
    if (!met)
        gpu_give_up("CUDA", "out of memory", "cudaMalloc", "");
}

void backend_nccl_end(void)
{
    gpu_free(met);
    nccl_must(gpu.nccl.ncclCommDestroy(comm), NULL, "ncclCommDestroy");
    comm = NULL;
}

const struct backend backend_nccl = {1,       SIZE_MAX, affordable, allocate, gpu_free,
                                     gpu_put, gpu_get,  gpu_fill,   repeat};

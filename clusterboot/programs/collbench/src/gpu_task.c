/* One NCCL task on a thread of its own, which can be left behind. A communicator of two ranks is
 * made for each pair, because one of many ranks would be lost with the first pair that is dead. */
#define _POSIX_C_SOURCE 200809L
#include "gpu_task.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NAP_NS 20000

int gpu_tasks_lost;

/* The thread's own copy: who gave the task may be gone by the time that the thread comes back. */
struct run {
    struct gpu_task task;
    atomic_int over;
};

static int noted(struct gpu_task *t, int result)
{
    if (result == NCCL_SUCCESS)
        return 1;
    if (t->well)
        snprintf(t->error, sizeof t->error, "%s", gpu.nccl.ncclGetErrorString(result));
    t->well = 0;
    return 0;
}

static void put(struct gpu_task *t, size_t bytes)
{
    noted(t, gpu.nccl.ncclSend(t->send, bytes, NCCL_INT8, 1 - t->rank, t->comm, gpu.stream));
}

static void take(struct gpu_task *t, size_t bytes)
{
    noted(t, gpu.nccl.ncclRecv(t->recv, bytes, NCCL_INT8, 1 - t->rank, t->comm, gpu.stream));
}

static void both(struct gpu_task *t, size_t bytes)
{
    noted(t, gpu.nccl.ncclGroupStart());
    put(t, bytes);
    take(t, bytes);
    noted(t, gpu.nccl.ncclGroupEnd());
}

static void ping(struct gpu_task *t)
{
    if (t->rank == 0)
        put(t, t->bytes);
    take(t, t->bytes);
    if (t->rank != 0)
        put(t, t->bytes);
}

static void note_time(struct gpu_task *t, cuda_event event)
{
    noted(t, gpu.cuda.cudaEventRecord(event, gpu.stream) == CUDA_SUCCESS ? NCCL_SUCCESS : 1);
}

/* Events of both ends enclose the whole transfer: a receiver's before the byte that lets the sender
 * begin and after the last byte, a sender's after that byte and after another that says that all
 * arrived. What waits in a buffer on the way, or for an end that is late, cannot be outside both. */
static void one_way(struct gpu_task *t, int receives)
{
    if (receives) {
        note_time(t, gpu.start);
        put(t, 1);
    } else {
        take(t, 1);
        note_time(t, gpu.start);
    }
    for (int i = 0; i < t->times && t->well; i++)
        receives ? take(t, t->bytes) : put(t, t->bytes);
    if (receives) {
        note_time(t, gpu.stop);
        put(t, 1);
    } else {
        take(t, 1);
        note_time(t, gpu.stop);
    }
}

static void both_ways(struct gpu_task *t)
{
    note_time(t, gpu.start);
    both(t, 1);
    for (int i = 0; i < t->times && t->well; i++)
        both(t, t->bytes);
    note_time(t, gpu.stop);
}

static void pings(struct gpu_task *t)
{
    note_time(t, gpu.start);
    for (int i = 0; i < t->times && t->well; i++)
        ping(t);
    note_time(t, gpu.stop);
}

/* Both ends exchange a byte first, so that neither is late by more than a byte takes. */
static void step(struct gpu_task *t)
{
    both(t, 1);
    if (t->op == STEP_PING)
        pings(t);
    else if (t->op == STEP_BOTH)
        both_ways(t);
    else
        one_way(t, (t->op == STEP_OUT) == (t->rank != 0));
    if (t->well)
        t->well = gpu_await(gpu.stop, t->comm, t->limit_s, t->error, sizeof t->error);
    if (t->well)
        t->elapsed_s = gpu_elapsed_s(gpu.start, gpu.stop);
}

static void *carry_out(void *argument)
{
    struct run *run = argument;
    struct gpu_task *t = &run->task;
    t->well = 1;
    gpu_use();
    switch (t->kind) {
    case TASK_JOIN: noted(t, gpu.nccl.ncclCommInitRank(&t->comm, 2, t->id, t->rank)); break;
    case TASK_STEP: step(t); break;
    case TASK_LEAVE: noted(t, gpu.nccl.ncclCommDestroy(t->comm)); break;
    case TASK_BREAK_OFF: noted(t, gpu.nccl.ncclCommAbort(t->comm)); break;
    }
    atomic_store(&run->over, 1);
    return NULL;
}

int gpu_task_run(struct gpu_task *task, double limit_s)
{
    const struct timespec nap = {0, NAP_NS};
    struct run *run = malloc(sizeof *run);
    pthread_t thread;
    task->well = 0;
    if (!run)
        return 0;
    run->task = *task;
    atomic_init(&run->over, 0);
    if (pthread_create(&thread, NULL, carry_out, run) != 0) {
        free(run);
        return 0;
    }
    double end_s = clock_s() + limit_s;
    while (!atomic_load(&run->over) && clock_s() < end_s)
        nanosleep(&nap, NULL);
    if (!atomic_load(&run->over)) {
        pthread_detach(thread);
        gpu_tasks_lost++;
        snprintf(task->error, sizeof task->error, "no answer in %.3g s", limit_s);
        return 0;
    }
    pthread_join(thread, NULL);
    *task = run->task;
    free(run);
    return 1;
}

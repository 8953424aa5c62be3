/* What the parts of the stand-in for libnccl.so.2 have in common. */
#ifndef FAKE_NCCL_H
#define FAKE_NCCL_H

#include "fake_gpu.h"

/* ncclResult_t, as far as it is used here. */
enum { NCCL_OK = 0, SYSTEM_ERROR = 2, INVALID_ARGUMENT = 4, INVALID_USAGE = 5, REMOTE_ERROR = 6 };
enum operation { ALL_REDUCE, ALL_GATHER, REDUCE_SCATTER, BROADCAST, REDUCE, GROUP, SINGLE };

#define COMM_MAGIC 0xc0337u

struct comm {
    unsigned magic;
    int rank;
    int ranks;
    int device;
    int *sockets;
    volatile int stop;
    volatile int error;
    volatile int under_way;
    void *stream;
    double sent_until_s; /* with FAKE_NCCL_BUFFER: when the line is free */
    double received_until_s;
};

struct call {
    struct comm *comm;
    void *stream;
    int sends;
    int peer;
    int type;
    char *data;
    size_t bytes;
};

struct task {
    struct comm *comm;
    enum operation operation;
    int type;
    int root;
    size_t count; /* of one block */
    char *send;
    char *recv;
    int n_calls;
    struct call *calls;
};

/* fake_comm.c: note what went wrong, and fail the group that is open. */
int fake_fail(int result, const char *words);
void fake_sleep_s(double seconds);
double fake_now_s(void);
extern __thread int fake_group_depth;
extern __thread int fake_group_error;

/* fake_carry.c: carry out a task on its stream; ends it. */
void fake_run(void *task);
int fake_find_call(const struct call *calls, int n, int peer, int sends);

#endif

/* Calls into NCCL that may never come back, made on a thread of their own. */
#ifndef GPU_TASK_H
#define GPU_TASK_H

#include "gpu.h"
#include "pairs_wire.h"

enum task_kind { TASK_JOIN, TASK_STEP, TASK_LEAVE, TASK_BREAK_OFF };

/* One thing to be done on a communicator of two, and what came of it. */
struct gpu_task {
    enum task_kind kind;
    nccl_comm comm; /* in, and out of TASK_JOIN */
    nccl_id id;
    int rank; /* 0 leads, 1 follows */
    enum step_op op;
    int times;
    size_t bytes;
    char *send;
    char *recv;
    double limit_s; /* for what is on the stream */
    int well;
    double elapsed_s;
    char error[128];
};

/* Carry it out within `limit_s` seconds. Returns 0 where it did not come back: then its thread
 * stays where it is, and `gpu_tasks_lost` counts it. */
int gpu_task_run(struct gpu_task *task, double limit_s);

extern int gpu_tasks_lost;

#endif

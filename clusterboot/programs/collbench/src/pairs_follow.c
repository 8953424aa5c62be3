/* All ranks but 0: they do as they are told, and hand on words between rank 0 and others. */
#define _POSIX_C_SOURCE 200809L
#include "pairs_measure.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A rank that waits for its turn leaves the core to those that measure. */
#define NAP_NS 200000
#define FOREVER_S 1e9

int await_message(int source, int tag, double limit_s, MPI_Status *status)
{
    const struct timespec nap = {0, NAP_NS};
    double deadline = MPI_Wtime() + limit_s;
    int there = 0;
    for (;;) {
        MPI_Iprobe(source, tag, MPI_COMM_WORLD, &there, status);
        if (there || MPI_Wtime() > deadline)
            return there;
        nanosleep(&nap, NULL);
    }
}

/* With NCCL a partner may have to be given up while a communicator is made, and while it is left. */
double pair_limit_s(const struct pairs_options *o)
{
    return o->most_s + (o->nccl ? 16 : 8) * o->stuck_s;
}

struct span span_of(const struct pairs_options *o)
{
    return (struct span){o->budget_s * RATE_SHARE, o->most_s * RATE_SHARE, o->least_s * RATE_SHARE};
}

void measure_pair(const struct pairs_options *o, struct meet who, enum extent extent, struct link_rates *found)
{
    if (o->nccl)
        measure_pair_nccl(o, who, extent, found);
    else
        measure_pair_mpi(o, who, extent, found);
}

struct info info_of(const struct pairs_options *o, const struct probe *probe)
{
    return (struct info){member_self(probe->local, o->nccl && probe->usable), probe->own, probe->ranks[probe->own],
                         probe->usable};
}

static void send_info(const struct pairs_options *o, const struct probe *probe, int to)
{
    size_t bytes = sizeof(struct info) + (size_t)probe->nodes;
    char *message = calloc(bytes, 1);
    if (!message)
        MPI_Abort(MPI_COMM_WORLD, EXIT_MEMORY);
    struct info own = info_of(o, probe);
    memcpy(message, &own, sizeof own);
    memcpy(message + sizeof own, probe->alive, (size_t)probe->nodes);
    MPI_Send(message, (int)bytes, MPI_BYTE, to, TAG_INFO, MPI_COMM_WORLD);
    free(message);
}

/* Hand rank `from`'s next answer on; where none comes, rank 0 finds that out by its own limit. */
static void hand_back(int from, int tag, int to, double limit_s)
{
    MPI_Status status;
    int bytes;
    if (!await_message(from, tag, limit_s, &status))
        return;
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    char *message = malloc((size_t)bytes);
    if (!message)
        MPI_Abort(MPI_COMM_WORLD, EXIT_MEMORY);
    MPI_Recv(message, bytes, MPI_BYTE, from, tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    MPI_Send(message, bytes, MPI_BYTE, to, tag, MPI_COMM_WORLD);
    free(message);
}

static void take_turn(const struct pairs_options *o, const struct probe *probe, const struct control *told, int to)
{
    static struct report report;
    report.round = told->round;
    report.node = probe->own;
    struct meet who = {probe->ranks[told->partner], told->leads, told->round};
    measure_pair(o, who, (enum extent)told->extent, &report.rates);
    MPI_Send(&report, (int)sizeof report, MPI_BYTE, to, TAG_REPORT, MPI_COMM_WORLD);
}

void follow(const struct pairs_options *o, const struct probe *probe)
{
    /* Whom nobody can reach is told nothing, and must not wait for it until the job's end. */
    double limit_s = 6 * o->stuck_s + 60;
    for (;;) {
        struct control told;
        MPI_Status status;
        if (!await_message(MPI_ANY_SOURCE, TAG_CONTROL, limit_s, &status))
            return;
        int from = status.MPI_SOURCE;
        limit_s = FOREVER_S;
        MPI_Recv(&told, (int)sizeof told, MPI_BYTE, from, TAG_CONTROL, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        switch ((enum control_op)told.op) {
        case CONTROL_HELLO:
            send_info(o, probe, from);
            if (!probe->usable)
                return; /* rank 0 now knows that nothing is to be had here */
            break;
        case CONTROL_ROUND: take_turn(o, probe, &told, from); break;
        case CONTROL_FORWARD:
            told.op = told.inner_op;
            MPI_Send(&told, (int)sizeof told, MPI_BYTE, probe->ranks[told.dest], TAG_CONTROL, MPI_COMM_WORLD);
            break;
        case CONTROL_FETCH:
            hand_back(probe->ranks[told.dest], told.round < 0 ? TAG_INFO : TAG_REPORT, from,
                      pair_limit_s(o));
            break;
        case CONTROL_END: return;
        }
    }
}

/* One pair over NCCL: the leader asks for one step after another over MPI, both queue it on
 * their GPUs, and the longer of both GPUs' own times counts. Nothing waits forever. */
#define _POSIX_C_SOURCE 200809L
#include "gpu_task.h"
#include "pairs_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PING_BYTES 8
#define PINGS 20
#define MOST_TIMES 64
#define REPEAT_SHARE 0.05 /* a repeat of many messages takes this much of the time for a rate */
/* In time without an answer: NCCL finds its way between two GPUs, and takes its leave. */
#define JOIN_PATIENCE 4
#define LEAVE_PATIENCE 2

/* What the leader says. `token` tells a pair's words from those of one that was given up. */
struct order {
    int op;
    int token;
    int times;
    size_t bytes;
    double limit_s;
    nccl_id id;
};

struct answer {
    int token;
    int well;
    double elapsed_s;
};

struct meeting {
    struct pair pair;
    nccl_comm comm;
    int rank;
    int token;
};

static char *send_buffer;
static char *recv_buffer;

int measure_allocate_nccl(size_t max_bytes)
{
    size_t bytes = max_bytes > FIRST_BYTES ? max_bytes : FIRST_BYTES;
    send_buffer = gpu_allocate(bytes);
    recv_buffer = gpu_allocate(bytes);
    if (!send_buffer || !recv_buffer)
        return 0;
    gpu_fill(send_buffer, 1, bytes);
    gpu_fill(recv_buffer, 0, bytes);
    return 1;
}

static int say(struct meeting *m, const void *words, size_t bytes, int tag)
{
    MPI_Request request = sent(&m->pair, words, bytes, tag);
    return await_all(&m->pair, m->pair.stuck_s, 1, &request, NULL);
}

/* Words that were said before this pair met are passed over. */
static int hear_order(struct meeting *m, struct order *told, double limit_s)
{
    static struct order heard; /* a dead pair may still write to it */
    do {
        MPI_Request request = awaited(&m->pair, &heard, sizeof heard, TAG_STEP);
        if (!await_all(&m->pair, limit_s, 1, &request, NULL))
            return 0;
    } while (heard.op != STEP_MEET && heard.token != m->token);
    *told = heard;
    return 1;
}

static int hear_answer(struct meeting *m, struct answer *given, double limit_s)
{
    static struct answer heard;
    do {
        MPI_Request request = awaited(&m->pair, &heard, sizeof heard, TAG_ACK);
        if (!await_all(&m->pair, limit_s, 1, &request, NULL))
            return 0;
    } while (heard.token != m->token);
    *given = heard;
    return 1;
}

static void tell_why(const struct meeting *m, const struct gpu_task *task, const char *what)
{
    fprintf(stderr, "collbench: rank %d with rank %d: %s: %s\n", gpu.rank, m->pair.partner, what,
            task->error[0] ? task->error : "no answer");
}

static int join(struct meeting *m, nccl_id id)
{
    struct gpu_task task = {.kind = TASK_JOIN, .id = id, .rank = m->rank};
    if (!gpu_task_run(&task, JOIN_PATIENCE * m->pair.stuck_s) || !task.well) {
        tell_why(m, &task, "no NCCL communicator");
        return 0;
    }
    m->comm = task.comm;
    return 1;
}

/* A communicator on which something did not end is broken off, and the stream goes with it. */
static void leave(struct meeting *m, int well)
{
    struct gpu_task task = {.kind = well ? TASK_LEAVE : TASK_BREAK_OFF, .comm = m->comm};
    if (m->comm)
        gpu_task_run(&task, LEAVE_PATIENCE * m->pair.stuck_s);
    if (m->comm && !well)
        gpu_renew();
    m->comm = NULL;
}

static const char *const names[] = {"pings", "transfers out", "transfers in", "transfers both ways"};

static int carry_out(struct meeting *m, const struct order *o, double *elapsed_s)
{
    struct gpu_task task = {.kind = TASK_STEP, .comm = m->comm, .rank = m->rank, .op = (enum step_op)o->op,
                            .times = o->times, .bytes = o->bytes, .limit_s = o->limit_s};
    task.send = send_buffer;
    task.recv = recv_buffer;
    int back = gpu_task_run(&task, o->limit_s + m->pair.stuck_s);
    *elapsed_s = task.elapsed_s;
    if (!back || !task.well) {
        char what[96];
        snprintf(what, sizeof what, "%s of %d x %zu bytes did not end well", names[o->op], o->times, o->bytes);
        tell_why(m, &task, what);
    }
    return back && task.well;
}

/* Give the seconds that one of `times` took: this GPU's, and the partner's in `back_s`. */
static double lead_step(struct meeting *m, enum step_op op, size_t bytes, int times, double expected_s, double *back_s)
{
    static struct order order; /* a dead pair may still read it */
    struct answer answer = {0, 0, 0};
    double elapsed_s = 0;
    if (m->pair.dead)
        return 0;
    order = (struct order){.op = (int)op, .token = m->token, .times = times, .bytes = bytes};
    order.limit_s = m->pair.stuck_s + 4 * times * expected_s;
    int well = say(m, &order, sizeof order, TAG_STEP) && carry_out(m, &order, &elapsed_s);
    well = hear_answer(m, &answer, order.limit_s + 2 * m->pair.stuck_s) && answer.well && well;
    m->pair.dead = !well;
    *back_s = answer.elapsed_s / times;
    return elapsed_s / times;
}

static double longer(double one, double other)
{
    return one > other ? one : other;
}

static double measure_latency_s(struct meeting *m, double share_s)
{
    double times[MOST_REPEATS];
    double back_s;
    int n = 0;
    lead_step(m, STEP_PING, PING_BYTES, 1, 0, &back_s); /* makes the connection */
    double end_s = MPI_Wtime() + share_s;
    while (!m->pair.dead && n < MOST_REPEATS && (n < LEAST_REPEATS || MPI_Wtime() < end_s)) {
        double took_s = lead_step(m, STEP_PING, PING_BYTES, PINGS, 0, &back_s);
        times[n++] = longer(took_s, back_s) / 2;
    }
    return m->pair.dead ? 0 : times_usual(times, n);
}

/* Let the message grow until it takes long enough, then repeat several of them at once. Gives
 * the size; the rates are 0 for a dead pair. */
static size_t measure_rate(struct meeting *m, enum step_op op, const struct pairs_options *o, double *gbps)
{
    double times[MOST_REPEATS];
    double share_s = o->budget_s * RATE_SHARE;
    double end_s = MPI_Wtime() + share_s;
    size_t bytes = o->max_bytes < FIRST_BYTES ? o->max_bytes : FIRST_BYTES;
    double back_s = 0;
    double took_s = lead_step(m, op, bytes, 1, 0, &back_s);
    while (!m->pair.dead && bytes < o->max_bytes && longer(took_s, back_s) < share_s * GROWN_SHARE) {
        bytes = bytes * 2 > o->max_bytes ? o->max_bytes : bytes * 2;
        took_s = lead_step(m, op, bytes, 1, longer(took_s, back_s), &back_s);
    }
    double each_s = longer(took_s, back_s);
    int at_once = each_s > 0 && share_s * REPEAT_SHARE / each_s < MOST_TIMES ? (int)(share_s * REPEAT_SHARE / each_s)
                                                                             : MOST_TIMES;
    int n = 0;
    while (!m->pair.dead && n < MOST_REPEATS && !times_settled(times, n) &&
           (n < LEAST_REPEATS || MPI_Wtime() < end_s)) {
        took_s = lead_step(m, op, bytes, at_once > 0 ? at_once : 1, each_s, &back_s);
        /* The end that is done last tells when all had arrived. Of both directions at once NCCL
         * makes one kernel, so that they end together. */
        times[n++] = longer(took_s, back_s);
    }
    *gbps = m->pair.dead ? 0 : (double)bytes / 1e9 / times_usual(times, n);
    return bytes;
}

static int lead_meeting(struct meeting *m)
{
    static int tokens;
    static struct order order;
    struct answer answer;
    m->token = ++tokens;
    order = (struct order){.op = STEP_MEET, .token = m->token};
    if (gpu.nccl.ncclGetUniqueId(&order.id) != NCCL_SUCCESS || !say(m, &order, sizeof order, TAG_STEP))
        return 0;
    int joined = join(m, order.id);
    return hear_answer(m, &answer, (JOIN_PATIENCE + 1) * m->pair.stuck_s) && answer.well && joined;
}

static void follow_steps(struct meeting *m)
{
    static struct answer answer;
    struct order order;
    double patience_s = (JOIN_PATIENCE + 2) * m->pair.stuck_s;
    int well = 1;
    while (well && hear_order(m, &order, patience_s) && order.op != STEP_STOP) {
        double elapsed_s = 0;
        if (order.op == STEP_MEET)
            m->token = order.token;
        well = order.op == STEP_MEET ? join(m, order.id) : carry_out(m, &order, &elapsed_s);
        answer = (struct answer){m->token, well, elapsed_s};
        well = say(m, &answer, sizeof answer, TAG_ACK) && well;
    }
    m->pair.dead = m->pair.dead || !well;
    leave(m, !m->pair.dead);
}

struct link_rates measure_pair_nccl(const struct pairs_options *o, int partner, int leads, enum extent extent)
{
    struct meeting m = {.pair = {partner, o->stuck_s, 0}, .rank = leads ? 0 : 1};
    struct link_rates found = {.both_only = extent == EXTENT_BOTH};
    if (!leads) {
        follow_steps(&m);
        found.dead = m.pair.dead;
        return found;
    }
    m.pair.dead = !lead_meeting(&m);
    double latency_s = measure_latency_s(&m, found.both_only ? 0 : o->budget_s * LATENCY_SHARE);
    if (!found.both_only) {
        measure_rate(&m, STEP_OUT, o, &found.out_gbps);
        measure_rate(&m, STEP_IN, o, &found.in_gbps);
    }
    found.bytes = (double)measure_rate(&m, STEP_BOTH, o, &found.both_out_gbps);
    found.both_in_gbps = found.both_out_gbps;
    found.latency_us = latency_s * 1e6;
    int dead = m.pair.dead;
    m.pair.dead = 0; /* the partner waits for this word even so */
    static struct order stop;
    stop = (struct order){.op = STEP_STOP, .token = m.token};
    say(&m, &stop, sizeof stop, TAG_STEP);
    leave(&m, !dead);
    return dead ? (struct link_rates){.dead = 1} : found;
}

/* One pair over NCCL: the leader asks for one step after another over MPI, both queue it on their
 * GPUs, and events on their streams time it (gpu_task.c). Nothing waits forever. */
#define _POSIX_C_SOURCE 200809L
#include "gpu_task.h"
#include "pairs_measure.h"
#include "pairs_samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PING_BYTES 8
#define PINGS 20
#define MOST_PINGS 100
#define LEAST_PINGS 5
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
    struct tcp_count sent; /* in this step by who answers */
};

struct meeting {
    struct pair pair;
    nccl_comm comm;
    int rank;
    int token;
    enum step_op op;
    size_t max_bytes;
    double each_s; /* a byte, as far as it is known: for how long a step may take */
    struct tcp_count out; /* what the present way has sent */
    struct tcp_count in;
};

static char *send_buffer;
static char *recv_buffer;

int measure_allocate_nccl(size_t max_bytes)
{
    size_t bytes = max_bytes > PING_BYTES ? max_bytes : PING_BYTES;
    send_buffer = gpu_allocate(bytes);
    recv_buffer = gpu_allocate(bytes);
    if (!send_buffer || !recv_buffer)
        return 0;
    gpu_fill(send_buffer, 1, bytes);
    gpu_fill(recv_buffer, 0, bytes);
    return 1;
}

static int say(struct meeting *m, const void *words, size_t bytes, enum pair_tag tag)
{
    MPI_Request request = sent(&m->pair, words, bytes, tag);
    return await_all(&m->pair, m->pair.stuck_s, 1, &request);
}

/* Words that were said before this pair met are passed over. */
static int hear_order(struct meeting *m, struct order *told, double limit_s)
{
    static struct order heard; /* a dead pair may still write to it */
    do {
        MPI_Request request = awaited(&m->pair, &heard, sizeof heard, TAG_ORDER);
        if (!await_all(&m->pair, limit_s, 1, &request))
            return 0;
    } while (heard.op != STEP_MEET && heard.token != m->token);
    *told = heard;
    return 1;
}

static int hear_answer(struct meeting *m, struct answer *given, double limit_s)
{
    static struct answer heard;
    do {
        MPI_Request request = awaited(&m->pair, &heard, sizeof heard, TAG_WORD);
        if (!await_all(&m->pair, limit_s, 1, &request))
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

/* Carry out a step as its leader. Gives this GPU's seconds and the partner's. */
static int lead_step(struct meeting *m, enum step_op op, size_t bytes, int times, double expected_s, double *own_s,
                     double *others_s)
{
    static struct order order; /* a dead pair may still read it */
    struct answer answer = {0};
    if (m->pair.dead)
        return 0;
    order = (struct order){.op = (int)op, .token = m->token, .times = times, .bytes = bytes};
    order.limit_s = m->pair.stuck_s + 4 * expected_s;
    struct tcp_count before = tcp_count_now();
    int well = say(m, &order, sizeof order, TAG_ORDER) && carry_out(m, &order, own_s);
    if (op != STEP_IN)
        tcp_count_add(&m->out, tcp_count_since(before));
    well = hear_answer(m, &answer, order.limit_s + 2 * m->pair.stuck_s) && answer.well && well;
    m->pair.dead = !well;
    if (op != STEP_OUT)
        tcp_count_add(&m->in, answer.sent);
    *others_s = answer.elapsed_s;
    return well;
}

static double longer(double one, double other)
{
    return one > other ? one : other;
}

static double measure_latency_s(struct meeting *m, double share_s)
{
    double times_s[MOST_PINGS];
    double own_s;
    double others_s;
    int n = 0;
    lead_step(m, STEP_PING, PING_BYTES, 1, 0, &own_s, &others_s); /* makes the connection */
    double end_s = clock_s() + share_s;
    while (!m->pair.dead && n < MOST_PINGS && (n < LEAST_PINGS || clock_s() < end_s))
        if (lead_step(m, STEP_PING, PING_BYTES, PINGS, 0, &own_s, &others_s))
            times_s[n++] = longer(own_s, others_s) / PINGS / 2;
    return m->pair.dead ? 0 : median(times_s, n);
}

/* In one direction each end's events enclose all of it, so that the shorter time counts. With both
 * at once a GPU's own events enclose what it receives. */
static int carry(void *state, size_t bytes, int streams, double limit_s, double *out_s, double *in_s, double *carried)
{
    struct meeting *m = state;
    size_t message = bytes < m->max_bytes ? bytes : m->max_bytes;
    int times = (int)((bytes + message - 1) / message);
    double start_s = clock_s();
    int n = 0;
    *carried = (double)message * times;
    while (n < streams && (n == 0 || clock_s() - start_s < limit_s)) {
        double own_s = 0;
        double others_s = 0;
        if (!lead_step(m, m->op, message, times, m->each_s * *carried, &own_s, &others_s))
            return 0;
        m->each_s = longer(own_s, others_s) / *carried;
        double shorter_s = own_s < others_s ? own_s : others_s;
        out_s[n] = m->op == STEP_BOTH ? others_s : shorter_s;
        in_s[n++] = m->op == STEP_BOTH ? own_s : shorter_s;
    }
    return n;
}

static int sample(struct meeting *m, enum step_op op, const struct pairs_options *o, struct way *out, struct way *in)
{
    struct streams s = {m, carry, op != STEP_IN, op != STEP_OUT};
    m->op = op;
    m->out = m->in = (struct tcp_count){0, 0};
    struct span span = span_of(o);
    int well = !m->pair.dead && sample_ways(&s, &span, out, in);
    out->sent = m->out;
    in->sent = m->in;
    return well;
}

static int lead_meeting(struct meeting *m)
{
    static int tokens;
    static struct order order;
    struct answer answer;
    m->token = ++tokens;
    order = (struct order){.op = STEP_MEET, .token = m->token};
    if (gpu.nccl.ncclGetUniqueId(&order.id) != NCCL_SUCCESS || !say(m, &order, sizeof order, TAG_ORDER))
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
        struct tcp_count before = tcp_count_now();
        well = order.op == STEP_MEET ? join(m, order.id) : carry_out(m, &order, &elapsed_s);
        answer = (struct answer){m->token, well, elapsed_s, tcp_count_since(before)};
        well = say(m, &answer, sizeof answer, TAG_WORD) && well;
    }
    m->pair.dead = m->pair.dead || !well;
    leave(m, !m->pair.dead);
}

void measure_pair_nccl(const struct pairs_options *o, struct meet who, enum extent extent, struct link_rates *found)
{
    static struct way unused;
    struct meeting m = {.pair = pair_of(o, who), .rank = !who.leads, .max_bytes = o->max_bytes};
    *found = (struct link_rates){.both_only = extent == EXTENT_BOTH};
    if (!who.leads) {
        follow_steps(&m);
        found->dead = m.pair.dead;
        return;
    }
    m.pair.dead = !lead_meeting(&m);
    found->latency_us = 1e6 * measure_latency_s(&m, found->both_only ? 0 : o->budget_s * LATENCY_SHARE);
    if (!found->both_only) {
        sample(&m, STEP_OUT, o, &found->out, &unused);
        sample(&m, STEP_IN, o, &unused, &found->in);
    }
    sample(&m, STEP_BOTH, o, &found->both_out, &found->both_in);
    found->dead = m.pair.dead;
    m.pair.dead = 0; /* the partner waits for this word even so */
    static struct order stop;
    stop = (struct order){.op = STEP_STOP, .token = m.token};
    say(&m, &stop, sizeof stop, TAG_ORDER);
    leave(&m, !found->dead);
}

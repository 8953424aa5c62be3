/* One pair over MPI: the leader orders streams, both ends time them; nothing waits forever. */
#define _POSIX_C_SOURCE 200809L
#include "pairs_measure.h"
#include "pairs_stream.h"

#include <stdlib.h>

/* Sent without asking by every MPI over TCP: the eager limit of Open MPI is 64 KiB. */
#define SMALL_BYTES ((size_t)32 << 10)
/* Where a small message takes less than 64 us, what is done for each of them can show. */
#define FAST_GB_S 0.5
#define TRIALS 3
#define TRIAL_S 0.004
#define WORTH_IT 1.05
#define MOST_PINGS 200
#define LEAST_PINGS 5

struct link {
    struct pair pair;
    enum step_op op;
    size_t message_bytes;
    size_t max_bytes;
    struct tcp_count out; /* what the present way has sent */
    struct tcp_count in;
};

int measure_allocate_mpi(size_t max_bytes)
{
    return streams_allocate(max_bytes);
}

static int order(struct pair *p, const struct stream_order *o)
{
    static struct stream_order told; /* a dead pair may still read it */
    told = *o;
    MPI_Request request = sent(p, &told, sizeof told, TAG_ORDER);
    return await_all(p, p->stuck_s, 1, &request);
}

static double shorter(double one_s, double other_s)
{
    return one_s < other_s ? one_s : other_s;
}

/* Each stream was timed by both of its ends; who sent those that came in says so afterwards. */
static int carry(void *state, size_t bytes, int streams, double limit_s, double *out_s, double *in_s, double *carried)
{
    static struct stream_times own;
    static struct stream_times others;
    struct link *l = state;
    size_t messages = (bytes + l->message_bytes - 1) / l->message_bytes;
    struct stream_order o = {(int)l->op, streams, (int)messages, (int)l->message_bytes, limit_s};
    *carried = (double)messages * (double)l->message_bytes;
    if (!order(&l->pair, &o) || !streams_run(&l->pair, &o, 1, &own))
        return 0;
    if (l->op != STEP_OUT) {
        MPI_Request request = awaited(&l->pair, &others, sizeof others, TAG_TIMES);
        if (!await_all(&l->pair, l->pair.stuck_s, 1, &request))
            return 0;
    }
    if (l->op != STEP_IN)
        tcp_count_add(&l->out, own.sent);
    if (l->op != STEP_OUT)
        tcp_count_add(&l->in, others.sent);
    for (int i = 0; i < own.n; i++) {
        if (l->op != STEP_IN)
            out_s[i] = shorter(own.sent_s[i], own.told_s[i]);
        if (l->op != STEP_OUT)
            in_s[i] = shorter(own.received_s[i], others.sent_s[i]);
    }
    return own.n;
}

static struct streams streams_of(struct link *l, enum step_op op)
{
    l->op = op;
    return (struct streams){l, carry, op != STEP_IN, op != STEP_OUT};
}

/* The follower is the more patient: who gives up first decides for both. */
static void follow_orders(struct pair *p)
{
    static struct stream_order o;
    static struct stream_times times;
    static char nothing;
    for (;;) {
        MPI_Request request = awaited(p, &o, sizeof o, TAG_ORDER);
        if (!await_all(p, 2 * p->stuck_s, 1, &request) || o.op == STEP_STOP)
            return;
        if (o.op == STEP_PING)
            request = sent(p, &nothing, 1, TAG_WORD);
        else if (!streams_run(p, &o, 0, &times))
            return;
        else if (o.op != STEP_OUT)
            request = sent(p, &times, sizeof times, TAG_TIMES);
        if (!await_all(p, p->stuck_s, 1, &request))
            return;
    }
}

static double ping_s(struct pair *p)
{
    static char nothing;
    double start_s = clock_s();
    MPI_Request request = awaited(p, &nothing, 1, TAG_WORD);
    if (!order(p, &(struct stream_order){.op = STEP_PING})) {
        let_go(&request);
        return 0;
    }
    await_all(p, p->stuck_s, 1, &request);
    return (clock_s() - start_s) / 2;
}

static double measure_latency_s(struct pair *p, double share_s)
{
    double times_s[MOST_PINGS];
    int n = 0;
    for (int i = 0; i < 3 && !p->dead; i++)
        ping_s(p); /* the first makes the connection */
    double end_s = clock_s() + share_s;
    while (!p->dead && n < MOST_PINGS && (n < LEAST_PINGS || clock_s() < end_s))
        times_s[n++] = ping_s(p);
    return p->dead ? 0 : median(times_s, n);
}

/* The best of a few short streams in the link's present messages, in seconds. */
static double trial_s(const struct streams *s, size_t bytes)
{
    double out_s[TRIALS] = {0};
    double in_s[TRIALS] = {0};
    double carried;
    double best_s = 0;
    int n = s->carry(s->state, bytes, TRIALS, 1e9, out_s, in_s, &carried);
    for (int i = 0; i < n; i++) {
        double took_s = (out_s[i] > in_s[i] ? out_s[i] : in_s[i]) / carried;
        if (i == 0 || took_s < best_s)
            best_s = took_s;
    }
    return best_s * (double)bytes;
}

/* Larger messages where they give more. Below FAST_GB_S they cannot, and there a message that asks
 * first would only wait for a way back that may be sick. Whatever gives a little more is taken, so
 * that two like links whose trials fall on either side differ by as little. */
static void choose_messages(struct link *l, enum step_op op)
{
    struct streams s = streams_of(l, op);
    size_t bytes = warm_up(&s, TRIAL_S);
    if ((double)bytes / 1e9 < FAST_GB_S * TRIAL_S || l->max_bytes <= SMALL_BYTES)
        return;
    size_t several = l->max_bytes * LEAST_SAMPLES;
    bytes = bytes > several ? bytes : several;
    double small_s = trial_s(&s, bytes);
    l->message_bytes = l->max_bytes;
    double large_s = trial_s(&s, bytes);
    if (WORTH_IT * large_s >= small_s)
        l->message_bytes = SMALL_BYTES;
}

static int sample(struct link *l, enum step_op op, const struct pairs_options *o, struct way *out, struct way *in)
{
    struct streams s = streams_of(l, op);
    l->out = l->in = (struct tcp_count){0, 0};
    struct span span = span_of(o);
    int well = !l->pair.dead && sample_ways(&s, &span, out, in);
    out->sent = l->out;
    in->sent = l->in;
    return well;
}

void measure_pair_mpi(const struct pairs_options *o, struct meet who, enum extent extent, struct link_rates *found)
{
    static struct way unused;
    struct link l = {.pair = pair_of(o, who), .max_bytes = o->max_bytes};
    l.message_bytes = o->max_bytes < SMALL_BYTES ? o->max_bytes : SMALL_BYTES;
    *found = (struct link_rates){.both_only = extent == EXTENT_BOTH};
    if (!who.leads) {
        follow_orders(&l.pair);
        found->dead = l.pair.dead;
        return;
    }
    found->latency_us = 1e6 * measure_latency_s(&l.pair, found->both_only ? 0 : o->budget_s * LATENCY_SHARE);
    if (!l.pair.dead)
        choose_messages(&l, found->both_only ? STEP_BOTH : STEP_OUT);
    if (!found->both_only) {
        sample(&l, STEP_OUT, o, &found->out, &unused);
        sample(&l, STEP_IN, o, &unused, &found->in);
    }
    sample(&l, STEP_BOTH, o, &found->both_out, &found->both_in);
    if (!l.pair.dead)
        order(&l.pair, &(struct stream_order){.op = STEP_STOP});
    found->dead = l.pair.dead;
}

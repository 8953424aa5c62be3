/* One pair over MPI: the leader asks for one step after another and times them; nothing waits forever. */
#define _POSIX_C_SOURCE 200809L
#include "pairs_wire.h"

#include <stdlib.h>
#include <string.h>

struct step {
    int op;
    int bytes;
};

static char *send_buffer;
static char *recv_buffer;

/* Pages that were never written to would be timed with the first message. */
int measure_allocate_mpi(size_t max_bytes)
{
    size_t bytes = max_bytes > FIRST_BYTES ? max_bytes : FIRST_BYTES;
    send_buffer = malloc(bytes);
    recv_buffer = malloc(bytes);
    if (!send_buffer || !recv_buffer)
        return 0;
    memset(send_buffer, 1, bytes);
    memset(recv_buffer, 0, bytes);
    return 1;
}

/* Seconds of one step: until what was asked for had arrived, as the leader knows it; of both
 * directions at once also those of the way back, and those of the way there by the follower's clock. */
struct timing {
    double there_s;
    double back_s;
    double followed_s;
};

/* Carry out a step as its leader. */
static struct timing lead_step(struct pair *p, enum step_op op, size_t bytes)
{
    static struct step step; /* a dead pair may still read and write these */
    static double followed_s;
    MPI_Request requests[MOST_REQUESTS];
    double done_at_s[MOST_REQUESTS];
    int n = 0;
    step = (struct step){(int)op, (int)bytes};
    double start_s = MPI_Wtime();
    if (op == STEP_IN || op == STEP_BOTH)
        requests[n++] = awaited(p, recv_buffer, bytes, TAG_DATA);
    if (op != STEP_IN && op != STEP_STOP)
        requests[n++] = awaited(p, &followed_s, sizeof followed_s, TAG_ACK);
    int answer = n - 1;
    requests[n++] = sent(p, &step, sizeof step, TAG_STEP);
    if (op == STEP_OUT || op == STEP_BOTH)
        requests[n++] = sent(p, send_buffer, bytes, TAG_DATA);
    if (!await_all(p, p->stuck_s, n, requests, done_at_s) || op == STEP_STOP)
        return (struct timing){0, 0, 0};
    return (struct timing){done_at_s[answer] - start_s, done_at_s[0] - start_s, followed_s};
}

/* The follower is the more patient: who gives up first decides for both. */
static void follow_steps(struct pair *p)
{
    static struct step step;
    static double took_s;
    for (;;) {
        MPI_Request next = awaited(p, &step, sizeof step, TAG_STEP);
        if (!await_all(p, 2 * p->stuck_s, 1, &next, NULL) || step.op == STEP_STOP)
            return;
        double start_s = MPI_Wtime();
        size_t bytes = (size_t)step.bytes;
        MPI_Request requests[MOST_REQUESTS];
        int n = 0;
        if (step.op == STEP_IN || step.op == STEP_BOTH)
            requests[n++] = sent(p, send_buffer, bytes, TAG_DATA);
        if (step.op == STEP_OUT || step.op == STEP_BOTH) {
            MPI_Request data = awaited(p, recv_buffer, bytes, TAG_DATA);
            if (!await_all(p, p->stuck_s, 1, &data, NULL))
                return;
        }
        took_s = MPI_Wtime() - start_s;
        if (step.op != STEP_IN)
            requests[n++] = sent(p, &took_s, sizeof took_s, TAG_ACK);
        if (!await_all(p, p->stuck_s, n, requests, NULL))
            return;
    }
}

/* The usual time of the way there; *least_s is the shortest. */
static double measure_latency_s(struct pair *p, double share_s, double *least_s)
{
    double times[MOST_REPEATS];
    int n = 0;
    /* The first makes the connection. */
    for (int i = 0; i < 3 && !p->dead; i++)
        lead_step(p, STEP_PING, 0);
    double end = MPI_Wtime() + share_s;
    while (!p->dead && n < MOST_REPEATS && (n < LEAST_REPEATS || MPI_Wtime() < end))
        times[n++] = lead_step(p, STEP_PING, 0).there_s / 2;
    double usual_s = p->dead ? 0 : times_usual(times, n);
    *least_s = p->dead ? 0 : times[0];
    return usual_s;
}

#define MOST_OF_A_STEP 0.1

/* Seconds less the way that a step or its answer takes alone. On a busy node that way is long now and
 * then, and then not part of a transfer: no more than a little is taken off, lest a link seem too fast. */
static double transfer_s(double seconds, double way_s)
{
    double most_s = MOST_OF_A_STEP * seconds;
    return seconds - (way_s < most_s ? way_s : most_s);
}

#define LEAST_WHEN_LATE 2
#define LATE_SHARES 3 /* of a link so slow that so many shares are over, fewer repeats do */

static int least(double end, double share_s)
{
    return MPI_Wtime() < end + (LATE_SHARES - 1) * share_s ? LEAST_REPEATS : LEAST_WHEN_LATE;
}

#define HELD_UP 0.7 /* of the leader's time: what takes less by the follower's clock was answered late */

/* The answer to what was sent comes behind the data of the other direction: where that one is the
 * slower, only the follower knows how long this one took. Its clock is not asked otherwise, for what
 * arrives while it does not run seems to have taken no time. */
static double usual_there_s(double *led, double *followed, int n)
{
    double led_s = times_usual(led, n);
    double followed_s = times_usual(followed, n);
    return followed_s > 0 && followed_s < HELD_UP * led_s ? followed_s : led_s;
}

/* Let the message grow until it takes long enough, which warms up too, then repeat it.
 * Gives the size; the rates are 0 for a dead pair. */
static size_t measure_rate(struct pair *p, enum step_op op, const struct pairs_options *o, double way_s,
                           double gbps[2])
{
    double there[MOST_REPEATS];
    double back[MOST_REPEATS];
    double followed[MOST_REPEATS];
    double share_s = o->budget_s * RATE_SHARE;
    double end = MPI_Wtime() + share_s;
    size_t bytes = o->max_bytes < FIRST_BYTES ? o->max_bytes : FIRST_BYTES;
    struct timing took = lead_step(p, op, bytes);
    while (!p->dead && took.there_s < share_s) {
        took = lead_step(p, op, bytes);
        if (bytes >= o->max_bytes || took.there_s >= share_s * GROWN_SHARE)
            break;
        bytes = bytes * 2 > o->max_bytes ? o->max_bytes : bytes * 2;
    }
    int n = 0;
    while (!p->dead && n < MOST_REPEATS && !times_settled(there, n) &&
           (n < least(end, share_s) || MPI_Wtime() < end)) {
        took = lead_step(p, op, bytes);
        there[n] = transfer_s(took.there_s, way_s);
        back[n] = transfer_s(took.back_s, way_s);
        followed[n++] = took.followed_s;
    }
    gbps[0] = gbps[1] = 0;
    if (p->dead)
        return bytes;
    gbps[0] = (double)bytes / 1e9 / (op == STEP_BOTH ? usual_there_s(there, followed, n) : times_usual(there, n));
    if (op == STEP_BOTH)
        gbps[1] = (double)bytes / 1e9 / times_usual(back, n);
    return bytes;
}

struct link_rates measure_pair_mpi(const struct pairs_options *o, int partner, int leads, enum extent extent)
{
    struct pair p = {partner, o->stuck_s, 0};
    struct link_rates found = {.both_only = extent == EXTENT_BOTH};
    double gbps[2];
    if (!leads) {
        follow_steps(&p);
        found.dead = p.dead;
        return found;
    }
    double way_s;
    double latency_s = measure_latency_s(&p, found.both_only ? 0 : o->budget_s * LATENCY_SHARE, &way_s);
    if (!found.both_only) {
        measure_rate(&p, STEP_OUT, o, way_s, gbps);
        found.out_gbps = gbps[0];
        measure_rate(&p, STEP_IN, o, way_s, gbps);
        found.in_gbps = gbps[0];
    }
    found.bytes = (double)measure_rate(&p, STEP_BOTH, o, way_s, gbps);
    found.both_out_gbps = gbps[0];
    found.both_in_gbps = gbps[1];
    found.latency_us = latency_s * 1e6;
    if (!p.dead)
        lead_step(&p, STEP_STOP, 0);
    return p.dead ? (struct link_rates){.dead = 1} : found;
}

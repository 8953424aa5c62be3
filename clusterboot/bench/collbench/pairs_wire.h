/* What measuring over MPI and over NCCL have in common. */
#ifndef PAIRS_WIRE_H
#define PAIRS_WIRE_H

#include "pairs.h"

/* More than what a shaped link lets pass at once after a pause, or that would be what is timed. */
#define FIRST_BYTES ((size_t)65536)
#define LATENCY_SHARE 0.1
#define RATE_SHARE 0.3 /* three times: out, in, both */
#define GROWN_SHARE 0.15 /* a message that takes this much of its share is large enough */
#define LEAST_REPEATS 5
#define MOST_REPEATS 200
#define MOST_REQUESTS 4

enum step_op { STEP_PING, STEP_OUT, STEP_IN, STEP_BOTH, STEP_STOP, STEP_MEET };

struct pair {
    int partner;
    double stuck_s;
    int dead;
};

/* Returns 0, and marks the pair dead, after `limit_s`. */
int await_all(struct pair *p, double limit_s, int n, MPI_Request *requests, double *done_at_s);
MPI_Request sent(const struct pair *p, const void *data, size_t bytes, int tag);
MPI_Request awaited(const struct pair *p, void *data, size_t bytes, int tag);

double times_usual(double *values, int n); /* sorts them */
int times_settled(const double *values, int n);

/* pairs_measure.c */
int measure_allocate_mpi(size_t max_bytes);
struct link_rates measure_pair_mpi(const struct pairs_options *o, int partner, int leads, enum extent extent);

/* pairs_nccl.c */
int measure_allocate_nccl(size_t max_bytes);
struct link_rates measure_pair_nccl(const struct pairs_options *o, int partner, int leads, enum extent extent);

#endif

/* What measuring over MPI and over NCCL have in common: how long things take, and who does them. */
#ifndef PAIRS_MEASURE_H
#define PAIRS_MEASURE_H

#include "pairs.h"

#define LATENCY_SHARE 0.1
#define RATE_SHARE 0.3 /* three times: out, in, both */

struct span span_of(const struct pairs_options *o);

int measure_allocate_mpi(size_t max_bytes);
void measure_pair_mpi(const struct pairs_options *o, struct meet who, enum extent extent, struct link_rates *found);

int measure_allocate_nccl(size_t max_bytes);
void measure_pair_nccl(const struct pairs_options *o, struct meet who, enum extent extent, struct link_rates *found);

#endif

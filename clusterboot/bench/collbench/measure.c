/* One placement of one size: warm up, time, check. */
#include "collbench.h"

/* Shares of the cap on one size: two placements, each with its warm-up and its timing. */
#define WARMUP_SHARE 0.1
#define TIMING_SHARE 0.35

static double slowest(double seconds)
{
    MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return seconds;
}

/* Every rank takes the same decision, because all see the slowest rank's time. */
static int warm_up(const struct options *o, const struct collective *c, const struct job *job, int count,
                   int in_place)
{
    if (o->cap_s <= 0) {
        for (int i = 0; i < o->warmup; i++)
            c->run(job, count, in_place);
        return o->iterations;
    }
    double spent = 0;
    double last = 0;
    for (int i = 0; i < (o->warmup > 0 ? o->warmup : 1) && spent <= o->cap_s * WARMUP_SHARE; i++) {
        MPI_Barrier(MPI_COMM_WORLD);
        double start = MPI_Wtime();
        c->run(job, count, in_place);
        last = slowest(MPI_Wtime() - start);
        spent += last;
    }
    double fitting = last > 0 ? o->cap_s * TIMING_SHARE / last : o->iterations;
    if (fitting >= o->iterations)
        return o->iterations;
    return fitting < 1 ? 1 : (int)fitting;
}

static long long check(const struct options *o, const struct collective *c, const struct job *job,
                       struct shape shape, int in_place, unsigned rep)
{
    int receives_only = c->rooted && !c->reduces && job->rank != job->root;
    pattern_prepare(c, job, shape, in_place, rep);
    if (job->rank == o->corrupt_rank && !receives_only)
        pattern_spoil(c, job, shape, in_place);
    c->run(job, (int)shape.param, in_place);
    if (job->rank == o->corrupt_rank && receives_only)
        pattern_spoil(c, job, shape, 1);
    return pattern_wrong(c, job, shape, rep);
}

struct placement measure(const struct options *o, const struct collective *c, const struct job *job,
                         struct shape shape, int in_place, long long *failures)
{
    static unsigned rep = 0;
    struct placement result = {0, -1};
    int count = (int)shape.param;

    pattern_prepare(c, job, shape, in_place, ++rep);
    int iterations = warm_up(o, c, job, count, in_place);
    MPI_Barrier(MPI_COMM_WORLD);
    double start = MPI_Wtime();
    for (int i = 0; i < iterations; i++)
        c->run(job, count, in_place);
    result.time_s = (MPI_Wtime() - start) / iterations;
    MPI_Allreduce(MPI_IN_PLACE, &result.time_s, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    result.time_s /= job->ranks;

    if (o->checks == 0 || (in_place && !c->checked_in_place))
        return result;
    result.wrong = 0;
    for (int i = 0; i < o->checks && result.wrong == 0; i++) {
        /* Sums of wrong elements, and of ranks that saw any. */
        long long sums[2] = {check(o, c, job, shape, in_place, ++rep), 0};
        sums[1] = sums[0] > 0;
        MPI_Allreduce(MPI_IN_PLACE, sums, 2, MPI_LONG_LONG, MPI_SUM, MPI_COMM_WORLD);
        result.wrong = sums[0];
        *failures += sums[1];
    }
    return result;
}

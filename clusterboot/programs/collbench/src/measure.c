/* One placement of one size: warm up, time, check. */
#include "collbench.h"

#include <limits.h>

/* Shares of the cap on one size: two placements, each with its warm-up and its timing. */
#define WARMUP_SHARE 0.1
#define TIMING_SHARE 0.35

/* A shaped link lets pass at once what it has saved up, usually a few milliseconds of its rate: over
 * a series that is shorter, its rate reads many times too high. One of ENOUGH_S counts where half as
 * many iterations were not faster by more than FALLING, one of LONG_S always. */
#define ENOUGH_S 0.04
#define LONG_S 0.2
#define FALLING 0.03

static double over_ranks(double seconds, MPI_Op op)
{
    MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, op, MPI_COMM_WORLD);
    return seconds;
}

static double averaged(double seconds, int average, int ranks)
{
    switch ((enum average)average) {
    case AVERAGE_RANK0: MPI_Bcast(&seconds, 1, MPI_DOUBLE, 0, MPI_COMM_WORLD); return seconds;
    case AVERAGE_MEAN: return over_ranks(seconds, MPI_SUM) / ranks;
    case AVERAGE_MIN: return over_ranks(seconds, MPI_MIN);
    case AVERAGE_MAX: return over_ranks(seconds, MPI_MAX);
    }
    return seconds;
}

/* How many iterations to begin with. Every rank takes the same decision, because all see the slowest
 * rank's time. */
static int warm_up(const struct options *o, const struct collective *c, const struct job *job, size_t count,
                   int in_place)
{
    if (o->cap_s <= 0) {
        job->backend->repeat(c, job, count, in_place, o->warmup);
        return o->iterations;
    }
    double spent = 0;
    double last = 0;
    for (int i = 0; i < (o->warmup > 0 ? o->warmup : 1) && spent <= o->cap_s * WARMUP_SHARE; i++) {
        last = over_ranks(job->backend->repeat(c, job, count, in_place, 1), MPI_MAX);
        spent += last;
    }
    double fitting = last > 0 ? o->cap_s * TIMING_SHARE / last : o->iterations;
    if (fitting >= o->iterations)
        return o->iterations;
    return fitting < 1 ? 1 : (int)fitting;
}

/* Time one series. Gives the slowest rank's seconds for all of it, which decide, and in `each_s` the
 * seconds of one iteration, of the ranks that -a names. */
static double series(const struct options *o, const struct collective *c, const struct job *job, size_t count,
                     int in_place, int times, double *each_s)
{
    double own_s = job->backend->repeat(c, job, count, in_place, times);
    *each_s = averaged(own_s, o->average, job->ranks) / times;
    return over_ranks(own_s, MPI_MAX);
}

/* Repeat with more and more iterations until the rate has stopped falling, or the cap would be passed. */
static double steady(const struct options *o, const struct collective *c, const struct job *job, size_t count,
                     int in_place, int times)
{
    double left_s = o->cap_s * TIMING_SHARE;
    double shorter_s = 0; /* an iteration in the series before */
    for (;;) {
        double shown_s;
        double all_s = series(o, c, job, count, in_place, times, &shown_s);
        double each_s = all_s / times;
        int still = all_s >= ENOUGH_S && shorter_s > 0 && each_s <= shorter_s * (1 + FALLING);
        double next = 2.0 * times;
        if (each_s > 0 && ENOUGH_S / each_s > next)
            next = ENOUGH_S / each_s + 1;
        left_s -= all_s;
        if (still || all_s >= LONG_S || next * each_s > left_s || next > INT_MAX)
            return shown_s;
        shorter_s = each_s;
        times = (int)next;
    }
}

static long long check(const struct options *o, const struct collective *c, const struct job *job,
                       struct shape shape, int in_place, unsigned rep)
{
    int receives_only = c->rooted && !c->reduces && job->rank != job->root;
    pattern_prepare(c, job, shape, in_place, rep);
    if (job->rank == o->corrupt_rank && !receives_only)
        pattern_spoil(c, job, shape, in_place);
    job->backend->repeat(c, job, shape.param, in_place, 1);
    if (job->rank == o->corrupt_rank && receives_only)
        pattern_spoil(c, job, shape, 1);
    return pattern_wrong(c, job, shape, in_place, rep);
}

struct placement measure(const struct options *o, const struct collective *c, const struct job *job,
                         struct shape shape, int in_place, long long *failures)
{
    static unsigned rep = 0;
    struct placement result = {0, -1};

    pattern_prepare(c, job, shape, in_place, ++rep);
    int iterations = warm_up(o, c, job, shape.param, in_place);
    if (o->cap_s > 0)
        result.time_s = steady(o, c, job, shape.param, in_place, iterations);
    else
        series(o, c, job, shape.param, in_place, iterations, &result.time_s);

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

/* Messages between the two ends of a pair, none of which is waited for without end; and what many
 * timings of one thing say together. */
#define _POSIX_C_SOURCE 200809L
#include "pairs_wire.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_SPREAD 0.02
#define SPINS 200 /* and then the core is given away between looks */

/* Wait for all, and note when each was done. Requests of a dead pair are let go; the buffers
 * that they point to live as long as MPI. */
int await_all(struct pair *p, double limit_s, int n, MPI_Request *requests, double *done_at_s)
{
    int left = n;
    int finished[MOST_REQUESTS] = {0};
    double deadline = MPI_Wtime() + limit_s;
    for (int tries = 0; left > 0 && !p->dead; tries++) {
        for (int i = 0; i < n; i++) {
            if (finished[i])
                continue;
            MPI_Test(&requests[i], &finished[i], MPI_STATUS_IGNORE);
            left -= finished[i];
            if (finished[i] && done_at_s)
                done_at_s[i] = MPI_Wtime();
        }
        p->dead = left > 0 && MPI_Wtime() > deadline;
        if (tries > SPINS)
            sched_yield();
    }
    for (int i = 0; i < n; i++)
        if (!finished[i])
            MPI_Request_free(&requests[i]);
    return !p->dead;
}

MPI_Request sent(const struct pair *p, const void *data, size_t bytes, int tag)
{
    MPI_Request request;
    MPI_Isend(data, (int)bytes, MPI_BYTE, p->partner, tag, MPI_COMM_WORLD, &request);
    return request;
}

MPI_Request awaited(const struct pair *p, void *data, size_t bytes, int tag)
{
    MPI_Request request;
    MPI_Irecv(data, (int)bytes, MPI_BYTE, p->partner, tag, MPI_COMM_WORLD, &request);
    return request;
}

static int ascending(const void *one, const void *other)
{
    double a = *(const double *)one;
    double b = *(const double *)other;
    return (a > b) - (a < b);
}

/* The time that a quarter of the repeats stays below: what else runs on a node makes a
 * transfer slower and never faster, and a link that is slow is slow each time. */
double times_usual(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, ascending);
    return values[n / 4];
}

int times_settled(const double *values, int n)
{
    double sorted[MOST_REPEATS];
    if (n < LEAST_REPEATS)
        return 0;
    memcpy(sorted, values, (size_t)n * sizeof *values);
    times_usual(sorted, n);
    return sorted[3 * n / 4] - sorted[n / 4] < SMALL_SPREAD * sorted[n / 2];
}

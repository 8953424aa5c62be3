/* Messages between the two ends of a pair, none of which is waited for without end. */
#define _POSIX_C_SOURCE 200809L
#include "pairs_wire.h"

#include <sched.h>

#define SPINS 200 /* and then the core is given away between looks */
/* MPI has 32768 tags at least. */
#define FIRST_TAG 16
#define TAGS 4
#define VISITS 8000

static int tag_of(const struct pair *p, enum pair_tag tag)
{
    return FIRST_TAG + TAGS * (p->visit % VISITS) + (int)tag;
}

/* The follower is the more patient: who gives up first decides for both. */
struct pair pair_of(const struct pairs_options *o, struct meet who)
{
    double limit_s = pair_limit_s(o) - (who.leads ? o->stuck_s : 0);
    return (struct pair){who.partner, who.visit, o->stuck_s, clock_s() + limit_s, 0};
}

MPI_Request sent(const struct pair *p, const void *data, size_t bytes, enum pair_tag tag)
{
    MPI_Request request;
    MPI_Isend(data, (int)bytes, MPI_BYTE, p->partner, tag_of(p, tag), MPI_COMM_WORLD, &request);
    return request;
}

MPI_Request awaited(const struct pair *p, void *data, size_t bytes, enum pair_tag tag)
{
    MPI_Request request;
    MPI_Irecv(data, (int)bytes, MPI_BYTE, p->partner, tag_of(p, tag), MPI_COMM_WORLD, &request);
    return request;
}

int is_done(MPI_Request *request)
{
    int done = 0;
    MPI_Test(request, &done, MPI_STATUS_IGNORE);
    return done;
}

void let_go(MPI_Request *request)
{
    if (*request != MPI_REQUEST_NULL)
        MPI_Request_free(request);
}

void idle(int *looks)
{
    if (++*looks > SPINS)
        sched_yield();
}

int await_all(struct pair *p, double limit_s, int n, MPI_Request *requests)
{
    double deadline_s = clock_s() + limit_s;
    if (deadline_s > p->end_s)
        deadline_s = p->end_s;
    int looks = 0;
    for (int left = n; left > 0 && !p->dead; idle(&looks)) {
        left = 0;
        for (int i = 0; i < n; i++)
            left += !is_done(&requests[i]); /* a request that was done before is NULL, and done */
        p->dead = left > 0 && clock_s() > deadline_s;
    }
    for (int i = 0; i < n; i++)
        let_go(&requests[i]);
    return !p->dead;
}

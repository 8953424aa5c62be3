/* Messages between the two ends of a pair, none of which is waited for without end. */
#ifndef PAIRS_WIRE_H
#define PAIRS_WIRE_H

#include "pairs.h"

#define MOST_REQUESTS 4

enum step_op { STEP_PING, STEP_OUT, STEP_IN, STEP_BOTH, STEP_STOP, STEP_MEET };
enum pair_tag { TAG_ORDER, TAG_WORD, TAG_STREAM, TAG_TIMES };

/* `visit` parts the messages of this meeting from what may be left of one that was given up; at
 * `end_s` it is given up, however slowly it goes on. */
struct pair {
    int partner;
    int visit;
    double stuck_s;
    double end_s;
    int dead;
};

struct pair pair_of(const struct pairs_options *o, struct meet who);

/* Returns 0, and marks the pair dead, after `limit_s`. Requests of a dead pair are let go; the buffers
 * that they point to live as long as MPI. */
int await_all(struct pair *p, double limit_s, int n, MPI_Request *requests);
MPI_Request sent(const struct pair *p, const void *data, size_t bytes, enum pair_tag tag);
MPI_Request awaited(const struct pair *p, void *data, size_t bytes, enum pair_tag tag);
int is_done(MPI_Request *request);
void let_go(MPI_Request *request);
/* Between looks: the core is given away where nothing came for a while. */
void idle(int *looks);

#endif

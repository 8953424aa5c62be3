/* All pairs of nodes: who talks to whom when, and what is measured between two.
 *
 * Rank 0 conducts: it alone knows the rounds, tells both ends of a pair that it is their turn,
 * and prints what they report. No collective is called, for a collective talks over pairs of
 * its own choosing, and one of them may be dead. Nodes are counted from 0 in the order of the
 * address list, ranks as MPI likes; both are the same where there is no list. Where GPUs are
 * measured a node has a rank for each, and `node` below means one of these ranks' places.
 */
#ifndef PAIRS_H
#define PAIRS_H

#include "collbench.h"
#include "pairs_samples.h"

/* A pair's own messages have the tags above these, see pairs_wire.c. */
enum { TAG_CONTROL = 1, TAG_INFO, TAG_REPORT };

struct pairs_options {
    const char *schedule;  /* a file, read by rank 0; NULL for a whole tournament */
    const char *addresses; /* one a rank, separated by commas, a node's together; NULL for no probing */
    int port;              /* for probing: a node's first rank listens there, its next ones above */
    size_t max_bytes;
    double budget_s; /* for one pair, */
    double most_s;   /* and for one whose samples differ */
    double least_s;  /* in which each is sampled, however well its samples agree */
    double stuck_s;  /* without an answer for so long, a pair is dead */
    int nccl;        /* GPU memory */
    struct gpu_options gpu;
};

/* What a node knows of the others before MPI sends anything. */
struct probe {
    int own;
    int nodes;
    int *ranks;  /* by node; -1 where there was no answer */
    char *alive; /* by node: connections can be made both ways */
    int local;   /* this rank's place among those of its machine, */
    int locals;  /* and how many they are */
    int usable;  /* its GPU can be used, where one is needed */
};

struct link_rates {
    int dead;
    int both_only; /* the directions by themselves were not asked for */
    double latency_us;
    struct way out; /* from the leader */
    struct way in;
    struct way both_out; /* the same while both directions are busy */
    struct way both_in;
};

/* Whom a rank meets: `visit` is a number that parts this meeting from earlier ones. */
struct meet {
    int partner;
    int leads;
    int visit;
};

struct round_pair {
    int one;
    int other;
};

/* What is measured between two: each direction by itself and then both at once, or, in a third
 * of the time, only the last, which shows whatever is slow though not always in which direction. */
enum extent { EXTENT_ALL, EXTENT_BOTH };

struct round {
    int end; /* the index after its last pair */
    enum extent extent;
};

#define KEY_LENGTH 32

struct rounds {
    char key[KEY_LENGTH + 2]; /* what rank 0's lines begin with, and a blank; empty for nothing */
    int n_rounds;
    int n_pairs;
    struct round *rounds;
    struct round_pair *pairs;
};

enum control_op { CONTROL_HELLO, CONTROL_ROUND, CONTROL_FORWARD, CONTROL_FETCH, CONTROL_END };

/* What rank 0 says. FORWARD hands `inner_op` on to node `dest`; FETCH has its answer handed back:
 * its report of that round, or before the first round, which is -1, its info. Only those who
 * have met know each other's rank, so partners are told by node. */
struct control {
    int op;
    int inner_op;
    int dest;
    int round;
    int partner;
    int leads;
    int extent;
};

struct info {
    struct member member;
    int node;
    int rank;
    int usable;
}; /* and then `alive`, one byte a node */

struct report {
    int round;
    int node;
    struct link_rates rates;
};

/* pairs_probe.c: returns NULL, or what is wrong in `error`. */
const char *probe_all(const struct pairs_options *o, int rank, int ranks, struct probe *probe, char *error,
                      size_t error_size);

/* pairs_schedule.c: returns NULL, or what is wrong in `error`. */
const char *rounds_read(const char *path, int nodes, struct rounds *rounds, char *error, size_t error_size);
const char *rounds_tournament(int nodes, struct rounds *rounds, char *error, size_t error_size);
void rounds_free(struct rounds *rounds);

/* pairs_follow.c: the time in which a pair is done, dead or not */
double pair_limit_s(const struct pairs_options *o);
void measure_pair(const struct pairs_options *o, struct meet who, enum extent extent, struct link_rates *found);

/* pairs_follow.c */
struct info info_of(const struct pairs_options *o, const struct probe *probe);
void follow(const struct pairs_options *o, const struct probe *probe);
int await_message(int source, int tag, double limit_s, MPI_Status *status);

/* pairs_conduct.c: returns the number of nodes that were lost on the way. */
int conduct(const struct pairs_options *o, const struct probe *probe, const struct rounds *rounds);

/* pairs.c */
int pairs_main(int argc, char **argv);

#endif

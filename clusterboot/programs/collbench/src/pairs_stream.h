/* Streams of messages between the two ends of a pair, timed by both. */
#ifndef PAIRS_STREAM_H
#define PAIRS_STREAM_H

#include "pairs_samples.h"
#include "pairs_wire.h"

/* What is to be carried: `streams` streams one after the other, each of so many messages, in one
 * direction or in both at once; no more of them once `limit_s` is over. */
struct stream_order {
    int op;
    int streams;
    int messages;
    int message_bytes;
    double limit_s;
};

/* Seconds of each stream: of those that arrive here by both ends' clocks, and of those sent from here. */
struct stream_times {
    int n;
    double received_s[MOST_SAMPLES];
    double sent_s[MOST_SAMPLES];
    double told_s[MOST_SAMPLES]; /* of those sent from here, by the clock of who received them */
    struct tcp_count sent;       /* by this end, in all of them */
};

int streams_allocate(size_t max_bytes); /* returns 0 where there is not so much memory */
/* How many messages of these are under way at once. */
int stream_window(size_t message_bytes);
/* Carry out an order as one of its ends. Returns 0 for a pair that is dead. */
int streams_run(struct pair *p, const struct stream_order *o, int leads, struct stream_times *times);

#endif

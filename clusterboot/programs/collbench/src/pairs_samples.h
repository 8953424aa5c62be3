/* How often a direction is measured, and what its samples say together. */
#ifndef PAIRS_SAMPLES_H
#define PAIRS_SAMPLES_H

#include "pairs_tcp.h"

#include <stddef.h>

#define MOST_SAMPLES 64
#define LEAST_SAMPLES 4

/* One direction's samples in the order in which they were taken. */
struct way {
    int n;
    int is_settled; /* the median was known well before the time was spent */
    double bytes[MOST_SAMPLES];
    double gb_s[MOST_SAMPLES];
    struct tcp_count sent; /* for all streams of this direction, those that warmed it up as well */
};

/* The rate at which the median byte was carried; 0 of no samples. */
double way_median_gb_s(const struct way *w);
/* What the direction gives: that median, or where it does not stand for the whole, since the samples
 * below it took much of the time, all bytes over all of the time. */
double way_gb_s(const struct way *w);
/* A sample's bytes, of the longest. */
double way_most_bytes(const struct way *w);

/* What measures: carry `streams` streams of about `bytes` one after the other, and give the seconds
 * of each of them. Takes fewer once `limit_s` is over. Returns how many; 0 where the pair is dead.
 * `carried` is what a stream really had. */
struct streams {
    void *state;
    int (*carry)(void *state, size_t bytes, int streams, double limit_s, double *out_s, double *in_s, double *carried);
    int has_out;
    int has_in;
};

/* For how long a direction is measured: usually, at most where its samples differ, and at least be sampled
 * once it is warm, however well they agree: what comes and goes may stay for longer than they took. */
struct span {
    double usual_s;
    double most_s;
    double least_s;
};

/* Warm a direction up (or both at once), and sample it. Returns 0 where the pair is dead. */
int sample_ways(const struct streams *s, const struct span *span, struct way *out, struct way *in);
/* Its first part. Returns the bytes of a stream of about `stream_s` seconds; 0 where the pair is dead. */
size_t warm_up(const struct streams *s, double stream_s);

double median(double *values, int n); /* sorts them */
/* The distribution-free interval of a median, as ranks from either end, counted from 0; -1 of too few. */
int median_rank(int n);

#endif

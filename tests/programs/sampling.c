/* The sampling of collbench pairs by itself: the seconds that each stream takes are arguments. */
#include "pairs_samples.h"

#include <stdio.h>
#include <stdlib.h>

static double now_s;
/* Of one stream after the other, nanoseconds a byte and a stall in seconds, as 25+0.2; the last stays. */
static char **takes;
static int given;
static int n_takes;

double clock_s(void)
{
    return now_s;
}

static int carry(void *state, size_t bytes, int streams, double limit_s, double *out_s, double *in_s, double *carried)
{
    int n = 0;
    double spent_s = 0;
    (void)state;
    *carried = (double)bytes;
    while (n < streams && (n == 0 || spent_s < limit_s)) {
        char *rest;
        double ns = strtod(takes[given < n_takes - 1 ? given++ : given], &rest);
        if (ns < 0)
            return 0;
        out_s[n] = in_s[n] = (double)bytes * ns / 1e9 + atof(rest);
        spent_s += out_s[n++];
    }
    now_s += spent_s;
    printf("%d %zu\n", n, bytes);
    return n;
}

/* sampling USUAL_S MOST_S NANOSECONDS[+STALL_S]... */
int main(int argc, char **argv)
{
    static struct way out;
    static struct way in;
    struct streams s = {NULL, carry, 1, 0};
    takes = argv + 3;
    n_takes = argc - 3;
    const char *least_s = getenv("LEAST_S");
    struct span span = {atof(argv[1]), atof(argv[2]), least_s ? atof(least_s) : 0};
    int alive = sample_ways(&s, &span, &out, &in);
    printf("%s %s %d %.9g %.9g\n", alive ? "alive" : "dead", out.is_settled ? "settled" : "budget", out.n,
           way_gb_s(&out), now_s);
    return 0;
}

/* Sampling a direction until its rate is known well, or its time is spent.
 *
 * The interval of the median comes from order statistics and supposes nothing of how rates are
 * distributed: the median lies between the k-th smallest and the k-th largest of n samples, unless
 * fewer than k of n fall on one side of it, which has the probability of so few heads of n coins.
 * How all this is derived: docs/measuring.md.
 */
#define _POSIX_C_SOURCE 200809L
#include "pairs_samples.h"

#include "gpu.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES ((size_t)64 << 10)
#define GROWTH 4
#define LEAST_STREAM_BYTES ((size_t)256 << 10) /* many times what a shaped link lets pass at once after a pause */
#define MOST_STREAM_BYTES ((size_t)4 << 30)
#define STREAM_SHARE 0.24 /* of the usual time: four samples, and the warm-up */
#define UNUSUAL 2.0 /* times as long as the step before lets expect: looked at twice */
#define FASTER 1.5 /* than the size before: then it is mostly a wait that was timed, and a longer stream tells more */
#define MOST_LONGER 4
#define MOST_WARMING 8 /* of a stream's time: a link that holds up its warm-up for longer is better sampled */
#define TELLING 0.25 /* of a stream's time: shorter ones may have passed unshaped */
#define SHORT 0.8 /* of a stream's time: in less, what a bucket passes at once would show */
#define MISSED 0.0625 /* the probability that the median lies beyond one end of its interval */
#define WELL_KNOWN 0.08 /* the width of the interval, of the median */
#define KNOWN 0.25 /* the same where the usual time is over */
#define STANDS_FOR 0.95 /* of the median: where the mean is less, the median does not stand for the whole */
#define MORE_SAMPLES 3
#define ENOUGH_SAMPLES (LEAST_SAMPLES + 2 * MORE_SAMPLES) /* of one length: then longer ones are tried */
#define LEAST_GROWTH 1.5

static int ascending(const void *one, const void *other)
{
    double a = *(const double *)one;
    double b = *(const double *)other;
    return (a > b) - (a < b);
}

double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, ascending);
    return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

double way_most_bytes(const struct way *w)
{
    double most = 0;
    for (int i = 0; i < w->n; i++)
        if (w->bytes[i] > most)
            most = w->bytes[i];
    return most;
}

double way_median_gb_s(const struct way *w)
{
    double sorted[MOST_SAMPLES][2]; /* a rate and its bytes */
    double left = 0;
    for (int i = 0; i < w->n; i++) {
        sorted[i][0] = w->gb_s[i];
        sorted[i][1] = w->bytes[i];
        left += w->bytes[i] / 2;
    }
    qsort(sorted, (size_t)w->n, sizeof *sorted, ascending);
    for (int i = 0; i < w->n; i++) {
        left -= sorted[i][1];
        if (left < 0)
            return sorted[i][0];
        if (left == 0 && i + 1 < w->n)
            return (sorted[i][0] + sorted[i + 1][0]) / 2;
    }
    return w->n ? sorted[w->n - 1][0] : 0;
}

/* All bytes over all of the time. */
static double mean_gb_s(const struct way *w)
{
    double bytes = 0;
    double nanoseconds = 0;
    for (int i = 0; i < w->n; i++) {
        bytes += w->bytes[i];
        nanoseconds += w->bytes[i] / w->gb_s[i];
    }
    return nanoseconds > 0 ? bytes / nanoseconds : 0;
}

static int stands_for_all(const struct way *w)
{
    return mean_gb_s(w) >= STANDS_FOR * way_median_gb_s(w);
}

double way_gb_s(const struct way *w)
{
    return stands_for_all(w) ? way_median_gb_s(w) : mean_gb_s(w);
}

int median_rank(int n)
{
    double term = 1;
    double below = 0;
    for (int i = 0; i < n; i++)
        term /= 2;
    for (int k = 0; k < n; k++) {
        below += term; /* at most k heads */
        if (below > MISSED)
            return k - 1;
        term *= (double)(n - k) / (k + 1);
    }
    return -1;
}

/* Whether the median of the last n samples is known to `width` of itself, and is what all of them say. */
static int is_known(const struct way *w, int n, double width)
{
    double sorted[MOST_SAMPLES];
    int rank = median_rank(n);
    if (rank < 0)
        return 0;
    memcpy(sorted, w->gb_s + w->n - n, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, ascending);
    return sorted[n - 1 - rank] - sorted[rank] <= width * sorted[n / 2] && stands_for_all(w);
}

static double slower(double out_s, double in_s)
{
    return out_s > in_s ? out_s : in_s;
}

/* A stream is so long at the best rate that was seen, for what a shaped link lets pass at once after
 * a pause goes by the rate that it is shaped to, not by what else is wrong with it. */
size_t warm_up(const struct streams *s, double stream_s)
{
    size_t bytes = FIRST_BYTES;
    double best = 0; /* bytes a second */
    double before = 0; /* those of the size before */
    double expected_s = stream_s / 2 / UNUSUAL;
    double end_s = clock_s() + MOST_WARMING * stream_s;
    for (int looks = 0;;) {
        double out_s = 0;
        double in_s = 0;
        double carried;
        if (!s->carry(s->state, bytes, 1, 0, &out_s, &in_s, &carried))
            return 0;
        double took_s = slower(out_s, in_s);
        if (took_s >= TELLING * stream_s && carried / took_s > best)
            best = carried / took_s;
        if (clock_s() > end_s)
            break;
        /* A step that something held up must not end the growth. */
        if (took_s > UNUSUAL * expected_s && looks++ == 0)
            continue;
        int is_long = took_s >= stream_s / 2 && (carried / took_s < FASTER * before || took_s > MOST_LONGER * stream_s);
        if (is_long || bytes >= MOST_STREAM_BYTES)
            break;
        looks = 0;
        before = carried / took_s;
        bytes *= GROWTH;
        expected_s = GROWTH * took_s;
    }
    if (best * stream_s > (double)MOST_STREAM_BYTES)
        return MOST_STREAM_BYTES;
    return best * stream_s < (double)LEAST_STREAM_BYTES ? LEAST_STREAM_BYTES : (size_t)(best * stream_s);
}

/* The bytes of a stream that is long enough at the best rate that these show, where one of them was
 * over too soon for all of it to have been shaped; else 0. */
static size_t enough_bytes(const struct streams *s, const double *out_s, const double *in_s, int n, double carried,
                           double stream_s)
{
    double least_s = stream_s;
    for (int i = 0; i < n; i++) {
        if (s->has_out && out_s[i] < least_s)
            least_s = out_s[i];
        if (s->has_in && in_s[i] < least_s)
            least_s = in_s[i];
    }
    double enough = carried * stream_s / least_s;
    return least_s >= SHORT * stream_s ? 0 : enough < (double)MOST_STREAM_BYTES ? (size_t)enough : MOST_STREAM_BYTES;
}

static void note(struct way *w, const double *seconds, int n, double bytes)
{
    for (int i = 0; i < n; i++) {
        w->bytes[w->n] = bytes;
        w->gb_s[w->n++] = bytes / 1e9 / seconds[i];
    }
}

/* A stream long enough that what holds a sick link up is in each of them alike, if five fit. */
static size_t longer_stream(size_t bytes, double usual_stream_s, double left_s)
{
    double fitting = (double)bytes * left_s / LEAST_SAMPLES / usual_stream_s;
    double longer = GROWTH * (double)bytes;
    if (fitting < longer)
        longer = fitting;
    if (longer > (double)MOST_STREAM_BYTES)
        longer = (double)MOST_STREAM_BYTES;
    return longer < LEAST_GROWTH * (double)bytes ? bytes : (size_t)longer;
}

int sample_ways(const struct streams *s, const struct span *span, struct way *out, struct way *in)
{
    double start_s = clock_s();
    double most_s = span->most_s;
    double stream_s = span->usual_s * STREAM_SHARE;
    size_t bytes = warm_up(s, stream_s);
    double warm_s = clock_s();
    int alike = 0; /* samples of this length */
    double alike_s = 0;
    out->n = in->n = 0;
    if (!bytes)
        return 0;
    struct way *any = s->has_out ? out : in;
    for (;;) {
        double out_s[MOST_SAMPLES];
        double in_s[MOST_SAMPLES];
        double carried;
        double left_s = start_s + most_s - clock_s();
        int wanted = alike < LEAST_SAMPLES ? LEAST_SAMPLES - alike : MORE_SAMPLES;
        if (wanted > MOST_SAMPLES - any->n)
            wanted = MOST_SAMPLES - any->n;
        int n = s->carry(s->state, bytes, wanted, left_s, out_s, in_s, &carried);
        if (!n)
            return 0;
        size_t enough = enough_bytes(s, out_s, in_s, n, carried, stream_s);
        if (enough > bytes) {
            /* All so far were warming up. */
            bytes = enough;
            out->n = in->n = alike = 0;
            alike_s = 0;
            continue;
        }
        if (s->has_out)
            note(out, out_s, n, carried);
        if (s->has_in)
            note(in, in_s, n, carried);
        alike += n;
        for (int i = 0; i < n; i++)
            alike_s += slower(s->has_out ? out_s[i] : 0, s->has_in ? in_s[i] : 0);

        double spent_s = clock_s() - start_s;
        int is_late = spent_s >= span->usual_s;
        int is_long = clock_s() - warm_s >= span->least_s;
        int well = (!s->has_out || is_known(out, alike, WELL_KNOWN)) && (!s->has_in || is_known(in, alike, WELL_KNOWN));
        int known = (!s->has_out || is_known(out, alike, KNOWN)) && (!s->has_in || is_known(in, alike, KNOWN));
        out->is_settled = in->is_settled = well;
        if ((is_long && (well || (is_late && known))) || spent_s >= most_s || any->n == MOST_SAMPLES)
            return 1;
        size_t longer = is_late && alike >= ENOUGH_SAMPLES ? longer_stream(bytes, alike_s / alike, most_s - spent_s) : bytes;
        if (longer != bytes) {
            bytes = longer;
            alike = 0;
            alike_s = 0;
        }
    }
}

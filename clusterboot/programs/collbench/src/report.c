/* The table, in nccl-tests' own layout (2.13 and later): see its src/util.cu. */
#define _POSIX_C_SOURCE 200809L
#include "collbench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Above and below each table: whose output it is. The launch gave the run a name of its own. */
static void print_mark(void)
{
    const char *run = getenv("CLUSTERBOOT_RUN");
    if (run && *run && !run[strspn(run, "0123456789abcdef")])
        printf("# clusterboot run %s\n", run);
}

void report_start(const struct options *o, const struct collective *c)
{
    char library[PATH_LENGTH + 128];
    char iterations[16] = "auto"; /* not one number for all sizes */
    if (o->cap_s <= 0)
        snprintf(iterations, sizeof iterations, "%d", o->iterations);
    members_say_library(library, sizeof library, o->nccl);
    printf("# clusterboot collbench %s: %s\n", COLLBENCH_VERSION, library);
    print_mark();
    printf("# Collective test starting: %s\n", c->name);
    printf("# nThread 1 nGpus 1 minBytes %zu maxBytes %zu step: %zu(%s) warmup iters: %d iters: %s agg iters: 1 "
           "validation: %d graph: 0\n#\n",
           o->begin_bytes, o->end_bytes, o->factor > 1 ? o->factor : o->step_bytes,
           o->factor > 1 ? "factor" : "bytes", o->warmup, iterations, o->checks);
}

void report_members(const struct member *all, int ranks, int on_gpu)
{
    printf("# Using devices\n");
    for (int rank = 0; rank < ranks; rank++) {
        const struct member *m = &all[rank];
        printf("#  Rank %2d Group %2d Pid %6d on %10s device %2d [%s] %s\n", rank, 0, m->pid, m->host, m->device,
               on_gpu ? m->bus_id : "none", on_gpu ? m->name : "MPI host memory");
    }
}

void report_shared_gpus(int most_on_one)
{
    printf("# Shared GPUs: up to %d ranks on one, over sockets; no measure of bandwidth\n", most_on_one);
}

void report_columns(void)
{
    static const char *const lines[2][9] = {
        {"size", "count", "type", "redop", "root", "time", "algbw", "busbw", "#wrong"},
        {"(B)", "(elements)", "", "", "", "(us)", "(GB/s)", "(GB/s)", ""},
    };
    printf("#\n# %10s  %12s  %8s  %6s  %6s           out-of-place                       in-place          \n", "", "",
           "", "", "");
    for (int i = 0; i < 2; i++) {
        const char *const *w = lines[i];
        printf("# %10s  %12s  %8s  %6s  %6s  %7s  %6s  %6s  %6s  %7s  %6s  %6s  %6s\n", w[0], w[1], w[2], w[3], w[4],
               w[5], w[6], w[7], w[8], w[5], w[6], w[7], w[8]);
    }
    fflush(stdout);
}

/* Two decimals where they fit into the column, fewer where not; a value below 1 has room for
   four, without which a gigabit link would read 0.12 GB/s whatever it did. */
static void print_cell(char *cell, size_t size, int width, double value)
{
    for (int decimals = value < 1 ? 4 : 2; decimals >= 0; decimals--)
        if (snprintf(cell, size, "%*.*f", width, decimals, value) <= width)
            return;
    snprintf(cell, size, width >= 7 ? "%*.1e" : "%*.0e", width, value);
}

static int print_placement(char *line, size_t size, struct placement place, double algbw, double busbw)
{
    char time[32];
    char alg[32];
    char bus[32];
    print_cell(time, sizeof time, 7, place.time_s * 1e6);
    print_cell(alg, sizeof alg, 6, algbw);
    print_cell(bus, sizeof bus, 6, busbw);
    if (place.wrong < 0)
        return snprintf(line, size, "  %7s  %6s  %6s  %6s", time, alg, bus, "N/A");
    return snprintf(line, size, "  %7s  %6s  %6s  %6g", time, alg, bus, (double)place.wrong);
}

/* A row leaves in one write, so that nothing can land in the middle of it. */
void report_row(const struct collective *c, const struct options *o, const struct job *job, struct shape shape,
                const struct placement places[2], double busbw_gb_s[2])
{
    char line[512];
    size_t bytes = (shape.send > shape.recv ? shape.send : shape.recv) * job->type->size;
    int used = snprintf(line, sizeof line, "%12zu  %12zu  %8s  %6s  %6d", bytes, shape.param, job->type->name,
                        c->reduces ? "sum" : "none", c->rooted ? o->root : -1);
    for (int i = 0; i < 2; i++) {
        double algbw = places[i].time_s > 0 ? (double)bytes / 1e9 / places[i].time_s : 0;
        busbw_gb_s[i] = algbw * c->bus_factor(job->ranks);
        used += print_placement(line + used, sizeof line - (size_t)used, places[i], algbw, busbw_gb_s[i]);
    }
    if (job->rank != 0)
        return;
    printf("%s\n", line);
    fflush(stdout);
}

void report_end(const struct collective *c, long long failures, double mean_busbw_gb_s)
{
    printf("# Out of bounds values : %lld %s\n", failures, failures ? "FAILED" : "OK");
    printf("# Avg bus bandwidth    : %g \n#\n", mean_busbw_gb_s);
    printf("# Collective test concluded: %s\n", c->name);
    print_mark();
    printf("#\n");
    fflush(stdout);
}

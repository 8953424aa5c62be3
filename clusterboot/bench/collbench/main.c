/* collbench: all ranks parse, allocate and measure alike; rank 0 speaks. */
#define _POSIX_C_SOURCE 200809L
#include "collbench.h"
#include "pairs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Buffers a rank may need at its largest size: two of ours, and as much again inside MPI. */
#define BUFFERS_PER_RANK 4
#define SHARE_OF_FREE_MEMORY 0.8

static size_t free_memory_bytes(void)
{
    char line[128];
    size_t kib = 0;
    FILE *file = fopen("/proc/meminfo", "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file) && sscanf(line, "MemAvailable: %zu kB", &kib) != 1)
        kib = 0;
    fclose(file);
    return kib * 1024;
}

/* What every rank of the job can allocate, the same on all; SIZE_MAX's half where unknown. */
static size_t affordable_bytes(int local_ranks)
{
    size_t available = free_memory_bytes();
    unsigned long long bytes = (size_t)-1 / 2;
    if (available)
        bytes = (unsigned long long)((double)available * SHARE_OF_FREE_MEMORY / (BUFFERS_PER_RANK * local_ranks));
    MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_UNSIGNED_LONG_LONG, MPI_MIN, MPI_COMM_WORLD);
    return (size_t)bytes;
}

/* Give every rank its buffers, or none: a rank that goes on alone would hang the others. */
static int allocate(struct job *job, size_t bytes)
{
    size_t page = 4096;
    size_t rounded = (bytes / page + 1) * page;
    job->send = aligned_alloc(page, rounded);
    job->recv = aligned_alloc(page, rounded);
    int got = job->send && job->recv;
    if (!got)
        fprintf(stderr, "collbench: rank %d: cannot allocate 2 x %zu bytes\n", job->rank, rounded);
    MPI_Allreduce(MPI_IN_PLACE, &got, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    if (!got)
        return 0;
    memset(job->send, 0, rounded); /* touch every page before anything is timed */
    memset(job->recv, 0, rounded);
    return 1;
}

static long long run_collective(const struct options *o, const struct collective *c, const struct job *job)
{
    long long failures = 0;
    double total_gbps = 0;
    int rows = 0;
    for (size_t size = o->begin_bytes; size <= o->end_bytes;
         size = o->factor > 1 ? size * o->factor : size + o->step_bytes) {
        struct shape shape = collective_shape(c, size, job->type, job->ranks);
        struct placement places[2];
        double busbw_gbps[2];
        for (int in_place = 0; in_place < 2; in_place++)
            places[in_place] = measure(o, c, job, shape, in_place, &failures);
        report_row(c, o, job, shape, places, busbw_gbps);
        total_gbps += busbw_gbps[0] + busbw_gbps[1];
        rows++;
        while (job->rank == o->stall_rank)
            pause();
        if (o->factor <= 1 && o->step_bytes == 0)
            break;
    }
    if (job->rank == 0)
        report_end(c, failures, total_gbps / (2 * rows));
    return failures;
}

static int run(struct options *o, struct job *job)
{
    MPI_Comm node;
    int local_rank;
    int local_ranks;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, job->rank, MPI_INFO_NULL, &node);
    MPI_Comm_rank(node, &local_rank);
    MPI_Comm_size(node, &local_ranks);
    MPI_Comm_free(&node);

    size_t affordable = affordable_bytes(local_ranks);
    int reduced = o->end_bytes > affordable;
    if (reduced) {
        o->end_bytes = affordable;
        o->begin_bytes = o->begin_bytes > affordable ? affordable : o->begin_bytes;
    }
    if (!allocate(job, o->end_bytes))
        return EXIT_MEMORY;

    long long failures = 0;
    for (int i = 0; i < o->n_collectives; i++) {
        if (job->rank == 0)
            report_start(o, o->collectives[i]);
        report_devices(job, local_rank);
        if (job->rank == 0 && reduced)
            printf("#\n# Reducing maxBytes to %zu due to memory limitation\n", o->end_bytes);
        if (job->rank == 0)
            report_columns();
        failures += run_collective(o, o->collectives[i], job);
    }
    free(job->send);
    free(job->recv);
    return failures ? EXIT_WRONG_DATA : EXIT_OK;
}

/* Every other rank is at the end of a few sockets; the usual limit is 1,024 of them. */
static void allow_many_connections(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

int main(int argc, char **argv)
{
    struct options options;
    struct job job = {0};
    char error[256];
    int code;

    allow_many_connections();
    MPI_Init(&argc, &argv);
    if (argc > 1 && strcmp(argv[1], "pairs") == 0)
        return finish(pairs_main(argc - 1, argv + 1));
    MPI_Comm_rank(MPI_COMM_WORLD, &job.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &job.ranks);
    const char *wrong = options_parse(argc, argv, job.ranks, &options, error, sizeof error);
    if (wrong) {
        if (job.rank == 0)
            fprintf(stderr, "collbench: %s\n%s", wrong, options_usage);
        code = EXIT_USAGE;
    } else if (options.help) {
        if (job.rank == 0)
            printf("%s", options_usage);
        code = EXIT_OK;
    } else {
        job.root = options.root;
        job.type = options.type;
        code = run(&options, &job);
    }
    return finish(code);
}

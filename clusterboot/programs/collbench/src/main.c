/* collbench: all ranks parse, allocate and measure alike; rank 0 speaks. */
#define _POSIX_C_SOURCE 200809L
#include "collbench.h"
#include "pairs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* What all ranks know before anything is measured. */
struct place {
    int local_rank;
    int local_ranks;
    struct member *members;
    int most_on_one_gpu;
};

/* What every rank of the job can allocate, the same on all. */
static size_t affordable_bytes(const struct job *job, int local_ranks)
{
    unsigned long long bytes = job->backend->affordable(local_ranks);
    MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_UNSIGNED_LONG_LONG, MPI_MIN, MPI_COMM_WORLD);
    return (size_t)bytes;
}

/* Give every rank its buffers, or none: a rank that goes on alone would hang the others. */
static int allocate(struct job *job, size_t bytes)
{
    job->send = job->backend->allocate(bytes);
    job->recv = job->backend->allocate(bytes);
    int got = job->send && job->recv;
    if (!got)
        fprintf(stderr, "collbench: rank %d: cannot allocate 2 x %zu bytes\n", job->rank, bytes);
    MPI_Allreduce(MPI_IN_PLACE, &got, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    return got;
}

static long long run_collective(const struct options *o, const struct collective *c, const struct job *job)
{
    long long failures = 0;
    double total_gb_s = 0;
    int rows = 0;
    for (size_t size = o->begin_bytes; size <= o->end_bytes;
         size = o->factor > 1 ? size * o->factor : size + o->step_bytes) {
        struct shape shape = collective_shape(c, size, job->type, job->ranks);
        struct placement places[2];
        double busbw_gb_s[2];
        for (int in_place = 0; in_place < 2; in_place++)
            places[in_place] = measure(o, c, job, shape, in_place, &failures);
        report_row(c, o, job, shape, places, busbw_gb_s);
        total_gb_s += busbw_gb_s[0] + busbw_gb_s[1];
        rows++;
        while (job->rank == o->stall_rank)
            pause();
        if (o->factor <= 1 && o->step_bytes == 0)
            break;
    }
    if (job->rank == 0)
        report_end(c, failures, total_gb_s / (2 * rows));
    return failures;
}

/* Have the first of a node's ranks that something is wrong with say it, and all know of it. */
static int all_well(MPI_Comm node, const char *wrong)
{
    int well = wrong == NULL;
    int ill = wrong != NULL;
    int ill_so_far = 0;
    MPI_Scan(&ill, &ill_so_far, 1, MPI_INT, MPI_SUM, node);
    if (wrong && ill_so_far == 1)
        fprintf(stderr, "collbench: %s: %s\n", member_self(0, 0).host, wrong);
    MPI_Allreduce(MPI_IN_PLACE, &well, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    return well;
}

/* Give the rank its place on its node, and its GPU; all go on, or none. */
static int take_place(const struct options *o, const struct job *job, struct place *p)
{
    MPI_Comm node;
    char error[1024];
    const char *wrong = NULL;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, job->rank, MPI_INFO_NULL, &node);
    MPI_Comm_rank(node, &p->local_rank);
    MPI_Comm_size(node, &p->local_ranks);
    if (o->nccl)
        wrong = gpu_open(&o->gpu, job->rank, p->local_rank, p->local_ranks, error, sizeof error);
    if (o->nccl && !wrong && o->type->nccl == NCCL_BFLOAT16 && gpu.nccl_version < NCCL_WITH_BFLOAT16)
        wrong = "NCCL 2.10.0 or later is needed for bfloat16";
    int well = all_well(node, wrong);
    MPI_Comm_free(&node);
    return well;
}

/* Have every rank know all the others. */
static int meet(const struct options *o, const struct job *job, struct place *p)
{
    char error[1024];
    const char *wrong = NULL;
    struct member own = member_self(p->local_rank, o->nccl);
    p->members = calloc((size_t)job->ranks, sizeof *p->members);
    if (!p->members)
        MPI_Abort(MPI_COMM_WORLD, EXIT_MEMORY);
    MPI_Allgather(&own, (int)sizeof own, MPI_BYTE, p->members, (int)sizeof own, MPI_BYTE, MPI_COMM_WORLD);
    for (int rank = 0; rank < job->ranks; rank++)
        member_clean(&p->members[rank]);
    if (!o->nccl)
        return 1;
    wrong = members_check(p->members, job->ranks, o->gpu.share, error, sizeof error);
    if (wrong && job->rank == 0)
        fprintf(stderr, "collbench: %s\n", wrong);
    p->most_on_one_gpu = members_most_on_one_gpu(p->members, job->ranks);
    return wrong == NULL;
}

static long long run_all(const struct options *o, const struct job *job, const struct place *p, int reduced)
{
    long long failures = 0;
    for (int i = 0; i < o->n_collectives; i++) {
        if (job->rank == 0) {
            report_start(o, o->collectives[i]);
            report_members(p->members, job->ranks, o->nccl);
            if (p->most_on_one_gpu > 1)
                report_shared_gpus(p->most_on_one_gpu);
            if (reduced)
                printf("#\n# Reducing maxBytes to %zu due to memory limitation\n", o->end_bytes);
            report_columns();
        }
        failures += run_collective(o, o->collectives[i], job);
    }
    return failures;
}

static int run(struct options *o, struct job *job)
{
    struct place p = {0};
    if (!take_place(o, job, &p) || !meet(o, job, &p)) {
        free(p.members);
        return EXIT_NO_GPU;
    }
    if (o->nccl)
        backend_nccl_start(job);
    size_t affordable = affordable_bytes(job, p.local_ranks);
    int reduced = o->end_bytes > affordable;
    if (reduced) {
        o->end_bytes = affordable;
        o->begin_bytes = o->begin_bytes > affordable ? affordable : o->begin_bytes;
    }
    if (!allocate(job, o->end_bytes))
        return EXIT_MEMORY;
    long long failures = run_all(o, job, &p, reduced);
    free(p.members);
    job->backend->release(job->send);
    job->backend->release(job->recv);
    if (o->nccl) {
        backend_nccl_end();
        gpu_close();
    }
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
        job.backend = options.nccl ? &backend_nccl : &backend_mpi;
        code = run(&options, &job);
    }
    return finish(code);
}

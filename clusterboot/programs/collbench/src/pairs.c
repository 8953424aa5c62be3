/* `collbench pairs`: its options, and its way from the first connection to the last line. */
#define _GNU_SOURCE
#include "gpu_task.h"
#include "pairs_measure.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DIFFERING 10

static const char usage[] =
    "usage: collbench pairs [options], one rank a node, or one a GPU\n"
    "  -s FILE  rounds, one a line: pairs of nodes such as 0-1 2-3 (a whole tournament)\n"
    "  -a LIST  the ranks' addresses, separated by commas: who cannot connect is not measured\n"
    "  -p PORT  for trying the connections (23171)\n"
    "  -e SIZE  largest message, in bytes or with K, M, G (4M)\n"
    "  -T S     seconds for a pair (0.5)    -M S  seconds for one whose samples differ (ten times as many)\n"
    "  -N S     seconds for a pair at least, however well its samples agree (0)\n"
    "  -L S     seconds without an answer until a pair is dead (5)\n"
    "  --nccl, --libnccl, --libcudart, --share-gpu  as without pairs\n";

enum { OPTION_NCCL = 256, OPTION_LIBNCCL, OPTION_LIBCUDART, OPTION_SHARE };

static const struct option long_options[] = {
    {"nccl", no_argument, NULL, OPTION_NCCL},
    {"libnccl", required_argument, NULL, OPTION_LIBNCCL},
    {"libcudart", required_argument, NULL, OPTION_LIBCUDART},
    {"share-gpu", no_argument, NULL, OPTION_SHARE},
    {NULL, 0, NULL, 0},
};

static int read_number(const char *text, double least, double most, double *value)
{
    char *end;
    *value = strtod(text, &end);
    return end != text && *end == '\0' && *value >= least && *value <= most;
}

static int read_option(int letter, const char *value, struct pairs_options *o)
{
    double port;
    switch (letter) {
    case 's': o->schedule = value; return 1;
    case 'a': o->addresses = value; return 1;
    case 'e': return read_size(value, &o->max_bytes) && o->max_bytes >= 1 && o->max_bytes <= (size_t)1 << 30;
    case 'T': return read_number(value, 0.001, 1e6, &o->budget_s);
    case 'M': return read_number(value, 0.001, 1e6, &o->most_s);
    case 'N': return read_number(value, 0, 1e6, &o->least_s);
    case 'L': return read_number(value, 0.1, 1e6, &o->stuck_s);
    case OPTION_NCCL: o->nccl = 1; return 1;
    case OPTION_LIBNCCL: o->gpu.nccl_paths = value; return 1;
    case OPTION_LIBCUDART: o->gpu.cuda_paths = value; return 1;
    case OPTION_SHARE: o->gpu.share = 1; return 1;
    case 'p':
        if (!read_number(value, 1, 65535, &port))
            return 0;
        o->port = (int)port;
        return 1;
    default: return 0;
    }
}

static const char *parse(int argc, char **argv, struct pairs_options *o, char *error, size_t error_size)
{
    int letter;
    opterr = 0; /* every rank parses; only one may speak */
    while ((letter = getopt_long(argc, argv, ":s:a:p:e:T:M:N:L:", long_options, NULL)) != -1) {
        if (letter == '?' || letter == ':') {
            snprintf(error, error_size, "%s '%s'", letter == ':' ? "no value for" : "unknown option",
                     argv[optind - 1]);
            return error;
        }
        if (!read_option(letter, optarg, o)) {
            snprintf(error, error_size, "bad value '%s' of option '%s'", optarg,
                     argv[optind - 1] == optarg ? argv[optind - 2] : argv[optind - 1]);
            return error;
        }
    }
    if (o->most_s < o->budget_s)
        o->most_s = o->most_s > 0 ? o->budget_s : DIFFERING * o->budget_s;
    if (optind == argc)
        return NULL;
    snprintf(error, error_size, "unknown argument '%s'", argv[optind]);
    return error;
}

static int lead(const struct pairs_options *o, const struct probe *probe)
{
    char error[256];
    struct rounds rounds = {0};
    const char *wrong = o->schedule ? rounds_read(o->schedule, probe->nodes, &rounds, error, sizeof error)
                                    : rounds_tournament(probe->nodes, &rounds, error, sizeof error);
    if (wrong) {
        fprintf(stderr, "collbench: %s\n", wrong);
        MPI_Abort(MPI_COMM_WORLD, EXIT_USAGE);
    }
    int lost = conduct(o, probe, &rounds);
    rounds_free(&rounds);
    return lost;
}

/* A rank that has no GPU or no memory is not measured, and the others are. */
static int get_ready(const struct pairs_options *o, const struct probe *probe, int rank)
{
    char error[1024];
    if (o->nccl && gpu_open(&o->gpu, rank, probe->local, probe->locals, error, sizeof error)) {
        fprintf(stderr, "collbench: %s: %s\n", member_self(0, 0).host, error);
        return 0;
    }
    if (o->nccl ? measure_allocate_nccl(o->max_bytes) : measure_allocate_mpi(o->max_bytes))
        return 1;
    fprintf(stderr, "collbench: rank %d: cannot allocate 2 x %zu bytes\n", rank, o->max_bytes);
    return 0;
}

int pairs_main(int argc, char **argv)
{
    struct pairs_options o = {.port = 23171, .max_bytes = 4 << 20, .budget_s = 0.5, .stuck_s = 5};
    struct probe probe = {0};
    char error[256];
    int rank;
    int ranks;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (parse(argc, argv, &o, error, sizeof error)) {
        if (rank == 0)
            fprintf(stderr, "collbench: %s\n%s", error, usage);
        return EXIT_USAGE;
    }
    if (probe_all(&o, rank, ranks, &probe, error, sizeof error)) {
        fprintf(stderr, "collbench: rank %d: %s\n", rank, error);
        MPI_Abort(MPI_COMM_WORLD, EXIT_USAGE);
    }
    probe.usable = get_ready(&o, &probe, rank);
    if (!probe.usable && rank == 0)
        MPI_Abort(MPI_COMM_WORLD, o.nccl ? EXIT_NO_GPU : EXIT_MEMORY);
    int lost = 0;
    if (rank == 0)
        lost = lead(&o, &probe);
    else
        follow(&o, &probe);
    free(probe.ranks);
    free(probe.alive);
    /* A rank that stopped never gets to MPI_Finalize, where all the others would wait for it. */
    if (lost)
        MPI_Abort(MPI_COMM_WORLD, EXIT_LOST);
    /* A thread that is still inside NCCL must not meet the libraries' own ends. */
    if (gpu_tasks_lost > 0) {
        MPI_Finalize();
        fflush(NULL);
        _exit(EXIT_OK);
    }
    return EXIT_OK;
}

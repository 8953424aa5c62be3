/* `collbench pairs`: its options, and its way from the first connection to the last line. */
#define _GNU_SOURCE
#include "collbench.h"
#include "pairs.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "usage: collbench pairs [options], one rank a node\n"
    "  -s FILE  rounds, one a line: pairs of nodes such as 0-1 2-3 (a whole tournament)\n"
    "  -a LIST  the nodes' addresses, separated by commas: who cannot connect is not measured\n"
    "  -p PORT  for trying the connections (23171)\n"
    "  -e SIZE  largest message, in bytes or with K, M, G (4M)\n"
    "  -T S     seconds for a pair (0.5)    -L S  seconds without an answer until it is dead (5)\n";

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
    case 'L': return read_number(value, 0.1, 1e6, &o->stuck_s);
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
    while ((letter = getopt(argc, argv, ":s:a:p:e:T:L:")) != -1) {
        if (letter == '?' || letter == ':') {
            snprintf(error, error_size, "%s '-%c'", letter == ':' ? "no value for" : "unknown option", optopt);
            return error;
        }
        if (!read_option(letter, optarg, o)) {
            snprintf(error, error_size, "bad value '%s' of option '-%c'", optarg, letter);
            return error;
        }
    }
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
    if (!measure_allocate(o.max_bytes)) {
        fprintf(stderr, "collbench: rank %d: cannot allocate 2 x %zu bytes\n", rank, o.max_bytes);
        MPI_Abort(MPI_COMM_WORLD, EXIT_MEMORY);
    }
    if (probe_all(&o, rank, ranks, &probe, error, sizeof error)) {
        fprintf(stderr, "collbench: rank %d: %s\n", rank, error);
        MPI_Abort(MPI_COMM_WORLD, EXIT_USAGE);
    }
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
    return EXIT_OK;
}

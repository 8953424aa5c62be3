/* The command line: nccl-tests' letters with nccl-tests' meaning, and a few of our own. */
#define _GNU_SOURCE
#include "collbench.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char options_usage[] =
    "usage: collbench [options], or collbench pairs [options]\n"
    "  -t COLLECTIVE[,...]  all_reduce (default), all_gather, reduce_scatter, broadcast, reduce,\n"
    "                       alltoall, sendrecv\n"
    "  -b SIZE  smallest size, in bytes or with K, M, G (32M)    -e SIZE  largest size (32M)\n"
    "  -f N     multiply the size by N each step                 -i SIZE  or add SIZE (1M)\n"
    "  -n N     timed iterations (20)                            -w N     warm-up iterations (5)\n"
    "  -c N     checks of the data at each size, 0 for none (1)  -r RANK  root (0)\n"
    "  -d TYPE  float (default), double, int32; with NCCL also half, bfloat16\n"
    "  -a N     the time is rank 0's (0), the mean (1), least (2) or greatest (3) of all ranks (3)\n"
    "  -T S     choose the iterations: -n to begin with, then more until the rate no longer falls; a size\n"
    "           takes about S seconds at most; 0 for exactly -n (0)\n"
    "  --nccl   NCCL over GPU memory; without it MPI over host memory\n"
    "  --libnccl FILE[:...]  --libcudart FILE[:...]  tried before what the loader finds by itself\n"
    "  --share-gpu  go on where a node has fewer GPUs than ranks: no measure of bandwidth\n";

enum { OPTION_CORRUPT = 256, OPTION_STALL, OPTION_NCCL, OPTION_LIBNCCL, OPTION_LIBCUDART, OPTION_SHARE };

/* The last two are for tests of what reads and watches this program; not in the usage. */
static const struct option long_options[] = {
    {"minbytes", required_argument, NULL, 'b'},   {"maxbytes", required_argument, NULL, 'e'},
    {"stepbytes", required_argument, NULL, 'i'},  {"stepfactor", required_argument, NULL, 'f'},
    {"iters", required_argument, NULL, 'n'},      {"warmup_iters", required_argument, NULL, 'w'},
    {"check", required_argument, NULL, 'c'},      {"root", required_argument, NULL, 'r'},
    {"datatype", required_argument, NULL, 'd'},   {"help", no_argument, NULL, 'h'},
    {"average", required_argument, NULL, 'a'},    {"nccl", no_argument, NULL, OPTION_NCCL},
    {"libnccl", required_argument, NULL, OPTION_LIBNCCL},
    {"libcudart", required_argument, NULL, OPTION_LIBCUDART},
    {"share-gpu", no_argument, NULL, OPTION_SHARE},
    {"corrupt", required_argument, NULL, OPTION_CORRUPT}, /* RANK spoils one element of its data */
    {"stall", required_argument, NULL, OPTION_STALL},     /* RANK stops after the first row */
    {NULL, 0, NULL, 0},
};

int read_size(const char *text, size_t *size)
{
    char *end;
    double value = strtod(text, &end);
    double unit = 1;
    if (end == text || !(value >= 0))
        return 0;
    switch (*end) {
    case 'G': case 'g': unit *= 1024; /* fall through */
    case 'M': case 'm': unit *= 1024; /* fall through */
    case 'K': case 'k': unit *= 1024; end++; break;
    default: break;
    }
    if (*end != '\0' || value * unit > 1e15)
        return 0;
    *size = (size_t)(value * unit);
    return 1;
}

static int read_int(const char *text, int least, int most, int *number)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < least || value > most)
        return 0;
    *number = (int)value;
    return 1;
}

static int read_seconds(const char *text, double *seconds)
{
    char *end;
    *seconds = strtod(text, &end);
    return end != text && *end == '\0' && *seconds >= 0 && *seconds <= 1e6;
}

static int read_collectives(const char *text, struct options *o)
{
    o->n_collectives = 0;
    for (;;) {
        size_t length = strcspn(text, ",");
        const struct collective *found = collective_find(text, length);
        if (!found || o->n_collectives == MAX_COLLECTIVES)
            return 0;
        o->collectives[o->n_collectives++] = found;
        if (text[length] == '\0')
            return 1;
        text += length + 1;
    }
}

static int read_option(int letter, const char *value, int ranks, struct options *o)
{
    int factor;
    switch (letter) {
    case 't': return read_collectives(value, o);
    case 'b': return read_size(value, &o->begin_bytes);
    case 'e': return read_size(value, &o->end_bytes);
    case 'i': return read_size(value, &o->step_bytes);
    case 'f':
        if (!read_int(value, 1, 1 << 20, &factor))
            return 0;
        o->factor = (size_t)factor;
        return 1;
    case 'n': return read_int(value, 1, INT_MAX, &o->iterations);
    case 'w': return read_int(value, 0, INT_MAX, &o->warmup);
    case 'c': return read_int(value, 0, INT_MAX, &o->checks);
    case 'r': return read_int(value, 0, ranks - 1, &o->root);
    case 'd': o->type = dtype_find(value); return o->type != NULL;
    case 'T': return read_seconds(value, &o->cap_s);
    case 'a': return read_int(value, AVERAGE_RANK0, AVERAGE_MAX, &o->average);
    case OPTION_NCCL: o->nccl = 1; return 1;
    case OPTION_SHARE: o->gpu.share = 1; return 1;
    case OPTION_LIBNCCL: o->gpu.nccl_paths = value; return 1;
    case OPTION_LIBCUDART: o->gpu.cuda_paths = value; return 1;
    case OPTION_CORRUPT: return read_int(value, 0, INT_MAX, &o->corrupt_rank);
    case OPTION_STALL: return read_int(value, 0, INT_MAX, &o->stall_rank);
    default: return 0;
    }
}

static const char *check_sizes(const struct options *o, char *error, size_t error_size)
{
    size_t most = (size_t)INT_MAX * o->type->size;
    if (o->begin_bytes > o->end_bytes)
        snprintf(error, error_size, "-b %zu is larger than -e %zu", o->begin_bytes, o->end_bytes);
    else if (!o->nccl && o->type->mpi == MPI_DATATYPE_NULL)
        snprintf(error, error_size, "-d %s: MPI has no such type; --nccl has", o->type->name);
    else if (!o->nccl && o->end_bytes > most)
        snprintf(error, error_size, "-e %zu: an MPI call counts to %d elements, %zu bytes of %s", o->end_bytes,
                 INT_MAX, most, o->type->name);
    else if (o->begin_bytes == 0 && o->factor > 1)
        snprintf(error, error_size, "-b 0 stays 0 however often it is multiplied by -f %zu", o->factor);
    else if (o->factor <= 1 && o->step_bytes == 0 && o->begin_bytes != o->end_bytes)
        snprintf(error, error_size, "-i 0 never gets from -b to -e");
    else
        return NULL;
    return error;
}

const char *options_parse(int argc, char **argv, int ranks, struct options *o, char *error, size_t error_size)
{
    *o = (struct options){.begin_bytes = 32 << 20, .end_bytes = 32 << 20, .step_bytes = 1 << 20, .factor = 1,
                          .iterations = 20, .warmup = 5, .checks = 1, .n_collectives = 1, .average = AVERAGE_MAX,
                          .corrupt_rank = -1, .stall_rank = -1};
    o->collectives[0] = collective_find("all_reduce", strlen("all_reduce"));
    o->type = dtype_find("float");
    opterr = 0; /* every rank parses; only one may speak */
    int letter;
    while ((letter = getopt_long(argc, argv, ":t:b:e:i:f:n:w:c:r:d:a:T:h", long_options, NULL)) != -1) {
        if (letter == 'h') {
            o->help = 1;
            return NULL;
        }
        if (letter == '?' || letter == ':') {
            snprintf(error, error_size, "%s '%s'", letter == ':' ? "no value for" : "unknown option",
                     argv[optind - 1]);
            return error;
        }
        if (!read_option(letter, optarg, ranks, o)) {
            snprintf(error, error_size, "bad value '%s' of option '%s'", optarg,
                     argv[optind - 1] == optarg ? argv[optind - 2] : argv[optind - 1]);
            return error;
        }
    }
    if (optind < argc) {
        snprintf(error, error_size, "unknown argument '%s'", argv[optind]);
        return error;
    }
    return check_sizes(o, error, error_size);
}

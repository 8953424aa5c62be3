/* clusterboot's collective benchmark: MPI collectives over host memory, NCCL's over GPU memory.
 *
 * It measures and prints as nccl-tests does (sizes, counts, bandwidth factors, the mean time
 * over ranks, the table's layout), so that one reader serves both; its header says what it
 * is, so that MPI's figures are never taken for NCCL's. Built with `mpicc` and nothing else:
 * CUDA and NCCL are loaded when the program runs.
 * Rules of size, count and bandwidth: nccl-tests, src/<collective>.cu and doc/PERFORMANCE.md.
 */
#ifndef COLLBENCH_H
#define COLLBENCH_H

#include <mpi.h>
#include <stddef.h>

#include "gpu.h"

#define COLLBENCH_VERSION "0.2"
#define MAX_COLLECTIVES 7
#define HOST_LENGTH 64
#define GPU_NAME_LENGTH 64

enum exit_code { EXIT_OK = 0, EXIT_WRONG_DATA = 1, EXIT_USAGE = 2, EXIT_MEMORY = 3, EXIT_LOST = 4, EXIT_NO_GPU = 5 };

enum element { ELEMENT_FLOAT, ELEMENT_DOUBLE, ELEMENT_INT32, ELEMENT_HALF, ELEMENT_BFLOAT16 };

struct dtype {
    const char *name; /* nccl-tests' word for it */
    enum element element;
    size_t size;
    MPI_Datatype mpi; /* MPI_DATATYPE_NULL where MPI has no such type */
    int nccl;
};

/* What one size means for one collective; counts are elements. */
struct shape {
    size_t send;  /* a rank's whole input */
    size_t recv;  /* a rank's whole output */
    size_t param; /* the count given to the call, and printed */
};

struct backend;

struct job {
    int rank;
    int ranks;
    int root;
    const struct dtype *type;
    const struct backend *backend;
    void *send; /* in the backend's memory */
    void *recv;
};

enum collective_kind { ALL_REDUCE, ALL_GATHER, REDUCE_SCATTER, BROADCAST, REDUCE, ALLTOALL, SENDRECV };

struct collective {
    const char *name;
    enum collective_kind kind;
    int split;            /* the size is divided among the ranks */
    int reduces;          /* sums over ranks */
    int rooted;
    int checked_in_place; /* nccl-tests prints N/A for those that are not */
    double (*bus_factor)(int ranks);
};

/* What carries the data, and in whose memory it is. */
struct backend {
    int on_gpu; /* reduce_scatter in place leaves its result where the rank's own block stood, as NCCL wants it */
    size_t most_count; /* elements that one call takes */
    size_t (*affordable)(int local_ranks); /* bytes that this rank can have in each buffer */
    void *(*allocate)(size_t bytes);       /* zeroed; NULL where there is not so much */
    void (*release)(void *memory);
    void (*put)(void *to, const void *from, size_t bytes); /* from the host's memory */
    void (*get)(void *to, const void *from, size_t bytes); /* to the host's memory */
    void (*fill)(void *to, int byte, size_t bytes);
    /* Run it `times` times one after the other, all ranks together. Gives the seconds from when all
     * were ready until all had everything: no rank's clock stops before the last byte has arrived
     * at the last rank, and the earliest rank's runs since before the first was sent. So the longest
     * of the ranks' times is never too short; it is too long by what one barrier takes. */
    double (*repeat)(const struct collective *c, const struct job *job, size_t count, int in_place, int times);
};

/* How nccl-tests' -a puts the ranks' times together. */
enum average { AVERAGE_RANK0, AVERAGE_MEAN, AVERAGE_MIN, AVERAGE_MAX };

struct options {
    const struct collective *collectives[MAX_COLLECTIVES];
    int n_collectives;
    size_t begin_bytes;
    size_t end_bytes;
    size_t step_bytes;
    size_t factor;
    int iterations;
    int warmup;
    int checks;
    int root;
    int average;
    double cap_s; /* choose the iterations: until the rate is steady, but so long a size at most; 0 for those given */
    const struct dtype *type;
    int nccl; /* NCCL over GPU memory instead of MPI over host memory */
    struct gpu_options gpu;
    int corrupt_rank; /* for tests: this rank spoils its data; -1 for none */
    int stall_rank;   /* for tests: this rank stops after the first row; -1 for none */
    int help;
};

struct placement {
    double time_s;
    long long wrong; /* elements over all ranks; -1 for not checked */
};

/* Who a rank is, for the list of ranks. */
struct member {
    char host[HOST_LENGTH];
    int pid;
    int device; /* the local rank where there is no GPU */
    int nccl_version;
    unsigned char uuid[CUDA_UUID_BYTES];
    char bus_id[32];
    char name[GPU_NAME_LENGTH];
};

/* options.c: returns NULL, or what is wrong in `error`. */
const char *options_parse(int argc, char **argv, int ranks, struct options *o, char *error, size_t error_size);
int read_size(const char *text, size_t *size);
extern const char options_usage[];

/* collectives.c */
const struct collective *collective_find(const char *name, size_t length);
const struct dtype *dtype_find(const char *name);
struct shape collective_shape(const struct collective *c, size_t size_bytes, const struct dtype *type, int ranks);

/* backend_mpi.c, backend_nccl.c */
extern const struct backend backend_mpi;
extern const struct backend backend_nccl;
void backend_nccl_start(const struct job *job); /* all ranks together */
void backend_nccl_end(void);

/* pattern.c */
void pattern_prepare(const struct collective *c, const struct job *job, struct shape shape, int in_place, unsigned rep);
void pattern_spoil(const struct collective *c, const struct job *job, struct shape shape, int in_place);
long long pattern_wrong(const struct collective *c, const struct job *job, struct shape shape, int in_place,
                        unsigned rep);

/* measure.c */
struct placement measure(const struct options *o, const struct collective *c, const struct job *job,
                         struct shape shape, int in_place, long long *failures);

/* members.c: who the ranks are, and whether they can go together. */
struct member member_self(int local_rank, int on_gpu);
void member_clean(struct member *m);
int members_same_gpu(const struct member *one, const struct member *other);
int members_most_on_one_gpu(const struct member *all, int n);
void members_say_library(char *text, size_t size, int on_gpu);
/* Returns NULL, or why these ranks cannot use NCCL together, in `error`. */
const char *members_check(const struct member *all, int n, int share, char *error, size_t error_size);

/* report.c: only rank 0 calls it, but report_row. */
void report_start(const struct options *o, const struct collective *c);
void report_members(const struct member *all, int ranks, int on_gpu);
void report_shared_gpus(int most_on_one);
void report_columns(void);
void report_row(const struct collective *c, const struct options *o, const struct job *job, struct shape shape,
                const struct placement places[2], double busbw_gb_s[2]);
void report_end(const struct collective *c, long long failures, double mean_busbw_gb_s);

/* finish.c: takes MPI down, also where it would not come down by itself; gives `code` back. */
int finish(int code);

#endif

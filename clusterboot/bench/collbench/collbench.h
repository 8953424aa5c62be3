/* clusterboot's collective benchmark: MPI collectives over host memory.
 *
 * It measures and prints as nccl-tests does (sizes, counts, bandwidth factors, the mean time
 * over ranks, the table's layout), so that one reader serves both; its header says what it
 * is, so that its figures are never taken for NCCL's. Built with `mpicc` and nothing else.
 * Rules of size, count and bandwidth: nccl-tests, src/<collective>.cu and doc/PERFORMANCE.md.
 */
#ifndef COLLBENCH_H
#define COLLBENCH_H

#include <mpi.h>
#include <stddef.h>

#define COLLBENCH_VERSION "0.1"
#define MAX_COLLECTIVES 7

enum exit_code { EXIT_OK = 0, EXIT_WRONG_DATA = 1, EXIT_USAGE = 2, EXIT_MEMORY = 3, EXIT_LOST = 4 };

enum element { ELEMENT_FLOAT, ELEMENT_DOUBLE, ELEMENT_INT32 };

struct dtype {
    const char *name; /* nccl-tests' word for it */
    enum element element;
    size_t size;
    MPI_Datatype mpi;
};

/* What one size means for one collective; counts are elements. */
struct shape {
    size_t send;  /* a rank's whole input */
    size_t recv;  /* a rank's whole output */
    size_t param; /* the count given to the call, and printed */
};

struct job {
    int rank;
    int ranks;
    int root;
    const struct dtype *type;
    void *send;
    void *recv;
};

struct collective {
    const char *name;
    int split;            /* the size is divided among the ranks */
    int reduces;          /* sums over ranks */
    int rooted;
    int checked_in_place; /* nccl-tests prints N/A for those that are not */
    void (*run)(const struct job *job, int count, int in_place);
    double (*bus_factor)(int ranks);
};

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
    double cap_s; /* the most one size may take; 0 for no cap */
    const struct dtype *type;
    int corrupt_rank; /* for tests: this rank spoils its data; -1 for none */
    int stall_rank;   /* for tests: this rank stops after the first row; -1 for none */
    int help;
};

struct placement {
    double time_s;
    long long wrong; /* elements over all ranks; -1 for not checked */
};

/* options.c: returns NULL, or what is wrong in `error`. */
const char *options_parse(int argc, char **argv, int ranks, struct options *o, char *error, size_t error_size);
int read_size(const char *text, size_t *size);
extern const char options_usage[];

/* collectives.c */
const struct collective *collective_find(const char *name, size_t length);
const struct dtype *dtype_find(const char *name);
struct shape collective_shape(const struct collective *c, size_t size_bytes, const struct dtype *type, int ranks);

/* pattern.c */
void pattern_prepare(const struct collective *c, const struct job *job, struct shape shape, int in_place, unsigned rep);
void pattern_spoil(const struct collective *c, const struct job *job, struct shape shape, int in_place);
long long pattern_wrong(const struct collective *c, const struct job *job, struct shape shape, unsigned rep);

/* measure.c */
struct placement measure(const struct options *o, const struct collective *c, const struct job *job,
                         struct shape shape, int in_place, long long *failures);

/* report.c: only rank 0 prints; all ranks must call report_devices. */
void report_start(const struct options *o, const struct collective *c);
void report_devices(const struct job *job, int local_rank);
void report_columns(void);
void report_row(const struct collective *c, const struct options *o, const struct job *job, struct shape shape,
                const struct placement places[2], double busbw_gbps[2]);
void report_end(const struct collective *c, long long failures, double mean_busbw_gbps);

/* finish.c: takes MPI down, also where it would not come down by itself; gives `code` back. */
int finish(int code);

#endif

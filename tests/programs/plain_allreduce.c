/* The loop that everybody writes to time an all-reduce, and nothing around it, beside the program that
 * is held against it: preloaded into that, it takes a turn on the same buffers before each of its
 * series. What the machine does meanwhile, and where the buffers lie in memory, is then the same for
 * both; between two processes these alone make 10%. Rank 0 prints "# plain" and the mean of all ranks
 * in microseconds. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

static int setting(const char *name)
{
    const char *value = getenv(name);
    return value ? atoi(value) : 1;
}

int MPI_Allreduce(const void *send, void *recv, int count, MPI_Datatype type, MPI_Op op, MPI_Comm comm)
{
    static int calls;
    int iterations = setting("PLAIN_ITERATIONS");
    int bytes;
    MPI_Type_size(type, &bytes);
    /* Not what is only told around, nor what is in place. */
    int measured = (double)count * bytes >= 1 << 20 && send != MPI_IN_PLACE;
    if (measured && calls++ % setting("PLAIN_EVERY") == 0) {
        for (int i = setting("PLAIN_WARMUP"); i > 0; i--)
            PMPI_Allreduce(send, recv, count, type, op, comm);
        MPI_Barrier(comm);
        double start = MPI_Wtime();
        for (int i = 0; i < iterations; i++)
            PMPI_Allreduce(send, recv, count, type, op, comm);
        double mine = (MPI_Wtime() - start) / iterations;
        double sum = 0;
        int rank;
        int ranks;
        MPI_Comm_rank(comm, &rank);
        MPI_Comm_size(comm, &ranks);
        PMPI_Reduce(&mine, &sum, 1, MPI_DOUBLE, MPI_SUM, 0, comm);
        if (rank == 0)
            printf("# plain %.3f\n", sum / ranks * 1e6);
    }
    return PMPI_Allreduce(send, recv, count, type, op, comm);
}

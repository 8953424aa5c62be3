/* The loop that everybody writes to time an all-reduce, without anything around it: one size,
 * some iterations to warm up, then the mean of all ranks. Prints microseconds. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    size_t bytes = argc > 1 ? (size_t)atol(argv[1]) : 1 << 22;
    int iterations = argc > 2 ? atoi(argv[2]) : 20;
    int warmup = argc > 3 ? atoi(argv[3]) : 5;
    int rank;
    int ranks;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    float *send = aligned_alloc(4096, bytes);
    float *recv = aligned_alloc(4096, bytes);
    int count = (int)(bytes / sizeof(float));
    for (int i = 0; i < count; i++)
        send[i] = recv[i] = (float)rank;
    for (int i = 0; i < warmup; i++)
        MPI_Allreduce(send, recv, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    MPI_Barrier(MPI_COMM_WORLD);
    double start = MPI_Wtime();
    for (int i = 0; i < iterations; i++)
        MPI_Allreduce(send, recv, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    double mine = (MPI_Wtime() - start) / iterations;
    double sum = 0;
    MPI_Reduce(&mine, &sum, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    if (rank == 0)
        printf("%.3f\n", sum / ranks * 1e6);
    free(send);
    free(recv);
    MPI_Finalize();
    return 0;
}

/* A link with a rate and a burst, preloaded between collbench and MPI: what tc-tbf(8) does to the packets of
 * a node is done to the calls of a rank, so that no time of the machine's own decides a test.
 *
 * SHAPED_BYTES_PER_S is the rate, SHAPED_BURST_BYTES what passes at once after a pause. With
 * SHAPED_LATE_US every rank but the root of a broadcast gets its data so much later than the root has sent
 * it, as where the data waits in buffers. */
#define _POSIX_C_SOURCE 200809L
#include <mpi.h>
#include <stdlib.h>
#include <time.h>

static double setting(const char *name)
{
    const char *value = getenv(name);
    return value ? atof(value) : 0;
}

static void sleep_s(double seconds)
{
    struct timespec nap = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&nap, NULL);
}

static void pass(int count, MPI_Datatype type)
{
    static double saved_bytes;
    static double last_s;
    double rate = setting("SHAPED_BYTES_PER_S");
    double burst_bytes = setting("SHAPED_BURST_BYTES");
    int each;
    MPI_Type_size(type, &each);
    if (rate <= 0)
        return;
    double now_s = MPI_Wtime();
    saved_bytes = last_s > 0 ? saved_bytes + (now_s - last_s) * rate : burst_bytes;
    saved_bytes = (saved_bytes > burst_bytes ? burst_bytes : saved_bytes) - (double)count * each;
    last_s = now_s;
    if (saved_bytes < 0)
        sleep_s(-saved_bytes / rate);
}

int MPI_Sendrecv(const void *send, int send_count, MPI_Datatype send_type, int to, int send_tag, void *recv,
                 int recv_count, MPI_Datatype recv_type, int from, int recv_tag, MPI_Comm comm, MPI_Status *status)
{
    pass(send_count, send_type);
    return PMPI_Sendrecv(send, send_count, send_type, to, send_tag, recv, recv_count, recv_type, from, recv_tag, comm,
                         status);
}

int MPI_Bcast(void *data, int count, MPI_Datatype type, int root, MPI_Comm comm)
{
    int rank;
    MPI_Comm_rank(comm, &rank);
    if (rank != root)
        sleep_s(setting("SHAPED_LATE_US") / 1e6);
    return PMPI_Bcast(data, count, type, root, comm);
}

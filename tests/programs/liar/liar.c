/* A rank of an all-pairs run that speaks for the others, out of turn and out of bounds. */
#define _POSIX_C_SOURCE 200809L
#include "pairs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void claim(int node, int ranks)
{
    size_t bytes = sizeof(struct info) + (size_t)ranks;
    char *message = calloc(bytes, 1);
    struct info forged = {.node = node, .rank = 1, .usable = 1, .member = {.pid = 1}};
    snprintf(forged.member.host, sizeof forged.member.host, "x\npair 0 0 1 0 0 0 0\ny");
    memset(forged.member.name, 'A', sizeof forged.member.name);
    memcpy(message, &forged, sizeof forged);
    MPI_Send(message, (int)bytes, MPI_BYTE, 0, TAG_INFO, MPI_COMM_WORLD);
    free(message);
}

static void report(int round, int node, int samples)
{
    static struct report forged;
    forged.round = round;
    forged.node = node;
    forged.rates.dead = samples == 0;
    forged.rates.out.n = forged.rates.both_out.n = samples;
    MPI_Send(&forged, (int)sizeof forged, MPI_BYTE, 0, TAG_REPORT, MPI_COMM_WORLD);
}

int main(int argc, char **argv)
{
    int rank;
    int ranks;
    struct control told;
    MPI_Comm machine;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    /* As all ranks do at first where no addresses are given. */
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &machine);
    MPI_Comm_free(&machine);
    printf("pair    0     0     1           0           0           0          0\n# round 0\n");
    fflush(stdout);
    do {
        MPI_Recv(&told, (int)sizeof told, MPI_BYTE, 0, TAG_CONTROL, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        if (told.op == CONTROL_HELLO) {
            for (int node = -1; node < ranks + 1; node++)
                if (node != rank)
                    claim(node, ranks);
            claim(1 << 20, ranks);
            claim(rank, ranks);
            for (int round = 0; round < ranks; round++)
                for (int node = -1; node < ranks; node++)
                    if (node != rank)
                        report(round, node, 0);
            report(0, 1 << 28, 0);
        }
        if (told.op == CONTROL_ROUND)
            report(told.round, rank, 1 << 30);
    } while (told.op != CONTROL_END);
    MPI_Finalize();
    return 0;
}

/* Who the ranks are, and whether they can use NCCL together. */
#define _POSIX_C_SOURCE 200809L
#include "collbench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct member member_self(int local_rank, int on_gpu)
{
    struct member own = {.pid = (int)getpid(), .device = local_rank};
    if (gethostname(own.host, sizeof own.host) != 0 || !own.host[0])
        snprintf(own.host, sizeof own.host, "unknown");
    own.host[sizeof own.host - 1] = '\0';
    own.host[strcspn(own.host, ".")] = '\0';
    if (on_gpu) {
        own.device = gpu.device;
        own.nccl_version = gpu.nccl_version;
        memcpy(own.uuid, gpu.uuid, sizeof own.uuid);
        memcpy(own.bus_id, gpu.bus_id, sizeof own.bus_id);
        snprintf(own.name, sizeof own.name, "%.*s", (int)sizeof own.name - 1, gpu.name);
    }
    return own;
}

static void clean(char *text, size_t size)
{
    text[size - 1] = '\0';
    for (char *at = text; *at; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
}

/* What another rank says of itself is printed by rank 0: a name with a line's end in it would print a
 * line of its own making. A name has no blanks, which part the words of a line. */
void member_clean(struct member *m)
{
    clean(m->host, sizeof m->host);
    clean(m->bus_id, sizeof m->bus_id);
    clean(m->name, sizeof m->name);
    for (char *at = m->host; *at; at++)
        if (*at == ' ')
            *at = '?';
}

/* By UUID, for containers and namespaces of one machine see one GPU under several hosts' names. */
int members_same_gpu(const struct member *one, const struct member *other)
{
    static const unsigned char none[CUDA_UUID_BYTES];
    if (memcmp(one->uuid, none, sizeof none) != 0 || memcmp(other->uuid, none, sizeof none) != 0)
        return memcmp(one->uuid, other->uuid, sizeof one->uuid) == 0;
    return strcmp(one->host, other->host) == 0 && strcmp(one->bus_id, other->bus_id) == 0;
}

static int by_gpu(const void *one, const void *other)
{
    const struct member *a = one;
    const struct member *b = other;
    int order = memcmp(a->uuid, b->uuid, sizeof a->uuid);
    if (order == 0 && !members_same_gpu(a, b))
        order = strcmp(a->host, b->host) ? strcmp(a->host, b->host) : strcmp(a->bus_id, b->bus_id);
    return order;
}

int members_most_on_one_gpu(const struct member *all, int n)
{
    struct member *sorted = malloc((size_t)n * sizeof *sorted);
    int most = 1;
    if (!sorted)
        MPI_Abort(MPI_COMM_WORLD, EXIT_MEMORY);
    memcpy(sorted, all, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, by_gpu);
    for (int i = 1, run = 1; i < n; i++) {
        run = members_same_gpu(&sorted[i - 1], &sorted[i]) ? run + 1 : 1;
        most = run > most ? run : most;
    }
    free(sorted);
    return most;
}

void members_say_library(char *text, size_t size, int on_gpu)
{
    if (on_gpu) {
        char nccl[24];
        char runtime[24];
        char driver[24];
        nccl_version_text(gpu.nccl_version, nccl, sizeof nccl);
        cuda_version_text(gpu.cuda_version, runtime, sizeof runtime);
        cuda_version_text(gpu.driver_version, driver, sizeof driver);
        snprintf(text, size, "NCCL %s, GPU memory; %s, CUDA runtime %s, driver for CUDA %s", nccl, gpu.nccl_path,
                 runtime, driver);
        return;
    }
    char library[MPI_MAX_LIBRARY_VERSION_STRING];
    int length;
    MPI_Get_library_version(library, &length);
    library[strcspn(library, ",\n\r")] = '\0';
    snprintf(text, size, "MPI, host memory; %s", library);
}

const char *members_check(const struct member *all, int n, int share, char *error, size_t error_size)
{
    for (int i = 1; i < n; i++)
        if (all[i].nccl_version != all[0].nccl_version) {
            char first[24];
            char other[24];
            nccl_version_text(all[0].nccl_version, first, sizeof first);
            nccl_version_text(all[i].nccl_version, other, sizeof other);
            snprintf(error, error_size, "Incompatible NCCL versions: %s on %s, %s on %s", first, all[0].host, other,
                     all[i].host);
            return error;
        }
    int most = members_most_on_one_gpu(all, n);
    if (most == 1 || share)
        return NULL;
    snprintf(error, error_size, "too few GPUs: %d ranks were given the same one", most);
    return error;
}

/* The stand-in's communicators: how ranks find each other, whom it refuses, and the end. */
#define _GNU_SOURCE
#include "fake_nccl.h"
#include "fake_wire.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ID_MAGIC 0x1dd1u

typedef struct {
    unsigned magic;
    int port;
    uint32_t address;
    char rest[116];
} unique_id; /* 128 bytes, as ncclUniqueId */

__thread int fake_group_depth;
__thread int fake_group_error;
static char last_error[160];

int fake_fail(int result, const char *words)
{
    snprintf(last_error, sizeof last_error, "%s", words);
    if (fake_group_depth > 0 && fake_group_error == NCCL_OK)
        fake_group_error = result;
    return result;
}

void fake_sleep_s(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&t, NULL);
}

double fake_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int ncclGetVersion(int *version)
{
    const char *text = getenv("FAKE_NCCL_VERSION");
    *version = text ? atoi(text) : 22105;
    return NCCL_OK;
}

const char *ncclGetErrorString(int error)
{
    static const char *const words[] = {"no error",         "unhandled cuda error",
                                        "unhandled system error", "internal error",
                                        "invalid argument", "invalid usage",
                                        "remote process exited or there was a network error"};
    return error >= 0 && error <= REMOTE_ERROR ? words[error] : "unknown result code";
}

const char *ncclGetLastError(void *comm)
{
    (void)comm;
    return last_error;
}

static void *introduce(void *argument)
{
    fake_introduce((int)(intptr_t)argument);
    return NULL;
}

int ncclGetUniqueId(unique_id *id)
{
    pthread_t thread;
    memset(id, 0, sizeof *id);
    id->magic = ID_MAGIC;
    id->address = fake_own_address();
    int listener = id->address ? fake_listen(id->address, &id->port) : -1;
    if (listener < 0)
        return fake_fail(SYSTEM_ERROR, "Bootstrap : no socket interface found");
    pthread_create(&thread, NULL, introduce, (void *)(intptr_t)listener);
    pthread_detach(thread);
    return NCCL_OK;
}

static struct fake_peer self(int rank, int ranks, int device)
{
    struct fake_peer own = {.rank = rank, .ranks = ranks, .address = fake_own_address()};
    const char *named = getenv("NCCL_HOSTID");
    ncclGetVersion(&own.version);
    if (named)
        snprintf(own.host_id, sizeof own.host_id, "%s", named);
    else
        gethostname(own.host_id, sizeof own.host_id - 1);
    fake_bus_id(device, own.bus_id, sizeof own.bus_id);
    return own;
}

static int refuse(const struct fake_peer *all, int rank)
{
    for (int i = 0; i < all[rank].ranks; i++) {
        if (all[i].version != all[rank].version)
            return fake_fail(INVALID_USAGE, "Mismatched NCCL version detected");
        if (i != rank && strcmp(all[i].host_id, all[rank].host_id) == 0 &&
            strcmp(all[i].bus_id, all[rank].bus_id) == 0)
            return fake_fail(INVALID_USAGE, "Duplicate GPU detected");
    }
    return NCCL_OK;
}

/* The lower rank of two listens, the higher calls and says who it is. */
static int connect_all(struct comm *c, const struct fake_peer *all, int listener)
{
    for (int peer = 0; peer < c->rank; peer++) {
        c->sockets[peer] = fake_connect(all[peer].address, all[peer].port);
        if (c->sockets[peer] < 0 || !fake_write(c->sockets[peer], &c->rank, sizeof c->rank))
            return 0;
    }
    for (int n = c->rank + 1; n < c->ranks; n++) {
        int peer;
        int fd = fake_accept(listener);
        if (fd < 0 || !fake_read(fd, &peer, sizeof peer))
            return 0;
        c->sockets[peer] = fd;
    }
    return 1;
}

int ncclCommInitRank(struct comm **comm, int ranks, unique_id id, int rank)
{
    int device = fake_current_device();
    if (id.magic != ID_MAGIC || ranks < 1 || rank < 0 || rank >= ranks)
        return fake_fail(INVALID_ARGUMENT, "bad identifier or rank");
    while (fake_is_named("FAKE_NCCL_DEAF", device))
        pause();
    struct fake_peer own = self(rank, ranks, device);
    struct fake_peer *all = calloc((size_t)ranks, sizeof *all);
    struct comm *c = calloc(1, sizeof *c);
    *c = (struct comm){.magic = COMM_MAGIC, .rank = rank, .ranks = ranks, .device = device};
    c->sockets = calloc((size_t)ranks, sizeof *c->sockets);
    memset(c->sockets, 0xff, (size_t)ranks * sizeof *c->sockets);
    int listener = fake_listen(own.address, &own.port);
    int root = fake_connect(id.address, id.port);
    int result = SYSTEM_ERROR;
    if (listener >= 0 && root >= 0 && fake_write(root, &own, sizeof own) &&
        fake_read(root, all, (size_t)ranks * sizeof *all)) {
        result = refuse(all, rank);
        if (result == NCCL_OK && !connect_all(c, all, listener))
            result = SYSTEM_ERROR;
    }
    close(root);
    close(listener);
    free(all);
    if (result != NCCL_OK) {
        free(c->sockets);
        free(c);
        return result;
    }
    *comm = c;
    return NCCL_OK;
}

/* The record stays, so that whoever uses it afterwards is found out. */
static int end(struct comm *c, int abort)
{
    if (!c || c->magic != COMM_MAGIC)
        return fake_fail(INVALID_ARGUMENT, "the communicator is not one");
    if (c->under_way && !abort)
        return fake_fail(INVALID_USAGE, "the communicator is in use");
    c->stop = 1;
    while (c->under_way)
        fake_sleep_s(0.001);
    for (int peer = 0; peer < c->ranks; peer++)
        if (c->sockets[peer] >= 0)
            close(c->sockets[peer]);
    free(c->sockets);
    c->magic = 0;
    return NCCL_OK;
}

int ncclCommDestroy(struct comm *c)
{
    return end(c, 0);
}

int ncclCommAbort(struct comm *c)
{
    return end(c, 1);
}

int ncclCommGetAsyncError(struct comm *c, int *error)
{
    if (!c || c->magic != COMM_MAGIC)
        return fake_fail(INVALID_ARGUMENT, "the communicator is not one");
    *error = c->error;
    return NCCL_OK;
}

/* This rank's device, its memory and its stream. Everything is queued on one stream, so that
 * copies, collectives and events happen in the order in which they are written here. */
#define _POSIX_C_SOURCE 200809L
#include "collbench.h"
#include "gpu.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOKS_BETWEEN_ERRORS 64
/* Events tell the time, so that whoever waits may leave the core to NCCL's own threads. */
#define LOOKS_AT_ONCE 256
#define NAP_NS 20000

struct gpu gpu;

static void own_host(char *host, size_t size)
{
    if (gethostname(host, size) != 0)
        snprintf(host, size, "unknown");
    host[size - 1] = '\0';
    host[strcspn(host, ".")] = '\0';
}

/* The words before the quotes are nccl-tests': whoever reads its logs reads these as well. */
_Noreturn void gpu_give_up(const char *library, const char *words, const char *call, const char *more)
{
    char host[64];
    own_host(host, sizeof host);
    fflush(stdout);
    fprintf(stderr, "%s: Test %s failure '%s%s%s' in %s of rank %d\n", host, library, words, *more ? ": " : "", more,
            call, gpu.rank);
    MPI_Abort(MPI_COMM_WORLD, EXIT_LOST);
    abort();
}

void cuda_must(int result, const char *call)
{
    if (result != CUDA_SUCCESS)
        gpu_give_up("CUDA", gpu.cuda.cudaGetErrorString(result), call, "");
}

void nccl_must(int result, nccl_comm comm, const char *call)
{
    if (result == NCCL_SUCCESS)
        return;
    const char *more = gpu.nccl.ncclGetLastError ? gpu.nccl.ncclGetLastError(comm) : NULL;
    gpu_give_up("NCCL", gpu.nccl.ncclGetErrorString(result), call, more ? more : "");
}

/* NCCL takes ranks with another host's name for ranks of another host: then two of them may use
 * one GPU, and talk to each other over sockets. It looks at the variable once, at its first call.
 * Source: NCCL's src/misc/utils.cc (getHostHash) and src/init.cc, "Duplicate GPU detected". */
static void pose_as_own_host(int rank)
{
    char host[64];
    char id[96];
    own_host(host, sizeof host);
    snprintf(id, sizeof id, "clusterboot-%s-%d", host, rank);
    setenv("NCCL_HOSTID", id, 1);
    setenv("NCCL_MNNVL_ENABLE", "0", 1);
}

/* Not MPI_Wtime: threads beside MPI's own ask. */
double clock_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const char *look(const struct gpu_options *o, int rank, int local_rank, int local_ranks, char *error,
                        size_t error_size)
{
    int result = gpu.cuda.cudaGetDeviceCount(&gpu.devices);
    if (result != CUDA_SUCCESS) {
        snprintf(error, error_size, "no GPU can be used: %s", gpu.cuda.cudaGetErrorString(result));
        return error;
    }
    gpu.shared = local_ranks > gpu.devices;
    if (gpu.devices < 1 || (gpu.shared && !o->share)) {
        snprintf(error, error_size, "too few GPUs: %d requested but only %d were found", local_ranks,
                 gpu.devices);
        return error;
    }
    gpu.device = local_rank % gpu.devices;
    if (gpu.shared)
        pose_as_own_host(rank);
    return NULL;
}

static int make_stream(void)
{
    int result = gpu.cuda.cudaStreamCreateWithFlags(&gpu.stream, CUDA_STREAM_NON_BLOCKING);
    if (result == CUDA_SUCCESS)
        result = gpu.cuda.cudaEventCreate(&gpu.start);
    if (result == CUDA_SUCCESS)
        result = gpu.cuda.cudaEventCreate(&gpu.stop);
    return result;
}

/* What is stuck on the old stream is never asked for again. */
void gpu_renew(void)
{
    cuda_must(make_stream(), "cudaStreamCreateWithFlags");
}

static const char *describe(char *error, size_t error_size)
{
    static unsigned char properties[CUDA_PROPERTIES_BYTES];
    int result = gpu.cuda.cudaGetDeviceProperties(properties, gpu.device);
    if (result == CUDA_SUCCESS)
        result = gpu.cuda.cudaDeviceGetPCIBusId(gpu.bus_id, (int)sizeof gpu.bus_id, gpu.device);
    if (result == CUDA_SUCCESS)
        result = gpu.cuda.cudaSetDevice(gpu.device);
    if (result == CUDA_SUCCESS)
        result = make_stream();
    if (result != CUDA_SUCCESS) {
        snprintf(error, error_size, "GPU %d cannot be used: %s", gpu.device, gpu.cuda.cudaGetErrorString(result));
        return error;
    }
    snprintf(gpu.name, sizeof gpu.name, "%.*s", CUDA_NAME_BYTES - 1, (const char *)properties);
    memcpy(gpu.uuid, properties + CUDA_NAME_BYTES, sizeof gpu.uuid);
    gpu.bus_id[strcspn(gpu.bus_id, ".")] = '\0'; /* without the function, as nccl-tests prints it */
    gpu.cuda.cudaRuntimeGetVersion(&gpu.cuda_version);
    gpu.cuda.cudaDriverGetVersion(&gpu.driver_version);
    gpu.nccl.ncclGetVersion(&gpu.nccl_version);
    return NULL;
}

const char *gpu_open(const struct gpu_options *o, int rank, int local_rank, int local_ranks, char *error,
                     size_t error_size)
{
    gpu.rank = rank;
    if (gpu_load(o, error, error_size) || look(o, rank, local_rank, local_ranks, error, error_size))
        return error;
    return describe(error, error_size);
}

void gpu_close(void)
{
    cuda_must(gpu.cuda.cudaEventDestroy(gpu.start), "cudaEventDestroy");
    cuda_must(gpu.cuda.cudaEventDestroy(gpu.stop), "cudaEventDestroy");
    cuda_must(gpu.cuda.cudaStreamDestroy(gpu.stream), "cudaStreamDestroy");
}

void gpu_use(void)
{
    cuda_must(gpu.cuda.cudaSetDevice(gpu.device), "cudaSetDevice");
}

/* Up to 2.8 a major version counted 1000, since then 10000. */
void nccl_version_text(int version, char *text, size_t size)
{
    int unit = version < 10000 ? 1000 : 10000;
    snprintf(text, size, "%d.%d.%d", version / unit, version % unit / 100, version % 100);
}

void cuda_version_text(int version, char *text, size_t size)
{
    snprintf(text, size, "%d.%d", version / 1000, version % 1000 / 10);
}

void *gpu_allocate(size_t bytes)
{
    void *memory = NULL;
    return gpu.cuda.cudaMalloc(&memory, bytes) == CUDA_SUCCESS ? memory : NULL;
}

void gpu_free(void *memory)
{
    cuda_must(gpu.cuda.cudaFree(memory), "cudaFree");
}

size_t gpu_free_bytes(void)
{
    size_t free_bytes = 0;
    size_t total = 0;
    cuda_must(gpu.cuda.cudaMemGetInfo(&free_bytes, &total), "cudaMemGetInfo");
    return free_bytes;
}

static void settle(void)
{
    cuda_must(gpu.cuda.cudaStreamSynchronize(gpu.stream), "cudaStreamSynchronize");
}

void gpu_put(void *to, const void *from, size_t bytes)
{
    cuda_must(gpu.cuda.cudaMemcpyAsync(to, from, bytes, CUDA_HOST_TO_DEVICE, gpu.stream), "cudaMemcpyAsync");
    settle();
}

void gpu_get(void *to, const void *from, size_t bytes)
{
    cuda_must(gpu.cuda.cudaMemcpyAsync(to, from, bytes, CUDA_DEVICE_TO_HOST, gpu.stream), "cudaMemcpyAsync");
    settle();
}

void gpu_fill(void *to, int byte, size_t bytes)
{
    cuda_must(gpu.cuda.cudaMemsetAsync(to, byte, bytes, gpu.stream), "cudaMemsetAsync");
    settle();
}

int gpu_await(cuda_event event, nccl_comm comm, double limit_s, char *error, size_t error_size)
{
    const struct timespec nap = {0, NAP_NS};
    double start_s = clock_s();
    *error = '\0';
    for (unsigned looks = 1;; looks++) {
        int result = gpu.cuda.cudaEventQuery(event);
        if (result == CUDA_SUCCESS)
            return 1;
        if (result != CUDA_NOT_READY) {
            snprintf(error, error_size, "%s", gpu.cuda.cudaGetErrorString(result));
            return 0;
        }
        if (limit_s >= 0 && clock_s() - start_s > limit_s)
            return 0;
        int met = NCCL_SUCCESS;
        int asked = NCCL_SUCCESS;
        if (looks % LOOKS_BETWEEN_ERRORS == 0)
            asked = gpu.nccl.ncclCommGetAsyncError(comm, &met);
        if (asked != NCCL_SUCCESS)
            met = asked;
        if (met != NCCL_SUCCESS && met != NCCL_IN_PROGRESS) {
            snprintf(error, error_size, "%s", gpu.nccl.ncclGetErrorString(met));
            return 0;
        }
        if (looks < LOOKS_AT_ONCE)
            sched_yield();
        else
            nanosleep(&nap, NULL);
    }
}

double gpu_elapsed_s(cuda_event start, cuda_event stop)
{
    float milliseconds = 0;
    cuda_must(gpu.cuda.cudaEventElapsedTime(&milliseconds, start, stop), "cudaEventElapsedTime");
    return (double)milliseconds / 1000;
}

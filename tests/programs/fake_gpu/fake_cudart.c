/* A stand-in for libcudart.so on machines without a GPU: host memory that only the "device" can
 * touch, and streams that carry out what is queued on them in order, later, on a thread of
 * their own. It refuses what CUDA refuses, so that a program that works with it asks for
 * nothing before it is there.
 *
 * FAKE_GPUS is the number of devices (1), FAKE_GPU_BYTES the memory of each (1 GiB),
 * FAKE_GPU_MACHINE what the devices' UUIDs are made of (the host's name). With
 * FAKE_GPU_COUNT_LEFTOVERS what was not given back is told at the end.
 */
#define _GNU_SOURCE
#include "fake_gpu.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MOST_ALLOCATIONS 256

struct allocation {
    char *shown; /* what the program gets, and cannot touch */
    char *real;
    size_t bytes;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct allocation allocations[MOST_ALLOCATIONS];
static size_t used_bytes;
static __thread int current;

static long setting(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text ? atol(text) : otherwise;
}

static int devices(void)
{
    return (int)setting("FAKE_GPUS", 1);
}

int fake_current_device(void)
{
    return current;
}

void fake_bus_id(int device, char *text, size_t size)
{
    snprintf(text, size, "0000:%02X:00.0", 7 + device);
}

int fake_is_named(const char *variable, int device)
{
    const char *named = getenv(variable);
    char host[64] = "";
    char own[96];
    gethostname(host, sizeof host - 1);
    host[strcspn(host, ".")] = '\0';
    snprintf(own, sizeof own, "%s:%d", host, device);
    return named && (strcmp(named, host) == 0 || strcmp(named, own) == 0);
}

void *fake_device_memory(const void *address, size_t bytes)
{
    const char *at = address;
    void *found = NULL;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MOST_ALLOCATIONS && !found; i++) {
        const struct allocation *a = &allocations[i];
        if (a->shown && at >= a->shown && at <= a->shown + a->bytes && bytes <= (size_t)(a->shown + a->bytes - at))
            found = a->real + (at - a->shown);
    }
    pthread_mutex_unlock(&lock);
    return found;
}

int cudaRuntimeGetVersion(int *version)
{
    *version = 12040;
    return SUCCESS;
}

int cudaDriverGetVersion(int *version)
{
    *version = 12080;
    return SUCCESS;
}

int cudaGetDeviceCount(int *count)
{
    *count = devices();
    return *count > 0 ? SUCCESS : NO_DEVICE;
}

int cudaSetDevice(int device)
{
    if (device < 0 || device >= devices())
        return INVALID_DEVICE;
    current = device;
    return SUCCESS;
}

int cudaGetDeviceProperties(void *properties, int device)
{
    char host[64] = "";
    char text[96];
    if (device < 0 || device >= devices())
        return INVALID_DEVICE;
    memset(properties, 0xa5, 1032);
    memset(properties, 0, 272);
    snprintf(properties, 256, "Stand-in GPU");
    gethostname(host, sizeof host - 1);
    snprintf(text, sizeof text, "%s-%d", getenv("FAKE_GPU_MACHINE") ? getenv("FAKE_GPU_MACHINE") : host, device);
    uint64_t parts[2] = {UINT64_C(14695981039346656037), UINT64_C(88172645463325252)};
    for (const char *at = text; *at; at++)
        for (int i = 0; i < 2; i++)
            parts[i] = (parts[i] ^ (unsigned char)*at) * UINT64_C(1099511628211);
    memcpy((char *)properties + 256, parts, sizeof parts);
    return SUCCESS;
}

int cudaDeviceGetPCIBusId(char *text, int size, int device)
{
    if (device < 0 || device >= devices() || size < 13)
        return INVALID_VALUE;
    fake_bus_id(device, text, (size_t)size);
    return SUCCESS;
}

int cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes)
{
    *total_bytes = (size_t)setting("FAKE_GPU_BYTES", 1L << 30);
    *free_bytes = *total_bytes - used_bytes;
    return SUCCESS;
}

int cudaMalloc(void **memory, size_t bytes)
{
    struct allocation *a = NULL;
    size_t page = 4096;
    size_t rounded = (bytes + page - 1) / page * page;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MOST_ALLOCATIONS && !a; i++)
        if (!allocations[i].shown)
            a = &allocations[i];
    int fits = a && rounded > 0 && used_bytes + rounded <= (size_t)setting("FAKE_GPU_BYTES", 1L << 30);
    int file = fits ? memfd_create("fake device memory", MFD_CLOEXEC) : -1;
    if (file >= 0 && ftruncate(file, (off_t)rounded) == 0) {
        a->real = mmap(NULL, rounded, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        a->shown = mmap(NULL, rounded, PROT_NONE, MAP_SHARED, file, 0);
        a->bytes = bytes;
        used_bytes += rounded;
        memset(a->real, 0x5a, rounded);
        *memory = a->shown;
    }
    if (file >= 0)
        close(file);
    pthread_mutex_unlock(&lock);
    return file >= 0 ? SUCCESS : MEMORY_ALLOCATION;
}

int cudaFree(void *memory)
{
    int found = memory == NULL;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MOST_ALLOCATIONS && !found; i++) {
        struct allocation *a = &allocations[i];
        if (a->shown != memory)
            continue;
        size_t rounded = (a->bytes + 4095) / 4096 * 4096;
        munmap(a->shown, rounded);
        munmap(a->real, rounded);
        used_bytes -= rounded;
        *a = (struct allocation){NULL, NULL, 0};
        found = 1;
    }
    pthread_mutex_unlock(&lock);
    return found ? SUCCESS : INVALID_VALUE;
}

struct copy {
    void *to;
    void *from;
    size_t bytes;
    int value;
    int staged;
};

static void carry_out_copy(void *argument)
{
    struct copy *c = argument;
    if (c->from)
        memcpy(c->to, c->from, c->bytes);
    else
        memset(c->to, c->value, c->bytes);
    if (c->staged)
        free(c->from);
    free(c);
}

static int queue_copy(void *stream, struct copy copy)
{
    struct copy *kept = malloc(sizeof *kept);
    *kept = copy;
    if (fake_enqueue(stream, carry_out_copy, kept))
        return SUCCESS;
    if (copy.staged)
        free(copy.from);
    free(kept);
    return INVALID_HANDLE;
}

/* From ordinary memory to the device the call returns with the data in a place of the driver's
 * own, and they arrive later; the other way they are there when the stream has got so far. */
int cudaMemcpyAsync(void *to, const void *from, size_t bytes, int kind, void *stream)
{
    const void *device = kind == 1 ? to : from;
    const void *host = kind == 1 ? from : to;
    if ((kind != 1 && kind != 2) || fake_device_memory(host, 1))
        return INVALID_VALUE;
    if (bytes == 0)
        return SUCCESS;
    void *real = fake_device_memory(device, bytes);
    if (!real)
        return INVALID_VALUE;
    struct copy copy = {to, real, bytes, 0, 0};
    if (kind == 1) {
        copy = (struct copy){real, malloc(bytes), bytes, 0, 1};
        memcpy(copy.from, from, bytes);
    }
    return queue_copy(stream, copy);
}

int cudaMemsetAsync(void *memory, int value, size_t bytes, void *stream)
{
    void *real = fake_device_memory(memory, bytes);
    if (!real)
        return INVALID_VALUE;
    return queue_copy(stream, (struct copy){real, NULL, bytes, value, 0});
}

const char *cudaGetErrorString(int error)
{
    switch (error) {
    case SUCCESS: return "no error";
    case INVALID_VALUE: return "invalid argument";
    case MEMORY_ALLOCATION: return "out of memory";
    case NO_DEVICE: return "no CUDA-capable device is detected";
    case INVALID_DEVICE: return "invalid device ordinal";
    case INVALID_HANDLE: return "invalid resource handle";
    case NOT_READY: return "device not ready";
    default: return "unrecognized error code";
    }
}

__attribute__((destructor)) static void count_leftovers(void)
{
    int left = 0;
    for (int i = 0; i < MOST_ALLOCATIONS; i++)
        left += allocations[i].shown != NULL;
    if (getenv("FAKE_GPU_COUNT_LEFTOVERS") && (left || fake_streams_left || fake_events_left))
        fprintf(stderr, "fake CUDA: left %d allocations, %d streams, %d events\n", left, fake_streams_left, fake_events_left);
}

/* What the stand-in for libnccl.so.2 needs of the stand-in for libcudart.so. */
#ifndef FAKE_GPU_H
#define FAKE_GPU_H

#include <stddef.h>

/* cudaError_t, as far as it is used here. */
enum {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    MEMORY_ALLOCATION = 2,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_HANDLE = 400,
    NOT_READY = 600
};

/* Where a stretch of device memory can be read and written from; NULL where it is not all of it
 * in one allocation of cudaMalloc. */
void *fake_device_memory(const void *address, size_t bytes);

/* Queue work on a stream. Returns 0 for a stream that does not exist. */
int fake_enqueue(void *stream, void (*work)(void *), void *argument);

extern int fake_streams_left;
extern int fake_events_left;
int fake_current_device(void);
void fake_bus_id(int device, char *text, size_t size);

/* Whether an environment variable names this process's device, as host:device or host. */
int fake_is_named(const char *variable, int device);

#endif

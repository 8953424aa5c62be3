/* What is called of libcudart.so and libnccl.so.2, declared here so that neither's headers are
 * needed to build this program.
 *
 * Only what has kept its name, its parameters and its numbers since CUDA 11.0 and NCCL 2.7 is
 * used: functions of whole numbers and pointers, no structure but NCCL's 128-byte identifier.
 * Enumerations are passed as int, which is what the C ABI passes them as.
 * Source: nccl.h of NCCL 2.7 to 2.32; cuda_runtime_api.h and driver_types.h of CUDA 11 to 13.
 */
#ifndef GPU_ABI_H
#define GPU_ABI_H

#include <stddef.h>

typedef void *cuda_stream; /* cudaStream_t */
typedef void *cuda_event;  /* cudaEvent_t */
typedef void *nccl_comm;   /* ncclComm_t */

typedef struct {
    char internal[128];
} nccl_id; /* ncclUniqueId, passed by value */

enum {
    CUDA_SUCCESS = 0,
    CUDA_NOT_READY = 600,
    CUDA_HOST_TO_DEVICE = 1,
    CUDA_DEVICE_TO_HOST = 2,
    CUDA_STREAM_NON_BLOCKING = 1,
};

enum { NCCL_SUCCESS = 0, NCCL_IN_PROGRESS = 7 };

enum { NCCL_SUM = 0 };

/* ncclDataType_t; bfloat16 came with 2.10. */
enum { NCCL_INT8 = 0, NCCL_INT32 = 2, NCCL_FLOAT16 = 6, NCCL_FLOAT32 = 7, NCCL_FLOAT64 = 8, NCCL_BFLOAT16 = 9 };
#define NCCL_WITH_BFLOAT16 21000

/* The name of a device stands first in cudaDeviceProp and its UUID next, in every version of
 * that structure since CUDA 10; its length has changed, and this is several times the longest. */
#define CUDA_NAME_BYTES 256
#define CUDA_UUID_BYTES 16
#define CUDA_PROPERTIES_BYTES 16384

#define CUDA_FUNCTIONS(X)                                                                                       \
    X(int, cudaRuntimeGetVersion, (int *version))                                                               \
    X(int, cudaDriverGetVersion, (int *version))                                                                \
    X(int, cudaGetDeviceCount, (int *count))                                                                    \
    X(int, cudaSetDevice, (int device))                                                                         \
    X(int, cudaGetDeviceProperties, (void *properties, int device))                                             \
    X(int, cudaDeviceGetPCIBusId, (char *bus_id, int length, int device))                                       \
    X(int, cudaMemGetInfo, (size_t *free_bytes, size_t *total_bytes))                                           \
    X(int, cudaMalloc, (void **memory, size_t bytes))                                                           \
    X(int, cudaFree, (void *memory))                                                                            \
    X(int, cudaMemcpyAsync, (void *to, const void *from, size_t bytes, int kind, cuda_stream stream))           \
    X(int, cudaMemsetAsync, (void *memory, int value, size_t bytes, cuda_stream stream))                        \
    X(int, cudaStreamCreateWithFlags, (cuda_stream *stream, unsigned flags))                                    \
    X(int, cudaStreamSynchronize, (cuda_stream stream))                                                         \
    X(int, cudaStreamDestroy, (cuda_stream stream))                                                             \
    X(int, cudaEventCreate, (cuda_event *event))                                                                \
    X(int, cudaEventRecord, (cuda_event event, cuda_stream stream))                                             \
    X(int, cudaEventQuery, (cuda_event event))                                                                  \
    X(int, cudaEventElapsedTime, (float *milliseconds, cuda_event start, cuda_event end))                       \
    X(int, cudaEventDestroy, (cuda_event event))                                                                \
    X(const char *, cudaGetErrorString, (int error))

#define NCCL_FUNCTIONS(X)                                                                                       \
    X(int, ncclGetVersion, (int *version))                                                                      \
    X(int, ncclGetUniqueId, (nccl_id *id))                                                                      \
    X(int, ncclCommInitRank, (nccl_comm *comm, int ranks, nccl_id id, int rank))                                \
    X(int, ncclCommDestroy, (nccl_comm comm))                                                                   \
    X(int, ncclCommAbort, (nccl_comm comm))                                                                     \
    X(int, ncclCommGetAsyncError, (nccl_comm comm, int *error))                                                 \
    X(const char *, ncclGetErrorString, (int error))                                                            \
    X(int, ncclAllReduce,                                                                                       \
      (const void *send, void *recv, size_t count, int type, int op, nccl_comm comm, cuda_stream stream))       \
    X(int, ncclAllGather,                                                                                       \
      (const void *send, void *recv, size_t send_count, int type, nccl_comm comm, cuda_stream stream))          \
    X(int, ncclReduceScatter,                                                                                   \
      (const void *send, void *recv, size_t recv_count, int type, int op, nccl_comm comm, cuda_stream stream))  \
    X(int, ncclBroadcast,                                                                                       \
      (const void *send, void *recv, size_t count, int type, int root, nccl_comm comm, cuda_stream stream))     \
    X(int, ncclReduce, (const void *send, void *recv, size_t count, int type, int op, int root, nccl_comm comm, \
                        cuda_stream stream))                                                                    \
    X(int, ncclSend, (const void *send, size_t count, int type, int peer, nccl_comm comm, cuda_stream stream))  \
    X(int, ncclRecv, (void *recv, size_t count, int type, int peer, nccl_comm comm, cuda_stream stream))        \
    X(int, ncclGroupStart, (void))                                                                              \
    X(int, ncclGroupEnd, (void))

/* Newer than 2.7: NULL where the library has it not. */
#define NCCL_OPTIONAL_FUNCTIONS(X) X(const char *, ncclGetLastError, (nccl_comm comm))

#define DECLARE_FUNCTION(result, name, parameters) result(*name) parameters;

struct cuda_library {
    CUDA_FUNCTIONS(DECLARE_FUNCTION)
};

struct nccl_library {
    NCCL_FUNCTIONS(DECLARE_FUNCTION)
    NCCL_OPTIONAL_FUNCTIONS(DECLARE_FUNCTION)
};

#endif

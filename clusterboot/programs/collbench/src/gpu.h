/* This rank's GPU: CUDA and NCCL taken from the libraries that the node has, at run time. */
#ifndef GPU_H
#define GPU_H

#include "gpu_abi.h"

#define PATH_LENGTH 1024

struct gpu_options {
    const char *nccl_paths; /* files to be tried before the loader's own choice, with ':' between; or NULL */
    const char *cuda_paths;
    int share; /* more ranks than GPUs on a node are wanted */
};

struct gpu {
    struct cuda_library cuda;
    struct nccl_library nccl;
    int rank; /* for messages */
    int device;
    int devices;
    int shared; /* this node has fewer GPUs than ranks */
    char name[CUDA_NAME_BYTES];
    unsigned char uuid[CUDA_UUID_BYTES];
    char bus_id[32];
    int cuda_version; /* the numbers as the libraries give them */
    int driver_version;
    int nccl_version;
    char nccl_path[PATH_LENGTH];
    cuda_stream stream;
    cuda_event start;
    cuda_event stop;
};

extern struct gpu gpu;

/* gpu_library.c: returns NULL, or what is wrong in `error`. */
const char *gpu_load(const struct gpu_options *o, char *error, size_t error_size);

/* gpu.c: choose the device for one of the node's ranks. Returns NULL, or what is wrong in `error`. */
const char *gpu_open(const struct gpu_options *o, int rank, int local_rank, int local_ranks, char *error,
                     size_t error_size);
void gpu_close(void);
void gpu_use(void);   /* in every thread that calls CUDA */
void gpu_renew(void); /* the stream and its events */
double clock_s(void);
void nccl_version_text(int version, char *text, size_t size);
void cuda_version_text(int version, char *text, size_t size);

/* They end the job with a line that names rank, host and call. */
_Noreturn void gpu_give_up(const char *library, const char *words, const char *call, const char *more);
void cuda_must(int result, const char *call);
void nccl_must(int result, nccl_comm comm, const char *call);

/* Memory of the device; all of it in the order of this rank's stream. */
void *gpu_allocate(size_t bytes); /* NULL where there is not so much */
void gpu_free(void *memory);
size_t gpu_free_bytes(void);
void gpu_put(void *to, const void *from, size_t bytes);
void gpu_get(void *to, const void *from, size_t bytes);
void gpu_fill(void *to, int byte, size_t bytes);

/* Wait for an event of the stream. Returns 0 after `limit_s` seconds (below 0 for no limit) or
 * where `comm` met an error, with NCCL's words for it in `error`. */
int gpu_await(cuda_event event, nccl_comm comm, double limit_s, char *error, size_t error_size);
double gpu_elapsed_s(cuda_event start, cuda_event stop);

#endif

/* libcudart.so and libnccl.so.2, found and loaded. */
#define _GNU_SOURCE
#include "gpu.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Any one serves: what is used has the same names and parameters in all. The name without a
 * number comes with a toolkit, the others with a distribution or a Python wheel. */
static const char *const cuda_names[] = {"libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0", "libcudart.so",
                                         NULL};
static const char *const nccl_names[] = {"libnccl.so.2", NULL};

struct symbol {
    const char *name;
    size_t offset;
    int optional;
};

#define SYMBOL_OF_CUDA(result, name, parameters) {#name, offsetof(struct cuda_library, name), 0},
#define SYMBOL_OF_NCCL(result, name, parameters) {#name, offsetof(struct nccl_library, name), 0},
#define OPTIONAL_OF_NCCL(result, name, parameters) {#name, offsetof(struct nccl_library, name), 1},

static const struct symbol cuda_symbols[] = {CUDA_FUNCTIONS(SYMBOL_OF_CUDA){NULL, 0, 0}};
static const struct symbol nccl_symbols[] = {
    NCCL_FUNCTIONS(SYMBOL_OF_NCCL) NCCL_OPTIONAL_FUNCTIONS(OPTIONAL_OF_NCCL){NULL, 0, 0}};

/* Keep the loader's words on the last file that is there and does not load: those of a file that
 * is not there at all say nothing that the name does not say. */
static void *try_file(const char *path, char *why, size_t why_size)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library)
        return library;
    const char *said = dlerror();
    if (said && !strstr(said, "No such file"))
        snprintf(why, why_size, ": %s", said);
    return NULL;
}

static void *find(const char *paths, const char *const *names, char *why, size_t why_size)
{
    char path[PATH_LENGTH];
    void *library = NULL;
    *why = '\0';
    for (const char *at = paths; at && *at && !library;) {
        size_t length = strcspn(at, ":");
        if (length > 0 && length < sizeof path) {
            snprintf(path, sizeof path, "%.*s", (int)length, at);
            library = try_file(path, why, why_size);
        }
        at += at[length] ? length + 1 : length;
    }
    for (; *names && !library; names++)
        library = try_file(*names, why, why_size);
    return library;
}

/* ISO C has no conversion between pointers to data and to functions; POSIX gives both one size. */
static const char *take(void *library, const struct symbol *symbols, void *table)
{
    for (; symbols->name; symbols++) {
        void *function = dlsym(library, symbols->name);
        if (!function && !symbols->optional)
            return symbols->name;
        memcpy((char *)table + symbols->offset, &function, sizeof function);
    }
    return NULL;
}

static void note_path(void *library, const char *symbol, char *path)
{
    Dl_info found;
    void *function = dlsym(library, symbol);
    char *whole = function && dladdr(function, &found) && found.dli_fname ? realpath(found.dli_fname, NULL) : NULL;
    snprintf(path, PATH_LENGTH, "%s", whole ? whole : "libnccl.so.2");
    free(whole);
}

const char *gpu_load(const struct gpu_options *o, char *error, size_t error_size)
{
    char why[512];
    const char *missing;
    void *cuda = find(o->cuda_paths, cuda_names, why, sizeof why);
    if (!cuda) {
        snprintf(error, error_size, "libcudart.so: cannot open shared object file%s", why);
        return error;
    }
    if ((missing = take(cuda, cuda_symbols, &gpu.cuda)) != NULL) {
        snprintf(error, error_size, "libcudart.so has no %s: CUDA 11 or later is needed", missing);
        return error;
    }
    void *nccl = find(o->nccl_paths, nccl_names, why, sizeof why);
    if (!nccl) {
        snprintf(error, error_size, "libnccl.so.2: cannot open shared object file%s", why);
        return error;
    }
    if ((missing = take(nccl, nccl_symbols, &gpu.nccl)) != NULL) {
        snprintf(error, error_size, "libnccl.so.2 has no %s: NCCL 2.7 or later is needed", missing);
        return error;
    }
    note_path(nccl, "ncclGetVersion", gpu.nccl_path);
    return NULL;
}

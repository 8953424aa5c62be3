/* A stand-in for libnccl.so.2: its calls are queued on the stand-in's streams and carried out
 * over sockets, between ranks anywhere. What NCCL refuses is refused, and much of what it leaves
 * undefined: memory that is not the device's, a communicator after its end, ranks that call
 * different things, buffers that overlap in another way than in place.
 *
 * FAKE_NCCL_VERSION is the version's number (22105). FAKE_NCCL_MBPS is what a device carries at
 * most, FAKE_NCCL_SLOW a device (host:number, or a host's all) that carries a tenth of it.
 * FAKE_NCCL_EARLY is through with its part of a call as soon as sockets hold it, as the root of a
 * broadcast may be, or a send. FAKE_NCCL_FROZEN never gets anything done, FAKE_NCCL_DEAF never gets
 * into a communicator, and FAKE_NCCL_BROKEN reports an error of its own while it works. With
 * FAKE_NCCL_BUFFER so many bytes lie on the way between two devices: a send ends when all but those
 * have arrived, however late the other end is. FAKE_NCCL_LATE hears of single bytes late, as behind a
 * lost packet.
 */
#define _GNU_SOURCE
#include "fake_math.h"
#include "fake_nccl.h"

#include <stdlib.h>
#include <string.h>

#define MOST_CALLS 4096

static __thread int n_calls;
static __thread struct call calls[MOST_CALLS];

static int queue(struct task task, void *stream)
{
    struct comm *c = task.comm;
    if (c->stream && c->stream != stream)
        return fake_fail(INVALID_USAGE, "the stand-in has one stream a communicator");
    c->stream = stream;
    struct task *kept = malloc(sizeof *kept);
    *kept = task;
    __atomic_add_fetch(&c->under_way, 1, __ATOMIC_ACQUIRE);
    if (fake_enqueue(stream, fake_run, kept))
        return NCCL_OK;
    __atomic_sub_fetch(&c->under_way, 1, __ATOMIC_RELEASE);
    free(kept);
    return fake_fail(INVALID_USAGE, "the stream is not one");
}

static int check(const struct comm *c, int type, int root)
{
    if (!c || c->magic != COMM_MAGIC)
        return fake_fail(INVALID_ARGUMENT, "the communicator is not one");
    if (fake_type_size(type) == 0 || root < 0 || root >= c->ranks)
        return fake_fail(INVALID_ARGUMENT, "no such type or rank");
    if (fake_current_device() != c->device)
        return fake_fail(INVALID_USAGE, "the thread's device is another than the communicator's");
    return NCCL_OK;
}

static int overlap(const char *one, size_t one_bytes, const char *other, size_t other_bytes)
{
    return one < other + other_bytes && other < one + one_bytes;
}

/* `in_place` is where the input has to stand if it stands in the output. */
static int collective(struct task t, const void *send, void *recv, const char *in_place, void *stream, int op)
{
    int result = check(t.comm, t.type, t.root);
    if (result != NCCL_OK || t.count == 0)
        return result;
    if (op != 0 || fake_group_depth > 0)
        return fake_fail(INVALID_USAGE, "the stand-in only sums, and only outside of groups");
    size_t block = t.count * fake_type_size(t.type);
    size_t all = block * (size_t)t.comm->ranks;
    size_t send_bytes = t.operation == REDUCE_SCATTER ? all : block;
    size_t recv_bytes = t.operation == ALL_GATHER ? all : block;
    t.send = fake_device_memory(send, send_bytes);
    t.recv = fake_device_memory(recv, recv_bytes);
    if (!t.send || !t.recv)
        return fake_fail(INVALID_ARGUMENT, "a buffer is not the device's memory");
    if (overlap(send, send_bytes, recv, recv_bytes) && (const char *)send != in_place)
        return fake_fail(INVALID_ARGUMENT, "the buffers overlap and are not in place");
    return queue(t, stream);
}

int ncclAllReduce(const void *send, void *recv, size_t count, int type, int op, struct comm *c, void *stream)
{
    return collective((struct task){.comm = c, .operation = ALL_REDUCE, .type = type, .count = count}, send, recv,
                      recv, stream, op);
}

int ncclAllGather(const void *send, void *recv, size_t count, int type, struct comm *c, void *stream)
{
    size_t own = c ? (size_t)c->rank * count * fake_type_size(type) : 0;
    return collective((struct task){.comm = c, .operation = ALL_GATHER, .type = type, .count = count}, send, recv,
                      (char *)recv + own, stream, 0);
}

int ncclReduceScatter(const void *send, void *recv, size_t count, int type, int op, struct comm *c, void *stream)
{
    size_t own = c ? (size_t)c->rank * count * fake_type_size(type) : 0;
    return collective((struct task){.comm = c, .operation = REDUCE_SCATTER, .type = type, .count = count}, send, recv,
                      (char *)recv - own, stream, op);
}

int ncclBroadcast(const void *send, void *recv, size_t count, int type, int root, struct comm *c, void *stream)
{
    return collective(
        (struct task){.comm = c, .operation = BROADCAST, .type = type, .root = root, .count = count}, send, recv, recv,
        stream, 0);
}

int ncclReduce(const void *send, void *recv, size_t count, int type, int op, int root, struct comm *c, void *stream)
{
    return collective((struct task){.comm = c, .operation = REDUCE, .type = type, .root = root, .count = count}, send,
                      recv, recv, stream, op);
}

static int begin_group_task(struct task t, struct call *from, int n, void *stream)
{
    t.n_calls = n;
    t.calls = malloc((size_t)n * sizeof *t.calls);
    memcpy(t.calls, from, (size_t)n * sizeof *t.calls);
    int result = queue(t, stream);
    if (result != NCCL_OK)
        free(t.calls);
    return result;
}

static int point_to_point(const void *data, size_t count, int type, int peer, struct comm *c, void *stream, int sends)
{
    int result = check(c, type, peer);
    if (result != NCCL_OK || count == 0)
        return result;
    size_t bytes = count * fake_type_size(type);
    char *real = fake_device_memory(data, bytes);
    if (!real)
        return fake_fail(INVALID_ARGUMENT, "a buffer is not the device's memory");
    struct call call = {c, stream, sends, peer, type, real, bytes};
    if (fake_group_depth == 0) {
        if (peer == c->rank)
            return fake_fail(INVALID_USAGE, "a send to oneself belongs into a group");
        return begin_group_task((struct task){.comm = c, .operation = SINGLE, .type = type}, &call, 1, stream);
    }
    if (n_calls == MOST_CALLS || fake_find_call(calls, n_calls, peer, sends) >= 0)
        return fake_fail(INVALID_USAGE, "the stand-in has one message each way a pair in a group");
    calls[n_calls++] = call;
    return NCCL_OK;
}

int ncclSend(const void *send, size_t count, int type, int peer, struct comm *c, void *stream)
{
    return point_to_point(send, count, type, peer, c, stream, 1);
}

int ncclRecv(void *recv, size_t count, int type, int peer, struct comm *c, void *stream)
{
    return point_to_point(recv, count, type, peer, c, stream, 0);
}

int ncclGroupStart(void)
{
    fake_group_depth++;
    return NCCL_OK;
}

int ncclGroupEnd(void)
{
    if (fake_group_depth == 0)
        return fake_fail(INVALID_USAGE, "a group ends that has not begun");
    if (--fake_group_depth > 0)
        return NCCL_OK;
    int result = fake_group_error;
    int n = n_calls;
    fake_group_error = NCCL_OK;
    n_calls = 0;
    for (int i = 1; i < n && result == NCCL_OK; i++)
        if (calls[i].comm != calls[0].comm || calls[i].stream != calls[0].stream)
            result = fake_fail(INVALID_USAGE, "the stand-in has one communicator and stream in a group");
    for (int i = 0; i < n && result == NCCL_OK; i++)
        if (calls[i].peer == calls[i].comm->rank && fake_find_call(calls, n, calls[i].peer, !calls[i].sends) < 0)
            result = fake_fail(INVALID_USAGE, "nobody takes what is sent to oneself");
    if (result != NCCL_OK || n == 0)
        return result;
    return begin_group_task((struct task){.comm = calls[0].comm, .operation = GROUP}, calls, n, calls[0].stream);
}

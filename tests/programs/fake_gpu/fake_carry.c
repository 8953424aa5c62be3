/* How the stand-in gets data across: everything that is queued on a stream ends up here. */
#define _GNU_SOURCE
#include "fake_math.h"
#include "fake_nccl.h"
#include "fake_wire.h"

#include <stdlib.h>
#include <string.h>

/* What both ends of a connection must mean by what follows. */
struct header {
    int operation;
    int type;
    int root;
    size_t bytes;
    double begun_s; /* by the clock of this machine, on which all ranks are */
    double rate;
};

#define LATE_S 0.03

static double own_rate(const struct comm *c)
{
    const char *text = getenv("FAKE_NCCL_MBPS");
    return text ? atof(text) * 1e6 * (fake_is_named("FAKE_NCCL_SLOW", c->device) ? 0.1 : 1) : 0;
}

static void sleep_until(double at_s)
{
    double left_s = at_s - fake_now_s();
    if (left_s > 0)
        fake_sleep_s(left_s);
}

static double later(double one_s, double other_s)
{
    return one_s > other_s ? one_s : other_s;
}

/* A device has its rate each way, whoever is at the other end. */
static void keep_pace(const struct comm *c, size_t sent, size_t received, double start_s)
{
    double rate = own_rate(c);
    if (rate > 0 && !fake_is_named("FAKE_NCCL_EARLY", c->device))
        sleep_until(start_s + (double)(sent > received ? sent : received) / rate);
}

/* What is received was on its way since it was sent, whether or not somebody waited for it. */
static void keep_wire_pace(struct comm *c, const struct call *all, const struct header *headers, int n, double buffer)
{
    double until_s = 0;
    for (int i = 0; i < n; i++) {
        const struct header *h = &headers[i];
        double rate = h->rate < own_rate(c) ? h->rate : own_rate(c);
        double *line = all[i].sends ? &c->sent_until_s : &c->received_until_s;
        *line = later(*line, h->begun_s) + (double)all[i].bytes / rate;
        until_s = later(until_s, all[i].sends ? *line - buffer / rate : *line);
    }
    sleep_until(until_s);
}

int fake_find_call(const struct call *call, int n, int peer, int sends)
{
    int found = -1;
    for (int i = 0; i < n; i++)
        if (call[i].peer == peer && call[i].sends == sends)
            found = i;
    return found;
}

/* Say what is about to come, hear it of the others, and then carry it. */
static int carry(struct comm *c, enum operation operation, int root, struct call *all, int n)
{
    struct fake_transfer *transfers = calloc((size_t)n + 1, sizeof *transfers);
    struct header *headers = calloc((size_t)n + 1, sizeof *headers);
    size_t sent = 0;
    size_t received = 0;
    double start_s = fake_now_s();
    const char *buffer = own_rate(c) > 0 ? getenv("FAKE_NCCL_BUFFER") : NULL;
    for (int i = 0; i < n; i++) {
        headers[i] = (struct header){(int)operation, all[i].type, root, all[i].sends ? all[i].bytes : 0, start_s,
                                     own_rate(c)};
        transfers[i] = (struct fake_transfer){c->sockets[all[i].peer], (char *)&headers[i], sizeof headers[i], 0,
                                              !all[i].sends};
    }
    int well = fake_exchange(transfers, n, &c->stop);
    for (int i = 0; i < n && well; i++) {
        const struct header *h = &headers[i];
        if (h->operation != (int)operation || h->type != all[i].type || h->root != root || h->bytes != all[i].bytes)
            c->error = INVALID_USAGE;
        transfers[i] = (struct fake_transfer){c->sockets[all[i].peer], all[i].data, all[i].bytes, 0, !all[i].sends};
        sent += all[i].sends ? all[i].bytes : 0;
        received += all[i].sends ? 0 : all[i].bytes;
    }
    well = well && !c->error && fake_exchange(transfers, n, &c->stop);
    /* A send by itself ends when it has been taken. */
    char taken = 1;
    if (well && operation == SINGLE && !buffer)
        well = all->sends ? fake_read(c->sockets[all->peer], &taken, 1) : fake_write(c->sockets[all->peer], &taken, 1);
    if (well && received == 1 && fake_is_named("FAKE_NCCL_LATE", c->device))
        fake_sleep_s(LATE_S);
    if (well && buffer)
        keep_wire_pace(c, all, headers, n, atof(buffer));
    else if (well)
        keep_pace(c, sent, received, start_s);
    else if (!c->error && !c->stop)
        c->error = REMOTE_ERROR;
    free(transfers);
    free(headers);
    return well;
}

/* Everybody's whole input comes to everybody; what is not asked for is thrown away. */
static void run_collective(struct task *t)
{
    struct comm *c = t->comm;
    size_t block = t->count * fake_type_size(t->type);
    size_t n = (size_t)c->ranks;
    size_t input = t->operation == REDUCE_SCATTER ? block * n : block;
    char *all = malloc(input * n);
    struct call *each = calloc(2 * n, sizeof *each);
    int used = 0;
    memcpy(all + (size_t)c->rank * input, t->send, input);
    for (int peer = 0; peer < c->ranks; peer++) {
        if (peer == c->rank)
            continue;
        char *from = all + (size_t)c->rank * input;
        each[used++] = (struct call){c, NULL, 1, peer, t->type, from, input};
        each[used++] = (struct call){c, NULL, 0, peer, t->type, all + (size_t)peer * input, input};
    }
    if (carry(c, t->operation, t->root, each, used)) {
        size_t own = t->operation == REDUCE_SCATTER ? (size_t)c->rank * block : 0;
        if (t->operation == ALL_GATHER)
            memcpy(t->recv, all, block * n);
        else if (t->operation == BROADCAST)
            memcpy(t->recv, all + (size_t)t->root * input, block);
        else if (t->operation != REDUCE || c->rank == t->root)
            fake_sum(t->recv, all + own, input, c->ranks, t->count, t->type);
    }
    free(all);
    free(each);
}

static void run_group(struct task *t)
{
    struct call *each = calloc((size_t)t->n_calls, sizeof *each);
    int used = 0;
    for (int i = 0; i < t->n_calls; i++) {
        if (t->calls[i].peer != t->comm->rank)
            each[used++] = t->calls[i];
        else if (t->calls[i].sends) {
            const struct call *to = &t->calls[fake_find_call(t->calls, t->n_calls, t->comm->rank, 0)];
            memmove(to->data, t->calls[i].data, t->calls[i].bytes);
        }
    }
    if (used > 0)
        carry(t->comm, t->operation, 0, each, used);
    free(each);
}

void fake_run(void *argument)
{
    struct task *t = argument;
    struct comm *c = t->comm;
    if (fake_is_named("FAKE_NCCL_BROKEN", c->device))
        c->error = REMOTE_ERROR;
    int frozen = c->error != NCCL_OK || fake_is_named("FAKE_NCCL_FROZEN", c->device);
    if (!frozen && t->operation >= GROUP)
        run_group(t);
    else if (!frozen)
        run_collective(t);
    /* What met an error is not over until somebody ends it. */
    while ((frozen || c->error) && !c->stop)
        fake_sleep_s(0.002);
    __atomic_sub_fetch(&c->under_way, 1, __ATOMIC_RELEASE);
    free(t->calls);
    free(t);
}

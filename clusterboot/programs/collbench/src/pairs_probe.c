/* Who can be connected to: plain TCP connections between all nodes, tried before MPI's own.
 *
 * MPI has no answer to a connection that cannot be made: Open MPI 4.1.4 aborts the whole job at
 * once where it is refused or there is no route, and where a firewall drops it waits for as
 * long as TCP does. So a pair that fails here is not given to MPI at all.
 */
#define _GNU_SOURCE
#include "pairs.h"
#include "pairs_address.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RETRY_S 0.1
#define POLL_MS 20
#define MAGIC 0x636c7062u

/* What both ends say: the caller first. */
struct greeting {
    unsigned magic;
    int node;
    int rank;
};

enum wire_state { WIRE_IDLE, WIRE_CONNECTING, WIRE_GREETED, WIRE_DONE };

struct wire {
    int fd;
    enum wire_state state;
    double retry_at_s;
};

struct prober {
    struct probe *probe;
    union address *addresses;
    struct wire *wires; /* one a node for calls made, then one a node for calls taken */
    struct pollfd *polls;
    char *called; /* by node: it answered */
    char *was_called;
    struct greeting own;
    int ranks; /* of the whole run */
    int listener;
};

static int quiet_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static void hang_up(struct wire *w, double retry_at_s)
{
    if (w->fd >= 0)
        close(w->fd);
    *w = (struct wire){-1, WIRE_IDLE, retry_at_s};
}

static void call(struct wire *w, const union address *to, double now_s)
{
    w->fd = quiet_socket(to->any.sa_family);
    w->state = WIRE_CONNECTING;
    if (w->fd < 0 || (connect(w->fd, &to->any, (socklen_t)address_size(to)) != 0 && errno != EINPROGRESS))
        hang_up(w, now_s + RETRY_S); /* nobody listens yet, or no way there */
}

/* Greetings are smaller than any segment, so that they come whole or not at all. */
static int hear(int fd, struct greeting *heard, int nodes)
{
    ssize_t got = recv(fd, heard, sizeof *heard, 0);
    return got == (ssize_t)sizeof *heard && heard->magic == MAGIC && heard->node >= 0 && heard->node < nodes;
}

static int say(int fd, const struct greeting *said)
{
    return send(fd, said, sizeof *said, MSG_NOSIGNAL) == (ssize_t)sizeof *said;
}

/* A call that was made: connected, then answered. */
static void go_on_calling(struct prober *p, int node, double now_s)
{
    struct wire *w = &p->wires[node];
    struct greeting heard;
    if (w->state == WIRE_CONNECTING) {
        if (say(w->fd, &p->own))
            w->state = WIRE_GREETED;
        else
            hang_up(w, now_s + RETRY_S);
    } else if (w->state == WIRE_GREETED) {
        int answered = hear(w->fd, &heard, p->probe->nodes) && heard.node == node;
        answered = answered && heard.rank >= 0 && heard.rank < p->ranks;
        hang_up(w, now_s + RETRY_S);
        if (answered) {
            w->state = WIRE_DONE;
            p->called[node] = 1;
            p->probe->ranks[node] = heard.rank;
        }
    }
}

static void answer(struct prober *p, struct wire *w)
{
    struct greeting heard;
    if (hear(w->fd, &heard, p->probe->nodes) && say(w->fd, &p->own))
        p->was_called[heard.node] = 1;
    hang_up(w, 0);
}

static void take_calls(struct prober *p)
{
    int nodes = p->probe->nodes;
    for (int i = nodes; i < 2 * nodes; i++) {
        if (p->wires[i].fd >= 0)
            continue;
        p->wires[i].fd = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (p->wires[i].fd < 0)
            return;
    }
}

static int missing(const struct prober *p)
{
    int n = 0;
    for (int node = 0; node < p->probe->nodes; node++)
        n += node != p->probe->own && (!p->called[node] || !p->was_called[node]);
    return n;
}

static void step(struct prober *p)
{
    int n = p->probe->nodes;
    double now_s = MPI_Wtime();
    for (int node = 0; node < n; node++) {
        struct wire *w = &p->wires[node];
        if (node != p->probe->own && w->state == WIRE_IDLE && now_s >= w->retry_at_s)
            call(w, &p->addresses[node], now_s);
    }
    for (int i = 0; i < 2 * n; i++)
        p->polls[i] = (struct pollfd){p->wires[i].fd, p->wires[i].state == WIRE_CONNECTING ? POLLOUT : POLLIN, 0};
    p->polls[2 * n] = (struct pollfd){p->listener, POLLIN, 0};
    if (poll(p->polls, (nfds_t)(2 * n + 1), POLL_MS) <= 0)
        return;
    for (int i = 0; i < 2 * n; i++) {
        if (p->wires[i].fd < 0 || !p->polls[i].revents)
            continue;
        if (i < n)
            go_on_calling(p, i, now_s);
        else
            answer(p, &p->wires[i]);
    }
    take_calls(p);
}

static int listens(struct prober *p, const union address *own)
{
    int on = 1;
    p->listener = quiet_socket(own->any.sa_family);
    setsockopt(p->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(p->listener, &own->any, (socklen_t)address_size(own)) == 0 && listen(p->listener, 4096) == 0)
        return 1;
    int cause = errno;
    close(p->listener);
    p->listener = -1;
    errno = cause;
    return 0;
}

/* Ranks of one machine have one address and ports of their own: whoever listens at one has that
 * place, and the next rank takes the next. */
static const char *listen_at(struct prober *p, char *error, size_t error_size)
{
    struct probe *probe = p->probe;
    int first = probe->own;
    for (probe->locals = 1; first + probe->locals < probe->nodes; probe->locals++)
        if (!same_address(&p->addresses[first], &p->addresses[first + probe->locals]))
            break;
    for (probe->local = 0; probe->local < probe->locals; probe->local++) {
        probe->own = first + probe->local;
        if (listens(p, &p->addresses[probe->own]))
            return NULL;
        if (errno != EADDRINUSE)
            break;
    }
    snprintf(error, error_size, "cannot listen on the port for trying connections: %s", strerror(errno));
    return error;
}

static int make_room(struct prober *p, size_t nodes)
{
    p->addresses = calloc(nodes, sizeof *p->addresses);
    p->wires = calloc(2 * nodes, sizeof *p->wires);
    p->polls = calloc(2 * nodes + 1, sizeof *p->polls);
    p->called = calloc(nodes, 1);
    p->was_called = calloc(nodes, 1);
    return p->addresses && p->wires && p->polls && p->called && p->was_called;
}

static void release(struct prober *p)
{
    for (int i = 0; p->wires && i < 2 * p->probe->nodes; i++)
        hang_up(&p->wires[i], 0);
    if (p->listener >= 0)
        close(p->listener);
    free(p->addresses);
    free(p->wires);
    free(p->polls);
    free(p->called);
    free(p->was_called);
}

static const char *read_addresses(struct prober *p, const struct pairs_options *o, char *error, size_t error_size)
{
    char text[INET6_ADDRSTRLEN];
    const char *at = o->addresses;
    int port = o->port;
    for (int node = 0; node < p->probe->nodes; node++) {
        size_t length = strcspn(at, ",");
        snprintf(text, sizeof text, "%.*s", (int)length, at);
        if (length >= sizeof text || !read_address(text, o->port, &p->addresses[node])) {
            snprintf(error, error_size, "'%s' is no address", text);
            return error;
        }
        at += at[length] ? length + 1 : length;
        if (node > 0 && same_address(&p->addresses[node - 1], &p->addresses[node]))
            set_port(&p->addresses[node], ++port);
        else
            port = o->port;
    }
    p->probe->own = find_own_address(p->addresses, p->probe->nodes);
    if (p->probe->own >= 0)
        return NULL;
    snprintf(error, error_size, "this node has none of the addresses");
    return error;
}

static const char *try_all(struct prober *p, const struct pairs_options *o, int rank, char *error, size_t error_size)
{
    struct probe *probe = p->probe;
    for (int i = 0; i < 2 * probe->nodes; i++)
        p->wires[i].fd = -1;
    if (read_addresses(p, o, error, error_size) || listen_at(p, error, error_size))
        return error;
    p->own = (struct greeting){MAGIC, probe->own, rank};
    double end_s = MPI_Wtime() + o->stuck_s;
    while (missing(p) > 0 && MPI_Wtime() < end_s)
        step(p);
    for (int node = 0; node < probe->nodes; node++)
        probe->alive[node] = node == probe->own || (p->called[node] && p->was_called[node]);
    probe->ranks[probe->own] = rank;
    return NULL;
}

static int count_nodes(const char *addresses)
{
    int n = 1;
    for (const char *at = addresses; *at; at++)
        n += *at == ',';
    return n;
}

/* Without addresses nobody expects a dead link, and MPI may be asked. */
static void find_locals(struct probe *probe, int rank)
{
    MPI_Comm machine;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &machine);
    MPI_Comm_rank(machine, &probe->local);
    MPI_Comm_size(machine, &probe->locals);
    MPI_Comm_free(&machine);
}

const char *probe_all(const struct pairs_options *o, int rank, int ranks, struct probe *probe, char *error,
                      size_t error_size)
{
    probe->nodes = o->addresses ? count_nodes(o->addresses) : ranks;
    probe->own = rank;
    probe->ranks = calloc((size_t)probe->nodes, sizeof *probe->ranks);
    probe->alive = calloc((size_t)probe->nodes, 1);
    struct prober p = {.probe = probe, .ranks = ranks, .listener = -1};
    if (!probe->ranks || !probe->alive || !make_room(&p, (size_t)probe->nodes)) {
        release(&p);
        snprintf(error, error_size, "out of memory for %d nodes", probe->nodes);
        return error;
    }
    const char *wrong = NULL;
    for (int node = 0; node < probe->nodes; node++) {
        probe->ranks[node] = o->addresses ? -1 : node;
        probe->alive[node] = !o->addresses;
    }
    if (o->addresses)
        wrong = try_all(&p, o, rank, error, error_size);
    else
        find_locals(probe, rank);
    release(&p);
    return wrong;
}

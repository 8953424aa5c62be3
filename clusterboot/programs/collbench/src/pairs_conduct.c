/* Rank 0: it tells every rank its turn, round by round, and prints what they found. */
#define _POSIX_C_SOURCE 200809L
#include "collbench.h"
#include "pairs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How a node's words come and go; a number from 0 on is the node that hands them on. */
enum { UNREACHED = -1, DIRECT = -2 };

struct conductor {
    const struct pairs_options *o;
    const struct probe *probe;
    struct info *infos; /* by node; not usable before it answered */
    int *by;            /* by node */
    char *alive;        /* what each node says of each: rows of `nodes` bytes */
    struct link_rates *rates; /* by node: of the pair that it leads in this round */
    const char *key;          /* before each line that is rank 0's own */
    int lost;
};

static int make_room(struct conductor *c)
{
    size_t nodes = (size_t)c->probe->nodes;
    c->infos = calloc(nodes, sizeof *c->infos);
    c->by = calloc(nodes, sizeof *c->by);
    c->alive = calloc(nodes, nodes);
    c->rates = calloc(nodes, sizeof *c->rates);
    return c->infos && c->by && c->alive && c->rates;
}

static void release(struct conductor *c)
{
    free(c->infos);
    free(c->by);
    free(c->alive);
    free(c->rates);
}

static char *alive_row(const struct conductor *c, int node)
{
    return c->alive + (size_t)node * (size_t)c->probe->nodes;
}

static double patience_s(const struct conductor *c)
{
    return pair_limit_s(c->o) + 2 * c->o->stuck_s;
}

static void tell(const struct conductor *c, int node, struct control told)
{
    int to = node;
    if (c->by[node] >= 0) {
        to = c->by[node];
        told.dest = node;
        if (told.op != CONTROL_FETCH) {
            told.inner_op = told.op;
            told.op = CONTROL_FORWARD;
        }
    }
    MPI_Send(&told, (int)sizeof told, MPI_BYTE, c->probe->ranks[to], TAG_CONTROL, MPI_COMM_WORLD);
}

static void fetch(const struct conductor *c, int node, int round)
{
    if (c->by[node] >= 0)
        tell(c, node, (struct control){.op = CONTROL_FETCH, .round = round});
}

/* Any rank can send anything: what it says of a node counts where it is that node's own rank, or the one
 * that hands that node's words on. */
static int speaks_for(const struct conductor *c, int source, int node)
{
    if (node < 0 || node >= c->probe->nodes || node == c->probe->own || c->by[node] == UNREACHED)
        return 0;
    return source == c->probe->ranks[c->by[node] == DIRECT ? node : c->by[node]];
}

/* Gives 1 for a node's answer, 0 for one that counts for nothing, -1 where none came. */
static int take_info(struct conductor *c)
{
    MPI_Status status;
    struct info info;
    size_t nodes = (size_t)c->probe->nodes;
    int bytes;
    if (!await_message(MPI_ANY_SOURCE, TAG_INFO, patience_s(c), &status))
        return -1;
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    size_t room = sizeof info + nodes > (size_t)bytes ? sizeof info + nodes : (size_t)bytes;
    char *message = calloc(room, 1);
    if (!message)
        MPI_Abort(MPI_COMM_WORLD, EXIT_MEMORY);
    MPI_Recv(message, bytes, MPI_BYTE, status.MPI_SOURCE, TAG_INFO, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    memcpy(&info, message, sizeof info);
    int believed = speaks_for(c, status.MPI_SOURCE, info.node);
    if (believed) {
        member_clean(&info.member);
        c->infos[info.node] = info;
        memcpy(alive_row(c, info.node), message + sizeof info, nodes);
    }
    free(message);
    return believed;
}

/* Meet those that rank 0 reaches itself, or those behind others. */
static void meet(struct conductor *c, int direct)
{
    int waiting = 0;
    for (int node = 0; node < c->probe->nodes; node++) {
        if (node == c->probe->own || c->by[node] == UNREACHED || (c->by[node] == DIRECT) != direct)
            continue;
        tell(c, node, (struct control){.op = CONTROL_HELLO, .round = -1});
        fetch(c, node, -1);
        waiting++;
    }
    int took = 0;
    while (waiting > 0 && (took = take_info(c)) >= 0)
        waiting -= took;
    for (int node = 0; node < c->probe->nodes; node++)
        if (!c->infos[node].usable && (c->by[node] == DIRECT) == direct)
            c->by[node] = UNREACHED;
}

static void meet_all(struct conductor *c)
{
    int nodes = c->probe->nodes;
    int own = c->probe->own;
    c->infos[own] = info_of(c->o, c->probe);
    memcpy(alive_row(c, own), c->probe->alive, (size_t)nodes);
    for (int node = 0; node < nodes; node++)
        c->by[node] = c->probe->alive[node] ? DIRECT : UNREACHED;
    meet(c, 1);
    for (int node = 0; node < nodes; node++)
        for (int via = 0; via < nodes && c->by[node] == UNREACHED; via++)
            if (via != own && c->by[via] == DIRECT && alive_row(c, via)[node])
                c->by[node] = via;
    meet(c, 0);
}

/* Those that were reached must be able to use NCCL together. Gives how many share a GPU at most. */
static int check_members(const struct conductor *c)
{
    char error[256];
    int n = 0;
    int most = 1;
    if (!c->o->nccl)
        return most;
    struct member *members = calloc((size_t)c->probe->nodes, sizeof *members);
    if (!members)
        MPI_Abort(MPI_COMM_WORLD, EXIT_MEMORY);
    for (int node = 0; node < c->probe->nodes; node++)
        if (c->by[node] != UNREACHED)
            members[n++] = c->infos[node].member;
    if (members_check(members, n, c->o->gpu.share, error, sizeof error)) {
        fprintf(stderr, "collbench: %s\n", error);
        MPI_Abort(MPI_COMM_WORLD, EXIT_NO_GPU);
    }
    most = members_most_on_one_gpu(members, n);
    free(members);
    return most;
}

static void print_head(const struct conductor *c, const struct rounds *rounds)
{
    char library[PATH_LENGTH + 128];
    int most_on_one = check_members(c);
    members_say_library(library, sizeof library, c->o->nccl);
    printf("%s# clusterboot collbench %s: %s\n", c->key, COLLBENCH_VERSION, library);
    printf("%s# All pairs test starting: %d nodes, %d pairs in %d rounds, maxBytes %zu, %g s a pair\n",
           c->key, c->probe->nodes, rounds->n_pairs, rounds->n_rounds, c->o->max_bytes, c->o->budget_s);
    for (int node = 0; node < c->probe->nodes; node++) {
        const struct info *i = &c->infos[node];
        if (c->by[node] == UNREACHED)
            printf("%s#  Node %4d unreached\n", c->key, node);
        else
            printf("%s#  Node %4d Rank %4d Pid %6d on %10s device %2d [%s] %s\n", c->key, node, i->rank,
                   i->member.pid, i->member.host, i->member.device, c->o->nccl ? i->member.bus_id : "none",
                   c->o->nccl ? i->member.name : "MPI host memory");
    }
    if (most_on_one > 1) {
        printf("%s", c->key);
        report_shared_gpus(most_on_one);
    }
    printf("#\n#   round   src   dst       bytes  busbw_gb_s  latency_us  both_gb_s\n");
    fflush(stdout);
}

/* A line for each length of stream that a direction was sampled with, and one for what TCP sent for them. */
static void print_samples(const char *key, int round, int from, int to, const char *how, const struct way *w)
{
    for (int i = 0; i < w->n; i++) {
        if (i == 0 || w->bytes[i] != w->bytes[i - 1])
            printf("%s%ssamples %4d %5d %5d %5s %7s %11.0f", i ? "\n" : "", key, round, from, to, how,
                   w->is_settled ? "settled" : "budget", w->bytes[i]);
        printf(" %.5g", w->gb_s[i]);
    }
    if (w->n)
        printf("\n");
    if (w->sent.segments > 0)
        printf("%ssegments %4d %5d %5d %5s %11.0f %9.0f\n", key, round, from, to, how, w->sent.segments, w->sent.again);
}

static void print_way(const char *key, int round, int from, int to, const struct link_rates *r,
                      const struct way *alone, const struct way *both)
{
    const char *format = "%spair %4d %5d %5d %11.0f %11s %11s %10.6g\n";
    char rate[32] = "-";
    char latency[32] = "-";
    if (r->dead) {
        printf(format, key, round, from, to, 0.0, "0", "0", 0.0);
        return;
    }
    if (!r->both_only) {
        snprintf(rate, sizeof rate, "%.6g", way_gb_s(alone));
        snprintf(latency, sizeof latency, "%.4g", r->latency_us);
        print_samples(key, round, from, to, "alone", alone);
    }
    print_samples(key, round, from, to, "both", both);
    printf(format, key, round, from, to, way_most_bytes(both), rate, latency, way_gb_s(both));
}

static int can_meet(const struct conductor *c, struct round_pair pair)
{
    return c->by[pair.one] != UNREACHED && c->by[pair.other] != UNREACHED && alive_row(c, pair.one)[pair.other] &&
           alive_row(c, pair.other)[pair.one];
}

/* Of two that rank 0 has no word from nothing is known; a pair with one of them is dead. */
static void print_round(const struct conductor *c, int round, const struct round_pair *pairs, int n)
{
    for (int i = 0; i < n; i++) {
        int one = pairs[i].one;
        int other = pairs[i].other;
        const struct link_rates *r = &c->rates[one];
        if (c->by[one] == UNREACHED && c->by[other] == UNREACHED)
            continue;
        print_way(c->key, round, one, other, r, &r->out, &r->both_out);
        print_way(c->key, round, other, one, r, &r->in, &r->both_in);
    }
    printf("%s# round %d\n", c->key, round);
    fflush(stdout);
}

static int is_whole(const struct way *w)
{
    return w->n >= 0 && w->n <= MOST_SAMPLES;
}

static void take_report(struct conductor *c, int round, int *waiting, char *told)
{
    static struct report report;
    MPI_Status status;
    MPI_Recv(&report, (int)sizeof report, MPI_BYTE, MPI_ANY_SOURCE, TAG_REPORT, MPI_COMM_WORLD, &status);
    if (report.round != round || !speaks_for(c, status.MPI_SOURCE, report.node) || !told[report.node])
        return;
    told[report.node] = 0;
    (*waiting)--;
    struct link_rates *r = &report.rates;
    if (is_whole(&r->out) && is_whole(&r->in) && is_whole(&r->both_out) && is_whole(&r->both_in))
        c->rates[report.node] = *r;
}

static const struct round_pair *pairs_of(const struct rounds *rounds, int round, int *n)
{
    int at = round > 0 ? rounds->rounds[round - 1].end : 0;
    *n = rounds->rounds[round].end - at;
    return rounds->pairs + at;
}

/* Words that others hand on go first: who hands them on does so before its own turn. */
static int tell_round(struct conductor *c, int round, const struct rounds *rounds, char *told)
{
    int waiting = 0;
    int n;
    const struct round_pair *pairs = pairs_of(rounds, round, &n);
    for (int direct = 0; direct < 2; direct++)
        for (int i = 0; i < 2 * n; i++) {
            struct round_pair pair = pairs[i / 2];
            int node = i % 2 ? pair.other : pair.one;
            struct control turn = {.op = CONTROL_ROUND, .round = round, .leads = i % 2 == 0};
            turn.partner = i % 2 ? pair.one : pair.other;
            turn.extent = rounds->rounds[round].extent;
            c->rates[node].dead = 1;
            if (node == c->probe->own || (c->by[node] == DIRECT) != direct || !can_meet(c, pair))
                continue;
            tell(c, node, turn);
            told[node] = 1;
            waiting++;
        }
    for (int node = 0; node < c->probe->nodes; node++)
        if (told[node])
            fetch(c, node, round);
    return waiting;
}

static void run_round(struct conductor *c, int round, const struct rounds *rounds, char *told)
{
    MPI_Status status;
    int n;
    int own = c->probe->own;
    const struct round_pair *pairs = pairs_of(rounds, round, &n);
    memset(told, 0, (size_t)c->probe->nodes);
    int waiting = tell_round(c, round, rounds, told);
    for (int i = 0; i < n; i++)
        if ((pairs[i].one == own || pairs[i].other == own) && can_meet(c, pairs[i])) {
            int leads = pairs[i].one == own;
            struct meet who = {c->probe->ranks[leads ? pairs[i].other : pairs[i].one], leads, round};
            measure_pair(c->o, who, rounds->rounds[round].extent, &c->rates[own]);
        }
    while (waiting > 0 && await_message(MPI_ANY_SOURCE, TAG_REPORT, patience_s(c), &status))
        take_report(c, round, &waiting, told);
    for (int node = 0; node < c->probe->nodes; node++)
        if (told[node]) {
            c->by[node] = UNREACHED;
            c->lost++;
        }
    print_round(c, round, pairs, n);
}

int conduct(const struct pairs_options *o, const struct probe *probe, const struct rounds *rounds)
{
    struct conductor c = {.o = o, .probe = probe, .key = rounds->key};
    char *told = calloc((size_t)probe->nodes, 1);
    if (!told || !make_room(&c))
        MPI_Abort(MPI_COMM_WORLD, EXIT_MEMORY);
    meet_all(&c);
    print_head(&c, rounds);
    for (int round = 0; round < rounds->n_rounds; round++)
        run_round(&c, round, rounds, told);
    printf("%s# All pairs test concluded\n", c.key);
    fflush(stdout);
    /* Those that hand words on must hear of the end last. */
    for (int direct = 0; direct < 2; direct++)
        for (int node = 0; node < probe->nodes; node++)
            if (node != probe->own && c.by[node] != UNREACHED && (c.by[node] == DIRECT) == direct)
                tell(&c, node, (struct control){.op = CONTROL_END});
    int lost = c.lost;
    free(told);
    release(&c);
    return lost;
}

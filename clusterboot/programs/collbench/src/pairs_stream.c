/* Streams of messages between the two ends of a pair, timed by both.
 *
 * Who receives a stream lets it begin: it posts its receives, starts its clock and sends the word
 * GO, and stops its clock when the last byte is in its memory. Who sends starts its clock when it
 * has that word, before its first byte, and stops it when it has the word that all arrived. No
 * byte of the stream leaves before either clock starts or arrives after it stops, whatever waits
 * in whichever buffer on the way: each clock can only show more than the transfer took, and
 * the shorter of the two times counts. Neither is read beside the other. docs/measuring.md derives
 * the largest error.
 *
 * Messages are small enough to be sent without asking the receiver first, as far as MPI does so
 * (the eager limit of Open MPI over TCP is 64 KiB): then nothing comes back but the words, and
 * a fault of the way back does not slow the way there.
 */
#define _POSIX_C_SOURCE 200809L
#include "pairs_stream.h"

#include <stdlib.h>
#include <string.h>

#define MOST_WINDOW 64
#define LEAST_WINDOW 2
#define WINDOW_BYTES ((size_t)16 << 20)
#define BEHIND 3
#define STILL_SHARE 0.25 /* of the silence after which a pair is dead: so often is progress told */

enum { WORD_GO = 1, WORD_ARRIVED = 2, WORD_END = 4, WORD_STILL = 8 };

struct word {
    int says;
    double took_s; /* with ARRIVED: by the clock of who received */
};

/* One direction as one end sees it: a window of requests over the messages of one stream. */
struct lane {
    int is_used;
    int may_begin; /* the receiver has said GO */
    int is_under_way;
    int is_over;
    int begun; /* messages of this stream */
    int finished;
    int streams; /* that have arrived, as far as this end knows */
    double start_s;
    MPI_Request requests[MOST_WINDOW];
};

struct course {
    struct pair *pair;
    const struct stream_order *order;
    struct stream_times *times;
    int window;
    int leads;
    struct lane in;
    struct lane out;
    struct word *heard;
    MPI_Request hearing;
    double start_s;
    double moved_s; /* when something was last done */
    double still_s; /* when the other end last had a word of this one */
};

static char *send_buffer;
static char *recv_buffer;

int stream_window(size_t message_bytes)
{
    size_t fitting = WINDOW_BYTES / message_bytes;
    return fitting > MOST_WINDOW ? MOST_WINDOW : fitting < LEAST_WINDOW ? LEAST_WINDOW : (int)fitting;
}

/* Pages that were never written to would be timed with the first messages. */
int streams_allocate(size_t max_bytes)
{
    size_t received = max_bytes * LEAST_WINDOW > WINDOW_BYTES ? max_bytes * LEAST_WINDOW : WINDOW_BYTES;
    send_buffer = malloc(max_bytes);
    recv_buffer = malloc(received);
    if (!send_buffer || !recv_buffer)
        return 0;
    memset(send_buffer, 1, max_bytes);
    memset(recv_buffer, 0, received);
    return 1;
}

/* Words are as small as their envelopes: MPI has them out of the way before the call returns, or
 * soon after; what they are read from must stay. */
static void say_once(struct course *c, int says, double took_s)
{
    enum { WORDS = 64 * (1 + BEHIND) };
    static struct word words[WORDS];
    static int next;
    next = (next + 1) % WORDS;
    words[next] = (struct word){says, took_s};
    MPI_Request request = sent(c->pair, &words[next], sizeof words[next], TAG_WORD);
    MPI_Request_free(&request);
}

/* A packet that is lost by itself is missed after 200 ms or more, one with others behind it within
 * a round trip, as soon as those are acknowledged (RFC 8985). So words that say nothing follow. */
static void say(struct course *c, int says, double took_s)
{
    say_once(c, says, took_s);
    for (int i = 0; i < BEHIND; i++)
        say_once(c, 0, 0);
    c->still_s = clock_s();
}

static void post(struct course *c)
{
    struct lane *in = &c->in;
    size_t bytes = (size_t)c->order->message_bytes;
    while (in->begun < c->order->messages && in->begun < in->finished + c->window) {
        int slot = in->begun++ % c->window;
        in->requests[slot] = awaited(c->pair, recv_buffer + (size_t)slot * bytes, bytes, TAG_STREAM);
    }
}

/* The clock starts before the word that lets the other end send. */
static void let_begin(struct course *c, int also_says, double took_s)
{
    c->in.is_under_way = 1;
    c->in.begun = c->in.finished = 0;
    post(c);
    c->in.start_s = clock_s();
    say(c, WORD_GO | also_says, took_s);
}

static int goes_on(const struct course *c)
{
    return c->in.streams < c->order->streams && clock_s() - c->start_s < c->order->limit_s;
}

static void end_received(struct course *c)
{
    double took_s = clock_s() - c->in.start_s;
    c->times->received_s[c->in.streams++] = took_s;
    c->in.is_under_way = 0;
    if (c->out.is_used)
        say(c, WORD_ARRIVED, took_s);
    else if (goes_on(c))
        let_begin(c, WORD_ARRIVED, took_s);
    else {
        say(c, WORD_ARRIVED | WORD_END, took_s);
        c->in.is_over = 1;
    }
}

static void receive(struct course *c)
{
    struct lane *in = &c->in;
    while (in->is_under_way && in->finished < c->order->messages && is_done(&in->requests[in->finished % c->window])) {
        in->finished++;
        c->moved_s = clock_s();
        if (in->finished == c->order->messages)
            end_received(c);
        else
            post(c);
    }
}

static void transmit(struct course *c)
{
    struct lane *out = &c->out;
    while (out->finished < out->begun && is_done(&out->requests[out->finished % c->window])) {
        out->finished++;
        c->moved_s = clock_s();
    }
    if (out->may_begin && out->finished == out->begun) {
        out->begun = out->finished = out->may_begin = 0;
        out->is_under_way = 1;
        out->start_s = clock_s();
    }
    while (out->is_under_way && out->begun < c->order->messages && out->begun < out->finished + c->window) {
        int slot = out->begun++ % c->window;
        out->requests[slot] = sent(c->pair, send_buffer, (size_t)c->order->message_bytes, TAG_STREAM);
    }
}

/* With both directions at once the follower's streams keep step with the leader's. */
static void take_word(struct course *c, struct word w)
{
    if (w.says & WORD_ARRIVED) {
        c->times->told_s[c->out.streams] = w.took_s;
        c->times->sent_s[c->out.streams++] = clock_s() - c->out.start_s;
        c->out.is_under_way = 0;
    }
    if (w.says & WORD_GO) {
        if (c->in.is_used && !c->leads)
            let_begin(c, 0, 0);
        c->out.may_begin = 1;
    }
    if (w.says & WORD_END) {
        if (c->in.is_used && !c->leads)
            say(c, WORD_END, 0);
        c->out.is_over = c->in.is_over = 1;
    }
}

static void hear(struct course *c)
{
    while (!c->out.is_over && is_done(&c->hearing)) {
        struct word w = *c->heard;
        c->moved_s = clock_s();
        take_word(c, w);
        if (!c->out.is_over)
            c->hearing = awaited(c->pair, c->heard, sizeof *c->heard, TAG_WORD);
    }
}

/* Who leads both directions at once begins the next streams when both have arrived. */
static void keep_step(struct course *c)
{
    if (!c->leads || !c->in.is_used || !c->out.is_used || c->in.is_over || c->in.is_under_way ||
        c->in.streams != c->out.streams || c->out.finished < c->out.begun)
        return;
    if (goes_on(c))
        let_begin(c, 0, 0);
    else {
        say(c, WORD_END, 0);
        c->in.is_over = 1;
    }
}

/* Who sends sees nothing of a slow stream's progress but this. */
static void tell_progress(struct course *c)
{
    double now_s = clock_s();
    if (c->in.is_under_way && c->moved_s > c->still_s && now_s - c->still_s > STILL_SHARE * c->pair->stuck_s)
        say(c, WORD_STILL, 0);
}

static int is_over(const struct course *c)
{
    return (!c->in.is_used || c->in.is_over) && (!c->out.is_used || c->out.is_over) &&
           c->out.finished == c->out.begun;
}

static void give_up(struct course *c)
{
    for (int i = c->in.finished; i < c->in.begun; i++)
        let_go(&c->in.requests[i % c->window]);
    for (int i = c->out.finished; i < c->out.begun; i++)
        let_go(&c->out.requests[i % c->window]);
}

int streams_run(struct pair *p, const struct stream_order *o, int leads, struct stream_times *times)
{
    static struct word heard; /* a dead pair may still write to it */
    static struct course course;
    struct course *c = &course;
    int looks = 0;
    struct tcp_count before = tcp_count_now();
    *c = (struct course){.pair = p, .order = o, .times = times, .leads = leads, .heard = &heard};
    c->window = stream_window((size_t)o->message_bytes);
    c->in.is_used = o->op == STEP_BOTH || (o->op == STEP_IN) == leads;
    c->out.is_used = o->op == STEP_BOTH || (o->op == STEP_OUT) == leads;
    c->start_s = c->moved_s = c->still_s = clock_s();
    c->hearing = MPI_REQUEST_NULL;
    if (c->out.is_used)
        c->hearing = awaited(p, &heard, sizeof heard, TAG_WORD);
    else
        c->out.is_over = 1;
    if (c->in.is_used && (leads || !c->out.is_used))
        let_begin(c, 0, 0);
    /* The follower is the more patient: who gives up first decides for both. */
    double patience_s = (leads ? 1 : 2) * p->stuck_s;
    for (; !p->dead && !is_over(c); idle(&looks)) {
        double moved_s = c->moved_s;
        receive(c);
        hear(c);
        transmit(c);
        keep_step(c);
        tell_progress(c);
        if (c->moved_s > moved_s)
            looks = 0;
        p->dead = clock_s() > c->moved_s + patience_s || clock_s() > p->end_s;
    }
    if (p->dead)
        give_up(c);
    let_go(&c->hearing);
    times->sent = tcp_count_since(before);
    times->n = c->in.is_used ? c->in.streams : c->out.streams;
    return !p->dead;
}

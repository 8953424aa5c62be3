/* What TCP has sent for this process, and how much of it was lost. */
#ifndef PAIRS_TCP_H
#define PAIRS_TCP_H

/* Segments with data; both 0 where the data takes no TCP, or the kernel does not say. */
struct tcp_count {
    double segments; /* those that were sent again count, too */
    double again; /* without what had arrived all the same */
};

/* Of all connections that are open now, since each was made. */
struct tcp_count tcp_count_now(void);
/* What was sent since a count; nothing where a connection was closed since, and took its own with it. */
struct tcp_count tcp_count_since(struct tcp_count before);
void tcp_count_add(struct tcp_count *sum, struct tcp_count more);

#endif

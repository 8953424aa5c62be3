/* What TCP has sent for this process, and how much of it was lost.
 *
 * The connections are the MPI's, or NCCL's, which say nothing of them; but their sockets are this
 * process's own, and any process may ask the kernel about those (tcp(7), TCP_INFO). During a
 * pair's turn nothing but that pair's data takes them. What is sent again is what the sender took for
 * lost on the way there: a lost acknowledgement is made up for by the next one. Of what did arrive the
 * receiver says so when it comes again (RFC 2883), and that does not count: it was late, or its
 * acknowledgement was.
 */
#define _GNU_SOURCE
#include "pairs_tcp.h"

#include <dirent.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#define KERNELS_TCP_INFO 11 /* TCP_INFO */

/* The kernel's struct tcp_info, which only ever grows at its end; the headers of a system may be older
 * than its kernel. Source: include/uapi/linux/tcp.h; data_segs_out since 4.6, dsack_dups since 4.19. */
struct kernel_tcp_info {
    uint8_t bytes[8];
    uint32_t words[23];
    uint32_t total_retrans;
    uint64_t rates_and_bytes[4];
    uint32_t segs_out, segs_in, notsent_bytes, min_rtt, data_segs_in, data_segs_out;
    uint64_t rate_and_times[4];
    uint32_t delivered, delivered_ce;
    uint64_t bytes_sent, bytes_retrans;
    uint32_t dsack_dups;
};

static void add_socket(struct tcp_count *count, int fd)
{
    struct kernel_tcp_info info = {.dsack_dups = 0};
    socklen_t size = sizeof info;
    /* What is no TCP socket gives an error, and an old kernel a shorter answer. */
    if (getsockopt(fd, IPPROTO_TCP, KERNELS_TCP_INFO, &info, &size) != 0 ||
        size < offsetof(struct kernel_tcp_info, rate_and_times))
        return;
    count->segments += info.data_segs_out;
    count->again += info.total_retrans > info.dsack_dups ? info.total_retrans - info.dsack_dups : 0;
}

struct tcp_count tcp_count_now(void)
{
    struct tcp_count count = {0, 0};
    DIR *open = opendir("/proc/self/fd");
    if (!open)
        return count;
    for (const struct dirent *each = readdir(open); each; each = readdir(open))
        if (each->d_name[0] != '.')
            add_socket(&count, atoi(each->d_name));
    closedir(open);
    return count;
}

struct tcp_count tcp_count_since(struct tcp_count before)
{
    struct tcp_count now = tcp_count_now();
    if (now.segments < before.segments)
        return (struct tcp_count){0, 0};
    /* That something had arrived may be heard after the first count. */
    double again = now.again > before.again ? now.again - before.again : 0;
    return (struct tcp_count){now.segments - before.segments, again};
}

void tcp_count_add(struct tcp_count *sum, struct tcp_count more)
{
    sum->segments += more.segments;
    sum->again += more.again;
}

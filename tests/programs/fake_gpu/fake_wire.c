#define _GNU_SOURCE
#include "fake_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* "=name" is that interface, "name" those that begin so. */
static int is_chosen(const struct ifaddrs *each, const char *wanted)
{
    if (!wanted)
        return !(each->ifa_flags & IFF_LOOPBACK);
    if (*wanted == '=')
        return strcmp(each->ifa_name, wanted + 1) == 0;
    return strncmp(each->ifa_name, wanted, strlen(wanted)) == 0;
}

uint32_t fake_own_address(void)
{
    struct ifaddrs *list;
    uint32_t found = 0;
    if (getifaddrs(&list) != 0)
        return 0;
    for (struct ifaddrs *each = list; each && !found; each = each->ifa_next)
        if (each->ifa_addr && each->ifa_addr->sa_family == AF_INET && (each->ifa_flags & IFF_UP) &&
            is_chosen(each, getenv("NCCL_SOCKET_IFNAME")))
            found = ((struct sockaddr_in *)(void *)each->ifa_addr)->sin_addr.s_addr;
    freeifaddrs(list);
    return found || getenv("NCCL_SOCKET_IFNAME") ? found : htonl(INADDR_LOOPBACK);
}

int fake_listen(uint32_t address, int *port)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = address};
    socklen_t size = sizeof own;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&own, size) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&own, &size) != 0) {
        close(fd);
        return -1;
    }
    *port = ntohs(own.sin_port);
    return fd;
}

int fake_accept(int listener)
{
    int on = 1;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

int fake_connect(uint32_t address, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = address, .sin_port = htons((uint16_t)port)};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

int fake_write(int socket, const void *data, size_t bytes)
{
    const char *at = data;
    while (bytes > 0) {
        ssize_t n = send(socket, at, bytes, MSG_NOSIGNAL);
        if (n <= 0)
            return 0;
        at += n;
        bytes -= (size_t)n;
    }
    return 1;
}

int fake_read(int socket, void *data, size_t bytes)
{
    return bytes == 0 || recv(socket, data, bytes, MSG_WAITALL) == (ssize_t)bytes;
}

static int step(struct fake_transfer *t)
{
    ssize_t n = t->receives ? recv(t->socket, t->data + t->done, t->bytes - t->done, MSG_DONTWAIT)
                            : send(t->socket, t->data + t->done, t->bytes - t->done, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        return 0;
    t->done += n > 0 ? (size_t)n : 0;
    return 1;
}

int fake_exchange(struct fake_transfer *all, int n, const volatile int *stop)
{
    struct pollfd *polls = calloc((size_t)n + 1, sizeof *polls);
    int well = 1;
    for (int left = 1; left > 0 && well && !*stop;) {
        left = 0;
        for (int i = 0; i < n; i++) {
            int open = all[i].done < all[i].bytes;
            left += open;
            polls[i] = (struct pollfd){open ? all[i].socket : -1, all[i].receives ? POLLIN : POLLOUT, 0};
        }
        if (left == 0 || poll(polls, (nfds_t)n, 50) <= 0)
            continue;
        for (int i = 0; i < n && well; i++)
            if (polls[i].revents)
                well = step(&all[i]);
    }
    free(polls);
    return well && !*stop;
}

void fake_introduce(int listener)
{
    struct fake_peer first = {.ranks = 1};
    struct fake_peer *all = NULL;
    int *sockets = NULL;
    int well = 1;
    for (int heard = 0; heard < first.ranks && well; heard++) {
        struct fake_peer peer;
        int fd = fake_accept(listener);
        well = fd >= 0 && fake_read(fd, &peer, sizeof peer);
        if (heard == 0 && well) {
            first = peer;
            all = calloc((size_t)peer.ranks, sizeof *all);
            sockets = calloc((size_t)peer.ranks, sizeof *sockets);
        }
        if (well) {
            all[peer.rank] = peer;
            sockets[peer.rank] = fd;
        }
    }
    for (int rank = 0; rank < first.ranks && sockets; rank++) {
        if (well)
            fake_write(sockets[rank], all, (size_t)first.ranks * sizeof *all);
        close(sockets[rank]);
    }
    free(all);
    free(sockets);
    close(listener);
}

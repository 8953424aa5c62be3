/* Addresses of either family: read, compared, and found on this node. */
#define _GNU_SOURCE
#include "pairs_address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <string.h>

size_t address_size(const union address *a)
{
    return a->any.sa_family == AF_INET ? sizeof a->v4 : sizeof a->v6;
}

int read_address(const char *text, int port, union address *a)
{
    memset(a, 0, sizeof *a);
    if (inet_pton(AF_INET, text, &a->v4.sin_addr) == 1) {
        a->v4.sin_family = AF_INET;
        a->v4.sin_port = htons((uint16_t)port);
        return 1;
    }
    a->v6.sin6_family = AF_INET6;
    a->v6.sin6_port = htons((uint16_t)port);
    return inet_pton(AF_INET6, text, &a->v6.sin6_addr) == 1;
}

void set_port(union address *a, int port)
{
    if (a->any.sa_family == AF_INET)
        a->v4.sin_port = htons((uint16_t)port);
    else
        a->v6.sin6_port = htons((uint16_t)port);
}

static int same_host(const union address *a, const struct sockaddr *other)
{
    if (!other || other->sa_family != a->any.sa_family)
        return 0;
    union address b;
    memcpy(&b, other, address_size(a));
    if (a->any.sa_family == AF_INET)
        return a->v4.sin_addr.s_addr == b.v4.sin_addr.s_addr;
    return memcmp(&a->v6.sin6_addr, &b.v6.sin6_addr, sizeof a->v6.sin6_addr) == 0;
}

int same_address(const union address *one, const union address *other)
{
    return same_host(one, &other->any);
}

int find_own_address(const union address *addresses, int nodes)
{
    struct ifaddrs *list;
    int own = -1;
    if (getifaddrs(&list) != 0)
        return -1;
    for (struct ifaddrs *each = list; each && own < 0; each = each->ifa_next)
        for (int node = 0; node < nodes && own < 0; node++)
            if (same_host(&addresses[node], each->ifa_addr))
                own = node;
    freeifaddrs(list);
    return own;
}

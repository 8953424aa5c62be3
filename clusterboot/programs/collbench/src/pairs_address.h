/* Addresses of either family, with a port. */
#ifndef PAIRS_ADDRESS_H
#define PAIRS_ADDRESS_H

#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

size_t address_size(const union address *a);
int read_address(const char *text, int port, union address *a);
void set_port(union address *a, int port);
int same_address(const union address *one, const union address *other); /* whatever the ports */

/* Which of the addresses is this node's; -1 for none. */
int find_own_address(const union address *addresses, int nodes);

#endif

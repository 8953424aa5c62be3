/* The stand-in's sockets: how ranks find each other, and how bytes get across. */
#ifndef FAKE_WIRE_H
#define FAKE_WIRE_H

#include <stddef.h>
#include <stdint.h>

/* Who takes part, as told to all. */
struct fake_peer {
    int rank;
    int ranks;
    int port;
    uint32_t address;
    int version;
    char host_id[96];
    char bus_id[16];
};

struct fake_transfer {
    int socket;
    char *data; /* sent from or received to */
    size_t bytes;
    size_t done;
    int receives;
};

uint32_t fake_own_address(void); /* of the interface that NCCL_SOCKET_IFNAME chooses */
int fake_listen(uint32_t address, int *port);
int fake_accept(int listener);
int fake_connect(uint32_t address, int port);
int fake_write(int socket, const void *data, size_t bytes);
int fake_read(int socket, void *data, size_t bytes);

/* Carry out all at once; stops where `stop` becomes other than 0. Returns 0 for a broken connection. */
int fake_exchange(struct fake_transfer *all, int n, const volatile int *stop);

/* The side of rank 0: hear every rank, then tell each of all. Closes the listener. */
void fake_introduce(int listener);

#endif

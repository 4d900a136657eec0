/* address.c: addresses of clients. Does no I/O. */
#include "hub/http/address.h"

#include <string.h>

enum { NETWORK_BYTES = 8 };

struct in6_addr address_mapped(const struct in_addr *four) {
    struct in6_addr six = {.s6_addr[10] = 0xff, .s6_addr[11] = 0xff};
    memcpy(&six.s6_addr[12], four, sizeof *four);
    return six;
}

bool address_of(const struct sockaddr *socket, struct in6_addr *address) {
    int family = socket == NULL ? AF_UNSPEC : socket->sa_family;
    if (family == AF_INET6) {
        *address = ((const struct sockaddr_in6 *)(const void *)socket)->sin6_addr;
    } else if (family == AF_INET) {
        *address = address_mapped(&((const struct sockaddr_in *)(const void *)socket)->sin_addr);
    }
    return family == AF_INET6 || family == AF_INET;
}

struct in6_addr address_network(const struct in6_addr *address) {
    struct in6_addr network = *address;
    if (!IN6_IS_ADDR_V4MAPPED(&network) && !IN6_IS_ADDR_LOOPBACK(&network)) {
        memset(&network.s6_addr[NETWORK_BYTES], 0, sizeof network.s6_addr - NETWORK_BYTES);
    }
    return network;
}

struct in6_addr address_client(const struct sockaddr *socket) {
    struct in6_addr client = in6addr_any;
    return address_of(socket, &client) ? address_network(&client) : client;
}

bool address_is_loopback(const struct in6_addr *address) {
    return IN6_IS_ADDR_LOOPBACK(address) || (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == IN_LOOPBACKNET);
}

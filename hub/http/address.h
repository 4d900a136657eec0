/* address.h: who asks, as far as it can be told: an IPv6 address, IPv4 as its mapped form. */
#ifndef CITYHUB_ADDRESS_H
#define CITYHUB_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>

/* IPv4 as its mapped form in IPv6. */
struct in6_addr address_mapped(const struct in_addr *four);

/* The address of a socket; false if it is neither IPv4 nor IPv6, or NULL. */
bool address_of(const struct sockaddr *socket, struct in6_addr *address);

/* Of an IPv6 address the network of 64 bits, in which a client gives itself as many addresses as it likes; IPv4 and
 * loopback as they are. */
struct in6_addr address_network(const struct in6_addr *address);

/* The address of a socket as one client: its network. What is neither IPv4 nor IPv6 is all zeros. */
struct in6_addr address_client(const struct sockaddr *socket);

bool address_is_loopback(const struct in6_addr *address);

#endif

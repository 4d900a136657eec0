/* address_count.h: how many connections each address has, so that one cannot take all. Behind a carrier's address there
 * are many devices, so the bound is high. */
#ifndef CITYHUB_ADDRESS_COUNT_H
#define CITYHUB_ADDRESS_COUNT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

enum { ADDRESS_BUCKETS = 4096 };

struct address_count;

/* Zero at first; empty again when all connections have ended. */
struct address_counts {
    struct address_count *buckets[ADDRESS_BUCKETS];
};

/* Counts one more. False: the address has `most`, or memory is out; nothing is counted. */
bool address_count_more(struct address_counts *counts, const struct in6_addr *address, size_t most);
/* One that was counted has ended. */
void address_count_less(struct address_counts *counts, const struct in6_addr *address);

/* IPv4 as people write it; "" if it cannot be shown. */
void address_shown(const struct in6_addr *address, char text[static INET6_ADDRSTRLEN]);

#endif

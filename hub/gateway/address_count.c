/* address_count.c: see address_count.h. Must never keep an address that has no connection. */
#include "hub/gateway/address_count.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>

#include "hub/base/hash.h"

struct address_count {
    struct address_count *next;
    struct in6_addr address;
    size_t count;
};

/* Where the address is in its bucket, or where it would be put. */
static struct address_count **place_of(struct address_counts *counts, const struct in6_addr *address) {
    uint32_t hash = hash_bytes(HASH_FIRST, address->s6_addr, sizeof address->s6_addr);
    struct address_count **at = &counts->buckets[hash % ADDRESS_BUCKETS];
    while (*at != NULL && !IN6_ARE_ADDR_EQUAL(&(*at)->address, address)) {
        at = &(*at)->next;
    }
    return at;
}

bool address_count_more(struct address_counts *counts, const struct in6_addr *address, size_t most) {
    struct address_count **at = place_of(counts, address);
    if (*at == NULL) {
        *at = calloc(1, sizeof **at);
        if (*at == NULL) {
            return false;
        }
        (*at)->address = *address;
    }
    if ((*at)->count >= most) {
        return false;
    }
    (*at)->count++;
    return true;
}

void address_count_less(struct address_counts *counts, const struct in6_addr *address) {
    struct address_count **at = place_of(counts, address), *entry = *at;
    if (entry != NULL && --entry->count == 0) {
        *at = entry->next;
        free(entry);
    }
}

void address_shown(const struct in6_addr *address, char text[static INET6_ADDRSTRLEN]) {
    bool four = IN6_IS_ADDR_V4MAPPED(address);
    if (inet_ntop(four ? AF_INET : AF_INET6, four ? &address->s6_addr[12] : (const void *)address, text,
                  INET6_ADDRSTRLEN) == NULL) {
        text[0] = '\0';
    }
}

/* address_range.c: ranges of addresses, IPv4 as IPv6's mapped form, so that there is one comparison. */
#include "hub/base/address_range.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/count.h"

struct range {
    unsigned char bytes[16];
    unsigned bits;
};

static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool range_read(const char *text, struct range *range) {
    char host[INET6_ADDRSTRLEN];
    const char *slash = text == NULL ? NULL : strchr(text, '/');
    if (slash == NULL || (size_t)(slash - text) >= sizeof host || slash[1] < '0' || slash[1] > '9') {
        return false;
    }
    memcpy(host, text, (size_t)(slash - text));
    host[slash - text] = '\0';
    char *end = NULL;
    unsigned long bits = strtoul(slash + 1, &end, 10);
    if (*end != '\0') {
        return false;
    }
    if (inet_pton(AF_INET6, host, range->bytes) == 1) {
        range->bits = (unsigned)bits;
        return bits <= 128;
    }
    memcpy(range->bytes, mapped, sizeof mapped);
    range->bits = (unsigned)bits + 96;
    return bits <= 32 && inet_pton(AF_INET, host, range->bytes + sizeof mapped) == 1;
}

bool address_range_valid(const char *text) {
    struct range range;
    return range_read(text, &range);
}

static bool within(const unsigned char bytes[16], const char *text) {
    struct range range;
    if (!range_read(text, &range)) {
        return false;
    }
    unsigned whole = range.bits / 8, rest = range.bits % 8;
    unsigned char mask = (unsigned char)(0xff00 >> rest);
    return memcmp(bytes, range.bytes, whole) == 0 && (rest == 0 || ((bytes[whole] ^ range.bytes[whole]) & mask) == 0);
}

/* RFC 6890 and what followed it: private, loopback, link-local, shared, documentation, multicast, reserved. */
static const char *const closed[] = {
    "0.0.0.0/8",    "10.0.0.0/8",   "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",  "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15",  "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/3",  "::/96",        "64:ff9b::/96",   "64:ff9b:1::/48", "100::/64",        "2001:db8::/32",
    "2002::/16",    "fc00::/7",     "fe80::/10",      "ff00::/8",
};

bool address_range_allowed(const struct sockaddr *address, const cJSON *ranges) {
    unsigned char bytes[16];
    const cJSON *range;
    if (address->sa_family == AF_INET) {
        struct sockaddr_in plain;
        memcpy(&plain, address, sizeof plain);
        memcpy(bytes, mapped, sizeof mapped);
        memcpy(bytes + sizeof mapped, &plain.sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 plain;
        memcpy(&plain, address, sizeof plain);
        memcpy(bytes, &plain.sin6_addr, sizeof bytes);
    } else {
        return false;
    }
    cJSON_ArrayForEach(range, ranges) {
        if (within(bytes, cJSON_GetStringValue(range))) {
            return true;
        }
    }
    for (size_t i = 0; i < COUNT_OF(closed); i++) {
        if (within(bytes, closed[i])) {
            return false;
        }
    }
    return true;
}

/* outside.h: libcurl for an address that a file or another system names: all that could lead it elsewhere is switched
 * off: redirects, proxies of the environment, other protocols, TLS before 1.2, addresses that it may not have. */
#ifndef CITYHUB_OUTSIDE_H
#define CITYHUB_OUTSIDE_H

#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <stdbool.h>

struct outside {
    bool plain_http;                /* http:// is allowed, too */
    const cJSON *private_addresses; /* as address_range_allowed takes them */
    const char *ca_file;            /* "" = the system's */
    long connect_s, whole_s;        /* to the connection, to the last byte */
    bool (*stop)(void *user);       /* asked while it waits, ends it by returning true; NULL = never */
    void *user;
    bool forbidden; /* set: the address was not public, and none of private_addresses */
};

/* Sets the handle up anew for one transfer; `outside` is read until that is over. What is sent and what takes the
 * answer is the caller's. A handle keeps connections: it must not serve an address that has other private_addresses. */
void outside_set(CURL *curl, const char *url, struct outside *outside);

#endif

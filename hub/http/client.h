/* client.h: where a request comes from: the client's address, whether it is on this machine, and which page sent it. */
#ifndef CITYHUB_CLIENT_H
#define CITYHUB_CLIENT_H

#include <netinet/in.h>
#include <stdbool.h>

#include "hub/base/config.h"

struct request;

/* From this machine, by localhost or its address, and not through a proxy. */
bool client_is_local(const struct request *request);

/* Its address: the connection's, or, if that is one of [http] proxies, what it says in X-Forwarded-For. "" if it cannot
 * be told. */
void client_address(const struct request *request, char text[static INET6_ADDRSTRLEN]);

/* The same as one client among many: of IPv6 the network (see address_network). */
struct in6_addr client_whole(const struct request *request);

/* The socket is of one of [http] proxies: many clients stand behind it. */
bool client_is_proxy(const struct config *config, const struct sockaddr *socket);

/* The client behind a proxy: the last address of `forwarded` that is none of `proxies` (addresses with blanks between
 * them). False if there is none, or something else stands there. Pure. */
bool client_forwarded(const char *forwarded, const char *proxies, char text[static INET6_ADDRSTRLEN]);

enum { CLIENT_BASE_MAX = 160 };

/* Where who asks finds the hub, as scheme://host[:port], for links: what a proxy of the county says (X-Forwarded-Host
 * and -Proto), if that is one of [http] origins or none are named; else the first of those; else the address that the
 * connection came to. Never what the client wrote as Host. "" if it cannot be told. */
void client_base(const struct request *request, char base[static CLIENT_BASE_MAX]);

/* scheme://host[:port] of a proxy's headers; NULL = it has none. False if they are no such thing. Pure. */
bool client_forwarded_base(const char *scheme, const char *host, char base[static CLIENT_BASE_MAX]);

/* True if `origin` (scheme://host[:port]) is one of [http] origins; without any: localhost and loopback addresses with
 * this port. Pure. */
bool client_origin(const struct config *config, int port, const char *origin);

/* True if all of [http] origins are https. */
bool client_all_secure(const struct config *config);

/* Whether a page that is not ours may have sent it: an Origin that is none of ours, or Sec-Fetch-Site says so. With
 * `needed` also if it does not say from where it comes. */
bool client_is_strange(const struct request *request, bool needed);

/* Its Origin, if that is one of [http] cors: a page of another system that may read the answer; else NULL. */
const char *client_cors(const struct request *request);

/* The request came, as its Origin says, from a page over TLS; without Origin: if there is no other. */
bool client_is_secure(const struct request *request);

#endif

/* connections.c: who has which connections, and who makes room. Must never close one to which something was promised:
 * an answer that is waited for, a stream, the body of whoever is logged in. */
#include "hub/http/connections.h"

#include <stdlib.h>

#include "hub/base/log.h"
#include "hub/base/metrics.h"
#include "hub/http/address.h"
#include "hub/http/client.h"
#include "hub/http/request.h"

enum {
    EVICT_IDLE_MS = 1000, /* idle, or without the rest of a body, for so long, a connection may go to others */
    SPARE_PART = 16,      /* of all connections this part is kept free: the next must be accepted to be known */
    CROWDED_MAX = 16,     /* connections of one address that are told it has too many; more are closed at once */
};

/* Puts it before all others: it is new, or a request of it ended. */
static void link_first(struct connection *connection) {
    struct connections *all = connection->all;
    connection->since_ms = uv_now(all->loop);
    connection->previous = NULL;
    connection->next = all->first;
    *(all->first == NULL ? &all->last : &all->first->previous) = connection;
    all->first = connection;
}

static void link_out(struct connection *connection) {
    struct connections *all = connection->all;
    *(connection->previous == NULL ? &all->first : &connection->previous->next) = connection->next;
    *(connection->next == NULL ? &all->last : &connection->next->previous) = connection->previous;
}

void connection_cut(struct connection *connection, const char *why, bool hard) {
    int client = request_socket(connection->handle);
    if (hard) {
        const struct linger none = {.l_onoff = 1};
        setsockopt(client, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    }
    shutdown(client, SHUT_RDWR);
    if (connection->request != NULL) {
        if (!connection->ending) { /* those are many, and counted */
            log_info("http_cut", "path=%s reason=%s", log_quote(connection->request->path), why);
        }
        request_cut(connection->request, why);
    }
}

/* Whether its answer goes to somebody unknown who has read nothing of it for a while. */
static bool is_unread(const struct connection *connection) {
    struct request *request = connection->request;
    return request != NULL && request->phase == REQUEST_ANSWERED && request->identity == NULL &&
           request_untaken_ms(request, uv_now(connection->all->loop)) >= EVICT_IDLE_MS;
}

/* Whether it may be closed for others: nothing was promised to it. Its head is half there; or it is idle, or sends a
 * body of somebody unknown, and was for a while; or nobody known reads its answer. Bytes that have come, and are not
 * read yet, would be lost: those wait. */
static bool gives_way(const struct connection *connection) {
    const struct request *request = connection->request;
    uint64_t begun_ms = request == NULL ? connection->since_ms : request->begun_ms; /* 0 in a head */
    bool promised = request != NULL && request->phase != REQUEST_HEAD &&
                    (request->phase != REQUEST_BODY || (request->identity != NULL && !request->answer_ready));
    char byte;
    if (connection->ending || (request != NULL && request->cut != NULL)) {
        return false;
    }
    return promised ? is_unread(connection)
                    : uv_now(connection->all->loop) - begun_ms >= EVICT_IDLE_MS &&
                          recv(request_socket(connection->handle), &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

/* Closes the one that gave no sign for the longest time, of those that give way: the client's, or (NULL) anybody's. */
static bool evict_one(struct connections *all, const struct in6_addr *client) {
    struct connection *at = all->last;
    while (at != NULL && !((client == NULL || IN6_ARE_ADDR_EQUAL(&at->client, client)) && gives_way(at))) {
        at = at->previous;
    }
    if (at != NULL) {
        at->ending = true;
        all->ending++;
        connection_cut(at, at->request == NULL ? "idle" : "room", at->request != NULL);
        hub_metrics.http_evicted++;
    }
    return at != NULL;
}

void connections_make_room(struct connections *all) {
    size_t room = (size_t)all->config->http_connections, most = room - (room + SPARE_PART - 1) / SPARE_PART;
    while ((size_t)hub_metrics.http_connections - all->ending > most && evict_one(all, NULL)) {
    }
}

/* How many connections the client has: those that are served, or those that are refused for their number. */
static size_t count_of(const struct connections *all, const struct in6_addr *client, bool crowded) {
    size_t count = 0;
    for (const struct connection *at = all->first; at != NULL; at = at->next) {
        count += at->crowded == crowded && !at->ending && IN6_ARE_ADDR_EQUAL(&at->client, client);
    }
    return count;
}

/* Whether the client has as many connections as it may, and none of them gives way. */
static bool is_crowded(struct connections *all, const struct in6_addr *client) {
    return count_of(all, client, false) >= (size_t)all->config->http_address_connections && !evict_one(all, client);
}

bool connections_too_many(const struct connections *all, const struct sockaddr *address) {
    const struct in6_addr client = address_client(address);
    bool too_many = count_of(all, &client, true) >= CROWDED_MAX;
    hub_metrics.http_crowded += too_many;
    return too_many;
}

struct connection *connections_add(struct connections *all, struct MHD_Connection *handle) {
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        return NULL;
    }
    const struct sockaddr *peer = MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    const struct in6_addr client = address_client(peer);
    *connection = (struct connection){.all = all,
                                      .handle = handle,
                                      .client = client,
                                      .crowded = !client_is_proxy(all->config, peer) && is_crowded(all, &client)};
    hub_metrics.http_crowded += connection->crowded;
    link_first(connection);
    hub_metrics.http_connections++;
    connections_make_room(all);
    return connection;
}

void connections_spoke(struct connection *connection) {
    connection->request = NULL;
    link_out(connection);
    link_first(connection);
}

void connections_remove(struct connection *connection) {
    link_out(connection);
    hub_metrics.http_connections--;
    connection->all->ending -= connection->ending;
    free(connection);
}

/* client.c: who is at the other end of a connection, and on whose behalf. Must never believe a header of whoever is not
 * a proxy of the county's. */
#include "hub/http/client.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "hub/base/count.h"
#include "hub/base/text.h"
#include "hub/http/address.h"
#include "hub/http/request.h"

/* ---- addresses ---- */

/* Of a text of `length` bytes; false if it is no address. */
static bool text_six(const char *text, size_t length, struct in6_addr *six) {
    char name[INET6_ADDRSTRLEN];
    struct in_addr four;
    if (length == 0 || length >= sizeof name) {
        return false;
    }
    memcpy(name, text, length);
    name[length] = '\0';
    if (inet_pton(AF_INET, name, &four) == 1) {
        *six = address_mapped(&four);
        return true;
    }
    return inet_pton(AF_INET6, name, six) == 1;
}

static void six_text(const struct in6_addr *six, char text[static INET6_ADDRSTRLEN]) {
    bool four = IN6_IS_ADDR_V4MAPPED(six);
    text[0] = '\0';
    inet_ntop(four ? AF_INET : AF_INET6, four ? (const void *)&six->s6_addr[12] : (const void *)six, text,
              INET6_ADDRSTRLEN);
}

static bool peer_of(const struct request *request, struct in6_addr *peer) {
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    return getpeername(request_socket(request->connection), (struct sockaddr *)&address, &length) == 0 &&
           address_of((const struct sockaddr *)&address, peer);
}

/* ---- this machine ---- */

/* A page of another site, under a name of its own that it lets point here (DNS rebinding), is not this machine: only
 * localhost, loopback addresses, and the address that the connection came to. */
static bool is_own_host(const char *host, const struct in6_addr *local) {
    struct in6_addr six = in6addr_any;
    bool brackets = *host == '[';
    size_t length = strcspn(host + brackets, brackets ? "]" : ":");
    if (length == 9 && strncasecmp(host, "localhost", length) == 0) {
        return true;
    }
    return text_six(host + brackets, length, &six) && IN6_IS_ADDR_V4MAPPED(&six) == !brackets &&
           (address_is_loopback(&six) || IN6_ARE_ADDR_EQUAL(&six, local));
}

/* What a proxy on this machine passes on comes from elsewhere. */
static bool is_passed_on(const struct request *request) {
    static const char *const names[] = {"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (request_header(request, names[i]) != NULL) {
            return true;
        }
    }
    return false;
}

bool client_is_local(const struct request *request) {
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    struct in6_addr peer = in6addr_any, local = in6addr_any;
    const char *host = request_header(request, MHD_HTTP_HEADER_HOST);
    if (!peer_of(request, &peer) ||
        getsockname(request_socket(request->connection), (struct sockaddr *)&address, &length) != 0 ||
        !address_of((const struct sockaddr *)&address, &local)) {
        return false;
    }
    /* Who asks one of this machine's addresses from the same one is on it. */
    return (address_is_loopback(&peer) || IN6_ARE_ADDR_EQUAL(&peer, &local)) && !is_passed_on(request) &&
           (host == NULL || is_own_host(host, &local)); /* HTTP/1.0 has no Host */
}

/* ---- behind proxies ---- */

static bool is_proxy(const char *proxies, const struct in6_addr *address) {
    size_t length;
    for (const char *word; (word = text_word(&proxies, &length)) != NULL;) {
        struct in6_addr proxy;
        if (text_six(word, length, &proxy) && IN6_ARE_ADDR_EQUAL(&proxy, address)) {
            return true;
        }
    }
    return false;
}

static bool forwarded_six(const char *forwarded, const char *proxies, struct in6_addr *client) {
    const char *end = forwarded + strlen(forwarded);
    while (end > forwarded) {
        const char *begin = end, *last = end;
        while (begin > forwarded && begin[-1] != ',') {
            begin--;
        }
        const char *next = begin > forwarded ? begin - 1 : begin;
        begin += strspn(begin, " \t");
        while (last > begin && (last[-1] == ' ' || last[-1] == '\t')) {
            last--;
        }
        if (last < begin || !text_six(begin, (size_t)(last - begin), client)) {
            return false;
        }
        if (!is_proxy(proxies, client)) {
            return true;
        }
        end = next;
    }
    return false;
}

bool client_forwarded(const char *forwarded, const char *proxies, char text[static INET6_ADDRSTRLEN]) {
    struct in6_addr client;
    bool found = forwarded_six(forwarded, proxies, &client);
    if (found) {
        six_text(&client, text);
    }
    return found;
}

static bool client_six(const struct request *request, struct in6_addr *client) {
    struct in6_addr peer = in6addr_any;
    const char *forwarded = request_header(request, "X-Forwarded-For"),
               *proxies = request->service->config->http_proxies;
    if (!peer_of(request, &peer)) {
        return false;
    }
    if (forwarded == NULL || !is_proxy(proxies, &peer) || !forwarded_six(forwarded, proxies, client)) {
        *client = peer;
    }
    return true;
}

void client_address(const struct request *request, char text[static INET6_ADDRSTRLEN]) {
    struct in6_addr client;
    text[0] = '\0';
    if (client_six(request, &client)) {
        six_text(&client, text);
    }
}

bool client_is_proxy(const struct config *config, const struct sockaddr *socket) {
    struct in6_addr address = in6addr_any;
    return address_of(socket, &address) && is_proxy(config->http_proxies, &address);
}

struct in6_addr client_whole(const struct request *request) {
    struct in6_addr client = in6addr_any;
    return client_six(request, &client) ? address_network(&client) : client;
}

/* ---- pages ---- */

static bool is_word(const char *words, const char *word) {
    size_t word_length = strlen(word), length;
    for (const char *at; (at = text_word(&words, &length)) != NULL;) {
        if (length == word_length && strncasecmp(at, word, length) == 0) {
            return true;
        }
    }
    return false;
}

bool client_origin(const struct config *config, int port, const char *origin) {
    enum { HTTP_PORT = 80 };
    static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]"};
    if (strspn(config->http_origins, " ") < strlen(config->http_origins)) {
        return is_word(config->http_origins, origin);
    }
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        char own[64], number[8] = "";
        if (port != HTTP_PORT) {
            snprintf(number, sizeof number, ":%d", port);
        }
        snprintf(own, sizeof own, "http://%s%s", hosts[i], number);
        if (strcasecmp(own, origin) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_https(const char *origin) {
    return strncasecmp(origin, "https://", strlen("https://")) == 0;
}

bool client_all_secure(const struct config *config) {
    const char *origins = config->http_origins;
    size_t length;
    bool any = false;
    for (const char *origin; (origin = text_word(&origins, &length)) != NULL; any = true) {
        if (!is_https(origin)) {
            return false;
        }
    }
    return any;
}

const char *client_cors(const struct request *request) {
    const char *origin = request_header(request, MHD_HTTP_HEADER_ORIGIN);
    return origin != NULL && is_word(request->service->config->http_cors, origin) ? origin : NULL;
}

bool client_is_strange(const struct request *request, bool needed) {
    const char *origin = request_header(request, MHD_HTTP_HEADER_ORIGIN),
               *site = request_header(request, "Sec-Fetch-Site");
    if (site != NULL && strcasecmp(site, "same-origin") != 0) {
        return true;
    }
    return origin == NULL ? needed : !client_origin(request->service->config, request->service->port, origin);
}

/* ---- where the hub is ---- */

bool client_forwarded_base(const char *scheme, const char *host, char base[static CLIENT_BASE_MAX]) {
    static const char host_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]";
    size_t length = host == NULL ? 0 : strspn(host, host_characters);
    bool secure = scheme != NULL && strcasecmp(scheme, "https") == 0;
    base[0] = '\0';
    if (length == 0 || host[length] != '\0' || length + sizeof "https://" > CLIENT_BASE_MAX ||
        (scheme != NULL && !secure && strcasecmp(scheme, "http") != 0)) {
        return false;
    }
    snprintf(base, CLIENT_BASE_MAX, "%s://%s", secure ? "https" : "http", host);
    return true;
}

/* What a proxy says counts if the county names no origins, or this one. */
static bool base_of_proxy(const struct request *request, char base[static CLIENT_BASE_MAX]) {
    const struct config *config = request->service->config;
    struct in6_addr peer = in6addr_any;
    return peer_of(request, &peer) && is_proxy(config->http_proxies, &peer) &&
           client_forwarded_base(request_header(request, "X-Forwarded-Proto"),
                                 request_header(request, "X-Forwarded-Host"), base) &&
           (strspn(config->http_origins, " ") == strlen(config->http_origins) ||
            client_origin(config, request->service->port, base));
}

static void base_of_socket(const struct request *request, char base[static CLIENT_BASE_MAX]) {
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    struct in6_addr local = in6addr_any;
    char text[INET6_ADDRSTRLEN];
    base[0] = '\0';
    if (getsockname(request_socket(request->connection), (struct sockaddr *)&address, &length) != 0 ||
        !address_of((const struct sockaddr *)&address, &local)) {
        return;
    }
    six_text(&local, text);
    bool four = IN6_IS_ADDR_V4MAPPED(&local);
    snprintf(base, CLIENT_BASE_MAX, four ? "http://%s:%d" : "http://[%s]:%d", text, request->service->port);
}

void client_base(const struct request *request, char base[static CLIENT_BASE_MAX]) {
    const char *origins = request->service->config->http_origins;
    size_t length = 0;
    if (base_of_proxy(request, base)) {
        return;
    }
    const char *first = text_word(&origins, &length);
    if (first != NULL && length < CLIENT_BASE_MAX) {
        memcpy(base, first, length);
        base[length] = '\0';
    } else {
        base_of_socket(request, base);
    }
}

bool client_is_secure(const struct request *request) {
    const char *origin = request_header(request, MHD_HTTP_HEADER_ORIGIN);
    return origin == NULL ? client_all_secure(request->service->config) : is_https(origin);
}

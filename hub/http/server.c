/* server.c: libmicrohttpd in the loop, and the clock that cuts those whose time is over. It parses;
 * what a request means is request.c's. Must never block, nor let a client hold a connection without taking part. */
#include "hub/http/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "hub/base/closing.h"
#include "hub/base/log.h"
#include "hub/base/metrics.h"
#include "hub/basemap/basemaps.h"
#include "hub/http/attachment.h"
#include "hub/http/connections.h"
#include "hub/http/identity_memo.h"
#include "hub/http/login.h"
#include "hub/http/page.h"
#include "hub/http/request.h"
#include "hub/http/stream.h"

enum {
    LISTEN_BACKLOG = 1024,
    CONNECTION_MEMORY = 16 * 1024, /* bytes for a request's head and its answer's, and for pieces of a stream */
    TICK_MS = 250,
    GRACE_MS = 1000,   /* behind a deadline, for the refusal to go out */
    WAKES_A_TURN = 64, /* connections resumed in one turn of the loop: ingest shares it */
    NOTICE_MAX = 256,
};

struct server {
    struct service service; /* first: the requests know this part only */
    struct MHD_Daemon *daemon;
    struct connections connections;
    struct request *waking, **waking_end;
    struct pollfd *watched; /* room for all connections */
    struct connection **watched_as;
    size_t route_count;
    struct route_metrics **metrics; /* by row; then one for what no row fits */
    uv_poll_t poll;
    uv_timer_t timer, tick;
    uv_idle_t soon;
    struct closing closing;
    char notice[NOTICE_MAX]; /* the last that libmicrohttpd said */
};

static void on_tick(uv_timer_t *timer);
static void on_soon(uv_idle_t *idle);

/* ---- the loop ---- */

static unsigned connection_count(const struct server *server) {
    return MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections;
}

static void on_timer(uv_timer_t *timer);

static void server_run(struct server *server) {
    unsigned before;
    /* At its limit libmicrohttpd takes the listener out of its epoll set, and puts it back only at the beginning of a
     * run: without another run after connections ended, nobody would ever be accepted again. */
    do {
        before = connection_count(server);
        MHD_run(server->daemon);
    } while (connection_count(server) < before);
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    if (MHD_get_timeout(server->daemon, &timeout_ms) != MHD_YES) {
        uv_timer_stop(&server->timer);
    } else if (timeout_ms > 0) {
        uv_timer_start(&server->timer, on_timer, timeout_ms, 0);
    } else {
        uv_idle_start(&server->soon, on_soon); /* after a turn of the loop for all others */
    }
}

static void on_timer(uv_timer_t *timer) {
    server_run(timer->data);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    server_run(poll->data);
}

/* ---- waking ---- */

static void wake(struct service *service, struct request *request) {
    struct server *server = (struct server *)service;
    request->waking = true;
    request->next_waking = NULL;
    *server->waking_end = request;
    server->waking_end = &request->next_waking;
    if (!server->closing.begun) {
        uv_idle_start(&server->soon, on_soon);
    }
}

static void resume_some(struct server *server, size_t most) {
    for (size_t i = 0; i < most && server->waking != NULL; i++) {
        struct request *request = server->waking;
        server->waking = request->next_waking;
        request->waking = request->suspended = false;
        MHD_resume_connection(request->connection);
    }
    if (server->waking == NULL) {
        server->waking_end = &server->waking;
    }
}

static void on_soon(uv_idle_t *idle) {
    struct server *server = idle->data;
    uv_idle_stop(idle);
    resume_some(server, WAKES_A_TURN);
    server_run(server);
    if (server->waking != NULL) {
        uv_idle_start(idle, on_soon);
    }
}

/* ---- libmicrohttpd's calls ---- */

static struct connection *connection_of(struct MHD_Connection *handle) {
    return MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* Before a connection is taken. */
static enum MHD_Result on_accept(void *user, const struct sockaddr *address, socklen_t length) {
    const struct server *server = user;
    (void)length;
    return connections_too_many(&server->connections, address) ? MHD_NO : MHD_YES;
}

static void on_connection(void *user, struct MHD_Connection *handle, void **context,
                          enum MHD_ConnectionNotificationCode code) {
    struct server *server = user;
    struct connection *connection = *context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = connections_add(&server->connections, handle); /* NULL: its first request is refused */
        if (!uv_is_active((uv_handle_t *)&server->tick)) {
            uv_timer_start(&server->tick, on_tick, TICK_MS, TICK_MS);
        }
    } else if (connection != NULL) {
        connections_remove(connection);
        *context = NULL;
    }
}

/* The first line is there. What this returns comes back as the request's context. */
static void *on_target(void *user, const char *target, struct MHD_Connection *handle) {
    struct server *server = user;
    struct connection *connection = connection_of(handle);
    if (connection == NULL || server->closing.begun) {
        return NULL;
    }
    connection->request = request_new(&server->service, handle, target);
    if (connection->request == NULL) {
        log_error("out_of_memory", "what=request");
        return NULL;
    }
    connection->request->client = connection->client;
    connection->request->crowded = connection->crowded;
    return connection->request;
}

/* Called when the head of a request is there, for each piece of a body, at its end, and when it was resumed. */
static enum MHD_Result on_request(void *user, struct MHD_Connection *handle, const char *path, const char *method,
                                  const char *version, const char *body, size_t *body_length, void **context) {
    struct request *request = *context;
    (void)user;
    (void)handle;
    (void)path;
    (void)version;
    if (request == NULL) {
        return MHD_NO;
    }
    bool goes_on = request->phase == REQUEST_HEAD       ? request_head(request, method)
                   : request->phase == REQUEST_IDENTITY ? request_identified(request)
                   : *body_length > 0                   ? request_body(request, body, body_length)
                                                        : request_go(request);
    return goes_on ? MHD_YES : MHD_NO;
}

static void count_request(const struct server *server, const struct request *request) {
    size_t count;
    const struct route *routes = router_routes(server->service.router, &count);
    struct route_metrics *metrics = server->metrics[request->route == NULL ? count : (size_t)(request->route - routes)];
    double seconds = (double)(uv_hrtime() - request->begun_ns) / 1e9;
    if (metrics != NULL) {
        metrics->answers[request->status / 100]++;
        metrics->seconds += seconds;
    }
    histogram_observe(&metrics_request_s, seconds);
    hub_metrics.http_refused += request->status == MHD_HTTP_SERVICE_UNAVAILABLE;
}

static void on_completed(void *user, struct MHD_Connection *handle, void **context,
                         enum MHD_RequestTerminationCode code) {
    struct server *server = user;
    struct request *request = *context;
    struct connection *connection = connection_of(handle);
    if (request == NULL) {
        return;
    }
    if (connection != NULL) {
        connections_spoke(connection);
    }
    if (code == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED && request->cut == NULL) {
        hub_metrics.http_slow++;
        request->cut = "slow";
    }
    count_request(server, request);
    request_free(request, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    *context = NULL;
}

/* target.c decodes, from what on_target was given. */
static size_t on_unescape(void *user, struct MHD_Connection *handle, char *text) {
    (void)user;
    (void)handle;
    return strlen(text);
}

__attribute__((format(printf, 2, 0))) static void on_message(void *user, const char *format, va_list arguments) {
    struct server *server = user;
    vsnprintf(server->notice, sizeof server->notice, format, arguments);
    server->notice[strcspn(server->notice, "\n")] = '\0';
    /* Mostly clients' mistakes: no reason to call the hub unwell. */
    log_info("http_notice", "text=%s", log_quote(server->notice));
}

/* ---- the clock ---- */

/* Its time is over. What asks the database is refused by the pool, and what works elsewhere here. */
static void deadline_passed(struct connection *connection, uint64_t now) {
    struct request *request = connection->request;
    if (request->phase == REQUEST_WAITING && request->query == NULL && !request->answer_ready) {
        answer_drop(&request->answer, "late");
        request_refuse(request, PROBLEM_LATE, "未能按时完成", "it was not done in time");
        request_wake(request);
    } else if (now - request->deadline_ms >= GRACE_MS && request->phase != REQUEST_WAITING) {
        hub_metrics.http_late++;
        connection_cut(connection, "late", true);
    }
}

static void look_at(struct connection *connection, uint64_t now) {
    struct request *request = connection->request;
    uint64_t patience = (uint64_t)connection->all->config->http_timeout_s * 1000 + GRACE_MS;
    patience = connection->crowded ? GRACE_MS : patience;
    if (request == NULL || request->phase == REQUEST_HEAD) {
        if (now - connection->since_ms >= patience) {
            hub_metrics.http_late++;
            connection_cut(connection, "late", true);
        }
    } else if (request->cut == NULL && request_stalled(request, now)) {
        hub_metrics.http_slow++;
        connection_cut(connection, "slow", true);
    } else if (request->cut == NULL && request->deadline_ms <= now) {
        deadline_passed(connection, now);
    }
}

/* libmicrohttpd does not look at connections that are suspended: which of their clients are gone? */
static void find_left(struct server *server) {
    size_t count = 0;
    for (struct connection *connection = server->connections.first; connection != NULL; connection = connection->next) {
        struct request *request = connection->request;
        if (request != NULL && request->suspended && !request->waking && request->cut == NULL) {
            server->watched[count] = (struct pollfd){.fd = request_socket(connection->handle), .events = POLLRDHUP};
            server->watched_as[count++] = connection;
        }
    }
    if (count == 0 || poll(server->watched, count, 0) <= 0) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (server->watched[i].revents != 0) {
            connection_cut(server->watched_as[i], "left", true);
        }
    }
}

static void on_tick(uv_timer_t *timer) {
    struct server *server = timer->data;
    uint64_t now = uv_now(server->service.loop);
    hub_metrics.http_streams = 0;
    if (server->connections.first == NULL) {
        uv_timer_stop(timer);
        return;
    }
    connections_make_room(&server->connections);
    find_left(server);
    for (struct connection *connection = server->connections.first; connection != NULL; connection = connection->next) {
        hub_metrics.http_streams += connection->request != NULL && connection->request->delivery != NULL;
        look_at(connection, now);
    }
}

/* ---- open ---- */

static struct MHD_Daemon *daemon_start(struct server *server, const struct addrinfo *address) {
    const struct config *config = server->service.config;
    unsigned flags = MHD_USE_EPOLL | MHD_USE_ERROR_LOG | MHD_ALLOW_SUSPEND_RESUME |
                     (address->ai_family == AF_INET6 ? (unsigned)MHD_USE_DUAL_STACK : 0);
    return MHD_start_daemon(
        flags, 0, on_accept, server, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_message, server, /* hears all */
        MHD_OPTION_SOCK_ADDR, address->ai_addr, MHD_OPTION_LISTEN_BACKLOG_SIZE, (unsigned)LISTEN_BACKLOG,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)config->http_connections, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)config->http_timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, NULL, MHD_OPTION_URI_LOG_CALLBACK, on_target, server,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_END);
}

/* On the first address of [http] listen that can be had: libmicrohttpd listens on one. False after logging why. */
static bool listen_open(struct server *server) {
    const struct config *config = server->service.config;
    char port[8];
    snprintf(port, sizeof port, "%d", (int)config->http_port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;
    int code = getaddrinfo(config->http_listen, port, &hints, &addresses);
    const char *problem = code == 0 ? server->notice : code == EAI_SYSTEM ? strerror(errno) : gai_strerror(code);
    for (const struct addrinfo *at = addresses; at != NULL && server->daemon == NULL; at = at->ai_next) {
        server->daemon = daemon_start(server, at);
    }
    if (server->daemon == NULL) {
        log_error("http_listen", "listen=%s port=%s reason=%s advice=\"see [http] listen and port\"",
                  log_quote(config->http_listen), port, log_quote(problem));
    } else {
        server->service.port = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    }
    if (addresses != NULL) {
        freeaddrinfo(addresses);
    }
    return server->daemon != NULL;
}

/* One a row, and one for requests that no row fits. Without memory they are not counted. */
static void metrics_add(struct server *server, const struct route *routes) {
    for (size_t i = 0; i < server->route_count; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s %s", route_method_name(routes[i].method), routes[i].pattern);
        server->metrics[i] = metrics_route_add(name);
    }
    server->metrics[server->route_count] = metrics_route_add("none");
}

static bool parts_open(struct server *server, const struct server_settings *settings) {
    size_t room = (size_t)settings->config->http_connections;
    char flaw[256];
    server->service.router = router_new(settings->routes, settings->route_count, flaw, sizeof flaw);
    server->service.memo = identity_memo_new();
    server->service.page = page_open(settings->config->http_page);
    server->metrics = calloc(settings->route_count + 1, sizeof(struct route_metrics *));
    server->watched = calloc(room, sizeof server->watched[0]);
    server->watched_as = calloc(room, sizeof(struct connection *));
    if (server->service.router == NULL || server->service.memo == NULL || server->metrics == NULL ||
        server->watched == NULL || server->watched_as == NULL) {
        log_error("http_routes", "reason=%s", log_quote(server->service.router == NULL ? flaw : "out of memory"));
        return false;
    }
    return true;
}

/* Connections to the database, if a row asks it. */
static bool pool_opens(struct server *server, const struct server_settings *settings) {
    unsigned longest_s = 0;
    for (size_t i = 0; i < settings->route_count; i++) {
        const struct route *route = &settings->routes[i];
        unsigned deadline_s = route->deadline_s > 0 ? route->deadline_s : (unsigned)settings->config->http_deadline_s;
        bool asks = route->function != NULL || route->right != RIGHT_ANYONE;
        longest_s = asks && deadline_s > longest_s ? deadline_s : longest_s;
    }
    if (longest_s > 0) {
        server->service.pool = pool_open(settings->loop, settings->config, longest_s);
        server->service.logins = login_desk_open(settings->loop, settings->config);
        server->service.streams =
            server->service.pool == NULL ? NULL : streams_open(settings->loop, server->service.pool);
    }
    if (server->service.pool != NULL) {
        server->service.attachments = attachments_open(settings->loop, settings->config, server->service.pool);
        server->service.basemaps = basemaps_open(settings->loop, settings->config);
    }
    return longest_s == 0 ||
           (server->service.pool != NULL && server->service.logins != NULL && server->service.streams != NULL);
}

static void server_free(void *user) {
    struct server *server = user;
    router_free(server->service.router);
    free(server->service.openapi);
    identity_memo_free(server->service.memo);
    page_free(server->service.page);
    free(server->metrics);
    free(server->watched);
    free(server->watched_as);
    free(server);
}

/* Takes down what was opened before the loop's handles were. */
static void open_failed(struct server *server) {
    if (server->daemon != NULL) {
        MHD_stop_daemon(server->daemon);
    }
    server_free(server);
}

struct server *server_open(const struct server_settings *settings) {
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        log_error("out_of_memory", "what=server");
        return NULL;
    }
    server->service =
        (struct service){.loop = settings->loop, .config = settings->config, .source = settings->source, .wake = wake};
    server->connections = (struct connections){.config = settings->config, .loop = settings->loop};
    server->waking_end = &server->waking;
    server->route_count = settings->route_count;
    if (!parts_open(server, settings) || !listen_open(server)) {
        open_failed(server);
        return NULL;
    }
    int epoll = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    if (uv_poll_init(settings->loop, &server->poll, epoll) != 0) {
        log_error("http_listen", "reason=\"the HTTP server cannot be started\"");
        open_failed(server);
        return NULL;
    }
    uv_timer_init(settings->loop, &server->timer);
    uv_timer_init(settings->loop, &server->tick);
    uv_idle_init(settings->loop, &server->soon);
    server->poll.data = server->timer.data = server->tick.data = server->soon.data = server;
    if (!pool_opens(server, settings)) {
        server_close(server, NULL, NULL);
        return NULL;
    }
    metrics_add(server, settings->routes);
    uv_poll_start(&server->poll, UV_READABLE, on_poll);
    server_run(server);
    log_info("http_listening", "listen=%s port=%d routes=%zu", log_quote(settings->config->http_listen),
             server->service.port, settings->route_count);
    return server;
}

int server_port(const struct server *server) {
    return server->service.port;
}

/* ---- close ---- */

void server_close(struct server *server, void (*closed)(void *user), void *user) {
    closing_begin(&server->closing, server_free, server, closed, user);
    for (struct connection *connection = server->connections.first; connection != NULL; connection = connection->next) {
        if (connection->request != NULL) {
            request_cut(connection->request, "stopping");
        }
    }
    resume_some(server, SIZE_MAX); /* libmicrohttpd ends no connection that is suspended */
    /* The loop lets go of the descriptor before its owner closes it. */
    closing_handle(&server->closing, (uv_handle_t *)&server->poll);
    MHD_stop_daemon(server->daemon);
    closing_handle(&server->closing, (uv_handle_t *)&server->timer);
    closing_handle(&server->closing, (uv_handle_t *)&server->tick);
    closing_handle(&server->closing, (uv_handle_t *)&server->soon);
    if (server->service.attachments != NULL) {
        closing_await(&server->closing);
        attachments_close(server->service.attachments, closing_over, &server->closing);
    }
    if (server->service.basemaps != NULL) {
        closing_await(&server->closing);
        basemaps_close(server->service.basemaps, closing_over, &server->closing);
    }
    if (server->service.streams != NULL) {
        closing_await(&server->closing);
        streams_close(server->service.streams, closing_over, &server->closing);
    }
    if (server->service.pool != NULL) {
        closing_await(&server->closing);
        pool_close(server->service.pool, closing_over, &server->closing);
    }
    if (server->service.logins != NULL) {
        closing_await(&server->closing);
        login_desk_close(server->service.logins, closing_over, &server->closing);
    }
}

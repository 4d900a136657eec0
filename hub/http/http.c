/* http.c: the HTTP server: routes, their answers, and libmicrohttpd inside the loop. libmicrohttpd parses; here nothing
 * of a request is used but its method and path. Must never block, nor answer with what needs asking somebody. */
#include "hub/http/http.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hub/base/log.h"
#include "hub/base/metrics.h"
#include "hub/http/status.h"

enum {
    LISTEN_BACKLOG = 256,
    REQUEST_MEMORY = 32 * 1024, /* bytes a connection may take for its request's head and its answer's */
    WHY_BYTES = 256,
};

struct http {
    struct MHD_Daemon *daemon;
    const struct config *config;
    const struct http_source *source;
    int port;
    uv_poll_t poll;
    uv_timer_t timer;
    int handles_open;
    void (*closed)(void *user);
    void *closed_user;
};

struct answer {
    unsigned status;
    char *body; /* from malloc; NULL = memory is out */
    const char *content_type;
    const char *allow; /* for 405 */
};

struct route {
    const char *method; /* GET answers HEAD, too */
    const char *path;
    void (*answer)(const struct http *http, struct answer *answer);
    const char *content_type;
};

static const char json_type[] = "application/json; charset=utf-8";
static const char text_type[] = "text/plain; charset=utf-8";

/* ---- routes ---- */

static bool is_ready(const struct http *http, char why[static WHY_BYTES]) {
    why[0] = '\0';
    return http->source->ready(http->source->user, why, WHY_BYTES);
}

static void answer_health(const struct http *http, struct answer *answer) {
    (void)http;
    answer->body = strdup("ok\n");
}

static void answer_ready(const struct http *http, struct answer *answer) {
    char why[WHY_BYTES];
    bool ready = is_ready(http, why);
    answer->status = ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    if (asprintf(&answer->body, "%s\n", ready ? "ready" : why) < 0) {
        answer->body = NULL;
    }
}

static void answer_metrics(const struct http *http, struct answer *answer) {
    (void)http;
    answer->body = metrics_text();
}

static void answer_status(const struct http *http, struct answer *answer) {
    char why[WHY_BYTES];
    bool ready = is_ready(http, why);
    answer->body = status_json(http->config, ready, why);
}

static const struct route routes[] = {
    {"GET", "/healthz", answer_health, text_type},
    {"GET", "/readyz", answer_ready, text_type},
    {"GET", "/metrics", answer_metrics, "text/plain; version=0.0.4; charset=utf-8"},
    {"GET", "/api/v1/status", answer_status, json_type},
};

enum { ROUTE_COUNT = sizeof routes / sizeof routes[0] };

/* ---- answers ---- */

/* {"error": {"code": ..., "message": ..., "paths": [...]}}; `with_paths`: those that exist. */
static void answer_error(struct answer *answer, unsigned status, const char *code, const char *message,
                         bool with_paths) {
    cJSON *root = cJSON_CreateObject();
    cJSON *error = cJSON_AddObjectToObject(root, "error");
    cJSON_AddStringToObject(error, "code", code);
    cJSON_AddStringToObject(error, "message", message);
    if (with_paths) {
        cJSON *paths = cJSON_AddArrayToObject(error, "paths");
        for (size_t i = 0; i < ROUTE_COUNT; i++) {
            cJSON_AddItemToArray(paths, cJSON_CreateString(routes[i].path));
        }
    }
    answer->status = status;
    answer->content_type = json_type;
    answer->body = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
}

static void answer_find(const struct http *http, const char *method, const char *path, struct answer *answer) {
    bool head = strcmp(method, "HEAD") == 0;
    bool path_known = false;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const struct route *route = &routes[i];
        if (strcmp(route->path, path) != 0) {
            continue;
        }
        path_known = true;
        if (strcmp(route->method, head ? "GET" : method) == 0) {
            answer->status = MHD_HTTP_OK;
            answer->content_type = route->content_type;
            route->answer(http, answer);
            return;
        }
    }
    if (path_known || (strcmp(method, "GET") != 0 && !head)) {
        answer->allow = "GET, HEAD";
        answer_error(answer, MHD_HTTP_METHOD_NOT_ALLOWED, "method_not_allowed", "only GET and HEAD are answered here",
                     false);
    } else {
        answer_error(answer, MHD_HTTP_NOT_FOUND, "not_found", "there is no such path", true);
    }
}

static enum MHD_Result answer_send(struct MHD_Connection *connection, const struct answer *answer) {
    if (answer->body == NULL) {
        log_error("http_answer", "reason=\"out of memory\"");
        return MHD_NO; /* closes the connection */
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(answer->body), answer->body, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(answer->body);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (answer->allow != NULL) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, answer->allow);
        /* The request may have a body that nobody will read, so the connection cannot go on. */
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    }
    enum MHD_Result queued = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    return queued;
}

/* libmicrohttpd calls this when the head of a request is there, again for each piece of a body, and once at the end. */
static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *path, const char *method,
                                  const char *version, const char *body, size_t *body_length, void **request) {
    (void)version;
    (void)body;
    static char begun;
    struct http *http = user;
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (*request == NULL && reads) {
        *request = &begun;
        return MHD_YES;
    }
    if (*body_length > 0) {
        *body_length = 0; /* a body that no route wants */
        return MHD_YES;
    }
    struct answer answer = {0};
    answer_find(http, method, path, &answer);
    return answer_send(connection, &answer);
}

/* Decodes %XX in place. A NUL would end the path early and so name another one: it becomes a byte that no path has. */
static size_t on_unescape(void *user, struct MHD_Connection *connection, char *text) {
    (void)user;
    (void)connection;
    size_t length = MHD_http_unescape(text);
    for (char *end; (end = memchr(text, '\0', length)) != NULL;) {
        *end = '\1';
    }
    return length;
}

__attribute__((format(printf, 2, 0))) static void on_message(void *user, const char *format, va_list arguments) {
    (void)user;
    char text[512];
    vsnprintf(text, sizeof text, format, arguments);
    /* Mostly clients' mistakes: no reason to call the hub unwell. */
    log_info("http_notice", "text=%s", log_quote(text));
}

/* ---- the loop ---- */

static void on_timer(uv_timer_t *timer);

static unsigned connection_count(const struct http *http) {
    return MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections;
}

static void http_run(struct http *http) {
    unsigned before;
    /* At its limit libmicrohttpd takes the listener out of its epoll set, and puts it back only at the beginning of a
     * run: without another run after connections ended, nobody would ever be accepted again. */
    do {
        before = connection_count(http);
        MHD_run(http->daemon);
    } while (connection_count(http) < before);
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    if (MHD_get_timeout(http->daemon, &timeout_ms) == MHD_YES) {
        uv_timer_start(&http->timer, on_timer, timeout_ms, 0);
    } else {
        uv_timer_stop(&http->timer);
    }
}

static void on_timer(uv_timer_t *timer) {
    http_run(timer->data);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    http_run(poll->data);
}

/* ---- open and close ---- */

static int bind_one(const struct addrinfo *address) {
    int listener = socket(address->ai_family, address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    if (listener < 0) {
        return -1;
    }
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(listener, address->ai_addr, address->ai_addrlen) != 0 || listen(listener, LISTEN_BACKLOG) != 0) {
        int problem = errno;
        close(listener);
        errno = problem;
        return -1;
    }
    return listener;
}

/* The listening socket, or -1 after logging why. */
static int listener_open(const struct config *config) {
    char port[8];
    snprintf(port, sizeof port, "%d", (int)config->http_port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;
    const char *problem = NULL;
    int listener = -1;
    int code = getaddrinfo(config->http_listen, port, &hints, &addresses);
    if (code != 0) {
        problem = code == EAI_SYSTEM ? strerror(errno) : gai_strerror(code);
    }
    for (const struct addrinfo *at = addresses; at != NULL && listener < 0; at = at->ai_next) {
        listener = bind_one(at);
        problem = listener < 0 ? strerror(errno) : NULL;
    }
    if (addresses != NULL) {
        freeaddrinfo(addresses);
    }
    if (listener < 0) {
        log_error("http_listen", "listen=%s port=%s reason=%s advice=\"see [http] listen and port\"",
                  log_quote(config->http_listen), port, log_quote(problem));
    }
    return listener;
}

static int listener_port(int listener) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char port[8];
    if (getsockname(listener, (struct sockaddr *)&address, &length) != 0 ||
        getnameinfo((struct sockaddr *)&address, length, NULL, 0, port, sizeof port, NI_NUMERICSERV) != 0) {
        return 0;
    }
    return atoi(port); /* getnameinfo wrote digits */
}

static struct MHD_Daemon *daemon_start(struct http *http, int listener) {
    const struct config *config = http->config;
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, http,
                            MHD_OPTION_EXTERNAL_LOGGER, on_message, NULL, /* first, so that it hears all */
                            MHD_OPTION_LISTEN_SOCKET, listener,           /**/
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)config->http_connections,
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)config->http_timeout_s,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_MEMORY, MHD_OPTION_UNESCAPE_CALLBACK,
                            on_unescape, NULL, MHD_OPTION_END);
}

struct http *http_open(uv_loop_t *loop, const struct config *config, const struct http_source *source) {
    struct http *http = calloc(1, sizeof *http);
    int listener = http == NULL ? -1 : listener_open(config);
    if (listener < 0) {
        free(http);
        return NULL;
    }
    http->config = config;
    http->source = source;
    http->port = listener_port(listener);
    http->daemon = daemon_start(http, listener); /* owns the listener from here */
    const union MHD_DaemonInfo *info =
        http->daemon == NULL ? NULL : MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL || uv_poll_init(loop, &http->poll, info->epoll_fd) != 0) {
        log_error("http_listen", "reason=\"the HTTP server cannot be started\"");
        if (http->daemon != NULL) {
            MHD_stop_daemon(http->daemon);
        }
        free(http);
        return NULL;
    }
    uv_timer_init(loop, &http->timer);
    http->handles_open = 2;
    http->poll.data = http;
    http->timer.data = http;
    uv_poll_start(&http->poll, UV_READABLE, on_poll);
    http_run(http);
    log_info("http_listening", "listen=%s port=%d", log_quote(config->http_listen), http->port);
    return http;
}

int http_port(const struct http *http) {
    return http->port;
}

static void on_handle_closed(uv_handle_t *handle) {
    struct http *http = handle->data;
    if (--http->handles_open == 0) {
        void (*closed)(void *) = http->closed;
        void *user = http->closed_user;
        free(http);
        if (closed != NULL) {
            closed(user);
        }
    }
}

void http_close(struct http *http, void (*closed)(void *user), void *user) {
    http->closed = closed;
    http->closed_user = user;
    /* The loop lets go of the descriptor before its owner closes it. */
    uv_poll_stop(&http->poll);
    uv_close((uv_handle_t *)&http->poll, on_handle_closed);
    uv_close((uv_handle_t *)&http->timer, on_handle_closed);
    MHD_stop_daemon(http->daemon);
}

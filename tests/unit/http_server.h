/* http_server.h: the HTTP server for tests: a loop with it in one thread, clients of plain sockets in the test's. The
 * product's rows, and those of http_rows.h. */
#ifndef CITYHUB_TEST_HTTP_SERVER_H
#define CITYHUB_TEST_HTTP_SERVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http_rows.h"
#include "hub/base/log.h"
#include "hub/base/metrics.h"
#include "hub/http/request.h"
#include "hub/http/routes.h"
#include "hub/http/server.h"

enum { CLIENT_TIMEOUT_S = 30, CONNECTIONS = 16, FEW = 2, TIMEOUT_S = 1, ROWS_MAX = 300, ANSWER_MAX = 1024 * 1024 };
/* ---- the server ---- */

struct fixture {
    struct config config;
    struct server_source source;
    struct server *http;
    uv_loop_t loop;
    uv_async_t wake;
    pthread_t thread;
    uv_sem_t done;
    void (*task)(void); /* to run in the loop; NULL = stop */
    bool ready;
    bool closed;
};

static struct fixture server;

static inline bool source_ready(void *user, struct words *why) {
    struct fixture *self = user;
    if (!self->ready) {
        words_set(why, "连接不上数据库", "the database is away");
    }
    return self->ready;
}

static inline void on_closed(void *user) {
    ((struct fixture *)user)->closed = true;
}

static inline void on_wake(uv_async_t *wake) {
    struct fixture *self = wake->data;
    if (self->task == NULL) {
        server_close(self->http, on_closed, self);
        uv_close((uv_handle_t *)wake, NULL);
        return;
    }
    self->task();
    uv_sem_post(&self->done);
}

static inline void *loop_run(void *user) {
    uv_run(user, UV_RUN_DEFAULT);
    return NULL;
}

/* Runs `task` in the loop's thread and waits for it. */
static inline void in_loop(void (*task)(void)) {
    server.task = task;
    uv_async_send(&server.wake);
    uv_sem_wait(&server.done);
}
static struct route rows[ROWS_MAX];

static inline struct server *open_on(uv_loop_t *loop) {
    size_t own_count = sizeof own_rows / sizeof own_rows[0];
    size_t route_count;
    const struct route *routes = routes_all(&route_count);
    assert_true(route_count + own_count <= ROWS_MAX);
    memcpy(rows, routes, route_count * sizeof rows[0]);
    memcpy(rows + route_count, own_rows, sizeof own_rows);
    const struct server_settings settings = {.loop = loop,
                                             .config = &server.config,
                                             .source = &server.source,
                                             .routes = rows,
                                             .route_count = route_count + own_count};
    return server_open(&settings);
}

static const char *listen_on = "127.0.0.1";
static const char *page_folder = "/nonexistent";
static int64_t timeout_s = TIMEOUT_S;

static inline int setup_with(int64_t connections) {
    notes[0] = '\0';
    memset(&server, 0, sizeof server);
    char *nothing = NULL;
    size_t size = 0;
    FILE *errors = open_memstream(&nothing, &size);
    assert_int_equal(config_load(&server.config, "/dev/null", errors), 0);
    fclose(errors);
    free(nothing);
    server.config.http_port = 0;
    free(server.config.http_listen);
    server.config.http_listen = strdup(listen_on);
    free(server.config.http_page);
    server.config.http_page = strdup(page_folder);
    server.config.http_connections = connections;
    server.config.http_timeout_s = timeout_s;
    server.config.http_stall_s = TIMEOUT_S;
    free(server.config.database_conninfo);
    server.config.database_conninfo = strdup("host=/nonexistent");
    server.source = (struct server_source){.ready = source_ready, .user = &server};
    server.ready = true;
    assert_int_equal(uv_loop_init(&server.loop), 0);
    assert_int_equal(uv_async_init(&server.loop, &server.wake, on_wake), 0);
    assert_int_equal(uv_sem_init(&server.done, 0), 0);
    server.wake.data = &server;
    server.http = open_on(&server.loop);
    assert_non_null(server.http);
    server.config.http_port = server_port(server.http);
    assert_true(server.config.http_port > 0);
    assert_int_equal(pthread_create(&server.thread, NULL, loop_run, &server.loop), 0);
    return 0;
}

static inline int setup(void **state) {
    (void)state;
    return setup_with(CONNECTIONS);
}

/* On all addresses of both families; IPv4 alone if the machine has no IPv6. */
static inline int setup_both(void **state) {
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
    bool has_six = probe >= 0 && bind(probe, (struct sockaddr *)&any, sizeof any) == 0;
    close(probe);
    listen_on = has_six ? "::" : "0.0.0.0";
    int code = setup(state);
    listen_on = "127.0.0.1";
    return code;
}

/* One that lets a connection be silent for long: what is cut then is cut for another reason. */
static inline int setup_patient(void **state) {
    timeout_s = 600;
    int code = setup(state);
    timeout_s = TIMEOUT_S;
    return code;
}

static inline int setup_few(void **state) {
    (void)state;
    return setup_with(FEW);
}

static inline int teardown(void **state) {
    (void)state;
    server.task = NULL;
    uv_async_send(&server.wake);
    pthread_join(server.thread, NULL);
    uv_sem_destroy(&server.done);
    bool clean = server.closed && uv_loop_close(&server.loop) == 0;
    config_free(&server.config);
    metrics_free();
    hub_metrics = (struct hub_metrics){0};
    if (!clean) {
        print_error("server_close left handles in the loop, or never said that it is done\n");
    }
    return clean ? 0 : -1;
}
/* ---- a client of plain sockets ---- */

static inline int client_open(void) {
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)server.config.http_port)};
    struct timeval limit = {.tv_sec = CLIENT_TIMEOUT_S};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    assert_int_equal(setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    assert_int_equal(setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    return client;
}

/* False if the server has closed already, which is its right while it is sent garbage. */
static inline bool client_send(int client, const void *bytes, size_t length) {
    const char *at = bytes;
    while (length > 0) {
        ssize_t sent = send(client, at, length, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        at += sent;
        length -= (size_t)sent;
    }
    return true;
}

static inline void client_say(int client, const char *text) {
    assert_true(client_send(client, text, strlen(text)));
}

/* Everything until the server closes, and closes here, too. Never waits longer than CLIENT_TIMEOUT_S for a next piece.
 */
static size_t answer_length; /* of the last answer, head and all */

static inline const char *client_rest(int client) {
    static char answer[ANSWER_MAX];
    size_t used = 0;
    ssize_t got;
    while ((got = recv(client, answer + used, sizeof answer - 1 - used, 0)) > 0) {
        used += (size_t)got;
    }
    if (got < 0 && errno != ECONNRESET) {
        fail_msg("the server neither answers nor closes: %s; so far: %.*s", strerror(errno), (int)used, answer);
    }
    close(client);
    answer[used] = '\0';
    answer_length = used;
    return answer;
}

static inline const char *request_by(const char *method, const char *path, const char *head, const char *body) {
    char text[4096];
    int client = client_open();
    snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nConnection: close\r\n%s\r\n%s", method, path, head, body);
    client_say(client, text);
    return client_rest(client);
}

static inline const char *request_with(const char *method, const char *path, const char *head, const char *body) {
    char all[1024];
    snprintf(all, sizeof all, "Host: localhost\r\n%s", head);
    return request_by(method, path, all, body);
}

static inline const char *request(const char *method, const char *path) {
    return request_with(method, path, "", "");
}

static inline void assert_status(const char *answer, int status) {
    char line[32];
    snprintf(line, sizeof line, "HTTP/1.1 %d ", status);
    if (strncmp(answer, line, strlen(line)) != 0) {
        fail_msg("not status %d but: %.300s", status, answer);
    }
}

static inline void assert_holds(const char *answer, const char *text) {
    if (strcasestr(answer, text) == NULL) {
        fail_msg("`%s` is not in: %.2000s", text, answer);
    }
}

static inline const char *body_of(const char *answer) {
    const char *end = strstr(answer, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

static inline void assert_alive(void) {
    const char *answer = request("GET", "/healthz");
    assert_status(answer, 200);
    assert_string_equal(body_of(answer), "ok\n");
}
static inline size_t content_length(const char *answer) {
    const char *at = strcasestr(answer, "Content-Length: ");
    assert_non_null(at);
    return (size_t)strtoull(at + strlen("Content-Length: "), NULL, 10);
}

static inline void assert_problem(const char *answer, int status, const char *code) {
    assert_status(answer, status);
    assert_holds(answer, "Content-Type: application/problem+json; charset=utf-8\r\n");
    assert_holds(answer, "Cache-Control: no-store\r\n");
    cJSON *root = cJSON_ParseWithOpts(body_of(answer), NULL, true);
    if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(root, "code")), code) != 0) {
        fail_msg("not %s but: %s", code, body_of(answer));
    }
    assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(root, "status")), status);
    static const char *const texts[] = {"type", "title", "detail", "hint", "instance"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(root, texts[i]));
        assert_true((text != NULL && text[0] != '\0') || strcmp(texts[i], "instance") == 0);
    }
    cJSON_Delete(root);
}

static inline void clear_notes(void) {
    notes[0] = '\0';
}

static char seen_notes[NOTES_MAX];

static inline void copy_notes(void) {
    memcpy(seen_notes, notes, sizeof seen_notes);
}

/* Waits until what happened ends with `what`. */
static inline void await_note(const char *what) {
    for (int i = 0; i < CLIENT_TIMEOUT_S * 100; i++) {
        in_loop(copy_notes);
        size_t length = strlen(seen_notes), wanted = strlen(what);
        if (length > wanted && strncmp(seen_notes + length - wanted - 1, what, wanted) == 0) {
            return;
        }
        usleep(10000);
    }
    fail_msg("`%s` does not end: %s", what, seen_notes);
}

#endif

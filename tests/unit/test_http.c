/* test_http.c: the HTTP server with real sockets: a loop with the server in one thread, clients in the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "hub/adapter.h"
#include "hub/base/log.h"
#include "hub/base/metrics.h"
#include "hub/http/http.h"

enum { CLIENT_TIMEOUT_S = 30, CONNECTIONS = 16, FEW = 2, TIMEOUT_S = 1, ANSWER_MAX = 256 * 1024 };

/* ---- the server ---- */

struct server {
    struct config config;
    struct http_source source;
    struct http *http;
    uv_loop_t loop;
    uv_async_t wake;
    pthread_t thread;
    uv_sem_t done;
    void (*task)(void); /* to run in the loop; NULL = stop */
    bool ready;
    bool closed;
};

static struct server server;

static bool source_ready(void *user, char *why, size_t size) {
    struct server *self = user;
    if (!self->ready) {
        snprintf(why, size, "the database is away");
    }
    return self->ready;
}

static void on_closed(void *user) {
    ((struct server *)user)->closed = true;
}

static void on_wake(uv_async_t *wake) {
    struct server *self = wake->data;
    if (self->task == NULL) {
        http_close(self->http, on_closed, self);
        uv_close((uv_handle_t *)wake, NULL);
        return;
    }
    self->task();
    uv_sem_post(&self->done);
}

static void *loop_run(void *user) {
    uv_run(user, UV_RUN_DEFAULT);
    return NULL;
}

/* Runs `task` in the loop's thread and waits for it. */
static void in_loop(void (*task)(void)) {
    server.task = task;
    uv_async_send(&server.wake);
    uv_sem_wait(&server.done);
}

static int setup_with(int64_t connections) {
    memset(&server, 0, sizeof server);
    char *nothing = NULL;
    size_t size = 0;
    FILE *errors = open_memstream(&nothing, &size);
    assert_int_equal(config_load(&server.config, "/dev/null", errors), 0);
    fclose(errors);
    free(nothing);
    server.config.http_port = 0;
    server.config.http_connections = connections;
    server.config.http_timeout_s = TIMEOUT_S;
    server.source = (struct http_source){.ready = source_ready, .user = &server};
    server.ready = true;
    assert_int_equal(uv_loop_init(&server.loop), 0);
    assert_int_equal(uv_async_init(&server.loop, &server.wake, on_wake), 0);
    assert_int_equal(uv_sem_init(&server.done, 0), 0);
    server.wake.data = &server;
    server.http = http_open(&server.loop, &server.config, &server.source);
    assert_non_null(server.http);
    server.config.http_port = http_port(server.http);
    assert_true(server.config.http_port > 0);
    assert_int_equal(pthread_create(&server.thread, NULL, loop_run, &server.loop), 0);
    return 0;
}

static int setup(void **state) {
    (void)state;
    return setup_with(CONNECTIONS);
}

static int setup_few(void **state) {
    (void)state;
    return setup_with(FEW);
}

static int teardown(void **state) {
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
        print_error("http_close left handles in the loop, or never said that it is done\n");
    }
    return clean ? 0 : -1;
}

/* ---- a client of plain sockets ---- */

static int client_open(void) {
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
static bool client_send(int client, const void *bytes, size_t length) {
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

static void client_say(int client, const char *text) {
    assert_true(client_send(client, text, strlen(text)));
}

/* Everything until the server closes, and closes here, too. Never waits longer than CLIENT_TIMEOUT_S for a next piece.
 */
static const char *client_rest(int client) {
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
    return answer;
}

static const char *request(const char *method, const char *path) {
    char head[512];
    int client = client_open();
    snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", method, path);
    client_say(client, head);
    return client_rest(client);
}

static void assert_status(const char *answer, int status) {
    char line[32];
    snprintf(line, sizeof line, "HTTP/1.1 %d ", status);
    if (strncmp(answer, line, strlen(line)) != 0) {
        fail_msg("not status %d but: %.300s", status, answer);
    }
}

static void assert_holds(const char *answer, const char *text) {
    if (strcasestr(answer, text) == NULL) {
        fail_msg("`%s` is not in: %.2000s", text, answer);
    }
}

static const char *body_of(const char *answer) {
    const char *end = strstr(answer, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

static void assert_alive(void) {
    const char *answer = request("GET", "/healthz");
    assert_status(answer, 200);
    assert_string_equal(body_of(answer), "ok\n");
}

/* ---- routes ---- */

static void test_health_and_ready(void **state) {
    (void)state;
    assert_alive();
    const char *answer = request("GET", "/readyz");
    assert_status(answer, 200);
    assert_holds(answer, "Content-Type: text/plain; charset=utf-8");
    assert_holds(answer, "Cache-Control: no-store");
    assert_string_equal(body_of(answer), "ready\n");
}

static void make_unready(void) {
    server.ready = false;
}

static void test_not_ready(void **state) {
    (void)state;
    in_loop(make_unready);
    const char *answer = request("GET", "/readyz");
    assert_status(answer, 503);
    assert_string_equal(body_of(answer), "the database is away\n");
    assert_alive();
    cJSON *status = cJSON_Parse(body_of(request("GET", "/api/v1/status")));
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(status, "ready")));
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(status, "why")), "the database is away");
    cJSON_Delete(status);
}

static void test_metrics_route(void **state) {
    (void)state;
    const char *answer = request("GET", "/metrics");
    assert_status(answer, 200);
    assert_holds(answer, "Content-Type: text/plain; version=0.0.4");
    assert_holds(body_of(answer), "\ncityhub_database_connected 0\n");
}

static void fill_metrics(void) {
    struct lane_metrics *first = metrics_lane_add("dust-0", "dust");
    struct lane_metrics *second = metrics_lane_add("dust-1", "dust");
    struct lane_metrics *gas = metrics_lane_add("gas-0", "gas");
    *(first->connected ? &second->connected : &first->connected) = true;
    first->records_committed = 100;
    second->records_committed = 23;
    first->lag_s = 0.5;
    second->lag_s = 0.25;
    first->committed_at_ms = 1790000000999;
    gas->records_committed = 7;
    gas->records_rejected = 3;
    hub_metrics.started_at_ms = (int64_t)(time(NULL) - 3700) * 1000;
    hub_metrics.devices = 2000;
    hub_metrics.devices_online = 1980;
    hub_metrics.alarms_open = 4;
    hub_metrics.quarantine_waiting = 5;
    hub_metrics.outbox_waiting = 6;
    hub_metrics.database_connected = true;
    log_warning("test_problem", "topic=%s", log_quote("\xe6\x89\xac\xe5\xb0\x98 \xff\xe6\x89"));
}

static const cJSON *subsystem_of(const cJSON *status, const char *key) {
    const cJSON *subsystem;
    cJSON_ArrayForEach(subsystem, cJSON_GetObjectItem(status, "subsystems")) {
        if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(subsystem, "key")), key) == 0) {
            return subsystem;
        }
    }
    fail_msg("no subsystem %s", key);
    return NULL;
}

static void assert_number(const cJSON *object, const char *name, double expected) {
    const cJSON *item = cJSON_GetObjectItem(object, name);
    if (!cJSON_IsNumber(item) || item->valuedouble != expected) {
        char *text = cJSON_Print(object);
        fail_msg("%s is not %g in %s", name, expected, text);
    }
}

static void test_status_route(void **state) {
    (void)state;
    in_loop(fill_metrics);
    const char *answer = request("GET", "/api/v1/status");
    assert_status(answer, 200);
    assert_holds(answer, "Content-Type: application/json; charset=utf-8");
    cJSON *status = cJSON_ParseWithOpts(body_of(answer), NULL, true);
    assert_non_null(status);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(status, "subsystems")), adapter_count);
    const cJSON *dust = subsystem_of(status, "dust");
    assert_number(dust, "lanes", 2);
    assert_number(dust, "connected", 1);
    assert_number(dust, "records_committed", 123);
    assert_number(dust, "lag_s", 0.5);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(dust, "last_commit_at")), "2026-09-21T14:13:20Z");
    assert_true(strlen(cJSON_GetStringValue(cJSON_GetObjectItem(dust, "name_zh"))) >= 6);
    assert_number(subsystem_of(status, "gas"), "records_rejected", 3);
    assert_number(subsystem_of(status, "water"), "lanes", 0);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(subsystem_of(status, "water"), "last_commit_at")));
    assert_number(status, "devices", 2000);
    assert_number(status, "devices_online", 1980);
    assert_number(status, "alarms_open", 4);
    assert_number(status, "quarantine_waiting", 5);
    assert_number(status, "outbox_waiting", 6);
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(status, "uptime_s")) >= 3700);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(cJSON_GetObjectItem(status, "database"), "connected")));
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(status, "why")));
    const cJSON *problem = cJSON_GetObjectItem(status, "last_problem");
    /* bytes that are no UTF-8 must not get into JSON */
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(problem, "text")),
                        "test_problem: topic=\"\xe6\x89\xac\xe5\xb0\x98 ???\"");
    assert_int_equal(strlen(cJSON_GetStringValue(cJSON_GetObjectItem(problem, "at"))), 20);
    cJSON_Delete(status);
}

/* ---- methods and paths ---- */

static size_t content_length(const char *answer) {
    const char *at = strcasestr(answer, "Content-Length: ");
    assert_non_null(at);
    return (size_t)strtoull(at + strlen("Content-Length: "), NULL, 10);
}

static void test_head(void **state) {
    (void)state;
    static const char *const paths[] = {"/healthz", "/readyz", "/metrics", "/api/v1/status", "/nowhere"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        const char *answer = request("HEAD", paths[i]);
        assert_status(answer, strcmp(paths[i], "/nowhere") == 0 ? 404 : 200);
        assert_true(content_length(answer) > 0);
        assert_string_equal(body_of(answer), "");
    }
    const char *answer = request("GET", "/healthz");
    assert_int_equal(content_length(answer), strlen(body_of(answer)));
}

static void assert_error(const char *answer, const char *code) {
    assert_holds(answer, "Content-Type: application/json");
    cJSON *root = cJSON_ParseWithOpts(body_of(answer), NULL, true);
    const cJSON *error = cJSON_GetObjectItem(root, "error");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(error, "code")), code);
    assert_true(strlen(cJSON_GetStringValue(cJSON_GetObjectItem(error, "message"))) > 0);
    cJSON_Delete(root);
}

static void test_unknown_path(void **state) {
    (void)state;
    static const char *const paths[] = {"/",          "/healthz/", "//healthz", "/api/v1/statu", "/api/v1/status%00",
                                        "/%2e%2e/etc"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        const char *answer = request("GET", paths[i]);
        assert_status(answer, 404);
        assert_error(answer, "not_found");
        assert_holds(answer, "\"/api/v1/status\"");
        assert_holds(answer, "\"/metrics\"");
    }
    assert_status(request("GET", "/healthz?x=1&y=%zz"), 200); /* a query is nobody's path */
}

static void test_other_methods(void **state) {
    (void)state;
    static const char *const methods[] = {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "get"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        const char *answer = request(methods[i], "/metrics");
        assert_status(answer, 405);
        assert_holds(answer, "Allow: GET, HEAD\r\n");
        assert_error(answer, "method_not_allowed");
    }
}

/* The body of a refused request must not be read as the next request. */
static void test_bodies(void **state) {
    (void)state;
    static const char inner[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    static const char *const methods[] = {"POST", "DELETE", "GET"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        char text[512];
        int client = client_open();
        snprintf(text, sizeof text,
                 "%s /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", methods[i],
                 strlen(inner), inner);
        client_say(client, text);
        const char *answer = client_rest(client);
        assert_status(answer, strcmp(methods[i], "GET") == 0 ? 200 : 405);
        assert_null(strstr(answer, "cityhub_database_connected"));
    }
    int client = client_open();
    client_say(client, "GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
                       "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    const char *answer = client_rest(client);
    assert_holds(answer, "\r\n\r\nok\n");
    assert_holds(answer, "\r\n\r\nready\n");
}

/* ---- many, slow and hostile clients ---- */

static void test_one_connection(void **state) {
    (void)state;
    enum { REQUESTS = 500 };
    int client = client_open();
    for (int i = 1; i < REQUESTS; i++) {
        client_say(client, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); /* without waiting for the answer */
    }
    client_say(client, "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    int answers = 0;
    const char *at = client_rest(client);
    assert_holds(at, "\r\n\r\nready\n");
    for (; (at = strstr(at, "HTTP/1.1 200 OK")) != NULL; at++) {
        answers++;
    }
    assert_int_equal(answers, REQUESTS);
}

/* More clients than connections: the rest wait for their turn, and everybody is answered. */
static void test_parallel(void **state) {
    (void)state;
    enum { CLIENTS = CONNECTIONS * 8 };
    int clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = client_open();
        client_say(clients[i], "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    }
    for (int i = CLIENTS - 1; i >= 0; i--) {
        const char *answer = client_rest(clients[i]);
        assert_status(answer, 200);
        assert_int_equal(content_length(answer), strlen(body_of(answer)));
    }
}

/* Clients that stall take all connections; they are closed, and then the next one is served. */
static void test_slow_clients(void **state) {
    (void)state;
    int stalled[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++) {
        stalled[i] = client_open();
        if (i % 2 == 0) {
            client_say(stalled[i], "GET /healthz HTTP/1.1\r\nHos");
        }
    }
    time_t begun = time(NULL);
    assert_alive();
    assert_true(time(NULL) - begun < CLIENT_TIMEOUT_S);
    for (int i = 0; i < CONNECTIONS; i++) {
        const char *answer = client_rest(stalled[i]);
        if (*answer != '\0') { /* libmicrohttpd may say why it closes */
            assert_status(answer, 408);
        }
    }
}

/* Clients that ask for much and read nothing take all connections; they are closed, too. */
static void test_clients_that_do_not_read(void **state) {
    (void)state;
    static const char ask[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    int clients[FEW];
    for (int i = 0; i < FEW; i++) {
        int small = 4096;
        clients[i] = client_open();
        setsockopt(clients[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        /* answers are longer than questions: the sending sides fill first */
        for (int j = 0; j < 2000; j++) {
            if (send(clients[i], ask, sizeof ask - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
                break;
            }
        }
    }
    assert_alive();
    for (int i = 0; i < FEW; i++) {
        close(clients[i]);
    }
}

/* Up to CONNECTIONS clients at a time: libmicrohttpd lets one that ends in mid-request wait for the timeout. */
static int garbage_clients[CONNECTIONS];
static int garbage_count;

static void hear_garbage(void) {
    while (garbage_count > 0) {
        const char *answer = client_rest(garbage_clients[--garbage_count]);
        if (*answer != '\0' && strncmp(answer, "HTTP/1.", 7) != 0) {
            fail_msg("no HTTP: %.300s", answer);
        }
    }
}

static void say_garbage(const void *bytes, size_t length) {
    int client = client_open();
    client_send(client, bytes, length);
    shutdown(client, SHUT_WR);
    garbage_clients[garbage_count++] = client;
    if (garbage_count == CONNECTIONS) {
        hear_garbage();
    }
}

static void test_garbage(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "\r\n\r\n",
        "GET\r\n\r\n",
        "GET /healthz\r\n\r\n",
        "GET /healthz HTTP/9.9\r\n\r\n",
        "GET  /healthz  HTTP/1.1  x\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nno colon\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", /* the beginning of TLS */
        "\x10\x0e\x00\x04MQTT\x05\x02",                 /* and of MQTT */
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        say_garbage(texts[i], strlen(texts[i]));
    }
    uint32_t seed = 20261125;
    for (int round = 0; round < 84; round++) {
        unsigned char bytes[2048];
        for (size_t i = 0; i < sizeof bytes; i++) {
            seed = seed * 1664525u + 1013904223u;
            bytes[i] = (unsigned char)(seed >> 24);
        }
        if (round % 2 == 0) {
            memcpy(bytes, "GET /", 5);
        }
        say_garbage(bytes, 1 + seed % sizeof bytes);
    }
    hear_garbage();
    assert_alive();
}

static void test_huge_head(void **state) {
    (void)state;
    static char head[1024 * 1024];
    memset(head, 'a', sizeof head);
    memcpy(head, "GET /", 5);
    say_garbage(head, sizeof head);
    size_t used = (size_t)snprintf(head, sizeof head, "GET /healthz HTTP/1.1\r\n");
    while (used + 32 < sizeof head) {
        used += (size_t)snprintf(head + used, sizeof head - used, "X-%zu: y\r\n", used);
    }
    say_garbage(head, used);
    hear_garbage();
    assert_alive();
}

/* ---- opening and closing ---- */

static void test_port_in_use(void **state) {
    (void)state;
    uv_loop_t loop;
    int64_t at_s;
    uv_loop_init(&loop);
    assert_null(http_open(&loop, &server.config, &server.source));
    assert_holds(log_last_problem(&at_s), "http_listen: listen=\"127.0.0.1\"");
    assert_holds(log_last_problem(&at_s), "Address already in use");
    char *listen = server.config.http_listen;
    char wrong[] = "256.1.2.3";
    server.config.http_listen = wrong;
    assert_null(http_open(&loop, &server.config, &server.source));
    assert_holds(log_last_problem(&at_s), "256.1.2.3");
    server.config.http_listen = listen;
    assert_int_equal(uv_loop_close(&loop), 0);
}

static int files_open(void) {
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder) != NULL) {
        count++;
    }
    closedir(folder);
    return count;
}

/* The server goes while clients are in the middle of something; nothing stays open. */
static void test_close_in_the_middle(void **state) {
    (void)state;
    int before = files_open();
    assert_int_equal(setup(state), 0);
    int idle = client_open();
    int half = client_open();
    client_say(half, "GET /metrics HTTP/1.1\r\nHost: x\r\n");
    assert_alive();
    assert_int_equal(teardown(state), 0);
    assert_string_equal(client_rest(idle), "");
    client_rest(half);
    assert_int_equal(files_open(), before);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_health_and_ready),
        WITH_SERVER(test_not_ready),
        WITH_SERVER(test_metrics_route),
        WITH_SERVER(test_status_route),
        WITH_SERVER(test_head),
        WITH_SERVER(test_unknown_path),
        WITH_SERVER(test_other_methods),
        WITH_SERVER(test_bodies),
        WITH_SERVER(test_one_connection),
        WITH_SERVER(test_parallel),
        WITH_SERVER(test_slow_clients),
        cmocka_unit_test_setup_teardown(test_clients_that_do_not_read, setup_few, teardown),
        WITH_SERVER(test_garbage),
        WITH_SERVER(test_huge_head),
        WITH_SERVER(test_port_in_use),
        cmocka_unit_test(test_close_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

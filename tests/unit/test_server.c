/* test_server.c: the HTTP server with real sockets: a loop with the server in one thread, clients in the test's. The
 * product's rows, and some of the test's own that need no database. */
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
#include <zlib.h>

#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/metrics.h"
#include "hub/http/request.h"
#include "hub/http/routes.h"
#include "hub/http/server.h"

enum { CLIENT_TIMEOUT_S = 30, CONNECTIONS = 16, FEW = 2, TIMEOUT_S = 1, ANSWER_MAX = 1024 * 1024 };

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

static bool source_ready(void *user, char *why, size_t size) {
    struct fixture *self = user;
    if (!self->ready) {
        snprintf(why, size, "the database is away");
    }
    return self->ready;
}

static void on_closed(void *user) {
    ((struct fixture *)user)->closed = true;
}

static void on_wake(uv_async_t *wake) {
    struct fixture *self = wake->data;
    if (self->task == NULL) {
        server_close(self->http, on_closed, self);
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

/* ---- rows of the test's own ---- */

enum { ROWS_MAX = 40, NOTES_MAX = 4096 };

/* What happened to streams and sinks, in order: written in the loop's thread, read there too. */
static char notes[NOTES_MAX];

static void note(const char *what, const char *why) {
    size_t used = strlen(notes);
    snprintf(notes + used, sizeof notes - used, "%s:%s\n", what, why == NULL ? "whole" : why);
}

/* `size` bytes: of letters, or of what cannot be compressed. */
static void fill_body(struct answer *answer, size_t size, bool noise) {
    char *text = malloc(size + 1);
    uint32_t seed = 20261125;
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525u + 1013904223u;
        text[i] = noise ? (char)(seed >> 24) : (char)('a' + i / 64 % 26);
    }
    answer->body = text;
    answer->length = size;
    answer->release = free;
    answer->owner = text;
}

static void answer_sized(struct request *request, struct answer *answer) {
    fill_body(answer, (size_t)request_value(request, "size")->number, request_value(request, "noise")->number == 1);
}

static void answer_arguments(struct request *request, struct answer *answer) {
    answer_text(answer, strdup(buffer_string(&request->json)));
}

static void answer_echo(struct request *request, struct answer *answer) {
    answer_text(answer, strdup(request->body.length == 0 ? "" : buffer_string(&request->body)));
    answer->status = 201;
    snprintf(answer->location, sizeof answer->location, "/test/echo/1");
}

static void answer_versioned(struct request *request, struct answer *answer) {
    static const char body[] = "version 7";
    if (!request_unchanged(request, answer, "\"7-1\"")) {
        answer->body = body;
        answer->length = sizeof body - 1;
    }
}

/* An answer that a timer gives; `ms` 0 = never. */
struct later {
    uv_timer_t timer;
    struct request *request;
};

static void later_freed(uv_handle_t *handle) {
    free(handle->data);
}

static void later_closed(void *user, const char *why) {
    struct later *later = user;
    note("later", why);
    uv_close((uv_handle_t *)&later->timer, later_freed);
}

static void later_due(uv_timer_t *timer) {
    struct later *later = timer->data;
    struct answer *answer = &later->request->answer;
    answer->later = false;
    answer->source = (struct answer_source){0};
    answer_text(answer, strdup("at last"));
    request_wake(later->request);
    uv_close((uv_handle_t *)timer, later_freed);
}

static void answer_later(struct request *request, struct answer *answer) {
    struct later *later = calloc(1, sizeof *later);
    double ms = request_value(request, "ms")->number;
    later->request = request;
    later->timer.data = later;
    uv_timer_init(&server.loop, &later->timer);
    if (ms > 0) {
        uv_timer_start(&later->timer, later_due, (uint64_t)ms, 0);
    }
    answer->later = true;
    answer->source = (struct answer_source){.closed = later_closed, .user = later};
}

/* Pieces of 1000 bytes, each `gap` ms after the one before; `pieces` 0 = for ever, as fast as they are taken;
 * `broken`: no end. */
struct stream {
    uv_timer_t timer;
    struct request *request;
    size_t left, waiting;
    bool endless, broken;
};

static void stream_due(uv_timer_t *timer) {
    struct stream *stream = timer->data;
    size_t more = stream->left > 0 ? 1000 : 0;
    stream->left -= more > 0;
    stream->waiting += more;
    request_wake(stream->request);
}

static ssize_t stream_pull(void *user, char *room, size_t size) {
    struct stream *stream = user;
    if (stream->endless) {
        memset(room, 'e', size);
        return (ssize_t)size;
    }
    if (stream->waiting == 0) {
        return stream->left > 0 ? SOURCE_WAIT : stream->broken ? SOURCE_BROKEN : SOURCE_END;
    }
    size_t piece = stream->waiting < size ? stream->waiting : size;
    memset(room, 's', piece);
    stream->waiting -= piece;
    return (ssize_t)piece;
}

static void stream_freed(uv_handle_t *handle) {
    free(handle->data);
}

static void stream_closed(void *user, const char *why) {
    struct stream *stream = user;
    note("stream", why);
    uv_close((uv_handle_t *)&stream->timer, stream_freed);
}

static void answer_stream(struct request *request, struct answer *answer) {
    struct stream *stream = calloc(1, sizeof *stream);
    uint64_t gap = (uint64_t)request_value(request, "gap")->number;
    stream->request = request;
    stream->left = (size_t)request_value(request, "pieces")->number;
    stream->endless = stream->left == 0;
    stream->broken = request_value(request, "broken")->number == 1;
    stream->timer.data = stream;
    uv_timer_init(&server.loop, &stream->timer);
    uv_timer_start(&stream->timer, stream_due, gap, gap);
    answer->source = (struct answer_source){.pull = stream_pull, .closed = stream_closed, .user = stream};
}

/* A sink that takes 7000 bytes at a time, and then makes the client wait for a turn of the loop. */
struct sink {
    uv_timer_t timer;
    struct request *request;
    size_t total;
    unsigned sum;
    bool waits;
};

static int sink_open(struct request *request, void **sink) {
    struct sink *made = calloc(1, sizeof *made);
    made->request = request;
    made->timer.data = made;
    uv_timer_init(&server.loop, &made->timer);
    *sink = made;
    return 0;
}

static void sink_due(uv_timer_t *timer) {
    struct sink *sink = timer->data;
    sink->waits = false;
    request_wake(sink->request);
}

static ptrdiff_t sink_write(struct request *request, void *user, const char *bytes, size_t length) {
    struct sink *sink = user;
    size_t taken = sink->waits ? 0 : length < 7000 ? length : 7000;
    for (size_t i = 0; i < taken; i++) {
        sink->sum = sink->sum * 31 + (unsigned char)bytes[i];
        if (bytes[i] == '!') {
            request_refuse(request, PROBLEM_BODY, "不要感叹号", "no exclamation marks");
            return CH_EINVAL;
        }
    }
    sink->total += taken;
    if (taken < length) {
        sink->waits = true;
        uv_timer_start(&sink->timer, sink_due, 1, 0);
    }
    return (ptrdiff_t)taken;
}

static void sink_freed(uv_handle_t *handle) {
    free(handle->data);
}

static void sink_close(void *user, bool whole) {
    struct sink *sink = user;
    note("sink", whole ? NULL : "part");
    uv_close((uv_handle_t *)&sink->timer, sink_freed);
}

static void answer_sink(struct request *request, struct answer *answer) {
    const struct sink *sink = request->sink;
    char *text = NULL;
    assert_true(asprintf(&text, "%zu %u", sink->total, sink->sum) > 0);
    answer_text(answer, text);
}

static const struct route_sink slow_sink = {.open = sink_open, .write = sink_write, .close = sink_close};

static const struct parameter sized_parameters[] = {
    {.name = "size", .kind = PARAMETER_INTEGER, .high = 10000000, .meaning = "bytes"},
    {.name = "noise", .kind = PARAMETER_BOOLEAN, .initial = "false", .meaning = "not to be compressed"},
    {0}};
static const struct parameter later_parameters[] = {
    {.name = "ms", .kind = PARAMETER_INTEGER, .high = 10000, .initial = "0", .meaning = "ms"}, {0}};
static const struct parameter stream_parameters[] = {
    {.name = "pieces", .kind = PARAMETER_INTEGER, .high = 10000, .initial = "0", .meaning = "pieces"},
    {.name = "gap", .kind = PARAMETER_INTEGER, .low = 1, .high = 10000, .initial = "1", .meaning = "ms"},
    {.name = "broken", .kind = PARAMETER_BOOLEAN, .initial = "false", .meaning = "without an end"},
    {0}};
static const struct parameter tile_parameters[] = {
    {.name = "z", .kind = PARAMETER_INTEGER, .high = 22, .meaning = "zoom"},
    {.name = "y", .kind = PARAMETER_INTEGER, .high = 4194303, .meaning = "row"},
    {.name = "layers", .kind = PARAMETER_CHOICE, .choices = "devices alarms", .list = 2, .meaning = "layers"},
    {.name = "at", .kind = PARAMETER_TIME, .meaning = "when"},
    {.name = "q", .kind = PARAMETER_TEXT, .low = 1, .high = 8, .required = true, .meaning = "words"},
    {0}};

static const struct route own_rows[] = {
    {.method = METHOD_GET,
     .pattern = "/test/sized/{size}",
     .summary = "s",
     .parameters = sized_parameters,
     .memory = answer_sized,
     .content_type = "text/plain; charset=utf-8",
     .cache = "private, no-cache",
     .etag = ETAG_BYTES,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/test/tiles/{z}/{y}.mvt",
     .summary = "s",
     .parameters = tile_parameters,
     .memory = answer_arguments,
     .content_type = "application/json"},
    {.method = METHOD_POST,
     .pattern = "/test/echo",
     .summary = "s",
     .body = {.types = "application/json", .limit = 1000},
     .memory = answer_echo,
     .content_type = "application/json"},
    {.method = METHOD_GET,
     .pattern = "/test/echo",
     .summary = "s",
     .memory = answer_versioned,
     .content_type = "text/plain",
     .cache = "private, no-cache",
     .etag = ETAG_GIVEN},
    {.method = METHOD_PUT,
     .pattern = "/test/sink",
     .summary = "s",
     .body = {.types = "image/png image/jpeg", .limit = 3000000, .sink = &slow_sink},
     .memory = answer_sink,
     .content_type = "text/plain"},
    {.method = METHOD_GET,
     .pattern = "/test/later",
     .summary = "s",
     .parameters = later_parameters,
     .memory = answer_later,
     .content_type = "text/plain",
     .deadline_s = 1},
    {.method = METHOD_GET,
     .pattern = "/test/stream",
     .summary = "s",
     .parameters = stream_parameters,
     .stream = answer_stream,
     .content_type = "text/plain",
     .compress = true,
     .deadline_s = 2},
    {.method = METHOD_GET,
     .pattern = "/test/live",
     .summary = "s",
     .parameters = stream_parameters,
     .stream = answer_stream,
     .content_type = "text/event-stream",
     .cache = "no-cache, no-transform",
     .endless = true},
};

static struct route rows[ROWS_MAX];

static struct server *open_on(uv_loop_t *loop) {
    size_t own_count = sizeof own_rows / sizeof own_rows[0];
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

static int setup_with(int64_t connections) {
    notes[0] = '\0';
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
        print_error("server_close left handles in the loop, or never said that it is done\n");
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
static size_t answer_length; /* of the last answer, head and all */

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
    answer_length = used;
    return answer;
}

static const char *request_by(const char *method, const char *path, const char *head, const char *body) {
    char text[4096];
    int client = client_open();
    snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nConnection: close\r\n%s\r\n%s", method, path, head, body);
    client_say(client, text);
    return client_rest(client);
}

static const char *request_with(const char *method, const char *path, const char *head, const char *body) {
    char all[1024];
    snprintf(all, sizeof all, "Host: localhost\r\n%s", head);
    return request_by(method, path, all, body);
}

static const char *request(const char *method, const char *path) {
    return request_with(method, path, "", "");
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
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(status, "subsystems")), 11);
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

static void assert_problem(const char *answer, int status, const char *code) {
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

static void test_unknown_path(void **state) {
    (void)state;
    static const char *const paths[] = {"/",
                                        "/healthz/",
                                        "//healthz",
                                        "/api/v1/statu",
                                        "/api/v1%2fstatus",
                                        "/%2e%2e/etc",
                                        "/a/b/c/d/e/f/g/h/i/j/k/l/m/n"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_problem(request("GET", paths[i]), 404, "CH040");
    }
    assert_status(request("GET", "/healthz?x=1&y=%zz"), 200); /* a probe may say what it likes */
    assert_status(request("GET", "/%68ealthz"), 200);
    assert_status(request("GET", "http://localhost/healthz"), 200);
    assert_status(request("GET", "HTTP://localhost:99/healthz?x"), 200);
}

static void test_bad_targets(void **state) {
    (void)state;
    static const char *const targets[] = {"/api/v1/status%00",
                                          "/%c0%af",
                                          "/%ed%a0%80",
                                          "/%ff",
                                          "/%f4%90%80%80",
                                          "/test/%",
                                          "/test/%4",
                                          "/test/%g0",
                                          "/%0a",
                                          "healthz",
                                          "*",
                                          "/test/later?ms=%",
                                          "/test/later?ms=%00",
                                          "/test/later?%ff"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        assert_problem(request("GET", targets[i]), 400, "CH043");
    }
    char many[1024] = "/test/later?a=1";
    for (int i = 0; i < 40; i++) {
        strcat(many, "&a=1");
    }
    assert_problem(request("GET", many), 400, "CH043");
}

static void test_methods(void **state) {
    (void)state;
    static const char *const methods[] = {"POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW", "get"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        const char *answer = request(methods[i], "/metrics");
        assert_problem(answer, 405, "CH041");
        assert_holds(answer, "Allow: GET, HEAD, OPTIONS\r\n");
    }
    const char *answer = request("DELETE", "/test/echo");
    assert_problem(answer, 405, "CH041");
    assert_holds(answer, "Allow: GET, HEAD, POST, OPTIONS\r\n");
    answer = request("OPTIONS", "/test/echo");
    assert_status(answer, 204);
    assert_holds(answer, "Allow: GET, HEAD, POST, OPTIONS\r\n");
    assert_string_equal(body_of(answer), "");
    answer = request("OPTIONS", "*");
    assert_status(answer, 204);
    assert_holds(answer, "Allow: GET, HEAD, POST, PUT, OPTIONS\r\n");
    assert_problem(request("OPTIONS", "/nowhere"), 404, "CH040");
}

/* ---- parameters, roles, kinds of content ---- */

static void assert_parameter(const char *target, const char *parameter, const char *words) {
    const char *answer = request_with("GET", target, "Accept-Language: en\r\n", "");
    assert_problem(answer, 400, "CH042");
    cJSON *root = cJSON_Parse(body_of(answer));
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(root, "parameter")), parameter);
    const char *detail = cJSON_GetStringValue(cJSON_GetObjectItem(root, "detail"));
    if (strstr(detail, words) == NULL) {
        fail_msg("%s: `%s` is not in: %s", target, words, detail);
    }
    cJSON_Delete(root);
}

static void test_parameters(void **state) {
    (void)state;
    assert_string_equal(
        body_of(request("GET",
                        "/test/tiles/08/7.mvt?q=%e6%89%ac+a%2Bb&at=2026-11-24T08:00:00+08:00&layers=alarms,devices")),
        "{\"z\":8,\"y\":7,\"layers\":[\"alarms\",\"devices\"],\"at\":\"2026-11-24T08:00:00+08:00\","
        "\"q\":\"\xe6\x89\xac a+b\"}");
    assert_string_equal(body_of(request("GET", "/test/tiles/0/0.mvt?q=%22%5c")),
                        "{\"z\":0,\"y\":0,\"q\":\"\\\"\\\\\"}");
    assert_parameter("/test/tiles/23/7.mvt?q=a", "z", "must be a whole number from 0 to 22");
    assert_parameter("/test/tiles/8/7x.mvt?q=a", "y", "must be a whole number from 0 to 4194303");
    assert_parameter("/test/tiles/8/7.mvt", "q", "is missing: it must be a text of 1 to 8 characters");
    assert_parameter("/test/tiles/8/7.mvt?q=", "q", "must be a text");
    assert_parameter("/test/tiles/8/7.mvt?q=123456789", "q", "must be a text");
    assert_parameter("/test/tiles/8/7.mvt?q=a&layers=cases", "layers",
                     "up to 2 values with commas, each: must be one of: devices alarms");
    assert_parameter("/test/tiles/8/7.mvt?q=a&at=yesterday", "at", "must be a time with its offset");
    assert_parameter("/test/tiles/8/7.mvt?q=a&q=b", "q", "comes twice");
    assert_parameter("/test/tiles/8/7.mvt?q=a&z=3", "z", "there is no parameter \"z\"; there are: layers, at, q");
    assert_problem(request("GET", "/test/tiles/8/.mvt?q=a"), 404, "CH040");
    const char *answer =
        request_with("GET", "/test/tiles/23/7.mvt?q=a", "Accept-Language: fr, en;q=0.8, zh;q=0.9\r\n", "");
    assert_holds(answer, "\"detail\":\"参数 \\\"z\\\" 须为 0 至 22 的整数\"");
    assert_holds(answer, "Vary: Accept-Language\r\n");
}

static void test_roles(void **state) {
    (void)state;
    static const char *const strangers[] = {"Host: hub.example\r\n",
                                            "Host: 10.0.0.1:8080\r\n",
                                            "Host: localhost.example\r\n",
                                            "Host: localhost\r\nX-Forwarded-For: 10.0.0.1\r\n",
                                            "Host: localhost\r\nForwarded: for=10.0.0.1\r\n",
                                            "Host: localhost\r\nVia: 1.1 proxy\r\n"};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        assert_problem(request_by("GET", "/metrics", strangers[i], ""), 403, "CH048");
        assert_status(request_by("GET", "/healthz", strangers[i], ""), 200);
    }
    static const char *const friends[] = {"Host: localhost\r\n", "Host: LOCALHOST:1\r\n", "Host: 127.0.0.1:8080\r\n",
                                          "Host: 127.9.9.9\r\n", "Host: [::1]:8080\r\n"};
    for (size_t i = 0; i < sizeof friends / sizeof friends[0]; i++) {
        assert_status(request_by("GET", "/metrics", friends[i], ""), 200);
    }
}

static void test_accept(void **state) {
    (void)state;
    assert_status(request_with("GET", "/api/v1/status", "Accept: text/html, application/*;q=0.1\r\n", ""), 200);
    assert_status(request_with("GET", "/api/v1/status", "Accept: */*\r\n", ""), 200);
    assert_problem(request_with("GET", "/api/v1/status", "Accept: text/html\r\n", ""), 406, "CH047");
    assert_problem(request_with("GET", "/api/v1/status", "Accept: */*, application/json;q=0\r\n", ""), 406, "CH047");
    static const char prometheus[] =
        "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n";
    assert_status(request_with("GET", "/metrics", prometheus, ""), 200);
}

static const char *post(const char *type, const char *body) {
    char head[256];
    snprintf(head, sizeof head, "Content-Type: %s\r\nContent-Length: %zu\r\n", type, strlen(body));
    return request_with("POST", "/test/echo", head, body);
}

static void test_posted_bodies(void **state) {
    (void)state;
    const char *answer = post("application/json", "{\"a\": 1}");
    assert_status(answer, 201);
    assert_holds(answer, "Location: /test/echo/1\r\n");
    assert_string_equal(body_of(answer), "{\"a\": 1}");
    assert_status(post("Application/JSON; charset=\"UTF-8\"", "{}"), 201);
    assert_problem(post("application/json; charset=gbk", "{}"), 415, "CH046");
    assert_problem(post("text/plain", "{}"), 415, "CH046");
    assert_problem(post("application/json", ""), 400, "CH044");
    assert_problem(post("application/json", "{\"a\": \"\xff\"}"), 400, "CH044");
    char large[1002];
    memset(large, ' ', sizeof large - 1);
    large[1001] = '\0';
    assert_problem(post("application/json", large), 413, "CH045");
    large[1000] = '\0';
    assert_status(post("application/json", large), 201);
    /* a NUL, which has no length for the test's client */
    answer = request_with("POST", "/test/echo", "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n",
                          "5\r\n{\"a\":\r\n3\r\n 2}\r\n0\r\n\r\n");
    assert_status(answer, 201);
    assert_string_equal(body_of(answer), "{\"a\": 2}");
    answer = request_with("POST", "/test/echo",
                          "Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n", "{}");
    assert_problem(answer, 415, "CH046");
}

/* A chunked body does not say how long it will be. */
static void test_chunked_body_too_large(void **state) {
    (void)state;
    static char chunks[4 * 1024 * 1024];
    size_t used = 0;
    int client = client_open();
    client_say(client, "POST /test/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                       "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < 100; i++) {
        used += (size_t)snprintf(chunks + used, sizeof chunks - used, "40\r\n%064d\r\n", i);
    }
    used += (size_t)snprintf(chunks + used, sizeof chunks - used, "0\r\n\r\n");
    client_send(client, chunks, used);
    assert_problem(client_rest(client), 413, "CH045");
    /* and one that never ends is closed */
    client = client_open();
    client_say(client, "POST /test/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n");
    while (client_send(client, chunks, used - 5)) {
    }
    close(client);
    assert_alive();
}

static void test_expect(void **state) {
    (void)state;
    int client = client_open();
    client_say(client, "POST /test/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                       "Content-Length: 5000\r\nExpect: 100-continue\r\n\r\n");
    assert_problem(client_rest(client), 413, "CH045"); /* without asking for the body */
    client = client_open();
    client_say(client, "POST /test/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                       "Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
    char first[64] = "";
    assert_true(recv(client, first, sizeof first - 1, 0) > 0);
    assert_string_equal(first, "HTTP/1.1 100 Continue\r\n\r\n");
    client_say(client, "{}");
    assert_status(client_rest(client), 201);
}

static void clear_notes(void) {
    notes[0] = '\0';
}

static char seen_notes[NOTES_MAX];

static void copy_notes(void) {
    memcpy(seen_notes, notes, sizeof seen_notes);
}

/* Waits until what happened ends with `what`. */
static void await_note(const char *what) {
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

static void test_sink(void **state) {
    (void)state;
    enum { BODY = 2000000 };
    static char body[BODY];
    unsigned sum = 0;
    char wanted[64];
    for (size_t i = 0; i < BODY; i++) {
        body[i] = (char)('A' + i * 7 % 50);
        sum = sum * 31 + (unsigned char)body[i];
    }
    int client = client_open();
    client_say(client, "PUT /test/sink HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
                       "Content-Length: 2000000\r\nConnection: close\r\n\r\n");
    assert_true(client_send(client, body, BODY));
    snprintf(wanted, sizeof wanted, "%d %u", BODY, sum);
    assert_string_equal(body_of(client_rest(client)), wanted);
    await_note("sink:whole");
    /* the client leaves in the middle */
    client = client_open();
    client_say(client, "PUT /test/sink HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
                       "Content-Length: 2000000\r\n\r\n");
    assert_true(client_send(client, body, BODY / 2));
    close(client);
    await_note("sink:part");
    /* the sink refuses: the rest is dropped, and the answer says why */
    in_loop(clear_notes);
    client = client_open();
    client_say(client, "PUT /test/sink HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
                       "Content-Length: 100000\r\nConnection: close\r\n\r\n");
    memset(body, '!', 100000);
    client_send(client, body, 100000);
    assert_problem(client_rest(client), 400, "CH044");
    await_note("sink:part");
}

/* ---- entity tags and compression ---- */

static void header_of(const char *answer, const char *name, char *value, size_t size) {
    const char *at = strcasestr(answer, name);
    value[0] = '\0';
    if (at != NULL && at < strstr(answer, "\r\n\r\n")) {
        at += strlen(name) + 2;
        snprintf(value, size, "%.*s", (int)strcspn(at, "\r"), at);
    }
}

static void test_etags(void **state) {
    (void)state;
    char tag[128], head[256];
    header_of(request("GET", "/test/sized/2000"), "ETag", tag, sizeof tag);
    assert_int_equal(strlen(tag), 34);
    snprintf(head, sizeof head, "If-None-Match: \"other\", W/%s\r\n", tag);
    const char *answer = request_with("GET", "/test/sized/2000", head, "");
    assert_status(answer, 304);
    assert_holds(answer, tag);
    assert_holds(answer, "Cache-Control: private, no-cache\r\n");
    assert_string_equal(body_of(answer), "");
    assert_status(request_with("HEAD", "/test/sized/2000", head, ""), 304);
    assert_status(request_with("GET", "/test/sized/2001", head, ""), 200);
    assert_status(request_with("GET", "/test/sized/2000", "If-None-Match: *\r\n", ""), 304);
    assert_status(request_with("GET", "/test/sized/2000", "If-None-Match: gibberish\r\n", ""), 200);
    assert_status(request_with("GET", "/test/echo", "If-None-Match: \"7-1\"\r\n", ""), 304);
    answer = request_with("GET", "/test/echo", "If-None-Match: \"7-2\"\r\n", "");
    assert_status(answer, 200);
    assert_holds(answer, "ETag: \"7-1\"\r\n");
}

/* The body, with chunks put together and gzip taken off. */
static size_t whole_body(const char *answer, size_t length, char *whole, size_t size) {
    static char packed[ANSWER_MAX];
    const char *at = body_of(answer), *end = answer + length;
    size_t packed_length = 0;
    bool chunked = strcasestr(answer, "Transfer-Encoding: chunked") != NULL;
    while (at < end) {
        char *behind = (char *)(uintptr_t)at;
        size_t piece = chunked ? strtoul(at, &behind, 16) : (size_t)(end - at);
        at = behind + (chunked ? 2 : 0);
        memcpy(packed + packed_length, at, piece);
        packed_length += piece;
        at += piece + (chunked ? 2 : 0);
        if (chunked && piece == 0) {
            break;
        }
    }
    if (strcasestr(answer, "Content-Encoding: gzip") == NULL) {
        memcpy(whole, packed, packed_length);
        return packed_length;
    }
    z_stream stream = {.next_in = (Bytef *)packed,
                       .avail_in = (uInt)packed_length,
                       .next_out = (Bytef *)whole,
                       .avail_out = (uInt)size};
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    inflateEnd(&stream);
    return size - stream.avail_out;
}

static void test_gzip(void **state) {
    (void)state;
    static const struct {
        const char *path, *accept;
        size_t size;
        bool packed, chunked;
    } cases[] = {
        {"/test/sized/1023", "gzip", 1023, false, false},
        {"/test/sized/1024", "gzip", 1024, true, false},
        {"/test/sized/1024", "deflate, br", 1024, false, false},
        {"/test/sized/1024", "gzip;q=0, *", 1024, false, false},
        {"/test/sized/1024", "identity;q=0.5, *;q=0.1", 1024, true, false},
        {"/test/sized/65536", "gzip", 65536, true, false},
        {"/test/sized/65537", "gzip", 65537, true, true},
        {"/test/sized/5000000", "gzip", 5000000, true, true},
        {"/test/sized/30000?noise=true", "gzip", 30000, false, false},
        {"/test/sized/200000?noise=true", "gzip", 200000, true, true},
        {"/test/sized/0", "gzip", 0, false, false},
        {"/test/stream?pieces=50", "gzip", 50000, true, true},
        {"/test/stream?pieces=50", "identity", 50000, false, true},
    };
    static char whole[6000000];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char head[300], tag[128];
        snprintf(head, sizeof head, "Accept-Encoding: %s\r\n", cases[i].accept);
        const char *answer = request_with("GET", cases[i].path, head, "");
        assert_status(answer, 200);
        bool packed = strcasestr(answer, "Content-Encoding: gzip\r\n") != NULL;
        bool chunked = strcasestr(answer, "Transfer-Encoding: chunked\r\n") != NULL;
        if (packed != cases[i].packed || chunked != cases[i].chunked) {
            fail_msg("%s, %s: compressed %d, chunked %d", cases[i].path, cases[i].accept, packed, chunked);
        }
        assert_holds(answer, "Vary: Accept-Encoding\r\n");
        header_of(answer, "ETag", tag, sizeof tag);
        assert_int_equal(packed && tag[0] != '\0', strstr(tag, "-gzip\"") != NULL);
        assert_int_equal(whole_body(answer, answer_length, whole, sizeof whole), cases[i].size);
        if (tag[0] != '\0') {
            snprintf(head, sizeof head, "Accept-Encoding: %s\r\nIf-None-Match: %s\r\n", cases[i].accept, tag);
            assert_status(request_with("GET", cases[i].path, head, ""), 304);
        }
    }
}

/* ---- answers that take their time ---- */

static void test_later(void **state) {
    (void)state;
    const char *answer = request("GET", "/test/later?ms=50");
    assert_status(answer, 200);
    assert_string_equal(body_of(answer), "at last");
    assert_problem(request("GET", "/test/later"), 504, "CH052");
    await_note("later:late");
    int client = client_open();
    client_say(client, "GET /test/later HTTP/1.1\r\nHost: localhost\r\n\r\n");
    usleep(50000);
    close(client);
    await_note("later:left");
}

static void test_streams(void **state) {
    (void)state;
    static char whole[100000];
    const char *answer = request("GET", "/test/stream?pieces=20&gap=5");
    assert_status(answer, 200);
    assert_int_equal(whole_body(answer, answer_length, whole, sizeof whole), 20000);
    await_note("stream:whole");
    /* HTTP/1.0 has no chunks: the end is the connection's */
    int client = client_open();
    client_say(client, "GET /test/stream?pieces=3 HTTP/1.0\r\n\r\n");
    answer = client_rest(client);
    assert_null(strcasestr(answer, "chunked"));
    assert_int_equal(strlen(body_of(answer)), 3000);
    /* a source that breaks off: no last chunk */
    answer = request("GET", "/test/stream?pieces=3&broken=true");
    assert_null(strstr(answer, "\r\n0\r\n"));
    await_note("stream:broken");
    assert_string_equal(body_of(request("HEAD", "/test/stream?pieces=3")), "");
    /* over its time */
    client = client_open();
    client_say(client, "GET /test/stream?pieces=10000&gap=100 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_null(strstr(client_rest(client), "\r\n0\r\n"));
    await_note("stream:late");
    /* two on one connection */
    client = client_open();
    client_say(client, "GET /test/stream?pieces=1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
                       "GET /test/stream?pieces=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    answer = client_rest(client);
    assert_non_null(strstr(strstr(answer, "200 OK") + 1, "200 OK"));
}

/* A live stream has no end; a client that does not read, or leaves, is noticed. */
static void test_live(void **state) {
    (void)state;
    char piece[4096];
    int client = client_open();
    client_say(client, "GET /test/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_true(recv(client, piece, sizeof piece, 0) > 0);
    await_note("stream:slow");
    close(client);
    in_loop(clear_notes);
    client = client_open();
    client_say(client, "GET /test/live?pieces=2&gap=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_holds(client_rest(client), "X-Accel-Buffering: no\r\n");
    await_note("stream:whole");
    client = client_open();
    client_say(client, "GET /test/live?pieces=10000&gap=10000 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    usleep(50000);
    shutdown(client, SHUT_WR);
    await_note("stream:left");
    close(client);
}

/* Rows that ask the database say at once that it is away. */
static void test_database_away(void **state) {
    (void)state;
    const char *answer = request("GET", "/api/v1/subsystems");
    assert_problem(answer, 503, "CH051");
    assert_holds(answer, "Retry-After: 5\r\n");
}

static void test_route_list(void **state) {
    (void)state;
    cJSON *root = cJSON_ParseWithOpts(body_of(request("GET", "/api/v1")), NULL, true);
    const cJSON *list = cJSON_GetObjectItem(root, "routes");
    assert_int_equal(cJSON_GetArraySize(list), (int)(route_count + sizeof own_rows / sizeof own_rows[0]));
    const cJSON *devices = NULL, *row;
    cJSON_ArrayForEach(row, list) {
        if (strstr(cJSON_GetStringValue(cJSON_GetObjectItem(row, "path")), "/devices") != NULL) {
            devices = row;
        }
    }
    char *text = cJSON_PrintUnformatted(cJSON_GetArrayItem(cJSON_GetObjectItem(devices, "parameters"), 1));
    assert_string_equal(text, "{\"name\":\"limit\",\"in\":\"query\",\"required\":false,\"type\":\"integer\","
                              "\"minimum\":1,\"maximum\":1000,\"default\":100,"
                              "\"description\":\"entries of a page at the most\"}");
    free(text);
    cJSON_Delete(root);
}

/* The body of a refused request must not be read as the next request. */
static void test_bodies(void **state) {
    (void)state;
    static const char inner[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    static const char *const methods[] = {"POST", "DELETE", "GET"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        char text[512];
        int client = client_open();
        snprintf(text, sizeof text,
                 "%s /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                 methods[i], strlen(inner), inner);
        client_say(client, text);
        const char *answer = client_rest(client);
        assert_status(answer, strcmp(methods[i], "GET") == 0 ? 200 : 405);
        assert_null(strstr(answer, "cityhub_database_connected"));
    }
    int client = client_open();
    client_say(client,
               "GET /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
               "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
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
        client_say(client, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"); /* without waiting for the answer */
    }
    client_say(client, "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
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
        client_say(clients[i], "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
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
    static const char ask[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
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
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
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
    assert_null(open_on(&loop));
    assert_holds(log_last_problem(&at_s), "http_listen: listen=\"127.0.0.1\"");
    assert_holds(log_last_problem(&at_s), "Address already in use");
    char *listen = server.config.http_listen;
    char wrong[] = "256.1.2.3";
    server.config.http_listen = wrong;
    assert_null(open_on(&loop));
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
    client_say(half, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n");
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
        WITH_SERVER(test_bad_targets),
        WITH_SERVER(test_methods),
        WITH_SERVER(test_parameters),
        WITH_SERVER(test_roles),
        WITH_SERVER(test_accept),
        WITH_SERVER(test_posted_bodies),
        WITH_SERVER(test_chunked_body_too_large),
        WITH_SERVER(test_expect),
        WITH_SERVER(test_sink),
        WITH_SERVER(test_etags),
        WITH_SERVER(test_gzip),
        WITH_SERVER(test_later),
        WITH_SERVER(test_streams),
        WITH_SERVER(test_live),
        WITH_SERVER(test_database_away),
        WITH_SERVER(test_route_list),
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

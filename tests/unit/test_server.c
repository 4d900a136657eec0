/* test_server.c: the HTTP server with real sockets: routes, heads against their rows, clients that are many, slow or
 * hostile, opening and closing. */
#include <dirent.h>

#include "http_server.h"

#include "hub/base/clock.h"

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
    first->oldest_at_ms = clock_now_ms() - 90000;
    second->oldest_at_ms = clock_now_ms() - 30000;
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
    double lag_s = cJSON_GetNumberValue(cJSON_GetObjectItem(dust, "lag_s"));
    assert_true(lag_s >= 90 && lag_s < 120); /* the oldest message's */
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

static void test_unknown_path(void **state) {
    (void)state;
    static const char *const paths[] = {"/index.html",
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
    assert_holds(answer, "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS\r\n");
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
        assert_problem(request_by("GET", "/metrics", strangers[i], ""), 401, "CH060");
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
/* Listening on all addresses: clients of both families, and who is on this machine. */
static void test_both_families(void **state) {
    (void)state;
    assert_alive();
    assert_status(request("GET", "/metrics"), 200); /* 127.0.0.1, perhaps as ::ffff:127.0.0.1 */
    assert_problem(request_by("GET", "/metrics", "Host: 192.0.2.7\r\n", ""), 401, "CH060");
    if (strcmp(server.config.http_listen, "::") != 0) {
        return;
    }
    int client = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback, .sin6_port = htons((uint16_t)server.config.http_port)};
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    client_say(client, "GET /metrics HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"
                       "GET /metrics HTTP/1.1\r\nHost: [2001:db8::1]\r\nConnection: close\r\n\r\n");
    const char *answer = client_rest(client);
    assert_status(answer, 200);
    assert_holds(answer, "HTTP/1.1 401 ");
}

/* Rows that ask the database say at once that it is away; who asks is not known then. */
static void test_database_away(void **state) {
    (void)state;
    assert_problem(request("GET", "/api/v1/subsystems"), 401, "CH060");
    assert_problem(request_with("GET", "/api/v1/subsystems", "Authorization: Digest x\r\n", ""), 401, "CH060");
    assert_problem(request_with("GET", "/metrics", "Cookie: cityhub_session=x\r\n", ""), 503, "CH051");
    const char *answer = request_with("GET", "/api/v1/subsystems", "Authorization: Bearer x\r\n", "");
    assert_problem(answer, 503, "CH051");
    assert_holds(answer, "Retry-After: 5\r\n");
}

static void test_route_list(void **state) {
    (void)state;
    size_t route_count;
    (void)routes_all(&route_count);
    cJSON *root = cJSON_ParseWithOpts(body_of(request("GET", "/api/v1")), NULL, true);
    const cJSON *list = cJSON_GetObjectItem(root, "routes");
    assert_int_equal(cJSON_GetArraySize(list), (int)(route_count + sizeof own_rows / sizeof own_rows[0]));
    const cJSON *people = NULL, *row;
    cJSON_ArrayForEach(row, list) {
        if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(row, "path")), "/api/v1/people") == 0) {
            people = row;
        }
    }
    char *text = cJSON_PrintUnformatted(cJSON_GetArrayItem(cJSON_GetObjectItem(people, "parameters"), 4));
    assert_string_equal(text, "{\"name\":\"limit\",\"in\":\"query\",\"required\":false,\"type\":\"integer\","
                              "\"minimum\":1,\"maximum\":1000,\"default\":100,"
                              "\"description\":\"entries of a page at the most\"}");
    free(text);
    cJSON_Delete(root);
}
/* The same rows as OpenAPI, with forms from openapi.json: of an object all is required but what is optional. */
static void test_openapi(void **state) {
    (void)state;
    cJSON *root = cJSON_ParseWithOpts(body_of(request("GET", "/api/v1/openapi.json")), NULL, true);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(root, "openapi")), "3.1.0");
    const cJSON *paths = cJSON_GetObjectItem(root, "paths");
    const cJSON *people = cJSON_GetObjectItem(cJSON_GetObjectItem(paths, "/api/v1/people"), "get");
    char *text = cJSON_PrintUnformatted(cJSON_GetArrayItem(cJSON_GetObjectItem(people, "parameters"), 4));
    assert_string_equal(text, "{\"name\":\"limit\",\"in\":\"query\",\"required\":false,"
                              "\"description\":\"entries of a page at the most\","
                              "\"schema\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000,\"default\":100}}");
    free(text);
    const cJSON *schemas = cJSON_GetObjectItem(cJSON_GetObjectItem(root, "components"), "schemas");
    text = cJSON_PrintUnformatted(cJSON_GetObjectItem(cJSON_GetObjectItem(schemas, "Problem"), "required"));
    assert_string_equal(text, "[\"type\",\"title\",\"status\",\"code\",\"detail\"]");
    free(text);
    cJSON_Delete(root);
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

/* Does not open, and says why; the other server may have a problem of its own to tell between the two. */
static void assert_does_not_open(uv_loop_t *loop, const char *listen, const char *why) {
    char said[512] = "";
    int64_t at_s;
    for (int tries = 0; tries < 100 && strstr(said, "http_listen: ") == NULL; tries++) {
        assert_null(open_on(loop));
        snprintf(said, sizeof said, "%s", log_last_problem(&at_s));
    }
    assert_holds(said, listen);
    assert_holds(said, why);
}

static void test_port_in_use(void **state) {
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    assert_does_not_open(&loop, "listen=\"127.0.0.1\"", "Address already in use");
    char *listen = server.config.http_listen;
    char wrong[] = "256.1.2.3";
    server.config.http_listen = wrong;
    assert_does_not_open(&loop, "256.1.2.3", "http_listen");
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
        cmocka_unit_test_setup_teardown(test_both_families, setup_both, teardown),
        WITH_SERVER(test_database_away),
        WITH_SERVER(test_route_list),
        WITH_SERVER(test_openapi),
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

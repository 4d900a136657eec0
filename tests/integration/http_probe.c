/* http_probe.c: the HTTP server alone, with rows whose SQL functions (onemap.probe_...) the test makes as it needs
 * them. http_probe CONFIG It runs until SIGTERM. Part of the tests; the product's rows are in hub/http/routes_*.c. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/log.h"
#include "hub/base/metrics.h"
#include "hub/http/request.h"
#include "hub/http/server.h"

struct probe {
    uv_loop_t loop;
    uv_signal_t terminate;
    struct config config;
    struct server *server;
};

static bool always_ready(void *user, struct words *why) {
    (void)user;
    (void)why;
    return true;
}

static void answer_metrics(struct request *request, struct answer *answer) {
    (void)request;
    answer_text(answer, metrics_text());
}

static void answer_pong(struct request *request, struct answer *answer) {
    static const char text[] = "pong\n";
    (void)request;
    answer->body = text;
    answer->length = sizeof text - 1;
}

static const struct parameter probe_parameters[] = {
    {.name = "n",
     .kind = PARAMETER_INTEGER,
     .low = -1000000000,
     .high = 1000000000,
     .initial = "1",
     .meaning = "a number"},
    {.name = "text", .kind = PARAMETER_TEXT, .low = 0, .high = 1000, .meaning = "a text"},
    {.name = "at", .kind = PARAMETER_TIME, .meaning = "a time"},
    {.name = "box", .kind = PARAMETER_BOX, .meaning = "a box"},
    {.name = "names", .kind = PARAMETER_TEXT, .low = 1, .high = 9, .list = 3, .meaning = "names"},
    {0}};

static const struct route probe_routes[] = {
    {.method = METHOD_GET,
     .pattern = "/ping",
     .summary = "memory",
     .memory = answer_pong,
     .content_type = "text/plain"},
    {.method = METHOD_GET,
     .pattern = "/metrics",
     .summary = "counters",
     .memory = answer_metrics,
     .content_type = "text/plain"},
    {.method = METHOD_GET,
     .pattern = "/probe",
     .summary = "an SQL function",
     .parameters = probe_parameters,
     .function = "onemap.probe_get",
     .content_type = "application/json",
     .cache = "private, no-cache",
     .etag = ETAG_BYTES,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/probe/rows",
     .summary = "row by row",
     .parameters = probe_parameters,
     .function = "onemap.probe_rows",
     .by_row = true,
     .content_type = "text/csv",
     .deadline_s = 20},
    {.method = METHOD_GET,
     .pattern = "/probe/sheet",
     .summary = "a workbook",
     .parameters = probe_parameters,
     .function = "onemap.probe_rows",
     .sheet = "n",
     .content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
     .deadline_s = 20},
    {.method = METHOD_POST,
     .pattern = "/probe",
     .summary = "writes, with JSON",
     .parameters = probe_parameters,
     .body = {.types = "application/json", .limit = 100000},
     .function = "onemap.probe_post",
     .content_type = "application/json"},
    {.method = METHOD_PUT,
     .pattern = "/probe",
     .summary = "writes, with bytes",
     .body = {.types = "application/octet-stream", .limit = 100000, .optional = true},
     .function = "onemap.probe_put",
     .content_type = "application/octet-stream"},
};

static void on_closed(void *user) {
    struct probe *probe = user;
    uv_close((uv_handle_t *)&probe->terminate, NULL);
}

static void on_terminate(uv_signal_t *handle, int number) {
    struct probe *probe = handle->data;
    (void)number;
    server_close(probe->server, on_closed, probe);
}

int main(int argc, char **argv) {
    static struct probe probe;
    const struct server_source source = {.ready = always_ready};
    if (argc != 2 || config_load(&probe.config, argv[1], stderr) != 0) {
        fprintf(stderr, "usage: http_probe CONFIG\n");
        return 2;
    }
    const struct server_settings settings = {.loop = &probe.loop,
                                             .config = &probe.config,
                                             .source = &source,
                                             .routes = probe_routes,
                                             .route_count = sizeof probe_routes / sizeof probe_routes[0]};
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&probe.loop);
    probe.server = server_open(&settings);
    if (probe.server == NULL) {
        return 1;
    }
    uv_signal_init(&probe.loop, &probe.terminate);
    probe.terminate.data = &probe;
    uv_signal_start(&probe.terminate, on_terminate, SIGTERM);
    uv_run(&probe.loop, UV_RUN_DEFAULT);
    int left = uv_loop_close(&probe.loop);
    if (left != 0) {
        fprintf(stderr, "handles are left in the loop: %s\n", uv_strerror(left));
    }
    config_free(&probe.config);
    metrics_free();
    return left == 0 ? 0 : 1;
}

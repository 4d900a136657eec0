/* gateway.c: puts the gateway's parts together and takes them down again. Knows all of them and does none of their
 * work.
 */
#include "hub/gateway/gateway.h"

#include <mosquitto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "hub/base/clock.h"
#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/gateway/bundle.h"
#include "hub/gateway/connection.h"
#include "hub/gateway/dialects.h"
#include "hub/gateway/figures.h"
#include "hub/gateway/foreign.h"
#include "hub/gateway/gateway_routes.h"
#include "hub/gateway/json_push.h"
#include "hub/gateway/push.h"
#include "hub/gateway/upstream.h"
#include "hub/http/request.h"
#include "hub/http/server.h"
#include "hub/link/mqtt_login.h"

struct gateway {
    uv_loop_t loop;
    const struct config *config;
    struct upstream *upstream;
    struct dialects *dialects;
    struct bundles *bundles;
    struct connections *connections;
    struct push_desk *pushes;
    struct json_desk *json;
    struct foreign *foreign;
    struct server *server;
    struct server_source source;
    uv_signal_t terminate, interrupt;
    bool stopping;
};

static bool is_ready(void *user, struct words *why) {
    const struct gateway *gateway = user;
    if (gateway->stopping || !upstream_ready(gateway->upstream)) {
        bool stopping = gateway->stopping;
        words_set(why, stopping ? "网关正在停止" : "连接不上消息服务器",
                  stopping ? "the gateway is stopping" : "the broker is away");
        return false;
    }
    return true;
}

struct push_desk *push_desk_of(const struct request *request) {
    return ((const struct gateway *)request->service->source->user)->pushes;
}

struct json_desk *json_desk_of(const struct request *request) {
    return ((const struct gateway *)request->service->source->user)->json;
}

/* ---- down ---- */

static void pushes_close(void *user) {
    struct gateway *gateway = user;
    if (gateway->pushes != NULL) {
        push_desk_close(gateway->pushes, NULL, NULL);
    }
}

/* What waits for receipts is not answered: devices and vendors send it again. */
static void gateway_stop(struct gateway *gateway) {
    if (gateway->stopping) {
        return;
    }
    gateway->stopping = true;
    uv_close((uv_handle_t *)&gateway->terminate, NULL);
    uv_close((uv_handle_t *)&gateway->interrupt, NULL);
    if (gateway->server != NULL) {
        server_close(gateway->server, pushes_close, gateway);
    } else {
        pushes_close(gateway);
    }
    if (gateway->connections != NULL) {
        connections_close(gateway->connections, NULL, NULL);
    }
    if (gateway->foreign != NULL) {
        foreign_close(gateway->foreign, NULL, NULL);
    }
    if (gateway->bundles != NULL) {
        bundles_close(gateway->bundles, NULL, NULL);
    }
    if (gateway->upstream != NULL) {
        upstream_close(gateway->upstream, NULL, NULL); /* ends what is under way */
    }
}

static void on_signal(uv_signal_t *handle, int number) {
    log_info("stopping", "signal=%d", number);
    gateway_stop(handle->data);
}

/* ---- up ---- */

static void on_ready(void *user) {
    struct gateway *gateway = user;
    if (gateway->bundles != NULL) {
        bundles_wake(gateway->bundles);
    }
}

static void on_changed(void *user) {
    struct gateway *gateway = user;
    if (gateway->connections != NULL) {
        connections_settle(gateway->connections);
    }
}

static void on_tell(void *user, const cJSON *list) {
    struct gateway *gateway = user;
    if (gateway->connections != NULL && !gateway->stopping) {
        connections_tell(gateway->connections, list);
    }
}

/* Devices' side of it. */
static bool devices_open(struct gateway *gateway) {
    gateway->dialects = dialects_new(gateway->config->hub_data_dir);
    gateway->bundles =
        gateway->dialects == NULL ? NULL : bundles_open(&gateway->loop, gateway->config, gateway->upstream);
    const struct connections_parts parts = {.loop = &gateway->loop,
                                            .config = gateway->config,
                                            .upstream = gateway->upstream,
                                            .bundles = gateway->bundles,
                                            .dialects = gateway->dialects};
    gateway->connections = gateway->bundles == NULL ? NULL : connections_open(&parts);
    gateway->json = gateway->connections == NULL ? NULL : json_desk_new(&parts);
    gateway->foreign = gateway->json == NULL ? NULL : foreign_open(&parts, gateway->json);
    return gateway->foreign != NULL;
}

static bool gateway_open(struct gateway *gateway) {
    const struct upstream_events events = {.ready = on_ready, .changed = on_changed, .tell = on_tell, .user = gateway};
    if (!mqtt_is_5(gateway->config)) {
        log_error("gateway", "reason=\"[mqtt] protocol must be 5: receipts name messages only there\"");
        return false;
    }
    gateway->source = (struct server_source){.ready = is_ready, .user = gateway};
    gateway->upstream = upstream_open(&gateway->loop, gateway->config, &events);
    gateway->pushes = gateway->upstream == NULL ? NULL : push_desk_open(&gateway->loop, gateway->config);
    const struct server_settings settings = {.loop = &gateway->loop,
                                             .config = gateway->config,
                                             .source = &gateway->source,
                                             .routes = gateway_routes,
                                             .route_count = gateway_route_count};
    gateway->server = gateway->pushes == NULL ? NULL : server_open(&settings);
    return gateway->server != NULL && devices_open(gateway);
}

int gateway_run(const struct config *config) {
    struct gateway *gateway = calloc(1, sizeof *gateway);
    if (gateway == NULL || uv_loop_init(&gateway->loop) != 0) {
        free(gateway);
        log_error("out_of_memory", "what=gateway");
        return EXIT_FAILED;
    }
    mosquitto_lib_init();
    signal(SIGPIPE, SIG_IGN);
    gateway->config = config;
    figures.started_at_ms = clock_now_ms();
    uv_signal_init(&gateway->loop, &gateway->terminate);
    uv_signal_init(&gateway->loop, &gateway->interrupt);
    gateway->terminate.data = gateway->interrupt.data = gateway;
    uv_signal_start(&gateway->terminate, on_signal, SIGTERM);
    uv_signal_start(&gateway->interrupt, on_signal, SIGINT);
    log_info("starting", "version=%s instance=%s", CITYHUB_VERSION, config->hub_instance);
    int code = gateway_open(gateway) ? EXIT_DONE : EXIT_FAILED;
    if (code != EXIT_DONE) {
        gateway_stop(gateway);
    }
    uv_run(&gateway->loop, UV_RUN_DEFAULT);
    uv_loop_close(&gateway->loop);
    json_desk_free(gateway->json);
    dialects_free(gateway->dialects);
    free(gateway);
    metrics_free();
    mosquitto_lib_cleanup();
    return code;
}

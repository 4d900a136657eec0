/* serve.c: `cityhub serve`: puts the daemon's parts together, in the order in which they may start, and takes them down
 * again. Knows all parts and does none of their work. */
#include "hub/serve/serve.h"

#include <errno.h>
#include <mosquitto.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/clock.h"
#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/http/routes.h"
#include "hub/http/server.h"
#include "hub/ingest/lane.h"
#include "hub/live/feed_service.h"
#include "hub/live/point_load.h"
#include "hub/serve/gateways.h"
#include "hub/serve/jobs.h"
#include "hub/serve/loader.h"
#include "hub/serve/outbox.h"

enum { STOP_PATIENCE_MS = 10000, STOP_TICK_MS = 20, WATCH_MS = 500, CLOCK_JUMP_MS = 2000 };

struct hub {
    uv_loop_t loop;
    const struct config *config;
    struct world world;
    struct loader *loader;
    struct writer *writer;
    struct outbox *outbox;
    struct gateways *gateways;
    struct jobs *jobs;
    struct tiles *tiles;
    struct point_load *point_load;
    struct server *server;
    struct feed_service *live;
    struct server_source source;           /* the server's for as long as it runs */
    struct lane *lanes[METRICS_LANES_MAX]; /* NULL where one was drained */
    size_t lane_count, lanes_wanted;       /* wanted: configured ones, the first of `lanes` */
    const PGresult *strays; /* the loader's rows, while some of them are still to be opened and drained */
    uv_signal_t terminate, interrupt;
    uv_timer_t watch, stop_timer;
    int64_t listening_since_ms;
    int64_t clock_offset_ms; /* time of day - uv_now, when last looked at */
    uint64_t stop_at;
    bool loaded, stopping;
    int code;
};

/* ---- ready or not ---- */

static bool is_ready(void *user, struct words *why) {
    const struct hub *hub = user;
    if (hub->stopping) {
        words_set(why, "系统正在停止", "the hub is stopping");
    } else if (!loader_connected(hub->loader) || (hub->writer != NULL && !writer_connected(hub->writer))) {
        words_set(why, "连接不上数据库", "the database is away");
    } else if (!hub->loaded) {
        words_set(why, "正在载入台账", "the registry is being loaded");
    } else if (writer_trouble(hub->writer) != NULL) {
        words_set(why, "存不进数据：%s", "nothing can be stored: %s", writer_trouble(hub->writer));
    } else {
        for (size_t i = 0; i < hub->lanes_wanted; i++) {
            if (!lane_connected(hub->lanes[i])) {
                lane_trouble(hub->lanes[i], why);
                return false;
            }
        }
        return true;
    }
    return false;
}

static void strays_open(struct hub *hub);

/* When the time of day is set, or the machine has slept, every device looks silent for as long as that: listening
 * begins anew, so that nobody is called silent who was not given the time to speak. */
static void watch_clock(struct hub *hub) {
    int64_t offset_ms = clock_now_ms() - (int64_t)uv_now(&hub->loop);
    int64_t jump_ms = hub->clock_offset_ms == 0 ? 0 : offset_ms - hub->clock_offset_ms;
    hub->clock_offset_ms = offset_ms;
    if (jump_ms > CLOCK_JUMP_MS || jump_ms < -CLOCK_JUMP_MS) {
        log_warning("clock_jump", "seconds=%.3f", (double)jump_ms / 1000);
        feed_lost(hub->world.feed, FEED_ALL); /* times of states that were ahead of it have given way */
        hub->listening_since_ms = 0;
    }
}

static void watch_over(uv_timer_t *timer) {
    struct hub *hub = timer->data;
    struct words why;
    watch_clock(hub);
    if (hub->strays != NULL && !hub->stopping) {
        strays_open(hub);
    }
    if (!is_ready(hub, &why)) {
        hub->listening_since_ms = 0;
    } else if (hub->listening_since_ms == 0) {
        hub->listening_since_ms = clock_now_ms();
        log_info("ready", "lanes=%zu devices=%zu", hub->lanes_wanted, registry_device_count(hub->world.registry));
    }
}

static int64_t listening_since(void *user) {
    return ((const struct hub *)user)->listening_since_ms;
}

static void partitions_dropped(void *user) {
    struct hub *hub = user;
    writer_forget_partitions(hub->writer);
    loader_days_due(hub->loader);
}

static void outbox_written(void *user) {
    struct hub *hub = user;
    if (hub->outbox != NULL) {
        outbox_poke(hub->outbox);
    }
}

/* ---- down ---- */

static void hub_close(struct hub *hub) {
    uv_close((uv_handle_t *)&hub->stop_timer, NULL);
    uv_close((uv_handle_t *)&hub->watch, NULL);
    uv_close((uv_handle_t *)&hub->terminate, NULL);
    uv_close((uv_handle_t *)&hub->interrupt, NULL);
    if (hub->server != NULL) {
        server_close(hub->server, NULL, NULL);
    }
    if (hub->live != NULL) {
        feed_service_close(hub->live, NULL, NULL);
    }
    /* The writer first: it lets go of the lanes' batches. */
    if (hub->writer != NULL) {
        writer_close(hub->writer, NULL, NULL);
    }
    for (size_t i = 0; i < hub->lane_count; i++) {
        if (hub->lanes[i] != NULL) {
            lane_close(hub->lanes[i], NULL, NULL);
        }
    }
    if (hub->outbox != NULL) {
        outbox_close(hub->outbox, NULL, NULL);
    }
    if (hub->jobs != NULL) {
        jobs_close(hub->jobs, gateways_close, hub->gateways);
    } else if (hub->gateways != NULL) {
        gateways_close(hub->gateways);
    }
    if (hub->point_load != NULL) {
        point_load_close(hub->point_load, NULL, NULL);
    }
    if (hub->loader != NULL) {
        loader_close(hub->loader, NULL, NULL);
    }
}

static void stop_tick(uv_timer_t *timer) {
    struct hub *hub = timer->data;
    bool idle = true;
    for (size_t i = 0; i < hub->lane_count; i++) {
        idle = idle && (hub->lanes[i] == NULL || lane_idle(hub->lanes[i]));
    }
    if (idle || uv_now(&hub->loop) >= hub->stop_at) {
        log_info("stopped", "committed=%s", idle ? "all" : "\"not all: what is not comes again\"");
        uv_timer_stop(timer);
        hub_close(hub);
    }
}

static void hub_stop(struct hub *hub) {
    if (hub->stopping) {
        return;
    }
    hub->stopping = true;
    for (size_t i = 0; i < hub->lane_count; i++) {
        if (hub->lanes[i] != NULL) {
            lane_stop(hub->lanes[i]);
        }
    }
    hub->stop_at = uv_now(&hub->loop) + STOP_PATIENCE_MS;
    uv_timer_start(&hub->stop_timer, stop_tick, 0, STOP_TICK_MS);
}

static void on_signal(uv_signal_t *handle, int number) {
    log_info("stopping", "signal=%d", number);
    hub_stop(handle->data);
}

/* ---- up ---- */

static void fail(struct hub *hub) {
    hub->code = EXIT_FAILED;
    hub_stop(hub);
}

/* Lanes go on whose subsystem has no session of an earlier configuration any more. */
static void lanes_go_on(struct hub *hub) {
    for (size_t i = 0; i < hub->lanes_wanted; i++) {
        size_t stray = hub->lanes_wanted;
        while (stray < hub->lane_count &&
               (hub->lanes[stray] == NULL || lane_adapter(hub->lanes[stray]) != lane_adapter(hub->lanes[i]))) {
            stray++;
        }
        if (stray == hub->lane_count) {
            lane_go_on(hub->lanes[i]);
        }
    }
}

static void on_drained(void *user, const char *client_id) {
    struct hub *hub = user;
    for (size_t i = hub->lanes_wanted; i < hub->lane_count; i++) {
        if (hub->lanes[i] != NULL && strcmp(lane_client_id(hub->lanes[i]), client_id) == 0) {
            log_info("lane_drained", "lane=%s", lane_name(hub->lanes[i]));
            loader_forget_lane(hub->loader, client_id);
            lane_close(hub->lanes[i], NULL, NULL);
            hub->lanes[i] = NULL;
            lanes_go_on(hub);
            return;
        }
    }
}

static void on_message_refused(void *user) {
    loader_conditions_due(((struct hub *)user)->loader);
}

/* A row of onemap.lanes_open(); `waits` as in lane_settings. One with another secret than ours may have the number of
 * one of ours: its row makes its name another. */
static bool lane_add(struct hub *hub, const PGresult *rows, int row, bool waits) {
    bool wanted = *PQgetvalue(rows, row, LANE_WANTED) == 't';
    bool same_secret = strcmp(PQgetvalue(rows, row, LANE_SECRET), PQgetvalue(rows, 0, LANE_SECRET)) == 0;
    const struct adapter *adapter = adapter_find(PQgetvalue(rows, row, LANE_SUBSYSTEM));
    char label[64];
    int at = snprintf(label, sizeof label, "%s-%s", PQgetvalue(rows, row, LANE_SUBSYSTEM),
                      PQgetvalue(rows, row, LANE_NUMBER));
    if (!same_secret) {
        snprintf(label + at, sizeof label - (size_t)at, "-old%d", row);
    }
    struct lane_settings settings = {.loop = &hub->loop,
                                     .world = &hub->world,
                                     .writer = hub->writer,
                                     .adapter = adapter,
                                     .label = label,
                                     .client_id = PQgetvalue(rows, row, LANE_CLIENT_ID),
                                     .secret = PQgetvalue(rows, row, LANE_SECRET),
                                     .waits = waits,
                                     .draining = !wanted,
                                     .drained = on_drained,
                                     .refused = on_message_refused,
                                     .deliveries = loader_deliveries(hub->loader),
                                     .user = hub};
    settings.of = adapter == NULL ? 0 : config_lanes(hub->config, adapter->key);
    struct lane *lane = adapter == NULL || hub->lane_count == METRICS_LANES_MAX ? NULL : lane_open(&settings);
    if (lane == NULL) {
        log_error(wanted ? "lane" : "lane_stray", "lane=%s reason=\"cannot be opened\"", label);
        return false;
    }
    hub->lanes[hub->lane_count++] = lane;
    return true;
}

static bool has_stray(const PGresult *rows, const char *subsystem) {
    for (int row = 0; row < PQntuples(rows); row++) {
        if (*PQgetvalue(rows, row, LANE_WANTED) != 't' &&
            strcmp(PQgetvalue(rows, row, LANE_SUBSYSTEM), subsystem) == 0) {
            return true;
        }
    }
    return false;
}

static void warn_of_sharing(const struct hub *hub) {
    for (size_t i = 0; i < adapter_count; i++) {
        int lanes = config_lanes(hub->config, adapters[i]->key);
        if (lanes > 1) {
            log_warning("lane_shared", "subsystem=%s lanes=%d advice=%s", adapters[i]->key, lanes,
                        log_quote("mosquitto 2.0 forgets shared subscriptions when it restarts: messages that come "
                                  "before the lanes are back are lost; see docs/delivery.md"));
        }
    }
}

/* Those that are wanted; then, when these have subscribed and nothing is missed any more, the strays. */
static bool lanes_open(struct hub *hub, const PGresult *rows) {
    warn_of_sharing(hub);
    for (int row = 0; row < PQntuples(rows) && *PQgetvalue(rows, row, LANE_WANTED) == 't'; row++) {
        if (!lane_add(hub, rows, row, has_stray(rows, PQgetvalue(rows, row, LANE_SUBSYSTEM)))) {
            return false;
        }
    }
    hub->lanes_wanted = hub->lane_count;
    if (hub->lane_count < (size_t)PQntuples(rows)) {
        hub->strays = rows;
    } else {
        loader_deliveries_taken(hub->loader);
    }
    return true;
}

static void strays_open(struct hub *hub) {
    for (size_t i = 0; i < hub->lanes_wanted; i++) {
        if (!lane_connected(hub->lanes[i])) {
            return;
        }
    }
    for (int row = (int)hub->lanes_wanted; row < PQntuples(hub->strays); row++) {
        lane_add(hub, hub->strays, row, false);
    }
    hub->strays = NULL;
    loader_deliveries_taken(hub->loader);
    lanes_go_on(hub);
}

static void on_loaded(void *user, const PGresult *lanes) {
    struct hub *hub = user;
    if (hub->stopping) {
        return;
    }
    hub->writer = writer_open(&hub->loop, hub->config, outbox_written, hub);
    hub->outbox = hub->writer == NULL ? NULL : outbox_open(&hub->loop, hub->config);
    hub->gateways = hub->outbox == NULL ? NULL : gateways_open(&hub->loop, hub->config);
    struct jobs_handlers handlers = {.listening_since_ms = listening_since,
                                     .partitions_dropped = partitions_dropped,
                                     .gateways = hub->gateways,
                                     .user = hub};
    hub->jobs = hub->gateways == NULL ? NULL : jobs_open(&hub->loop, &hub->world, &handlers);
    /* Behind the loader: it has brought device_state up to date. */
    hub->point_load = hub->jobs == NULL ? NULL : point_load_open(&hub->loop, hub->config, hub->tiles);
    if (hub->point_load == NULL || !lanes_open(hub, lanes)) {
        fail(hub);
        return;
    }
    hub->loaded = true;
    hub->source.live = hub->live; /* what device_state lacked is caught up with */
}

static void on_refused(void *user) {
    fail(user);
}

static bool hub_open(struct hub *hub) {
    struct loader_handlers handlers = {.loaded = on_loaded, .refused = on_refused, .user = hub};
    hub->tiles = tiles_new(hub->config->time_max_ahead_s * 1000);
    hub->source = (struct server_source){.ready = is_ready, .tiles = hub->tiles, .user = hub};
    hub->world = (struct world){.config = hub->config,
                                .registry = registry_new(),
                                .alarms = alarms_new(),
                                .states = states_new(),
                                .plausible = plausible_new(),
                                .rollups = rollups_new(),
                                .days = calloc(1, sizeof(struct days)),
                                .feed = feed_new((uint64_t)clock_now_us()),
                                .points = hub->tiles == NULL ? NULL : hub->tiles->points};
    if (hub->world.registry == NULL || hub->world.alarms == NULL || hub->world.states == NULL ||
        hub->world.plausible == NULL || hub->world.rollups == NULL || hub->world.days == NULL ||
        hub->world.feed == NULL || hub->tiles == NULL) {
        log_error("out_of_memory", "what=hub");
        return false;
    }
    tiles_tell(hub->tiles, hub->world.feed);
    hub_metrics.started_at_ms = clock_now_ms();
    hub->loader = loader_open(&hub->loop, &hub->world, &handlers);
    hub->live = feed_service_open(&hub->loop, &hub->world);
    size_t route_count;
    const struct route *routes = routes_all(&route_count);
    const struct server_settings settings = {.loop = &hub->loop,
                                             .config = hub->config,
                                             .source = &hub->source,
                                             .routes = routes,
                                             .route_count = route_count};
    hub->server = hub->loader == NULL || hub->live == NULL ? NULL : server_open(&settings);
    return hub->server != NULL;
}

static void hub_free(struct hub *hub) {
    alarms_free(hub->world.alarms);
    states_free(hub->world.states);
    rollups_free(hub->world.rollups);
    plausible_free(hub->world.plausible);
    free(hub->world.days);
    feed_free(hub->world.feed);
    registry_free(hub->world.registry);
    tiles_free(hub->tiles);
    metrics_free();
}

static bool adapters_fit(void) {
    for (size_t i = 0; i < adapter_count; i++) {
        char reason[DECODE_REASON_MAX];
        if (decode_check_adapter(adapters[i], reason, sizeof reason) != 0) {
            log_error("adapter", "reason=%s", log_quote(reason));
            return false;
        }
    }
    return true;
}

int serve_run(const struct config *config) {
    struct hub *hub = calloc(1, sizeof *hub);
    if (hub == NULL || uv_loop_init(&hub->loop) != 0) {
        free(hub);
        log_error("out_of_memory", "what=hub");
        return EXIT_FAILED;
    }
    mosquitto_lib_init();
    signal(SIGPIPE, SIG_IGN);
    hub->config = config;
    hub->code = EXIT_DONE;
    uv_signal_init(&hub->loop, &hub->terminate);
    uv_signal_init(&hub->loop, &hub->interrupt);
    uv_timer_init(&hub->loop, &hub->watch);
    uv_timer_init(&hub->loop, &hub->stop_timer);
    hub->terminate.data = hub->interrupt.data = hub->watch.data = hub->stop_timer.data = hub;
    uv_signal_start(&hub->terminate, on_signal, SIGTERM);
    uv_signal_start(&hub->interrupt, on_signal, SIGINT);
    uv_timer_start(&hub->watch, watch_over, 0, WATCH_MS);
    log_info("starting", "version=%s instance=%s", CITYHUB_VERSION, config->hub_instance);
    if (!adapters_fit() || !hub_open(hub)) {
        fail(hub);
    }
    uv_run(&hub->loop, UV_RUN_DEFAULT);
    uv_loop_close(&hub->loop);
    int code = hub->code;
    hub_free(hub);
    free(hub);
    mosquitto_lib_cleanup();
    return code;
}

/* feed_service.c: the clock of the live stream. Its timer runs only while somebody listens, or did a short time ago. */
#include "hub/live/feed_service.h"

#include <stdlib.h>

#include "hub/base/closing.h"
#include "hub/base/log.h"
#include "hub/live/feed_source.h"

struct feed_service {
    uv_loop_t *loop;
    const struct world *world;
    struct feed_clients *clients;
    uv_timer_t timer;
    struct closing closing;
};

static void note(void *user, struct device *device, const struct record *record, int64_t received_at_ms) {
    feed_record(user, device, record, received_at_ms);
}

/* What the database does not have yet of what was committed is told; all else is there. */
static void on_started(void *user) {
    const struct feed_service *service = user;
    struct feed *feed = service->world->feed;
    uint64_t before = feed_head(feed);
    states_each(service->world->states, note, feed);
    feed_settled(feed, before);
}

static void on_turn(uv_timer_t *timer) {
    struct feed_service *service = timer->data;
    uint64_t wait_ms = feed_clients_turn(service->clients, uv_now(service->loop));
    if (feed_clients_active(service->clients)) {
        uv_timer_start(timer, on_turn, wait_ms, 0);
    }
}

struct feed_service *feed_service_open(uv_loop_t *loop, const struct world *world) {
    struct feed_service *service = calloc(1, sizeof *service);
    if (service != NULL) {
        service->loop = loop;
        service->world = world;
        service->clients = feed_clients_new(world->feed, (size_t)config_streams(world->config),
                                            (uint64_t)world->config->http_stream_mb_s * 1000000, on_started, service);
    }
    if (service == NULL || service->clients == NULL) {
        free(service);
        log_error("out_of_memory", "what=feed_service");
        return NULL;
    }
    uv_timer_init(loop, &service->timer);
    service->timer.data = service;
    return service;
}

static void service_free(void *part) {
    struct feed_service *service = part;
    feed_clients_free(service->clients);
    free(service);
}

void feed_service_close(struct feed_service *service, void (*closed)(void *user), void *user) {
    closing_begin(&service->closing, service_free, service, closed, user);
    closing_handle(&service->closing, (uv_handle_t *)&service->timer);
}

bool feed_service_full(const struct feed_service *service) {
    return feed_clients_full(service->clients);
}

struct feed_client *feed_service_add(struct feed_service *service, struct feed_filter *filter,
                                     const struct feed_position *resume, const char *snapshot, size_t snapshot_length,
                                     void (*wake)(void *user), void *user) {
    uint64_t now = uv_now(service->loop);
    struct feed_client *client = feed_client_add(service->clients, filter, resume, now, wake, user);
    if (client != NULL) {
        feed_source_begin(service->world->feed, snapshot, snapshot_length, now);
        if (!uv_is_active((uv_handle_t *)&service->timer)) {
            uv_timer_start(&service->timer, on_turn, FEED_TURN_MS, 0);
        }
    }
    return client;
}

void feed_service_remove(struct feed_service *service, struct feed_client *client) {
    feed_client_remove(client, uv_now(service->loop));
}

ssize_t feed_service_pull(struct feed_service *service, struct feed_client *client, char *room, size_t size) {
    return feed_client_pull(client, room, size, uv_now(service->loop));
}

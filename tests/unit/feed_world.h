/* feed_world.h: the live stream without a network, for its tests: a feed, clients that keep what they read, and the
 * test's clock. */
#ifndef CITYHUB_FEED_WORLD_H
#define CITYHUB_FEED_WORLD_H

#include "rows.h"

#include <cjson/cJSON.h>
#include <stdio.h>

#include "hub/base/error.h"
#include "hub/base/metrics.h"
#include "hub/live/feed_client.h"
#include "hub/live/feed_internal.h"
#include "hub/live/feed_source.h"

enum { EPOCH = 0xabc, T0 = 1700000000, MOST = 3, BYTES_S = 1000000 };
#define T0_MS (INT64_C(1000) * T0)

struct world {
    struct registry *registry;
    struct feed *feed;
    struct feed_clients *clients;
    struct vendor *dust, *trucks;
    uint64_t now;
    int started;
};

/* A client that keeps what it reads. */
struct listener {
    struct world *world;
    struct feed_client *client;
    struct buffer read; /* since `since` */
    int woken;
};

static inline void on_started(void *user) {
    struct world *world = user;
    world->started++;
    feed_settled(world->feed, feed_head(world->feed));
}

static inline int begin(void **state) {
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    hub_metrics = (struct hub_metrics){0};
    world->registry = registry_new();
    PGresult *rows = ROWS(5, "dust", "acme", "f", "t", "f", "construction_waste", "acme", "f", "t", "f");
    assert_int_equal(registry_take_vendors(world->registry, rows), 0);
    PQclear(rows);
    world->dust = registry_vendor(world->registry, "dust", "acme");
    world->trucks = registry_vendor(world->registry, "construction_waste", "acme");
    world->feed = feed_new(EPOCH);
    world->clients = feed_clients_new(world->feed, MOST, BYTES_S, on_started, world);
    assert_non_null(world->clients);
    *state = world;
    return 0;
}

static inline int end(void **state) {
    struct world *world = *state;
    feed_clients_free(world->clients);
    feed_free(world->feed);
    registry_free(world->registry);
    assert_int_equal(hub_metrics.stream_clients, 0);
    assert_int_equal(hub_metrics.stream_filters, 0);
    free(world);
    return 0;
}

static inline struct device *device_of(struct vendor *vendor, int id, int department) {
    char code[16];
    snprintf(code, sizeof code, "D-%d", id);
    struct device *device = vendor_device_add(vendor, code, strlen(code));
    assert_non_null(device);
    device->id = id;
    device->registered = true;
    device->department = department;
    return device;
}

/* A record of one reading, `at_s` after T0. */
static inline void commit(struct world *world, struct device *device, int at_s, int ordinal, double value) {
    struct record record = {.observed_at_ms = T0_MS + at_s * 1000, .present = UINT64_C(1) << (ordinal - 1)};
    record.values[ordinal - 1] = value;
    feed_record(world->feed, device, &record, T0_MS + at_s * 1000 + 500);
}

static inline void move(struct world *world, struct device *device, int at_s, double lon, double lat) {
    struct record record = {.observed_at_ms = T0_MS + at_s * 1000, .has_position = true, .lon = lon, .lat = lat};
    feed_record(world->feed, device, &record, T0_MS + at_s * 1000 + 500);
}

static inline void text(struct world *world, enum feed_layer layer, int64_t id, int department, const char *json) {
    const struct feed_where where = {.subsystem = 0, .department = department};
    feed_text(world->feed, layer, id, &where, json, strlen(json));
}

static inline void on_wake(void *user) {
    ((struct listener *)user)->woken++;
}

static inline void listen_as(struct world *world, struct listener *listener, const char *layers, const char *box,
                             const char *departments, const struct feed_position *resume) {
    struct feed_filter filter = {0};
    assert_int_equal(feed_filter_layers(&filter, layers), 0);
    assert_int_equal(feed_filter_departments(&filter, departments), 0);
    if (box != NULL) {
        assert_int_equal(feed_filter_box(&filter, box), 0);
    }
    *listener = (struct listener){.world = world};
    listener->client = feed_client_add(world->clients, &filter, resume, world->now, on_wake, listener);
    assert_non_null(listener->client);
}

/* Takes what is there, `most` bytes at the most, in pieces of 100. The new text alone is returned. */
static inline const char *take_some(struct listener *listener, size_t most) {
    listener->read.length = 0;
    for (ssize_t got = 1; got > 0 && listener->read.length < most;) {
        char room[100];
        size_t size = most - listener->read.length < sizeof room ? most - listener->read.length : sizeof room;
        got = feed_client_pull(listener->client, room, size, listener->world->now);
        assert_true(got >= 0 && got <= (ssize_t)size);
        buffer_bytes(&listener->read, room, (size_t)got);
    }
    listener->woken = 0;
    return buffer_string(&listener->read);
}

static inline const char *take(struct listener *listener) {
    return take_some(listener, SIZE_MAX);
}

static inline void leave(struct listener *listener) {
    feed_client_remove(listener->client, listener->world->now);
    buffer_free(&listener->read);
}

static inline void turn(struct world *world) {
    world->now += FEED_TURN_MS;
    for (int i = 0; i < MOST; i++) { /* until all of them have been woken */
        feed_clients_turn(world->clients, world->now);
    }
}

static inline void shows(const char *text, const char *part) {
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" is not in: %s", part, text);
    }
}

static inline void hides(const char *text, const char *part) {
    if (strstr(text, part) != NULL) {
        fail_msg("\"%s\" is in: %s", part, text);
    }
}

/* The position of the last id in what was read. */
static inline struct feed_position position_in(const char *text) {
    struct feed_position position = {0};
    const char *last = NULL;
    for (const char *at = text; (at = strstr(at, "\nid: ")) != NULL; at++) {
        last = at + 5;
    }
    assert_non_null(last);
    char line[FEED_POSITION_BYTES] = "";
    memcpy(line, last, strcspn(last, "\n"));
    assert_int_equal(feed_position_parse(line, &position), 0);
    return position;
}

#define FEED_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

#endif

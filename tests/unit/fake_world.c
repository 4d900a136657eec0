/* fake_world.c: the world of a lane and a writer, for tests. */
#include "fake_world.h"

#include "hub/live/feed.h"

#include "rows.h"

static void read_vendors(struct fake_world *world) {
    PGresult *rows = ROWS(5, FAKE_SUBSYSTEM, "acme", "f", "t", "f", FAKE_SUBSYSTEM, "quiet", "f", "f", "f",
                          FAKE_SUBSYSTEM, "strict", "t", "t", "f", FAKE_SUBSYSTEM, "gone", "f", "t", "t");
    assert_int_equal(registry_take_vendors(world->world.registry, rows), 0);
    PQclear(rows);
    world->acme = registry_vendor(world->world.registry, FAKE_SUBSYSTEM, "acme");
    world->quiet = registry_vendor(world->world.registry, FAKE_SUBSYSTEM, "quiet");
    world->strict = registry_vendor(world->world.registry, FAKE_SUBSYSTEM, "strict");
    world->gone = registry_vendor(world->world.registry, FAKE_SUBSYSTEM, "gone");
    world->adapter = world->acme->adapter;
    rows = ROWS(11, "7", FAKE_SUBSYSTEM, "1", NULL, "above", "80", "70", "0", NULL, NULL, "28800");
    assert_int_equal(alarms_take_rules(world->world.alarms, rows), 0);
    PQclear(rows);
}

int fake_world_begin(void **state) {
    struct fake_world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    fake_loop_begin(&world->loop);
    hub_metrics = (struct hub_metrics){0};
    assert_int_equal(config_load(&world->config, "/dev/null", stderr), 0);
    world->world = (struct world){.config = &world->config,
                                  .registry = registry_new(),
                                  .alarms = alarms_new(),
                                  .states = states_new(),
                                  .plausible = plausible_new(),
                                  .rollups = rollups_new(),
                                  .days = calloc(1, sizeof(struct days)),
                                  .feed = feed_new(1)};
    assert_non_null(world->world.days);
    assert_non_null(world->world.feed);
    read_vendors(world);
    world->metrics = metrics_lane_add(FAKE_SUBSYSTEM "-1", FAKE_SUBSYSTEM);
    assert_non_null(world->metrics);
    *state = world;
    return 0;
}

int fake_world_end(void **state) {
    struct fake_world *world = *state;
    fake_loop_end(&world->loop);
    alarms_free(world->world.alarms);
    states_free(world->world.states);
    rollups_free(world->world.rollups);
    plausible_free(world->world.plausible);
    free(world->world.days);
    feed_free(world->world.feed);
    registry_free(world->world.registry);
    config_free(&world->config);
    metrics_free();
    free(world);
    return 0;
}

struct device *fake_world_device(struct fake_world *world, const char *code, int id) {
    struct device *device = vendor_device_add(world->acme, code, strlen(code));
    assert_non_null(device);
    device->id = id;
    device->registered = id != 0;
    return device;
}

struct batch_message *fake_world_message(struct fake_world *world, struct batch *batch, const char *name) {
    size_t vendor = batch_keep_text(batch, "acme", strlen("acme"));
    size_t kind = batch_keep_text(batch, "telemetry", strlen("telemetry"));
    size_t kept = batch_keep_text(batch, name, strlen(name));
    struct batch_message *message = batch_message_add(batch);
    assert_non_null(message);
    batch->metrics = world->metrics;
    message->adapter = world->adapter;
    message->vendor = world->acme;
    message->vendor_name = vendor;
    message->kind = kind;
    message->topic = message->name = message->payload = kept;
    message->payload_length = strlen(name);
    message->received_at_ms = FAKE_NOW_MS;
    return message;
}

static int note(void *user, const struct alarm_operation *operation) {
    return batch_operation_add(user, operation);
}

void fake_world_record(struct fake_world *world, struct batch *batch, struct device *device, int64_t at_ms,
                       double value) {
    struct record record = {.observed_at_ms = at_ms, .present = UINT64_C(1) << (FAKE_SPEED - 1)};
    struct batch_message *message = &batch->messages[batch->message_count - 1];
    record.values[FAKE_SPEED - 1] = value;
    batch_row_add(batch, device, &record, NULL, 0);
    assert_int_equal(alarms_judge(world->world.alarms, device, &record, note, batch), 0);
    message->total++;
    message->fates[FATE_STORED] = message->row_count;
    batch->records++;
}

struct slice fake_world_slice(struct batch *batch, size_t first, size_t last) {
    return (struct slice){.batch = batch, .first = first, .last = last, .stamp_us = FAKE_NOW_MS * 1000};
}

/* fake_world.h: what a lane and a writer work with, made without a database: a loop, a configuration, vendors of
 * construction_waste (mobile devices, texts, a check), one alarm rule, and batches made by hand. */
#ifndef CITYHUB_TEST_FAKE_WORLD_H
#define CITYHUB_TEST_FAKE_WORLD_H

#include "fake_loop.h"
#include "hub/know/world.h"
#include "hub/store/batch.h"
#include "hub/store/slice.h"

#define FAKE_SUBSYSTEM "construction_waste"

enum { FAKE_SPEED = 1, FAKE_BED_LIFTED = 6, FAKE_PLATE = 10, FAKE_RULE = 7 }; /* ordinals; an alarm above 80 km/h */

struct fake_world {
    uv_loop_t loop;
    struct config config;
    struct world world;
    const struct adapter *adapter;
    struct vendor *acme;   /* registers unknown devices, a receipt for every message */
    struct vendor *quiet;  /* receipts for problems alone */
    struct vendor *strict; /* its unknown devices go to quarantine */
    struct vendor *gone;   /* revoked */
    struct lane_metrics *metrics;
};

/* For cmocka: *state is the world. */
int fake_world_begin(void **state);
int fake_world_end(void **state);
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, fake_world_begin, fake_world_end)

/* A device of acme; id 0 = not registered. */
struct device *fake_world_device(struct fake_world *world, const char *code, int id);

/* A message of acme named `name`, with a payload of the same text. */
struct batch_message *fake_world_message(struct fake_world *world, struct batch *batch, const char *name);
/* A record of the last message: the row, and what alarms make of it. Speed is `value`. */
void fake_world_record(struct fake_world *world, struct batch *batch, struct device *device, int64_t at_ms,
                       double value);
struct slice fake_world_slice(struct batch *batch, size_t first, size_t last);

#endif

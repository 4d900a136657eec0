/* test_feed.c: what of the changes who is told, how often, and from where on. */
#include "feed_world.h"

/* ---- ids ---- */

static void test_positions(void **state) {
    (void)state;
    char text[FEED_POSITION_BYTES];
    static const struct {
        struct feed_position position;
        const char *text;
    } right[] = {{{.epoch = UINT64_MAX, .at = UINT64_MAX}, "ffffffffffffffff-18446744073709551615"},
                 {{.epoch = UINT64_MAX, .at = UINT64_MAX, .scope = UINT32_MAX},
                  "ffffffffffffffff-18446744073709551615-ffffffff"},
                 {{.epoch = 1, .at = 0, .scope = 1}, "0000000000000001-0-00000001"}};
    struct feed_position read;
    for (size_t i = 0; i < COUNT_OF(right); i++) {
        feed_position_text(&right[i].position, text);
        assert_string_equal(text, right[i].text);
        assert_int_equal(feed_position_parse(text, &read), 0);
        assert_true(read.epoch == right[i].position.epoch && read.at == right[i].position.at &&
                    read.scope == right[i].position.scope);
    }
    static const char *const wrong[] = {"",
                                        "1",
                                        "0000000000000abc",
                                        "0000000000000abc-",
                                        "0000000000000abc--1",
                                        "0000000000000abc-+1",
                                        "0000000000000abc- 1",
                                        "0000000000000abc-01",
                                        "0000000000000abc-1x",
                                        "0000000000000abc-1-",
                                        "0000000000000abc-1-00000000",
                                        "0000000000000abc-1-1",
                                        "0000000000000abc-1-0000000A",
                                        "0000000000000abc-1-0x000001",
                                        "0000000000000abc-1-100000001",
                                        "0000000000000abc-1-00000001-1",
                                        "0000000000000abc-18446744073709551616",
                                        "0000000000000ABC-1",
                                        "00000000000000abc-1",
                                        "000000000000abc-1",
                                        "0x00000000000abc-1"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_int_equal(feed_position_parse(wrong[i], &read), CH_EINVAL);
    }
}

/* ---- filters ---- */

static void test_filters_read(void **state) {
    (void)state;
    struct feed_filter filter = {0}, other = {0};
    assert_int_equal(feed_filter_layers(&filter, ""), 0);
    assert_int_equal(filter.layers, FEED_ALL);
    assert_int_equal(feed_filter_layers(&filter, "case,state"), 0);
    assert_int_equal(filter.layers, 1 << FEED_CASE | 1 << FEED_STATE);
    static const char *const words[] = {"states", "state,", ",state", "state,,case", "state case", "x"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        assert_int_equal(feed_filter_layers(&other, words[i]), CH_EINVAL);
        assert_int_equal(feed_filter_subsystems(&other, words[i]), CH_EINVAL);
    }
    assert_int_equal(feed_filter_subsystems(&filter, "gas,dust"), 0);
    assert_int_equal(__builtin_popcountll(filter.subsystems), 2);
    static const char *const boxes[] = {"",        "1,2,3",  "1,2,3,4,5", "1,2,3,4,",    "a,2,3,4",     "1,2,3,nan",
                                        "1;2;3;4", "1,2,,4", "181,2,3,4", "1,2,3,-90.1", "1,1e308,3,4", "1,2,inf,4"};
    for (size_t i = 0; i < COUNT_OF(boxes); i++) {
        assert_int_equal(feed_filter_box(&other, boxes[i]), CH_EINVAL);
    }
    static const char *const ids[] = {"0", "-1", "1,", ",1", "1,,2", "x", "1 2", "2147483648", "99999999999999999999"};
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        struct feed_filter bad = {0};
        assert_int_equal(feed_filter_departments(&bad, ids[i]), CH_EINVAL);
        feed_filter_free(&bad);
    }
    assert_int_equal(feed_filter_box(&filter, "113.5,-1e1,114,35"), 0);
    assert_true(filter.west == 113.5 && filter.south == -10 && filter.east == 114 && filter.north == 35);
    assert_int_equal(feed_filter_departments(&filter, "30,4,7"), 0);
    assert_true(filter.limited && filter.department_count == 3 && filter.departments[0] == 4);
    other = (struct feed_filter){0};
    assert_int_equal(feed_filter_layers(&other, "state,case"), 0);
    assert_int_equal(feed_filter_subsystems(&other, "dust,gas"), 0);
    assert_int_equal(feed_filter_box(&other, "113.5,-10,114,35"), 0);
    assert_int_equal(feed_filter_departments(&other, "4,7,30"), 0);
    assert_true(feed_filter_equal(&filter, &other));
    other.departments[1] = 8;
    assert_false(feed_filter_equal(&filter, &other));
    feed_filter_free(&filter);
    feed_filter_free(&other);
}

/* ---- events ---- */

static void test_state_event(void **state) {
    struct world *world = *state;
    struct device *device = device_of(world->dust, 7, 0);
    struct listener all;
    listen_as(world, &all, "", NULL, NULL, NULL);
    assert_int_equal(world->started, 1);
    assert_string_equal(take(&all), "retry: 2000\nevent: snapshot\ndata: {\"position\":\"0000000000000abc-0\"}\n"
                                    "id: 0000000000000abc-0\n\n");
    commit(world, device, 10, 1, 35.5);
    commit(world, device, 11, 2, -0.25);
    commit(world, device, 9, 1, 1000); /* older: not a word of it */
    struct record bad = {.observed_at_ms = T0_MS + 11000, .present = 4, .quality = 4, .values = {0, 0, 1e300}};
    feed_record(world->feed, device, &bad, T0_MS + 12000);
    assert_string_equal(take(&all), ""); /* before the turn nobody is told */
    assert_int_equal(all.woken, 0);
    turn(world);
    assert_int_equal(all.woken, 1);
    const char *read = take(&all);
    const char *keys[3];
    for (int i = 0; i < 3; i++) {
        keys[i] = world->dust->adapter->metrics[i].key;
    }
    char expected[1024];
    snprintf(expected, sizeof expected,
             "event: state\ndata: [{\"id\":7,\"subsystem\":\"dust\",\"online\":true,\"last_seen_at_ms\":1700000012000,"
             "\"observed_at_ms\":1700000011000,\"values\":{\"%s\":35.5,\"%s\":-0.25,\"%s\":%.17g},"
             "\"times\":{\"%s\":1700000010000},\"out_of_range\":[\"%s\"]}]\nid: 0000000000000abc-4\n\n",
             keys[0], keys[1], keys[2], 1e300, keys[0], keys[2]);
    assert_string_equal(read, expected);
    assert_int_equal(hub_metrics.stream_events, 1);
    assert_int_equal(hub_metrics.stream_coalesced, 3);
    turn(world);
    assert_int_equal(all.woken, 0);
    leave(&all);
}

static void test_numbers(void **state) {
    struct world *world = *state;
    static const double values[] = {0,       -0.0,    1,
                                    -1,      0.001,   -0.001,
                                    0.1,     100,     1234567.891,
                                    1e12,    1e15,    -123456789012.5,
                                    1.0 / 3, 5e-324,  1.7976931348623157e308,
                                    0.0005,  99.9995, 2.675};
    struct device *device = device_of(world->dust, 1, 0);
    struct listener all;
    listen_as(world, &all, "state", NULL, NULL, NULL);
    take(&all);
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        commit(world, device, (int)i, 1, values[i]);
        turn(world);
        const char *data = strstr(take(&all), "data: ");
        assert_non_null(data);
        char line[512] = "";
        memcpy(line, data + 6, strcspn(data + 6, "\n"));
        cJSON *read = cJSON_ParseWithOpts(line, NULL, true);
        assert_non_null(read);
        const cJSON *found = cJSON_GetObjectItem(cJSON_GetArrayItem(read, 0), "values")->child;
        assert_memory_equal(&found->valuedouble, &values[i], sizeof values[i]);
        cJSON_Delete(read);
    }
    leave(&all);
}

/* Silence comes from the database, and may be overtaken by a record. */
static void test_silent(void **state) {
    struct world *world = *state;
    struct device *device = device_of(world->dust, 7, 0);
    struct listener all;
    listen_as(world, &all, "", NULL, NULL, NULL);
    commit(world, device, 10, 1, 5);
    turn(world);
    take(&all);
    feed_presence(world->feed, device, false, T0_MS + 10500);
    turn(world);
    shows(take(&all), "\"online\":false,\"last_seen_at_ms\":1700000010500");
    commit(world, device, 20, 1, 6);
    feed_presence(world->feed, device, false, T0_MS + 10500);
    turn(world);
    shows(take(&all), "\"online\":true,\"last_seen_at_ms\":1700000020500,\"observed_at_ms\":");
    /* The map knows that it was silent: who comes later is told, too, and of no silence that is over and begins anew.
     */
    feed_back(world->feed, device, T0_MS + 20500);
    commit(world, device, 21, 1, 7);
    turn(world);
    shows(take(&all), "\"last_seen_at_ms\":1700000021500,\"online_since_ms\":1700000020500,\"observed_at_ms\":");
    feed_presence(world->feed, device, false, T0_MS + 21500);
    turn(world);
    shows(take(&all), "\"online\":false,\"last_seen_at_ms\":1700000021500,\"observed_at_ms\":");
    leave(&all);
}

static void test_moving(void **state) {
    struct world *world = *state;
    struct device *truck = device_of(world->trucks, 8, 0);
    struct listener inside, outside;
    listen_as(world, &inside, "position", "114,34,115,35", NULL, NULL);
    listen_as(world, &outside, "position", "100,34,101,35", NULL, NULL);
    take(&inside);
    take(&outside);
    move(world, truck, 1, 114.5, 34.5);
    turn(world);
    shows(take(&inside),
          "event: position\ndata: [{\"id\":8,\"lon\":114.5000000,\"lat\":34.5000000,\"at_ms\":1700000001000}]");
    move(world, truck, 0, 114.6, 34.6); /* late: it is elsewhere already */
    turn(world);
    shows(take(&inside), "\"lon\":114.5000000");
    move(world, truck, 2, 114.9, 34.5);
    move(world, truck, 3, 120, 34.5);
    turn(world);
    shows(take(&inside), "\"lon\":120.0000000");  /* it has left: told once */
    shows(take(&outside), "\"lon\":120.0000000"); /* it may have read it within */
    move(world, truck, 4, 121, 34.5);
    turn(world);
    assert_string_equal(take(&inside), "");
    assert_string_equal(take(&outside), "");
    leave(&inside);
    leave(&outside);
}

/* A message of a vehicle has readings and a place, which come as two records: the state is where the place is. */
static void test_readings_and_place(void **state) {
    struct world *world = *state;
    struct device *truck = device_of(world->trucks, 8, 0);
    struct listener inside;
    listen_as(world, &inside, "state", "114,34,115,35", NULL, NULL);
    take(&inside);
    commit(world, truck, 1, 1, 5);
    move(world, truck, 1, 119, 34.5);
    turn(world);
    take(&inside);
    commit(world, truck, 2, 1, 6);
    move(world, truck, 2, 114.5, 34.5);
    turn(world);
    shows(take(&inside), "{\"id\":8,\"subsystem\":");
    shows(inside.read.data, ":6}");
    commit(world, truck, 3, 1, 7);
    move(world, truck, 3, 116, 34.5);
    turn(world);
    shows(take(&inside), "event: state\ndata: [{\"id\":8,\"left\":true}]\n");
    leave(&inside);
}

/* What a box's list of devices, alarms or cases may have had, and has no more. */
static void test_out_of_the_box(void **state) {
    struct world *world = *state;
    struct device *truck = device_of(world->trucks, 8, 0), *lamp = device_of(world->dust, 9, 0);
    struct listener inside, all;
    const struct feed_where here = {.subsystem = 0, .placed = true, .lon = 114.5, .lat = 34.5},
                            there = {.subsystem = 0, .placed = true, .lon = 120, .lat = 34.5},
                            nowhere = {.subsystem = 0};
    static const char alarm[] = "{\"id\":5}", left[] = "event: state\ndata: [{\"id\":8,\"left\":true}]\n";
    lamp->placed = true;
    lamp->lon = 120;
    listen_as(world, &inside, "state,alarm,case", "114,34,115,35", NULL, NULL);
    listen_as(world, &all, "state,alarm,case", NULL, NULL, NULL);
    take(&inside);
    take(&all);
    commit(world, lamp, 1, 1, 1);
    move(world, truck, 1, 119, 34.5); /* by the database it was anywhere */
    turn(world);
    shows(take(&inside), left);
    hides(inside.read.data, "\"id\":9");
    move(world, truck, 2, 114.5, 34.5);
    turn(world);
    shows(take(&inside), "{\"id\":8,\"subsystem\":");
    move(world, truck, 3, 116, 34.5);
    turn(world);
    shows(take(&inside), left);
    move(world, truck, 4, 117, 34.5);
    commit(world, lamp, 4, 1, 2);
    turn(world);
    assert_string_equal(take(&inside), "");
    feed_text(world->feed, FEED_ALARM, 5, &here, alarm, strlen(alarm));
    turn(world);
    shows(take(&inside), "event: alarm\ndata: [{\"id\":5}]\n");
    feed_text(world->feed, FEED_ALARM, 5, &there, alarm, strlen(alarm));
    feed_text(world->feed, FEED_CASE, 6, &nowhere, alarm, strlen(alarm));
    turn(world);
    shows(take(&inside), "event: alarm\ndata: [{\"id\":5,\"left\":true}]\n");
    shows(inside.read.data, "event: case\ndata: [{\"id\":6,\"left\":true}]\n");
    hides(take(&all), "left");
    leave(&inside);
    leave(&all);
}

/* More than a piece of what each of them listens to. */
static void commit_many(struct world *world, int at_s) {
    enum { MANY = 200 };
    for (int id = 100; id < 100 + MANY; id++) {
        char code[16];
        size_t length = (size_t)snprintf(code, sizeof code, "D-%d", id);
        struct device *device = vendor_device(world->dust, code, length);
        if (device == NULL) {
            device = device_of(world->dust, id, 1);
            device->placed = true;
            device->lon = 114.5;
            device->lat = 34.5;
        }
        commit(world, device, at_s, 1, 0.5);
    }
}

/* What changes again before a client comes to it is told in its turn all the same, as it is then. */
static void test_changes_all_the_time(void **state) {
    struct world *world = *state;
    struct device *fast = device_of(world->dust, 1, 1), *truck = device_of(world->trucks, 8, 1);
    struct listener all, inside, us;
    listen_as(world, &all, "state", NULL, NULL, NULL);
    listen_as(world, &inside, "state,position", "114,34,115,35", NULL, NULL);
    listen_as(world, &us, "state", NULL, "1", NULL);
    take(&all);
    take(&inside);
    take(&us);
    move(world, truck, 1, 114.5, 34.5);
    for (int i = 1; i < 20; i++) { /* more than there is room for at first */
        commit_many(world, i);
        commit(world, fast, i, 1, i);
        turn(world);
        commit(world, fast, i, 1, i + 1000);
        commit(world, fast, i, 1, i + 2000);
        char told[16];
        snprintf(told, sizeof told, ":%d}", i + 2000);
        shows(take(&all), told);
        hides(strstr(all.read.data, told) + 1, told);
    }
    take(&us);
    shows(take(&inside), "\"lon\":114.5000000");
    commit_many(world, 21);
    move(world, truck, 21, 116, 34.5);
    turn(world);
    move(world, truck, 22, 117, 34.5); /* it had left before this */
    shows(take(&inside), "{\"id\":8,\"left\":true}");
    shows(inside.read.data, "\"lon\":117.0000000");
    turn(world);
    assert_string_equal(take(&inside), "");
    take(&us);
    commit_many(world, 23);
    commit(world, fast, 23, 1, 1);
    turn(world);
    fast->department = 2;
    commit(world, fast, 24, 1, 777);
    hides(take(&us), "777"); /* it is another's by now */
    turn(world);
    shows(take(&us), "{\"id\":1,\"left\":true}");
    hides(us.read.data, "777");
    leave(&all);
    leave(&inside);
    leave(&us);
}

/* Who was not told of a turn is told wherever a thing is that may have been seen within. */
static void test_moved_while_away(void **state) {
    struct world *world = *state;
    struct device *truck = device_of(world->trucks, 8, 0);
    struct listener inside;
    listen_as(world, &inside, "position", "114,34,115,35", NULL, NULL);
    take(&inside);
    move(world, truck, 1, 114.5, 34.5);
    turn(world);
    struct feed_position seen = position_in(take(&inside));
    leave(&inside);
    for (int i = 2; i < 5; i++) {
        move(world, truck, i, 116 + i, 34.5);
        turn(world);
    }
    listen_as(world, &inside, "position", "114,34,115,35", NULL, &seen);
    turn(world);
    shows(take(&inside), "\"lon\":120.0000000");
    leave(&inside);
}

static void test_rights(void **state) {
    struct world *world = *state;
    struct device *ours = device_of(world->dust, 1, 30), *theirs = device_of(world->dust, 2, 31),
                  *nobodys = device_of(world->dust, 3, 0);
    struct listener all, us, nobody;
    listen_as(world, &all, "", NULL, NULL, NULL);
    listen_as(world, &us, "", NULL, "30,32", NULL);
    listen_as(world, &nobody, "", NULL, "", NULL);
    take(&all);
    take(&us);
    take(&nobody);
    commit(world, ours, 1, 1, 1);
    commit(world, theirs, 1, 1, 1);
    commit(world, nobodys, 1, 1, 1);
    move(world, theirs, 1, 114, 34);
    text(world, FEED_CASE, 100, 30, "{\"id\":100}");
    text(world, FEED_CASE, 101, 31, "{\"id\":101}");
    text(world, FEED_ALARM, 102, 0, "{\"id\":102}");
    feed_source_counters(world->feed, 5, 6);
    turn(world);
    const char *read = take(&all);
    static const char *const ids[] = {"\"id\":1,",
                                      "\"id\":2,",
                                      "\"id\":3,",
                                      "\"id\":100}",
                                      "\"id\":101}",
                                      "\"id\":102}",
                                      "\"devices_online\":5,\"alarms_open\":6"};
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        shows(read, ids[i]);
    }
    read = take(&us);
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        (i == 0 || i == 3 ? shows : hides)(read, ids[i]);
    }
    assert_string_equal(take(&nobody), "");
    leave(&all);
    leave(&us);
    leave(&nobody);
}

/* What goes to another department leaves who saw it there, and says no more than its number. */
static void test_department_left(void **state) {
    struct world *world = *state;
    struct device *device = device_of(world->dust, 1, 30);
    struct listener here, there, both;
    listen_as(world, &here, "", NULL, "30", NULL);
    listen_as(world, &there, "", NULL, "31", NULL);
    listen_as(world, &both, "", NULL, "30,31", NULL);
    commit(world, device, 1, 1, 1);
    text(world, FEED_CASE, 100, 30, "{\"id\":100,\"v\":1}");
    turn(world);
    struct feed_position seen = position_in(take(&here));
    take(&there);
    take(&both);
    device->department = 31;
    commit(world, device, 2, 1, 2);
    text(world, FEED_CASE, 100, 31, "{\"id\":100,\"v\":2}");
    feed_left(world->feed, FEED_CASE, 200, 30, 31); /* of which nothing was told before */
    turn(world);
    static const char left[] = "event: state\ndata: [{\"id\":1,\"left\":true}]\n\n"
                               "event: case\ndata: [{\"id\":100,\"left\":true},{\"id\":200,\"left\":true}]\nid: ";
    shows(take(&here), left);
    const char *read = take(&there);
    shows(read, "{\"id\":100,\"v\":2}");
    hides(read, "left");
    read = take(&both);
    shows(read, "{\"id\":100,\"v\":2}");
    hides(read, "left");
    leave(&here);
    listen_as(world, &here, "", NULL, "30", &seen); /* and who was away then */
    shows(take(&here), left);
    leave(&here);
    leave(&there);
    leave(&both);
}

/* It was handed over and says nothing itself: by the word of the database. */
static void test_handed_over(void **state) {
    struct world *world = *state;
    struct device *truck = device_of(world->trucks, 1, 30);
    struct listener here, there;
    listen_as(world, &here, "state,position", NULL, "30", NULL);
    listen_as(world, &there, "state,position", NULL, "31", NULL);
    take(&here);
    take(&there);
    PGresult *rows = ROWS(12, "state", "1", "construction_waste", "31", "30", NULL, NULL, NULL, "acme", "D-1", "t",
                          "1700000009000", "position", "1", "construction_waste", "31", "30", "114.5", "34.5", NULL,
                          "acme", "D-1", NULL, "1700000008000");
    feed_source_take(world->feed, world->registry, 2, rows);
    PQclear(rows);
    assert_int_equal(truck->department, 31);
    turn(world);
    shows(take(&here), "event: state\ndata: [{\"id\":1,\"left\":true}]\n\n"
                       "event: position\ndata: [{\"id\":1,\"left\":true}]\n");
    hides(here.read.data, "114.5");
    shows(take(&there), "\"online\":true,\"last_seen_at_ms\":1700000009000}]");
    shows(there.read.data, "data: [{\"id\":1,\"lon\":114.5000000,\"lat\":34.5000000,\"at_ms\":1700000008000}]");
    hides(there.read.data, "left");
    /* What is known better stays. */
    commit(world, truck, 20, 1, 6);
    move(world, truck, 20, 114.6, 34.6);
    turn(world);
    take(&here);
    take(&there);
    rows = ROWS(12, "state", "1", "construction_waste", "30", "31", NULL, NULL, NULL, "acme", "D-1", "f",
                "1700000009000", "position", "1", "construction_waste", "30", "31", "114.5", "34.5", NULL, "acme",
                "D-1", NULL, "1700000008000");
    feed_source_take(world->feed, world->registry, 2, rows);
    PQclear(rows);
    turn(world);
    shows(take(&there), "{\"id\":1,\"left\":true}");
    shows(take(&here), "\"online\":true,\"last_seen_at_ms\":1700000020500");
    shows(here.read.data, "\"lon\":114.6000000");
    leave(&here);
    leave(&there);
}

/* ---- positions ---- */

static void test_resume(void **state) {
    struct world *world = *state;
    struct device *devices[2] = {device_of(world->dust, 1, 0), device_of(world->dust, 2, 0)};
    struct listener first, again;
    listen_as(world, &first, "", NULL, NULL, NULL);
    take(&first);
    commit(world, devices[0], 1, 1, 11);
    turn(world);
    struct feed_position seen = position_in(take(&first));
    leave(&first);
    commit(world, devices[0], 2, 1, 12);
    commit(world, devices[1], 2, 1, 22);
    commit(world, devices[0], 3, 1, 13);
    turn(world);
    listen_as(world, &again, "", NULL, NULL, &seen);
    const char *read = take(&again);
    hides(read, "snapshot");
    hides(read, "resync");
    assert_non_null(strstr(strstr(read, "{\"id\":2,"), "{\"id\":1,")); /* as they changed last */
    hides(read, ":12");
    shows(read, ":13");
    assert_int_equal(position_in(read).at, feed_head(world->feed));
    leave(&again);
    assert_int_equal(world->started, 1);
    assert_int_equal(hub_metrics.stream_resyncs, 0);
}

/* Of another process, of the future, or lost: read anew, never a gap. */
static void test_resync(void **state) {
    struct world *world = *state;
    struct device *device = device_of(world->dust, 1, 0);
    struct listener listener;
    listen_as(world, &listener, "", NULL, NULL, NULL);
    commit(world, device, 1, 1, 1);
    turn(world);
    struct feed_position seen = position_in(take(&listener));
    leave(&listener);
    const struct feed_position strange[] = {{0},
                                            {.epoch = EPOCH + 1, .at = seen.at},
                                            {.epoch = EPOCH, .at = seen.at + 1},
                                            {.epoch = EPOCH, .at = seen.at, .scope = 1}};
    for (size_t i = 0; i < COUNT_OF(strange); i++) {
        listen_as(world, &listener, "", NULL, NULL, &strange[i]);
        shows(take(&listener), "event: resync\n");
        leave(&listener);
        assert_int_equal(hub_metrics.stream_resyncs, i + 1);
    }
    /* What is lost before its eyes: told as soon as the database has all of it, and not before. */
    listen_as(world, &listener, "state,case", NULL, NULL, &seen);
    take(&listener);
    feed_lost(world->feed, 1 << FEED_ALARM);
    turn(world);
    assert_string_equal(take(&listener), ""); /* not a layer of its own */
    feed_lost(world->feed, 1 << FEED_CASE);
    commit(world, device, 2, 1, 2);
    turn(world);
    assert_string_equal(take(&listener), "");
    feed_settled(world->feed, feed_head(world->feed) - 1);
    turn(world);
    assert_int_equal(listener.woken, 1);
    const char *read = take(&listener);
    shows(read, "event: resync\n");
    assert_non_null(strstr(strstr(read, "resync"), "event: state")); /* the change behind it comes behind it */
    seen = position_in(read);
    leave(&listener);
    /* And what changed while nobody listened for long. */
    world->now += FEED_LINGER_MS;
    turn(world);
    assert_false(feed_clients_active(world->clients));
    commit(world, device, 3, 1, 3);
    listen_as(world, &listener, "", NULL, NULL, &seen);
    shows(take(&listener), "event: resync\n");
    assert_int_equal(world->started, 2);
    leave(&listener);
}

static void test_linger(void **state) {
    struct world *world = *state;
    struct device *device = device_of(world->dust, 1, 0);
    struct listener listener;
    assert_false(feed_kept(world->feed));
    commit(world, device, 1, 1, 1);
    assert_null(world->feed->index); /* nothing is copied for nobody */
    listen_as(world, &listener, "", NULL, NULL, NULL);
    struct feed_position seen = position_in(take(&listener));
    leave(&listener);
    world->now += FEED_LINGER_MS - FEED_TURN_MS - 1;
    commit(world, device, 2, 1, 2);
    turn(world);
    assert_true(feed_clients_active(world->clients));
    listen_as(world, &listener, "", NULL, NULL, &seen);
    shows(take(&listener), "event: state");
    leave(&listener);
    world->now += FEED_LINGER_MS;
    turn(world);
    assert_null(world->feed->index);
}

static void test_tiles(void **state) {
    struct world *world = *state;
    struct listener all, us, west;
    struct point_place at = point_place(114, 34);
    uint32_t x = at.x >> (32 - POINT_CELL_ZOOM), y = at.y >> (32 - POINT_CELL_ZOOM);
    char there[80], beside[80];
    snprintf(there, sizeof there, "{\"layer\":\"device\",\"z\":14,\"x\":%u,\"y\":%u}", x, y);
    snprintf(beside, sizeof beside, "{\"layer\":\"case\",\"z\":14,\"x\":%u,\"y\":%u}", x + 1, y);
    listen_as(world, &all, "tile", NULL, NULL, NULL);
    listen_as(world, &us, "tile", NULL, "30", NULL);
    listen_as(world, &west, "tile", "113.99,33.9,114,34", NULL, NULL);
    take(&all);
    take(&us);
    take(&west);
    feed_cell(world->feed, POINT_DEVICE, x, y, 0x7fffffff);
    feed_cell(world->feed, POINT_CASE, x + 1, y, 30);
    feed_cell(world->feed, POINT_DEVICE, x, y, 0x7fffffff);
    feed_cell(world->feed, POINT_DEVICE, x, y, 0);
    turn(world);
    assert_int_equal(hub_metrics.stream_coalesced, 1);
    shows(take(&all), "event: tile\ndata: [");
    shows(all.read.data, there);
    shows(all.read.data, beside);
    shows(take(&us), beside);
    hides(us.read.data, "device");
    shows(take(&west), there);
    hides(west.read.data, "case");
    feed_polygons(world->feed, TILE_ZONE);
    turn(world);
    shows(take(&us), "data: [{\"layer\":\"zone\"}]\n");
    shows(take(&west), "data: [{\"layer\":\"zone\"}]\n");
    leave(&all);
    leave(&us);
    leave(&west);
}

/* A snapshot's position is where the database is, not where the feed is. */
static void test_snapshot_position(void **state) {
    struct world *world = *state;
    struct device *devices[2] = {device_of(world->dust, 1, 0), device_of(world->dust, 2, 0)};
    struct listener first, second;
    listen_as(world, &first, "", NULL, NULL, NULL);
    commit(world, devices[0], 1, 1, 1);
    feed_settled(world->feed, feed_head(world->feed));
    commit(world, devices[1], 2, 1, 2);
    turn(world);
    listen_as(world, &second, "", NULL, NULL, NULL);
    const char *read = take(&second);
    shows(read, "event: snapshot\ndata: {\"position\":\"0000000000000abc-1\"}");
    shows(read, "{\"id\":2,");
    hides(read, "{\"id\":1,");
    leave(&first);
    leave(&second);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_filters_read),
        FEED_TEST(test_state_event),
        FEED_TEST(test_numbers),
        FEED_TEST(test_silent),
        FEED_TEST(test_moving),
        FEED_TEST(test_readings_and_place),
        FEED_TEST(test_changes_all_the_time),
        FEED_TEST(test_moved_while_away),
        FEED_TEST(test_rights),
        FEED_TEST(test_department_left),
        FEED_TEST(test_resume),
        FEED_TEST(test_resync),
        FEED_TEST(test_tiles),
        FEED_TEST(test_linger),
        FEED_TEST(test_snapshot_position),
        FEED_TEST(test_out_of_the_box),
        FEED_TEST(test_handed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

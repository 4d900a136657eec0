/* test_feed_client.c: listeners that are many, slow or silent, and what the database tells of changes that are not the
 * hub's. */
#include "feed_world.h"

/* ---- many, slow, silent ---- */

static void test_shared(void **state) {
    struct world *world = *state;
    enum { DEVICES = 600 };
    struct device *devices[DEVICES];
    struct listener listeners[2];
    for (int i = 0; i < DEVICES; i++) {
        devices[i] = device_of(world->dust, i + 1, 0);
    }
    for (int i = 0; i < 2; i++) {
        listen_as(world, &listeners[i], "state", NULL, NULL, NULL);
        take(&listeners[i]);
    }
    assert_int_equal(hub_metrics.stream_filters, 1);
    for (int i = 0; i < DEVICES; i++) {
        commit(world, devices[i], 1, 1, i);
    }
    turn(world);
    char *one = strdup(take(&listeners[0]));
    assert_string_equal(take(&listeners[1]), one); /* byte by byte: the chunks are the same */
    size_t ids = 0;
    for (const char *at = one; (at = strstr(at, "\nid: ")) != NULL; at++) {
        ids++;
    }
    assert_true(ids >= strlen(one) / (2 * 16384) && ids > 1);
    free(one);
    leave(&listeners[0]);
    leave(&listeners[1]);
}

/* A client that takes little is told what is, not what was: it holds no more than a chunk. */
static void test_slow(void **state) {
    struct world *world = *state;
    enum { DEVICES = 300, TURNS = 50 };
    struct device *devices[DEVICES];
    struct listener slow;
    int told[DEVICES + 1] = {0};
    for (int i = 0; i < DEVICES; i++) {
        devices[i] = device_of(world->dust, i + 1, 0);
    }
    listen_as(world, &slow, "state", NULL, NULL, NULL);
    take(&slow);
    struct buffer all = {0};
    for (int t = 1; t <= TURNS; t++) {
        for (int i = 0; i < DEVICES; i++) {
            commit(world, devices[i], t, 1, t);
        }
        turn(world);
        take_some(&slow, 1000);
        buffer_bytes(&all, slow.read.data, slow.read.length);
    }
    take(&slow);
    buffer_bytes(&all, slow.read.data, slow.read.length);
    const char *text = buffer_string(&all);
    for (const char *at = text; (at = strstr(at, "{\"id\":")) != NULL; at++) {
        told[atoi(at + 6)] = atoi(strchr(strstr(at, "\"values\":{\""), ':') + 1 +
                                  strcspn(strchr(strstr(at, "\"values\":{\""), ':') + 1, ":") + 1);
    }
    for (int i = 1; i <= DEVICES; i++) {
        assert_int_equal(told[i], TURNS); /* the last it was told is what is */
    }
    assert_true(all.length < (size_t)3 * DEVICES * 200);
    buffer_free(&all);
    leave(&slow);
}

/* What all are sent together holds the next turn up, for a bounded time; what changes meanwhile is told once, as it is
 * then. */
static void test_paced(void **state) {
    struct world *world = *state;
    enum { DEVICES = 2000, GREEDY = 30 };
    static struct device *devices[DEVICES];
    struct listener listener, late;
    for (int i = 0; i < DEVICES; i++) {
        devices[i] = device_of(world->dust, i + 1, 0);
    }
    listen_as(world, &listener, "state", NULL, NULL, NULL);
    const struct feed_position before = position_in(take(&listener));
    for (int i = 0; i < DEVICES; i++) {
        commit(world, devices[i], 1, 1, i);
    }
    turn(world);
    size_t sent = strlen(take(&listener));
    for (int i = 0; i < 2; i++) {
        listen_as(world, &late, "state", NULL, NULL, &before);
        sent += strlen(take(&late));
        leave(&late);
    }
    uint64_t due = world->now + sent * 1000 / BYTES_S;
    assert_true(due > world->now + 2 * (uint64_t)FEED_TURN_MS && due < world->now + FEED_TURN_MS_MAX);
    for (int value = 1; world->now + FEED_TURN_MS < due; value++) {
        commit(world, devices[0], 1 + value, 1, value);
        turn(world);
        assert_int_equal(listener.woken, 0);
        assert_string_equal(take(&listener), "");
    }
    commit(world, devices[0], 100, 1, 1234);
    turn(world);
    assert_int_equal(listener.woken, 1);
    const char *told = take(&listener);
    shows(told, "1234");
    hides(strstr(told, "\"id\":1,") + 1, "\"id\":1,");
    for (int i = 0; i < GREEDY; i++) {
        listen_as(world, &late, "state", NULL, NULL, &before);
        take(&late);
        leave(&late);
    }
    commit(world, devices[0], 200, 1, 5678);
    for (uint64_t until = world->now + FEED_TURN_MS_MAX; world->now < until;) {
        assert_string_equal(take(&listener), "");
        turn(world);
    }
    shows(take(&listener), "5678");
    leave(&listener);
}

/* A box, its edges included, has what is in it, however often that has changed and whatever else has. */
static void test_boxes(void **state) {
    enum { DEVICES = 500, TURNS = 40 };
    static const double lons[] = {-180, -179.9, 113.95, 114, 114.003, 114.05, 179.95, 180};
    static const double lats[] = {-90, 33.999, 34, 34.0005, 34.05, 34.051, 90};
    static const char *const boxes[] = {"114,34,114.05,34.05", "-180,-90,180,90", "179.95,-90,-179.9,34", NULL};
    static struct device *devices[DEVICES];
    struct world *world = *state;
    unsigned random = 1;
    for (int i = 0; i < DEVICES; i++) {
        devices[i] = device_of(world->dust, i + 1, 0);
        devices[i]->placed = i % 10 != 0;
        devices[i]->lon = lons[(size_t)i % COUNT_OF(lons)];
        devices[i]->lat = lats[(size_t)i / COUNT_OF(lons) % COUNT_OF(lats)];
    }
    for (size_t b = 0; b < COUNT_OF(boxes); b++) {
        struct feed_filter filter = {.west = -180, .east = 180, .south = -90, .north = 90};
        struct listener listener;
        listen_as(world, &listener, "state", boxes[b], NULL, NULL);
        take(&listener);
        if (boxes[b] != NULL) {
            assert_int_equal(feed_filter_box(&filter, boxes[b]), 0);
        }
        for (int i = 0; i < TURNS; i++) {
            bool changed[DEVICES] = {false};
            for (int n = 0; n < 300; n++) {
                random = random * 1103515245 + 12345;
                int which = (int)(random >> 8) % DEVICES;
                commit(world, devices[which], i, 1, n);
                changed[which] = true;
            }
            turn(world);
            const char *told = take(&listener);
            for (int n = 0; n < DEVICES; n++) {
                const struct device *d = devices[n];
                bool between = filter.west <= filter.east ? d->lon >= filter.west && d->lon <= filter.east
                                                          : d->lon >= filter.west || d->lon <= filter.east;
                bool inside =
                    boxes[b] == NULL || (d->placed && between && d->lat >= filter.south && d->lat <= filter.north);
                char id[32];
                snprintf(id, sizeof id, "{\"id\":%d,", n + 1);
                assert_int_equal(strstr(told, id) != NULL, changed[n] && inside);
            }
        }
        leave(&listener);
    }
}

static void test_heartbeat(void **state) {
    struct world *world = *state;
    struct listener all;
    listen_as(world, &all, "", NULL, NULL, NULL);
    take(&all);
    assert_string_equal(take(&all), "");
    for (uint64_t until = world->now + FEED_HEARTBEAT_MS - FEED_TURN_MS; world->now < until;) {
        turn(world);
        assert_int_equal(all.woken, 0);
    }
    turn(world);
    assert_int_equal(all.woken, 1);
    assert_string_equal(take(&all), ":\nid: 0000000000000abc-0\n\n");
    turn(world);
    assert_int_equal(all.woken, 0);
    leave(&all);
}

static void test_full(void **state) {
    struct world *world = *state;
    struct listener listeners[MOST];
    for (int i = 0; i < MOST; i++) {
        assert_false(feed_clients_full(world->clients));
        listen_as(world, &listeners[i], "", NULL, NULL, NULL);
    }
    assert_true(feed_clients_full(world->clients));
    assert_int_equal(feed_clients_count(world->clients), MOST);
    leave(&listeners[1]);
    assert_false(feed_clients_full(world->clients));
    leave(&listeners[0]);
    leave(&listeners[2]);
}

static size_t woken_of(const struct listener *listeners, size_t count) {
    size_t woken = 0;
    for (size_t i = 0; i < count; i++) {
        woken += (size_t)listeners[i].woken;
        assert_true(listeners[i].woken <= 1);
    }
    return woken;
}

/* Many are woken a few at a time, the newest first, each once, before the turn is over. Who would be the next may
 * leave. */
static void test_woken_in_slices(void **state) {
    enum { MANY = 300, AT_ONCE = 20 };
    static struct listener listeners[MANY];
    struct world *world = *state;
    struct feed_clients *few = world->clients;
    world->clients = feed_clients_new(world->feed, MANY, (uint64_t)BYTES_S * 100, on_started, world);
    assert_non_null(world->clients);
    for (int i = 0; i < MANY; i++) {
        listen_as(world, &listeners[i], "state", NULL, NULL, NULL);
        take(&listeners[i]);
    }
    commit(world, device_of(world->dust, 1, 0), 1, 1, 7);
    const uint64_t began = world->now += FEED_TURN_MS;
    world->now += feed_clients_turn(world->clients, world->now);
    size_t woken = woken_of(listeners, MANY), left = MANY - 1 - woken;
    assert_true(woken > 0 && woken <= AT_ONCE && listeners[left].woken == 0 && listeners[left + 1].woken == 1);
    leave(&listeners[left]);
    while (woken < MANY - 1) {
        world->now += feed_clients_turn(world->clients, world->now);
        size_t more = woken_of(listeners, MANY) - woken;
        assert_true(more > 0 && more <= AT_ONCE);
        woken += more;
    }
    assert_true(world->now >= began + FEED_TURN_MS / 2 && world->now <= began + FEED_TURN_MS);
    for (size_t i = 0; i < MANY; i++) {
        if (i != left) {
            shows(take(&listeners[i]), ":7}");
            leave(&listeners[i]);
        }
    }
    feed_clients_free(world->clients);
    world->clients = few;
}

/* Alarms, cases and cells are bounded: the oldest go, and whoever lacks them is told. */
static void test_texts_bounded(void **state) {
    struct world *world = *state;
    struct listener early;
    listen_as(world, &early, "case", NULL, NULL, NULL);
    struct feed_position seen = position_in(take(&early));
    leave(&early);
    for (int i = 1; i <= FEED_THINGS_MAX; i++) {
        text(world, FEED_CASE, i, 0, "{}");
    }
    listen_as(world, &early, "case", NULL, NULL, &seen);
    hides(take_some(&early, 200), "resync");
    leave(&early);
    text(world, FEED_CASE, FEED_THINGS_MAX + 1, 0, "{}");
    assert_int_equal(world->feed->lists[FEED_CASE].count, FEED_THINGS_MAX);
    feed_settled(world->feed, feed_head(world->feed));
    listen_as(world, &early, "case", NULL, NULL, &seen);
    shows(take_some(&early, 200), "resync");
    leave(&early);
    for (uint32_t i = 0; i <= FEED_THINGS_MAX; i++) {
        feed_cell(world->feed, POINT_DEVICE, i % 16384, i / 16384, 0);
    }
    assert_int_equal(world->feed->lists[FEED_TILE].count, FEED_THINGS_MAX);
    feed_settled(world->feed, feed_head(world->feed));
    listen_as(world, &early, "tile", NULL, NULL, &seen);
    shows(take_some(&early, 200), "resync");
    leave(&early);
    size_t large = FEED_TEXT_BYTES_MAX / 2 + 1;
    char *json = malloc(large + 1);
    memset(json, ' ', large);
    json[large] = '\0';
    listen_as(world, &early, "case", NULL, NULL, NULL);
    for (int i = 1; i <= 3; i++) {
        text(world, FEED_CASE, i, 0, json);
        assert_true(world->feed->lists[FEED_CASE].bytes <= FEED_TEXT_BYTES_MAX);
    }
    assert_int_equal(world->feed->lists[FEED_CASE].count, 1);
    leave(&early);
    free(json);
}

/* ---- the database's changes ---- */

#define CHANGE_COLUMNS 12

static void answer(struct world *world, const char *snapshot, const char *backwards, PGresult *changes) {
    PGresult *first = ROWS(2, snapshot, backwards);
    feed_source_take(world->feed, world->registry, 1, first);
    feed_source_take(world->feed, world->registry, 2, changes);
    PQclear(first);
    PQclear(changes);
}

static void test_source(void **state) {
    struct world *world = *state;
    struct device *device = device_of(world->dust, 7, 30);
    struct listener all, left;
    struct buffer sql = {0};
    assert_false(feed_source_due(world->feed, 1000));
    listen_as(world, &all, "", NULL, NULL, NULL);
    listen_as(world, &left, "case", NULL, "31", NULL);
    take(&all);
    take(&left);
    assert_false(feed_source_due(world->feed, 1000)); /* from where on? */
    feed_source_begin(world->feed, "10:20:", 6, 1000);
    feed_source_begin(world->feed, "11:21:", 6, 1000); /* the first one's clients have read before */
    assert_true(feed_source_due(world->feed, 1000));
    for (int failed = 1; failed >= 0; failed--) {
        sql.length = 0;
        feed_source_sql(world->feed, 1000, &sql);
        shows(buffer_string(&sql), "feed_changes('10:20:'");
        assert_false(feed_source_due(world->feed, 1249));
        assert_true(feed_source_due(world->feed, 1250));
        if (failed == 1) {
            feed_source_end(world->feed, false);
        }
    }
    answer(world, "12:30:", "f",
           ROWS(CHANGE_COLUMNS, "alarm", "5", "dust", "30", NULL, "114.5", "34.5", "{\"id\":5}", NULL, NULL, NULL, NULL,
                "case", "6", NULL, "30", "31,30", NULL, NULL, "{\"id\":6}", NULL, NULL, NULL, NULL, "state", "7",
                "dust", "30", NULL, NULL, NULL, NULL, "acme", "D-7", "f", "1700000000500"));
    feed_source_end(world->feed, true);
    turn(world);
    const char *read = take(&all);
    shows(read,
          "event: state\ndata: [{\"id\":7,\"subsystem\":\"dust\",\"online\":false,\"last_seen_at_ms\":1700000000500}]");
    shows(read, "event: alarm\ndata: [{\"id\":5}]");
    shows(read, "event: case\ndata: [{\"id\":6}]");
    shows(take(&left), "event: case\ndata: [{\"id\":6,\"left\":true}]");
    sql.length = 0;
    feed_source_sql(world->feed, 1300, &sql);
    shows(buffer_string(&sql), "feed_changes('12:30:'");
    /* Another database, or one put back: nobody knows what is missing. */
    answer(world, "5:6:", "t",
           ROWS(CHANGE_COLUMNS, "alarm", "5", NULL, NULL, NULL, NULL, NULL, "{}", NULL, NULL, NULL, NULL));
    feed_source_end(world->feed, true);
    feed_settled(world->feed, feed_head(world->feed));
    commit(world, device, 1, 1, 1);
    turn(world);
    shows(take(&all), "event: resync");
    shows(take(&left), "event: resync");
    /* Nor if it was not asked for so long that rows may be gone. */
    sql.length = 0;
    feed_source_sql(world->feed, 1300 + 300001, &sql);
    shows(buffer_string(&sql), "feed_changes('5:6:'");
    answer(world, "7:8:", "f",
           ROWS(CHANGE_COLUMNS, "alarm", "5", NULL, NULL, NULL, NULL, NULL, "{}", NULL, NULL, NULL, NULL));
    feed_source_end(world->feed, true);
    feed_settled(world->feed, feed_head(world->feed));
    turn(world);
    shows(take(&all), "event: resync");
    leave(&all);
    leave(&left);
    buffer_free(&sql);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FEED_TEST(test_shared),          FEED_TEST(test_slow),          FEED_TEST(test_paced),
        FEED_TEST(test_boxes),           FEED_TEST(test_heartbeat),     FEED_TEST(test_full),
        FEED_TEST(test_woken_in_slices), FEED_TEST(test_texts_bounded), FEED_TEST(test_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

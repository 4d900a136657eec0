/* point_load.c: pages of onemap.point_* into memory. One task at a time; what a notification tells makes a task due,
 * and a task that fails makes its layer's whole load due. Must never call a layer loaded of which a page is missing. */
#include "hub/live/point_load.h"

#include <stdlib.h>
#include <string.h>

#include "hub/base/clock.h"
#include "hub/base/closing.h"
#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/metrics.h"
#include "hub/link/postgres.h"

enum task {
    TASK_DEVICES, /* whole layers first */
    TASK_ALARMS,
    TASK_CASES,
    TASK_CHANGED, /* devices whose row was changed since the last time */
    TASK_NAMED,   /* devices that went offline */
    TASK_JOURNAL, /* cases of which the journal tells something new */
    TASK_COUNT,
};

enum {
    TICK_MS = 100,
    PAGE = 5000,             /* rows a time: a few ms of the loop */
    SOON_MS = 200,           /* notifications come in bursts */
    AGAIN_MS = 1000,         /* after one: of those under way then, one spoke for all (case_event_add) */
    FAILED_MS = 2000,        /* after a task that failed */
    REST = 10,               /* a whole load rests as many times as long as it took */
    ALARMS_EVERY_MS = 60000, /* and is made anyway */
    JOURNAL_EVERY_MS = 30000,
    JOURNAL_BEHIND = 1000, /* entries: what was under way when the last id was read is below it */
    NAMED_BYTES = 65536,   /* of ids; with more all devices are read */
    SINCE_TEXT = 64,
};

struct point_load {
    uv_loop_t *loop;
    struct tiles *tiles;
    struct postgres *session;
    uv_timer_t tick;
    uint64_t due_at[TASK_COUNT]; /* of uv_now; UINT64_MAX = not due */
    enum task running;
    uint64_t began_at;
    bool runs, failed, more; /* more: the page was full */
    bool told[TASK_COUNT];   /* by a notification that speaks for others, too */
    bool again;              /* so the running task is to be done once more */
    int64_t last_id;         /* of the page before */
    uint32_t rows;
    struct buffer sql, named, naming; /* naming: ids of the running task */
    char since[SINCE_TEXT], reading_at[SINCE_TEXT];
    int64_t journal_old, journal_new, journal_read; /* ids of the journal */
    uint64_t journal_at;                            /* when journal_new was read */
    struct closing closing;
};

static const char *const task_names[TASK_COUNT] = {
    [TASK_DEVICES] = "devices", [TASK_ALARMS] = "alarms", [TASK_CASES] = "cases",
    [TASK_CHANGED] = "changed", [TASK_NAMED] = "named",   [TASK_JOURNAL] = "journal"};

static enum point_layer layer_of(enum task task) {
    return task == TASK_ALARMS ? POINT_ALARM : task == TASK_CASES || task == TASK_JOURNAL ? POINT_CASE : POINT_DEVICE;
}

static bool is_whole(enum task task) {
    return task <= TASK_CASES;
}

static void make_due(struct point_load *load, enum task task, uint64_t in_ms) {
    uint64_t at = uv_now(load->loop) + in_ms;
    load->due_at[task] = at < load->due_at[task] ? at : load->due_at[task];
}

/* All layers from their beginning. Until then what is shown may be old. */
static void all_due(struct point_load *load, uint64_t in_ms) {
    if (load->tiles->stale_since_ms == 0) {
        load->tiles->stale_since_ms = clock_now_ms();
    }
    for (enum task task = TASK_DEVICES; is_whole(task); task++) {
        make_due(load, task, in_ms);
    }
}

/* ---- rows ---- */

enum column { ID, KIND, STATE, DEPARTMENT, SHOWN, LON, LAT, PLACED_MS, SEEN_MS, DEVICE, COLUMNS };

#define COLUMNS_SQL                                                                                                    \
    "SELECT p.id, p.kind, p.state, p.department, p.shown, p.lon, p.lat, p.placed_ms, p.seen_ms, p.device FROM onemap."

static void take_row(struct point_load *load, const PGresult *rows, int row) {
    struct points *points = load->tiles->points;
    enum point_layer layer = layer_of(load->running);
    int64_t id = strtoll(PQgetvalue(rows, row, ID), NULL, 10);
    struct point_row point = {.id = id,
                              .kind = PQgetvalue(rows, row, KIND),
                              .state = PQgetvalue(rows, row, STATE),
                              .department = atoi(PQgetvalue(rows, row, DEPARTMENT)),
                              .shown = *PQgetvalue(rows, row, SHOWN) == 't',
                              .placed = PQgetisnull(rows, row, LON) == 0,
                              .lon = strtod(PQgetvalue(rows, row, LON), NULL),
                              .lat = strtod(PQgetvalue(rows, row, LAT), NULL),
                              .placed_ms = strtoll(PQgetvalue(rows, row, PLACED_MS), NULL, 10),
                              .seen_ms = strtoll(PQgetvalue(rows, row, SEEN_MS), NULL, 10),
                              .device = strtoll(PQgetvalue(rows, row, DEVICE), NULL, 10)};
    load->last_id = id;
    if (layer == POINT_CASE && !point.shown) {
        points_remove(points, layer, id); /* a case that has ended is none to be kept */
    } else if (points_put(points, layer, &point) != 0) {
        load->failed = true;
    }
}

static void task_result(void *user, int statement, const PGresult *result) {
    struct point_load *load = user;
    bool has_head = load->running == TASK_DEVICES || load->running == TASK_CHANGED || load->running == TASK_CASES ||
                    load->running == TASK_JOURNAL;
    if (has_head && statement == 0) {
        const char *head = PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : "";
        snprintf(load->reading_at, sizeof load->reading_at, "%s", head);
        load->journal_read = strtoll(head, NULL, 10);
        return;
    }
    if (PQnfields(result) != COLUMNS) {
        load->failed = true;
        return;
    }
    for (int row = 0; row < PQntuples(result) && !load->failed; row++) {
        take_row(load, result, row);
    }
    load->more = PQntuples(result) == PAGE;
}

/* ---- statements ---- */

static void build(struct point_load *load, enum task task) {
    static const char now[] = "SELECT now(); ", journal[] = "SELECT coalesce(max(e.id), 0) FROM onemap.case_event e; ";
    struct buffer *sql = &load->sql;
    long long last = (long long)load->last_id;
    buffer_reset(sql, 4096);
    switch (task) {
    case TASK_DEVICES:
        buffer_format(sql, "%s" COLUMNS_SQL "point_device p WHERE p.id > %lld ORDER BY p.id LIMIT %d", now, last, PAGE);
        break;
    case TASK_ALARMS:
        buffer_format(sql, COLUMNS_SQL "point_alarm p WHERE p.id > %lld ORDER BY p.id LIMIT %d", last, PAGE);
        break;
    case TASK_CASES:
        buffer_format(sql, "%s" COLUMNS_SQL "point_case p WHERE p.shown AND p.id > %lld ORDER BY p.id LIMIT %d",
                      journal, last, PAGE);
        break;
    case TASK_CHANGED:
        buffer_format(sql,
                      "%s" COLUMNS_SQL "point_device p WHERE p.id > %lld AND p.updated_at >= '%s'::timestamptz"
                      " - interval '2 minutes' ORDER BY p.id LIMIT %d",
                      now, last, load->since, PAGE);
        break;
    case TASK_NAMED:
        buffer_format(sql, COLUMNS_SQL "point_device p WHERE p.id = ANY ('{%s}'::int[])", load->naming.data);
        break;
    default:
        buffer_format(sql,
                      "%s" COLUMNS_SQL "point_case p WHERE p.id > %lld AND p.id IN (SELECT e.case_id"
                      " FROM onemap.case_event e WHERE e.id > %lld) ORDER BY p.id LIMIT %d",
                      journal, last, (long long)load->journal_old, PAGE);
        break;
    }
}

/* ---- one task after the other ---- */

static void task_failed(struct point_load *load, const char *why) {
    enum task whole = (enum task)layer_of(load->running);
    load->last_id = 0;
    log_warning("points", "task=%s reason=%s", task_names[load->running], log_quote(why));
    make_due(load, whole, FAILED_MS);
    if (load->tiles->stale_since_ms == 0) {
        load->tiles->stale_since_ms = clock_now_ms();
    }
}

/* The journal is read from where it ended half a minute ago or more. */
static void journal_taken(struct point_load *load, bool whole) {
    uint64_t now = uv_now(load->loop);
    if (whole) {
        load->journal_old = load->journal_read > JOURNAL_BEHIND ? load->journal_read - JOURNAL_BEHIND : 0;
        load->journal_new = load->journal_old;
        load->journal_at = now;
    } else if (now - load->journal_at >= JOURNAL_EVERY_MS) {
        load->journal_old = load->journal_new;
        load->journal_new = load->journal_read;
        load->journal_at = now;
    }
}

static bool is_current(const struct point_load *load) {
    bool current = postgres_connected(load->session);
    for (enum task task = TASK_DEVICES; is_whole(task); task++) {
        current = current && points_loaded(load->tiles->points, (enum point_layer)task);
    }
    /* Alarms are read as a whole at each change. */
    return current && load->due_at[TASK_DEVICES] == UINT64_MAX && load->due_at[TASK_CASES] == UINT64_MAX;
}

static void task_ended(struct point_load *load) {
    enum task task = load->running;
    load->last_id = 0;
    if (is_whole(task)) {
        uint64_t took = uv_now(load->loop) - load->began_at;
        points_load_end(load->tiles->points, layer_of(task));
        log_debug("points", "task=%s points=%zu ms=%llu", task_names[task],
                  points_count(load->tiles->points, layer_of(task)), (unsigned long long)took);
        if (load->due_at[task] != UINT64_MAX && load->due_at[task] < uv_now(load->loop) + took * REST) {
            load->due_at[task] = uv_now(load->loop) + took * REST;
        }
    }
    if (task == TASK_DEVICES || task == TASK_CHANGED) {
        memcpy(load->since, load->reading_at, sizeof load->since);
    }
    if (task == TASK_CASES || task == TASK_JOURNAL) {
        journal_taken(load, task == TASK_CASES);
        make_due(load, TASK_JOURNAL, JOURNAL_EVERY_MS);
    }
    if (task == TASK_ALARMS) {
        make_due(load, TASK_ALARMS, ALARMS_EVERY_MS);
    }
    if (load->again) {
        make_due(load, task, AGAIN_MS);
    }
    if (is_current(load)) {
        load->tiles->stale_since_ms = 0;
    }
}

static void task_run(struct point_load *load, enum task task);

static void task_done(void *user, const struct postgres_error *error) {
    struct point_load *load = user;
    load->runs = false;
    if (load->closing.begun) {
        return;
    }
    if (error != NULL || load->failed) {
        task_failed(load, error != NULL ? error->message : "out of memory, or too many points");
    } else if (load->more && load->running != TASK_NAMED) {
        task_run(load, load->running);
    } else {
        task_ended(load);
    }
}

static void task_run(struct point_load *load, enum task task) {
    bool first = load->last_id == 0;
    load->running = task;
    load->failed = load->more = false;
    if (first) {
        load->began_at = uv_now(load->loop);
        load->due_at[task] = UINT64_MAX; /* a notification that comes meanwhile makes it due again */
        load->again = load->told[task];
        load->told[task] = false;
    }
    if (first && is_whole(task)) {
        points_load_begin(load->tiles->points, layer_of(task));
    }
    build(load, task);
    const char *sql = buffer_string(&load->sql);
    struct postgres_job job = {.sql = sql, .result = task_result, .done = task_done, .user = load};
    load->runs = true;
    if (sql == NULL || postgres_run(load->session, &job) != 0) {
        load->runs = false;
        task_failed(load, "out of memory");
    }
}

/* The ids that are waiting become those of the task. False if there are none. */
static bool take_named(struct point_load *load) {
    struct buffer empty = load->naming;
    if (load->named.failed) {
        buffer_reset(&load->named, 0);
        load->named.failed = false;
        make_due(load, TASK_DEVICES, 0);
    }
    if (load->named.length == 0) {
        load->due_at[TASK_NAMED] = UINT64_MAX;
        return false;
    }
    buffer_string(&load->named);
    load->naming = load->named;
    load->named = empty;
    load->named.length = 0;
    return !load->naming.failed;
}

/* What tells of changes alone needs what they are changes of. */
static bool can_run(struct point_load *load, enum task task) {
    enum point_layer layer = layer_of(task);
    bool ready = is_whole(task) || (points_loaded(load->tiles->points, layer) && load->due_at[layer] == UINT64_MAX);
    return ready && (task != TASK_NAMED || take_named(load));
}

static void on_tick(uv_timer_t *timer) {
    struct point_load *load = timer->data;
    uint64_t now = uv_now(load->loop);
    hub_metrics.map_devices = (int64_t)points_count(load->tiles->points, POINT_DEVICE);
    hub_metrics.map_alarms = (int64_t)points_count(load->tiles->points, POINT_ALARM);
    hub_metrics.map_cases = (int64_t)points_count(load->tiles->points, POINT_CASE);
    if (points_lacking(load->tiles->points)) {
        log_error("points", "reason=\"out of memory, or too many points\" effect=\"the map is read anew\"");
        all_due(load, FAILED_MS);
    }
    for (enum task task = 0; task < TASK_COUNT && !load->runs && postgres_idle(load->session); task++) {
        if (load->due_at[task] <= now && can_run(load, task)) {
            task_run(load, task);
        }
    }
}

/* ---- what others change ---- */

/* "device" and ids with blanks between; without ids: all. */
static void on_devices(struct point_load *load, const char *ids) {
    if (*ids != ' ' || load->named.length + strlen(ids) > NAMED_BYTES || ids[strspn(ids, " 0123456789")] != '\0') {
        make_due(load, TASK_DEVICES, SOON_MS);
        return;
    }
    for (const char *id = ids + 1; *id != '\0'; id += strcspn(id, " "), id += strspn(id, " ")) {
        buffer_text(&load->named, load->named.length > 0 ? "," : "");
        buffer_bytes(&load->named, id, strcspn(id, " "));
    }
    make_due(load, TASK_NAMED, 0);
}

static void on_points(struct point_load *load, const char *payload) {
    static const struct {
        const char *table;
        unsigned layer;
    } polygons[] = {{"grid_cell", TILE_GRID},
                    {"grid_cell", TILE_DEPARTMENT},
                    {"zone", TILE_ZONE},
                    {"department", TILE_DEPARTMENT},
                    {"department", TILE_GRID}};
    static const char device[] = "device";
    if (strncmp(payload, device, sizeof device - 1) == 0) {
        on_devices(load, payload + sizeof device - 1);
    } else if (strcmp(payload, "alarm") == 0) {
        load->told[TASK_ALARMS] = true;
        make_due(load, TASK_ALARMS, SOON_MS);
    }
    for (size_t i = 0; i < COUNT_OF(polygons); i++) {
        if (strcmp(payload, polygons[i].table) == 0) {
            tiles_polygons_changed(load->tiles, polygons[i].layer);
        }
    }
}

static void on_notified(void *user, const char *channel, const char *payload) {
    struct point_load *load = user;
    if (strcmp(channel, "cityhub_points") == 0) {
        on_points(load, payload);
    } else if (strcmp(channel, "cityhub_cases") == 0) {
        load->told[TASK_JOURNAL] = true;
        make_due(load, TASK_JOURNAL, SOON_MS);
    } else {
        make_due(load, TASK_CHANGED, SOON_MS);
    }
}

static void on_lost(void *user, const char *why) {
    struct point_load *load = user;
    (void)why;
    load->last_id = 0;
    all_due(load, 0); /* what changed while nobody listened */
    for (unsigned layer = TILE_GRID; layer < TILE_LAYERS; layer++) {
        tiles_polygons_changed(load->tiles, layer);
    }
}

/* ---- open and close ---- */

struct point_load *point_load_open(uv_loop_t *loop, const struct config *config, struct tiles *tiles) {
    static const char setup[] = "LISTEN cityhub_points; LISTEN cityhub_registry; LISTEN cityhub_cases";
    struct point_load *load = calloc(1, sizeof *load);
    if (load == NULL) {
        log_error("out_of_memory", "what=points");
        return NULL;
    }
    load->loop = loop;
    load->tiles = tiles;
    for (enum task task = 0; task < TASK_COUNT; task++) {
        load->due_at[task] = UINT64_MAX;
    }
    all_due(load, 0);
    uv_timer_init(loop, &load->tick);
    load->tick.data = load;
    struct postgres_handlers handlers = {.lost = on_lost, .notified = on_notified, .user = load};
    load->session = postgres_open(loop, config, "points", setup, &handlers);
    if (load->session == NULL) {
        point_load_close(load, NULL, NULL);
        return NULL;
    }
    uv_timer_start(&load->tick, on_tick, 0, TICK_MS);
    return load;
}

static void load_free(void *part) {
    struct point_load *load = part;
    buffer_free(&load->sql);
    buffer_free(&load->named);
    buffer_free(&load->naming);
    free(load);
}

void point_load_close(struct point_load *load, void (*closed)(void *user), void *user) {
    closing_begin(&load->closing, load_free, load, closed, user);
    closing_handle(&load->closing, (uv_handle_t *)&load->tick);
    if (load->session != NULL) {
        closing_await(&load->closing);
        postgres_close(load->session, closing_over, &load->closing);
    }
}

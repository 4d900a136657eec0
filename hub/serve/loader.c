/* loader.c: loads what the hub must know, and hears of its changes by LISTEN. One task at a time, in the order of
 * enum task; a notification only marks its task as due. A task that fails, whatever of, is due again: must never leave
 * the hub with less than it has asked for. */
#include "hub/serve/loader.h"

#include <stdlib.h>
#include <string.h>

#include "hub/base/closing.h"
#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/file.h"
#include "hub/base/log.h"
#include "hub/base/metrics.h"
#include "hub/base/text.h"
#include "hub/know/adapter_json.h"
#include "hub/link/postgres.h"

enum task {
    TASK_CATALOGUE, /* does the database's catalogue fit this build? */
    TASK_SETTINGS,  /* do the server's settings fit this configuration? */
    TASK_CATCH_UP,  /* device_state after a crash */
    TASK_VENDORS,
    TASK_DEVICES,    /* page by page */
    TASK_DAYS,       /* which have partitions */
    TASK_RULES,      /* what is plausible, rules, then conditions, in one answer */
    TASK_DELIVERIES, /* what was committed last and may be delivered again */
    TASK_LANES,      /* our sessions are written down before they are opened */
    TASK_FORGET,     /* drained sessions */
    TASK_COUNT,
};

static const char *const task_names[TASK_COUNT] = {
    [TASK_CATALOGUE] = "catalogue", [TASK_SETTINGS] = "settings",     [TASK_CATCH_UP] = "catch_up",
    [TASK_VENDORS] = "vendors",     [TASK_DEVICES] = "devices",       [TASK_DAYS] = "days",
    [TASK_RULES] = "rules",         [TASK_DELIVERIES] = "deliveries", [TASK_LANES] = "lanes",
    [TASK_FORGET] = "forget"};

enum {
    MEMINFO_MOST = 64 * 1024, /* bytes */
    DEVICES_PAUSE_MS = 1000,  /* notifications of devices come in bursts */
    RULES_AGAIN_MS = 3600000, /* for the county's offset from UTC */
    FAILED_PAUSE_MS = 1000,   /* after a task that the database refused */
    CATCH_UP_TIMEOUT_S = 1800,
    SINCE_TEXT = 64,
};

/* Of a session of an earlier configuration. */
enum stray_state {
    STRAY_OPEN,       /* not drained yet */
    STRAY_ENDED,      /* its row is to be deleted */
    STRAY_FORGETTING, /* the running task deletes it */
    STRAY_FORGOTTEN,
};

struct loader {
    const struct world *world;
    struct loader_handlers handlers;
    struct postgres *session;
    uv_timer_t devices_timer, rules_timer, pause_timer;
    bool due[TASK_COUNT];
    enum task running;
    uint64_t began_at; /* of uv_now: the running task's */
    bool memory_out;   /* while the running task's results were taken in */
    int findings;      /* of the catalogue: what does not fit */
    struct buffer sql;
    int last_id, page_rows;
    bool paging;                                    /* devices are being read page by page */
    char since[SINCE_TEXT], loading_at[SINCE_TEXT]; /* changes up to `since` are known */
    bool unfit;                                     /* the hub is about to end */
    PGresult *rules;                                /* until their conditions are here too */
    PGresult *lanes;                                /* rows of onemap.lanes_open() */
    enum stray_state *stray_states;                 /* by row; of those that are wanted it means nothing */
    PGresult *deliveries;                           /* until all lanes are open: lane's name, stamp in us, messages */
    struct closing closing;
};

static void advance(struct loader *loader);

/* ---- results, by task ---- */

static void take_catalogue(struct loader *loader, int statement, const PGresult *rows) {
    for (int row = 0; row < PQntuples(rows); row++) {
        log_error(statement == 0 ? "catalogue_drift" : "catalogue_missing", "finding=%s",
                  log_quote(PQgetvalue(rows, row, 0)));
        loader->findings++;
    }
}

/* Settings with which a commit is no promise when the machine fails, or with which room for this configuration runs
 * out: told in the log, and for as long as it is so by `cityhub status`. */
static void take_settings(const PGresult *rows) {
    struct words *all = &hub_metrics.database_advice;
    *all = (struct words){0};
    for (int row = 0; row < PQntuples(rows); row++) {
        const char *setting = PQgetvalue(rows, row, 0), *advice = PQgetvalue(rows, row, 1);
        log_warning("database_setting", "setting=%s advice=%s", setting, log_quote(advice));
        size_t en = strlen(all->en), zh = strlen(all->zh);
        snprintf(all->en + en, sizeof all->en - en, "%s%s: %s", row == 0 ? "" : "; ", setting, advice);
        snprintf(all->zh + zh, sizeof all->zh - zh, "%s%s：%s", row == 0 ? "" : "；", setting,
                 PQgetvalue(rows, row, 2));
    }
    text_trim(all->en);
    text_trim(all->zh);
}

/* `now()` first: changes up to then are in the answers that follow. */
static int take_vendors(struct loader *loader, int statement, const PGresult *rows) {
    if (statement > 0) {
        return registry_take_vendors(loader->world->registry, rows);
    }
    snprintf(loader->loading_at, sizeof loader->loading_at, "%s", PQgetvalue(rows, 0, 0));
    return 0;
}

static int take_devices(struct loader *loader, const PGresult *rows) {
    loader->page_rows = PQntuples(rows);
    return registry_take_devices(loader->world->registry, rows, &loader->last_id);
}

/* Rules and conditions take effect together: the loop may judge records between the two answers. */
static int take_rules(struct loader *loader, int statement, const PGresult *result) {
    struct alarms *alarms = loader->world->alarms;
    if (statement == 0) {
        return plausible_take_extent(loader->world->plausible, result);
    }
    if (statement == 1) {
        return plausible_take_codes(loader->world->plausible, result);
    }
    if (statement == 2) {
        PQclear(loader->rules);
        loader->rules = PQcopyResult(result, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
        return loader->rules == NULL ? CH_EMEMORY : 0;
    }
    int code = alarms_take_rules(alarms, loader->rules);
    return code != 0 ? code : alarms_take_conditions(alarms, loader->world->registry, result);
}

static int take_lanes(struct loader *loader, const PGresult *rows) {
    PGresult *lanes = PQcopyResult(rows, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
    enum stray_state *states = calloc((size_t)PQntuples(rows) + 1, sizeof *states);
    if (lanes == NULL || states == NULL) {
        PQclear(lanes);
        free(states);
        return CH_EMEMORY;
    }
    PQclear(loader->lanes);
    free(loader->stray_states);
    loader->lanes = lanes;
    loader->stray_states = states;
    return 0;
}

static void task_result(void *user, int statement, const PGresult *result) {
    struct loader *loader = user;
    int code = 0;
    if (loader->memory_out) {
        return;
    }
    switch (loader->running) {
    case TASK_CATALOGUE:
        take_catalogue(loader, statement, result);
        break;
    case TASK_SETTINGS:
        take_settings(result);
        break;
    case TASK_VENDORS:
        code = take_vendors(loader, statement, result);
        break;
    case TASK_DEVICES:
        code = take_devices(loader, result);
        break;
    case TASK_DAYS:
        days_take(loader->world->days, result);
        break;
    case TASK_RULES:
        code = take_rules(loader, statement, result);
        break;
    case TASK_DELIVERIES:
        PQclear(loader->deliveries);
        loader->deliveries = PQcopyResult(result, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
        code = loader->deliveries == NULL ? CH_EMEMORY : 0;
        break;
    case TASK_LANES:
        code = take_lanes(loader, result);
        break;
    default:
        break;
    }
    loader->memory_out = code != 0;
}

/* ---- statements, by task ---- */

static void sql_catalogue(struct loader *loader) {
    char *catalogue = adapter_json();
    static const char *const functions[] = {"catalogue_drift", "catalogue_missing"};
    loader->sql.failed = catalogue == NULL;
    for (size_t i = 0; catalogue != NULL && i < COUNT_OF(functions); i++) {
        buffer_format(&loader->sql, "SELECT f FROM onemap.%s(", functions[i]);
        buffer_literal(&loader->sql, catalogue, strlen(catalogue));
        buffer_text(&loader->sql, "::jsonb) f;\n");
    }
    free(catalogue);
}

static void sql_devices(struct loader *loader) {
    char text[512];
    char since[SINCE_TEXT + 64];
    snprintf(since, sizeof since, "timestamptz '%s' - interval '2 minutes'", loader->since);
    registry_devices_sql(text, sizeof text, loader->last_id, loader->since[0] == '\0' ? NULL : since);
    buffer_text(&loader->sql, text);
}

static void sql_lanes(struct loader *loader) {
    const struct config *config = loader->world->config;
    struct buffer *sql = &loader->sql;
    buffer_text(sql, "SELECT l.client_id, l.subsystem, l.number, l.secret, l.wanted FROM onemap.lanes_open(");
    buffer_literal(sql, config->hub_instance, strlen(config->hub_instance));
    for (size_t i = 0; i < adapter_count; i++) {
        buffer_format(sql, "%s\"%s\": %d", i == 0 ? ", '{" : ", ", adapters[i]->key,
                      config_lanes(config, adapters[i]->key));
    }
    buffer_text(sql, "}') l");
}

static void sql_deliveries(struct loader *loader) {
    const char *instance = loader->world->config->hub_instance;
    buffer_text(&loader->sql,
                "SELECT d.lane, (pg_catalog.date_part('epoch', d.received_at) * 1000000)::bigint, d.messages"
                " FROM onemap.delivery d WHERE pg_catalog.starts_with(d.lane, ");
    buffer_literal(&loader->sql, instance, strlen(instance));
    buffer_text(&loader->sql, " || '/') ORDER BY d.received_at");
}

static void strays_move(struct loader *loader, enum stray_state from, enum stray_state to) {
    for (int row = 0; row < PQntuples(loader->lanes); row++) {
        if (loader->stray_states[row] == from) {
            loader->stray_states[row] = to;
        }
    }
}

static void sql_forget(struct loader *loader) {
    strays_move(loader, STRAY_ENDED, STRAY_FORGETTING);
    for (int row = 0; row < PQntuples(loader->lanes); row++) {
        if (loader->stray_states[row] == STRAY_FORGETTING) {
            const char *client_id = PQgetvalue(loader->lanes, row, LANE_CLIENT_ID);
            buffer_text(&loader->sql, "DELETE FROM onemap.lane WHERE client_id = ");
            buffer_literal(&loader->sql, client_id, strlen(client_id));
            buffer_text(&loader->sql, ";");
        }
    }
}

/* Large pages (大页) of this machine, in use or not; 0 = none, or a system that has no such thing. */
static long long huge_pages(void) {
    static const char member[] = "HugePages_Total:";
    char problem[FILE_PROBLEM_MAX];
    size_t length;
    char *text = file_read("/proc/meminfo", MEMINFO_MOST, &length, problem);
    const char *found = text == NULL ? NULL : strstr(text, member);
    long long pages = found == NULL ? 0 : strtoll(found + strlen(member), NULL, 10);
    free(text);
    return pages;
}

static void build(struct loader *loader, enum task task) {
    const struct config *config = loader->world->config;
    struct buffer *sql = &loader->sql;
    buffer_reset(sql, 4096);
    switch (task) {
    case TASK_CATALOGUE:
        sql_catalogue(loader);
        break;
    case TASK_SETTINGS:
        buffer_format(sql, "SELECT a.setting, a.advice, a.advice_zh FROM onemap.server_advice(%lld, %lld, %d, %lld) a",
                      (long long)config->retention_observation_days +
                          (long long)config->retention_partitions_ahead_days,
                      (long long)config->http_queries, config_connections(config), huge_pages());
        break;
    case TASK_CATCH_UP:
        buffer_format(sql,
                      "SET statement_timeout = '%ds'; SELECT onemap.past_reach(interval '%lld s');"
                      " SELECT onemap.device_state_catch_up(); SET statement_timeout = '%llds'",
                      CATCH_UP_TIMEOUT_S, (long long)config->time_max_ahead_s,
                      (long long)config->database_statement_timeout_s);
        break;
    case TASK_VENDORS:
        buffer_format(sql, "SELECT now(); %s", registry_vendors_sql);
        break;
    case TASK_DEVICES:
        sql_devices(loader);
        break;
    case TASK_DAYS:
        buffer_text(sql, days_sql);
        break;
    case TASK_RULES:
        alarms_reading(loader->world->alarms);
        buffer_format(sql, "%s; %s; %s; %s", plausible_extent_sql, plausible_codes_sql, alarms_rules_sql,
                      alarms_conditions_sql);
        break;
    case TASK_DELIVERIES:
        sql_deliveries(loader);
        break;
    case TASK_LANES:
        sql_lanes(loader);
        break;
    default:
        sql_forget(loader);
        break;
    }
}

/* ---- one task after the other ---- */

static void count_gauges(const struct loader *loader) {
    hub_metrics.devices = (int64_t)registry_device_count(loader->world->registry);
    hub_metrics.vendors = (int64_t)registry_vendor_count(loader->world->registry);
    hub_metrics.alarm_rules = (int64_t)alarms_rule_count(loader->world->alarms);
    hub_metrics.registry_loads++;
}

static void refuse(struct loader *loader) {
    loader->unfit = true;
    log_error("catalogue", "advice=%s",
              log_quote("the database does not fit this build: run `cityhub migrate`, or the right build"));
    loader->handlers.refused(loader->handlers.user);
}

static void pause_over(uv_timer_t *timer) {
    advance(timer->data);
}

/* The task is due again: when the connection is back, or after a pause. */
static void task_failed(struct loader *loader, const char *why) {
    loader->due[loader->running] = true;
    loader->paging = false;
    loader->last_id = 0;
    strays_move(loader, STRAY_FORGETTING, STRAY_ENDED);
    log_warning("loader", "task=%s reason=%s", task_names[loader->running], log_quote(why));
    if (postgres_connected(loader->session)) {
        uv_timer_start(&loader->pause_timer, pause_over, FAILED_PAUSE_MS, 0);
    }
}

static void task_succeeded(struct loader *loader) {
    switch (loader->running) {
    case TASK_DEVICES:
        loader->paging = false;
        loader->last_id = 0;
        memcpy(loader->since, loader->loading_at, sizeof loader->since);
        count_gauges(loader);
        break;
    case TASK_RULES:
        hub_metrics.alarm_rules = (int64_t)alarms_rule_count(loader->world->alarms);
        break;
    case TASK_LANES:
        loader->handlers.loaded(loader->handlers.user, loader->lanes);
        break;
    case TASK_FORGET:
        strays_move(loader, STRAY_FORGETTING, STRAY_FORGOTTEN);
        break;
    default:
        break;
    }
}

static void task_done(void *user, const struct postgres_error *error) {
    struct loader *loader = user;
    if (loader->closing.begun) {
        return;
    }
    log_debug("loader_task", "task=%s took_ms=%llu", task_names[loader->running],
              (unsigned long long)(uv_now(loader->pause_timer.loop) - loader->began_at));
    if (error != NULL && loader->running == TASK_CATALOGUE && postgres_error_misfit(error)) {
        log_error("catalogue", "sqlstate=%s reason=%s", error->sqlstate, log_quote(error->message));
        refuse(loader);
    } else if (error != NULL || loader->memory_out) {
        task_failed(loader, error != NULL ? error->message : "out of memory");
    } else if (loader->findings > 0) {
        refuse(loader);
    } else if (loader->running == TASK_DEVICES && loader->page_rows == REGISTRY_PAGE) {
        loader->due[TASK_DEVICES] = true; /* there are more pages */
    } else {
        task_succeeded(loader);
    }
}

static void task_run(struct loader *loader, enum task task) {
    loader->running = task;
    loader->began_at = uv_now(loader->pause_timer.loop);
    loader->memory_out = false;
    loader->findings = 0;
    loader->paging = task == TASK_DEVICES;
    loader->due[task] = false; /* a notification that comes meanwhile makes it due again */
    build(loader, task);
    const char *sql = buffer_string(&loader->sql);
    struct postgres_job job = {.sql = sql,
                               .timeout_s = task == TASK_CATCH_UP ? CATCH_UP_TIMEOUT_S : 0,
                               .result = task_result,
                               .done = task_done,
                               .user = loader};
    if (sql == NULL || postgres_run(loader->session, &job) != 0) {
        task_failed(loader, "out of memory");
    }
}

static void advance(struct loader *loader) {
    if (!postgres_idle(loader->session) || loader->unfit || loader->closing.begun ||
        uv_is_active((uv_handle_t *)&loader->pause_timer)) {
        return;
    }
    for (size_t task = 0; task < TASK_COUNT; task++) {
        if (loader->due[task]) {
            task_run(loader, (enum task)task);
            return;
        }
    }
}

/* The session is idle: also after each task. */
static void on_ready(void *user) {
    advance(user);
}

static void on_lost(void *user, const char *why) {
    struct loader *loader = user;
    (void)why;
    loader->paging = false;
    /* What changed while nobody listened; the server may be another one, or have other settings. */
    static const enum task again[] = {TASK_SETTINGS, TASK_VENDORS, TASK_DEVICES, TASK_DAYS, TASK_RULES};
    for (size_t i = 0; i < COUNT_OF(again); i++) {
        loader->due[again[i]] = true;
    }
    loader->last_id = 0;
}

static void devices_due(uv_timer_t *timer) {
    struct loader *loader = timer->data;
    if (loader->paging) {
        /* A page that has been read may lack the change: read all of them once more. */
        uv_timer_start(timer, devices_due, DEVICES_PAUSE_MS, 0);
        return;
    }
    /* Vendors with them: their answer says up to when the devices are known. */
    loader->due[TASK_VENDORS] = loader->due[TASK_DEVICES] = true;
    advance(loader);
}

static void rules_due(uv_timer_t *timer) {
    struct loader *loader = timer->data;
    loader->due[TASK_RULES] = true;
    advance(loader);
}

static void on_notified(void *user, const char *channel, const char *payload) {
    struct loader *loader = user;
    if (strcmp(channel, "cityhub_rules") == 0) {
        rules_due(&loader->rules_timer);
    } else if (strcmp(payload, "vendor") == 0) {
        devices_due(&loader->devices_timer);
    } else if (!uv_is_active((uv_handle_t *)&loader->devices_timer)) {
        uv_timer_start(&loader->devices_timer, devices_due, DEVICES_PAUSE_MS, 0);
    }
}

struct loader *loader_open(uv_loop_t *loop, const struct world *world, const struct loader_handlers *handlers) {
    struct loader *loader = calloc(1, sizeof *loader);
    if (loader == NULL) {
        log_error("out_of_memory", "what=loader");
        return NULL;
    }
    loader->world = world;
    loader->handlers = *handlers;
    for (size_t task = 0; task < TASK_FORGET; task++) {
        loader->due[task] = true;
    }
    uv_timer_init(loop, &loader->devices_timer);
    uv_timer_init(loop, &loader->rules_timer);
    uv_timer_init(loop, &loader->pause_timer);
    loader->devices_timer.data = loader->rules_timer.data = loader->pause_timer.data = loader;
    uv_timer_start(&loader->rules_timer, rules_due, RULES_AGAIN_MS, RULES_AGAIN_MS);
    struct postgres_handlers postgres_handlers = {
        .ready = on_ready, .lost = on_lost, .notified = on_notified, .user = loader};
    loader->session = postgres_open(loop, world->config, "loader", "LISTEN cityhub_registry; LISTEN cityhub_rules",
                                    &postgres_handlers);
    if (loader->session == NULL) {
        loader_close(loader, NULL, NULL);
        return NULL;
    }
    return loader;
}

const PGresult *loader_deliveries(const struct loader *loader) {
    return loader->deliveries;
}

void loader_deliveries_taken(struct loader *loader) {
    PQclear(loader->deliveries);
    loader->deliveries = NULL;
}

void loader_days_due(struct loader *loader) {
    loader->due[TASK_DAYS] = true;
    advance(loader);
}

void loader_conditions_due(struct loader *loader) {
    rules_due(&loader->rules_timer);
}

bool loader_connected(const struct loader *loader) {
    return postgres_connected(loader->session);
}

void loader_forget_lane(struct loader *loader, const char *client_id) {
    for (int row = 0; row < PQntuples(loader->lanes); row++) {
        if (strcmp(PQgetvalue(loader->lanes, row, LANE_CLIENT_ID), client_id) == 0) {
            loader->stray_states[row] = STRAY_ENDED;
            loader->due[TASK_FORGET] = true;
        }
    }
    advance(loader);
}

static void loader_free(void *part) {
    struct loader *loader = part;
    buffer_free(&loader->sql);
    PQclear(loader->lanes);
    PQclear(loader->rules);
    PQclear(loader->deliveries);
    free(loader->stray_states);
    free(loader);
}

void loader_close(struct loader *loader, void (*closed)(void *user), void *user) {
    closing_begin(&loader->closing, loader_free, loader, closed, user);
    closing_handle(&loader->closing, (uv_handle_t *)&loader->devices_timer);
    closing_handle(&loader->closing, (uv_handle_t *)&loader->rules_timer);
    closing_handle(&loader->closing, (uv_handle_t *)&loader->pause_timer);
    if (loader->session != NULL) {
        closing_await(&loader->closing);
        postgres_close(loader->session, closing_over, &loader->closing);
    }
}

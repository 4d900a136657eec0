/* loader.c: loads what the hub must know, and hears of its changes by LISTEN. One task at a time, in the order of
 * enum task; a notification only marks its task as due. */
#include "hub/serve/loader.h"

#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/metrics.h"
#include "hub/know/adapter_json.h"
#include "hub/link/postgres.h"

enum task {
    TASK_CATALOGUE, /* does the database's catalogue fit this build? */
    TASK_CATCH_UP,  /* device_state after a crash */
    TASK_VENDORS,
    TASK_DEVICES, /* page by page */
    TASK_RULES,   /* rules, then conditions, in one answer */
    TASK_LANES,   /* our sessions are written down before they are opened */
    TASK_FORGET,  /* drained sessions */
    TASK_COUNT,
};

enum {
    DEVICES_PAUSE_MS = 1000,  /* notifications of devices come in bursts */
    RULES_AGAIN_MS = 3600000, /* for the county's offset from UTC */
    FAILED_PAUSE_MS = 1000,   /* after a task that the database refused */
    CATCH_UP_TIMEOUT_S = 1800,
    SINCE_TEXT = 64,
};

struct loader {
    const struct world *world;
    struct loader_handlers handlers;
    struct postgres *session;
    uv_timer_t devices_timer, rules_timer, pause_timer;
    bool due[TASK_COUNT];
    enum task running;
    bool loaded;
    struct buffer sql, forget;
    int last_id, page_rows;
    bool paging;                                    /* devices are being read page by page */
    char since[SINCE_TEXT], loading_at[SINCE_TEXT]; /* changes up to `since` are known */
    bool unfit;
    PGresult *strays, *rules; /* rules: until their conditions are here too */
    int handles;
    void (*closed)(void *user);
    void *closed_user;
};

static void advance(struct loader *loader);
static void pause_over(uv_timer_t *timer);

/* ---- results, by task ---- */

static void take_catalogue(struct loader *loader, int statement, const PGresult *rows) {
    for (int row = 0; row < PQntuples(rows); row++) {
        log_error(statement == 0 ? "catalogue_drift" : "catalogue_missing", "finding=%s",
                  log_quote(PQgetvalue(rows, row, 0)));
        loader->unfit = true;
    }
}

static void take_devices(struct loader *loader, const PGresult *rows) {
    loader->page_rows = PQntuples(rows);
    if (registry_take_devices(loader->world->registry, rows, &loader->last_id) != 0) {
        log_error("out_of_memory", "what=registry");
        abort();
    }
}

/* Rules and conditions take effect together: the loop may judge records between the two answers. */
static int take_rules(struct loader *loader, int statement, const PGresult *result) {
    struct alarms *alarms = loader->world->alarms;
    if (statement == 0) {
        PQclear(loader->rules);
        loader->rules = PQcopyResult(result, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
        return loader->rules == NULL ? CH_EMEMORY : 0;
    }
    int code = alarms_take_rules(alarms, loader->rules);
    return code != 0 ? code : alarms_take_conditions(alarms, loader->world->registry, result);
}

static void task_result(void *user, int statement, const PGresult *result) {
    struct loader *loader = user;
    int code = 0;
    switch (loader->running) {
    case TASK_CATALOGUE:
        take_catalogue(loader, statement, result);
        break;
    case TASK_VENDORS:
        if (statement == 0) {
            snprintf(loader->loading_at, sizeof loader->loading_at, "%s", PQgetvalue(result, 0, 0));
        } else {
            code = registry_take_vendors(loader->world->registry, result);
        }
        break;
    case TASK_DEVICES:
        take_devices(loader, result);
        break;
    case TASK_RULES:
        code = take_rules(loader, statement, result);
        break;
    case TASK_LANES:
        if (PQntuples(result) > 0 && loader->strays == NULL) {
            loader->strays = PQcopyResult(result, PG_COPYRES_TUPLES);
        }
        break;
    default:
        break;
    }
    if (code != 0) {
        log_error("out_of_memory", "what=loader");
        abort();
    }
}

/* ---- statements, by task ---- */

static void sql_catalogue(struct loader *loader) {
    char *catalogue = adapter_json();
    static const char *const functions[] = {"catalogue_drift", "catalogue_missing"};
    loader->sql.failed = catalogue == NULL;
    for (size_t i = 0; catalogue != NULL && i < ADAPTER_COUNT_OF(functions); i++) {
        buffer_format(&loader->sql, "SELECT f FROM onemap.%s(", functions[i]);
        buffer_literal(&loader->sql, catalogue, strlen(catalogue));
        buffer_text(&loader->sql, "::jsonb) f;\n");
    }
    free(catalogue);
}

static void sql_devices(struct loader *loader) {
    char text[512];
    char since[SINCE_TEXT + 64];
    snprintf(since, sizeof since, loader->since[0] == '\0' ? "'-infinity'" : "timestamptz '%s' - interval '2 minutes'",
             loader->since);
    registry_devices_sql(text, sizeof text, loader->last_id, since);
    buffer_text(&loader->sql, text);
}

static void sql_lanes(struct loader *loader) {
    const struct config *config = loader->world->config;
    struct buffer *sql = &loader->sql;
    struct buffer names = {0};
    for (size_t i = 0; i < adapter_count; i++) {
        for (int n = 1; n <= config_lanes(config, adapters[i]->key); n++) {
            char id[192];
            snprintf(id, sizeof id, "%s-%s-%d", config->hub_instance, adapters[i]->key, n);
            buffer_text(&names, names.length > 0 ? ",(" : "(");
            buffer_literal(&names, id, strlen(id));
            buffer_format(&names, ",'%s')", adapters[i]->key);
        }
    }
    buffer_text(sql, "INSERT INTO onemap.lane (client_id, subsystem) VALUES ");
    buffer_bytes(sql, names.data, names.length);
    buffer_text(sql, " ON CONFLICT (client_id) DO NOTHING;\nSELECT l.client_id, l.subsystem FROM onemap.lane l WHERE"
                     " l.client_id LIKE ");
    char prefix[96];
    size_t at = 0;
    for (const char *c = config->hub_instance; *c != '\0' && at < sizeof prefix - 4; c++) {
        if (strchr("\\%_", *c) != NULL) {
            prefix[at++] = '\\';
        }
        prefix[at++] = *c;
    }
    memcpy(prefix + at, "-%", 3);
    buffer_literal(sql, prefix, strlen(prefix));
    buffer_text(sql, " AND (l.client_id, l.subsystem) NOT IN (VALUES ");
    buffer_bytes(sql, names.data, names.length);
    buffer_text(sql, ")");
    sql->failed = sql->failed || names.failed;
    buffer_free(&names);
}

static void build(struct loader *loader, enum task task) {
    struct buffer *sql = &loader->sql;
    buffer_reset(sql, 4096);
    switch (task) {
    case TASK_CATALOGUE:
        sql_catalogue(loader);
        break;
    case TASK_CATCH_UP:
        buffer_format(sql,
                      "SET statement_timeout = '%ds'; SELECT onemap.device_state_catch_up(); SET statement_timeout ="
                      " '%llds'",
                      CATCH_UP_TIMEOUT_S, (long long)loader->world->config->database_statement_timeout_s);
        break;
    case TASK_VENDORS:
        buffer_format(sql, "SELECT now(); %s", registry_vendors_sql);
        break;
    case TASK_DEVICES:
        sql_devices(loader);
        break;
    case TASK_RULES:
        alarms_reading(loader->world->alarms);
        buffer_format(sql, "%s; %s", alarms_rules_sql, alarms_conditions_sql);
        break;
    case TASK_LANES:
        sql_lanes(loader);
        break;
    default:
        buffer_bytes(sql, loader->forget.data, loader->forget.length);
        buffer_reset(&loader->forget, 0);
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

/* Classes of PostgreSQL's appendix A: 42 an object or a right is missing, 3F the schema is. */
static bool is_misfit(const struct postgres_error *error) {
    return strncmp(error->sqlstate, "42", 2) == 0 || strncmp(error->sqlstate, "3F", 2) == 0;
}

static void refuse(struct loader *loader) {
    loader->unfit = true;
    log_error("catalogue", "advice=%s",
              log_quote("the database does not fit this build: run `cityhub migrate`, or the right build"));
    loader->handlers.refused(loader->handlers.user);
}

static void task_done(void *user, const struct postgres_error *error) {
    struct loader *loader = user;
    if (error != NULL && loader->running == TASK_CATALOGUE && is_misfit(error)) {
        log_error("catalogue", "sqlstate=%s reason=%s", error->sqlstate, log_quote(error->message));
        refuse(loader);
        return;
    }
    if (error != NULL) {
        /* The task is still due: it runs again when the connection is back, or after a pause. */
        loader->due[loader->running] = true;
        loader->paging = false;
        loader->last_id = 0;
        log_warning("loader", "task=%d reason=%s", loader->running, log_quote(error->message));
        if (error->sqlstate[0] != '\0') {
            uv_timer_start(&loader->pause_timer, pause_over, FAILED_PAUSE_MS, 0);
        }
        return;
    }
    if (loader->unfit) {
        refuse(loader);
        return;
    }
    if (loader->running == TASK_DEVICES && loader->page_rows == REGISTRY_PAGE) {
        loader->due[TASK_DEVICES] = true; /* there are more pages */
        return;
    }
    if (loader->running == TASK_DEVICES) {
        loader->paging = false;
        loader->last_id = 0;
        memcpy(loader->since, loader->loading_at, sizeof loader->since);
        count_gauges(loader);
    } else if (loader->running == TASK_RULES) {
        hub_metrics.alarm_rules = (int64_t)alarms_rule_count(loader->world->alarms);
    } else if (loader->running == TASK_LANES && !loader->loaded) {
        loader->loaded = true;
        loader->handlers.loaded(loader->handlers.user, loader->strays);
    }
}

static void advance(struct loader *loader) {
    if (!postgres_idle(loader->session) || loader->unfit || uv_is_closing((uv_handle_t *)&loader->rules_timer) ||
        uv_is_active((uv_handle_t *)&loader->pause_timer)) {
        return;
    }
    for (size_t task = 0; task < TASK_COUNT; task++) {
        if (!loader->due[task]) {
            continue;
        }
        loader->running = (enum task)task;
        loader->paging = task == TASK_DEVICES;
        loader->due[task] = false; /* a notification that comes meanwhile makes it due again */
        build(loader, loader->running);
        const char *sql = buffer_string(&loader->sql);
        struct postgres_job job = {.sql = sql,
                                   .timeout_s = task == TASK_CATCH_UP ? CATCH_UP_TIMEOUT_S : 0,
                                   .result = task_result,
                                   .done = task_done,
                                   .user = loader};
        if (sql == NULL || postgres_run(loader->session, &job) != 0) {
            log_error("out_of_memory", "what=loader");
        }
        return;
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
    /* What changed while nobody listened. */
    loader->due[TASK_VENDORS] = loader->due[TASK_DEVICES] = loader->due[TASK_RULES] = true;
    loader->last_id = 0;
}

static void pause_over(uv_timer_t *timer) {
    advance(timer->data);
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
        log_error("out_of_memory", "what=loader");
        abort();
    }
    return loader;
}

bool loader_connected(const struct loader *loader) {
    return postgres_connected(loader->session);
}

void loader_forget_lane(struct loader *loader, const char *client_id) {
    buffer_text(&loader->forget, "DELETE FROM onemap.lane WHERE client_id = ");
    buffer_literal(&loader->forget, client_id, strlen(client_id));
    buffer_text(&loader->forget, ";");
    loader->due[TASK_FORGET] = true;
    advance(loader);
}

static void part_closed(void *user) {
    struct loader *loader = user;
    if (--loader->handles > 0) {
        return;
    }
    void (*closed)(void *) = loader->closed;
    void *closed_user = loader->closed_user;
    buffer_free(&loader->sql);
    buffer_free(&loader->forget);
    PQclear(loader->strays);
    PQclear(loader->rules);
    free(loader);
    if (closed != NULL) {
        closed(closed_user);
    }
}

static void timer_closed(uv_handle_t *handle) {
    part_closed(handle->data);
}

void loader_close(struct loader *loader, void (*closed)(void *user), void *user) {
    loader->closed = closed;
    loader->closed_user = user;
    loader->handles = 4;
    uv_close((uv_handle_t *)&loader->devices_timer, timer_closed);
    uv_close((uv_handle_t *)&loader->rules_timer, timer_closed);
    uv_close((uv_handle_t *)&loader->pause_timer, timer_closed);
    postgres_close(loader->session, part_closed, loader);
}

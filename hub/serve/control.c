/* control.c: loads what the hub must know, and hears of its changes by LISTEN. One task at a time, in the order of
 * enum task; a notification only marks its task as due. */
#include "hub/serve/control.h"

#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/metrics.h"
#include "hub/link/session.h"
#include "hub/migrate/catalogue.h"

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

struct control {
    const struct world *world;
    struct control_handlers handlers;
    struct session *session;
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

static void advance(struct control *control);
static void pause_over(uv_timer_t *timer);

/* ---- results, by task ---- */

static void take_catalogue(struct control *control, int statement, const PGresult *rows) {
    for (int row = 0; row < PQntuples(rows); row++) {
        log_error(statement == 0 ? "catalogue_drift" : "catalogue_missing", "finding=%s",
                  log_quote(PQgetvalue(rows, row, 0)));
        control->unfit = true;
    }
}

static void take_devices(struct control *control, const PGresult *rows) {
    control->page_rows = PQntuples(rows);
    if (registry_take_devices(control->world->registry, rows, &control->last_id) != 0) {
        log_error("out_of_memory", "what=registry");
        abort();
    }
}

/* Rules and conditions take effect together: the loop may judge records between the two answers. */
static int take_rules(struct control *control, int statement, const PGresult *result) {
    struct alarms *alarms = control->world->alarms;
    if (statement == 0) {
        PQclear(control->rules);
        control->rules = PQcopyResult(result, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
        return control->rules == NULL ? CH_EMEMORY : 0;
    }
    int code = alarms_take_rules(alarms, control->rules);
    return code != 0 ? code : alarms_take_conditions(alarms, control->world->registry, result);
}

static void task_result(void *user, int statement, const PGresult *result) {
    struct control *control = user;
    int code = 0;
    switch (control->running) {
    case TASK_CATALOGUE:
        take_catalogue(control, statement, result);
        break;
    case TASK_VENDORS:
        if (statement == 0) {
            snprintf(control->loading_at, sizeof control->loading_at, "%s", PQgetvalue(result, 0, 0));
        } else {
            code = registry_take_vendors(control->world->registry, result);
        }
        break;
    case TASK_DEVICES:
        take_devices(control, result);
        break;
    case TASK_RULES:
        code = take_rules(control, statement, result);
        break;
    case TASK_LANES:
        if (PQntuples(result) > 0 && control->strays == NULL) {
            control->strays = PQcopyResult(result, PG_COPYRES_TUPLES);
        }
        break;
    default:
        break;
    }
    if (code != 0) {
        log_error("out_of_memory", "what=control");
        abort();
    }
}

/* ---- statements, by task ---- */

static void sql_catalogue(struct control *control) {
    char *catalogue = catalogue_json();
    static const char *const functions[] = {"catalogue_drift", "catalogue_missing"};
    control->sql.failed = catalogue == NULL;
    for (size_t i = 0; catalogue != NULL && i < ADAPTER_COUNT_OF(functions); i++) {
        buffer_format(&control->sql, "SELECT f FROM onemap.%s(", functions[i]);
        buffer_literal(&control->sql, catalogue, strlen(catalogue));
        buffer_text(&control->sql, "::jsonb) f;\n");
    }
    free(catalogue);
}

static void sql_devices(struct control *control) {
    char text[512];
    char since[SINCE_TEXT + 64];
    snprintf(since, sizeof since, control->since[0] == '\0' ? "'-infinity'" : "timestamptz '%s' - interval '2 minutes'",
             control->since);
    registry_devices_sql(text, sizeof text, control->last_id, since);
    buffer_text(&control->sql, text);
}

static void sql_lanes(struct control *control) {
    const struct config *config = control->world->config;
    struct buffer *sql = &control->sql;
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

static void build(struct control *control, enum task task) {
    struct buffer *sql = &control->sql;
    buffer_reset(sql, 4096);
    switch (task) {
    case TASK_CATALOGUE:
        sql_catalogue(control);
        break;
    case TASK_CATCH_UP:
        buffer_format(sql,
                      "SET statement_timeout = '%ds'; SELECT onemap.device_state_catch_up(); SET statement_timeout ="
                      " '%llds'",
                      CATCH_UP_TIMEOUT_S, (long long)control->world->config->database_statement_timeout_s);
        break;
    case TASK_VENDORS:
        buffer_format(sql, "SELECT now(); %s", registry_vendors_sql);
        break;
    case TASK_DEVICES:
        sql_devices(control);
        break;
    case TASK_RULES:
        alarms_reading(control->world->alarms);
        buffer_format(sql, "%s; %s", alarms_rules_sql, alarms_conditions_sql);
        break;
    case TASK_LANES:
        sql_lanes(control);
        break;
    default:
        buffer_bytes(sql, control->forget.data, control->forget.length);
        buffer_reset(&control->forget, 0);
        break;
    }
}

/* ---- one task after the other ---- */

static void count_gauges(const struct control *control) {
    hub_metrics.devices = (int64_t)registry_device_count(control->world->registry);
    hub_metrics.vendors = (int64_t)registry_vendor_count(control->world->registry);
    hub_metrics.alarm_rules = (int64_t)alarms_rule_count(control->world->alarms);
    hub_metrics.registry_loads++;
}

/* Classes of PostgreSQL's appendix A: 42 an object or a right is missing, 3F the schema is. */
static bool is_misfit(const struct session_error *error) {
    return strncmp(error->sqlstate, "42", 2) == 0 || strncmp(error->sqlstate, "3F", 2) == 0;
}

static void refuse(struct control *control) {
    control->unfit = true;
    log_error("catalogue", "advice=%s",
              log_quote("the database does not fit this build: run `cityhub migrate`, or the right build"));
    control->handlers.refused(control->handlers.user);
}

static void task_done(void *user, const struct session_error *error) {
    struct control *control = user;
    if (error != NULL && control->running == TASK_CATALOGUE && is_misfit(error)) {
        log_error("catalogue", "sqlstate=%s reason=%s", error->sqlstate, log_quote(error->message));
        refuse(control);
        return;
    }
    if (error != NULL) {
        /* The task is still due: it runs again when the connection is back, or after a pause. */
        control->due[control->running] = true;
        control->paging = false;
        control->last_id = 0;
        log_warning("control", "task=%d reason=%s", control->running, log_quote(error->message));
        if (error->sqlstate[0] != '\0') {
            uv_timer_start(&control->pause_timer, pause_over, FAILED_PAUSE_MS, 0);
        }
        return;
    }
    if (control->unfit) {
        refuse(control);
        return;
    }
    if (control->running == TASK_DEVICES && control->page_rows == REGISTRY_PAGE) {
        control->due[TASK_DEVICES] = true; /* there are more pages */
        return;
    }
    if (control->running == TASK_DEVICES) {
        control->paging = false;
        control->last_id = 0;
        memcpy(control->since, control->loading_at, sizeof control->since);
        count_gauges(control);
    } else if (control->running == TASK_RULES) {
        hub_metrics.alarm_rules = (int64_t)alarms_rule_count(control->world->alarms);
    } else if (control->running == TASK_LANES && !control->loaded) {
        control->loaded = true;
        control->handlers.loaded(control->handlers.user, control->strays);
    }
}

static void advance(struct control *control) {
    if (!session_idle(control->session) || control->unfit || uv_is_closing((uv_handle_t *)&control->rules_timer) ||
        uv_is_active((uv_handle_t *)&control->pause_timer)) {
        return;
    }
    for (size_t task = 0; task < TASK_COUNT; task++) {
        if (!control->due[task]) {
            continue;
        }
        control->running = (enum task)task;
        control->paging = task == TASK_DEVICES;
        control->due[task] = false; /* a notification that comes meanwhile makes it due again */
        build(control, control->running);
        const char *sql = buffer_string(&control->sql);
        struct session_job job = {.sql = sql,
                                  .timeout_s = task == TASK_CATCH_UP ? CATCH_UP_TIMEOUT_S : 0,
                                  .result = task_result,
                                  .done = task_done,
                                  .user = control};
        if (sql == NULL || session_run(control->session, &job) != 0) {
            log_error("out_of_memory", "what=control");
        }
        return;
    }
}

/* The session is idle: also after each task. */
static void on_ready(void *user) {
    advance(user);
}

static void on_lost(void *user, const char *why) {
    struct control *control = user;
    (void)why;
    control->paging = false;
    /* What changed while nobody listened. */
    control->due[TASK_VENDORS] = control->due[TASK_DEVICES] = control->due[TASK_RULES] = true;
    control->last_id = 0;
}

static void pause_over(uv_timer_t *timer) {
    advance(timer->data);
}

static void devices_due(uv_timer_t *timer) {
    struct control *control = timer->data;
    if (control->paging) {
        /* A page that has been read may lack the change: read all of them once more. */
        uv_timer_start(timer, devices_due, DEVICES_PAUSE_MS, 0);
        return;
    }
    /* Vendors with them: their answer says up to when the devices are known. */
    control->due[TASK_VENDORS] = control->due[TASK_DEVICES] = true;
    advance(control);
}

static void rules_due(uv_timer_t *timer) {
    struct control *control = timer->data;
    control->due[TASK_RULES] = true;
    advance(control);
}

static void on_notified(void *user, const char *channel, const char *payload) {
    struct control *control = user;
    if (strcmp(channel, "cityhub_rules") == 0) {
        rules_due(&control->rules_timer);
    } else if (strcmp(payload, "vendor") == 0) {
        devices_due(&control->devices_timer);
    } else if (!uv_is_active((uv_handle_t *)&control->devices_timer)) {
        uv_timer_start(&control->devices_timer, devices_due, DEVICES_PAUSE_MS, 0);
    }
}

struct control *control_open(uv_loop_t *loop, const struct world *world, const struct control_handlers *handlers) {
    struct control *control = calloc(1, sizeof *control);
    if (control == NULL) {
        log_error("out_of_memory", "what=control");
        return NULL;
    }
    control->world = world;
    control->handlers = *handlers;
    for (size_t task = 0; task < TASK_FORGET; task++) {
        control->due[task] = true;
    }
    uv_timer_init(loop, &control->devices_timer);
    uv_timer_init(loop, &control->rules_timer);
    uv_timer_init(loop, &control->pause_timer);
    control->devices_timer.data = control->rules_timer.data = control->pause_timer.data = control;
    uv_timer_start(&control->rules_timer, rules_due, RULES_AGAIN_MS, RULES_AGAIN_MS);
    struct session_handlers session_handlers = {
        .ready = on_ready, .lost = on_lost, .notified = on_notified, .user = control};
    control->session = session_open(loop, world->config, "control", "LISTEN cityhub_registry; LISTEN cityhub_rules",
                                    &session_handlers);
    if (control->session == NULL) {
        log_error("out_of_memory", "what=control");
        abort();
    }
    return control;
}

bool control_connected(const struct control *control) {
    return session_connected(control->session);
}

void control_forget_lane(struct control *control, const char *client_id) {
    buffer_text(&control->forget, "DELETE FROM onemap.lane WHERE client_id = ");
    buffer_literal(&control->forget, client_id, strlen(client_id));
    buffer_text(&control->forget, ";");
    control->due[TASK_FORGET] = true;
    advance(control);
}

static void part_closed(void *user) {
    struct control *control = user;
    if (--control->handles > 0) {
        return;
    }
    void (*closed)(void *) = control->closed;
    void *closed_user = control->closed_user;
    buffer_free(&control->sql);
    buffer_free(&control->forget);
    PQclear(control->strays);
    PQclear(control->rules);
    free(control);
    if (closed != NULL) {
        closed(closed_user);
    }
}

static void timer_closed(uv_handle_t *handle) {
    part_closed(handle->data);
}

void control_close(struct control *control, void (*closed)(void *user), void *user) {
    control->closed = closed;
    control->closed_user = user;
    control->handles = 4;
    uv_close((uv_handle_t *)&control->devices_timer, timer_closed);
    uv_close((uv_handle_t *)&control->rules_timer, timer_closed);
    uv_close((uv_handle_t *)&control->pause_timer, timer_closed);
    session_close(control->session, part_closed, control);
}

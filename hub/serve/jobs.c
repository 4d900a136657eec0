/* jobs.c: periodic work as one table: what, how often, on which of two connections: the quick one writes device states
 * and reads gauges every few seconds, the slow one may take its time. A job that fails is told and tried again when it
 * is due the next time; none holds up another connection's. */
#include "hub/serve/jobs.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/buffer.h"
#include "hub/base/clock.h"
#include "hub/base/closing.h"
#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/metrics.h"
#include "hub/base/text.h"
#include "hub/link/postgres.h"
#include "hub/live/feed_source.h"
#include "hub/serve/gateways.h"

enum {
    TICK_MS = 100,
    SLOW_TIMEOUT_S = 1800,
    STATES_AT_ONCE = 5000,
    STATES_REST_PERCENT = 100, /* of a flood of devices those that report have the other half */
    GAUGES_S = 2,
    GAUGES_REST_PERCENT = 4900,
    PACK_REST_PERCENT = 20,
    MAINTAIN_S = 3600,
    WARNINGS_S = 60,
    CONFORMITY_S = 60,
    PACK_S = 300,
    JOBS_MAX = 8,
    FLOOD_DEVICES = 20000,
};

struct runner;

struct job {
    const char *name;
    /* Writes the job's SQL into runner->sql; false = nothing to do. */
    bool (*build)(struct runner *runner);
    void (*result)(struct runner *runner, int statement, const PGresult *result);
    void (*ended)(struct runner *runner, const struct postgres_error *error);
    bool (*urgent)(const struct runner *runner); /* it is due whatever the time; NULL = never */
    int64_t interval_s;
    int64_t rest_percent; /* of the time it took, that it rests at the least: what grows with a table takes no more */
    uint64_t due_at;      /* uv_now */
    uint64_t began_at;
    struct job_metrics *metrics;
};

/* One connection and the jobs that run on it. */
struct runner {
    struct jobs *jobs;
    struct postgres *session;
    struct job list[JOBS_MAX];
    size_t count;
    struct job *running;
    struct buffer sql;
    struct postgres_copy copies[1];
    size_t copy_count;
    bool rolled_up; /* the running rollup says that it was done */
    size_t turn;  /* of the list, whose it is: a job that takes longer than its interval keeps no other from running */
    bool flooded; /* states of so many devices waited that their memory is given back once they are written */
    int64_t timeout_s;
};

struct jobs {
    uv_loop_t *loop;
    const struct world *world;
    const struct config *config;
    struct jobs_handlers handlers;
    uv_timer_t timer;
    struct runner quick, slow;
    struct closing closing;
};

/* ---- the quick connection's ---- */

/* Rows are made as the server takes them. */
static bool more_states(void *user, struct buffer *piece) {
    const struct runner *runner = user;
    return states_copy(runner->jobs->world->states, piece);
}

static bool build_states(struct runner *runner) {
    struct states *states = runner->jobs->world->states;
    hub_metrics.state_dirty = (int64_t)states_dirty(states);
    runner->flooded = runner->flooded || states_dirty(states) > FLOOD_DEVICES;
    if (!states_due(states)) {
        feed_settled(runner->jobs->world->feed, feed_head(runner->jobs->world->feed));
        return false;
    }
    states_set_aside(states, STATES_AT_ONCE);
    runner->copies[0] = (struct postgres_copy){.more = more_states, .user = runner};
    runner->copy_count = 1;
    buffer_format(&runner->sql,
                  "BEGIN; TRUNCATE pg_temp.device_state_stage;"
                  " COPY pg_temp.device_state_stage %s FROM STDIN (FORMAT binary);"
                  " SELECT onemap.device_state_merge(",
                  states_copy_columns);
    states_copy_batches(states, &runner->sql);
    buffer_format(&runner->sql, "::uuid[], interval '%lld s'); COMMIT",
                  (long long)runner->jobs->config->time_max_ahead_s);
    return true;
}

static void end_states(struct runner *runner, const struct postgres_error *error) {
    struct states *states = runner->jobs->world->states;
    if (error != NULL) {
        states_unwritten(states);
    } else {
        states_written(states);
        feed_settled(runner->jobs->world->feed, states_position_written(states));
        if (states_dirty(states) >= STATES_AT_ONCE) {
            runner->running->due_at = uv_now(runner->jobs->loop); /* there are more: at once */
        } else if (runner->flooded) {
            runner->flooded = false;
            malloc_trim(0); /* a few ms; by itself the library keeps what lies between things that stay */
        }
    }
    hub_metrics.state_dirty = (int64_t)states_dirty(states);
}

static bool build_gauges(struct runner *runner) {
    buffer_text(&runner->sql,
                "SELECT (SELECT count(*) FROM onemap.device_state s WHERE s.online),"
                " (SELECT count(*) FROM (SELECT FROM onemap.alarm a WHERE a.closed_at IS NULL LIMIT 100000) a),"
                " (SELECT count(*) FROM (SELECT FROM onemap.quarantine q WHERE q.replayed_at IS NULL LIMIT 100000) q),"
                " (SELECT count(*) FROM (SELECT FROM onemap.outbox o WHERE o.sent_at IS NULL AND o.destination = 'mqtt'"
                " LIMIT 100000) o),"
                " (SELECT coalesce(sum(d.dropped), 0) FROM onemap.quarantine_day d WHERE d.day = (now() AT TIME ZONE"
                " 'UTC')::date)");
    return true;
}

static void take_gauges(struct runner *runner, int statement, const PGresult *result) {
    (void)runner;
    (void)statement;
    int64_t *gauges[] = {&hub_metrics.devices_online, &hub_metrics.alarms_open, &hub_metrics.quarantine_waiting,
                         &hub_metrics.outbox_waiting, &hub_metrics.quarantine_dropped};
    for (size_t i = 0; i < COUNT_OF(gauges) && PQntuples(result) == 1; i++) {
        *gauges[i] = strtoll(PQgetvalue(result, 0, (int)i), NULL, 10);
    }
    feed_source_counters(runner->jobs->world->feed, hub_metrics.devices_online, hub_metrics.alarms_open);
}

static bool feed_urgent(const struct runner *runner) {
    return feed_source_due(runner->jobs->world->feed, uv_now(runner->jobs->loop));
}

static bool build_feed(struct runner *runner) {
    struct feed *feed = runner->jobs->world->feed;
    uint64_t now = uv_now(runner->jobs->loop);
    if (!feed_source_due(feed, now)) {
        return false;
    }
    feed_source_sql(feed, now, &runner->sql);
    return true;
}

static void take_feed(struct runner *runner, int statement, const PGresult *result) {
    const struct world *world = runner->jobs->world;
    feed_source_take(world->feed, world->registry, statement, result);
}

static void end_feed(struct runner *runner, const struct postgres_error *error) {
    feed_source_end(runner->jobs->world->feed, error == NULL);
}

static bool gateways_urgent(const struct runner *runner) {
    return gateways_due(runner->jobs->handlers.gateways);
}

static bool build_gateways(struct runner *runner) {
    return gateways_sql(runner->jobs->handlers.gateways, &runner->sql);
}

static void take_gateways(struct runner *runner, int statement, const PGresult *result) {
    gateways_take(runner->jobs->handlers.gateways, statement, result);
}

static void end_gateways(struct runner *runner, const struct postgres_error *error) {
    gateways_end(runner->jobs->handlers.gateways, error == NULL); /* a gateway reports again in seconds */
}

/* ---- the slow connection's ---- */

static bool build_warnings(struct runner *runner) {
    buffer_text(&runner->sql, "SELECT c.warning, c.warning_zh, k.warning, k.warning_zh FROM (SELECT) one"
                              " LEFT JOIN onemap.calendar_warning() c ON true"
                              " LEFT JOIN onemap.terminal_key_warning() k ON true");
    return true;
}

/* A deadline that is counted without its year's holidays is wrong, and a key that is never changed is known one day:
 * whoever looks at the hub is told before. */
static void take_warnings(struct runner *runner, int statement, const PGresult *result) {
    (void)runner;
    (void)statement;
    struct {
        const char *name;
        struct words *words;
    } const list[] = {{"calendar", &hub_metrics.calendar_warning}, {"terminal_keys", &hub_metrics.key_warning}};
    for (int i = 0; i < (int)COUNT_OF(list); i++) {
        bool there = PQntuples(result) == 1;
        const char *en = there ? PQgetvalue(result, 0, 2 * i) : "", *zh = there ? PQgetvalue(result, 0, 2 * i + 1) : "";
        if (*en != '\0' && list[i].words->en[0] == '\0') {
            log_info(list[i].name, "warning=%s", log_quote(en));
        }
        snprintf(list[i].words->en, sizeof list[i].words->en, "%s", en);
        snprintf(list[i].words->zh, sizeof list[i].words->zh, "%s", zh);
        text_trim(list[i].words->zh);
    }
}

static bool build_partitions(struct runner *runner) {
    const struct config *config = runner->jobs->config;
    buffer_format(&runner->sql, "SELECT onemap.partition_maintain(%lld, %lld)",
                  (long long)config->retention_partitions_ahead_days, (long long)config->retention_observation_days);
    return true;
}

static void end_partitions(struct runner *runner, const struct postgres_error *error) {
    if (error == NULL) {
        runner->jobs->handlers.partitions_dropped(runner->jobs->handlers.user);
    }
}

static bool build_pack(struct runner *runner) {
    long long days = (long long)runner->jobs->config->retention_pack_after_days;
    if (days == 0) {
        return false;
    }
    buffer_format(&runner->sql, "SELECT onemap.pack_step((now() AT TIME ZONE 'UTC')::date - %lld)", days);
    return true;
}

/* One short step a time: while there is more to do the next one comes soon, and the other jobs in between. */
static void take_pack(struct runner *runner, int statement, const PGresult *result) {
    (void)statement;
    const char *step = PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : "busy";
    hub_metrics.days_packed += strcmp(step, "packed") == 0;
    if (strcmp(step, "done") != 0 && strcmp(step, "busy") != 0) {
        hub_metrics.pack_steps++;
        runner->running->due_at = uv_now(runner->jobs->loop);
    }
}

static bool build_delivery(struct runner *runner) {
    const struct config *config = runner->jobs->config;
    buffer_format(&runner->sql, "SELECT onemap.delivery_maintain(%lld, %lld)", (long long)config->retention_outbox_days,
                  (long long)config->retention_quarantine_days);
    return true;
}

static bool build_conformity(struct runner *runner) {
    buffer_text(&runner->sql, "SELECT onemap.conformity_add()");
    return true;
}

/* Rows are made as the server takes them. */
static bool more_rollups(void *user, struct buffer *piece) {
    struct runner *runner = user;
    return rollups_copy(runner->jobs->world->rollups, piece);
}

static bool build_rollup(struct runner *runner) {
    struct rollups *rollups = runner->jobs->world->rollups;
    runner->rolled_up = false;
    buffer_text(&runner->sql, "BEGIN ISOLATION LEVEL REPEATABLE READ;");
    if (rollups_send(rollups) > 0) {
        runner->copies[0] = (struct postgres_copy){.more = more_rollups, .user = runner};
        runner->copy_count = 1;
        buffer_format(&runner->sql, " COPY onemap.rollup_stage %s FROM STDIN (FORMAT binary);", rollups_copy_columns);
    }
    buffer_text(&runner->sql, " SELECT onemap.rollup_run(");
    rollups_copy_batches(rollups, &runner->sql);
    buffer_text(&runner->sql, "); COMMIT");
    return true;
}

/* NULL = another hub was at it. */
static void take_rollup(struct runner *runner, int statement, const PGresult *result) {
    (void)statement;
    if (PQntuples(result) == 1) {
        runner->rolled_up = PQgetisnull(result, 0, 0) == 0;
    }
}

static void end_rollup(struct runner *runner, const struct postgres_error *error) {
    if (error == NULL && runner->rolled_up) {
        rollups_written(runner->jobs->world->rollups);
    } else {
        rollups_unwritten(runner->jobs->world->rollups);
    }
}

static bool rollup_urgent(const struct runner *runner) {
    return rollups_full(runner->jobs->world->rollups);
}

static bool build_presence(struct runner *runner) {
    const struct jobs_handlers *handlers = &runner->jobs->handlers;
    int64_t since_ms = handlers->listening_since_ms(handlers->user);
    if (since_ms == 0) {
        return false; /* whoever does not listen cannot say who is silent */
    }
    buffer_format(&runner->sql, "SELECT onemap.presence_sweep('epoch'::timestamptz + %lld * interval '1 millisecond')",
                  (long long)since_ms);
    return true;
}

static bool build_sweeps(struct runner *runner) {
    buffer_text(&runner->sql, "SELECT p FROM pg_catalog.unnest(onemap.sweep_run()) p");
    return true;
}

static void take_sweeps(struct runner *runner, int statement, const PGresult *result) {
    (void)runner;
    (void)statement;
    for (int row = 0; row < PQntuples(result); row++) {
        hub_metrics.jobs_failed++;
        log_error("sweep_failed", "reason=%s", log_quote(PQgetvalue(result, row, 0)));
    }
}

/* ---- running them ---- */

static void job_result(void *user, int statement, const PGresult *result) {
    struct runner *runner = user;
    if (runner->running->result != NULL) {
        runner->running->result(runner, statement, result);
    }
}

/* It has done what there was to do: more is expected when it is due, and not before. */
static void job_through(const struct job *job, uint64_t now) {
    if (job->metrics != NULL) {
        job->metrics->due_at_ms = clock_now_ms() + (int64_t)(job->due_at - now);
    }
}

static void job_done(void *user, const struct postgres_error *error) {
    struct runner *runner = user;
    hub_metrics.jobs_run++;
    if (error != NULL && !runner->jobs->closing.begun) {
        hub_metrics.jobs_failed++;
        log_warning("job_failed", "job=%s sqlstate=%s reason=%s", runner->running->name,
                    error->sqlstate[0] == '\0' ? "-" : error->sqlstate, log_quote(error->message));
    }
    if (runner->running->ended != NULL) {
        runner->running->ended(runner, error);
    }
    uint64_t now = uv_now(runner->jobs->loop);
    uint64_t rested_at = now + (now - runner->running->began_at) * (uint64_t)runner->running->rest_percent / 100;
    runner->running->due_at = runner->running->due_at > rested_at ? runner->running->due_at : rested_at;
    if (error == NULL) {
        job_through(runner->running, now);
    }
    runner->running = NULL;
}

static void runner_advance(struct runner *runner) {
    uint64_t now = uv_now(runner->jobs->loop);
    size_t first = runner->turn;
    for (size_t i = 0; i < runner->count && runner->running == NULL && postgres_idle(runner->session); i++) {
        struct job *job = &runner->list[(first + i) % runner->count];
        if (job->due_at > now && (job->urgent == NULL || !job->urgent(runner))) {
            continue;
        }
        job->due_at = now + (uint64_t)job->interval_s * 1000;
        buffer_reset(&runner->sql, 4096);
        runner->copy_count = 0;
        if (!job->build(runner)) {
            job_through(job, now);
            continue;
        }
        const char *sql = buffer_string(&runner->sql);
        struct postgres_job session_job = {.sql = sql,
                                           .copies = runner->copies,
                                           .copy_count = runner->copy_count,
                                           .timeout_s = runner->timeout_s,
                                           .result = job_result,
                                           .done = job_done,
                                           .user = runner};
        runner->running = job;
        runner->turn = (first + i + 1) % runner->count;
        job->began_at = now;
        if (sql == NULL || postgres_run(runner->session, &session_job) != 0) {
            struct postgres_error error = {.sqlstate = "", .message = "out of memory"};
            job_done(runner, &error);
        }
    }
}

static void tick(uv_timer_t *timer) {
    struct jobs *jobs = timer->data;
    runner_advance(&jobs->quick);
    runner_advance(&jobs->slow);
}

static void job_add(struct runner *runner, const struct job *job) {
    runner->list[runner->count] = *job;
    runner->list[runner->count++].metrics = metrics_job_add(job->name);
}

static void jobs_list(struct jobs *jobs) {
    const struct config *config = jobs->config;
    job_add(&jobs->quick, &(struct job){.name = "device_state",
                                        .build = build_states,
                                        .ended = end_states,
                                        .interval_s = config->jobs_device_state_s,
                                        .rest_percent = STATES_REST_PERCENT});
    job_add(&jobs->quick, &(struct job){.name = "feed",
                                        .build = build_feed,
                                        .result = take_feed,
                                        .ended = end_feed,
                                        .urgent = feed_urgent,
                                        .interval_s = 1});
    if (jobs->handlers.gateways != NULL) {
        job_add(&jobs->quick, &(struct job){.name = "gateways",
                                            .build = build_gateways,
                                            .result = take_gateways,
                                            .ended = end_gateways,
                                            .urgent = gateways_urgent,
                                            .interval_s = 60});
    }
    job_add(&jobs->quick, &(struct job){.name = "gauges",
                                        .build = build_gauges,
                                        .result = take_gauges,
                                        .interval_s = GAUGES_S,
                                        .rest_percent = GAUGES_REST_PERCENT});
    job_add(&jobs->slow,
            &(struct job){
                .name = "partitions", .build = build_partitions, .ended = end_partitions, .interval_s = MAINTAIN_S});
    job_add(&jobs->slow, &(struct job){.name = "delivery", .build = build_delivery, .interval_s = MAINTAIN_S});
    job_add(&jobs->slow, &(struct job){.name = "rollup",
                                       .build = build_rollup,
                                       .result = take_rollup,
                                       .ended = end_rollup,
                                       .urgent = rollup_urgent,
                                       .interval_s = config->jobs_rollup_s});
    job_add(&jobs->slow,
            &(struct job){.name = "presence", .build = build_presence, .interval_s = config->jobs_offline_s});
    job_add(&jobs->slow,
            &(struct job){
                .name = "sweeps", .build = build_sweeps, .result = take_sweeps, .interval_s = config->jobs_offline_s});
    job_add(
        &jobs->slow,
        &(struct job){.name = "warnings", .build = build_warnings, .result = take_warnings, .interval_s = WARNINGS_S});
    job_add(&jobs->slow, &(struct job){.name = "pack",
                                       .build = build_pack,
                                       .result = take_pack,
                                       .interval_s = PACK_S,
                                       .rest_percent = PACK_REST_PERCENT});
    job_add(&jobs->slow, &(struct job){.name = "conformity", .build = build_conformity, .interval_s = CONFORMITY_S});
}

struct jobs *jobs_open(uv_loop_t *loop, const struct world *world, const struct jobs_handlers *handlers) {
    struct jobs *jobs = calloc(1, sizeof *jobs);
    if (jobs == NULL) {
        log_error("out_of_memory", "what=jobs");
        return NULL;
    }
    jobs->loop = loop;
    jobs->world = world;
    jobs->config = world->config;
    jobs->handlers = *handlers;
    jobs->quick.jobs = jobs->slow.jobs = jobs;
    jobs->slow.timeout_s = SLOW_TIMEOUT_S;
    jobs_list(jobs);
    /* lock_timeout stays as it is: a job may compute for long, but not wait long for others. */
    static const char slow_setup[] = "SET statement_timeout = '1800s'";
    struct postgres_handlers none = {0};
    jobs->quick.session = postgres_open(loop, world->config, "states", "SELECT onemap.stage_create()", &none);
    jobs->slow.session = postgres_open(loop, world->config, "jobs", slow_setup, &none);
    uv_timer_init(loop, &jobs->timer);
    jobs->timer.data = jobs;
    if (jobs->quick.session == NULL || jobs->slow.session == NULL) {
        jobs_close(jobs, NULL, NULL);
        return NULL;
    }
    uv_timer_start(&jobs->timer, tick, 0, TICK_MS);
    return jobs;
}

static void jobs_free(void *part) {
    struct jobs *jobs = part;
    buffer_free(&jobs->quick.sql);
    buffer_free(&jobs->slow.sql);
    free(jobs);
}

void jobs_close(struct jobs *jobs, void (*closed)(void *user), void *user) {
    struct postgres *const sessions[] = {jobs->quick.session, jobs->slow.session};
    closing_begin(&jobs->closing, jobs_free, jobs, closed, user);
    closing_handle(&jobs->closing, (uv_handle_t *)&jobs->timer);
    for (size_t i = 0; i < COUNT_OF(sessions); i++) {
        if (sessions[i] != NULL) {
            closing_await(&jobs->closing);
            postgres_close(sessions[i], closing_over, &jobs->closing);
        }
    }
}

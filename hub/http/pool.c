/* pool.c: connections, the queue before them, deadlines and cancelling. A statement is cancelled from a connection of
 * its own by pg_cancel_backend: libpq's PQcancel would block. Must never give a connection the next job while a cancel
 * is on its way to it: that would hit the wrong statement. */
#include "hub/http/pool.h"

#include <stdio.h>
#include <stdlib.h>

#include "hub/base/closing.h"
#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/metrics.h"

enum { TICK_MS = 100, CANCEL_AGAIN_MS = 1000, SETUP_MAX = 192 };

struct slot {
    struct pool *pool;
    struct postgres *session;
    struct pool_job *job;   /* NULL while the statement of a job that was abandoned runs on */
    struct in6_addr client; /* for whom the statement runs */
    bool running;           /* a statement is in the server's hands */
    bool writable;          /* the session's transactions may write */
    bool cancel_due;
    uint64_t cancelled_at; /* when it was last tried; 0 = never for this statement */
    bool resume_due;
    char name[32];
};

struct pool {
    uv_loop_t *loop;
    const struct config *config;
    struct postgres *canceller;
    struct slot *cancelling; /* whose statement is being cancelled */
    struct pool_job *first, **last;
    int64_t waiting;
    uv_timer_t tick;
    uv_idle_t soon;
    struct closing closing;
    char setup_sql[SETUP_MAX];
    size_t slot_count;
    struct slot slots[];
};

static void pool_advance(struct pool *pool);
static void on_tick(uv_timer_t *timer);
static void on_soon(uv_idle_t *idle);

/* ---- the queue ---- */

static void count_queue(const struct pool *pool) {
    int64_t running = 0;
    for (size_t i = 0; i < pool->slot_count; i++) {
        running += pool->slots[i].running;
    }
    hub_metrics.http_queue = pool->waiting;
    hub_metrics.http_queries = running;
}

static bool queue_remove(struct pool *pool, const struct pool_job *job) {
    for (struct pool_job **at = &pool->first; *at != NULL; at = &(*at)->next) {
        if (*at == job) {
            *at = job->next;
            if (*at == NULL) {
                pool->last = at;
            }
            pool->waiting--;
            return true;
        }
    }
    return false;
}

/* How many of the connections work for this client, also for what it has given up. */
static int64_t running_for(const struct pool *pool, const struct in6_addr *client) {
    int64_t running = 0;
    for (size_t i = 0; i < pool->slot_count; i++) {
        running += pool->slots[i].running && IN6_ARE_ADDR_EQUAL(&pool->slots[i].client, client);
    }
    return running;
}

/* How many wait for this client. */
static int64_t waiting_for(const struct pool *pool, const struct in6_addr *client) {
    int64_t waiting = 0;
    for (const struct pool_job *job = pool->first; job != NULL; job = job->next) {
        waiting += IN6_ARE_ADDR_EQUAL(&job->client, client);
    }
    return waiting;
}

/* Whose turn it is: of the client for whom the fewest run, the job that waits longest; NULL = all clients that wait
 * have as many as they may. */
static struct pool_job *queue_next(const struct pool *pool) {
    struct pool_job *next = NULL;
    int64_t fewest = pool->config->http_address_queries;
    for (struct pool_job *job = pool->first; job != NULL && fewest > 0; job = job->next) {
        int64_t running = running_for(pool, &job->client);
        if (running < fewest) {
            fewest = running;
            next = job;
        }
    }
    return next;
}

bool pool_connected(const struct pool *pool) {
    for (size_t i = 0; i < pool->slot_count; i++) {
        if (postgres_connected(pool->slots[i].session)) {
            return true;
        }
    }
    return false;
}

/* Fails all that wait. */
static void queue_fail(struct pool *pool, const char *why) {
    struct postgres_error error = {.sqlstate = ""};
    snprintf(error.message, sizeof error.message, "%s", why);
    while (pool->first != NULL) {
        struct pool_job *job = pool->first;
        queue_remove(pool, job);
        job->done(job->user, POOL_LOST, &error);
    }
}

/* ---- one statement ---- */

static bool slot_row(void *user, const PGresult *row) {
    struct slot *slot = user;
    /* Of an abandoned statement the rest is read and dropped. */
    return slot->job == NULL || slot->job->row(slot->job->user, row);
}

static void slot_end(struct slot *slot, enum pool_end end, const struct postgres_error *error) {
    struct pool_job *job = slot->job;
    slot->job = NULL;
    slot->running = slot->cancel_due = slot->resume_due = false;
    slot->cancelled_at = 0;
    count_queue(slot->pool);
    if (job != NULL) {
        job->done(job->user, end, error);
    }
}

static void slot_done(void *user, const struct postgres_error *error) {
    slot_end(user, error == NULL ? POOL_DONE : error->sqlstate[0] == '\0' ? POOL_LOST : POOL_REFUSED, error);
}

static void slot_run(struct slot *slot) {
    const struct pool_job *job = slot->job;
    uint64_t now = uv_now(slot->pool->loop);
    /* Texts are made of routes' rows, not of requests: there are few to keep. */
    struct postgres_job statement = {.sql = job->sql,
                                     .values = job->values,
                                     .value_count = job->value_count,
                                     .keep_statement = !job->writes,
                                     .row = slot_row,
                                     .done = slot_done,
                                     .user = slot};
    if (job->deadline_ms != UINT64_MAX) {
        statement.timeout_s = job->deadline_ms > now ? (int64_t)(job->deadline_ms - now) / 1000 + 1 : 1;
    }
    postgres_run(slot->session, &statement);
}

static void mode_done(void *user, const struct postgres_error *error) {
    struct slot *slot = user;
    slot->writable = error == NULL ? !slot->writable : slot->writable;
    if (error != NULL || slot->job == NULL) {
        slot_done(slot, error);
    } else {
        slot_run(slot);
    }
}

static void slot_start(struct slot *slot, struct pool_job *job) {
    slot->job = job;
    slot->client = job->client;
    slot->running = true;
    job->started = true;
    if (job->writes == slot->writable) {
        slot_run(slot);
        return;
    }
    const struct postgres_job statement = {.sql = job->writes ? "SET default_transaction_read_only = off"
                                                              : "SET default_transaction_read_only = on",
                                           .done = mode_done,
                                           .user = slot};
    postgres_run(slot->session, &statement);
}

/* ---- cancelling ---- */

static void cancel_done(void *user, const struct postgres_error *error) {
    struct pool *pool = user;
    struct slot *slot = pool->cancelling;
    pool->cancelling = NULL;
    if (error != NULL) {
        log_warning("http_cancel", "session=%s reason=%s", slot->name, log_quote(error->message));
    }
    /* Still there in a second? Then once more. */
    slot->cancelled_at = slot->running ? uv_now(pool->loop) : 0;
}

static void cancel_next(struct pool *pool) {
    for (size_t i = 0; i < pool->slot_count && pool->cancelling == NULL && postgres_idle(pool->canceller); i++) {
        struct slot *slot = &pool->slots[i];
        int backend = postgres_backend(slot->session);
        if (!slot->cancel_due || backend == 0) {
            continue;
        }
        char sql[80];
        snprintf(sql, sizeof sql, "SELECT pg_catalog.pg_cancel_backend(%d)", backend);
        const struct postgres_job job = {.sql = sql, .done = cancel_done, .user = pool};
        slot->cancel_due = false;
        pool->cancelling = slot;
        postgres_run(pool->canceller, &job); /* the text is sent from within */
    }
}

/* The job's statement runs on for nobody. */
static void slot_abandon(struct slot *slot) {
    slot->job = NULL;
    slot->cancel_due = true;
    hub_metrics.http_cancelled++;
    /* What was paused is read to its end, or the cancel's answer would never be seen. */
    slot->resume_due = true;
    uv_idle_start(&slot->pool->soon, on_soon);
}

/* ---- the clock ---- */

static void deadlines_pass(struct pool *pool, uint64_t now) {
    for (struct pool_job **at = &pool->first; *at != NULL;) {
        struct pool_job *job = *at;
        if (job->deadline_ms > now) {
            at = &job->next;
            continue;
        }
        queue_remove(pool, job);
        job->done(job->user, POOL_LATE, NULL);
        at = &pool->first; /* whatever `done` did */
    }
    for (size_t i = 0; i < pool->slot_count; i++) {
        struct slot *slot = &pool->slots[i];
        struct pool_job *job = slot->job;
        if (job != NULL && job->deadline_ms <= now) {
            slot_abandon(slot);
            job->done(job->user, POOL_LATE, NULL);
        }
        if (slot->running && slot->job == NULL && slot->cancelled_at != 0 &&
            now - slot->cancelled_at >= CANCEL_AGAIN_MS) {
            slot->cancelled_at = 0;
            slot->cancel_due = true;
        }
    }
}

/* Gives out what can be given, and looks again in a while if anything is under way. */
static void pool_advance(struct pool *pool) {
    if (pool->closing.begun) {
        return;
    }
    for (size_t i = 0; i < pool->slot_count && pool->first != NULL; i++) {
        struct slot *slot = &pool->slots[i];
        if (postgres_idle(slot->session) && !slot->running && pool->cancelling != slot) {
            struct pool_job *job = queue_next(pool);
            if (job == NULL) {
                break;
            }
            queue_remove(pool, job);
            slot_start(slot, job);
        }
    }
    cancel_next(pool);
    if (pool->first != NULL && !pool_connected(pool)) {
        queue_fail(pool, "the database is away");
    }
    count_queue(pool);
    if ((pool->waiting > 0 || hub_metrics.http_queries > 0) && !uv_is_active((uv_handle_t *)&pool->tick)) {
        uv_timer_start(&pool->tick, on_tick, TICK_MS, 0);
    }
}

/* What was put off until the caller's stack is gone. */
static void on_soon(uv_idle_t *idle) {
    struct pool *pool = idle->data;
    uv_idle_stop(idle);
    for (size_t i = 0; i < pool->slot_count; i++) {
        struct slot *slot = &pool->slots[i];
        if (slot->resume_due) {
            slot->resume_due = false;
            postgres_resume(slot->session);
        }
    }
    pool_advance(pool);
}

static void on_tick(uv_timer_t *timer) {
    struct pool *pool = timer->data;
    deadlines_pass(pool, uv_now(pool->loop));
    pool_advance(pool);
}

/* ---- sessions ---- */

static void on_ready(void *user) {
    pool_advance(user);
}

static void on_lost(void *user, const char *why) {
    struct slot *slot = user;
    (void)why;
    slot->writable = false;
    pool_advance(slot->pool);
}

static void on_slot_ready(void *user) {
    pool_advance(((struct slot *)user)->pool);
}

/* ---- open and close ---- */

static bool sessions_open(struct pool *pool) {
    for (size_t i = 0; i < pool->slot_count; i++) {
        struct slot *slot = &pool->slots[i];
        const struct postgres_handlers handlers = {.ready = on_slot_ready, .lost = on_lost, .user = slot};
        slot->pool = pool;
        snprintf(slot->name, sizeof slot->name, "http-%zu", i + 1);
        slot->session = postgres_open(pool->loop, pool->config, slot->name, pool->setup_sql, &handlers);
        if (slot->session == NULL) {
            return false;
        }
    }
    const struct postgres_handlers handlers = {.ready = on_ready, .user = pool};
    pool->canceller = postgres_open(pool->loop, pool->config, "http-cancel", NULL, &handlers);
    return pool->canceller != NULL;
}

struct pool *pool_open(uv_loop_t *loop, const struct config *config, unsigned longest_s) {
    size_t count = (size_t)config->http_queries;
    struct pool *pool = calloc(1, sizeof *pool + count * sizeof pool->slots[0]);
    if (pool == NULL) {
        log_error("out_of_memory", "what=pool");
        return NULL;
    }
    pool->loop = loop;
    pool->config = config;
    pool->last = &pool->first;
    pool->slot_count = count;
    snprintf(pool->setup_sql, sizeof pool->setup_sql,
             "SET ROLE cityhub_api; SET default_transaction_read_only = on; SET statement_timeout = '%us'", longest_s);
    uv_timer_init(loop, &pool->tick);
    uv_idle_init(loop, &pool->soon);
    pool->tick.data = pool->soon.data = pool;
    if (!sessions_open(pool)) {
        pool_close(pool, NULL, NULL);
        return NULL;
    }
    return pool;
}

static void session_close(struct pool *pool, struct postgres *session) {
    if (session != NULL) {
        closing_await(&pool->closing);
        postgres_close(session, closing_over, &pool->closing);
    }
}

void pool_close(struct pool *pool, void (*closed)(void *user), void *user) {
    closing_begin(&pool->closing, free, pool, closed, user);
    queue_fail(pool, "the hub is stopping");
    closing_handle(&pool->closing, (uv_handle_t *)&pool->tick);
    closing_handle(&pool->closing, (uv_handle_t *)&pool->soon);
    for (size_t i = 0; i < pool->slot_count; i++) {
        session_close(pool, pool->slots[i].session);
    }
    session_close(pool, pool->canceller);
}

int pool_submit(struct pool *pool, struct pool_job *job) {
    if (pool->closing.begun || !pool_connected(pool)) {
        return CH_EDATABASE;
    }
    /* One client leaves a quarter of the places to others. */
    int64_t places = pool->config->http_queue;
    if (pool->waiting >= places || waiting_for(pool, &job->client) >= places - places / 4) {
        return CH_EFULL;
    }
    job->next = NULL;
    job->started = false;
    *pool->last = job;
    pool->last = &job->next;
    pool->waiting++;
    uv_idle_start(&pool->soon, on_soon);
    count_queue(pool);
    return 0;
}

void pool_resume(struct pool *pool, struct pool_job *job) {
    for (size_t i = 0; i < pool->slot_count; i++) {
        if (pool->slots[i].job == job) {
            pool->slots[i].resume_due = true;
            uv_idle_start(&pool->soon, on_soon);
        }
    }
}

void pool_abandon(struct pool *pool, struct pool_job *job) {
    if (queue_remove(pool, job)) {
        hub_metrics.http_cancelled++;
        count_queue(pool);
        return;
    }
    for (size_t i = 0; i < pool->slot_count; i++) {
        if (pool->slots[i].job == job) {
            slot_abandon(&pool->slots[i]);
        }
    }
}

/* writer.c: the pool of connections that store batches, and what to do about each way in which that can fail. Must
 * never call a batch committed that is not, nor give one up. */
#include "hub/store/writer.h"

#include <stdlib.h>
#include <string.h>

#include "hub/base/clock.h"
#include "hub/base/closing.h"
#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/decode/decode.h"
#include "hub/know/days.h"
#include "hub/link/postgres.h"
#include "hub/store/fault.h"
#include "hub/store/transaction.h"

enum {
    BACKOFF_FIRST_MS = 50,
    BACKOFF_LAST_MS = 5000,
    MENDS_MAX = 3,     /* of a transaction at once, without waiting */
    TROUBLE_MS = 5000, /* of failures alone, before it is called trouble */
    TROUBLE_BYTES = 200,
    YIELD_NS = 1000000000, /* so long a batch lets others pass */
};

static const char memory_out[] = "out of memory";

enum step {
    STEP_NONE,       /* no batch */
    STEP_PREPARE,    /* ids and partitions, then STORE or SETTLE */
    STEP_IDS,        /* ids are drawn */
    STEP_PARTITIONS, /* partitions are made */
    STEP_STORE,      /* the fast path runs */
    STEP_SETTLE,     /* the slow path's first half runs */
    STEP_FINISH,     /* its second half */
    STEP_REPAIR,     /* asks for the real ids of devices that another hub registered */
    STEP_VERIFY,     /* asks whether a commit whose answer was lost took place */
};

struct slot {
    struct writer *writer;
    struct postgres *session;
    char name[24];
    uv_timer_t timer; /* backoff */
    struct writer_job *job;
    struct slice slice;
    struct transaction transaction;
    enum step step;
    bool running;               /* a job of the session runs */
    bool settle;                /* a duplicate was met */
    bool unsure;                /* a commit's answer was lost: nothing else is done before STEP_VERIFY has one */
    bool doubted;               /* ... and was not found: but the server may have been at it still */
    bool again;                 /* STEP_VERIFY asks a second time, as something of the batch is stored already */
    bool found;                 /* STEP_VERIFY's answer */
    int mends;                  /* what was wrong with the transaction, and was put right */
    struct suspicion suspicion; /* of the slice */
    unsigned backoff_ms;
};

struct writer {
    uv_loop_t *loop;
    const struct config *config;
    void (*outbox_written)(void *user);
    void *user;
    struct slot *slots;
    size_t slot_count;
    struct writer_job *first;    /* waiting: two a lane at the most */
    struct days days;            /* that have partitions */
    uint64_t failing_since;      /* the first failure after the last success; 0 = none */
    char failure[TROUBLE_BYTES]; /* the last one's reason */
    struct closing closing;
};

static void slot_advance(struct slot *slot);

void writer_forget_partitions(struct writer *writer) {
    days_forget(&writer->days);
}

/* Connections that are there, or those of them that have no batch. */
static int64_t count_connected(const struct writer *writer, bool idle) {
    int64_t count = 0;
    for (size_t i = 0; i < writer->slot_count; i++) {
        count += postgres_connected(writer->slots[i].session) && !(idle && writer->slots[i].job != NULL);
    }
    return count;
}

static void count_gauges(struct writer *writer) {
    hub_metrics.writers_connected = count_connected(writer, false);
    hub_metrics.writers_idle = count_connected(writer, true);
    hub_metrics.writer_queue = 0;
    for (const struct writer_job *job = writer->first; job != NULL; job = job->next) {
        hub_metrics.writer_queue++;
    }
    hub_metrics.database_connected = hub_metrics.writers_connected > 0;
}

const char *writer_trouble(const struct writer *writer) {
    bool failing = writer->failing_since != 0 && uv_now(writer->loop) - writer->failing_since > TROUBLE_MS;
    return failing ? writer->failure : NULL;
}

bool writer_connected(const struct writer *writer) {
    for (size_t i = 0; i < writer->slot_count; i++) {
        if (postgres_connected(writer->slots[i].session)) {
            return true;
        }
    }
    return false;
}

bool writer_spare(const struct writer *writer) {
    return writer->first == NULL && (size_t)count_connected(writer, true) * 2 >= writer->slot_count;
}

/* ---- the end of a batch ---- */

static void count_slice(const struct slot *slot) {
    struct lane_metrics *metrics = slot->job->batch->metrics;
    for (size_t m = slot->slice.first; m < slot->slice.last; m++) {
        const struct batch_message *message = &slot->slice.batch->messages[m];
        metrics->messages_quarantined += message->problem_count + message->field_count > 0 || message->refused;
        if (message->refused) {
            metrics->records_rejected += (uint64_t)message->total;
            continue;
        }
        metrics->records_committed += message->fates[FATE_STORED];
        metrics->records_duplicate += message->fates[FATE_DUPLICATE];
        metrics->records_merged += message->fates[FATE_MERGED];
        metrics->records_revised += message->fates[FATE_REVISED];
        metrics->fields_rejected += (uint64_t)message->field_count;
        metrics->warnings += (uint64_t)message->warning_count;
        /* A message refused whole has no records: it counts as quarantined alone. */
        metrics->records_rejected += message->total == 0 ? 0 : (uint64_t)message->problem_count;
    }
}

static void count_batch(const struct slot *slot) {
    const struct writer_job *job = slot->job;
    struct lane_metrics *metrics = job->batch->metrics;
    int64_t now_ms = clock_now_ms();
    metrics->batches_committed++;
    metrics->batches_settled += slot->settle;
    metrics->committed_at_ms = now_ms;
    metrics->failure[0] = '\0';
    metrics->batch_lag_s = (double)(now_ms - job->batch->messages[0].received_at_ms) / 1000;
    histogram_observe(&metrics->batch_records, job->batch->records);
    histogram_observe(&metrics->commit_s, (double)(uv_hrtime() - job->submitted_at) / 1e9);
    for (size_t i = 0; i < job->batch->operation_count; i++) {
        const struct alarm_operation *operation = &job->batch->operations[i];
        bool applied = !job->batch->messages[operation->message].refused;
        hub_metrics.alarms_opened += applied && operation->action == ALARM_OPEN;
        hub_metrics.alarms_closed += applied && operation->action == ALARM_CLOSE;
    }
}

static void queue_deal(struct writer *writer);

static void slot_committed(struct slot *slot) {
    slot->writer->failing_since = 0;
    count_slice(slot);
    slice_committed(&slot->slice);
    slice_take_devices(&slot->slice, slot->transaction.devices);
    slot->unsure = slot->doubted = slot->again = false;
    slot->suspicion = (struct suspicion){.failures = 0};
    slot->mends = 0;
    slot->backoff_ms = BACKOFF_FIRST_MS;
    if ((slot->transaction.outbox || slot->step == STEP_VERIFY) && slot->writer->outbox_written != NULL) {
        slot->writer->outbox_written(slot->writer->user);
    }
    if (slot->slice.last < slot->slice.batch->message_count) {
        slot->slice.first = slot->slice.last++;
        slice_stamp(&slot->slice);
        slot->step = STEP_PREPARE;
        slot_advance(slot);
        return;
    }
    count_batch(slot);
    struct writer_job *job = slot->job;
    slot->job = NULL;
    slot->step = STEP_NONE;
    transaction_reset(&slot->transaction);
    job->committed(job->user);
    queue_deal(slot->writer);
    count_gauges(slot->writer);
}

/* ---- failures ---- */

static void backoff_over(uv_timer_t *timer) {
    slot_advance(timer->data);
}

static void retry_later(struct slot *slot, const char *why) {
    struct lane_metrics *metrics = slot->job->batch->metrics;
    struct writer *writer = slot->writer;
    writer->failing_since = writer->failing_since != 0 ? writer->failing_since : uv_now(writer->loop);
    snprintf(writer->failure, sizeof writer->failure, "%s", why);
    metrics->batch_failures++;
    snprintf(metrics->failure, sizeof metrics->failure, "%s", why);
    log_warning("batch_retry", "lane=%s records=%d retry_ms=%u reason=%s", metrics->lane, slot->job->batch->records,
                slot->backoff_ms, log_quote(why));
    uv_timer_start(&slot->timer, backoff_over, slot->backoff_ms, 0);
    slot->backoff_ms = slot->backoff_ms * 2 > BACKOFF_LAST_MS ? BACKOFF_LAST_MS : slot->backoff_ms * 2;
}

/* The message at hand goes to quarantine whole: the database will not have it. False if memory is out. */
static bool refuse_message(const struct slot *slot, const struct postgres_error *error) {
    char reason[DECODE_REASON_MAX];
    fault_reason(error, slot->writer->config->database_statement_timeout_s, reason, sizeof reason);
    return slice_refuse(&slot->slice, "refused_by_database", reason);
}

/* Something in the slice is not to be stored: it is taken message by message until that one is found. */
static void data_fault(struct slot *slot, const struct postgres_error *error) {
    const struct batch *batch = slot->slice.batch;
    if (slot->slice.last - slot->slice.first > 1) {
        log_warning("batch_divided", "lane=%s messages=%zu reason=%s", batch->metrics->lane,
                    slot->slice.last - slot->slice.first, log_quote(error->message));
        slot->slice.last = slot->slice.first + 1;
    } else if (batch->messages[slot->slice.first].refused) {
        retry_later(slot, error->message); /* not even that it was refused can be stored */
        return;
    } else if (!refuse_message(slot, error)) {
        retry_later(slot, memory_out);
        return;
    }
    slot_advance(slot);
}

/* 23505: some row is there already. */
static void duplicate_met(struct slot *slot, const struct postgres_error *error) {
    if (slot->doubted) {
        /* A transaction given up for lost may have committed after all: then what it stored is met here. */
        slot->doubted = false;
        slot->unsure = slot->again = true;
        slot->step = STEP_VERIFY;
        slot_advance(slot);
    } else if (!slot->settle) {
        slot->settle = true;
        slice_stamp(&slot->slice);
        slot_advance(slot);
    } else {
        data_fault(slot, error); /* not of a record: the slow path has settled those */
    }
}

/* A transaction that other hubs, or the retention, have made wrong is put right at once: a few times. */
static bool mend(struct slot *slot, const struct postgres_error *error) {
    bool ids = strcmp(error->sqlstate, "CH001") == 0;
    bool partitions = strcmp(error->sqlstate, "23514") == 0;
    if ((!ids && !partitions) || slot->mends++ >= MENDS_MAX) {
        return false;
    }
    if (ids) {
        slot->step = STEP_REPAIR;
    } else {
        writer_forget_partitions(slot->writer); /* dropped meanwhile */
    }
    slot_advance(slot);
    return true;
}

static void slot_failed(struct slot *slot, const struct postgres_error *error) {
    bool committing = slot->step == STEP_STORE || slot->step == STEP_FINISH;
    bool storing = committing || slot->step == STEP_SETTLE;
    /* Lost. Whether it was committed is asked once the connection is back. */
    slot->unsure = slot->unsure || (committing && error->sqlstate[0] == '\0');
    slot->step = slot->unsure ? STEP_VERIFY : STEP_PREPARE;
    if (storing && !slot->unsure && postgres_error_patience(error) > 0) {
        if (fault_suspect(&slot->suspicion, &slot->slice, error)) {
            data_fault(slot, error);
        } else {
            retry_later(slot, error->message);
        }
    } else if (!storing || postgres_error_transient(error)) {
        retry_later(slot, error->message); /* nobody's data is at fault */
    } else if (strcmp(error->sqlstate, "23505") == 0) {
        duplicate_met(slot, error);
    } else if (!mend(slot, error)) {
        data_fault(slot, error);
    }
}

/* ---- steps ---- */

static const struct postgres_error lost = {.message = "the connection to the database was lost"};

static void step_result(void *user, int statement, const PGresult *result) {
    struct slot *slot = user;
    switch (slot->step) {
    case STEP_IDS:
        slice_give_ids(&slot->slice, result);
        break;
    case STEP_REPAIR:
        slice_take_ids(&slot->slice, result);
        break;
    case STEP_VERIFY:
        slot->found = slot->found || (statement == 0 && PQntuples(result) == 1);
        transaction_take(&slot->transaction, &slot->slice, statement, result);
        break;
    case STEP_STORE:
    case STEP_SETTLE:
    case STEP_FINISH:
        transaction_take(&slot->transaction, &slot->slice, statement, result);
        break;
    default:
        break;
    }
}

static void mark_partitions(struct slot *slot) {
    size_t count;
    int64_t *days = slice_days(&slot->slice, &count);
    for (size_t i = 0; days != NULL && i < count; i++) {
        days_mark(&slot->writer->days, days[i]);
    }
    free(days);
}

static void step_done(void *user, const struct postgres_error *error) {
    struct slot *slot = user;
    slot->running = false;
    if (slot->writer->closing.begun) {
        return;
    }
    if (error != NULL) {
        slot_failed(slot, error);
        return;
    }
    switch (slot->step) {
    case STEP_STORE:
    case STEP_FINISH:
        slot_committed(slot);
        return;
    case STEP_SETTLE:
        slot->step = STEP_FINISH;
        break;
    case STEP_PARTITIONS:
        mark_partitions(slot);
        slot->step = STEP_PREPARE;
        break;
    case STEP_VERIFY:
        if (slot->found) {
            slot_committed(slot);
            return;
        }
        if (slot->again) {
            slot->settle = true; /* what is there already is of another batch */
            slice_stamp(&slot->slice);
        }
        slot->step = STEP_PREPARE;
        slot->doubted = !slot->again;
        slot->unsure = slot->again = false;
        if (slot->doubted && fault_suspect(&slot->suspicion, &slot->slice, &lost)) {
            data_fault(slot, &lost);
            return;
        }
        break;
    default:
        slot->step = STEP_PREPARE;
        break;
    }
    slot_advance(slot);
}

static void run(struct slot *slot, enum step step) {
    struct transaction *transaction = &slot->transaction;
    const char *sql = buffer_string(&transaction->sql);
    if (sql == NULL || transaction_failed(transaction)) {
        transaction_free(transaction);
        *transaction = (struct transaction){0};
        retry_later(slot, memory_out);
        return;
    }
    slot->step = step;
    slot->running = true;
    struct postgres_job job = {.sql = sql,
                               .copies = transaction->copies,
                               .copy_count = transaction->copy_count,
                               .keep_transaction = step == STEP_SETTLE,
                               .result = step_result,
                               .done = step_done,
                               .user = slot};
    if (postgres_run(slot->session, &job) != 0) {
        slot->running = false;
        retry_later(slot, "the connection is busy");
    }
}

/* Statements that make the partitions which the slice needs and of which nothing is known; false if there are none.
 * Each day has a transaction of its own: all of a message's would need more locks than the server may have. */
static bool build_partitions(struct slot *slot) {
    struct buffer *sql = &slot->transaction.sql;
    size_t count;
    bool any = false;
    int64_t *days = slice_days(&slot->slice, &count);
    transaction_reset(&slot->transaction);
    sql->failed = days == NULL;
    for (size_t i = 0; days != NULL && i < count; i++) {
        if (!days_has(&slot->writer->days, days[i])) {
            buffer_format(sql, "BEGIN; SELECT onemap.partition_ensure(('epoch'::date + %lld)::date); COMMIT;",
                          (long long)days[i]);
            any = true;
        }
    }
    free(days);
    return any || sql->failed;
}

static void prepare(struct slot *slot) {
    struct buffer *sql = &slot->transaction.sql;
    size_t without_id = slice_devices_without_id(&slot->slice);
    if (without_id > 0) {
        transaction_reset(&slot->transaction);
        buffer_format(sql, "SELECT pg_catalog.nextval('onemap.device_id') FROM pg_catalog.generate_series(1, %zu)",
                      without_id);
        run(slot, STEP_IDS);
    } else if (build_partitions(slot)) {
        run(slot, STEP_PARTITIONS);
    } else if ((slot->settle || slot->slice.batch->replays) && slice_rows(&slot->slice) > 0) {
        transaction_settle(&slot->transaction, &slot->slice);
        run(slot, STEP_SETTLE);
    } else {
        transaction_store(&slot->transaction, &slot->slice);
        run(slot, STEP_STORE);
    }
}

/* Takes the batch's next step, if the connection is there. */
static void slot_advance(struct slot *slot) {
    if (slot->job == NULL || slot->running || slot->writer->closing.begun ||
        uv_is_active((uv_handle_t *)&slot->timer) || !postgres_idle(slot->session)) {
        return;
    }
    switch (slot->step) {
    case STEP_FINISH:
        transaction_finish(&slot->transaction, &slot->slice);
        run(slot, STEP_FINISH);
        break;
    case STEP_REPAIR:
        transaction_ask_ids(&slot->transaction, &slot->slice);
        run(slot, STEP_REPAIR);
        break;
    case STEP_VERIFY:
        slot->found = false;
        transaction_verify(&slot->transaction, &slot->slice);
        run(slot, STEP_VERIFY);
        break;
    default:
        prepare(slot);
        break;
    }
}

/* ---- the pool ---- */

/* Takes the next batch for an idle connection out of the queue: the one that waits longest of those that do not yield,
 * else of the others, unless no other connection would be left to whoever comes next. NULL = none. */
static struct writer_job *queue_take(struct writer *writer) {
    struct writer_job **at = &writer->first;
    while (*at != NULL && (*at)->yields && uv_hrtime() - (*at)->submitted_at < YIELD_NS) {
        at = &(*at)->next;
    }
    if (*at == NULL && (count_connected(writer, true) > 1 || count_connected(writer, false) == 1)) {
        at = &writer->first;
    }
    struct writer_job *job = *at;
    if (job != NULL) {
        *at = job->next;
        job->next = NULL;
    }
    return job;
}

/* Gives an idle connection a batch. */
static void slot_take(struct slot *slot) {
    struct writer *writer = slot->writer;
    bool idle = slot->job == NULL && !slot->running && postgres_idle(slot->session);
    struct writer_job *job = idle ? queue_take(writer) : NULL;
    if (job != NULL) {
        slot->job = job;
        slot->slice = (struct slice){.batch = job->batch, .first = 0, .last = job->batch->message_count};
        slice_stamp(&slot->slice);
        slot->settle = slot->unsure = slot->doubted = slot->again = false;
        slot->suspicion = (struct suspicion){.failures = 0};
        slot->mends = 0;
        slot->backoff_ms = BACKOFF_FIRST_MS;
        slot->step = STEP_PREPARE;
        slot_advance(slot);
    }
    count_gauges(writer);
}

static void queue_deal(struct writer *writer) {
    for (size_t i = 0; i < writer->slot_count && writer->first != NULL; i++) {
        slot_take(&writer->slots[i]);
    }
}

static void session_ready(void *user) {
    struct slot *slot = user;
    if (slot->job != NULL) {
        slot_advance(slot);
    }
    queue_deal(slot->writer);
    count_gauges(slot->writer);
}

static void session_lost(void *user, const char *why) {
    struct slot *slot = user;
    (void)why;
    hub_metrics.database_losses++;
    if (!slot->running && slot->step == STEP_FINISH) {
        slot->step = STEP_PREPARE; /* its open transaction has gone with the connection */
    }
    queue_deal(slot->writer); /* what yielded to nobody but this one */
    count_gauges(slot->writer);
}

void writer_submit(struct writer *writer, struct writer_job *job) {
    struct writer_job **end = &writer->first;
    job->next = NULL;
    job->submitted_at = uv_hrtime();
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = job;
    queue_deal(writer);
    count_gauges(writer);
}

static void writer_free(void *part) {
    struct writer *writer = part;
    for (size_t i = 0; i < writer->slot_count; i++) {
        transaction_free(&writer->slots[i].transaction);
    }
    free(writer->slots);
    free(writer);
}

void writer_close(struct writer *writer, void (*closed)(void *user), void *user) {
    closing_begin(&writer->closing, writer_free, writer, closed, user);
    for (size_t i = 0; i < writer->slot_count; i++) {
        closing_handle(&writer->closing, (uv_handle_t *)&writer->slots[i].timer);
        if (writer->slots[i].session != NULL) {
            closing_await(&writer->closing);
            postgres_close(writer->slots[i].session, closing_over, &writer->closing);
        }
    }
}

static bool slot_open(struct writer *writer, struct slot *slot) {
    struct postgres_handlers handlers = {.ready = session_ready, .lost = session_lost, .user = slot};
    slot->writer = writer;
    snprintf(slot->name, sizeof slot->name, "writer-%zu", ++writer->slot_count);
    uv_timer_init(writer->loop, &slot->timer);
    slot->timer.data = slot;
    slot->session = postgres_open(writer->loop, writer->config, slot->name, "SELECT onemap.stage_create()", &handlers);
    return slot->session != NULL;
}

struct writer *writer_open(uv_loop_t *loop, const struct config *config, void (*outbox_written)(void *user),
                           void *user) {
    struct writer *writer = calloc(1, sizeof *writer);
    struct slot *slots = calloc((size_t)config->database_writers, sizeof *slots);
    if (writer == NULL || slots == NULL) {
        free(writer);
        free(slots);
        log_error("out_of_memory", "what=writer");
        return NULL;
    }
    writer->loop = loop;
    writer->config = config;
    writer->outbox_written = outbox_written;
    writer->user = user;
    writer->slots = slots;
    for (int64_t i = 0; i < config->database_writers; i++) {
        if (!slot_open(writer, &slots[i])) {
            writer_close(writer, NULL, NULL);
            return NULL;
        }
    }
    return writer;
}

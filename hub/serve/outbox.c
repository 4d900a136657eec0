/* outbox.c: from onemap.outbox to the broker. A row takes one of a bounded number of places, is published with QoS 1,
 * and leaves its place when the database knows that the broker has it. Rows are not read behind a cursor: writers
 * commit side by side, so a smaller id may become visible later; what is read is whatever is unsent, due and has no
 * place yet. Must never mark a row that the broker has not acknowledged. */
#include "hub/serve/outbox.h"

#include <mqtt_protocol.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/buffer.h"
#include "hub/base/closing.h"
#include "hub/base/log.h"
#include "hub/base/metrics.h"
#include "hub/base/topic.h"
#include "hub/link/mqtt.h"
#include "hub/link/mqtt_login.h"
#include "hub/link/postgres.h"

enum {
    PLACES = 1000,
    READ_ROWS = 200,
    SOON_MS = 20,         /* pokes and acknowledgements are gathered for so long */
    TICK_MS = 1000,       /* and this is how often everything is looked at anyway */
    LOOK_MS = 5000,       /* rows that nobody poked for */
    SILENCE_MS = 60000,   /* without any acknowledgement: the connection is made anew */
    RECEIVE_MAXIMUM = 10, /* nothing is subscribed to */
    NOBODY_LISTENS = 0x10,
    NAME_BYTES = 64,
    SQL_BYTES_KEPT = 65536,
};

enum place_state {
    PLACE_FREE,
    PLACE_FLYING,    /* published; mid is the library's number of it */
    PLACE_CONFIRMED, /* acknowledged, the database does not know */
    PLACE_REFUSED,   /* by broker or library, the database does not know */
    PLACE_MARKING,   /* the running job tells the database that it was confirmed */
    PLACE_NOTING,    /* or that it was refused: the database says when it may be tried again */
};

struct place {
    enum place_state state;
    int mid;
    int64_t id;
    bool replay; /* it must be received by somebody: the hub's lanes */
};

/* A row: a receipt, or a message of the quarantine once more. */
struct outgoing {
    int64_t id;
    const char *topic;
    const void *payload;
    int length;
    const char *received_ms; /* of a replay: when it came first; NULL = it is none */
};

struct outbox {
    uv_loop_t *loop;
    struct postgres *session;
    struct mqtt *mqtt;
    uv_timer_t timer;
    char name[NAME_BYTES];
    const struct config *config;
    struct place places[PLACES];
    size_t hint; /* acknowledgements come in order: the next one is probably here */
    size_t flying, free_places, confirmed, refused;
    char refusal[128]; /* the last one's reason */
    struct buffer sql;
    int read_statement; /* of the running job; -1 = it reads nothing */
    bool job_running;
    bool wanted; /* there may be rows to read */
    bool soon;   /* the timer is set to SOON_MS */
    uint64_t look_at, progress_at;
    struct closing closing; /* of the outbox, and of broker connections that it has given up */
};

static void advance(struct outbox *outbox);

static void on_timer(uv_timer_t *timer) {
    advance(timer->data);
}

static void look_soon(struct outbox *outbox) {
    if (!outbox->soon && !outbox->closing.begun) {
        outbox->soon = true;
        uv_timer_start(&outbox->timer, on_timer, SOON_MS, 0);
    }
}

/* ---- places ---- */

static size_t *place_count(struct outbox *outbox, enum place_state state) {
    static size_t uncounted;
    switch (state) {
    case PLACE_FREE:
        return &outbox->free_places;
    case PLACE_FLYING:
        return &outbox->flying;
    case PLACE_CONFIRMED:
        return &outbox->confirmed;
    case PLACE_REFUSED:
        return &outbox->refused;
    default:
        return &uncounted;
    }
}

static void place_set(struct outbox *outbox, struct place *place, enum place_state state) {
    --*place_count(outbox, place->state);
    ++*place_count(outbox, state);
    place->state = state;
}

/* All places of one state into another. */
static void places_move(struct outbox *outbox, enum place_state from, enum place_state to) {
    for (size_t i = 0; i < PLACES; i++) {
        if (outbox->places[i].state == from) {
            place_set(outbox, &outbox->places[i], to);
        }
    }
}

static struct place *place_find(struct outbox *outbox, enum place_state state, int mid) {
    for (size_t i = 0; i < PLACES; i++) {
        size_t index = (outbox->hint + i) % PLACES;
        struct place *place = &outbox->places[index];
        if (place->state == state && (state == PLACE_FREE || place->mid == mid)) {
            outbox->hint = state == PLACE_FREE ? outbox->hint : index + 1;
            return place;
        }
    }
    return NULL;
}

static void refuse(struct outbox *outbox, struct place *place, const char *topic, const char *why) {
    hub_metrics.outbox_failures++;
    log_warning("outbox_refused", "id=%lld topic=%s reason=%s", (long long)place->id, log_quote(topic), log_quote(why));
    snprintf(outbox->refusal, sizeof outbox->refusal, "%s", why);
    place_set(outbox, place, PLACE_REFUSED);
}

/* ---- the broker ---- */

/* With MQTT 3.1.1, which has no properties, the topic says when it came first. */
static int send_replay(struct outbox *outbox, struct place *place, const struct outgoing *row) {
    struct mosquitto *session = mqtt_session(outbox->mqtt);
    if (!mqtt_is_5(outbox->config)) {
        char *marked = topic_put_first_received(row->topic, row->received_ms);
        int code = marked == NULL
                       ? MOSQ_ERR_NOMEM
                       : mosquitto_publish(session, &place->mid, marked, row->length, row->payload, 1, false);
        free(marked);
        return code;
    }
    mosquitto_property *properties = NULL;
    int code = mosquitto_property_add_string_pair(&properties, MQTT_PROP_USER_PROPERTY, TOPIC_FIRST_RECEIVED,
                                                  row->received_ms);
    if (code == MOSQ_ERR_SUCCESS) {
        code = mosquitto_publish_v5(session, &place->mid, row->topic, row->length, row->payload, 1, false, properties);
    }
    mosquitto_property_free_all(&properties);
    return code;
}

static void publish(struct outbox *outbox, const struct outgoing *row) {
    struct place *place = place_find(outbox, PLACE_FREE, 0);
    if (place == NULL) {
        outbox->wanted = true;
        return;
    }
    place->id = row->id;
    place->replay = row->received_ms != NULL;
    int code = place->replay ? send_replay(outbox, place, row)
                             : mosquitto_publish_v5(mqtt_session(outbox->mqtt), &place->mid, row->topic, row->length,
                                                    row->payload, 1, false, NULL);
    if (code != MOSQ_ERR_SUCCESS) {
        refuse(outbox, place, row->topic, mosquitto_strerror(code));
        return;
    }
    if (outbox->flying == 0) {
        outbox->progress_at = uv_now(outbox->loop);
    }
    place_set(outbox, place, PLACE_FLYING);
}

/* Reasons below 0x80 are successes; 0x10 says that nobody listens to the topic now, which is the vendor's choice; of a
 * replay it says that the hub would not have it. */
static void on_published(void *user, int mid, int reason) {
    struct outbox *outbox = user;
    struct place *place = place_find(outbox, PLACE_FLYING, mid);
    if (place == NULL) {
        return;
    }
    outbox->progress_at = uv_now(outbox->loop);
    if (reason < 0x80 && !(place->replay && reason == NOBODY_LISTENS)) {
        place_set(outbox, place, PLACE_CONFIRMED);
    } else {
        refuse(outbox, place, NULL, mosquitto_reason_string(reason));
    }
    look_soon(outbox);
}

/* What was in flight when the connection was lost, libmosquitto sends again by itself. */
static void on_connected(void *user, bool session_present) {
    (void)session_present;
    struct outbox *outbox = user;
    outbox->progress_at = uv_now(outbox->loop);
    look_soon(outbox);
}

static bool broker_open(struct outbox *outbox) {
    const struct mqtt_settings settings = {.name = outbox->name, .receive_maximum = RECEIVE_MAXIMUM};
    const struct mqtt_handlers handlers = {.connected = on_connected, .published = on_published, .user = outbox};
    outbox->mqtt = mqtt_open(outbox->loop, outbox->config, &settings, &handlers);
    return outbox->mqtt != NULL;
}

static void broker_close(struct outbox *outbox) {
    if (outbox->mqtt != NULL) {
        closing_await(&outbox->closing);
        mqtt_close(outbox->mqtt, true, closing_over, &outbox->closing);
        outbox->mqtt = NULL;
    }
}

static bool broker_connected(const struct outbox *outbox) {
    return outbox->mqtt != NULL && mqtt_connected(outbox->mqtt);
}

/* A broker that is there and acknowledges nothing: forgets what is in flight, which is then read and sent again. */
static void check_progress(struct outbox *outbox, uint64_t now) {
    if (outbox->mqtt != NULL &&
        (outbox->flying == 0 || !broker_connected(outbox) || now - outbox->progress_at <= SILENCE_MS)) {
        return;
    }
    if (outbox->mqtt != NULL) {
        hub_metrics.outbox_failures += outbox->flying;
        log_warning("outbox_silence", "messages=%zu seconds=%d reason=\"the broker acknowledges nothing\"",
                    outbox->flying, SILENCE_MS / 1000);
    }
    broker_close(outbox);
    places_move(outbox, PLACE_FLYING, PLACE_FREE);
    outbox->wanted = true;
    broker_open(outbox); /* if it fails: at the next tick */
}

/* ---- the database ---- */

static void sql_ids(struct outbox *outbox, bool (*chosen)(enum place_state state)) {
    const char *comma = "";
    buffer_text(&outbox->sql, "'{");
    for (size_t i = 0; i < PLACES; i++) {
        if (chosen(outbox->places[i].state)) {
            buffer_format(&outbox->sql, "%s%lld", comma, (long long)outbox->places[i].id);
            comma = ",";
        }
    }
    buffer_text(&outbox->sql, "}'::bigint[]");
}

static bool is_marking(enum place_state state) {
    return state == PLACE_MARKING;
}

static bool is_noting(enum place_state state) {
    return state == PLACE_NOTING;
}

static bool is_taken(enum place_state state) {
    return state != PLACE_FREE;
}

/* Publishes a row of what was read: id, topic, payload; of a replay its bytes, and when they came. */
static void take_row(struct outbox *outbox, const PGresult *result, int row) {
    struct outgoing outgoing = {.id = strtoll(PQgetvalue(result, row, 0), NULL, 10),
                                .topic = PQgetvalue(result, row, 1),
                                .payload = PQgetvalue(result, row, 2),
                                .length = PQgetlength(result, row, 2)};
    unsigned char *bytes = NULL;
    if (!PQgetisnull(result, row, 3)) {
        size_t length = 0;
        bytes = PQunescapeBytea((const unsigned char *)PQgetvalue(result, row, 3), &length);
        outgoing.payload = bytes;
        outgoing.length = (int)length;
        outgoing.received_ms = PQgetvalue(result, row, 4);
        if (bytes == NULL) {
            outbox->wanted = true; /* no memory: at the next tick */
            return;
        }
    }
    publish(outbox, &outgoing);
    PQfreemem(bytes);
}

static void on_result(void *user, int statement, const PGresult *result) {
    struct outbox *outbox = user;
    if (statement != outbox->read_statement) {
        return;
    }
    int rows = PQntuples(result);
    outbox->wanted = outbox->wanted || rows == READ_ROWS || !broker_connected(outbox);
    for (int row = 0; row < rows && broker_connected(outbox); row++) {
        take_row(outbox, result, row);
    }
}

static size_t count_marking(const struct outbox *outbox) {
    size_t count = 0;
    for (size_t i = 0; i < PLACES; i++) {
        count += outbox->places[i].state == PLACE_MARKING;
    }
    return count;
}

static void on_done(void *user, const struct postgres_error *error) {
    struct outbox *outbox = user;
    outbox->job_running = false;
    if (outbox->closing.begun) {
        return;
    }
    if (error != NULL) {
        log_warning("outbox_database", "sqlstate=%s reason=%s", error->sqlstate[0] == '\0' ? "-" : error->sqlstate,
                    log_quote(error->message));
        places_move(outbox, PLACE_MARKING, PLACE_CONFIRMED);
        places_move(outbox, PLACE_NOTING, PLACE_REFUSED);
        outbox->wanted = true; /* at the next tick, or when the session is back */
        return;
    }
    hub_metrics.outbox_sent += count_marking(outbox);
    places_move(outbox, PLACE_MARKING, PLACE_FREE);
    places_move(outbox, PLACE_NOTING, PLACE_FREE);
    if (broker_connected(outbox)) {
        mqtt_wake(outbox->mqtt); /* what on_result published goes out */
    }
    if (outbox->wanted || outbox->confirmed > 0) {
        look_soon(outbox);
    }
}

/* One job tells what became of messages and takes new ones. */
static void start_job(struct outbox *outbox) {
    int statements = 0;
    bool reads = outbox->wanted && broker_connected(outbox) && outbox->free_places > 0;
    buffer_reset(&outbox->sql, SQL_BYTES_KEPT);
    if (outbox->confirmed > 0) {
        places_move(outbox, PLACE_CONFIRMED, PLACE_MARKING);
        buffer_text(&outbox->sql, "SELECT onemap.outbox_sent(");
        sql_ids(outbox, is_marking);
        buffer_text(&outbox->sql, ");");
        statements++;
    }
    if (outbox->refused > 0) {
        places_move(outbox, PLACE_REFUSED, PLACE_NOTING);
        buffer_text(&outbox->sql, "SELECT onemap.outbox_failed(");
        sql_ids(outbox, is_noting);
        buffer_text(&outbox->sql, ", ");
        buffer_literal(&outbox->sql, outbox->refusal, strlen(outbox->refusal));
        buffer_text(&outbox->sql, ");");
        statements++;
    }
    outbox->read_statement = reads ? statements : -1;
    if (reads) {
        outbox->wanted = false;
        buffer_text(&outbox->sql,
                    "SELECT o.id, o.topic, o.payload, q.payload, round(extract(epoch FROM q.received_at) * 1000)"
                    " FROM onemap.outbox o LEFT JOIN onemap.quarantine q ON q.id = o.replay"
                    " WHERE o.destination = 'mqtt'"
                    " AND o.sent_at IS NULL AND (o.retry_at IS NULL OR o.retry_at <= now())"
                    " AND o.id <> ALL (");
        sql_ids(outbox, is_taken);
        buffer_format(&outbox->sql, ") ORDER BY o.id LIMIT %zu",
                      outbox->free_places < READ_ROWS ? outbox->free_places : READ_ROWS);
    }
    const char *sql = buffer_string(&outbox->sql);
    const struct postgres_job job = {.sql = sql, .result = on_result, .done = on_done, .user = outbox};
    outbox->job_running = true;
    if (sql == NULL || postgres_run(outbox->session, &job) != 0) {
        on_done(outbox, &(struct postgres_error){.message = "out of memory"});
    }
}

static void advance(struct outbox *outbox) {
    uint64_t now = uv_now(outbox->loop);
    outbox->soon = false;
    uv_timer_start(&outbox->timer, on_timer, TICK_MS, 0);
    if (now >= outbox->look_at) {
        outbox->look_at = now + LOOK_MS;
        outbox->wanted = true;
    }
    check_progress(outbox, now);
    bool reads = outbox->wanted && broker_connected(outbox) && outbox->free_places > 0;
    if (!outbox->job_running && postgres_idle(outbox->session) &&
        (reads || outbox->confirmed > 0 || outbox->refused > 0)) {
        start_job(outbox);
    }
}

static void on_ready(void *user) {
    look_soon(user);
}

/* ---- open and close ---- */

static void outbox_free(void *part) {
    struct outbox *outbox = part;
    buffer_free(&outbox->sql);
    free(outbox);
}

struct outbox *outbox_open(uv_loop_t *loop, const struct config *config) {
    struct outbox *outbox = calloc(1, sizeof *outbox);
    if (outbox == NULL) {
        log_error("out_of_memory", "what=outbox");
        return NULL;
    }
    outbox->loop = loop;
    outbox->config = config;
    outbox->free_places = PLACES;
    outbox->wanted = true;
    snprintf(outbox->name, sizeof outbox->name, "%.40s-outbox", config->hub_instance);
    uv_timer_init(loop, &outbox->timer);
    outbox->timer.data = outbox;
    const struct postgres_handlers handlers = {.ready = on_ready, .user = outbox};
    outbox->session = postgres_open(loop, config, "outbox", NULL, &handlers);
    if (outbox->session == NULL || !broker_open(outbox)) {
        outbox_close(outbox, NULL, NULL);
        return NULL;
    }
    uv_timer_start(&outbox->timer, on_timer, TICK_MS, 0);
    return outbox;
}

void outbox_poke(struct outbox *outbox) {
    outbox->wanted = true;
    look_soon(outbox);
}

void outbox_close(struct outbox *outbox, void (*closed)(void *user), void *user) {
    closing_begin(&outbox->closing, outbox_free, outbox, closed, user);
    closing_handle(&outbox->closing, (uv_handle_t *)&outbox->timer);
    broker_close(outbox);
    if (outbox->session != NULL) {
        closing_await(&outbox->closing);
        postgres_close(outbox->session, closing_over, &outbox->closing);
        outbox->session = NULL;
    }
}

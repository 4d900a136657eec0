/* laning.h: a lane between a broker and a database that the test plays, for the tests of lanes. Whatever a test does,
 * each acknowledgement that is written is held against what the database has committed by then. */
#ifndef CITYHUB_TEST_LANING_H
#define CITYHUB_TEST_LANING_H

#include "copied.h"
#include "fake_broker.h"
#include "fake_postgres.h"
#include "fake_world.h"

#include "hub/base/count.h"
#include "hub/ingest/lane.h"

enum { LANING_MESSAGES = 4096 };

struct laning {
    struct fake_world *world;
    struct writer *writer;
    struct lane *lane;
    struct lane_metrics *metrics; /* the lane's */
    struct mosquitto *client;
    bool committed[LANING_MESSAGES]; /* by the number in the message's time */
    int drained;
    int closed;
};

#define LANING_TOPIC "cityhub/v1/" FAKE_SUBSYSTEM "/acme/telemetry"

/* Message number n has one record, of the time FAKE_NOW_MS + n. */
static inline void laning_note_job(void *user, const struct postgres_job *job) {
    struct laning *laning = user;
    if (strstr(job->sql, "COMMIT") == NULL || strstr(job->sql, "partition_ensure") != NULL) {
        return;
    }
    assert_non_null(strstr(job->sql, "INSERT INTO onemap.batch_log"));
    if (strstr(job->sql, "COPY onemap.observation") != NULL) {
        struct copied rows = copied_begin(job->copies[0].data, job->copies[0].length);
        while (copied_next(&rows)) {
            int64_t number = copied_time(&rows, 1) / 1000 - FAKE_NOW_MS;
            assert_in_range(number, 0, LANING_MESSAGES - 1);
            laning->committed[number] = true;
        }
    }
}

static inline void laning_acknowledged(void *user, const char *topic, const void *payload, size_t length) {
    const struct laning *laning = user;
    const char *at = memmem(payload, length, "\"observed_at_ms\":", 17);
    (void)topic;
    if (at != NULL && !laning->committed[strtoll(at + 17, NULL, 10) - FAKE_NOW_MS]) {
        fail_msg("acknowledged and not committed: %.*s", (int)length, (const char *)payload);
    }
}

static inline void laning_drained(void *user, const char *client_id) {
    struct laning *laning = user;
    assert_string_equal(client_id, lane_client_id(laning->lane));
    laning->drained++;
}

static inline void laning_closed(void *user) {
    ((struct laning *)user)->closed++;
}

#define LANING_SECRET "00112233445566778899aabbccddeeff"

static inline void laning_open_as(struct laning *laning, int number, int of, bool draining, bool waits) {
    char label[64], client_id[128];
    snprintf(label, sizeof label, "%s-%d", laning->world->adapter->key, number);
    snprintf(client_id, sizeof client_id, "%s-%s-%s", laning->world->config.hub_instance, label, LANING_SECRET);
    const struct lane_settings settings = {.loop = &laning->world->loop,
                                           .world = &laning->world->world,
                                           .writer = laning->writer,
                                           .adapter = laning->world->adapter,
                                           .label = label,
                                           .client_id = client_id,
                                           .secret = LANING_SECRET,
                                           .of = of,
                                           .waits = waits,
                                           .draining = draining,
                                           .drained = laning_drained,
                                           .user = laning};
    laning->lane = lane_open(&settings);
    assert_non_null(laning->lane);
    laning->metrics = metrics_lane_at(metrics_lane_count() - 1);
    laning->client = fake_client(lane_client_id(laning->lane));
    assert_non_null(laning->client);
}

static inline void laning_open(struct laning *laning, int number, int of, bool draining) {
    laning_open_as(laning, number, of, draining, false);
}

static inline int laning_begin(void **state) {
    struct laning *laning = calloc(1, sizeof *laning);
    void *world;
    assert_non_null(laning);
    assert_int_equal(fake_world_begin(&world), 0);
    laning->world = world;
    laning->world->config.database_writers = 2;
    laning->world->config.lane_batch_records = 4;
    laning->writer = writer_open(&laning->world->loop, &laning->world->config, NULL, NULL);
    assert_non_null(laning->writer);
    fake_postgres_witness(laning_note_job, laning);
    fake_broker_witness(laning_acknowledged, laning);
    laning_open(laning, 1, 1, false);
    *state = laning;
    return 0;
}

static inline int laning_end(void **state) {
    struct laning *laning = *state;
    void *world = laning->world;
    writer_close(laning->writer, NULL, NULL); /* first: it lets go of the lane's batches */
    lane_close(laning->lane, laning_closed, laning);
    if (fake_dialling()) {
        fake_dial(MOSQ_ERR_SUCCESS, NULL);
    }
    fake_loop_turn(&laning->world->loop);
    assert_int_equal(laning->closed, 1);
    fake_postgres_witness(NULL, NULL);
    fake_broker_witness(NULL, NULL);
    fake_world_end(&world);
    free(laning);
    return 0;
}

/* Dialled, greeted, subscribed. */
static inline void laning_connect(struct laning *laning, bool session_present) {
    fake_dial(MOSQ_ERR_SUCCESS, NULL);
    fake_loop_turn(&laning->world->loop);
    fake_broker_accept(laning->client, 0, session_present);
    fake_loop_turn(&laning->world->loop);
}

static inline void laning_ready(struct laning *laning) {
    laning_connect(laning, false);
    fake_broker_subscribe(laning->client, 1);
    fake_loop_turn(&laning->world->loop);
    assert_true(lane_connected(laning->lane));
}

/* Message number n, of a device that has an id, at a speed. Returns the broker's number of it. */
static inline int laning_send_speed(struct laning *laning, const char *code, int n, int speed) {
    char payload[128];
    struct device *device = vendor_device(laning->world->acme, code, strlen(code));
    if (device == NULL) {
        static int last_id = 100;
        fake_world_device(laning->world, code, ++last_id);
    }
    int length = snprintf(payload, sizeof payload, "{\"device_code\":\"%s\",\"observed_at_ms\":%lld,\"speed_km_h\":%d}",
                          code, (long long)(FAKE_NOW_MS + n), speed);
    return fake_broker_send(laning->client, LANING_TOPIC, payload, (size_t)length, NULL);
}

/* Messages from number `first` to before `past`, each of a device of its own: batches of them may go side by side. */
static inline void laning_send(struct laning *laning, int first, int past) {
    for (int n = first; n < past; n++) {
        char code[16];
        snprintf(code, sizeof code, "T-%d", n);
        laning_send_speed(laning, code, n, 10);
    }
    fake_loop_turn(&laning->world->loop);
}

/* The connection stores the batch that it was given, which must have `word` in it. */
static inline void laning_store(struct laning *laning, const char *connection, const char *word) {
    struct postgres *session = fake_postgres(connection);
    fake_postgres_await(&laning->world->loop, session);
    if (strstr(fake_postgres_sql(session), "partition_ensure") != NULL) {
        fake_postgres_succeed(session);
    }
    PLAY(&laning->world->loop, session, {.expects = word});
    fake_loop_turn(&laning->world->loop);
}

static inline bool laning_busy(const char *connection) {
    return fake_postgres_sql(fake_postgres(connection))[0] != '\0';
}

static inline void laning_expect(const struct laning *laning, int read, int acknowledged) {
    int count = 0;
    while (count < LANING_MESSAGES && fake_message_read(laning->client, count)) {
        count++;
    }
    assert_int_equal(count, read);
    assert_int_equal(fake_messages_acknowledged(laning->client), acknowledged);
}

#endif

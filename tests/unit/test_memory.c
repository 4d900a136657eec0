/* test_memory.c: memory runs out, at every allocation of a hub's life in turn: at the start it says so and ends; later
 * whatever needed the memory is tried again, and in the end all is stored, told and acknowledged. At no time is
 * anything acknowledged that is not committed. */
#include "copied.h"
#include "fake_broker.h"
#include "fake_memory.h"
#include "fake_postgres.h"
#include "fake_world.h"

#include "hub/base/count.h"
#include "hub/base/log.h"
#include "hub/ingest/lane.h"
#include "hub/know/adapter_json.h"
#include "hub/serve/jobs.h"
#include "hub/serve/loader.h"
#include "hub/serve/outbox.h"

#define TOPIC(kind) "cityhub/v1/" FAKE_SUBSYSTEM "/acme/" kind

enum { PATIENCE_S = 300, TIMES = 64, RECEIPTS = 3, WRITERS = 2 };

/* What a hub is made of, as serve.c does it. */
struct hub {
    struct fake_world *world;
    struct loader *loader;
    struct writer *writer;
    struct outbox *outbox;
    struct jobs *jobs;
    struct lane *lane;
    bool loaded, refused;
    bool ended; /* something could not be opened */
    /* the database */
    struct buffer committed; /* text and data of all that was */
    bool times[TIMES];       /* rows of observation, by their time - FAKE_NOW_MS */
    struct staged {
        const void *writer; /* whose, NULL = none */
        struct buffer rows;
        bool times[TIMES];
    } staged[WRITERS + 1];
    char ids[256][40];
    int id_count, next_id, receipts_sent;
    int alarms_open, alarms_closed;
    bool forgotten; /* the session of before */
    int rules_read; /* times */
};

static bool has(const char *text, const char *word) {
    return strstr(text, word) != NULL;
}

/* The adapters' tables as JSON take thousands of allocations, which test_adapter_json.c has. */
char *adapter_json(void) {
    return strdup("{}");
}

/* ---- the database ---- */

/* Of the batch_log row that the statement writes, or asks for. */
static void id_of(const char *sql, char id[40]) {
    const char *at = strstr(sql, "b.id = '");
    at = at != NULL ? at : strstr(sql, "records) VALUES ('");
    assert_non_null(at);
    memset(id, 0, 40);
    memcpy(id, strchr(at, '\'') + 1, 36);
}

/* Whether a row of the COPY is there already; if not, and `store`, it is from now on. */
static bool take_rows(bool times[TIMES], const struct postgres_copy *copy, bool store) {
    struct copied rows = copied_begin(copy->data, copy->length);
    bool met = false;
    while (copied_next(&rows)) {
        int64_t time = copied_time(&rows, 1) / 1000 - FAKE_NOW_MS;
        assert_in_range(time, 0, TIMES - 1);
        met = met || times[time];
        times[time] = times[time] || store;
    }
    return met;
}

static int count_of(const char *text, const char *word) {
    int count = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) {
        count++;
    }
    return count;
}

static void keep_job(struct buffer *kept, const struct postgres_job *job) {
    fake_at_work++;
    buffer_text(kept, job->sql);
    for (size_t i = 0; i < job->copy_count; i++) {
        buffer_bytes(kept, job->copies[i].data, job->copies[i].length);
    }
    fake_at_work--;
}

/* A job that succeeded: what it stored is there; what a first half has staged, when its second half has succeeded. */
static void note_job(void *user, const struct postgres_job *job) {
    struct hub *hub = user;
    struct staged *staged = &hub->staged[0];
    while (staged->writer != NULL && staged->writer != job->user) {
        staged++;
    }
    if (has(job->sql, "COPY pg_temp.observation_stage")) {
        staged->writer = job->user;
        staged->rows.length = 0;
        keep_job(&staged->rows, job);
        memset(staged->times, 0, sizeof staged->times);
        take_rows(staged->times, &job->copies[0], true);
    }
    if (!has(job->sql, "INSERT INTO onemap.batch_log")) {
        return;
    }
    keep_job(&hub->committed, job);
    if (has(job->sql, "COPY onemap.observation")) {
        take_rows(hub->times, &job->copies[0], true);
    } else if (!has(job->sql, "BEGIN")) {
        fake_at_work++;
        buffer_bytes(&hub->committed, staged->rows.data, staged->rows.length);
        fake_at_work--;
        for (size_t i = 0; i < TIMES; i++) {
            hub->times[i] = hub->times[i] || staged->times[i];
        }
    }
    assert_true(hub->id_count < (int)COUNT_OF(hub->ids));
    id_of(job->sql, hub->ids[hub->id_count++]);
    hub->alarms_open += count_of(job->sql, "\"op\":\"open\"");
    hub->alarms_closed += count_of(job->sql, "\"op\":\"close\"");
}

static const struct fake_act rows_vendors = {
    .answers = {ANSWER("SELECT now()", 1, "2025-10-09 08:53:20+00"),
                ANSWER("onemap.vendor", 5, FAKE_SUBSYSTEM, "acme", "f", "t", "f")}};
static const struct fake_act rows_devices = {.answers = {ANSWER("onemap.device d", 10, "5", FAKE_SUBSYSTEM, "acme",
                                                                "T-known", "truck", NULL, "1", NULL, NULL, NULL)}};
static const struct fake_act rows_rules = {
    .answers = {ANSWER("FROM onemap.alarm_rule r JOIN onemap.metric", 11, "7", FAKE_SUBSYSTEM, "1", NULL, "above", "80",
                       "70", "0", NULL, NULL, "28800"),
                ANSWER("onemap.alarm_pending", 7, FAKE_SUBSYSTEM, "acme", "T-known", "7", "f", "1700006400000", "f")}};
#define LANE_ID "hub-" FAKE_SUBSYSTEM "-1-00112233445566778899aabbccddeeff"
static const struct fake_act rows_lanes = {
    .answers = {ANSWER("SELECT l.client_id", 5, LANE_ID, FAKE_SUBSYSTEM, "1", "00112233445566778899aabbccddeeff", "t",
                       "hub-dust-7", "dust", "7", "", "f")}};

static void serve_outbox(struct hub *hub, struct postgres *session) {
    static const char *const receipts[] = {"1", TOPIC("receipt"), "one",  "2", TOPIC("receipt"), "two",
                                           "3", TOPIC("receipt"), "three"};
    const char *sql = fake_postgres_sql(session);
    for (const char *at = strstr(sql, "outbox_sent('{"); at != NULL; at = NULL) {
        for (hub->receipts_sent++; *at != '}'; at++) {
            hub->receipts_sent += *at == ',';
        }
    }
    bool all = has(sql, "<> ALL ('{}'") && hub->receipts_sent == 0;
    fake_postgres_end(
        session,
        &(struct fake_act){
            .answers = {{.of = all ? "SELECT o.id" : NULL, .columns = 3, .values = receipts, .count = 3 * RECEIPTS}}});
}

static void serve_job(void *user, struct postgres *session) {
    struct hub *hub = user;
    const char *sql = fake_postgres_sql(session);
    const struct postgres_copy *rows = fake_postgres_copy(session, "COPY onemap.observation");
    char id[12];
    const char *const ids[] = {id};
    if (has(sql, "nextval")) {
        /* one device a message, so one id */
        assert_true(has(sql, "generate_series(1, 1)") || has(sql, "generate_series(1, 2)"));
        snprintf(id, sizeof id, "%d", ++hub->next_id);
        fake_postgres_end(session, &(struct fake_act){.answers = {{"nextval", 1, ids, 1}}});
    } else if (has(sql, "FROM onemap.vendor v")) {
        fake_postgres_end(session, &rows_vendors);
    } else if (has(sql, "FROM onemap.device d WHERE d.id >")) {
        fake_postgres_end(session, &rows_devices);
    } else if (has(sql, "FROM onemap.alarm_rule r")) {
        hub->rules_read++;
        fake_postgres_end(session, &rows_rules);
    } else if (has(sql, "DELETE FROM onemap.lane WHERE client_id = 'hub-dust-7'")) {
        hub->forgotten = true;
        fake_postgres_succeed(session);
    } else if (has(sql, "onemap.lanes_open(")) {
        fake_postgres_end(session, &rows_lanes);
    } else if (strcmp(fake_postgres_name(session), "outbox") == 0) {
        serve_outbox(hub, session);
    } else if (has(sql, "SELECT 1 FROM onemap.batch_log b")) {
        bool found = false;
        char asked[40];
        id_of(sql, asked);
        for (int i = 0; i < hub->id_count; i++) {
            found = found || strcmp(hub->ids[i], asked) == 0;
        }
        fake_postgres_end(session, &(struct fake_act){.answers = {{found ? "batch_log" : NULL, 1, ids, 1}}});
    } else if (rows != NULL && take_rows(hub->times, rows, false)) {
        fake_postgres_end(session, &(struct fake_act){.sqlstate = "23505", .at = "COPY onemap.observation"});
    } else {
        fake_postgres_succeed(session);
    }
}

/* ---- the broker ---- */

/* Good ones are in observation by their time, bad ones whole in quarantine, documents in message_store. */
static void acknowledged(void *user, const char *topic, const void *payload, size_t length) {
    const struct hub *hub = user;
    const char *time = memmem(payload, length, "\"observed_at_ms\":", 17);
    bool kept =
        hub->committed.length > 0 && memmem(hub->committed.data, hub->committed.length, payload, length) != NULL;
    if (strcmp(topic, TOPIC("inventory")) == 0) {
        kept = hub->committed.length > 0 &&
               memmem(hub->committed.data, hub->committed.length, "\"device_code\":\"DOC-1\"", 21) != NULL;
    } else if (time != NULL && !kept) {
        kept = hub->times[strtoll(time + 17, NULL, 10) - FAKE_NOW_MS];
    }
    if (!kept) {
        fail_msg("acknowledged and not committed: %.*s", (int)length, (const char *)payload);
    }
}

/* The other side of whatever waits for it. */
static void play_broker(struct hub *hub) {
    struct mosquitto *const clients[] = {fake_client(LANE_ID), fake_client("")};
    if (fake_dialling()) {
        fake_dial(MOSQ_ERR_SUCCESS, NULL);
        fake_loop_turn(&hub->world->loop);
    }
    for (size_t i = 0; i < COUNT_OF(clients); i++) {
        if (clients[i] != NULL) {
            fake_broker_serve(clients[i]);
        }
    }
}

/* ---- the hub ---- */

static int64_t listening_since(void *user) {
    (void)user;
    return 1;
}

static void dropped(void *user) {
    struct hub *hub = user;
    writer_forget_partitions(hub->writer);
}

static void outbox_written(void *user) {
    const struct hub *hub = user;
    if (hub->outbox != NULL) {
        outbox_poke(hub->outbox);
    }
}

static void on_loaded(void *user, const PGresult *lanes) {
    struct hub *hub = user;
    uv_loop_t *loop = &hub->world->loop;
    const struct config *config = &hub->world->config;
    const struct jobs_handlers handlers = {
        .listening_since_ms = listening_since, .partitions_dropped = dropped, .user = hub};
    assert_int_equal(PQntuples(lanes), 2);
    hub->writer = writer_open(loop, config, outbox_written, hub);
    hub->outbox = hub->writer == NULL ? NULL : outbox_open(loop, config);
    hub->jobs = hub->outbox == NULL ? NULL : jobs_open(loop, &hub->world->world, &handlers);
    const struct lane_settings settings = {.loop = loop,
                                           .world = &hub->world->world,
                                           .writer = hub->writer,
                                           .adapter = hub->world->adapter,
                                           .label = FAKE_SUBSYSTEM "-1",
                                           .client_id = PQgetvalue(lanes, 0, LANE_CLIENT_ID),
                                           .secret = PQgetvalue(lanes, 0, LANE_SECRET),
                                           .of = 1};
    hub->lane = hub->jobs == NULL ? NULL : lane_open(&settings);
    hub->ended = hub->lane == NULL;
    hub->loaded = true;
}

static void on_refused(void *user) {
    ((struct hub *)user)->refused = true;
}

static void hub_close(struct hub *hub) {
    if (hub->writer != NULL) {
        writer_close(hub->writer, NULL, NULL);
    }
    if (hub->lane != NULL) {
        lane_close(hub->lane, NULL, NULL);
    }
    if (hub->outbox != NULL) {
        outbox_close(hub->outbox, NULL, NULL);
    }
    if (hub->jobs != NULL) {
        jobs_close(hub->jobs, NULL, NULL);
    }
    if (hub->loader != NULL) {
        loader_close(hub->loader, NULL, NULL);
    }
    if (fake_dialling()) {
        fake_dial(MOSQ_ERR_SUCCESS, NULL);
    }
    fake_loop_turn(&hub->world->loop);
    assert_int_equal(fake_postgres_count(), 0);
    assert_int_equal(fake_client_count(), 0);
}

/* ---- a hub's life ---- */

static const struct {
    const char *kind, *payload, *name;
} messages[] = {
    {"telemetry", "{\"device_code\":\"T-1\",\"observed_at_ms\":1760000000000,\"speed_km_h\":40}", "first"},
    {"telemetry",
     "{\"device_code\":\"T-known\",\"observed_at_ms\":1760000000001,\"speed_km_h\":90,\"plate\":\"C-1\","
     "\"bed_lifted\":true,\"position\":{\"lon\":117.5,\"lat\":34.25,\"system\":\"WGS84\"}}",
     "an alarm"},
    {"telemetry",
     "[{\"device_code\":\"T-known\",\"observed_at_ms\":1760000000002,\"speed_km_h\":95},"
     "{\"device_code\":\"T-known\",\"observed_at_ms\":1760000000003,\"speed_km_h\":50}]",
     "its end"},
    {"telemetry", "[{\"device_code\":\"T-2\"}]", "a bad one"},
    {"inventory", "[{\"device_code\":\"DOC-1\",\"kind\":\"truck\"}]", "a document"},
    {"telemetry", "{\"device_code\":\"T-3\",\"observed_at_ms\":1760000000004,\"speed_km_h\":99}", NULL},
};

/* All of it is done: stored, told, acknowledged. */
static bool is_done(const struct hub *hub, const struct mosquitto *client) {
    return fake_messages_acknowledged(client) == (int)COUNT_OF(messages) && hub->receipts_sent == RECEIPTS &&
           lane_idle(hub->lane) && states_dirty(hub->world->world.states) == 0;
}

static void live(struct hub *hub) {
    const struct loader_handlers handlers = {.loaded = on_loaded, .refused = on_refused, .user = hub};
    hub->loader = loader_open(&hub->world->loop, &hub->world->world, &handlers);
    hub->ended = hub->loader == NULL;
    for (int second = 0; !hub->loaded && !hub->ended; second++) {
        assert_true(second < PATIENCE_S);
        fake_loop_pass(&hub->world->loop, 1000);
    }
    if (hub->ended) {
        return;
    }
    struct mosquitto *client = fake_client(LANE_ID);
    for (size_t i = 0; i < COUNT_OF(messages); i++) {
        char topic[128];
        snprintf(topic, sizeof topic, TOPIC("%s"), messages[i].kind);
        fake_at_work++;
        fake_broker_send(client, topic, messages[i].payload, strlen(messages[i].payload), messages[i].name);
        fake_at_work--;
        play_broker(hub);
        fake_loop_pass(&hub->world->loop, 20);
    }
    for (int tenth = 0; !is_done(hub, client); tenth++) {
        if (tenth == 10 * PATIENCE_S) {
            fail_msg("%d of %zu messages acknowledged, %d receipts, %zu states to write",
                     fake_messages_acknowledged(client), COUNT_OF(messages), hub->receipts_sent,
                     states_dirty(hub->world->world.states));
        }
        play_broker(hub);
        fake_loop_pass(&hub->world->loop, 100);
    }
    int rules_read = hub->rules_read;
    loader_forget_lane(hub->loader, "hub-dust-7");
    fake_postgres_notify(fake_postgres("loader"), "cityhub_rules", "");
    fake_postgres_notify(fake_postgres("loader"), "cityhub_registry", "vendor");
    for (int second = 0; second < 3 || !hub->forgotten || hub->rules_read == rules_read; second++) {
        assert_true(second < PATIENCE_S);
        play_broker(hub);
        fake_loop_pass(&hub->world->loop, 1000);
    }
    assert_false(hub->refused);
    for (int time = 0; time < 5; time++) {
        assert_true(hub->times[time]);
    }
    assert_int_equal(hub->alarms_open, 2);
    assert_int_equal(hub->alarms_closed, 1);
    static const char *const parts[] = {"construction_waste_dumping_check",
                                        "track_point",
                                        "{\"plate\":\"C-1\"}",
                                        "{\"message\":\"first\"",
                                        "{\"message\":\"an alarm\"",
                                        "{\"message\":\"its end\"",
                                        "{\"message\":\"a bad one\"",
                                        "\"message\":\"a document\"",
                                        "{\"message\":\"sha256:",
                                        "missing_time"};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (memmem(hub->committed.data, hub->committed.length, parts[i], strlen(parts[i])) == NULL) {
            fail_msg("nothing was committed with %s in it", parts[i]);
        }
    }
}

/* One life in which the allocations from number `first` on fail, `count` of them. Returns how many there were. */
static long live_once(long first, long count, bool *ended) {
    void *state;
    struct hub hub = {.next_id = 100};
    assert_int_equal(fake_world_begin(&state), 0);
    hub.world = state;
    hub.world->config.database_writers = WRITERS;
    fake_postgres_serve(serve_job, &hub);
    fake_postgres_witness(note_job, &hub);
    fake_broker_witness(acknowledged, &hub);
    fake_memory_fail(first, count);
    live(&hub);
    long asked = fake_memory_asked();
    assert_int_equal(fake_memory_failed(),
                     first > 0 && first <= asked ? (asked - first < count ? asked - first + 1 : count) : 0);
    fake_memory_fail(0, 0);
    *ended = hub.ended;
    hub_close(&hub);
    fake_postgres_serve(NULL, NULL);
    fake_postgres_witness(NULL, NULL);
    fake_broker_witness(NULL, NULL);
    buffer_free(&hub.committed);
    for (size_t i = 0; i < COUNT_OF(hub.staged); i++) {
        buffer_free(&hub.staged[i].rows);
    }
    fake_world_end(&state);
    return asked;
}

/* Without any want of memory; how many allocations that takes, and that it ends well. */
static void test_plenty(void **state) {
    bool ended;
    (void)state;
    assert_true(live_once(0, 0, &ended) > 50);
    assert_false(ended);
}

/* One after the other, alone and in runs. Whoever cannot start says so; whoever runs goes on running. */
static void test_each(void **state) {
    static const long counts[] = {1, 40};
    bool ended;
    (void)state;
    long total = live_once(0, 0, &ended);
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        int ends = 0;
        for (long first = 1; first <= total; first++) {
            int64_t at;
            live_once(first, counts[i], &ended);
            ends += ended;
            if (ended && !has(log_last_problem(&at), "out_of_memory") && !has(log_last_problem(&at), "out of memory")) {
                fail_msg("the hub ended at allocation %ld, and said: %s", first, log_last_problem(&at));
            }
        }
        assert_in_range(ends, 5, total / 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plenty), cmocka_unit_test(test_each)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

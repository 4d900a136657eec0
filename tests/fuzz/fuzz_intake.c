/* fuzz_intake.c: several messages into one batch, and the batch as SQL: what a vendor may send becomes rows, problems,
 * alarms, documents and receipts that hold together, whatever the database says of them. The first byte chooses the
 * subsystem, the next four what the database says; then messages follow: a byte for vendor and kind, two for the length
 * (little endian), the payload; the last one reaches to the end. */
#include <endian.h>

#include <cjson/cJSON.h>

#include "fuzz.h"
#include "hub/base/count.h"
#include "hub/base/metrics.h"
#include "hub/base/text.h"
#include "hub/ingest/commit.h"
#include "hub/ingest/intake.h"
#include "hub/live/feed.h"
#include "hub/store/transaction.h"

enum { HEAD = 5, COLUMNS_MAX = 16, RULE_COLUMNS = 11, COPY_HEADER = 19, FIRST_ID = 1000 };
static const int64_t NOW_MS = INT64_C(1760000000000);
static const char *const vendors[] = {"acme", "strict", "gone", "nobody"};

static struct config config;
static struct lane_metrics *metrics;

/* An answer of the database: `columns` values a row, NULL = SQL's null. */
static PGresult *answer(int columns, const char *const *values, int count) {
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc attributes[COLUMNS_MAX] = {0};
    char name[] = "column";
    REQUIRE(result != NULL && columns <= COLUMNS_MAX);
    for (int i = 0; i < columns; i++) {
        attributes[i].name = name;
    }
    REQUIRE(PQsetResultAttrs(result, columns, attributes) == 1);
    for (int i = 0; i < count; i++) {
        char text[128];
        snprintf(text, sizeof text, "%s", values[i] == NULL ? "" : values[i]);
        int length = values[i] == NULL ? -1 : (int)strlen(text);
        REQUIRE(PQsetvalue(result, i / columns, i % columns, values[i] == NULL ? NULL : text, length) == 1);
    }
    return result;
}

/* A rule on every metric that has readings: above 0.5, at once. */
static void take_rules(const struct world *world, const struct adapter *adapter) {
    static char numbers[ADAPTER_METRICS_MAX][12];
    const char *rules[ADAPTER_METRICS_MAX * RULE_COLUMNS];
    int count = 0;
    for (size_t i = 0; i < adapter->metric_count; i++) {
        if (adapter->metrics[i].kind != METRIC_TEXT) {
            snprintf(numbers[i], sizeof numbers[i], "%d", adapter->metrics[i].ordinal);
            const char *rule[RULE_COLUMNS] = {numbers[i], adapter->key, numbers[i], NULL, "above", "0.5",
                                              "0.4",      "0",          NULL,       NULL, "28800"};
            memcpy(&rules[count], rule, sizeof rule);
            count += RULE_COLUMNS;
        }
    }
    PGresult *rows = answer(RULE_COLUMNS, rules, count);
    REQUIRE(alarms_take_rules(world->alarms, rows) == 0 &&
            alarms_rule_count(world->alarms) == (size_t)(count / RULE_COLUMNS));
    PQclear(rows);
}

/* One code for "no value" everywhere, and the county's extent. */
static void take_plausible(const struct world *world) {
    const char *code[] = {NULL, NULL, NULL, "-999", "f", "t"}, *extent[] = {"113.5", "33.8", "115.2", "34.9"};
    PGresult *rows = answer(COUNT_OF(code), code, COUNT_OF(code));
    REQUIRE(plausible_take_codes(world->plausible, rows) == 0);
    PQclear(rows);
    rows = answer(COUNT_OF(extent), extent, COUNT_OF(extent));
    REQUIRE(plausible_take_extent(world->plausible, rows) == 0);
    PQclear(rows);
}

static struct world make_world(const struct adapter *adapter) {
    struct world world = {.config = &config,
                          .registry = registry_new(),
                          .alarms = alarms_new(),
                          .states = states_new(),
                          .plausible = plausible_new(),
                          .rollups = rollups_new(),
                          .feed = feed_new(1),
                          .days = calloc(1, sizeof(struct days))};
    REQUIRE(world.registry != NULL && world.alarms != NULL && world.states != NULL && world.plausible != NULL &&
            world.rollups != NULL && world.feed != NULL && world.days != NULL);
    const char *rights[] = {adapter->key, "acme", "f",          "t",    "f", adapter->key, "strict", "t",
                            "f",          "f",    adapter->key, "gone", "f", "t",          "t"};
    PGresult *rows = answer(5, rights, COUNT_OF(rights));
    REQUIRE(registry_take_vendors(world.registry, rows) == 0);
    PQclear(rows);
    take_rules(&world, adapter);
    take_plausible(&world);
    return world;
}

static void free_world(const struct world *world) {
    alarms_free(world->alarms);
    states_free(world->states);
    rollups_free(world->rollups);
    feed_free(world->feed);
    plausible_free(world->plausible);
    free(world->days);
    registry_free(world->registry);
}

/* One message into the batch. Returns how many bytes of the input it took. */
static size_t take(struct intake *intake, const struct adapter *adapter, struct batch *batch, const uint8_t *data,
                   size_t size) {
    if (size < 3) {
        return size;
    }
    size_t length = (size_t)data[1] | (size_t)data[2] << 8;
    length = length < size - 3 ? length : size - 3;
    char topic[128];
    snprintf(topic, sizeof topic, TOPIC_FORMAT, adapter->key, vendors[data[0] / 8 % COUNT_OF(vendors)],
             topic_words[data[0] % 8 % TOPIC_KINDS_IN]);
    uint8_t *payload = fuzz_copy(data + 3, length);
    struct intake_message message = {
        .topic = topic,
        .payload = length == 0 ? NULL : payload,
        .length = length,
        .name = (data[0] & 0x80) == 0 ? NULL : payload,
        .name_length = (data[0] & 0x80) == 0 ? 0
                       : length < 8          ? length
                                             : 8,
        .received_at_ms = NOW_MS,
        .identifier = (uint16_t)(batch->message_count + 1),
    };
    REQUIRE(intake_digest(intake, &message) == 0);
    size_t before = batch->message_count;
    REQUIRE(intake_take(intake, batch, &message) == 0 && !batch->failed);
    free(payload);
    REQUIRE(batch->message_count <= before + 1);
    if (batch->message_count > before) {
        const struct batch_message *entry = &batch->messages[before];
        REQUIRE(entry->total >= 0 && (int64_t)entry->row_count <= entry->total);
        REQUIRE(entry->problem_count > 0 || entry->document != 0 || entry->row_count > 0 || length == 0);
        REQUIRE(length > 0 || entry->problem_count + entry->warning_count > 0);
        REQUIRE(entry->first_row + entry->row_count == batch->row_count);
        REQUIRE(entry->first_track + entry->track_count == batch->track_count);
        REQUIRE(entry->fates[FATE_STORED] == entry->row_count);
    }
    return length + 3;
}

static uint32_t number_of(const char *bytes) {
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return be32toh(value);
}

/* Reads one COPY stream to its end: returns its rows. */
static size_t read_bytes(const char *at, size_t size) {
    const char *end = at + size;
    REQUIRE(size >= COPY_HEADER + 2 && memcmp(at, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", COPY_HEADER) == 0);
    at += COPY_HEADER;
    for (size_t rows = 0;; rows++) {
        REQUIRE(end - at >= 2);
        int columns = (int16_t)((unsigned)(uint8_t)at[0] << 8 | (uint8_t)at[1]);
        at += 2;
        if (columns == -1) {
            REQUIRE(at == end);
            return rows;
        }
        REQUIRE(columns >= 1 && columns <= COLUMNS_MAX);
        for (int i = 0; i < columns; i++) {
            REQUIRE(end - at >= 4);
            int32_t length = (int32_t)number_of(at);
            at += 4;
            REQUIRE(length >= -1 && (length <= 0 || length <= end - at));
            at += length < 0 ? 0 : length;
        }
    }
}

/* One that is made as it goes comes piece by piece, each into an empty buffer. */
static size_t read_copy(const struct postgres_copy *copy) {
    if (copy->more == NULL) {
        return read_bytes(copy->data, copy->length);
    }
    struct buffer whole = {0}, piece = {0};
    while (copy->more(copy->user, &piece)) {
        REQUIRE(piece.length > 0 && !piece.failed);
        buffer_bytes(&whole, piece.data, piece.length);
        piece.length = 0;
    }
    REQUIRE(piece.length == 0 && !whole.failed);
    size_t rows = read_bytes(whole.data, whole.length);
    buffer_free(&whole);
    buffer_free(&piece);
    return rows;
}

/* Every text that the SQL casts, '...'::jsonb, is JSON, and every text ends. */
static void read_json(const char *sql) {
    for (const char *at = strchr(sql, '\''); at != NULL; at = strchr(at, '\'')) {
        struct buffer json = {0};
        for (at++; *at != '\'' || at[1] == '\''; at++) {
            REQUIRE(*at != '\0');
            buffer_bytes(&json, at, 1);
            at += *at == '\'';
        }
        at++;
        if (strncmp(at, "::jsonb", 7) == 0) {
            REQUIRE(buffer_string(&json) != NULL);
            cJSON *read = cJSON_ParseWithOpts(json.data, NULL, true);
            REQUIRE(read != NULL);
            cJSON_Delete(read);
        }
        buffer_free(&json);
    }
}

static void read_transaction(const struct transaction *transaction) {
    REQUIRE(!transaction_failed(transaction));
    const char *sql = buffer_string((struct buffer *)&transaction->sql);
    REQUIRE(sql != NULL && strlen(sql) == transaction->sql.length && text_flaw(sql, strlen(sql), true) == NULL);
    for (size_t i = 0; i < transaction->copy_count; i++) {
        read_copy(&transaction->copies[i]);
    }
    read_json(sql);
}

/* The ids that new devices get: a row of the answer for each. */
static void give_ids(const struct slice *slice) {
    size_t wanted = slice_devices_without_id(slice);
    for (size_t i = 0; i < wanted; i++) {
        char id[24];
        snprintf(id, sizeof id, "%zu", FIRST_ID + i);
        const char *values[] = {id};
        PGresult *rows = answer(1, values, 1);
        slice_give_ids(slice, rows);
        PQclear(rows);
    }
    REQUIRE(slice_devices_without_id(slice) == 0);
}

/* What became of each row, said by the input. */
static void settle(const struct slice *slice, uint32_t says) {
    static const char *const fates[] = {"1", "2", "3"};
    size_t rows = slice_rows(slice);
    for (size_t i = 0; i < rows; i++) {
        says = says * 1664525 + 1013904223;
        if (says >> 30 != 0) {
            char place[24];
            snprintf(place, sizeof place, "%zu", i + 1);
            const char *values[] = {fates[(says >> 30) - 1], place};
            PGresult *settled = answer(2, values, 2);
            slice_take_fates(slice, settled);
            PQclear(settled);
        }
    }
    uint64_t told = 0;
    for (size_t m = slice->first; m < slice->last; m++) {
        for (int fate = 0; fate < FATE_COUNT; fate++) {
            told += slice->batch->messages[m].fates[fate];
        }
    }
    REQUIRE(told == rows);
}

/* All ways in which the batch is given to the database. */
static void store(const struct world *world, struct batch *batch, uint32_t says) {
    struct transaction transaction = {0};
    struct slice all = {.batch = batch, .last = batch->message_count, .stamp_us = NOW_MS * 1000};
    give_ids(&all);
    transaction_ask_ids(&transaction, &all);
    read_transaction(&transaction);
    transaction_store(&transaction, &all);
    read_transaction(&transaction);
    transaction_settle(&transaction, &all);
    read_transaction(&transaction);
    settle(&all, says);
    transaction_finish(&transaction, &all);
    read_transaction(&transaction);
    slice_committed(&all);
    REQUIRE(!commit_take(world, batch));
    for (size_t m = 0; m < batch->message_count; m++) {
        struct slice one = {.batch = batch, .first = m, .last = m + 1, .stamp_us = NOW_MS * 1000 + (int64_t)m};
        transaction_store(&transaction, &one);
        read_transaction(&transaction);
        batch->messages[m].refused = true;
        REQUIRE(slice_rows(&one) == 0);
        transaction_store(&transaction, &one);
        read_transaction(&transaction);
    }
    transaction_free(&transaction);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (metrics == NULL) {
        REQUIRE(config_load(&config, "/dev/null", stderr) == 0);
        metrics = metrics_lane_add("fuzz-1", "fuzz");
        REQUIRE(metrics != NULL);
    }
    if (size < HEAD) {
        return 0;
    }
    const struct adapter *adapter = adapters[data[0] % adapter_count];
    uint32_t says = number_of((const char *)data + 1);
    struct world world = make_world(adapter);
    struct intake *intake = intake_new(&world, adapter);
    struct batch batch = {.metrics = metrics};
    REQUIRE(intake != NULL);
    for (size_t at = HEAD; at < size;) {
        at += take(intake, adapter, &batch, data + at, size - at);
    }
    if (batch.message_count > 0) {
        batch.lane = "fuzz/fuzz-1";
        store(&world, &batch, says);
    }
    batch_free(&batch);
    intake_free(intake);
    free_world(&world);
    return 0;
}

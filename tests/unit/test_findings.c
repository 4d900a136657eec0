/* test_findings.c: a message into a batch: what becomes of bad fields, of readings that are none or beyond the
 * instrument, of places outside the county and of what is on the wrong topic; what of that is listed, and what only
 * counted. */
#include "fake_world.h"
#include "rows.h"
#include "wire_writer.h"

#include "hub/ingest/intake.h"

enum { FUEL = 9, LOAD_PERCENT = 4 }; /* ordinals */

static struct intake *intake;
static struct batch batch;

/* Codes as the database has them, the county's extent, a vendor "acme" of dust and gas, too, whose monitor is known. */
static int begin(void **state) {
    if (fake_world_begin(state) != 0) {
        return -1;
    }
    struct fake_world *world = *state;
    PGresult *rows =
        ROWS(5, FAKE_SUBSYSTEM, "acme", "f", "t", "f", "dust", "acme", "f", "t", "f", "gas", "acme", "f", "t", "f");
    assert_int_equal(registry_take_vendors(world->world.registry, rows), 0);
    PQclear(rows);
    int last = 0;
    rows = ROWS(10, "70", "dust", "acme", "M-1", "site_monitor", NULL, "1", NULL, NULL, NULL, "71", FAKE_SUBSYSTEM,
                "acme", "T-1", "truck", NULL, "1", NULL, NULL, NULL);
    assert_int_equal(registry_take_devices(world->world.registry, rows, &last), 0);
    PQclear(rows);
    rows = ROWS(6, NULL, NULL, NULL, "65535", "f", "t", NULL, NULL, NULL, "-999", "f", "t");
    assert_int_equal(plausible_take_codes(world->world.plausible, rows), 0);
    PQclear(rows);
    rows = ROWS(4, "114", "34", "115", "35");
    assert_int_equal(plausible_take_extent(world->world.plausible, rows), 0);
    PQclear(rows);
    intake = intake_new(&world->world, world->adapter);
    assert_non_null(intake);
    batch.metrics = world->metrics;
    return 0;
}

static int end(void **state) {
    intake_free(intake);
    batch_free(&batch);
    batch = (struct batch){0};
    return fake_world_end(state);
}

static struct batch_message *take(const char *kind, const void *payload, size_t length) {
    char topic[128];
    snprintf(topic, sizeof topic, "cityhub/v1/" FAKE_SUBSYSTEM "/acme/%s", kind);
    struct intake_message message = {
        .topic = topic, .payload = payload, .length = length, .received_at_ms = FAKE_NOW_MS};
    assert_int_equal(intake_take(intake, &batch, &message), 0);
    return &batch.messages[batch.message_count - 1];
}

static struct batch_message *take_text(const char *text) {
    return take("telemetry", text, strlen(text));
}

/* A record of truck T-1 with `more` members. */
static struct batch_message *take_record(const char *more) {
    char text[512];
    snprintf(text, sizeof text, "{\"device_code\":\"T-1\",\"observed_at_ms\":%lld,%s}", (long long)FAKE_NOW_MS, more);
    return take_text(text);
}

static cJSON *listed(size_t at, size_t length) {
    char *text = NULL;
    assert_true(asprintf(&text, "[%.*s]", (int)length, batch_text(&batch, at)) > 0);
    cJSON *list = cJSON_Parse(text);
    assert_non_null(list);
    free(text);
    return list;
}

/* Whether the list's entry has this code and field ("" = none). */
static void expect(size_t at, size_t length, int place, const char *code, const char *field) {
    cJSON *list = listed(at, length);
    const cJSON *entry = cJSON_GetArrayItem(list, place);
    const cJSON *name = cJSON_GetObjectItem(entry, "field");
    assert_non_null(entry);
    assert_string_equal(cJSON_GetObjectItem(entry, "code")->valuestring, code);
    assert_string_equal(name == NULL ? "" : name->valuestring, field);
    cJSON_Delete(list);
}

static void expect_problem(const struct batch_message *message, int place, const char *code, const char *field) {
    expect(message->problems, message->problems_length, place, code, field);
}

static void expect_warning(const struct batch_message *message, int place, const char *code, const char *field) {
    expect(message->warnings, message->warnings_length, place, code, field);
}

static int listed_count(size_t at, size_t length) {
    cJSON *list = listed(at, length);
    int count = cJSON_GetArraySize(list);
    cJSON_Delete(list);
    return count;
}

/* The record is stored and judged without its bad fields; the message goes to quarantine by the first of them. */
static void test_bad_fields(void **state) {
    (void)state;
    struct batch_message *message = take_record("\"speed_km_h\":90,\"fuel_percent\":NaN,\"plate\":5");
    assert_int_equal(message->total, 1);
    assert_int_equal(message->row_count, 1);
    assert_int_equal(message->problem_count, 0);
    assert_int_equal(message->field_count, 2);
    expect_problem(message, 0, "not_finite", "fuel_percent");
    expect_problem(message, 1, "wrong_type", "plate");
    assert_string_equal(batch_text(&batch, message->code), "not_finite");
    assert_int_equal(batch.operation_count, 1);
    assert_int_equal(batch.operations[0].rule_id, FAKE_RULE);
    /* Of a refused record its refusal alone is told. */
    message = take_text("[{\"device_code\":\"T-1\",\"fuel_percent\":NaN}]");
    assert_int_equal(message->problem_count, 1);
    assert_int_equal(message->field_count, 0);
    expect_problem(message, 0, "missing_time", "");
}

static void test_readings(void **state) {
    (void)state;
    struct batch_message *message = take_record("\"speed_km_h\":200,\"load_kg\":65535,\"fuel_percent\":65535");
    assert_int_equal(message->row_count, 1);
    assert_int_equal(message->problem_count + message->field_count, 0);
    assert_int_equal(message->warning_count, 2);
    expect_warning(message, 0, "out_of_range", "speed_km_h");
    expect_warning(message, 1, "no_value", "fuel_percent");
    cJSON *list = listed(message->warnings, message->warnings_length);
    assert_true(cJSON_GetObjectItem(cJSON_GetArrayItem(list, 0), "value")->valuedouble == 200);
    cJSON_Delete(list);
    assert_int_equal(batch.operation_count, 1);
    assert_true(batch.operations[0].out_of_range && batch.operations[0].value == 200);
    /* Beyond the instrument as the record says. */
    message = take_record("\"speed_km_h\":90,\"fuel_percent\":77,\"over_range\":[\"speed_km_h\",\"fuel_percent\"]");
    assert_int_equal(message->row_count, 1);
    assert_int_equal(message->problem_count + message->field_count, 0);
    expect_warning(message, 0, "over_range", "speed_km_h");
    expect_warning(message, 1, "over_range", "fuel_percent");
    /* A code alone: the record is there, with nothing in it. */
    message = take_record("\"fuel_percent\":-999");
    assert_int_equal(message->row_count, 1);
    assert_int_equal(message->problem_count, 0);
    expect_warning(message, 0, "no_value", "fuel_percent");
}

/* Values of intervals are stored as they came, and told of; those with a flag say themselves that they are no good. */
static void test_intervals(void **state) {
    (void)state;
    static const char text[] =
        "{\"device_code\":\"T-1\",\"began_at_ms\":%lld,\"seconds\":60,\"values\":["
        "{\"metric\":\"speed_km_h\",\"minimum\":0,\"mean\":-999,\"maximum\":300,\"total\":99999},"
        "{\"metric\":\"nothing\",\"mean\":-999},{\"metric\":\"plate\",\"mean\":-999},"
        "{\"metric\":\"fuel_percent\",\"mean\":101,\"flag\":\"T\"},"
        "{\"metric\":\"load_percent\",\"mean\":999,\"flag\":\"N\"}]}";
    char record[512];
    snprintf(record, sizeof record, text, (long long)FAKE_NOW_MS - 60000);
    struct batch_message *message = take("interval", record, strlen(record));
    assert_int_equal(message->problem_count + message->field_count, 0);
    assert_int_equal(message->warning_count, 3);
    expect_warning(message, 0, "out_of_range", "values[0].mean");
    expect_warning(message, 1, "out_of_range", "values[0].maximum");
    expect_warning(message, 2, "out_of_range", "values[4].mean");
    cJSON *list = listed(message->warnings, message->warnings_length);
    assert_true(cJSON_GetObjectItem(cJSON_GetArrayItem(list, 0), "value")->valuedouble == -999);
    cJSON_Delete(list);
}

/* An interval that is not over yet, and numbers that contradict each other. A number that is none contradicts nothing.
 */
static void test_intervals_that_cannot_be(void **state) {
    (void)state;
    static const char text[] = "{\"device_code\":\"T-1\",\"began_at_ms\":%lld,\"seconds\":3600,\"values\":["
                               "{\"metric\":\"speed_km_h\",\"minimum\":30,\"mean\":20,\"maximum\":10},"
                               "{\"metric\":\"load_percent\",\"minimum\":30,\"maximum\":10},"
                               "{\"metric\":\"fuel_percent\",\"mean\":20,\"maximum\":20},"
                               "{\"metric\":\"load_kg\",\"minimum\":30,\"mean\":20,\"flag\":\"D\"},"
                               "{\"metric\":\"heading_deg\",\"minimum\":0,\"mean\":5,\"maximum\":-999}]}";
    char record[1024];
    snprintf(record, sizeof record, text, (long long)FAKE_NOW_MS);
    struct batch_message *message = take("interval", record, strlen(record));
    assert_int_equal(message->problem_count + message->field_count, 0);
    assert_int_equal(message->warning_count, 6);
    expect_warning(message, 0, "interval_not_over", "seconds");
    expect_warning(message, 1, "contradictory", "values[0].minimum");
    expect_warning(message, 2, "contradictory", "values[0].minimum");
    expect_warning(message, 3, "contradictory", "values[0].mean");
    expect_warning(message, 4, "contradictory", "values[1].minimum");
    expect_warning(message, 5, "out_of_range", "values[4].maximum");
}

/* Many of one kind are counted, and do not hide others. */
static void test_lists_end(void **state) {
    (void)state;
    struct buffer text = {0};
    for (int i = 0; i < 1005; i++) {
        buffer_format(&text,
                      "%s{\"device_code\":\"T-1\",\"observed_at_ms\":%lld,\"speed_km_h\":300,\"fuel_percent\":-,"
                      "\"load_percent\":%d}",
                      i == 0 ? "[" : ",", (long long)FAKE_NOW_MS + i, i == 1004 ? -999 : 1);
    }
    buffer_text(&text, "]");
    struct batch_message *message = take("telemetry", text.data, text.length);
    buffer_free(&text);
    assert_int_equal(message->row_count, 1005);
    assert_int_equal(message->field_count, 1005);
    assert_int_equal(listed_count(message->problems, message->problems_length), 1000);
    assert_int_equal(message->warning_count, 1006);
    assert_int_equal(listed_count(message->warnings, message->warnings_length), 51);
    expect_warning(message, 50, "no_value", "load_percent");
}

/* What a broker sends when a retained message is deleted. Blanks alone are no such thing. */
static void test_empty(void **state) {
    (void)state;
    struct batch_message *message = take_text("");
    assert_int_equal(message->problem_count + message->field_count + message->total, 0);
    expect_warning(message, 0, "empty_message", "");
    message = take_text(" ");
    assert_int_equal(message->problem_count, 1);
    expect_problem(message, 0, "malformed", "");
}

static void test_place_outside(void **state) {
    (void)state;
    struct batch_message *message =
        take_record("\"bed_lifted\":true,\"position\":{\"lon\":-114.5,\"lat\":34.5,\"system\":\"WGS84\"}");
    assert_int_equal(message->row_count, 1);
    expect_warning(message, 0, "place_outside", "position");
    assert_int_equal(message->track_count, 1);
    assert_int_equal(batch.check_count, 1);
    assert_false(batch.checks[0].has_position);
    message = take_record("\"bed_lifted\":true,\"position\":{\"lon\":114.5,\"lat\":34.5,\"system\":\"WGS84\"}");
    assert_int_equal(message->warning_count, 0);
    assert_true(batch.checks[1].has_position);
}

/* A place that its sender does not trust is kept, and moves nothing. */
static void test_place_doubtful(void **state) {
    (void)state;
    static const char *const doubts[] = {"\"POSITION_NO_FIX\"", "2", "\"position_jump\""};
    for (size_t i = 0; i < COUNT_OF(doubts); i++) {
        char record[200];
        snprintf(record, sizeof record,
                 "\"bed_lifted\":true,\"position\":{\"lon\":114.5,\"lat\":34.5,\"system\":\"WGS84\",\"doubt\":%s}",
                 doubts[i]);
        struct batch_message *message = take_record(record);
        expect_warning(message, 0, "place_doubtful", "position");
        assert_int_equal(message->track_count, 1);
        assert_false(batch.checks[i].has_position);
    }
    struct batch_message *message = take_record("\"bed_lifted\":true,\"position\":{\"lon\":114.5,\"lat\":34.5,"
                                                "\"system\":\"WGS84\",\"doubt\":\"POSITION_SURE\"}");
    assert_int_equal(message->warning_count, 0);
    assert_true(batch.checks[3].has_position);
    message = take_record(
        "\"bed_lifted\":true,\"position\":{\"lon\":114.5,\"lat\":34.5,\"system\":\"WGS84\",\"doubt\":\"x\"}");
    assert_int_equal(message->field_count, 1);
}

/* ---- wrong topics ---- */

/* A protobuf batch of one record: code, time, then readings as doubles from field `first` on, of the same value. */
static struct batch_message *take_doubles(const char *code, const char *subsystem, uint32_t first, uint32_t last,
                                          double value) {
    struct bytes record = {0}, out = {0};
    bytes_field_data(&record, 1, code, strlen(code));
    bytes_field_varint(&record, 2, (uint64_t)FAKE_NOW_MS);
    for (uint32_t number = first; number <= last; number++) {
        bytes_field_double(&record, number, value);
    }
    bytes_field_data(&out, 1, record.data, record.length);
    if (subsystem != NULL) {
        bytes_field_data(&out, 1000, subsystem, strlen(subsystem));
    }
    struct batch_message *message = take("telemetry", out.data, out.length);
    free(record.data);
    free(out.data);
    return message;
}

/* Readings of a street lamp as protobuf: `doubles` of them, and its switch, where a truck has a double. */
static struct batch_message *take_mixed(const char *code, int doubles) {
    static const uint32_t numbers[] = {12, 13, 16};
    struct bytes record = {0}, out = {0};
    bytes_field_data(&record, 1, code, strlen(code));
    bytes_field_varint(&record, 2, (uint64_t)FAKE_NOW_MS);
    bytes_field_varint(&record, 10, 1);
    for (int i = 0; i < doubles; i++) {
        bytes_field_double(&record, numbers[i], 50);
    }
    bytes_field_data(&out, 1, record.data, record.length);
    struct batch_message *message = take("telemetry", out.data, out.length);
    free(record.data);
    free(out.data);
    return message;
}

static void test_wrong_topic(void **state) {
    (void)state;
    /* It says so itself, before or after its records. */
    struct batch_message *message = take_doubles("T-1", "dust", 10, 10, 5);
    assert_int_equal(message->total + (int)message->row_count, 0);
    expect_problem(message, 0, "wrong_topic", "");
    assert_int_equal(take_doubles("T-1", FAKE_SUBSYSTEM, 10, 10, 5)->row_count, 1);
    /* Most of it does not fit: 14, 15 and 17 are bool. */
    message = take_doubles("T-2", NULL, 14, 18, 5);
    expect_problem(message, 0, "wrong_topic", "");
    assert_int_equal(message->row_count, 0);
    /* The same of a truck that says that it is one: bad fields. */
    message = take_doubles("T-1", FAKE_SUBSYSTEM, 14, 18, 5);
    assert_int_equal(message->row_count, 1);
    assert_int_equal(message->field_count, 3);
    /* All of it fits here, but it is the monitor's of dust. */
    message = take_doubles("M-1", NULL, 10, 13, 40);
    expect_problem(message, 0, "wrong_topic", "");
    cJSON *list = listed(message->problems, message->problems_length);
    assert_non_null(
        strstr(cJSON_GetObjectItem(cJSON_GetArrayItem(list, 0), "reason")->valuestring, "inventory of dust"));
    cJSON_Delete(list);
    /* Four fields that a subsystem knows whole, and this one not, are that one's, be the vendor of it or not. */
    message = take_mixed("T-3", 3);
    expect_problem(message, 0, "wrong_topic", "");
    /* A truck in the inventory is believed: a bad field. So is a small record. */
    assert_int_equal(take_mixed("T-1", 3)->field_count, 1);
    assert_int_equal(take_mixed("T-4", 1)->field_count, 1);
    /* A truck of the same code is one, when its fields are no monitor's. */
    assert_int_equal(take_doubles("M-1", NULL, 28, 29, 5)->row_count, 1);
}

/* JSON has names: those that are another subsystem's tell a message. */
static void test_wrong_topic_by_names(void **state) {
    (void)state;
    struct batch_message *message = take_text("{\"device_code\":\"G-1\",\"observed_at_ms\":1760000000000,"
                                              "\"gas_temp_c\":20,\"leak_percent_lel\":3,\"fault_text\":\"x\"}");
    expect_problem(message, 0, "wrong_topic", "");
    assert_int_equal(message->row_count, 0);
    /* With a name that only trucks have, or of a device that is a truck: a field too many. */
    message = take_text("{\"device_code\":\"G-2\",\"observed_at_ms\":1760000000000,\"leak_percent_lel\":3,"
                        "\"speed_km_h\":10}");
    assert_int_equal(message->row_count, 1);
    expect_warning(message, 0, "unknown_field", "");
    assert_int_equal(take_record("\"leak_percent_lel\":3,\"fault_text\":\"x\"")->row_count, 1);
}

/* Of documents the database stores the records: it is told of their fields with them. */
static void test_documents(void **state) {
    (void)state;
    static const char text[] =
        "[{\"device_code\":\"T-9\",\"kind\":\"truck\",\"name\":5,\"component_code\":\"12\",\"position\":{\"lon\":34.5,"
        "\"lat\":114.5,\"system\":\"WGS84\"}},{\"device_code\":\"T-8\",\"kind\":\"truck\"}]";
    struct batch_message *message = take("inventory", text, strlen(text));
    assert_int_equal(message->problem_count, 0);
    assert_true(message->document != 0);
    cJSON *document = cJSON_Parse(batch_text(&batch, message->document));
    const cJSON *records = cJSON_GetObjectItem(document, "records");
    const cJSON *first = cJSON_GetArrayItem(records, 0), *second = cJSON_GetArrayItem(records, 1);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(first, "fields")), 3);
    assert_int_equal(cJSON_GetObjectItem(first, "bad_fields")->valueint, 3);
    assert_null(cJSON_GetObjectItem(second, "fields"));
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(document, "problems")), 0);
    cJSON_Delete(document);
}

static void expect_tally(const struct batch_message *message, size_t place, enum batch_tally_kind kind,
                         const char *code, const char *field, uint32_t count) {
    const struct batch_tally *tally = &batch.tallies[message->first_tally + place];
    assert_true(place < message->tally_count);
    assert_int_equal(tally->kind, kind);
    assert_string_equal(tally->code, code);
    assert_string_equal(tally->field == NULL ? "" : tally->field, field);
    assert_int_equal(tally->count, count);
}

/* What is found is counted by kind, with the first of each as an example; a record with something to mend counts once,
 * and not if it is refused, nor for what it says of itself. */
static void test_counted(void **state) {
    (void)state;
    char text[1024];
    long long now = FAKE_NOW_MS;
    snprintf(text, sizeof text,
             "[{\"device_code\":\"T-1\",\"observed_at_ms\":%lld,\"speed_km_h\":30},"
             "{\"device_code\":\"T-1\",\"observed_at_ms\":%lld,\"speed_km_h\":30,\"fuel_percent\":NaN,\"plate\":5},"
             "{\"device_code\":\"T-1\",\"observed_at_ms\":%lld,\"speed_km_h\":30,\"fuel_percent\":-999},"
             "{\"device_code\":\"T-1\",\"observed_at_ms\":%lld,\"speed_km_h\":30,\"fuel_percent\":-999},"
             "{\"device_code\":\"T-1\",\"observed_at_ms\":%lld,\"speed_km_h\":31,\"over_range\":[\"speed_km_h\"]},"
             "{\"device_code\":\"T-1\",\"wrong\":1}]",
             now, now + 1, now + 2, now + 3, now + 4);
    const struct batch_message *message = take_text(text);
    assert_int_equal(message->row_count, 5);
    assert_int_equal(message->problem_count, 1);
    assert_int_equal(message->flawed_count, 3);
    assert_int_equal(message->tally_count, 6);
    expect_tally(message, 0, TALLY_FIELD, "not_finite", "fuel_percent", 1);
    expect_tally(message, 1, TALLY_FIELD, "wrong_type", "plate", 1);
    expect_tally(message, 2, TALLY_WARNING, "no_value", "fuel_percent", 2);
    expect_tally(message, 3, TALLY_WARNING, "over_range", "speed_km_h", 1);
    expect_tally(message, 4, TALLY_WARNING, "unknown_field", "", 1);
    expect_tally(message, 5, TALLY_REFUSED, "missing_time", "", 1);
    const struct batch_tally *none = &batch.tallies[message->first_tally + 2];
    assert_string_equal(batch_text(&batch, none->device), "T-1");
    assert_int_equal(none->index, 2);
    assert_int_equal(none->observed_at_ms, FAKE_NOW_MS + 2);
    assert_float_equal(none->value, -999, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_bad_fields),
        TEST(test_readings),
        TEST(test_lists_end),
        TEST(test_empty),
        TEST(test_place_outside),
        TEST(test_place_doubtful),
        TEST(test_wrong_topic),
        TEST(test_wrong_topic_by_names),
        TEST(test_documents),
        TEST(test_intervals),
        TEST(test_intervals_that_cannot_be),
        TEST(test_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

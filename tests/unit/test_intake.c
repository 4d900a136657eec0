/* test_intake.c: one message into a batch: whose it is, what of it can be taken, what is kept of the rest, and what a
 * record brings with it: device, place, texts, checks, alarms, states. test_memory.c has what happens without memory.
 */
#include "fake_memory.h"
#include "fake_world.h"

#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/ingest/intake.h"

#define TOPIC(vendor, kind) "cityhub/v1/" FAKE_SUBSYSTEM "/" vendor "/" kind
#define NOW "1760000000000"

struct taking {
    struct fake_world *world;
    struct intake *intake;
    struct batch batch;
};

static int begin(void **state) {
    struct taking *taking = calloc(1, sizeof *taking);
    void *world;
    assert_non_null(taking);
    fake_world_begin(&world);
    taking->world = world;
    taking->intake = intake_new(&taking->world->world, taking->world->adapter);
    assert_non_null(taking->intake);
    taking->batch.metrics = taking->world->metrics;
    *state = taking;
    return 0;
}

static int end(void **state) {
    struct taking *taking = *state;
    void *world = taking->world;
    batch_free(&taking->batch);
    intake_free(taking->intake);
    fake_world_end(&world);
    free(taking);
    return 0;
}

/* From a copy of its exact size, so that a sanitizer sees every byte read too far. */
static const struct batch_message *take_named(struct taking *taking, const char *topic, const void *payload,
                                              size_t length, const char *name) {
    char *copy = malloc(length + 1);
    size_t before = taking->batch.message_count;
    assert_non_null(copy);
    memcpy(copy, payload, length);
    struct intake_message message = {.topic = topic,
                                     .payload = length == 0 ? NULL : copy,
                                     .length = length,
                                     .name = name,
                                     .name_length = name == NULL ? 0 : strlen(name),
                                     .received_at_ms = FAKE_NOW_MS};
    assert_int_equal(intake_digest(taking->intake, &message), 0);
    assert_int_equal(intake_take(taking->intake, &taking->batch, &message), 0);
    free(copy);
    assert_false(taking->batch.failed);
    return taking->batch.message_count == before ? NULL : &taking->batch.messages[before];
}

static const struct batch_message *take(struct taking *taking, const char *topic, const char *payload) {
    return take_named(taking, topic, payload, strlen(payload), NULL);
}

static const char *text(const struct taking *taking, size_t at) {
    return batch_text(&taking->batch, at);
}

/* Refused whole: one problem, no record, and the message kept. */
static void expect_refused(const struct taking *taking, const struct batch_message *message, const char *code,
                           const char *payload) {
    assert_non_null(message);
    assert_string_equal(text(taking, message->code), code);
    assert_int_equal(message->problem_count, 1);
    assert_int_equal(message->total, 0);
    assert_int_equal(message->row_count, 0);
    assert_int_equal(message->payload_length, strlen(payload));
    assert_memory_equal(text(taking, message->payload), payload, strlen(payload));
    char finding[64];
    snprintf(finding, sizeof finding, "{\"index\":-1,\"code\":\"%s\",\"reason\":\"", code);
    assert_memory_equal(text(taking, message->problems), finding, strlen(finding));
}

static void test_telemetry(void **state) {
    struct taking *taking = *state;
    static const char payload[] = "[{\"device_code\":\"T-1\",\"observed_at_ms\":" NOW ",\"speed_km_h\":40},"
                                  "{\"device_code\":\"T-2\",\"observed_at_ms\":" NOW ",\"speed_km_h\":50},"
                                  "{\"device_code\":\"T-1\",\"observed_at_ms\":1760000000001,\"speed_km_h\":60}]";
    const struct batch_message *message = take(taking, TOPIC("acme", "telemetry"), payload);
    assert_non_null(message);
    assert_ptr_equal(message->adapter, taking->world->adapter);
    assert_ptr_equal(message->vendor, taking->world->acme);
    assert_string_equal(text(taking, message->topic), TOPIC("acme", "telemetry"));
    assert_string_equal(text(taking, message->vendor_name), "acme");
    assert_string_equal(text(taking, message->kind), "telemetry");
    assert_string_equal(text(taking, message->payload), payload);
    assert_true(message->received_at_ms == FAKE_NOW_MS);
    assert_int_equal(message->total, 3);
    assert_int_equal(message->row_count, 3);
    assert_int_equal(message->fates[FATE_STORED], 3);
    assert_int_equal(message->problem_count + (int)message->document, 0);
    assert_int_equal(taking->batch.records, 3);
    const struct device *device = vendor_device(taking->world->acme, "T-1", 3);
    assert_non_null(device);
    assert_int_equal(device->id, 0);
    assert_false(device->registered);
    assert_ptr_equal(taking->batch.row_index[0].device, device);
    assert_ptr_equal(taking->batch.row_index[2].device, device);
    assert_int_equal(states_dirty(taking->world->world.states), 0); /* nothing of it is committed */
    const struct lane_metrics *metrics = taking->world->metrics;
    assert_int_equal(metrics->messages_received, 1);
    assert_int_equal(metrics->records_received, 3);
    assert_int_equal(metrics->bytes_received, strlen(payload));
}

/* Whoever may not push, and what nobody may. */
static void test_refused(void **state) {
    struct taking *taking = *state;
    static const char good[] = "{\"device_code\":\"T-1\",\"observed_at_ms\":" NOW ",\"speed_km_h\":40}";
    expect_refused(taking, take(taking, TOPIC("nobody", "telemetry"), good), "unknown_vendor", good);
    assert_null(taking->batch.messages[0].vendor);
    assert_string_equal(text(taking, taking->batch.messages[0].vendor_name), "nobody");
    expect_refused(taking, take(taking, TOPIC("gone", "telemetry"), good), "revoked_vendor", good);
    expect_refused(taking, take(taking, TOPIC("acme", "rumours"), good), "unknown_kind", good);
    taking->world->config.lane_max_payload_bytes = (int64_t)strlen(good) - 1;
    expect_refused(taking, take(taking, TOPIC("acme", "telemetry"), good), "too_large", good);
    taking->world->config.lane_max_payload_bytes++;
    assert_int_equal(take(taking, TOPIC("acme", "telemetry"), good)->row_count, 1);
    expect_refused(taking, take(taking, TOPIC("acme", "telemetry"), " "), "malformed", " ");
    expect_refused(taking, take(taking, TOPIC("acme", "telemetry"), "[]"), "empty_batch", "[]");
    expect_refused(taking, take(taking, TOPIC("acme", "telemetry"), "{nonsense"), "malformed", "{nonsense");
    assert_int_equal(taking->world->metrics->messages_received, 8);
}

/* Not of the lane's subscriptions. */
static void test_odd_topics(void **state) {
    struct taking *taking = *state;
    static const char *const topics[] = {"", "cityhub/v1/" FAKE_SUBSYSTEM "/acme", TOPIC("acme", "telemetry/more")};
    for (size_t i = 0; i < COUNT_OF(topics); i++) {
        assert_null(take(taking, topics[i], "{}"));
    }
    /* A vendor's name that cannot be stored is shown, not kept. */
    const struct batch_message *message = take(taking, TOPIC("a\xff", "telemetry"), "{}");
    assert_string_equal(text(taking, message->code), "unknown_vendor");
    assert_string_equal(text(taking, message->vendor_name), "\"a\\xff\"");
}

/* A bad record is a problem with its place, its neighbours go on; warnings do not count as problems. */
static void test_problems(void **state) {
    struct taking *taking = *state;
    const struct batch_message *message =
        take(taking, TOPIC("acme", "telemetry"),
             "[{\"device_code\":\"T-1\",\"observed_at_ms\":" NOW ",\"speed_km_h\":40,\"odd\":1},"
             "{\"device_code\":\"T-1\",\"observed_at_ms\":" NOW ",\"speed_km_h\":\"fast\"},"
             "{\"device_code\":\"T-1\",\"speed_km_h\":40},"
             "{\"device_code\":\"T-2\",\"observed_at_ms\":" NOW ",\"speed_km_h\":40}]");
    assert_int_equal(message->total, 4);
    assert_int_equal(message->row_count, 2);
    assert_int_equal(message->problem_count, 2);
    assert_string_equal(text(taking, message->code), "wrong_type"); /* the first one's */
    const char *problems = text(taking, message->problems);
    assert_int_equal(strlen(problems), message->problems_length);
    assert_memory_equal(problems, "{\"index\":1,\"code\":\"wrong_type\",", 31);
    assert_non_null(strstr(problems, "},{\"index\":2,\"code\":\"missing_time\","));
    assert_int_equal(strlen(text(taking, message->warnings)), message->warnings_length);
    assert_memory_equal(text(taking, message->warnings), "{\"index\":0,\"code\":\"unknown_field\",", 34);
    /* Nothing of it is left over for the next message. */
    message = take(taking, TOPIC("acme", "telemetry"),
                   "{\"device_code\":\"T-1\",\"observed_at_ms\":1760000000001,\"speed_km_h\":40}");
    assert_int_equal(message->problem_count, 0);
    assert_int_equal(message->problems_length + message->warnings_length, 0);
}

/* 1000 problems are listed, the rest is counted. */
static void test_many_problems(void **state) {
    struct taking *taking = *state;
    struct buffer payload = {0};
    enum { RECORDS = 1500 };
    for (int i = 0; i < RECORDS; i++) {
        buffer_text(&payload, i == 0 ? "[{}" : ",{}");
    }
    buffer_text(&payload, "]");
    const struct batch_message *message =
        take_named(taking, TOPIC("acme", "telemetry"), payload.data, payload.length, NULL);
    assert_int_equal(message->total, RECORDS);
    assert_int_equal(message->problem_count, RECORDS);
    assert_non_null(strstr(text(taking, message->problems), "{\"index\":999,"));
    assert_null(strstr(text(taking, message->problems), "{\"index\":1000,"));
    buffer_free(&payload);
}

/* The limits of time are those of the moment of receipt. */
static void test_times(void **state) {
    struct taking *taking = *state;
    const struct config *config = &taking->world->config;
    const int64_t ahead_ms = config->time_max_ahead_s * 1000;
    const int64_t old_ms = config->retention_observation_days * INT64_C(86400000);
    const struct {
        int64_t at_ms;
        const char *code;
    } cases[] = {{FAKE_NOW_MS + ahead_ms, ""},
                 {FAKE_NOW_MS + ahead_ms + 1, "time_ahead"},
                 {FAKE_NOW_MS - old_ms, ""},
                 {FAKE_NOW_MS - old_ms - 1, "time_too_old"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char payload[128];
        snprintf(payload, sizeof payload, "{\"device_code\":\"T-1\",\"observed_at_ms\":%lld,\"speed_km_h\":1}",
                 (long long)cases[i].at_ms);
        const struct batch_message *message = take(taking, TOPIC("acme", "telemetry"), payload);
        assert_string_equal(text(taking, message->code), cases[i].code);
    }
}

/* The vendor's own name for a message if it is fit to be one, else a digest of the payload. */
static void test_names(void **state) {
    struct taking *taking = *state;
    char longest[130];
    memset(longest, 'n', sizeof longest);
    longest[129] = '\0';
    static const char empty[] = "sha256:e3b0c44298fc1c14"; /* SHA-256 of nothing (FIPS 180-2, NIST's example) */
    const struct {
        const char *name, *kept;
    } cases[] = {{"batch-42", "batch-42"}, {"车队", "车队"},           {NULL, empty},   {"", empty}, {"a\nb", empty},
                 {"\xff", empty},          {longest + 1, longest + 1}, {longest, empty}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct batch_message *message = take_named(taking, TOPIC("acme", "telemetry"), "", 0, cases[i].name);
        assert_string_equal(text(taking, message->name), cases[i].kept);
    }
    assert_string_equal(text(taking, take(taking, TOPIC("acme", "telemetry"), "abc")->name), "sha256:ba7816bf8f01cfea");
}

/* A vendor whose unknown devices are not registered. */
static void test_unknown_devices(void **state) {
    struct taking *taking = *state;
    vendor_device_add(taking->world->strict, "T-1", 3);
    const struct batch_message *message =
        take(taking, TOPIC("strict", "telemetry"),
             "[{\"device_code\":\"T-1\",\"observed_at_ms\":" NOW ",\"speed_km_h\":1},"
             "{\"device_code\":\"T-9\",\"observed_at_ms\":" NOW ",\"speed_km_h\":1}]");
    assert_int_equal(message->row_count, 1);
    assert_int_equal(message->problem_count, 1);
    assert_string_equal(text(taking, message->code), "unknown_device");
    assert_non_null(strstr(text(taking, message->reason), "T-9"));
    assert_null(vendor_device(taking->world->strict, "T-9", 3));
}

/* Texts are attributes of the row; a place is a track point of what moves, or may. */
static void test_texts_and_places(void **state) {
    struct taking *taking = *state;
    static const char *const codes[] = {"T-unknown", "T-truck", "T-gate"};
    static const int kinds[] = {-1, 0, 1};
    static const uint32_t tracks[] = {1, 1, 0};
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        char payload[256];
        fake_world_device(taking->world, codes[i], 5 + (int)i)->kind = (int8_t)kinds[i];
        snprintf(payload, sizeof payload,
                 "{\"device_code\":\"%s\",\"observed_at_ms\":" NOW ",\"plate\":\"苏C\\\"1\",\"driver_name\":\"王\","
                 "\"position\":{\"lon\":117.5,\"lat\":34.25,\"system\":\"WGS84\"}}",
                 codes[i]);
        const struct batch_message *message = take(taking, TOPIC("acme", "telemetry"), payload);
        assert_int_equal(message->problem_count, 0);
        assert_int_equal(message->track_count, tracks[i]);
        static const char attributes[] = "{\"plate\":\"苏C\\\"1\",\"driver_name\":\"王\"}";
        assert_non_null(memmem(taking->batch.rows.data + taking->batch.row_index[i].offset,
                               taking->batch.rows.length - taking->batch.row_index[i].offset, attributes,
                               strlen(attributes)));
    }
}

/* A check is asked for where its state is not 0. */
static void test_checks(void **state) {
    struct taking *taking = *state;
    take(taking, TOPIC("acme", "telemetry"),
         "[{\"device_code\":\"T-1\",\"observed_at_ms\":" NOW ",\"bed_lifted\":false},"
         "{\"device_code\":\"T-2\",\"observed_at_ms\":" NOW ",\"bed_lifted\":true},"
         "{\"device_code\":\"T-3\",\"observed_at_ms\":" NOW ",\"speed_km_h\":1}]");
    assert_int_equal(taking->batch.check_count, 1);
    assert_ptr_equal(taking->batch.checks[0].device, vendor_device(taking->world->acme, "T-2", 3));
    assert_ptr_equal(taking->batch.checks[0].check, &taking->world->adapter->checks[0]);
}

/* Alarms of a record go with its batch; a record that is not newer than one before it makes the batch wait its turn. */
static void test_alarms_and_order(void **state) {
    struct taking *taking = *state;
    take(taking, TOPIC("acme", "telemetry"),
         "[{\"device_code\":\"T-1\",\"observed_at_ms\":" NOW ",\"speed_km_h\":90},"
         "{\"device_code\":\"T-1\",\"observed_at_ms\":1760000000001,\"speed_km_h\":95},"
         "{\"device_code\":\"T-1\",\"observed_at_ms\":1760000000002,\"speed_km_h\":60}]");
    assert_int_equal(taking->batch.operation_count, 2);
    assert_int_equal(taking->batch.operations[0].action, ALARM_OPEN);
    assert_int_equal(taking->batch.operations[1].action, ALARM_CLOSE);
    assert_false(taking->batch.revisits);
    take(taking, TOPIC("acme", "telemetry"),
         "{\"device_code\":\"T-1\",\"observed_at_ms\":1760000000002,\"speed_km_h\":60}");
    assert_true(taking->batch.revisits);
}

/* The other kinds: records as JSON in one document, with what is wrong with the others. */
static void test_documents(void **state) {
    struct taking *taking = *state;
    static const char inventory[] = "[{\"device_code\":\"T-1\",\"kind\":\"truck\"},{\"kind\":\"truck\"}]";
    const struct batch_message *message =
        take_named(taking, TOPIC("acme", "inventory"), inventory, strlen(inventory), "inv-1");
    assert_int_equal(message->total, 2);
    assert_int_equal(message->problem_count, 1);
    assert_int_equal(message->row_count, 0);
    assert_int_equal(taking->batch.document_count, 1);
    const char *document = text(taking, message->document);
    static const char *const parts[] = {
        "{\"subsystem\":\"" FAKE_SUBSYSTEM "\",\"vendor\":\"acme\",\"kind\":\"inventory\",\"topic\":\"",
        "\",\"message\":\"inv-1\",\"received_at_ms\":" NOW
        ",\"ahead_s\":300,\"quarantine_budget\":0,\"total\":2,\"records\":[{\"index\":0,\"record\":{",
        "\"problems\":[{\"index\":1,\"code\":\"missing_",
        "\"warnings\":[],\"warned\":0,\"findings\":[{\"fate\":\"refused\",\"code\":\"missing_"};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (strstr(document, parts[i]) == NULL) {
            fail_msg("there is no %s in:\n%s", parts[i], document);
        }
    }
    /* Not one good record: nothing for the database to judge, the message goes to quarantine by itself. */
    message = take(taking, TOPIC("acme", "inventory"), "[{\"kind\":\"truck\"}]");
    assert_int_equal(message->document, 0);
    assert_int_equal(message->problem_count, 1);
    assert_int_equal(taking->batch.document_count, 1);
}

/* ---- memory that runs out at each allocation in turn */

/* What a message that could not be taken leaves behind: nothing in the batch, nothing that judges its records otherwise
 * when it comes again. It is the first of its batch, or another was taken before. */
static int take_without_memory(struct taking *taking, bool second, long failure) {
    static const char before[] = "{\"device_code\":\"T-1\",\"observed_at_ms\":1759999999999,\"speed_km_h\":90}";
    static const char payload[] =
        "[{\"device_code\":\"T-1\",\"observed_at_ms\":" NOW ",\"speed_km_h\":60},"
        "{\"device_code\":\"T-1\",\"observed_at_ms\":1760000000001,\"speed_km_h\":99},"
        "{\"device_code\":\"T-2\",\"observed_at_ms\":" NOW ",\"plate\":\"C\",\"bed_lifted\":true},"
        "{\"device_code\":\"T-1\",\"observed_at_ms\":1760000000002,\"speed_km_h\":61},"
        "{\"device_code\":\"T-1\"}]";
    struct intake_message message = {.topic = TOPIC("acme", "telemetry"),
                                     .payload = payload,
                                     .length = strlen(payload),
                                     .received_at_ms = FAKE_NOW_MS};
    assert_int_equal(intake_digest(taking->intake, &message), 0);
    if (second) {
        take(taking, TOPIC("acme", "telemetry"), before);
    }
    const struct batch_mark mark = batch_mark(&taking->batch);
    fake_memory_fail(failure, 1);
    int code = intake_take(taking->intake, &taking->batch, &message);
    assert_int_equal(code, fake_memory_failed() > 0 ? CH_EMEMORY : 0);
    fake_memory_fail(0, 0);
    if (code != 0) {
        const struct batch_mark now = batch_mark(&taking->batch);
        const struct device *device = vendor_device(taking->world->acme, "T-1", 3);
        assert_memory_equal(&now, &mark, offsetof(struct batch_mark, revisits));
        assert_false(taking->batch.failed || now.revisits);
        assert_int_equal(taking->batch.records, second);
        assert_int_equal(taking->world->metrics->messages_received, second);
        assert_true(device == NULL || device->evaluated_ms == (second ? FAKE_NOW_MS - 1 : INT64_MIN));
        assert_int_equal(intake_take(taking->intake, &taking->batch, &message), 0);
    }
    return code;
}

static void test_taken_back(void **state) {
    static const enum alarm_action actions[] = {ALARM_OPEN, ALARM_CLOSE, ALARM_OPEN, ALARM_CLOSE};
    for (int second = 0; second < 2; second++) {
        int code = CH_EMEMORY;
        long failure = 1;
        for (; code != 0; failure++) {
            end(state);
            begin(state);
            struct taking *taking = *state;
            code = take_without_memory(taking, second == 1, failure);
            /* The one before has opened an alarm, which this one's first record ends. */
            assert_int_equal(taking->batch.operation_count, second == 1 ? 4 : 2);
            for (size_t i = 0; i < taking->batch.operation_count; i++) {
                assert_int_equal(taking->batch.operations[i].action, actions[i]);
            }
            const struct batch_message *message = &taking->batch.messages[second];
            assert_int_equal(message->total, 5);
            assert_int_equal(message->row_count, 4);
            assert_int_equal(message->problem_count, 1);
            assert_int_equal(taking->batch.check_count, 1);
        }
        assert_in_range(failure, 5, 100);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_telemetry),  TEST(test_refused),          TEST(test_odd_topics),
        TEST(test_problems),   TEST(test_many_problems),    TEST(test_times),
        TEST(test_names),      TEST(test_unknown_devices),  TEST(test_texts_and_places),
        TEST(test_checks),     TEST(test_alarms_and_order), TEST(test_documents),
        TEST(test_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

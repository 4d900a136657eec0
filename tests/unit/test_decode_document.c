/* test_decode_document.c: inventory, staff, work and case: the same objects from both forms, what is required, and what
 * becomes of everything that is wrong. */
#include "decoded.h"
#include "wire_writer.h"

#include <math.h>

#include "common.pb-c.h"
#include "hub/base/count.h"
#include "hub/base/error.h"

#define NOW "1760000000000"
#define SHA "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef"
#define GOOD_ENTRY "{\"uri\":\"u\",\"sha256\":\"" SHA "\",\"size_bytes\":1,\"media_type\":\"image/jpeg\"}"

static void run(struct decoded *decoded, const char *kind, const char *text) {
    decoded_run(decoded, NULL, kind, text, strlen(text));
}

static const cJSON *accepted(struct decoded *decoded, const char *kind, const char *text) {
    run(decoded, kind, text);
    decoded_expect(decoded, 1, 1, 0);
    decoded_expect_flaws(decoded, 0);
    return decoded->documents[0];
}

/* The record is delivered, but for one bad field. */
static const cJSON *flawed(struct decoded *decoded, const char *kind, const char *text, const char *field,
                           const char *code, const char *word) {
    run(decoded, kind, text);
    decoded_expect(decoded, 1, 1, 0);
    decoded_expect_flaws(decoded, 1);
    decoded_expect_flaw(decoded, 0, 0, field, code, word);
    return decoded->documents[0];
}

static const char *const good_records[][2] = {
    {"inventory", "{\"device_code\":\"D\",\"kind\":\"lamp\"}"},
    {"staff", "{\"kind\":\"PERSON\",\"code\":\"P\",\"observed_at_ms\":" NOW "}"},
    {"work", "{\"work_code\":\"W\",\"status\":\"PLANNED\",\"observed_at_ms\":" NOW "}"},
    {"case", "{\"case_code\":\"C\",\"occurred_at_ms\":" NOW "}"},
};

/* The record stands between two good ones: only it is refused. */
static void refused(struct decoded *decoded, const char *kind, const char *record, const char *code, const char *word) {
    const char *good = NULL;
    for (size_t i = 0; i < 4; i++) {
        good = strcmp(good_records[i][0], kind) == 0 ? good_records[i][1] : good;
    }
    size_t size = strlen(record) + 2 * strlen(good) + 10;
    char *text = malloc(size);
    snprintf(text, size, "[%s,%s,%s]", good, record, good);
    run(decoded, kind, text);
    free(text);
    decoded_expect(decoded, 3, 2, 1);
    decoded_expect_problem(decoded, 0, 1, code, word);
    assert_int_equal(decoded->document_indexes[0], 0);
    assert_int_equal(decoded->document_indexes[1], 2);
}

static void expect_json(const cJSON *object, const char *text) {
    cJSON *expected = cJSON_Parse(text);
    assert_non_null(expected);
    if (!cJSON_Compare(object, expected, true)) {
        char *got = cJSON_PrintUnformatted(object);
        print_message("got      %s\nexpected %s\n", got, text);
        free(got);
        cJSON_Delete(expected);
        fail();
    }
    cJSON_Delete(expected);
}

/* decode_document.c keeps a bit for each field of a message in one 64-bit word, and a count (DOCUMENT_FIELDS_MAX). */
static void test_messages_have_at_most_64_fields(void **state) {
    (void)state;
    const ProtobufCMessageDescriptor *const messages[] = {
        &cityhub__v1__inventory_record__descriptor, &cityhub__v1__staff_record__descriptor,
        &cityhub__v1__work_record__descriptor,      &cityhub__v1__case_record__descriptor,
        &cityhub__v1__attribute__descriptor,        &cityhub__v1__attachment__descriptor,
        &cityhub__v1__interval_record__descriptor,
    };
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        assert_in_range(messages[i]->n_fields, 1, 64);
    }
}

static void test_inventory_in_both_forms(void **state) {
    struct decoded *decoded = *state;
    static const char expected[] =
        "{\"device_code\":\"灯-1\",\"kind\":\"lamp\",\"component_code\":\"4102230105000001\",\"retired\":true,"
        "\"attributes\":[{\"key\":\"高度\",\"value\":\"8 m\"},{\"key\":\"b\"}],\"lon\":114.25,\"lat\":34.5}";
    expect_json(accepted(decoded, "inventory",
                         "{\"device_code\":\"灯-1\",\"kind\":\"lamp\",\"component_code\":\"4102230105000001\","
                         "\"retired\":true,\"name\":\"\",\"parent_code\":null,\"position\":{\"lon\":114.25,"
                         "\"lat\":34.5,\"system\":\"CGCS2000\"},\"attributes\":[{\"key\":\"高度\",\"value\":\"8 m\"},"
                         "{\"key\":\"b\",\"value\":null}]}"),
                expected);
    struct bytes record = {0}, place = {0}, one = {0}, other = {0}, batch = {0};
    bytes_field_text(&record, 1, "灯-0");
    bytes_field_text(&record, 1, "灯-1"); /* the last one counts */
    bytes_field_text(&record, 2, "lamp");
    bytes_field_text(&record, 3, "a name");
    bytes_field_text(&record, 3, "");
    bytes_field_text(&record, 4, "4102230105000001");
    bytes_field_double(&place, 1, 114.25);
    bytes_field_double(&place, 2, 34.5);
    bytes_field_varint(&place, 3, 1);
    bytes_field_message(&record, 7, &place);
    bytes_field_varint(&record, 8, 1);
    bytes_field_text(&one, 1, "高度");
    bytes_field_text(&one, 2, "8 m");
    bytes_field_message(&record, 9, &one);
    bytes_field_text(&other, 1, "b");
    bytes_field_message(&record, 9, &other);
    bytes_field_message(&batch, 1, &record);
    decoded_run(decoded, NULL, "inventory", batch.data, batch.length);
    free(batch.data);
    decoded_expect(decoded, 1, 1, 0);
    expect_json(decoded->documents[0], expected);
}

static void test_other_kinds(void **state) {
    struct decoded *decoded = *state;
    expect_json(accepted(decoded, "staff",
                         "{\"kind\":1,\"code\":\"V\",\"plate\":\"豫A12345\",\"on_duty\":0,\"observed_at_ms\":" NOW "}"),
                "{\"kind\":\"VEHICLE\",\"code\":\"V\",\"plate\":\"豫A12345\",\"on_duty\":false,"
                "\"observed_at_ms\":" NOW "}");
    expect_json(accepted(decoded, "work",
                         "{\"work_code\":\"W\",\"status\":\"FINISHED\",\"planned_end_ms\":4102444800000,"
                         "\"quantity\":3.5,\"result\":\"a\\nb\",\"observed_at_ms\":" NOW "}"),
                "{\"work_code\":\"W\",\"status\":\"FINISHED\",\"planned_end_ms\":4102444800000,"
                "\"quantity\":3.5,\"result\":\"a\\nb\",\"observed_at_ms\":" NOW "}");
    expect_json(accepted(decoded, "case",
                         "{\"records\":[{\"case_code\":\"C\",\"occurred_at_ms\":" NOW ",\"attachments\":[" GOOD_ENTRY
                         "]}]}"),
                "{\"case_code\":\"C\",\"occurred_at_ms\":" NOW ",\"attachments\":[" GOOD_ENTRY "]}");
    const struct document_sink sink = {decoded_document, decoded_problem, decoded_warning, decoded};
    decoded_clear(decoded);
    static const enum topic_kind others[] = {TOPIC_TELEMETRY, TOPIC_RECEIPT, TOPIC_NONE};
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        assert_int_equal(decode_document(decoded->decoder, others[i], &decoded_limits, "{}", 2, &sink), CH_ENOTFOUND);
    }
    assert_int_equal(decoded->problem_count + decoded->document_count, 0);
}

static void test_required(void **state) {
    refused(*state, "inventory", "{\"kind\":\"lamp\"}", "missing_device_code", "device_code: is missing");
    refused(*state, "inventory", "{\"device_code\":\"D\",\"kind\":\"\"}", "missing_field",
            "kind: is missing; every record of kind inventory");
    refused(*state, "staff", "{\"kind\":0,\"code\":\"P\"}", "missing_time", "observed_at_ms: is missing");
    refused(*state, "staff", "{\"code\":\"P\",\"observed_at_ms\":" NOW "}", "missing_field", "kind: is missing");
    refused(*state, "work", "{\"work_code\":\"W\",\"observed_at_ms\":" NOW "}", "missing_field", "status: is missing");
    refused(*state, "work", "{\"status\":0,\"observed_at_ms\":" NOW "}", "missing_field", "work_code: is missing");
    refused(*state, "case", "{\"case_code\":\"C\"}", "missing_time", "occurred_at_ms: is missing");
    refused(*state, "case", "{\"occurred_at_ms\":" NOW "}", "missing_field", "case_code: is missing");
    refused(*state, "case", "{}", "missing_field", "case_code: is missing");
}

static void test_times(void **state) {
    refused(*state, "case", "{\"case_code\":\"C\",\"occurred_at_ms\":0}", "time_too_old", "1970-01-01");
    refused(*state, "case", "{\"case_code\":\"C\",\"occurred_at_ms\":4102444800000}", "time_ahead", "2100-01-01");
    refused(*state, "case", "{\"case_code\":\"C\",\"occurred_at_ms\":-1}", "time_too_old", "occurred_at_ms: -1");
    flawed(*state, "work",
           "{\"work_code\":\"W\",\"status\":0,\"observed_at_ms\":" NOW ",\"planned_end_ms\":253402300800000}",
           "planned_end_ms", "time_ahead", "planned_end_ms: 253402300800000 is no time");
    refused(*state, "staff", "{\"kind\":0,\"code\":\"P\",\"observed_at_ms\":1760000000}", "time_too_old",
            "not seconds");
}

static void test_wrong_types(void **state) {
    static const struct {
        const char *members, *code, *word;
    } cases[] = {
        {"\"retired\":\"yes\"", "wrong_type", "retired: is the text \"yes\""},
        {"\"name\":7", "wrong_type", "name: is a whole number"},
        {"\"name\":\"\xff\"", "bad_text", "not valid UTF-8"},
        {"\"name\":\"\\ud800\"", "bad_text", "a wrong escape"},
        {"\"component_code\":\"a\\u0007\"", "bad_code", "a control character"},
        {"\"component_code\":\"a\\nb\"", "bad_code", "a control character"},
        {"\"position\":\"114,34\"", "wrong_type", "position: is the text \"114,34\""},
        {"\"position\":{\"lon\":114,\"lat\":34}", "missing_coordinate_system", "position"},
        {"\"position\":{\"lon\":0,\"lat\":0,\"system\":0}", "bad_position", "without a fix"},
        {"\"attributes\":{}", "wrong_type", "attributes: must be an array of objects"},
        {"\"attributes\":[1]", "wrong_type", "attributes[0]: must be an object"},
        {"\"attributes\":[null]", "wrong_type", "attributes[0]: must be an object"},
        {"\"attributes\":[{\"key\":[]}]", "wrong_type", "key: is an array"},
        {"\"attributes\":[{\"value\":\"1\"}]", "missing_field", "attributes[0].key: is missing"},
        {"\"attributes\":[{\"key\":\"a\",\"key\":\"b\"}]", "duplicate_field", "key: comes twice"},
        {"\"name\":\"a\",\"name\":\"b\"", "duplicate_field", "name: comes twice"},
        {"\"attributes\":[],\"attributes\":[]", "duplicate_field", "attributes: comes twice"},
        {"\"component_code\":\"410223010500001\"", "bad_value", "it must be 16 digits"},
        {"\"component_code\":\"410223010500001x\"", "bad_value", "it must be 16 digits"},
        {"\"retired\":nan", "wrong_type", "retired: is NaN"},
        {"\"name\":--", "wrong_type", "is \"--\", which is no JSON value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char record[400], field[64];
        snprintf(record, sizeof record, "{\"device_code\":\"D\",\"kind\":\"lamp\",%s}", cases[i].members);
        sscanf(cases[i].members, "\"%63[^\"]", field);
        /* An inventory that says nothing of it says that the device is in use: one that says it wrongly does not. */
        expect_json(flawed(*state, "inventory", record, field, cases[i].code, cases[i].word),
                    strcmp(field, "retired") == 0 ? "{\"device_code\":\"D\",\"kind\":\"lamp\",\"retired\":null}"
                                                  : "{\"device_code\":\"D\",\"kind\":\"lamp\"}");
    }
    refused(*state, "work", "{\"work_code\":\"W\",\"status\":4,\"observed_at_ms\":" NOW "}", "bad_enum",
            "status: has no value 4; it has PLANNED = 0, STARTED = 1, FINISHED = 2, CANCELLED = 3");
    refused(*state, "work", "{\"work_code\":\"W\",\"status\":\"DONE\",\"observed_at_ms\":" NOW "}", "bad_enum", "DONE");
    flawed(*state, "work", "{\"work_code\":\"W\",\"status\":0,\"observed_at_ms\":" NOW ",\"quantity\":NaN}", "quantity",
           "not_finite", "quantity: is not finite");
    flawed(*state, "work", "{\"work_code\":\"W\",\"status\":0,\"observed_at_ms\":" NOW ",\"quantity\":-1e999}",
           "quantity", "not_finite", "quantity: is not finite");
    flawed(*state, "work", "{\"work_code\":\"W\",\"status\":0,\"observed_at_ms\":" NOW ",\"quality_score\":100.5}",
           "quality_score", "bad_value", "it must be 0 to 100");
    flawed(*state, "work", "{\"work_code\":\"W\",\"status\":0,\"observed_at_ms\":" NOW ",\"quantity\":-0.5}",
           "quantity", "bad_value", "it must be 0 to ");
    flawed(*state, "work", "{\"work_code\":\"W\",\"status\":0,\"observed_at_ms\":" NOW ",\"started_ms\":1760000000}",
           "started_ms", "time_too_old", "the unit is milliseconds, not seconds");
    flawed(*state, "work", "{\"work_code\":\"W\",\"status\":0,\"observed_at_ms\":" NOW ",\"planned_end_ms\":7}",
           "planned_end_ms", "time_too_old", "is before the year 2000");
    flawed(*state, "work",
           "{\"work_code\":\"W\",\"status\":2,\"observed_at_ms\":" NOW ",\"finished_ms\":1760000300001}", "finished_ms",
           "time_ahead", "is ahead of the hub's clock");
    expect_json(accepted(*state, "work",
                         "{\"work_code\":\" W\\u0000\",\"status\":0,\"observed_at_ms\":" NOW
                         ",\"title\":\"\\u3000\",\"planned_end_ms\":1790000000000}"),
                "{\"work_code\":\"W\",\"status\":\"PLANNED\",\"observed_at_ms\":" NOW
                ",\"planned_end_ms\":1790000000000}");
    flawed(*state, "case", "{\"case_code\":\"C\",\"occurred_at_ms\":" NOW ",\"severity\":\"grave\"}", "severity",
           "bad_value", "info, minor, major or critical");
    expect_json(accepted(*state, "case", "{\"case_code\":\"C\",\"occurred_at_ms\":" NOW ",\"severity\":\"Major\"}"),
                "{\"case_code\":\"C\",\"occurred_at_ms\":" NOW ",\"severity\":\"major\"}");
    refused(*state, "inventory", "[]", "wrong_type", "the record is an array");
}

static void test_lengths(void **state) {
    struct decoded *decoded = *state;
    char text[10001], record[11000];
    memset(text, 'x', 10000);
    text[10000] = '\0';
    snprintf(record, sizeof record, "{\"device_code\":\"%.128s\",\"kind\":\"%.128s\",\"name\":\"%.4096s\"}", text, text,
             text);
    accepted(decoded, "inventory", record);
    snprintf(record, sizeof record, "{\"device_code\":\"%s\",\"kind\":\"lamp\"}", text);
    refused(decoded, "inventory", record, "bad_code", "device_code: ");
    snprintf(record, sizeof record, "{\"device_code\":\"D\",\"kind\":\"%.129s\"}", text);
    refused(decoded, "inventory", record, "bad_code", "is 129 bytes long; at most 128");
    snprintf(record, sizeof record, "{\"device_code\":\"D\",\"kind\":\"lamp\",\"name\":\"%.4097s\"}", text);
    flawed(decoded, "inventory", record, "name", "bad_text", "is 4097 bytes long; at most 4096");
    /* 100 attributes, and one more. */
    size_t used = (size_t)sprintf(record, "{\"device_code\":\"D\",\"kind\":\"lamp\",\"attributes\":[");
    for (int i = 0; i < DECODE_LIST_MAX; i++) {
        used += (size_t)sprintf(record + used, "%s{\"key\":\"k%d\"}", i == 0 ? "" : ",", i);
    }
    strcpy(record + used, "]}");
    const cJSON *object = accepted(decoded, "inventory", record);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(object, "attributes")), DECODE_LIST_MAX);
    strcpy(record + used, ",{\"key\":\"last\"}]}");
    object = flawed(decoded, "inventory", record, "attributes", "bad_value", "has more than 100 entries");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(object, "attributes")), DECODE_LIST_MAX);
}

static void test_wrong_protobuf(void **state) {
    struct decoded *decoded = *state;
    static const struct {
        const char *bytes;
        size_t length;
        const char *code, *word, *field; /* field NULL: the record is refused */
    } cases[] = {
        {"\x0a\x01"
         "D\x12\x01k\x1d\0\0\0\0",
         11, "wrong_type", "name: has the wire form of 4 bytes", "name"},
        {"\x0a\x01"
         "D\x12\x01k\x48\x01",
         8, "wrong_type", "attributes: has the wire form of a varint", "attributes"},
        {"\x0a\x01"
         "D\x12\x01k\x4a\x02\x08\x01",
         10, "wrong_type", "attributes[0].key: has the wire form of a varint", "attributes"},
        {"\x0a\x01"
         "D\x12\x01k\x4a\x02\x0a\x05",
         10, "malformed", "byte 2 of attributes[0]: ", "attributes"},
        {"\x0a\x01"
         "D\x12\x01k\x1a\x09x",
         9, "malformed", "of the record", NULL},
        {"\x0a\x01"
         "D\x12\x01k\x3a\x02\x09\x00",
         10, "malformed", "position: ", "position"},
        {"\x0a\x01\xff\x12\x01k", 6, "bad_code", "not valid UTF-8", NULL},
        {"", 0, "missing_device_code", "device_code", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes batch = {0};
        bytes_field_data(&batch, 1,
                         "\x0a\x01"
                         "D\x12\x01k",
                         6);
        bytes_field_data(&batch, 1, cases[i].bytes, cases[i].length);
        bytes_field_data(&batch, 1,
                         "\x0a\x01"
                         "D\x12\x01k",
                         6);
        decoded_run(decoded, NULL, "inventory", batch.data, batch.length);
        free(batch.data);
        bool refused = cases[i].field == NULL;
        decoded_expect(decoded, 3, refused ? 2 : 3, refused);
        decoded_expect_flaws(decoded, !refused);
        if (refused) {
            decoded_expect_problem(decoded, 0, 1, cases[i].code, cases[i].word);
        } else {
            decoded_expect_flaw(decoded, 0, 1, cases[i].field, cases[i].code, cases[i].word);
            expect_json(decoded->documents[1], "{\"device_code\":\"D\",\"kind\":\"k\"}");
        }
    }
    decoded_run(decoded, NULL, "case", "", 0);
    decoded_expect_refused(decoded, "malformed", "payload: is empty");
    run(decoded, "case", "[]");
    decoded_expect_refused(decoded, "empty_batch", "has none");
}

/* An entry of a list in which something is wrong is left out, the others stay. */
static void test_entries(void **state) {
    struct decoded *decoded = *state;
    run(decoded, "inventory",
        "{\"device_code\":\"D\",\"kind\":\"k\",\"attributes\":[{\"key\":\"a\",\"value\":\"1\"},"
        "{\"key\":\"b\",\"value\":2},{\"key\":\"c\"},7,{\"key\":\"\\u0007\",\"value\":3}]}");
    decoded_expect_flaws(decoded, 3); /* each entry is told of, once */
    decoded_expect_flaw(decoded, 0, 0, "attributes", "wrong_type", "attributes[1].value: is a whole number");
    decoded_expect_flaw(decoded, 1, 0, "attributes", "wrong_type", "attributes[3]: must be an object");
    decoded_expect_flaw(decoded, 2, 0, "attributes", "bad_text", "attributes[4].key: ");
    expect_json(
        decoded->documents[0],
        "{\"device_code\":\"D\",\"kind\":\"k\",\"attributes\":[{\"key\":\"a\",\"value\":\"1\"},{\"key\":\"c\"}]}");
    char many[400] = "{\"device_code\":\"D\",\"kind\":\"k\",\"parent_code\":7,\"attributes\":[7";
    for (int i = 1; i < 50; i++) {
        strcat(many, ",7");
    }
    strcat(many, "]}");
    run(decoded, "inventory", many);
    decoded_expect_flaws(decoded, 9); /* of a list eight, and the other field */
    static const struct {
        const char *entry, *code, *word;
    } cases[] = {
        {"\"uri\":\"u\",\"size_bytes\":1,\"media_type\":\"image/jpeg\"", "missing_field",
         "attachments[1].sha256: is missing"},
        {"\"uri\":\"u\",\"sha256\":\"" SHA "0\",\"size_bytes\":1,\"media_type\":\"image/jpeg\"", "bad_value",
         "64 hexadecimal digits"},
        {"\"uri\":\"u\",\"sha256\":\"" SHA "\",\"size_bytes\":-1,\"media_type\":\"image/jpeg\"", "bad_value",
         "it must be 0 to"},
        {"\"uri\":\"u\",\"sha256\":\"" SHA "\",\"size_bytes\":1,\"media_type\":\"jpeg\"", "bad_value",
         "such as image/jpeg"},
        {"\"uri\":\"u v\",\"sha256\":\"" SHA "\",\"size_bytes\":1,\"media_type\":\"image/jpeg\"", "bad_value",
         "without blanks"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[900];
        snprintf(text, sizeof text,
                 "{\"caseCode\":\"C\",\"occurredAtMs\":\"" NOW "\",\"attachments\":[" GOOD_ENTRY ",{%s}," GOOD_ENTRY
                 "]}",
                 cases[i].entry);
        const cJSON *object = flawed(decoded, "case", text, "attachments", cases[i].code, cases[i].word);
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(object, "attachments")), 2);
    }
}

/* A finding says which entry it is about, counted among those that were sent. */
static void test_places_of_entries(void **state) {
    struct decoded *decoded = *state;
#define DEVICE(entries) "{\"device_code\":\"D\",\"kind\":\"k\",\"attributes\":[" entries "]}"
    static const char *const cases[][4] = {
        {DEVICE("{\"key\":\"a\"},\"b\",{\"key\":\"c\"}"), "wrong_type", "attributes[1]: must be an object",
         DEVICE("{\"key\":\"a\"},{\"key\":\"c\"}")},
        {DEVICE("{\"key\":\"a\"},null"), "wrong_type", "attributes[1]: must be an object", DEVICE("{\"key\":\"a\"}")},
        {DEVICE("{\"key\":\"a\"},{\"key\":\"b\"},{\"value\":\"1\"}"), "missing_field", "attributes[2].key: is missing",
         DEVICE("{\"key\":\"a\"},{\"key\":\"b\"}")},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        expect_json(flawed(decoded, "inventory", cases[i][0], "attributes", cases[i][1], cases[i][2]), cases[i][3]);
    }
    struct bytes batch = {0};
    bytes_field_data(&batch, 1,
                     "\x0a\x01"
                     "D\x12\x01k\x4a\x03\x0a\x01"
                     "a\x4a\x02\x0a\x05",
                     15);
    decoded_run(decoded, NULL, "inventory", batch.data, batch.length);
    free(batch.data);
    decoded_expect_flaws(decoded, 1);
    decoded_expect_flaw(decoded, 0, 0, "attributes", "malformed",
                        "byte 2 of attributes[1]: a length points past the end");
    expect_json(decoded->documents[0], DEVICE("{\"key\":\"a\"}"));
#undef DEVICE
}

/* Of an interval's values a bad number costs itself, as a bad reading does; without its metric or with an unknown flag
 * (is it a reading at all?) the entry says nothing. */
static void test_interval_values(void **state) {
    struct decoded *decoded = *state;
#define INTERVAL(values) "{\"device_code\":\"D\",\"began_at_ms\":" NOW ",\"seconds\":60,\"values\":[" values "]}"
    static const struct {
        const char *text, *code, *word, *left;
    } cases[] = {
        {INTERVAL("{\"metric\":\"m\",\"mean\":35,\"maximum\":NaN}"), "not_finite", "values[0].maximum: is not finite",
         INTERVAL("{\"metric\":\"m\",\"mean\":35}")},
        {INTERVAL("{\"metric\":\"m\",\"mean\":\"--\",\"maximum\":3},{\"metric\":\"n\"}"), "wrong_type",
         "values[0].mean: is the text \"--\"", INTERVAL("{\"metric\":\"m\",\"maximum\":3},{\"metric\":\"n\"}")},
        {INTERVAL("{\"metric\":\"m\",\"mean\":35,\"flag\":\"n\"},{\"metric\":\"n\",\"mean\":1}"), "bad_value",
         "values[0].flag: is \"n\"", INTERVAL("{\"metric\":\"n\",\"mean\":1}")},
        {INTERVAL("{\"mean\":35},{\"metric\":\"n\",\"mean\":1}"), "missing_field", "values[0].metric: is missing",
         INTERVAL("{\"metric\":\"n\",\"mean\":1}")},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        expect_json(flawed(decoded, "interval", cases[i].text, "values", cases[i].code, cases[i].word), cases[i].left);
    }
#undef INTERVAL
}

/* Entries of one thing that say different things: nobody knows which is right, none is taken, and it is told. The same
 * again says nothing new, and what two entries say of one thing without contradiction adds up. */
static void test_entries_that_contradict(void **state) {
    struct decoded *decoded = *state;
#define INTERVAL(values) "{\"device_code\":\"D\",\"began_at_ms\":" NOW ",\"seconds\":60," values "}"
#define DEVICE(entries) "{\"device_code\":\"D\",\"kind\":\"k\"" entries "}"
    static const struct {
        const char *kind, *text, *field, *word, *left;
    } cases[] = {
        {"interval",
         INTERVAL(
             "\"values\":[{\"metric\":\"m\",\"mean\":35},{\"metric\":\"n\",\"mean\":1},{\"metric\":\"m\",\"mean\":36}]"),
         "values", "values: metric \"m\" comes more than once, with different contents (mean)",
         INTERVAL("\"values\":[{\"metric\":\"n\",\"mean\":1}]")},
        {"interval",
         INTERVAL(
             "\"values\":[{\"metric\":\"n\",\"mean\":1}],\"others\":[{\"key\":\"a\",\"value\":\"1\"},{\"key\":\"b\",\"value\":\"1\"},"
             "{\"key\":\"a\",\"value\":\"1\"},{\"key\":\"a\",\"value\":\"2\"}]"),
         "others", "others: key \"a\" comes more than once",
         INTERVAL("\"values\":[{\"metric\":\"n\",\"mean\":1}],\"others\":[{\"key\":\"b\",\"value\":\"1\"}]")},
        {"inventory",
         DEVICE(",\"attributes\":[{\"key\":\"高度\",\"value\":\"8 m\"},{\"key\":\"高度\",\"value\":\"9 m\"}]"),
         "attributes", "attributes: key \"高度\" comes more than once", DEVICE("")},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        expect_json(flawed(decoded, cases[i].kind, cases[i].text, cases[i].field, "duplicate_field", cases[i].word),
                    cases[i].left);
    }
    static const char *const whole[][2] = {
        {"interval", INTERVAL("\"values\":[{\"metric\":\"m\",\"mean\":35},{\"metric\":\"m\",\"mean\":35}]")},
        {"interval", INTERVAL("\"values\":[{\"metric\":\"m\",\"mean\":35},{\"metric\":\"m\",\"maximum\":36}]")},
        {"inventory",
         DEVICE(",\"attributes\":[{\"key\":\"a\",\"value\":\"1\"},{\"key\":\"a\",\"value\":\"1\"},{\"key\":\"a\"}]")},
    };
    for (size_t i = 0; i < COUNT_OF(whole); i++) {
        expect_json(accepted(decoded, whole[i][0], whole[i][1]), whole[i][1]);
    }
#undef DEVICE
#undef INTERVAL
}

/* As protobuf's own printer writes them: every name and every whole number of 64 bits. */
static void test_protobuf_json(void **state) {
    struct decoded *decoded = *state;
    decoded->subsystem = "dust";
    expect_json(
        accepted(decoded, "inventory",
                 "{\"records\":[{\"deviceCode\":\"D\",\"kind\":\"lamp\",\"componentCode\":\"4102230105000001\","
                 "\"parentCode\":\"P\",\"departmentCode\":\"\",\"attributes\":[],\"position\":{\"lon\":114.25,"
                 "\"lat\":34.5,\"system\":\"CGCS2000\"}}],\"subsystem\":\"dust\"}"),
        "{\"device_code\":\"D\",\"kind\":\"lamp\",\"component_code\":\"4102230105000001\",\"parent_code\":\"P\","
        "\"lon\":114.25,\"lat\":34.5}");
    expect_json(accepted(decoded, "work",
                         "{\"workCode\":\"W\",\"status\":2,\"observedAtMs\":\"" NOW "\",\"plannedStartMs\":\"" NOW "\","
                         "\"finishedMs\":\"" NOW "\",\"quantity\":3.5,\"qualityScore\":\"99.5\"}"),
                "{\"work_code\":\"W\",\"status\":\"FINISHED\",\"observed_at_ms\":" NOW ",\"planned_start_ms\":" NOW ","
                "\"finished_ms\":" NOW ",\"quantity\":3.5,\"quality_score\":99.5}");
    expect_json(accepted(decoded, "case",
                         "{\"caseCode\":\"C\",\"occurredAtMs\":\"" NOW
                         "\",\"attachments\":[{\"uri\":\"u\",\"sha256\":\"" SHA
                         "\",\"sizeBytes\":\"12\",\"mediaType\":\"image/jpeg\"}]}"),
                "{\"case_code\":\"C\",\"occurred_at_ms\":" NOW ",\"attachments\":[{\"uri\":\"u\",\"sha256\":\"" SHA
                "\",\"size_bytes\":12,\"media_type\":\"image/jpeg\"}]}");
    refused(decoded, "inventory", "{\"deviceCode\":\"D\",\"device_code\":\"D\",\"kind\":\"k\"}", "duplicate_field",
            "device_code: comes twice");
    run(decoded, "inventory", "{\"records\":[{\"deviceCode\":\"D\",\"kind\":\"lamp\"}],\"subsystem\":\"gas\"}");
    decoded_expect_refused(decoded, "wrong_topic", "the topic is of dust");
}

/* A place outside the county is no place of the device's; a case there is none of the county's. */
static void test_places_outside(void **state) {
    struct decoded *decoded = *state;
    decoded->extent = (struct decode_extent){113.5, 33.8, 115.2, 34.9};
    expect_json(
        accepted(decoded, "inventory",
                 "{\"device_code\":\"D\",\"kind\":\"k\",\"position\":{\"lon\":-114.25,\"lat\":34.5,\"system\":0}}"),
        "{\"device_code\":\"D\",\"kind\":\"k\",\"outside_lon\":-114.25,\"outside_lat\":34.5}");
    decoded_expect_warning(decoded, 0, 0, "position", "place_outside", "is its sign wrong?");
    refused(decoded, "case",
            "{\"case_code\":\"D\",\"occurred_at_ms\":" NOW ",\"position\":{\"lon\":0,\"lat\":34.5,\"system\":0}}",
            "place_outside", "one of the two is 0");
    assert_int_equal(decoded->warning_count, 0);
    refused(decoded, "case",
            "{\"case_code\":\"D\",\"occurred_at_ms\":" NOW ",\"position\":{\"lon\":0,\"lat\":0,\"system\":0}}",
            "bad_position", "without a fix");
    refused(decoded, "case",
            "{\"case_code\":\"D\",\"occurred_at_ms\":" NOW ",\"position\":{\"lon\":34.5,\"lat\":114.25,\"system\":0}}",
            "bad_position", "exchanged");
    /* One that cannot be read is as good as none. */
    flawed(decoded, "case", "{\"case_code\":\"D\",\"occurred_at_ms\":" NOW ",\"position\":{\"lon\":114,\"lat\":34}}",
           "position", "missing_coordinate_system", "position");
}

/* A message of telemetry on the topic of an inventory, and the other way round. */
static void test_other_kind_of_message(void **state) {
    struct decoded *decoded = *state;
    struct bytes record = {0}, batch = {0};
    bytes_field_text(&record, 1, "D");
    bytes_field_varint(&record, 2, (uint64_t)decoded_now_ms);
    bytes_field_double(&record, 10, 1);
    bytes_field_message(&batch, 1, &record);
    decoded_run(decoded, NULL, "inventory", batch.data, batch.length);
    free(batch.data);
    decoded_expect(decoded, 1, 0, 1);
    decoded_expect_problem(decoded, 0, 0, "wrong_type", "kind: has the wire form of a varint");
    /* Of a case all that it needs is in every telemetry record, in its form: the rest tells. */
    record = batch = (struct bytes){0};
    bytes_field_text(&record, 1, "D");
    bytes_field_varint(&record, 2, (uint64_t)decoded_now_ms);
    bytes_field_double(&record, 10, 1);
    bytes_field_message(&batch, 1, &record);
    decoded_run(decoded, NULL, "case", batch.data, batch.length);
    free(batch.data);
    decoded_expect(decoded, 1, 0, 1);
    decoded_expect_problem(decoded, 0, 0, "wrong_topic", "fields of another message than CaseRecord");
    decoded_run(decoded, decoded_adapter("dust"), NULL, good_records[0][1], strlen(good_records[0][1]));
    decoded_expect(decoded, 1, 0, 1);
    decoded_expect_problem(decoded, 0, 0, "missing_time", "observed_at_ms");
    assert_int_equal(decoded->warning_count, 1);
}

static void test_changed_bytes(void **state) {
    struct decoded *decoded = *state;
    char text[] = "[{\"device_code\":\"D\",\"kind\":\"k\",\"position\":{\"lon\":114.5,\"lat\":3e1,\"system\":2},"
                  "\"attributes\":[{\"key\":\"\\u4e2d\",\"value\":\"b\"}],\"retired\":true},"
                  "{\"device_code\":\"E\",\"kind\":\"k\"}]";
    for (size_t at = 0; at < sizeof text - 1; at++) {
        char kept = text[at];
        for (int value = 0; value < 256; value++) {
            text[at] = (char)value;
            decoded_run(decoded, NULL, "inventory", text, sizeof text - 1);
            decoded_expect_sound(decoded);
        }
        text[at] = kept;
    }
    uint64_t seed = 7;
    uint8_t payload[200];
    for (int round = 0; round < 20000; round++) {
        size_t length = decoded_random(&seed) % sizeof payload;
        for (size_t i = 0; i < length; i++) {
            payload[i] = (uint8_t)decoded_random(&seed);
        }
        decoded_run(decoded, NULL, good_records[round % 4][0], payload, length);
        decoded_expect_sound(decoded);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_have_at_most_64_fields),
        cmocka_unit_test_setup_teardown(test_inventory_in_both_forms, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_other_kinds, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_required, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_times, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_wrong_types, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_lengths, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_wrong_protobuf, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_entries, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_places_of_entries, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_interval_values, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_entries_that_contradict, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_protobuf_json, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_places_outside, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_other_kind_of_message, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_changed_bytes, decoded_setup, decoded_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

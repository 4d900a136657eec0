/* test_adapters.c: every adapter's table fits its descriptor, and a table that does not is refused with the reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dust.pb-c.h"
#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/decode/decode.h"

static void test_all_fit(void **state) {
    (void)state;
    assert_true(adapter_count > 0);
    for (size_t i = 0; i < adapter_count; i++) {
        char reason[200] = "";
        if (decode_check_adapter(adapters[i], reason, sizeof reason) != 0) {
            fail_msg("%s", reason);
        }
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(adapters[i]->key, adapters[j]->key);
            assert_true(adapters[i]->new_fields_from != adapters[j]->new_fields_from);
        }
    }
}

static void test_look_up(void **state) {
    (void)state;
    for (size_t i = 0; i < adapter_count; i++) {
        const struct adapter *adapter = adapters[i];
        assert_ptr_equal(adapter_find(adapter->key), adapter);
        assert_int_equal(adapter_index(adapter), i);
        for (size_t m = 0; m < adapter->metric_count; m++) {
            assert_ptr_equal(adapter_metric(adapter, adapter->metrics[m].key), &adapter->metrics[m]);
        }
        for (size_t k = 0; k < adapter->kind_count; k++) {
            assert_int_equal(adapter_kind(adapter, adapter->kinds[k].key), k);
        }
        assert_null(adapter_metric(adapter, "nothing"));
        assert_int_equal(adapter_kind(adapter, "nothing"), -1);
    }
    assert_null(adapter_find("nothing"));
    assert_null(adapter_find("dus"));
    assert_null(adapter_find("dusty"));
    assert_null(adapter_find(""));
}

enum { METRICS = 10 };

/* A copy of the dust adapter that a test may spoil. */
struct spoiled {
    struct adapter adapter;
    struct metric metrics[METRICS];
    struct device_kind kinds[2];
    struct adapter_check checks[1];
};

static struct spoiled fresh(void) {
    const struct adapter *dust = adapter_find("dust");
    if (dust == NULL || dust->metric_count != METRICS || dust->kind_count != 2) {
        fail_msg("the dust adapter has changed: it must have 10 metrics and 2 kinds for this test");
        return (struct spoiled){0};
    }
    struct spoiled spoiled = {.adapter = *dust};
    memcpy(spoiled.metrics, dust->metrics, sizeof spoiled.metrics);
    memcpy(spoiled.kinds, dust->kinds, sizeof spoiled.kinds);
    spoiled.checks[0] = (struct adapter_check){"spraying_on", "dust_spraying"};
    return spoiled;
}

static void refused(struct spoiled *spoiled, const char *word) {
    char reason[200] = "";
    spoiled->adapter.metrics = spoiled->metrics;
    spoiled->adapter.kinds = spoiled->kinds;
    spoiled->adapter.checks = spoiled->checks;
    spoiled->adapter.check_count = 1;
    int result = decode_check_adapter(&spoiled->adapter, reason, sizeof reason);
    if (word == NULL) {
        assert_string_equal(reason, "");
        assert_int_equal(result, 0);
        return;
    }
    assert_int_equal(result, CH_EINVAL);
    if (strstr(reason, word) == NULL || strstr(reason, "adapter ") != reason) {
        fail_msg("the reason is: %s; expected: %s", reason, word);
    }
}

#define SPOIL(word, change)                                                                                            \
    do {                                                                                                               \
        struct spoiled s = fresh();                                                                                    \
        change;                                                                                                        \
        refused(&s, word);                                                                                             \
    } while (0)

static void test_metrics_refused(void **state) {
    (void)state;
    SPOIL(NULL, (void)0);
    SPOIL("ordinals go up from 1", s.metrics[3].ordinal = 5);
    SPOIL("ordinals go up from 1", s.metrics[0].ordinal = 0);
    SPOIL("no possible key", s.metrics[2].key = "TSP");
    SPOIL("no possible key", s.metrics[2].key = "device_code");
    SPOIL("no possible key", s.metrics[2].key = "records");
    SPOIL("comes twice", s.metrics[2].key = "pm10_ug_m3");
    SPOIL("needs a Chinese name", s.metrics[2].name_zh = "");
    SPOIL("has no such field", s.metrics[2].key = "tsp_mg_m3");
    SPOIL("METRIC_TEXT and the type string", s.metrics[2].kind = METRIC_TEXT);
    SPOIL("is a METRIC_STATE", s.metrics[9].kind = METRIC_GAUGE);
    SPOIL("unit", s.metrics[9].unit = "1");
    SPOIL("unit", s.metrics[2].unit = "0/1");
    SPOIL("min below max", s.metrics[2].max = s.metrics[2].min);
    SPOIL("min below max", s.metrics[2].max = NAN);
    SPOIL("only a METRIC_COUNTER", s.metrics[2].rollover = 100);
    SPOIL("field spraying_on has no metric", s.adapter.metric_count = 9);
    SPOIL("1 to 63 metrics", s.adapter.metric_count = 0);
    SPOIL("1 to 63 metrics", s.adapter.metric_count = 64);
    SPOIL("needs a key", s.adapter.key = "Dust");
}

static void test_kinds_refused(void **state) {
    (void)state;
    SPOIL("kind 2: needs a key", s.kinds[1].key = NULL);
    SPOIL("comes twice", s.kinds[1].key = s.kinds[0].key);
    SPOIL("intervals", s.kinds[1].offline_after_s = 9);
    SPOIL("intervals", s.kinds[1].offline_after_s = 604801);
    SPOIL("intervals", s.kinds[1].interval_s = 0);
    SPOIL("intervals", s.kinds[1].interval_s = s.kinds[1].offline_after_s);
    SPOIL("has no metrics", s.kinds[1].metrics = (const char *const[]){NULL});
    SPOIL("there is no metric pm1", s.kinds[1].metrics = ((const char *const[]){"pm1", NULL}));
    SPOIL("lists noise_dba twice", s.kinds[1].metrics = ((const char *const[]){"noise_dba", "noise_dba", NULL}));
    SPOIL("1 kind", s.adapter.kind_count = 0);
}

static void test_checks_refused(void **state) {
    (void)state;
    SPOIL("names no metric", s.checks[0].metric = "pm25_ug_m3");
    SPOIL("names no metric", s.checks[0].metric = "nothing");
    SPOIL("name of a function", s.checks[0].function = "drop table;");
}

/* A descriptor that a test may spoil. */
static void test_fields_refused(void **state) {
    (void)state;
    const ProtobufCMessageDescriptor *original = &cityhub__v1__dust_record__descriptor;
    const struct {
        unsigned field;
        ProtobufCLabel label;
        ProtobufCType type;
        const char *word;
    } cases[] = {
        {0, PROTOBUF_C_LABEL_OPTIONAL, PROTOBUF_C_TYPE_BYTES, "field 1 must be"},
        {1, PROTOBUF_C_LABEL_OPTIONAL, PROTOBUF_C_TYPE_UINT64, "field 2 must be"},
        {3, PROTOBUF_C_LABEL_REPEATED, PROTOBUF_C_TYPE_DOUBLE, "must be optional"},
        {3, PROTOBUF_C_LABEL_REQUIRED, PROTOBUF_C_TYPE_DOUBLE, "must be optional"},
        {3, PROTOBUF_C_LABEL_OPTIONAL, PROTOBUF_C_TYPE_STRING, "METRIC_TEXT and the type string"},
        {3, PROTOBUF_C_LABEL_OPTIONAL, PROTOBUF_C_TYPE_BOOL, "is a METRIC_STATE"},
        {3, PROTOBUF_C_LABEL_OPTIONAL, PROTOBUF_C_TYPE_BYTES, "cannot be a message or bytes"},
    };
    SPOIL("it must be a hundred", s.adapter.new_fields_from = 900);
    SPOIL("it must be a hundred", s.adapter.new_fields_from = 1050);
    SPOIL("its number", s.adapter.new_fields_from = 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ProtobufCFieldDescriptor fields[32];
        ProtobufCMessageDescriptor descriptor = *original;
        assert_true(original->n_fields <= 32);
        memcpy(fields, original->fields, original->n_fields * sizeof fields[0]);
        fields[cases[i].field].label = cases[i].label;
        fields[cases[i].field].type = cases[i].type;
        descriptor.fields = fields;
        SPOIL(cases[i].word, s.adapter.record = &descriptor);
    }
}

/* Numbers from 1000 on tell whose message it is. */
static void test_numbers_refused(void **state) {
    (void)state;
    ProtobufCFieldDescriptor fields[32];
    ProtobufCMessageDescriptor descriptor = cityhub__v1__dust_record__descriptor;
    assert_true(descriptor.n_fields <= 32);
    memcpy(fields, descriptor.fields, descriptor.n_fields * sizeof fields[0]);
    descriptor.fields = fields;
    ProtobufCFieldDescriptor *last = &fields[descriptor.n_fields - 1];
    uint32_t from = adapter_find("dust")->new_fields_from;
    const struct {
        uint32_t number, from;
        const char *word;
    } cases[] = {
        {999, from, NULL},
        {from, from, NULL},
        {from + 99, from, NULL},
        {from + 100, from, "its number"},
        {from - 1, from, "its number"},
        {1000, from, "its number"},
        {1000, 0, "its number"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        last->id = cases[i].number;
        SPOIL(cases[i].word, s.adapter.record = &descriptor; s.adapter.new_fields_from = cases[i].from);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_fit),         cmocka_unit_test(test_look_up),
        cmocka_unit_test(test_metrics_refused), cmocka_unit_test(test_kinds_refused),
        cmocka_unit_test(test_checks_refused),  cmocka_unit_test(test_fields_refused),
        cmocka_unit_test(test_numbers_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

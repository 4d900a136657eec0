/* test_decode_types.c: every type that a field of a .proto may have, at its limits and in both forms, by an adapter
 * that is made here: the shipped ones use few of them. */
#include "decoded.h"
#include "wire_writer.h"

#include <float.h>
#include <math.h>

#include "common.pb-c.h"
#include "hub/decode/decode.h"

#define NOW "1760000000000"

enum { BASE = 3, TYPES = 14 };

static const struct {
    const char *key;
    ProtobufCType type;
    uint32_t number; /* beyond 255 the decoder searches */
} types[TYPES] = {
    {"f_double", PROTOBUF_C_TYPE_DOUBLE, 10},     {"f_float", PROTOBUF_C_TYPE_FLOAT, 11},
    {"f_int32", PROTOBUF_C_TYPE_INT32, 12},       {"f_sint32", PROTOBUF_C_TYPE_SINT32, 13},
    {"f_sfixed32", PROTOBUF_C_TYPE_SFIXED32, 14}, {"f_uint32", PROTOBUF_C_TYPE_UINT32, 15},
    {"f_fixed32", PROTOBUF_C_TYPE_FIXED32, 16},   {"f_int64", PROTOBUF_C_TYPE_INT64, 17},
    {"f_sint64", PROTOBUF_C_TYPE_SINT64, 255},    {"f_sfixed64", PROTOBUF_C_TYPE_SFIXED64, 256},
    {"f_uint64", PROTOBUF_C_TYPE_UINT64, 999},    {"f_fixed64", PROTOBUF_C_TYPE_FIXED64, 536870900},
    {"f_bool", PROTOBUF_C_TYPE_BOOL, 536870910},  {"f_text", PROTOBUF_C_TYPE_STRING, 536870911},
};

static ProtobufCFieldDescriptor fields[BASE + TYPES] = {
    {.name = "device_code", .id = 1, .label = PROTOBUF_C_LABEL_OPTIONAL, .type = PROTOBUF_C_TYPE_STRING},
    {.name = "observed_at_ms", .id = 2, .label = PROTOBUF_C_LABEL_OPTIONAL, .type = PROTOBUF_C_TYPE_INT64},
    {.name = "position",
     .id = 3,
     .label = PROTOBUF_C_LABEL_OPTIONAL,
     .type = PROTOBUF_C_TYPE_MESSAGE,
     .descriptor = &cityhub__v1__position__descriptor},
};
static const ProtobufCMessageDescriptor descriptor = {.short_name = "Made", .n_fields = BASE + TYPES, .fields = fields};
static struct metric metrics[TYPES];
static const char *const keys[] = {"f_double", NULL};
static const struct device_kind kinds[] = {
    {.key = "thing", .name_zh = "物", .interval_s = 30, .offline_after_s = 900, .metrics = keys}};
static const struct adapter made = {
    .key = "made",
    .name_zh = "造",
    .record = &descriptor,
    .new_fields_from = 536870900,
    .metrics = metrics,
    .metric_count = TYPES,
    .kinds = kinds,
    .kind_count = 1,
};

static int setup(void **state) {
    for (int i = 0; i < TYPES; i++) {
        bool is_text = types[i].type == PROTOBUF_C_TYPE_STRING, is_bool = types[i].type == PROTOBUF_C_TYPE_BOOL;
        fields[BASE + i] = (ProtobufCFieldDescriptor){
            .name = types[i].key, .id = types[i].number, .label = PROTOBUF_C_LABEL_OPTIONAL, .type = types[i].type};
        metrics[i] = (struct metric){.ordinal = i + 1,
                                     .key = types[i].key,
                                     .name_zh = "值",
                                     .unit = is_text   ? ""
                                             : is_bool ? "0/1"
                                                       : "1",
                                     .kind = is_text   ? METRIC_TEXT
                                             : is_bool ? METRIC_STATE
                                                       : METRIC_GAUGE,
                                     .min = is_bool ? 0 : -1e30,
                                     .max = is_bool ? 1 : 1e30};
    }
    return decoded_setup(state);
}

static struct bytes start(void) {
    struct bytes record = {0};
    bytes_field_text(&record, 1, "D");
    bytes_field_varint(&record, 2, (uint64_t)decoded_now_ms);
    return record;
}

static void field_fixed32(struct bytes *bytes, uint32_t number, uint32_t value) {
    bytes_tag(bytes, number, 5);
    bytes_add(bytes, &value, sizeof value);
}

static void field_fixed64(struct bytes *bytes, uint32_t number, uint64_t value) {
    bytes_tag(bytes, number, 1);
    bytes_add(bytes, &value, sizeof value);
}

/* A raw value in the wire form of the type; `raw` is its bits, zigzag already applied. */
static void put(struct bytes *record, int type, uint64_t raw) {
    switch (types[type].type) {
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
        field_fixed64(record, types[type].number, raw);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
        field_fixed32(record, types[type].number, (uint32_t)raw);
        break;
    default:
        bytes_field_varint(record, types[type].number, raw);
        break;
    }
}

static int type_of(const char *key) {
    for (int i = 0; i < TYPES; i++) {
        if (strcmp(types[i].key, key) == 0) {
            return i;
        }
    }
    fail_msg("%s", key);
    return 0;
}

static void run_record(struct decoded *decoded, struct bytes record) {
    struct bytes batch = {0};
    bytes_field_message(&batch, 1, &record);
    decoded_run(decoded, &made, NULL, batch.data, batch.length);
    free(batch.data);
}

static void run_json(struct decoded *decoded, const char *key, const char *value) {
    char text[300];
    snprintf(text, sizeof text, "{\"device_code\":\"D\",\"observed_at_ms\":" NOW ",\"%s\":%s}", key, value);
    decoded_run(decoded, &made, NULL, text, strlen(text));
}

static void test_adapter_fits(void **state) {
    (void)state;
    char reason[200] = "";
    assert_int_equal(decode_check_adapter(&made, reason, sizeof reason), 0);
    assert_string_equal(reason, "");
}

static void test_limits_of_types(void **state) {
    struct decoded *decoded = *state;
    static const struct {
        const char *key;
        uint64_t raw;
        const char *json;
        double value;
    } cases[] = {
        {"f_double", UINT64_C(0x7fefffffffffffff), "1.7976931348623157e308", DBL_MAX},
        {"f_double", UINT64_C(0x8000000000000001), "-5e-324", -5e-324},
        {"f_float", 0x7f7fffff, "3.4028234663852886e38", (double)FLT_MAX},
        {"f_float", 0x3dcccccd, "0.1", (double)0.1f}, /* JSON is rounded as protobuf would have brought it */
        {"f_int32", 0x7fffffff, "2147483647", INT32_MAX},
        {"f_int32", UINT64_C(0xffffffff80000000), "-2147483648", INT32_MIN},
        {"f_sint32", 0xfffffffe, "2147483647", INT32_MAX},
        {"f_sint32", 0xffffffff, "-2147483648", INT32_MIN},
        {"f_sint32", 1, "-1", -1},
        {"f_sfixed32", 0x80000000, "-2147483648", INT32_MIN},
        {"f_uint32", 0xffffffff, "4294967295", UINT32_MAX},
        {"f_fixed32", 0xffffffff, "4294967295", UINT32_MAX},
        {"f_int64", UINT64_C(0xffffffffffffffff), "-1", -1},
        {"f_int64", UINT64_C(0x7fffffffffffffff), "9223372036854775807", 9223372036854775807.0},
        {"f_sint64", UINT64_C(0xffffffffffffffff), NULL, -9223372036854775808.0},
        {"f_sint64", 5, "-3", -3},
        {"f_sfixed64", UINT64_C(0x8000000000000000), NULL, -9223372036854775808.0},
        {"f_sfixed64", UINT64_C(0xfffffffffffffff9), "-7", -7},
        {"f_uint64", UINT64_C(0xffffffffffffffff), "18446744073709551615", 18446744073709551615.0},
        {"f_uint64", UINT64_C(0x8000000000000000), "\"9223372036854775808\"", 9223372036854775808.0},
        {"f_int64", UINT64_C(0x7fffffffffffffff), "\"9223372036854775807\"", 9223372036854775807.0},
        {"f_int32", 0x7fffffff, "\"2147483647\"", INT32_MAX},
        {"f_double", UINT64_C(0x4041c00000000000), "\"35.5\"", 35.5},
        {"f_uint64", 7, "7", 7},
        {"f_fixed64", UINT64_C(0x20000000000000), "9007199254740992", 9007199254740992.0},
        {"f_bool", 1, "true", 1},
        {"f_bool", 300, "1", 1}, /* any varint but 0 is true */
        {"f_bool", 0, "false", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int type = type_of(cases[i].key);
        struct bytes record = start();
        put(&record, type, cases[i].raw);
        for (int form = 0; form < (cases[i].json == NULL ? 1 : 2); form++) {
            if (form == 0) {
                run_record(decoded, record);
            } else {
                run_json(decoded, cases[i].key, cases[i].json);
            }
            decoded_expect(decoded, 1, 1, 0);
            assert_int_equal(decoded->records[0].present, UINT64_C(1) << type);
            if (decoded->records[0].values[type] != cases[i].value) {
                fail_msg("%s in form %d: %.17g, expected %.17g", cases[i].key, form, decoded->records[0].values[type],
                         cases[i].value);
            }
        }
    }
}

static void test_beyond_the_type(void **state) {
    struct decoded *decoded = *state;
    static const struct {
        const char *key, *json, *code, *word;
    } cases[] = {
        {"f_float", "3.5e38", "not_finite", "f_float: infinity (or a number too large)"},
        {"f_float", "\"one\"", "wrong_type", "it must be a number"},
        {"f_int32", "2147483648", "wrong_type", "outside the field's type, -2147483648 to 2147483647"},
        {"f_int32", "-2147483649", "wrong_type", "outside the field's type"},
        {"f_sfixed32", "2147483648", "wrong_type", "outside the field's type"},
        {"f_uint32", "4294967296", "wrong_type", "outside the field's type, 0 to 4294967295"},
        {"f_fixed32", "-1", "wrong_type", "outside the field's type"},
        {"f_uint64", "-1", "wrong_type", "outside the field's type, 0 to 9223372036854775807"},
        {"f_fixed64", "1e20", "wrong_type", "too large"},
        {"f_int64", "9223372036854775808", "wrong_type", "too large"},
        {"f_int64", "\"9223372036854775808\"", "wrong_type", "a whole number"},
        {"f_sint64", "1.5", "wrong_type", "a number with a fraction"},
        {"f_text", "true", "wrong_type", "a text in quotes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run_json(decoded, cases[i].key, cases[i].json);
        decoded_expect(decoded, 1, 0, 1);
        decoded_expect_problem(decoded, 0, 0, cases[i].code, cases[i].word);
    }
}

/* Every type with each of the four wire forms: only its own is taken. */
static void test_wire_forms(void **state) {
    struct decoded *decoded = *state;
    for (int type = 0; type < TYPES; type++) {
        int taken = 0;
        for (unsigned form = 0; form < 4; form++) {
            struct bytes record = start();
            uint32_t number = types[type].number;
            switch (form) {
            case 0:
                bytes_field_varint(&record, number, 1);
                break;
            case 1:
                field_fixed64(&record, number, 1);
                break;
            case 2:
                bytes_field_text(&record, number, "x");
                break;
            default:
                field_fixed32(&record, number, 1);
                break;
            }
            run_record(decoded, record);
            decoded_expect_sound(decoded);
            if (decoded->record_count == 1) {
                taken++;
            } else {
                decoded_expect_problem(decoded, 0, 0, "wrong_type", types[type].key);
            }
        }
        assert_int_equal(taken, 1);
    }
}

/* More plans than one: each adapter is worked out once and found again. */
static void test_many_adapters_in_turn(void **state) {
    struct decoded *decoded = *state;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < adapter_count; i++) {
            decoded_run(decoded, adapters[i], NULL, "{}", 2);
            decoded_expect(decoded, 1, 0, 1);
        }
        run_json(decoded, "f_int32", "5");
        decoded_expect(decoded, 1, 1, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_adapter_fits, setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_limits_of_types, setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_beyond_the_type, setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_wire_forms, setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_many_adapters_in_turn, setup, decoded_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_decode_field.c: one field of a record at a time, in protobuf's wire form: what is wrong with it, what it costs,
 * and that its neighbours are delivered. Places and the batch's own subsystem are here, too. */
#include "wire_batch.h"

#include <math.h>

static void test_gcj02_is_converted(void **state) {
    const struct record *got = accepted(*state, "dust", record_at(position(114.3925, 34.0583, 2)));
    assert_true(got->has_position);
    /* GCJ-02 is some hundred metres off in Henan, to the north-east or south-east. */
    assert_true(fabs(got->lon - 114.3925) > 0.001 && fabs(got->lon - 114.3925) < 0.01);
    assert_true(fabs(got->lat - 34.0583) > 0.0005 && fabs(got->lat - 34.0583) < 0.01);
}

/* Whatever is wrong with one field, the reading beside it is delivered; of a field that comes again the last one
 * counts, also for what is wrong. */
static void test_one_bad_field(void **state) {
    const struct adapter *sanitation = decoded_adapter("sanitation");
    struct bytes record = record_of("S", decoded_now_ms);
    bytes_field_varint(&record, SANITATION_STALLS, 3);
    bytes_field_varint(&record, SANITATION_WASTE_KIND, 99);
    bytes_field_text(&record, SANITATION_PLATE, "\xff");
    bytes_field_double(&record, 22, INFINITY);
    struct bytes batch = {0}, other = record_of("S", decoded_now_ms);
    batch_add(&batch, record);
    bytes_field_varint(&other, SANITATION_WASTE_KIND, 99);
    bytes_field_varint(&other, SANITATION_WASTE_KIND, 1);
    bytes_field_text(&other, SANITATION_PLATE, "A");
    bytes_field_text(&other, SANITATION_PLATE, "\xff");
    batch_add(&batch, other);
    struct decoded *decoded = *state;
    run(decoded, "sanitation", batch);
    decoded_expect(decoded, 2, 2, 0);
    decoded_expect_flaws(decoded, 4);
    decoded_expect_flaw(decoded, 0, 0, "waste_kind", "bad_enum", "has no value 99");
    decoded_expect_flaw(decoded, 1, 0, "plate", "bad_text", "not valid UTF-8");
    decoded_expect_flaw(decoded, 2, 0, sanitation->metrics[12].key, "not_finite", "infinity");
    decoded_expect_flaw(decoded, 3, 1, "plate", "bad_text", "not valid UTF-8");
    assert_int_equal(decoded->records[0].present, UINT64_C(1) << decoded_bit(sanitation, "stalls_occupied"));
    assert_int_equal(decoded->records[0].text_present, 0);
    assert_true(decoded_value(&decoded->records[1], sanitation, "waste_kind") == 1);
    assert_int_equal(decoded->records[1].text_present, 0);
}

/* Every field of a record bad at once, and again in the next record: each is told, none is mixed up. */
static void test_many_bad_fields(void **state) {
    struct decoded *decoded = *state;
    for (size_t a = 0; a < adapter_count; a++) {
        struct bytes batch = {0};
        for (int i = 0; i < 2; i++) {
            struct bytes record = record_of("D", decoded_now_ms), place = position(114, 34, 0);
            for (unsigned f = 0; f < adapters[a]->record->n_fields; f++) {
                const ProtobufCFieldDescriptor *field = &adapters[a]->record->fields[f];
                if (field->id > 3) {
                    bytes_field_float(&record, field->id, 1);
                }
            }
            bytes_field_message(&record, POSITION, &place);
            batch_add(&batch, record);
        }
        run(decoded, adapters[a]->key, batch);
        decoded_expect(decoded, 2, 2, 0);
        decoded_expect_flaws(decoded, 2 * ((int)adapters[a]->metric_count + 1));
        assert_int_equal(decoded->records[1].present | decoded->records[1].text_present, 0);
        assert_int_equal(decoded->records[1].misfits, adapters[a]->metric_count + 1);
    }
}

static const struct decode_extent county = {113.5, 33.8, 115.2, 34.9};

static void test_places_outside(void **state) {
    struct decoded *decoded = *state;
    static const struct {
        double lon, lat;
        const char *hint; /* NULL = inside */
    } cases[] = {
        {114.4, 34.1, NULL},
        {113.5, 33.8, NULL},
        {115.2, 34.9, NULL},
        {113.49, 34.1, "is outside the county"},
        {-114.4, 34.1, "is its sign wrong?"},
        {114.4, -34.1, "is its sign wrong?"},
        {-114.4, -34.1, "is its sign wrong?"},
        {0, 34.1, "one of the two is 0"},
        {114.4, 0, "one of the two is 0"},
        {0.0001, 0.0002, "about 0, 0"},
        {-0.9, 0.4, "about 0, 0"},
        {114.4, 33.51, "degrees and minutes"}, /* 33 degrees 51 minutes */
        {113.3, 34.06, "degrees and minutes"}, /* 113 degrees 30 minutes, 34 degrees 6 minutes */
        {114.3, 33.6, "is outside the county"},
        {2, 48, "is outside the county"},
        {179.9, 89.9, "is outside the county"},
    };
    decoded->extent = county;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct record *got = accepted(decoded, "dust", record_at(position(cases[i].lon, cases[i].lat, 0)));
        assert_true(got->has_position && got->lon == cases[i].lon && got->lat == cases[i].lat);
        assert_int_equal(got->outside, cases[i].hint != NULL);
        assert_int_equal(decoded->warning_count, cases[i].hint != NULL);
        if (cases[i].hint != NULL) {
            decoded_expect_warning(decoded, 0, 0, "position", "place_outside", cases[i].hint);
        }
    }
    /* Exchanged where both can be on Earth: a county in the far west. */
    decoded->extent = (struct decode_extent){73.5, 36, 80, 41};
    accepted(decoded, "dust", record_at(position(39.5, 76, 0)));
    decoded_expect_warning(decoded, 0, 0, "position", "place_outside", "are lon and lat exchanged?");
    /* The county's border is in WGS 84, whatever the position is in. */
    decoded->extent = (struct decode_extent){114.39, 34, 114.395, 34.1};
    assert_false(accepted(decoded, "dust", record_at(position(114.3985, 34.0583, 2)))->outside);
    decoded->extent = (struct decode_extent){0};
    assert_false(accepted(decoded, "dust", record_at(position(-114, 34, 0)))->outside);
    flawed(decoded, "dust", record_at(position(11448.12, 3430.5, 0)), "position", "bad_position",
           "not degrees and minutes");
}

static void test_wrong_types(void **state) {
    struct bytes record = {0};
    bytes_field_varint(&record, CODE, 7);
    refused(*state, "dust", record, "wrong_type", "device_code");
    record = record_of("D", 0);
    bytes_field_text(&record, TIME, "2025-10-09");
    refused(*state, "dust", record, "wrong_type", "observed_at_ms: has the wire form of a text");
    record = good_record(1);
    bytes_field_varint(&record, POSITION, 1);
    flawed(*state, "dust", record, "position", "wrong_type", "position: has the wire form of a varint");
    record = good_record(1);
    bytes_field_float(&record, PM10, 1);
    flawed(*state, "dust", record, "pm10_ug_m3", "wrong_type", "pm10_ug_m3: has the wire form of 4 bytes");
    record = good_record(1);
    bytes_field_double(&record, SPRAYING, 1);
    flawed(*state, "dust", record, "spraying_on", "wrong_type", "spraying_on: has the wire form of 8 bytes");
    struct bytes place = {0};
    bytes_field_text(&place, LON, "114");
    const struct record *got = flawed(*state, "dust", record_at(place), "position", "wrong_type", "position.lon");
    assert_false(got->has_position);
    assert_true(decoded_value(got, decoded_adapter("dust"), "pm25_ug_m3") == 3);
}

static void test_not_finite(void **state) {
    refused(*state, "dust", good_record(NAN), "not_finite", "pm25_ug_m3: NaN");
    refused(*state, "dust", good_record(INFINITY), "not_finite", "pm25_ug_m3: infinity");
    refused(*state, "dust", good_record(-INFINITY), "not_finite", "pm25_ug_m3: infinity");
    flawed(*state, "dust", record_at(position(NAN, 34, 0)), "position", "bad_position", "not on Earth");
    flawed(*state, "dust", record_at(position(114, INFINITY, 2)), "position", "bad_position", "not on Earth");
}

static void test_missing(void **state) {
    struct bytes record = record_of(NULL, decoded_now_ms);
    bytes_field_double(&record, PM25, 1);
    refused(*state, "dust", record, "missing_device_code", "device_code: is missing");
    record = record_of("", decoded_now_ms);
    bytes_field_double(&record, PM25, 1);
    refused(*state, "dust", record, "missing_device_code", "device_code: is missing");
    record = record_of("D", 0);
    bytes_field_double(&record, PM25, 1);
    refused(*state, "dust", record, "missing_time", "observed_at_ms: is missing");
    refused(*state, "dust", record_of("D", decoded_now_ms), "no_readings", "no reading");
    record = record_of("T", decoded_now_ms);
    bytes_field_text(&record, SANITATION_PLATE, "");
    refused(*state, "sanitation", record, "no_readings", "no reading");
    /* A position alone is a record: a moving device's. */
    record = record_of("T", decoded_now_ms);
    struct bytes place = position(114, 34, 0);
    bytes_field_message(&record, POSITION, &place);
    assert_true(accepted(*state, "sanitation", record)->has_position);
}

static void test_codes(void **state) {
    char code[10001];
    memset(code, 'c', sizeof code);
    assert_int_equal(accepted(*state, "dust", record_with_code(code, DECODE_CODE_MAX))->device_code_length, 128);
    refused(*state, "dust", record_with_code(code, 129), "bad_code", "is 129 bytes long; at most 128");
    refused(*state, "dust", record_with_code(code, 10000), "bad_code", "is 10000 bytes long");
    refused(*state, "dust", record_with_code("a\0b", 3), "bad_code", "\"a\\x00b\" has a control character");
    refused(*state, "dust", record_with_code("a\nb", 3), "bad_code", "control character");
    refused(*state, "dust", record_with_code("\xc2\x85", 2), "bad_code", "control character");
    refused(*state, "dust", record_with_code("\xff", 1), "bad_code", "\"\\xff\" is not valid UTF-8");
    refused(*state, "dust", record_with_code("\xe4\xb8", 2), "bad_code", "not valid UTF-8");
    refused(*state, "dust", record_with_code("\xc0\x80", 2), "bad_code", "not valid UTF-8");
    refused(*state, "dust", record_with_code("\xed\xa0\x80", 3), "bad_code", "not valid UTF-8");
    refused(*state, "dust", record_with_code("\xf4\x90\x80\x80", 4), "bad_code", "not valid UTF-8");
    assert_string_equal(accepted(*state, "dust", record_with_code("扬尘-01 \xf0\x9f\x9a\x9b", 14))->device_code,
                        "扬尘-01 \xf0\x9f\x9a\x9b");
    /* What nobody sees at its ends makes no other code, and alone none at all. */
    static const char *const nothings[] = {" ",           "\t", "\r\n", "\xc2\xa0", "\xe3\x80\x80", "\xe2\x80\x8b",
                                           "\xef\xbb\xbf"};
    for (size_t i = 0; i < sizeof nothings / sizeof nothings[0]; i++) {
        char shown[40];
        snprintf(shown, sizeof shown, "%sD 1%s%s", nothings[i], nothings[i], nothings[i]);
        assert_string_equal(accepted(*state, "dust", record_with_code(shown, strlen(shown)))->device_code, "D 1");
        refused(*state, "dust", record_with_code(nothings[i], strlen(nothings[i])), "missing_device_code",
                "is missing");
    }
    assert_string_equal(accepted(*state, "dust", record_with_code("D 1\0\0\0", 6))->device_code, "D 1");
}

static void test_texts(void **state) {
    char text[1025];
    memset(text, 't', sizeof text);
    unsigned bit = decoded_bit(decoded_adapter("sanitation"), "plate");
    assert_int_equal(strlen(accepted(*state, "sanitation", record_with_plate(text, 1024))->texts[bit]), 1024);
    refused(*state, "sanitation", record_with_plate(text, 1025), "bad_text", "is 1025 bytes long");
    refused(*state, "sanitation", record_with_plate("a\x01", 2), "bad_text", "control character");
    refused(*state, "sanitation", record_with_plate("\xa5", 1), "bad_text", "not valid UTF-8");
    assert_string_equal(accepted(*state, "sanitation", record_with_plate("a\r\n\tb", 5))->texts[bit], "a\r\n\tb");
}

static struct bytes record_of_time(int64_t ms) {
    struct bytes record = record_of("D", ms == 0 ? 1 : ms);
    if (ms == 0) {
        bytes_field_varint(&record, TIME, 0);
    }
    bytes_field_double(&record, PM25, 1);
    return record;
}

static void test_times(void **state) {
    assert_int_equal(accepted(*state, "dust", record_of_time(decoded_limits.newest_ms))->observed_at_ms,
                     decoded_limits.newest_ms);
    assert_int_equal(accepted(*state, "dust", record_of_time(decoded_limits.oldest_ms))->observed_at_ms,
                     decoded_limits.oldest_ms);
    refused(*state, "dust", record_of_time(decoded_limits.newest_ms + 1), "time_ahead", "ahead of the hub's clock");
    refused(*state, "dust", record_of_time(decoded_limits.oldest_ms - 1), "time_too_old", "older than what is kept");
    refused(*state, "dust", record_of_time(0), "time_too_old", "1970-01-01T00:00:00Z");
    refused(*state, "dust", record_of_time(INT64_C(4102444800000)), "time_ahead", "2100-01-01T00:00:00Z");
    refused(*state, "dust", record_of_time(decoded_now_ms / 1000), "time_too_old", "milliseconds, not seconds");
    refused(*state, "dust", record_of_time(decoded_now_ms * 1000), "time_ahead", "not microseconds or less");
    refused(*state, "dust", record_of_time(INT64_MAX), "time_ahead", "9223372036854775807 ms");
    refused(*state, "dust", record_of_time(INT64_MIN), "time_too_old", "-9223372036854775808 ms");
    refused(*state, "dust", record_of_time(-1), "time_too_old", "1970-01-01T00:00:00Z");
}

static void test_positions(void **state) {
    flawed(*state, "dust", record_at(position(114, 34, -1)), "position", "missing_coordinate_system",
           "WGS84, CGCS2000, GCJ02");
    flawed(*state, "dust", record_at(position(114, 34, 9)), "position", "bad_enum", "position.system: has no value 9");
    flawed(*state, "dust", record_at(position(0, 0, 0)), "position", "bad_position", "without a fix");
    flawed(*state, "dust", record_at(position(34, 114, 0)), "position", "bad_position", "are lon and lat exchanged?");
    flawed(*state, "dust", record_at(position(181, 34, 0)), "position", "bad_position", "-180 to 180");
    flawed(*state, "dust", record_at((struct bytes){0}), "position", "bad_position", "no lon and no lat");
    struct bytes place = {0};
    bytes_field_double(&place, LAT, 34);
    flawed(*state, "dust", record_at(place), "position", "bad_position", "has no lon;");
    place = position(114, 34, 0);
    place.length -= 4;
    flawed(*state, "dust", record_at(place), "position", "malformed", "position: ");
    place = position(114, 34, 0);
    bytes_field_varint(&place, 77, 1);
    assert_true(accepted(*state, "dust", record_at(place))->has_position);
    struct decoded *decoded = *state;
    assert_int_equal(decoded->warning_count, 1);
    assert_non_null(strstr(decoded->warnings[0].reason, "position.field number 77"));
}

/* What the list names is marked, in either form and wherever the list stands; what it cannot name costs that entry. */
static void test_over_range(void **state) {
    struct decoded *decoded = *state;
    static const char json[] =
        "[{\"device_code\":\"D\",\"observed_at_ms\":1760000000000,\"overRange\":[\"pm25_ug_m3\",\"pm10UgM3\",\"pm25_ug_m3\"],"
        "\"pm25_ug_m3\":500,\"pm10_ug_m3\":99999,\"tsp_ug_m3\":7},"
        "{\"device_code\":\"D\",\"observed_at_ms\":1760000000000,\"pm25_ug_m3\":500,\"spraying_on\":true,\"over_range\":"
        "[\"spraying_on\",\"pm25_ug_m3\"]},"
        "{\"device_code\":\"D\",\"observed_at_ms\":1760000000000,\"pm25_ug_m3\":5,\"over_range\":[\"pm10_ug_m3\"]},"
        "{\"device_code\":\"D\",\"observed_at_ms\":1760000000000,\"pm25_ug_m3\":5,\"over_range\":\"pm25_ug_m3\"},"
        "{\"device_code\":\"D\",\"observed_at_ms\":1760000000000,\"pm25_ug_m3\":5,\"over_range\":[[1],null,\"x\"]},"
        "{\"device_code\":\"D\",\"observed_at_ms\":1760000000000,\"pm25_ug_m3\":5,\"over_range\":[]},"
        "{\"device_code\":\"D\",\"observed_at_ms\":1760000000000,\"pm25_ug_m3\":-1,\"over_range\":[\"pm25_ug_m3\"]},"
        "{\"device_code\":\"D\",\"observed_at_ms\":1760000000000,\"pm10_ug_m3\":1,\"pm25_ug_m3\":\"x\",\"over_range\":"
        "[\"pm25_ug_m3\"]}]";
    decoded_run(decoded, decoded_adapter("dust"), NULL, json, strlen(json));
    decoded_expect(decoded, 8, 8, 0);
    assert_int_equal(decoded->records[0].quality, 3);
    assert_int_equal(decoded->records[0].over_range, 1); /* PM10 is out of the metric's range itself */
    assert_int_equal(decoded->records[1].quality, 1);
    assert_int_equal(decoded->records[1].over_range, 1);
    for (int i = 2; i < 6; i++) {
        assert_int_equal(decoded->records[i].quality | decoded->records[i].over_range, 0);
        assert_int_equal(decoded->records[i].present, 1);
    }
    assert_int_equal(decoded->records[6].quality, 1);
    assert_int_equal(decoded->records[6].over_range, 0);
    decoded_expect_flaws(decoded, 7);
    decoded_expect_flaw(decoded, 0, 1, "over_range", "bad_value", "\"spraying_on\" is no measured field of dust");
    decoded_expect_flaw(decoded, 1, 2, "over_range", "bad_value", "pm10_ug_m3 has no value in this record");
    decoded_expect_flaw(decoded, 2, 3, "over_range", "wrong_type", "it must be an array of names of fields");
    decoded_expect_flaw(decoded, 3, 4, "over_range", "wrong_type", "is an array; it must be a text in quotes");
    decoded_expect_flaw(decoded, 4, 4, "over_range", "wrong_type", "is null");
    decoded_expect_flaw(decoded, 5, 4, "over_range", "bad_value", "\"x\" is no measured field");
    decoded_expect_flaw(decoded, 6, 7, "pm25_ug_m3", "wrong_type", "must be a number");

    struct bytes record = record_of("D", decoded_now_ms), batch = {0};
    bytes_field_text(&record, OVER_RANGE, "pm25_ug_m3");
    bytes_field_text(&record, OVER_RANGE, "noise_dba");
    bytes_field_text(&record, OVER_RANGE, "wet");
    bytes_field_double(&record, PM25, 500);
    bytes_field_double(&record, PM10, 6);
    bytes_field_text(&record, OVER_RANGE, "pm10_ug_m3");
    batch_add(&batch, record);
    run(decoded, "dust", batch);
    decoded_expect(decoded, 1, 1, 0);
    assert_int_equal(decoded->records[0].quality, 3);
    assert_int_equal(decoded->records[0].over_range, 3);
    decoded_expect_flaws(decoded, 2);
    decoded_expect_flaw(decoded, 0, 0, "over_range", "bad_value", "\"wet\" is no measured field");
    decoded_expect_flaw(decoded, 1, 0, "over_range", "bad_value", "noise_dba has no value in this record");
    for (size_t a = 0; a < adapter_count; a++) {
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field_by_name(adapters[a]->record, "over_range");
        assert_non_null(field);
        assert_int_equal(field->id, adapters[a]->new_fields_from);
    }
}

static struct bytes record_of_waste(uint64_t kind) {
    struct bytes record = record_of("S", decoded_now_ms);
    bytes_field_varint(&record, SANITATION_WASTE_KIND, kind);
    return record;
}

static void test_enums_and_whole_numbers(void **state) {
    const struct adapter *sanitation = decoded_adapter("sanitation");
    assert_true(decoded_value(accepted(*state, "sanitation", record_of_waste(3)), sanitation, "waste_kind") == 3);
    refused(*state, "sanitation", record_of_waste(5), "bad_enum",
            "waste_kind: has no value 5; it has WASTE_UNSORTED = 0, ");
    refused(*state, "sanitation", record_of_waste(UINT64_MAX), "bad_enum", "has no value -1");
    struct bytes record = record_of("S", decoded_now_ms);
    bytes_field_varint(&record, SANITATION_STALLS, UINT32_MAX);
    const struct record *got = accepted(*state, "sanitation", record);
    assert_true(decoded_value(got, sanitation, "stalls_occupied") == (double)UINT32_MAX);
    assert_int_equal(got->quality, UINT64_C(1) << decoded_bit(sanitation, "stalls_occupied"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_gcj02_is_converted, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_wrong_types, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_not_finite, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_missing, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_codes, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_texts, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_times, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_positions, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_enums_and_whole_numbers, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_over_range, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_one_bad_field, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_many_bad_fields, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_places_outside, decoded_setup, decoded_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

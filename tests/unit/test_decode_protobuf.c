/* test_decode_protobuf.c: batches in protobuf's wire form: what is delivered, and what becomes of everything that is
 * wrong. Every bad record gives exactly its problem; the good ones beside it are delivered. */
#include "wire_batch.h"

static void test_values(void **state) {
    const struct adapter *dust = decoded_adapter("dust");
    struct bytes record = record_at(position(114.3925, 34.0583, 0));
    bytes_field_double(&record, PM10, -5);
    bytes_field_varint(&record, SPRAYING, 1);
    const struct record *got = accepted(*state, "dust", record);
    assert_string_equal(got->device_code, "D-1");
    assert_int_equal(got->device_code_length, 3);
    assert_int_equal(got->observed_at_ms, decoded_now_ms);
    assert_true(got->has_position);
    assert_true(got->lon == 114.3925 && got->lat == 34.0583);
    assert_true(decoded_value(got, dust, "pm25_ug_m3") == 3);
    assert_true(decoded_value(got, dust, "pm10_ug_m3") == -5);
    assert_true(decoded_value(got, dust, "spraying_on") == 1);
    assert_int_equal(got->quality, UINT64_C(1) << decoded_bit(dust, "pm10_ug_m3"));
    assert_int_equal(__builtin_popcountll(got->present), 3);
    assert_int_equal(got->text_present, 0);
}

static void test_order_and_reuse(void **state) {
    struct decoded *decoded = *state;
    struct bytes batch = {0}, poor = record_of("second", decoded_now_ms);
    bytes_field_double(&poor, PM10, 8);
    batch_add(&batch, record_at(position(114, 34, 0)));
    batch_add(&batch, poor);
    run(decoded, "dust", batch);
    decoded_expect(decoded, 2, 2, 0);
    /* Nothing of the first is left in the second. */
    assert_string_equal(decoded->records[1].device_code, "second");
    assert_false(decoded->records[1].has_position);
    assert_int_equal(decoded->records[1].present, UINT64_C(1) << decoded_bit(decoded_adapter("dust"), "pm10_ug_m3"));
}

static void test_last_of_duplicates_counts(void **state) {
    const struct adapter *dust = decoded_adapter("dust"), *sanitation = decoded_adapter("sanitation");
    struct bytes record = record_of("first", 1);
    bytes_field_text(&record, CODE, "last");
    bytes_field_varint(&record, TIME, (uint64_t)decoded_now_ms);
    bytes_field_double(&record, PM25, -1);
    bytes_field_double(&record, PM25, 20);
    const struct record *got = accepted(*state, "dust", record);
    assert_string_equal(got->device_code, "last");
    assert_true(decoded_value(got, dust, "pm25_ug_m3") == 20);
    assert_int_equal(got->quality, 0);

    record = good_record(0);
    bytes_field_text(&record, SANITATION_PLATE, "one");
    bytes_field_text(&record, SANITATION_PLATE, "");
    got = accepted(*state, "sanitation", record);
    assert_int_equal(got->text_present, 0);

    record = good_record(0);
    bytes_field_text(&record, SANITATION_PLATE, "one");
    bytes_field_text(&record, SANITATION_PLATE, "豫A12345");
    got = accepted(*state, "sanitation", record);
    assert_string_equal(got->texts[decoded_bit(sanitation, "plate")], "豫A12345");
}

/* NULs after a batch are what a C program sends of its buffer: no record, no problem. Anything else is. */
static void test_padding(void **state) {
    struct decoded *decoded = *state;
    for (size_t count = 1; count < 40; count++) {
        struct bytes batch = {0};
        char padding[40] = "";
        batch_add(&batch, good_record(1));
        bytes_add(&batch, padding, count);
        decoded_run(decoded, decoded_adapter("dust"), NULL, batch.data, batch.length);
        decoded_expect(decoded, 1, 1, 0);
        bytes_add(&batch, "x", 1);
        run(decoded, "dust", batch);
        decoded_expect(decoded, 2, 1, 1);
        decoded_expect_problem(decoded, 0, 1, "malformed", "field number");
    }
    struct bytes record = good_record(1);
    bytes_add(&record, "\0", 1);
    refused(decoded, "dust", record, "malformed", "field number"); /* within a record it is no padding */
    /* What tools add to a file: a line's end. A line feed alone may be a record's tag, so a batch that is cut. */
    static const char *const ends[] = {"\r\n", " ", "\t", "\r\n\r\n", "\n", "\n\n"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        struct bytes batch = {0};
        batch_add(&batch, good_record(1));
        bytes_add(&batch, ends[i], strlen(ends[i]));
        run(decoded, "dust", batch);
        bool ambiguous = ends[i][0] == '\n';
        decoded_expect(decoded, ambiguous ? 2 : 1, 1, ambiguous);
        batch = (struct bytes){0};
        batch_add(&batch, good_record(1));
        bytes_field_text(&batch, 1000, "dust");
        bytes_add(&batch, ends[i], strlen(ends[i]));
        run(decoded, "dust", batch);
        decoded_expect(decoded, 1, 1, 0);
    }
}

static void test_text_is_called_text(void **state) {
    struct decoded *decoded = *state;
    static const char *const texts[] = {"hello",  "你好",      "\"{}\"", "P5", "<xml/>", "a,b,c\r\n1,2,3\r\n",
                                        "device", "48656c6c6f"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        decoded_run(decoded, decoded_adapter("dust"), NULL, texts[i], strlen(texts[i]));
        decoded_expect_refused(decoded, "malformed", "is text, but no JSON");
    }
}

/* A batch cut anywhere: the whole records before the cut are delivered, and the cut is told. */
static void test_cut_anywhere(void **state) {
    struct decoded *decoded = *state;
    struct bytes batch = {0};
    size_t ends[4] = {0};
    for (int i = 1; i <= 3; i++) {
        batch_add(&batch, good_record(i));
        ends[i] = batch.length;
    }
    for (size_t length = 0; length <= batch.length; length++) {
        int whole = 0;
        while (whole < 3 && ends[whole + 1] <= length) {
            whole++;
        }
        decoded_run(decoded, decoded_adapter("dust"), NULL, batch.data, length);
        if (length == ends[whole] && whole > 0) {
            decoded_expect(decoded, whole, whole, 0);
        } else {
            decoded_expect(decoded, whole == 0 ? 0 : whole + 1, whole, 1);
            decoded_expect_problem(decoded, 0, whole == 0 ? -1 : whole, "malformed",
                                   length == 0   ? "is empty"
                                   : length == 1 ? "nothing but blanks"
                                                 : "byte ");
        }
    }
    free(batch.data);
}

static void test_broken_records(void **state) {
    struct bytes record = good_record(1);
    record.length -= 3;
    refused(*state, "dust", record, "malformed", "the bytes end within a number of 8 bytes");
    record = good_record(1);
    bytes_tag(&record, 50, 3);
    refused(*state, "dust", record, "malformed", "wire type that is not in use");
    record = good_record(1);
    bytes_varint(&record, 2);
    refused(*state, "dust", record, "malformed", "field number");
    record = good_record(1);
    bytes_tag(&record, 50, 2);
    bytes_varint(&record, 1000);
    refused(*state, "dust", record, "malformed", "past the end");
    record = good_record(1);
    bytes_tag(&record, 50, 0);
    bytes_add(&record, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
    refused(*state, "dust", record, "malformed", "more than ten bytes");
    refused(*state, "dust", (struct bytes){0}, "missing_device_code", "device_code");
}

static void test_random_bytes(void **state) {
    struct decoded *decoded = *state;
    uint64_t seed = 42;
    uint8_t payload[300];
    for (int round = 0; round < 20000; round++) {
        size_t length = decoded_random(&seed) % sizeof payload;
        for (size_t i = 0; i < length; i++) {
            payload[i] = (uint8_t)decoded_random(&seed);
        }
        decoded_run(decoded, adapters[(size_t)round % adapter_count], NULL, payload, length);
        decoded_expect_sound(decoded);
    }
}

/* One byte of a good batch changed at a time: whatever becomes of it, no record is lost without a word. */
static void test_changed_bytes(void **state) {
    struct decoded *decoded = *state;
    struct bytes batch = {0};
    batch_add(&batch, record_at(position(114, 34, 3)));
    batch_add(&batch, good_record(2));
    for (size_t at = 0; at < batch.length; at++) {
        uint8_t kept = batch.data[at];
        for (int value = 0; value < 256; value++) {
            batch.data[at] = (uint8_t)value;
            decoded_run(decoded, decoded_adapter("dust"), NULL, batch.data, batch.length);
            decoded_expect_sound(decoded);
        }
        batch.data[at] = kept;
    }
    free(batch.data);
}

static void test_other_subsystem(void **state) {
    /* A street light's first field is a bool; dust has a double there. */
    struct bytes record = record_of("L-1", decoded_now_ms);
    bytes_field_varint(&record, PM25, 1);
    refused(*state, "dust", record, "wrong_type", "pm25_ug_m3: has the wire form of a varint");
    /* Fields that dust has not: nothing is left to store, and the reason asks for the subsystem. */
    record = record_of("X-1", decoded_now_ms);
    bytes_field_double(&record, 200, 1);
    bytes_field_double(&record, 70000, 1);
    refused(*state, "dust", record, "no_readings", "topic's subsystem (dust)");
    struct decoded *decoded = *state;
    assert_int_equal(decoded->warning_count, 2);
    assert_string_equal(decoded->warnings[0].code, "unknown_field");
    assert_int_equal(decoded->warnings[0].index, 1);
    assert_non_null(strstr(decoded->warnings[0].reason, "number 200"));
    assert_non_null(strstr(decoded->warnings[1].reason, "number 70000"));
}

static void batch_say(struct bytes *batch, const char *subsystem) {
    bytes_field_text(batch, 1000, subsystem);
}

/* A batch may say its subsystem, before its records or after: another than the topic's refuses all of it. */
static void test_subsystem_said(void **state) {
    struct decoded *decoded = *state;
    for (int place = 0; place < 2; place++) {
        static const char *const said[] = {"dust", "DUST", "gas", "nothing", ""};
        for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
            struct bytes batch = {0};
            if (place == 0) {
                batch_say(&batch, said[i]);
            }
            batch_add(&batch, good_record(1));
            batch_add(&batch, good_record(2));
            if (place == 1) {
                batch_say(&batch, said[i]);
            }
            run(decoded, "dust", batch);
            if (i == 2 || i == 3) {
                decoded_expect_refused(decoded, "wrong_topic", "the topic is of dust");
                continue;
            }
            decoded_expect(decoded, 2, 2, 0);
            assert_int_equal(decoded->warning_count, 0);
            assert_int_equal(decoded->records[1].declared, i < 2);
        }
    }
    struct bytes batch = {0};
    batch_add(&batch, good_record(1));
    run(decoded, "dust", batch);
    assert_false(decoded->records[0].declared); /* of the message before */
}

static const struct adapter *look_at;
static bool look_fits;
static void look(struct decoded *decoded, const struct record *record) {
    look_fits = decode_fits(decoded->decoder, look_at, record);
}

static void test_signs_of_another_subsystem(void **state) {
    struct decoded *decoded = *state;
    decoded->look = look;
    look_at = decoded_adapter("gas");
    struct bytes record = good_record(1); /* field 10: gas has a pressure there */
    bytes_field_double(&record, 18, 60);  /* a leak of gas; dust's pressure */
    assert_int_equal(accepted(decoded, "dust", record)->misfits, 0);
    assert_true(look_fits);
    record = good_record(1);
    bytes_field_double(&record, 18, 101); /* no leak of gas */
    accepted(decoded, "dust", record);
    assert_false(look_fits);
    record = good_record(1);
    bytes_field_varint(&record, 20, 1); /* gas has a valve there, dust nothing */
    assert_int_equal(accepted(decoded, "dust", record)->misfits, 1);
    assert_true(look_fits);
    record = good_record(1);
    bytes_field_varint(&record, SPRAYING, 1); /* gas has a double there */
    accepted(decoded, "dust", record);
    assert_false(look_fits);
    /* New fields have numbers of their own: an old hub knows by them whose they are. */
    record = good_record(1);
    bytes_field_double(&record, decoded_adapter("dust")->new_fields_from + 99, 1);
    assert_int_equal(accepted(decoded, "dust", record)->misfits, 0);
    record = good_record(1);
    bytes_field_double(&record, decoded_adapter("gas")->new_fields_from, 1);
    assert_int_equal(accepted(decoded, "dust", record)->misfits, 1);
    decoded->look = NULL;
}

static void test_batches_without_records(void **state) {
    struct decoded *decoded = *state;
    decoded_run(decoded, decoded_adapter("dust"), NULL, "", 0);
    decoded_expect_refused(decoded, "malformed", "payload: is empty");
    struct bytes batch = {0};
    bytes_field_varint(&batch, 5, 1);
    run(decoded, "dust", batch);
    decoded_expect_refused(decoded, "empty_batch", "records");
    assert_int_equal(decoded->warning_count, 1);
    assert_int_equal(decoded->warnings[0].index, -1);
    assert_non_null(strstr(decoded->warnings[0].reason, "is the payload a batch of records?"));
    /* One record without a batch around it: its code is no record. */
    run(decoded, "dust", good_record(1));
    decoded_expect_sound(decoded);
    assert_int_equal(decoded->record_count, 0);
    assert_non_null(strstr(decoded->warnings[0].reason, "is the payload a batch of records?"));
    /* libmosquitto hands over an empty message as NULL. */
    const struct decode_sink sink = {decoded_record, decoded_problem, decoded_warning, decoded};
    decoded_clear(decoded);
    decoded->total = decode_telemetry(decoded->decoder, decoded_adapter("dust"), &decoded_limits, NULL, 0, &sink);
    decoded_expect_refused(decoded, "malformed", "payload: is empty");
}

static void test_too_many(void **state) {
    struct decoded *decoded = *state;
    struct bytes batch = {0};
    for (int i = 0; i < DECODE_RECORDS_MAX; i++) {
        batch_add(&batch, good_record(i));
    }
    decoded_run(decoded, decoded_adapter("dust"), NULL, batch.data, batch.length);
    decoded_expect(decoded, DECODE_RECORDS_MAX, DECODE_RECORDS_MAX, 0);
    batch_add(&batch, good_record(1));
    run(decoded, "dust", batch);
    decoded_expect_refused(decoded, "too_many_records", "more than 20000");
}

static void test_unknown_fields(void **state) {
    struct decoded *decoded = *state;
    struct bytes batch = {0};
    for (int i = 0; i < 3; i++) {
        struct bytes record = good_record(i);
        for (uint32_t number = 100; number < 130; number++) {
            bytes_field_varint(&record, number, 1);
            bytes_field_text(&record, number, "again");
        }
        batch_add(&batch, record);
    }
    run(decoded, "dust", batch);
    decoded_expect(decoded, 3, 3, 0);
    assert_int_equal(decoded->warning_count, 16);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(decoded->warnings[i].index, 0);
    }
}

static void test_ten_megabytes(void **state) {
    enum { SIZE = 10 * 1024 * 1024 };
    struct decoded *decoded = *state;
    uint8_t *data = calloc(1, SIZE);
    assert_non_null(data);
    decoded_run(decoded, decoded_adapter("dust"), NULL, data, SIZE);
    decoded_expect_refused(decoded, "empty_batch", "has none"); /* padding, and nothing before it */
    memset(data, 'x', SIZE);
    refused(decoded, "sanitation", record_with_plate(data, SIZE), "bad_text", "is 10485760 bytes long");
    refused(decoded, "dust", record_with_code(data, SIZE), "bad_code", "is 10485760 bytes long");
    struct bytes record = good_record(1);
    bytes_field_data(&record, 500, data, SIZE);
    accepted(decoded, "dust", record);
    free(data);
}

/* The tag of the first record is a line feed, and a length of 91 or 123 a bracket: still a batch, also when it is cut.
 */
static void test_brackets_as_lengths(void **state) {
    struct decoded *decoded = *state;
    static const size_t lengths[] = {'[', '{'};
    for (size_t i = 0; i < 2; i++) {
        struct bytes batch = {0}, record = good_record(7);
        char filler[128] = "";
        size_t left = lengths[i] - record.length - 3; /* tag of two bytes, length of one */
        bytes_field_data(&record, 500, filler, left);
        assert_int_equal(record.length, lengths[i]);
        batch_add(&batch, record);
        size_t whole = batch.length;
        batch_add(&batch, good_record(8));
        decoded_run(decoded, decoded_adapter("dust"), NULL, batch.data, batch.length);
        decoded_expect(decoded, 2, 2, 0);
        decoded_run(decoded, decoded_adapter("dust"), NULL, batch.data, batch.length - 5);
        decoded_expect(decoded, 2, 1, 1);
        decoded_expect_problem(decoded, 0, 1, "malformed", "past the end");
        decoded_run(decoded, decoded_adapter("dust"), NULL, batch.data, whole - 5);
        decoded_expect_refused(decoded, "malformed", "byte 2 of");
        free(batch.data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_order_and_reuse, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_last_of_duplicates_counts, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_cut_anywhere, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_broken_records, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_random_bytes, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_changed_bytes, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_other_subsystem, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_batches_without_records, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_too_many, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_unknown_fields, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_ten_megabytes, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_brackets_as_lengths, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_padding, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_text_is_called_text, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_subsystem_said, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_signs_of_another_subsystem, decoded_setup, decoded_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

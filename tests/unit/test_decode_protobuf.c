/* test_decode_protobuf.c: batches in protobuf's wire form: what is delivered, and what becomes of everything that is
 * wrong. Every bad record gives exactly its problem; the good ones beside it are delivered. */
#include "decoded.h"
#include "wire_writer.h"

#include <math.h>

enum { CODE = 1, TIME = 2, POSITION = 3, PM25 = 10, PM10 = 11, SPRAYING = 19 };     /* dust.proto */
enum { SANITATION_PLATE = 20, SANITATION_STALLS = 28, SANITATION_WASTE_KIND = 38 }; /* sanitation.proto */
enum { LON = 1, LAT = 2, SYSTEM = 3 };                                              /* common.proto */

static struct bytes record_of(const char *code, int64_t time_ms) {
    struct bytes record = {0};
    if (code != NULL) {
        bytes_field_text(&record, CODE, code);
    }
    if (time_ms != 0) {
        bytes_field_varint(&record, TIME, (uint64_t)time_ms);
    }
    return record;
}

static struct bytes good_record(double pm25) {
    struct bytes record = record_of("D-1", decoded_now_ms);
    bytes_field_double(&record, PM25, pm25);
    return record;
}

static void batch_add(struct bytes *batch, struct bytes record) {
    bytes_field_message(batch, 1, &record);
}

static void run(struct decoded *decoded, const char *subsystem, struct bytes batch) {
    decoded_run(decoded, decoded_adapter(subsystem), NULL, batch.data == NULL ? (uint8_t *)"" : batch.data,
                batch.length);
    free(batch.data);
}

/* The record stands between two good ones: only it is refused. */
static void refused(struct decoded *decoded, const char *subsystem, struct bytes record, const char *code,
                    const char *word) {
    struct bytes batch = {0};
    batch_add(&batch, good_record(1));
    batch_add(&batch, record);
    batch_add(&batch, good_record(2));
    run(decoded, subsystem, batch);
    decoded_expect(decoded, 3, 2, 1);
    decoded_expect_problem(decoded, 0, 1, code, word);
    assert_int_equal(decoded->records[0].index, 0);
    assert_int_equal(decoded->records[1].index, 2);
}

/* The record alone is good. */
static const struct record *accepted(struct decoded *decoded, const char *subsystem, struct bytes record) {
    struct bytes batch = {0};
    batch_add(&batch, record);
    run(decoded, subsystem, batch);
    decoded_expect(decoded, 1, 1, 0);
    decoded_expect_flaws(decoded, 0);
    return &decoded->records[0];
}

/* The record stands between two good ones and is delivered as they are, but for this field. */
static const struct record *flawed(struct decoded *decoded, const char *subsystem, struct bytes record,
                                   const char *field, const char *code, const char *word) {
    struct bytes batch = {0};
    batch_add(&batch, good_record(1));
    batch_add(&batch, record);
    batch_add(&batch, good_record(2));
    run(decoded, subsystem, batch);
    decoded_expect(decoded, 3, 3, 0);
    decoded_expect_flaws(decoded, 1);
    decoded_expect_flaw(decoded, 0, 1, field, code, word);
    return &decoded->records[1];
}

static struct bytes position(double lon, double lat, int system) {
    struct bytes place = {0};
    bytes_field_double(&place, LON, lon);
    bytes_field_double(&place, LAT, lat);
    if (system >= 0) {
        bytes_field_varint(&place, SYSTEM, (uint64_t)system);
    }
    return place;
}

static struct bytes record_at(struct bytes place) {
    struct bytes record = good_record(3);
    bytes_field_message(&record, POSITION, &place);
    return record;
}

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

static void test_gcj02_is_converted(void **state) {
    const struct record *got = accepted(*state, "dust", record_at(position(114.3925, 34.0583, 2)));
    assert_true(got->has_position);
    /* GCJ-02 is some hundred metres off in Henan, to the north-east or south-east. */
    assert_true(fabs(got->lon - 114.3925) > 0.001 && fabs(got->lon - 114.3925) < 0.01);
    assert_true(fabs(got->lat - 34.0583) > 0.0005 && fabs(got->lat - 34.0583) < 0.01);
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
        decoded_expect_flaws(decoded, 2 * (int)adapters[a]->metric_count);
        assert_int_equal(decoded->records[1].present | decoded->records[1].text_present, 0);
        assert_int_equal(decoded->records[1].misfits, adapters[a]->metric_count);
    }
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

static struct bytes record_with_code(const void *code, size_t length) {
    struct bytes record = {0};
    bytes_field_data(&record, CODE, code, length);
    bytes_field_varint(&record, TIME, (uint64_t)decoded_now_ms);
    bytes_field_double(&record, PM25, 1);
    return record;
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

static struct bytes record_with_plate(const void *plate, size_t length) {
    struct bytes record = record_of("T", decoded_now_ms);
    bytes_field_data(&record, SANITATION_PLATE, plate, length);
    return record;
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
        cmocka_unit_test_setup_teardown(test_gcj02_is_converted, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_order_and_reuse, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_last_of_duplicates_counts, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_cut_anywhere, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_broken_records, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_random_bytes, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_changed_bytes, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_other_subsystem, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_wrong_types, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_not_finite, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_missing, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_codes, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_texts, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_times, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_positions, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_enums_and_whole_numbers, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_batches_without_records, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_too_many, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_unknown_fields, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_ten_megabytes, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_brackets_as_lengths, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_one_bad_field, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_many_bad_fields, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_padding, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_text_is_called_text, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_subsystem_said, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_signs_of_another_subsystem, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_places_outside, decoded_setup, decoded_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

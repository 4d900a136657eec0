/* test_decode_json.c: messages in JSON: the three forms, the same results as protobuf, and what becomes of everything
 * that is wrong. */
#include "json_message.h"

static void test_three_forms(void **state) {
    struct decoded *decoded = *state;
    static const struct {
        const char *text;
        int count;
    } cases[] = {
        {DUST(1), 1},
        {" \t\r\n" DUST(1) " \n", 1},
        {"\xef\xbb\xbf" DUST(1), 1},
        {"[" DUST(1) "," DUST(2) "]", 2},
        {"\n\n[ " DUST(1) " , " DUST(2) " ]\n", 2},
        {"{\"records\":[" DUST(1) "," DUST(2) "," DUST(3) "]}", 3},
        {"{\"r\\u0065cords\":[" DUST(1) "]}", 1},
        {"{\"subsystem\":\"dust\",\"records\":[" DUST(1) "]}", 1},
        {"{\"records\":[" DUST(1) "],\"subsystem\":\"Dust\"}\n", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run(decoded, "dust", cases[i].text);
        decoded_expect(decoded, cases[i].count, cases[i].count, 0);
        assert_int_equal(decoded->warning_count, 0);
        for (int place = 0; place < cases[i].count; place++) {
            assert_int_equal(decoded->records[place].index, place);
            assert_true(decoded_value(&decoded->records[place], decoded_adapter("dust"), "pm25_ug_m3") == place + 1);
        }
    }
    run(decoded, "dust", "{\"sender\":\"v\",\"records\":[" DUST(1) "],\"sent\":[{\"a\":[1]}]}");
    decoded_expect(decoded, 1, 1, 0);
    assert_int_equal(decoded->warning_count, 2);
    assert_int_equal(decoded->warnings[0].index, -1);
    assert_non_null(strstr(decoded->warnings[1].reason, "\"sent\""));
}

/* ---- the same as protobuf */

/* Appends a metric's field in both forms; `place` makes the values differ. */
static void add_both(struct bytes *wire, char *json, size_t size, const ProtobufCFieldDescriptor *field,
                     unsigned place) {
    size_t used = strlen(json);
    char *end = json + used;
    size_t left = size - used;
    double number = place % 3 == 0 ? -1.5 - place : place + 0.1;
    const ProtobufCEnumDescriptor *values = field->descriptor;
    switch (field->type) {
    case PROTOBUF_C_TYPE_DOUBLE:
        bytes_field_double(wire, field->id, number);
        snprintf(end, left, ",\"%s\":%.17g", field->name, number);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        bytes_field_float(wire, field->id, (float)number);
        snprintf(end, left, ",\"%s\":%.17g", field->name, number);
        break;
    case PROTOBUF_C_TYPE_STRING:
        bytes_field_text(wire, field->id, "豫A \"1\"");
        snprintf(end, left, ",\"%s\":\"\\u8c6bA \\\"1\\\"\"", field->name);
        break;
    case PROTOBUF_C_TYPE_ENUM:
        bytes_field_varint(wire, field->id, (uint64_t)values->values[place % values->n_values].value);
        snprintf(end, left, ",\"%s\":\"%s\"", field->name, values->values[place % values->n_values].name);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        bytes_field_varint(wire, field->id, place % 2);
        snprintf(end, left, ",\"%s\":%s", field->name, place % 2 == 1 ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SINT64:
        bytes_field_varint(wire, field->id, place * 2 + 1); /* zigzag of -(place + 1) */
        snprintf(end, left, ",\"%s\":-%u", field->name, place + 1);
        break;
    default:
        bytes_field_varint(wire, field->id, place * 1000);
        snprintf(end, left, ",\"%s\":%u", field->name, place * 1000);
        break;
    }
}

static void test_every_metric_as_in_protobuf(void **state) {
    struct decoded *decoded = *state;
    for (size_t a = 0; a < adapter_count; a++) {
        struct bytes record = {0}, batch = {0}, place = {0};
        char json[16384] = "{\"device_code\":\"D-1\",\"observed_at_ms\":" NOW
                           ",\"position\":{\"lon\":114.25,\"lat\":34.5,\"system\":\"BD09\"}";
        bytes_field_text(&record, 1, "D-1");
        bytes_field_varint(&record, 2, (uint64_t)decoded_now_ms);
        bytes_field_double(&place, 1, 114.25);
        bytes_field_double(&place, 2, 34.5);
        bytes_field_varint(&place, 3, 3);
        bytes_field_message(&record, 3, &place);
        unsigned metrics = 0;
        for (unsigned i = 0; i < adapters[a]->record->n_fields; i++) {
            const ProtobufCFieldDescriptor *field = &adapters[a]->record->fields[i];
            if (field->id > 3 && field->label != PROTOBUF_C_LABEL_REPEATED) {
                add_both(&record, json, sizeof json, field, metrics++);
            }
        }
        strcat(json, "}");
        bytes_field_message(&batch, 1, &record);
        assert_int_equal(metrics, adapters[a]->metric_count);

        decoded_run(decoded, adapters[a], NULL, batch.data, batch.length);
        free(batch.data);
        decoded_expect(decoded, 1, 1, 0);
        struct record wire = decoded->records[0];
        assert_int_equal(__builtin_popcountll(wire.present | wire.text_present), metrics);
        decoded_run(decoded, adapters[a], NULL, json, strlen(json));
        decoded_expect(decoded, 1, 1, 0);
        const struct record *text = &decoded->records[0];
        assert_int_equal(wire.present, text->present);
        assert_int_equal(wire.text_present, text->text_present);
        assert_int_equal(wire.quality, text->quality);
        assert_true(wire.lon == text->lon && wire.lat == text->lat && wire.observed_at_ms == text->observed_at_ms);
        for (unsigned bit = 0; bit < metrics; bit++) {
            if ((wire.present >> bit & 1) != 0 && wire.values[bit] != text->values[bit]) {
                fail_msg("%s, ordinal %u: %.17g in protobuf, %.17g in JSON", adapters[a]->key, bit + 1,
                         wire.values[bit], text->values[bit]);
            }
            if ((wire.text_present >> bit & 1) != 0) {
                assert_string_equal(text->texts[bit], "豫A \"1\"");
            }
        }
    }
}

static void test_null_and_empty_are_absent(void **state) {
    const struct adapter *sanitation = decoded_adapter("sanitation");
    const struct record *got = accepted(
        *state, "sanitation", "\"plate\":\"\",\"load_kg\":null,\"position\":null,\"speed_km_h\":0,\"waste_kind\":null");
    assert_int_equal(got->present, UINT64_C(1) << decoded_bit(sanitation, "speed_km_h"));
    assert_int_equal(got->text_present, 0);
    assert_false(got->has_position);
    refused(*state, "dust", "\"pm25_ug_m3\":null", "no_readings", "no reading");
    refused(*state, "dust", "\"device_code\":null,\"pm25_ug_m3\":1", "missing_device_code", "is missing");
    refused(*state, "dust", "\"device_code\":\"\",\"pm25_ug_m3\":1", "missing_device_code", "is missing");
    refused(*state, "dust", "\"observed_at_ms\":null,\"pm25_ug_m3\":1", "missing_time", "is missing");
}

static void test_duplicate_fields(void **state) {
    refused(*state, "dust", "\"pm25_ug_m3\":1,\"pm25_ug_m3\":1", "duplicate_field", "pm25_ug_m3: comes twice");
    refused(*state, "dust", "\"pm25_ug_m3\":1,\"pm25_ug_m3\":null", "duplicate_field", "pm25_ug_m3");
    refused(*state, "dust", "\"pm25_ug_m3\":1,\"device_code\":\"a\",\"d\\u0065vice_code\":\"b\"", "duplicate_field",
            "device_code");
    refused(*state, "dust", "\"position\":{\"lon\":1,\"lon\":2,\"lat\":3,\"system\":\"WGS84\"}", "duplicate_field",
            "position.lon");
    flawed(*state, "dust", "\"position\":null,\"position\":null,\"pm25_ug_m3\":1", "position", "duplicate_field",
           "position");
    /* Which of the two is meant nobody knows: neither is stored, however often it comes. */
    const struct record *got =
        flawed(*state, "dust", "\"pm25_ug_m3\":1,\"noise_dba\":70,\"pm25_ug_m3\":2,\"pm25_ug_m3\":3", "pm25_ug_m3",
               "duplicate_field", "pm25_ug_m3: comes twice");
    assert_int_equal(got->present, UINT64_C(1) << decoded_bit(decoded_adapter("dust"), "noise_dba"));
    struct decoded *decoded = *state;
    run(decoded, "dust", "{\"records\":[" DUST(1) "],\"records\":[" DUST(2) "]}");
    decoded_expect(decoded, 2, 1, 1);
    decoded_expect_problem(decoded, 0, 1, "duplicate_field", "only the first was read");
    run(decoded, "dust", "{\"records\":[],\"records\":[" DUST(2) "]}");
    decoded_expect_refused(decoded, "duplicate_field", "records");
}

static void test_wrong_types(void **state) {
    static const struct {
        const char *subsystem, *members, *code, *word;
    } cases[] = {
        {"dust", "\"pm25_ug_m3\":\"--\"", "wrong_type", "pm25_ug_m3: is the text \"--\"; it must be a number"},
        {"dust", "\"pm25_ug_m3\":true", "wrong_type", "is true"},
        {"dust", "\"pm25_ug_m3\":[1]", "wrong_type", "is an array"},
        {"dust", "\"pm25_ug_m3\":{\"value\":[1,{\"a\":2}]}", "wrong_type", "is an object"},
        {"dust", "\"spraying_on\":2", "wrong_type", "true, false, 0 or 1"},
        {"dust", "\"spraying_on\":\"on\"", "wrong_type", "true, false, 0 or 1"},
        {"dust", "\"spraying_on\":0.5", "wrong_type", "a number with a fraction"},
        {"dust", "\"device_code\":17,\"pm25_ug_m3\":1", "wrong_type", "device_code: is a whole number"},
        {"dust", "\"observed_at_ms\":\"" NOW ".5\",\"pm25_ug_m3\":1", "wrong_type", "a whole number"},
        {"dust", "\"observed_at_ms\":1760000000000.5,\"pm25_ug_m3\":1", "wrong_type", "a number with a fraction"},
        {"dust", "\"observed_at_ms\":9223372036854775808,\"pm25_ug_m3\":1", "wrong_type", "too large"},
        {"dust", "\"position\":[114,34]", "wrong_type", "it must be an object with lon, lat and system"},
        {"dust", "\"position\":{\"lon\":\"114°\",\"lat\":34,\"system\":\"WGS84\"}", "wrong_type", "position.lon"},
        {"dust", "\"position\":{\"lon\":114,\"lat\":34,\"system\":true}", "wrong_type", "position.system"},
        {"dust", "\"position\":{\"lon\":114,\"lat\":34,\"system\":\"GPS\"}", "bad_enum",
         "has no value \"GPS\"; it has WGS84 = 0, CGCS2000 = 1, GCJ02 = 2, BD09 = 3"},
        {"dust", "\"position\":{\"lon\":114,\"lat\":34,\"system\":7}", "bad_enum", "position.system"},
        {"dust", "\"position\":{\"lon\":114,\"lat\":34}", "missing_coordinate_system", "position"},
        {"dust", "\"position\":{\"lat\":34,\"system\":\"WGS84\"}", "bad_position", "has no lon"},
        {"dust", "\"position\":{}", "bad_position", "no lon and no lat"},
        {"sanitation", "\"waste_kind\":\"FOOD\"", "bad_enum", "has no value \"FOOD\"; it has WASTE_UNSORTED = 0, "},
        {"sanitation", "\"waste_kind\":9", "bad_enum", "has no value 9"},
        {"sanitation", "\"waste_kind\":9223372036854775807", "bad_enum", "has no value"},
        {"sanitation", "\"waste_kind\":1.5", "wrong_type", "a name of its enum"},
        {"sanitation", "\"stalls_total\":-1", "wrong_type", "-1 is outside the field's type, 0 to 4294967295"},
        {"sanitation", "\"stalls_total\":4294967296", "wrong_type", "outside the field's type"},
        {"sanitation", "\"stalls_total\":1.5", "wrong_type", "a number with a fraction"},
        {"sanitation", "\"plate\":5", "wrong_type", "plate: is a whole number; it must be a text in quotes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        refused(*state, cases[i].subsystem, cases[i].members, cases[i].code, cases[i].word);
    }
    /* The same, each with a reading beside it. */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char members[400], field[64];
        bool is_dust = strcmp(cases[i].subsystem, "dust") == 0;
        if (strstr(cases[i].members, "device_code") != NULL || strstr(cases[i].members, "observed_at_ms") != NULL) {
            continue;
        }
        snprintf(members, sizeof members, "%s,%s", cases[i].members, is_dust ? "\"noise_dba\":70" : "\"load_kg\":70");
        sscanf(cases[i].members, "\"%63[^\"]", field);
        const struct record *kept = flawed(*state, cases[i].subsystem, members, field, cases[i].code, cases[i].word);
        assert_true(decoded_value(kept, decoded_adapter(cases[i].subsystem), is_dust ? "noise_dba" : "load_kg") == 70);
        assert_int_equal(__builtin_popcountll(kept->present | kept->text_present), 1);
        assert_false(kept->has_position);
    }
    const struct adapter *sanitation = decoded_adapter("sanitation");
    const struct record *got =
        accepted(*state, "sanitation",
                 "\"waste_kind\":\"WASTE_FOOD\",\"stalls_total\":8e0,\"engine_on\":1,\"spraying_on\":false");
    assert_true(decoded_value(got, sanitation, "waste_kind") == 3);
    assert_true(decoded_value(got, sanitation, "stalls_total") == 8);
    assert_true(decoded_value(got, sanitation, "engine_on") == 1);
    assert_true(decoded_value(got, sanitation, "spraying_on") == 0);
}

static void test_not_finite(void **state) {
    refused(*state, "dust", "\"pm25_ug_m3\":NaN", "not_finite", "pm25_ug_m3: NaN is no reading");
    refused(*state, "dust", "\"pm25_ug_m3\":Infinity", "not_finite", "infinity");
    refused(*state, "dust", "\"pm25_ug_m3\":-Infinity", "not_finite", "infinity");
    refused(*state, "dust", "\"pm25_ug_m3\":1e400", "not_finite", "a number too large");
    char digits[1101], members[1200];
    memset(digits, '7', sizeof digits - 1);
    digits[sizeof digits - 1] = '\0';
    snprintf(members, sizeof members, "\"pm25_ug_m3\":%s,\"noise_dba\":70", digits);
    flawed(*state, "dust", members, "pm25_ug_m3", "wrong_type", "which is no JSON value");
    refused(*state, "dust", "\"pm25_ug_m3\":\"NaN\"", "not_finite", "pm25_ug_m3: NaN is no reading");
    refused(*state, "dust", "\"pm25_ug_m3\":\"-Infinity\"", "not_finite", "infinity");
    refused(*state, "dust", "\"observed_at_ms\":NaN,\"pm25_ug_m3\":1", "wrong_type", "observed_at_ms");
    refused(*state, "dust", "\"position\":{\"lon\":NaN,\"lat\":34,\"system\":\"WGS84\"}", "bad_position",
            "not on Earth");
}

static void test_times(void **state) {
    refused(*state, "dust", "\"observed_at_ms\":0,\"pm25_ug_m3\":1", "time_too_old", "1970-01-01T00:00:00Z");
    refused(*state, "dust", "\"observed_at_ms\":4102444800000,\"pm25_ug_m3\":1", "time_ahead", "2100-01-01");
    refused(*state, "dust", "\"observed_at_ms\":1760000000,\"pm25_ug_m3\":1", "time_too_old", "not seconds");
}

static void test_codes_and_texts(void **state) {
    char members[20100], text[10001];
    memset(text, 'c', 10000);
    text[10000] = '\0';
    snprintf(members, sizeof members, "\"device_code\":\"%s\",\"pm25_ug_m3\":1", text);
    refused(*state, "dust", members, "bad_code", "is 10000 bytes long; at most 128");
    snprintf(members, sizeof members, "\"device_code\":\"\\u0063%s\",\"pm25_ug_m3\":1", text);
    refused(*state, "dust", members, "bad_code", "is 10001 bytes long; at most 128");
    snprintf(members, sizeof members, "\"plate\":\"\\u0063%.1024s\"", text);
    refused(*state, "sanitation", members, "bad_text", "is 1025 bytes long; at most 1024");
    refused(*state, "dust", "\"device_code\":\"a\\u0000b\",\"pm25_ug_m3\":1", "bad_code", "a control character");
    refused(*state, "dust", "\"device_code\":\"a\nb\",\"pm25_ug_m3\":1", "bad_code", "a control character");
    refused(*state, "dust", "\"device_code\":\"a\\qb\",\"pm25_ug_m3\":1", "bad_code", "a wrong escape");
    refused(*state, "dust", "\"device_code\":\"\\ud800\",\"pm25_ug_m3\":1", "bad_code", "a wrong escape");
    flawed(*state, "sanitation", "\"plate\":\"\\ud800\",\"load_kg\":1", "plate", "bad_text", "a wrong escape");
    refused(*state, "dust", "\"device_code\":\"\xff\xfe\",\"pm25_ug_m3\":1", "bad_code", "not valid UTF-8");
    refused(*state, "sanitation", "\"plate\":\"\xe8\xb1\"", "bad_text", "not valid UTF-8");
    const struct record *got = accepted(*state, "sanitation", "\"plate\":\"\\ud83d\\ude9b\\t\\\"\\/\"");
    assert_string_equal(got->texts[decoded_bit(decoded_adapter("sanitation"), "plate")], "\xf0\x9f\x9a\x9b\t\"/");
}

static void test_unknown_fields(void **state) {
    struct decoded *decoded = *state;
    accepted(decoded, "dust", "\"pm25_ug_m3\":1,\"PM25\":{\"a\":[[],{}]},\"\xff\":1,\"position\":null");
    assert_int_equal(decoded->warning_count, 2);
    assert_string_equal(decoded->warnings[0].code, "unknown_field");
    assert_non_null(strstr(decoded->warnings[0].reason, "\"PM25\": the hub knows no such field"));
    assert_non_null(strstr(decoded->warnings[1].reason, "\"\\xff\""));
    accepted(decoded, "dust",
             "\"position\":{\"lon\":114,\"lat\":34,\"system\":0,\"alt\":5,\"acc\":[1]},\"pm25_ug_m3\":1");
    assert_int_equal(decoded->warning_count, 2);
    assert_non_null(strstr(decoded->warnings[0].reason, "position.\"alt\""));
    /* A name longer than the scratch, with an escape: warned of once, though it comes in every record. */
    char text[20000] = "[", record[9000], filler[4200];
    memset(filler, 'n', sizeof filler);
    snprintf(record, sizeof record,
             "{\"\\u4e2d%.4150s\":1,\"device_code\":\"D\",\"observed_at_ms\":" NOW ",\"pm25_ug_m3\":\"\\u0031\"}",
             filler);
    snprintf(text, sizeof text, "[%s,%s]", record, record);
    run(decoded, "dust", text);
    decoded_expect(decoded, 2, 2, 0);
    assert_int_equal(decoded->warning_count, 1);
}

static void test_what_follows_the_end(void **state) {
    struct decoded *decoded = *state;
    static const char *const texts[] = {DUST(1), "[" DUST(1) "]", "{\"records\":[" DUST(1) "]}",
                                        "{\"records\":[" DUST(1) "],\"subsystem\":\"dust\"}"};
    static const struct {
        const char *tail;
        size_t length;
        bool problem;
    } tails[] = {{"\0", 1, false}, {"\0\0\0", 3, false}, {"\r\n\0\n \0", 6, false}, {"\n\t ", 3, false},
                 {"x", 1, true},   {"\0x", 2, true},     {"{}", 2, true},           {"\0{}", 3, true}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        for (size_t t = 0; t < sizeof tails / sizeof tails[0]; t++) {
            char payload[300];
            size_t length = strlen(texts[i]);
            memcpy(payload, texts[i], length);
            memcpy(payload + length, tails[t].tail, tails[t].length);
            decoded_run(decoded, decoded_adapter("dust"), NULL, payload, length + tails[t].length);
            decoded_expect(decoded, 1 + tails[t].problem, 1, tails[t].problem);
            assert_int_equal(decoded->warning_count, 0);
        }
    }
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
    const struct record *got = accepted(decoded, "water", "\"pressure_kpa\":200,\"leak_percent_lel\":3");
    assert_int_equal(got->misfits, 1);
    assert_true(look_fits);
    got = accepted(decoded, "water", "\"pressureKpa\":200,\"leakPercentLel\":3,\"turbidity_ntu\":1");
    assert_int_equal(got->misfits, 1);
    assert_false(look_fits);
    got = accepted(decoded, "water", "\"pressure_kpa\":200,\"leak_percent_lel\":300");
    assert_false(look_fits);
    got = accepted(decoded, "water", "\"pressure_kpa\":200,\"nobody_knows\":3");
    assert_int_equal(got->misfits, 0);
    assert_false(look_fits);
    decoded->look = NULL;
}

/* ---- messages that are not what they should be */

static void test_wrong_messages(void **state) {
    struct decoded *decoded = *state;
    static const struct {
        const char *text, *code, *word;
    } cases[] = {
        {" \n ", "malformed", "nothing but blanks"},
        {"[]", "empty_batch", "has none"},
        {"{\"records\":[]}", "empty_batch", "has none"},
        {"{\"records\":{}}", "wrong_type", "must be an array"},
        {"{\"records\":null}", "empty_batch", "has none"},
        {"{\"records\":[" DUST(1) "],\"subsystem\":\"gas\"}", "wrong_topic",
         "says that it is of \"gas\", the topic is of dust"},
        {"{\"subsyst\\u0065m\":\"gas\",\"records\":[" DUST(1) "]}", "wrong_topic", "the topic is of dust"},
        {"{\"records\":[],x}", "malformed", "a name in quotes"},
        {"{\"device_code\"", "malformed", "the payload ends too early"},
        {"{\"device_code\" 1}", "malformed", "a colon"},
        {"{device_code:1}", "malformed", "a name in quotes"},
        {"[}", "malformed", "a value was expected"},
        {"{\"a\":1,5}", "malformed", "a name in quotes"},
        {"[] x", "malformed", "something follows the end"},
        {"\xef\xbb\xbf\"text\"", "malformed", "must be an object, an array"},
        {"\xef\xbb\xbfnull and void", "malformed", "must be an object, an array"},
        {"\xef\xbb\xbf", "malformed", "the payload ends too early"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run(decoded, "dust", cases[i].text);
        decoded_expect_refused(decoded, cases[i].code, cases[i].word);
    }
    run(decoded, "dust", "{}");
    decoded_expect(decoded, 1, 0, 1);
    decoded_expect_problem(decoded, 0, 0, "missing_device_code", "is missing");
    run(decoded, "dust", "[1,null,\"x\",[[]]," DUST(1) ",true]");
    decoded_expect(decoded, 6, 1, 5);
    decoded_expect_problem(decoded, 3, 3, "wrong_type", "the record is an array");
    run(decoded, "dust", "[" DUST(1) "," DUST(2) "]]");
    decoded_expect(decoded, 3, 2, 1);
    decoded_expect_problem(decoded, 0, 2, "malformed", "something follows the end");
}

/* A comma behind the last member or record costs nothing but a word about it. */
static void test_last_commas(void **state) {
    struct decoded *decoded = *state;
    const struct record *got =
        accepted(decoded, "dust", "\"pm25_ug_m3\":60,\"position\":{\"lon\":114.5,\"lat\":34.5,\"system\":0,},");
    assert_true(got->has_position);
    assert_int_equal(decoded->warning_count, 2);
    run(decoded, "dust", "{\"records\":[" DUST(1) "," DUST(2) ",],}");
    decoded_expect(decoded, 3, 2, 1);
    decoded_expect_problem(decoded, 0, 2, "wrong_type", "the record is empty");
}

/* What is wrong within one record of many costs that one. */
static void test_wrong_records(void **state) {
    struct decoded *decoded = *state;
    static const char *const members[] = {
        "\"pm25_ug_m3\":1,5",
        "\"pm25_ug_m3\":1 \"pm10_ug_m3\":2",
        "\"fault_text\":\"valve \"A\" shut\"",
        "\"fault_text\":\"a pipe of 5\" or more\"",
        "\"fault_text\":\"no end",
        "\"position\":{\"lon\":114,5,\"lat\":34}",
        "\"pm25_ug_m3\":1 /* ug/m3 */",
        "pm25_ug_m3:1",
    };
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        char text[600];
        snprintf(text, sizeof text,
                 "{\"records\":[" DUST(1) ",{\"device_code\":\"D\",%s}," DUST(
                     2) ",{\"device_code\":\"D\",%s}],\"subsystem\":\"dust\"}",
                 members[i], members[i]);
        run(decoded, "dust", text);
        decoded_expect(decoded, 4, 2, 2);
        decoded_expect_problem(decoded, 0, 1, "malformed", "this record could not be read");
        decoded_expect_problem(decoded, 1, 3, "malformed", "this record could not be read");
    }
    run(decoded, "dust", "[" DUST(1) ",{\"device_code\":\"D\"],[" DUST(2) "]]");
    decoded_expect(decoded, 2, 1, 1);
    decoded_expect_problem(decoded, 0, 1, "malformed", "what follows could not be read");
}

static void test_cut_anywhere(void **state) {
    struct decoded *decoded = *state;
    static const char text[] = "{\"records\":[" DUST(1) "," DUST(2) "," DUST(3) "]}";
    const size_t one = strlen(DUST(1)), head = strlen("{\"records\":[");
    for (size_t length = 1; length < sizeof text - 1; length++) {
        int whole = 0;
        while (whole < 3 && head + (size_t)whole * (one + 1) + one <= length) {
            whole++;
        }
        decoded_run(decoded, decoded_adapter("dust"), NULL, text, length);
        decoded_expect(decoded, whole == 0 ? 0 : whole + 1, whole, 1);
        decoded_expect_problem(decoded, 0, whole == 0 ? -1 : whole, "malformed", "byte ");
    }
}

static void test_changed_bytes(void **state) {
    struct decoded *decoded = *state;
    char text[] = "[{\"device_code\":\"D\\u4e2d\",\"observed_at_ms\":" NOW ",\"position\":{\"lon\":114.5,\"lat\":3e1,"
                  "\"system\":\"GCJ02\"},\"pm25_ug_m3\":-1.5e1,\"spraying_on\":true}," DUST(2) "]";
    for (size_t at = 0; at < sizeof text - 1; at++) {
        char kept = text[at];
        for (int value = 0; value < 256; value++) {
            text[at] = (char)value;
            decoded_run(decoded, decoded_adapter("dust"), NULL, text, sizeof text - 1);
            decoded_expect_sound(decoded);
        }
        text[at] = kept;
    }
}

static void test_deep_nesting(void **state) {
    struct decoded *decoded = *state;
    enum { DEEP = 100000 };
    char *text = malloc(4 * DEEP);
    size_t used = (size_t)sprintf(text, "[" DUST(1) ",{\"a\":");
    memset(text + used, '[', DEEP);
    memset(text + used + DEEP, ']', DEEP);
    sprintf(text + used + (size_t)2 * DEEP, "}," DUST(2) "]");
    run(decoded, "dust", text);
    decoded_expect(decoded, 3, 2, 1);
    decoded_expect_problem(decoded, 0, 1, "malformed", "nested more than 32 deep");
    for (int i = 0; i < DEEP; i++) {
        memcpy(text + (size_t)5 * (size_t)(i % 60000), "{\"a\":", 5);
    }
    text[300000] = '\0';
    run(decoded, "dust", text);
    decoded_expect_refused(decoded, "malformed", "nested more than 32 deep");
    /* As deep as is allowed: skipped, and the record is delivered. */
    used = (size_t)sprintf(text, "[{\"device_code\":\"D\",\"observed_at_ms\":" NOW ",\"pm25_ug_m3\":1,\"a\":");
    memset(text + used, '[', 30);
    memset(text + used + 30, ']', 30);
    strcpy(text + used + 60, "}]");
    run(decoded, "dust", text);
    decoded_expect(decoded, 1, 1, 0);
    free(text);
}

static void test_too_many(void **state) {
    struct decoded *decoded = *state;
    const size_t one = strlen(DUST(1)) + 1;
    char *text = malloc(((size_t)DECODE_RECORDS_MAX + 1) * one + 10), *at = text;
    *at++ = '[';
    for (int i = 0; i < DECODE_RECORDS_MAX; i++, at += one) {
        memcpy(at, DUST(1) ",", one);
    }
    at[-1] = ']';
    *at = '\0';
    run(decoded, "dust", text);
    decoded_expect(decoded, DECODE_RECORDS_MAX, DECODE_RECORDS_MAX, 0);
    strcpy(at - 1, "," DUST(1) "]");
    run(decoded, "dust", text);
    decoded_expect_refused(decoded, "too_many_records", "20000");
    /* The shortest elements that there are. */
    for (int i = 0; i <= DECODE_RECORDS_MAX; i++) {
        memcpy(text + 1 + (size_t)2 * (size_t)i, "1,", 2);
    }
    text[(size_t)2 * DECODE_RECORDS_MAX + 2] = ']';
    text[(size_t)2 * DECODE_RECORDS_MAX + 3] = '\0';
    run(decoded, "dust", text);
    decoded_expect_refused(decoded, "too_many_records", "20000");
    free(text);
}

static void test_ten_megabytes(void **state) {
    enum { SIZE = 10 * 1024 * 1024 };
    struct decoded *decoded = *state;
    char *text = malloc(SIZE + 1);
    memset(text, 'x', SIZE);
    text[SIZE] = '\0';
    char *members = malloc(SIZE + 100);
    sprintf(members, "\"plate\":\"%s\"", text);
    refused(decoded, "sanitation", members, "bad_text", "is 10485760 bytes long");
    sprintf(members, "\"device_code\":\"\\t%s\",\"plate\":\"a\"", text);
    refused(decoded, "sanitation", members, "bad_code", "is 10485761 bytes long");
    sprintf(members, "{\"%s\":1}", text);
    run(decoded, "sanitation", members);
    decoded_expect(decoded, 1, 0, 1);
    assert_int_equal(decoded->warning_count, 1);
    memset(text, '[', SIZE);
    run(decoded, "dust", text);
    decoded_expect_refused(decoded, "malformed", "nested more than 32 deep");
    memset(text, '9', SIZE);
    text[0] = '[';
    run(decoded, "dust", text);
    decoded_expect_refused(decoded, "malformed", "the payload ends too early");
    memset(text, '"', SIZE);
    text[0] = '{';
    run(decoded, "dust", text);
    decoded_expect_sound(decoded);
    free(members);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_three_forms, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_every_metric_as_in_protobuf, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_null_and_empty_are_absent, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_duplicate_fields, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_wrong_types, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_not_finite, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_times, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_codes_and_texts, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_unknown_fields, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_what_follows_the_end, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_signs_of_another_subsystem, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_wrong_messages, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_last_commas, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_wrong_records, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_cut_anywhere, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_changed_bytes, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_deep_nesting, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_too_many, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_ten_megabytes, decoded_setup, decoded_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

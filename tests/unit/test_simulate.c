/* test_simulate.c: what the simulator makes is what the hub's decoder takes: every device, both forms, around the
 * clock; and the county is one that could be: counters grow, trucks stay on the map and tip in the yards. */
#include <math.h>

#include "common.pb-c.h"
#include "decoded.h"
#include "hub/simulate/simulate_anomaly.h"
#include "hub/simulate/simulate_document.h"
#include "hub/simulate/simulate_encode.h"
#include "hub/simulate/simulate_value.h"

enum { HOUR_MS = 3600000 };

static struct fleet fleet;

static int setup(void **state) {
    return decoded_setup(state) != 0 || fleet_make(&fleet, 1) != 0;
}

static int teardown(void **state) {
    fleet_free(&fleet);
    return decoded_teardown(state);
}

/* One message of these records in protobuf or JSON; all must be taken without a word. */
static void run_clean(struct decoded *decoded, const struct adapter *adapter, const char *kind,
                      const ProtobufCMessageDescriptor *descriptor, cJSON *records, bool json) {
    struct simulate_bytes bytes = {0};
    int expected = cJSON_GetArraySize(records);
    int code = json ? simulate_encode_json(&bytes, adapter->key, records)
                    : simulate_encode_protobuf(&bytes, adapter->key, descriptor, records);
    assert_int_equal(code, 0);
    decoded->subsystem = adapter->key;
    decoded_run(decoded, adapter, kind, bytes.data, bytes.length);
    decoded_print(decoded);
    assert_int_equal(decoded->total, expected);
    assert_int_equal(decoded->problem_count, 0);
    assert_int_equal(decoded->warning_count, 0);
    assert_int_equal(kind == NULL ? decoded->record_count : decoded->document_count, expected);
    free(bytes.data);
}

static void run_record(struct decoded *decoded, const struct simulated_device *device, enum coordinate_system system,
                       int64_t at_ms, bool json) {
    cJSON *records = cJSON_CreateArray();
    cJSON_AddItemToArray(records, simulate_record(device, system, at_ms));
    run_clean(decoded, device->adapter, NULL, device->adapter->record, records, json);
    cJSON_Delete(records);
}

static void check_place(const struct simulated_device *device, const struct record *record) {
    double lon;
    double lat;
    assert_int_equal(record->has_position, device->kind->mobile);
    if (record->has_position) {
        county_position(device->motion.at, &lon, &lat);
        /* 3 m each way of the receiver, 1 m of the conversion; a degree has 111 km at the most. */
        assert_true(fabs(record->lon - lon) * 111195 < 6 && fabs(record->lat - lat) * 111195 < 6);
    }
}

static void test_every_device_decodes(void **state) {
    struct decoded *decoded = *state;
    for (int i = 0; i < fleet.count; i++) {
        struct simulated_device *device = &fleet.devices[i];
        /* Every device at another hour, so that all kinds have been around the clock. */
        int64_t at_ms = decoded_now_ms - (int64_t)(i % 24) * HOUR_MS;
        motion_advance(device, at_ms);
        enum coordinate_system system = (enum coordinate_system)(i % 4);
        run_record(decoded, device, system, at_ms, false);
        struct record first = decoded->records[0];
        assert_string_equal(decoded->codes[0], device->code);
        check_place(device, &first);
        if (first.quality != 0) {
            fail_msg("%s %s: an everyday reading is outside its physical range (%llx)", device->adapter->key,
                     device->code, (unsigned long long)first.quality);
        }
        run_record(decoded, device, system, at_ms, true);
        assert_true(first.present == decoded->records[0].present);
        assert_true(first.text_present == decoded->records[0].text_present);
        for (int m = 0; m < ADAPTER_METRICS_MAX; m++) {
            if ((first.present >> m & 1) != 0) {
                assert_true(first.values[m] == decoded->records[0].values[m]);
            }
        }
    }
}

/* All metrics that a kind lists are sent by at least one device of the kind, but for faults, which are rare. */
static void test_every_metric_is_sent(void **state) {
    struct decoded *decoded = *state;
    for (size_t a = 0; a < adapter_count; a++) {
        uint64_t sent = 0;
        for (int i = 0; i < fleet.count; i++) {
            if (fleet.devices[i].adapter == adapters[a]) {
                run_record(decoded, &fleet.devices[i], COORDINATE_WGS84, decoded_now_ms, false);
                sent |= decoded->records[0].present | decoded->records[0].text_present;
            }
        }
        for (size_t m = 0; m < adapters[a]->metric_count; m++) {
            if ((sent >> m & 1) == 0 && strcmp(adapters[a]->metrics[m].key, "fault_text") != 0) {
                fail_msg("%s: no device sends %s", adapters[a]->key, adapters[a]->metrics[m].key);
            }
        }
    }
}

static const struct figures_range *range_row(const struct figures *figures, const char *metric) {
    const struct figures_range *row = figures->ranges;
    while (row->metric != NULL && strcmp(row->metric, metric) != 0) {
        row++;
    }
    return row->metric == NULL ? NULL : row;
}

static bool counted(const struct figures *figures, const char *kind) {
    const struct figures_devices *row = figures->devices;
    while (row->kind != NULL && strcmp(row->kind, kind) != 0) {
        row++;
    }
    return row->kind != NULL && row->count > 0;
}

/* A counter's range is its growth in an hour. */
static bool within(const struct figures_range *range, const struct metric *metric) {
    return range->low <= range->high && range->low >= (metric->kind == METRIC_COUNTER ? 0 : metric->min) &&
           range->high <= metric->max;
}

/* Tells each fault of a subsystem's table; returns how many there are. */
static int figures_faults(const struct adapter *adapter, const struct figures *figures) {
    int faults = 0;
    for (size_t m = 0; m < adapter->metric_count; m++) {
        const struct metric *metric = &adapter->metrics[m];
        const struct figures_range *range = range_row(figures, metric->key);
        if (metric->kind != METRIC_TEXT && (range == NULL || !within(range, metric))) {
            print_error("simulate_figures.c: %s: %s %s\n", adapter->key, metric->key,
                        range == NULL ? "has no everyday range: add its row" : "is not within its physical range");
            faults++;
        }
    }
    for (const struct figures_range *row = figures->ranges; row->metric != NULL; row++) {
        const struct metric *metric = adapter_metric(adapter, row->metric);
        if (metric == NULL || metric->kind == METRIC_TEXT || range_row(figures, row->metric) != row) {
            print_error("simulate_figures.c: %s: %s is no metric with a range, or comes twice\n", adapter->key,
                        row->metric);
            faults++;
        }
    }
    for (size_t k = 0; k < adapter->kind_count; k++) {
        if (!counted(figures, adapter->kinds[k].key)) {
            print_error("simulate_figures.c: %s: there are no devices of kind %s\n", adapter->key,
                        adapter->kinds[k].key);
            faults++;
        }
    }
    for (const struct figures_devices *row = figures->devices; row->kind != NULL; row++) {
        if (adapter_kind(adapter, row->kind) < 0) {
            print_error("simulate_figures.c: %s: there is no kind %s\n", adapter->key, row->kind);
            faults++;
        }
    }
    return faults;
}

/* A table of figures is whole; a subsystem that has none is played with plain ones, which is said. */
static void test_figures(void **state) {
    (void)state;
    int faults = 0;
    int tables = 0;
    for (size_t a = 0; a < adapter_count; a++) {
        const struct figures *figures = figures_of(adapters[a]->key);
        if (figures == NULL) {
            print_message("simulate_figures.c: %s has no table: plain figures\n", adapters[a]->key);
        } else {
            faults += figures_faults(adapters[a], figures);
            tables++;
        }
    }
    assert_int_equal(faults, 0);
    assert_true(tables > 0);
    assert_null(figures_of("nothing"));
}

/* Without a table every device still says something that could be. */
static void test_plain_figures(void **state) {
    struct decoded *decoded = *state;
    for (int i = 0; i < fleet.count; i += 7) {
        struct simulated_device device = fleet.devices[i];
        device.figures = NULL;
        run_record(decoded, &device, COORDINATE_WGS84, decoded_now_ms, false);
        assert_int_equal(decoded->records[0].quality, 0);
        assert_true(decoded->records[0].present != 0);
    }
    assert_int_equal(figures_devices(NULL, fleet.devices[0].kind), FIGURES_DEVICES_PLAIN);
}

static void test_counters_grow(void **state) {
    struct decoded *decoded = *state;
    static double last[ADAPTER_METRICS_MAX];
    int compared = 0;
    for (int i = 0; i < fleet.count; i++) {
        const struct adapter *adapter = fleet.devices[i].adapter;
        for (int step = 0; step < 12; step++) {
            run_record(decoded, &fleet.devices[i], COORDINATE_WGS84,
                       decoded_now_ms - (int64_t)(12 - step) * HOUR_MS * 2, false);
            for (size_t m = 0; m < adapter->metric_count; m++) {
                double value = decoded->records[0].values[m];
                bool counts = adapter->metrics[m].kind == METRIC_COUNTER && (decoded->records[0].present >> m & 1) != 0;
                if (counts && step > 0 && value < last[m] && last[m] < 0.95 * adapter->metrics[m].rollover) {
                    fail_msg("%s of %s goes back: %f after %f", adapter->metrics[m].key, fleet.devices[i].code, value,
                             last[m]);
                }
                compared += counts && step > 0 ? 1 : 0;
                last[m] = value;
            }
        }
    }
    assert_true(compared > 1000);
}

static bool in_yard(struct place place) {
    for (int i = 0; i < COUNTY_YARDS; i++) {
        struct place yard = county_yard(i);
        if (fabs(place.x - yard.x) < 100 && fabs(place.y - yard.y) < 100) {
            return true;
        }
    }
    return false;
}

static void test_movers(void **state) {
    (void)state;
    int tips = 0;
    int movers = 0;
    for (int i = 0; i < fleet.count; i++) {
        struct simulated_device *device = &fleet.devices[i];
        bool moved = false;
        if (device->motion.way == MOTION_NONE) {
            assert_false(device->kind->mobile);
            continue;
        }
        assert_true(device->kind->mobile);
        movers++;
        struct place before = device->motion.at;
        for (int64_t at_ms = decoded_now_ms; at_ms < decoded_now_ms + HOUR_MS; at_ms += 10000) {
            motion_advance(device, at_ms);
            struct place at = device->motion.at;
            double metres = hypot(at.x - before.x, at.y - before.y);
            assert_true(metres <= device->motion.speed_m_s * 10.01 + 0.5 || at_ms == decoded_now_ms);
            assert_true(fabs(at.x) <= COUNTY_EAST_M && fabs(at.y) <= COUNTY_NORTH_M);
            if (device->motion.unloading) {
                assert_true(in_yard(at));
                tips++;
            }
            moved = moved || metres > 1;
            before = at;
        }
        assert_true(moved);
    }
    assert_true(movers > 100);
    assert_true(tips > 10);
}

static void test_same_seed_same_county(void **state) {
    (void)state;
    struct fleet again;
    struct fleet other;
    int differences = 0;
    assert_int_equal(fleet_make(&again, 1), 0);
    assert_int_equal(fleet_make(&other, 2), 0);
    assert_int_equal(again.count, other.count);
    assert_in_range(again.count, 1800, 2400);
    for (int i = 0; i < again.count; i++) {
        assert_string_equal(again.devices[i].code, fleet.devices[i].code);
        assert_true(again.devices[i].place.x == fleet.devices[i].place.x);
        differences += again.devices[i].place.x != other.devices[i].place.x ? 1 : 0;
        assert_true(fabs(again.devices[i].place.x) <= COUNTY_EAST_M &&
                    fabs(again.devices[i].place.y) <= COUNTY_NORTH_M);
    }
    assert_true(differences > again.count / 2);
    fleet_free(&again);
    fleet_free(&other);
}

/* Each anomaly has a device that it can befall, and its record is one that the decoder takes. */
static void test_anomalies_are_possible(void **state) {
    struct decoded *decoded = *state;
    for (int a = 0; a < anomaly_count; a++) {
        const struct anomaly *anomaly = &anomaly_table[a];
        struct simulated_device *victim = NULL;
        for (int i = 0; i < fleet.count && victim == NULL; i++) {
            if (strcmp(fleet.devices[i].adapter->key, anomaly->subsystem) == 0 &&
                strcmp(fleet.devices[i].kind->key, anomaly->kind) == 0) {
                victim = &fleet.devices[i];
            }
        }
        if (victim == NULL) {
            fail_msg("no device of kind %s in %s", anomaly->kind, anomaly->subsystem);
            return;
        }
        victim->anomaly = anomaly;
        run_record(decoded, victim, COORDINATE_GCJ02, decoded_now_ms, a % 2 == 0);
        victim->anomaly = NULL;
        bool found = false;
        for (size_t m = 0; m < victim->adapter->metric_count; m++) {
            if (strcmp(victim->adapter->metrics[m].key, anomaly->metric) == 0) {
                double value = decoded->records[0].values[m];
                found = (decoded->records[0].present >> m & 1) != 0 &&
                        fabs(value - anomaly->value) <= 0.02 * fabs(anomaly->value);
            }
        }
        if (!found) {
            fail_msg("%s %s: the record does not have %s", anomaly->subsystem, anomaly->kind, anomaly->metric);
        }
    }
}

static void test_anomalies_come_and_go(void **state) {
    (void)state;
    struct simulate_random random = {5};
    int64_t next_ms = 0;
    int most = 0;
    int open = anomaly_advance(&fleet, &random, 12, &next_ms, decoded_now_ms);
    assert_in_range(open, 2, 4);
    for (int second = 1; second < 600; second++) {
        open = anomaly_advance(&fleet, &random, 12, &next_ms, decoded_now_ms + (int64_t)second * 1000);
        most = open > most ? open : most;
    }
    assert_in_range(most, 5, 30);
    next_ms = INT64_MAX;
    assert_int_equal(anomaly_advance(&fleet, &random, 12, &next_ms, decoded_now_ms + HOUR_MS), 0);
}

static void run_documents(struct decoded *decoded, const struct adapter *adapter, const char *kind,
                          const ProtobufCMessageDescriptor *descriptor, cJSON *records, bool json) {
    assert_non_null(records);
    if (cJSON_GetArraySize(records) > 0) {
        run_clean(decoded, adapter, kind, descriptor, records, json);
    }
    cJSON_Delete(records);
}

static void test_documents_decode(void **state) {
    struct decoded *decoded = *state;
    struct simulate_random random = {9};
    for (size_t a = 0; a < adapter_count; a++) {
        struct work_book book = {.count = 0};
        bool json = a % 2 == 0;
        struct document_source source = {&fleet, adapters[a], (enum coordinate_system)(a % 4), &random, decoded_now_ms};
        const ProtobufCMessageDescriptor *inventory = &cityhub__v1__inventory_record__descriptor;
        run_documents(decoded, adapters[a], "inventory", inventory, simulate_inventory(&source, true), json);
        run_documents(decoded, adapters[a], "inventory", inventory, simulate_inventory(&source, false), json);
        assert_true(decoded->document_count > 0);
        run_documents(decoded, adapters[a], "staff", &cityhub__v1__staff_record__descriptor, simulate_staff(&source),
                      json);
        run_documents(decoded, adapters[a], "case", &cityhub__v1__case_record__descriptor, simulate_case(&source),
                      json);
        for (int i = 0; i < 20; i++) {
            source.now_ms += 10000;
            run_documents(decoded, adapters[a], "work", &cityhub__v1__work_record__descriptor,
                          simulate_work(&source, &book), json);
        }
    }
}

/* A work order is planned, then begun, then finished, each once. */
static void test_work_goes_its_way(void **state) {
    (void)state;
    struct simulate_random random = {4};
    struct work_book book = {.count = 0};
    struct document_source source = {&fleet, decoded_adapter("sanitation"), COORDINATE_WGS84, &random, decoded_now_ms};
    char begun[40][48];
    int planned = 0;
    int started = 0;
    int finished = 0;
    for (int i = 0; i < 20; i++) {
        cJSON *records = simulate_work(&source, &book);
        const cJSON *record;
        cJSON_ArrayForEach(record, records) {
            const char *status = cJSON_GetObjectItem(record, "status")->valuestring;
            const char *code = cJSON_GetObjectItem(record, "work_code")->valuestring;
            if (strcmp(status, "PLANNED") == 0) {
                planned++;
            } else if (strcmp(status, "STARTED") == 0) {
                snprintf(begun[started++], sizeof begun[0], "%s", code);
            } else {
                assert_string_equal(code, begun[finished++]);
            }
        }
        cJSON_Delete(records);
        source.now_ms += 20000;
    }
    assert_int_equal(planned, 20);
    assert_true(started > 10 && finished > 10 && finished < started && started < planned);
}

static void test_county(void **state) {
    (void)state;
    cJSON *county = county_description();
    const cJSON *cells = cJSON_GetObjectItem(county, "cells");
    int count = cJSON_GetArraySize(cells);
    assert_int_equal(count, 24 * 20);
    int per_street[COUNTY_STREETS] = {0};
    for (int i = 0; i < count; i++) {
        const char *code = cJSON_GetObjectItem(cJSON_GetArrayItem(cells, i), "code")->valuestring;
        assert_int_equal(strlen(code), 15);
        assert_int_equal(strncmp(code, "410221", 6), 0);
        int street = code[8] - '1';
        assert_in_range(street, 0, COUNTY_STREETS - 1);
        per_street[street]++;
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(code, cJSON_GetObjectItem(cJSON_GetArrayItem(cells, j), "code")->valuestring);
        }
    }
    for (int i = 0; i < COUNTY_STREETS; i++) {
        assert_int_equal(per_street[i], 120);
    }
    cJSON_Delete(county);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_county),
        cmocka_unit_test(test_same_seed_same_county),
        cmocka_unit_test(test_every_device_decodes),
        cmocka_unit_test(test_every_metric_is_sent),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_plain_figures),
        cmocka_unit_test(test_counters_grow),
        cmocka_unit_test(test_movers),
        cmocka_unit_test(test_anomalies_are_possible),
        cmocka_unit_test(test_anomalies_come_and_go),
        cmocka_unit_test(test_documents_decode),
        cmocka_unit_test(test_work_goes_its_way),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

/* wire_batch.h: batches in protobuf's wire form, run through the decoder, for its tests. */
#ifndef CITYHUB_TEST_WIRE_BATCH_H
#define CITYHUB_TEST_WIRE_BATCH_H

#include "decoded.h"
#include "wire_writer.h"

enum { CODE = 1, TIME = 2, POSITION = 3, PM25 = 10, PM10 = 11, SPRAYING = 19, OVER_RANGE = 1100 }; /* dust.proto */
enum { SANITATION_PLATE = 20, SANITATION_STALLS = 28, SANITATION_WASTE_KIND = 38 }; /* sanitation.proto */
enum { LON = 1, LAT = 2, SYSTEM = 3 };                                              /* common.proto */

static inline struct bytes record_of(const char *code, int64_t time_ms) {
    struct bytes record = {0};
    if (code != NULL) {
        bytes_field_text(&record, CODE, code);
    }
    if (time_ms != 0) {
        bytes_field_varint(&record, TIME, (uint64_t)time_ms);
    }
    return record;
}

static inline struct bytes record_with_code(const void *code, size_t length) {
    struct bytes record = {0};
    bytes_field_data(&record, CODE, code, length);
    bytes_field_varint(&record, TIME, (uint64_t)decoded_now_ms);
    bytes_field_double(&record, PM25, 1);
    return record;
}

static inline struct bytes record_with_plate(const void *plate, size_t length) {
    struct bytes record = record_of("T", decoded_now_ms);
    bytes_field_data(&record, SANITATION_PLATE, plate, length);
    return record;
}

static inline struct bytes good_record(double pm25) {
    struct bytes record = record_of("D-1", decoded_now_ms);
    bytes_field_double(&record, PM25, pm25);
    return record;
}

static inline void batch_add(struct bytes *batch, struct bytes record) {
    bytes_field_message(batch, 1, &record);
}

static inline void run(struct decoded *decoded, const char *subsystem, struct bytes batch) {
    decoded_run(decoded, decoded_adapter(subsystem), NULL, batch.data == NULL ? (uint8_t *)"" : batch.data,
                batch.length);
    free(batch.data);
}

/* The record stands between two good ones: only it is refused. */
static inline void refused(struct decoded *decoded, const char *subsystem, struct bytes record, const char *code,
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
static inline const struct record *accepted(struct decoded *decoded, const char *subsystem, struct bytes record) {
    struct bytes batch = {0};
    batch_add(&batch, record);
    run(decoded, subsystem, batch);
    decoded_expect(decoded, 1, 1, 0);
    decoded_expect_flaws(decoded, 0);
    return &decoded->records[0];
}

/* The record stands between two good ones and is delivered as they are, but for this field. */
static inline const struct record *flawed(struct decoded *decoded, const char *subsystem, struct bytes record,
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

static inline struct bytes position(double lon, double lat, int system) {
    struct bytes place = {0};
    bytes_field_double(&place, LON, lon);
    bytes_field_double(&place, LAT, lat);
    if (system >= 0) {
        bytes_field_varint(&place, SYSTEM, (uint64_t)system);
    }
    return place;
}

static inline struct bytes record_at(struct bytes place) {
    struct bytes record = good_record(3);
    bytes_field_message(&record, POSITION, &place);
    return record;
}

#endif

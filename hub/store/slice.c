/* slice.c: the part of a batch that one transaction stores: which rows and devices are its own, and what the database's
 * answers mean for them. Writes no SQL and does no I/O. */
#include "hub/store/slice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "hub/base/clock.h"
#include "hub/base/log.h"

enum { CLOCK_BACK_US = 1000000 };

void slice_stamp(struct slice *slice) {
    static int64_t last;
    int64_t now = clock_now_us();
    /* Two may come in a microsecond; but a clock that was ahead and is right again is followed. */
    last = now > last || last - now > CLOCK_BACK_US ? now : last + 1;
    slice->stamp_us = last;
    unsigned char b[16] = {0};
    uv_random(NULL, NULL, b, sizeof b, 0, NULL); /* getrandom(2): of so few bytes it does not fail */
    snprintf(slice->id, sizeof slice->id, "%02x%02x%02x%02x-%02x%02x-4%x%02x-%x%x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6] & 15, b[7], 8 | (b[8] & 3), b[8] >> 4, b[9], b[10], b[11], b[12], b[13],
             b[14], b[15]);
}

struct slice_range slice_range(const struct slice *slice, enum slice_part part) {
    bool tracks = part == SLICE_TRACKS;
    const struct batch *batch = slice->batch;
    const struct batch_message *first = &batch->messages[slice->first];
    const struct batch_message *last = &batch->messages[slice->last - 1];
    struct slice_range range = {.rows = tracks ? batch->track_index : batch->row_index,
                                .begin = tracks ? first->first_track : first->first_row,
                                .end =
                                    tracks ? last->first_track + last->track_count : last->first_row + last->row_count};
    if (slice->last - slice->first == 1 && first->refused) {
        range.end = range.begin;
    }
    return range;
}

size_t slice_rows(const struct slice *slice) {
    struct slice_range range = slice_range(slice, SLICE_ROWS);
    return range.end - range.begin;
}

size_t slice_tracks(const struct slice *slice) {
    struct slice_range range = slice_range(slice, SLICE_TRACKS);
    return range.end - range.begin;
}

uint32_t slice_mark(void) {
    static uint32_t mark;
    return ++mark;
}

size_t slice_devices_without_id(const struct slice *slice) {
    struct slice_range range = slice_range(slice, SLICE_ROWS);
    uint32_t mark = slice_mark();
    size_t count = 0;
    for (size_t i = range.begin; i < range.end; i++) {
        struct device *device = range.rows[i].device;
        if (device->id == 0 && device->mark != mark) {
            device->mark = mark;
            count++;
        }
    }
    return count;
}

void slice_give_ids(const struct slice *slice, const PGresult *result) {
    struct slice_range range = slice_range(slice, SLICE_ROWS);
    int next = 0;
    for (size_t i = range.begin; i < range.end && next < PQntuples(result); i++) {
        /* Another lane may have given one meanwhile; the id that is left over is simply not used. */
        if (range.rows[i].device->id == 0) {
            range.rows[i].device->id = atoi(PQgetvalue(result, next++, 0));
        }
    }
}

void slice_committed(const struct slice *slice) {
    struct slice_range range = slice_range(slice, SLICE_ROWS);
    for (size_t i = range.begin; i < range.end; i++) {
        range.rows[i].device->registered = true;
    }
    for (size_t m = slice->first; m < slice->last; m++) {
        slice->batch->messages[m].stamp_us = slice->stamp_us;
    }
    buffer_bytes(&slice->batch->ids, slice->id, sizeof slice->id);
}

/* The vendor of the slice that a row names, or NULL. */
static struct vendor *vendor_of(const struct slice *slice, const PGresult *rows, int row) {
    for (size_t m = slice->first; m < slice->last; m++) {
        struct vendor *vendor = slice->batch->messages[m].vendor;
        if (vendor != NULL && strcmp(vendor->adapter->key, PQgetvalue(rows, row, 1)) == 0 &&
            strcmp(vendor_name(vendor), PQgetvalue(rows, row, 2)) == 0) {
            return vendor;
        }
    }
    return NULL;
}

void slice_take_ids(const struct slice *slice, const PGresult *result) {
    for (int row = 0; row < PQntuples(result); row++) {
        const struct vendor *vendor = vendor_of(slice, result, row);
        struct device *device =
            vendor == NULL ? NULL
                           : vendor_device(vendor, PQgetvalue(result, row, 3), (size_t)PQgetlength(result, row, 3));
        if (device != NULL) {
            device->id = atoi(PQgetvalue(result, row, 0));
            device->registered = true;
        }
    }
}

void slice_take_devices(const struct slice *slice, const PGresult *devices) {
    for (int row = 0; devices != NULL && row < PQntuples(devices); row++) {
        struct vendor *vendor = vendor_of(slice, devices, row);
        if (vendor != NULL && vendor_take_device(vendor, devices, row) != 0) {
            log_error("out_of_memory", "what=device lane=%s", slice->batch->metrics->lane);
            return; /* the loader will read them */
        }
    }
}

void slice_take_document(const struct slice *slice, const PGresult *stored) {
    size_t m = PQntuples(stored) == 1 ? strtoul(PQgetvalue(stored, 0, 0), NULL, 10) : SIZE_MAX;
    if (m >= slice->first && m < slice->last) {
        struct batch_message *message = &slice->batch->messages[m];
        message->fates[FATE_STORED] = (uint32_t)strtoul(PQgetvalue(stored, 0, 1), NULL, 10);
        message->fates[FATE_DUPLICATE] = (uint32_t)strtoul(PQgetvalue(stored, 0, 2), NULL, 10);
        message->problem_count = atoi(PQgetvalue(stored, 0, 3));
        message->fates[FATE_MERGED] = (uint32_t)strtoul(PQgetvalue(stored, 0, 4), NULL, 10);
        message->fates[FATE_REVISED] = (uint32_t)strtoul(PQgetvalue(stored, 0, 5), NULL, 10);
        message->field_count = atoi(PQgetvalue(stored, 0, 6));
    }
}

static int compare_times(const void *left, const void *right) {
    const int64_t *a = left;
    const int64_t *b = right;
    return (*a > *b) - (*a < *b);
}

/* The slice's times in whole units, each once, ascending. */
static int64_t *slice_units(const struct slice *slice, int64_t unit_ms, size_t *count) {
    struct slice_range range = slice_range(slice, SLICE_ROWS);
    int64_t *units = malloc((range.end - range.begin + 1) * sizeof *units);
    *count = 0;
    if (units == NULL) {
        return NULL;
    }
    size_t found = 0;
    for (size_t i = range.begin; i < range.end; i++) {
        int64_t at = range.rows[i].observed_at_ms;
        int64_t unit = at / unit_ms - (at % unit_ms < 0);
        if (found == 0 || units[found - 1] != unit) {
            units[found++] = unit;
        }
    }
    qsort(units, found, sizeof *units, compare_times);
    for (size_t i = 0; i < found; i++) {
        if (i == 0 || units[i] != units[*count - 1]) {
            units[(*count)++] = units[i];
        }
    }
    return units;
}

int64_t *slice_hours(const struct slice *slice, size_t *count) {
    return slice_units(slice, INT64_C(3600000), count);
}

int64_t *slice_days(const struct slice *slice, size_t *count) {
    return slice_units(slice, INT64_C(86400000), count);
}

/* One row of the answer: a fate and a number from 1 to `count`; false = it makes no sense. */
static bool take_fate(const PGresult *settled, int row, size_t count, enum batch_fate *fate, size_t *number) {
    unsigned long value = strtoul(PQgetvalue(settled, row, 0), NULL, 10);
    *number = strtoul(PQgetvalue(settled, row, 1), NULL, 10);
    *fate = value < FATE_COUNT ? (enum batch_fate)value : FATE_STORED;
    return value < FATE_COUNT && *number >= 1 && *number <= count;
}

void slice_take_place_fates(const struct slice *slice, const PGresult *settled) {
    struct slice_range records = slice_range(slice, SLICE_ROWS), places = slice_range(slice, SLICE_TRACKS);
    struct batch_row *rows = slice->batch->row_index;
    enum batch_fate fate;
    size_t number;
    for (size_t i = records.begin; i < records.end; i++) {
        rows[i].place_fate = FATE_STORED;
    }
    for (int row = 0; row < PQntuples(settled); row++) {
        if (take_fate(settled, row, places.end - places.begin, &fate, &number)) {
            rows[places.rows[places.begin + number - 1].record].place_fate = (uint8_t)fate;
        }
    }
}

void slice_reset_fates(const struct slice *slice) {
    struct slice_range range = slice_range(slice, SLICE_ROWS);
    struct batch_message *messages = slice->batch->messages;
    for (size_t m = slice->first; m < slice->last; m++) {
        memset(messages[m].fates, 0, sizeof messages[m].fates);
        messages[m].fates[FATE_STORED] = messages[m].row_count;
    }
    for (size_t i = range.begin; i < range.end; i++) {
        slice->batch->row_index[i].fate = FATE_STORED;
    }
}

void slice_take_fates(const struct slice *slice, const PGresult *settled) {
    struct slice_range range = slice_range(slice, SLICE_ROWS);
    enum batch_fate fate;
    size_t number;
    struct batch_message *messages = slice->batch->messages;
    slice_reset_fates(slice);
    for (int row = 0; row < PQntuples(settled); row++) {
        if (take_fate(settled, row, range.end - range.begin, &fate, &number)) {
            struct batch_row *record = &slice->batch->row_index[range.begin + number - 1];
            struct batch_message *message = &messages[record->message];
            record->fate = (uint8_t)fate;
            message->fates[record->place_fate > fate ? record->place_fate : fate]++;
            message->fates[FATE_STORED]--;
        }
    }
}

bool slice_refuse(const struct slice *slice, const char *code, const char *reason) {
    struct batch *batch = slice->batch;
    const struct batch_mark mark = batch_mark(batch);
    struct buffer finding = {0};
    buffer_format(&finding, "{\"index\":-1,\"code\":\"%s\",\"reason\":", code);
    buffer_json(&finding, reason, strlen(reason));
    buffer_text(&finding, "}");
    size_t code_at = batch_keep_text(batch, code, strlen(code));
    size_t reason_at = batch_keep_text(batch, reason, strlen(reason));
    size_t problems_at = batch_keep_text(batch, finding.data, finding.length);
    bool kept = !batch->failed && !finding.failed;
    if (kept) {
        struct batch_message *message = &batch->messages[slice->first];
        message->refused = true;
        message->code = code_at;
        message->reason = reason_at;
        message->problems = problems_at;
        message->problems_length = finding.length;
        message->problem_count = 1;
        log_error("message_refused", "lane=%s topic=%s reason=%s", batch->metrics->lane,
                  log_quote(batch_text(batch, message->topic)), log_quote(reason));
    } else {
        batch_cut(batch, &mark);
    }
    buffer_free(&finding);
    return kept;
}

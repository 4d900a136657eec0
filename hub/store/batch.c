/* batch.c: a batch's memory. Every growth that fails is remembered in `failed`; must never lose a message silently. */
#include "hub/store/batch.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/copy.h"
#include "hub/base/error.h"

enum { KEEP_BYTES = 128 * 1024, KEEP_ENTRIES = 2048 };

/* The list with room for one more entry of `size` bytes; NULL if memory is out. */
static void *room(struct batch *batch, void *list, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity) {
        return list;
    }
    size_t larger = *capacity < 64 ? 64 : *capacity + *capacity / 2;
    void *grown = realloc(list, larger * size);
    if (grown == NULL) {
        batch->failed = true;
        return NULL;
    }
    *capacity = larger;
    return grown;
}

const char *batch_text(const struct batch *batch, size_t at) {
    return batch->texts.data == NULL ? "" : batch->texts.data + at;
}

size_t batch_keep_text(struct batch *batch, const char *text, size_t length) {
    if (batch->texts.length == 0) {
        buffer_bytes(&batch->texts, "", 1);
    }
    size_t at = batch->texts.length;
    buffer_bytes(&batch->texts, text, length);
    buffer_bytes(&batch->texts, "", 1);
    batch->failed = batch->failed || batch->texts.failed;
    return batch->texts.failed ? 0 : at;
}

struct batch_message *batch_message_add(struct batch *batch) {
    struct batch_message *messages =
        room(batch, batch->messages, batch->message_count, &batch->message_capacity, sizeof *messages);
    if (messages == NULL) {
        return NULL;
    }
    batch->messages = messages;
    struct batch_message *message = &messages[batch->message_count++];
    *message =
        (struct batch_message){.first_row = (uint32_t)batch->row_count, .first_track = (uint32_t)batch->track_count};
    return message;
}

static struct batch_row row_of(const struct batch *batch, struct device *device, const struct record *record,
                               size_t offset) {
    return (struct batch_row){.device = device,
                              .offset = (uint32_t)offset,
                              .observed_at_ms = record->observed_at_ms,
                              .evaluated_ms = device->evaluated_ms,
                              .message = (uint32_t)batch->message_count - 1};
}

/* The first three columns of both tables: device_id and received_at are the writer's to fill in. */
static void row_begin(struct buffer *rows, int16_t columns, const struct record *record) {
    buffer_int16(rows, columns);
    copy_int4(rows, 0);
    copy_time(rows, record->observed_at_ms * COPY_MILLISECOND);
    copy_time(rows, 0);
}

void batch_row_add(struct batch *batch, struct device *device, const struct record *record, const char *attributes,
                   size_t attributes_length) {
    struct batch_row *index = room(batch, batch->row_index, batch->row_count, &batch->row_capacity, sizeof *index);
    if (index == NULL) {
        return;
    }
    batch->row_index = index;
    struct buffer *rows = &batch->rows;
    index[batch->row_count++] = row_of(batch, device, record, rows->length);
    row_begin(rows, 6, record);
    copy_readings(rows, record->present, record->values);
    if (record->quality != 0) {
        copy_int8(rows, (int64_t)record->quality);
    } else {
        copy_null(rows);
    }
    if (attributes_length > 0) {
        /* jsonb's binary form: its version, 1, and the text. */
        buffer_int32(rows, (int32_t)attributes_length + 1);
        buffer_bytes(rows, "\1", 1);
        buffer_bytes(rows, attributes, attributes_length);
    } else {
        copy_null(rows);
    }
    batch->messages[batch->message_count - 1].row_count++;
    batch->failed = batch->failed || rows->failed;
}

void batch_track_add(struct batch *batch, struct device *device, const struct record *record) {
    struct batch_row *index =
        room(batch, batch->track_index, batch->track_count, &batch->track_capacity, sizeof *index);
    if (index == NULL) {
        return;
    }
    batch->track_index = index;
    struct buffer *tracks = &batch->tracks;
    index[batch->track_count] = row_of(batch, device, record, tracks->length);
    index[batch->track_count++].record = batch->row_count == 0 ? 0 : (uint32_t)batch->row_count - 1;
    row_begin(tracks, 5, record);
    if (record->outside) { /* of the two places one is set: the other one is no place of the map's */
        copy_null(tracks);
    }
    copy_point(tracks, record->lon, record->lat);
    if (!record->outside) {
        copy_null(tracks);
    }
    batch->messages[batch->message_count - 1].track_count++;
    batch->failed = batch->failed || tracks->failed;
}

void batch_check_add(struct batch *batch, const struct adapter_check *check, struct device *device,
                     const struct record *record) {
    struct batch_check *checks = room(batch, batch->checks, batch->check_count, &batch->check_capacity, sizeof *checks);
    if (checks == NULL) {
        return;
    }
    batch->checks = checks;
    checks[batch->check_count++] = (struct batch_check){.check = check,
                                                        .device = device,
                                                        .observed_at_ms = record->observed_at_ms,
                                                        .has_position = record->has_position && !record->outside,
                                                        .lon = record->lon,
                                                        .lat = record->lat,
                                                        .message = (uint32_t)batch->message_count - 1};
}

int batch_operation_add(struct batch *batch, const struct alarm_operation *operation) {
    struct alarm_operation *operations =
        room(batch, batch->operations, batch->operation_count, &batch->operation_capacity, sizeof *operations);
    if (operations == NULL) {
        return CH_EMEMORY;
    }
    batch->operations = operations;
    operations[batch->operation_count] = *operation;
    operations[batch->operation_count++].message = (uint32_t)batch->message_count - 1;
    return 0;
}

static int32_t read_int32(const char **at) {
    uint32_t value;
    memcpy(&value, *at, sizeof value);
    *at += sizeof value;
    return (int32_t)be32toh(value);
}

static uint64_t read_int64(const char **at) {
    uint64_t value;
    memcpy(&value, *at, sizeof value);
    *at += sizeof value;
    return be64toh(value);
}

/* The length of a row's first three fields, which all have. */
enum { ROW_HEAD_BYTES = BATCH_ROW_RECEIVED_AT + 8, ARRAY_HEAD_BYTES = 12, POINT_HEAD_BYTES = 9 };

void batch_row_read(const struct batch *batch, const struct batch_row *row, struct record *record) {
    const char *at = batch->rows.data + row->offset + ROW_HEAD_BYTES;
    record->observed_at_ms = row->observed_at_ms;
    record->present = record->quality = 0;
    record->has_position = record->outside = false;
    read_int32(&at); /* the array's length */
    int32_t dimensions = read_int32(&at);
    at += ARRAY_HEAD_BYTES - 4;
    int32_t count = dimensions == 0 ? 0 : read_int32(&at);
    at += dimensions == 0 ? 0 : 4; /* the lower bound */
    for (int32_t i = 0; i < count; i++) {
        if (read_int32(&at) == 8) {
            uint64_t bits = read_int64(&at);
            memcpy(&record->values[i], &bits, sizeof bits);
            record->present |= UINT64_C(1) << i;
        }
    }
    record->quality = read_int32(&at) == 8 ? read_int64(&at) : 0;
}

void batch_track_read(const struct batch *batch, const struct batch_row *row, struct record *record) {
    const char *at = batch->tracks.data + row->offset + ROW_HEAD_BYTES;
    record->observed_at_ms = row->observed_at_ms;
    record->present = record->quality = 0;
    record->has_position = true;
    record->outside = read_int32(&at) < 0; /* no place: the one outside follows */
    at += record->outside ? 4 : 0;
    at += POINT_HEAD_BYTES;
    memcpy(&record->lon, at, sizeof record->lon);
    memcpy(&record->lat, at + sizeof record->lon, sizeof record->lat);
}

struct batch_mark batch_mark(const struct batch *batch) {
    return (struct batch_mark){.messages = batch->message_count,
                               .rows = batch->row_count,
                               .tracks = batch->track_count,
                               .checks = batch->check_count,
                               .operations = batch->operation_count,
                               .documents = batch->document_count,
                               .inventories = batch->inventory_count,
                               .row_bytes = batch->rows.length,
                               .track_bytes = batch->tracks.length,
                               .text_bytes = batch->texts.length,
                               .revisits = batch->revisits,
                               .replays = batch->replays};
}

static void cut(struct buffer *buffer, size_t length) {
    buffer->length = length;
    buffer->failed = false;
}

void batch_cut(struct batch *batch, const struct batch_mark *mark) {
    batch->message_count = mark->messages;
    batch->row_count = mark->rows;
    batch->track_count = mark->tracks;
    batch->check_count = mark->checks;
    batch->operation_count = mark->operations;
    batch->document_count = mark->documents;
    batch->inventory_count = mark->inventories;
    cut(&batch->rows, mark->row_bytes);
    cut(&batch->tracks, mark->track_bytes);
    cut(&batch->texts, mark->text_bytes);
    batch->revisits = mark->revisits;
    batch->replays = mark->replays;
    batch->failed = false;
}

size_t batch_bytes(const struct batch *batch) {
    return batch->rows.length + batch->tracks.length + batch->texts.length +
           batch->message_count * sizeof *batch->messages +
           (batch->row_count + batch->track_count) * sizeof *batch->row_index;
}

/* The list, or NULL if it had grown large and its memory is let go. */
static void *shrunk(void *list, size_t *capacity) {
    if (*capacity <= KEEP_ENTRIES) {
        return list;
    }
    free(list);
    *capacity = 0;
    return NULL;
}

void batch_reset(struct batch *batch) {
    batch->messages = shrunk(batch->messages, &batch->message_capacity);
    batch->row_index = shrunk(batch->row_index, &batch->row_capacity);
    batch->track_index = shrunk(batch->track_index, &batch->track_capacity);
    batch->checks = shrunk(batch->checks, &batch->check_capacity);
    batch->operations = shrunk(batch->operations, &batch->operation_capacity);
    buffer_reset(&batch->rows, KEEP_BYTES);
    buffer_reset(&batch->tracks, KEEP_BYTES);
    buffer_reset(&batch->texts, KEEP_BYTES);
    buffer_reset(&batch->ids, KEEP_BYTES);
    batch->message_count = batch->row_count = batch->track_count = batch->check_count = batch->operation_count = 0;
    batch->document_count = batch->inventory_count = 0;
    batch->revisits = batch->replays = false;
    batch->records = 0;
    batch->failed = false;
}

void batch_free(struct batch *batch) {
    free(batch->messages);
    free(batch->row_index);
    free(batch->track_index);
    free(batch->checks);
    free(batch->operations);
    buffer_free(&batch->rows);
    buffer_free(&batch->tracks);
    buffer_free(&batch->texts);
    buffer_free(&batch->ids);
    *batch = (struct batch){0};
}

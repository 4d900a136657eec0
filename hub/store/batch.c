/* batch.c: a batch's memory. Every growth that fails is remembered in `failed`; must never lose a message silently. */
#include "hub/store/batch.h"

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
    *message = (struct batch_message){.first_row = (uint32_t)batch->row_count,
                                      .first_track = (uint32_t)batch->track_count,
                                      .first_tally = batch->tally_count};
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

/* What batch.rows has of a row, and behind it the readings of `present`, one behind the other, and the attributes. It
 * takes half of what COPY's form does. */
struct row_head {
    uint64_t present, quality;
    uint64_t attributes_length;
};

/* What batch.tracks has of one. */
struct track {
    double lon, lat;
    uint64_t outside; /* the county: not 0 */
};

void batch_row_add(struct batch *batch, struct device *device, const struct record *record, const char *attributes,
                   size_t attributes_length) {
    struct batch_row *index = room(batch, batch->row_index, batch->row_count, &batch->row_capacity, sizeof *index);
    if (index == NULL) {
        return;
    }
    batch->row_index = index;
    struct buffer *rows = &batch->rows;
    const struct row_head head = {
        .present = record->present, .quality = record->quality, .attributes_length = attributes_length};
    index[batch->row_count++] = row_of(batch, device, record, rows->length);
    char *at = buffer_extend(rows, sizeof head + (size_t)__builtin_popcountll(head.present) * sizeof(double));
    if (at != NULL) {
        memcpy(at, &head, sizeof head);
        at += sizeof head;
        for (uint64_t rest = head.present; rest != 0; rest &= rest - 1, at += sizeof(double)) {
            memcpy(at, &record->values[__builtin_ctzll(rest)], sizeof(double));
        }
    }
    buffer_bytes(rows, attributes, attributes_length);
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
    const struct track track = {.lon = record->lon, .lat = record->lat, .outside = record->outside};
    index[batch->track_count] = row_of(batch, device, record, tracks->length);
    index[batch->track_count++].record = batch->row_count == 0 ? 0 : (uint32_t)batch->row_count - 1;
    buffer_bytes(tracks, &track, sizeof track);
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

struct batch_tally *batch_tally_add(struct batch *batch) {
    struct batch_tally *tallies =
        room(batch, batch->tallies, batch->tally_count, &batch->tally_capacity, sizeof *tallies);
    if (tallies == NULL) {
        return NULL;
    }
    batch->tallies = tallies;
    batch->messages[batch->message_count - 1].tally_count++;
    tallies[batch->tally_count] = (struct batch_tally){.count = 0};
    return &tallies[batch->tally_count++];
}

/* Takes off the head of a row's bytes. */
static struct row_head head_of(const struct batch *batch, const struct batch_row *row, const char **rest) {
    struct row_head head;
    memcpy(&head, batch->rows.data + row->offset, sizeof head);
    *rest = batch->rows.data + row->offset + sizeof head;
    return head;
}

static struct track track_of(const struct batch *batch, const struct batch_row *row) {
    struct track track;
    memcpy(&track, batch->tracks.data + row->offset, sizeof track);
    return track;
}

void batch_row_read(const struct batch *batch, const struct batch_row *row, struct record *record) {
    const char *at;
    struct row_head head = head_of(batch, row, &at);
    record->observed_at_ms = row->observed_at_ms;
    record->present = head.present;
    record->quality = head.quality;
    record->has_position = record->outside = false;
    for (uint64_t rest = head.present; rest != 0; rest &= rest - 1, at += sizeof(double)) {
        memcpy(&record->values[__builtin_ctzll(rest)], at, sizeof(double));
    }
}

void batch_track_read(const struct batch *batch, const struct batch_row *row, struct record *record) {
    struct track track = track_of(batch, row);
    record->observed_at_ms = row->observed_at_ms;
    record->present = record->quality = 0;
    record->has_position = true;
    record->outside = track.outside != 0;
    record->lon = track.lon;
    record->lat = track.lat;
}

/* The first three columns of both tables. */
static void copy_begin(const struct batch_row *row, int16_t columns, struct batch_stamp stamp, struct buffer *copy) {
    buffer_int16(copy, columns);
    copy_int4(copy, stamp.device_id);
    copy_time(copy, row->observed_at_ms * COPY_MILLISECOND);
    copy_time(copy, stamp.received_us);
}

void batch_row_copy(const struct batch *batch, const struct batch_row *row, struct batch_stamp stamp,
                    struct buffer *copy) {
    const char *at;
    struct row_head head = head_of(batch, row, &at);
    double values[ADAPTER_METRICS_MAX];
    size_t bytes = (size_t)__builtin_popcountll(head.present) * sizeof values[0];
    memcpy(values, at, bytes); /* after attributes they need not be aligned */
    copy_begin(row, 6, stamp, copy);
    copy_readings(copy, head.present, values);
    if (head.quality != 0) {
        copy_int8(copy, (int64_t)head.quality);
    } else {
        copy_null(copy);
    }
    if (head.attributes_length > 0) {
        /* jsonb's binary form: its version, 1, and the text. */
        buffer_int32(copy, (int32_t)head.attributes_length + 1);
        buffer_bytes(copy, "\1", 1);
        buffer_bytes(copy, at + bytes, head.attributes_length);
    } else {
        copy_null(copy);
    }
}

void batch_track_copy(const struct batch *batch, const struct batch_row *row, struct batch_stamp stamp,
                      struct buffer *copy) {
    struct track track = track_of(batch, row);
    copy_begin(row, 5, stamp, copy);
    if (track.outside != 0) { /* of the two places one is set: the other one is no place of the map's */
        copy_null(copy);
    }
    copy_point(copy, track.lon, track.lat);
    if (track.outside == 0) {
        copy_null(copy);
    }
}

struct batch_mark batch_mark(const struct batch *batch) {
    return (struct batch_mark){.messages = batch->message_count,
                               .rows = batch->row_count,
                               .tracks = batch->track_count,
                               .checks = batch->check_count,
                               .operations = batch->operation_count,
                               .tallies = batch->tally_count,
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
    batch->tally_count = mark->tallies;
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
           batch->message_count * sizeof *batch->messages + batch->tally_count * sizeof *batch->tallies +
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
    batch->tallies = shrunk(batch->tallies, &batch->tally_capacity);
    buffer_reset(&batch->rows, KEEP_BYTES);
    buffer_reset(&batch->tracks, KEEP_BYTES);
    buffer_reset(&batch->texts, KEEP_BYTES);
    buffer_reset(&batch->ids, KEEP_BYTES);
    batch->message_count = batch->row_count = batch->track_count = batch->check_count = batch->operation_count = 0;
    batch->document_count = batch->inventory_count = batch->tally_count = 0;
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
    free(batch->tallies);
    buffer_free(&batch->rows);
    buffer_free(&batch->tracks);
    buffer_free(&batch->texts);
    buffer_free(&batch->ids);
    *batch = (struct batch){0};
}

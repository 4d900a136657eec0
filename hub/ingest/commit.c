/* commit.c: takes a committed batch into memory. Must never tell states of a record that is not stored: what they say
 * is written to the database, and rules pass over what is older. */
#include "hub/ingest/commit.h"

#include "hub/base/log.h"
#include "hub/live/feed.h"
#include "hub/live/point.h"

/* States, which the database gets; the streams and the map, which people see at once. What a point lacks is read from
 * the database later (points_lacking). */
static int note(const struct world *world, struct device *device, const struct record *record, int64_t received_ms) {
    bool back = false;
    feed_record(world->feed, device, record, received_ms);
    if (world->points != NULL) {
        points_seen(world->points, device, record, received_ms, &back);
    }
    if (back) {
        feed_back(world->feed, device, received_ms);
    }
    return states_note(world->states, device, record, received_ms);
}

/* A duplicate is a sign of life, and says nothing new. Rollups count what is new: whose record was changed, or came
 * first at another time, is made anew from the records (onemap.rollup_recompute). */
static int note_rows(const struct world *world, const struct batch *batch, const struct batch_message *message) {
    int code = 0;
    for (size_t i = message->first_row; i < message->first_row + message->row_count; i++) {
        const struct batch_row *row = &batch->row_index[i];
        struct record record;
        batch_row_read(batch, row, &record);
        if (row->fate == FATE_STORED && message->first_received_ms == 0) {
            rollups_note(world->rollups, row->device, &record);
        }
        record.present = row->fate == FATE_DUPLICATE ? 0 : record.present;
        int noted = note(world, row->device, &record, message->received_at_ms);
        code = noted != 0 ? noted : code;
    }
    for (size_t i = message->first_track; i < message->first_track + message->track_count; i++) {
        const struct batch_row *row = &batch->track_index[i];
        struct record record;
        batch_track_read(batch, row, &record);
        int noted = note(world, row->device, &record, message->received_at_ms);
        code = noted != 0 ? noted : code;
    }
    return code;
}

/* Its records were judged and are not there: those that are older than them count again. */
static void forget_rows(const struct batch *batch, const struct batch_message *message) {
    for (size_t i = message->first_row + message->row_count; i > message->first_row; i--) {
        const struct batch_row *row = &batch->row_index[i - 1];
        if (row->device->evaluated_ms == row->observed_at_ms) {
            row->device->evaluated_ms = row->evaluated_ms;
        }
    }
}

bool commit_take(const struct world *world, const struct batch *batch) {
    bool refused = false;
    int code = 0;
    alarms_settled(world->alarms, batch->operations, batch->operation_count);
    for (size_t m = 0; m < batch->message_count; m++) {
        const struct batch_message *message = &batch->messages[m];
        if (message->refused) {
            forget_rows(batch, message);
            refused = true;
        } else {
            int noted = note_rows(world, batch, message);
            code = noted != 0 ? noted : code;
        }
    }
    states_position(world->states, feed_head(world->feed));
    rollups_room(world->rollups, registry_device_count(world->registry));
    rollups_batch(world->rollups, batch->ids.data, batch->ids.failed ? 0 : batch->ids.length);
    code = code != 0 || batch->ids.failed ? -1 : states_batches(world->states, batch->ids.data, batch->ids.length);
    if (code != 0) {
        log_error("out_of_memory", "what=device_state lane=%s", batch->metrics->lane);
    }
    return refused;
}

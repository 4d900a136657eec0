/* transaction.c: a slice of a batch as SQL. Does no I/O; whatever stands in a message goes through COPY or is quoted.
 */
#include "hub/store/transaction.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/base/topic.h"
#include "hub/store/conformity.h"

enum { KEEP_BYTES = 512 * 1024, RECEIPT_BYTES_MAX = 256 * 1024 };

static void rows_free(struct transaction *transaction) {
    for (size_t i = 0; i < COUNT_OF(transaction->rows); i++) {
        free(transaction->rows[i].places);
        transaction->rows[i] = (struct transaction_rows){.batch = NULL};
    }
}

void transaction_reset(struct transaction *transaction) {
    buffer_reset(&transaction->sql, KEEP_BYTES);
    for (size_t i = 0; i < TRANSACTION_COPIES_MAX; i++) {
        buffer_reset(&transaction->data[i], KEEP_BYTES);
    }
    rows_free(transaction);
    transaction->copy_count = 0;
    transaction->outbox = transaction->failed = false;
    transaction->statements = transaction->documents_at = transaction->documents_past = 0;
    transaction->place_fates_at = transaction->fates_at = transaction->devices_at = -1;
    PQclear(transaction->devices);
    transaction->devices = NULL;
}

void transaction_free(struct transaction *transaction) {
    PQclear(transaction->devices);
    transaction->devices = NULL;
    rows_free(transaction);
    buffer_free(&transaction->sql);
    for (size_t i = 0; i < TRANSACTION_COPIES_MAX; i++) {
        buffer_free(&transaction->data[i]);
    }
}

bool transaction_failed(const struct transaction *transaction) {
    bool failed = transaction->failed || transaction->sql.failed;
    for (size_t i = 0; i < TRANSACTION_COPIES_MAX; i++) {
        failed = failed || transaction->data[i].failed;
    }
    return failed;
}

/* [{"id", "subsystem", "vendor", "code"}] of the devices that the database does not know yet; false if there is none.
 */
static bool append_unregistered(struct buffer *out, const struct slice *slice) {
    struct slice_range range = slice_range(slice, SLICE_ROWS);
    uint32_t mark = slice_mark();
    bool any = false;
    struct buffer list = {0};
    for (size_t i = range.begin; i < range.end; i++) {
        struct device *device = range.rows[i].device;
        if (device->registered || device->mark == mark) {
            continue;
        }
        device->mark = mark;
        buffer_format(&list, "%s{\"id\":%d,\"subsystem\":\"%s\",\"vendor\":\"%s\",\"code\":", any ? "," : "[",
                      device->id, device->vendor->adapter->key, vendor_name(device->vendor));
        buffer_json(&list, device->code, device->code_length);
        buffer_text(&list, "}");
        any = true;
    }
    if (any) {
        buffer_text(&list, "]");
        buffer_literal(out, list.data, list.length);
        out->failed = out->failed || list.failed;
    }
    buffer_free(&list);
    return any;
}

void transaction_ask_ids(struct transaction *transaction, const struct slice *slice) {
    struct buffer *sql = &transaction->sql;
    transaction_reset(transaction);
    buffer_text(sql, "SELECT d.id, d.subsystem, d.vendor, d.code FROM pg_catalog.jsonb_to_recordset(");
    if (!append_unregistered(sql, slice)) {
        buffer_text(sql, "'[]'");
    }
    buffer_text(sql, "::jsonb) AS r(subsystem text, vendor text, code text) JOIN onemap.device d ON d.subsystem ="
                     " r.subsystem AND d.vendor = r.vendor AND d.code = r.code");
}

/* ---- statements ---- */

/* Each statement's text ends here, so that its number is known when its answer comes. */
static void statement_end(struct transaction *transaction, const char *text) {
    buffer_text(&transaction->sql, text);
    buffer_text(&transaction->sql, ";\n");
    transaction->statements++;
}

static struct buffer *copy_begin(struct transaction *transaction, const char *sql) {
    statement_end(transaction, sql);
    struct buffer *data = &transaction->data[transaction->copy_count++];
    copy_header(data);
    return data;
}

static void copy_end(struct transaction *transaction, struct buffer *data) {
    copy_trailer(data);
    transaction->copies[transaction->copy_count - 1] =
        (struct postgres_copy){.data = data->data, .length = data->length};
}

static int compare_places(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* The next piece of the rows with what only now is known: ids and the stamp, or the time at which a replayed message
 * came first. */
static bool more_rows(void *user, struct buffer *piece) {
    struct transaction_rows *rows = user;
    const struct batch *batch = rows->batch;
    if (!copy_pieces_next(&rows->pieces, piece)) {
        return false;
    }
    for (; rows->next < rows->count && copy_pieces_room(&rows->pieces, piece); rows->next++) {
        uint64_t place = rows->places[rows->next];
        const struct batch_row *row = &rows->index[(uint32_t)place];
        int64_t first_ms = batch->messages[row->message].first_received_ms;
        struct batch_stamp stamp = {.device_id = (int32_t)(place >> 32),
                                    .received_us = first_ms != 0 ? first_ms * COPY_MILLISECOND : rows->stamp_us};
        (rows->tracks ? batch_track_copy : batch_row_copy)(batch, row, stamp, piece);
    }
    if (rows->next == rows->count) {
        copy_pieces_end(&rows->pieces, piece);
    }
    return true;
}

/* The slice's rows as they came, or by device: the table's key begins with it, and what is neighbour there is found
 * without a new search. */
static void copy_rows(struct transaction *transaction, const struct slice *slice, enum slice_part part, bool by_device,
                      const char *sql) {
    struct slice_range range = slice_range(slice, part);
    struct transaction_rows *rows = &transaction->rows[part];
    size_t count = range.end - range.begin;
    if (count == 0) {
        return;
    }
    uint64_t *places = malloc(count * sizeof *places);
    transaction->failed = transaction->failed || places == NULL;
    for (size_t i = 0; places != NULL && i < count; i++) {
        places[i] = (uint64_t)(uint32_t)range.rows[range.begin + i].device->id << 32 | (range.begin + i);
    }
    if (by_device && places != NULL) {
        qsort(places, count, sizeof *places, compare_places);
    }
    *rows = (struct transaction_rows){.batch = slice->batch,
                                      .index = range.rows,
                                      .places = places,
                                      .count = count,
                                      .stamp_us = slice->stamp_us,
                                      .tracks = part == SLICE_TRACKS};
    copy_pieces_start(&rows->pieces);
    statement_end(transaction, sql);
    transaction->copies[transaction->copy_count++] = (struct postgres_copy){.more = more_rows, .user = rows};
}

static void statement_register(struct transaction *transaction, const struct slice *slice) {
    struct buffer *sql = &transaction->sql;
    size_t before = sql->length;
    buffer_text(sql, "SELECT onemap.device_register(");
    if (append_unregistered(sql, slice)) {
        statement_end(transaction, "::jsonb)");
    } else {
        sql->length = before;
    }
}

static void statement_documents(struct transaction *transaction, const struct slice *slice) {
    struct buffer *sql = &transaction->sql;
    transaction->documents_at = transaction->statements;
    for (size_t m = slice->first; m < slice->last; m++) {
        const struct batch_message *message = &slice->batch->messages[m];
        if (message->document == 0 || message->refused) {
            continue;
        }
        const char *document = batch_text(slice->batch, message->document);
        buffer_format(sql,
                      "SELECT %zu, s.accepted, s.duplicates, s.rejected, s.merged, s.revised, s.bad_fields"
                      " FROM onemap.message_store(",
                      m);
        buffer_literal(sql, document, strlen(document));
        buffer_text(sql, "::jsonb, ");
        buffer_bytea(sql, batch_text(slice->batch, message->payload), message->payload_length);
        statement_end(transaction, ") s");
        transaction->outbox = true;
    }
    transaction->documents_past = transaction->statements;
}

/* Which devices the slice's inventories have changed: they are known to this hub as soon as it is committed, before
 * anybody has a receipt. now() is the transaction's, and updated_at of what it changed. */
static void statement_devices(struct transaction *transaction, const struct slice *slice) {
    bool any = false;
    for (size_t m = slice->first; m < slice->last; m++) {
        any = any || (slice->batch->messages[m].inventory && !slice->batch->messages[m].refused);
    }
    if (any) {
        transaction->devices_at = transaction->statements;
        statement_end(transaction, "SELECT " REGISTRY_DEVICE_COLUMNS(
                                       "NULL") " FROM onemap.device d WHERE d.updated_at = pg_catalog.now()");
    }
}

static void statement_checks(struct transaction *transaction, const struct slice *slice) {
    struct buffer *sql = &transaction->sql;
    const struct batch *batch = slice->batch;
    if (batch->check_count == 0) {
        return;
    }
    /* All of a lane's are of one adapter: one call for each of its checks. */
    const struct adapter *adapter = batch->messages[slice->first].adapter;
    for (size_t c = 0; c < adapter->check_count; c++) {
        struct buffer list = {0};
        for (size_t i = 0; i < batch->check_count; i++) {
            const struct batch_check *check = &batch->checks[i];
            if (check->check != &adapter->checks[c] || check->message < slice->first || check->message >= slice->last ||
                batch->messages[check->message].refused) {
                continue;
            }
            buffer_format(&list, "%s{\"device_id\":%d,\"observed_at_ms\":%lld", list.length > 0 ? "," : "[",
                          check->device->id, (long long)check->observed_at_ms);
            if (check->has_position) {
                buffer_format(&list, ",\"lon\":%.17g,\"lat\":%.17g", check->lon, check->lat);
            }
            buffer_text(&list, "}");
        }
        if (list.length > 0) {
            buffer_text(&list, "]");
            buffer_format(sql, "SELECT onemap.%s(", adapter->checks[c].function);
            buffer_literal(sql, list.data, list.length);
            statement_end(transaction, "::jsonb)");
        }
        sql->failed = sql->failed || list.failed;
        buffer_free(&list);
    }
}

/* Alarm changes go with the message that they come of: what is refused changes nothing. */
static void statement_alarms(struct transaction *transaction, const struct slice *slice) {
    struct buffer *sql = &transaction->sql;
    const struct batch *batch = slice->batch;
    size_t before = sql->length;
    bool any = false;
    buffer_text(sql, "SELECT onemap.alarm_apply('[");
    for (size_t i = 0; i < batch->operation_count; i++) {
        const struct alarm_operation *operation = &batch->operations[i];
        if (operation->message < slice->first || operation->message >= slice->last ||
            batch->messages[operation->message].refused) {
            continue;
        }
        buffer_format(sql, "%s{\"op\":\"%s\",\"device_id\":%d,\"rule_id\":%d,\"at_ms\":%lld,\"value\":%.17g%s}",
                      any ? "," : "", alarm_action_names[operation->action], operation->device->id, operation->rule_id,
                      (long long)operation->at_ms, operation->value,
                      operation->out_of_range ? ",\"out_of_range\":true" : "");
        any = true;
    }
    if (any) {
        statement_end(transaction, "]'::jsonb)");
    } else {
        sql->length = before;
    }
}

static bool needs_quarantine(const struct batch_message *message) {
    return message->refused || (message->problem_count + message->field_count > 0 && message->document == 0);
}

static void copy_quarantine(struct transaction *transaction, const struct slice *slice) {
    const struct batch *batch = slice->batch;
    struct buffer *data = NULL;
    for (size_t m = slice->first; m < slice->last; m++) {
        const struct batch_message *message = &batch->messages[m];
        if (!needs_quarantine(message)) {
            continue;
        }
        if (data == NULL) {
            data = copy_begin(transaction,
                              "COPY pg_temp.quarantine_stage (received_at, subsystem, vendor, kind, topic, payload,"
                              " sha256, bytes, code, reason, problems, record_count) FROM STDIN (FORMAT binary)");
        }
        buffer_int16(data, 12);
        copy_time(data, (message->first_received_ms != 0 ? message->first_received_ms : message->received_at_ms) *
                            COPY_MILLISECOND);
        const char *texts[] = {message->adapter->key, batch_text(batch, message->vendor_name),
                               batch_text(batch, message->kind), batch_text(batch, message->topic)};
        for (size_t i = 0; i < COUNT_OF(texts); i++) {
            copy_bytes(data, texts[i], strlen(texts[i]));
        }
        copy_bytes(data, batch_text(batch, message->payload), message->payload_length);
        copy_bytes(data, message->sha256, sizeof message->sha256);
        copy_int8(data, (int64_t)message->length);
        copy_bytes(data, batch_text(batch, message->code), strlen(batch_text(batch, message->code)));
        copy_bytes(data, batch_text(batch, message->reason), strlen(batch_text(batch, message->reason)));
        buffer_int32(data, (int32_t)message->problems_length + 3);
        buffer_text(data, "\1[");
        buffer_bytes(data, batch_text(batch, message->problems), message->problems_length);
        buffer_text(data, "]");
        copy_int4(data, message->total);
    }
    if (data != NULL) {
        copy_end(transaction, data);
        buffer_format(&transaction->sql, "SELECT onemap.quarantine_settle(%lld)", (long long)batch->quarantine_budget);
        statement_end(transaction, "");
    }
}

/* ---- receipts ---- */

static bool needs_receipt(const struct batch_message *message) {
    return (message->document == 0 || message->refused) &&
           (message->problem_count + message->field_count + message->warning_count > 0 || message->vendor == NULL ||
            message->vendor->receipts_all || message->wants_receipt);
}

static void append_receipt(struct buffer *out, const struct batch *batch, const struct batch_message *message) {
    buffer_text(out, "{\"message\":");
    buffer_json(out, batch_text(batch, message->name), strlen(batch_text(batch, message->name)));
    buffer_text(out, ",\"kind\":");
    buffer_json(out, batch_text(batch, message->kind), strlen(batch_text(batch, message->kind)));
    const uint32_t *fates = message->fates;
    bool refused = message->refused;
    buffer_format(out,
                  ",\"received_at_ms\":%lld,\"records\":%d,\"accepted\":%u,\"duplicates\":%u,\"merged\":%u,"
                  "\"revised\":%u,\"rejected\":%d,\"bad_fields\":%d,\"warned\":%d,\"problems\":[",
                  (long long)message->received_at_ms, message->total, refused ? 0 : fates[FATE_STORED],
                  refused ? 0 : fates[FATE_DUPLICATE], refused ? 0 : fates[FATE_MERGED],
                  refused ? 0 : fates[FATE_REVISED],
                  refused && message->total > 0 ? message->total : message->problem_count,
                  refused ? 0 : message->field_count, message->warning_count);
    buffer_bytes(out, batch_text(batch, message->problems), message->problems_length);
    buffer_text(out, "],\"warnings\":[");
    buffer_bytes(out, batch_text(batch, message->warnings), message->warnings_length);
    buffer_text(out, "]}");
}

static void copy_receipt_row(struct buffer *data, const struct batch *batch, const struct batch_message *message,
                             const struct buffer *receipts) {
    buffer_int16(data, 2);
    const char *vendor = batch_text(batch, message->vendor_name);
    const char *key = message->adapter->key;
    const char *receipt = topic_words[TOPIC_RECEIPT];
    buffer_int32(data, (int32_t)snprintf(NULL, 0, TOPIC_FORMAT, key, vendor, receipt));
    buffer_format(data, TOPIC_FORMAT, key, vendor, receipt);
    static const char head[] = "{\"receipts\":[";
    static const char tail[] = "]}";
    buffer_int32(data, (int32_t)(strlen(head) + receipts->length + strlen(tail)));
    buffer_text(data, head);
    buffer_bytes(data, receipts->data, receipts->length);
    buffer_text(data, tail);
}

/* One outbox row a vendor, or several if it would get large: vendors' messages come in runs. */
static void copy_receipts(struct transaction *transaction, const struct slice *slice) {
    const struct batch *batch = slice->batch;
    struct buffer receipts = {0};
    struct buffer *data = NULL;
    const struct batch_message *run = NULL; /* whose receipts are collected */
    for (size_t m = slice->first; m <= slice->last; m++) {
        const struct batch_message *message = m < slice->last ? &batch->messages[m] : NULL;
        if (message != NULL && !needs_receipt(message)) {
            continue;
        }
        bool same = message != NULL && run != NULL && receipts.length < RECEIPT_BYTES_MAX &&
                    strcmp(batch_text(batch, run->vendor_name), batch_text(batch, message->vendor_name)) == 0;
        if (run != NULL && !same) {
            if (data == NULL) {
                data = copy_begin(transaction, "COPY onemap.outbox (topic, payload) FROM STDIN (FORMAT binary)");
            }
            copy_receipt_row(data, batch, run, &receipts);
            receipts.length = 0;
        }
        if (message != NULL) {
            buffer_text(&receipts, receipts.length > 0 ? "," : "");
            append_receipt(&receipts, batch, message);
        }
        run = message;
    }
    if (data != NULL) {
        data->failed = data->failed || receipts.failed;
        copy_end(transaction, data);
        transaction->outbox = true;
    }
    buffer_free(&receipts);
}

static void append_stamp(struct buffer *sql, const struct slice *slice) {
    buffer_format(sql, "'epoch'::timestamptz + %lld * interval '1 microsecond'", (long long)slice->stamp_us);
}

/* What the broker may deliver again is written down with what is committed, and what it cannot any more goes. */
static void statement_deliveries(struct transaction *transaction, const struct slice *slice) {
    struct buffer *sql = &transaction->sql;
    const struct batch *batch = slice->batch;
    struct buffer packed = {0};
    for (size_t m = slice->first; m < slice->last && batch->lane != NULL; m++) {
        if (batch->messages[m].identifier != 0) {
            buffer_int16(&packed, (int16_t)batch->messages[m].identifier);
            buffer_int64(&packed, (int64_t)batch->messages[m].key);
        }
    }
    if (packed.length > 0) {
        buffer_text(sql, "INSERT INTO onemap.delivery (lane, received_at, messages) VALUES (");
        buffer_literal(sql, batch->lane, strlen(batch->lane));
        buffer_text(sql, ", ");
        append_stamp(sql, slice);
        buffer_text(sql, ", ");
        buffer_bytea(sql, packed.data, packed.length);
        statement_end(transaction, ")");
        if (batch->forget_before_us != INT64_MIN) {
            buffer_text(sql, "DELETE FROM onemap.delivery d WHERE d.lane = ");
            buffer_literal(sql, batch->lane, strlen(batch->lane));
            buffer_format(sql, " AND d.received_at < 'epoch'::timestamptz + %lld * interval '1 microsecond'",
                          (long long)batch->forget_before_us);
            statement_end(transaction, "");
        }
    }
    sql->failed = sql->failed || packed.failed;
    buffer_free(&packed);
}

static void statement_conformity(struct transaction *transaction, const struct slice *slice) {
    if (conformity_append(&transaction->sql, slice)) {
        statement_end(transaction, "");
    }
}

static void statement_log(struct transaction *transaction, const struct slice *slice) {
    struct buffer *sql = &transaction->sql;
    size_t count;
    int64_t *hours = slice_hours(slice, &count);
    sql->failed = sql->failed || hours == NULL;
    buffer_format(sql, "INSERT INTO onemap.batch_log (id, received_at, hours, records) VALUES ('%s', ", slice->id);
    append_stamp(sql, slice);
    buffer_text(sql, ", ARRAY[");
    for (size_t i = 0; hours != NULL && i < count; i++) {
        buffer_format(sql, "%spg_catalog.to_timestamp(%lld)", i > 0 ? "," : "", (long long)hours[i] * 3600);
    }
    free(hours);
    buffer_format(sql, "]::timestamptz[], %zu", slice_rows(slice));
    statement_end(transaction, ")");
    statement_end(transaction, "COMMIT");
}

static void statements_rest(struct transaction *transaction, const struct slice *slice) {
    statement_documents(transaction, slice);
    statement_devices(transaction, slice);
    statement_checks(transaction, slice);
    statement_alarms(transaction, slice);
    copy_quarantine(transaction, slice);
    copy_receipts(transaction, slice);
    statement_deliveries(transaction, slice);
    statement_conformity(transaction, slice);
    statement_log(transaction, slice);
}

#define OBSERVATION_COLUMNS "(device_id, observed_at, received_at, readings, quality, attributes)"
#define TRACK_COLUMNS "(device_id, observed_at, received_at, geom, geom_outside)"
#define FATE_ROWS " CROSS JOIN LATERAL pg_catalog.unnest(l.row_nos) r(row_no)"

void transaction_store(struct transaction *transaction, const struct slice *slice) {
    transaction_reset(transaction);
    slice_reset_fates(slice);
    statement_end(transaction, "BEGIN");
    statement_register(transaction, slice);
    copy_rows(transaction, slice, SLICE_ROWS, true,
              "COPY onemap.observation_raw " OBSERVATION_COLUMNS " FROM STDIN (FORMAT binary)");
    copy_rows(transaction, slice, SLICE_TRACKS, true,
              "COPY onemap.track_point_raw " TRACK_COLUMNS " FROM STDIN (FORMAT binary)");
    statements_rest(transaction, slice);
}

void transaction_settle(struct transaction *transaction, const struct slice *slice) {
    transaction_reset(transaction);
    statement_end(transaction, "BEGIN");
    statement_register(transaction, slice);
    statement_end(transaction, "TRUNCATE pg_temp.observation_stage, pg_temp.track_point_stage RESTART IDENTITY");
    copy_rows(transaction, slice, SLICE_ROWS, false,
              "COPY pg_temp.observation_stage " OBSERVATION_COLUMNS " FROM STDIN (FORMAT binary)");
    copy_rows(transaction, slice, SLICE_TRACKS, false,
              "COPY pg_temp.track_point_stage " TRACK_COLUMNS " FROM STDIN (FORMAT binary)");
    if (slice_tracks(slice) > 0) {
        transaction->place_fates_at = transaction->statements;
        buffer_text(&transaction->sql, "SELECT l.fate, r.row_no FROM onemap.track_point_settle(");
        append_stamp(&transaction->sql, slice);
        buffer_format(&transaction->sql,
                      ") s CROSS JOIN LATERAL (VALUES (%d, s.added), (%d, s.revised)) l(fate, row_nos)" FATE_ROWS,
                      FATE_MERGED, FATE_REVISED);
        statement_end(transaction, "");
    }
    transaction->fates_at = transaction->statements;
    buffer_text(&transaction->sql, "SELECT l.fate, r.row_no FROM onemap.observation_settle(");
    append_stamp(&transaction->sql, slice);
    buffer_format(&transaction->sql,
                  ") s CROSS JOIN LATERAL (VALUES (%d, s.duplicates), (%d, s.merged), (%d, s.revised))"
                  " l(fate, row_nos)" FATE_ROWS,
                  FATE_DUPLICATE, FATE_MERGED, FATE_REVISED);
    statement_end(transaction, "");
}

void transaction_finish(struct transaction *transaction, const struct slice *slice) {
    transaction_reset(transaction);
    statements_rest(transaction, slice);
}

void transaction_verify(struct transaction *transaction, const struct slice *slice) {
    transaction_reset(transaction);
    buffer_format(&transaction->sql, "SELECT 1 FROM onemap.batch_log b WHERE b.id = '%s'", slice->id);
    statement_end(transaction, "");
    transaction->devices_at = transaction->statements;
    buffer_format(&transaction->sql,
                  "SELECT " REGISTRY_DEVICE_COLUMNS("NULL") " FROM onemap.batch_log b JOIN onemap.device d"
                                                            " ON d.updated_at = b.committed_at WHERE b.id = '%s'",
                  slice->id);
    statement_end(transaction, "");
}

void transaction_take(struct transaction *transaction, const struct slice *slice, int statement,
                      const PGresult *result) {
    if (statement == transaction->place_fates_at) {
        slice_take_place_fates(slice, result);
    } else if (statement == transaction->fates_at) {
        slice_take_fates(slice, result);
    } else if (statement == transaction->devices_at) {
        PQclear(transaction->devices);
        transaction->devices = PQcopyResult(result, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
    } else if (statement >= transaction->documents_at && statement < transaction->documents_past) {
        slice_take_document(slice, result);
    }
}

/* conformity.c: a slice's messages added up by vendor and quarter of an hour, in which no county's day ends. Must count
 * what the slice commits, and nothing else: a vendor is judged by it. */
#include "hub/store/conformity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/count.h"

enum { SPAN_MS = 900000, LATE_MS = 3600000 };

enum count {
    COUNT_MESSAGES,
    COUNT_REPLAYED,
    COUNT_RECORDS,
    COUNT_DUPLICATES,
    COUNT_MERGED,
    COUNT_REVISED,
    COUNT_REFUSED,
    COUNT_UNJUDGED,
    COUNT_FLAWED,
    COUNT_LATE,
    COUNT_UNLISTED,
    COUNTS,
};
#define COUNT_COLUMNS                                                                                                  \
    "messages, replayed, records, duplicates, merged, revised, refused, unjudged, flawed, late, unlisted"

/* A kind of finding in all of a vendor's messages, with the last of its examples and the message that it is of. */
struct found {
    struct batch_tally tally;
    const struct batch_message *message;
};

/* What one vendor sent in one quarter of an hour. */
struct sum {
    const struct vendor *vendor;
    int64_t span;
    int64_t counts[COUNTS];
    struct found *list;
    size_t found_count;
    bool failed;
};

struct sums {
    struct sum *list;
    size_t count;
    bool failed;
};

static const char *const fates[] = {[TALLY_REFUSED] = "refused", [TALLY_FIELD] = "field", [TALLY_WARNING] = "warning"};

static void append_text(struct buffer *out, const char *key, const char *text) {
    buffer_format(out, ",\"%s\":", key);
    buffer_json(out, text, strlen(text));
}

static void append_example(struct buffer *out, const struct batch *batch, const struct batch_message *message,
                           const struct batch_tally *tally) {
    buffer_format(out, ",\"example\":{\"index\":%d,\"received_at_ms\":%lld", tally->index,
                  (long long)message->received_at_ms);
    append_text(out, "kind", batch_text(batch, message->kind));
    append_text(out, "message", batch_text(batch, message->name));
    append_text(out, "reason", batch_text(batch, tally->reason));
    if (tally->device != 0) {
        append_text(out, "device", batch_text(batch, tally->device));
        buffer_format(out, ",\"observed_at_ms\":%lld", (long long)tally->observed_at_ms);
    }
    if (isfinite(tally->value)) {
        buffer_format(out, ",\"value\":%.17g", tally->value);
    }
    buffer_text(out, "}");
}

static void append_finding(struct buffer *out, const struct batch *batch, const struct batch_message *message,
                           const struct batch_tally *tally) {
    buffer_format(out, "%s{\"fate\":\"%s\",\"code\":\"%s\",\"n\":%u", out->length > 0 ? "," : "", fates[tally->kind],
                  tally->code, tally->count);
    if (tally->field != NULL) {
        append_text(out, "field", tally->field);
    }
    if (tally->reason != 0) {
        append_example(out, batch, message, tally);
    }
    buffer_text(out, "}");
}

void conformity_findings(struct buffer *out, const struct batch *batch, const struct batch_message *message) {
    for (size_t i = 0; i < message->tally_count; i++) {
        append_finding(out, batch, message, &batch->tallies[message->first_tally + i]);
    }
}

/* Messages of a vendor come in runs. */
static struct sum *sum_of(struct sums *sums, const struct batch_message *message) {
    int64_t span = message->received_at_ms / SPAN_MS;
    for (size_t i = sums->count; i > 0; i--) {
        if (sums->list[i - 1].vendor == message->vendor && sums->list[i - 1].span == span) {
            return &sums->list[i - 1];
        }
    }
    struct sum *list = realloc(sums->list, (sums->count + 1) * sizeof *list);
    if (list == NULL) {
        sums->failed = true;
        return NULL;
    }
    sums->list = list;
    list[sums->count] = (struct sum){.vendor = message->vendor, .span = span};
    return &list[sums->count++];
}

/* What is told twice the database adds up. */
static void add_found(struct sum *sum, const struct batch_message *message, const struct batch_tally *tally) {
    for (size_t i = sum->found_count; i > 0; i--) {
        struct found *found = &sum->list[i - 1];
        if (batch_tally_is(&found->tally, tally->kind, tally->code, tally->field)) {
            uint32_t count = found->tally.count + tally->count;
            if (tally->reason != 0) {
                *found = (struct found){.tally = *tally, .message = message};
            }
            found->tally.count = count;
            return;
        }
    }
    struct found *list = realloc(sum->list, (sum->found_count + 1) * sizeof *list);
    if (list == NULL) {
        sum->failed = true;
        return;
    }
    sum->list = list;
    list[sum->found_count++] = (struct found){.tally = *tally, .message = message};
}

/* The message is kept in quarantine alone; what the database could not do is not its vendor's. */
static void add_refused(struct sum *sum, const struct batch *batch, const struct batch_message *message) {
    int64_t records = message->total > 0 ? message->total : 1;
    const char *code = batch_text(batch, message->code);
    sum->counts[COUNT_RECORDS] += records;
    sum->counts[COUNT_REFUSED] += records;
    sum->counts[COUNT_UNJUDGED] += records;
    add_found(sum, message,
              &(struct batch_tally){.code = code,
                                    .reason = message->reason,
                                    .value = NAN,
                                    .index = -1,
                                    .count = (uint32_t)records,
                                    .kind = TALLY_REFUSED});
}

static void add_rows(struct sum *sum, const struct batch *batch, const struct batch_message *message) {
    for (size_t i = 0; i < message->row_count; i++) {
        const struct batch_row *row = &batch->row_index[message->first_row + i];
        sum->counts[COUNT_LATE] += message->received_at_ms - row->observed_at_ms > LATE_MS;
        sum->counts[COUNT_UNLISTED] += row->device->kind < 0;
    }
}

static void add_stored(struct sum *sum, const struct batch *batch, const struct batch_message *message) {
    int64_t stored = 0;
    for (size_t i = 0; i < COUNT_OF(message->fates); i++) {
        stored += message->fates[i];
    }
    int64_t refused =
        message->total - stored > message->problem_count ? message->total - stored : message->problem_count;
    sum->counts[COUNT_RECORDS] += stored + refused;
    sum->counts[COUNT_DUPLICATES] += message->fates[FATE_DUPLICATE];
    sum->counts[COUNT_MERGED] += message->fates[FATE_MERGED];
    sum->counts[COUNT_REVISED] += message->fates[FATE_REVISED];
    sum->counts[COUNT_REFUSED] += refused;
    sum->counts[COUNT_FLAWED] += message->flawed_count;
    add_rows(sum, batch, message);
    for (size_t i = 0; i < message->tally_count; i++) {
        add_found(sum, message, &batch->tallies[message->first_tally + i]);
    }
}

/* A replay is the county's doing; but anybody may say that a message is one, so they are counted. */
static void add_message(struct sums *sums, const struct batch *batch, const struct batch_message *message) {
    struct sum *sum = sum_of(sums, message);
    if (sum == NULL) {
        return;
    }
    if (message->first_received_ms != 0) {
        sum->counts[COUNT_REPLAYED]++;
        return;
    }
    sum->counts[COUNT_MESSAGES]++;
    if (message->refused) {
        add_refused(sum, batch, message);
    } else {
        add_stored(sum, batch, message);
    }
}

static void append_sum(struct buffer *sql, const struct batch *batch, const struct sum *sum) {
    buffer_format(sql, "(pg_catalog.to_timestamp(%lld), ", (long long)sum->span * (SPAN_MS / 1000));
    const char *const names[] = {sum->vendor->adapter->key, vendor_name(sum->vendor)};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        buffer_literal(sql, names[i], strlen(names[i]));
        buffer_text(sql, ", ");
    }
    for (size_t i = 0; i < COUNTS; i++) {
        buffer_format(sql, "%lld, ", (long long)sum->counts[i]);
    }
    struct buffer findings = {0};
    for (size_t i = 0; i < sum->found_count; i++) {
        append_finding(&findings, batch, sum->list[i].message, &sum->list[i].tally);
    }
    if (findings.length > 0) {
        buffer_text(sql, "('[' || ");
        buffer_literal(sql, findings.data, findings.length);
        buffer_text(sql, " || ']')::jsonb)");
    } else {
        buffer_text(sql, "NULL)");
    }
    sql->failed = sql->failed || findings.failed || sum->failed;
    buffer_free(&findings);
}

bool conformity_append(struct buffer *sql, const struct slice *slice) {
    struct sums sums = {0};
    for (size_t m = slice->first; m < slice->last; m++) {
        const struct batch_message *message = &slice->batch->messages[m];
        if (message->vendor != NULL && (message->document == 0 || message->refused)) {
            add_message(&sums, slice->batch, message);
        }
    }
    for (size_t i = 0; i < sums.count; i++) {
        buffer_text(sql, i > 0 ? ", "
                               : "INSERT INTO onemap.vendor_intake (received_at, subsystem, vendor, " COUNT_COLUMNS
                                 ", findings) VALUES ");
        append_sum(sql, slice->batch, &sums.list[i]);
        free(sums.list[i].list);
    }
    sql->failed = sql->failed || sums.failed;
    free(sums.list);
    return sums.count > 0;
}

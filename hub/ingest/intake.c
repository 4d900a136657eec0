/* intake.c: one message into a lane's batch. Does no I/O; must never drop a message or a record without a reason kept.
 */
#include "hub/ingest/intake.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/text.h"
#include "hub/base/topic.h"
#include "hub/ingest/elsewhere.h"
#include "hub/ingest/findings.h"
#include "hub/store/conformity.h"

enum {
    NAME_MAX_BYTES = 128,
    UNREAD_KEPT_BYTES = 65536, /* of a message that is refused unread */
    DAY_MS = 86400000,
    DAYS_LATE = 7, /* of what comes late all the same, as after an outage, days need no leave */
};

struct intake {
    struct world world;
    const struct adapter *adapter;
    struct decoder *decoder;
    EVP_MD *sha256; /* fetched once: OpenSSL looks long for it */
    EVP_MD_CTX *digest;
    uint64_t check_bits[8]; /* of the adapter's checks: the state's bit */
    struct buffer attributes, records, fields;
    struct findings findings;
    /* of the message at hand */
    struct batch *batch;
    struct vendor *vendor;
    int64_t newest_ms;    /* no record is later */
    int64_t today;        /* the day on which it came */
    bool new_to_registry; /* a record of a document names a device that is not known, or not so */
};

struct intake *intake_new(const struct world *world, const struct adapter *adapter) {
    struct intake *intake = calloc(1, sizeof *intake);
    if (intake == NULL) {
        return NULL;
    }
    intake->decoder = decoder_new();
    intake->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    intake->digest = EVP_MD_CTX_new();
    if (intake->decoder == NULL || intake->sha256 == NULL || intake->digest == NULL) {
        intake_free(intake);
        return NULL;
    }
    intake->world = *world;
    intake->adapter = adapter;
    intake->findings.adapter = adapter;
    for (size_t i = 0; i < adapter->check_count && i < COUNT_OF(intake->check_bits); i++) {
        const struct metric *metric = adapter_metric(adapter, adapter->checks[i].metric);
        intake->check_bits[i] = metric == NULL ? 0 : UINT64_C(1) << (metric->ordinal - 1);
    }
    return intake;
}

void intake_free(struct intake *intake) {
    if (intake != NULL) {
        decoder_free(intake->decoder);
        EVP_MD_free(intake->sha256);
        EVP_MD_CTX_free(intake->digest);
        buffer_free(&intake->attributes);
        findings_free(&intake->findings);
        buffer_free(&intake->records);
        buffer_free(&intake->fields);
        free(intake);
    }
}

static struct batch_message *current(const struct intake *intake) {
    return &intake->batch->messages[intake->batch->message_count - 1];
}

static void note_problem(void *user, int index, const char *code, const char *reason) {
    findings_problem(&((struct intake *)user)->findings, index, code, reason);
}

static void note_warning(void *user, int index, const char *code, const char *field, const char *reason) {
    findings_warning(&((struct intake *)user)->findings, index, code, field, reason);
}

/* Whether the record is of another subsystem: reported. */
static bool is_elsewhere(struct intake *intake, const struct record *record, const struct device *device) {
    struct elsewhere here = {.registry = intake->world.registry,
                             .decoder = intake->decoder,
                             .adapter = intake->adapter,
                             .vendor = intake->vendor};
    char reason[DECODE_REASON_MAX];
    bool elsewhere = elsewhere_judge(&here, record, device, reason);
    if (elsewhere) {
        note_problem(intake, record->index, "wrong_topic", reason);
    }
    return elsewhere;
}

/* The record's texts as a JSON object. */
static void build_attributes(struct intake *intake, const struct record *record) {
    struct buffer *out = &intake->attributes;
    out->length = 0;
    for (uint64_t rest = record->text_present; rest != 0; rest &= rest - 1) {
        int i = __builtin_ctzll(rest);
        buffer_text(out, out->length == 0 ? "{" : ",");
        buffer_json(out, intake->adapter->metrics[i].key, strlen(intake->adapter->metrics[i].key));
        buffer_text(out, ":");
        buffer_json(out, record->texts[i], strlen(record->texts[i]));
    }
    if (out->length > 0) {
        buffer_text(out, "}");
    }
}

static int note_operation(void *user, const struct alarm_operation *operation) {
    struct intake *intake = user;
    return batch_operation_add(intake->batch, operation);
}

/* Whether the record's day has partitions, or may have: each costs the database tables and locks, for as long as data
 * are kept. False: refused and reported. */
static bool day_fits(struct intake *intake, const struct record *record) {
    struct vendor *vendor = intake->vendor;
    struct days *days = intake->world.days;
    int64_t most = intake->world.config->lane_new_days;
    int64_t day = days_of(record->observed_at_ms);
    if (days_has(days, day)) {
        return true;
    }
    if (vendor->days_on != intake->today) {
        vendor->days_on = intake->today;
        vendor->days_made = 0;
    }
    bool late = day >= intake->today - DAYS_LATE;
    if (!late && vendor->days_made >= most) {
        char reason[DECODE_REASON_MAX];
        snprintf(
            reason, sizeof reason,
            "observed_at_ms: there are no data of this day, and this vendor has begun %lld such days today (UTC), as many"
            " as it may: send what is older day after day, or ask the county for more ([lane] new_days)",
            (long long)most);
        note_problem(intake, record->index, "too_many_new_days", reason);
        return false;
    }
    vendor->days_made += !late;
    days_mark(days, day);
    return true;
}

/* The record's device, added if it is new and may be; NULL: refused and reported, or memory is out. A record that is
 * refused for its device takes no day, and one that is refused for its day adds no device. */
static struct device *device_of(struct intake *intake, const struct record *record) {
    struct device *device = vendor_device(intake->vendor, record->device_code, record->device_code_length);
    if (is_elsewhere(intake, record, device)) {
        return NULL;
    }
    if (device != NULL) {
        return day_fits(intake, record) ? device : NULL;
    }
    if (intake->vendor->quarantine_unknown) {
        char shown[DECODE_SHOWN_MAX];
        char reason[DECODE_REASON_MAX];
        snprintf(reason, sizeof reason,
                 "device_code: %s is in no inventory of this vendor, and its unknown devices are not registered",
                 text_show(shown, record->device_code, record->device_code_length));
        note_problem(intake, record->index, "unknown_device", reason);
        return NULL;
    }
    size_t most = (size_t)intake->world.config->lane_unknown_devices;
    if (intake->vendor->unknown_count >= most) {
        char reason[DECODE_REASON_MAX];
        snprintf(reason, sizeof reason,
                 "device_code: %zu devices of this vendor are in no inventory, and no more are registered: send the"
                 " inventory first",
                 most);
        note_problem(intake, record->index, "too_many_unknown_devices", reason);
        return NULL;
    }
    if (!day_fits(intake, record)) {
        return NULL;
    }
    device = vendor_device_add(intake->vendor, record->device_code, record->device_code_length);
    intake->batch->failed = intake->batch->failed || device == NULL;
    return device;
}

static void store_record(struct intake *intake, struct record *record) {
    struct batch *batch = intake->batch;
    struct device *device = batch->failed ? NULL : device_of(intake, record);
    if (device == NULL) {
        return;
    }
    struct findings *findings = &intake->findings;
    findings_flaws(findings, &findings->problems, record->index, record->flaws, record->flaw_count);
    findings_readings(findings, intake->world.plausible, intake->vendor, record);
    if (device->evaluated_ms > intake->newest_ms) {
        device->evaluated_ms = INT64_MIN; /* judged by a clock that was ahead: that was no record's time */
    }
    batch->revisits = batch->revisits || record->observed_at_ms <= device->evaluated_ms;
    build_attributes(intake, record);
    batch_row_add(batch, device, record, intake->attributes.data, intake->attributes.length);
    if (record->has_position && (record->outside || device->kind < 0 || intake->adapter->kinds[device->kind].mobile)) {
        batch_track_add(batch, device, record);
    }
    for (size_t i = 0; i < intake->adapter->check_count; i++) {
        uint64_t bit = intake->check_bits[i];
        if ((record->present & bit) != 0 && record->values[__builtin_ctzll(bit)] != 0) {
            batch_check_add(batch, &intake->adapter->checks[i], device, record);
        }
    }
    /* Last: what alarms have learnt of a record, its row must be there for. States hear of it once it is committed. */
    if (!batch->failed) {
        batch->failed = alarms_judge(intake->world.alarms, device, record, note_operation, intake) != 0;
    }
}

static void take_record(void *user, struct record *record) {
    struct intake *intake = user;
    store_record(intake, record);
    findings_of(&intake->findings, record->index, record->device_code, record->device_code_length,
                record->observed_at_ms);
}

/* Whether an inventory's record tells of a device something by which its telemetry is judged. Most are sent again and
 * again, and do not. */
static bool changes_registry(const struct intake *intake, const cJSON *object) {
    const char *code = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "device_code"));
    const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "kind"));
    const struct device *device = code == NULL ? NULL : vendor_device(intake->vendor, code, strlen(code));
    return device == NULL || kind == NULL || adapter_kind(intake->adapter, kind) != device->kind;
}

/* What the record is about, by the name that its kind has for it, and when. */
static void tell_subject(const struct intake *intake, const struct document *document) {
    static const char *const names[] = {"work_code", "case_code", "code", "device_code"};
    static const char *const times[] = {"observed_at_ms", "occurred_at_ms", "began_at_ms"};
    const char *code = NULL;
    const cJSON *at = NULL;
    if (current(intake)->tally_count == 0) {
        return;
    }
    for (size_t i = 0; code == NULL && i < COUNT_OF(names); i++) {
        code = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(document->object, names[i]));
    }
    for (size_t i = 0; at == NULL && i < COUNT_OF(times); i++) {
        at = cJSON_GetObjectItemCaseSensitive(document->object, times[i]);
    }
    findings_of(&intake->findings, document->index, code == NULL ? "" : code, code == NULL ? 0 : strlen(code),
                at == NULL ? 0 : (int64_t)at->valuedouble);
}

static void take_document(void *user, const struct document *document) {
    struct intake *intake = user;
    intake->new_to_registry = intake->new_to_registry || changes_registry(intake, document->object);
    findings_interval(&intake->findings, document, intake->newest_ms);
    char *text = cJSON_PrintUnformatted(document->object);
    if (text == NULL) {
        intake->batch->failed = true;
        return;
    }
    struct buffer *records = &intake->records;
    buffer_format(records, "%s{\"index\":%d,\"record\":", records->length > 0 ? "," : "", document->index);
    buffer_text(records, text);
    free(text);
    if (document->flaw_count > 0) {
        intake->fields.length = 0;
        findings_flaws(&intake->findings, &intake->fields, document->index, document->flaws, document->flaw_count);
        buffer_text(records, ",\"fields\":[");
        buffer_bytes(records, intake->fields.data, intake->fields.length);
        buffer_format(records, "],\"bad_fields\":%u", document->flaw_count); /* of which not all may be listed */
    }
    tell_subject(intake, document);
    buffer_text(records, findings_any(&intake->findings, document->index) ? ",\"found\":true}" : "}");
}

/* FNV-1a, of what is hashed beside the content. */
static uint64_t hash_more(uint64_t hash, const void *bytes, size_t length) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    }
    return (hash ^ length) * UINT64_C(0x100000001b3);
}

int intake_digest(struct intake *intake, struct intake_message *message) {
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    if (EVP_DigestInit_ex2(intake->digest, intake->sha256, NULL) != 1 ||
        EVP_DigestUpdate(intake->digest, message->payload == NULL ? "" : message->payload, message->length) != 1 ||
        EVP_DigestFinal_ex(intake->digest, digest, NULL) != 1) {
        return CH_EMEMORY; /* nothing but memory can fail there */
    }
    memcpy(message->sha256, digest, sizeof message->sha256);
    uint64_t key;
    memcpy(&key, digest, sizeof key);
    key = hash_more(key, message->topic, strlen(message->topic));
    message->key = hash_more(key, message->name == NULL ? "" : message->name, message->name_length);
    return 0;
}

/* The name by which the vendor finds the message in its receipts. */
static size_t keep_name(const struct intake *intake, const struct intake_message *message) {
    struct batch *batch = intake->batch;
    if (message->name != NULL && message->name_length >= 1 && message->name_length <= NAME_MAX_BYTES &&
        text_flaw(message->name, message->name_length, false) == NULL) {
        return batch_keep_text(batch, message->name, message->name_length);
    }
    static const char digits[] = "0123456789abcdef";
    char text[] = "sha256:0123456789abcdef";
    for (size_t i = 0, at = strlen("sha256:"); i < 8; i++) {
        text[at++] = digits[message->sha256[i] >> 4];
        text[at++] = digits[message->sha256[i] & 15];
    }
    return batch_keep_text(batch, text, strlen(text));
}

static size_t keep_shown(struct batch *batch, const char *text, size_t length) {
    char shown[DECODE_SHOWN_MAX];
    if (text_flaw(text, length, false) == NULL) {
        return batch_keep_text(batch, text, length);
    }
    text_show(shown, text, length);
    return batch_keep_text(batch, shown, strlen(shown));
}

static bool is_read(const struct intake *intake, const struct intake_message *message) {
    return intake->vendor != NULL && !intake->vendor->revoked &&
           message->length <= (size_t)intake->world.config->lane_max_payload_bytes;
}

static void message_begin(struct intake *intake, const struct intake_message *message, const struct topic *levels) {
    struct batch *batch = intake->batch;
    size_t topic = keep_shown(batch, message->topic, strlen(message->topic));
    size_t vendor = keep_shown(batch, levels->vendor.text, levels->vendor.length);
    size_t kind = keep_shown(batch, levels->kind.text, levels->kind.length);
    size_t name = keep_name(intake, message);
    intake->vendor = registry_vendor(intake->world.registry, intake->adapter->key, batch_text(batch, vendor));
    size_t kept = message->length;
    if (kept > UNREAD_KEPT_BYTES && !is_read(intake, message)) {
        kept = UNREAD_KEPT_BYTES; /* with length and SHA-256 of all: nobody fills memory or disk with what he may not
                                     send */
    }
    size_t payload = batch_keep_text(batch, message->payload, kept);
    struct batch_message *entry = batch_message_add(batch);
    if (entry == NULL) {
        return;
    }
    findings_begin(&intake->findings, batch);
    intake->new_to_registry = false;
    struct buffer *const buffers[] = {&intake->attributes, &intake->records, &intake->fields};
    for (size_t i = 0; i < COUNT_OF(buffers); i++) {
        buffer_reset(buffers[i], SIZE_MAX);
    }
    entry->adapter = intake->adapter;
    entry->vendor = intake->vendor;
    entry->topic = topic;
    entry->vendor_name = vendor;
    entry->kind = kind;
    entry->name = name;
    entry->payload = payload;
    entry->payload_length = kept;
    entry->length = message->length;
    memcpy(entry->sha256, message->sha256, sizeof entry->sha256);
    entry->key = message->key;
    entry->identifier = message->identifier;
    entry->wants_receipt = message->wants_receipt;
    entry->received_at_ms = message->received_at_ms;
    /* Whoever says so can only make what he sends older than it is. */
    bool replayed = message->first_received_ms > 0 && message->first_received_ms < message->received_at_ms;
    entry->first_received_ms = replayed ? message->first_received_ms : 0;
    batch->replays = batch->replays || replayed;
}

/* What a broker sends when a retained message is deleted: nothing to store, and nothing wrong. */
static bool is_empty(struct intake *intake, const struct intake_message *message) {
    if (message->length == 0) {
        note_warning(intake, -1, "empty_message", NULL,
                     "the message is empty: nothing was stored; retained messages are not wanted");
    }
    return message->length == 0;
}

/* What keeps a message from being decoded at all; false = nothing. */
static bool refuse(struct intake *intake, const struct intake_message *message) {
    char reason[DECODE_REASON_MAX], shown[DECODE_SHOWN_MAX];
    const char *vendor = batch_text(intake->batch, current(intake)->vendor_name);
    const char *name = text_show(shown, vendor, strlen(vendor));
    size_t largest = (size_t)intake->world.config->lane_max_payload_bytes;
    if (is_read(intake, message)) {
        return false;
    }
    if (intake->vendor == NULL) {
        snprintf(reason, sizeof reason, "subsystem %s has no vendor %s: `cityhub vendor add` makes one",
                 intake->adapter->key, name);
        note_problem(intake, -1, "unknown_vendor", reason);
    } else if (intake->vendor->revoked) {
        snprintf(reason, sizeof reason, "the right of %s to push %s has ended", name, intake->adapter->key);
        note_problem(intake, -1, "revoked_vendor", reason);
    } else {
        snprintf(reason, sizeof reason,
                 "the message has %zu bytes, more than the %zu that are taken: send smaller batches", message->length,
                 largest);
        note_problem(intake, -1, "too_large", reason);
    }
    return true;
}

static int decode(struct intake *intake, const struct intake_message *message) {
    const struct config *config = intake->world.config;
    struct decode_limits limits = {
        .oldest_ms = message->received_at_ms - config->retention_observation_days * DAY_MS,
        .newest_ms = message->received_at_ms + config->time_max_ahead_s * 1000,
        .extent = plausible_extent(intake->world.plausible),
        .subsystem = intake->adapter->key,
    };
    intake->newest_ms = limits.newest_ms;
    intake->today = days_of(message->received_at_ms);
    enum topic_kind kind = topic_kind(batch_text(intake->batch, current(intake)->kind));
    if (kind == TOPIC_TELEMETRY) {
        struct decode_sink sink = {
            .record = take_record, .problem = note_problem, .warning = note_warning, .user = intake};
        return decode_telemetry(intake->decoder, intake->adapter, &limits, message->payload, message->length, &sink);
    }
    struct document_sink sink = {
        .document = take_document, .problem = note_problem, .warning = note_warning, .user = intake};
    int total = decode_document(intake->decoder, kind, &limits, message->payload, message->length, &sink);
    if (total == CH_ENOTFOUND) {
        note_problem(intake, -1, "unknown_kind", "the topic's last level must be " TOPIC_WORDS_IN);
        return 0;
    }
    return total;
}

/* message_store's argument, for the kinds that are documents. */
static size_t keep_document(struct intake *intake) {
    struct batch *batch = intake->batch;
    const struct batch_message *entry = current(intake);
    const struct findings *findings = &intake->findings;
    struct buffer out = {0};
    const char *texts[] = {"vendor", batch_text(batch, entry->vendor_name), "kind",    batch_text(batch, entry->kind),
                           "topic",  batch_text(batch, entry->topic),       "message", batch_text(batch, entry->name)};
    buffer_format(&out, "{\"subsystem\":\"%s\"", intake->adapter->key);
    for (size_t i = 0; i < COUNT_OF(texts); i += 2) {
        buffer_format(&out, ",\"%s\":", texts[i]);
        buffer_json(&out, texts[i + 1], strlen(texts[i + 1]));
    }
    if (entry->wants_receipt) {
        buffer_text(&out, ",\"receipt\":true");
    }
    if (entry->first_received_ms != 0) {
        buffer_format(&out, ",\"first_received_ms\":%lld", (long long)entry->first_received_ms);
    }
    buffer_format(&out,
                  ",\"received_at_ms\":%lld,\"ahead_s\":%lld,\"quarantine_budget\":%lld,\"total\":%d,\"records\":[",
                  (long long)entry->received_at_ms, (long long)intake->world.config->time_max_ahead_s,
                  (long long)batch->quarantine_budget, entry->total);
    buffer_bytes(&out, intake->records.data, intake->records.length);
    buffer_text(&out, "],\"problems\":[");
    buffer_bytes(&out, findings->problems.data, findings->problems.length);
    buffer_text(&out, "],\"warnings\":[");
    buffer_bytes(&out, findings->warnings.data, findings->warnings.length);
    buffer_format(&out, "],\"warned\":%d,\"findings\":[", findings->warning_count);
    struct buffer found = {0};
    conformity_findings(&found, batch, entry);
    buffer_bytes(&out, found.data, found.length);
    buffer_text(&out, "]}");
    out.failed = out.failed || found.failed;
    buffer_free(&found);
    batch->failed = batch->failed || out.failed;
    size_t at = batch_keep_text(batch, out.data, out.length);
    buffer_free(&out);
    return at;
}

static void message_end(struct intake *intake, int total) {
    struct batch *batch = intake->batch;
    struct batch_message *entry = current(intake);
    entry->total = total < 0 ? 0 : total;
    if (total >= 0 && intake->records.length > 0) {
        entry->document = keep_document(intake);
        entry->inventory = topic_kind(batch_text(batch, entry->kind)) == TOPIC_INVENTORY &&
                           (intake->new_to_registry || batch->inventory_count > 0);
        batch->document_count++;
        batch->inventory_count += entry->inventory;
    }
    entry->fates[FATE_STORED] = entry->row_count;
    findings_end(&intake->findings);
    batch->failed =
        batch->failed || total < 0 || intake->records.failed || intake->fields.failed || intake->attributes.failed;
}

static void count_message(const struct intake *intake) {
    const struct batch_message *entry = current(intake);
    struct lane_metrics *metrics = intake->batch->metrics;
    intake->batch->records += entry->total;
    metrics->messages_received++;
    metrics->bytes_received += entry->length;
    metrics->records_received += (uint64_t)entry->total;
}

/* The message is not in the batch any more, and alarms know nothing of it. Its devices may stay: the vendor named them,
 * and it will do so again. */
static void take_back(const struct intake *intake, const struct batch_mark *mark) {
    struct batch *batch = intake->batch;
    for (size_t i = batch->row_count; i > mark->rows; i--) {
        batch->row_index[i - 1].device->evaluated_ms = batch->row_index[i - 1].evaluated_ms;
    }
    if (batch->operation_count > mark->operations) {
        alarms_undo(intake->world.alarms, &batch->operations[mark->operations],
                    batch->operation_count - mark->operations);
    }
    batch_cut(batch, mark);
}

int intake_take(struct intake *intake, struct batch *batch, const struct intake_message *message) {
    struct topic levels;
    if (!topic_split(message->topic, &levels)) {
        return 0; /* not of the lane's subscriptions */
    }
    const struct batch_mark mark = batch_mark(batch);
    intake->batch = batch;
    message_begin(intake, message, &levels);
    if (!batch->failed) {
        message_end(intake, is_empty(intake, message) || refuse(intake, message) ? 0 : decode(intake, message));
    }
    if (batch->failed) {
        take_back(intake, &mark);
        return CH_EMEMORY;
    }
    count_message(intake);
    return 0;
}

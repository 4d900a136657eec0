/* findings.c: what a message's sender is told, in lists that are bounded: the rest is counted. Must never hide one kind
 * of finding behind many of another. */
#include "hub/ingest/findings.h"

#include <math.h>
#include <string.h>

#include "hub/base/count.h"

enum {
    PROBLEMS_LISTED = 1000, /* of one message, and as many bad fields; the rest is only counted */
    WARNINGS_LISTED = 50,   /* of one message and code, likewise */
    EXAMPLES_MAX = 64,      /* of a batch */
    RANGE_MAX = 80,         /* bytes of a range in words, with its end */
};

/* Warnings by code, so that many of one do not hide the others. What a record says of itself, as the contract wants it
 * to (onemap.conformity_excuse has them, too), is nothing to mend. */
static const struct {
    const char *code;
    bool honest;
} warning_codes[FINDINGS_WARNING_CODES] = {
    {"unknown_field", false},     {"out_of_range", false},  {"over_range", true},
    {"no_value", false},          {"place_outside", false}, {"place_doubtful", true},
    {"interval_not_over", false}, {"contradictory", false}, {"empty_message", false}};

static struct batch_message *message_of(const struct batch *batch) {
    return &batch->messages[batch->message_count - 1];
}

void findings_begin(struct findings *findings, struct batch *batch) {
    findings->batch = batch;
    findings->problem_count = findings->field_count = findings->warning_count = findings->flawed_count = 0;
    findings->found = findings->refused = -1;
    memset(findings->warned, 0, sizeof findings->warned);
    buffer_reset(&findings->problems, SIZE_MAX);
    buffer_reset(&findings->warnings, SIZE_MAX);
}

void findings_end(struct findings *findings) {
    struct batch *batch = findings->batch;
    struct batch_message *entry = message_of(batch);
    entry->problem_count = findings->problem_count;
    entry->field_count = findings->field_count;
    entry->warning_count = findings->warning_count;
    entry->flawed_count = findings->flawed_count;
    entry->problems = batch_keep_text(batch, findings->problems.data, findings->problems.length);
    entry->problems_length = findings->problems.length;
    entry->warnings = batch_keep_text(batch, findings->warnings.data, findings->warnings.length);
    entry->warnings_length = findings->warnings.length;
    batch->failed = batch->failed || findings->problems.failed || findings->warnings.failed;
}

void findings_free(struct findings *findings) {
    buffer_free(&findings->problems);
    buffer_free(&findings->warnings);
}

/* One entry of a receipt's problems or warnings. */
struct finding {
    int index; /* of the record, -1 = the message */
    const char *code;
    const char *field; /* NULL = it is of no single field */
    const char *name;  /* the field's without its place in a list, if it has one; it lasts */
    const double *value;
    const char *reason;
};

static void append_finding(struct buffer *list, const struct finding *finding) {
    buffer_format(list, "%s{\"index\":%d,\"code\":\"%s\",", list->length > 0 ? "," : "", finding->index, finding->code);
    if (finding->field != NULL) {
        buffer_format(list, "\"field\":\"%s\",", finding->field);
    }
    if (finding->value != NULL) {
        buffer_format(list, "\"value\":%.17g,", *finding->value);
    }
    buffer_text(list, "\"reason\":");
    buffer_json(list, finding->reason, strlen(finding->reason));
    buffer_text(list, "}");
}

/* One more of its kind: the message has few kinds. */
static void count_finding(const struct findings *findings, enum batch_tally_kind kind, const struct finding *finding) {
    struct batch *batch = findings->batch;
    const char *field = finding->name != NULL ? finding->name : finding->field;
    for (size_t i = batch->tally_count; i > message_of(batch)->first_tally; i--) {
        struct batch_tally *tally = &batch->tallies[i - 1];
        if (batch_tally_is(tally, kind, finding->code, field)) {
            tally->count++;
            return;
        }
    }
    size_t reason =
        batch->tally_count < EXAMPLES_MAX ? batch_keep_text(batch, finding->reason, strlen(finding->reason)) : 0;
    struct batch_tally *tally = batch_tally_add(batch);
    if (tally != NULL) {
        *tally = (struct batch_tally){.code = finding->code,
                                      .field = field,
                                      .reason = reason,
                                      .value = finding->value != NULL ? *finding->value : NAN,
                                      .index = finding->index,
                                      .count = 1,
                                      .kind = kind};
    }
}

/* What is found in a record counts once, and not if the record is refused. */
static void mark_flawed(struct findings *findings, int index) {
    if (index >= 0 && index != findings->refused && index != findings->found) {
        findings->found = index;
        findings->flawed_count++;
    }
}

static void mark_refused(struct findings *findings, int index) {
    if (index >= 0) {
        findings->flawed_count -= index == findings->found;
        findings->found = -1;
        findings->refused = index;
    }
}

bool findings_any(const struct findings *findings, int index) {
    return findings->found == index;
}

void findings_of(const struct findings *findings, int index, const char *code, size_t length, int64_t observed_at_ms) {
    struct batch *batch = findings->batch;
    for (size_t i = message_of(batch)->first_tally; i < batch->tally_count; i++) {
        struct batch_tally *tally = &batch->tallies[i];
        if (tally->index == index && tally->reason != 0) {
            tally->device = batch_keep_text(batch, code, length);
            tally->observed_at_ms = observed_at_ms;
        }
    }
}

/* The message's first problem stands for it in quarantine. */
static void keep_first(struct findings *findings, const char *code, const char *reason) {
    struct batch *batch = findings->batch;
    if (findings->problem_count + findings->field_count == 0) {
        size_t code_at = batch_keep_text(batch, code, strlen(code));
        size_t reason_at = batch_keep_text(batch, reason, strlen(reason));
        message_of(batch)->code = code_at;
        message_of(batch)->reason = reason_at;
    }
}

void findings_problem(struct findings *findings, int index, const char *code, const char *reason) {
    const struct finding finding = {.index = index, .code = code, .reason = reason};
    keep_first(findings, code, reason);
    count_finding(findings, TALLY_REFUSED, &finding);
    mark_refused(findings, index);
    if (++findings->problem_count <= PROBLEMS_LISTED) {
        append_finding(&findings->problems, &finding);
    }
}

void findings_flaws(struct findings *findings, struct buffer *list, int index, const struct decode_flaw *flaws,
                    unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        const struct decode_flaw *flaw = &flaws[i];
        const struct finding finding = {
            .index = index, .code = flaw->code, .field = flaw->field, .reason = flaw->reason};
        keep_first(findings, flaw->code, flaw->reason);
        count_finding(findings, TALLY_FIELD, &finding);
        mark_flawed(findings, index);
        if (++findings->field_count <= PROBLEMS_LISTED) {
            append_finding(list, &finding);
        }
    }
}

/* The place of a code among warning_codes; the last one is that of all others. */
static size_t warning_place(const char *code) {
    size_t length = strlen(code) + 1;
    for (size_t i = 0; i < FINDINGS_WARNING_CODES - 1; i++) {
        if (strlen(warning_codes[i].code) + 1 == length && memcmp(warning_codes[i].code, code, length) == 0) {
            return i;
        }
    }
    return FINDINGS_WARNING_CODES - 1;
}

static void warn(struct findings *findings, const struct finding *finding) {
    size_t place = warning_place(finding->code);
    findings->warning_count++;
    count_finding(findings, TALLY_WARNING, finding);
    if (!warning_codes[place].honest) {
        mark_flawed(findings, finding->index);
    }
    if (++findings->warned[place] <= WARNINGS_LISTED) {
        append_finding(&findings->warnings, finding);
    }
}

void findings_warning(struct findings *findings, int index, const char *code, const char *field, const char *reason) {
    warn(findings, &(struct finding){.index = index, .code = code, .field = field, .reason = reason});
}

/* ---- readings that are none, or beyond the instrument ---- */

/* A metric's range, with its unit unless it is a pure number. */
static const char *range_show(char shown[static RANGE_MAX], const struct metric *metric) {
    const char *unit = strcmp(metric->unit, "1") == 0 ? "" : metric->unit;
    snprintf(shown, RANGE_MAX, "%.9g to %.9g%s%s", metric->min, metric->max, *unit == '\0' ? "" : " ", unit);
    return shown;
}

static void warn_of_reading(struct findings *findings, const struct record *record, int bit, bool none) {
    const struct metric *metric = &findings->adapter->metrics[bit];
    bool over = (record->over_range >> bit & 1) != 0;
    char reason[DECODE_REASON_MAX], range[RANGE_MAX];
    if (none) {
        snprintf(reason, sizeof reason,
                 "%s: %.9g stands for no value and was not stored; leave the field out when there is none", metric->key,
                 record->values[bit]);
    } else if (over) {
        snprintf(reason, sizeof reason,
                 "%s: %.9g is beyond the instrument's upper limit, as the record says; it was stored with a flag",
                 metric->key, record->values[bit]);
    } else {
        snprintf(reason, sizeof reason, "%s: %.9g is outside the range of %s; it was stored with a flag", metric->key,
                 record->values[bit], range_show(range, metric));
    }
    warn(findings, &(struct finding){.index = record->index,
                                     .code = none   ? "no_value"
                                             : over ? "over_range"
                                                    : "out_of_range",
                                     .field = metric->key,
                                     .value = &record->values[bit],
                                     .reason = reason});
}

void findings_readings(struct findings *findings, const struct plausible *plausible, const struct vendor *vendor,
                       struct record *record) {
    uint64_t none = plausible_no_values(plausible, vendor, record);
    record->present &= ~none;
    record->quality &= ~none;
    record->over_range &= ~none;
    for (uint64_t rest = none | record->quality; rest != 0; rest &= rest - 1) {
        int bit = __builtin_ctzll(rest);
        warn_of_reading(findings, record, bit, (none >> bit & 1) != 0);
    }
}

/* The numbers of an interval's entry, each of which is no larger than those behind it. */
static const char *const interval_numbers[] = {"minimum", "mean", "maximum"};

static const cJSON *interval_number(const cJSON *entry, size_t place) {
    return cJSON_GetObjectItemCaseSensitive(entry, interval_numbers[place]);
}

static void judge_number(struct findings *findings, int index, const struct metric *metric, int place, size_t which,
                         const cJSON *entry) {
    const cJSON *number = interval_number(entry, which);
    if (number == NULL) {
        return;
    }
    char field[64], reason[DECODE_REASON_MAX], range[RANGE_MAX];
    snprintf(field, sizeof field, "values[%d].%s", place, interval_numbers[which]);
    struct finding finding = {
        .index = index, .field = field, .name = metric->key, .value = &number->valuedouble, .reason = reason};
    if (number->valuedouble < metric->min || number->valuedouble > metric->max) {
        finding.code = "out_of_range";
        snprintf(reason, sizeof reason, "%s: %.9g is outside the range of %s, %s; it was stored as it came", field,
                 number->valuedouble, metric->key, range_show(range, metric));
        warn(findings, &finding);
        return; /* -999 and its like contradict every other number */
    }
    /* The mean of directions lies where it will: of 359 and 1 it is 0. */
    for (size_t next = which + 1; strcmp(metric->unit, "deg") != 0 && next < COUNT_OF(interval_numbers); next++) {
        const cJSON *larger = interval_number(entry, next);
        if (larger != NULL && number->valuedouble > larger->valuedouble && larger->valuedouble >= metric->min) {
            finding.code = "contradictory";
            snprintf(reason, sizeof reason, "%s: %.9g is above the %s, %.9g; it was stored as it came", field,
                     number->valuedouble, interval_numbers[next], larger->valuedouble);
            warn(findings, &finding);
        }
    }
}

void findings_interval(struct findings *findings, const struct document *document, int64_t newest_ms) {
    const cJSON *began = cJSON_GetObjectItemCaseSensitive(document->object, "began_at_ms");
    const cJSON *seconds = cJSON_GetObjectItemCaseSensitive(document->object, "seconds");
    if (began != NULL && seconds != NULL && began->valuedouble + seconds->valuedouble * 1000 > (double)newest_ms) {
        findings_warning(findings, document->index, "interval_not_over", "seconds",
                         "seconds: the interval ends in the future; it was stored as it came. began_at_ms is the "
                         "moment at which it begins, not at which it ends");
    }
    const cJSON *entry;
    int place = 0;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(document->object, "values")) {
        const char *key = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "metric"));
        const char *flag = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "flag"));
        const struct metric *metric = key == NULL ? NULL : adapter_metric(findings->adapter, key);
        bool judged = metric != NULL && metric->kind != METRIC_TEXT && (flag == NULL || strcmp(flag, "N") == 0);
        for (size_t i = 0; judged && i < COUNT_OF(interval_numbers); i++) {
            judge_number(findings, document->index, metric, place, i, entry);
        }
        place++;
    }
}

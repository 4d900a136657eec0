/* findings.h: what is to be told of the message at hand: problems, fields that were left out, warnings, as its receipt
 * and its row in quarantine list them. Does no I/O. */
#ifndef CITYHUB_FINDINGS_H
#define CITYHUB_FINDINGS_H

#include "hub/base/buffer.h"
#include "hub/know/plausible.h"
#include "hub/store/batch.h"

enum { FINDINGS_WARNING_CODES = 9 };

/* One a lane; all zero but for `adapter` is ready for findings_begin. The lists are JSON objects with commas between.
 */
struct findings {
    const struct adapter *adapter;
    struct batch *batch;
    struct buffer problems, warnings;
    int problem_count, field_count, warning_count; /* of which not all are listed */
    int warned[FINDINGS_WARNING_CODES];
    int flawed_count;   /* records with a finding that their vendor has to mend, and that are not refused */
    int found, refused; /* the last record with such a finding, the last one refused; -1 = none */
};
/* For the message that was added to the batch last: nothing is found yet. */
void findings_begin(struct findings *findings, struct batch *batch);
void findings_free(struct findings *findings);

/* `index`: of the record, -1 = the message. The first problem or field stands for the message in quarantine. */
void findings_problem(struct findings *findings, int index, const char *code, const char *reason);
/* `field`: NULL = it is of no single field. */
void findings_warning(struct findings *findings, int index, const char *code, const char *field, const char *reason);
/* Fields that were left out of a record that is stored; told in `list`: the problems, or one of the caller's. */
void findings_flaws(struct findings *findings, struct buffer *list, int index, const struct decode_flaw *flaws,
                    unsigned count);

/* Leaves out of the record what stands for no value, and warns of that and of what is beyond the instrument (超量程).
 */
void findings_readings(struct findings *findings, const struct plausible *plausible, const struct vendor *vendor,
                       struct record *record);
/* Warns of an interval that ends after `newest_ms`, and of its values that are beyond the instrument or contradict each
 * other; all are stored as they came. One with a flag says itself that it is no good. */
void findings_interval(struct findings *findings, const struct document *document, int64_t newest_ms);

/* Whose record this is, and when it was observed: for the examples of what was found. */
void findings_of(const struct findings *findings, int index, const char *code, size_t length, int64_t observed_at_ms);
/* Whether something was found in a record that its vendor has to mend. */
bool findings_any(const struct findings *findings, int index);

/* The message is over: its lists and counts go into the batch. */
void findings_end(struct findings *findings);

#endif

/* pace.c: when a lane's batch goes. What it rests on: a transaction costs the database a millisecond or so whatever is
 * in it, so that a lane which rests some commits' time after each spends little on them, and what comes meanwhile goes
 * together; and who brings much is held up by what the machine can do in any case, so that it can give way. */
#include "hub/ingest/pace.h"

enum {
    REST_SMALL = 4,       /* of what a commit costs, from one batch that is not full to the next, ... */
    REST_RECORDS = 8,     /* ... and one more for so many records that it had: who brings much saves commits by it */
    REST_SHARED = 1,      /* and between the end of a full one and the next, while others bring little */
    REST_MOST_MS = 50,    /* whatever the commit took: one that takes longer is slow for other reasons */
    SHARED_PART = 2,      /* of a batch's records are a full one while others bring little */
    SHARED_FOR_MS = 1000, /* so long after their last batch */
    RECENT = 2,           /* whoever asks is one of them at the most */
};

/* The lanes that brought little last, each once, the latest first. */
static struct recent {
    const struct pace *pace;
    uint64_t at;
} recent[RECENT];

bool pace_shared(const struct pace *pace, uint64_t now) {
    for (int i = 0; i < RECENT; i++) {
        if (recent[i].pace != NULL && recent[i].pace != pace && now - recent[i].at < SHARED_FOR_MS) {
            return true;
        }
    }
    return false;
}

static bool is_much(const struct pace_batch *batch) {
    return batch->large || batch->records * SHARED_PART >= (size_t)batch->records_most;
}

bool pace_full(const struct pace *pace, const struct pace_batch *batch) {
    return batch->large || batch->records >= (size_t)batch->records_most ||
           (is_much(batch) && pace_shared(pace, batch->now));
}

static uint64_t left(uint64_t due, uint64_t now) {
    return due > now ? due - now : 0;
}

static uint64_t rest_ms(uint64_t commit_ms, uint64_t commits) {
    return commit_ms * commits < REST_MOST_MS ? commit_ms * commits : REST_MOST_MS;
}

uint64_t pace_due(const struct pace *pace, const struct pace_batch *batch) {
    if (pace_full(pace, batch)) {
        bool shared = pace_shared(pace, batch->now);
        if (shared && batch->in_flight > 0) {
            return PACE_WAIT;
        }
        return shared ? left(pace->handed_at + pace->took_ms + rest_ms(pace->took_ms, REST_SHARED), batch->now) : 0;
    }
    uint64_t old = left(pace->filled_at + batch->age_most_ms, batch->now);
    uint64_t rested =
        left(pace->handed_at + rest_ms(pace->cost_ms, REST_SMALL + pace->brought / REST_RECORDS), batch->now);
    return batch->in_flight == 0 && batch->spare && rested < old ? rested : old;
}

bool pace_handed(struct pace *pace, const struct pace_batch *batch) {
    pace->handed_at = batch->now;
    pace->brought = batch->records;
    if (is_much(batch)) {
        return pace_shared(pace, batch->now);
    }
    if (recent[0].pace != pace) {
        recent[1] = recent[0];
    }
    recent[0] = (struct recent){.pace = pace, .at = batch->now};
    return false;
}

void pace_committed(struct pace *pace, uint64_t took_ms) {
    pace->took_ms = took_ms;
    pace->cost_ms = took_ms <= pace->cost_ms || !pace->costed ? took_ms : pace->cost_ms + 1;
    pace->costed = true;
}

void pace_forget(const struct pace *pace) {
    for (int i = 0; i < RECENT; i++) {
        if (recent[i].pace == pace) {
            recent[i].pace = NULL;
        }
    }
}

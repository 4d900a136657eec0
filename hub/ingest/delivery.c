/* delivery.c: a ring of what was committed last, and after a reconnection the sorted list of what may come again. Must
 * never call a message met that was not committed and is not held: it would be acknowledged and lost. */
#include "hub/ingest/delivery.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    uint64_t key;
    int64_t stamp_us; /* of its commit */
    uint32_t met; /* how often it came again; without identifiers: of all entries of the key, in the first of them */
    uint16_t identifier;
};

struct deliveries {
    size_t most;
    struct entry *ring;     /* the last `most` commits */
    size_t first, count;    /* in the ring */
    struct entry *expected; /* by key; room for twice `most`: committed ones and held ones */
    size_t expected_count;
    bool sorted;
    size_t arrived; /* messages of this connection */
};

struct deliveries *deliveries_new(size_t most) {
    struct deliveries *deliveries = calloc(1, sizeof *deliveries);
    if (deliveries == NULL) {
        return NULL;
    }
    deliveries->most = most;
    deliveries->ring = calloc(most, sizeof *deliveries->ring);
    deliveries->expected = calloc(2 * most, sizeof *deliveries->expected);
    if (deliveries->ring == NULL || deliveries->expected == NULL) {
        deliveries_free(deliveries);
        return NULL;
    }
    return deliveries;
}

void deliveries_free(struct deliveries *deliveries) {
    if (deliveries != NULL) {
        free(deliveries->ring);
        free(deliveries->expected);
        free(deliveries);
    }
}

static void remember(struct deliveries *deliveries, const struct entry *entry) {
    if (deliveries->count == deliveries->most) {
        deliveries->first = (deliveries->first + 1) % deliveries->most;
        deliveries->count--;
    }
    deliveries->ring[(deliveries->first + deliveries->count++) % deliveries->most] = *entry;
}

void deliveries_take(struct deliveries *deliveries, int64_t stamp_us, const void *packed, size_t length) {
    const unsigned char *at = packed;
    for (size_t i = 0; i + BATCH_DELIVERY_BYTES <= length; i += BATCH_DELIVERY_BYTES, at += BATCH_DELIVERY_BYTES) {
        struct entry entry = {.stamp_us = stamp_us, .identifier = (uint16_t)(at[0] << 8 | at[1])};
        for (size_t j = 2; j < BATCH_DELIVERY_BYTES; j++) {
            entry.key = entry.key << 8 | at[j];
        }
        remember(deliveries, &entry);
    }
}

void deliveries_committed(struct deliveries *deliveries, const struct batch *batch) {
    for (size_t m = 0; m < batch->message_count; m++) {
        const struct batch_message *message = &batch->messages[m];
        if (message->identifier != 0) {
            remember(
                deliveries,
                &(struct entry){.key = message->key, .stamp_us = message->stamp_us, .identifier = message->identifier});
        }
    }
}

int64_t deliveries_oldest_us(const struct deliveries *deliveries) {
    return deliveries->count < deliveries->most ? INT64_MIN : deliveries->ring[deliveries->first].stamp_us;
}

static void expect(struct deliveries *deliveries, const struct entry *entry) {
    if (deliveries->expected_count < 2 * deliveries->most) { /* the broker has no more in flight than `most` */
        deliveries->expected[deliveries->expected_count++] = *entry;
        deliveries->sorted = false;
    }
}

void deliveries_connected(struct deliveries *deliveries, bool resumed) {
    deliveries->arrived = deliveries->expected_count = 0;
    for (size_t i = 0; resumed && i < deliveries->count; i++) {
        expect(deliveries, &deliveries->ring[(deliveries->first + i) % deliveries->most]);
    }
}

void deliveries_held_message(struct deliveries *deliveries, uint64_t key, uint16_t identifier) {
    if (identifier != 0) {
        expect(deliveries, &(struct entry){.key = key, .identifier = identifier});
    }
}

void deliveries_held(struct deliveries *deliveries, const struct batch *batch) {
    for (size_t m = 0; m < batch->message_count; m++) {
        deliveries_held_message(deliveries, batch->messages[m].key, batch->messages[m].identifier);
    }
}

static int compare_entries(const void *left, const void *right) {
    const struct entry *a = left;
    const struct entry *b = right;
    int keys = (a->key > b->key) - (a->key < b->key);
    return keys != 0 ? keys : a->identifier - b->identifier;
}

/* The first place that is not before this key and identifier; 65536 is beyond all identifiers. */
static size_t place_of(const struct deliveries *deliveries, uint64_t key, uint32_t identifier) {
    size_t low = 0, high = deliveries->expected_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct entry *entry = &deliveries->expected[middle];
        if (entry->key < key || (entry->key == key && entry->identifier < identifier)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool deliveries_met(struct deliveries *deliveries, uint64_t key, uint16_t identifier, bool by_identifier) {
    if (deliveries->expected_count == 0 || identifier == 0) {
        return false;
    }
    if (deliveries->arrived++ >= deliveries->most) {
        deliveries->expected_count = 0; /* what was in flight comes before all that is new */
        return false;
    }
    if (!deliveries->sorted) {
        qsort(deliveries->expected, deliveries->expected_count, sizeof *deliveries->expected, compare_entries);
        deliveries->sorted = true;
    }
    size_t first = place_of(deliveries, key, by_identifier ? identifier : 0);
    size_t past = place_of(deliveries, key, by_identifier ? identifier + UINT32_C(1) : UINT32_C(65536));
    if (past == first || deliveries->expected[first].met >= past - first) {
        return false;
    }
    deliveries->expected[first].met++;
    return true;
}

/* adapter.c: what is asked of the adapters' tables by key. They are short: it looks from the first row on. */
#include "hub/adapter.h"

#include <string.h>

const struct adapter *adapter_find(const char *key) {
    for (size_t i = 0; i < adapter_count; i++) {
        if (strcmp(adapters[i]->key, key) == 0) {
            return adapters[i];
        }
    }
    return NULL;
}

size_t adapter_index(const struct adapter *adapter) {
    size_t i = 0;
    while (adapters[i] != adapter) {
        i++;
    }
    return i;
}

const struct metric *adapter_metric(const struct adapter *adapter, const char *key) {
    for (size_t i = 0; i < adapter->metric_count; i++) {
        if (strcmp(adapter->metrics[i].key, key) == 0) {
            return &adapter->metrics[i];
        }
    }
    return NULL;
}

int adapter_kind(const struct adapter *adapter, const char *key) {
    for (size_t i = 0; i < adapter->kind_count; i++) {
        if (strcmp(adapter->kinds[i].key, key) == 0) {
            return (int)i;
        }
    }
    return -1;
}

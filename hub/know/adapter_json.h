/* adapter_json.h: the adapters' tables as one JSON document, the form that onemap.catalogue_sync, _drift and _missing
 * read, and the tables of the vendors' guides are made from (adapters/guide_tables.py). */
#ifndef CITYHUB_ADAPTER_JSON_H
#define CITYHUB_ADAPTER_JSON_H

/* {"metrics": [{subsystem, ordinal, key, name_zh, unit, kind, min_value, max_value, rollover}],
 *  "kinds": [{subsystem, key, name_zh, mobile, offline_after_s, interval_s, metrics: [key]}]}; an infinite bound or no
 * roll-over is null. Times are in seconds. The same build always gives the same bytes. The caller frees; NULL = out of
 * memory. */
char *adapter_json(void);

#endif

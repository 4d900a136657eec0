/* catalogue.h: the adapters' tables as one JSON document, the form that onemap.catalogue_sync, _drift and _missing
 * read. */
#ifndef CITYHUB_CATALOGUE_H
#define CITYHUB_CATALOGUE_H

/* {"metrics": [{subsystem, ordinal, key, name_zh, unit, kind, min_value, max_value, rollover}],
 *  "kinds": [{subsystem, key, name_zh, mobile, offline_after_s}]}; an infinite bound or no roll-over is null.
 * The same build always gives the same bytes. The caller frees; NULL = out of memory. */
char *catalogue_json(void);

#endif

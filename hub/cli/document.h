/* document.h: JSON files that people edit or export, read whole. */
#ifndef CITYHUB_DOCUMENT_H
#define CITYHUB_DOCUMENT_H

#include <cjson/cJSON.h>
#include <stddef.h>

/* The JSON document of the file `path`, "-" = standard input, of at most `most` bytes. Refused are what is no UTF-8 and
 * an object that says a member twice, of which one would be lost. Returns NULL after telling what is wrong, with its
 * line where there is one. The caller deletes. */
cJSON *document_read(const char *path, size_t most);

#endif

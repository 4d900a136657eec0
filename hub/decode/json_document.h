/* json_document.h: a document of a platform, a peer, a vendor: whoever numbers its things as it likes. */
#ifndef CITYHUB_JSON_DOCUMENT_H
#define CITYHUB_JSON_DOCUMENT_H

#include <cjson/cJSON.h>
#include <stddef.h>

/* What stands bare where JSON has a value and is none, such as the NaN that programs print, becomes a text: nothing
 * beside it is lost for it. So does a whole number of more digits than a double holds: a device's code, a case's
 * number, a cursor stay what they are; member_key() reads both. NULL = it is no JSON all the same, or memory is out. */
cJSON *json_document(const char *bytes, size_t length);

#endif

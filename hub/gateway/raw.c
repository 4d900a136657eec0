/* raw.c: see raw.h. Must never change a byte of a frame. */
#include "hub/gateway/raw.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/text.h"

void raw_record(cJSON *records, const struct terminal *terminal, const void *bytes, size_t length) {
    cJSON *record = cJSON_CreateObject();
    bool is_text = text_flaw(bytes, length, true) == NULL;
    char *text = malloc(2 * length + 1);
    if (text != NULL && is_text) {
        memcpy(text, bytes, length);
        text[length] = '\0';
    } else if (text != NULL) {
        sodium_bin2hex(text, 2 * length + 1, bytes, length);
    }
    cJSON_AddStringToObject(record, "device_code", terminal->device);
    cJSON_AddStringToObject(record, "protocol", terminal->protocol);
    cJSON_AddStringToObject(record, is_text ? "frame" : "frame_hex", text == NULL ? "" : text);
    free(text);
    cJSON_AddItemToArray(records, record);
}

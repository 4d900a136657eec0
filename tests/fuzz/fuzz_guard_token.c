/* fuzz_guard_token.c: any bytes as the file of devices' tokens, and each of its lines as a token. A file that is read
 * again gives no device another login, and no line of it is a token. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/guard/guard_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(struct guard_devices *devices, char *text) {
    FILE *from = fmemopen(text, strlen(text), "r");
    if (from == NULL || !guard_devices_parse(devices, from)) {
        abort();
    }
    fclose(from);
}

/* How many logins are known of those that the lines' identities could have. No line may be a token. */
static size_t known(const struct guard_devices *devices, const char *text) {
    char login[GUARD_LOGIN_MAX], *copy = strdup(text), *rest = NULL;
    size_t count = 0;
    for (char *line = strtok_r(copy, "\r\n", &rest); line != NULL; line = strtok_r(NULL, "\r\n", &rest)) {
        if (guard_token_fits(devices, line, login)) {
            abort();
        }
        for (size_t number = 1; number <= guard_devices_count(devices); number++) {
            snprintf(login, sizeof login, "device.%.*s.%zu", (int)strcspn(line, ":"), line, number);
            count += guard_is_device(login) && guard_device_known(devices, login);
        }
    }
    free(copy);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = strndup((const char *)data, size);
    struct guard_devices *devices = guard_devices_new("");
    if (text != NULL && *text != '\0') {
        parse(devices, text);
        size_t before = known(devices, text);
        parse(devices, text);
        if (known(devices, text) != before || before < guard_devices_count(devices)) {
            abort();
        }
    }
    guard_devices_free(devices);
    free(text);
    return 0;
}

/* fuzz_config.c: configuration files: a fault is told with its place, and what is accepted reads the same again after
 * it was printed. */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "hub/adapter.h"
#include "hub/base/config.h"
#include "hub/base/error.h"

enum { LINE_MAX_BYTES = 198, PRINTED_MAX = 64 * 1024 };

/* Loads `size` bytes as a file. `errors` is what was told; the caller frees it. */
static int load(struct config *config, const void *data, size_t size, char **errors) {
    char path[40];
    size_t length = 0;
    int file = memfd_create("fuzz_config", MFD_CLOEXEC);
    REQUIRE(file >= 0 && write(file, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    FILE *out = open_memstream(errors, &length);
    REQUIRE(out != NULL);
    int code = config_load(config, path, out);
    fclose(out);
    close(file);
    REQUIRE(code == 0 || code == CH_EINVAL);
    REQUIRE((code == 0) == (length == 0));
    REQUIRE(code == 0 || (strncmp(*errors, path, strlen(path)) == 0 && (*errors)[length - 1] == '\n'));
    return code;
}

static char *print(const struct config *config) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    REQUIRE(out != NULL);
    config_print(config, out);
    fclose(out);
    REQUIRE(length < PRINTED_MAX);
    return text;
}

/* The printed form has a blank on both sides of =, so a line that just fitted may fit no more. */
static bool lines_fit(const char *text) {
    for (const char *at = text; *at != '\0'; at += *at == '\n') {
        size_t length = strcspn(at, "\n");
        if (length > LINE_MAX_BYTES) {
            return false;
        }
        at += length;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct config config, again;
    char *errors = NULL;
    if (load(&config, data, size, &errors) == 0) {
        char *printed = print(&config), *errors_again = NULL;
        for (size_t i = 0; i < adapter_count; i++) {
            int lanes = config_lanes(&config, adapters[i]->key);
            REQUIRE(lanes >= 1 && lanes <= 16);
        }
        if (lines_fit(printed)) {
            REQUIRE(load(&again, printed, strlen(printed), &errors_again) == 0);
            char *printed_again = print(&again);
            REQUIRE(strcmp(printed, printed_again) == 0);
            free(printed_again);
            config_free(&again);
        }
        free(errors_again);
        free(printed);
    }
    config_free(&config);
    free(errors);
    return 0;
}

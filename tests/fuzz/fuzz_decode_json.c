/* fuzz_decode_json.c: messages in JSON. The first byte chooses the adapter or the kind. */
#include "fuzz_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) {
        return 0;
    }
    fuzz_decode(data[0] % (unsigned)(adapter_count + FUZZ_KINDS), data + 1, size - 1, NULL, NULL);
    return 0;
}

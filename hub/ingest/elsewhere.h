/* elsewhere.h: is a record that came on one subsystem's topic another subsystem's? */
#ifndef CITYHUB_ELSEWHERE_H
#define CITYHUB_ELSEWHERE_H

#include "hub/decode/decode.h"
#include "hub/know/registry.h"

/* The topic, and what is known. */
struct elsewhere {
    const struct registry *registry;
    struct decoder *decoder;
    const struct adapter *adapter;
    const struct vendor *vendor;
};

/* Only inside the decoder's sink. `device` is the record's here, NULL = there is none. True: it is another subsystem's,
 * and `reason` says whose, or why. */
bool elsewhere_judge(const struct elsewhere *here, const struct record *record, const struct device *device,
                     char reason[static DECODE_REASON_MAX]);

#endif

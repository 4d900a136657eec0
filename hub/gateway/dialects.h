/* dialects.h: what makes of devices mean by their codes and bits: the files of config/gateway/<protocol>, read when a
 * terminal first needs one, and kept. */
#ifndef CITYHUB_DIALECTS_H
#define CITYHUB_DIALECTS_H

#include "hub/gateway/hj212_dialect.h"
#include "hub/gateway/jt808_dialect.h"
#include "hub/gateway/terminal.h"

struct dialects;

/* `folder`: [hub] data_dir, borrowed. NULL = out of memory. */
struct dialects *dialects_new(const char *folder);
void dialects_free(struct dialects *dialects);

/* The terminal's dialect: by its name, else its subsystem's. NULL after logging why, which is done once a minute: there
 * is no such file, it has a fault, or it is another subsystem's. */
const struct hj212_dialect *dialects_hj212(struct dialects *dialects, const struct terminal *terminal);
const struct jt808_dialect *dialects_jt808(struct dialects *dialects, const struct terminal *terminal);

enum { DIALECTS_PROBLEM_MAX = 512 };

/* Reads the file of a protocol ("hj212", "jt808") and drops it again. 0, or CH_E* with what is wrong. */
int dialects_check(const char *protocol, const char *path, char problem[static DIALECTS_PROBLEM_MAX]);

#endif

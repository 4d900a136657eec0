/* attachment_make.h: what a worker does to a file that has come: know it, clean it, name it; and the small picture,
 * which another program makes. */
#ifndef CITYHUB_ATTACHMENT_MAKE_H
#define CITYHUB_ATTACHMENT_MAKE_H

#include <stdint.h>
#include <uv.h>

#include "hub/http/attachment.h"
#include "hub/http/media.h"

enum { ATTACHMENT_PATH_MAX = 1024 };

struct attachment_made {
    enum media_type type;
    struct media_facts facts;
    int64_t size;                       /* bytes of the clean file */
    char name[ATTACHMENT_NAME_MAX];     /* SHA-256 of the clean file */
    char original[ATTACHMENT_NAME_MAX]; /* and of what came */
    const char *flaw;                   /* why it is none that is taken; NULL = it is */
    int failed;                         /* errno of what went wrong on our side; 0 = nothing */
};

/* Reads the file `from` and writes the clean one to `to`, through to the disk. Blocks: for a worker's thread. */
void attachment_make(const char *from, const char *to, struct attachment_made *made);

/* Starts the program that makes a small JPEG `to` of the picture `from`, bounded in time, memory and size. `process` is
 * the caller's: `ended` is called, and then it is to be closed. 0, or what uv_spawn says. `folder`: for what it keeps
 * for a moment. */
int thumbnail_start(uv_loop_t *loop, uv_process_t *process, const char *folder, const char *from, const char *to,
                    uv_exit_cb ended);

#endif

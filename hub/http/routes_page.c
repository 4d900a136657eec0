/* routes_page.c: the page's files. They hold nothing of the county, and the view that logs people in is among them: so
 * anyone may have them, wherever the hub listens. All data come from the other routes, which ask who it is. */
#include "hub/http/page.h"
#include "hub/http/request.h"
#include "hub/http/routes.h"

/* Scripts, styles, images, workers and connections of this hub alone; nothing inline, nothing evaluated, no frame
 * around it, no form that is sent by itself. Images from memory (blob:, data:) are what the map makes itself. */
#define PAGE_POLICY                                                                                                    \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "        \
    "worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

static void answer_file(struct request *request, struct answer *answer, const struct page_file *file) {
    if (file == NULL) {
        bool none = request->service->page == NULL;
        request_refuse(request, PROBLEM_NOTHING, none ? "本系统没有安装网页（[http] page）" : "网页没有这个文件",
                       none ? "this hub has no page installed ([http] page)" : "the page has no such file");
        return;
    }
    if (request_unchanged(request, answer, file->etag)) {
        return;
    }
    answer->encoded = file->packed != NULL && request_takes_gzip(request);
    answer->plain = !answer->encoded; /* what got no smaller was not packed at the build either */
    answer->body = answer->encoded ? file->packed : file->bytes;
    answer->length = answer->encoded ? file->packed_length : file->length;
    answer->content_type = file->type;
}

static void answer_index(struct request *request, struct answer *answer) {
    answer_file(request, answer, page_find(request->service->page, "", 0));
}

static void answer_asset(struct request *request, struct answer *answer) {
    const struct parameter_value *name = request_value(request, "file");
    answer_file(request, answer, page_find(request->service->page, name->text, name->length));
}

static const struct parameter asset_parameters[] = {
    {.name = "file",
     .kind = PARAMETER_TEXT,
     .low = 1,
     .high = PAGE_NAME_MAX - 1,
     .meaning = "a file's name; it has the hash of its bytes in it, so it never changes"},
    {0},
};

const struct route routes_page[] = {
    {.method = METHOD_GET,
     .pattern = "/",
     .summary = "The page",
     .right = RIGHT_ANYONE,
     .any_query = true,
     .memory = answer_index,
     .content_type = "text/html",
     .cache = "no-cache",
     .etag = ETAG_GIVEN,
     .policy = PAGE_POLICY,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/assets/{file}",
     .summary = "A file of the page",
     .right = RIGHT_ANYONE,
     .any_query = true,
     .parameters = asset_parameters,
     .memory = answer_asset,
     .content_type = "application/octet-stream", /* for what is asked; each file has its own */
     .cache = "public, max-age=31536000, immutable",
     .etag = ETAG_GIVEN,
     .policy = PAGE_POLICY,
     .compress = true},
    {0},
};
